"""The simulator's books over time: what was held and what could fill at every moment, and where each order came from.

Nothing in it is read as the desk reads: it hears every event of the exchange at the moment at which it happens.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from virtual_network import UNDER_WAY, Request

from ct_mcp.simulator.orders import OrderEvent, OrderTransition, SimExecution, SimOrder, SimOrderState, SimOrderType
from ct_mcp.simulator.simulator import Simulator

_AN_INSTANT = 1e-7
_STANDS = frozenset({SimOrderState.ACCEPTED, SimOrderState.WORKING, SimOrderState.PART_FILLED})
_ENDING = frozenset({SimOrderState.CANCELLED, SimOrderState.CANCEL_PENDING})


@dataclass(frozen=True, slots=True)
class Standing:
    """One live order at one moment; ``signed`` is what may still fill, ``is_seen`` whether the broker has taken it."""

    id: str
    instrument: str
    signed: int
    is_stop: bool
    is_market: bool
    is_going: bool
    oco_id: str | None
    terms: tuple[int, float, float]
    is_seen: bool = True


@dataclass(frozen=True, slots=True)
class Moment:
    """What one account holds by contract, and what may fill in it, from ``since`` on."""

    since: float
    held: dict[str, int]
    orders: tuple[Standing, ...]

    def net(self, instrument: str) -> int:
        """Signed contracts held."""
        return self.held.get(instrument, 0)

    def of(self, instrument: str | None) -> Iterator[Standing]:
        """The live orders of one instrument, or all."""
        return (each for each in self.orders if instrument in (None, each.instrument))

    def months(self, root: str) -> set[str]:
        """The contract months of a root that are held, or that an order may fill in."""
        names = {*self.held, *(each.instrument for each in self.orders)}
        return {name for name in names if name.split(" ")[0] == root}

    def is_flat(self, instrument: str | None) -> bool:
        """Say whether nothing is held and nothing may fill."""
        held = any(net for name, net in self.held.items() if instrument in (None, name))
        return not held and not any(True for _ in self.of(instrument))

    def worst(self, instrument: str, *more: Standing, without: Iterable[str] = ()) -> tuple[int, int]:
        """How long and how short it can come to stand; of the usual pair around a position one half counts."""
        net, gone = self.net(instrument), set(without)
        standing = [*(each for each in self.of(instrument) if each.id not in gone), *more]
        return max(0, net + reach(standing, 1, net)), max(0, -net + reach(standing, -1, net))

    def stops(self, instrument: str, *, seen: bool = False) -> int:
        """Contracts of the position that stops stand behind; ``seen`` are those that the broker has taken."""
        net, groups = self.net(instrument), defaultdict[str, int](int)
        for each in self.of(instrument):
            if each.is_stop and each.signed * net < 0 and not each.is_going and (each.is_seen or not seen):
                name = each.oco_id or each.id
                groups[name] = max(groups[name], abs(each.signed))
        return min(abs(net), sum(groups.values()))


def reach(standing: Iterable[Standing], side: int, net: int) -> int:
    """Contracts that may fill on one side."""
    groups: dict[str, list[Standing]] = defaultdict(list)
    for each in standing:
        if each.signed * side > 0:
            groups[each.oco_id or f"alone {each.id}"].append(each)
    total = 0
    for group in groups.values():
        sizes = [abs(each.signed) for each in group]
        pair = len(group) == 2 and sum(each.is_stop for each in group) == 1
        total += max(sizes) if pair and net * side < 0 and max(sizes) <= abs(net) else sum(sizes)
    return total


@dataclass(slots=True)
class Ledger:
    """What executions come to: each counts once, and one that crosses zero closes first, then opens."""

    nets: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    seen: set[str] = field(default_factory=set)
    opened: int = 0
    closed: int = 0

    def apply(self, execution: SimExecution) -> None:
        """Take one execution."""
        if execution.id in self.seen:
            return
        self.seen.add(execution.id)
        terms = execution.order.terms
        key, signed = (execution.order.account, terms.contract.name), execution.quantity * terms.action.sign
        net = self.nets[key]
        closes = min(abs(net), abs(signed)) if net * signed < 0 else 0
        self.closed += closes
        self.opened += abs(signed) - closes
        self.nets[key] = net + signed


Broken = Callable[[str, str], None]


class Books:
    """Hears the exchange, and remembers."""

    def __init__(self, simulator: Simulator, begins_at: datetime, broken: Broken) -> None:
        self.simulator, self._begins_at, self._broken = simulator, begins_at, broken
        self.origins: dict[str, Request | str] = {}
        self.cancelled_by: dict[str, Request | None] = {}
        self.filled: dict[str, list[tuple[float, int]]] = defaultdict(list)
        self.ledger = Ledger()
        self.on_order: Callable[[SimOrder, Request], None] = lambda order, request: None
        self.on_fill: list[Callable[[SimExecution], None]] = []
        self._history: dict[str, list[Moment]] = defaultdict(list)
        self._looked_at = self._last_at = -1.0
        self._tell_stream = simulator.exchange.record.listener or (lambda _: None)
        simulator.exchange.record.listener = self._hear
        for name in simulator.exchange.accounts:
            self._history[name].append(Moment(0.0, {}, ()))

    def seconds(self, moment: datetime) -> float:
        """A moment of the exchange in virtual time."""
        return (moment - self._begins_at) / timedelta(seconds=1)

    def looks(self, at: float) -> float:
        """Somebody looks: what was heard by then was before it, and what comes at the same moment is after it."""
        self._looked_at = max(at, self._last_at)
        return self._looked_at

    def now(self, account: str) -> Moment:
        """How an account stands."""
        return self._history[account][-1]

    def within(self, account: str, since: float, until: float | None = None) -> list[Moment]:
        """How it stood over a span, the moment that it began with included."""
        found: list[Moment] = []
        for moment in reversed(self._history[account]):
            if until is None or moment.since <= until:
                found.append(moment)
            if moment.since <= since:
                break
        return found

    def order(self, any_id: str | None) -> SimOrder | None:
        """One order, by their id or by ours."""
        orders = self.simulator.exchange.orders
        return next((each for each in orders if any_id in (each.id, each.labels.own_id)), None) if any_id else None

    def of_ticket(self, ticket_id: str | None) -> list[SimOrder]:
        """The orders that a ticket brought."""
        orders, origins = self.simulator.exchange.orders, self.origins
        asked = [(order, origins.get(order.id)) for order in orders]
        return [
            order
            for order, by in asked
            if isinstance(by, Request) and by.by.ticket and by.by.ticket.ticket_id == ticket_id
        ]

    def _hear(self, event: OrderEvent) -> None:
        self._tell_stream(event)
        at = self._last_at = max(self.seconds(event.at), self._looked_at + _AN_INSTANT)
        if isinstance(event, SimExecution):
            self._fills(event, at)
        elif event.state is SimOrderState.SUBMITTED and event.order.id not in self.origins:
            self._appears(event.order)
        elif event.state in _ENDING:
            self.cancelled_by.setdefault(event.order.id, UNDER_WAY.get())
        self._history[event.order.account].append(self._moment(event.order.account, at))
        if isinstance(event, OrderTransition) and event.state is SimOrderState.SUBMITTED:
            origin = self.origins[event.order.id]
            # What somebody makes of it before the broker has it is theirs.
            is_changed_by_hand = UNDER_WAY.get() is None
            if isinstance(origin, Request) and event.order.labels.rpc != "ATM" and not is_changed_by_hand:
                self.on_order(event.order, origin)
        if isinstance(event, SimExecution):
            for hear in self.on_fill:
                hear(event)

    def _appears(self, order: SimOrder) -> None:
        entry = order.labels.entry
        inherited: Any = self.origins.get(entry.id) if entry is not None else None
        self.origins[order.id] = inherited or UNDER_WAY.get() or "outsider"

    def _fills(self, execution: SimExecution, at: float) -> None:
        order, before = execution.order, self.filled[execution.order.id]
        if before and order.filled < before[-1][1]:
            self._broken("fill", f"order {order.id} had filled {before[-1][1]} and has {order.filled}")
        before.append((at, order.filled))
        self.ledger.apply(execution)
        key = (order.account, order.terms.contract.name)
        if self.ledger.nets[key] != execution.position:
            self._broken("fill", f"executions of {key} come to {self.ledger.nets[key]}, held is {execution.position}")

    def _moment(self, account: str, at: float) -> Moment:
        held = self.simulator.exchange.accounts[account].positions
        live = self.simulator.exchange.live_orders(account)
        nets = {contract.name: position.quantity for contract, position in held.items() if position.quantity}
        return Moment(at, nets, tuple(map(standing_of, live)))


def standing_of(order: SimOrder) -> Standing:
    """An order as it stands now."""
    terms = order.terms
    return Standing(
        order.id,
        terms.contract.name,
        terms.action.sign * order.remaining,
        terms.order_type.has_stop,
        terms.order_type is SimOrderType.MARKET,
        order.state is SimOrderState.CANCEL_PENDING,
        order.labels.oco_id if order.joins_oco else None,
        (terms.quantity, terms.limit_price, terms.stop_price),
        order.state in _STANDS,
    )
