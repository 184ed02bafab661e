"""Calls about NinjaScript strategies; ATM strategies are none of them."""

from collections.abc import Mapping

from ct_mcp.simulator.addon import AddOn
from ct_mcp.simulator.faults import Lag
from ct_mcp.simulator.products import Contract
from ct_mcp.simulator.refusals import Refusal
from ct_mcp.simulator.rest.hostile import spoken
from ct_mcp.simulator.rest.intake import received
from ct_mcp.simulator.rest.strategy_args import AllStrategiesArgs, StartArgs, StrategiesArgs, StrategyArgs
from ct_mcp.simulator.rest.strategy_shapes import (
    AllStrategiesAnswer,
    ClosedStrategyAnswer,
    StandingAnswer,
    StrategiesAnswer,
    StrategyAnswer,
    StrategyRow,
    SwitchedAnswer,
)
from ct_mcp.simulator.strategies import COMPILED, Plan, Strategy, StrategyClass, Value

_LARGEST = 1_000_000


def list_strategies(addon: AddOn, args: StrategiesArgs) -> StrategiesAnswer:
    """List the strategies of an account; ListAllStrategies is the list to rely on."""
    name = addon.account(args.account).spec.name
    rows = [row for row in _rows(addon, terminal=args.include_terminal) if row["account"] == name]
    if addon.faults.take(Lag.STALE_STRATEGY_LIST, "ListStrategies"):
        rows = rows[: len(rows) // 2]
    return {"strategies": rows, "success": True}


def list_all_strategies(addon: AddOn, args: AllStrategiesArgs) -> AllStrategiesAnswer:
    """List the strategies of all accounts; those that are over only on demand."""
    rows = _rows(addon, terminal=args.include_terminal)
    return {"strategies": rows, "count": len(rows), "success": True}


def get_strategy(addon: AddOn, args: StrategyArgs) -> StrategyAnswer:
    """Show one strategy, over or not."""
    return {**_row(addon, addon.strategy(args.account, args.strategy_id)), "success": True}


def start_strategy(addon: AddOn, args: StartArgs) -> StandingAnswer:
    """Start a compiled class. Starting it twice lets two of it trade."""
    submission = received(addon, "StartStrategy", args)
    account, contract = addon.account(args.account), _named_in_full(addon, args.instrument)
    kind = COMPILED.get(args.strategy_class)
    if kind is None:
        raise Refusal(400, f"Strategy class '{args.strategy_class}' not found. Compile it in NinjaTrader first.")
    chosen = _chosen(kind, args.parameters or {})
    plan = Plan(kind, account.spec.name, contract, args.mode, args.period_type, args.period, chosen)
    strategy = addon.strategies.start(plan, addon.now)
    submission.given_id = strategy.id
    return _standing(strategy)


def enable_strategy(addon: AddOn, args: StrategyArgs) -> SwitchedAnswer:
    """Let a strategy go on. One that runs is left as it is, and one that is over cannot be revived."""
    received(addon, "EnableStrategy", args, args.strategy_id)
    strategy = _running(addon, args)
    was_enabled, strategy.is_enabled = strategy.is_enabled, True
    return {**_standing(strategy), "wasEnabled": was_enabled}


def disable_strategy(addon: AddOn, args: StrategyArgs) -> SwitchedAnswer:
    """Pause a strategy. Its position stays; its working orders are cancelled, those that protect it too."""
    received(addon, "DisableStrategy", args, args.strategy_id)
    strategy = _running(addon, args)
    was_enabled = strategy.is_enabled
    addon.strategies.disable(strategy, addon.now)
    return {**_standing(strategy), "wasEnabled": was_enabled}


def close_strategy(addon: AddOn, args: StrategyArgs) -> ClosedStrategyAnswer:
    """End a strategy for good, and close its positions and cancel its orders."""
    submission = received(addon, "CloseStrategy", args, args.strategy_id)
    strategy = _running(addon, args)
    submission.order = addon.strategies.close(strategy, addon.now)
    return {"strategyId": strategy.id, "success": True}


def _running(addon: AddOn, args: StrategyArgs) -> Strategy:
    """Find a strategy that is not over.

    Raises:
        Refusal: There is none of that id, or it is over.
    """
    strategy = addon.strategy(args.account, args.strategy_id)
    if strategy.is_terminated:
        raise Refusal(409, "strategy_terminated", detail=f"Strategy '{strategy.id}' is terminated")
    return strategy


def _named_in_full(addon: AddOn, text: str) -> Contract:
    """Find a contract by NinjaTrader's full name; a strategy is started by no other."""
    contract = addon.contract(text)
    if contract.name != text.upper():
        raise Refusal(400, f"Instrument '{text}' not found. Use the full name, such as '{contract.name}'.")
    return contract


def _chosen(kind: StrategyClass, given: Mapping[str, Value]) -> dict[str, Value]:
    """Put what is given in the place of what the class has.

    Raises:
        Refusal: The class has no such property, or it is of another type.
    """
    for name, value in given.items():
        if name not in kind.properties:
            raise Refusal(400, f"Strategy '{kind.name}' has no public property '{name}'")
        if not _is_like(kind.properties[name], value):
            raise Refusal(400, f"Property '{name}' of strategy '{kind.name}' cannot be set to '{value}'")
    return {**kind.properties, **given}


def _is_like(default: Value, value: Value) -> bool:
    """Say whether a value is of the type of a property; a whole number is a number, and `true` is none."""
    if isinstance(default, bool | str) or isinstance(value, bool | str):
        return type(value) is type(default)
    return abs(value) <= _LARGEST and (isinstance(default, float) or value == int(value))


def _standing(strategy: Strategy) -> StandingAnswer:
    return {
        "strategyId": strategy.id,
        "account": strategy.plan.account,
        "hostMode": strategy.plan.host,
        "isEnabled": strategy.is_enabled,
        "state": strategy.state,
        "success": True,
    }


def _rows(addon: AddOn, *, terminal: bool) -> list[StrategyRow]:
    return [_row(addon, each) for each in addon.strategies.all if terminal or not each.is_terminated]


def _row(addon: AddOn, strategy: Strategy) -> StrategyRow:
    plan = strategy.plan
    return {
        "strategyId": strategy.id,
        "strategyClass": plan.kind.name,
        "name": spoken(addon.faults, plan.kind.name),
        "account": plan.account,
        "instrument": plan.contract.name,
        "periodType": plan.period_type,
        "period": plan.period,
        "hostMode": plan.host,
        "state": strategy.state,
        "isEnabled": strategy.is_enabled,
        "parameters": {name: strategy.value(name) for name in plan.kind.properties},
    }
