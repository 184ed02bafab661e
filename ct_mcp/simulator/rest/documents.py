"""What the service says about itself: its routes, its OpenAPI description, and texts for models."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from ct_mcp.simulator.rest.endpoints import ENDPOINTS, PREFIX


@dataclass(frozen=True, slots=True)
class Document:
    """One document that is served as it is."""

    name: str
    path: str
    media_type: str
    text: Callable[[], str]


@lru_cache(maxsize=1)
def _catalogue() -> str:
    rows = [
        {"rpc": each.rpc, "method": each.method, "path": PREFIX + each.path, "description": each.summary}
        for each in ENDPOINTS
    ]
    return json.dumps({"success": True, "count": len(rows), "endpoints": rows})


DOCUMENTS = (Document("Endpoints", "/_endpoints", "application/json", _catalogue),)
