"""``ct-mcp console`` at a terminal: an address that works once, for a person and for nobody behind a pipe."""

import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPCookieProcessor, ProxyHandler, build_opener

import pytest

from ct_mcp.domain.approval import Halt
from ct_mcp.store.sqlite import SqliteStore
from tests.unit.cli.conftest import Start

CtMcp = Callable[..., subprocess.CompletedProcess[str]]
AtATerminal = Callable[..., Any]


class Browser:
    """Goes where it is told, keeps its cookies, and follows pages that lead on."""

    def __init__(self) -> None:
        self._opener = build_opener(ProxyHandler({}), HTTPCookieProcessor(CookieJar()))

    def opens(self, url: str) -> str:
        """The text of a page."""
        with self._opener.open(url, timeout=60) as answer:
            text: str = answer.read().decode()
        onward = re.findall(r'content="0;url=([^"]+)"', text)
        return self.opens(re.match(r"http://[^/]+", url)[0] + onward[0]) if onward else text  # type: ignore[index]


def address(terminal: Any) -> str:
    """What the terminal says that the person may open."""
    terminal.until("  http://")
    return f"http://{terminal.line()}"


@pytest.mark.parametrize("given", ["", "\n"])
def test_a_pipe_gets_no_console(ct_mcp: CtMcp, given: str) -> None:
    ended = ct_mcp("console", "--demo", "--no-browser", given=given)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "needs a terminal" in ended.stderr


def test_its_address_works_once_and_ctrl_c_ends_it(at_a_terminal: AtATerminal, tmp_path: Path) -> None:
    terminal = at_a_terminal("console", "--demo", "--no-browser", "--state-dir", str(tmp_path / "state"))
    terminal.until("--no-browser was given")
    url = address(terminal)
    terminal.until("until Ctrl-C")
    page = Browser().opens(url)
    assert "Sim101" in page
    assert "a simulator of the console&#39;s own" in page
    with pytest.raises(HTTPError, match="403"):
        Browser().opens(url)
    terminal.interrupts()
    terminal.until("The console has ended")
    assert terminal.ends() == 0
    assert not list((tmp_path / "state").rglob("open-*"))


def test_without_a_display_the_address_is_told(at_a_terminal: AtATerminal, tmp_path: Path) -> None:
    terminal = at_a_terminal("console", "--demo", "--state-dir", str(tmp_path / "state"), BROWSER="none")
    terminal.until("No browser was opened: BROWSER=none says so")
    assert "Nothing waits for you" in Browser().opens(address(terminal))


def test_the_browser_is_opened_and_no_address_is_shown(at_a_terminal: AtATerminal, tmp_path: Path) -> None:
    script = tmp_path / "browser.py"
    script.write_text(
        "import re, sys, urllib.request as r\n"
        "url = re.findall('0;url=([^\"]+)', r.urlopen(sys.argv[1]).read().decode())[0]\n"
        "r.build_opener(r.ProxyHandler({})).open(url)\n",
        encoding="utf-8",
    )
    browser = f"{sys.executable} {script} %s"
    terminal = at_a_terminal("console", "--demo", "--state-dir", str(tmp_path / "state"), BROWSER=browser)
    terminal.until("The console is open in your browser.")
    terminal.until("until Ctrl-C")
    assert "/open/" not in terminal.seen
    terminal.interrupts()
    assert terminal.ends() == 0


async def test_it_shows_what_the_servers_of_this_machine_share(at_a_terminal: AtATerminal, tmp_path: Path) -> None:
    """A token is missing and the service is far away: the halt and the journal are here all the same."""
    now = datetime.now(UTC)
    store = SqliteStore(tmp_path / "state")
    await store.set_halt(Halt("test", now - timedelta(minutes=1), "a reason to stop"))
    await store.close()
    terminal = at_a_terminal("console", "--no-browser", "--state-dir", str(tmp_path / "state"))
    page = Browser().opens(address(terminal))
    assert "a reason to stop" in page
    assert "The token does not open CrossTrade" in page
    assert "Unknown: this could not be read." in page


def test_a_demo_shows_the_simulator_of_the_server_that_runs(
    at_a_terminal: AtATerminal, started: Start, environ: Mapping[str, str], tmp_path: Path
) -> None:
    server = started("serve", "--demo", "--state-dir", str(tmp_path / "state"))
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write('{"jsonrpc":"2.0","id":1,"method":"ping"}\n')
    server.stdin.flush()
    server.stdout.readline()
    terminal = at_a_terminal("console", "--demo", "--no-browser", "--state-dir", str(tmp_path / "state"))
    page = Browser().opens(address(terminal))
    assert "the simulator of the server that runs with --demo" in page
    assert "Sim101" in page
    server.stdin.close()
    assert server.wait(60) == 0
    assert not list((tmp_path / "state").rglob("simulator.json"))


def test_a_port_that_is_taken_is_told(at_a_terminal: AtATerminal, tmp_path: Path) -> None:
    first = at_a_terminal("console", "--demo", "--no-browser", "--state-dir", str(tmp_path / "state"))
    port = address(first).split(":")[2].split("/")[0]
    second = at_a_terminal("console", "--demo", "--no-browser", "--port", port, "--state-dir", str(tmp_path / "state"))
    second.until(f"port {port} cannot be used")
    assert second.ends() == 2
