"""What one value of the settings may be. Each function takes what a source says and gives what we mean.

Raises:
    ValueError: Says what was expected, as it follows "expected".
"""

import re
from collections.abc import Callable, Iterable
from datetime import date, time
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

from ct_mcp.config.sources import UNEXPANDED, WINDOWS_PATH_ADVICE
from ct_mcp.domain.instrument import FrontMonth, parse_instrument
from ct_mcp.errors import BadRequest
from ct_mcp.guard.firm_policy import ScalingStep
from ct_mcp.guard.policy import FlatBy
from ct_mcp.store.postgres_url import PostgresUrl, parse_postgres_url

TOOLSETS = ("read", "trade", "strategies", "charts")
LOG_LEVELS = ("debug", "info", "warning", "error")

_HOST = r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]"
_ADDRESS = re.compile(rf"(?P<scheme>https?)://(?P<host>{_HOST})(?::(?P<port>[0-9]{{1,5}}))?/?", re.IGNORECASE)
_BYTE = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"  # what is larger is a name, which anybody may answer to
_LOOPBACK = re.compile(rf"localhost|127(\.{_BYTE}){{3}}|\[::1\]", re.IGNORECASE)
_CURRENCY = re.compile(r"[A-Z]{3}")
_FLAT_BY = re.compile(r"(?P<hour>[01][0-9]|2[0-3]):(?P<minute>[0-5][0-9]) (?P<zone>\S+)")
_WINDOWS_PATH_WITH_ESCAPES = re.compile(r"[A-Za-z]:.*[\x00-\x1f]", re.DOTALL)


def number(least: str, most: str, unit: str) -> Callable[[Any], Decimal]:
    """Make a parser for a finite number within bounds; the upper bound finds a wrong unit."""

    def parse(value: Any) -> Decimal:
        if isinstance(value, int | Decimal) and not isinstance(value, bool):
            figure = Decimal(value)
            if figure.is_finite() and Decimal(least) <= figure <= Decimal(most):
                return figure
        raise ValueError(f"a number of {unit} from {least} to {most}")

    return parse


def seconds(least: str, most: str) -> Callable[[Any], float]:
    """Make a parser for a length of time."""
    parse = number(least, most, "seconds")
    return lambda value: float(parse(value))


def word(words: Iterable[str]) -> Callable[[Any], str]:
    """Make a parser for one of these words, as the member it names where they are an enumeration."""
    known = {str(one): one for one in words}

    def parse(value: Any) -> str:
        if not isinstance(value, str) or value not in known:
            raise ValueError(f"one of {', '.join(known)}")
        return known[value]

    return parse


def _set_of(parse: Callable[[Any], str], what: str) -> Callable[[Any], frozenset[str]]:
    """Make a parser for a list of texts, each of which `parse` takes."""

    def parse_list(value: Any) -> frozenset[str]:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ValueError(f"a list of texts: {what}")
        return frozenset(map(parse, value))

    return parse_list


def account_name(value: str) -> str:
    """Take an account name as the service spells it; a blank too many would never match."""
    if not value.isprintable() or value != value.strip() or not value:
        raise ValueError("the exact name of an account, without blanks around it")
    return value


def root(value: Any) -> str:
    """Take the root of an instrument, ``ES``; a contract month would never match."""
    try:
        if isinstance(value, str) and parse_instrument(value, date.min) == FrontMonth(value):
            return value
    except BadRequest:
        pass
    raise ValueError("the root of an instrument in capitals, such as ES or MNQ")


_parse_toolsets = _set_of(word(TOOLSETS), f"any of {', '.join(TOOLSETS)}")
_parse_roots = _set_of(root, "roots such as ES or MNQ")


def toolsets(value: Any) -> frozenset[str]:
    """Take a list of groups of tools, at least one."""
    if chosen := _parse_toolsets(value):
        return chosen
    raise ValueError(f"at least one of {', '.join(TOOLSETS)}")


def comma_separated_toolsets(value: str) -> frozenset[str]:
    """Take groups of tools as a flag or a variable names them: ``read, trade``."""
    return toolsets([part.strip() for part in value.split(",")])


def roots(value: Any) -> frozenset[str] | None:
    """Take the roots that may be traded; an empty list allows any, which is None."""
    return _parse_roots(value) or None


def minis(value: Any) -> Decimal | None:
    """Take a number of contracts in mini equivalents; 0 is no limit, which is None."""
    if type(value) is int and value == 0:
        return None
    return number("0.1", "1000000", "contracts in mini equivalents (0 for no limit)")(value)


def rates(value: Any) -> dict[str, Decimal]:
    """Take what one unit of each currency is worth in account currency, ``{ EUR = 1.08 }``."""
    parse, expected = number("0.000001", "1000000", "account currency"), "rates by currency, such as { EUR = 1.08 }"
    if not isinstance(value, dict) or not all(isinstance(name, str) and _CURRENCY.fullmatch(name) for name in value):
        raise ValueError(expected)
    try:
        return {name: parse(rate) for name, rate in value.items()}
    except ValueError:
        raise ValueError(expected) from None


def scaling(value: Any) -> tuple[ScalingStep, ...]:
    """Take the steps of a scaling plan, each with the balance from which on it holds."""
    expected = "steps by balance, such as [{ balance = 50000, minis = 2 }, { balance = 51500, minis = 3 }]"
    if not isinstance(value, list) or not value or any(not _is_step(step) for step in value):
        raise ValueError(expected)
    balance, size = number("0", "1000000000", "account currency"), number("0.1", "1000000", "contracts")
    try:
        steps = tuple(ScalingStep(balance(step["balance"]), size(step["minis"])) for step in value)
    except ValueError:
        raise ValueError(expected) from None
    if any(before.balance >= after.balance or before.minis > after.minis for before, after in pairwise(steps)):
        raise ValueError(f"{expected}, each from a higher balance on and for no fewer contracts")
    return steps


def _is_step(step: Any) -> bool:
    return isinstance(step, dict) and set(step) == {"balance", "minis"}


def groups(value: Any) -> tuple[frozenset[str], ...]:
    """Take groups of roots of which none may stand against another, ``[["ES", "NQ"]]``."""
    expected = 'lists of roots, such as [["ES", "NQ", "YM"]]'
    try:
        found = tuple(map(_parse_roots, value)) if isinstance(value, list) else ()
    except ValueError:
        raise ValueError(expected) from None
    if not isinstance(value, list) or any(len(group) < 2 for group in found):
        raise ValueError(expected)
    return found


def file(value: Any) -> Path | None:
    """Take the whole path of a file; an empty text is None."""
    if value == "":
        return None
    whole = path(value)
    if not whole.is_absolute():
        raise ValueError("the whole path of a file, from the root or from ~")
    return whole


def flat_by(value: Any) -> FlatBy | None:
    """Take a time of day with its zone, ``15:55 America/Chicago``; an empty text is None."""
    if value == "":
        return None
    found = _FLAT_BY.fullmatch(value) if isinstance(value, str) else None
    if not found or not _is_zone(found["zone"]):
        raise ValueError('a time of day and its zone, such as "15:55 America/Chicago", or ""')
    return FlatBy(time(int(found["hour"]), int(found["minute"])), found["zone"])


def _is_zone(name: str) -> bool:
    from zoneinfo import ZoneInfo  # noqa: PLC0415  # few settings name a time of day

    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # a folder of zones, such as America, is an OSError
        return False
    return True


def address(value: Any) -> str:
    """Take the address of the service, to which alone the token is sent."""
    if isinstance(value, str) and UNEXPANDED.search(value):
        raise ValueError("an address; the program that starts this server did not fill the variable in")
    found = _ADDRESS.fullmatch(value) if isinstance(value, str) else None
    if not found or not 1 <= int(found["port"] or 443) <= 65535:
        raise ValueError("only https://host or https://host:port, without login, path or query")
    if found["scheme"].lower() == "http" and not _LOOPBACK.fullmatch(found["host"]):
        raise ValueError("https://; http:// would send the token in the clear, and is only for this machine")
    return found[0].rstrip("/").lower()


def path(value: Any) -> Path:
    """Take the path of a file or a folder; ``~`` is the home folder."""
    if not isinstance(value, str) or not value.isprintable() or UNEXPANDED.search(value):
        has_escapes = isinstance(value, str) and _WINDOWS_PATH_WITH_ESCAPES.match(value)  # \t of C:\temp is a tab
        raise ValueError(f"a path without variables{f'. {WINDOWS_PATH_ADVICE}' if has_escapes else ''}")
    try:
        return Path(value).expanduser()
    except RuntimeError as error:
        raise ValueError("a path; the home folder is not known") from error


def folder(value: Any) -> Path | None:
    """Take the whole path of a folder, since clients start us in folders of their own; an empty text is None."""
    if value == "":
        return None
    whole = path(value)
    if not whole.is_absolute():
        raise ValueError("the whole path of a folder, from the root or from ~")
    return whole


def database(value: Any) -> PostgresUrl | None:
    """Take the URL of a database; empty is none."""
    if isinstance(value, str) and not value:
        return None
    if not isinstance(value, str) or UNEXPANDED.search(value):
        raise ValueError("the URL of a PostgreSQL database, or nothing")
    return parse_postgres_url(value)


def database_without_password(variable: str) -> Callable[[Any], PostgresUrl | None]:
    """Take the URL of a database as a file may have it; its password belongs elsewhere."""

    def parse(value: Any) -> PostgresUrl | None:
        url = database(value)
        if url is not None and url.password:
            raise ValueError(f"it without the password, which belongs into a passfile or into {variable}")
        return url

    return parse
