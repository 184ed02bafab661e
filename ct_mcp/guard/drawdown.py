"""Where the floor of an account stands: pure arithmetic over what was read of its balances, and what is not known.

1. A floor that trails stands the amount below the highest peak since the start: the balance at the end of a day, or
   equity at any moment. It never falls, and rises no further than where it locks.
2. A peak is known where the record begins with the start balance, or with a floor that the person told, and where
   since then nothing can have happened unseen. Else the floor may be higher than anybody knows.
3. A floor that has reached its lock is known whatever was not seen.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

from ct_mcp.domain.balances import WATCHED_WITHIN, AccountDay, BalanceRecord, ToldFloor
from ct_mcp.domain.market import trading_day
from ct_mcp.guard.firm_policy import Drawdown, DrawdownKind
from ct_mcp.guard.holidays import CLOSED_DAYS
from ct_mcp.text import format_price, utc_minute

_SATURDAY = 5
_HALTED_FROM, _ROLLS = time(16), time(17)
_CHICAGO = ZoneInfo("America/Chicago")


@dataclass(frozen=True, slots=True)
class Floor:
    """Where equity may not fall to; ``unknown`` says why it may be higher, empty where it is known.

    ``gaps`` are stretches without figures that moved nothing, since the balance was the same before and after.
    """

    amount: Decimal
    unknown: str = ""
    gaps: tuple[str, ...] = ()


def floor_of(drawdown: Drawdown, record: BalanceRecord, equity: Decimal, now: datetime) -> Floor:
    """Say where the floor stands at this moment, and whether that is known."""
    told = record.told
    least = max(drawdown.lowest_floor, told.amount if told else drawdown.lowest_floor)
    if drawdown.kind is DrawdownKind.STATIC:
        return Floor(least)
    days = tuple(day for day in record.days if told is None or day.last_at > told.at)
    peak = max(_peaks(drawdown, days, told, equity, trading_day(now)), default=None)
    floor = least if peak is None else max(least, peak - drawdown.amount)
    if drawdown.locks_at is not None:
        floor = max(least, min(floor, drawdown.locks_at))
        if floor >= drawdown.locks_at:
            return Floor(floor)
    unseen = _unwatched(days, told) if drawdown.kind is DrawdownKind.INTRADAY else _days_missed(days, told, now)
    unknown = _without_beginning(drawdown, days, told) or _ahead(days, now) or "; ".join(unseen)
    return Floor(floor, unknown, tuple(_quiet_gaps(days)))


def _peaks(
    drawdown: Drawdown, days: tuple[AccountDay, ...], told: ToldFloor | None, equity: Decimal, today: date
) -> Iterator[Decimal]:
    told_on = None if told is None else trading_day(told.at)
    known: list[Decimal | None] = [day.opening for day in days if told_on is None or day.day > told_on]
    if drawdown.kind is DrawdownKind.INTRADAY:
        known += [equity, *(day.highest for day in days)]
    known += [day.balance for day in days if day.day < today]
    yield from (peak for peak in known if peak is not None)


def _without_beginning(drawdown: Drawdown, days: tuple[AccountDay, ...], told: ToldFloor | None) -> str:
    """Say so where nobody knows the peak with which the record begins."""
    if told is not None or (days and days[0].opening == drawdown.start_balance):
        return ""
    began = f"before {utc_minute(days[0].first_at)}" if days else "of this account"
    return f"the peak {began} is not on record"


def _ahead(days: tuple[AccountDay, ...], now: datetime) -> str:
    """Say so where a clock that was ahead has written figures: nothing is noted until that time has come."""
    is_ahead = bool(days) and days[-1].last_at - now > WATCHED_WITHIN
    return f"a clock was set back: the record goes on from {utc_minute(days[-1].last_at)}" if is_ahead else ""


def _unwatched(days: tuple[AccountDay, ...], told: ToldFloor | None) -> Iterator[str]:
    """Name the stretches in which equity may have been higher than anybody saw."""
    for began, ended in (day.unwatched for day in days if day.unwatched):
        if told is None or ended > told.at:
            yield f"not watched between {utc_minute(began)} and {utc_minute(ended)}"


def _days_missed(days: tuple[AccountDay, ...], told: ToldFloor | None, now: datetime) -> Iterator[str]:
    """Name the days whose end nobody saw, while something may have been gained in them."""
    today = trading_day(now)
    first = trading_day(told.at) if told else None
    if first is not None and days and days[0].day > _next_trading_day(first):
        yield _gap(first, days[0].day)
    for before, after in pairwise(days):
        if not _end_is_known(before, after) and not _nothing_happened(before, after):
            yield _gap(before.day, after.day)
    last = days[-1].day if days else first
    if last is not None and today > _next_trading_day(last):
        yield _gap(last, today)


def _quiet_gaps(days: tuple[AccountDay, ...]) -> Iterator[str]:
    for before, after in pairwise(days):
        if after.day > _next_trading_day(before.day) and _nothing_happened(before, after):
            yield f"{_gap(before.day, after.day)}: the balance was the same before and after"


def _end_is_known(before: AccountDay, after: AccountDay) -> bool:
    """Say whether the balance at the end of each day from one to the other is known."""
    if after.day > _next_trading_day(before.day):
        return False
    return after.opening is not None or _HALTED_FROM <= before.last_at.astimezone(_CHICAGO).time() < _ROLLS


def _nothing_happened(before: AccountDay, after: AccountDay) -> bool:
    return bool(before.is_flat) and before.balance is not None and before.balance == after.opening


def _gap(one: date, other: date) -> str:
    return f"no figures between {one} and {other}"


def _next_trading_day(day: date) -> date:
    day += timedelta(days=1)
    while day.weekday() >= _SATURDAY or day in CLOSED_DAYS:
        day += timedelta(days=1)
    return day


def floor_words(floor: Floor) -> str:
    """Write where it stands, and why that may be too low."""
    return f"{format_price(floor.amount)}{f' or higher ({floor.unknown})' if floor.unknown else ''}"
