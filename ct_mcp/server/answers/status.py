"""The whole state in one answer: every link, the mode, what may trade, the limits, what is waiting."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from mcp_types import CallToolResult
from pydantic import Field

from ct_mcp.crosstrade.budget import Allowance
from ct_mcp.domain.ticket import Halt, Ticket
from ct_mcp.guard.policy import Policy
from ct_mcp.server.answers.policy import MODES, approvals, limit_lines, narrower_lines
from ct_mcp.server.present import Answer, ReadAnswer, age, aged, answered, lines, listed, noted, row, stamp, theirs
from ct_mcp.server.standing import Standing
from ct_mcp.store.journal import Entry

_TO_SETTLE = "if looking does not tell, the person settles it at a terminal: ct-mcp journal settle TICKET_ID"


class LinkRow(Answer):
    """One link of the chain from here to the broker."""

    link: str
    state: str = Field(description="ok, broken, unknown or off.")
    why: str


class StatusAccountRow(Answer):
    """One account."""

    account: str
    kind: str
    may_trade: bool
    why_not: str
    connection: str | None
    armed_until: str | None = Field(description="Only the person can arm it, with ct-mcp arm; null: not armed.")


class TicketRow(Answer):
    """A proposal that waits for the person."""

    ticket_id: str
    summary: str
    seconds_left: int


class UnsettledRow(Answer):
    """Something sent whose outcome is not known: it counts against every limit."""

    ticket_id: str | None = Field(
        description="If looking does not tell, the person settles it at a terminal: ct-mcp journal settle TICKET_ID."
    )
    summary: str
    account: str | None
    our_order_id: str | None
    sent_at: str
    age_seconds: float | None


class StatusAnswer(ReadAnswer):
    """Null is unknown: an account list of null was not read, and says nothing about accounts."""

    next_step: str = Field(description="The one thing to do about a broken link; empty where none is broken.")
    links: list[LinkRow]
    mode: str
    halted: bool | None
    halt: str = Field(description="By whom, when and why; empty where trading is not halted.")
    accounts: list[StatusAccountRow] | None
    tradable_accounts: list[str] | None
    limits: list[str]
    approvals: list[str]
    toolsets_off: list[str]
    requests_left: int | None = Field(description="Of our own budget, now.")
    requests_left_for_exits: int | None
    budget_full_in_seconds: float | None
    open_tickets: list[TicketRow] | None
    unknown_outcomes: list[UnsettledRow] | None


@dataclass(frozen=True, slots=True)
class Link:
    """One link and how it stands."""

    name: str
    state: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Memory:
    """What the store knows."""

    halt: Halt | None
    tickets: tuple[Ticket, ...]
    armings: Mapping[str, datetime]
    unsettled: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class StatusReport:
    """All that was found out; None is what could not be."""

    policy: Policy
    links: Sequence[Link]
    next_step: str
    standings: Sequence[Standing] | None
    memory: Memory | None
    allowance: Allowance | None
    toolsets_off: Sequence[str]
    notes: list[str]


def status_answer(report: StatusReport, now: datetime) -> CallToolResult:
    """Both halves of the status."""
    memory, allowance = report.memory, report.allowance
    accounts = None if report.standings is None else [_account(one, memory) for one in report.standings]
    structure = StatusAnswer(
        read_at=stamp(now) or "",
        notes=[*report.notes, *([f"request budget: {allowance.note}"] if allowance and allowance.note else ())],
        next_step=report.next_step,
        links=[LinkRow(link=link.name, state=link.state, why=link.why) for link in report.links],
        mode=report.policy.mode,
        halted=None if memory is None else memory.halt is not None,
        halt=_halt(memory.halt) if memory and memory.halt else "",
        accounts=accounts,
        tradable_accounts=None if accounts is None else [one.account for one in accounts if one.may_trade],
        limits=[*limit_lines(report.policy.limits), *narrower_lines(report.policy)],
        approvals=[f"{what}: {approval}" for what, approval in approvals(report.policy)],
        toolsets_off=list(report.toolsets_off),
        requests_left=allowance.requests_left if allowance else None,
        requests_left_for_exits=allowance.requests_left_for_exits if allowance else None,
        budget_full_in_seconds=round(allowance.full_in_seconds, 1) if allowance else None,
        open_tickets=None if memory is None else [_ticket(ticket, now) for ticket in memory.tickets],
        unknown_outcomes=None if memory is None else [_unsettled(entry, now) for entry in memory.unsettled],
    )
    return answered(_text(structure, report.policy), structure)


def _halt(halt: Halt) -> str:
    return f"by {theirs(halt.by)} at {stamp(halt.at)}: {theirs(halt.reason, 200)}"


def _account(standing: Standing, memory: Memory | None) -> StatusAccountRow:
    account = standing.account
    until = memory.armings.get(account.name) if memory else None
    return StatusAccountRow(
        account=theirs(account.name) or "",
        kind=account.kind,
        may_trade=standing.may_trade,
        why_not=standing.why_not,
        connection=account.connection_status,
        armed_until=stamp(until),
    )


def _ticket(ticket: Ticket, now: datetime) -> TicketRow:
    left = (ticket.expires_at - now).total_seconds()
    return TicketRow(ticket_id=ticket.ticket_id, summary=ticket.summary, seconds_left=max(0, int(left)))


def _unsettled(entry: Entry, now: datetime) -> UnsettledRow:
    return UnsettledRow(
        ticket_id=entry.ticket_id,
        summary=theirs(entry.summary, 200) or "",
        account=theirs(entry.account),
        our_order_id=entry.own_id,
        sent_at=stamp(entry.at) or "",
        age_seconds=age(entry.at, now),
    )


def _text(it: StatusAnswer, policy: Policy) -> str:
    halted = {True: f"HALTED {it.halt}", False: "not halted", None: "whether it is halted is unknown"}[it.halted]
    return lines(
        (
            f"mode {MODES[policy.mode]}; {halted}; read {it.read_at}",
            "links: " + "; ".join(f"{link.link} {link.state}{_because(link)}" for link in it.links),
            *listed("accounts", it.accounts, _account_line),
            "limits: " + "; ".join(it.limits),
            "approvals: " + "; ".join(it.approvals),
            "toolsets off: " + ("; ".join(it.toolsets_off) or "none"),
            _budget(it),
            *listed("open tickets", it.open_tickets, _ticket_line),
            *listed("sent, outcome unknown (never send again)", it.unknown_outcomes, _unsettled_line),
            _TO_SETTLE if it.unknown_outcomes else "",
            *noted(it.notes),
            f"next: {it.next_step}" if it.next_step else "",
        )
    )


def _because(link: LinkRow) -> str:
    return f" ({link.why})" if link.why else ""


def _account_line(it: StatusAccountRow) -> str:
    trade = "may trade" if it.may_trade else f"may NOT trade ({it.why_not})"
    armed = [f"armed until {it.armed_until}"] if it.armed_until else []
    return row((it.account, it.kind, f"connection {it.connection or 'unknown'}", *armed, trade))


def _ticket_line(it: TicketRow) -> str:
    return row((it.ticket_id, it.summary, f"{it.seconds_left} s left"))


def _unsettled_line(it: UnsettledRow) -> str:
    own_id = f"our order id {it.our_order_id or 'none'}"
    return row((it.ticket_id or "no ticket", it.summary, own_id, f"sent {it.sent_at}", aged(it.age_seconds)))


def _budget(it: StatusAnswer) -> str:
    if it.requests_left is None:
        return "request budget: unknown"
    full = f"full in {it.budget_full_in_seconds:g} s"
    return f"request budget: {it.requests_left} left now, {it.requests_left_for_exits} for exits, {full}"
