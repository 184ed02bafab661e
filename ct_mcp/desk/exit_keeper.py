"""Keeps what was promised with an entry: its stop, then its targets, as it fills, and what happens where that fails.

How it works; the numbers stand again at the blocks that do it.

 1. Before an entry is sent, the duty is in the store. Whichever process is alive fulfils it: the one that sent the
    entry right away, and afterwards the one that holds the lease (`desk/exit_watch.py`), also after a restart.
 2. What has filled and has no exits yet gets a ticket of its own, spent from the start and made once: the store takes
    it only from whoever knew all tickets before. It stands under the yes to the entry, which showed its exits.
 3. The stop goes first, then the target in one OCO group with it. Each is reviewed like every command, and may only
    reduce. Where a rule denies it for what may pass in a moment (a fill that is not listed yet), it is tried anew: a
    ticket whose command was never written down as about to be sent has sent nothing, and never will.
 4. A stop that is refused, or does not stand when the time is up, is looked for once more. What is bare then is told in
    the journal, and closed where the person was told so; in any case that is the first word of the answer.

An exit never widens anything, so it needs no further yes; a whole exit that is sent at the end always goes.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

import anyio

from ct_mcp.desk.context import ContextBuilder
from ct_mcp.desk.exit_state import ExitPart, ExitState, read_part
from ct_mcp.desk.exit_tickets import exit_ticket, exits_of, needs_fill_price
from ct_mcp.desk.journal_writer import Step
from ct_mcp.desk.outcome import Kept, Outcome, Status
from ct_mcp.desk.polling import AccountPoller, AccountState, Pause, has_come_to_rest
from ct_mcp.desk.ports import Store, Upstream
from ct_mcp.desk.stops import cover_of
from ct_mcp.desk.story import story_of
from ct_mcp.domain.approval import Ticket
from ct_mcp.domain.bracket import Bracket, shares
from ct_mcp.domain.commands import (
    CancelOrder,
    ClosePosition,
    Command,
    Flatten,
    PlaceOrder,
    price_terms,
)
from ct_mcp.domain.duty import Duty, DutyPart, DutyState
from ct_mcp.domain.market import Contract
from ct_mcp.domain.order import Order
from ct_mcp.errors import CtMcpError
from ct_mcp.guard.denial import DenialCode
from ct_mcp.guard.policy import Policy
from ct_mcp.store.journal import EntryKind, NewEntry

_TRY_EVERY_SECONDS = 0.25
_MOST_LOOKS = 6
_MOST_TICKETS = 20
"""So many tries at the exits of one entry: a rule that denies again and again is told, and not asked for ever."""


@dataclass(slots=True)
class _Try:
    """What is known while the exits of one fill are being placed."""

    duty: Duty
    entry: Order
    since: datetime
    parts: Sequence[ExitPart] = ()
    waited: float = 0.0
    why: str = ""
    is_final: bool = False
    placed: list[str] = field(default_factory=list)
    protected_after: float | None = None
    warnings: list[str] = field(default_factory=list)

    @property
    def bracket(self) -> Bracket:
        """What was promised."""
        assert self.duty.order.bracket is not None  # noqa: S101  # a duty is made for an order with one
        return self.duty.order.bracket


@dataclass(frozen=True, slots=True)
class Road:
    """How one command of a spent ticket gets to the wire, and how time passes."""

    send: Callable[[Step], Awaitable[Outcome]]
    clock: Callable[[], datetime]
    pause: Pause


class ExitKeeper:
    """Fulfils the duties of one desk."""

    def __init__(self, upstream: Upstream, store: Store, contexts: ContextBuilder, policy: Policy, road: Road) -> None:
        self._upstream = upstream
        self._store = store
        self._contexts = contexts
        self._policy = policy
        self._clock = road.clock
        self._pause = road.pause
        self._send = road.send
        self.poller = AccountPoller(upstream.urgent(), road.pause)
        self._under_way: set[tuple[str, int]] = set()
        self._told: set[tuple[str, int]] = set()
        self._void: set[str] = set()

    # 1: the duty

    async def begin(self, step: Step, order: PlaceOrder) -> Duty:
        """Write down what the entry of a step is owed, before it is sent.

        Raises:
            StoreFailed: It could not be written, so the entry may not be sent.
        """
        duty = Duty(step.ticket.ticket_id, step.number, step.own_id, order, self._clock())
        await self._store.open_duty(duty)
        return duty

    async def end(self, duty: Duty, words: str) -> None:
        """Nothing is owed any more."""
        await self._turn(duty, DutyState.OVER, words)

    async def _turn(self, duty: Duty, state: DutyState, words: str) -> None:
        await self._store.turn_duty(duty, state, _note(duty, EntryKind.PROTECTED, words), self._clock())

    async def follow(self, duty: Duty, entry: Order) -> tuple[Order, Kept]:
        """Give what fills its exits until the entry has come to rest; what fills later is kept by the watch."""
        key, kept = (duty.ticket_id, duty.number), Kept()
        self._under_way.add(key)
        try:
            for _ in range(_MOST_LOOKS):
                told = await self._keep(duty, entry)
                kept = replace(told, lines=(*kept.lines, *told.lines), warnings=(*kept.warnings, *told.warnings))
                if kept.is_over or kept.alarm or has_come_to_rest(entry) or not entry.filled:
                    break
                before, entry = entry, await self._more_of(entry)
                if entry.filled == before.filled:
                    break
        finally:
            self._under_way.discard(key)
        return entry, kept

    async def _more_of(self, entry: Order) -> Order:
        """Look until more of it has filled, or it is over."""

        def has_moved(order: Order) -> bool:
            return order.filled > entry.filled or has_come_to_rest(order)

        return await self.poller.order(entry.account, entry.order_id, has_moved) or entry

    async def keep(self, duty: Duty, entry: Order) -> Kept:
        """Do the same for an entry that was just read, unless somebody here is about it."""
        key = duty.ticket_id, duty.number
        if key in self._under_way:
            return Kept()
        self._under_way.add(key)
        try:
            return await self._keep(duty, entry)
        finally:
            self._under_way.discard(key)

    async def _keep(self, duty: Duty, entry: Order) -> Kept:
        if not entry.filled:
            if entry.is_closed:
                await self.end(duty, f"nothing of {entry.action} {entry.quantity} {entry.instrument} filled")
            return Kept(is_over=entry.is_closed)
        self._contexts.saw_filled(entry.account, entry.order_id, entry.filled)
        it = _Try(duty, entry, self._clock())
        while (kept := await self._round(it)) is None:
            continue
        return kept

    async def _round(self, it: _Try) -> Kept | None:
        """Look at what has exits and place what is missing; None where there is more to do, or to wait for."""
        it.duty = await self._fresh(it.duty)
        if it.duty.state is DutyState.OVER:
            return Kept(is_over=True)
        parts = it.parts = [await self._read(part) for part in it.duty.parts if part.contracts]
        bare = it.entry.filled - sum(each.part.contracts for each in parts if each.state is not ExitState.NEVER_SENT)
        if refused := next((each for each in parts if each.state is ExitState.REFUSED), None):
            it.why, it.is_final = refused.words, True
        elif bare > 0:
            it.why = ""
            await self._place(it, bare, it.entry.filled - bare)
            if not it.why:
                return None
        elif any(each.state is ExitState.SENDING for each in parts):
            return Kept(("another ct-mcp is just placing its exits",))  # or was, and is gone: the watch looks again
        elif all(each.state is not ExitState.IN_DOUBT for each in parts):
            await self._place_targets(it)
            return await self._kept(it)
        if it.is_final or self._is_late(it):
            return await self._failed(it)
        await self._pause(_TRY_EVERY_SECONDS)
        it.waited += _TRY_EVERY_SECONDS
        return None

    def _is_late(self, it: _Try) -> bool:
        """By the clock, or by what was waited: a clock that is set back does not prolong it."""
        passed = (self._clock() - it.since).total_seconds()
        return max(passed, it.waited) >= it.bracket.deadline_seconds

    async def _fresh(self, duty: Duty) -> Duty:
        known = await self._store.duties(duty.account)
        found = (each for each in known if (each.ticket_id, each.number) == (duty.ticket_id, duty.number))
        return next(found, replace(duty, state=DutyState.OVER))

    async def _read(self, part: DutyPart) -> ExitPart:
        return await read_part(self._store, part, self._clock(), is_void=part.ticket_id in self._void)

    # 2, 3: place what is missing

    async def _place(self, it: _Try, bare: int, covered: int) -> None:
        """Place the exits of the next share; ``it.why`` says why that did not work."""
        share = shares(it.bracket, covered, covered + bare)[0]
        contract, fill = await self._contract(it.duty), it.entry.average_fill_price
        if contract is None or (fill is None and needs_fill_price(it.duty.order)):
            it.why = "the price of the fill, or the tick of the contract, is not known"
            return
        commands = exits_of(it.duty.order, share, fill or Decimal(0), contract)
        ticket = await self._ticket(it.duty, commands, share.contracts)
        if ticket is not None:  # else somebody else was quicker: look again
            await self._send_exits(it, ticket, commands)

    async def _send_exits(self, it: _Try, ticket: Ticket, exits: Sequence[PlaceOrder]) -> None:
        for number, command in enumerate(exits):
            outcome = await self._sent(Step(ticket, number))
            said = "; ".join(filter(None, (outcome.status, *outcome.reasons)))
            if outcome.status in (Status.WORKING, Status.FILLED):
                it.placed.append(exits_line(command))
                it.protected_after = self._seconds(it) if number == 0 else it.protected_after
            elif number:
                it.warnings.append(f"the target is not seen standing, the stop does: {said}")
            else:
                it.why = said
                if outcome.status is Status.DENIED:
                    self._void.add(ticket.ticket_id)
                    it.is_final = bool(_NEVER_PASSES & outcome.codes) or len(it.duty.parts) >= _MOST_TICKETS
                return

    async def _place_targets(self, it: _Try) -> None:
        """Place the targets of those who were gone between stop and target; each once, as everything here."""
        parts = [each for each in it.parts if each.state in (ExitState.STANDS, ExitState.IN_DOUBT)]
        tickets = [await self._store.ticket(part.ticket_id) for part in it.duty.parts]
        alone = {ticket.commands[0] for ticket in tickets if ticket is not None and len(ticket.commands) == 1}
        for each in parts:
            ticket = await self._store.ticket(each.part.ticket_id)
            if ticket is None or len(ticket.commands) < 2 or ticket.commands[1] in alone or each.is_young:
                continue
            if (await story_of(self._store, ticket)).part(1, self._clock()) is None:
                for outcome in await self.send_under(it.duty, ticket.commands[1:]):
                    said = "; ".join((outcome.status, *outcome.reasons))
                    it.warnings.append(f"the target, which had not been sent before: {said}")

    async def _sent(self, step: Step) -> Outcome:
        """Send one command, whole once it was begun; what certainly never left reads as denied."""
        try:
            with anyio.CancelScope(shield=True):
                outcome = await self._send(step)
        except CtMcpError as error:
            return Outcome(Status.DENIED, step.summary, step.simulated, reasons=(error.what,))
        return outcome

    async def _ticket(
        self, duty: Duty, commands: Sequence[Command], contracts: int, cancels: Sequence[Order] = ()
    ) -> Ticket | None:
        """Keep the ticket of some commands under the yes to the entry; None where somebody else was quicker."""
        under = await self._store.ticket(duty.ticket_id)
        if under is None:  # pragma: no cover  # a ticket is never removed
            return None
        least = self._policy.exits_simulated if under.simulated else self._policy.exits_live
        ticket = exit_ticket(under, commands, least, self._clock(), cancels)
        part = DutyPart(ticket.ticket_id, contracts, self._clock())
        return ticket if await self._store.add_part(duty, ticket, part) else None

    async def _contract(self, duty: Duty) -> Contract | None:
        instrument = duty.order.instrument
        if known := self._contexts.contracts.get(instrument):
            return known
        try:
            quotes = await self._upstream.urgent().quotes([str(instrument)])
        except CtMcpError:
            return None
        return self._contexts.contract_before(quotes[0]) if quotes else None

    async def _kept(self, it: _Try) -> Kept:
        """All that has filled has its exits."""
        words = ""
        if it.placed:
            seconds = self._seconds(it) if it.protected_after is None else it.protected_after
            words = f"protected {seconds:.1f} s after the fill was seen: {'; '.join(it.placed)}"
            await self._store.append(_note(it.duty, EntryKind.PROTECTED, words), self._clock())
        if it.entry.is_closed:
            await self._turn(it.duty, DutyState.STANDING, "all that filled has its exits")
        return Kept((words,) if words else (), tuple(it.warnings), is_over=it.entry.is_closed)

    def _seconds(self, it: _Try) -> float:
        return max((self._clock() - it.since).total_seconds(), it.waited)

    # 4: it did not work in time

    async def _failed(self, it: _Try) -> Kept:
        """Look once more; tell what is bare, and close it where the person was told so."""
        order, warnings = it.entry, tuple(it.warnings)
        why = it.why or "whether the stop stands was not seen in time"
        if it.bracket.stop_loss is None:
            return Kept(warnings=(*warnings, f"the target is not seen standing: {why}"), is_over=order.is_closed)
        book = await self.poller.book_now(order.account, order.instrument)
        bare = order.filled if book is None else self._bare(book, order)
        if not bare:
            return await self._not_needed(it, book)
        what = f"{bare} of the {order.filled} {order.instrument} filled stand without a stop: {why}"
        key = it.duty.ticket_id, it.duty.number
        if key not in self._told:
            self._told.add(key)
            note = _note(it.duty, EntryKind.UNPROTECTED, f"UNPROTECTED: {what}")
            await self._store.append(note, self._clock())
        if not it.bracket.closes_if_unprotected:
            if order.is_closed:
                await self._turn(it.duty, DutyState.STANDING, f"told, and not closed: {what}")
            return Kept(warnings=warnings, alarm=f"UNPROTECTED: {what}", is_over=order.is_closed)
        left = await self._leave(it, book, bare)
        said = "; ".join(filter(None, (left.status, *left.reasons, *left.warnings, left.next_step)))
        if left.status in (Status.FLAT, Status.FILLED):
            await self.end(it.duty, f"closed, since it could not be protected: {why}")
            alarm = f"CLOSED, since the stop could not be placed: {what}; {said}"
            return Kept(warnings=warnings, alarm=alarm, is_over=True)
        done = "CLOSED, and what was sent may still come" if left.position_after == 0 else "UNPROTECTED"
        return Kept(warnings=warnings, alarm=f"{done}: {what}; closing it at the market: {said}")

    def _bare(self, book: AccountState, order: Order) -> int:
        """Contracts of this entry that no stop is seen behind; none where the position is gone."""
        held = next((each for each in book.positions if each.net * order.action.sign > 0), None)
        return 0 if held is None else min(order.filled, cover_of(held, book.orders).bare)

    async def _not_needed(self, it: _Try, book: AccountState | None) -> Kept:
        is_held = book is not None and book.net * it.entry.action.sign > 0
        words = "a stop stands behind it" if is_held else "the position is gone already"
        if is_held:
            await self._place_targets(it)
        if it.entry.is_closed:
            await self._turn(it.duty, DutyState.STANDING, words)
        return Kept((words,), tuple(it.warnings), is_over=it.entry.is_closed)

    async def _leave(self, it: _Try, book: AccountState | None, bare: int) -> Outcome:
        """Close what is bare at the market, with what is left of the entry; a part only beside what is protected."""
        order = it.entry
        if book is None or bare >= abs(book.net):
            commands: tuple[Command, ...] = (Flatten(order.account, order.instrument),)
        else:
            rest = () if order.is_closed else (CancelOrder(order.account, order.order_id),)
            commands = (*rest, ClosePosition(order.account, order.instrument, bare))
        outcomes = await self.send_under(it.duty, commands, [order])
        nobody = Outcome(Status.DENIED, "", simulated=False, reasons=("another process is about it",))
        return outcomes[-1] if outcomes else nobody

    async def send_under(self, duty: Duty, commands: Sequence[Command], cancels: Sequence[Order] = ()) -> list[Outcome]:
        """Send what leaves, or what is left over, under the yes to an entry; nothing where somebody else has begun."""
        duty = await self._fresh(duty)
        if len(duty.parts) >= _MOST_TICKETS:
            return []
        ticket = await self._ticket(duty, commands, 0, cancels)
        return [] if ticket is None else [await self._sent(Step(ticket, number)) for number in range(len(commands))]


def _note(duty: Duty, kind: EntryKind, words: str) -> NewEntry:
    summary = f"{duty.account}  {words}"
    detail = {"entry": duty.own_id}
    return NewEntry(kind, summary, account=duty.account, ticket_id=duty.ticket_id, detail=detail)


def exits_line(command: PlaceOrder) -> str:
    """Write an exit for the answer: ``stop loss 2 at 6390.25``."""
    name = "stop loss" if command.order_type.needs_stop_price else "target"
    return f"{name} {command.quantity} at {price_terms(command)}"


_NEVER_PASSES = frozenset(
    {DenialCode.STOP_ON_WRONG_SIDE, DenialCode.PRICE_INVALID, DenialCode.PRICE_NOT_POSITIVE, DenialCode.PRICE_OFF_TICK}
)
"""What a moment does not mend: the market has passed the stop. A fill that is not listed yet is none of it."""
