"""Whose contracts an entry's exits are kept for: its own, however it fills, and never what somebody else holds."""

from dataclasses import replace
from decimal import Decimal

import pytest

from ct_mcp.desk.desk import Desk
from ct_mcp.guard.policy import Limits, Policy
from ct_mcp.store.journal import EntryKind
from ct_mcp.store.sqlite import SqliteStore
from tests.e2e.conftest import Assistant, World
from tests.e2e.test_entries_with_exits import exits, looks


class TestAnEntryThatFillsOneByOne:
    """Of more pieces than an exit that is denied is tried."""

    @pytest.fixture
    def policy(self) -> Policy:
        """Let 24 be bought."""
        loss = Decimal(5000)
        limits = Limits(max_order_contracts=30, max_position_contracts=30, max_day_loss=loss, max_order_risk=loss)
        return Policy(limits=limits)

    async def test_keeps_a_stop_behind_each_piece(
        self, assistant: Assistant, world: World, desk: Desk, store: SqliteStore
    ) -> None:
        pace = world.sim.exchange._pace
        world.sim.exchange._pace = replace(pace, contracts_per_fill=1, fill_seconds=3.0)
        await assistant.buys(24, order_type="LIMIT", limit_price=world.price(60), stop_loss="15 points")
        await looks(world, desk, 30, every=3.0)
        assert EntryKind.UNPROTECTED not in {entry.kind for entry in await store.entries(500)}
        assert (world.net(), sum(size for _, size in exits(world))) == (24, 24)
