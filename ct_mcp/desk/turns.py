"""One after the other in an instrument of an account, up to the answer of each, within this process.

An assistant that is asked for three orders calls three times at once. The second would find the first of unknown
outcome and be denied, though it is only being read back; so it waits for its turn and is judged on what came of the
first. Between processes nobody waits: there the rules deny. It stands alone, since the desk's road is long enough.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

import anyio

from ct_mcp.domain.commands import Command
from ct_mcp.guard.context import RiskContext
from ct_mcp.guard.effect import instrument_named, waits_its_turn

LONGEST_WAIT_SECONDS = 10.0
"""Longer than nearly every order takes to be read back; afterwards the rules say what they say."""


class Turns:
    """Who is under way, by account and instrument."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._locks: dict[tuple[str, object], anyio.Lock] = {}

    @asynccontextmanager
    async def taken(self, command: Command) -> AsyncIterator[None]:
        """Be the only one under way; an exit or a bracket waits for nobody, and nobody waits for it."""
        if not waits_its_turn(command):
            yield
            return
        key = command.account, instrument_named(command, RiskContext(self._clock()))
        lock = self._locks.setdefault(key, anyio.Lock())
        with anyio.move_on_after(LONGEST_WAIT_SECONDS) as patience:
            await lock.acquire()
        try:
            yield
        finally:
            if not patience.cancelled_caught:
                lock.release()
