"""A client shows nobody what stands on stderr: with faults in its settings the server starts, and answers with them."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import Start, Started

HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "a client", "version": "1"}}
ORDER = {"account": "Sim101", "instrument": "MES", "action": "BUY", "quantity": 1, "order_type": "MARKET"}
CALLS: dict[str, dict[str, Any]] = {
    "get_status": {},
    "get_positions": {},
    "place_order": ORDER,
    "preview_order": ORDER,
    "flatten": {"account": "Sim101"},
    "halt_trading": {"reason": "why not"},
    "confirm_ticket": {"ticket_id": "0123456789abcdef"},
}
READS = ("crosstrade://policy", "crosstrade://accounts")


def a_conversation() -> list[dict[str, Any]]:
    """What a client writes: the handshake, one call of each tool, resources."""
    requests: list[tuple[str, dict[str, Any]]] = [("initialize", HELLO), ("tools/list", {})]
    requests += [("tools/call", {"name": name, "arguments": given}) for name, given in CALLS.items()]
    requests += [("resources/read", {"uri": uri}) for uri in READS]
    messages: list[dict[str, Any]] = [
        {"id": number, "method": method, "params": params} for number, (method, params) in enumerate(requests)
    ]
    messages.insert(1, {"method": "notifications/initialized"})
    return messages


def held(process: Started) -> tuple[dict[int, dict[str, Any]], str]:
    """Ask everything, and go once all is answered; gives the answers, and what stands on stderr."""
    assert process.stdin is not None
    assert process.stdout is not None
    for message in a_conversation():
        process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    process.stdin.flush()
    requests = 2 + len(CALLS) + len(READS)
    answers = {line["id"]: line for line in (json.loads(process.stdout.readline()) for _ in range(requests))}
    _, err = process.communicate(timeout=60)
    return answers, err


FAULTS: dict[str, tuple[str, dict[str, str], tuple[str, ...]]] = {
    "a token as it stands in the README": ("", {"CROSSTRADE_TOKEN": "your token"}, ()),
    "a secret that nobody filled in": ("", {"CROSSTRADE_TOKEN": "${{ secrets.CROSSTRADE_TOKEN }}"}, ()),
    "a typing error in the settings": ('[limits]\nmax_order_quantiy = 1\nmode = "sim"\n', {}, ()),
    "a file that is no TOML": ("mode = \n", {}, ()),
    "an address of no service": ("", {"CT_MCP_BASE_URL": "http://elsewhere.example"}, ()),
    "a file that is not there": ("", {"CT_MCP_CONFIG": "nowhere.toml"}, ()),
    "a flag of HTTP": ("", {}, ("--port", "8421")),
}


@pytest.mark.parametrize(("file", "environment", "flags"), FAULTS.values(), ids=FAULTS.keys())
def test_whatever_is_asked_is_answered_with_the_faults(
    started: Start, tmp_path: Path, file: str, environment: Mapping[str, str], flags: tuple[str, ...]
) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text(file, encoding="utf-8")
    named = () if "CT_MCP_CONFIG" in environment else ("--config", str(settings))
    answers, err = held(started("serve", *named, *flags, **environment))
    assert answers[0]["result"]["serverInfo"]["name"] == "ct-mcp"
    assert {tool["name"] for tool in answers[1]["result"]["tools"]} >= set(CALLS)
    faults = err.strip()
    assert faults, "it stands on stderr as well"
    for number, name in enumerate(CALLS, start=2):
        told = answers[number]["result"]
        text = told["content"][0]["text"]
        assert told["isError"] is True, name
        assert faults in text, name
        assert "Nothing was sent to the market. Next: tell the person" in text
        assert "${{" not in text or "secrets.CROSSTRADE_TOKEN }}" not in text, "a token is not repeated"
    for number in range(2 + len(CALLS), 2 + len(CALLS) + len(READS)):
        assert faults.splitlines()[-1][:40] in answers[number]["error"]["message"]


@pytest.mark.skipif(sys.platform == "win32", reason="rights are told otherwise there")
def test_a_state_folder_that_others_may_write_is_told_as_well(really_started: Start, tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    folder.chmod(0o777)
    answers, _ = held(really_started("serve", "--state-dir", str(folder)))
    assert str(folder) in answers[2]["result"]["content"][0]["text"]
