"""Who is told when which resource changes; hears the live view while anybody wants to be told, and not after that."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

from ct_mcp.crosstrade.protocol import Event
from ct_mcp.crosstrade.wire_stream import PnlNews
from ct_mcp.domain.action import Action
from ct_mcp.server.topics import JOURNAL, Kind, Topic, concerns, snapshot_of
from ct_mcp.server.wiring import Wiring, reading_in

Tell = Callable[[], None]
Leave = Callable[[], None]


class Watched:
    """What is watched, and by whom. Telling never waits for anybody."""

    def __init__(self, wiring: Wiring) -> None:
        """Touch nothing yet."""
        self._wiring = wiring
        self._seats: dict[Topic, dict[object, Tell]] = {}
        self._pnl: dict[Topic, tuple[tuple[Decimal | None, ...], datetime]] = {}
        self._leave_view: Leave | None = None

    @property
    def topics(self) -> frozenset[Topic]:
        """Whatever somebody watches."""
        return frozenset(self._seats)

    async def found(self, topic: Topic) -> Topic:
        """The same with the account's own name; the quote is read, so that the stream is asked for the next ones.

        Raises:
            CtMcpError: There is no such account or instrument, or nobody could be asked.
        """
        reading = reading_in(self._wiring)
        if topic.kind is Kind.SNAPSHOT:
            return snapshot_of((await reading.desk.names.account(topic.name)).name)
        if topic.kind is Kind.QUOTE:
            await reading.live.quotes([topic.name])
        return topic

    def watch(self, topic: Topic, tell: Tell) -> Leave:
        """Call ``tell`` whenever this may have changed; the answer, called once, ends that.

        Raises:
            BadRequest: It is the quote of one instrument too many.
        """
        let_go = self._wiring.live.hold(topic.name) if topic.kind is Kind.QUOTE else _nothing
        if self._leave_view is None:
            self._begin()
        seat = object()
        self._seats.setdefault(topic, {})[seat] = tell

        def leave() -> None:
            let_go()
            self._free(topic, seat)

        return leave

    def changed(self, topic: Topic) -> None:
        """Tell all who watch this."""
        for tell in tuple(self._seats.get(topic, {}).values()):
            tell()

    def _begin(self) -> None:
        self._leave_view = self._wiring.live.on_news(self._hear)
        self._wiring.desk.on_sent.append(self._sent)

    def _free(self, topic: Topic, seat: object) -> None:
        del self._seats[topic][seat]
        if not self._seats[topic]:
            del self._seats[topic]
            self._pnl.pop(topic, None)
        if not self._seats and self._leave_view is not None:
            self._leave_view()
            self._leave_view = None
            self._wiring.desk.on_sent.remove(self._sent)

    def _hear(self, event: Event) -> None:
        if isinstance(event, PnlNews) and not self._has_moved(event):
            return
        for topic in [topic for topic in self._seats if concerns(event, topic, self._wiring.live.stands_for)]:
            self.changed(topic)

    def _sent(self, _: Action) -> None:
        self.changed(JOURNAL)

    def _has_moved(self, event: PnlNews) -> bool:
        """The service tells the P&L each second, moved or not. A read may be as old as figures are allowed to be, so
        what has come to rest is told until that has passed.
        """
        topic, figures = snapshot_of(event.account), (event.realized, event.unrealized)
        if topic not in self._seats:
            return False
        last, moved_at = self._pnl.get(topic, (None, event.at))
        if figures != last or None in figures:
            self._pnl[topic] = figures, event.at
            return True
        return (event.at - moved_at).total_seconds() <= self._wiring.live.freshness.figures_seconds + 1


def _nothing() -> None:
    """Let go of what was not held."""
