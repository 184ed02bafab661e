"""``ct-mcp watch``: what it runs without a client, what it prints, and what only a person ends."""

import io
from collections.abc import Mapping
from pathlib import Path

import anyio
import anyio.lowlevel

from ct_mcp.cli.screen import Screen
from ct_mcp.cli.watch import look_on
from ct_mcp.desk.desk import Desk
from ct_mcp.domain.watch import AlertOn, Watch, WatchKind
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.store.sqlite import SqliteStore
from tests.unit.cli.conftest import Run


class OwesAlways:
    """A process that has something to watch."""

    async def owes_exits(self) -> bool:
        """Say so."""
        return True


async def an_alert(store: SqliteStore, clock: ManualClock) -> Watch:
    """Set an alert that is due in a minute."""
    now = clock()
    watch = Watch("w-1", WatchKind.ALERT, "", now, now.replace(hour=21), due=now.replace(minute=31), on=AlertOn.TIME)
    entry = NewEntry(EntryKind.WATCH_SET, f"watch w-1: {watch.words}")
    assert await store.open_watch(watch, 20, (entry,), now)
    return watch


async def test_it_runs_what_is_watched_and_prints_what_it_does(
    desk: Desk, store: SqliteStore, clock: ManualClock
) -> None:
    await an_alert(store, clock)
    out = io.StringIO()

    async def pause(_: float) -> None:
        """Let time pass, until nothing is watched any more and that was printed."""
        await desk.exit_watch.look()
        clock.advance(40)
        if "over:" in out.getvalue():
            await anyio.sleep_forever()

    async def until_printed() -> None:
        while "over:" not in out.getvalue():
            await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(look_on, OwesAlways(), desk, Screen(out), pause)
        tasks.start_soon(until_printed)
    assert "tells at 2026-09-09 14:31 UTC" in out.getvalue()
    assert out.getvalue().count("over: watch w-1 (alert): it is 2026-09-09 14:31") == 1
    assert await store.watches() == ()


def test_it_lists_what_is_watched(ct_mcp: Run, environ: Mapping[str, str], tmp_path: Path) -> None:
    told = ct_mcp("watch", "--list", "--state-dir", str(tmp_path / "state"))
    assert (told.returncode, told.stdout.strip()) == (0, "Nothing is watched."), told.stderr


def test_only_a_person_at_a_terminal_ends_one(ct_mcp: Run, tmp_path: Path) -> None:
    told = ct_mcp("watch", "--end", "w-1", "--state-dir", str(tmp_path / "state"))
    assert told.returncode == 2
    assert "needs a terminal that a person types at" in told.stderr
