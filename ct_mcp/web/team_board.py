"""The table of a team on a page, one trader of it with the journal, and the halts: panel by panel, as the console."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from markupsafe import Markup
from starlette.responses import HTMLResponse, RedirectResponse, Response

from ct_mcp.desk.team import LONGEST_REASON, in_force, waiting
from ct_mcp.desk.team_view import TeamGroup, TeamView
from ct_mcp.domain.team import EVERYBODY, TeamHalt, TeamRole
from ct_mcp.errors import CtMcpError
from ct_mcp.text import sanitize
from ct_mcp.web.dashboard import SHOWN, JournalFilter, JournalLine, Panel
from ct_mcp.web.rendering import draw, message, not_here, page
from ct_mcp.web.sessions import BrowserSession, PageRequest
from ct_mcp.web.team_state import TeamReader, TeamState, address_of

_SEARCHED = 300
_OF_ALL = (
    Panel("tickets", "Waiting for a second person", 1),
    Panel("halt", "Trading of everybody", 2),
    Panel("team", "Traders", 2),
)
_OF_ONE = (
    Panel("halt", "Trading", 2),
    Panel("team", "Machines and accounts", 2),
    Panel("policy", "Policies", 10),
    Panel("journal", "Journal (times are UTC)", 10),
)
_OF_A_TRADER = (Panel("team", "Your machines and accounts", 2),)


@dataclass(frozen=True, slots=True)
class TeamBoard:
    """The pages that show how things are, and the halts."""

    state: TeamState
    reader: TeamReader

    async def show(self, request: PageRequest) -> Response:
        """Show the whole team; a trader, the own rows."""
        panels = _OF_ALL if self.state.decides else _OF_A_TRADER
        return await self._page(request, panels, "")

    async def show_trader(self, request: PageRequest) -> Response:
        """Show one trader, with policies and journal."""
        trader = request.query.get("trader", "")
        if not self.state.decides or not await self._is_trader(trader):
            return not_here()
        return await self._page(request, _OF_ONE, trader)

    async def panel(self, request: PageRequest) -> Response:
        """Show one panel, for the script."""
        name, trader = request.query.get("name", ""), request.query.get("trader", "")
        allowed = (*_OF_ALL, *_OF_ONE) if self.state.decides else _OF_A_TRADER
        if name not in {panel.name for panel in allowed}:
            return not_here()
        return HTMLResponse(await self._draw(name, trader, request))

    async def halt(self, request: PageRequest) -> Response:
        """Halt one, or everybody."""
        trader = request.form.get("trader", "")
        if not self.state.decides or not await self._is_trader(trader, or_all=True):
            return not_here()
        reason = sanitize(request.form.get("reason", ""), longest=LONGEST_REASON) or "no reason given"
        await self.state.team.halt(trader, reason)
        return self._back(request, trader)

    async def resume(self, request: PageRequest) -> Response:
        """Lift the halt that the form showed; only with the box ticked, and with the PIN where one is set."""
        trader = request.form.get("trader", "")
        if not self.state.decides:
            return not_here()
        if request.form.get("sure") != "yes":
            return message("Still halted", "Tick the box that says that you want trading to go on.", status=409)
        if fault := await self.state.pin_fault(request.form.get("pin", "")):
            return message("Still halted", fault, status=409)
        halt = _of(trader, await self.state.team.halts())
        if halt is not None and _mark(halt) != request.form.get("shown"):
            return message("Still halted", "It is no longer the halt that you were shown. Look again.", status=409)
        await self.state.team.resume(trader)
        return self._back(request, trader)

    def _back(self, request: PageRequest, trader: str) -> RedirectResponse:
        self.reader.forget()
        return RedirectResponse(address_of(request.session, "/trader" if trader else "/", trader), 303)

    async def _is_trader(self, trader: str, *, or_all: bool = False) -> bool:
        if trader == EVERYBODY:
            return or_all
        members = await self.state.team.members()
        return any(one.name == trader and one.role is TeamRole.TRADER for one in members)

    async def _page(self, request: PageRequest, panels: tuple[Panel, ...], trader: str) -> Response:
        drawn = [replace(panel, content=await self._draw(panel.name, trader, request)) for panel in panels]
        return page("team.html", self._context(request, panels=drawn, trader=trader))

    def _context(self, request: PageRequest, **more: object) -> Mapping[str, object]:
        wanted = JournalFilter.parse(request.query)
        return {"path": request.session.path, "decides": self.state.decides, "wanted": wanted, **more}

    async def _draw(self, name: str, trader: str, request: PageRequest) -> Markup:
        """Draw one panel; where the plane cannot be read, what is wrong, so that the others can still be read."""
        try:
            match name:
                case "team":
                    return await self._team(trader, request)
                case "halt":
                    return await self._halt(trader, request.session)
                case "tickets":
                    return await self._waiting(request.session)
                case "policy":
                    return await self._policy(trader, request.session)
                case _:
                    return await self._journal(trader, JournalFilter.parse(request.query))
        except CtMcpError as error:
            return draw("panel_broken.html", error=error)

    async def _team(self, trader: str, request: PageRequest) -> Markup:
        snapshot, group = await self.reader.read(), request.query.get("show", "")
        table = _only(trader, snapshot.table)
        machines = table.of(TeamGroup(group)) if table and group in set(TeamGroup) else None
        age = max(0, int((self.state.clock() - snapshot.read_at).total_seconds()))
        shown = {"table": table, "snapshot": snapshot, "age": age, "of_one": bool(trader), "machines": machines}
        path = request.session.path
        return draw("panel_team.html", path=path, decides=self.state.decides, group=group, **shown)

    async def _halt(self, trader: str, session: BrowserSession) -> Markup:
        halt = _of(trader, await self.state.team.halts())
        told = {"halt": halt, "mark": _mark(halt) if halt else "", "trader": trader}
        return draw("panel_team_halt.html", session=session, needs_pin=await self.state.needs_pin(), **told)

    async def _waiting(self, session: BrowserSession) -> Markup:
        now = await self.state.team.now()
        open_ones = waiting(await self.state.team.questions(), now)
        return draw("panel_asked.html", asked=open_ones, now=now, session=session)

    async def _policy(self, trader: str, session: BrowserSession) -> Markup:
        held = in_force(await self.state.team.policies())
        shown = [(whose, held.get(whose)) for whose in (trader, EVERYBODY)]
        return draw("panel_policy.html", shown=shown, path=session.path)

    async def _journal(self, trader: str, wanted: JournalFilter) -> Markup:
        """Draw the newest lines that are wanted, of those that are looked through."""
        entries = await self.state.team.journal(trader, _SEARCHED)
        picked = [
            entry
            for entry in entries
            if wanted.picks(entry) and wanted.account in ("", entry.account) and wanted.ticket in ("", entry.ticket_id)
        ]
        return draw("panel_journal.html", lines=list(map(JournalLine.of, picked[:SHOWN])), wanted=wanted)


def _only(trader: str, table: TeamView | None) -> TeamView | None:
    """Leave of the table the rows of one trader, where one is named."""
    if table is None or not trader:
        return table
    return replace(table, machines=tuple(each for each in table.machines if each.trader == trader))


def _of(trader: str, halts: tuple[TeamHalt, ...]) -> TeamHalt | None:
    return next((halt for halt in halts if halt.trader == trader), None)


def _mark(halt: TeamHalt) -> str:
    """Name a halt, so that a form lifts the one that it showed."""
    return f"{halt.halt.by} {halt.halt.at.isoformat()}"
