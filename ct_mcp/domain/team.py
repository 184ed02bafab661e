"""A team's traders as the plane knows them: what it says to one of them, and what each tells it of himself.

The plane says no more than a trader's own settings allow: what it says narrows them, halts, or wants a second yes.
Times are aware UTC; money is the account's currency; positions are signed contracts; None is what is not known.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from ct_mcp.domain.account import AccountKind
from ct_mcp.domain.approval import Halt

EVERYBODY = ""
"""The trader that is named where all of them are meant."""


class TeamRole(StrEnum):
    """What a member of the team may do at the plane."""

    TRADER = "trader"
    RISK_MANAGER = "risk_manager"


@dataclass(frozen=True, slots=True)
class Member:
    """One role of the database that belongs to the team."""

    name: str
    role: TeamRole


@dataclass(frozen=True, slots=True)
class TeamPolicy:
    """What a risk manager has set for one trader, or for everybody: ``text`` is TOML, as in a settings file."""

    number: int
    trader: str
    text: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class TeamHalt:
    """A halt of one trader, or of everybody."""

    trader: str
    halt: Halt


@dataclass(frozen=True, slots=True)
class TeamWord:
    """All that the plane says to one trader at one moment: what is halted, and the newest policies that concern him."""

    halts: tuple[TeamHalt, ...] = ()
    policies: tuple[TeamPolicy, ...] = ()

    @property
    def halt(self) -> Halt | None:
        """The halt that stands the longest."""
        return min((each.halt for each in self.halts), key=lambda halt: halt.at, default=None)


@dataclass(frozen=True, slots=True)
class TeamLost:
    """That the plane cannot be asked: why, when it was last heard, and until when openings go on all the same.

    ``heard_at`` is None where it was never heard, ``grace_until`` where nothing opens without it.
    """

    why: str
    heard_at: datetime | None = None
    grace_until: datetime | None = None

    def is_over(self, now: datetime) -> bool:
        """Say whether nothing may open any more."""
        return self.grace_until is None or now >= self.grace_until


@dataclass(frozen=True, slots=True)
class TeamStanding:
    """How a trader stands with the team at one moment: halted, out of reach, under which policies, read or not.

    ``unreadable`` says why a policy cannot be held, and is empty where all of them are.
    """

    halt: Halt | None = None
    lost: TeamLost | None = None
    unreadable: str = ""
    policies: tuple[TeamPolicy, ...] = ()

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers of the policies that hold."""
        return tuple(policy.number for policy in self.policies)


class SecondState(StrEnum):
    """What a second person has said."""

    WAITING = "waiting"
    APPROVED = "approved"
    DECLINED = "declined"


@dataclass(frozen=True, slots=True)
class SecondQuestion:
    """A ticket of a trader's that wants a second person's yes; the lines are those that the trader is shown.

    ``simulated`` says that no real money can move; where nobody says so, it counts as live.
    """

    ticket_id: str
    fingerprint: str
    heading: str
    headline: str
    lines: tuple[str, ...]
    asked_at: datetime
    expires_at: datetime
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class SecondAnswer:
    """What became of such a question: of which commands, who answered, and when."""

    fingerprint: str
    state: SecondState
    by: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AskedOfTeam:
    """A question as it stands at the plane."""

    trader: str
    question: SecondQuestion
    answer: SecondAnswer


@dataclass(frozen=True, slots=True)
class HeldPosition:
    """One instrument that is held."""

    instrument: str
    contracts: int


@dataclass(frozen=True, slots=True)
class ReportedAccount:
    """One account as a trader's machine last read it at ``read_at``.

    ``positions`` is None where they are not known, and empty where the account was read flat. ``over`` names the rules
    by their codes that stand in the way of opening now.
    """

    account: str
    kind: AccountKind
    positions: tuple[HeldPosition, ...] | None
    working_orders: int | None
    day_pnl: Decimal | None
    armed_until: datetime | None
    over: tuple[str, ...]
    read_at: datetime | None

    @property
    def is_flat(self) -> bool | None:
        """Whether nothing was held when it was read; None where that is not known."""
        return None if self.positions is None else not self.positions


@dataclass(frozen=True, slots=True)
class TraderReport:
    """What one machine of a trader tells the plane of itself.

    ``halted`` says by whom and why, and is empty where it is not. ``policies`` are the numbers of those it goes by.
    """

    machine: str
    version: str
    mode: str
    halted: str
    unknown_outcomes: int
    policies: tuple[int, ...]
    accounts: tuple[ReportedAccount, ...]


@dataclass(frozen=True, slots=True)
class SeenTrader:
    """The last report of one machine of a trader, and when the plane's database heard it, by its own clock.

    ``report`` is None where it cannot be read: a newer version wrote it, or none of ours.
    """

    trader: str
    machine: str
    report: TraderReport | None
    heard_at: datetime


@dataclass(frozen=True, slots=True)
class PlaneEntry:
    """One act at the plane, in its own chain of hashes: who did what to whom."""

    sequence: int
    at: datetime
    by: str
    act: str
    trader: str
    detail: str
    previous_hash: str
    hash: str
