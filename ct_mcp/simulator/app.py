"""The REST side of the fake service: authentication, rate limit, routes and envelopes."""

import json
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from difflib import get_close_matches
from hmac import compare_digest

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from ct_mcp.simulator.addon import AddOn
from ct_mcp.simulator.budget import Bucket, RateLimit
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.misbehaviour import AFTER, BEFORE, answer_of, cutting, distorted, json_answer, rate_limited
from ct_mcp.simulator.refusals import Refusal
from ct_mcp.simulator.rest.documents import DOCUMENTS, Document
from ct_mcp.simulator.rest.endpoints import ENDPOINTS, PREFIX, Endpoint

_Handler = Callable[[Request], Awaitable[Response]]
_INVALID = Refusal(400, "Invalid request")


@dataclass(frozen=True, slots=True)
class Seen:
    """One request that arrived. `accepted` tells whether the add-on was asked to do it."""

    method: str
    path: str
    rpc: str
    accepted: bool


@dataclass(slots=True)
class Door:
    """What every request passes: the token, the rate limit, the log."""

    addon: AddOn
    token: str
    limit: RateLimit | None
    log: deque[Seen] = field(default_factory=lambda: deque(maxlen=10_000))
    bucket: Bucket | None = field(init=False)

    def __post_init__(self) -> None:
        """Begin with a full bucket, if there is a limit."""
        self.bucket = Bucket(self.limit) if self.limit else None

    def admit(self, request: Request) -> Response | None:
        """Let a request in, or answer it here."""
        given = request.headers.get("authorization", "")
        if not compare_digest(given.encode(), f"Bearer {self.token}".encode()):
            return answer_of(Fault.UNAUTHORIZED)
        wait = self.bucket.take(self.addon.now) if self.bucket else 0.0
        return rate_limited(wait) if wait else None


def build_app(addon: AddOn, *, token: str, limit: RateLimit | None, log: deque[Seen] | None = None) -> ASGIApp:
    """Build the ASGI application."""
    door = Door(addon, token, limit, log if log is not None else deque(maxlen=10_000))
    routes = [
        Route(PREFIX + endpoint.path, _served(door, endpoint), methods=[endpoint.method]) for endpoint in ENDPOINTS
    ]
    routes += [Route(PREFIX + document.path, _shown(door, document), methods=["GET"]) for document in DOCUMENTS]
    return cutting(Starlette(routes=routes, exception_handlers={404: _not_found, 405: _not_allowed}))


def _served(door: Door, endpoint: Endpoint) -> _Handler:
    """Make the handler of an endpoint."""

    async def handle(request: Request) -> Response:
        body = await request.body()
        addon, rpc = door.addon, endpoint.rpc
        addon.wake()
        early = door.admit(request) or _misbehave_before(addon, endpoint)
        door.log.append(Seen(request.method, request.url.path, rpc, accepted=early is None))
        if early is not None:
            return early
        status, said = await _asked(addon, endpoint, request, body)
        fault = addon.faults.first_due(AFTER, rpc)
        if fault is Fault.SLOW_ANSWER:
            await addon.faults.hold()
        elif fault is not None:
            return answer_of(fault)
        return json_answer(status, distorted(addon.faults, rpc, status, said))

    return handle


def _misbehave_before(addon: AddOn, endpoint: Endpoint) -> Response | None:
    fault = addon.faults.first_due(BEFORE, endpoint.rpc)
    if fault is None and endpoint.needs_addon and addon.faults.take(Fault.ADDON_OFFLINE, endpoint.rpc):
        fault = Fault.ADDON_OFFLINE
    return answer_of(fault) if fault else None


async def _asked(addon: AddOn, endpoint: Endpoint, request: Request, body: bytes) -> tuple[int, object]:
    """Ask the add-on; the status and the body of its answer."""
    try:
        args = endpoint.takes.model_validate(_merged(endpoint, request, body))
        return 200, await addon.finished(endpoint.call(addon, args))
    except Refusal as refusal:
        return refusal.status, refusal.body
    except ValidationError:
        return _INVALID.status, _INVALID.body


def _merged(endpoint: Endpoint, request: Request, body: bytes) -> dict[str, object]:
    """Put path, query and body into one flat set of arguments."""
    if endpoint.method == "GET":
        return {**request.query_params, **request.path_params}
    try:
        said = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise _INVALID from None
    if not isinstance(said, dict):
        raise _INVALID
    return {**said, **request.path_params}


def _shown(door: Door, document: Document) -> _Handler:
    """Make the handler of a document; the documents need no add-on."""

    async def handle(request: Request) -> Response:
        door.addon.wake()
        early = door.admit(request)
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


async def _not_allowed(request: Request, error: Exception) -> Response:
    headers = error.headers if isinstance(error, HTTPException) else None
    answer = json_answer(405, {"success": False, "error": "method_not_allowed", "detail": request.method})
    answer.headers.update(headers or {})
    return answer
