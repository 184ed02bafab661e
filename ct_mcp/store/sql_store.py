"""The store: tickets, journal and what processes share, in whatever engine holds the tables.

Each call is one transaction, in a thread of its own where it may wait; what it does stands in `tickets`, `duties`,
`journal_table`, `watches`, `parts`, `leases`, `book`, `trading_state`, `balances` and `known_accounts`. Import it late:
nothing on the way to the answer of ``initialize`` may load it.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import closing
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import TypeVar, TypeVarTuple

from anyio import CapacityLimiter, to_thread

from ct_mcp.domain.account import Account
from ct_mcp.domain.approval import Halt, Ticket
from ct_mcp.domain.balances import BalanceRecord, Figures, ToldFloor
from ct_mcp.domain.commands import PlaceOrder
from ct_mcp.domain.duty import Duty, DutyPart, DutyState
from ct_mcp.domain.lease import NOBODY, Holder
from ct_mcp.domain.plan import SentOrder
from ct_mcp.domain.trades import Excursion, Listening, RecordedExecution, Worth
from ct_mcp.domain.watch import Notice, Watch, WatchState
from ct_mcp.store import (
    balances,
    book,
    duties,
    journal_table,
    known_accounts,
    leases,
    parts,
    tickets,
    trading_state,
    watches,
)
from ct_mcp.store.journal import Entry, NewEntry, Outstanding, Verification
from ct_mcp.store.journal_table import JournalQuery
from ct_mcp.store.sql import Engine, SqlConnection
from ct_mcp.store.trading_state import PinLocked, StoredPin, TradingState
from ct_mcp.store.wakes import Wakes

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class SqlStore:
    """Tickets, journal, and what processes share.

    Every call may raise `StoreFailed`. What a call returned is on disk. A cancelled call has happened whole or not
    at all; the caller shields what must happen.
    """

    def __init__(self, engine: Engine) -> None:
        """Touch nothing: the first call opens the engine."""
        self._database = engine
        self._turn = CapacityLimiter(1)
        self.wakes = Wakes()

    async def open_ticket(
        self, ticket: Ticket, now: datetime, most_waiting: int | None = None, proposed: NewEntry | None = None
    ) -> Ticket:
        """Keep the ticket with its entry, or return the one that already asks the same under the same approval.

        Raises:
            NeedsRoom: As many as ``most_waiting`` of one of its accounts wait for the person already.
        """
        return await self._write(tickets.propose, ticket, now, most_waiting, proposed)

    async def ticket(self, ticket_id: str) -> Ticket | None:
        """Find one by its id; its state is as stored, so ask `Ticket.state_at` whether it has expired."""
        return await self._read(tickets.find, ticket_id)

    async def tickets(self, ticket_ids: Collection[str]) -> dict[str, Ticket]:
        """Find those that there are of several by their ids, in one reading."""
        return await self._read(tickets.find_all, tuple(ticket_ids))

    async def open_tickets(self, now: datetime) -> tuple[Ticket, ...]:
        """List those that still wait for the person, oldest first."""
        return await self._read(tickets.waiting, now)

    async def unanswered_tickets(self, since: datetime, now: datetime) -> tuple[Ticket, ...]:
        """List those that asked the person and expired without an answer at ``since`` or later, oldest first."""
        return await self._read(tickets.unanswered, since, now)

    async def approve_ticket(self, ticket_id: str, by: str, now: datetime) -> bool:
        """OPEN to APPROVED, and journal it; False, and no entry, if it is not open, or has expired."""
        return await self._write(tickets.approve, ticket_id, by, now)

    async def decline_ticket(self, ticket_id: str, by: str, now: datetime) -> bool:
        """OPEN or APPROVED to DECLINED; False if it was neither, or has expired."""
        return await self._write(tickets.decline, ticket_id, by, now)

    async def spend_ticket(self, ticket_id: str, now: datetime) -> bool:
        """APPROVED and journalled so, or OPEN where no approval is needed, to SPENT; True for exactly one caller."""
        return await self._write(tickets.spend, ticket_id, now)

    async def append(self, entry: NewEntry, now: datetime) -> Entry:
        """Write one entry at the end of the journal."""
        return await self._write(journal_table.append, entry, now)

    async def append_intent(
        self, entry: NewEntry, now: datetime, seen: int | None, *, holder: Holder = NOBODY
    ) -> Entry | None:
        """Write an intent, unless what matters to the account was written since ``seen``: then None, and nothing is.

        That is an intent of the same account, its day's loss or its disarming, or a halt; of None nothing matters.

        Raises:
            TakenOver: It is of a watch or of exits, and no more its sender's turn; ``holder`` is who holds the lease.
        """
        return await self._write(parts.append_intent, entry, now, seen, holder)

    async def append_intent_of_all(
        self, entry: NewEntry, now: datetime, seen: int, *, holder: Holder = NOBODY
    ) -> Entry | None:
        """Do the same for one that was judged by all accounts: an intent that opens in any of them matters as well."""
        return await self._write(parts.append_intent_of_all, entry, now, seen, holder)

    async def check_turn(self, ticket_id: str, holder: Holder, now: datetime) -> None:
        """Pass over what is still its sender's to send.

        Raises:
            TakenOver: It is of a watch or of exits, and is not any more.
        """
        return await self._read(parts.check_turn, ticket_id, holder, now)

    async def is_quiet(self, ticket_id: str, now: datetime) -> bool:
        """Say whether nothing was heard of a ticket for so long that whoever made it sends nothing of it any more."""
        return await self._read(parts.is_quiet, ticket_id, now)

    async def entries(self, limit: int, account: str | None = None, ticket_id: str | None = None) -> tuple[Entry, ...]:
        """Read the last entries, newest first."""
        return await self._read(journal_table.newest, limit, account, ticket_id)

    async def entries_of_orders(self, limit: int, account: str) -> tuple[Entry, ...]:
        """Read those of the last entries that say of an order which it is, what filled, or that it brings none."""
        return await self._read(journal_table.of_orders, limit, account)

    async def refusals(self, limit: int, since: datetime, account: str | None = None) -> tuple[Entry, ...]:
        """Read the last of what was denied, declined, suspicious or resumed since a moment, newest first."""
        return await self._read(journal_table.refusals, limit, since, account)

    async def search(self, wanted: JournalQuery) -> tuple[Entry, ...]:
        """Read the newest of the entries that are wanted, newest last."""
        return await self._read(journal_table.search, wanted)

    async def story(self, any_id: str) -> tuple[Entry, ...]:
        """Read all that was written about one order, oldest first, by any id: the ticket's, our order id or theirs."""
        return await self._read(journal_table.story, any_id)

    async def unsettled(self) -> tuple[Entry, ...]:
        """Read the intents of unknown outcome, oldest first."""
        return await self._read(journal_table.unsettled)

    async def outstanding(self, account: str) -> Outstanding:
        """Read the intents of unknown outcome in one account, and where the journal ended then."""
        return await self._read(journal_table.outstanding, account)

    async def orders_sent(self, account: str, since: datetime) -> int:
        """Count the intents that open or add and were written at ``since`` or later."""
        return await self._read(journal_table.orders_sent, account, since)

    async def verify(self) -> Verification:
        """Check the whole journal, on a connection of its own: a long journal keeps nobody waiting."""
        return await to_thread.run_sync(self._verify_aside)

    async def recall(self, account: str, fingerprint: str, now: datetime) -> TradingState:
        """Read all that a review asks about an account and a command, as of one moment."""
        return await self._read(trading_state.recall, account, fingerprint, now)

    async def halt(self) -> Halt | None:
        """Read the halt that stands; None if trading is not halted."""
        return await self._read(trading_state.halt)

    async def set_halt(self, halt: Halt, *, for_all: bool = False) -> bool:
        """Halt trading of ours or ``for_all``, and journal it; the first stands. False, and no entry, if one does."""
        return await self._write(trading_state.set_halt, halt, for_all)

    async def clear_halt(self, by: str, now: datetime, shown: Halt | None = None) -> bool:
        """Lift the halt, and journal it; False if there was none, or not the one that was shown."""
        return await self._write(trading_state.clear_halt, by, now, shown)

    async def day_loss(self, account: str, day: date) -> bool:
        """Say whether the account has reached its loss limit in this trading day."""
        return await self._read(trading_state.day_loss, account, day)

    async def mark_day_loss(self, account: str, day: date, figure: Decimal, now: datetime) -> bool:
        """Remember for good, and journal, that the limit was reached; False if it was known."""
        return await self._write(trading_state.mark_day_loss, account, day, figure, now)

    async def armed_until(self, account: str, now: datetime) -> datetime | None:
        """Tell when the arming of the account ends; None if it is not armed."""
        return await self._read(trading_state.armed_until, account, now)

    async def armings(self, now: datetime) -> dict[str, datetime]:
        """List every account that is armed, and until when."""
        return await self._read(trading_state.armings, now)

    async def arm(self, account: str, until: datetime, by: str, now: datetime) -> None:
        """Arm the account, or move the end of its arming, and journal it."""
        return await self._write(trading_state.arm, account, until, by, now)

    async def disarm(self, account: str, by: str, now: datetime) -> bool:
        """End the arming, and journal it; False if there was none."""
        return await self._write(trading_state.disarm, account, by, now)

    async def keep_accounts(self, accounts: Iterable[Account], now: datetime) -> None:
        """Keep what accounts there are over restarts, as they were just read."""
        return await self._write(known_accounts.keep_accounts, tuple(accounts), now)

    async def known_accounts(self, now: datetime) -> tuple[Account, ...]:
        """Read what accounts there were in the last days, without their figures."""
        return await self._read(known_accounts.known_accounts, now)

    async def note_figures(self, figures: Iterable[Figures]) -> None:
        """Add what was read of accounts to the balances of their days."""
        return await self._write(balances.note_figures, tuple(figures))

    async def balance_record(self, account: str) -> BalanceRecord:
        """Read the balances of an account over its days, and the floor that was told last."""
        return await self._read(balances.balance_record, account)

    async def tell_floor(self, account: str, told: ToldFloor) -> None:
        """Keep the floor that the person told, and journal it."""
        return await self._write(balances.tell_floor, account, told)

    async def keep_import(self, new: Iterable[RecordedExecution], costs: Iterable[RecordedExecution] = ()) -> int:
        """Keep what is new of an import, and commissions of what is on record, all or nothing; gives how many."""
        return await self._write(book.keep_import, tuple(new), tuple(costs))

    async def keep_heard(self, account: str, executions: Iterable[RecordedExecution], listening: Listening) -> int:
        """Keep what was read, and that so long nothing was missed, both or neither; gives how many were new."""
        return await self._write(book.keep_heard, account, tuple(executions), listening)

    async def book_mark(self, account: str, until: datetime | None = None) -> tuple[object, object]:
        """Give what is another as soon as anything of the account's book is: of what is until then, and of all."""
        return await self._read(book.mark, account, until)

    async def book_extent(self, account: str) -> tuple[datetime | None, int]:
        """Give the time of the oldest execution on record, and how many there are."""
        return await self._read(book.extent, account)

    async def prune_book(self, account: str, before: datetime, held: Listening) -> None:
        """Forget what is older than a moment, and keep what was held at it."""
        return await self._write(book.prune, account, before, held)

    async def forget_imported(self, account: str) -> int:
        """Forget what was imported of an account, so that it can be imported anew; gives how many executions."""
        return await self._write(book.forget_imported, account)

    async def has_one_book(self) -> bool:
        """Say whether it is clear whose book is meant: without a token there may be several."""
        return await self._read(book.has_one_service)

    async def tickets_of_orders(
        self, account: str, wanted: Collection[str], since: datetime | None = None
    ) -> dict[str, SentOrder]:
        """Give what each of these orders was sent under since a moment, by the service's id, if they are ours."""
        return await self._read(book.tickets_of_orders, account, wanted, since)

    async def executions_on_record(
        self, account: str, since: datetime | None = None, until: datetime | None = None
    ) -> tuple[RecordedExecution, ...]:
        """Read those of an account from ``since`` on and before ``until``, oldest first."""
        found = page = await self._read(book.executions, account, since, until)
        while len(page) == book.PAGE:
            page = await self._read(book.executions, account, since, until, page[-1])
            found += page
        return found

    async def accounts_on_record(self) -> tuple[str, ...]:
        """Name the accounts that anything is on record of."""
        return await self._read(book.accounts)

    async def listenings(self, account: str) -> tuple[Listening, ...]:
        """Give the stretches in which every execution was heard, oldest first."""
        return await self._read(book.listenings, account)

    async def keep_worths(self, worths: Iterable[Worth]) -> None:
        """Keep what contracts are worth, as the service says."""
        return await self._write(book.keep_worths, tuple(worths))

    async def worths(self) -> tuple[Worth, ...]:
        """Give what is known of contracts."""
        return await self._read(book.worths)

    async def keep_excursion(self, account: str, trip_id: str, excursion: Excursion, at: datetime) -> None:
        """Keep how far prices went while a round trip was held; the first that is known stands."""
        return await self._write(book.keep_excursion, account, trip_id, excursion, at)

    async def excursions(self, account: str, since: datetime | None = None) -> dict[str, Excursion]:
        """Give what has become known of excursions since a moment, by the ids of round trips."""
        return await self._read(book.excursions, account, since)

    async def open_duty(self, duty: Duty) -> None:
        """Remember that an entry is owed exits, before it is sent."""
        return await self._write(duties.open_duty, duty)

    async def duties(self, account: str | None = None) -> tuple[Duty, ...]:
        """List the entries that are owed exits, or whose exits stand, the oldest first."""
        return await self._read(duties.duties, account)

    async def entries_owed(self, account: str | None = None) -> dict[str, PlaceOrder]:
        """Give the entries that are owed exits, or have them, by our order ids and by the service's."""
        return await self._read(duties.entries_owed, account)

    async def add_part(self, duty: Duty, ticket: Ticket, part: DutyPart, holder: Holder = NOBODY) -> bool:
        """Keep the ticket of some exits, spent; True for exactly one caller, who holds the lease where it is named."""
        return await self._write(duties.add_part, duty, ticket, part, holder)

    async def turn_duty(self, duty: Duty, state: DutyState, entry: NewEntry, now: datetime) -> bool:
        """Note and journal how far the exits of an entry have come; False where that was noted before."""
        return await self._write(duties.turn_duty, duty, state, entry, now)

    async def open_watch(self, watch: Watch, most: int, entries: Sequence[NewEntry], now: datetime) -> bool:
        """Keep a watch, and journal it; False, and no entry, where it is known already.

        Raises:
            NeedsRoom: So many watch already.
        """
        return await self._write(watches.open_watch, watch, most, entries, now)

    async def watches(self) -> tuple[Watch, ...]:
        """List those that are not over, the oldest first."""
        return await self._read(watches.watches)

    async def watch(self, watch_id: str) -> Watch | None:
        """Find one by its id, in whatever state."""
        return await self._read(watches.find, watch_id)

    async def add_watch_part(self, watch: Watch, ticket: Ticket, holder: Holder, now: datetime) -> bool:
        """Keep the ticket of what a watch is about to send, spent; True for exactly one caller, who holds the lease."""
        return await self._write(watches.add_part, watch, ticket, holder, now)

    async def turn_watch(self, watch: Watch, state: WatchState, entry: NewEntry, now: datetime) -> bool:
        """Note, journal and tell how far a watch has come; False where that was noted before."""
        return await self._write(watches.turn_watch, watch, state, entry, now)

    async def tell_of_watch(self, watch: Watch | None, entry: NewEntry, now: datetime) -> None:
        """Journal what a watch tells, for every channel to show; without one it is of exits that stand."""
        return await self._write(watches.tell, watch, entry, now)

    async def notices(self, after: int, limit: int) -> tuple[Notice, ...]:
        """List what watches have told after a number, the newest so many, oldest first."""
        return await self._read(watches.notices, after, limit)

    async def take_notices(self, after: int | None) -> tuple[Notice, ...]:
        """Give what is to be told after a number, or what nobody has heard yet; from then on it counts as heard."""
        return await self._write(watches.take_notices, after)

    async def pin(self) -> StoredPin | None:
        """Read what is kept of the person's PIN; None if none is set."""
        return await self._read(trading_state.find_pin)

    async def keep_pin(self, pin: StoredPin, now: datetime) -> None:
        """Set the PIN, and journal that it was."""
        return await self._write(trading_state.keep_pin, pin, now)

    async def count_pin_try(self, now: datetime) -> StoredPin | PinLocked | None:
        """Count a try as wrong before it is compared; give what to compare it with, or until when none counts."""
        return await self._write(trading_state.count_pin_try, now)

    async def forgive_pin_tries(self) -> None:
        """Forget the wrong tries: the right PIN was given."""
        return await self._write(trading_state.forgive_pin_tries)

    async def take_lease(self, name: str, holder: str, now: datetime, ttl: timedelta) -> int:
        """Take a lease that is free, has run out, or is ours; gives its epoch to exactly one holder, to others 0.

        The epoch grows whenever the lease changes hands.
        """
        return await self._write(leases.take_lease, name, holder, now, ttl)

    async def renew_lease(self, name: str, holder: str, now: datetime, ttl: timedelta) -> int:
        """Hold it for longer; 0 where it was lost, and then nothing may be done under it any more."""
        return await self._write(leases.renew_lease, name, holder, now, ttl)

    async def release_lease(self, name: str, holder: str) -> bool:
        """Give it back, so that the next one need not wait; False where it was not ours."""
        return await self._write(leases.release_lease, name, holder)

    async def lease_holder(self, name: str, now: datetime) -> str | None:
        """Tell who holds it."""
        return await self._read(leases.lease_holder, name, now)

    async def close(self) -> None:
        """Close the connection; a later call opens it again, so that a late answer is still written."""
        await to_thread.run_sync(self._database.close, limiter=self._turn)

    async def _read(self, work: Callable[[SqlConnection, *Ts], T], *arguments: *Ts) -> T:
        return await to_thread.run_sync(partial(self._database.read, work, *arguments), limiter=self._turn)

    async def _write(self, work: Callable[[SqlConnection, *Ts], T], *arguments: *Ts) -> T:
        return await to_thread.run_sync(partial(self._database.write, work, *arguments), limiter=self._turn)

    def _verify_aside(self) -> Verification:
        with closing(self._database.aside()) as aside:
            return aside.read(journal_table.verify)
