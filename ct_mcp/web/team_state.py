"""What the pages of a team work with, and what was last read of the plane, which stays where it goes out of reach."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlencode

import anyio

from ct_mcp.desk.controls import Controls
from ct_mcp.desk.pin import PinAnswer, pin_is_set
from ct_mcp.desk.ports import ControlStore
from ct_mcp.desk.team import Faults, Team
from ct_mcp.desk.team_view import TeamFacts, TeamView, read_team, team_table
from ct_mcp.domain.team import TeamPolicy, TeamRole
from ct_mcp.errors import CtMcpError
from ct_mcp.text import command
from ct_mcp.web.sessions import BrowserSession, SessionStore

_GOOD_FOR = timedelta(seconds=1)
_POLICIES_GOOD_FOR = timedelta(seconds=10)
_PIN_FAULTS = {
    PinAnswer.WRONG: "That is not your PIN.",
    PinAnswer.LOCKED: "Too many wrong PINs: the PIN is locked for a while.",
    PinAnswer.NOT_SET: "There is no PIN yet. Set one in a terminal of your own: {pin}.",
}


@dataclass(frozen=True, slots=True)
class TeamSnapshot:
    """The table as it was last read, at ``read_at`` by this machine's clock, and why it could not be read since."""

    table: TeamView | None
    read_at: datetime
    failure: CtMcpError | None = None

    @property
    def is_old(self) -> bool:
        """Whether the plane could not be read any more."""
        return self.failure is not None


@dataclass
class TeamReader:
    """Reads the plane for all panels of all pages, once a second at most."""

    team: Team
    clock: Callable[[], datetime]
    _last: TeamSnapshot | None = None
    _looked_at: datetime | None = None
    _policies: tuple[TeamPolicy, ...] = ()
    _policies_at: datetime | None = None
    _turn: anyio.Lock = field(default_factory=anyio.Lock)

    async def read(self) -> TeamSnapshot:
        """Give the table as it is, or as it was with the failure."""
        async with self._turn:
            now = self.clock()
            if self._last is None or not _is_fresh(self._looked_at, now, _GOOD_FOR):
                self._last = await self._read(now)
                self._looked_at = self.clock()
            return self._last

    def forget(self) -> None:
        """Read anew next time: something was changed from here."""
        self._looked_at = self._policies_at = None

    async def _read(self, now: datetime) -> TeamSnapshot:
        try:
            return TeamSnapshot(team_table(await self._facts(now)), now)
        except CtMcpError as failure:
            last = self._last
            return TeamSnapshot(last.table if last else None, last.read_at if last else now, failure)

    async def _facts(self, now: datetime) -> TeamFacts:
        """Read all but the policies, which change seldom and may be long: of them those of a few seconds ago do."""
        if not _is_fresh(self._policies_at, now, _POLICIES_GOOD_FOR):
            self._policies, self._policies_at = await self.team.policies(), now
        return await read_team(self.team, self._policies)


def _is_fresh(at: datetime | None, now: datetime, good_for: timedelta) -> bool:
    """Say whether what was read then still holds; what was read in the future was so by a clock that was set back."""
    return at is not None and timedelta(0) <= now - at < good_for


def address_of(session: BrowserSession, page: str, trader: str) -> str:
    """Give the address of a page, of one trader where one is named."""
    return f"{session.path}{page}?{urlencode({'trader': trader})}" if trader else f"{session.path}{page}"


@dataclass(frozen=True, slots=True)
class TeamState:
    """What every page works with. ``pins`` is the store of this machine, which holds the person's PIN."""

    team: Team
    pins: ControlStore
    sessions: SessionStore
    clock: Callable[[], datetime]
    faults_of: Faults
    role: TeamRole

    @property
    def decides(self) -> bool:
        """Whether this member may halt, resume, set policies and answer."""
        return self.role is TeamRole.RISK_MANAGER

    async def needs_pin(self) -> bool:
        """Whether what decides asks for the PIN of this machine."""
        return await pin_is_set(self.pins)

    async def pin_fault(self, given: str) -> str:
        """Say why the PIN does not open this; nothing where it does, or where none is set."""
        if not await self.needs_pin():
            return ""
        answer = await Controls(self.pins, self.clock).try_pin(given)
        return _PIN_FAULTS.get(answer, "").format(pin=command("pin"))
