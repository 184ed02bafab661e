"""What orders do: new, changed and replaced ones, the two legs of a reverse, and the bracket around a position."""

from dataclasses import replace

from ct_mcp.domain.commands import (
    ChangeOrder,
    PlaceOrder,
    ProtectPosition,
    ReplaceOrder,
    ReversePosition,
)
from ct_mcp.domain.order import Order, OrderType, TimeInForce, is_whole_number
from ct_mcp.guard.context import PendingOrder, RiskContext
from ct_mcp.guard.effect_model import Effect, RiskDirection, beside_exits, exit_order, is_within, orders_of
from ct_mcp.guard.exposure import Book, Leg, leg_of, leg_of_new, reach
from ct_mcp.guard.protection import (
    LostProtection,
    lost_by_changing,
    lost_by_joining,
    lost_by_replacing,
    lost_to_bracket,
    with_groups,
)

# Stands for the group that CrossTrade makes for a bracket; its real name is not ours to choose.
_BRACKET = "bracket"


def place_effect(order: PlaceOrder, context: RiskContext) -> Effect:
    """Place a new order; it may take a stop away by joining the group that it stands in."""
    lost = lost_by_joining(order, context)
    return _of_order(Effect(order, order=order, lost=lost), order.quantity, leg_of_new(order), context)


def change_effect(change: ChangeOrder, context: RiskContext) -> Effect:
    """Change an order; while it is being changed it may still fill as it was."""
    old = context.order(change.order_id)
    lost = lost_by_changing(change, old, context)
    effect = Effect(change, lost=lost, sends_orders=True, adds_up=True)
    if old is None or old.is_closed:
        return replace(effect, legs=None)
    order = _with_its_exits(_changed(change, old), old, context)
    effect = replace(effect, order=order, changes=old)
    if not is_whole_number(order.quantity):
        return _of_order(effect, 0, None, context)
    largest = max(old.remaining, order.quantity - old.filled)
    leg = Leg(order.action.sign * largest, order.oco_id, order.order_type.needs_stop_price)
    return _of_order(effect, order.quantity - old.filled, leg, context)


def replace_effect(swap: ReplaceOrder, context: RiskContext) -> Effect:
    """Put an order in another's place; it does not share the fate of the group that goes with the old order."""
    old, new = context.order(swap.order_id), swap.order
    gone = None if old is None else with_groups((old,), context.orders or ())
    lost = lost_by_replacing(gone, new, context)
    effect = Effect(swap, order=new, cancels=gone, lost=lost)
    leg = leg_of_new(new, is_alone=old is not None and old.oco_id == new.oco_id)
    return _of_order(effect, new.quantity, leg, context)


def reverse_effect(command: ReversePosition, context: RiskContext) -> Effect:
    """As CrossTrade does it: the position is left, then as much is sent the other way.

    An order that fills before it is turned round as well, and what fills after it is not.
    """
    net, book = context.net_position(command.instrument), Book.of(command.instrument, context)
    effect = Effect(command, sends_orders=True, adds_up=True, only_reduces=False)
    if not net:
        return replace(effect, legs=None, only_reduces=None if net is None else False)
    order = replace(exit_order(command.account, command.instrument, net), flatten_first=True)
    after = None
    if book is not None:
        turned = [Leg(-leg.signed) for leg in book.legs]
        after = reach(book.net, [*book.legs, *turned, Leg(-book.net), Leg(-book.net)])
    return replace(
        beside_exits(effect, command.instrument, context),
        instrument=command.instrument,
        order=order,
        legs=_legs_of(order, net),
        before=None if book is None else book.worst,
        after=after,
        position_before=net,
        position_after=-net,
        may_fill=(PendingOrder(command.instrument, -2 * net),),
        direction=None if context.positions is None or context.orders is None else RiskDirection.OPENS,
    )


def protect_effect(protect: ProtectPosition, context: RiskContext) -> Effect:
    """Put a bracket round a position: its orders go first, and what is of unknown outcome may still come.

    On a flat account CrossTrade would place the bracket all the same, and either of its orders would open. An order
    that is to go may fill before the request arrives, so one that could end the position counts beside the bracket.
    """
    net, book = context.net_position(protect.instrument), Book.of(protect.instrument, context)
    legs = _bracket_of(protect, net) if net else None
    wanted = orders_of(protect.instrument, context)
    gone = None if wanted is None else with_groups(wanted, context.orders or ())
    lost = None if net is None else lost_to_bracket(gone, legs or (), context)
    after = None
    if book is not None and legs is not None:
        left = book.legs if book.could_end else book.pending
        after = reach(book.net, [*left, *map(leg_of_new, legs)])
    effect = Effect(
        protect,
        protect.instrument,
        legs=legs,
        cancels=gone,
        lost=lost,
        before=None if book is None else book.worst,
        after=after,
        position_before=net,
        position_after=net,
        may_fill=(PendingOrder(protect.instrument, -(net or 0)),),
        sends_orders=True,
        adds_up=True,
    )
    if net is None or lost is None:
        return effect
    reduces = bool(legs) and not lost.is_any and is_within(effect)
    return replace(effect, only_reduces=reduces, direction=_direction_of_bracket(protect, lost, reduces=reduces))


def _of_order(effect: Effect, fills: int, leg: Leg | None, context: RiskContext) -> Effect:
    """Complete the effect of an order that is new or stands otherwise afterwards; ``fills`` may fill of it."""
    order = effect.order
    if order is None:  # pragma: no cover  # the callers have one
        return effect
    net, book = context.net_position(order.instrument), Book.of(order.instrument, context)
    sound = is_whole_number(order.quantity)
    after = None
    if book is not None and leg is not None and sound:
        others = [leg_of(other) for other in book.orders if other is not effect.changes]
        first = [Leg(-book.net)] if order.flatten_first else []
        after = reach(book.net, [*others, *book.pending, *first, leg])
    effect = replace(
        effect,
        instrument=order.instrument,
        legs=_legs_of(order, net),
        before=None if book is None else book.worst,
        after=after,
        position_before=net,
        position_after=_position_after(order, net, fills) if sound else None,
        may_fill=_may_fill_of(effect, order, context),
        sends_orders=True,
        adds_up=True,
    )
    if order.flatten_first and net != 0:
        effect = beside_exits(effect, order.instrument, context)
    reduces = _order_reduces(effect, order, fills, context)
    return replace(
        effect, only_reduces=reduces, direction=_direction_of_order(order, effect.lost, net, reduces=reduces)
    )


def _changed(change: ChangeOrder, old: Order) -> PlaceOrder:
    return PlaceOrder(
        account=old.account,
        instrument=old.instrument,
        action=old.action,
        quantity=old.quantity if change.quantity is None else change.quantity,
        order_type=old.order_type,
        limit_price=old.limit_price if change.limit_price is None else change.limit_price,
        stop_price=old.stop_price if change.stop_price is None else change.stop_price,
        time_in_force=old.time_in_force or TimeInForce.DAY,
        oco_id=old.oco_id,
    )


def _with_its_exits(order: PlaceOrder, old: Order, context: RiskContext) -> PlaceOrder:
    """An entry keeps the exits that it was placed with; where it would leave a position by now, it opens nothing."""
    entry = context.entries.get(old.order_id) or context.entries.get(old.own_id or "")
    leaves = (context.net_position(old.instrument) or 0) * old.action.sign < 0
    if entry is None or entry.bracket is None or leaves or not is_whole_number(order.quantity):
        return order
    return replace(order, bracket=entry.bracket.of(order.quantity))


def _legs_of(order: PlaceOrder, net: int | None) -> tuple[PlaceOrder, ...] | None:
    """Give its orders; the size of what is flattened first is the position's of this moment."""
    if order.flatten_first and net is None:
        return None
    entry = replace(order, flatten_first=False)
    return (entry,) if not order.flatten_first or not net else (exit_order(order.account, order.instrument, net), entry)


def _may_fill_of(effect: Effect, order: PlaceOrder, context: RiskContext) -> tuple[PendingOrder, ...]:
    """Of a changed order only what it grows by: the rest of it is listed."""
    if not is_whole_number(order.quantity):
        return ()
    if effect.changes is not None:
        more = order.quantity - effect.changes.quantity
        return (PendingOrder(order.instrument, order.action.sign * more),) if more > 0 else ()
    net = context.net_position(order.instrument) or 0
    first = (PendingOrder(order.instrument, -net, leaves=True),) if order.flatten_first and net else ()
    return (PendingOrder(order.instrument, order.action.sign * order.quantity), *first)


def _order_reduces(effect: Effect, order: PlaceOrder, fills: int, context: RiskContext) -> bool | None:
    """Say whether it only reduces; not what brings an ATM strategy, flattens first, or could pass through flat."""
    if effect.lost is None or context.positions is None or context.orders is None:
        return None
    if effect.lost.is_any or not is_whole_number(order.quantity):
        return False
    if isinstance(effect.command, ChangeOrder) and _only_shrinks(effect.command, effect.changes):
        return True
    net = context.net_position(order.instrument)
    if net is None:
        return None
    if order.flatten_first or order.atm_strategy or net * order.action.sign >= 0 or fills > abs(net):
        return False
    return is_within(effect)


def _only_shrinks(change: ChangeOrder, order: Order | None) -> bool:
    if order is None or change.limit_price is not None or change.stop_price is not None:
        return False
    return change.quantity is not None and change.quantity < order.quantity


def _position_after(order: PlaceOrder, net: int | None, fills: int) -> int | None:
    """Signed contracts once all of it has filled and nothing else has."""
    return None if net is None else (0 if order.flatten_first else net) + order.action.sign * fills


def _direction_of_order(
    order: PlaceOrder, lost: LostProtection | None, net: int | None, *, reduces: bool | None
) -> RiskDirection | None:
    if reduces is None or lost is None:
        return None
    if lost.is_any:
        return RiskDirection.UNPROTECTS
    net = net or 0
    if not reduces:
        adds = net * order.action.sign > 0 and not order.flatten_first
        return RiskDirection.ADDS if adds else RiskDirection.OPENS
    if net * order.action.sign >= 0:
        return RiskDirection.REDUCES
    if order.order_type.needs_stop_price:
        return RiskDirection.PROTECTS
    return RiskDirection.CLOSES if order.quantity == abs(net) else RiskDirection.REDUCES


def _bracket_of(protect: ProtectPosition, net: int) -> tuple[PlaceOrder, ...]:
    """Give the exits that are to stand around a position of ``net`` contracts, at its size."""
    at_market = exit_order(protect.account, protect.instrument, net)
    leaves = replace(at_market, time_in_force=TimeInForce.GTC, oco_id=_BRACKET)
    legs = (
        replace(leaves, order_type=OrderType.LIMIT, limit_price=protect.take_profit_price),
        replace(leaves, order_type=OrderType.STOP_MARKET, stop_price=protect.stop_loss_price),
    )
    return tuple(leg for leg in legs if (leg.limit_price, leg.stop_price) != (None, None))


def _direction_of_bracket(protect: ProtectPosition, lost: LostProtection, *, reduces: bool) -> RiskDirection:
    if lost.is_any:
        return RiskDirection.UNPROTECTS
    if not reduces:
        return RiskDirection.OPENS
    return RiskDirection.REDUCES if protect.stop_loss_price is None else RiskDirection.PROTECTS
