"""A stop is not taken unasked because one list came back empty; what takes no stop asks nobody, and costs nothing."""

from typing import Any

import pytest

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.desk.desk import Desk
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.polling import Pause
from ct_mcp.domain.approval import Approval, Ticket
from ct_mcp.domain.commands import CancelOrder, CancelOrders, Command, DisableStrategy
from ct_mcp.guard.policy import AccountPolicy, Mode, Policy
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.orders import Action, OrderLabels, OrderTerms, SimOrderType, SimTimeInForce
from ct_mcp.simulator.simulator import Simulator
from ct_mcp.simulator.strategies import COMPILED, StrategyPlan
from ct_mcp.store.sqlite import SqliteStore
from ct_mcp.text import format_price
from tests.unit.desk.conftest import MES, Buys, Does, Odd, Prices, Way

SIM, LIVE = "Sim101", "APEX-482910"
LISTS = ["ListPositions", "ListOrders"]
ALL: list[Command] = [CancelOrders(SIM, None), CancelOrders(SIM, MES)]


@pytest.fixture
async def stop(does: Does, long_two: Outcome, buy: Buys, price: Prices, sim: Simulator) -> str:
    """The id of the only stop, of the two contracts that are held."""
    told = await does(buy(2, action="SELL", kind="STOP_MARKET", stop_price=price(-40)))
    sim.advance(20)
    return str(told.order_id)


def by_hand(sim: Simulator, account: str, root: str, action: Action, stop: float = 0.0) -> str:
    """Place an order for two at NinjaTrader, at the market or as a stop, and let a moment pass."""
    now, kind = sim.clock(), SimOrderType.STOP_MARKET if stop else SimOrderType.MARKET
    terms = OrderTerms(sim.market.front(root, now), action, 2, kind, SimTimeInForce.GTC, stop_price=stop)
    order = sim.exchange.submit(sim.exchange.accounts[account], terms, OrderLabels(rpc="ByHand"), now)
    sim.advance(5)
    return str(order.id)


async def due(desk: Desk, command: Command) -> Approval:
    """What a command has to be asked by."""
    ticket = await desk.propose(command)
    assert isinstance(ticket, Ticket), ticket
    return ticket.approval


async def asked(desk: Desk, sim: Simulator, command: Command) -> list[str]:
    """What is asked of the service, by its names, before a command that nobody is asked about may leave."""
    before = len(sim.requests)
    assert await due(desk, command) is Approval.NONE
    return sorted(request.rpc for request in list(sim.requests)[before:])


@pytest.mark.parametrize("times", [1, None], ids=["once", "each time"])
@pytest.mark.parametrize("rpc", LISTS)
@pytest.mark.parametrize("command", ALL, ids=str)
async def test_a_cancel_of_all_that_takes_the_only_stop_is_asked_about_though_one_list_is_empty(
    desk: Desk, stop: str, sim: Simulator, command: Command, rpc: str, times: int | None
) -> None:
    sim.faults.arm(Fault.EMPTY_LISTS, rpc=rpc, times=times)
    ticket = await desk.propose(command)
    assert isinstance(ticket, Ticket)
    assert ticket.approval is not Approval.NONE
    assert "what this leaves unprotected is not known" in ticket.question


async def test_the_cancel_of_the_only_stop_is_asked_about_though_positions_are_empty(
    desk: Desk, stop: str, sim: Simulator
) -> None:
    sim.faults.arm(Fault.EMPTY_LISTS, rpc="ListPositions")
    assert await due(desk, CancelOrder(SIM, stop)) is not Approval.NONE
    unread = (await desk.preview(CancelOrder(SIM, stop))).context.unread
    assert unread == ("positions contradict each other: the list holds no MES 09-26, other reports do",)


@pytest.mark.parametrize("fault", [Fault.ERROR_500_BEFORE_ACCEPT, Fault.HTML_PAGE])
async def test_where_the_second_source_cannot_be_read_it_is_asked_about(
    desk: Desk, stop: str, sim: Simulator, fault: Fault
) -> None:
    sim.faults.arm(Fault.EMPTY_LISTS, rpc="ListPositions")
    sim.faults.arm(fault, rpc="GetPosition")
    assert await due(desk, CancelOrder(SIM, stop)) is not Approval.NONE


async def test_on_a_live_account_the_cancel_of_the_only_stop_asks_as_strictly_as_the_settings_say(
    crosstrade: CrossTrade, store: SqliteStore, clock: ManualClock, pause: Pause, sim: Simulator
) -> None:
    strict = {LIVE: AccountPolicy(approval=Approval.PAGE_PIN)}
    policy = Policy(mode=Mode.LIVE, accounts=strict, exits_live=Approval.PAGE_PIN)
    desk = Desk(crosstrade, store, policy, clock=clock, pause=pause)
    by_hand(sim, LIVE, "MES", Action.BUY)
    stop = by_hand(sim, LIVE, "MES", Action.SELL, stop=5000.0)
    sim.faults.arm(Fault.EMPTY_LISTS, rpc="ListPositions")
    assert await due(desk, CancelOrder(LIVE, stop)) is Approval.PAGE_PIN


async def test_stops_of_several_instruments_are_held_against_the_report_and_each_position_that_it_shows(
    desk: Desk, stop: str, sim: Simulator
) -> None:
    by_hand(sim, SIM, "MNQ", Action.BUY, stop=30_000.0)
    sim.faults.arm(Fault.EMPTY_LISTS, rpc="ListPositions")
    before = len(sim.requests)
    assert await due(desk, CancelOrders(SIM, None)) is not Approval.NONE
    rpcs = [request.rpc for request in list(sim.requests)[before:]]
    assert rpcs[-2:] == ["GetAccountSummary", "GetPosition"], "MES, and not MNQ, which the report does not show"


@pytest.mark.parametrize("is_held", [True, False])
async def test_the_pause_of_a_strategy_is_asked_about_where_its_position_is_in_no_list(
    desk: Desk, sim: Simulator, clock: ManualClock, *, is_held: bool
) -> None:
    if is_held:
        plan = StrategyPlan(COMPILED["HoldLong"], SIM, sim.market.front("MES", clock()))
        running = sim.strategies.start(plan, clock())
        sim.advance(10)
    else:
        running = next(each for each in sim.strategies.all if each.plan.account == SIM)
    sim.faults.arm(Fault.EMPTY_LISTS, rpc="ListPositions")
    assert (await due(desk, DisableStrategy(SIM, str(running.id))) is not Approval.NONE) is is_held


# What it costs ------------------------------------------------------------------------------------------------------


async def test_the_cancel_of_an_entry_while_flat_asks_nobody_and_for_nothing_more(
    desk: Desk, does: Does, buy: Buys, price: Prices, sim: Simulator
) -> None:
    entry = await does(buy(kind="LIMIT", limit_price=price(-40)))
    sim.advance(20)
    for command in [*ALL, CancelOrder(SIM, str(entry.order_id))]:
        assert await asked(desk, sim, command) == sorted(LISTS)


async def test_the_cancel_of_an_entry_that_is_a_stop_asks_for_the_position_by_its_name_and_nobody(
    desk: Desk, does: Does, buy: Buys, price: Prices, sim: Simulator
) -> None:
    entry = await does(buy(kind="STOP_MARKET", stop_price=price(40)))
    sim.advance(20)
    for command in [*ALL, CancelOrder(SIM, str(entry.order_id))]:
        assert await asked(desk, sim, command) == ["GetPosition", *sorted(LISTS)]


async def test_a_list_that_shows_what_is_over_hides_no_stop(desk: Desk, long_two: Outcome, sim: Simulator) -> None:
    for command in ALL:
        assert await asked(desk, sim, command) == sorted(LISTS)


# What is said afterwards --------------------------------------------------------------------------------------------


async def test_where_every_list_was_empty_the_answer_cries_over_the_position_that_lost_its_stop(
    crosstrade: CrossTrade,
    store: SqliteStore,
    clock: ManualClock,
    pause: Pause,
    long_two: Outcome,
    sim: Simulator,
    price: Prices,
) -> None:
    empty = {"orders", "all_orders"}

    def once(name: str) -> Way:
        async def listed(inner: Any, *given: object, **named: object) -> object:
            if name not in empty:
                return await getattr(inner, name)(*given, **named)
            empty.remove(name)
            return ()

        return listed

    stop = price(-40)
    by_hand(sim, SIM, "MES", Action.SELL, stop=float(stop))
    lists = Odd(crosstrade, {name: once(name) for name in empty})
    desk = Desk(lists, store, Policy(), clock=clock, pause=pause)
    ticket = await desk.propose(CancelOrders(SIM, None))
    assert isinstance(ticket, Ticket)
    assert ticket.approval is Approval.NONE, "two lists and the journal say that nothing stands"
    told = await desk.commit(ticket.ticket_id)
    assert told.status is Status.CANCELLED
    assert "went with the others, though no list had shown it before: cancelled: SELL 2 MES" in str(told.warnings)
    assert told.alarm == "UNPROTECTED: 2 of the 2 contracts held in MES 09-26 stand without a stop"
    assert "tell the person now; place_order with account" in told.next_step
    assert f"stop_price {format_price(stop)}" in told.next_step
