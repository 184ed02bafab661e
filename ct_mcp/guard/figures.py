"""The figures of an order or a bracket, finished: what it is worth, what it risks, where it stands and leads."""

from dataclasses import dataclass
from decimal import Decimal

from ct_mcp.domain.action import Action, ChangeOrder, PlaceOrder, ProtectPosition
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import Contract, Quote
from ct_mcp.domain.order import OrderType
from ct_mcp.guard.exposure import worst_case_after
from ct_mcp.guard.legs import SendsOrder, resulting_order
from ct_mcp.guard.policy import Policy, View
from ct_mcp.guard.values import is_price, is_whole_number


@dataclass(frozen=True, slots=True)
class OrderFigures:
    """Money is account currency. None is what cannot be said, never zero.

    ``ticks_from_market`` is how far its first price stands from the last quote, never negative. ``risk`` is taken
    over ``risk_ticks``, since no stop stands with an order that is sent by itself.
    """

    notional: Decimal | None = None
    risk: Decimal | None = None
    risk_ticks: int = 0
    reference_price: Decimal | None = None
    ticks_from_market: Decimal | None = None
    position_now: int | None = None
    position_after: int | None = None
    most_long_after: int | None = None
    most_short_after: int | None = None


def order_figures(action: Action, view: View, policy: Policy) -> OrderFigures | None:
    """Reckon a new order, a changed one as it will stand, or a reverse; None for actions that send no such order."""
    order = resulting_order(action, view)
    if order is None or not isinstance(action, SendsOrder):
        return None
    quote = quote_for(order, view)
    sound = is_whole_number(order.quantity)
    reach = worst_case_after(action, view) if sound else None
    return OrderFigures(
        notional=notional(order, quote, policy.limits.price_band_ticks),
        risk=risk_over_band(order, quote, policy.limits.price_band_ticks),
        risk_ticks=policy.limits.price_band_ticks,
        reference_price=reference_price(quote),
        ticks_from_market=ticks_from_market(order, quote),
        position_now=view.net_position(order.instrument),
        position_after=position_after(action, view) if sound else None,
        most_long_after=reach.most_long if reach else None,
        most_short_after=reach.most_short if reach else None,
    )


@dataclass(frozen=True, slots=True)
class BracketFigures:
    """Money is account currency, from the last quote to the price, or from the average price of the position.

    ``risk`` and ``reward`` are distances in money and never negative; the results carry their sign. None is what
    cannot be said, or what a bracket of one leg has not.
    """

    position: int
    reference_price: Decimal | None = None
    stop_ticks: Decimal | None = None
    risk: Decimal | None = None
    result_at_stop: Decimal | None = None
    target_ticks: Decimal | None = None
    reward: Decimal | None = None
    result_at_target: Decimal | None = None


def bracket_figures(protect: ProtectPosition, view: View) -> BracketFigures | None:
    """Reckon what stands at risk down to the stop and what is to gain up to the target; None without a position."""
    net, quote = view.net_position(protect.instrument), quote_of(protect.instrument, view)
    if not net:
        return None
    reference = reference_price(quote)
    stop, target = (
        price if is_price(price) else None for price in (protect.stop_loss_price, protect.take_profit_price)
    )
    average = _average_price(protect.instrument, view)
    return BracketFigures(
        position=net,
        reference_price=reference,
        stop_ticks=_ticks(stop, reference, quote),
        risk=_distance(stop, reference, net, quote),
        result_at_stop=_result(stop, average, net, quote),
        target_ticks=_ticks(target, reference, quote),
        reward=_distance(target, reference, net, quote),
        result_at_target=_result(target, average, net, quote),
    )


def quote_for(order: PlaceOrder, view: View) -> Quote | None:
    """The quote of the order's very contract."""
    return quote_of(order.instrument, view)


def quote_of(instrument: Instrument, view: View) -> Quote | None:
    """The quote, if it is of this very contract and says what a tick and a point are worth."""
    quote = view.quote
    if quote is None or quote.instrument != instrument or not _is_usable(quote.contract):
        return None
    return quote


def reference_price(quote: Quote | None) -> Decimal | None:
    """The last trade, or the middle of bid and ask where there was none."""
    if quote is None:
        return None
    if is_quoted(quote.last):
        return quote.last
    if quote.bid is not None and quote.ask is not None and is_quoted(quote.bid) and is_quoted(quote.ask):
        return (quote.bid + quote.ask) / 2
    return None


def is_quoted(price: Decimal | None) -> bool:
    """Say whether a quote really holds this price; a market near zero may quote zero itself."""
    return is_price(price) or (isinstance(price, Decimal) and price.is_zero())


def first_price(order: PlaceOrder) -> Decimal | None:
    """The price that the market must reach first: the stop where there is one, or the limit."""
    return order.stop_price if order.order_type.needs_stop_price else order.limit_price


def ticks_from_market(order: PlaceOrder, quote: Quote | None) -> Decimal | None:
    """How far its first price stands from the last quote, in ticks; None for a market order."""
    price = first_price(order)
    return _ticks(price, reference_price(quote), quote) if is_price(price) else None


def notional(order: PlaceOrder, quote: Quote | None, band_ticks: int) -> Decimal | None:
    """What the order is worth at the highest price it may fill at; an order without a limit may slip by the band."""
    price = order.limit_price if order.order_type.needs_limit_price else order.stop_price
    if order.order_type is OrderType.MARKET:
        price = reference_price(quote)
    if quote is None or price is None or not is_quoted(price) or not is_whole_number(order.quantity):
        return None
    slip = Decimal(0) if order.order_type.needs_limit_price else quote.contract.tick_size * band_ticks
    return quote.contract.money(abs(price) + slip, order.quantity)


def risk_over_band(order: PlaceOrder, quote: Quote | None, band_ticks: int) -> Decimal | None:
    """What it loses if the market goes against it by the whole price band."""
    if quote is None or not is_whole_number(order.quantity):
        return None
    return quote.contract.money(quote.contract.tick_size * band_ticks, order.quantity)


def position_after(action: SendsOrder, view: View) -> int | None:
    """Signed contracts once all of it has filled and nothing else has."""
    order = resulting_order(action, view)
    net = None if order is None else view.net_position(order.instrument)
    if order is None or net is None:
        return None
    changed = view.order(action.order_id) if isinstance(action, ChangeOrder) else None
    fills = order.quantity - (changed.filled if changed else 0)
    return (0 if order.flatten_first else net) + order.action.sign * fills


def _ticks(price: Decimal | None, reference: Decimal | None, quote: Quote | None) -> Decimal | None:
    if quote is None or price is None or reference is None:
        return None
    return abs(quote.contract.ticks(price - reference))


def _distance(price: Decimal | None, reference: Decimal | None, net: int, quote: Quote | None) -> Decimal | None:
    result = _result(price, reference, net, quote)
    return None if result is None else abs(result)


def _result(price: Decimal | None, since: Decimal | None, net: int, quote: Quote | None) -> Decimal | None:
    """What a position of ``net`` contracts makes between two prices."""
    if quote is None or price is None or since is None:
        return None
    return quote.contract.money(price - since, net)


def _average_price(instrument: Instrument, view: View) -> Decimal | None:
    """Of one row only: two rows of one instrument have no common price that we could name."""
    rows = [row for row in view.positions or () if row.instrument == instrument and row.quantity]
    return rows[0].average_price if len(rows) == 1 and is_price(rows[0].average_price) else None


def _is_usable(contract: Contract) -> bool:
    sizes = (contract.tick_size, contract.tick_value, contract.point_value)
    return all(is_price(size) and size > 0 for size in sizes)
