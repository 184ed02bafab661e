"""The balances of an account over its trading days, as they were read, and where nobody looked.

1. A day opens with the balance at which the day before ended: cash less what was realised since. So one reading of a
   day tells how the day before it ended, at whatever hour it is made.
2. Between two readings nothing can have happened that matters where the account was flat at both and its cash is the
   same. Else, where they lie more than a minute apart, equity may have been higher than anybody saw: that stretch is
   kept, and named to whoever asks for a peak.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from ct_mcp.domain.market import trading_day

WATCHED_WITHIN = timedelta(minutes=1)
"""Readings no further apart have seen the highest equity between them."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What was read of an account at one moment; the stream tells no ``cash``, and what is None was not said.

    ``mark`` is the highest equity that the service remembers: of one session, at a time that nobody knows.
    """

    account: str
    at: datetime
    cash: Decimal | None
    realized: Decimal | None
    unrealized: Decimal | None
    is_flat: bool | None = None
    mark: Decimal | None = None


@dataclass(frozen=True, slots=True)
class AccountDay:
    """One trading day of an account: ``opening`` and ``balance`` are cash, ``highest`` is equity; None is not known.

    ``balance`` is the last that was read. ``unwatched`` is the last stretch in which equity may have been higher than
    anything that was read.
    """

    day: date
    first_at: datetime
    last_at: datetime
    opening: Decimal | None = None
    balance: Decimal | None = None
    highest: Decimal | None = None
    is_flat: bool | None = None
    unwatched: tuple[datetime, datetime] | None = None

    @property
    def gain(self) -> Decimal | None:
        """What was realised in it, as far as it was read."""
        return None if self.opening is None or self.balance is None else self.balance - self.opening


@dataclass(frozen=True, slots=True)
class ToldFloor:
    """The floor that the person read from the firm's own page, and when."""

    amount: Decimal
    at: datetime
    by: str


@dataclass(frozen=True, slots=True)
class BalanceRecord:
    """All days of an account on record, oldest first, and the floor that the person told last.

    ``lost_on`` is the last trading day in which its loss of the day reached the limit.
    """

    days: tuple[AccountDay, ...] = ()
    told: ToldFloor | None = None
    lost_on: date | None = None

    @property
    def lost_since_told(self) -> date | None:
        """Give that day; None once the person has told a floor on a later one, with which an account begins anew."""
        told_on = None if self.told is None else trading_day(self.told.at)
        return None if self.lost_on is None or (told_on is not None and told_on > self.lost_on) else self.lost_on

    def on(self, day: date) -> AccountDay | None:
        """Give one day; None where nothing was read of it."""
        return next((each for each in self.days if each.day == day), None)


def marked(last: AccountDay | None, read: Figures, told: ToldFloor | None) -> AccountDay | None:
    """Give the day of a high-water mark with it as a peak; None where it adds nothing.

    It only ever raises a peak, and closes no stretch that nobody watched. On a day in which the person told the floor
    it may be older than what they told, and adds nothing.
    """
    day = trading_day(read.at)
    if read.mark is None or not read.mark.is_finite() or last is None or last.day != day:
        return None
    if told is not None and trading_day(told.at) >= day:
        return None
    return replace(last, highest=read.mark) if last.highest is None or read.mark > last.highest else None


def noted(last: AccountDay | None, read: Figures) -> AccountDay | None:
    """Give the day of these figures with them in it; None where they add nothing.

    ``last`` is the newest day on record. What is older than it adds nothing.
    """
    day = trading_day(read.at)
    if last is not None and read.at < last.last_at:
        return None
    same = last if last is not None and last.day == day else None
    opening = same.opening if same else None
    if opening is None and read.cash is not None and read.realized is not None:
        opening = read.cash - read.realized
    cash = read.cash
    if cash is None and opening is not None and read.realized is not None:
        cash = opening + read.realized
    if cash is None or not cash.is_finite():
        return None
    equity = None if read.unrealized is None else cash + read.unrealized
    return AccountDay(
        day=day,
        first_at=same.first_at if same else read.at,
        last_at=read.at,
        opening=opening,
        balance=cash,
        highest=_higher(same.highest if same else None, equity),
        is_flat=read.is_flat,
        unwatched=_unwatched(last, read.at, cash, is_flat=read.is_flat) or (same.unwatched if same else None),
    )


def _higher(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    known = [figure for figure in (one, other) if figure is not None]
    return max(known, default=None)


def _unwatched(
    last: AccountDay | None, at: datetime, cash: Decimal, *, is_flat: bool | None
) -> tuple[datetime, datetime] | None:
    if last is None or at - last.last_at <= WATCHED_WITHIN:
        return None
    nothing_happened = last.is_flat and is_flat and last.balance == cash
    return None if nothing_happened else (last.last_at, at)


def joined(known: AccountDay | None, other: AccountDay) -> AccountDay:
    """Give one day of two records of it: the later end, the higher peak, and the last stretch that neither watched."""
    if known is None:
        return other
    later = known if known.last_at > other.last_at else other
    between = (known.last_at, other.first_at) if other.first_at - known.last_at > WATCHED_WITHIN else None
    stretches = [each for each in (known.unwatched, between, other.unwatched) if each is not None]
    return replace(
        later,
        first_at=min(known.first_at, other.first_at),
        opening=other.opening if known.opening is None else known.opening,
        highest=_higher(known.highest, other.highest),
        unwatched=max(stretches, key=lambda stretch: stretch[1], default=None),
    )


def after_telling(day: AccountDay, at: datetime) -> AccountDay:
    """Give a day as it counts once the person has told the floor: what was before is in what they told."""
    return replace(day, last_at=min(day.last_at, at), highest=None, unwatched=None)
