"""A process with a desk of its own: reads a command in JSON from each line, and answers in one line.

It can be told to stop right before a call of the store and to wait there for a line, so that several processes stand at
the same place before any goes on.
"""

import json
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
from anyio import to_thread

from ct_mcp.config.team_policy import parse_team_policy
from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.crosstrade.connection import utc_now
from ct_mcp.crosstrade.rate_limit import Allowance, Rank, TokenBucket, allowance
from ct_mcp.crosstrade.request import CallTimeouts
from ct_mcp.desk import membership
from ct_mcp.desk.desk import Desk
from ct_mcp.desk.membership import Membership, TeamLink
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.request_budget import SharedBudget
from ct_mcp.domain.approval import Approval, Halt, Ticket, TicketState
from ct_mcp.domain.commands import Flatten
from ct_mcp.domain.lease import Holder
from ct_mcp.domain.watch import Watch, WatchKind
from ct_mcp.errors import CtMcpError, Halted, OrderDenied
from ct_mcp.guard.policy import AccountPolicy, Limits, Mode, Policy
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.store.parts import LEASE_NAME
from ct_mcp.store.plane_trader import TraderPlane
from ct_mcp.store.postgres import Patience, PostgresStore
from ct_mcp.store.postgres_url import parse_postgres_url
from ct_mcp.store.rate_limit_file import RateLimitFile
from ct_mcp.store.rate_limit_table import RateLimitTable
from ct_mcp.store.sql_store import SqlStore
from ct_mcp.store.sqlite import SqliteStore
from ct_mcp.store.team_file import TeamFile
from ct_mcp.store.ticket_codec import commands_from_text

# On a busy machine an answer may take longer than a person would be kept waiting for it.
PATIENCE = Patience(connect_seconds=20, lock_seconds=20, statement_seconds=20, held_seconds=60)
membership.WORD_WITHIN_SECONDS = 60.0
DENIED = frozenset({Status.DENIED, Halted.code, OrderDenied.code})
LIMITS = Limits(max_orders_per_minute=1000, max_orders_per_day=1000, duplicate_window_seconds=0.0)


def say(**told: object) -> None:
    """Tell the test."""
    sys.stdout.write(json.dumps(told, default=str) + "\n")
    sys.stdout.flush()


async def heard() -> str:
    """The next line; empty where the test is over."""
    return await to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True)


def opened(place: str, clock: Callable[[], datetime] | None = None) -> tuple[RateLimitFile | RateLimitTable, SqlStore]:
    """Open the budget and the store of a folder, or of all machines of a trader; with a clock, that one is compared."""
    if not place.startswith("postgresql:"):
        folder = Path(place)
        return RateLimitFile(folder, busy_timeout_seconds=5), SqliteStore(folder, busy_timeout_seconds=20)
    url, patience = parse_postgres_url(place), Patience(lock_seconds=20, held_seconds=60)
    return RateLimitTable(url, utc_now), PostgresStore(url, clock=clock, patience=patience)


def member(policy: Policy, clock: Callable[[], datetime], plane: str, folder: Path) -> Membership:
    """Say how this trader stands with a team; of whom no plane is given, with none."""
    if not plane:
        return Membership(policy, clock)
    url = parse_postgres_url(plane)
    link = TeamLink(TraderPlane(url, required=True, patience=PATIENCE), parse_team_policy, TeamFile(folder, str(url)))
    return Membership(policy, clock, link)


class Unmetered:
    """A budget that keeps nobody waiting, where another thing is looked at."""

    async def wait(self, now: datetime, *, rank: Rank, waited: float = 0.0) -> float:
        """Let it go."""
        return 0.0

    async def penalise(self, now: datetime, retry_after_seconds: float) -> None:
        """Pass over it."""

    async def snapshot(self, now: datetime) -> Allowance:
        """Say that all is left."""
        return allowance(TokenBucket(), now)


class NotingBudget(SharedBudget):
    """The shared budget, and what it answered to each question, at the time by which it reckoned."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.answered: list[tuple[str, str, float]] = []

    async def wait(self, now: datetime, *, rank: Rank, waited: float = 0.0) -> float:
        """Answer as it does, and note it."""
        seconds = await super().wait(now, rank=rank, waited=waited)
        self.answered.append((str(self._known.at), rank.value, seconds))
        return seconds


class Stopping:
    """A store that stops before one of its calls, once."""

    def __init__(self, inner: SqlStore) -> None:
        self.inner, self.stops_at = inner, ""

    def __getattr__(self, name: str) -> Any:
        call = getattr(self.inner, name)
        if name != self.stops_at:
            return call
        self.stops_at = ""

        async def stopped(*given: Any, **named: Any) -> Any:
            say(at=name)
            await heard()
            return await call(*given, **named)

        return stopped


class Worker:
    """What a test can ask of a process."""

    def __init__(self) -> None:
        self.now: datetime | None = None
        self.held, self.ahead = Holder(), timedelta()
        self.is_open = AsyncExitStack()

    async def set_clock(self, ahead: float) -> None:
        """Let the clock of this machine be so many seconds ahead of the real time, once it is opened anew."""
        self.ahead = timedelta(seconds=ahead)

    async def open(
        self, place: str, url: str, token: str, now: str, limits: dict[str, Any], plane: str = "", folder: str = ""
    ) -> None:
        """Put a desk together: at a standing clock and without a budget, or at the real one with the shared budget.

        ``place`` is a state folder, or the URL of what machines share. ``plane`` is the URL of what a team does, whose
        last word is kept in ``folder``.
        """
        self.now = datetime.fromisoformat(now) if now else None
        accounts = {"APEX-482910": AccountPolicy(approval=Approval.NONE)}
        mode = Mode(limits.pop("mode", Mode.SIM))
        policy = Policy(mode, replace(LIMITS, **limits), simulated=Approval.NONE, accounts=accounts)
        self.meters, store = opened(place, None if now else self.clock)
        self.budget = NotingBudget(self.meters, token, utc_now)
        budget = Unmetered() if now else self.budget
        pause = passed if now else anyio.sleep
        self.store = Stopping(store)
        self.client = CrossTrade(
            url, token, CallTimeouts(turn_seconds=25), clock=self.clock, budget=budget, sleep=pause
        )
        self.team = member(policy, self.clock, plane, Path(folder or place))
        self.desk = Desk(self.client, self.store, self.team, clock=self.clock, pause=pause)
        for close in (self.store.close, self.meters.close, self.team.close):
            self.is_open.push_async_callback(close)
        self.is_open.push_async_exit(self.client)

    def clock(self) -> datetime:
        """The time that stands still for a test, or the real one."""
        return self.now or datetime.now(UTC) + self.ahead

    async def propose(self, action: str, stop_at: str = "") -> object:
        """Propose what `commands_to_text` wrote; the ticket, or the reasons of the denial."""
        self.store.stops_at = stop_at
        proposed = await self.desk.propose(commands_from_text(action))
        return list(proposed.reasons) if isinstance(proposed, Outcome) else proposed.ticket_id

    async def commit(self, ticket_id: str, stop_at: str = "") -> object:
        """Commit a ticket; the status and the reasons."""
        self.store.stops_at = stop_at
        outcome = await self.desk.commit(ticket_id)
        return [outcome.status, *outcome.reasons]

    async def pass_time(self, seconds: float) -> None:
        """Let the standing clock go on."""
        assert self.now is not None
        self.now += timedelta(seconds=seconds)

    async def trade(self, action: str, denials: int) -> list[object]:
        """Open again and again, and say so after the third; until so many in a row are denied. What became of each."""
        told, denied = list[list[object]](), 0
        while denied < denials:
            proposed = await self.desk.propose(commands_from_text(action))
            told.append(await self._committed(proposed))
            denied = denied + 1 if told[-1][0] in DENIED else 0
            if len(told) == 3:
                say(at="under way")
        return list[object](told)

    async def _committed(self, proposed: Ticket | Outcome) -> list[object]:
        try:
            outcome = proposed if isinstance(proposed, Outcome) else await self.desk.commit(proposed.ticket_id)
        except (Halted, OrderDenied) as denial:  # at the last look, right before the wire
            return [denial.code, denial.what]
        return [outcome.status, *outcome.reasons]

    async def intents(self) -> int:
        """How many that may open were written."""
        found = await self.store.entries(10**6)
        return sum(entry.kind is EntryKind.INTENT and entry.opens for entry in found)

    async def halt(self) -> bool:
        """Halt trading."""
        return bool(await self.store.set_halt(Halt("the person", self.clock(), "lunch")))

    async def arm(self, account: str) -> None:
        """Arm an account for an hour."""
        await self.store.arm(account, self.clock() + timedelta(hours=1), "the person", self.clock())

    async def disarm(self, account: str) -> bool:
        """Disarm it."""
        return bool(await self.store.disarm(account, "the person", self.clock()))

    async def read(self, count: int) -> int:
        """Ask so many questions at once, and wait until each has its answer."""
        answers: list[object] = []

        async def ask() -> None:
            answers.append(await self.client.quotes(["MES 09-26"]))

        async with anyio.create_task_group() as tasks:
            for _ in range(count):
                tasks.start_soon(ask)
        return len(answers)

    async def budget_answers(self) -> list[tuple[str, str, float]]:
        """What the budget answered: by which time, to which rank, and how many seconds to wait."""
        return self.budget.answered

    async def take_lease(self, holder: str, stop_at: str = "") -> bool:
        """Take the lease of the stream."""
        self.store.stops_at = stop_at
        return bool(await self.store.take_lease("stream", holder, self.clock(), timedelta(seconds=15)))

    async def make_part(self, holder: str, later: float) -> str:
        """Take the lease of watches, so many seconds later, and make the ticket of what one is about to send."""
        now = self.clock() + timedelta(seconds=later)
        self.held = await self._held_anew(holder, now)
        until = now + timedelta(hours=1)
        watch = Watch("w", WatchKind.FLAT_BY, "Sim101", now, until, "t", None, None, None, now)
        await self.store.open_watch(watch, 5, (), now)
        ticket = Ticket(
            f"by-{holder}", (Flatten("Sim101", None),), holder, f"own-{holder}", "flat", None, "", Approval.NONE,
            simulated=True, reason="", created_at=now, expires_at=until, state=TicketState.SPENT,
        )  # fmt: skip
        assert await self.store.add_watch_part(await self.store.watch("w"), ticket, self.held, now)
        return ticket.ticket_id

    async def take_exits(self, holder: str, later: float) -> bool:
        """Try to take the lease of watches, so many seconds later."""
        now = self.clock() + timedelta(seconds=later)
        return bool(await self.store.take_lease(LEASE_NAME, holder, now, timedelta(seconds=15)))

    async def _held_anew(self, name: str, now: datetime) -> Holder:
        epoch = await self.store.take_lease(LEASE_NAME, name, now, timedelta(seconds=15))
        assert epoch
        return Holder(name, epoch)

    async def have_lease_between(self, holder: str, later: float) -> int:
        """Take the lease of watches, so many seconds later, send nothing, and give it back; its epoch."""
        held = await self._held_anew(holder, self.clock() + timedelta(seconds=later))
        assert await self.store.release_lease(LEASE_NAME, holder)
        return held.epoch

    async def intend_with_lease_taken_again(self, ticket_id: str, later: float) -> bool:
        """Stop right before an intent; look once more, so many seconds later, and then write what was begun before."""
        say(at="about to send")
        await heard()
        now = self.clock() + timedelta(seconds=later)
        assert (await self._held_anew(self.held.name, now)).epoch > self.held.epoch
        return await self.intend(ticket_id, later)

    async def intend(self, ticket_id: str, later: float, stop_at: str = "") -> bool:
        """Write the intent of a ticket, so many seconds later, under the lease that it was made under."""
        self.store.stops_at = stop_at
        intent = NewEntry(EntryKind.INTENT, "flat", account="Sim101", ticket_id=ticket_id)
        now = self.clock() + timedelta(seconds=later)
        return await self.store.append_intent(intent, now, 10**6, holder=self.held) is not None

    async def verify(self) -> list[object]:
        """Whether the journal is whole, and how many outcomes are not known."""
        found = await self.store.verify()
        return [found.ok, len(await self.store.unsettled())]

    async def close(self) -> None:
        """Close everything, if anything was opened since the last time."""
        await self.is_open.aclose()


async def passed(seconds: float) -> None:
    """Let nothing pass: the clock stands, and the simulator fills at once."""


async def main() -> None:
    """Do what is asked until stdin closes."""
    worker = Worker()
    say(at="ready")
    while line := await heard():
        name, given = json.loads(line)
        do: Callable[..., Awaitable[object]] = getattr(worker, name)
        try:
            say(told=await do(**given))
        except CtMcpError as error:
            say(told=[error.code, error.what])


if __name__ == "__main__":
    anyio.run(main)
