"""The simulator's front door: one object that holds a whole world.

    clock = ManualClock(datetime(2026, 9, 9, 14, 30, tzinfo=UTC))
    simulator = Simulator(seed=7, clock=clock, token="demo-token")
    client = httpx.AsyncClient(transport=simulator.transport(), base_url="http://simulator", headers=...)

* `.exchange`   accounts, orders, executions, record; `.exchange.orders` is every order there ever was
* `.strategies` the NinjaScript strategies; `.strategies.all` is every one there ever was
* `.faults`     `.faults.arm(Fault.ANSWER_LOST_AFTER_ACCEPT, rpc="PlaceOrder", times=1)`
* `.app`        the ASGI application, for a server or another transport
* `.transport()` an httpx transport into the same process
* `.connect(token)` a socket into the same process, with the methods and the errors of `websockets`
* `.stream`     the service's side of the socket; `.stream.session` is the connection that lives
* `.requests`   what arrived, oldest first: method, path, rpc, accepted
* `.advance(seconds)` moves a `ManualClock` and works off what is due

Nothing runs in the background: what is due happens when the next request arrives,
stamped with the time at which it was due. While a socket is open, it happens when the
clock moves.
"""

from collections import deque
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from starlette.types import ASGIApp

from ct_mcp.simulator.addon import AddOn, Habits
from ct_mcp.simulator.app import build_app
from ct_mcp.simulator.budget import RateLimit
from ct_mcp.simulator.clock import Clock, ManualClock, wall_clock
from ct_mcp.simulator.door import Door, Seen
from ct_mcp.simulator.exchange import Exchange, Pace
from ct_mcp.simulator.faults import Faults
from ct_mcp.simulator.hours import MarketHours
from ct_mcp.simulator.ledger import LIVE, SIM, AccountSpec
from ct_mcp.simulator.market import Market
from ct_mcp.simulator.strategies import SEEDS, Seed, Strategies
from ct_mcp.simulator.stream.habits import StreamHabits
from ct_mcp.simulator.stream.hub import Hub
from ct_mcp.simulator.stream.inside import InProcessSocket, connected
from ct_mcp.simulator.transport import InProcessTransport


@dataclass(frozen=True, slots=True)
class Settings:
    """What is seldom changed. `rate_limit=None` lets every request through."""

    accounts: tuple[AccountSpec, ...] = (SIM, LIVE)
    pace: Pace = field(default_factory=Pace)
    habits: Habits = field(default_factory=Habits)
    stream: StreamHabits = field(default_factory=StreamHabits)
    strategies: tuple[Seed, ...] = SEEDS
    rate_limit: RateLimit | None = field(default_factory=RateLimit)


class Simulator:
    """A fake CrossTrade in front of a fake NinjaTrader 8."""

    def __init__(
        self,
        *,
        seed: int = 1,
        clock: Clock = wall_clock,
        token: str = "simulator-token",  # noqa: S107 - it opens nothing but this simulator
        market_hours: str = MarketHours.GLOBEX,
        settings: Settings | None = None,
    ) -> None:
        """Build a world. `market_hours` is `globex`, or `always` for a tour on a Saturday."""
        settings = settings or Settings()
        self.token = token
        self.clock = clock
        self.faults = Faults()
        self.market = Market(seed, MarketHours(market_hours), self.faults)
        self.exchange = Exchange(self.market, self.faults, settings.pace, settings.accounts)
        self.requests: deque[Seen] = deque(maxlen=10_000)
        now = clock()
        self.exchange.begin(now)
        self.strategies = Strategies(self.exchange, settings.strategies, now)
        self.addon = AddOn(self.exchange, clock, settings.habits, self.strategies, now)
        door = Door(self.addon, token, settings.rate_limit, self.requests)
        self.stream = self.addon.stream = Hub(door, settings.stream)
        self.exchange.record.listener = self.stream.told
        self.app: ASGIApp = build_app(door, self.stream)

    def transport(self) -> InProcessTransport:
        """Make an httpx transport into this world."""
        return InProcessTransport(self.app)

    def connect(self, token: str | None = None) -> AbstractAsyncContextManager[InProcessSocket]:
        """Connect a socket into this world, with the right token if none is given."""
        return connected(self.stream, f"Bearer {self.token if token is None else token}")

    def advance(self, seconds: float = 0.0) -> None:
        """Move the clock, if it can be moved, and work off what is due."""
        if isinstance(self.clock, ManualClock):
            self.clock.advance(seconds)
        self.addon.wake()

    def requests_of(self, *rpcs: str) -> list[Seen]:
        """List the requests that arrived under these names."""
        return [seen for seen in self.requests if seen.rpc in rpcs]
