"""A plane over a team, as one trader meets it: what a risk manager does there is a method, what arrived is a list."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import anyio

from ct_mcp.config.team_policy import parse_team_policy
from ct_mcp.desk.membership import Membership, TeamLink
from ct_mcp.domain.approval import Halt
from ct_mcp.domain.team import (
    EVERYBODY,
    SecondAnswer,
    SecondQuestion,
    SecondState,
    TeamHalt,
    TeamPolicy,
    TeamWord,
    TraderReport,
)
from ct_mcp.errors import StoreFailed, StoreOutOfReach
from ct_mcp.guard.policy import Policy
from ct_mcp.store.team_file import TeamFile

GONE = StoreOutOfReach("postgresql://alice@db.example/team: it cannot be reached")


@dataclass
class FakePlane:
    """The team's database, with a risk manager bob. ``fails`` is raised by all of it, ``hangs`` answers nothing."""

    clock: Callable[[], datetime]
    fails: StoreFailed | None = None
    hangs: bool = False
    said: TeamWord = field(default_factory=TeamWord)
    questions: dict[str, SecondQuestion] = field(default_factory=dict)
    answers: dict[str, SecondAnswer] = field(default_factory=dict)
    reports: list[TraderReport] = field(default_factory=list)
    times_asked: int = 0
    number: int = 0
    meanwhile: list[Callable[[], object]] = field(default_factory=list)
    """What happens right before the next words are heard, one each."""

    # bob

    def halt(self, reason: str = "enough for today", trader: str = EVERYBODY) -> None:
        """Halt one trader, or all."""
        each = TeamHalt(trader, Halt("bob", self.clock(), reason))
        self.said = replace(self.said, halts=(*self.said.halts, each))

    def resume(self) -> None:
        """Lift all halts."""
        self.said = replace(self.said, halts=())

    def set(self, text: str, trader: str = EVERYBODY) -> TeamPolicy:
        """Set a policy in place of the one before."""
        self.number += 1
        policy = TeamPolicy(self.number, trader, text, "bob", self.clock())
        others = tuple(each for each in self.said.policies if each.trader != trader)
        self.said = replace(self.said, policies=(*others, policy))
        return policy

    def answers_with(self, state: SecondState, fingerprint: str = "") -> None:
        """Answer all that waits."""
        for ticket_id, question in self.questions.items():
            bound_to = fingerprint or question.fingerprint
            self.answers[ticket_id] = SecondAnswer(bound_to, state, "bob", self.clock())

    def approves(self) -> None:
        """Say yes to all that waits."""
        self.answers_with(SecondState.APPROVED)

    def declines(self) -> None:
        """Say no to all that waits."""
        self.answers_with(SecondState.DECLINED)

    # Plane

    async def word(self) -> TeamWord:
        self.times_asked += 1
        await self._reached()
        if self.meanwhile:
            self.meanwhile.pop(0)()
        return self.said

    async def ask(self, question: SecondQuestion) -> None:
        await self._reached()
        self.questions[question.ticket_id] = question
        self.answers.setdefault(question.ticket_id, SecondAnswer(question.fingerprint, SecondState.WAITING))

    async def answer(self, ticket_id: str) -> SecondAnswer | None:
        await self._reached()
        return self.answers.get(ticket_id)

    async def report(self, report: TraderReport) -> None:
        await self._reached()
        self.reports.append(report)

    async def close(self) -> None:
        """Nothing is open."""

    async def _reached(self) -> None:
        if self.hangs:
            await anyio.sleep_forever()
        if self.fails is not None:
            raise self.fails


def member(policy: Policy, plane: FakePlane, folder: Path) -> Membership:
    """Build how a trader stands with that team; a second one over the same folder is the process after a restart."""
    return Membership(policy, plane.clock, TeamLink(plane, parse_team_policy, TeamFile(folder, "the plane")))
