"""The person's pages as one application: its routes, the tickets that they decide, and what a replayed link closes."""

from collections.abc import Mapping
from functools import partial

from starlette.responses import Response
from starlette.types import ASGIApp

from ct_mcp.desk.desk import Desk
from ct_mcp.desk.ports import Store
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.text import command
from ct_mcp.web.accounts import AccountReader
from ct_mcp.web.approval_page import ApprovalPage
from ct_mcp.web.book import BookPage
from ct_mcp.web.chart_page import ChartPage
from ct_mcp.web.chart_reader import BarReader
from ct_mcp.web.dashboard import Dashboard
from ct_mcp.web.entrance import Entrance, Page
from ct_mcp.web.sessions import AppState, BrowserSession, OneTimeLink, PageRequest, SessionStore

_CLOSED = "If it showed an order, that was declined and nothing of it can be sent. The journal says so."


def web_app(desk: Desk, store: Store, sessions: SessionStore, authority: str, notice: str = "") -> ASGIApp:
    """Make the pages over one desk, at ``authority``, ``127.0.0.1:49152``, and nowhere else."""
    state = AppState(store, desk.decisions, desk.controls, sessions, desk.clock, desk.team)
    reader = AccountReader(desk.upstream, desk.clock, desk.day_losses.note)
    dashboard = Dashboard(state, reader, desk.policy.mode, notice)
    book = BookPage(desk.book, desk.clock)
    chart = ChartPage(store, desk.book, BarReader(desk.upstream, desk.clock), reader, desk.clock)
    looked_at = {"/book": book.show, "/book.csv": book.export, "/chart": chart.show, "/chart/data": chart.data}
    approval = ApprovalPage(state)
    entrance = Entrance(sessions, partial(_close, state, approval), _instead(), _CLOSED)
    return entrance.app(authority, {**looked_at, **_looked_at(dashboard, approval)}, _decided_by(dashboard, approval))


def _looked_at(dashboard: Dashboard, approval: ApprovalPage) -> Mapping[str, Page]:
    return {
        "/": _front(dashboard, approval),
        "/state": approval.version,
        "/panel/{name}": dashboard.panel,
        "/ticket/{ticket_id}": approval.show,
        "/ticket/{ticket_id}/state": approval.version,
    }


def _decided_by(dashboard: Dashboard, approval: ApprovalPage) -> Mapping[str, Page]:
    return {
        "/halt": dashboard.halt,
        "/resume": dashboard.resume,
        "/end-watch": dashboard.end_watch,
        "/ticket/{ticket_id}/approve": approval.approve,
        "/ticket/{ticket_id}/decline": approval.decline,
    }


def _front(dashboard: Dashboard, approval: ApprovalPage) -> Page:
    """What a browser comes to: the console, or the questions that this browser may see."""

    async def show(request: PageRequest) -> Response:
        return await (dashboard.show if request.session.sees_all else approval.show)(request)

    return show


async def _close(state: AppState, approval: ApprovalPage, link: OneTimeLink, session: BrowserSession) -> None:
    """End what the first use opened: the ticket of the link, and all that its page has shown since."""
    if link.ticket_id is not None:
        for ticket_id in dict.fromkeys((link.ticket_id, *session.shown_at)):
            await approval.close_replayed(ticket_id)
        return
    what = "The console's one-time address was used a second time; it was closed"
    await state.store.append(NewEntry(EntryKind.SUSPICIOUS, what), state.clock())


def _instead() -> str:
    return (
        f"What still waits can be answered in a terminal: {command('approve')}. "
        f"Or start the console again: {command('console')}."
    )
