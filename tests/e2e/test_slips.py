"""Slips of the pen: a form that a machine filled in, a price off tick, a market that stands still."""

from typing import Any

import pytest
from mcp_types import ElicitResult

from ct_mcp.simulator.faults import Fault
from ct_mcp.store.sqlite import SqliteStore
from tests.conftest import Person
from tests.e2e.conftest import Assistant, Converse, World

FILLED_IN = [
    {"limit_price": 0, "stop_price": 0.0, "oco_id": "", "atm_strategy": "", "reason": ""},
    {"limit_price": -0.0, "oco_id": "  "},
]


@pytest.mark.parametrize("empty", FILLED_IN)
async def test_zeros_and_empty_texts_are_as_good_as_left_out(
    assistant: Assistant, world: World, empty: dict[str, Any]
) -> None:
    told = await assistant.buys(1, **empty)
    assert (told.status, world.net()) == ("filled", 1), told.text
    order = await assistant.rests(world.price(-20), stop_price=0, oco_id="")
    changed = await assistant.call(
        "change_order", account="Sim101", order_id=order, limit_price=world.price(-24), stop_price=0
    )
    assert changed.status == "changed", changed.text


async def test_a_bracket_of_one_price_may_hold_a_zero_for_the_other(assistant: Assistant, world: World) -> None:
    await assistant.buys(1)
    bracket = {"account": "Sim101", "instrument": "MES", "take_profit": 0, "stop_loss": world.price(-20)}
    assert (await assistant.call("protect_position", **bracket)).status == "working"
    assert len(world.live()) == 1


async def test_an_order_that_needs_the_price_is_not_sent_without_one(assistant: Assistant, world: World) -> None:
    told = await assistant.buys(1, order_type="LIMIT", limit_price=0)
    assert "LIMIT_PRICE_MISSING" in told.reasons_text
    assert world.writes() == 0


async def test_a_share_of_nothing_never_closes_everything(assistant: Assistant, world: World) -> None:
    await assistant.buys(2)
    told = await assistant.call("close_position", account="Sim101", instrument="MES", percent=0)
    assert told.is_error
    assert world.net() == 2


SLIPS: dict[str, dict[str, Any]] = {
    "off tick": {"order_type": "LIMIT", "ticks": -20, "off": 0.1},
    "superfluous price": {"order_type": "MARKET", "ticks": -20, "off": 0},
    "far from the market": {"order_type": "LIMIT", "ticks": -4000, "off": 0},
}


@pytest.mark.parametrize("slip", SLIPS.values(), ids=SLIPS.keys())
async def test_slips_halt_nothing(assistant: Assistant, world: World, store: SqliteStore, slip: dict[str, Any]) -> None:
    for quantity in (1, 2, 3, 1):
        price = world.price(slip["ticks"]) + slip["off"]
        told = await assistant.buys(quantity, order_type=slip["order_type"], limit_price=price)
        assert told.status == "denied", told.text
    assert await store.halt() is None
    assert (await assistant.buys(1)).status == "filled"


async def test_a_quote_that_stands_still_halts_nothing(assistant: Assistant, world: World, store: SqliteStore) -> None:
    world.sim.faults.arm(Fault.STALE_QUOTE)
    await assistant.call("get_quotes", instruments=["MES"])
    world.later(60)
    for quantity in (1, 2, 3):
        assert "QUOTE_STALE" in (await assistant.buys(quantity)).reasons_text
    assert await store.halt() is None


async def test_a_client_that_fills_in_forms_by_itself_halts_nothing(
    converse: Converse, world: World, store: SqliteStore, person: Person
) -> None:
    person.answer = lambda _question: ElicitResult(action="accept", content={"answer": ""})
    async with converse(person) as assistant:
        for quantity in (1, 2, 3):
            assert (await assistant.buys(quantity)).status == "declined"
    assert await store.halt() is None
    assert world.writes() == 0


WRITTEN = "6412'08"


async def test_a_price_in_32nds_is_refused_where_the_product_is_not_quoted_so(
    assistant: Assistant, world: World
) -> None:
    told = await assistant.buys(1, order_type="LIMIT", limit_price=WRITTEN)
    assert told.is_error
    assert "is not quoted so; give a number, 6412.25 if 32nds are meant" in told.text
    order = await assistant.rests(world.price(-20))
    sent = world.writes()
    told = await assistant.call("change_order", account="Sim101", order_id=order, limit_price=WRITTEN)
    assert "give a number, 6412.25" in told.text
    assert world.writes() == sent


@pytest.mark.parametrize("text", ["6412.25", "6412", "6412'8", "6412'40", "at market"])
async def test_any_other_text_is_no_price(assistant: Assistant, world: World, text: str) -> None:
    told = await assistant.buys(1, order_type="LIMIT", limit_price=text)
    assert "REQUEST_INVALID: limit_price" in told.text
    assert world.writes() == 0
