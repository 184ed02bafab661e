"""Measure the day's book: ``python benchmarks/book.py``. Needs no network, no token and no account; half a minute.

A recorder's reads of 100,000 executions, as a process of its own; then how long trades and figures of them take, the
first time and after one execution more, in processor time; and how many tokens the answers of a day, a week and a
month are.
"""

import argparse
import resource
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import process_time

import anyio

from ct_mcp.desk.book import TradeBook, Wanted
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import OrderAction
from ct_mcp.domain.performance import GroupBy
from ct_mcp.domain.trades import Excursion, ExcursionSource, Listening, RecordedExecution, Source
from ct_mcp.domain.trading_days import TradingDays
from ct_mcp.server.trade_text import performance_text, trades_text
from ct_mcp.store.sqlite import FILE_NAME, SqliteStore

ACCOUNT, ES = "Sim101", Instrument("ES", 2026, 12)
BEGAN = datetime(2025, 1, 6, 15, 0, tzinfo=UTC)
A_DAY = 40
"""Executions of a busy day: some fifteen trades."""
A_READ = 40
"""Executions of one answer of the service."""


def made(most: int) -> list[RecordedExecution]:
    """Trade at random: some entries, left in one or two parts, five days a week."""
    random, took, at, price = Random(1), list[RecordedExecution](), BEGAN, Decimal(6400)

    def fill(action: OrderAction, quantity: int) -> None:
        nonlocal at, price
        at, price = at + timedelta(seconds=random.randint(20, 700)), price + Decimal(random.randint(-24, 25)) / 4
        number, cost = len(took), Decimal("2.15") * quantity
        order = f"{number:032x}"
        took.append(
            RecordedExecution(
                ACCOUNT, order, ES, action, quantity, price, at, Source.HEARD, order, "Entry", cost, ordinal=0
            )
        )

    while len(took) < most:
        enter = random.choice((OrderAction.BUY, OrderAction.SELL))
        leave = OrderAction.SELL if enter is OrderAction.BUY else OrderAction.BUY
        quantity = random.randint(1, 3)
        fill(enter, quantity)
        for part in (1, quantity - 1) if quantity > 1 and random.random() < 0.5 else (quantity,):
            fill(leave, part)
        if len(took) % A_DAY < 2:
            at = at.replace(hour=15) + timedelta(days=3 if at.weekday() == 4 else 1)
    return took


def resident() -> float:
    """The most memory that this process ever had, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1024 if sys.platform != "darwin" else peak / 2**20


def size_of(folder: Path) -> float:
    """What the state file and its log take on disk, in MiB."""
    return sum(file.stat().st_size for file in folder.iterdir() if file.name.startswith(FILE_NAME)) / 2**20


async def record(folder: Path, most: int) -> None:
    """Keep them as the recorder does: what each read gives, half of it known already, with the stretch."""
    took, store = made(most), SqliteStore(folder)
    before = resident()
    began = process_time()
    for first in range(0, len(took), A_READ):
        read = took[max(0, first - A_READ) : first + A_READ]
        await store.keep_heard(ACCOUNT, read, Listening(BEGAN, read[-1].at, ()))
    spent, reads = process_time() - began, -(-len(took) // A_READ)
    print(f"record {len(took):,} executions in {reads:,} reads: {spent:.1f} s, {1000 * spent / reads:.2f} ms a read;")
    grown = resident() - before
    print(f"  {size_of(folder):.1f} MiB on disk; memory {grown:+.1f} MiB, beside the executions that are made up here")
    await store.close()


async def tell(folder: Path) -> None:
    """Read trades and figures, the first time and again, and count the tokens of what is said."""
    store = SqliteStore(folder)
    now = (await store.listenings(ACCOUNT))[-1].ended
    book, before = TradeBook(store, lambda: now), resident()
    began = process_time()
    trades = await book.trades(ACCOUNT)
    first, began = process_time() - began, process_time()
    report = await book.performance(ACCOUNT, by=GroupBy.HOUR)
    spent, grown = process_time() - began, resident() - before
    last = (await store.executions_on_record(ACCOUNT))[-1]
    await store.keep_import([replace(last, execution_id="new", at=last.at + timedelta(seconds=1))])
    began = process_time()
    await book.trades(ACCOUNT)
    again = process_time() - began
    print(f"match {len(trades.trips):,} trades: {first:.2f} s the first time, {again:.2f} s after one execution more;")
    print(f"  figures of all, by hour, {spent:.2f} s; memory {grown:+.1f} MiB, {report.totals[0].trades:,} trades")
    for trip in trades.trips[-600:]:
        far = 3 * trip.sign
        moved = Excursion(trip.average_entry - far, trip.average_entry + far, ExcursionSource.QUOTES)
        await store.keep_excursion(ACCOUNT, trip.trip_id, moved, now)
    tokens = import_module("bpe_openai").get_encoding("o200k_base")
    last_day = trades.trips[-60].day
    for name, back in (("day", 0), ("week", 6), ("month", 30)):
        span = TradingDays(last_day - timedelta(days=back), last_day)
        wanted = Wanted(span.first, span.last)
        listed = trades_text(await book.trades(ACCOUNT, wanted), span, now, 0)
        figures = performance_text(await book.performance(ACCOUNT, wanted, GroupBy.HOUR), span, now)
        count = len((await book.trades(ACCOUNT, wanted)).trips)
        sizes = f"trades {len(tokens.encode(listed)):,} tokens, figures by hour {len(tokens.encode(figures)):,}"
        print(f"a {name} of {count} trades: {sizes}")
    await store.close()


def main() -> None:
    """Record in one process and tell in another, so that neither's memory is counted with the other's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--executions", type=int, default=100_000)
    parser.add_argument("--part", choices=("record", "tell"))
    parser.add_argument("--folder", type=Path)
    chosen = parser.parse_args()
    if chosen.part == "record":
        anyio.run(record, chosen.folder, chosen.executions)
    elif chosen.part == "tell":
        anyio.run(tell, chosen.folder)
    else:
        with TemporaryDirectory() as folder:
            for part in ("record", "tell"):
                again = [sys.executable, __file__, "--part", part, "--folder", folder]
                subprocess.run([*again, "--executions", str(chosen.executions)], check=True)


if __name__ == "__main__":
    main()
