"""What every process of this machine must agree on: the halt, the day's losses, which accounts are armed."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from sqlite3 import Connection

from ct_mcp.domain.market import trading_day, trading_day_began
from ct_mcp.domain.ticket import Halt
from ct_mcp.store.codec import time_from_text, time_to_text
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.store.ledger import append, last_intent, orders_sent
from ct_mcp.store.memory import Memory


def recall(connection: Connection, account: str, fingerprint: str, now: datetime) -> Memory:
    """All that a review asks the store about an account and an action."""
    return Memory(
        last_identical=last_intent(connection, fingerprint),
        halt=halt(connection),
        armed_until=armed_until(connection, account, now),
        day_loss_reached=day_loss(connection, account, trading_day(now)),
        orders_last_minute=orders_sent(connection, account, now - timedelta(minutes=1)),
        orders_today=orders_sent(connection, account, trading_day_began(now)),
    )


def halt(connection: Connection) -> Halt | None:
    """The halt that stands."""
    row = connection.execute("SELECT by, at, reason FROM halt").fetchone()
    return None if row is None else Halt(row[0], time_from_text(row[1]), row[2])


def set_halt(connection: Connection, new: Halt) -> bool:
    """Halt trading; the first halt stands, with its reason, until it is lifted."""
    if halt(connection) is not None:
        return False
    connection.execute("INSERT INTO halt VALUES (1, ?, ?, ?)", (new.by, time_to_text(new.at), new.reason))
    entry = NewEntry(EntryKind.HALTED, f"Trading halted by {new.by}: {new.reason}", detail={"by": new.by})
    append(connection, entry, new.at)
    return True


def clear_halt(connection: Connection, by: str, now: datetime) -> bool:
    """Lift the halt; says whether there was one."""
    if connection.execute("DELETE FROM halt").rowcount == 0:
        return False
    append(connection, NewEntry(EntryKind.RESUMED, f"Trading resumed by {by}", detail={"by": by}), now)
    return True


def day_loss(connection: Connection, account: str, day: date) -> bool:
    """Say whether the account has reached its loss limit in this trading day, or in one that a clock set back hides."""
    found = connection.execute("SELECT 1 FROM day_losses WHERE account = ? AND day >= ?", (account, day.isoformat()))
    return found.fetchone() is not None


def mark_day_loss(connection: Connection, account: str, day: date, figure: Decimal, now: datetime) -> bool:
    """Remember that the limit was reached; nothing unmarks a day. Says whether this is news."""
    row = (account, day.isoformat(), str(figure))
    if connection.execute("INSERT OR IGNORE INTO day_losses VALUES (?, ?, ?)", row).rowcount == 0:
        return False
    summary = f"Day's loss limit of {account} reached on {day}: {figure}"
    entry = NewEntry(EntryKind.DAY_LOSS, summary, account=account, detail={"day": day, "figure": figure})
    append(connection, entry, now)
    return True


def armed_until(connection: Connection, account: str, now: datetime) -> datetime | None:
    """When the arming of the account ends; None if it is not armed."""
    row = connection.execute("SELECT until FROM armings WHERE account = ?", (account,)).fetchone()
    until = None if row is None else time_from_text(row[0])
    return until if until is not None and now < until else None


def armings(connection: Connection, now: datetime) -> dict[str, datetime]:
    """Every account that is armed, and until when."""
    rows = connection.execute("SELECT account, until FROM armings ORDER BY account")
    ends = {account: time_from_text(until) for account, until in rows}
    return {account: until for account, until in ends.items() if now < until}


def arm(connection: Connection, account: str, until: datetime, by: str, now: datetime) -> None:
    """Arm the account, or move the end of its arming."""
    end = time_to_text(until)
    summary = f"{account} armed by {by} until {end}"
    # The entry first: it may find that the clock was set back, which ends the armings that there are.
    append(connection, NewEntry(EntryKind.ARMED, summary, account=account, detail={"by": by, "until": end}), now)
    connection.execute("INSERT OR REPLACE INTO armings VALUES (?, ?, ?)", (account, end, by))


def disarm(connection: Connection, account: str, by: str, now: datetime) -> bool:
    """End the arming of the account; says whether there was one."""
    if connection.execute("DELETE FROM armings WHERE account = ?", (account,)).rowcount == 0:
        return False
    append(connection, NewEntry(EntryKind.DISARMED, f"{account} disarmed by {by}", account=account), now)
    return True
