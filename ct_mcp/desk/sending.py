"""Sends what a spent ticket holds, once, and answers only what was read back afterwards."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from ct_mcp.crosstrade.wire import Acknowledged
from ct_mcp.desk import read_back
from ct_mcp.desk.facts import Case
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.ports import Upstream
from ct_mcp.desk.record import Record
from ct_mcp.desk.watch import Book, Pause, Stood, Watch, has_come_to_rest
from ct_mcp.domain.action import CancelOrder, CancelOrders, ChangeOrder, ClosePosition, Flatten, PlaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import Order
from ct_mcp.domain.ticket import Ticket
from ct_mcp.errors import BadRequest, BudgetExhausted, CtMcpError, NotFound, OrderRejected, OutcomeUnknown
from ct_mcp.store.journal import EntryKind

STALE_AFTER_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one write: an acknowledgement, their no, or nothing that can be trusted."""

    acknowledged: Acknowledged | None = None
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


@dataclass(frozen=True, slots=True)
class Sender:
    """The only caller of the upstream's writes. The ticket is spent and the intent is in the journal by now."""

    upstream: Upstream
    record: Record
    pause: Pause

    async def send(self, ticket: Ticket, case: Case) -> Outcome:
        """Send it and read back what became of it.

        Raises:
            UpstreamError: It certainly did not take effect (offline, refused token, rate limit).
            BudgetExhausted: It was not sent, since our own request budget is empty.
        """
        match case.action:
            case PlaceOrder() as order:
                return await self._place(order, ticket, case)
            case ChangeOrder() as change:
                return await self._change(change, ticket, case)
            case CancelOrder() as cancel:
                return await self._cancel(cancel, ticket, case)
            case CancelOrders() as cancels:
                return await self._cancel_all(cancels, ticket, case)
            case ClosePosition() as close:
                return await self._close(close, ticket, case)
            case Flatten() as flatten:
                return await self._flatten(flatten, ticket, case)
            case _:
                raise BadRequest("the desk does not send this yet", next_step="do it in NinjaTrader")

    async def _place(self, order: PlaceOrder, ticket: Ticket, case: Case) -> Outcome:
        upstream = self.upstream.checked_by(self._still_fresh(case))
        place = upstream.flat_place if order.flatten_first else upstream.place_order
        answer = await self._once(ticket, "place", place(order, ticket.own_id))
        outcome = _after(answer, ticket, case)
        if answer.refusal:
            return outcome
        watch = self._watch
        order_id = answer.acknowledged.order_ids[0] if answer.acknowledged else None
        if order_id is None and (found := await watch.find(order.account, ticket.own_id)):
            order_id = found.order_id
        seen = await watch.order(order.account, order_id, has_come_to_rest) if order_id else None
        return await self._told(replace(outcome, order_id=order_id), seen, ticket, case)

    async def _change(self, change: ChangeOrder, ticket: Ticket, case: Case) -> Outcome:
        upstream = self.upstream.checked_by(self._still_fresh(case))
        answer = await self._once(ticket, "change", upstream.change_order(change))
        outcome = _after(answer, ticket, case)
        if answer.refusal:
            return outcome

        def is_done(order: Order) -> bool:
            return order.is_closed or read_back.is_changed(order, change)

        seen = await self._watch.order(change.account, change.order_id, is_done)
        if seen is None or not is_done(seen):
            return await self._written(read_back.unseen(outcome, "the change is not seen yet"), ticket)
        if not seen.is_closed:
            outcome = replace(outcome, status=Status.CHANGED, next_step="")
            return await self._written(read_back.with_order(outcome, seen), ticket)
        return await self._told(outcome, seen, ticket, case)

    async def _cancel(self, cancel: CancelOrder, ticket: Ticket, case: Case) -> Outcome:
        urgent = self.upstream.urgent()
        answer = await self._once(ticket, "cancel", urgent.cancel_order(cancel.account, cancel.order_id))
        outcome = _after(answer, ticket, case)
        # "Not found or already terminal" is no failure: the order may have filled, so look.
        seen = await self._urgent_watch.order(cancel.account, cancel.order_id, lambda order: order.is_closed)
        if seen is not None and seen.is_closed:
            return await self._told(replace(outcome, reasons=()), seen, ticket, case)
        if answer.refusal:
            return outcome
        return await self._written(read_back.unseen(outcome, "the cancel is not seen yet"), ticket)

    async def _cancel_all(self, cancels: CancelOrders, ticket: Ticket, case: Case) -> Outcome:
        urgent = self.upstream.urgent()
        answer = await self._once(ticket, "cancel", urgent.cancel_orders(cancels.account, cancels.instrument))
        book = await self._urgent_watch.book(
            cancels.account, cancels.instrument, lambda book: not book.orders, _stood(answer, case)
        )
        return await self._settled(read_back.from_cancels, answer, book, ticket, case)

    async def _close(self, close: ClosePosition, ticket: Ticket, case: Case) -> Outcome:
        answer = await self._once(ticket, "close", self.upstream.urgent().close_position(close))
        goal = read_back.largest_left(close, case.view.net_position(close.instrument))
        book = await self._urgent_watch.book(
            close.account, close.instrument, lambda book: read_back.has_left(book.net, goal), _stood(answer, case)
        )
        return await self._settled(
            lambda outcome, read: read_back.from_close(outcome, read, goal), answer, book, ticket, case
        )

    async def _flatten(self, flatten: Flatten, ticket: Ticket, case: Case) -> Outcome:
        urgent = self.upstream.urgent()
        answer = await self._once(ticket, "flatten", urgent.flatten(flatten.account, flatten.instrument))
        book = await self._urgent_watch.book(
            flatten.account, flatten.instrument, lambda book: not book.positions, _stood(answer, case)
        )
        # Orders are cancelled only once no position is left: a stop that still protects one must stand.
        if book is not None and book.orders and not book.positions:
            answer, book = await self._cancel_leftovers(flatten, answer, ticket, case)
        return await self._settled(read_back.from_flatten, answer, book, ticket, case)

    async def _cancel_leftovers(
        self, flatten: Flatten, answer: Answer, ticket: Ticket, case: Case
    ) -> tuple[Answer, Book | None]:
        """Cancel what a flatten leaves standing: a resting entry without a position would fill later."""
        urgent = self.upstream.urgent()
        try:
            await self.record.intent(ticket, case)
            second = await self._once(ticket, "cancel", urgent.cancel_orders(flatten.account, flatten.instrument))
            trouble = (*second.reasons, *second.warnings)
        except CtMcpError as error:
            # The flatten before it was sent, so this error must not speak for the whole.
            trouble = (f"the orders left standing were not cancelled: {error.what}",)
        book = await self._urgent_watch.book(
            flatten.account, flatten.instrument, lambda book: book.is_flat, _stood(answer, case)
        )
        return replace(answer, trouble=(*answer.trouble, *trouble)), book

    async def _once(self, ticket: Ticket, step: str, call: Awaitable[Acknowledged]) -> Answer:
        """Await one write. Whatever cannot be trusted is unknown; what certainly did not happen is raised."""
        try:
            answer = Answer(acknowledged=await call)
        except OutcomeUnknown as lost:
            answer = Answer(unknown=lost)
        except (OrderRejected, NotFound) as refusal:
            answer = Answer(refusal=refusal)
        except CtMcpError as error:
            await self.record.after_the_wire(EntryKind.ANSWERED, ticket, {"step": step, "not_sent": error.what})
            raise
        except Exception as surprise:  # noqa: BLE001  # a fault of ours after the send must not read as "not sent"
            answer = Answer(unknown=OutcomeUnknown(f"an internal fault ({type(surprise).__name__}) hid the answer"))
        trouble = await self.record.after_the_wire(_kind_of(answer), ticket, _detail_of(answer, step))
        return replace(answer, trouble=trouble)

    async def _told(self, outcome: Outcome, seen: Order | None, ticket: Ticket, case: Case) -> Outcome:
        """Say what one order has come to, with the position that is held now, and write it down."""
        if seen is None:
            return await self._written(read_back.unseen(outcome, "it could not be seen in the account yet"), ticket)
        told = read_back.from_order(outcome, seen)
        if seen.filled:
            net = await self._watch.net_position(seen.account, seen.instrument)
            told = read_back.with_position(told, net, _expected(case, seen))
        return await self._written(told, ticket)

    async def _settled(
        self,
        judge: Callable[[Outcome, Book], Outcome],
        answer: Answer,
        book: Book | None,
        ticket: Ticket,
        case: Case,
    ) -> Outcome:
        """Say what was read of positions and orders, and write it down."""
        outcome = _after(answer, ticket, case)
        if book is not None:
            return await self._written(judge(outcome, book), ticket)
        return await self._written(read_back.unseen(outcome, "the account could not be read"), ticket)

    async def _written(self, outcome: Outcome, ticket: Ticket) -> Outcome:
        final = outcome.status not in (Status.ACCEPTED, Status.UNKNOWN)
        detail = {"status": outcome.status, "order_id": outcome.order_id, "filled": outcome.filled_quantity}
        kind = EntryKind.ANSWERED if final else EntryKind.READ_BACK
        trouble = await self.record.after_the_wire(kind, ticket, detail)
        return replace(outcome, warnings=(*outcome.warnings, *trouble))

    def _still_fresh(self, case: Case) -> Callable[[], Awaitable[None]]:
        """The last look before the wire: the wait for the request budget may have outlived what was reviewed."""

        async def check() -> None:
            age = (self.record.clock() - case.view.now).total_seconds()
            if age > STALE_AFTER_SECONDS:
                raise BudgetExhausted(
                    f"the order waited {age:.0f} s for the request budget, longer than its review holds"
                )

        return check

    @property
    def _watch(self) -> Watch:
        return Watch(self.upstream, self.pause)

    @property
    def _urgent_watch(self) -> Watch:
        return Watch(self.upstream.urgent(), self.pause)


def _expected(case: Case, seen: Order) -> int | None:
    """The position that the fills of a new order lead to; None where nobody can say."""
    if not isinstance(case.action, PlaceOrder):
        return None
    before = 0 if case.action.flatten_first else case.view.net_position(seen.instrument)
    return None if before is None else before + seen.action.sign * seen.filled


def _stood(answer: Answer, case: Case) -> Stood:
    """What the exit was to end: as it was asked for, as it was read before, and as they named it when they took it."""
    instrument: Instrument | None = getattr(case.action, "instrument", None)
    taken = answer.acknowledged or Acknowledged()
    held = dict.fromkeys(held.instrument for held in (*(case.view.positions or ()), *taken.closed))
    orders = [order.order_id for order in case.view.orders or () if instrument in (None, order.instrument)]
    return Stood(
        instruments=tuple(held) if instrument is None else (instrument,),
        order_ids=tuple(dict.fromkeys((*orders, *taken.order_ids))),
    )


def _after(answer: Answer, ticket: Ticket, case: Case) -> Outcome:
    """The outcome before anything was read back."""
    outcome = replace(read_back.blank(ticket, case), warnings=answer.warnings, reasons=answer.reasons)
    if answer.refusal:
        return replace(outcome, status=Status.REJECTED, next_step=answer.refusal.advice)
    if answer.unknown:
        return replace(outcome, status=Status.UNKNOWN, next_step=read_back.LOOK_AGAIN)
    return outcome


def _kind_of(answer: Answer) -> EntryKind:
    if answer.unknown:
        return EntryKind.UNKNOWN
    return EntryKind.ANSWERED if answer.refusal else EntryKind.ACCEPTED


def _detail_of(answer: Answer, step: str) -> dict[str, object]:
    ids = answer.acknowledged.order_ids if answer.acknowledged else ()
    return {"step": step, "order_id": ids[0] if ids else None, "reasons": answer.reasons, "warnings": answer.warnings}
