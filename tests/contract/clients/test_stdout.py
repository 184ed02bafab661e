"""Nothing but JSON-RPC on stdout, and the end when stdin closes: what every client over stdio relies on."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Timer
from typing import Any

import pytest

HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}},
}
BEGUN = {"jsonrpc": "2.0", "method": "notifications/initialized"}


def request(number: int, method: str, **params: object) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


def call(number: int, tool: str, **arguments: object) -> dict[str, object]:
    return request(number, "tools/call", name=tool, arguments=arguments)


class Raw:
    """A server process, line by line."""

    def __init__(self, *arguments: str) -> None:
        pipe = subprocess.PIPE
        command = [sys.executable, "-m", "ct_mcp", "serve", *arguments]
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, encoding="utf-8")
        self.heard: list[str] = []

    def say(self, *messages: object) -> None:
        """Write one line for each; text goes out as it is."""
        assert self.process.stdin is not None
        for message in messages:
            self.process.stdin.write(f"{message if isinstance(message, str) else json.dumps(message)}\n")
        self.process.stdin.flush()

    def hear(self, number: int) -> dict[str, Any]:
        """Read until the answer with this number."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.heard.append(line)
            message: dict[str, Any] = json.loads(line)
            if message.get("id") == number:
                return message
        raise AssertionError(f"stdout closed before the answer {number}")

    def leave(self) -> int:
        """Close stdin, hear the rest, and give the exit code."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.heard += self.process.stdout.readlines()
        return self.process.wait()


@pytest.fixture
def raw(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator["Raw"]:
    """A server on a state folder of its own, ended after half a minute whatever happens."""
    server = Raw(*request.param, "--state-dir", str(tmp_path / "state"), "--log-level", "debug")
    watchdog = Timer(30, server.process.kill)
    watchdog.start()
    yield server
    watchdog.cancel()
    server.process.kill()
    with server.process:  # closes its pipes
        pass


def is_message(line: str) -> bool:
    message = json.loads(line)
    return message["jsonrpc"] == "2.0" and bool({"result", "error", "method"} & set(message))


@pytest.mark.parametrize("raw", [["--demo"]], indirect=True)
def test_every_line_is_a_message_at_start_under_errors_and_at_exit(raw: Raw) -> None:
    """With the log at its loudest, and with everything wrong that a client can get wrong."""
    raw.say(HELLO, BEGUN)
    assert raw.hear(1)["result"]["serverInfo"]["name"] == "ct-mcp"
    raw.say("this is no JSON", '{"jsonrpc": "2.0"', "[]", "{}", '{"jsonrpc": "1.0", "id": 9, "method": "ping"}')
    raw.say(request(2, "no/such/method"), call(3, "no_such_tool"), call(4, "place_order", quantity=float("inf")))
    raw.say(call(5, "get_positions", account="sim101 "), call(6, "confirm_ticket", ticket_id="unknown"))
    answers = {number: raw.hear(number) for number in (2, 6)}
    raw.say(request(7, "tools/list"))
    assert raw.hear(7)["result"]["tools"]

    assert raw.leave() == 0
    assert answers[2]["error"]["code"] == -32601
    assert answers[6]["result"]["isError"]
    assert all(map(is_message, raw.heard))


@pytest.mark.parametrize("raw", [["--base-url", "http://127.0.0.1:9"]], indirect=True)
def test_tools_are_listed_and_errors_told_with_no_service_and_no_token(raw: Raw) -> None:
    raw.say(HELLO, BEGUN, request(2, "tools/list"), call(3, "get_positions"))
    assert raw.hear(2)["result"]["tools"]
    assert raw.hear(3)["result"]["isError"]
    assert raw.leave() == 0
    assert all(map(is_message, raw.heard))


@pytest.mark.parametrize("raw", [["--demo"]], indirect=True)
def test_the_server_ends_when_stdin_closes_before_a_word_was_said(raw: Raw) -> None:
    assert raw.leave() == 0
    assert raw.heard == []


@pytest.mark.parametrize("raw", [["--demo"]], indirect=True)
def test_the_server_ends_when_stdin_closes_in_the_middle_of_a_call(raw: Raw) -> None:
    raw.say(HELLO, BEGUN, call(2, "get_positions"))
    assert raw.leave() == 0
    assert all(map(is_message, raw.heard))
