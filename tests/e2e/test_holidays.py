"""A day that ends early: the time to be flat by comes earlier, with its warning, by whoever says so."""

from dataclasses import replace
from datetime import UTC, date, datetime, time
from typing import Any

import pytest

from ct_mcp.config.values import flat_by
from ct_mcp.desk.desk import Desk
from ct_mcp.guard.firm_policy import Automation
from ct_mcp.guard.policy import AccountPolicy, Limits, Policy, Watching
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.hours import CENTRAL, Holidays
from ct_mcp.simulator.orders import Action, OrderLabels, OrderTerms, SimOrderType
from ct_mcp.simulator.simulator import SimulatorSettings
from ct_mcp.store.sqlite import SqliteStore
from tests.conftest import Person
from tests.e2e.conftest import Assistant, World

EARLY = time(12, 15)


@pytest.fixture
def clock() -> ManualClock:
    """Nine in the morning in Chicago, on the Friday after Thanksgiving."""
    return ManualClock(datetime(2026, 11, 27, 15, tzinfo=UTC))


@pytest.fixture
def holidays() -> Holidays:
    """What the exchange does, and the service knows; tests override it."""
    return ((date(2026, 11, 27), EARLY),)


@pytest.fixture
def settings(holidays: Holidays) -> SimulatorSettings:
    """A market with holidays."""
    return SimulatorSettings(holidays=holidays)


@pytest.fixture
def policy() -> Policy:
    """Flat by ten past three in Chicago, which acts."""
    limits = replace(Limits(), flat_by=flat_by("15:10 America/Chicago"))
    return Policy(limits=limits, watches=Watching(flat_by_acts=True, warn_minutes=10))


async def told_by(store: SqliteStore) -> list[str]:
    """All that watches have told."""
    return [notice.words for notice in await store.notices(0, 100)]


async def looks_at(desk: Desk, world: World, hour: int, minute: int) -> None:
    """Let the time of day in Chicago come, and look."""
    there = world.clock().astimezone(CENTRAL).replace(hour=hour, minute=minute, second=0, microsecond=0)
    world.later((there - world.clock()).total_seconds())
    await desk.exit_watch.look()


async def test_on_a_day_that_ends_early_it_warns_and_acts_earlier(
    assistant: Assistant, desk: Desk, world: World, store: SqliteStore
) -> None:
    assert (await assistant.buys(2)).status == "filled"
    await looks_at(desk, world, 11, 14)
    assert await told_by(store) == []
    await looks_at(desk, world, 11, 17)
    (warned,) = await told_by(store)
    assert "flat by 2026-11-27 17:25 UTC (today at 2026-11-27 17:25 UTC: trading ends at 2026-11-27 18:15 UTC" in warned
    assert "as the service reports), in 8 minutes this is cancelled and closed: LONG 2" in warned
    assert world.net() == 2
    await looks_at(desk, world, 11, 25)
    assert world.net() == 0
    assert "trading ends at 2026-11-27 18:15 UTC, as the service reports), and it is flat" in (await told_by(store))[1]


async def test_what_is_opened_by_hand_after_it_goes_as_well_and_nothing_opens_through_us(
    assistant: Assistant, desk: Desk, world: World, store: SqliteStore
) -> None:
    await looks_at(desk, world, 11, 26)
    denied = await assistant.buys(1)
    assert "FLAT_BY_PASSED" in denied.reasons_text
    assert "today at 2026-11-27 17:25 UTC" in denied.reasons_text
    assert await store.watches() != (), "by hand something may still be opened"
    by_hand(world)
    await looks_at(desk, world, 11, 40)
    assert world.net() == 0
    await looks_at(desk, world, 15, 11)
    assert await store.watches() == ()


def by_hand(world: World) -> None:
    """Let somebody buy one MES in NinjaTrader itself."""
    account, contract = world.sim.exchange.accounts["Sim101"], world.sim.market.front("MES", world.clock())
    terms = OrderTerms(contract, Action.BUY, 1, SimOrderType.MARKET)
    world.sim.exchange.submit(account, terms, OrderLabels(), world.clock())


@pytest.mark.parametrize("goes_on", ["in one process", "each time in another"])
async def test_however_often_something_is_opened_by_hand_it_is_closed_and_told(
    assistant: Assistant,
    world: World,
    desk: Desk,
    another_desk: Desk,
    store: SqliteStore,
    goes_on: str,
) -> None:
    """Only sends that left something held are tries."""
    desks = (desk, another_desk if goes_on == "each time in another" else desk)
    contract, account = world.sim.market.front("MES", world.clock()), world.sim.exchange.accounts["Sim101"]
    for number in range(5):
        await looks_at(desks[number % 2], world, 11, 26 + 5 * number)
        terms = OrderTerms(contract, Action.BUY, 1, SimOrderType.MARKET)
        world.sim.exchange.submit(account, terms, OrderLabels(), world.clock())
        world.later(20)
        await desks[number % 2].exit_watch.look()
        world.later(20)
        assert world.net() == 0, await told_by(store)
    told = await told_by(store)
    assert sum("and it is flat; it was: LONG 1" in line for line in told) == 5, told
    assert not any("NOT FLAT" in line for line in told), told


async def test_two_moments_in_which_nothing_could_be_read_are_not_a_long_one(
    assistant: Assistant, world: World, desk: Desk
) -> None:
    """What is unread for a while is flattened unseen; it was read in between."""
    for hour in (12, 14):
        await looks_at(desk, world, hour, 0)
        sent = world.writes()
        world.sim.faults.arm(Fault.ERROR_500_BEFORE_ACCEPT, rpc="ListPositions")
        await looks_at(desk, world, hour, 1)
        assert world.writes() == sent
        world.sim.faults.disarm()
    world.sim.faults.arm(Fault.ERROR_500_BEFORE_ACCEPT, rpc="ListPositions")
    await looks_at(desk, world, 14, 3)
    world.later(11)
    await desk.exit_watch.look()
    assert world.writes() == sent + 1


async def test_the_time_is_told_beside_the_account_and_in_the_question(
    assistant: Assistant, world: World, person: Person
) -> None:
    told = await assistant.call("get_account", account="Sim101")
    line = "Flat by 2026-11-27 17:25 UTC (15:10 America/Chicago; today at 2026-11-27 17:25 UTC: trading ends at"
    assert any(each.startswith(line) for each in told.structure["rules_of_funded_account"]), told.text
    order: dict[str, Any] = {"instrument": "MES", "action": "BUY", "order_type": "MARKET", "quantity": 1}
    preview = await assistant.call("preview_order", account="Sim101", **order)
    assert "Flat by 2026-11-27 17:25 UTC" in preview.text
    await assistant.buys(1)
    assert "Flat by" in person.asked[-1]
    assert "2026-11-27 17:25 UTC" in person.asked[-1]


async def test_a_time_that_the_person_names_stays_theirs_and_is_warned_of(
    assistant: Assistant, person: Person, store: SqliteStore
) -> None:
    told = await assistant.call("set_watch", kind="flat_by", account="Sim101", time="15:10 America/Chicago")
    assert told.status == "set", told.text
    late = "trading ends at 2026-11-27 18:15 UTC that day, the day after Thanksgiving by the table of 2026-11-30"
    assert late in person.asked[-1]
    told = await assistant.call("set_watch", kind="flat_by", account="Sim101", time="11:30 America/Chicago")
    assert late not in person.asked[-1]
    assert len(await store.watches()) == 2


@pytest.mark.parametrize("automation", list(Automation))
class TestWhereNothingIsClosed:
    """The time is set and does not act; or nothing is ever sent to the account."""

    @pytest.fixture
    def policy(self, automation: Automation) -> Policy:
        """Flat by ten past three."""
        limits = replace(Limits(), flat_by=flat_by("15:10 America/Chicago"))
        acts = automation is Automation.ADVISE
        account = AccountPolicy(automation=automation)
        return Policy(limits=limits, watches=Watching(flat_by_acts=acts), accounts={"Sim101": account})

    async def test_the_person_is_told_to_close_by_hand(
        self, assistant: Assistant, desk: Desk, world: World, store: SqliteStore
    ) -> None:
        by_hand(world)
        await looks_at(desk, world, 11, 17)
        assert "in 8 minutes this is yours to cancel and close: LONG 1" in (await told_by(store))[0]
        listed = await assistant.call("get_watches")
        assert "tells what is open before 2026-11-27 17:25 UTC, and closes nothing" in listed.text
        await looks_at(desk, world, 11, 26)
        assert "its time has come (today at 2026-11-27 17:25 UTC" in (await told_by(store))[1]
        assert "nothing is closed for you: LONG 1" in (await told_by(store))[1]
        await looks_at(desk, world, 11, 40)
        assert (world.net(), world.writes(), await store.watches()) == (1, 0, ())
        told = await assistant.call("get_account", account="Sim101")
        assert "nothing is closed for you" in told.text


class TestWhereTheServiceSaysThatTheDayIsUsual:
    """The exchange has changed its mind since the table was made."""

    @pytest.fixture
    def holidays(self) -> Holidays:
        """None."""
        return ()

    async def test_its_word_goes_before_the_table(
        self, assistant: Assistant, desk: Desk, world: World, store: SqliteStore
    ) -> None:
        assert (await assistant.buys(1)).status == "filled"
        await looks_at(desk, world, 11, 30)
        assert world.net() == 1
        world.later(60)
        assert (await assistant.buys(1)).status == "filled"
        await looks_at(desk, world, 15, 10)
        assert world.net() == 0

    async def test_what_is_opened_after_the_time_of_the_table_stands(
        self, assistant: Assistant, desk: Desk, world: World
    ) -> None:
        await looks_at(desk, world, 11, 30)
        assert (await assistant.buys(1)).status == "filled"
        await looks_at(desk, world, 11, 31)
        assert world.net() == 1

    @pytest.mark.parametrize("rpc", ["MarketInfo", "ListPositions"])
    async def test_a_read_that_fails_makes_nothing_early_that_was_told_as_usual(
        self, assistant: Assistant, desk: Desk, world: World, rpc: str
    ) -> None:
        assert (await assistant.buys(1)).status == "filled"
        await looks_at(desk, world, 11, 0)
        world.sim.faults.arm(Fault.ERROR_500_BEFORE_ACCEPT, rpc=rpc)
        for minute in range(20, 50, 5):
            await looks_at(desk, world, 11, minute)
        assert world.net() == 1
        world.sim.faults.disarm()
        await looks_at(desk, world, 15, 10)
        assert world.net() == 0


class TestWhereTheTableDoesNotKnowIt:
    """A day of mourning, say."""

    @pytest.fixture
    def clock(self) -> ManualClock:
        """A Monday like any other, early in the morning in Chicago."""
        return ManualClock(datetime(2026, 11, 30, 13, tzinfo=UTC))

    @pytest.fixture
    def holidays(self) -> Holidays:
        """The market closes at half past nine."""
        return ((date(2026, 11, 30), time(9, 30)),)

    async def test_it_is_found_out_from_the_session(
        self, assistant: Assistant, desk: Desk, world: World, store: SqliteStore
    ) -> None:
        assert (await assistant.buys(1)).status == "filled"
        await looks_at(desk, world, 8, 32)
        assert "flat by 2026-11-30 14:40 UTC (today at 2026-11-30 14:40 UTC" in (await told_by(store))[0]
        await looks_at(desk, world, 8, 40)
        assert world.net() == 0


async def test_the_simulator_plays_a_holiday(assistant: Assistant, world: World) -> None:
    world.later((12 - 9) * 3600 + 15 * 60)
    denied = await assistant.buys(1)
    assert "SESSION_CLOSED" in denied.reasons_text
