"""A server as a client starts it, whose client can show no form: the page opens in the browser that BROWSER names."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream

from tests.unit.web.conftest import Chromium

SETTINGS = '[approval]\nsimulated = "page"\nwait_seconds = 20.0\n'
ORDER = {"account": "Sim101", "instrument": "MES", "action": "BUY", "quantity": 1, "order_type": "MARKET"}
HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "formless", "version": "1"}}

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there BROWSER names no program: try it by hand")


class Assistant:
    """A client that can show no form, line by line."""

    def __init__(self, process: anyio.abc.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._stdin, self._lines = process.stdin, BufferedByteReceiveStream(process.stdout)
        self.heard: list[str] = []

    async def say(self, method: str, **message: Any) -> None:
        await self._stdin.send(json.dumps({"jsonrpc": "2.0", "method": method, **message}).encode() + b"\n")

    async def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Ask, and read until the answer; every line on the way is a message of the protocol."""
        await self.say(method, id=method, params=params)
        while True:
            line = (await self._lines.receive_until(b"\n", 1_000_000)).decode()
            self.heard.append(line)
            message: dict[str, Any] = json.loads(line)
            assert message["jsonrpc"] == "2.0"
            if message.get("id") == method:
                result: dict[str, Any] = message["result"]
                return result


@pytest.fixture
def browser(tmp_path: Path) -> Path:
    """What the person set as their browser: it tells the test where it was sent, loudly, and ends."""
    note, script = tmp_path / "sent", tmp_path / "browser.py"
    os.mkfifo(note)
    text = f"import sys; print('noise', flush=True); open({str(note)!r}, 'w').write(sys.argv[1])"
    script.write_text(text, encoding="utf-8")
    return note


@pytest.fixture
async def assistant(browser: Path, tmp_path: Path) -> AsyncIterator[Assistant]:
    settings = tmp_path / "ct-mcp.toml"
    settings.write_text(SETTINGS, encoding="utf-8")
    command = [sys.executable, "-m", "ct_mcp", "serve", "--demo", "--config", str(settings)]
    environ = {
        **os.environ,
        "BROWSER": f"{sys.executable} {tmp_path / 'browser.py'} %s",
        "CT_MCP_STATE_DIR": str(tmp_path / "state"),
    }
    async with await anyio.open_process(command, env=environ, stderr=subprocess.DEVNULL) as process:
        client = Assistant(process)
        with anyio.fail_after(60):
            await client.ask("initialize", **HELLO)
            await client.say("notifications/initialized")
            yield client
            assert process.stdin is not None
            await process.stdin.aclose()
            assert await process.wait() == 0


PRESS: Callable[[str], str] = "await page.getByRole('button', {{ name: '{}' }}).click();".format


@pytest.mark.slow
@pytest.mark.parametrize(("button", "status"), [("Approve", "filled"), ("Decline", "declined")])
async def test_an_order_is_decided_on_the_page_that_the_server_opened(
    chromium: Chromium, assistant: Assistant, browser: Path, tmp_path: Path, button: str, status: str
) -> None:
    answers = []

    async def place() -> None:
        answers.append(await assistant.ask("tools/call", name="place_order", arguments=ORDER))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(place)
        file = await anyio.to_thread.run_sync(browser.read_text, "utf-8")
        await chromium.run(
            f"await page.goto({file!r}); await page.locator('h1.order').waitFor(); {PRESS(button)}", width=800
        )
    (answer,) = answers
    assert answer["structuredContent"]["status"] == status
    assert "127.0.0.1" not in "".join(assistant.heard), "no address ever reaches the assistant"
    assert not list((tmp_path / "state").rglob("open-*.html"))
