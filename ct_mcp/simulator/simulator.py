"""The simulator as one object: a fake CrossTrade in front of a fake NinjaTrader 8.

    clock = ManualClock(datetime(2026, 9, 9, 14, 30, tzinfo=UTC))
    simulator = Simulator(seed=7, clock=clock, token="demo-token")
    client = httpx.AsyncClient(transport=simulator.transport(), base_url="http://simulator", headers=...)

* `.exchange`   accounts, orders, executions, record; `.exchange.orders` is every order there ever was
* `.strategies` the NinjaScript strategies; `.strategies.all` is every one there ever was
* `.faults`     `.faults.arm(Fault.ANSWER_LOST_AFTER_ACCEPT, rpc="PlaceOrder", times=1)`
* `.app`        the ASGI application, for a server or another transport
* `.transport()` an httpx transport in the same process
* `.connect(token)` a WebSocket in the same process, with the methods and the errors of `websockets`
* `.stream`     the service's side of the WebSocket; `.stream.session` is the open connection
* `.requests`   what arrived, oldest first: method, path, rpc, accepted
* `.advance(seconds)` moves a `ManualClock` and processes what is due

Nothing runs in the background: what is due happens when the next request arrives, stamped with the time at which it
was due. While a WebSocket is open, it happens when the clock moves.
"""

from collections import deque
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from starlette.types import ASGIApp

from ct_mcp.simulator.accounts import LIVE, SIM, AccountSpec
from ct_mcp.simulator.addon import AddOn, AddOnAssumptions
from ct_mcp.simulator.app import build_app
from ct_mcp.simulator.clock import Clock, ManualClock, wall_clock
from ct_mcp.simulator.exchange import Exchange, ExchangePace
from ct_mcp.simulator.faults import Faults
from ct_mcp.simulator.gateway import Gateway, RateLimit, ReceivedRequest
from ct_mcp.simulator.hours import Holidays, MarketHours
from ct_mcp.simulator.in_process import InProcessSocket, InProcessTransport, connect
from ct_mcp.simulator.market import Market
from ct_mcp.simulator.strategies import SEEDED_STRATEGIES, SeededStrategy, Strategies
from ct_mcp.simulator.stream.assumptions import StreamAssumptions
from ct_mcp.simulator.stream.hub import StreamHub


@dataclass(frozen=True, slots=True)
class SimulatorSettings:
    """Settings that are seldom changed. `rate_limit=None` lets every request through.

    `holidays` are days that close early, or not open at all: `((date(2026, 11, 27), time(12, 15)),)`.
    """

    accounts: tuple[AccountSpec, ...] = (SIM, LIVE)
    pace: ExchangePace = field(default_factory=ExchangePace)
    assumptions: AddOnAssumptions = field(default_factory=AddOnAssumptions)
    stream: StreamAssumptions = field(default_factory=StreamAssumptions)
    strategies: tuple[SeededStrategy, ...] = SEEDED_STRATEGIES
    holidays: Holidays = ()
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
        settings: SimulatorSettings | None = None,
    ) -> None:
        """Build the simulator. `market_hours` is `globex`, or `always` for a market that never closes."""
        settings = settings or SimulatorSettings()
        self.token = token
        self.clock = clock
        self.faults = Faults()
        self.market = Market(seed, MarketHours(market_hours), self.faults, settings.holidays)
        self.exchange = Exchange(self.market, self.faults, settings.pace, settings.accounts)
        self.requests: deque[ReceivedRequest] = deque(maxlen=10_000)
        now = clock()
        self.exchange.begin(now)
        self.strategies = Strategies(self.exchange, settings.strategies, now)
        self.addon = AddOn(self.exchange, clock, settings.assumptions, self.strategies, now)
        gateway = Gateway(self.addon, token, settings.rate_limit, self.requests)
        self.stream = self.addon.stream = StreamHub(gateway, settings.stream)
        self.exchange.record.listener = self.stream.report
        self.app: ASGIApp = build_app(gateway, self.stream)

    def transport(self) -> InProcessTransport:
        """Return an httpx transport to this simulator."""
        return InProcessTransport(self.app)

    def connect(self, token: str | None = None) -> AbstractAsyncContextManager[InProcessSocket]:
        """Connect a WebSocket to this simulator, with the right token if none is given."""
        return connect(self.stream, f"Bearer {self.token if token is None else token}")

    def advance(self, seconds: float = 0.0) -> None:
        """Move the clock, if it is a manual one, and process what is due."""
        if isinstance(self.clock, ManualClock):
            self.clock.advance(seconds)
        self.addon.wake()

    def requests_of(self, *rpcs: str) -> list[ReceivedRequest]:
        """List the requests that arrived under these names."""
        return [request for request in self.requests if request.rpc in rpcs]
