"""The door of the service: token, rate limit, routes that do not exist, requests that cannot be read."""

from datetime import UTC, datetime

import httpx
import pytest

from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.simulator import Simulator


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic test-token"}])
async def test_without_the_token_nothing_is_told(sim: Simulator, headers: dict[str, str]) -> None:
    async with httpx.AsyncClient(transport=sim.transport(), base_url="http://sim/v1/api", headers=headers) as http:
        answer = await http.get("/accounts")
    assert answer.status_code == 401
    assert answer.json()["success"] is False


async def test_the_twenty_first_request_at_once_is_one_too_many(clock: ManualClock) -> None:
    sim = Simulator(seed=7, clock=clock, token="t")
    headers = {"Authorization": "Bearer t"}
    async with httpx.AsyncClient(transport=sim.transport(), base_url="http://sim/v1/api", headers=headers) as http:
        answers = [await http.get("/accounts") for _ in range(21)]
        clock.advance(0.4)
        again = await http.get("/accounts")
    assert [answer.status_code for answer in answers] == [200] * 20 + [429]
    assert answers[20].headers["Retry-After"] == "0.33"
    assert answers[20].json() == {"success": False, "error": "rate_limited", "retryAfter": 0.33}
    assert again.status_code == 200


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/v1/api/acounts", "/v1/api/accounts"),
        ("/v1/api/market/quotes", "/v1/api/market/quote"),
        ("/v1/api/accounts/Sim101/orders/x/y/z/nothing/of/the/kind", "/v1/api/accounts/{account}/orders/{orderId}"),
        ("/v1/api/~", None),
    ],
)
async def test_a_wrong_path_is_told_which_one_may_be_meant(client: httpx.AsyncClient, path: str, meant: str) -> None:
    answer = await client.get(f"http://sim{path}")
    assert answer.status_code == 404
    suggestion = answer.json()["did_you_mean"]
    assert suggestion is None if meant is None else suggestion.startswith(meant)


async def test_outside_the_api_a_web_page_answers(client: httpx.AsyncClient) -> None:
    answer = await client.get("http://sim/api/accounts")
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")


async def test_a_wrong_method_is_told_the_right_one(client: httpx.AsyncClient) -> None:
    answer = await client.delete("/accounts")
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET, HEAD"
    assert answer.json()["error"] == "method_not_allowed"


@pytest.mark.parametrize("path", ["/accounts/Sim101/orders/place", "/accounts/Sim101/strategies/start"])
async def test_a_wrong_method_where_two_routes_meet_is_told_what_both_allow(
    client: httpx.AsyncClient, path: str
) -> None:
    answer = await client.put(path, json={})
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD, POST")


@pytest.mark.parametrize("body", [b"{", b"[]", b'"text"', b"\xff\xfe"])
async def test_a_body_that_is_no_object_is_an_invalid_request(client: httpx.AsyncClient, body: bytes) -> None:
    answer = await client.post("/accounts/Sim101/orders/place", content=body)
    assert (answer.status_code, answer.json()) == (400, {"error": "Invalid request"})


async def test_requests_are_kept_for_those_who_ask(sim: Simulator, client: httpx.AsyncClient) -> None:
    await client.get("/accounts/Sim101")
    await client.post("/accounts/Sim101/orders/cancel", json={})
    await client.get("/llms.txt")
    seen = [(each.method, each.path, each.rpc, each.accepted) for each in sim.requests]
    assert seen == [
        ("GET", "/v1/api/accounts/Sim101", "GetAccount", True),
        ("POST", "/v1/api/accounts/Sim101/orders/cancel", "CancelOrders", True),
        ("GET", "/v1/api/llms.txt", "llms.txt", True),
    ]
    assert len(sim.requests_of("CancelOrders", "GetOrder")) == 1


async def test_the_path_may_carry_blanks_and_signs(client: httpx.AsyncClient) -> None:
    answer = await client.get("/accounts/My%20account!")
    assert answer.status_code == 400
    assert answer.json()["detail"] == "Account 'My account!' not found"


async def test_a_clock_that_goes_back_does_not_turn_time(sim: Simulator) -> None:
    sim.addon.clock = lambda: datetime(2026, 9, 9, 14, 29, tzinfo=UTC)
    before = sim.addon.now
    sim.addon.wake()
    assert sim.addon.now == before


async def test_half_a_character_is_echoed_as_it_was_sent(client: httpx.AsyncClient) -> None:
    answer = await client.post("/accounts/Sim101/positions/close", content=b'{"instrument": "\\ud800"}')
    assert answer.status_code == 400
    assert "error" in answer.json()
