"""One episode in virtual time: an assistant asks, others act, everything goes wrong, and the judge looks on."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Coroutine
from dataclasses import dataclass, field
from random import Random
from typing import Any

from virtual_actors import Copier, Outsider, Person
from virtual_answers import Answers, words_of
from virtual_books import Books
from virtual_end import ends_as_it_was, settles
from virtual_judge import Judge
from virtual_legs import Legs
from virtual_network import NetworkFault, Request, told_of
from virtual_pushes import woken_where_it_counts
from virtual_speed import remembered
from virtual_time import StandsStill, play
from virtual_weather import clears_up, turns
from virtual_wishes import Wish, another_exit, draw, exit_at_once, in_other_words, nothing_in
from virtual_world import CALL, Call, World, forget_before, one_exit_each, seeded_ids

from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.domain.approval import Approval, Ticket, TicketState
from ct_mcp.domain.commands import describe
from ct_mcp.errors import CtMcpError, TicketSpent
from ct_mcp.simulator.orders import SimOrder

MUTATIONS_EACH = 40
_LONGEST_SECONDS = 400.0
_CALM_EVERY = 10
_OFTEN = 0.4


@dataclass(frozen=True, slots=True)
class Name:
    """By which an episode can be repeated; ``weather`` is a fault of the network that comes more often than others."""

    seed: int
    episode: int
    mutations: int = MUTATIONS_EACH
    has_stream: bool = False
    has_legs: bool = False
    has_watches: bool = False
    weather: str = ""

    @property
    def rng(self) -> Random:
        """All chance in it."""
        return Random(f"{self.seed}/{self.episode}")


@dataclass(frozen=True, slots=True)
class Finding:
    """What must never happen, and where it is met again."""

    name: Name
    mutation: int
    at: float
    kind: str
    what: str

    def __str__(self) -> str:
        place = f"--seed {self.name.seed} --episode {self.name.episode}, mutation {self.mutation}, {self.at:.3f} s"
        return f"{self.kind.upper()} ({place}): {self.what}"


@dataclass(slots=True)
class Played:
    """What came of an episode: its findings, its story, and what was counted."""

    name: Name
    mutations: int = 0
    findings: list[Finding] = field(default_factory=list)
    story: list[str] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    writes: Counter[str] = field(default_factory=Counter)
    struck: Counter[str] = field(default_factory=Counter)
    legs: Counter[str] = field(default_factory=Counter)
    virtual_seconds: float = 0.0
    cpu_seconds: float = 0.0


class Episode:
    """Everybody who takes part in one."""

    def __init__(self, name: Name) -> None:
        self.rng, self._leans = name.rng, Random(f"{name.seed}/{name.episode}/{name.weather}")
        self.played = Played(name)
        self.world = World(self.rng, has_stream=name.has_stream, has_legs=name.has_legs)
        self.books = Books(self.world.simulator, self.world.begins_at, self.broken)
        self.outsider = Outsider(self.world, self.tell)
        self.copier = Copier(self.world, self.books, self.tell)
        self.person = Person(self.world, self.outsider, self.tell)
        self.judge = Judge(self.world, self.books, self.person.said_yes, self.broken)
        self.answers = Answers(self.world, self.books, self.judge, self.broken)
        self.legs = Legs(self.world, self.books, self.outsider, self.tell, self.broken) if name.has_legs else None
        if self.legs is not None:
            self.books.on_order, self.world.on_restart = self.appears, self.legs.fit
        self.calls: list[Call] = []
        self._kept: set[asyncio.Task[None]] = set()
        self.world.open(self)

    def tell(self, what: str) -> None:
        """Write the story on."""
        self.played.story.append(f"{self.world.now:10.3f}  {what}")

    def broken(self, kind: str, what: str) -> None:
        """Write down what must never happen."""
        finding = Finding(self.played.name, self.played.mutations, self.world.now, kind, what)
        self.played.findings.append(finding)
        self.tell(f"!! {kind}: {what}")

    def appears(self, order: SimOrder, request: Request) -> None:
        """An order of ours is there."""
        self.judge.appears(order, request)
        if self.legs is not None:
            self.legs.appears(order, request)

    # What passes over the network

    def leaves(self, request: Request) -> None:
        """Somebody may act before it arrives."""
        if request.writes:
            self.played.writes[request.rpc] += 1
            self.tell(f"-> {request.rpc} {request.account} {told_of(request)}")
        self.judge.leaves(request)
        self.outsider.may_act()

    def arrives(self, request: Request) -> None:
        """It arrives."""
        self.judge.arrives(request)

    def is_answered(self, request: Request) -> None:
        """It was carried out."""
        if request.writes:
            self.tell(f"   {request.rpc} was carried out: {request.status}; {self._standing(request.account)}")
        self.judge.is_answered(request)
        self.outsider.may_act()

    def _standing(self, account: str) -> str:
        now = self.books.now(account)
        rows = [f"{each.signed:+d} {each.instrument}{' stop' if each.is_stop else ''}" for each in now.orders]
        return f"{account} holds {now.held or 'nothing'}, may fill {', '.join(rows) or 'nothing'}"

    # The assistant

    async def asks(self, wish: Wish, which: int) -> Call:
        """One call of the assistant, to its answer."""
        call = Call(self.world.processes[which], wish, self.world.now)
        self.calls.append(call)
        CALL.set(call)
        self.tell(f"the assistant asks {which} for {'; '.join(map(describe, wish))}")
        try:
            proposed = call.process.desk.propose(wish if len(wish) > 1 else wish[0])
            call.told = await self._as_long_as_it_lives(call, self._goes_on(call, proposed))
        except CtMcpError as error:
            call.told = error
        if call.process.lives:
            call.ended = self.world.now
            self._is_told(call)
        return call

    async def confirms(self, call: Call, which: int) -> Call:
        """Call confirm_ticket with the ticket of an earlier call."""
        again = Call(self.world.processes[which], call.commands, self.world.now, call.ticket)
        self.calls.append(again)
        CALL.set(again)
        assert call.ticket is not None
        self.tell(f"the assistant confirms {call.ticket.ticket_id}")
        try:
            found = again.process.desk.ticket(call.ticket.ticket_id)
            again.told = await self._as_long_as_it_lives(again, self._goes_on(again, found))
        except CtMcpError as error:
            again.told = error
        if again.process.lives:
            again.ended = self.world.now
            self._is_told(again)
        return again

    async def _as_long_as_it_lives(self, call: Call, work: Coroutine[Any, Any, Outcome]) -> Outcome | None:
        """Do it; None where its process dies meanwhile, between two legs."""
        if not self.world.has_legs:
            return await work
        task, death = asyncio.create_task(work), asyncio.create_task(call.process.died.wait())
        try:
            await asyncio.wait([task, death], return_when=asyncio.FIRST_COMPLETED)
        finally:
            death.cancel()
        return await task if task.done() else None

    async def _goes_on(self, call: Call, coming: Awaitable[Ticket | Outcome]) -> Outcome:
        """As the server does with what was proposed: commit what needs nobody, ask, wait, commit."""
        proposed = await coming
        if isinstance(proposed, Outcome):
            return proposed
        call.ticket, desk, asked_at = proposed, call.process.desk, self.world.now
        state = proposed.state_at(self.world.clock())
        if state is TicketState.OPEN and proposed.approval is not Approval.NONE:
            self.answers.is_asked(call, proposed)
            if self.world.has_stream:
                self._kept.add(asyncio.get_running_loop().create_task(desk.warm.keep(proposed)))
            await self.person.is_asked(proposed, desk.policy.wait_seconds)
            state = (await desk.ticket(proposed.ticket_id)).state_at(self.world.clock())
        try:
            if state in (TicketState.APPROVED, TicketState.SPENT) or proposed.approval is Approval.NONE:
                call.commits_at = self.world.now
                if proposed.approval is not Approval.NONE:
                    forget_before(call.looked, asked_at)
                    forget_before(call.looked_first, asked_at)
                    forget_before(call.listed, asked_at)
                return await desk.commit(proposed.ticket_id)
            return await desk.awaiting(await desk.ticket(proposed.ticket_id))
        except TicketSpent:
            call.is_retold = True
            return await desk.became_of(await desk.ticket(proposed.ticket_id), desk.policy.wait_seconds)

    def _is_told(self, call: Call) -> None:
        told = call.told
        self.played.answers[told.status.value if isinstance(told, Outcome) else type(told).__name__] += 1
        self.tell(f"<= {words_of(told)}")
        self.answers.hears(call)
        if self.legs is not None:
            self.legs.hears(call)

    # The play

    async def main(self) -> None:
        """Play it."""
        self.world.listen(self.world.processes[0])
        if self.legs is not None:
            self.legs.begin()
        for _ in range(self.played.name.mutations):
            self.played.mutations += 1
            await asyncio.sleep(self._pause())
            await self.person.looks_after()
            if weather := turns(self.world, self.rng, self.outsider, self.copier):
                self.tell(f"goes wrong: {weather}")
            if self.played.name.weather and self._leans.random() < _OFTEN:
                self.world.weather.adds(NetworkFault[self.played.name.weather])
            await self._mutation()
            await self._beside()
            if self.played.mutations % _CALM_EVERY == 0:
                await self._calms_down()
        await self._calms_down()
        ends_as_it_was(self.world, self.books, self.broken)
        self.played.virtual_seconds = self.world.now
        for fault, times in self.world.weather.struck.items():
            self.played.struck[fault.name] += times
        self.played.struck["DISK"] += self.world.disk.struck
        for what, times in self.legs.counted.items() if self.legs is not None else ():
            self.played.legs[what] += times

    def _pause(self) -> float:
        """Often shorter than the ten seconds in which nothing is repeated; seldom longer than a request lives."""
        return self.rng.choices((self.rng.uniform(0.2, 4), self.rng.uniform(10, 20), 70.0), (5, 4, 1))[0]

    async def _mutation(self) -> None:
        wish, which = draw(self.world, self.rng), self.rng.randrange(2)
        behaviour = self.rng.choices(
            (
                self._plainly,
                self._impatiently,
                self._in_parallel,
                self._in_other_words,
                self._dying,
                self._carelessly,
                self._in_a_flood,
            ),
            (20, 6, 6, 6, 2, 4, 1),
        )[0]
        if self.world.weather.lags and (leaves := exit_at_once(self.world, self._chance())) is not None:
            wish, behaviour = leaves, self._in_other_words  # what positions do not show yet is left a second time
        try:
            async with asyncio.timeout(_LONGEST_SECONDS):
                await behaviour(wish, which)
        except TimeoutError:
            self.broken("endless", f"{'; '.join(map(describe, wish))} never came to an end")

    async def _plainly(self, wish: Wish, which: int) -> None:
        """Ask, and ask once more for an approval that is late."""
        call = await self.asks(wish, which)
        if isinstance(call.told, Outcome) and call.told.status is Status.NEEDS_APPROVAL and call.ticket is not None:
            await self.confirms(call, which)

    async def _impatiently(self, wish: Wish, which: int) -> None:
        """Give up after a while, and ask the same again."""
        first = asyncio.create_task(self.asks(wish, which))
        await asyncio.wait([first], timeout=self.rng.uniform(0.1, 30.0))
        if not first.done():
            self.tell("the client gives up and asks again")
        await self.asks(wish, which)
        await self._until_over()

    async def _in_parallel(self, wish: Wish, which: int) -> None:
        """Two calls side by side: the same, or two ways out of one position."""
        other = another_exit(self.rng, wish)
        second = asyncio.create_task(self.asks(other, which if self.rng.random() < 0.5 else 1 - which))
        if self.rng.random() < 0.5:
            await asyncio.sleep(self.rng.uniform(0.0, 3.0))
        await self.asks(wish, which)
        await asyncio.wait([second], timeout=_LONGEST_SECONDS / 2)

    async def _in_other_words(self, wish: Wish, which: int) -> None:
        """Ask again at once, in other words, for what did not work; or for the same."""
        await self.asks(wish, which)
        for _ in range(2):
            await asyncio.sleep(self.rng.uniform(0.1, 14.0))
            await self.asks(in_other_words(self.world, self.rng, wish), which)

    async def _carelessly(self, wish: Wish, which: int) -> None:
        """Confirm what was answered already."""
        call = await self.asks(wish, which)
        if call.ticket is not None:
            await asyncio.sleep(self.rng.uniform(0.0, 20.0))
            await self.confirms(call, self.rng.randrange(2))

    async def _dying(self, wish: Wish, which: int) -> None:
        """The process dies in the middle; another takes its place, and is asked the same."""
        first = asyncio.create_task(self.asks(wish, which))
        await asyncio.wait([first], timeout=self.rng.choice((self.rng.uniform(0, 1.5), self.rng.uniform(0, 20))))
        self.tell(f"process {which} dies")
        self.world.restart(which)
        await asyncio.sleep(self.rng.uniform(0.5, 5.0))
        await self.asks(wish, which)

    async def _in_a_flood(self, wish: Wish, which: int) -> None:
        """Many wishes at once: the person is not to be tired out."""
        wishes = [wish, *(draw(self.world, self.rng) for _ in range(5))]
        tasks = [asyncio.create_task(self.asks(each, which)) for each in wishes]
        await asyncio.wait(tasks, timeout=_LONGEST_SECONDS / 2)

    def _chance(self) -> Random:
        """Chance of this mutation beside all other chance."""
        return Random(f"beside {self.played.name} {self.played.mutations}")

    async def _beside(self) -> None:
        """What only some worlds have: somebody looks at the console; another user of CrossTrade shares the folder."""
        chance = self._chance()
        CALL.set(None)
        if self.world.own_limits.day_loss is not None and chance.random() < 0.7:
            await asyncio.sleep(chance.uniform(0.0, 20.0))
            await self.world.processes[0].console.read()
        if self.world.is_shared and chance.random() < 0.2:
            await self._confirms_a_strangers(draw(self.world, chance))

    async def _confirms_a_strangers(self, wish: Wish) -> None:
        """Confirm a ticket that somebody at another NinjaTrader, with an account of the same name, said yes to."""
        theirs = self.world.stranger.desk
        try:
            proposed = await theirs.propose(wish if len(wish) > 1 else wish[0])
            if isinstance(proposed, Outcome):
                return
            await theirs.decisions.approve(proposed, "terminal")
        except CtMcpError:
            return
        self.judge.strangers.add(proposed.ticket_id)
        await self.confirms(Call(self.world.processes[0], wish, self.world.now, proposed), 0)

    async def _until_over(self) -> None:
        """Wait for calls that nobody waits for any more, for a while."""
        for _ in range(60):
            if all(call.is_over for call in self.calls):
                return
            await asyncio.sleep(1.0)

    async def _calms_down(self) -> None:
        """Everything goes well again: what is unknown is found out within a minute."""
        clears_up(self.world, self.outsider, self.copier)
        self.world.is_calm, turned_away = True, self.world.network.turned_away
        await self._until_over()
        await asyncio.sleep(62.0)
        await settles(self.world, self.books, self.broken, self._asks_for_nothing)
        if self.legs is not None:
            await asyncio.sleep(20.0)  # what hung on an unknown outcome goes on once that is settled
            self.legs.holds_when_calm(turned_away)
        self.world.is_calm = False

    async def _asks_for_nothing(self, account: str) -> None:
        """Ask for what is denied, so that the desk looks at what is outstanding first."""
        CALL.set(None)
        for process in self.world.processes[:1]:
            await process.desk.propose(nothing_in(account))


def played(name: Name) -> Played:
    """Play one episode."""
    episode: list[Episode] = []
    began = time.process_time()

    async def main() -> None:
        await episode[0].main()

    with seeded_ids(Random(f"ids {name.seed}/{name.episode}")):
        episode.append(Episode(name))
        try:
            with one_exit_each(episode[0].world), remembered(), woken_where_it_counts():
                play(main, Random(f"order {name.seed}/{name.episode}"))
        except StandsStill as stands_still:
            finding = Finding(name, episode[0].played.mutations, 0.0, "endless", str(stands_still))
            episode[0].played.findings.append(finding)
    episode[0].world.database.close()
    episode[0].played.cpu_seconds = time.process_time() - began
    return episode[0].played
