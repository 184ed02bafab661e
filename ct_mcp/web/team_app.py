"""The pages of a team as one application: its routes, what was done at the plane, and what a replayed link closes."""

from functools import partial

from starlette.responses import Response
from starlette.types import ASGIApp

from ct_mcp.desk.team import LONGEST_POLICY
from ct_mcp.desk.team_view import act_words
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.web.entrance import Entrance, Page
from ct_mcp.web.rendering import not_here, page
from ct_mcp.web.sessions import BrowserSession, OneTimeLink, PageRequest
from ct_mcp.web.team_board import TeamBoard
from ct_mcp.web.team_policies import TeamPolicies
from ct_mcp.web.team_questions import TeamQuestions
from ct_mcp.web.team_state import TeamReader, TeamState

ACTS = 200
_INSTEAD = "Start it again in a terminal of your own: ct-mcp plane serve. Everything can be done there as well."
_CLOSED = "Nothing that it showed was answered by this. The journal of this machine says so."
# What is posted is spelled with up to three letters for each byte, and a policy may have two bytes for a letter.
_LONGEST_FORM = 6 * LONGEST_POLICY + 4096


def team_app(state: TeamState, authority: str) -> ASGIApp:
    """Make the pages over one plane, at ``authority``, ``127.0.0.1:49152``, and nowhere else."""
    reader = TeamReader(state.team, state.clock)
    board, questions = TeamBoard(state, reader), TeamQuestions(state)
    policies = TeamPolicies(state, reader)
    looked_at: dict[str, Page] = {
        "/": board.show,
        "/trader": board.show_trader,
        "/panel/{name}": board.panel,
        "/ticket/{ticket_id}": questions.show,
        "/ticket/{ticket_id}/state": questions.version,
        "/policies": policies.show,
        "/acts": partial(_acts, state),
    }
    decided_by: dict[str, Page] = {
        "/halt": board.halt,
        "/resume": board.resume,
        "/ticket/{ticket_id}/approve": questions.approve,
        "/ticket/{ticket_id}/decline": questions.decline,
        "/policy/check": policies.check,
        "/policy/set": policies.set,
    }
    entrance = Entrance(state.sessions, partial(_close, state), _INSTEAD, _CLOSED, _LONGEST_FORM)
    return entrance.app(authority, looked_at, decided_by)


async def _acts(state: TeamState, request: PageRequest) -> Response:
    """Show what was done at the plane, the newest first, and whether the chain of it is whole."""
    if not state.decides:
        return not_here()
    acts, found = await state.team.acts(ACTS), await state.team.verify()
    shown = [(act, act_words(act)) for act in acts]
    return page("team_acts.html", {"acts": shown, "found": found, "path": request.session.path, "decides": True})


async def _close(state: TeamState, _link: OneTimeLink, _session: BrowserSession) -> None:
    """Note a link that was used twice; the session that it had opened is over by now."""
    what = "The one-time address of the team's page was used a second time; it was closed"
    await state.pins.append(NewEntry(EntryKind.SUSPICIOUS, what), state.clock())
