"""Tools for NinjaScript strategies and ATM templates. What changes a strategy proposes, as every order does."""

from decimal import Decimal
from typing import Annotated, Literal

from mcp_types import CallToolResult
from pydantic import Field, WithJsonSchema

from ct_mcp.domain.action import CloseStrategy, DisableStrategy, EnableStrategy
from ct_mcp.domain.strategy import BarType, HostMode, ParameterValue, StartStrategy
from ct_mcp.server.answers.strategies import StrategiesAnswer, TemplatesAnswer, strategies_answer, templates_answer
from ct_mcp.server.asking import propose_and_ask
from ct_mcp.server.present import theirs
from ct_mcp.server.reading import in_time
from ct_mcp.server.tools.trading import AccountName, InstrumentName, Traded, told
from ct_mcp.server.wiring import ToolContext, desk_of, reading_of

StrategyId = Annotated[str, Field(min_length=1, max_length=64, description="From get_strategies")]
_VALUES = {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}}
Parameters = Annotated[
    dict[Annotated[str, Field(max_length=100)], Annotated[str, Field(max_length=300)] | bool | int | float] | None,
    Field(max_length=50, description="Public properties to override, by name; left out ones keep their defaults"),
    WithJsonSchema(_VALUES),
]


@in_time()
async def get_strategies(
    ctx: ToolContext, account: Annotated[str | None, Field(description="Leave out for all")] = None
) -> Annotated[CallToolResult, StrategiesAnswer]:
    """Strategies that are not over: id, class, instrument, enabled or not, state, parameters."""
    reading = reading_of(ctx)
    name = None if account is None else (await reading.desk.names.account(account)).name
    # The list of one account has left strategies out and shown old ones; the list of all is the reliable one.
    listed = await reading.upstream.all_strategies(include_terminal=False)
    shown = [one for one in listed if not one.is_over and name in (None, one.account)]
    return strategies_answer(shown, theirs(name) or "all accounts", reading.notes, reading.desk.clock())


@in_time()
async def get_atm_templates(ctx: ToolContext) -> Annotated[CallToolResult, TemplatesAnswer]:
    """Names of the ATM templates in NinjaTrader, for atm_strategy of place_order; any other is rejected there."""
    reading = reading_of(ctx)
    names = await reading.upstream.atm_templates()
    return templates_answer(names, reading.notes, reading.desk.clock())


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
    names = desk_of(ctx).names
    start = StartStrategy(
        account=(await names.account(account)).name,
        strategy_class=strategy_class,
        instrument=await names.instrument(instrument),
        mode=HostMode(mode),
        bar_type=BarType(period_type),
        period=period,
        parameters=tuple((name, _value(value)) for name, value in (parameters or {}).items()),
    )
    return told(await propose_and_ask(ctx, start))


async def enable_strategy(ctx: ToolContext, account: AccountName, strategy_id: StrategyId) -> Traded:
    """Let a disabled strategy trade on by itself; one that is over cannot be revived."""
    name = (await desk_of(ctx).names.account(account)).name
    return told(await propose_and_ask(ctx, EnableStrategy(name, strategy_id)))


async def disable_strategy(ctx: ToolContext, account: AccountName, strategy_id: StrategyId) -> Traded:
    """Pause a strategy. Its position stays, and NinjaTrader may cancel the stop that protects it."""
    name = (await desk_of(ctx).names.account(account)).name
    return told(await propose_and_ask(ctx, DisableStrategy(name, strategy_id)))


async def close_strategy(ctx: ToolContext, account: AccountName, strategy_id: StrategyId) -> Traded:
    """End a strategy for good, with its position and its orders."""
    name = (await desk_of(ctx).names.account(account)).name
    return told(await propose_and_ask(ctx, CloseStrategy(name, strategy_id)))


def _value(value: str | bool | float) -> ParameterValue:
    return Decimal(repr(value)) if isinstance(value, float) else value
