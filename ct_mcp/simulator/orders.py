"""Orders as NinjaTrader keeps them: terms, state, fills, OCO groups, ids, and the add-on's record of them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import blake2b

from ct_mcp.simulator.accounts import AccountSpec
from ct_mcp.simulator.faults import AnyFault
from ct_mcp.simulator.products import SimContract

_FIRST_BROKER_NUMBER = 676_173_541_000
_FIRST_STRATEGY_NUMBER = 334_081_723


class Action(StrEnum):
    """Side of an order."""

    BUY = "Buy"
    SELL = "Sell"

    @property
    def sign(self) -> int:
        """Return 1 for a buy, -1 for a sell."""
        return 1 if self is Action.BUY else -1

    @property
    def opposite(self) -> "Action":
        """Return the other side."""
        return Action.SELL if self is Action.BUY else Action.BUY


class SimOrderType(StrEnum):
    """The four kinds of order."""

    MARKET = "Market"
    LIMIT = "Limit"
    STOP_MARKET = "StopMarket"
    STOP_LIMIT = "StopLimit"

    @property
    def has_limit(self) -> bool:
        """Whether it has a limit price."""
        return self in (SimOrderType.LIMIT, SimOrderType.STOP_LIMIT)

    @property
    def has_stop(self) -> bool:
        """Whether it has a stop price."""
        return self in (SimOrderType.STOP_MARKET, SimOrderType.STOP_LIMIT)


class SimTimeInForce(StrEnum):
    """How long an order stays in the market."""

    DAY = "Day"
    GTC = "Gtc"


class SimOrderState(StrEnum):
    """NinjaTrader's states, in its spelling."""

    SUBMITTED = "Submitted"
    ACCEPTED = "Accepted"
    WORKING = "Working"
    TRIGGER_PENDING = "TriggerPending"
    PART_FILLED = "PartFilled"
    CHANGE_PENDING = "ChangePending"
    CANCEL_PENDING = "CancelPending"
    FILLED = "Filled"
    CANCELLED = "Cancelled"
    REJECTED = "Rejected"


TERMINAL = frozenset({SimOrderState.FILLED, SimOrderState.CANCELLED, SimOrderState.REJECTED})


@dataclass(frozen=True, slots=True)
class OrderTerms:
    """What is to be traded, and at which prices."""

    contract: SimContract
    action: Action
    quantity: int
    order_type: SimOrderType
    time_in_force: SimTimeInForce = SimTimeInForce.DAY
    limit_price: float = 0.0
    stop_price: float = 0.0

    @property
    def limit_ticks(self) -> int:
        """Limit price in ticks."""
        return self.contract.product.ticks(self.limit_price) or 0

    @property
    def stop_ticks(self) -> int:
        """Stop price in ticks."""
        return self.contract.product.ticks(self.stop_price) or 0


@dataclass(frozen=True, slots=True)
class OrderLabels:
    """Attributes of an order that do not concern the market; `rpc` is the call that placed it.

    `own_id` is the id that the caller gave. An entry names its ATM `template`; the legs of its bracket name the
    template as their `owner`, the number of this use of it as `owner_id`, and the `entry` that they protect. The
    orders of a strategy name the strategy as their owner. `closes` marks an order that closes a whole position: it
    takes the size of the position when it is acknowledged.
    """

    rpc: str = "PlaceOrder"
    name: str = ""
    own_id: str | None = None
    oco_id: str | None = None
    template: str | None = None
    owner: str | None = None
    owner_id: int | None = None
    entry: "SimOrder | None" = None
    closes: bool = False


@dataclass(slots=True, eq=False)
class SimOrder:
    """One order and its progress.

    `matches_from` is the first moment at which it can fill; `blocking_fault` is the fault that holds it back, if any.
    `id` is the one of its placement, which keeps working; `number` is the one that the broker has given it since.
    """

    id: str
    account: str
    terms: OrderTerms
    labels: OrderLabels
    placed_at: datetime
    state: SimOrderState = SimOrderState.SUBMITTED
    matches_from: datetime | None = None
    triggered: bool = False
    filled: int = 0
    filled_ticks: int = 0
    error: str | None = None
    blocking_fault: AnyFault | None = None
    joins_oco: bool = True
    owner_id: int | None = None
    number: str | None = None

    @property
    def shown_id(self) -> str:
        """The id that rows, executions and histories show."""
        return self.number or self.id

    @property
    def is_live(self) -> bool:
        """Whether it may still fill."""
        return self.state not in TERMINAL

    @property
    def remaining(self) -> int:
        """Number of contracts that are not filled yet."""
        return self.terms.quantity - self.filled

    @property
    def average_fill_price(self) -> float:
        """Average price of the fills; 0.0 before the first one."""
        if not self.filled:
            return 0.0
        return round(self.filled_ticks / self.filled * self.terms.contract.product.tick_size, 6)

    @property
    def is_plain_market(self) -> bool:
        """Whether it fills at the next price, whatever it is."""
        return self.terms.order_type is SimOrderType.MARKET or (
            self.terms.order_type is SimOrderType.STOP_MARKET and self.triggered
        )

    @property
    def waits_for_trigger(self) -> bool:
        """Whether its stop price has not been reached yet."""
        return self.terms.order_type.has_stop and not self.triggered


@dataclass(frozen=True, slots=True)
class SimExecution:
    """One fill of an order; `position` is the signed net position after it."""

    id: str
    order: SimOrder
    at: datetime
    quantity: int
    ticks: int
    position: int
    commission: float
    fee: float


def oco_siblings(order: SimOrder, among: Iterable[SimOrder]) -> list[SimOrder]:
    """List the other orders of the OCO group of an order; an order that came too late to a group is in none."""
    if not order.labels.oco_id or not order.joins_oco:
        return []
    group = (order.account, order.labels.oco_id)
    return [
        other
        for other in among
        if other is not order and other.joins_oco and (other.account, other.labels.oco_id) == group
    ]


def ends_oco_group(order: SimOrder) -> bool:
    """Check whether the end of an order cancels the rest of its OCO group.

    A rejected leg of CancelAndBracket does not: a user was left with the target and without a stop.
    """
    return not order.is_live and not (order.state is SimOrderState.REJECTED and order.labels.rpc == "CancelAndBracket")


class IdGenerator:
    """Ids as NinjaTrader and brokers make them, each one unique, the same in every run of a seed."""

    def __init__(self, seed: int) -> None:
        """Start at the first id."""
        self._seed = seed
        self._made = 0
        self._strategies = 0

    def guid(self, kind: str) -> str:
        """Make an id of 32 hexadecimal digits."""
        self._made += 1
        return blake2b(f"{self._seed}/{kind}/{self._made}".encode(), digest_size=16).hexdigest()

    def order(self, spec: AccountSpec) -> str:
        """Make the id of an order: NinjaTrader's on a simulated account, the broker's number on a real one."""
        return self.guid("order") if spec.is_simulated else self.number()

    def number(self) -> str:
        """Make a number as brokers give it to an order."""
        self._made += 1
        return str(_FIRST_BROKER_NUMBER + self._made)

    def strategy(self) -> int:
        """Make the number of a strategy, or of one use of an ATM strategy template."""
        self._strategies += 1
        return _FIRST_STRATEGY_NUMBER + self._strategies - 1


@dataclass(slots=True)
class ReceivedCall:
    """One call that reached the add-on, with its arguments; `order` is the order that it led to or concerned."""

    at: datetime
    rpc: str
    account: str
    given_id: str | None
    arguments: dict[str, object]
    order: SimOrder | None = None


@dataclass(frozen=True, slots=True)
class OrderTransition:
    """One state that an order has had."""

    at: datetime
    order: SimOrder
    state: SimOrderState
    filled: int
    error: str | None


OrderEvent = OrderTransition | SimExecution


class OrderRecord:
    """Every call that the add-on has received and every state that an order has had, oldest first.

    The listener is called with each transition and each execution at once, while the order and the position are as
    they were at that moment.
    """

    def __init__(self) -> None:
        """Start empty, without a listener."""
        self.calls: list[ReceivedCall] = []
        self.transitions: list[OrderTransition] = []
        self.listener: Callable[[OrderEvent], None] | None = None

    def add_call(self, call: ReceivedCall) -> ReceivedCall:
        """Record a call, before it is carried out."""
        self.calls.append(call)
        return call

    def add_transition(self, order: SimOrder, at: datetime) -> None:
        """Record and report the state that an order is in now."""
        transition = OrderTransition(at, order, order.state, order.filled, order.error)
        self.transitions.append(transition)
        self._report(transition)

    def report_change(self, order: SimOrder, at: datetime) -> None:
        """Report that an order has other terms or has filled more, in the same state; nothing is recorded."""
        self._report(OrderTransition(at, order, order.state, order.filled, order.error))

    def report_execution(self, execution: SimExecution) -> None:
        """Report an execution; nothing is recorded."""
        self._report(execution)

    def history_of(self, any_id: str, order: SimOrder | None) -> list[ReceivedCall | OrderTransition]:
        """List what is recorded of an order, by NinjaTrader's id or the caller's, refused calls included."""
        entries: list[ReceivedCall | OrderTransition] = [
            call for call in self.calls if call.given_id == any_id or (order is not None and call.order is order)
        ]
        entries += [transition for transition in self.transitions if transition.order is order]
        return sorted(entries, key=lambda entry: entry.at)

    def _report(self, event: OrderEvent) -> None:
        if self.listener is not None:
            self.listener(event)
