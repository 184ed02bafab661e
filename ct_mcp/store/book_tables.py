"""The tables of the book: executions on record, the stretches in which somebody listened, with what was held at their
beginning, what contracts are worth, and how far prices went while a round trip was held.

It stands apart from `store/schema.py`, one step of which it is and which would be too long with it. Released, it is
never edited.
"""

_BOOK_EXECUTIONS = """
CREATE TABLE book_executions (
    service TEXT NOT NULL, account TEXT NOT NULL, execution_id TEXT NOT NULL, root TEXT NOT NULL, year INTEGER NOT NULL,
    month INTEGER NOT NULL, action TEXT NOT NULL, quantity INTEGER NOT NULL, price TEXT NOT NULL, at TEXT NOT NULL,
    source TEXT NOT NULL, order_id TEXT, name TEXT, commission TEXT, position_after INTEGER, ordinal INTEGER NOT NULL,
    PRIMARY KEY (service, account, execution_id)
) WITHOUT ROWID
"""
_BOOK_BY_TIME = "CREATE INDEX book_by_time ON book_executions (service, account, at)"
_BOOK_STRETCHES = """
CREATE TABLE book_stretches (
    service TEXT NOT NULL, account TEXT NOT NULL, began TEXT NOT NULL, ended TEXT NOT NULL, positions TEXT,
    PRIMARY KEY (service, account, began)
) WITHOUT ROWID
"""
_BOOK_CONTRACTS = """
CREATE TABLE book_contracts (
    service TEXT NOT NULL, root TEXT NOT NULL, tick_size TEXT NOT NULL, point_value TEXT NOT NULL, currency TEXT,
    PRIMARY KEY (service, root)
) WITHOUT ROWID
"""
_BOOK_EXCURSIONS = """
CREATE TABLE book_excursions (
    service TEXT NOT NULL, account TEXT NOT NULL, trip_id TEXT NOT NULL, worst TEXT NOT NULL, best TEXT NOT NULL,
    source TEXT NOT NULL, at TEXT NOT NULL, PRIMARY KEY (service, account, trip_id)
) WITHOUT ROWID
"""

BOOK_SERVICE = """
CREATE TEMP VIEW IF NOT EXISTS book_service AS SELECT CASE WHEN our_service() <> '' THEN our_service() ELSE
    (SELECT CASE COUNT(*) WHEN 0 THEN '' WHEN 1 THEN MAX(service) END FROM
        (SELECT service FROM book_stretches UNION SELECT service FROM known_accounts) AS known) END AS service
"""

BOOK_TABLES = (_BOOK_EXECUTIONS, _BOOK_BY_TIME, _BOOK_STRETCHES, _BOOK_CONTRACTS, _BOOK_EXCURSIONS)
