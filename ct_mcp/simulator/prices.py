"""Seeded price paths: the price and the volume of an underlying at any moment, without any state.

The path is a random walk made by halving: a coarse grid of anchors, then the middle
of every span moved by a hashed amount, down to knots eight seconds apart. Between two
knots it is a straight line, so that the highest and the lowest price of any window
are found at its ends and at the knots inside it.
"""

import math
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from itertools import accumulate
from random import Random

from ct_mcp.simulator.products import PRODUCTS

KNOT_SECONDS = 8
_SPAN_SECONDS = 64
_KNOTS = 512
_BLOCK_SECONDS = KNOT_SECONDS * _KNOTS
_COARSE_LEVELS = 12
_ANCHOR_SECONDS = _BLOCK_SECONDS << _COARSE_LEVELS
_DAY_SECONDS = 86_400
_BUSY_HOURS_UTC = range(13, 21)


@dataclass(frozen=True, slots=True)
class PathBlock:
    """A stretch of the path: ticks at each knot, both ends included, and cumulated volume for each span."""

    ticks: "array[float]"
    traded: "array[float]"


@dataclass(frozen=True, slots=True)
class PriceRange:
    """Open, high, low and close of a window, in unrounded ticks."""

    open: float
    high: float
    low: float
    close: float


def ticks_at(seed: int, underlying: str, seconds: float) -> float:
    """Return the price in unrounded ticks, at a moment in seconds of the epoch."""
    index, offset = divmod(seconds, _BLOCK_SECONDS)
    ticks = _block(seed, underlying, int(index)).ticks
    knot, rest = divmod(offset, KNOT_SECONDS)
    left, right = ticks[int(knot)], ticks[int(knot) + 1]
    return left + (right - left) * (rest / KNOT_SECONDS)


def traded_between(seed: int, underlying: str, start: float, end: float) -> float:
    """Count the contracts of a window, for a product that trades one each second."""
    return _traded_before(seed, underlying, end, start) - _traded_before(seed, underlying, start, start)


def range_between(seed: int, underlying: str, start: float, end: float) -> PriceRange:
    """Return open, high, low and close of a window in seconds of the epoch."""
    first, last = ticks_at(seed, underlying, start), ticks_at(seed, underlying, end)
    inside = _extremes_inside(seed, underlying, math.floor(start / KNOT_SECONDS) + 1, math.ceil(end / KNOT_SECONDS))
    return PriceRange(first, max(first, last, *inside), min(first, last, *inside), last)


@lru_cache(maxsize=256)
def _extremes_inside(seed: int, underlying: str, first: int, last: int) -> tuple[float, ...]:
    """The lowest and the highest of these knots; nothing where there are none. A session so far is asked for often."""
    inside = [(min(knots), max(knots)) for knots in _knots_inside(seed, underlying, first, last)]
    return (min(low for low, _ in inside), max(high for _, high in inside)) if inside else ()


def _knots_inside(seed: int, underlying: str, first: int, last: int) -> "Iterator[Sequence[float]]":
    """Give the knots of a window; of a whole block its lowest and highest alone."""
    for index in range(first // _KNOTS, (last - 1) // _KNOTS + 1):
        begin, finish = max(first - index * _KNOTS, 0), last - index * _KNOTS
        if begin == 0 and finish > _KNOTS:
            yield _extremes(seed, underlying, index)
        elif knots := _block(seed, underlying, index).ticks[begin:finish]:
            yield knots


def _traded_before(seed: int, underlying: str, moment: float, start: float) -> float:
    """Count from the beginning of the block of `start`, so that two counts can be subtracted."""
    home, (index, offset) = int(start // _BLOCK_SECONDS), divmod(moment, _BLOCK_SECONDS)
    whole = sum(_block(seed, underlying, earlier).traded[-1] for earlier in range(home, int(index)))
    traded = _block(seed, underlying, int(index)).traded
    span, rest = divmod(offset, _SPAN_SECONDS)
    left, right = traded[int(span)], traded[int(span) + 1]
    return whole + left + (right - left) * (rest / _SPAN_SECONDS)


@lru_cache(maxsize=2048)
def _block(seed: int, underlying: str, index: int) -> PathBlock:
    """Build 512 knots between two coarse nodes by halving."""
    product = PRODUCTS[underlying]
    draw = Random(f"{seed}/{underlying}/{index}").random  # noqa: S311 - a market, not a secret
    moves = array("d", bytes(8 * (_KNOTS + 1)))
    moves[0], moves[_KNOTS] = (_node(seed, underlying, _COARSE_LEVELS, index + end) for end in (0, 1))
    span = _KNOTS
    while span > 1:
        half, spread = span // 2, _spread(product.daily_volatility, span * KNOT_SECONDS)
        for middle in range(half, _KNOTS, span):
            moves[middle] = (moves[middle - half] + moves[middle + half]) / 2 + (draw() + draw() - 1) * spread
        span = half
    base = product.base_price / product.tick_size
    return PathBlock(array("d", (base * (1 + move) for move in moves)), _traded(index, draw))


@lru_cache(maxsize=2048)
def _extremes(seed: int, underlying: str, index: int) -> tuple[float, float]:
    ticks = _block(seed, underlying, index).ticks
    return min(ticks), max(ticks)


def _traded(index: int, draw: Callable[[], float]) -> "array[float]":
    spans = range(index * _BLOCK_SECONDS, (index + 1) * _BLOCK_SECONDS, _SPAN_SECONDS)
    paces = (1.0 if span % _DAY_SECONDS // 3600 in _BUSY_HOURS_UTC else 0.15 for span in spans)
    return array("d", accumulate((_SPAN_SECONDS * (0.4 + 1.2 * draw()) * pace for pace in paces), initial=0.0))


@lru_cache(maxsize=65_536)
def _node(seed: int, underlying: str, level: int, index: int) -> float:
    """Return how far the path is from its base at a coarse node, as a fraction."""
    noise = _noise(f"{seed}/{underlying}/{level}/{index}")
    if level == 0:
        return noise * 0.05
    if index % 2 == 0:
        return _node(seed, underlying, level - 1, index // 2)
    left, right = (_node(seed, underlying, level - 1, index // 2 + end) for end in (0, 1))
    spread = _spread(PRODUCTS[underlying].daily_volatility, _ANCHOR_SECONDS >> (level - 1))
    return (left + right) / 2 + noise * spread


def _spread(daily_volatility: float, span_seconds: float) -> float:
    """Return how far the middle of a span may be from the line between its ends."""
    return daily_volatility * math.sqrt(span_seconds / _DAY_SECONDS) * 1.2


def _noise(key: str) -> float:
    """Hash a name into a number between -1 and 1 that clusters around 0."""
    digest = blake2b(key.encode(), digest_size=8).digest()
    high, low = (int.from_bytes(half, "big") / 2**32 for half in (digest[:4], digest[4:]))
    return high + low - 1
