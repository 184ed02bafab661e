"""Calls whose answer nobody has heard yet: they still run, or their client gave up on them a little while ago.

A client that gives up calls again, with the same arguments. That call gets what became of the first one, and proposes
nothing anew: a person who says yes twice to one wish would buy twice.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf

from anyio import current_effective_deadline

REMEMBERED = timedelta(minutes=2)
"""How long after a client gave up the same call is taken for its repetition, and not for a second wish."""


@dataclass(slots=True)
class _Call:
    """Every call for one ticket: how many of them run, and what the others came to."""

    ticket_id: str
    running: int = 0
    was_heard: bool = False
    given_up_at: datetime | None = None


class UnheardCalls:
    """The calls of one server, by the fingerprint of what they ask for."""

    def __init__(self) -> None:
        self._calls: dict[str, _Call] = {}

    def ticket_of(self, fingerprint: str, now: datetime) -> str | None:
        """Find the ticket of an identical call that nobody has heard the answer of."""
        call = self._calls.get(fingerprint)
        if call is None:
            return None
        if call.running or (call.given_up_at is not None and now - call.given_up_at <= REMEMBERED):
            return call.ticket_id
        del self._calls[fingerprint]
        return None

    @asynccontextmanager
    async def until_heard(self, fingerprint: str, ticket_id: str, clock: Callable[[], datetime]) -> AsyncIterator[None]:
        """Keep a call while it runs, and afterwards where it ended because its client gave up."""
        call = self._calls.get(fingerprint)
        if call is None or call.ticket_id != ticket_id:
            call = self._calls[fingerprint] = _Call(ticket_id)
        call.running += 1
        try:
            yield
            # A send is shielded, so a client that gave up meanwhile is noticed here. The answer goes out all the same:
            # a server that ends takes its calls back in the same way, and its clients still listen.
            if current_effective_deadline() == -inf:
                call.given_up_at = clock()
            else:
                call.was_heard = True
        except Exception:
            call.was_heard = True
            raise
        except BaseException:
            call.given_up_at = clock()
            raise
        finally:
            call.running -= 1
            if call.was_heard and not call.running and self._calls.get(fingerprint) is call:
                del self._calls[fingerprint]
