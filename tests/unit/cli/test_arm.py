"""``ct-mcp arm`` and ``ct-mcp disarm``: only a person at a terminal, who types the name of the account again."""

import subprocess
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ct_mcp.cli.arm import limits_of, rules_of
from ct_mcp.config.team_policy import parse_team_policy
from ct_mcp.desk.pin import set_pin
from ct_mcp.domain.account import AccountKind
from ct_mcp.domain.approval import Halt
from ct_mcp.guard.policy import Policy
from ct_mcp.guard.team_policy import narrowed
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.store.sqlite import SqliteStore
from tests.factories import account

CtMcp = Callable[..., subprocess.CompletedProcess[str]]
AtATerminal = Callable[..., Any]

LIVE = "APEX-482910"
PIN = "pin-4711"
BEFORE = datetime(2026, 1, 1, tzinfo=UTC)
FAR_AWAY = datetime(2999, 1, 1, tzinfo=UTC)
SETTINGS = f"""
mode = "live"
[approval]
live = "page"
[accounts."{LIVE}".limits]
max_position_contracts = 3
"""


@pytest.fixture
def settings(tmp_path: Path) -> Callable[[str], Path]:
    """Write a file of settings."""

    def written(text: str) -> Path:
        file = tmp_path / "settings.toml"
        file.write_text(text, encoding="utf-8")
        return file

    return written


@pytest.mark.parametrize("spelled", [LIVE, LIVE.lower()])
def test_the_rules_of_its_firm_are_shown_before_it_is_armed_however_the_settings_spell_it(
    at_a_terminal: AtATerminal, tmp_path: Path, settings: Callable[[str], Path], spelled: str
) -> None:
    text = f'mode = "live"\n[accounts."{spelled}"]\nfirm = "topstep-50k"\nautomation = "advise"\n'
    places = ("--demo", "--state-dir", str(tmp_path / "state"), "--config", str(settings(text)))
    terminal = at_a_terminal("arm", LIVE, "--for", "8h", *places)
    terminal.until("topstep-50k")
    terminal.until("nothing is ever sent")
    terminal.until("> ")
    terminal.types("")
    assert terminal.ends() == 1


def test_what_the_team_narrows_is_shown_with_the_limits_of_the_settings() -> None:
    text = """
[limits]
max_order_contracts = 2
[instruments.ES.limits]
max_order_contracts = 1
[accounts."apex-482910"]
firm = "topstep-50k"
automation = "advise"
"""
    own = Policy(instruments={"ES": {"risk_ticks": 90}, "NQ": {"risk_ticks": 95}})
    policy, live = narrowed(own, parse_team_policy(text)), replace(account(), name=LIVE, kind=AccountKind.LIVE)
    shown = limits_of(live, policy)
    assert "max order contracts: 2" in shown
    assert "instrument ES: risk ticks: 90, max order contracts: 1" in shown
    assert "instrument NQ: risk ticks: 95" in shown
    assert "flat by: 15:10 America/Chicago" in shown
    rules = " ".join(rules_of(live, policy))
    assert "topstep-50k" in rules
    assert "by your team's policy nothing opens or adds in it" in rules
    assert "team" not in " ".join(rules_of(live, own))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """The store as the server sees it; the commands are started for the demo, which keeps it apart."""
    store = SqliteStore(tmp_path / "state" / "demo")
    yield store
    await store.close()


@pytest.fixture
def places(tmp_path: Path, settings: Callable[[str], Path]) -> tuple[str, ...]:
    """The flags that lead to the embedded simulator and to settings that name its live account."""
    return ("--demo", "--state-dir", str(tmp_path / "state"), "--config", str(settings(SETTINGS)))


async def until(store: SqliteStore) -> datetime | None:
    """Until when the live account is armed, if it is."""
    return (await store.armings(datetime.now(UTC))).get(LIVE)


async def test_the_person_sees_the_account_types_its_name_and_it_is_armed_for_so_long(
    at_a_terminal: AtATerminal, store: SqliteStore, places: tuple[str, ...]
) -> None:
    began = datetime.now(UTC)
    terminal = at_a_terminal("arm", LIVE, "--for", "8h", *places)
    terminal.until("kind             LIVE")
    terminal.until("net liquidation")
    terminal.until("approval: page")
    terminal.until("max position contracts: 3")
    terminal.until("type the name of the account again")
    terminal.until("> ")
    assert await until(store) is None
    terminal.types(LIVE)
    terminal.until("Armed until")
    assert "UTC)" in terminal.line()
    assert terminal.ends() == 0
    end = await until(store)
    assert end is not None
    assert timedelta(hours=8) <= end - began < timedelta(hours=8, minutes=2)
    (entry,) = await store.entries(1)
    assert (entry.kind, entry.account, entry.detail["by"]) == (EntryKind.ARMED, LIVE, "the person")


@pytest.mark.parametrize("typed", ["", "yes", LIVE.lower(), "APEX-482911", "resume"])
async def test_any_other_text_arms_nothing(
    at_a_terminal: AtATerminal, store: SqliteStore, places: tuple[str, ...], typed: str
) -> None:
    terminal = at_a_terminal("arm", LIVE, "--for", "8h", *places)
    terminal.until("> ")
    terminal.types(typed)
    terminal.until("Not armed.")
    assert terminal.ends() == 1
    assert await until(store) is None


async def test_with_a_pin_the_name_alone_arms_nothing_and_the_pin_is_never_shown(
    at_a_terminal: AtATerminal, store: SqliteStore, places: tuple[str, ...]
) -> None:
    await set_pin(store, PIN, BEFORE)
    for typed, answered, code in (("1234", "That is not the PIN.", 1), (PIN, "Armed until", 0)):
        terminal = at_a_terminal("arm", LIVE, "--for", "30m", *places)
        terminal.until("> ")
        terminal.types(LIVE)
        terminal.until("PIN: ")
        assert await until(store) is None
        terminal.types(typed)
        terminal.until(answered)
        assert terminal.ends() == code
        assert typed not in terminal.seen
    assert await until(store) is not None


async def test_an_account_whose_orders_ask_for_a_pin_is_not_armed_before_one_is_set(
    at_a_terminal: AtATerminal, store: SqliteStore, places: tuple[str, ...], settings: Callable[[str], Path]
) -> None:
    settings(SETTINGS.replace('live = "page"', 'live = "page_pin"'))
    terminal = at_a_terminal("arm", LIVE, "--for", "8h", *places)
    terminal.until("> ")
    terminal.types(LIVE)
    terminal.until("set one with ct-mcp pin")
    assert terminal.ends() == 1
    assert await until(store) is None


async def test_what_stands_in_the_way_is_told_before_anything_is_typed(
    at_a_terminal: AtATerminal, store: SqliteStore, places: tuple[str, ...]
) -> None:
    await store.set_halt(Halt("guard", BEFORE, "3 denials within 60 s"))
    await store.arm(LIVE, FAR_AWAY, "the person", BEFORE)
    terminal = at_a_terminal("arm", LIVE, "--for", "1h", *places)
    terminal.until("It is armed already, until")
    terminal.until("Trading is halted by guard")
    terminal.until("> ")
    terminal.types("")
    assert terminal.ends() == 1
    assert await until(store) == FAR_AWAY


@pytest.mark.parametrize("span", ["25h", "2d", "0h", "8", "-1h", "eight", "", "1e9h", "99999h"])
def test_a_time_that_is_none_or_too_long_is_refused(
    at_a_terminal: AtATerminal, places: tuple[str, ...], span: str
) -> None:
    terminal = at_a_terminal("arm", LIVE, f"--for={span}", *places)
    terminal.until("expected a time such as 30m or 8h, and 24h at most")
    assert terminal.ends() == 2


NOT_TO_BE_ARMED = {
    "sim mode": ('mode = "sim"\n', LIVE, 'write mode = "live" into', 2),
    "read only": ('mode = "read_only"\n', LIVE, "the mode is read_only", 2),
    "not named": (SETTINGS, "Sim101", '[accounts."Sim101"]', 2),
    "not there": (SETTINGS.replace(LIVE, "GONE-1"), "GONE-1", "the service has no account GONE-1", 1),
    "another case": (SETTINGS.replace(LIVE, LIVE.lower()), LIVE.lower(), "it has: Sim101, APEX-482910", 1),
}


@pytest.mark.parametrize(("text", "account", "said", "code"), NOT_TO_BE_ARMED.values(), ids=NOT_TO_BE_ARMED.keys())
async def test_what_must_change_first_is_said(
    at_a_terminal: AtATerminal,
    store: SqliteStore,
    places: tuple[str, ...],
    settings: Callable[[str], Path],
    text: str,
    account: str,
    said: str,
    code: int,
) -> None:
    settings(text)
    terminal = at_a_terminal("arm", account, "--for", "8h", *places)
    assert terminal.ends() == code
    assert said in " ".join(terminal.seen.split())
    assert not await store.armings(BEFORE)


@pytest.mark.parametrize("command", [("arm", LIVE, "--for", "8h"), ("disarm", LIVE), ("disarm", "--all")])
@pytest.mark.parametrize("given", ["", f"{LIVE}\n"])
async def test_a_pipe_arms_and_disarms_nothing(
    ct_mcp: CtMcp, store: SqliteStore, places: tuple[str, ...], command: tuple[str, ...], given: str
) -> None:
    await store.arm("OTHER-1", FAR_AWAY, "the person", BEFORE)
    ended = ct_mcp(*command, *places, given=given)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert f"ct-mcp {command[0]} needs a terminal" in ended.stderr
    assert await store.armings(BEFORE) == {"OTHER-1": FAR_AWAY}


async def test_disarming_ends_one_and_tells_of_the_others(
    at_a_terminal: AtATerminal, store: SqliteStore, places: tuple[str, ...]
) -> None:
    for name in (LIVE, "OTHER-1"):
        await store.arm(name, FAR_AWAY, "the person", BEFORE)
    terminal = at_a_terminal("disarm", LIVE, *places)
    terminal.until(f"{LIVE} is disarmed")
    terminal.until("OTHER-1 until")
    assert terminal.ends() == 0
    assert await store.armings(BEFORE) == {"OTHER-1": FAR_AWAY}


async def test_disarming_finds_an_account_in_whatever_case_it_is_typed(
    at_a_terminal: AtATerminal, store: SqliteStore, places: tuple[str, ...]
) -> None:
    await store.arm(LIVE, FAR_AWAY, "the person", BEFORE)
    terminal = at_a_terminal("disarm", LIVE.lower(), *places)
    terminal.until(f"{LIVE} is disarmed")
    assert terminal.ends() == 0
    assert await store.armings(BEFORE) == {}


async def test_disarming_all_ends_all_and_then_says_that_there_is_none(
    at_a_terminal: AtATerminal, store: SqliteStore, places: tuple[str, ...]
) -> None:
    for name in (LIVE, "OTHER-1"):
        await store.arm(name, FAR_AWAY, "the person", BEFORE)
    assert at_a_terminal("disarm", "--all", *places).ends() == 0
    assert await store.armings(BEFORE) == {}
    again = at_a_terminal("disarm", "--all", *places)
    again.until("No account is armed.")
    assert again.ends() == 0


def test_an_account_that_is_not_armed_is_said_to_be_none(at_a_terminal: AtATerminal, places: tuple[str, ...]) -> None:
    terminal = at_a_terminal("disarm", "Nobody", *places)
    terminal.until("Nobody was not armed.")
    assert terminal.ends() == 0


async def test_disarming_names_what_stays_armed_in_the_other_folder(
    at_a_terminal: AtATerminal, store: SqliteStore, tmp_path: Path
) -> None:
    await store.arm(LIVE, FAR_AWAY, "the person", BEFORE)
    terminal = at_a_terminal("disarm", "--all", "--state-dir", str(tmp_path / "state"))
    terminal.until("No account is armed.")
    terminal.until(f"A demo server has armed: {LIVE}: ct-mcp disarm --demo")
    assert terminal.ends() == 0
    assert await store.armings(BEFORE) == {LIVE: FAR_AWAY}


@pytest.mark.parametrize("lately", [True, False])
async def test_arming_with_the_settings_of_the_other_server_says_whose_they_are(
    at_a_terminal: AtATerminal, store: SqliteStore, tmp_path: Path, settings: Callable[[str], Path], lately: bool
) -> None:
    at = datetime.now(UTC) if lately else BEFORE
    await store.append(NewEntry(EntryKind.PROPOSED, "SIM  Sim101  BUY 1 MES", "Sim101"), at)
    here = ("--state-dir", str(tmp_path / "state"), "--config", str(settings('mode = "sim"\n')))
    terminal = at_a_terminal("arm", LIVE, "--for", "8h", *here)
    assert terminal.ends() == 2
    assert ("A demo server has other settings" in " ".join(terminal.seen.split())) is lately
