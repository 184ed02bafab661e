"""The orders that come of an action: what is new, what is changed, and both legs of a reverse or a bracket."""

from dataclasses import dataclass, replace
from decimal import Decimal

from ct_mcp.domain.action import (
    Action,
    ChangeOrder,
    OrderAsked,
    PlaceOrder,
    ProtectPosition,
    ReplaceOrder,
    ReversePosition,
)
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import OrderAction, OrderType, TimeInForce
from ct_mcp.domain.strategy import StartStrategy
from ct_mcp.guard.policy import View

SendsOrder = OrderAsked | ReversePosition

# Stands for the group that CrossTrade makes for a bracket; its real name is not ours to choose.
_BRACKET = "bracket"


@dataclass(frozen=True, slots=True)
class Prices:
    """The prices that an action carries, each under the name that the caller gave it."""

    instrument: Instrument
    given: tuple[tuple[str, Decimal], ...]


def resulting_order(action: Action, view: View) -> PlaceOrder | None:
    """The one order as it would stand: new, changed, in another's place, or the other way round; None without one."""
    match action:
        case PlaceOrder():
            return action
        case ChangeOrder():
            return _changed(action, view)
        case ReplaceOrder():
            return action.order
        case ReversePosition():
            return _reversed(action, view)
        case _:
            return None


def bracket_of(protect: ProtectPosition, view: View) -> tuple[PlaceOrder, ...] | None:
    """The exits that are to stand around the position, at its size; None where it is flat or not known."""
    net = view.net_position(protect.instrument)
    if not net:
        return None
    leaves = replace(_exit(protect, net), time_in_force=TimeInForce.GTC, oco_id=_BRACKET)
    legs = (
        replace(leaves, order_type=OrderType.LIMIT, limit_price=protect.take_profit_price),
        replace(leaves, order_type=OrderType.STOP_MARKET, stop_price=protect.stop_loss_price),
    )
    return tuple(leg for leg in legs if (leg.limit_price, leg.stop_price) != (None, None))


def legs_of(action: Action, view: View) -> tuple[PlaceOrder, ...] | None:
    """Every order that comes of it, an exit before an entry; empty where it sends none, None where that is not known.

    The size of what is flattened first is the position's of this moment.
    """
    if isinstance(action, ProtectPosition):
        return bracket_of(action, view)
    if not isinstance(action, SendsOrder):
        return ()
    order = resulting_order(action, view)
    net = None if order is None else view.net_position(order.instrument)
    if order is None or (order.flatten_first and net is None):
        return None
    if not order.flatten_first or not net:
        return (replace(order, flatten_first=False),)
    return _exit(order, net), replace(order, flatten_first=False)


def instrument_traded(action: Action, view: View) -> Instrument | None:
    """The instrument in which it may open something; None where none is meant or it is not known."""
    if isinstance(action, StartStrategy):
        return action.instrument
    order = resulting_order(action, view)
    return None if order is None else order.instrument


def prices_of(action: Action, view: View) -> Prices | None:
    """The prices of its order, or of the bracket; None where it carries none by its kind."""
    if isinstance(action, ProtectPosition):
        bracket = (("take_profit_price", action.take_profit_price), ("stop_loss_price", action.stop_loss_price))
        return Prices(action.instrument, _given(bracket))
    order = resulting_order(action, view)
    return None if order is None else prices_of_order(order)


def prices_of_order(order: PlaceOrder) -> Prices:
    """Its limit and its stop, as far as they are given."""
    return Prices(order.instrument, _given((("limit_price", order.limit_price), ("stop_price", order.stop_price))))


def _given(prices: tuple[tuple[str, Decimal | None], ...]) -> tuple[tuple[str, Decimal], ...]:
    return tuple((name, price) for name, price in prices if price is not None)


def _changed(change: ChangeOrder, view: View) -> PlaceOrder | None:
    order = view.order(change.order_id)
    if order is None or order.is_closed:
        return None
    return PlaceOrder(
        account=order.account,
        instrument=order.instrument,
        action=order.action,
        quantity=order.quantity if change.quantity is None else change.quantity,
        order_type=order.order_type,
        limit_price=order.limit_price if change.limit_price is None else change.limit_price,
        stop_price=order.stop_price if change.stop_price is None else change.stop_price,
        time_in_force=order.time_in_force or TimeInForce.DAY,
        oco_id=order.oco_id,
    )


def _reversed(reverse: ReversePosition, view: View) -> PlaceOrder | None:
    """As CrossTrade does it: the position is left, then as much is sent the other way."""
    net = view.net_position(reverse.instrument)
    if not net:
        return None
    return replace(_exit(reverse, net), flatten_first=True)


def _exit(of: PlaceOrder | ReversePosition | ProtectPosition, net: int) -> PlaceOrder:
    """The order at the market that leaves all of a position."""
    return PlaceOrder(
        account=of.account,
        instrument=of.instrument,
        action=OrderAction.SELL if net > 0 else OrderAction.BUY,
        quantity=abs(net),
        order_type=OrderType.MARKET,
        limit_price=None,
        stop_price=None,
        time_in_force=TimeInForce.DAY,
    )
