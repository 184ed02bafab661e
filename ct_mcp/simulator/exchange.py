"""The exchange: accounts and orders, and how they change as time passes.

Nothing happens by itself: `advance(now)` processes everything that is due up to a moment, in the order of time,
so that a run depends on its seed and its clock alone. The life of an order:

1. `submit` takes it; it is Submitted.
2. A little later `_acknowledge` accepts or rejects it; a rejection comes after the call has been answered.
3. It rests in the market until `first_touch` finds that the market reaches it.
4. `_fill` trades it slice by slice, and cancels the rest of its OCO group.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from ct_mcp.simulator.accounts import AccountSpec, SimAccount, open_account
from ct_mcp.simulator.atm import TEMPLATES, exit_terms, leg_labels, legs_of
from ct_mcp.simulator.clock import Schedule
from ct_mcp.simulator.faults import AnyFault, Fault, Faults, Lag
from ct_mcp.simulator.hours import SessionHours
from ct_mcp.simulator.market import Market
from ct_mcp.simulator.matching import Touch, fill_ticks, first_touch, rejection_reason
from ct_mcp.simulator.orders import (
    IdGenerator,
    OrderLabels,
    OrderRecord,
    OrderTerms,
    SimExecution,
    SimOrder,
    SimOrderState,
    SimOrderType,
    SimTimeInForce,
    ends_oco_group,
    oco_siblings,
)

_BLOCKING_FAULTS: tuple[AnyFault, ...] = (
    Fault.LATE_REJECT,
    Fault.FROZEN_ORDERS,
    Fault.NO_FILL,
    Fault.PARTIAL_FILL_STUCK,
)
_BLOCKING_FAULTS_OF_A_CLOSE = (*_BLOCKING_FAULTS, Lag.CLOSE_STUCK)
_REJECTED_BY_FAULT = "Order rejected by the exchange"


@dataclass(frozen=True, slots=True)
class ExchangePace:
    """How long things take, in seconds, and how many contracts one execution fills at most.

    `numbers_orders` says that the broker gives each order a number of its own: what acknowledges it names the id of its
    placement, and what is read shows the number.
    """

    acknowledgement_seconds: float = 0.05
    fill_seconds: float = 0.15
    contracts_per_fill: int = 10
    numbers_orders: bool = False


class Exchange:
    """Accounts, orders and executions, and the market that they trade in."""

    def __init__(self, market: Market, faults: Faults, pace: ExchangePace, specs: Iterable[AccountSpec]) -> None:
        """Open the accounts. `begin` must be called with the first moment."""
        self.market = market
        self.faults = faults
        self.record = OrderRecord()
        self.accounts: dict[str, SimAccount] = {spec.name: open_account(spec) for spec in specs}
        self.orders: list[SimOrder] = []
        self._open: list[SimOrder] = []
        self.executions: list[SimExecution] = []
        self._pace = pace
        self.schedule = Schedule()
        self.ids = IdGenerator(market.seed)
        self._matched_until: datetime | None = None

    def begin(self, now: datetime) -> None:
        """Set the first moment, and schedule the current session or the next one."""
        self._matched_until = now
        self._schedule_session(self.market.session_ahead(now), now)

    def advance(self, now: datetime) -> None:
        """Process everything that is due up to a moment."""
        self._release_unblocked(now)
        while True:
            due = self.schedule.due(now)
            if touch := first_touch(self.market, self._live(), self._cursor, due or now):
                self._matched_until = touch.at
                self._apply_touch(touch)
                continue
            self._matched_until = max(due or now, self._cursor)
            if due is None:
                break
            self.schedule.run_next()
        self._raise_high_water_marks(now)

    def account(self, name: str) -> SimAccount | None:
        """Find an account, whatever the case of its name."""
        return next((account for own, account in self.accounts.items() if own.lower() == name.lower()), None)

    def live_orders(self, account: str, instrument: str | None = None) -> list[SimOrder]:
        """List the orders of an account that may still fill."""
        return [
            order
            for order in self._live()
            if order.account == account and instrument in (None, order.terms.contract.name)
        ]

    def open_profit(self, account: SimAccount, now: datetime) -> float:
        """Add up the unrealised P&L of an account, in dollars."""
        return sum(
            (held.open_profit(self.market.top(held.contract, now).last) for held in account.open_positions()), 0.0
        )

    def submit(self, account: SimAccount, terms: OrderTerms, labels: OrderLabels, now: datetime) -> SimOrder:
        """Take an order; the broker accepts or rejects it later."""
        order = SimOrder(self.ids.order(account.spec), account.spec.name, terms, labels, now)
        if self._pace.numbers_orders:
            self.renumber(order)
        order.owner_id = labels.owner_id or (self.ids.strategy() if labels.template else None)
        candidates = _BLOCKING_FAULTS_OF_A_CLOSE if labels.closes else _BLOCKING_FAULTS
        order.blocking_fault = self.faults.first_due(candidates, labels.rpc)
        reason = self._early_rejection_reason(order)
        self.orders.append(order)
        self._open.append(order)
        self._set_state(order, SimOrderState.SUBMITTED, now)
        self.schedule.after(now, self._pace.acknowledgement_seconds, partial(self._acknowledge, order, reason))
        return order

    def renumber(self, order: SimOrder) -> None:
        """Let the broker give an order another id; the one of its placement keeps working."""
        order.number = self.ids.number()

    def cancel(self, order: SimOrder, now: datetime) -> None:
        """Ask for an order to be cancelled; it may still fill until the exchange has done so."""
        if order.blocking_fault is Fault.FROZEN_ORDERS or order.state is SimOrderState.CANCEL_PENDING:
            return
        self._set_state(order, SimOrderState.CANCEL_PENDING, now)
        self.schedule.after(now, self._pace.acknowledgement_seconds, partial(self._complete_cancel, order))

    def change(self, order: SimOrder, terms: OrderTerms, now: datetime) -> None:
        """Ask for other terms; the exchange puts them in place a little later."""
        if order.state is SimOrderState.SUBMITTED:
            order.terms = terms
            self.record.report_change(order, now)
            return
        self._set_state(order, SimOrderState.CHANGE_PENDING, now)
        self.schedule.after(now, self._pace.acknowledgement_seconds, partial(self._complete_change, order, terms))

    @property
    def _cursor(self) -> datetime:
        if self._matched_until is None:
            raise RuntimeError("the exchange has not begun")
        return self._matched_until

    def _live(self) -> list[SimOrder]:
        self._open = [order for order in self._open if order.is_live]
        return self._open

    def _early_rejection_reason(self, order: SimOrder) -> str | None:
        """Return why an order that is wrong from the start will be rejected at its acknowledgement."""
        labels = order.labels
        if order.blocking_fault is Fault.LATE_REJECT:
            return _REJECTED_BY_FAULT
        if labels.template is not None and labels.template not in TEMPLATES:
            return f"ATM strategy template '{labels.template}' does not exist"
        if any(not sibling.is_live for sibling in oco_siblings(order, self.orders)):
            order.joins_oco = False
            return f"OCO ID '{labels.oco_id}' has already been used. Please use a new OCO ID."
        return None

    def _set_state(self, order: SimOrder, state: SimOrderState, at: datetime) -> None:
        order.state = state
        self.record.add_transition(order, at)
        if ends_oco_group(order):
            self._cancel_siblings(order, at)

    def _cancel_siblings(self, order: SimOrder, at: datetime) -> None:
        """Cancel the rest of an OCO group at once, because an order of it has filled, if only in part, or is done."""
        for sibling in oco_siblings(order, self.orders):
            if sibling.is_live:
                sibling.state = SimOrderState.CANCELLED
                self.record.add_transition(sibling, at)

    def _acknowledge(self, order: SimOrder, early_reason: str | None, at: datetime) -> None:
        if order.state is not SimOrderState.SUBMITTED or order.blocking_fault is Fault.FROZEN_ORDERS:
            return
        if order.labels.closes and not self._fit_to_position(order):
            self._set_state(order, SimOrderState.CANCELLED, at)
            return
        order.error = early_reason or rejection_reason(self.market, self.accounts[order.account], order, at)
        if order.error:
            self._set_state(order, SimOrderState.REJECTED, at)
            return
        self._set_state(order, SimOrderState.ACCEPTED, at)
        order.matches_from = at + timedelta(seconds=self._pace.fill_seconds)
        self._rest(order, at)

    def _fit_to_position(self, order: SimOrder) -> bool:
        """Give a closing order the size of the position; return whether there is one."""
        held = self.accounts[order.account].net(order.terms.contract) * -order.terms.action.sign
        order.terms = replace(order.terms, quantity=max(held, 1))
        return held > 0

    def _rest(self, order: SimOrder, at: datetime) -> None:
        """Set the state of an order that rests in the market; a market order that waits for the open stays Accepted."""
        state = SimOrderState.WORKING
        if order.filled:
            state = SimOrderState.PART_FILLED
        elif order.waits_for_trigger and order.terms.order_type is SimOrderType.STOP_LIMIT:
            state = SimOrderState.TRIGGER_PENDING
        elif order.is_plain_market and not self.market.is_open(at):
            state = SimOrderState.ACCEPTED
        if state is not order.state:
            self._set_state(order, state, at)

    def _complete_cancel(self, order: SimOrder, at: datetime) -> None:
        if order.is_live:
            self._set_state(order, SimOrderState.CANCELLED, at)

    def _complete_change(self, order: SimOrder, terms: OrderTerms, at: datetime) -> None:
        """Put new terms in place, or keep the old ones where the broker rejects the new ones."""
        if order.state is not SimOrderState.CHANGE_PENDING:
            return
        before = order.terms
        order.terms = replace(terms, quantity=max(terms.quantity, order.filled + 1))
        order.error = rejection_reason(self.market, self.accounts[order.account], order, at)
        if order.error:
            order.terms = before
        self._rest(order, at)
        order.error = None

    def _apply_touch(self, touch: Touch) -> None:
        """Trigger a stop order, or fill an order."""
        order = touch.order
        if order.waits_for_trigger:
            order.triggered = True
            order.matches_from = touch.at + timedelta(seconds=self._pace.fill_seconds)
            if order.state is SimOrderState.TRIGGER_PENDING:
                self._set_state(order, SimOrderState.WORKING, touch.at)
            return
        if order.state is SimOrderState.ACCEPTED:
            self._set_state(order, SimOrderState.WORKING, touch.at)
        self._fill(order, fill_ticks(order, touch.top), touch.at)

    def _fill(self, order: SimOrder, ticks: int, at: datetime) -> None:
        """Trade one slice of an order."""
        size = self._slice(order)
        account = self.accounts[order.account]
        account.book(order.terms.contract, order.terms.action.sign * size, ticks)
        order.filled += size
        order.filled_ticks += ticks * size
        order.matches_from = at + timedelta(seconds=self._pace.fill_seconds)
        if order.blocking_fault is Fault.PARTIAL_FILL_STUCK:
            order.matches_from = None
        product = order.terms.contract.product
        net = account.net(order.terms.contract)
        costs = (product.commission * size, product.fee * size)
        execution = SimExecution(self.ids.guid("execution"), order, at, size, ticks, net, *costs)
        self.executions.append(execution)
        self._cancel_siblings(order, at)
        self._protect(order, size, ticks, at)
        if not order.remaining:
            self._set_state(order, SimOrderState.FILLED, at)
        elif order.state in (SimOrderState.WORKING, SimOrderState.PART_FILLED):
            self._set_state(order, SimOrderState.PART_FILLED, at)
        else:
            self.record.report_change(order, at)
        self.record.report_execution(execution)

    def _slice(self, order: SimOrder) -> int:
        if order.blocking_fault is Fault.PARTIAL_FILL_STUCK:
            return max(order.remaining // 2, 1)
        return min(order.remaining, self._pace.contracts_per_fill)

    def _protect(self, entry: SimOrder, size: int, ticks: int, at: datetime) -> None:
        """Place or enlarge the bracket of an entry with a template, unless its position is being closed already."""
        template = TEMPLATES.get(entry.labels.template or "")
        live = self.live_orders(entry.account, entry.terms.contract.name) if template else []
        if template is None or any(order.labels.closes for order in live):
            return
        legs = legs_of(entry, live)
        for leg in legs:
            leg.terms = replace(leg.terms, quantity=leg.terms.quantity + size)
            self.record.report_change(leg, at)
        if legs:
            return
        oco_id = self.ids.guid("oco")
        for name, terms in exit_terms(entry, template, size, ticks).items():
            self.submit(self.accounts[entry.account], terms, leg_labels(entry, template, name, oco_id), at)

    def _release_unblocked(self, now: datetime) -> None:
        """Release the orders that were blocked by a fault that is disarmed by now."""
        for order in self._live():
            fault = order.blocking_fault
            if fault is None or self.faults.holds(fault):
                continue
            order.blocking_fault = None
            if fault is Fault.FROZEN_ORDERS:
                self.schedule.at(now, partial(self._acknowledge, order, None))
            elif fault is Fault.PARTIAL_FILL_STUCK:
                order.matches_from = now

    def _raise_high_water_marks(self, now: datetime) -> None:
        for account in self.accounts.values():
            account.mark(self.open_profit(account, now))

    def _schedule_session(self, session: SessionHours, now: datetime) -> None:
        if session.opens_at >= now:
            self.schedule.at(session.opens_at, partial(self._begin_session, session))
        else:
            self.schedule.at(session.closes_at, self._end_session)

    def _begin_session(self, session: SessionHours, at: datetime) -> None:
        for account in self.accounts.values():
            account.begin_session(self.open_profit(account, at), new_week=session.day.weekday() == 0)
        self.schedule.at(session.closes_at, self._end_session)

    def _end_session(self, at: datetime) -> None:
        """Expire the day orders and schedule the next session."""
        for order in self._live():
            if order.is_live and order.terms.time_in_force is SimTimeInForce.DAY:
                self._set_state(order, SimOrderState.CANCELLED, at)
        self._schedule_session(self.market.session_ahead(at), at)
