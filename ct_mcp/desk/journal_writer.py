"""Writes the journal. Before the wire a failure stops everything; after it the order is out, and that is told."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import dropwhile

from ct_mcp.desk.circuit_breaker import SLIP, describe_halt, halt_if_due
from ct_mcp.desk.membership import Membership
from ct_mcp.desk.pending import may_fill_detail, orders_over_before, starts_of
from ct_mcp.desk.ports import Store
from ct_mcp.desk.recognition import named_before
from ct_mcp.domain.approval import Approval, Ticket
from ct_mcp.domain.commands import Command, summarize, wish
from ct_mcp.domain.lease import NOBODY, Holder
from ct_mcp.domain.watch import Watch
from ct_mcp.errors import Halted, OrderDenied, StoreFailed, TakenOver
from ct_mcp.guard.review import Result, Review
from ct_mcp.store.journal import ONLY_REDUCES, Entry, EntryKind, NewEntry
from ct_mcp.text import one_line

# Far more than is sent in a day by hand.
_LOOK_BACK = 200
_NOTES = 60
_TELL = "tell the person the reason"
# Whoever is answered later has slept, and was answered of another time.
_ANSWERED_WITHIN = timedelta(seconds=3)


@dataclass(frozen=True, slots=True)
class Step:
    """One command of a spent ticket, by its place in the ticket.

    ``holder`` is who holds the lease where a watch or the keeper of exits has made it, nobody where that is who sent
    the entry, and None where the person said yes to it.
    """

    ticket: Ticket
    number: int = 0
    holder: Holder | None = None

    @property
    def command(self) -> Command:
        """What is sent."""
        return self.ticket.sent(self.number)

    @property
    def own_id(self) -> str:
        """The order id that goes out with it."""
        return self.ticket.own_id_of(self.number)

    @property
    def is_of_watch(self) -> bool:
        """Whether a watch has made its ticket."""
        return self.ticket.request is not None and self.ticket.request.items[self.number].must_reduce

    @property
    def only_reduces(self) -> bool:
        """Whether it was judged to only reduce, as the ticket was made."""
        return self.ticket.request is not None and bool(self.ticket.request.items[self.number].only_reduces)

    @property
    def simulated(self) -> bool:
        """Whether no real money can move in its account, as it was when the person was asked."""
        request = self.ticket.request
        return self.ticket.simulated if request is None else request.items[self.number].simulated

    @property
    def summary(self) -> str:
        """This command in one line, ``SIM  Sim101  BUY 2 ES 12-26 MARKET``."""
        return summary_line((self.ticket.meant(self.number),), simulated=self.simulated)


def summary_of(reviews: Sequence[Review]) -> str:
    """Write what was reviewed as one line that a person can read."""
    commands = [review.effect.meant for review in reviews]
    return summary_line(commands, simulated=all(review.simulated for review in reviews))


def summary_line(commands: Sequence[Command], *, simulated: bool) -> str:
    """Write commands as one line, ``SIM  Sim101  BUY 2 ES 12-26 MARKET``."""
    return one_line(f"{'SIM' if simulated else 'LIVE'}  {summarize(commands)}")


class JournalWriter:
    """The desk's pen. What it writes never holds the token, nor the phrase that the person must type.

    ``being_told`` are orders of ours that were read closed and that only remain to be written down: nothing of them may
    still come.
    """

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self.clock = clock
        self.being_told: set[str] = set()

    async def denied(self, reviews: Sequence[Review], reason: str, step: Step | None = None) -> tuple[str, ...]:
        """Write down a rule's no, with all reasons and figures; gives what to tell where this no halted trading."""
        worst = next((review for review in reviews if not review.simulated), reviews[0])
        entry = NewEntry(
            EntryKind.DENIED,
            summary_of(reviews),
            account=worst.account,
            ticket_id=step.ticket.ticket_id if step else None,
            own_id=step.own_id if step else None,
            reason=reason,
            detail={
                "denials": [str(denial) for review in reviews for denial in review.denials],
                "codes": list(dict.fromkeys(denial.code for review in reviews for denial in review.denials)),
                **({SLIP: True} if step is not None and step.holder is not None else {}),
            },
        )
        await self._store.append(entry, self.clock())
        halt = await halt_if_due(self._store, self.clock())
        return () if halt is None else (describe_halt(halt),)

    async def ticket(self, kind: EntryKind, ticket: Ticket, detail: Mapping[str, object]) -> None:
        """Write down a step in the life of a ticket: declined, expired, suspicious."""
        await self._store.append(_of_ticket(kind, ticket, detail), self.clock())

    async def intent(self, step: Step, review: Review) -> None:
        """Write down what is about to be sent: on disk before the wire, so that a crash leaves a trace.

        Raises:
            StoreFailed: It could not be written, so nothing may be sent.
            TakenOver: It is of a watch or of exits, and not ours to send any more.
        """
        if step.holder is None:
            await self._store.append(_intent(step, review), self.clock())
        else:
            await self._store.append_intent(_intent(step, review), self.clock(), None, holder=step.holder)

    async def still_ours(self, step: Step) -> None:
        """Pass over what is still ours to send, right before the wire.

        Raises:
            TakenOver: It is of a watch or of exits, and is not any more.
        """
        if step.holder is None:
            return
        asked_at = self.clock()
        await self._store.check_turn(step.ticket.ticket_id, step.holder, asked_at)
        if abs(self.clock() - asked_at) >= _ANSWERED_WITHIN:
            raise TakenOver("this ct-mcp slept while it asked whether that is still its to send")

    async def not_stopped(self, step: Step, review: Review, team: Membership | None) -> None:
        """Right before the wire: pass over what opens if nobody has stopped it since it was reviewed.

        Raises:
            Halted, OrderDenied: A person or the team halted, the account was disarmed, the day's loss was reached.
            StoreFailed: It cannot be looked up, so it may not be sent.
        """
        before, account = review.context, step.command.account
        state = await self._store.recall(account, wish(step.command), self.clock())
        if state.halt is not None:
            raise Halted(describe_halt(state.halt))
        if state.day_loss_reached and not before.day_loss_reached:
            raise OrderDenied(f"the day's loss of {account} was reached while this waited", next_step=_TELL)
        if before.armed_until is not None and state.armed_until is None:
            raise OrderDenied(f"{account} is not armed any more", next_step=_TELL)
        if team is not None:
            await team.last_look(before.team)

    async def intent_if_still_true(self, step: Step, review: Review) -> bool:
        """Like `intent`, unless somebody, in whatever process, has moved what the review read. Then False: not written.

        Raises:
            StoreFailed, TakenOver: As in `intent`.
        """
        of_all, seen = review.context.elsewhere is not None, review.context.journal_position
        write = self._store.append_intent_of_all if of_all else self._store.append_intent
        return await write(_intent(step, review), self.clock(), seen, holder=step.holder or NOBODY) is not None

    async def outstanding_beside(self, step: Step) -> tuple[Entry, ...] | None:
        """Give the other intents of the account whose outcome is not known, of any process; None if not readable."""
        try:
            outstanding = await self._store.outstanding(step.command.account)
        except StoreFailed:
            return None
        known = {step.own_id, *self.being_told}
        return tuple(entry for entry in outstanding.entries if entry.own_id not in known)

    async def orders_named_before(self, step: Step) -> frozenset[str]:
        """Give the orders of earlier intents by the service's ids; none where the journal cannot be read."""
        try:
            return named_before(await self._store.entries_of_orders(_LOOK_BACK, step.command.account), step.own_id)
        except StoreFailed:
            return frozenset()

    async def orders_over_before(self, step: Step) -> frozenset[str]:
        """Give the orders that were over before, or whose fills were told; none where the journal cannot be read."""
        try:
            return orders_over_before(
                await self._store.entries_of_orders(_LOOK_BACK, step.command.account), step.own_id
            )
        except StoreFailed:
            return frozenset()

    async def cry_of(self, step: Step) -> str:
        """Give what the journal says of an entry since it stood unprotected; nothing where it never did."""
        try:
            entries = await self._store.entries(_NOTES, ticket_id=step.ticket.ticket_id)
        except StoreFailed:
            return ""
        notes = [each for each in reversed(entries) if each.kind in (EntryKind.UNPROTECTED, EntryKind.PROTECTED)]
        since = dropwhile(lambda each: each.kind is EntryKind.PROTECTED, notes)
        return "; ".join(str(each.detail.get("said", each.summary)) for each in since)

    async def watch_set(self, step: Step, watch: Watch, most: int) -> None:
        """Keep the watch that a step asks for, with what ends its intent, in one transaction.

        Raises:
            NeedsRoom: So many watch already.
        """
        words = f"{watch.account}  watch {watch.watch_id}: {watch.words}"
        ticket_id, told = step.ticket.ticket_id, {"status": "set", "watch": watch.watch_id, "reasons": [words]}
        made = NewEntry(EntryKind.WATCH_SET, words, watch.account, ticket_id, detail={"watch": watch.watch_id})
        ended = NewEntry(EntryKind.ANSWERED, step.summary, watch.account, ticket_id, step.own_id, detail=told)
        await self._store.open_watch(watch, most, (made, ended), self.clock())

    async def after_the_wire(self, kind: EntryKind, step: Step, detail: Mapping[str, object]) -> tuple[str, ...]:
        """Write down what came back. A journal that fails now is a warning to the person, never a changed outcome."""
        entry = NewEntry(
            kind,
            step.summary,
            account=step.command.account,
            ticket_id=step.ticket.ticket_id,
            own_id=step.own_id,
            detail=detail,
        )
        try:
            await self._store.append(entry, self.clock())
        except StoreFailed as failure:
            return (f"the journal could not be written after sending: {failure.what}",)
        return ()


def proposed(ticket: Ticket, reviews: Sequence[Review]) -> NewEntry:
    """Say that a ticket waits for a yes; with the rules that it passed, for the person who is asked."""
    asked = ticket.approval is not Approval.NONE
    rules = {"rules": [rule for review in reviews for rule in _passed(review)]} if asked else {}
    entry = _of_ticket(EntryKind.PROPOSED, ticket, {"approval": ticket.approval, **rules})
    return replace(entry, reason=one_line(ticket.reason))


def _of_ticket(kind: EntryKind, ticket: Ticket, detail: Mapping[str, object]) -> NewEntry:
    account = ", ".join(ticket.accounts)
    return NewEntry(kind, ticket.summary, account, ticket.ticket_id, ticket.own_id, detail=detail)


def _intent(step: Step, review: Review) -> NewEntry:
    """``opens`` says that it counts as an order sent, per minute and per day; `ONLY_REDUCES` that it opens nothing."""
    effect = review.effect
    return NewEntry(
        EntryKind.INTENT,
        step.summary,
        account=step.command.account,
        ticket_id=step.ticket.ticket_id,
        own_id=step.own_id,
        fingerprint=wish(step.command),
        opens=effect.sends_orders and not step.is_of_watch,
        detail={
            **may_fill_detail(effect),
            **({ONLY_REDUCES: True} if effect.only_reduces else {}),
            "position_before": starts_of(effect, review.context),
            "rules": _passed(review),
            "findings": [str(finding) for finding in review.findings],
        },
    )


def _passed(review: Review) -> list[str]:
    return [f"{one.rule.title}: {one.figures}" for one in review.results if one.result is Result.PASSED]
