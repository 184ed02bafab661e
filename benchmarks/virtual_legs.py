"""Entries with exits: the watch of each process as one more actor, what goes wrong between the legs, what must hold.

Held against the simulator's books, and not against anything that the desk has read:

* no filled contract of an entry with a stop stands without one for longer than the deadline, the next look, and the
  requests that are under way, unless the journal says so. A second in which something is made to go wrong does not
  count, since nobody can know what cannot be read; after a minute in which all goes well there is no such excuse, and
  a stream that is lost is none at any time. The console and `ct-mcp watch` cry what the journal says;
* an answer that tells a fill says in its first words what the journal says of it, or what is bare for too long;
* what is sent under the yes of an entry only reduces (`virtual_judge.py`), and its stops are for no more than filled;
* no exit stands a minute after its position is gone.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from virtual_actors import Outsider, Tell
from virtual_books import Books, Broken
from virtual_network import UNDER_WAY, NetworkFault, Request
from virtual_store import outstanding_since
from virtual_weather import LOOKS
from virtual_world import CALL, Call, Process, World

from ct_mcp.desk.journal_writer import Step
from ct_mcp.desk.outcome import Outcome
from ct_mcp.desk.pending import fills_of
from ct_mcp.domain.commands import PlaceOrder
from ct_mcp.errors import CtMcpError
from ct_mcp.simulator.faults import Fault, StreamFault
from ct_mcp.simulator.orders import SimExecution, SimOrder, SimOrderState, SimOrderType
from ct_mcp.store.journal import EntryKind

_UNDER = "under the yes to "
_TICK_SECONDS = 0.5
_FEW_TURNED_AWAY = 10
_A_FEW_TIMES = 100
_NEXT_LOOK_SECONDS, _LEASE_SECONDS = 4.5, 17.0
_CHANCE = 0.3
_LOST = (
    NetworkFault.REFUSED,
    NetworkFault.REQUEST_LOST,
    NetworkFault.ANSWER_LOST,
    NetworkFault.NO_ANSWER,
    NetworkFault.SLOW_REQUEST,
    NetworkFault.SLOW_ANSWER,
)
_REFUSED = (Fault.REFUSED_WITH_400, Fault.REFUSED_WITH_200, Fault.LATE_REJECT, Fault.FROZEN_ORDERS)
_STREAM_LOST = (
    *2 * (StreamFault.SOCKET_CUT,),
    StreamFault.SOCKET_CLOSED,
    StreamFault.SESSION_ELSEWHERE,
    *2 * (StreamFault.SOCKET_SILENT,),
    StreamFault.STATUS_STALLED,
    StreamFault.STATUS_DISCONNECTED,
    *2 * (StreamFault.FRAME_LOST,),
    StreamFault.FRAME_DROPPED,
)
_STREAM_IS_BACK_SECONDS = 40.0
_NEVER_STOOD = frozenset({SimOrderState.SUBMITTED, SimOrderState.REJECTED})


def _may_hide(arm: list[Any]) -> bool:
    """Say whether a fault of the network may keep somebody from looking, at any moment."""
    fault, rpc, times = arm
    return bool(times) and (fault not in _LOST or rpc in LOOKS or (rpc is None and times > _A_FEW_TIMES))


@dataclass(eq=False, slots=True)
class Entry:
    """One entry with exits, and what was sent for it; ``held`` is what of its fills is still there."""

    ticket_id: str
    command: PlaceOrder
    order: SimOrder
    process: Process
    exits: dict[SimOrder, int] = field(default_factory=dict)
    held: int = 0
    bare_seconds: float = 0.0
    was_covered: int = 0
    is_found: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """Where it fills."""
        return self.order.account, self.order.terms.contract.name

    @property
    def stops(self) -> list[tuple[SimOrder, int]]:
        """Its stops, each with the size that it was sent with: somebody may have changed it by hand."""
        return [(each, size) for each, size in self.exits.items() if each.terms.order_type.has_stop]

    @property
    def covered(self) -> int:
        """Contracts that got a stop, or were closed for it at the market."""
        stood = sum(size for each, size in self.stops if each.state not in _NEVER_STOOD)
        left = (each for each in self.exits if each.terms.order_type is SimOrderType.MARKET)
        return stood + sum(each.filled for each in left)


class Legs:
    """Keeps the watches going, lets things go wrong between the legs, and looks on."""

    def __init__(self, world: World, books: Books, outsider: Outsider, tell: Tell, broken: Broken) -> None:
        self._world, self._books, self._outsider, self._tell, self._broken = world, books, outsider, tell, broken
        self._rng = Random(world.rng.random())
        self.entries: dict[str, Entry] = {}
        self._kept: set[asyncio.Task[None]] = set()
        self._struck, self._died_at = 0, -1e9
        self.counted: dict[str, int] = {}
        books.on_fill.append(self._fills)

    def begin(self) -> None:
        """Look on, from now."""
        self._goes_on(self._looks_on())
        for process in self._world.processes:
            self.fit(process)

    def _goes_on(self, work: "asyncio._CoroutineLike[None]") -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._kept.add(task)
        task.add_done_callback(self._kept.discard)

    # The watch of each process

    def fit(self, process: Process) -> None:
        """Let a process look after entries, and say under which yes each exit leaves."""
        keeper = process.desk.exit_watch.keeper
        send = keeper._send  # there is no other place where it is known which exit is sent

        async def sent(step: Step) -> Outcome:
            now, under = self._world.now, step.ticket.decided_by.removeprefix(_UNDER)
            call = Call(process, step.ticket.commands, now, step.ticket, commits_at=now)
            call.number, call.under = step.number, under
            before = CALL.set(call)
            try:
                told = await send(step)
            finally:
                CALL.reset(before)
            self._tell(f"   under {under}: {step.summary.split('  ', 1)[-1]}: {told.status} {'; '.join(told.reasons)}")
            return told

        keeper._send = sent
        self._died_at = self._world.now
        self._goes_on(self._watches(process))

    async def _watches(self, process: Process) -> None:
        while process.lives:
            await asyncio.sleep(self._rng.uniform(1.0, 2.0))
            self._goes_on(self._looks(process))

    async def _looks(self, process: Process) -> None:
        CALL.set(Call(process, (), self._world.now, keeps=True))
        try:
            await process.desk.exit_watch.look()
        except CtMcpError as error:
            self._tell(f"a watch could not look: {error}")

    # What is there

    def appears(self, order: SimOrder, request: Request) -> None:
        """An order of ours is there."""
        call: Call | None = request.by
        if call is None or call.ticket is None:
            return
        if call.under in self.entries:
            self._is_exit(self.entries[call.under], order)
            return
        command = call.ticket.commands[0]
        if isinstance(command, PlaceOrder) and command.bracket is not None:
            entry = self.entries[call.ticket.ticket_id] = Entry(call.ticket.ticket_id, command, order, call.process)
            if self._world.has_stream and self._rng.random() < _CHANCE and not self._world.is_calm:
                self._says_what_goes_wrong(self._loses_the_stream(entry))

    def _is_exit(self, entry: Entry, order: SimOrder) -> None:
        """Its stops are for no more than it has filled; a refused one is not made good by a second."""
        entry.exits[order] = order.terms.quantity
        self._count("exits")
        sizes = sum(size for each, size in entry.stops if each.state is not SimOrderState.REJECTED)
        if sizes > entry.order.filled:
            self._broken("twice", f"{sizes} contracts of stops for {entry.order.filled} that {entry.order.id} filled")
        if order.terms.order_type is SimOrderType.MARKET:
            self._count("left at the market")
        elif self._rng.random() < _CHANCE / 2:
            is_stop = order.terms.order_type.has_stop
            self._count("the market passes the stop at once" if is_stop else "target fills at once")
            self._later(1.0, lambda: self._lets_fill(order))

    def _fills(self, execution: SimExecution) -> None:
        """Fills of an entry are there until its position is gone; then something may go wrong."""
        order = execution.order
        for entry in self.entries.values():
            if entry.key != (order.account, order.terms.contract.name):
                continue
            if entry.order is order:
                entry.held += execution.quantity
                self._count("fills of entries")
                self._goes_wrong(entry)
            entry.held = min(entry.held, max(0, execution.position * entry.order.terms.action.sign))

    # What goes wrong between the legs

    def _goes_wrong(self, entry: Entry) -> None:
        if self._rng.random() >= _CHANCE or self._world.is_calm:
            return
        faults: tuple[Callable[[Entry], str], ...] = (
            *2 * (self._refuses,),
            *3 * (self._loses,),
            *2 * (self._dies,),
            self._fails_to_write,
            self._is_left_by_hand,
            *(3 * (self._loses_the_stream,) if self._world.has_stream else ()),
        )
        self._says_what_goes_wrong(self._rng.choice(faults)(entry))

    def _says_what_goes_wrong(self, what: str) -> None:
        self._count(what)
        self._tell(f"goes wrong between the legs: {what}")

    def _refuses(self, _: Entry) -> str:
        fault = self._rng.choice(_REFUSED)
        self._world.simulator.faults.arm(fault, rpc="PlaceOrder", times=1)
        return f"{fault.name} of the next leg"

    def _loses(self, _: Entry) -> str:
        fault = self._rng.choice(_LOST)
        self._world.weather.arms.append([fault, "PlaceOrder", 1])
        return f"{fault.name} of the next leg"

    def _dies(self, entry: Entry) -> str:
        def dies() -> None:
            if entry.process in self._world.processes and not self._world.is_calm:
                self._tell("the process that sent the entry dies")
                self._world.restart(self._world.processes.index(entry.process))

        self._later(3.0, dies)
        return "death"

    def _fails_to_write(self, _: Entry) -> str:
        self._world.disk.failures, self._world.disk.after = 1, self._rng.randrange(8)
        return "full disk"

    def _is_left_by_hand(self, entry: Entry) -> str:
        self._later(1.5, lambda: self._outsider.leaves(entry.order.account, entry.order.terms.contract))
        return "left by hand"

    def _loses_the_stream(self, _: Entry) -> str:
        """What tells of fills is gone for a while, or lacks a few frames; what is asked for is answered as ever."""
        faults, fault = self._world.simulator.faults, self._rng.choice(_STREAM_LOST)
        lost = [fault, StreamFault.SOCKET_REFUSED] if fault is StreamFault.SOCKET_CUT else [fault]
        for each in lost:
            is_once = each is not StreamFault.SOCKET_REFUSED
            faults.arm(each, times=self._rng.randint(1, 4) if is_once else None)

        def is_back() -> None:
            for each in lost:
                faults.disarm(each)

        self._later(_STREAM_IS_BACK_SECONDS, is_back)
        return f"the stream is lost: {fault.name}"

    def _lets_fill(self, order: SimOrder) -> None:
        if order.is_live:
            self._outsider.lets_fill(order)

    def _later(self, longest: float, do: Callable[[], None]) -> None:
        def done() -> None:
            UNDER_WAY.set(None)
            self._world.simulator.addon.wake()
            do()

        asyncio.get_running_loop().call_later(self._rng.uniform(0.0, longest), done)

    def _count(self, what: str) -> None:
        self.counted[what] = self.counted.get(what, 0) + 1

    # What must hold

    async def _looks_on(self) -> None:
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            is_excused = self._is_excused()
            for entry in self.entries.values():
                is_more, entry.was_covered = entry.covered > entry.was_covered, entry.covered
                if not (bare := self.bare(entry)) or is_more:  # of many small fills each has its own time
                    entry.bare_seconds = 0.0
                elif not is_excused and not self._is_under_way(entry):
                    entry.bare_seconds += _TICK_SECONDS
                    self._is_soon_protected(entry, bare)

    def _is_excused(self) -> bool:
        """Say whether something was made to go wrong since the last look, or may at any moment."""
        world = self._world
        struck = sum(world.weather.struck.values()) + world.disk.struck + world.network.turned_away
        is_new, self._struck = struck != self._struck, struck
        hides = any(map(_may_hide, world.weather.arms))
        armed = any(not isinstance(each, StreamFault) for each in world.simulator.faults.armed())
        return is_new or hides or armed or bool(world.skew) or world.disk.slow

    def _is_under_way(self, entry: Entry) -> bool:
        return any(
            call.process.lives
            and (call.keeps or entry.ticket_id in (call.under, call.ticket and call.ticket.ticket_id))
            for call in (request.by for request in self._world.network.waiting)
            if call is not None
        )

    def bare(self, entry: Entry) -> int:
        """Contracts of an entry that are there, never got a stop, and that none of another's stands behind."""
        bracket = entry.command.bracket
        if entry.held <= 0 or bracket is None or bracket.stop_loss is None:
            return 0
        account, name = entry.key
        moment = self._books.now(account)
        uncovered = moment.net(name) * entry.order.terms.action.sign - moment.stops(name, seen=True)
        return max(0, min(entry.held, entry.order.filled - entry.covered, uncovered))

    def _is_soon_protected(self, entry: Entry, bare: int) -> None:
        assert entry.command.bracket is not None
        longest = entry.command.bracket.deadline_seconds + _NEXT_LOOK_SECONDS
        longest += _LEASE_SECONDS if self._world.now - self._died_at < 2 * _LEASE_SECONDS else 0.0
        if entry.bare_seconds > longest and not entry.is_found and not self._is_told(entry):
            entry.is_found = True
            self._broken("bare", f"{self._words(entry, bare)} for {entry.bare_seconds:.0f} s of no trouble")

    def hears(self, call: Call) -> None:
        """An answer that tells a fill which is bare, and late or told of in the journal, begins with that."""
        told, entry = call.told, None if call.ticket is None else self.entries.get(call.ticket.ticket_id)
        if entry is None or not isinstance(told, Outcome) or not told.filled_quantity or told.alarm:
            return
        assert entry.command.bracket is not None
        bare = min(self.bare(entry), told.filled_quantity - entry.covered)
        is_late = entry.bare_seconds > entry.command.bracket.deadline_seconds + _NEXT_LOOK_SECONDS
        if bare > 0 and (is_late or self._is_told(entry)):
            self._broken("untold", f"{self._words(entry, bare)}, and the answer does not begin with it")

    def _need_not_close(self, entry: Entry) -> bool:
        """Say whether what was bare was closed, or a part that is closed beside what rests could turn the position.

        So could a stop of which nobody knows whether it came; that only the person can settle.
        """
        account, name = entry.key
        if any(each.terms.order_type is SimOrderType.MARKET and each.filled for each in entry.exits):
            return True
        sign = entry.order.terms.action.sign
        unknown = self._world.database.read(outstanding_since, account, self._world.clock())
        fills = (fill for each in unknown for fill in fills_of(each.detail))
        may_come = [fill.signed_quantity for fill in fills if str(fill.instrument) == name]
        rests = [each.signed for each in self._books.now(account).of(name)]
        return any(signed * sign < 0 for signed in (*rests, *may_come))

    def _has_just_filled(self, entry: Entry) -> bool:
        """Whether its exits need not be there yet: a session may open, and an entry fill, as the minute ends."""
        last = max((at for at, _ in self._books.filled[entry.order.id]), default=-1e9)
        return entry.command.bracket is not None and self._world.now - last < entry.command.bracket.deadline_seconds

    def _is_told(self, entry: Entry) -> bool:
        kinds = (each.kind for each in self._world.database.journal() if each.ticket_id == entry.ticket_id)
        return EntryKind.UNPROTECTED in kinds

    def _words(self, entry: Entry, bare: int) -> str:
        return (
            f"{bare} of {entry.order.filled} {entry.key[1]} that {entry.order.id} ({entry.ticket_id}) filled are bare"
        )

    def holds_when_calm(self, turned_away: int) -> None:
        """After a minute in which all went well; not where requests were turned away, for which a budget would wait."""
        if self._world.network.turned_away > turned_away + _FEW_TURNED_AWAY:
            return
        for kind, what in self._wrong_when_calm():
            self._broken(kind, what)

    def _wrong_when_calm(self) -> Iterator[tuple[str, str]]:
        for entry in self.entries.values():
            bare, bracket = self.bare(entry), entry.command.bracket
            if bare and not entry.is_found and not self._has_just_filled(entry):
                entry.is_found = True
                if not self._is_told(entry):
                    yield "bare", f"{self._words(entry, bare)} after a minute in which all went well, untold"
                elif bracket is not None and bracket.closes_if_unprotected and not self._need_not_close(entry):
                    yield "not closed", f"{self._words(entry, bare)} after a minute in which all went well"
            account, name = entry.key
            is_gone = self._books.now(account).net(name) * entry.order.terms.action.sign <= 0
            left = [each for each in entry.exits if each.is_live]
            if is_gone and left and not any(each.blocking_fault for each in left):
                yield "left over", f"{[each.id for each in left]} of {entry.order.id} stand, and {name} is left"
