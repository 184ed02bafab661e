"""What a refused start says: the place of each fault, what was found there, and what was expected.

Nothing here repeats a login, a query or a token, and every fault is one line.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

KeyPath = tuple[str, ...]
"""The keys that lead to a value: ``("accounts", "EVAL", "limits", "max_day_loss")``."""

Spelling = Callable[[KeyPath], str]
"""How a source spells the place of a value."""

_BARE_KEY = re.compile(r"\w+")
_LOGIN_OR_QUERY = re.compile(r"(?<=//).*@|(?<=\?).+", re.DOTALL)
_SECRET_WORDS = re.compile(r"token|secret|password|api_?key", re.IGNORECASE)


def as_key(path: KeyPath) -> str:
    """Spell a place of the file: ``mode``, or ``[accounts.EVAL.limits] max_day_loss``."""
    *tables, key = map(_key, path)
    return f"[{'.'.join(tables)}] {key}" if tables else key


def as_flag(path: KeyPath) -> str:
    """Spell the flag of a setting: ``--state-dir``."""
    return f"--{path[-1].replace('_', '-')}"


def as_variable(path: KeyPath) -> str:
    """Spell the environment variable of a setting: ``CT_MCP_STATE_DIR``."""
    return f"CT_MCP_{path[-1].upper()}"


def mismatch(found: object, expected: str) -> str:
    """Say what stands at a place and what was expected there."""
    return f"found {shown(found)}, expected {expected}"


def unknown_key(key: str, known: Iterable[str], spell: Spelling) -> str:
    """Say what was probably meant by a key that is not known, or which keys are."""
    from difflib import get_close_matches  # noqa: PLC0415  # only where something is wrong

    names = list(known)
    if _SECRET_WORDS.search(key):
        return "a token never stands here; set the environment variable CROSSTRADE_TOKEN"
    if near := get_close_matches(key, names, 1):
        return f"unknown key; did you mean {spell((near[0],))}?"
    return f"unknown key; known here are {', '.join(spell((name,)) for name in names)}"


def shown(value: object) -> str:
    """Repeat a value: short, on one line, without anything that may be a login."""
    match value:
        case bool() | Decimal():
            return str(value).lower()[:60]
        case int() | float():
            return str(value) if abs(value) < 2**63 else "a number beyond 64 bits"
        case str():
            return _quoted(_LOGIN_OR_QUERY.sub("***", value))
        case list():
            return f"[{', '.join(map(shown, value[:5]))}{', ...' if len(value) > 5 else ''}]"
        case _:
            return "a table" if isinstance(value, Mapping) else "a date or time"


def listing(faults: list[str], token: str | None, of: str = "the settings") -> str:
    """Put all faults under one heading, a line each. A token that was pasted into the wrong place is not repeated."""
    heading = f"{len(faults)} {'fault' if len(faults) == 1 else 'faults'} in {of}"
    text = "\n".join((f"{heading}:", *faults))
    return text.replace(token, "***") if token and len(token) >= 8 else text


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) and len(name) <= 60 else _quoted(name)


def _quoted(text: str) -> str:
    return '"' + repr(text[:60])[1:-1] + ("..." if len(text) > 60 else "") + '"'
