"""A number beyond all reason is refused as an argument: its digits fill neither the answer nor the journal."""

from typing import Any

import pytest

from ct_mcp.store.sqlite import SqliteStore
from tests.unit.server.conftest import Ask

HUGE = 10**4000
BUY = {"account": "Sim101", "instrument": "MES", "action": "BUY", "order_type": "MARKET"}


@pytest.mark.parametrize(
    ("tool", "arguments", "named"),
    [
        ("place_order", {**BUY, "quantity": HUGE}, "quantity"),
        ("preview_order", {**BUY, "quantity": HUGE}, "quantity"),
        ("preview_order", {**BUY, "risk": 1e300, "stop_loss": "10 points"}, "risk"),
        ("replace_order", {**BUY, "quantity": HUGE, "order_id": "x"}, "quantity"),
        ("change_order", {"account": "Sim101", "order_id": "x", "quantity": HUGE}, "quantity"),
        ("close_position", {"account": "Sim101", "instrument": "MES", "quantity": HUGE}, "quantity"),
        ("set_watch", {"kind": "price", "instrument": "MES", "at_or_above": 5, "hours": HUGE}, "hours"),
    ],
)
async def test_it_is_refused_in_few_words(
    ask: Ask, store: SqliteStore, tool: str, arguments: dict[str, Any], named: str
) -> None:
    told = await ask(tool, **arguments)
    assert told.text.startswith(f"REQUEST_INVALID: {named}: Input should be less than or equal to 10000")
    assert "Nothing was sent to the market" in told.text
    assert len(told.text) < 300
    assert await store.entries(1) == ()


async def test_the_most_that_can_be_risked_is_sized(ask: Ask) -> None:
    told = await ask("preview_order", **BUY, risk=1e9, stop_loss="10 points")
    assert told.text.startswith("WOULD")


async def test_a_watch_is_not_kept_for_longer_than_watches_live(ask: Ask) -> None:
    told = await ask("set_watch", kind="price", instrument="MES", at_or_above=5, hours=10**20)
    assert told.text.startswith("REQUEST_INVALID: a watch lives 120 hours at most")
