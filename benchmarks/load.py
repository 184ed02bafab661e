"""A hundred thousand calls, sixty-four in flight, one in sixteen taken back: whether the server's memory stays flat.

``python benchmarks/load.py`` prints the resident memory as it goes, and whether every line on stdout was JSON-RPC.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import child
from conversation import Conversation
from figures import machine
from upstream import Upstream

IN_FLIGHT = 64
WARM_UP = 1_000
TOOLS = ("get_positions", "get_orders", "get_journal", "get_positions")
FLAT_PERCENT = 10.0
LONGEST_LIFE_SECONDS = 3600.0


def main() -> int:
    """Call, tell, and say by the exit code whether memory stayed flat."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=100_000)
    calls = parser.parse_args().calls
    child.LONGEST_LIFE_SECONDS = LONGEST_LIFE_SECONDS
    print("\n".join(f"{name:<9} {value}" for name, value in machine().items()), "", sep="\n")
    with TemporaryDirectory(prefix="ct-mcp-load-", ignore_cleanup_errors=True) as folder:
        return measured(calls, Path(folder))


def measured(calls: int, home: Path) -> int:
    """Make that many calls, looking at memory ten times."""
    with Upstream(home) as upstream:
        command = [sys.executable, __file__, "serve", upstream.url, upstream.token, str(home / "state")]
        with Conversation(command, home) as server:
            server.initialize()
            flood = Flood(server)
            flood.run(WARM_UP)
            loaded = server.resident_mib() or 0.0
            print(f"{WARM_UP:>8,} calls  {loaded:6.1f} MiB")
            began = time.perf_counter()
            for part in range(1, 11):
                flood.run((calls - WARM_UP) // 10)
                print(f"{WARM_UP + part * (calls - WARM_UP) // 10:>8,} calls  {server.resident_mib() or 0.0:6.1f} MiB")
            seconds = time.perf_counter() - began
            growth = ((server.resident_mib() or 0.0) / loaded - 1) * 100 if loaded else 0.0
    print(f"\n{flood.answers:,} answers and {flood.taken_back:,} calls taken back in {seconds:.0f} s")
    print(f"memory grew by {growth:.1f} % since the first {WARM_UP:,} calls (at most {FLAT_PERCENT:.0f} %)")
    return int(growth > FLAT_PERCENT)


class Flood:
    """Calls that do not wait for one another; every line that comes back has to be JSON-RPC."""

    def __init__(self, server: Conversation) -> None:
        self._server = server
        self._numbers: Iterator[int] = iter(range(1_000, 10**9))
        self.answers = 0
        self.taken_back = 0

    def run(self, calls: int) -> None:
        """Make so many calls, never more than so many at once."""
        waiting: set[int] = set()
        for count in range(calls):
            number = self._call(TOOLS[count % len(TOOLS)])
            if count % 16 == 15:
                self._take_back(number)
            else:
                waiting.add(number)
            while len(waiting) >= IN_FLIGHT:
                waiting.discard(self._answered())
        while waiting:
            waiting.discard(self._answered())

    def _call(self, tool: str) -> int:
        number = next(self._numbers)
        self._say(id=number, method="tools/call", params={"name": tool, "arguments": {}})
        return number

    def _take_back(self, number: int) -> None:
        self._say(method="notifications/cancelled", params={"requestId": number})
        self.taken_back += 1

    def _say(self, **message: object) -> None:
        self._server.say(json.dumps({"jsonrpc": "2.0", **message}).encode())

    def _answered(self) -> int:
        message = json.loads(self._server.hear())
        if message["jsonrpc"] != "2.0" or not {"result", "error"} & set(message):
            raise RuntimeError(f"no answer: {message}")
        if message.get("result", {}).get("isError"):
            raise RuntimeError(f"answered with {message['result']['content']}")
        self.answers += 1
        return int(message["id"])


def serve(url: str, token: str, state_dir: str) -> None:
    """Serve as ``ct-mcp serve`` does, without a budget of requests."""
    import gc  # noqa: PLC0415  # the measuring process needs none of these

    import anyio  # noqa: PLC0415

    sys.path.insert(0, str(child.SERVERS))
    from unmetered import WIDE  # noqa: PLC0415
    from wide_desk import wide_desk  # noqa: PLC0415

    from ct_mcp.domain.approval import Approval  # noqa: PLC0415
    from ct_mcp.guard.policy import Policy  # noqa: PLC0415
    from ct_mcp.server.app import build_server  # noqa: PLC0415
    from ct_mcp.server.context import ServerContext  # noqa: PLC0415
    from ct_mcp.server.stdio import serve_stdio  # noqa: PLC0415

    policy = Policy(limits=WIDE, simulated=Approval.NONE)
    server = build_server(ServerContext(lambda: wide_desk(url, token, state_dir, policy), policy))
    gc.freeze()
    gc.enable()  # as in serve; what was imported last has switched it off
    anyio.run(serve_stdio, server)


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(*sys.argv[2:])
    else:
        sys.exit(main())
