"""The lines that start ``ct-mcp watch`` with the system: whole, and without a secret on any command line."""

import configparser
import plistlib
import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[3] / "docs" / "watches.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL)


def block(language: str) -> str:
    """The one block of a language."""
    (text,) = (text for kind, text in BLOCKS if kind == language)
    return str(text)


def test_launchd_starts_it_at_log_in_and_again_when_it_ends() -> None:
    task = plistlib.loads(block("xml").encode())
    assert task["ProgramArguments"] == ["/path/to/ct-mcp", "watch"]
    assert (task["RunAtLoad"], task["KeepAlive"]) == (True, True)
    assert {task["StandardOutPath"], task["StandardErrorPath"]} == {"/Users/you/Library/Logs/ct-mcp-watch.log"}
    assert f"launchctl bootout gui/$(id -u)/{task['Label']}" in PAGE


def test_systemd_starts_it_at_log_in_and_again_when_it_ends() -> None:
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # as systemd has it, letter for letter
    unit.read_string(block("ini"))
    assert unit["Service"]["ExecStart"] == "/path/to/ct-mcp watch"
    assert unit["Service"]["Restart"] == "always"
    assert unit["Install"]["WantedBy"] == "default.target"


def test_the_task_scheduler_starts_it_at_log_on_and_ends_it_neither_after_days_nor_on_batteries() -> None:
    lines = block("powershell").splitlines()
    assert lines[0].endswith(r"-Execute 'C:\path\to\ct-mcp.exe' -Argument 'watch'")
    assert "-AtLogOn -User" in lines[1]
    for needed in ("-ExecutionTimeLimit ([TimeSpan]::Zero)", "-AllowStartIfOnBatteries", "-DontStopIfGoingOnBatteries"):
        assert needed in lines[2]
    assert "-RestartCount 999 -RestartInterval" in lines[2]
    names = {line.partition(" = ")[0] for line in lines[:3]}
    assert names == {word for word in lines[3].split() if word.startswith("$")}, "each part is registered"
    assert "RunLevel Highest" not in block("powershell")
    assert all("-TaskName 'ct-mcp watch'" in line for line in re.findall(r"`((?:Start|Unregister)-[^`]*)`", PAGE))


@pytest.mark.parametrize("language", ["powershell", "xml", "ini"])
def test_no_secret_and_nothing_but_watch_stands_in_them(language: str) -> None:
    text = block(language)
    assert not re.search(r"token|secret|password|pin\b|CROSSTRADE", text, re.IGNORECASE)


def test_a_token_in_a_file_is_one_that_only_its_person_can_read() -> None:
    (line,) = (line for line in PAGE.splitlines() if "EnvironmentFile=" in line)
    assert "`EnvironmentFile=%h/.config/ct-mcp/token.env`" in line
    assert "chmod 600" in PAGE[: PAGE.index("EnvironmentFile=")].rpartition("`loginctl")[2]
