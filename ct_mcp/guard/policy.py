"""What the operator allows: modes, limits, approvals, and how each narrows for one account and root."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from zoneinfo import ZoneInfo

from ct_mcp.domain.account import AccountKind, account_key
from ct_mcp.domain.approval import APPROVALS, Approval
from ct_mcp.guard.firm_policy import Automation, FirmRules, both_rules


class Mode(StrEnum):
    """What may trade at all: nothing, simulated accounts, or the armed accounts of the configuration."""

    READ_ONLY = "read_only"
    SIM = "sim"
    LIVE = "live"


@dataclass(frozen=True, slots=True)
class FlatBy:
    """A wall-clock time of day after which nothing may be opened until the session rolls."""

    at: time
    zone: str


@dataclass(frozen=True, slots=True)
class Limits:
    """The hard limits beneath every approval. Money is account currency; prices count in ticks.

    ``rates`` is what one unit of another currency is worth in account currency; without one its money is not compared.
    """

    max_order_contracts: int = 5
    max_position_contracts: int = 10
    max_account_minis: Decimal | None = None
    max_order_notional: Decimal = Decimal(1_500_000)
    max_order_risk: Decimal = Decimal(2_500)
    max_day_loss: Decimal = Decimal(500)
    max_orders_per_minute: int = 6
    max_orders_per_day: int = 100
    risk_ticks: int = 80
    price_band_ticks: int = 80
    quote_max_age_seconds: float = 10.0
    duplicate_window_seconds: float = 10.0
    require_open_session: bool = True
    flat_by: FlatBy | None = None
    instruments: frozenset[str] | None = None
    rates: Mapping[str, Decimal] = field(default_factory=dict)

    def narrowed_by(self, narrower: "LimitOverrides") -> "Limits":
        """Take each value that is stricter; an override can never widen a limit."""
        if not narrower:
            return self
        changes = {name: stricter(name, getattr(self, name), value) for name, value in narrower.items()}
        return replace(self, **changes)  # type: ignore[arg-type]  # names and types were checked by the configuration


# A longer window for repeats catches more of them, and over a longer distance an order risks more.
_STRICTER_WHEN_LARGER = frozenset({"duplicate_window_seconds", "risk_ticks"})

OF_WHOLE_ACCOUNTS = frozenset({"max_day_loss", "max_account_minis"})
"""Limits that no instrument can have for itself: one that reached it would stop all others."""

LimitValue = int | float | Decimal | bool | FlatBy | frozenset[str]
LimitOverrides = Mapping[str, LimitValue]


def stricter(name: str, wide: LimitValue | None, narrow: LimitValue) -> LimitValue:
    """Give the stricter of two values of a limit."""
    match wide, narrow:
        case frozenset(), frozenset():
            return wide & narrow
        case FlatBy(), FlatBy():
            return min(wide, narrow, key=_since_the_roll)
        case None, _:
            return narrow
        case bool(), bool():
            return wide or narrow
        case int() | float() | Decimal(), int() | float() | Decimal():
            return max(wide, narrow) if name in _STRICTER_WHEN_LARGER else min(wide, narrow)
        case _:
            raise TypeError(f"{name} cannot be narrowed from {wide!r} by {narrow!r}")


# A winter, the weeks in which America has changed its clocks and Europe has not, and a summer.
_DAYS = (date(2026, 1, 15), date(2026, 3, 18), date(2026, 7, 15), date(2026, 10, 28))


def is_earlier(one: FlatBy, other: FlatBy) -> bool:
    """Say whether it comes no later than another in any part of the year."""
    return all(mine <= theirs for mine, theirs in zip(_since_the_roll(one), _since_the_roll(other), strict=True))


def _since_the_roll(flat_by: FlatBy) -> tuple[time, ...]:
    """When in the trading day it comes: an evening hour is early in a day that begins at 17:00 Chicago."""
    chicago, zone = ZoneInfo("America/Chicago"), ZoneInfo(flat_by.zone)
    moments = (datetime.combine(day, flat_by.at, zone).astimezone(chicago) for day in _DAYS)
    return tuple((moment + timedelta(hours=7)).time() for moment in moments)


class IfUnprotected(StrEnum):
    """What happens to contracts that could not be protected in time."""

    CLOSE = "close"
    TELL = "tell"


@dataclass(frozen=True, slots=True)
class Protection:
    """Whether entries need a stop, and what happens where one that was asked for does not come to stand in time."""

    require_stop: bool = False
    deadline_seconds: float = 5.0
    if_unprotected: IfUnprotected = IfUnprotected.CLOSE


@dataclass(frozen=True, slots=True)
class Watching:
    """How many watches there may be, and whether the time to be flat by acts, with a warning so long before."""

    most: int = 20
    flat_by_acts: bool = False
    warn_minutes: int = 10


@dataclass(frozen=True, slots=True)
class Recording:
    """Whether executions are kept, for how many days, and how many of them of an account at most."""

    on: bool = True
    keep_days: int = 1100
    most_executions: int = 100_000


@dataclass(frozen=True, slots=True)
class AccountPolicy:
    """What the configuration says of one account by name; ``limits`` hold those of its preset as well."""

    approval: Approval | None = None
    limits: LimitOverrides = field(default_factory=dict)
    automation: Automation = Automation.PROPOSE
    firm: FirmRules | None = None


class SecondYes(StrEnum):
    """What needs a second person's yes; each is stricter than the one before."""

    NONE = "none"
    LIVE = "live"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class TeamRules:
    """What a team wants of one trader's openings, by the ``numbers`` of its policies. It never holds for an exit.

    ``mode`` and the automation of an account say where nothing may be opened; approvals are the least that is asked
    for. ``accounts`` are by `account_key`, and name none that may trade. ``second_from`` counts contracts.
    """

    mode: Mode = Mode.LIVE
    limits: LimitOverrides = field(default_factory=dict)
    simulated: Approval = Approval.NONE
    live: Approval = Approval.NONE
    ticket_seconds: float | None = None
    require_stop: bool = False
    accounts: Mapping[str, AccountPolicy] = field(default_factory=dict)
    instruments: Mapping[str, LimitOverrides] = field(default_factory=dict)
    second: SecondYes = SecondYes.NONE
    second_from: int = 1
    grace_seconds: float | None = None
    numbers: tuple[int, ...] = ()

    def account_named(self, account: str) -> AccountPolicy:
        """Give what they say of an account, by its name as the service matches names."""
        return self.accounts.get(account_key(account), AccountPolicy())

    def least_approval(self, account: str, kind: AccountKind) -> Approval:
        """Give the weakest channel that an opening may go by."""
        general = self.simulated if kind.is_simulated else self.live
        return strictest(general, self.account_named(account).approval)

    def lets_open(self, account: str, kind: AccountKind) -> bool:
        """Say whether software may open anything in an account; a kind that is not known counts as live."""
        may = self.mode is Mode.LIVE or (self.mode is Mode.SIM and kind.is_simulated)
        return may and self.account_named(account).automation is Automation.PROPOSE


NO_TEAM = TeamRules()


def unmatched(tables: Iterable[str], listed: Iterable[str]) -> tuple[str, ...]:
    """Name the tables that belong to none of the accounts that were listed."""
    keys = {account_key(name) for name in listed}
    return tuple(name for name in tables if account_key(name) not in keys)


def strictest(one: Approval, *others: Approval | None) -> Approval:
    """Give the strictest of several channels; None asks for none."""
    return max((one, *(other for other in others if other is not None)), key=APPROVALS.index)


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything the operator decided; ``for_`` gives it as it applies to one account and root.

    ``automation`` and ``firm`` belong to one account: they hold nothing before ``for_`` has named it. ``team`` is what
    a team narrows of it, see `guard/team_policy.py`.
    """

    mode: Mode = Mode.SIM
    limits: Limits = Limits()
    protection: Protection = Protection()
    watches: Watching = Watching()
    recording: Recording = Recording()
    simulated: Approval = Approval.FORM
    live: Approval = Approval.PAGE
    exits_simulated: Approval = Approval.NONE
    exits_live: Approval = Approval.FORM
    ticket_seconds: float = 90.0
    wait_seconds: float = 25.0
    form_seconds: float = 55.0
    accounts: Mapping[str, AccountPolicy] = field(default_factory=dict)
    instruments: Mapping[str, LimitOverrides] = field(default_factory=dict)
    automation: Automation = Automation.PROPOSE
    firm: FirmRules | None = None
    team: TeamRules = NO_TEAM

    def for_(self, account: str, root: str | None) -> "Policy":
        """Give the policy with the limits of this account and this root narrowed in."""
        named, team = self.account_named(account) or AccountPolicy(), self.team.account_named(account)
        limits = self.limits.narrowed_by(named.limits).narrowed_by(team.limits)
        for of_roots in (self.instruments, self.team.instruments):
            limits = limits.narrowed_by(of_roots.get(root, {}) if root is not None else {})
        firm = both_rules(named.firm, team.firm)
        needs_stop = self.protection.require_stop or (firm is not None and firm.require_stop)
        protection = replace(self.protection, require_stop=needs_stop)
        return replace(self, limits=limits, protection=protection, automation=named.automation, firm=firm)

    def account_named(self, account: str) -> AccountPolicy | None:
        """Give what the configuration says of an account, by its name as the service matches names."""
        return next((one for name, one in self.accounts.items() if account_key(name) == account_key(account)), None)

    def unmatched(self, listed: Iterable[str]) -> tuple[str, ...]:
        """Name the tables that belong to none of the accounts that were listed."""
        return unmatched(self.accounts, listed)

    def approval_for(self, account: str, kind: AccountKind, *, leaves: bool) -> Approval:
        """Give the channel that must bring the yes; ``leaves`` is for closing, reducing and flattening."""
        simulated = kind.is_simulated
        if leaves:
            return self.exits_simulated if simulated else self.exits_live
        named = self.account_named(account)
        own = (named and named.approval) or (self.simulated if simulated else self.live)
        return strictest(own, self.team.least_approval(account, kind))
