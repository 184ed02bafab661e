"""The page of policies: what is set for whom, its history, and a change of it, shown before it is set.

What is set is what was shown: the text that was checked, in place of the very policy that it was compared with.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.responses import RedirectResponse, Response

from ct_mcp.desk.team import LONGEST_POLICY, in_force
from ct_mcp.desk.team_view import changes, rows_of
from ct_mcp.domain.team import EVERYBODY, TeamPolicy, TeamRole
from ct_mcp.web.rendering import not_here, page
from ct_mcp.web.sessions import PageRequest
from ct_mcp.web.team_state import TeamReader, TeamState, address_of

_HISTORY = 20
_TOO_LONG = (f"it is longer than {LONGEST_POLICY} characters, which no policy is",)
_MEANWHILE = "Somebody has set another one meanwhile. What changes is shown anew. Nothing was set."


@dataclass(frozen=True, slots=True)
class PolicyDraft:
    """A text that is written for somebody: its faults, or what it changes; ``refused`` says why it was not set."""

    trader: str
    text: str
    present: TeamPolicy | None
    faults: Sequence[str] = ()
    lines: Sequence[str] = ()
    refused: str = ""

    @property
    def base(self) -> str:
        """Which policy it is compared with."""
        return str(self.present.number) if self.present else ""

    @property
    def changes_anything(self) -> bool:
        """Whether a line comes or goes."""
        return any(line.startswith(("+", "-")) for line in self.lines)

    @property
    def may_be_set(self) -> bool:
        """Whether there is something to set."""
        return not self.faults and self.changes_anything


@dataclass(frozen=True, slots=True)
class TeamPolicies:
    """The pages of policies, for a risk manager alone."""

    state: TeamState
    reader: TeamReader

    async def show(self, request: PageRequest) -> Response:
        """Show what is set for one, or for everybody, ready to be changed."""
        trader = request.query.get("trader", EVERYBODY)
        if not await self._may(trader):
            return not_here()
        present = await self._present(trader)
        return await self._page(request, PolicyDraft(trader, present.text if present else "", present))

    async def check(self, request: PageRequest) -> Response:
        """Read a text, and show its faults, or what it would change."""
        trader = request.form.get("trader", EVERYBODY)
        if not await self._may(trader):
            return not_here()
        return await self._page(request, await self._draft(trader, _text_of(request)))

    async def set(self, request: PageRequest) -> Response:
        """Set what was shown; not where it is faulty, where another was set meanwhile, or without the PIN."""
        trader = request.form.get("trader", EVERYBODY)
        if not await self._may(trader):
            return not_here()
        draft = await self._draft(trader, _text_of(request))
        if draft.faults:
            return await self._page(request, draft)
        if draft.base != request.form.get("base"):
            return await self._page(request, self._refused(draft, _MEANWHILE))
        if fault := await self.state.pin_fault(request.form.get("pin", "")):
            return await self._page(request, self._refused(draft, f"{fault} Nothing was set."))
        if draft.changes_anything:
            await self.state.team.set_policy(trader, draft.text)
        self.reader.forget()
        return RedirectResponse(address_of(request.session, "/policies", trader), 303)

    def _refused(self, draft: PolicyDraft, why: str) -> PolicyDraft:
        return PolicyDraft(draft.trader, draft.text, draft.present, (), draft.lines, why)

    async def _may(self, trader: str) -> bool:
        if not self.state.decides:
            return False
        traders = [one.name for one in await self.state.team.members() if one.role is TeamRole.TRADER]
        return trader in (EVERYBODY, *traders)

    async def _present(self, trader: str) -> TeamPolicy | None:
        return in_force(await self.state.team.policies()).get(trader)

    async def _draft(self, trader: str, text: str) -> PolicyDraft:
        present = await self._present(trader)
        if len(text) > LONGEST_POLICY:
            return PolicyDraft(trader, text[:LONGEST_POLICY], present, _TOO_LONG)
        if text.strip() and (faults := self.state.faults_of(text)):
            return PolicyDraft(trader, text, present, faults)
        return PolicyDraft(trader, text, present, (), changes(present.text if present else "", text))

    async def _page(self, request: PageRequest, draft: PolicyDraft) -> Response:
        policies, members = await self.state.team.policies(), await self.state.team.members()
        held = in_force(policies)
        traders = sorted(one.name for one in members if one.role is TeamRole.TRADER)
        context = {
            "draft": draft,
            "path": request.session.path,
            "csrf": request.session.csrf,
            "decides": True,
            "whose": [(trader, held.get(trader)) for trader in (EVERYBODY, *traders)],
            "history": rows_of(policies, draft.trader)[:_HISTORY],
            "needs_pin": await self.state.needs_pin(),
        }
        return page("team_policies.html", context, 409 if draft.faults or draft.refused else 200)


def _text_of(request: PageRequest) -> str:
    """Take the text as it was typed: a form gives each line another end."""
    text = request.form.get("text", "").replace("\r\n", "\n").strip("\n")
    return f"{text}\n" if text.strip() else ""
