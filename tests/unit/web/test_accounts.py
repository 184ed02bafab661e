"""What the person sees of their accounts: read as often as the budget allows, and unknown where it was not read."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import anyio
import pytest

from ct_mcp.domain.account import Account, AccountKind, AccountSnapshot, Direction, Position
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import Order
from ct_mcp.errors import AddonOffline, AuthFailed, AuthReason, BudgetExhausted, CtMcpError, RateLimited, Unavailable
from ct_mcp.guard.policy import Mode
from ct_mcp.web.accounts import GOOD_FOR_SECONDS, AccountReader, AccountsSnapshot, ArmingStatus, broken_link

NOW = datetime(2026, 9, 9, 14, 30, tzinfo=UTC)
SIM = Account("Sim101", AccountKind.SIMULATED)
LIVE = Account("APEX-1", AccountKind.LIVE)
HELD = Position("Sim101", Instrument("MES", 2026, 9), Direction.LONG, 2, Decimal(6050))


@dataclass
class Service:
    """A service that tells of one flat account, or fails as a test wants; and the clock."""

    accounts_fail: CtMcpError | None = None
    orders_fail: CtMcpError | None = None
    now: datetime = NOW
    takes: timedelta = timedelta(0)
    asked: list[str] = field(default_factory=list)

    async def snapshot(self) -> tuple[AccountSnapshot, ...]:
        """Tell of the accounts."""
        self.asked.append("accounts")
        self.now += self.takes
        if self.accounts_fail:
            raise self.accounts_fail
        return (AccountSnapshot(SIM, (), is_flat=True),)

    async def all_orders(self, *, active_only: bool) -> tuple[Order, ...]:
        """Tell of the orders."""
        assert active_only
        self.asked.append("orders")
        if self.orders_fail:
            raise self.orders_fail
        return ()

    def reader(self) -> AccountReader:
        """Somebody who reads from it."""
        return AccountReader(self, lambda: self.now)


async def test_however_many_ask_at_once_it_is_read_once() -> None:
    service = Service()
    reader = service.reader()
    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(reader.read)
    assert service.asked == ["accounts", "orders"]


@pytest.mark.parametrize(
    ("seconds", "readings"), [(0, 1), (GOOD_FOR_SECONDS - 0.1, 1), (GOOD_FOR_SECONDS, 2), (-0.1, 2), (-3600, 2)]
)
async def test_a_reading_that_is_old_or_of_the_future_is_made_anew(seconds: float, readings: int) -> None:
    service = Service()
    reader = service.reader()
    await reader.read()
    service.now += timedelta(seconds=seconds)
    assert (await reader.read()).read_at == (NOW if readings == 1 else service.now)
    assert service.asked.count("accounts") == readings


async def test_a_reading_is_as_old_as_its_first_question() -> None:
    service = Service(takes=timedelta(seconds=2))
    assert (await service.reader().read()).age_seconds(service.now) == 2


async def test_orders_that_could_not_be_read_leave_the_accounts() -> None:
    failure = Unavailable("no answer")
    snapshot = await Service(orders_fail=failure).reader().read()
    assert (snapshot.positions, snapshot.working_orders, snapshot.failures) == ([], None, (failure,))


async def test_where_the_accounts_fail_the_orders_are_not_asked_for() -> None:
    service = Service(accounts_fail=AddonOffline("it is off"))
    snapshot = await service.reader().read()
    assert (snapshot.accounts, snapshot.positions, snapshot.working_orders) == (None, None, None)
    assert service.asked == ["accounts"]


def seen(positions: tuple[Position, ...], is_flat: bool | None) -> AccountsSnapshot:
    """One account that was read, with what was told of its positions."""
    return AccountsSnapshot(NOW, (AccountSnapshot(SIM, positions, is_flat),), (), ())


@pytest.mark.parametrize(
    ("positions", "is_flat", "shown"),
    [
        ((), True, []),
        ((), None, []),
        ((HELD,), False, [HELD]),
        ((), False, None),
    ],
)
def test_an_account_that_says_it_holds_something_and_not_what_is_unknown(
    positions: tuple[Position, ...], is_flat: bool | None, shown: list[Position] | None
) -> None:
    assert seen(positions, is_flat).positions == shown


@pytest.mark.parametrize(("seconds", "age"), [(3.5, 3.5), (-5, 0)])
def test_nothing_is_younger_than_now(seconds: float, age: float) -> None:
    assert seen((), is_flat=True).age_seconds(NOW + timedelta(seconds=seconds)) == age


@pytest.mark.parametrize(
    ("failure", "link"),
    [
        (AuthFailed("x", AuthReason.TOKEN_REFUSED), "The token does not open CrossTrade"),
        (AddonOffline("x"), "The add-on inside NinjaTrader does not answer"),
        (RateLimited("x"), "CrossTrade asks us to slow down"),
        (BudgetExhausted("x"), "Our own request budget is used up"),
        (Unavailable("x"), "CrossTrade cannot be reached"),
    ],
)
def test_the_link_that_is_broken_is_named(failure: CtMcpError, link: str) -> None:
    assert broken_link(failure) == link


@pytest.mark.parametrize(
    ("mode", "simulated", "live"),
    [
        (Mode.READ_ONLY, "may not trade", "may not trade"),
        (Mode.SIM, "not needed", "may not trade"),
        (Mode.LIVE, "not armed", "14:30 UTC"),
    ],
)
def test_what_may_trade_depends_on_the_mode(mode: Mode, simulated: str, live: str) -> None:
    status = ArmingStatus(mode, {LIVE.name: NOW})
    assert (status.describe(SIM), status.describe(LIVE)) == (simulated, live)
    assert ArmingStatus(mode, None).describe(SIM) == "unknown"
