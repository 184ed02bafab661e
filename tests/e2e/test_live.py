"""A conversation beside a living stream: fewer requests, the same truth, and no claim that nothing backs."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import timedelta

import anyio
import pytest
from mcp import Client
from mcp_types import ElicitRequestFormParams, ElicitRequestParams, ElicitResult

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.crosstrade.stream.events import Gap
from ct_mcp.crosstrade.stream.socket import LiveStream
from ct_mcp.desk.desk import Desk
from ct_mcp.desk.warm_review import Passing, WarmReviews
from ct_mcp.desk.watch_prices import WatchedPrices
from ct_mcp.domain.approval import Approval, Ticket
from ct_mcp.domain.instrument import Instrument
from ct_mcp.guard.policy import Limits, Policy
from ct_mcp.live.cache import LiveCache
from ct_mcp.live.feed import Feed
from ct_mcp.server.app import build_server
from ct_mcp.server.context import ServerContext
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import StreamFault
from ct_mcp.simulator.orders import Action, OrderLabels, OrderTerms, SimOrderType
from ct_mcp.simulator.simulator import SimulatorSettings
from ct_mcp.simulator.stream.assumptions import EventPushes, StreamAssumptions
from ct_mcp.store.sqlite import SqliteStore
from tests.conftest import Person, yes
from tests.e2e.conftest import Alone, Assistant, Wire, World
from tests.factories import place_order

MES = Instrument("MES", 2026, 9)
MARKET = place_order(instrument=MES)
UNHURRIED = Limits(max_orders_per_minute=1000, max_orders_per_day=10_000, duplicate_window_seconds=0.0)


@pytest.fixture
def policy() -> Policy:
    """Limits that these conversations do not meet."""
    return Policy(limits=UNHURRIED)


@pytest.fixture
def events() -> EventPushes:
    """Whether the service pushes events of accounts."""
    return EventPushes.SUBSCRIBED


@pytest.fixture
def settings(events: EventPushes) -> SimulatorSettings:
    """A world with that habit."""
    return SimulatorSettings(stream=StreamAssumptions(events=events), rate_limit=None)


@dataclass
class Listening:
    """The stream of one conversation, and time that passes beside it."""

    world: World
    view: LiveCache
    stream: LiveStream

    async def hears(self) -> None:
        """Let everything that was sent arrive."""
        for _ in range(3):
            await anyio.wait_all_tasks_blocked()

    async def passes(self, seconds: float) -> None:
        """Let so many seconds pass, one by one."""
        while seconds > 0:
            self.world.sim.advance(min(1.0, seconds))
            seconds -= 1.0
            await self.hears()

    async def trusted(self) -> None:
        """Let the first account event prove that there are any."""
        await self.passes(1)
        assert self.view.is_trusted

    def asked(self, *rpcs: str) -> int:
        return len(self.world.sim.requests_of(*rpcs))


@pytest.fixture
async def listening(world: World, clock: ManualClock, desk: Desk) -> AsyncIterator[Listening]:
    """A stream that feeds a view, as ``ct-mcp serve`` has it."""

    async def until(seconds: float) -> None:
        """Wait until the conversation has let so much time pass."""
        end, reached = clock() + timedelta(seconds=seconds), anyio.Event()

        def look() -> None:
            if clock() >= end:
                reached.set()

        clock.watch(look)
        await reached.wait()
        clock.unwatch(look)

    view = LiveCache(clock)
    stream = LiveStream(world.sim.connect, clock=clock, pause=until, look_every_seconds=0.002)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Feed(stream, view, Alone(), clock).run)
        listening = Listening(world, view, stream)
        await listening.hears()
        assert stream.protocol.is_sound
        yield listening
        tasks.cancel_scope.cancel()


@pytest.fixture
async def talks(listening: Listening, desk: Desk, policy: Policy, era: str, person: Person) -> AsyncIterator[Assistant]:
    """An assistant of a server that listens."""
    server = build_server(ServerContext(lambda: desk, policy).fed_by(lambda: listening.view))
    async with Client(server, mode=era, elicitation_callback=person) as client:
        yield Assistant(client)


async def test_quotes_come_live_and_cost_no_request(talks: Assistant, listening: Listening, world: World) -> None:
    await talks.call("get_quotes", instruments=["MES"])
    asked = listening.asked("GetQuote")
    for _ in range(10):
        await listening.passes(1)
        told = await talks.call("get_quotes", instruments=["MES"])
        (quote,) = told.quotes
        assert quote["last"] == pytest.approx(world.price(), abs=0.26), "at most a second old"
        assert quote["age_seconds"] <= 2
    assert listening.asked("GetQuote") - asked <= 3, "only a quiet market is asked for"


async def test_one_stamp_from_the_future_does_not_freeze_the_price(
    talks: Assistant, listening: Listening, world: World, clock: ManualClock, desk: Desk
) -> None:
    await talks.call("get_quotes", instruments=["MES"])
    await listening.passes(2)
    ahead = int((clock() + timedelta(hours=1)).timestamp() * 1000)
    row = {"instrument": "MES 09-26", "last": 5900.0, "bid": 5899.75, "ask": 5900.0}
    listening.stream.protocol.received(json.dumps({"type": "marketData", "epoch": ahead, "quotes": [row]}), clock())
    for event in listening.stream.protocol.events():  # as the socket tells them after each frame
        listening.view.hear(event)
    await listening.passes(120)
    told = await talks.call("get_quotes", instruments=["MES"])
    assert told.quotes[0]["last"] == pytest.approx(world.price(), abs=0.51), told.text
    prices = WatchedPrices(desk.upstream, clock, 10.0)
    prices.listen(listening.view)
    watched = await prices.of(MES)
    assert watched is not None
    assert float(watched.last or 0) == pytest.approx(world.price(), abs=0.51)
    order = await talks.buys(1)
    assert order.status == "filled", order.text


async def test_positions_and_orders_are_served_once_events_have_proved_themselves(
    talks: Assistant, listening: Listening, clock: ManualClock
) -> None:
    await talks.buys(2)
    await listening.trusted()
    first = await talks.call("get_positions", account="Sim101")
    asked = listening.asked("ListPositions")
    await listening.passes(4)
    second = await talks.call("get_positions", account="Sim101")
    assert listening.asked("ListPositions") == asked
    assert second.positions == first.positions
    assert second.read_at == first.read_at
    assert "known for 4 s, and nothing was heard to change since" in second.text


async def test_a_change_by_somebody_else_is_heard_and_read(
    talks: Assistant, listening: Listening, crosstrade: CrossTrade, world: World
) -> None:
    await talks.buys(2)
    await listening.trusted()
    await talks.call("get_positions", account="Sim101")
    await crosstrade.place_order(MARKET, "somebody-else")
    await listening.passes(2)
    told = await talks.call("get_positions", account="Sim101")
    assert told.positions[0]["quantity"] == world.net() == 3


async def test_what_we_change_ourselves_is_read_at_once(talks: Assistant, listening: Listening) -> None:
    await talks.buys(2)
    await listening.trusted()
    await talks.call("get_positions", account="Sim101")
    asked = listening.asked("ListPositions")
    await talks.call("flatten", account="Sim101")
    told = await talks.call("get_positions", account="Sim101")
    assert told.positions == []
    assert listening.asked("ListPositions") > asked + 1


@pytest.mark.parametrize(
    "disturbance",
    [StreamFault.STATUS_STALLED, StreamFault.STATUS_DISCONNECTED, StreamFault.FRAME_LOST, StreamFault.SOCKET_CUT],
)
async def test_after_a_disturbance_everything_is_read_anew(
    talks: Assistant, listening: Listening, crosstrade: CrossTrade, world: World, disturbance: StreamFault
) -> None:
    await talks.buys(2)
    await listening.trusted()
    await talks.call("get_positions", account="Sim101")
    world.sim.faults.arm(disturbance, times=1)
    await listening.passes(1)
    await crosstrade.place_order(MARKET, "somebody-else")
    await listening.passes(2)
    told = await talks.call("get_positions", account="Sim101")
    assert told.positions[0]["quantity"] == world.net() == 3


@pytest.mark.parametrize("events", [EventPushes.NEVER])
async def test_where_account_events_never_come_accounts_are_always_read(
    talks: Assistant, listening: Listening, crosstrade: CrossTrade, world: World, events: EventPushes
) -> None:
    await talks.buys(2)
    await listening.passes(2)
    assert events is EventPushes.NEVER
    assert not listening.view.is_trusted
    await talks.call("get_positions", account="Sim101")
    await crosstrade.place_order(MARKET, "somebody-else")
    await listening.passes(2)
    told = await talks.call("get_positions", account="Sim101")
    assert told.positions[0]["quantity"] == world.net() == 3


# A review that is kept fresh while the person decides


@dataclass
class Reader:
    """A person who takes their time: the review beside the question is made again, and then they say yes."""

    listening: Listening
    wire: Wire
    awake: anyio.Event = field(default_factory=anyio.Event)
    asleep: anyio.Event = field(default_factory=anyio.Event)
    happens: Callable[[], None] = lambda: None
    left_at_yes: int = 0

    async def pauses(self, _: float) -> None:
        """Stand for the pause between two readings."""
        self.asleep.set()
        await self.awake.wait()
        self.awake = anyio.Event()

    async def decides(self) -> None:
        """Read for a second, in which the account is reviewed once more."""
        with anyio.fail_after(60):
            await self.asleep.wait()
            await self.listening.passes(1)
            self.asleep = anyio.Event()
            self.awake.set()
            await self.asleep.wait()
        self.happens()
        await self.listening.hears()
        self.left_at_yes = len(self.wire.left)

    async def __call__(self, context: object, params: ElicitRequestParams) -> ElicitResult:
        """Answer a form."""
        assert isinstance(params, ElicitRequestFormParams)
        await self.decides()
        return yes(params.message)

    @property
    def before_the_send(self) -> list[str]:
        """What was asked after the yes, before the order left."""
        paths = [path.rpartition("/")[2] for _, path, _ in self.wire.left[self.left_at_yes :]]
        return paths[: paths.index("place")]


@pytest.fixture
def reader(listening: Listening, wire: Wire, desk: Desk, store: SqliteStore, crosstrade: CrossTrade) -> Reader:
    """A person before a desk whose readings they wait for."""
    reader = Reader(listening, wire)
    desk.warm = WarmReviews(desk.contexts, store, crosstrade, desk.clock, Passing(reader.pauses))
    return reader


async def spoken_of(listening: Listening, crosstrade: CrossTrade) -> None:
    """Let the stream speak of the account: somebody else buys one in it."""
    await crosstrade.place_order(MARKET, "somebody-else")
    await listening.passes(12)


@pytest.fixture
async def trades(
    listening: Listening, desk: Desk, policy: Policy, era: str, reader: Reader, crosstrade: CrossTrade
) -> AsyncIterator[Assistant]:
    """An assistant whose person reads before they answer, in an account of which the stream has spoken."""
    server = build_server(ServerContext(lambda: desk, policy).fed_by(lambda: listening.view))
    async with Client(server, mode=era, elicitation_callback=reader) as client:
        await spoken_of(listening, crosstrade)
        yield Assistant(client)


async def test_after_the_yes_an_order_leaves_with_no_request_before_it(trades: Assistant, reader: Reader) -> None:
    told = await trades.buys(2)
    assert (told.status, told.position_after) == ("filled", 3), told.text
    assert reader.before_the_send == []


async def test_word_of_the_account_during_the_question_has_it_read_after_the_yes(
    trades: Assistant, reader: Reader, world: World
) -> None:
    terms = OrderTerms(world.sim.market.front("MES", world.clock()), Action.BUY, 1, SimOrderType.MARKET)

    def somebody_else_buys() -> None:
        exchange = world.sim.exchange
        exchange.submit(exchange.accounts["Sim101"], terms, OrderLabels("PlaceOrder"), world.clock())
        world.later(0.5)

    reader.happens = somebody_else_buys
    told = await trades.buys(2)
    assert (told.status, told.position_after) == ("filled", 4), told.text
    assert {"orders", "positions"} <= set(reader.before_the_send)


async def test_a_stream_that_broke_off_during_the_question_has_it_read_after_the_yes(
    trades: Assistant, reader: Reader, listening: Listening
) -> None:
    reader.happens = lambda: listening.view.hear(Gap("it broke off"))
    told = await trades.buys(2)
    assert told.status == "filled", told.text
    assert {"orders", "positions"} <= set(reader.before_the_send)


@pytest.mark.parametrize("policy", [Policy(simulated=Approval.PAGE, limits=UNHURRIED)])
async def test_a_page_finds_a_fresh_review_as_well(
    *, listening: Listening, desk: Desk, policy: Policy, era: str, reader: Reader, crosstrade: CrossTrade
) -> None:
    async def opens(ticket: Ticket, _: float) -> bool:
        await reader.decides()
        return await desk.decisions.approve(ticket, "page")

    server = build_server(ServerContext(lambda: desk, policy, open_page=opens).fed_by(lambda: listening.view))
    async with Client(server, mode=era) as client:
        await spoken_of(listening, crosstrade)
        told = await Assistant(client).buys(2)
    assert (told.status, told.position_after) == ("filled", 3), told.text
    assert reader.before_the_send == []


class TestWithoutAccountEvents:
    """The service pushes none; a frame of another type must not stand for one."""

    @pytest.fixture
    def events(self) -> EventPushes:
        return EventPushes.NEVER

    async def test_a_notice_does_not_make_old_positions_pass_for_unchanged(
        self, talks: Assistant, listening: Listening, crosstrade: CrossTrade, world: World
    ) -> None:
        await talks.buys(2)
        world.sim.faults.arm(StreamFault.FRAME_UNKNOWN, times=1)
        await listening.passes(2)
        await talks.call("get_positions", account="Sim101")
        await crosstrade.place_order(MARKET, "somebody-else")
        await listening.passes(5)
        told = await talks.call("get_positions", account="Sim101")
        assert told.positions[0]["quantity"] == world.net() == 3, told.text

    async def test_a_notice_that_names_the_account_does_not_delay_the_stop_that_is_owed(
        self, talks: Assistant, listening: Listening, world: World, desk: Desk, clock: ManualClock
    ) -> None:
        desk.exit_watch.listen(listening.view)
        price = world.price(-8)
        told = await talks.buys(1, order_type="LIMIT", limit_price=price, stop_loss="10 points", instrument="MES 09-26")
        assert told.status == "working", told.text
        notice = {"type": "accountNotice", "account": "Sim101", "text": "trade copier is paused"}
        listening.stream.protocol.received(json.dumps(notice), clock())
        for _ in range(900):
            await listening.passes(1)
            await desk.exit_watch.look()
            if world.net():
                break
        assert world.net() == 1
        for _ in range(3):
            await listening.passes(1)
            await desk.exit_watch.look()
        assert world.live(), "three seconds after the fill there is no stop"

    @pytest.mark.parametrize("name", ["Sim 101 (Demo)", " Sim101 "])
    async def test_word_of_a_name_that_nobody_knows_is_word_of_every_account(
        self,
        talks: Assistant,
        listening: Listening,
        crosstrade: CrossTrade,
        world: World,
        clock: ManualClock,
        name: str,
    ) -> None:
        await talks.buys(2)
        told_of = {"type": "positionUpdate", "account": name, "instrument": "MES 09-26", "quantity": 2}
        listening.stream.protocol.received(json.dumps(told_of), clock())
        await listening.passes(2)
        await talks.call("get_positions", account="Sim101")
        await crosstrade.place_order(MARKET, "somebody-else")
        listening.stream.protocol.received(json.dumps({**told_of, "quantity": 3}), clock())
        await listening.passes(3)
        told = await talks.call("get_positions", account="Sim101")
        assert told.positions[0]["quantity"] == world.net() == 3, told.text
