"""Plans how a position gets the stop and the target that the person wants, by changing what stands. Pure but for reads.

1. A leg that stands is changed, never cancelled first: there is no moment without a stop, and a change that is refused
   leaves the old one where it was. One that is too small or too large for the position gets its size as well.
2. A leg that was not named stays.
3. A leg that does not stand at all joins the OCO group of what it goes with, or opens one: as an order of its own,
   which names the position that it leaves. Nothing is cancelled for it, and if the position is gone when it arrives,
   NinjaTrader refuses it.
4. CrossTrade's bracket, which knows no such condition, is left where nothing stands and both legs are named. In place
   of orders it comes only where what stands can be neither changed nor joined; a leg that was not named is then placed
   anew at its old price. The question shows what goes, and that what goes may fill before it does.
5. What cannot be done without taking something away that nobody named is refused, with the calls that do it by hand.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from ct_mcp.desk.context import ContextBuilder
from ct_mcp.desk.remedies import order_line
from ct_mcp.desk.stops import STANDS
from ct_mcp.domain.account import Position
from ct_mcp.domain.commands import ChangeOrder, Command, PlaceOrder, ProtectPosition
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.level import ExitKind, Level, price_of_level
from ct_mcp.domain.market import Contract
from ct_mcp.domain.order import NEW_GROUP, Order, OrderType, TimeInForce, is_plain_group
from ct_mcp.errors import BadRequest
from ct_mcp.guard.protection import leaving

_Prices = Mapping[ExitKind, Decimal]
_Standing = Mapping[ExitKind, Sequence[Order]]


async def protection_for(
    contexts: ContextBuilder, held_in: tuple[str, Instrument], levels: Mapping[ExitKind, Level]
) -> tuple[Command, ...]:
    """Give the commands by what is held and what stands in an instrument of an account.

    That is read once: what was read a moment ago to name the contract serves, and the review takes the same.

    Raises:
        BadRequest: A distance was given and nothing is held, or it takes away what was not named.
        UpstreamError: What is held, or what stands, could not be read. Nothing was sent.
    """
    account, instrument = held_in
    given = {leg: level for leg, level in levels.items() if isinstance(level, Decimal)}
    orders, positions, _ = await contexts.book_to_plan(account, instrument)
    contract = contexts.contracts.get(instrument)
    if contract is None and given != levels:
        contract = (await contexts.quote(instrument)).contract
    if given == levels and (positions.value is None or orders.value is None):
        return (_bracket(account, instrument, given),)  # the rules deny it, and say what could not be read
    held = next((each for each in positions.required() if each.instrument == instrument and each.net), None)
    prices = {leg: _price(level, leg, held, contract) for leg, level in levels.items()}
    if held is None or not prices:  # the rules say what is wrong with that
        return (_bracket(account, instrument, prices),)
    return plan(held, orders.required(), prices)


def _price(level: Level, leg: ExitKind, held: Position | None, contract: Contract | None) -> Decimal:
    if isinstance(level, Decimal):
        return level
    if held is None or held.average_price is None:
        what = "nothing is held there" if held is None else "its average price is not known"
        raise BadRequest(f"{what}, so there is nothing to reckon from; nothing was sent")
    if contract is None:  # pragma: no cover  # it was read where a level needs it
        raise BadRequest("the tick of the contract is not known; nothing was sent")
    return price_of_level(level, leg, held.average_price, held.net, contract.tick_size)


def plan(held: Position, orders: Iterable[Order], prices: _Prices) -> tuple[Command, ...]:
    """Give the commands for a position that is held, on all orders of its account.

    An order of which some group member is over has a used-up OCO id, which NinjaTrader takes from nobody again.

    Raises:
        BadRequest: All stands there already, an exit is just being changed, or it takes away what was not named.
    """
    listed = tuple(orders)
    used_up = {order.oco_id for order in listed if order.is_closed}
    open_orders = [order for order in listed if order.instrument == held.instrument and not order.is_closed]
    exits = [order for order in open_orders if order.action is leaving(held.net)]
    if busy := [order for order in exits if order.state not in STANDS]:
        raise BadRequest(f"{_lines(busy)}: look again with get_orders until its state is settled; nothing was sent")
    standing = {leg: [order for order in exits if _leg_of(order) is leg] for leg in ExitKind}
    if not open_orders and len(prices) == len(ExitKind):
        return (_bracket(held.account, held.instrument, prices),)
    planned = _steps(held, standing, prices, used_up)
    if None in planned:
        kept = {leg: _kept(standing[leg], leg) for leg in ExitKind if leg not in prices and standing[leg]}
        return (_bracket(held.account, held.instrument, {**kept, **prices}),)
    steps = tuple(step for part in planned for step in part or ())
    if not steps:
        done = "tell the person that it stands as they want it; for another price name that"
        raise BadRequest(f"it stands there already: {_lines(exits)}; nothing was sent", next_step=done)
    return steps


def _steps(
    held: Position, standing: _Standing, prices: _Prices, used_up: Container[str | None]
) -> list[tuple[Command, ...] | None]:
    """Give what brings each leg to its price and size, in the order of legs; None for one that cannot be."""
    planned = list[tuple[Command, ...] | None]()
    for leg, price in prices.items():
        if standing[leg]:
            planned.append(_moves(standing[leg], leg, price, held))
            continue
        others = [order for other in ExitKind if other is not leg for order in standing[other]]
        if len(prices) < len(ExitKind) and len(others) == 1:
            planned.append(_sized(others[0], held))
        shares = [(order.oco_id, order.remaining) for order in others] or [(NEW_GROUP, held.quantity)]
        can_join = all(group and is_plain_group(group) and group not in used_up for group, _ in shares)
        planned.append(_joins(shares, leg, price, held) if can_join else None)
    return planned


def _leg_of(order: Order) -> ExitKind | None:
    if order.order_type in (OrderType.STOP_MARKET, OrderType.STOP_LIMIT):
        return ExitKind.STOP
    return ExitKind.TARGET if order.order_type is OrderType.LIMIT else None


def _moves(orders: Sequence[Order], leg: ExitKind, price: Decimal, held: Position) -> tuple[ChangeOrder, ...] | None:
    """Give the changes that bring a leg to its price and size; None where that is no matter of one order."""
    missing = held.quantity - sum(order.remaining for order in orders)
    if missing and len(orders) > 1:
        return None
    changes = (_change(order, leg, price, order.quantity + missing) for order in orders)
    return tuple(change for change in changes if change is not None)


def _change(order: Order, leg: ExitKind, price: Decimal, quantity: int) -> ChangeOrder | None:
    size = None if quantity == order.quantity else quantity
    limit, stop = order.limit_price, order.stop_price
    if leg is ExitKind.TARGET:
        if price == limit and size is None:
            return None
        return ChangeOrder(order.account, order.order_id, size, limit_price=None if price == limit else price)
    if price == stop:
        return None if size is None else ChangeOrder(order.account, order.order_id, size)
    # The limit of a stop limit keeps its distance, or it would no longer fit the stop.
    moved = None if limit is None or stop is None else limit + price - stop
    return ChangeOrder(order.account, order.order_id, size, moved, price)


def _sized(order: Order, held: Position) -> tuple[ChangeOrder, ...]:
    missing = held.quantity - order.remaining
    return (ChangeOrder(order.account, order.order_id, order.quantity + missing),) if missing else ()


def _joins(
    shares: Sequence[tuple[str | None, int]], leg: ExitKind, price: Decimal, held: Position
) -> tuple[PlaceOrder, ...] | None:
    """Give the orders that are a leg of which nothing stands, one for each group; None where they make up no whole."""
    if len(shares) == 1:
        shares = [(shares[0][0], held.quantity)]
    if len({group for group, _ in shares}) < len(shares) or sum(size for _, size in shares) != held.quantity:
        return None
    is_stop = leg is ExitKind.STOP
    at_price = PlaceOrder(
        account=held.account,
        instrument=held.instrument,
        action=leaving(held.net),
        quantity=held.quantity,
        order_type=OrderType.STOP_MARKET if is_stop else OrderType.LIMIT,
        limit_price=None if is_stop else price,
        stop_price=price if is_stop else None,
        time_in_force=TimeInForce.GTC,
    )
    return tuple(replace(at_price, quantity=size, oco_id=group) for group, size in shares)


def _kept(orders: Sequence[Order], leg: ExitKind) -> Decimal:
    """Give the one price at which a leg that was not named is placed anew."""
    at = {order.stop_price if leg is ExitKind.STOP else order.limit_price for order in orders}
    price = next(iter(at))
    if len(at) > 1 or price is None:
        raise BadRequest(
            f"the other leg has to be placed first, and that would take away {_lines(orders)}, which nobody named: "
            "name both legs, or place the missing one with place_order in the OCO group of what it goes with; "
            "nothing was sent"
        )
    return price


def _bracket(account: str, instrument: Instrument, prices: _Prices) -> ProtectPosition:
    return ProtectPosition(account, instrument, prices.get(ExitKind.TARGET), prices.get(ExitKind.STOP))


def _lines(orders: Iterable[Order]) -> str:
    return "; ".join(map(order_line, orders))
