"""The facts that a command is judged on, and what the service's report says of the trading session."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from ct_mcp.domain.account import Account, AccountKind, Position
from ct_mcp.domain.approval import Halt
from ct_mcp.domain.balances import BalanceRecord
from ct_mcp.domain.commands import PlaceOrder
from ct_mcp.domain.instrument import Instrument, OtherInstrument
from ct_mcp.domain.market import Contract, Quote, Session, trading_day_began
from ct_mcp.domain.order import Order, OrderType, TimeInForce
from ct_mcp.domain.strategy import Strategy
from ct_mcp.domain.team import TeamStanding
from ct_mcp.guard.policy import FlatBy


@dataclass(frozen=True, slots=True)
class PendingOrder:
    """Contracts that we sent and whose outcome is not known yet; they count as if all of them may still fill.

    ``leaves`` says that they were sent to leave a position: an exit that is on its way. ``is_filled`` says that they
    were seen to have filled, of whosever order, and that the positions do not show it yet.
    """

    instrument: Instrument
    signed_quantity: int
    leaves: bool = False
    is_filled: bool = False

    @property
    def why(self) -> str:
        """Say why it counts."""
        return "filled, and not in the positions yet" if self.is_filled else "of unknown outcome"


@dataclass(frozen=True, slots=True)
class RiskContext:
    """What is known when a rule decides. None means not known, and not knowing is a denial.

    ``positions`` and ``orders`` are those of the command's account; ``orders`` holds all that are not closed,
    ``over`` the ids of those that were.
    ``whole_exits`` are the instruments, or None for all, of which an exit of ours may still leave whatever is held.
    ``strategy_starts`` are those, or None for any, where a strategy of ours may trade that nobody has seen start.
    ``strategy`` is the one that the command names; ``atm_templates`` are read for an order that names one. ``unread``
    says what could not be read. ``journal_position`` is where the journal ended when the reading began: what was
    written later, this may not know. ``possibly_open`` are orders of ours that the journal last knew to stand, where
    no list shows anything at all. ``contract_before`` is what the first quote of this trading day said of the contract.
    ``listed_accounts`` names all accounts that are known. ``clock_ahead_seconds`` is how far the clock of NinjaTrader's
    computer is ahead, or below zero behind, where quotes show that it is wrong. ``read_at`` is when the facts had been
    read, where that is not now: they were judged once more. ``book_asked_at`` is when positions were asked for.
    ``contracts`` says what each is worth, as far as a quote of today did; ``entries`` are the entries with exits that
    are not all filled, by our order ids and the service's. ``record`` holds the balances of the account's days, where
    a rule of its firm needs them. ``elsewhere`` are the books of all other accounts by name, read where a rule needs
    them: no more of each than positions, orders and what is of unknown outcome. ``team`` is how the trader stands with
    a team; None where there is none. ``by_report`` says that ``positions`` are the report's, which may be seconds old:
    good for a question, after which they are read, and for nothing that is sent. ``orders_doubted`` says that the list
    of orders was empty beside something that is held, and that no second list could be read to bear that out.
    ``front_taken`` is the front month that an exit was taken to mean by its root, as nothing of it was shown as held.
    """

    now: datetime
    account: Account | None = None
    positions: tuple[Position, ...] | None = None
    orders: tuple[Order, ...] | None = None
    pending: tuple[PendingOrder, ...] = ()
    whole_exits: tuple[Instrument | None, ...] = ()
    strategy_starts: tuple[Instrument | None, ...] = ()
    quote: Quote | None = None
    contract_before: Contract | None = None
    session: Session | None = None
    strategy: Strategy | None = None
    atm_templates: tuple[str, ...] | None = None
    armed_until: datetime | None = None
    halt: Halt | None = None
    day_loss_reached: bool = False
    orders_last_minute: int = 0
    minute_began_at: datetime | None = None
    orders_today: int = 0
    seconds_since_identical: float | None = None
    identical_is_unknown: bool = False
    unread: tuple[str, ...] = ()
    journal_position: int = 0
    possibly_open: tuple[str, ...] = ()
    listed_accounts: tuple[str, ...] = ()
    clock_ahead_seconds: float | None = None
    read_at: datetime | None = None
    contracts: Mapping[Instrument, Contract] = field(default_factory=dict)
    entries: Mapping[str, PlaceOrder] = field(default_factory=dict)
    book_asked_at: datetime | None = None
    record: BalanceRecord | None = None
    elsewhere: "Mapping[str, RiskContext] | None" = None
    team: TeamStanding | None = None
    by_report: bool = False
    orders_doubted: bool = False
    over: frozenset[str] = frozenset()
    front_taken: Instrument | None = None

    @property
    def kind(self) -> AccountKind:
        """Simulated, live or unknown; unknown counts as live wherever it matters."""
        return AccountKind.UNKNOWN if self.account is None else self.account.kind

    def net_position(self, instrument: Instrument) -> int | None:
        """Signed contracts held; 0 where positions were read and there is none.

        None where positions were not read, where several rows tell of the same contract, so that nobody can say
        whether they add up or repeat each other, and where a row may be of it that cannot be read as any future.
        """
        if self.positions is None or any(_may_be(position.instrument, instrument) for position in self.positions):
            return None
        rows = [position for position in self.positions if position.instrument == instrument]
        return None if len(rows) > 1 else sum(row.net for row in rows)

    def open_orders(self, instrument: Instrument) -> tuple[Order, ...] | None:
        """Give the orders of one instrument that are not closed; None where orders were not read."""
        if self.orders is None or any(_may_be(order.instrument, instrument) for order in self.orders):
            return None
        return tuple(order for order in self.orders if order.instrument == instrument and not order.is_closed)

    def pending_orders(self, instrument: Instrument) -> tuple[PendingOrder, ...]:
        """Give the orders of unknown outcome in one instrument."""
        return tuple(order for order in self.pending if order.instrument == instrument)

    def order(self, order_id: str) -> Order | None:
        """One open order by the service's id or by our own."""
        return next((order for order in self.orders or () if order.is_named(order_id)), None)


def _may_be(listed: Instrument, instrument: Instrument) -> bool:
    return isinstance(listed, OtherInstrument) and listed != instrument and listed.may_be(instrument)


def session_is_open(instrument: Instrument, context: RiskContext) -> bool | None:
    """Say whether the session is open; None where the report is missing, of another contract or has run out."""
    session = context.session
    if session is None or session.is_open is None or session.instrument != instrument:
        return None
    turns_at = session.closes_at if session.is_open else session.opens_at
    return None if turns_at is not None and turns_at <= context.now else session.is_open


def session_told(instrument: Instrument | None, context: RiskContext) -> Session | None:
    """Give the report of a session that is of this very contract; None where there is none."""
    session = context.session
    return session if session is not None and instrument is not None and session.instrument == instrument else None


def may_rest(order: PlaceOrder, context: RiskContext) -> bool:
    """Say whether it can wait for the open: a good-till-cancelled order with a price, while the session is closed."""
    waits = order.order_type is not OrderType.MARKET and order.time_in_force is TimeInForce.GTC
    return waits and session_is_open(order.instrument, context) is False


def flat_by_moment(flat_by: FlatBy, now: datetime) -> datetime:
    """Give the moment of ``flat_by`` inside the trading day of ``now``; the roll itself where that day skips it.

    Raises:
        KeyError, ValueError: There is no such time zone.
    """
    began_at = trading_day_began(now)
    rolls_at = trading_day_began(began_at + timedelta(hours=36))
    zone = ZoneInfo(flat_by.zone)
    first = began_at.astimezone(zone).date()
    moments = (datetime.combine(first + timedelta(days=days), flat_by.at, zone).astimezone(UTC) for days in range(3))
    return next((moment for moment in moments if began_at < moment <= rolls_at), rolls_at)
