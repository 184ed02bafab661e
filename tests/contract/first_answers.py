"""Starts what was installed as a client would, over stdio and without a token: ``first_answers.py CT-MCP``.

It has to answer ``initialize``, list its tools, and end well when its client goes away. Needs nothing but Python, so
that it can run in an environment that holds the wheel alone.
"""

import json
import subprocess
import sys
import threading
from typing import Any

WHO = {"name": "gate", "version": "1"}
HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": WHO}


def main(command: str) -> None:
    """Ask the two questions, and say one line of what was answered."""
    server = subprocess.Popen([command, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8")
    assert server.stdin is not None
    assert server.stdout is not None
    to_server, from_server = server.stdin, server.stdout
    watchdog = threading.Timer(60, server.kill)
    watchdog.start()

    def say(**message: object) -> None:
        to_server.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        to_server.flush()

    def ask(number: int, method: str, params: object) -> dict[str, Any]:
        say(id=number, method=method, params=params)
        answer = json.loads(from_server.readline())
        assert answer["id"] == number, answer
        result: dict[str, Any] = answer["result"]
        return result

    hello = ask(1, "initialize", HELLO)
    say(method="notifications/initialized")
    tools = ask(2, "tools/list", {})["tools"]
    to_server.close()
    rest = from_server.read()
    code = server.wait()
    watchdog.cancel()
    assert tools
    assert not rest.strip(), rest
    assert code == 0, code
    told = hello["serverInfo"]
    assert told["name"], hello
    assert told["version"], hello
    sys.stdout.write(f"{told['name']} {told['version']}, protocol {hello['protocolVersion']}, {len(tools)} tools\n")


if __name__ == "__main__":
    main(sys.argv[1])
