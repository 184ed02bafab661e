"""The live chart: the same facts as the assistant's picture, for few requests, and unknown called unknown."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from ct_mcp.desk.desk import Desk
from ct_mcp.domain.commands import PlaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import Bar, Period, PeriodUnit, Quote
from ct_mcp.domain.order import OrderAction, OrderType, TimeInForce
from ct_mcp.domain.trades import Listening, RecordedExecution, Source
from ct_mcp.errors import BudgetExhausted, CtMcpError, Unavailable
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.simulator import Simulator
from ct_mcp.store.sqlite import SqliteStore
from ct_mcp.web.chart_page import ChartChoice
from ct_mcp.web.chart_reader import GOOD_FOR_SECONDS, NEWEST, BarReader, joined
from tests.factories import ES, NOW, bar, quote
from tests.unit.web.conftest import Browser, Enter

FIVE = Period(5, PeriodUnit.MINUTE)
Trade = Callable[..., Awaitable[None]]


@pytest.fixture
def trade(desk: Desk, sim: Simulator) -> Trade:
    """Trade past the desk, as somebody in NinjaTrader does."""

    async def traded(action: OrderAction, quantity: int, limit: Decimal | None = None) -> None:
        instrument = await desk.resolver.instrument("MES")
        kind = OrderType.MARKET if limit is None else OrderType.LIMIT
        order = PlaceOrder("Sim101", instrument, action, quantity, kind, limit, None, TimeInForce.DAY)
        await desk.upstream.place_order(order, f"own-{quantity}-{kind}")
        sim.advance(2)

    return traded


async def data(browser: Browser, **choice: object) -> dict[str, Any]:
    wanted = {"instrument": "MES", "account": "Sim101", **choice}
    answer = await browser.client.get(f"{browser.path}/chart/data", params={k: str(v) for k, v in wanted.items()})
    given: dict[str, Any] = answer.json()
    return given


async def test_bars_position_and_orders_are_given_to_draw_and_in_words(enter: Enter, trade: Trade) -> None:
    await trade(OrderAction.BUY, 2)
    await trade(OrderAction.SELL, 1, Decimal(9000))
    given = await data(await enter())
    assert given["title"] == "MES 09-26 5 minute"
    assert len(given["bars"]) == 120
    times = [row[0] for row in given["bars"]]
    assert times == sorted(set(times))
    kinds = {mark["kind"]: mark for mark in given["marks"]}
    assert (kinds["position"]["words"], kinds["position"]["sign"]) == ("LONG 2", 1)
    assert (kinds["order"]["words"], kinds["order"]["price"]) == ("SELL 1 LIMIT", 9000)
    words = "\n".join(given["lines"])
    assert "LONG 2 at" in words
    assert "SELL 1 LIMIT at 9000" in words
    assert given["tick"] == 0.25
    assert given["in32nds"] is False


async def test_without_scripts_the_page_says_it_in_words(enter: Enter, trade: Trade) -> None:
    await trade(OrderAction.BUY, 2)
    page = await (await enter()).look("/chart?instrument=MES&account=Sim101&period=1+hour&count=60")
    assert "60 bars of 60 minute" in page
    assert "LONG 2 at" in page
    assert "<option selected>1 hour</option>" in page


async def test_what_is_held_is_chosen_where_nothing_is_named(enter: Enter, trade: Trade, clock: ManualClock) -> None:
    browser = await enter()
    assert "Name an instrument" in await browser.look("/chart")
    await trade(OrderAction.BUY, 2)
    clock.advance(10)
    page = await browser.look("/chart")
    assert 'name="instrument" value="MES 09-26"' in page
    assert "LONG 2 at" in page


async def test_the_fills_of_the_day_stand_beside_their_bars_and_gaps_are_named(
    enter: Enter, store: SqliteStore, clock: ManualClock
) -> None:
    mes, now = Instrument("MES", 2026, 9), clock()
    fill = RecordedExecution(
        "Sim101", "1", mes, OrderAction.BUY, 2, Decimal(6400), now - timedelta(minutes=90), Source.HEARD
    )
    yesterday = replace(fill, execution_id="0", at=now - timedelta(hours=30))
    await store.keep_heard("Sim101", (fill, yesterday), Listening(now - timedelta(hours=40), now - timedelta(hours=1)))
    given = await data(await enter())
    (drawn,) = given["fills"]
    assert drawn["time"] in {row[0] for row in given["bars"]}
    assert (drawn["sign"], drawn["quantity"]) == (1, 2)
    words = "\n".join(given["lines"])
    assert "BUY 2 at 6400" in words
    assert "note: nobody listened" in words


async def test_fills_of_an_account_that_nobody_listened_to_are_not_read_and_not_none(enter: Enter) -> None:
    words = (await data(await enter()))["lines"]
    assert "fills: not read: it does not mean that there is nothing" in words
    assert "NOT READ: fills: no ct-mcp has listened to this account yet" in words


async def test_orders_that_cannot_be_read_are_not_read_and_the_bars_are_drawn(enter: Enter, sim: Simulator) -> None:
    sim.faults.arm(Fault.REFUSED_WITH_400, rpc="GetAllOrders")
    given = await data(await enter())
    assert len(given["bars"]) == 120
    words = "\n".join(given["lines"])
    assert "working orders: not read: it does not mean that there is nothing" in words
    assert "NOT READ: of the account: UPSTREAM_REJECTED" in words
    assert "position: none" in words


async def test_bars_that_cannot_be_read_are_said_in_words_on_page_and_route(enter: Enter, sim: Simulator) -> None:
    sim.faults.arm(Fault.BAD_GATEWAY, rpc="GetBars")
    browser = await enter()
    answer = await browser.client.get(f"{browser.path}/chart/data?instrument=MES")
    assert answer.status_code == 503
    assert "UPSTREAM_UNAVAILABLE" in answer.json()["failure"]
    page = await browser.look("/chart?instrument=MES")
    assert "UPSTREAM_UNAVAILABLE" in page


async def test_an_instrument_that_is_none_is_refused_in_words(enter: Enter) -> None:
    browser = await enter()
    given = (await browser.client.get(f"{browser.path}/chart/data?instrument=%3Cb%3E")).json()
    assert "REQUEST_INVALID" in given["failure"]
    page = await browser.look("/chart?instrument=%3Cb%3E")
    assert "<b>" not in page


async def test_a_minute_in_front_costs_few_requests_and_a_hidden_page_none(
    enter: Enter, sim: Simulator, clock: ManualClock
) -> None:
    """A page in front asks every ten seconds; what stands in docs/console.md of its cost is this."""
    browser = await enter()
    await data(browser)
    sim.requests.clear()
    for _ in range(6):
        clock.advance(10)
        await data(browser)
    asked = [request.rpc for request in sim.requests]
    assert asked.count("GetBars") == 6
    assert len(asked) <= 18, asked


async def test_several_pages_that_look_cost_no_more_than_one(enter: Enter, sim: Simulator) -> None:
    one, other = await enter(), await enter()
    await data(one)
    sim.requests.clear()
    await data(other)
    await data(one)
    assert not sim.requests


def test_what_is_none_of_the_choices_is_the_usual_one() -> None:
    choice = ChartChoice.parse({"period": "7 parsecs", "count": "100000", "instrument": "x" * 99})
    assert (choice.period, choice.count, len(choice.instrument)) == ("5 minute", 120, 40)


# Reading the newest bars alone


def bars_until(end: datetime, count: int, price: int = 6400) -> tuple[Bar, ...]:
    ends = (end - timedelta(minutes=5 * place) for place in reversed(range(count)))
    return tuple(bar(at, price, price + 1, price - 1, price) for at in ends)


class Upstream:
    """A service that has bars up to now, and keeps what was asked of it."""

    def __init__(self) -> None:
        self.now = NOW
        self.asked: list[int] = []
        self.error: CtMcpError | None = None
        self.price = 6400

    async def bars(
        self, name: str, period: Period, *, count: int, start: datetime | None, end: datetime | None
    ) -> tuple[Instrument, tuple[Bar, ...]]:
        self.asked.append(count)
        if self.error:
            raise self.error
        return ES, bars_until(self.now, count, self.price)

    async def quotes(self, names: list[str]) -> tuple[Quote, ...]:
        return (quote(),)


async def test_after_the_first_reading_the_newest_bars_alone_are_asked_for() -> None:
    upstream, clock = Upstream(), ManualClock(NOW)
    reader = BarReader(upstream, clock)
    first = await reader.read("ES", FIVE, 120)
    clock.advance(GOOD_FOR_SECONDS)
    upstream.now, upstream.price = NOW + timedelta(minutes=5), 6500
    second = await reader.read("ES", FIVE, 120)
    assert upstream.asked == [120, NEWEST]
    assert len(second.bars) == 120
    assert second.bars[-1].closes_at == upstream.now
    assert [each.close for each in second.bars[-4:]] == [6400, 6500, 6500, 6500]
    assert second.bars[: 120 - NEWEST] == first.bars[1 : 121 - NEWEST]
    assert second.contract is not None
    assert (second.contract.last, second.contract.contract.tick_size) == (None, Decimal("0.25"))


async def test_after_a_pause_the_whole_stretch_is_read_again() -> None:
    upstream, clock = Upstream(), ManualClock(NOW)
    reader = BarReader(upstream, clock)
    await reader.read("ES", FIVE, 120)
    clock.advance(3600)
    upstream.now = NOW + timedelta(hours=1)
    bars = (await reader.read("ES", FIVE, 120)).bars
    assert upstream.asked == [120, NEWEST, 120]
    assert bars == bars_until(upstream.now, 120)


@pytest.mark.parametrize("error", [BudgetExhausted("empty"), Unavailable("gone")])
async def test_what_was_known_is_shown_with_its_time_and_why_it_is_old(error: CtMcpError) -> None:
    upstream, clock = Upstream(), ManualClock(NOW)
    reader = BarReader(upstream, clock)
    await reader.read("ES", FIVE, 120)
    clock.advance(60)
    upstream.error = error
    known = await reader.read("ES", FIVE, 120)
    assert known.read_at == NOW
    assert error.code in known.failure
    upstream.error = None
    assert not (await reader.read("ES", FIVE, 120)).failure


async def test_what_was_never_read_fails() -> None:
    upstream = Upstream()
    upstream.error = Unavailable("gone")
    with pytest.raises(Unavailable):
        await BarReader(upstream, ManualClock(NOW)).read("ES", FIVE, 120)


def test_bars_are_joined_without_one_twice_and_without_growing() -> None:
    known, newest = bars_until(NOW, 5), bars_until(NOW + timedelta(minutes=5), 3, 6500)
    whole = joined(known, newest, 5)
    assert [each.closes_at for each in whole] == [each.closes_at for each in bars_until(NOW + timedelta(minutes=5), 5)]
    assert whole[-3:] == newest
