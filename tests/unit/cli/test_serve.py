"""``ct-mcp serve`` as a process: what stands on its streams, and how it ends."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest

from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.server import served as served_simulator
from ct_mcp.simulator.simulator import Simulator
from ct_mcp.store.sqlite import SqliteStore
from tests.processes import interruptible
from tests.unit.cli.conftest import Start, Started

CtMcp = Callable[..., subprocess.CompletedProcess[str]]
Server = tuple[Started, Callable[..., dict[str, Any]]]

HELLO = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "a client", "version": "1"},
}
NOWHERE = ("--base-url", "http://127.0.0.1:9")
either = pytest.mark.parametrize("arguments", [NOWHERE, ("--demo",)], ids=["own", "demo"])
signals_as_posix_has_them = pytest.mark.skipif(
    sys.platform == "win32", reason="signals reach a process otherwise there: press Ctrl-C by hand"
)


@pytest.fixture
def served(started: Start) -> Callable[..., Server]:
    """Start a server and introduce a client to it; gives the process and a way to ask it."""
    return introduced(started)


@pytest.fixture
def really_served(really_started: Start) -> Callable[..., Server]:
    """The same, in a Python of its own."""
    return introduced(really_started)


def introduced(begin: Start) -> Callable[..., Server]:
    """Begin servers so, and shake hands with each."""

    def start(*arguments: str, **environment: str) -> Server:
        process = begin("serve", *arguments, **environment)
        assert process.stdin is not None

        def tell(method: str, **message: Any) -> None:
            assert process.stdin is not None
            process.stdin.write(json.dumps({"jsonrpc": "2.0", "method": method, **message}) + "\n")
            process.stdin.flush()

        def ask(method: str, **params: Any) -> dict[str, Any]:
            tell(method, id=1, params=params)
            assert process.stdout is not None
            answer: dict[str, Any] = json.loads(process.stdout.readline())
            assert answer["jsonrpc"] == "2.0"
            result: dict[str, Any] = answer["result"]
            return result

        assert ask("initialize", **HELLO)["serverInfo"]["name"] == "ct-mcp"
        tell("notifications/initialized")
        return process, ask

    return start


def rest_of(process: Started) -> tuple[int, str, str]:
    """Close its stdin and wait for the end; gives the code and what else stood on its streams."""
    out, err = process.communicate(timeout=60)
    return process.wait(60), out, err


@either
def test_tools_are_listed_with_no_token_and_no_network(
    really_served: Callable[..., Server], arguments: tuple[str, ...]
) -> None:
    process, ask = really_served(*arguments)
    listed = {tool["name"] for tool in ask("tools/list")["tools"]}
    assert {"get_status", "place_order", "flatten"} <= listed
    assert rest_of(process) == (0, "", "")


@either
def test_it_ends_when_the_client_closes_stdin(served: Callable[..., Server], arguments: tuple[str, ...]) -> None:
    process, _ = served(*arguments)
    assert rest_of(process) == (0, "", "")


def test_it_ends_when_stdin_was_never_open(ct_mcp: CtMcp) -> None:
    ended = ct_mcp("serve", given="")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


@either
def test_what_is_no_message_leaves_only_messages_on_stdout(
    served: Callable[..., Server], arguments: tuple[str, ...]
) -> None:
    process, ask = served(*arguments, "--log-level", "debug")
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("this is not JSON\n\n[]\n")
    process.stdin.flush()
    answers = [json.loads(process.stdout.readline()) for _ in range(2)]
    assert [(answer["id"], answer["error"]["code"]) for answer in answers] == [(None, -32700)] * 2
    ask("tools/call", name="get_positions", arguments={})
    code, out, _ = rest_of(process)
    assert code == 0
    assert all(json.loads(line)["jsonrpc"] == "2.0" for line in out.splitlines())


def test_a_halt_is_set_although_its_reason_ends_in_half_a_letter(served: Callable[..., Server]) -> None:
    process, ask = served("--demo")
    halted = ask("tools/call", name="halt_trading", arguments={"reason": "the fills make no sense \ud83d"})
    assert halted["structuredContent"]["halted"] is True
    assert ask("tools/call", name="get_status", arguments={})["structuredContent"]["halted"] is True
    assert rest_of(process)[0] == 0


@signals_as_posix_has_them
@either
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_quietly_while_stdin_is_open(
    served: Callable[..., Server], arguments: tuple[str, ...], number: int
) -> None:
    process, _ = served(*arguments)
    process.send_signal(number)
    assert process.wait(60) == 128 + number
    assert rest_of(process)[1:] == ("", "")


@signals_as_posix_has_them
def test_a_signal_ends_it_quietly_after_it_has_worked(really_served: Callable[..., Server]) -> None:
    process, ask = really_served("--demo")
    assert ask("tools/call", name="get_positions", arguments={})["isError"] is False
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert rest_of(process)[1:] == ("", "")


@pytest.mark.slow
@signals_as_posix_has_them
async def test_what_is_being_sent_is_finished_before_a_signal_ends_it(
    environ: Mapping[str, str], tmp_path: Path
) -> None:
    simulator = Simulator(market_hours="always")
    simulator.faults.arm(Fault.SLOW_ANSWER, rpc="Flatten")
    async with served_simulator(simulator) as url:
        arguments = ["serve", "--base-url", url, "--state-dir", str(tmp_path / "state")]
        with_token = {**environ, "CROSSTRADE_TOKEN": simulator.token}
        command = interruptible(sys.executable, "-m", "ct_mcp", *arguments)
        process = await anyio.open_process(command, env=with_token)
        async with process:
            assert process.stdin is not None
            call = {"name": "flatten", "arguments": {"account": "Sim101"}}
            for message in (
                {"id": 1, "method": "initialize", "params": HELLO},
                {"method": "notifications/initialized"},
                {"id": 2, "method": "tools/call", "params": call},
            ):
                await process.stdin.send(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
            with anyio.fail_after(60):
                await simulator.faults.slow_answer_waits()
                process.send_signal(signal.SIGINT)
                simulator.faults.disarm()
                assert await process.wait() == 130
    store = SqliteStore(tmp_path / "state")
    kinds = [entry.kind for entry in await store.entries(limit=10)]
    await store.close()
    assert kinds[0] == "answered"


def test_every_fault_of_the_settings_is_told_on_stderr(ct_mcp: CtMcp, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('mode = "wild"\nfoo = 1\n\n[limits]\nmax_order_contracts = "three"\n', encoding="utf-8")
    ended = ct_mcp("serve", "--config", str(file), CT_MCP_BASE_URL="http://elsewhere.example")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("4 faults in the settings:\n")
    assert all(name in ended.stderr for name in ("mode", "foo", "max_order_contracts", "CT_MCP_BASE_URL"))
    assert "Traceback" not in ended.stderr


def test_a_demo_reads_neither_token_nor_settings_of_the_person(
    ct_mcp: CtMcp, served: Callable[..., Server], tmp_path: Path
) -> None:
    file = tmp_path / "config.toml"
    file.write_text("this is no TOML", encoding="utf-8")
    theirs = {"CT_MCP_CONFIG": str(file), "CROSSTRADE_TOKEN": "${NOT_EXPANDED}", "CT_MCP_MODE": "read_only"}
    assert ct_mcp("serve", **theirs).returncode == 2
    process, ask = served("--demo", **theirs)
    assert "place_order" in {tool["name"] for tool in ask("tools/list")["tools"]}
    assert rest_of(process) == (0, "", "")


ORDER = {"account": "Sim101", "instrument": "MES", "action": "BUY", "quantity": 1, "order_type": "MARKET"}


def test_where_no_browser_can_be_opened_it_says_so_once_and_the_terminal_stays_the_way(
    served: Callable[..., Server],
) -> None:
    process, ask = served("--demo", BROWSER="none")
    for quantity in (1, 2):
        answer = ask("tools/call", name="place_order", arguments={**ORDER, "quantity": quantity})
        assert answer["structuredContent"]["status"] == "needs_approval"
        assert "ct-mcp approve" in answer["structuredContent"]["next_step"]
    code, out, err = rest_of(process)
    assert (code, out) == (0, "")
    assert err.count("No browser can be opened: BROWSER=none says so. Approve in a terminal: ct-mcp approve") == 1


def test_a_browser_that_never_comes_is_told_of_once(served: Callable[..., Server]) -> None:
    process, ask = served("--demo", BROWSER="/there/is/no/such/browser %s")
    answer = ask("tools/call", name="place_order", arguments=ORDER)
    assert answer["structuredContent"]["status"] == "needs_approval"
    assert "in the person's browser" not in answer["structuredContent"]["next_step"]
    code, out, err = rest_of(process)
    assert (code, out, err.count("No browser has come to the approval page")) == (0, "", 1)


def loaded_by(environ: Mapping[str, str], *arguments: str) -> set[str]:
    """What a server imports until it has answered the first request, and has ended."""
    told = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "ct_mcp", "serve", *arguments],
        input=json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": HELLO}) + "\n",
        capture_output=True,
        encoding="utf-8",
        env=environ,
        timeout=60,
        check=True,
    )
    return {line.rpartition("|")[2].strip() for line in told.stderr.splitlines()}


def test_nothing_of_the_pages_and_of_the_rules_is_loaded_before_the_first_call(environ: Mapping[str, str]) -> None:
    loaded = loaded_by(environ, "--demo", "--mode", "read_only")
    assert "ct_mcp.server.app" in loaded
    assert not [name for name in loaded if name.startswith(("ct_mcp.web", "ct_mcp.guard.rule", "ct_mcp.guard.review"))]
    assert not loaded & {"rich.text", "rich.segment", "pygments.lexer"}


# The settings, the command line and the server itself are needed; of the other rooms these modules, and why.
NEEDED_TO_ANSWER = {
    "settings, and what they are about": "guard.firm_policy guard.policy net.connections store.postgres_url"
    " domain.account domain.approval domain.bracket domain.commands domain.instrument domain.level domain.market"
    " domain.order domain.products domain.strategy domain.trading_days domain.watch",
    "how old an answer may be": "live.cache live.reads crosstrade.stream crosstrade.stream.events",
    "what tools answer": "desk.outcome",
}


def test_of_what_trades_and_of_http_nothing_is_loaded_before_the_first_answer(environ: Mapping[str, str]) -> None:
    """A module more is a millisecond more of every start: import it where it is used. HTTP is not served at all."""
    rooms = ("crosstrade", "desk", "domain", "guard", "live", "net", "simulator", "store", "web")
    needed = {f"ct_mcp.{name}" for names in (*NEEDED_TO_ANSWER.values(), *rooms) for name in names.split()}
    loaded = loaded_by(environ)
    ours = {name for name in loaded if name.startswith(tuple(f"ct_mcp.{room}" for room in rooms))}
    assert ours - needed == set()
    assert not loaded & {"httpx", "websockets", "sqlite3", "psycopg", "jinja2", "PIL"}
    assert "ct_mcp.server.app" in loaded
    assert not loaded & {
        "ct_mcp.cli.serve_http",
        "ct_mcp.cli.http_settings",
        "ct_mcp.server.http",
        "ct_mcp.server.request_tracker",
    }
