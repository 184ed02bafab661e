"""What the service's report says of the trading session now, and which orders may wait for the next one."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from ct_mcp.domain.action import PlaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import trading_day_began
from ct_mcp.domain.order import OrderType, TimeInForce
from ct_mcp.guard.policy import FlatBy, View


def session_is_open(instrument: Instrument, view: View) -> bool | None:
    """Say whether the session is open; None where the report is missing, of another contract or has run out."""
    session = view.session
    if session is None or session.is_open is None or session.instrument != instrument:
        return None
    turns_at = session.closes_at if session.is_open else session.opens_at
    return None if turns_at is not None and turns_at <= view.now else session.is_open


def may_rest(order: PlaceOrder, view: View) -> bool:
    """Say whether it can wait for the open: a good-till-cancelled order with a price, while the session is closed."""
    waits = order.order_type is not OrderType.MARKET and order.time_in_force is TimeInForce.GTC
    return waits and session_is_open(order.instrument, view) is False


def flat_by_moment(flat_by: FlatBy, now: datetime) -> datetime:
    """The moment of ``flat_by`` inside the trading day of ``now``; the roll itself where that day skips it.

    Raises:
        KeyError, ValueError: There is no such time zone.
    """
    began_at = trading_day_began(now)
    rolls_at = trading_day_began(began_at + timedelta(hours=36))
    zone = ZoneInfo(flat_by.zone)
    first = began_at.astimezone(zone).date()
    moments = (datetime.combine(first + timedelta(days=days), flat_by.at, zone).astimezone(UTC) for days in range(3))
    return next((moment for moment in moments if began_at < moment <= rolls_at), rolls_at)
