"""Tools for positions: leaving them, turning them round, protecting them. Each proposes; the desk does the rest."""

from dataclasses import replace
from typing import Annotated

from mcp_types import InputRequiredResult
from pydantic import Field

from ct_mcp.domain.action import ClosePosition, Flatten, FlattenEverything, ProtectPosition, ReversePosition
from ct_mcp.server.asking import propose_and_ask
from ct_mcp.server.reading import Reading
from ct_mcp.server.tools.trading import AccountName, HeldInstrument, OneInstrument, Traded, exact, exit_from, told
from ct_mcp.server.wiring import ToolContext, desk_of
from ct_mcp.server.within_reach import accounts_to_leave


async def close_position(
    ctx: ToolContext,
    account: AccountName,
    instrument: HeldInstrument,
    quantity: Annotated[int | None, Field(ge=1, description="Contracts; leave out for all")] = None,
    percent: Annotated[float | None, Field(gt=0, le=100, description="Instead of quantity; rounds up")] = None,
) -> Traded:
    """Leave one position, whole or in part. A part leaves stops and targets working: see warnings."""
    desk = desk_of(ctx)
    name = (await desk.names.account(account)).name
    contract = await desk.names.instrument_held(instrument, name)
    return told(await propose_and_ask(ctx, ClosePosition(name, contract, quantity, exact(percent))))


async def flatten(ctx: ToolContext, account: AccountName, instrument: OneInstrument = None) -> Traded:
    """Get flat: leave all positions and cancel all orders of an account, or of one instrument in it.

    Says flat only when the account was read and was flat. Needs no quote, works while trading is halted.
    """
    name, contract = await exit_from(ctx, account, instrument)
    return told(await propose_and_ask(ctx, Flatten(name, contract)))


async def flatten_everything(ctx: ToolContext) -> Traded:
    """Flatten every account that this server may trade, one after the other, for one yes.

    Warnings name the accounts it leaves alone. For one account use flatten.
    """
    accounts, left_alone = await accounts_to_leave(Reading(desk_of(ctx)))
    outcome = await propose_and_ask(ctx, FlattenEverything(accounts))
    if isinstance(outcome, InputRequiredResult):
        return outcome
    return told(replace(outcome, warnings=(*outcome.warnings, *left_alone)))


async def reverse_position(ctx: ToolContext, account: AccountName, instrument: HeldInstrument) -> Traded:
    """Stand the other way round in one instrument, at the same size. Needs a position.

    Orders around the old position may go or stay: see warnings. The new one has no stop: use protect_position.
    """
    desk = desk_of(ctx)
    name = (await desk.names.account(account)).name
    return told(await propose_and_ask(ctx, ReversePosition(name, await desk.names.instrument_held(instrument, name))))


async def protect_position(
    ctx: ToolContext,
    account: AccountName,
    instrument: HeldInstrument,
    take_profit_price: Annotated[float | None, Field(description="Limit on the winning side")] = None,
    stop_loss_price: Annotated[float | None, Field(description="Stop on the losing side")] = None,
) -> Traded:
    """Put a stop, a target or both as OCO around a whole position, in place of ALL orders of the instrument.

    Unprotected for a moment: read warnings. Needs a position; to move one price use change_order.
    """
    desk = desk_of(ctx)
    name = (await desk.names.account(account)).name
    contract = await desk.names.instrument_held(instrument, name)
    bracket = ProtectPosition(name, contract, exact(take_profit_price), exact(stop_loss_price))
    return told(await propose_and_ask(ctx, bracket))
