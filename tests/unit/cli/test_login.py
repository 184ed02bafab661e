"""``ct-mcp login``: the token is tried, kept in the keyring and nowhere else, and never shown."""

import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ct_mcp.cli.login import holds, try_token
from ct_mcp.config.settings import Settings
from ct_mcp.config.sources import Secret
from ct_mcp.errors import AddonOffline, AuthFailed, AuthReason, BadReply, CtMcpError, RateLimited, Unavailable
from ct_mcp.simulator.simulator import Simulator
from tests.unit.cli.conftest import Start

CtMcp = Callable[..., subprocess.CompletedProcess[str]]
Login = Callable[..., Any]

# A keyring of one entry in a file, which says what it was asked for.
KEYRING = """
from pathlib import Path
from keyring import errors
FILE = Path(__file__).with_name("kept")
def get_password(*entry):
    assert entry == ("ct-mcp", "crosstrade")
    if FILE.with_name("locked").exists():
        raise errors.KeyringLocked("with words that may say more than they should")
    return FILE.read_text() if FILE.exists() else None
def set_password(service, user, token):
    FILE.write_text(token)
def delete_password(*entry):
    FILE.unlink()
"""
ERRORS = "class KeyringError(Exception): ...\nclass KeyringLocked(KeyringError): ...\n"


@pytest.fixture
def keyring(tmp_path: Path) -> Path:
    """The folder of a keyring package; ``kept`` in it is what it holds."""
    folder = tmp_path / "packages" / "keyring"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(KEYRING, encoding="utf-8")
    (folder / "errors.py").write_text(ERRORS, encoding="utf-8")
    return folder


@pytest.fixture
def with_keyring(keyring: Path) -> dict[str, str]:
    """The variables with which a process finds the keyring."""
    return {"PYTHONPATH": os.pathsep.join(filter(None, [str(keyring.parent), os.environ.get("PYTHONPATH")]))}


@pytest.fixture
def service(started: Start) -> tuple[str, str]:
    """A simulated service, with the token that it takes."""
    out = started("simulate", "--port", "0").stdout
    assert out is not None
    url, token = out.readline().split()[-1], out.readline().split()[1]
    return url, token


def test_a_token_that_holds_is_kept_and_shown_nowhere(
    at_a_terminal: Login, service: tuple[str, str], keyring: Path, with_keyring: dict[str, str], tmp_path: Path
) -> None:
    url, token = service
    terminal = at_a_terminal("login", "--base-url", url, **with_keyring)
    terminal.until("Token: ")
    terminal.types(token)
    assert terminal.ends() == 0, terminal.seen
    assert "The token holds" in terminal.seen
    assert token not in terminal.seen
    kept = keyring / "kept"
    assert kept.read_text(encoding="utf-8") == token
    holding = [file for file in tmp_path.rglob("*") if file.is_file() and token.encode() in file.read_bytes()]
    assert holding == [kept]


def test_a_token_that_could_not_even_be_read_is_replaced(
    at_a_terminal: Login, service: tuple[str, str], keyring: Path, with_keyring: dict[str, str]
) -> None:
    (keyring / "kept").write_text('"two words"', encoding="utf-8")
    terminal = at_a_terminal("login", "--base-url", service[0], **with_keyring)
    terminal.until("Token: ")
    terminal.types(service[1])
    assert terminal.ends() == 0
    assert (keyring / "kept").read_text(encoding="utf-8") == service[1]


def test_a_token_that_the_service_refuses_is_not_kept(
    at_a_terminal: Login, service: tuple[str, str], keyring: Path, with_keyring: dict[str, str]
) -> None:
    terminal = at_a_terminal("login", "--base-url", service[0], **with_keyring)
    terminal.until("Token: ")
    terminal.types("not-the-right-one")
    assert terminal.ends() == 1
    assert "was not kept" in terminal.seen
    assert "not-the-right-one" not in terminal.seen
    assert not (keyring / "kept").exists()


@pytest.mark.parametrize("typed", ["", "Bearer two words", "${CROSSTRADE_TOKEN}"])
def test_what_can_be_no_token_goes_nowhere(
    at_a_terminal: Login, keyring: Path, with_keyring: dict[str, str], typed: str
) -> None:
    terminal = at_a_terminal("login", "--base-url", "http://127.0.0.1:9", **with_keyring)
    terminal.until("Token: ")
    terminal.types(typed)
    assert terminal.ends() == 1
    assert "That is no token" in terminal.seen
    assert not typed or typed not in terminal.seen


def test_a_variable_that_is_used_in_place_of_the_keyring_is_told(
    at_a_terminal: Login, service: tuple[str, str], keyring: Path, with_keyring: dict[str, str]
) -> None:
    url, token = service
    terminal = at_a_terminal("login", "--base-url", url, CROSSTRADE_TOKEN="another", **with_keyring)
    terminal.until("Token: ")
    terminal.types(token)
    assert terminal.ends() == 0
    assert "CROSSTRADE_TOKEN is set in this environment" in terminal.seen


def test_without_the_package_nobody_is_asked_and_the_person_is_told_how(at_a_terminal: Login) -> None:
    terminal = at_a_terminal("login")
    assert terminal.ends() == 2
    assert "pip install keyring" in terminal.seen
    assert "CROSSTRADE_TOKEN" in terminal.seen
    assert "Token: " not in terminal.seen


def test_a_locked_keyring_is_told_before_anybody_is_asked(
    at_a_terminal: Login, keyring: Path, with_keyring: dict[str, str]
) -> None:
    (keyring / "locked").touch()
    terminal = at_a_terminal("login", **with_keyring)
    assert terminal.ends() == 2
    assert "cannot be used (KeyringLocked)" in terminal.seen
    assert "more than they should" not in terminal.seen


def test_to_log_out_removes_the_token(ct_mcp: CtMcp, keyring: Path, with_keyring: dict[str, str]) -> None:
    (keyring / "kept").write_text("t", encoding="utf-8")
    assert "is removed" in ct_mcp("login", "--logout", **with_keyring).stdout
    assert not (keyring / "kept").exists()
    again = ct_mcp("login", "--logout", **with_keyring)
    assert (again.returncode, again.stdout) == (0, "There was no token in the keyring.\n")


def test_a_pipe_is_not_taken(ct_mcp: CtMcp, keyring: Path, with_keyring: dict[str, str]) -> None:
    ended = ct_mcp("login", given="a-token\n", **with_keyring)
    assert ended.returncode == 2
    assert "needs a terminal" in ended.stderr


@pytest.mark.parametrize(
    ("failure", "is_right"),
    [
        (None, True),
        (AddonOffline("x"), True),
        (AuthFailed("x", AuthReason.PLAN), True),
        (AuthFailed("x", AuthReason.TOKEN_REFUSED), False),
        (Unavailable("x"), False),
        (BadReply("x"), False),
        (RateLimited("x"), False),
        (CtMcpError("no answer"), False),
    ],
)
def test_a_token_holds_once_the_service_has_taken_it(failure: CtMcpError | None, is_right: bool) -> None:
    assert holds(failure) is is_right


async def test_one_read_tries_it(sim: Simulator, tmp_path: Path) -> None:
    settings = Settings(tmp_path, base_url="https://simulator.invalid", token=Secret(sim.token))
    assert await try_token(settings, sim.transport()) is None
    wrong = await try_token(replace(settings, token=Secret("wrong")), sim.transport())
    assert isinstance(wrong, AuthFailed)
    assert {request.method for request in sim.requests} == {"GET"}
