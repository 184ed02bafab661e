"""The tables of the store, and how an older file becomes a newer one."""

from sqlite3 import Connection

from ct_mcp.errors import StoreFailed

_TICKETS = """
CREATE TABLE tickets (
    ticket_id TEXT PRIMARY KEY, action TEXT NOT NULL, fingerprint TEXT NOT NULL, own_id TEXT NOT NULL UNIQUE,
    summary TEXT NOT NULL, question TEXT NOT NULL, phrase TEXT NOT NULL, approval TEXT NOT NULL,
    simulated INTEGER NOT NULL, reason TEXT NOT NULL, created_at TEXT NOT NULL, expires_at TEXT NOT NULL,
    state TEXT NOT NULL, decided_by TEXT NOT NULL
)
"""
_TICKETS_BY_LAPSE = "CREATE INDEX tickets_by_lapse ON tickets (expires_at)"

# Whatever program writes here: what the person was shown stays what is sent, and what is spent stays spent.
_TICKET_IS_BOUND = """
CREATE TRIGGER ticket_is_bound BEFORE UPDATE OF
    ticket_id, action, fingerprint, own_id, summary, question, phrase, approval, simulated, reason,
    created_at, expires_at
ON tickets BEGIN SELECT RAISE(ABORT, 'a ticket is bound to its action'); END
"""
_TICKET_ENDS_ONCE = """
CREATE TRIGGER ticket_ends_once BEFORE UPDATE OF state ON tickets WHEN OLD.state NOT IN ('open', 'approved')
BEGIN SELECT RAISE(ABORT, 'a spent or declined ticket stays so'); END
"""

# AUTOINCREMENT remembers the highest sequence ever given, so that a journal cut off at its end is noticed.
_JOURNAL = """
CREATE TABLE journal (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, kind TEXT NOT NULL, summary TEXT NOT NULL,
    account TEXT, ticket_id TEXT, own_id TEXT, fingerprint TEXT, opens INTEGER NOT NULL, reason TEXT NOT NULL,
    detail TEXT NOT NULL, previous_hash TEXT NOT NULL, hash TEXT NOT NULL,
    CONSTRAINT an_intent_names_its_ticket CHECK (kind <> 'intent' OR ticket_id IS NOT NULL)
)
"""
_JOURNAL_BY_ACCOUNT = "CREATE INDEX journal_by_account ON journal (account)"
_JOURNAL_BY_TICKET = "CREATE INDEX journal_by_ticket ON journal (ticket_id)"
_INTENTS_THAT_OPEN = "CREATE INDEX intents_that_open ON journal (account, at) WHERE kind = 'intent' AND opens = 1"
_INTENTS_BY_ACTION = "CREATE INDEX intents_by_action ON journal (fingerprint) WHERE kind = 'intent'"
_NOES = """
CREATE INDEX noes ON journal (sequence) WHERE kind IN ('denied', 'declined', 'suspicious', 'resumed')
"""
_JOURNAL_KEEPS_ITS_WORDS = """
CREATE TRIGGER journal_keeps_its_words BEFORE UPDATE ON journal
BEGIN SELECT RAISE(ABORT, 'the journal is never rewritten'); END
"""
_JOURNAL_KEEPS_ITS_ENTRIES = """
CREATE TRIGGER journal_keeps_its_entries BEFORE DELETE ON journal
BEGIN SELECT RAISE(ABORT, 'the journal is never shortened'); END
"""
# INSERT OR REPLACE would delete without asking the trigger above.
_JOURNAL_GROWS_AT_ITS_END = """
CREATE TRIGGER journal_grows_at_its_end BEFORE INSERT ON journal
WHEN NEW.sequence <= (SELECT MAX(sequence) FROM journal)
BEGIN SELECT RAISE(ABORT, 'the journal grows at its end only'); END
"""

# Which intents have no known fate; the journal says it too, but only to one who reads all of it.
_OUTSTANDING = """
CREATE TABLE outstanding (
    sequence INTEGER PRIMARY KEY, ticket_id TEXT NOT NULL, own_id TEXT, fingerprint TEXT
)
"""

_HALT = """
CREATE TABLE halt (one INTEGER PRIMARY KEY CHECK (one = 1), by TEXT NOT NULL, at TEXT NOT NULL, reason TEXT NOT NULL)
"""
_DAY_LOSSES = """
CREATE TABLE day_losses (account TEXT NOT NULL, day TEXT NOT NULL, figure TEXT NOT NULL, PRIMARY KEY (account, day))
"""
_ARMINGS = "CREATE TABLE armings (account TEXT PRIMARY KEY, until TEXT NOT NULL, by TEXT NOT NULL)"

# The digest and what scrypt took to make it. AUTOINCREMENT: the order of the tries outlives a clock that is set back.
_PIN = """
CREATE TABLE pin (
    one INTEGER PRIMARY KEY CHECK (one = 1), salt BLOB NOT NULL, cost INTEGER NOT NULL,
    block_size INTEGER NOT NULL, parallel INTEGER NOT NULL, digest BLOB NOT NULL
)
"""
_PIN_TRIES = "CREATE TABLE pin_tries (number INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL)"

_LEASES = """
CREATE TABLE leases (name TEXT PRIMARY KEY, holder TEXT NOT NULL, renewed_at TEXT NOT NULL, seconds REAL NOT NULL)
"""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        _TICKETS,
        _TICKETS_BY_LAPSE,
        _TICKET_IS_BOUND,
        _TICKET_ENDS_ONCE,
        _JOURNAL,
        _JOURNAL_BY_ACCOUNT,
        _JOURNAL_BY_TICKET,
        _INTENTS_THAT_OPEN,
        _INTENTS_BY_ACTION,
        _JOURNAL_KEEPS_ITS_WORDS,
        _JOURNAL_KEEPS_ITS_ENTRIES,
        _JOURNAL_GROWS_AT_ITS_END,
        _OUTSTANDING,
        _HALT,
        _DAY_LOSSES,
        _ARMINGS,
    ),
    (_PIN, _PIN_TRIES, _NOES),
    (_LEASES,),
)
"""Each step leads from the version of its index to the next; a released step is never edited, a new one follows."""


def migrate(connection: Connection) -> None:
    """Bring the file to our version, in one transaction.

    Raises:
        StoreFailed: A newer ct-mcp has written it; an older one must not guess what its rows mean.
    """
    found = _version(connection)
    if found > len(MIGRATIONS):
        raise StoreFailed(
            f"the state file has version {found}, this ct-mcp knows {len(MIGRATIONS)}",
            next_step="the person must start the newer ct-mcp that wrote it, or name another state folder",
        )
    if found < len(MIGRATIONS):
        connection.execute("BEGIN IMMEDIATE")
        # Read again: another process may have been here while this one waited.
        for version in range(_version(connection), len(MIGRATIONS)):
            for statement in MIGRATIONS[version]:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {version + 1}")
        connection.execute("COMMIT")


def _version(connection: Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version
