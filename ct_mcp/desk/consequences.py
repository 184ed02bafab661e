"""What the person reads beneath an action before they say yes: what stands, what goes, what comes, what it risks."""

from collections.abc import Iterator

from ct_mcp.desk.facts import Case
from ct_mcp.desk.in_words import contracts, money, order_line, position_line, strategy_line
from ct_mcp.domain.action import (
    CancelOrder,
    CancelOrders,
    ChangeOrder,
    ClosePosition,
    CloseStrategy,
    DisableStrategy,
    EnableStrategy,
    Flatten,
    PlaceOrder,
    ProtectPosition,
    ReplaceOrder,
    ReversePosition,
    StrategyAsked,
    describe,
)
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import Order, OrderAction
from ct_mcp.domain.strategy import StartStrategy
from ct_mcp.guard.figures import order_figures
from ct_mcp.guard.protection import cancelled_by, unprotects

_BOTH = "If the first does not work within seconds, CrossTrade sends the second all the same: both may stand together."


def consequences(case: Case) -> list[str]:
    """Everything in it is made here, and stays as it is as long as the ticket lives."""
    lines = [*_meant(case), *_legs(case), *_order_lines(case)]
    lost = unprotects(case.action, case.view)
    if lost is None:
        lines.append("CAUTION: what this leaves unprotected is not known")
    elif lost.is_any:
        lines.append(f"CAUTION: {lost}")
    if isinstance(case.action, ClosePosition | Flatten | DisableStrategy | CloseStrategy):
        lines += what_stands(case)
    return lines


def _meant(case: Case) -> list[str]:
    """The orders or the strategy that it is about, in words: nobody knows one by its id."""
    match case.action:
        case ChangeOrder(order_id=order_id):
            meant = [order for order in (case.view.order(order_id),) if order is not None]
        case CancelOrder() | CancelOrders() as cancel:
            meant = list(cancelled_by(cancel, case.view) or ())
        case StartStrategy() | EnableStrategy() | DisableStrategy() | CloseStrategy() as asked:
            return _strategy_lines(case, asked)
        case _:
            return []
    return [f"As it stands: {order_line(order)}" for order in meant] or ["No open order is listed for this"]


def _strategy_lines(case: Case, asked: StrategyAsked) -> list[str]:
    known = "it could not be read" if case.strategy is None else strategy_line(case.strategy)
    lines = [] if isinstance(asked, StartStrategy) else [f"As it stands: {known}"]
    match asked:
        case StartStrategy() | EnableStrategy():
            lines.append("It trades by itself from then on: the limits of ct-mcp do NOT hold what it sends.")
        case DisableStrategy():
            lines.append("Its position stays, and NinjaTrader may cancel its orders, the stop included.")
        case CloseStrategy():  # pragma: no branch  # the set is closed
            lines.append("It ends for good; its position is closed at the market and its orders are cancelled.")
    return lines


def _legs(case: Case) -> list[str]:
    """Of what is done in two steps, both; the first may work and the second not."""
    match case.action:
        case PlaceOrder(flatten_first=True) as order:
            return [*_leaving(case, order.instrument), f"Then: {_without_account(order)}", _BOTH]
        case ReversePosition() as turn:
            return [*_leaving(case, turn.instrument), f"Then: {_other_side(case, turn.instrument)}", _BOTH]
        case ReplaceOrder() as swap:
            old = case.view.order(swap.order_id)
            first = f"First: cancel {order_line(old) if old else 'an order that is not listed'}"
            return [first, f"Then: {_without_account(swap.order)}"]
        case ProtectPosition() as protect:
            return list(_bracket_lines(case, protect))
    return []


def _leaving(case: Case, instrument: Instrument) -> list[str]:
    held = [held for held in case.view.positions or () if held.quantity and held.instrument == instrument]
    words = " and ".join(f"{position_line(position)}, at the market" for position in held)
    words = words or f"nothing: {instrument} reads flat"
    orders = (
        f"These may be cancelled, or stay and work on: {order_line(order)}" for order in _orders(case, instrument)
    )
    return [f"First: close {words if case.view.positions is not None else 'what could not be read'}", *orders]


def _other_side(case: Case, instrument: Instrument) -> str:
    net = case.view.net_position(instrument)
    if not net:
        return "the other side of a position that is not known"
    return f"{_exit_of(net)} {abs(net)} {instrument} MARKET"


def _bracket_lines(case: Case, protect: ProtectPosition) -> Iterator[str]:
    net = case.view.net_position(protect.instrument) or 0
    yield f"Held: {contracts(net)} {protect.instrument}"
    for order in _orders(case, protect.instrument):
        yield f"First: cancel {order_line(order)}"
    given = (("LIMIT", protect.take_profit_price), ("STOP MARKET", protect.stop_loss_price))
    legs = [f"{_exit_of(net)} {abs(net)} {kind} {price:f}" for kind, price in given if price is not None]
    yield f"Then: {' and '.join(legs)}{', one cancels the other' if len(legs) == 2 else ''}"
    yield "In between nothing protects the position."


def _orders(case: Case, instrument: Instrument) -> tuple[Order, ...]:
    return case.view.open_orders(instrument) or ()


def _exit_of(net: int) -> OrderAction:
    return OrderAction.SELL if net > 0 else OrderAction.BUY


def _without_account(order: PlaceOrder) -> str:
    return describe(order).removeprefix(order.account).strip().removeprefix("flatten first, then ")


def _order_lines(case: Case) -> list[str]:
    figures = order_figures(case.action, case.view, case.policy)
    if figures is None:
        return []
    currency = case.account.currency or "account currency"
    lines = [
        f"Value {money(figures.notional)}, risk {money(figures.risk)} over {figures.risk_ticks} ticks ({currency})"
    ]
    if figures.reference_price is not None:
        lines.append(f"Market at {figures.reference_price:f} when proposed")
    lines.append(f"Position {contracts(figures.position_now)} now, {contracts(figures.position_after)} after")
    return [*lines, *_month(case)]


def _month(case: Case) -> list[str]:
    match case.action:
        case PlaceOrder(instrument=instrument) | ReversePosition(instrument=instrument):
            return [f"Contract month {instrument.month_in_words}"]
        case ReplaceOrder(order=order):
            return [f"Contract month {order.instrument.month_in_words}"]
    return []


def what_stands(case: Case) -> list[str]:
    """Positions and orders of the account, or of the instrument that the action names."""
    if case.view.positions is None or case.view.orders is None:
        return ["What stands now could not be read"]
    named = case.strategy.instrument if case.strategy else None
    instrument = getattr(case.action, "instrument", named)
    positions = [p for p in case.view.positions if p.quantity and instrument in (None, p.instrument)]
    orders = [order for order in case.view.orders if instrument in (None, order.instrument)]
    return [*map(position_line, positions), *map(order_line, orders)]
