"""The live catalogue of routes, and where it puts a call whose path our own table only assumes.

It is asked for once, when it is needed, and kept. Its shape is not documented, so every reasonable one is taken.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from pydantic import AliasChoices, Field

from ct_mcp.crosstrade.endpoints import PREFIX, Endpoint
from ct_mcp.crosstrade.request import Call
from ct_mcp.crosstrade.schemas.bracket import BracketFields
from ct_mcp.crosstrade.schemas.reply import Reply, WireModel, parse_rows
from ct_mcp.crosstrade.schemas.values import MaybeText, Text
from ct_mcp.errors import NotFound
from ct_mcp.text import normalize

_LITERAL = re.compile(r"[A-Za-z0-9_-]+")
# {orderId}, {orderId:guid}, :orderId, <orderId>, <string:orderId>
_PLACEHOLDER = re.compile(r"\{(\w+)(?::\w+)?\}|:(\w+)|<(?:\w+:)?(\w+)>")
_OUR_PLACEHOLDER = re.compile(r"{(\w+)}")
_OUR_NAMES = {"account": "account", "order": "order_id", "strateg": "strategy_id", "execution": "execution_id"}


@dataclass(frozen=True, slots=True)
class Route:
    """One route as the live catalogue lists it; ``name`` is empty where it gives none."""

    method: str
    path: str
    name: str


class WireRoute(WireModel):
    """One row of the catalogue."""

    method: Text
    path: Text
    name: MaybeText = Field(default=None, validation_alias=AliasChoices("rpc", "name", "api", "operationId"))


@dataclass
class ApiCatalog:
    """What the service told of itself, shared by all views of one client; None is what was not told yet."""

    routes: tuple[Route, ...] | None = None
    bracket: BracketFields | None = None

    def with_live_path(self, call: Call) -> Call:
        """Give the call at its live path, where its own is an assumption of ours and the catalogue knows better."""
        if not call.endpoint.path_is_assumed or self.routes is None:
            return call
        return replace(call, route=resolve_path(call.endpoint, self.routes) or "")

    def explain_not_found(self, call: Call, error: NotFound) -> NotFound:
        """Give the error with what the catalogue says of a path that is our assumption."""
        if not call.endpoint.path_is_assumed:
            return error
        if self.routes is None:
            finding = "their _endpoints, which might tell, could not be read"
        elif path := resolve_path(call.endpoint, self.routes):
            finding = f"their _endpoints puts it at {path}"
        else:
            finding = "their _endpoints does not list it in a way that we can read"
        return error.rephrased(f"{error.what}; {finding}")


def parse_routes(reply: Reply) -> tuple[Route, ...]:
    """Read every route of the live catalogue: rows, or texts such as ``GET /v1/api/accounts``.

    Raises:
        BadReply: It lists none.
    """
    places = (reply.value, *(reply.top.get(key) for key in ("endpoints", "routes", "data")))
    listed = next((place for place in places if isinstance(place, list) and place), None)
    if listed is None:
        return reply.refuse("it lists no routes")
    if all(isinstance(item, str) for item in listed):
        listed = [dict(zip(("method", "path"), item.split(None, 1), strict=False)) for item in listed]
    rows = parse_rows(WireRoute, listed, reply.rpc, reply.context())
    return tuple(Route(row.method.upper(), row.path, row.name or "") for row in rows)


def resolve_path(endpoint: Endpoint, routes: Sequence[Route]) -> str | None:
    """Give the path under which the live catalogue lists a call, with our names in it.

    None where it lists the call not at all, at several paths, or at one that we cannot fill in.
    """
    listed = (
        _in_our_names(route.path)
        for route in routes
        if route.method == endpoint.method and normalize(route.name) == normalize(endpoint.rpc)
    )
    paths = {path for path in listed if path is not None and _can_be_filled(path, endpoint)}
    return paths.pop() if len(paths) == 1 else None


def _in_our_names(path: str) -> str | None:
    whole = path if path.startswith(f"{PREFIX}/") else f"{PREFIX}/{path.lstrip('/')}"
    segments = [_segment(before, segment) for before, segment in pairwise(whole.split("/"))]
    known = [segment for segment in segments if segment is not None]
    return f"/{'/'.join(known)}" if len(known) == len(segments) else None


def _segment(before: str, segment: str) -> str | None:
    """Give a literal as it is, a placeholder by our name for it; an ``id`` is of what stands before it."""
    if _LITERAL.fullmatch(segment):
        return segment
    if (found := _PLACEHOLDER.fullmatch(segment)) is None:
        return None
    word = normalize(next(filter(None, found.groups())))
    stem = normalize(before) if word == "id" else word
    return next((f"{{{ours}}}" for part, ours in _OUR_NAMES.items() if part in stem), None)


def _can_be_filled(path: str, endpoint: Endpoint) -> bool:
    """Nothing in it is unknown to us, and nothing but the account is left out: that would ask for more than one."""
    wanted, ours = set(_OUR_PLACEHOLDER.findall(path)), set(_OUR_PLACEHOLDER.findall(endpoint.path))
    return ours - {"account"} <= wanted <= ours
