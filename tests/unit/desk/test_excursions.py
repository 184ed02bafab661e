"""How far prices went while a trade was held: from the stream, else from bars, asked for one at a time."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest

from ct_mcp.crosstrade.rate_limit import Allowance
from ct_mcp.crosstrade.stream.events import QuoteTick
from ct_mcp.desk.book import TradeBook
from ct_mcp.desk.excursions import Excursions
from ct_mcp.desk.ports import Upstream
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import Bar
from ct_mcp.domain.order import OrderAction
from ct_mcp.domain.trades import ExcursionSource
from ct_mcp.errors import Unavailable
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.store.sqlite import SqliteStore
from tests.factories import ES, SIM101
from tests.unit.desk.test_book import at, filled, heard

BUY, SELL = OrderAction.BUY, OrderAction.SELL


@dataclass
class Service:
    """As much of the service as is asked: bars, and whether it has time."""

    bars_of: Sequence[Bar] = ()
    left: int = 13
    slow: str = ""
    fails: bool = False
    asked: list[tuple[str, datetime | None, datetime | None]] = field(default_factory=list)

    async def bars(self, name: str, *_: object, **span: Any) -> tuple[Instrument, Sequence[Bar]]:
        self.asked.append((name, span["start"], span["end"]))
        if self.fails:
            raise Unavailable("no bars")
        return ES, self.bars_of

    async def allowance(self) -> Allowance:
        return Allowance(self.left, self.left, 0.0)

    def held_up(self) -> str:
        return self.slow


def bar(minute: float, low: str, high: str) -> Bar:
    """Build a bar of a minute that ends so many minutes after `NOW`."""
    return Bar(at(minute), Decimal(low), Decimal(high), Decimal(low), Decimal(high), 1)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """One trade on record, of minutes 1 to 4, at 6400 and 6410."""
    store = SqliteStore(tmp_path)
    took = [filled(1.5, BUY, "6400"), filled(4.5, SELL, "6410")]
    await store.keep_heard(SIM101, took, heard(0, 60, positions=()))
    yield store
    await store.close()


@pytest.fixture
def clock() -> ManualClock:
    """An hour after `NOW`."""
    return ManualClock(at(60))


def looking(service: Service, store: SqliteStore, clock: ManualClock) -> Excursions:
    """What looks after the trades of a store."""
    return Excursions(cast(Upstream, service), store, TradeBook(store, clock), clock)


async def test_what_a_stream_has_told_from_first_to_last_is_taken_and_nothing_is_asked(
    store: SqliteStore, clock: ManualClock
) -> None:
    service = Service()
    excursions = looking(service, store, clock)
    for minute, price in ((1, "6401"), (2, "6395.5"), (3, "6412"), (5, "6500")):
        excursions.trails.hear(QuoteTick(ES, None, None, Decimal(price), None, at(minute)))
    await excursions.look([SIM101])
    (trip,) = (await excursions.book.trades(SIM101)).trips
    assert trip.excursion is not None
    assert (trip.excursion.source, trip.mae, trip.mfe) == (ExcursionSource.QUOTES, Decimal(-225), Decimal(600))
    assert service.asked == []


async def test_else_the_bars_of_its_minutes_are_asked_for_once(store: SqliteStore, clock: ManualClock) -> None:
    bars = [
        bar(1, "1", "9999"),
        bar(2, "6396", "6402"),
        bar(4, "6399", "6411"),
        bar(5, "6409", "6413"),
        bar(6, "1", "9999"),
    ]
    service = Service(bars)
    excursions = looking(service, store, clock)
    await excursions.look([SIM101])
    (trip,) = (await excursions.book.trades(SIM101)).trips
    assert trip.excursion is not None
    assert (trip.excursion.source, trip.mae, trip.mfe) == (ExcursionSource.BARS, Decimal(-200), Decimal(650))
    clock.advance(60)
    await excursions.look([SIM101])
    assert len(service.asked) == 1


@pytest.mark.parametrize("service", [Service(left=3), Service(slow="it answers slowly")])
async def test_nothing_is_asked_while_the_service_has_no_time(
    store: SqliteStore, clock: ManualClock, service: Service
) -> None:
    await looking(service, store, clock).look([SIM101])
    assert service.asked == []


async def test_bars_that_are_not_to_be_had_are_not_asked_for_again_and_again(
    store: SqliteStore, clock: ManualClock
) -> None:
    service = Service(fails=True)
    excursions = looking(service, store, clock)
    for _ in range(5):
        await excursions.look([SIM101])
        clock.advance(timedelta(minutes=1).total_seconds())
    assert len(service.asked) == 1
    assert (await excursions.book.trades(SIM101)).trips[0].excursion is None
