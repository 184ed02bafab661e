"""Bars for the person's chart, read no more often than is good for the budget, however many pages look.

The whole stretch is read once; after that the newest bars alone, since CrossTrade also limits how much it sends.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

import anyio

from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import Bar, Period, Quote
from ct_mcp.errors import CtMcpError, Unavailable

GOOD_FOR_SECONDS = 10.0
LONGEST_SECONDS = 12.0
NEWEST = 3
_MOST_KEPT = 6


class BarReads(Protocol):
    """The reads that a chart is made of; a failed read raises, and is never an empty answer."""

    async def bars(
        self, name: str, period: Period, *, count: int, start: datetime | None, end: datetime | None
    ) -> tuple[Instrument, tuple[Bar, ...]]: ...
    async def quotes(self, names: list[str]) -> tuple[Quote, ...]: ...


@dataclass(frozen=True, slots=True)
class KnownBars:
    """Bars as they were last read; ``failure`` says why they could not be read anew.

    ``contract`` is a quote of which the contract alone counts: its prices are left out, since they grow old.
    """

    instrument: Instrument
    bars: tuple[Bar, ...]
    read_at: datetime
    contract: Quote | None
    failure: str = ""


class BarReader:
    """Reads bars for the person, one reading at a time."""

    def __init__(self, reads: BarReads, clock: Callable[[], datetime]) -> None:
        self._reads = reads
        self._clock = clock
        self._known: dict[tuple[str, Period, int], KnownBars] = {}
        self._one_at_a_time = anyio.Lock()

    async def read(self, name: str, period: Period, count: int) -> KnownBars:
        """Give the newest bars; those of before, and why, where they cannot be read anew.

        Raises:
            CtMcpError: They were never read, and cannot be.
        """
        async with self._one_at_a_time:
            key = (name.upper(), period, count)
            known = self._known.pop(key, None)
            if known is None or not self._is_fresh(known):
                known = await self._anew(known, name, period, count)
            self._known[key] = known
            while len(self._known) > _MOST_KEPT:
                self._known.pop(next(iter(self._known)))
            return known

    def _is_fresh(self, known: KnownBars) -> bool:
        return 0 <= (self._clock() - known.read_at).total_seconds() < GOOD_FOR_SECONDS and not known.failure

    async def _anew(self, known: KnownBars | None, name: str, period: Period, count: int) -> KnownBars:
        try:
            with anyio.fail_after(LONGEST_SECONDS):
                return await self._asked(known, name, period, count)
        except TimeoutError:
            failure: CtMcpError = Unavailable(f"no answer within {LONGEST_SECONDS:.0f} s")
        except CtMcpError as error:
            failure = error
        if known is None:
            raise failure
        return replace(known, failure=f"bars anew: {failure.code}: {failure.what}")

    async def _asked(self, known: KnownBars | None, name: str, period: Period, count: int) -> KnownBars:
        if known is not None and known.bars:
            found, newest = await self._bars(name, period, min(NEWEST, count))
            if found == known.instrument and newest and newest[0].closes_at <= known.bars[-1].closes_at:
                return KnownBars(found, joined(known.bars, newest, count), self._clock(), known.contract)
        found, bars = await self._bars(name, period, count)
        return KnownBars(found, bars, self._clock(), await self._contract(str(found)))

    async def _bars(self, name: str, period: Period, count: int) -> tuple[Instrument, tuple[Bar, ...]]:
        return await self._reads.bars(name, period, count=count, start=None, end=None)

    async def _contract(self, name: str) -> Quote | None:
        """Read what a tick is; a chart does without."""
        try:
            (quote,) = await self._reads.quotes([name])
        except (CtMcpError, ValueError):
            return None
        return replace(quote, bid=None, ask=None, last=None, at=None)


def joined(known: tuple[Bar, ...], newest: tuple[Bar, ...], count: int) -> tuple[Bar, ...]:
    """Put the newest bars in the place of those that they are about, and behind the others."""
    first = newest[0].closes_at
    return (*(bar for bar in known if bar.closes_at < first), *newest)[-count:]
