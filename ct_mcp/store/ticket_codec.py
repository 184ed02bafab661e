"""How a ticket's commands, and the question that it asks, are written on disk and read strictly.

A stored command is an object of its fields and its ``kind``, which is the one of `domain.commands.KINDS` in snake
case: ``{"account":"Sim101","kind":"cancel_order","order_id":"7"}``. Decimals are text, so that none is rounded; a
parameter of a strategy is ``[name, type, text]``.

What is read is believed only if it says what we would write: a stray field, a number for a decimal, 3.0 for 3 or
true for 1 is refused. Only a field that has a default may be missing, so a later version can add one. pydantic makes
its validators when the first ticket is written or read.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from functools import cache, lru_cache, reduce
from operator import or_
from typing import Annotated, Any, TypeVar

from pydantic import Discriminator, Field, Tag, TypeAdapter, ValidationError, WrapSerializer, WrapValidator

from ct_mcp.domain.approval import ApprovalRequest
from ct_mcp.domain.commands import KINDS, Command
from ct_mcp.domain.strategy import ParameterValue, StartStrategy
from ct_mcp.errors import StoreFailed
from ct_mcp.store.codec import MOVE_ASIDE, canonical

T = TypeVar("T")

# A ticket is read many times on its way, from the moment it is written, and what is read of its words is frozen.
_KEPT = 128
_FAULTS = (ValueError, TypeError, LookupError, ArithmeticError, RecursionError)


def commands_to_text(commands: tuple[Command, ...]) -> str:
    """Write the commands of a ticket, so that `commands_from_text` gives back exactly the same.

    Raises:
        StoreFailed: They hold what could not be read again, such as a price that is no finite number.
    """
    return _to_text(_commands(), commands)


def commands_from_text(text: str) -> tuple[Command, ...]:
    """Read what `commands_to_text` wrote.

    Raises:
        StoreFailed: It was not written by us.
    """
    return _from_text(_commands(), text)


def request_to_text(request: ApprovalRequest) -> str:
    """Write the question that a ticket asks, so that `request_from_text` gives back exactly the same.

    Raises:
        StoreFailed: It holds what could not be read again.
    """
    return _to_text(_request(), request)


def request_from_text(text: str) -> ApprovalRequest:
    """Read what `request_to_text` wrote.

    Raises:
        StoreFailed: It was not written by us.
    """
    return _from_text(_request(), text)


def _to_text(adapter: TypeAdapter[T], value: T) -> str:
    try:
        text = canonical(adapter.dump_python(value, mode="json", warnings="error"))
        _read(adapter, text)
    except _FAULTS as error:
        what = f"this cannot be written so that it could be read again: {_first_fault(error)}"
        raise StoreFailed(what, next_step="check the prices and sizes that were given") from error
    return text


def _from_text(adapter: TypeAdapter[T], text: str) -> T:
    try:
        value: T = _read(adapter, text)
    except _FAULTS as error:
        raise StoreFailed(f"it was not written by ct-mcp: {_first_fault(error)}", next_step=MOVE_ASIDE) from error
    return value


@lru_cache(maxsize=_KEPT)
def _read(adapter: TypeAdapter[Any], text: str) -> Any:
    stored = json.loads(text)
    value = adapter.validate_python(stored)
    if not _repeats(stored, adapter.dump_python(value, mode="json", warnings="error")) or canonical(stored) != text:
        raise ValueError("it says more than we would, or says it otherwise")
    return value


def _repeats(stored: object, written: object) -> bool:
    """Say whether all that is stored is written again, to the letter; ``written`` may add fields at their defaults."""
    match stored, written:
        case dict(), dict():
            return all(name in written and _repeats(value, written[name]) for name, value in stored.items())
        case list(), list():
            return len(stored) == len(written) and all(map(_repeats, stored, written))
        case _:
            return type(stored) is type(written) and stored == written


def _first_fault(error: Exception) -> str:
    """Say the first thing that is wrong, in one line."""
    if not isinstance(error, ValidationError):
        return " ".join(str(error).split())[:200]
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return ": ".join(filter(None, (".".join(map(str, first["loc"])), first["msg"])))[:200]


COMMAND_KINDS: Mapping[str, type[Command]] = {kind.replace(" ", "_"): command for command, kind in KINDS.items()}
"""What each kind is called on disk. A kind that is renamed needs a migration."""

_KIND_OF: Mapping[type[object], str] = {command: kind for kind, command in COMMAND_KINDS.items()}
_PARAMETER_TYPES: Mapping[str, Callable[[str], ParameterValue]] = {
    "str": str,
    "int": int,
    "bool": "True".__eq__,
    "Decimal": Decimal,
}


@cache
def _commands() -> TypeAdapter[tuple[Command, ...]]:
    each = [
        Annotated[command, WrapValidator(_read_command), WrapSerializer(_write_command), Tag(kind)]
        for kind, command in COMMAND_KINDS.items()
    ]
    command: Any = Annotated[reduce(or_, each), Discriminator(_kind, "kind", "this is no kind of command")]
    commands: Any = Annotated[tuple[command, ...], Field(min_length=1)]
    return TypeAdapter(commands)


@cache
def _request() -> TypeAdapter[ApprovalRequest]:
    return TypeAdapter(ApprovalRequest)


def _kind(command: object) -> str | None:
    """Tell the kind of a command, or of an object that says it is one."""
    kind = command.get("kind") if isinstance(command, dict) else _KIND_OF.get(type(command))
    return kind if isinstance(kind, str) else None


def _read_command(stored: dict[str, Any], read: Callable[[object], Any]) -> Any:
    fields = {name: value for name, value in stored.items() if name != "kind"}
    if stored["kind"] != _KIND_OF[StartStrategy]:
        return read(fields)
    parameters = tuple((name, _PARAMETER_TYPES[kind](text)) for name, kind, text in fields.pop("parameters", ()))
    return replace(read(fields), parameters=parameters)


def _write_command(command: Command, write: Callable[[Command], dict[str, Any]]) -> dict[str, Any]:
    kind = {"kind": _KIND_OF[type(command)]}
    if not isinstance(command, StartStrategy):
        return write(command) | kind
    parameters = [[str(name), type(value).__name__, str(value)] for name, value in command.parameters]
    return write(replace(command, parameters=())) | kind | {"parameters": parameters}
