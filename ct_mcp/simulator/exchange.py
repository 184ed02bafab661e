"""The state machine behind the add-on: accounts, orders and what time makes of them.

Nothing happens by itself: `advance(now)` works off everything that is due up to a
moment, in the order of time, so that a run depends on its seed and its clock alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from ct_mcp.simulator.atm import TEMPLATES, bracket
from ct_mcp.simulator.broker import objection
from ct_mcp.simulator.faults import AnyFault, Fault, Faults, Lag
from ct_mcp.simulator.hours import Session
from ct_mcp.simulator.ids import Mint
from ct_mcp.simulator.ledger import Account, AccountSpec, opened
from ct_mcp.simulator.market import Market
from ct_mcp.simulator.matching import Touch, fill_ticks, first_touch
from ct_mcp.simulator.oco import siblings, takes_the_others_along
from ct_mcp.simulator.orders import Execution, Order, OrderLabels, OrderState, OrderTerms, OrderType, TimeInForce
from ct_mcp.simulator.record import Record
from ct_mcp.simulator.timetable import Timetable

_HINDRANCES: tuple[AnyFault, ...] = (Fault.LATE_REJECT, Fault.FROZEN_ORDERS, Fault.NO_FILL, Fault.PARTIAL_FILL_STUCK)
_OF_A_CLOSE = (*_HINDRANCES, Lag.CLOSE_STUCK)
_REJECTED_BY_FAULT = "Order rejected by the exchange"


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things take, in seconds, and how many contracts one execution fills at most."""

    acknowledgement_seconds: float = 0.05
    fill_seconds: float = 0.15
    contracts_per_fill: int = 10


class Exchange:
    """Accounts, orders, executions; the market they trade in."""

    def __init__(self, market: Market, faults: Faults, pace: Pace, specs: Iterable[AccountSpec]) -> None:
        """Open the accounts. `begin` must be called with the first moment."""
        self.market = market
        self.faults = faults
        self.record = Record()
        self.accounts: dict[str, Account] = {spec.name: opened(spec) for spec in specs}
        self.orders: list[Order] = []
        self._open: list[Order] = []
        self.executions: list[Execution] = []
        self._pace = pace
        self.timetable = Timetable()
        self.mint = Mint(market.seed)
        self._matched_until: datetime | None = None

    def begin(self, now: datetime) -> None:
        """Take the first moment; the session that runs or comes next is put on the calendar."""
        self._matched_until = now
        self._plan_session(self.market.session_ahead(now), now)

    def advance(self, now: datetime) -> None:
        """Work off everything that is due up to a moment."""
        self._let_go(now)
        while True:
            due = self.timetable.due(now)
            if touch := first_touch(self.market, self._live(), self._cursor, due or now):
                self._matched_until = touch.at
                self._touched(touch)
                continue
            self._matched_until = max(due or now, self._cursor)
            if due is None:
                break
            self.timetable.run_next()
        self._mark(now)

    def account(self, name: str) -> Account | None:
        """Find an account, whatever the case of its name."""
        return next((account for own, account in self.accounts.items() if own.lower() == name.lower()), None)

    def live_orders(self, account: str, instrument: str | None = None) -> list[Order]:
        """List the orders of an account that may still fill."""
        return [
            order
            for order in self._live()
            if order.account == account and instrument in (None, order.terms.contract.name)
        ]

    def open_profit(self, account: Account, now: datetime) -> float:
        """Add up what the open positions of an account are worth."""
        return sum(
            (held.open_profit(self.market.top(held.contract, now).last) for held in account.open_positions()), 0.0
        )

    def submit(self, account: Account, terms: OrderTerms, labels: OrderLabels, now: datetime) -> Order:
        """Take an order; the broker's answer to it comes later."""
        order = Order(self.mint.order(account.spec), account.spec.name, terms, labels, now)
        order.owner_id = labels.owner_id or (self.mint.strategy() if labels.template else None)
        order.hindrance = self.faults.first_due(_OF_A_CLOSE if labels.closes else _HINDRANCES, labels.rpc)
        doom = self._doom(order)
        self.orders.append(order)
        self._open.append(order)
        self._become(order, OrderState.SUBMITTED, now)
        self.timetable.after(now, self._pace.acknowledgement_seconds, partial(self._acknowledge, order, doom))
        return order

    def cancel(self, order: Order, now: datetime) -> None:
        """Ask for an order to be cancelled; until the exchange has done so it may still fill."""
        if order.hindrance is Fault.FROZEN_ORDERS or order.state is OrderState.CANCEL_PENDING:
            return
        self._become(order, OrderState.CANCEL_PENDING, now)
        self.timetable.after(now, self._pace.acknowledgement_seconds, partial(self._cancelled, order))

    def change(self, order: Order, terms: OrderTerms, now: datetime) -> None:
        """Ask for other terms; the exchange puts them in place a little later."""
        if order.state is OrderState.SUBMITTED:
            order.terms = terms
            self.record.changed(order, now)
            return
        self._become(order, OrderState.CHANGE_PENDING, now)
        self.timetable.after(now, self._pace.acknowledgement_seconds, partial(self._changed, order, terms))

    @property
    def _cursor(self) -> datetime:
        if self._matched_until is None:
            raise RuntimeError("the exchange has not begun")
        return self._matched_until

    def _live(self) -> list[Order]:
        self._open = [order for order in self._open if order.is_live]
        return self._open

    def _doom(self, order: Order) -> str | None:
        """Say why an order will be rejected that is wrong from the start."""
        labels = order.labels
        if order.hindrance is Fault.LATE_REJECT:
            return _REJECTED_BY_FAULT
        if labels.template is not None and labels.template not in TEMPLATES:
            return f"ATM strategy template '{labels.template}' does not exist"
        if any(not sibling.is_live for sibling in siblings(order, self.orders)):
            order.joins_oco = False
            return f"OCO ID '{labels.oco_id}' has already been used. Please use a new OCO ID."
        return None

    def _become(self, order: Order, state: OrderState, at: datetime) -> None:
        order.state = state
        self.record.became(order, at)
        if takes_the_others_along(order):
            self._cancel_siblings(order, at)

    def _cancel_siblings(self, order: Order, at: datetime) -> None:
        """One order of an OCO group has filled, if only in part, or is gone: so are the others."""
        for sibling in siblings(order, self.orders):
            if sibling.is_live:
                sibling.state = OrderState.CANCELLED
                self.record.became(sibling, at)

    def _acknowledge(self, order: Order, doom: str | None, at: datetime) -> None:
        if order.state is not OrderState.SUBMITTED or order.hindrance is Fault.FROZEN_ORDERS:
            return
        if order.labels.closes and not self._fit(order):
            self._become(order, OrderState.CANCELLED, at)
            return
        order.error = doom or objection(self.market, self.accounts[order.account], order, at)
        if order.error:
            self._become(order, OrderState.REJECTED, at)
            return
        self._become(order, OrderState.ACCEPTED, at)
        order.matches_from = at + timedelta(seconds=self._pace.fill_seconds)
        self._rest(order, at)

    def _fit(self, order: Order) -> bool:
        """Make a closing order as large as what is held now; say whether anything is."""
        held = self.accounts[order.account].net(order.terms.contract) * -order.terms.action.sign
        order.terms = replace(order.terms, quantity=max(held, 1))
        return held > 0

    def _rest(self, order: Order, at: datetime) -> None:
        """Let an order stand in the market; a market order that waits for the open stays Accepted."""
        state = OrderState.WORKING
        if order.filled:
            state = OrderState.PART_FILLED
        elif order.waits_for_trigger and order.terms.order_type is OrderType.STOP_LIMIT:
            state = OrderState.TRIGGER_PENDING
        elif order.is_plain_market and not self.market.is_open(at):
            state = OrderState.ACCEPTED
        if state is not order.state:
            self._become(order, state, at)

    def _cancelled(self, order: Order, at: datetime) -> None:
        if order.is_live:
            self._become(order, OrderState.CANCELLED, at)

    def _changed(self, order: Order, terms: OrderTerms, at: datetime) -> None:
        """Put new terms in place, or leave the old ones where the broker objects."""
        if order.state is not OrderState.CHANGE_PENDING:
            return
        before = order.terms
        order.terms = replace(terms, quantity=max(terms.quantity, order.filled + 1))
        order.error = objection(self.market, self.accounts[order.account], order, at)
        if order.error:
            order.terms = before
        self._rest(order, at)
        order.error = None

    def _touched(self, touch: Touch) -> None:
        order = touch.order
        if order.waits_for_trigger:
            order.triggered = True
            order.matches_from = touch.at + timedelta(seconds=self._pace.fill_seconds)
            if order.state is OrderState.TRIGGER_PENDING:
                self._become(order, OrderState.WORKING, touch.at)
            return
        if order.state is OrderState.ACCEPTED:
            self._become(order, OrderState.WORKING, touch.at)
        self._fill(order, fill_ticks(order, touch.top), touch.at)

    def _fill(self, order: Order, ticks: int, at: datetime) -> None:
        """Trade one slice of an order."""
        size = self._slice(order)
        account = self.accounts[order.account]
        account.book(order.terms.contract, order.terms.action.sign * size, ticks)
        order.filled += size
        order.filled_ticks += ticks * size
        order.matches_from = at + timedelta(seconds=self._pace.fill_seconds)
        if order.hindrance is Fault.PARTIAL_FILL_STUCK:
            order.matches_from = None
        product = order.terms.contract.product
        net = account.net(order.terms.contract)
        costs = (product.commission * size, product.fee * size)
        execution = Execution(self.mint.guid("execution"), order, at, size, ticks, net, *costs)
        self.executions.append(execution)
        self._cancel_siblings(order, at)
        self._protect(order, size, ticks, at)
        if not order.remaining:
            self._become(order, OrderState.FILLED, at)
        elif order.state in (OrderState.WORKING, OrderState.PART_FILLED):
            self._become(order, OrderState.PART_FILLED, at)
        else:
            self.record.changed(order, at)
        self.record.traded(execution)

    def _slice(self, order: Order) -> int:
        if order.hindrance is Fault.PARTIAL_FILL_STUCK:
            return max(order.remaining // 2, 1)
        return min(order.remaining, self._pace.contracts_per_fill)

    def _protect(self, entry: Order, size: int, ticks: int, at: datetime) -> None:
        """Protect what an entry has just filled, if it named a template and is not being closed already."""
        template = TEMPLATES.get(entry.labels.template or "")
        live = self.live_orders(entry.account, entry.terms.contract.name) if template else []
        if template is None or any(order.labels.closes for order in live):
            return
        legs = [order for order in live if order.labels.entry is entry and order.state is not OrderState.CANCEL_PENDING]
        for leg in legs:
            leg.terms = replace(leg.terms, quantity=leg.terms.quantity + size)
            self.record.changed(leg, at)
        if legs:
            return
        shared = OrderLabels(
            "ATM", oco_id=self.mint.guid("oco"), owner=template.name, owner_id=entry.owner_id, entry=entry
        )
        for name, terms in bracket(entry, template, size, ticks).items():
            self.submit(self.accounts[entry.account], terms, replace(shared, name=name), at)

    def _let_go(self, now: datetime) -> None:
        """Free the orders that a fault has held and holds no longer."""
        for order in self._live():
            held = order.hindrance
            if held is None or self.faults.holds(held):
                continue
            order.hindrance = None
            if held is Fault.FROZEN_ORDERS:
                self.timetable.at(now, partial(self._acknowledge, order, None))
            elif held is Fault.PARTIAL_FILL_STUCK:
                order.matches_from = now

    def _mark(self, now: datetime) -> None:
        for account in self.accounts.values():
            account.mark(self.open_profit(account, now))

    def _plan_session(self, session: Session, now: datetime) -> None:
        if session.opens_at >= now:
            self.timetable.at(session.opens_at, partial(self._session_begins, session))
        else:
            self.timetable.at(session.closes_at, self._session_ends)

    def _session_begins(self, session: Session, at: datetime) -> None:
        for account in self.accounts.values():
            account.begin_session(self.open_profit(account, at), new_week=session.day.weekday() == 0)
        self.timetable.at(session.closes_at, self._session_ends)

    def _session_ends(self, at: datetime) -> None:
        """Expire the orders of the day and put the next session on the calendar."""
        for order in self._live():
            if order.is_live and order.terms.time_in_force is TimeInForce.DAY:
                self._become(order, OrderState.CANCELLED, at)
        self._plan_session(self.market.session_ahead(at), at)
