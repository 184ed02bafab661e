"""What becomes of intents whose fate was not known."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.crosstrade.schemas.strategies import StrategyAcknowledged
from ct_mcp.desk.desk import Desk
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.ports import Upstream
from ct_mcp.desk.reconcile import settle_outstanding
from ct_mcp.domain.commands import (
    CancelOrder,
    CancelOrders,
    ChangeOrder,
    ClosePosition,
    CloseStrategy,
    Command,
    DisableStrategy,
    Flatten,
    ProtectPosition,
    ReplaceOrder,
    ReversePosition,
)
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import OWN_ID
from ct_mcp.domain.strategy import BarType, HostMode, StartStrategy
from ct_mcp.errors import OutcomeUnknown
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault, Lag
from ct_mcp.simulator.orders import SimOrderState
from ct_mcp.simulator.simulator import Simulator
from ct_mcp.store.journal import Entry, EntryKind, NewEntry
from ct_mcp.store.sqlite import SqliteStore
from tests.unit.desk.conftest import Buys, Does, Oddly, Prices

Settles = Callable[..., Awaitable[list[Entry]]]
Of = Callable[[Instrument], Command]


@pytest.fixture
def settle(desk: Desk, store: SqliteStore, clock: ManualClock) -> Settles:
    """Look once, and give the entries that settled something."""

    async def settled(account: str = "Sim101") -> list[Entry]:
        before = (await store.entries(1))[0].sequence
        await settle_outstanding(desk.upstream, desk.pause, store, clock, account)
        return [entry for entry in await store.entries(50) if entry.sequence > before]

    return settled


def found_of(settled: Entry) -> Mapping[str, Any]:
    """What an entry says was found."""
    return settled.detail


async def lost(does: Does, sim: Simulator, action: Command, rpc: str) -> None:
    """Send something that never arrives and gets no answer."""
    sim.faults.arm(Fault.REQUEST_LOST_BEFORE_ACCEPT, rpc=rpc, times=1)
    assert (await does(action)).status is Status.UNKNOWN


async def test_nothing_is_looked_for_while_nothing_is_outstanding(
    settle: Settles, long_two: Outcome, sim: Simulator
) -> None:
    asked = len(sim.requests)
    assert await settle() == []
    assert len(sim.requests) == asked


async def test_an_order_is_settled_by_the_id_that_they_acknowledged(
    settle: Settles, does: Does, buy: Buys, sim: Simulator, store: SqliteStore
) -> None:
    sim.faults.arm(Fault.FROZEN_ORDERS)
    accepted = await does(buy())
    assert accepted.status is Status.ACCEPTED
    (settled,) = await settle()
    assert (settled.kind, settled.ticket_id) == (EntryKind.SETTLED, accepted.ticket_id)
    assert settled.detail == {
        "order_id": accepted.order_id,
        "state": "SUBMITTED",
        "filled": 0,
        "stands": f"BUY 1 MES 09-26 MARKET SUBMITTED ({accepted.order_id})",
    }
    assert await store.unsettled() == ()


async def test_what_is_not_found_stays_outstanding_however_long_ago(
    settle: Settles, does: Does, buy: Buys, sim: Simulator, clock: ManualClock, store: SqliteStore
) -> None:
    await lost(does, sim, buy(), "PlaceOrder")
    clock.advance(7 * 86_400)
    assert await settle() == []
    assert len(await store.unsettled()) == 1


@pytest.mark.parametrize("fault", [Fault.CONNECT_REFUSED, Fault.HTML_PAGE, Fault.BROKER_RATE_LIMITED])
async def test_a_look_that_fails_settles_nothing_and_stops_nothing(
    settle: Settles, does: Does, buy: Buys, sim: Simulator, store: SqliteStore, fault: Fault
) -> None:
    sim.faults.arm(Fault.FROZEN_ORDERS)
    await does(buy())
    sim.faults.arm(fault)
    assert await settle() == []
    assert len(await store.unsettled()) == 1


async def test_only_the_account_that_is_asked_about_is_looked_at(
    settle: Settles, does: Does, buy: Buys, sim: Simulator
) -> None:
    sim.faults.arm(Fault.FROZEN_ORDERS)
    await does(buy())
    assert await settle("APEX-482910") == []


async def test_a_change_is_settled_once_the_order_stands_as_asked(
    settle: Settles, does: Does, odd: Oddly, buy: Buys, price: Prices, sim: Simulator
) -> None:
    order_id = str((await does(buy(kind="LIMIT", limit_price=price(-40)))).order_id)

    async def is_lost(inner: Upstream, change: ChangeOrder) -> None:
        await inner.change_order(change)
        sim.faults.arm(Fault.BAD_GATEWAY, rpc="GetOrder")
        sim.faults.arm(Fault.HTML_PAGE, rpc="ListOrders")
        raise OutcomeUnknown("the answer was lost")

    wanted = ChangeOrder("Sim101", order_id, limit_price=price(-60))
    assert (await odd("change_order", is_lost)(wanted)).status is Status.UNKNOWN
    sim.faults.disarm()
    (settled,) = await settle()
    assert settled.detail["order_id"] == order_id


async def test_a_change_that_never_arrived_is_settled_with_its_order(
    settle: Settles, does: Does, buy: Buys, price: Prices, sim: Simulator, clock: ManualClock
) -> None:
    order_id = str((await does(buy(kind="LIMIT", limit_price=price(-40)))).order_id)
    await lost(does, sim, ChangeOrder("Sim101", order_id, limit_price=price(-60)), "Change")
    clock.advance(30)
    assert await settle() == [], "it may still come"
    await does(CancelOrder("Sim101", order_id))
    (settled,) = await settle()
    assert settled.detail["state"] == "CANCELLED"


async def test_a_cancel_of_an_order_by_our_own_id_is_settled_by_the_id_that_they_gave_it(
    settle: Settles, does: Does, buy: Buys, price: Prices, sim: Simulator
) -> None:
    """Their rows do not show ours."""
    told = await does(buy(kind="LIMIT", limit_price=price(-40)))
    await lost(does, sim, CancelOrder("Sim101", f"{OWN_ID}{told.ticket_id}"), "Cancel")
    assert await settle() == []
    await does(CancelOrder("Sim101", str(told.order_id)))
    (settled,) = await settle()
    assert settled.detail == {"order_id": told.order_id, "state": "CANCELLED", "filled": 0, "is_over": True}


@pytest.mark.parametrize("rpc", ["Change", "Cancel"])
async def test_what_never_arrived_is_settled_by_the_order_that_stands_once_it_cannot_be_under_way(
    settle: Settles, does: Does, buy: Buys, price: Prices, sim: Simulator, clock: ManualClock, rpc: str
) -> None:
    limit = price(-40)
    order_id = str((await does(buy(kind="LIMIT", limit_price=limit))).order_id)
    change, cancel = ChangeOrder("Sim101", order_id, limit_price=price(-60)), CancelOrder("Sim101", order_id)
    await lost(does, sim, change if rpc == "Change" else cancel, rpc)
    clock.advance(30)
    assert await settle() == [], "it may still come"
    clock.advance(31)
    sim.exchange.orders[0].state = SimOrderState.CANCEL_PENDING
    assert await settle() == [], "something is on its way"
    sim.exchange.orders[0].state = SimOrderState.WORKING
    (settled,) = await settle()
    stands = f"BUY 1 MES 09-26 LIMIT {limit:f} WORKING ({order_id})"
    assert settled.detail == {
        "order_id": order_id,
        "state": "WORKING",
        "filled": 0,
        "stands": stands,
        "is_over": True,
    }, "with the price that it stands at"


async def test_a_cancel_is_settled_once_the_order_is_over(
    settle: Settles, does: Does, buy: Buys, price: Prices, sim: Simulator, clock: ManualClock
) -> None:
    order_id = str((await does(buy(kind="LIMIT", limit_price=price(-40)))).order_id)
    await lost(does, sim, CancelOrder("Sim101", order_id), "Cancel")
    clock.advance(30)
    assert await settle() == []
    sim.exchange.cancel(sim.exchange.orders[0], clock())
    sim.advance(1)
    (settled,) = await settle()
    assert settled.detail["state"] == "CANCELLED"


@pytest.mark.parametrize(
    ("rpc", "action"),
    [
        ("ClosePosition", lambda mes: ClosePosition("Sim101", mes, 1)),
        ("Flatten", lambda mes: Flatten("Sim101", None)),
        ("CancelOrders", lambda mes: CancelOrders("Sim101", mes)),
    ],
    ids=["close", "flatten", "cancel orders"],
)
async def test_an_exit_is_settled_by_what_stands_once_it_cannot_be_under_way(
    settle: Settles,
    long_two: Outcome,
    does: Does,
    buy: Buys,
    price: Prices,
    sim: Simulator,
    clock: ManualClock,
    mes: Instrument,
    rpc: str,
    action: Of,
) -> None:
    await does(buy(kind="LIMIT", limit_price=price(-40)))
    await lost(does, sim, action(mes), rpc)
    clock.advance(50)
    assert await settle() == []
    clock.advance(10)
    (settled,) = await settle()
    assert settled.kind is EntryKind.SETTLED
    (held,), (order,) = found_of(settled)["positions"], found_of(settled)["orders"]
    assert held.startswith("LONG 2 MES 09-26")
    assert order.startswith("BUY 1 MES 09-26 LIMIT")


ACKNOWLEDGED: dict[str, Of] = {
    "close": lambda mes: ClosePosition("Sim101", mes),
    "part of it": lambda mes: ClosePosition("Sim101", mes, quantity=2),
    "flatten": lambda mes: Flatten("Sim101", mes),
    "flatten everything": lambda mes: Flatten("Sim101", None),
}


@pytest.fixture(params=ACKNOWLEDGED.values(), ids=list(ACKNOWLEDGED))
async def stuck(request: pytest.FixtureRequest, does: Does, long_two: Outcome, sim: Simulator, mes: Instrument) -> None:
    """An exit that they acknowledged, and that has not filled yet."""
    sim.faults.arm(Lag.CLOSE_STUCK)
    assert (await does(request.param(mes))).status is Status.ACCEPTED


async def test_an_exit_that_they_acknowledged_is_settled_as_soon_as_the_account_is_flat(
    settle: Settles, stuck: None, sim: Simulator, store: SqliteStore
) -> None:
    assert await settle() == [], "it may still fill"
    sim.faults.disarm()
    sim.advance(2)
    (settled,) = await settle()
    assert (settled.kind, settled.detail) == (EntryKind.SETTLED, {"positions": [], "orders": [], "is_over": True})
    assert await store.unsettled() == ()


async def test_an_exit_that_they_acknowledged_is_not_settled_by_an_empty_list_alone(
    settle: Settles, stuck: None, sim: Simulator, store: SqliteStore
) -> None:
    sim.faults.arm(Fault.EMPTY_LISTS)
    assert await settle() == []
    assert len(await store.unsettled()) == 1


async def test_an_exit_whose_answer_was_lost_may_still_come_though_the_account_is_flat(
    settle: Settles,
    does: Does,
    long_two: Outcome,
    crosstrade: CrossTrade,
    sim: Simulator,
    mes: Instrument,
    clock: ManualClock,
) -> None:
    await lost(does, sim, Flatten("Sim101", mes), "Flatten")
    await crosstrade.close_position(ClosePosition("Sim101", mes))
    sim.advance(2)
    assert await settle() == []
    clock.advance(60)
    (settled,) = await settle()
    assert settled.detail == {"positions": [], "orders": [], "is_over": True}


async def test_an_exit_is_not_settled_while_nothing_can_be_read(
    settle: Settles, long_two: Outcome, does: Does, sim: Simulator, clock: ManualClock
) -> None:
    await lost(does, sim, Flatten("Sim101", None), "Flatten")
    clock.advance(600)
    sim.faults.arm(Fault.POSITIONS_WITHOUT_SUCCESS)
    assert await settle() == []


async def test_an_intent_without_its_ticket_stays_outstanding(
    settle: Settles, store: SqliteStore, clock: ManualClock
) -> None:
    """Written by a version that knew more than this one: nobody here can say what it was."""
    entry = NewEntry(EntryKind.INTENT, "SIM  Sim101  ...", account="Sim101", ticket_id="elsewhere", opens=True)
    await store.append(entry, clock())
    assert await settle() == []
    assert len(await store.unsettled()) == 1


async def test_a_turn_is_settled_by_what_stands_once_it_cannot_be_under_way(
    settle: Settles, long_two: Outcome, lost_turn: None, clock: ManualClock, store: SqliteStore
) -> None:
    clock.advance(50)
    assert await settle() == []
    clock.advance(10)
    (settled,) = await settle()
    assert found_of(settled)["positions"][0].startswith("LONG 2 MES 09-26")
    assert await store.unsettled() == ()


@pytest.fixture
async def lost_turn(does: Does, long_two: Outcome, sim: Simulator, mes: Instrument) -> None:
    """A reverse that never arrived, and got no answer."""
    await lost(does, sim, ReversePosition("Sim101", mes), "Reverse")


async def test_a_lost_turn_counts_both_ways_until_it_is_settled(
    desk: Desk, lost_turn: None, buy: Buys, mes: Instrument
) -> None:
    review = await desk.preview(buy())
    assert [(fill.instrument, fill.signed_quantity) for fill in review.context.pending] == [(mes, -4)]


async def test_a_lost_replacement_is_settled_by_what_stands_and_says_how_the_old_order_reads(
    settle: Settles, does: Does, buy: Buys, price: Prices, sim: Simulator, clock: ManualClock, store: SqliteStore
) -> None:
    old = str((await does(buy(kind="LIMIT", limit_price=price(-40)))).order_id)
    sim.advance(20)
    sim.faults.arm(Fault.READ_TIMEOUT_AFTER_ACCEPT, rpc="CancelReplace", times=1)
    new = buy(2, kind="LIMIT", limit_price=price(-60))
    assert (await does(ReplaceOrder("Sim101", old, new))).status is Status.UNKNOWN
    assert await settle() == [], "what is there and was not before may be somebody else's"
    clock.advance(61)
    sim.faults.arm(Fault.HTML_PAGE, rpc="GetOrder")
    assert await settle() == []
    sim.faults.disarm()
    (settled,) = await settle()
    assert "CANCELLED" in found_of(settled)["old_order"]
    (stands,) = found_of(settled)["orders"]
    assert stands.startswith("BUY 2 MES 09-26 LIMIT")


async def test_a_replacement_is_settled_by_the_id_that_they_acknowledged(
    settle: Settles, does: Does, buy: Buys, price: Prices, sim: Simulator, odd: Oddly, crosstrade: CrossTrade
) -> None:
    old = str((await does(buy(kind="LIMIT", limit_price=price(-40)))).order_id)
    sim.advance(20)
    sim.faults.arm(Fault.FROZEN_ORDERS, rpc="CancelReplace")
    told = await does(ReplaceOrder("Sim101", old, buy(2, kind="LIMIT", limit_price=price(-60))))
    assert told.status is Status.ACCEPTED
    (settled,) = await settle()
    assert settled.detail["order_id"] == told.order_id


async def test_a_lost_bracket_is_settled_by_what_stands(
    settle: Settles, does: Does, long_two: Outcome, price: Prices, sim: Simulator, mes: Instrument, clock: ManualClock
) -> None:
    guarded = ProtectPosition("Sim101", mes, price(60), price(-60))
    await lost(does, sim, guarded, "CancelAndBracket")
    clock.advance(61)
    (settled,) = await settle()
    assert len(found_of(settled)["positions"]) == 1


async def test_an_empty_list_settles_nothing_while_another_report_speaks_of_a_position(
    settle: Settles,
    does: Does,
    long_two: Outcome,
    sim: Simulator,
    clock: ManualClock,
    mes: Instrument,
    store: SqliteStore,
) -> None:
    for action in (Flatten("Sim101", mes), Flatten("Sim101", None)):
        await lost(does, sim, action, "Flatten")
        clock.advance(61)
        sim.faults.arm(Fault.EMPTY_LISTS)
        assert await settle() == []
        sim.faults.disarm()
        assert len(await settle()) == 1


async def test_a_paused_strategy_is_settled_once_it_reads_as_asked(
    settle: Settles, does: Does, sim: Simulator, mes: Instrument, clock: ManualClock
) -> None:
    started = await does(StartStrategy("Sim101", "HoldLong", mes, HostMode.ACCOUNT, BarType.MINUTE, 5))
    sim.advance(20)
    await lost(does, sim, DisableStrategy("Sim101", str(started.strategy_id)), "DisableStrategy")
    clock.advance(600)
    assert await settle() == [], "it does not read as asked, and was perhaps never asked"
    (ours,) = [each for each in sim.strategies.all if each.id == started.strategy_id]
    sim.strategies.close(ours, clock())
    (settled,) = await settle()
    assert "FINALIZED" in found_of(settled)["strategy"]


@pytest.mark.parametrize("is_done", [True, False], ids=["it came late", "it never came"])
async def test_an_ended_strategy_is_settled_once_it_is_over_or_its_end_cannot_come_any_more(
    settle: Settles, does: Does, sim: Simulator, mes: Instrument, clock: ManualClock, *, is_done: bool
) -> None:
    started = await does(StartStrategy("Sim101", "HoldLong", mes, HostMode.ACCOUNT, BarType.MINUTE, 5))
    sim.advance(20)
    await lost(does, sim, CloseStrategy("Sim101", str(started.strategy_id)), "CloseStrategy")
    assert await settle() == [], "it does not read as asked, and may still come"
    if is_done:
        (ours,) = [each for each in sim.strategies.all if each.id == started.strategy_id]
        sim.faults.arm(Fault.NO_FILL)
        sim.strategies.close(ours, clock())
        clock.advance(10)
        assert await settle() == [], "its order is on its way"
        sim.faults.disarm()
        sim.advance(10)
    else:
        clock.advance(60)
    (settled,) = await settle()
    assert ("FINALIZED" in found_of(settled)["strategy"]) is is_done
    assert len(found_of(settled)["positions"]) == (0 if is_done else 1)


async def test_a_start_of_unknown_outcome_stays_outstanding_and_is_never_guessed(
    settle: Settles, does: Does, sim: Simulator, mes: Instrument, clock: ManualClock, store: SqliteStore
) -> None:
    start = StartStrategy("Sim101", "HoldLong", mes, HostMode.ACCOUNT, BarType.MINUTE, 5)
    await lost(does, sim, start, "StartStrategy")
    clock.advance(7 * 86_400)
    assert await settle() == []
    assert len(await store.unsettled()) == 1


async def test_a_start_is_settled_by_the_id_that_they_named(
    settle: Settles, odd: Oddly, sim: Simulator, mes: Instrument, store: SqliteStore
) -> None:
    async def starts_and_goes_blind(inner: Upstream, wanted: StartStrategy) -> StrategyAcknowledged:
        taken = await inner.start_strategy(wanted)
        sim.faults.arm(Fault.HTML_PAGE)
        return taken

    start = StartStrategy("Sim101", "HoldLong", mes, HostMode.ACCOUNT, BarType.MINUTE, 5)
    assert (await odd("start_strategy", starts_and_goes_blind)(start)).status is Status.ACCEPTED
    sim.faults.disarm()
    (settled,) = await settle()
    assert found_of(settled)["strategy"].startswith("HoldLong on MES 09-26")
    assert await store.unsettled() == ()
