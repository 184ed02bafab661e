"""The report of all accounts where it names no position, and says that something is held or nothing of it.

The lists of positions and orders are empty although four contracts are held.
"""

from typing import Any

import httpx
import pytest

from ct_mcp.domain.approval import Approval
from ct_mcp.guard.policy import Limits, Policy
from ct_mcp.simulator.orders import Action, OrderLabels, OrderTerms, SimOrderType
from ct_mcp.simulator.simulator import Simulator
from tests.e2e.altered import Altered
from tests.e2e.conftest import Assistant, Wire, World


@pytest.fixture
def era() -> str:
    return "auto"


@pytest.fixture
def altered(sim: Simulator) -> Altered:
    return Altered(sim.transport())


@pytest.fixture
def wire(altered: Altered) -> Wire:
    return Wire(altered)


@pytest.fixture
def policy() -> Policy:
    return Policy(simulated=Approval.NONE, limits=Limits(max_position_contracts=4))


@pytest.fixture(params=["not flat", "nothing said", "no list"])
def report(request: pytest.FixtureRequest, world: World, altered: Altered) -> str:
    """Four are held, bought by hand a while ago; how the report keeps silent about them."""
    kind = str(request.param)
    terms = OrderTerms(world.sim.market.front("MES", world.clock()), Action.BUY, 4, SimOrderType.MARKET)
    world.sim.exchange.submit(world.sim.exchange.accounts["Sim101"], terms, OrderLabels(), world.clock())
    world.later(30)

    def silent(request: httpx.Request, body: Any) -> Any:
        if not request.url.path.endswith("/accounts/snapshot"):
            return body
        for row in body["accounts"]:
            held = row.pop("positions")
            row["account"]["item"]["unrealizedProfitLoss"] = 0.0  # the last trade was at the price of the fill
            if kind == "not flat":
                row["positions"] = []
                continue
            del row["account"]["isAccountFlat"]
            if kind == "no list":
                row["positions"] = {each["instrument"]: each for each in held}
        return body

    altered.empties("/accounts/Sim101/positions", "/accounts/Sim101/orders", "/executions", times=1000)
    altered.changes.append(silent)
    return kind


@pytest.mark.parametrize(("action", "ticks_away"), [("BUY", -20), ("SELL", 20)])
async def test_it_bears_no_empty_list_out_for_an_order(
    assistant: Assistant, world: World, report: str, action: str, ticks_away: int
) -> None:
    price = world.price(ticks_away)
    told = await assistant.buys(2, action=action, order_type="LIMIT", limit_price=price)
    assert (told.status, world.writes()) == ("denied", 0), told.text


async def test_it_bears_no_flat_account_out(assistant: Assistant, world: World, altered: Altered, report: str) -> None:
    altered.instead["/positions/flatten"] = {"orderIds": [], "closedPositions": [], "success": True}
    told = await assistant.call("flatten", account="Sim101")
    assert told.status != "flat", told.text


async def test_it_confirms_nothing_for_whoever_only_asks(assistant: Assistant, report: str) -> None:
    told = await assistant.call("get_positions", account="Sim101")
    assert "does not say what Sim101 holds" in told.text or "is not flat" in told.text, told.text
