"""Calls about positions: look at them and leave them."""

from ct_mcp.simulator.addon import AddOn
from ct_mcp.simulator.closing import Left, Scope, closing_order, flatten, leave, part_of, reduce
from ct_mcp.simulator.ledger import Account, Position
from ct_mcp.simulator.products import Contract
from ct_mcp.simulator.refusals import Refusal
from ct_mcp.simulator.rest.account_rows import position_row
from ct_mcp.simulator.rest.account_shapes import (
    AllPositionsAnswer,
    CloseAnswer,
    ClosedAnswer,
    FlattenedAnswer,
    PositionAnswer,
    PositionRow,
    PositionsAnswer,
)
from ct_mcp.simulator.rest.args import (
    AccountArgs,
    AccountInstrumentArgs,
    AllPositionsArgs,
    Args,
    CloseArgs,
    Direction,
    FlattenAccountArgs,
    FlattenArgs,
)
from ct_mcp.simulator.rest.intake import received

_NOTHING_TO_FLATTEN = "No open positions to flatten"


def list_positions(addon: AddOn, args: AccountArgs) -> PositionsAnswer:
    """List what an account holds."""
    account = addon.account(args.account)
    return {"positions": [position_row(addon, account, held) for held in account.open_positions()], "success": True}


def list_all_positions(addon: AddOn, args: AllPositionsArgs) -> AllPositionsAnswer:
    """List what all accounts hold."""
    rows: list[PositionRow] = []
    for account in addon.exchange.accounts.values():
        held = list(account.positions.values()) if args.include_flat else account.open_positions()
        rows += [{**position_row(addon, account, position), "tag": None} for position in held]
    return {"positions": rows, "count": len(rows), "success": True}


def get_position(addon: AddOn, args: AccountInstrumentArgs) -> PositionAnswer:
    """Show one position."""
    account = addon.account(args.account)
    return {**position_row(addon, account, _open_position(addon, account, args.instrument)), "success": True}


def flatten_everything(addon: AddOn, args: FlattenArgs) -> FlattenedAnswer:
    """Close every position and cancel every order, or what fits the filters. An empty body means everything."""
    named = (args.account, args.instrument, args.market_position)
    scope = Scope(
        rpc="Flatten" if any(named) else "FlattenEverything",
        account=addon.account(args.account) if args.account else None,
        contract=addon.contract(args.instrument) if args.instrument else None,
        direction={Direction.LONG: 1, Direction.SHORT: -1, None: None}[args.market_position],
    )
    left = _left(addon, scope, args)
    answer: FlattenedAnswer = {
        "orderIds": [each.order.id for each in left],
        "closedPositions": _rows(addon, left),
        "success": True,
    }
    if not left:
        answer["warning"] = _NOTHING_TO_FLATTEN
    return answer


def flatten_account(addon: AddOn, args: FlattenAccountArgs) -> ClosedAnswer:
    """Close the positions of an account and cancel its orders, or those of one instrument."""
    contract = addon.contract(args.instrument) if args.instrument else None
    left = _left(addon, Scope("Flatten", addon.account(args.account), contract), args)
    answer: ClosedAnswer = {"closedPositions": _rows(addon, left), "success": True}
    if not left:
        answer["warning"] = _NOTHING_TO_FLATTEN
    return answer


def close_position(addon: AddOn, args: CloseArgs) -> CloseAnswer:
    """Close a position, or a part of it. The answer proves the request, not that it is flat."""
    account = addon.account(args.account)
    position = _open_position(addon, account, args.instrument)
    running = closing_order(addon.exchange, account, position.contract)
    wanted = args.quantity or (part_of(position, args.percent) if args.percent else abs(position.quantity))
    if wanted < abs(position.quantity) or (running and not running.labels.closes):
        if running:
            raise Refusal(400, "close_in_progress", detail=f"{position.contract.name} is being closed")
        left = reduce(addon.exchange, account, position, wanted, addon.now)
    else:
        left = leave(addon.exchange, account, position, "ClosePosition", addon.now)
    received(addon, "ClosePosition", args).order = left.order
    return {
        "closedPositions": _rows(addon, [left]),
        "pending": True,
        "verified": False,
        "remainingQuantity": abs(position.quantity),
        "success": True,
    }


def _left(addon: AddOn, scope: Scope, args: Args) -> list[Left]:
    """Flatten, and write down for each closing order where it came from."""
    left = flatten(addon.exchange, scope, addon.now)
    for each in left:
        received(addon, scope.rpc, args).order = each.order
    return left


def _rows(addon: AddOn, left: list[Left]) -> list[PositionRow]:
    return [position_row(addon, each.account, each.position) for each in left]


def _open_position(addon: AddOn, account: Account, instrument: str) -> Position:
    contract: Contract = addon.contract(instrument)
    position = account.positions.get(contract)
    if position is None or not position.quantity:
        raise Refusal(400, f"No positions found for instrument '{contract.name}'")
    return position
