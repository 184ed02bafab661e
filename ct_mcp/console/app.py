"""The pages of one process: a few routes, each behind the gate, a cookie, and for what decides a token of the form."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from ct_mcp.console.board import Board
from ct_mcp.console.frame import landing, said
from ct_mcp.console.gate import ENTRANCE, gated
from ct_mcp.console.holdings import Looking
from ct_mcp.console.keys import Keys, Session
from ct_mcp.console.ports import ConsoleStore, Room, Visit
from ct_mcp.console.tickets import Tickets
from ct_mcp.desk.desk import Desk
from ct_mcp.errors import CtMcpError
from ct_mcp.store.journal import EntryKind, NewEntry

COOKIE = "ct_mcp"
_LONGEST_FORM = 4096
_ASSETS = {"console.css": "text/css", "console.js": "text/javascript", "icon.svg": "image/svg+xml"}

_Handler = Callable[[Request], Awaitable[Response]]
_Shown = Callable[[Visit, Mapping[str, str]], Awaitable[Response]]
_Decided = Callable[[Visit, str], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Doors:
    """Lets a request in: by a fresh address once, by its cookie afterwards, and to decide by a form of ours."""

    room: Room
    tickets: Tickets

    async def enter(self, request: Request) -> Response:
        """Exchange a one-time address for the cookie of a session."""
        address = self.room.keys.enter(request.path_params["token"])
        if address is None or address.session is None:
            return _ended()
        if address.replayed:
            await self._replayed(address.ticket_id)
            return _replayed()
        answer = landing(f"{address.session.path}/")
        path, cookie = address.session.path, address.session.cookie
        answer.set_cookie(COOKIE, cookie, path=path, httponly=True, samesite="strict")
        return answer

    async def _replayed(self, ticket_id: str | None) -> None:
        if ticket_id is not None:
            return await self.tickets.replayed(ticket_id)
        entry = NewEntry(EntryKind.SUSPICIOUS, "The console's one-time address was used a second time; it was closed")
        await self.room.store.append(entry, self.room.clock())
        return None

    def looking(self, show: _Shown) -> _Handler:
        """A page that is only looked at."""

        async def handle(request: Request) -> Response:
            session = self._session(request)
            if session is None:
                return _ended()
            query = {**request.query_params, **request.path_params}
            return await _or_broken(show(Visit(session, {}), query))

        return handle

    def deciding(self, decide: _Decided) -> _Handler:
        """What a button does: only from a form that was made for this session."""

        async def handle(request: Request) -> Response:
            session = self._session(request)
            if session is None:
                return _ended()
            form = await _form(request)
            if not session.is_proved_by(form.get("csrf", "")):
                return said("Not taken", "This did not come from the page that you see. Nothing was done.", status=403)
            return await _or_broken(decide(Visit(session, form), request.path_params.get("ticket_id", "")))

        return handle

    def _session(self, request: Request) -> Session | None:
        return self.room.keys.session(request.path_params["sid"], request.cookies.get(COOKIE, ""))


def console_app(desk: Desk, store: ConsoleStore, keys: Keys, authority: str, notice: str = "") -> ASGIApp:
    """The pages over one desk, at ``authority``, ``127.0.0.1:49152``, and nowhere else."""
    room = Room(store, desk.decisions, keys, desk.clock)
    tickets, board = Tickets(room), Board(room, Looking(desk), desk.policy.mode, notice)
    doors = Doors(room, tickets)
    routes = [
        Route(f"{ENTRANCE}{{token}}", doors.enter, methods=["GET"]),
        Route("/assets/{name}", _asset, methods=["GET"]),
        Route("/s/{sid}/", doors.looking(board.show), methods=["GET"]),
        Route("/s/{sid}/panel/{name}", doors.looking(lambda v, q: board.panel(v, q["name"], q)), methods=["GET"]),
        Route("/s/{sid}/halt", doors.deciding(lambda v, _: board.halt(v)), methods=["POST"]),
        Route("/s/{sid}/resume", doors.deciding(lambda v, _: board.resume(v)), methods=["POST"]),
        Route(
            "/s/{sid}/ticket/{ticket_id}", doors.looking(lambda v, q: tickets.show(v, q["ticket_id"])), methods=["GET"]
        ),
        Route(
            "/s/{sid}/ticket/{ticket_id}/state",
            doors.looking(lambda v, q: tickets.state(v, q["ticket_id"])),
            methods=["GET"],
        ),
        Route("/s/{sid}/ticket/{ticket_id}/approve", doors.deciding(tickets.approve), methods=["POST"]),
        Route("/s/{sid}/ticket/{ticket_id}/decline", doors.deciding(tickets.decline), methods=["POST"]),
    ]
    return gated(Starlette(routes=routes), authority)


async def _asset(request: Request) -> Response:
    kind = _ASSETS.get(request.path_params["name"])
    if kind is None:
        return PlainTextResponse("There is no such file.", 404)
    content = files("ct_mcp.console").joinpath("assets", request.path_params["name"]).read_bytes()
    return Response(content, media_type=kind)


async def _form(request: Request) -> dict[str, str]:
    """What was posted, bounded; a field given twice is none of ours, and its first value counts."""
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
        return said("Something is broken", str(error), status=503)


def _ended() -> Response:
    return said(
        "This page has ended",
        "It opens once, in the browser that came first. Nothing was approved here.",
        "What still waits can be answered in a terminal: ct-mcp approve. Or start the console again: ct-mcp console.",
        status=403,
    )


def _replayed() -> Response:
    return said(
        "This address was used before",
        "An address like this works once. This one was used again, perhaps by somebody else: what it opened is closed.",
        "If it showed an order, that was declined and nothing of it can be sent. The journal says so.",
        status=403,
    )
