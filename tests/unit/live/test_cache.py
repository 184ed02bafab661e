"""The live cache: what is known serves while nothing can have changed it, and not a moment longer."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import cast

import anyio
import pytest

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.crosstrade.stream.events import AccountChanged, Event, Gap, PnlUpdate, QuoteTick
from ct_mcp.crosstrade.stream.protocol import StreamProtocol
from ct_mcp.domain.commands import PlaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import OrderAction, OrderType, TimeInForce
from ct_mcp.errors import AddonOffline, CtMcpError, RateLimited
from ct_mcp.live.cache import (
    JOINED_WITHIN_SECONDS,
    MOST_INSTRUMENTS,
    NAME_HOLDS_SECONDS,
    SPOKE_WITHIN_SECONDS,
    STALE_SERVES_SECONDS,
    Freshness,
    LinkState,
    LiveCache,
)
from ct_mcp.live.reads import LiveReads
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.simulator import Simulator
from tests.factories import place_order

ES = Instrument("ES", 2026, 9)
FRESH = Freshness()


@dataclass
class Told:
    """A stream as the cache sees it."""

    is_sound: bool = True
    hears_accounts: bool = True
    spoke_at: datetime | None = None
    wanted: frozenset[Instrument] = frozenset()

    def want(self, instruments: frozenset[Instrument]) -> None:
        self.wanted = instruments

    def has_spoken_within(self, seconds: float, now: datetime) -> bool:
        return self.spoke_at is None or (now - self.spoke_at).total_seconds() <= seconds


@dataclass
class Asked:
    """A question that counts how often it had to be asked, and may be held up."""

    value: int = 0
    times: int = 0
    failure: CtMcpError | None = None
    gate: anyio.Event = field(default_factory=anyio.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    async def __call__(self, hear: Callable[[str], None]) -> int:
        self.times += 1
        value = self.value
        await self.gate.wait()
        if self.failure:
            raise self.failure
        hear("a warning")
        return value


@pytest.fixture
def stream() -> Told:
    return Told()


@pytest.fixture
def cache(clock: ManualClock, stream: Told) -> LiveCache:
    cache = LiveCache(clock, FRESH)
    cache.follow(cast(StreamProtocol, stream), lambda: (LinkState.OK, ""))
    return cache


async def test_a_second_question_is_served_by_the_first_answer_and_says_how_old_it_is(
    cache: LiveCache, clock: ManualClock
) -> None:
    asked = Asked(1)
    began = clock()
    first = await cache.read("positions", "Sim101", 10.0, asked)
    clock.advance(10)
    assert await cache.read("positions", "Sim101", 10.0, asked) is first
    assert first.began_at == began
    assert first.warnings == ("a warning",)
    assert asked.times == 1


async def test_an_answer_that_is_too_old_is_read_again(cache: LiveCache, clock: ManualClock) -> None:
    asked = Asked()
    await cache.read("positions", "Sim101", 10.0, asked)
    clock.advance(10.5)
    await cache.read("positions", "Sim101", 10.0, asked)
    assert asked.times == 2


async def test_that_there_is_nothing_is_never_known_without_reading(cache: LiveCache) -> None:
    times = list[int]()

    async def nothing(_: Callable[[str], None]) -> tuple[()]:
        times.append(1)
        return ()

    await cache.read("positions", "Sim101", 10.0, nothing)
    await cache.read("positions", "Sim101", 10.0, nothing)
    assert len(times) == 2


@pytest.mark.parametrize("event", [AccountChanged("SIM101"), AccountChanged(None), Gap("a gap")])
async def test_word_of_a_change_or_a_gap_ends_what_was_known(cache: LiveCache, event: Event) -> None:
    asked = Asked()
    await cache.read("positions", "Sim101", 10.0, asked)
    cache.hear(event)
    await cache.read("positions", "Sim101", 10.0, asked)
    assert asked.times == 2


async def test_word_of_another_account_ends_only_what_is_about_all_of_them(
    cache: LiveCache, clock: ManualClock
) -> None:
    one, of_all = Asked(), Asked()
    for event in (PnlUpdate("Sim102", None, None, clock()), AccountChanged("Sim102")):
        await cache.read("of one", "Sim101", 10.0, one)
        await cache.read("of all", None, 10.0, of_all)
        cache.hear(event)
    await cache.read("of one", "Sim101", 10.0, one)
    await cache.read("of all", None, 10.0, of_all)
    assert (one.times, of_all.times) == (1, 2)


async def test_profit_and_loss_and_quotes_end_nothing(cache: LiveCache, clock: ManualClock) -> None:
    asked = Asked()
    await cache.read("positions", "Sim101", 10.0, asked)
    cache.hear(PnlUpdate("Sim101", None, None, clock()))
    cache.hear(QuoteTick(ES, None, None, None, None, clock()))
    await cache.read("positions", "Sim101", 10.0, asked)
    assert asked.times == 1


@pytest.mark.parametrize("lacking", ["is_sound", "hears_accounts"])
async def test_nothing_serves_twice_while_the_stream_proves_nothing(
    cache: LiveCache, stream: Told, lacking: str
) -> None:
    setattr(stream, lacking, False)
    asked = Asked()
    await cache.read("positions", "Sim101", 10.0, asked)
    await cache.read("positions", "Sim101", 10.0, asked)
    assert asked.times == 2


async def test_nothing_serves_twice_without_a_stream(clock: ManualClock) -> None:
    cache, asked = LiveCache(clock), Asked()
    await cache.read("positions", "Sim101", 10.0, asked)
    await cache.read("positions", "Sim101", 10.0, asked)
    assert asked.times == 2


async def test_what_changed_while_it_was_read_is_read_again(cache: LiveCache) -> None:
    asked = Asked(1)

    async def with_news(hear: Callable[[str], None]) -> int:
        cache.hear(AccountChanged("Sim101"))
        return await asked(hear)

    await cache.read("positions", "Sim101", 10.0, with_news)
    asked.value = 2
    assert (await cache.read("positions", "Sim101", 10.0, asked)).value == 2


async def both(cache: LiveCache, asked: Asked, meanwhile: Callable[[], object] = lambda: None) -> list[int]:
    """Ask the same twice while the first is under way."""
    answers = list[int]()
    key, asked.gate = object(), anyio.Event()

    async def ask() -> None:
        answers.append((await cache.read(key, "Sim101", 10.0, asked)).value)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            meanwhile()
            asked.value += 1
            group.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            asked.gate.set()
    return sorted(answers)


async def test_equal_questions_under_way_at_once_are_one_request_even_without_a_stream(clock: ManualClock) -> None:
    asked = Asked(1)
    assert await both(LiveCache(clock), asked) == [1, 1]
    assert asked.times == 1


async def test_a_request_that_may_tell_of_an_older_time_is_not_joined(cache: LiveCache, clock: ManualClock) -> None:
    asked = Asked(1)
    assert await both(cache, asked, lambda: clock.advance(JOINED_WITHIN_SECONDS + 0.1)) == [1, 2]
    asked = Asked(1)
    assert await both(LiveCache(clock), asked, lambda: None) == [1, 1]
    asked = Asked(5)
    assert await both(cache, asked, lambda: cache.hear(AccountChanged("Sim101"))) == [5, 6]


async def test_all_who_joined_a_request_that_fails_are_told_so(clock: ManualClock) -> None:
    asked, cache, failures = Asked(failure=AddonOffline("offline")), LiveCache(clock), list[CtMcpError]()
    asked.gate = anyio.Event()

    async def ask() -> None:
        with pytest.raises(AddonOffline) as failure:
            await cache.read("positions", "Sim101", 10.0, asked)
        failures.append(failure.value)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            group.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            asked.gate.set()
    assert len(failures) == 2
    assert asked.times == 1


async def test_one_who_joined_a_request_that_was_given_up_asks_himself(clock: ManualClock) -> None:
    asked, cache, answers = Asked(7), LiveCache(clock), list[int]()
    asked.gate = anyio.Event()

    async def ask(scope: anyio.CancelScope) -> None:
        with scope:
            answers.append((await cache.read("positions", "Sim101", 10.0, asked)).value)

    given_up = anyio.CancelScope()
    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            group.start_soon(ask, given_up)
            await anyio.wait_all_tasks_blocked()
            group.start_soon(ask, anyio.CancelScope())
            await anyio.wait_all_tasks_blocked()
            given_up.cancel()
            await anyio.wait_all_tasks_blocked()
            asked.gate.set()
    assert answers == [7]
    assert asked.times == 2


async def test_what_is_kept_stays_bounded(cache: LiveCache) -> None:
    asked = Asked()
    for number in range(500):
        await cache.read(("orders", number), f"A{number}", 10.0, asked)
        cache.hear(AccountChanged(f"B{number}"))
    await cache.read(("orders", 0), "A0", 10.0, asked)
    assert asked.times == 501, "the oldest was forgotten"
    await cache.read(("orders", 499), "A499", 10.0, asked)
    assert asked.times == 501 + 1, "names beyond any honest number end everything"


async def ends_early(cache: LiveCache, meanwhile: Callable[[], None]) -> bool:
    """Whether a pause was over once that had happened, and before its time was up."""
    over, time_is_up = anyio.Event(), anyio.Event()

    async def pause(_: float) -> None:
        await time_is_up.wait()

    async def wait() -> None:
        await cache.pause(60.0, pause)
        over.set()

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            meanwhile()
            await anyio.wait_all_tasks_blocked()
            early = over.is_set()
            time_is_up.set()
            await over.wait()
    return early


async def test_a_pause_ends_with_the_first_word_of_an_account(cache: LiveCache, clock: ManualClock) -> None:
    assert await ends_early(cache, lambda: cache.hear(AccountChanged("Sim101")))
    assert await ends_early(cache, lambda: cache.hear(Gap("a gap")))
    assert not await ends_early(cache, lambda: cache.hear(QuoteTick(ES, None, None, None, None, clock())))


async def test_listeners_hear_every_event_until_they_leave(cache: LiveCache) -> None:
    heard = list[Event]()
    leave = cache.on_news(heard.append)
    cache.hear(AccountChanged("Sim101"))
    leave()
    cache.hear(AccountChanged("Sim102"))
    assert heard == [AccountChanged("Sim101")]


@pytest.fixture
async def a_book(crosstrade: CrossTrade, sim: Simulator) -> None:
    """A position and an order that works, so that there is something to know."""
    market = PlaceOrder("Sim101", ES, OrderAction.BUY, 1, OrderType.MARKET, None, None, TimeInForce.DAY)
    resting = replace(market, order_type=OrderType.LIMIT, limit_price=Decimal(5900))
    await crosstrade.place_order(market, "own-1")
    await crosstrade.place_order(resting, "own-2")
    sim.advance(2)


@pytest.fixture
def reads(cache: LiveCache, crosstrade: CrossTrade) -> LiveReads:
    return LiveReads(cache, crosstrade, lambda _: None)


def tick(at: datetime, bid: str = "6410.250000001") -> QuoteTick:
    return QuoteTick(ES, Decimal(bid), None, Decimal("6410.5"), None, at)


async def test_a_quote_comes_from_the_stream_once_the_contract_is_known(
    cache: LiveCache, reads: LiveReads, sim: Simulator, clock: ManualClock, stream: Told
) -> None:
    (read,) = await reads.quotes(["ES"])
    assert stream.wanted == {ES}
    clock.advance(1)
    cache.hear(tick(clock()))
    before = len(sim.requests_of("GetQuote"))
    (pushed,) = await reads.quotes(["ES"])
    assert len(sim.requests_of("GetQuote")) == before
    assert (pushed.bid, pushed.ask, pushed.last, pushed.at) == (Decimal("6410.25"), None, Decimal("6410.5"), clock())
    assert (pushed.contract, pushed.volume) == (read.contract, read.volume)


@pytest.mark.parametrize("why", ["old", "not sound", "another name", "name resolved long ago", "no tick"])
async def test_a_quote_is_read_where_the_stream_does_not_know_it(
    cache: LiveCache, reads: LiveReads, sim: Simulator, clock: ManualClock, stream: Told, why: str
) -> None:
    await reads.quotes(["ES"])
    clock.advance(1)
    if why == "name resolved long ago":
        clock.advance(NAME_HOLDS_SECONDS + 1)
    if why != "no tick":
        cache.hear(tick(clock()))
    if why == "old":
        clock.advance(FRESH.quote_seconds + 0.5)
    stream.is_sound = why != "not sound"
    before = len(sim.requests_of("GetQuote"))
    (quote,) = await reads.quotes(["ESU26" if why == "another name" else "ES"])
    assert len(sim.requests_of("GetQuote")) == before + 1
    assert quote.instrument == ES


async def test_an_older_tick_never_takes_the_place_of_a_newer_one(
    cache: LiveCache, reads: LiveReads, clock: ManualClock
) -> None:
    await reads.quotes(["ES"])
    cache.hear(tick(clock(), "6411"))
    cache.hear(tick(clock() - timedelta(seconds=1), "6000"))
    (quote,) = await reads.quotes(["ES"])
    assert quote.bid == 6411


@pytest.mark.parametrize("ahead", [0.5, 1.5])
async def test_a_stamp_a_little_ahead_counts_as_one_of_its_coming(
    cache: LiveCache, reads: LiveReads, clock: ManualClock, ahead: float
) -> None:
    await reads.quotes(["ES"])
    came = clock()
    cache.hear(tick(came + timedelta(seconds=ahead), "6411"))
    (quote,) = await reads.quotes(["ES"])
    assert quote.bid == 6411
    assert quote.at == came


async def test_a_stamp_well_ahead_keeps_no_later_price_out_and_is_read_by_request(
    cache: LiveCache, reads: LiveReads, sim: Simulator, clock: ManualClock
) -> None:
    await reads.quotes(["ES"])
    before = len(sim.requests_of("GetQuote"))
    cache.hear(tick(clock() + timedelta(hours=1), "6000"))
    clock.advance(1)
    (quote,) = await reads.quotes(["ES"])
    assert quote.bid != 6000
    assert len(sim.requests_of("GetQuote")) == before + 1
    cache.hear(tick(clock(), "6411"))
    (quote,) = await reads.quotes(["ES"])
    assert quote.bid == 6411
    assert len(sim.requests_of("GetQuote")) == before + 1


async def test_several_names_keep_their_order_whatever_came_from_where(
    cache: LiveCache, reads: LiveReads, clock: ManualClock
) -> None:
    await reads.quotes(["ES"])
    cache.hear(tick(clock()))
    quotes = await reads.quotes(["NQ", "ES", "CL"])
    assert [quote.instrument.root for quote in quotes] == ["NQ", "ES", "CL"]
    assert quotes[1].bid == Decimal("6410.25")


async def test_only_so_many_instruments_are_followed(cache: LiveCache, reads: LiveReads, stream: Told) -> None:
    (read,) = await reads.quotes(["ES"])
    for year in range(MOST_INSTRUMENTS):
        cache.keep_quote(f"ES {year}", replace(read, instrument=Instrument("ES", 2030 + year, 12)))
    assert len(stream.wanted) == MOST_INSTRUMENTS
    assert ES not in stream.wanted
    assert cache.quote("ES") is None


@pytest.mark.usefixtures("a_book")
async def test_what_was_known_before_tells_its_age(
    cache: LiveCache, crosstrade: CrossTrade, sim: Simulator, clock: ManualClock
) -> None:
    earlier = clock()
    await LiveReads(cache, crosstrade, lambda _: None).positions("Sim101")
    clock.advance(5)
    reads = LiveReads(cache, crosstrade, lambda _: None)
    assert reads.as_of is None
    await reads.orders("Sim101", active_only=True)
    assert reads.as_of is None, "it was read just now"
    await reads.positions("sim101")
    assert reads.as_of == earlier
    assert len(sim.requests_of("ListPositions")) == 1


READS: dict[str, Callable[[LiveReads], Awaitable[object]]] = {
    "ListPositions": lambda reads: reads.positions("Sim101"),
    "GetAllPositions": lambda reads: reads.all_positions(),
    "ListOrders": lambda reads: reads.orders("Sim101", active_only=False),
    "GetAllOrders": lambda reads: reads.all_orders(active_only=True),
    "GetAccountSummary": lambda reads: reads.snapshot(),
    "ListAccounts": lambda reads: reads.accounts(),
    "GetAccount": lambda reads: reads.account("Sim101"),
    "GetWatermarks": lambda reads: reads.watermarks("Sim101"),
}


@pytest.mark.usefixtures("a_book")
@pytest.mark.parametrize("rpc", READS)
async def test_each_read_is_asked_once_and_serves_twice(reads: LiveReads, sim: Simulator, rpc: str) -> None:
    first, second = await READS[rpc](reads), await READS[rpc](reads)
    assert first == second
    assert len(sim.requests_of(rpc)) == 1


async def test_orders_that_are_active_and_all_orders_are_two_questions(reads: LiveReads, sim: Simulator) -> None:
    await reads.orders("Sim101", active_only=True)
    await reads.orders("Sim101", active_only=False)
    assert len(sim.requests_of("ListOrders")) == 2


@pytest.mark.usefixtures("a_book")
@pytest.mark.parametrize("fault", [Fault.RATE_LIMITED, Fault.RATE_LIMITED_OLD_BODY])
async def test_where_no_request_may_be_made_what_was_read_last_is_shown_and_called_old(
    crosstrade: CrossTrade, sim: Simulator, clock: ManualClock, fault: Fault
) -> None:
    cache, notes = LiveCache(clock), list[str]()
    first = await LiveReads(cache, crosstrade, notes.append).positions("Sim101")
    read_at = clock()
    clock.advance(5)
    sim.faults.arm(fault)
    reads = LiveReads(cache, crosstrade, notes.append)
    assert await reads.positions("Sim101") == first
    assert reads.may_have_changed
    assert reads.as_of is not None
    assert reads.as_of <= read_at
    assert "may have changed" in notes[0]
    clock.advance(STALE_SERVES_SECONDS + 300)
    with pytest.raises(RateLimited):
        await LiveReads(cache, crosstrade, notes.append).positions("Sim101")


async def test_where_no_request_may_be_made_nothing_is_called_flat(
    crosstrade: CrossTrade, sim: Simulator, clock: ManualClock
) -> None:
    cache = LiveCache(clock)
    assert await LiveReads(cache, crosstrade, print).positions("Sim101") == ()
    sim.faults.arm(Fault.RATE_LIMITED)
    with pytest.raises(RateLimited):
        await LiveReads(cache, crosstrade, print).positions("Sim101")


@pytest.mark.usefixtures("a_book")
async def test_a_warning_beside_an_answer_is_told_to_everybody_whom_it_serves(
    cache: LiveCache, crosstrade: CrossTrade, sim: Simulator
) -> None:
    sim.faults.arm(Fault.WARNING, times=1)
    first, second = list[str](), list[str]()
    await LiveReads(cache, crosstrade, first.append).positions("Sim101")
    await LiveReads(cache, crosstrade, second.append).positions("Sim101")
    assert first
    assert first == second


# Silence that stands for a reading


def test_silence_says_something_once_the_account_itself_has_spoken(cache: LiveCache, stream: Told) -> None:
    assert cache.silence("Sim101") is None
    cache.hear(AccountChanged("Sim102"))
    assert cache.silence("Sim101") is None, "another account has spoken"
    cache.sent(place_order())
    assert cache.silence("Sim101") is None, "what we sent ourselves proves nothing of the stream"
    cache.hear(AccountChanged("SIM101"))
    assert cache.silence("Sim101") is not None
    stream.is_sound = False
    assert cache.silence("Sim101") is None


@pytest.mark.parametrize("word", [AccountChanged("Sim101"), AccountChanged(None)])
def test_any_word_of_the_account_is_another_mark(cache: LiveCache, clock: ManualClock, word: Event) -> None:
    cache.hear(AccountChanged("Sim101"))
    before = cache.silence("Sim101")
    assert cache.silence("sim101") == before
    cache.hear(PnlUpdate("Sim101", Decimal(1), Decimal(2), clock()))
    cache.hear(AccountChanged("Sim102"))
    assert cache.silence("Sim101") == before
    cache.hear(word)
    assert cache.silence("Sim101") not in (None, before)


def test_what_we_send_ourselves_is_another_mark(cache: LiveCache) -> None:
    cache.hear(AccountChanged("Sim101"))
    before = cache.silence("Sim101")
    cache.sent(place_order())
    assert cache.silence("Sim101") not in (None, before)


def test_after_a_gap_the_account_has_to_speak_again(cache: LiveCache) -> None:
    cache.hear(AccountChanged("Sim101"))
    before = cache.silence("Sim101")
    cache.hear(Gap("a frame is missing"))
    assert cache.silence("Sim101") is None
    cache.hear(AccountChanged("Sim101"))
    assert cache.silence("Sim101") not in (None, before)


def test_a_connection_that_tells_nothing_at_all_is_silent_about_nothing(
    cache: LiveCache, stream: Told, clock: ManualClock
) -> None:
    cache.hear(AccountChanged("Sim101"))
    stream.spoke_at = clock()
    clock.advance(SPOKE_WITHIN_SECONDS)
    assert cache.silence("Sim101") is not None
    clock.advance(0.1)
    assert cache.silence("Sim101") is None
