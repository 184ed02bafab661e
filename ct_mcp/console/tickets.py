"""Decides tickets: shows one, takes the yes or the no of the page, and says what became of it."""

from dataclasses import dataclass

from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from ct_mcp.console.frame import said
from ct_mcp.console.ports import Room, Visit
from ct_mcp.console.ticket_page import Place, asking_page, decided_page, seen
from ct_mcp.desk.deciding import is_right
from ct_mcp.desk.pin import PinAnswer, try_pin
from ct_mcp.desk.record import Record
from ct_mcp.domain.ticket import Approval, Ticket, TicketState
from ct_mcp.store.journal import EntryKind

BY = "page"
# Nobody reads an order in less; a click that was meant for something else comes in less.
READ_SECONDS = 1.5
MOST_WRONG_TEXTS = 3
_STORY = 20

TOO_QUICK = "That was quicker than anybody reads. Look at the order, then press Approve again. Nothing was approved."
WRONG_TEXT = "That is not the text. Nothing was approved. Type it exactly as it stands."
_PIN_FAULTS = {
    PinAnswer.WRONG: "That is not your PIN. Nothing was approved.",
    PinAnswer.LOCKED: "Too many wrong PINs: the PIN is locked for a while. Nothing was approved.",
    PinAnswer.NOT_SET: "There is no PIN yet. Set one in a terminal of your own: ct-mcp pin. Nothing was approved.",
}


@dataclass(frozen=True, slots=True)
class Tickets:
    """The pages of tickets, for the sessions that may see them."""

    room: Room

    async def show(self, visit: Visit, ticket_id: str) -> Response:
        """The question while it is open; afterwards what became of it."""
        ticket = await self._seen_by(visit, ticket_id)
        if ticket is None:
            return _no_such_ticket()
        now = self.room.clock()
        story = await self.room.store.entries(_STORY, ticket_id=ticket_id)
        if ticket.state_at(now) is TicketState.OPEN:
            visit.session.shown_at.setdefault(ticket_id, now)
            return asking_page(ticket, story, _place(visit, ticket), now)
        return decided_page(ticket, story, _place(visit, ticket), now)

    async def state(self, visit: Visit, ticket_id: str) -> Response:
        """What the script asks every second: whether the page it stands on is still true."""
        ticket = await self._seen_by(visit, ticket_id)
        if ticket is None:
            return JSONResponse({"state": "gone"}, 404)
        story = await self.room.store.entries(_STORY, ticket_id=ticket_id)
        return JSONResponse({"state": seen(ticket.state_at(self.room.clock()), len(story))})

    async def decline(self, visit: Visit, ticket_id: str) -> Response:
        """Take the no."""
        ticket = await self._seen_by(visit, ticket_id)
        if ticket is None:
            return _no_such_ticket()
        await self.room.decisions.decline(ticket, BY)
        if visit.session.ticket_id is None and visit.form.get("then") == "list":
            return RedirectResponse(f"{visit.session.path}/", 303)
        return _back_to(visit, ticket_id)

    async def approve(self, visit: Visit, ticket_id: str) -> Response:
        """Take the yes, if it was read, and if it holds all that this ticket asks for."""
        ticket = await self._seen_by(visit, ticket_id)
        if ticket is None:
            return _no_such_ticket()
        if ticket.state_at(self.room.clock()) is TicketState.OPEN:
            if fault := await self._fault(visit, ticket):
                return await self._again(visit, ticket, fault)
            await self.room.decisions.approve(ticket, BY)
        return _back_to(visit, ticket_id)

    async def replayed(self, ticket_id: str) -> None:
        """End a ticket whose one-time address was used twice: one of the two was not the person."""
        ticket = await self.room.store.ticket(ticket_id)
        if ticket is not None:
            suspicion = {"by": BY, "what": "the one-time address was used a second time"}
            await Record(self.room.store, self.room.clock).ticket(EntryKind.SUSPICIOUS, ticket, suspicion)
            await self.room.decisions.decline(ticket, BY)

    async def _seen_by(self, visit: Visit, ticket_id: str) -> Ticket | None:
        if visit.session.ticket_id not in (None, ticket_id):
            return None
        return await self.room.store.ticket(ticket_id)

    async def _fault(self, visit: Visit, ticket: Ticket) -> str:
        shown_at = visit.session.shown_at.get(ticket.ticket_id)
        if shown_at is None or (self.room.clock() - shown_at).total_seconds() < READ_SECONDS:
            return TOO_QUICK
        if not ticket.simulated and not is_right(ticket, visit.form.get("phrase")):
            return await self._wrong_text(visit, ticket)
        if ticket.approval is Approval.PAGE_PIN:
            answer = await try_pin(self.room.store, visit.form.get("pin", ""), self.room.clock())
            return _PIN_FAULTS.get(answer, "")
        return ""

    async def _wrong_text(self, visit: Visit, ticket: Ticket) -> str:
        wrong = visit.session.wrong_texts
        wrong[ticket.ticket_id] = wrong.get(ticket.ticket_id, 0) + 1
        if wrong[ticket.ticket_id] >= MOST_WRONG_TEXTS:
            await self.room.decisions.take(ticket, visit.form.get("phrase"), BY)
        return WRONG_TEXT

    async def _again(self, visit: Visit, ticket: Ticket, fault: str) -> Response:
        """Ask again, unless that was the last answer it takes. What was never shown counts as shown from now on."""
        now = self.room.clock()
        visit.session.shown_at.setdefault(ticket.ticket_id, now)
        asked = await self.room.store.ticket(ticket.ticket_id)
        if asked is None or asked.state_at(now) is not TicketState.OPEN:
            return _back_to(visit, ticket.ticket_id)
        story = await self.room.store.entries(_STORY, ticket_id=ticket.ticket_id)
        return asking_page(asked, story, _place(visit, asked), now, fault=fault)


def _place(visit: Visit, ticket: Ticket) -> Place:
    session = visit.session
    path = f"{session.path}/ticket/{ticket.ticket_id}"
    return Place(path, session.csrf, None if session.ticket_id else f"{session.path}/")


def _back_to(visit: Visit, ticket_id: str) -> RedirectResponse:
    return RedirectResponse(f"{visit.session.path}/ticket/{ticket_id}", 303)


def _no_such_ticket() -> HTMLResponse:
    return said("No such ticket", "There is no ticket here that this page may show.", status=404)
