"""The environment and the file: where they are looked for, and what refuses to start."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ct_mcp.config.settings import Settings
from ct_mcp.config.sources import usual_file
from ct_mcp.guard.policy import Mode

Loader = Callable[..., Settings]
Faults = Callable[..., list[str]]


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
