"""Matching: why the broker rejects an order, when the market reaches an order, and at which price it fills."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from ct_mcp.simulator.accounts import SimAccount, margin_used
from ct_mcp.simulator.faults import Fault, Lag
from ct_mcp.simulator.market import Market, TopOfBook, TradingWindow
from ct_mcp.simulator.orders import Action, SimOrder, SimOrderState, SimOrderType
from ct_mcp.simulator.products import SimContract

_ONE_SECOND = timedelta(seconds=1)
_NEVER = (Fault.NO_FILL, Lag.CLOSE_STUCK)
_MATCHABLE = frozenset(
    {
        SimOrderState.ACCEPTED,
        SimOrderState.WORKING,
        SimOrderState.TRIGGER_PENDING,
        SimOrderState.PART_FILLED,
        SimOrderState.CHANGE_PENDING,
        SimOrderState.CANCEL_PENDING,
    }
)
_Aged = tuple[int, SimOrder]
"""An order with its place among all: the older it is, the smaller."""


@dataclass(frozen=True, slots=True)
class Touch:
    """The moment at which the market reaches an order."""

    at: datetime
    order: SimOrder
    top: TopOfBook


def rejection_reason(market: Market, account: SimAccount, order: SimOrder, at: datetime) -> str | None:
    """Return why the broker rejects an order; None if it accepts the order.

    The broker decides only after the add-on has acknowledged the order to its caller.
    """
    return (
        _contract_has_expired(market, order, at)
        or _price_is_off_tick(order)
        or _stop_is_behind_the_market(market, order, at)
        or _market_is_closed(market, account, order, at)
        or _size_is_over_the_limit(account, order)
        or _margin_is_short(market, account, order, at)
    )


def _contract_has_expired(market: Market, order: SimOrder, at: datetime) -> str | None:
    contract = order.terms.contract
    return f"{contract.name} has expired" if market.has_expired(contract, at) else None


def _price_is_off_tick(order: SimOrder) -> str | None:
    terms, product = order.terms, order.terms.contract.product
    prices = [terms.limit_price] * terms.order_type.has_limit + [terms.stop_price] * terms.order_type.has_stop
    for price in prices:
        if product.ticks(price) is None:
            return f"Price {price} is not a multiple of the tick size {product.tick_size}"
    return None


def _stop_is_behind_the_market(market: Market, order: SimOrder, at: datetime) -> str | None:
    terms = order.terms
    if not terms.order_type.has_stop or order.triggered:
        return None
    last = market.top(terms.contract, at).last
    if terms.action is Action.BUY and terms.stop_ticks <= last:
        return "Buy stop or buy stop limit orders can't be placed below the market."
    if terms.action is Action.SELL and terms.stop_ticks >= last:
        return "Sell stop or sell stop limit orders can't be placed above the market."
    return None


def _market_is_closed(market: Market, account: SimAccount, order: SimOrder, at: datetime) -> str | None:
    """Reject a market order while the market is closed; a simulated account keeps it until the open instead."""
    if account.spec.is_simulated or order.terms.order_type is not SimOrderType.MARKET or market.is_open(at):
        return None
    return "Market is closed"


def _size_is_over_the_limit(account: SimAccount, order: SimOrder) -> str | None:
    """Reject what is over a limit of the account; an order that makes a position smaller may have any size."""
    spec, terms = account.spec, order.terms
    held = account.net(terms.contract)
    after = abs(held + terms.action.sign * terms.quantity)
    if after < abs(held):
        return None
    if spec.max_order_size and terms.quantity > spec.max_order_size:
        return f"Order size {terms.quantity} exceeds maximum order size {spec.max_order_size}"
    if spec.max_position_size and after > spec.max_position_size:
        return f"Position size {after} exceeds maximum position size {spec.max_position_size}"
    return None


def _margin_is_short(market: Market, account: SimAccount, order: SimOrder, at: datetime) -> str | None:
    """Reject what the equity does not cover; only an order that makes a position larger needs margin."""
    terms = order.terms
    held = account.net(terms.contract)
    grows = abs(held + terms.action.sign * order.remaining) - abs(held)
    if grows <= 0:
        return None
    needed = margin_used(account).intraday + grows * terms.contract.product.margin.intraday
    equity = account.cash + sum(
        position.open_profit(market.top(position.contract, at).last) for position in account.open_positions()
    )
    return None if needed <= equity else f"Insufficient margin: {needed:.2f} needed, {equity:.2f} available"


def first_touch(market: Market, orders: Iterable[SimOrder], start: datetime, end: datetime) -> Touch | None:
    """Find the earliest touch in a span; of two at the same moment, that of the older order.

    Orders that wait in the same contract from the same moment on are held against its windows together.
    """
    waiting: dict[tuple[SimContract, datetime], list[_Aged]] = {}
    for age, order in enumerate(orders):
        if order.matches_from is not None and order.state in _MATCHABLE and order.blocking_fault not in _NEVER:
            begin = max(start, order.matches_from)
            if begin != order.matches_from and _next_second(begin) > end:
                continue
            waiting.setdefault((order.terms.contract, begin), []).append((age, order))
    found = [
        _first_of(market, group, market.windows(contract, begin, end)) for (contract, begin), group in waiting.items()
    ]
    earliest = min(filter(None, found), key=lambda aged: (aged[1].at, aged[0]), default=None)
    return None if earliest is None else earliest[1]


def fill_ticks(order: SimOrder, top: TopOfBook) -> int:
    """Return the price of a fill in ticks: the other side of the book, which may be better than the limit."""
    return top.ask if order.terms.action is Action.BUY else top.bid


def is_touched(order: SimOrder, top: TopOfBook) -> bool:
    """Check whether the market is where an order triggers or fills."""
    buys = order.terms.action is Action.BUY
    if order.waits_for_trigger:
        stop = order.terms.stop_ticks
        return top.last >= stop if buys else top.last <= stop
    if order.is_plain_market:
        return True
    limit = order.terms.limit_ticks
    return top.ask <= limit if buys else top.bid >= limit


def _first_of(market: Market, group: list[_Aged], windows: Iterator[TradingWindow]) -> tuple[int, Touch] | None:
    """The first touch of any of these orders, with the age of its order: in the first window that has one."""
    for window in windows:
        near = [aged for aged in group if is_touched(aged[1], window.lowest) or is_touched(aged[1], window.highest)]
        found = [(age, touch) for age, order in near if (touch := _touch(market, order, window)) is not None]
        if found:
            return min(found, key=lambda aged: (aged[1].at, aged[0]))
    return None


def _touch(market: Market, order: SimOrder, window: TradingWindow) -> Touch | None:
    for moment in _moments(window, order.matches_from):
        top = market.top(order.terms.contract, moment)
        if is_touched(order, top):
            return Touch(moment, order, top)
    return None


def _moments(window: TradingWindow, matches_from: datetime | None) -> Iterator[datetime]:
    """List the moments at which orders are matched: the first possible one, the open, and every whole second.

    They do not depend on when somebody asks, so that asking changes nothing.
    """
    if window.start == matches_from:
        yield window.start
    moment = _next_second(window.start)
    while moment <= window.end:
        yield moment
        moment += _ONE_SECOND


def _next_second(moment: datetime) -> datetime:
    """The whole second that a moment is, or the next one."""
    whole = moment.replace(microsecond=0)
    return whole if whole == moment else whole + _ONE_SECOND
