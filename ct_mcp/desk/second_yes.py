"""The second person's yes: asked when a ticket is made that wants one, and looked for before it is spent.

1. Which tickets want it is decided by the policy, from the effect, and stands in their question: `Ticket.needs_second`.
2. The plane gets the lines that the trader is shown. A yes counts for the commands alone that it was asked of.
3. Either may answer first. A no of the second declines the ticket; silence lets it expire, and nothing is sent.
4. Who cannot be asked has said nothing: then the ticket is not spent.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

import anyio

from ct_mcp.desk.decisions import Decisions
from ct_mcp.desk.membership import WORD_WITHIN_SECONDS, Membership
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.ports import Store
from ct_mcp.domain.approval import Approval, Ticket, TicketState
from ct_mcp.domain.team import SecondAnswer, SecondQuestion, SecondState
from ct_mcp.errors import CtMcpError, NotConfirmed, StoreFailed
from ct_mcp.text import sanitize

_T = TypeVar("_T")
_LOOK_AGAIN_SECONDS = 1.0
_UNDECIDED = (TicketState.OPEN, TicketState.APPROVED)


@dataclass(frozen=True, slots=True)
class Second:
    """How it stands with a second person: what they said, and why nobody can say, where that is so."""

    state: SecondState = SecondState.WAITING
    by: str = ""
    why: str = ""

    @property
    def words(self) -> str:
        """Say it in one line."""
        if self.state is SecondState.APPROVED:
            return f"a second person has said yes: {sanitize(self.by, longest=60)}"
        if self.state is SecondState.DECLINED:
            return f"a second person has said no: {sanitize(self.by, longest=60)}"
        why = f", and the team's plane does not answer: {sanitize(self.why, longest=200)}" if self.why else ""
        return f"a second person of the team has not said yes yet{why}"


class SecondPerson:
    """Asks a second person through the plane, and hears what they said."""

    def __init__(self, team: Membership, store: Store, decisions: Decisions, clock: Callable[[], datetime]) -> None:
        self._team, self._store, self._decisions, self._clock = team, store, decisions, clock
        self._looked: dict[str, tuple[datetime, Second]] = {}

    async def look(self, ticket: Ticket, oldest_seconds: float = 0.0) -> Second:
        """Give how it stands; nobody has been asked yet: ask. A no declines the ticket."""
        if (kept := self._kept(ticket, oldest_seconds)) is not None:
            return kept
        second = await self._asked(ticket)
        now = self._clock()
        if second.state is SecondState.DECLINED and ticket.state_at(now) in _UNDECIDED:
            await self._decisions.decline(ticket, f"{sanitize(second.by, longest=60)}, the second person")
        self._looked = {known: old for known, old in self._looked.items() if abs((now - old[0]).total_seconds()) < 60}
        self._looked[ticket.ticket_id] = now, second
        return second

    def _kept(self, ticket: Ticket, oldest_seconds: float) -> Second | None:
        at, second = self._looked.get(ticket.ticket_id, (None, None))
        if at is None or second is None:
            return None
        return second if 0 <= (self._clock() - at).total_seconds() < oldest_seconds else None

    async def ask(self, ticket: Ticket) -> None:
        """Put a ticket that wants it before a second person; where that cannot be now, each later look tries again."""
        if ticket.needs_second:
            await self.look(ticket)

    async def look_at_all(self) -> None:
        """Hear what was said of every open ticket that wants it: a no ends it, whoever is still being asked."""
        for ticket in await self._store.open_tickets(self._clock()):
            if ticket.needs_second:
                await self.look(ticket, _LOOK_AGAIN_SECONDS)

    async def need(self, ticket: Ticket) -> None:
        """Pass over a ticket that has its second yes, or needs none, right before it is spent.

        Raises:
            NotConfirmed: It has none yet, was declined, or nobody can say.
        """
        if not ticket.needs_second or ticket.state_at(self._clock()) not in _UNDECIDED:
            return
        second = await self.look(ticket)
        if second.state is not SecondState.APPROVED:
            raise NotConfirmed(
                f"ticket {ticket.ticket_id} cannot be used: {second.words}", next_step=_next(ticket, second)
            )

    async def is_undecided(self, ticket: Ticket) -> bool:
        """Say whether somebody's answer to a ticket is missing: the person's, or that of a second one."""
        is_asked = ticket.approval is not Approval.NONE or not ticket.needs_second
        return (is_asked and ticket.state_at(self._clock()) is TicketState.OPEN) or await self.is_awaited(ticket)

    async def is_awaited(self, ticket: Ticket) -> bool:
        """Say whether an open ticket has all that it needs but a second person's answer."""
        is_ready = ticket.approval is Approval.NONE or ticket.state is TicketState.APPROVED
        if not (ticket.needs_second and is_ready and ticket.state_at(self._clock()) in _UNDECIDED):
            return False
        return (await self.look(ticket, _LOOK_AGAIN_SECONDS)).state is SecondState.WAITING

    async def beside(self, told: Outcome, ticket: Ticket) -> Outcome:
        """Say in an answer how it stands with the second person; of what is over, who ended it."""
        if not ticket.needs_second:
            return told
        if told.status is Status.DECLINED:
            by = f"declined by {sanitize(ticket.decided_by, longest=80)}"
            return replace(told, reasons=(*told.reasons, by)) if ticket.decided_by else told
        second = await self.look(ticket, _LOOK_AGAIN_SECONDS)
        told = replace(told, reasons=(*told.reasons, second.words))
        if told.status is not Status.NEEDS_APPROVAL or not await self.is_awaited(ticket):
            return told
        return replace(told, next_step=_next(ticket, second))

    async def _asked(self, ticket: Ticket) -> Second:
        """2: bound to the commands of the ticket."""
        if self._team.link is None:
            return Second(why="no team is named in the settings")
        plane = self._team.link.plane
        try:
            answer = await _within(plane.answer(ticket.ticket_id))
            if answer is None and ticket.state_at(self._clock()) in _UNDECIDED:
                await _within(plane.ask(_question(ticket)))
        except CtMcpError as failed:
            return Second(why=failed.what)
        return _said(answer, ticket)


def _said(answer: SecondAnswer | None, ticket: Ticket) -> Second:
    if answer is None:
        return Second()
    if answer.fingerprint != ticket.fingerprint:
        return Second(why="what it holds under this ticket is about other commands")
    return Second(answer.state, answer.by)


def _question(ticket: Ticket) -> SecondQuestion:
    request = ticket.request
    if request is None:  # pragma: no cover  # what needs a second yes was shown
        raise StoreFailed(f"ticket {ticket.ticket_id} has no question")
    return SecondQuestion(
        ticket.ticket_id,
        ticket.fingerprint,
        request.heading,
        request.headline,
        request.lines,
        ticket.created_at,
        ticket.expires_at,
        request.simulated,
    )


def _next(ticket: Ticket, second: Second) -> str:
    if second.state is SecondState.DECLINED:
        return "the second person said no: do not propose it again unless the person asks for it"
    return (
        "a risk manager of the team answers at the plane; then, or to see how it stands, call confirm_ticket with "
        f"ticket_id {ticket.ticket_id}"
    )


async def _within(asked: Awaitable[_T]) -> _T:
    """Ask the plane, for so long.

    Raises:
        StoreFailed: It did not answer in time.
    """
    try:
        with anyio.fail_after(WORD_WITHIN_SECONDS):
            return await asked
    except TimeoutError:
        raise StoreFailed(f"no answer within {WORD_WITHIN_SECONDS:.0f} s") from None
