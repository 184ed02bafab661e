"""The gateway: what every call passes, over REST or the WebSocket.

1. `Gateway` checks the token and the rate limit, and keeps the log of what arrived.
2. `endpoint_for_rpc` finds the endpoint that an RPC on the socket means; over REST the route tells it.
3. `fault_before` answers instead of the add-on where a fault demands it.
4. `dispatch` carries the call out, with the same arguments, faults and answers on both channels.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from hmac import compare_digest

from pydantic import ValidationError
from starlette.responses import Response

from ct_mcp.simulator.addon import AddOn, RequestRefused
from ct_mcp.simulator.fault_responses import (
    FAULTS_AFTER_ACCEPT,
    FAULTS_BEFORE_ACCEPT,
    distort,
    fault_response,
    json_response,
    rate_limit_response,
)
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.rest.endpoints import ENDPOINTS, RpcEndpoint

INVALID_REQUEST = RequestRefused(400, "Invalid request")
TRADOVATE_NOT_LINKED = RequestRefused(403, "tradovate_not_linked", detail="No Tradovate identity is linked")
_ENDPOINT_OF_RPC = {endpoint.rpc: endpoint for endpoint in ENDPOINTS}
_FLATTEN_FILTERS = ("account", "instrument", "marketPosition")


@dataclass(frozen=True, slots=True)
class RateLimit:
    """How many calls at once, and how many a second after that."""

    burst: int = 20
    per_second: float = 3.0


class RateLimitBucket:
    """A bucket of tokens that refills at the rate of a limit."""

    def __init__(self, limit: RateLimit) -> None:
        """Start full."""
        self._limit = limit
        self._tokens = float(limit.burst)
        self._at: datetime | None = None

    def take(self, now: datetime) -> float:
        """Take a token and return 0.0, or return the seconds until there is one."""
        if self._at is not None:
            passed = max((now - self._at).total_seconds(), 0.0)
            self._tokens = min(self._limit.burst, self._tokens + passed * self._limit.per_second)
        self._at = now
        if self._tokens < 1 - 1e-9:
            return (1 - self._tokens) / self._limit.per_second
        self._tokens -= 1
        return 0.0


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """One request that arrived. `accepted` tells whether the add-on was asked to carry it out."""

    method: str
    path: str
    rpc: str
    accepted: bool


@dataclass(slots=True)
class Gateway:
    """Token, rate limit and request log; both channels draw on one bucket, because the service meters them together."""

    addon: AddOn
    token: str
    limit: RateLimit | None
    log: deque[ReceivedRequest] = field(default_factory=lambda: deque(maxlen=10_000))
    bucket: RateLimitBucket | None = field(init=False)

    def __post_init__(self) -> None:
        """Start with a full bucket, if there is a limit."""
        self.bucket = RateLimitBucket(self.limit) if self.limit else None

    def authenticate(self, authorization: str) -> Response | None:
        """Check the token; return the answer to a caller who does not have it."""
        known = compare_digest(authorization.encode(), f"Bearer {self.token}".encode())
        return None if known else fault_response(Fault.UNAUTHORIZED)

    def check_rate_limit(self) -> Response | None:
        """Take a token of the rate limit; return the answer to a caller for whom there is none."""
        wait = self.bucket.take(self.addon.now) if self.bucket else 0.0
        return rate_limit_response(wait) if wait else None


@dataclass(frozen=True, slots=True)
class DispatchResult:
    """The answer to a call, and whether it is to be held back until slow answers are released."""

    response: Response
    is_slow: bool = False


def is_tradovate(api: str, origin: str | None) -> bool:
    """Check whether a call is for the Tradovate half of the service, which is not simulated."""
    return api.startswith("Tv_") or origin == "tradovate"


def endpoint_for_rpc(
    api: str, args: Mapping[str, object], origin: str | None
) -> tuple[RpcEndpoint, Mapping[str, object]]:
    """Find the endpoint that an RPC means, and the arguments for it.

    REST tells the two ways to flatten apart by path and filters; over the socket the caller names one. There
    `FlattenEverything` ignores all filters, and `Flatten` needs one.

    Raises:
        RequestRefused: There is none of that name, or it is for Tradovate.
    """
    if is_tradovate(api, origin):
        raise TRADOVATE_NOT_LINKED
    if api not in _ENDPOINT_OF_RPC:
        raise RequestRefused(404, "Unknown API command", detail=f"There is no '{api}'")
    if api == "FlattenEverything":
        return _ENDPOINT_OF_RPC[api], {}
    if api == "Flatten":
        return _flatten_endpoint(args), args
    return _ENDPOINT_OF_RPC[api], args


def _flatten_endpoint(args: Mapping[str, object]) -> RpcEndpoint:
    given = {name for name in _FLATTEN_FILTERS if args.get(name)}
    if not given:
        raise INVALID_REQUEST
    if "account" in given and "marketPosition" not in given:
        return _ENDPOINT_OF_RPC["Flatten"]
    return replace(_ENDPOINT_OF_RPC["FlattenEverything"], rpc="Flatten")


def fault_before(addon: AddOn, endpoint: RpcEndpoint) -> Response | None:
    """Return the answer of a fault that strikes before the add-on is asked; nothing has happened then."""
    fault = addon.faults.first_due(FAULTS_BEFORE_ACCEPT, endpoint.rpc)
    if fault is None and endpoint.needs_addon and addon.faults.take(Fault.ADDON_OFFLINE, endpoint.rpc):
        fault = Fault.ADDON_OFFLINE
    return fault_response(fault) if fault else None


async def dispatch(
    addon: AddOn, endpoint: RpcEndpoint, arguments: Callable[[], Mapping[str, object]]
) -> DispatchResult:
    """Carry a call out and answer it, as the faults allow; `arguments` returns the arguments or refuses them."""
    status, body = await _ask(addon, endpoint, arguments)
    fault = addon.faults.first_due(FAULTS_AFTER_ACCEPT, endpoint.rpc)
    if fault is not None and fault is not Fault.SLOW_ANSWER:
        return DispatchResult(fault_response(fault))
    response = json_response(status, distort(addon.faults, endpoint.rpc, status, body))
    return DispatchResult(response, is_slow=fault is Fault.SLOW_ANSWER)


async def _ask(
    addon: AddOn, endpoint: RpcEndpoint, arguments: Callable[[], Mapping[str, object]]
) -> tuple[int, object]:
    """Ask the add-on; return the status and the body of its answer."""
    try:
        return 200, await addon.complete(endpoint.call(addon, endpoint.takes.model_validate(arguments())))
    except RequestRefused as refused:
        return refused.status, refused.body
    except ValidationError:
        return INVALID_REQUEST.status, INVALID_REQUEST.body
