"""Rules on prices: readable, positive, on tick, near the market, on its right side, on a fresh quote."""

from collections.abc import Callable, Iterable
from decimal import Decimal
from functools import wraps

from ct_mcp.domain.commands import PlaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import CLOCKS_DIFFER_SECONDS, Quote, clock_words
from ct_mcp.domain.order import LARGEST_PRICE, OrderType, is_price
from ct_mcp.guard.context import RiskContext, may_rest
from ct_mcp.guard.denial import DenialCode
from ct_mcp.guard.effect_model import Effect
from ct_mcp.guard.figures import is_quoted, market_for, quote_for, quote_of, reference_price
from ct_mcp.guard.policy import Policy
from ct_mcp.guard.rule import (
    NO_ORDER,
    Check,
    Denial,
    NotApplicable,
    Passed,
    Prices,
    RuleAnswer,
    assumption,
    if_quoted,
    on_orders,
    on_orders_that_open,
    prices_of,
    prices_of_order,
    rule,
)
from ct_mcp.text import format_price

NO_PRICE = NotApplicable("carries no readable price")


def on_prices(check: Callable[[Prices, RiskContext, Policy], RuleAnswer]) -> Check:
    """Apply a check to the prices of every order and bracket."""

    @wraps(check)
    def checked(effect: Effect, context: RiskContext, policy: Policy) -> RuleAnswer:
        prices = prices_of(effect)
        return NO_ORDER if prices is None else check(prices, context, policy)

    return checked


@rule("prices-readable", "prices are readable")
@if_quoted
@on_prices
def prices_are_readable(prices: Prices, _context: RiskContext, _policy: Policy) -> RuleAnswer:
    """NaN, infinities, zero in any spelling and prices beyond all markets are none."""
    odd = [f"{name}={format_price(price)}" for name, price in prices.given if not is_price(price)]
    if odd:
        return Denial(DenialCode.PRICE_INVALID, f"{', '.join(odd)}; must be finite, not zero, at most {LARGEST_PRICE}")
    return Passed(_spelt(prices.given)) if prices.given else NO_PRICE


@rule("prices-positive", "prices are positive")
@if_quoted
@on_prices
def prices_are_positive(prices: Prices, context: RiskContext, policy: Policy) -> RuleAnswer:
    """Oil has traded below zero: a negative price passes only where the quote stands within the band of zero."""
    negative = [(name, price) for name, price in _readable(prices) if price < 0]
    if not negative:
        return Passed("none negative")
    quote = quote_of(prices.instrument, context)
    reference = reference_price(quote)
    if quote is None or reference is None:
        return no_quote(prices.instrument)
    figures = f"{_spelt(negative)}, last={format_price(reference)}"
    is_near_zero = reference <= quote.contract.tick_size * policy.limits.price_band_ticks
    return Passed(figures) if is_near_zero else Denial(DenialCode.PRICE_NOT_POSITIVE, figures)


@rule("prices-on-tick", "prices are on a tick")
@if_quoted
@on_prices
def prices_are_on_tick(prices: Prices, context: RiskContext, _policy: Policy) -> RuleAnswer:
    """Deny a price between two ticks: somebody else would move it, and the caller must choose."""
    readable, quote = _readable(prices), quote_of(prices.instrument, context)
    if not readable:
        return NO_PRICE
    if quote is None:
        return no_quote(prices.instrument)
    figures = f"{_spelt(readable)}, tick={format_price(quote.contract.tick_size)}"
    off = [(name, price) for name, price in readable if not quote.contract.is_on_tick(price)]
    if not off:
        return Passed(figures)
    nearest = ((name, map(format_price, quote.contract.nearest(price))) for name, price in off)
    near = ", ".join(f"{name} {' or '.join(prices)}" for name, prices in nearest)
    return Denial(DenialCode.PRICE_OFF_TICK, f"{figures}, nearest: {near}")


@rule("quote-fresh", "the quote is fresh")
@on_orders_that_open
def quote_is_fresh(order: PlaceOrder, context: RiskContext, policy: Policy) -> RuleAnswer:
    """Only an order that waits for a closed session to open may lean on the last quote there was."""
    quote = quote_for(order, context)
    if quote is None or reference_price(quote) is None:
        return no_quote(order.instrument)
    figures, is_fresh = age_of(quote, context, policy)
    if is_fresh:
        return Passed(figures)
    if may_rest(order, context):
        leans = "the session is closed, so the last quote there was stands for the market"
        return Passed(figures, assumption("QUOTE_OF_LAST_SESSION", leans))
    return stale(figures, context)


@rule("price-band", "prices are near the market")
@on_orders_that_open
def prices_are_near_the_market(order: PlaceOrder, context: RiskContext, policy: Policy) -> RuleAnswer:
    """Every price of the order stands within the band around the last quote."""
    prices, quote = _readable(prices_of_order(order)), quote_for(order, context)
    reference, band = reference_price(quote), policy.limits.price_band_ticks
    if not prices:
        return NO_PRICE
    if quote is None or reference is None:
        return no_quote(order.instrument)
    distance = max(abs(quote.contract.ticks(price - reference)) for _, price in prices)
    figures = (
        f"{_spelt(prices)}, last={format_price(reference)}, distance={format_price(distance)} ticks, maximum={band}"
    )
    if distance <= band:
        return Passed(figures)
    reach = quote.contract.tick_size * band
    allowed = f"allowed now={format_price(reference - reach)} to {format_price(reference + reach)}"
    return Denial(DenialCode.PRICE_OUTSIDE_BAND, f"{figures}, {allowed}")


@rule("spread-near", "bid and ask stand near the last trade")
@on_orders_that_open
def bid_and_ask_are_near_the_last_trade(order: PlaceOrder, context: RiskContext, policy: Policy) -> RuleAnswer:
    """Deny an opening on a book that is torn, crossed or half empty: the last trade says nothing of what it costs."""
    quote, band = quote_for(order, context), policy.limits.price_band_ticks
    reference = reference_price(quote)
    if quote is None or reference is None:
        return no_quote(order.instrument)
    if may_rest(order, context):
        return NotApplicable("waits for the session to open")
    bid, ask = quote.bid, quote.ask
    figures = f"bid={_or_none(bid)}, last={format_price(reference)}, ask={_or_none(ask)}"
    if bid is None or ask is None or not is_quoted(bid) or not is_quoted(ask):
        return Denial(DenialCode.SPREAD_TOO_WIDE, f"{figures}: one side of the book is empty")
    if bid > ask:
        return Denial(DenialCode.SPREAD_TOO_WIDE, f"{figures}: the book is crossed")
    farthest = max(abs(quote.contract.ticks(price - reference)) for price in (bid, ask))
    figures += f", farthest from last={format_price(farthest)} ticks, maximum={band}"
    return Denial(DenialCode.SPREAD_TOO_WIDE, figures) if farthest > band else Passed(figures)


@rule("limit-through", "the limit does not run through the market")
@on_orders_that_open
def limit_does_not_run_through_the_market(order: PlaceOrder, context: RiskContext, policy: Policy) -> RuleAnswer:
    """Deny a limit too far through bid or ask: it fills at once, so no further than the band."""
    quote, limit, band = quote_for(order, context), order.limit_price, policy.limits.price_band_ticks
    if order.order_type is not OrderType.LIMIT or limit is None or not is_price(limit):
        return NotApplicable("no limit order with a readable price")
    if quote is None:
        return no_quote(order.instrument)
    name, market = market_for(order.action, quote)
    if market is None:
        return no_quote(order.instrument)
    through = quote.contract.ticks((limit - market) * order.action.sign)
    prices = f"limit={format_price(limit)}, {name}={format_price(market)}"
    figures = f"{order.action} {prices}, through={format_price(through)} ticks"
    figures += f", maximum={band}"
    return Denial(DenialCode.LIMIT_THROUGH_MARKET, figures) if through > band else Passed(figures)


@rule("stop-side", "the stop stands on its side of the market")
@if_quoted
@on_orders
def stop_stands_on_its_side(order: PlaceOrder, context: RiskContext, policy: Policy) -> RuleAnswer:
    """Deny a buy stop below the market and a sell stop above: they are refused or fill at once."""
    quote, stop = quote_for(order, context), order.stop_price
    if not order.order_type.needs_stop_price or stop is None or not is_price(stop):
        return NotApplicable("no stop order with a readable price")
    if quote is None:
        return no_quote(order.instrument)
    name, market = market_for(order.action, quote)
    if market is None:
        return no_quote(order.instrument)
    age, is_fresh = age_of(quote, context, policy)
    if not is_fresh and not may_rest(order, context):
        return stale(age, context)
    side = "above" if order.action.sign > 0 else "below"
    figures = f"{order.action} stop={format_price(stop)}, must stand {side} the {name}={format_price(market)}"
    return (
        Passed(figures) if (stop - market) * order.action.sign > 0 else Denial(DenialCode.STOP_ON_WRONG_SIDE, figures)
    )


def _readable(prices: Prices) -> tuple[tuple[str, Decimal], ...]:
    return tuple((name, price) for name, price in prices.given if is_price(price))


def _spelt(prices: Iterable[tuple[str, Decimal]]) -> str:
    return ", ".join(f"{name}={format_price(price)}" for name, price in prices)


def _or_none(price: Decimal | None) -> str:
    return "none" if price is None else format_price(price)


def age_of(quote: Quote, context: RiskContext, policy: Policy) -> tuple[str, bool]:
    """Say how old the quote is; one that is stamped in the future is as bad as an old one."""
    maximum = policy.limits.quote_max_age_seconds
    if quote.at is None:
        return f"age=unknown, maximum={maximum:g} s", False
    age = (context.now - quote.at).total_seconds()
    ahead = context.clock_ahead_seconds
    clock = "" if ahead is None else f"; {clock_words(ahead)}"
    return f"age={age:.1f} s, maximum={maximum:g} s{clock}", -CLOCKS_DIFFER_SECONDS <= age <= maximum


def stale(figures: str, context: RiskContext) -> Denial:
    """Deny on an old quote, or on one of a time that is still to come, which is a matter of clocks."""
    is_to_come = (context.clock_ahead_seconds or 0.0) > 0
    return Denial(DenialCode.CLOCK_WRONG if is_to_come else DenialCode.QUOTE_STALE, figures)


def no_quote(instrument: Instrument) -> Denial:
    """Say that there is nothing to measure a price against."""
    return Denial(DenialCode.QUOTE_UNKNOWN, f"no usable quote of {instrument}")
