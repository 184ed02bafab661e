"""Where the service no longer is as our catalogue says: routes that are missing, new or changed. Pure.

Compared are method and path, and the name where a list gives one: a call that has moved is found again by its name, and
two calls that have swapped their paths differ although both paths are there.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from urllib.parse import urlsplit

from ct_mcp.crosstrade.catalogue import ENDPOINTS, PREFIX, REFERENCES, Endpoint
from ct_mcp.crosstrade.failures import json_in
from ct_mcp.crosstrade.routes import Route
from ct_mcp.crosstrade.words import cleaned, folded
from ct_mcp.errors import BadReply

_HOLE = re.compile(r"\{[^{}/]*\}|<[^<>/]*>|(?<=/):\w+")
_METHODS = frozenset({"GET", "PUT", "POST", "PATCH", "DELETE"})
# Tradovate, the hosted MCP server and the socket are other doors of the same house.
_OTHER_DOORS = frozenset({"tv", "mcp", "ws"})


class DriftKind(StrEnum):
    """What may have happened to a route."""

    MISSING = "missing"
    NEW = "new"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Difference:
    """One route that differs; ``seen_in`` names the lists that say so, ``assumed`` what of ours was only deduced.

    ``name`` is ours where the catalogue has the route. ``ours`` is empty for a new route, ``theirs`` for a missing one.
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

    differences: tuple[Difference, ...]
    compared: Mapping[str, int]
    elsewhere: int


def drift_of(lists: Mapping[str, Sequence[Route]]) -> Drift:
    """Compare each of their lists with the catalogue; a difference that several of them show is told once."""
    ours = {name: [route for route in map(_at_home, listed) if route is not None] for name, listed in lists.items()}
    seen: dict[tuple[str, str, str], Difference] = {}
    for name, routes in ours.items():
        for found in _differences(routes):
            key = (found.kind, found.ours, _HOLE.sub("{}", found.theirs))
            before = seen.get(key, found)
            seen[key] = replace(before, seen_in=(*before.seen_in, name))
    return Drift(
        differences=tuple(seen.values()),
        compared={name: len({_address(route) for route in routes}) for name, routes in ours.items()},
        elsewhere=len({_address(route) for listed in lists.values() for route in listed if _at_home(route) is None}),
    )


def routes_described_in(document: str) -> tuple[Route, ...]:
    """Every route that an openapi.json describes.

    Raises:
        BadReply: It describes none.
    """
    root = _object(json_in(document))
    base = _base_of(root)
    routes = tuple(
        Route(method.upper(), path if path.startswith(f"{PREFIX}/") else base + path, _name_of(operation))
        for path, operations in _object(root.get("paths")).items()
        for method, operation in _object(operations).items()
        if method.upper() in _METHODS
    )
    if not routes:
        raise BadReply("openapi.json cannot be trusted: it describes no routes")
    return routes


def _base_of(root: Mapping[str, object]) -> str:
    """The path at which their document says that all of its paths begin."""
    servers = root.get("servers")
    first = _object(servers[0]).get("url") if isinstance(servers, list) and servers else None
    try:
        return urlsplit(first).path.rstrip("/") if isinstance(first, str) else ""
    except ValueError:
        return ""


def _name_of(operation: object) -> str:
    name = _object(operation).get("operationId")
    return name if isinstance(name, str) else ""


def _object(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _at_home(route: Route) -> Route | None:
    """The route with its whole path; None where it belongs to another product than NinjaTrader over REST."""
    path = "/" + route.path.partition("?")[0].strip("/")
    if not path.startswith(f"{PREFIX}/"):
        if path.split("/")[1] in ("v1", "ws"):
            return None
        path = PREFIX + path
    is_elsewhere = path.removeprefix(PREFIX).split("/")[1] in _OTHER_DOORS
    return None if is_elsewhere else Route(route.method, path, route.name)


def _address(route: Route | Endpoint) -> tuple[str, str]:
    """Method and path, whatever the path calls the names in it."""
    return route.method, _HOLE.sub("{}", route.path)


def _differences(routes: Sequence[Route]) -> Iterator[Difference]:
    """What one of their lists says: first of our routes in their order, then of the routes that we do not know."""
    known = {_address(endpoint) for endpoint in ENDPOINTS.values()}
    strangers = [route for route in routes if _address(route) not in known]
    moved: set[tuple[str, str]] = set()
    for endpoint in _expected(routes):
        if (found := _difference(endpoint, routes, strangers)) is None:
            continue
        difference, theirs = found
        moved |= {_address(theirs)} if theirs else set()
        yield difference
    for address, route in {_address(route): route for route in strangers}.items():
        if address not in moved:
            yield Difference(DriftKind.NEW, cleaned(route.name, longest=60), "", _told(route))


def _expected(routes: Iterable[Route]) -> list[Endpoint]:
    """What a list ought to hold; the documents only where it counts documents among the routes at all."""
    listed = {_address(route) for route in routes}
    documents = [ENDPOINTS[name] for name in REFERENCES]
    if any(_address(document) in listed for document in documents):
        return list(ENDPOINTS.values())
    return [endpoint for endpoint in ENDPOINTS.values() if endpoint not in documents]


def _difference(
    endpoint: Endpoint, routes: Sequence[Route], strangers: Sequence[Route]
) -> tuple[Difference, Route | None] | None:
    address = _address(endpoint)
    named = [route for route in routes if folded(route.name) == folded(endpoint.rpc)]
    if any(_address(route) == address for route in named or routes):
        return None
    same_path = [route for route in strangers if _address(route)[1] == address[1]]
    theirs = next(iter((*named, *same_path)), None)
    kind = DriftKind.CHANGED if theirs else DriftKind.MISSING
    ours = f"{endpoint.method} {endpoint.path}"
    return Difference(kind, endpoint.rpc, ours, _told(theirs) if theirs else "", endpoint.assumed), theirs


def _told(route: Route) -> str:
    return cleaned(f"{route.method} {route.path}", longest=160)
