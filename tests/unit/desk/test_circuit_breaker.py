"""When trading halts by itself: what counts, for how long, and that resuming begins afresh."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.desk.circuit_breaker import LIMITS, SLIP, Suspicion, reason_to_halt
from ct_mcp.desk.desk import Desk
from ct_mcp.desk.journal_writer import JournalWriter, Step
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.polling import Pause
from ct_mcp.domain.approval import Halt, Ticket
from ct_mcp.domain.commands import Flatten
from ct_mcp.domain.lease import NOBODY, Holder
from ct_mcp.guard.denial import DenialCode
from ct_mcp.guard.policy import Limits, Policy
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.store.journal import Entry, EntryKind
from ct_mcp.store.sqlite import SqliteStore
from tests.factories import ticket as a_ticket
from tests.unit.desk.conftest import Buys, Does, Reviewed

NOW = datetime(2026, 9, 9, 14, 30, tzinfo=UTC)
TOO_MANY, STALE = DenialCode.QUANTITY_EXCEEDS_MAXIMUM, DenialCode.QUOTE_STALE
DENIED, DECLINED, RESUMED = EntryKind.DENIED, EntryKind.DECLINED, EntryKind.RESUMED


def entry(kind: EntryKind, seconds_ago: float, ticket_id: str | None = None, **detail: object) -> Entry:
    """What was written so long ago."""
    at = NOW - timedelta(seconds=seconds_ago)
    return Entry(1, at, kind, "BUY 1 MES", "Sim101", ticket_id, None, None, False, "", detail, "", "")


def denied(*seconds_ago: float) -> list[Entry]:
    """Denials, newest first."""
    return [entry(DENIED, each, denials=["in whatever words"], codes=[TOO_MANY, STALE]) for each in seconds_ago]


def declined(*seconds_ago: float) -> list[Entry]:
    """Proposals that were declined, newest first, each of its own."""
    return [entry(DECLINED, each, f"t-{each}") for each in seconds_ago]


def expired(*seconds_ago: float) -> list[Ticket]:
    """Proposals that nobody answered, and when they expired."""
    times = [NOW - timedelta(seconds=each) for each in seconds_ago]
    return [a_ticket(ticket_id=f"e-{at}", created_at=at - timedelta(seconds=90), expires_at=at) for at in times]


WRONG = entry(EntryKind.SUSPICIOUS, 1, "t-1", what="in whatever words", suspicion=Suspicion.WRONG_TEXT)
TWICE = entry(EntryKind.SUSPICIOUS, 1, "t-9", what="in whatever words", suspicion=Suspicion.LINK_USED_TWICE)
SAID = entry(EntryKind.SUSPICIOUS, 1, "t-9", what="accepted without the right text")
IN_A_FORM = {"by": "form", "suspicion": Suspicion.WRONG_TEXT, SLIP: True}
SLIPS = (
    "PRICE_OFF_TICK", "LIMIT_PRICE_SUPERFLUOUS", "NAME_INVALID", "QUOTE_STALE", "SESSION_CLOSED", "PRICE_OUTSIDE_BAND",
    "STOP_LOSS_TOO_NEAR", "EXIT_ON_ITS_WAY", "DUPLICATE_WITHIN_WINDOW", "CHANGED_SINCE_ASKED", "QUANTITY_INVALID",
)  # fmt: skip
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
    "something else suspicious": ([*declined(0), TWICE], ""),
    "a wrong text by its words alone": ([*declined(0), SAID], ""),
    "two of each kind but one": ([*denied(0, 1), *declined(2)], ""),
    "three, resumed since": ([entry(RESUMED, 0), *denied(1, 2, 3)], ""),
    "one since it was resumed": ([*denied(0), entry(RESUMED, 1), *denied(2, 3, 4)], ""),
    "three since it was resumed": ([*denied(0, 1, 2), entry(RESUMED, 3), *denied(4)], "3 denials within 2 s"),
    "a wrong text in a form, twice": (
        [entry(kind, 1, name, **IN_A_FORM) for name in ("t-1", "t-2") for kind in (DECLINED, EntryKind.SUSPICIOUS)],
        "",
    ),
    "by a clock that was set back": (denied(-3600, -3601, -3602), "3 denials within 0 s"),
}


@pytest.mark.parametrize(("entries", "why"), HALTS.values(), ids=HALTS.keys())
def test_what_halts_trading(entries: Sequence[Entry], why: str) -> None:
    found = reason_to_halt(entries, (), NOW)
    assert found.startswith(why)
    assert bool(found) is bool(why)


@pytest.mark.parametrize("code", SLIPS)
def test_a_slip_halts_nothing_however_often(code: str) -> None:
    slips = [entry(DENIED, each, denials=["in whatever words"], codes=[code]) for each in range(5)]
    assert not reason_to_halt([*slips, *denied(6, 7)], (), NOW)
    assert reason_to_halt([*slips, *denied(6, 7, 8)], (), NOW)


@pytest.mark.parametrize("code", sorted(LIMITS))
def test_whoever_feels_for_a_limit_is_halted_a_slip_beside_it_or_not(code: str) -> None:
    felt = [entry(DENIED, each, denials=["in whatever words"], codes=["PRICE_OFF_TICK", code]) for each in range(3)]
    assert reason_to_halt(felt, (), NOW).endswith(f": {code}")


def test_the_reason_names_each_limit_once() -> None:
    other = entry(DENIED, 3, denials=["in whatever words"], codes=["QUOTE_STALE", "RISK_EXCEEDS_MAXIMUM"])
    found = reason_to_halt([*denied(0, 1), other], (), NOW)
    assert found.endswith(": QUANTITY_EXCEEDS_MAXIMUM, RISK_EXCEEDS_MAXIMUM")


def test_what_was_left_unanswered_counts_like_a_no() -> None:
    assert not reason_to_halt([], expired(5), NOW)
    assert reason_to_halt([], expired(5, 300), NOW).startswith("2 proposals declined or left unanswered within 300 s")
    assert reason_to_halt(declined(100), expired(5), NOW).startswith("2 proposals declined or left unanswered")
    assert not reason_to_halt([entry(RESUMED, 6), *declined(100)], expired(5, 300), NOW), "proposed before that"


@pytest.mark.parametrize("detail", [{}, {"denials": ["RISK_EXCEEDS_MAXIMUM: risk=9"]}, {"codes": []}, {"codes": "x"}])
def test_a_code_is_not_taken_out_of_what_was_said(detail: dict[str, object]) -> None:
    entries = [replace(entry(DENIED, seconds), detail=detail) for seconds in (0, 1, 2)]
    assert reason_to_halt(entries, (), NOW) == ""


async def test_the_third_denial_halts_and_tells_the_assistant_who_lifts_it(
    desk: Desk, buy: Buys, store: SqliteStore, clock: ManualClock
) -> None:
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


async def test_while_halted_nothing_opens_and_everything_closes(
    desk: Desk, does: Does, long_two: Outcome, buy: Buys, store: SqliteStore
) -> None:
    for quantity in (97, 98, 99):
        await desk.propose(buy(quantity))
    assert "TRADING_HALTED" in " ".join((await does(buy(1))).reasons)
    assert (await does(Flatten("Sim101", None))).status is Status.FLAT


async def test_resuming_begins_afresh(desk: Desk, buy: Buys, store: SqliteStore, clock: ManualClock) -> None:
    for quantity in (97, 98, 99):
        await desk.propose(buy(quantity))
    await store.clear_halt("the person", clock())
    for quantity in (96, 95):
        await desk.propose(buy(quantity))
        assert await store.halt() is None
    await desk.propose(buy(94))
    assert await store.halt() is not None


async def test_looking_at_what_would_be_denied_halts_nothing(desk: Desk, buy: Buys, store: SqliteStore) -> None:
    for quantity in (96, 97, 98, 99):
        assert not (await desk.preview(buy(quantity))).passes
    assert await store.halt() is None


@pytest.mark.parametrize("how", ["declined", "a wrong text"])
async def test_the_second_no_of_the_person_halts(desk: Desk, buy: Buys, store: SqliteStore, how: str) -> None:
    for quantity in (1, 2):
        assert await store.halt() is None
        ticket = await desk.propose(buy(quantity))
        assert isinstance(ticket, Ticket)
        if how == "declined":
            await desk.decisions.decline(ticket, "form")
        else:
            await desk.decisions.take(ticket, "y", "form", page_was_open=True)
    halt = await store.halt()
    assert halt is not None
    assert halt.reason.startswith("2 proposals declined within")
    assert "BUY 2 MES" in halt.reason


async def test_a_wrong_text_in_a_form_alone_ends_the_ticket_and_halts_nothing(
    desk: Desk, buy: Buys, store: SqliteStore
) -> None:
    for quantity in (1, 2, 3):
        ticket = await desk.propose(buy(quantity))
        assert isinstance(ticket, Ticket)
        assert not await desk.decisions.take(ticket, "", "form")
    assert await store.halt() is None
    assert [each.kind for each in await store.entries(20)].count(DECLINED) == 3


async def test_what_expires_unanswered_halts_at_the_next_proposal(
    desk: Desk, does: Does, buy: Buys, store: SqliteStore, clock: ManualClock
) -> None:
    for quantity in (1, 2):
        assert isinstance(await desk.propose(buy(quantity)), Ticket)
        clock.advance(90)
    told = await desk.propose(buy(3))
    assert isinstance(told, Outcome)
    assert "TRADING_HALTED" in " ".join(told.reasons)
    assert "2 proposals declined or left unanswered" in " ".join(told.reasons)
    assert (await does(Flatten("Sim101", None))).status is Status.FLAT


async def test_what_was_answered_or_asked_nobody_may_expire(
    desk: Desk, does: Does, buy: Buys, store: SqliteStore, clock: ManualClock
) -> None:
    for quantity in (1, 2):
        approved = await desk.propose(buy(quantity))
        assert isinstance(approved, Ticket)
        await desk.decisions.approve(approved, "terminal")
    assert isinstance(await desk.propose(Flatten("Sim101", None)), Ticket)
    clock.advance(90)
    assert isinstance(await desk.propose(buy(3)), Ticket)
    assert await store.halt() is None


async def test_a_halt_that_stands_keeps_its_reason(
    desk: Desk, buy: Buys, store: SqliteStore, clock: ManualClock
) -> None:
    lunch = Halt("the person", clock(), "lunch")
    await store.set_halt(lunch)
    for quantity in (96, 97, 98, 99):
        told = await desk.propose(buy(quantity))
        assert isinstance(told, Outcome)
    assert await store.halt() == lunch
    assert [each.kind for each in await store.entries(9)].count(EntryKind.HALTED) == 1


async def test_denials_of_several_processes_count_together(
    desk: Desk, buy: Buys, crosstrade: CrossTrade, tmp_path: Path, clock: ManualClock, pause: Pause
) -> None:
    second_store = SqliteStore(tmp_path / "state")
    second = Desk(crosstrade, second_store, desk.policy, clock=clock, pause=pause)
    for one, quantity in ((desk, 97), (second, 98), (desk, 99)):
        await one.propose(buy(quantity))
    assert await second_store.halt() is not None
    await second_store.close()


@pytest.mark.parametrize(
    ("holder", "halts"),
    [(None, True), (NOBODY, False), (Holder("a watch", 1), False)],
    ids=["proposed", "the exits of an entry", "a watch"],
)
async def test_what_ct_mcp_tries_by_itself_under_a_yes_of_before_feels_for_no_limit(
    *, reviewed: Reviewed, store: SqliteStore, clock: ManualClock, buy: Buys, holder: Holder | None, halts: bool
) -> None:
    one_at_most = Policy(limits=Limits(max_order_contracts=1))
    journal, too_many = JournalWriter(store, clock), reviewed(buy(2), policy=one_at_most)
    assert TOO_MANY in [each.code for each in too_many.denials]
    step = Step(a_ticket(commands=(buy(2),)), holder=holder)
    for _ in range(3):
        await journal.denied([too_many], "", step)
    assert ((await store.recall("Sim101", "", clock())).halt is not None) is halts
