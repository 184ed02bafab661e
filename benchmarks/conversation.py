"""An MCP client of a few lines, so that what is measured is the server and not a client."""

import json
import time
from typing import Any

from child import Child

_HELLO = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "ct-mcp-benchmarks", "version": "1"},
}


class Conversation(Child):
    """A server over stdio, one request at a time."""

    _last_id = 0

    def initialize(self) -> float:
        """Shake hands; the seconds from the start of the process to the answer."""
        self.ask("initialize", _HELLO)
        seconds = time.perf_counter() - self.started_at
        self.say(json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"}).encode())
        return seconds

    def ask(self, method: str, params: dict[str, Any]) -> tuple[dict[str, Any], float]:
        """Send a request; its result, and the seconds from writing it to having its answer.

        Raises:
            RuntimeError: The answer is an error.
        """
        self._last_id += 1
        line = json.dumps({"jsonrpc": "2.0", "id": self._last_id, "method": method, "params": params}).encode()
        began = time.perf_counter()
        self.say(line)
        answer = self._answer()
        seconds = time.perf_counter() - began
        if "result" not in answer:
            raise RuntimeError(f"{method} was answered with {answer}")
        return answer["result"], seconds

    def call(self, tool: str, **arguments: Any) -> tuple[dict[str, Any], float]:
        """Call a tool; a tool's own error is an error here too."""
        result, seconds = self.ask("tools/call", {"name": tool, "arguments": arguments})
        if result.get("isError"):
            raise RuntimeError(f"{tool} was answered with {result['content']}")
        return result, seconds

    def tools(self) -> tuple[list[dict[str, Any]], float]:
        """List the tools."""
        result, seconds = self.ask("tools/list", {})
        return result["tools"], seconds

    def _answer(self) -> dict[str, Any]:
        while True:
            message: dict[str, Any] = json.loads(self.hear())
            if message.get("id") == self._last_id:
                return message
