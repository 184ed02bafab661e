"""The client where our tables only assume: it asks the live service once, and says what it found."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import pytest

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.crosstrade.rate_limit import OwnBudget, Rank
from ct_mcp.crosstrade.schemas.bracket import ASSUMED_FIELDS
from ct_mcp.errors import BudgetExhausted, NotFound

BASE = "/v1/api"
ELSEWHERE = f"{BASE}/executions/order/{{orderId}}"
FIELDS = {"properties": {"stopLossPrice": {"type": "number"}}}
OPENAPI = {
    "paths": {
        f"{BASE}/accounts/{{account}}/orders/cancel_and_bracket": {
            "post": {"requestBody": {"content": {"application/json": {"schema": FIELDS}}}}
        }
    }
}


class Service:
    """Answers by path; what it does not know is a 404 like theirs."""

    def __init__(self) -> None:
        self.answers: dict[str, httpx.Response] = {}
        self.asked: list[str] = []

    def lists(self, rpc: str, path: str) -> None:
        """Put one call into the live catalogue."""
        rows = [{"rpc": "ListAccounts", "method": "GET", "path": f"{BASE}/accounts"}]
        rows.append({"rpc": rpc, "method": "GET", "path": path})
        self.answers[f"{BASE}/_endpoints"] = httpx.Response(200, json={"success": True, "endpoints": rows})

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.path)
        wrong = httpx.Response(404, json={"success": False, "error": "Not found", "did_you_mean": f"{BASE}/accounts"})
        known = self.answers.get(request.url.path, wrong)
        return httpx.Response(known.status_code, content=known.content)


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
async def client(service: Service) -> AsyncIterator[CrossTrade]:
    async def no_pause(_: float) -> None:
        return

    transport = httpx.MockTransport(service.answer)
    now = datetime(2026, 3, 18, 21, 0, tzinfo=UTC)
    async with CrossTrade(
        "https://crosstrade.invalid", "t", transport=transport, clock=lambda: now, sleep=no_pause
    ) as c:
        yield c


EXECUTIONS = httpx.Response(200, json={"success": True, "executions": []})


async def test_a_path_that_we_assumed_wrongly_is_taken_from_the_live_catalogue_and_kept(
    service: Service, client: CrossTrade
) -> None:
    service.lists("GetExecutionsByOrderId", ELSEWHERE)
    service.answers[f"{BASE}/executions/order/a+1"] = EXECUTIONS
    for view in (client, client.urgent()):
        assert await view.executions_of_order("Sim101", "a+1") == ()
    assert service.asked == [
        f"{BASE}/accounts/Sim101/orders/a+1/executions",
        f"{BASE}/_endpoints",
        f"{BASE}/executions/order/a+1",
        f"{BASE}/executions/order/a+1",
    ]


async def test_a_path_that_we_assumed_rightly_asks_for_no_catalogue(service: Service, client: CrossTrade) -> None:
    service.answers[f"{BASE}/accounts/Sim101/orders/a1/executions"] = EXECUTIONS
    assert await client.executions_of_order("Sim101", "a1") == ()
    assert len(service.asked) == 1


@pytest.mark.parametrize(
    ("listed", "found"),
    [
        (f"{BASE}/accounts/{{account}}/strategies/{{strategyId}}",
         "puts it at /v1/api/accounts/{account}/strategies/{strategy_id}"),
        (f"{BASE}/strategy/{{strategyId}}", "puts it at /v1/api/strategy/{strategy_id}"),
        (f"{BASE}/strategies/{{magic}}", "does not list it"),
    ],
)  # fmt: skip
async def test_what_is_not_there_either_says_what_the_live_catalogue_says(
    service: Service, client: CrossTrade, listed: str, found: str
) -> None:
    service.lists("GetStrategy", listed)
    for _ in range(2):
        with pytest.raises(NotFound) as caught:
            await client.strategy("Sim101", "7")
    assert "the path of this endpoint is our assumption" in str(caught.value)
    assert f"their _endpoints {found}" in str(caught.value)
    assert "get_strategies" in str(caught.value)
    assert service.asked.count(f"{BASE}/_endpoints") == 1


async def test_a_catalogue_that_cannot_be_read_is_said_and_asked_for_again(
    service: Service, client: CrossTrade
) -> None:
    for status in (404, 500, 200):
        service.answers[f"{BASE}/_endpoints"] = httpx.Response(status, json={})
        with pytest.raises(NotFound, match=r"_endpoints, which might tell, could not be read"):
            await client.all_orders(active_only=True)
    service.lists("GetAllOrders", f"{BASE}/orders/all")
    service.answers[f"{BASE}/orders/all"] = httpx.Response(200, json={"success": True, "orders": []})
    assert await client.all_orders(active_only=True) == ()


async def test_a_path_that_is_documented_is_never_looked_for_elsewhere(service: Service, client: CrossTrade) -> None:
    service.lists("ListAccounts", f"{BASE}/accounts/all")
    with pytest.raises(NotFound) as caught:
        await client.accounts()
    assert "_endpoints" not in str(caught.value)
    with pytest.raises(NotFound):
        await client.close_strategy("Sim101", "7")
    assert f"{BASE}/_endpoints" not in service.asked


async def test_the_spelling_of_a_bracket_is_asked_for_once(service: Service, client: CrossTrade) -> None:
    service.answers[f"{BASE}/openapi.json"] = httpx.Response(200, json=OPENAPI)
    fields = await client.bracket_fields()
    assert (fields.take_profit, fields.stop_loss) == (None, "stopLossPrice")
    assert await client.urgent().bracket_fields() is fields
    assert service.asked == [f"{BASE}/openapi.json"]


async def test_without_their_description_the_assumption_stands_until_there_is_one(
    service: Service, client: CrossTrade
) -> None:
    assert await client.bracket_fields() is ASSUMED_FIELDS
    service.answers[f"{BASE}/openapi.json"] = httpx.Response(200, json=OPENAPI)
    assert (await client.bracket_fields()).stop_loss == "stopLossPrice"


async def test_an_empty_budget_leaves_the_assumption(service: Service) -> None:
    class Spent(OwnBudget):
        async def wait(self, now: datetime, *, rank: Rank, waited: float = 0.0) -> float:
            raise BudgetExhausted(f"nothing is left at {now} for {rank}, who waited {waited}")

    transport = httpx.MockTransport(service.answer)
    async with CrossTrade("https://crosstrade.invalid", "t", transport=transport, budget=Spent()) as client:
        assert await client.bracket_fields() is ASSUMED_FIELDS
    assert service.asked == []
