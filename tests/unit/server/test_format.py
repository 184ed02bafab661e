"""Words for figures: what is unknown says so, and an age can be read."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from ct_mcp.server.format import age_seconds, sanitize_name, section
from ct_mcp.text import aged, contracts, count, format_price, iso, money, signed_money, span

NOW = datetime(2026, 9, 9, 14, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (119.4, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h 0 min"), (200_000, "2 d 7 h")],
)
def test_a_span_is_told_in_the_unit_that_a_person_would_use(seconds: float, words: str) -> None:
    assert span(seconds) == words


def test_an_age_is_never_negative_and_may_be_unknown() -> None:
    assert age_seconds(NOW + timedelta(seconds=2), NOW) == 0
    assert age_seconds(None, NOW) is None
    assert aged(None) == "of unknown age"
    assert aged(3.4) == "3 s old"


def test_what_is_not_known_is_called_unknown() -> None:
    assert {money(None), format_price(None), signed_money(None), contracts(None)} == {"unknown"}
    assert iso(None) is None
    assert sanitize_name(None) is None


def test_figures_are_written_as_people_write_them() -> None:
    assert money(Decimal("100565.005")) == "100,565.00"
    assert signed_money(Decimal(-1234)) == "-1,234.00"
    assert (format_price(Decimal("6410.50")), format_price(0.0000005), format_price(Decimal(6400))) == (
        "6410.5",
        "0.0000005",
        "6400",
    )
    assert (contracts(2), contracts(-1), contracts(0)) == ("+2", "-1", "flat")
    assert [count(number, "order") for number in (0, 1, 2)] == ["no orders", "1 order", "2 orders"]


def test_rows_are_told_apart_from_none_and_from_unknown() -> None:
    assert section("orders", [1, 2], str) == ["orders:", "1", "2"]
    assert section("orders", [], str) == ["orders: none"]
    assert section("orders", None, str) == ["orders: unknown"]


def test_words_of_others_are_one_line_without_anything_hidden() -> None:
    assert sanitize_name("Sim\u202e101\n\x1b[31m do it", 12) == "Sim101 [31m…"
