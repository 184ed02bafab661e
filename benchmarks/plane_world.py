"""A real PostgreSQL with a team in it, as an administrator makes both, and what the server's processes take.

It is started as the tests start theirs, but waits for the disk as one does that holds real state; or it is the one that
`CT_MCP_TEST_POSTGRES` names, in which a database and roles are made for the run and dropped after it.
"""

import itertools
import os
import secrets
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1]))

from psycopg.sql import SQL, Identifier

from ct_mcp.domain.team import TeamRole
from ct_mcp.store.plane_schema import member_script, plane_script
from ct_mcp.store.postgres_schema import script
from ct_mcp.store.postgres_url import PostgresUrl, parse_postgres_url
from tests.postgres import VARIABLE, Server, as_text, running_server

__all__ = ["Processes", "Team", "as_text", "disk_wait_seconds", "own_team"]

DURABLE = {
    "autovacuum": "on",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "wal_level": "replica",
    "max_wal_senders": "10",
    "scram_iterations": "4096",
    "shared_buffers": "128MB",
}
"""What a fresh server has, so that a measured commit is on the disk."""
SPARE_CONNECTIONS = 60


class Team:
    """A database with the plane over a team: many traders, one risk manager, and an administrator who looks."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._mark, self._numbers = secrets.token_hex(4), itertools.count()
        self._password = secrets.token_hex(12)
        self.at = replace(server.administrator, database=f"bench-{self._mark}")
        with server.connected() as connection:
            connection.execute(SQL("CREATE DATABASE {}").format(Identifier(self.at.database)))
        self.database = Server(self.at)
        self._run([plane_script()])
        self.risk_manager = self._members(["risk"], TeamRole.RISK_MANAGER, with_state=False)[0]

    def traders(self, count: int, *, with_state: bool = False) -> list[PostgresUrl]:
        """Make traders who belong to the team; with tables of their own, where the state is kept there as well."""
        names = [f"trader-{next(self._numbers):05d}" for _ in range(count)]
        return self._members(names, TeamRole.TRADER, with_state=with_state)

    def _members(self, names: Sequence[str], role: TeamRole, *, with_state: bool) -> list[PostgresUrl]:
        urls = [replace(self.at, user=f"{name}-{self._mark}", password=self._password) for name in names]
        statements = list[str]()
        for url in urls:
            password = f"ALTER ROLE \"{url.user}\" PASSWORD '{self._password}'"
            statements += [*([script(url.user)] if with_state else []), member_script(url.user, role), password]
        self._run(statements)
        return urls

    def _run(self, statements: Sequence[str]) -> None:
        with self.database.connected() as connection:
            connection.execute("SET synchronous_commit = off")
            for statement in statements:
                connection.execute(statement.encode())

    def asked(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Ask what only an administrator sees."""
        with self.database.connected() as connection:
            return connection.execute(sql.encode(), parameters or None).fetchall()

    def count(self, schema: str, table: str) -> int:
        """Count the rows of a table."""
        counted = SQL("SELECT count(*) FROM {}").format(Identifier(schema, table))
        with self.database.connected() as connection:
            row = connection.execute(counted).fetchone()
        return 0 if row is None else int(row[0])

    def drop(self) -> None:
        """Take the database away, and every role that was made."""
        with self._server.connected() as connection:
            connection.execute("SET synchronous_commit = off")
            connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(self.at.database)))
            made = f"SELECT rolname FROM pg_roles WHERE rolname LIKE '%{self._mark}'"
            for (role,) in connection.execute(made.encode()).fetchall():
                connection.execute(SQL("DROP ROLE {}").format(Identifier(role)))


@contextmanager
def own_team(agents: int) -> Iterator[Team]:
    """Make a team in the server that was named, or in one of our own with room for so many connections."""
    if named := os.environ.get(VARIABLE):
        server = Server(parse_postgres_url(named))
        yield from _team_in(server)
    else:
        with running_server(**DURABLE, max_connections=str(agents + SPARE_CONNECTIONS)) as server:
            yield from _team_in(server)


def _team_in(server: Server) -> Iterator[Team]:
    team = Team(server)
    try:
        yield team
    finally:
        team.drop()


@dataclass(frozen=True, slots=True)
class Spent:
    """Processor time of the server's processes between two looks."""

    seconds: dict[int, float]

    def since(self, before: "Spent") -> float | None:
        """Give what all of them took since an earlier look; None where the server is none of this machine."""
        if not self.seconds or not before.seconds:
            return None
        return sum(at - before.seconds.get(pid, 0.0) for pid, at in self.seconds.items())


class Processes:
    """The processes of the server, where it runs on this machine and Linux tells of them."""

    def __init__(self, team: Team) -> None:
        self._team = team
        self.are_known = sys.platform == "linux" and team.at.host in {"127.0.0.1", "localhost", "::1"}

    def of(self) -> list[int]:
        """List all of them but the one that is asked."""
        if not self.are_known:
            return []
        found = self._team.asked("SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        return [pid for (pid,) in found if _is_postgres(pid)]

    def spent(self, pids: Collection[int] = ()) -> Spent:
        """Read the processor time that each of them, or of these, has taken so far."""
        took = dict[int, float]()
        if sys.platform == "linux":
            for pid in pids or self.of():
                with suppress(OSError):  # it has ended
                    took[pid] = time.clock_gettime((~pid << 3) | 2)  # the kernel's name for the clock of a process
        return Spent(took)

    def mib(self) -> float | None:
        """Give the memory of all of them; what several share counts once."""
        pids = self.of()
        return sum(map(_shared_out_kib, pids)) / 1024 if pids else None


def _is_postgres(pid: int) -> bool:
    name = Path(f"/proc/{pid}/comm")
    return name.exists() and name.read_text(encoding="utf-8").startswith("postgres")


def _shared_out_kib(pid: int) -> int:
    with suppress(OSError):  # it has ended
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return 0


def disk_wait_seconds(folder: Path, tries: int = 40) -> list[float]:
    """Write a page and wait for the disk, several times: what a commit waits for at least."""
    took, page = list[float](), bytes(8192)
    with (folder / "page").open("wb", buffering=0) as file:
        for _ in range(tries):
            began = time.perf_counter()
            file.write(page)
            os.fsync(file.fileno())
            took.append(time.perf_counter() - began)
    return took
