"""``ct-mcp simulate`` as a process."""

import re
import subprocess
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from ct_mcp.simulator.faults import Fault, StreamFault
from tests.unit.cli.conftest import Start, Started

CtMcp = Callable[..., subprocess.CompletedProcess[str]]


def told_by(process: Started) -> dict[str, str]:
    """What it says of itself before it serves: the URL, the token, and the rest by its first word."""
    assert process.stdout is not None
    told: dict[str, str] = {}
    for line in process.stdout:
        if found := re.search(r"at (http://\S+)$", line):
            told["url"] = found[1]
        word, _, rest = line.strip().partition(" ")
        told[word] = rest.strip()
        if word == "stop":
            break
    return told


def test_it_prints_an_address_that_answers_to_its_token(really_started: Start) -> None:
    told = told_by(really_started("simulate", "--port", "0"))
    token = told["token"].split()[0]
    with httpx.Client(base_url=told["url"], trust_env=False) as client:
        assert client.get("/v1/api/accounts", headers={"Authorization": f"Bearer {token}"}).json()["success"] is True
        assert client.get("/v1/api/accounts").status_code == 401


def test_it_misbehaves_as_it_was_told(started: Start) -> None:
    told = told_by(started("simulate", "--port", "0", "--fault", "addon-offline"))
    assert told["faults"] == "addon-offline"
    token = told["token"].split()[0]
    with httpx.Client(base_url=told["url"], trust_env=False) as client:
        assert client.get("/v1/api/accounts", headers={"Authorization": f"Bearer {token}"}).status_code == 408


async def test_its_socket_misbehaves_as_it_was_told(started: Start) -> None:
    told = told_by(started("simulate", "--port", "0", "--fault", "socket-refused"))
    assert told["faults"] == "socket-refused"
    url, token = told["url"].replace("http", "ws", 1), told["token"].split()[0]
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"{url}/ws/stream", additional_headers={"Authorization": f"Bearer {token}"}, proxy=None)
    assert refused.value.response.status_code == 503


def test_the_faults_are_listed_with_what_they_do(ct_mcp: CtMcp) -> None:
    listed = ct_mcp("simulate", "--fault", "list")
    assert listed.returncode == 0
    assert [line.split()[0] for line in listed.stdout.splitlines()] == [fault.value for fault in (*Fault, *StreamFault)]
    assert all(fault.description in listed.stdout for fault in (*Fault, *StreamFault))


def test_a_fault_that_does_not_exist_is_named(ct_mcp: CtMcp) -> None:
    ended = ct_mcp("simulate", "--port", "0", "--fault", "no-such-thing")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "no such fault: no-such-thing" in ended.stderr


def test_a_port_that_is_taken_is_named(ct_mcp: CtMcp, started: Start) -> None:
    port = told_by(started("simulate", "--port", "0"))["url"].rpartition(":")[2]
    ended = ct_mcp("simulate", "--port", port)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert f"cannot listen on port {port}" in ended.stderr


def test_ctrl_c_ends_it_quietly(at_a_terminal: Callable[..., Any]) -> None:
    terminal = at_a_terminal("simulate", "--port", "0")
    terminal.until("stop with Ctrl-C")
    terminal.interrupts()
    assert terminal.ends() == 130
    assert "Traceback" not in terminal.seen
