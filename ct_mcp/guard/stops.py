"""The stops of a book: which stand, how many contracts they leave, what stands bare without them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal

from ct_mcp.domain.action import PlaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import Order, OrderAction, OrderState, OrderType
from ct_mcp.guard.exposure import worst_case
from ct_mcp.guard.policy import View
from ct_mcp.guard.values import is_price, is_whole_number

# A stop in any other open state may be refused or not yet stand: it is not counted on, though losing it counts.
_PROTECTING = frozenset({OrderState.SUBMITTED, OrderState.ACCEPTED, OrderState.WORKING, OrderState.PART_FILLED})


@dataclass(frozen=True, slots=True)
class Bare:
    """Contracts of one position that no stop stands behind."""

    instrument: Instrument
    contracts: int
    held: int

    def __str__(self) -> str:
        return f"{self.contracts} of {self.held} {self.instrument}"


def held_each_way(
    instrument: Instrument, view: View, filled: Order | None = None
) -> tuple[tuple[OrderAction, int], ...]:
    """Contracts that a SELL stop and a BUY stop protect, once ``filled`` has; one of unknown outcome counts as well."""
    net = view.net_position(instrument) or 0
    if filled is not None and filled.instrument == instrument:
        net += filled.action.sign * filled.remaining
    reach = worst_case(net, (), view.pending_orders(instrument))
    return (OrderAction.SELL, reach.long), (OrderAction.BUY, reach.short)


def is_stop(order: Order) -> bool:
    """Say whether it waits behind a stop price, in whatever open state."""
    return order.order_type.needs_stop_price and not order.is_closed


def may_be_stop(order: Order) -> bool:
    """An order of a type that we do not know is not counted on, but losing it may be losing a stop."""
    return is_stop(order) or (order.order_type is OrderType.OTHER and not order.is_closed)


def _stands(order: Order) -> bool:
    return is_stop(order) and order.state in _PROTECTING


def bare_without(instrument: Instrument, gone: Iterable[Order], left: Iterable[Order], view: View) -> Iterable[Bare]:
    """Compare what may be held on each side with the stops that are left, where a stop of that side goes."""
    gone, left = tuple(gone), tuple(left)
    for action, held in held_each_way(instrument, view):
        goes = any(may_be_stop(order) and (order.instrument, order.action) == (instrument, action) for order in gone)
        before = covered_by(view.orders or (), instrument, action, counts=may_be_stop)
        covered = covered_by(left, instrument, action)
        if goes and covered < min(held, before):
            yield Bare(instrument, held - covered, held)


def bare_once_filled(row: Order, view: View) -> tuple[Bare, ...]:
    """Contracts that stand without a stop once all of ``row`` fills, where that is more than do so already."""
    orders = [order for order in view.orders or () if order.order_id != row.order_id and not order.is_closed]
    group = [order for order in orders if row.oco_id and order.oco_id == row.oco_id]
    left = [order for order in orders if order not in group]
    found = []
    for instrument, action in dict.fromkeys((order.instrument, order.action) for order in group if may_be_stop(order)):
        held = dict(held_each_way(instrument, view))[action]
        then = dict(held_each_way(instrument, view, row))[action]
        already = max(0, held - covered_by(orders, instrument, action, counts=may_be_stop))
        bare = then - covered_by(left, instrument, action)
        found += [Bare(instrument, bare, then)] if bare > already else []
    return tuple(found)


def moves_away_from(gone: Iterable[Order], new: Order, view: View) -> Decimal | None:
    """How far a new stop stands behind the nearest of those that go, on the side that it protects."""
    if not is_stop(new) or not dict(held_each_way(new.instrument, view))[new.action]:
        return None
    side = (new.instrument, new.action)
    old = (order for order in gone if may_be_stop(order) and (order.instrument, order.action) == side)
    away = [moves_away(order, new.stop_price, new.limit_price) for order in old]
    return max((move for move in away if move is not None), default=None)


def moves_away(order: Order, stop: Decimal | None, limit: Decimal | None) -> Decimal | None:
    """How far the stop, or what it will accept once triggered, moves away; zero where it moves nobody knows how far."""
    sign, stood = order.action.sign, order.stop_price if is_stop(order) else None
    moves = (_moved(stood, stop, sign), _moved(order.limit_price, limit, -sign))
    away = [move for move in moves if move is not None]
    return max(away) if away else None


def as_row(order: PlaceOrder) -> Order:
    """A new order as it would be listed once it works; a quantity that is none counts as nothing."""
    return Order(
        account=order.account,
        order_id="",
        instrument=order.instrument,
        action=order.action,
        order_type=order.order_type,
        state=OrderState.WORKING,
        quantity=order.quantity if is_whole_number(order.quantity) else 0,
        filled=0,
        limit_price=order.limit_price,
        stop_price=order.stop_price,
        oco_id=order.oco_id,
    )


def covered_by(
    orders: Iterable[Order],
    instrument: Instrument,
    action: OrderAction,
    counts: Callable[[Order], bool] = _stands,
) -> int:
    """Contracts that the stops of one side leave; of one OCO group only the largest can."""
    stops = (order for order in orders if counts(order) and (order.instrument, order.action) == (instrument, action))
    groups: dict[str, int] = {}
    for number, stop in enumerate(stops):
        group = f"in {stop.oco_id}" if stop.oco_id else f"alone {number}"
        groups[group] = max(groups.get(group, 0), stop.remaining)
    return sum(groups.values())


def _moved(old: Decimal | None, new: Decimal | None, sign: int) -> Decimal | None:
    if new is None:
        return None
    if old is None or not is_price(old) or not is_price(new):
        return Decimal(0)
    return (new - old) * sign if (new - old) * sign > 0 else None


def leaving(net: int) -> OrderAction:
    """What an order does that leaves a position."""
    return OrderAction.SELL if net > 0 else OrderAction.BUY
