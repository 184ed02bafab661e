"""The plane of a team as its risk managers have it, and as a trader may look at it, who sees what is his own.

Who acts is the role of the URL, whatever is given; the database refuses what it may not do. What traders have told is
text from outside: whoever shows it makes it harmless first.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TypeVar, TypeVarTuple

from anyio import to_thread

from ct_mcp.domain.approval import Halt
from ct_mcp.domain.team import (
    AskedOfTeam,
    Member,
    PlaneEntry,
    SecondAnswer,
    SecondQuestion,
    SecondState,
    SeenTrader,
    TeamHalt,
    TeamPolicy,
    TeamRole,
)
from ct_mcp.errors import BadRequest
from ct_mcp.store import journal_table
from ct_mcp.store.journal import Entry, Verification
from ct_mcp.store.plane_acts import StandsByActs, act_of, check_acts
from ct_mcp.store.plane_codec import report_from_text
from ct_mcp.store.plane_database import PATIENCE, PlaneDatabase, Row
from ct_mcp.store.plane_schema import OF_A_TEAM
from ct_mcp.store.postgres import Patience, PostgresDatabase
from ct_mcp.store.postgres_failures import shut_out
from ct_mcp.store.postgres_schema import OF_A_TRADER, Tables
from ct_mcp.store.postgres_url import PostgresUrl
from ct_mcp.store.sql import SqlConnection

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_NOW = "SELECT clock_timestamp()"
_ROLE = "SELECT my_role()"
_MEMBERS = "SELECT name, role FROM seen_members ORDER BY name"
_REPORTS = "SELECT trader, machine, report, heard_at FROM seen_reports ORDER BY trader, machine"
_HALTS = "SELECT trader, by, at, reason FROM seen_halts ORDER BY trader"
_HALT = "SELECT halt(?, ?)"
_STANDS = "SELECT trader, by, at, reason FROM seen_halts WHERE trader = ?"
_RESUME = "SELECT resume(?)"
_POLICIES = """
SELECT number, trader, text, by, at FROM seen_policies
WHERE number IN (SELECT max(number) FROM seen_policies GROUP BY trader)
OR number > (SELECT max(number) FROM seen_policies) - 200 ORDER BY number DESC
"""
_SET_POLICY = "SELECT set_policy(?, ?)"
_POLICY = "SELECT number, trader, text, by, at FROM seen_policies WHERE number = ?"
_ASKED = """
SELECT trader, ticket_id, fingerprint, heading, headline, lines, asked_at, expires_at, simulated,
state, by, at FROM seen_questions
WHERE (state = 'waiting' AND expires_at > clock_timestamp()) OR at > clock_timestamp() - interval '15 minutes'
ORDER BY asked_at LIMIT 1000
"""
_DECIDE = "SELECT decide(?, ?, ?::boolean)"
_SEEN_ACTS = "SELECT sequence, at, by, act, trader, detail, previous_hash, hash FROM seen_acts"
_NEWEST_ACTS = f"{_SEEN_ACTS} ORDER BY sequence DESC LIMIT ?"
_NEXT_ACTS = f"{_SEEN_ACTS} WHERE sequence > ? ORDER BY sequence LIMIT ?"
_END = "SELECT sequence, hash FROM seen_end"
_WHAT_STANDS = (
    "SELECT trader, by, reason FROM seen_halts",
    "SELECT number, trader, encode(sha256(convert_to(text, 'UTF8')), 'hex') FROM seen_policies",
    "SELECT ticket_id, fingerprint, state, by FROM seen_questions WHERE state <> 'waiting'",
)
_KEEPS_STATE_HERE = "SELECT has_schema_privilege(to_regnamespace(quote_ident(?))::oid, 'USAGE')"
_AT_ONCE = 1000


class TeamPlane:
    """The plane over a team, as the role of the URL may see and use it.

    Every call raises `NotInTeam` where that role is no member, `StoreFailed` where the plane is out of reach, and
    `BadRequest` where it may not be.
    """

    def __init__(
        self,
        url: PostgresUrl,
        clock: Callable[[], datetime] | None = None,
        patience: Patience = PATIENCE,  # frozen
    ) -> None:
        """Touch nothing: the first call connects."""
        self._url = url
        self._database = PlaneDatabase(url, clock, patience)

    async def now(self) -> datetime:
        """Tell the time of the database, by which the ages of all that it heard are told."""
        at: datetime = await self._database.one(_NOW)
        return at

    async def role(self) -> TeamRole:
        """Tell what this role may do."""
        found = await self._database.one(_ROLE)
        if found is None:
            raise shut_out(self._url, OF_A_TEAM, is_there=True)
        return TeamRole(found)

    async def members(self) -> tuple[Member, ...]:
        """List the members, by their names; a trader sees himself."""
        return tuple(Member(name, TeamRole(role)) for name, role in await self._database.rows(_MEMBERS))

    async def traders(self) -> tuple[SeenTrader, ...]:
        """List what each machine has told last, by the names of traders; of who never did, there is nothing."""
        rows = await self._database.rows(_REPORTS)
        return await to_thread.run_sync(partial(list_seen, rows))

    async def halts(self) -> tuple[TeamHalt, ...]:
        """List the halts that stand, that of everybody first."""
        return tuple(_halt_of(row) for row in await self._database.rows(_HALTS))

    async def halt(self, trader: str, reason: str) -> TeamHalt:
        """Halt a trader, or everybody; gives the halt that stands, which may be an earlier one."""
        await self._database.one(_HALT, trader, reason)
        found = await self._database.rows(_STANDS, trader)
        if not found:
            raise BadRequest("it was halted, and somebody has lifted the halt since", next_step="halt once more")
        return _halt_of(found[0])

    async def resume(self, trader: str) -> bool:
        """Lift the halt of a trader, or that of everybody; False if there was none."""
        was_halted: bool = await self._database.one(_RESUME, trader)
        return was_halted

    async def policies(self) -> tuple[TeamPolicy, ...]:
        """List the newest policy of everybody and of each trader, and the last 200 of all, the newest first."""
        return tuple(TeamPolicy(*row) for row in await self._database.rows(_POLICIES))

    async def set_policy(self, trader: str, text: str) -> TeamPolicy:
        """Set what holds from now on for a trader, or for everybody; no text takes it back.

        The text was checked before. The one that holds already is not set again.
        """
        number = await self._database.one(_SET_POLICY, trader, text)
        return TeamPolicy(*(await self._database.rows(_POLICY, number))[0])

    async def questions(self) -> tuple[AskedOfTeam, ...]:
        """List what waits for a second person, and what was answered in the last 15 minutes, oldest first."""
        return tuple(_asked_of(row) for row in await self._database.rows(_ASKED))

    async def decide(self, ticket_id: str, fingerprint: str, yes: bool) -> SecondAnswer:  # noqa: FBT001
        """Answer as the second person; the first answer counts, and the same one again changes nothing.

        Raises:
            BadRequest: Nobody asks this, or not any more; it is one's own question; somebody has answered otherwise.
        """
        at = await self._database.one(_DECIDE, ticket_id, fingerprint, yes)
        return SecondAnswer(fingerprint, SecondState.APPROVED if yes else SecondState.DECLINED, self._url.user, at)

    async def acts(self, limit: int) -> tuple[PlaneEntry, ...]:
        """Read the last of what was done at the plane, newest first."""
        return tuple(act_of(row) for row in await self._database.rows(_NEWEST_ACTS, limit))

    async def verify(self) -> Verification:
        """Check all acts, and what stands by them, on a connection of its own; a trader, who sees some, cannot."""
        return await to_thread.run_sync(self._verify_aside)

    async def journal(self, trader: str, limit: int) -> tuple[Entry, ...]:
        """Read the end of a trader's journal, newest first, where his state is in this database."""
        return await self._of_trader(trader, journal_table.newest, limit, None, None)

    async def verify_journal(self, trader: str) -> Verification:
        """Check the whole journal of a trader."""
        return await self._of_trader(trader, journal_table.verify)

    async def close(self) -> None:
        """Close the connection; a later call opens it again."""
        await self._database.close()

    def _verify_aside(self) -> Verification:
        with closing(self._database.aside()) as aside:
            return aside.read(verify_acts)

    async def _of_trader(self, trader: str, work: Callable[[SqlConnection, *Ts], T], *arguments: *Ts) -> T:
        if not await self._database.one(_KEEPS_STATE_HERE, trader):
            raise BadRequest(
                "the plane shows no journal of this trader: the state is elsewhere, or is not open to this role",
                next_step="it is read on the trader's machine; what is in this database, an administrator opens by "
                "what `ct-mcp plane sql --trader NAME` prints",
            )
        tables = Tables(OF_A_TRADER.version, OF_A_TRADER.printed_by, trader)
        return await to_thread.run_sync(partial(_read_beside, self._database.beside(tables), work, *arguments))


def _read_beside(database: PostgresDatabase, work: Callable[[SqlConnection, *Ts], T], *arguments: *Ts) -> T:
    with closing(database):
        return database.read(work, *arguments)


def list_seen(rows: list[Row]) -> tuple[SeenTrader, ...]:
    """Read the reports of a team."""
    return tuple(SeenTrader(trader, machine, report_from_text(text), at) for trader, machine, text, at in rows)


def verify_acts(connection: SqlConnection) -> Verification:
    """Check the whole chain of acts, and that what stands is what they say."""
    end = connection.execute(_END).fetchone()
    if end is None:
        raise BadRequest("only a risk manager sees all acts, and can check them")
    by_acts = StandsByActs()
    found = check_acts(by_acts.noted(_all_acts(connection)), tuple(end))
    if found.ok and (why := by_acts.differs(*(connection.execute(what) for what in _WHAT_STANDS))):
        return replace(found, ok=False, broken_at=found.count, why=why)
    return found


def _all_acts(connection: SqlConnection) -> Iterator[Row]:
    """Give all of them in their order, a part at a time."""
    last = 0
    while rows := connection.execute(_NEXT_ACTS, (last, _AT_ONCE)).fetchall():
        yield from rows
        last = rows[-1][0]


def _halt_of(row: Row) -> TeamHalt:
    trader, *halt = row
    return TeamHalt(trader, Halt(*halt))


def _asked_of(row: Row) -> AskedOfTeam:
    trader, *question, state, by, at = row
    ticket_id, fingerprint, heading, headline, lines, *rest = question
    asked = SecondQuestion(ticket_id, fingerprint, heading, headline, tuple(lines), *rest)
    return AskedOfTeam(trader, asked, SecondAnswer(fingerprint, SecondState(state), by, at))
