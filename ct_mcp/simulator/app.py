"""The fake service: its routes, over REST and over the socket, and their envelopes."""

import json
from collections.abc import Awaitable, Callable
from difflib import get_close_matches
from functools import partial

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp

from ct_mcp.simulator.carrying import INVALID, carried_out, misbehave_before
from ct_mcp.simulator.door import Door, Seen
from ct_mcp.simulator.misbehaviour import cutting, json_answer
from ct_mcp.simulator.rest.documents import DOCUMENTS, Document
from ct_mcp.simulator.rest.endpoints import ENDPOINTS, PREFIX, Endpoint
from ct_mcp.simulator.socket import socket_of
from ct_mcp.simulator.stream.hub import Hub
from ct_mcp.simulator.stream.session import PATH

_Handler = Callable[[Request], Awaitable[Response]]


def build_app(door: Door, hub: Hub) -> ASGIApp:
    """Build the ASGI application."""
    routes: list[Route | WebSocketRoute] = [WebSocketRoute(PATH, socket_of(hub))]
    routes += [
        Route(PREFIX + endpoint.path, _served(door, endpoint), methods=[endpoint.method]) for endpoint in ENDPOINTS
    ]
    routes += [Route(PREFIX + document.path, _shown(door, document), methods=["GET"]) for document in DOCUMENTS]
    return cutting(Starlette(routes=routes, exception_handlers={404: _not_found, 405: _not_allowed}))


def _admitted(door: Door, request: Request) -> Response | None:
    """Let a request in, or answer it here."""
    return door.stranger(request.headers.get("authorization", "")) or door.too_many()


def _served(door: Door, endpoint: Endpoint) -> _Handler:
    """Make the handler of an endpoint."""

    async def handle(request: Request) -> Response:
        body = await request.body()
        door.addon.wake()
        early = _admitted(door, request) or misbehave_before(door.addon, endpoint)
        door.log.append(Seen(request.method, request.url.path, endpoint.rpc, accepted=early is None))
        if early is not None:
            return early
        carried = await carried_out(door.addon, endpoint, partial(_merged, endpoint, request, body))
        if carried.is_slow:
            await door.addon.faults.hold()
        return carried.response

    return handle


def _merged(endpoint: Endpoint, request: Request, body: bytes) -> dict[str, object]:
    """Put path, query and body into one flat set of arguments."""
    if endpoint.method == "GET":
        return {**request.query_params, **request.path_params}
    try:
        said = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise INVALID from None
    if not isinstance(said, dict):
        raise INVALID
    return {**said, **request.path_params}


def _shown(door: Door, document: Document) -> _Handler:
    """Make the handler of a document; the documents need no add-on."""

    async def handle(request: Request) -> Response:
        door.addon.wake()
        early = _admitted(door, request)
        door.log.append(Seen(request.method, request.url.path, document.name, accepted=early is None))
        return early or Response(document.text(), media_type=document.media_type)

    return handle


async def _not_found(request: Request, _: Exception) -> Response:
    """Say that there is no such route, and which one may have been meant; outside the API a web page answers."""
    if not request.url.path.startswith(PREFIX):
        return HTMLResponse("<!doctype html><html><body><h1>Page not found</h1></body></html>", 404)
    served = [each.path for each in (*ENDPOINTS, *DOCUMENTS)]
    near = get_close_matches(request.url.path.removeprefix(PREFIX), served, n=1, cutoff=0.4)
    body = {"success": False, "error": "not_found", "did_you_mean": PREFIX + near[0] if near else None}
    return json_answer(404, body)


async def _not_allowed(request: Request, _: Exception) -> Response:
    """Say what is allowed by every route of this path, and not by the first one alone, as Starlette would."""
    routes = (route for route in request.app.routes if isinstance(route, Route))
    fitting = (route.methods or set() for route in routes if route.path_regex.match(request.url.path))
    answer = json_answer(405, {"success": False, "error": "method_not_allowed", "detail": request.method})
    answer.headers["Allow"] = ", ".join(sorted(set().union(*fitting)))
    return answer
