"""A member's connection to the plane of a team: one statement for each call, and every refusal in words.

What `postgres` says of one connection, of time and of failures holds here as well. Each call is one statement, which
is a transaction by itself and one word on the wire; and each may be run again, since to halt what is halted, or to say
what was said, changes nothing. Import it late, as `postgres`.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, TypeVar, TypeVarTuple

from anyio import CapacityLimiter, to_thread
from psycopg import Error

from ct_mcp.errors import BadRequest, NeedsRoom, Refused
from ct_mcp.store.plane_schema import OF_A_TEAM
from ct_mcp.store.postgres import Patience, PostgresDatabase
from ct_mcp.store.postgres_failures import shut_out
from ct_mcp.store.postgres_schema import Tables
from ct_mcp.store.postgres_url import PostgresUrl
from ct_mcp.store.sql import SqlConnection

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
Row = tuple[Any, ...]

PATIENCE = Patience(connect_seconds=2, lock_seconds=1.0, statement_seconds=1.5, held_seconds=3.0)
"""A halt is to be known within two seconds, and no opening waits long for a plane that does not answer."""

_NO_MEMBER, _NO_RIGHT = "CT001", "42501"
_NOT_FOUND = frozenset({_NO_RIGHT, "3F000", "42883", "42P01"})
"""What is not there, or not to be seen by who has lost the right to the schema."""
_IS_LET_IN = "SELECT has_schema_privilege(to_regnamespace('ct_mcp_plane')::oid, 'USAGE')"
_ASK_A_RISK_MANAGER = "a risk manager of the team must do it, at the plane"
_ADVICE: Mapping[str, tuple[type[Refused], str]] = {
    "CT002": (BadRequest, _ASK_A_RISK_MANAGER),
    "CT003": (BadRequest, "name a member of the team; those there are, the plane lists"),
    "CT004": (BadRequest, "say it in fewer words"),
    "CT005": (NeedsRoom, "a risk manager must answer those first, or wait until they expire"),
    "CT006": (BadRequest, "propose anew, which makes another ticket"),
    "CT007": (BadRequest, "look again at what is asked"),
    "CT008": (BadRequest, "look again at what is asked"),
}
"""Of each refusal of the functions of `plane_tables`, as what it is raised and what to do next."""


class PlaneDatabase:
    """The tables of a team's plane, as one of its members uses them."""

    def __init__(
        self,
        url: PostgresUrl,
        clock: Callable[[], datetime] | None = None,
        patience: Patience = PATIENCE,  # frozen
        *,
        abandons: bool = False,
    ) -> None:
        """Remember where it is; the first call connects. With ``abandons``, who is cancelled waits for no answer."""
        self._url = url
        self._abandons = abandons
        self._clock = clock
        self._patience = patience
        self._database = PostgresDatabase(url, clock=clock, patience=patience, tables=OF_A_TEAM)
        self._turn = CapacityLimiter(1)

    def beside(self, tables: Tables) -> PostgresDatabase:
        """Give other tables of the same database, with a connection of its own and time."""
        return PostgresDatabase(self._url, "", self._clock, self._patience, tables).aside()

    def aside(self) -> PostgresDatabase:
        """Give another connection to the same tables, for what takes long."""
        return self._database.aside()

    async def rows(self, sql: str, *parameters: object) -> list[Row]:
        """Run one statement, and give its rows.

        Raises:
            NotInTeam: There is no team in that database, or this role is no member of it.
            BadRequest: It may not be, says the plane.
            StoreFailed: It is out of reach.
        """
        work = partial(self._database.at_once, self._all_rows, sql, parameters)
        return await to_thread.run_sync(work, abandon_on_cancel=self._abandons, limiter=self._turn)

    async def one(self, sql: str, *parameters: object) -> Any:
        """Run one statement, and give the only value of its only row."""
        return (await self.rows(sql, *parameters))[0][0]

    async def close(self) -> None:
        """Close the connection; a later call opens it again."""
        await to_thread.run_sync(self._database.close, limiter=self._turn)

    def need_version(self, found: int) -> None:
        """Refuse tables that have become newer since the connection was opened."""
        self._database.need_version(found)

    def need_same_clock(self, before: datetime, at: datetime, after: datetime) -> None:
        """Refuse to go on where the database, asked between two looks at our clock, told another time."""
        self._database.compare_clocks(before, at, after)

    def _all_rows(self, connection: SqlConnection, sql: str, parameters: Sequence[object]) -> list[Row]:
        try:
            return connection.execute(sql, parameters).fetchall()
        except Error as error:
            code = error.sqlstate or ""
            if code == _NO_MEMBER:
                raise shut_out(self._url, OF_A_TEAM, is_there=True) from error
            if code in _NOT_FOUND:
                self._need_let_in(connection)
            if code == _NO_RIGHT:
                _refuse_who_may_not(connection, error)
            if code not in _ADVICE:
                raise
            kind, advice = _ADVICE[code]
            raise kind(error.diag.message_primary or "", next_step=advice) from error

    def _need_let_in(self, connection: SqlConnection) -> None:
        """Notice a team that has gone, and a member that was taken out of it, while this was connected."""
        is_let_in = connection.execute(_IS_LET_IN).fetchone()[0]
        if not is_let_in:
            raise shut_out(self._url, OF_A_TEAM, is_there=is_let_in is not None)


def _refuse_who_may_not(connection: SqlConnection, error: Error) -> None:
    """Tell what a trader may not do from rights that a risk manager should have, and has not."""
    if connection.execute("SELECT my_role()").fetchone()[0] != "risk_manager":
        raise BadRequest("only a risk manager may do this", next_step=_ASK_A_RISK_MANAGER) from error
