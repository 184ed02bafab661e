"""One command of a spent ticket on its way: submit it once, write down what came back and what was read afterwards."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from math import ceil

from ct_mcp.crosstrade.schemas.orders import Acknowledged
from ct_mcp.crosstrade.schemas.strategies import StrategyAcknowledged
from ct_mcp.desk import readback
from ct_mcp.desk.exit_state import KeepsExits
from ct_mcp.desk.held_now import leaves_what_was_shown
from ct_mcp.desk.in_list import InList
from ct_mcp.desk.journal_writer import JournalWriter, Step
from ct_mcp.desk.membership import Membership
from ct_mcp.desk.misfits import with_misfits, with_too_small, without_what_cannot_come
from ct_mcp.desk.outcome import Outcome, Status, detail_of
from ct_mcp.desk.pending import is_shown, starts_of, with_outstanding
from ct_mcp.desk.polling import AccountPoller, AccountState, Baseline, Pause
from ct_mcp.desk.ports import Upstream
from ct_mcp.desk.recognition import Ours
from ct_mcp.desk.root_months import with_months_unseen
from ct_mcp.desk.second_look import looked_again
from ct_mcp.desk.standing import Contracts, results_of
from ct_mcp.desk.submission import Submission, detail_of_answer, kind_of
from ct_mcp.domain.account import Position
from ct_mcp.domain.approval import Approval, Ticket
from ct_mcp.domain.commands import PlaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import Execution, Order, OrderAction
from ct_mcp.errors import BudgetExhausted, CtMcpError, NotFound, OrderRejected, OutcomeUnknown
from ct_mcp.guard.effect import instrument_named, is_exit_of_entry, leaves_position, may_open
from ct_mcp.guard.review import Review
from ct_mcp.store.journal import EntryKind
from ct_mcp.text import sanitize

STALE_AFTER_SECONDS = 5.0
Finish = Callable[[Outcome], Awaitable[Outcome]]
"""What is added to an answer right before it is written down."""


async def as_it_is(told: Outcome) -> Outcome:
    """Add nothing."""
    return told


@dataclass(frozen=True, slots=True)
class CommandExecution:
    """What one send needs. The ticket is spent and the intent is in the journal by now."""

    step: Step
    review: Review
    upstream: Upstream
    journal: JournalWriter
    pause: Pause
    notes: tuple[str, ...] = ()
    contracts: Contracts = field(default_factory=dict)
    exits: KeepsExits | None = None
    answers: list[Submission] = field(default_factory=list)
    looks: list[InList] = field(default_factory=list)
    team: Membership | None = None

    @property
    def own_id(self) -> str:
        """Our own order id of this command."""
        return self.step.own_id

    @property
    def urgent(self) -> Upstream:
        """The client with the right to the budget's reserve, for exits."""
        return self.upstream.urgent()

    @property
    def leaving(self) -> Upstream:
        """The same, for the exits themselves: what a watch or the keeper of exits has made goes while it is theirs."""
        return self.urgent if self.step.holder is None else self.urgent.checked_by(self.still_ours)

    @property
    def while_fresh(self) -> Upstream:
        """The client that sends nothing once the review is too old, for what may add risk."""
        exits = is_exit_of_entry(self.review.command)
        return (self.urgent if exits else self.upstream).checked_by(self.last_look)

    @property
    def poller(self) -> AccountPoller:
        """Look with the budget that everything has."""
        return AccountPoller(self.upstream, self.pause)

    @property
    def urgent_poller(self) -> AccountPoller:
        """Look with the reserve, where the answer says whether money is at risk."""
        return AccountPoller(self.urgent, self.pause)

    async def last_look(self) -> None:
        """Right before the wire: the wait for the request budget may have outlived what was reviewed."""
        read_at = self.review.context.read_at or self.review.context.now
        if (age := (self.journal.clock() - read_at).total_seconds()) > STALE_AFTER_SECONDS:
            raise BudgetExhausted(f"the order waited {age:.0f} s for the request budget, longer than its review holds")
        await leaves_what_was_shown(self.urgent, self.review, self.journal.clock)
        await self.still_ours()
        if may_open(self.review.effect):
            await self.journal.not_stopped(self.step, self.review, self.team)

    async def still_ours(self) -> None:
        """Right before the wire: whoever slept may have been taken over meanwhile."""
        await self.journal.still_ours(self.step)

    async def submit(self, step: str, call: Awaitable[Acknowledged | StrategyAcknowledged]) -> Submission:
        """Await one write. Whatever cannot be trusted is unknown; what certainly did not happen is raised."""
        try:
            answer = Submission(acknowledged=await call)
        except OutcomeUnknown as lost:
            answer = Submission(unknown=lost)
        except (OrderRejected, NotFound) as refusal:
            answer = Submission(refusal=refusal)
        except CtMcpError as error:
            await self.journal.after_the_wire(EntryKind.ANSWERED, self.step, {"step": step, "not_sent": error.what})
            raise
        except Exception as surprise:  # noqa: BLE001  # a fault of ours after the send must not read as "not sent"
            answer = Submission(unknown=OutcomeUnknown(f"an internal fault ({type(surprise).__name__}) hid the answer"))
        trouble = await self.journal.after_the_wire(kind_of(answer), self.step, detail_of_answer(answer, step))
        self.answers.append(answer)
        return replace(answer, trouble=trouble)

    async def another_intent(self) -> None:
        """Write down that a second write of the same command is about to be sent.

        Raises:
            StoreFailed: It could not be written, so it may not be sent.
        """
        await self.journal.intent(self.step, self.review)

    def after(self, answer: Submission) -> Outcome:
        """The outcome before anything was read back."""
        outcome = Outcome(
            Status.ACCEPTED,
            self.step.summary,
            self.step.simulated,
            self.step.ticket.ticket_id,
            findings=self.review.findings_to_answer,
            warnings=(*self.notes, *answer.warnings),
            reasons=answer.reasons,
            asked=_asked(self.step.ticket),
        )
        if answer.refusal:
            refused = replace(outcome, status=Status.REJECTED, next_step=answer.refusal.advice)
            return without_what_cannot_come(refused)
        if answer.unknown:
            return replace(outcome, status=Status.UNKNOWN, next_step=readback.LOOK_AGAIN)
        return outcome

    async def seen_order(
        self, order_id: str, is_settled: Callable[[Order], bool], is_it: Callable[[Order], bool]
    ) -> Order | None:
        """The order once it is settled, as `AccountPoller.order` gives it; with what stands beside, where listed."""
        account, watch, order = self.step.command.account, self.poller, self.review.effect.order
        if order is not None and order.atm_strategy:
            return await watch.order(account, order_id, is_settled, is_it)
        in_list = InList(self.upstream, watch, is_settled, is_it, self._net_after, self._known_beside)
        self.looks.append(in_list)
        return await watch.order(account, order_id, is_settled, is_it, in_list.look)

    def _net_after(self, seen: Order) -> int | None:
        """The position once an order has filled what it reads, if nothing else moved it; None where nobody can say."""
        context = self.review.context
        before, known = context.net_position(seen.instrument), context.order(seen.order_id)
        return None if before is None else before + seen.action.sign * (seen.filled - (known.filled if known else 0))

    async def report_order(
        self, outcome: Outcome, seen: Order | None, finish: Finish = as_it_is, closed: int = 0
    ) -> Outcome:
        """Say what one order has come to, with the position that is held now, and write it down as it is finished.

        ``closed`` of what it filled were closed at once, since they could not be protected.
        """
        if seen is None:
            return await self.record(await finish(readback.unseen(outcome, "it could not be seen in the account yet")))
        told = readback.from_order(outcome, seen)
        shown = True
        if told.status in (Status.CANCELLED, Status.REJECTED):
            book = await self.book_believed(seen.instrument)
            told = readback.with_what_stands(told, self.review, book, self.contracts)
            told, net = with_misfits(told, self.review, book, self.contracts, seen), told.position_after
        else:
            told, net = await self.standing_with(told, seen)
        if seen.filled:
            expected, gone = _expected(self.review, seen), seen.action.sign * closed
            told = readback.with_position(told, net, None if expected is None else expected - gone)
            filled_to = None if net is None else net + gone
            shown = expected is None or is_shown(starts_of(self.review.effect, self.review.context), seen, filled_to)
        return await self.record(await finish(told), is_shown=shown)

    async def with_what_stands(self, outcome: Outcome, instrument: Instrument | None) -> Outcome:
        """Read position and orders once more, and say what stands now and whether a stop was lost."""
        return self.with_book(outcome, instrument, await self.book_believed(instrument))

    def with_book(self, outcome: Outcome, instrument: Instrument | None, book: AccountState | None) -> Outcome:
        """Say it as it was read; without an instrument of the whole account, and no position of it is the one meant."""
        told = readback.with_what_stands(outcome, self.review, book, self.contracts)
        told = with_misfits(told, self.review, book, self.contracts)
        return told if instrument is not None else replace(told, position_after=None)

    async def book_believed(self, instrument: Instrument | None) -> AccountState | None:
        """Read position and orders once more; None where they cannot be read or believed."""
        book = await self.urgent_poller.book_believed(self.step.command.account, instrument)
        return None if book is None else await looked_again(self.urgent_poller, self.review, book, instrument)

    async def standing_with(self, outcome: Outcome, seen: Order) -> tuple[Outcome, int | None]:
        """Say what stands beside an order that stands or filled, read once more; with the net position, if known.

        What was read before the send may be over by now: somebody else acts, and earlier orders fill.
        """
        book = next((look.book for look in self.looks if look.seen is seen), None)
        book = book or await self.poller.book_beside(seen, self._known_beside(seen))
        if book is not None:
            review, book = self.review, await looked_again(self.poller, self.review, book, seen.instrument)
            told = readback.with_stops_lost_since(outcome, review, book)
            if not seen.filled:
                told = readback.with_bare_beside(readback.with_moves(told, review, book, seen.instrument), review, book)
            taken, named = Acknowledged((seen.order_id,)), seen.order_id if seen.is_closed else None
            ended = readback.ended_since(self.review, book, taken, named)
            told = readback.with_standing(told, book, self.contracts, ended)
            return with_misfits(told, self.review, book, self.contracts, seen), book.net
        net, held = None, self._known_position(seen.instrument)
        if seen.filled:
            net, held = await self.poller.holding(seen.account, seen.instrument)
        known = self._as_known(seen, held)
        told = readback.with_standing(outcome, known, self.contracts)
        told = with_misfits(told, self.review, known, self.contracts, seen)
        stood = (*told.stands_now, readback.AS_BEFORE) if told.stands_now else ()
        return replace(told, stands_now=stood), net

    def _known_beside(self, seen: Order) -> Baseline:
        """What was known to stand in the instrument of an order: a list that shows it no more is not believed alone."""
        context, instrument = self.review.context, seen.instrument
        was_held = seen.filled or context.net_position(instrument) != 0
        orders = {order.order_id for order in context.open_orders(instrument) or ()}
        orders = orders - {seen.order_id} if seen.is_closed else orders | {seen.order_id}
        return Baseline(instruments=(instrument,) if was_held else (), order_ids=tuple(sorted(orders)))

    def _known_position(self, instrument: Instrument) -> tuple[Position, ...] | None:
        held = self.review.context.positions
        return None if held is None else tuple(each for each in held if each.instrument == instrument)

    def _as_known(self, seen: Order, held: tuple[Position, ...] | None) -> AccountState | None:
        """The instrument as it is known: the position, the orders that stood before and are not gone, and this one.

        None where either is not known, or where what it brought along (a template's bracket) was not read.
        """
        orders, sent = self.review.context.open_orders(seen.instrument), self.review.effect.order
        if held is None or orders is None or (sent is not None and sent.atm_strategy):
            return None
        gone = {seen.order_id, *(o.order_id for o in orders if seen.filled and seen.oco_id and o.oco_id == seen.oco_id)}
        left = tuple(order for order in orders if order.order_id not in gone)
        return AccountState(held, left if seen.is_closed else (*left, seen))

    async def with_outstanding(self, outcome: Outcome) -> Outcome:
        """Name whatever else is on its way in the account, or of unknown outcome; once for an entry with its exits."""
        if is_exit_of_entry(self.review.command):
            return outcome
        others = await self.journal.outstanding_beside(self.step)
        if others is None:
            unread = "what else is outstanding in the account could not be read from the journal"
            return replace(outcome, warnings=(*outcome.warnings, unread))
        instrument = instrument_named(self.review.command, self.review.context) or self.review.effect.instrument
        as_answered = self.after(self.answers[0]).status if self.answers else Status.ACCEPTED
        return with_outstanding(outcome, others, self.journal.clock(), instrument, as_answered)

    async def ours(self, order: PlaceOrder) -> Ours:
        """What an order must look like to be the one that is sent."""
        return Ours.as_placed(order, self.own_id, self.review.context.now, await self._known_before())

    async def ours_of_turn(self, instrument: Instrument, held: int, named: str | None = None) -> Ours:
        """What an order must look like to be the new position of a reverse: of any size under the id they named."""
        action, size = OrderAction.SELL if held > 0 else OrderAction.BUY, abs(held) if named else None
        before = await self._known_before()
        return Ours(instrument, action, size, self.own_id, self.review.context.now, before, named=named)

    async def _known_before(self) -> frozenset[str]:
        listed = (order.order_id for order in self.review.context.orders or ())
        return await self.journal.orders_named_before(self.step) | frozenset(listed)

    async def report_account(
        self,
        judge: Callable[[Outcome, AccountState], Outcome],
        answer: Submission,
        state: AccountState | None,
    ) -> Outcome:
        """Say what was read of positions and orders, and write it down."""
        outcome = self.after(answer)
        if state is not None:
            scope = instrument_named(self.review.command, self.review.context)
            state = await looked_again(self.urgent_poller, self.review, state, scope)
            state = replace(state, fills=await self._filled_since(state.fills))
            told = with_months_unseen(judge(outcome, state), state, self.review, outcome.status)
            told = readback.with_lost_stops(told, self.review, state)
            held = () if told.status is Status.UNKNOWN else self.review.context.positions or answer.taken.closed
            ended = (
                *readback.ended_since(self.review, state, answer.taken, told.order_id),
                *readback.fill_lines(self.review, state, answer.taken),
                *results_of(held, state.fills, self.contracts),
            )
            told = readback.with_standing(told, state, self.contracts, ended)
            told = with_too_small(told, self.review, state, self.contracts)
            return await self.record(told, fills=state.fills)
        return await self.record(readback.unseen(outcome, "the account could not be read"))

    async def _filled_since(self, fills: tuple[Execution, ...]) -> tuple[Execution, ...]:
        """Leave out what was there before: executions are asked for by whole seconds, so some of before come along.

        By their orders, since clocks differ: those that were over as this was reviewed or are known to the journal as
        over, and those whose fills another answer has told.
        """
        if not fills:
            return ()
        standing = {order.order_id for order in self.review.context.orders or ()}
        before = (await self.journal.orders_over_before(self.step) | self.review.context.over) - standing
        return tuple(fill for fill in fills if fill.order_id not in before)

    async def record(
        self, outcome: Outcome, *, is_known: bool = False, is_shown: bool = True, fills: Sequence[Execution] = ()
    ) -> Outcome:
        """Write down what is going to be said. What was only accepted, or is unknown, stays outstanding.

        ``is_known`` says that all of it was read all the same, and nothing of it can come any more. A fill that the
        positions do not show yet (``is_shown``) counts as well until they do: they may be seconds behind. The orders of
        the ``fills`` are written down as well, so that no later answer takes them for fills of its own.
        """
        outcome = without_what_cannot_come(outcome)
        final = is_shown and (is_known or outcome.status not in (Status.ACCEPTED, Status.UNKNOWN))
        kind = EntryKind.ANSWERED if final else EntryKind.READ_BACK
        by = sorted({fill.order_id for fill in fills if fill.order_id})
        trouble = await self.journal.after_the_wire(kind, self.step, detail_of(outcome) | ({"fills": by} if by else {}))
        # The journal keeps the id as they spell it, to look with; what is told is made harmless.
        named = None if outcome.order_id is None else sanitize(outcome.order_id, longest=80)
        return replace(outcome, order_id=named, warnings=(*outcome.warnings, *trouble))

    def baseline(self, answer: Submission) -> Baseline:
        """What the exit was to end: as it was asked, as it was read before, and as they named it when they took it."""
        context, effect = self.review.context, self.review.effect
        instrument = instrument_named(self.review.command, context)
        rows = (*(context.positions or ()), *answer.taken.closed)
        held = dict.fromkeys(row.instrument for row in rows)
        orders = {it.order_id: it for it in context.orders or () if instrument in (None, it.instrument)}
        return Baseline(
            instruments=tuple(held) if instrument is None else (instrument,),
            nets=frozenset((row.instrument, row.net) for row in rows if row.net),
            order_ids=tuple(dict.fromkeys((*orders, *answer.taken.order_ids, *context.possibly_open))),
            ask_all_orders=not orders and not effect.adds_up,
            ask_all_if_flat=not orders and effect.adds_up,
            of=instrument,
            ask_account=instrument is None and effect.is_exit,
            # A list that held no order may have hidden one that fills: then executions alone tell of it.
            known=orders,
            sent_ago=self._sent_ago if leaves_position(self.review.command) or not orders else None,
        )

    def _sent_ago(self) -> int:
        """Whole seconds since the review that sent, rounded up; where nothing leaves, since what it read."""
        context = self.review.context
        since = context.now if leaves_position(self.review.command) else context.book_asked_at or context.now
        return ceil((self.journal.clock() - since).total_seconds()) + 1


def _asked(ticket: Ticket) -> str:
    if ticket.approval is Approval.NONE:
        return "no yes was needed: the settings let it go"
    return f"the person said yes ({ticket.decided_by or 'outside this conversation'})"


def _expected(review: Review, seen: Order) -> int | None:
    """The position that the fills of a new order lead to; None where nobody can say."""
    order = review.effect.order
    if order is None or order is not review.command:
        return None
    before = 0 if order.flatten_first else review.context.net_position(seen.instrument)
    return None if before is None else before + seen.action.sign * seen.filled
