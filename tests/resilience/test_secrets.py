"""The token is nowhere: in no answer, error, log, page, file or process, whatever goes wrong and is echoed."""

import json
import logging
import os
import re
import subprocess
import sys
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from anyio import to_thread
from mcp.shared.exceptions import MCPError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.server import served
from ct_mcp.simulator.simulator import Simulator, SimulatorSettings
from ct_mcp.text import redact
from ct_mcp.web.app import web_app
from ct_mcp.web.browser import browse
from ct_mcp.web.sessions import SessionStore
from tests.forked import run_command
from tests.resilience.conftest import AT_ONCE, Succeeded, Successor, launched

# Like a real one: random, and with characters that a URL does not leave as they are.
TOKEN = "xt/Q7f+9ZkP2vLw8RjN4hTb6YcD1mGs3=uE5aKoXi0"
PIECE = 12
BUY = {"account": "Sim101", "instrument": "MES", "action": "BUY", "quantity": 1, "order_type": "MARKET"}
HOLD = {"strategy_class": "HoldLong", "mode": "account", "period_type": "minute", "period": 5}
# What a client has to understand is left as it is; whatever else is text carries the echo.
UNDERSTOOD = {
    "account", "name", "instrument", "orderId", "id", "state", "orderState", "orderType", "action", "timeInForce",
    "provider", "marketPosition", "method", "path", "rpc", "time", "timestamp", "type", "mode", "strategyId",
    "connectionStatus", "status", "masterInstrument", "symbol", "fullName", "displayName",
}  # fmt: skip


def traces(token: str) -> list[str]:
    """How it could show: whole, in pieces, or encoded; in small letters."""
    encoded = [quote(token, safe=""), quote(token), *(b64encode(f"{head}{token}".encode()).decode() for head in HEADS)]
    pieces = [token[start : start + PIECE] for start in range(len(token) - PIECE + 1)]
    return [trace.casefold().rstrip("=") for trace in (token, *pieces, *encoded)]


HEADS = ("", "Bearer ")
TRACES = traces(TOKEN)


def found_in(text: str) -> list[str]:
    """The traces of the token in a text."""
    folded = text.casefold()
    return [trace for trace in TRACES if trace in folded]


class Echo:
    """Between the simulator and the wire: a service that says back what it was sent, in every way there is."""

    def __init__(self, inner: ASGIApp) -> None:
        self._inner = inner
        self.way = "fields"
        self.echoed = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the token in it; a socket is left alone."""
        if scope["type"] != "http":
            return await self._inner(scope, receive, send)
        sent = dict(scope["headers"]).get(b"authorization", b"").decode()
        answer = Collected()
        await self._inner(scope, receive, answer.take)
        status, body = self._told(sent, answer)
        self.echoed += bool(sent)
        headers = [(b"content-type", b"application/json"), (b"location", f"http://127.0.0.1:9/?{sent}".encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        return None

    def _told(self, sent: str, answer: "Collected") -> tuple[int, bytes]:
        said = " ".join((sent, quote(sent, safe=""), b64encode(sent.encode()).decode(), sent[7:27], sent[-20:]))
        if self.way == "fields":
            return answer.status, with_echo(answer.body, said)
        if self.way == "redirect":
            return 302, b""
        status, error = self.way.split(" ", 1)
        return int(status), json.dumps({"success": False, "error": f"{error} {said}", "detail": said}).encode()


class Collected:
    """What an application answers."""

    def __init__(self) -> None:
        self.status, self.body = 0, b""

    async def take(self, message: Message) -> None:
        """Keep it."""
        self.status = message.get("status", self.status)
        self.body += message.get("body", b"")


def with_echo(body: bytes, said: str) -> bytes:
    """Say it in every field, and in a warning; in a document, at its end."""
    try:
        value = json.loads(body)
    except ValueError:
        return body + said.encode()
    told = in_fields(value, said)
    return json.dumps({**told, "warning": said} if isinstance(told, dict) else told).encode()


def in_fields(value: object, said: str) -> object:
    """The same value with the echo in every text that need not be understood."""
    if isinstance(value, dict):
        return {
            key: f"{each} {said}" if isinstance(each, str) and key not in UNDERSTOOD else in_fields(each, said)
            for key, each in value.items()
        }
    return [in_fields(each, said) for each in value] if isinstance(value, list) else value


@pytest.fixture
def token() -> str:
    """What must never be seen."""
    return TOKEN


@pytest.fixture
def sim(clock: ManualClock, token: str) -> Simulator:
    """A world in front of which stands a service that echoes."""
    sim = Simulator(seed=7, clock=clock, token=token, settings=SimulatorSettings(pace=AT_ONCE, rate_limit=None))
    sim.app = Echo(sim.app)
    return sim


@pytest.fixture
def echo(sim: Simulator) -> Echo:
    """The service that echoes."""
    assert isinstance(sim.app, Echo)
    return sim.app


WAYS = [
    "fields", "redirect", "200 refused", "400 invalid", "401 unauthorized", "403 subscription_required",
    "404 not found", "408 Client not ready", "429 rate_limited", "500 internal_error",
]  # fmt: skip


def arguments_of(order_id: str, strategy_id: str) -> dict[str, dict[str, object]]:
    """A call for every tool; a tool that is not named here is called with nothing."""
    account: dict[str, object] = {"account": "Sim101"}
    order, strategy = {"order_id": order_id}, {"strategy_id": strategy_id}
    held: dict[str, object] = {**account, "instrument": "MES"}
    return {
        "get_account": account,
        "get_order": {**account, **order},
        "get_executions": account,
        "get_quotes": {"instruments": ["MES"]},
        "get_bars": {"instrument": "MES", "period_type": "minute", "period": 5, "count": 3},
        "get_session": {"instrument": "MES"},
        "preview_order": BUY,
        "place_order": BUY,
        "confirm_ticket": {"ticket_id": "unknown"},
        "change_order": {**account, **order, "quantity": 2},
        "replace_order": {**BUY, **order},
        "cancel_order": {**account, **order},
        "cancel_orders": account,
        "close_position": {**held, "quantity": 1},
        "protect_position": {**held, "stop_loss": 5000.0},
        "reverse_position": held,
        "flatten": account,
        "halt_trading": {"reason": "enough"},
        "start_strategy": {**held, **HOLD},
        "enable_strategy": {**account, **strategy},
        "disable_strategy": {**account, **strategy},
        "close_strategy": {**account, **strategy},
    }  # fmt: skip


async def every_tool(successor: Successor, arguments: dict[str, dict[str, object]]) -> AsyncIterator[str]:
    """What every tool answers."""
    for tool in (await successor.client.list_tools()).tools:
        result = await successor.client.call_tool(tool.name, arguments.get(tool.name, {}))
        yield f"{tool.name}: {result.model_dump_json()}"


async def everything_else(successor: Successor) -> AsyncIterator[str]:
    """What resources and prompts say, and their errors."""
    client = successor.client
    listed = (await client.list_resources()).resources
    uris = [str(each.uri) for each in listed] + ["crosstrade://accounts/Sim101/snapshot", "crosstrade://quotes/MES"]
    for uri in uris:
        try:
            yield f"{uri}: {(await client.read_resource(uri)).model_dump_json()}"
        except MCPError as error:
            yield f"{uri}: {error}"
    for prompt in (await client.list_prompts()).prompts:
        given = {argument.name: "Sim101" for argument in prompt.arguments or ()}
        yield (await client.get_prompt(prompt.name, given)).model_dump_json()


async def every_page(successor: Successor, clock: ManualClock) -> AsyncIterator[str]:
    """What the person's pages show: the console with its panels, and a ticket."""
    desk, store = successor.furniture.desk, successor.furniture.store
    keys = SessionStore(clock)
    origin = "http://127.0.0.1:4711"
    app = web_app(desk, store, keys, "127.0.0.1:4711")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=origin) as browser:
        opened = await browser.get(f"/open/{keys.issue(None, clock() + timedelta(minutes=1))}")
        (place,) = set(re.findall(r"/s/[\w-]+/", opened.text))
        page = (await browser.get(place)).text
        yield page
        for panel in set(re.findall(r"panel/([\w-]+)", page)):
            yield (await browser.get(f"{place}panel/{panel}")).text


@pytest.mark.parametrize("way", WAYS)
async def test_whatever_is_echoed_is_told_to_nobody(
    succeeded: Succeeded,
    echo: Echo,
    sim: Simulator,
    folder: Path,
    clock: ManualClock,
    caplog: pytest.LogCaptureFixture,
    way: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore", "mcp"):  # as the server sets them
        caplog.set_level(logging.WARNING, logger=name)
    heard: list[str] = []
    async with succeeded() as successor:
        filled = await successor.call("place_order", **{**BUY, "quantity": 2})
        strategy_id = sim.strategies.all[0].id
        echo.way = way
        heard += [said async for said in every_tool(successor, arguments_of(filled["order_id"], strategy_id))]
        heard += [said async for said in everything_else(successor)]
        heard += [said async for said in every_page(successor, clock)]
        await successor.furniture.store.close()
    files = all_bytes(folder)
    assert echo.echoed > 50, "it was there to be told"
    assert len(heard) > 40
    assert len(files) >= 1
    for said in (*heard, caplog.text, *files):
        assert found_in(said) == [], said[:2000]


def test_the_search_finds_every_trace() -> None:
    """And the product's own hiding leaves none of them."""
    shown = [TOKEN, TOKEN.upper(), TOKEN[3:20], TOKEN[-PIECE:], quote(TOKEN, safe="")]
    shown += [b64encode(f"{head}{TOKEN}".encode()).decode() for head in HEADS]
    for trace in shown:
        assert found_in(f"before {trace} after"), trace
        assert found_in(redact(f"before {TOKEN} {trace} after", TOKEN)) == [], trace
    assert found_in("nothing of it at all") == []


async def test_the_log_at_its_loudest_and_the_process_list_hold_no_token(
    sim: Simulator, echo: Echo, tmp_path: Path
) -> None:
    async with served(sim) as url:
        place = ["--base-url", url, "--state-dir", str(tmp_path), "--log-level", "debug"]
        server = launched(sys.executable, "-m", "ct_mcp", "serve", *place, CROSSTRADE_TOKEN=TOKEN)
        await server.meets()
        said = [str(await server.call("get_positions"))]
        for echo.way in ("redirect", "401 unauthorized", "500 internal_error"):
            said.append(str(await server.call("get_orders")))
        said += list(command_lines())
        _, rest, log = await to_thread.run_sync(server.leave)
    assert echo.echoed >= 4
    for text in (*said, rest, *all_bytes(tmp_path), *log.splitlines()):
        assert found_in(text) == [], text


def all_bytes(folder: Path) -> list[str]:
    """Every file of a folder, whatever it is."""
    return [file.read_bytes().decode("latin-1") for file in folder.rglob("*") if file.is_file()]


def command_lines() -> Iterator[str]:
    """What every user of this machine can read of its processes, where the system tells it in files."""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            yield file.read_text(encoding="utf-8", errors="replace")


COMMANDS = [["--help"], ["check"], ["journal"], ["journal", "verify"], ["journal", "export"]]


@pytest.mark.parametrize(("way", "commands"), [("fields", COMMANDS), ("401 unauthorized", [["check", "--json"]])])
async def test_no_command_at_the_terminal_prints_it(
    sim: Simulator, echo: Echo, tmp_path: Path, way: str, commands: list[list[str]]
) -> None:
    echo.way = way
    async with served(sim) as url:
        environ = {**os.environ, "CROSSTRADE_TOKEN": TOKEN, "CT_MCP_BASE_URL": url, "CT_MCP_STATE_DIR": str(tmp_path)}
        for command in commands:
            done = await to_thread.run_sync(partial(run, command, environ))
            assert done.stdout + done.stderr, command
            assert found_in(done.stdout + done.stderr) == [], command
    assert echo.echoed, "check has asked"


MALFORMED = [
    f'token = "{TOKEN}"',
    f'crosstrade_token = "{TOKEN}"',
    f'[upstream]\nbase_url = "https://{quote(TOKEN, safe="")}@app.crosstrade.io"',
    f'[upstream]\ntoken = "{TOKEN}"',
    f'mode = "{TOKEN}"',
    f'token = {TOKEN}',
]  # fmt: skip


@pytest.mark.parametrize("text", MALFORMED)
def test_settings_that_are_wrong_are_refused_without_quoting_it(tmp_path: Path, text: str) -> None:
    file = tmp_path / "ct-mcp.toml"
    file.write_text(text, encoding="utf-8")
    done = run(
        ["serve", "--config", str(file), "--state-dir", str(tmp_path)], {**os.environ, "CROSSTRADE_TOKEN": TOKEN}
    )
    assert done.returncode == 2
    assert done.stderr
    assert found_in(done.stdout + done.stderr) == []


def run(command: list[str], environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command of ours to its end, with nobody to type at it."""
    return run_command(*command, given="", environ={**environ, "PYTHONIOENCODING": "utf-8"}, timeout=60)


async def test_the_browser_that_we_start_does_not_inherit_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = tmp_path / "environ.json"
    program = f"import json, os; open({str(told)!r}, 'w').write(json.dumps(dict(os.environ)))"
    script = tmp_path / "browser.py"
    script.write_text(program, encoding="utf-8")
    monkeypatch.setenv("BROWSER", f"{sys.executable} {script} %s")
    for name in ("CROSSTRADE_TOKEN", "XTRADE_TOKEN"):
        monkeypatch.setenv(name, TOKEN)
    assert await browse("file:///nowhere.html")
    environ = told.read_text(encoding="utf-8")
    assert "BROWSER" in environ
    assert found_in(environ) == []
