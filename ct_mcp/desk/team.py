"""What a team's commands and pages need of the plane: who is seen, what is halted, set and asked, and what was done."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from ct_mcp.domain.team import (
    AskedOfTeam,
    Member,
    PlaneEntry,
    SecondAnswer,
    SecondState,
    SeenTrader,
    TeamHalt,
    TeamPolicy,
    TeamRole,
)
from ct_mcp.store.journal import Entry, Verification
from ct_mcp.text import one_line

LONGEST_REASON = 200
LONGEST_POLICY = 64 * 1024
"""How many characters a policy may have."""

Faults = Callable[[str], Sequence[str]]
"""Reads the text of a policy, and gives everything that is wrong with it, a line for each."""


class Team(Protocol):
    """The plane as one of its members has it.

    What a risk manager alone may is refused to a trader, who finds the own rows alone. Every call raises `StoreFailed`
    where the plane is out of reach, and `Refused` where it says no.
    """

    async def now(self) -> datetime:
        """Tell the time by the plane's clock, which all its times are of."""
        ...

    async def role(self) -> TeamRole:
        """Say what the role that connects may do."""
        ...

    async def members(self) -> tuple[Member, ...]:
        """List who belongs to the team."""
        ...

    async def traders(self) -> tuple[SeenTrader, ...]:
        """Give the last report of each machine of each trader."""
        ...

    async def halts(self) -> tuple[TeamHalt, ...]:
        """List the halts that stand."""
        ...

    async def halt(self, trader: str, reason: str) -> TeamHalt:
        """Halt one, or everybody; gives the halt that stands, which may be older."""
        ...

    async def resume(self, trader: str) -> bool:
        """Lift the halt of one, or that of everybody; False where there was none."""
        ...

    async def policies(self) -> tuple[TeamPolicy, ...]:
        """List all that were ever set, the newest first; an empty text ended the one before."""
        ...

    async def set_policy(self, trader: str, text: str) -> TeamPolicy:
        """Set the policy of one, or that of everybody, in place of the one before."""
        ...

    async def questions(self) -> tuple[AskedOfTeam, ...]:
        """List what waits for a second person, and what was answered lately."""
        ...

    async def decide(self, ticket_id: str, fingerprint: str, yes: bool) -> SecondAnswer:  # noqa: FBT001
        """Answer for a ticket, and for these very commands of it."""
        ...

    async def journal(self, trader: str, limit: int) -> tuple[Entry, ...]:
        """Read a trader's journal, the newest first, where it stands in this database."""
        ...

    async def verify_journal(self, trader: str) -> Verification:
        """Follow the whole chain of a trader's journal."""
        ...

    async def acts(self, limit: int) -> tuple[PlaneEntry, ...]:
        """List what was done at the plane, the newest first."""
        ...

    async def verify(self) -> Verification:
        """Follow the whole chain of what was done at the plane."""
        ...

    async def close(self) -> None:
        """Close the connection; a later call opens it again."""
        ...


def in_force(policies: Sequence[TeamPolicy]) -> dict[str, TeamPolicy]:
    """Give the newest policy of everybody, and of each trader that has one; one that was cleared is none."""
    newest: dict[str, TeamPolicy] = {}
    for policy in sorted(policies, key=lambda policy: policy.number):
        newest[policy.trader] = policy
    return {trader: policy for trader, policy in newest.items() if policy.text.strip()}


def waiting(questions: Sequence[AskedOfTeam], now: datetime) -> tuple[AskedOfTeam, ...]:
    """Pick the questions that can still be answered, the oldest first."""
    open_ones = [
        asked for asked in questions if asked.answer.state is SecondState.WAITING and now < asked.question.expires_at
    ]
    return tuple(sorted(open_ones, key=lambda asked: asked.question.asked_at))


def phrase_of(asked: AskedOfTeam) -> str:
    """Give what a second person types for a yes: whose order it is, and a piece of what is bound to its commands."""
    return f"{one_line(asked.trader)} {asked.question.fingerprint[:4].upper()}"


def is_phrase(asked: AskedOfTeam, typed: str | None) -> bool:
    """Say whether this is that; blanks and the case of letters do not matter."""
    return " ".join((typed or "").split()).casefold() == " ".join(phrase_of(asked).split()).casefold()
