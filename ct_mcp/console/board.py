"""The console's own pages: everything at once, each panel again for the script, and the halt."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from starlette.responses import RedirectResponse, Response

from ct_mcp.console.frame import fragment, page, said
from ct_mcp.console.holdings import Looking
from ct_mcp.console.holdings_panel import Arming, holdings_panel
from ct_mcp.console.html import Child, Html, tag
from ct_mcp.console.panels import SEARCHED, Filter, halt_panel, journal_form, journal_panel, tickets_panel
from ct_mcp.console.ports import Room, Visit
from ct_mcp.crosstrade.words import cleaned
from ct_mcp.domain.ticket import Halt
from ct_mcp.errors import CtMcpError
from ct_mcp.guard.policy import Mode

BY = "person at the console"
_EVERY_SECONDS = {"tickets": 1, "halt": 2, "holdings": 5, "journal": 4}


@dataclass(frozen=True, slots=True)
class Board:
    """The pages of a session that may see everything."""

    room: Room
    looking: Looking
    mode: Mode
    notice: str = ""

    async def show(self, visit: Visit, query: Mapping[str, str]) -> Response:
        """All panels in one page."""
        if visit.session.ticket_id is not None:
            return RedirectResponse(f"{visit.session.path}/ticket/{visit.session.ticket_id}", 303)
        wanted = Filter.of(query)
        panels = {name: await self._panel(name, visit, wanted) for name in _EVERY_SECONDS}
        header = tag(
            "header",
            tag("h1", "ct-mcp"),
            tag("span", f"mode {self.mode}", class_=f"mode {self.mode}"),
            tag("p", self.notice, class_="notice") if self.notice else None,
            tag("p", role="status", aria_live="polite", id="news", class_="unseen"),
        )
        main = tag(
            "main",
            self._section(visit, "tickets", "Waiting for you", panels["tickets"]),
            self._section(visit, "halt", "Trading", panels["halt"]),
            self._section(visit, "holdings", "Accounts, positions, orders", panels["holdings"]),
            self._section(visit, "journal", "Journal (times are UTC)", panels["journal"], wanted),
        )
        return page("ct-mcp console", header, main, kind="board")

    async def panel(self, visit: Visit, name: str, query: Mapping[str, str]) -> Response:
        """One panel, for the script."""
        if visit.session.ticket_id is not None or name not in _EVERY_SECONDS:
            return said("Nothing here", "There is no such page.", status=404)
        return fragment(await self._panel(name, visit, Filter.of(query)))

    async def halt(self, visit: Visit) -> Response:
        """Halt trading for every process of this machine."""
        reason = cleaned(visit.form.get("reason", ""), longest=200) or "no reason given"
        return await self._decided(visit, halting=reason)

    async def resume(self, visit: Visit) -> Response:
        """Lift the halt; only with the box ticked that says so."""
        if visit.form.get("sure") != "yes":
            return said("Still halted", "Tick the box that says that you want trading to go on.", status=409)
        return await self._decided(visit)

    async def _decided(self, visit: Visit, halting: str = "") -> Response:
        if visit.session.ticket_id is not None:
            return said("Nothing here", "There is no such page.", status=404)
        now = self.room.clock()
        if halting:
            await self.room.store.set_halt(Halt(BY, now, halting))
        else:
            await self.room.store.clear_halt(BY, now)
        return RedirectResponse(f"{visit.session.path}/", 303)

    def _section(self, visit: Visit, name: str, title: str, content: Child, wanted: Filter | None = None) -> Html:
        heading = f"{name}-heading"
        form = None if wanted is None else journal_form(wanted, f"{visit.session.path}/")
        live = tag("div", content, data_panel=f"{visit.session.path}/panel/{name}", data_every=_EVERY_SECONDS[name])
        return tag("section", tag("h2", title, id=heading), form, live, class_=name, aria_labelledby=heading)

    async def _panel(self, name: str, visit: Visit, wanted: Filter) -> Child:
        """One panel; where its source is broken, what is broken, so that the others can still be read."""
        try:
            return await self._content(name, visit, wanted)
        except CtMcpError as error:
            return tag("p", tag("strong", "This cannot be read. "), f"{error.what}. {error.advice}", class_="broken")

    async def _content(self, name: str, visit: Visit, wanted: Filter) -> Child:
        store, now = self.room.store, self.room.clock()
        match name:
            case "tickets":
                return tickets_panel(await store.open_tickets(now), visit.session, now)
            case "halt":
                return halt_panel(await store.halt(), visit.session)
            case "journal":
                entries = await store.entries(SEARCHED, wanted.account or None, wanted.ticket or None)
                return journal_panel(entries, wanted)
            case _:
                return await self._holdings()

    async def _holdings(self) -> Child:
        holdings = await self.looking.look()
        arming = Arming(self.mode, await self._armed(seen.account.name for seen in holdings.accounts or ()))
        return holdings_panel(holdings, arming, self.room.clock())

    async def _armed(self, names: Iterable[str]) -> dict[str, datetime] | None:
        try:
            found = {name: await self.room.store.armed_until(name, self.room.clock()) for name in names}
        except CtMcpError:
            return None
        return {name: until for name, until in found.items() if until is not None}
