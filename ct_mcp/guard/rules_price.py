"""Rules on prices: readable, positive, on tick, near the market, on its right side, on a fresh quote."""

from decimal import Decimal

from ct_mcp.domain.action import PlaceOrder
from ct_mcp.domain.market import Quote
from ct_mcp.domain.order import OrderAction, OrderType
from ct_mcp.guard.figures import is_quoted, quote_for, reference_price
from ct_mcp.guard.policy import Denial, Policy, View
from ct_mcp.guard.session import may_rest
from ct_mcp.guard.values import LARGEST_PRICE, is_price, written
from ct_mcp.guard.verdict import Finding, NotApplicable, Passed, on_orders, on_orders_if_quoted, on_risk

CLOCKS_DIFFER_SECONDS = 5.0
NO_PRICE = NotApplicable("carries no readable price")


@on_orders
def prices_are_readable(order: PlaceOrder, _view: View, _policy: Policy) -> Finding:
    """NaN, infinities, zero in any spelling and prices beyond all markets are none."""
    given = _given(order)
    odd = [f"{name}={written(price)}" for name, price in given if not is_price(price)]
    if odd:
        return Denial("PRICE_INVALID", f"{', '.join(odd)}; must be finite, not zero, at most {LARGEST_PRICE}")
    return Passed(_spelt(given)) if given else NO_PRICE


@on_orders_if_quoted
def prices_are_positive(order: PlaceOrder, view: View, policy: Policy) -> Finding:
    """Oil has traded below zero: a negative price passes only where the quote stands within the band of zero."""
    negative = [(name, price) for name, price in _readable(order) if price < 0]
    if not negative:
        return Passed("none negative")
    quote = quote_for(order, view)
    reference = reference_price(quote)
    if quote is None or reference is None:
        return _no_quote(order)
    figures = f"{_spelt(negative)}, last={written(reference)}"
    is_near_zero = reference <= quote.contract.tick_size * policy.limits.price_band_ticks
    return Passed(figures) if is_near_zero else Denial("PRICE_NOT_POSITIVE", figures)


@on_orders_if_quoted
def prices_are_on_tick(order: PlaceOrder, view: View, _policy: Policy) -> Finding:
    """A price between two ticks would be moved by somebody else; the caller must choose."""
    prices, quote = _readable(order), quote_for(order, view)
    if not prices:
        return NO_PRICE
    if quote is None:
        return _no_quote(order)
    figures = f"{_spelt(prices)}, tick={written(quote.contract.tick_size)}"
    is_on = all(quote.contract.is_on_tick(price) for _, price in prices)
    return Passed(figures) if is_on else Denial("PRICE_OFF_TICK", figures)


@on_risk
def quote_is_fresh(order: PlaceOrder, view: View, policy: Policy) -> Finding:
    """Only an order that waits for a closed session to open may lean on the last quote there was."""
    quote = quote_for(order, view)
    if quote is None or reference_price(quote) is None:
        return _no_quote(order)
    figures, is_fresh = _age(quote, view, policy)
    if is_fresh:
        return Passed(figures)
    if may_rest(order, view):
        return Passed(figures, "the session is closed, so the last quote there was stands for the market")
    return Denial("QUOTE_STALE", figures)


@on_risk
def prices_are_near_the_market(order: PlaceOrder, view: View, policy: Policy) -> Finding:
    """Every price of the order stands within the band around the last quote."""
    prices, quote = _readable(order), quote_for(order, view)
    reference, band = reference_price(quote), policy.limits.price_band_ticks
    if not prices:
        return NO_PRICE
    if quote is None or reference is None:
        return _no_quote(order)
    distance = max(abs(quote.contract.ticks(price - reference)) for _, price in prices)
    figures = f"{_spelt(prices)}, last={written(reference)}, distance={written(distance)} ticks, maximum={band}"
    return Denial("PRICE_OUTSIDE_BAND", figures) if distance > band else Passed(figures)


@on_risk
def limit_does_not_run_through_the_market(order: PlaceOrder, view: View, policy: Policy) -> Finding:
    """A limit on the far side of bid or ask fills at once: no further through it than the band."""
    quote, limit, band = quote_for(order, view), order.limit_price, policy.limits.price_band_ticks
    if order.order_type is not OrderType.LIMIT or limit is None or not is_price(limit):
        return NotApplicable("no limit order with a readable price")
    if quote is None:
        return _no_quote(order)
    name, market = _market_for(order, quote)
    if market is None:
        return _no_quote(order)
    through = quote.contract.ticks((limit - market) * order.action.sign)
    figures = f"{order.action} limit={written(limit)}, {name}={written(market)}, through={written(through)} ticks"
    figures += f", maximum={band}"
    return Denial("LIMIT_THROUGH_MARKET", figures) if through > band else Passed(figures)


@on_orders_if_quoted
def stop_stands_on_its_side(order: PlaceOrder, view: View, policy: Policy) -> Finding:
    """A buy stop waits above the market and a sell stop below; on the other side it is refused or fills at once."""
    quote, stop = quote_for(order, view), order.stop_price
    if not order.order_type.needs_stop_price or stop is None or not is_price(stop):
        return NotApplicable("no stop order with a readable price")
    if quote is None:
        return _no_quote(order)
    name, market = _market_for(order, quote)
    if market is None:
        return _no_quote(order)
    age, is_fresh = _age(quote, view, policy)
    if not is_fresh and not may_rest(order, view):
        return Denial("QUOTE_STALE", age)
    figures = f"{order.action} stop={written(stop)}, {name}={written(market)}"
    return Passed(figures) if (stop - market) * order.action.sign > 0 else Denial("STOP_ON_WRONG_SIDE", figures)


def _given(order: PlaceOrder) -> list[tuple[str, Decimal]]:
    both = (("limit_price", order.limit_price), ("stop_price", order.stop_price))
    return [(name, price) for name, price in both if price is not None]


def _readable(order: PlaceOrder) -> list[tuple[str, Decimal]]:
    return [(name, price) for name, price in _given(order) if is_price(price)]


def _spelt(prices: list[tuple[str, Decimal]]) -> str:
    return ", ".join(f"{name}={written(price)}" for name, price in prices)


def _market_for(order: PlaceOrder, quote: Quote) -> tuple[str, Decimal | None]:
    """What the order would trade against: the ask for a BUY, the bid for a SELL, else the last trade."""
    name, price = ("ask", quote.ask) if order.action is OrderAction.BUY else ("bid", quote.bid)
    return (name, price) if is_quoted(price) else ("last", reference_price(quote))


def _age(quote: Quote, view: View, policy: Policy) -> tuple[str, bool]:
    """Say how old the quote is; one that is stamped in the future is as bad as an old one."""
    maximum = policy.limits.quote_max_age_seconds
    if quote.at is None:
        return f"age=unknown, maximum={maximum:g} s", False
    age = (view.now - quote.at).total_seconds()
    return f"age={age:.1f} s, maximum={maximum:g} s", -CLOCKS_DIFFER_SECONDS <= age <= maximum


def _no_quote(order: PlaceOrder) -> Denial:
    return Denial("QUOTE_UNKNOWN", f"no usable quote of {order.instrument}")
