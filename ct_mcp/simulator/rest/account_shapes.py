"""The shapes of accounts and positions, spelled as the service spells them."""

# ruff: noqa: N815 - the keys are spelled as the service spells them

from typing import NotRequired

from typing_extensions import TypedDict

from ct_mcp.simulator.rest.envelope import Success


class AccountItem(TypedDict):
    """The money of an account."""

    buyingPower: float
    cashValue: float
    commission: float
    dailyLossLimit: float
    dailyProfitTrigger: float
    excessInitialMargin: float
    excessIntradayMargin: float
    excessMaintenanceMargin: float
    excessPositionMargin: float
    fee: float
    grossRealizedProfitLoss: float
    initialMargin: float
    intradayMargin: float
    longOptionValue: float
    longStockValue: float
    lookAheadMaintenanceMargin: float
    maintenanceMargin: float
    netLiquidation: float
    netLiquidationByCurrency: float
    positionMargin: float
    realizedProfitLoss: float
    shortOptionValue: float
    shortStockValue: float
    sodCashValue: float
    sodLiquidatingValue: float
    totalCashBalance: float
    trailingMaxDrawdown: float
    unrealizedProfitLoss: float
    weeklyLossLimit: float
    weeklyProfitLoss: float
    weeklyProfitTrigger: float


class AccountRow(TypedDict):
    """One account in a list."""

    id: int
    name: str
    displayName: str
    primaryUser: str | None
    provider: str
    denomination: str
    status: str
    dailyLossLimit: float
    minCashValue: float
    maxOrderSize: int
    maxPositionSize: int
    connection: str
    connectionStatus: str
    lastTransactionSum: float
    item: AccountItem


class AccountAnswer(AccountRow, Success):
    """One account by itself."""


class AccountsAnswer(Success):
    """All accounts."""

    accounts: list[AccountRow]


class PositionRow(TypedDict):
    """One position; `quantity` has no sign, and `tag` stands in the list over all accounts only."""

    type: str
    account: str
    instrument: str
    instrumentType: str
    marketPosition: str
    quantity: int
    averagePrice: float
    marketPrice: float
    unrealizedProfitLoss: float
    tag: NotRequired[str | None]


class PositionAnswer(PositionRow, Success):
    """One position by itself."""


class PositionsAnswer(TypedDict):
    """The positions of an account."""

    positions: list[PositionRow]
    success: NotRequired[bool]
    warning: NotRequired[str]


class AllPositionsAnswer(PositionsAnswer):
    """The positions of all accounts."""

    count: int


class SnapshotAccount(AccountRow):
    """An account inside the snapshot."""

    type: str
    isAccountFlat: bool


class SnapshotRow(TypedDict):
    """An account and what it holds."""

    account: SnapshotAccount
    positions: list[PositionRow]


class SnapshotAnswer(TypedDict):
    """All accounts at one moment; without `success`."""

    type: str
    timestamp: str
    epoch: int
    accounts: list[SnapshotRow]


class WatermarkValues(TypedDict, total=False):
    """The highest figures of the session."""

    pnlhigh: float
    netliqhigh: float
    unrealhigh: float


class WatermarkStats(WatermarkValues, total=False):
    """Where the session stands."""

    pnl: float
    total: float
    unrealized: float
    poscount: int
    netliq: float


class WatermarkData(TypedDict):
    """Watermarks and figures; both empty while nothing has been reported this session."""

    account: str
    watermarks: WatermarkValues
    stats: WatermarkStats


class WatermarksAnswer(Success):
    """Wrapped in `data`, unlike the other answers."""

    data: WatermarkData


class ClosedAnswer(Success):
    """The positions as they were when they were asked to be closed."""

    closedPositions: list[PositionRow]
    warning: NotRequired[str]


class FlattenedAnswer(ClosedAnswer):
    """The same over accounts, with the closing orders."""

    orderIds: list[str]


class CloseAnswer(ClosedAnswer):
    """The same for one position, with what is known of the close so far."""

    pending: bool
    verified: bool
    remainingQuantity: int
