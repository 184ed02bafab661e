"""An order waits for the request budget, its intent is written, and somebody acts meanwhile: stops it, or trades."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from ct_mcp.crosstrade.rate_limit import Allowance, OwnBudget, Rank
from ct_mcp.desk.controls import Actor, Controls
from ct_mcp.domain.approval import Approval
from ct_mcp.domain.market import trading_day
from ct_mcp.guard.policy import AccountPolicy, Mode, Policy
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.orders import Action, OrderLabels, OrderTerms, SimOrderType
from ct_mcp.store.journal import EntryKind
from ct_mcp.store.sqlite import SqliteStore
from tests.e2e.conftest import Assistant, Told, World

ACCOUNT = "Sim101"
LIVE = "APEX-482910"


@dataclass
class WaitsOnce:
    """A budget that lets the first request after an intent wait for a second, in which somebody acts."""

    store: SqliteStore
    inner: OwnBudget = field(default_factory=OwnBudget)
    meanwhile: Callable[[], Awaitable[object]] | None = None

    async def wait(self, now: datetime, *, rank: Rank, waited: float = 0.0) -> float:
        """Let it wait, and act."""
        if self.meanwhile and (await self.store.entries(1))[0].kind is EntryKind.INTENT:
            act, self.meanwhile = self.meanwhile, None
            await act()
            return 1.0
        return await self.inner.wait(now, rank=rank, waited=waited)

    async def penalise(self, now: datetime, retry_after_seconds: float) -> None:
        """Take account of a 429."""
        await self.inner.penalise(now, retry_after_seconds)

    async def snapshot(self, now: datetime) -> Allowance:
        """Say what is left."""
        return await self.inner.snapshot(now)


@pytest.fixture
def policy() -> Policy:
    """Nobody is asked, so that the intent follows the call at once."""
    named = {name: AccountPolicy(Approval.NONE) for name in (ACCOUNT, LIVE)}
    return Policy(mode=Mode.LIVE, accounts=named)


@pytest.fixture
def budget(store: SqliteStore) -> WaitsOnce:
    """The budget that waits."""
    return WaitsOnce(store)


Stops = Callable[[SqliteStore, ManualClock], Awaitable[object]]


async def halts(store: SqliteStore, clock: ManualClock) -> None:
    await Controls(store, clock).halt("stop everything", Actor.TERMINAL)


async def loses(store: SqliteStore, clock: ManualClock) -> None:
    await store.mark_day_loss(ACCOUNT, trading_day(clock()), Decimal(-600), clock())


async def disarms(store: SqliteStore, clock: ManualClock) -> None:
    assert await store.disarm(LIVE, "terminal", clock())


@pytest.mark.parametrize(
    ("account", "stops", "says"),
    [(ACCOUNT, halts, "stop everything"), (ACCOUNT, loses, "day's loss"), (LIVE, disarms, "not armed")],
)
async def test_what_opens_is_not_sent_once_it_was_stopped_although_its_intent_was_written(
    assistant: Assistant,
    world: World,
    store: SqliteStore,
    budget: WaitsOnce,
    clock: ManualClock,
    account: str,
    stops: Stops,
    says: str,
) -> None:
    for each in (ACCOUNT, LIVE):
        await store.arm(each, clock() + timedelta(hours=1), "terminal", clock())
    budget.meanwhile = lambda: stops(store, clock)
    told = await assistant.buys(1, account=account)
    assert budget.meanwhile is None, "it did wait"
    assert says in told.text
    assert "Nothing was sent" in told.text
    assert (world.net(account=account), world.writes()) == (0, 0)
    assert not await store.unsettled()


async def test_what_only_leaves_is_sent_although_trading_was_halted_while_it_waited(
    assistant: Assistant, world: World, store: SqliteStore, budget: WaitsOnce, clock: ManualClock
) -> None:
    await store.arm(ACCOUNT, clock() + timedelta(hours=1), "terminal", clock())
    await assistant.buys(2)
    world.later()
    budget.meanwhile = lambda: halts(store, clock)
    told = await assistant.buys(1, action="SELL")
    assert budget.meanwhile is None
    assert (told.status, world.net()) == ("filled", 1), told.text


async def somebody_buys(world: World, clock: ManualClock, quantity: int) -> None:
    contract = world.sim.market.front("MES", clock())
    terms = OrderTerms(contract, Action.BUY, quantity, SimOrderType.MARKET)
    world.sim.exchange.submit(world.sim.exchange.accounts[ACCOUNT], terms, OrderLabels(rpc="ByHand"), clock())
    world.later(2)


async def time_passes(world: World) -> None:
    world.later(2)


async def turns(assistant: Assistant) -> Told:
    return await assistant.call("reverse_position", account=ACCOUNT, instrument="MES")


async def flattens_first(assistant: Assistant) -> Told:
    return await assistant.buys(1, flatten_first=True)


@pytest.mark.parametrize("asks", [turns, flattens_first])
async def test_what_would_leave_more_than_was_shown_is_not_sent(
    assistant: Assistant,
    world: World,
    store: SqliteStore,
    budget: WaitsOnce,
    clock: ManualClock,
    asks: Callable[[Assistant], Awaitable[Told]],
) -> None:
    await store.arm(ACCOUNT, clock() + timedelta(hours=1), "terminal", clock())
    await assistant.buys(2)
    world.later()
    writes = world.writes()
    budget.meanwhile = lambda: somebody_buys(world, clock, 3)
    told = await asks(assistant)
    assert budget.meanwhile is None, "it did wait"
    assert "MES 09-26 was +2 when this was reviewed and reads +5 by now" in told.text
    assert "Nothing was sent" in told.text
    world.later()
    assert (world.net(), world.writes()) == (5, writes)
    assert not await store.unsettled()


@pytest.mark.parametrize(("asks", "after"), [(turns, -2), (flattens_first, 1)])
async def test_what_leaves_first_goes_where_as_much_is_held_as_was_shown_however_long_it_waited(
    assistant: Assistant,
    world: World,
    store: SqliteStore,
    budget: WaitsOnce,
    clock: ManualClock,
    asks: Callable[[Assistant], Awaitable[Told]],
    after: int,
) -> None:
    await store.arm(ACCOUNT, clock() + timedelta(hours=1), "terminal", clock())
    await assistant.buys(2)
    world.later()
    budget.meanwhile = lambda: time_passes(world)
    await asks(assistant)
    assert budget.meanwhile is None
    world.later()
    assert world.net() == after
