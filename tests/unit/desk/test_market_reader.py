"""What of the market is kept between two reads, for how long, and what is not used after a question."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.desk.market_reader import MarketReader
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import Quote
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.simulator import Simulator

Asked = Callable[[], int]


class Told:
    """A stream that tells one quote."""

    def __init__(self) -> None:
        self.newest: Quote | None = None
        self.kept: set[str] = set()

    def quote(self, name: str) -> Quote | None:
        return self.newest

    def keep_quote(self, name: str, quote: Quote) -> None:
        self.kept.add(name)


@pytest.fixture
def market(clock: ManualClock) -> MarketReader:
    return MarketReader(clock)


@pytest.fixture
def asked(sim: Simulator) -> Asked:
    return lambda: len(sim.requests_of("GetQuote"))


async def test_what_a_root_stands_for_is_kept_for_ten_minutes(
    market: MarketReader, crosstrade: CrossTrade, clock: ManualClock, asked: Asked
) -> None:
    for seconds, requests in ((0, 1), (600, 1), (1, 2)):
        clock.advance(seconds)
        assert (await market.front("MES", crosstrade)).root == "MES"
        assert asked() == requests


async def test_a_quote_is_read_once_a_second_and_not_again_by_the_name_it_was_found_under(
    market: MarketReader, crosstrade: CrossTrade, clock: ManualClock, asked: Asked
) -> None:
    mes = await market.front("MES", crosstrade)
    for seconds, requests in ((1, 1), (0.1, 2)):
        clock.advance(seconds)
        assert (await market.quote(mes, crosstrade, None)).instrument == mes
        assert asked() == requests


@pytest.mark.parametrize("streamed", [True, False])
async def test_after_a_question_no_quote_from_before_it_is_used(
    *, market: MarketReader, crosstrade: CrossTrade, clock: ManualClock, asked: Asked, streamed: bool
) -> None:
    mes = Instrument("MES", 2026, 9)
    read = await market.quote(mes, crosstrade, None)
    market.live = stream = Told()
    stream.newest = replace(read, at=clock()) if streamed else None
    clock.advance(0.5)
    await market.quote(mes, crosstrade, not_before=clock())
    assert asked() == 2


async def test_a_quote_that_the_stream_tells_is_not_asked_for(
    market: MarketReader, crosstrade: CrossTrade, clock: ManualClock, asked: Asked
) -> None:
    mes = await market.front("MES", crosstrade)
    market.live = stream = Told()
    stream.newest = replace((await crosstrade.quotes(["MES"]))[0], at=clock() + timedelta(seconds=2))
    before = asked()
    clock.advance(3)
    assert await market.quote(mes, crosstrade, not_before=clock() - timedelta(seconds=2)) is stream.newest
    assert asked() == before
