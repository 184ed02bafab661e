"""Keeps what was promised with an entry: its stop, then its targets, as it fills, and what happens where that fails.

How it works; the numbers stand again at the blocks that do it.

 1. Before an entry is sent, the duty is in the store. Whichever process is alive fulfils it: the one that sent the
    entry right away, and afterwards the one that holds the lease (`desk/exit_watch.py`), also after a restart.
 2. What has filled and has no exits yet gets a ticket of its own, spent from the start and made once: the store takes
    it only from whoever knew all tickets before, and it leaves within seconds or never (`store/parts.py`). It stands
    under the yes to the entry, which showed its exits.
 3. The stop goes first, then the target in one OCO group with it. Each is reviewed like every command, and may only
    reduce. Where a rule denies it for what may pass in a moment (a fill that is not listed yet), it is tried anew: a
    ticket whose command was never written down as about to be sent has sent nothing, and never will.
 4. A stop that is refused, or does not stand when the time is up, is looked for once more. What is bare then is told in
    the journal, and closed where the person was told so; in any case that is the first word of the answer. Where that
    has not worked, the watch tries again, each time after twice the time. A position that is not listed right after a
    fill is not taken to be gone: that is believed of a second source, and after a while. Nobody else's contracts or
    orders go with it, and a fill of long ago may be somebody else's by now (`desk/exit_claims.py`).

An exit never widens anything, so it needs no further yes; a whole exit that is sent at the end always goes.
"""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal

import anyio

from ct_mcp.desk.context import ContextBuilder
from ct_mcp.desk.entry_count import EntryCount
from ct_mcp.desk.exit_claims import Claims
from ct_mcp.desk.exit_state import ExitState, OwnIds, have_all_left, not_seen_yet, read_parts
from ct_mcp.desk.exit_tickets import exit_ticket, exits_line, exits_of, needs_fill_price
from ct_mcp.desk.exit_tries import (
    AT_ONCE,
    Rests,
    Road,
    Try,
    as_not_ours,
    book_after_failure,
    contract_of,
    fresh,
    is_held,
    kept_of_leaving,
    key_of,
    leaving,
    never_left,
    note_of,
    said_of,
    targets_unsent,
)
from ct_mcp.desk.journal_writer import Step
from ct_mcp.desk.outcome import Kept, Outcome, Status
from ct_mcp.desk.polling import AccountPoller, AccountState
from ct_mcp.desk.ports import Store, Upstream
from ct_mcp.desk.reconcile import settle_outstanding
from ct_mcp.domain.approval import Ticket
from ct_mcp.domain.bracket import shares
from ct_mcp.domain.commands import Command, PlaceOrder
from ct_mcp.domain.duty import Duty, DutyPart, DutyState
from ct_mcp.domain.lease import NOBODY, Holder
from ct_mcp.domain.order import Order, has_come_to_rest
from ct_mcp.errors import CtMcpError, StoreFailed
from ct_mcp.guard.policy import Policy
from ct_mcp.store.journal import EntryKind

_TRY_EVERY_SECONDS, _MOST_LOOKS = 0.25, 6
_MOST_TICKETS, _MOST_CLOSES = 20, 12  # tries at exits in a row, and at leaving: neither uses up the other
_BY_ANOTHER = Kept(("another ct-mcp is just placing its exits",), is_by_another=True)  # or is gone: look again
_NOT_THERE = frozenset({ExitState.REFUSED, ExitState.SENDING})


class ExitKeeper:
    """Fulfils the duties of one desk; ``looks`` are those that somebody here is about, and under which lease."""

    def __init__(self, upstream: Upstream, store: Store, contexts: ContextBuilder, policy: Policy, road: Road) -> None:
        self._upstream, self._store = upstream, store
        self._contexts, self._policy = contexts, policy
        self._clock = road.clock
        self._pause = road.pause
        self._send, self._holder = road.send, road.holder
        self.poller = AccountPoller(upstream.urgent(), road.pause)
        self._claims = Claims(self.poller, upstream.urgent(), store, lambda: contexts.contracts, road.clock)
        self.looks: dict[tuple[str, int], Holder] = {}
        self._told: dict[tuple[str, int], int] = {}
        self._rests = Rests()
        self._count = EntryCount(upstream.urgent(), self.poller, self._rests, road.clock)
        self._void: set[str] = set()
        self._denials = Counter[tuple[str, int]]()

    # 1: the duty

    async def begin(self, step: Step, order: PlaceOrder, *, stands_alone: bool) -> Duty:
        """Write down what the entry of a step is owed, before it is sent; the watch of this process leaves it to us.

        Raises:
            StoreFailed: It could not be written, so the entry may not be sent.
        """
        duty = Duty(step.ticket.ticket_id, step.number, step.own_id, order, self._clock())
        self._claims.alone |= {key_of(duty)} if stands_alone else set()
        self.looks[key_of(duty)] = NOBODY  # before it can be read: a look of the watch may come while it is written
        try:
            await self._store.open_duty(duty)
        except BaseException:
            self.let_go(duty)
            raise
        return duty

    def let_go(self, duty: Duty) -> None:
        """Leave what is owed from now on to the watch; a look that is about it already goes on."""
        if self.looks.get(key_of(duty)) is NOBODY:
            del self.looks[key_of(duty)]

    async def end(self, duty: Duty, words: str) -> None:
        """Nothing is owed any more."""
        await self._turn(duty, DutyState.OVER, words)

    async def _turn(self, duty: Duty, state: DutyState, words: str) -> None:
        await self._store.turn_duty(duty, state, note_of(duty, EntryKind.PROTECTED, words), self._clock())

    async def follow(self, duty: Duty, entry: Order) -> tuple[Order, Kept]:
        """Give what fills its exits until the entry has come to rest; what fills later is kept by the watch."""
        kept, entry = Kept(), await self._count.of(entry)
        for _ in range(_MOST_LOOKS):
            told = await self._keep(duty, entry)
            kept = replace(told, lines=(*kept.lines, *told.lines), warnings=(*kept.warnings, *told.warnings))
            if kept.is_over or kept.alarm or has_come_to_rest(entry) or not entry.filled:
                break
            before, entry = entry, await self._count.more_of(entry)
            if entry.filled == before.filled:
                break
        return entry, kept

    async def not_seen_yet(self, duty: Duty, filled: int) -> str:
        """Say of what has filled that its stop is not seen, where that is so by now."""
        return await not_seen_yet(self._store, duty.ticket_id, filled, self._clock())

    async def keep(self, duty: Duty, entry: Order) -> Kept:
        """Do the same for an entry that was just read, unless it rests."""
        return Kept() if self.rests(duty) else await self._keep(duty, await self._count.of(entry))

    def rests(self, duty: Duty) -> bool:
        """Say whether what has failed is not tried yet."""
        return self._rests.has(key_of(duty), self._clock())

    async def _keep(self, duty: Duty, entry: Order) -> Kept:
        if not entry.filled:
            self._claims.see(duty, 0)
            if is_over := entry.is_closed and await self._count.is_nothing(duty, entry):
                await self.end(duty, f"nothing of {entry.action} {entry.quantity} {entry.instrument} filled")
            return Kept(is_over=is_over)
        self._contexts.fills.saw(entry.account, entry.order_id, entry.filled)
        it = Try(duty, entry, self._clock())
        while True:
            it.duty = await fresh(self._store, it.duty)
            if it.duty.state is DutyState.OVER:
                return Kept(is_over=True)
            if it.turned_away_with == it.duty.parts:  # nobody was quicker: it is not ours to send any more
                return _BY_ANOTHER
            if (kept := await self._round(it)) is not None:
                return kept

    async def _round(self, it: Try) -> Kept | None:
        """Look at what has exits and place what is missing; None where there is more to do, or to wait for."""
        parts, it.closed, it.closing = await read_parts(self._store, it.duty, self._clock(), self._void)
        it.parts = parts
        bare = it.unplaced
        self._claims.see(it.duty, it.uncovered)
        it.is_ours = bare <= 0 and all(each.state not in _NOT_THERE for each in parts)
        if refused := next((each for each in parts if each.state is ExitState.REFUSED), None):
            it.why, it.is_final = refused.words, True
        elif bare > 0:
            if await self._claims.has_stop_of_another(it):
                return Kept()
            await self._place(it, bare, it.entry.filled - bare)
            if not it.why:
                return None
        elif (kept := await self._all_sent(it)) is not None:
            return kept
        if it.is_final or it.is_late(self._clock()):
            return await self._failed(it)
        await self._pause(_TRY_EVERY_SECONDS)
        it.waited += _TRY_EVERY_SECONDS
        return None

    async def _all_sent(self, it: Try) -> Kept | None:
        """Say that all stand, or that somebody else is about it; None where that is in doubt."""
        if any(each.state is ExitState.SENDING for each in it.parts):
            return _BY_ANOTHER
        if any(each.state is ExitState.IN_DOUBT for each in it.parts):
            return None
        return await self._kept(it, has_all=await self._place_targets(it))

    # 2, 3: place what is missing

    async def _place(self, it: Try, bare: int, covered: int) -> None:
        """Place the exits of the next share; ``it.why`` says why that did not work."""
        it.why = ""
        if it.denied_in_a_row >= _MOST_TICKETS:
            it.why, it.is_final = f"its exits were denied again and again, {_MOST_TICKETS} times", True
            return
        it.entry = await self._count.priced(it.duty, it.entry)
        contract, fill = await contract_of(self._contexts, self._upstream, it.duty), it.entry.average_fill_price
        if contract is None or (fill is None and needs_fill_price(it.duty.order)):
            it.why = "the price of the fill, or the tick of the contract, is not known"
            return
        is_old = self._claims.is_old(it.duty)
        if is_old or self._denials[key_of(it.duty)] >= AT_ONCE:
            bare = await self._claims.needed(it, bare)
        if not bare:
            it.why = "nothing of it is listed that stands without a stop"
            it.is_final = it.is_untried = is_old
            return
        share = shares(it.bracket, covered, covered + bare)[0]
        commands = exits_of(it.duty.order, share, fill or Decimal(0), contract)
        part = DutyPart("", share.contracts, self._clock(), it.unsent)
        ticket = await self._ticket(it.duty, commands, part)
        if ticket is not None:
            await self._send_exits(it, ticket, commands)
        else:  # somebody else was quicker, or the lease is another's by now: look again
            it.turned_away_with = it.duty.parts

    async def _send_exits(self, it: Try, ticket: Ticket, exits: Sequence[PlaceOrder]) -> None:
        for number, command in enumerate(exits):
            outcome = await self._sent(it.duty, ticket, number)
            said = said_of(outcome)
            if outcome.status in (Status.WORKING, Status.FILLED):
                it.placed.append(exits_line(command))
                self._denials.pop(key_of(it.duty), None)
                it.protected_after = it.seconds(self._clock()) if number == 0 else it.protected_after
            elif number:
                it.warnings.append(f"the target is not seen standing, the stop does: {said}")
            else:
                it.why = said
                if outcome.status is Status.DENIED:
                    self._denials[key_of(it.duty)] += 1
                    self._void.add(ticket.ticket_id)
                    it.is_final = it.is_vain(outcome, self._denials[key_of(it.duty)]) or key_of(it.duty) in self._told
                return

    async def _place_targets(self, it: Try) -> bool:
        """Place the targets of those who were gone between stop and target; False where one may still be about it."""
        unsent = await targets_unsent(self._store, it, self._clock())
        for each, target in unsent or ():
            for outcome in await self.send_under(it.duty, (target,), anew=each.unsent):
                it.warnings.append(f"the target, which had not been sent before: {said_of(outcome)}")
        return unsent is not None

    async def _sent(self, duty: Duty, ticket: Ticket, number: int) -> Outcome:
        """Send one command, whole once it was begun."""
        step = Step(ticket, number, self._holder_of(duty))
        try:
            with anyio.CancelScope(shield=True):
                outcome = await self._send(step)
        except CtMcpError as error:
            return never_left(step, error)
        return outcome

    async def _ticket(
        self, duty: Duty, commands: Sequence[Command], part: DutyPart, cancels: Sequence[Order] = ()
    ) -> Ticket | None:
        """Keep the ticket of some commands under the yes to the entry; None where somebody else was quicker."""
        under = await self._store.ticket(duty.ticket_id)
        if under is None:  # pragma: no cover  # a ticket is never removed
            return None
        least = self._policy.exits_simulated if under.simulated else self._policy.exits_live
        ticket = exit_ticket(under, commands, least, self._clock(), cancels)
        part = replace(part, ticket_id=ticket.ticket_id, made_at=self._clock())
        return ticket if await self._store.add_part(duty, ticket, part, self._holder_of(duty)) else None

    def _holder_of(self, duty: Duty) -> Holder:
        """Whoever has sent an entry needs no lease for its exits; later who held it as this look began sends them."""
        return self.looks.get(key_of(duty), Holder(self._holder))

    async def _kept(self, it: Try, *, has_all: bool) -> Kept:
        """What has filled has its stops; the duty is fulfilled once it has its targets as well."""
        stand = it.as_closed or "its stop and targets stand, placed by another ct-mcp"
        words = stand if has_all else _BY_ANOTHER.lines[0]
        if it.placed:
            seconds = it.seconds(self._clock()) if it.protected_after is None else it.protected_after
            what = "placed" if it.bracket.stop_loss is None else "protected"
            words = f"{what} {seconds:.1f} s after the fill was seen: {'; '.join(it.placed)}"
            await self._store.append(note_of(it.duty, EntryKind.PROTECTED, words), self._clock())
        self._rests.end(key_of(it.duty))
        if is_over := it.entry.is_closed and has_all:
            await self._turn(it.duty, DutyState.STANDING, it.as_closed or "all that filled has its exits")
        return Kept((words,), tuple(it.warnings), is_over=is_over)

    # 4: it did not work in time

    async def _failed(self, it: Try) -> Kept | None:
        """Look once more; tell what is bare, and close it where the person was told so."""
        key, order, warnings = key_of(it.duty), it.entry, tuple(it.warnings)
        why = it.why or "whether the stop stands was not seen in time"
        if self._rests.has_failed(key):
            await self._settle(order.account)
        self._rests.begin(key, self._clock())
        if it.bracket.stop_loss is None:
            return Kept(warnings=(*warnings, f"the target is not seen standing: {why}"), is_over=order.is_closed)
        book = await book_after_failure(self.poller, self._claims.upstream, it)
        bare = await self._claims.bare(it, book)
        if not bare:
            return await (self._not_needed(it, book, why) if book and not it.is_theirs else self._not_ours(it, book))
        self._claims.gone_since.pop(key, None)
        if it.is_untried and not it.is_late(self._clock()):  # it is listed by now: its stop comes first
            it.is_final = it.is_untried = False
            return None
        what = f"{bare} of the {order.filled} {order.instrument} filled stand without a stop: {why}"
        if bare > self._told.get(key, 0):
            self._told[key] = bare
            await self._cry(it.duty, f"UNPROTECTED: {what}")
        if not it.bracket.closes_if_unprotected:
            if is_over := order.is_closed and key in self._told:  # what could not be written is told to nobody yet
                await self._turn(it.duty, DutyState.STANDING, f"told, and not closed: {what}")
            return Kept(warnings=warnings, alarm=f"UNPROTECTED: {what}", is_over=is_over)
        left = await self._leave(it, book, bare)
        self._rests.shorten(key, left)
        kept = kept_of_leaving(left, order, book, bare, what)
        return replace(kept, warnings=warnings, is_over=kept.is_over and await self._is_over(it, why))

    async def _settle(self, account: str) -> None:
        """Find out what became of what was sent before: what is on its way, and will never come, blocks the next."""
        with suppress(CtMcpError):
            await settle_outstanding(self._upstream.urgent(), self._pause, self._store, self._clock, account)

    async def _cry(self, duty: Duty, words: str) -> None:
        """Write it down; that this fails keeps nothing from being closed."""
        try:
            await self._store.append(note_of(duty, EntryKind.UNPROTECTED, words), self._clock())
        except StoreFailed:
            self._told.pop(key_of(duty), None)

    async def _is_over(self, it: Try, why: str) -> bool:
        """Note that it was closed, unless more of it has filled, or may; exits that stand are still watched."""
        entry = await self.poller.look(it.entry.account, it.entry.order_id)
        if entry is None or not entry.is_closed or entry.filled != it.entry.filled:
            return False
        await self._turn(it.duty, DutyState.STANDING, f"closed, since it could not be protected: {why}")
        return True

    async def _not_ours(self, it: Try, book: AccountState | None) -> Kept:
        """Say once of what was not seen at once that it is somebody else's by now, or that this is not known."""
        key, cry = key_of(it.duty), as_not_ours(it, book)
        if key not in self._told:
            self._told[key] = 0
            await self._cry(it.duty, cry)
        is_over = book is not None and it.entry.is_closed and self._claims.is_gone(key)
        if is_over:
            await self._turn(it.duty, DutyState.STANDING, "what is held is not taken for what it has filled")
        return Kept(warnings=tuple(it.warnings), alarm=cry, is_over=is_over)

    async def _not_needed(self, it: Try, book: AccountState | None, why: str) -> Kept:
        """A stop stands, or the position is gone; that is not believed at once, since a fill may not be listed yet.

        Where the stop is not ours, it is looked at again: it may go, and then ours is owed still.
        """
        key, words = key_of(it.duty), "a stop stands behind it"
        if not (held := book is not None and is_held(book, it.entry)):
            if not self._claims.is_gone(key):
                unseen = f"{it.entry.filled} filled, no position is listed, and no stop was placed: {why}"
                return Kept(warnings=(*it.warnings, f"{unseen}; it is looked at again while ct-mcp runs"))
            words = "the position is gone already"
        elif not it.is_ours:
            self._rests.end(key)
            self._claims.covered.add(key)
            return Kept((f"{words}, which is not ours; ours is placed once it goes, while ct-mcp runs",))
        has_all = not held or await self._place_targets(it)
        if is_over := it.entry.is_closed and has_all:
            await self._turn(it.duty, DutyState.STANDING, words)
        return Kept((words,), tuple(it.warnings), is_over=is_over)

    async def _leave(self, it: Try, book: AccountState | None, bare: int) -> Outcome:
        """Close what is bare at the market, with what is left of the entry; a part only beside what is protected."""
        commands = leaving(it, book, bare, stands_alone=await self._claims.stands_alone(it, book))
        outcomes = await self.send_under(it.duty, commands, [it.entry], closes=bare)
        why = f"another process is about it, or it was tried {_MOST_CLOSES} times: close it in NinjaTrader"
        return outcomes[-1] if outcomes else Outcome(Status.DENIED, "", simulated=False, reasons=(why,))

    async def send_under(
        self,
        duty: Duty,
        commands: Sequence[Command],
        cancels: Sequence[Order] = (),
        anew: OwnIds = (),
        closes: int = 0,
    ) -> list[Outcome]:
        """Send what leaves, or what is left over, under the yes to an entry; nothing where somebody else has begun."""
        duty = await fresh(self._store, duty)
        if await have_all_left(self._store, duty, _MOST_CLOSES, self._clock()):
            return []
        part = DutyPart("", 0, self._clock(), anew, closes)
        ticket = await self._ticket(duty, commands, part, cancels)
        return [] if ticket is None else [await self._sent(duty, ticket, number) for number in range(len(commands))]
