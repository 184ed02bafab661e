"""Which numbers may be computed with at all; whatever a caller managed to pass stops here."""

from datetime import UTC, datetime
from decimal import Decimal

LARGEST_PRICE = Decimal(1_000_000_000)
MOST_DECIMALS = 12


def is_whole_number(quantity: object) -> bool:
    """Say whether it counts contracts: an int of one or more, and no bool."""
    return type(quantity) is int and quantity >= 1


def is_price(price: object) -> bool:
    """Say whether it is a finite price of sane size; zero is none, because CrossTrade reads it as 'no price'."""
    return (
        isinstance(price, Decimal)
        and price.is_finite()
        and 0 < abs(price) <= LARGEST_PRICE
        and price == round(price, MOST_DECIMALS)
    )


def written(price: Decimal | None) -> str:
    """Spell a price or an amount for a figure, without exponents and without trailing zeros."""
    if price is None:
        return "unknown"
    if not price.is_finite() or not -30 < price.adjusted() < 30:
        return str(price)[:40]
    text = f"{price:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def plain(text: str, longest: int = 60) -> str:
    """Make somebody else's words safe to quote in a figure: one short line without hidden characters."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:longest])


def as_argument(name: str) -> str:
    """Spell a name as a command takes it; one with other than letters, digits, ``-``, ``_`` and ``.`` is quoted."""
    shown = plain(name).replace('"', "?")
    return shown if shown and all(letter.isalnum() or letter in "-_." for letter in shown) else f'"{shown}"'


def stamped(at: datetime) -> str:
    """Spell a moment for a figure."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
