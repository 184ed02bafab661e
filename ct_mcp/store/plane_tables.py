"""The tables, views and functions of a team's plane, as statements of SQL: what each role of a team may see and do.

Nobody but their owner can change a row by hand. Whatever a member does is a call of one function, which runs with the
rights of the owner, and:

* takes who acts from ``session_user``, which no statement of a member can change, and never from an argument;
* looks up in ``members`` whether that role may do it;
* writes what is done, and the act into the chain of hashes, in one transaction, whose times are the database's.

Acts come one after the other: who acts locks ``acts_end`` first. What traders call never locks it, so no trader can
hold up a halt. Failures of our own have codes that begin with CT, which `plane_database` puts into words.

The steps are never edited once they are released: a new one follows.
"""

_TABLES = """
CREATE TABLE members (
    name TEXT PRIMARY KEY CHECK (name <> ''), role TEXT NOT NULL CHECK (role IN ('trader', 'risk_manager'))
);
CREATE TABLE halts (trader TEXT PRIMARY KEY, by TEXT NOT NULL, at TIMESTAMPTZ NOT NULL, reason TEXT NOT NULL);
CREATE TABLE policies (
    number BIGINT PRIMARY KEY, trader TEXT NOT NULL, text TEXT NOT NULL, by TEXT NOT NULL, at TIMESTAMPTZ NOT NULL
);
CREATE UNIQUE INDEX policies_by_trader ON policies (trader, number);
CREATE TABLE questions (
    ticket_id TEXT PRIMARY KEY, trader TEXT NOT NULL, fingerprint TEXT NOT NULL, heading TEXT NOT NULL,
    headline TEXT NOT NULL, lines text[] NOT NULL, asked_at TIMESTAMPTZ NOT NULL, expires_at TIMESTAMPTZ NOT NULL,
    simulated BOOLEAN NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'approved', 'declined')),
    by TEXT NOT NULL DEFAULT '', at TIMESTAMPTZ, CHECK ((state = 'waiting') = (at IS NULL))
);
CREATE INDEX questions_by_trader ON questions (trader, expires_at);
CREATE INDEX questions_by_time ON questions (expires_at);
CREATE TABLE reports (
    trader TEXT NOT NULL, machine TEXT NOT NULL, report TEXT NOT NULL, heard_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (trader, machine)
) WITH (fillfactor = 70);
CREATE TABLE acts (
    sequence BIGINT PRIMARY KEY, at TEXT NOT NULL, by TEXT NOT NULL, act TEXT NOT NULL, trader TEXT NOT NULL,
    detail TEXT NOT NULL, previous_hash TEXT NOT NULL, hash TEXT NOT NULL
);
CREATE TABLE acts_end (one INTEGER PRIMARY KEY CHECK (one = 1), sequence BIGINT NOT NULL, hash TEXT NOT NULL);
INSERT INTO acts_end VALUES (1, 0, repeat('0', 64));
"""
# Whoever owns the tables may make a mistake as well.
_TRIGGERS = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $f$
BEGIN RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation'; END $f$;
CREATE TRIGGER acts_stand BEFORE UPDATE OR DELETE ON acts
FOR EACH ROW EXECUTE FUNCTION refuse('what was done stays written');
CREATE TRIGGER acts_all_stand BEFORE TRUNCATE ON acts
FOR EACH STATEMENT EXECUTE FUNCTION refuse('what was done stays written');
CREATE TRIGGER policies_stand BEFORE UPDATE OR DELETE ON policies
FOR EACH ROW EXECUTE FUNCTION refuse('a policy is never rewritten');
CREATE TRIGGER policies_all_stand BEFORE TRUNCATE ON policies
FOR EACH STATEMENT EXECUTE FUNCTION refuse('a policy is never rewritten');
CREATE TRIGGER question_is_bound BEFORE UPDATE OF
    ticket_id, trader, fingerprint, heading, headline, lines, asked_at, expires_at, simulated
ON questions FOR EACH ROW EXECUTE FUNCTION refuse('a question is bound to its ticket');
CREATE TRIGGER question_is_answered_once BEFORE UPDATE OF state, by, at ON questions FOR EACH ROW
WHEN (OLD.state <> 'waiting') EXECUTE FUNCTION refuse('the first answer counts');
"""
# The chain: each part with its length in bytes before it, so that no two acts are written alike.
_CHAIN = """
CREATE FUNCTION sealed(parts text[]) RETURNS text LANGUAGE sql STABLE SET search_path = ct_mcp_plane, pg_temp AS $f$
    SELECT encode(sha256(convert_to(string_agg(octet_length(convert_to(part, 'UTF8')) || ':' || part, ','
        ORDER BY place), 'UTF8')), 'hex') FROM unnest(parts) WITH ORDINALITY AS each (part, place)
$f$;
CREATE FUNCTION act(what text, whom text, detail jsonb, moment timestamptz) RETURNS void LANGUAGE plpgsql
SET search_path = ct_mcp_plane, pg_temp AS $f$
DECLARE
    number bigint; before text; digest text;
    stamp text := to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"');
BEGIN
    SELECT acts_end.sequence + 1, acts_end.hash INTO number, before FROM acts_end FOR UPDATE;
    digest := sealed(ARRAY[number::text, stamp, session_user::text, what, whom, detail::text, before]);
    INSERT INTO acts VALUES (number, stamp, session_user::text, what, whom, detail::text, before, digest);
    UPDATE acts_end SET sequence = number, hash = digest;
END $f$;
"""
_RIGHTS = """
CREATE FUNCTION my_role() RETURNS text LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ct_mcp_plane, pg_temp
AS $f$ SELECT role FROM members WHERE name = session_user::text $f$;
CREATE FUNCTION need_member() RETURNS void LANGUAGE plpgsql SET search_path = ct_mcp_plane, pg_temp AS $f$
BEGIN
    IF my_role() IS NULL THEN
        RAISE EXCEPTION 'this role is no member of the team' USING ERRCODE = 'CT001';
    END IF;
END $f$;
CREATE FUNCTION take_turn_as_risk_manager() RETURNS void LANGUAGE plpgsql SET search_path = ct_mcp_plane, pg_temp AS $f$
BEGIN
    PERFORM need_member();
    IF my_role() <> 'risk_manager' THEN
        RAISE EXCEPTION 'only a risk manager may do this' USING ERRCODE = 'CT002';
    END IF;
    PERFORM 1 FROM acts_end FOR UPDATE;
END $f$;
CREATE FUNCTION need_trader(whom text) RETURNS void LANGUAGE plpgsql SET search_path = ct_mcp_plane, pg_temp AS $f$
BEGIN
    IF whom <> '' AND NOT EXISTS (SELECT 1 FROM members WHERE name = whom) THEN
        RAISE EXCEPTION 'no member of the team has this name' USING ERRCODE = 'CT003';
    END IF;
END $f$;
"""
# What a trader sees is his own, and what is said to everybody.
_VIEWS = """
CREATE VIEW seen_members WITH (security_barrier) AS SELECT * FROM members
    WHERE name = session_user::text OR (SELECT my_role()) = 'risk_manager';
CREATE VIEW seen_reports WITH (security_barrier) AS SELECT * FROM reports
    WHERE trader = session_user::text OR (SELECT my_role()) = 'risk_manager';
CREATE VIEW seen_questions WITH (security_barrier) AS SELECT * FROM questions
    WHERE trader = session_user::text OR (SELECT my_role()) = 'risk_manager';
CREATE VIEW seen_halts WITH (security_barrier) AS SELECT * FROM halts
    WHERE (trader IN ('', session_user::text) AND (SELECT my_role()) IS NOT NULL)
    OR (SELECT my_role()) = 'risk_manager';
CREATE VIEW seen_policies WITH (security_barrier) AS SELECT * FROM policies
    WHERE (trader IN ('', session_user::text) AND (SELECT my_role()) IS NOT NULL)
    OR (SELECT my_role()) = 'risk_manager';
CREATE VIEW seen_acts WITH (security_barrier) AS SELECT * FROM acts
    WHERE (trader IN ('', session_user::text) AND (SELECT my_role()) IS NOT NULL)
    OR (SELECT my_role()) = 'risk_manager';
CREATE VIEW seen_end WITH (security_barrier) AS SELECT sequence, hash FROM acts_end
    WHERE (SELECT my_role()) = 'risk_manager';
"""
# Asked at each opening, and once a second by each machine. The text of a policy that is known is not sent again.
_SPOKEN = """
CREATE FUNCTION word(known bigint[])
RETURNS TABLE (kind text, trader text, number bigint, by text, at timestamptz, words text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = ct_mcp_plane, pg_temp AS $f$
DECLARE me text := session_user::text;
BEGIN
    PERFORM need_member();
    RETURN QUERY
    SELECT 'version', '', schema_version.version::bigint, '', clock_timestamp(), '' FROM schema_version
    UNION ALL SELECT 'halt', h.trader, 0, h.by, h.at, h.reason FROM halts AS h WHERE h.trader IN ('', me)
    UNION ALL (
        SELECT 'policy', p.trader, p.number, p.by, p.at, CASE WHEN p.number <> ALL (known) THEN p.text END
        FROM policies AS p WHERE p.trader = '' ORDER BY p.number DESC LIMIT 1
    )
    UNION ALL (
        SELECT 'policy', p.trader, p.number, p.by, p.at, CASE WHEN p.number <> ALL (known) THEN p.text END
        FROM policies AS p WHERE p.trader = me ORDER BY p.number DESC LIMIT 1
    );
END $f$;
"""
_OF_TRADERS = """
CREATE FUNCTION ask(
    its_ticket text, its_fingerprint text, its_heading text, its_headline text, its_lines text[],
    was_asked_at timestamptz, will_expire_at timestamptz, is_simulated boolean
) RETURNS timestamptz LANGUAGE plpgsql SECURITY DEFINER SET search_path = ct_mcp_plane, pg_temp AS $f$
DECLARE me text := session_user::text; moment timestamptz := clock_timestamp(); stands questions;
BEGIN
    PERFORM need_member();
    SELECT * INTO stands FROM questions WHERE ticket_id = its_ticket;
    IF NOT FOUND THEN
        IF octet_length(its_ticket || its_fingerprint) > 500 OR octet_length(its_heading || its_headline) > 4000
        OR octet_length(array_to_string(its_lines, ',', '')) > 65536 OR array_ndims(its_lines) > 1
        OR cardinality(its_lines) > 2000 OR array_position(its_lines, NULL) IS NOT NULL
        OR will_expire_at > moment + interval '2 hours' THEN
            RAISE EXCEPTION 'the question is too long, or lives too long' USING ERRCODE = 'CT004';
        END IF;
        IF (SELECT count(*) FROM questions WHERE trader = me AND state = 'waiting' AND expires_at > moment) >= 20 THEN
            RAISE EXCEPTION '20 questions wait for a second person already' USING ERRCODE = 'CT005';
        END IF;
        DELETE FROM questions WHERE trader = me AND expires_at < moment - interval '30 days';
        DELETE FROM questions WHERE ticket_id IN
            (SELECT ticket_id FROM questions WHERE trader = me ORDER BY expires_at DESC OFFSET 1000);
        INSERT INTO questions VALUES
            (its_ticket, me, its_fingerprint, its_heading, its_headline, its_lines, was_asked_at, will_expire_at,
            is_simulated) ON CONFLICT DO NOTHING;
        SELECT * INTO stands FROM questions WHERE ticket_id = its_ticket;
    END IF;
    IF stands.trader <> me OR stands.fingerprint <> its_fingerprint THEN
        RAISE EXCEPTION 'a second person was asked otherwise about this ticket' USING ERRCODE = 'CT006';
    END IF;
    RETURN clock_timestamp();
END $f$;
CREATE FUNCTION report(its_machine text, its_report text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = ct_mcp_plane, pg_temp AS $f$
DECLARE me text := session_user::text; moment timestamptz := clock_timestamp();
BEGIN
    PERFORM need_member();
    IF octet_length(its_report) > 65536 OR octet_length(its_machine) > 200 OR its_machine = '' THEN
        RAISE EXCEPTION 'the report is too long' USING ERRCODE = 'CT004';
    END IF;
    PERFORM set_config('synchronous_commit', 'off', true);
    UPDATE reports SET report = its_report, heard_at = moment WHERE trader = me AND machine = its_machine;
    IF NOT FOUND THEN
        DELETE FROM reports WHERE trader = me AND machine IN
            (SELECT machine FROM reports WHERE trader = me ORDER BY heard_at DESC OFFSET 19);
        INSERT INTO reports VALUES (me, its_machine, its_report, moment)
            ON CONFLICT (trader, machine) DO UPDATE SET report = EXCLUDED.report, heard_at = EXCLUDED.heard_at;
    END IF;
END $f$;
"""
_OF_RISK_MANAGERS = """
CREATE FUNCTION halt(whom text, why text) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
SET search_path = ct_mcp_plane, pg_temp AS $f$
DECLARE moment timestamptz;
BEGIN
    PERFORM take_turn_as_risk_manager();
    PERFORM need_trader(whom);
    IF btrim(why) = '' OR char_length(why) > 300 THEN
        RAISE EXCEPTION 'a halt needs a reason, of 300 characters at most' USING ERRCODE = 'CT004';
    END IF;
    moment := clock_timestamp();
    INSERT INTO halts VALUES (whom, session_user::text, moment, why) ON CONFLICT DO NOTHING;
    IF FOUND THEN
        PERFORM act('halted', whom, jsonb_build_object('reason', why), moment);
        RETURN true;
    END IF;
    RETURN false;
END $f$;
CREATE FUNCTION resume(whom text) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
SET search_path = ct_mcp_plane, pg_temp AS $f$
BEGIN
    PERFORM take_turn_as_risk_manager();
    DELETE FROM halts WHERE trader = whom;
    IF FOUND THEN
        PERFORM act('resumed', whom, '{}', clock_timestamp());
        RETURN true;
    END IF;
    RETURN false;
END $f$;
CREATE FUNCTION set_policy(whom text, its_text text) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = ct_mcp_plane, pg_temp AS $f$
DECLARE newest policies; next_number bigint; moment timestamptz;
BEGIN
    PERFORM take_turn_as_risk_manager();
    PERFORM need_trader(whom);
    IF octet_length(its_text) > 65536 THEN
        RAISE EXCEPTION 'a policy holds 64 kB at most' USING ERRCODE = 'CT004';
    END IF;
    SELECT * INTO newest FROM policies WHERE trader = whom ORDER BY number DESC LIMIT 1;
    IF newest.text = its_text THEN
        RETURN newest.number;
    END IF;
    SELECT coalesce(max(number), 0) + 1 INTO next_number FROM policies;
    moment := clock_timestamp();
    INSERT INTO policies VALUES (next_number, whom, its_text, session_user::text, moment);
    PERFORM act('policy_set', whom, jsonb_build_object('number', next_number, 'sha256',
        encode(sha256(convert_to(its_text, 'UTF8')), 'hex')), moment);
    RETURN next_number;
END $f$;
CREATE FUNCTION decide(its_ticket text, its_fingerprint text, says_yes boolean) RETURNS timestamptz LANGUAGE plpgsql
SECURITY DEFINER SET search_path = ct_mcp_plane, pg_temp AS $f$
DECLARE
    me text := session_user::text; asked questions; moment timestamptz;
    answer text := CASE WHEN says_yes THEN 'approved' WHEN NOT says_yes THEN 'declined' END;
BEGIN
    PERFORM take_turn_as_risk_manager();
    SELECT * INTO asked FROM questions WHERE ticket_id = its_ticket;
    moment := clock_timestamp();
    IF asked.ticket_id IS NULL OR asked.fingerprint IS DISTINCT FROM its_fingerprint OR answer IS NULL THEN
        RAISE EXCEPTION 'nobody asks this of a second person' USING ERRCODE = 'CT007';
    ELSIF asked.trader = me THEN
        RAISE EXCEPTION 'nobody is the second person to a question of their own' USING ERRCODE = 'CT002';
    ELSIF asked.state <> 'waiting' THEN
        IF asked."by" = me AND asked.state = answer THEN
            RETURN asked.at;
        END IF;
        RAISE EXCEPTION 'it was answered before, and the first answer counts' USING ERRCODE = 'CT008';
    ELSIF asked.expires_at <= moment THEN
        RAISE EXCEPTION 'the question has expired' USING ERRCODE = 'CT007';
    END IF;
    UPDATE questions SET state = answer, by = me, at = moment WHERE ticket_id = its_ticket;
    PERFORM act(CASE WHEN says_yes THEN 'second_yes' ELSE 'second_no' END, asked.trader, jsonb_build_object(
        'ticket_id', its_ticket, 'fingerprint', its_fingerprint, 'heading', asked.heading,
        'headline', asked.headline, 'lines', to_jsonb(asked.lines)), moment);
    RETURN moment;
END $f$;
"""
# What the scripts of an administrator call, with that administrator's own rights where rights are given.
_OF_ADMINISTRATORS = """
CREATE FUNCTION team_group(which text) RETURNS text LANGUAGE sql STABLE SET search_path = ct_mcp_plane, pg_temp AS $f$
    SELECT CASE WHEN octet_length(long) < 64 THEN long ELSE 'ct_mcp_' || which || '_' || md5(current_database()) END
    FROM (SELECT 'ct_mcp_' || which || '_' || current_database() AS long) AS named
$f$;
CREATE FUNCTION enrol(whom text, as_role text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = ct_mcp_plane, pg_temp AS $f$
BEGIN
    PERFORM 1 FROM acts_end FOR UPDATE;
    INSERT INTO members VALUES (whom, as_role)
        ON CONFLICT (name) DO UPDATE SET role = EXCLUDED.role WHERE members.role <> EXCLUDED.role;
    IF FOUND THEN
        PERFORM act('member_added', whom, jsonb_build_object('role', as_role), clock_timestamp());
    END IF;
END $f$;
CREATE FUNCTION dismiss(whom text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = ct_mcp_plane, pg_temp AS $f$
BEGIN
    PERFORM 1 FROM acts_end FOR UPDATE;
    DELETE FROM reports WHERE trader = whom;
    DELETE FROM members WHERE name = whom;
    IF FOUND THEN
        PERFORM act('member_removed', whom, '{}', clock_timestamp());
    END IF;
END $f$;
CREATE FUNCTION journal_rights(whom text, given boolean) RETURNS void LANGUAGE plpgsql
SET search_path = ct_mcp_plane, pg_temp AS $f$
DECLARE its record; doing text := CASE WHEN given THEN 'GRANT' ELSE 'REVOKE' END;
    towards text := CASE WHEN given THEN 'TO' ELSE 'FROM' END;
BEGIN
    SELECT nspowner::regrole::text AS owner INTO its FROM pg_namespace WHERE nspname = whom;
    IF its IS NULL OR its.owner = quote_ident(whom) OR to_regclass(format('%I.journal', whom)) IS NULL THEN
        RETURN;
    END IF;
    EXECUTE format('REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA %I FROM PUBLIC', whom);
    EXECUTE format('%s USAGE ON SCHEMA %I %s %I', doing, whom, towards, team_group('risk'));
    EXECUTE format('%1$s SELECT ON %2$I.schema_version, %2$I.journal, %2$I.journal_end, %2$I.outstanding %3$s %4$I',
        doing, whom, towards, team_group('risk'));
END $f$;
CREATE FUNCTION open_journal(whom text) RETURNS void LANGUAGE sql SET search_path = ct_mcp_plane, pg_temp
AS $f$ SELECT journal_rights(name, true) FROM members WHERE name = whom $f$;
CREATE FUNCTION let_in(whom text) RETURNS void LANGUAGE plpgsql SET search_path = ct_mcp_plane, pg_temp AS $f$
DECLARE
    how text := CASE WHEN current_setting('server_version_num')::integer >= 160000
        THEN ' WITH INHERIT TRUE, SET FALSE' ELSE '' END;
    is_manager boolean := EXISTS (SELECT 1 FROM members WHERE name = whom AND role = 'risk_manager');
BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = whom) THEN
        RAISE WARNING 'there is no role %: run the statements that make it a member once more', quote_ident(whom);
        RETURN;
    END IF;
    IF pg_has_role(whom, (SELECT nspowner FROM pg_namespace WHERE nspname = 'ct_mcp_plane'), 'MEMBER') THEN
        RAISE EXCEPTION 'this role could change anything at the plane: a member needs a role of its own';
    END IF;
    EXECUTE format('GRANT %I TO %I', team_group('members'), whom) || how;
    IF is_manager THEN
        EXECUTE format('GRANT %I TO %I', team_group('risk'), whom) || how;
    ELSIF pg_has_role(whom, team_group('risk'), 'MEMBER') THEN
        EXECUTE format('REVOKE %I FROM %I', team_group('risk'), whom);
    END IF;
    PERFORM open_journal(whom);
END $f$;
CREATE FUNCTION shut_out(whom text) RETURNS void LANGUAGE plpgsql SET search_path = ct_mcp_plane, pg_temp AS $f$
DECLARE each text;
BEGIN
    FOREACH each IN ARRAY ARRAY[team_group('members'), team_group('risk')] LOOP
        IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = whom) AND pg_has_role(whom, each, 'MEMBER') THEN
            EXECUTE format('REVOKE %I FROM %I', each, whom);
        END IF;
    END LOOP;
    PERFORM journal_rights(whom, false);
END $f$;
"""

STEPS: tuple[str, ...] = tuple(
    step.replace(" TEXT", ' TEXT COLLATE "C"')
    for step in (
        _TABLES
        + _TRIGGERS
        + _CHAIN
        + _RIGHTS
        + _VIEWS
        + _SPOKEN
        + _OF_TRADERS
        + _OF_RISK_MANAGERS
        + _OF_ADMINISTRATORS,
    )
)
"""Each step leads from the version of its index to the next. Text is compared by its bytes."""

SEEN_BY_ALL = (
    "schema_version, seen_members, seen_reports, seen_questions, seen_halts, seen_policies, seen_acts, seen_end"
)
_ASK = "ask(text, text, text, text, text[], timestamptz, timestamptz, boolean)"
CALLED_BY_ALL = f"my_role(), word(bigint[]), report(text, text), {_ASK}"
CALLED_BY_RISK_MANAGERS = "halt(text, text), resume(text), set_policy(text, text), decide(text, text, boolean)"
