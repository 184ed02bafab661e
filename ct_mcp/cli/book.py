"""``ct-mcp book``: the record of executions. What is on it, what NinjaTrader exported put into it, and it written out.

An import is told first and kept only with ``--keep``. Nothing of it reaches the service, and no token is needed.
"""

import argparse
import csv
import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TextIO
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import anyio

from ct_mcp.cli.journal_export import Export, written
from ct_mcp.cli.runtime import settings_for, store_of, utc_now
from ct_mcp.cli.screen import Screen
from ct_mcp.desk.book import TradeBook, Wanted
from ct_mcp.desk.book_import import from_journal, plan_import
from ct_mcp.domain.grid_cells import DateOrder, decoded
from ct_mcp.domain.grid_import import GridImport, ImportOptions, read_grid
from ct_mcp.domain.trades import Plan, RecordedExecution, RoundTrip
from ct_mcp.errors import BadRequest, ConfigError
from ct_mcp.store.codec import time_to_text
from ct_mcp.store.sql_store import SqlStore
from ct_mcp.text import command, count, harmless_cell, sanitize

_MOST_LEFT_OUT = 20
_Work = Callable[[SqlStore, Screen], Awaitable[int]]


def run(chosen: argparse.Namespace) -> int:
    """Show what is on record, or do what was asked of it; the codes stand in each help."""
    settings = settings_for(chosen)
    return anyio.run(_do, _work(chosen), store_of(settings))


async def _do(work: _Work, store: SqlStore) -> int:
    try:
        if not await store.has_one_book():
            raise BadRequest(
                "several services keep a book here, and without a token it is not clear whose is meant",
                next_step="set CROSSTRADE_TOKEN, or keep it with ct-mcp login",
            )
        return await work(store, Screen.on_stdout())
    finally:
        await store.close()


def _work(chosen: argparse.Namespace) -> _Work:
    match chosen.asked:
        case "import":
            return partial(import_file, how=_how(chosen))
        case "export":
            how, wanted = Export(chosen.format, chosen.output, chosen.force), _wanted(chosen)
            write = _EXPORTS[chosen.rows]
            return partial(write, how=how, account=chosen.account, wanted=wanted)
        case "forget":
            return partial(forget, account=chosen.account)
        case _:
            return show


# --- what is on record ---


async def show(store: SqlStore, screen: Screen) -> int:
    """Tell of each account since when it is on record, and where nobody listened: 0."""
    book = TradeBook(store, utc_now)
    accounts = await book.accounts()
    if not accounts:
        screen.say("Nothing is on record yet. A server that runs records what is executed; an export is put in with")
        screen.say(f"  {command('book', 'import', 'FILE')}")
    for account in accounts:
        trades = await book.trades(account)
        since = "nothing executed" if trades.began is None else f"since {trades.began:%Y-%m-%d %H:%M} UTC"
        trips = count(len(trades.trips), "trade")
        screen.say(f"{sanitize(account, longest=80)}  {since}, {trips}, {len(trades.open)} open")
        for gap in trades.gaps[-_MOST_LEFT_OUT:]:
            screen.say(f"  gap: {gap.words}", "bad")
        for said in trades.unmatched[-_MOST_LEFT_OUT:]:
            screen.say(f"  {sanitize(said, longest=300)}", "bad")
    return 0


# --- import ---


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What is to be read, or None for our own journal; whether it is to be kept."""

    file: Path | None
    options: ImportOptions
    keep: bool


def _how(chosen: argparse.Namespace) -> ImportRequest:
    if (chosen.file is None) == (not chosen.journal):
        raise ConfigError("name the FILE that NinjaTrader has exported, or --journal for ct-mcp's own; one of them")
    order = None if chosen.dates is None else DateOrder(chosen.dates)
    options = ImportOptions(_zone(chosen.zone), utc_now().date(), chosen.account, order)
    return ImportRequest(None if chosen.file is None else Path(chosen.file), options, chosen.keep)


def _zone(name: str | None) -> ZoneInfo | None:
    """Read the zone of the computer that made the export; without one it is that of this computer."""
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(f"--zone: found {name[:60]!a}, expected one such as America/New_York") from None


async def import_file(store: SqlStore, screen: Screen, how: ImportRequest) -> int:
    """Tell what an import adds, and keep it where that was asked for: 0 told or kept, 1 nothing could be read."""
    executions = await from_journal(store) if how.file is None else _read(how.file, how.options, screen).executions
    plan = await plan_import(store, executions)
    for line in _spans(executions):
        screen.say(line)
    screen.say(f"{plan.words[:1].upper()}{plan.words[1:]}.")
    if how.keep:
        kept = await store.keep_import(plan.new, plan.costs)
        screen.say(f"Kept: {kept}.", "good")
    elif plan.new or plan.costs:
        screen.say("Nothing was kept. The same with --keep keeps it.")
    return 0 if executions else 1


def _read(file: Path, options: ImportOptions, screen: Screen) -> GridImport:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise BadRequest(f"{file} cannot be read: {error.strerror}") from None
    read = read_grid(decoded(data), options)
    zone = "this computer's zone (--zone names another)" if options.zone is None else str(options.zone)
    dates = "" if read.rows == 0 else f", dates with the {read.order} first, decimal mark {read.mark}"
    screen.say(f"{read.grid} grid: {count(read.rows, 'row')}, times of {zone}{dates}")
    for left_out in read.left_out[:_MOST_LEFT_OUT]:
        screen.say(f"  line {left_out.line} left out: {sanitize(left_out.why, longest=200)}", "bad")
    if (more := len(read.left_out) - _MOST_LEFT_OUT) > 0:
        screen.say(f"  and {count(more, 'line')} more left out", "bad")
    return read


def _spans(executions: Sequence[RecordedExecution]) -> list[str]:
    """Say of each account from when to when."""
    lines = []
    for account in sorted({each.account for each in executions}):
        times = [each.at for each in executions if each.account == account]
        span = f"{min(times):%Y-%m-%d %H:%M} to {max(times):%Y-%m-%d %H:%M} UTC"
        lines.append(f"{sanitize(account, longest=80)}  {count(len(times), 'execution')}, {span}")
    return lines


async def forget(store: SqlStore, screen: Screen, account: str) -> int:
    """Forget what was imported of an account: 0. What was recorded stays."""
    gone = await store.forget_imported(account)
    screen.say(f"Forgotten: {count(gone, 'imported execution')} of {sanitize(account, longest=80)}.")
    return 0


# --- export ---

_TRADE_NAMES = (
    *("account", "instrument", "side", "quantity", "opened_at", "closed_at", "trading_day", "average_entry"),
    *("average_exit", "gross", "commission", "net", "currency", "setup", "ticket", "stop", "risk", "r", "mae", "mfe"),
    *("excursion_source", "sources"),
)
_EXECUTION_NAMES = (
    *("account", "execution_id", "order_id", "instrument", "action", "quantity", "price", "at", "name", "commission"),
    "source",
)
_Cell = str | int | None


def _wanted(chosen: argparse.Namespace) -> Wanted:
    return Wanted(_day("--since", chosen.since), _day("--until", chosen.until))


def _day(flag: str, text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{flag}: found {text!a}, expected a trading day such as 2026-11-20") from None


async def export_trades(store: SqlStore, _: Screen, how: Export, account: str | None, wanted: Wanted) -> int:
    """Write the round trips: 0 written, 1 not."""
    book = TradeBook(store, utc_now)
    accounts = await book.accounts() if account is None else (account,)
    trips = [trip for each in accounts for trip in (await book.trades(each, wanted)).trips]
    return _write(how, count(len(trips), "trade"), _TRADE_NAMES, map(_trade_row, trips))


async def export_executions(store: SqlStore, _: Screen, how: Export, account: str | None, wanted: Wanted) -> int:
    """Write the executions: 0 written, 1 not."""
    from ct_mcp.domain.market import trading_day

    book = TradeBook(store, utc_now)
    accounts = await book.accounts() if account is None else (account,)
    found = [it for each in accounts for it in await book.executions(each) if wanted.takes_day(trading_day(it.at))]
    return _write(how, count(len(found), "execution"), _EXECUTION_NAMES, map(_execution_row, found))


def _write(how: Export, what: str, names: Sequence[str], rows: Iterable[Sequence[_Cell]]) -> int:
    def write(out: TextIO, end: str) -> None:
        if how.format == "csv":
            writer = csv.writer(out, lineterminator=end)
            writer.writerow(names)
            writer.writerows([_plain(cell) for cell in row] for row in rows)
        else:
            out.writelines(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows)

    return written(how, what, write)


def _plain(cell: _Cell) -> _Cell:
    """Leave a number as it is, also one below zero: it is no formula."""
    try:
        return cell if isinstance(cell, str) and Decimal(cell).is_finite() else harmless_cell(cell)
    except ArithmeticError:
        return harmless_cell(cell)


def _trade_row(trip: RoundTrip) -> Sequence[_Cell]:
    plan, excursion = trip.plan or Plan(""), trip.excursion
    what = (trip.account, str(trip.instrument), trip.side.value, trip.quantity)
    when = (time_to_text(trip.opened_at), time_to_text(trip.closed_at), trip.day.isoformat())
    money = map(_amount, (trip.average_entry, trip.average_exit, trip.gross, trip.commission, trip.net))
    risk = map(_amount, (plan.stop, trip.risk, trip.r, trip.mae, trip.mfe))
    sources = (excursion.source.value if excursion else None, " ".join(sorted(trip.sources)))
    return (*what, *when, *money, trip.currency, plan.tag, plan.ticket_id or None, *risk, *sources)


def _execution_row(it: RecordedExecution) -> Sequence[_Cell]:
    what = (it.account, it.execution_id, it.order_id, str(it.instrument), it.action.value, it.quantity)
    return (*what, _amount(it.price), time_to_text(it.at), it.name, _amount(it.commission), it.source.value)


def _amount(value: Decimal | None) -> str | None:
    return None if value is None else f"{round(value, 6).normalize():f}"


_EXPORTS = {"trades": export_trades, "executions": export_executions}
