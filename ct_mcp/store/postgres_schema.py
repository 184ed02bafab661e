"""The tables in PostgreSQL: one schema for each trader, made by an administrator, and used with few rights.

A schema has the name of the role that uses it, and stands for what a state folder is elsewhere: one journal, one chain
of hashes. The tables are those of `schema`, and a test holds the two against each other. The role owns nothing, so it
can drop no trigger, and it may change no more than the statements of the tables do: a journal only grows.

The steps are statements of SQL, and a released one is never edited: a new one follows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

_TABLES = """
CREATE TABLE tickets (
    ticket_id TEXT PRIMARY KEY, commands TEXT NOT NULL, fingerprint TEXT NOT NULL, own_id TEXT NOT NULL UNIQUE,
    summary TEXT NOT NULL, request TEXT, phrase TEXT NOT NULL, approval TEXT NOT NULL,
    simulated INTEGER NOT NULL, reason TEXT NOT NULL, created_at TEXT NOT NULL, expires_at TEXT NOT NULL,
    state TEXT NOT NULL, decided_by TEXT NOT NULL,
    CONSTRAINT ct_mcp_was_updated_and_must_be_restarted CHECK (request LIKE '{%'),
    CONSTRAINT nobody_was_asked CHECK (request IS NOT NULL OR state NOT IN ('open', 'approved'))
);
CREATE INDEX tickets_by_expiry ON tickets (expires_at);
CREATE TABLE ticket_services (ticket_id TEXT PRIMARY KEY, service TEXT NOT NULL);
CREATE TABLE journal (
    sequence BIGINT PRIMARY KEY, at TEXT NOT NULL, kind TEXT NOT NULL, summary TEXT NOT NULL,
    account TEXT, ticket_id TEXT, own_id TEXT, fingerprint TEXT, opens INTEGER NOT NULL, reason TEXT NOT NULL,
    detail TEXT NOT NULL, previous_hash TEXT NOT NULL, hash TEXT NOT NULL,
    CONSTRAINT an_intent_names_its_ticket CHECK (kind <> 'intent' OR ticket_id IS NOT NULL)
);
CREATE INDEX journal_by_account ON journal (account);
CREATE INDEX journal_by_ticket ON journal (ticket_id);
CREATE INDEX intents_that_open ON journal (account, at) WHERE kind = 'intent' AND opens = 1;
CREATE INDEX intents_by_action ON journal (fingerprint) WHERE kind = 'intent';
CREATE INDEX noes ON journal (sequence) WHERE kind IN ('denied', 'declined', 'suspicious', 'resumed');
CREATE TABLE journal_end (one INTEGER PRIMARY KEY CHECK (one = 1), sequence BIGINT NOT NULL);
INSERT INTO journal_end VALUES (1, 0);
CREATE TABLE outstanding (sequence BIGINT PRIMARY KEY, ticket_id TEXT NOT NULL, own_id TEXT, fingerprint TEXT);
CREATE TABLE halt (service TEXT PRIMARY KEY, by TEXT NOT NULL, at TEXT NOT NULL, reason TEXT NOT NULL);
CREATE TABLE day_losses (
    service TEXT NOT NULL, account TEXT NOT NULL, day TEXT NOT NULL, figure TEXT NOT NULL,
    PRIMARY KEY (service, account, day)
);
CREATE TABLE armings (
    service TEXT NOT NULL, account TEXT NOT NULL, until TEXT NOT NULL, by TEXT NOT NULL, PRIMARY KEY (service, account)
);
CREATE TABLE pin (
    one INTEGER PRIMARY KEY CHECK (one = 1), salt BYTEA NOT NULL, cost INTEGER NOT NULL,
    block_size INTEGER NOT NULL, parallel INTEGER NOT NULL, digest BYTEA NOT NULL
);
CREATE TABLE pin_tries (number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at TEXT NOT NULL);
CREATE TABLE leases (
    service TEXT NOT NULL, name TEXT NOT NULL, holder TEXT NOT NULL, renewed_at TEXT NOT NULL,
    seconds DOUBLE PRECISION NOT NULL, PRIMARY KEY (service, name)
);
CREATE TABLE known_accounts (
    service TEXT NOT NULL, account TEXT NOT NULL, kind TEXT NOT NULL, provider TEXT, display_name TEXT, currency TEXT,
    read_at TEXT NOT NULL, PRIMARY KEY (service, account)
);
CREATE TABLE duties (
    service TEXT NOT NULL, ticket_id TEXT NOT NULL, number INTEGER NOT NULL, account TEXT NOT NULL,
    own_id TEXT NOT NULL, opened_at TEXT NOT NULL, state TEXT NOT NULL, PRIMARY KEY (ticket_id, number)
);
CREATE INDEX duties_that_stand ON duties (opened_at) WHERE state <> 'over';
CREATE TABLE duty_parts (
    ticket_id TEXT NOT NULL, number INTEGER NOT NULL, part_id TEXT PRIMARY KEY, contracts INTEGER NOT NULL,
    made_at TEXT NOT NULL, rowid BIGINT GENERATED ALWAYS AS IDENTITY
);
CREATE INDEX duty_parts_by_duty ON duty_parts (ticket_id, number);
CREATE TABLE account_days (
    service TEXT NOT NULL, account TEXT NOT NULL, day TEXT NOT NULL, first_at TEXT NOT NULL, last_at TEXT NOT NULL,
    opening TEXT, balance TEXT, highest TEXT, is_flat INTEGER, unwatched_from TEXT, unwatched_to TEXT,
    PRIMARY KEY (service, account, day)
);
CREATE TABLE told_floors (
    service TEXT NOT NULL, account TEXT NOT NULL, floor TEXT NOT NULL, at TEXT NOT NULL, by TEXT NOT NULL,
    PRIMARY KEY (service, account)
);
CREATE TABLE watches (
    service TEXT NOT NULL, watch_id TEXT NOT NULL, kind TEXT NOT NULL, account TEXT NOT NULL, made_at TEXT NOT NULL,
    until TEXT NOT NULL, ticket_id TEXT NOT NULL, order_id TEXT, instrument TEXT, distance TEXT, due TEXT,
    alert_on TEXT, is_above INTEGER, level TEXT, state TEXT NOT NULL, PRIMARY KEY (service, watch_id)
);
CREATE INDEX watches_that_stand ON watches (made_at) WHERE state <> 'over';
CREATE TABLE watch_parts (
    service TEXT NOT NULL, watch_id TEXT NOT NULL, part_id TEXT PRIMARY KEY, made_at TEXT NOT NULL,
    rowid BIGINT GENERATED ALWAYS AS IDENTITY
);
CREATE INDEX watch_parts_by_watch ON watch_parts (service, watch_id);
CREATE TABLE notices (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, service TEXT NOT NULL, at TEXT NOT NULL,
    account TEXT NOT NULL, watch_id TEXT NOT NULL, words TEXT NOT NULL, told INTEGER NOT NULL
);
CREATE TABLE book_executions (
    service TEXT NOT NULL, account TEXT NOT NULL, execution_id TEXT NOT NULL, root TEXT NOT NULL, year INTEGER NOT NULL,
    month INTEGER NOT NULL, action TEXT NOT NULL, quantity INTEGER NOT NULL, price TEXT NOT NULL, at TEXT NOT NULL,
    source TEXT NOT NULL, order_id TEXT, name TEXT, commission TEXT, position_after INTEGER, ordinal BIGINT NOT NULL,
    PRIMARY KEY (service, account, execution_id)
);
CREATE INDEX book_by_time ON book_executions (service, account, at);
CREATE TABLE book_stretches (
    service TEXT NOT NULL, account TEXT NOT NULL, began TEXT NOT NULL, ended TEXT NOT NULL, positions TEXT,
    PRIMARY KEY (service, account, began)
);
CREATE TABLE book_contracts (
    service TEXT NOT NULL, root TEXT NOT NULL, tick_size TEXT NOT NULL, point_value TEXT NOT NULL, currency TEXT,
    PRIMARY KEY (service, root)
);
CREATE TABLE book_excursions (
    service TEXT NOT NULL, account TEXT NOT NULL, trip_id TEXT NOT NULL, worst TEXT NOT NULL, best TEXT NOT NULL,
    source TEXT NOT NULL, at TEXT NOT NULL, PRIMARY KEY (service, account, trip_id)
);
CREATE TABLE void_intents (own_id TEXT PRIMARY KEY);
CREATE TABLE meters (name TEXT PRIMARY KEY, tokens DOUBLE PRECISION NOT NULL, at TEXT NOT NULL);
"""
# What `schema` names by functions and temporary views of its own connection.
_NAMES = """
CREATE FUNCTION our_service() RETURNS text LANGUAGE sql STABLE
AS $f$ SELECT coalesce(current_setting('ct_mcp.service', true), '') $f$;
CREATE FUNCTION instr(whole text, part text) RETURNS integer LANGUAGE sql IMMUTABLE
AS $f$ SELECT strpos(whole, part) $f$;
CREATE VIEW visible_tickets AS SELECT * FROM tickets WHERE our_service() = '' OR EXISTS
    (SELECT 1 FROM ticket_services WHERE ticket_services.ticket_id = tickets.ticket_id AND service = our_service());
CREATE VIEW book_service AS SELECT CASE WHEN our_service() <> '' THEN our_service() ELSE
    (SELECT CASE COUNT(*) WHEN 0 THEN '' WHEN 1 THEN MAX(service) END FROM
        (SELECT service FROM book_stretches UNION SELECT service FROM known_accounts) AS known) END AS service;
CREATE VIEW others AS SELECT ticket_id FROM ticket_services WHERE our_service() NOT IN ('', service);
"""
# Who writes waits here for the others, so that a transaction decides on what stands, and none has to be undone.
_TURN = """
CREATE FUNCTION take_turn(OUT at timestamptz, OUT version integer) LANGUAGE plpgsql SECURITY DEFINER AS $f$
BEGIN
    PERFORM 1 FROM journal_end FOR UPDATE;
    SELECT clock_timestamp(), schema_version.version INTO at, version FROM schema_version;
END $f$;
"""
# Whatever program writes here: what the person was shown stays what is sent, what is spent stays spent, what is
# written stays written.
_TRIGGERS = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $f$
BEGIN RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation'; END $f$;
CREATE TRIGGER ticket_is_bound BEFORE UPDATE OF
    ticket_id, commands, fingerprint, own_id, summary, request, phrase, approval, simulated, reason,
    created_at, expires_at
ON tickets FOR EACH ROW EXECUTE FUNCTION refuse('a ticket is bound to its commands');
CREATE TRIGGER ticket_ends_once BEFORE UPDATE OF state ON tickets FOR EACH ROW
WHEN (OLD.state NOT IN ('open', 'approved')) EXECUTE FUNCTION refuse('a spent or declined ticket stays so');
CREATE TRIGGER ticket_is_kept BEFORE DELETE ON tickets
FOR EACH ROW EXECUTE FUNCTION refuse('a ticket is never removed');
CREATE TRIGGER tickets_are_kept BEFORE TRUNCATE ON tickets
FOR EACH STATEMENT EXECUTE FUNCTION refuse('a ticket is never removed');
CREATE TRIGGER ticket_stays_with_its_service BEFORE UPDATE ON ticket_services
FOR EACH ROW EXECUTE FUNCTION refuse('a ticket stays with its service');
CREATE TRIGGER ticket_keeps_its_service BEFORE DELETE ON ticket_services
FOR EACH ROW EXECUTE FUNCTION refuse('a ticket keeps its service');
CREATE TRIGGER tickets_keep_their_service BEFORE TRUNCATE ON ticket_services
FOR EACH STATEMENT EXECUTE FUNCTION refuse('a ticket keeps its service');
CREATE TRIGGER journal_keeps_its_words BEFORE UPDATE ON journal
FOR EACH ROW EXECUTE FUNCTION refuse('the journal is never rewritten');
CREATE TRIGGER journal_keeps_its_entries BEFORE DELETE ON journal
FOR EACH ROW EXECUTE FUNCTION refuse('the journal is never shortened');
CREATE TRIGGER journal_keeps_all_its_entries BEFORE TRUNCATE ON journal
FOR EACH STATEMENT EXECUTE FUNCTION refuse('the journal is never shortened');
CREATE FUNCTION grow_at_its_end() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $f$
BEGIN
    UPDATE journal_end SET sequence = NEW.sequence WHERE sequence = NEW.sequence - 1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the journal grows at its end only' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $f$;
CREATE TRIGGER journal_grows_at_its_end BEFORE INSERT ON journal FOR EACH ROW EXECUTE FUNCTION grow_at_its_end();
"""

# From version 2 on: how often each lease has changed hands, which nobody but this trigger counts.
_EPOCHS = """
CREATE TABLE lease_epochs (
    service TEXT NOT NULL, name TEXT NOT NULL, epoch BIGINT NOT NULL, PRIMARY KEY (service, name)
);
INSERT INTO lease_epochs SELECT service, name, 1 FROM leases;
CREATE FUNCTION count_epoch() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $f$
BEGIN
    INSERT INTO lease_epochs VALUES (NEW.service, NEW.name, 1)
    ON CONFLICT (service, name) DO UPDATE SET epoch = lease_epochs.epoch + 1;
    RETURN NULL;
END $f$;
CREATE TRIGGER lease_is_taken AFTER INSERT ON leases FOR EACH ROW EXECUTE FUNCTION count_epoch();
CREATE TRIGGER lease_moves AFTER UPDATE ON leases FOR EACH ROW
WHEN (NEW.holder <> OLD.holder) EXECUTE FUNCTION count_epoch();
"""
# What is rare, and what somebody may wait for on another machine: it wakes whoever listens, and says nothing more.
_WAKES = """
CREATE FUNCTION wake() RETURNS trigger LANGUAGE plpgsql AS $f$
BEGIN PERFORM pg_notify('ct_mcp.' || md5(TG_TABLE_SCHEMA), ''); RETURN NULL; END $f$;
CREATE TRIGGER halt_wakes AFTER INSERT OR UPDATE OR DELETE ON halt FOR EACH ROW EXECUTE FUNCTION wake();
CREATE TRIGGER arming_wakes AFTER INSERT OR UPDATE OR DELETE ON armings FOR EACH ROW EXECUTE FUNCTION wake();
CREATE TRIGGER decision_wakes AFTER UPDATE OF state ON tickets FOR EACH ROW
WHEN (NEW.state IN ('approved', 'declined')) EXECUTE FUNCTION wake();
"""

STEPS: tuple[str, ...] = (_TABLES + _NAMES + _TURN + _TRIGGERS, _EPOCHS + _WAKES)
"""Each step leads from the version of its index to the next."""


@dataclass(frozen=True, slots=True)
class Tables:
    """Which tables a role uses: our version of them, what prints the statements that make them, and their schema.

    Without a schema they stand in the one that has the name of the role.
    """

    version: int
    printed_by: str
    schema: str = ""


PLANE_SCHEMA = "ct_mcp_plane"
"""The schema of a team's plane, and so no trader's."""

OF_A_TRADER = Tables(len(STEPS), "ct-mcp state sql ROLE")

OURS_ALONE = frozenset({"schema_version", "journal_end", "meters"})
"""Tables that stand in no state file: SQLite keeps the version and the end of the journal itself, and `budget.sqlite3`
the request budget."""

_RIGHTS = """
GRANT USAGE ON SCHEMA {schema} TO {role};
GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role};
GRANT INSERT ON tickets, ticket_services, journal, outstanding, halt, day_losses, armings, pin, pin_tries, leases,
    known_accounts, duties, duty_parts, account_days, told_floors, watches, watch_parts, notices, book_executions,
    book_stretches, book_contracts, book_excursions, void_intents, meters TO {role};
GRANT UPDATE (state, decided_by) ON tickets TO {role};
GRANT UPDATE (state) ON duties, watches TO {role};
GRANT UPDATE (told) ON notices TO {role};
GRANT UPDATE (commission) ON book_executions TO {role};
GRANT UPDATE ON armings, pin, leases, known_accounts, account_days, told_floors, book_stretches, book_contracts, meters
    TO {role};
GRANT DELETE ON outstanding, halt, armings, pin_tries, leases, account_days, book_executions, book_stretches,
    book_excursions TO {role};
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA {schema} FROM PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {schema} TO {role};
"""
_SCRIPT = """\
-- Run this as an administrator of the database: it makes, or brings up to date, what ct-mcp keeps for {role}.
-- It can be run again at any time. The role gets no password here; psql asks for one with:  \\password {role}
BEGIN;
DO $ct_mcp$ BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = {name}) THEN CREATE ROLE {role} LOGIN; END IF;
END $ct_mcp$;
CREATE SCHEMA IF NOT EXISTS {schema};
DO $ct_mcp$ BEGIN
    IF (SELECT nspowner::regrole FROM pg_namespace WHERE nspname = {name}) = {owner}::regrole THEN
        RAISE EXCEPTION 'the role owns this schema, and could drop what is in it: give it another owner first';
    END IF;
END $ct_mcp$;
REVOKE ALL ON SCHEMA {schema} FROM PUBLIC;
SET LOCAL search_path = {schema}, pg_temp;
SET LOCAL client_min_messages = warning;
{migration}{rights}DO $ct_mcp$ BEGIN
    IF has_schema_privilege(to_regnamespace('ct_mcp_plane')::oid, 'USAGE') THEN
        IF has_function_privilege(to_regprocedure('ct_mcp_plane.open_journal(text)')::oid, 'EXECUTE') THEN
            PERFORM ct_mcp_plane.open_journal({name});  -- for the risk managers of a team, if the role belongs to one
        END IF;
    END IF;
END $ct_mcp$;
COMMIT;
"""
_MIGRATION = """\
CREATE TABLE IF NOT EXISTS schema_version (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL);
INSERT INTO schema_version VALUES (1, 0) ON CONFLICT DO NOTHING;
DO $ct_mcp$ BEGIN
    IF (SELECT version FROM schema_version) > {newest} THEN
        RAISE EXCEPTION 'a newer ct-mcp has made this schema: use that one''s statements';
    END IF;
END $ct_mcp$;
{steps}"""
_STEP = """\
DO $ct_mcp$ BEGIN
IF (SELECT version FROM schema_version) = {before} THEN
{statements}
UPDATE schema_version SET version = {after};
END IF;
END $ct_mcp$;
"""


def script(role: str) -> str:
    """Write what an administrator runs to make the tables of one trader, or to bring them to our version."""
    schema = as_identifier(role)
    rights = _RIGHTS.format(schema=schema, role=schema)
    return _SCRIPT.format(
        role=schema,
        schema=schema,
        name=as_literal(role),
        owner=as_literal(schema),
        migration=migration([_bound_to(schema, step) for step in STEPS]),
        rights=rights,
    )


def migration(steps: Sequence[str]) -> str:
    """Write what brings the tables of a schema, the first of the search path, from any version to that of our steps."""
    written = "".join(
        _STEP.format(before=number, after=number + 1, statements=step) for number, step in enumerate(steps)
    )
    return _MIGRATION.format(newest=len(steps), steps=written)


def may_be_role(name: str) -> bool:
    """Say whether a role can have this name, and a schema of its own."""
    return name.isprintable() and bool(name.strip()) and len(name.encode()) < 64 and name != PLANE_SCHEMA


def _bound_to(schema: str, step: str) -> str:
    """Compare text by its bytes, as SQLite does, and let no function find a table of somebody else."""
    ordered = step.replace(" TEXT", ' TEXT COLLATE "C"')
    return ordered.replace("SECURITY DEFINER", f"SECURITY DEFINER SET search_path = {schema}, pg_temp")


def as_identifier(name: str) -> str:
    """Write a name of SQL."""
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def as_literal(text: str) -> str:
    """Write a text of SQL."""
    doubled = text.replace("'", "''")
    return f"'{doubled}'"
