"""Holds what an export says against what is on record, and keeps what is new of it: all of it in one go, or nothing.

How it works; the numbers stand again at the blocks that do it.

 1. What is on record by its id is known, and stays as it is. Where the same id stands at another time, the zone was
    said wrong, and nothing is kept.
 2. An execution of another source that is equal and of the same second is the same one by another id.
 3. A row of the Trades grid has no ids. Where the record has executions of its own of that contract in that time, the
    row is left out, and where rows of that grid are on record already the executions are: nothing is counted twice.
 4. Our journal knows what orders of ours filled when we looked, and of what was closed no prices. So it says little;
    what it says of positions keeps trades from being made of the half of them.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation

from ct_mcp.desk.ports import Store
from ct_mcp.domain.commands import PlaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.trades import RecordedExecution, Source
from ct_mcp.errors import BadRequest
from ct_mcp.store.journal import Entry, EntryKind
from ct_mcp.text import span

OF_TRADES_GRID = "nt-"
_SAME_SECOND = timedelta(seconds=1.5)
_ANOTHER_TIME = timedelta(minutes=1)
_MOST_ENTRIES = 1_000_000
_TELLING = frozenset({EntryKind.ANSWERED, EntryKind.READ_BACK, EntryKind.SETTLED})


@dataclass(slots=True)
class ImportPlan:
    """What would be kept, and what not: ``known`` by their ids, ``alike`` by another id, ``overlaps`` by rule 3.

    ``costs`` are those on record whose commission the file knows, and the record does not.
    """

    new: list[RecordedExecution] = field(default_factory=list)
    costs: list[RecordedExecution] = field(default_factory=list)
    known: int = 0
    alike: int = 0
    overlaps: int = 0

    @property
    def words(self) -> str:
        """All of it on one line."""
        told = [f"{len(self.new)} new"]
        told += [f"{self.known} known already"] if self.known else []
        told += [f"{self.alike} known by another id"] if self.alike else []
        told += [f"commission of {len(self.costs)} that had none"] if self.costs else []
        told += [f"{self.overlaps} of a time that is on record from another source"] if self.overlaps else []
        return ", ".join(told)

    def note_cost(self, it: RecordedExecution, known: RecordedExecution) -> None:
        """Take the commission of one on record that has none."""
        if known.commission is None and it.commission is not None:
            self.costs.append(replace(known, commission=it.commission))


async def plan_import(store: Store, executions: Sequence[RecordedExecution]) -> ImportPlan:
    """Say what some executions, of one source and oldest first, would add.

    Raises:
        BadRequest: It contradicts what is on record.
        StoreFailed: The record cannot be read.
    """
    plan = ImportPlan()
    for account in sorted({each.account for each in executions}):
        mine = [each for each in executions if each.account == account]
        day = timedelta(days=1)
        on_record = await store.executions_on_record(account, mine[0].at - day, mine[-1].at + day)
        _add(plan, mine, on_record)
    return plan


def _add(plan: ImportPlan, mine: Sequence[RecordedExecution], on_record: Sequence[RecordedExecution]) -> None:
    by_id, beside = {each.execution_id: each for each in on_record}, _OnRecord(mine, on_record)
    for it in mine:
        if (known := by_id.get(it.execution_id)) is not None:  # 1
            _refuse_another_time(it, known)
            plan.known += 1
            plan.note_cost(it, known)
        elif beside.overlaps(it):  # 3
            plan.overlaps += 1
        elif (same := beside.take_alike(it)) is not None:  # 2
            plan.alike += 1
            plan.note_cost(it, same)
        else:
            plan.new.append(it)


def _refuse_another_time(it: RecordedExecution, known: RecordedExecution) -> None:
    if abs(it.at - known.at) >= _ANOTHER_TIME:
        apart = span(abs(it.at - known.at).total_seconds())
        raise BadRequest(
            f"execution {it.execution_id[:60]!a} is on record at {known.at:%Y-%m-%d %H:%M:%S} UTC, {apart} from what "
            "the file says: the zone is not that of the computer that made the file; nothing was kept",
            next_step="say the zone with --zone",
        )


class _OnRecord:
    """What stands on record beside a file, looked up by instrument."""

    def __init__(self, mine: Sequence[RecordedExecution], on_record: Sequence[RecordedExecution]) -> None:
        ids = {each.execution_id for each in mine}
        self._alike: dict[tuple[object, ...], list[RecordedExecution]] = {}
        self._single: dict[Instrument, list[datetime]] = {}
        for each in sorted(on_record, key=lambda it: it.at):
            if not _is_of_trades(each):
                self._single.setdefault(each.instrument, []).append(each.at)
                if each.execution_id not in ids:
                    self._alike.setdefault(_content(each), []).append(each)
        self._rows = _held([*mine, *on_record])
        self._held: dict[Instrument, list[tuple[datetime, datetime]]] = {}
        for each in on_record:
            if _is_of_trades(each) and each.execution_id.partition("#")[0].endswith("-in"):
                self._held.setdefault(each.instrument, []).append(self._rows[_row_of(each)])

    def take_alike(self, it: RecordedExecution) -> RecordedExecution | None:
        """Give an equal one of the same second that is on record, once: it is that of no other."""
        alike = self._alike.get(_content(it), [])
        same = next((each for each in alike if abs(it.at - each.at) <= _SAME_SECOND), None)
        if same is not None:
            alike.remove(same)
        return same

    def overlaps(self, it: RecordedExecution) -> bool:
        """Say whether the same contracts may be on record from the other grid, or from the service."""
        if not _is_of_trades(it):
            held = self._held.get(it.instrument, ())
            return any(began - _SAME_SECOND <= it.at <= ended + _SAME_SECOND for began, ended in held)
        began, ended = self._rows[_row_of(it)]
        times = self._single.get(it.instrument, [])
        first = bisect_left(times, began - _SAME_SECOND)
        return first < len(times) and times[first] <= ended + _SAME_SECOND


def _content(it: RecordedExecution) -> tuple[object, ...]:
    return it.instrument, it.action, it.quantity, it.price


def _is_of_trades(it: RecordedExecution) -> bool:
    name = it.execution_id.partition("#")[0]
    return name.startswith(OF_TRADES_GRID) and name.endswith(("-in", "-out"))


def _row_of(it: RecordedExecution) -> str:
    """Name the row of the Trades grid that an execution was made of: its entry and its exit have one name."""
    name, _, number = it.execution_id.partition("#")
    return f"{name.removesuffix('-in').removesuffix('-out')}#{number}"


def _held(executions: Iterable[RecordedExecution]) -> dict[str, tuple[datetime, datetime]]:
    """Give from when to when each row of the Trades grid was held."""
    rows: dict[str, tuple[datetime, datetime]] = {}
    for it in executions:
        if _is_of_trades(it):
            began, ended = rows.get(_row_of(it), (it.at, it.at))
            rows[_row_of(it)] = min(began, it.at), max(ended, it.at)
    return rows


# 4: our own journal


async def from_journal(store: Store) -> tuple[RecordedExecution, ...]:
    """Make executions of what orders of ours were read to have filled; an order on record has none made of it."""
    accounts = {entry.account for entry in await store.entries(_MOST_ENTRIES) if entry.account}
    found: list[RecordedExecution] = []
    for account in sorted(accounts):
        on_record = {each.order_id for each in await store.executions_on_record(account)}
        told = {
            str(entry.detail.get("order_id")): entry
            for entry in reversed(await store.entries(_MOST_ENTRIES, account))
            if entry.kind in _TELLING and entry.detail.get("filled")
        }
        sent = await store.tickets_of_orders(account, frozenset(told))
        for order_id, entry in told.items():
            command = sent[order_id].ticket.commands[sent[order_id].place] if order_id in sent else None
            if order_id not in on_record and isinstance(command, PlaceOrder):
                found += _filled(order_id, command, entry)
    return tuple(found)


def _filled(order_id: str, order: PlaceOrder, entry: Entry) -> list[RecordedExecution]:
    filled, after = entry.detail.get("filled"), entry.detail.get("position_after")
    try:
        price = Decimal(str(entry.detail.get("average_fill_price")))
    except InvalidOperation:
        return []
    if not isinstance(filled, int) or not price.is_finite():
        return []
    return [
        RecordedExecution(
            order.account,
            f"journal-{order_id}",
            order.instrument,
            order.action,
            filled,
            price,
            entry.at,
            Source.JOURNAL,
            order_id,
            position_after=after if isinstance(after, int) else None,
        )
    ]
