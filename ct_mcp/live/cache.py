"""The live view: what is known of accounts, positions, orders and quotes, each with when it was read.

A full read replaces what was known and nothing is merged into it; what the stream tells of an account only ends what
was known. Between two reads that are the same question, and while nothing can have been missed, the answer of the
first serves both. Everything that decides a trade reads for itself: the guard never looks here.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Generic, TypeVar

import anyio

from ct_mcp.crosstrade.protocol import Doubt, Event, Protocol
from ct_mcp.crosstrade.wire_stream import AccountNews, PnlNews, Tick
from ct_mcp.domain.action import Action, FlattenEverything
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import Quote
from ct_mcp.errors import BadRequest, CtMcpError

T = TypeVar("T")
Hear = Callable[[str], None]

# A read that began longer ago is not joined by another question: it may tell of a time before that was asked.
JOINED_WITHIN_SECONDS = 1.0
MOST_INSTRUMENTS = 20
MOST_HELD = 15
NAME_HOLDS_SECONDS = 600.0
# What may have changed is shown for so long, and called so, where no request may be made.
STALE_SERVES_SECONDS = 60.0
_MOST_KEPT = 200


@dataclass(frozen=True, slots=True)
class Freshness:
    """How old what is known may be to answer a question, in seconds, while the stream is sound."""

    quote_seconds: float = 2.0
    book_seconds: float = 10.0
    figures_seconds: float = 3.0


@dataclass(frozen=True, slots=True)
class Known(Generic[T]):
    """One answer, when its request began, the warnings beside it, and how much had been heard by then."""

    value: T
    began_at: datetime
    warnings: tuple[str, ...]
    heard: int


@dataclass(slots=True)
class _Flight:
    """A request under way, which others may wait for."""

    began_at: datetime
    heard: int
    landed: anyio.Event = field(default_factory=anyio.Event)
    known: Known[Any] | None = None
    error: CtMcpError | None = None


class LiveView:
    """What one process knows. Without a stream it only joins equal questions that are under way at once."""

    def __init__(self, clock: Callable[[], datetime], freshness: Freshness | None = None) -> None:
        self.freshness = freshness or Freshness()
        self.stream: Protocol | None = None
        self.condition: Callable[[], tuple[str, str]] = lambda: ("off", "everything is read by request")
        self.clock = clock
        self._known: dict[Hashable, Known[Any]] = {}
        self._flights: dict[Hashable, _Flight] = {}
        self._ticks: dict[Instrument, Tick] = {}
        self._quotes: dict[Instrument, Quote] = {}
        self._names: dict[str, tuple[Instrument, datetime]] = {}
        self._held: Counter[str] = Counter()
        self._heard: dict[str, int] = {}
        self._heard_of_all = 0
        self._news = anyio.Event()
        self._listeners: list[Callable[[Event], None]] = []

    def follow(self, stream: Protocol, condition: Callable[[], tuple[str, str]]) -> None:
        """Rely on this stream from now on, as far as it is sound; somebody hands what it tells to `hear`.

        ``condition`` tells the state of it, and what that means, for the status.
        """
        self.stream, self.condition = stream, condition
        stream.want(frozenset(self._quotes))

    def unfollow(self) -> None:
        """There is no stream any more."""
        self.stream, self.condition = None, lambda: ("broken", "it has failed: everything is read by request")

    @property
    def is_trusted(self) -> bool:
        """Whether the absence of word from an account means that nothing changed in it."""
        return self.stream is not None and self.stream.is_sound and self.stream.hears_accounts

    def hear(self, event: Event) -> None:
        """Take what the stream told, or what we did ourselves, and wake whoever waits for it."""
        match event:
            case Tick():
                held = self._ticks.get(event.instrument)
                if held is None or held.at <= event.at:
                    self._ticks[event.instrument] = event
            case AccountNews(account=str(name)) if name.casefold() in self._heard or len(self._heard) < _MOST_KEPT:
                self._heard[name.casefold()] = self._heard.get(name.casefold(), 0) + 1
            case AccountNews() | Doubt():
                self._heard_of_all += 1
            case PnlNews():
                pass
        self._tell(event)

    def sent(self, action: Action) -> None:
        """We changed something ourselves, or may have."""
        self.hear(AccountNews(None if isinstance(action, FlattenEverything) else action.account))

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

    def quote(self, name: str) -> Quote | None:
        """The newest quote that the stream told, if it is fresh; what a contract is worth comes from a read before.

        ``name`` must have been resolved by a read not long ago: which contract a root stands for is theirs to say.
        """
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
        """The contract that this name stood for when it was last read."""
        instrument, _ = self._names.get(name, (None, None))
        return instrument

    @property
    def _held_instruments(self) -> set[Instrument]:
        return {self._names[name][0] for name in self._held if name in self._names}

    def _forget_the_oldest(self) -> None:
        held = self._held_instruments
        for forgotten in sorted(self._quotes, key=held.__contains__)[:-MOST_INSTRUMENTS]:
            del self._quotes[forgotten]
            self._ticks.pop(forgotten, None)
        kept = [(known, named) for known, named in self._names.items() if named[0] in self._quotes]
        self._names = dict(sorted(kept, key=lambda each: each[0] in self._held)[-_MOST_KEPT:])

    def last_known(self, key: Hashable) -> Known[Any] | None:
        """What was read last, though it may have changed since; what was nothing then is not known now."""
        known = self._known.get(key)
        if known is None or known.value == ():
            return None
        return known if (self.clock() - known.began_at).total_seconds() <= STALE_SERVES_SECONDS else None

    async def read(
        self, key: Hashable, account: str | None, seconds: float, ask: Callable[[Hear], Awaitable[T]]
    ) -> Known[T]:
        """What is known while nothing can have changed it, or a read, joined with an equal one that is under way.

        ``account`` is None for what is about all accounts; ``seconds`` is the age that still serves.

        Raises:
            UpstreamError: It had to be read, and could not be.
        """
        known = self._known.get(key)
        if known is not None and self._still_stands(known, account, seconds):
            return known
        while (flight := self._flights.get(key)) is not None and self._may_be_joined(flight, account):
            await flight.landed.wait()
            if flight.known is not None:
                return flight.known
            if flight.error is not None:
                raise flight.error
        return await self._flown(key, account, ask)

    async def _flown(self, key: Hashable, account: str | None, ask: Callable[[Hear], Awaitable[T]]) -> Known[T]:
        flight = _Flight(self.clock(), self._heard_about(account))
        self._flights[key] = flight
        warnings: list[str] = []
        try:
            value = await ask(warnings.append)
            known = Known(value, flight.began_at, tuple(warnings), flight.heard)
            flight.known = self._known[key] = known
        except CtMcpError as error:
            flight.error = error
            raise
        finally:
            if self._flights.get(key) is flight:
                del self._flights[key]
            flight.landed.set()
        while len(self._known) > _MOST_KEPT:
            del self._known[next(iter(self._known))]
        return known

    def _still_stands(self, known: Known[Any], account: str | None, seconds: float) -> bool:
        """An empty list never stands: flat, and no order left, are said only when they were read for the answer."""
        age = (self.clock() - known.began_at).total_seconds()
        is_something = known.value != ()
        return is_something and self.is_trusted and known.heard == self._heard_about(account) and 0 <= age <= seconds

    def _may_be_joined(self, flight: _Flight, account: str | None) -> bool:
        age = (self.clock() - flight.began_at).total_seconds()
        return flight.heard == self._heard_about(account) and 0 <= age <= JOINED_WITHIN_SECONDS

    def _heard_about(self, account: str | None) -> int:
        """How often there was word that may concern the account, or any of them; it only grows."""
        own = sum(self._heard.values()) if account is None else self._heard.get(account.casefold(), 0)
        return self._heard_of_all + own

    def _tell(self, event: Event) -> None:
        for listener in tuple(self._listeners):
            listener(event)
        if isinstance(event, AccountNews | Doubt):
            self._news.set()
            self._news = anyio.Event()


def _with_tick(read: Quote, tick: Tick) -> Quote:
    return replace(
        read,
        bid=_on_tick(tick.bid, read),
        ask=_on_tick(tick.ask, read),
        last=_on_tick(tick.last, read),
        volume=read.volume if tick.volume is None else tick.volume,
        at=tick.at,
    )


def _on_tick(price: Decimal | None, quote: Quote) -> Decimal | None:
    """The price on the contract's tick: frames carry the noise of binary numbers."""
    size = quote.contract.tick_size
    return None if price is None else round(price / size) * size
