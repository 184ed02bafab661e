"""Rules on prices: readable, positive, on tick, near the market, on its right side, on a fresh quote."""

from collections.abc import Iterable
from decimal import Decimal

from ct_mcp.domain.action import PlaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import Quote
from ct_mcp.domain.order import OrderAction, OrderType
from ct_mcp.guard.figures import is_quoted, quote_for, quote_of, reference_price
from ct_mcp.guard.legs import Prices, prices_of_order
from ct_mcp.guard.policy import Denial, Policy, View
from ct_mcp.guard.session import may_rest
from ct_mcp.guard.values import LARGEST_PRICE, is_price, written
from ct_mcp.guard.verdict import Finding, NotApplicable, Passed, on_orders_if_quoted, on_prices_if_quoted, on_risk

CLOCKS_DIFFER_SECONDS = 5.0
NO_PRICE = NotApplicable("carries no readable price")


@on_prices_if_quoted
def prices_are_readable(prices: Prices, _view: View, _policy: Policy) -> Finding:
    """NaN, infinities, zero in any spelling and prices beyond all markets are none."""
    odd = [f"{name}={written(price)}" for name, price in prices.given if not is_price(price)]
    if odd:
        return Denial("PRICE_INVALID", f"{', '.join(odd)}; must be finite, not zero, at most {LARGEST_PRICE}")
    return Passed(_spelt(prices.given)) if prices.given else NO_PRICE


@on_prices_if_quoted
def prices_are_positive(prices: Prices, view: View, policy: Policy) -> Finding:
    """Oil has traded below zero: a negative price passes only where the quote stands within the band of zero."""
    negative = [(name, price) for name, price in _readable(prices) if price < 0]
    if not negative:
        return Passed("none negative")
    quote = quote_of(prices.instrument, view)
    reference = reference_price(quote)
    if quote is None or reference is None:
        return no_quote(prices.instrument)
    figures = f"{_spelt(negative)}, last={written(reference)}"
    is_near_zero = reference <= quote.contract.tick_size * policy.limits.price_band_ticks
    return Passed(figures) if is_near_zero else Denial("PRICE_NOT_POSITIVE", figures)


@on_prices_if_quoted
def prices_are_on_tick(prices: Prices, view: View, _policy: Policy) -> Finding:
    """A price between two ticks would be moved by somebody else; the caller must choose."""
    readable, quote = _readable(prices), quote_of(prices.instrument, view)
    if not readable:
        return NO_PRICE
    if quote is None:
        return no_quote(prices.instrument)
    figures = f"{_spelt(readable)}, tick={written(quote.contract.tick_size)}"
    is_on = all(quote.contract.is_on_tick(price) for _, price in readable)
    return Passed(figures) if is_on else Denial("PRICE_OFF_TICK", figures)


@on_risk
def quote_is_fresh(order: PlaceOrder, view: View, policy: Policy) -> Finding:
    """Only an order that waits for a closed session to open may lean on the last quote there was."""
    quote = quote_for(order, view)
    if quote is None or reference_price(quote) is None:
        return no_quote(order.instrument)
    figures, is_fresh = age_of(quote, view, policy)
    if is_fresh:
        return Passed(figures)
    if may_rest(order, view):
        return Passed(figures, "the session is closed, so the last quote there was stands for the market")
    return Denial("QUOTE_STALE", figures)


@on_risk
def prices_are_near_the_market(order: PlaceOrder, view: View, policy: Policy) -> Finding:
    """Every price of the order stands within the band around the last quote."""
    prices, quote = _readable(prices_of_order(order)), quote_for(order, view)
    reference, band = reference_price(quote), policy.limits.price_band_ticks
    if not prices:
        return NO_PRICE
    if quote is None or reference is None:
        return no_quote(order.instrument)
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
        return no_quote(order.instrument)
    name, market = market_for(order.action, quote)
    if market is None:
        return no_quote(order.instrument)
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
        return no_quote(order.instrument)
    name, market = market_for(order.action, quote)
    if market is None:
        return no_quote(order.instrument)
    age, is_fresh = age_of(quote, view, policy)
    if not is_fresh and not may_rest(order, view):
        return Denial("QUOTE_STALE", age)
    figures = f"{order.action} stop={written(stop)}, {name}={written(market)}"
    return Passed(figures) if (stop - market) * order.action.sign > 0 else Denial("STOP_ON_WRONG_SIDE", figures)


def _readable(prices: Prices) -> tuple[tuple[str, Decimal], ...]:
    return tuple((name, price) for name, price in prices.given if is_price(price))


def _spelt(prices: Iterable[tuple[str, Decimal]]) -> str:
    return ", ".join(f"{name}={written(price)}" for name, price in prices)


def market_for(action: OrderAction, quote: Quote) -> tuple[str, Decimal | None]:
    """What an order would trade against: the ask for a BUY, the bid for a SELL, else the last trade."""
    name, price = ("ask", quote.ask) if action is OrderAction.BUY else ("bid", quote.bid)
    return (name, price) if is_quoted(price) else ("last", reference_price(quote))


def age_of(quote: Quote, view: View, policy: Policy) -> tuple[str, bool]:
    """Say how old the quote is; one that is stamped in the future is as bad as an old one."""
    maximum = policy.limits.quote_max_age_seconds
    if quote.at is None:
        return f"age=unknown, maximum={maximum:g} s", False
    age = (view.now - quote.at).total_seconds()
    return f"age={age:.1f} s, maximum={maximum:g} s", -CLOCKS_DIFFER_SECONDS <= age <= maximum


def no_quote(instrument: Instrument) -> Denial:
    """Say that there is nothing to measure a price against."""
    return Denial("QUOTE_UNKNOWN", f"no usable quote of {instrument}")
