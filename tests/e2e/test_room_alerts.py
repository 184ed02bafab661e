"""An alert on the room above a drawdown floor: read back, told once, and never taken for known where it is not."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.desk.controls import Actor
from ct_mcp.desk.desk import Desk
from ct_mcp.domain.account import Balances
from ct_mcp.domain.watch import WatchState
from ct_mcp.guard.firm_policy import Drawdown, DrawdownKind, FirmRules
from ct_mcp.guard.policy import AccountPolicy, Mode, Policy
from ct_mcp.simulator.accounts import SIM
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.simulator import SimulatorSettings
from ct_mcp.store.sqlite import SqliteStore
from tests.conftest import Person
from tests.e2e.conftest import Assistant, Told, World

FLOOR = Drawdown(DrawdownKind.STATIC, Decimal(2_000), Decimal(100_000))


@pytest.fixture
def settings() -> SimulatorSettings:
    """An account that has lost 760 of its 2,000."""
    return SimulatorSettings(accounts=(replace(SIM, cash=99_240.0), replace(SIM, id=3, name="Free")))


@pytest.fixture
def drawdown() -> Drawdown:
    """What moves the floor; tests override it."""
    return FLOOR


@pytest.fixture
def policy(drawdown: Drawdown) -> Policy:
    """A floor for one of two accounts."""
    return Policy(accounts={"Sim101": AccountPolicy(firm=FirmRules(drawdown=drawdown))})


async def sets(assistant: Assistant, level: float = 500, **more: Any) -> Told:
    """Ask to be told of the room."""
    return await assistant.call("set_watch", **{"kind": "room", "account": "Sim101", "at_or_below": level, **more})


async def notices(store: SqliteStore) -> list[str]:
    """All that was told, without what stands before it."""
    return [notice.words.partition("): ")[2] for notice in await store.notices(0, 100)]


async def looks(desk: Desk, world: World, seconds: float, times: int = 1) -> None:
    """Let time pass, and look each time."""
    for _ in range(times):
        world.later(seconds)
        await desk.exit_watch.look()


async def test_it_is_read_back_with_the_room_now(
    assistant: Assistant, store: SqliteStore, world: World, person: Person
) -> None:
    told = await sets(assistant)
    assert told.status == "set", told.text
    assert "tells when the room above the drawdown floor <= 500.00, now 1,240.00" in told.text
    assert (person.asked, world.writes()) == ([], 0)
    listed = await assistant.call("get_watches")
    assert "room above the drawdown floor <= 500.00" in listed.text


async def test_it_tells_once_when_the_room_is_reached(
    assistant: Assistant, desk: Desk, world: World, store: SqliteStore
) -> None:
    await sets(assistant)
    await looks(desk, world, 20)
    assert await notices(store) == []
    world.sim.exchange.accounts["Sim101"].cash -= 740.0
    await looks(desk, world, 20)
    (said,) = await notices(store)
    assert said == "tells when the room above the drawdown floor <= 500.00: it is 500.00"
    assert await store.watches() == ()
    told = await assistant.call("get_status")
    assert told.text.count("told by a watch:") == 1
    await looks(desk, world, 20, times=3)
    assert len(await notices(store)) == 1


async def test_one_that_is_reached_already_says_so_and_tells_at_once(
    assistant: Assistant, desk: Desk, world: World, store: SqliteStore
) -> None:
    told = await sets(assistant, 1_240)
    assert "it is so already, and will be told at once" in told.warnings_text
    await looks(desk, world, 1)
    assert await notices(store) == ["tells when the room above the drawdown floor <= 1,240.00: it is 1,240.00"]


async def test_an_account_without_a_floor_is_named_with_what_sets_one(assistant: Assistant, store: SqliteStore) -> None:
    told = await sets(assistant, account="Free")
    assert told.is_error
    assert "Free has no drawdown floor, so there is no room to watch" in told.text
    assert "nothing was sent" in told.text
    assert await store.watches() == ()


@pytest.mark.parametrize(
    "wanted", [{"at_or_below": None}, {"at_or_below": None, "at_or_above": 500}, {"account": None}]
)
async def test_it_needs_an_account_and_a_figure_below(assistant: Assistant, wanted: dict[str, Any]) -> None:
    told = await sets(assistant, **wanted)
    assert told.is_error
    assert "room needs a" in told.text


async def test_figures_that_cannot_be_read_are_told_as_not_known_once_and_fire_nothing(
    assistant: Assistant, desk: Desk, world: World, store: SqliteStore
) -> None:
    await sets(assistant, 1)
    world.sim.faults.arm(Fault.ERROR_500_BEFORE_ACCEPT, rpc="GetAccount", times=100)
    await looks(desk, world, 20)
    assert await notices(store) == [], "one failed read is no news"
    await looks(desk, world, 20, times=4)
    (said,) = await notices(store)
    assert said.startswith("the room is NOT KNOWN: equity could not be read")
    assert "Until it is known this may tell too late" in said
    (watch,) = await store.watches()
    assert watch.state is WatchState.WARNED
    world.sim.faults.disarm()
    await looks(desk, world, 20, times=2)
    assert (await notices(store))[1:] == [
        "the room is known again, 1,240.00: tells when the room above the drawdown floor <= 1.00"
    ]
    assert (await store.watches())[0].state is WatchState.OPEN


async def test_figures_that_the_service_does_not_report_are_not_known(
    assistant: Assistant, desk: Desk, world: World, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = CrossTrade.account

    async def without_figures(client: CrossTrade, name: str) -> Any:
        return replace(await read(client, name), balances=Balances())

    monkeypatch.setattr(CrossTrade, "account", without_figures)
    told = await sets(assistant)
    assert "now NOT KNOWN: the service does not report what the account is worth" in told.text
    await looks(desk, world, 20, times=4)
    assert await notices(store) == [], "it was told when it was set"


class TestWhereNobodyKnowsThePeak:
    """The account may have been worth more than anybody saw."""

    @pytest.fixture
    def drawdown(self) -> Drawdown:
        """The floor trails the highest equity."""
        return replace(FLOOR, kind=DrawdownKind.INTRADAY)

    async def test_the_room_is_a_most_and_the_person_is_told_how_to_tell_it(
        self, assistant: Assistant, desk: Desk, world: World, store: SqliteStore
    ) -> None:
        told = await sets(assistant)
        assert "now NOT KNOWN, 1,240.00 at most: the floor may be higher, the peak before" in told.text
        assert "ct-mcp floor Sim101 AMOUNT" in told.text
        await looks(desk, world, 20, times=4)
        assert await notices(store) == []
        await desk.controls.tell_floor("Sim101", Decimal(98_500), Actor.TERMINAL)
        await looks(desk, world, 20)
        (said,) = await notices(store)
        assert said.startswith("the room is known again, 740.00")

    async def test_what_is_reached_at_most_is_reached(
        self, assistant: Assistant, desk: Desk, world: World, store: SqliteStore
    ) -> None:
        await sets(assistant)
        world.sim.exchange.accounts["Sim101"].cash -= 900.0
        await looks(desk, world, 20)
        assert await notices(store) == ["tells when the room above the drawdown floor <= 500.00: it is 340.00 at most"]

    async def test_its_looks_leave_no_gap_in_the_record(
        self, assistant: Assistant, desk: Desk, world: World, store: SqliteStore
    ) -> None:
        await desk.controls.tell_floor("Sim101", Decimal(98_000), Actor.TERMINAL)
        await assistant.buys(1)
        await sets(assistant, 1)
        await looks(desk, world, 20, times=12)
        (day,) = (await store.balance_record("Sim101")).days
        assert day.unwatched is None


class TestWhereNothingMayTrade:
    """In mode read_only it is told as well."""

    @pytest.fixture
    def policy(self) -> Policy:
        """Look only."""
        return Policy(mode=Mode.READ_ONLY, accounts={"Sim101": AccountPolicy(firm=FirmRules(drawdown=FLOOR))})

    async def test_it_tells(self, assistant: Assistant, desk: Desk, world: World, store: SqliteStore) -> None:
        told = await assistant.call("set_alert", kind="room", account="Sim101", at_or_below=2_000)
        assert told.status == "set", told.text
        await looks(desk, world, 20)
        assert (await notices(store))[0].endswith("it is 1,240.00")
