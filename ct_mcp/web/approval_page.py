"""The page of the tickets that wait: what each asks, the person's yes or no to it, and what became of it.

A yes counts when

1. the ticket is open, and this browser was shown it at least `READ_SECONDS` ago,
2. on a live account the phrase is typed; `MOST_WRONG_TEXTS` wrong ones decline the ticket as suspicious,
3. where the policy wants a PIN, the PIN is right.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from ct_mcp.desk.circuit_breaker import Suspicion
from ct_mcp.desk.decisions import is_right
from ct_mcp.desk.journal_writer import JournalWriter
from ct_mcp.desk.pin import PinAnswer
from ct_mcp.domain.approval import Approval, Ticket, TicketState
from ct_mcp.store.journal import EntryKind
from ct_mcp.text import command
from ct_mcp.web.rendering import message, page
from ct_mcp.web.sessions import AppState, PageRequest
from ct_mcp.web.ticket_view import ShownTicket, ticket_view

BY = "page"
# Nobody reads an order in less; a click that was meant for something else comes in less.
READ_SECONDS = 1.5
MOST_WRONG_TEXTS = 3
_STORY = 20
_DECIDED_SHOWN = 3
_SAID_YES = frozenset({TicketState.APPROVED, TicketState.SPENT})
_SAID_NO = frozenset({TicketState.DECLINED})
_NONE: Mapping[str, str] = MappingProxyType({})

TOO_QUICK = "That was quicker than anybody reads. Look at the order, then press Approve again. Nothing was approved."
WRONG_TEXT = "That is not the text. Nothing was approved. Type it exactly as it stands."
_PIN_FAULTS = {
    PinAnswer.WRONG: "That is not your PIN. Nothing was approved.",
    PinAnswer.LOCKED: "Too many wrong PINs: the PIN is locked for a while. Nothing was approved.",
    PinAnswer.NOT_SET: "There is no PIN yet. Set one in a terminal of your own: {pin}. Nothing was approved.",
}
_NEXT = (
    "Approving sends nothing by itself. The assistant's waiting call sends the order, or its next call of "
    "confirm_ticket does, after every rule was checked again."
)
_HELD = "Your yes is held until a second person of your team has said yes as well, at the team's plane. "
_OUTCOMES = {
    TicketState.OPEN: ("Open", "It waits for your answer."),
    TicketState.APPROVED: (
        "Approved, and not sent yet",
        f"{_NEXT} If neither comes in time it expires, and nothing is sent. You may close this page.",
    ),
    TicketState.SPENT: ("Handed over", "It was spent once, and can never be sent again. What came of it stands below."),
    TicketState.DECLINED: (
        "Declined",
        "Nothing was sent, and nothing of it can be sent any more. You may close this page.",
    ),
    TicketState.EXPIRED: (
        "Expired",
        "Its time ran out, or the same was asked anew, before it was approved and sent. Nothing was sent. "
        "The assistant may propose it again.",
    ),
}


@dataclass(frozen=True, slots=True)
class Card:
    """One ticket on the page: the question while it is open, and afterwards what became of it.

    ``fault`` says why the last answer to it did not count. ``path`` is where its buttons lead.
    """

    ticket: ShownTicket
    path: str
    csrf: str
    fault: str = ""
    next_step: str = _NEXT

    @property
    def is_open(self) -> bool:
        """Whether it waits for an answer."""
        return self.ticket.state is TicketState.OPEN

    @property
    def outcome(self) -> str:
        """What became of it, in a word or two."""
        return _OUTCOMES[self.ticket.state][0]

    @property
    def explanation(self) -> str:
        """What that means, and what happens next."""
        held = _HELD if self.ticket.needs_second and self.ticket.state is TicketState.APPROVED else ""
        return f"{held}{_OUTCOMES[self.ticket.state][1]}"


@dataclass(frozen=True, slots=True)
class ApprovalPage:
    """The pages of tickets, for the sessions that may see them: of one that the address names, or of all that wait."""

    state: AppState

    async def show(self, request: PageRequest) -> Response:
        """Show each question while it is open; afterwards what became of it."""
        return await self._page(request, await self._tickets(request))

    async def version(self, request: PageRequest) -> Response:
        """Tell the script, which asks again and again, whether the page it stands on is still true."""
        self._heard(request)
        shown = _in_order([await self._view(ticket) for ticket in await self._tickets(request)])
        return JSONResponse({"state": _version(shown)}, 200 if shown else 404)

    async def decline(self, request: PageRequest) -> Response:
        """Take the no."""
        ticket = await self._ticket_of(request)
        if ticket is None:
            return _no_such_ticket()
        await self.state.decisions.decline(ticket, BY)
        if late := await self._said_late(request, ticket, _SAID_NO):
            return late
        if request.session.sees_all and request.form.get("then") == "list":
            return RedirectResponse(f"{request.session.path}/", 303)
        return _back_to(request, ticket)

    async def approve(self, request: PageRequest) -> Response:
        """Take the yes, if it was read, and if it holds all that this ticket asks for."""
        ticket = await self._ticket_of(request)
        if ticket is None:
            return _no_such_ticket()
        if ticket.state_at(self.state.clock()) is TicketState.OPEN:
            if fault := await self._fault(request, ticket):
                return await self._ask_again(request, ticket, fault)
            await self.state.decisions.approve(ticket, BY)
        return await self._said_late(request, ticket, _SAID_YES) or _back_to(request, ticket)

    async def _said_late(self, request: PageRequest, ticket: Ticket, wished: Container[TicketState]) -> Response | None:
        """Say what became of a ticket where it is not what was wished; a button pressed twice is no late answer."""
        now = await self.state.store.ticket(ticket.ticket_id)
        if now is None or now.state_at(self.state.clock()) in wished:
            return None
        return await self._page_with(request, ticket, await self.state.decisions.too_late(ticket))

    async def close_replayed(self, ticket_id: str) -> None:
        """End a ticket whose one-time link was used twice: one of the two was not the person."""
        ticket = await self.state.store.ticket(ticket_id)
        if ticket is not None:
            what = {"suspicion": Suspicion.LINK_USED_TWICE, "what": "the one-time address was used a second time"}
            journal = JournalWriter(self.state.store, self.state.clock)
            await journal.ticket(EntryKind.SUSPICIOUS, ticket, {"by": BY, **what})
            await self.state.decisions.decline(ticket, BY)

    async def _ticket_of(self, request: PageRequest) -> Ticket | None:
        """Find the ticket that the address names, if this session may see it."""
        ticket_id = request.query.get("ticket_id", "")
        return await self.state.store.ticket(ticket_id) if request.session.may_see(ticket_id) else None

    async def _tickets(self, request: PageRequest) -> list[Ticket]:
        """Find what the address means: one ticket, or all that this session was given."""
        if "ticket_id" in request.query:
            found = [await self._ticket_of(request)]
        else:
            found = [await self.state.store.ticket(given) for given in request.session.tickets or ()]
        return [ticket for ticket in found if ticket is not None]

    async def _page(
        self, request: PageRequest, tickets: Sequence[Ticket], faults: Mapping[str, str] = _NONE
    ) -> Response:
        """Draw the questions, the newest on top, beneath them what was decided; note when each was first shown."""
        self._heard(request)
        shown = _in_order([await self._view(ticket) for ticket in tickets])
        if not shown:
            return _no_such_ticket()
        for view in shown:
            if view.state is TicketState.OPEN:
                request.session.shown_at.setdefault(view.ticket_id, self.state.clock())
        return _drawn(request, shown, faults)

    def _heard(self, request: PageRequest) -> None:
        self.state.sessions.heard_from(request.session, hidden="hidden" in request.query)

    async def _view(self, ticket: Ticket) -> ShownTicket:
        story = await self.state.store.entries(_STORY, ticket_id=ticket.ticket_id)
        return ticket_view(ticket, self.state.clock(), story)

    async def _fault(self, request: PageRequest, ticket: Ticket) -> str:
        """Say why this yes does not count; nothing where it does."""
        shown_at = request.session.shown_at.get(ticket.ticket_id)
        if shown_at is None or (self.state.clock() - shown_at).total_seconds() < READ_SECONDS:
            return TOO_QUICK
        if not ticket.simulated and not is_right(ticket, request.form.get("phrase")):
            return await self._wrong_text(request, ticket)
        if ticket.approval is Approval.PAGE_PIN:
            answer = await self.state.controls.try_pin(request.form.get("pin", ""))
            return _PIN_FAULTS.get(answer, "").format(pin=command("pin"))
        return ""

    async def _wrong_text(self, request: PageRequest, ticket: Ticket) -> str:
        wrong = request.session.wrong_texts
        wrong[ticket.ticket_id] = wrong.get(ticket.ticket_id, 0) + 1
        if wrong[ticket.ticket_id] >= MOST_WRONG_TEXTS:
            await self.state.decisions.take(ticket, request.form.get("phrase"), BY)
        return WRONG_TEXT

    async def _ask_again(self, request: PageRequest, ticket: Ticket, fault: str) -> Response:
        """Ask again, unless that was the last answer it takes. What was never shown counts as shown from now on."""
        request.session.shown_at.setdefault(ticket.ticket_id, self.state.clock())
        asked = await self.state.store.ticket(ticket.ticket_id)
        if asked is None or asked.state_at(self.state.clock()) is not TicketState.OPEN:
            return _back_to(request, ticket)
        return await self._page_with(request, ticket, fault)

    async def _page_with(self, request: PageRequest, ticket: Ticket, fault: str) -> Response:
        """Draw the page that the answer came from, and say at the ticket why the answer did not count."""
        here = request if request.session.sees_all else PageRequest(request.session)
        return await self._page(here, await self._tickets(here), {ticket.ticket_id: fault})


def _in_order(views: Sequence[ShownTicket]) -> list[ShownTicket]:
    """Put what waits on top, the newest first, and beneath it the last that were decided."""
    newest = sorted(reversed(views), key=lambda view: view.asked_at, reverse=True)
    waiting = [view for view in newest if view.state is TicketState.OPEN]
    return waiting + [view for view in newest if view not in waiting][:_DECIDED_SHOWN]


def _version(shown: Sequence[ShownTicket]) -> str:
    """Name what a page shows, for the script to compare."""
    return " ".join(f"{view.ticket_id}:{view.version}" for view in shown)


def _drawn(request: PageRequest, shown: Sequence[ShownTicket], faults: Mapping[str, str]) -> HTMLResponse:
    """Draw the page. The way back is there where there is more to see."""
    session = request.session
    cards = [
        Card(view, session.path_of(view.ticket_id), session.csrf_of(view.ticket_id), faults.get(view.ticket_id, ""))
        for view in shown
    ]
    context = {
        "title": _title(cards),
        "cards": cards,
        "version": _version(shown),
        "path": session.path_of(cards[0].ticket.ticket_id) if "ticket_id" in request.query else f"{session.path}/",
        "back": f"{session.path}/" if session.sees_all else "",
    }
    return page("tickets.html", context, 409 if faults else 200)


def _title(cards: Sequence[Card]) -> str:
    """Say what the newest card is, and how many wait: of a tab behind others this is all that can be seen."""
    waiting, newest = sum(card.is_open for card in cards), cards[0]
    return f"{f'({waiting}) Approve?' if waiting else f'{newest.outcome}:'} {newest.ticket.summary}"


def _back_to(request: PageRequest, ticket: Ticket) -> RedirectResponse:
    session = request.session
    return RedirectResponse(session.path_of(ticket.ticket_id) if session.sees_all else f"{session.path}/", 303)


def _no_such_ticket() -> HTMLResponse:
    return message("No such ticket", "There is no ticket here that this page may show.", status=404)
