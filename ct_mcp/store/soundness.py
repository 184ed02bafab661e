"""Checks a state file as a server opens it: what a disk lost or tore must not pass for how things stood.

SQLite notices a page that is none of its own. A page that is an older one of its own (a disk that lied about what it
wrote, a power cut) it takes as it is: a halt that is gone, a ticket that can be spent once more. But every change is
told twice, in the journal and in a table, and the two stand in different pages: so they are held against each other.

1. The pages: all of them, or in a long file those of the short tables, since an exit may wait for this.
2. The end of the journal: its last entries follow from each other, up to the last one that was ever given.
3. What the journal says of halts, tickets, outcomes, days of loss and armings is what the tables hold.

Whatever does not hold is said, and the file is not used. A file that is older as a whole is not noticed: nothing in it
tells that there was more.
"""

from collections.abc import Iterator
from sqlite3 import Connection

from ct_mcp.errors import StoreDamaged
from ct_mcp.store.codec import MOVE_ASIDE
from ct_mcp.store.journal import check_end

CHECKED_WHOLE_BYTES = 8 * 1024 * 1024
"""A file of this size is checked in some ten milliseconds."""
_SHORT_TABLES = ("tickets", "ticket_services", "outstanding", "halt", "day_losses", "armings", "leases", "pin")
_LAST_ENTRIES = 200
_LOOKED_THROUGH = 2_000

_END = """
SELECT (SELECT sequence FROM journal_end), (SELECT COALESCE(MAX(sequence), 0) FROM journal)
"""
_NEWEST = "SELECT * FROM (SELECT * FROM journal ORDER BY sequence DESC LIMIT ?) AS newest ORDER BY sequence"
_OF_INTENTS = "kind = 'intent'"
_INDEXES = {
    "journal_by_ticket": ("ticket_id", "ticket_id IS NOT NULL"),
    "journal_by_account": ("account", "account IS NOT NULL"),
    "intents_that_open": ("account", f"{_OF_INTENTS} AND opens = 1"),
    "intents_by_action": ("fingerprint", f"{_OF_INTENTS} AND fingerprint IS NOT NULL"),
}
"""What an order is judged by: each with its first column, and the entries that stand in it."""
_LEFT_OUT = """
SELECT EXISTS (SELECT 1 FROM journal AS entry NOT INDEXED WHERE sequence > :since AND {holds} AND NOT EXISTS
    (SELECT 1 FROM journal AS found INDEXED BY {index}
    WHERE found.{column} = entry.{column} AND found.sequence = entry.sequence AND {holds}))
"""
_CONTRADICTIONS = {
    "the journal says that trading is halted, and no halt is kept": """
SELECT NOT EXISTS (SELECT 1 FROM halt) AND 'halted' =
    (SELECT kind FROM journal WHERE sequence > :since AND kind IN ('halted', 'resumed') ORDER BY sequence DESC LIMIT 1)
""",
    "the journal says that a ticket was sent, and it is kept as one that was not": """
SELECT EXISTS (SELECT 1 FROM tickets WHERE state IN ('open', 'approved') AND EXISTS
    (SELECT 1 FROM journal WHERE journal.ticket_id = tickets.ticket_id AND kind = 'intent'))
""",
    "the journal says that an outcome is not known, and it is not kept so, or the other way round": """
WITH recent AS (SELECT * FROM journal WHERE sequence > :since AND kind = 'intent'), due AS (
    SELECT sequence FROM recent AS intent WHERE NOT EXISTS (
        SELECT 1 FROM journal AS answer
        WHERE answer.ticket_id = intent.ticket_id AND answer.kind IN ('answered', 'settled')
        AND answer.sequence > intent.sequence
        AND (answer.own_id IS NULL OR intent.own_id IS NULL OR answer.own_id = intent.own_id)
    )
)
SELECT EXISTS (SELECT sequence FROM due EXCEPT SELECT sequence FROM outstanding)
    OR EXISTS (SELECT sequence FROM outstanding WHERE sequence > :since EXCEPT SELECT sequence FROM due)
""",
    "the journal says that a day's loss was reached, and it is not kept": """
SELECT EXISTS (SELECT 1 FROM journal WHERE sequence > :since AND kind = 'day_loss' AND NOT EXISTS
    (SELECT 1 FROM day_losses
    WHERE day_losses.account = journal.account AND instr(journal.detail, '"day":"' || day || '"') > 0))
""",
    "the journal says that an account was disarmed, and it is kept as armed": """
SELECT (SELECT COUNT(DISTINCT service) FROM ticket_services) <= 1 AND EXISTS (SELECT 1 FROM armings WHERE 'disarmed' =
    (SELECT kind FROM journal WHERE journal.account = armings.account AND kind IN ('armed', 'disarmed')
    ORDER BY sequence DESC LIMIT 1))
""",
}


def refuse_what_is_damaged(connection: Connection) -> None:
    """Look through a file of our version, in one moment of it.

    Raises:
        StoreDamaged: It does not hold what was written, or not all of it.
    """
    connection.execute("BEGIN")
    try:
        fault = next(_faults(connection), None)
    finally:
        connection.execute("ROLLBACK")
    if fault is not None:
        path = connection.execute("PRAGMA database_list").fetchone()[2]
        raise StoreDamaged(f"state file {path}: it is damaged ({fault})", next_step=MOVE_ASIDE)


def _faults(connection: Connection) -> Iterator[str]:
    (pages,), (size,) = (connection.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "page_size"))
    is_long = pages * size > CHECKED_WHOLE_BYTES
    yield from _faults_of_pages(connection, _SHORT_TABLES if is_long else ("1",))
    last_given, last_kept = connection.execute(_END).fetchone()
    if last_given != last_kept:
        yield f"the journal ends with entry {last_kept}, and entry {last_given} was written"
    if why := check_end(connection.execute(_NEWEST, (_LAST_ENTRIES,))):
        yield why
    asked = _CONTRADICTIONS | (dict(_indexes()) if is_long else {})
    for fault, contradicts in asked.items():
        if connection.execute(contradicts, {"since": last_kept - _LOOKED_THROUGH}).fetchone()[0]:
            yield fault


def _faults_of_pages(connection: Connection, of: tuple[str, ...]) -> Iterator[str]:
    """Look through tables, or as many faults as ``of`` says of all; a text longer than a line tells nobody more."""
    for each in of:
        (told,) = connection.execute(f"PRAGMA integrity_check({each})").fetchone()
        if told != "ok":
            yield " ".join(str(told).split())[:100]


def _indexes() -> Iterator[tuple[str, str]]:
    for index, (column, holds) in _INDEXES.items():
        query = _LEFT_OUT.format(index=index, column=column, holds=holds)
        yield f"the index {index} does not hold what the journal holds", query
