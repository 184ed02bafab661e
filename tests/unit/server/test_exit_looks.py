"""A look at what entries are owed that waits for its answer keeps no later one from beginning."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import anyio
import pytest

from ct_mcp.guard.policy import Policy
from ct_mcp.server import context as of_server
from ct_mcp.server.context import ServerContext


@asynccontextmanager
async def watching(context: ServerContext) -> AsyncIterator[None]:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(context._watch_exits)
        yield
        tasks.cancel_scope.cancel()


async def test_the_next_look_begins_while_one_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, third, never = list[int](), anyio.Event(), anyio.Event()

    async def look() -> None:
        begun.append(len(begun))
        if len(begun) == 3:
            third.set()
        await never.wait()

    async def owes() -> bool:
        return True

    async def at_once(_: float) -> None:
        await anyio.lowlevel.checkpoint()

    desk = SimpleNamespace(exit_watch=SimpleNamespace(look=look))
    monkeypatch.setattr(ServerContext, "desk", desk)
    monkeypatch.setattr(of_server, "sleep", at_once)
    context = ServerContext(lambda: cast("Any", desk), Policy())
    context.owes_exits = owes
    async with watching(context):
        await third.wait()
    assert len(begun) <= of_server._MOST_LOOKS_AT_ONCE


@pytest.mark.parametrize(("is_built", "begins"), [(True, 5.0), (False, 60.0)])
async def test_the_record_is_kept_at_once_after_a_call_and_after_a_minute_without_one(
    monkeypatch: pytest.MonkeyPatch, is_built: bool, begins: float
) -> None:
    slept, looked = list[float](), anyio.Event()

    async def look() -> None:
        looked.set()
        if len(slept) < 100:
            raise OSError("the disk is full")

    async def keeps() -> bool:
        return True

    async def at_once(seconds: float) -> None:
        if not looked.is_set():
            slept.append(seconds)
        await anyio.lowlevel.checkpoint()

    desk = SimpleNamespace(recorder=SimpleNamespace(look=look))
    monkeypatch.setattr(ServerContext, "desk", desk)
    monkeypatch.setattr(of_server, "sleep", at_once)
    context = ServerContext(lambda: cast("Any", desk), Policy())
    context.keeps_book = keeps
    if is_built:
        vars(context)["_built"] = (desk, None)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(context._keep_book)
        await looked.wait()
        for _ in range(10):  # and it goes on after a look that failed
            await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    assert sum(slept) == begins


async def test_a_server_that_keeps_no_record_looks_after_none() -> None:
    context = ServerContext(lambda: cast("Any", None), Policy())
    await context._keep_book()
    assert context.keeps_book is None
