"""The figures of round trips: what they came to, day by day and in all, with the size of every sample. Pure.

A figure is made of the trips that it can be made of and no others, and says of how many.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from zoneinfo import ZoneInfo

from ct_mcp.domain.account import Direction
from ct_mcp.domain.trades import OpenLot, RecordGap, RoundTrip

_CHICAGO = ZoneInfo("America/Chicago")
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
NO_SETUP = "no setup named"


@dataclass(frozen=True, slots=True)
class DayResult:
    """What the round trips that were closed in one trading day came to, in one currency.

    ``balance`` is how the day ended for the account, where that was read; ``gaps`` are those that reach into the day.
    """

    account: str
    day: date
    currency: str | None
    trades: int
    wins: int
    losses: int
    gross: Decimal | None
    commission: Decimal | None
    net: Decimal | None
    balance: Decimal | None = None
    gaps: tuple[RecordGap, ...] = ()

    @property
    def result(self) -> Decimal | None:
        """Net, or gross where a commission is not known."""
        return self.gross if self.net is None else self.net


@dataclass(frozen=True, slots=True)
class Statistic:
    """One figure, and of how many round trips it was made; no value where there is nothing to make it of."""

    value: Decimal | None
    sample: int


@dataclass(frozen=True, slots=True)
class Performance:
    """The figures of some round trips in one currency. Money counts net, or gross where commissions are not known.

    ``win_rate`` is 0 to 1; a trip that made nothing is neither won nor lost, and counts in the sample.
    ``average_loss`` and ``max_drawdown`` are zero or below; the drawdown is that of the sum of results, trip by trip.
    ``profit_factor`` has no value where nothing was lost. ``streak`` is the newest: above zero won, below lost.
    """

    currency: str | None
    trades: int
    wins: int
    losses: int
    gross: Statistic
    commission: Statistic
    net: Statistic
    win_rate: Statistic
    average_win: Statistic
    average_loss: Statistic
    profit_factor: Statistic
    expectancy: Statistic
    expectancy_r: Statistic
    max_drawdown: Statistic
    average_mae: Statistic
    average_mfe: Statistic
    longest_won: int = 0
    longest_lost: int = 0
    streak: int = 0

    @property
    def is_small(self) -> bool:
        """Whether it is made of too few for any of its rates to mean much."""
        return self.trades < SMALL_SAMPLE


SMALL_SAMPLE = 30
"""Fewer say little: with so many, chance alone moves a win rate of a half by 18 points five times in a hundred."""


class GroupBy(StrEnum):
    """What performance may be split by: hours are of Chicago, when it was opened; weekdays of trading days."""

    SETUP = "setup"
    HOUR = "hour"
    WEEKDAY = "weekday"
    INSTRUMENT = "instrument"
    SIDE = "side"


@dataclass(frozen=True, slots=True)
class Group:
    """The figures of one setup, hour, weekday, instrument or side."""

    name: str
    performance: Performance


@dataclass(frozen=True, slots=True)
class PerformanceReport:
    """The figures of an account over some trading days: one `Performance` for each currency, never added up.

    ``groups`` hold the same split up, in the order of ``by``. ``denied`` counts orders that were denied or declined;
    ``breaks`` are what the journal holds against the rules, one line each.
    """

    account: str
    since: date | None
    until: date | None
    totals: tuple[Performance, ...]
    by: GroupBy | None = None
    groups: tuple[Group, ...] = ()
    gaps: tuple[RecordGap, ...] = ()
    unmatched: tuple[str, ...] = ()
    began: datetime | None = None
    open: tuple[OpenLot, ...] = ()
    denied: int = 0
    denied_words: tuple[str, ...] = ()
    breaks: tuple[str, ...] = ()
    heard_until: datetime | None = None


def by_currency(trips: Iterable[RoundTrip]) -> dict[str | None, list[RoundTrip]]:
    """Part round trips by the currency of their money, which is never added up with another."""
    parted: dict[str | None, list[RoundTrip]] = {}
    for trip in trips:
        parted.setdefault(trip.currency, []).append(trip)
    return dict(sorted(parted.items(), key=lambda each: each[0] or "~"))


def performance_of(trips: Sequence[RoundTrip], currency: str | None) -> Performance:
    """Reckon the figures of round trips of one currency, in the order in which they were closed."""
    results = [trip.result for trip in trips if trip.result is not None]
    won, lost = [each for each in results if each > 0], [each for each in results if each < 0]
    lost_in_all = -sum(lost, Decimal(0))
    factor = sum(won, Decimal(0)) / lost_in_all if lost_in_all else None
    won_in_a_row, lost_in_a_row, streak = streaks(results)
    return Performance(
        currency=currency,
        trades=len(trips),
        wins=len(won),
        losses=len(lost),
        gross=_sum(trip.gross for trip in trips),
        commission=_sum(trip.commission for trip in trips),
        net=_sum(trip.net for trip in trips),
        win_rate=Statistic(Decimal(len(won)) / len(results) if results else None, len(results)),
        average_win=_mean(won),
        average_loss=_mean(lost),
        profit_factor=Statistic(factor, len(results)),
        expectancy=_mean(results),
        expectancy_r=_mean([trip.r for trip in trips if trip.r is not None]),
        max_drawdown=Statistic(max_drawdown(results) if results else None, len(results)),
        average_mae=_mean([trip.mae for trip in trips if trip.mae is not None]),
        average_mfe=_mean([trip.mfe for trip in trips if trip.mfe is not None]),
        longest_won=won_in_a_row,
        longest_lost=lost_in_a_row,
        streak=streak,
    )


def max_drawdown(results: Iterable[Decimal]) -> Decimal:
    """The deepest fall of the sum of results beneath its highest before, which begins at zero; zero or below."""
    total = peak = deepest = Decimal(0)
    for result in results:
        total += result
        peak = max(peak, total)
        deepest = min(deepest, total - peak)
    return deepest


def streaks(results: Iterable[Decimal]) -> tuple[int, int, int]:
    """Give the longest run won, the longest lost, and the newest: above zero won. Nothing made ends both."""
    longest_won = longest_lost = run = 0
    for result in results:
        run = 0 if not result else max(run, 0) + 1 if result > 0 else min(run, 0) - 1
        longest_won, longest_lost = max(longest_won, run), max(longest_lost, -run)
    return longest_won, longest_lost, run


def groups_of(trips: Sequence[RoundTrip], by: GroupBy) -> tuple[Group, ...]:
    """Split the figures up, one group for each currency of each name."""
    parted: dict[tuple[object, str], list[RoundTrip]] = {}
    for trip in trips:
        parted.setdefault(_KEYS[by](trip), []).append(trip)
    return tuple(
        Group(name, performance_of(found, currency))
        for (_, name), members in sorted(parted.items(), key=lambda each: (str(type(each[0][0])), each[0]))
        for currency, found in by_currency(members).items()
    )


def _hour(trip: RoundTrip) -> tuple[object, str]:
    hour = trip.opened_at.astimezone(_CHICAGO).hour
    return hour, f"{hour:02d}:00 Chicago"


def _weekday(trip: RoundTrip) -> tuple[object, str]:
    return trip.day.weekday(), _WEEKDAYS[trip.day.weekday()]


_KEYS: dict[GroupBy, Callable[[RoundTrip], tuple[object, str]]] = {
    GroupBy.SETUP: lambda trip: (0, (trip.plan.tag if trip.plan else None) or NO_SETUP),
    GroupBy.HOUR: _hour,
    GroupBy.WEEKDAY: _weekday,
    GroupBy.INSTRUMENT: lambda trip: (0, trip.instrument.root),
    GroupBy.SIDE: lambda trip: (0, "long" if trip.side is Direction.LONG else "short"),
}


def day_results(account: str, trips: Iterable[RoundTrip]) -> tuple[DayResult, ...]:
    """Sum up each trading day in which a trip was closed, by currency, oldest first."""
    days: dict[tuple[date, str | None], list[RoundTrip]] = {}
    for trip in trips:
        days.setdefault((trip.day, trip.currency), []).append(trip)
    return tuple(
        _day_result(account, day, currency, members)
        for (day, currency), members in sorted(days.items(), key=lambda each: (each[0][0], each[0][1] or "~"))
    )


def _day_result(account: str, day: date, currency: str | None, trips: Sequence[RoundTrip]) -> DayResult:
    results = [trip.result for trip in trips if trip.result is not None]
    return DayResult(
        account=account,
        day=day,
        currency=currency,
        trades=len(trips),
        wins=sum(result > 0 for result in results),
        losses=sum(result < 0 for result in results),
        gross=_whole_sum([trip.gross for trip in trips]),
        commission=_whole_sum([trip.commission for trip in trips]),
        net=_whole_sum([trip.net for trip in trips]),
    )


def _sum(figures: Iterable[Decimal | None]) -> Statistic:
    known = [each for each in figures if each is not None]
    return Statistic(sum(known, Decimal(0)) if known else None, len(known))


def _whole_sum(figures: Sequence[Decimal | None]) -> Decimal | None:
    """The sum, or None as soon as one of them is not known."""
    known = [each for each in figures if each is not None]
    return sum(known, Decimal(0)) if len(known) == len(figures) else None


def _mean(figures: Sequence[Decimal]) -> Statistic:
    return Statistic(sum(figures, Decimal(0)) / len(figures) if figures else None, len(figures))
