"""Endpoints of positions: list them, close them, flatten them."""

# ruff: noqa: N815 - the keys are spelled as the service spells them

from datetime import datetime
from enum import StrEnum
from typing import Annotated, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from ct_mcp.simulator import commands
from ct_mcp.simulator.accounts import SimAccount, SimPosition
from ct_mcp.simulator.addon import AddOn, RequestRefused
from ct_mcp.simulator.commands import ClosedPosition, FlattenScope
from ct_mcp.simulator.rest.wire import (
    AccountArgs,
    AccountInstrumentArgs,
    Args,
    OptionalTextArg,
    QuantityArg,
    SuccessBody,
    any_case,
    empty_as_none,
    enum_schema,
)

_NOTHING_TO_FLATTEN = "No open positions to flatten"


class FlattenDirection(StrEnum):
    """Which positions a flatten closes."""

    LONG = "long"
    SHORT = "short"


_DirectionArg = Annotated[FlattenDirection, any_case(FlattenDirection), enum_schema("long", "short")]


class AllPositionsArgs(Args):
    """Whether flat positions are listed as well."""

    include_flat: bool = False


class FlattenArgs(Args):
    """Filters; without any of them everything is flattened."""

    account: OptionalTextArg = None
    instrument: OptionalTextArg = None
    market_position: Annotated[_DirectionArg | None, empty_as_none()] = None


class FlattenAccountArgs(AccountArgs):
    """An account, and perhaps one instrument in it."""

    instrument: OptionalTextArg = None


class CloseArgs(AccountInstrumentArgs):
    """A position, and how much of it; without quantity and percent, all of it."""

    quantity: QuantityArg | None = None
    percent: Annotated[float, Field(gt=0, le=1, description="A fraction; rounded up to whole contracts.")] | None = None


class PositionJson(TypedDict):
    """One position; `quantity` has no sign, and `tag` is in the list over all accounts only."""

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


class PositionBody(PositionJson, SuccessBody):
    """One position by itself."""


class PositionsBody(TypedDict):
    """The positions of an account."""

    positions: list[PositionJson]
    success: NotRequired[bool]
    warning: NotRequired[str]


class AllPositionsBody(PositionsBody):
    """The positions of all accounts."""

    count: int


class ClosedPositionsBody(SuccessBody):
    """Positions as they were when their close was asked for."""

    closedPositions: list[PositionJson]
    warning: NotRequired[str]


class FlattenedBody(ClosedPositionsBody):
    """Closed positions over accounts, with the closing orders."""

    orderIds: list[str]


class CloseBody(ClosedPositionsBody):
    """One closed position, with what is known of the close so far."""

    pending: bool
    verified: bool
    remainingQuantity: int


def position_json(addon: AddOn, account: SimAccount, position: SimPosition, at: datetime | None = None) -> PositionJson:
    """Write a position, as it is now or was at a moment."""
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


def list_positions(addon: AddOn, args: AccountArgs) -> PositionsBody:
    """List the positions of an account."""
    account = addon.account(args.account)
    return {"positions": [position_json(addon, account, held) for held in account.open_positions()], "success": True}


def list_all_positions(addon: AddOn, args: AllPositionsArgs) -> AllPositionsBody:
    """List the positions of all accounts."""
    rows: list[PositionJson] = []
    for account in addon.exchange.accounts.values():
        held = list(account.positions.values()) if args.include_flat else account.open_positions()
        rows += [{**position_json(addon, account, position), "tag": None} for position in held]
    return {"positions": rows, "count": len(rows), "success": True}


def get_position(addon: AddOn, args: AccountInstrumentArgs) -> PositionBody:
    """Show one position."""
    account = addon.account(args.account)
    return {**position_json(addon, account, _open_position(addon, account, args.instrument)), "success": True}


def flatten_everything(addon: AddOn, args: FlattenArgs) -> FlattenedBody:
    """Close every position and cancel every order, or those that pass the filters. An empty body means everything."""
    named = (args.account, args.instrument, args.market_position)
    scope = FlattenScope(
        rpc="Flatten" if any(named) else "FlattenEverything",
        account=addon.account(args.account) if args.account else None,
        contract=addon.contract(args.instrument) if args.instrument else None,
        direction={FlattenDirection.LONG: 1, FlattenDirection.SHORT: -1, None: None}[args.market_position],
    )
    closed = _flatten(addon, scope, args)
    answer: FlattenedBody = {
        "orderIds": [each.order.id for each in closed],
        "closedPositions": _rows(addon, closed),
        "success": True,
    }
    if not closed:
        answer["warning"] = _NOTHING_TO_FLATTEN
    return answer


def flatten_account(addon: AddOn, args: FlattenAccountArgs) -> ClosedPositionsBody:
    """Close the positions of an account and cancel its orders, or those of one instrument."""
    contract = addon.contract(args.instrument) if args.instrument else None
    closed = _flatten(addon, FlattenScope("Flatten", addon.account(args.account), contract), args)
    answer: ClosedPositionsBody = {"closedPositions": _rows(addon, closed), "success": True}
    if not closed:
        answer["warning"] = _NOTHING_TO_FLATTEN
    return answer


def close_position(addon: AddOn, args: CloseArgs) -> CloseBody:
    """Close a position, or a part of it. The answer proves the request, not that it is flat."""
    account = addon.account(args.account)
    position = _open_position(addon, account, args.instrument)
    running = commands.closing_order(addon.exchange, account, position.contract)
    wanted = args.quantity or (
        commands.contracts_of(position, args.percent) if args.percent else abs(position.quantity)
    )
    if wanted < abs(position.quantity) or (running and not running.labels.closes):
        if running:
            raise RequestRefused(400, "close_in_progress", detail=f"{position.contract.name} is being closed")
        closed = commands.reduce_position(addon.exchange, account, position, wanted, addon.now)
    else:
        closed = commands.close_position(addon.exchange, account, position, "ClosePosition", addon.now)
    addon.log_call("ClosePosition", args).order = closed.order
    return {
        "closedPositions": _rows(addon, [closed]),
        "pending": True,
        "verified": False,
        "remainingQuantity": abs(position.quantity),
        "success": True,
    }


def _flatten(addon: AddOn, scope: FlattenScope, args: Args) -> list[ClosedPosition]:
    """Flatten, and record for each closing order the call that it came from."""
    closed = commands.flatten(addon.exchange, scope, addon.now)
    for each in closed:
        addon.log_call(scope.rpc, args).order = each.order
    return closed


def _rows(addon: AddOn, closed: list[ClosedPosition]) -> list[PositionJson]:
    return [position_json(addon, each.account, each.position) for each in closed]


def _open_position(addon: AddOn, account: SimAccount, instrument: str) -> SimPosition:
    contract = addon.contract(instrument)
    position = account.positions.get(contract)
    if position is None or not position.quantity:
        raise RequestRefused(400, f"No positions found for instrument '{contract.name}'")
    return position
