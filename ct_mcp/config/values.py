"""Every key of the settings with the function that reads it; a ValueError says what was expected."""

import re
from collections.abc import Iterable
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from typing import Any

from ct_mcp.config.table import Reader
from ct_mcp.domain.instrument import FrontMonth, parse_instrument
from ct_mcp.domain.ticket import Approval
from ct_mcp.errors import BadRequest
from ct_mcp.guard.policy import FlatBy, Mode

UNEXPANDED = re.compile(r"\$\{|^\$\w+$|^%\w+%$")
"""A variable that the program that starts us was meant to fill in, as ``${VAR}``, ``$VAR`` or ``%VAR%``."""

_HOST = r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]"
_ADDRESS = re.compile(rf"(?P<scheme>https?)://(?P<host>{_HOST})(?::(?P<port>[0-9]{{1,5}}))?/?", re.IGNORECASE)
_LOOPBACK = re.compile(r"localhost|127(\.[0-9]{1,3}){3}|\[::1\]", re.IGNORECASE)
_FLAT_BY = re.compile(r"(?P<hour>[01][0-9]|2[0-3]):(?P<minute>[0-5][0-9]) (?P<zone>\S+)")


def account_name(value: str) -> str:
    """An account name as the service spells it; a blank too many would never match."""
    if not value.isprintable() or value != value.strip() or not value:
        raise ValueError("the exact name of an account, without blanks around it")
    return value


def root(value: Any) -> str:
    """The root of an instrument, ``ES``; a contract month would never match."""
    try:
        if isinstance(value, str) and parse_instrument(value, date.min) == FrontMonth(value):
            return value
    except BadRequest:
        pass
    raise ValueError("the root of an instrument in capitals, such as ES or MNQ")


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 1_000_000:
        raise ValueError("a whole number from 1 to 1000000")
    return value


def _number(least: str, most: str, unit: str) -> Reader:
    """Make a reader for a finite number within bounds; the upper bound finds a wrong unit."""

    def read(value: Any) -> Decimal:
        if isinstance(value, int | Decimal) and not isinstance(value, bool):
            number = Decimal(value)
            if number.is_finite() and Decimal(least) <= number <= Decimal(most):
                return number
        raise ValueError(f"a number of {unit} from {least} to {most}")

    return read


def _seconds(least: str, most: str) -> Reader:
    read = _number(least, most, "seconds")
    return lambda value: float(read(value))


def _switch(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _word(words: Iterable[str]) -> Reader:
    """Make a reader for one of these words, as the member it names where they are an enumeration."""
    known = {str(word): word for word in words}

    def read(value: Any) -> str:
        if not isinstance(value, str) or value not in known:
            raise ValueError(f"one of {', '.join(known)}")
        return known[value]

    return read


def _set_of(word: Reader, what: str) -> Reader:
    """Make a reader for a list without repeats, each of which `word` reads."""

    def read(value: Any) -> frozenset[str]:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ValueError(f"a list of texts: {what}")
        return frozenset(map(word, value))

    return read


def _toolsets(value: Any) -> frozenset[str]:
    if chosen := _set_of(_word(TOOLSETS), f"any of {', '.join(TOOLSETS)}")(value):
        return frozenset(chosen)
    raise ValueError(f"at least one of {', '.join(TOOLSETS)}")


def _roots(value: Any) -> frozenset[str] | None:
    """The roots that may be traded; an empty list allows any."""
    return _set_of(root, "roots such as ES or MNQ")(value) or None


def _flat_by(value: Any) -> FlatBy | None:
    expected = ValueError('a time of day and its zone, such as "15:55 America/Chicago", or ""')
    if value == "":
        return None
    found = _FLAT_BY.fullmatch(value) if isinstance(value, str) else None
    if not found or not _is_zone(found["zone"]):
        raise expected
    return FlatBy(time(int(found["hour"]), int(found["minute"])), found["zone"])


def _is_zone(name: str) -> bool:
    from zoneinfo import ZoneInfo  # noqa: PLC0415  # few settings name a time of day

    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # a folder of zones, such as America, is an OSError
        return False
    return True


def _address(value: Any) -> str:
    """The service's own address, to which alone the token is sent."""
    if isinstance(value, str) and UNEXPANDED.search(value):
        raise ValueError("an address; the program that starts this server did not fill the variable in")
    found = _ADDRESS.fullmatch(value) if isinstance(value, str) else None
    if not found or not 1 <= int(found["port"] or 443) <= 65535:
        raise ValueError("only https://host or https://host:port, without login, path or query")
    if found["scheme"].lower() == "http" and not _LOOPBACK.fullmatch(found["host"]):
        raise ValueError("https://; http:// would send the token in the clear, and is only for this machine")
    return found[0].rstrip("/").lower()


def _path(value: Any) -> Path:
    if not isinstance(value, str) or not value.isprintable() or UNEXPANDED.search(value):
        raise ValueError("a path without variables")
    try:
        return Path(value).expanduser()
    except RuntimeError as error:
        raise ValueError("a path; the home folder is not known") from error


def _folder(value: Any) -> Path | None:
    """A folder by its whole path: clients start us in folders of their own, and all must share the same state."""
    if value == "":
        return None
    folder = _path(value)
    if not folder.is_absolute():
        raise ValueError("the whole path of a folder, from the root or from ~")
    return folder


def _listed(text: str) -> frozenset[str]:
    return _toolsets([word.strip() for word in text.split(",")])


TOOLSETS = ("read", "trade", "strategies", "charts")
LOG_LEVELS = ("debug", "info", "warning", "error")
TABLES = ("upstream", "fresh", "approval", "limits", "accounts", "instruments")

TOP: dict[str, Reader] = {
    "mode": _word(Mode),
    "toolsets": _toolsets,
    "log_level": _word(LOG_LEVELS),
    "state_dir": _folder,
}
UPSTREAM: dict[str, Reader] = {
    "base_url": _address,
    "stream": _switch,
    "connect_timeout_seconds": _seconds("0.1", "300"),
    "read_timeout_seconds": _seconds("0.1", "300"),
    "bars_timeout_seconds": _seconds("0.1", "300"),
    "write_timeout_seconds": _seconds("0.1", "300"),
}
TIMEOUTS = {key: key.replace("_timeout", "") for key in UPSTREAM if "_timeout_" in key}
FRESH: dict[str, Reader] = {
    "quote_seconds": _seconds("0", "60"),
    "book_seconds": _seconds("0", "60"),
    "figures_seconds": _seconds("0", "60"),
}
APPROVAL: dict[str, Reader] = {
    "simulated": _word(Approval),
    "live": _word(Approval),
    "exits_simulated": _word(Approval),
    "exits_live": _word(Approval),
    "ticket_seconds": _seconds("5", "3600"),
    "wait_seconds": _seconds("0", "300"),
}
ACCOUNT: dict[str, Reader] = {"approval": _word(Approval)}
LIMITS: dict[str, Reader] = {
    "max_order_contracts": _whole,
    "max_position_contracts": _whole,
    "max_order_notional": _number("0.01", "1000000000", "account currency"),
    "max_order_risk": _number("0.01", "1000000000", "account currency"),
    "max_day_loss": _number("0.01", "1000000000", "account currency"),
    "max_orders_per_minute": _whole,
    "max_orders_per_day": _whole,
    "price_band_ticks": _whole,
    "quote_max_age_seconds": _seconds("0.1", "3600"),
    "duplicate_window_seconds": _seconds("0", "3600"),
    "require_open_session": _switch,
    "flat_by": _flat_by,
    "instruments": _roots,
}
TEXTS: dict[str, Reader] = {
    "config": _path,
    "state_dir": _folder,
    "base_url": _address,
    "mode": _word(Mode),
    "toolsets": _listed,
    "log_level": _word(LOG_LEVELS),
}
