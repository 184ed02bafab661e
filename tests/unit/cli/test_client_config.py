"""The lines to paste: whole, absolute, and read by what they are pasted into."""

import json
import shlex
import sys
from pathlib import Path

import pytest
import yaml

from ct_mcp.cli.client_config import (
    DEMO,
    claude_code_line,
    desktop_file,
    is_in_a_cache,
    json_lines,
    our_program,
    yaml_lines,
)

ON_WINDOWS = r"C:\Users\Zoë O'Neil\AppData\Roaming\uv\tools\ct-mcp\Scripts\ct-mcp.exe"
ON_A_MAC = "/Users/zoë o'neil/.local/bin/ct-mcp"
either = pytest.mark.parametrize("program", [ON_WINDOWS, ON_A_MAC])


@either
def test_the_entry_is_json_that_starts_the_demo(program: str) -> None:
    entry = json.loads("\n".join(json_lines([program])))
    assert entry == {"mcpServers": {"ct-mcp-demo": {"command": program, "args": ["serve", "--demo"]}}}


@either
def test_the_block_is_yaml_that_starts_the_demo(program: str) -> None:
    block = yaml.safe_load("\n".join(yaml_lines([program, *DEMO])))
    assert {"name", "version", "schema"} <= block.keys()
    (server,) = block["mcpServers"]
    assert server == {"name": "ct-mcp-demo", "type": "stdio", "command": program, "args": ["serve", "--demo"]}


def test_backslashes_are_written_twice() -> None:
    assert r"C:\\Users\\" in "\n".join(json_lines([ON_WINDOWS]))


def test_the_line_for_claude_code_is_quoted_for_the_shell() -> None:
    told = ["claude", "mcp", "add", "ct-mcp-demo", "--", ON_A_MAC, "serve", "--demo"]
    assert shlex.split(claude_code_line([ON_A_MAC], windows=False)) == told
    assert claude_code_line([ON_WINDOWS], windows=True).endswith(f'-- "{ON_WINDOWS}" serve --demo')


def test_further_words_of_the_command_stand_before_ours() -> None:
    entry = json.loads("\n".join(json_lines(["/usr/bin/python3", "-P", "-m", "ct_mcp"])))
    assert entry["mcpServers"]["ct-mcp-demo"]["args"] == ["-P", "-m", "ct_mcp", "serve", "--demo"]


def test_the_command_is_the_one_that_was_started_by_its_absolute_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "ct-mcp.exe" if sys.platform == "win32" else "ct-mcp"
    (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    assert our_program("ct-mcp") == (str(tmp_path / name),)


def test_started_as_a_module_it_is_what_is_installed_beside_python_or_python_itself(tmp_path: Path) -> None:
    (first, *rest) = our_program(str(tmp_path / "ct_mcp" / "__main__.py"))
    assert Path(first).is_absolute()
    assert Path(first).parent == Path(sys.executable).parent
    assert rest == ([] if Path(first).stem == "ct-mcp" else ["-P", "-m", "ct_mcp"])


def test_without_a_script_beside_python_the_one_of_the_installer_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "ct-mcp.exe" if sys.platform == "win32" else "ct-mcp"
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setattr("ct_mcp.cli.client_config.ENABLE_USER_SITE", True)
    monkeypatch.setattr("ct_mcp.cli.client_config.get_path", lambda _, scheme="all": str(tmp_path / scheme))
    monkeypatch.setattr("ct_mcp.cli.client_config.get_preferred_scheme", lambda _: "mine")
    assert our_program("__main__.py") == (str(tmp_path / "python"), "-P", "-m", "ct_mcp")
    for scheme in ("mine", "all"):
        (tmp_path / scheme).mkdir()
        (tmp_path / scheme / name).touch()
        assert our_program("__main__.py") == (str(tmp_path / scheme / name),)


@pytest.mark.parametrize(
    ("platform", "environ", "expected"),
    [
        ("win32", {"APPDATA": "D:/Roaming"}, "D:/Roaming/Claude"),
        ("win32", {}, "home/AppData/Roaming/Claude"),
        ("darwin", {}, "home/Library/Application Support/Claude"),
        ("linux", {}, "home/.config/Claude"),
        ("linux", {"XDG_CONFIG_HOME": "elsewhere"}, "elsewhere/Claude"),
    ],
)
def test_claude_desktop_keeps_its_file_where_the_system_wants_it(
    platform: str, environ: dict[str, str], expected: str
) -> None:
    file = desktop_file(platform, environ, Path("home"))
    assert file.as_posix() == f"{expected}/claude_desktop_config.json"


def test_what_uvx_keeps_in_its_cache_is_told_apart() -> None:
    assert is_in_a_cache(["/home/zoe/.cache/uv/archive-v0/x7/bin/ct-mcp"])
    assert not is_in_a_cache([ON_A_MAC])
