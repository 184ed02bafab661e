"""The table of REST endpoints: name, method, path and handler; what each takes and answers follows from its handler.

The names are also those of the RPCs on the WebSocket.
"""

import re
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, get_args, get_origin, get_type_hints

from ct_mcp.simulator.rest import accounts, market, order_commands, order_history, orders, positions, strategies
from ct_mcp.simulator.rest.wire import Args

PREFIX = "/v1/api"
_ACCOUNT = "/accounts/{account}"
_ORDER = f"{_ACCOUNT}/orders/{{orderId}}"
_STRATEGY = f"{_ACCOUNT}/strategies/{{strategyId}}"
_Handler = Callable[[Any, Any], object]


@dataclass(frozen=True, slots=True)
class RpcEndpoint:
    """One endpoint. `answer` may be a union; `needs_addon` is false for what the service answers by itself."""

    rpc: str
    method: str
    path: str
    takes: type[Args]
    call: _Handler
    answer: Any
    writes: bool = False
    needs_addon: bool = True

    @property
    def summary(self) -> str:
        """What it does, in a sentence or two: the docstring of its handler."""
        return (self.call.__doc__ or "").strip()

    @property
    def path_names(self) -> list[str]:
        """Names of the arguments in the path."""
        return re.findall(r"{(\w+)}", self.path)


def _endpoint(rpc: str, method: str, path: str, call: _Handler, *, writes: bool) -> RpcEndpoint:
    """Build an endpoint; its types are those of the second parameter and of the result of its handler."""
    _, takes, answer = get_type_hints(call).values()
    if get_origin(answer) is Generator:  # made in steps: the answer is what the generator returns
        *_, answer = get_args(answer)
    return RpcEndpoint(rpc, method, path, takes, call, answer, writes, needs_addon=rpc != "GetWatermarks")


def _read(rpc: str, path: str, call: _Handler) -> RpcEndpoint:
    return _endpoint(rpc, "GET", path, call, writes=False)


def _write(rpc: str, path: str, call: _Handler) -> RpcEndpoint:
    return _endpoint(rpc, "POST", path, call, writes=True)


ENDPOINTS = (
    _read("ListAccounts", "/accounts", accounts.list_accounts),
    _read("GetAccountSummary", "/accounts/snapshot", accounts.get_snapshot),
    _read("GetAccount", _ACCOUNT, accounts.get_account),
    _read("GetWatermarks", f"{_ACCOUNT}/watermarks", accounts.get_watermarks),
    _read("GetAllPositions", "/positions", positions.list_all_positions),
    _read("ListPositions", f"{_ACCOUNT}/positions", positions.list_positions),
    _read("GetPosition", f"{_ACCOUNT}/position", positions.get_position),
    _write("FlattenEverything", "/positions/flatten", positions.flatten_everything),
    _write("Flatten", f"{_ACCOUNT}/positions/flatten", positions.flatten_account),
    _write("ClosePosition", f"{_ACCOUNT}/positions/close", positions.close_position),
    _write("Reverse", f"{_ACCOUNT}/positions/reverse", order_commands.reverse),
    _write("ReversePosition", f"{_ACCOUNT}/positions/reverseposition", order_commands.reverse_position),
    _read("GetAllOrders", "/orders", orders.list_all_orders),
    _read("ListOrders", f"{_ACCOUNT}/orders", orders.list_orders),
    _read("GetOrder", _ORDER, orders.get_order),
    _read("GetOrderStatus", f"{_ORDER}/status", orders.get_order_status),
    _read("GetOrderLifecycle", f"{_ORDER}/lifecycle", order_history.get_order_lifecycle),
    _read("GetExecutionsByOrderId", f"{_ORDER}/executions", order_history.list_executions_of_order),
    _write("PlaceOrder", f"{_ACCOUNT}/orders/place", order_commands.place_order),
    _write("FlatPlace", f"{_ACCOUNT}/orders/flatplace", order_commands.flat_place),
    _write("Cancel", f"{_ORDER}/cancel", order_commands.cancel_order),
    _write("CancelOrders", f"{_ACCOUNT}/orders/cancel", order_commands.cancel_orders),
    _write("CancelAllOrders", "/orders/cancelall", order_commands.cancel_all_orders),
    _endpoint("Change", "PUT", f"{_ORDER}/change", order_commands.change_order, writes=True),
    _write("CancelReplace", f"{_ORDER}/replace", order_commands.replace_order),
    _write("CancelAndBracket", f"{_ACCOUNT}/orders/cancel_and_bracket", order_commands.cancel_and_bracket),
    _read("ListExecutions", f"{_ACCOUNT}/executions", order_history.list_executions),
    _read("GetExecution", f"{_ACCOUNT}/executions/{{executionId}}", order_history.get_execution),
    _read("GetQuote", "/market/quote", market.get_quote),
    _read("GetQuoteLegacy", f"{_ACCOUNT}/quote", market.get_legacy_quote),
    _read("MarketInfo", "/market/info", market.get_market_info),
    _endpoint("GetBars", "POST", "/market/bars", market.get_bars, writes=False),
    _read("ListAtmTemplates", "/atm-templates", market.list_atm_templates),
    _read("ListAllStrategies", "/strategies", strategies.list_all_strategies),
    _read("ListStrategies", f"{_ACCOUNT}/strategies", strategies.list_strategies),
    _read("GetStrategy", _STRATEGY, strategies.get_strategy),
    _write("StartStrategy", f"{_ACCOUNT}/strategies/start", strategies.start_strategy),
    _write("EnableStrategy", f"{_STRATEGY}/enable", strategies.enable_strategy),
    _write("DisableStrategy", f"{_STRATEGY}/disable", strategies.disable_strategy),
    _write("CloseStrategy", f"{_STRATEGY}/close", strategies.close_strategy),
)
