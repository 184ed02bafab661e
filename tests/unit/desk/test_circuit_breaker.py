"""When trading halts by itself: what counts, for how long, and that resuming begins afresh."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from ct_mcp.desk.desk import Desk
from ct_mcp.desk.halting import WRONG_TEXT, reason_to_halt
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.domain.action import Flatten
from ct_mcp.domain.ticket import Halt, Ticket
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.store.journal import Entry, EntryKind
from ct_mcp.store.sqlite import SqliteStore

NOW = datetime(2026, 9, 9, 14, 30, tzinfo=UTC)
DENIED, DECLINED, RESUMED = EntryKind.DENIED, EntryKind.DECLINED, EntryKind.RESUMED


def entry(kind: EntryKind, seconds_ago: float, ticket_id: str | None = None, **detail: object) -> Entry:
    """What was written so long ago."""
    at = NOW - timedelta(seconds=seconds_ago)
    return Entry(1, at, kind, "BUY 1 MES", "Sim101", ticket_id, None, None, False, "", detail, "", "")


def denied(*seconds_ago: float) -> list[Entry]:
    """Denials, newest first."""
    return [entry(DENIED, each, denials=["QUANTITY_EXCEEDS_MAXIMUM: quantity=9"]) for each in seconds_ago]


def declined(*seconds_ago: float) -> list[Entry]:
    """Proposals that were declined, newest first, each of its own."""
    return [entry(DECLINED, each, f"t-{each}") for each in seconds_ago]


WRONG = entry(EntryKind.SUSPICIOUS, 1, "t-1", what=WRONG_TEXT)
HALTS: dict[str, tuple[Sequence[Entry], str]] = {
    "nothing": ([], ""),
    "two denials": (denied(0, 1), ""),
    "three denials": (denied(0, 60, 300), "3 denials within 300 s"),
    "three in too long a time": (denied(0, 60, 301), ""),
    "the third of them old, two more new": (denied(0, 1, 400, 500), ""),
    "a declined one": (declined(0), ""),
    "two declined ones": (declined(0, 600), "2 proposals declined within 600 s"),
    "two in too long a time": (declined(0, 601), ""),
    "one declined twice": ([entry(DECLINED, 0, "t"), entry(DECLINED, 1, "t")], ""),
    "a wrong text and its no": ([entry(DECLINED, 0, "t-1"), WRONG], ""),
    "a wrong text and another no": ([*declined(0), WRONG], "2 proposals declined within 1 s"),
    "something else suspicious": ([*declined(0), entry(EntryKind.SUSPICIOUS, 1, "t-9", what="else")], ""),
    "two of each kind but one": ([*denied(0, 1), *declined(2)], ""),
    "three, resumed since": ([entry(RESUMED, 0), *denied(1, 2, 3)], ""),
    "one since it was resumed": ([*denied(0), entry(RESUMED, 1), *denied(2, 3, 4)], ""),
    "three since it was resumed": ([*denied(0, 1, 2), entry(RESUMED, 3), *denied(4)], "3 denials within 2 s"),
    "by a clock that was set back": (denied(-3600, -3601, -3602), "3 denials within 0 s"),
}


@pytest.mark.parametrize(("entries", "why"), HALTS.values(), ids=HALTS.keys())
def test_what_halts_trading(entries: Sequence[Entry], why: str) -> None:
    found = reason_to_halt(entries, NOW)
    assert found.startswith(why)
    assert bool(found) is bool(why)


def test_the_reason_names_each_code_once() -> None:
    other = entry(DENIED, 3, denials=["QUOTE_STALE: age=60 s"])
    assert reason_to_halt([*denied(0, 1), other], NOW).endswith(": QUANTITY_EXCEEDS_MAXIMUM, QUOTE_STALE")


async def test_the_third_denial_halts_and_tells_the_assistant_who_lifts_it(desk: Desk, buy, store, clock) -> None:
    told: list[Ticket | Outcome] = []
    for quantity in (97, 98, 99):
        told.append(await desk.propose(buy(quantity)))
        clock.advance(10)
    texts = [" ".join(outcome.reasons) for outcome in told if isinstance(outcome, Outcome)]
    assert ["TRADING_HALTED" in text for text in texts] == [False, False, True]
    assert "Closing, flattening and cancelling still work" in texts[2]
    assert "Only the person lifts it, with ct-mcp resume" in texts[2]
    halt = await store.halt()
    assert halt is not None
    assert (halt.by, halt.at) == ("guard", clock() - timedelta(seconds=10))
    assert halt.reason.startswith("3 denials within 20 s (3 within 5 min halt trading): QUANTITY_EXCEEDS_MAXIMUM")


async def test_while_halted_nothing_opens_and_everything_closes(desk: Desk, does, long_two, buy, store) -> None:
    for quantity in (97, 98, 99):
        await desk.propose(buy(quantity))
    assert "TRADING_HALTED" in " ".join((await does(buy(1))).reasons)
    assert (await does(Flatten("Sim101", None))).status is Status.FLAT


async def test_resuming_begins_afresh(desk: Desk, buy, store: SqliteStore, clock: ManualClock) -> None:
    for quantity in (97, 98, 99):
        await desk.propose(buy(quantity))
    await store.clear_halt("the person", clock())
    for quantity in (96, 95):
        await desk.propose(buy(quantity))
        assert await store.halt() is None
    await desk.propose(buy(94))
    assert await store.halt() is not None


async def test_looking_at_what_would_be_denied_halts_nothing(desk: Desk, buy, store: SqliteStore) -> None:
    for quantity in (96, 97, 98, 99):
        assert not (await desk.preview(buy(quantity))).review.passes
    assert await store.halt() is None


@pytest.mark.parametrize("how", ["declined", "a wrong text"])
async def test_the_second_no_of_the_person_halts(desk: Desk, buy, store: SqliteStore, how: str) -> None:
    for quantity in (1, 2):
        assert await store.halt() is None
        ticket = await desk.propose(buy(quantity))
        assert isinstance(ticket, Ticket)
        await (
            desk.decisions.decline(ticket, "form") if how == "declined" else desk.decisions.take(ticket, "y", "form")
        )
    halt = await store.halt()
    assert halt is not None
    assert halt.reason.startswith("2 proposals declined within")
    assert "BUY 2 MES" in halt.reason


async def test_proposals_that_only_lapse_halt_nothing(desk: Desk, buy, store: SqliteStore, clock: ManualClock) -> None:
    for quantity in (1, 2, 3, 4):
        ticket = await desk.propose(buy(quantity))
        assert isinstance(ticket, Ticket)
        clock.advance(90)
        assert not await desk.decisions.decline(ticket, "terminal"), "it has lapsed before"
    assert await store.halt() is None


async def test_a_halt_that_stands_keeps_its_reason(desk: Desk, buy, store: SqliteStore, clock: ManualClock) -> None:
    lunch = Halt("the person", clock(), "lunch")
    await store.set_halt(lunch)
    for quantity in (96, 97, 98, 99):
        told = await desk.propose(buy(quantity))
        assert isinstance(told, Outcome)
    assert await store.halt() == lunch
    assert [each.kind for each in await store.entries(9)].count(EntryKind.HALTED) == 1


async def test_denials_of_several_processes_count_together(desk: Desk, buy, crosstrade, tmp_path, clock, pause) -> None:
    second_store = SqliteStore(tmp_path / "state")
    second = Desk(crosstrade, second_store, desk.policy, clock=clock, pause=pause)
    for one, quantity in ((desk, 97), (second, 98), (desk, 99)):
        await one.propose(buy(quantity))
    assert await second_store.halt() is not None
    await second_store.close()
