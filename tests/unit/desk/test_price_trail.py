"""The prices that a stream has told of what was held; what was not heard whole is not answered for."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from ct_mcp.crosstrade.stream.events import Gap, QuoteTick
from ct_mcp.desk.price_trail import MOST_STEPS, MOST_TRAILS, PriceTrails
from ct_mcp.domain.instrument import Instrument
from tests.factories import ES

NOW = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """So many seconds after `NOW`."""
    return NOW + timedelta(seconds=seconds)


def told(trails: PriceTrails, *prices: tuple[float, str], instrument: Instrument = ES) -> PriceTrails:
    """Let a stream tell prices."""
    for seconds, price in prices:
        trails.hear(QuoteTick(instrument, None, None, Decimal(price), None, at(seconds)))
    return trails


def test_the_lowest_and_highest_of_a_stretch_are_told() -> None:
    trails = told(PriceTrails(), (0, "6400"), (5, "6410"), (10, "6390"), (15, "6405"), (20, "6420"))
    assert trails.extremes(ES, at(4), at(16)) == (Decimal(6390), Decimal(6410))


def test_the_price_that_stood_when_it_began_counts() -> None:
    trails = told(PriceTrails(), (0, "6380"), (100, "6400"), (200, "6410"))
    assert trails.extremes(ES, at(50), at(150)) == (Decimal(6380), Decimal(6400))


def test_what_began_before_anybody_listened_or_ends_after_the_last_price_is_not_known() -> None:
    trails = told(PriceTrails(), (10, "6400"), (20, "6410"))
    assert trails.extremes(ES, at(5), at(15)) is None
    assert trails.extremes(ES, at(12), at(25)) is None
    assert trails.extremes(Instrument("NQ", 2026, 12), at(12), at(15)) is None


def test_after_a_gap_of_the_stream_it_begins_anew() -> None:
    trails = told(PriceTrails(), (0, "6400"), (10, "6410"))
    trails.hear(Gap("lost"))
    told(trails, (20, "6405"), (30, "6406"))
    assert trails.extremes(ES, at(5), at(25)) is None
    assert trails.extremes(ES, at(21), at(25)) == (Decimal(6405), Decimal(6405))


def test_a_day_of_prices_gets_coarser_and_loses_no_extreme() -> None:
    prices = [(second, str(6400 + (second * 7919) % 100)) for second in range(0, 40_000)]
    trails = told(PriceTrails(), *prices)
    assert len(trails._trails[ES].steps) <= MOST_STEPS
    assert trails.extremes(ES, at(0), at(39_999)) == (Decimal(6400), Decimal(6499))


def test_so_many_instruments_are_followed_and_no_more() -> None:
    trails = PriceTrails()
    for number in range(MOST_TRAILS + 5):
        told(trails, (0, "1"), instrument=Instrument(f"R{number}", 2026, 12))
    assert len(trails._trails) == MOST_TRAILS
