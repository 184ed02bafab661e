"""Subscriptions to resources, in both eras of the protocol.

Until 2025 a client subscribes address by address and is notified on its connection; since 2026 one request names all
addresses and stays open, and the notifications are its answer. Either way a client that does not read delays nobody
but itself: what it was not told yet is kept once for each address.
"""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from mcp.server import MCPServer
from mcp.server.connection import Connection
from mcp.server.context import ServerRequestContext
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
from ct_mcp.server import sdk
from ct_mcp.server.context import ServerContext
from ct_mcp.server.queries import time_limit
from ct_mcp.server.resource_updates import (
    Notify,
    ResourceUpdates,
    Throttle,
    Unsubscribe,
    UpdateQueue,
    parse_topic,
)

MOST_ADDRESSES = 100
MOST_STREAMS = 500

_Ctx = ServerRequestContext[ServerContext, Any]


class Subscriber:
    """One client, the addresses that it subscribes to, and what it was not told yet."""

    def __init__(self, throttle: Throttle) -> None:
        self.queue = UpdateQueue(throttle)
        self.is_served = False
        self._subscriptions: dict[str, Unsubscribe | None] = {}

    def reserve(self, uri: str) -> bool:
        """Take a place for one address; False where it has one.

        Raises:
            BadRequest: There is no place left.
        """
        if uri in self._subscriptions:
            return False
        if len(self._subscriptions) >= MOST_ADDRESSES:
            raise BadRequest(f"{MOST_ADDRESSES} resources are subscribed to already; unsubscribe from one first")
        self._subscriptions[uri] = None
        return True

    def fill(self, uri: str, unsubscribe: Unsubscribe | None) -> None:
        """Fill the place that was reserved; None gives it back, and so does a client that has left meanwhile."""
        if uri in self._subscriptions and unsubscribe is not None:
            self._subscriptions[uri] = unsubscribe
        else:
            self._subscriptions.pop(uri, None)
            if unsubscribe is not None:
                unsubscribe()

    def drop(self, uri: str) -> None:
        """End the subscription to this address."""
        if (unsubscribe := self._subscriptions.pop(uri, None)) is not None:
            unsubscribe()
        self.queue.forget(ResourceUpdated(uri))

    def leave(self) -> None:
        """End all subscriptions."""
        for uri in tuple(self._subscriptions):
            self.drop(uri)


class Subscriptions:
    """The subscribers of one server."""

    def __init__(
        self, server: MCPServer[ServerContext], updates: ResourceUpdates, bus: SubscriptionBus, throttle: Throttle
    ) -> None:
        self._server = server
        self._updates = updates
        self._bus = bus
        self._throttle = throttle
        self._connected: dict[Connection, Subscriber] = {}
        self._streams: set[Subscriber] = set()

    async def subscribe(self, ctx: _Ctx, params: SubscribeRequestParams) -> EmptyResult:
        """Until 2025: notify this connection of one more address."""
        with _protocol_errors():
            await self._add(self._on_connection(ctx), params.uri)
        return EmptyResult()

    async def unsubscribe(self, ctx: _Ctx, params: UnsubscribeRequestParams) -> EmptyResult:
        """Until 2025: notify it of this address no more."""
        self._on_connection(ctx).drop(params.uri)
        return EmptyResult()

    async def notify(self, ctx: _Ctx, _: NotificationParams) -> None:
        """Until 2025: send notifications to this connection as long as it lasts."""
        subscriber = self._on_connection(ctx)
        if subscriber.is_served:
            return
        subscriber.is_served = True
        while True:
            event = await subscriber.queue.next()
            if isinstance(event, ResourceUpdated):  # pragma: no branch  # nothing else is ever added here
                await ctx.session.send_resource_updated(event.uri)

    async def listen(self, ctx: _Ctx, params: SubscriptionsListenRequestParams) -> SubscriptionsListenResult:
        """Since 2026: acknowledge what will be notified of, then notify until the client hangs up."""
        with ExitStack() as stack:
            subscriber = self._begin_stream(stack)
            with _protocol_errors():
                honoured = await self._honoured(subscriber, params.notifications)
            stack.callback(self._bus.subscribe(partial(_deliver, subscriber.queue, honoured)))
            meta: dict[str, Any] = {SUBSCRIPTION_ID_META_KEY: ctx.request_id}
            send = partial(ctx.session.send_notification, related_request_id=ctx.request_id)
            acknowledged = SubscriptionsAcknowledgedNotificationParams(notifications=honoured, _meta=meta)
            await send(SubscriptionsAcknowledgedNotification(params=acknowledged))
            while True:
                await send(event_to_notification(await subscriber.queue.next(), meta))

    def _begin_stream(self, stack: ExitStack) -> Subscriber:
        if len(self._streams) >= MOST_STREAMS:
            raise MCPError(INTERNAL_ERROR, f"{MOST_STREAMS} clients listen already")
        subscriber = Subscriber(self._throttle)
        self._streams.add(subscriber)
        stack.callback(self._streams.discard, subscriber)
        stack.callback(subscriber.leave)
        return subscriber

    def _on_connection(self, ctx: _Ctx) -> Subscriber:
        connection = sdk.connection_of(ctx.session)
        if connection not in self._connected:
            self._connected[connection] = Subscriber(self._throttle)
            sdk.on_disconnect(connection, partial(self._disconnect, connection))
        return self._connected[connection]

    def _disconnect(self, connection: Connection) -> None:
        self._connected.pop(connection).leave()

    @time_limit()
    async def _honoured(self, subscriber: Subscriber, wanted: SubscriptionFilter) -> SubscriptionFilter:
        """Subscribe to as much of it as there is; this era says no by leaving an address out of the acknowledgement.

        Raises:
            CtMcpError: No address is any good; the first says why.
        """
        kept, refused = list[str](), list[CtMcpError]()
        for uri in dict.fromkeys(wanted.resource_subscriptions or ()):
            try:
                await self._add(subscriber, uri)
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

    @time_limit()
    async def _add(self, subscriber: Subscriber, uri: str) -> None:
        if not subscriber.reserve(uri):
            return
        unsubscribe = None
        try:
            unsubscribe = await self._subscribe(uri, partial(subscriber.queue.add, ResourceUpdated(uri)))
        finally:
            subscriber.fill(uri, unsubscribe)

    async def _subscribe(self, uri: str, notify: Notify) -> Unsubscribe:
        if (topic := parse_topic(uri)) is not None:
            return self._updates.subscribe(await self._updates.resolve(topic), notify)
        if all(str(listed.uri) != uri for listed in await self._server.list_resources()):
            raise BadRequest(f"resource {uri[:80]!a} does not exist: resources/list names those that there are")
        return _never_changes


def add_subscriptions(
    server: MCPServer[ServerContext], context: ServerContext, bus: SubscriptionBus, throttle: Throttle
) -> None:
    """Serve subscriptions in both eras, which advertises them; ``bus`` is what the server itself publishes on."""
    subscriptions = Subscriptions(server, ResourceUpdates(context), bus, throttle)
    sdk.add_request_handler(server, "resources/subscribe", SubscribeRequestParams, subscriptions.subscribe)
    sdk.add_request_handler(server, "resources/unsubscribe", UnsubscribeRequestParams, subscriptions.unsubscribe)
    sdk.add_request_handler(server, "subscriptions/listen", SubscriptionsListenRequestParams, subscriptions.listen)
    sdk.on_initialized(server, subscriptions.notify)


def _deliver(queue: UpdateQueue, honoured: SubscriptionFilter, event: ServerEvent) -> None:
    """Queue what the server itself publishes, as far as the client asked for it."""
    if event_matches(honoured, frozenset(honoured.resource_subscriptions or ()), event):
        queue.add(event)


@contextmanager
def _protocol_errors() -> Iterator[None]:
    """Let our own errors keep their text; any other is logged and hidden.

    Raises:
        MCPError: Whatever failed.
    """
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
    """Do nothing: there was nothing to subscribe to."""
