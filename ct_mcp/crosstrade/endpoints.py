"""Every REST endpoint of CrossTrade for NinjaTrader: RPC name, method, path, read or write. Pure data.

The Tradovate surface and the webhook are other products and are left out. `ct-mcp check` compares this table with the
live catalogue; what is ``assumed`` here has not been seen in any document. Which of them are called, and by what, is
in the README.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType

PREFIX = "/v1/api"


class Assumption(StrEnum):
    """What of a row is our deduction, in the words that go with it."""

    NOTHING = ""
    PATH = "the path"
    NAME = "the RPC name, which is ours"
    NAME_OF_PATH = "which RPC name belongs to this path"
    PRICES = "the spelling of its prices"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One route. ``assumed`` says what in this row is our deduction.

    A call in ``steps`` does one thing and then another: when they refuse it, the first may have been done. One that
    ``places`` brings an order of its own, and one that ``closes`` does nothing but leave.
    """

    rpc: str
    method: str
    path: str
    writes: bool
    note: str = ""
    assumed: Assumption = Assumption.NOTHING
    steps: bool = False
    places: bool = False
    closes: bool = False

    @property
    def path_is_assumed(self) -> bool:
        """Say whether the live catalogue may know better where it is. Reads only: no write goes to a guessed path."""
        return self.assumed is Assumption.PATH


def _read(rpc: str, path: str, note: str = "", assumed: Assumption = Assumption.NOTHING) -> Endpoint:
    return Endpoint(rpc, "GET", PREFIX + path, writes=False, note=note, assumed=assumed)


def _write(rpc: str, path: str, note: str = "", assumed: Assumption = Assumption.NOTHING) -> Endpoint:
    return Endpoint(rpc, "POST", PREFIX + path, writes=True, note=note, assumed=assumed)


def _steps(rpc: str, path: str, note: str = "", assumed: Assumption = Assumption.NOTHING) -> Endpoint:
    return replace(_write(rpc, path, note, assumed), steps=True)


def _closes(rpc: str, path: str, note: str = "") -> Endpoint:
    return replace(_write(rpc, path, note), closes=True)


def _places(endpoint: Endpoint) -> Endpoint:
    return replace(endpoint, places=True)


_ACCOUNT = "/accounts/{account}"
_ORDER = f"{_ACCOUNT}/orders/{{order_id}}"
_STRATEGY = f"{_ACCOUNT}/strategies/{{strategy_id}}"

_ROWS = (
    # Accounts
    _read("ListAccounts", "/accounts", "rows may carry nothing but a name"),
    _read("GetAccount", _ACCOUNT, "'snapshot' is a route and no account"),
    _read("GetAccountSummary", "/accounts/snapshot", assumed=Assumption.NAME_OF_PATH),
    _read("GetWatermarks", f"{_ACCOUNT}/watermarks", "needs no add-on"),
    # Positions
    _read("ListPositions", f"{_ACCOUNT}/positions"),
    _read("GetAllPositions", "/positions", "add-on 1.12.0"),
    _read("GetPosition", f"{_ACCOUNT}/position", "what comes when flat is not documented"),
    _write("FlattenEverything", "/positions/flatten", "NEVER CALLED: with an empty body it closes every account"),
    _closes("Flatten", f"{_ACCOUNT}/positions/flatten", "leaves resting entries where there is no position"),
    _closes("ClosePosition", f"{_ACCOUNT}/positions/close", "a partial close leaves stops and targets at their size"),
    _steps("Reverse", f"{_ACCOUNT}/positions/reverse"),
    _steps("ReversePosition", f"{_ACCOUNT}/positions/reverseposition", "places even if the old position still stands"),
    # Orders
    _read("ListOrders", f"{_ACCOUNT}/orders"),
    _read("GetAllOrders", "/orders", "add-on 1.12.0", assumed=Assumption.PATH),
    _read("GetOrder", _ORDER, "may miss a living order that is asked for by our own id"),
    _read("GetOrderStatus", f"{_ORDER}/status"),
    _read("GetOrderLifecycle", f"{_ORDER}/lifecycle", "add-on 1.13.2; the evidence after an unknown outcome"),
    _places(_write("PlaceOrder", f"{_ACCOUNT}/orders/place", "acknowledged by the add-on; neither working nor filled")),
    _places(_steps("FlatPlace", f"{_ACCOUNT}/orders/flatplace", "places even if the old position still stands")),
    _write("Cancel", f"{_ORDER}/cancel"),
    _write("CancelOrders", f"{_ACCOUNT}/orders/cancel", "no instrument: every order of the account"),
    _write("CancelAllOrders", "/orders/cancelall", "NEVER CALLED: it reaches accounts that nobody named"),
    _steps("CancelReplace", f"{_ORDER}/replace", "places only if the old order was cancelled"),
    Endpoint("Change", "PUT", f"{PREFIX}{_ORDER}/change", writes=True, note="the only PUT"),
    _steps(
        "CancelAndBracket",
        f"{_ACCOUNT}/orders/cancel_and_bracket",
        "not atomic; on a flat account it opens",
        Assumption.PRICES,
    ),
    # Executions
    _read("ListExecutions", f"{_ACCOUNT}/executions", "the last 900 seconds at most"),
    _read("GetExecution", f"{_ACCOUNT}/executions/{{execution_id}}"),
    _read("GetExecutionsByOrderId", f"{_ORDER}/executions", "add-on 1.12.0", assumed=Assumption.PATH),
    # Market data
    _read("GetQuote", "/market/quote", "one name: an object; several, joined by commas: a bare array"),
    _read("GetQuoteLegacy", f"{_ACCOUNT}/quote", "deprecated since 1.12.0", assumed=Assumption.NAME),
    _read("MarketInfo", "/market/info"),
    Endpoint("GetBars", "POST", f"{PREFIX}/market/bars", writes=False, note="reads, though it is a POST"),
    # Strategies
    _read("ListStrategies", f"{_ACCOUNT}/strategies", "has returned stale rows", assumed=Assumption.PATH),
    _read("GetStrategy", _STRATEGY, assumed=Assumption.PATH),
    _read("ListAllStrategies", "/strategies", "the reliable list", assumed=Assumption.PATH),
    _write("CloseStrategy", f"{_STRATEGY}/close"),
    _write("DisableStrategy", f"{_STRATEGY}/disable", "add-on 1.13.0"),
    _write("EnableStrategy", f"{_STRATEGY}/enable", "add-on 1.13.0"),
    _write("StartStrategy", f"{_ACCOUNT}/strategies/start", "add-on 1.13.0"),
    _read("ListAtmTemplates", "/atm-templates", assumed=Assumption.NAME),
    # Discovery: names with a dot or underscore are documents and no RPC
    _read("_endpoints", "/_endpoints"),
    _read("openapi.json", "/openapi.json"),
    _read("openapi.yaml", "/openapi.yaml"),
    _read("llms.txt", "/llms.txt"),
    _read("llms-full.txt", "/llms-full.txt"),
)

ENDPOINTS = MappingProxyType({endpoint.rpc: endpoint for endpoint in _ROWS})
REFERENCES = ("llms.txt", "llms-full.txt", "openapi.json", "openapi.yaml", "_endpoints")
