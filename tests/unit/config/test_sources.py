"""The environment and the file: where they are looked for, and what refuses to start."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from ct_mcp.config.settings import Settings, load
from ct_mcp.config.sources import Secret, token_from_keyring, usual_file
from ct_mcp.guard.policy import Mode

Loader = Callable[..., Settings]
Faults = Callable[..., list[str]]
TOKEN = "ct-4f1e0c9b7a"


def test_a_mode_variable_that_cannot_be_read_means_read_only_and_a_warning(read: Loader) -> None:
    settings = read('mode = "live"', {"CT_MCP_MODE": "Live"})
    assert settings.policy.mode is Mode.READ_ONLY
    assert settings.warnings == ('CT_MCP_MODE: found "Live", which is no mode; taken as read_only',)


def test_a_file_can_be_named_by_a_variable(read: Loader, tmp_path: Path) -> None:
    named = tmp_path / "mine.toml"
    named.write_text('mode = "read_only"', encoding="utf-8")
    settings = read('mode = "live"', {"CT_MCP_CONFIG": str(named)})
    assert (settings.policy.mode, settings.file) == (Mode.READ_ONLY, named)


def test_the_usual_file_lies_in_a_folder_of_our_name() -> None:
    assert usual_file().is_absolute()
    assert usual_file().parts[-2:] == ("ct-mcp", "config.toml")


def test_a_named_file_must_exist(faults: Faults, tmp_path: Path) -> None:
    missing = tmp_path / "none.toml"
    assert faults(config=str(missing)) == [f"{missing}: there is no such file"]


def test_a_folder_is_no_file(faults: Faults, tmp_path: Path) -> None:
    (line,) = faults(config=str(tmp_path))
    assert line.startswith(f"{tmp_path}: cannot be read: ")


def test_a_byte_order_mark_is_accepted(read: Loader, tmp_path: Path) -> None:
    (tmp_path / "notepad.toml").write_bytes(b'\xef\xbb\xbfmode = "read_only"\r\n')
    assert read(config=str(tmp_path / "notepad.toml")).policy.mode is Mode.READ_ONLY


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\nmode = sim\n", "is not valid TOML: Invalid value (at line 2"),
        (b'mode = "sim"\nmode = "live"', "is not valid TOML: "),
        (b"a = " + b"[" * 5000, "a number or a nesting beyond all bounds"),
        (b"a = 1e99999999999999999999999", "a number or a nesting beyond all bounds"),
        (b"a = " + b"9" * 5000, "is not valid TOML: "),
        ('mode = "sim"'.encode("utf-16"), "is not UTF-8 text"),
    ],
)
def test_a_file_that_cannot_be_parsed_is_named_with_the_reason(
    faults: Faults, tmp_path: Path, content: bytes, words: str
) -> None:
    (tmp_path / "broken.toml").write_bytes(content)
    (line,) = faults(config=str(tmp_path / "broken.toml"))
    assert words in line


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


ADVICE = "A backslash means something else in double quotes: use single quotes, or / in place of it"


@pytest.mark.parametrize(
    "text",
    [
        r'state_dir = "C:\Users\me"',
        r'state_dir = "D:\data"',
        r'state_dir="\\server\share"',
        'mode = "sim"\n' + r'  state_dir = "C:\Users\me\"',
        r'state_dir = "~\ct-mcp"',
        r'state_dir = "%APPDATA%\ct-mcp"',
        r'state_dir = "data\kept"',
        'state_dir = "C:\\temp\\"\nmode = "sim"',
        r'state_dir = "C:\temp\"',
        r'limits = { allowed_instruments = ["ES", "C:\Zoo"] }',
        r'state_dir = "C:\temp\new"',  # valid TOML, with a tab and a line break in it
    ],
)
def test_a_windows_path_in_double_quotes_is_told_what_to_write(faults: Faults, text: str) -> None:
    (line,) = faults(text)
    assert line.endswith(f". {ADVICE}")


@pytest.mark.parametrize(
    "text",
    [
        r"state_dir = 'C:\Users\me'" + "\nmode = sim",
        r'state_dir = "C:\\Users\\me"' + "\nmode = sim",
        'state_dir = "C:/Users/me"\nmode = sim',
        r'# state_dir = "C:\Users\me"' + "\nmode = sim",
        "mode = sim",
        'state_dir = "${HOME}/x"',
        'state_dir = "a\\tb"',
    ],
)
def test_other_faults_are_told_nothing_of_windows_paths(faults: Faults, text: str) -> None:
    assert not [line for line in faults(text) if ADVICE in line]


def test_a_variable_whose_name_is_no_text_is_unknown(faults: Faults) -> None:
    (line,) = faults(environ={"CT_MCP_\udc80": "x"})
    assert line.startswith("CT_MCP_?: unknown key; known here are CT_MCP_CONFIG, CT_MCP_STATE_DIR")


on_posix = pytest.mark.skipif(sys.platform == "win32", reason="rights of files are others there: by hand")
TAKE_IT = "other users of this machine own it or may change it: look at what stands in it, then make it yours alone"


@on_posix
@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_settings_that_others_may_write_are_refused(read: Loader, faults: Faults, tmp_path: Path, mode: int) -> None:
    read("mode = 'sim'")
    (tmp_path / "config.toml").chmod(mode)
    (line,) = faults("mode = 'sim'")
    assert line.startswith(f"{tmp_path / 'config.toml'}: {TAKE_IT} (chmod go-w ")


@on_posix
def test_settings_that_others_may_read_are_taken(read: Loader, tmp_path: Path) -> None:
    (tmp_path / "config.toml").touch(0o644)
    assert read("mode = 'read_only'").file == tmp_path / "config.toml"


@on_posix
@pytest.mark.parametrize("name", ["", "ct-mcp.sqlite3", "ct-mcp.sqlite3-wal", "ct-mcp.sqlite3-shm", "budget.sqlite3"])
def test_a_state_folder_in_which_others_may_write_is_refused(
    read: Loader, faults: Faults, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "state"
    folder.mkdir(0o755)
    if name:
        (folder / name).touch(0o644)
    read(state_dir=str(folder))
    (folder / name).chmod(0o777)
    (line,) = faults(state_dir=str(folder))
    assert line.startswith(f"{folder / name}: {TAKE_IT}")


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="only root gives files away: by hand")
@pytest.mark.parametrize("name", ["config.toml", "state", "state/ct-mcp.sqlite3"])
def test_what_belongs_to_another_user_is_refused(faults: Faults, tmp_path: Path, name: str) -> None:
    (tmp_path / "state").mkdir(0o700)
    for file in ("config.toml", "state/ct-mcp.sqlite3"):
        (tmp_path / file).touch(0o600)
    os.chown(tmp_path / name, 65534, 65534)
    (line,) = faults("mode = 'sim'", state_dir=str(tmp_path / "state"))
    assert line.startswith(f"{tmp_path / name}: {TAKE_IT}")
