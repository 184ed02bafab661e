"""Quotes, bars and trading sessions."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from zoneinfo import ZoneInfo

from ct_mcp.domain.instrument import Instrument
from ct_mcp.errors import BadRequest

_CHICAGO = ZoneInfo("America/Chicago")
_SATURDAY = 5
_PERIOD = re.compile(r"(?P<count>[1-9]\d{0,4}) (?P<unit>minute|hour|day|week|month|year)s?")
_MINUTES = {"minute": 1, "hour": 60, "day": 1440, "week": 10080, "month": 43200, "year": 525600}


@dataclass(frozen=True, slots=True)
class Contract:
    """What one contract is worth: prices move in ticks, a point is ``point_value`` in the contract's currency."""

    description: str
    exchange: str
    tick_size: Decimal
    tick_value: Decimal
    point_value: Decimal
    expires_at: datetime | None = None

    @property
    def agrees_with_itself(self) -> bool:
        """Say whether a tick is worth what its size and the point value make it, but for rounding."""
        due = self.tick_size * self.point_value
        return abs(self.tick_value - due) <= due / 1000

    def is_on_tick(self, price: Decimal) -> bool:
        """Say whether an order may carry this price."""
        return price % self.tick_size == 0

    def nearest(self, price: Decimal) -> tuple[Decimal, Decimal]:
        """Give the prices on a tick below and above one that is not."""
        below = price // self.tick_size * self.tick_size
        below = below if below <= price else below - self.tick_size  # // rounds towards zero
        return below, below + self.tick_size

    def ticks(self, distance: Decimal) -> Decimal:
        """Turn a distance in price into ticks."""
        return distance / self.tick_size

    def money(self, distance: Decimal, quantity: int) -> Decimal:
        """Turn a distance in price into money, in the contract's currency."""
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


CLOCKS_DIFFER_SECONDS = 5.0
_LONGEST_CLOCK_FAULT_SECONDS = 600.0  # prices that are older than this on every instrument are delayed by their seller
_SAME_AGE_SECONDS = 3.0
CLOCK_PROBES = ("ES", "NQ")
"""Two instruments that trade nearly around the clock: what is of the same age on both is no matter of theirs."""


def their_clock_ahead_seconds(quotes: Sequence[Quote], now: datetime) -> float | None:
    """How far the clock of NinjaTrader's computer is ahead of ours, below zero behind; None where nothing is wrong.

    A stamp from the future is one of a clock that is ahead. Quotes of several instruments that trade, all of the same
    large age, are those of a clock that is behind; a single one may be as old as it says.
    """
    ages = [(now - quote.at).total_seconds() for quote in quotes if quote.at and quote.is_market_open is not False]
    youngest = min(ages, default=0.0)
    if youngest < -CLOCKS_DIFFER_SECONDS:
        return -youngest
    alike = max(ages, default=0.0) - youngest <= _SAME_AGE_SECONDS
    is_behind = len({quote.instrument for quote in quotes}) > 1 and alike
    return -youngest if is_behind and CLOCKS_DIFFER_SECONDS < youngest <= _LONGEST_CLOCK_FAULT_SECONDS else None


def clock_words(ahead_seconds: float) -> str:
    """Say that a clock is wrong, and what to do."""
    if ahead_seconds > 0:
        return f"the clock of NinjaTrader's computer is about {ahead_seconds:.0f} s ahead; set it"
    alike = "every instrument is equally old"
    return f"{alike}: the clock of NinjaTrader's computer is about {-ahead_seconds:.0f} s behind; set it"


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
    """Give the day whose session ``at`` belongs to: the day rolls at 17:00 Chicago, when Globex reopens."""
    return (at.astimezone(_CHICAGO) + timedelta(hours=7)).date()


def trading_days_ended(ends: Sequence[datetime]) -> list[date]:
    """Name the trading day of each bar of a day or longer, by the times at which they end.

    Some are stamped with the close of the session, some with midnight: that of the day itself, or that which ends it.
    Nothing trades on a Saturday, so where one bar would be of it, midnight ends the day before, for all of them.
    """
    days = [trading_day(at - timedelta(seconds=1)) for at in ends]
    is_eve = any(day.weekday() == _SATURDAY for day in days)
    return [day - timedelta(days=1) for day in days] if is_eve else days


def trading_day_began(at: datetime) -> datetime:
    """When the trading day of ``at`` began: 17:00 Chicago of the calendar day before it."""
    eve = trading_day(at) - timedelta(days=1)
    return datetime.combine(eve, time(17), _CHICAGO).astimezone(UTC)
