"""Subscriptions: who is told of what and how often, in both eras; and that nothing of it outlives who asked for it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import anyio
import anyio.lowlevel
import httpx2
import pytest
from anyio.abc import TaskStatus
from mcp import Client
from mcp.client._memory import InMemoryTransport
from mcp.client.streamable_http import streamable_http_client
from mcp.client.subscriptions import SubscriptionLost
from mcp.server.mcpserver import Context
from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage
from mcp.shared.subscriptions import ResourceUpdated, ToolsListChanged
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    InitializedNotification,
    ResourceUpdatedNotification,
    jsonrpc_message_adapter,
)

from ct_mcp.crosstrade.stream.events import AccountChanged, Event, Gap, PnlUpdate, QuoteTick
from ct_mcp.desk.desk import Desk
from ct_mcp.domain.approval import Approval
from ct_mcp.domain.instrument import Instrument
from ct_mcp.guard.policy import Policy
from ct_mcp.live.cache import MOST_HELD, LiveCache
from ct_mcp.net.asgi import listen, serve
from ct_mcp.server.app import build_server
from ct_mcp.server.context import ServerContext
from ct_mcp.server.http import HttpAccess, HttpServer
from ct_mcp.server.resource_updates import Throttle, UpdateQueue
from ct_mcp.server.subscriptions import MOST_ADDRESSES, MOST_STREAMS, Subscriber
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.simulator import Simulator

ACCOUNTS, JOURNAL, WATCHED = "crosstrade://accounts", "crosstrade://journal", "crosstrade://watches"
SIM101, APEX = "crosstrade://accounts/Sim101/snapshot", "crosstrade://accounts/APEX-482910/snapshot"
ES, NQ = "crosstrade://quotes/ES", "crosstrade://quotes/NQ%2009-26"
pytestmark = pytest.mark.filterwarnings("ignore:resources/:mcp.shared.exceptions.MCPDeprecationWarning")  # older era
BUY = {"account": "Sim101", "instrument": "MES", "action": "BUY", "quantity": 1, "order_type": "MARKET"}


@dataclass
class Time:
    """Seconds that pass only when a test says so."""

    now: float = 0.0
    waits: dict[anyio.Event, float] = field(default_factory=dict)

    def __call__(self) -> float:
        return self.now

    async def pause(self, seconds: float) -> None:
        """Wait until the test has let so much time pass."""
        over = anyio.Event()
        self.waits[over] = self.now + seconds
        try:
            await over.wait()
        finally:
            del self.waits[over]

    async def passes(self, seconds: float) -> None:
        """Let it pass, and everybody do what is due by then."""
        self.now += seconds
        for over, at in self.waits.items():
            if at <= self.now:
                over.set()
        await anyio.wait_all_tasks_blocked()

    @property
    def throttle(self) -> Throttle:
        return Throttle(1.0, self, self.pause)


@dataclass
class Listener:
    """A client of either era that keeps the addresses it was told of."""

    client: Client
    era: str
    heard: list[str]
    stack: AsyncExitStack

    async def subscribes(self, *uris: str) -> list[str]:
        """Subscribe; gives what was honoured."""
        if self.era == "legacy":
            for uri in uris:
                await self.client.subscribe_resource(uri)
            return list(uris)
        told = await self.stack.enter_async_context(self.client.listen(resource_subscriptions=uris))
        tasks = await self.stack.enter_async_context(anyio.create_task_group())
        self.stack.callback(tasks.cancel_scope.cancel)
        tasks.start_soon(self._follow, told)
        return list(told.honored.resource_subscriptions or ())

    async def _follow(self, told: Any) -> None:
        with suppress(SubscriptionLost):
            async for event in told:
                self.heard.append(event.uri)

    async def leaves(self, *uris: str) -> None:
        """Unsubscribe: from these, or from what the one request was about."""
        if self.era == "legacy":
            for uri in uris:
                await self.client.unsubscribe_resource(uri)
        else:
            await self.stack.aclose()
        await anyio.wait_all_tasks_blocked()

    def hears(self) -> list[str]:
        """What it was told since it was last asked."""
        told, self.heard[:] = list(self.heard), []
        return told


@dataclass
class House:
    """One server with its view, and time."""

    context: ServerContext
    view: LiveCache
    time: Time
    era: str
    server: Any

    @asynccontextmanager
    async def joined(self) -> AsyncIterator[Listener]:
        """Connect a client."""
        heard = list[str]()

        async def take(message: object) -> None:
            if isinstance(message, ResourceUpdatedNotification):
                heard.append(str(message.params.uri))

        handler: dict[str, Any] = {"message_handler": take} if self.era == "legacy" else {}
        async with Client(self.server, mode=self.era, **handler) as client, AsyncExitStack() as stack:
            yield Listener(client, self.era, heard, stack)

    async def happens(self, *events: Event) -> None:
        """Let the stream tell this, and everybody do what is due."""
        for event in events:
            self.view.hear(event)
        await anyio.wait_all_tasks_blocked()

    @property
    def is_quiet(self) -> bool:
        """Whether nobody listens to anything, and nothing waits."""
        kept = (self.view._listeners, self.view._held, self.time.waits)
        return not any(kept) and self.context.desk.on_sent == [self.view.sent]


@pytest.fixture
def policy() -> Policy:
    return Policy(simulated=Approval.NONE)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
async def house(desk: Desk, policy: Policy, clock: ManualClock, era: str, time: Time) -> House:
    view = LiveCache(clock)
    context = ServerContext(lambda: desk, policy).fed_by(lambda: view)
    return House(context, context.live, time, era, build_server(context, time.throttle))


@pytest.fixture
async def listener(house: House) -> AsyncIterator[Listener]:
    async with house.joined() as joined:
        yield joined


# Who is told of what


def tick(clock: ManualClock, root: str = "ES") -> QuoteTick:
    return QuoteTick(Instrument(root, 2026, 9), Decimal(6400), None, None, None, clock())


def pnl(clock: ManualClock, unrealized: int = 5, account: str = "SIM101") -> PnlUpdate:
    return PnlUpdate(account, Decimal(0), Decimal(unrealized), clock())


EVENTS: dict[str, tuple[Callable[[ManualClock], Event], set[str]]] = {
    "word of one account": (lambda _: AccountChanged("sim101"), {ACCOUNTS, SIM101}),
    "word of an account without a name": (lambda _: AccountChanged(None), {ACCOUNTS, SIM101, APEX}),
    "word of a name that no known account has": (lambda _: AccountChanged("Sim999"), {ACCOUNTS, SIM101, APEX}),
    "a doubt": (lambda _: Gap("a gap"), {ACCOUNTS, SIM101, APEX}),
    "profit and loss": (pnl, {SIM101}),
    "profit and loss of an account that nobody watches": (lambda clock: pnl(clock, account="Sim999"), set()),
    "a quote": (tick, {ES}),
    "a quote of another instrument": (lambda clock: tick(clock, "NQ"), {NQ}),
    "a quote that nobody watches": (lambda clock: tick(clock, "CL"), set()),
}


@pytest.mark.parametrize("what", EVENTS)
async def test_each_event_is_told_to_those_whom_it_concerns(
    house: House, listener: Listener, clock: ManualClock, what: str
) -> None:
    asked = [ACCOUNTS, SIM101, APEX, ES, NQ, JOURNAL]
    assert await listener.subscribes(*asked) == asked
    event, concerned = EVENTS[what]
    await house.happens(event(clock))
    told = listener.hears()
    assert set(told) == concerned
    assert len(told) == len(concerned)


async def test_what_we_do_ourselves_is_told_without_any_stream(house: House, listener: Listener) -> None:
    await listener.subscribes(SIM101, APEX, JOURNAL)
    told = await listener.client.call_tool("place_order", BUY)
    assert told.structured_content["status"] == "filled", told.content
    await house.time.passes(0)
    assert sorted(listener.hears()) == [SIM101, JOURNAL]


async def test_a_denial_is_told_of_the_journal_alone(house: House, listener: Listener) -> None:
    await listener.subscribes(SIM101, JOURNAL)
    await listener.client.call_tool("place_order", {**BUY, "quantity": 5000})
    await house.time.passes(0)
    assert listener.hears() == [JOURNAL]


async def test_a_tool_that_only_reads_is_told_nobody(house: House, listener: Listener) -> None:
    await listener.subscribes(ACCOUNTS, SIM101, ES, JOURNAL)
    for tool in ("get_journal", "get_accounts"):
        await listener.client.call_tool(tool, {})
    await house.time.passes(5)
    assert listener.hears() == []


async def test_the_address_that_is_told_is_the_one_that_was_asked(
    house: House, listener: Listener, clock: ManualClock
) -> None:
    asked = ["crosstrade://quotes/ES1!", "crosstrade://quotes/ESU26", "crosstrade://accounts/sIm101/snapshot"]
    assert await listener.subscribes(*asked) == asked
    await house.happens(tick(clock), AccountChanged("Sim101"))
    assert sorted(listener.hears()) == sorted(asked)


async def test_a_subscribed_quote_is_asked_of_the_stream(house: House, listener: Listener) -> None:
    class Told:
        wanted: frozenset[Instrument] = frozenset()

        def want(self, instruments: frozenset[Instrument]) -> None:
            self.wanted = instruments

    house.view.stream = stream = Told()  # type: ignore[assignment]
    await listener.subscribes(ES)
    assert stream.wanted == {Instrument("ES", 2026, 9)}


async def test_profit_and_loss_that_rests_is_told_until_a_read_must_show_it(
    house: House, listener: Listener, clock: ManualClock
) -> None:
    await listener.subscribes(SIM101)
    told = 0
    for _ in range(10):
        clock.advance(1)
        await house.happens(pnl(clock, 7))
        await house.time.passes(1)
        told += len(listener.hears())
    assert told == 1 + house.view.freshness.figures_seconds + 1
    await house.happens(pnl(clock, 8))
    assert listener.hears() == [SIM101]


@pytest.mark.parametrize("era", ["auto"])
async def test_since_2026_what_the_server_itself_publishes_is_told_to_whom_it_was_promised(
    house: House, listener: Listener
) -> None:
    async def change(ctx: Context[Any, Any]) -> str:
        """Publish that something changed."""
        await ctx.notify_tools_changed()
        await ctx.notify_resource_updated(SIM101)
        await ctx.notify_resource_updated(APEX)
        return "changed"

    house.server.add_tool(change)
    async with listener.client.listen(tools_list_changed=True, resource_subscriptions=[SIM101]) as told:
        await listener.client.call_tool("change", {})
        with anyio.fail_after(60):
            assert [await anext(told), await anext(told)] == [ToolsListChanged(), ResourceUpdated(SIM101)]
        await anyio.wait_all_tasks_blocked()
        assert not told._route._pending


# How often


async def test_one_notice_a_second_and_the_last_change_is_never_lost(
    house: House, listener: Listener, clock: ManualClock
) -> None:
    await listener.subscribes(ES)
    await house.happens(tick(clock))
    assert listener.hears() == [ES], "the first comes at once"
    for _ in range(4):
        await house.time.passes(0.2)
        await house.happens(tick(clock), tick(clock))
    assert listener.hears() == []
    await house.time.passes(0.2)
    assert listener.hears() == [ES], "the rest of that second is one notice"
    await house.time.passes(60)
    assert listener.hears() == []
    await house.happens(tick(clock))
    assert listener.hears() == [ES]


async def test_what_waits_for_its_second_holds_up_nothing_else(
    house: House, listener: Listener, clock: ManualClock
) -> None:
    await listener.subscribes(ES, SIM101)
    await house.happens(tick(clock))
    await house.happens(tick(clock))
    await house.happens(AccountChanged("Sim101"))
    assert listener.hears() == [ES, SIM101]


async def test_each_client_has_a_pace_of_its_own(house: House, listener: Listener, clock: ManualClock) -> None:
    await listener.subscribes(ES)
    await house.happens(tick(clock))
    async with house.joined() as other:
        await other.subscribes(ES)
        await house.happens(tick(clock))
        assert other.hears() == [ES]
        assert listener.hears() == [ES]
        await house.time.passes(1)
        assert (listener.hears(), other.hears()) == ([ES], [])


async def test_a_thousand_changes_that_nobody_fetches_are_one_notice(time: Time) -> None:
    queue = UpdateQueue(time.throttle)
    for _ in range(1000):
        queue.add(ResourceUpdated(ES))
    assert await queue.next() == ResourceUpdated(ES)
    assert not queue._due_at


async def test_a_change_while_a_notice_is_being_sent_is_told_again(time: Time) -> None:
    queue = UpdateQueue(time.throttle)
    queue.add(ResourceUpdated(ES))
    await queue.next()
    queue.add(ResourceUpdated(ES))
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(queue.next)
            await anyio.wait_all_tasks_blocked()
            await time.passes(0.999)
            assert time.waits
            await time.passes(0.001)
    assert not time.waits


# What is refused


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("crosstrade://accounts/Nobody/snapshot", "the accounts are: APEX-482910, Sim101"),
        ("crosstrade://quotes/QQQQ%2012-26", "QQQQ"),
        ("crosstrade://quotes/not-an-instrument", "none of the known spellings"),
        ("crosstrade://nothing", "does not exist: resources/list names"),
        ("https://example.org/", "does not exist"),
        ("crosstrade://accounts/" + "x" * 5000, "does not exist"),
    ],
)
async def test_what_does_not_exist_is_refused_in_words_and_leaves_nothing_behind(
    house: House, listener: Listener, uri: str, words: str
) -> None:
    with pytest.raises(MCPError, match=words) as refused:
        await listener.subscribes(uri)
    assert refused.value.code == INVALID_PARAMS
    assert house.is_quiet


async def test_what_cannot_be_looked_up_now_is_refused_in_words(
    house: House, listener: Listener, sim: Simulator
) -> None:
    sim.faults.arm(Fault.ADDON_OFFLINE)
    with pytest.raises(MCPError, match="start NinjaTrader 8") as refused:
        await listener.subscribes(ES)
    assert refused.value.code == INTERNAL_ERROR
    assert house.is_quiet


async def test_a_failure_of_our_own_making_stays_hidden(house: House, listener: Listener) -> None:
    house.context.desk.resolver = None  # type: ignore[assignment]
    with pytest.raises(MCPError) as refused:
        await listener.subscribes(SIM101)
    assert (refused.value.code, refused.value.message) == (INTERNAL_ERROR, "Internal error")


async def test_what_never_changes_may_be_subscribed_to_and_is_never_told(house: House, listener: Listener) -> None:
    assert await listener.subscribes("crosstrade://policy") == ["crosstrade://policy"]
    await house.happens(AccountChanged(None))
    assert listener.hears() == []


@pytest.mark.parametrize("era", ["auto"])
async def test_since_2026_what_is_refused_is_left_out_of_what_is_honoured(house: House, listener: Listener) -> None:
    assert await listener.subscribes(SIM101, "crosstrade://nothing", SIM101) == [SIM101]


async def test_a_client_may_subscribe_to_so_many_addresses_and_no_more(era: str, listener: Listener) -> None:
    same = [f"crosstrade://quotes/{'%20' * number}ES" for number in range(MOST_ADDRESSES)]
    honoured = await listener.subscribes(*same)
    assert len(honoured) == MOST_ADDRESSES
    if era == "legacy":
        with pytest.raises(MCPError, match=f"{MOST_ADDRESSES} resources are subscribed to already"):
            await listener.subscribes(SIM101)
        await listener.client.subscribe_resource(same[0])
        await listener.leaves(same[0])
        await listener.subscribes(SIM101)


async def test_so_many_instruments_may_be_followed_and_no_more(house: House, listener: Listener) -> None:
    (read,) = await house.context.desk.upstream.quotes(["ES"])
    for year in range(MOST_HELD):
        house.view.keep_quote(str(year), replace(read, instrument=Instrument("ES", 2030 + year, 12)))
        house.view.hold(str(year))
    with pytest.raises(MCPError, match=f"{MOST_HELD} instruments are followed already"):
        await listener.subscribes(ES)
    assert not house.view._listeners


@pytest.mark.slow
@pytest.mark.parametrize("era", ["auto"])
async def test_so_many_clients_may_listen_and_no_more(house: House, listener: Listener) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(MOST_STREAMS):
            await stack.enter_async_context(listener.client.listen(resource_subscriptions=[SIM101]))
        with pytest.raises(MCPError, match=f"{MOST_STREAMS} clients listen already"):
            await listener.subscribes(SIM101)
    await anyio.wait_all_tasks_blocked()
    await listener.subscribes(SIM101)


# How it ends


async def test_unsubscribing_lets_go_of_everything(house: House, listener: Listener, clock: ManualClock) -> None:
    everything = [ACCOUNTS, SIM101, ES, JOURNAL, "crosstrade://policy"]
    await listener.subscribes(*everything)
    assert not house.is_quiet
    await house.happens(tick(clock), tick(clock), AccountChanged("Sim101"))
    listener.hears()
    await listener.leaves(*everything, "crosstrade://quotes/never-subscribed")
    await house.happens(tick(clock), AccountChanged("Sim101"))
    await house.time.passes(5)
    assert listener.hears() == []
    assert house.is_quiet


async def test_a_client_that_hangs_up_leaves_nothing_behind(house: House, clock: ManualClock) -> None:
    for _ in range(3):
        async with house.joined() as gone:
            await gone.subscribes(ACCOUNTS, SIM101, ES, JOURNAL)
            await house.happens(tick(clock), AccountChanged("Sim101"))
            await house.happens(tick(clock), AccountChanged("Sim101"))
            assert house.time.waits
        await anyio.wait_all_tasks_blocked()
        assert house.is_quiet


async def test_one_that_leaves_takes_nothing_from_the_others(
    house: House, listener: Listener, clock: ManualClock
) -> None:
    await listener.subscribes(ES, SIM101)
    async with house.joined() as gone:
        await gone.subscribes(ES, SIM101, JOURNAL)
    await anyio.wait_all_tasks_blocked()
    await house.happens(tick(clock), AccountChanged("Sim101"))
    assert sorted(listener.hears()) == sorted([ES, SIM101])
    assert house.view._held


def test_what_is_found_only_after_its_client_has_left_is_let_go_at_once(time: Time) -> None:
    subscriber, left = Subscriber(time.throttle), list[str]()
    assert subscriber.reserve(ES)
    assert not subscriber.reserve(ES)
    subscriber.leave()
    subscriber.fill(ES, lambda: left.append(ES))
    assert left == [ES]


@pytest.mark.parametrize("era", ["legacy"])
async def test_until_2025_subscribing_twice_is_one_notice_and_unsubscribing_once_ends_it(
    house: House, listener: Listener
) -> None:
    await listener.subscribes(SIM101, SIM101)
    await house.happens(AccountChanged("Sim101"))
    assert listener.hears() == [SIM101]
    await listener.leaves(SIM101)
    assert house.is_quiet


@pytest.mark.parametrize("era", ["legacy"])
async def test_a_client_that_calls_itself_initialized_twice_is_told_once(house: House, listener: Listener) -> None:
    await listener.client.session.send_notification(InitializedNotification())
    await listener.subscribes(SIM101)
    await house.happens(AccountChanged("Sim101"))
    assert listener.hears() == [SIM101]


@dataclass
class Deaf:
    """A client at the other end of a pipe, that reads only when a test makes it."""

    read: Any
    write: Any

    async def says(self, method: str, number: int | None = None, **params: Any) -> None:
        """Send a request, or without a number a notification."""
        message = {"jsonrpc": "2.0", "method": method, "params": params} | ({"id": number} if number else {})
        await self.write.send(SessionMessage(jsonrpc_message_adapter.validate_python(message)))

    async def fetches(self) -> dict[str, Any]:
        """Read one message."""
        with anyio.fail_after(60):
            message = (await self.read.receive()).message
        return dict(message.model_dump(by_alias=True, exclude_none=True))

    async def subscribes(self, era: str, uri: str) -> None:
        """Subscribe, and read up to the answer to that."""
        if era == "legacy":
            me = {"name": "deaf", "version": "1"}
            await self.says("initialize", 1, protocolVersion="2025-11-25", capabilities={}, clientInfo=me)
            assert (await self.fetches())["result"]["capabilities"]["resources"]["subscribe"] is True
            await self.says("notifications/initialized")
            await self.says("resources/subscribe", 2, uri=uri)
            assert (await self.fetches())["id"] == 2
            return
        meta = {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        }
        await self.says("subscriptions/listen", 1, _meta=meta, notifications={"resourceSubscriptions": [uri]})
        acknowledged = await self.fetches()
        assert acknowledged["method"] == "notifications/subscriptions/acknowledged"
        assert acknowledged["params"]["notifications"] == {"resourceSubscriptions": [uri]}


async def test_a_client_that_never_reads_holds_up_nobody_and_its_backlog_does_not_grow(house: House) -> None:
    async with InMemoryTransport(house.server) as (read, write), house.joined() as other:
        deaf = Deaf(read, write)
        await deaf.subscribes(house.era, SIM101)
        await other.subscribes(SIM101)
        for _ in range(10):
            await house.happens(AccountChanged("Sim101"))
            await house.time.passes(1)
            assert other.hears() == [SIM101]
        for _ in range(3):  # one in the pipe, one on its way into it, and all the others
            told = await deaf.fetches()
            assert (told["method"], told["params"]["uri"]) == ("notifications/resources/updated", SIM101)
            await house.time.passes(1)
        await deaf.says("ping", 9)
        assert (await deaf.fetches())["id"] == 9, "there was no other notice"


# What is advertised


async def test_subscribing_is_advertised(listener: Listener) -> None:
    resources = listener.client.server_capabilities.resources
    assert resources is not None
    assert resources.subscribe is True


async def test_what_can_be_subscribed_to_says_what_is_noticed(listener: Listener) -> None:
    listed = (await listener.client.list_resources()).resources
    templates = (await listener.client.list_resource_templates()).resource_templates
    told: dict[str, Any] = {str(each.uri): each.description for each in listed}
    told |= {each.uri_template: each.description for each in templates}
    said = {uri for uri, words in told.items() if "Can be subscribed to" in words}
    of_one = {"crosstrade://accounts/{account}/snapshot", "crosstrade://quotes/{instrument}"}
    assert said == {ACCOUNTS, JOURNAL, WATCHED, *of_one}
    assert all("stream is up, which get_status tells" in told[uri] for uri in said - {JOURNAL, WATCHED})


# Over HTTP


async def until(happened: Callable[[], bool]) -> None:
    """Let the socket carry what is on its way."""
    with anyio.fail_after(60):
        while not happened():
            await anyio.lowlevel.checkpoint()  # `wait_all_tasks_blocked` may wait for a client's task that never is


@asynccontextmanager
async def over_http(house: House) -> AsyncIterator[tuple[str, anyio.Event]]:
    """Put the server on a socket of this machine; it ends with the event."""
    made, ending = list[HttpServer](), anyio.Event()

    def app(authority: str) -> Any:
        made.append(HttpServer(house.server, house.context, HttpAccess(frozenset({authority}), "a-token-of-clients")))
        return made[0].app

    async def answers(*, task_status: TaskStatus[None]) -> None:
        async with made[0].opened():
            task_status.started()
            await ending.wait()

    async with serve(app, listen()) as authority, anyio.create_task_group() as tasks:
        await tasks.start(answers)
        yield f"http://{authority}/mcp", ending
        ending.set()


@asynccontextmanager
async def joined_over_http(house: House, url: str) -> AsyncIterator[Listener]:
    heard = list[str]()

    async def take(message: object) -> None:
        if isinstance(message, ResourceUpdatedNotification):
            heard.append(str(message.params.uri))

    handler: dict[str, Any] = {"message_handler": take} if house.era == "legacy" else {}
    async with (
        httpx2.AsyncClient(headers={"Authorization": "Bearer a-token-of-clients"}, timeout=60) as wire,
        Client(streamable_http_client(url, http_client=wire), mode=house.era, **handler) as client,
        AsyncExitStack() as stack,
    ):
        yield Listener(client, house.era, heard, stack)


async def test_over_http_a_client_is_told_and_leaves_nothing_behind(house: House) -> None:
    async with over_http(house) as (url, _):
        async with joined_over_http(house, url) as listener:
            await listener.subscribes(SIM101, ES)
            async with joined_over_http(house, url) as other:
                await other.subscribes(APEX)
                house.view.hear(AccountChanged("Sim101"))
                await until(lambda: listener.heard == [SIM101])
                assert other.heard == []
        await until(lambda: house.is_quiet)


async def test_over_http_the_end_of_the_server_lets_go_of_whoever_still_listens(house: House) -> None:
    async with over_http(house) as (url, ending), joined_over_http(house, url) as listener:
        await listener.subscribes(SIM101)
        assert not house.is_quiet
        ending.set()
        await until(lambda: house.is_quiet)
