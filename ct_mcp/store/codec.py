"""How values are spelled on disk: canonical JSON, times, and every action with its kind."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from ct_mcp.domain.action import (
    Action,
    CancelOrder,
    CancelOrders,
    ChangeOrder,
    ClosePosition,
    CloseStrategy,
    DisableStrategy,
    EnableStrategy,
    Flatten,
    FlattenEverything,
    PlaceOrder,
    ProtectPosition,
    ReplaceOrder,
    ReversePosition,
)
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import OrderAction, OrderType, TimeInForce
from ct_mcp.domain.strategy import BarType, HostMode, ParameterValue, StartStrategy
from ct_mcp.errors import StoreFailed

ACTIONS: Mapping[str, type[Action]] = {
    "place_order": PlaceOrder,
    "change_order": ChangeOrder,
    "cancel_order": CancelOrder,
    "cancel_orders": CancelOrders,
    "close_position": ClosePosition,
    "flatten": Flatten,
    "flatten_everything": FlattenEverything,
    "replace_order": ReplaceOrder,
    "reverse_position": ReversePosition,
    "protect_position": ProtectPosition,
    "start_strategy": StartStrategy,
    "enable_strategy": EnableStrategy,
    "disable_strategy": DisableStrategy,
    "close_strategy": CloseStrategy,
}
_KINDS = {cls: kind for kind, cls in ACTIONS.items()}

# Fields that JSON cannot hold as they are; every other field is read as it was written.
_READERS: Mapping[str, Callable[[Any], object]] = {
    "instrument": lambda fields: Instrument(**fields),
    "action": OrderAction,
    "order_type": OrderType,
    "time_in_force": TimeInForce,
    "limit_price": Decimal,
    "stop_price": Decimal,
    "percent": Decimal,
    "take_profit_price": Decimal,
    "stop_loss_price": Decimal,
    "accounts": tuple,
    "order": lambda fields: PlaceOrder(**_read_all(fields)),
    "mode": HostMode,
    "bar_type": BarType,
    "parameters": lambda rows: tuple((name, _PARAMETERS[kind](text)) for name, kind, text in rows),
}
_PARAMETERS: Mapping[str, Callable[[str], ParameterValue]] = {
    "str": str,
    "int": int,
    "bool": "True".__eq__,
    "Decimal": Decimal,
}


def action_to_text(action: Action) -> str:
    """Write an action with its kind, so that `action_from_text` gives back exactly the same."""
    fields = asdict(action)
    if isinstance(action, StartStrategy):
        fields["parameters"] = [[name, type(value).__name__, str(value)] for name, value in action.parameters]
    return canonical([_KINDS[type(action)], fields])


def action_from_text(text: str) -> Action:
    """Read what `action_to_text` wrote; anything else is a ValueError, TypeError, LookupError or ArithmeticError."""
    try:
        kind, fields = json.loads(text)
        return ACTIONS[kind](**_read_all(fields))
    except (AttributeError, RecursionError) as error:
        raise ValueError(f"it was not written as an action: {error}") from error


def _read_all(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _read(name, value) for name, value in fields.items()}


def _read(name: str, value: Any) -> Any:
    reader = _READERS.get(name)
    return value if value is None or reader is None else reader(value)


def canonical(value: object) -> str:
    """The one JSON text of a value, in ASCII; what JSON does not know is written as its text.

    Raises:
        StoreFailed: It holds a NaN, an infinity, itself, or keys that are no text.
    """
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, default=str)
    except (TypeError, ValueError, RecursionError) as error:
        raise StoreFailed(f"this cannot be written as JSON: {error}") from error


def time_to_text(at: datetime) -> str:
    """ISO 8601 in UTC with microseconds, so that text sorts as time does."""
    if at.tzinfo is None:
        raise ValueError("a stored time must know its zone")
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def time_from_text(text: str) -> datetime:
    """Read what `time_to_text` wrote."""
    return datetime.fromisoformat(text).astimezone(UTC)
