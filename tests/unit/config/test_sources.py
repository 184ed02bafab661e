"""The token: where it is found, what is no token, and that nothing shows it."""

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from ct_mcp.config.settings import Settings, load
from ct_mcp.config.token import Secret, token_from_keyring

Loader = Callable[..., Settings]
Faults = Callable[..., list[str]]
TOKEN = "ct-4f1e0c9b7a"


@pytest.fixture
def keyring_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Put a keyring package where Python finds it first, whose one function has this body."""

    def keyring_that(body: str) -> None:
        (tmp_path / "keyring").mkdir()
        code = f"from keyring import errors\ndef get_password(service, user):\n    {body}\n"
        (tmp_path / "keyring" / "__init__.py").write_text(code, encoding="utf-8")
        code = "class KeyringError(Exception): ...\nclass KeyringLocked(KeyringError): ...\n"
        (tmp_path / "keyring" / "errors.py").write_text(code, encoding="utf-8")
        monkeypatch.syspath_prepend(tmp_path)

    def forget() -> None:
        for name in [name for name in sys.modules if name.partition(".")[0] == "keyring"]:
            del sys.modules[name]

    forget()
    yield keyring_that
    forget()


@pytest.mark.parametrize("name", ["CROSSTRADE_TOKEN", "XTRADE_TOKEN"])
def test_the_token_comes_from_the_environment(read: Loader, name: str) -> None:
    token = read(environ={name: f"  {TOKEN}\r\n"}).token
    assert token is not None
    assert token.reveal() == TOKEN


def test_two_variables_may_hold_the_same_token(read: Loader) -> None:
    assert read(environ={"CROSSTRADE_TOKEN": TOKEN, "XTRADE_TOKEN": f"{TOKEN} "}).token == Secret(TOKEN)


def test_two_different_tokens_are_refused(faults: Faults) -> None:
    (line,) = faults(environ={"CROSSTRADE_TOKEN": TOKEN, "XTRADE_TOKEN": "another"})
    assert line.startswith("CROSSTRADE_TOKEN and XTRADE_TOKEN: found two different tokens")


@pytest.mark.parametrize(
    "text", ["${CROSSTRADE_TOKEN}", "${{ secrets.CROSSTRADE_TOKEN }}", "$TOKEN", "%TOKEN%", "${input:ct-key}", "a${B}c"]
)
def test_a_token_that_is_still_a_variable_is_refused_in_words(faults: Faults, text: str) -> None:
    (line,) = faults(environ={"CROSSTRADE_TOKEN": text})
    assert line.startswith("CROSSTRADE_TOKEN: found a variable, expected the token")


@pytest.mark.parametrize("text", ["Bearer {}", "{}\n{}", '"{}"', "'{}'", "{}\x00", "{}\u200b", "{}\u00e9", "{}\x7f"])
def test_a_token_with_foreign_characters_is_refused_and_not_repeated(faults: Faults, text: str) -> None:
    (line,) = faults(environ={"CROSSTRADE_TOKEN": text.replace("{}", TOKEN)})
    assert line.startswith("CROSSTRADE_TOKEN: found blanks")
    assert TOKEN not in line


def test_the_keyring_is_asked_only_where_the_environment_says_nothing(tmp_path: Path) -> None:
    def settings(environ: Mapping[str, str]) -> Settings:
        return load({}, environ, default_file=lambda: tmp_path / "none", keyring=lambda: "kept\n")

    assert settings({}).token == Secret("kept")
    assert settings({"XTRADE_TOKEN": TOKEN}).token == Secret(TOKEN)


def test_a_locked_keyring_is_a_warning_and_no_token(tmp_path: Path) -> None:
    def locked() -> str:
        raise OSError("KeyringLocked")

    settings = load({}, {}, default_file=lambda: tmp_path / "none", keyring=locked)
    assert settings.token is None
    assert settings.warnings == ("the keyring cannot be read (KeyringLocked); there is no token",)


def test_the_operating_systems_keyring_is_asked_by_service_and_user(keyring_that: Callable[[str], None]) -> None:
    keyring_that("return f'{service}/{user}'")
    assert token_from_keyring() == "ct-mcp/crosstrade"


def test_an_error_of_the_keyring_says_its_kind_only(keyring_that: Callable[[str], None]) -> None:
    keyring_that("raise errors.KeyringLocked('the login keyring of somebody')")
    with pytest.raises(OSError, match=r"^KeyringLocked$"):
        token_from_keyring()


def test_without_a_keyring_package_there_is_no_token_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert token_from_keyring() is None
