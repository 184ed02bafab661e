"""The table of a team: how each trader's machines stand, in words that claim no more than was heard, and how old it is.

Names and texts are others' words, and made harmless here. What was not heard lately is told as what it was.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import SequenceMatcher
from enum import StrEnum

from ct_mcp.desk.team import Team, in_force
from ct_mcp.domain.team import (
    EVERYBODY,
    Member,
    PlaneEntry,
    ReportedAccount,
    SeenTrader,
    TeamHalt,
    TeamPolicy,
    TeamRole,
    TraderReport,
)
from ct_mcp.text import count, sanitize, span

SILENT_AFTER = timedelta(seconds=30)
"""A machine that runs is heard at least every ten seconds."""
READ_LATELY = timedelta(seconds=60)
"""What was read longer ago is no longer told as what is."""
_NAME, _WORDS = 63, 300
_UNREAD = TraderReport("", "", "", "", 0, (), ())
_DONE = {
    "member_added": "made a member of",
    "member_removed": "removed from the team",
    "halted": "halted",
    "resumed": "resumed",
    "policy_set": "set the policy of",
    "second_yes": "said the second yes for",
    "second_no": "said the second no for",
}
"""What is done at the plane, in words; of another act its own name."""
_DETAILS = {"reason": "", "number": "#", "role": "as ", "headline": "", "ticket_id": "ticket "}
"""What is told of an act, by its name in the record, and what stands before it."""


@dataclass(frozen=True, slots=True)
class SeenAccount:
    """One account as it is shown; ``stands`` is in words, ``held`` whether anything is, None where nobody knows now."""

    report: ReportedAccount
    stands: str
    held: bool | None

    @property
    def name(self) -> str:
        """Its name, made harmless."""
        return sanitize(self.report.account, longest=80)

    @property
    def kind(self) -> str:
        """Whether real money is meant, in the word of every page."""
        return "SIM" if self.report.kind.is_simulated else "LIVE"

    @property
    def over(self) -> tuple[str, ...]:
        """The rules that stand in the way of opening there."""
        return tuple(sanitize(rule, longest=60) for rule in self.report.over)


@dataclass(frozen=True, slots=True)
class SeenMachine:
    """One machine of a trader as it is shown; one that was never heard has no ``heard_seconds``, and nothing else.

    ``is_read`` is False where its report cannot be read here. ``halts`` are those of the plane, ``says_halted`` is the
    machine's own word; ``not_arrived`` are the numbers of policies that hold for the trader and that the machine does
    not go by.
    """

    trader: str
    machine: str = ""
    mode: str = ""
    version: str = ""
    heard_seconds: int | None = None
    silent: bool = True
    is_read: bool = True
    accounts: tuple[SeenAccount, ...] = ()
    halts: tuple[str, ...] = ()
    says_halted: str = ""
    unknown_outcomes: int = 0
    not_arrived: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """The trader, and at which machine, made harmless."""
        return f"{self.who} at {self.machine}" if self.machine else self.who

    @property
    def who(self) -> str:
        """The trader, made harmless; ``trader`` is the name that the plane knows."""
        return _name(self.trader)

    @property
    def heard(self) -> str:
        """How long ago it was heard."""
        return self.heard_after(0)

    def heard_after(self, seconds: int) -> str:
        """How long ago it was heard, so many seconds after all of this was read."""
        return "never heard" if self.heard_seconds is None else f"{span(self.heard_seconds + seconds)} ago"

    @property
    def is_halted(self) -> bool:
        """Whether nothing opens there, by anybody's word."""
        return bool(self.halts or self.says_halted)

    def stands_out(self, everybody: TeamHalt | None) -> bool:
        """Whether somebody should look at it, beside what holds for all."""
        besides = halt_words(everybody) if everybody else ""
        own = [halt for halt in self.halts if halt != besides]
        return bool(self.silent or own or self.says_halted or self.unknown_outcomes or self.over or not self.is_read)

    @property
    def held(self) -> bool | None:
        """Whether anything is held in any of its accounts; None where nobody knows."""
        each = [account.held for account in self.accounts]
        if True in each:
            return True
        return None if None in each or not each else False

    @property
    def over(self) -> tuple[str, ...]:
        """The rules that stand in the way of opening, each with its account."""
        return tuple(f"{rule} ({account.name})" for account in self.accounts for rule in account.over)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What somebody should look at, the worst first."""
        return tuple(self._remarks())

    def remarks_besides(self, everybody: TeamHalt | None) -> tuple[str, ...]:
        """What somebody should look at, without the halt of everybody, which stands on top of all."""
        besides = halt_words(everybody) if everybody else ""
        return tuple(remark for remark in self.remarks if remark != besides)

    def _remarks(self) -> Iterator[str]:
        if self.unknown_outcomes:
            yield f"unknown outcome: {count(self.unknown_outcomes, 'order')}"
        if self.silent:
            yield "never heard" if self.heard_seconds is None else f"silent for {span(self.heard_seconds)}"
        if not self.is_read:
            yield "its report cannot be read here: it has another version of ct-mcp"
        yield from self.halts
        if self.says_halted:
            yield f"its machine says: halted {self.says_halted}"
        yield from (f"over {rule}" for rule in self.over)
        if self.not_arrived and not self.silent:
            yield f"does not go by policy {', '.join(f'#{number}' for number in self.not_arrived)} yet"


class TeamGroup(StrEnum):
    """What machines have in common, as a person asks for it."""

    HOLD = "hold"
    FLAT = "flat"
    NOT_KNOWN = "not known"
    HALTED = "halted"
    OVER_A_RULE = "over a rule"
    SILENT = "silent"
    UNKNOWN = "of unknown outcome"
    STANDS_OUT = "to look at"

    @property
    def is_calm(self) -> bool:
        """Whether nobody has to look at it."""
        return self in (TeamGroup.HOLD, TeamGroup.FLAT, TeamGroup.NOT_KNOWN)


_IN: Mapping[TeamGroup, Callable[[SeenMachine, TeamHalt | None], bool]] = {
    TeamGroup.HOLD: lambda each, _: each.held is True,
    TeamGroup.FLAT: lambda each, _: each.held is False,
    TeamGroup.NOT_KNOWN: lambda each, _: each.held is None,
    TeamGroup.HALTED: lambda each, _: each.is_halted,
    TeamGroup.OVER_A_RULE: lambda each, _: bool(each.over),
    TeamGroup.SILENT: lambda each, _: each.silent,
    TeamGroup.UNKNOWN: lambda each, _: bool(each.unknown_outcomes),
    TeamGroup.STANDS_OUT: lambda each, everybody: each.stands_out(everybody),
}


@dataclass(frozen=True, slots=True)
class TeamView:
    """All that is shown of a team at one moment; ``everybody`` is the halt of all."""

    machines: tuple[SeenMachine, ...]
    everybody: TeamHalt | None
    halted: tuple[str, ...]
    role: TeamRole
    read_at: datetime

    @property
    def summary(self) -> tuple[tuple[TeamGroup, int], ...]:
        """How many machines are in each group, for a glance; also where there is none."""
        return tuple((group, len(self.of(group))) for group in TeamGroup)

    def of(self, group: TeamGroup) -> tuple[SeenMachine, ...]:
        """Pick the machines of one group."""
        return tuple(each for each in self.machines if _IN[group](each, self.everybody))

    @property
    def traders(self) -> tuple[str, ...]:
        """Each trader once, in order."""
        return tuple(dict.fromkeys(each.trader for each in self.machines))

    @property
    def head(self) -> str:
        """How many are seen."""
        return count(len(self.traders), "trader")


@dataclass(frozen=True, slots=True)
class TeamFacts:
    """What was read of the plane at one moment, by its own clock."""

    now: datetime
    role: TeamRole
    members: tuple[Member, ...]
    traders: tuple[SeenTrader, ...]
    halts: tuple[TeamHalt, ...]
    policies: tuple[TeamPolicy, ...]


async def read_team(team: Team, policies: tuple[TeamPolicy, ...] | None = None) -> TeamFacts:
    """Read all that the table shows; policies, whose texts may be long, only where none were given."""
    now, role = await team.now(), await team.role()
    members, traders = await team.members(), await team.traders()
    held = await team.policies() if policies is None else policies
    return TeamFacts(now, role, members, traders, await team.halts(), held)


def team_table(facts: TeamFacts) -> TeamView:
    """Make the table; a trader without a report has a line as well."""
    heard = {seen.trader for seen in facts.traders}
    never = [SeenMachine(one.name) for one in facts.members if one.role is TeamRole.TRADER and one.name not in heard]
    machines = [_machine(seen, facts) for seen in facts.traders] + never
    stands = {halt.trader: halt for halt in facts.halts}
    return TeamView(
        machines=tuple(sorted(machines, key=lambda each: (each.trader, each.machine))),
        everybody=stands.get(EVERYBODY),
        halted=tuple(sorted(trader for trader in stands if trader != EVERYBODY)),
        role=facts.role,
        read_at=facts.now,
    )


def halt_words(halt: TeamHalt) -> str:
    """Say whom a halt of the plane is for, who set it, and why."""
    why = sanitize(halt.halt.reason, longest=_WORDS)
    return f"halted at the plane ({_whom(halt.trader)}) by {_name(halt.halt.by)}: {why}"


def act_words(act: PlaneEntry) -> str:
    """Say who did what to whom, and with what."""
    whom = f" {_whom(act.trader)}" if act.trader or act.act in _DONE else ""
    told = sanitize(_told(act.detail), longest=_WORDS)
    return f"{_name(act.by)} {_DONE.get(act.act, sanitize(act.act, longest=40))}{whom}{f': {told}' if told else ''}"


def _told(detail: str) -> str:
    """Write a detail, which is JSON, as words: what a person reads of it; what is no JSON as it is."""
    try:
        found = json.loads(detail or "{}")
    except ValueError:
        return detail
    if not isinstance(found, dict):
        return str(found)
    told = [f"{words}{found[name]}" for name, words in _DETAILS.items() if name in found]
    return "; ".join(told or [f"{name}: {value}" for name, value in found.items()])


def changes(before: str, after: str) -> tuple[str, ...]:
    """Give what changes from one text to another, line by line: ``+`` comes, ``-`` goes, a blank stays."""
    was, now, told = before.splitlines(), after.splitlines(), list[str]()
    for tag, start, end, new_start, new_end in SequenceMatcher(None, was, now).get_opcodes():
        stays = tag == "equal"
        told += [f"{' ' if stays else '-'} {line}".rstrip() for line in was[start:end]]
        told += [] if stays else [f"+ {line}".rstrip() for line in now[new_start:new_end]]
    return tuple(told)


def _machine(seen: SeenTrader, facts: TeamFacts) -> SeenMachine:
    age, report = max(timedelta(0), facts.now - seen.heard_at), seen.report or _UNREAD
    return SeenMachine(
        trader=seen.trader,
        machine=_name(seen.machine),
        is_read=seen.report is not None,
        mode=sanitize(report.mode, longest=20).replace("_", " "),
        version=sanitize(report.version, longest=20),
        heard_seconds=int(age.total_seconds()),
        silent=age > SILENT_AFTER,
        accounts=tuple(_account(account, facts.now, is_heard=age <= SILENT_AFTER) for account in report.accounts),
        halts=tuple(halt_words(halt) for halt in facts.halts if halt.trader in (EVERYBODY, seen.trader)),
        says_halted=sanitize(report.halted, longest=_WORDS),
        unknown_outcomes=report.unknown_outcomes,
        not_arrived=_not_arrived(seen.trader, report, in_force(facts.policies)) if seen.report else (),
    )


def _not_arrived(trader: str, report: TraderReport, held: Mapping[str, TeamPolicy]) -> tuple[int, ...]:
    wanted = [held[whose].number for whose in (EVERYBODY, trader) if whose in held]
    return tuple(number for number in wanted if number not in report.policies)


def _account(account: ReportedAccount, now: datetime, *, is_heard: bool) -> SeenAccount:
    age = None if account.read_at is None else now - account.read_at
    is_fresh = is_heard and age is not None and age <= READ_LATELY
    stands = ", ".join(_stands(account))
    if account.positions is not None and not is_fresh:
        stands = f"{stands} when read {f'{span(max(0.0, age.total_seconds()))} ago' if age is not None else 'last'}"
    held = None if not is_fresh or account.positions is None else bool(account.positions)
    return SeenAccount(account, stands, held)


def _stands(account: ReportedAccount) -> Iterator[str]:
    if account.positions is None:
        yield "not known"
        return
    held = [f"{one.contracts:+d} {sanitize(one.instrument, longest=40)}" for one in account.positions]
    yield ", ".join(held) or "flat"
    if account.working_orders is None:
        yield "orders not known"
    elif account.working_orders:
        yield f"{count(account.working_orders, 'order')} working"


def _whom(trader: str) -> str:
    return "everybody" if trader == EVERYBODY else _name(trader)


def _name(name: str) -> str:
    return sanitize(name, longest=_NAME)


def rows_of(policies: Sequence[TeamPolicy], trader: str) -> tuple[TeamPolicy, ...]:
    """Pick the policies of one, or of everybody, the newest first."""
    return tuple(sorted((each for each in policies if each.trader == trader), key=lambda each: -each.number))
