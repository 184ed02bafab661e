"""Exits: what a partial close leaves too large, what a lost flatten of empty lists may be called, harmless ids."""

from typing import Any

import pytest

from ct_mcp.crosstrade.wire import Acknowledged
from ct_mcp.desk.desk import Desk
from ct_mcp.desk.outcome import Status
from ct_mcp.domain.action import ChangeOrder, ClosePosition, Flatten
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.world import Simulator


async def test_a_stop_that_is_too_large_for_what_remains_is_told_with_the_call_that_mends_it(
    does, long_two, buy, price, sim: Simulator, mes
) -> None:
    stop = await does(buy(2, action="SELL", kind="STOP_MARKET", stop_price=price(-60)))
    sim.advance(20)
    told = await does(ClosePosition("Sim101", mes, quantity=1))
    assert (told.status, told.position_after) == (Status.FILLED, 1)
    assert "TOO LARGE for what remains: SELL 2 against +1; filled, it turns the position to -1" in told.warnings
    mend = f"change_order with account Sim101, order_id {stop.order_id}, quantity 1"
    assert told.next_step.startswith(mend)


async def test_the_call_that_mends_it_mends_it(desk: Desk, does, long_two, buy, price, sim: Simulator, mes) -> None:
    stop = await does(buy(2, action="SELL", kind="STOP_MARKET", stop_price=price(-60)))
    sim.advance(20)
    await does(ClosePosition("Sim101", mes, quantity=1))
    sim.advance(20)
    assert (await does(ChangeOrder("Sim101", stop.order_id, quantity=1))).status is Status.CHANGED
    told = await does(ClosePosition("Sim101", mes, quantity=1))
    assert "TOO LARGE" not in " ".join(told.warnings), "nothing remains, and the rest is an order to cancel"


async def test_a_stop_that_fits_what_remains_is_not_complained_of(does, long_two, buy, price, sim, mes) -> None:
    await does(buy(1, action="SELL", kind="STOP_MARKET", stop_price=price(-60)))
    sim.advance(20)
    told = await does(ClosePosition("Sim101", mes, quantity=1))
    assert (told.status, told.position_after, told.next_step) == (Status.FILLED, 1, "")
    assert "TOO LARGE" not in " ".join(told.warnings)


async def test_a_flatten_of_empty_lists_whose_answer_was_lost_is_not_flat_while_a_report_says_otherwise(
    does, long_two, sim: Simulator, store
) -> None:
    """The lists were empty before, after and all along; only the report of all accounts still tells the truth."""
    sim.faults.arm(Fault.EMPTY_LISTS)
    sim.faults.arm(Fault.REQUEST_LOST_BEFORE_ACCEPT, rpc="Flatten")
    told = await does(Flatten("Sim101", None))
    assert told.status is Status.UNKNOWN
    assert told.position_after is None
    assert len(await store.unsettled()) == 1


async def test_a_flatten_of_an_account_that_was_flat_is_flat_though_its_answer_was_lost(does, sim: Simulator) -> None:
    sim.faults.arm(Fault.READ_TIMEOUT_AFTER_ACCEPT, rpc="Flatten")
    told = await does(Flatten("Sim101", None))
    assert (told.status, told.position_after) == (Status.FLAT, 0)


@pytest.mark.parametrize("fault", [Fault.HTML_PAGE, Fault.REFUSED_WITH_400])
async def test_a_report_that_cannot_be_read_proves_nothing(does, sim: Simulator, fault) -> None:
    sim.faults.arm(Fault.READ_TIMEOUT_AFTER_ACCEPT, rpc="Flatten")
    sim.faults.arm(fault, rpc="GetAccountSummary")
    assert (await does(Flatten("Sim101", None))).status is Status.UNKNOWN


async def test_a_flatten_that_they_took_asks_for_no_report(does, sim: Simulator) -> None:
    assert (await does(Flatten("Sim101", None))).status is Status.FLAT
    assert sim.requests_of("GetAccountSummary") == []


async def test_an_order_id_with_hidden_letters_is_told_harmless_and_kept_as_it_is(odd, buy, sim, store) -> None:
    async def hostile(inner: Any, order: Any, own_id: str, require: Any = None) -> Acknowledged:
        await inner.place_order(order, own_id)
        return Acknowledged(order_ids=("a\u202eb\u200bc",))

    told = await odd("place_order", hostile)(buy())
    assert told.order_id == "abc"
    accepted = next(entry for entry in await store.entries(9) if entry.kind == "accepted")
    assert accepted.detail["order_id"] == "a\u202eb\u200bc", "what looks it up later needs it as they spell it"


async def test_the_first_halt_stands_and_is_given_back(desk: Desk, buy, store) -> None:
    first = await desk.halt("too many\nlosses\u202e", "assistant")
    second = await desk.halt("another reason", "assistant")
    assert first == second
    assert (first.by, first.reason) == ("assistant", "too many losses")
    case = await desk.preview(buy())
    assert any(denial.code == "TRADING_HALTED" for denial in case.review.denials)
    halted = [entry for entry in await store.entries(9) if entry.kind == "halted"]
    assert len(halted) == 1


async def test_an_order_that_one_list_leaves_out_all_along_keeps_a_flatten_from_being_called_flat(
    does, buy, price, sim: Simulator, mes
) -> None:
    await does(buy(kind="LIMIT", limit_price=price(-40)))
    sim.advance(20)
    sim.faults.arm(Fault.EMPTY_LISTS, rpc="ListOrders")
    told = await does(Flatten("Sim101", mes))
    assert told.status is Status.ACCEPTED
    assert sim.exchange.live_orders("Sim101")


async def test_a_list_of_all_accounts_that_is_not_there_proves_nothing(does, long_two, sim: Simulator, mes) -> None:
    sim.faults.arm(Fault.REFUSED_WITH_400, rpc="GetAllOrders")
    assert (await does(Flatten("Sim101", mes))).status is Status.FLAT


async def test_a_flatten_that_knows_of_orders_asks_for_them_by_their_ids(does, buy, price, sim, mes) -> None:
    await does(buy(kind="LIMIT", limit_price=price(-40)))
    sim.advance(20)
    assert (await does(Flatten("Sim101", mes))).status is Status.FLAT
    assert sim.requests_of("GetAllOrders") == []
