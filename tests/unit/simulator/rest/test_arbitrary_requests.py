"""Whatever is sent, the service answers as it is described: done, or refused, and never by breaking."""

import json
from datetime import UTC, datetime
from urllib.parse import quote

import anyio
import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.rest.documents import openapi_document
from ct_mcp.simulator.rest.endpoints import ENDPOINTS, RpcEndpoint
from ct_mcp.simulator.simulator import Simulator, SimulatorSettings

NAMES = sorted({field.alias or "" for each in ENDPOINTS for field in each.takes.model_fields.values()})
NAME = st.sampled_from(NAMES)
WORDS = ["", " ", ",", "ES", "ES 09-26", "ESZ6", "Sim101", "BUY", "limit", "day", "long", "true", "minute", "nan"]
MOMENTS = ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-09-09T24:00:00Z", "2026-09-01T00:00:00.1234567Z"]
TEXTS = st.sampled_from([*WORDS, *MOMENTS, "\ud800"])
VALUES = st.one_of(
    TEXTS,
    st.text(max_size=8),
    st.integers(-2, 10),
    st.sampled_from([10**9, 10**400, 1e308, 1e-300, 0.5, True, False, None, [], {}, [[[1]]], {"a": 1}]),
)
PARAMETERS = st.dictionaries(st.sampled_from(["Quantity", "StopTicks", "Offset", "UseTrail", "x"]), VALUES, max_size=3)
NOISE = st.fixed_dictionaries(
    {},
    optional={name: VALUES for name in NAMES}
    | {
        "instrument": st.sampled_from(["ES", "ES 09-26", "GC1!", "MNQZ26", ""]),
        "strategyClass": st.sampled_from(["OpeningRangeBreakout", "HoldLong ", ""]),
        "parameters": PARAMETERS | VALUES,
    },
)
SENSE: dict[str, object] = {
    "instrument": "ES 09-26",
    "action": "BUY",
    "quantity": 2,
    "orderType": "MARKET",
    "timeInForce": "DAY",
    "takeProfit": 9000.0,
    "stopLoss": 5000.0,
    "strategyClass": "HoldLong",
}
BODIES = NOISE | st.builds(
    lambda noise, names: SENSE | {name: noise[name] for name in names & noise.keys()}, NOISE, st.sets(NAME, max_size=3)
)
STRATEGIES = st.sampled_from(["334081723", "334081724", "334081725", "x"])
DOCUMENTED = {
    operation["operationId"]: set(operation["responses"])
    for methods in openapi_document({})["paths"].values()
    for operation in methods.values()
}


async def _send(method: str, path: str, body: dict[str, object]) -> httpx.Response:
    clock = ManualClock(datetime(2026, 9, 9, 14, 30, tzinfo=UTC))
    sim = Simulator(seed=7, clock=clock, token="t", settings=SimulatorSettings(rate_limit=None))
    headers = {"Authorization": "Bearer t"}
    async with httpx.AsyncClient(transport=sim.transport(), base_url="http://sim/v1/api", headers=headers) as http:
        order = {"instrument": "ES", "action": "BUY", "quantity": 2, "orderType": "MARKET", "timeInForce": "DAY"}
        await http.post("/accounts/Sim101/orders/place", json=order)
        sim.advance(1)
        if method == "GET":
            words = {name: str(value) for name, value in body.items() if "\ud800" not in str(value)}
            return await http.get(path, params=words)
        answer = await http.request(method, path, content=json.dumps(body))
        sim.advance(10)
        return answer


@pytest.mark.slow
@settings(max_examples=100)
@given(st.sampled_from(ENDPOINTS), st.sampled_from(["Sim101", "apex-482910", "x y!", "%"]), STRATEGIES, BODIES)
def test_nonsense_is_refused_and_nothing_breaks(
    endpoint: RpcEndpoint, account: str, strategy: str, body: dict[str, object]
) -> None:
    path = endpoint.path.replace("{account}", quote(account, safe=""))
    path = path.replace("{orderId}", "own").replace("{executionId}", "x").replace("{strategyId}", strategy)
    answer = anyio.run(_send, endpoint.method, path, body)
    assert str(answer.status_code) in DOCUMENTED[endpoint.rpc], answer.text
    assert answer.status_code in (200, 400, 404, 409), answer.text
    assert answer.json() is not None


def test_a_body_that_is_nested_too_deeply_is_refused() -> None:
    async def send() -> httpx.Response:
        sim = Simulator(seed=7, token="t")
        headers = {"Authorization": "Bearer t"}
        async with httpx.AsyncClient(transport=sim.transport(), base_url="http://sim/v1/api", headers=headers) as http:
            return await http.post("/positions/flatten", content=b"[" * 100_000)

    assert anyio.run(send).status_code == 400
