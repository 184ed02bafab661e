"""The demo servers of one state folder share one market, and a handshake waits for no simulator."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from ct_mcp.cli.demo_endpoint import simulated
from ct_mcp.cli.runtime import demo_settings
from tests.unit.cli.conftest import Start, Started

HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "a client", "version": "1"}}
ORDER = {"account": "Sim101", "instrument": "MES", "action": "BUY", "quantity": 1, "order_type": "MARKET"}
NOTHING_HEAVY = """
import sys
from pathlib import Path
import anyio
from ct_mcp.cli.demo_endpoint import find, shared
from ct_mcp.cli.runtime import demo_settings
async def main():
    settings = demo_settings({"state_dir": sys.argv[1]})
    async with shared(settings, anyio.Event()) as reached:
        assert await find(settings) == reached
        print(sorted({"uvicorn", "ct_mcp.simulator.simulator"} & set(sys.modules)))
anyio.run(main)
"""


class Window:
    """A client of one window, with a demo server of its own."""

    def __init__(self, process: Started) -> None:
        self.process = process
        self._last = 0
        self.asks("initialize", **HELLO)
        self._writes(method="notifications/initialized")

    def calls(self, tool: str, **arguments: object) -> dict[str, Any]:
        result = self.asks("tools/call", name=tool, arguments=arguments)
        assert result.get("isError") is not True, result["content"][0]["text"]
        told: dict[str, Any] = result["structuredContent"]
        return told

    def asks(self, method: str, **params: object) -> dict[str, Any]:
        self._last += 1
        self._writes(id=self._last, method=method, params=params)
        assert self.process.stdout is not None
        result: dict[str, Any] = json.loads(self.process.stdout.readline())["result"]
        return result

    def _writes(self, **message: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        self.process.stdin.flush()

    def closes(self) -> None:
        self.process.communicate(timeout=60)


@pytest.fixture
def window(started: Start, tmp_path: Path) -> Callable[[], Window]:
    """Open another window on the same folder, where nobody is asked about simulated orders."""
    settings = tmp_path / "settings.toml"
    settings.write_text('[approval]\nsimulated = "none"\n', encoding="utf-8")
    flags = ("--config", str(settings), "--state-dir", str(tmp_path / "state"))
    return lambda: Window(started("serve", "--demo", *flags))


def test_two_windows_see_one_market_and_the_second_goes_on_when_the_first_ends(window: Callable[[], Window]) -> None:
    first, second = window(), window()
    assert first.calls("place_order", **ORDER)["status"] == "filled"
    (position,) = second.calls("get_positions")["positions"]
    assert position["account"] == "Sim101"
    assert any("demo servers of a state folder share it" in note for note in second.calls("get_status")["notes"])
    first.closes()
    third = None
    for _ in range(60):  # a look each second, by whoever stands by
        if not second.asks("tools/call", name="get_positions", arguments={}).get("isError"):
            third = window()
            break
    assert third is not None
    assert second.calls("get_positions")["positions"] == []
    assert second.calls("place_order", **{**ORDER, "quantity": 2})["status"] == "filled"
    assert len(third.calls("get_positions")["positions"]) == 1, "and whoever comes later shares that one"


def test_a_demo_can_be_found_before_its_simulator_is_imported(tmp_path: Path) -> None:
    script = [sys.executable, "-c", NOTHING_HEAVY, str(tmp_path / "state")]
    done = subprocess.run(script, capture_output=True, encoding="utf-8", timeout=60, check=False)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


async def test_a_simulator_that_is_left_has_ended(tmp_path: Path) -> None:
    settings = demo_settings({"state_dir": str(tmp_path)})
    with anyio.fail_after(60):
        for _ in range(3):
            async with simulated(settings) as reached:
                assert reached.base_url.startswith("http://127.0.0.1:")
    with pytest.raises(OSError, match="connect"):
        await anyio.connect_tcp("127.0.0.1", int(reached.base_url.rpartition(":")[2]))
