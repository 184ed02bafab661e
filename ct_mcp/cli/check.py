"""``ct-mcp check``: is every link to the broker whole, and is the service still as we know it? Reads only.

Exit codes: 0 all well, 1 a link is broken, 2 cannot start, 3 the service's routes differ from our catalogue.
"""

import argparse
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

import anyio

from ct_mcp.cli.check_report import (
    CLOCK,
    CLOCK_STEP,
    DATA,
    CheckReport,
    LinkFinding,
    as_json,
    broker_findings,
    budget_finding,
    chain_findings,
    clock_finding,
    data_finding,
    hide_secrets,
    list_finding,
    not_reached,
    show_report,
    stream_finding,
    table_findings,
)
from ct_mcp.cli.runtime import settings_for, shared_budget, store_of, timeouts_of, utc_now
from ct_mcp.cli.screen import Screen
from ct_mcp.config.settings import Settings
from ct_mcp.crosstrade.api_catalog import Route
from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.crosstrade.diagnostics import (
    ClockSample,
    Drift,
    ObservingTransport,
    Transport,
    compare_routes,
    parse_openapi_routes,
)
from ct_mcp.crosstrade.reads import ClientOptions
from ct_mcp.domain.account import Account
from ct_mcp.domain.market import CLOCK_PROBES, Quote
from ct_mcp.errors import AuthFailed, BudgetExhausted, CtMcpError, RateLimited, Unavailable
from ct_mcp.live.cache import LinkState
from ct_mcp.server.links import clock_link

LONGEST_LOOK_SECONDS = 20.0
PROBE = CLOCK_PROBES[0]  # trades nearly around the clock, so that an old quote says something

_T = TypeVar("_T")
# After these, asking on would fail in the same way.
_POINTLESS = (AuthFailed, BudgetExhausted, RateLimited, Unavailable)


def run(chosen: argparse.Namespace) -> int:
    """Look, show what was found, and give the exit code."""
    settings = settings_for(chosen)
    screen = Screen.on_stdout()
    if not chosen.json:
        screen.wait("looking")
    report = anyio.run(_check_all, settings, _check_simulator if chosen.demo else check_links)
    if chosen.json:
        print(json.dumps(as_json(report), indent=2))
    else:
        show_report(report, screen, simulated=chosen.demo)
    return report.exit_code


async def _check_all(settings: Settings, look: Callable[[Settings], Awaitable[CheckReport]]) -> CheckReport:
    """Look at the links to the broker, at what machines share, and at the clients that start a server here."""
    from ct_mcp.cli.check_clients import client_findings
    from ct_mcp.cli.check_state import state_findings
    from ct_mcp.cli.check_team import team_findings
    from ct_mcp.cli.clients import this_machine

    clients = await client_findings(this_machine())
    report = await look(settings)
    shared = (*await state_findings(settings), *await team_findings(settings))
    token = settings.token.reveal() if settings.token else ""
    return hide_secrets(replace(report, findings=(*report.findings, *shared, *clients)), (token,))


async def _check_simulator(settings: Settings) -> CheckReport:
    from ct_mcp.cli.demo_endpoint import simulated

    async with simulated(settings) as reached:
        return await check_links(reached)


@dataclass(frozen=True, slots=True)
class CheckEnvironment:
    """What a check meets outside, each with a default that is real."""

    transport: Transport | None = None
    clock: Callable[[], datetime] = utc_now
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep


_REAL = CheckEnvironment()


async def check_links(settings: Settings, outside: CheckEnvironment = _REAL) -> CheckReport:
    """Look at everything that can be reached; the report does not hold the token.

    Raises:
        ConfigError: The address is none that a token may go to.
    """
    token = settings.token.reveal() if settings.token else None
    watch = ObservingTransport(outside.transport, outside.clock)
    notes: dict[str, None] = dict.fromkeys(settings.warnings)
    budget = shared_budget(settings, outside.clock)
    world: ClientOptions = {"transport": watch, "clock": outside.clock, "sleep": outside.sleep, "budget": budget}
    try:
        async with CrossTrade(settings.base_url, token, timeouts_of(settings), **world) as client:
            walk = _Walk(client.heard_by(lambda note: notes.update({note: None})), watch, settings, outside.clock)
            findings, drift = await walk.all()
    finally:
        await budget.close()
    return hide_secrets(CheckReport(settings.base_url, tuple(findings), drift, tuple(notes)), (token or "",))


@dataclass(slots=True)
class _Walk:
    """Looks at one link after another, as far as those before it hold."""

    client: CrossTrade
    watch: ObservingTransport
    settings: Settings
    clock: Callable[[], datetime]
    lists: dict[str, Sequence[Route]] = field(default_factory=dict)
    quotes: Sequence[Quote] = ()

    async def all(self) -> tuple[list[LinkFinding], Drift | None]:
        accounts = await _read(self.client.accounts())
        failure = accounts if isinstance(accounts, CtMcpError) else None
        links = [*chain_findings(failure), *await self._behind_the_add_on(accounts)]
        documents = [] if isinstance(failure, _POINTLESS) else await self._documents()
        clock = not_reached(CLOCK) if isinstance(failure, _POINTLESS) else clock_finding(await self._sample(failure))
        if (theirs := clock_link(self.quotes, self.clock())).state is LinkState.BROKEN:
            clock = LinkFinding(theirs, CLOCK_STEP)
        budget = budget_finding(await self.client.allowance(), self.watch.slowed)
        stream = stream_finding(is_on=self.settings.stream, is_ours=await _has_stream(self.settings, self.clock()))
        return [*links, clock, budget, stream, *documents], compare_routes(self.lists) if self.lists else None

    async def _behind_the_add_on(self, accounts: tuple[Account, ...] | CtMcpError) -> list[LinkFinding]:
        if isinstance(accounts, CtMcpError):
            return [not_reached(DATA)]
        brokers = broker_findings(await self._with_status(accounts))
        read = await _read(self.client.quotes(CLOCK_PROBES))
        self.quotes = () if isinstance(read, CtMcpError) else read
        quote = self.quotes[0] if self.quotes else await _read(self._quote())
        oldest = self.settings.policy.limits.quote_max_age_seconds
        tables = table_findings(self.settings.policy, accounts)
        return [*brokers, *tables, data_finding(quote, self.clock(), oldest)]

    async def _with_status(self, accounts: Sequence[Account]) -> Sequence[Account]:
        """Take from the summary what the list of accounts does not say of their connections."""
        if all(account.connection_status for account in accounts):
            return accounts
        summary = await _read(self.client.snapshot())
        told = () if isinstance(summary, CtMcpError) else summary
        status = {seen.account.name.casefold(): seen.account.connection_status for seen in told}
        return [
            replace(account, connection_status=account.connection_status or status.get(account.name.casefold()))
            for account in accounts
        ]

    async def _quote(self) -> Quote:
        (quote,) = await self.client.quotes([PROBE])
        return quote

    async def _documents(self) -> list[LinkFinding]:
        reads = {"_endpoints": self.client.endpoints(), "openapi.json": self._described()}
        found = {name: await _read(read) for name, read in reads.items()}
        self.lists = {name: read for name, read in found.items() if not isinstance(read, CtMcpError)}
        return [list_finding(name, read) for name, read in found.items()]

    async def _described(self) -> tuple[Route, ...]:
        return parse_openapi_routes(await self.client.reference("openapi.json"))

    async def _sample(self, failure: CtMcpError | None) -> ClockSample | None:
        """Read their clock by the date of their answers, else by the stamp of a trading session."""
        if self.watch.sample is not None or failure is not None:
            return self.watch.sample
        asked_at = self.clock()
        session = await _read(self.client.session(PROBE))
        if isinstance(session, CtMcpError) or session.stamped_at is None:
            return None
        return ClockSample(session.stamped_at, asked_at, self.clock())


async def _has_stream(settings: Settings, now: datetime) -> bool:
    """Say whether a server of this state folder has the stream; nothing is made where there is no store yet."""
    if settings.state is None and not any(settings.state_dir.glob("*.sqlite3")):
        return False
    store = store_of(settings)
    try:
        return await store.lease_holder("stream", now) is not None
    except CtMcpError:
        return False
    finally:
        await store.close()


async def _read(read: Awaitable[_T]) -> _T | CtMcpError:
    """Give what was read, or what kept us from it; a service that does not answer is no reason to wait on."""
    try:
        with anyio.move_on_after(LONGEST_LOOK_SECONDS):
            return await read
    except CtMcpError as error:
        return error
    return Unavailable(f"no answer within {LONGEST_LOOK_SECONDS:.0f} s")
