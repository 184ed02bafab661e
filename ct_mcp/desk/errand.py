"""One spent ticket on its way: sends a step once, and writes down what came back and what was read afterwards."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from ct_mcp.crosstrade.wire import Acknowledged
from ct_mcp.crosstrade.wire_strategies import StrategyAcknowledged
from ct_mcp.crosstrade.words import cleaned
from ct_mcp.desk import read_back
from ct_mcp.desk.facts import Case
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.ports import Upstream
from ct_mcp.desk.record import Record
from ct_mcp.desk.watch import Book, Pause, Stood, Watch
from ct_mcp.domain.action import ClosePosition, PlaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import Order
from ct_mcp.domain.ticket import Ticket
from ct_mcp.errors import BudgetExhausted, CtMcpError, NotFound, OrderRejected, OutcomeUnknown
from ct_mcp.guard.direction import is_partial
from ct_mcp.store.journal import EntryKind

STALE_AFTER_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one write: an acknowledgement, their no, or nothing that can be trusted."""

    acknowledged: Acknowledged | StrategyAcknowledged | None = None
    refusal: OrderRejected | NotFound | None = None
    unknown: OutcomeUnknown | None = None
    trouble: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """The service's own warning, labelled as its words, and trouble of ours."""
        warning = self.acknowledged.warning if self.acknowledged else None
        return (*((f'CrossTrade warns: "{warning}"',) if warning else ()), *self.trouble)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is not an acknowledgement."""
        failure = self.refusal or self.unknown
        return (failure.what,) if failure else ()

    @property
    def taken(self) -> Acknowledged:
        """What they said of orders and positions when they took it; nothing where they did not."""
        return self.acknowledged if isinstance(self.acknowledged, Acknowledged) else Acknowledged()

    @property
    def order_id(self) -> str | None:
        """The order that they named first."""
        return self.taken.order_ids[0] if self.taken.order_ids else None

    @property
    def strategy_id(self) -> str | None:
        """The strategy that they named."""
        return self.acknowledged.strategy_id if isinstance(self.acknowledged, StrategyAcknowledged) else None


@dataclass(frozen=True, slots=True)
class Errand:
    """What one send needs. The ticket is spent and the intent is in the journal by now."""

    ticket: Ticket
    case: Case
    upstream: Upstream
    record: Record
    pause: Pause

    @property
    def urgent(self) -> Upstream:
        """The client with the right to the budget's reserve, for exits."""
        return self.upstream.urgent()

    @property
    def while_fresh(self) -> Upstream:
        """The client that sends nothing once the review is too old, for what may add risk."""
        return self.upstream.checked_by(self.last_look)

    @property
    def watch(self) -> Watch:
        """Looks with the budget that everything has."""
        return Watch(self.upstream, self.pause)

    @property
    def urgent_watch(self) -> Watch:
        """Looks with the reserve, where the answer says whether money is at risk."""
        return Watch(self.urgent, self.pause)

    async def last_look(self) -> None:
        """Right before the wire: the wait for the request budget may have outlived what was reviewed."""
        age = (self.record.clock() - self.case.view.now).total_seconds()
        if age > STALE_AFTER_SECONDS:
            raise BudgetExhausted(f"the order waited {age:.0f} s for the request budget, longer than its review holds")

    async def once(self, step: str, call: Awaitable[Acknowledged | StrategyAcknowledged]) -> Answer:
        """Await one write. Whatever cannot be trusted is unknown; what certainly did not happen is raised."""
        try:
            answer = Answer(acknowledged=await call)
        except OutcomeUnknown as lost:
            answer = Answer(unknown=lost)
        except (OrderRejected, NotFound) as refusal:
            answer = Answer(refusal=refusal)
        except CtMcpError as error:
            await self.record.after_the_wire(EntryKind.ANSWERED, self.ticket, {"step": step, "not_sent": error.what})
            raise
        except Exception as surprise:  # noqa: BLE001  # a fault of ours after the send must not read as "not sent"
            answer = Answer(unknown=OutcomeUnknown(f"an internal fault ({type(surprise).__name__}) hid the answer"))
        trouble = await self.record.after_the_wire(_kind_of(answer), self.ticket, _detail_of(answer, step))
        return replace(answer, trouble=trouble)

    def after(self, answer: Answer) -> Outcome:
        """The outcome before anything was read back."""
        ticket, unchecked = self.ticket, self.case.review.checks_not_run
        outcome = Outcome(Status.ACCEPTED, ticket.summary, ticket.simulated, ticket.ticket_id, checks_not_run=unchecked)
        outcome = replace(outcome, warnings=answer.warnings, reasons=answer.reasons)
        if answer.refusal:
            return replace(outcome, status=Status.REJECTED, next_step=answer.refusal.advice)
        if answer.unknown:
            return replace(outcome, status=Status.UNKNOWN, next_step=read_back.LOOK_AGAIN)
        return outcome

    async def told(self, outcome: Outcome, seen: Order | None) -> Outcome:
        """Say what one order has come to, with the position that is held now, and write it down."""
        if seen is None:
            return await self.written(read_back.unseen(outcome, "it could not be seen in the account yet"))
        told = read_back.from_order(outcome, seen)
        if seen.filled:
            net = await self.watch.net_position(seen.account, seen.instrument)
            told = read_back.with_position(told, net, _expected(self.case, seen))
        return await self.written(told)

    async def settled(self, judge: Callable[[Outcome, Book], Outcome], answer: Answer, book: Book | None) -> Outcome:
        """Say what was read of positions and orders, and write it down."""
        outcome = self.after(answer)
        if book is not None:
            return await self.written(judge(outcome, book))
        return await self.written(read_back.unseen(outcome, "the account could not be read"))

    async def written(self, outcome: Outcome, *, is_known: bool = False) -> Outcome:
        """Write down what is going to be said. What was only accepted, or is unknown, stays outstanding.

        ``is_known`` says that all of it was read all the same, and nothing of it can come any more.
        """
        final = is_known or outcome.status not in (Status.ACCEPTED, Status.UNKNOWN)
        detail = {"status": outcome.status, "order_id": outcome.order_id, "filled": outcome.filled_quantity}
        kind = EntryKind.ANSWERED if final else EntryKind.READ_BACK
        trouble = await self.record.after_the_wire(kind, self.ticket, detail)
        # The journal keeps the id as they spell it, to look with; what is told is made harmless.
        named = None if outcome.order_id is None else cleaned(outcome.order_id, longest=80)
        return replace(outcome, order_id=named, warnings=(*outcome.warnings, *trouble))

    def stood(self, answer: Answer) -> Stood:
        """What the exit was to end: as it was asked, as it was read before, and as they named it when they took it."""
        view = self.case.view
        instrument: Instrument | None = getattr(self.case.action, "instrument", None)
        held = dict.fromkeys(held.instrument for held in (*(view.positions or ()), *answer.taken.closed))
        orders = [order.order_id for order in view.orders or () if instrument in (None, order.instrument)]
        leaves_part = isinstance(self.case.action, ClosePosition) and is_partial(self.case.action)
        return Stood(
            instruments=tuple(held) if instrument is None else (instrument,),
            order_ids=tuple(dict.fromkeys((*orders, *answer.taken.order_ids, *self.case.may_stand))),
            ask_all_orders=not orders and not leaves_part,
            of=instrument,
            ask_account=instrument is None and not held and answer.acknowledged is None,
        )


def _expected(case: Case, seen: Order) -> int | None:
    """The position that the fills of a new order lead to; None where nobody can say."""
    if not isinstance(case.action, PlaceOrder):
        return None
    before = 0 if case.action.flatten_first else case.view.net_position(seen.instrument)
    return None if before is None else before + seen.action.sign * seen.filled


def _kind_of(answer: Answer) -> EntryKind:
    if answer.unknown:
        return EntryKind.UNKNOWN
    return EntryKind.ANSWERED if answer.refusal else EntryKind.ACCEPTED


def _detail_of(answer: Answer, step: str) -> dict[str, object]:
    named: dict[str, object] = {"step": step, "order_id": answer.order_id}
    if answer.strategy_id is not None:
        named["strategy_id"] = answer.strategy_id
    return {**named, "reasons": answer.reasons, "warnings": answer.warnings}
