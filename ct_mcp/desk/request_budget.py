"""The request budget that every process with the same token takes from, on this machine or on all that share a store.

The arithmetic is that of `TokenBucket`; the bucket itself lies in the state folder, or in the shared store. Exits go
first over all processes without anybody waiting in a line: a read needs more tokens in the bucket than an exit does, so
whichever moment lets a read go has let the exit go before.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Protocol, TypeVar

import anyio

from ct_mcp.crosstrade.rate_limit import Allowance, Rank, TokenBucket, allowance
from ct_mcp.errors import StoreFailed
from ct_mcp.store.rate_limit_file import BucketState, Change

TRY_AGAIN_AFTER = timedelta(seconds=5)

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_Step = Callable[[TokenBucket, datetime], tuple[TokenBucket, _T]]


class Meters(Protocol):
    """Where the buckets are: a file of this machine, or a table of all."""

    async def change(self, name: str, change: Change[_T]) -> _T: ...
    async def close(self) -> None: ...


class SharedBudget:
    """A `Budget` over all processes of a state folder, or of all machines.

    Where it cannot be used, this process goes on by itself at a third of the rate, says so, and tries again
    from time to time: requests are never blocked for ever, and three processes in that state still keep the limit.
    """

    def __init__(self, meters: Meters, token: str, clock: Callable[[], datetime]) -> None:
        """Touch nothing. The token is kept nowhere: its bucket is named after a piece of its hash."""
        self._meters = meters
        self._name = sha256(f"ct-mcp request budget {token}".encode("utf-8", "surrogatepass")).hexdigest()[:16]
        self._clock = clock
        self._turn = anyio.Lock()
        self._known = TokenBucket()
        self._alone: TokenBucket | None = None
        self._alone_until: datetime | None = None
        self._why = ""

    async def wait(self, now: datetime, *, rank: Rank, waited: float = 0.0) -> float:
        """Take a place and say 0, or take none and say how many seconds to wait before asking again."""
        return await self._step(now, lambda bucket, at: bucket.taken(at, rank, waited))

    async def penalise(self, now: datetime, retry_after_seconds: float) -> None:
        """They asked for a pause: every process waits."""
        await self._step(now, lambda bucket, at: (bucket.penalised(at, retry_after_seconds), None))

    async def snapshot(self, now: datetime) -> Allowance:
        """What is left, for the status."""
        bucket, at = await self._step(now, lambda bucket, at: (bucket.refilled(at), (bucket, at)))
        return allowance(bucket, at, self._why)

    async def close(self) -> None:
        """Close the file."""
        await self._meters.close()

    async def _step(self, now: datetime, step: _Step[_T]) -> _T:
        async with self._turn:
            if self._alone is None or self._is_time_to_try(now):
                try:
                    return await self._together(step)
                except StoreFailed as failure:
                    self._part(now, failure)
            self._alone, told = step(self._alone or self._known.alone(), now)
            return told

    async def _together(self, step: _Step[_T]) -> _T:
        alone = self._alone

        def change(level: BucketState | None) -> tuple[BucketState, tuple[TokenBucket, _T]]:
            # Read here, where nobody else is: of two who ask at once the first to ask may be the second to come, and
            # by its clock the bucket would refill twice for the same time.
            at = self._clock()
            bucket = TokenBucket() if level is None else TokenBucket(*level)
            after, told = step(bucket.rejoined(at, alone) if alone else bucket, at)
            return BucketState(after.tokens, after.at or at), (after, told)

        self._known, told = await self._meters.change(self._name, change)
        if alone is not None:
            _log.info("the request budget is shared with other processes again")
        self._alone, self._why = None, ""
        return told

    def _part(self, now: datetime, failure: StoreFailed) -> None:
        if self._alone is None:
            self._why = f"not shared with other processes, so a third of the rate: {failure.what}"
            _log.warning("the request budget is %s", self._why)
            self._alone = self._known.alone()
        self._alone_until = now + TRY_AGAIN_AFTER

    def _is_time_to_try(self, now: datetime) -> bool:
        """Also where the clock was set back."""
        until = self._alone_until
        return until is None or not timedelta(0) < until - now <= TRY_AGAIN_AFTER
