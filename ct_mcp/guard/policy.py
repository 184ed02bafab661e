"""What the operator allows (Policy), what is known at this moment (View), and a no with its figures (Denial)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from zoneinfo import ZoneInfo

from ct_mcp.domain.account import Account, AccountKind
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import Quote, Session
from ct_mcp.domain.order import Order
from ct_mcp.domain.position import Position
from ct_mcp.domain.ticket import Approval, Halt


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
    """The hard limits beneath every approval. Money is account currency; prices count in ticks."""

    max_order_contracts: int = 5
    max_position_contracts: int = 10
    max_order_notional: Decimal = Decimal(1_500_000)
    max_order_risk: Decimal = Decimal(2_500)
    max_day_loss: Decimal = Decimal(500)
    max_orders_per_minute: int = 6
    max_orders_per_day: int = 100
    price_band_ticks: int = 80
    quote_max_age_seconds: float = 10.0
    duplicate_window_seconds: float = 10.0
    require_open_session: bool = True
    flat_by: FlatBy | None = None
    instruments: frozenset[str] | None = None

    def narrowed_by(self, narrower: "LimitOverrides") -> "Limits":
        """Take each value that is stricter; an override can never widen a limit."""
        changes = {name: _stricter(name, getattr(self, name), value) for name, value in narrower.items()}
        return replace(self, **changes)  # type: ignore[arg-type]  # names and types were checked by the configuration


LimitValue = int | float | Decimal | bool | FlatBy | frozenset[str]
LimitOverrides = Mapping[str, LimitValue]


def _stricter(name: str, wide: LimitValue | None, narrow: LimitValue) -> LimitValue:
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
            # A longer duplicate window is the stricter one; every other figure is stricter when smaller.
            return max(wide, narrow) if name == "duplicate_window_seconds" else min(wide, narrow)
        case _:
            raise TypeError(f"{name} cannot be narrowed from {wide!r} by {narrow!r}")


def _since_the_roll(flat_by: FlatBy) -> time:
    """When in the trading day it comes: an evening hour is early in a day that begins at 17:00 Chicago."""
    moment = datetime.combine(date(2026, 1, 15), flat_by.at, ZoneInfo(flat_by.zone)).astimezone(
        ZoneInfo("America/Chicago")
    )
    return (moment + timedelta(hours=7)).time()


@dataclass(frozen=True, slots=True)
class AccountPolicy:
    """What the configuration says of one account by name."""

    approval: Approval | None = None
    limits: LimitOverrides = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything the operator decided; ``for_`` gives it as it applies to one account and root."""

    mode: Mode = Mode.SIM
    limits: Limits = Limits()
    simulated: Approval = Approval.FORM
    live: Approval = Approval.PAGE
    exits_simulated: Approval = Approval.NONE
    exits_live: Approval = Approval.FORM
    ticket_seconds: float = 90.0
    wait_seconds: float = 25.0
    accounts: Mapping[str, AccountPolicy] = field(default_factory=dict)
    instruments: Mapping[str, LimitOverrides] = field(default_factory=dict)

    def for_(self, account: str, root: str | None) -> "Policy":
        """The policy with the limits of this account and this root narrowed in."""
        limits = self.limits
        if account in self.accounts:
            limits = limits.narrowed_by(self.accounts[account].limits)
        if root is not None and root in self.instruments:
            limits = limits.narrowed_by(self.instruments[root])
        return replace(self, limits=limits)

    def approval_for(self, account: str, kind: AccountKind, *, leaves: bool) -> Approval:
        """The channel that must bring the yes; ``leaves`` is for closing, reducing and flattening."""
        simulated = kind is AccountKind.SIMULATED
        if leaves:
            return self.exits_simulated if simulated else self.exits_live
        named = self.accounts.get(account, AccountPolicy()).approval
        return named or (self.simulated if simulated else self.live)


@dataclass(frozen=True, slots=True)
class PendingOrder:
    """An order we sent whose outcome is not known yet; it counts as if all of it stood."""

    instrument: Instrument
    signed_quantity: int


@dataclass(frozen=True, slots=True)
class View:
    """What is known when a rule decides. None means not known, and not knowing is a denial.

    ``positions`` and ``orders`` are those of the action's account; ``orders`` holds all that are not closed.
    """

    now: datetime
    account: Account | None = None
    positions: tuple[Position, ...] | None = None
    orders: tuple[Order, ...] | None = None
    pending: tuple[PendingOrder, ...] = ()
    quote: Quote | None = None
    session: Session | None = None
    armed_until: datetime | None = None
    halt: Halt | None = None
    day_loss_reached: bool = False
    orders_last_minute: int = 0
    orders_today: int = 0
    seconds_since_identical: float | None = None
    identical_is_unknown: bool = False

    @property
    def kind(self) -> AccountKind:
        """Simulated, live or unknown; unknown counts as live wherever it matters."""
        return AccountKind.UNKNOWN if self.account is None else self.account.kind

    def net_position(self, instrument: Instrument) -> int | None:
        """Signed contracts held; None where positions were not read, 0 where they were and there is none."""
        if self.positions is None:
            return None
        return sum(position.net for position in self.positions if position.instrument == instrument)

    def open_orders(self, instrument: Instrument) -> tuple[Order, ...] | None:
        """The orders of one instrument that are not closed; None where orders were not read."""
        if self.orders is None:
            return None
        return tuple(order for order in self.orders if order.instrument == instrument and not order.is_closed)

    def pending_orders(self, instrument: Instrument) -> tuple[PendingOrder, ...]:
        """The orders of unknown outcome in one instrument."""
        return tuple(order for order in self.pending if order.instrument == instrument)

    def order(self, order_id: str) -> Order | None:
        """One open order by the service's id or by our own."""
        return next((order for order in self.orders or () if order_id in (order.order_id, order.own_id)), None)


@dataclass(frozen=True, slots=True)
class Denial:
    """A rule's no: a stable code and the figures that made it."""

    code: str
    figures: str

    def __str__(self) -> str:
        return f"{self.code}: {self.figures}"
