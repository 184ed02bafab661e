"""The person's pages as one application: its routes, and how a browser gets in.

Three things stand before every page, in this order:

1. The gate: this address, no page of another origin, nothing but GET and POST.
2. The session: a one-time link is exchanged for a cookie, once; every other page wants that cookie.
3. For whatever decides, the form's own token (CSRF), which stands in no other page.
"""

from collections.abc import Awaitable, Callable, Mapping
from importlib.resources import files
from types import MappingProxyType
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Scope

from ct_mcp.desk.desk import Desk
from ct_mcp.desk.ports import Store
from ct_mcp.errors import CtMcpError
from ct_mcp.net.security import Gate, guarded
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.text import command
from ct_mcp.web.accounts import AccountReader
from ct_mcp.web.approval_page import ApprovalPage
from ct_mcp.web.book import BookPage
from ct_mcp.web.chart_page import ChartPage
from ct_mcp.web.chart_reader import BarReader
from ct_mcp.web.dashboard import Dashboard
from ct_mcp.web.rendering import landing, message
from ct_mcp.web.sessions import AppState, BrowserSession, OneTimeLink, PageRequest, SessionStore

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
_LONGEST_FORM = 4096
_ASSETS = {
    "console.css": ("text/css", "console.css"),
    "console.js": ("text/javascript", "console.js"),
    "charts.css": ("text/css", "charts.css"),
    "charts.js": ("text/javascript", "charts.js"),
    "icon.svg": ("image/svg+xml", "icon.svg"),
    LIBRARY: ("text/javascript", f"lightweight-charts/{LIBRARY}"),
}
"""What a page may load, by its name in the address: its kind, and where it lies."""

_Page = Callable[[PageRequest], Awaitable[Response]]
_Endpoint = Callable[[Request], Awaitable[Response]]


def web_app(desk: Desk, store: Store, sessions: SessionStore, authority: str, notice: str = "") -> ASGIApp:
    """Make the pages over one desk, at ``authority``, ``127.0.0.1:49152``, and nowhere else."""
    state = AppState(store, desk.decisions, desk.controls, sessions, desk.clock, desk.team)
    reader = AccountReader(desk.upstream, desk.clock, desk.day_losses.note)
    dashboard = Dashboard(state, reader, desk.policy.mode, notice)
    gate = Gate(frozenset({authority}), _offers, browsers=True, entrance=ENTRANCE)
    book = BookPage(desk.book, desk.clock)
    chart = ChartPage(store, desk.book, BarReader(desk.upstream, desk.clock), reader, desk.clock)
    looked_at = {"/book": book.show, "/book.csv": book.export, "/chart": chart.show, "/chart/data": chart.data}
    return guarded(Starlette(routes=_routes(state, ApprovalPage(state), dashboard, looked_at)), gate, HEADERS)


def _routes(state: AppState, approval: ApprovalPage, dashboard: Dashboard, more: Mapping[str, _Page]) -> list[Route]:
    looked_at: dict[str, _Page] = {
        **more,
        "/": _front(dashboard, approval),
        "/state": approval.version,
        "/panel/{name}": dashboard.panel,
        "/ticket/{ticket_id}": approval.show,
        "/ticket/{ticket_id}/state": approval.version,
    }
    decided_by: dict[str, _Page] = {
        "/halt": dashboard.halt,
        "/resume": dashboard.resume,
        "/end-watch": dashboard.end_watch,
        "/ticket/{ticket_id}/approve": approval.approve,
        "/ticket/{ticket_id}/decline": approval.decline,
    }
    return [
        Route(f"{ENTRANCE}{{token}}", _enters(state, approval), methods=["GET"]),
        Route("/assets/{name}", _asset, methods=["GET"]),
        *(Route(f"/s/{{sid}}{path}", _looks_at(state, show), methods=["GET"]) for path, show in looked_at.items()),
        *(Route(f"/s/{{sid}}{path}", _decides(state, take), methods=["POST"]) for path, take in decided_by.items()),
    ]


def _front(dashboard: Dashboard, approval: ApprovalPage) -> _Page:
    """What a browser comes to: the console, or the questions that this browser may see."""

    async def show(request: PageRequest) -> Response:
        return await (dashboard.show if request.session.sees_all else approval.show)(request)

    return show


def _offers(scope: Scope, _: Headers) -> Response | None:
    if scope["type"] != "http":
        return PlainTextResponse("There is nothing but pages here.", 400)
    return None if scope["method"] in ("GET", "POST") else PlainTextResponse("Only looking and deciding.", 405)


def _enters(state: AppState, approval: ApprovalPage) -> _Endpoint:
    """Exchange a one-time link for the cookie of a session."""

    async def handle(request: Request) -> Response:
        link = state.sessions.enter(request.path_params["token"])
        if link is None or link.session is None:
            return _ended()
        if link.replayed:
            await _close(link, link.session, state, approval)
            return _replayed()
        answer, path = landing(f"{link.session.path}/"), link.session.path
        answer.set_cookie(COOKIE, link.session.cookie, path=path, httponly=True, samesite="strict")
        return answer

    return handle


async def _close(link: OneTimeLink, session: BrowserSession, state: AppState, approval: ApprovalPage) -> None:
    """End what the first use opened: the ticket of the link, and all that its page has shown since."""
    if link.ticket_id is not None:
        for ticket_id in dict.fromkeys((link.ticket_id, *session.shown_at)):
            await approval.close_replayed(ticket_id)
        return
    what = "The console's one-time address was used a second time; it was closed"
    await state.store.append(NewEntry(EntryKind.SUSPICIOUS, what), state.clock())


def _looks_at(state: AppState, show: _Page) -> _Endpoint:
    """Show a page to whoever has the cookie of the session that it lies beneath."""

    async def handle(request: Request) -> Response:
        session = _session_of(request, state)
        if session is None:
            return _ended()
        return await _or_broken(show(PageRequest(session, {**request.query_params, **request.path_params})))

    return handle


def _decides(state: AppState, take: _Page) -> _Endpoint:
    """Do what a button says, only from a form that was made for this session."""

    async def handle(request: Request) -> Response:
        session = _session_of(request, state)
        if session is None:
            return _ended()
        form = await _form(request)
        if not session.is_proved_by(form.get("csrf", ""), request.path_params.get("ticket_id")):
            return message("Not taken", "This did not come from the page that you see. Nothing was done.", status=403)
        return await _or_broken(take(PageRequest(session, request.path_params, form)))

    return handle


def _session_of(request: Request, state: AppState) -> BrowserSession | None:
    return state.sessions.session(request.path_params["sid"], request.cookies.get(COOKIE, ""))


async def _form(request: Request) -> dict[str, str]:
    """Read what was posted, bounded; a field given twice is none of ours, and its first value counts."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _LONGEST_FORM:
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


def _ended() -> Response:
    return message(
        "This page has ended",
        "It opens once, in the browser that came first. Nothing was approved here.",
        f"What still waits can be answered in a terminal: {command('approve')}. "
        f"Or start the console again: {command('console')}.",
        status=403,
    )


def _replayed() -> Response:
    return message(
        "This address was used before",
        "An address like this works once. This one was used again, perhaps by somebody else: what it opened is closed.",
        "If it showed an order, that was declined and nothing of it can be sent. The journal says so.",
        status=403,
    )
