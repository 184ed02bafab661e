"""The console: what waits for the person, the halt, the accounts and the journal, at once and panel by panel."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from hashlib import sha256

from markupsafe import Markup
from starlette.responses import HTMLResponse, RedirectResponse, Response

from ct_mcp.desk.alert_setting import end_by_request
from ct_mcp.desk.controls import Actor
from ct_mcp.desk.pin import PinAnswer, pin_is_set
from ct_mcp.desk.team_words import team_lines
from ct_mcp.domain.approval import Halt
from ct_mcp.errors import BadRequest, CtMcpError
from ct_mcp.guard.policy import Mode
from ct_mcp.store.journal import Entry
from ct_mcp.text import sanitize
from ct_mcp.web.accounts import AccountReader, ArmingStatus, broken_link
from ct_mcp.web.rendering import draw, message, not_here, page
from ct_mcp.web.sessions import AppState, BrowserSession, PageRequest
from ct_mcp.web.ticket_view import plain, ticket_view

PIN_FAULTS = {
    PinAnswer.WRONG: "That is not your PIN.",
    PinAnswer.LOCKED: "Too many wrong PINs: the PIN is locked for a while.",
    PinAnswer.NOT_SET: "There is no PIN any more. Load the console again.",
}
"""Why a halt was not lifted."""
SEARCHED = 500
SHOWN = 60
TOLD = 10
_TEAM_SECONDS = 1.5
# Whatever else an entry may come to hold stays in the file.
_TOLD = frozenset(
    {
        "denials", "reasons", "warnings", "step", "status", "state", "order_id", "filled", "approval", "by", "what",
        "not_sent", "day", "figure", "until",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class JournalFilter:
    """Which lines of the journal are wanted; an empty one picks all."""

    account: str = ""
    ticket: str = ""
    text: str = ""

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> "JournalFilter":
        """Read what a form asked for."""
        return cls(*(query.get(field.name, "").strip()[:80] for field in fields(cls)))

    @property
    def is_any(self) -> bool:
        """Whether anything is left out."""
        return self != JournalFilter()

    def picks(self, entry: Entry) -> bool:
        """Say whether this line is wanted; the case of letters does not matter."""
        said = " ".join((entry.kind, entry.summary, entry.reason, *map(str, entry.detail.values())))
        return self.text.casefold() in said.casefold()


@dataclass(frozen=True, slots=True)
class JournalLine:
    """One line of the journal as the page shows it; ``reason`` holds the assistant's words."""

    sequence: int
    at: datetime
    kind: str
    summary: str
    details: str
    reason: str

    @classmethod
    def of(cls, entry: Entry) -> "JournalLine":
        """Take of an entry what is shown of it."""
        told = ((name, value) for name, value in entry.detail.items() if value and name in _TOLD)
        details = "; ".join(f"{name.replace('_', ' ')}: {plain(value)}" for name, value in told)
        return cls(entry.sequence, entry.at, entry.kind, sanitize(entry.summary), details, sanitize(entry.reason))


@dataclass(frozen=True, slots=True)
class Panel:
    """One part of the console, and how often the script fetches it again; its content is drawn."""

    name: str
    title: str
    seconds: int
    content: Markup | None = None


_PANELS = (
    Panel("tickets", "Waiting for you", 1),
    Panel("halt", "Trading", 2),
    Panel("watches", "Watched", 2),
    Panel("accounts", "Accounts, positions, orders", 5),
    Panel("journal", "Journal (times are UTC)", 4),
)


@dataclass(frozen=True, slots=True)
class Dashboard:
    """The pages of a session that may see everything."""

    state: AppState
    reader: AccountReader
    mode: Mode
    notice: str = ""

    async def show(self, request: PageRequest) -> Response:
        """Show all panels in one page."""
        session = request.session
        wanted = JournalFilter.parse(request.query)
        panels = [replace(panel, content=await self._draw(panel.name, session, wanted)) for panel in _PANELS]
        context = {
            "title": "ct-mcp console",
            "mode": self.mode,
            "notice": self.notice,
            "panels": panels,
            "path": session.path,
            "wanted": wanted,
        }
        return page("dashboard.html", context)

    async def panel(self, request: PageRequest) -> Response:
        """Show one panel, for the script."""
        name = request.query.get("name", "")
        if not request.session.sees_all or name not in {panel.name for panel in _PANELS}:
            return not_here()
        wanted = JournalFilter.parse(request.query)
        return HTMLResponse(await self._draw(name, request.session, wanted))

    async def halt(self, request: PageRequest) -> Response:
        """Halt trading for every process of this machine."""
        if not request.session.sees_all:
            return not_here()
        reason = sanitize(request.form.get("reason", ""), longest=200) or "no reason given"
        await self.state.controls.halt(reason, Actor.PAGE)
        return RedirectResponse(f"{request.session.path}/", 303)

    async def resume(self, request: PageRequest) -> Response:
        """Lift the halt that was shown; only with the box ticked, and with the PIN where one is set."""
        if not request.session.sees_all:
            return not_here()
        if request.form.get("sure") != "yes":
            return message("Still halted", "Tick the box that says that you want trading to go on.", status=409)
        if await pin_is_set(self.state.store):
            answer = await self.state.controls.try_pin(request.form.get("pin", ""))
            if answer is not PinAnswer.RIGHT:
                return message("Still halted", PIN_FAULTS[answer], status=409)
        halt = await self.state.store.halt()
        was_shown = halt is not None and _mark(halt) == request.form.get("shown")
        if halt and not (was_shown and await self.state.controls.resume(Actor.PAGE, halt)):
            return message("Still halted", "It is no longer the halt that you were shown. Look again.", status=409)
        return RedirectResponse(f"{request.session.path}/", 303)

    async def end_watch(self, request: PageRequest) -> Response:
        """End a watch, whichever it is: here the person asks."""
        if not request.session.sees_all:
            return not_here()
        store, now = self.state.store, self.state.clock()
        try:
            await end_by_request(store, request.form.get("watch_id", ""), Actor.PAGE, now, is_person=True)
        except BadRequest as over:
            return message("It is over already", over.what, status=409)
        return RedirectResponse(f"{request.session.path}/", 303)

    async def _draw(self, name: str, session: BrowserSession, wanted: JournalFilter) -> Markup:
        """Draw one panel; where its source is broken, what is broken, so that the others can still be read."""
        try:
            match name:
                case "tickets":
                    return await self._tickets(session)
                case "halt":
                    return await self._halt(session)
                case "journal":
                    return await self._journal(wanted)
                case "watches":
                    return await self._watches(session)
                case _:
                    return await self._accounts()
        except CtMcpError as error:
            return draw("panel_broken.html", error=error)

    async def _halt(self, session: BrowserSession) -> Markup:
        halt, needs_pin = await self.state.store.halt(), await pin_is_set(self.state.store)
        standing = await self.state.team.hear(_TEAM_SECONDS)
        told = {"halt": halt, "team_halt": standing.halt if standing else None, "needs_pin": needs_pin}
        unhalted = replace(standing, halt=None) if standing else None  # that one is told above all else
        lines = team_lines(unhalted, self.state.team.policy, self.state.clock())
        shown = _mark(halt) if halt else ""
        return draw("panel_halt.html", **told, shown=shown, session=session, lines=lines)

    async def _tickets(self, session: BrowserSession) -> Markup:
        now = self.state.clock()
        tickets = [ticket_view(ticket, now) for ticket in await self.state.store.open_tickets(now)]
        return draw("panel_tickets.html", tickets=tickets, session=session)

    async def _watches(self, session: BrowserSession) -> Markup:
        watches, notices = await self.state.store.watches(), await self.state.store.notices(0, TOLD)
        return draw("panel_watches.html", watches=watches, notices=notices[::-1], session=session)

    async def _journal(self, wanted: JournalFilter) -> Markup:
        """Draw the newest lines that are wanted."""
        entries = await self.state.store.entries(SEARCHED, wanted.account or None, wanted.ticket or None)
        picked = [entry for entry in entries if wanted.picks(entry)][:SHOWN]
        return draw("panel_journal.html", lines=list(map(JournalLine.of, picked)), wanted=wanted)

    async def _accounts(self) -> Markup:
        snapshot = await self.reader.read()
        arming = ArmingStatus(self.mode, await self._armed(seen.account.name for seen in snapshot.accounts or ()))
        return draw(
            "panel_accounts.html",
            snapshot=snapshot,
            arming=arming,
            age=int(snapshot.age_seconds(self.state.clock())),
            link_of=broken_link,
        )

    async def _armed(self, names: Iterable[str]) -> dict[str, datetime] | None:
        try:
            found = {name: await self.state.store.armed_until(name, self.state.clock()) for name in names}
        except CtMcpError:
            return None
        return {name: until for name, until in found.items() if until is not None}


def _mark(halt: Halt) -> str:
    """Name a halt, so that a form lifts the one that it showed."""
    return sha256(f"{halt.by} {halt.at.isoformat()} {halt.reason}".encode()).hexdigest()
