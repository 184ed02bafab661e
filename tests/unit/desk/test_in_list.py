"""An order that the list shows at rest needs positions alone; where anything disagrees it is asked for by its id."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.desk.in_list import shows_all_of
from ct_mcp.desk.outcome import Status
from ct_mcp.domain.account import Position
from ct_mcp.domain.order import Order, OrderState
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.simulator import Simulator
from tests.unit.desk.conftest import Buys, Does, Oddly, Prices, Stands

Rows = Callable[[tuple[Order, ...]], tuple[Order, ...]]


def asked_since(sim: Simulator, rpc: str) -> list[str]:
    """What was asked after the last send of this kind."""
    rpcs = [seen.rpc for seen in sim.requests]
    return rpcs[len(rpcs) - rpcs[::-1].index(rpc) :]


async def test_a_limit_order_that_stands_costs_its_list_and_the_positions(
    does: Does, buy: Buys, price: Prices, sim: Simulator
) -> None:
    told = await does(buy(kind="LIMIT", limit_price=price(-40)))
    assert told.status is Status.WORKING
    asked = asked_since(sim, "PlaceOrder")
    assert set(asked) == {"ListOrders", "ListPositions"}
    assert asked[-1] == "ListPositions", "positions are read after the order is seen, never before"
    assert asked.count("ListPositions") == 1


async def test_a_fill_costs_its_list_and_the_positions(does: Does, buy: Buys, sim: Simulator) -> None:
    told = await does(buy(2))
    assert (told.status, told.filled_quantity, told.position_after) == (Status.FILLED, 2, 2)
    asked = asked_since(sim, "PlaceOrder")
    assert asked == ["ListOrders"] * (len(asked) - 1) + ["ListPositions"]


def first_as(**changes: object) -> Rows:
    """The newest order reads otherwise."""
    return lambda rows: (*rows[:-1], replace(rows[-1], **changes)) if rows else rows  # type: ignore[arg-type]


ODD_LISTS: dict[str, Rows] = {
    "not listed": lambda rows: rows[:-1],
    "listed twice": lambda rows: (*rows, *rows[-1:]),
    "of another size": first_as(quantity=7),
    "over and not filled": first_as(state=OrderState.CANCELLED, filled=0),
    "filled at no price": first_as(average_fill_price=None),
    "filled by less than moved the position": first_as(filled=1),
}


@pytest.mark.parametrize("rows", ODD_LISTS.values(), ids=ODD_LISTS)
async def test_a_list_that_disagrees_is_not_believed(odd: Oddly, buy: Buys, sim: Simulator, rows: Rows) -> None:
    async def oddly(inner: CrossTrade, account: str, *, active_only: bool) -> tuple[Order, ...]:
        return rows(await inner.orders(account, active_only=active_only))

    told = await odd("orders", oddly)(buy(2))
    assert (told.status, told.filled_quantity) == (Status.FILLED, 2)
    assert told.average_fill_price is not None
    assert "GetOrder" in asked_since(sim, "PlaceOrder")


async def test_positions_that_do_not_agree_have_all_of_it_read_again(odd: Oddly, buy: Buys, sim: Simulator) -> None:
    """Whoever else trades moves them too: which of the two is behind nobody can say from one reading."""

    async def adds_one(inner: CrossTrade, account: str) -> tuple[Position, ...]:
        return tuple(replace(row, quantity=row.quantity + 1) for row in await inner.positions(account))

    told = await odd("positions", adds_one)(buy(2))
    assert (told.status, told.position_after) == (Status.FILLED, 3)
    assert any("was to be +2" in warning for warning in told.warnings)
    asked = asked_since(sim, "PlaceOrder")
    assert asked.count("GetOrder") == 1
    assert asked.count("ListPositions") == 2


async def test_positions_that_cannot_be_read_beside_it_are_read_again(odd: Oddly, buy: Buys, sim: Simulator) -> None:
    reads = list[str]()

    async def fails_once(inner: CrossTrade, account: str) -> tuple[Position, ...]:
        if sim.requests_of("PlaceOrder") and not reads:
            reads.append(account)
            sim.faults.arm(Fault.BAD_GATEWAY, rpc="ListPositions", times=1)
        return await inner.positions(account)

    told = await odd("positions", fails_once)(buy(2))
    assert (told.status, told.position_after, reads) == (Status.FILLED, 2, ["Sim101"])


@pytest.mark.parametrize(("group", "tells_all"), [("one", False), ("another", True), (None, True)])
def test_the_rest_of_its_group_is_cancelled_a_moment_after_the_fill_that_the_list_shows(
    standing: Stands, group: str | None, tells_all: bool
) -> None:
    filled = standing("f", state=OrderState.FILLED, filled=1, average_fill_price=Decimal(6000), oco_id=group and "one")
    other = standing("o", oco_id=group)
    assert shows_all_of(filled, (filled, other)) is tells_all
    assert shows_all_of(filled, (filled, replace(other, state=OrderState.CANCELLED)))


async def test_a_template_brings_orders_along_that_the_list_of_its_fill_does_not_show(
    does: Does, buy: Buys, sim: Simulator
) -> None:
    told = await does(buy(atm_strategy="Scalp 8x8"))
    assert told.status is Status.FILLED
    assert "GetOrder" in asked_since(sim, "PlaceOrder")
    assert any("stop 1 of 1" in line for line in told.stands_now)


async def test_a_list_that_does_not_move_is_given_up_for_the_id(odd: Oddly, buy: Buys, sim: Simulator) -> None:
    async def stands_still(inner: CrossTrade, account: str, *, active_only: bool) -> tuple[Order, ...]:
        rows = await inner.orders(account, active_only=active_only)
        return tuple(replace(row, state=OrderState.SUBMITTED, filled=0) for row in rows)

    told = await odd("orders", stands_still)(buy(2))
    assert (told.status, told.filled_quantity) == (Status.FILLED, 2)
    assert asked_since(sim, "PlaceOrder")[:4] == ["ListOrders"] * 3 + ["GetOrder"]
    assert told.average_fill_price != Decimal(0)
