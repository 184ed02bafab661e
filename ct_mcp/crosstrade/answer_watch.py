"""What the answers say beside their bodies: what time it is there, and whether they slowed us down."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx

Transport = httpx.AsyncBaseTransport
_WHOLE_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Sample:
    """Their clock, as it was at some moment between our asking and our having the answer.

    A header tells whole seconds, so ``told_at`` may be up to ``resolution`` before what their clock showed.
    """

    told_at: datetime
    asked_at: datetime
    answered_at: datetime
    resolution: timedelta = timedelta()

    @property
    def ahead_seconds(self) -> float:
        """How far our clock is ahead of theirs, at the least; 0 where the two may agree."""
        least = (self.asked_at - self.told_at - self.resolution).total_seconds()
        most = (self.answered_at - self.told_at).total_seconds()
        return max(least, 0.0) + min(most, 0.0)


class Watch(httpx.AsyncBaseTransport):
    """Passes requests on. ``sample`` is of the last answer that had a date, ``slowed`` counts answers of 429."""

    def __init__(self, inner: Transport | None, clock: Callable[[], datetime]) -> None:
        """Watch a transport, which is closed with this one; the real one where none is given."""
        self._inner = inner or httpx.AsyncHTTPTransport(trust_env=False)
        self._clock = clock
        self.sample: Sample | None = None
        self.slowed = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        asked_at = self._clock()
        response = await self._inner.handle_async_request(request)
        self.slowed += response.status_code == 429
        if told_at := _date_in(response):
            self.sample = Sample(told_at, asked_at, self._clock(), _WHOLE_SECOND)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


def _date_in(response: httpx.Response) -> datetime | None:
    try:
        told = parsedate_to_datetime(response.headers.get("date", ""))
    except ValueError:
        return None
    return told.astimezone(UTC) if told.tzinfo else told.replace(tzinfo=UTC)
