"""Looks at strategies until one stands as it was asked to. The list of one account has been stale: it is not used."""

from collections.abc import Callable

import anyio

from ct_mcp.desk.ports import Reads
from ct_mcp.desk.watch import LONGEST_SECONDS, Pause, moments
from ct_mcp.domain.strategy import Strategy
from ct_mcp.errors import CtMcpError


class StrategyWatch:
    """Reads back, with pauses in between; no failure leaves it."""

    def __init__(self, upstream: Reads, pause: Pause) -> None:
        self._upstream = upstream
        self._pause = pause

    async def strategy(self, account: str, strategy_id: str, is_settled: Callable[[Strategy], bool]) -> Strategy | None:
        """The strategy once it is settled, or as it was last seen; None where it could not be read at all."""
        seen: Strategy | None = None
        with anyio.move_on_after(LONGEST_SECONDS):
            async for _ in moments(self._pause):
                seen = await self.look(account, strategy_id) or seen
                if seen is not None and is_settled(seen):
                    break
        return seen

    async def listed(
        self, account: str, is_settled: Callable[[tuple[Strategy, ...]], bool]
    ) -> tuple[Strategy, ...] | None:
        """The strategies of an account, those that are over too; None where they could not be listed at all."""
        seen: tuple[Strategy, ...] | None = None
        with anyio.move_on_after(LONGEST_SECONDS):
            async for _ in moments(self._pause):
                read = await self.list_once(account)
                seen = seen if read is None else read
                if seen is not None and is_settled(seen):
                    break
        return seen

    async def look(self, account: str, strategy_id: str) -> Strategy | None:
        """One look by its id, and where that fails, in the reliable list."""
        try:
            return await self._upstream.strategy(account, strategy_id)
        except CtMcpError:
            rows = await self.list_once(account)
        return next((row for row in rows or () if row.strategy_id == strategy_id), None)

    async def list_once(self, account: str) -> tuple[Strategy, ...] | None:
        """One reading of the reliable list; None where it failed."""
        try:
            rows = await self._upstream.all_strategies(include_terminal=True)
        except CtMcpError:
            return None
        return tuple(row for row in rows if row.account == account)
