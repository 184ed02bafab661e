"""Endpoints of NinjaScript strategies; ATM strategies are not among them."""

# ruff: noqa: N815 - the keys are spelled as the service spells them

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator, Field
from typing_extensions import TypedDict

from ct_mcp.simulator.addon import AddOn, RequestRefused
from ct_mcp.simulator.fault_responses import with_hostile_text
from ct_mcp.simulator.faults import Lag
from ct_mcp.simulator.products import SimContract
from ct_mcp.simulator.rest.wire import AccountArgs, Args, InstrumentArg, SuccessBody, any_case, enum_schema
from ct_mcp.simulator.strategies import COMPILED, PropertyValue, SimStrategy, StrategyClass, StrategyHost, StrategyPlan

_LARGEST = 1_000_000


class StrategyBarType(StrEnum):
    """Unit of the bars of a strategy."""

    MINUTE = "Minute"
    TICK = "Tick"
    SECOND = "Second"
    DAY = "Day"
    VOLUME = "Volume"
    RANGE = "Range"


def _headless(value: object) -> object:
    return StrategyHost.ACCOUNT if isinstance(value, str) and value.lower() == "headless" else value


_HostArg = Annotated[
    StrategyHost, any_case(StrategyHost), BeforeValidator(_headless), enum_schema("account", "headless", "chart")
]
_BarTypeArg = Annotated[StrategyBarType, any_case(StrategyBarType), enum_schema(*StrategyBarType)]
_StrategyIdArg = Annotated[str, Field(min_length=1, description="NinjaTrader's number of the strategy.")]


class AllStrategiesArgs(Args):
    """Whether terminated strategies are listed as well."""

    include_terminal: bool = False


class StrategiesArgs(AccountArgs):
    """An account, and whether terminated strategies are listed as well."""

    include_terminal: bool = False


class StrategyArgs(AccountArgs):
    """One strategy."""

    strategy_id: _StrategyIdArg


class StartArgs(AccountArgs):
    """Which compiled class is to run, on what, and which of its public properties are changed."""

    strategy_class: Annotated[str, Field(min_length=1, description="The bare name of a compiled class.")]
    instrument: InstrumentArg
    mode: _HostArg = StrategyHost.ACCOUNT
    period_type: _BarTypeArg = StrategyBarType.MINUTE
    period: Annotated[int, Field(ge=1, le=1_000_000)] = 5
    parameters: dict[str, PropertyValue] | None = None


class StrategyJson(TypedDict):
    """One strategy in a list."""

    strategyId: str
    strategyClass: str
    name: str
    account: str
    instrument: str
    periodType: str
    period: int
    hostMode: str
    state: str
    isEnabled: bool
    parameters: dict[str, bool | int | float | str]


class StrategyBody(StrategyJson, SuccessBody):
    """One strategy by itself."""


class StrategiesBody(SuccessBody):
    """The strategies of an account."""

    strategies: list[StrategyJson]


class AllStrategiesBody(StrategiesBody):
    """The strategies of all accounts."""

    count: int


class ClosedStrategyBody(SuccessBody):
    """The strategy that is being closed."""

    strategyId: str


class StrategyStateBody(SuccessBody):
    """State of a strategy after it was started."""

    strategyId: str
    account: str
    hostMode: str
    isEnabled: bool
    state: str


class StrategySwitchBody(StrategyStateBody):
    """State of a strategy after it was enabled or disabled; `wasEnabled` tells whether that changed anything."""

    wasEnabled: bool


def list_strategies(addon: AddOn, args: StrategiesArgs) -> StrategiesBody:
    """List the strategies of an account; ListAllStrategies is the list to rely on."""
    name = addon.account(args.account).spec.name
    rows = [row for row in _list_json(addon, terminal=args.include_terminal) if row["account"] == name]
    if addon.faults.take(Lag.STALE_STRATEGY_LIST, "ListStrategies"):
        rows = rows[: len(rows) // 2]
    return {"strategies": rows, "success": True}


def list_all_strategies(addon: AddOn, args: AllStrategiesArgs) -> AllStrategiesBody:
    """List the strategies of all accounts; terminated ones only on demand."""
    rows = _list_json(addon, terminal=args.include_terminal)
    return {"strategies": rows, "count": len(rows), "success": True}


def get_strategy(addon: AddOn, args: StrategyArgs) -> StrategyBody:
    """Show one strategy, terminated or not."""
    return {**_strategy_json(addon, addon.strategy(args.account, args.strategy_id)), "success": True}


def start_strategy(addon: AddOn, args: StartArgs) -> StrategyStateBody:
    """Start a compiled class. Starting it twice lets two of it trade."""
    call = addon.log_call("StartStrategy", args)
    account, contract = addon.account(args.account), _full_name_contract(addon, args.instrument)
    kind = COMPILED.get(args.strategy_class)
    if kind is None:
        raise RequestRefused(400, f"Strategy class '{args.strategy_class}' not found. Compile it in NinjaTrader first.")
    chosen = _merge_parameters(kind, args.parameters or {})
    plan = StrategyPlan(kind, account.spec.name, contract, args.mode, args.period_type, args.period, chosen)
    strategy = addon.strategies.start(plan, addon.now)
    call.given_id = strategy.id
    return _state_body(strategy)


def enable_strategy(addon: AddOn, args: StrategyArgs) -> StrategySwitchBody:
    """Enable a strategy. One that is enabled is left as it is, and a terminated one cannot be enabled."""
    addon.log_call("EnableStrategy", args, args.strategy_id)
    strategy = _find_running(addon, args)
    was_enabled, strategy.is_enabled = strategy.is_enabled, True
    return {**_state_body(strategy), "wasEnabled": was_enabled}


def disable_strategy(addon: AddOn, args: StrategyArgs) -> StrategySwitchBody:
    """Disable a strategy. Its position stays; its working orders are cancelled, those that protect it too."""
    addon.log_call("DisableStrategy", args, args.strategy_id)
    strategy = _find_running(addon, args)
    was_enabled = strategy.is_enabled
    addon.strategies.disable(strategy, addon.now)
    return {**_state_body(strategy), "wasEnabled": was_enabled}


def close_strategy(addon: AddOn, args: StrategyArgs) -> ClosedStrategyBody:
    """Terminate a strategy, close its positions and cancel its orders."""
    call = addon.log_call("CloseStrategy", args, args.strategy_id)
    strategy = _find_running(addon, args)
    call.order = addon.strategies.close(strategy, addon.now)
    return {"strategyId": strategy.id, "success": True}


def _find_running(addon: AddOn, args: StrategyArgs) -> SimStrategy:
    """Find a strategy that is not terminated.

    Raises:
        RequestRefused: There is none of that id, or it is terminated.
    """
    strategy = addon.strategy(args.account, args.strategy_id)
    if strategy.is_terminated:
        raise RequestRefused(409, "strategy_terminated", detail=f"Strategy '{strategy.id}' is terminated")
    return strategy


def _full_name_contract(addon: AddOn, text: str) -> SimContract:
    """Find a contract by NinjaTrader's full name; a strategy can be started by no other."""
    contract = addon.contract(text)
    if contract.name != text.upper():
        raise RequestRefused(400, f"Instrument '{text}' not found. Use the full name, such as '{contract.name}'.")
    return contract


def _merge_parameters(kind: StrategyClass, given: Mapping[str, PropertyValue]) -> dict[str, PropertyValue]:
    """Merge the given parameters into the properties of a class.

    Raises:
        RequestRefused: The class has no such property, or it is of another type.
    """
    for name, value in given.items():
        if name not in kind.properties:
            raise RequestRefused(400, f"Strategy '{kind.name}' has no public property '{name}'")
        if not _fits_type(kind.properties[name], value):
            raise RequestRefused(400, f"Property '{name}' of strategy '{kind.name}' cannot be set to '{value}'")
    return {**kind.properties, **given}


def _fits_type(default: PropertyValue, value: PropertyValue) -> bool:
    """Check whether a value has the type of a property; a whole number is a number, and `true` is none."""
    if isinstance(default, bool | str) or isinstance(value, bool | str):
        return type(value) is type(default)
    return abs(value) <= _LARGEST and (isinstance(default, float) or value == int(value))


def _state_body(strategy: SimStrategy) -> StrategyStateBody:
    return {
        "strategyId": strategy.id,
        "account": strategy.plan.account,
        "hostMode": strategy.plan.host,
        "isEnabled": strategy.is_enabled,
        "state": strategy.state,
        "success": True,
    }


def _list_json(addon: AddOn, *, terminal: bool) -> list[StrategyJson]:
    return [_strategy_json(addon, each) for each in addon.strategies.all if terminal or not each.is_terminated]


def _strategy_json(addon: AddOn, strategy: SimStrategy) -> StrategyJson:
    plan = strategy.plan
    return {
        "strategyId": strategy.id,
        "strategyClass": plan.kind.name,
        "name": with_hostile_text(addon.faults, plan.kind.name),
        "account": plan.account,
        "instrument": plan.contract.name,
        "periodType": plan.period_type,
        "period": plan.period,
        "hostMode": plan.host,
        "state": strategy.state,
        "isEnabled": strategy.is_enabled,
        "parameters": {name: strategy.value(name) for name in plan.kind.properties},
    }
