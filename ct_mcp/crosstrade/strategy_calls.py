"""NinjaScript strategies and ATM templates: reading them, starting, stopping and closing them."""

from ct_mcp.crosstrade.call import Call
from ct_mcp.crosstrade.caller import Caller
from ct_mcp.crosstrade.wire_strategies import (
    StrategyAcknowledged,
    acknowledged_strategy_in,
    asked_strategy_in,
    start_body,
    strategies_in,
    templates_in,
)
from ct_mcp.crosstrade.wire_values import truth_for
from ct_mcp.domain.strategy import StartStrategy, Strategy


async def strategies(self: Caller, account: str, *, include_terminal: bool) -> tuple[Strategy, ...]:
    """The strategies of one account. This list has returned stale rows and too few: all_strategies is the one to trust.

    What is started by CrossTrade's own deployments is known there under other ids, and not by these calls.
    """
    call = Call("ListStrategies", {"account": account}, {"includeTerminal": truth_for(include_terminal)})
    return await self._ask(call, lambda reply: strategies_in(reply, account))


async def all_strategies(self: Caller, *, include_terminal: bool) -> tuple[Strategy, ...]:
    """The strategies of every account: the reliable list."""
    return await self._ask(
        Call("ListAllStrategies", query={"includeTerminal": truth_for(include_terminal)}),
        lambda reply: strategies_in(reply, None),
    )


async def strategy(self: Caller, account: str, strategy_id: str) -> Strategy:
    """One strategy."""
    call = Call("GetStrategy", _path(account, strategy_id))
    return await self._ask(call, lambda reply: asked_strategy_in(reply, account, strategy_id))


async def start_strategy(self: Caller, start: StartStrategy) -> StrategyAcknowledged:
    """Start a new copy of a strategy, which then trades by itself; asked twice, two copies trade."""
    call = Call("StartStrategy", {"account": start.account}, body=start_body(start))
    return await self._send(call, lambda reply: acknowledged_strategy_in(reply, start.account, None))


async def enable_strategy(self: Caller, account: str, strategy_id: str) -> StrategyAcknowledged:
    """Let a strategy go on; one that is enabled stays so, one that is over is refused."""
    return await _ordered(self, "EnableStrategy", account, strategy_id)


async def disable_strategy(self: Caller, account: str, strategy_id: str) -> StrategyAcknowledged:
    """Stop feeding a strategy. Its position stays, and NinjaTrader may cancel the orders that protect it: read back."""
    return await _ordered(self, "DisableStrategy", account, strategy_id)


async def close_strategy(self: Caller, account: str, strategy_id: str) -> StrategyAcknowledged:
    """Close a strategy with its positions and open orders."""
    return await _ordered(self, "CloseStrategy", account, strategy_id)


async def atm_templates(self: Caller) -> tuple[str, ...]:
    """The names of the ATM templates on the computer where NinjaTrader runs; an order with another is rejected."""
    return await self._ask(Call("ListAtmTemplates"), templates_in)


async def _ordered(self: Caller, rpc: str, account: str, strategy_id: str) -> StrategyAcknowledged:
    call = Call(rpc, _path(account, strategy_id))
    return await self._send(call, lambda reply: acknowledged_strategy_in(reply, account, strategy_id))


def _path(account: str, strategy_id: str) -> dict[str, str]:
    return {"account": account, "strategy_id": strategy_id}
