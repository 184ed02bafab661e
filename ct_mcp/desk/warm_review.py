"""A review that is kept fresh while the person decides, so that their yes finds nothing left to ask.

How it works; the numbers stand again at the blocks that do it.

 1. While a question is open its one command is reviewed again every second, on facts that are all read after the
    question. So long as the ticket is open and no longer; never with the reserve that is kept for exits, nor with the
    last requests before it; and not while the service is slow or has refused requests.
 2. Only the silence of a stream that speaks of that account lets such a review stand for a reading. Without it, what is
    slow to change is kept fresh instead, so that the review after the yes is one round.
 3. At the yes the review is taken once. It counts only if nothing was heard of the account since its reading began, and
    if that ended a second ago at most, by the clock and by the time that passed, which no clock can be set back from.
 4. Every rule is then applied again: on the clock of that moment, on the newest quote, and on what the store says now
    of halts, armings, losses, counts and twins. What comes of it still has to be what was shown.
 5. It is no denial. Where it does not hold, or does not pass, the facts are read as if there had been none.
 6. What another process sends, halts or disarms meanwhile overturns it: the intent is written only if the journal holds
    nothing of that from the moment on at which the reading began.

What is judged by other accounts as well is not kept warm: the silence of one says nothing of the others.
An exit needs no reading before it, what a strategy does the stream does not tell, and of several commands the first
changes what the next is judged on: none of these is kept warm.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import anyio

from ct_mcp.desk.context import ContextBuilder
from ct_mcp.desk.ports import Store, Upstream
from ct_mcp.domain.approval import Approval, Ticket, TicketState
from ct_mcp.errors import CtMcpError
from ct_mcp.guard.effect import is_about_strategy, is_urgent
from ct_mcp.guard.review import Review

HOLDS_SECONDS = 1.0
# From the begin of a reading to that of the next, so that the next has ended while what was read before still serves.
_EVERY_SECONDS = 1.0
_EVERY_SECONDS_WITHOUT_STREAM = 1.3
_LEAST_PAUSE_SECONDS = 0.35
_FIRST_AFTER_SECONDS = 0.75
# What others need at once beside it: a review, a send and what is read back.
_LEAVES_REQUESTS = 6
_MOST_OPEN = 10

_log = logging.getLogger(__name__)


class Silence(Protocol):
    """What a stream tells of accounts."""

    def silence(self, account: str) -> int | None:
        """Mark this moment: the same mark later says that nothing was told of the account; None says nothing."""
        ...


@dataclass(frozen=True, slots=True)
class _Reading:
    """One review: the mark of when its reading began, and when it ended, by a clock that nobody can set."""

    review: Review
    began_at: datetime
    mark: int
    ended: float


@dataclass(slots=True)
class _Open:
    """One question: what was read last, and the reading that is under way."""

    ticket: Ticket
    latest: _Reading | None = None
    under_way: anyio.Event | None = None
    is_taken: bool = False

    @property
    def account(self) -> str:
        return self.ticket.commands[0].account


@dataclass(frozen=True, slots=True)
class Passing:
    """How time passes, by no clock that can be set."""

    sleep: Callable[[float], Awaitable[None]] = anyio.sleep
    seconds: Callable[[], float] = anyio.current_time


class WarmReviews:
    """The reviews of all open questions of one process."""

    def __init__(
        self,
        contexts: ContextBuilder,
        store: Store,
        upstream: Upstream,
        clock: Callable[[], datetime],
        passing: Passing = Passing(),  # frozen
    ) -> None:
        """Keep nothing warm yet."""
        self._contexts = contexts
        self._store = store
        self._upstream = upstream
        self._clock = clock
        self._passing = passing
        self._stream: Silence | None = None
        self._open: dict[str, _Open] = {}

    def listen(self, stream: Silence) -> None:
        """Rely on the silence of this stream from now on, as far as it says anything."""
        self._stream = stream

    def forget(self) -> None:
        """Drop what was read so far: another policy holds, or a halt; what is read from now on counts."""
        for kept in self._open.values():
            kept.latest = None

    async def keep(self, ticket: Ticket) -> None:
        """Keep the review of an open ticket fresh until it is decided or expires. Raises nothing, and hinders nothing.

        Exactly one of several calls for a ticket does it.
        """
        if not _can_be_kept(ticket) or ticket.ticket_id in self._open or len(self._open) >= _MOST_OPEN:
            return
        kept = self._open[ticket.ticket_id] = _Open(ticket)
        try:
            await self._keep(kept)
            await self._passing.sleep(HOLDS_SECONDS)  # it may be taken so long after the yes
        except Exception:  # noqa: BLE001  # it is only for pace: without it everything is read after the yes
            _log.warning("A review could not be kept fresh", exc_info=True)
        finally:
            del self._open[ticket.ticket_id]

    async def _keep(self, kept: _Open) -> None:
        wait = _FIRST_AFTER_SECONDS
        while True:
            await self._passing.sleep(wait)
            if not await self._is_undecided(kept):
                return
            began = self._passing.seconds()
            if await self._may_ask() and not kept.is_taken:
                await self._read(kept)
            took = self._passing.seconds() - began
            every = _EVERY_SECONDS if self._mark(kept) is not None else _EVERY_SECONDS_WITHOUT_STREAM
            wait = max(_LEAST_PAUSE_SECONDS, every - took)

    async def _is_undecided(self, kept: _Open) -> bool:
        ticket = await self._store.ticket(kept.ticket.ticket_id)
        is_open = ticket is not None and ticket.state_at(self._clock()) is TicketState.OPEN
        return is_open and not kept.is_taken

    async def _may_ask(self) -> bool:
        """Say whether there are requests to spare (1)."""
        if self._upstream.held_up():
            return False
        return (await self._upstream.allowance()).requests_left >= _LEAVES_REQUESTS

    async def _read(self, kept: _Open) -> None:
        mark, began_at, done = self._mark(kept), self._clock(), anyio.Event()
        ticket, before, kept.under_way = kept.ticket, kept.latest, done
        try:
            if mark is None:
                kept.latest = None
                shown = ticket.request.items[0].instrument if ticket.request else None
                await self._contexts.freshen(kept.account, shown, ticket.created_at)  # 2.
                return
            is_silent = before is not None and before.mark == mark
            review = await self._contexts.review(ticket.commands[0], asked_at=ticket.created_at, is_silent=is_silent)
            if review.context.elsewhere is not None:
                kept.is_taken = True  # the silence of one account says nothing of all the others
                return
            kept.latest = _Reading(review, began_at, mark, self._passing.seconds())
        except CtMcpError:
            kept.latest = None
        finally:
            kept.under_way = None
            done.set()

    # At the yes

    async def take(self, ticket: Ticket) -> Review | None:
        """Give what was read a moment ago, judged anew; None where the facts have to be read. Nothing more is read."""
        kept = self._open.get(ticket.ticket_id)
        if kept is None or kept.is_taken:
            return None
        kept.is_taken = True
        if self._holding(kept) is None and kept.under_way is not None and self._mark(kept) is not None:
            with anyio.move_on_after(HOLDS_SECONDS):  # it ends sooner than one that would begin now
                await kept.under_way.wait()
        latest = self._holding(kept)
        if latest is None:
            return None
        again = await self._contexts.review_again(latest.review, ticket.created_at)  # 4.
        # 5. Whatever came meanwhile, while the store was asked.
        return again if again is not None and again.passes and self._holding(kept) is latest else None

    def _holding(self, kept: _Open) -> _Reading | None:
        """Give the last reading if it counts still (3)."""
        latest = kept.latest
        if latest is None or latest.mark != self._mark(kept) or latest.began_at < kept.ticket.created_at:
            return None
        age = (self._clock() - latest.review.context.now).total_seconds()
        passed = self._passing.seconds() - latest.ended
        return latest if 0 <= age <= HOLDS_SECONDS and passed <= HOLDS_SECONDS else None

    def _mark(self, kept: _Open) -> int | None:
        return None if self._stream is None else self._stream.silence(kept.account)


def _can_be_kept(ticket: Ticket) -> bool:
    (first, *others) = ticket.commands
    is_asked = ticket.approval is not Approval.NONE
    return is_asked and not others and not is_urgent(first) and not is_about_strategy(first)
