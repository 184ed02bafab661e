"""What one process knows of accounts, positions, orders and quotes between two reads, each with when it was read.

It is for what is only shown. What decides a trade reads accounts, positions and orders for itself, and takes nothing of
here but a quote that the stream has just told, and whether there was word of an account since it read.

How it works; the numbers stand again at the blocks that do it.

 1. What is kept is whole answers. A full read replaces what was kept, and nothing is merged into it.
 2. What the stream tells of an account only ends what was kept of it. For that, changes are counted for each account
    and for all together, the counts only grow, and each answer carries the count of when its request began. An answer
    whose count is no longer the present one may be old.
 3. Silence about an account means that nothing changed only while the stream is sound and has proven that it tells of
    accounts (`is_trusted`). Without it nothing that was kept is served. Word of a name that is no known account's may
    be of any account, so it is word of all.
 4. An empty answer is never served: flat, and no order left, are said only when they were read for the answer.
 5. A question that equals one under way waits for that one's answer, with or without a stream; but not for one that
    began long ago, or before a change, since it may tell of a time before the question.
 6. Quotes are pushed. A pushed price is served while it is fresh, on top of a quote that was read, since only that one
    says what the contract is worth; and only by a name that was read not long ago, since which contract a root stands
    for is theirs to say.
    No stamp counts as later than the coming of its frame, or one from the future would keep out all that follow; what
    is stamped well ahead is not served: the next question reads.
 7. Everything is bounded: answers, names, accounts, instruments. What somebody holds is forgotten last.
 8. Silence may stand for a reading of a moment ago (`silence`), and for that it must prove more: the account itself has
    spoken since the last gap, and some frame came within the last seconds.
 9. Where no request may be made, what was read last is given for a while, and called old by whoever shows it.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import anyio

from ct_mcp.crosstrade.stream.events import AccountChanged, Event, Gap, PnlUpdate, QuoteTick
from ct_mcp.domain.commands import Command
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import Quote
from ct_mcp.errors import BadRequest, CtMcpError

if TYPE_CHECKING:  # the start of the server needs no frames
    from ct_mcp.crosstrade.stream.protocol import StreamProtocol

T = TypeVar("T")
Warn = Callable[[str], None]

JOINED_WITHIN_SECONDS = 1.0
MOST_INSTRUMENTS = 20
MOST_HELD = 15
NAME_HOLDS_SECONDS = 600.0
STALE_SERVES_SECONDS = 60.0
SPOKE_WITHIN_SECONDS = 2.5
"""Figures of accounts are told every second, so a sound stream is never silent for so long."""
_MOST_KEPT = 200


@dataclass(frozen=True, slots=True)
class Freshness:
    """How old what is known may be to answer a question, in seconds, while the stream is sound."""

    quote_seconds: float = 2.0
    book_seconds: float = 10.0
    figures_seconds: float = 3.0


class LinkState(StrEnum):
    """How a link on the way to the broker stands, the stream being one of them."""

    OK = "ok"
    BROKEN = "broken"
    UNKNOWN = "unknown"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class CachedAnswer(Generic[T]):
    """One answer, when its request began, the warnings beside it, and how many changes had been told by then."""

    value: T
    began_at: datetime
    warnings: tuple[str, ...]
    changes: int


@dataclass(slots=True)
class _PendingRead:
    """A request under way, which others may wait for."""

    began_at: datetime
    changes: int
    done: anyio.Event = field(default_factory=anyio.Event)
    answer: CachedAnswer[Any] | None = None
    error: CtMcpError | None = None


class LiveCache:
    """What one process knows. Without a stream it only joins equal questions that are under way at once."""

    def __init__(self, clock: Callable[[], datetime], freshness: Freshness | None = None) -> None:
        self.freshness = freshness or Freshness()
        self.stream: StreamProtocol | None = None
        self.condition: Callable[[], tuple[LinkState, str]] = lambda: (LinkState.OFF, "everything is read by request")
        self.clock = clock
        self.name_of: Callable[[str], str | None] = lambda name: name
        """Gives the name of an account as it is listed; None where no known account is called so."""
        self._answers: dict[Hashable, CachedAnswer[Any]] = {}
        self._pending: dict[Hashable, _PendingRead] = {}
        self._ticks: dict[Instrument, QuoteTick] = {}
        self._quotes: dict[Instrument, Quote] = {}
        self._names: dict[str, tuple[Instrument, datetime]] = {}
        self._held: Counter[str] = Counter()
        self._changes: dict[str, int] = {}
        self._changes_of_all = 0
        self._spoke: set[str] = set()
        self._news = anyio.Event()
        self._listeners: list[Callable[[Event], None]] = []

    # --- the stream ---

    def follow(self, stream: "StreamProtocol", condition: Callable[[], tuple[LinkState, str]]) -> None:
        """Rely on this stream from now on, as far as it is sound; somebody hands what it tells to `hear`.

        ``condition`` tells the state of it, and what that means, for the status.
        """
        self.stream, self.condition = stream, condition
        stream.want(frozenset(self._quotes))

    def unfollow(self) -> None:
        """Give up the stream for good."""
        self.stream, self.condition = None, lambda: (LinkState.BROKEN, "it has failed: everything is read by request")

    @property
    def is_trusted(self) -> bool:
        """Whether the absence of word from an account means that nothing changed in it (3)."""
        return self.stream is not None and self.stream.is_sound and self.stream.hears_accounts

    def silence(self, account: str) -> int | None:
        """Mark this moment: as long as the same mark is given again, nothing was told of the account since (8).

        None where its silence says nothing.
        """
        is_live = self.stream is not None and self.stream.has_spoken_within(SPOKE_WITHIN_SECONDS, self.clock())
        speaks = self.is_trusted and account.casefold() in self._spoke
        return self._changes_about(account) if is_live and speaks else None

    def hear(self, event: Event) -> None:
        """Take what the stream told, and wake whoever waits for it."""
        match event:
            case AccountChanged(account=str(name)):
                event = replace(event, account=self.name_of(name))
                if event.is_event and len(self._spoke) < _MOST_KEPT:
                    self._spoke.add(name.casefold())
            case PnlUpdate():
                name = self.name_of(event.account) or event.account
                event = replace(event, account=name, at=min(event.at, self.clock()))
            case Gap():
                self._spoke.clear()
        self._take(event)

    def _take(self, event: Event) -> None:
        match event:
            case QuoteTick():
                now, held = self.clock(), self._ticks.get(event.instrument)
                is_ahead = (event.at - now).total_seconds() > self.freshness.quote_seconds
                event = replace(event, at=min(event.at, now))
                if is_ahead:
                    self._ticks.pop(event.instrument, None)
                elif held is None or held.at <= event.at or held.at > now:
                    self._ticks[event.instrument] = event
            # 2. A change of an account that is counted by itself; 7. of all where that would be one too many.
            case AccountChanged(account=str(name)) if self._has_room_for(name.casefold()):
                self._changes[name.casefold()] = self._changes.get(name.casefold(), 0) + 1
            case AccountChanged() | Gap():
                self._changes_of_all += 1
            case PnlUpdate():
                pass
        self._tell(event)

    def sent(self, command: Command) -> None:
        """Take note that we changed something ourselves, or may have."""
        self._take(AccountChanged(command.account))

    def on_news(self, listener: Callable[[Event], None]) -> Callable[[], None]:
        """Tell the listener every event from now on; the answer ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def pause(self, seconds: float, pause: Callable[[float], Awaitable[None]]) -> bool:
        """Wait so long, or until there is word of any account; says whether there was."""
        heard = False
        async with anyio.create_task_group() as waiting:

            async def until_news() -> None:
                nonlocal heard
                await self._news.wait()
                heard = True
                waiting.cancel_scope.cancel()

            waiting.start_soon(until_news)
            await pause(seconds)
            waiting.cancel_scope.cancel()
        return heard

    # --- quotes (6) ---

    def quote(self, name: str) -> Quote | None:
        """Give the newest quote that the stream told, if it is fresh, the stream sound and the name known."""
        instrument, resolved_at = self._names.get(name, (None, None))
        now = self.clock()
        if instrument is None or resolved_at is None or (now - resolved_at).total_seconds() > NAME_HOLDS_SECONDS:
            return None
        read, tick = self._quotes.get(instrument), self._ticks.get(instrument)
        is_sound = self.stream is not None and self.stream.is_sound
        if read is None or tick is None or not is_sound:
            return None
        return _with_tick(read, tick) if (now - tick.at).total_seconds() <= self.freshness.quote_seconds else None

    def keep_quote(self, name: str, quote: Quote) -> None:
        """Remember a quote that was read, and ask the stream for the ones that follow it."""
        self._quotes.pop(quote.instrument, None)
        self._quotes[quote.instrument] = quote
        self._names[name] = quote.instrument, self.clock()
        self._forget_the_oldest()
        if self.stream is not None:
            self.stream.want(frozenset(self._quotes))

    def hold(self, name: str) -> Callable[[], None]:
        """Follow what this name stands for longer than what nobody holds; the answer, called once, ends that.

        Raises:
            BadRequest: The name was not read, or so many other instruments are held already.
        """
        instrument, held = self.stands_for(name), self._held_instruments
        if instrument is None:
            raise BadRequest(f"instrument {name[:40]!r} has to be read before it is followed")
        if len(self._held) >= _MOST_KEPT // 2 or (instrument not in held and len(held) >= MOST_HELD):
            raise BadRequest(f"{MOST_HELD} instruments are followed already: {', '.join(sorted(map(str, held)))}")
        self._held[name] += 1

        def let_go() -> None:
            self._held -= Counter({name: 1})

        return let_go

    def stands_for(self, name: str) -> Instrument | None:
        """Give the contract that this name stood for when it was last read."""
        instrument, _ = self._names.get(name, (None, None))
        return instrument

    @property
    def _held_instruments(self) -> set[Instrument]:
        return {self._names[name][0] for name in self._held if name in self._names}

    def _forget_the_oldest(self) -> None:
        """Keep within bounds (7): what nobody holds goes first, the oldest before the newer."""
        held = self._held_instruments
        for forgotten in sorted(self._quotes, key=held.__contains__)[:-MOST_INSTRUMENTS]:
            del self._quotes[forgotten]
            self._ticks.pop(forgotten, None)
        kept = [(known, named) for known, named in self._names.items() if named[0] in self._quotes]
        self._names = dict(sorted(kept, key=lambda each: each[0] in self._held)[-_MOST_KEPT:])

    # --- answers ---

    def last_known(self, key: Hashable) -> CachedAnswer[Any] | None:
        """Give what was read last (9), though it may have changed since; what was nothing then is not known now."""
        known = self._answers.get(key)
        if known is None or known.value == ():
            return None
        return known if (self.clock() - known.began_at).total_seconds() <= STALE_SERVES_SECONDS else None

    async def read(
        self, key: Hashable, account: str | None, seconds: float, ask: Callable[[Warn], Awaitable[T]]
    ) -> CachedAnswer[T]:
        """Give what is known while nothing can have changed it, or read, joined with an equal read under way.

        ``account`` is None for what is about all accounts; ``seconds`` is the age that still serves.

        Raises:
            UpstreamError: It had to be read, and could not be.
        """
        known = self._answers.get(key)
        if known is not None and self._may_be_served(known, account, seconds):
            return known
        # 5. Wait for an equal read; where it was cancelled, the next may do, and in the end we ask ourselves.
        while (pending := self._pending.get(key)) is not None and self._may_be_joined(pending, account):
            await pending.done.wait()
            if pending.answer is not None:
                return pending.answer
            if pending.error is not None:
                raise pending.error
        return await self._ask(key, account, ask)

    async def _ask(self, key: Hashable, account: str | None, ask: Callable[[Warn], Awaitable[T]]) -> CachedAnswer[T]:
        pending = _PendingRead(self.clock(), self._changes_about(account))
        self._pending[key] = pending
        warnings: list[str] = []
        try:
            value = await ask(warnings.append)
            # 1. The whole answer, in place of the old one; 2. with the count of when its request began.
            answer = CachedAnswer(value, pending.began_at, tuple(warnings), pending.changes)
            pending.answer = self._answers[key] = answer
        except CtMcpError as error:
            pending.error = error
            raise
        finally:
            if self._pending.get(key) is pending:
                del self._pending[key]
            pending.done.set()
        while len(self._answers) > _MOST_KEPT:  # 7.
            del self._answers[next(iter(self._answers))]
        return answer

    def _may_be_served(self, known: CachedAnswer[Any], account: str | None, seconds: float) -> bool:
        age = (self.clock() - known.began_at).total_seconds()
        is_something = known.value != ()  # 4.
        is_unchanged = self.is_trusted and known.changes == self._changes_about(account)  # 2. and 3.
        return is_something and is_unchanged and 0 <= age <= seconds

    def _may_be_joined(self, pending: _PendingRead, account: str | None) -> bool:
        """Whether it began a moment ago, and after every change that we know of (5)."""
        age = (self.clock() - pending.began_at).total_seconds()
        return pending.changes == self._changes_about(account) and 0 <= age <= JOINED_WITHIN_SECONDS

    def _changes_about(self, account: str | None) -> int:
        """How often there was word that may concern the account, or any of them; it only grows (2)."""
        own = sum(self._changes.values()) if account is None else self._changes.get(account.casefold(), 0)
        return self._changes_of_all + own

    def _has_room_for(self, account: str) -> bool:
        return account in self._changes or len(self._changes) < _MOST_KEPT

    def _tell(self, event: Event) -> None:
        for listener in tuple(self._listeners):
            listener(event)
        if isinstance(event, AccountChanged | Gap):
            self._news.set()
            self._news = anyio.Event()


def _with_tick(read: Quote, tick: QuoteTick) -> Quote:
    return replace(
        read,
        bid=_on_tick(tick.bid, read),
        ask=_on_tick(tick.ask, read),
        last=_on_tick(tick.last, read),
        volume=read.volume if tick.volume is None else tick.volume,
        at=tick.at,
    )


def _on_tick(price: Decimal | None, quote: Quote) -> Decimal | None:
    """Give the price on the contract's tick: frames carry the noise of binary numbers."""
    size = quote.contract.tick_size
    return None if price is None else round(price / size) * size
