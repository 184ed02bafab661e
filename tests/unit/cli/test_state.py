"""``ct-mcp state``: what an administrator of a database runs, and a server over that."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from ct_mcp.cli.check_state import state_findings
from ct_mcp.cli.runtime import Runtime, shared_budget, store_of, utc_now
from ct_mcp.cli.serve import wire
from ct_mcp.config.settings import Settings
from ct_mcp.config.sources import Secret
from ct_mcp.crosstrade.rate_limit import CAPACITY, Rank
from ct_mcp.domain.approval import Halt
from ct_mcp.live.cache import LinkState
from ct_mcp.store import postgres_wakes
from ct_mcp.store.postgres_schema import script
from ct_mcp.store.postgres_url import PostgresUrl
from tests.postgres import free_port

CtMcp = Callable[..., subprocess.CompletedProcess[str]]


def test_what_an_administrator_runs_is_printed(ct_mcp: CtMcp) -> None:
    done = ct_mcp("state", "sql", "alice")
    assert (done.returncode, done.stdout, done.stderr) == (0, script("alice"), "")


@pytest.mark.parametrize("role", ["", " ", "a\nb", "x" * 64, "ct_mcp_plane"])
def test_what_can_be_no_role_is_refused(ct_mcp: CtMcp, role: str) -> None:
    done = ct_mcp("state", "sql", role)
    assert (done.returncode, done.stdout) == (2, "")
    assert "expected the name of a role" in done.stderr


async def test_two_machines_share_halts_and_a_demo_keeps_its_own(trader: PostgresUrl, tmp_path: Path) -> None:
    one = Settings(tmp_path / "one", state=trader, token=Secret("token"))
    machines = [store_of(one), store_of(replace(one, state_dir=tmp_path / "two"))]
    assert await machines[0].set_halt(Halt("the person", utc_now(), "news"))
    assert await machines[1].halt() == await machines[0].halt()
    for each in machines:
        await each.close()
    assert not (tmp_path / "one").exists(), "nothing is kept on the machine"


async def test_two_machines_share_the_request_budget(trader: PostgresUrl, tmp_path: Path) -> None:
    one = Settings(tmp_path / "one", state=trader, token=Secret("token"))
    budgets = [shared_budget(each, utc_now) for each in (one, replace(one, state_dir=tmp_path / "two"))]
    assert await budgets[0].wait(utc_now(), rank=Rank.USUAL) == 0
    assert (await budgets[1].snapshot(utc_now())).requests_left_for_exits == CAPACITY - 1
    for budget in budgets:
        await budget.close()


async def test_out_of_reach_a_machine_is_halted_by_itself(trader: PostgresUrl, tmp_path: Path) -> None:
    store = store_of(Settings(tmp_path / "one", state=replace(trader, port=free_port())))
    halt = await store.halt()
    await store.close()
    assert halt is not None
    assert (halt.by, "out of reach" in halt.reason) == ("ct-mcp", True)
    assert trader.password not in halt.reason


async def test_a_server_hears_what_another_machine_does_from_its_first_call_on(
    trader: PostgresUrl, tmp_path: Path
) -> None:
    runtime = Runtime(Settings(tmp_path / "one", state=trader, token=Secret("token"), stream=False))
    elsewhere, times, heard = (
        store_of(Settings(tmp_path / "two", state=trader, token=Secret("token"))),
        [0],
        anyio.Event(),
    )

    def hear() -> None:
        times[0] += 1
        heard.set()

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            desk = wire(runtime, tasks).desk
            desk.store.wakes.hear.append(hear)
            for seen in (1, 2):
                while times[0] < seen:
                    heard = anyio.Event()
                    await heard.wait()
                await elsewhere.set_halt(Halt("the person", utc_now(), "news"))
            tasks.cancel_scope.cancel()
    await runtime.close()
    await elsewhere.close()


async def test_where_nothing_is_shared_nobody_listens(tmp_path: Path) -> None:
    await Runtime(Settings(tmp_path / "one")).listen()


async def test_a_server_that_cannot_listen_goes_on(
    trader: PostgresUrl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(postgres_wakes, "WakeListener", None)
    await Runtime(Settings(tmp_path / "one", state=trader)).listen()
    assert "seen at the next look only" in caplog.text


async def test_the_check_looks_at_it(trader: PostgresUrl, tmp_path: Path) -> None:
    settings = Settings(tmp_path / "one", state=trader)
    (well,) = await state_findings(settings)
    assert (well.link.state, well.link.why, well.next_step) == (LinkState.OK, str(trader), "")
    (broken,) = await state_findings(replace(settings, state=replace(trader, password="wrong-one")))
    assert broken.link.state is LinkState.BROKEN
    assert "password authentication failed" in broken.link.why
    assert "until then only exits go on" in broken.next_step
    assert await state_findings(replace(settings, state=None)) == ()


def test_a_server_of_one_machine_loads_nothing_of_it() -> None:
    """Nor does one that has a shared store, before the first tool is called."""
    program = (
        "import sys, json; from ct_mcp.cli.serve import run; from ct_mcp.config.settings import load; "
        "load({}, {'CT_MCP_STATE': 'postgresql://alice@localhost/team'}, keyring=lambda: None); "
        "print(json.dumps([name for name in sys.modules if name.startswith('psycopg')]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60, check=True)
    assert json.loads(done.stdout) == []
