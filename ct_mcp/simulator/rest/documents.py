"""Documents that the service serves about itself: routes, OpenAPI 3.1, and texts for models.

They are made from the table of endpoints; the summaries are the docstrings of the handlers.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from ct_mcp.simulator.rest.endpoints import ENDPOINTS, PREFIX, RpcEndpoint
from ct_mcp.simulator.rest.wire import ErrorBody

Json = dict[str, Any]
_REFS = "#/components/schemas/{model}"
_STATUS_TEXTS = {
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
_INTRODUCTION = """# CrossTrade API, simulated

> REST for NinjaTrader 8 through an add-on. This server is a simulator: no order reaches a market.

Every request carries `Authorization: Bearer <token>`. Bodies are JSON. 3 requests a second, 20 at once.
An answer to an order means that the add-on has it, not that it works or has filled.
Quotes, P&L and events are pushed over a WebSocket at `/ws/stream`, which also takes every call as an `rpc`.
"""


@dataclass(frozen=True, slots=True)
class Document:
    """One document that is served as it is."""

    name: str
    media_type: str
    text: Callable[[], str]

    @property
    def path(self) -> str:
        """Path under the prefix of the API."""
        return f"/{self.name}"


def openapi_document(documents: dict[str, str]) -> Json:
    """Describe every endpoint, and every document by its path and media type."""
    adapters = {each.rpc: TypeAdapter(each.answer) for each in ENDPOINTS} | {"": TypeAdapter(ErrorBody)}
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


def describe_arguments(endpoint: RpcEndpoint) -> tuple[list[Json], Json | None]:
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


def _operation(endpoint: RpcEndpoint, answer: Json, error: Json) -> Json:
    parameters, body = describe_arguments(endpoint)
    never = {404} if "strategyId" not in endpoint.path_names else set()
    never |= set() if endpoint.needs_addon else {408}
    statuses = [status for status in _STATUS_TEXTS if status not in never]
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
    answer: Json = {"description": _STATUS_TEXTS[status], "content": content}
    if status == 429:
        answer["headers"] = {"Retry-After": {"description": "Seconds.", "schema": {"type": "string"}}}
    return answer


@cache
def _endpoint_list() -> str:
    rows = [
        {"rpc": each.rpc, "method": each.method, "path": PREFIX + each.path, "description": each.summary}
        for each in ENDPOINTS
    ]
    rows += [
        {"rpc": each.name, "method": "GET", "path": PREFIX + each.path, "description": "A document about this API."}
        for each in DOCUMENTS
    ]
    return json.dumps({"success": True, "count": len(rows), "endpoints": rows})


@cache
def _description() -> Json:
    return openapi_document({each.path: each.media_type for each in DOCUMENTS})


def _openapi_json() -> str:
    return json.dumps(_description())


@cache
def _openapi_yaml() -> str:
    return to_yaml(_description())


def _short_text() -> str:
    return _INTRODUCTION + "".join(f"\n- `{_route(each)}` {each.rpc}: {each.summary}" for each in ENDPOINTS) + "\n"


def _full_text() -> str:
    return _INTRODUCTION + "".join("\n".join(_section(each)) for each in ENDPOINTS) + "\n"


def _route(endpoint: RpcEndpoint) -> str:
    return f"{endpoint.method} {PREFIX}{endpoint.path}"


def _section(endpoint: RpcEndpoint) -> Iterator[str]:
    """Write one endpoint with its arguments."""
    parameters, body = describe_arguments(endpoint)
    needed = set((body or {}).get("required", [])) | {each["name"] for each in parameters if each["required"]}
    fields = {each["name"]: each["schema"] for each in parameters} | (body or {}).get("properties", {})
    yield f"\n\n## {endpoint.rpc}\n\n`{_route(endpoint)}`\n\n{endpoint.summary}\n"
    for name, field in fields.items():
        kind = field.get("type") or "/".join(each.get("type", "") for each in field.get("anyOf", []))
        yield f"- `{name}` ({kind}{', required' if name in needed else ''}) {field.get('description', '')}".rstrip()


def to_yaml(value: object) -> str:
    """Write a JSON value as a YAML document. Keys and texts are quoted as in JSON, which YAML accepts."""
    return "\n".join(_yaml_lines(value)) + "\n"


def _yaml_lines(value: object) -> Iterator[str]:
    match value:
        case dict() if value:
            for key, item in value.items():
                yield from _yaml_entry(f"{json.dumps(key)}:", item)
        case list() if value:
            for item in value:
                yield from _yaml_entry("-", item)
        case _:
            yield json.dumps(value, ensure_ascii=False)


def _yaml_entry(head: str, item: object) -> Iterator[str]:
    """Write the value of a key or a dash: beside it, or indented below it."""
    if isinstance(item, dict | list) and item:
        yield head
        yield from (f"  {line}" for line in _yaml_lines(item))
    else:
        yield f"{head} {json.dumps(item, ensure_ascii=False)}"


DOCUMENTS = (
    Document("_endpoints", "application/json", _endpoint_list),
    Document("openapi.json", "application/json", _openapi_json),
    Document("openapi.yaml", "application/yaml", _openapi_yaml),
    Document("llms.txt", "text/plain", _short_text),
    Document("llms-full.txt", "text/plain", _full_text),
)
