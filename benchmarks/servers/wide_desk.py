"""The desk without a budget of requests. As in ``ct-mcp serve``, it is imported by the first call and not before."""

from datetime import datetime
from pathlib import Path

import httpx

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.crosstrade.connection import utc_now
from ct_mcp.crosstrade.rate_limit import Allowance, Rank, TokenBucket, allowance
from ct_mcp.desk.desk import Desk
from ct_mcp.desk.outcome import Outcome
from ct_mcp.guard.policy import Policy
from ct_mcp.store.sqlite import SqliteStore

# The port of a service that no machine runs any more.
_DISCARD = 9


class Unmetered:
    """A budget that keeps nobody waiting."""

    async def wait(self, now: datetime, *, rank: Rank, waited: float = 0.0) -> float:
        """Let it go at once."""
        return 0.0

    async def penalise(self, now: datetime, retry_after_seconds: float) -> None:
        """Pass over it; the simulator of the benchmarks has no rate limit."""

    async def snapshot(self, now: datetime) -> Allowance:
        """Say that all is left."""
        return allowance(TokenBucket(), now)


class NobodyListens(httpx.AsyncBaseTransport):
    """The real transport, but some requests go to a port where nobody listens: they never leave.

    Its file says which: how many are let through before, and how many are not.
    """

    def __init__(self, file: Path) -> None:
        self._inner = httpx.AsyncHTTPTransport(trust_env=False)
        self._file = file

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it, here or there."""
        through, lost = map(int, self._file.read_text(encoding="utf-8").split()) if self._file.exists() else (0, 0)
        if lost:
            write_whole(self._file, f"{max(through - 1, 0)} {lost if through else lost - 1}")
        if lost and not through:
            request.url = request.url.copy_with(port=_DISCARD)
        return await self._inner.handle_async_request(request)


class Watched(Desk):
    """The same desk, telling in a file how many tickets are being spent at the moment."""

    _under_way = 0
    _file: Path | None = None

    def tell_in(self, file: Path) -> None:
        """Tell it there from now on."""
        self._file = file
        self._tell(0)

    async def commit(self, ticket_id: str) -> Outcome:
        """As the desk does; what the client cancels meanwhile is counted until it has come to its end."""
        self._tell(1)
        try:
            return await super().commit(ticket_id)
        finally:
            self._tell(-1)

    def _tell(self, more: int) -> None:
        self._under_way += more
        if self._file is not None:
            write_whole(self._file, str(self._under_way))


def write_whole(file: Path, text: str) -> None:
    """In one stroke: a process that is killed meanwhile leaves the old or the new."""
    fresh = file.with_suffix(".new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(file)


def wide_desk(url: str, token: str, state_dir: str, policy: Policy) -> Desk:
    """Build the desk over a real client and a real store."""
    client = CrossTrade(url, token, budget=Unmetered())
    return Desk(client, SqliteStore(Path(state_dir)), policy, clock=utc_now)
