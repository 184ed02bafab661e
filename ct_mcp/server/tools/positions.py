"""Tools for positions: reading, closing, reversing and protecting them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

from mcp_types import CallToolResult, InputRequiredResult
from pydantic import Field

from ct_mcp.domain.account import Position
from ct_mcp.domain.commands import ClosePosition, Flatten, ReversePosition
from ct_mcp.domain.instrument import OtherInstrument
from ct_mcp.domain.level import ExitKind
from ct_mcp.domain.products import price_of
from ct_mcp.server.account_queries import flattenable_accounts
from ct_mcp.server.context import ToolContext, desk_of, query_of
from ct_mcp.server.elicitation import propose_and_ask
from ct_mcp.server.format import (
    ReadResult,
    ToolResult,
    join_cells,
    join_lines,
    kind_of,
    note_lines,
    page_of,
    sanitize_name,
    shown_amount,
    to_float,
    tool_result,
)
from ct_mcp.server.queries import (
    OrdersRead,
    Query,
    list_orders,
    orders_borne_out,
    read_positions,
    read_scope,
    time_limit,
)
from ct_mcp.server.tool_schema import MOST_COUNTED
from ct_mcp.server.tools.exit_levels import to_decimal
from ct_mcp.server.tools.forms import (
    AccountName,
    AnyAccount,
    AnyInstrument,
    HeldInstrument,
    OneInstrument,
    Skip,
    StopLevel,
    TargetLevel,
    to_levels,
)
from ct_mcp.server.tools.orders import Traded, contract_held, exit_target, propose, to_result
from ct_mcp.text import iso, money, signed_money

if TYPE_CHECKING:  # the desk is loaded by the first call, not by the start
    from ct_mcp.desk.standing import Contracts, ExitLeg, Standing

_MOST_QUOTES = 20  # of one request

# Reading


class LegView(ToolResult):
    """A stop or a target behind a position."""

    order_id: str
    contracts: int
    price: float | None
    state: str
    money: float | None = Field(description="What these contracts come to there, in the contract's currency.")


class PositionView(ToolResult):
    """One position. What is behind it is null where its orders were not read."""

    account: str
    instrument: str
    direction: str = Field(description="LONG or SHORT.")
    instrument_kind: str = Field(description="Future, or NinjaTrader's word for what is not tradable here.")
    quantity: int | float = Field(description="Contracts, without a sign.")
    average_price: float | None
    market_price: float | None
    unrealized_pnl: float | None
    currency: str | None = Field(description="Of unrealized_pnl.")
    point_value: float | None
    stops: list[LegView] | None
    targets: list[LegView] | None
    contracts_without_stop: int | None
    if_stopped: float | None = Field(description="All of it at its stops; null where a part has none.")


class PositionsResult(ReadResult):
    """Open positions; no rows means that what was asked for is flat."""

    scope: str = Field(description="The account and instrument that were read.")
    positions: list[PositionView]
    unrealized_pnl: float | None = Field(
        description="Of all rows; null when one of them is not known, or not all are of one currency."
    )


@time_limit()
async def get_positions(
    ctx: ToolContext, account: AnyAccount = None, instrument: AnyInstrument = None, skip: Skip = 0
) -> Annotated[CallToolResult, PositionsResult]:
    """Open positions with P&L, stop and target in money, contracts without a stop. No rows means flat, as read now."""
    query = query_of(ctx)
    scope = await read_scope(query, account, instrument)
    held, orders = await _read_book(query, scope.account)
    shown = [position for position in held if scope.includes(position.instrument)]
    await query.note_outstanding(scope.account)
    contracts = await _contracts(query, shown)
    behind = Behind(orders, contracts, await _currencies(query, shown))
    return positions_result(shown, query.read_at, str(scope), query.notes, skip, behind)


async def _read_book(query: Query, account: str | None) -> tuple[list[Position], OrdersRead | None]:
    """Read positions and, side by side, the orders behind them, which may be missing."""
    from ct_mcp.desk.side_by_side import SideBySide  # noqa: PLC0415  # the desk is loaded by the first call

    asked = list_orders(query, account)
    async with SideBySide([]) as ask:
        positions = ask.read("positions", read_positions(query, account))
        orders = ask.read("orders", query.attempt("the orders behind positions", asked))
    held, rows = positions.required(), orders.value
    if rows is None or not held:
        return held, None
    return held, await orders_borne_out(query, rows, account, [position.account for position in held])


async def _currencies(query: Query, positions: Sequence[Position]) -> dict[str, str]:
    """Give the currency of each account that holds any, as far as it is known; looked up only where sums need it."""
    names, resolver = {position.account for position in positions}, query.desk.resolver
    known = {name: account for name in names if (account := resolver.known(name))}
    if len(names) > 1 and not all(name in known and known[name].currency for name in names):
        await query.attempt("the currencies of the accounts", resolver.accounts())
        known = {name: account for name in names if (account := resolver.known(name))}
    return {name: sanitize_name(account.currency) for name, account in known.items() if account.currency}


async def _contracts(query: Query, positions: Sequence[Position]) -> "Contracts":
    """What a contract of each is worth: from a quote of today, asked for once."""
    known = query.desk.contexts.contracts
    futures = {each.instrument for each in positions if not isinstance(each.instrument, OtherInstrument)}
    names = sorted(map(str, futures - known.keys()))[:_MOST_QUOTES]
    quotes = await query.attempt("what a point is worth", query.live.quotes(names)) if names else ()
    return {**known, **{quote.instrument: query.desk.contexts.contract_before(quote) for quote in quotes or ()}}


@dataclass(frozen=True, slots=True)
class Behind:
    """The working orders that were read with positions, None where they were not, and what contracts are worth.

    ``currencies`` are those of the accounts, as far as they are known.
    """

    orders: OrdersRead | None = None
    contracts: "Contracts" = field(default_factory=dict)
    currencies: Mapping[str, str] = field(default_factory=dict)

    def unrealized(self, positions: Sequence[Position]) -> dict[str, Decimal | None]:
        """Sum up each currency by itself; None where a row of it is not known.

        That of an account whose currency is not known is called so, and is that of no other account.
        """
        sums = dict[str, Decimal | None]()
        accounts = {position.account for position in positions}
        unnamed = "" if len(accounts) == 1 else "of {}, currency unknown"
        for position in positions:
            name = self.currencies.get(position.account) or unnamed.format(sanitize_name(position.account))
            before, more = sums.get(name, Decimal(0)), position.unrealized_pnl
            sums[name] = None if before is None or more is None else before + more
        return sums

    def standing(self, position: Position) -> "Standing | None":
        """Give what is behind one position; nothing where its orders were not read or it is no future."""
        from ct_mcp.desk.standing import standing_of  # noqa: PLC0415  # late, as above

        mine = self.orders.behind(position.account) if self.orders else None
        if mine is None or isinstance(position.instrument, OtherInstrument):
            return None
        return standing_of(position, mine, self.contracts.get(position.instrument))


def positions_result(
    positions: Sequence[Position],
    now: datetime,
    scope: str = "all accounts",
    notes: Sequence[str] = (),
    skip: int = 0,
    behind: Behind = Behind(),  # frozen
) -> CallToolResult:
    """Make both halves of a list of positions; the figures are over all of them."""
    shown, left_out = page_of(positions, skip, "positions", "name an account or an instrument")
    notes = [*left_out, *notes]
    sums = behind.unrealized(positions)
    rows = [(position, behind.standing(position)) for position in shown]
    structure = PositionsResult(
        read_at=iso(now) or "",
        notes=list(notes),
        scope=scope,
        positions=[
            _position_view(position, standing, behind.currencies.get(position.account)) for position, standing in rows
        ],
        unrealized_pnl=to_float(next(iter(sums.values()), Decimal(0))) if len(sums) < 2 else None,
    )
    if positions:
        unrealized = ", ".join(f"{signed_money(total)} {currency}".rstrip() for currency, total in sums.items())
        head = f"{len(positions)} open, unrealized {unrealized}; {scope}, read {structure.read_at}"
    else:
        head = f"no open positions; {scope}, read {structure.read_at}"
    lines = (_position_line(position, standing) for position, standing in rows)
    return tool_result(join_lines((head, *lines, *note_lines(notes))), structure)


def _position_view(position: Position, standing: "Standing | None", currency: str | None) -> PositionView:
    return PositionView(
        account=sanitize_name(position.account),
        instrument=str(position.instrument),
        direction=position.direction,
        instrument_kind=kind_of(position.instrument),
        quantity=shown_amount(position.amount),
        average_price=to_float(position.average_price),
        market_price=to_float(position.market_price),
        unrealized_pnl=to_float(position.unrealized_pnl),
        currency=currency,
        point_value=to_float(standing.point_value) if standing else None,
        stops=[_leg_view(leg) for leg in standing.stops] if standing else None,
        targets=[_leg_view(leg) for leg in standing.targets] if standing else None,
        contracts_without_stop=standing.bare if standing and not standing.doubtful else None,
        if_stopped=to_float(standing.if_stopped) if standing else None,
    )


def _leg_view(leg: "ExitLeg") -> LegView:
    return LegView(
        order_id=sanitize_name(leg.order.order_id),
        contracts=leg.contracts,
        price=to_float(leg.price),
        state=leg.order.state_text,
        money=to_float(leg.money),
    )


def _position_line(position: Position, standing: "Standing | None") -> str:
    return join_cells(
        (
            sanitize_name(position.account),
            position.direction,
            position.amount,
            position.instrument.label,
            f"at {price_of(position.instrument, position.average_price)}",
            f"market {price_of(position.instrument, position.market_price)}",
            f"P&L {money(position.unrealized_pnl)}",
            *(_behind_words(standing) if standing else _unknown_words(position)),
        )
    )


def _unknown_words(position: Position) -> tuple[str, ...]:
    return () if isinstance(position.instrument, OtherInstrument) else ("NOT KNOWN whether a stop stands",)


def _behind_words(standing: "Standing") -> Iterator[str]:
    yield f"point {money(standing.point_value)}"
    yield "; ".join(standing.protection)
    if len(standing.stops) > 1 and standing.if_stopped is not None:
        yield f"all stopped {signed_money(standing.if_stopped)}"


# Trading


async def close_position(
    ctx: ToolContext,
    account: AccountName,
    instrument: HeldInstrument,
    quantity: Annotated[int | None, Field(ge=1, le=MOST_COUNTED, description="Contracts; else all")] = None,
    percent: Annotated[
        float | None, Field(ge=0.01, le=100, description="Instead of quantity; rounds up to whole contracts")
    ] = None,
) -> Traded:
    """Close (exit) one position: whole, with all orders of the instrument, or in part.

    After a part its stops and targets are too large: make the calls that the answer names, to fit them.
    """
    desk = desk_of(ctx)
    name = (await desk.resolver.account(account)).name
    contract = await contract_held(ctx, instrument, name)
    return await propose(ctx, ClosePosition(name, contract, quantity, to_decimal(percent)))


async def flatten(ctx: ToolContext, account: AccountName, instrument: OneInstrument = None) -> Traded:
    """Get flat: close all positions and cancel all orders of an account, or of one instrument in it.

    Says flat only when the account was read and was flat. Needs no quote, works while trading is halted.
    """
    name, contract = await exit_target(ctx, account, instrument)
    return await propose(ctx, Flatten(name, contract))


async def flatten_everything(ctx: ToolContext) -> Traded:
    """Flatten every account that mode and settings let trade, armed or not: all exits first, then one reading of all.

    Warnings name the accounts it leaves alone: tell the person. For one account use flatten.
    """
    accounts, left_alone = await flattenable_accounts(Query(desk_of(ctx)))
    outcome = await propose_and_ask(ctx, [Flatten(account, None) for account in accounts], left_alone=left_alone)
    if isinstance(outcome, InputRequiredResult):
        return outcome
    # One that was approved before, by an older version or for a single account, does not name them.
    return to_result(replace(outcome, warnings=tuple(dict.fromkeys((*outcome.warnings, *left_alone)))))


async def reverse_position(ctx: ToolContext, account: AccountName, instrument: HeldInstrument) -> Traded:
    """Turn a position round: the same size the other way. Needs a position.

    Ask for the new stop first: the new position has none until you call protect_position. The old stop and target may
    stay, and would add to it: warnings say so, cancel them then.
    """
    desk = desk_of(ctx)
    name = (await desk.resolver.account(account)).name
    return await propose(ctx, ReversePosition(name, await contract_held(ctx, instrument, name, is_reviewed=True)))


async def protect_position(
    ctx: ToolContext,
    account: AccountName,
    instrument: HeldInstrument,
    stop_loss: StopLevel = None,
    take_profit: TargetLevel = None,
) -> Traded:
    """Set or move a position's stop loss, take profit or both, for its whole size. Orders that stand are changed.

    A leg left out stays. One that does not stand yet joins the other as an OCO pair. Only where that cannot be, both
    are placed anew in place of ALL orders of the instrument, entries too: the question says so.
    """
    desk = desk_of(ctx)
    name = (await desk.resolver.account(account)).name
    from ct_mcp.desk.side_by_side import SideBySide  # noqa: PLC0415  # the desk is loaded by the first call

    async with SideBySide([]) as ask:
        named = ask.read("contract", contract_held(ctx, instrument, name, is_reviewed=True))
        ask.read("bracket fields", desk.upstream.bracket_fields())  # once in a process, and not after the yes
    contract = named.required()
    levels = to_levels({ExitKind.STOP: stop_loss, ExitKind.TARGET: take_profit}, contract)
    from ct_mcp.desk.protection_plan import protection_for  # noqa: PLC0415  # the desk is loaded by the first call

    commands = await protection_for(desk.contexts, (name, contract), levels)
    return to_result(await propose_and_ask(ctx, commands))
