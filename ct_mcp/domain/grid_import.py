"""Makes executions of what NinjaTrader's Trade Performance window exports: its Executions or its Trades grid. Pure.

The Executions grid is the better one: it has each execution by its id, and what was held after it. A row of the Trades
grid is one entry matched with one exit; two executions are made of it, named after what stands in the row, so that the
same row makes the same ones whenever it is imported. Rows that one entry made are one round trip, as elsewhere here.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from hashlib import sha256
from zoneinfo import ZoneInfo

from ct_mcp.domain.grid_cells import DateOrder, Grid, date_order, decimal_mark, grid_of, read_number, read_time
from ct_mcp.domain.instrument import Instrument, parse_dated
from ct_mcp.domain.order import OrderAction
from ct_mcp.domain.products import read_32nds, ticks_in_32nds
from ct_mcp.domain.trades import RecordedExecution, Source
from ct_mcp.errors import BadRequest

EXECUTION_COLUMNS = ("Instrument", "Action", "Quantity", "Price", "Time", "ID")
TRADE_COLUMNS = (
    "Instrument",
    "Market pos.",
    "Qty",
    "Entry price",
    "Exit price",
    "Entry time",
    "Exit time",
)
_ACCOUNT_COLUMNS = ("Account", "Account display name", "Display name")
_FEES = ("Commission", "Clearing Fee", "Exchange Fee", "IP Fee", "NFA Fee")
_ACTIONS = {
    "buy": OrderAction.BUY,
    "buy to cover": OrderAction.BUY,
    "buytocover": OrderAction.BUY,
    "sell": OrderAction.SELL,
    "sell short": OrderAction.SELL,
    "sellshort": OrderAction.SELL,
}


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What the person says of a file: whose rows, where its computer stands, and which number of a date is the day.

    ``account`` is whose rows are read, or whose all rows are in a file that names no account. Without a ``zone`` the
    file was made where this computer stands.
    """

    zone: ZoneInfo | None
    today: date
    account: str | None = None
    order: DateOrder | None = None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """One row that was not read, by its line in the file, and why."""

    line: int
    why: str


@dataclass(frozen=True, slots=True)
class GridImport:
    """What was read of a file: ``grid`` names which of the two it is."""

    grid: str
    executions: tuple[RecordedExecution, ...]
    left_out: tuple[LeftOut, ...]
    rows: int
    order: DateOrder
    mark: str


class _Unreadable(Exception):
    """Why a row makes no execution."""


def read_grid(text: str, options: ImportOptions) -> GridImport:
    """Read an export, every row of it or the reason why not.

    Raises:
        BadRequest: It is neither of the two grids, or its dates or numbers could be read in two ways.
    """
    grid = grid_of(text)
    is_trades = grid.has("Market pos.")
    missing = [name for name in (TRADE_COLUMNS if is_trades else EXECUTION_COLUMNS) if name not in grid.names]
    if missing:
        raise BadRequest(
            f"the file has no column {', '.join(missing)}: it is neither the Executions nor the Trades grid",
            next_step="in NinjaTrader: Trade Performance, Executions, right click, Export, CSV, with English names",
        )
    times = ("Entry time", "Exit time") if is_trades else ("Time",)
    numbers = ("Entry price", "Exit price", *_FEES, "Profit") if is_trades else ("Price", "Commission")
    order = date_order(grid.cells(*times), options.order)
    mark = decimal_mark((cell for _, cell in grid.cells(*numbers)), grid.separator)
    reader = _GridReader(options, order, mark, next((name for name in _ACCOUNT_COLUMNS if name in grid.names), None))
    rows, left_out = _read_rows(grid, reader.trade if is_trades else reader.execution)
    executions = _told_apart(rows if is_trades else list(dict.fromkeys(rows)))
    return GridImport("Trades" if is_trades else "Executions", executions, left_out, len(grid.rows), order, mark)


_Row = dict[str, str]


_Executions = tuple[RecordedExecution, ...]


def _read_rows(grid: Grid, read: Callable[[_Row], _Executions]) -> tuple[list[_Executions], tuple[LeftOut, ...]]:
    """Give what each row makes, the oldest row first: a grid may be sorted with the newest on top."""
    found: list[_Executions] = []
    left_out: list[LeftOut] = []
    for line, row in grid.rows:
        try:
            found.append(read(row))
        except _Unreadable as why:
            left_out.append(LeftOut(line, str(why)))
    if found and found[0][0].at > found[-1][0].at:
        found.reverse()
    return found, tuple(left_out)


@dataclass(frozen=True, slots=True)
class _GridReader:
    options: ImportOptions
    order: DateOrder
    mark: str
    account_column: str | None

    def execution(self, row: _Row) -> _Executions:
        action = _ACTIONS.get(row.get("Action", "").casefold())
        if action is None:
            raise _Unreadable(f"its action is {row.get('Action', '')[:30]!a}")
        at = self._time(row, "Time")
        instrument = self._instrument(row, at)
        return (
            RecordedExecution(
                self._account(row),
                row.get("ID") or _named(sorted(row.items())),
                instrument,
                action,
                self._quantity(row, "Quantity"),
                self._price(row, "Price", instrument),
                at,
                Source.IMPORTED,
                row.get("Order ID") or None,
                row.get("Name") or None,
                self._cost(row),
                position_after=_position(row.get("Position", "")),
            ),
        )

    def trade(self, row: _Row) -> _Executions:
        """Make the entry and the exit of a row; each bears half of what both cost."""
        side = row.get("Market pos.", "").casefold()
        if side not in ("long", "short"):
            raise _Unreadable(f"its market position is {row.get('Market pos.', '')[:30]!a}")
        entered, left = self._time(row, "Entry time"), self._time(row, "Exit time")
        if left < entered:
            raise _Unreadable("it ends before it begins")
        account, instrument = self._account(row), self._instrument(row, entered)
        quantity, cost = self._quantity(row, "Qty"), self._cost(row)
        prices = [self._price(row, f"{end} price", instrument) for end in ("Entry", "Exit")]
        actions = (OrderAction.BUY, OrderAction.SELL) if side == "long" else (OrderAction.SELL, OrderAction.BUY)
        key = (account, instrument, side, quantity, *prices, entered, left, row.get("Entry name"), row.get("Exit name"))
        of_entry = _named((account, instrument, side, entered, row.get("Entry name")))
        half = None if cost is None else round(cost / 2, 4)
        rest = None if cost is None or half is None else cost - half
        ends = zip(("in", "out"), actions, prices, (entered, left), (half, rest), strict=True)
        return tuple(
            RecordedExecution(
                account,
                f"{_named(key)}-{end}",
                instrument,
                action,
                quantity,
                price,
                at,
                Source.IMPORTED,
                of_entry if end == "in" else None,
                row.get("Entry name" if end == "in" else "Exit name") or None,
                share,
            )
            for end, action, price, at, share in ends
        )

    def _account(self, row: _Row) -> str:
        named = row.get(self.account_column or "", "")
        wanted = self.options.account
        if named and wanted is not None and named.casefold() != wanted.casefold():
            raise _Unreadable(f"it is of account {named[:60]!a}")
        if not named and wanted is None:
            raise _Unreadable("it names no account: say whose it is with --account")
        return wanted or named

    def _instrument(self, row: _Row, at: datetime) -> Instrument:
        try:
            return parse_dated(row.get("Instrument", ""), at.date())
        except BadRequest as error:
            raise _Unreadable(error.what) from None

    def _time(self, row: _Row, name: str) -> datetime:
        at = read_time(row.get(name, ""), self.order, self.options.zone)
        if at is None:
            raise _Unreadable(f"its {name.lower()} is {row.get(name, '')[:30]!a}")
        if at.date() > self.options.today or at.year < 2000:
            raise _Unreadable(f"its {name.lower()} would be {at:%Y-%m-%d}")
        return at

    def _quantity(self, row: _Row, name: str) -> int:
        number = read_number(row.get(name, ""), self.mark)
        if number is None or number <= 0 or number % 1 or number > 1_000_000:
            raise _Unreadable(f"its quantity is {row.get(name, '')[:30]!a}")
        return int(number)

    def _price(self, row: _Row, name: str, instrument: Instrument) -> Decimal:
        cell = row.get(name, "")
        price = read_32nds(cell) if ticks_in_32nds(instrument) and "'" in cell else read_number(cell, self.mark)
        if price is None or abs(price) > 10**9:
            raise _Unreadable(f"its {name.lower()} is {cell[:30]!a}")
        return price

    def _cost(self, row: _Row) -> Decimal | None:
        """Commission and fees together; None where no column of them holds anything."""
        amounts = [read_number(row[name], self.mark) for name in _FEES if row.get(name)]
        known = [abs(amount) for amount in amounts if amount is not None]
        return sum(known, Decimal(0)) if known else None


def _position(cell: str) -> int | None:
    """Read what was held afterwards: ``2 L``, ``1 S``, ``-``."""
    if cell == "-":
        return 0
    amount, _, side = cell.partition(" ")
    if not amount.isascii() or not amount.isdigit() or side not in ("L", "S"):
        return None
    return int(amount) if side == "L" else -int(amount)


def _named(parts: Sequence[object]) -> str:
    return f"nt-{sha256(repr([str(part) for part in parts]).encode()).hexdigest()[:20]}"


def _told_apart(rows: Sequence[_Executions]) -> _Executions:
    """Number what is of one moment in the order of the rows, and name apart what would bear one id."""
    ids: Counter[str] = Counter()
    moments: Counter[datetime] = Counter()
    told: list[RecordedExecution] = []
    for it in (each for row in rows for each in row):
        ids[it.execution_id] += 1
        moments[it.at] += 1
        number = ids[it.execution_id]
        name = it.execution_id if number == 1 else f"{it.execution_id}#{number}"
        told.append(replace(it, execution_id=name, ordinal=moments[it.at]))
    return tuple(sorted(told, key=lambda it: (it.at, it.ordinal)))
