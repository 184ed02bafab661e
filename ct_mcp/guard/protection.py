"""Which stops protect a position, and what stands without one once orders go, change or join a group."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from decimal import Decimal

from ct_mcp.domain.commands import ChangeOrder, PlaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import (
    ACCEPTED,
    IN_MARKET,
    Order,
    OrderAction,
    OrderState,
    OrderType,
    is_price,
    is_whole_number,
)
from ct_mcp.guard.context import RiskContext
from ct_mcp.guard.exposure import worst_case
from ct_mcp.text import format_price

# A stop in any other open state may be refused or not yet stand: it is not counted on, though losing it counts.
_PROTECTING = ACCEPTED | IN_MARKET | {OrderState.SUBMITTED}


@dataclass(frozen=True, slots=True)
class Bare:
    """Contracts of one position that no stop stands behind."""

    instrument: Instrument
    contracts: int
    held: int

    def __str__(self) -> str:
        return f"{self.contracts} of {self.held} {self.instrument}"


@dataclass(frozen=True, slots=True)
class LostProtection:
    """What an action takes away from the stops of open positions."""

    bare: tuple[Bare, ...] = ()
    stop_moves_away: bool = False
    moves_away_by: Decimal | None = None
    words: str = "without a stop afterwards"

    @property
    def is_any(self) -> bool:
        """Say whether a position is less protected afterwards."""
        return bool(self.bare) or self.stop_moves_away

    @property
    def contracts(self) -> int:
        """Contracts without a stop afterwards, over all instruments."""
        return sum(bare.contracts for bare in self.bare)

    def __str__(self) -> str:
        parts = []
        if self.bare:
            parts.append(f"{self.words}: {', '.join(map(str, self.bare))}")
        if self.stop_moves_away:
            away = self.moves_away_by
            parts.append("the stop moves away" if away is None else f"the stop moves away by {format_price(away)}")
        return "; ".join(parts) or "no protection is lost"


NOTHING_LOST = LostProtection()
_ONCE_FILLED = "without a stop once it fills, because a fill cancels its OCO group"


def with_groups(wanted: Iterable[Order], orders: Iterable[Order]) -> tuple[Order, ...]:
    """Give every open order that goes when the wanted ones are cancelled.

    NinjaTrader cancels the rest of an OCO group with any of its members, so cancelling a target takes its stop along.
    """
    wanted = tuple(wanted)
    groups = {order.oco_id for order in wanted if order.oco_id}
    gone = (order for order in orders if order in wanted or order.oco_id in groups)
    return tuple(order for order in gone if not order.is_closed)


def lost_by_cancelling(
    gone: tuple[Order, ...] | None, context: RiskContext, new: Order | None = None
) -> LostProtection | None:
    """Compare with what is left and with the ``new`` order that comes in place of what goes."""
    if gone is None or context.orders is None or context.positions is None:
        return None
    left = [order for order in (*context.orders, new) if order is not None and order not in gone]
    instruments = dict.fromkeys(order.instrument for order in gone if may_be_stop(order))
    if any(context.net_position(instrument) is None for instrument in instruments):
        return None
    bare = tuple(bare for name in instruments for bare in bare_without(name, gone, left, context))
    away = None if new is None else moves_away_from(gone, new, context)
    return LostProtection(bare, away is not None, away or None)


def lost_by_replacing(gone: tuple[Order, ...] | None, new: PlaceOrder, context: RiskContext) -> LostProtection | None:
    """Say what is lost with the old order, or once the new one fills."""
    lost, joined = lost_by_cancelling(gone, context, as_row(new)), lost_by_joining(new, context)
    return joined if lost is not None and not lost.is_any else lost


def lost_to_bracket(
    gone: tuple[Order, ...] | None, legs: Iterable[PlaceOrder], context: RiskContext
) -> LostProtection | None:
    """Say what goes are all orders of the instrument and the groups they are in; what comes is one stop, or none."""
    stops = [leg for leg in legs if is_price(leg.stop_price)]
    return lost_by_cancelling(gone, context, as_row(stops[0]) if stops else None)


def lost_by_pausing(context: RiskContext) -> LostProtection | None:
    """Nobody says which orders are the strategy's: it may be any of them."""
    lost = lost_by_cancelling(context.orders, context)
    return lost and replace(lost, words="may stand without a stop afterwards")


def lost_by_joining(order: PlaceOrder, context: RiskContext) -> LostProtection | None:
    """Say what a fill takes along: it cancels the rest of its group, a small exit a larger stop."""
    if not order.oco_id or order.flatten_first:
        return NOTHING_LOST
    if context.orders is None or context.positions is None:
        return None
    return LostProtection(bare_once_filled(as_row(order), context), words=_ONCE_FILLED)


def lost_by_changing(change: ChangeOrder, order: Order | None, context: RiskContext) -> LostProtection | None:
    """Say what a smaller, or a further, stop leaves without one."""
    if order is None or context.orders is None or context.positions is None:
        return None
    if context.net_position(order.instrument) is None and (order.oco_id or may_be_stop(order)):
        return None
    held = dict(held_each_way(order.instrument, context))[order.action]
    if is_stop(order) and held:
        away = moves_away(order, change.stop_price, change.limit_price)
        lost = LostProtection(_bare_after(change, order, held, context), away is not None, away or None)
        if lost.is_any:
            return lost
    return _lost_by_shrinking(change, order, context)


def _lost_by_shrinking(change: ChangeOrder, order: Order, context: RiskContext) -> LostProtection:
    """Say what a smaller order takes along: a target takes the stop of its group, however large that is."""
    if change.quantity is None:
        return NOTHING_LOST
    quantity = change.quantity if is_whole_number(change.quantity) else 0
    before, after = (bare_once_filled(row, context) for row in (order, replace(order, quantity=quantity)))
    grows = sum(bare.contracts for bare in after) > sum(bare.contracts for bare in before)
    return LostProtection(after, words=_ONCE_FILLED) if grows else NOTHING_LOST


def _bare_after(change: ChangeOrder, order: Order, held: int, context: RiskContext) -> tuple[Bare, ...]:
    if change.quantity is None or (is_whole_number(change.quantity) and change.quantity >= order.quantity):
        return ()
    kept = replace(order, quantity=change.quantity if is_whole_number(change.quantity) else 0)
    rows = [kept if other is order else other for other in context.orders or ()]
    covered = covered_by(rows, order.instrument, order.action)
    return (Bare(order.instrument, held - covered, held),) if held > covered else ()


def held_each_way(
    instrument: Instrument, context: RiskContext, filled: Order | None = None
) -> tuple[tuple[OrderAction, int], ...]:
    """Contracts that a SELL stop and a BUY stop protect, once ``filled`` has; one of unknown outcome counts as well."""
    net = context.net_position(instrument) or 0
    if filled is not None and filled.instrument == instrument:
        net += filled.action.sign * filled.remaining
    reach = worst_case(net, (), context.pending_orders(instrument))
    return (OrderAction.SELL, reach.long), (OrderAction.BUY, reach.short)


def is_stop(order: Order) -> bool:
    """Say whether it waits behind a stop price, in whatever open state."""
    return order.order_type.needs_stop_price and not order.is_closed


def may_be_stop(order: Order) -> bool:
    """Say whether losing it may be losing a stop: true of an order of a type that we do not know as well."""
    return is_stop(order) or (order.order_type is OrderType.OTHER and not order.is_closed)


def _stands(order: Order) -> bool:
    return is_stop(order) and order.state in _PROTECTING


def bare_without(
    instrument: Instrument, gone: Iterable[Order], left: Iterable[Order], context: RiskContext
) -> Iterable[Bare]:
    """Compare what may be held on each side with the stops that are left, where a stop of that side goes."""
    gone, left = tuple(gone), tuple(left)
    for action, held in held_each_way(instrument, context):
        goes = any(may_be_stop(order) and (order.instrument, order.action) == (instrument, action) for order in gone)
        before = covered_by(context.orders or (), instrument, action, counts=may_be_stop)
        covered = covered_by(left, instrument, action)
        if goes and covered < min(held, before):
            yield Bare(instrument, held - covered, held)


def bare_once_filled(row: Order, context: RiskContext) -> tuple[Bare, ...]:
    """Contracts that stand without a stop once all of ``row`` fills, where that is more than do so already."""
    orders = [order for order in context.orders or () if order.order_id != row.order_id and not order.is_closed]
    group = [order for order in orders if row.oco_id and order.oco_id == row.oco_id]
    left = [order for order in orders if order not in group]
    found = []
    for instrument, action in dict.fromkeys((order.instrument, order.action) for order in group if may_be_stop(order)):
        held = dict(held_each_way(instrument, context))[action]
        then = dict(held_each_way(instrument, context, row))[action]
        already = max(0, held - covered_by(orders, instrument, action, counts=may_be_stop))
        bare = then - covered_by(left, instrument, action)
        found += [Bare(instrument, bare, then)] if bare > already else []
    return tuple(found)


def moves_away_from(gone: Iterable[Order], new: Order, context: RiskContext) -> Decimal | None:
    """How far a new stop stands behind the nearest of those that go, on the side that it protects."""
    if not is_stop(new) or not dict(held_each_way(new.instrument, context))[new.action]:
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
    """Give a new order as it would be listed once it works; a quantity that is none counts as nothing."""
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
    """Say what an order does that leaves a position."""
    return OrderAction.SELL if net > 0 else OrderAction.BUY
