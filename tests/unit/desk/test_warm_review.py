"""A review that is kept fresh beside an open question: what it saves, and whatever must end it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.crosstrade.rate_limit import Rank
from ct_mcp.desk.desk import Desk
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.warm_review import Passing, WarmReviews
from ct_mcp.domain.approval import Approval, Halt, Ticket, TicketState
from ct_mcp.domain.commands import ClosePosition, Command, Flatten, ReversePosition
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import trading_day
from ct_mcp.errors import RateLimited, TicketSpent
from ct_mcp.guard.policy import AccountPolicy, Limits, Mode, Policy
from ct_mcp.simulator.accounts import LIVE as LIVE_ACCOUNT
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.simulator import Simulator
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.store.sqlite import SqliteStore
from tests.unit.desk.conftest import Buys, Does


@pytest.fixture
def policy() -> Policy:
    return Policy(limits=Limits(max_position_contracts=3, duplicate_window_seconds=0.0), exits_simulated=Approval.FORM)


@dataclass
class Stream:
    """What is heard of accounts: a mark that another word of one would change."""

    mark: int | None = 1

    def silence(self, _: str) -> int | None:
        return self.mark


@dataclass
class Ticker:
    """Pauses that last until a test lets the next reading begin, and the time that has passed meanwhile."""

    asleep: anyio.Event = field(default_factory=anyio.Event)
    awake: anyio.Event = field(default_factory=anyio.Event)
    seconds: float = 0.0
    waits: list[float] = field(default_factory=list)

    async def __call__(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.asleep.set()
        await self.awake.wait()
        self.awake = anyio.Event()

    async def reads(self) -> None:
        """Let it look once, up to its next pause."""
        with anyio.fail_after(60):
            await self.asleep.wait()
            self.asleep = anyio.Event()
            self.awake.set()
            await self.asleep.wait()

    def timer(self) -> float:
        return self.seconds


@pytest.fixture
def ticker() -> Ticker:
    return Ticker()


@pytest.fixture
def stream() -> Stream:
    return Stream()


@dataclass
class Wrong:
    """A clock that can be set."""

    true: ManualClock
    back: timedelta = timedelta(0)

    def __call__(self) -> datetime:
        return self.true() - self.back


@pytest.fixture
def set_clock(clock: ManualClock) -> Wrong:
    return Wrong(clock)


@pytest.fixture
def warm(
    crosstrade: CrossTrade,
    store: SqliteStore,
    policy: Policy,
    set_clock: Wrong,
    pause: Any,
    ticker: Ticker,
    stream: Stream,
) -> Desk:
    """A desk that listens to a stream, and keeps its reviews warm as a test says."""
    desk = Desk(crosstrade, store, policy, clock=set_clock, pause=pause)
    desk.warm = WarmReviews(desk.contexts, store, crosstrade, set_clock, Passing(ticker, ticker.timer))
    desk.warm.listen(stream)
    return desk


Asks = Callable[..., AbstractAsyncContextManager[Ticket]]


@pytest.fixture
def asks(warm: Desk, clock: ManualClock) -> Asks:
    """Propose a command, and keep it warm while the block runs."""

    @asynccontextmanager
    async def asked(command: Command) -> AsyncIterator[Ticket]:
        ticket = await warm.propose(command)
        assert isinstance(ticket, Ticket), ticket
        clock.advance(1)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(warm.warm.keep, ticket)
            yield ticket
            tasks.cancel_scope.cancel()

    return asked


@dataclass
class Says:
    """The person's yes: what came of it, and what was asked of the service before the order left."""

    desk: Desk
    sim: Simulator
    asked: list[str] = field(default_factory=list)

    async def yes(self, ticket: Ticket) -> Outcome:
        await self.desk.decisions.approve(ticket, "page")
        return await self.commits(ticket)

    async def commits(self, ticket: Ticket) -> Outcome:
        before = len(self.sim.requests)
        told = await self.desk.commit(ticket.ticket_id)
        names = [seen.rpc for seen in list(self.sim.requests)[before:]]
        self.asked = names[: names.index("PlaceOrder")] if "PlaceOrder" in names else names
        return told


@pytest.fixture
def says(warm: Desk, sim: Simulator) -> Says:
    return Says(warm, sim)


async def test_the_order_leaves_at_the_yes_with_no_request_before_it(
    asks: Asks, ticker: Ticker, says: Says, buy: Buys
) -> None:
    async with asks(buy(2)) as ticket:
        await ticker.reads()
        told = await says.yes(ticket)
    assert told.status is Status.FILLED
    assert says.asked == []


async def test_its_facts_are_all_of_after_the_question(
    asks: Asks, ticker: Ticker, sim: Simulator, clock: ManualClock, buy: Buys
) -> None:
    async with asks(buy(2)):
        before = len(sim.requests)
        clock.advance(2)
        await ticker.reads()
    asked = {seen.rpc for seen in list(sim.requests)[before:]}
    assert {"ListOrders", "ListPositions", "GetAccount", "GetPosition", "GetQuote"} <= asked
    assert "GetAccountSummary" not in asked, "which may be older than the question"


async def test_while_nothing_is_heard_figures_and_a_second_word_are_not_asked_for_every_second(
    asks: Asks, ticker: Ticker, sim: Simulator, clock: ManualClock, buy: Buys
) -> None:
    async with asks(buy(2)):
        await ticker.reads()
        for seconds, more in (
            (1, {"ListOrders", "ListPositions"}),
            (2.5, {"ListOrders", "ListPositions", "GetAccount"}),
        ):
            before = len(sim.requests)
            clock.advance(seconds)
            await ticker.reads()
            assert more <= {seen.rpc for seen in list(sim.requests)[before:]} <= {*more, "GetQuote", "GetPosition"}


async def heard(stream: Stream, **_: object) -> None:
    """Something was told of the account."""
    stream.mark = 2


async def unheard(stream: Stream, **_: object) -> None:
    """The stream broke off, or has a gap."""
    stream.mark = None


async def late(clock: ManualClock, **_: object) -> None:
    """The reading is more than a second old."""
    clock.advance(1.1)


async def late_by_any_clock(ticker: Ticker, **_: object) -> None:
    """More than a second has passed, whatever the clock says."""
    ticker.seconds += 1.1


async def set_back(set_clock: Wrong, **_: object) -> None:
    """The clock was set back since it was read."""
    set_clock.back = timedelta(seconds=0.5)


@pytest.mark.parametrize("happens", [heard, unheard, late, late_by_any_clock, set_back])
async def test_whatever_may_have_changed_it_the_account_is_read_after_the_yes(
    asks: Asks,
    ticker: Ticker,
    stream: Stream,
    clock: ManualClock,
    set_clock: Wrong,
    says: Says,
    buy: Buys,
    happens: Any,
) -> None:
    async with asks(buy(2)) as ticket:
        await ticker.reads()
        await happens(stream=stream, clock=clock, ticker=ticker, set_clock=set_clock)
        told = await says.yes(ticket)
    assert told.status is Status.FILLED
    assert {"ListOrders", "ListPositions"} <= set(says.asked)


async def test_a_reading_during_which_something_was_heard_does_not_count(
    asks: Asks,
    ticker: Ticker,
    stream: Stream,
    sim: Simulator,
    says: Says,
    buy: Buys,
    warm: Desk,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    review = warm.contexts.review

    async def interrupted(*given: Any, **more: Any) -> Any:
        told = await review(*given, **more)
        stream.mark = 2
        return told

    async with asks(buy(2)) as ticket:
        monkeypatch.setattr(warm.contexts, "review", interrupted)
        await ticker.reads()
        await says.yes(ticket)
    assert "ListPositions" in says.asked


async def test_a_yes_during_a_reading_waits_for_it_rather_than_to_begin_another(
    asks: Asks, ticker: Ticker, says: Says, buy: Buys, warm: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    review, gate, begun, told = warm.contexts.review, anyio.Event(), anyio.Event(), list[Outcome]()

    async def slowly(*given: Any, **more: Any) -> Any:
        read = await review(*given, **more)
        begun.set()
        await gate.wait()
        return read

    async def commits(ticket: Ticket) -> None:
        told.append(await says.yes(ticket))

    async with asks(buy(2)) as ticket, anyio.create_task_group() as tasks:
        monkeypatch.setattr(warm.contexts, "review", slowly)
        await ticker.asleep.wait()
        ticker.awake.set()
        await begun.wait()
        tasks.start_soon(commits, ticket)
        while (await warm.ticket(ticket.ticket_id)).state is not TicketState.SPENT:
            await anyio.lowlevel.checkpoint()
        gate.set()
    assert (told[0].status, says.asked) == (Status.FILLED, [])


# Who else may end it


@pytest.fixture
def intent(mes: Instrument) -> NewEntry:
    """What another process writes before it sends two contracts."""
    may_fill = [[mes.root, mes.year, mes.month, 2]]
    named = {"account": "Sim101", "ticket_id": "theirs", "own_id": "theirs"}
    return NewEntry(EntryKind.INTENT, "of another process", opens=True, detail={"may_fill": may_fill}, **named)


async def test_what_another_process_sends_meanwhile_counts(
    asks: Asks,
    ticker: Ticker,
    says: Says,
    buy: Buys,
    store: SqliteStore,
    clock: ManualClock,
    intent: NewEntry,
    sim: Simulator,
) -> None:
    async with asks(buy(2)) as ticket:
        await ticker.reads()
        await store.append(intent, clock())
        told = await says.yes(ticket)
    assert told.status is Status.DENIED
    assert sim.requests_of("PlaceOrder") == []


async def test_a_halt_after_the_reading_stops_it(
    asks: Asks, ticker: Ticker, says: Says, buy: Buys, store: SqliteStore, clock: ManualClock, sim: Simulator
) -> None:
    async with asks(buy(1)) as ticket:
        await ticker.reads()
        await store.set_halt(Halt("the person", clock(), "enough"))
        told = await says.yes(ticket)
    assert any("TRADING_HALTED" in reason for reason in told.reasons)
    assert sim.requests_of("PlaceOrder") == []


async def test_a_day_loss_that_is_noted_after_the_reading_stops_it(
    asks: Asks, ticker: Ticker, says: Says, buy: Buys, store: SqliteStore, clock: ManualClock, sim: Simulator
) -> None:
    async with asks(buy(1)) as ticket:
        await ticker.reads()
        await store.mark_day_loss("Sim101", trading_day(clock()), Decimal(-600), clock())
        told = await says.yes(ticket)
    assert any("DAY_LOSS" in reason for reason in told.reasons)
    assert sim.requests_of("PlaceOrder") == []


async def test_a_rule_about_time_is_applied_on_the_clock_of_the_yes(
    asks: Asks, ticker: Ticker, says: Says, buy: Buys, clock: ManualClock, sim: Simulator
) -> None:
    review_at_close = datetime(2026, 9, 9, 21, 0, tzinfo=UTC)
    sim.advance((review_at_close - clock()).total_seconds() - 2)
    async with asks(buy(1)) as ticket:
        clock.advance(0.5)
        await ticker.reads()
        clock.advance(0.8)
        told = await says.yes(ticket)
    assert any("SESSION" in reason for reason in told.reasons), told
    assert sim.requests_of("PlaceOrder") == []


async def test_what_would_do_something_else_by_now_is_denied_as_ever(
    asks: Asks, ticker: Ticker, says: Says, does: Does, buy: Buys, mes: Instrument, sim: Simulator
) -> None:
    assert (await does(buy(1))).status is Status.FILLED
    sim.advance(30)
    async with asks(ReversePosition("Sim101", mes)) as ticket:
        assert (await does(buy(1))).status is Status.FILLED
        sim.advance(5)
        await ticker.reads()
        told = await says.yes(ticket)
    assert any("CHANGED_SINCE_ASKED" in reason for reason in told.reasons), told
    assert sim.requests_of("Reverse") == []


@pytest.mark.parametrize("also", ["the same process", "another"])
async def test_a_warm_review_serves_one_yes_of_its_own_process(
    asks: Asks,
    ticker: Ticker,
    says: Says,
    buy: Buys,
    crosstrade: CrossTrade,
    store: SqliteStore,
    policy: Policy,
    clock: ManualClock,
    pause: Any,
    warm: Desk,
    also: str,
    sim: Simulator,
) -> None:
    other = warm if also == "the same process" else Desk(crosstrade, store, policy, clock=clock, pause=pause)
    async with asks(buy(2)) as ticket:
        await ticker.reads()
        await warm.decisions.approve(ticket, "page")
        told = await Says(other, sim).commits(ticket)
        assert told.status is Status.FILLED
        with pytest.raises(TicketSpent):
            await says.commits(ticket)
    assert len(sim.requests_of("PlaceOrder")) == 1


# Without a stream that speaks of the account


async def test_without_a_stream_the_review_after_the_yes_is_one_round_of_three(
    asks: Asks, ticker: Ticker, stream: Stream, says: Says, buy: Buys
) -> None:
    stream.mark = None
    async with asks(buy(2)) as ticket:
        await ticker.reads()
        told = await says.yes(ticket)
    assert told.status is Status.FILLED
    assert sorted(says.asked) == ["GetPosition", "ListOrders", "ListPositions"]


async def test_without_a_stream_nothing_is_read_that_only_its_silence_could_keep(
    asks: Asks, ticker: Ticker, stream: Stream, sim: Simulator, buy: Buys
) -> None:
    stream.mark = None
    async with asks(buy(2)):
        before = len(sim.requests)
        await ticker.reads()
    assert {seen.rpc for seen in list(sim.requests)[before:]} <= {"GetAccount", "GetQuote", "MarketInfo"}


# What it may cost


async def test_it_takes_nothing_of_the_last_requests(
    asks: Asks, ticker: Ticker, sim: Simulator, crosstrade: CrossTrade, buy: Buys
) -> None:
    async with asks(buy(2)):
        before, left = len(sim.requests), await crosstrade.allowance()
        while (await crosstrade.allowance()).requests_left > 5:
            await crosstrade.connection.budget.wait(crosstrade.connection.clock(), rank=Rank.USUAL)
        await ticker.reads()
        assert len(sim.requests) == before
        assert (
            await crosstrade.allowance()
        ).requests_left_for_exits >= left.requests_left_for_exits - left.requests_left


async def test_it_stops_where_the_service_has_refused_requests(
    asks: Asks, ticker: Ticker, sim: Simulator, crosstrade: CrossTrade, buy: Buys
) -> None:
    async with asks(buy(2)):
        sim.faults.arm(Fault.RATE_LIMITED, rpc="GetAccount")
        with pytest.raises(RateLimited):
            await crosstrade.account("Sim101")
        sim.faults.disarm()
        sim.advance(30)
        before = len(sim.requests)
        await ticker.reads()
        assert len(sim.requests) == before


@pytest.mark.parametrize("end", ["declined", "expired", "approved"])
async def test_it_ends_with_the_question(
    asks: Asks, ticker: Ticker, sim: Simulator, warm: Desk, buy: Buys, end: str
) -> None:
    async with asks(buy(2)) as ticket:
        await ticker.reads()
        before = len(sim.requests)
        if end == "expired":
            sim.advance(91)
        elif end == "declined":
            await warm.decisions.decline(ticket, "page")
        else:
            await warm.decisions.approve(ticket, "page")
        await ticker.reads()
        assert len(sim.requests) == before


async def test_a_reading_that_fails_is_none(asks: Asks, ticker: Ticker, sim: Simulator, says: Says, buy: Buys) -> None:
    async with asks(buy(2)) as ticket:
        sim.faults.arm(Fault.HTML_PAGE, rpc="ListPositions")
        await ticker.reads()
        sim.faults.disarm()
        told = await says.yes(ticket)
    assert told.status is Status.FILLED
    assert "ListPositions" in says.asked


def never_warm(mes: Instrument) -> list[Command]:
    """A whole exit, one of an account, and what a strategy does."""
    return [ClosePosition("Sim101", mes), Flatten("Sim101", None), ClosePosition("Sim101", mes, quantity=1)]


@pytest.mark.parametrize("which", range(3))
async def test_exits_are_not_kept_warm(
    warm: Desk, ticker: Ticker, long_two: Outcome, mes: Instrument, which: int
) -> None:
    ticket = await warm.propose(never_warm(mes)[which])
    assert isinstance(ticket, Ticket)
    assert ticket.approval is Approval.FORM
    await warm.warm.keep(ticket)
    assert ticker.waits == []


async def test_an_exit_that_was_asked_about_leaves_at_the_yes_with_no_request_before_it(
    warm: Desk, says: Says, sim: Simulator, long_two: Outcome, mes: Instrument
) -> None:
    await warm.resolver.accounts()
    ticket = await warm.propose(ClosePosition("Sim101", mes))
    assert isinstance(ticket, Ticket)
    await warm.decisions.approve(ticket, "page")
    before = len(sim.requests)
    told = await warm.commit(ticket.ticket_id)
    assert told.status is Status.FLAT
    assert sim.requests[before].rpc == "ClosePosition"


# A live account

LIVE = LIVE_ACCOUNT.name


@pytest.fixture
def armed_live(
    crosstrade: CrossTrade, store: SqliteStore, set_clock: Wrong, pause: Any, ticker: Ticker, stream: Stream
) -> Desk:
    """A desk for the live account, with nothing asked but a page."""
    policy = Policy(mode=Mode.LIVE, accounts={LIVE: AccountPolicy()})
    desk = Desk(crosstrade, store, policy, clock=set_clock, pause=pause)
    desk.warm = WarmReviews(desk.contexts, store, crosstrade, set_clock, Passing(ticker, ticker.timer))
    desk.warm.listen(stream)
    return desk


@pytest.mark.parametrize("ends", ["disarmed", "armed", "armed no longer"])
async def test_an_account_that_is_not_armed_any_more_gets_nothing(
    armed_live: Desk, ticker: Ticker, sim: Simulator, buy: Buys, store: SqliteStore, clock: ManualClock, ends: str
) -> None:
    left = 3.5 if ends == "armed no longer" else 600
    await store.arm(LIVE, clock() + timedelta(seconds=left), "the person", clock())
    ticket = await armed_live.propose(buy(1, account=LIVE))
    assert isinstance(ticket, Ticket), ticket
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(armed_live.warm.keep, ticket)
        clock.advance(3)
        await ticker.reads()
        if ends == "disarmed":
            await store.disarm(LIVE, "the person", clock())
        clock.advance(0.6)
        await armed_live.decisions.approve(ticket, "page")
        told = await armed_live.commit(ticket.ticket_id)
        tasks.cancel_scope.cancel()
    assert (told.status is Status.DENIED) is (ends != "armed"), told
    assert len(sim.requests_of("PlaceOrder")) == (ends == "armed")
