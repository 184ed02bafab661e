"""Opening a page in the person's browser: by a file for their eyes alone, once, without a word on our own streams."""

import re
import stat
import sys
from collections.abc import AsyncIterator
from os import utime
from pathlib import Path
from time import time
from urllib.parse import urlparse
from urllib.request import url2pathname

import anyio
import httpx
import pytest

from ct_mcp.console.browser import Browse, browse, shown, signpost, why_no_browser
from ct_mcp.console.pages import Pages
from ct_mcp.domain.ticket import TicketState

on_posix = pytest.mark.skipif(sys.platform == "win32", reason="rights of files and signals are others there: by hand")


@pytest.mark.parametrize(
    ("environ", "platform", "why"),
    [
        ({}, "win32", ""),
        ({}, "darwin", ""),
        ({}, "linux", "no display"),
        ({"DISPLAY": ":0"}, "linux", ""),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", ""),
        ({"SSH_CONNECTION": "1 2 3 4"}, "darwin", "SSH"),
        ({"SSH_CONNECTION": "1 2 3 4"}, "win32", "SSH"),
        ({"SSH_CONNECTION": "1 2 3 4", "DISPLAY": "localhost:10.0"}, "linux", ""),
        ({"BROWSER": "firefox"}, "linux", ""),
        ({"BROWSER": "none", "DISPLAY": ":0"}, "linux", "BROWSER=none"),
        ({"BROWSER": "none"}, "win32", "BROWSER=none"),
    ],
)
def test_why_a_browser_cannot_be_opened_is_said(environ: dict[str, str], platform: str, why: str) -> None:
    found = why_no_browser(environ, platform)
    assert bool(found) == bool(why)
    assert why in found


@on_posix
async def test_the_way_to_the_page_can_be_read_by_its_owner_alone_and_goes_away(tmp_path: Path) -> None:
    async with signpost(tmp_path / "pages", "http://127.0.0.1:1/open/secret") as file:
        path = path_of(file)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert "0;url=http://127.0.0.1:1/open/secret" in path.read_text(encoding="utf-8")
        assert "secret" not in file
    assert not path.exists()


async def test_what_a_server_left_that_was_ended_at_once_is_cleared_away(tmp_path: Path) -> None:
    old, new = tmp_path / "open-1.html", tmp_path / "open-2.html"
    for file in (old, new):
        file.write_text("", encoding="utf-8")
    utime(old, (time() - 3600, time() - 3600))
    async with signpost(tmp_path, "http://127.0.0.1:1/"):
        assert not old.exists()
        assert new.exists()


def path_of(file: str) -> Path:
    """The path in a ``file:`` address."""
    return Path(url2pathname(urlparse(file).path))


@on_posix
async def test_the_browser_of_the_person_is_started_with_the_file_and_says_nothing_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    note = tmp_path / "note"
    script = tmp_path / "browser.py"
    keeps = f"pathlib.Path({str(note)!r}).write_text(sys.argv[1])"
    text = f"import pathlib, sys; print('loud'); {keeps}; sys.exit(print('loud', file=sys.stderr))"
    script.write_text(text, encoding="utf-8")
    monkeypatch.setenv("BROWSER", f"{sys.executable} {script} %s")
    assert await browse("file:///somewhere.html")
    assert note.read_text(encoding="utf-8") == "file:///somewhere.html"
    assert capfd.readouterr() == ("", "")


@on_posix
async def test_a_browser_that_cannot_be_started_is_no_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROWSER", "/there/is/none %s")
    assert not await browse("file:///somewhere.html")


async def test_no_interpreter_is_no_browser(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
    assert not await browse("file:///somewhere.html")


async def test_a_browser_that_does_not_start_is_not_waited_for() -> None:
    async def never(_: str) -> bool:
        return False

    with anyio.fail_after(5):
        assert not await shown("file:///x", never, anyio.Event(), 60)


async def test_a_browser_that_starts_and_does_not_come_is_waited_for_as_long_as_agreed() -> None:
    async def idle(_: str) -> bool:
        return True

    with anyio.fail_after(5):
        assert not await shown("file:///x", idle, anyio.Event(), 0.05)


class Visitor:
    """A browser without a screen: reads the file, and goes where it leads."""

    def __init__(self) -> None:
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
        self.has_come.set()
        return True


@pytest.fixture
async def tasks() -> AsyncIterator[anyio.abc.TaskGroup]:
    """The tasks of a server, which end with it."""
    async with anyio.create_task_group() as group:
        yield group
        group.cancel_scope.cancel()


@pytest.fixture
def pages(desk, store, tasks, tmp_path: Path):
    """The pages of a server before some browser."""

    def made(browse: Browse, **more: float) -> Pages:
        return Pages(desk, store, browse, tmp_path / "pages", tasks, **more)

    return made


async def test_the_page_is_served_on_loopback_and_opened_once_for_each_ticket(pages, propose, tmp_path: Path) -> None:
    visitor = Visitor()
    opener = pages(visitor)
    first, second = await propose(quantity=1), await propose(quantity=2)
    with anyio.fail_after(20):
        assert await opener.open(first)
        authority = visitor.url.split("/")[2]
        assert await opener.open(first)
        assert await opener.open(second)
    assert authority.startswith("127.0.0.1:")
    assert authority in visitor.url, "one server for all"
    assert len(visitor.files) == 2
    assert [answer.status_code for answer in visitor.answers] == [200, 200]
    assert not list((tmp_path / "pages").iterdir())


async def test_the_server_says_nothing_of_what_it_is(pages, propose) -> None:
    visitor = Visitor()
    with anyio.fail_after(20):
        assert await pages(visitor).open(await propose())
    (answer,) = visitor.answers
    assert "server" not in answer.headers


async def test_where_no_browser_comes_it_is_not_open_and_not_tried_again(pages, propose, state_of) -> None:
    tried: list[str] = []

    async def idle(file: str) -> bool:
        tried.append(file)
        return len(tried) > 1

    opener, ticket = pages(idle, comes_within_seconds=0.05), await propose()
    with anyio.fail_after(20):
        assert not await opener.open(ticket)
        assert not await opener.open(ticket)
        other = await propose(quantity=2)
        assert not await opener.open(other)
    assert len(tried) == 2
    assert await state_of(ticket) is TicketState.OPEN


async def test_a_browser_that_comes_late_is_still_let_in(pages, propose) -> None:
    visitor, may_come = Visitor(), anyio.Event()

    async def slow(file: str) -> bool:
        await may_come.wait()
        return await visitor(file)

    opener, ticket = pages(slow, comes_within_seconds=0.05), await propose()
    with anyio.fail_after(20):
        assert not await opener.open(ticket)
        may_come.set()
        await visitor.has_come.wait()
    assert await opener.open(ticket)
    assert len(visitor.files) == 1
