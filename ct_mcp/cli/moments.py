"""Times as a person types and reads them."""

import re
from datetime import UTC, datetime, timedelta

from ct_mcp.errors import ConfigError

_SPAN = re.compile(r"(\d{1,4})\s*([mhd])")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


def utc_now() -> datetime:
    """The clock of this machine."""
    return datetime.now(UTC)


def span_of(text: str) -> timedelta | None:
    """Read ``30m``, ``8h`` or ``1d``; None where it is none of these, or nothing at all."""
    found = _SPAN.fullmatch(text.strip().casefold())
    span = int(found[1]) * _UNITS[found[2]] if found else timedelta(0)
    return span or None


def since_when(text: str, now: datetime) -> datetime:
    """Read a span before now, or a date or time, which is meant as the clock on the wall unless it names its zone.

    Raises:
        ConfigError: It is neither.
    """
    if span := span_of(text):
        return now - span
    try:
        return datetime.fromisoformat(text.strip()).astimezone(UTC)
    except (ValueError, OSError, OverflowError):
        expected = "30m, 8h or 7d, or a date such as 2026-11-20 or 2026-11-20T15:30"
        raise ConfigError(f"--since: found {text[:40]!a}, expected {expected}") from None


def here_and_utc(at: datetime) -> str:
    """A moment on the person's own clock, and in UTC."""
    return f"{at.astimezone():%A %Y-%m-%d %H:%M} on your clock ({at.astimezone(UTC):%Y-%m-%d %H:%M} UTC)"
