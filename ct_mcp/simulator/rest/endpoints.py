"""Every route that is served: its name, its path, what it takes, what it answers and who answers it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ct_mcp.simulator.rest import (
    account_calls,
    account_shapes,
    args,
    market_calls,
    market_shapes,
    order_calls,
    order_shapes,
    placing_calls,
    position_calls,
    strategy_args,
    strategy_calls,
    strategy_shapes,
    turning_calls,
)

PREFIX = "/v1/api"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One route. `answer` may be a union; `needs_addon` is false for what the service answers by itself."""

    rpc: str
    method: str
    path: str
    takes: type[args.Args]
    call: Callable[[Any, Any], object]
    answer: Any
    writes: bool = False
    needs_addon: bool = True

    @property
    def summary(self) -> str:
        """What it does, in a sentence or two."""
        return (self.call.__doc__ or "").strip()

    @property
    def path_names(self) -> list[str]:
        """The arguments that stand in the path."""
        return re.findall(r"{(\w+)}", self.path)


_A = "/accounts/{account}"
_ORDER = f"{_A}/orders/{{orderId}}"
_STRATEGY = f"{_A}/strategies/{{strategyId}}"
_Quotes = market_shapes.QuoteAnswer | list[market_shapes.QuoteAnswer]
_LegacyQuotes = market_shapes.LegacyQuoteAnswer | list[market_shapes.LegacyQuoteAnswer]


def _read(rpc: str, path: str, takes: type[args.Args], call: Callable[[Any, Any], object], answer: Any) -> Endpoint:
    return Endpoint(rpc, "GET", path, takes, call, answer, needs_addon=rpc != "GetWatermarks")


def _write(rpc: str, path: str, takes: type[args.Args], call: Callable[[Any, Any], object], answer: Any) -> Endpoint:
    return Endpoint(rpc, "PUT" if rpc == "Change" else "POST", path, takes, call, answer, writes=True)


_ACCOUNTS = (
    _read("ListAccounts", "/accounts", args.NoArgs, account_calls.list_accounts, account_shapes.AccountsAnswer),
    _read(
        "GetAccountSummary",
        "/accounts/snapshot",
        args.NoArgs,
        account_calls.get_snapshot,
        account_shapes.SnapshotAnswer,
    ),
    _read("GetAccount", _A, args.AccountArgs, account_calls.get_account, account_shapes.AccountAnswer),
    _read(
        "GetWatermarks",
        f"{_A}/watermarks",
        args.AccountArgs,
        account_calls.get_watermarks,
        account_shapes.WatermarksAnswer,
    ),
)
_POSITIONS = (
    _read(
        "GetAllPositions",
        "/positions",
        args.AllPositionsArgs,
        position_calls.list_all_positions,
        account_shapes.AllPositionsAnswer,
    ),
    _read(
        "ListPositions",
        f"{_A}/positions",
        args.AccountArgs,
        position_calls.list_positions,
        account_shapes.PositionsAnswer,
    ),
    _read(
        "GetPosition",
        f"{_A}/position",
        args.AccountInstrumentArgs,
        position_calls.get_position,
        account_shapes.PositionAnswer,
    ),
    _write(
        "FlattenEverything",
        "/positions/flatten",
        args.FlattenArgs,
        position_calls.flatten_everything,
        account_shapes.FlattenedAnswer,
    ),
    _write(
        "Flatten",
        f"{_A}/positions/flatten",
        args.FlattenAccountArgs,
        position_calls.flatten_account,
        account_shapes.ClosedAnswer,
    ),
    _write(
        "ClosePosition",
        f"{_A}/positions/close",
        args.CloseArgs,
        position_calls.close_position,
        account_shapes.CloseAnswer,
    ),
    _write(
        "Reverse",
        f"{_A}/positions/reverse",
        args.AccountInstrumentArgs,
        turning_calls.reverse,
        order_shapes.OrderIdAnswer,
    ),
    _write(
        "ReversePosition",
        f"{_A}/positions/reverseposition",
        args.TermsArgs,
        turning_calls.reverse_position,
        order_shapes.OrderIdAnswer,
    ),
)
_ORDERS = (
    _read("GetAllOrders", "/orders", args.AllOrdersArgs, order_calls.list_all_orders, order_shapes.AllOrdersAnswer),
    _read("ListOrders", f"{_A}/orders", args.OrdersArgs, order_calls.list_orders, order_shapes.OrdersAnswer),
    _read("GetOrder", _ORDER, args.OrderArgs, order_calls.get_order, order_shapes.OrderAnswer),
    _read(
        "GetOrderStatus", f"{_ORDER}/status", args.OrderArgs, order_calls.get_order_status, order_shapes.StatusAnswer
    ),
    _read(
        "GetOrderLifecycle",
        f"{_ORDER}/lifecycle",
        args.LifecycleArgs,
        order_calls.get_order_lifecycle,
        order_shapes.LifecycleAnswer,
    ),
    _read(
        "GetExecutionsByOrderId",
        f"{_ORDER}/executions",
        args.OrderArgs,
        order_calls.list_executions_of_order,
        order_shapes.ExecutionsAnswer,
    ),
    _write("PlaceOrder", f"{_A}/orders/place", args.PlaceArgs, placing_calls.place_order, order_shapes.OrderIdAnswer),
    _write("FlatPlace", f"{_A}/orders/flatplace", args.PlaceArgs, turning_calls.flat_place, order_shapes.OrderIdAnswer),
    _write("Cancel", f"{_ORDER}/cancel", args.OrderArgs, placing_calls.cancel_order, order_shapes.OrderIdAnswer),
    _write(
        "CancelOrders",
        f"{_A}/orders/cancel",
        args.CancelOrdersArgs,
        placing_calls.cancel_orders,
        order_shapes.OrderIdsAnswer,
    ),
    _write(
        "CancelAllOrders",
        "/orders/cancelall",
        args.NoArgs,
        placing_calls.cancel_all_orders,
        order_shapes.OrderIdsAnswer,
    ),
    _write("Change", f"{_ORDER}/change", args.ChangeArgs, placing_calls.change_order, order_shapes.OrderIdAnswer),
    _write(
        "CancelReplace", f"{_ORDER}/replace", args.ReplaceArgs, turning_calls.replace_order, order_shapes.OrderIdAnswer
    ),
    _write(
        "CancelAndBracket",
        f"{_A}/orders/cancel_and_bracket",
        args.BracketArgs,
        turning_calls.cancel_and_bracket,
        order_shapes.OrderIdsAnswer,
    ),
)
_EXECUTIONS = (
    _read(
        "ListExecutions",
        f"{_A}/executions",
        args.ExecutionsArgs,
        order_calls.list_executions,
        order_shapes.ExecutionsAnswer,
    ),
    _read(
        "GetExecution",
        f"{_A}/executions/{{executionId}}",
        args.ExecutionArgs,
        order_calls.get_execution,
        order_shapes.ExecutionAnswer,
    ),
)
_MARKET = (
    _read("GetQuote", "/market/quote", args.InstrumentArgs, market_calls.get_quote, _Quotes),
    _read("GetQuoteLegacy", f"{_A}/quote", args.AccountInstrumentArgs, market_calls.get_legacy_quote, _LegacyQuotes),
    _read(
        "MarketInfo", "/market/info", args.MarketInfoArgs, market_calls.get_market_info, market_shapes.MarketInfoAnswer
    ),
    Endpoint("GetBars", "POST", "/market/bars", args.BarsArgs, market_calls.get_bars, market_shapes.BarsAnswer),
    _read(
        "ListAtmTemplates",
        "/atm-templates",
        args.NoArgs,
        market_calls.list_atm_templates,
        market_shapes.TemplatesAnswer,
    ),
)
_STRATEGIES = (
    _read(
        "ListAllStrategies",
        "/strategies",
        strategy_args.AllStrategiesArgs,
        strategy_calls.list_all_strategies,
        strategy_shapes.AllStrategiesAnswer,
    ),
    _read(
        "ListStrategies",
        f"{_A}/strategies",
        strategy_args.StrategiesArgs,
        strategy_calls.list_strategies,
        strategy_shapes.StrategiesAnswer,
    ),
    _read(
        "GetStrategy",
        _STRATEGY,
        strategy_args.StrategyArgs,
        strategy_calls.get_strategy,
        strategy_shapes.StrategyAnswer,
    ),
    _write(
        "StartStrategy",
        f"{_A}/strategies/start",
        strategy_args.StartArgs,
        strategy_calls.start_strategy,
        strategy_shapes.StandingAnswer,
    ),
    _write(
        "EnableStrategy",
        f"{_STRATEGY}/enable",
        strategy_args.StrategyArgs,
        strategy_calls.enable_strategy,
        strategy_shapes.SwitchedAnswer,
    ),
    _write(
        "DisableStrategy",
        f"{_STRATEGY}/disable",
        strategy_args.StrategyArgs,
        strategy_calls.disable_strategy,
        strategy_shapes.SwitchedAnswer,
    ),
    _write(
        "CloseStrategy",
        f"{_STRATEGY}/close",
        strategy_args.StrategyArgs,
        strategy_calls.close_strategy,
        strategy_shapes.ClosedStrategyAnswer,
    ),
)

ENDPOINTS = (*_ACCOUNTS, *_POSITIONS, *_ORDERS, *_EXECUTIONS, *_MARKET, *_STRATEGIES)
