"""Values of the wire: exact decimals without binary noise, times in aware UTC, and the field types made of them.

Each `parse_*` function gives None for what it cannot read. The field types decide whether that is an error: those with
``Maybe`` in their name take None for an answer, the others report a fault, which `reply.parse_row` turns into a
`BadReply` that names the call, the row and the key.
"""

import json
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal
from typing import Annotated, Never

from pydantic import Field, PlainValidator, ValidationInfo
from pydantic_core import PydanticCustomError

from ct_mcp.domain.instrument import Instrument, OtherInstrument, parse_dated
from ct_mcp.errors import BadRequest
from ct_mcp.text import quoted, sanitize

# Fine enough for the smallest ticks there are (1/256 and 0.0000005), coarse enough for 100565.00000000285.
_FINEST = Decimal("0.00000001")
_CENT = Decimal("0.01")
_LARGEST = Decimal(10) ** 14  # above every epoch in milliseconds, within what quantize can hold
_DECIMAL = re.compile(r"-?\d{1,30}(?:\.\d{1,30})?")
_TIME = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)[T ](?P<time>\d\d:\d\d:\d\d)(?:\.(?P<fraction>\d{1,9}))?"
    r" ?(?P<zone>Z|[+-]\d\d:\d\d)?"
)
# Seconds since 1970 stay below this until the year 5138; milliseconds passed it in 1973.
_EPOCH_SECONDS_END = 100_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_json(text: str) -> object:
    """Read JSON with exact decimals, without NaN and infinities; None where there is none."""
    try:
        return json.loads(text.removeprefix("\ufeff"), parse_float=Decimal, parse_constant=_refuse_constant)
    except (ValueError, ArithmeticError, RecursionError):
        return None


def _refuse_constant(name: str) -> Never:
    raise ValueError(name)


# --- numbers ---


def parse_decimal(value: object) -> Decimal | None:
    """Read a JSON number, or a string that holds one; a boolean is no number."""
    match value:
        case bool():
            return None
        case int():
            number = Decimal(value)
        case Decimal():
            number = value
        case str() if _DECIMAL.fullmatch(value.strip()):
            number = Decimal(value.strip())
        case _:
            return None
    # copy_abs: abs() would raise for what no context can hold, such as 1E+999999999999.
    return number if number.copy_abs() < _LARGEST else None


def parse_price(value: object) -> Decimal | None:
    """Read a price without its binary noise."""
    number = parse_decimal(value)
    return None if number is None else _plain(number.quantize(_FINEST, ROUND_HALF_EVEN))


def on_tick(price: Decimal | None, tick_size: Decimal) -> Decimal | None:
    """Round a price to the tick of its contract; None stays None."""
    if price is None:
        return None
    ticks = (price / tick_size).quantize(Decimal(1), ROUND_HALF_EVEN)
    return _plain((ticks * tick_size).quantize(_FINEST, ROUND_HALF_EVEN))


def parse_money(value: object) -> Decimal | None:
    """Read an amount of account currency, in cents."""
    number = parse_decimal(value)
    return None if number is None else number.quantize(_CENT, ROUND_HALF_EVEN) + 0


def parse_whole(value: object) -> int | None:
    """Read a whole number; 3.0 is one, 3.5 is none."""
    number = parse_decimal(value)
    return int(number) if number is not None and number == number.to_integral_value() else None


def json_number(name: str, value: Decimal) -> int | float:
    """Write a price or a figure as the JSON number with the same digits.

    Raises:
        BadRequest: No JSON number has these digits once it is read as a binary float, as the service does.
    """
    if value.is_finite() and value == value.to_integral_value():
        return int(value)
    number = float(value)
    if not value.is_finite() or Decimal(repr(number)) != value:
        raise BadRequest(f"{name} {value} cannot be sent as a number")
    return number


def _plain(number: Decimal) -> Decimal:
    """Drop trailing zeros without turning hundreds into exponents; no negative zero."""
    whole = number.to_integral_value()
    return (whole if whole == number else number.normalize()) + 0


# --- times ---


def parse_time(value: object) -> datetime | None:
    """Read ISO text with its zone and up to nine fractional digits.

    Text without a zone is the clock of a computer somewhere, and gives None.
    """
    return _time(value, zone="")


def parse_utc(value: object) -> datetime | None:
    """Read ISO text of a field that holds UTC by its name, so that the zone may be missing."""
    return _time(value, zone="+00:00")


def parse_epoch(value: object) -> datetime | None:
    """Read seconds or milliseconds since 1970, told apart by their size."""
    number = parse_decimal(value)
    if number is None or number <= 0:
        return None
    milliseconds = number if number >= _EPOCH_SECONDS_END else number * 1000
    # Not fromtimestamp: its range depends on the platform.
    return _EPOCH + timedelta(milliseconds=int(milliseconds))


def _time(value: object, zone: str) -> datetime | None:
    found = _TIME.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        return None
    fraction = (found["fraction"] or "")[:6].ljust(6, "0")
    offset = (found["zone"] or zone).replace("Z", "+00:00")
    if not offset:
        return None
    try:
        return datetime.fromisoformat(f"{found['day']}T{found['time']}.{fraction}{offset}").astimezone(UTC)
    except (ValueError, OverflowError):
        return None


# --- texts ---


def parse_text(value: object) -> str | None:
    """Read text that is not blank; a whole number counts, since some ids are numeric."""
    if isinstance(value, str):
        return value if value.strip() else None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def parse_label(value: object) -> str | None:
    """Read text that is only shown, made harmless and short; None where nothing of it can be seen."""
    text = parse_text(value)
    return None if text is None else sanitize(text, longest=80) or None


def parse_flag(value: object) -> bool | None:
    """Read a yes or no; text that says so is none."""
    return value if isinstance(value, bool) else None


def or_empty_object(value: object) -> object:
    """Take whatever is no object for an empty one."""
    return value if isinstance(value, dict) else {}


def or_empty_list(value: object) -> object:
    """Take whatever is no list for an empty one."""
    return value if isinstance(value, list) else []


def or_no_list(value: object) -> object:
    """Take whatever is no list for none at all."""
    return value if isinstance(value, list) else None


# --- fields of a row ---


@dataclass(frozen=True, slots=True)
class RowContext:
    """What a row is judged by: the day, and the account that was asked about, if one was."""

    today: date
    account: str | None = None


RowInfo = ValidationInfo[RowContext]


def key_fault(why: str) -> PydanticCustomError:
    """Say what is wrong with the value of a key; the key itself is added where the fault is told."""
    return PydanticCustomError("key", "{why}", {"why": why})


def row_fault(why: str) -> PydanticCustomError:
    """Say what is wrong with a whole row."""
    return PydanticCustomError("row", "{why}", {"why": why})


def required_text(value: object) -> str:
    """Read text that must be there."""
    text = parse_text(value)
    if text is None:
        raise key_fault("is missing")
    return text


def required_count(value: object) -> int:
    """Read a count, which is whole and never negative."""
    number = parse_whole(value)
    if number is None or number < 0:
        raise key_fault("is no count")
    return number


def required_price(value: object) -> Decimal:
    """Read a price that must be there."""
    price = parse_price(value)
    if price is None:
        raise key_fault("is no price")
    return price


def _maybe_count(value: object) -> int | None:
    return None if value is None else required_count(value)


def dated_instrument(value: object, info: RowInfo) -> Instrument:
    """Read the dated future that a row is about.

    Quotes, bars and sessions are asked for by the name of a future, and an answer about anything else is none.
    """
    name = required_text(value)
    try:
        return parse_dated(name, info.context.today)
    except BadRequest:
        raise row_fault(f"instrument {quoted(name[:40])} is no dated future") from None


def held_instrument(value: object, info: RowInfo) -> Instrument:
    """Read what a row of an account is about; what is no dated future is shown with their word for it.

    A stock can be spelled like a contract month, so their word for its kind is heard first.
    """
    name = required_text(value)
    kind = parse_label(info.data.get("instrument_type")) or ""
    if kind.casefold() in ("", "future"):
        try:
            return parse_dated(name, info.context.today)
        except BadRequest:
            pass
    return OtherInstrument(sanitize(name, longest=40), kind=kind)


def held_quantity(value: object, info: RowInfo) -> int:
    """Read a quantity: contracts are counted, and of anything else a part counts as one, so that it is never none."""
    if not isinstance(info.data.get("instrument"), OtherInstrument):
        return required_count(value)
    amount = parse_decimal(value)
    if amount is None or amount < 0:
        raise key_fault("is no quantity")
    return int(amount.to_integral_value(ROUND_CEILING))


def held_price(value: object, info: RowInfo) -> Decimal | None:
    """Read what was paid; of what is no dated future it may be missing, and then nothing is said of it."""
    return parse_price(value) if isinstance(info.data.get("instrument"), OtherInstrument) else required_price(value)


def exact_amount(value: object) -> Decimal | None:
    """Read a quantity as it is where it is no whole number; of what is counted there is nothing more to say."""
    amount = parse_decimal(value)
    return amount if amount is not None and amount != amount.to_integral_value() else None


def asked_account(value: object, info: RowInfo) -> str:
    """Read the account in their spelling; it must be the one that was asked about, which also stands in for none."""
    name = parse_text(value)
    asked = info.context.account
    if name is None and asked is not None:
        return asked
    if name is None:
        raise key_fault("is missing")
    if asked is not None and name.casefold() != asked.casefold():
        raise row_fault(f"it is of account {quoted(name[:40])}, not of the one that was asked about")
    return name


Text = Annotated[str, PlainValidator(required_text)]
MaybeText = Annotated[str | None, PlainValidator(parse_text)]
MaybeLabel = Annotated[str | None, PlainValidator(parse_label)]
Count = Annotated[int, PlainValidator(required_count)]
MaybeCount = Annotated[int | None, PlainValidator(_maybe_count)]
MaybeWhole = Annotated[int | None, PlainValidator(parse_whole)]
Price = Annotated[Decimal, PlainValidator(required_price)]
MaybePrice = Annotated[Decimal | None, PlainValidator(parse_price)]
MaybeMoney = Annotated[Decimal | None, PlainValidator(parse_money)]
MaybeFlag = Annotated[bool | None, PlainValidator(parse_flag)]
MaybeEpoch = Annotated[datetime | None, PlainValidator(parse_epoch)]
MaybeTime = Annotated[datetime | None, PlainValidator(parse_time)]
MaybeUtc = Annotated[datetime | None, PlainValidator(parse_utc)]
DatedInstrument = Annotated[Instrument, PlainValidator(dated_instrument)]
# These stand in this order, after ``instrument_type``: each reads what came before it.
HeldInstrument = Annotated[Instrument, PlainValidator(held_instrument)]
HeldQuantity = Annotated[int, PlainValidator(held_quantity)]
HeldPrice = Annotated[Decimal | None, PlainValidator(held_price)]
ExactAmount = Annotated[Decimal | None, PlainValidator(exact_amount)]
# A row without its account is judged too, so give these fields the default "".
AskedAccount = Annotated[str, PlainValidator(asked_account), Field(validate_default=True)]
