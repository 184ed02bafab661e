"""CancelAndBracket, whose page hides how it spells its prices: read from their openapi.json, else assumed.

This is the one place that says what we assume. Only what the document says of the body of that call is read from it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from ct_mcp.crosstrade.endpoints import ENDPOINTS, PREFIX, Endpoint
from ct_mcp.crosstrade.schemas.values import json_number, parse_json
from ct_mcp.domain.account import Direction, Position
from ct_mcp.domain.commands import ProtectPosition
from ct_mcp.domain.order import OrderAction
from ct_mcp.errors import BadRequest
from ct_mcp.text import normalize, sanitize

Json = Mapping[str, object]

# Ours first, then what else a price may be called.
_TAKE_PROFIT = ("takeprofit", "takeprofitprice", "profittarget", "profittargetprice", "targetprice")
_STOP_LOSS = ("stoploss", "stoplossprice", "stopprice")
_OTHERWISE = "place the take profit and the stop as two orders of one OCO group instead"
_NUMBERS = frozenset({"number", "integer"})
_DEEPEST_REFERENCE = 8


@dataclass(frozen=True, slots=True)
class BracketFields:
    """How the call spells its prices; None is one that it has not, as far as is known. ``source`` says how we know."""

    take_profit: str | None
    stop_loss: str | None
    source: str


ASSUMED_FIELDS = BracketFields(
    "takeProfit",
    "stopLoss",
    "that CancelAndBracket calls its prices takeProfit and stopLoss is our assumption, made after its Tradovate twin",
)


def parse_bracket_fields(document: str) -> BracketFields:
    """Look the names up in their openapi.json; where it does not describe the body, our assumption stands.

    Where it does and has no name that we know, there is none: with an assumed one everything would be cancelled and
    nothing placed.
    """
    found = parse_body_fields(document, ENDPOINTS["CancelAndBracket"])
    if not found:
        return ASSUMED_FIELDS
    names = ", ".join(sanitize(name, longest=30) for name in sorted(found)[:20])
    return BracketFields(
        take_profit=_find_name(found, _TAKE_PROFIT),
        stop_loss=_find_name(found, _STOP_LOSS),
        source=f"by their openapi.json CancelAndBracket takes {names}",
    )


def bracket_body(protect: ProtectPosition, position: Position, fields: BracketFields) -> dict[str, object]:
    """Write the bracket of a position that stands: its direction, its size, and the prices in the known spelling.

    Raises:
        BadRequest: The position is flat, no price is given, or one cannot be spelled.
    """
    if (protect.account, protect.instrument) != (position.account, position.instrument):
        raise ValueError("a bracket is sent with the position that it protects")
    if position.direction is Direction.FLAT:
        raise BadRequest(f"{position.instrument} is flat, and a bracket without a position would open one")
    prices = _spelled("take_profit_price", fields.take_profit, protect.take_profit_price, fields.source)
    prices |= _spelled("stop_loss_price", fields.stop_loss, protect.stop_loss_price, fields.source)
    if not prices:
        raise BadRequest("a bracket names at least one of take_profit_price and stop_loss_price")
    return {
        "instrument": str(protect.instrument),
        # The direction of the position that is protected: they turn it round for the exits.
        "action": (OrderAction.BUY if position.direction is Direction.LONG else OrderAction.SELL).value,
        "quantity": position.quantity,
        **prices,
    }


def _spelled(ours: str, theirs: str | None, price: Decimal | None, source: str) -> dict[str, object]:
    if price is None:
        return {}
    if theirs is None:
        raise BadRequest(f"{ours} cannot be sent, since its name is not known; {source}", next_step=_OTHERWISE)
    return {theirs: json_number(ours, price)}


def _find_name(found: Mapping[str, Json], names: tuple[str, ...]) -> str | None:
    """Give the field with the name that we assume, or the only one with another that we know."""
    known = {
        normalize(name): name for name, schema in found.items() if normalize(name) in names and may_be_number(schema)
    }
    return known.get(names[0]) or (next(iter(known.values())) if len(known) == 1 else None)


def parse_body_fields(document: str, endpoint: Endpoint) -> dict[str, Json]:
    """Read the fields of a call's body with their schemas; none where openapi.json does not describe it."""
    root = _object(parse_json(document))
    for operation in _operations(root, endpoint):
        body = _resolve(operation.get("requestBody"), root)
        for content in _object(body.get("content")).values():
            if found := _properties(_object(content).get("schema"), root):
                return found
    return {}


def may_be_number(schema: Json) -> bool:
    """Say whether a number fits; a field that says nothing of its type takes one."""
    types = {kind for part in (schema, *_objects(schema, "anyOf"), *_objects(schema, "oneOf")) for kind in _types(part)}
    return not types or bool(types & _NUMBERS)


def _operations(root: Json, endpoint: Endpoint) -> Iterator[Json]:
    """Say what the document says of our route, whatever it calls the names in it."""
    for path, methods in _object(root.get("paths")).items():
        if _shape(path) == _shape(endpoint.path):
            yield _object(_object(methods).get(endpoint.method.lower()))


def _properties(schema: object, root: Json) -> dict[str, Json]:
    """Give the properties of a schema and of the parts that it is put together from."""
    whole = _resolve(schema, root)
    parts = [whole, *(_resolve(part, root) for part in _objects(whole, "allOf"))]
    return {name: _resolve(field, root) for part in parts for name, field in _object(part.get("properties")).items()}


def _resolve(value: object, root: Json) -> Json:
    """Give the object itself, or the one that a reference inside the document leads to."""
    for _ in range(_DEEPEST_REFERENCE):
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


def _objects(schema: Json, key: str) -> list[Json]:
    values = schema.get(key)
    return [_object(value) for value in values] if isinstance(values, list) else []


def _object(value: object) -> Json:
    return value if isinstance(value, Mapping) else {}


def _shape(path: str) -> str:
    return re.sub(r"{\w*}", "{}", path.removeprefix(PREFIX))
