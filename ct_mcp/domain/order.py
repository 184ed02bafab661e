"""Orders as NinjaTrader reports them, their states in named sets, and executions."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from string import ascii_letters, digits

from ct_mcp.domain.instrument import Instrument

LARGEST_PRICE = Decimal(1_000_000_000)
MOST_DECIMALS = 12
LONGEST_LOOKBACK_SECONDS = 900
"""So far back are executions told. Source: endpoints reference, "ListExecutions"."""


def is_plain_group(name: str) -> bool:
    """Say whether a group's name holds nothing which could be a sentence; NinjaTrader's own are of this form."""
    return 0 < len(name) <= _LONGEST_GROUP and _OF_A_GROUP.issuperset(name)


def is_whole_number(quantity: object) -> bool:
    """Say whether it counts contracts: an int of one or more, and no bool."""
    return type(quantity) is int and quantity >= 1


def is_price(price: object) -> bool:
    """Say whether it is a finite price of sane size; zero is none, because CrossTrade reads it as 'no price'."""
    return (
        isinstance(price, Decimal)
        and price.is_finite()
        and 0 < abs(price) <= LARGEST_PRICE
        and price == round(price, MOST_DECIMALS)
    )


class OrderAction(StrEnum):
    """What an order does."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        """Plus one for BUY, minus one for SELL."""
        return 1 if self is OrderAction.BUY else -1


class OrderType(StrEnum):
    """The four order types that the service places, and two that only describe what somebody placed otherwise.

    An order of those two counts like any other and can be cancelled; its prices are not known, and nothing sends one.
    """

    MARKET = "MARKET"
    LIMIT = "LIMIT"
    STOP_MARKET = "STOP_MARKET"
    STOP_LIMIT = "STOP_LIMIT"
    MARKET_IF_TOUCHED = "MARKET_IF_TOUCHED"
    OTHER = "OTHER"

    @property
    def can_be_sent(self) -> bool:
        """Say whether an order of this type may be placed."""
        return self not in (OrderType.MARKET_IF_TOUCHED, OrderType.OTHER)

    @property
    def needs_limit_price(self) -> bool:
        """Say whether it must carry a limit price."""
        return self in (OrderType.LIMIT, OrderType.STOP_LIMIT)

    @property
    def needs_stop_price(self) -> bool:
        """Say whether it must carry a stop price."""
        return self in (OrderType.STOP_MARKET, OrderType.STOP_LIMIT)


class TimeInForce(StrEnum):
    """How long an order stands: to the end of the session, or until cancelled."""

    DAY = "DAY"
    GTC = "GTC"


class OrderState(StrEnum):
    """NinjaTrader's sixteen states. UNKNOWN is its own and what we cannot read, and is never taken for closed."""

    INITIALIZED = "INITIALIZED"
    SUBMITTED = "SUBMITTED"
    ACCEPTED = "ACCEPTED"
    ACCEPTED_BY_RISK = "ACCEPTED_BY_RISK"
    TRIGGER_PENDING = "TRIGGER_PENDING"
    WORKING = "WORKING"
    PART_FILLED = "PART_FILLED"
    CHANGE_PENDING = "CHANGE_PENDING"
    CHANGE_SUBMITTED = "CHANGE_SUBMITTED"
    CANCEL_PENDING = "CANCEL_PENDING"
    CANCEL_SUBMITTED = "CANCEL_SUBMITTED"
    FILLED = "FILLED"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"
    SUSPENDED = "SUSPENDED"
    UNKNOWN = "UNKNOWN"


OWN_ID = "ctmcp-"
"""How each order id of ours begins."""
NEW_GROUP = f"{OWN_ID}new-group"
"""Stands for an OCO group that the ticket names as it is spent, since NinjaTrader takes no name of one twice."""
_LONGEST_GROUP = 40
_OF_A_GROUP = frozenset(ascii_letters + digits + "_-")
CLOSED = frozenset({OrderState.FILLED, OrderState.CANCELLED, OrderState.REJECTED})
ACCEPTED = frozenset({OrderState.ACCEPTED, OrderState.ACCEPTED_BY_RISK})
IN_MARKET = frozenset({OrderState.WORKING, OrderState.PART_FILLED})
IN_PLACE = IN_MARKET | {OrderState.TRIGGER_PENDING}
WORKING = ACCEPTED | IN_MARKET | {OrderState.TRIGGER_PENDING, OrderState.SUSPENDED}
IN_CANCELLATION = frozenset({OrderState.CANCEL_PENDING, OrderState.CANCEL_SUBMITTED})
IN_FLIGHT = frozenset(OrderState) - CLOSED - WORKING - {OrderState.UNKNOWN}


@dataclass(frozen=True, slots=True)
class Order:
    """One order row. Prices are None where the order type has none.

    ``unknown_word`` is their word for a state that we do not know; ``said`` is their remark on what became of it.
    """

    account: str
    order_id: str
    instrument: Instrument
    action: OrderAction
    order_type: OrderType
    state: OrderState
    quantity: int
    filled: int
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    average_fill_price: Decimal | None = None
    time_in_force: TimeInForce | None = None
    oco_id: str | None = None
    name: str | None = None
    own_id: str | None = None
    placed_at: datetime | None = None
    unknown_word: str | None = None
    said: str | None = None
    exact_quantity: Decimal | None = None

    @property
    def state_text(self) -> str:
        """The state; of one that we do not know, with their word for it."""
        return f'{self.state} ("{self.unknown_word}")' if self.unknown_word else self.state

    @property
    def amount(self) -> int | Decimal:
        """What it is for, as it is shown: of what is no future it may be a part."""
        return self.quantity if self.exact_quantity is None else self.exact_quantity

    @property
    def remaining(self) -> int:
        """Contracts that may still fill; none once the order is closed."""
        return 0 if self.is_closed else max(0, self.quantity - self.filled)

    @property
    def is_closed(self) -> bool:
        """Say whether nothing more can happen to it. An unknown state is not closed."""
        return self.state in CLOSED

    def is_named(self, order_id: str) -> bool:
        """Say whether it carries that id, as theirs or as ours: an answer may hold another order than was asked for."""
        return order_id in (self.order_id, self.own_id)


def has_come_to_rest(order: Order) -> bool:
    """Say whether nothing more is about to happen by itself: done, or standing in the market."""
    return order.is_closed or (order.order_type is not OrderType.MARKET and order.state in IN_PLACE)


@dataclass(frozen=True, slots=True)
class Execution:
    """The record of one trade of an order; ``commission`` holds the fees as well, of all its contracts."""

    account: str
    execution_id: str
    order_id: str | None
    instrument: Instrument
    action: OrderAction | None
    quantity: int
    price: Decimal
    at: datetime | None
    name: str | None = None
    exact_quantity: Decimal | None = None
    commission: Decimal | None = None

    @property
    def amount(self) -> int | Decimal:
        """What it is for, as it is shown: of what is no future it may be a part."""
        return self.quantity if self.exact_quantity is None else self.exact_quantity


@dataclass(frozen=True, slots=True)
class LifecycleEvent:
    """One recorded step of an order: a state, a received command or a fill."""

    at: datetime | None
    source: str
    event: str
    state: OrderState | None
    order_id: str | None
    said: str | None = None


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """The history of one order, oldest first; the evidence after an unknown outcome."""

    order_id: str
    own_id: str | None
    account: str | None
    events: tuple[LifecycleEvent, ...]

    @property
    def last_state(self) -> OrderState | None:
        """The newest state that any event carries; None where none does."""
        return next((event.state for event in reversed(self.events) if event.state is not None), None)

    @property
    def last_said(self) -> str | None:
        """The newest remark that any event carries; None where none does."""
        return next((event.said for event in reversed(self.events) if event.said), None)
