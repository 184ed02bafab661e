"""Flattening and closing, and commands that are made in steps."""

from datetime import UTC, datetime, timedelta

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_mcp.simulator.accounts import LIVE, SIM, SimPosition
from ct_mcp.simulator.clock import ManualClock, wall_clock
from ct_mcp.simulator.commands import (
    FlattenScope,
    Steps,
    close_position,
    contracts_of,
    flatten,
    reduce_position,
    wait,
    wait_until,
)
from ct_mcp.simulator.exchange import Exchange, ExchangePace
from ct_mcp.simulator.faults import Faults, Lag
from ct_mcp.simulator.hours import MarketHours
from ct_mcp.simulator.market import Market
from ct_mcp.simulator.orders import Action, OrderLabels, OrderTerms, SimOrder, SimOrderState, SimOrderType
from ct_mcp.simulator.products import SimContract
from ct_mcp.simulator.simulator import Simulator

NOW = datetime(2026, 9, 9, 14, 30, tzinfo=UTC)
ES, CL = SimContract("ES", 2026, 9), SimContract("CL", 2026, 10)
LATER = NOW + timedelta(seconds=2)


@pytest.fixture
def exchange() -> Exchange:
    """An exchange with nothing on it."""
    faults = Faults()
    exchange = Exchange(Market(7, MarketHours.GLOBEX, faults), faults, ExchangePace(), (SIM, LIVE))
    exchange.begin(NOW)
    return exchange


def _hold(exchange: Exchange, contract: SimContract, quantity: int, account: str = "Sim101") -> SimPosition:
    owner = exchange.accounts[account]
    owner.book(contract, quantity, exchange.market.top(contract, NOW).last)
    return owner.positions[contract]


def _rest(exchange: Exchange, contract: SimContract, account: str = "Sim101") -> SimOrder:
    """Put a buy far below the market."""
    price = contract.product.price(exchange.market.top(contract, NOW).last - 400)
    terms = OrderTerms(contract, Action.BUY, 1, SimOrderType.LIMIT, limit_price=price)
    order = exchange.submit(exchange.accounts[account], terms, OrderLabels(), NOW)
    exchange.advance(NOW + timedelta(seconds=1))
    return order


def _nets(exchange: Exchange) -> list[int]:
    exchange.advance(LATER + timedelta(seconds=5))
    return [account.net(contract) for account in exchange.accounts.values() for contract in (ES, CL)]


def test_without_filters_everything_goes(exchange: Exchange) -> None:
    _hold(exchange, ES, 3)
    _hold(exchange, CL, -1, "APEX-482910")
    resting = [_rest(exchange, ES), _rest(exchange, CL, "APEX-482910")]
    left = flatten(exchange, FlattenScope("FlattenEverything"), LATER)
    assert len(left) == 2
    assert _nets(exchange) == [0, 0, 0, 0]
    assert {order.state for order in resting} == {SimOrderState.CANCELLED}


def test_a_resting_order_without_a_position_survives_the_flatten_of_its_instrument(exchange: Exchange) -> None:
    resting = _rest(exchange, ES)
    left = flatten(exchange, FlattenScope("Flatten", exchange.accounts["Sim101"], ES), LATER)
    exchange.advance(LATER + timedelta(seconds=1))
    assert left == []
    assert resting.state is SimOrderState.WORKING


def test_a_resting_order_beside_a_position_is_cancelled(exchange: Exchange) -> None:
    _hold(exchange, ES, 1)
    resting, elsewhere = _rest(exchange, ES), _rest(exchange, CL)
    flatten(exchange, FlattenScope("Flatten", exchange.accounts["Sim101"], ES), LATER)
    assert _nets(exchange)[0] == 0
    assert resting.state is SimOrderState.CANCELLED
    assert elsewhere.state is SimOrderState.WORKING


def test_the_flatten_of_an_account_cancels_its_orders_and_nobody_elses(exchange: Exchange) -> None:
    mine, theirs = _rest(exchange, ES), _rest(exchange, ES, "APEX-482910")
    flatten(exchange, FlattenScope("Flatten", exchange.accounts["Sim101"]), LATER)
    exchange.advance(LATER + timedelta(seconds=1))
    assert (mine.state, theirs.state) == (SimOrderState.CANCELLED, SimOrderState.WORKING)


@pytest.mark.parametrize(("direction", "nets"), [(1, [0, -1, 0, 0]), (-1, [3, 0, 0, 0])])
def test_a_direction_leaves_the_other_one_alone(exchange: Exchange, direction: int, nets: list[int]) -> None:
    _hold(exchange, ES, 3)
    _hold(exchange, CL, -1)
    flatten(exchange, FlattenScope("Flatten", direction=direction), LATER)
    assert _nets(exchange) == nets


def test_what_was_asked_to_close_is_told_as_it_was(exchange: Exchange) -> None:
    position = _hold(exchange, ES, 3)
    left = close_position(exchange, exchange.accounts["Sim101"], position, "ClosePosition", LATER)
    exchange.advance(LATER + timedelta(seconds=1))
    assert (left.position.quantity, position.quantity) == (3, 0)


def test_a_second_close_joins_the_first(exchange: Exchange) -> None:
    position = _hold(exchange, ES, 3)
    account = exchange.accounts["Sim101"]
    first, second = (close_position(exchange, account, position, "ClosePosition", LATER) for _ in range(2))
    assert first.order is second.order
    assert _nets(exchange)[0] == 0


def test_a_close_sells_no_more_than_is_held_when_its_turn_comes(exchange: Exchange) -> None:
    position = _hold(exchange, ES, 3)
    left = close_position(exchange, exchange.accounts["Sim101"], position, "ClosePosition", LATER)
    exchange.accounts["Sim101"].book(ES, -2, 24_000)
    assert _nets(exchange)[0] == 0
    assert left.order.filled == 1


def test_a_close_takes_along_what_has_filled_meanwhile(exchange: Exchange) -> None:
    position = _hold(exchange, ES, 3)
    left = close_position(exchange, exchange.accounts["Sim101"], position, "ClosePosition", LATER)
    exchange.accounts["Sim101"].book(ES, 2, 24_000)
    assert _nets(exchange)[0] == 0
    assert left.order.filled == 5


def test_a_close_that_comes_too_late_is_cancelled(exchange: Exchange) -> None:
    position = _hold(exchange, ES, 3)
    left = close_position(exchange, exchange.accounts["Sim101"], position, "ClosePosition", LATER)
    exchange.accounts["Sim101"].book(ES, -3, 24_000)
    assert _nets(exchange)[0] == 0
    assert left.order.state is SimOrderState.CANCELLED


def test_a_close_that_is_stuck_leaves_the_position_until_it_is_let_go(exchange: Exchange) -> None:
    position = _hold(exchange, ES, 3)
    exchange.faults.arm(Lag.CLOSE_STUCK)
    left = close_position(exchange, exchange.accounts["Sim101"], position, "ClosePosition", LATER)
    assert (_nets(exchange)[0], left.order.state) == (3, SimOrderState.WORKING)
    exchange.faults.disarm()
    exchange.advance(LATER + timedelta(seconds=10))
    assert (position.quantity, left.order.state) == (0, SimOrderState.FILLED)


def test_only_the_close_of_a_whole_position_is_ever_stuck(exchange: Exchange) -> None:
    position = _hold(exchange, ES, 3)
    exchange.faults.arm(Lag.CLOSE_STUCK)
    reduce_position(exchange, exchange.accounts["Sim101"], position, 2, LATER)
    assert _nets(exchange)[0] == 1


def test_a_partial_close_leaves_the_orders_as_large_as_they_were(exchange: Exchange) -> None:
    position, resting = _hold(exchange, ES, 3), _rest(exchange, ES)
    reduce_position(exchange, exchange.accounts["Sim101"], position, 2, LATER)
    assert _nets(exchange)[0] == 1
    assert (resting.state, resting.terms.quantity) == (SimOrderState.WORKING, 1)


def test_a_full_close_overtakes_a_partial_one(exchange: Exchange) -> None:
    position, account = _hold(exchange, ES, 3), exchange.accounts["Sim101"]
    reduce_position(exchange, account, position, 2, LATER)
    close_position(exchange, account, position, "Flatten", LATER)
    assert _nets(exchange)[0] == 0


@given(st.integers(1, 50), st.floats(0.01, 1.0))
def test_a_fraction_is_rounded_up_and_never_more_than_all(quantity: int, percent: float) -> None:
    part = contracts_of(SimPosition(ES, quantity), percent)
    assert 1 <= part <= quantity
    assert part >= quantity * percent - 1e-6


@pytest.mark.parametrize(("quantity", "percent", "part"), [(1, 0.1, 1), (4, 0.5, 2), (5, 0.5, 3), (10, 0.3, 3)])
def test_a_tenth_of_one_contract_is_one_contract(quantity: int, percent: float, part: int) -> None:
    assert contracts_of(SimPosition(ES, -quantity), percent) == part


def _seconds_waited(steps: Steps[datetime]) -> float:
    now = NOW
    try:
        seconds = next(steps)
        while True:
            now += timedelta(seconds=seconds)
            seconds = steps.send(now)
    except StopIteration as end:
        told = end.value
    assert told == now
    return (now - NOW).total_seconds()


def test_what_is_so_already_is_not_waited_for() -> None:
    assert _seconds_waited(wait_until(lambda: True, NOW)) == 0


def test_nothing_is_waited_for_longer_than_five_seconds() -> None:
    assert _seconds_waited(wait_until(lambda: False, NOW)) == pytest.approx(5)


def test_waiting_ends_when_it_is_so() -> None:
    looks = iter([False, False, False, True])
    assert _seconds_waited(wait_until(lambda: next(looks), NOW)) == pytest.approx(0.15)


@pytest.mark.parametrize("seconds", [0, 0.25])
def test_a_wait_is_as_long_as_it_is_said(seconds: float) -> None:
    assert _seconds_waited(wait(seconds, NOW)) == seconds


async def test_a_call_takes_the_time_of_a_clock_that_stands_still(sim: Simulator, clock: ManualClock) -> None:
    before = clock()
    await sim.addon.pause(2.5)
    assert clock() == sim.addon.now == before + timedelta(seconds=2.5)


async def test_two_calls_wait_beside_each_other(sim: Simulator, clock: ManualClock) -> None:
    before = clock()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sim.addon.pause, 2.0)
        tasks.start_soon(sim.addon.pause, 3.0)
    assert clock() == before + timedelta(seconds=3)


async def test_by_the_wall_clock_a_call_really_waits() -> None:
    sim = Simulator(clock=wall_clock)
    sim.advance()
    before = sim.addon.now
    await sim.addon.pause(0.01)
    assert sim.addon.now - before >= timedelta(seconds=0.01)


async def test_what_is_not_made_in_steps_is_finished_at_once(sim: Simulator, clock: ManualClock) -> None:
    before = clock()
    assert await sim.addon.complete({"success": True}) == {"success": True}
    assert clock() == before
