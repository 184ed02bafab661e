"""Where a stop or a target is to stand, as a trader says it: a price, a distance, or break-even. Pure.

A distance and break-even are reckoned from the average price of the position, and need the tick of the contract. What
falls between two ticks goes to the one on the side of gain: a stop loses no more than was said, a target earns no less.
"""

import re
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import StrEnum

from ct_mcp.errors import BadRequest

_NUMBER = r"(\d{1,9}(?:\.\d{1,9})?)"
_AMOUNT = rf"{_NUMBER} ?(point|tick)s?"
_PRICE = re.compile(r"-?\d{1,9}(?:\.\d{1,9})?", re.ASCII)
_DISTANCE = re.compile(_AMOUNT, re.ASCII | re.IGNORECASE)
_BREAK_EVEN = re.compile(rf"break[- ]?even(?: ?([+-]) ?{_AMOUNT})?", re.ASCII | re.IGNORECASE)
HOW_TO_SAY_IT = "a price, '10 points', '40 ticks', 'break-even' or 'break-even +2 ticks'"


class ExitKind(StrEnum):
    """Which of the two exits around a position."""

    STOP = "stop"
    TARGET = "target"


class Unit(StrEnum):
    """What a distance is counted in."""

    POINT = "point"
    TICK = "tick"


@dataclass(frozen=True, slots=True)
class Distance:
    """So far from the average price, on the side that the leg stands on; never negative."""

    amount: Decimal
    unit: Unit

    def in_price(self, tick_size: Decimal) -> Decimal:
        """Give it as a difference of prices."""
        return self.amount * tick_size if self.unit is Unit.TICK else self.amount

    def __str__(self) -> str:
        return f"{self.amount:f} {self.unit}{'' if self.amount == 1 else 's'}"


@dataclass(frozen=True, slots=True)
class BreakEven:
    """Where the position neither gains nor loses, or so much to the side of gain, or of loss where it is negative."""

    gain: Distance | None = None
    is_loss: bool = False


Level = Decimal | Distance | BreakEven


def read_level(text: str) -> Level:
    """Read what was written.

    Raises:
        BadRequest: It is none of the ways in which it may be said.
    """
    words = " ".join(text.split())
    if _PRICE.fullmatch(words):
        return Decimal(words)
    if found := _DISTANCE.fullmatch(words):
        return _distance(found[1], found[2])
    if found := _BREAK_EVEN.fullmatch(words):
        gain = _distance(found[2], found[3]) if found[1] else None
        return BreakEven(gain, is_loss=found[1] == "-")
    raise BadRequest(f"where an exit is to stand is said as {HOW_TO_SAY_IT}; nothing was sent")


def _distance(amount: str, unit: str) -> Distance:
    distance = Distance(Decimal(amount), Unit(unit.lower()))
    if not distance.amount:
        raise BadRequest("a distance of nothing is break-even: say 'break-even'; nothing was sent")
    if distance.unit is Unit.TICK and distance.amount % 1:
        raise BadRequest(f"{distance.amount} ticks is no whole number of ticks; nothing was sent")
    return distance


def price_of_level(
    level: Distance | BreakEven, leg: ExitKind, average: Decimal, net: int, tick_size: Decimal
) -> Decimal:
    """Give the price, on a tick, for a position of ``net`` contracts that cost ``average``."""
    side = 1 if net > 0 else -1
    if isinstance(level, Distance):
        gain = level.in_price(tick_size) * (1 if leg is ExitKind.TARGET else -1)
    else:
        gain = level.gain.in_price(tick_size) * (-1 if level.is_loss else 1) if level.gain else Decimal(0)
    ticks = (average + side * gain) / tick_size
    return ticks.to_integral_value(ROUND_CEILING if net > 0 else ROUND_FLOOR) * tick_size
