"""A team's plane in memory, for the commands and pages over it; and reports as traders' machines send them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from ct_mcp.domain.account import AccountKind
from ct_mcp.domain.approval import Halt
from ct_mcp.domain.team import (
    AskedOfTeam,
    HeldPosition,
    Member,
    PlaneEntry,
    ReportedAccount,
    SecondAnswer,
    SecondQuestion,
    SecondState,
    SeenTrader,
    TeamHalt,
    TeamPolicy,
    TeamRole,
    TraderReport,
)
from ct_mcp.errors import BadRequest, StoreOutOfReach
from ct_mcp.store.journal import Entry, Verification

NOW = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)
RISK = "risk"
SECRET = "the-words-of-a-password"


def account(
    name: str = "Sim101",
    *,
    kind: AccountKind = AccountKind.SIMULATED,
    held: Sequence[tuple[str, int]] | None = (),
    over: tuple[str, ...] = (),
    read_at: datetime | None = NOW,
    working: int | None = 0,
    pnl: Decimal | None = Decimal("12.5"),
) -> ReportedAccount:
    """One account, read flat just now unless the test says otherwise; ``held`` None is what nobody knows."""
    positions = None if held is None else tuple(HeldPosition(instrument, number) for instrument, number in held)
    return ReportedAccount(name, kind, positions, working, pnl, None, over, read_at)


def report(*accounts: ReportedAccount, mode: str = "sim", halted: str = "", unknown: int = 0) -> TraderReport:
    """What one machine tells of itself."""
    return TraderReport("desk", "1.0.0", mode, halted, unknown, (), accounts or (account(),))


def seen(trader: str, told: TraderReport | None = None, *, machine: str = "desk", ago: float = 3) -> SeenTrader:
    """A trader who was heard so many seconds ago."""
    return SeenTrader(trader, machine, told or report(), NOW - timedelta(seconds=ago))


def asked(
    trader: str = "alice", ticket_id: str = "t-4711", *, simulated: bool = False, lines: tuple[str, ...] = ("Risk 100",)
) -> AskedOfTeam:
    """A question that waits for a second person."""
    headline = "APEX-482910  BUY 2 MES 12-26 MARKET"
    heading = "LIVE ACCOUNT - REAL MONEY"
    times = (NOW - timedelta(seconds=10), NOW + timedelta(seconds=80))
    question = SecondQuestion(ticket_id, "ab12cd34", heading, headline, lines, *times, simulated)
    return AskedOfTeam(trader, question, SecondAnswer("ab12cd34", SecondState.WAITING))


@dataclass
class FakeTeam:
    """The plane as one member has it; out of reach where a test says so. What a trader may not, raises."""

    me: TeamRole = TeamRole.RISK_MANAGER
    people: list[Member] = field(
        default_factory=lambda: [Member(RISK, TeamRole.RISK_MANAGER), Member("alice", TeamRole.TRADER)]
    )
    heard: list[SeenTrader] = field(default_factory=list)
    standing: list[TeamHalt] = field(default_factory=list)
    set_so_far: list[TeamPolicy] = field(default_factory=list)
    asked: list[AskedOfTeam] = field(default_factory=list)
    entries: dict[str, tuple[Entry, ...]] = field(default_factory=dict)
    done: list[PlaneEntry] = field(default_factory=list)
    found: Verification = field(default_factory=lambda: Verification(ok=True, count=0, last_hash="0" * 64))
    at: datetime = NOW
    clock: Callable[[], datetime] | None = None
    is_out_of_reach: bool = False
    asked_for: list[str] = field(default_factory=list)

    def _reach(self, what: str) -> None:
        self.asked_for.append(what)
        if self.is_out_of_reach:
            raise StoreOutOfReach("postgresql://risk@db.example/team: it cannot be reached", next_step="look at it")

    def _decide(self, what: str) -> None:
        self._reach(what)
        if self.me is not TeamRole.RISK_MANAGER:
            raise BadRequest("a trader may not")

    def _did(self, act: str, trader: str, detail: str = "") -> None:
        self.done.append(PlaneEntry(len(self.done) + 1, self.at, RISK, act, trader, detail, "", ""))
        self.found = replace(self.found, count=len(self.done))

    async def now(self) -> datetime:
        self._reach("now")
        return self.clock() if self.clock else self.at

    async def role(self) -> TeamRole:
        self._reach("role")
        return self.me

    async def members(self) -> tuple[Member, ...]:
        self._reach("members")
        return tuple(self.people)

    async def traders(self) -> tuple[SeenTrader, ...]:
        self._reach("traders")
        return tuple(self.heard)

    async def halts(self) -> tuple[TeamHalt, ...]:
        self._reach("halts")
        return tuple(self.standing)

    async def halt(self, trader: str, reason: str) -> TeamHalt:
        self._decide("halt")
        for halt in self.standing:
            if halt.trader == trader:
                return halt
        self._did("halted", trader, reason)
        self.standing.append(TeamHalt(trader, Halt(RISK, self.at, reason)))
        return self.standing[-1]

    async def resume(self, trader: str) -> bool:
        self._decide("resume")
        left = [halt for halt in self.standing if halt.trader != trader]
        was, self.standing = len(self.standing), left
        return len(left) < was

    async def policies(self) -> tuple[TeamPolicy, ...]:
        self._reach("policies")
        return tuple(reversed(self.set_so_far))

    async def set_policy(self, trader: str, text: str) -> TeamPolicy:
        self._decide("set_policy")
        self.set_so_far.append(TeamPolicy(len(self.set_so_far) + 1, trader, text, RISK, self.at))
        return self.set_so_far[-1]

    async def questions(self) -> tuple[AskedOfTeam, ...]:
        self._reach("questions")
        return tuple(self.asked)

    async def decide(self, ticket_id: str, fingerprint: str, yes: bool) -> SecondAnswer:
        self._decide("decide")
        for place, one in enumerate(self.asked):
            if one.question.ticket_id == ticket_id and one.question.fingerprint == fingerprint:
                if one.answer.state is not SecondState.WAITING or await self.now() >= one.question.expires_at:
                    raise BadRequest("it is answered already, or over")
                state = SecondState.APPROVED if yes else SecondState.DECLINED
                answer = SecondAnswer(fingerprint, state, RISK, self.at)
                self.asked[place] = replace(one, answer=answer)
                return answer
        raise BadRequest("there is no such question")

    async def journal(self, trader: str, limit: int) -> tuple[Entry, ...]:
        self._decide("journal")
        return self.entries.get(trader, ())[:limit]

    async def verify_journal(self, trader: str) -> Verification:
        self._decide("verify_journal")
        return Verification(ok=True, count=len(self.entries.get(trader, ())), last_hash="0" * 64)

    async def acts(self, limit: int) -> tuple[PlaneEntry, ...]:
        self._reach("acts")
        return tuple(reversed(self.done))[:limit]

    async def verify(self) -> Verification:
        self._reach("verify")
        return self.found

    async def close(self) -> None:
        pass


def with_traders(count: int) -> FakeTeam:
    """A team of so many traders, of each kind that there is."""
    team = FakeTeam(people=[Member(RISK, TeamRole.RISK_MANAGER)])
    for number in range(count):
        trader = f"trader-{number:02}"
        team.people.append(Member(trader, TeamRole.TRADER))
        if number % 17 != 16:
            team.heard.append(_one_of_many(trader, number))
    return team


def _one_of_many(trader: str, number: int) -> SeenTrader:
    live = account(
        f"APEX-{48000 + number}",
        kind=AccountKind.LIVE,
        held=((), [("MES 12-26", 2)], [("NQ 12-26", -1), ("MES 12-26", 3)], None)[number % 4],
        over=("DAY_LOSS_REACHED",) if number % 11 == 3 else (),
        pnl=Decimal(number * 37 - 400) if number % 5 else None,
        working=number % 3,
    )
    accounts = (live, account()) if number % 6 == 1 else (live,)
    told = TraderReport(
        f"desk-{number}",
        "1.2.0",
        ("live", "sim", "read_only")[number % 3],
        "by the person: lunch" if number % 13 == 5 else "",
        1 if number % 19 == 7 else 0,
        (),
        accounts,
    )
    return SeenTrader(trader, told.machine, told, NOW - timedelta(seconds=200 if number % 9 == 8 else number % 10))


def by_the_clock(team: FakeTeam, clock: Callable[[], datetime]) -> FakeTeam:
    """Let a team live by a clock: what it heard and asked at `NOW` it heard and asked just now."""
    since = clock() - NOW
    team.clock = clock
    team.heard = [
        replace(each, heard_at=each.heard_at + since, report=_later(each.report, since)) for each in team.heard
    ]
    for place, one in enumerate(team.asked):
        question = one.question
        asked_at, expires_at = question.asked_at + since, question.expires_at + since
        team.asked[place] = replace(one, question=replace(question, asked_at=asked_at, expires_at=expires_at))
    return team


def _later(told: TraderReport | None, since: timedelta) -> TraderReport | None:
    if told is None:
        return None
    accounts = tuple(replace(one, read_at=one.read_at and one.read_at + since) for one in told.accounts)
    return replace(told, accounts=accounts)
