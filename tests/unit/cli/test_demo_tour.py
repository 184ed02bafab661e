"""The tour against a simulator that misbehaves: it never tells of what did not happen."""

import io
from collections.abc import Awaitable, Callable
from datetime import datetime

import anyio
import pytest

from ct_mcp.cli.demo import run_tour
from ct_mcp.cli.demo_tour import FormAnswerer, PersonAtTerminal, TourFailure
from ct_mcp.cli.screen import Screen
from ct_mcp.desk.desk import Desk
from ct_mcp.guard.policy import Policy
from ct_mcp.server.app import build_server
from ct_mcp.server.context import ServerContext
from ct_mcp.simulator import commands
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.commands import ClosedPosition, FlattenScope
from ct_mcp.simulator.exchange import Exchange
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.orders import Action, OrderLabels, OrderTerms, SimOrderType
from ct_mcp.simulator.simulator import Simulator
from ct_mcp.store.journal import Entry, EntryKind, NewEntry
from ct_mcp.store.sqlite import SqliteStore

Walk = Callable[..., Awaitable[TourFailure | None]]


@pytest.fixture
def out() -> io.StringIO:
    """What the person sees."""
    return io.StringIO()


@pytest.fixture
def walk(desk: Desk, policy: Policy, out: io.StringIO) -> Walk:
    """Walk through the tour with a server in this process."""

    async def walked(answerer: FormAnswerer | None = None) -> TourFailure | None:
        screen = Screen(out)
        server = build_server(ServerContext(lambda: desk, policy))
        return await run_tour(server, screen, answerer or FormAnswerer(screen, None))

    return walked


async def test_it_ends_well_where_everything_happens(walk: Walk, sim: Simulator, out: io.StringIO) -> None:
    assert await walk() is None
    assert "9/9 The journal" in out.getvalue()
    assert len(sim.requests_of("PlaceOrder")) == 3, "the order, its stop and its target"


async def test_it_ends_well_where_the_flatten_has_to_cancel_what_it_left(
    walk: Walk, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a slow machine the stop may still be listed when the position is gone."""
    flatten = commands.flatten

    def leaves_an_order(exchange: Exchange, scope: FlattenScope, now: datetime) -> list[ClosedPosition]:
        closed = flatten(exchange, scope, now)
        terms = OrderTerms(sim.market.front("MES", now), Action.BUY, 1, SimOrderType.LIMIT, limit_price=5000)
        exchange.submit(exchange.accounts["Sim101"], terms, OrderLabels(), now)
        return closed

    monkeypatch.setattr(commands, "flatten", leaves_an_order)
    assert await walk() is None
    assert len(sim.requests_of("CancelOrders")) == 1


async def test_an_order_that_the_journal_tells_twice_is_no_success(walk: Walk, monkeypatch: pytest.MonkeyPatch) -> None:
    append = SqliteStore.append

    async def twice(self: SqliteStore, entry: NewEntry, now: datetime) -> Entry:
        if entry.kind is EntryKind.ACCEPTED:
            await append(self, entry, now)
        return await append(self, entry, now)

    monkeypatch.setattr(SqliteStore, "append", twice)
    failure = await walk()
    assert failure is not None
    assert "answered of the order, found" in failure.what


@pytest.mark.parametrize(
    ("fault", "rpc", "step", "what"),
    [
        (Fault.ADDON_OFFLINE, None, "2/9", "ADDON_OFFLINE"),
        (Fault.UNAUTHORIZED, None, "2/9", "AUTH_FAILED"),
        (Fault.UNREADABLE_JSON, "GetBars", "4/9", "get_bars answered"),
        (Fault.NO_FILL, None, "6/9", "expected status 'filled', found 'working'"),
        (Fault.LATE_REJECT, None, "6/9", "expected status 'filled', found 'rejected'"),
        (Fault.PARTIAL_FILL_STUCK, None, "6/9", "expected status 'filled', found 'working'"),
        (Fault.SESSION_CLOSED, None, "6/9", "expected status 'filled', found 'denied'"),
        (Fault.ANSWER_LOST_AFTER_ACCEPT, "PlaceOrder", "9/9", "expected the journal to say"),
        (Fault.REFUSED_WITH_400, "Flatten", "8/9", "expected status 'flat', found"),
    ],
)
async def test_it_ends_at_the_step_that_did_not_happen(
    walk: Walk, sim: Simulator, fault: Fault, rpc: str | None, step: str, what: str
) -> None:
    sim.faults.arm(fault, rpc=rpc)
    failure = await walk()
    assert failure is not None
    assert failure.step.startswith(f"step {step}")
    assert what in failure.what


async def test_a_quote_that_stands_still_is_not_called_fresh(walk: Walk, sim: Simulator, desk: Desk) -> None:
    sim.faults.arm(Fault.STALE_QUOTE)
    await desk.upstream.quotes(["MES 12-26"])
    sim.advance(60)
    failure = await walk()
    assert failure is not None
    assert failure.step.startswith("step 3/9")


async def test_a_person_who_does_not_answer_in_time_is_asked_once(
    walk: Walk, sim: Simulator, out: io.StringIO, clock: ManualClock
) -> None:
    async def nothing(_: str) -> str:
        clock.advance(60)
        await anyio.sleep_forever()
        raise AssertionError

    answerer = FormAnswerer(Screen(out), PersonAtTerminal(nothing, patience_seconds=0.01, pause_seconds=0))
    failure = await walk(answerer)
    assert failure is not None
    assert failure.step.startswith("step 6/9")
    assert out.getvalue().count("Your turn") == 1
    assert sim.requests_of("PlaceOrder") == []


@pytest.mark.parametrize("typed", ["", "no", "NO"])
async def test_a_no_is_a_no(walk: Walk, sim: Simulator, out: io.StringIO, clock: ManualClock, typed: str) -> None:
    async def no(_: str) -> str:
        clock.advance(5)
        return typed

    failure = await walk(FormAnswerer(Screen(out), PersonAtTerminal(no, pause_seconds=0, shown_seconds=0)))
    assert failure is not None
    assert "found 'declined'" in failure.what
    assert sim.requests_of("PlaceOrder") == []


async def test_a_wrong_text_may_be_made_good(walk: Walk, sim: Simulator, out: io.StringIO) -> None:
    async def wrong_then_right(_: str) -> str:
        told = out.getvalue()
        return "wrong" if "That was no yes" not in told else told.rpartition("To send it, type:")[2].split()[0]

    assert await walk(FormAnswerer(Screen(out), PersonAtTerminal(wrong_then_right, pause_seconds=0))) is None
    assert out.getvalue().count("DECLINED (NOT sent): ") == 1
    assert "That was no yes: nothing was sent." in out.getvalue()
    assert len(sim.requests_of("PlaceOrder")) == 3, "the order, its stop and its target"
