"""What watches tell reaches whoever talks to this server, and whoever subscribes; each once."""

import pytest
from mcp import Client

from ct_mcp.desk.desk import Desk
from ct_mcp.domain.watch import AlertOn, Watch, WatchKind
from ct_mcp.server.app import build_server
from ct_mcp.server.context import ServerContext
from ct_mcp.server.notices import NoticeBoard
from ct_mcp.server.resource_updates import WATCHES, ResourceUpdates
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.store.sqlite import SqliteStore


async def tells(store: SqliteStore, clock: ManualClock, words: str) -> None:
    """Let a watch tell something."""
    now = clock()
    watch = Watch("w-1", WatchKind.ALERT, "", now, now.replace(hour=22), due=now, on=AlertOn.TIME)
    await store.open_watch(watch, 20, (), now)
    await store.tell_of_watch(watch, NewEntry(EntryKind.WATCH_TOLD, words), now)


async def test_each_is_told_once_in_each_process(store: SqliteStore, clock: ManualClock) -> None:
    one, other = NoticeBoard(store), NoticeBoard(store)
    assert (await one.untold(), await other.untold()) == ((), ())
    await tells(store, clock, "the first")
    assert [len(await board.untold()) for board in (one, other, one, other)] == [1, 1, 0, 0]


async def test_what_was_told_while_nobody_was_there_is_told_to_the_first_who_comes(
    store: SqliteStore, clock: ManualClock
) -> None:
    await tells(store, clock, "while nobody was there")
    (notice,) = await NoticeBoard(store).untold()
    assert notice.words == "while nobody was there"
    assert await NoticeBoard(store).untold() == ()


async def test_both_halves_of_an_answer_say_it(desk: Desk, store: SqliteStore, clock: ManualClock) -> None:
    async with Client(build_server(ServerContext(lambda: desk, desk.policy))) as client:
        await client.call_tool("get_session", {"instrument": "MES"})
        await tells(store, clock, "hear this")
        told = await client.call_tool("get_session", {"instrument": "MES"})
        again = await client.call_tool("get_session", {"instrument": "MES"})
    assert "hear this" in str(told.content)
    assert "hear this" in str(told.structured_content)
    assert "hear this" not in str(again)


async def test_who_subscribes_is_notified_once(desk: Desk, store: SqliteStore, clock: ManualClock) -> None:
    context = ServerContext(lambda: desk, desk.policy)
    heard: list[str] = []
    unsubscribe = ResourceUpdates(context).subscribe(WATCHES, lambda: heard.append("watches"))
    await context.hear_notices()
    await tells(store, clock, "hear this")
    await context.hear_notices()
    await context.hear_notices()
    assert heard == ["watches"]
    unsubscribe()
    await tells(store, clock, "and this")
    await context.hear_notices()
    assert heard == ["watches"]


async def test_an_answer_goes_out_where_they_cannot_be_read(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(NoticeBoard, "untold", None)
    async with Client(build_server(ServerContext(lambda: desk, desk.policy))) as client:
        told = await client.call_tool("get_session", {"instrument": "MES"})
    assert not told.is_error
    assert "could not be read" in caplog.text
