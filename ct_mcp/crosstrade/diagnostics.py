"""What `ct-mcp check` finds out about the service: routes that are not as our table says, their clock, being slowed.

Routes are compared by method and path, and by name where a list gives one: a call that has moved is found again by its
name, and two calls that have swapped their paths differ although both paths are there.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from urllib.parse import urlsplit

import httpx

from ct_mcp.crosstrade.api_catalog import Route
from ct_mcp.crosstrade.endpoints import ENDPOINTS, PREFIX, REFERENCES, Endpoint
from ct_mcp.crosstrade.schemas.values import parse_json
from ct_mcp.errors import BadReply
from ct_mcp.text import normalize, sanitize

Transport = httpx.AsyncBaseTransport
_PLACEHOLDER = re.compile(r"\{[^{}/]*\}|<[^<>/]*>|(?<=/):\w+")
_METHODS = frozenset({"GET", "PUT", "POST", "PATCH", "DELETE"})
# Tradovate, the hosted MCP server and the socket are other products behind the same address.
_OTHER_PRODUCTS = frozenset({"tv", "mcp", "ws"})
_WHOLE_SECOND = timedelta(seconds=1)


class DriftKind(StrEnum):
    """What may have happened to a route."""

    MISSING = "missing"
    NEW = "new"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class RouteDifference:
    """One route that differs; ``seen_in`` names the lists that say so, ``assumed`` what of ours was only deduced.

    ``name`` is ours where our table has the route. ``ours`` is empty for a new route, ``theirs`` for a missing one.
    """

    kind: DriftKind
    name: str
    ours: str
    theirs: str
    assumed: str = ""
    seen_in: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Drift:
    """What the lists of the service say; ``elsewhere`` counts routes of its other products, which we do not call."""

    differences: tuple[RouteDifference, ...]
    compared: Mapping[str, int]
    elsewhere: int


def compare_routes(lists: Mapping[str, Sequence[Route]]) -> Drift:
    """Compare each of their lists with our table; a difference that several of them show is told once."""
    ours = {name: [route for route in map(_whole_path, listed) if route is not None] for name, listed in lists.items()}
    seen: dict[tuple[str, str, str], RouteDifference] = {}
    for name, routes in ours.items():
        for found in _differences(routes):
            key = (found.kind, found.ours, _PLACEHOLDER.sub("{}", found.theirs))
            before = seen.get(key, found)
            seen[key] = replace(before, seen_in=(*before.seen_in, name))
    others = {_address(route) for listed in lists.values() for route in listed if _whole_path(route) is None}
    return Drift(
        differences=tuple(seen.values()),
        compared={name: len({_address(route) for route in routes}) for name, routes in ours.items()},
        elsewhere=len(others),
    )


def parse_openapi_routes(document: str) -> tuple[Route, ...]:
    """Read every route that an openapi.json describes.

    Raises:
        BadReply: It describes none.
    """
    root = _object(parse_json(document))
    base = _base_path(root)
    routes = tuple(
        Route(method.upper(), path if path.startswith(f"{PREFIX}/") else base + path, _operation_name(operation))
        for path, operations in _object(root.get("paths")).items()
        for method, operation in _object(operations).items()
        if method.upper() in _METHODS
    )
    if not routes:
        raise BadReply("openapi.json cannot be trusted: it describes no routes")
    return routes


def _base_path(root: Mapping[str, object]) -> str:
    """Give the path at which their document says that all of its paths begin."""
    servers = root.get("servers")
    first = _object(servers[0]).get("url") if isinstance(servers, list) and servers else None
    try:
        return urlsplit(first).path.rstrip("/") if isinstance(first, str) else ""
    except ValueError:
        return ""


def _operation_name(operation: object) -> str:
    name = _object(operation).get("operationId")
    return name if isinstance(name, str) else ""


def _object(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _whole_path(route: Route) -> Route | None:
    """Give the route with its whole path; None where it belongs to another product than NinjaTrader over REST."""
    path = "/" + route.path.partition("?")[0].strip("/")
    if not path.startswith(f"{PREFIX}/"):
        if path.split("/")[1] in ("v1", "ws"):
            return None
        path = PREFIX + path
    is_other = path.removeprefix(PREFIX).split("/")[1] in _OTHER_PRODUCTS
    return None if is_other else Route(route.method, path, route.name)


def _address(route: Route | Endpoint) -> tuple[str, str]:
    """Give method and path, whatever the path calls the names in it."""
    return route.method, _PLACEHOLDER.sub("{}", route.path)


def _differences(routes: Sequence[Route]) -> Iterator[RouteDifference]:
    """Say what one of their lists says: first of our routes in their order, then of the routes that we do not know."""
    known = {_address(endpoint) for endpoint in ENDPOINTS.values()}
    unknown = [route for route in routes if _address(route) not in known]
    moved: set[tuple[str, str]] = set()
    for endpoint in _expected(routes):
        if (found := _difference(endpoint, routes, unknown)) is None:
            continue
        difference, theirs = found
        moved |= {_address(theirs)} if theirs else set()
        yield difference
    for address, route in {_address(route): route for route in unknown}.items():
        if address not in moved:
            yield RouteDifference(DriftKind.NEW, sanitize(route.name, longest=60), "", _shown(route))


def _expected(routes: Iterable[Route]) -> list[Endpoint]:
    """Say what a list ought to hold; the documents only where it counts documents among the routes at all."""
    listed = {_address(route) for route in routes}
    documents = [ENDPOINTS[name] for name in REFERENCES]
    if any(_address(document) in listed for document in documents):
        return list(ENDPOINTS.values())
    return [endpoint for endpoint in ENDPOINTS.values() if endpoint not in documents]


def _difference(
    endpoint: Endpoint, routes: Sequence[Route], unknown: Sequence[Route]
) -> tuple[RouteDifference, Route | None] | None:
    address = _address(endpoint)
    named = [route for route in routes if normalize(route.name) == normalize(endpoint.rpc)]
    if any(_address(route) == address for route in named or routes):
        return None
    same_path = [route for route in unknown if _address(route)[1] == address[1]]
    theirs = next(iter((*named, *same_path)), None)
    kind = DriftKind.CHANGED if theirs else DriftKind.MISSING
    ours = f"{endpoint.method} {endpoint.path}"
    return RouteDifference(kind, endpoint.rpc, ours, _shown(theirs) if theirs else "", endpoint.assumed), theirs


def _shown(route: Route) -> str:
    return sanitize(f"{route.method} {route.path}", longest=160)


@dataclass(frozen=True, slots=True)
class ClockSample:
    """Their clock, as it was at some moment between our asking and our having the answer.

    A header tells whole seconds, so ``told_at`` may be up to ``resolution`` before what their clock showed.
    """

    told_at: datetime
    asked_at: datetime
    answered_at: datetime
    resolution: timedelta = timedelta()

    @property
    def ahead_seconds(self) -> float:
        """How far our clock is ahead of theirs, at the least; 0 where the two may agree."""
        least = (self.asked_at - self.told_at - self.resolution).total_seconds()
        most = (self.answered_at - self.told_at).total_seconds()
        return max(least, 0.0) + min(most, 0.0)


class ObservingTransport(httpx.AsyncBaseTransport):
    """Passes requests on. ``sample`` is of the last answer that had a date, ``slowed`` counts answers of 429."""

    def __init__(self, inner: Transport | None, clock: Callable[[], datetime]) -> None:
        """Observe a transport, which is closed with this one; the real one where none is given."""
        self._inner = inner or httpx.AsyncHTTPTransport(trust_env=False)
        self._clock = clock
        self.sample: ClockSample | None = None
        self.slowed = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Pass one request on, and keep what its answer says beside its body."""
        asked_at = self._clock()
        response = await self._inner.handle_async_request(request)
        self.slowed += response.status_code == 429
        if told_at := _date_of(response):
            self.sample = ClockSample(told_at, asked_at, self._clock(), _WHOLE_SECOND)
        return response

    async def aclose(self) -> None:
        """Close the transport within."""
        await self._inner.aclose()


def _date_of(response: httpx.Response) -> datetime | None:
    try:
        told = parsedate_to_datetime(response.headers.get("date", ""))
    except ValueError:
        return None
    return told.astimezone(UTC) if told.tzinfo else told.replace(tzinfo=UTC)
