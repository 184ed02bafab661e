"""What is wrong with a database, in plain words, and what the person can do.

The words of the database are kept beside ours, a password never.
"""

from psycopg import DataError, Error, IntegrityError

from ct_mcp.errors import NotInTeam, StoreDamaged, StoreFailed, StoreOutOfReach
from ct_mcp.store.postgres_schema import OF_A_TRADER, Tables
from ct_mcp.store.postgres_url import PostgresUrl
from ct_mcp.text import one_line

Words = tuple[str, str]
"""What is wrong, and what the person can do, by what prints the statements of an administrator."""

_NOT_SET_UP: Words = (
    "it holds no tables for this role",
    "an administrator of the database must run what `{printed_by}` prints",
)
ONLY_READS: Words = (
    "it can only be read just now",
    "the person must name the server that takes writes, and no standby",
)
OLD_SERVER: Words = ("it is older than PostgreSQL 14", "the person must use a newer server")
_UNREACHABLE: Words = (
    "it cannot be reached, or lets this role not in",
    "the person must check that the database runs, and the URL, the password and the network to it",
)
_BUSY: Words = (
    "another program holds it",
    "wait a moment, then try again; if it stays so, end what holds a transaction open there",
)
_FULL: Words = ("its disk is full", "the person must free disk space there, then try again")
_MANY: Words = ("it takes no more connections", "the person must raise max_connections there, or end what is not used")
_STOPPING: Words = ("it is being started or stopped", "wait until it runs, then try again")
_NO_RIGHT: Words = (
    "the role may not do what it must",
    "an administrator of the database must run what `{printed_by}` prints, for this very role",
)
_REFUSED: Words = ("it refuses what does not go with what it holds", "the person must check that the journal is whole")
_OTHER: Words = ("it cannot be used", "the person must look at the server's log, then try again")
_KEEP_EVIDENCE = (
    "the person must have an administrator keep a copy of the database as evidence, check the account's orders, and "
    "start again as a new role; what else it held is gone with it: a halt, losses of the day, armings and the PIN"
)

_WORDS: dict[str, Words] = {
    "23": _REFUSED,
    "25006": ONLY_READS,
    "25P03": _BUSY,
    "28": _UNREACHABLE,
    "3D000": _UNREACHABLE,
    "3F000": _NOT_SET_UP,
    "40": _BUSY,
    "42501": _NO_RIGHT,
    "42883": _NOT_SET_UP,
    "42P01": _NOT_SET_UP,
    "53100": _FULL,
    "53300": _MANY,
    "55P03": _BUSY,
    "57014": _BUSY,
    "57P": _STOPPING,
    "08": _UNREACHABLE,
}
"""By the code of the failure, or what it begins with."""


def describe_failure(
    error: Error | OSError | UnicodeEncodeError, url: PostgresUrl, tables: Tables = OF_A_TRADER
) -> StoreFailed:
    """Say what is wrong with the database and what the person can do."""
    what, next_step = _words_of(error)
    told = one_line(str(error))
    if url.password:
        told = told.replace(url.password, "***")
    is_its_own = isinstance(error, DataError | IntegrityError | UnicodeEncodeError)
    return (StoreFailed if is_its_own else StoreOutOfReach)(
        f"{url}: {what} ({told})", next_step=next_step.format(printed_by=tables.printed_by)
    )


def as_evidence(damage: StoreDamaged, url: PostgresUrl) -> StoreDamaged:
    """Say of what the tables hold wrongly what can be done here, where there is no file to move aside."""
    return StoreDamaged(f"{url}: {damage.what}", next_step=_KEEP_EVIDENCE)


def wrong_version(found: int, url: PostgresUrl, tables: Tables = OF_A_TRADER) -> StoreOutOfReach:
    """Say who has to become newer."""
    what = f"{url}: its tables have version {found}, this ct-mcp knows {tables.version}"
    if found > tables.version:
        return StoreOutOfReach(what, next_step="the person must start the newer ct-mcp that wrote it")
    return StoreOutOfReach(what, next_step=_NOT_SET_UP[1].format(printed_by=tables.printed_by))


def not_set_up(url: PostgresUrl, tables: Tables) -> StoreOutOfReach:
    """Say that nothing was made yet."""
    what, next_step = _NOT_SET_UP
    return StoreOutOfReach(f"{url}: {what}", next_step=next_step.format(printed_by=tables.printed_by))


def shut_out(url: PostgresUrl, tables: Tables, *, is_there: bool) -> NotInTeam:
    """Say that there is no plane over a team in that database, or that its role is no member."""
    if is_there:
        step = f"an administrator of the database must run what `{tables.printed_by}` prints, to make it a member"
        return NotInTeam(f"{url}: this role is no member of the team there", next_step=step)
    step = f"an administrator of the database must run what `{tables.printed_by}` prints; or the settings name no plane"
    return NotInTeam(f"{url}: it holds no plane over a team", next_step=step)


def _words_of(error: BaseException) -> Words:
    code = error.sqlstate if isinstance(error, Error) else None
    if code is None:  # libpq tells the code of no failure to connect, nor of a connection that was lost
        return _UNREACHABLE if isinstance(error, Error | OSError) else _OTHER
    return next((_WORDS[code[:length]] for length in (5, 3, 2) if code[:length] in _WORDS), _OTHER)
