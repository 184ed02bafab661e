"""The team's database, as the settings name it: with the rules, the warnings and the words of the shared store."""

import importlib.util
from collections.abc import Callable

import pytest

from ct_mcp.cli.runtime import demo_settings, team_of
from ct_mcp.config import settings as module
from ct_mcp.config.settings import Settings
from ct_mcp.store.postgres_url import PostgresUrl

Loader = Callable[..., Settings]
Faults = Callable[..., list[str]]
AT = "postgresql://alice@db.example/team?sslmode=verify-full"
STATE = "postgresql://alice@state.example/alice?sslmode=verify-full"


def test_without_it_no_team_is_asked(read: Loader) -> None:
    found = read('plane = ""')
    assert (found.plane, found.team_at) == (None, None)
    assert team_of(found).link is None


def test_it_is_asked_where_the_file_says(read: Loader) -> None:
    found = read(f'plane = "{AT}"\nstate = "{STATE}"')
    assert found.plane == PostgresUrl("alice", "team", "db.example", options=(("sslmode", "verify-full"),))
    assert found.team_at == found.plane
    assert found.warnings == ()


def test_else_where_the_state_is(read: Loader) -> None:
    found = read(f'state = "{STATE}"')
    assert found.plane is None
    assert found.team_at == found.state
    assert team_of(found).link is not None


def test_a_demo_has_no_team(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CT_MCP_PLANE", AT)
    assert demo_settings({}).team_at is None


def test_the_variable_goes_before_the_file_and_may_hold_the_password(read: Loader) -> None:
    found = read(f'plane = "{AT}"', {"CT_MCP_PLANE": "postgresql://bob:hunter-two@db.example/team?sslmode=verify-full"})
    assert found.plane is not None
    assert (found.plane.user, found.plane.password) == ("bob", "hunter-two")
    assert "hunter" not in repr(found)


def test_a_password_does_not_stand_in_a_file(faults: Faults) -> None:
    (line,) = faults('plane = "postgresql://alice:hunter-two@db.example/team"')
    assert line == "plane: expected it without the password, which belongs into a passfile or into CT_MCP_PLANE"


@pytest.mark.parametrize("text", ["postgresql://alice:hunter/two@db", "hunter-two", "postgresql://${HUNTER}"])
def test_nothing_of_a_faulty_one_is_repeated(faults: Faults, text: str) -> None:
    for lines in (faults(f'plane = "{text}"'), faults("", {"CT_MCP_PLANE": text})):
        (line,) = lines
        assert "expected" in line
        assert "hunter" not in line.lower()


def test_no_flag_names_it(faults: Faults) -> None:
    (line,) = faults(plane=AT)
    assert line.startswith("--plane: unknown key")


def test_a_server_that_need_not_prove_whose_it_is_is_warned_of(read: Loader) -> None:
    (warning,) = read('plane = "postgresql://alice@db.example/team?sslmode=require"').warnings
    assert "whether db.example is your team's database is not verified" in warning
    assert "say yes in a second person's place" in warning


def test_a_variable_that_stands_alone_is_warned_of(read: Loader) -> None:
    (warning,) = read(environ={"CT_MCP_PLANE": AT}).warnings
    assert "CT_MCP_PLANE alone names it" in warning
    assert read(f'plane = "{AT}"', {"CT_MCP_PLANE": AT}).warnings == ()


def test_what_reaches_it_has_to_be_installed(faults: Faults, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == "psycopg" else find(name))
    (line,) = faults(f'plane = "{AT}"')
    assert line.startswith("plane: needs a package that is not installed")
