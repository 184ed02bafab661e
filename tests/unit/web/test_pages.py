"""The pages of a server: served on loopback from the first ticket on, and each opened in the browser once."""

import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

import anyio
import anyio.lowlevel
import httpx
import pytest

from ct_mcp.desk.desk import Desk
from ct_mcp.domain.approval import TicketState
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.store.sqlite import SqliteStore
from ct_mcp.web.browser import Browse
from ct_mcp.web.pages import COMES_WITHIN_SECONDS, Pages
from ct_mcp.web.sessions import HIDDEN_SECONDS, VISIBLE_SECONDS
from tests.unit.web.conftest import Propose, StateOf


def path_of(file: str) -> Path:
    """The path in a ``file:`` address."""
    return Path(url2pathname(urlparse(file).path))


class Visitor:
    """A browser without a screen: reads the file, and goes where it leads. Its newest page stays open."""

    def __init__(self) -> None:
        self.cookies = httpx.Cookies()
        self.path = ""
        self.files: list[str] = []
        self.url = ""
        self.answers: list[httpx.Response] = []
        self.has_come = anyio.Event()

    async def __call__(self, file: str) -> bool:
        self.files.append(file)
        (self.url,) = re.findall(r'0;url=([^"]+)"', path_of(file).read_text(encoding="utf-8"))
        with anyio.CancelScope(shield=True):  # nobody waits for a browser once it has come
            async with httpx.AsyncClient(trust_env=False) as client:
                self.answers.append(await client.get(self.url))
                self.cookies = client.cookies
        (self.path,) = re.findall(r"0;url=(/s/[^/]+)/", self.answers[-1].text)
        self.has_come.set()
        return True

    async def look(self, path: str = "/") -> str:
        """What the page that is open reads; its script asks for ``/state``."""
        async with httpx.AsyncClient(trust_env=False, cookies=self.cookies) as client:
            return (await client.get(f"http://{self.url.split('/')[2]}{self.path}{path}")).text


@pytest.fixture
async def tasks() -> AsyncIterator[anyio.abc.TaskGroup]:
    """The tasks of a server, which end with it."""
    async with anyio.create_task_group() as group:
        yield group
        group.cancel_scope.cancel()


MakePages = Callable[..., Pages]


@pytest.fixture
def pages(desk: Desk, store: SqliteStore, tasks: anyio.abc.TaskGroup, tmp_path: Path) -> MakePages:
    """The pages of a server before some browser."""

    def made(
        browse: Browse, comes_within_seconds: float = COMES_WITHIN_SECONDS, looks_within_seconds: float = 60
    ) -> Pages:
        return Pages(desk, store, browse, tmp_path / "pages", tasks, comes_within_seconds, looks_within_seconds)

    return made


async def test_the_page_is_served_on_loopback_and_opened_once_for_each_ticket_that_no_open_page_shows(
    pages: MakePages, propose: Propose, tmp_path: Path, clock: ManualClock
) -> None:
    visitor = Visitor()
    opener = pages(visitor)
    first, second = await propose(quantity=1), await propose(quantity=2)
    with anyio.fail_after(20):
        assert await opener.open(first, 60)
        authority = visitor.url.split("/")[2]
        assert await opener.open(first, 60)
        clock.advance(VISIBLE_SECONDS)
        assert await opener.open(second, 60)
    assert authority.startswith("127.0.0.1:")
    assert authority in visitor.url, "one server for all"
    assert len(visitor.files) == 2
    assert [answer.status_code for answer in visitor.answers] == [200, 200]
    assert not list((tmp_path / "pages").iterdir())


async def test_the_server_says_nothing_of_what_it_is(pages: MakePages, propose: Propose) -> None:
    visitor = Visitor()
    with anyio.fail_after(20):
        assert await pages(visitor).open(await propose(), 60)
    (answer,) = visitor.answers
    assert "server" not in answer.headers


async def test_where_no_browser_comes_it_is_not_open_and_not_tried_again(
    pages: MakePages, propose: Propose, state_of: StateOf
) -> None:
    tried: list[str] = []

    async def idle(file: str) -> bool:
        tried.append(file)
        return len(tried) > 1

    opener, ticket = pages(idle, comes_within_seconds=0.05), await propose()
    with anyio.fail_after(20):
        assert not await opener.open(ticket, 60)
        assert not await opener.open(ticket, 60)
        other = await propose(quantity=2)
        assert not await opener.open(other, 60)
    assert len(tried) == 2
    assert await state_of(ticket) is TicketState.OPEN


async def test_a_browser_that_comes_late_is_still_let_in(pages: MakePages, propose: Propose) -> None:
    visitor, may_come = Visitor(), anyio.Event()

    async def slow(file: str) -> bool:
        await may_come.wait()
        return await visitor(file)

    opener, ticket = pages(slow, comes_within_seconds=0.05), await propose()
    with anyio.fail_after(20):
        assert not await opener.open(ticket, 60)
        may_come.set()
        await visitor.has_come.wait()
    assert await opener.open(ticket, 60)
    assert len(visitor.files) == 1


async def test_a_second_question_is_shown_by_the_page_that_is_open(pages: MakePages, propose: Propose) -> None:
    visitor, opened = Visitor(), []
    opener, first, second = pages(visitor), await propose(quantity=1), await propose(quantity=2)

    async def open_second() -> None:
        opened.append(await opener.open(second, 60))

    with anyio.fail_after(60):
        assert await opener.open(first, 60)
        before = await visitor.look("/state")
        async with anyio.create_task_group() as calls:
            calls.start_soon(open_second)
            while (now := await visitor.look("/state")) == before:  # as the script of the page does
                await anyio.lowlevel.checkpoint()
            page = await visitor.look()
            assert await visitor.look("/state") == now
    assert opened == [True]
    assert len(visitor.files) == 1, "no second tab"
    assert [*map(int, re.findall(r"<span>(\d) MES", page))] == [2, 1], "the newest on top"
    assert "<title>(2) Approve?" in page
    assert len(set(re.findall(r'name="csrf" value="([^"]+)"', page))) == 2


async def test_a_page_that_lies_behind_others_shows_it_too_and_another_is_opened_when_nobody_looks(
    pages: MakePages, propose: Propose
) -> None:
    visitor = Visitor()
    opener, first, second = pages(visitor, looks_within_seconds=0), await propose(quantity=1), await propose(quantity=2)
    with anyio.fail_after(60):
        assert await opener.open(first, 60)
        await visitor.look("/state?hidden")
        behind = visitor.path, visitor.cookies
        assert await opener.open(second, 60)
        visitor.path, visitor.cookies = behind
        page = await visitor.look("/?hidden")
    assert len(visitor.files) == 2
    assert "<title>(2) Approve?" in page, "all that a tab behind others can say"


@pytest.mark.parametrize(("asked", "silent"), [("/state", VISIBLE_SECONDS), ("/state?hidden", HIDDEN_SECONDS)])
async def test_a_page_that_was_closed_is_not_waited_for(
    pages: MakePages, propose: Propose, clock: ManualClock, asked: str, silent: float
) -> None:
    visitor = Visitor()
    opener, first, second = pages(visitor), await propose(quantity=1), await propose(quantity=2)
    with anyio.fail_after(60):
        assert await opener.open(first, 60)
        await visitor.look(asked)
        closed = visitor.path, visitor.cookies
        clock.advance(silent)
        assert await opener.open(second, 60)
        assert "(2)" in await visitor.look(), "the new one shows all that is asked"
        visitor.path, visitor.cookies = closed
        assert "2 MES" not in await visitor.look(), "a page that nobody is known to sit before is given nothing more"
    assert len(visitor.files) == 2


async def test_what_is_asked_while_a_browser_is_on_its_way_is_shown_when_it_comes(
    pages: MakePages, propose: Propose
) -> None:
    visitor, may_come, opened = Visitor(), anyio.Event(), []

    async def slow(file: str) -> bool:
        await may_come.wait()
        return await visitor(file)

    opener, tickets = pages(slow), [await propose(quantity=quantity) for quantity in (1, 2)]

    async def open_one(number: int) -> None:
        opened.append(await opener.open(tickets[number], 60))

    with anyio.fail_after(60):
        async with anyio.create_task_group() as calls:
            for number in range(2):
                calls.start_soon(open_one, number)
            while len(opener.sessions.asked) < 2:  # both calls have begun
                await anyio.lowlevel.checkpoint()
            may_come.set()
    assert opened == [True, True]
    assert len(visitor.files) == 1
    assert "(2)" in await visitor.look()
