"""The tables of the state file, and the steps by which the file of an older version becomes one of ours.

The steps are statements of SQL, and a released one is never edited: a new one follows. So the words of an old version
stay in its step, also where everything else has a better word by now.
"""

import json
from contextlib import suppress
from sqlite3 import Connection

from ct_mcp.errors import StoreFailed
from ct_mcp.store.book_tables import BOOK_SERVICE, BOOK_TABLES
from ct_mcp.store.codec import MOVE_ASIDE, canonical

_TICKETS_OF_VERSION_1 = """
CREATE TABLE tickets (
    ticket_id TEXT PRIMARY KEY, action TEXT NOT NULL, fingerprint TEXT NOT NULL, own_id TEXT NOT NULL UNIQUE,
    summary TEXT NOT NULL, question TEXT NOT NULL, phrase TEXT NOT NULL, approval TEXT NOT NULL,
    simulated INTEGER NOT NULL, reason TEXT NOT NULL, created_at TEXT NOT NULL, expires_at TEXT NOT NULL,
    state TEXT NOT NULL, decided_by TEXT NOT NULL
)
"""
_TICKETS_BY_LAPSE = "CREATE INDEX tickets_by_lapse ON tickets (expires_at)"

# Whatever program writes here: what the person was shown stays what is sent, and what is spent stays spent.
_TICKET_IS_BOUND_OF_VERSION_1 = """
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
_REFUSALS = """
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

# From version 4 on a ticket holds several commands, and the question as data in place of its words. Null is the
# question of a ticket that an older version left; it is over. That version may still run: it can neither read nor
# write a ticket here, and is told why.
_TICKETS = """
CREATE TABLE tickets (
    ticket_id TEXT PRIMARY KEY, commands TEXT NOT NULL, fingerprint TEXT NOT NULL, own_id TEXT NOT NULL UNIQUE,
    summary TEXT NOT NULL, request TEXT, phrase TEXT NOT NULL, approval TEXT NOT NULL,
    simulated INTEGER NOT NULL, reason TEXT NOT NULL, created_at TEXT NOT NULL, expires_at TEXT NOT NULL,
    state TEXT NOT NULL, decided_by TEXT NOT NULL,
    CONSTRAINT ct_mcp_was_updated_and_must_be_restarted CHECK (request LIKE '{%'),
    CONSTRAINT nobody_was_asked CHECK (request IS NOT NULL OR state NOT IN ('open', 'approved'))
)
"""
_TICKETS_BY_EXPIRY = "CREATE INDEX tickets_by_expiry ON tickets (expires_at)"
_TAKE_OVER_TICKETS = """
INSERT INTO tickets
SELECT ticket_id, commands_of_version_3(action), fingerprint, own_id, summary, NULL, phrase, approval, simulated,
    reason, created_at, expires_at, CASE WHEN state IN ('open', 'approved') THEN 'expired' ELSE state END, decided_by
FROM tickets_of_version_3
"""
_TICKET_IS_BOUND = """
CREATE TRIGGER ticket_is_bound BEFORE UPDATE OF
    ticket_id, commands, fingerprint, own_id, summary, request, phrase, approval, simulated, reason,
    created_at, expires_at
ON tickets BEGIN SELECT RAISE(ABORT, 'a ticket is bound to its commands'); END
"""
# INSERT OR REPLACE would exchange a ticket without asking the trigger above.
_TICKET_IS_MADE_ONCE = """
CREATE TRIGGER ticket_is_made_once BEFORE INSERT ON tickets
WHEN EXISTS (SELECT 1 FROM tickets WHERE ticket_id = NEW.ticket_id OR own_id = NEW.own_id)
BEGIN SELECT RAISE(ABORT, 'a ticket is made once, and its ticket_id and own_id are never used again'); END
"""
_TICKET_IS_KEPT = """
CREATE TRIGGER ticket_is_kept BEFORE DELETE ON tickets
BEGIN SELECT RAISE(ABORT, 'a ticket is never removed'); END
"""

# From version 5 on what is kept belongs to one service and token, named by a piece of their hash; a process without a
# token has the empty name. Two users of CrossTrade may share a folder, and every NinjaTrader has a Sim101. A table of
# its own, since the columns of a ticket tell an older version that still runs why it cannot write one.
_TICKET_SERVICES = "CREATE TABLE ticket_services (ticket_id TEXT PRIMARY KEY, service TEXT NOT NULL) WITHOUT ROWID"
_TICKET_STAYS_WITH_ITS_SERVICE = """
CREATE TRIGGER ticket_stays_with_its_service BEFORE UPDATE ON ticket_services
BEGIN SELECT RAISE(ABORT, 'a ticket stays with its service'); END
"""
_TICKET_KEEPS_ITS_SERVICE = """
CREATE TRIGGER ticket_keeps_its_service BEFORE DELETE ON ticket_services
BEGIN SELECT RAISE(ABORT, 'a ticket keeps its service'); END
"""
_TICKET_GETS_ITS_SERVICE_ONCE = """
CREATE TRIGGER ticket_gets_its_service_once BEFORE INSERT ON ticket_services
WHEN EXISTS (SELECT 1 FROM ticket_services WHERE ticket_id = NEW.ticket_id)
BEGIN SELECT RAISE(ABORT, 'a ticket gets its service once'); END
"""
# Nobody knows whose it was that an older version left. It is neither sent nor armed, and holds back everybody.
_EXPIRE_TICKETS_OF_NOBODY = "UPDATE tickets SET state = 'expired' WHERE state IN ('open', 'approved')"
_HALT_OF_SERVICE = (
    "CREATE TABLE halt (service TEXT PRIMARY KEY, by TEXT NOT NULL, at TEXT NOT NULL, reason TEXT NOT NULL)"
)
_DAY_LOSSES_OF_SERVICE = """
CREATE TABLE day_losses (
    service TEXT NOT NULL, account TEXT NOT NULL, day TEXT NOT NULL, figure TEXT NOT NULL,
    PRIMARY KEY (service, account, day)
)
"""
_ARMINGS_OF_SERVICE = """
CREATE TABLE armings (
    service TEXT NOT NULL, account TEXT NOT NULL, until TEXT NOT NULL, by TEXT NOT NULL, PRIMARY KEY (service, account)
)
"""
_LEASES_OF_SERVICE = """
CREATE TABLE leases (
    service TEXT NOT NULL, name TEXT NOT NULL, holder TEXT NOT NULL, renewed_at TEXT NOT NULL, seconds REAL NOT NULL,
    PRIMARY KEY (service, name)
)
"""

# From version 6 on the accounts of a service are known over restarts.
_KNOWN_ACCOUNTS = """
CREATE TABLE known_accounts (
    service TEXT NOT NULL, account TEXT NOT NULL, kind TEXT NOT NULL, provider TEXT, display_name TEXT, currency TEXT,
    read_at TEXT NOT NULL, PRIMARY KEY (service, account)
)
"""
# From version 7 on: which entries are owed exits, and the tickets of those.
_DUTIES = """
CREATE TABLE duties (
    service TEXT NOT NULL, ticket_id TEXT NOT NULL, number INTEGER NOT NULL, account TEXT NOT NULL,
    own_id TEXT NOT NULL, opened_at TEXT NOT NULL, state TEXT NOT NULL, PRIMARY KEY (ticket_id, number)
)
"""
_DUTIES_THAT_STAND = "CREATE INDEX duties_that_stand ON duties (opened_at) WHERE state <> 'over'"
_DUTY_PARTS = """
CREATE TABLE duty_parts (
    ticket_id TEXT NOT NULL, number INTEGER NOT NULL, part_id TEXT PRIMARY KEY, contracts INTEGER NOT NULL,
    made_at TEXT NOT NULL
)
"""
_DUTY_PARTS_BY_DUTY = "CREATE INDEX duty_parts_by_duty ON duty_parts (ticket_id, number)"
# From version 8 on: the balances of accounts over their days, and the floors that the person told.
_ACCOUNT_DAYS = """
CREATE TABLE account_days (
    service TEXT NOT NULL, account TEXT NOT NULL, day TEXT NOT NULL, first_at TEXT NOT NULL, last_at TEXT NOT NULL,
    opening TEXT, balance TEXT, highest TEXT, is_flat INTEGER, unwatched_from TEXT, unwatched_to TEXT,
    PRIMARY KEY (service, account, day)
)
"""
_TOLD_FLOORS = """
CREATE TABLE told_floors (
    service TEXT NOT NULL, account TEXT NOT NULL, floor TEXT NOT NULL, at TEXT NOT NULL, by TEXT NOT NULL,
    PRIMARY KEY (service, account)
)
"""
# From version 9 on: what is watched, the tickets of what that has sent, and what it has told.
_WATCHES = """
CREATE TABLE watches (
    service TEXT NOT NULL, watch_id TEXT NOT NULL, kind TEXT NOT NULL, account TEXT NOT NULL, made_at TEXT NOT NULL,
    until TEXT NOT NULL, ticket_id TEXT NOT NULL, order_id TEXT, instrument TEXT, distance TEXT, due TEXT,
    alert_on TEXT, is_above INTEGER, level TEXT, state TEXT NOT NULL, PRIMARY KEY (service, watch_id)
)
"""
_WATCHES_THAT_STAND = "CREATE INDEX watches_that_stand ON watches (made_at) WHERE state <> 'over'"
_WATCH_PARTS = """
CREATE TABLE watch_parts (
    service TEXT NOT NULL, watch_id TEXT NOT NULL, part_id TEXT PRIMARY KEY, made_at TEXT NOT NULL
)
"""
_WATCH_PARTS_BY_WATCH = "CREATE INDEX watch_parts_by_watch ON watch_parts (service, watch_id)"
_NOTICES = """
CREATE TABLE notices (
    number INTEGER PRIMARY KEY AUTOINCREMENT, service TEXT NOT NULL, at TEXT NOT NULL, account TEXT NOT NULL,
    watch_id TEXT NOT NULL, words TEXT NOT NULL, told INTEGER NOT NULL
)
"""
# Our order ids of exits that somebody has made anew: nothing is sent under these any more. A table of its own, since an
# older version that still runs gives a part as many columns as it knows.
_VOID_INTENTS = "CREATE TABLE void_intents (own_id TEXT PRIMARY KEY)"
# From version 12 on: how often each lease has changed hands; an older version that still runs moves that as well.
_LEASE_EPOCHS = """
CREATE TABLE lease_epochs (
    service TEXT NOT NULL, name TEXT NOT NULL, epoch INTEGER NOT NULL, PRIMARY KEY (service, name)
)
"""
_COUNT = """
BEGIN INSERT INTO lease_epochs VALUES (NEW.service, NEW.name, 1)
ON CONFLICT (service, name) DO UPDATE SET epoch = lease_epochs.epoch + 1; END
"""
_LEASE_IS_TAKEN = f"CREATE TRIGGER lease_is_taken AFTER INSERT ON leases {_COUNT}"
_LEASE_MOVES = f"CREATE TRIGGER lease_moves AFTER UPDATE ON leases WHEN NEW.holder <> OLD.holder {_COUNT}"
# A file that says our version and lacks our tables is refused, and not carried on.
_HAS_OUR_TABLES = "SELECT 1 FROM tickets, journal, leases LIMIT 0"


MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        _TICKETS_OF_VERSION_1,
        _TICKETS_BY_LAPSE,
        _TICKET_IS_BOUND_OF_VERSION_1,
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
    (_PIN, _PIN_TRIES, _REFUSALS),
    (_LEASES,),
    (
        "ALTER TABLE tickets RENAME TO tickets_of_version_3",
        _TICKETS,
        _TAKE_OVER_TICKETS,
        "DROP TABLE tickets_of_version_3",
        _TICKETS_BY_EXPIRY,
        _TICKET_IS_BOUND,
        _TICKET_ENDS_ONCE,
        _TICKET_IS_MADE_ONCE,
        _TICKET_IS_KEPT,
    ),
    (
        _TICKET_SERVICES,
        _TICKET_STAYS_WITH_ITS_SERVICE,
        _TICKET_KEEPS_ITS_SERVICE,
        _TICKET_GETS_ITS_SERVICE_ONCE,
        _EXPIRE_TICKETS_OF_NOBODY,
        "ALTER TABLE halt RENAME TO halt_of_version_4",
        _HALT_OF_SERVICE,
        "INSERT INTO halt SELECT '', by, at, reason FROM halt_of_version_4",
        "DROP TABLE halt_of_version_4",
        "ALTER TABLE day_losses RENAME TO day_losses_of_version_4",
        _DAY_LOSSES_OF_SERVICE,
        "INSERT INTO day_losses SELECT '', account, day, figure FROM day_losses_of_version_4",
        "DROP TABLE day_losses_of_version_4",
        "ALTER TABLE armings RENAME TO armings_of_version_4",
        _ARMINGS_OF_SERVICE,
        "INSERT INTO armings SELECT '', account, until, by FROM armings_of_version_4",
        "DROP TABLE armings_of_version_4",
        "ALTER TABLE leases RENAME TO leases_of_version_4",
        _LEASES_OF_SERVICE,
        "INSERT INTO leases SELECT '', name, holder, renewed_at, seconds FROM leases_of_version_4",
        "DROP TABLE leases_of_version_4",
    ),
    (_HAS_OUR_TABLES, _KNOWN_ACCOUNTS),
    (_HAS_OUR_TABLES, _DUTIES, _DUTIES_THAT_STAND, _DUTY_PARTS, _DUTY_PARTS_BY_DUTY),
    (_HAS_OUR_TABLES, _ACCOUNT_DAYS, _TOLD_FLOORS),
    (_HAS_OUR_TABLES, _WATCHES, _WATCHES_THAT_STAND, _WATCH_PARTS, _WATCH_PARTS_BY_WATCH, _NOTICES),
    (_HAS_OUR_TABLES, *BOOK_TABLES),
    (_HAS_OUR_TABLES, _VOID_INTENTS),
    (
        _HAS_OUR_TABLES,
        _LEASE_EPOCHS,
        "INSERT INTO lease_epochs SELECT service, name, 1 FROM leases",
        _LEASE_IS_TAKEN,
        _LEASE_MOVES,
    ),
)
"""Each step leads from the version of its index to the next."""


# What a process with a token sees: of tickets its own alone, of what counts against limits also what is nobody's.
# Without a token it is the person's terminal, which sees all and sends nothing.
_VISIBLE_TICKETS = """
CREATE TEMP VIEW IF NOT EXISTS visible_tickets AS SELECT * FROM tickets WHERE our_service() = '' OR EXISTS
    (SELECT 1 FROM ticket_services WHERE ticket_services.ticket_id = tickets.ticket_id AND service = our_service())
"""
# AUTOINCREMENT remembers it, also where the journal was cut off at its end.
_JOURNAL_END = """
CREATE TEMP VIEW IF NOT EXISTS journal_end AS
SELECT COALESCE((SELECT seq FROM sqlite_sequence WHERE name = 'journal'), 0) AS sequence
"""
_OTHERS = """
CREATE TEMP VIEW IF NOT EXISTS others AS SELECT ticket_id FROM ticket_services WHERE our_service() NOT IN ('', service)
"""


def migrate(connection: Connection, service: str = "") -> None:
    """Bring the file to our version, and show what belongs to one service, which SQL names ``our_service()``.

    All the steps are one transaction, or none.

    Raises:
        StoreFailed: It is not ours to change: a newer ct-mcp has written it, or none has.
    """
    if _version(connection) != len(MIGRATIONS):
        _take_over(connection)
    connection.create_function("our_service", 0, lambda: service, deterministic=True)
    connection.execute(_VISIBLE_TICKETS)
    connection.execute(_OTHERS)
    connection.execute(BOOK_SERVICE)
    connection.execute(_JOURNAL_END)


def _take_over(connection: Connection) -> None:
    connection.create_function("commands_of_version_3", 1, _commands_of_version_3, deterministic=True)
    connection.execute("BEGIN IMMEDIATE")
    # Read again: another process may have been here while this one waited.
    found = _version(connection)
    if found == 0 and connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]:
        raise _not_ours(connection)
    for version, statements in enumerate(MIGRATIONS[found:], start=found + 1):
        for statement in statements:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {version}")
    connection.execute("COMMIT")


def _version(connection: Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version < 0:
        raise _not_ours(connection)
    if version > len(MIGRATIONS):
        raise StoreFailed(
            f"state file {_path(connection)}: it has version {version}, this ct-mcp knows {len(MIGRATIONS)}",
            next_step="the person must start the newer ct-mcp that wrote it, or name another state folder",
        )
    return version


def _not_ours(connection: Connection) -> StoreFailed:
    return StoreFailed(f"state file {_path(connection)}: it is a database, and none of ours", next_step=MOVE_ASIDE)


def _path(connection: Connection) -> str:
    return str(connection.execute("PRAGMA database_list").fetchone()[2])


def _commands_of_version_3(action: str) -> str:
    """Write what an older version kept as ``[kind, fields]`` as the commands of a ticket.

    What is nothing of the kind is kept as it is, for evidence: whoever reads that ticket is told so.
    """
    with suppress(ValueError, TypeError, RecursionError, StoreFailed):
        match json.loads(action):
            case ["flatten_everything", {"accounts": [*accounts]}]:
                flatten = {"kind": "flatten", "instrument": None}
                return canonical([flatten | {"account": account} for account in accounts])
            case [str(kind), dict(fields)]:
                return canonical([fields | {"kind": kind}])
    return action
