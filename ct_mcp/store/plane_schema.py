"""What an administrator runs for a team's plane: its tables in a schema of their own, and its members.

One database holds one team. The schema has a fixed name, beside those of the traders. Members get their rights by two
groups, since thousands of grants would not fit into one table of rights; the groups are of the whole server, so they
have the name of the database in theirs. Each script can be run again at any time, and in any order with what
`postgres_schema` writes for a trader.
"""

from ct_mcp.domain.team import TeamRole
from ct_mcp.store.plane_tables import CALLED_BY_ALL, CALLED_BY_RISK_MANAGERS, SEEN_BY_ALL, STEPS
from ct_mcp.store.postgres_schema import PLANE_SCHEMA, Tables, as_identifier, as_literal, migration

OF_A_TEAM = Tables(len(STEPS), "ct-mcp plane sql", PLANE_SCHEMA)

_SCRIPT = """\
-- Run this as an administrator of the database: it makes, or brings up to date, the plane over the team that shares it.
-- It can be run again at any time. Members are made by what `ct-mcp plane sql --trader NAME` and `--risk-manager NAME`
-- print; after a restore from a backup this gives those whose roles there are their rights again.
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE SCHEMA IF NOT EXISTS ct_mcp_plane;
DO $ct_mcp$ BEGIN
    IF NOT EXISTS (
        SELECT 1 FROM pg_namespace JOIN pg_roles ON pg_roles.oid = nspowner
        WHERE nspname = 'ct_mcp_plane' AND (rolname = current_user OR rolsuper)
    ) THEN
        RAISE EXCEPTION 'somebody else owns the schema ct_mcp_plane: run this as its owner, or give it another';
    END IF;
END $ct_mcp$;
REVOKE ALL ON SCHEMA ct_mcp_plane FROM PUBLIC;
SET LOCAL search_path = ct_mcp_plane, pg_temp;
{migration}REVOKE ALL ON ALL FUNCTIONS IN SCHEMA ct_mcp_plane FROM PUBLIC;
DO $ct_mcp$
DECLARE each text; members text := team_group('members'); risk text := team_group('risk');
BEGIN
    FOREACH each IN ARRAY ARRAY[members, risk] LOOP
        IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = each) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', each);
        ELSIF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = each AND (rolcanlogin OR rolsuper)) THEN
            RAISE EXCEPTION 'somebody logs in as %, which is to be a group', quote_ident(each);
        END IF;
    END LOOP;
    EXECUTE format('GRANT USAGE ON SCHEMA ct_mcp_plane TO %I', members);
    EXECUTE format('GRANT SELECT ON {seen} TO %I', members);
    EXECUTE format('GRANT EXECUTE ON FUNCTION {called} TO %I', members);
    EXECUTE format('GRANT EXECUTE ON FUNCTION {called_by_risk_managers} TO %I', risk);
    PERFORM let_in(name) FROM members;
END $ct_mcp$;
COMMIT;
"""
_MEMBER = """\
-- Run this as an administrator of the database, after what `ct-mcp plane sql` prints: it makes {role} {what} of the
-- team. It can be run again at any time. The role gets no password here; psql asks for one with:  \\password {role}
BEGIN;
SET LOCAL client_min_messages = warning;
DO $ct_mcp$ BEGIN
    IF to_regclass('ct_mcp_plane.schema_version') IS NULL THEN
        RAISE EXCEPTION 'this database holds no plane: run first what `ct-mcp plane sql` prints';
    END IF;
    IF (SELECT version FROM ct_mcp_plane.schema_version) <> {version} THEN
        RAISE EXCEPTION 'the plane is of another version: run first what `ct-mcp plane sql` of this one prints';
    END IF;
    {body}
END $ct_mcp$;
COMMIT;
"""
_ENROL = """\
IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = {name}) THEN CREATE ROLE {role} LOGIN; END IF;
    PERFORM ct_mcp_plane.enrol({name}, '{team_role}');
    PERFORM ct_mcp_plane.let_in({name});"""
_DISMISS = """\
PERFORM ct_mcp_plane.shut_out({name});
    PERFORM ct_mcp_plane.dismiss({name});"""
_WHAT = {TeamRole.TRADER: "a trader", TeamRole.RISK_MANAGER: "a risk manager", None: "no member any more"}


def plane_script() -> str:
    """Write what an administrator runs to make the plane of a team, or to bring it to our version."""
    return _SCRIPT.format(
        migration=migration(STEPS),
        seen=SEEN_BY_ALL,
        called=CALLED_BY_ALL,
        called_by_risk_managers=CALLED_BY_RISK_MANAGERS,
    )


def member_script(name: str, role: TeamRole | None) -> str:
    """Write what an administrator runs to make a role a member of the team; with no role, to make it none."""
    body = (_DISMISS if role is None else _ENROL).format(
        name=as_literal(name), role=as_identifier(name), team_role=role
    )
    return _MEMBER.format(role=as_identifier(name), what=_WHAT[role], version=len(STEPS), body=body)
