"""The page of a second question: all that the trader is shown, the second person's yes or no, and what became of it.

A yes counts when

1. the question still waits, and this browser was shown it at least `READ_SECONDS` ago,
2. the phrase is typed; `MOST_WRONG_TEXTS` wrong ones decline it,
3. where a PIN is set on this machine, the PIN is right.
"""

from dataclasses import dataclass
from datetime import datetime

from starlette.responses import JSONResponse, RedirectResponse, Response

from ct_mcp.desk.team import is_phrase, phrase_of
from ct_mcp.domain.team import AskedOfTeam, SecondState
from ct_mcp.web.approval_page import MOST_WRONG_TEXTS, READ_SECONDS, TOO_QUICK, WRONG_TEXT
from ct_mcp.web.rendering import message, page
from ct_mcp.web.sessions import PageRequest
from ct_mcp.web.team_state import TeamState

EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class ShownQuestion:
    """One question as it is shown; ``fault`` says why the last answer to it did not count."""

    asked: AskedOfTeam
    now: datetime
    fault: str = ""

    @property
    def state(self) -> str:
        """How it stands, its time included."""
        state = self.asked.answer.state
        is_over = state is SecondState.WAITING and self.now >= self.asked.question.expires_at
        return EXPIRED if is_over else state.value

    @property
    def is_open(self) -> bool:
        """Whether it can still be answered."""
        return self.state == SecondState.WAITING.value

    @property
    def phrase(self) -> str:
        """What is typed for a yes."""
        return phrase_of(self.asked)

    @property
    def seconds_left(self) -> int:
        """How long it still waits."""
        return max(0, int((self.asked.question.expires_at - self.now).total_seconds()))

    @property
    def seconds_in_all(self) -> int:
        """How long it waits in all."""
        question = self.asked.question
        return max(1, int((question.expires_at - question.asked_at).total_seconds()))


@dataclass(frozen=True, slots=True)
class TeamQuestions:
    """The pages of second questions, for a risk manager alone."""

    state: TeamState

    async def show(self, request: PageRequest) -> Response:
        """Show one whole, or what became of it."""
        shown = await self._shown(request)
        return _over() if shown is None else await self._page(request, shown)

    async def version(self, request: PageRequest) -> Response:
        """Tell the script whether the page it stands on is still true."""
        shown = await self._shown(request)
        return JSONResponse({"state": shown.state if shown else ""}, 200 if shown else 404)

    async def decline(self, request: PageRequest) -> Response:
        """Take the no."""
        shown = await self._shown(request)
        if shown is None:
            return _over()
        return await self._decided(request, shown.asked, is_yes=False)

    async def approve(self, request: PageRequest) -> Response:
        """Take the yes, if it was read, and if it holds all that is asked for."""
        shown = await self._shown(request)
        if shown is None:
            return _over()
        if shown.is_open and (fault := await self._fault(request, shown)):
            if request.session.wrong_texts.get(shown.asked.question.ticket_id, 0) >= MOST_WRONG_TEXTS:
                return await self._decided(request, shown.asked, is_yes=False)
            return await self._page(request, ShownQuestion(shown.asked, shown.now, fault))
        return await self._decided(request, shown.asked, is_yes=True)

    async def _decided(self, request: PageRequest, asked: AskedOfTeam, *, is_yes: bool) -> Response:
        """Answer for these very commands; one that was answered before, or is over, raises, and is told."""
        question = asked.question
        await self.state.team.decide(question.ticket_id, question.fingerprint, is_yes)
        return RedirectResponse(request.session.path_of(question.ticket_id), 303)

    async def _shown(self, request: PageRequest) -> ShownQuestion | None:
        if not self.state.decides:
            return None
        now, wanted = await self.state.team.now(), request.query.get("ticket_id", "")
        found = [asked for asked in await self.state.team.questions() if asked.question.ticket_id == wanted]
        return ShownQuestion(found[0], now) if found else None

    async def _page(self, request: PageRequest, shown: ShownQuestion) -> Response:
        session, ticket_id = request.session, shown.asked.question.ticket_id
        if shown.is_open:
            session.shown_at.setdefault(ticket_id, self.state.clock())
        context = {
            "shown": shown,
            "asked": shown.asked,
            "path": session.path_of(ticket_id),
            "back": f"{session.path}/",
            "csrf": session.csrf_of(ticket_id),
            "needs_pin": await self.state.needs_pin(),
        }
        return page("second_question.html", context, 409 if shown.fault else 200)

    async def _fault(self, request: PageRequest, shown: ShownQuestion) -> str:
        """Say why this yes does not count; nothing where it does."""
        session, ticket_id = request.session, shown.asked.question.ticket_id
        shown_at = session.shown_at.get(ticket_id)
        if shown_at is None or (self.state.clock() - shown_at).total_seconds() < READ_SECONDS:
            return TOO_QUICK
        if not is_phrase(shown.asked, request.form.get("phrase")):
            session.wrong_texts[ticket_id] = session.wrong_texts.get(ticket_id, 0) + 1
            return WRONG_TEXT
        fault = await self.state.pin_fault(request.form.get("pin", ""))
        return f"{fault} Nothing was approved." if fault else ""


def _over() -> Response:
    said = "Nothing waits under this address. It may be answered or over, or asked anew."
    return message("No such question", said, status=404)
