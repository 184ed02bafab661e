"""What an export adds to the record: nothing twice, nothing beside what is there, nothing at another time."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import pytest

from ct_mcp.desk.book import TradeBook, Wanted
from ct_mcp.desk.book_import import plan_import
from ct_mcp.domain.grid_import import ImportOptions, read_grid
from ct_mcp.domain.order import OrderAction
from ct_mcp.domain.trades import RecordedExecution, Source
from ct_mcp.errors import BadRequest
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.store.sqlite import SqliteStore
from tests.unit.domain.test_grid_import import EXECUTIONS, TODAY, TRADES

CHICAGO = ZoneInfo("America/Chicago")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """A store on a fresh file."""
    store = SqliteStore(tmp_path)
    yield store
    await store.close()


def read(text: str, zone: ZoneInfo = CHICAGO, today: date = TODAY) -> tuple[RecordedExecution, ...]:
    """Read a file."""
    return read_grid(text, ImportOptions(zone, today)).executions


async def test_to_import_twice_adds_nothing(store: SqliteStore) -> None:
    plan = await plan_import(store, read(EXECUTIONS))
    assert (len(plan.new), plan.known) == (3, 0)
    await store.keep_import(plan.new, plan.costs)
    mark = await store.book_mark("Sim101")
    plan = await plan_import(store, read(EXECUTIONS))
    assert (plan.new, plan.known, plan.costs) == ([], 3, [])
    assert plan.words == "0 new, 3 known already"
    await store.keep_import(plan.new, plan.costs)
    assert await store.book_mark("Sim101") == mark


async def test_a_file_of_another_zone_is_noticed_by_what_is_on_record(store: SqliteStore) -> None:
    await store.keep_import(read(EXECUTIONS))
    with pytest.raises(BadRequest, match="60 min from what the file says"):
        await plan_import(store, read(EXECUTIONS, ZoneInfo("America/New_York")))


async def test_what_was_heard_by_another_id_is_the_same_one_and_gets_its_commission(store: SqliteStore) -> None:
    heard = [
        replace(each, execution_id=f"x{n}", source=Source.HEARD, commission=None, at=each.at + timedelta(seconds=0.4))
        for n, each in enumerate(read(EXECUTIONS))
    ]
    await store.keep_import(heard)
    plan = await plan_import(store, read(EXECUTIONS))
    assert (plan.new, plan.alike, len(plan.costs)) == ([], 3, 3)
    await store.keep_import(plan.new, plan.costs)
    assert {each.commission for each in await store.executions_on_record("Sim101")} == {
        Decimal("4.30"),
        Decimal("2.15"),
    }


async def test_two_equal_ones_of_one_second_are_two(store: SqliteStore) -> None:
    (first, *_) = read(EXECUTIONS)
    twice = [first, replace(first, execution_id="another")]
    await store.keep_import([replace(first, execution_id="heard", source=Source.HEARD)])
    plan = await plan_import(store, twice)
    assert (len(plan.new), plan.alike) == (1, 1)


async def test_trades_are_left_out_where_the_record_has_executions_of_its_own(store: SqliteStore) -> None:
    rows = read(TRADES)
    inside = replace(rows[0], execution_id="heard", source=Source.HEARD, at=rows[0].at + timedelta(minutes=5))
    await store.keep_import([inside])
    plan = await plan_import(store, rows)
    assert (len(plan.new), plan.overlaps) == (2, 2), "the first row whole, and not the second"
    assert {each.execution_id.rpartition("-")[2] for each in plan.new} == {"in", "out"}


async def test_executions_are_left_out_where_trades_of_that_time_were_imported(store: SqliteStore) -> None:
    rows = read(TRADES)
    await store.keep_import(rows)
    inside = replace(rows[0], execution_id="e1", at=rows[0].at + timedelta(minutes=5))
    outside = replace(rows[0], execution_id="e2", at=rows[0].at - timedelta(minutes=5))
    plan = await plan_import(store, [outside, inside])
    assert ([each.execution_id for each in plan.new], plan.overlaps) == (["e2"], 1)


# --- a month of simulated trading ---


def month_of_trading(seed: int) -> list[tuple[datetime, OrderAction, int, Decimal]]:
    """Trade ES for a month: some entries, added to, left in parts, turned round; flat every evening."""
    random, net = Random(seed), 0
    took: list[tuple[datetime, OrderAction, int, Decimal]] = []
    day = datetime(2026, 10, 1, 8, 30, tzinfo=CHICAGO)
    while day.month == 10:
        at, price = day, Decimal(6400) + random.randint(-200, 200)
        for _ in range(random.randint(4, 14)) if day.weekday() < 5 else ():
            at += timedelta(seconds=random.randint(30, 1500))
            price += Decimal(random.randint(-40, 42)) / 4
            action = random.choice((OrderAction.BUY, OrderAction.SELL))
            took.append((at, action, random.randint(1, 3), price))
            net += took[-1][1].sign * took[-1][2]
        if net:
            took.append((at + timedelta(minutes=1), OrderAction.SELL if net > 0 else OrderAction.BUY, abs(net), price))
            net = 0
        day += timedelta(days=1)
    return took


def as_exported(took: Sequence[tuple[datetime, OrderAction, int, Decimal]]) -> str:
    """Write it as NinjaTrader does."""
    lines = ["Instrument,Action,Quantity,Price,Time,ID,E/X,Position,Order ID,Name,Commission,Rate,Account,Connection,"]
    net = 0
    for number, (at, action, quantity, price) in enumerate(took):
        net += action.sign * quantity
        held = "-" if not net else f"{abs(net)} {'L' if net > 0 else 'S'}"
        when = f"{at.month}/{at.day}/{at.year} {at.strftime('%I').lstrip('0')}:{at.strftime('%M:%S %p')}"
        cost = f"${Decimal('2.15') * quantity}"
        words = ("ES 12-26", action.capitalize(), quantity, price, when, f"e{number}", "Entry", held, f"o{number}", "")
        lines.append(",".join(map(str, (*words, cost, 1, "Sim101", "Live", ""))))
    return "\n".join(lines)


def results_of(took: Sequence[tuple[datetime, OrderAction, int, Decimal]]) -> list[float]:
    """Reckon what each entry order made, contract by contract in floating point, in the order of their last exits."""
    lots: list[dict[str, float]] = []
    made: list[float] = []
    for number, (_, action, quantity, price) in enumerate(took):
        for _ in range(quantity):
            if lots and lots[0]["side"] != action.sign:
                lots[0]["left"] -= 1
                lots[0]["made"] += lots[0]["side"] * float(price) * 50 - 2.15
                if not lots[0]["left"]:
                    made.append(lots.pop(0)["made"])
                continue
            if not lots or lots[-1]["number"] != number:
                lots.append({"side": action.sign, "left": 0, "made": 0, "number": number})
            lots[-1]["left"] += 1
            lots[-1]["made"] -= action.sign * float(price) * 50 + 2.15
    return made


@pytest.mark.parametrize("seed", range(5))
async def test_a_month_of_trading_comes_to_what_a_plain_reckoning_makes_of_it(store: SqliteStore, seed: int) -> None:
    took = month_of_trading(seed)
    plan = await plan_import(store, read(as_exported(took)))
    assert len(plan.new) == len(took)
    await store.keep_import(plan.new)
    book = TradeBook(store, ManualClock(datetime(2026, 11, 1, tzinfo=CHICAGO)))
    report = await book.performance("Sim101", Wanted(date(2026, 10, 1), date(2026, 10, 31)))
    (total,) = report.totals
    made = results_of(took)
    won, lost = [each for each in made if each > 0], [each for each in made if each < 0]
    peak = deepest = run = 0.0
    for each in made:
        run += each
        peak = max(peak, run)
        deepest = min(deepest, run - peak)
    told = [total.net, total.average_win, total.average_loss, total.profit_factor, total.expectancy, total.max_drawdown]
    reckoned = [
        sum(made),
        sum(won) / len(won),
        sum(lost) / len(lost),
        sum(won) / -sum(lost),
        sum(made) / len(made),
        deepest,
    ]
    assert [float(each.value or 0) for each in told] == pytest.approx(reckoned)
    assert (total.trades, total.wins, total.losses) == (len(made), len(won), len(lost))
    assert not report.unmatched
    days = await book.days("Sim101")
    assert float(sum((day.net or Decimal(0) for day in days), Decimal(0))) == pytest.approx(sum(made))
