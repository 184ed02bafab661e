"""How the service writes moments: several ways, none of them the same twice."""

from datetime import UTC, datetime, timedelta


def milliseconds(moment: datetime) -> int:
    """Write an epoch as most answers do."""
    return int(moment.timestamp() * 1000)


def seven_digits(moment: datetime) -> str:
    """Write a moment without offset, with the seven digits of .NET."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f") + str(moment.microsecond * 7 % 10)


def with_offset(moment: datetime) -> str:
    """Write a moment with seven digits and the offset of its zone."""
    offset = moment.strftime("%z")
    return f"{seven_digits(moment)}{offset[:3]}:{offset[3:]}"


def with_z(moment: datetime) -> str:
    """Write a moment in UTC, with seven digits and a Z."""
    return f"{seven_digits(moment.astimezone(UTC))}Z"


def three_digits(moment: datetime) -> str:
    """Write a moment in UTC, with milliseconds and a Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def plain(moment: datetime) -> str:
    """Write date and time with a blank between them."""
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def american(moment: datetime) -> str:
    """Write a moment as a computer in the United States shows it."""
    return moment.strftime("%m/%d/%Y %I:%M:%S %p")


def day_first(moment: datetime) -> str:
    """Write a moment with the day before the month, as the add-on echoes what it cannot read."""
    return moment.strftime("%d/%m/%Y %H:%M:%S")


def countdown(span: timedelta) -> str:
    """Write a span as hours, minutes and seconds."""
    minutes, seconds = divmod(int(span.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}"
