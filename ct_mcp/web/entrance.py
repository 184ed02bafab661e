"""How a browser gets into pages of ours, whichever they are, and what it may load there.

Three things stand before every page, in this order:

1. The gate: this address, no page of another origin, nothing but GET and POST.
2. The session: a one-time link is exchanged for a cookie, once; every other page wants that cookie.
3. For whatever decides, the form's own token (CSRF), which stands in no other page.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from types import MappingProxyType
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Scope

from ct_mcp.errors import CtMcpError
from ct_mcp.net.security import Gate, guarded
from ct_mcp.web.rendering import landing, message
from ct_mcp.web.sessions import BrowserSession, OneTimeLink, PageRequest, SessionStore

COOKIE = "ct_mcp"
ENTRANCE = "/open/"
LIBRARY = "lightweight-charts.standalone.production.js"
"""What draws charts, of others: see the README beside it."""
_CONTENT_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "Content-Security-Policy": _CONTENT_POLICY,
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
"""What every answer carries: what a browser may do with it."""
LONGEST_FORM = 4096
"""How many bytes a form of ours has, unless it says otherwise."""
_ASSETS = {
    "console.css": ("text/css", "console.css"),
    "console.js": ("text/javascript", "console.js"),
    "team.css": ("text/css", "team.css"),
    "charts.css": ("text/css", "charts.css"),
    "charts.js": ("text/javascript", "charts.js"),
    "icon.svg": ("image/svg+xml", "icon.svg"),
    LIBRARY: ("text/javascript", f"lightweight-charts/{LIBRARY}"),
}
"""What a page may load, by its name in the address: its kind, and where it lies."""

Page = Callable[[PageRequest], Awaitable[Response]]
"""Answers a browser that is known."""
Closes = Callable[[OneTimeLink, BrowserSession], Awaitable[None]]
"""Ends what a link has opened that was used a second time, and says so where it is kept."""
_Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Entrance:
    """The door to some pages. ``instead`` says where to turn to when a page has ended, ``closed`` what a replay ends.

    ``longest_form`` is how many bytes may be posted.
    """

    sessions: SessionStore
    closes: Closes
    instead: str
    closed: str
    longest_form: int = LONGEST_FORM

    def app(self, authority: str, looked_at: Mapping[str, Page], decided_by: Mapping[str, Page]) -> ASGIApp:
        """Put the door before pages that are looked at and buttons that decide, each by its path in a session."""
        routes = [
            Route(f"{ENTRANCE}{{token}}", self._enters(), methods=["GET"]),
            Route("/assets/{name}", _asset, methods=["GET"]),
            *(Route(f"/s/{{sid}}{path}", self._looks_at(show), methods=["GET"]) for path, show in looked_at.items()),
            *(Route(f"/s/{{sid}}{path}", self._decides(take), methods=["POST"]) for path, take in decided_by.items()),
        ]
        gate = Gate(frozenset({authority}), _offers, browsers=True, entrance=ENTRANCE)
        return guarded(Starlette(routes=routes), gate, HEADERS)

    def _enters(self) -> _Endpoint:
        """Exchange a one-time link for the cookie of a session."""

        async def handle(request: Request) -> Response:
            link = self.sessions.enter(request.path_params["token"])
            if link is None or link.session is None:
                return self._ended()
            if link.replayed:
                await self.closes(link, link.session)
                return self._replayed()
            answer, path = landing(f"{link.session.path}/"), link.session.path
            answer.set_cookie(COOKIE, link.session.cookie, path=path, httponly=True, samesite="strict")
            return answer

        return handle

    def _looks_at(self, show: Page) -> _Endpoint:
        """Show a page to whoever has the cookie of the session that it lies beneath."""

        async def handle(request: Request) -> Response:
            session = self._session_of(request)
            if session is None:
                return self._ended()
            return await _or_broken(show(PageRequest(session, {**request.query_params, **request.path_params})))

        return handle

    def _decides(self, take: Page) -> _Endpoint:
        """Do what a button says, only from a form that was made for this session."""

        async def handle(request: Request) -> Response:
            session = self._session_of(request)
            if session is None:
                return self._ended()
            form = await _form(request, self.longest_form)
            if not session.is_proved_by(form.get("csrf", ""), request.path_params.get("ticket_id")):
                said = "This did not come from the page that you see. Nothing was done."
                return message("Not taken", said, status=403)
            return await _or_broken(take(PageRequest(session, request.path_params, form)))

        return handle

    def _session_of(self, request: Request) -> BrowserSession | None:
        return self.sessions.session(request.path_params["sid"], request.cookies.get(COOKIE, ""))

    def _ended(self) -> Response:
        opens = "It opens once, in the browser that came first. Nothing was approved here."
        return message("This page has ended", opens, self.instead, status=403)

    def _replayed(self) -> Response:
        return message(
            "This address was used before",
            "An address like this works once. This one was used again, perhaps by somebody else: what it opened is "
            "closed.",
            self.closed,
            status=403,
        )


def _offers(scope: Scope, _: Headers) -> Response | None:
    if scope["type"] != "http":
        return PlainTextResponse("There is nothing but pages here.", 400)
    return None if scope["method"] in ("GET", "POST") else PlainTextResponse("Only looking and deciding.", 405)


async def _form(request: Request, longest: int) -> dict[str, str]:
    """Read what was posted, bounded; a field given twice is none of ours, and its first value counts."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > longest:
            return {}
    try:
        fields = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=20)
    except ValueError:
        return {}
    return dict(reversed(fields))


async def _or_broken(answer: Awaitable[Response]) -> Response:
    try:
        return await answer
    except CtMcpError as error:
        return message("Something is broken", str(error), status=503)


async def _asset(request: Request) -> Response:
    found = _ASSETS.get(request.path_params["name"])
    if found is None:
        return PlainTextResponse("There is no such file.", 404)
    kind, path = found
    content = files("ct_mcp.web").joinpath("assets", *path.split("/")).read_bytes()
    return Response(content, media_type=kind)
