"""The state file is moved away while a server runs: it goes on with the one that is there now, and opens nothing."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ct_mcp.desk.controls import Actor, Controls
from ct_mcp.domain.approval import Approval
from ct_mcp.guard.policy import Policy
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.store.sqlite import FILE_NAME, SqliteStore
from tests.e2e.conftest import Assistant, World

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="a file in use cannot be moved there"),
    pytest.mark.parametrize("policy", [Policy(simulated=Approval.NONE)]),
]


@pytest.fixture
async def store(tmp_path: Path, clock: ManualClock) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path / "state", clock=clock)
    yield store
    await store.close()


@pytest.fixture
async def moved(assistant: Assistant, world: World, tmp_path: Path) -> Path:
    """A contract is held, and the file is where our advice puts it."""
    assert (await assistant.buys(1)).status == "filled"
    world.later()
    return (tmp_path / "state" / FILE_NAME).rename(tmp_path / "state" / "evidence.sqlite3")


async def test_a_halt_at_a_terminal_reaches_the_server_that_still_runs(
    assistant: Assistant, world: World, moved: Path, clock: ManualClock
) -> None:
    terminal = SqliteStore(moved.parent, clock=clock)
    await Controls(terminal, clock).halt("stop", Actor.TERMINAL)
    await terminal.close()
    told = await assistant.buys(2)
    assert (told.status, world.net()) == ("denied", 1), told.text
    assert "stop" in told.text


@pytest.mark.usefixtures("moved")
async def test_nothing_opens_until_the_person_resumes_since_a_halt_may_be_gone_with_the_file(
    assistant: Assistant, world: World, store: SqliteStore, clock: ManualClock
) -> None:
    told = await assistant.buys(2)
    assert (told.status, world.net()) == ("denied", 1), told.text
    assert "the state file was moved or replaced while ct-mcp ran" in told.text
    assert await Controls(store, clock).resume(Actor.TERMINAL)
    world.later()
    assert (await assistant.buys(2)).status == "filled"


@pytest.mark.usefixtures("moved")
async def test_the_way_out_stays_open(assistant: Assistant, world: World) -> None:
    assert (await assistant.call("flatten", account="Sim101")).status == "flat"
    assert world.net() == 0
