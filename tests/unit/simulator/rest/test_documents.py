"""What the service says about itself, compared with what it serves."""

import json
import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import httpx
import pytest
import yaml
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from ct_mcp.simulator.rest.documents import DOCUMENTS, to_yaml
from ct_mcp.simulator.rest.endpoints import ENDPOINTS, PREFIX
from ct_mcp.simulator.simulator import Simulator

Call = Callable[..., Awaitable[Any]]
Place = Callable[..., Awaitable[str]]
SERVED = {(each.method, PREFIX + each.path) for each in ENDPOINTS} | {("GET", PREFIX + each.path) for each in DOCUMENTS}


@pytest.mark.slow
async def test_the_description_is_valid_openapi(call: Call) -> None:
    OpenAPIV31SpecValidator(await call("GET", "/openapi.json")).validate()


async def test_the_description_and_the_catalogue_name_every_route_that_is_served(sim: Simulator, call: Call) -> None:
    described = await call("GET", "/openapi.json")
    operations = {(method.upper(), path) for path, methods in described["paths"].items() for method in methods}
    catalogue = await call("GET", "/_endpoints")
    listed = {(row["method"], row["path"]) for row in catalogue["endpoints"]}
    assert operations == listed == SERVED
    assert catalogue["count"] == len(catalogue["endpoints"])
    ids = [each["operationId"] for methods in described["paths"].values() for each in methods.values()]
    assert len(ids) == len(set(ids)) == len(SERVED)
    assert sorted(ids) == sorted(row["rpc"] for row in catalogue["endpoints"])


@pytest.mark.parametrize(("method", "path"), sorted(SERVED))
async def test_every_route_of_the_description_answers(
    client: httpx.AsyncClient, call: Call, method: str, path: str
) -> None:
    filled = re.sub("{(account|.*?)}", lambda match: "Sim101" if match[1] == "account" else "x", path)
    answer = await client.request(method, f"http://sim{filled}", json={} if method != "GET" else None)
    described = (await call("GET", "/openapi.json"))["paths"][path][method.lower()]
    assert answer.status_code in (200, 400, 404)
    assert str(answer.status_code) in described["responses"]


@pytest.mark.slow
async def test_the_yaml_says_what_the_json_says(client: httpx.AsyncClient) -> None:
    answer = await client.get("/openapi.yaml")
    assert answer.headers["content-type"].startswith("application/yaml")
    assert yaml.safe_load(answer.text) == (await client.get("/openapi.json")).json()


@pytest.mark.parametrize(
    "value", [{}, [], {"a": []}, {"a": {"b": [1, None, True, "x: y", {"c": 1.5}]}}, [[1], []], "text", {"é": "ü\n"}]
)
def test_yaml_is_read_as_it_was_meant(value: object) -> None:
    assert yaml.safe_load(to_yaml(value)) == value


async def test_the_texts_for_models_name_every_call(client: httpx.AsyncClient) -> None:
    for name in ("llms.txt", "llms-full.txt"):
        text = (await client.get(f"/{name}")).text
        assert all(f"{each.method} {PREFIX}{each.path}" in text for each in ENDPOINTS)
    assert "`timeInForce` (string, required)" in text


def _answers(described: dict[str, Any], rpc: str, status: int) -> dict[str, Any]:
    for methods in described["paths"].values():
        for operation in methods.values():
            if operation["operationId"] == rpc:
                content = operation["responses"][str(status)]["content"]
                return dict(content["application/json"]["schema"])
    raise LookupError(rpc)


def _requests(order_id: str, execution_id: str) -> Iterator[tuple[str, str, str, dict[str, Any] | None]]:
    """One request for each endpoint that can succeed, with its body."""
    filled = {"{account}": "Sim101", "{orderId}": order_id, "{executionId}": execution_id, "{strategyId}": "334081723"}
    query = {"GetQuote": "?instrument=ES,CL", "GetQuoteLegacy": "?instrument=ES", "GetPosition": "?instrument=ES"}
    order = {"instrument": "ES", "action": "BUY", "quantity": 1, "orderType": "MARKET", "timeInForce": "DAY"}
    bodies: dict[str, dict[str, Any]] = {
        "PlaceOrder": order,
        "FlatPlace": order,
        "CancelReplace": order,
        "Change": {"quantity": 2},
        "ClosePosition": {"instrument": "ES"},
        "Reverse": {"instrument": "ES"},
        "ReversePosition": order,
        "CancelAndBracket": {"instrument": "ES", "action": "BUY", "quantity": 1, "stopLoss": 5000.0},
        "GetBars": {"instrument": "ES", "limit": 3},
        "StartStrategy": {"strategyClass": "HoldLong", "instrument": "ES 09-26", "parameters": {"Quantity": 2}},
    }
    last = ("Change", "CancelReplace", "Cancel", "CancelOrders", "CancelAllOrders", "ClosePosition", "FlatPlace")
    for endpoint in sorted(ENDPOINTS, key=lambda each: (each.rpc in last, each.rpc.startswith("Flat"))):
        path = endpoint.path
        for name, value in filled.items():
            path = path.replace(name, value)
        body = bodies.get(endpoint.rpc, {}) if endpoint.method != "GET" else None
        yield endpoint.rpc, endpoint.method, path + query.get(endpoint.rpc, ""), body


async def test_every_answer_is_as_it_is_described(
    sim: Simulator, client: httpx.AsyncClient, call: Call, place: Place
) -> None:
    described = await call("GET", "/openapi.json")
    resting = {"orderType": "LIMIT", "limitPrice": 5000.0}
    succeeded = set()
    for rpc, method, path, body in _requests("ORDER", "EXECUTION"):
        await place(quantity=2)
        sim.advance(1)
        order_id = await place(**resting)
        sim.advance(1)
        where = path.replace("ORDER", order_id).replace("EXECUTION", sim.exchange.executions[-1].id)
        answer = await client.request(method, where, json=body)
        assert answer.status_code == 200, (rpc, answer.text)
        schema = _answers(described, rpc, 200) | {"components": described["components"]}
        OAS31Validator(schema).validate(answer.json())
        succeeded.add(rpc)
    assert succeeded == {each.rpc for each in ENDPOINTS}


async def test_a_refusal_is_as_it_is_described(client: httpx.AsyncClient, call: Call) -> None:
    described = await call("GET", "/openapi.json")
    schema = _answers(described, "PlaceOrder", 400) | {"components": described["components"]}
    for answer in (await client.post("/accounts/x/orders/place", json={}), await client.get("/accounts/x")):
        OAS31Validator(schema).validate(answer.json())


@pytest.mark.parametrize("shape", ["AccountJson", "OrderJson", "PositionJson", "QuoteBody"])
async def test_shapes_name_their_required_keys(call: Call, shape: str) -> None:
    schema = (await call("GET", "/openapi.json"))["components"]["schemas"][shape]
    assert set(schema["required"]) <= set(schema["properties"])
    assert len(schema["required"]) > 5
    assert json.dumps(schema)
