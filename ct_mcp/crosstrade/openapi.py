"""What their openapi.json says of the body of a call: the names of its fields, and what each may hold."""

import re
from collections.abc import Iterator, Mapping

from ct_mcp.crosstrade.catalogue import PREFIX, Endpoint
from ct_mcp.crosstrade.failures import json_in

_NUMBERS = frozenset({"number", "integer"})
_DEEPEST = 8
Json = Mapping[str, object]


def body_fields_in(document: str, endpoint: Endpoint) -> dict[str, Json]:
    """The fields of a call's body with their schemas; none where the document does not describe it."""
    root = _object(json_in(document))
    for operation in _operations(root, endpoint):
        body = _resolved(operation.get("requestBody"), root)
        for content in _object(body.get("content")).values():
            if found := _fields(_object(content).get("schema"), root):
                return found
    return {}


def may_be_number(schema: Json) -> bool:
    """Say whether a number fits; a field that says nothing of its type takes one."""
    types = {kind for part in (schema, *_listed(schema, "anyOf"), *_listed(schema, "oneOf")) for kind in _types(part)}
    return not types or bool(types & _NUMBERS)


def _operations(root: Json, endpoint: Endpoint) -> Iterator[Json]:
    """What the document says of our route, whatever it calls the names in it."""
    for path, methods in _object(root.get("paths")).items():
        if _shape(path) == _shape(endpoint.path):
            yield _object(_object(methods).get(endpoint.method.lower()))


def _fields(schema: object, root: Json) -> dict[str, Json]:
    """The properties of a schema and of the parts that it is put together from."""
    whole = _resolved(schema, root)
    parts = [whole, *(_resolved(part, root) for part in _listed(whole, "allOf"))]
    return {name: _resolved(field, root) for part in parts for name, field in _object(part.get("properties")).items()}


def _resolved(value: object, root: Json) -> Json:
    """The object itself, or the one that a reference inside the document leads to."""
    for _ in range(_DEEPEST):
        reference = _object(value).get("$ref")
        if not isinstance(reference, str):
            break
        value = root
        for key in reference.removeprefix("#/").split("/"):
            value = _object(value).get(key)
    return _object(value)


def _types(schema: Json) -> list[str]:
    kind = schema.get("type")
    return [each for each in (kind if isinstance(kind, list) else [kind]) if isinstance(each, str)]


def _listed(schema: Json, key: str) -> list[Json]:
    values = schema.get(key)
    return [_object(value) for value in values] if isinstance(values, list) else []


def _object(value: object) -> Json:
    return value if isinstance(value, Mapping) else {}


def _shape(path: str) -> str:
    return re.sub(r"{\w*}", "{}", path.removeprefix(PREFIX))
