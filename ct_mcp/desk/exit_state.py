"""Reads from the journal how the first exit of a ticket came out: the stop, where there is one.

Whoever keeps the exits decides on it and on nothing else that was said of them; whoever asks again what became of an
entry hears by it that a stop is owed still.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum, auto
from typing import Protocol

from ct_mcp.desk.journal_writer import Step
from ct_mcp.desk.outcome import Kept, Outcome, Status
from ct_mcp.desk.ports import Store
from ct_mcp.desk.readback import LOOK_AGAIN
from ct_mcp.desk.remedies import TELL_NOW
from ct_mcp.desk.story import story_of
from ct_mcp.desk.together import Part
from ct_mcp.domain.approval import Ticket
from ct_mcp.domain.commands import PlaceOrder
from ct_mcp.domain.duty import SENDING_SECONDS, Duty, DutyPart, DutyState
from ct_mcp.domain.order import Order
from ct_mcp.domain.passing import has_passed
from ct_mcp.errors import StoreFailed
from ct_mcp.guard.effect import is_exit_of_entry
from ct_mcp.store.journal import EntryKind

OwnIds = tuple[str, ...]
"""Order ids of ours."""


class ExitState(Enum):
    """How the first exit of a part came out; NEVER_SENT has sent nothing, and never will."""

    STANDS = auto()
    SENDING = auto()
    NEVER_SENT = auto()
    REFUSED = auto()
    IN_DOUBT = auto()


@dataclass(frozen=True, slots=True)
class ExitPart:
    """One ticket of exits, as the journal tells it.

    ``unsent`` are our order ids of what was never written down as about to be sent.
    """

    part: DutyPart
    state: ExitState
    words: str = ""
    unsent: OwnIds = ()


_STATES = {
    Status.WORKING: ExitState.STANDS,
    Status.FILLED: ExitState.STANDS,
    Status.CHANGED: ExitState.STANDS,
    Status.REJECTED: ExitState.REFUSED,
    Status.CANCELLED: ExitState.REFUSED,
}


async def read_part(store: Store, part: DutyPart, now: datetime, *, is_void: bool) -> ExitPart:
    """Read one; ``is_void`` says that whoever made it knows that nothing of it was sent."""
    ticket = await store.ticket(part.ticket_id)
    parts = [] if ticket is None else await _parts_of(store, ticket, now)
    unsent = tuple(own_id for own_id, each in parts if each is None)
    told = parts[0][1] if parts else None
    if told is None:
        may_go = not is_void and not has_passed(part.made_at, SENDING_SECONDS, now)
        return ExitPart(part, ExitState.SENDING if may_go else ExitState.NEVER_SENT, "", unsent)
    if told.outcome is None:
        return ExitPart(part, ExitState.NEVER_SENT, told.why, unsent)
    words = "; ".join((told.outcome.status, *told.outcome.reasons))
    return ExitPart(part, _STATES.get(told.outcome.status, ExitState.IN_DOUBT), words, unsent)


async def read_parts(
    store: Store, duty: Duty, now: datetime, void: Collection[str] = ()
) -> tuple[list[ExitPart], int, int]:
    """Read the exits of a duty, less what was closed since for want of them, and how many contracts that was.

    The last are those that a close may have taken as well, of which nothing was read.
    """
    exits, closed, closing = list[ExitPart](), 0, 0
    for part in duty.parts:
        if part.contracts:
            exits.append(await read_part(store, part, now, is_void=part.ticket_id in void))
        elif part.closes:
            taken, may_be = await _taken(store, part)
            exits, closed, closing = _without(exits, taken), closed + taken, closing + may_be
    return exits, closed, closing


async def exit_names(store: Store, duty: Duty, now: datetime) -> frozenset[str]:
    """Give the ids by which the exits of a duty may be listed, theirs and ours, and the names of their groups."""
    names = set[str]()
    for part in duty.parts:
        if (ticket := await store.ticket(part.ticket_id)) is None:  # pragma: no cover  # a ticket is never removed
            continue
        for number, (own_id, told) in enumerate(await _parts_of(store, ticket, now)):
            command = ticket.commands[number]
            if is_exit_of_entry(command):
                named = None if told is None or told.outcome is None else told.outcome.order_id
                names |= {name for name in (own_id, named, command.oco_id) if name}
    return frozenset(names)


def _without(exits: Sequence[ExitPart], taken: int) -> list[ExitPart]:
    """Leave out so many contracts of those whose stop is not known to stand, the oldest first."""
    left = list[ExitPart]()
    for each in exits:
        less = 0 if each.state in (ExitState.STANDS, ExitState.NEVER_SENT) else min(taken, each.part.contracts)
        taken, rest = taken - less, each.part.contracts - less
        left += [replace(each, part=replace(each.part, contracts=rest))] if rest else []
    return left


async def _taken(store: Store, part: DutyPart) -> tuple[int, int]:
    """Say how many contracts a close has taken, as it was read, and how many more it may have."""
    ticket = await store.ticket(part.ticket_id)
    story = () if ticket is None else (await story_of(store, ticket)).entries
    own_id = None if ticket is None else ticket.own_id_of(len(ticket.commands) - 1)
    told = [entry.detail for entry in story if entry.own_id == own_id]
    if any(_reads_closed(each) for each in told):
        return part.closes, 0
    is_open = any(entry.own_id == own_id and entry.kind in (EntryKind.ACCEPTED, EntryKind.UNKNOWN) for entry in story)
    is_refused = any("refused" in each or each.get("status") == Status.REJECTED for each in told)
    filled = [number for each in told if isinstance(number := each.get("filled"), int)]
    taken = min(part.closes, max(filled, default=0))
    return taken, part.closes - taken if is_open and not is_refused else 0


def _reads_closed(detail: Mapping[str, object]) -> bool:
    is_closed = detail.get("status") in (Status.FLAT, Status.FILLED) or detail.get("position_after") == 0
    return is_closed or detail.get("positions") == []


async def have_all_left(store: Store, duty: Duty, most: int, now: datetime) -> bool:
    """Say whether so many of the last tickets that were to leave were sent: what was denied uses up no try."""
    tried = [part for part in duty.parts if not part.contracts][-most:]
    return len(tried) == most and all([await _has_left(store, part, now) for part in tried])


async def _has_left(store: Store, part: DutyPart, now: datetime) -> bool:
    """Say whether anything of a ticket was written down as about to be sent, and not as never sent."""
    ticket = await store.ticket(part.ticket_id)
    parts = [] if ticket is None else await _parts_of(store, ticket, now)
    return not parts or any(told is not None and told.outcome is not None for _, told in parts)


async def _parts_of(store: Store, ticket: Ticket, now: datetime) -> list[tuple[str, Part | None]]:
    """Tell each command of a ticket by our order id of it."""
    story = await story_of(store, ticket)
    return [(ticket.own_id_of(number), story.part(number, now)) for number in range(len(ticket.commands))]


class KeepsExits(Protocol):
    """Who gives an entry the exits that were promised with it (`desk/exit_keeper.py`, which sends by the desk)."""

    async def begin(self, step: Step, order: PlaceOrder, *, stands_alone: bool) -> Duty: ...
    async def end(self, duty: Duty, words: str) -> None: ...
    async def follow(self, duty: Duty, entry: Order) -> tuple[Order, Kept]: ...
    def let_go(self, duty: Duty) -> None: ...
    async def not_seen_yet(self, duty: Duty, filled: int) -> str: ...


async def with_stops_owed(
    told: Outcome, store: Store, ticket: Ticket, cry_of: Callable[[Step], Awaitable[str]], now: datetime
) -> Outcome:
    """Say first of all, of an entry that has filled, that the stop which goes with it is not seen yet.

    What was cried of it by now is said in its place (``cry_of``). What was told of the entry itself may be older: a
    look may settle it while whoever sent it still waits for its stop.
    """
    bracket = getattr(ticket.commands[0], "bracket", None)
    if len(ticket.commands) > 1 or bracket is None or not told.filled_quantity or told.alarm:
        return told
    alarm = await cry_of(Step(ticket)) or await not_seen_yet(store, ticket.ticket_id, told.filled_quantity, now)
    if not alarm:
        return told
    step = "; ".join(dict.fromkeys(filter(None, (TELL_NOW, told.next_step, LOOK_AGAIN))))
    return replace(told, alarm=alarm, next_step=step)


async def not_seen_yet(store: Store, ticket_id: str, filled: int, now: datetime) -> str:
    """Say of how much of an entry no stop is seen that is owed; nothing where all has its own."""
    try:
        owed = [duty for duty in await store.duties() if duty.ticket_id == ticket_id]
        bare = [filled - await _covered(store, duty, now) for duty in owed if _is_stop_owed(duty)]
    except StoreFailed as failed:
        return f"it is NOT KNOWN whether a stop stands behind the {filled} filled: {failed.what}"
    if not bare or bare[0] <= 0:
        return ""
    instrument = owed[0].order.instrument
    return (
        f"a stop is NOT SEEN YET behind {bare[0]} of the {filled} {instrument} filled: ct-mcp places it while it runs"
    )


def _is_stop_owed(duty: Duty) -> bool:
    bracket = duty.order.bracket
    return duty.state is DutyState.OPEN and bracket is not None and bracket.stop_loss is not None


async def _covered(store: Store, duty: Duty, now: datetime) -> int:
    """Contracts of an entry whose stop was seen standing, or that were closed for want of one."""
    parts, closed, _ = await read_parts(store, duty, now)
    return closed + sum(each.part.contracts for each in parts if each.state is ExitState.STANDS)
