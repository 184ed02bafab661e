"""Agents of a simulated team: each stands with the plane as a trader's server does, and tries to open now and then.

An agent has a role, a `TraderPlane` and a connection of its own, and the very `Membership` that a desk has: it hears
the plane every so often, at the review of each opening, and once more right before the wire. What it lacks is the rest
of a desk, and the file in which the last word is kept: on one machine a thousand of them would wait for one disk.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import anyio
from anyio.abc import TaskGroup
from plane_values import report_of

from ct_mcp.config.team_policy import parse_team_policy
from ct_mcp.crosstrade.connection import utc_now
from ct_mcp.desk.membership import Membership, TeamLink
from ct_mcp.domain.team import TeamStanding
from ct_mcp.errors import Halted, OrderDenied, StoreFailed
from ct_mcp.guard.policy import Policy
from ct_mcp.store.plane_trader import TraderPlane
from ct_mcp.store.postgres_url import PostgresUrl
from ct_mcp.store.team_file import Heard, TeamFile

HEARS_EVERY_SECONDS, REPORTS_EVERY_SECONDS = 1.5, 6.0


class Nowhere(TeamFile):
    """A file that keeps nothing."""

    def read(self) -> Heard | None:
        """Say that nothing was heard before."""
        return None

    def keep(self, heard: Heard) -> None:
        """Pass over it."""


@dataclass
class Agent:
    """One of them: when it noticed a halt, and how many seconds each word took.

    Of an opening that it let through, when it asked for the last time, and when that was answered.
    """

    url: PostgresUrl
    random: Random
    opens_every_seconds: float
    on_change: Callable[[], None]
    noticed_at: float | None = None
    let_through: list[tuple[float, float]] = field(default_factory=list)
    denied_at: list[float] = field(default_factory=list)
    words: list[float] = field(default_factory=list)
    reports: int = 0
    lost: int = 0

    def __post_init__(self) -> None:
        """Touch nothing yet."""
        self._plane = TraderPlane(self.url, required=True, clock=utc_now)
        self._team = Membership(Policy(), utc_now, TeamLink(self._plane, parse_team_policy, Nowhere(Path(), "")))

    async def hear(self) -> TeamStanding:
        """Hear the plane, and note a halt and its end."""
        began = time.monotonic()
        standing = await self._team.hear() or TeamStanding()
        self.words.append(time.monotonic() - began)
        if standing.lost is not None:
            self.lost += 1
        if (standing.halt is None) is not (self.noticed_at is None):
            self.noticed_at = None if standing.halt is None else time.monotonic()
            self.on_change()
        return standing

    async def follow(self) -> None:
        """Hear it all the time."""
        while True:
            await anyio.sleep(HEARS_EVERY_SECONDS)
            await self.hear()

    async def report(self) -> None:
        """Tell how it stands."""
        await anyio.sleep(self.random.uniform(0, REPORTS_EVERY_SECONDS))
        while True:
            with suppress(StoreFailed):
                await self._plane.report(report_of(self.reports))
                self.reports += 1
            await anyio.sleep(REPORTS_EVERY_SECONDS)

    async def trade(self) -> None:
        """Try to open, again and again."""
        while True:
            await anyio.sleep(self.random.expovariate(1 / self.opens_every_seconds))
            asked_at = await self._may_open()
            if asked_at is None:
                self.denied_at.append(time.monotonic())
            else:
                self.let_through.append((asked_at, time.monotonic()))

    async def _may_open(self) -> float | None:
        """Ask as a desk does, at the review and right before the wire; when that was, where nothing stops it."""
        seen = await self.hear()
        if seen.halt is not None or seen.lost is not None:
            return None
        began = time.monotonic()
        try:
            await self._team.last_look(seen)
        except (Halted, OrderDenied):
            return None
        finally:
            self.words.append(time.monotonic() - began)
        return began


class Agents:
    """Those of one process."""

    def __init__(self, tasks: TaskGroup, urls: Sequence[PostgresUrl], opens_every_seconds: float) -> None:
        self._tasks, self._changed = tasks, anyio.Event()
        self.all = [Agent(url, Random(url.user), opens_every_seconds, self._has_changed) for url in urls]

    async def start(self) -> None:
        """Let each hear the plane once, a few at a time, and then begin wherever it is in its second."""
        few = anyio.CapacityLimiter(8)

        async def one(agent: Agent) -> None:
            async with few:
                await agent.hear()

        async with anyio.create_task_group() as tasks:
            for agent in self.all:
                tasks.start_soon(one, agent)
        for agent in self.all:
            self._tasks.start_soon(self._begin, agent)

    async def _begin(self, agent: Agent) -> None:
        await anyio.sleep(agent.random.uniform(0, HEARS_EVERY_SECONDS))
        for work in (agent.follow, agent.report, agent.trade):
            self._tasks.start_soon(work)

    async def have_noticed(self, user: str) -> list[float]:
        """Wait until all of them, or the one that is named, have noticed a halt; when each of them did."""
        asked = [agent for agent in self.all if user in ("", agent.url.user)]
        await self._until(lambda: all(agent.noticed_at is not None for agent in asked))
        return [agent.noticed_at for agent in asked if agent.noticed_at is not None]

    async def are_free(self) -> None:
        """Wait until none of them sees a halt any more."""
        await self._until(lambda: all(agent.noticed_at is None for agent in self.all))

    def tally(self) -> dict[str, object]:
        """Give what was counted since the last time, and begin anew."""
        told: dict[str, object] = {
            "let_through": sorted(at for agent in self.all for at in agent.let_through),
            "denied": sorted(at for agent in self.all for at in agent.denied_at),
            "words": [took for agent in self.all for took in agent.words],
            "reports": sum(agent.reports for agent in self.all),
            "lost": sum(agent.lost for agent in self.all),
        }
        for agent in self.all:
            agent.reports, agent.lost = 0, 0
            for each in (agent.let_through, agent.denied_at, agent.words):
                each.clear()
        return told

    def _has_changed(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    async def _until(self, is_so: Callable[[], bool]) -> None:
        while not is_so():
            await self._changed.wait()
