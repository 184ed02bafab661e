"""A command that people are told to run leads to the folder of the server that tells them."""

import json
import shlex
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ct_mcp.cli.flags import flags_of
from ct_mcp.text import command, commands_carry
from tests.unit.cli.conftest import Start, Terminal

HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "no forms", "version": "1"}}
ORDER = {"account": "Sim101", "instrument": "MES", "action": "BUY", "quantity": 1, "order_type": "MARKET"}


@pytest.mark.parametrize(
    ("chosen", "environ", "flags"),
    [
        ({}, {}, ""),
        ({"demo": True}, {}, "--demo"),
        ({"demo": True, "state_dir": "/s"}, {}, "--demo --state-dir /s"),
        ({"config": "/c d.toml"}, {}, "--config '/c d.toml'"),
        ({"state_dir": "/s"}, {"CT_MCP_STATE_DIR": "/other", "CT_MCP_CONFIG": "/c"}, "--config /c --state-dir /s"),
        ({"demo": True}, {"CT_MCP_STATE_DIR": "/s", "CT_MCP_CONFIG": "/c"}, "--demo --state-dir /s"),
    ],
)
def test_flags_lead_to_what_a_command_was_started_for(
    chosen: dict[str, object], environ: dict[str, str], flags: str
) -> None:

    with commands_carry(flags_of(Namespace(**chosen), environ)):
        assert command("approve") == f"ct-mcp approve {flags}".strip()
        assert command("demo") == "ct-mcp demo", "which has no folder"
    assert command("approve") == "ct-mcp approve"


@pytest.fixture
def demo(started: Start, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """A demo server in a folder of its own, with a client that shows no forms."""
    process = started("serve", "--demo", "--state-dir", str(tmp_path / "state"))
    assert process.stdin is not None
    assert process.stdout is not None
    write, read = process.stdin, process.stdout

    def ask(method: str, **params: object) -> dict[str, Any]:
        write.write(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}) + "\n")
        write.flush()
        result: dict[str, Any] = json.loads(read.readline())["result"]
        return result

    ask("initialize", **HELLO)
    write.write(json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"}) + "\n")
    return lambda tool, **arguments: ask("tools/call", name=tool, arguments=arguments)


def test_what_the_assistant_tells_the_person_to_run_finds_the_ticket(
    demo: Callable[..., dict[str, Any]], at_a_terminal: Callable[..., Terminal], tmp_path: Path
) -> None:
    folder = str(tmp_path / "state")
    told = demo("place_order", **ORDER)["structuredContent"]
    line = f"ct-mcp approve --demo --state-dir {shlex.quote(folder)}"
    assert f"`{line}`" in told["next_step"]
    asked = at_a_terminal(*shlex.split(line)[1:])
    asked.until("To send it, type:")
    asked.until("> ")
    asked.types("")
    assert asked.ends() == 0
    elsewhere = at_a_terminal("approve", "--state-dir", folder)
    elsewhere.until("Nothing waits for your approval.")
    elsewhere.until("A demo server has a ticket waiting: ct-mcp approve --demo")
    assert elsewhere.ends() == 0


def test_what_the_assistant_tells_of_a_halt_lifts_it(
    demo: Callable[..., dict[str, Any]], at_a_terminal: Callable[..., Terminal], tmp_path: Path
) -> None:
    told = demo("halt_trading", reason="enough")["structuredContent"]
    assert f"ct-mcp resume --demo --state-dir {tmp_path / 'state'}" in told["lifted_by"]
    denied = demo("place_order", **ORDER)
    assert "ct-mcp resume --demo" in denied["content"][0]["text"]
    elsewhere = at_a_terminal("resume", "--state-dir", str(tmp_path / "state"))
    elsewhere.until("Trading is not halted.")
    elsewhere.until("A demo server is halted: ct-mcp resume --demo")
    assert elsewhere.ends() == 0
