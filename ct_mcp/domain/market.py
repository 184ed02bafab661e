"""Quotes, bars and trading sessions."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from zoneinfo import ZoneInfo

from ct_mcp.domain.instrument import Instrument
from ct_mcp.errors import BadRequest

_CHICAGO = ZoneInfo("America/Chicago")
_PERIOD = re.compile(r"(?P<count>[1-9]\d{0,4}) (?P<unit>minute|hour|day|week|month|year)s?")
_MINUTES = {"minute": 1, "hour": 60, "day": 1440, "week": 10080, "month": 43200, "year": 525600}


@dataclass(frozen=True, slots=True)
class Contract:
    """What one contract is worth: prices move in ticks, a point is ``point_value`` in account currency."""

    description: str
    exchange: str
    tick_size: Decimal
    tick_value: Decimal
    point_value: Decimal
    expires_at: datetime | None = None

    def is_on_tick(self, price: Decimal) -> bool:
        """Say whether an order may carry this price."""
        return price % self.tick_size == 0

    def ticks(self, distance: Decimal) -> Decimal:
        """Turn a distance in price into ticks."""
        return distance / self.tick_size

    def money(self, distance: Decimal, quantity: int) -> Decimal:
        """Turn a distance in price into account currency."""
        return distance * self.point_value * quantity


@dataclass(frozen=True, slots=True)
class Quote:
    """Bid, ask, last and when; any price may be missing, ``at`` may be unknown, and then it is never fresh."""

    instrument: Instrument
    contract: Contract
    bid: Decimal | None
    ask: Decimal | None
    last: Decimal | None
    open: Decimal | None
    high: Decimal | None
    low: Decimal | None
    prior_close: Decimal | None
    volume: int | None
    at: datetime | None
    is_market_open: bool | None

    def age_seconds(self, now: datetime) -> float | None:
        """Seconds since the exchange's stamp, never negative; None where there is no stamp."""
        return None if self.at is None else max(0.0, (now - self.at).total_seconds())


@dataclass(frozen=True, slots=True)
class Bar:
    """Open, high, low, close and volume of one period that ends at ``closes_at``."""

    closes_at: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int


class PeriodUnit(StrEnum):
    """The bar types that the service still documents; an hour is asked for as 60 minutes."""

    MINUTE = "minute"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


@dataclass(frozen=True, slots=True)
class Period:
    """The length of a bar."""

    count: int
    unit: PeriodUnit

    def __str__(self) -> str:
        return f"{self.count} {self.unit}"

    @property
    def length(self) -> timedelta:
        """Nominal length: a month counts 30 days, a year 365."""
        return timedelta(minutes=self.count * _MINUTES[self.unit])


def parse_period(text: str) -> Period:
    """Read ``<n> minute|hour|day|week|month|year``, plural allowed.

    Raises:
        BadRequest: It is no such period.
    """
    found = _PERIOD.fullmatch(text.strip().lower()) if text.isascii() else None
    if found is None:
        raise BadRequest(f"period {text[:30]!r} must be like '5 minute', '1 hour' or '1 day'")
    if found["unit"] == "hour":
        return Period(int(found["count"]) * 60, PeriodUnit.MINUTE)
    return Period(int(found["count"]), PeriodUnit(found["unit"]))


@dataclass(frozen=True, slots=True)
class Session:
    """The trading session of an instrument: the current one when open, the next one when closed."""

    instrument: Instrument | None
    is_open: bool | None
    state: str
    time_zone: str
    opens_at: datetime | None
    closes_at: datetime | None
    next_opens_at: datetime | None
    next_closes_at: datetime | None
    stamped_at: datetime | None


def trading_day(at: datetime) -> date:
    """The day whose session ``at`` belongs to: the day rolls at 17:00 Chicago, when Globex reopens."""
    return (at.astimezone(_CHICAGO) + timedelta(hours=7)).date()


def trading_day_began(at: datetime) -> datetime:
    """When the trading day of ``at`` began: 17:00 Chicago of the calendar day before it."""
    eve = trading_day(at) - timedelta(days=1)
    return datetime.combine(eve, time(17), _CHICAGO).astimezone(UTC)
