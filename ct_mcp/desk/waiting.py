"""What is answered while nothing is sent: denied, open and how it is approved, declined, or lapsed."""

from dataclasses import replace
from datetime import datetime

from ct_mcp.desk.facts import Case
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.question import summary_of
from ct_mcp.domain.ticket import Approval, Ticket, TicketState
from ct_mcp.errors import NotConfirmed

_WHY_NOT = {
    TicketState.SPENT: "it was spent before: what it held was sent once, and is not sent again; see get_journal",
    TicketState.DECLINED: "the person declined it",
    TicketState.LAPSED: "it lapsed before the person said yes",
    TicketState.OPEN: "the person has not said yes",
    TicketState.APPROVED: "another call is just spending it",
}
_WAITING = {
    TicketState.OPEN: Status.NEEDS_APPROVAL,
    TicketState.APPROVED: Status.NEEDS_APPROVAL,
    TicketState.LAPSED: Status.EXPIRED,
    TicketState.DECLINED: Status.DECLINED,
}


def denied(case: Case) -> Outcome:
    """A rule said no: every reason with its figures."""
    return Outcome(
        Status.DENIED,
        summary_of(case),
        case.simulated,
        reasons=(*(str(denial) for denial in case.review.denials), *case.notes),
        checks_not_run=case.review.checks_not_run,
        next_step="tell the person the reasons; only they can change the policy",
    )


def cannot_be_used(ticket_id: str, state: TicketState) -> NotConfirmed:
    """Say why a ticket cannot be spent."""
    return NotConfirmed(f"ticket {ticket_id} cannot be used: {_WHY_NOT[state]}")


def awaiting(ticket: Ticket, now: datetime) -> Outcome:
    """What is answered of a ticket that was not spent.

    Raises:
        NotConfirmed: It was spent before, so something was sent then.
    """
    state = ticket.state_at(now)
    if state is TicketState.SPENT:
        raise cannot_be_used(ticket.ticket_id, state)
    outcome = Outcome(_WAITING[state], ticket.summary, ticket.simulated, ticket.ticket_id)
    match state:
        case TicketState.LAPSED:
            return replace(outcome, next_step="propose it again only if the person still wants it")
        case TicketState.DECLINED:
            return replace(outcome, next_step="the person said no: do not propose it again unless they ask for it")
        case _:
            left = (ticket.expires_at - now).total_seconds()
            return replace(outcome, expires_in_seconds=max(0, int(left)), next_step=_how_to_approve(ticket))


def _how_to_approve(ticket: Ticket) -> str:
    """The person's own places, and no address: what opens a page must not come through the assistant."""
    if ticket.approval is Approval.NONE:
        return f"call confirm_ticket with ticket_id {ticket.ticket_id}"
    return (
        "ask the person to run `ct-mcp approve` in a terminal of their own, or to look at `ct-mcp console`, and to "
        f"answer there, then call confirm_ticket with ticket_id {ticket.ticket_id}"
    )
