"""One answer of the service and its rows, read strictly: what cannot be trusted is a `BadReply`.

The shapes differ (bare, wrapped in a name, wrapped in ``data``), so all are taken; but an answer that neither claims
success nor holds the rows that were asked for proves nothing, and never counts as empty.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, ClassVar, Generic, Never, TypeVar

from pydantic import AliasChoices, AliasGenerator, BaseModel, ConfigDict, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from ct_mcp.crosstrade.schemas.values import RowContext, parse_text, parse_whole
from ct_mcp.errors import BadReply
from ct_mcp.text import sanitize

_NO_OBJECT = frozenset({"model_type", "model_attributes_type", "dict_type"})


class WireModel(BaseModel):
    """One JSON object. A field stands under its own name in camelCase, or under the names that it gives.

    Of several names the first that holds text counts: a null, a blank or a nested value does not hide the next.
    """

    model_config = ConfigDict(
        frozen=True,
        # Built when the first row is read, so that importing costs little.
        defer_build=True,
        alias_generator=AliasGenerator(validation_alias=to_camel),
    )
    _names_of_choice: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Collect the names of the fields that have several."""
        aliases = (info.validation_alias for info in cls.model_fields.values())
        choices = (name for alias in aliases if isinstance(alias, AliasChoices) for name in alias.choices)
        cls._names_of_choice = frozenset(name for name in choices if isinstance(name, str))

    @model_validator(mode="before")
    @classmethod
    def _skip_names_without_text(cls, values: object) -> object:
        if not cls._names_of_choice or not isinstance(values, dict):
            return values
        useless = [name for name in cls._names_of_choice if name in values and parse_text(values[name]) is None]
        if not useless:
            return values
        useful = dict(values)
        for name in useless:
            del useful[name]
        return useful


ModelT = TypeVar("ModelT", bound=WireModel)


def parse_row(model: type[ModelT], value: object, what: str, context: RowContext) -> ModelT:
    """Read one object; ``what`` names the call and the row in the message.

    Raises:
        BadReply: It is no object, or something in it cannot be trusted.
    """
    try:
        return model.model_validate(value, context=context)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise BadReply(_fault(what, first["loc"], first["type"], first["msg"])) from None


def parse_rows(model: type[ModelT], values: Sequence[object], what: str, context: RowContext) -> tuple[ModelT, ...]:
    """Read a list that must hold nothing but objects; rows are counted from 1."""
    return tuple(parse_row(model, value, f"{what} row {number}", context) for number, value in enumerate(values, 1))


def _fault(what: str, path: Sequence[str | int], kind: str, message: str) -> str:
    """Say where a fault is, and what: the rows on the way to it, its key, and why."""
    is_of_a_row = not path or isinstance(path[-1], int) or kind in _NO_OBJECT
    for step in path if is_of_a_row else path[:-1]:
        what += f" row {step + 1}" if isinstance(step, int) else f", {step!r}"
    key = "" if is_of_a_row else to_camel(str(path[-1]))  # a default is judged under the name of its field
    match kind:
        case "missing":
            why = f"{key!r} is missing"
        case "key":
            why = f"{key!r} {message}"
        case "row":
            why = message
        case _:
            why = "it is no object"
    return f"{what} cannot be trusted: {why}"


@dataclass(frozen=True, slots=True)
class Reply:
    """The JSON of one answer that did not say no."""

    rpc: str
    value: object
    now: datetime
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def today(self) -> date:
        """The day of the answer in UTC."""
        return self.now.astimezone(UTC).date()

    @property
    def top(self) -> Mapping[str, object]:
        """The outermost object; an empty one where the answer is a list."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def succeeded(self) -> bool:
        """Whether success is claimed, by nothing less than true."""
        return self.top.get("success") is True

    @property
    def warning(self) -> str | None:
        """Their remark beside success, made harmless."""
        said = self.top.get("warning")
        return sanitize(said, self.secrets) if isinstance(said, str) and said.strip() else None

    def context(self, account: str | None = None) -> RowContext:
        """Say what the rows of this answer are judged by."""
        return RowContext(self.today, account)

    def rows(self, key: str, model: type[ModelT], account: str | None = None) -> tuple[ModelT, ...]:
        """Read the rows of a list: bare, under its name, or under ``data``."""
        return parse_rows(model, self.listed(key), f"{self.rpc}, {key!r}", self.context(account))

    def texts(self, key: str) -> tuple[str, ...]:
        """Read the texts of a list, which is proven like one of rows."""
        listed = self.listed(key)
        texts = tuple(text for text in listed if isinstance(text, str) and text.strip())
        return texts if len(texts) == len(listed) else self.refuse(f"{key!r} holds something that is no name")

    def listed(self, key: str) -> list[object]:
        """Give a list as it is.

        Raises:
            BadReply: There is none, it is empty and success is not claimed, or it holds fewer than it counts.
        """
        listed = self._find_list(key)
        if listed is None:
            self.refuse(f"it holds no {key!r}")
        if not listed and not self.succeeded:
            self.refuse(f"{key!r} is empty and success is not claimed, which does not mean that there are none")
        count = parse_whole(self.top.get("count"))
        if count is not None and count > len(listed):
            self.refuse(f"it counts {count} {key} and holds {len(listed)}")
        return listed

    def single(self, key: str, model: type[ModelT], proofs: Sequence[str], account: str | None = None) -> ModelT:
        """Read one object: flat, under its name, or under ``data``; recognised by a key that it always has."""
        data = self.top.get("data")
        nested = data.get(key) if isinstance(data, dict) else None
        for values in (self.value, self.top.get(key), data, nested):
            if isinstance(values, dict) and any(values.get(name) not in (None, "") for name in proofs):
                return parse_row(model, values, self.rpc, self.context(account))
        return self.refuse(f"it holds no {proofs[0]!r}")

    def whole(self, model: type[ModelT], account: str | None = None) -> ModelT:
        """Read the outermost object."""
        return parse_row(model, self.top, self.rpc, self.context(account))

    def refuse(self, why: str) -> Never:
        """Raise for an answer that cannot be trusted."""
        raise BadReply(f"{self.rpc} cannot be trusted: {why}")

    def _find_list(self, key: str) -> list[object] | None:
        data = self.top.get("data")
        places = (self.value, self.top.get(key), data, data.get(key) if isinstance(data, dict) else None)
        return next((place for place in places if isinstance(place, list)), None)


ValueT = TypeVar("ValueT")


class KnownRows(Generic[ValueT]):
    """The rows of one kind of list, each read once: a list of the day's orders is a second later the same but for one.

    A row is known by all that it says, and by what it is judged by. What is read of one is frozen.
    """

    def __init__(self, key: str, read: Callable[[object, str, RowContext], ValueT], most: int = 2000) -> None:
        """Know nothing yet. ``read`` reads one row; so many are kept, the oldest are forgotten first."""
        self._key, self._read, self._most = key, read, most
        self._known: dict[tuple[object, ...], ValueT] = {}
        self._today = date.min

    def of(self, reply: Reply, account: str | None) -> tuple[ValueT, ...]:
        """Read the list of an answer, as `Reply.rows` does."""
        context = reply.context(account)
        if context.today != self._today:
            self._known, self._today = {}, context.today
        values = []
        for number, row in enumerate(reply.listed(self._key), 1):
            said = _said(row, account)
            value = self._known.get(said)
            values.append(value or self._new(said, row, f"{reply.rpc}, {self._key!r} row {number}", context))
        return tuple(values)

    def _new(self, said: tuple[object, ...], row: object, what: str, context: RowContext) -> ValueT:
        value = self._read(row, what, context)
        if said:
            self._known[said] = value
        if len(self._known) > self._most:
            del self._known[next(iter(self._known))]
        return value


_NESTED = frozenset({dict, list})


def _said(row: object, account: str | None) -> tuple[object, ...]:
    """Give all that a row says, and of what type each is, since true is not 1; nothing where that cannot be told."""
    if not isinstance(row, dict):
        return ()
    try:
        values = [repr(value) if type(value) in _NESTED else value for value in row.values()]
    except RecursionError:
        return ()
    return (account, *row, *values, *map(type, row.values()))
