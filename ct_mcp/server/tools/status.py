"""The tool that reads every link and never fails because one is broken."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import anyio
from mcp_types import CallToolResult
from pydantic import Field

from ct_mcp.domain.approval import Halt, Ticket
from ct_mcp.domain.market import CLOCK_PROBES, trading_day
from ct_mcp.errors import CtMcpError
from ct_mcp.guard.policy import Policy
from ct_mcp.live.cache import LinkState
from ct_mcp.server.account_queries import TradingStatus, read_accounts_or_failure
from ct_mcp.server.context import ToolContext, context_of, desk_of
from ct_mcp.server.format import (
    MOST_ROWS,
    ReadResult,
    ToolResult,
    age_seconds,
    join_cells,
    join_lines,
    note_lines,
    page_of,
    sanitize_name,
    section,
    to_float,
    tool_result,
)
from ct_mcp.server.links import Link, broker_links, clock_link, next_step, upstream_links
from ct_mcp.server.policy_text import MODES, all_limit_lines, approvals, firm_lines_of, unavailable_toolsets
from ct_mcp.server.protection_text import OpenPositions, read_open_positions, unprotected_line
from ct_mcp.server.queries import MOST_OUTSTANDING, Query, time_limit
from ct_mcp.server.team_link import TEAM_SECONDS, team_link
from ct_mcp.server.tools.forms import Details
from ct_mcp.text import aged, command, iso, signed_money

if TYPE_CHECKING:  # the desk is loaded by the first call
    from ct_mcp.crosstrade.rate_limit import Allowance
    from ct_mcp.domain.team import TeamStanding
    from ct_mcp.store.journal import Entry

_UNKNOWN = "sent, outcome unknown (never send again, but for a cancel; confirm_ticket looks once more)"
_LONGEST_QUOTE_SECONDS = 4.0


class LinkView(ToolResult):
    """One link of the chain from here to the broker."""

    link: str
    state: str = Field(description="ok, broken, unknown or off.")
    why: str


class AccountStatusView(ToolResult):
    """One account."""

    account: str
    kind: str
    may_trade: bool
    why_not: str
    connection: str | None
    armed_until: str | None = Field(description="Only the person can arm it, at a terminal; null: not armed.")
    day_pnl: float | None = Field(description="Realized and unrealized.")


class TicketView(ToolResult):
    """A proposal that waits for the person."""

    ticket_id: str
    summary: str
    seconds_left: int


class UnknownOutcomeView(ToolResult):
    """Something sent whose outcome is not known: it counts against every limit."""

    ticket_id: str | None = Field(description="If looking does not tell, the person settles it at a terminal.")
    summary: str
    account: str | None
    our_order_id: str | None
    sent_at: str
    age_seconds: float | None


class StatusResult(ReadResult):
    """Null is unknown: an account list of null was not read, and says nothing about accounts."""

    next_step: str = Field(description="The one thing to do now; empty where no link is broken and no stop missing.")
    links: list[LinkView] = Field(description="Those that do not hold; with details all of them.")
    mode: str
    halted: bool | None
    halt: str = Field(description="By whom, when and why; empty where trading is not halted.")
    accounts: list[AccountStatusView] | None
    tradable_accounts: list[str] | None
    open_positions: list[str] | None = Field(description="With stop and target.")
    without_stop: list[str] | None = Field(description="Positions that no stop covers wholly: tell the person now.")
    stop_unknown: list[str] = Field(description="Where nobody can say whether a stop stands.")
    limits: list[str] = Field(description="With details.")
    approvals: list[str] = Field(description="With details.")
    toolsets_off: list[str]
    requests_left: int | None = Field(description="Of our own budget, now; with details.")
    requests_left_for_exits: int | None
    budget_full_in_seconds: float | None
    open_tickets: list[TicketView] | None
    unknown_outcomes: list[UnknownOutcomeView] | None


@dataclass(frozen=True, slots=True)
class StoredState:
    """What the store knows."""

    halt: Halt | None
    tickets: tuple[Ticket, ...]
    armings: Mapping[str, datetime]
    unsettled: "tuple[Entry, ...]"


@dataclass(frozen=True, slots=True)
class StatusReport:
    """All that was found out; None is what could not be."""

    policy: Policy
    links: Sequence[Link]
    next_step: str
    statuses: Sequence[TradingStatus] | None
    stored: StoredState | None
    allowance: "Allowance | None"
    unavailable_toolsets: Sequence[str]
    notes: list[str]
    held: OpenPositions = field(default_factory=OpenPositions)
    team: "TeamStanding | None" = None


@time_limit()
async def get_status(ctx: ToolContext, details: Details = False) -> Annotated[CallToolResult, StatusResult]:
    """NinjaTrader trading status, call first: may I trade, where, what is open, what is wrong and the next step.

    Also limits, which accounts are armed (the person arms), a halt, open tickets, unknown outcomes.
    """
    context, query = context_of(ctx), Query(desk_of(ctx))
    from ct_mcp.desk.team_words import team_lines  # noqa: PLC0415  # the desk is loaded by the first call

    team = await query.desk.team.hear(TEAM_SECONDS)
    statuses, failure, clock = await _read_links(query)
    stored, broken_store = await _read_store(query)
    held = await read_open_positions(query, statuses)
    journal = LinkState.BROKEN if broken_store else LinkState.OK
    report = StatusReport(
        policy=query.desk.policy,
        links=(
            *upstream_links(failure),
            *broker_links(statuses or ()),
            clock,
            Link("journal", journal, str(broken_store.what) if broken_store else ""),
            *filter(None, (team_link(team, query.desk.clock()),)),
            Link("stream", *context.live.condition()),
        ),
        next_step=next_step(failure or broken_store, statuses or ())
        or (clock.why if clock.state is LinkState.BROKEN else held.next_step),
        statuses=statuses,
        stored=stored,
        allowance=await query.attempt("the request budget", query.upstream.allowance()),
        unavailable_toolsets=unavailable_toolsets(context.toolsets, context.policy.mode),
        held=held,
        notes=[
            *context.notes,
            *query.notes,
            *_pace_notes(query),
            *firm_lines_of(query.desk.policy, trading_day(query.desk.clock())),
            *team_lines(team, query.desk.policy, query.desk.clock()),
        ],
        team=team,
    )
    return status_result(report, query.desk.clock(), details=details)


async def _read_links(query: Query) -> tuple[list[TradingStatus] | None, CtMcpError | None, Link]:
    """Read the accounts and, side by side, the quotes that tell the clock; where they fail, a clock is told by none."""
    from ct_mcp.desk.side_by_side import SideBySide  # noqa: PLC0415  # the desk is loaded by the first call

    async with SideBySide([]) as ask:
        accounts = ask.read("accounts", read_accounts_or_failure(query))
        clock = ask.read("clock", _clock(query))
    statuses, failure = accounts.required()
    return statuses, failure, clock.required() if failure is None else clock_link(None, query.desk.clock())


async def _clock(query: Query) -> Link:
    """Tell the clock of NinjaTrader's computer by two quotes; that there are none is no fault of the status."""
    quotes = None
    with anyio.move_on_after(_LONGEST_QUOTE_SECONDS), suppress(CtMcpError):
        quotes = await query.upstream.quotes(CLOCK_PROBES)
    return clock_link(quotes, query.desk.clock())


def _pace_notes(query: Query) -> list[str]:
    """Say so where CrossTrade wants to be asked less: everything takes longer then."""
    why = query.desk.upstream.held_up()
    return [f"CrossTrade is asked less for a while, one read after the other, since {why}"] if why else []


async def _read_store(query: Query) -> tuple[StoredState | None, CtMcpError | None]:
    store, now = query.desk.store, query.desk.clock()
    try:
        tickets, armings = await store.open_tickets(now), await store.armings(now)
        return StoredState(await store.halt(), tickets, armings, await store.unsettled()), None
    except CtMcpError as error:
        return None, error


def status_result(report: StatusReport, now: datetime, *, details: bool = True) -> CallToolResult:
    """Make both halves of the status; the short form tells what is open or wrong, and nothing of what holds."""
    from ct_mcp.desk.team_words import halt_words  # noqa: PLC0415  # the desk is loaded by the first call

    stored, allowance, theirs = report.stored, report.allowance, report.team.halt if report.team else None
    accounts = None if report.statuses is None else [_account_view(one, stored) for one in report.statuses]
    shown, left_out = page_of(accounts or (), 0, "accounts", "see get_accounts")
    links = [link for link in report.links if details or link.state in _WRONG]
    links.sort(key=lambda link: link.state is LinkState.OK and link.name.startswith("broker of "))
    budget = [f"request budget: {allowance.note}"] if allowance and allowance.note else []
    structure = StatusResult(
        read_at=iso(now) or "",
        notes=[*left_out, *report.notes, *budget],
        next_step=report.next_step,
        links=[LinkView(link=link.name, state=link.state, why=link.why) for link in links[:MOST_ROWS]],
        mode=report.policy.mode,
        halted=True if theirs else None if stored is None else stored.halt is not None,
        halt=halt_words(stored.halt if stored else None, theirs),
        accounts=None if accounts is None else list(shown),
        tradable_accounts=None if accounts is None else [one.account for one in accounts if one.may_trade],
        open_positions=None if report.held.is_unknown else list(report.held.lines),
        without_stop=None if report.held.is_unknown else list(report.held.bare),
        stop_unknown=list(report.held.doubtful),
        limits=all_limit_lines(report.policy) if details else [],
        approvals=[f"{what}: {approval}" for what, approval in approvals(report.policy)] if details else [],
        toolsets_off=[off for off in report.unavailable_toolsets if details or off.startswith("trade:")],
        requests_left=allowance.requests_left if allowance and details else None,
        requests_left_for_exits=allowance.requests_left_for_exits if allowance and details else None,
        budget_full_in_seconds=round(allowance.full_in_seconds, 1) if allowance and details else None,
        open_tickets=None if stored is None else [_ticket_view(ticket, now) for ticket in stored.tickets],
        unknown_outcomes=None
        if stored is None
        else [_outcome_view(e, now) for e in stored.unsettled[-MOST_OUTSTANDING:]],
    )
    text = _status_text(structure, report.policy) if details else _short_text(structure)
    return tool_result(text, structure)


def _account_view(status: TradingStatus, stored: StoredState | None) -> AccountStatusView:
    account = status.account
    until = stored.armings.get(account.name) if stored else None
    return AccountStatusView(
        account=sanitize_name(account.name),
        kind=account.kind,
        may_trade=status.may_trade,
        why_not=status.blocked_reason,
        connection=account.connection_status,
        armed_until=iso(until),
        day_pnl=to_float(account.balances.day_pnl),
    )


def _ticket_view(ticket: Ticket, now: datetime) -> TicketView:
    left = (ticket.expires_at - now).total_seconds()
    return TicketView(ticket_id=ticket.ticket_id, summary=ticket.summary, seconds_left=max(0, int(left)))


def _outcome_view(entry: "Entry", now: datetime) -> UnknownOutcomeView:
    return UnknownOutcomeView(
        ticket_id=entry.ticket_id,
        summary=sanitize_name(entry.summary, 200),
        account=sanitize_name(entry.account),
        our_order_id=entry.own_id,
        sent_at=iso(entry.at) or "",
        age_seconds=age_seconds(entry.at, now),
    )


_WRONG = (LinkState.BROKEN, LinkState.UNKNOWN)


def _short_text(it: StatusResult) -> str:
    halted = {True: f"HALTED {it.halt}", False: "not halted", None: "whether it is halted is unknown"}[it.halted]
    wrong = "; ".join(f"{link.link} {link.state}{_because(link)}" for link in it.links)
    return join_lines(
        (
            _unprotected(it),
            f"{_may_trade(it)}; mode {it.mode}; {halted}{_day_pnl(it)}; read {it.read_at}",
            *_others(it),
            *section("open", it.open_positions, str),
            _protected(it),
            f"links wrong: {wrong}" if wrong else "links: all work",
            f"not listed: {'; '.join(it.toolsets_off)}" if it.toolsets_off else "",
            *(section("open tickets", it.open_tickets, _ticket_line) if it.open_tickets != [] else ()),
            *(section(_UNKNOWN, it.unknown_outcomes, _outcome_line) if it.unknown_outcomes != [] else ()),
            _to_settle() if it.unknown_outcomes else "",
            *note_lines(it.notes),
            f"next: {it.next_step}" if it.next_step else "",
        )
    )


def _unprotected(it: StatusResult) -> str:
    """Say it before everything else, so that no word about links or limits reads as one about a position."""
    return unprotected_line(it.without_stop or (), it.stop_unknown)


def _protected(it: StatusResult) -> str:
    is_well = bool(it.open_positions) and not it.without_stop and not it.stop_unknown
    return "protection: every open position has a stop for all of it" if is_well else ""


def _may_trade(it: StatusResult) -> str:
    if it.tradable_accounts is None:
        return "accounts: unknown"
    return f"may trade: {', '.join(it.tradable_accounts) or 'no account'}"


def _day_pnl(it: StatusResult) -> str:
    rows = [row for row in it.accounts or () if row.may_trade and row.day_pnl is not None]
    return "".join(f"; day P&L {row.account} {signed_money(row.day_pnl)}" for row in rows)


def _others(it: StatusResult) -> list[str]:
    """The accounts that may not trade: with the reason where none may, by their names alone where another may."""
    closed = [account for account in it.accounts or () if not account.may_trade]
    if not closed or it.tradable_accounts:
        names = ", ".join(account.account for account in closed)
        return [f"may NOT trade: {names} (details say why)"] if names else []
    return [f"may NOT trade: {account.account} ({account.why_not})" for account in closed]


def _status_text(it: StatusResult, policy: Policy) -> str:
    halted = {True: f"HALTED {it.halt}", False: "not halted", None: "whether it is halted is unknown"}[it.halted]
    return join_lines(
        (
            _unprotected(it),
            f"mode {MODES[policy.mode]}; {halted}; read {it.read_at}",
            "links: " + "; ".join(f"{link.link} {link.state}{_because(link)}" for link in it.links),
            *section("accounts", it.accounts, _account_line),
            *section("open", it.open_positions, str),
            _protected(it),
            "limits: " + "; ".join(it.limits),
            "approvals: " + "; ".join(it.approvals),
            "toolsets off: " + ("; ".join(it.toolsets_off) or "none"),
            _budget(it),
            *section("open tickets", it.open_tickets, _ticket_line),
            *section(_UNKNOWN, it.unknown_outcomes, _outcome_line),
            _to_settle() if it.unknown_outcomes else "",
            *note_lines(it.notes),
            f"next: {it.next_step}" if it.next_step else "",
        )
    )


def _to_settle() -> str:
    return f"if looking does not tell, the person settles it at a terminal: {command('journal', 'settle', 'TICKET_ID')}"


def _because(link: LinkView) -> str:
    return f" ({link.why})" if link.why else ""


def _account_line(it: AccountStatusView) -> str:
    trade = "may trade" if it.may_trade else f"may NOT trade ({it.why_not})"
    armed = [f"armed until {it.armed_until}"] if it.armed_until else []
    return join_cells((it.account, it.kind, f"connection {it.connection or 'unknown'}", *armed, trade))


def _ticket_line(it: TicketView) -> str:
    return join_cells((it.ticket_id, it.summary, f"{it.seconds_left} s left"))


def _outcome_line(it: UnknownOutcomeView) -> str:
    own_id = f"our order id {it.our_order_id or 'none'}"
    return join_cells((it.ticket_id or "no ticket", it.summary, own_id, f"sent {it.sent_at}", aged(it.age_seconds)))


def _budget(it: StatusResult) -> str:
    if it.requests_left is None:
        return "request budget: unknown"
    full = f"full in {it.budget_full_in_seconds:g} s"
    return f"request budget: {it.requests_left} left now, {it.requests_left_for_exits} for exits, {full}"
