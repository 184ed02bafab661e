"""Rules on the order itself: instrument, contract, size and the position it leads to."""

from datetime import date, datetime, timedelta

from ct_mcp.domain.action import PlaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import trading_day
from ct_mcp.domain.order import OrderAction
from ct_mcp.guard.exposure import worst_case_after
from ct_mcp.guard.figures import quote_of
from ct_mcp.guard.legs import SendsOrder, resulting_order
from ct_mcp.guard.policy import Denial, Policy, View
from ct_mcp.guard.values import is_whole_number, plain, stamped
from ct_mcp.guard.verdict import NO_ORDER, Finding, Passed, on_exposure, on_instruments, on_orders, on_risk


@on_instruments
def instrument_is_allowed(instrument: Instrument, _view: View, policy: Policy) -> Finding:
    """No list means any instrument; an empty list means none."""
    allowed = policy.limits.instruments
    names = "any" if allowed is None else ", ".join(sorted(allowed)) or "none"
    figures = f"root={instrument.root}, allowed={names}"
    if allowed is not None and instrument.root not in allowed:
        return Denial("INSTRUMENT_NOT_ALLOWED", figures)
    return Passed(figures)


@on_instruments
def contract_has_not_expired(contract: Instrument, view: View, _policy: Policy) -> Finding:
    """The month decides, and the day where the service knows one."""
    today = trading_day(view.now)
    if contract.is_past(today):
        return Denial("CONTRACT_EXPIRED", f"contract={contract.month_in_words}, today={today}")
    quote = quote_of(contract, view)
    ends_at = None if quote is None else _end_of(quote.contract.expires_at, date(contract.year, contract.month, 1))
    if ends_at is None:
        return Passed(f"contract={contract.month_in_words}, today={today}", "the day of expiry is not known")
    figures = f"contract={contract.month_in_words}, expires at={stamped(ends_at)}"
    return Denial("CONTRACT_EXPIRED", figures) if ends_at <= view.now else Passed(figures)


def _end_of(expires_at: datetime | None, first_of_month: date) -> datetime | None:
    """NinjaTrader names the first of the contract month for most futures: that is the month, not the day."""
    if expires_at is None or expires_at.date() == first_of_month:
        return None
    is_only_a_date = not (expires_at.hour or expires_at.minute)
    return expires_at + timedelta(days=1) if is_only_a_date else expires_at


@on_orders
def quantity_is_a_whole_number(order: PlaceOrder, _view: View, _policy: Policy) -> Finding:
    """Of one or more; true and 3.0 are none."""
    return _no_quantity(order) or Passed(f"quantity={order.quantity}")


@on_risk
def quantity_is_within_limit(order: PlaceOrder, _view: View, policy: Policy) -> Finding:
    """Each order by itself."""
    maximum = policy.limits.max_order_contracts
    figures = f"quantity={order.quantity}, maximum={maximum}"
    return _no_quantity(order) or (
        Denial("QUANTITY_EXCEEDS_MAXIMUM", figures) if order.quantity > maximum else Passed(figures)
    )


@on_exposure
def position_stays_within_limit(action: SendsOrder, view: View, policy: Policy) -> Finding:
    """Count what is held, working, in flight and of unknown outcome as if all of it filled on the order's side."""
    order = resulting_order(action, view)
    if order is None:
        return NO_ORDER
    if bad := _no_quantity(order):
        return bad
    after, parts = worst_case_after(action, view), _parts_of_position(order, view)
    if after is None or parts is None:
        return Denial("POSITION_UNKNOWN", f"no report of positions and orders in {order.instrument}")
    reach, maximum = (
        after.long if order.action is OrderAction.BUY else after.short,
        policy.limits.max_position_contracts,
    )
    figures = f"position after={reach * order.action.sign}, maximum={maximum}, {parts}"
    return Denial("POSITION_EXCEEDS_MAXIMUM", figures) if reach > maximum else Passed(figures)


def _no_quantity(order: PlaceOrder) -> Denial | None:
    if is_whole_number(order.quantity):
        return None
    return Denial("QUANTITY_INVALID", f"quantity={plain(repr(order.quantity))}, at least=1, whole contracts")


def _parts_of_position(order: PlaceOrder, view: View) -> str | None:
    net, orders, sign = view.net_position(order.instrument), view.open_orders(order.instrument), order.action.sign
    if net is None or orders is None:
        return None
    working = sum(other.remaining for other in orders if other.action is order.action)
    unknown = sum(max(0, sent.signed_quantity * sign) for sent in view.pending_orders(order.instrument))
    return f"held={net}, working={working}, unknown={unknown}, this order={order.quantity}"
