"""The shapes of orders and executions, spelled as the service spells them."""

# ruff: noqa: N815 - the keys are spelled as the service spells them

from typing import NotRequired

from typing_extensions import TypedDict

from ct_mcp.simulator.rest.envelope import Success


class OwnerStrategy(TypedDict):
    """The ATM strategy that an order belongs to."""

    id: int | None
    name: str | None
    displayName: str | None


class OrderRow(TypedDict):
    """One order in a list: its id is under `id`, and `orderId` is null."""

    id: str
    orderId: str | None
    ocoId: str
    name: str
    account: str
    instrument: str
    orderType: str
    orderState: str
    orderAction: str
    quantity: int
    limitPrice: float
    stopPrice: float
    filled: int
    averageFillPrice: float
    timeInForce: str
    time: str
    ownerStrategy: OwnerStrategy
    userData: str | None
    automatedTradingOrderId: str | None


class OrdersAnswer(Success):
    """The orders of an account."""

    orders: list[OrderRow]


class AllOrdersAnswer(OrdersAnswer):
    """The orders of all accounts."""

    count: int


class OrderAnswer(Success):
    """One order by itself: its id is under `orderId`."""

    account: str
    orderId: str
    instrument: str
    instrumentType: str
    orderType: str
    orderState: str
    quantity: int
    averageFillPrice: float
    filled: int
    fromEntrySignal: str | None
    gtd: str
    hasOverfill: bool
    isBacktestOrder: bool
    limitPrice: float
    limitPriceChanged: float
    name: str
    ocoId: str
    orderAction: str
    quantityChanged: int
    stopPrice: float
    stopPriceChanged: float
    time: str
    timeInForce: str
    ownerStrategy: OwnerStrategy
    userData: str | None


class StatusAnswer(Success):
    """The state of one order."""

    status: str


class LifecycleEvent(TypedDict):
    """One thing that happened to an order."""

    timestamp: str
    epoch: float
    source: str
    event: str
    orderState: str | None
    orderId: str | None
    account: str
    filled: NotRequired[int]
    executionId: NotRequired[str]
    price: NotRequired[float]
    quantity: NotRequired[int]
    nativeError: NotRequired[str]
    raw: NotRequired[str]


class LifecycleAnswer(Success):
    """The history of one order."""

    orderId: str
    originalOrderId: str | None
    account: str
    count: int
    events: list[LifecycleEvent]


class OrderIdAnswer(Success):
    """The id of the order that was placed, cancelled or changed."""

    orderId: str
    warning: NotRequired[str]


class OrderIdsAnswer(Success):
    """The ids of the orders that were cancelled."""

    orderIds: list[str]
    warning: NotRequired[str]


class ExecutionRow(TypedDict):
    """One execution; `time` is the computer's own and has no offset."""

    id: str
    type: str
    time: str
    epoch: int
    name: str
    orderId: str
    account: str
    serverName: str
    instrument: str
    instrumentType: str
    position: int
    marketPosition: str
    positionStrategy: int
    price: float
    quantity: int
    commission: float
    fee: float


class ExecutionAnswer(ExecutionRow, Success):
    """One execution by itself."""


class ExecutionsAnswer(Success):
    """Several executions."""

    executions: list[ExecutionRow]
