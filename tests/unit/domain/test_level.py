"""Where an exit is to stand, as it may be said, and the price that this is."""

from decimal import Decimal

import pytest

from ct_mcp.domain.level import BreakEven, Distance, ExitKind, Level, Unit, price_of_level, read_level
from ct_mcp.errors import BadRequest

QUARTER = Decimal("0.25")


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("6390.25", Decimal("6390.25")),
        ("-37.5", Decimal("-37.5")),
        ("10", Decimal(10)),
        ("10 points", Distance(Decimal(10), Unit.POINT)),
        ("1 point", Distance(Decimal(1), Unit.POINT)),
        ("2.5 Points", Distance(Decimal("2.5"), Unit.POINT)),
        ("40 ticks", Distance(Decimal(40), Unit.TICK)),
        (" 40   ticks ", Distance(Decimal(40), Unit.TICK)),
        ("break-even", BreakEven()),
        ("Breakeven", BreakEven()),
        ("break-even +2 ticks", BreakEven(Distance(Decimal(2), Unit.TICK))),
        ("break even - 1 point", BreakEven(Distance(Decimal(1), Unit.POINT), is_loss=True)),
    ],
)
def test_what_may_be_said(text: str, level: Level) -> None:
    assert read_level(text) == level


@pytest.mark.parametrize(
    "text",
    ["", "ten points", "10 pips", "10%", "-10 points", "0 ticks", "2.5 ticks", "1e3", "break-even 2 ticks", "nan",
     "6,390.25", "10 points or so", "9" * 10 + " ticks", "+6390", "break-even +0 ticks", "٣ points"],
)  # fmt: skip
def test_nothing_else_is_guessed_at(text: str) -> None:
    with pytest.raises(BadRequest, match="nothing was sent"):
        read_level(text)


@pytest.mark.parametrize(
    ("text", "leg", "net", "price"),
    [
        ("10 points", ExitKind.STOP, 2, "6390.25"),
        ("10 points", ExitKind.STOP, -2, "6410"),
        ("20 points", ExitKind.TARGET, 2, "6420.25"),
        ("20 points", ExitKind.TARGET, -2, "6380"),
        ("40 ticks", ExitKind.STOP, 2, "6390.25"),
        ("break-even", ExitKind.STOP, 2, "6400.25"),
        ("break-even", ExitKind.STOP, -2, "6400"),
        ("break-even +2 ticks", ExitKind.STOP, 2, "6400.75"),
        ("break-even +2 ticks", ExitKind.STOP, -2, "6399.5"),
        ("break-even -2 ticks", ExitKind.STOP, 2, "6399.75"),
    ],
)
def test_what_falls_between_two_ticks_goes_to_the_side_of_gain(text: str, leg: ExitKind, net: int, price: str) -> None:
    level = read_level(text)
    assert not isinstance(level, Decimal)
    assert price_of_level(level, leg, Decimal("6400.125"), net, QUARTER) == Decimal(price)
