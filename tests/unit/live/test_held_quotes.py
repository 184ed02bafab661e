"""Instruments that somebody follows are not forgotten before others; how many there may be is bounded."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import cast

import pytest

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.crosstrade.stream.protocol import StreamProtocol
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import Quote
from ct_mcp.errors import BadRequest
from ct_mcp.live.cache import MOST_HELD, MOST_INSTRUMENTS, LinkState, LiveCache
from ct_mcp.simulator.clock import ManualClock

ES = Instrument("ES", 2026, 9)


@dataclass
class Told:
    """A stream as the cache sees it."""

    is_sound: bool = True
    hears_accounts: bool = True
    wanted: frozenset[Instrument] = frozenset()

    def want(self, instruments: frozenset[Instrument]) -> None:
        self.wanted = instruments


@pytest.fixture
def stream() -> Told:
    return Told()


@pytest.fixture
def cache(clock: ManualClock, stream: Told) -> LiveCache:
    cache = LiveCache(clock)
    cache.follow(cast(StreamProtocol, stream), lambda: (LinkState.OK, ""))
    return cache


@pytest.fixture
async def reads(cache: LiveCache, crosstrade: CrossTrade) -> Callable[[Instrument], str]:
    """Read the quote of any instrument; gives the name it was read by."""
    (quote,) = await crosstrade.quotes(["ES"])

    def read(instrument: Instrument) -> str:
        kept: Quote = replace(quote, instrument=instrument)
        cache.keep_quote(str(instrument), kept)
        return str(instrument)

    return read


def others(count: int) -> list[Instrument]:
    return [Instrument("ES", 2030 + number, 12) for number in range(count)]


async def test_what_is_held_outlives_whatever_is_read_after_it(
    cache: LiveCache, reads: Callable[[Instrument], str], stream: Told
) -> None:
    cache.hold(reads(ES))
    for other in others(MOST_INSTRUMENTS * 3):
        reads(other)
    assert ES in stream.wanted
    assert len(stream.wanted) == MOST_INSTRUMENTS
    assert cache.stands_for(str(ES)) == ES


async def test_what_is_let_go_by_all_is_forgotten_like_others(
    cache: LiveCache, reads: Callable[[Instrument], str], stream: Told
) -> None:
    first, second = cache.hold(reads(ES)), cache.hold(str(ES))
    first()
    for other in others(MOST_INSTRUMENTS):
        reads(other)
    assert ES in stream.wanted
    second()
    for other in others(MOST_INSTRUMENTS):
        reads(other)
    assert ES not in stream.wanted
    assert cache.stands_for(str(ES)) is None


async def test_only_so_many_instruments_may_be_held_and_the_rest_is_refused_by_name(
    cache: LiveCache, reads: Callable[[Instrument], str]
) -> None:
    for other in others(MOST_HELD):
        cache.hold(reads(other))
    reads(ES)
    with pytest.raises(BadRequest, match=f"{MOST_HELD} instruments are followed already: ES 12-30"):
        cache.hold(str(ES))
    cache.hold(str(others(1)[0]))


async def test_what_was_never_read_cannot_be_held(cache: LiveCache) -> None:
    with pytest.raises(BadRequest, match="'ES' has to be read before"):
        cache.hold("ES")


async def test_names_of_one_instrument_are_bounded_too(
    cache: LiveCache, reads: Callable[[Instrument], str], clock: ManualClock
) -> None:
    reads(ES)
    quote = cache._quotes[ES]
    for number in range(100):
        cache.keep_quote(f"ES {number}", quote)
        cache.hold(f"ES {number}")
    cache.keep_quote("ES one more", quote)
    with pytest.raises(BadRequest, match="followed already"):
        cache.hold("ES one more")
