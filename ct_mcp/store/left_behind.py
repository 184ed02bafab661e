"""What a machine noted while it was alone and that only tightens: carried over once the shared store is reached again.

A day's loss that was reached holds for the day, also where it comes back before anybody could be told; so do a peak
that a floor follows, the denials and declines that halt trading, and wrong tries at the PIN. All of it stands in the
file of that machine, so it is carried over also by a process that was started since. What was carried over once adds
nothing the second time.

A machine whose clock is off is kept from the shared store for that very reason: what it noted of times to come is not
carried over.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from ct_mcp.domain.balances import AccountDay
from ct_mcp.domain.market import trading_day
from ct_mcp.store import balances, journal_table, trading_state
from ct_mcp.store.journal import Entry, EntryKind, NewEntry, copy_of
from ct_mcp.store.sql import SqlConnection
from ct_mcp.store.trading_state import PIN_TRIES_WITHIN

# As far back as the desk looks for what halts trading.
_COUNTS_FOR = timedelta(minutes=10)
_MOST_REFUSED = 100


@dataclass(frozen=True, slots=True)
class LeftBehind:
    """Losses of the day and balances by account; what was denied, declined or suspicious; wrong tries at the PIN."""

    losses: tuple[tuple[str, date, Decimal], ...] = ()
    days: tuple[tuple[str, AccountDay], ...] = ()
    refused: tuple[Entry, ...] = ()
    tries: tuple[datetime, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing."""
        return not (self.losses or self.days or self.refused or self.tries)


def find(connection: SqlConnection, now: datetime) -> LeftBehind:
    """Read from the file of a machine what is to be carried over."""
    losses = trading_state.days_lost(connection)
    return LeftBehind(
        tuple(lost for lost in losses if lost[1] <= trading_day(now)),
        tuple((account, day) for account, day in balances.all_days(connection) if day.last_at <= now),
        tuple(_refused(connection, now)),
        tuple(at for at in trading_state.pin_tries(connection, now - PIN_TRIES_WITHIN) if at <= now),
    )


def carry_over(connection: SqlConnection, left: LeftBehind, note: NewEntry | None, now: datetime) -> None:
    """Write it into the shared store, and the note that says how it came there, in one transaction."""
    known = set(map(_name_of, _refused(connection, now)))
    for entry in left.refused:
        if _name_of(entry) not in known:
            journal_table.append_late(connection, copy_of(entry), entry.at)
    for account, day in left.days:
        balances.join_day(connection, account, day)
    for account, lost_on, figure in left.losses:
        trading_state.mark_day_loss(connection, account, lost_on, figure, now)
    trading_state.add_pin_tries(connection, left.tries)
    if note is not None:
        journal_table.append(connection, note, now)


def forget(connection: SqlConnection, left: LeftBehind) -> None:
    """Take out of the file what would be of another time when it is alone again; what is journalled there stays."""
    for account, day in left.days:
        balances.forget_day(connection, account, day)


def _refused(connection: SqlConnection, now: datetime) -> Iterator[Entry]:
    newest_first = journal_table.refusals(connection, _MOST_REFUSED, now - _COUNTS_FOR)
    return (each for each in reversed(newest_first) if each.kind is not EntryKind.RESUMED and each.at <= now)


def _name_of(entry: Entry) -> tuple[object, ...]:
    return entry.at, entry.kind, entry.ticket_id, entry.summary
