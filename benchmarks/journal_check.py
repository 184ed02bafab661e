"""The journal of one state folder, read beside the server: written before the wire, and ending as the truth does?"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from judge import Found, Observation, effects
from operations import Order, Truth

from ct_mcp.store import journal_table, trading_state
from ct_mcp.store.alone import FILE_NAME as ALONE
from ct_mcp.store.database import Database
from ct_mcp.store.journal import SETTLING, Entry, EntryKind, NewEntry, Verification
from ct_mcp.store.postgres import PostgresDatabase
from ct_mcp.store.sqlite import FILE_NAME

PERSON = "the person of the campaign"
_FAR = 10**9
_LOST = frozenset({EntryKind.UNKNOWN, EntryKind.READ_BACK})


Place = tuple[int, ...]
"""Where a journal ends, and those that machines have written by themselves."""


class JournalReader:
    """The state of servers that run, or were killed: a file, or a database and what each machine wrote by itself."""

    def __init__(self, folders: Sequence[Path], shared: PostgresDatabase | None = None) -> None:
        self._file = shared or Database(folders[0] / FILE_NAME, 5.0)
        alone = [Database(folder / ALONE, 5.0) for folder in folders]
        self._alone = [] if shared is None else alone

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Close it at the end."""
        with ExitStack() as stack:
            for each in (self._file, *self._alone):
                stack.enter_context(closing(each))
            yield

    def last(self) -> Place:
        """Where the journals end."""
        return tuple(_last(each) for each in (self._file, *self._alone))

    def since(self, place: Place = ()) -> list[Entry]:
        """What was written later, oldest first; what machines have written by themselves after all else."""
        known = (*place, 0, 0, 0)
        entries = [*_since(self._file, known[0])]
        for number, each in enumerate(self._alone, start=1):
            entries += [replace(one, sequence=one.sequence + number * _FAR) for one in _since(each, known[number])]
        return entries

    def unsettled(self) -> tuple[Entry, ...]:
        """The intents of unknown fate."""
        return self._file.read(journal_table.unsettled)

    def resume(self, now: datetime) -> bool:
        """Lift the halt as the person does, who alone can; says whether there was one."""
        return self._file.read(trading_state.halt) is not None and self._file.write(
            trading_state.clear_halt, PERSON, now
        )

    def settle_by_hand(self, older_than: datetime, now: datetime) -> list[Entry]:
        """Settle as `ct-mcp journal settle` does what nobody could find out about; gives the intents."""
        left = [entry for entry in self.unsettled() if entry.at <= older_than]
        for entry in left:
            settled = NewEntry(
                EntryKind.SETTLED, entry.summary, entry.account, entry.ticket_id, entry.own_id, detail={"by": PERSON}
            )
            self._file.write(journal_table.append, settled, now)
        return left

    def verified(self) -> Verification:
        """Check the whole chain."""
        return self._file.read(journal_table.verify)


def _last(journal: Database | PostgresDatabase) -> int:
    newest = journal.read(journal_table.newest, 1, None, None)
    return newest[0].sequence if newest else 0


def _since(journal: Database | PostgresDatabase, sequence: int) -> list[Entry]:
    ahead = _last(journal) - sequence
    return [*reversed(journal.read(journal_table.newest, ahead, None, None))] if ahead else []


def losses_in(entries: list[Entry], observed: Observation) -> Found:
    """What was sent without a journal, and whose end in the journal is not what stands."""
    intents = [entry for entry in entries if entry.kind is EntryKind.INTENT]
    if observed.writes.total() > len(intents):
        yield "loss", f"{observed.writes.total()} writes left, {len(intents)} were written down before"
    own_ids = {entry.own_id for entry in intents}
    by_own_id = {order["own_id"]: order for order in observed.after["orders"] if order["own_id"] in own_ids}
    for own_id, order in by_own_id.items():
        yield from _wrong_end([entry for entry in entries if entry.own_id == own_id], order)
    ends = [_end_of(intent, entries) for intent in intents]
    if ends and all(end is not None and _is_no(end) for end in ends) and (changed := effects(observed)):
        yield "false rejected", f"the journal says that nothing was sent or all was refused, and: {changed}"


def _end_of(intent: Entry, entries: list[Entry]) -> Entry | None:
    """What settled an intent, if anything did so far."""
    later = (one for one in entries if one.sequence > intent.sequence and _is_about(one, intent))
    return next((one for one in later if one.kind in SETTLING), None)


def _is_about(one: Entry, intent: Entry) -> bool:
    """Say whether an entry speaks of this command of a ticket, which may hold several."""
    return one.ticket_id == intent.ticket_id and (None in (one.own_id, intent.own_id) or one.own_id == intent.own_id)


def _is_no(end: Entry) -> bool:
    """Not sent, or refused by them: what was read back has a status, what was refused has none."""
    return "not_sent" in end.detail or ("step" in end.detail and "status" not in end.detail)


def _wrong_end(story: list[Entry], order: Order) -> Found:
    """An order that stands, and whose story ends as if it did not; a rejected one never stood."""
    end = next((entry for entry in reversed(story) if entry.kind in SETTLING), None)
    if end is None or end.detail.get("by") or order["state"] == "Rejected":
        return
    named = end.detail.get("order_id")
    if named not in (order["id"], order["own_id"]):
        yield "false rejected", f"the journal ends with {dict(end.detail)}, and there is {order}"


def settled_wrongly(entries: list[Entry], after: Truth) -> Found:
    """What was found out later must be so: the state and the fill of the order that was found."""
    for entry in entries:
        found = entry.detail
        if entry.kind is not EntryKind.SETTLED or "state" not in found:
            continue
        order = next((each for each in after["orders"] if found["order_id"] in (each["id"], each["own_id"])), None)
        if order is None:
            yield "loss", f"settled as {dict(found)}, and there is no such order"
        elif found["state"] == "FILLED" and order["state"] != "Filled":
            yield "false filled", f"settled as {dict(found)}: {order}"
        elif found["state"] in ("CANCELLED", "REJECTED") and order["is_live"]:
            yield "false rejected", f"settled as {dict(found)}: {order}"


def lost_and_found(entries: list[Entry]) -> Iterator[tuple[str, float]]:
    """Each intent whose answer was lost, or not seen: who found out what became of it, and after how many seconds.

    ``itself`` is the call that sent it, ``later`` a look before another action, ``person`` by hand, ``left`` nobody.
    """
    for index, intent in enumerate(entries):
        if intent.kind is not EntryKind.INTENT:
            continue
        story = [one for one in entries[index + 1 :] if _is_about(one, intent)]
        end = _end_of(intent, entries[index:])
        was_lost = any(one.kind in _LOST for one in story) or not story
        if was_lost or (end is not None and end.kind is EntryKind.SETTLED):
            yield _finder(end), 0.0 if end is None else (end.at - intent.at).total_seconds()


def _finder(end: Entry | None) -> str:
    if end is None:
        return "left"
    if end.kind is EntryKind.ANSWERED:
        return "itself"
    return "person" if end.detail.get("by") == PERSON else "later"
