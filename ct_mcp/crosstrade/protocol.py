"""The stream as a state machine: text in, events out. It has no socket, and the time is handed in.

What is known of an account may be relied on only while the stream is sound and nothing that it told has put it in
doubt. Every loss is told as a `Doubt`: a gap in the numbers, a frame that cannot be read, their own word, silence, the
end of the connection. Nothing here is ever repaired by guessing; whoever keeps a view reads again.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from json import dumps

from ct_mcp.crosstrade.wire_stream import READY, AccountNews, Frame, PnlNews, Refusal, Resync, State, Tick, frame_in
from ct_mcp.domain.instrument import Instrument
from ct_mcp.errors import BadReply

PING_AFTER_SECONDS = 15.0
DEAD_AFTER_SECONDS = 30.0
BACK_OFF_SECONDS = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
PNL_EVERY_MILLISECONDS = 1000
MOST_CHANGES = 5.0
CHANGES_PER_SECOND = 18 / 60  # they allow twenty a minute
MOST_ACCOUNTS = 100
_TOO_MANY_VIOLATIONS = 1008


@dataclass(frozen=True, slots=True)
class Doubt:
    """From here on nothing that was read before may be relied on."""

    why: str


Event = Tick | AccountNews | PnlNews | Doubt


@dataclass(frozen=True, slots=True)
class _Changes:
    """The budget of subscription changes, which has nothing to do with that of requests."""

    left: float
    at: datetime

    def refilled(self, now: datetime) -> "_Changes":
        passed = max(0.0, (now - self.at).total_seconds())
        return _Changes(min(MOST_CHANGES, self.left + passed * CHANGES_PER_SECOND), now)


class Protocol:
    """One stream over all of its connections. Its queues are bounded by the number of instruments and accounts."""

    def __init__(self) -> None:
        self.state = "not connected"
        self.is_displaced = False
        self.hears_accounts = False
        self.attempts = 0
        self._is_open = False
        self._wanted: frozenset[Instrument] = frozenset()
        self._asked: frozenset[Instrument] = frozenset()
        self._greetings: list[str] = []
        self._changes: _Changes | None = None
        self._seq: int | None = None
        self._heard_at: datetime | None = None
        self._pinged_at: datetime | None = None
        self._ticks: dict[Instrument, Tick] = {}
        self._pnl: dict[str, PnlNews] = {}
        self._changed: dict[str | None, AccountNews] = {}
        self._doubted: Doubt | None = None

    @property
    def is_sound(self) -> bool:
        """Whether the connection stands and they call it ready."""
        return self._is_open and self.state == READY

    @property
    def back_off_seconds(self) -> float:
        """How long to wait before the next attempt, without the jitter."""
        return BACK_OFF_SECONDS[min(self.attempts, len(BACK_OFF_SECONDS) - 1)]

    def want(self, instruments: frozenset[Instrument]) -> None:
        """Name all the instruments whose quotes are wanted from now on."""
        self._wanted = instruments

    def connected(self, now: datetime) -> None:
        """The handshake is through. Their numbering begins anew, and so does all that was subscribed to.

        Whether account events come at all is documented for no NinjaTrader account, so the first one has to prove it
        before their absence means anything.
        """
        self.state, self._is_open, self._seq, self._asked, self.hears_accounts = READY, True, None, frozenset(), False
        self._heard_at, self._pinged_at, self._changes = now, None, self._changes or _Changes(MOST_CHANGES, now)
        self._greetings = [
            _said("subscribe", events=["orders", "executions", "positions"]),
            _said("streamPnl", enabled=True, interval=PNL_EVERY_MILLISECONDS),
        ]
        self._doubt("what came before this connection began was not heard")

    def disconnected(self, why: str, code: int | None = None) -> None:
        """The connection is over, or never came to be. Another program of the person's has it: then it stays so."""
        self.attempts = len(BACK_OFF_SECONDS) if code == _TOO_MANY_VIOLATIONS else self.attempts + 1
        self.is_displaced = self.is_displaced or "active elsewhere" in why.casefold()
        self._is_open, self.state, self._ticks = False, "not connected", {}
        self._doubt(f"the stream ended: {why}" if why else "the stream ended")

    def received(self, text: str, now: datetime) -> None:
        """Take one frame."""
        self._heard_at, self._pinged_at = now, None
        try:
            frame = frame_in(text, now)
        except BadReply as unreadable:
            self._doubt(unreadable.what)
            return
        self.attempts = 0
        self._count(frame)
        for news in frame.news:
            self._take(news)

    def is_dead(self, now: datetime) -> bool:
        """Say whether nothing came for so long, a ping's answer included, that the connection must be given up."""
        return self._is_open and self._silence(now) >= DEAD_AFTER_SECONDS

    def to_send(self, now: datetime) -> list[str]:
        """What to send now, each once: a ping into silence, and what is wanted as far as their budget allows."""
        if not self._is_open:
            return []
        texts = [text for text in iter(lambda: self._next_change(now), None)]
        if self._pinged_at is None and self._silence(now) >= PING_AFTER_SECONDS:
            self._pinged_at = now
            texts.append(_said("ping"))
        return texts

    def events(self) -> list[Event]:
        """What happened since the last call: the newest of each instrument and account, and a doubt if there is one."""
        told: list[Event] = [*self._ticks.values(), *self._pnl.values(), *self._changed.values()]
        told += [self._doubted] if self._doubted else []
        self._ticks, self._pnl, self._changed, self._doubted = {}, {}, {}, None
        return told

    def _count(self, frame: Frame) -> None:
        """Doubt whatever does not follow: their count of lost frames, a gap, a number that was there before."""
        last, self._seq = self._seq, self._seq if frame.seq is None else frame.seq
        if frame.dropped:
            self._doubt(f"the service dropped {frame.dropped} frames")
        if frame.seq is not None and last is not None and frame.seq != last + 1:
            self._doubt(f"frame {frame.seq} of the stream came after frame {last}")

    def _take(self, news: Tick | AccountNews | PnlNews | State | Resync | Refusal) -> None:
        match news:
            case Tick() if news.instrument in self._wanted:
                self._ticks[news.instrument] = news
            case PnlNews() if len(self._pnl) < MOST_ACCOUNTS:
                self._pnl[news.account] = news
            case AccountNews():
                self.hears_accounts = True
                changed = news if len(self._changed) < MOST_ACCOUNTS else AccountNews(None)
                self._changed[changed.account] = changed
            case State():
                # READY too: what happened before it was not heard.
                self.state = news.name
                self._doubt(f"the service calls the stream {news.name}")
            case Resync():
                self._doubt("the service asks to read everything again")
            case Refusal():
                self._doubt(f"the service refused what we asked of the stream: {news.words}")

    def _doubt(self, why: str) -> None:
        self._doubted = Doubt(why)

    def _silence(self, now: datetime) -> float:
        return 0.0 if self._heard_at is None else (now - self._heard_at).total_seconds()

    def _next_change(self, now: datetime) -> str | None:
        """One message that changes what we are sent, if there is one and their budget has room for it."""
        text = self._greetings[0] if self._greetings else self._difference()
        changes = self._changes.refilled(now) if self._changes else _Changes(MOST_CHANGES, now)
        self._changes = changes
        if text is None or changes.left < 1:
            return None
        self._changes = replace(changes, left=changes.left - 1)
        if self._greetings:
            self._greetings.pop(0)
        elif self._wanted - self._asked:
            self._asked |= self._wanted
        else:
            self._asked = self._wanted
        return text

    def _difference(self) -> str | None:
        more, fewer = self._wanted - self._asked, self._asked - self._wanted
        if more:
            return _said("subscribe", instruments=sorted(map(str, more)))
        return _said("unsubscribe", instruments=sorted(map(str, fewer))) if fewer else None


def _said(action: str, **fields: object) -> str:
    return dumps({"action": action, **fields}, separators=(",", ":"))
