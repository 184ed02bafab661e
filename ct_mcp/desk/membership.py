"""How one trader stands with the team: the policy that holds now, a halt, and what holds while the plane is silent.

1. The plane is asked at each review of what may open, once more right before the wire, and every few seconds beside
   that. No exit waits for it. What does not answer within `WORD_WITHIN_SECONDS` is out of reach.
2. What it says narrows the trader's own policy. Whoever judges takes `policy` at that moment; a review keeps its own.
3. While it is out of reach, its last word holds, the halt among it, and openings go on for the time of grace that it
   set, counted from that word. A clock that has been set back since ends that time, and a restart does not.
4. Where there is no team nothing of this holds anything.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count
from typing import Protocol

import anyio

from ct_mcp.desk.plane import Plane
from ct_mcp.domain.approval import Halt
from ct_mcp.domain.team import EVERYBODY, TeamLost, TeamPolicy, TeamStanding, TeamWord
from ct_mcp.errors import ConfigError, Halted, NotInTeam, OrderDenied, StoreFailed
from ct_mcp.guard.policy import NO_TEAM, Policy, TeamRules
from ct_mcp.guard.rules.team import halted_by_team, silence_of
from ct_mcp.guard.team_policy import both, faults_of, narrowed
from ct_mcp.store.team_file import Heard, TeamFile

WORD_WITHIN_SECONDS = 2.0
_KEPT_EVERY = timedelta(seconds=5)
# Clocks are set by a little all the time.
_SLIP = timedelta(seconds=5)
_NOT_ASKED = "it has not been asked yet"
_log = logging.getLogger(__name__)


class PolicyInForce(Protocol):
    """Whoever knows the policy that holds now."""

    @property
    def policy(self) -> Policy:
        """Give it as it holds at this moment."""
        ...


@dataclass(frozen=True, slots=True)
class TeamLink:
    """What connects a desk with its team: the plane, who reads a policy's text, and where its last word is kept.

    ``read_policy`` raises `ConfigError` of a text that it cannot read.
    """

    plane: Plane
    read_policy: Callable[[str], TeamRules]
    file: TeamFile


class Membership:
    """One trader's desk and its team, if there is one."""

    def __init__(self, own: Policy, clock: Callable[[], datetime], link: TeamLink | None = None) -> None:
        self.own, self.link = own, link
        self.on_change: list[Callable[[], None]] = []
        self._clock = clock
        self._policy, self._unreadable, self._grace = own, "", timedelta(0)
        self._why, self._has_grace = _NOT_ASKED if link else "", True
        self._numbers, self._newest = count(1), 0
        self._asked_at: datetime | None = None
        self._kept_at: datetime | None = None
        self._heard = link.file.read() if link else None
        if self._heard is not None:
            self._hold(self._heard.word)

    @property
    def policy(self) -> Policy:
        """The policy that holds now: the trader's own, as the team narrows it."""
        return self._policy

    @property
    def standing(self) -> TeamStanding | None:
        """How it stands now, by what was heard last; None where there is no team."""
        if self.link is None:
            return None
        word = TeamWord() if self._heard is None else self._heard.word
        return TeamStanding(word.halt, self._lost(), self._unreadable, word.policies)

    async def hear(self, oldest_seconds: float = 0.0) -> TeamStanding | None:
        """Ask the plane, unless it was asked so few seconds ago, and give how it stands then. Raises nothing."""
        if self.link is None or self._is_fresh(oldest_seconds):
            return self.standing
        before, number = self._shown(), next(self._numbers)
        word, why, has_grace = await _ask(self.link.plane)
        if number > self._newest:  # a slow answer is none beside one that was asked for later
            self._newest, self._asked_at = number, self._clock()
            self._take(word, why, has_grace=has_grace)
        if self._shown() != before:
            for hear in tuple(self.on_change):
                hear()
        return self.standing

    async def last_look(self, seen: TeamStanding | None) -> None:
        """Right before the wire: what was reviewed may be halted by now, or under another policy.

        Raises:
            Halted: By the team.
            OrderDenied: The plane is out of reach for too long, or another policy holds since the review.
        """
        now = await self.hear()
        if now is None:
            return
        if now.halt is not None:
            raise Halted(halted_by_team(now.halt).figures, next_step="tell the person; only a risk manager lifts it")
        if denial := silence_of(now, self._clock()):
            raise OrderDenied(str(denial), next_step="tell the person the reason")
        if seen is None or now.numbers != seen.numbers:
            raise OrderDenied("the team has set another policy since it was reviewed", next_step="propose it again")

    async def close(self) -> None:
        """Close the connection to the plane."""
        if self.link is not None:
            await self.link.plane.close()

    def _is_fresh(self, oldest_seconds: float) -> bool:
        if self._asked_at is None or not oldest_seconds:
            return False
        return timedelta(0) <= self._clock() - self._asked_at <= timedelta(seconds=oldest_seconds)

    def _shown(self) -> tuple[Halt | None, tuple[int, ...], str, bool]:
        """What whoever watches must hear of, if it changes."""
        standing = self.standing or TeamStanding()
        return standing.halt, standing.numbers, standing.unreadable, standing.lost is None

    def _take(self, word: TeamWord | None, why: str, *, has_grace: bool) -> None:
        self._why, self._has_grace, now = why, has_grace, self._clock()
        if word is not None:
            is_news = self._heard is None or word != self._heard.word
            self._heard = Heard(word, now, now)
            if is_news:
                self._hold(word)
            self._keep(now, at_once=is_news)
        elif self._heard is not None:
            self._heard = replace(self._heard, seen_at=max(self._heard.seen_at, now))
            self._keep(now)

    def _keep(self, now: datetime, *, at_once: bool = False) -> None:
        is_due = self._kept_at is None or not timedelta(0) <= now - self._kept_at < _KEPT_EVERY
        if self.link is not None and self._heard is not None and (at_once or is_due):
            self.link.file.keep(self._heard)
            self._kept_at = now

    def _hold(self, word: TeamWord) -> None:
        """Narrow the policy by what the team wants; what cannot be read of it denies what opens."""
        rules, faults = NO_TEAM, list[str]()
        read = [each for policy in word.policies if (each := self._read(policy, faults)) is not None]
        faults += faults_of(self.own, read)
        if not faults:
            for each in read:
                rules = both(rules, each)
        self._policy = narrowed(self.own, rules) if read and not faults else self.own
        self._unreadable = "; ".join(faults)
        self._grace = timedelta(seconds=rules.grace_seconds or 0)

    def _read(self, policy: TeamPolicy, faults: list[str]) -> TeamRules | None:
        if self.link is None or not policy.text.strip():
            return None
        try:
            return replace(self.link.read_policy(policy.text), numbers=(policy.number,))
        except ConfigError as unreadable:
            of = "everybody" if policy.trader == EVERYBODY else "you"
            faults.append(f"policy {policy.number} for {of}, set by {policy.by}: {unreadable.what}")
        return None

    def _lost(self) -> TeamLost | None:
        """3: why the plane has no word now, and until when openings go on."""
        if not self._why:
            return None
        if self._heard is None:
            return TeamLost(self._why)
        until = self._heard.heard_at + self._grace
        was_set_back = self._clock() < self._heard.seen_at - _SLIP
        has_grace = self._has_grace and self._grace and not was_set_back
        return TeamLost(self._why, self._heard.heard_at, until if has_grace else None)


async def _ask(plane: Plane) -> tuple[TeamWord | None, str, bool]:
    """Ask for its word; else why there is none, and whether a time of grace may cover that."""
    try:
        with anyio.fail_after(WORD_WITHIN_SECONDS):
            return await plane.word(), "", True
    except TimeoutError:
        return None, f"no answer within {WORD_WITHIN_SECONDS:.0f} s", True
    except NotInTeam as nobody:
        return None, nobody.what, False
    except StoreFailed as failed:
        return None, failed.what, True
    except Exception as surprise:  # noqa: BLE001  # logged; a fault of ours is no word of theirs
        _log.warning("The team's plane could not be asked", exc_info=True)
        return None, f"an internal fault ({type(surprise).__name__})", True
