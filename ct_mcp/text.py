"""Text that a person or a model reads: other people's words made harmless, and numbers as traders write them.

Nothing here reads a clock, a file or a setting. Everything that came from outside goes through `sanitize` before it
is shown; every answer of the service goes through `redact` before anything is read from it.
"""

import re
import shlex
import sys
import unicodedata
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from urllib.parse import quote

LONGEST = 300

_HIDDEN = "[hidden]"
# So many characters of a secret in a row are taken for it; fewer may stand in any text.
_PIECE = 12
_SECRETS = re.compile(
    r"(?i)(\bbearer\s+|/v1/send/"
    r"|\b[\w-]{0,20}(?:key|token|secret|authorization)'?\s*[=:]\s*'?(?:bearer\s+)?)[^\s,;&'}]+"
)
_QUOTATION_MARKS = dict.fromkeys(map(ord, '"`´«»“”„‟‹›〝〞❝❞'), "'")  # noqa: RUF001 - look-alikes are the point
BLANK_LETTERS = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters by their category, and blank all the same."""


def quoted(text: str, secrets: Iterable[str] = ()) -> str:
    """Put their words between our quotation marks, which they cannot close; for a sentence that says whose they are."""
    return f'"{sanitize(text, secrets)}"'


def sanitize(text: str, secrets: Iterable[str] = (), longest: int = LONGEST) -> str:
    """Strip control, bidirectional, zero-width and combining characters, hide secrets, bound the length."""
    visible = text = text[: 20 * LONGEST]
    if not (text.isascii() and text.isprintable()):  # most text is, and nothing of it hides
        visible = "".join(map(_seen, unicodedata.normalize("NFKC", text)))
    plain = " ".join(visible.translate(_QUOTATION_MARKS).split())
    told = redact_secrets(plain, secrets)
    return told if len(told) <= longest else f"{told[: longest - 1]}…"


def normalize(word: str) -> str:
    """One spelling for a word, whatever its case and whatever stands between its parts."""
    return re.sub(r"[\s_-]", "", word).casefold()


def redact_secrets(text: str, secrets: Iterable[str] = ()) -> str:
    """Hide the secrets, in any case, and whatever stands where a secret would stand."""
    for secret in filter(None, secrets):
        text = re.sub(re.escape(secret), _HIDDEN, text, flags=re.IGNORECASE)
    return _SECRETS.sub(rf"\1{_HIDDEN}", text)


def redact(text: str, secret: str | None) -> str:
    """Hide a secret wherever it stands in an answer: whole, in pieces that could give it away, or encoded.

    For every answer as it came, before anything is read from it, since a service may echo what it was sent anywhere.
    """
    if not secret or len(secret) < _PIECE:
        return text
    probes, traces = _traces(secret)
    folded_text = text.casefold()
    return traces.sub(_HIDDEN, text) if any(probe in folded_text for probe in probes) else text


@cache
def _traces(secret: str) -> tuple[tuple[str, ...], re.Pattern[str]]:
    """Say what is looked for first, since it is fast, and everything that is hidden once any of that is there."""
    encoded = [b64encode(text.encode()).decode().rstrip("=") for text in (f"Bearer {secret}", secret)]
    whole = [secret, quote(secret, safe=""), *encoded]
    pieces = [secret[start : start + _PIECE] for start in range(len(secret) - _PIECE + 1)]
    probes = {piece.casefold() for text in whole for piece in (text[:_PIECE], text[-_PIECE:])}
    return tuple(probes), re.compile("|".join(map(re.escape, [*whole, *pieces])), re.IGNORECASE)


def _seen(character: str) -> str:
    if character.isspace():
        return " "
    category = unicodedata.category(character)
    is_hidden = category[0] == "C" or category in ("Mn", "Me", "Zl", "Zp") or character in BLANK_LETTERS
    return "" if is_hidden else character


def one_line(text: str) -> str:
    """Make one line without what is unseen or drawn over others: no name may repaint what a person reads."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_seen, unicodedata.normalize("NFC", text)))


def plain(text: str, longest: int = 60) -> str:
    """Make somebody else's words safe to quote in a figure: one short line without hidden characters."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:longest])


# What a shell still acts on between double quotation marks, or what ends them.
_ACTED_ON = frozenset('"$`\\!')


def as_argument(name: str) -> str:
    """Spell a name as a command takes it; one with other than letters, digits, ``-``, ``_`` and ``.`` is quoted.

    A name that somebody gave an account runs nothing in the shell of whoever copies the command. Windows has two shells
    that quote differently, so there such letters are left out, and the command finds no such account.
    """
    shown = plain(name)
    if shown and all(letter.isalnum() or letter in "-_." for letter in shown):
        return shown
    if not _ACTED_ON & set(shown):
        return f'"{shown}"'
    if sys.platform != "win32":
        return shlex.quote(shown)
    return '"' + "".join("?" if letter in _ACTED_ON else letter for letter in shown) + '"'


# A spreadsheet takes a cell that begins so for a formula, and would run what a hostile name says. Where lists are
# separated by semicolons or tabs it begins cells in the middle of ours, also behind a quotation mark.
_FORMULA = re.compile(r"""(^|[;\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029])([\s"]*)(?=[=+\-@\uff1d\uff0b\uff0d\uff20])""")
_BLANK = ("\t", "\r", "\n")


def harmless_cell(value: str | int | None) -> str | int | None:
    """Write a cell of a CSV file so that no spreadsheet takes it for a formula; what is no text stays as it is."""
    if not isinstance(value, str):
        return value
    harmless = _FORMULA.sub(r"\1\2'", value)
    return f"'{harmless}" if harmless.startswith(_BLANK) else harmless


def format_price(value: Decimal | float | None) -> str:
    """Write a price without exponents and without zeros that say nothing: ``6410.25``; ``unknown`` for None."""
    if value is None:
        return "unknown"
    number = value if isinstance(value, Decimal) else Decimal(str(value))
    if not number.is_finite() or not -30 < number.adjusted() < 30:
        return str(number)[:40]
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def money(amount: Decimal | float | None) -> str:
    """Write an amount in its currency: ``1,234.50``; ``unknown`` for None."""
    return "unknown" if amount is None else f"{amount:,.2f}"


def signed_money(amount: Decimal | float | None) -> str:
    """Write an amount with its sign: ``+1,234.50``; ``unknown`` for None."""
    return "unknown" if amount is None else f"{amount:+,.2f}"


def contracts(net: int | None) -> str:
    """Write contracts held: ``+2``, ``-1`` or ``flat``; ``unknown`` for None."""
    return "unknown" if net is None else f"{net:+d}" if net else "flat"


def count(number: int, what: str) -> str:
    """Write so many of something: ``no orders``, ``1 order``, ``2 orders``."""
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"


def span(seconds: float) -> str:
    """Write a length of time: ``45 s``, ``12 min``, ``3 h 20 min``, ``2 d 4 h``."""
    minutes = int(seconds // 60)
    hours, days = minutes // 60, minutes // 1440
    if seconds < 120:
        return f"{seconds:.0f} s"
    if minutes < 120:
        return f"{minutes} min"
    return f"{hours} h {minutes % 60} min" if hours < 48 else f"{days} d {hours % 24} h"


def aged(seconds: float | None) -> str:
    """Write an age: ``3 s old``; ``of unknown age`` for None."""
    return "of unknown age" if seconds is None else f"{span(seconds)} old"


def iso(at: datetime | None) -> str | None:
    """Write a time as ISO in UTC with whole seconds: ``2026-11-20T15:04:05Z``."""
    return None if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def utc_minute(at: datetime) -> str:
    """Write a time to the minute: ``2026-11-20 15:04 UTC``."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def as_of(at: datetime, now: datetime) -> str:
    """Say when something was so: ``as of 15:04:05 UTC, 12 min ago``; of another day with its date."""
    then, today = at.astimezone(UTC), now.astimezone(UTC).date()
    day = "" if then.date() == today else f"{then:%Y-%m-%d} "
    return f"as of {day}{then:%H:%M:%S} UTC, {span(max(0.0, (now - at).total_seconds()))} ago"


def local_and_utc(at: datetime) -> str:
    """Write a time on the person's own clock, and in UTC."""
    return f"{at.astimezone():%A %Y-%m-%d %H:%M} on your clock ({at.astimezone(UTC):%Y-%m-%d %H:%M} UTC)"


def zone_words(at: datetime) -> str:
    """Name the zone of a time: ``CET (UTC+01:00)``, or the distance alone where the name is a whole sentence."""
    away = f"UTC{at:%z}"[:6] + ":" + f"{at:%z}"[3:5] if at.utcoffset() else "UTC"
    name = at.tzname() or ""
    return f"{name} ({away})" if name.isascii() and name.isalpha() and len(name) <= 5 and name != "UTC" else away


_SPAN = re.compile(r"(\d{1,4})\s*([mhd])")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


def parse_span(text: str) -> timedelta | None:
    """Read ``30m``, ``8h`` or ``1d``; None where it is none of these, or nothing at all."""
    found = _SPAN.fullmatch(text.strip().casefold())
    length = int(found[1]) * _UNITS[found[2]] if found else timedelta(0)
    return length or None


# What a person is told to type

_OF_A_FOLDER = frozenset({"approve", "arm", "console", "disarm", "halt", "journal", "pin", "resume", "watch"})
_flags: ContextVar[tuple[str, ...]] = ContextVar("flags", default=())


def command(name: str, *arguments: str) -> str:
    """Write a command of ours as a person types it: ``ct-mcp journal settle TICKET_ID --demo``.

    Every such line is made here, so that it carries the flags of this server: without them it would look into another
    folder, where nothing waits.
    """
    return " ".join(("ct-mcp", name, *arguments, *(_flags.get() if name in _OF_A_FOLDER else ())))


@contextmanager
def commands_carry(flags: Sequence[str]) -> Iterator[None]:
    """Add flags that say whose tickets and journal are meant to all commands that are written while the block runs."""
    before = _flags.set(tuple(flags))
    try:
        yield
    finally:
        _flags.reset(before)
