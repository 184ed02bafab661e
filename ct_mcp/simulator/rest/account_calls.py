"""Calls about accounts."""

from ct_mcp.simulator.addon import AddOn
from ct_mcp.simulator.rest.account_rows import account_row, snapshot_row, watermark_data
from ct_mcp.simulator.rest.account_shapes import (
    AccountAnswer,
    AccountsAnswer,
    SnapshotAnswer,
    WatermarksAnswer,
)
from ct_mcp.simulator.rest.args import AccountArgs, NoArgs
from ct_mcp.simulator.rest.times import milliseconds, with_offset


def list_accounts(addon: AddOn, _: NoArgs) -> AccountsAnswer:
    """List the accounts that the add-on can see."""
    rows = [account_row(addon, account) for account in addon.exchange.accounts.values()]
    return {"accounts": rows, "success": True}


def get_account(addon: AddOn, args: AccountArgs) -> AccountAnswer:
    """Show one account; its money is under `item`."""
    return {**account_row(addon, addon.account(args.account)), "success": True}


def get_snapshot(addon: AddOn, _: NoArgs) -> SnapshotAnswer:
    """Show all accounts with their positions. The answer may be about three seconds old."""
    cached = addon.cached_snapshot
    if cached is None or (addon.now - cached[0]).total_seconds() >= addon.habits.snapshot_cache_seconds:
        cached = addon.cached_snapshot = (addon.now, _snapshot(addon))
    return cached[1]


def get_watermarks(addon: AddOn, args: AccountArgs) -> WatermarksAnswer:
    """Show the high-water marks of the session. This needs no add-on."""
    return {"success": True, "data": watermark_data(addon, addon.account(args.account))}


def _snapshot(addon: AddOn) -> SnapshotAnswer:
    return {
        "type": "snapshot",
        "timestamp": with_offset(addon.local(addon.now)),
        "epoch": milliseconds(addon.now),
        "accounts": [snapshot_row(addon, account) for account in addon.exchange.accounts.values()],
    }
