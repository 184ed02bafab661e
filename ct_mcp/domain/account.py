"""Accounts: their kind, balances, positions and high-water marks."""

import unicodedata
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from ct_mcp.domain.instrument import Instrument


def account_key(name: str) -> str:
    """Make equal what the service takes for one name.

    Case does not matter, but only in plain letters: others fold into look-alikes, as a long s folds into an s.
    """
    return name.lower() if name.isascii() else name


def looks_like(name: str, other: str) -> bool:
    """Say whether a person may take one name for the other: a letter O for a zero, a blank more, another dash."""
    return _as_seen(name) == _as_seen(other)


_SEEN_AS = str.maketrans({"o": "0", "i": "1", "l": "1", "|": "1"})


def _as_seen(name: str) -> str:
    folded = unicodedata.normalize("NFKC", name).casefold().translate(_SEEN_AS)
    return "".join(mark for mark in folded if mark.isalnum())


class Direction(StrEnum):
    """Which way a position stands. It decides, so it has no UNKNOWN: an unread word is refused."""

    LONG = "LONG"
    SHORT = "SHORT"
    FLAT = "FLAT"


@dataclass(frozen=True, slots=True)
class Position:
    """The net holding of one instrument in one account; ``quantity`` is never negative.

    What is no future may be held in parts: ``exact_quantity`` has them, and ``quantity`` the next whole number.
    """

    account: str
    instrument: Instrument
    direction: Direction
    quantity: int
    average_price: Decimal | None
    market_price: Decimal | None = None
    unrealized_pnl: Decimal | None = None
    exact_quantity: Decimal | None = None

    @property
    def amount(self) -> int | Decimal:
        """What is held, as it is shown."""
        return self.quantity if self.exact_quantity is None else self.exact_quantity

    @property
    def net(self) -> int:
        """Contracts, signed: positive when long, negative when short."""
        match self.direction:
            case Direction.LONG:
                return self.quantity
            case Direction.SHORT:
                return -self.quantity
            case Direction.FLAT:  # pragma: no branch  # the set is closed
                return 0


class AccountKind(StrEnum):
    """Whether real money can move. What is not known counts as live.

    REPLAY is an account of NinjaTrader's Market Replay (Playback): its prices are of another day.
    """

    SIMULATED = "simulated"
    REPLAY = "replay"
    LIVE = "live"
    UNKNOWN = "unknown"

    @property
    def is_simulated(self) -> bool:
        """Say whether no real money can move."""
        return self in (AccountKind.SIMULATED, AccountKind.REPLAY)


@dataclass(frozen=True, slots=True)
class Balances:
    """NinjaTrader's account items, in account currency; None where the service did not say."""

    cash_value: Decimal | None = None
    net_liquidation: Decimal | None = None
    buying_power: Decimal | None = None
    realized_pnl: Decimal | None = None
    unrealized_pnl: Decimal | None = None
    gross_realized_pnl: Decimal | None = None
    commission: Decimal | None = None
    initial_margin: Decimal | None = None
    maintenance_margin: Decimal | None = None
    excess_initial_margin: Decimal | None = None
    trailing_max_drawdown: Decimal | None = None
    daily_loss_limit: Decimal | None = None
    weekly_loss_limit: Decimal | None = None
    weekly_pnl: Decimal | None = None

    @property
    def day_pnl(self) -> Decimal | None:
        """Realised and unrealised together; unknown as soon as one of them is."""
        if self.realized_pnl is None or self.unrealized_pnl is None:
            return None
        return self.realized_pnl + self.unrealized_pnl

    @property
    def week_pnl(self) -> Decimal | None:
        """Realised since the week began, and unrealised; unknown as soon as one of them is."""
        if self.weekly_pnl is None or self.unrealized_pnl is None:
            return None
        return self.weekly_pnl + self.unrealized_pnl


@dataclass(frozen=True, slots=True)
class Account:
    """One NinjaTrader account by its canonical name.

    ``status`` and the two sizes are limits that its broker or firm has set in NinjaTrader; a size of 0 is none.
    """

    name: str
    kind: AccountKind
    provider: str | None = None
    display_name: str | None = None
    currency: str | None = None
    connection_status: str | None = None
    status: str | None = None
    max_order_size: int | None = None
    max_position_size: int | None = None
    balances: Balances = Balances()

    @property
    def is_connected(self) -> bool | None:
        """Whether it reaches its broker, by NinjaTrader's one word for that; None where nobody said."""
        return None if self.connection_status is None else self.connection_status.casefold() == "connected"


@dataclass(frozen=True, slots=True)
class AccountSnapshot:
    """An account with its open positions, as one report said it; None where it names no list of them."""

    account: Account
    positions: tuple[Position, ...] | None
    is_flat: bool | None

    @property
    def speaks_of_positions(self) -> bool:
        """Say whether anything in it says that something is held; only positions have an unrealised P&L."""
        held = any(position.quantity for position in self.positions or ())
        return held or self.is_flat is False or bool(self.account.balances.unrealized_pnl)

    @property
    def what_is_held(self) -> tuple[Position, ...] | None:
        """Its positions; None where it names no list, or says that something is held and lists nothing."""
        held = any(position.quantity for position in self.positions or ())
        return self.positions if held or not self.speaks_of_positions else None


@dataclass(frozen=True, slots=True)
class Watermarks:
    """The session's high-water marks, kept by CrossTrade itself; all None when it monitors nothing."""

    account: str
    pnl: Decimal | None = None
    pnl_high: Decimal | None = None
    net_liquidation: Decimal | None = None
    net_liquidation_high: Decimal | None = None
    unrealized_pnl: Decimal | None = None
    unrealized_high: Decimal | None = None
