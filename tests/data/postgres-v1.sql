-- Run this as an administrator of the database: it makes, or brings up to date, what ct-mcp keeps for "TRADER".
-- It can be run again at any time. The role gets no password here; psql asks for one with:  \password "TRADER"
BEGIN;
DO $ct_mcp$ BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'TRADER') THEN CREATE ROLE "TRADER" LOGIN; END IF;
END $ct_mcp$;
CREATE SCHEMA IF NOT EXISTS "TRADER";
DO $ct_mcp$ BEGIN
    IF (SELECT nspowner::regrole FROM pg_namespace WHERE nspname = 'TRADER') = '"TRADER"'::regrole THEN
        RAISE EXCEPTION 'the role owns this schema, and could drop what is in it: give it another owner first';
    END IF;
END $ct_mcp$;
REVOKE ALL ON SCHEMA "TRADER" FROM PUBLIC;
SET LOCAL search_path = "TRADER", pg_temp;
SET LOCAL client_min_messages = warning;
CREATE TABLE IF NOT EXISTS schema_version (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL);
INSERT INTO schema_version VALUES (1, 0) ON CONFLICT DO NOTHING;
DO $ct_mcp$ BEGIN
    IF (SELECT version FROM schema_version) > 1 THEN
        RAISE EXCEPTION 'a newer ct-mcp has made this schema: use that one''s statements';
    END IF;
END $ct_mcp$;
DO $ct_mcp$ BEGIN
IF (SELECT version FROM schema_version) = 0 THEN

CREATE TABLE tickets (
    ticket_id TEXT COLLATE "C" PRIMARY KEY, commands TEXT COLLATE "C" NOT NULL, fingerprint TEXT COLLATE "C" NOT NULL, own_id TEXT COLLATE "C" NOT NULL UNIQUE,
    summary TEXT COLLATE "C" NOT NULL, request TEXT COLLATE "C", phrase TEXT COLLATE "C" NOT NULL, approval TEXT COLLATE "C" NOT NULL,
    simulated INTEGER NOT NULL, reason TEXT COLLATE "C" NOT NULL, created_at TEXT COLLATE "C" NOT NULL, expires_at TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL, decided_by TEXT COLLATE "C" NOT NULL,
    CONSTRAINT ct_mcp_was_updated_and_must_be_restarted CHECK (request LIKE '{%'),
    CONSTRAINT nobody_was_asked CHECK (request IS NOT NULL OR state NOT IN ('open', 'approved'))
);
CREATE INDEX tickets_by_expiry ON tickets (expires_at);
CREATE TABLE ticket_services (ticket_id TEXT COLLATE "C" PRIMARY KEY, service TEXT COLLATE "C" NOT NULL);
CREATE TABLE journal (
    sequence BIGINT PRIMARY KEY, at TEXT COLLATE "C" NOT NULL, kind TEXT COLLATE "C" NOT NULL, summary TEXT COLLATE "C" NOT NULL,
    account TEXT COLLATE "C", ticket_id TEXT COLLATE "C", own_id TEXT COLLATE "C", fingerprint TEXT COLLATE "C", opens INTEGER NOT NULL, reason TEXT COLLATE "C" NOT NULL,
    detail TEXT COLLATE "C" NOT NULL, previous_hash TEXT COLLATE "C" NOT NULL, hash TEXT COLLATE "C" NOT NULL,
    CONSTRAINT an_intent_names_its_ticket CHECK (kind <> 'intent' OR ticket_id IS NOT NULL)
);
CREATE INDEX journal_by_account ON journal (account);
CREATE INDEX journal_by_ticket ON journal (ticket_id);
CREATE INDEX intents_that_open ON journal (account, at) WHERE kind = 'intent' AND opens = 1;
CREATE INDEX intents_by_action ON journal (fingerprint) WHERE kind = 'intent';
CREATE INDEX noes ON journal (sequence) WHERE kind IN ('denied', 'declined', 'suspicious', 'resumed');
CREATE TABLE journal_end (one INTEGER PRIMARY KEY CHECK (one = 1), sequence BIGINT NOT NULL);
INSERT INTO journal_end VALUES (1, 0);
CREATE TABLE outstanding (sequence BIGINT PRIMARY KEY, ticket_id TEXT COLLATE "C" NOT NULL, own_id TEXT COLLATE "C", fingerprint TEXT COLLATE "C");
CREATE TABLE halt (service TEXT COLLATE "C" PRIMARY KEY, by TEXT COLLATE "C" NOT NULL, at TEXT COLLATE "C" NOT NULL, reason TEXT COLLATE "C" NOT NULL);
CREATE TABLE day_losses (
    service TEXT COLLATE "C" NOT NULL, account TEXT COLLATE "C" NOT NULL, day TEXT COLLATE "C" NOT NULL, figure TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (service, account, day)
);
CREATE TABLE armings (
    service TEXT COLLATE "C" NOT NULL, account TEXT COLLATE "C" NOT NULL, until TEXT COLLATE "C" NOT NULL, by TEXT COLLATE "C" NOT NULL, PRIMARY KEY (service, account)
);
CREATE TABLE pin (
    one INTEGER PRIMARY KEY CHECK (one = 1), salt BYTEA NOT NULL, cost INTEGER NOT NULL,
    block_size INTEGER NOT NULL, parallel INTEGER NOT NULL, digest BYTEA NOT NULL
);
CREATE TABLE pin_tries (number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at TEXT COLLATE "C" NOT NULL);
CREATE TABLE leases (
    service TEXT COLLATE "C" NOT NULL, name TEXT COLLATE "C" NOT NULL, holder TEXT COLLATE "C" NOT NULL, renewed_at TEXT COLLATE "C" NOT NULL,
    seconds DOUBLE PRECISION NOT NULL, PRIMARY KEY (service, name)
);
CREATE TABLE known_accounts (
    service TEXT COLLATE "C" NOT NULL, account TEXT COLLATE "C" NOT NULL, kind TEXT COLLATE "C" NOT NULL, provider TEXT COLLATE "C", display_name TEXT COLLATE "C", currency TEXT COLLATE "C",
    read_at TEXT COLLATE "C" NOT NULL, PRIMARY KEY (service, account)
);
CREATE TABLE duties (
    service TEXT COLLATE "C" NOT NULL, ticket_id TEXT COLLATE "C" NOT NULL, number INTEGER NOT NULL, account TEXT COLLATE "C" NOT NULL,
    own_id TEXT COLLATE "C" NOT NULL, opened_at TEXT COLLATE "C" NOT NULL, state TEXT COLLATE "C" NOT NULL, PRIMARY KEY (ticket_id, number)
);
CREATE INDEX duties_that_stand ON duties (opened_at) WHERE state <> 'over';
CREATE TABLE duty_parts (
    ticket_id TEXT COLLATE "C" NOT NULL, number INTEGER NOT NULL, part_id TEXT COLLATE "C" PRIMARY KEY, contracts INTEGER NOT NULL,
    made_at TEXT COLLATE "C" NOT NULL, rowid BIGINT GENERATED ALWAYS AS IDENTITY
);
CREATE INDEX duty_parts_by_duty ON duty_parts (ticket_id, number);
CREATE TABLE account_days (
    service TEXT COLLATE "C" NOT NULL, account TEXT COLLATE "C" NOT NULL, day TEXT COLLATE "C" NOT NULL, first_at TEXT COLLATE "C" NOT NULL, last_at TEXT COLLATE "C" NOT NULL,
    opening TEXT COLLATE "C", balance TEXT COLLATE "C", highest TEXT COLLATE "C", is_flat INTEGER, unwatched_from TEXT COLLATE "C", unwatched_to TEXT COLLATE "C",
    PRIMARY KEY (service, account, day)
);
CREATE TABLE told_floors (
    service TEXT COLLATE "C" NOT NULL, account TEXT COLLATE "C" NOT NULL, floor TEXT COLLATE "C" NOT NULL, at TEXT COLLATE "C" NOT NULL, by TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (service, account)
);
CREATE TABLE watches (
    service TEXT COLLATE "C" NOT NULL, watch_id TEXT COLLATE "C" NOT NULL, kind TEXT COLLATE "C" NOT NULL, account TEXT COLLATE "C" NOT NULL, made_at TEXT COLLATE "C" NOT NULL,
    until TEXT COLLATE "C" NOT NULL, ticket_id TEXT COLLATE "C" NOT NULL, order_id TEXT COLLATE "C", instrument TEXT COLLATE "C", distance TEXT COLLATE "C", due TEXT COLLATE "C",
    alert_on TEXT COLLATE "C", is_above INTEGER, level TEXT COLLATE "C", state TEXT COLLATE "C" NOT NULL, PRIMARY KEY (service, watch_id)
);
CREATE INDEX watches_that_stand ON watches (made_at) WHERE state <> 'over';
CREATE TABLE watch_parts (
    service TEXT COLLATE "C" NOT NULL, watch_id TEXT COLLATE "C" NOT NULL, part_id TEXT COLLATE "C" PRIMARY KEY, made_at TEXT COLLATE "C" NOT NULL,
    rowid BIGINT GENERATED ALWAYS AS IDENTITY
);
CREATE INDEX watch_parts_by_watch ON watch_parts (service, watch_id);
CREATE TABLE notices (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, service TEXT COLLATE "C" NOT NULL, at TEXT COLLATE "C" NOT NULL,
    account TEXT COLLATE "C" NOT NULL, watch_id TEXT COLLATE "C" NOT NULL, words TEXT COLLATE "C" NOT NULL, told INTEGER NOT NULL
);
CREATE TABLE book_executions (
    service TEXT COLLATE "C" NOT NULL, account TEXT COLLATE "C" NOT NULL, execution_id TEXT COLLATE "C" NOT NULL, root TEXT COLLATE "C" NOT NULL, year INTEGER NOT NULL,
    month INTEGER NOT NULL, action TEXT COLLATE "C" NOT NULL, quantity INTEGER NOT NULL, price TEXT COLLATE "C" NOT NULL, at TEXT COLLATE "C" NOT NULL,
    source TEXT COLLATE "C" NOT NULL, order_id TEXT COLLATE "C", name TEXT COLLATE "C", commission TEXT COLLATE "C", position_after INTEGER, ordinal BIGINT NOT NULL,
    PRIMARY KEY (service, account, execution_id)
);
CREATE INDEX book_by_time ON book_executions (service, account, at);
CREATE TABLE book_stretches (
    service TEXT COLLATE "C" NOT NULL, account TEXT COLLATE "C" NOT NULL, began TEXT COLLATE "C" NOT NULL, ended TEXT COLLATE "C" NOT NULL, positions TEXT COLLATE "C",
    PRIMARY KEY (service, account, began)
);
CREATE TABLE book_contracts (
    service TEXT COLLATE "C" NOT NULL, root TEXT COLLATE "C" NOT NULL, tick_size TEXT COLLATE "C" NOT NULL, point_value TEXT COLLATE "C" NOT NULL, currency TEXT COLLATE "C",
    PRIMARY KEY (service, root)
);
CREATE TABLE book_excursions (
    service TEXT COLLATE "C" NOT NULL, account TEXT COLLATE "C" NOT NULL, trip_id TEXT COLLATE "C" NOT NULL, worst TEXT COLLATE "C" NOT NULL, best TEXT COLLATE "C" NOT NULL,
    source TEXT COLLATE "C" NOT NULL, at TEXT COLLATE "C" NOT NULL, PRIMARY KEY (service, account, trip_id)
);
CREATE TABLE void_intents (own_id TEXT COLLATE "C" PRIMARY KEY);
CREATE TABLE meters (name TEXT COLLATE "C" PRIMARY KEY, tokens DOUBLE PRECISION NOT NULL, at TEXT COLLATE "C" NOT NULL);

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

CREATE FUNCTION take_turn(OUT at timestamptz, OUT version integer) LANGUAGE plpgsql SECURITY DEFINER SET search_path = "TRADER", pg_temp AS $f$
BEGIN
    PERFORM 1 FROM journal_end FOR UPDATE;
    SELECT clock_timestamp(), schema_version.version INTO at, version FROM schema_version;
END $f$;

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
CREATE FUNCTION grow_at_its_end() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = "TRADER", pg_temp AS $f$
BEGIN
    UPDATE journal_end SET sequence = NEW.sequence WHERE sequence = NEW.sequence - 1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the journal grows at its end only' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $f$;
CREATE TRIGGER journal_grows_at_its_end BEFORE INSERT ON journal FOR EACH ROW EXECUTE FUNCTION grow_at_its_end();

UPDATE schema_version SET version = 1;
END IF;
END $ct_mcp$;

GRANT USAGE ON SCHEMA "TRADER" TO "TRADER";
GRANT SELECT ON ALL TABLES IN SCHEMA "TRADER" TO "TRADER";
GRANT INSERT ON tickets, ticket_services, journal, outstanding, halt, day_losses, armings, pin, pin_tries, leases,
    known_accounts, duties, duty_parts, account_days, told_floors, watches, watch_parts, notices, book_executions,
    book_stretches, book_contracts, book_excursions, void_intents, meters TO "TRADER";
GRANT UPDATE (state, decided_by) ON tickets TO "TRADER";
GRANT UPDATE (state) ON duties, watches TO "TRADER";
GRANT UPDATE (told) ON notices TO "TRADER";
GRANT UPDATE (commission) ON book_executions TO "TRADER";
GRANT UPDATE ON armings, pin, leases, known_accounts, account_days, told_floors, book_stretches, book_contracts, meters
    TO "TRADER";
GRANT DELETE ON outstanding, halt, armings, pin_tries, leases, account_days, book_executions, book_stretches,
    book_excursions TO "TRADER";
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA "TRADER" TO "TRADER";
COMMIT;
