"""The OpenAPI 3.1 description of what is served, made from the table of endpoints."""

from typing import Any

from pydantic import TypeAdapter

from ct_mcp.simulator.rest.endpoints import ENDPOINTS, PREFIX, Endpoint
from ct_mcp.simulator.rest.envelope import ErrorAnswer

Json = dict[str, Any]
_REFS = "#/components/schemas/{model}"
_REFUSALS = {
    400: "What was asked is not possible; nothing has been done.",
    401: "The token is missing or wrong.",
    403: "The plan does not include this.",
    404: "There is no such strategy in this account; nothing has been done.",
    408: "The add-on is not connected or did not answer in time; what was sent to it may have been done.",
    409: "Something else is being done with the same thing.",
    429: "Too many requests; see `Retry-After`.",
    500: "It is not known whether anything was done.",
    502: "It is not known whether anything was done.",
    503: "The API is switched off for the moment.",
}

_DESCRIPTION = """A fake service in front of a fake NinjaTrader. No order reaches a market.

The same calls can be made over a WebSocket at `/ws/stream`, which needs the same `Authorization` header; every
message is an object with an `action`: `rpc`, `subscribe`, `unsubscribe`, `streamPnl` or `ping`. The arguments of an
`rpc` are path, query and body in one object, `{"action":"rpc","id":"1","api":"GetAccount","args":{...}}`, and its
answer is `{"id":"1","data":{...}}`. Pushed frames carry `seq`, `dropped` and `epoch`; a `resync` means that everything
has to be read again. One connection per person: a second one closes the first. Calls draw on the same limit as
requests do; subscriptions may change 20 times a minute, 5 times at once."""


def describe(documents: dict[str, str]) -> Json:
    """Describe every endpoint, and every document by its path and media type."""
    adapters = {each.rpc: TypeAdapter(each.answer) for each in ENDPOINTS} | {"": TypeAdapter(ErrorAnswer)}
    schemas, shared = TypeAdapter.json_schemas(
        [(rpc, "serialization", adapter) for rpc, adapter in adapters.items()], ref_template=_REFS
    )
    answers = {rpc: schema for (rpc, _), schema in schemas.items()}
    paths: dict[str, Json] = {}
    for endpoint in ENDPOINTS:
        operation = _operation(endpoint, answers[endpoint.rpc], answers[""])
        paths.setdefault(PREFIX + endpoint.path, {})[endpoint.method.lower()] = operation
    for path, media_type in documents.items():
        paths[PREFIX + path] = {"get": _document_operation(path, media_type, answers[""])}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "CrossTrade API, simulated",
            "version": "1",
            "description": _DESCRIPTION,
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
            "schemas": shared["$defs"],
        },
    }


def arguments(endpoint: Endpoint) -> tuple[list[Json], Json | None]:
    """Describe what an endpoint takes: parameters in path and query, and the body if it has one."""
    schema = endpoint.takes.model_json_schema(by_alias=True)
    fields: Json = schema.get("properties", {})
    required = set(schema.get("required", []))
    in_path, reads = set(endpoint.path_names), endpoint.method == "GET"
    parameters = [
        _parameter(name, field, where="path" if name in in_path else "query", required=name in required)
        for name, field in fields.items()
        if reads or name in in_path
    ]
    if reads:
        return parameters, None
    inside = {name: field for name, field in fields.items() if name not in in_path}
    body: Json = {"type": "object", "properties": inside, "description": schema.get("description", "")}
    if needed := sorted(required - in_path):
        body["required"] = needed
    return parameters, body


def _operation(endpoint: Endpoint, answer: Json, error: Json) -> Json:
    parameters, body = arguments(endpoint)
    never = {404} if "strategyId" not in endpoint.path_names else set()
    never |= set() if endpoint.needs_addon else {408}
    statuses = [status for status in _REFUSALS if status not in never]
    operation: Json = {
        "operationId": endpoint.rpc,
        "summary": endpoint.summary,
        "parameters": parameters,
        "responses": {
            "200": {"description": "Done, or taken.", "content": {"application/json": {"schema": answer}}},
            **{str(status): _refusal(status, error) for status in statuses},
        },
    }
    if body is not None:
        operation["requestBody"] = {
            "required": "required" in body,
            "content": {"application/json": {"schema": body}},
        }
    return operation


def _document_operation(path: str, media_type: str, error: Json) -> Json:
    schema: Json = {"type": "string" if media_type.startswith("text/") else "object"}
    return {
        "operationId": path.strip("/"),
        "summary": "A document about this API.",
        "responses": {
            "200": {"description": "The document.", "content": {media_type: {"schema": schema}}},
            "401": _refusal(401, error),
            "429": _refusal(429, error),
        },
    }


def _parameter(name: str, field: Json, *, where: str, required: bool) -> Json:
    return {"name": name, "in": where, "required": required, "schema": field}


def _refusal(status: int, error: Json) -> Json:
    content: Json = (
        {"text/html": {"schema": {"type": "string"}}} if status == 502 else {"application/json": {"schema": error}}
    )
    answer: Json = {"description": _REFUSALS[status], "content": content}
    if status == 429:
        answer["headers"] = {"Retry-After": {"description": "Seconds.", "schema": {"type": "string"}}}
    return answer
