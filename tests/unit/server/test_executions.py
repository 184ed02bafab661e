"""Executions: newest first, with what they come to."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from ct_mcp.domain.approval import Approval
from ct_mcp.domain.commands import PlaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import Execution, OrderAction, OrderType, TimeInForce
from ct_mcp.errors import StoreFailed
from ct_mcp.guard.effect import Role, role_sent
from ct_mcp.guard.policy import Policy
from ct_mcp.server.execution_roles import role_of
from ct_mcp.server.tools.executions import executions_result
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.simulator import Simulator
from ct_mcp.store.sqlite import SqliteStore
from tests.unit.server.conftest import ES, Ask, Place, text_of

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


ORDER = {"account": "Sim101", "instrument": "ES", "action": "BUY", "quantity": 2, "order_type": "MARKET"}


@pytest.mark.parametrize("policy", [Policy(simulated=Approval.NONE)], ids=["unasked"])
async def test_what_was_sent_here_is_named_by_what_it_was_sent_for(ask: Ask, sim: Simulator) -> None:
    assert (await ask("place_order", **ORDER)).data["status"] == "filled"
    sim.advance(20)
    leaves = {**ORDER, "action": "SELL", "quantity": 1}
    assert (await ask("place_order", **leaves)).data["status"] == "filled"
    sim.advance(20)
    price = sim.market.top(sim.market.front("ES", sim.clock()), sim.clock()).last * 0.25
    target = {**leaves, "order_type": "LIMIT", "limit_price": price - 1}
    await ask("place_order", **target)
    sim.advance(20)
    told = await ask("get_executions", account="Sim101")
    assert [row["role"] for row in told.data["executions"]] == ["target", "exit", "entry"]
    assert all(f"{action}  {role}" in told.text for action, role in (("SELL", "target"), ("BUY", "entry")))


@pytest.mark.parametrize(
    ("kind", "action", "starts", "role"),
    [
        (OrderType.MARKET, OrderAction.BUY, [0], "entry"),
        (OrderType.MARKET, OrderAction.SELL, [2], "exit"),
        (OrderType.LIMIT, OrderAction.SELL, [2], "target"),
        (OrderType.STOP_MARKET, OrderAction.SELL, [2, 3], "stop"),
        (OrderType.STOP_LIMIT, OrderAction.BUY, [-2], "stop"),
        (OrderType.MARKET, OrderAction.SELL, [1], "entry"),
        (OrderType.MARKET, OrderAction.SELL, [0, 2], None),
        (OrderType.MARKET, OrderAction.SELL, [], None),
    ],
)
def test_an_order_of_ours_is_named_by_the_position_that_it_met(
    kind: OrderType, action: OrderAction, starts: list[int], role: str | None
) -> None:
    order = PlaceOrder("Sim101", ES, action, 2, kind, None, None, TimeInForce.DAY)
    assert role_sent(order, starts) == role


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("Stop1", "stop"),
        ("Stop loss", "stop"),
        ("Target2", "target"),
        ("Profit target", "target"),
        ("Close", "exit"),
        ("Exit", "exit"),
        ("Exit on session close", "exit"),
        ("Entry", "entry"),
        ("Buy the stop of Entry1", None),
        ("", None),
        (None, None),
    ],
)
def test_what_is_nobodys_of_ours_is_named_by_the_name_of_its_order_where_that_tells(
    name: str | None, role: str | None
) -> None:
    execution = Execution("A", "1", "7", ES, OrderAction.BUY, 1, Decimal(6000), NOW, name)
    assert role_of(execution, {}) == role
    assert role_of(execution, {"7": Role.ENTRY}) == "entry", "what the journal knows comes first"


async def test_it_says_where_older_ones_are_found(ask: Ask, place: Place) -> None:
    order_id = await place()
    for minutes in (1, 15):
        told = await ask("get_executions", account="Sim101", minutes=minutes)
        assert "older ones than 15 minutes" in told.data["older"]
        assert "NinjaTrader's Trade Performance" in told.text
        assert "get_journal" in told.text
    told = await ask("get_executions", account="Sim101", order_id=order_id)
    assert told.data["older"] == ""
    assert "Trade Performance" not in told.text


async def test_a_journal_that_cannot_be_read_leaves_the_names_to_tell(
    ask: Ask, place: Place, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await place()

    async def breaks(*_: object) -> None:
        raise StoreFailed("the disk is gone")

    monkeypatch.setattr(store, "entries", breaks)
    told = await ask("get_executions", account="Sim101")
    assert not told.is_error
    assert len(told.data["executions"]) == 1
    assert "could not be looked up in the journal: the disk is gone" in told.text
