"""A process that acts for traders of a team: reads a command in JSON from each line, and answers in one line.

`plane` starts them: one is the desk of a trader that orders as fast as the store allows, or asks the plane for its word
again and again, or plays some of a thousand agents. Times are of the clock that all processes of a machine share.
"""

import json
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from statistics import quantiles
from typing import Any

import anyio
from anyio import to_thread
from anyio.abc import TaskGroup
from plane_agents import Agents
from plane_values import ACCOUNT, report_of, ticket_of

from ct_mcp.crosstrade.connection import utc_now
from ct_mcp.domain.approval import Ticket
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.store.plane_trader import TraderPlane
from ct_mcp.store.postgres import Patience, PostgresStore
from ct_mcp.store.postgres_url import parse_postgres_url
from ct_mcp.store.sql_store import SqlStore


def say(told: object) -> None:
    """Tell whoever started us."""
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


async def heard() -> str:
    """The next line; empty where there is none any more."""
    return await to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True)


async def one_order(store: SqlStore, number: int) -> None:
    """Write what an order writes from its proposal to its outcome: seven transactions, and one that looks."""
    drawn = ticket_of(number)
    ticket = await store.open_ticket(drawn, utc_now(), 3)

    async def note(kind: EntryKind, **more: Any) -> None:
        entry = NewEntry(kind, ticket.summary, ACCOUNT, ticket.ticket_id, ticket.own_id, detail=more)
        await store.append(entry, utc_now())

    await note(EntryKind.PROPOSED, approval="form", rules=["a rule that passed, with its figures"] * 20)
    if not await store.approve_ticket(ticket.ticket_id, "form", utc_now()):
        raise RuntimeError("the yes did not count")
    if not await store.spend_ticket(ticket.ticket_id, utc_now()):
        raise RuntimeError("it could not be spent")
    await write_intent(store, ticket)
    await note(EntryKind.ACCEPTED, order_id="an-id-of-theirs")
    await note(EntryKind.ANSWERED, status="filled", detail="filled 1 at 6400.00, read back twice")


async def write_intent(store: SqlStore, ticket: Ticket) -> None:
    """Write it as soon as nothing has moved since it looked: another machine of this trader may have been first."""
    intent = NewEntry(
        EntryKind.INTENT, ticket.summary, ACCOUNT, ticket.ticket_id, ticket.own_id, ticket.fingerprint, opens=True
    )
    while await store.append_intent(intent, utc_now(), (await store.outstanding(ACCOUNT)).seen) is None:
        pass


@dataclass
class Timed:
    """What was done in a while: how many, each one's seconds, and the processor time of this process."""

    took: list[float] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    spent: float = field(default_factory=time.process_time)

    async def of(self, call: Awaitable[object]) -> None:
        """Await one, and keep how long it took."""
        before = time.monotonic()
        await call
        self.took.append(time.monotonic() - before)

    @property
    def elapsed(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self.began

    def told(self) -> dict[str, Any]:
        """Give the figures."""
        middle = quantiles(self.took, n=20) if len(self.took) > 1 else self.took * 19
        return {
            "count": len(self.took),
            "elapsed": self.elapsed,
            "p50": middle[9],
            "p95": middle[18],
            "cpu": time.process_time() - self.spent,
        }


class Actor:
    """What `plane` can ask of a process."""

    def __init__(self, tasks: TaskGroup) -> None:
        self._tasks = tasks

    async def order(self, url: str, seconds: float) -> object:
        """Order after order, at the pace of the store; ready after the first."""
        store = PostgresStore(parse_postgres_url(url), clock=utc_now, patience=Patience(lock_seconds=30))
        await one_order(store, 0)
        timed = await timed_at_the_word()
        while timed.elapsed < seconds:
            await timed.of(one_order(store, len(timed.took) + 1))
        await told_of(timed)
        found = await store.verify()
        await store.close()
        return found.ok

    async def ask(self, url: str, what: str, seconds: float) -> object:
        """Ask the plane or the store for one thing, again and again, on one connection."""
        at = parse_postgres_url(url)
        plane, store = TraderPlane(at, required=True, clock=utc_now), PostgresStore(at, clock=utc_now)
        calls: dict[str, Callable[[int], Awaitable[object]]] = {
            "word": lambda _: plane.word(),
            "report": lambda number: plane.report(report_of(number)),
            "duties": lambda _: store.duties(),
            "lease": lambda _: store.take_lease("exits", "this machine", utc_now(), timedelta(seconds=15)),
        }
        await calls[what](0)
        timed = await timed_at_the_word()
        while timed.elapsed < seconds:
            await timed.of(calls[what](len(timed.took) + 1))
        await told_of(timed)
        await plane.close()
        await store.close()
        return True

    async def agents(self, urls: list[str], opens_every_seconds: float) -> object:
        """Play agents from now on; answers once each of them has heard the plane."""
        self._agents = Agents(self._tasks, [parse_postgres_url(url) for url in urls], opens_every_seconds)
        await self._agents.start()
        return len(urls)

    async def have_noticed(self, user: str) -> object:
        """When each agent, or the one that is named, has noticed a halt; once they all have."""
        return await self._agents.have_noticed(user)

    async def are_free(self) -> object:
        """Answer once none of them sees a halt any more."""
        await self._agents.are_free()
        return True

    async def tally(self) -> object:
        """What was counted since the last time, and how much of a processor it took."""
        return self._agents.tally() | {"cpu": time.process_time()}


async def timed_at_the_word() -> Timed:
    """Say that all is ready, wait until everybody is, and begin to count."""
    say("ready")
    await heard()
    return Timed()


async def told_of(timed: Timed) -> None:
    """Tell what was counted, and wait until everybody has been looked at."""
    say(timed.told())
    await heard()


async def main() -> None:
    """Do what is asked until stdin closes."""
    async with anyio.create_task_group() as tasks:
        actor = Actor(tasks)
        while line := await heard():
            name, given = json.loads(line)
            do: Callable[..., Awaitable[object]] = getattr(actor, name)
            say(await do(**given))
        tasks.cancel_scope.cancel()


if __name__ == "__main__":
    anyio.run(main)
