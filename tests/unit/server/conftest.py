"""What the tests of the reading tools share: a client that checks every answer, and orders to read about."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from mcp_types import CallToolResult, TextContent

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.domain.commands import PlaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import OrderAction, OrderType, TimeInForce
from ct_mcp.simulator.simulator import Simulator
from tests.conftest import Connect

ES = Instrument("ES", 2026, 9)


@dataclass(frozen=True)
class Told:
    """One answer: its text half, its structured half, and whether it is an error."""

    text: str
    data: dict[str, Any]
    is_error: bool


Ask = Callable[..., Awaitable[Told]]
Place = Callable[..., Awaitable[str]]


def text_of(result: CallToolResult) -> str:
    """The text that an answer begins with."""
    first = result.content[0]
    assert isinstance(first, TextContent)
    return first.text


@pytest.fixture
async def ask(connect: Connect) -> AsyncIterator[Ask]:
    """Call a tool as a client does; every structured half must keep to the schema that was published for it."""
    async with connect() as client:
        published = {tool.name: tool.output_schema for tool in (await client.list_tools()).tools}

        async def call(tool: str, **arguments: Any) -> Told:
            result = await client.call_tool(tool, arguments)
            (content,) = result.content
            assert isinstance(content, TextContent)
            if result.structured_content is not None:
                Draft202012Validator(published[tool]).validate(result.structured_content)
            assert "None" not in content.text
            assert "null" not in content.text
            return Told(content.text, result.structured_content or {}, bool(result.is_error))

        yield call


@pytest.fixture
def place(crosstrade: CrossTrade, sim: Simulator) -> Place:
    """Place an order past the desk, and let the market have two seconds; gives the service's order id."""

    async def placed(
        action: OrderAction = OrderAction.BUY,
        quantity: int = 2,
        *,
        limit: Decimal | None = None,
        account: str = "Sim101",
        own_id: str = "own-1",
        wait: float = 2.0,
    ) -> str:
        kind = OrderType.MARKET if limit is None else OrderType.LIMIT
        order = PlaceOrder(account, ES, action, quantity, kind, limit, None, TimeInForce.DAY)
        acknowledged = await crosstrade.place_order(order, own_id)
        sim.advance(wait)
        return acknowledged.order_ids[0]

    return placed
