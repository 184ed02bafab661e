"""Strategies and ATM templates, as they were read."""

from collections.abc import Sequence
from datetime import datetime

from mcp_types import CallToolResult
from pydantic import Field

from ct_mcp.domain.strategy import Strategy, StrategyState
from ct_mcp.server.present import Answer, ReadAnswer, answered, counted, lines, noted, row, stamp, theirs

SAYS_LITTLE = (
    "REALTIME says only that a strategy is loaded and gets data, not that it trades or does anything useful: "
    "look at its orders and executions"
)
MOST_PARAMETERS = 40


class StrategyRow(Answer):
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


class StrategiesAnswer(ReadAnswer):
    """Strategies that are not over; no rows means that there are none."""

    scope: str = Field(description="The account that was read.")
    strategies: list[StrategyRow]


class TemplatesAnswer(ReadAnswer):
    """ATM templates by name."""

    templates: list[str]


def strategies_answer(
    strategies: Sequence[Strategy], scope: str, notes: Sequence[str], now: datetime
) -> CallToolResult:
    """Both halves of a list of strategies."""
    told = [*notes, SAYS_LITTLE] if any(one.state is StrategyState.REALTIME for one in strategies) else list(notes)
    rows = [_row(strategy) for strategy in strategies]
    structure = StrategiesAnswer(read_at=stamp(now) or "", notes=told, scope=scope, strategies=rows)
    head = f"strategies that are not over: {len(rows) or 'none'}; {scope}, read {structure.read_at}"
    return answered(lines((head, *map(_line, rows), *noted(told))), structure)


def templates_answer(names: Sequence[str], notes: Sequence[str], now: datetime) -> CallToolResult:
    """Both halves of a list of templates."""
    shown = [theirs(name) or "" for name in names]
    structure = TemplatesAnswer(read_at=stamp(now) or "", notes=list(notes), templates=shown)
    head = f"{counted(len(shown), 'ATM template')}, read {structure.read_at}"
    return answered(lines((head, *shown, *noted(notes))), structure)


def _row(strategy: Strategy) -> StrategyRow:
    return StrategyRow(
        account=theirs(strategy.account) or "",
        strategy_id=theirs(strategy.strategy_id) or "",
        strategy_class=theirs(strategy.class_name),
        name=theirs(strategy.name),
        instrument=None if strategy.instrument is None else str(strategy.instrument),
        enabled=strategy.is_enabled,
        state=strategy.state,
        mode=strategy.host_mode,
        parameters=dict(strategy.parameters[:MOST_PARAMETERS]),
    )


def _line(it: StrategyRow) -> str:
    enabled = {True: "enabled", False: "disabled", None: "enabled or not is unknown"}[it.enabled]
    given = ", ".join(f"{name}={value}" for name, value in it.parameters.items()) or "none"
    return row(
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
