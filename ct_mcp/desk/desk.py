"""The order desk: review → ticket → the person's yes → send → read back.

The one road by which anything reaches the market. The assistant may propose; only a ticket sends.

1. A proposal is reviewed: every rule judges the effect of each command. One no is a no to the whole proposal.
2. What passes becomes a ticket, bound to the question that shows its commands. Two impatient calls are one ticket.
3. The person's yes comes over a channel that the assistant cannot write to (`desk/decisions.py`). It sends nothing.
4. Committing spends the ticket, once and for good, whatever happens afterwards.
5. Each command is reviewed again: the rules hold at the send, and what it does must be what was shown.
6. The intent is in the journal before the wire, and only on a review that is still true when it is written.
7. It is submitted once, and never again (`desk/execution.py`).
8. The answer tells what was read afterwards (`desk/readback.py`); what nobody knows stays unknown, counts against
   every limit, and is found out later (`desk/reconcile.py`).
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

import anyio

from ct_mcp.desk.approval import (
    awaiting,
    cannot_be_used,
    denied,
    draw_ticket,
    moved_since,
    no_room,
    overtaken,
    still_approved,
)
from ct_mcp.desk.circuit_breaker import halt_if_due
from ct_mcp.desk.context import ContextBuilder
from ct_mcp.desk.controls import Controls
from ct_mcp.desk.decisions import Decisions
from ct_mcp.desk.dispatch import handler_of, tell_of
from ct_mcp.desk.execution import CommandExecution
from ct_mcp.desk.exit_watch import Road, watch_exits
from ct_mcp.desk.handlers.everywhere import Departure, ReadBackOfAll, may_leave
from ct_mcp.desk.handlers.exits import submit_flatten
from ct_mcp.desk.journal_writer import JournalWriter, Step, proposed
from ct_mcp.desk.last_seen import LastSeen
from ct_mcp.desk.membership import Membership
from ct_mcp.desk.one_reading import OneReading
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.plans import Plans, as_plans
from ct_mcp.desk.polling import Pause
from ct_mcp.desk.ports import BookReads, Store, Upstream
from ct_mcp.desk.recent_reviews import RecentReviews
from ct_mcp.desk.reconcile import settle_outstanding
from ct_mcp.desk.recorder import make_record
from ct_mcp.desk.second_yes import SecondPerson
from ct_mcp.desk.story import LOOK_EVERY_SECONDS, fills_beside, fills_told, has_filled_meanwhile
from ct_mcp.desk.together import Part, together, with_left_alone
from ct_mcp.desk.told_again import ToldAgain
from ct_mcp.desk.turns import Turns
from ct_mcp.desk.warm_review import WarmReviews
from ct_mcp.domain.approval import Ticket, TicketState
from ct_mcp.domain.commands import Command, fingerprint
from ct_mcp.errors import BadRequest, CtMcpError, NeedsRoom, NotConfirmed
from ct_mcp.guard.denial import DenialCode
from ct_mcp.guard.effect import is_asked_at_once, is_urgent, leaves_accounts, leaves_position, leaves_whole_position
from ct_mcp.guard.policy import Policy
from ct_mcp.guard.review import Review
from ct_mcp.store.journal import EntryKind

MOST_WAITING = 3
"""So many questions of an account wait for the person at once: a tired yes is none. An exit is asked all the same."""
# So often is a command reviewed while others keep sending in the same account, before it is given up.
_MOST_REVIEWS = 3
# The service takes a burst of twenty, and is slow to those who ask for too much at a time.
_MOST_EXITS_AT_ONCE = 6
_Sent = TypeVar("_Sent")
_log = logging.getLogger(__name__)


class Desk:
    """Proposes, asks nothing itself, and commits. The clock and the pause are handed in, so that a test owns time."""

    def __init__(
        self,
        upstream: Upstream,
        store: Store,
        policy: Policy | Membership,
        *,
        clock: Callable[[], datetime],
        pause: Pause = anyio.sleep,
    ) -> None:
        self.upstream, self.store, self.clock, self.pause = upstream, store, clock, pause
        self.team = team = policy if isinstance(policy, Membership) else Membership(policy, clock)
        self.contexts = ContextBuilder(upstream, store, team, clock)
        self.resolver = self.contexts.resolver
        self.day_losses = self.contexts.day_losses
        upstream.tell_figures(self.day_losses.note_losses)
        self.seen = LastSeen.of_reads(upstream, clock)
        self.decisions, self.controls = Decisions(store, clock), Controls(store, clock)
        self.second_yes = SecondPerson(team, store, self.decisions, clock)
        self.book, self.recorder = make_record(upstream, store, team.own.recording, clock)
        self.warm = WarmReviews(self.contexts, store, upstream, clock)
        self.on_sent: list[Callable[[Command], None]] = []
        self.plans, self._journal = Plans(store, team, clock), JournalWriter(store, clock)
        self._reviews = RecentReviews(clock)
        self._one_at_a_time, self._turns = anyio.Lock(), Turns(clock)
        self._kept_in_turn = anyio.Lock(fast_acquire=True)
        self._told_again = ToldAgain(
            upstream, store, clock, pause, lambda: self.contexts.contracts, self._journal.cry_of
        )
        self.exit_watch = watch_exits(upstream, store, self.contexts, team.own, Road(self._send, clock, pause))
        team.on_change += (self.warm.forget, self._reviews.forget)

    @property
    def policy(self) -> Policy:
        """The policy that holds now: the person's own, as a team narrows it."""
        return self.team.policy

    # 1, 2: propose

    def name_of(self, account: str) -> str | None:
        """Give the name of an account as it is listed; None where no known account is called so."""
        known = self.resolver.known(account)
        return known.name if known else self.recorder.name_of(account)

    async def preview(self, command: Command) -> Review:
        """Review a command and send nothing: no ticket, no journal."""
        return await self.contexts.review(command)

    async def propose(
        self, commands: Command | Sequence[Command], reason: str = "", left_alone: Sequence[str] = ()
    ) -> Ticket | Outcome:
        """Review commands: their one ticket where every rule passes, or the denial with all its reasons.

        The same proposal within the life of its ticket gives the same ticket. ``left_alone`` is as in `draw_ticket`.

        Raises:
            BadRequest: It holds nothing, or the same command twice.
        """
        asked = _each_once(commands)
        if not all(map(is_urgent, asked)):
            await halt_if_due(self.store, self.clock())  # what expired unanswered was noticed by nobody so far
        # Exits of several accounts are judged on one reading: what is read for each of them keeps all of them waiting.
        book = OneReading(self.upstream.urgent()) if leaves_accounts(asked) else None
        advised, reviews = as_plans(await self._reviewed(asked, book))
        if not (may_leave(reviews) if book is not None else all(review.passes for review in reviews)):
            return await self._denied(reviews, reason)
        if advised:
            return await self.plans.keep(reviews, reason)
        fills = [await fills_beside(self.store, review.effect, self.clock()) for review in reviews]
        drawn = draw_ticket(reviews, reason, fills, left_alone)
        leaves = all(is_asked_at_once(review.effect) for review in reviews)
        try:
            most, entry = None if leaves else MOST_WAITING, proposed(drawn, reviews)
            # Whoever waits for the disk knows of everything kept before; an exit waits for nobody.
            async with nullcontext() if leaves else self._kept_in_turn:
                ticket = await self.store.open_ticket(drawn, self.clock(), most, entry)
        except NeedsRoom as full:
            return await self._denied(no_room(reviews, full), reason)
        # Something may have filled while the question was made, which then does not show it.
        if ticket.ticket_id == drawn.ticket_id and await has_filled_meanwhile(self.store, ticket, self.clock()):
            return await self.propose(asked, reason, left_alone)
        self._reviews.keep(ticket, reviews)
        await self.second_yes.ask(ticket)
        return ticket

    async def _reviewed(self, asked: Sequence[Command], book: BookReads | None) -> list[Review]:
        """Review what is proposed; a no that no reading can change does not wait for one."""
        if at_once := [no for command in asked if (no := await self.contexts.denied_at_once(command))]:
            return at_once
        for command in asked:
            async with self._turns.taken(command):
                await self._settle_before(command, book)
        return [await self.contexts.review_to_propose(each, book, is_last=each is asked[-1]) for each in asked]

    async def _denied(self, reviews: Sequence[Review], reason: str) -> Outcome:
        """Deny; whoever may repeat a call whose answer was lost hears what was filled."""
        notes = await self._journal.denied(reviews, reason)
        repeated = [
            review for review in reviews if any(no.code is DenialCode.DUPLICATE_WITHIN_WINDOW for no in review.denials)
        ]
        fills = [fill for review in repeated for fill in await fills_beside(self.store, review.effect, self.clock())]
        return denied(reviews, notes, fills)

    async def _settle_before(self, command: Command, book: BookReads | None = None) -> None:
        """Find out first what became of earlier sends, where that may decide.

        What may add up looks at everything outstanding; a whole exit only at exits that may be on their way.
        """
        if is_urgent(command) and not leaves_position(command):
            return
        reads = self.upstream.urgent() if is_urgent(command) else self.upstream
        only_exits, account = leaves_whole_position(command), command.account
        await settle_outstanding(reads, self.pause, self.store, self.clock, account, only_exits=only_exits, book=book)

    # 3: while the person decides

    async def ticket(self, ticket_id: str) -> Ticket:
        """Find one ticket by its id.

        Raises:
            NotConfirmed: There is no such ticket.
        """
        ticket = await self.store.ticket(ticket_id)
        if ticket is None:
            raise NotConfirmed(f"there is no ticket {ticket_id[:40]!r}")
        return ticket

    async def watch_ticket(self, ticket: Ticket, seconds: float) -> AsyncIterator[tuple[float, Ticket]]:
        """Follow an open ticket until another channel decides it or the time is up, with the seconds waited so far."""
        waited = 0.0  # by what was paused: a clock that is set while the person reads moves nothing
        ticket = await self.ticket(ticket.ticket_id)  # it may have been decided since it was proposed
        yield waited, ticket
        while await self.second_yes.is_undecided(ticket) and waited < seconds:
            await self.store.wakes.pause(LOOK_EVERY_SECONDS, self.pause)
            ticket = await self.ticket(ticket.ticket_id)
            waited += LOOK_EVERY_SECONDS
            yield waited, ticket

    async def awaiting(self, ticket: Ticket) -> Outcome:
        """Answer while nothing of it is sent: open and how it is approved, declined, or expired.

        Where it never will be, what was filled in the same instrument a little while ago is named all the same.

        Raises:
            TicketSpent: It was spent before; see `became_of`.
        """
        told = with_left_alone(await self.second_yes.beside(awaiting(ticket, self.clock()), ticket), ticket)
        if told.status is Status.NEEDS_APPROVAL:
            return told
        return replace(told, reasons=(*told.reasons, *await fills_told(self.store, ticket, self.clock())))

    async def became_of(self, ticket: Ticket, seconds: float) -> Outcome:
        """Tell what became of a spent ticket; while it is under way, wait so long for its end. Nothing is sent.

        Raises:
            TicketSpent: The journal cannot be read, or takes no entry.
        """
        return with_left_alone(await self._told_again.became_of(ticket, seconds), ticket)

    # 4: commit

    async def commit(self, ticket_id: str) -> Outcome:
        """Spend the ticket and send what it holds, once.

        From the spending on, the client's own cancellation does not reach it: half a send would be an unknown outcome.

        Raises:
            NotConfirmed: The ticket is unknown, not approved, declined or expired.
            TicketSpent: It was spent before; see `became_of`.
            UpstreamError: It certainly did not take effect. The ticket is spent all the same.
            StoreFailed: The journal could not be written, so nothing was sent.
        """
        with anyio.CancelScope(shield=True):
            ticket = await self.ticket(ticket_id)
            await self.second_yes.need(ticket)
            if ticket.state is TicketState.SPENT or not await self.store.spend_ticket(ticket_id, self.clock()):
                raise cannot_be_used(ticket_id, (await self.ticket(ticket_id)).state_at(self.clock()))
            steps = [Step(ticket, n) for n in range(len(ticket.commands))]
            try:
                if len(steps) == 1:
                    outcome = await self._send(steps[0])
                elif leaves_accounts(ticket.commands):
                    outcome = together(ticket, await self._leave_all(steps))
                else:
                    outcome = together(ticket, [await self._part(step, self._sent_part) for step in steps])
            finally:
                for command in ticket.commands:
                    tell_of(command, self.on_sent)
        return with_left_alone(outcome, ticket)

    async def _part(self, step: Step, send_it: Callable[[Step], Awaitable[_Sent]]) -> "Part | _Sent":
        """Send one command of several: what fails in one does not keep the next from being sent."""
        account = step.command.account
        try:
            return await send_it(step)
        except CtMcpError as error:
            return Part(account, None, error.what)
        except Exception as surprise:  # noqa: BLE001  # a fault of ours must not keep the next account from being left
            what = f"an internal fault ({type(surprise).__name__}) hid what became of it"
            return Part(account, Outcome(Status.UNKNOWN, step.summary, step.simulated, reasons=(what,)))

    async def _sent_part(self, step: Step) -> Part:
        return Part(step.command.account, await self._send(step))

    async def _leave_all(self, steps: Sequence[Step]) -> list[Part]:
        """Leave several accounts: all exits first, a few at a time, and then one reading of all."""
        began_at, ticket = self.clock(), steps[0].ticket
        held = self._reviews.take(ticket)
        if not held:
            await self.resolver.look_again()
        book, at_once = OneReading(self.upstream.urgent()), anyio.CapacityLimiter(_MOST_EXITS_AT_ONCE)
        sent: dict[int, Part | Departure] = {}

        async def leave(step: Step) -> Part | Departure:
            before = held[step.number] if held and held[step.number].passes else None
            review = await self._or_journaled(step, self._reviewed_again(step, before, book))
            if not review.passes:
                return Part(step.command.account, await self._denied_at_the_send(step, review))
            execution = self._execution(step, review)
            return Departure(execution, await submit_flatten(execution, step.command.account, None))

        async def leave_in_turn(step: Step) -> None:
            async with at_once:
                sent[step.number] = await self._part(step, leave)

        async with anyio.create_task_group() as exits:
            for step in steps:
                exits.start_soon(leave_in_turn, step)
        parts = [sent[step.number] for step in steps]
        departures = [part for part in parts if isinstance(part, Departure)]
        told = iter(await ReadBackOfAll(departures, self.clock, began_at, self.store).outcomes())
        return [part if isinstance(part, Part) else Part(part.account, next(told)) for part in parts]

    # 5, 6, 7, 8: review again, write the intent, submit, read back

    async def _send(self, step: Step) -> Outcome:
        async with self._turns.taken(step.command):
            review = await self._or_journaled(step, self._cleared(step))
            if not review.passes:
                return await self._denied_at_the_send(step, review)
            execution = self._execution(step, review)
            outcome = await execution.with_outstanding(await handler_of(step.command)(execution, step.command))
        if outcome.order_id and outcome.filled_quantity:
            self.contexts.fills.saw(step.command.account, outcome.order_id, outcome.filled_quantity)
        return outcome

    async def _or_journaled(self, step: Step, reviewing: Awaitable[Review]) -> Review:
        """Write down that nothing was sent where there is no review to send on."""
        try:
            return await reviewing
        except CtMcpError as error:
            await self._journal.after_the_wire(EntryKind.ERROR, step, {"not_sent": error.what})
            raise

    async def _denied_at_the_send(self, step: Step, review: Review) -> Outcome:
        notes = await self._journal.denied([review], "", step)
        return replace(denied([review], notes), ticket_id=step.ticket.ticket_id)

    def _execution(self, step: Step, review: Review) -> CommandExecution:
        moved = moved_since(step.ticket, step.number, review)
        keeper, known = self.exit_watch.keeper, self.contexts.contracts
        parts = (self.upstream, self._journal, self.pause, moved, known, keeper)
        return CommandExecution(step, review, *parts, team=self.team)

    async def _cleared(self, step: Step) -> Review:
        """Review again and, where it passes, write the intent. What may add risk does so one at a time.

        Two orders that passed side by side could break a limit together. An exit waits for nobody, and is one if it was
        shown to only reduce: where it would add by now, its intent is written on nothing that has moved meanwhile.
        """
        # What the first of several sends changes what the next is judged on.
        (held, *_) = (step.number == 0 and self._reviews.take(step.ticket)) or (None,)
        if is_urgent(step.command):
            held = held or await self._unread_exit(step)
        elif not step.only_reduces:
            async with self._one_at_a_time:
                return await self._reviewed_again(step, held)
        return await self._reviewed_again(step, held)

    async def _unread_exit(self, step: Step) -> Review | None:
        """An exit that leaves all goes whatever the book has become: after a yes, too, it waits for no reading."""
        unread = await self.contexts.review_unread(step.command)
        review = still_approved(unread, step.ticket, step.number) if unread else None
        return review if review and review.passes else None

    async def _reviewed_again(self, step: Step, held: Review | None, book: BookReads | None = None) -> Review:
        """Write the intent on a review that is still true when it is written: another process may send meanwhile.

        What cancels goes whatever others have sent meanwhile. What leaves looks once more first, so that of two exits
        at the same moment the second sees the first, and then goes too.
        """
        if held and await self._journal.intent_if_still_true(step, held):
            return held
        warm = await self.warm.take(step.ticket)
        warm = still_approved(warm, step.ticket, step.number) if warm else None
        if warm and warm.passes and await self._journal.intent_if_still_true(step, warm):
            return warm
        # Where somebody was asked, no fact of the review that sends may be older than the question.
        asked_at = step.ticket.created_at if step.ticket.is_asked else None
        for attempt in range(_MOST_REVIEWS):
            anew = await self.contexts.review(step.command, book, asked_at=asked_at)
            review = still_approved(anew, step.ticket, step.number)
            if not review.passes:
                return review
            if not review.effect.sends_orders and (attempt or not leaves_position(step.command)):
                await self._journal.intent(step, review)
                return review
            if await self._journal.intent_if_still_true(step, review):
                return review
        return overtaken(review, _MOST_REVIEWS)


def _each_once(commands: Command | Sequence[Command]) -> tuple[Command, ...]:
    asked = tuple(commands) if isinstance(commands, Sequence) else (commands,)
    if not asked or len(set(map(fingerprint, asked))) < len(asked):
        raise BadRequest("name what is to be done, each thing once")
    return asked
