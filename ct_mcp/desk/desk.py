"""The order desk: review → ticket → the person's yes → send → read back.

The one road by which anything reaches the market. The assistant may propose; only a ticket sends, and a ticket is
spent once, after a yes that came over a channel which the assistant cannot write to.
"""

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import datetime

import anyio

from ct_mcp.desk.deciding import Decisions
from ct_mcp.desk.everything import Everything, together_denied
from ct_mcp.desk.facts import Case, Facts
from ct_mcp.desk.outcome import Outcome
from ct_mcp.desk.ports import Store, Upstream
from ct_mcp.desk.question import approval_of, clean, draw_ticket, draw_ticket_for_all
from ct_mcp.desk.record import Record
from ct_mcp.desk.sending import Sender
from ct_mcp.desk.settling import settle_outstanding
from ct_mcp.desk.waiting import awaiting, cannot_be_used, denied
from ct_mcp.desk.watch import Pause
from ct_mcp.domain.action import (
    Action,
    CancelOrder,
    CancelOrders,
    ClosePosition,
    CloseStrategy,
    DisableStrategy,
    Flatten,
    FlattenEverything,
)
from ct_mcp.domain.ticket import Approval, Halt, Ticket, TicketState
from ct_mcp.errors import BadRequest, NotConfirmed
from ct_mcp.guard.direction import is_partial, leaves_position, sends_orders
from ct_mcp.guard.policy import Denial, Policy

# A review younger than this still holds when its ticket is spent, if nothing was sent in between.
REVIEW_HOLDS_SECONDS = 2.0
_LOOK_EVERY_SECONDS = 0.25
_log = logging.getLogger(__name__)
_STRICTNESS = tuple(Approval)


class Desk:
    """Proposes, asks nothing itself, and commits. The clock and the pause are handed in, so that a test owns time."""

    def __init__(
        self,
        upstream: Upstream,
        store: Store,
        policy: Policy,
        *,
        clock: Callable[[], datetime],
        pause: Pause = anyio.sleep,
    ) -> None:
        self.upstream = upstream
        self.store = store
        self.policy = policy
        self.clock = clock
        self.facts = Facts(upstream, store, policy, clock)
        self.names = self.facts.names
        self.pause = pause
        self.decisions = Decisions(store, clock)
        self._record = Record(store, clock)
        self._sender = Sender(upstream, self._record, pause)
        self._everything = Everything(self.facts, self._record, self._sender)
        self.on_sent: list[Callable[[Action], None]] = []
        self._reviews: dict[str, Case] = {}
        self._one_at_a_time = anyio.Lock()

    async def preview(self, action: Action) -> Case:
        """Review an action and change nothing: no ticket, no journal, nothing sent."""
        if isinstance(action, FlattenEverything):
            raise BadRequest("accounts are reviewed one by one: preview the flatten of each")
        return await self.facts.case(action)

    async def propose(self, action: Action, reason: str = "") -> Ticket | Outcome:
        """Review an action: its ticket where every rule passes, or the denial with all its reasons.

        The same action within the life of its ticket gives the same ticket: two impatient calls are one proposal.
        """
        await self._settle_before(action)
        if isinstance(action, FlattenEverything):
            return await self._propose_everything(action, reason)
        case = await self.facts.case(action)
        if not case.review.passes:
            return denied(await self._record.denied(case, reason))
        ticket = await self._opened(draw_ticket(case, reason), (case,))
        self._reviews = {known: old for known, old in self._reviews.items() if self._is_recent(old)}
        self._reviews[ticket.ticket_id] = case
        return ticket

    async def _propose_everything(self, action: FlattenEverything, reason: str) -> Ticket | Outcome:
        """One ticket for all accounts. A no of one is a no to the whole, so that the person can name fewer."""
        cases = await self._everything.cases(action)
        if not all(case.review.passes for case in cases):
            return denied(await self._record.denied(together_denied(action, cases), reason))
        return await self._opened(draw_ticket_for_all(action, cases, reason), cases)

    async def _opened(self, drawn: Ticket, cases: Sequence[Case]) -> Ticket:
        ticket = await self.store.open_ticket(drawn, self.clock())
        if ticket.ticket_id == drawn.ticket_id:
            await self._record.proposed(ticket, cases)
        return ticket

    async def _settle_before(self, action: Action) -> None:
        """Find out first what became of earlier sends, where that may decide. No other exit waits for a look-up."""
        match action:
            case ClosePosition() if is_partial(action):
                upstream = self.upstream.urgent()
            case _ if sends_orders(action):
                upstream = self.upstream
            case _:
                return
        await settle_outstanding(upstream, self.pause, self.store, self.clock, action.account)

    async def ticket(self, ticket_id: str) -> Ticket:
        """One ticket by its id.

        Raises:
            NotConfirmed: There is no such ticket.
        """
        ticket = await self.store.ticket(ticket_id)
        if ticket is None:
            raise NotConfirmed(f"there is no ticket {ticket_id[:40]!r}")
        return ticket

    async def watch_ticket(self, ticket: Ticket, seconds: float) -> AsyncIterator[tuple[float, Ticket]]:
        """Follow an open ticket until another channel decides it or the time is up, with the seconds waited so far."""
        began, waited = self.clock(), 0.0
        yield waited, ticket
        while ticket.state_at(self.clock()) is TicketState.OPEN and waited < seconds:
            await self.pause(_LOOK_EVERY_SECONDS)
            ticket = await self.ticket(ticket.ticket_id)
            waited = (self.clock() - began).total_seconds()
            yield waited, ticket

    async def commit(self, ticket_id: str) -> Outcome:
        """Spend the ticket and send what it holds, once.

        The rules are applied again, because the market has moved since the person read the summary. The journal is
        written before the wire, so that a crash between the two leaves a trace of an order that may exist. From the
        spending on, the client's own cancellation does not reach it: half a send would be an unknown outcome.

        Raises:
            NotConfirmed: The ticket is unknown, not approved, spent, declined or lapsed.
            UpstreamError: It certainly did not take effect. The ticket is spent all the same.
            StoreFailed: The journal could not be written, so nothing was sent.
        """
        with anyio.CancelScope(shield=True):
            outcome = await self._spend_and_send(ticket_id)
        return outcome  # noqa: RET504  # a scope may swallow, says its type; this one has nothing to swallow

    async def _spend_and_send(self, ticket_id: str) -> Outcome:
        ticket = await self.ticket(ticket_id)
        if not await self.store.spend_ticket(ticket_id, self.clock()):
            raise cannot_be_used(ticket_id, (await self.ticket(ticket_id)).state_at(self.clock()))
        try:
            return await self._send(ticket)
        finally:
            self._tell_of(ticket.action)

    def _tell_of(self, action: Action) -> None:
        """Tell whoever shows things that something was sent. No fault of theirs may hide what became of it."""
        for hear in self.on_sent:
            try:
                hear(action)
            except Exception:  # noqa: BLE001  # logged; the outcome of a send is worth more
                _log.warning("A listener failed after a send", exc_info=True)

    async def _send(self, ticket: Ticket) -> Outcome:
        if isinstance(ticket.action, FlattenEverything):
            return await self._everything.send(ticket, ticket.action)
        case = await self._cleared(ticket)
        if not case.review.passes:
            return replace(denied(case), ticket_id=ticket.ticket_id)
        return await self._sender.send(ticket, case)

    async def _cleared(self, ticket: Ticket) -> Case:
        """Review again and, where it passes, write the intent. What may add risk does so one at a time.

        Two orders that passed side by side could break a limit together. An exit waits for nobody.
        """
        if not sends_orders(ticket.action):
            return await self._reviewed_again(ticket)
        async with self._one_at_a_time:
            return await self._reviewed_again(ticket)

    async def _reviewed_again(self, ticket: Ticket) -> Case:
        """Write the intent on a review that is still true when it is written: another process may send meanwhile."""
        held = self._reviews.pop(ticket.ticket_id, None)
        if held and self._is_recent(held) and await self._record.intent_if_still_true(ticket, held):
            return held
        for must_go in _attempts(ticket.action):
            case = _still_approved(await self.facts.case(ticket.action), ticket)
            if not case.review.passes:
                return await self._record.denied(case, "", ticket)
            if must_go:
                await self._record.intent(ticket, case)
            if must_go or await self._record.intent_if_still_true(ticket, case):
                return case
        return await self._record.denied(_overtaken(case), "", ticket)

    def _is_recent(self, case: Case) -> bool:
        return 0 <= (self.clock() - case.view.now).total_seconds() <= REVIEW_HOLDS_SECONDS

    def awaiting(self, ticket: Ticket) -> Outcome:
        """The answer while nothing is sent: open and how it is approved, declined, or lapsed.

        Raises:
            NotConfirmed: The ticket was spent before, so something was sent then.
        """
        return awaiting(ticket, self.clock())

    async def halt(self, reason: str, by: str) -> Halt:
        """Halt what opens or adds, until the person resumes; gives the halt that stands, which may be an older one."""
        halt = Halt(clean(by), self.clock(), clean(reason))
        await self.store.set_halt(halt)
        return await self.store.halt() or halt


def _attempts(action: Action) -> tuple[bool, ...]:
    """How often it is reviewed until it is given up; True where it goes whatever others have sent meanwhile."""
    match action:
        case ClosePosition() if is_partial(action):
            return (False, True)
        case ClosePosition() | Flatten() | FlattenEverything() | CancelOrder() | CancelOrders():
            return (True,)
        case DisableStrategy() | CloseStrategy():
            return (True,)
        case _:
            return (False, False, False)


def _still_approved(case: Case, ticket: Ticket) -> Case:
    """Deny what its ticket's approval does not cover any more: the book has moved, and it opens or unprotects now.

    Close and flatten go, whatever the book has become.
    """
    due, given = approval_of(case), ticket.approval
    if leaves_position(case.action) or _STRICTNESS.index(due) <= _STRICTNESS.index(given):
        return case
    denial = Denial("APPROVAL_OUTGROWN", f"proposed under approval={given}, due now={due}; propose it again")
    return replace(case, review=replace(case.review, denials=(*case.review.denials, denial)))


def _overtaken(case: Case) -> Case:
    figures = f"reviews={len(_attempts(case.action))}, each overtaken by what was sent in account={case.account.name}"
    return replace(case, review=replace(case.review, denials=(Denial("ACCOUNT_IS_BUSY", figures),)))
