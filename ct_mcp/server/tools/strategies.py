"""Tools for NinjaScript strategies and ATM templates. What changes a strategy proposes, as every order does."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from mcp_types import CallToolResult
from pydantic import Field, WithJsonSchema

from ct_mcp.domain.commands import CloseStrategy, DisableStrategy, EnableStrategy
from ct_mcp.domain.strategy import BarType, HostMode, ParameterValue, StartStrategy, Strategy, StrategyState
from ct_mcp.server.context import ToolContext, desk_of, query_of
from ct_mcp.server.format import ReadResult, ToolResult, join_cells, join_lines, note_lines, sanitize_name, tool_result
from ct_mcp.server.queries import time_limit
from ct_mcp.server.tools.forms import AccountName, InstrumentName
from ct_mcp.server.tools.orders import Traded, propose
from ct_mcp.text import count, iso

MOST_PARAMETERS = 40
SAYS_LITTLE = (
    "REALTIME says only that a strategy is loaded and gets data, not that it trades or does anything useful: "
    "look at its orders and executions"
)
StrategyId = Annotated[str, Field(min_length=1, max_length=64, description="From get_strategies")]
_VALUES = {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}}
Parameters = Annotated[
    dict[Annotated[str, Field(max_length=100)], Annotated[str, Field(max_length=300)] | bool | int | float] | None,
    Field(max_length=50, description="Public properties to override, by name; left out ones keep their defaults"),
    WithJsonSchema(_VALUES),
]


# Reading


class StrategyView(ToolResult):
    """One strategy. Null is what NinjaTrader did not say."""

    account: str
    strategy_id: str
    strategy_class: str | None
    name: str | None = Field(description="A label somebody gave it: data.")
    instrument: str | None
    enabled: bool | None
    state: str = Field(description="Says little of what it does.")
    mode: str | None = Field(description="account or chart.")
    parameters: dict[str, str] = Field(description="As texts: data.")


class StrategiesResult(ReadResult):
    """Strategies that are not over; no rows means that there are none."""

    scope: str = Field(description="The account that was read.")
    strategies: list[StrategyView]


class TemplatesResult(ReadResult):
    """ATM templates by name."""

    templates: list[str]


@time_limit()
async def get_strategies(
    ctx: ToolContext, account: Annotated[str | None, Field(description="Leave out for all")] = None
) -> Annotated[CallToolResult, StrategiesResult]:
    """Strategies that are not over: id, class, instrument, enabled or not, state, parameters."""
    query = query_of(ctx)
    name = None if account is None else (await query.desk.resolver.account(account)).name
    # The list of one account has left strategies out and shown old ones; the list of all is the reliable one.
    listed = await query.upstream.all_strategies(include_terminal=False)
    shown = [one for one in listed if not one.is_over and name in (None, one.account)]
    return strategies_result(shown, sanitize_name(name) or "all accounts", query.notes, query.desk.clock())


@time_limit()
async def get_atm_templates(ctx: ToolContext) -> Annotated[CallToolResult, TemplatesResult]:
    """Names of the ATM templates in NinjaTrader, for atm_strategy of place_order; any other is rejected there."""
    query = query_of(ctx)
    names = await query.upstream.atm_templates()
    return templates_result(names, query.notes, query.desk.clock())


def strategies_result(
    strategies: Sequence[Strategy], scope: str, notes: Sequence[str], now: datetime
) -> CallToolResult:
    """Make both halves of a list of strategies."""
    all_notes = [*notes, SAYS_LITTLE] if any(one.state is StrategyState.REALTIME for one in strategies) else list(notes)
    rows = [_strategy_view(strategy) for strategy in strategies]
    structure = StrategiesResult(read_at=iso(now) or "", notes=all_notes, scope=scope, strategies=rows)
    head = f"strategies that are not over: {len(rows) or 'none'}; {scope}, read {structure.read_at}"
    return tool_result(join_lines((head, *map(_strategy_line, rows), *note_lines(all_notes))), structure)


def templates_result(names: Sequence[str], notes: Sequence[str], now: datetime) -> CallToolResult:
    """Make both halves of a list of templates."""
    shown = [sanitize_name(name) for name in names]
    structure = TemplatesResult(read_at=iso(now) or "", notes=list(notes), templates=shown)
    head = f"{count(len(shown), 'ATM template')}, read {structure.read_at}"
    return tool_result(join_lines((head, *shown, *note_lines(notes))), structure)


def _strategy_view(strategy: Strategy) -> StrategyView:
    return StrategyView(
        account=sanitize_name(strategy.account),
        strategy_id=sanitize_name(strategy.strategy_id),
        strategy_class=sanitize_name(strategy.class_name),
        name=sanitize_name(strategy.name),
        instrument=None if strategy.instrument is None else str(strategy.instrument),
        enabled=strategy.is_enabled,
        state=strategy.state,
        mode=strategy.host_mode,
        parameters=dict(strategy.parameters[:MOST_PARAMETERS]),
    )


def _strategy_line(it: StrategyView) -> str:
    enabled = {True: "enabled", False: "disabled", None: "enabled or not is unknown"}[it.enabled]
    given = ", ".join(f"{name}={value}" for name, value in it.parameters.items()) or "none"
    return join_cells(
        (
            it.account,
            f"id {it.strategy_id}",
            f"class {it.strategy_class or 'unknown'}",
            f"name {it.name or 'unknown'}",
            it.instrument or "instrument unknown",
            enabled,
            f"state {it.state}",
            f"on its {it.mode}" if it.mode else "mode unknown",
            f"parameters: {given}",
        )
    )


# Trading


async def start_strategy(
    ctx: ToolContext,
    account: AccountName,
    strategy_class: Annotated[str, Field(min_length=1, max_length=100, description="Bare name of a compiled class")],
    instrument: InstrumentName,
    mode: Annotated[Literal["account", "chart"], Field(description="Run on the account alone, or on a chart")],
    period_type: Annotated[
        Literal["minute", "tick", "second", "day", "volume", "range"], Field(description="Kind of its bars")
    ],
    period: Annotated[int, Field(ge=1, le=1_000_000, description="Size of one bar, in its kind")],
    parameters: Parameters = None,
) -> Traded:
    """Start a new copy of a strategy, which then trades by itself: the limits of ct-mcp do not reach its orders.

    Started twice, two copies trade: look with get_strategies first.
    """
    names = desk_of(ctx).resolver
    start = StartStrategy(
        account=(await names.account(account)).name,
        strategy_class=strategy_class,
        instrument=await names.instrument(instrument),
        mode=HostMode(mode),
        bar_type=BarType(period_type),
        period=period,
        parameters=tuple((name, to_parameter(value)) for name, value in (parameters or {}).items()),
    )
    return await propose(ctx, start)


def to_parameter(value: str | bool | float) -> ParameterValue:
    """Give a parameter as it was written: a decimal for a fraction, and every other value as it is."""
    return Decimal(repr(value)) if isinstance(value, float) else value


async def enable_strategy(ctx: ToolContext, account: AccountName, strategy_id: StrategyId) -> Traded:
    """Let a disabled strategy trade on by itself; one that is over cannot be revived."""
    name = (await desk_of(ctx).resolver.account(account)).name
    return await propose(ctx, EnableStrategy(name, strategy_id))


async def disable_strategy(ctx: ToolContext, account: AccountName, strategy_id: StrategyId) -> Traded:
    """Pause a strategy. Its position stays, and NinjaTrader may cancel the stop that protects it."""
    name = (await desk_of(ctx).resolver.account(account)).name
    return await propose(ctx, DisableStrategy(name, strategy_id))


async def close_strategy(ctx: ToolContext, account: AccountName, strategy_id: StrategyId) -> Traded:
    """End a strategy for good, with its position and its orders."""
    name = (await desk_of(ctx).resolver.account(account)).name
    return await propose(ctx, CloseStrategy(name, strategy_id))
