"""Endpoints of accounts: money, the snapshot of all accounts, and high-water marks."""

from typing import cast

from typing_extensions import TypedDict

from ct_mcp.simulator.accounts import SimAccount, margin_used
from ct_mcp.simulator.addon import AddOn
from ct_mcp.simulator.fault_responses import with_hostile_text
from ct_mcp.simulator.rest.positions import PositionJson, position_json
from ct_mcp.simulator.rest.wire import AccountArgs, NoArgs, SuccessBody, dotnet_time_with_offset, epoch_milliseconds


class AccountItemJson(TypedDict):
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


class AccountJson(TypedDict):
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
    item: AccountItemJson


class AccountBody(AccountJson, SuccessBody):
    """One account by itself."""


class AccountsBody(SuccessBody):
    """All accounts."""

    accounts: list[AccountJson]


class SnapshotAccountJson(AccountJson):
    """An account inside the snapshot."""

    type: str
    isAccountFlat: bool


class SnapshotEntryJson(TypedDict):
    """An account and its positions."""

    account: SnapshotAccountJson
    positions: list[PositionJson]


class SnapshotBody(TypedDict):
    """All accounts at one moment; without `success`."""

    type: str
    timestamp: str
    epoch: int
    accounts: list[SnapshotEntryJson]


class WatermarkValuesJson(TypedDict, total=False):
    """Highest figures of the session."""

    pnlhigh: float
    netliqhigh: float
    unrealhigh: float


class WatermarkStatsJson(WatermarkValuesJson, total=False):
    """Current figures of the session."""

    pnl: float
    total: float
    unrealized: float
    poscount: int
    netliq: float


class WatermarkDataJson(TypedDict):
    """High-water marks and current figures; both empty while nothing has been reported this session."""

    account: str
    watermarks: WatermarkValuesJson
    stats: WatermarkStatsJson


class WatermarksBody(SuccessBody):
    """High-water marks, wrapped in `data` unlike other answers."""

    data: WatermarkDataJson


def account_json(addon: AddOn, account: SimAccount) -> AccountJson:
    """Write an account."""
    spec = account.spec
    return {
        "id": spec.id,
        "name": spec.name,
        "displayName": with_hostile_text(addon.faults, spec.display_name),
        "primaryUser": None,
        "provider": spec.provider,
        "denomination": spec.denomination,
        "status": "Enabled",
        "dailyLossLimit": spec.daily_loss_limit,
        "minCashValue": 0.0,
        "maxOrderSize": spec.max_order_size,
        "maxPositionSize": spec.max_position_size,
        "connection": "NinjaTrader.Cbi.Connection",
        "connectionStatus": "Connected",
        "lastTransactionSum": 0.0,
        "item": account_item_json(addon, account),
    }


def account_item_json(addon: AddOn, account: SimAccount) -> AccountItemJson:
    """Write the money of an account."""
    open_profit = addon.exchange.open_profit(account, addon.now)
    liquidation = account.cash + open_profit
    used = margin_used(account)
    return {
        "buyingPower": liquidation - used.intraday,
        "cashValue": account.cash,
        "commission": account.commission,
        "dailyLossLimit": account.spec.daily_loss_limit,
        "dailyProfitTrigger": 0.0,
        "excessInitialMargin": liquidation - used.initial,
        "excessIntradayMargin": liquidation - used.intraday,
        "excessMaintenanceMargin": liquidation - used.maintenance,
        "excessPositionMargin": liquidation - used.maintenance,
        "fee": account.fee,
        "grossRealizedProfitLoss": account.gross_realized,
        "initialMargin": used.initial,
        "intradayMargin": used.intraday,
        "longOptionValue": 0.0,
        "longStockValue": 0.0,
        "lookAheadMaintenanceMargin": used.maintenance,
        "maintenanceMargin": used.maintenance,
        "netLiquidation": liquidation,
        "netLiquidationByCurrency": 0.0,
        "positionMargin": used.maintenance,
        "realizedProfitLoss": account.realized,
        "shortOptionValue": 0.0,
        "shortStockValue": 0.0,
        "sodCashValue": account.opening_cash,
        "sodLiquidatingValue": account.opening_liquidation,
        "totalCashBalance": account.cash,
        "trailingMaxDrawdown": account.spec.trailing_max_drawdown,
        "unrealizedProfitLoss": open_profit,
        "weeklyLossLimit": 0.0,
        "weeklyProfitLoss": account.earlier_this_week + account.realized,
        "weeklyProfitTrigger": 0.0,
    }


def snapshot_entry(addon: AddOn, account: SimAccount) -> SnapshotEntryJson:
    """Write an account with its positions."""
    held = account.open_positions()
    flat: SnapshotAccountJson = {
        **account_json(addon, account),
        "type": "NinjaTrader.Cbi.Account",
        "isAccountFlat": not held,
    }
    return {"account": flat, "positions": [position_json(addon, account, position) for position in held]}


def watermark_data(addon: AddOn, account: SimAccount) -> WatermarkDataJson:
    """Write the high-water marks; there are none while the account is not monitored or nothing has been reported."""
    name = account.spec.name
    if not account.spec.monitored or not account.has_reported:
        return {"account": name, "watermarks": {}, "stats": {}}
    open_profit, marks = addon.exchange.open_profit(account, addon.now), account.watermarks
    profit = account.realized + open_profit
    return {
        "account": name,
        "watermarks": {
            "pnlhigh": round(marks.profit, 2),
            "netliqhigh": round(marks.liquidation, 2),
            "unrealhigh": round(marks.open_profit, 2),
        },
        "stats": {
            "pnl": round(profit, 2),
            "total": round(profit, 2),
            "unrealized": round(open_profit, 2),
            "poscount": len(account.open_positions()),
            "netliq": round(account.cash + open_profit, 2),
            "pnlhigh": round(marks.profit, 2),
            "netliqhigh": round(marks.liquidation, 2),
            "unrealhigh": round(marks.open_profit, 2),
        },
    }


def list_accounts(addon: AddOn, _: NoArgs) -> AccountsBody:
    """List the accounts that the add-on can see."""
    rows = [account_json(addon, account) for account in addon.exchange.accounts.values()]
    return {"accounts": rows, "success": True}


def get_account(addon: AddOn, args: AccountArgs) -> AccountBody:
    """Show one account; its money is under `item`."""
    return {**account_json(addon, addon.account(args.account)), "success": True}


def get_snapshot(addon: AddOn, _: NoArgs) -> SnapshotBody:
    """Show all accounts with their positions. The answer may be about three seconds old."""
    cached = addon.cached_snapshot
    if cached is None or (addon.now - cached[0]).total_seconds() >= addon.assumptions.snapshot_cache_seconds:
        cached = addon.cached_snapshot = (addon.now, _snapshot(addon))
    return cast(SnapshotBody, cached[1])  # the cache is filled here and nowhere else


def get_watermarks(addon: AddOn, args: AccountArgs) -> WatermarksBody:
    """Show the high-water marks of the session. This needs no add-on."""
    return {"success": True, "data": watermark_data(addon, addon.account(args.account))}


def _snapshot(addon: AddOn) -> SnapshotBody:
    return {
        "type": "snapshot",
        "timestamp": dotnet_time_with_offset(addon.local(addon.now)),
        "epoch": epoch_milliseconds(addon.now),
        "accounts": [snapshot_entry(addon, account) for account in addon.exchange.accounts.values()],
    }
