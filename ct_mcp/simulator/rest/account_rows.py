"""Accounts and positions, written as the service writes them."""

from datetime import datetime

from ct_mcp.simulator.addon import AddOn
from ct_mcp.simulator.ledger import Account, Position, margin_used
from ct_mcp.simulator.rest.account_shapes import (
    AccountItem,
    AccountRow,
    PositionRow,
    SnapshotAccount,
    SnapshotRow,
    WatermarkData,
)
from ct_mcp.simulator.rest.hostile import spoken


def account_row(addon: AddOn, account: Account) -> AccountRow:
    """Write an account."""
    spec = account.spec
    return {
        "id": spec.id,
        "name": spec.name,
        "displayName": spoken(addon.faults, spec.display_name),
        "primaryUser": None,
        "provider": spec.provider,
        "denomination": "UsDollar",
        "status": "Enabled",
        "dailyLossLimit": spec.daily_loss_limit,
        "minCashValue": 0.0,
        "maxOrderSize": spec.max_order_size,
        "maxPositionSize": spec.max_position_size,
        "connection": "NinjaTrader.Cbi.Connection",
        "connectionStatus": "Connected",
        "lastTransactionSum": 0.0,
        "item": account_item(addon, account),
    }


def account_item(addon: AddOn, account: Account) -> AccountItem:
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


def position_row(addon: AddOn, account: Account, position: Position, at: datetime | None = None) -> PositionRow:
    """Write a position, as it is now or was at a moment; its quantity has no sign."""
    product = position.contract.product
    last = addon.market.top(position.contract, at or addon.now).last
    return {
        "type": "NinjaTrader.Cbi.Position",
        "account": account.spec.name,
        "instrument": position.contract.name,
        "instrumentType": "Future",
        "marketPosition": market_position(position.quantity),
        "quantity": abs(position.quantity),
        "averagePrice": position.average_price if position.quantity else 0.0,
        "marketPrice": product.price(last),
        "unrealizedProfitLoss": position.open_profit(last),
    }


def market_position(quantity: int) -> str:
    """Name the direction of a signed quantity."""
    if quantity == 0:
        return "Flat"
    return "Long" if quantity > 0 else "Short"


def snapshot_row(addon: AddOn, account: Account) -> SnapshotRow:
    """Write an account with what it holds."""
    held = account.open_positions()
    flat: SnapshotAccount = {
        **account_row(addon, account),
        "type": "NinjaTrader.Cbi.Account",
        "isAccountFlat": not held,
    }
    return {"account": flat, "positions": [position_row(addon, account, position) for position in held]}


def watermark_data(addon: AddOn, account: Account) -> WatermarkData:
    """Write the watermarks; there are none while nothing watches the account or nothing has been reported."""
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
