"""The gate before every page: whose request this is, and what a browser may do with the answer."""

from collections.abc import Mapping
from types import MappingProxyType

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ENTRANCE = "/open/"
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "Content-Security-Policy": _POLICY,
        "X-Frame-Options": "DENY",
        "X-Content-Type-Options": "nosniff",
        # Not no-referrer: under that one, a browser says "Origin: null" with a form of our own.
        "Referrer-Policy": "same-origin",
        "Cache-Control": "no-store",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    }
)
"""What every answer carries."""


def gated(app: ASGIApp, authority: str) -> ASGIApp:
    """Let nothing through that was not meant for this address, ``127.0.0.1:49152``, by a page of its own."""

    async def gate(scope: Scope, receive: Receive, send: Send) -> None:
        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = _refusal(scope, authority)
        await (refusal or app)(scope, receive, sealed)

    return gate


def _refusal(scope: Scope, authority: str) -> ASGIApp | None:
    if scope["type"] != "http":
        return PlainTextResponse("There is nothing but pages here.", 400)
    headers = Headers(scope=scope)
    if headers.getlist("host") != [authority]:
        # A name that somebody made point at this machine must not read what stands here (DNS rebinding).
        return PlainTextResponse("This is not the address of this page.", 421)
    if scope["method"] not in ("GET", "POST"):
        return PlainTextResponse("Only looking and deciding.", 405)
    if not _came_from_us(scope, headers, f"http://{authority}"):
        return PlainTextResponse("This did not come from a page of ours.", 403)
    return None


def _came_from_us(scope: Scope, headers: Headers, origin: str) -> bool:
    given = headers.getlist("origin")
    if given not in ([], [origin]) or (scope["method"] == "POST" and not given):
        return False
    enters = scope["method"] == "GET" and scope["path"].startswith(ENTRANCE)
    if enters:
        # The address is opened from a file of ours, so from elsewhere; but never ahead of the person's wish.
        return not any("prefetch" in headers.get(name, "") for name in ("sec-purpose", "purpose"))
    return headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
