"""The balances of accounts over their trading days, and the floors that the person told.

It stands alone, since nothing that is sent depends on what stands here but the rules of funded accounts.
"""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal

from ct_mcp.domain.balances import (
    AccountDay,
    BalanceRecord,
    Figures,
    ToldFloor,
    after_telling,
    joined,
    marked,
    noted,
)
from ct_mcp.domain.market import trading_day
from ct_mcp.store.codec import time_from_text, time_to_text
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.store.journal_table import append
from ct_mcp.store.sql import SqlConnection
from ct_mcp.store.trading_state import last_day_lost

_LONGEST = 400
_COLUMNS = "day, first_at, last_at, opening, balance, highest, is_flat, unwatched_from, unwatched_to"
_DAYS = f"""
SELECT {_COLUMNS} FROM account_days WHERE service = our_service() AND account = ? ORDER BY day DESC LIMIT ?
"""  # noqa: S608
_ALL_DAYS = f"SELECT account, {_COLUMNS} FROM account_days WHERE service = our_service() ORDER BY day, account"  # noqa: S608
_DAY = f"SELECT {_COLUMNS} FROM account_days WHERE service = our_service() AND account = ? AND day = ?"  # noqa: S608
_FORGET_DAY = "DELETE FROM account_days WHERE service = our_service() AND account = ? AND day = ? AND last_at = ?"
_KEEP_DAY = """
INSERT INTO account_days VALUES (our_service(), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (service, account, day)
DO UPDATE SET first_at = excluded.first_at, last_at = excluded.last_at, opening = excluded.opening,
balance = excluded.balance, highest = excluded.highest, is_flat = excluded.is_flat,
unwatched_from = excluded.unwatched_from, unwatched_to = excluded.unwatched_to
"""
_FORGET_LATER = "DELETE FROM account_days WHERE service = our_service() AND account = ? AND day > ?"
_FIND_TOLD = "SELECT floor, at, by FROM told_floors WHERE service = our_service() AND account = ?"
_TELL = """
INSERT INTO told_floors VALUES (our_service(), ?, ?, ?, ?) ON CONFLICT (service, account)
DO UPDATE SET floor = excluded.floor, at = excluded.at, by = excluded.by
"""

_Row = tuple[str, str, str, str | None, str | None, str | None, int | None, str | None, str | None]


def note_figures(connection: SqlConnection, figures: Iterable[Figures]) -> None:
    """Add what was read to the day that it was read in."""
    for read in figures:
        last = next(iter(_days(connection, read.account, 1)), None)
        day = noted(last, read) if read.mark is None else marked(last, read, _told(connection, read.account))
        if day is not None:
            _keep(connection, read.account, day)


def all_days(connection: SqlConnection) -> tuple[tuple[str, AccountDay], ...]:
    """Give every day on record, of every account."""
    return tuple((account, _day_of(row)) for account, *row in connection.execute(_ALL_DAYS).fetchall())


def join_day(connection: SqlConnection, account: str, day: AccountDay) -> None:
    """Add what was kept of a day in another place; what was before the person told the floor is in what they told."""
    told = _told(connection, account)
    if told is None or day.last_at > told.at:
        row = connection.execute(_DAY, (account, day.day.isoformat())).fetchone()
        _keep(connection, account, joined(None if row is None else _day_of(row), day))


def forget_day(connection: SqlConnection, account: str, day: AccountDay) -> None:
    """Take a day off the record, if nothing was added to it since."""
    connection.execute(_FORGET_DAY, (account, day.day.isoformat(), time_to_text(day.last_at)))


def balance_record(connection: SqlConnection, account: str) -> BalanceRecord:
    """Give all days on record, oldest first, the floor that was told last, and the last day that was lost."""
    days = tuple(reversed(_days(connection, account, _LONGEST)))
    return BalanceRecord(days, _told(connection, account), last_day_lost(connection, account))


def tell_floor(connection: SqlConnection, account: str, told: ToldFloor) -> None:
    """Keep the floor that the person told, and journal it; what was seen earlier in its day is in it."""
    before = balance_record(connection, account).told
    entry = NewEntry(
        EntryKind.FLOOR_TOLD,
        f"Floor of {account} told by {told.by}: {told.amount:f}",
        account=account,
        detail={"by": told.by, "floor": told.amount, "before": None if before is None else before.amount},
    )
    append(connection, entry, told.at)
    connection.execute(_TELL, (account, f"{told.amount:f}", time_to_text(told.at), told.by))
    today = trading_day(told.at)
    # What a clock that was ahead has written would keep everything from being noted until its day comes.
    connection.execute(_FORGET_LATER, (account, today.isoformat()))
    for day in _days(connection, account, 1):
        if day.day == today:
            _keep(connection, account, after_telling(day, told.at))


def _told(connection: SqlConnection, account: str) -> ToldFloor | None:
    row = connection.execute(_FIND_TOLD, (account,)).fetchone()
    return None if row is None else ToldFloor(Decimal(row[0]), time_from_text(row[1]), row[2])


def _days(connection: SqlConnection, account: str, most: int) -> list[AccountDay]:
    return [_day_of(row) for row in connection.execute(_DAYS, (account, most)).fetchall()]


def _day_of(row: _Row) -> AccountDay:
    day, first_at, last_at, opening, balance, highest, is_flat, began, ended = row
    return AccountDay(
        date.fromisoformat(day),
        time_from_text(first_at),
        time_from_text(last_at),
        _amount(opening),
        _amount(balance),
        _amount(highest),
        None if is_flat is None else bool(is_flat),
        None if began is None or ended is None else (time_from_text(began), time_from_text(ended)),
    )


def _keep(connection: SqlConnection, account: str, day: AccountDay) -> None:
    began, ended = day.unwatched or (None, None)
    amounts = (None if each is None else f"{each:f}" for each in (day.opening, day.balance, day.highest))
    times = (None if each is None else time_to_text(each) for each in (began, ended))
    row = (account, day.day.isoformat(), time_to_text(day.first_at), time_to_text(day.last_at), *amounts)
    connection.execute(_KEEP_DAY, (*row, None if day.is_flat is None else int(day.is_flat), *times))


def _amount(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
