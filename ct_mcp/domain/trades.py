"""The book: executions on record, the round trips that they make, days, and the stretches in which nobody listened.

Money is in ``currency``, the contract's own, and Decimal; None is *not known*, never zero. A day is a trading day: it
begins at 17:00 Chicago of the calendar day before (`domain/market.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import cached_property

from ct_mcp.domain.account import Direction
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import trading_day
from ct_mcp.domain.order import Execution, OrderAction
from ct_mcp.text import count, utc_minute

SERVED_FOR = timedelta(minutes=15)
"""So far back the service gives executions: whoever looks again within it has missed none."""


class Source(StrEnum):
    """Where an execution is known from: read from the service, out of NinjaTrader's export, or from our journal."""

    HEARD = "heard"
    IMPORTED = "imported"
    JOURNAL = "journal"


@dataclass(frozen=True, slots=True)
class RecordedExecution:
    """One execution on record.

    ``point_value`` is what a point of one contract is worth in ``currency``; ``commission`` is that of all its
    contracts. ``position_after`` is the account's position right after it, signed, where its source says so.
    ``ordinal`` tells apart what has the same time, in the order of its source.
    """

    account: str
    execution_id: str
    instrument: Instrument
    action: OrderAction
    quantity: int
    price: Decimal
    at: datetime
    source: Source
    order_id: str | None = None
    name: str | None = None
    commission: Decimal | None = None
    point_value: Decimal | None = None
    currency: str | None = None
    position_after: int | None = None
    ordinal: int = 0

    @property
    def signed(self) -> int:
        """Contracts, above zero where they were bought."""
        return self.quantity * self.action.sign

    @property
    def position_before(self) -> int | None:
        """What was held right before it; None where its source does not say."""
        return None if self.position_after is None else self.position_after - self.signed


@dataclass(frozen=True, slots=True)
class Worth:
    """What the contracts of a root are worth: ``point_value`` is in ``currency``."""

    root: str
    tick_size: Decimal
    point_value: Decimal
    currency: str | None


@dataclass(frozen=True, slots=True)
class Listening:
    """A stretch of which every execution is on record, and what was held when it began, by the instrument's name.

    ``positions`` names no instrument in which nothing was held; None is not known.
    """

    began: datetime
    ended: datetime
    positions: tuple[tuple[str, int], ...] | None = None


@dataclass(frozen=True, slots=True)
class Fill:
    """The part of one execution that belongs to a round trip; of a reversal each half has its own."""

    execution_id: str
    at: datetime
    quantity: int
    price: Decimal
    order_id: str | None = None
    name: str | None = None
    commission: Decimal | None = None
    source: Source = Source.HEARD


@dataclass(frozen=True, slots=True)
class Plan:
    """What the ticket of an entry said: ``stop`` and ``targets`` are prices, reckoned from the fill where need be.

    ``risk`` is money, for the contracts of the round trip, from the average entry to the stop. ``approved_by`` names
    the channel of the yes, empty where nobody was asked.
    """

    ticket_id: str
    tag: str | None = None
    stop: Decimal | None = None
    targets: tuple[Decimal, ...] = ()
    risk: Decimal | None = None
    approved_by: str = ""
    approved_at: datetime | None = None
    reason: str = ""


class ExcursionSource(StrEnum):
    """What the extremes were read from."""

    QUOTES = "stream quotes"
    BARS = "1 minute bars"


@dataclass(frozen=True, slots=True)
class Excursion:
    """The farthest that prices went against and for a round trip while it was held, as prices."""

    worst: Decimal
    best: Decimal
    source: ExcursionSource


@dataclass(frozen=True)
class RoundTrip:
    """What one entry order opened, wholly closed again, first in first out, in one dated contract of one account.

    ``gross`` is before commissions and None where the value of a point is not known; ``notes`` name what makes it
    uncertain. It has no slots: what its fills come to is reckoned once, since figures ask for it many times.
    """

    account: str
    instrument: Instrument
    side: Direction
    quantity: int
    entries: tuple[Fill, ...]
    exits: tuple[Fill, ...]
    point_value: Decimal | None
    currency: str | None
    plan: Plan | None = None
    excursion: Excursion | None = None
    notes: tuple[str, ...] = ()

    @property
    def trip_id(self) -> str:
        """Names it for good: the executions that opened and closed it last."""
        return f"{self.entries[0].execution_id}.{self.exits[-1].execution_id}"

    @property
    def opened_at(self) -> datetime:
        """When its first contract was filled."""
        return self.entries[0].at

    @property
    def closed_at(self) -> datetime:
        """When its last contract was closed."""
        return self.exits[-1].at

    @property
    def day(self) -> date:
        """The trading day in which it was closed, which it counts to."""
        return trading_day(self.closed_at)

    @property
    def sources(self) -> frozenset[Source]:
        """Where its executions are known from."""
        return frozenset(fill.source for fill in (*self.entries, *self.exits))

    @cached_property
    def average_entry(self) -> Decimal:
        """The average price of its entries, unrounded."""
        return average_price(self.entries)

    @property
    def average_exit(self) -> Decimal:
        """The average price of its exits, unrounded."""
        return average_price(self.exits)

    @property
    def sign(self) -> int:
        """1 of a long trip, -1 of a short one."""
        return 1 if self.side is Direction.LONG else -1

    @cached_property
    def points(self) -> Decimal:
        """The gain in price times contracts: exact, since no average is divided out."""
        return (_value(self.exits) - _value(self.entries)) * self.sign

    @property
    def gross(self) -> Decimal | None:
        """Gain before commissions."""
        return None if self.point_value is None else self.points * self.point_value

    @cached_property
    def commission(self) -> Decimal | None:
        """What its fills cost; None as soon as that of one is not known."""
        known = [fill.commission for fill in (*self.entries, *self.exits) if fill.commission is not None]
        return sum(known, Decimal(0)) if len(known) == len(self.entries) + len(self.exits) else None

    @property
    def net(self) -> Decimal | None:
        """Gain after commissions; None where either is not known."""
        return None if self.gross is None or self.commission is None else self.gross - self.commission

    @cached_property
    def result(self) -> Decimal | None:
        """What it counts with: net, or gross where its commission is not known."""
        return self.gross if self.net is None else self.net

    @property
    def risk(self) -> Decimal | None:
        """What it risked to the stop of its plan, in money."""
        return None if self.plan is None else self.plan.risk

    @property
    def r(self) -> Decimal | None:
        """Its result as a multiple of what it risked; None without a stop in its plan."""
        return self.result / self.risk if self.risk and self.result is not None else None

    @property
    def mae(self) -> Decimal | None:
        """Maximum adverse excursion in money, for all its contracts; zero or below."""
        return None if self.excursion is None else self._money_at(self.excursion.worst)

    @property
    def mfe(self) -> Decimal | None:
        """Maximum favourable excursion in money, for all its contracts; zero or above."""
        return None if self.excursion is None else self._money_at(self.excursion.best)

    @property
    def held_for(self) -> timedelta:
        """From its first fill to its last."""
        return self.closed_at - self.opened_at

    def _money_at(self, price: Decimal) -> Decimal | None:
        if self.point_value is None:
            return None
        return (price - self.average_entry) * self.sign * self.quantity * self.point_value


@dataclass(frozen=True, slots=True)
class OpenLot:
    """What one entry order opened and is not wholly closed: no trade yet. ``closed`` contracts of it made ``gross``."""

    account: str
    instrument: Instrument
    side: Direction
    left: int
    entries: tuple[Fill, ...]
    exits: tuple[Fill, ...]
    point_value: Decimal | None
    currency: str | None

    @property
    def closed(self) -> int:
        """Contracts of it that were closed."""
        return sum(fill.quantity for fill in self.exits)


@dataclass(frozen=True, slots=True)
class RecordGap:
    """A stretch in which nobody listened for longer than the service keeps executions: what was done in it is missing.

    ``ended`` is None while it lasts. ``imported`` counts the executions that were imported of it, which may be all.
    ``is_before`` marks the time before anything is on record, as far back as was asked: nobody knows who listened.
    """

    account: str
    began: datetime
    ended: datetime | None
    imported: int = 0
    is_before: bool = False

    @property
    def words(self) -> str:
        """From when to when, in UTC."""
        if self.is_before:
            return (
                "nothing is on record"
                if self.ended is None
                else f"nothing is on record before {utc_minute(self.ended)}"
            )
        until = "now" if self.ended is None else f"{self.ended:%Y-%m-%d %H:%M}"
        imported = f" ({count(self.imported, 'execution')} of it imported)" if self.imported else ""
        return f"nobody listened {self.began:%Y-%m-%d %H:%M} to {until} UTC{imported}"

    def touches(self, began: datetime, ended: datetime) -> bool:
        """Say whether any of it lies within a stretch."""
        return self.began < ended and (self.ended is None or self.ended > began)


@dataclass(frozen=True, slots=True)
class TradeList:
    """The round trips closed within some trading days, oldest first, and what must be said beside them.

    ``began`` is when the record of the account begins, ``heard_until`` when executions were read last; None where
    there is none. ``unmatched`` names what could not be made a round trip of, and why.
    """

    account: str
    since: date | None
    until: date | None
    trips: tuple[RoundTrip, ...]
    open: tuple[OpenLot, ...] = ()
    gaps: tuple[RecordGap, ...] = ()
    unmatched: tuple[str, ...] = ()
    began: datetime | None = None
    heard_until: datetime | None = None


def as_execution(it: RecordedExecution) -> Execution:
    """Give it as one that was read."""
    return Execution(
        it.account,
        it.execution_id,
        it.order_id,
        it.instrument,
        it.action,
        it.quantity,
        it.price,
        it.at,
        it.name,
        commission=it.commission,
    )


def average_price(fills: Sequence[Fill]) -> Decimal:
    """The average price of some fills, by contracts."""
    return _value(fills) / sum(fill.quantity for fill in fills)


def _value(fills: Sequence[Fill]) -> Decimal:
    return sum((fill.price * fill.quantity for fill in fills), Decimal(0))
