"""The store that machines share, as the settings name it: read with its password from the environment alone."""

import importlib.util
from collections.abc import Callable

import pytest

from ct_mcp.config import settings as module
from ct_mcp.config.settings import Settings
from ct_mcp.store.postgres_url import PostgresUrl

Loader = Callable[..., Settings]
Faults = Callable[..., list[str]]
AT = "postgresql://alice@db.example/team?sslmode=verify-full"


def test_without_it_this_machine_is_alone(read: Loader) -> None:
    assert read().state is None
    assert read('state = ""').state is None


def test_the_file_may_name_it(read: Loader) -> None:
    found = read(f'state = "{AT}"')
    assert found.state == PostgresUrl("alice", "team", "db.example", options=(("sslmode", "verify-full"),))
    assert found.warnings == ()


def test_the_variable_goes_before_the_file_and_may_hold_the_password(read: Loader) -> None:
    found = read(f'state = "{AT}"', {"CT_MCP_STATE": "postgresql://bob:hunter-two@db.example/team?sslmode=verify-full"})
    assert found.state is not None
    assert (found.state.user, found.state.password) == ("bob", "hunter-two")
    assert "hunter" not in repr(found)


def test_a_password_does_not_stand_in_a_file(faults: Faults) -> None:
    (line,) = faults('state = "postgresql://alice:hunter-two@db.example/team"')
    assert line == ("state: expected it without the password, which belongs into a passfile or into CT_MCP_STATE")


@pytest.mark.parametrize(
    "text",
    ["postgresql://alice:hunter/two@db", "hunter-two", "mysql://alice:hunter-two@db/x", "postgresql://${HUNTER}"],
)
def test_nothing_of_a_faulty_one_is_repeated(faults: Faults, text: str) -> None:
    for lines in (faults(f'state = "{text}"'), faults("", {"CT_MCP_STATE": text})):
        (line,) = lines
        assert "expected" in line
        assert "hunter" not in line.lower()


def test_no_flag_names_it(faults: Faults) -> None:
    (line,) = faults(state=AT)
    assert line.startswith("--state: unknown key")


def test_a_server_that_need_not_prove_whose_it_is_is_warned_of(read: Loader) -> None:
    (warning,) = read('state = "postgresql://alice@db.example/team?sslmode=require"').warnings
    assert "whether db.example is your database is not verified" in warning
    assert "add ?sslmode=verify-full&sslrootcert=FILE" in warning


def test_a_variable_that_a_terminal_may_not_have_is_warned_of(read: Loader) -> None:
    """A halt that was typed there would be a halt of nothing."""
    (warning,) = read(environ={"CT_MCP_STATE": AT}).warnings
    assert "CT_MCP_STATE alone names it" in warning
    assert read(f'state = "{AT}"', {"CT_MCP_STATE": AT}).warnings == ()


def test_what_reaches_it_has_to_be_installed(faults: Faults, monkeypatch: pytest.MonkeyPatch) -> None:
    def without_psycopg(name: str) -> object:
        return None if name == "psycopg" else importlib.util.find_spec(name)

    monkeypatch.setattr(module, "find_spec", without_psycopg)
    (line,) = faults(f'state = "{AT}"')
    assert line == "state: needs a package that is not installed: install ct-mcp[postgres] in place of ct-mcp"
