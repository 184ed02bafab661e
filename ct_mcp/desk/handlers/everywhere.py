"""Reads back what several accounts have come to that were left together, all of them judged from one moment.

1. Every exit has left by now, one request each, before anything is read.
2. All accounts are looked at with the two lists of all, until nothing is held and no order is left. Orders that stand
   where nothing is held any more are cancelled, once for each account.
   What read flat and shows anything in a later reading is not flat any more: nothing that was read before it counts.
3. A little later they are read once more, with the report of all accounts as a second source. That moment alone is
   judged: what one account does may move another, as a copier does, and what was read flat before may hold by now.
4. An answer that comes after the client gave up is none. When the time is over, what was not read is named as unread.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import anyio

from ct_mcp.desk import readback
from ct_mcp.desk.execution import CommandExecution
from ct_mcp.desk.handlers.exits import cancel_leftovers, refused_exits
from ct_mcp.desk.one_reading import OneReading
from ct_mcp.desk.outcome import Outcome
from ct_mcp.desk.pending import pending_orders
from ct_mcp.desk.polling import AccountPoller, AccountState, moments
from ct_mcp.desk.ports import Store
from ct_mcp.desk.refusals import RefusedExits, with_refused_exits
from ct_mcp.desk.remedies import order_line, position_line
from ct_mcp.desk.submission import Submission
from ct_mcp.guard.denial import DenialCode
from ct_mcp.guard.review import Review

# From the first send on; clients give up on a call after 25 s and later.
ANSWER_WITHIN_SECONDS = 20.0
# Copiers follow a fill within a second, and the report of all accounts may be three seconds old: so it is asked again.
AFTER_THE_LAST_FILL_SECONDS = 1.5
_MOST_LOOKS_AFTERWARDS = 4
_MOST_MOVES_TOLD = 3


def may_leave(reviews: Sequence[Review]) -> bool:
    """Say whether several accounts may be left: one whose exit is on its way already keeps no other from it.

    It is denied at its send, and named. One that may not be left at all denies the whole.
    """
    codes = {denial.code for review in reviews for denial in review.denials}
    return codes <= {DenialCode.EXIT_ON_ITS_WAY} and any(review.passes for review in reviews)


@dataclass(slots=True)
class Departure:
    """One account that was left: its execution, what came of the one request, and what was seen of it since.

    ``read_at`` is when the last reading of it began, ``flat_since`` and ``flat_at`` when the first and the last one did
    that showed nothing, with nothing seen in between or since; None where something was. ``moves`` name what was seen
    after it had read flat.
    """

    execution: CommandExecution
    answer: Submission
    state: AccountState | None = None
    read_at: datetime | None = None
    flat_since: datetime | None = None
    flat_at: datetime | None = None
    moves: tuple[str, ...] = ()
    is_borne_out: bool = False
    has_cancelled: bool = False
    to_come: tuple[str, ...] = ()
    refused: RefusedExits = field(default_factory=RefusedExits)

    @property
    def account(self) -> str:
        """The account that was left."""
        return self.execution.step.command.account

    @property
    def is_in_doubt(self) -> bool:
        """Say whether the lists show nothing, and the other source does not agree (yet)."""
        return self.state is not None and self.state.is_flat and not self.is_borne_out

    def takes(self, read: AccountState, at: datetime) -> None:
        """Take a new reading, that began at a moment."""
        self.state, self.read_at = read, at
        if read.is_flat:
            self.flat_since, self.flat_at = self.flat_since or at, at
        else:
            self.shows("; ".join((*map(position_line, read.positions), *map(order_line, read.orders))))

    def shows(self, what: str) -> None:
        """Take it that something is held, stands or is on its way: it is not flat any more, whatever it was before."""
        if self.flat_at is not None and self.read_at is not None:
            self.moves = (*self.moves, f"{what} (at {_time(self.read_at)}, flat at {_time(self.flat_at)})")
        self.flat_since = self.flat_at = None


@dataclass(slots=True)
class ReadBackOfAll:
    """The readings of one flatten of several accounts, until ``began_at`` is too long ago."""

    departures: Sequence[Departure]
    clock: Callable[[], datetime]
    began_at: datetime
    store: Store
    _one_by_one: bool = field(default=False, init=False)

    async def outcomes(self) -> list[Outcome]:
        """Look until all is flat or the time is over, and say what became of each; each is written down."""
        if not self.departures:
            return []
        with anyio.move_on_after(self._seconds_left):
            await self._look_until_flat()
            await self._look_afterwards()
        return [await self._told(left) for left in self.departures]

    @property
    def _seconds_left(self) -> float:
        return max(0.0, ANSWER_WITHIN_SECONDS - (self.clock() - self.began_at).total_seconds())

    @property
    def _first(self) -> CommandExecution:
        return self.departures[0].execution

    async def _look_until_flat(self) -> None:
        async for _ in moments(self._first.pause):
            await self._look(OneReading(self._first.urgent, one_by_one=self._one_by_one))
            if not self._seconds_left or all(left.state is not None and left.state.is_flat for left in self.departures):
                return
            await self._cancel_leftovers()

    async def _look_afterwards(self) -> None:
        for number in range(_MOST_LOOKS_AFTERWARDS):
            await self._first.pause(AFTER_THE_LAST_FILL_SECONDS)
            if not self._seconds_left:
                return
            book = OneReading(self._first.urgent, closed_too=True, one_by_one=self._one_by_one)
            await self._look(book)
            await self._hold_against(book, is_last=number == _MOST_LOOKS_AFTERWARDS - 1)
            if not self._is_early() and not any(left.is_in_doubt for left in self.departures):
                return

    def _is_early(self) -> bool:
        """Say whether the last to read flat did so for the first time too short a while ago for a copier to be seen."""
        flat = [left for left in self.departures if left.state is not None and left.state.is_flat]
        since = max((left.flat_since for left in flat if left.flat_since is not None), default=None)
        soon = timedelta(seconds=AFTER_THE_LAST_FILL_SECONDS)
        return since is not None and any(left.read_at is None or left.read_at - since < soon for left in flat)

    async def _look(self, book: OneReading) -> None:
        """Read all accounts; what cannot be read now is not known now, whatever it was before."""
        for left in self.departures:
            left.state, left.is_borne_out = (replace(left.state, is_stale=True) if left.state else None), False
        began_at = self.clock()
        for left in self.departures:
            if not self._seconds_left:
                return
            read = await AccountPoller(book, self._first.pause).book_now(left.account, None)
            if read is not None:
                left.takes(read, began_at)
        self._one_by_one = self._one_by_one or book.failed

    async def _cancel_leftovers(self) -> None:
        for left in self.departures:
            state = left.state
            if state and not state.is_stale and state.orders and not state.positions and not left.has_cancelled:
                left.has_cancelled = True
                left.answer = await cancel_leftovers(left.execution, left.account, None, left.answer)

    async def _hold_against(self, book: OneReading, *, is_last: bool) -> None:
        """Ask the second source about what the lists show nothing of; at the end by name, where that may help."""
        for left in self.departures:
            state = left.state
            left.refused = await refused_exits(left.execution, left.answer, state, book)
            if state is None or state.is_stale or not state.is_flat:
                continue
            before = left.execution.baseline(left.answer)
            before = replace(before, ask_account=True, ask_all_orders=False, sent_ago=None)
            poller = AccountPoller(book, self._first.pause)
            left.is_borne_out = await poller.borne_out(left.account, before, state) is not None
            if not left.is_borne_out and is_last and before.instruments and book.failed:
                by_name = AccountPoller(self._first.urgent, self._first.pause)
                named = replace(before, ask_account=False)
                left.is_borne_out = await by_name.borne_out(left.account, named, state) is not None
            left.to_come = await self._still_to_come(left.execution, book)
            if left.to_come:
                left.shows(f"may still fill: {', '.join(left.to_come)}")

    async def _still_to_come(self, execution: CommandExecution, book: OneReading) -> tuple[str, ...]:
        """Name what was sent to an account beside an exit and may fill yet, by the journal and the reading."""
        account, own_id = execution.step.command.account, execution.own_id
        others = [entry for entry in (await self.store.outstanding(account)).entries if entry.own_id != own_id]
        if not others:
            return ()
        orders = await book.orders(account, active_only=False)
        return tuple(entry.summary for entry in others if pending_orders([entry], orders, ()))

    async def _told(self, left: Departure) -> Outcome:
        execution, state = left.execution, left.state
        outcome = execution.after(left.answer)
        if state is None or (state.is_stale and state.is_flat):
            return await execution.record(readback.unseen(outcome, f"UNREAD: {self._why_unread(left)}"))
        if left.is_in_doubt or (state.is_flat and self._is_early()):
            doubt = "the lists show nothing, and no second source bears it out"
            if not left.is_in_doubt:
                doubt = "the lists show nothing, and for too short a while: what copies a fill may follow"
            return await execution.record(readback.unseen(outcome, doubt))
        told = with_refused_exits(readback.from_flatten(outcome, state), left.refused)
        told = readback.with_lost_stops(told, execution.review, state)
        ended = readback.ended_since(execution.review, state, left.answer.taken)
        told = readback.with_standing(told, state, execution.contracts, ended)
        told = replace(told, stands_now=(*told.stands_now, *_read_when(left)))
        if left.to_come:
            return await execution.record(readback.not_flat_yet(told, left.to_come, outcome.status))
        told = replace(told, warnings=(*told.warnings, *_moved(left)))
        return await execution.record(told)

    def _why_unread(self, left: Departure) -> str:
        if left.read_at is None:
            return "the account could not be read in time"
        ago = (self.clock() - left.read_at).total_seconds()
        if left.flat_at is None:
            return f"the account was last read at {_time(left.read_at)}, and something may still fill"
        return f"the account was read flat at {_time(left.flat_at)}, {ago:.0f} s ago, and could not be read since"


def _moved(left: Departure) -> tuple[str, ...]:
    """What was seen in an account after it had read flat, whatever it reads by now."""
    if not left.moves:
        return ()
    others = "somebody else trades in it, such as a copier or a strategy: stop that first, or it may move again"
    return (f"it read flat after its exit and has moved since: {'; '.join(left.moves[-_MOST_MOVES_TOLD:])}; {others}",)


def _read_when(left: Departure) -> tuple[str, ...]:
    """Flat is said of a moment: somebody else may have traded since."""
    return (f"read at {_time(left.read_at)}",) if left.read_at is not None else ()


def _time(at: datetime) -> str:
    """Write a time of this day with tenths of a second, in UTC."""
    return f"{at.astimezone(UTC):%H:%M:%S}.{at.microsecond // 100_000} UTC"
