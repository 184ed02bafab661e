"""Futures instruments in the five spellings that CrossTrade accepts, and the dated one that we send.

Also read are those that TradingView and NinjaTrader's own windows show, where they mean one contract and no other:
``CME_MINI:ESZ2026``, ``ES 3-27``, ``ES MAR 27``; ``ES ##-##`` is NinjaTrader's name for the front month.

``ES 12-26`` (dated), ``ES`` (root), ``ES1!`` (continuous), ``ESZ26`` or ``ESZ6`` (CME code), ``ES DEC26``.
The dated form never changes its meaning; a root or continuous name means the front month of the day,
which only the service can tell, so those parse to `FrontMonth` and are resolved by a quote.
Source: endpoints reference, "Instrument names"; platform reference, "Names".
"""

import re
from dataclasses import dataclass, field
from datetime import date

from ct_mcp.errors import BadRequest

MONTH_CODES = "FGHJKMNQUVXZ"
MONTH_NAMES = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")

_ROOT = r"(?P<root>[A-Z0-9]{1,6}?)"
_YEAR = r"(?P<year>(?:20)?\d\d)"
_EXCHANGE = re.compile(r"[A-Z][A-Z0-9_]{1,11}:")
_DATED = re.compile(rf"{_ROOT} (?P<month>\d\d?)-{_YEAR}")
_NAMED = re.compile(rf"{_ROOT} (?P<name>[A-Z]{{3}}) ?{_YEAR}")
_CODED = re.compile(rf"{_ROOT}(?P<code>[{MONTH_CODES}])(?P<year>\d|(?:20)?\d\d)")
_CONTINUOUS = re.compile(rf"{_ROOT}(?:1!| ##-##)")
# No root has two digits in a row: what has is a contract month with a slip in it.
_BARE = re.compile(r"(?!.*\d\d)(?P<root>[A-Z][A-Z0-9]{0,5}|[0-9][A-Z]{1,2})")


@dataclass(frozen=True, slots=True, order=True)
class Instrument:
    """One dated futures contract: root, contract year and month."""

    root: str
    year: int
    month: int

    def __str__(self) -> str:
        return f"{self.root} {self.month:02d}-{self.year % 100:02d}"

    @property
    def label(self) -> str:
        """The name as a person reads it in a list."""
        return str(self)

    @property
    def code(self) -> str:
        """The CME spelling with two digits of the year, ``ESZ26``."""
        return f"{self.root}{MONTH_CODES[self.month - 1]}{self.year % 100:02d}"

    @property
    def named(self) -> str:
        """The spelling with the month's name, ``ES DEC26``."""
        return f"{self.root} {MONTH_NAMES[self.month - 1]}{self.year % 100:02d}"

    @property
    def month_in_words(self) -> str:
        """The contract month as a person reads it, ``DEC 2026``."""
        return f"{MONTH_NAMES[self.month - 1]} {self.year}"

    def is_past(self, today: date) -> bool:
        """Say whether its contract month lies before this month; expiry inside the month comes from the quote."""
        return (self.year, self.month) < (today.year, today.month)


@dataclass(frozen=True, slots=True, order=True)
class OtherInstrument(Instrument):
    """What an account holds or has working that is no dated future: it is shown, and nothing here trades it.

    ``root`` is its whole name, ``kind`` NinjaTrader's word for what it is; empty where nobody said so.
    """

    year: int = 0
    month: int = 0
    kind: str = field(default="", compare=False)

    def __str__(self) -> str:
        return self.root

    @property
    def label(self) -> str:
        """The name with what it is."""
        return f"{self.root} ({self.kind or 'no dated future'}, not tradable here)"

    def may_be(self, instrument: Instrument) -> bool:
        """Say whether it may be this future after all, spelled without its month or in a way that we cannot read."""
        is_open = self.kind.casefold() in ("", "future", "unknown")
        return is_open and self.root.upper().startswith(instrument.root)


def held_instrument(root: str, year: int, month: int) -> Instrument:
    """Make an instrument of its parts: without a month it is no dated future."""
    return Instrument(root, year, month) if month else OtherInstrument(root)


@dataclass(frozen=True, slots=True)
class FrontMonth:
    """A root that stands for whatever contract is the front month today."""

    root: str

    def __str__(self) -> str:
        return self.root


def parse_instrument(text: str, today: date) -> Instrument | FrontMonth:
    """Read any accepted spelling; years are placed in the century and decade nearest to ``today``.

    Raises:
        BadRequest: It is none of the five spellings.
    """
    if not text.isascii():  # a long s becomes S, and an Arabic digit counts as one
        raise _unreadable(text)
    name = _EXCHANGE.sub("", " ".join(text.upper().split()), count=1)
    if found := _DATED.fullmatch(name):
        return _dated(found["root"], int(found["month"]), _full_year(found["year"], today), text)
    if (found := _NAMED.fullmatch(name)) and found["name"] in MONTH_NAMES:
        month = MONTH_NAMES.index(found["name"]) + 1
        return _dated(found["root"], month, _full_year(found["year"], today), text)
    if found := _CODED.fullmatch(name):
        month = MONTH_CODES.index(found["code"]) + 1
        return _dated(found["root"], month, _full_year(found["year"], today), text)
    continuous = _CONTINUOUS.fullmatch(name)
    root = continuous["root"] if continuous else name
    # A contract code with 1! behind it, ESZ61!, is no continuous name: its root would read as one contract month.
    if _BARE.fullmatch(root) and not _CODED.fullmatch(root):
        return FrontMonth(root)
    raise _unreadable(text)


def parse_dated(text: str, today: date) -> Instrument:
    """Read a name that must carry its contract month.

    Raises:
        BadRequest: It is a root, a continuous name or nothing we know.
    """
    match parse_instrument(text, today):
        case Instrument() as instrument:
            return instrument
        case FrontMonth():  # pragma: no branch  # the set is closed
            raise BadRequest(f"instrument {text[:40]!r} does not name its contract month")


def _full_year(digits: str, today: date) -> int:
    if len(digits) == 4:
        return int(digits)
    span = 10 if len(digits) == 1 else 100
    year = today.year - today.year % span + int(digits)
    return min((year - span, year, year + span), key=lambda candidate: abs(candidate - today.year - 1))


def _dated(root: str, month: int, year: int, text: str) -> Instrument:
    if not 1 <= month <= 12:
        raise _unreadable(text)
    return Instrument(root, year, month)


def _unreadable(text: str) -> BadRequest:
    return BadRequest(
        f"instrument {text[:40]!r} is none of the known spellings: 'ES 12-26', 'ES', 'ES1!', 'ESZ26', 'ES DEC26'"
    )
