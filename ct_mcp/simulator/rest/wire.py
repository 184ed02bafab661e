"""What all endpoints share on the wire: argument types, the envelope of an answer, and how moments are written."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, NotRequired

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel
from typing_extensions import TypedDict

from ct_mcp.simulator.orders import Action


def any_case(kind: type[StrEnum]) -> BeforeValidator:
    """Accept the members of an enumeration in any case; the wire writes BUY and also Buy."""
    spellings = {member.lower(): member for member in kind}
    return BeforeValidator(lambda value: spellings.get(value.lower(), value) if isinstance(value, str) else value)


def empty_as_none() -> BeforeValidator:
    """Accept an empty text for an argument that is left out."""
    return BeforeValidator(lambda value: None if value == "" else value)


def enum_schema(*names: str) -> WithJsonSchema:
    """Describe an enumeration whose case does not matter."""
    return WithJsonSchema({"type": "string", "enum": list(names), "description": "In any case."})


ActionArg = Annotated[Action, any_case(Action), enum_schema("BUY", "SELL")]
QuantityArg = Annotated[int, Field(gt=0, le=1_000_000, description="Contracts.")]
PriceArg = Annotated[float, Field(gt=0, lt=1_000_000_000, description="A price of the instrument.")]
AccountNameArg = Annotated[str, Field(min_length=1, description="Account name, in any case.")]
InstrumentArg = Annotated[
    str,
    BeforeValidator(lambda value: value.strip() if isinstance(value, str) else value),
    Field(min_length=1, description="`ES 12-26`, `ES`, `ES1!`, `ESZ26` or `ES DEC26`."),
]
OptionalTextArg = Annotated[str | None, empty_as_none()]


class Args(BaseModel):
    """Arguments of a call: path, query and body, merged into one flat set. Unknown fields are ignored."""

    model_config = ConfigDict(alias_generator=to_camel, extra="ignore", frozen=True, allow_inf_nan=False)


class NoArgs(Args):
    """No arguments."""


class AccountArgs(Args):
    """An account."""

    account: AccountNameArg


class InstrumentArgs(Args):
    """One instrument, or several separated by commas."""

    instrument: InstrumentArg


class AccountInstrumentArgs(AccountArgs):
    """An account and an instrument."""

    instrument: InstrumentArg


class SuccessBody(TypedDict):
    """Field beside the payload of most answers."""

    success: bool


class ErrorBody(TypedDict):
    """Answer to a call that is refused."""

    error: str
    success: NotRequired[bool]
    detail: NotRequired[str]
    did_you_mean: NotRequired[str | None]
    retryAfter: NotRequired[float]


def epoch_milliseconds(moment: datetime) -> int:
    """Write an epoch as most answers do."""
    return int(moment.timestamp() * 1000)


def dotnet_time(moment: datetime) -> str:
    """Write a moment without offset, with the seven digits of .NET."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f") + str(moment.microsecond * 7 % 10)


def dotnet_time_with_offset(moment: datetime) -> str:
    """Write a moment with seven digits and the offset of its zone."""
    offset = moment.strftime("%z")
    return f"{dotnet_time(moment)}{offset[:3]}:{offset[3:]}"


def dotnet_time_utc(moment: datetime) -> str:
    """Write a moment in UTC, with seven digits and a Z."""
    return f"{dotnet_time(moment.astimezone(UTC))}Z"


def iso_time_utc(moment: datetime) -> str:
    """Write a moment in UTC, with milliseconds and a Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def plain_time(moment: datetime) -> str:
    """Write date and time with a blank between them."""
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def us_time(moment: datetime) -> str:
    """Write a moment as a computer in the United States shows it."""
    return moment.strftime("%m/%d/%Y %I:%M:%S %p")


def day_first_time(moment: datetime) -> str:
    """Write a moment with the day before the month, as the add-on echoes what it cannot parse."""
    return moment.strftime("%d/%m/%Y %H:%M:%S")


def countdown(span: timedelta) -> str:
    """Write a span as hours, minutes and seconds."""
    minutes, seconds = divmod(int(span.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}"
