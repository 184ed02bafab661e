"""The live stream as a state machine: text in, events out. It has no socket, and the time is handed in.

How it works; the numbers stand again at the blocks that do it.

 1. The stream is *sound* while a connection stands and the service calls it ready. Only then may silence about an
    account mean that nothing changed in it.
 2. Whatever may have been missed is told as a `Gap`, and nothing is ever repaired by guessing: whoever keeps what was
    read reads again. There is a gap
    a. when a connection begins, for what came before it was not heard, and when it ends;
    b. when a frame cannot be read, since it may have told anything;
    c. when the numbers of the frames do not follow each other, or the service says that it dropped some;
    d. when the service names its state, READY included, or asks to read everything again;
    e. when it refuses something that we asked of the stream.
 3. Whether account events come at all is documented for no NinjaTrader account. So in each connection the first one
    has to prove it before their absence means anything (`hears_accounts`). A frame of any other type, whatever it
    names, ends what was known and proves nothing.
 4. What happened between two looks is folded: of each instrument and account only the newest is told, of gaps the last.
    So no queue is longer than the number of instruments wanted and of accounts kept.
 5. After each connect everything is subscribed to anew. Changes of what is wanted have a budget of their own at the
    service; what it has no room for waits, more before less, and wanting is cheap since only the difference is sent.
 6. Silence proves nothing, so a ping is sent into it; a stream that stays silent after that is dead.
 7. The service allows one connection for each token. Once another program was seen to have it, we never return.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from json import dumps

from ct_mcp.crosstrade.stream.events import AccountChanged, Event, Gap, PnlUpdate, QuoteTick
from ct_mcp.crosstrade.stream.frames import (
    READY,
    Frame,
    Message,
    Resync,
    StreamEnd,
    StreamRefusal,
    StreamState,
    parse_frame,
)
from ct_mcp.domain.instrument import Instrument
from ct_mcp.errors import BadReply

PING_AFTER_SECONDS = 15.0
DEAD_AFTER_SECONDS = 30.0
BACK_OFF_SECONDS = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
PNL_EVERY_MILLISECONDS = 1000
MOST_CHANGES = 5.0
CHANGES_PER_SECOND = 18 / 60  # they allow twenty a minute
MOST_ACCOUNTS = 100
_NOT_CONNECTED = "not connected"


@dataclass(frozen=True, slots=True)
class _ChangeBudget:
    """The budget of subscription changes, which has nothing to do with that of requests."""

    left: float
    at: datetime

    def refilled(self, now: datetime) -> "_ChangeBudget":
        passed = max(0.0, (now - self.at).total_seconds())
        return _ChangeBudget(min(MOST_CHANGES, self.left + passed * CHANGES_PER_SECOND), now)


class StreamProtocol:
    """One stream over all of its connections."""

    def __init__(self) -> None:
        self.state = _NOT_CONNECTED
        self.is_displaced = False
        self.hears_accounts = False
        self.attempts = 0
        self._is_open = False
        self._wanted: frozenset[Instrument] = frozenset()
        self._subscribed: frozenset[Instrument] = frozenset()
        self._greetings: list[str] = []
        self._changes: _ChangeBudget | None = None
        self._last_seq: int | None = None
        self._heard_at: datetime | None = None
        self._pinged_at: datetime | None = None
        self._ticks: dict[Instrument, QuoteTick] = {}
        self._pnl: dict[str, PnlUpdate] = {}
        self._changed: dict[str | None, AccountChanged] = {}
        self._gap: Gap | None = None

    @property
    def is_sound(self) -> bool:
        """Whether the connection stands and they call it ready (1)."""
        return self._is_open and self.state == READY

    @property
    def back_off_seconds(self) -> float:
        """How long to wait before the next attempt, without the jitter."""
        return BACK_OFF_SECONDS[min(self.attempts, len(BACK_OFF_SECONDS) - 1)]

    def has_spoken_within(self, seconds: float, now: datetime) -> bool:
        """Say whether any frame came so lately: a connection that broke without a sign is silent about everything."""
        return self._heard_at is not None and 0 <= (now - self._heard_at).total_seconds() <= seconds

    def want(self, instruments: frozenset[Instrument]) -> None:
        """Name all the instruments whose quotes are wanted from now on."""
        self._wanted = instruments

    def connected(self, now: datetime) -> None:
        """Begin a connection: the handshake is through, and their numbering begins anew."""
        self.state, self._is_open, self._last_seq = READY, True, None
        self._heard_at, self._pinged_at = now, None
        # 3. Account events have to be proven again.
        self.hears_accounts = False
        # 5. So has all that was subscribed to; the budget of changes is the old one.
        self._subscribed, self._changes = frozenset(), self._changes or _ChangeBudget(MOST_CHANGES, now)
        self._greetings = [
            _message("subscribe", events=["orders", "executions", "positions"]),
            _message("streamPnl", enabled=True, interval=PNL_EVERY_MILLISECONDS),
        ]
        # 2a. What came before was not heard.
        self._note_gap("what came before this connection began was not heard")

    def disconnected(self, why: str, end: StreamEnd = StreamEnd.OTHER) -> None:
        """End a connection, or an attempt at one; ``why`` is only told."""
        self.attempts = len(BACK_OFF_SECONDS) if end is StreamEnd.ASKED_TOO_MUCH else self.attempts + 1
        # 7. Another program of the person's has it: then it stays so.
        self.is_displaced = self.is_displaced or end is StreamEnd.DISPLACED
        self._is_open, self.state, self._ticks = False, _NOT_CONNECTED, {}
        # 2a. What comes from here on is not heard.
        self._note_gap(f"the stream ended: {why}" if why else "the stream ended")

    def received(self, text: str, now: datetime) -> None:
        """Take one frame."""
        self._heard_at, self._pinged_at = now, None
        try:
            frame = parse_frame(text, now)
        except BadReply as unreadable:
            # 2b. It may have told anything.
            self._note_gap(unreadable.what)
            return
        self.attempts = 0
        self._check_numbers(frame)
        for message in frame.messages:
            self._take(message)

    def is_dead(self, now: datetime) -> bool:
        """Say whether nothing came for so long, a ping's answer included, that the connection must be given up (6)."""
        return self._is_open and self._silence(now) >= DEAD_AFTER_SECONDS

    def to_send(self, now: datetime) -> list[str]:
        """Give what to send now, each once."""
        if not self._is_open:
            return []
        # 5. What is wanted, as far as their budget allows.
        texts = list(iter(lambda: self._next_change(now), None))
        # 6. A ping into silence.
        if self._pinged_at is None and self._silence(now) >= PING_AFTER_SECONDS:
            self._pinged_at = now
            texts.append(_message("ping"))
        return texts

    def events(self) -> list[Event]:
        """Give what happened since the last call, folded (4)."""
        told: list[Event] = [*self._ticks.values(), *self._pnl.values(), *self._changed.values()]
        told += [self._gap] if self._gap else []
        self._ticks, self._pnl, self._changed, self._gap = {}, {}, {}, None
        return told

    def _check_numbers(self, frame: Frame) -> None:
        """Note a gap for whatever does not follow (2c): lost frames, a gap, a number that was there before."""
        last, self._last_seq = self._last_seq, self._last_seq if frame.seq is None else frame.seq
        if frame.dropped:
            self._note_gap(f"the service dropped {frame.dropped} frames")
        if frame.seq is not None and last is not None and frame.seq != last + 1:
            self._note_gap(f"frame {frame.seq} of the stream came after frame {last}")

    def _take(self, message: Message) -> None:
        match message:
            # 4. The newest of each instrument and account; too many accounts become one that is not named.
            case QuoteTick() if message.instrument in self._wanted:
                self._ticks[message.instrument] = message
            case PnlUpdate() if len(self._pnl) < MOST_ACCOUNTS:
                self._pnl[message.account] = message
            case AccountChanged():
                self.hears_accounts |= message.is_event  # 3.
                name = message.account if len(self._changed) < MOST_ACCOUNTS else None
                before = self._changed.get(name)
                is_event = message.is_event or (before is not None and before.is_event)
                self._changed[name] = AccountChanged(name, is_event=is_event)
            # 2d. READY too: what happened before it was not heard.
            case StreamState():
                self.state = message.name
                self._note_gap(f"the service calls the stream {message.name}")
            case Resync():
                self._note_gap("the service asks to read everything again")
            # 2e. What was refused is not told of.
            case StreamRefusal():
                self._note_gap(f"the service refused what we asked of the stream: {message.words}")

    def _note_gap(self, why: str) -> None:
        self._gap = Gap(why)

    def _silence(self, now: datetime) -> float:
        return 0.0 if self._heard_at is None else (now - self._heard_at).total_seconds()

    def _next_change(self, now: datetime) -> str | None:
        """One message that changes what we are sent, if there is one and their budget has room for it (5)."""
        text = self._greetings[0] if self._greetings else self._difference()
        changes = self._changes.refilled(now) if self._changes else _ChangeBudget(MOST_CHANGES, now)
        self._changes = changes
        if text is None or changes.left < 1:
            return None
        self._changes = replace(changes, left=changes.left - 1)
        if self._greetings:
            self._greetings.pop(0)
        elif self._wanted - self._subscribed:
            self._subscribed |= self._wanted
        else:
            self._subscribed = self._wanted
        return text

    def _difference(self) -> str | None:
        """Give the message that brings what we are sent closer to what is wanted: more before less."""
        more, fewer = self._wanted - self._subscribed, self._subscribed - self._wanted
        if more:
            return _message("subscribe", instruments=sorted(map(str, more)))
        return _message("unsubscribe", instruments=sorted(map(str, fewer))) if fewer else None


def _message(action: str, **fields: object) -> str:
    return dumps({"action": action, **fields}, separators=(",", ":"))
