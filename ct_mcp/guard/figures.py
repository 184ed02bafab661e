"""The figures of an order or a bracket, finished: what it is worth, what it risks, where it stands and leads."""

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

from ct_mcp.domain.bracket import stop_distance, target_distances
from ct_mcp.domain.commands import PlaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import Contract, Quote
from ct_mcp.domain.order import OrderAction, OrderType, is_price, is_whole_number
from ct_mcp.domain.products import currency_of
from ct_mcp.guard.context import RiskContext
from ct_mcp.guard.effect_model import Effect
from ct_mcp.guard.policy import Policy


@dataclass(frozen=True, slots=True)
class OrderFigures:
    """Money is ``currency``, the contract's own. None is what cannot be said, never zero.

    ``ticks_from_market`` is how far its first price stands from the last quote, never negative. ``risk`` is taken
    over ``risk_ticks``: to the stop that goes with it (``has_stop``), or over a distance that is set. ``gain`` is what
    its targets bring, where they are for all of it.
    """

    notional: Decimal | None = None
    risk: Decimal | None = None
    currency: str | None = None
    risk_ticks: int = 0
    has_stop: bool = False
    gain: Decimal | None = None
    reference_price: Decimal | None = None
    bid: Decimal | None = None
    ask: Decimal | None = None
    ticks_from_market: Decimal | None = None
    position_now: int | None = None
    position_after: int | None = None
    most_long_after: int | None = None
    most_short_after: int | None = None

    @property
    def risk_basis(self) -> str:
        """Over what the risk is taken; empty where none is."""
        return f"over {self.risk_ticks} ticks{' to the stop' if self.has_stop else ''}" if self.risk_ticks else ""


def order_figures(effect: Effect, context: RiskContext, policy: Policy) -> OrderFigures | None:
    """Reckon a new order, a changed one as it will stand, or a reverse; None where no such order is sent."""
    order = effect.order
    if order is None:
        return None
    quote = quote_for(order, context)
    risk = risk_of(order, quote, policy.limits.risk_ticks)
    return OrderFigures(
        notional=notional(order, quote, policy.limits.risk_ticks),
        risk=risk.money,
        currency=contract_currency(quote),
        risk_ticks=risk.ticks,
        has_stop=risk.to_stop,
        gain=gain_of(order, quote),
        reference_price=reference_price(quote),
        bid=None if quote is None else quote.bid,
        ask=None if quote is None else quote.ask,
        ticks_from_market=ticks_from_market(order, quote),
        position_now=effect.position_before,
        position_after=effect.position_after,
        most_long_after=effect.after.most_long if effect.after else None,
        most_short_after=effect.after.most_short if effect.after else None,
    )


def quote_for(order: PlaceOrder, context: RiskContext) -> Quote | None:
    """Give the quote of the order's very contract."""
    return quote_of(order.instrument, context)


def quote_of(instrument: Instrument, context: RiskContext) -> Quote | None:
    """Give the quote, if it is of this very contract and says what a tick and a point are worth."""
    quote = context.quote
    if quote is None or quote.instrument != instrument or not _is_usable(quote.contract):
        return None
    return quote


def contract_currency(quote: Quote | None) -> str | None:
    """Name the currency of the contract's money; None where it is not known."""
    return None if quote is None else currency_of(quote.instrument.root, quote.contract.exchange)


def rate_of(quote: Quote | None, context: RiskContext, policy: Policy) -> Decimal | None:
    """Give what one unit of the contract's currency is worth in the account's; None where nobody can say."""
    return None if quote is None else rate_in(quote.instrument, quote.contract, context, policy)


def rate_in(instrument: Instrument, contract: Contract, context: RiskContext, policy: Policy) -> Decimal | None:
    """Give what one unit of the currency of a contract is worth in the account's; None where nobody can say."""
    theirs = currency_of(instrument.root, contract.exchange)
    ours = None if context.account is None else context.account.currency
    if theirs is None or ours is None:
        return None
    return Decimal(1) if theirs == ours.upper() else policy.limits.rates.get(theirs)


def reference_price(quote: Quote | None) -> Decimal | None:
    """Give the last trade, or the middle of bid and ask where there was none."""
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
    """Give the price that the market must reach first: the stop where there is one, or the limit."""
    return order.stop_price if order.order_type.needs_stop_price else order.limit_price


def ticks_from_market(order: PlaceOrder, quote: Quote | None) -> Decimal | None:
    """How far its first price stands from the last quote, in ticks; None for a market order."""
    price = first_price(order)
    return _ticks(price, reference_price(quote), quote) if is_price(price) else None


def market_for(action: OrderAction, quote: Quote) -> tuple[str, Decimal | None]:
    """Say what an order would trade against: the ask for a BUY, the bid for a SELL, else the last trade."""
    name, price = ("ask", quote.ask) if action is OrderAction.BUY else ("bid", quote.bid)
    return (name, price) if is_quoted(price) else ("last", reference_price(quote))


def _fill_price(order: PlaceOrder, quote: Quote | None) -> Decimal | None:
    """Give its limit, or what it trades against at the market; of a stop that is not through yet, the stop."""
    if order.order_type.needs_limit_price:
        return order.limit_price
    market = None if quote is None else market_for(order.action, quote)[1]
    stop = order.stop_price
    if order.order_type is OrderType.MARKET or market is None or stop is None or not is_price(stop):
        return market if order.order_type is OrderType.MARKET else stop
    return market if (market - stop) * order.action.sign >= 0 else stop


def notional(order: PlaceOrder, quote: Quote | None, slip_ticks: int) -> Decimal | None:
    """Say what the order is worth at the highest price it may fill at; without a limit it may slip by so many ticks."""
    price = _fill_price(order, quote)
    if quote is None or price is None or not is_quoted(price) or not is_whole_number(order.quantity):
        return None
    slip = Decimal(0) if order.order_type.needs_limit_price else quote.contract.tick_size * slip_ticks
    return quote.contract.money(abs(price) + slip, order.quantity)


@dataclass(frozen=True, slots=True)
class Risk:
    """What an order loses over so many ticks, to its own stop or over a distance that is set; None is not known."""

    money: Decimal | None
    ticks: int
    to_stop: bool

    @property
    def basis(self) -> str:
        """Over what it is taken."""
        return f"over {self.ticks} ticks{' to the stop' if self.to_stop else ''}"


def risk_of(order: PlaceOrder, quote: Quote | None, ticks: int) -> Risk:
    """Say what it loses to the stop that goes with it, or else if the market goes against it by so many ticks."""
    if quote is None or not is_whole_number(order.quantity):
        return Risk(None, ticks, to_stop=False)
    entry, tick = entry_price(order, quote), quote.contract.tick_size
    distance = None
    if order.bracket is not None and entry is not None:
        distance = stop_distance(order.bracket, entry, order.action, tick)
    if distance is None or distance <= 0:
        return Risk(quote.contract.money(tick * ticks, order.quantity), ticks, to_stop=False)
    whole = int((distance / tick).to_integral_value(ROUND_CEILING))
    return Risk(quote.contract.money(distance, order.quantity), whole, to_stop=True)


def risk_of_contract(order: PlaceOrder, contract: Contract) -> Decimal | None:
    """Say what one contract of a resting order loses to the stop that goes with it; None where that is not known."""
    entry = order.limit_price if order.order_type.needs_limit_price else order.stop_price
    bracket = order.bracket
    if entry is None or bracket is None:
        return None
    distance = stop_distance(bracket, entry, order.action, contract.tick_size)
    return None if distance is None or distance <= 0 else contract.money(distance, 1)


def gain_of(order: PlaceOrder, quote: Quote | None) -> Decimal | None:
    """Say what its targets bring; None where there are none, or they are not for all of it."""
    entry = entry_price(order, quote)
    if order.bracket is None or not order.bracket.take_profit or quote is None or entry is None:
        return None
    if not is_whole_number(order.quantity) or not order.bracket.fits(order.quantity):
        return None
    distances = target_distances(order.bracket, entry, order.action, quote.contract.tick_size)
    worth = (quote.contract.money(distance, target.quantity or order.quantity) for target, distance in distances)
    return sum(worth, Decimal(0))


def entry_price(order: PlaceOrder, quote: Quote | None) -> Decimal | None:
    """Say at what price it is expected to fill: its limit, its stop, or what it trades against at the market."""
    price = _fill_price(order, quote)
    return price if is_quoted(price) else None


def _ticks(price: Decimal | None, reference: Decimal | None, quote: Quote | None) -> Decimal | None:
    if quote is None or price is None or reference is None:
        return None
    return abs(quote.contract.ticks(price - reference))


def _is_usable(contract: Contract) -> bool:
    sizes = (contract.tick_size, contract.tick_value, contract.point_value)
    return all(is_price(size) and size > 0 for size in sizes) and contract.agrees_with_itself
