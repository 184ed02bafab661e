"""Executions: newest first, with what they come to."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import Execution, OrderAction
from ct_mcp.server.tools.executions import executions_result
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.simulator import Simulator
from tests.unit.server.conftest import Ask, Place, text_of

NOW = datetime(2026, 9, 9, 14, 30, tzinfo=UTC)


async def test_what_was_traded_is_listed_newest_first_with_totals(ask: Ask, place: Place, sim: Simulator) -> None:
    await place()
    await place(OrderAction.SELL, 1, own_id="own-2")
    told = await ask("get_executions", account="Sim101")
    assert [row["action"] for row in told.data["executions"]] == ["SELL", "BUY"]
    (total,) = told.data["totals"]
    assert (total["instrument"], total["bought"], total["sold"], total["net"]) == ("ES 09-26", 2, 1, 1)
    assert f"total ES 09-26: bought 2 at {total['average_buy_price']:g} on average, sold 1 at" in told.text
    assert told.text.startswith("2 executions in Sim101, last 15 min")


async def test_without_an_account_those_of_all_are_listed_each_with_its_name(
    ask: Ask, place: Place, sim: Simulator
) -> None:
    await place()
    told = await ask("get_executions")
    assert told.text.startswith("1 execution in all accounts, last 15 min")
    assert (told.data["account"], [row["account"] for row in told.data["executions"]]) == (None, ["Sim101"])
    assert "Sim101  total ES 09-26: bought 2" in told.text


async def test_one_account_that_cannot_be_read_is_named_and_none_that_can_is_an_error(
    ask: Ask, place: Place, sim: Simulator
) -> None:
    await place()
    sim.faults.arm(Fault.REFUSED_WITH_400, rpc="ListExecutions", times=1)
    told = await ask("get_executions")
    assert not told.is_error
    assert told.text.count("could not be read") == 1
    assert told.text.count("note: executions of ") == 1
    sim.faults.arm(Fault.REFUSED_WITH_400, rpc="ListExecutions")
    assert (await ask("get_executions")).is_error


async def test_an_order_is_not_looked_for_in_every_account(ask: Ask, place: Place) -> None:
    told = await ask("get_executions", order_id=await place())
    assert told.is_error
    assert "account is missing" in told.text


async def test_none_in_the_time_that_was_asked_for_is_said_so(ask: Ask, place: Place, sim: Simulator) -> None:
    await place()
    sim.advance(120)
    told = await ask("get_executions", account="Sim101", minutes=1)
    assert told.data["executions"] == []
    assert told.text.startswith("no executions in Sim101, last 1 min")


async def test_those_of_one_order_are_found_at_any_age(ask: Ask, place: Place, sim: Simulator) -> None:
    order_id = await place()
    await place(own_id="own-2")
    sim.advance(1800)
    told = await ask("get_executions", account="Sim101", order_id=order_id)
    assert {row["order_id"] for row in told.data["executions"]} == {order_id}


async def test_where_one_orders_cannot_be_read_the_recent_ones_stand_in(ask: Ask, place: Place, sim: Simulator) -> None:
    order_id = await place()
    await place(own_id="own-2")
    sim.faults.arm(Fault.REFUSED_WITH_400, rpc="GetExecutionsByOrderId")
    told = await ask("get_executions", account="Sim101", order_id=order_id)
    assert {row["order_id"] for row in told.data["executions"]} == {order_id}
    assert "note: only executions of the last 15 min could be read" in told.text


@pytest.mark.parametrize("fault", [Fault.EMPTY_BODY, Fault.UNREADABLE_JSON, Fault.ADDON_OFFLINE])
async def test_executions_that_cannot_be_read_are_never_none(
    ask: Ask, place: Place, sim: Simulator, fault: Fault
) -> None:
    await place()
    sim.faults.arm(fault)
    told = await ask("get_executions", account="Sim101")
    assert told.is_error


@pytest.mark.parametrize("arguments", [{"minutes": 0}, {"minutes": 16}, {"minutes": "5"}, {"order_id": ""}])
async def test_bad_arguments_are_refused(ask: Ask, arguments: dict[str, Any]) -> None:
    told = await ask("get_executions", account="Sim101", **arguments)
    assert told.is_error
    assert next(iter(arguments)) in told.text


def test_a_trade_of_unknown_direction_and_time_leaves_the_net_unknown() -> None:
    es = Instrument("ES", 2026, 12)
    known = Execution("A", "e1", "o1", es, OrderAction.BUY, 1, Decimal("6400.25"), NOW)
    odd = Execution("A", "e2", None, es, None, 1, Decimal(6400), None)
    answer = executions_result("A", [odd, known], "last 15 min", [], NOW)
    (total,) = answer.structured_content["totals"]
    assert (total["bought"], total["net"]) == (1, None)
    text = text_of(answer)
    assert "time unknown  direction unknown  1  ES 12-26  at 6400  order unknown" in text
    assert "of unknown age" in text
    assert "net unknown" in text
