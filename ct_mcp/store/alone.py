"""What goes on while the store that machines share is out of reach: what reduces, and nothing that opens or adds.

How it works; the numbers stand again at the blocks that do it.

 1. What is asked of the shared store and cannot be answered parts this machine from it. A read is answered from a file
    of this machine at once, but for what became of a ticket, which that file cannot know. A write fails: nobody knows
    whether it was begun, so whoever asked is told, and sends nothing. What is asked from then on, also the same exit
    once more, goes to the file.
 2. In the file trading is halted, so that the guard denies whatever opens or adds, in words. The file itself takes no
    intent that may open: what sends an order is marked by its effect as one that only reduces. Nor does it take one of
    a ticket that it does not know as spent: what began before the parting ends there.
 3. What must hold over all machines is not written into a file of one: a halt, its end, an arming, a PIN, the book,
    what a person says became of a send. That fails, and says so, rather than seem to hold. Nor is a book read there,
    which would be empty.
 4. What this process has sent, and of which nobody knows yet what became, is taken along into the file (`in_doubt`),
    so that an exit that is on its way is not sent again.
    Also what it saw last of the PIN goes along (`pin_copy`), since an exit may ask for it.
 5. After a while the shared store is asked again. Once it answers, and no send was on its way here for a moment, this
    machine goes back to it, and notes in the shared journal what was done without it, with the last hash of the file,
    so that neither journal can be rewritten unseen. What is denied, noted or renewed meanwhile keeps nobody here.
 6. Where the file cannot be used, nothing can be done without the shared store, so nothing is waited for either: that
    one is asked again with every call, and whoever calls meanwhile is told what is wrong with both.
 7. What was noted in the file and only tightens is carried over as this machine goes back (`left_behind`), or as the
    next process first reaches the shared store.
"""

import logging
from collections.abc import Callable, Collection
from contextlib import closing, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from sqlite3 import Connection
from time import monotonic
from typing import Any, TypeVar, TypeVarTuple, cast

from ct_mcp.errors import OnlyReduces, StoreFailed, StoreOutOfReach, StoreRefused, TicketOutOfReach
from ct_mcp.store import balances, book, duties, left_behind, parts, tickets, trading_state, watches
from ct_mcp.store.codec import time_to_text
from ct_mcp.store.database import Database, prepare_state_file
from ct_mcp.store.in_doubt import WRITES_ENTRY, InDoubt
from ct_mcp.store.journal import ONLY_REDUCES, SETTLING, EntryKind, NewEntry
from ct_mcp.store.left_behind import LeftBehind
from ct_mcp.store.pin_copy import PinCopy
from ct_mcp.store.sql import Engine, SqlConnection
from ct_mcp.store.trading_state import StoredPin
from ct_mcp.text import plain

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

FILE_NAME = "alone.sqlite3"
TRY_AGAIN_AFTER_SECONDS = 10.0
QUIET_FOR_SECONDS = 15.0
LONGEST_IN_DOUBT_SECONDS = 600.0
_BY = "ct-mcp"
_HOLD_OVER_ALL: frozenset[Callable[..., Any]] = frozenset(
    {
        trading_state.set_halt,
        trading_state.clear_halt,
        trading_state.arm,
        trading_state.disarm,
        trading_state.keep_pin,
        balances.tell_floor,
        duties.open_duty,
        watches.open_watch,
    }
)
_ABOUT_TICKET: frozenset[Callable[..., Any]] = frozenset(
    {tickets.find, tickets.find_all, tickets.approve, tickets.decline, tickets.spend}
)
_ASKS_FOR_PIN: frozenset[Callable[..., Any]] = frozenset({trading_state.find_pin, trading_state.count_pin_try})
_OF_A_REVIEW: frozenset[Callable[..., Any]] = frozenset({trading_state.recall})
_IS_SENT: frozenset[Callable[..., Any]] = frozenset({tickets.approve, tickets.spend})
_IS_OF_A_SEND = SETTLING | {EntryKind.INTENT, EntryKind.ACCEPTED, EntryKind.UNKNOWN, EntryKind.READ_BACK}
_ALONE: dict[Callable[..., Any], Callable[..., Any]] = {parts.check_turn: parts.check_turn_alone}
_HALT = """
INSERT INTO halt VALUES ('', ?, ?, ?) ON CONFLICT (service) DO UPDATE SET at = excluded.at, reason = excluded.reason
"""
# The detail is canonical JSON: what stands in a text of it has its quotes escaped, and is not taken for the mark.
_NOTHING_OPENS = f"""
CREATE TEMP TRIGGER IF NOT EXISTS nothing_opens_alone BEFORE INSERT ON journal
WHEN NEW.kind = 'intent' AND ((NEW.opens <> 0 AND instr(NEW.detail, '"{ONLY_REDUCES}":true') = 0) OR NOT EXISTS
    (SELECT 1 FROM tickets WHERE tickets.ticket_id = NEW.ticket_id AND tickets.state = 'spent'))
BEGIN SELECT RAISE(ABORT, 'only what reduces, and was asked for since, may be sent'); END
"""  # noqa: S608
_IN_DOUBT = "SELECT EXISTS (SELECT 1 FROM outstanding WHERE sequence > ?)"
_IS_ASKING = "SELECT EXISTS (SELECT 1 FROM tickets WHERE state IN ('open', 'approved') AND expires_at > ?)"
_END = "SELECT (SELECT sequence FROM journal_end), (SELECT hash FROM journal ORDER BY sequence DESC LIMIT 1)"
_log = logging.getLogger(__name__)


class ExitsAlone:
    """An `Engine` over a shared store, and over a file of this machine where that one is out of reach."""

    def __init__(
        self,
        shared: Engine,
        folder: Path,
        service: str,
        clock: Callable[[], datetime],
        passed: Callable[[], float] = monotonic,
    ) -> None:
        """Touch nothing. ``passed`` tells how time passes, in seconds, whatever the clock does."""
        self._shared = shared
        self._path = folder / FILE_NAME
        self._prepare_plainly = partial(prepare_state_file, service=service)
        self._file = Database(self._path, 5.0, self._prepare)
        self._clock, self._passed = clock, passed
        self._parted: datetime | None = None
        self._why = ""
        self._in_doubt, self._pin = InDoubt(), PinCopy()
        self._began_after = 0
        self._ask_again_at = self._written_at = 0.0
        self._has_caught_up = False

    def read(self, work: Callable[[SqlConnection, *Ts], T], *arguments: *Ts) -> T:
        """Let ``work`` see one moment of the shared tables, or of the file."""
        if not self._is_alone(work):
            try:
                return self._read_shared(work, *arguments)
            except StoreOutOfReach as failure:
                self._part(failure, work)
        self._need_known(work, arguments)
        if work.__module__ == book.__name__:  # 3
            raise StoreOutOfReach(f"the record of executions cannot be read: {self._why}")
        result = self._file.read(_as_alone(work), *arguments)
        self._need_pin(work, result)
        return result

    def write(self, work: Callable[[SqlConnection, *Ts], T], *arguments: *Ts) -> T:
        """Let ``work`` change the shared tables, or the file where this machine was parted from them before."""
        if not self._is_alone(work):
            try:
                result = self._shared.write(work, *arguments)
            except StoreOutOfReach as failure:
                self._part(failure, work)
                raise
            self._in_doubt.note(work, arguments, result)  # 4
            self._pin.hear(work, arguments, result)
            return result
        if _must_hold_over_all(work, arguments):  # 3
            raise StoreFailed(f"this would have to hold over all machines, and {self._why}", next_step=_REACH)
        self._need_known(work, arguments)
        result = self._write_alone(work, *arguments)
        self._need_pin(work, result)
        self._pin.hear(work, arguments, result)
        if _is_under_way(work, arguments, result):
            self._written_at = self._passed()
        return result

    def aside(self) -> Engine:
        """Give another engine on what this one reads just now."""
        return self._file.aside() if self._is_alone(_end_of) else self._shared.aside()

    def close(self) -> None:
        """Close both; a later call opens what it needs."""
        self._file.close()
        self._shared.close()

    def _read_shared(self, work: Callable[[SqlConnection, *Ts], T], *arguments: *Ts) -> T:
        """Read; with every review of an order also what is kept of the PIN, in the same moment."""
        if work not in _OF_A_REVIEW:
            return self._shared.read(work, *arguments)
        result, pin = self._shared.read(_with_pin, work, arguments)
        self._pin.see(pin)
        return result

    # 1, 6: parting

    def _part(self, failure: StoreOutOfReach, work: Callable[..., Any]) -> None:
        self._why = f"the shared store is out of reach: {failure.what}"
        self._file.close()  # what is opened next is halted as of now
        try:
            self._began_after = self._file.read(_end_of)[0]
        except StoreFailed as broken:
            what = f"{self._why}; nor can exits go on without it: {broken.what}"
            if work in _ABOUT_TICKET:
                raise TicketOutOfReach(what) from broken
            raise StoreOutOfReach(what, next_step=broken.advice) from broken
        self._parted = self._clock()
        self._written_at, self._ask_again_at = self._passed(), self._passed() + TRY_AGAIN_AFTER_SECONDS
        _log.warning("Only exits go on: %s", self._why)

    def _need_known(self, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        """Never say of a ticket of before that there is none: what it held may have been sent."""
        if work not in _ABOUT_TICKET:
            return
        asked = arguments[0] if work is tickets.find_all else arguments[:1]
        if unknown := set(asked) - set(self._file.read(tickets.find_all, asked)):
            named = ", ".join(map(plain, sorted(unknown)))
            raise TicketOutOfReach(f"what became of ticket {named} is not known: {self._why}")

    def _need_pin(self, work: Callable[..., Any], found: object) -> None:
        """Never say that there is no PIN because it was not seen."""
        if work in _ASKS_FOR_PIN and found is None and not self._pin.is_known:
            raise StoreOutOfReach(f"whether there is a PIN, and which, is not known: {self._why}", next_step=_NO_PIN)

    # 2: what the file takes

    def _write_alone(self, work: Callable[[SqlConnection, *Ts], T], *arguments: *Ts) -> T:
        try:
            return self._file.write(work, *arguments)
        except StoreRefused as refusal:
            if _writes({EntryKind.INTENT}, work, arguments):
                raise OnlyReduces(f"only what reduces, and was asked for since, may be sent: {self._why}") from refusal
            raise

    def _prepare(self, connection: Connection) -> None:
        self._prepare_plainly(connection)
        self._in_doubt.take_along(connection)
        self._pin.take_along(connection)
        reason = f"{self._why}. It ends by itself once that is reached"
        connection.execute(_HALT, (_BY, time_to_text(self._clock()), reason))
        connection.execute(_NOTHING_OPENS)

    # 5, 6: going back

    def _is_alone(self, work: Callable[..., Any]) -> bool:
        if self._parted is None:
            try:
                self._catch_up()
            except StoreOutOfReach as failure:  # so nothing of the work was begun there, and it may go on here
                self._part(failure, work)
            return self._parted is not None
        if self._passed() >= self._ask_again_at and self._may_go_back():
            self._ask_again_at = self._passed() + TRY_AGAIN_AFTER_SECONDS
            try:
                self._go_back(self._parted)
            except StoreFailed as failure:
                self._why = f"the shared store is out of reach: {failure.what}"
        return self._parted is not None

    def _may_go_back(self) -> bool:
        """Not between two steps of an exit, also where the person is being asked; nor in doubt, but not for ever."""
        quiet = self._passed() - self._written_at
        if quiet < QUIET_FOR_SECONDS:
            return False
        try:
            in_doubt, is_asking = self._file.read(_what_is_open, self._began_after, time_to_text(self._clock()))
        except StoreFailed:
            return True  # nothing goes on there
        return not is_asking and (not in_doubt or quiet >= LONGEST_IN_DOUBT_SECONDS)

    def _go_back(self, parted: datetime) -> None:
        note, done = None, self._done_alone()
        if done is not None:
            cannot = ", which cannot be read" if _UNREADABLE in done else ""
            words = (
                f"The shared store was out of reach from {time_to_text(parted)} on; what was done stands in "
                f"{FILE_NAME}{cannot}"
            )
            note = NewEntry(EntryKind.ERROR, words, detail=done)
        self._pin.see(self._shared.read(trading_state.find_pin))
        self._carry_over(self._file, note)
        self._parted = None
        self._file.close()
        _log.warning("The shared store is reached again")

    def _done_alone(self) -> dict[str, object] | None:
        """Say how to find what was done in the file since the parting; None where that was nothing."""
        try:
            last, last_hash = self._file.read(_end_of)
        except StoreFailed as broken:
            return {_UNREADABLE: broken.what, "file": str(self._path)}
        if last == self._began_after:
            return None
        return {"entries": last - self._began_after, "last_hash": last_hash, "file": str(self._path)}

    # 7: carrying over

    def _catch_up(self) -> None:
        """Before anything else is asked of the shared store: a process of before may have been alone when it ended."""
        if self._has_caught_up:
            return
        self._pin.see(self._shared.read(trading_state.find_pin))
        if self._path.exists():
            try:
                with closing(Database(self._path, 5.0, self._prepare_plainly)) as file:
                    self._carry_over(file, None)
            except StoreOutOfReach:
                raise
            except StoreFailed as refusal:
                _log.warning(
                    "What was noted while the shared store was out of reach is not carried over: %s", refusal.what
                )
        self._has_caught_up = True

    def _carry_over(self, file: Engine, note: NewEntry | None) -> None:
        now, left = self._clock(), LeftBehind()
        try:
            left = file.read(left_behind.find, now)
        except StoreFailed as broken:
            _log.warning("What was noted while the shared store was out of reach cannot be read: %s", broken.what)
        if not left.is_empty or note is not None:
            self._shared.write(left_behind.carry_over, left, note, now)
        if left.days:
            with suppress(StoreFailed):  # it adds nothing the second time
                file.write(left_behind.forget, left)


_UNREADABLE = "unreadable"
_NO_PIN = "the person can leave in NinjaTrader itself, or see that the shared store is reached again, then repeat it"
_REACH = "the person must see that the shared store is reached again, then repeat it"


def _as_alone(work: Callable[[SqlConnection, *Ts], T]) -> Callable[[SqlConnection, *Ts], T]:
    return cast("Callable[[SqlConnection, *Ts], T]", _ALONE.get(work, work))


def _writes(kinds: Collection[EntryKind], work: Callable[..., Any], arguments: tuple[Any, ...]) -> bool:
    return work in WRITES_ENTRY and arguments[0].kind in kinds


def _must_hold_over_all(work: Callable[..., Any], arguments: tuple[Any, ...]) -> bool:
    """Say so also of what the person says became of a send, and of a peak that nothing here can be held against."""
    if work is balances.note_figures:
        return any(read.mark is not None for read in arguments[0])
    is_said = _writes({EntryKind.SETTLED}, work, arguments) and "by" in arguments[0].detail
    return is_said or work in _HOLD_OVER_ALL or work.__module__ == book.__name__


def _is_under_way(work: Callable[..., Any], arguments: tuple[Any, ...], result: object) -> bool:
    """Say whether a step of a send was written: its ticket, unless that was asked before, its intent or its answer."""
    if _writes(_IS_OF_A_SEND, work, arguments):
        return result is not None
    return work in _IS_SENT or (work is tickets.propose and result is arguments[0])


def _with_pin(
    connection: SqlConnection, work: Callable[..., T], arguments: tuple[Any, ...]
) -> tuple[T, StoredPin | None]:
    return work(connection, *arguments), trading_state.find_pin(connection)


def _what_is_open(connection: SqlConnection, after: int, now: str) -> tuple[bool, bool]:
    """Say whether an outcome is not known of which the shared store has not heard, and whether somebody is asked."""
    in_doubt = connection.execute(_IN_DOUBT, (after,)).fetchone()[0]
    return bool(in_doubt), bool(connection.execute(_IS_ASKING, (now,)).fetchone()[0])


def _end_of(connection: SqlConnection) -> tuple[int, str | None]:
    sequence, last_hash = connection.execute(_END).fetchone()
    return sequence, last_hash
