"""How the person is asked: by a form where the client can show one, on a page in their browser, or at a terminal.

The answer travels beside the arguments, never in them, so that the assistant cannot forge it. A form has one required
text whose right value stands only in the question. In the 2026 protocol the question is an answer of ours that the
client brings back with what the person typed; before that it is a request of ours in the middle of the call. Both
end in `_judge`, which takes nothing but the right text for a yes.

The SDK's resolvers are not used here: they cannot be timed on older connections, and turn an empty accept into an
error before it can be seen, declined and written down as suspicious.
"""

import json
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import anyio
from mcp.shared.exceptions import MCPError
from mcp_types import ElicitRequest, ElicitRequestFormParams, ElicitResult, InputRequiredResult
from mcp_types.version import is_version_at_least

from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.domain.action import Action, fingerprint
from ct_mcp.domain.ticket import Approval, Ticket, TicketState
from ct_mcp.errors import NotConfirmed
from ct_mcp.server.wiring import ToolContext, desk_of, wiring_of

# A client that declines this fast has very likely shown nothing to anybody.
SHOWN_SECONDS = 1.5
_QUESTION = "approval"
_FORM: dict[str, Any] = {
    "type": "object",
    "properties": {
        "answer": {
            "type": "string",
            "title": "Type the text shown above",
            "description": "Only the exact text shown above sends this order. Anything else sends nothing.",
        }
    },
    "required": ["answer"],
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What we said of an earlier round of the same call; sealed by the SDK while the client holds it."""

    ticket_id: str
    at: datetime

    @property
    def state(self) -> str:
        """As text for the client to bring back."""
        return json.dumps({"ticket_id": self.ticket_id, "at": self.at.isoformat()})


async def propose_and_ask(ctx: ToolContext, action: Action, reason: str = "") -> Outcome | InputRequiredResult:
    """Propose an action, ask for the yes that it needs, and commit it once the yes is there."""
    desk = desk_of(ctx)
    if (asked := _earlier_round(ctx)) is not None:
        ticket = await desk.ticket(asked.ticket_id)
        if ticket.fingerprint != fingerprint(action):
            # The SDK binds an answer to its arguments; a root may all the same mean another contract month by now.
            raise NotConfirmed("what these arguments mean now is not what the person was asked about")
        return await _second_round(ctx, ticket, asked)
    proposed = await desk.propose(action, reason)
    return proposed if isinstance(proposed, Outcome) else await _ask(ctx, proposed, wait=False)


async def ask_again(ctx: ToolContext, ticket_id: str) -> Outcome | InputRequiredResult:
    """Go on with a ticket that was proposed before: ask, or wait for the page or the terminal, and commit it."""
    ticket = await desk_of(ctx).ticket(ticket_id)
    if (asked := _earlier_round(ctx)) is not None:
        return await _second_round(ctx, ticket, asked)
    return await _ask(ctx, ticket, wait=True)


async def _ask(ctx: ToolContext, ticket: Ticket, *, wait: bool) -> Outcome | InputRequiredResult:
    desk = desk_of(ctx)
    state = ticket.state_at(desk.clock())
    if state is TicketState.APPROVED or (state is TicketState.OPEN and ticket.approval is Approval.NONE):
        return await desk.commit(ticket.ticket_id)
    if state is TicketState.SPENT:
        return await desk.commit(ticket.ticket_id)  # says why a spent ticket is not sent again
    if state is not TicketState.OPEN:
        return desk.awaiting(ticket)
    if ticket.approval is Approval.FORM and _can_show_forms(ctx):
        return await _ask_by_form(ctx, ticket)
    return await _ask_elsewhere(ctx, ticket, wait=wait)


async def _ask_by_form(ctx: ToolContext, ticket: Ticket) -> Outcome | InputRequiredResult:
    desk = desk_of(ctx)
    asked = Asked(ticket.ticket_id, desk.clock())
    if _asks_by_answering(ctx):
        form = ElicitRequestFormParams(message=ticket.question, requested_schema=_FORM)
        return InputRequiredResult(input_requests={_QUESTION: ElicitRequest(params=form)}, request_state=asked.state)
    answer: ElicitResult | None = None
    with anyio.move_on_after(desk.policy.wait_seconds), suppress(MCPError):
        answer = await ctx.request_context.session.elicit_form(ticket.question, _FORM, ctx.request_context.request_id)
    return await _judge(ctx, ticket, asked, answer)


async def _second_round(ctx: ToolContext, ticket: Ticket, asked: Asked) -> Outcome:
    answer = (ctx.input_responses or {}).get(_QUESTION)
    return await _judge(ctx, ticket, asked, answer if isinstance(answer, ElicitResult) else None)


async def _judge(ctx: ToolContext, ticket: Ticket, asked: Asked, answer: ElicitResult | None) -> Outcome:
    """Only the right text is a yes. What was probably never shown leaves the ticket open for page and terminal."""
    desk = desk_of(ctx)
    if answer is not None and answer.action == "accept":
        if await desk.decisions.take(ticket, (answer.content or {}).get("answer"), "form"):
            return await desk.commit(ticket.ticket_id)
    elif answer is None or (desk.clock() - asked.at).total_seconds() < SHOWN_SECONDS:
        wiring_of(ctx).forms_never_shown.add(_connection(ctx))
        # Silence has used up the time that a call may take; the page opens all the same.
        return await _ask_elsewhere(ctx, ticket, wait=False, patient=answer is not None)
    else:
        await desk.decisions.decline(ticket, "form")
    return desk.awaiting(await desk.ticket(ticket.ticket_id))


async def _ask_elsewhere(ctx: ToolContext, ticket: Ticket, *, wait: bool, patient: bool = True) -> Outcome:
    """Open the page and wait for it; where there is none, wait for the terminal only if this call is meant to."""
    desk = desk_of(ctx)
    began = desk.clock()
    page = await _opened(ctx, ticket)
    if not (wait or (page and patient)):
        return _awaiting(ctx, await desk.ticket(ticket.ticket_id), page=page)
    taken = (desk.clock() - began).total_seconds()
    return await _wait_for_person(ctx, ticket, desk.policy.wait_seconds - taken, page=page)


async def _opened(ctx: ToolContext, ticket: Ticket) -> bool:
    """Open the ticket's page in the person's browser. Its address stays between the two: no answer ever holds it."""
    open_page = wiring_of(ctx).open_page
    return (
        open_page is not None and ticket.state_at(desk_of(ctx).clock()) is TicketState.OPEN and await open_page(ticket)
    )


async def _wait_for_person(ctx: ToolContext, ticket: Ticket, longest: float, *, page: bool) -> Outcome:
    desk = desk_of(ctx)
    where = "on the page in their browser" if page else "at the terminal: ct-mcp approve"
    seen = ticket
    async for waited, now in desk.watch_ticket(ticket, longest):
        await ctx.report_progress(waited, longest, f"waiting for the person {where}")
        seen = now
    approved = seen.state_at(desk.clock()) is TicketState.APPROVED
    return await desk.commit(seen.ticket_id) if approved else _awaiting(ctx, seen, page=page)


def _awaiting(ctx: ToolContext, ticket: Ticket, *, page: bool) -> Outcome:
    outcome = desk_of(ctx).awaiting(ticket)
    if not page or outcome.status is not Status.NEEDS_APPROVAL:
        return outcome
    told = (
        "a page with this order was opened in the person's browser: ask them to answer there, or with `ct-mcp approve` "
        f"in a terminal of their own, then call confirm_ticket with ticket_id {ticket.ticket_id}"
    )
    return replace(outcome, next_step=told)


def _can_show_forms(ctx: ToolContext) -> bool:
    capabilities = ctx.client_capabilities
    elicitation = capabilities.elicitation if capabilities is not None else None
    if elicitation is None or _connection(ctx) in wiring_of(ctx).forms_never_shown:
        return False
    return elicitation.form is not None or elicitation.url is None


def _asks_by_answering(ctx: ToolContext) -> bool:
    """Say whether this connection carries questions inside answers, as the protocol does from 2026-07-28 on."""
    return ctx.protocol_version is not None and is_version_at_least(ctx.protocol_version, "2026-07-28")


def _connection(ctx: ToolContext) -> str:
    """The client by the name it gives; newer connections last for one request, so they cannot be told apart.

    Older ones can, where one server has many of them: over HTTP each has an id of its own.
    """
    client, request = ctx.request_context.session.client_params, ctx.request_context.request
    kept = request.headers.get("mcp-session-id", "") if request is not None and not _asks_by_answering(ctx) else ""
    return f"{client.client_info.name} {client.client_info.version} {kept}" if client else ""


def _earlier_round(ctx: ToolContext) -> Asked | None:
    if ctx.request_state is None:
        return None
    try:
        said = json.loads(ctx.request_state)
        return Asked(str(said["ticket_id"]), datetime.fromisoformat(said["at"]))
    except (ValueError, KeyError, TypeError):
        return None
