"""Tell subscribers when a resource changes, each at most once a second of each resource.

Events of the live view, what this server sends itself and what it writes to the journal become changes of *topics*;
every subscriber of a topic has a callback that never waits. `UpdateQueue` is what most callbacks fill: it holds what
one client was not told yet, bounded by the number of its topics, and never loses the last change.

The live view is listened to while anybody subscribes, and not after that.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

import anyio
from mcp.server.subscriptions import ServerEvent
from mcp.shared.uri_template import UriTemplate

from ct_mcp.crosstrade.stream.events import AccountChanged, Event, Gap, PnlUpdate, QuoteTick
from ct_mcp.domain.commands import Command
from ct_mcp.domain.instrument import Instrument
from ct_mcp.server.context import ServerContext

Notify = Callable[[], None]
"""Called at each change; returns at once."""
Unsubscribe = Callable[[], None]
"""Called once, to end a subscription."""


class ResourceKind(StrEnum):
    """The resources that change, each with its address."""

    ACCOUNTS = "crosstrade://accounts"
    SNAPSHOT = "crosstrade://accounts/{account}/snapshot"
    QUOTE = "crosstrade://quotes/{instrument}"
    JOURNAL = "crosstrade://journal"
    WATCHES = "crosstrade://watches"


@dataclass(frozen=True, slots=True)
class Topic:
    """One resource that changes; an account's name in small letters, an instrument's as it was asked for."""

    kind: ResourceKind
    name: str = ""


JOURNAL = Topic(ResourceKind.JOURNAL)
WATCHES = Topic(ResourceKind.WATCHES)
_TEMPLATES = {kind: UriTemplate.parse(kind) for kind in ResourceKind}


def snapshot_topic(account: str) -> Topic:
    """Give the topic of this account's snapshot, whatever the case of its letters."""
    return Topic(ResourceKind.SNAPSHOT, account.casefold())


def parse_topic(uri: str) -> Topic | None:
    """Read the address of a resource that changes; None for any other. Names are still as they were written."""
    for kind, template in _TEMPLATES.items():
        if (found := template.match(uri)) is not None:
            return Topic(kind, "".join(map(str, found.values())))
    return None


def is_affected(topic: Topic, event: Event, contract_of: Callable[[str], Instrument | None]) -> bool:
    """Say whether the event may have changed the topic; ``contract_of`` gives the contract that a name means."""
    match event:
        case AccountChanged(account=str(name)):
            return topic.kind is ResourceKind.ACCOUNTS or topic == snapshot_topic(name)
        case AccountChanged() | Gap():
            return topic.kind in (ResourceKind.ACCOUNTS, ResourceKind.SNAPSHOT)
        case PnlUpdate():
            return topic == snapshot_topic(event.account)
        case QuoteTick():  # pragma: no branch  # the set is closed
            return topic.kind is ResourceKind.QUOTE and contract_of(topic.name) == event.instrument


class ResourceUpdates:
    """The subscribers of every topic. Notifying never waits for anybody."""

    def __init__(self, context: ServerContext) -> None:
        """Touch nothing yet."""
        self._context = context
        self._subscribers: dict[Topic, dict[object, Notify]] = {}
        self._pnl: dict[Topic, tuple[tuple[Decimal | None, ...], datetime]] = {}
        self._stop_listening: Unsubscribe | None = None

    @property
    def topics(self) -> frozenset[Topic]:
        """Whatever somebody subscribes to."""
        return frozenset(self._subscribers)

    async def resolve(self, topic: Topic) -> Topic:
        """Put the account's own name in; read a quote, so that the stream is asked for the next ones.

        Raises:
            CtMcpError: There is no such account or instrument, or nobody could be asked.
        """
        query = self._context.query()
        if topic.kind is ResourceKind.SNAPSHOT:
            return snapshot_topic((await query.desk.resolver.account(topic.name)).name)
        if topic.kind is ResourceKind.QUOTE:
            await query.live.quotes([topic.name])
        return topic

    def subscribe(self, topic: Topic, notify: Notify) -> Unsubscribe:
        """Call ``notify`` whenever the topic may have changed, until what this returns is called.

        Raises:
            BadRequest: It is the quote of one instrument too many.
        """
        release = self._context.live.hold(topic.name) if topic.kind is ResourceKind.QUOTE else _nothing_to_release
        if self._stop_listening is None:
            self._listen()
        subscriber = object()
        self._subscribers.setdefault(topic, {})[subscriber] = notify

        def unsubscribe() -> None:
            release()
            self._remove(topic, subscriber)

        return unsubscribe

    def publish(self, topic: Topic) -> None:
        """Notify all subscribers of this topic."""
        for notify in tuple(self._subscribers.get(topic, {}).values()):
            notify()

    def _listen(self) -> None:
        self._stop_listening = self._context.live.on_news(self._on_event)
        self._context.desk.on_sent.append(self._on_sent)
        self._context.on_notice.append(self._on_notice)
        self._context.on_written.append(self._on_written)

    def _remove(self, topic: Topic, subscriber: object) -> None:
        del self._subscribers[topic][subscriber]
        if not self._subscribers[topic]:
            del self._subscribers[topic]
            self._pnl.pop(topic, None)
        if not self._subscribers and self._stop_listening is not None:
            self._stop_listening()
            self._stop_listening = None
            self._context.desk.on_sent.remove(self._on_sent)
            self._context.on_notice.remove(self._on_notice)
            self._context.on_written.remove(self._on_written)

    def _on_event(self, event: Event) -> None:
        if isinstance(event, PnlUpdate) and not self._is_news(event):
            return
        contract_of = self._context.live.stands_for
        for topic in [topic for topic in self._subscribers if is_affected(topic, event, contract_of)]:
            self.publish(topic)

    def _on_sent(self, _: Command) -> None:
        self._on_written()

    def _on_written(self) -> None:
        self.publish(JOURNAL)

    def _on_notice(self) -> None:
        self.publish(WATCHES)
        self.publish(JOURNAL)

    def _is_news(self, event: PnlUpdate) -> bool:
        """Say whether to publish it: the service sends the P&L each second, changed or not.

        A read may be as old as figures are allowed to be, so figures that rest are published until that has passed.
        """
        topic, figures = snapshot_topic(event.account), (event.realized, event.unrealized)
        if topic not in self._subscribers:
            return False
        last, changed_at = self._pnl.get(topic, (None, event.at))
        if figures != last or None in figures:
            self._pnl[topic] = figures, event.at
            return True
        return (event.at - changed_at).total_seconds() <= self._context.live.freshness.figures_seconds + 1


def _nothing_to_release() -> None:
    """Do nothing: only quotes are held."""


@dataclass(frozen=True, slots=True)
class Throttle:
    """How seldom a client is told of one resource, and the time that counts for it."""

    every_seconds: float = 1.0
    clock: Callable[[], float] = anyio.current_time
    pause: Callable[[float], Awaitable[None]] = anyio.sleep


class UpdateQueue:
    """The events that one client was not told yet: each at most once, and no sooner than the throttle allows."""

    def __init__(self, throttle: Throttle) -> None:
        self._throttle = throttle
        self._due_at: dict[ServerEvent, float] = {}
        self._sent_at: dict[ServerEvent, float] = {}
        self._added = anyio.Event()

    def add(self, event: ServerEvent) -> None:
        """Queue an event, without waiting; one that is queued already is not queued twice."""
        if event not in self._due_at:
            last = self._sent_at.get(event)
            self._due_at[event] = self._throttle.clock() if last is None else last + self._throttle.every_seconds
            self._added.set()

    def forget(self, event: ServerEvent) -> None:
        """Drop an event that the client no longer wants."""
        self._due_at.pop(event, None)
        self._sent_at.pop(event, None)

    async def next(self) -> ServerEvent:
        """Wait for the event that has been due for the longest; a change after that is queued again."""
        while True:
            now, event = self._throttle.clock(), min(self._due_at, key=self._due_at.__getitem__, default=None)
            if event is not None and self._due_at[event] <= now:
                del self._due_at[event]
                self._sent_at[event] = now
                return event
            await self._wait_for_event_or(None if event is None else self._due_at[event] - now)

    async def _wait_for_event_or(self, seconds: float | None) -> None:
        self._added = anyio.Event()
        if seconds is None:
            await self._added.wait()
            return
        async with anyio.create_task_group() as waiting:

            async def wait_for_event() -> None:
                await self._added.wait()
                waiting.cancel_scope.cancel()

            waiting.start_soon(wait_for_event)
            await self._throttle.pause(seconds)
            waiting.cancel_scope.cancel()
