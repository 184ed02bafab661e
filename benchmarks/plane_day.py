"""What a trader's day leaves in the database: a day at a real desk, played before the simulator on a clock of its own.

The day: so many questions, each asked by a form; half of them are entries with a stop that the person approves and
that fill, each closed again at the market minutes later; of the rest one half is declined and one left to expire. The
book is kept as it is elsewhere. Beside that, what a server writes all the time: see `Day`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial

from plane_agents import REPORTS_EVERY_SECONDS
from plane_values import ACCOUNT, report_of
from plane_world import Team

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.crosstrade.connection import utc_now
from ct_mcp.crosstrade.rate_limit import Allowance, Rank, TokenBucket, allowance
from ct_mcp.crosstrade.request import CallTimeouts
from ct_mcp.desk.desk import Desk
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.domain.approval import Approval, Ticket
from ct_mcp.domain.bracket import Bracket
from ct_mcp.domain.commands import ClosePosition, Command, PlaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.level import Distance, Unit
from ct_mcp.domain.order import OrderAction, OrderType, TimeInForce
from ct_mcp.guard.policy import Limits, Mode, Policy
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.exchange import ExchangePace
from ct_mcp.simulator.server import served
from ct_mcp.simulator.simulator import Simulator, SimulatorSettings
from ct_mcp.store.plane_trader import TraderPlane
from ct_mcp.store.postgres import Patience, PostgresStore
from ct_mcp.store.postgres_url import PostgresUrl
from ct_mcp.store.rate_limit_file import BucketState
from ct_mcp.store.rate_limit_table import RateLimitTable

MORNING = datetime(2026, 9, 9, 14, 30, tzinfo=UTC)  # a Wednesday: every market of the simulator is open
LOOKS_EVERY_SECONDS = 310.0
OPEN_SECONDS = 6 * 3600.0
TOKEN = "a-token-of-the-simulator"
LIMITS = Limits(
    max_orders_per_minute=1000, max_orders_per_day=1000, duplicate_window_seconds=0.0, max_day_loss=Decimal(10**6)
)
SIZES = """
SELECT relname, pg_total_relation_size(pg_class.oid)::bigint
FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE relkind = 'r' AND nspname = %s
"""


@dataclass(frozen=True, slots=True)
class Day:
    """How many questions there are, and for how many hours the server runs, a third of them with something held.

    A report goes out every six seconds, and the budget is written every ten. The lease of the stream is renewed every
    five seconds, that of the book every twenty, that of the exits every second while there are any.
    """

    questions: int = 60
    hours: float = 8.0

    def times(self, every_seconds: float) -> int:
        """How often something happens in those hours."""
        return int(self.hours * 3600 / every_seconds)

    @property
    def leases(self) -> dict[str, int]:
        """How often each is renewed."""
        return {"stream": self.times(5), "book": self.times(20), "exits": self.times(3)}


@dataclass(frozen=True, slots=True)
class Held:
    """What the tables of one schema hold: rows and bytes, with their indexes, and where the log of writes has come."""

    tables: dict[str, tuple[int, int]]
    log_bytes: int

    @property
    def rows(self) -> int:
        """All rows."""
        return sum(rows for _, rows in self.tables.values())

    @property
    def size(self) -> int:
        """All bytes on disk."""
        return sum(size for size, _ in self.tables.values())


def held(team: Team, schema: str) -> Held:
    """Look what the tables of a schema hold now."""
    tables = {name: (size, team.count(schema, name)) for name, size in team.asked(SIZES, schema)}
    ((log,),) = team.asked("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint")
    return Held(tables, log)


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


class Trader:
    """One trader at a desk, and the person."""

    def __init__(self, desk: Desk, clock: ManualClock, instrument: Instrument) -> None:
        self.desk, self.clock, self.instrument = desk, clock, instrument
        self.executions = 0

    async def asks(self, number: int, apart_seconds: float) -> None:
        """Ask once, and let the rest of the time pass until the next question."""
        bracket = Bracket(Distance(Decimal(40), Unit.TICK))
        action = OrderAction.BUY if number % 4 else OrderAction.SELL
        entry = PlaceOrder(
            ACCOUNT, self.instrument, action, 1, OrderType.MARKET, None, None, TimeInForce.DAY, bracket=bracket
        )
        ticket = await self._drawn(entry)
        self.clock.advance(5)
        if number % 2 == 0:
            await self.desk.decisions.approve(ticket, "form")
            await self._done(await self.desk.commit(ticket.ticket_id), Status.FILLED)
            await self._passes(apart_seconds / 2)
            leaving = await self._drawn(ClosePosition(ACCOUNT, self.instrument))
            await self._done(await self.desk.commit(leaving.ticket_id), Status.FLAT)
            await self._passes(apart_seconds / 2 - 5)
        else:
            if number % 4 == 1:
                await self.desk.decisions.decline(ticket, "form")
            await self._passes(apart_seconds - 5)

    async def _passes(self, seconds: float) -> None:
        """Let time pass; the book is read as often as without a stream, or the service forgets what was filled."""
        while seconds > 0:
            self.clock.advance(min(seconds, LOOKS_EVERY_SECONDS))
            seconds -= LOOKS_EVERY_SECONDS
            await self.desk.recorder.look()
            await self.desk.exit_watch.look()

    async def _drawn(self, command: Command) -> Ticket:
        drawn = await self.desk.propose(command, "a break of the opening range, with the trend of the day")
        if isinstance(drawn, Outcome):
            raise RuntimeError(f"{command} was not drawn: {drawn.reasons}")
        return drawn

    async def _done(self, outcome: Outcome, status: Status) -> None:
        if outcome.status is not status:
            raise RuntimeError(f"{outcome.status} instead of {status}: {outcome.reasons}")
        self.executions += 1


async def play(url: PostgresUrl, day: Day) -> int:
    """Play the day of one trader; gives how many orders filled."""
    clock = ManualClock(MORNING)
    at_once = ExchangePace(acknowledgement_seconds=0.0, fill_seconds=0.0)
    sim = Simulator(seed=7, clock=clock, token=TOKEN, settings=SimulatorSettings(pace=at_once, rate_limit=None))
    store = PostgresStore(url)

    async def pause(seconds: float) -> None:
        clock.advance(seconds)

    async with (
        served(sim) as at,
        CrossTrade(at, TOKEN, CallTimeouts(turn_seconds=25), clock=clock, budget=Unmetered(), sleep=pause) as client,
    ):
        desk = Desk(client, store, Policy(Mode.SIM, LIMITS, simulated=Approval.FORM), clock=clock, pause=pause)
        front = sim.market.front("MES", clock())
        trader = Trader(desk, clock, Instrument("MES", front.year, front.month))
        for number in range(day.questions):
            await trader.asks(number, OPEN_SECONDS / day.questions)
    await store.close()
    await beside(url, day)
    return trader.executions


async def beside(url: PostgresUrl, day: Day) -> None:
    """Write what a server writes that only stands there; how long it takes is not measured: no disk is waited for."""
    plane, store = TraderPlane(url, required=True), PostgresStore(url, patience=Patience(waits_for_disk=False))
    for number in range(day.times(REPORTS_EVERY_SECONDS)):
        await plane.report(report_of(number))
    for name, times in day.leases.items():
        for number in range(times):
            at = MORNING + timedelta(seconds=number)
            await store.take_lease(name, "this machine", at, timedelta(seconds=15))
    meters = RateLimitTable(url, utc_now)
    for number in range(day.times(10)):
        await meters.change("a-budget", partial(_taken, MORNING + timedelta(seconds=number)))
    for each in (plane, store, meters):
        await each.close()


def _taken(at: datetime, _: BucketState | None) -> tuple[BucketState, None]:
    return BucketState(19.0, at), None


def grown(before: Held, after: Held) -> Iterable[tuple[str, int, int]]:
    """List what has grown, the largest first: the table, its rows and its bytes."""
    tables = (
        (name, rows - before.tables[name][1], size - before.tables[name][0])
        for name, (size, rows) in after.tables.items()
    )
    return sorted((each for each in tables if each[1] or each[2]), key=lambda each: -each[2])
