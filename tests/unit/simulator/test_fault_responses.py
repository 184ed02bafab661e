"""Every fault: what the client sees, and whether anything has happened."""

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import httpx
import pytest

from ct_mcp.simulator.fault_responses import FAULTS_AFTER_ACCEPT, FAULTS_BEFORE_ACCEPT, HOSTILE_TEXT
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.simulator import Simulator

Call = Callable[..., Awaitable[Any]]
Place = Callable[..., Awaitable[str]]
ORDER = {"instrument": "ES", "action": "BUY", "quantity": 1, "orderType": "MARKET", "timeInForce": "DAY"}
PLACE = "/accounts/Sim101/orders/place"
CUTS = [
    (Fault.CONNECT_REFUSED, httpx.ConnectError, 0),
    (Fault.REQUEST_LOST_BEFORE_ACCEPT, httpx.RemoteProtocolError, 0),
    (Fault.ANSWER_LOST_AFTER_ACCEPT, httpx.RemoteProtocolError, 1),
    (Fault.READ_TIMEOUT_AFTER_ACCEPT, httpx.ReadTimeout, 1),
]
ANSWERS = [
    (Fault.ADDON_OFFLINE, 408, "Client not ready", 0),
    (Fault.TIMEOUT_AFTER_ACCEPT, 408, "Request timed out", 1),
    (Fault.ERROR_500_BEFORE_ACCEPT, 500, "internal_error", 0),
    (Fault.ERROR_500_AFTER_ACCEPT, 500, "internal_error", 1),
    (Fault.BAD_GATEWAY, 502, "<h1>502 Bad Gateway</h1>", 0),
    (Fault.BAD_GATEWAY_AFTER_ACCEPT, 502, "<h1>502 Bad Gateway</h1>", 1),
    (Fault.TEMPORARILY_DISABLED, 503, "temporarily_disabled", 0),
    (Fault.REFUSED_WITH_200, 200, '"success":false', 0),
    (Fault.REFUSED_WITH_400, 400, '{"error":', 0),
    (Fault.UNAUTHORIZED, 401, "unauthorized", 0),
    (Fault.FORBIDDEN, 403, "subscription_required", 0),
    (Fault.CONFLICT, 409, "close_in_progress", 0),
    (Fault.RATE_LIMITED, 429, '"retryAfter":2', 0),
    (Fault.RATE_LIMITED_OLD_BODY, 429, "Rate limit exceeded", 0),
    (Fault.RATE_LIMITED_IN_DETAILS, 429, '"details":{"retryAfter":0.5}', 0),
    (Fault.BROKER_RATE_LIMITED, 429, "broker_rate_limited", 0),
    (Fault.EMPTY_BODY, 200, "", 1),
    (Fault.UNREADABLE_JSON, 200, '{"orderId":"', 1),
    (Fault.HTML_PAGE, 200, "<!doctype html>", 1),
]


@pytest.mark.parametrize(("fault", "error", "effects"), CUTS)
async def test_a_cut_connection_raises_what_httpx_raises(
    sim: Simulator, client: httpx.AsyncClient, fault: Fault, error: type[httpx.TransportError], effects: int
) -> None:
    sim.faults.arm(fault, rpc="PlaceOrder", times=1)
    with pytest.raises(error) as raised:
        await client.post(PLACE, json=ORDER)
    assert type(raised.value) is error
    assert raised.value.request.url.path.endswith("/orders/place")
    assert len(sim.exchange.orders) == effects
    assert (await client.post(PLACE, json=ORDER)).status_code == 200
    assert len(sim.exchange.orders) == effects + 1


@pytest.mark.parametrize(("fault", "status", "words", "effects"), ANSWERS)
async def test_a_fault_answers_as_its_description_says(
    sim: Simulator, client: httpx.AsyncClient, fault: Fault, status: int, words: str, effects: int
) -> None:
    sim.faults.arm(fault, rpc="PlaceOrder", times=1)
    assert (await client.get("/accounts")).status_code == 200
    answer = await client.post(PLACE, json=ORDER)
    assert answer.status_code == status
    assert words in answer.text
    assert len(sim.exchange.orders) == effects
    assert (await client.post(PLACE, json=ORDER)).json()["success"] is True


def test_every_fault_of_the_wire_is_proved_here() -> None:
    proved = {fault for fault, *_ in (*CUTS, *ANSWERS)} | {Fault.SLOW_ANSWER}
    assert proved == {*FAULTS_BEFORE_ACCEPT, *FAULTS_AFTER_ACCEPT, Fault.ADDON_OFFLINE}


@pytest.mark.parametrize(
    ("fault", "header"),
    [
        (Fault.RATE_LIMITED, "2"),
        (Fault.BROKER_RATE_LIMITED, "30"),
        (Fault.RATE_LIMITED_OLD_BODY, None),
        (Fault.RATE_LIMITED_IN_DETAILS, None),
    ],
)
async def test_not_every_429_says_when_to_come_back(
    sim: Simulator, client: httpx.AsyncClient, fault: Fault, header: str | None
) -> None:
    sim.faults.arm(fault)
    assert (await client.get("/accounts")).headers.get("Retry-After") == header


async def test_a_slow_answer_comes_when_it_is_released(sim: Simulator, client: httpx.AsyncClient) -> None:
    sim.faults.arm(Fault.SLOW_ANSWER, rpc="PlaceOrder", times=1)
    answers: list[int] = []

    async def send() -> None:
        answers.append((await client.post(PLACE, json=ORDER)).status_code)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send)
            await sim.faults.slow_answer_waits()
            assert (answers, len(sim.exchange.orders)) == ([], 1)
            sim.faults.release()
    assert answers == [200]


async def test_documents_need_no_addon(sim: Simulator, client: httpx.AsyncClient) -> None:
    sim.faults.arm(Fault.ADDON_OFFLINE)
    assert (await client.get("/_endpoints")).status_code == 200
    assert (await client.get("/accounts")).status_code == 408


async def test_positions_can_come_without_success(sim: Simulator, call: Call, place: Place) -> None:
    await place()
    sim.advance(1)
    sim.faults.arm(Fault.POSITIONS_WITHOUT_SUCCESS, times=1)
    assert await call("GET", "/accounts/Sim101/positions") == {"positions": []}
    assert len((await call("GET", "/accounts/Sim101/positions"))["positions"]) == 1


async def test_lists_can_be_empty_though_there_is_something(sim: Simulator, call: Call, place: Place) -> None:
    await place()
    await place(orderType="LIMIT", limitPrice=5000.0)
    sim.advance(1)
    sim.faults.arm(Fault.EMPTY_LISTS)
    assert await call("GET", "/accounts/Sim101/orders") == {"success": True, "orders": []}
    assert await call("GET", "/positions") == {"positions": [], "count": 0, "success": True}
    assert (await call("GET", "/accounts/Sim101/position", params={"instrument": "ES"}))["quantity"] == 1


async def test_a_warning_can_stand_beside_success(sim: Simulator, call: Call) -> None:
    sim.faults.arm(Fault.WARNING, rpc="PlaceOrder")
    answer = await call("POST", PLACE, json=ORDER)
    assert answer["success"] is True
    assert isinstance(answer["warning"], str)


async def test_names_and_errors_can_be_hostile(sim: Simulator, call: Call, place: Place) -> None:
    sim.faults.arm(Fault.HOSTILE_TEXT)
    placed = await place(quantity=500)
    sim.advance(1)
    account = await call("GET", "/accounts/Sim101")
    order = await call("GET", f"/accounts/Sim101/orders/{placed}")
    error = await call("GET", "/accounts/Sim999", status=400)
    story = await call("GET", f"/accounts/Sim101/orders/{placed}/lifecycle")
    texts = (account["displayName"], order["name"], error["error"], story["events"][-1]["nativeError"])
    assert all(HOSTILE_TEXT in text for text in texts)
    assert account["name"] == "Sim101"
