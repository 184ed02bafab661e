"""The day's book: what was executed is kept, and told as trades, days and figures long after the service forgot it."""

from datetime import timedelta
from decimal import Decimal

import pytest

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.desk.desk import Desk
from ct_mcp.domain.trades import Source
from ct_mcp.guard.policy import Policy
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.store.sqlite import SqliteStore
from tests.e2e.conftest import Assistant, Wire, World


async def looks(desk: Desk, world: World, minutes: float = 5.5) -> None:
    """Let time pass, and let the recorder look."""
    world.later(60 * minutes)
    await desk.recorder.look()


async def trades_once(assistant: Assistant, world: World, quantity: int = 1) -> None:
    """Buy at the market, and close a minute later."""
    assert (await assistant.buys(quantity)).status == "filled"
    world.later(60)
    told = await assistant.call("close_position", account="Sim101", instrument="MES")
    assert told.status == "flat", told.text
    world.later(1)


async def test_a_trade_is_kept_and_told_after_the_service_has_forgotten_it(
    assistant: Assistant, world: World, desk: Desk
) -> None:
    await desk.recorder.look()
    await trades_once(assistant, world, quantity=2)
    await looks(desk, world)
    for _ in range(5):
        await looks(desk, world)
    book = await desk.book.trades("Sim101")
    (trip,) = book.trips
    account = world.sim.exchange.accounts["Sim101"]
    assert trip.gross == Decimal(str(account.gross_realized))
    assert trip.net is not None
    assert float(trip.net) == pytest.approx(account.gross_realized - account.commission - account.fee)
    assert (trip.currency, trip.sources) == ("USD", frozenset({Source.HEARD}))
    assert trip.plan is not None, "its entry was sent under a ticket"
    assert not book.gaps
    assert not book.unmatched


async def test_what_is_read_again_and_again_is_kept_once(
    assistant: Assistant, world: World, desk: Desk, store: SqliteStore
) -> None:
    await desk.recorder.look()
    await trades_once(assistant, world)
    for _ in range(3):
        await looks(desk, world, minutes=5.1)
    assert len(await store.executions_on_record("Sim101")) == 2


async def test_an_account_is_not_read_more_often_than_it_is_due(
    assistant: Assistant, world: World, desk: Desk, wire: Wire
) -> None:
    await desk.recorder.look()
    sent = len(wire.left)
    for _ in range(20):
        world.later(5)
        await desk.recorder.look()
    assert len(wire.left) == sent


async def test_a_stretch_in_which_nobody_listened_is_named(
    assistant: Assistant, world: World, desk: Desk, clock: ManualClock
) -> None:
    await desk.recorder.look()
    began = clock()
    await looks(desk, world, minutes=40)
    (gap,) = await desk.book.gaps("Sim101")
    assert gap.began == began
    assert gap.ended == clock() - timedelta(minutes=14)


async def test_a_gap_that_goes_on_is_named_before_anybody_listens_again(
    assistant: Assistant, world: World, desk: Desk
) -> None:
    await desk.recorder.look()
    world.later(60 * 16)
    (gap,) = await desk.book.gaps("Sim101")
    assert gap.ended is None


async def test_what_was_opened_before_the_record_makes_no_trade(assistant: Assistant, world: World, desk: Desk) -> None:
    await assistant.buys(2)
    world.later(60 * 20)
    await desk.recorder.look()
    world.later(30)
    await assistant.call("close_position", account="Sim101", instrument="MES")
    await looks(desk, world)
    book = await desk.book.trades("Sim101")
    assert not book.trips
    assert any("opened before the record" in said for said in book.unmatched), book.unmatched


async def test_of_two_processes_one_keeps_the_book(
    assistant: Assistant,
    world: World,
    desk: Desk,
    store: SqliteStore,
    crosstrade: CrossTrade,
    policy: Policy,
    clock: ManualClock,
    wire: Wire,
) -> None:
    another = Desk(crosstrade, store, policy, clock=clock)
    await desk.recorder.look()
    sent = len(wire.left)
    await another.recorder.look()
    assert len(wire.left) == sent
    await desk.recorder.let_go()
    await another.recorder.look()
    assert len(wire.left) > sent


async def test_a_process_that_dies_between_reads_leaves_nothing_twice_and_no_gap_that_was_none(
    assistant: Assistant,
    world: World,
    desk: Desk,
    store: SqliteStore,
    crosstrade: CrossTrade,
    policy: Policy,
    clock: ManualClock,
) -> None:
    await desk.recorder.look()
    await trades_once(assistant, world)
    await looks(desk, world)  # and dies
    another = Desk(crosstrade, store, policy, clock=clock)
    await looks(another, world)
    book = await another.book.trades("Sim101")
    assert len(book.trips) == 1
    assert not book.gaps
