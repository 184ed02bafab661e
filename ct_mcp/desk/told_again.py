"""Tells a spent ticket again: what became of it, as of when that was read, and what stands now by one look.

1. The journal says what was told, or settled since (`desk/story.py`). Nothing of that is said as of now.
2. What is outstanding of it is looked for once more, a cancel too (`desk/reconcile.py`).
3. The account is read once. Where it stands as it did when the answer was given, that answer still holds, with its
   alarms and its next step: whoever did not hear it hears it whole. Else only what was read now tells what stands,
   what to cry of and what to do.
4. Where it cannot be read, what was cried then is told as of then, and all there is to do is to look.

Nothing is sent.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime

from ct_mcp.desk import remedies
from ct_mcp.desk.exit_state import with_stops_owed
from ct_mcp.desk.journal_writer import Step
from ct_mcp.desk.one_reading import OneReading
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.pending import line, with_outstanding
from ct_mcp.desk.polling import AccountPoller, AccountState, Pause
from ct_mcp.desk.ports import BookReads, Store, Upstream
from ct_mcp.desk.readback import from_order, with_order
from ct_mcp.desk.reconcile import is_order_as_asked, settle_outstanding
from ct_mcp.desk.standing import Contracts, lines_of
from ct_mcp.desk.stops import alarm_of, covers_of, mending
from ct_mcp.desk.story import Story, followed, is_at_its_end, story_of
from ct_mcp.desk.together import Part
from ct_mcp.domain.approval import Ticket
from ct_mcp.domain.commands import Command
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import Order
from ct_mcp.errors import StoreFailed, TicketSpent
from ct_mcp.guard.context import RiskContext
from ct_mcp.guard.effect import (
    instrument_named,
    is_about_strategy,
    is_cancel,
    is_urgent,
    leaves_position,
    leaves_whole_position,
)
from ct_mcp.store.journal import Entry, EntryKind
from ct_mcp.text import as_of

_LOOK = "look with get_positions and get_orders"
_UNREAD = f"what stands now could not be read: {_LOOK}"
_STRATEGIES = "what stands now was not read: look with get_strategies, get_positions and get_orders"
_ENDED = "nothing more of it can come: go by what stands now, and propose anew only what the person still wants"
_NOT_KNOWN = frozenset({Status.UNKNOWN, Status.ACCEPTED})
# What has come to this can come to nothing else any more.
_FOR_GOOD = frozenset({Status.FILLED, Status.CANCELLED, Status.REJECTED})


@dataclass(frozen=True, slots=True)
class ToldAgain:
    """Tells what became of spent tickets; ``cry_of`` is what the journal has cried of an entry since."""

    upstream: Upstream
    store: Store
    clock: Callable[[], datetime]
    pause: Pause
    contracts: Callable[[], Contracts]
    cry_of: Callable[[Step], Awaitable[str]]

    async def became_of(self, ticket: Ticket, seconds: float) -> Outcome:
        """Tell it; while it is under way, wait so long for its end.

        Raises:
            TicketSpent: The journal cannot be read, or takes no entry.
        """
        many = (
            OneReading(self.upstream.urgent(), closed_too=True, one_by_one=True) if len(ticket.commands) > 1 else None
        )
        try:
            story = await followed(self.store, ticket, seconds, self.clock, self.pause)
            if any(entry.ticket_id == ticket.ticket_id for entry in await self.store.unsettled()):
                for command in ticket.commands:
                    await self._settle(command, many)
                story = await story_of(self.store, ticket)
            now = self.clock()
            parts = [await self._told(story, number, part, many) for number, part in enumerate(story.parts(now))]
        except StoreFailed as failed:
            raise TicketSpent(f"what became of ticket {ticket.ticket_id} cannot be looked up: {failed.what}") from None
        return story.outcome(now, parts)

    async def _settle(self, command: Command, book: BookReads | None) -> None:
        reads, only_exits = self._reads(command), leaves_whole_position(command)
        account = command.account
        await settle_outstanding(reads, self.pause, self.store, self.clock, account, only_exits=only_exits, book=book)

    def _reads(self, command: Command) -> Upstream:
        return self.upstream.urgent() if is_urgent(command) else self.upstream

    async def _told(self, story: Story, number: int, part: Part, many: BookReads | None) -> Part:
        """Tell one command again, by one look at its account and, where that may have gone on, at its order."""
        told, newest, now = part.outcome, story.newest(number), self.clock()
        if told is None or newest is None or told.status.sent is False:
            return part
        step = Step(story.ticket, number)
        again = _Again(step, told, newest, as_of(newest.at, now))
        if is_about_strategy(step.command):
            return replace(part, outcome=again.unread(told, _STRATEGIES))
        owed = await with_stops_owed(told, self.store, story.ticket, self.cry_of, now)
        if story.is_under_way(now):
            return replace(part, outcome=again.unread(owed, ""))
        look = AccountPoller(many or self._reads(step.command), self.pause)
        order = await again.look_at_order(look)
        instrument = _instrument_of(step, order)
        book = await look.book_believed(step.command.account, instrument)
        if book is None:
            return replace(part, outcome=again.unread(owed, _UNREAD))
        lines = lines_of(book.positions, book.orders, self.contracts())
        others = [
            entry
            for entry in (await self.store.outstanding(step.command.account)).entries
            if entry.ticket_id != story.ticket.ticket_id
        ]
        outcome = again.read(_Now(book, order, instrument, lines, is_quiet=not others), owed)
        if outcome.position_after == 0 or not book.positions:
            outcome = with_outstanding(outcome, others, now, instrument)
        else:  # what is held is not flat, whatever may still fill
            outcome = replace(outcome, warnings=(*outcome.warnings, *(line(each, now) for each in others)))
            outcome = await with_stops_owed(outcome, self.store, story.ticket, self.cry_of, now)
        return replace(part, outcome=outcome)


@dataclass(frozen=True, slots=True)
class _Now:
    """What one look has read; ``is_quiet`` says that nothing else of the account is of unknown outcome."""

    book: AccountState
    order: Order | None
    instrument: Instrument | None
    lines: tuple[str, ...]
    is_quiet: bool

    @property
    def net(self) -> int | None:
        """Signed contracts in the instrument; of a whole account only that it is flat can be said by one number."""
        return self.book.net if self.instrument is not None or self.book.is_flat else None


@dataclass(frozen=True, slots=True)
class _Again:
    """One command as it was told, or settled since, by what was written of it last: ``then`` says when that was."""

    step: Step
    told: Outcome
    newest: Entry
    then: str

    async def look_at_order(self, look: AccountPoller) -> Order | None:
        """Read its order, where that was known for its own and may have gone on since."""
        order_id, is_settled = self.newest.detail.get("order_id"), self.newest.kind is EntryKind.SETTLED
        is_known = is_settled or self.told.status not in _NOT_KNOWN
        if not isinstance(order_id, str) or not is_known or self.told.status in _FOR_GOOD:
            return None
        order = await look.look(self.step.command.account, order_id)
        return None if order is None else await look.with_their_words(order)

    def unread(self, owed: Outcome, why: str) -> Outcome:
        """Tell it as of then, where what stands now is not known."""
        is_owed = owed.alarm != self.told.alarm
        cried = f"{self.then}: {self.told.alarm}" if self.told.alarm else ""
        return replace(
            self._of_then(),
            alarm=owed.alarm if is_owed else cried,
            position_after=None,
            stands_now=(),
            next_step=_joined(remedies.TELL_NOW if is_owed or cried else "", why, self._step(self.told.status)),
        )

    def read(self, now: _Now, owed: Outcome) -> Outcome:
        """Tell it by what was read now: whole where all stands as it did then."""
        if now.is_quiet and now.lines == self.told.stands_now[-len(now.lines) :]:
            return self._whole(now, owed)
        told = self._by_order(now)
        told = replace(told, position_after=now.net, stands_now=now.lines)
        told = self._with_cries(told, now, owed)
        return replace(told, next_step=_joined(told.next_step, self._step(told.status)))

    def _whole(self, now: _Now, owed: Outcome) -> Outcome:
        told = owed if now.order is None else with_order(owed, now.order)
        step = told.next_step
        if is_cancel(self.step.command) and told.status in _NOT_KNOWN:
            step = ""
        return replace(told, position_after=now.net, next_step=step or self._step(told.status))

    def _of_then(self) -> Outcome:
        """All that was said of what stood then, marked as of then."""
        mark = f"{self.then}: "
        return replace(
            self.told,
            alarm="",
            next_step="",
            reasons=tuple(mark + reason for reason in self.told.reasons),
            warnings=tuple(mark + warning for warning in self.told.warnings),
        )

    def _by_order(self, now: _Now) -> Outcome:
        """What its order has come to by now."""
        told, order = self._of_then(), now.order
        if order is None:
            return self._with_not_cancelled(told, now)
        is_as_asked = is_order_as_asked(self.step.command, order)
        if is_as_asked is not None and told.status is Status.CHANGED:
            return with_order(told, order)
        read = from_order(replace(told, as_of=""), order)
        if is_as_asked:
            read = replace(read, status=Status.CHANGED)
        elif is_as_asked is not None:
            what, step = ("CANCELLED", remedies.CANCEL_AGAIN) if is_cancel(self.step.command) else ("AS ASKED", _ENDED)
            read = replace(read, alarm=f"NOT {what}: it stands as {remedies.order_line(order)}", next_step=step)
        was = () if read.status is self.told.status else (f"{self.then}: {self.told.status}",)
        return replace(read, reasons=(*was, *read.reasons))

    def _with_not_cancelled(self, told: Outcome, now: _Now) -> Outcome:
        """Say which orders stand that were to go, where the cancel of them cannot come any more."""
        request = self.step.ticket.request
        shown = {each.order_id for each in request.items[self.step.number].cancels} if request else set()
        stands = [order for order in now.book.orders if order.order_id in shown]
        is_over = is_cancel(self.step.command) and self.newest.kind is EntryKind.SETTLED and is_at_its_end(self.newest)
        if not stands or not is_over:
            return told
        alarm = f"NOT CANCELLED: {'; '.join(map(remedies.order_line, stands))}"
        return replace(told, status=Status.WORKING, alarm=alarm, next_step=remedies.CANCEL_AGAIN)

    def _with_cries(self, told: Outcome, now: _Now, owed: Outcome) -> Outcome:
        """Cry of what was read now; what was cried then is told as of then."""
        bare, is_owed = alarm_of(now.book.positions, now.book.orders), owed.alarm != self.told.alarm
        if self.told.status is Status.FLAT and now.book.positions:
            stands = "; ".join(now.lines)
            told = replace(told, alarm=f"NOT FLAT ANY MORE: {stands}", next_step=_joined(remedies.TELL_NOW, _LOOK))
        if not owed.alarm:
            return told
        if is_owed and bare:
            return replace(told, alarm=owed.alarm, next_step=owed.next_step)
        mark = "noted since" if is_owed else self.then
        if owed.alarm != bare:
            told = replace(told, warnings=(f"{mark}: {owed.alarm}", *told.warnings))
        return replace(
            told, alarm=_joined(bare, told.alarm), next_step=_joined(told.next_step, self._mending(now, bare))
        )

    def _mending(self, now: _Now, bare: str) -> str:
        """The calls that protect what stands bare, where no stop can be on its way that they would double."""
        if not bare or leaves_position(self.step.command):
            return ""
        if not now.is_quiet or not is_at_its_end(self.newest):
            return f"{remedies.TELL_NOW}; {_LOOK} before anything is placed: a stop may be on its way"
        covers = [cover for cover in covers_of(now.book.positions, now.book.orders) if cover.bare]
        return f"{remedies.TELL_NOW}; {'; '.join(mending(cover, None, now.book.orders) for cover in covers)}"

    def _step(self, status: Status) -> str:
        """What to do about what nobody knows."""
        if status not in _NOT_KNOWN:
            return ""
        if is_cancel(self.step.command):
            return remedies.CANCEL_AGAIN
        if is_at_its_end(self.newest):
            return _ENDED
        again = f"confirm_ticket with ticket_id {self.step.ticket.ticket_id} tells what is known by then"
        return f"do NOT send it again; {_LOOK}; {again}, and sends nothing"


def _joined(*steps: str) -> str:
    return "; ".join(dict.fromkeys(filter(None, steps)))


def _instrument_of(step: Step, order: Order | None) -> Instrument | None:
    """The instrument that a command is about; None where it is a whole account, or nobody knows."""
    if order is not None:
        return order.instrument
    request, command = step.ticket.request, step.command
    named = instrument_named(command, RiskContext(step.ticket.created_at))
    return named or (None if request is None else request.items[step.number].instrument)
