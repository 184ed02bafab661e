"""The embedded store: one SQLite file in the state folder, shared by every process of this machine.

Import it late: nothing on the way to the answer of ``initialize`` may load sqlite3.
"""

from collections.abc import Callable
from contextlib import closing
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from sqlite3 import Connection
from typing import TypeVar, TypeVarTuple

from anyio import CapacityLimiter, to_thread

from ct_mcp.domain.ticket import Halt, Ticket
from ct_mcp.store import leases, ledger, pins, searching, shared, tickets
from ct_mcp.store.database import Database
from ct_mcp.store.journal import Entry, LastIntent, NewEntry, Verification
from ct_mcp.store.memory import Memory, Outstanding
from ct_mcp.store.pins import PinLocked, StoredPin
from ct_mcp.store.searching import Wanted

FILE_NAME = "ct-mcp.sqlite3"

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class SqliteStore:
    """Tickets, journal, and what processes share.

    Every call may raise `StoreFailed`. What a call returned is on disk. A cancelled call has happened whole or not
    at all; the caller shields what must happen.
    """

    def __init__(self, folder: Path, *, busy_timeout_seconds: float = 5.0) -> None:
        """Remember where the file lives; it is opened, or made, by the first call."""
        self._path = folder / FILE_NAME
        self._busy_timeout_seconds = busy_timeout_seconds
        self._database = Database(self._path, busy_timeout_seconds)
        self._turn = CapacityLimiter(1)

    async def open_ticket(self, ticket: Ticket, now: datetime) -> Ticket:
        """Keep the ticket, or return the one that stands for the same action under the same approval."""
        return await self._write(tickets.propose, ticket, now)

    async def ticket(self, ticket_id: str) -> Ticket | None:
        """Find one by its id; its state is as stored, so ask `Ticket.state_at` for the lapse."""
        return await self._read(tickets.find, ticket_id)

    async def open_tickets(self, now: datetime) -> tuple[Ticket, ...]:
        """Those that still wait for a word of the person, oldest first."""
        return await self._read(tickets.waiting, now)

    async def approve_ticket(self, ticket_id: str, by: str, now: datetime) -> bool:
        """OPEN to APPROVED; False if it is not open, or has lapsed."""
        return await self._write(tickets.approve, ticket_id, by, now)

    async def decline_ticket(self, ticket_id: str, by: str, now: datetime) -> bool:
        """OPEN or APPROVED to DECLINED; False if it was neither, or has lapsed."""
        return await self._write(tickets.decline, ticket_id, by, now)

    async def spend_ticket(self, ticket_id: str, now: datetime) -> bool:
        """APPROVED, or OPEN where no approval is needed, to SPENT; exactly one caller in the world gets True."""
        return await self._write(tickets.spend, ticket_id, now)

    async def append(self, entry: NewEntry, now: datetime) -> Entry:
        """Write one entry at the end of the journal."""
        return await self._write(ledger.append, entry, now)

    async def append_intent(self, entry: NewEntry, now: datetime, seen: int) -> Entry | None:
        """Write an intent, unless the account's world has moved since ``seen``: then None, and nothing is written.

        It has moved where anybody wrote an intent of the same account, its day's loss or its disarming, or a halt.
        """
        return await self._write(ledger.append_intent, entry, now, seen)

    async def entries(self, limit: int, account: str | None = None, ticket_id: str | None = None) -> tuple[Entry, ...]:
        """The last entries, newest first."""
        return await self._read(ledger.newest, limit, account, ticket_id)

    async def noes(self, limit: int) -> tuple[Entry, ...]:
        """The last of what was denied, declined, suspicious or resumed, newest first."""
        return await self._read(ledger.noes, limit)

    async def search(self, wanted: Wanted) -> tuple[Entry, ...]:
        """The newest of those that are wanted, newest last."""
        return await self._read(searching.search, wanted)

    async def story(self, any_id: str) -> tuple[Entry, ...]:
        """All that was written about one order, oldest first, by the id of a ticket or of the order, ours or theirs."""
        return await self._read(searching.story, any_id)

    async def unsettled(self) -> tuple[Entry, ...]:
        """The intents of unknown fate, oldest first."""
        return await self._read(ledger.unsettled)

    async def outstanding(self, account: str) -> Outstanding:
        """The intents of unknown fate in one account, and where the journal ended when they were read."""
        return await self._read(ledger.outstanding, account)

    async def orders_sent(self, account: str, since: datetime) -> int:
        """How many intents that open or add were written at ``since`` or later."""
        return await self._read(ledger.orders_sent, account, since)

    async def last_intent(self, fingerprint: str) -> LastIntent | None:
        """When this very action was last about to be sent; settled only if no such one is outstanding."""
        return await self._read(ledger.last_intent, fingerprint)

    async def verify(self) -> Verification:
        """Check the whole journal, on a connection of its own: a long journal keeps nobody waiting."""
        return await to_thread.run_sync(self._verified)

    async def recall(self, account: str, fingerprint: str, now: datetime) -> Memory:
        """All that a review asks about an account and an action, as of one moment."""
        return await self._read(shared.recall, account, fingerprint, now)

    async def halt(self) -> Halt | None:
        """The halt that stands."""
        return await self._read(shared.halt)

    async def set_halt(self, halt: Halt) -> bool:
        """Halt trading, and journal it; the first halt stands. False, and no entry, if trading was halted already."""
        return await self._write(shared.set_halt, halt)

    async def clear_halt(self, by: str, now: datetime) -> bool:
        """Lift the halt, and journal it; False if there was none."""
        return await self._write(shared.clear_halt, by, now)

    async def day_loss(self, account: str, day: date) -> bool:
        """Say whether the account has reached its loss limit in this trading day."""
        return await self._read(shared.day_loss, account, day)

    async def mark_day_loss(self, account: str, day: date, figure: Decimal, now: datetime) -> bool:
        """Remember for good, and journal, that the limit was reached; False if it was known."""
        return await self._write(shared.mark_day_loss, account, day, figure, now)

    async def armed_until(self, account: str, now: datetime) -> datetime | None:
        """When the arming of the account ends; None if it is not armed."""
        return await self._read(shared.armed_until, account, now)

    async def armings(self, now: datetime) -> dict[str, datetime]:
        """Every account that is armed, and until when."""
        return await self._read(shared.armings, now)

    async def arm(self, account: str, until: datetime, by: str, now: datetime) -> None:
        """Arm the account, or move the end of its arming, and journal it."""
        return await self._write(shared.arm, account, until, by, now)

    async def disarm(self, account: str, by: str, now: datetime) -> bool:
        """End the arming, and journal it; False if there was none."""
        return await self._write(shared.disarm, account, by, now)

    async def pin(self) -> StoredPin | None:
        """What is kept of the person's PIN; None if none was set."""
        return await self._read(pins.find)

    async def keep_pin(self, pin: StoredPin, now: datetime) -> None:
        """Set the PIN, and journal that it was."""
        return await self._write(pins.keep, pin, now)

    async def count_pin_try(self, now: datetime) -> StoredPin | PinLocked | None:
        """Count a try as wrong before it is compared; what to compare it with, or until when none counts."""
        return await self._write(pins.count_try, now)

    async def forgive_pin_tries(self) -> None:
        """The PIN was right: the tries before it count no more."""
        return await self._write(pins.forgive)

    async def take_lease(self, name: str, holder: str, now: datetime, ttl: timedelta) -> bool:
        """Take a lease that is free, has run out, or is ours; exactly one holder in the world is told True."""
        return await self._write(leases.take, name, holder, now, ttl)

    async def renew_lease(self, name: str, holder: str, now: datetime, ttl: timedelta) -> bool:
        """Hold it for longer; False where it was lost, and then nothing may be done under it any more."""
        return await self._write(leases.renew, name, holder, now, ttl)

    async def release_lease(self, name: str, holder: str) -> bool:
        """Give it back, so that the next one need not wait; False where it was not ours."""
        return await self._write(leases.release, name, holder)

    async def lease_holder(self, name: str, now: datetime) -> str | None:
        """Who holds it."""
        return await self._read(leases.holder_of, name, now)

    async def close(self) -> None:
        """Close the file; a later call opens it again, so that a late answer is still written."""
        await to_thread.run_sync(self._database.close, limiter=self._turn)

    async def _read(self, work: Callable[[Connection, *Ts], T], *arguments: *Ts) -> T:
        return await to_thread.run_sync(partial(self._database.read, work, *arguments), limiter=self._turn)

    async def _write(self, work: Callable[[Connection, *Ts], T], *arguments: *Ts) -> T:
        return await to_thread.run_sync(partial(self._database.write, work, *arguments), limiter=self._turn)

    def _verified(self) -> Verification:
        with closing(Database(self._path, self._busy_timeout_seconds)) as aside:
            return aside.read(ledger.verify)
