"""One world: a simulator, a store that outlives processes, processes with a desk each, and the clock of them all."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from random import Random
from typing import Any

import httpx
from virtual_limits import MAX_POSITION, LossesRead, own_limits
from virtual_network import Network, Request, Weather, Witness
from virtual_store import OURS, THEIRS, MemoryDatabase, MemoryStore

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.crosstrade.connection import Connection
from ct_mcp.crosstrade.failures import HttpAnswer
from ct_mcp.crosstrade.rate_limit import Allowance, Rank, TokenBucket, allowance
from ct_mcp.crosstrade.request import Call as UpstreamCall
from ct_mcp.crosstrade.stream.socket import LiveStream
from ct_mcp.desk import approval as tickets_of_the_desk
from ct_mcp.desk import exit_tickets, exit_watch
from ct_mcp.desk.desk import Desk
from ct_mcp.desk.outcome import Outcome
from ct_mcp.domain.approval import Approval, Ticket
from ct_mcp.domain.commands import Command
from ct_mcp.domain.instrument import Instrument
from ct_mcp.guard.policy import AccountPolicy, Limits, Mode, Policy
from ct_mcp.live.cache import LiveCache
from ct_mcp.live.feed import Feed
from ct_mcp.simulator import commands
from ct_mcp.simulator.accounts import LIVE, SIM
from ct_mcp.simulator.addon import AddOnAssumptions
from ct_mcp.simulator.exchange import ExchangePace
from ct_mcp.simulator.products import SimContract
from ct_mcp.simulator.simulator import Simulator, SimulatorSettings
from ct_mcp.web.accounts import AccountReader

FOLLOWER = replace(SIM, id=3, name="SimReplay", display_name="SimReplay", connection="SimReplay")
ROOTS = ("MES", "MES", "MES", "MNQ")
OWN_ORDER_SIZE = 2
RISK_TICKS = 80
_ADDRESS, _TOKEN = "https://simulator.invalid", "campaign-token"
# A usual day; minutes before the session's end; before a Sunday's open; the last hours before the roll.
_BEGINNINGS = (
    *12 * (datetime(2026, 9, 9, 14, 30, tzinfo=UTC),),
    datetime(2026, 9, 9, 20, 40, tzinfo=UTC),
    datetime(2026, 9, 13, 21, 50, tzinfo=UTC),
    datetime(2026, 9, 9, 21, 50, tzinfo=UTC),
)


@dataclass(eq=False, slots=True)
class Call:
    """One call of the assistant: what it asked for, what it looked at, what left for it, and what it was told.

    Of an exit it is what was sent ``under`` the ticket of its entry, by its ``number``; ``keeps`` is a look of a watch.
    """

    process: "Process"
    commands: tuple[Command, ...]
    began: float
    ticket: Ticket | None = None
    commits_at: float | None = None
    looked: dict[str, float] = field(default_factory=dict)
    read: dict[str, float] = field(default_factory=dict)
    reads_of_positions: list[Request] = field(default_factory=list)
    shown_from: dict[str, float] = field(default_factory=dict)
    looked_first: dict[str, float] = field(default_factory=dict)
    listed: dict[str, float] = field(default_factory=dict)
    read_back: set[str] = field(default_factory=set)
    writes: list[Request] = field(default_factory=list)
    told: Outcome | Exception | None = None
    ended: float | None = None
    is_retold: bool = False
    was_blind: bool = False
    saw_no_orders: bool = False
    odd_quotes: dict[str, str] = field(default_factory=dict)
    number: int | None = None
    under: str = ""
    keeps: bool = False

    @property
    def is_over(self) -> bool:
        """Whether it was answered, or its process died."""
        return self.ended is not None or not self.process.lives


CALL: ContextVar[Call | None] = ContextVar("CALL", default=None)


def forget_before(looked: dict[str, float], moment: float) -> None:
    """Forget what was looked at before the question: nothing of it may count after the yes."""
    for account in [account for account, at in looked.items() if at <= moment]:
        del looked[account]


class Unmetered:
    """A budget that keeps nobody waiting."""

    async def wait(self, now: datetime, *, rank: Rank, waited: float = 0.0) -> float:
        """Let it go."""
        return 0.0

    async def penalise(self, now: datetime, retry_after_seconds: float) -> None:
        """Pass over it."""

    async def snapshot(self, now: datetime) -> Allowance:
        """Say that all is left."""
        return allowance(TokenBucket(), now)


class Alone:
    """A lease that nobody else wants."""

    async def take_lease(self, *_: object) -> bool:
        """Give it."""
        return True

    renew_lease = release_lease = take_lease


@dataclass(eq=False, repr=False)
class VirtualConnection(Connection):
    """The connection of the client, but for the bytes: what is asked and answered goes its ``way`` as it is."""

    way: Callable[[UpstreamCall, str, float], Awaitable[HttpAnswer]] = field(kw_only=True)

    async def _request(self, call: UpstreamCall, address: str, _: object) -> HttpAnswer | Exception:
        try:
            return await self.way(call, address, self.timeouts.connect_seconds + (self._timeout(call).read or 0.0))
        except Exception as error:  # noqa: BLE001  # as in the connection: the failures table judges it
            return error


class Process:
    """One process of ours. Once it has died nothing that it does has an effect: it never comes back from a wait."""

    def __init__(self, world: "World", service: str = OURS) -> None:
        self.lives, self._world, self.died = True, world, asyncio.Event()
        self._is_ours = service == OURS
        self.judged_by: set[tuple[Instrument, date]] = set()
        self.live: LiveCache | None = None
        upstream = CrossTrade(_ADDRESS, _TOKEN)
        upstream.connection = VirtualConnection(
            _ADDRESS,
            _TOKEN,
            transport=httpx.AsyncBaseTransport(),  # of which nothing is asked
            clock=world.clock,
            budget=Unmetered(),
            sleep=self._sleep,
            way=self.ask,
        )
        self.store = MemoryStore(world.database, self._disk, service)
        self.desk = Desk(upstream, self.store, world.policy, clock=world.clock, pause=self._pause)
        self.console = AccountReader(upstream, world.clock, self.desk.day_losses.note)

    async def listens(self) -> None:
        """Hear the stream, as `ct-mcp serve` does, until another process takes it: there is one for each token."""
        live = self.live = LiveCache(self._world.clock)
        stream = LiveStream(self._world.simulator.connect, clock=self._world.clock, pause=self._sleep)
        self.desk.contexts.hear_quotes(live)
        self.desk.warm.listen(live)
        self.desk.exit_watch.listen(live)
        self.desk.on_sent.append(live.sent)
        self.desk.pause = partial(live.pause, pause=self._sleep)
        await Feed(stream, live, Alone(), self._world.clock).run()

    def dies(self) -> None:
        """End it without a word."""
        self.lives = False
        self.died.set()

    async def ask(self, call: UpstreamCall, address: str, longest_seconds: float) -> HttpAnswer:
        """Send a request and wait, as long as it lives."""
        await self._living()
        try:
            answer = await self._world.network.carry(call, address, longest_seconds)
        except (httpx.HTTPError, TimeoutError):
            await self._living()
            raise
        await self._living()
        if self._is_ours and not self._world.skew:
            self._world.losses.hears(answer, self._world.now, self._world.true_clock())
        return answer

    async def _living(self) -> None:
        if not self.lives:
            # Kept, so that what waits for it is not collected, which would run its end.
            self._world.limbo.append(asyncio.get_running_loop().create_future())
            await self._world.limbo[-1]

    async def _disk(self, writes: bool) -> bool:  # noqa: FBT001  # as a disk is told it
        await asyncio.sleep(self._world.disk.seconds())
        await self._living()
        if is_full := writes and self._world.disk.fails():
            self._world.losses.is_troubled(self._world.now)
        return is_full

    async def _sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self._living()

    async def _pause(self, seconds: float) -> bool | None:
        await self._sleep(seconds)
        return None


@dataclass(slots=True)
class DiskWeather:
    """How the disk is at the moment."""

    rng: Random
    slow: bool = False
    failures: int = 0
    after: int = 0
    struck: int = 0

    def seconds(self) -> float:
        """How long a call takes; most take no time, and let others come between all the same."""
        drawn = self.rng.random()
        if self.slow and drawn < 0.1:
            return self.rng.uniform(0.5, 4.0)
        return drawn / 100 if drawn < 0.3 else 0.0

    def fails(self) -> bool:
        """Say whether this write fails."""
        if self.after:
            self.after -= 1
            return False
        if not self.failures:
            return False
        self.failures -= 1
        self.struck += 1
        return True


class World:
    """Everything of one episode, made from its chance alone."""

    def __init__(
        self,
        rng: Random,
        *,
        has_stream: bool = False,
        has_legs: bool = False,
        beginnings: Sequence[datetime] = _BEGINNINGS,
    ) -> None:
        self.rng, self.has_stream, self._listening = rng, has_stream, list[asyncio.Task[None]]()
        self.has_legs = has_legs
        self.begins_at = rng.choice(beginnings) + timedelta(seconds=rng.randrange(300))
        self.skew, self.was_skewed, self.is_copied = 0.0, False, False
        self._read_at = 0.0, self.begins_at
        self.is_live = rng.random() < 0.3
        self.policy = _policy(rng, is_live=self.is_live)
        own = OWN_ORDER_SIZE if rng.random() < 0.15 else 0
        pace, own_id_lookup, seed = _pace(rng), rng.random() < 0.7, rng.randrange(32)
        beside = Random(f"beside {self.begins_at} {seed}")
        self.own_limits, self.is_shared = own_limits(beside, SIM.name), beside.random() < 0.15
        self.policy = self.own_limits.settings(self.policy)
        self.losses = LossesRead(self.policy.limits)
        settings = SimulatorSettings(
            accounts=tuple(
                self.own_limits.spec(replace(spec, max_order_size=own or spec.max_order_size))
                for spec in ((SIM, LIVE) if self.is_live else (SIM, FOLLOWER))
            ),
            pace=pace,
            assumptions=AddOnAssumptions(own_id_lookup=own_id_lookup),
            strategies=(),
            rate_limit=None,
        )
        self.simulator = Simulator(seed=seed, clock=self.true_clock, token=_TOKEN, settings=settings)
        self.accounts = tuple(self.simulator.exchange.accounts)
        self.joins_exits = rng.random() < 0.5
        self.closes_if_unprotected = not has_legs or rng.random() < 0.7
        self.database = MemoryDatabase()
        self.weather = Weather(Random(rng.random()))
        self.disk = DiskWeather(Random(rng.random()))
        self.processes: list[Process] = []
        self.limbo: list[asyncio.Future[None]] = []
        self.is_calm = False
        self.on_restart: Callable[[Process], None] = lambda process: None

    def open(self, witness: Witness) -> None:
        """Begin: two processes over one store, before one network."""
        self.network = Network(self.simulator, self.weather, witness, CALL)
        self.processes, self.stranger = [Process(self), Process(self)], Process(self, THEIRS)

    def listen(self, process: Process) -> None:
        """Let a process hear the stream, if there is one."""
        if self.has_stream:
            self._listening.append(asyncio.get_running_loop().create_task(process.listens()))

    @property
    def now(self) -> float:
        """Virtual seconds since it began."""
        return asyncio.get_running_loop().time()

    def true_clock(self) -> datetime:
        """What time it really is."""
        try:
            now = self.now
        except RuntimeError:  # before the loop runs
            return self.begins_at
        if now != self._read_at[0]:
            self._read_at = now, self.begins_at + timedelta(seconds=now)
        return self._read_at[1]

    def clock(self) -> datetime:
        """What the clock of our machine says."""
        return self.true_clock() + timedelta(seconds=self.skew) if self.skew else self.true_clock()

    def restart(self, which: int) -> None:
        """End a process, and start another in its place over the same store."""
        self.processes[which].dies()
        self.losses.is_troubled(self.now)
        self.processes[which] = Process(self)
        self.listen(self.processes[which])
        self.on_restart(self.processes[which])

    def instrument(self, root: str, *, later: bool = False) -> Instrument:
        """The contract that a root means today, or the one three months later."""
        front = self.simulator.market.front(root, self.true_clock())
        years, month = divmod(front.month + 2, 12)
        return Instrument(front.root, front.year + years, month + 1) if later else self._named(front)

    def contract(self, instrument: Instrument) -> SimContract:
        """The simulator's contract of an instrument."""
        found = self.simulator.market.resolve(str(instrument), self.true_clock())
        assert found is not None
        return found

    @staticmethod
    def _named(contract: SimContract) -> Instrument:
        return Instrument(contract.root, contract.year, contract.month)


def _policy(rng: Random, *, is_live: bool) -> Policy:
    limits = Limits(
        max_order_contracts=5,
        max_position_contracts=MAX_POSITION,
        max_orders_per_minute=1000,
        max_orders_per_day=100_000,
    )
    if rng.random() < 0.15:
        limits = replace(limits, max_order_risk=Decimal(250), price_band_ticks=RISK_TICKS // 4)
    policy = Policy(limits=limits)
    policy = replace(policy, simulated=rng.choice([Approval.FORM, Approval.FORM, Approval.FORM, Approval.PAGE]))
    policy = replace(policy, exits_simulated=rng.choice([Approval.NONE, Approval.NONE, Approval.NONE, Approval.FORM]))
    if is_live:
        return replace(policy, mode=Mode.LIVE, accounts={each.name: AccountPolicy() for each in (SIM, LIVE)})
    return policy


def _pace(rng: Random) -> ExchangePace:
    """Usual, slow as on a busy day, or in many small fills."""
    usual = ExchangePace()
    return rng.choice([usual, usual, ExchangePace(0.3, 1.2), ExchangePace(0.1, 4.0, 1), ExchangePace(0.05, 0.6, 1)])


def one_exit_each(world: World) -> AbstractContextManager[None]:
    """Whether NinjaTrader joins two exits of one position nobody has documented: in some worlds it does not."""
    never = {} if world.joins_exits else {(commands, "closing_order"): lambda *_: None}
    return replaced(never)


@contextmanager
def seeded_ids(rng: Random) -> Iterator[None]:
    """Let tickets and codes come of the seed: what is random for a person's safety would make no story repeat."""
    names: dict[str, Callable[..., Any]] = {
        "token_hex": lambda size: rng.randbytes(size).hex(),
        "choice": rng.choice,
    }
    places = {(tickets_of_the_desk, name): value for name, value in names.items()}
    places |= {(module, "token_hex"): names["token_hex"] for module in (exit_tickets, exit_watch)}
    with replaced(places):
        yield


@contextmanager
def replaced(values: dict[tuple[Any, str], Any]) -> Iterator[None]:
    """Put something else in the place of attributes, and put them back."""
    before = {place: getattr(*place) for place in values}
    try:
        for (owner, name), value in values.items():
            setattr(owner, name, value)
        yield
    finally:
        for (owner, name), value in before.items():
            setattr(owner, name, value)
