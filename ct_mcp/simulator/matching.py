"""When an order can fill, and at what price."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from ct_mcp.simulator.faults import Fault, Lag
from ct_mcp.simulator.market import Market, Top, Window
from ct_mcp.simulator.orders import Action, Order, OrderState

_ONE_SECOND = timedelta(seconds=1)
_NEVER = (Fault.NO_FILL, Lag.CLOSE_STUCK)
_MATCHABLE = frozenset(
    {
        OrderState.ACCEPTED,
        OrderState.WORKING,
        OrderState.TRIGGER_PENDING,
        OrderState.PART_FILLED,
        OrderState.CHANGE_PENDING,
        OrderState.CANCEL_PENDING,
    }
)


@dataclass(frozen=True, slots=True)
class Touch:
    """The moment at which the market reaches an order."""

    at: datetime
    order: Order
    top: Top


def first_touch(market: Market, orders: Iterable[Order], start: datetime, end: datetime) -> Touch | None:
    """Find the earliest touch in a span; of two at the same moment, the order that is older."""
    earliest: Touch | None = None
    for order in orders:
        until = earliest.at if earliest else end
        touch = _touch(market, order, start, until)
        if touch is not None and (earliest is None or touch.at < earliest.at):
            earliest = touch
    return earliest


def fill_ticks(order: Order, top: Top) -> int:
    """Tell the price of a fill: the other side of the book, which may be better than the limit."""
    return top.ask if order.terms.action is Action.BUY else top.bid


def is_touched(order: Order, top: Top) -> bool:
    """Say whether the market stands where the order acts."""
    buys = order.terms.action is Action.BUY
    if order.waits_for_trigger:
        stop = order.terms.stop_ticks
        return top.last >= stop if buys else top.last <= stop
    if order.is_plain_market:
        return True
    limit = order.terms.limit_ticks
    return top.ask <= limit if buys else top.bid >= limit


def _touch(market: Market, order: Order, start: datetime, end: datetime) -> Touch | None:
    if order.matches_from is None or order.state not in _MATCHABLE or order.hindrance in _NEVER:
        return None
    for window in market.windows(order.terms.contract, max(start, order.matches_from), end):
        if not (is_touched(order, window.lowest) or is_touched(order, window.highest)):
            continue
        for moment in _moments(window, order.matches_from):
            top = market.top(order.terms.contract, moment)
            if is_touched(order, top):
                return Touch(moment, order, top)
    return None


def _moments(window: Window, matches_from: datetime) -> Iterator[datetime]:
    """List the moments at which orders are matched: the first possible one, the open, and every whole second.

    They do not depend on when somebody looks, so that looking changes nothing.
    """
    first = window.start.replace(microsecond=0)
    if window.start == matches_from:
        yield window.start
    moment = first if first == window.start else first + _ONE_SECOND
    while moment <= window.end:
        yield moment
        moment += _ONE_SECOND
