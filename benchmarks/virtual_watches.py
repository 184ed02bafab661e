"""Watches in virtual time: they are set, everything goes wrong, and what must hold of them is looked at.

    python benchmarks/campaign.py --watches --mutations 5000 --seed 1

Two processes run the watches, as `ct-mcp watch` and a server do side by side. One dies and another takes its place; one
is put to sleep, for a moment or for longer than its lease, and goes on where it was; the clock of the machine is set
forward and back; the disk is full; requests and answers are lost, late or untrue; somebody moves, cancels and leaves by
hand. Some episodes meet the time to be flat by, the close, the roll, a Sunday's open or the end of a contract month.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from virtual_actors import BY_HAND, Outsider
from virtual_books import Books
from virtual_episode import Finding, Name, Played
from virtual_network import UNDER_WAY, Arm, Network, NetworkFault, Request
from virtual_sleeper import Sleeper
from virtual_speed import remembered
from virtual_time import StandsStill, play
from virtual_watch_judge import WatchJudge
from virtual_world import CALL, Call, World, one_exit_each, replaced, seeded_ids

from ct_mcp.config.values import flat_by
from ct_mcp.desk import watch_tickets
from ct_mcp.desk.alert_setting import set_alert
from ct_mcp.desk.journal_writer import Step
from ct_mcp.desk.outcome import Outcome
from ct_mcp.desk.watch_tickets import new_watch_id, rolls_at
from ct_mcp.domain.approval import Approval, Ticket
from ct_mcp.domain.level import Distance, Unit
from ct_mcp.domain.watch import AlertOn, SetWatch, Watch, WatchKind
from ct_mcp.errors import CtMcpError
from ct_mcp.guard.policy import Watching
from ct_mcp.simulator.faults import AnyFault, Fault
from ct_mcp.simulator.orders import Action, OrderLabels, OrderTerms, SimOrder, SimOrderType

_CALM_EVERY, _CALM_SECONDS = 10, 150.0
_LOOK_SECONDS, _SLEEPS_IN_A_SEND = 1.0, 0.15
# Twice a usual day; before the time to be flat by; before the close, the roll, a Sunday's open, the end of a month.
_BEGINNINGS = (
    *2 * (datetime(2026, 9, 9, 14, 30, tzinfo=UTC),),
    *3 * (datetime(2026, 9, 9, 20, 3, tzinfo=UTC),),
    datetime(2026, 9, 9, 20, 52, tzinfo=UTC),
    datetime(2026, 9, 9, 21, 52, tzinfo=UTC),
    datetime(2026, 9, 13, 21, 55, tzinfo=UTC),
    datetime(2026, 9, 18, 13, 22, tzinfo=UTC),
)
_LOST = (
    NetworkFault.REFUSED,
    NetworkFault.REQUEST_LOST,
    NetworkFault.ANSWER_LOST,
    NetworkFault.NO_ANSWER,
    NetworkFault.SLOW_REQUEST,
    NetworkFault.SLOW_ANSWER,
)
_UNTRUE = (NetworkFault.BLIND, NetworkFault.POSITIONS_LAG, NetworkFault.OTHER_ORDER, NetworkFault.DOUBLED_ROW)
_WRITES = ("Change", "Cancel", "Flatten", "CancelOrders")
_OF_THE_SERVICE: tuple[AnyFault, ...] = (
    Fault.ADDON_OFFLINE,
    Fault.ERROR_500_BEFORE_ACCEPT,
    Fault.ERROR_500_AFTER_ACCEPT,
    Fault.REFUSED_WITH_400,
    Fault.REFUSED_WITH_200,
    Fault.EMPTY_LISTS,
    Fault.STALE_QUOTE,
    Fault.RATE_LIMITED,
    Fault.SESSION_CLOSED,
)


class WatchEpisode:
    """Everybody who takes part in one."""

    def __init__(self, name: Name) -> None:
        self.rng = name.rng
        self.played = Played(name)
        self.world = World(self.rng, beginnings=_BEGINNINGS)
        self.acts = self.rng.random() < 0.7
        limits = replace(self.world.policy.limits, flat_by=flat_by("15:10 America/Chicago"))
        self.world.policy = replace(
            self.world.policy,
            limits=limits if self.acts else self.world.policy.limits,
            watches=Watching(most=50, flat_by_acts=self.acts, warn_minutes=3),
            simulated=Approval.NONE,
            exits_simulated=Approval.NONE,
            accounts={each: replace(one, approval=Approval.NONE) for each, one in self.world.policy.accounts.items()},
        )
        self.books = Books(self.world.simulator, self.world.begins_at, self.broken)
        self.outsider = Outsider(self.world, self.tell)
        self.judge = WatchJudge(self.world, self.books, self.broken, self.tell)
        self.world.network = Network(self.world.simulator, self.world.weather, self, CALL)
        self.processes = [Sleeper(self.world), Sleeper(self.world)]
        self.world.processes = [*self.processes]
        self._kept: set[asyncio.Task[None]] = set()

    def tell(self, what: str) -> None:
        """Write the story on."""
        self.played.story.append(f"{self.world.now:10.3f}  {what}")

    def broken(self, kind: str, what: str) -> None:
        """Write down what must never happen."""
        self.played.findings.append(Finding(self.played.name, self.played.mutations, self.world.now, kind, what))
        self.tell(f"!! {kind}: {what}")

    # What passes over the network

    def leaves(self, request: Request) -> None:
        """Somebody may act before it arrives."""
        if request.writes:
            self.played.writes[request.rpc] += 1
            self.tell(f"-> {request.rpc} {request.account} {dict(request.arguments)}")
        self.judge.leaves(request)
        self.outsider.may_act()

    def arrives(self, request: Request) -> None:
        """It arrives."""
        self.judge.arrives(request)

    def is_answered(self, request: Request) -> None:
        """It was carried out."""
        if request.writes:
            self.tell(f"   {request.rpc} was carried out: {request.status}")
        self.judge.is_answered(request)
        self.outsider.may_act()

    # The processes

    def _goes_on(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._kept.add(task)
        task.add_done_callback(self._kept.discard)

    def _fit(self, process: Sleeper) -> None:
        """Let it look, and say under which watch each request leaves."""
        watches = process.desk.exit_watch.watches
        send = watches.sender.road.send

        async def sent(step: Step) -> Outcome:
            now = self.world.now
            call = Call(process, step.ticket.commands, now, step.ticket, commits_at=now, under=step.ticket.decided_by)
            before = CALL.set(call)
            if self.rng.random() < _SLEEPS_IN_A_SEND:
                which, seconds = self.processes.index(process), self.rng.choice((20.0, 40.0))
                self._later(self.rng.uniform(0, 0.5), lambda: self._sleeps(which, seconds))
            try:
                told = await send(step)
            finally:
                CALL.reset(before)
            self.tell(f"   {call.under}: {step.summary.split('  ', 1)[-1]}: {told.status} {'; '.join(told.reasons)}")
            self.played.answers[told.status.value] += 1
            return told

        watches.sender.road = replace(watches.sender.road, send=sent)
        self._goes_on(self._watches(process))

    async def _watches(self, process: Sleeper) -> None:
        while process.lives:
            await asyncio.sleep(_LOOK_SECONDS + self.rng.random())
            if not process.sleeps:
                self._goes_on(self._looks(process))

    async def _looks(self, process: Sleeper) -> None:
        CALL.set(Call(process, (), self.world.now, keeps=True))
        try:
            await process.desk.exit_watch.look()
        except CtMcpError as error:
            self.tell(f"a watch could not look: {error}")

    # The play

    async def main(self) -> None:
        """Play it."""
        for process in self.processes:
            self._fit(process)
        self._goes_on(self.judge.looks_on())
        for _ in range(self.played.name.mutations):
            self.played.mutations += 1
            if self.rng.random() < 0.6:
                await self._sets_something()
            self._turns()
            self._hits_a_process()
            await asyncio.sleep(self.rng.choice((self.rng.uniform(1, 12), self.rng.uniform(12, 50))))
            if self.played.mutations % _CALM_EVERY == 0:
                await self._calms_down()
        await self._calms_down()
        self.judge.ends()
        self.played.virtual_seconds = self.world.now
        self.played.legs.update(self.judge.counted)
        for fault, times in self.world.weather.struck.items():
            self.played.struck[fault.name] += times
        self.played.struck["DISK"] += self.world.disk.struck

    def _turns(self) -> None:
        """Draw what goes wrong from now on."""
        world, rng = self.world, self.rng
        self._clears_up()
        arms: list[Arm] = []
        if rng.random() < 0.35:
            arms.append((rng.choice(_LOST), rng.choice((*_WRITES, None)), rng.choice((1, 1, 3))))
        if rng.random() < 0.15:
            arms.append((rng.choice(_UNTRUE), None, rng.choice((1, 4, 20))))
        world.weather.turns(arms, rng.choice((0.05, 0.05, 0.5, 2.0)))
        if rng.random() < 0.2:
            fault, rpc = rng.choice(_OF_THE_SERVICE), rng.choice((*_WRITES, None))
            world.simulator.faults.arm(fault, rpc=rpc, times=rng.choice((1, 3, 30)))
            self.tell(f"goes wrong: {fault.name} of {rpc or 'any call'}")
        if rng.random() < 0.1:
            world.disk.failures, world.disk.after = rng.choice((1, 3)), rng.randrange(6)
        world.disk.slow = rng.random() < 0.08
        if rng.random() < 0.12:
            world.skew, world.was_skewed = rng.choice((-3600.0, -90.0, -8.0, 8.0, 90.0, 3600.0)), True
            self._count("clock set")
        self.outsider.comes(rng.choice((0.0, 0.0, 0.02, 0.1)))
        for arm in arms:
            self.tell(f"goes wrong: {arm[0].name} of {arm[1] or 'any call'} {arm[2]} times")
        if world.skew:
            self.tell(f"the clock is {world.skew:+g} s wrong")

    def _clears_up(self) -> None:
        world = self.world
        world.simulator.faults.disarm()
        world.weather.turns([], 0.05)
        world.disk.slow, world.disk.failures, world.skew = False, 0, 0.0
        self.outsider.comes(0.0)

    def _hits_a_process(self) -> None:
        """One dies and another takes its place; one falls asleep, in the middle of whatever it does."""
        which, rng = self.rng.randrange(2), self.rng
        if rng.random() < 0.15:
            self._later(rng.uniform(0, 6), lambda: self._dies(which))
        if rng.random() < 0.35:
            self._later(rng.uniform(0, 4), lambda: self._sleeps(which, rng.choice((3.0, 10.0, 20.0, 40.0))))

    def _later(self, seconds: float, do: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_later(seconds, do)

    def _dies(self, which: int) -> None:
        self.tell(f"process {which} dies")
        self._count("death")
        self.processes[which].dies()
        self.processes[which] = Sleeper(self.world)
        self.world.processes[which] = self.processes[which]
        self._fit(self.processes[which])

    def _sleeps(self, which: int, seconds: float) -> None:
        process = self.processes[which]
        if process.sleeps or self.world.is_calm:
            return
        self.tell(f"process {which} sleeps for {seconds:g} s")
        self._count("sleep")
        process.falls_asleep()
        self._later(seconds, lambda: self._wakes(process, which))

    def _wakes(self, process: Sleeper, which: int) -> None:
        if process.sleeps:
            self.tell(f"process {which} wakes")
            process.wakes()

    def _count(self, what: str) -> None:
        self.judge.counted[what] = self.judge.counted.get(what, 0) + 1

    async def _calms_down(self) -> None:
        """Everything goes well for a while; what must be so by then is looked at."""
        self._clears_up()
        self.world.is_calm = True
        for which, process in enumerate(self.processes):
            self._wakes(process, which)
        await asyncio.sleep(_CALM_SECONDS)
        self.judge.holds_when_calm()
        self.world.is_calm = False

    # What is set

    async def _sets_something(self) -> None:
        maker = self.rng.choice(
            (self._trails, self._trails, self._cancels_after, self._is_flat_by, self._price, self._time, self._fill)
        )
        process = self.rng.choice(self.processes)
        if process.sleeps:
            return
        CALL.set(Call(process, (), self.world.now))
        try:
            async with asyncio.timeout(60):
                await maker(process)
        except (CtMcpError, TimeoutError) as error:
            self.tell(f"it was not set: {error}")

    async def _asks(self, process: Sleeper, wanted: SetWatch) -> None:
        call = Call(process, (wanted,), self.world.now)
        CALL.set(call)
        proposed = await process.desk.propose(wanted)
        if isinstance(proposed, Ticket):
            call.ticket = proposed
            told = await process.desk.commit(proposed.ticket_id)
            self.tell(f"asked for {wanted.does} of {wanted.order_id}: {told.status} {'; '.join(told.reasons)}")
            self._count(str(wanted.does))

    def _by_hand(self, account: str, action: Action, size: int, kind: SimOrderType, ticks: int) -> SimOrder:
        """Somebody places an order at NinjaTrader; it is there at once."""
        under_way = UNDER_WAY.set(None)
        try:
            exchange, addon = self.world.simulator.exchange, self.world.simulator.addon
            addon.wake()
            contract = self.world.simulator.market.front("MES", self.world.true_clock())
            last = self.world.simulator.market.top(contract, self.world.true_clock()).last
            price = contract.product.price(last + ticks)
            terms = OrderTerms(contract, action, size, kind)
            if kind is SimOrderType.STOP_MARKET:
                terms = replace(terms, stop_price=price)
            elif kind is SimOrderType.LIMIT:
                terms = replace(terms, limit_price=price)
            return exchange.submit(exchange.accounts[account], terms, OrderLabels(rpc=BY_HAND), addon.now)
        finally:
            UNDER_WAY.reset(under_way)

    async def _trails(self, process: Sleeper) -> None:
        account, side = self.rng.choice(self.world.accounts), self.rng.choice((Action.BUY, Action.SELL))
        away = Action.SELL if side is Action.BUY else Action.BUY
        self._by_hand(account, side, 2, SimOrderType.MARKET, 0)
        await asyncio.sleep(2.0)
        stop = self._by_hand(account, away, 2, SimOrderType.STOP_MARKET, -side.sign * self.rng.randint(12, 40))
        await asyncio.sleep(2.0)
        distance = Distance(Decimal(self.rng.randint(6, 24)), Unit.TICK)
        await self._asks(process, SetWatch(account, WatchKind.TRAILING_STOP, stop.id, distance=distance))

    async def _cancels_after(self, process: Sleeper) -> None:
        account, side = self.rng.choice(self.world.accounts), self.rng.choice((Action.BUY, Action.SELL))
        entry = self._by_hand(account, side, 1, SimOrderType.LIMIT, -side.sign * self.rng.randint(12, 60))
        await asyncio.sleep(2.0)
        await self._asks(process, SetWatch(account, WatchKind.CANCEL_AFTER, entry.id, minutes=self.rng.randint(1, 3)))

    async def _is_flat_by(self, process: Sleeper) -> None:
        account = self.rng.choice(self.world.accounts)
        self._by_hand(account, self.rng.choice((Action.BUY, Action.SELL)), 1, SimOrderType.MARKET, 0)
        await asyncio.sleep(2.0)
        instrument = self.rng.choice((None, self.world.instrument("MES")))
        wanted = SetWatch(account, WatchKind.FLAT_BY, instrument=instrument, minutes=self.rng.randint(1, 3))
        await self._asks(process, wanted)

    def _alert(self, on: AlertOn) -> Watch:
        now = self.world.clock()
        return Watch(new_watch_id(), WatchKind.ALERT, "", now, rolls_at(now), on=on)

    async def _tells(self, process: Sleeper, watch: Watch) -> None:
        self.judge.alerts[watch.watch_id] = self.world.now
        told = await set_alert(process.desk, watch)
        self.tell(f"alert {told.summary}")
        self._count("alert")

    async def _price(self, process: Sleeper) -> None:
        instrument = self.world.instrument("MES")
        contract = self.world.contract(instrument)
        is_above = self.rng.random() < 0.5
        ticks = self.rng.randint(1, 16) * (1 if is_above else -1)
        last = self.world.simulator.market.top(contract, self.world.true_clock()).last
        level = Decimal(str(contract.product.price(last + ticks)))
        watch = replace(self._alert(AlertOn.PRICE), instrument=instrument, is_above=is_above, level=level)
        await self._tells(process, watch)

    async def _time(self, process: Sleeper) -> None:
        watch = self._alert(AlertOn.TIME)
        await self._tells(process, replace(watch, due=watch.made_at + timedelta(seconds=self.rng.randint(20, 200))))

    async def _fill(self, process: Sleeper) -> None:
        await self._tells(process, replace(self._alert(AlertOn.FILL), account=self.rng.choice(self.world.accounts)))


def played_watches(name: Name) -> Played:
    """Play one episode."""
    episode: list[WatchEpisode] = []
    began, ids = time.process_time(), Random(f"ids {name.seed}/{name.episode}")

    async def main() -> None:
        await episode[0].main()

    made = {(watch_tickets, "token_hex"): lambda size: ids.randbytes(size).hex()}
    with seeded_ids(ids), replaced(made):
        episode.append(WatchEpisode(name))
        try:
            with one_exit_each(episode[0].world), remembered():
                play(main, Random(f"order {name.seed}/{name.episode}"))
        except StandsStill as stands_still:
            episode[0].played.findings.append(Finding(name, 0, 0.0, "endless", str(stands_still)))
    episode[0].world.database.close()
    episode[0].played.cpu_seconds = time.process_time() - began
    return episode[0].played
