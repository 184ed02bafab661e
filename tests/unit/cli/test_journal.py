"""``ct-mcp journal``: listed, searched, told as a story, checked, exported, and settled by hand."""

import csv
import io
import json
import re
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ct_mcp.cli.journal import settle
from ct_mcp.cli.screen import Screen
from ct_mcp.desk.pin import set_pin
from ct_mcp.errors import TicketOutOfReach
from ct_mcp.store.alone import ExitsAlone
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.store.sql_store import SqlStore
from ct_mcp.store.sqlite import FILE_NAME, SqliteStore
from tests.unit.store.test_alone import Faraway

CtMcp = Callable[..., subprocess.CompletedProcess[str]]
AtATerminal = Callable[..., Any]

LONG_AGO = datetime(2026, 1, 1, 15, 30, tzinfo=UTC)
ORDER = "SIM  Sim101  BUY 1 MES 12-26 MARKET"
HOSTILE = '=HYPERLINK("https://x")\u202e'
PIN = "pin-4711"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The state folder that the server and the person's terminal share."""
    return tmp_path / "state"


@pytest.fixture
async def store(folder: Path) -> AsyncIterator[SqliteStore]:
    """The store as the server sees it."""
    store = SqliteStore(folder)
    yield store
    await store.close()


async def an_order(
    store: SqliteStore, ticket_id: str = "t-1", *, answered: bool = True, at: datetime = LONG_AGO
) -> None:
    """What is written when an order is proposed, approved and sent."""
    named: dict[str, Any] = {"account": "Sim101", "ticket_id": ticket_id, "own_id": f"ctmcp-{ticket_id}"}
    intent = {"rules": ["quantity_is_within_limit: quantity=1, maximum=5"], "not_checked": ["risk_is_within_limit: no"]}
    for entry in (
        NewEntry(EntryKind.PROPOSED, ORDER, **named, reason=HOSTILE, detail={"approval": "form"}),
        NewEntry(EntryKind.APPROVED, ORDER, **named, detail={"by": "terminal"}),
        NewEntry(EntryKind.INTENT, ORDER, **named, fingerprint="f", opens=True, detail=intent),
        NewEntry(EntryKind.ACCEPTED, ORDER, **named, detail={"step": "place", "order_id": "order-77"}),
    ):
        await store.append(entry, at)
    if answered:
        done = {"status": "filled", "order_id": "order-77", "filled": 1}
        await store.append(NewEntry(EntryKind.ANSWERED, ORDER, **named, detail=done), at)


@pytest.fixture
def journal(ct_mcp: CtMcp, folder: Path) -> CtMcp:
    """Run ``ct-mcp journal`` over the folder, with nothing on stdin and no token."""
    return lambda *arguments, **more: ct_mcp("journal", *arguments, "--state-dir", str(folder), **more)


async def test_the_newest_stand_last_and_the_assistants_words_apart(journal: CtMcp, store: SqliteStore) -> None:
    await an_order(store)
    told = journal()
    assert told.returncode == 0
    kinds = [line.split()[1] for line in told.stdout.splitlines() if "SIM Sim101" in line]
    assert kinds == ["proposed", "approved", "intent", "accepted", "answered"]
    assert "the assistant's words, not a fact:" in told.stdout
    assert "\u202e" not in told.stdout
    assert "\x1b" not in told.stdout, "plain where it is no terminal"
    assert max(map(len, told.stdout.splitlines())) < 80


@pytest.mark.parametrize(
    ("flags", "shown"),
    [
        (("--limit", "1"), ["answered"]),
        (("--kind", "intent"), ["intent"]),
        (("--account", "Sim101", "--limit", "2"), ["accepted", "answered"]),
        (("--account", "sim101"), []),
        (("--since", "2026-01-02"), []),
        (("--since", "2025-12-31", "--kind", "approved"), ["approved"]),
        (("--since", "30m"), []),
    ],
)
async def test_it_is_filtered(journal: CtMcp, store: SqliteStore, flags: tuple[str, ...], shown: list[str]) -> None:
    await an_order(store)
    told = journal(*flags)
    assert told.returncode == 0
    assert [line.split()[1] for line in told.stdout.splitlines() if "SIM Sim101" in line] == shown
    assert shown or "The journal holds no such entry." in told.stdout


@pytest.mark.parametrize("flags", [("--kind", "fills"), ("--since", "yesterday"), ("--limit", "0"), ("--limit", "x")])
def test_a_filter_that_makes_no_sense_is_refused(journal: CtMcp, flags: tuple[str, ...]) -> None:
    told = journal(*flags)
    assert (told.returncode, told.stdout) == (2, "")
    assert "expected" in told.stderr or "invalid" in told.stderr


def test_where_there_is_none_it_says_so_and_makes_none(journal: CtMcp, folder: Path) -> None:
    told = journal()
    assert (told.returncode, told.stdout) == (0, "")
    assert "There is no journal in" in told.stderr
    for asked in (("verify",), ("export",), ("why", "t-1")):
        assert journal(*asked).returncode == 1
    assert not folder.exists()


async def test_an_empty_one_says_so_and_is_whole(journal: CtMcp, store: SqliteStore) -> None:
    await store.halt()
    assert "The journal is empty." in journal().stdout
    assert "Whole: 0 entries" in journal("verify").stdout


@pytest.mark.parametrize("named", ["t-1", "ctmcp-t-1", "order-77"])
async def test_the_story_of_an_order_is_told_by_any_of_its_ids(journal: CtMcp, store: SqliteStore, named: str) -> None:
    await an_order(store)
    await an_order(store, "t-2", answered=False)
    told = journal("why", named)
    assert told.returncode == 0
    steps = [
        "Proposed by the assistant",
        "approval needed: form",
        "the assistant's words, not a fact",
        "Approved",
        "by: terminal",
        "About to be sent",
        "under our order id ctmcp-t-1",
        "quantity is within limit: quantity=1, maximum=5",
        "could not be checked:",
        "Taken by CrossTrade's add-on",
        "What became of it",
        "status: filled",
    ]
    places = [told.stdout.find(step) for step in steps]
    assert -1 not in places, told.stdout
    assert places == sorted(places)
    assert max(map(len, told.stdout.splitlines())) < 80


async def test_a_change_under_another_ticket_belongs_to_the_story_of_its_order(
    journal: CtMcp, store: SqliteStore
) -> None:
    await an_order(store)
    change = NewEntry(EntryKind.ANSWERED, "SIM  CHANGE", ticket_id="t-9", detail={"order_id": "order-77"})
    await store.append(change, LONG_AGO)
    assert "SIM CHANGE" in journal("why", "ctmcp-t-1").stdout


async def test_an_order_of_unknown_outcome_is_told_as_such(journal: CtMcp, store: SqliteStore) -> None:
    await an_order(store, answered=False)
    assert "What became of it is not known" in journal("why", "t-1").stdout
    assert "ct-mcp journal settle t-1" in journal("why", "t-1").stdout
    assert "Of unknown outcome: 1 order" in journal("--limit", "1").stdout


@pytest.mark.parametrize("named", ["", "nothing", "%", "' OR 1=1 --", '"', "\u202e"])
async def test_an_id_that_nobody_knows_is_told_harmless(journal: CtMcp, store: SqliteStore, named: str) -> None:
    await an_order(store)
    told = journal("why", named)
    assert told.returncode == 1
    assert "knows nothing by the id" in told.stdout
    assert "\u202e" not in told.stdout


async def test_a_whole_journal_is_whole_and_a_changed_one_is_broken_where_it_was_changed(
    journal: CtMcp, store: SqliteStore, folder: Path
) -> None:
    await an_order(store)
    whole = journal("verify")
    assert whole.returncode == 0
    assert "Whole: 5 entries" in whole.stdout
    assert (await store.verify()).last_hash in whole.stdout
    await store.close()
    file = sqlite3.connect(folder / FILE_NAME)
    file.execute("DROP TRIGGER journal_keeps_its_words")
    file.execute("UPDATE journal SET summary = 'SELL 1' WHERE sequence = 3")
    file.commit()
    file.close()
    broken = journal("verify")
    assert broken.returncode == 1
    assert "Broken at entry 3" in broken.stdout


async def test_an_export_holds_everything_and_no_formula(journal: CtMcp, store: SqliteStore) -> None:
    await an_order(store)
    rows = list(csv.DictReader(io.StringIO(journal("export").stdout)))
    assert [row["kind"] for row in rows] == ["proposed", "approved", "intent", "accepted", "answered"]
    assert rows[0]["assistants_words"].startswith("'=HYPERLINK")
    assert rows[-1]["hash"] == (await store.verify()).last_hash
    lines = [json.loads(line) for line in journal("export", "--format", "jsonl").stdout.splitlines()]
    assert lines[0]["assistants_words"] == HOSTILE
    assert lines[-1]["detail"]["status"] == "filled"
    assert [line["hash"] for line in lines] == [row["hash"] for row in rows]
    assert journal("export", "--kind", "denied").stdout.count("\n") == 1, "the names of the columns alone"


FORMULA = re.compile(r"""(?:^|[;\t\r\n])[\s"]*[=+@-]""")
FORMULAS = (
    "=1+1",
    "momentum;=cmd|' /C calc'!A0;ok",
    "up\t+1",
    "first\n-1",
    "first\r@SUM(1)",
    'a;"=1+1',
    "a; =1+1",
    ";;=1",
    "a;=1;+2\t-3",
    "\t=1",
)
PLAIN = "BUY 1 at 6400.25 - a = b; c+d@e"


async def test_no_cell_of_an_export_begins_a_formula_whatever_separates_cells(
    journal: CtMcp, store: SqliteStore, folder: Path
) -> None:
    for words in (*FORMULAS, PLAIN):
        await store.append(NewEntry(EntryKind.ASKED, "asked", account=words, reason=words), LONG_AGO)
    file = folder / "journal.csv"
    assert journal("export", "--output", str(file)).returncode == 0
    with file.open(encoding="utf-8-sig", newline="") as opened:
        rows = list(csv.DictReader(opened))
    for words, row in zip((*FORMULAS, PLAIN), rows, strict=True):
        assert not FORMULA.search(row["assistants_words"])
        assert not FORMULA.search(row["account"])
        assert row["assistants_words"].replace("'", "") == words.replace("'", ""), "nothing else is changed"
    assert rows[-1]["assistants_words"] == PLAIN


async def test_an_export_overwrites_nothing_unless_told_to(journal: CtMcp, store: SqliteStore, tmp_path: Path) -> None:
    await an_order(store)
    file = tmp_path / "journal.csv"
    file.write_text("mine", encoding="utf-8")
    refused = journal("export", "--output", str(file))
    assert refused.returncode == 1
    assert "--force" in refused.stderr
    assert file.read_text(encoding="utf-8") == "mine"
    assert journal("export", "--output", str(file), "--force").returncode == 0
    assert file.read_bytes().startswith(b"\xef\xbb\xbfsequence,")
    assert "cannot be written" in journal("export", "--output", str(tmp_path / "no" / "where")).stderr


@pytest.mark.parametrize("outcome", ["filled", "never arrived", "cancelled"])
async def test_the_person_settles_what_nobody_could_find_out(
    at_a_terminal: AtATerminal, store: SqliteStore, folder: Path, outcome: str
) -> None:
    await an_order(store, answered=False)
    terminal = at_a_terminal("journal", "settle", "t-1", "--state-dir", str(folder))
    terminal.until("About to be sent")
    terminal.until("Look in NinjaTrader first")
    terminal.until("> ")
    assert len(await store.unsettled()) == 1
    terminal.types(f" {outcome.upper()} ")
    terminal.until(f"Settled: {outcome}.")
    assert terminal.ends() == 0
    assert await store.unsettled() == ()
    (entry,) = await store.entries(1)
    assert (entry.kind, entry.ticket_id, entry.detail["by"]) == (EntryKind.SETTLED, "t-1", "the person")
    assert str(entry.detail["what"]).endswith(outcome)
    assert (await store.verify()).ok


@pytest.mark.parametrize("typed", ["", "yes", "fill"])
async def test_any_other_word_settles_nothing(
    at_a_terminal: AtATerminal, store: SqliteStore, folder: Path, typed: str
) -> None:
    await an_order(store, answered=False)
    terminal = at_a_terminal("journal", "settle", "t-1", "--state-dir", str(folder))
    terminal.until("> ")
    terminal.types(typed)
    terminal.until("Left as it was")
    assert terminal.ends() == 1
    assert len(await store.unsettled()) == 1


async def test_where_a_pin_is_set_settling_asks_for_it(
    at_a_terminal: AtATerminal, store: SqliteStore, folder: Path
) -> None:
    await an_order(store, answered=False)
    await set_pin(store, PIN, LONG_AGO)
    terminal = at_a_terminal("journal", "settle", "t-1", "--state-dir", str(folder))
    terminal.until("> ")
    terminal.types("filled")
    terminal.until("PIN: ")
    terminal.types("0000")
    terminal.until("Left as it was")
    assert terminal.ends() == 1
    assert len(await store.unsettled()) == 1


async def test_what_may_be_under_way_still_is_not_settled(
    at_a_terminal: AtATerminal, store: SqliteStore, folder: Path
) -> None:
    await an_order(store, answered=False, at=datetime.now(UTC) + timedelta(minutes=10))
    terminal = at_a_terminal("journal", "settle", "t-1", "--state-dir", str(folder))
    terminal.until("may be under way still")
    assert terminal.ends() == 1


async def test_what_is_not_outstanding_need_not_be_settled(
    at_a_terminal: AtATerminal, store: SqliteStore, folder: Path
) -> None:
    await an_order(store)
    await an_order(store, "t-2", answered=False)
    terminal = at_a_terminal("journal", "settle", "t-1", "--state-dir", str(folder))
    terminal.until("Nothing of unknown outcome has the ticket id t-1.")
    terminal.until("t-2")
    assert terminal.ends() == 1


async def test_what_only_a_store_out_of_reach_can_know_of_is_not_told_as_nothing(tmp_path: Path) -> None:
    faraway, out = Faraway(tmp_path / "shared.sqlite3"), io.StringIO()
    store = SqlStore(ExitsAlone(faraway, tmp_path / "state", "", lambda: LONG_AGO))
    faraway.is_out = True
    with pytest.raises(TicketOutOfReach, match="what became of ticket t-1 is not known"):
        await settle(store, Screen(out), "t-1")
    await store.close()
    assert "unknown outcome" not in out.getvalue()


async def test_a_pipe_settles_nothing(journal: CtMcp, store: SqliteStore) -> None:
    await an_order(store, answered=False)
    ended = journal("settle", "t-1", given="filled\n")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "needs a terminal" in ended.stderr
    assert len(await store.unsettled()) == 1


async def test_at_a_terminal_colours_can_be_switched_off(
    at_a_terminal: AtATerminal, store: SqliteStore, folder: Path
) -> None:
    await an_order(store)
    coloured = at_a_terminal("journal", "--state-dir", str(folder))
    assert coloured.ends() == 0
    plain = at_a_terminal("journal", "--state-dir", str(folder), NO_COLOR="1")
    assert plain.ends() == 0
    assert "\x1b[" in coloured.seen
    assert "\x1b[" not in plain.seen


async def test_an_empty_journal_names_the_one_that_a_demo_keeps(journal: CtMcp, folder: Path) -> None:
    demo = SqliteStore(folder / "demo")
    await an_order(demo, at=datetime.now(UTC))
    await demo.close()
    told = journal()
    assert "There is no journal" in told.stderr
    assert "A demo server keeps a journal of its own: ct-mcp journal --demo --state-dir" in told.stderr


async def test_an_id_that_is_not_there_may_be_in_the_demo_s(journal: CtMcp, store: SqliteStore, folder: Path) -> None:
    await an_order(store)
    demo = SqliteStore(folder / "demo")
    await an_order(demo, "t-2", at=datetime.now(UTC))
    await demo.close()
    assert "of its own" in journal("why", "t-2").stderr
    assert "of its own" not in journal("why", "t-1").stderr
