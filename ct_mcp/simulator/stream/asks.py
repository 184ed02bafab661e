"""What a client may say on the socket."""

import json
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, TypeAdapter, ValidationError

AskId = StrictStr | StrictInt
Names = Annotated[list[Annotated[str, Field(min_length=1, max_length=100)]], Field(max_length=500)]


class _Ask(BaseModel):
    """One message; what is not known is ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Rpc(_Ask):
    """A call; its answer carries the same id."""

    action: Literal["rpc"]
    id: AskId
    api: str
    args: dict[str, object] = Field(default_factory=dict)
    origin: str | None = None


class Subscription(_Ask):
    """Instruments whose quotes, or events of the accounts, are wanted or wanted no more."""

    action: Literal["subscribe", "unsubscribe"]
    instruments: Names = Field(default_factory=list)
    events: list[Literal["orders", "executions", "positions"]] = Field(default_factory=list)
    origin: str | None = None
    id: AskId | None = None


class StreamPnl(_Ask):
    """Whether P&L is wanted, and how often; the interval is in milliseconds."""

    action: Literal["streamPnl"]
    enabled: bool = True
    interval: Annotated[int, Field(gt=0, le=3_600_000)] = 1000
    id: AskId | None = None


class Ping(_Ask):
    """Is anybody there?"""

    action: Literal["ping"]
    id: AskId | None = None


Ask = Rpc | Subscription | StreamPnl | Ping
_ASKS: TypeAdapter[Ask] = TypeAdapter(Annotated[Ask, Field(discriminator="action")])


class Unreadable(Exception):
    """Nobody can tell what is meant; `action` and `id` are what could be read of it."""

    def __init__(self, action: str | None, ask_id: AskId | None) -> None:
        """Take what could be read."""
        super().__init__("Invalid request")
        self.action = action
        self.ask_id = ask_id


def read(text: str | bytes) -> Ask:
    """Read one message.

    Raises:
        Unreadable: It is no JSON, no object, or lacks what its action needs.
    """
    said: object = None
    try:
        said = json.loads(text)
        return _ASKS.validate_python(said)
    except (ValidationError, ValueError, RecursionError):
        raise _what_can_be_read(said) from None


def _what_can_be_read(said: object) -> Unreadable:
    fields = said if isinstance(said, dict) else {}
    action, ask_id = fields.get("action"), fields.get("id")
    readable = isinstance(ask_id, str | int) and not isinstance(ask_id, bool)
    return Unreadable(action if isinstance(action, str) else None, ask_id if readable else None)
