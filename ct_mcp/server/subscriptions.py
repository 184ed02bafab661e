"""Subscriptions to resources, in both eras of the protocol.

Until 2025 a client subscribes address by address and is told on its connection; since 2026 one request names all
addresses and stays open, and the notices are its answer. Either way a client that does not read holds up nobody but
itself: what it was not told yet is kept once for each address.
"""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from mcp.server import MCPServer
from mcp.server.connection import Connection
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.subscriptions import SUBSCRIPTION_ID_META_KEY, ResourceUpdated, ServerEvent, SubscriptionBus
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import event_matches, event_to_notification
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    EmptyResult,
    NotificationParams,
    SubscribeRequestParams,
    SubscriptionFilter,
    SubscriptionsAcknowledgedNotification,
    SubscriptionsAcknowledgedNotificationParams,
    SubscriptionsListenRequestParams,
    SubscriptionsListenResult,
    UnsubscribeRequestParams,
)

from ct_mcp.errors import BadRequest, CtMcpError, NotFound
from ct_mcp.server.notices import Notices, Pace
from ct_mcp.server.reading import in_time
from ct_mcp.server.topics import JOURNAL, topic_of
from ct_mcp.server.watched import Leave, Tell, Watched
from ct_mcp.server.wiring import Wiring

MOST_ADDRESSES = 100
MOST_STREAMS = 500

_Ctx = ServerRequestContext[Wiring, Any]


class Subscriber:
    """One client, the addresses that it is told of, and what it was not told yet."""

    def __init__(self, pace: Pace) -> None:
        self.notices = Notices(pace)
        self.is_served = False
        self._leaves: dict[str, Leave | None] = {}

    def reserve(self, uri: str) -> bool:
        """Take a place for one address; False where it has one.

        Raises:
            BadRequest: There is no place left.
        """
        if uri in self._leaves:
            return False
        if len(self._leaves) >= MOST_ADDRESSES:
            raise BadRequest(f"{MOST_ADDRESSES} resources are subscribed to already; unsubscribe from one first")
        self._leaves[uri] = None
        return True

    def keep(self, uri: str, leave: Leave | None) -> None:
        """Fill the place that was reserved; None gives it back, and so does a client that has left meanwhile."""
        if uri in self._leaves and leave is not None:
            self._leaves[uri] = leave
        else:
            self._leaves.pop(uri, None)
            if leave is not None:
                leave()

    def drop(self, uri: str) -> None:
        """Tell of this address no more."""
        if (leave := self._leaves.pop(uri, None)) is not None:
            leave()
        self.notices.forget(ResourceUpdated(uri))

    def leave(self) -> None:
        """Tell of nothing more."""
        for uri in tuple(self._leaves):
            self.drop(uri)


class Subscriptions:
    """Everybody who is told of changes by one server."""

    def __init__(self, server: MCPServer[Wiring], watched: Watched, bus: SubscriptionBus, pace: Pace) -> None:
        self._server = server
        self._watched = watched
        self._bus = bus
        self._pace = pace
        self._connected: dict[Connection, Subscriber] = {}
        self._streams: set[Subscriber] = set()

    async def subscribe(self, ctx: _Ctx, params: SubscribeRequestParams) -> EmptyResult:
        """Until 2025: tell this connection of one more address."""
        with _one_door():
            await self._take(self._on_connection(ctx), params.uri)
        return EmptyResult()

    async def unsubscribe(self, ctx: _Ctx, params: UnsubscribeRequestParams) -> EmptyResult:
        """Until 2025: tell it of this address no more."""
        self._on_connection(ctx).drop(params.uri)
        return EmptyResult()

    async def tell(self, ctx: _Ctx, _: NotificationParams) -> None:
        """Until 2025: tell this connection what changes, as long as it stands; at its end the SDK cancels this."""
        subscriber = self._on_connection(ctx)
        if subscriber.is_served:
            return
        subscriber.is_served = True
        while True:
            event = await subscriber.notices.next()
            if isinstance(event, ResourceUpdated):  # pragma: no branch  # nothing else is ever added here
                await ctx.session.send_resource_updated(event.uri)

    async def listen(self, ctx: _Ctx, params: SubscriptionsListenRequestParams) -> SubscriptionsListenResult:
        """Since 2026: acknowledge what will be told, then tell it until the client hangs up."""
        with ExitStack() as stack:
            subscriber = self._begin_stream(stack)
            with _one_door():
                honoured = await self._honoured(subscriber, params.notifications)
            stack.callback(self._bus.subscribe(partial(_deliver, subscriber.notices, honoured)))
            meta: dict[str, Any] = {SUBSCRIPTION_ID_META_KEY: ctx.request_id}
            send = partial(ctx.session.send_notification, related_request_id=ctx.request_id)
            told = SubscriptionsAcknowledgedNotificationParams(notifications=honoured, _meta=meta)
            await send(SubscriptionsAcknowledgedNotification(params=told))
            while True:
                await send(event_to_notification(await subscriber.notices.next(), meta))

    async def note_tools(self, ctx: _Ctx, call_next: CallNext) -> HandlerResult:
        """After a call of what may write to the journal, tell those who watch it."""
        answer = await call_next(ctx)
        if ctx.method == "tools/call" and JOURNAL in self._watched.topics:
            called = (ctx.params or {}).get("name")
            tool = next((tool for tool in await self._server.list_tools() if tool.name == called), None)
            if tool and not (tool.annotations and tool.annotations.read_only_hint):
                self._watched.changed(JOURNAL)
        return answer

    def _begin_stream(self, stack: ExitStack) -> Subscriber:
        if len(self._streams) >= MOST_STREAMS:
            raise MCPError(INTERNAL_ERROR, f"{MOST_STREAMS} clients listen already")
        subscriber = Subscriber(self._pace)
        self._streams.add(subscriber)
        stack.callback(self._streams.discard, subscriber)
        stack.callback(subscriber.leave)
        return subscriber

    def _on_connection(self, ctx: _Ctx) -> Subscriber:
        connection = ctx.session._connection  # there is no public way from a request to its connection
        if connection not in self._connected:
            self._connected[connection] = Subscriber(self._pace)
            connection.exit_stack.callback(self._hung_up, connection)
        return self._connected[connection]

    def _hung_up(self, connection: Connection) -> None:
        self._connected.pop(connection).leave()

    @in_time()
    async def _honoured(self, subscriber: Subscriber, wanted: SubscriptionFilter) -> SubscriptionFilter:
        """As much of it as will be told. Where no address is any good, the first says why; otherwise that one is left
        out, which is how this era says no.
        """
        kept, refused = list[str](), list[CtMcpError]()
        for uri in dict.fromkeys(wanted.resource_subscriptions or ()):
            try:
                await self._take(subscriber, uri)
                kept.append(uri)
            except CtMcpError as error:
                refused.append(error)
        if refused and not kept:
            raise refused[0]
        return SubscriptionFilter(
            tools_list_changed=wanted.tools_list_changed or None,
            prompts_list_changed=wanted.prompts_list_changed or None,
            resources_list_changed=wanted.resources_list_changed or None,
            resource_subscriptions=kept or None,
        )

    @in_time()
    async def _take(self, subscriber: Subscriber, uri: str) -> None:
        if not subscriber.reserve(uri):
            return
        leave = None
        try:
            leave = await self._watch(uri, partial(subscriber.notices.add, ResourceUpdated(uri)))
        finally:
            subscriber.keep(uri, leave)

    async def _watch(self, uri: str, tell: Tell) -> Leave:
        if (topic := topic_of(uri)) is not None:
            return self._watched.watch(await self._watched.found(topic), tell)
        if all(str(listed.uri) != uri for listed in await self._server.list_resources()):
            raise BadRequest(f"resource {uri[:80]!a} does not exist: resources/list names those that there are")
        return _never_changes


def add_subscriptions(server: MCPServer[Wiring], wiring: Wiring, bus: SubscriptionBus, pace: Pace) -> Watched:
    """Serve subscriptions in both eras, which advertises them; ``bus`` is what the server itself publishes on."""
    watched = Watched(wiring)
    subscriptions = Subscriptions(server, watched, bus, pace)
    handlers = server._lowlevel_server  # there is no public way to add a handler
    handlers.add_request_handler("resources/subscribe", SubscribeRequestParams, subscriptions.subscribe)
    handlers.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, subscriptions.unsubscribe)
    handlers.add_request_handler("subscriptions/listen", SubscriptionsListenRequestParams, subscriptions.listen)
    handlers.add_notification_handler("notifications/initialized", NotificationParams, subscriptions.tell)
    server.middleware.append(subscriptions.note_tools)
    return watched


def _deliver(notices: Notices, honoured: SubscriptionFilter, event: ServerEvent) -> None:
    """Take what the server itself publishes, as far as it was asked for."""
    if event_matches(honoured, frozenset(honoured.resource_subscriptions or ()), event):
        notices.add(event)


@contextmanager
def _one_door() -> Iterator[None]:
    """The text of our own errors passes; everything else is logged and hidden."""
    try:
        yield
    except (BadRequest, NotFound) as error:
        raise MCPError(INVALID_PARAMS, str(error)) from error
    except CtMcpError as error:
        raise MCPError(INTERNAL_ERROR, str(error)) from error
    except Exception as error:
        logging.getLogger("ct_mcp").exception("A subscription failed")
        raise MCPError(INTERNAL_ERROR, "Internal error") from error


def _never_changes() -> None:
    """Let go of what was never watched."""
