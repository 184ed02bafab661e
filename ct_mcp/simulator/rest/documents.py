"""What the service says about itself: its routes, its OpenAPI description, and texts for models."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

from ct_mcp.simulator.rest.endpoints import ENDPOINTS, PREFIX, Endpoint
from ct_mcp.simulator.rest.openapi import Json, arguments, describe
from ct_mcp.simulator.rest.yaml_text import yaml_text

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
        """Where it is served."""
        return f"/{self.name}"


@cache
def _catalogue() -> str:
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
    return describe({each.path: each.media_type for each in DOCUMENTS})


def _openapi_json() -> str:
    return json.dumps(_description())


@cache
def _openapi_yaml() -> str:
    return yaml_text(_description())


def _short_text() -> str:
    return _INTRODUCTION + "".join(f"\n- `{_line(each)}` {each.rpc}: {each.summary}" for each in ENDPOINTS) + "\n"


def _full_text() -> str:
    return _INTRODUCTION + "".join("\n".join(_chapter(each)) for each in ENDPOINTS) + "\n"


def _line(endpoint: Endpoint) -> str:
    return f"{endpoint.method} {PREFIX}{endpoint.path}"


def _chapter(endpoint: Endpoint) -> Iterator[str]:
    """Write one endpoint with everything that it takes."""
    parameters, body = arguments(endpoint)
    needed = set((body or {}).get("required", [])) | {each["name"] for each in parameters if each["required"]}
    fields = {each["name"]: each["schema"] for each in parameters} | (body or {}).get("properties", {})
    yield f"\n\n## {endpoint.rpc}\n\n`{_line(endpoint)}`\n\n{endpoint.summary}\n"
    for name, field in fields.items():
        kind = field.get("type") or "/".join(each.get("type", "") for each in field.get("anyOf", []))
        yield f"- `{name}` ({kind}{', required' if name in needed else ''}) {field.get('description', '')}".rstrip()


DOCUMENTS = (
    Document("_endpoints", "application/json", _catalogue),
    Document("openapi.json", "application/json", _openapi_json),
    Document("openapi.yaml", "application/yaml", _openapi_yaml),
    Document("llms.txt", "text/plain", _short_text),
    Document("llms-full.txt", "text/plain", _full_text),
)
