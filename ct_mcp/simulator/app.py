"""The ASGI application of the simulated service: its REST routes, its documents and its WebSocket."""

import json
from collections.abc import Awaitable, Callable
from difflib import get_close_matches
from functools import partial

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp

from ct_mcp.simulator.fault_responses import json_response, raise_when_cut
from ct_mcp.simulator.gateway import INVALID_REQUEST, Gateway, ReceivedRequest, dispatch, fault_before
from ct_mcp.simulator.rest.documents import DOCUMENTS, Document
from ct_mcp.simulator.rest.endpoints import ENDPOINTS, PREFIX, RpcEndpoint
from ct_mcp.simulator.stream.hub import StreamHub, websocket_handler
from ct_mcp.simulator.stream.session import STREAM_PATH

_Handler = Callable[[Request], Awaitable[Response]]


def build_app(gateway: Gateway, hub: StreamHub) -> ASGIApp:
    """Build the ASGI application."""
    routes: list[Route | WebSocketRoute] = [WebSocketRoute(STREAM_PATH, websocket_handler(hub))]
    routes += [
        Route(PREFIX + endpoint.path, _serve(gateway, endpoint), methods=[endpoint.method]) for endpoint in ENDPOINTS
    ]
    routes += [Route(PREFIX + document.path, _show(gateway, document), methods=["GET"]) for document in DOCUMENTS]
    return raise_when_cut(Starlette(routes=routes, exception_handlers={404: _not_found, 405: _not_allowed}))


def _refusal(gateway: Gateway, request: Request) -> Response | None:
    """Return the answer to a request that lacks the token or is over the rate limit."""
    return gateway.authenticate(request.headers.get("authorization", "")) or gateway.check_rate_limit()


def _serve(gateway: Gateway, endpoint: RpcEndpoint) -> _Handler:
    """Build the handler of an endpoint."""

    async def handle(request: Request) -> Response:
        body = await request.body()
        gateway.addon.wake()
        early = _refusal(gateway, request) or fault_before(gateway.addon, endpoint)
        gateway.log.append(ReceivedRequest(request.method, request.url.path, endpoint.rpc, accepted=early is None))
        if early is not None:
            return early
        result = await dispatch(gateway.addon, endpoint, partial(_merge_arguments, endpoint, request, body))
        if result.is_slow:
            await gateway.addon.faults.hold()
        return result.response

    return handle


def _merge_arguments(endpoint: RpcEndpoint, request: Request, body: bytes) -> dict[str, object]:
    """Merge path, query and body into one flat set of arguments.

    Raises:
        RequestRefused: The body is not a JSON object.
    """
    if endpoint.method == "GET":
        return {**request.query_params, **request.path_params}
    try:
        fields = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise INVALID_REQUEST from None
    if not isinstance(fields, dict):
        raise INVALID_REQUEST
    return {**fields, **request.path_params}


def _show(gateway: Gateway, document: Document) -> _Handler:
    """Build the handler of a document; documents need no add-on."""

    async def handle(request: Request) -> Response:
        gateway.addon.wake()
        early = _refusal(gateway, request)
        gateway.log.append(ReceivedRequest(request.method, request.url.path, document.name, accepted=early is None))
        return early or Response(document.text(), media_type=document.media_type)

    return handle


async def _not_found(request: Request, _: Exception) -> Response:
    """Answer that there is no such route, and which one may have been meant; outside the API, with a web page."""
    if not request.url.path.startswith(PREFIX):
        return HTMLResponse("<!doctype html><html><body><h1>Page not found</h1></body></html>", 404)
    served = [each.path for each in (*ENDPOINTS, *DOCUMENTS)]
    near = get_close_matches(request.url.path.removeprefix(PREFIX), served, n=1, cutoff=0.4)
    body = {"success": False, "error": "not_found", "did_you_mean": PREFIX + near[0] if near else None}
    return json_response(404, body)


async def _not_allowed(request: Request, _: Exception) -> Response:
    """Answer which methods all routes of this path allow; Starlette would name those of the first route alone."""
    routes = (route for route in request.app.routes if isinstance(route, Route))
    fitting = (route.methods or set() for route in routes if route.path_regex.match(request.url.path))
    answer = json_response(405, {"success": False, "error": "method_not_allowed", "detail": request.method})
    answer.headers["Allow"] = ", ".join(sorted(set().union(*fitting)))
    return answer
