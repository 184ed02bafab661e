"""A list has an upper end: the answer says how many were left out, and how to ask for them."""

from dataclasses import replace
from typing import Any

import pytest

from ct_mcp.desk.desk import Desk
from ct_mcp.simulator.accounts import SIM
from ct_mcp.simulator.orders import Action, OrderLabels, OrderTerms, SimOrderType
from ct_mcp.simulator.simulator import SimulatorSettings
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.store.sqlite import SqliteStore
from tests.conftest import Tokens
from tests.e2e.conftest import Assistant, World

MOST_TOKENS = 20_000
MANY = 300


@pytest.fixture
def era() -> str:
    """One era is enough: nothing here depends on it."""
    return "auto"


def rests(world: World, account: str, kind: SimOrderType, ticks: int) -> None:
    """Let somebody else place an order that stands."""
    contract = world.sim.market.front("MES", world.clock())
    price, is_stop = world.price(ticks), kind is SimOrderType.STOP_MARKET
    terms = OrderTerms(contract, Action.SELL if is_stop else Action.BUY, 1, kind, limit_price=0.0 if is_stop else price)
    terms = replace(terms, stop_price=price if is_stop else 0.0)
    world.sim.exchange.submit(world.sim.exchange.accounts[account], terms, OrderLabels("PlaceOrder"), world.clock())


async def test_of_three_hundred_orders_stops_and_the_newest_are_told(
    assistant: Assistant, world: World, tokens: Tokens
) -> None:
    rests(world, "Sim101", SimOrderType.STOP_MARKET, -200)
    for number in range(MANY - 1):
        world.later(1)
        rests(world, "Sim101", SimOrderType.LIMIT, -400 - number)
    world.later()
    told = await assistant.call("get_orders")
    assert tokens(assistant.heard[-1]) < MOST_TOKENS
    assert told.text.startswith("300 orders")
    assert told.orders[0]["order_type"] == "STOP_MARKET"
    prices = [order["limit_price"] for order in told.orders[1:]]
    assert prices == sorted(prices), "the newest is the farthest"
    (note,) = [note for note in told.notes if "left out" in note]
    assert note.startswith("220 orders more are left out here: call again with skip=80")
    seen = {order["order_id"] for order in told.orders}
    while any("left out" in note for note in told.notes):
        told = await assistant.call("get_orders", skip=len(seen))
        seen |= {order["order_id"] for order in told.orders}
    assert len(seen) == MANY


@pytest.mark.parametrize(
    "settings",
    [SimulatorSettings(accounts=tuple(replace(SIM, id=n, name=f"Copy{n:03d}") for n in range(2, 302)))],
    ids=["three hundred accounts"],
)
@pytest.mark.parametrize("tool", ["get_accounts", "get_positions", "get_status"])
async def test_three_hundred_accounts_fit_into_an_answer(
    assistant: Assistant, world: World, tokens: Tokens, tool: str
) -> None:
    contract = world.sim.market.front("MES", world.clock())
    for account in world.sim.exchange.accounts.values():
        terms = OrderTerms(contract, Action.BUY, 1, SimOrderType.MARKET)
        world.sim.exchange.submit(account, terms, OrderLabels("PlaceOrder"), world.clock())
    world.later()
    told = await assistant.call(tool)
    assert not told.is_error, told.text
    assert tokens(assistant.heard[-1]) < MOST_TOKENS
    assert "220 " in told.text
    assert "left out" in told.text


@pytest.mark.parametrize("tool", ["get_status", "get_positions", "get_orders", "get_accounts"])
async def test_a_hundred_outcomes_that_nobody_knows_fit_into_an_answer(
    assistant: Assistant, store: SqliteStore, desk: Desk, tokens: Tokens, tool: str
) -> None:
    """A way out of a hundred accounts, and none of them could be read in time."""
    for number in range(100):
        ids: dict[str, Any] = {"ticket_id": f"t-{number}", "own_id": f"ctmcp-{number}"}
        detail = {"may_fill": [["MES", 2026, 9, -1, True]]}
        summary = f"SIM  Copy{number:03d}  FLATTEN everything"
        await store.append(NewEntry(EntryKind.INTENT, summary, account="Sim101", **ids, detail=detail), desk.clock())
    told = await assistant.call(tool)
    assert tokens(assistant.heard[-1]) < MOST_TOKENS / 2
    assert "Copy099" in told.text
    assert "Copy000" not in told.text, "the newest are told"
    assert "80 older ones are outstanding as well, see get_journal" in told.text
