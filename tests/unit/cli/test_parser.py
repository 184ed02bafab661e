"""The command line: what it takes, and what it answers to what it does not take."""

import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from ct_mcp import __version__
from tests.unit.cli.conftest import command

CtMcp = Callable[..., subprocess.CompletedProcess[str]]

PERSONS = ("approve", "console", "arm", "disarm", "halt", "resume", "pin", "journal")


def test_the_version_is_told(ct_mcp: CtMcp) -> None:
    told = ct_mcp("--version")
    assert (told.returncode, told.stdout) == (0, f"ct-mcp {__version__}\n")


def test_help_names_every_command_and_where_to_begin(ct_mcp: CtMcp) -> None:
    told = ct_mcp("--help")
    assert told.returncode == 0
    assert all(f"\n    {command} " in told.stdout for command in (*PERSONS, "serve", "demo", "check", "simulate"))
    assert max(map(len, told.stdout.splitlines())) <= 80
    assert "New here: ct-mcp demo" in " ".join(told.stdout.split())


@pytest.mark.parametrize("command", PERSONS)
def test_the_help_of_what_a_person_does_tells_its_exit_codes(ct_mcp: CtMcp, command: str) -> None:
    told = ct_mcp(command, "--help")
    assert told.returncode == 0
    assert told.stdout.startswith(f"usage: ct-mcp {command} ")
    assert "exit codes: 0 " in " ".join(told.stdout.lower().split())
    assert all(flag in told.stdout for flag in ("--demo", "--config", "--state-dir"))


@pytest.mark.parametrize(
    "arguments",
    [(), ("trade",), ("serve", "--token", "x"), ("simulate", "--port", "65536"), ("simulate", "--port", "x")],
)
def test_what_is_not_known_ends_with_2_and_says_what_is(ct_mcp: CtMcp, arguments: tuple[str, ...]) -> None:
    told = ct_mcp(*arguments)
    assert (told.returncode, told.stdout) == (2, "")
    assert "usage: ct-mcp" in told.stderr
    assert "Traceback" not in told.stderr


def test_a_file_of_settings_that_is_not_there_is_named(ct_mcp: CtMcp, tmp_path: Path) -> None:
    told = ct_mcp("serve", "--config", str(tmp_path / "nowhere.toml"))
    assert (told.returncode, told.stdout) == (2, "")
    assert "nowhere.toml: there is no such file" in told.stderr


@pytest.mark.parametrize("arguments", [("--version",), ("--help",), ("simulate", "--fault", "list")], ids=" ".join)
def test_output_that_nobody_reads_ends_quietly(environ: Mapping[str, str], arguments: tuple[str, ...]) -> None:
    """Also where all of it waits to be written until the command ends."""
    waits = {name: value for name, value in environ.items() if name != "PYTHONUNBUFFERED"}
    nobody, pipe = os.pipe()
    os.close(nobody)
    try:
        ended = subprocess.run(
            command(*arguments), check=False, stdout=pipe, stderr=subprocess.PIPE, text=True, env=waits, timeout=60
        )
    finally:
        os.close(pipe)
    assert (ended.returncode, ended.stderr) == (1, "")
