"""The day's book: what was executed is kept, and told as trades, days and figures long after the service forgot it."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.crosstrade.stream.events import QuoteTick
from ct_mcp.desk.book import Wanted
from ct_mcp.desk.book_import import from_journal, plan_import
from ct_mcp.desk.desk import Desk
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.trades import ExcursionSource, Source
from ct_mcp.domain.trading_days import session_day
from ct_mcp.errors import StoreFailed
from ct_mcp.guard.policy import Policy
from ct_mcp.live.cache import LiveCache
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault
from ct_mcp.store.sqlite import SqliteStore
from tests.conftest import Person
from tests.e2e.conftest import Assistant, Converse, Wire, World


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


@pytest.mark.parametrize("account", ["Sim101", None])
async def test_a_day_that_nobody_recorded_is_not_told_as_empty(
    assistant: Assistant, world: World, account: str | None
) -> None:
    await trades_once(assistant, world)  # nothing was recorded yet
    world.later(24 * 3600)
    told = await assistant.call("get_executions", account=account, day="yesterday")
    assert "Sim101: nothing is on record: what was executed then may be missing here" in told.notes, told.text


async def test_the_time_before_the_record_is_a_gap_for_every_reader(
    assistant: Assistant, world: World, desk: Desk, clock: ManualClock
) -> None:
    await trades_once(assistant, world)
    world.later(24 * 3600)
    await desk.recorder.look()
    began = clock() - timedelta(minutes=14)
    before = f"nothing is on record before {began:%Y-%m-%d %H:%M} UTC"
    executions = await assistant.call("get_executions", account="Sim101", day="yesterday")
    assert f"Sim101: {before}: what was executed then may be missing here" in executions.notes
    for tool in ("get_trades", "get_performance"):
        assert before in (await assistant.call(tool, account="Sim101", since="yesterday")).text
    (gap,) = await desk.book.gaps("Sim101", Wanted(since=session_day(clock()) - timedelta(days=1)))
    assert (gap.ended, gap.is_before) == (began, True)
    assert not await desk.book.gaps("Sim101"), "as far as the record goes there is none"


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


async def test_yesterdays_trades_are_told_today_with_result_plan_and_where_nobody_listened(
    assistant: Assistant, world: World, desk: Desk
) -> None:
    await desk.recorder.look()
    told = await assistant.buys(2, stop_loss="10 points", tag="opening range")
    assert told.status == "filled", told.text
    world.later(90)
    await assistant.call("close_position", account="Sim101", instrument="MES")
    await looks(desk, world)
    await looks(desk, world, minutes=60 * 24)
    told = await assistant.call("get_trades", account="sim101", since="yesterday")
    assert "1 trade of Sim101, trading day 2026-09-09" in told.text
    assert "GAPS: nothing is on record before 2026-09-09 14:16 UTC; nobody listened" in told.text
    assert "LONG 2 MES 09-26" in told.text
    assert 'setup "opening range"' in told.text
    assert " R  " in told.text
    assert "USD net (gross" in told.text
    told = await assistant.call("get_performance", account="Sim101", since="yesterday", by="setup")
    assert "SMALL SAMPLE: 1 of 30" in told.text
    assert "opening range: n=1" in told.text
    assert told.text.count("(n=1") >= 8, "each figure has its sample beside it"


async def test_without_days_it_is_of_today_alone(assistant: Assistant, world: World, desk: Desk) -> None:
    await desk.recorder.look()
    await trades_once(assistant, world)
    await looks(desk, world)
    assert "1 trade of Sim101, trading day 2026-09-09" in (await assistant.call("get_trades", account="Sim101")).text
    assert (
        "no trades of Sim101, trading day 2026-09-08"
        in (await assistant.call("get_trades", account="Sim101", since="yesterday")).text
    )
    assert "1 trade:" in (await assistant.call("get_performance", account="Sim101")).text


async def test_nothing_on_record_is_said_and_is_not_taken_for_no_trades(assistant: Assistant) -> None:
    for tool in ("get_trades", "get_performance"):
        assert "nothing is on record of this account yet" in (await assistant.call(tool, account="Sim101")).text


async def test_the_executions_of_any_day_are_told_from_the_record(
    assistant: Assistant, world: World, desk: Desk
) -> None:
    await desk.recorder.look()
    await trades_once(assistant, world)
    told = await assistant.call("get_executions", account="Sim101", day="today")
    assert len(told.executions) == 2, "what was executed a moment ago is told as well"
    await looks(desk, world)
    await looks(desk, world, minutes=60 * 24)
    assert (await assistant.call("get_executions", account="Sim101")).executions == []
    told = await assistant.call("get_executions", account="Sim101", day="yesterday")
    assert [row["action"] for row in told.executions] == ["SELL", "BUY"]
    assert "trading day 2026-09-09, from the record" in told.text
    assert any("nobody listened" in note for note in told.notes)
    everybody = await assistant.call("get_executions", day="2026-09-09")
    assert len(everybody.executions) == 2


async def test_accounts_whose_last_minutes_are_not_read_are_counted(
    assistant: Assistant, world: World, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.recorder.look()
    await trades_once(assistant, world)
    await looks(desk, world)
    told = await assistant.call("get_executions", day="today")
    assert "were not read" not in told.text
    monkeypatch.setattr("ct_mcp.server.tools.executions.MOST_ACCOUNTS", 0)
    told = await assistant.call("get_executions", day="today")
    assert any("the last minutes of" in note and "were not read" in note for note in told.notes), told.text


@pytest.mark.parametrize(
    ("tool", "asked"),
    [
        ("get_trades", {"since": "someday"}),
        ("get_trades", {"since": "2026-09-09", "until": "2026-09-01"}),
        ("get_trades", {"instrument": "no such thing"}),
        ("get_performance", {"by": "mood"}),
        ("get_executions", {"day": "last week"}),
    ],
)
async def test_what_cannot_be_read_is_refused_in_words(assistant: Assistant, tool: str, asked: dict[str, str]) -> None:
    told = await assistant.call(tool, account="Sim101", **asked)
    assert told.is_error
    assert "REQUEST_INVALID" in told.text or "BAD_REQUEST" in told.text, told.text


async def test_what_was_denied_is_counted_and_given_no_figure(assistant: Assistant, world: World, desk: Desk) -> None:
    await desk.recorder.look()
    await trades_once(assistant, world)
    assert (await assistant.buys(50)).status == "denied"
    await looks(desk, world)
    told = await assistant.call("get_performance", account="Sim101", since="today")
    assert "not sent: 1 proposal denied (" in told.text
    assert "What they would have made or cost is not known" in told.text
    assert "1 trade of 1 had no stop in its ticket" in told.text


async def test_word_of_an_account_has_it_read_soon_and_prices_that_are_heard_are_its_excursion(
    assistant: Assistant, world: World, desk: Desk, clock: ManualClock, wire: Wire
) -> None:
    live = LiveCache(clock)
    desk.recorder.listen(live)
    desk.on_sent.append(live.sent)
    await desk.recorder.look()
    contract = world.sim.market.front("MES", clock())
    held = Instrument("MES", contract.year, contract.month)
    for step, price in enumerate(("6000", "6100.25", "5990.5", "6001")):
        live.hear(QuoteTick(held, None, None, Decimal(price), None, clock()))
        if step == 0:
            assert (await assistant.buys()).status == "filled"
        if step == 2:
            await assistant.call("close_position", account="Sim101", instrument="MES")
        world.later(3)
    sent = len(wire.left)
    world.later(16)
    await desk.recorder.look()
    asked = [path for _, path, _ in wire.left[sent:] if path.endswith("/executions")]
    assert asked == ["/v1/api/accounts/Sim101/executions"], "no other account: there was no word of it"
    live.hear(QuoteTick(held, None, None, Decimal(6000), None, clock()))
    world.later(30)
    await desk.recorder.look()
    (trip,) = (await desk.book.trades("Sim101")).trips
    assert trip.excursion is not None
    assert trip.excursion.source is ExcursionSource.QUOTES
    assert (trip.excursion.worst, trip.excursion.best) == (Decimal("5990.5"), Decimal("6100.25"))


class NothingKept(SqliteStore):
    """A store that takes nothing into the record."""

    async def keep_heard(self, *_: object) -> int:
        raise StoreFailed("the disk is full")


async def test_a_record_that_fails_keeps_no_order_from_leaving(
    converse: Converse,
    person: Person,
    tmp_path: Path,
    crosstrade: CrossTrade,
    policy: Policy,
    clock: ManualClock,
    pause: Callable[[float], Awaitable[None]],
) -> None:
    store = NothingKept(tmp_path / "failing")
    desk = Desk(crosstrade, store, policy, clock=clock, pause=pause)
    async with converse(person, over=desk) as assistant:
        for _ in range(3):
            await desk.recorder.look()
            clock.advance(400)
        assert (await assistant.buys()).status == "filled"
        told = await assistant.call("close_position", account="Sim101", instrument="MES")
        assert told.status == "flat", told.text
    await store.close()


async def test_while_the_service_does_not_answer_nothing_is_claimed_to_have_been_heard(
    assistant: Assistant, world: World, desk: Desk, clock: ManualClock
) -> None:
    await desk.recorder.look()
    began = clock()
    world.sim.faults.arm(Fault.BAD_GATEWAY, rpc="ListExecutions")
    for _ in range(5):
        await looks(desk, world)
    world.sim.faults.disarm()
    await looks(desk, world)
    (gap,) = await desk.book.gaps("Sim101")
    assert gap.began == began


async def test_the_journal_knows_entries_and_no_trade_is_made_of_the_half_of_one(
    assistant: Assistant, world: World, desk: Desk, store: SqliteStore
) -> None:
    await trades_once(assistant, world, quantity=2)
    world.later()
    await assistant.buys(1)
    plan = await plan_import(store, await from_journal(store))
    assert [(it.action, it.quantity, it.source, it.position_after) for it in plan.new] == [
        ("BUY", 2, Source.JOURNAL, 2),
        ("BUY", 1, Source.JOURNAL, 1),
    ]
    await store.keep_import(plan.new, plan.costs)
    book = await desk.book.trades("Sim101")
    assert not book.trips, "what the close was filled at stands nowhere"
    assert [lot.left for lot in book.open] == [1]
    assert "executions are missing" in book.unmatched[0]
    assert not await from_journal(store), "an order on record has none made of it"
