"""``ct-mcp watch``: what was asked to be watched goes on without a client, until Ctrl-C.

It runs the same watches, and looks after the same exits, as a server does, under the same lease: of several processes
one does it, and the next takes over within seconds. It approves nothing and places nothing.
"""

import argparse
import logging
import sys
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Protocol

import anyio

from ct_mcp.cli.runtime import Runtime, settings_for, store_of, utc_now
from ct_mcp.cli.screen import Screen
from ct_mcp.cli.terminal import is_at_terminal
from ct_mcp.config.settings import Settings
from ct_mcp.domain.watch import Watch
from ct_mcp.errors import CtMcpError
from ct_mcp.guard.policy import Mode
from ct_mcp.store.journal import Entry, EntryKind
from ct_mcp.text import command, sanitize

if TYPE_CHECKING:
    from ct_mcp.desk.desk import Desk

_LOOK_EVERY_SECONDS = 1.0
_NEWEST = 50
_MOST_LOOKS_AT_ONCE = 8
_SHOWN = {
    EntryKind.WATCH_SET: "set",
    EntryKind.WATCH_TOLD: "told",
    EntryKind.WATCH_OVER: "over",
    EntryKind.PROTECTED: "exits",
    EntryKind.UNPROTECTED: "UNPROTECTED",
    EntryKind.APPROVED: "sends",
}
_log = logging.getLogger(__name__)


def run(chosen: argparse.Namespace) -> int:
    """Run until a signal comes; or list what is watched, or end one."""
    settings, screen = settings_for(chosen), Screen.on_stdout()
    if chosen.list:
        return anyio.run(_list, settings, screen)
    if chosen.end is not None:
        return anyio.run(_end, settings, chosen.end, screen) if is_at_terminal() else _needs_terminal()
    anyio.run(_watch, settings, chosen.demo, screen)
    screen.say("The watch has ended. What stands, stands; a server that runs goes on with the rest.")
    return 0


def _needs_terminal() -> int:
    print("ct-mcp watch --end needs a terminal that a person types at", file=sys.stderr)
    return 2


async def _list(settings: Settings, screen: Screen) -> int:
    store = store_of(settings)
    try:
        watches = await store.watches()
    finally:
        await store.close()
    for line in _lines(watches):
        screen.say(line)
    return 0


def _lines(watches: Iterable[Watch]) -> list[str]:
    lines = [
        f"{watch.watch_id}  {watch.account}  {watch.words}  until {watch.until:%Y-%m-%d %H:%M} UTC" for watch in watches
    ]
    return [sanitize(line, longest=300) for line in lines] or ["Nothing is watched."]


async def _end(settings: Settings, watch_id: str, screen: Screen) -> int:
    from ct_mcp.desk.alert_setting import end_by_request

    store = store_of(settings)
    try:
        screen.say(await end_by_request(store, watch_id, "the person", utc_now(), is_person=True), "good")
    finally:
        await store.close()
    return 0


async def _watch(settings: Settings, demo: bool, screen: Screen) -> None:  # noqa: FBT001  # as anyio.run passes it
    from ct_mcp.cli.serve import ShutdownHandler, reachable
    from ct_mcp.desk.recorder import keep_book

    async with AsyncExitStack() as stack:
        runtime = Runtime(await reachable(settings, stack, demo=demo))
        desk = _connected(runtime)
        screen.say(f"Watching in mode {settings.policy.mode}, until Ctrl-C. {command('watch', '--list')} lists what.")
        if settings.policy.mode is Mode.READ_ONLY:
            screen.say("In this mode alerts tell; nothing is sent.")
        try:
            with anyio.CancelScope() as work:
                ShutdownHandler(runtime).on_signals(work.cancel)
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(runtime.feed)
                    tasks.start_soon(keep_book, desk.recorder, anyio.sleep)
                    await look_on(runtime, desk, screen)
        finally:
            with anyio.CancelScope(shield=True):
                await desk.exit_watch.let_go()
                await desk.recorder.let_go()
                await runtime.close()


def _connected(runtime: Runtime) -> "Desk":
    """Build a desk that hears what the stream tells."""
    desk, live = runtime.build_desk(), runtime.live
    live.name_of = desk.name_of
    desk.on_sent.append(live.sent)
    desk.contexts.hear_quotes(live)
    desk.exit_watch.listen(live)
    desk.recorder.listen(live)
    return desk


class Owes(Protocol):
    """Who knows whether there is anything to look after."""

    async def owes_exits(self) -> bool: ...


async def look_on(
    runtime: Owes, desk: "Desk", screen: Screen, pause: Callable[[float], Awaitable[object]] = anyio.sleep
) -> None:
    """Look once a second, and show what was done; a fault of one look ends nothing."""
    newest = await desk.store.entries(1)
    shown = newest[0].sequence if newest else 0
    for line in _lines(await desk.store.watches()):
        screen.say(line)
    async with anyio.create_task_group() as looks:
        at_once = anyio.Semaphore(_MOST_LOOKS_AT_ONCE)
        looks.start_soon(_show_what_is_done, desk, screen, shown, pause)
        while True:
            await at_once.acquire()
            looks.start_soon(_look, runtime, desk, at_once)
            await pause(_LOOK_EVERY_SECONDS)


async def _look(runtime: Owes, desk: "Desk", at_once: anyio.Semaphore) -> None:
    """Look once; the next look does not wait for it, since an answer that does not come would hold up the others."""
    try:
        if await runtime.owes_exits():
            await desk.exit_watch.look()
    except Exception:  # noqa: BLE001  # logged; the watches go on all the same
        _log.warning("What is watched could not be looked at", exc_info=True)
    finally:
        at_once.release()


async def _show_what_is_done(
    desk: "Desk", screen: Screen, shown: int, pause: Callable[[float], Awaitable[object]]
) -> None:
    while True:
        try:
            fresh = [entry for entry in await desk.store.entries(_NEWEST) if entry.sequence > shown]
        except CtMcpError as error:
            screen.say(error.what, "bad")
            fresh = []
        for entry in reversed(fresh):
            _show(entry, screen)
            shown = max(shown, entry.sequence)
        await pause(_LOOK_EVERY_SECONDS)


def _show(entry: Entry, screen: Screen) -> None:
    """Show what watches did and told, and what they, and entries, had sent."""
    is_ours = entry.kind is not EntryKind.APPROVED or {"watch", "entry"} & set(entry.detail)
    if entry.kind in _SHOWN and is_ours:
        line = f"{entry.at:%H:%M:%S} UTC  {_SHOWN[entry.kind]}: {sanitize(entry.summary, longest=400)}"
        screen.say(line, "bad" if entry.kind is EntryKind.UNPROTECTED else "")
