"""The tool that draws: a picture beside words that say the same, each part failing by itself."""

import sys
from base64 import b64decode
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from mcp import Client
from mcp_types import CallToolResult, ImageContent

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.desk.desk import Desk
from ct_mcp.domain.order import OrderAction
from ct_mcp.domain.trades import Listening, RecordedExecution, Source
from ct_mcp.server.app import build_server
from ct_mcp.server.chart_picture import MOST_BYTES
from ct_mcp.server.context import ServerContext
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.simulator import Simulator
from ct_mcp.store.sqlite import SqliteStore
from tests.unit.server.conftest import Place, text_of

Draw = Callable[..., Awaitable[CallToolResult]]


@pytest.fixture
def draw(desk: Desk) -> Draw:
    """Call the tool as a client does."""

    async def called(**arguments: Any) -> CallToolResult:
        context = ServerContext(lambda: desk, desk.policy, toolsets=frozenset({"read", "charts"}))
        async with Client(build_server(context)) as client:
            return await client.call_tool("chart_bars", {"instrument": "ES", **arguments})

    return called


async def test_a_picture_comes_beside_its_words(draw: Draw) -> None:
    told = await draw(period="5 minute", count=60)
    assert not told.is_error
    _, picture = told.content
    assert isinstance(picture, ImageContent)
    assert picture.mime_type == "image/png"
    drawn = b64decode(picture.data)
    assert drawn.startswith(b"\x89PNG")
    assert len(drawn) <= MOST_BYTES
    assert "ES 09-26  60 bars of 5 minute" in text_of(told)
    assert "position, orders and fills: no account was named" in text_of(told)
    assert told.structured_content is None


async def test_position_orders_and_fills_of_the_account_stand_in_the_words(
    draw: Draw, place: Place, sim: Simulator
) -> None:
    await place(OrderAction.BUY, 2)
    await place(OrderAction.BUY, 1, limit=Decimal(6000), own_id="own-2")
    text = text_of(await draw(account="sim101"))
    assert "account Sim101" in text
    assert "LONG 2 at" in text
    assert "BUY 1 LIMIT at 6000" in text
    assert "working orders (1):" in text
    assert "BUY 2 at" in text.partition("fills since")[2]


async def test_of_fills_it_says_since_when_they_are_told(draw: Draw, place: Place, sim: Simulator) -> None:
    await place(OrderAction.BUY, 2)
    sim.advance(20 * 60)
    text = text_of(await draw(account="Sim101"))
    since = (sim.clock() - timedelta(minutes=15)).astimezone()
    assert f"fills since {since:%Y-%m-%d %H:%M}: none" in text


async def test_fills_of_the_day_that_are_on_record_are_drawn_with_the_recent_ones_each_once(
    draw: Draw, place: Place, sim: Simulator, store: SqliteStore, crosstrade: CrossTrade
) -> None:
    await place(OrderAction.BUY, 2)
    (recent,) = await crosstrade.executions("Sim101", 900)
    now = sim.clock()
    early = RecordedExecution(
        "Sim101", "early", recent.instrument, OrderAction.SELL, 3, Decimal(6000), now - timedelta(hours=2), Source.HEARD
    )
    again = replace(early, execution_id=recent.execution_id, quantity=2, at=now)
    heard = Listening(now - timedelta(hours=5), now - timedelta(hours=1))
    await store.keep_heard("Sim101", (early, again), heard)
    text = text_of(await draw(account="Sim101"))
    assert f"fills since {heard.began.astimezone():%Y-%m-%d %H:%M} (2):" in text
    assert "SELL 3 at 6000" in text
    assert "note: nobody listened" in text


async def test_what_cannot_be_read_is_named_and_the_bars_are_drawn_all_the_same(draw: Draw, sim: Simulator) -> None:
    sim.faults.arm(Fault.BAD_GATEWAY, rpc="ListExecutions")
    sim.faults.arm(Fault.ERROR_500_BEFORE_ACCEPT, rpc="ListOrders")
    told = await draw(account="Sim101")
    assert not told.is_error
    text = text_of(told)
    assert "fills: not read: it does not mean that there is nothing" in text
    assert "NOT READ: fills: UPSTREAM_UNAVAILABLE" in text
    assert "NOT READ: working orders: UPSTREAM_UNAVAILABLE" in text
    assert "working orders: not read: it does not mean that there is nothing" in text
    assert len(told.content) == 2


async def test_without_bars_there_is_no_picture_and_the_failure_is_told(draw: Draw, sim: Simulator) -> None:
    sim.faults.arm(Fault.BAD_GATEWAY, rpc="GetBars")
    told = await draw()
    assert told.is_error
    assert "UPSTREAM_UNAVAILABLE" in text_of(told)
    assert "Nothing was changed" in text_of(told)


async def test_a_position_in_another_month_is_not_drawn_and_not_hidden(draw: Draw, place: Place) -> None:
    await place(OrderAction.BUY, 2)
    text = text_of(await draw(instrument="ES 12-26", account="Sim101"))
    assert "position: none" in text
    assert "note: Sim101 also holds LONG 2 ES 09-26, not drawn here" in text


async def test_it_costs_five_requests_at_most(draw: Draw, sim: Simulator, place: Place) -> None:
    await place(OrderAction.BUY, 2)
    sim.requests.clear()
    await draw(account="Sim101")
    asked = [request.rpc for request in sim.requests]
    assert len([rpc for rpc in asked if rpc != "ListAccounts"]) <= 5, asked


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"count": 501}, "count"),
        ({"theme": "pink"}, "theme"),
        ({"period": "5 parsecs"}, "period"),
        ({"account": "Nobody"}, "Nobody"),
        ({"instrument": "???"}, "instrument"),
    ],
)
async def test_what_makes_no_sense_is_refused_in_words(draw: Draw, arguments: dict[str, Any], said: str) -> None:
    told = await draw(**arguments)
    assert told.is_error
    assert "REQUEST_INVALID" in text_of(told)
    assert said in text_of(told)


async def test_without_what_draws_nothing_is_asked_of_the_service(
    draw: Draw, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    told = await draw()
    assert told.is_error
    for way in ("pip install pillow", "uvx or uv run, --with pillow", ".mcpb", "get_bars", "Nothing was sent"):
        assert way in text_of(told)
    assert not sim.requests
