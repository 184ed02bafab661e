"""Rules on what is filled in: prices an order type needs, names, and what a change or a close may say."""

from decimal import Decimal

from ct_mcp.domain.action import (
    Action,
    ChangeOrder,
    ClosePosition,
    CloseStrategy,
    DisableStrategy,
    EnableStrategy,
    PlaceOrder,
    ReplaceOrder,
)
from ct_mcp.domain.order import Order, OrderType
from ct_mcp.domain.strategy import StartStrategy
from ct_mcp.guard.legs import resulting_order
from ct_mcp.guard.policy import Denial, Policy, View
from ct_mcp.guard.values import is_price, is_whole_number, plain, written
from ct_mcp.guard.verdict import NO_ORDER, Finding, NotApplicable, Passed, on_orders

NO_CHANGE = NotApplicable("changes no order")
NO_CLOSE = NotApplicable("no partial close")


@on_orders
def order_type_can_be_sent(order: PlaceOrder, _view: View, _policy: Policy) -> Finding:
    """Some types are only read: orders of them stand in the account, and none is placed or changed from here."""
    figures = f"order type={order.order_type}"
    return Passed(figures) if order.order_type.can_be_sent else Denial("ORDER_TYPE_NOT_SENDABLE", figures)


@on_orders
def limit_price_fits_the_order_type(order: PlaceOrder, _view: View, _policy: Policy) -> Finding:
    """Limit and stop limit orders need one, the others may not carry one."""
    return _fits(order, order.limit_price, "LIMIT", needed=order.order_type.needs_limit_price)


@on_orders
def stop_price_fits_the_order_type(order: PlaceOrder, _view: View, _policy: Policy) -> Finding:
    """Stop market and stop limit orders need one, the others may not carry one."""
    return _fits(order, order.stop_price, "STOP", needed=order.order_type.needs_stop_price)


@on_orders
def stop_limit_prices_stand_in_order(order: PlaceOrder, _view: View, _policy: Policy) -> Finding:
    """Once triggered, the limit must leave room on the side that the order trades through."""
    stop, limit = order.stop_price, order.limit_price
    if order.order_type is not OrderType.STOP_LIMIT:
        return NotApplicable("no stop limit order")
    if stop is None or limit is None or not is_price(stop) or not is_price(limit):
        return NotApplicable("needs two readable prices")
    figures = f"{order.action} stop={written(stop)}, limit={written(limit)}"
    return Denial("STOP_LIMIT_CROSSED", figures) if (limit - stop) * order.action.sign < 0 else Passed(figures)


def names_are_plain_text(action: Action, view: View, _policy: Policy) -> Finding:
    """OCO groups, templates and strategies are words that NinjaTrader knows, not carriers for anything else."""
    given = _names(action, view)
    if given is None:
        return NO_ORDER
    odd = [f"{field}={plain(name)!r}" for field, name in given if name is not None and not _is_plain(name)]
    return Denial("NAME_INVALID", ", ".join(odd)) if odd else Passed("plain")


def order_named_is_open(action: Action, view: View, _policy: Policy) -> Finding:
    """What is closed or not listed can be neither changed nor replaced; it may have filled."""
    if not isinstance(action, ChangeOrder | ReplaceOrder):
        return NO_CHANGE
    order, figures = view.order(action.order_id), f"order={plain(action.order_id)}"
    if view.orders is None:
        return Denial("ORDERS_UNKNOWN", f"no report of orders, {figures}")
    if order is None or order.account != action.account:
        return Denial("ORDER_UNKNOWN", f"{figures} is not among the open orders of {plain(action.account)}")
    return Denial("ORDER_CLOSED", f"{figures}, state={order.state}") if order.is_closed else Passed(figures)


def change_changes_something(action: Action, view: View, _policy: Policy) -> Finding:
    """It names at least one field, one of them is new, and contracts that filled are not taken back."""
    if not isinstance(action, ChangeOrder):
        return NO_CHANGE
    given = (action.quantity, action.limit_price, action.stop_price)
    if given == (None, None, None):
        return Denial("CHANGE_EMPTY", "none of quantity, limit_price, stop_price was given")
    order = view.order(action.order_id)
    if order is None:
        return NotApplicable("the order is not known")
    return _effect_of(action, order)


def close_says_how_much_once(action: Action, _view: View, _policy: Policy) -> Finding:
    """A quantity, or a percentage, or neither for all of it."""
    if not isinstance(action, ClosePosition):
        return NO_CLOSE
    quantity, percent = action.quantity, action.percent
    if quantity is not None and percent is not None:
        return Denial("CLOSE_AMBIGUOUS", f"quantity={plain(repr(quantity))} and percent={written(percent)}")
    if quantity is not None and not is_whole_number(quantity):
        return Denial("CLOSE_QUANTITY_INVALID", f"quantity={plain(repr(quantity))}")
    if percent is not None and not (is_price(percent) and 0 < percent <= 100):
        return Denial("CLOSE_PERCENT_INVALID", f"percent={written(percent)}, above=0, at most=100")
    return Passed(f"quantity={'all' if quantity is None and percent is None else quantity or f'{written(percent)} %'}")


def _fits(order: PlaceOrder, price: Decimal | None, name: str, *, needed: bool) -> Finding:
    figures = f"order type={order.order_type}, {name.lower()}_price={'none' if price is None else written(price)}"
    if needed and price is None:
        return Denial(f"{name}_PRICE_MISSING", figures)
    if price is not None and not needed:
        return Denial(f"{name}_PRICE_SUPERFLUOUS", figures)
    return Passed(figures)


def replacement_can_take_the_place(action: Action, view: View, _policy: Policy) -> Finding:
    """In the same instrument, and in no OCO group that goes with the old order: NinjaTrader never takes one again."""
    if not isinstance(action, ReplaceOrder):
        return NotApplicable("replaces no order")
    old, new = view.order(action.order_id), action.order
    if old is None:
        return NotApplicable("the order is not known")
    figures = f"old={old.instrument}, new={new.instrument}"
    if old.instrument != new.instrument:
        return Denial("REPLACEMENT_ELSEWHERE", figures)
    if new.oco_id and new.oco_id == old.oco_id:
        return Denial("OCO_GROUP_SPENT", f"oco_id={plain(new.oco_id)} goes with order={plain(action.order_id)}")
    return Passed(figures)


def _names(action: Action, view: View) -> list[tuple[str, str | None]] | None:
    match action:
        case StartStrategy():
            values = [(plain(name), value) for name, value in action.parameters if isinstance(value, str)]
            parameters = [("parameter", name) for name, _ in action.parameters]
            return [("strategy_class", action.strategy_class), *parameters, *values]
        case EnableStrategy() | DisableStrategy() | CloseStrategy():
            return [("strategy_id", action.strategy_id)]
        case _:
            order = resulting_order(action, view)
            return None if order is None else [("oco_id", order.oco_id), ("atm_strategy", order.atm_strategy)]


def _is_plain(name: str) -> bool:
    return 0 < len(name) <= 60 and name.isprintable() and name == name.strip() and not set(name) & set(";=")


def _effect_of(change: ChangeOrder, order: Order) -> Finding:
    if is_whole_number(change.quantity) and change.quantity is not None and change.quantity <= order.filled:
        return Denial("CHANGE_BELOW_FILLED", f"quantity={change.quantity}, filled={order.filled}")
    fields = (
        ("quantity", change.quantity, order.quantity),
        ("limit_price", change.limit_price, order.limit_price),
        ("stop_price", change.stop_price, order.stop_price),
    )
    changed = [name for name, new, old in fields if _differs(new, old)]
    if not changed:
        return Denial("CHANGE_WITHOUT_EFFECT", "every field that was given stands so already")
    return Passed(f"changes={', '.join(changed)}")


def _differs(new: int | Decimal | None, old: int | Decimal | None) -> bool:
    if new is None:
        return False
    return (isinstance(new, Decimal) and not new.is_finite()) or new != old
