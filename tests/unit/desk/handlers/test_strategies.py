"""Strategies: started once, switched as read, and what they leave is said."""

from dataclasses import replace
from decimal import Decimal

import pytest

from ct_mcp.crosstrade.schemas.strategies import StrategyAcknowledged
from ct_mcp.desk.desk import Desk
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.ports import Upstream
from ct_mcp.domain.approval import Ticket
from ct_mcp.domain.commands import (
    ClosePosition,
    CloseStrategy,
    Command,
    DisableStrategy,
    EnableStrategy,
    Flatten,
    ReversePosition,
)
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.strategy import BarType, HostMode, StartStrategy
from ct_mcp.errors import AddonOffline, OutcomeUnknown, Unavailable
from ct_mcp.guard.denial import DenialCode
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault, Lag
from ct_mcp.simulator.simulator import Simulator
from ct_mcp.store.sqlite import SqliteStore
from tests.unit.desk.conftest import Buys, Does, Oddly, Prices

MES = Instrument("MES", 2026, 9)
Switch = type[EnableStrategy | DisableStrategy | CloseStrategy]


@pytest.fixture
def start(mes: Instrument) -> StartStrategy:
    """Start the one class of the simulator that trades."""
    return StartStrategy("Sim101", "HoldLong", mes, HostMode.ACCOUNT, BarType.MINUTE, 5, (("Quantity", 2),))


@pytest.fixture
async def running(does: Does, start: StartStrategy, sim: Simulator) -> str:
    """It holds two contracts with a stop behind them; its id."""
    told = await does(start)
    assert told.status is Status.CHANGED
    sim.advance(10)
    return str(told.strategy_id)


def net(sim: Simulator) -> int:
    """What the account really holds, signed."""
    return sum(held.quantity for held in sim.exchange.accounts["Sim101"].positions.values())


def copies(sim: Simulator) -> int:
    """How many of it were ever started."""
    return len([each for each in sim.strategies.all if each.plan.kind.name == "HoldLong"])


async def test_a_strategy_that_was_started_is_read_and_told_with_its_id(
    does: Does, start: StartStrategy, sim: Simulator, store: SqliteStore
) -> None:
    told = await does(start)
    assert (told.status, told.strategy_id) == (Status.CHANGED, sim.strategies.all[-1].id)
    assert told.reasons == (f"it reads: HoldLong on MES 09-26 HISTORICAL, enabled ({told.strategy_id})",)
    assert await store.unsettled() == ()


async def test_the_person_is_told_that_no_limit_holds_it(desk: Desk, start: StartStrategy, running: str) -> None:
    ticket = await desk.propose(EnableStrategy("Sim101", running))
    assert isinstance(ticket, Ticket)
    assert "the limits of ct-mcp do NOT hold what it sends" in ticket.question
    assert f"As it stands: HoldLong on MES 09-26 REALTIME, enabled ({running})" in ticket.question


async def test_the_person_is_told_so_before_a_start(desk: Desk, start: StartStrategy) -> None:
    ticket = await desk.propose(start)
    assert isinstance(ticket, Ticket)
    assert "the limits of ct-mcp do NOT hold what it sends" in ticket.question


@pytest.mark.parametrize("fault", [Fault.READ_TIMEOUT_AFTER_ACCEPT, Fault.EMPTY_BODY, Fault.ERROR_500_AFTER_ACCEPT])
async def test_a_start_of_lost_answer_is_found_by_the_id_that_was_not_there_before(
    does: Does, start: StartStrategy, sim: Simulator, store: SqliteStore, fault: Fault
) -> None:
    sim.faults.arm(fault, rpc="StartStrategy")
    sim.faults.arm(Lag.STALE_STRATEGY_LIST)
    told = await does(start)
    assert (told.status, told.strategy_id) == (Status.CHANGED, sim.strategies.all[-1].id)
    assert copies(sim) == 1
    assert await store.unsettled() == ()


async def test_a_start_that_never_arrived_is_unknown_and_never_repeated(
    does: Does, start: StartStrategy, sim: Simulator, store: SqliteStore
) -> None:
    sim.faults.arm(Fault.REQUEST_LOST_BEFORE_ACCEPT, rpc="StartStrategy", times=1)
    told = await does(start)
    assert (told.status, told.strategy_id) == (Status.UNKNOWN, None)
    assert told.next_step.startswith("do NOT send it again; look with get_strategies")
    again = await does(start)
    assert again.status is Status.DENIED
    assert len(sim.requests_of("StartStrategy")) == 1
    assert len(await store.unsettled()) == 1


async def test_the_same_parameters_in_another_order_start_no_second_copy(
    does: Does, start: StartStrategy, sim: Simulator
) -> None:
    await does(replace(start, parameters=(("Quantity", 1), ("StopTicks", 40))))
    again = await does(replace(start, parameters=(("StopTicks", Decimal("40.0")), ("Quantity", 1))))
    assert again.codes == {DenialCode.DUPLICATE_WITHIN_WINDOW}
    assert copies(sim) == 1


IN_OTHER_WORDS: dict[str, dict[str, object]] = {
    "a default written out": {"parameters": (("Quantity", 2), ("StopTicks", 40))},
    "on a chart": {"mode": HostMode.CHART},
    "another period": {"period": 4},
}


@pytest.mark.parametrize("words", IN_OTHER_WORDS.values(), ids=IN_OTHER_WORDS.keys())
async def test_a_start_of_unknown_outcome_holds_back_every_other_in_its_instrument(
    does: Does, start: StartStrategy, sim: Simulator, words: dict[str, object]
) -> None:
    sim.faults.arm(Fault.REQUEST_LOST_BEFORE_ACCEPT, rpc="StartStrategy", times=1)
    assert (await does(start)).status is Status.UNKNOWN
    told = await does(replace(start, **words))  # type: ignore[arg-type]
    assert told.codes == {DenialCode.OUTCOME_UNRESOLVED}
    assert "look with get_strategies" in told.reasons[0]
    elsewhere = replace(start, instrument=Instrument("MNQ", 2026, 9))
    assert (await does(elsewhere)).status is Status.CHANGED


async def test_a_start_of_unknown_outcome_holds_back_what_opens_there_and_nothing_that_leaves(
    does: Does, start: StartStrategy, long_two: Outcome, buy: Buys, price: Prices, sim: Simulator
) -> None:
    sim.faults.arm(Fault.REQUEST_LOST_BEFORE_ACCEPT, rpc="StartStrategy", times=1)
    assert (await does(start)).status is Status.UNKNOWN
    for opens in (buy(1), buy(1, kind="LIMIT", limit_price=price(-40)), ReversePosition("Sim101", MES)):
        assert DenialCode.OUTCOME_UNRESOLVED in (await does(opens)).codes
    assert (await does(buy(1, instrument=Instrument("MNQ", 2026, 9)))).status is Status.FILLED
    assert (await does(buy(2, "SELL", "STOP_MARKET", stop_price=price(-40)))).status is Status.WORKING
    assert (await does(buy(1, "SELL"))).status is Status.FILLED, "beside a stop it may open, and leaves all the same"
    sim.advance(20)
    assert net(sim) == 2, "one of each"


async def test_an_enabling_of_unknown_outcome_holds_back_what_opens_there(
    does: Does, running: str, buy: Buys, sim: Simulator
) -> None:
    await does(DisableStrategy("Sim101", running))
    sim.advance(20)
    sim.faults.arm(Fault.REQUEST_LOST_BEFORE_ACCEPT, rpc="EnableStrategy", times=1)
    assert (await does(EnableStrategy("Sim101", running))).status is Status.UNKNOWN
    assert (await does(buy(1))).codes == {DenialCode.OUTCOME_UNRESOLVED}


async def test_two_new_copies_leave_a_lost_start_unknown(
    odd: Oddly, start: StartStrategy, sim: Simulator, store: SqliteStore
) -> None:
    async def somebody_else_starts_one_too(inner: Upstream, wanted: StartStrategy) -> StrategyAcknowledged:
        await inner.start_strategy(wanted)
        await inner.start_strategy(wanted)
        raise OutcomeUnknown("StartStrategy got no answer")

    told = await odd("start_strategy", somebody_else_starts_one_too)(start)
    assert (told.status, told.strategy_id) == (Status.UNKNOWN, None)
    assert len([line for line in told.reasons if line.startswith("not there before, perhaps the one")]) == 2
    assert len(await store.unsettled()) == 1


async def test_nothing_is_started_while_the_strategies_cannot_be_listed(
    does: Does, start: StartStrategy, sim: Simulator, store: SqliteStore
) -> None:
    sim.faults.arm(Fault.REFUSED_WITH_400, rpc="ListAllStrategies")
    with pytest.raises(Unavailable, match="could not be listed before the start"):
        await does(start)
    assert copies(sim) == 0
    assert await store.unsettled() == ()


async def test_a_class_that_is_not_there_is_rejected_in_their_words(
    does: Does, mes: Instrument, sim: Simulator
) -> None:
    told = await does(StartStrategy("Sim101", "Nobody", mes, HostMode.ACCOUNT, BarType.MINUTE, 5))
    assert told.status is Status.REJECTED
    assert "Strategy class 'Nobody' not found" in told.reasons[0]


async def test_a_start_that_cannot_be_read_back_is_only_accepted(
    odd: Oddly, start: StartStrategy, sim: Simulator
) -> None:
    async def starts_and_goes_blind(inner: Upstream, wanted: StartStrategy) -> StrategyAcknowledged:
        taken = await inner.start_strategy(wanted)
        sim.faults.arm(Fault.HTML_PAGE)
        return taken

    told = await odd("start_strategy", starts_and_goes_blind)(start)
    assert (told.status, told.reasons) == (Status.ACCEPTED, ("the strategy could not be seen yet",))


async def test_a_paused_strategy_leaves_its_position_bare_and_that_is_cried_out(
    does: Does, running: str, sim: Simulator
) -> None:
    told = await does(DisableStrategy("Sim101", running))
    assert (told.status, told.position_after, told.strategy_id) == (Status.CHANGED, 2, running)
    assert told.alarm == "UNPROTECTED: 2 of the 2 contracts held in MES 09-26 stand without a stop"
    assert any(line.startswith("LONG 2 MES 09-26 at ") and line.endswith(" stays") for line in told.warnings)
    assert any(line.startswith("no longer standing: SELL 2 MES 09-26 STOP MARKET") for line in told.warnings)
    assert "close_position with account Sim101, instrument MES 09-26" in told.next_step
    assert "disabled" in told.reasons[0]


async def test_the_person_is_told_what_a_pause_leaves(desk: Desk, running: str) -> None:
    ticket = await desk.propose(DisableStrategy("Sim101", running))
    assert isinstance(ticket, Ticket)
    assert "Its position stays, and NinjaTrader may cancel its orders, the stop included." in ticket.question
    assert "LONG 2 MES 09-26" in ticket.question


@pytest.mark.parametrize(
    ("rpc", "action"),
    [("DisableStrategy", DisableStrategy), ("CloseStrategy", CloseStrategy), ("EnableStrategy", EnableStrategy)],
)
@pytest.mark.parametrize("arrives", [True, False], ids=["took effect", "never arrived"])
async def test_a_lost_answer_is_decided_by_what_the_strategy_reads(
    does: Does,
    running: str,
    sim: Simulator,
    store: SqliteStore,
    clock: ManualClock,
    rpc: str,
    action: Switch,
    *,
    arrives: bool,
) -> None:
    if action is EnableStrategy:
        await does(DisableStrategy("Sim101", running))
        sim.advance(20)
    sim.faults.arm(Fault.READ_TIMEOUT_AFTER_ACCEPT if arrives else Fault.REQUEST_LOST_BEFORE_ACCEPT, rpc=rpc)
    told = await does(action("Sim101", running))
    assert told.status is (Status.CHANGED if arrives else Status.UNKNOWN)
    assert len(sim.requests_of(rpc)) == 1
    assert len(await store.unsettled()) == (0 if arrives else 1)


async def test_an_enabled_strategy_is_read_as_enabled(does: Does, running: str, sim: Simulator) -> None:
    await does(DisableStrategy("Sim101", running))
    sim.advance(20)
    told = await does(EnableStrategy("Sim101", running))
    assert (told.status, told.strategy_id) == (Status.CHANGED, running)
    assert "REALTIME, enabled" in told.reasons[0]


async def test_a_closed_strategy_is_over_and_leaves_nothing(does: Does, running: str, sim: Simulator) -> None:
    told = await does(CloseStrategy("Sim101", running))
    assert (told.status, told.position_after, told.warnings) == (Status.CHANGED, 0, ())
    assert "FINALIZED" in told.reasons[0]


async def test_what_the_account_still_holds_after_a_close_is_told_with_the_calls_that_leave_it(
    does: Does, running: str, buy: Buys, price: Prices, sim: Simulator
) -> None:
    await does(buy(1))
    sim.advance(20)
    order = await does(buy(kind="LIMIT", limit_price=price(-40)))
    sim.advance(20)
    told = await does(CloseStrategy("Sim101", running))
    assert (told.status, told.position_after) == (Status.CHANGED, 1)
    assert any(line.startswith("LONG 1 MES 09-26") for line in told.warnings)
    assert f"cancel_order with account Sim101, order_id {order.order_id}" in told.next_step
    assert "close_position with account Sim101, instrument MES 09-26" in told.next_step


EXITS = [Flatten("Sim101", MES), Flatten("Sim101", None), ClosePosition("Sim101", MES)]


@pytest.mark.parametrize("first", EXITS)
async def test_a_strategy_is_not_closed_beside_an_exit_that_is_on_its_way(
    does: Does, running: str, sim: Simulator, first: Command
) -> None:
    sim.faults.arm(Lag.CLOSE_STUCK)
    assert (await does(first)).status is Status.ACCEPTED
    sim.advance(5)
    told = await does(CloseStrategy("Sim101", running))
    assert "EXIT_ON_ITS_WAY" in str(told.reasons)
    sim.faults.disarm()
    sim.advance(20)
    assert net(sim) == 0
    assert (await does(CloseStrategy("Sim101", running))).status is Status.CHANGED, "the first exit is over by now"


@pytest.mark.parametrize("second", EXITS)
async def test_a_position_is_not_left_twice_while_a_strategys_close_is_on_its_way(
    does: Does, running: str, sim: Simulator, second: Command
) -> None:
    sim.faults.arm(Fault.NO_FILL)
    told = await does(CloseStrategy("Sim101", running))
    assert "still standing: SELL 2 MES 09-26 MARKET" in str(told.warnings)
    assert "close_position" not in told.next_step
    assert "what is on its way is not sent again" in told.next_step
    sim.advance(3)
    assert "EXIT_ON_ITS_WAY" in str((await does(second)).reasons)
    sim.faults.disarm()
    sim.advance(20)
    assert net(sim) == 0


async def test_a_strategys_close_of_unknown_outcome_holds_exits_back_for_a_minute_and_no_longer(
    does: Does, running: str, sim: Simulator, clock: ManualClock, store: SqliteStore
) -> None:
    sim.faults.arm(Fault.REQUEST_LOST_BEFORE_ACCEPT, rpc="CloseStrategy", times=1)
    assert (await does(CloseStrategy("Sim101", running))).status is Status.UNKNOWN
    assert "EXIT_ON_ITS_WAY" in str((await does(Flatten("Sim101", MES))).reasons)
    clock.advance(60)
    assert (await does(Flatten("Sim101", MES))).status is Status.FLAT
    assert await store.unsettled() == ()


async def test_what_a_strategys_close_does_not_cover_leaves_after_it(
    does: Does, running: str, buy: Buys, sim: Simulator
) -> None:
    await does(buy(1))
    sim.advance(20)
    assert (await does(CloseStrategy("Sim101", running))).position_after == 1
    assert (await does(ClosePosition("Sim101", MES))).status is Status.FLAT


@pytest.mark.parametrize("action", [EnableStrategy, DisableStrategy, CloseStrategy])
async def test_a_strategy_that_is_over_or_not_there_is_rejected_in_their_words(
    does: Does, running: str, sim: Simulator, action: Switch
) -> None:
    await does(CloseStrategy("Sim101", running))
    sim.advance(20)
    over = await does(action("Sim101", running))
    assert over.status is Status.REJECTED or (action is CloseStrategy and over.status is Status.DENIED)
    nobody = await does(action("Sim101", "999999"))
    assert nobody.status is Status.REJECTED
    assert "CrossTrade said" in nobody.reasons[0]


async def test_an_offline_addon_switches_nothing(does: Does, running: str, sim: Simulator, store: SqliteStore) -> None:
    sim.faults.arm(Fault.ADDON_OFFLINE, rpc="DisableStrategy")
    with pytest.raises(AddonOffline):
        await does(DisableStrategy("Sim101", running))
    assert await store.unsettled() == ()


async def test_an_account_that_cannot_be_read_after_a_pause_says_so_first(
    odd: Oddly, running: str, sim: Simulator
) -> None:
    async def pauses_and_goes_blind(inner: Upstream, account: str, strategy_id: str) -> StrategyAcknowledged:
        taken = await inner.disable_strategy(account, strategy_id)
        sim.faults.arm(Fault.HTML_PAGE, rpc="ListPositions")
        return taken

    told = await odd("disable_strategy", pauses_and_goes_blind)(DisableStrategy("Sim101", running))
    assert told.status is Status.CHANGED
    assert told.warnings[0].startswith("what the account holds now could not be read")
    assert told.position_after is None


async def test_a_strategy_that_one_route_does_not_show_is_found_in_the_reliable_list(
    does: Does, running: str, sim: Simulator
) -> None:
    sim.faults.arm(Fault.HTML_PAGE, rpc="GetStrategy")
    told = await does(CloseStrategy("Sim101", running))
    assert told.status is Status.CHANGED
