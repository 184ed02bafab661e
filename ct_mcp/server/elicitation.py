"""Ask the person: by a form where the client can show one, on a page in their browser, or at a terminal.

1. `propose_and_ask` proposes a command. What needs nobody's yes is committed at once.
2. Where the policy takes a form and the client shows forms, a form is shown. It has one required text whose right value
   stands only in what the person is shown, so that an assistant or a client that accepts by itself cannot give it.
   Since 2026 the form is a result of ours that the client brings back with what the person typed; before that it is a
   request of ours, which waits as long as its ticket lives (`open_forms`). Both end in `_take`, which decides the
   ticket. Silence says nothing; only an answer faster than a person's says that the form was not shown.
3. Everywhere else a page opens in the person's browser, or they approve at a terminal, and `confirm` goes on with it.

The person's answer travels beside the arguments, never in them. The SDK's resolvers are not used: they cannot be timed
on older connections, and turn an empty accept into an error before it can be declined and journalled as suspicious.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil
from typing import Any

import anyio
from mcp_types import ElicitRequest, ElicitRequestFormParams, ElicitResult, InputRequiredResult
from mcp_types.version import is_version_at_least

from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.domain.approval import Approval, Ticket, TicketState
from ct_mcp.domain.commands import Command, fingerprint_all
from ct_mcp.domain.instrument import Instrument
from ct_mcp.errors import NotConfirmed, StoreFailed, TicketSpent
from ct_mcp.server.context import ToolContext, context_of, desk_of
from ct_mcp.server.open_forms import OpenForm
from ct_mcp.text import command

# A client that declines this fast has very likely shown nothing to anybody.
SHOWN_SECONDS = 1.5
_PROGRESS_SECONDS = 1.0
_TOO_LATE = "the person's yes came too late: the ticket had expired by then, and nothing was sent"
_REQUEST = "approval"


async def propose_and_ask(
    ctx: ToolContext, commands: Command | Sequence[Command], reason: str = "", left_alone: Sequence[str] = ()
) -> Outcome | InputRequiredResult:
    """Propose commands, ask for the yes that it needs, and commit it once the yes is there.

    ``left_alone`` names the accounts that are not flattened where all were meant.

    Raises:
        NotConfirmed: The client brought back an answer to a form about something else.
    """
    desk, ends_at = desk_of(ctx), _ends_at(ctx)
    asked = tuple(commands) if isinstance(commands, Sequence) else (commands,)
    fingerprint = fingerprint_all(asked)
    if (pending := _pending_form(ctx)) is not None:
        ticket = await desk.ticket(pending.ticket_id)
        if ticket.fingerprint != fingerprint:
            # The SDK binds an answer to its arguments; a root may all the same mean another contract month by now.
            raise NotConfirmed("what these arguments mean now is not what the person was asked about")
        return await _ask_and_commit(ctx, ticket, ends_at)
    if (first := await _unheard(ctx, asked, fingerprint)) is not None:
        return _as_repeated(await _ask_and_commit(ctx, first, ends_at))
    proposed = await desk.propose(commands, reason, left_alone)
    return proposed if isinstance(proposed, Outcome) else await _ask_and_commit(ctx, proposed, ends_at)


async def confirm(ctx: ToolContext, ticket_id: str) -> Outcome | InputRequiredResult:
    """Go on with a ticket that was proposed before: ask, or wait for the page or the terminal, and commit it."""
    ends_at = _ends_at(ctx)
    return await _ask_and_commit(ctx, await desk_of(ctx).ticket(ticket_id), ends_at, wait=True)


def _ends_at(ctx: ToolContext) -> datetime:
    """The one deadline of a call, set when it begins: form, page and every wait share it."""
    desk = desk_of(ctx)
    return desk.clock() + timedelta(seconds=desk.policy.wait_seconds)


def _left(ctx: ToolContext, ends_at: datetime) -> float:
    return max(0.0, (ends_at - desk_of(ctx).clock()).total_seconds())


# Calls that are repeated


async def _unheard(ctx: ToolContext, commands: Sequence[Command], fingerprint: str) -> Ticket | None:
    """Find the ticket of an identical call that nobody has heard the answer of; what leaves goes again by itself."""
    from ct_mcp.guard.effect import repeat_does_harm  # noqa: PLC0415  # late: the rules come with the desk

    desk = desk_of(ctx)
    ticket_id = context_of(ctx).unheard.ticket_of(fingerprint, desk.clock())
    if ticket_id is None or not any(map(repeat_does_harm, commands)):
        return None
    ticket = await desk.store.ticket(ticket_id)
    return None if ticket is None or ticket.state_at(desk.clock()) is TicketState.EXPIRED else ticket


def _as_repeated(told: Outcome | InputRequiredResult) -> Outcome | InputRequiredResult:
    """Say that nothing new was proposed, unless the person is still being asked."""
    if not isinstance(told, Outcome) or told.status is Status.NEEDS_APPROVAL:
        return told
    said = (
        "the same call was made before and this is what became of it: nothing was proposed anew. "
        "Call again only if the person wants the same once more"
    )
    return replace(told, reasons=(*told.reasons, said))


async def _became_of(ctx: ToolContext, ticket: Ticket, ends_at: datetime) -> Outcome:
    """Tell what became of a spent ticket; where its story cannot be read, nobody may say that nothing was sent."""
    try:
        return await desk_of(ctx).became_of(ticket, _left(ctx, ends_at))
    except StoreFailed as failed:
        raise TicketSpent(f"ticket {ticket.ticket_id} was spent before: {failed.what}") from failed


async def _answer(ctx: ToolContext, ticket: Ticket, ends_at: datetime) -> Outcome:
    """Answer of a ticket that this call sends nothing of."""
    try:
        told = await desk_of(ctx).awaiting(ticket)
        if told.status is Status.EXPIRED and ticket.ticket_id in context_of(ctx).answered_too_late:
            return replace(told, reasons=(_TOO_LATE, *told.reasons))
        return told
    except TicketSpent:
        return await _became_of(ctx, ticket, ends_at)


# Asking


async def _ask_and_commit(
    ctx: ToolContext, ticket: Ticket, ends_at: datetime, *, wait: bool = False
) -> Outcome | InputRequiredResult:
    """Ask as long as nobody has decided, and send what is approved, or tell what became of it where others have."""
    desk, context, pending = desk_of(ctx), context_of(ctx), _pending_form(ctx)
    async with context.unheard.until_heard(ticket.fingerprint, ticket.ticket_id, desk.clock):
        if pending is None and _is_undecided(ctx, ticket):
            context.keep_warm(ticket)
        if pending is not None or (_is_undecided(ctx, ticket) and _can_show_forms(ctx, ticket)):
            asked = await _ask_by_form(ctx, ticket, pending)
            if isinstance(asked, InputRequiredResult):
                return asked
            ticket, wait = asked, False
        page = False
        if _is_undecided(ctx, ticket):
            ticket, page = await _ask_elsewhere(ctx, ticket, ends_at, wait=wait)
        if _is_approved(ctx, ticket) and ticket.needs_second:
            await _wait_for_person(ctx, ticket, ends_at, "of the team who is asked as well")
            ticket, page = await desk.ticket(ticket.ticket_id), False  # a no of theirs declines it
        if not _is_approved(ctx, ticket) or await desk.second_yes.is_awaited(ticket):
            return await _awaiting(ctx, ticket, ends_at, page=page)
        try:
            return await desk.commit(ticket.ticket_id)
        except TicketSpent:
            return await _became_of(ctx, ticket, ends_at)


def _is_approved(ctx: ToolContext, ticket: Ticket) -> bool:
    """Say whether the person has said yes to it and it is not over, or nobody has to."""
    state = ticket.state_at(desk_of(ctx).clock())
    return state is TicketState.APPROVED or (state is TicketState.OPEN and ticket.approval is Approval.NONE)


def _is_undecided(ctx: ToolContext, ticket: Ticket) -> bool:
    """Say whether it is for the person to decide, and they have not."""
    return ticket.approval is not Approval.NONE and ticket.state_at(desk_of(ctx).clock()) is TicketState.OPEN


# The form: what the person is shown, what they type, and what counts as their yes

_FIELD = "answer"


def _schema(ticket: Ticket) -> dict[str, Any]:
    """One required text. What is to be typed stands in its title too: clients cut the question, not the title."""
    field = {
        "type": "string",
        "title": ticket.field_title,
        "description": "Only exactly this text sends this order. Anything else sends nothing.",
    }
    return {"type": "object", "properties": {_FIELD: field}, "required": [_FIELD]}


async def is_yes(ctx: ToolContext, ticket: Ticket, answer: ElicitResult) -> bool:
    """Take an accepted form for a yes only with the right text; anything else declines, and is journalled."""
    from ct_mcp.desk.decisions import is_right  # noqa: PLC0415  # late: the desk is loaded by the first call

    desk, context, text = desk_of(ctx), context_of(ctx), (answer.content or {}).get(_FIELD)
    if ticket.state_at(desk.clock()) is TicketState.EXPIRED and is_right(ticket, text):
        context.answered_too_late.add(ticket.ticket_id)
    return await desk.decisions.take(ticket, text, "form", page_was_open=ticket.ticket_id in context.pages_opened)


# Asking by a form


async def contract_shown(ctx: ToolContext, instrument: str, account: str) -> Instrument | None:
    """Give the contract that a form showed, where the client brings its answer back; None where none was shown.

    What a root means was found out for the question, and the yes is for what was shown. That the rest of the arguments
    is the same, `propose_and_ask` looks at.
    """
    pending = _pending_form(ctx)
    if pending is None:
        return None
    from ct_mcp.guard.context import RiskContext  # noqa: PLC0415  # late: the rules come with the desk
    from ct_mcp.guard.effect import instrument_named  # noqa: PLC0415

    desk = desk_of(ctx)
    (command, *others) = (await desk.ticket(pending.ticket_id)).commands
    shown = instrument_named(command, RiskContext(desk.clock()))
    is_meant = shown is not None and command.account == account and desk.resolver.matching(instrument)(shown)
    return shown if is_meant and not others else None


@dataclass(frozen=True, slots=True)
class PendingForm:
    """A form that was shown in an earlier round of the same call; sealed by the SDK while the client holds it."""

    ticket_id: str
    asked_at: datetime

    def to_json(self) -> str:
        """Write it for the client to bring back."""
        return json.dumps({"ticket_id": self.ticket_id, "at": self.asked_at.isoformat()})


def _pending_form(ctx: ToolContext) -> PendingForm | None:
    if ctx.request_state is None:
        return None
    try:
        state = json.loads(ctx.request_state)
        return PendingForm(str(state["ticket_id"]), datetime.fromisoformat(state["at"]))
    except (ValueError, KeyError, TypeError):
        return None


async def _ask_by_form(ctx: ToolContext, ticket: Ticket, pending: PendingForm | None) -> Ticket | InputRequiredResult:
    """Show a form, or take what was answered to one that an earlier round has shown; gives the ticket as it is then."""
    if pending is not None:
        answer = (ctx.input_responses or {}).get(_REQUEST)
        await _take(ctx, ticket, pending, answer if isinstance(answer, ElicitResult) else None)
    else:
        pending = PendingForm(ticket.ticket_id, desk_of(ctx).clock())
        if _asks_by_result(ctx):
            form = ElicitRequestFormParams(message=ticket.question, requested_schema=_schema(ticket))
            return InputRequiredResult(
                input_requests={_REQUEST: ElicitRequest(params=form)}, request_state=pending.to_json()
            )
        await _show_form(ctx, ticket, pending)
    return await desk_of(ctx).ticket(ticket.ticket_id)


async def _show_form(ctx: ToolContext, ticket: Ticket, pending: PendingForm) -> None:
    request, lives_seconds = ctx.request_context, (ticket.expires_at - pending.asked_at).total_seconds()
    shown = context_of(ctx).open_forms.shown(
        ticket.ticket_id,
        lives_seconds,
        lambda: request.session.elicit_form(ticket.question, _schema(ticket), request.request_id),
        lambda answer: _take(ctx, ticket, pending, answer),
    )
    await _wait_for_form(ctx, ticket, shown, min(lives_seconds, desk_of(ctx).policy.form_seconds))


async def _wait_for_form(ctx: ToolContext, ticket: Ticket, form: OpenForm, longest_seconds: float) -> None:
    """Wait for the answer to a form, for a decision elsewhere, or until the time is up; it stays open all the same."""
    began = anyio.current_time()
    with anyio.move_on_after(longest_seconds):
        while not form.taken.is_set() and await _is_open(ctx, ticket):
            waited = int(anyio.current_time() - began)
            await ctx.report_progress(waited, ceil(longest_seconds), "waiting for the person's answer to the form")
            await desk_of(ctx).store.wakes.pause(_PROGRESS_SECONDS, form.is_taken_within)
    if form.failure is not None:
        raise form.failure


async def _is_open(ctx: ToolContext, ticket: Ticket) -> bool:
    return (await desk_of(ctx).ticket(ticket.ticket_id)).state_at(desk_of(ctx).clock()) is TicketState.OPEN


async def _take(ctx: ToolContext, ticket: Ticket, pending: PendingForm, answer: ElicitResult | None) -> None:
    """Decide the ticket by what was answered. A form that was probably never shown leaves it open."""
    desk = desk_of(ctx)
    if answer is not None and answer.action == "accept":
        await is_yes(ctx, ticket, answer)
    elif (desk.clock() - pending.asked_at).total_seconds() < SHOWN_SECONDS:
        context_of(ctx).forms_never_shown.add(_connection(ctx))
    elif answer is not None:
        await desk.decisions.decline(ticket, "form")


def _can_show_forms(ctx: ToolContext, ticket: Ticket) -> bool:
    if ticket.approval is not Approval.FORM:
        return False
    capabilities = ctx.client_capabilities
    elicitation = capabilities.elicitation if capabilities is not None else None
    if elicitation is None or _connection(ctx) in context_of(ctx).forms_never_shown:
        return False
    return elicitation.form is not None or elicitation.url is None


def _asks_by_result(ctx: ToolContext) -> bool:
    """Say whether this connection carries questions inside results, as the protocol does from 2026-07-28 on."""
    return ctx.protocol_version is not None and is_version_at_least(ctx.protocol_version, "2026-07-28")


def _connection(ctx: ToolContext) -> str:
    """The client by the name it gives; newer connections last for one request, so they cannot be told apart.

    Older ones can, where one server has many of them: over HTTP each has an id of its own.
    """
    client, request = ctx.request_context.session.client_params, ctx.request_context.request
    kept = request.headers.get("mcp-session-id", "") if request is not None and not _asks_by_result(ctx) else ""
    return f"{client.client_info.name} {client.client_info.version} {kept}" if client else ""


# Asking on a page or at a terminal


async def _ask_elsewhere(ctx: ToolContext, ticket: Ticket, ends_at: datetime, *, wait: bool) -> tuple[Ticket, bool]:
    """Open the page and wait for it; where there is none, wait for the terminal only if this call is meant to.

    Gives the ticket as it is then, and whether there is a page.
    """
    page = await _open_page(ctx, ticket, ends_at)
    if wait or page:
        where = "on the page in their browser" if page else f"at the terminal: {command('approve')}"
        return await _wait_for_person(ctx, ticket, ends_at, where), page
    return await desk_of(ctx).ticket(ticket.ticket_id), page


async def _open_page(ctx: ToolContext, ticket: Ticket, ends_at: datetime) -> bool:
    """Open the ticket's page in the person's browser. Its address stays between the two: no result ever holds it."""
    server = context_of(ctx)
    if server.open_page is None or ticket.state_at(desk_of(ctx).clock()) is not TicketState.OPEN:
        return False
    if is_open := await server.open_page(ticket, _left(ctx, ends_at)):
        server.pages_opened.add(ticket.ticket_id)
    return is_open


async def _wait_for_person(ctx: ToolContext, ticket: Ticket, ends_at: datetime, where: str) -> Ticket:
    desk, longest_seconds = desk_of(ctx), _left(ctx, ends_at)
    seen, due = ticket, 0.0
    async for waited, now in desk.watch_ticket(ticket, longest_seconds):
        if waited >= due:
            await ctx.report_progress(int(waited), ceil(longest_seconds), f"waiting for the person {where}")
            due = int(waited) + _PROGRESS_SECONDS
        seen = now
    return seen


async def _awaiting(ctx: ToolContext, ticket: Ticket, ends_at: datetime, *, page: bool) -> Outcome:
    outcome = await _answer(ctx, ticket, ends_at)
    if not page or outcome.status is not Status.NEEDS_APPROVAL:
        return outcome
    next_step = (
        "a page in the person's browser shows this order: ask them to answer there, or with "
        f"`{command('approve')}` in a terminal of their own, then call confirm_ticket with ticket_id {ticket.ticket_id}"
    )
    return replace(outcome, next_step=next_step)
