"""What becomes of intents whose fate was not known."""

import pytest

from ct_mcp.crosstrade.wire_strategies import StrategyAcknowledged
from ct_mcp.desk.desk import Desk
from ct_mcp.desk.outcome import Status
from ct_mcp.desk.settling import settle_outstanding
from ct_mcp.domain.action import (
    CancelOrder,
    CancelOrders,
    ChangeOrder,
    ClosePosition,
    CloseStrategy,
    DisableStrategy,
    Flatten,
    ProtectPosition,
    ReplaceOrder,
    ReversePosition,
)
from ct_mcp.domain.strategy import BarType, HostMode, StartStrategy
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.world import Simulator
from ct_mcp.store.journal import Entry, EntryKind, NewEntry
from ct_mcp.store.sqlite import SqliteStore


@pytest.fixture
def settle(desk: Desk, store: SqliteStore, clock: ManualClock):
    """Look once, and give the entries that settled something."""

    async def settled(account: str = "Sim101") -> list[Entry]:
        before = (await store.entries(1))[0].sequence
        await settle_outstanding(desk.upstream, desk.pause, store, clock, account)
        return [entry for entry in await store.entries(50) if entry.sequence > before]

    return settled


async def lost(does, sim: Simulator, action, rpc: str) -> None:
    """Send something that never arrives and gets no answer."""
    sim.faults.arm(Fault.REQUEST_LOST_BEFORE_ACCEPT, rpc=rpc, times=1)
    assert (await does(action)).status is Status.UNKNOWN


async def test_nothing_is_looked_for_while_nothing_is_outstanding(settle, long_two, sim: Simulator) -> None:
    asked = len(sim.requests)
    assert await settle() == []
    assert len(sim.requests) == asked


async def test_an_order_is_settled_by_the_id_that_they_acknowledged(settle, does, buy, sim: Simulator, store) -> None:
    sim.faults.arm(Fault.FROZEN_ORDERS)
    accepted = await does(buy())
    assert accepted.status is Status.ACCEPTED
    (settled,) = await settle()
    assert (settled.kind, settled.ticket_id) == (EntryKind.SETTLED, accepted.ticket_id)
    assert settled.detail == {"order_id": accepted.order_id, "state": "SUBMITTED", "filled": 0}
    assert await store.unsettled() == ()


async def test_what_is_not_found_stays_outstanding_however_long_ago(settle, does, buy, sim, clock, store) -> None:
    await lost(does, sim, buy(), "PlaceOrder")
    clock.advance(7 * 86_400)
    assert await settle() == []
    assert len(await store.unsettled()) == 1


@pytest.mark.parametrize("fault", [Fault.CONNECT_REFUSED, Fault.HTML_PAGE, Fault.BROKER_RATE_LIMITED])
async def test_a_look_that_fails_settles_nothing_and_stops_nothing(settle, does, buy, sim, store, fault) -> None:
    sim.faults.arm(Fault.FROZEN_ORDERS)
    await does(buy())
    sim.faults.arm(fault)
    assert await settle() == []
    assert len(await store.unsettled()) == 1


async def test_only_the_account_that_is_asked_about_is_looked_at(settle, does, buy, sim: Simulator) -> None:
    sim.faults.arm(Fault.FROZEN_ORDERS)
    await does(buy())
    assert await settle("APEX-482910") == []


async def test_a_change_is_settled_once_the_order_stands_as_asked(settle, does, buy, price, sim, clock) -> None:
    order_id = (await does(buy(kind="LIMIT", limit_price=price(-40)))).order_id
    sim.faults.arm(Fault.READ_TIMEOUT_AFTER_ACCEPT, rpc="Change", times=1)
    sim.faults.arm(Fault.BAD_GATEWAY, rpc="GetOrder")
    wanted = price(-60)
    assert (await does(ChangeOrder("Sim101", order_id, limit_price=wanted))).status is Status.UNKNOWN
    sim.faults.disarm()
    (settled,) = await settle()
    assert settled.detail["order_id"] == order_id


async def test_a_change_that_never_arrived_is_settled_with_its_order(settle, does, buy, price, sim, clock) -> None:
    order_id = (await does(buy(kind="LIMIT", limit_price=price(-40)))).order_id
    await lost(does, sim, ChangeOrder("Sim101", order_id, limit_price=price(-60)), "Change")
    clock.advance(600)
    assert await settle() == [], "it may still come"
    await does(CancelOrder("Sim101", order_id))
    (settled,) = await settle()
    assert settled.detail["state"] == "CANCELLED"


async def test_a_cancel_is_settled_once_the_order_is_over(settle, does, buy, price, sim, clock) -> None:
    order_id = (await does(buy(kind="LIMIT", limit_price=price(-40)))).order_id
    await lost(does, sim, CancelOrder("Sim101", order_id), "Cancel")
    clock.advance(600)
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
    settle, long_two, does, buy, price, sim, clock, mes, rpc, action
) -> None:
    await does(buy(kind="LIMIT", limit_price=price(-40)))
    await lost(does, sim, action(mes), rpc)
    clock.advance(50)
    assert await settle() == []
    clock.advance(10)
    (settled,) = await settle()
    assert settled.kind is EntryKind.SETTLED
    (held,), (order,) = settled.detail["positions"], settled.detail["orders"]
    assert held.startswith("LONG 2 MES 09-26")
    assert order.startswith("BUY 1 MES 09-26 LIMIT")


async def test_an_exit_is_not_settled_while_nothing_can_be_read(settle, long_two, does, sim, clock) -> None:
    await lost(does, sim, Flatten("Sim101", None), "Flatten")
    clock.advance(600)
    sim.faults.arm(Fault.POSITIONS_WITHOUT_SUCCESS)
    assert await settle() == []


async def test_an_intent_without_its_ticket_stays_outstanding(settle, store: SqliteStore, clock) -> None:
    """Written by a version that knew more than this one: nobody here can say what it was."""
    entry = NewEntry(EntryKind.INTENT, "SIM  Sim101  ...", account="Sim101", ticket_id="elsewhere", opens=True)
    await store.append(entry, clock())
    assert await settle() == []
    assert len(await store.unsettled()) == 1


async def test_a_turn_is_settled_by_what_stands_once_it_cannot_be_under_way(
    settle, long_two, lost_turn, clock, store
) -> None:
    clock.advance(50)
    assert await settle() == []
    clock.advance(10)
    (settled,) = await settle()
    assert settled.detail["positions"][0].startswith("LONG 2 MES 09-26")
    assert await store.unsettled() == ()


@pytest.fixture
async def lost_turn(does, long_two, sim: Simulator, mes) -> None:
    """A reverse that never arrived, and got no answer."""
    await lost(does, sim, ReversePosition("Sim101", mes), "Reverse")


async def test_a_lost_turn_counts_both_ways_until_it_is_settled(desk: Desk, lost_turn, buy, mes) -> None:
    case = await desk.preview(buy())
    assert [(fill.instrument, fill.signed_quantity) for fill in case.view.pending] == [(mes, -4)]


async def test_a_lost_replacement_is_settled_by_what_stands_and_says_how_the_old_order_reads(
    settle, does, buy, price, sim, clock, store
) -> None:
    old = (await does(buy(kind="LIMIT", limit_price=price(-40)))).order_id
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
    assert "CANCELLED" in settled.detail["old_order"]
    (stands,) = settled.detail["orders"]
    assert stands.startswith("BUY 2 MES 09-26 LIMIT")


async def test_a_replacement_is_settled_by_the_id_that_they_acknowledged(
    settle, does, buy, price, sim, odd, crosstrade
) -> None:
    old = (await does(buy(kind="LIMIT", limit_price=price(-40)))).order_id
    sim.advance(20)
    sim.faults.arm(Fault.FROZEN_ORDERS, rpc="CancelReplace")
    told = await does(ReplaceOrder("Sim101", old, buy(2, kind="LIMIT", limit_price=price(-60))))
    assert told.status is Status.ACCEPTED
    (settled,) = await settle()
    assert settled.detail["order_id"] == told.order_id


async def test_a_lost_bracket_is_settled_by_what_stands(settle, does, long_two, price, sim, mes, clock) -> None:
    guarded = ProtectPosition("Sim101", mes, price(60), price(-60))
    await lost(does, sim, guarded, "CancelAndBracket")
    clock.advance(61)
    (settled,) = await settle()
    assert len(settled.detail["positions"]) == 1


async def test_an_empty_list_settles_nothing_while_another_report_speaks_of_a_position(
    settle, does, long_two, sim, clock, mes, store
) -> None:
    for action in (Flatten("Sim101", mes), Flatten("Sim101", None)):
        await lost(does, sim, action, "Flatten")
        clock.advance(61)
        sim.faults.arm(Fault.EMPTY_LISTS)
        assert await settle() == []
        sim.faults.disarm()
        assert len(await settle()) == 1


@pytest.mark.parametrize(
    ("rpc", "action"), [("DisableStrategy", DisableStrategy), ("CloseStrategy", CloseStrategy)], ids=["pause", "end"]
)
async def test_a_strategy_is_settled_once_it_reads_as_asked(settle, does, sim, mes, clock, store, rpc, action) -> None:
    started = await does(StartStrategy("Sim101", "HoldLong", mes, HostMode.ACCOUNT, BarType.MINUTE, 5))
    sim.advance(20)
    await lost(does, sim, action("Sim101", started.strategy_id), rpc)
    clock.advance(600)
    assert await settle() == [], "it does not read as asked, and was perhaps never asked"
    (ours,) = [each for each in sim.strategies.all if each.id == started.strategy_id]
    sim.strategies.close(ours, clock())
    (settled,) = await settle()
    assert "FINALIZED" in settled.detail["strategy"]


async def test_a_start_of_unknown_outcome_stays_outstanding_and_is_never_guessed(
    settle, does, sim, mes, clock, store
) -> None:
    start = StartStrategy("Sim101", "HoldLong", mes, HostMode.ACCOUNT, BarType.MINUTE, 5)
    await lost(does, sim, start, "StartStrategy")
    clock.advance(7 * 86_400)
    assert await settle() == []
    assert len(await store.unsettled()) == 1


async def test_a_start_is_settled_by_the_id_that_they_named(settle, odd, sim, mes, store) -> None:
    async def starts_and_goes_blind(inner, wanted) -> StrategyAcknowledged:
        taken = await inner.start_strategy(wanted)
        sim.faults.arm(Fault.HTML_PAGE)
        return taken

    start = StartStrategy("Sim101", "HoldLong", mes, HostMode.ACCOUNT, BarType.MINUTE, 5)
    assert (await odd("start_strategy", starts_and_goes_blind)(start)).status is Status.ACCEPTED
    sim.faults.disarm()
    (settled,) = await settle()
    assert settled.detail["strategy"].startswith("HoldLong on MES 09-26")
    assert await store.unsettled() == ()
