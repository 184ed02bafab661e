"""The book on disk: executions, the stretches in which somebody listened, contracts and excursions.

It stands alone: nothing that is sent depends on what stands here. Whose it is, ``book_service`` says: a terminal
without a token sees the book of the one service that there is, and none where there are several.
"""

# ruff: noqa: S608  # what is put into a statement here is a piece of another, and never a value

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from ct_mcp.domain.instrument import held_instrument
from ct_mcp.domain.order import OrderAction
from ct_mcp.domain.plan import SentOrder
from ct_mcp.domain.trades import Excursion, ExcursionSource, Listening, RecordedExecution, Source, Worth
from ct_mcp.store import tickets
from ct_mcp.store.codec import named_order, time_from_text, time_to_text
from ct_mcp.store.sql import SqlConnection

_T = TypeVar("_T")

PAGE = 5000
"""So many are read at a time: whoever has to write something meanwhile waits for no more."""
_OURS = "(SELECT service FROM book_service)"
_KEEP = "INSERT INTO book_executions VALUES {places} ON CONFLICT DO NOTHING"
_PLACES = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_KEEP_COSTS = f"""
UPDATE book_executions SET commission = ?
WHERE service = {_OURS} AND account = ? AND execution_id IN ({{places}}) AND commission IS NULL
"""
# Each statement may be a question to another machine, whose other writers wait; SQLite takes 999 values in one.
_ROWS_AT_ONCE, _IDS_AT_ONCE = 60, 900
_COLUMNS = """
account, execution_id, root, year, month, action, quantity, price, at, source, order_id, name, commission,
position_after, ordinal
"""
_FIND = f"""
SELECT {_COLUMNS} FROM book_executions WHERE service = {_OURS} AND account = ? AND at >= ? AND at < ?
    AND (at, ordinal, execution_id) > (?, ?, ?) ORDER BY at, ordinal, execution_id LIMIT ?
"""
_ACCOUNTS = f"""
SELECT account FROM book_executions WHERE service = {_OURS} UNION
SELECT account FROM book_stretches WHERE service = {_OURS} ORDER BY account
"""
_STRETCHES = f"""
SELECT began, ended, positions FROM book_stretches WHERE service = {_OURS} AND account = ? ORDER BY began
"""
_LATER_END = """
CASE WHEN excluded.ended > book_stretches.ended THEN excluded.ended ELSE book_stretches.ended END
"""
_KEEP_STRETCH = f"""
INSERT INTO book_stretches VALUES ({_OURS}, ?, ?, ?, ?) ON CONFLICT (service, account, began) DO UPDATE
SET ended = {_LATER_END}, positions = coalesce(book_stretches.positions, excluded.positions)
"""
_KEEP_WORTH = f"""
INSERT INTO book_contracts VALUES ({_OURS}, ?, ?, ?, ?) ON CONFLICT (service, root) DO UPDATE
SET tick_size = excluded.tick_size, point_value = excluded.point_value, currency = excluded.currency
"""
_WORTHS = f"SELECT root, tick_size, point_value, currency FROM book_contracts WHERE service = {_OURS} ORDER BY root"
_KEEP_EXCURSION = f"INSERT INTO book_excursions VALUES ({_OURS}, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
_EXCURSIONS = (
    f"SELECT trip_id, worst, best, source FROM book_excursions WHERE service = {_OURS} AND account = ? AND at >= ?"
)
_OF_ACCOUNT = f"WHERE service = {_OURS} AND account = :account"
_MARK = f"""
SELECT (SELECT COUNT(*) || ' ' || COUNT(commission) FROM book_executions {_OF_ACCOUNT} AND at <= :until) || ' ' ||
    (SELECT COUNT(*) || ' ' || COUNT(positions) FROM book_stretches {_OF_ACCOUNT} AND began <= :until),
    (SELECT COUNT(*) || ' ' || COUNT(commission) FROM book_executions {_OF_ACCOUNT}),
    (SELECT COUNT(*) || ' ' || COUNT(positions) || ' ' || MIN(began) FROM book_stretches {_OF_ACCOUNT}),
    (SELECT COUNT(*) FROM book_excursions {_OF_ACCOUNT}),
    (SELECT MAX(sequence) FROM journal WHERE account = :account)
"""
_EXTENT = f"SELECT MIN(at), COUNT(*) FROM book_executions {_OF_ACCOUNT}"
_FORGET = (
    f"DELETE FROM book_executions {_OF_ACCOUNT} AND at < :cut",
    f"DELETE FROM book_excursions {_OF_ACCOUNT} AND at < :cut",
    f"DELETE FROM book_stretches {_OF_ACCOUNT} AND ended < :cut",
    f"""
    INSERT INTO book_stretches SELECT service, account, :cut, MAX(ended), NULL FROM book_stretches {_OF_ACCOUNT}
    AND began < :cut GROUP BY service, account
    ON CONFLICT (service, account, began) DO UPDATE SET ended = {_LATER_END}, positions = NULL
    """,
    f"DELETE FROM book_stretches {_OF_ACCOUNT} AND began < :cut",
)
_ORDERS = """
SELECT detail, ticket_id, own_id FROM journal
WHERE account = ? AND at >= ? AND kind IN ('accepted', 'answered', 'read_back', 'settled') AND own_id IS NOT NULL
    AND instr(detail, '"order_id":') > 0 AND ticket_id NOT IN (SELECT ticket_id FROM others) ORDER BY sequence DESC
"""
_FORGET_IMPORTED = f"DELETE FROM book_executions {_OF_ACCOUNT} AND source <> 'heard'"
_APPROVED = "SELECT MAX(at) FROM journal WHERE ticket_id = ? AND kind = 'approved'"
_FIRST, _LAST = "", "~"


def keep_executions(connection: SqlConnection, executions: Iterable[RecordedExecution]) -> int:
    """Add those that are not on record, by their ids; gives how many were new."""
    (service,) = connection.execute("SELECT service FROM book_service").fetchone()
    changed = 0
    for some in _parts([(service, *_row_of(execution)) for execution in executions], _ROWS_AT_ONCE):
        statement = _KEEP.format(places=", ".join([_PLACES] * len(some)))
        changed += connection.execute(statement, [value for row in some for value in row]).rowcount
    return changed


def keep_import(connection: SqlConnection, new: Iterable[RecordedExecution], costs: Iterable[RecordedExecution]) -> int:
    """Keep what is new of an import, and the commissions that it knows of what is on record: all of it or nothing."""
    alike: dict[tuple[str, str], list[str]] = {}
    for it in costs:
        alike.setdefault((f"{it.commission:f}", it.account), []).append(it.execution_id)
    for key, execution_ids in alike.items():
        for some in _parts(execution_ids, _IDS_AT_ONCE):
            connection.execute(_KEEP_COSTS.format(places=", ".join("?" * len(some))), (*key, *some))
    return keep_executions(connection, new)


def _parts(whole: Sequence[_T], most: int) -> Iterator[Sequence[_T]]:
    return (whole[first : first + most] for first in range(0, len(whole), most))


def keep_heard(
    connection: SqlConnection, account: str, found: Iterable[RecordedExecution], listening: Listening
) -> int:
    """Keep what was read, and that so long nothing was missed, both or neither; gives how many were new."""
    new = keep_executions(connection, found)
    keep_listening(connection, account, listening)
    return new


def mark(connection: SqlConnection, account: str, until: datetime | None) -> tuple[object, object]:
    """Give what is another as soon as anything of the account's book is: of what is until then, and of all."""
    named = {"account": account, "until": _FIRST if until is None else time_to_text(until)}
    found, *rest = connection.execute(_MARK, named).fetchone()
    settled = found, worths(connection)
    return settled, (settled, *rest)


def extent(connection: SqlConnection, account: str) -> tuple[datetime | None, int]:
    """Give the time of the oldest execution, and how many there are."""
    oldest, how_many = connection.execute(_EXTENT, {"account": account}).fetchone()
    return None if oldest is None else time_from_text(oldest), how_many


def prune(connection: SqlConnection, account: str, before: datetime, held: Listening) -> None:
    """Forget what is older than a moment, and keep what was held at it."""
    cut = time_to_text(before)
    for forget in _FORGET:
        connection.execute(forget, {"account": account, "cut": cut})
    keep_listening(connection, account, held)


def forget_imported(connection: SqlConnection, account: str) -> int:
    """Forget what was imported of an account, so that it can be imported anew; gives how many executions."""
    return connection.execute(_FORGET_IMPORTED, {"account": account}).rowcount


def has_one_service(connection: SqlConnection) -> bool:
    """Say whether it is clear whose book is meant."""
    return connection.execute("SELECT service FROM book_service").fetchone()[0] is not None


def executions(
    connection: SqlConnection,
    account: str,
    since: datetime | None,
    until: datetime | None,
    after: RecordedExecution | None = None,
) -> tuple[RecordedExecution, ...]:
    """Read a page of those of an account from ``since`` on and before ``until``, oldest first, behind another."""
    began, ended = (end if at is None else time_to_text(at) for at, end in ((since, _FIRST), (until, _LAST)))
    behind = (_FIRST, 0, _FIRST) if after is None else (time_to_text(after.at), after.ordinal, after.execution_id)
    return tuple(_execution_of(row) for row in connection.execute(_FIND, (account, began, ended, *behind, PAGE)))


def accounts(connection: SqlConnection) -> tuple[str, ...]:
    """Name those that anything is on record of."""
    return tuple(row[0] for row in connection.execute(_ACCOUNTS))


def keep_listening(connection: SqlConnection, account: str, listening: Listening) -> None:
    """Keep a stretch, or how much longer it has become."""
    held = None if listening.positions is None else json.dumps({str(key): net for key, net in listening.positions})
    row = (account, time_to_text(listening.began), time_to_text(listening.ended), held)
    connection.execute(_KEEP_STRETCH, row)


def listenings(connection: SqlConnection, account: str) -> tuple[Listening, ...]:
    """Give the stretches in which somebody listened, oldest first."""
    return tuple(
        Listening(time_from_text(began), time_from_text(ended), _positions(held))
        for began, ended, held in connection.execute(_STRETCHES, (account,))
    )


def keep_worths(connection: SqlConnection, worths: Iterable[Worth]) -> None:
    """Keep what contracts are worth, as the service says."""
    rows = [(each.root, f"{each.tick_size:f}", f"{each.point_value:f}", each.currency) for each in worths]
    connection.executemany(_KEEP_WORTH, rows)


def worths(connection: SqlConnection) -> tuple[Worth, ...]:
    """Give what is known of contracts."""
    return tuple(
        Worth(root, Decimal(tick), Decimal(point), currency)
        for root, tick, point, currency in connection.execute(_WORTHS)
    )


def keep_excursion(connection: SqlConnection, account: str, trip_id: str, excursion: Excursion, at: datetime) -> None:
    """Keep how far prices went while a round trip was held; the first that is known stands."""
    row = (account, trip_id, f"{excursion.worst:f}", f"{excursion.best:f}", excursion.source.value, time_to_text(at))
    connection.execute(_KEEP_EXCURSION, row)


def excursions(connection: SqlConnection, account: str, since: datetime | None) -> dict[str, Excursion]:
    """Give what has become known since a moment, by the ids of round trips."""
    began = _FIRST if since is None else time_to_text(since)
    return {
        trip_id: Excursion(Decimal(worst), Decimal(best), ExcursionSource(source))
        for trip_id, worst, best, source in connection.execute(_EXCURSIONS, (account, began))
    }


def _row_of(it: RecordedExecution) -> tuple[Any, ...]:
    where, commission = it.instrument, None if it.commission is None else f"{it.commission:f}"
    what = (it.account, it.execution_id, where.root, where.year, where.month, it.action.value, it.quantity)
    when = (f"{it.price:f}", time_to_text(it.at), it.source.value, it.order_id, it.name)
    return (*what, *when, commission, it.position_after, it.ordinal)


def _execution_of(row: tuple[Any, ...]) -> RecordedExecution:
    account, execution_id, root, year, month, action, quantity, price, at, source, *rest = row
    order_id, name, commission, position_after, ordinal = rest
    return RecordedExecution(
        account,
        execution_id,
        held_instrument(root, year, month),
        OrderAction(action),
        quantity,
        Decimal(price),
        time_from_text(at),
        Source(source),
        order_id,
        name,
        None if commission is None else Decimal(commission),
        position_after=position_after,
        ordinal=ordinal,
    )


def _positions(held: str | None) -> tuple[tuple[str, int], ...] | None:
    return None if held is None else tuple(json.loads(held).items())


def tickets_of_orders(
    connection: SqlConnection, account: str, wanted: Collection[str], since: datetime | None
) -> dict[str, SentOrder]:
    """Give what each of these orders was sent under since a moment, by the service's id, as far as they are ours.

    The oldest entry that names an order is about the command that sent it: a later change or cancel names it as well.
    """
    answers = connection.execute(_ORDERS, (account, _FIRST if since is None else time_to_text(since)))
    rows = [(named_order(detail), *rest) for detail, *rest in answers]
    named = {str(order_id): (str(ticket_id), str(own_id)) for order_id, ticket_id, own_id in rows if order_id in wanted}
    read = {ticket_id: tickets.find(connection, ticket_id) for ticket_id, _ in named.values()}
    approved = {
        ticket_id: time_from_text(at)
        for ticket_id in read
        for (at,) in connection.execute(_APPROVED, (ticket_id,))
        if at is not None
    }
    return {
        order_id: SentOrder(ticket, place, approved.get(ticket_id))
        for order_id, (ticket_id, own_id) in named.items()
        if (ticket := read[ticket_id]) is not None
        for place in range(len(ticket.commands))
        if ticket.own_id_of(place) == own_id
    }
