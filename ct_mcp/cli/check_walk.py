"""Walks the links to the broker one by one, and compares the service with our catalogue. Reads only."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

import anyio

from ct_mcp.cli.check_links import (
    CLOCK,
    DATA,
    broker_findings,
    budget_finding,
    chain_findings,
    clock_finding,
    data_finding,
    list_finding,
    not_reached,
    stream_finding,
)
from ct_mcp.cli.check_report import Finding, Report, hiding
from ct_mcp.config.settings import Settings
from ct_mcp.crosstrade.answer_watch import Sample, Transport, Watch
from ct_mcp.crosstrade.client import CrossTrade, World
from ct_mcp.crosstrade.drift import Drift, drift_of, routes_described_in
from ct_mcp.crosstrade.line import Timeouts, utc_now
from ct_mcp.crosstrade.routes import Route
from ct_mcp.desk.shared_budget import SharedBudget
from ct_mcp.domain.account import Account
from ct_mcp.domain.market import Quote
from ct_mcp.errors import AuthFailed, BudgetExhausted, CtMcpError, RateLimited, Unavailable
from ct_mcp.store.meters import Meters

LONGEST_LOOK_SECONDS = 20.0
PROBE = "ES"  # trades nearly around the clock, so that an old quote says something

_T = TypeVar("_T")
# After these, asking on would fail in the same way.
_POINTLESS = (AuthFailed, BudgetExhausted, RateLimited, Unavailable)


@dataclass(frozen=True, slots=True)
class Outside:
    """What a check meets outside, each with a default that is real."""

    transport: Transport | None = None
    clock: Callable[[], datetime] = utc_now
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep


_REAL = Outside()


async def walked(settings: Settings, outside: Outside = _REAL) -> Report:
    """Look at everything that can be reached, and tell it without the token.

    Raises:
        ConfigError: The address is none that a token may go to.
    """
    token, waits = settings.token.reveal() if settings.token else None, settings.timeouts
    timeouts = Timeouts(waits.connect_seconds, waits.read_seconds, waits.bars_seconds, waits.write_seconds)
    watch = Watch(outside.transport, outside.clock)
    notes: dict[str, None] = dict.fromkeys(settings.warnings)
    budget = SharedBudget(Meters(settings.state_dir), token or "", outside.clock)
    world: World = {"transport": watch, "clock": outside.clock, "sleep": outside.sleep, "budget": budget}
    try:
        async with CrossTrade(settings.base_url, token, timeouts, **world) as client:
            walk = _Walk(client.heard_by(lambda note: notes.update({note: None})), watch, settings, outside.clock)
            findings, drift = await walk.whole()
    finally:
        await budget.close()
    return hiding(Report(settings.base_url, tuple(findings), drift, tuple(notes)), (token or "",))


@dataclass(slots=True)
class _Walk:
    client: CrossTrade
    watch: Watch
    settings: Settings
    clock: Callable[[], datetime]
    lists: dict[str, Sequence[Route]] = field(default_factory=dict)

    async def whole(self) -> tuple[list[Finding], Drift | None]:
        accounts = await _looked(self.client.accounts())
        failure = accounts if isinstance(accounts, CtMcpError) else None
        links = [*chain_findings(failure), *await self._behind_the_add_on(accounts)]
        documents = [] if isinstance(failure, _POINTLESS) else await self._documents()
        clock = not_reached(CLOCK) if isinstance(failure, _POINTLESS) else clock_finding(await self._sample(failure))
        budget = budget_finding(await self.client.allowance(), self.watch.slowed)
        stream = stream_finding(is_on=self.settings.stream)
        return [*links, clock, budget, stream, *documents], drift_of(self.lists) if self.lists else None

    async def _behind_the_add_on(self, accounts: tuple[Account, ...] | CtMcpError) -> list[Finding]:
        if isinstance(accounts, CtMcpError):
            return [not_reached(DATA)]
        brokers = broker_findings(await self._with_status(accounts))
        quote = await _looked(self._quote())
        oldest = self.settings.policy.limits.quote_max_age_seconds
        return [*brokers, data_finding(quote, self.clock(), oldest)]

    async def _with_status(self, accounts: Sequence[Account]) -> Sequence[Account]:
        """The accounts; what the list does not say of their connections is taken from the summary."""
        if all(account.connection_status for account in accounts):
            return accounts
        summary = await _looked(self.client.snapshot())
        told = () if isinstance(summary, CtMcpError) else summary
        status = {seen.account.name.casefold(): seen.account.connection_status for seen in told}
        return [
            replace(account, connection_status=account.connection_status or status.get(account.name.casefold()))
            for account in accounts
        ]

    async def _quote(self) -> Quote:
        (quote,) = await self.client.quotes([PROBE])
        return quote

    async def _documents(self) -> list[Finding]:
        reads = {"_endpoints": self.client.endpoints(), "openapi.json": self._described()}
        looked = {name: await _looked(read) for name, read in reads.items()}
        self.lists = {name: read for name, read in looked.items() if not isinstance(read, CtMcpError)}
        return [list_finding(name, read) for name, read in looked.items()]

    async def _described(self) -> tuple[Route, ...]:
        return routes_described_in(await self.client.reference("openapi.json"))

    async def _sample(self, failure: CtMcpError | None) -> Sample | None:
        """Their clock by the date of their answers, else by the stamp of a trading session."""
        if self.watch.sample is not None or failure is not None:
            return self.watch.sample
        asked_at = self.clock()
        session = await _looked(self.client.session(PROBE))
        if isinstance(session, CtMcpError) or session.stamped_at is None:
            return None
        return Sample(session.stamped_at, asked_at, self.clock())


async def _looked(read: Awaitable[_T]) -> _T | CtMcpError:
    """What was read, or what kept us from it; a service that does not answer is no reason to wait on."""
    try:
        with anyio.move_on_after(LONGEST_LOOK_SECONDS):
            return await read
    except CtMcpError as error:
        return error
    return Unavailable(f"no answer within {LONGEST_LOOK_SECONDS:.0f} s")
