"""Feed the live cache from the one stream that a token may have, while a lease in the store says that it is ours."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from secrets import token_hex
from typing import Protocol

import anyio

from ct_mcp.crosstrade.stream.socket import LiveStream
from ct_mcp.errors import StoreFailed
from ct_mcp.live.cache import LinkState, LiveCache

LEASE = timedelta(seconds=15)
_RENEWED_AFTER = timedelta(seconds=5)


class Leases(Protocol):
    """As much of the store as is needed to agree on who has the stream."""

    async def take_lease(self, name: str, holder: str, now: datetime, ttl: timedelta) -> int: ...
    async def renew_lease(self, name: str, holder: str, now: datetime, ttl: timedelta) -> int: ...
    async def release_lease(self, name: str, holder: str) -> bool: ...


class Feed:
    """One process's try at the stream. Whoever does not get it reads by request, and takes over when it falls free."""

    def __init__(self, stream: LiveStream, cache: LiveCache, leases: Leases, clock: Callable[[], datetime]) -> None:
        self._stream = stream
        self._cache = cache
        self._leases = leases
        self._clock = clock
        self._holder = token_hex(8)
        self._held_since: datetime | None = None
        self._has_asked = False
        cache.follow(stream.protocol, lambda: self.condition)

    async def run(self) -> None:
        """Keep the cache fed until this is cancelled, or the stream is given up for good."""
        try:
            await self._stream.run(self._cache.hear, self.holds)
        finally:
            with anyio.CancelScope(shield=True):
                await self._let_go()

    async def holds(self) -> bool:
        """Whether the stream is ours to open, or to keep; asked of the store every few seconds."""
        now = self._clock()
        if self._held_since is not None and timedelta(0) <= now - self._held_since < _RENEWED_AFTER:
            return True
        ask = self._leases.take_lease if self._held_since is None else self._leases.renew_lease
        self._held_since, self._has_asked = now if await self._granted(ask, now) else None, True
        return self._held_since is not None

    async def _granted(self, ask: Callable[[str, str, datetime, timedelta], Awaitable[int]], now: datetime) -> bool:
        try:
            return bool(await ask("stream", self._holder, now, LEASE))
        except StoreFailed:
            return False

    async def _let_go(self) -> None:
        if self._held_since is not None:
            self._held_since = None
            try:
                await self._leases.release_lease("stream", self._holder)
            except StoreFailed:
                return  # it runs out by itself

    @property
    def condition(self) -> tuple[LinkState, str]:
        """The state of the stream for get_status, and what it means."""
        protocol = self._stream.protocol
        if protocol.is_displaced:
            return (
                LinkState.OFF,
                "another program of the person's has the one stream of this token: everything is read anew",
            )
        if self._stream.refused:
            return LinkState.BROKEN, f"{self._stream.refused}: everything is read anew"
        if not self._has_asked:
            return LinkState.OFF, "it is only just beginning"
        if self._held_since is None:
            return (
                LinkState.OFF,
                "another ct-mcp on this machine has the one stream of this token: everything is read anew",
            )
        if not protocol.is_sound:
            return LinkState.BROKEN, f"{protocol.state}: everything is read anew until it is back"
        return (
            LinkState.OK,
            "" if protocol.hears_accounts else "quotes are live; accounts are read anew until it told of one",
        )
