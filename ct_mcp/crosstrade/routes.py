"""Their live catalogue of routes, and where it puts a call whose path our own table only assumes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from ct_mcp.crosstrade.catalogue import PREFIX, Endpoint
from ct_mcp.crosstrade.wire_row import Reply, rows_of
from ct_mcp.crosstrade.words import folded

_LITERAL = re.compile(r"[A-Za-z0-9_-]+")
# {orderId}, {orderId:guid}, :orderId, <orderId>, <string:orderId>
_HOLE = re.compile(r"\{(\w+)(?::\w+)?\}|:(\w+)|<(?:\w+:)?(\w+)>")
_OUR_HOLE = re.compile(r"{(\w+)}")
_OUR_NAMES = {"account": "account", "order": "order_id", "strateg": "strategy_id", "execution": "execution_id"}


@dataclass(frozen=True, slots=True)
class Route:
    """One route as the live catalogue lists it; ``name`` is empty where it gives none."""

    method: str
    path: str
    name: str


def routes_in(reply: Reply) -> tuple[Route, ...]:
    """Every route of the live catalogue, whose shape is not documented; an empty one is refused."""
    values = reply.top.values
    places = (reply.value, *(values.get(key) for key in ("endpoints", "routes", "data")))
    listed = next((place for place in places if isinstance(place, list) and place), None)
    if listed is None:
        return reply.top.refuse("it lists no routes")
    if all(isinstance(item, str) for item in listed):
        listed = [dict(zip(("method", "path"), item.split(None, 1), strict=False)) for item in listed]
    return tuple(
        Route(row.text("method").upper(), row.text("path"), row.text_or_none("rpc", "name", "api", "operationId") or "")
        for row in rows_of(listed, reply.rpc, reply.today)
    )


def live_path(endpoint: Endpoint, routes: Sequence[Route]) -> str | None:
    """The path under which the live catalogue lists a call, with our names in it.

    None where it lists the call not at all, at several paths, or at one that we cannot fill in.
    """
    listed = (
        _in_our_names(route.path)
        for route in routes
        if route.method == endpoint.method and folded(route.name) == folded(endpoint.rpc)
    )
    paths = {path for path in listed if path is not None and _can_be_filled(path, endpoint)}
    return paths.pop() if len(paths) == 1 else None


def _in_our_names(path: str) -> str | None:
    whole = path if path.startswith(f"{PREFIX}/") else f"{PREFIX}/{path.lstrip('/')}"
    segments = [_segment(before, segment) for before, segment in pairwise(whole.split("/"))]
    known = [segment for segment in segments if segment is not None]
    return f"/{'/'.join(known)}" if len(known) == len(segments) else None


def _segment(before: str, segment: str) -> str | None:
    """A literal as it is, a hole by our name for it; an ``id`` is of what stands before it."""
    if _LITERAL.fullmatch(segment):
        return segment
    if (hole := _HOLE.fullmatch(segment)) is None:
        return None
    word = folded(next(filter(None, hole.groups())))
    stem = folded(before) if word == "id" else word
    return next((f"{{{ours}}}" for part, ours in _OUR_NAMES.items() if part in stem), None)


def _can_be_filled(path: str, endpoint: Endpoint) -> bool:
    """Nothing in it is unknown to us, and nothing but the account is left out: that would ask for more than one."""
    wanted, ours = set(_OUR_HOLE.findall(path)), set(_OUR_HOLE.findall(endpoint.path))
    return ours - {"account"} <= wanted <= ours
