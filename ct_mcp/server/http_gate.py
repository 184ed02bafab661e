"""The gate before MCP over HTTP: was this meant for us, by no page of somebody else's, and does it hold the token?"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hmac import compare_digest
from types import MappingProxyType

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MCP_PATH = "/mcp"
HEALTH_PATH = "/health"
HEADERS: Mapping[str, str] = MappingProxyType({"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"})
"""What every answer carries. Nothing allows a page of another origin to read one."""


@dataclass(frozen=True, slots=True)
class Entrance:
    """Where clients reach the server, each as ``127.0.0.1:8421``, and the token that lets them in."""

    authorities: frozenset[str]
    token: str = field(repr=False)
    scheme: str = "http"

    @property
    def origins(self) -> frozenset[str]:
        """The only pages that may ask would be our own, and there are none."""
        return frozenset(f"{self.scheme}://{authority}" for authority in self.authorities)

    def opens_to(self, authorization: str) -> bool:
        """Say whether this header holds the token, in a time that tells nothing of it."""
        scheme, _, given = authorization.partition(" ")
        return scheme.lower() == "bearer" and compare_digest(given.strip().encode(), self.token.encode())


def gated(app: ASGIApp, entrance: Entrance) -> ASGIApp:
    """Let nothing through that is not for this server or does not hold its token; ``/health`` alone needs none."""

    async def gate(scope: Scope, receive: Receive, send: Send) -> None:
        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await (_refusal(scope, entrance) or app)(scope, receive, sealed)

    return gate


def _refusal(scope: Scope, entrance: Entrance) -> Response | None:
    if scope["type"] != "http" or scope["path"] not in (MCP_PATH, HEALTH_PATH):
        return PlainTextResponse(f"There is only {MCP_PATH} and {HEALTH_PATH} here.", 404)
    headers = Headers(scope=scope)
    if [host.lower() for host in headers.getlist("host")] not in [[known] for known in entrance.authorities]:
        # A name that somebody made point at this machine must not reach what is served here (DNS rebinding).
        return PlainTextResponse("This is not the address of this server.", 421)
    if not _comes_from_no_other_page(headers, entrance):
        return PlainTextResponse("Pages of other origins have no business here.", 403)
    given = headers.getlist("authorization")
    if not given and scope["path"] == HEALTH_PATH:
        return None
    return None if len(given) == 1 and entrance.opens_to(given[0]) else _unauthorized(tried=bool(given))


def _comes_from_no_other_page(headers: Headers, entrance: Entrance) -> bool:
    given = headers.getlist("origin")
    known = not given or (len(given) == 1 and given[0].lower() in entrance.origins)
    return known and headers.get("sec-fetch-site", "none") in ("same-origin", "none")


def _unauthorized(*, tried: bool) -> Response:
    challenge = 'Bearer realm="ct-mcp"' + (', error="invalid_token"' if tried else "")
    told = "This server wants its own token, which is kept in its state folder: Authorization: Bearer ..."
    return PlainTextResponse(told, 401, {"WWW-Authenticate": challenge})
