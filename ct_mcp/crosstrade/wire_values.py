"""Their numbers and times ↔ ours: exact decimals without binary noise, and times in aware UTC.

Each function gives None for what it cannot read; the row that holds the value decides whether that is an error.
"""

import re
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

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


def decimal_from(value: object) -> Decimal | None:
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


def price_from(value: object, tick_size: Decimal | None = None) -> Decimal | None:
    """Read a price, on the tick where that is known, else without its binary noise."""
    number = decimal_from(value)
    if number is None:
        return None
    if tick_size is not None:
        number = (number / tick_size).quantize(Decimal(1), ROUND_HALF_EVEN) * tick_size
    return _plain(number.quantize(_FINEST, ROUND_HALF_EVEN))


def money_from(value: object) -> Decimal | None:
    """Read an amount of account currency, in cents."""
    number = decimal_from(value)
    return None if number is None else number.quantize(_CENT, ROUND_HALF_EVEN) + 0


def whole_from(value: object) -> int | None:
    """Read a whole number; 3.0 is one, 3.5 is none."""
    number = decimal_from(value)
    return int(number) if number is not None and number == number.to_integral_value() else None


def time_from(value: object, *, is_utc: bool = False) -> datetime | None:
    """Read ISO text with up to nine fractional digits.

    Text without a zone is the clock of a computer somewhere, and is nothing unless the field is known to hold UTC.
    """
    found = _TIME.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        return None
    fraction = (found["fraction"] or "")[:6].ljust(6, "0")
    zone = (found["zone"] or "").replace("Z", "+00:00")
    if not zone and not is_utc:
        return None
    try:
        return datetime.fromisoformat(f"{found['day']}T{found['time']}.{fraction}{zone or '+00:00'}").astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def epoch_from(value: object) -> datetime | None:
    """Read seconds or milliseconds since 1970, told apart by their size."""
    number = decimal_from(value)
    if number is None or number <= 0:
        return None
    milliseconds = number if number >= _EPOCH_SECONDS_END else number * 1000
    # Not fromtimestamp: its range depends on the platform.
    return _EPOCH + timedelta(milliseconds=int(milliseconds))


def number_for(value: Decimal) -> int | float:
    """Give a decimal as the JSON number with the same digits.

    Raises:
        ValueError: No JSON number has these digits once it is read as a binary float, as the service does.
    """
    if value.is_finite() and value == value.to_integral_value():
        return int(value)
    number = float(value)
    if not value.is_finite() or Decimal(repr(number)) != value:
        raise ValueError(f"{value} cannot be sent as a number")
    return number


def truth_for(value: object) -> str:
    """Give a yes or no as it stands in a query."""
    return "true" if value else "false"


def time_for(value: datetime) -> str:
    """Give a time as the strict ISO text that they take: UTC, whole seconds, a Z at the end."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _plain(number: Decimal) -> Decimal:
    """Drop trailing zeros without turning hundreds into exponents; no negative zero."""
    short = number.normalize() + 0
    return short if short.as_tuple().exponent <= 0 else short.quantize(Decimal(1))  # type: ignore[operator]
