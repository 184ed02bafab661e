"""What the keeper of exits knows between two tries: what was placed, what rests, what the book says of an entry."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import takewhile

from ct_mcp.desk import remedies
from ct_mcp.desk.context import ContextBuilder
from ct_mcp.desk.exit_state import ExitPart, ExitState, OwnIds
from ct_mcp.desk.exit_tickets import close_at_market
from ct_mcp.desk.journal_writer import Step
from ct_mcp.desk.outcome import Kept, Outcome, Status
from ct_mcp.desk.polling import AccountPoller, AccountState, Pause, book_of
from ct_mcp.desk.ports import BookReads, Store, Upstream
from ct_mcp.desk.side_by_side import SideBySide
from ct_mcp.desk.stops import cover_of
from ct_mcp.desk.story import story_of
from ct_mcp.domain.bracket import Bracket
from ct_mcp.domain.commands import CancelOrder, ClosePosition, Command, Flatten, PlaceOrder
from ct_mcp.domain.duty import Duty, DutyPart, DutyState
from ct_mcp.domain.market import Contract
from ct_mcp.domain.order import Order
from ct_mcp.errors import CtMcpError
from ct_mcp.guard.denial import DenialCode
from ct_mcp.guard.effect import is_exit_of_entry
from ct_mcp.store.journal import EntryKind, NewEntry

_LONGEST_REST_SECONDS, _SOON_SECONDS = 60.0, 15.0


AT_ONCE = 3
"""After so many denials the book is read before each further try, and a target without a stop rests first."""


@dataclass(slots=True)
class Try:
    """What is known while the exits of one fill are being placed."""

    duty: Duty
    entry: Order
    since: datetime
    parts: Sequence[ExitPart] = ()
    closed: int = 0
    closing: int = 0
    waited: float = 0.0
    why: str = ""
    is_final: bool = False
    is_ours: bool = True
    is_theirs: bool = False
    is_untried: bool = False
    placed: list[str] = field(default_factory=list)
    protected_after: float | None = None
    turned_away_with: tuple[DutyPart, ...] | None = None
    warnings: list[str] = field(default_factory=list)

    @property
    def bracket(self) -> Bracket:
        """What was promised."""
        assert self.duty.order.bracket is not None  # noqa: S101  # a duty is made for an order with one
        return self.duty.order.bracket

    @property
    def unsent(self) -> OwnIds:
        """Our order ids of exits that never left, and never may once they are made anew."""
        return tuple(own_id for each in self.parts if each.state is ExitState.NEVER_SENT for own_id in each.unsent)

    @property
    def denied_in_a_row(self) -> int:
        """How many of the last tickets of exits sent nothing: those that stand use up no try."""
        return len([*takewhile(lambda each: each.state is ExitState.NEVER_SENT, reversed(self.parts))])

    @property
    def as_closed(self) -> str:
        """What is said once nothing is owed any more, where some of it was closed; else nothing."""
        return "what could not be protected was closed, and all else that filled has its exits" if self.closed else ""

    @property
    def unplaced(self) -> int:
        """Contracts that filled, of which no exits were sent, and that were not closed."""
        sent = sum(each.part.contracts for each in self.parts if each.state is not ExitState.NEVER_SENT)
        return self.entry.filled - self.closed - sent

    @property
    def uncovered(self) -> int:
        """Contracts that filled, were not closed, and have no exits that are known to stand, or to have stood."""
        stands = sum(each.part.contracts for each in self.parts if each.state is ExitState.STANDS)
        return max(0, self.entry.filled - self.closed - stands)

    def is_vain(self, denied: Outcome, denials: int) -> bool:
        """Say whether a moment mends nothing: the market has passed the stop, or a target alone was denied for long."""
        can_wait = self.bracket.stop_loss is None and denials >= AT_ONCE
        return can_wait or bool(NEVER_PASSES & denied.codes)

    def seconds(self, now: datetime) -> float:
        """How long it has gone on, by the clock or by what was waited: a clock that is set back does not shorten it."""
        return max((now - self.since).total_seconds(), self.waited)

    def is_late(self, now: datetime) -> bool:
        """Say whether the time within which the stop was to stand is up."""
        return self.seconds(now) >= self.bracket.deadline_seconds


@dataclass(frozen=True, slots=True)
class Road:
    """How one command of a spent ticket gets to the wire, how time passes, and by which name the lease is held."""

    send: Callable[[Step], Awaitable[Outcome]]
    clock: Callable[[], datetime]
    pause: Pause
    holder: str = ""


@dataclass(slots=True)
class Rests:
    """What has failed rests a while, each time twice as long, until it is tried again."""

    _known: dict[tuple[str, int], tuple[datetime, float]] = field(default_factory=dict)

    def begin(self, key: tuple[str, int], now: datetime) -> None:
        """It has failed."""
        _, before = self._known.get(key, (now, 1.0))
        self._known[key] = now, min(2 * before, _LONGEST_REST_SECONDS)

    def shorten(self, key: tuple[str, int], left: Outcome) -> None:
        """Where another exit, which may be on its way, kept it from leaving, it is soon tried again."""
        since, seconds = self._known[key]
        if DenialCode.EXIT_ON_ITS_WAY in left.codes:
            self._known[key] = since, min(seconds, _SOON_SECONDS)

    def end(self, key: tuple[str, int]) -> None:
        """It has worked."""
        self._known.pop(key, None)

    def has_failed(self, key: tuple[str, int]) -> bool:
        """Say whether it has failed before."""
        return key in self._known

    def has(self, key: tuple[str, int], now: datetime) -> bool:
        """Say whether it is not tried yet."""
        since, seconds = self._known.get(key, (now, 0.0))
        return abs((now - since).total_seconds()) < seconds


def never_left(step: Step, error: CtMcpError) -> Outcome:
    """What certainly never left reads as denied."""
    codes = frozenset({error.code})
    return Outcome(Status.DENIED, step.summary, step.simulated, reasons=(error.what,), codes=codes)


def is_held(book: AccountState, entry: Order) -> bool:
    """Say whether anything is held on the side of an entry."""
    return held_of(book, entry) > 0


def held_of(book: AccountState, entry: Order) -> int:
    """Contracts that are held on the side of an entry."""
    return max(0, book.net * entry.action.sign)


def bare_of(book: AccountState, it: Try) -> int:
    """Contracts of an entry that no stop is seen behind; none where the position is gone.

    What got exits that stand is none of them, though they may have filled while the position still reads as before;
    nor is what was closed, though somebody else may hold as much since.
    """
    held = next((each for each in book.positions if each.net * it.entry.action.sign > 0), None)
    return 0 if held is None else min(it.uncovered, cover_of(held, book.orders).bare)


async def contract_of(contexts: ContextBuilder, upstream: Upstream, duty: Duty) -> Contract | None:
    """Give what its contract is worth, as far as that is known or can be read."""
    instrument = duty.order.instrument
    if known := contexts.contracts.get(instrument):
        return known
    try:
        quotes = await upstream.urgent().quotes([str(instrument)])
    except CtMcpError:
        return None
    return contexts.contract_before(quotes[0]) if quotes else None


async def book_of_entry(poller: AccountPoller, upstream: BookReads, entry: Order) -> AccountState | None:
    """Read the book; where the list of positions cannot be read the position by its name, but none is not believed."""
    if (book := await poller.book_now(entry.account, entry.instrument)) is not None:
        return book
    try:
        async with SideBySide([]) as ask:
            orders = ask.read("orders", upstream.orders(entry.account, active_only=False))
            position = ask.read("position", upstream.position(entry.account, entry.instrument))
        held = position.required()
        return book_of((held,), orders.required(), entry.instrument) if held.quantity else None
    except CtMcpError:
        return None


async def book_after_failure(poller: AccountPoller, upstream: BookReads, it: Try) -> AccountState | None:
    """Read the book once more; that nothing is held is believed of a second source alone."""
    order = it.entry
    book = await book_of_entry(poller, upstream, order)
    if book is None or bare_of(book, it):
        return book
    if is_held(book, order):  # the stop may have gone once orders were listed, and before positions were
        return await poller.book_now(order.account, order.instrument) or book
    return await poller.book_believed(order.account, order.instrument)


async def targets_unsent(store: Store, it: Try, now: datetime) -> list[tuple[ExitPart, PlaceOrder]] | None:
    """Give the targets that were never sent beside their stop; None where one may still be about one of them."""
    parts = [each for each in it.parts if each.state in (ExitState.STANDS, ExitState.IN_DOUBT)]
    tickets = [await store.ticket(part.ticket_id) for part in it.duty.parts]
    alone = {ticket.commands[0] for ticket in tickets if ticket is not None and len(ticket.commands) == 1}
    unsent = list[tuple[ExitPart, PlaceOrder]]()
    for each in parts:
        ticket = await store.ticket(each.part.ticket_id)
        if ticket is None or len(ticket.commands) < 2 or ticket.commands[1] in alone:
            continue
        told = (await story_of(store, ticket)).part(1, now)
        if told is None and not await store.is_quiet(ticket.ticket_id, now):
            return None
        if (told is None or told.outcome is None) and is_exit_of_entry(ticket.commands[1]):
            unsent.append((each, ticket.commands[1]))
    return unsent


async def fresh(store: Store, duty: Duty) -> Duty:
    """Give a duty as it is kept by now; one that is not kept any more is over."""
    known = await store.duties(duty.account)
    found = (each for each in known if (each.ticket_id, each.number) == (duty.ticket_id, duty.number))
    return next(found, replace(duty, state=DutyState.OVER))


def leaving(it: Try, book: AccountState | None, bare: int, *, stands_alone: bool) -> tuple[Command, ...]:
    """Close what is bare of an entry, with the rest of it; the whole only where nothing else stands beside it.

    A close of all that is held takes every order of the instrument along; an order at the market does not.
    """
    entry, is_all = it.entry, book is None or bare >= abs(book.net)
    if is_all and stands_alone:
        return (Flatten(entry.account, entry.instrument),)
    rest = () if entry.is_closed else (CancelOrder(entry.account, entry.order_id),)
    if is_all and book is not None:
        return (*rest, close_at_market(it.duty.order, bare))
    return (*rest, ClosePosition(entry.account, entry.instrument, bare))


def kept_of_leaving(left: Outcome, entry: Order, book: AccountState | None, bare: int, what: str) -> Kept:
    """Say what a close of what is bare came to, and how many contracts it took from the position that was read."""
    was, now = (None if book is None else book.net), left.position_after
    closed = left.filled_quantity or 0 if was is None or now is None else abs(was) - abs(now)
    if left.status in (Status.FLAT, Status.FILLED):
        alarm = f"CLOSED, since the stop could not be placed: {what}; {_words(left, entry, bare)}"
        return Kept(alarm=alarm, is_over=True, closed=closed)
    done = "CLOSED, and what was sent may still come" if now == 0 else "UNPROTECTED"
    alarm = f"{done}: {what}; closing it at the market: {_words(left, entry, bare)}"
    return Kept(alarm=alarm, is_over=now == 0, closed=closed)


def _words(left: Outcome, entry: Order, bare: int) -> str:
    """One that could turn the position round needs a yes of its own."""
    if DenialCode.CHANGED_SINCE_ASKED in left.codes:
        beside = "beside the orders that stand or may still come it could turn the position round"
        call = f"{remedies.closing(entry.account, entry.instrument)}, quantity {bare}"
        return f"NOT sent: {beside}, which needs a yes of its own: {call}"
    return "; ".join(filter(None, (left.status, *left.reasons, *left.warnings, left.next_step)))


def said_of(outcome: Outcome) -> str:
    """Say why an exit does not stand; where it could have done more than leave, that, and not what was shown."""
    if DenialCode.CHANGED_SINCE_ASKED in outcome.codes:
        return "not sent, since on what was read it could open a position"
    return "; ".join((outcome.status, *outcome.reasons))


def as_not_ours(it: Try, book: AccountState | None) -> str:
    """Cry of what is held without a stop, and is not taken for what an entry has filled; or could not be read."""
    filled, instrument = it.entry.filled, it.entry.instrument
    if book is None:
        what = f"whether {it.uncovered} of the {filled} {instrument} filled are held still, and without a stop"
        return f"it is NOT KNOWN {what}: the account could not be read; ct-mcp looks again"
    what = f"what is held in {instrument} stands without a stop for a part at least, and is not taken for the {filled}"
    why = "others have filled since, or it cannot be told"
    return f"UNPROTECTED: {what} that this entry filled: {why}; no stop is placed behind it, and nothing is closed"


def key_of(duty: Duty) -> tuple[str, int]:
    """By which a duty is known."""
    return duty.ticket_id, duty.number


def note_of(duty: Duty, kind: EntryKind, words: str) -> NewEntry:
    """Write down what became of the exits of an entry."""
    summary = f"{duty.account}  {words}"
    detail = {"entry": duty.own_id, "said": words}
    return NewEntry(kind, summary, account=duty.account, ticket_id=duty.ticket_id, detail=detail)


NEVER_PASSES = frozenset(
    {DenialCode.STOP_ON_WRONG_SIDE, DenialCode.PRICE_INVALID, DenialCode.PRICE_NOT_POSITIVE, DenialCode.PRICE_OFF_TICK}
)
"""What a moment does not mend: the market has passed the stop. A fill that is not listed yet is none of it."""
