"""The rules of a funded account as the operator set them: by a preset, by own figures, or by both.

A figure of the operator's narrows one of a preset and never widens it. A preset says where each of its figures comes
from and when that was looked up; nobody can say from here that an account is within its firm's rules.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from ct_mcp.domain.balances import BalanceRecord

LOUD_AFTER_DAYS = 90
"""Firms change their rules monthly: what was looked up longer ago says so wherever it is shown."""


class Automation(StrEnum):
    """What may be sent to an account: what was approved, or nothing, since its firm lets no software send orders."""

    PROPOSE = "propose"
    ADVISE = "advise"


class DrawdownKind(StrEnum):
    """What moves the floor; in this order each is stricter than the one before."""

    STATIC = "static"
    END_OF_DAY = "end_of_day"
    INTRADAY = "intraday"


class DayLossEnds(StrEnum):
    """What is over once the day's loss has reached its limit; the later is the stricter."""

    DAY = "day"
    ACCOUNT = "account"


class IfUnknown(StrEnum):
    """What happens where nobody can say whether there is news."""

    DENY = "deny"
    TELL = "tell"


@dataclass(frozen=True, slots=True)
class Drawdown:
    """How far equity may fall below its peak; the floor rises no further than ``locks_at``, None for without end."""

    kind: DrawdownKind
    amount: Decimal
    start_balance: Decimal
    locks_at: Decimal | None = None

    @property
    def lowest_floor(self) -> Decimal:
        """Where the floor stands at the beginning; it is never lower."""
        return self.start_balance - self.amount


@dataclass(frozen=True, slots=True)
class ScalingStep:
    """From this balance at the end of a day on, so many contracts in mini equivalents."""

    balance: Decimal
    minis: Decimal


@dataclass(frozen=True, slots=True)
class NewsEvent:
    """One release; without ``roots`` it concerns every instrument."""

    at: datetime
    name: str
    roots: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class NewsCalendar:
    """The releases of a file of the operator's, up to the last trading day that it covers."""

    covers_until: date
    events: tuple[NewsEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class NewsRule:
    """Nothing opens around a release, or nothing that opens may even rest; None is that there is no calendar."""

    before: timedelta
    after: timedelta
    calendar: NewsCalendar | None = None
    if_unknown: IfUnknown = IfUnknown.DENY
    no_resting: bool = False


@dataclass(frozen=True, slots=True)
class PresetFigure:
    """One figure of a preset, with where it comes from, when that was looked up, and what is uncertain about it."""

    name: str
    value: str
    source: str
    checked: date
    doubt: str = ""


@dataclass(frozen=True, slots=True)
class Preset:
    """The rules of one plan as they were found: ``doubts`` about all of it, ``unheld`` for what no rule here holds."""

    name: str
    title: str
    figures: tuple[PresetFigure, ...]
    doubts: tuple[str, ...] = ()
    unheld: tuple[str, ...] = ()

    @property
    def checked(self) -> date:
        """When the figure was looked up that is the longest ago."""
        return min(figure.checked for figure in self.figures)

    def age_days(self, today: date) -> int:
        """How long ago that is."""
        return (today - self.checked).days

    def label(self, today: date) -> str:
        """Name it with its date, and loudly where that is long ago."""
        age = self.age_days(today)
        loud = f", OLD: looked up {age} days ago, compare it with the firm's own page" if age > LOUD_AFTER_DAYS else ""
        return f"preset {self.name} of {self.checked}{loud}"


@dataclass(frozen=True, slots=True)
class FirmRules:
    """What the operator set for one account beside its limits; None is that there is no such rule."""

    preset: Preset | None = None
    drawdown: Drawdown | None = None
    scaling: tuple[ScalingStep, ...] = ()
    no_opposite: bool = False
    no_opposite_over_accounts: bool = False
    opposite_groups: tuple[frozenset[str], ...] = ()
    require_stop: bool = False
    profit_lock: Decimal | None = None
    news: NewsRule | None = None
    best_day_percent: Decimal | None = None
    day_loss_ends: DayLossEnds = DayLossEnds.DAY

    def ended_on(self, record: BalanceRecord) -> date | None:
        """Say on what day the loss of one day has ended the account; None where it has not, or ends the day alone."""
        return record.lost_since_told if self.day_loss_ends is DayLossEnds.ACCOUNT else None

    def by(self, today: date) -> str:
        """Say whose rules these are, for the end of a line of figures."""
        return "" if self.preset is None else f"; {self.preset.label(today)}"


# The stricter of two -----------------------------------------------------------------------------------------------


def both_rules(one: FirmRules | None, other: FirmRules | None) -> FirmRules | None:
    """Give the rules that are as strict as either in everything; which of the two comes first does not matter."""
    if one is None or other is None:
        return one or other
    return FirmRules(
        **{each.name: _stricter(each.name, getattr(one, each.name), getattr(other, each.name)) for each in fields(one)}
    )


def _stricter(name: str, one: Any, other: Any) -> Any:
    """Give the stricter of two values of one rule; None and an empty one are none at all."""
    if not one or not other:
        return one or other
    return one if one == other else _STRICTER[name](one, other)


def _drawdown(one: Drawdown, other: Drawdown) -> Drawdown:
    """The floor that never locks goes on rising."""
    locks = None if None in (one.locks_at, other.locks_at) else max(filter(None, (one.locks_at, other.locks_at)))
    return Drawdown(
        max(one.kind, other.kind, key=list(DrawdownKind).index),
        min(one.amount, other.amount),
        max(one.start_balance, other.start_balance),
        locks,
    )


def _scaling(one: tuple[ScalingStep, ...], other: tuple[ScalingStep, ...]) -> tuple[ScalingStep, ...]:
    """As few contracts from each balance on as either gives."""
    balances = sorted({step.balance for step in (*one, *other)})
    return tuple(ScalingStep(balance, min(minis_at(one, balance), minis_at(other, balance))) for balance in balances)


def minis_at(steps: tuple[ScalingStep, ...], balance: Decimal) -> Decimal:
    """Say how many contracts a balance gives, in mini equivalents; below all steps those of the lowest."""
    lowest = min(steps, key=lambda step: step.balance).minis
    return max((step.minis for step in steps if step.balance <= balance), default=lowest)


def _news(one: NewsRule, other: NewsRule) -> NewsRule:
    """The calendar is the trader's own: a team names none."""
    unknown = IfUnknown.DENY if IfUnknown.DENY in (one.if_unknown, other.if_unknown) else IfUnknown.TELL
    return NewsRule(
        max(one.before, other.before),
        max(one.after, other.after),
        one.calendar or other.calendar,
        unknown,
        one.no_resting or other.no_resting,
    )


def _groups(one: tuple[frozenset[str], ...], other: tuple[frozenset[str], ...]) -> tuple[frozenset[str], ...]:
    return tuple(sorted({*one, *other}, key=sorted))


_STRICTER: dict[str, Callable[[Any, Any], Any]] = {
    "preset": lambda one, other: min(one, other, key=lambda preset: preset.name),
    "drawdown": _drawdown,
    "scaling": _scaling,
    "opposite_groups": _groups,
    "profit_lock": min,
    "news": _news,
    "best_day_percent": min,
    "day_loss_ends": lambda one, other: max(one, other, key=list(DayLossEnds).index),
}
"""How each rule of two narrows; a switch is on where either is."""
