"""What all processes of this machine share on disk: halt, day's losses, armings, the PIN and its tries.

Each change that the person should find later is journalled in the same transaction.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal

from ct_mcp.domain.approval import Halt
from ct_mcp.domain.commands import PlaceOrder
from ct_mcp.domain.market import trading_day, trading_day_began
from ct_mcp.store.codec import time_from_text, time_to_text
from ct_mcp.store.duties import entries_owed
from ct_mcp.store.journal import EntryKind, LastIntent, NewEntry
from ct_mcp.store.journal_table import append, first_sent, last_intent, orders_sent
from ct_mcp.store.sql import SqlConnection


@dataclass(frozen=True, slots=True)
class TradingState:
    """What a review asks the store, as of one moment. Counts are of intents that open or add, in this account.

    ``entries`` are those that are owed exits, or have them, by our order ids and by the service's.
    """

    last_identical: LastIntent | None
    halt: Halt | None
    armed_until: datetime | None
    day_loss_reached: bool
    orders_last_minute: int
    orders_today: int
    entries: Mapping[str, PlaceOrder] = field(default_factory=dict)
    minute_began_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class StoredPin:
    """What scrypt made of the PIN, and with what; the PIN itself is nowhere."""

    salt: bytes
    cost: int
    block_size: int
    parallel: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class PinLocked:
    """Too many wrong tries: the next one counts after this time."""

    until: datetime


def recall(connection: SqlConnection, account: str, fingerprint: str, now: datetime) -> TradingState:
    """Read all that a review asks the store about an account and a command."""
    return TradingState(
        last_identical=last_intent(connection, fingerprint),
        halt=halt(connection),
        armed_until=armed_until(connection, account, now),
        day_loss_reached=day_loss(connection, account, trading_day(now)),
        orders_last_minute=orders_sent(connection, account, now - timedelta(minutes=1)),
        orders_today=orders_sent(connection, account, trading_day_began(now)),
        entries=entries_owed(connection, account),
        minute_began_at=first_sent(connection, account, now - timedelta(minutes=1)),
    )


# Of what holds back, what is nobody's counts for everybody; of what allows, nothing does. A process without a token,
# which is the person's terminal, sees and ends it all.
_HOLDS_US = "(our_service() = '' OR service IN ('', our_service()))"
_IS_OURS = "our_service() IN ('', service)"
_MARK_LOSS = "INSERT INTO day_losses VALUES (our_service(), ?, ?, ?) ON CONFLICT DO NOTHING"
_ARM = """
INSERT INTO armings VALUES (our_service(), ?, ?, ?) ON CONFLICT (service, account)
DO UPDATE SET until = excluded.until, by = excluded.by
"""


def halt(connection: SqlConnection) -> Halt | None:
    """Read the halt that stands; None if trading is not halted."""
    rows = connection.execute(f"SELECT by, at, reason FROM halt WHERE {_HOLDS_US} ORDER BY at").fetchall()  # noqa: S608
    if not rows:
        return None
    by, at, _ = rows[0]
    return Halt(by, time_from_text(at), "; ".join(dict.fromkeys(reason for _, _, reason in rows)))


def set_halt(connection: SqlConnection, new: Halt, for_all: bool = False) -> bool:  # noqa: FBT001, FBT002  # as SqlStore passes it
    """Halt trading of this service, or ``for_all``; the first halt stands, with its reason, until it is lifted.

    Say whether this is the first.
    """
    whom = "''" if for_all else "our_service()"
    if connection.execute(f"SELECT 1 FROM halt WHERE service IN ('', {whom})").fetchone() is not None:  # noqa: S608
        return False
    row = (new.by, time_to_text(new.at), new.reason)
    connection.execute(f"INSERT INTO halt VALUES ({whom}, ?, ?, ?)", row)  # noqa: S608
    entry = NewEntry(EntryKind.HALTED, f"Trading halted by {new.by}: {new.reason}", detail={"by": new.by})
    append(connection, entry, new.at)
    return True


def clear_halt(connection: SqlConnection, by: str, now: datetime, shown: Halt | None = None) -> bool:
    """Lift the halt, where one was shown only that; say whether it did."""
    if shown is not None and halt(connection) != shown:
        return False
    if connection.execute(f"DELETE FROM halt WHERE {_HOLDS_US}").rowcount == 0:  # noqa: S608
        return False
    append(connection, NewEntry(EntryKind.RESUMED, f"Trading resumed by {by}", detail={"by": by}), now)
    return True


def day_loss(connection: SqlConnection, account: str, day: date) -> bool:
    """Say whether the account has reached its loss limit in this trading day, or in one that a clock set back hides.

    The stream may spell its name in other letters than the lists do, and a loss counts however it was told.
    """
    found = connection.execute(
        f"SELECT 1 FROM day_losses WHERE lower(account) = lower(?) AND day >= ? AND {_HOLDS_US}",  # noqa: S608
        (account, day.isoformat()),
    )
    return found.fetchone() is not None


def last_day_lost(connection: SqlConnection, account: str) -> date | None:
    """Give the last trading day in which the account reached its loss limit; None where it never has."""
    found = connection.execute(
        f"SELECT MAX(day) FROM day_losses WHERE lower(account) = lower(?) AND {_HOLDS_US}",  # noqa: S608
        (account,),
    )
    row = found.fetchone()
    return None if row is None or row[0] is None else date.fromisoformat(row[0])


def days_lost(connection: SqlConnection) -> tuple[tuple[str, date, Decimal], ...]:
    """List every account, day and figure of ours with which a loss limit was reached."""
    rows = connection.execute("SELECT account, day, figure FROM day_losses WHERE service = our_service() ORDER BY day")
    return tuple((account, date.fromisoformat(day), Decimal(figure)) for account, day, figure in rows)


def mark_day_loss(connection: SqlConnection, account: str, day: date, figure: Decimal, now: datetime) -> bool:
    """Remember that the limit was reached; nothing unmarks a day. Say whether that is new."""
    row = (account, day.isoformat(), str(figure))
    if connection.execute(_MARK_LOSS, row).rowcount == 0:
        return False
    summary = f"Day's loss limit of {account} reached on {day}: {figure}"
    entry = NewEntry(EntryKind.DAY_LOSS, summary, account=account, detail={"day": day, "figure": figure})
    append(connection, entry, now)
    return True


def armed_until(connection: SqlConnection, account: str, now: datetime) -> datetime | None:
    """Tell when the arming of the account ends; None if it is not armed."""
    return armings(connection, now).get(account)


def armings(connection: SqlConnection, now: datetime) -> dict[str, datetime]:
    """List every account that is armed, and until when."""
    # By the end of each, so that of two services which a terminal sees the later one is told.
    rows = connection.execute(f"SELECT account, until FROM armings WHERE {_IS_OURS} ORDER BY until")  # noqa: S608
    ends = {account: time_from_text(until) for account, until in rows}
    return {account: until for account, until in sorted(ends.items()) if now < until}


def arm(connection: SqlConnection, account: str, until: datetime, by: str, now: datetime) -> None:
    """Arm the account, or move the end of its arming."""
    end = time_to_text(until)
    summary = f"{account} armed by {by} until {end}"
    # The entry first: it may find that the clock was set back, which ends the armings that there are.
    append(connection, NewEntry(EntryKind.ARMED, summary, account=account, detail={"by": by, "until": end}), now)
    connection.execute(_ARM, (account, end, by))


def disarm(connection: SqlConnection, account: str, by: str, now: datetime) -> bool:
    """End the arming of the account; say whether there was one."""
    ended = connection.execute(f"DELETE FROM armings WHERE account = ? AND {_IS_OURS}", (account,))  # noqa: S608
    if ended.rowcount == 0:
        return False
    append(connection, NewEntry(EntryKind.DISARMED, f"{account} disarmed by {by}", account=account), now)
    return True


# So many wrong tries within this time lock the PIN, for the same time from the last of them on.
PIN_TRIES = 5
PIN_TRIES_WITHIN = timedelta(minutes=15)
"""So long after the last of `PIN_TRIES` wrong tries within this time no try counts."""

_KEEP_PIN = """
INSERT INTO pin VALUES (1, ?, ?, ?, ?, ?) ON CONFLICT (one) DO UPDATE SET salt = excluded.salt, cost = excluded.cost,
block_size = excluded.block_size, parallel = excluded.parallel, digest = excluded.digest
"""
_LAST_TRIES = "SELECT at FROM pin_tries ORDER BY number DESC LIMIT ?"
_FORGET_OLDER_TRIES = "DELETE FROM pin_tries WHERE number <= (SELECT MAX(number) FROM pin_tries) - ?"


def find_pin(connection: SqlConnection) -> StoredPin | None:
    """Read what is kept of the PIN; None if none is set."""
    row = connection.execute("SELECT salt, cost, block_size, parallel, digest FROM pin").fetchone()
    return None if row is None else StoredPin(*row)


def keep_pin(connection: SqlConnection, pin: StoredPin, now: datetime) -> None:
    """Set the PIN, and journal that it was set; wrong tries at the one before are forgotten."""
    known = find_pin(connection) is not None
    connection.execute(_KEEP_PIN, astuple(pin))
    forgive_pin_tries(connection)
    append(connection, NewEntry(EntryKind.PIN_SET, f"PIN {'changed' if known else 'set'} by the person"), now)


def count_pin_try(connection: SqlConnection, now: datetime) -> StoredPin | PinLocked | None:
    """Count a try as wrong, before anybody compares it, and give what to compare it with; None where none is set.

    A locked PIN counts nothing, so that whoever goes on trying does not prolong its lock for ever.
    """
    pin = find_pin(connection)
    if pin is None:
        return None
    locked = _lock(connection)
    if locked is not None and now < locked.until:
        summary = f"PIN tried while it is locked until {time_to_text(locked.until)}"
        append(connection, NewEntry(EntryKind.PIN_WRONG, summary, detail={"what": "locked"}), now)
        return locked
    connection.execute("INSERT INTO pin_tries (at) VALUES (?)", (time_to_text(now),))
    connection.execute(_FORGET_OLDER_TRIES, (PIN_TRIES,))
    return pin


def forgive_pin_tries(connection: SqlConnection) -> None:
    """Forget the wrong tries: the right PIN was given."""
    connection.execute("DELETE FROM pin_tries")


def copy_pin(connection: SqlConnection, pin: StoredPin | None) -> None:
    """Keep what another store keeps of the PIN, or that none is set; tries at another one are forgotten."""
    if find_pin(connection) == pin:
        return
    connection.execute("DELETE FROM pin")
    forgive_pin_tries(connection)
    if pin is not None:
        connection.execute(_KEEP_PIN, astuple(pin))


def pin_tries(connection: SqlConnection, since: datetime) -> tuple[datetime, ...]:
    """Give the times of the wrong tries since a moment."""
    rows = connection.execute("SELECT at FROM pin_tries WHERE at >= ? ORDER BY number", (time_to_text(since),))
    return tuple(time_from_text(at) for (at,) in rows)


def add_pin_tries(connection: SqlConnection, tries: Iterable[datetime]) -> None:
    """Count wrong tries that were made elsewhere as well; those that are counted already are not counted twice."""
    known = Counter(at for (at,) in connection.execute("SELECT at FROM pin_tries"))
    more = Counter(map(time_to_text, tries)) - known
    if more:
        forgive_pin_tries(connection)
        every = sorted((known + more).elements())[-PIN_TRIES:]
        connection.executemany("INSERT INTO pin_tries (at) VALUES (?)", [(at,) for at in every])


def _lock(connection: SqlConnection) -> PinLocked | None:
    times = [time_from_text(at) for (at,) in connection.execute(_LAST_TRIES, (PIN_TRIES,))]
    if len(times) < PIN_TRIES or times[0] - times[-1] > PIN_TRIES_WITHIN:
        return None
    return PinLocked(times[0] + PIN_TRIES_WITHIN)
