"""Keeps every execution of every account, in one process of a machine at a time.

How it works; the numbers stand again at the blocks that do it.

 1. Who holds the lease of the book reads. What is read twice is kept once, by the ids of executions; so a lease that
    ran out unnoticed does no harm.
 2. The service tells the executions of the last 15 minutes. An account is read every five, soon after there was word of
    it from a stream or we sent something to it; later while the service is slow, but in time.
 3. A stretch in which no execution was missed grows with each reading that comes within 14 minutes of the one before.
    One that comes later begins a new stretch, and what lies between is a gap. Executions are written together with the
    stretch, so that a process that dies in between claims to have heard nothing that is not kept.
 4. When a stretch begins it is read what is held, and that less what was executed since was held at its beginning. An
    empty list that the account's own figures contradict says nothing.
 5. Whatever fails here is tried again later, and never keeps anything from being sent.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from secrets import token_hex
from typing import Protocol

from ct_mcp.crosstrade.stream.events import AccountChanged, Event, Gap
from ct_mcp.desk.balance_notes import BalanceNotes
from ct_mcp.desk.book import TradeBook
from ct_mcp.desk.excursions import Excursions
from ct_mcp.desk.market_reader import LiveQuotes
from ct_mcp.desk.ports import Store, Upstream
from ct_mcp.domain.account import Account, AccountKind, account_key
from ct_mcp.domain.instrument import Instrument, OtherInstrument
from ct_mcp.domain.order import Execution
from ct_mcp.domain.products import currency_of
from ct_mcp.domain.trades import SERVED_FOR, Listening, RecordedExecution, Source, Worth
from ct_mcp.errors import CtMcpError
from ct_mcp.guard.policy import Recording

LEASE, LEASE_NAME = timedelta(seconds=60), "book"
LOOK_EVERY_SECONDS = 5.0
COVERED = SERVED_FOR - timedelta(minutes=1)
"""A little less than the service says: two clocks never agree on a moment."""
READ_EVERY = timedelta(minutes=5)
READ_AFTER_WORD = timedelta(seconds=15)
READ_IN_TIME = timedelta(minutes=10)
_RENEWED_AFTER = timedelta(seconds=20)
_TRIED_AGAIN_AFTER = timedelta(seconds=30)
_JUST_NOW = timedelta(seconds=3)
_PRUNED_EVERY = timedelta(hours=6)
_MOST_ACCOUNTS = 50
_LEFT_FOR_OTHERS = 4
_log = logging.getLogger(__name__)


class TellsNews(LiveQuotes, Protocol):
    """A live view that tells what it hears."""

    def on_news(self, listener: Callable[[Event], None]) -> Callable[[], None]: ...


@dataclass(slots=True)
class _Followed:
    """One account: when it was read and tried last, whether there was word of it since, and the stretch it is in."""

    account: Account
    read_at: datetime | None = None
    tried_at: datetime | None = None
    has_word: bool = False
    stretch: Listening | None = None


def make_record(
    upstream: Upstream, store: Store, recording: Recording, clock: Callable[[], datetime]
) -> tuple[TradeBook, "Recorder"]:
    """Make the book of a desk, and what fills it."""
    book = TradeBook(store, clock)
    return book, Recorder(upstream, store, book, recording, clock)


class Recorder:
    """One look after the other at all accounts."""

    def __init__(
        self,
        upstream: Upstream,
        store: Store,
        book: TradeBook,
        recording: Recording,
        clock: Callable[[], datetime],
    ) -> None:
        self.recording = recording
        self._upstream = upstream
        self._store = store
        self._clock = clock
        self._book = book
        self._excursions = Excursions(upstream, store, book, clock)
        self._balances = BalanceNotes(store, clock)
        self._holder = token_hex(8)
        self._leased_at: datetime | None = None
        self._listed_at: datetime | None = None
        self._pruned_at: datetime | None = None
        self._followed: dict[str, _Followed] = {}
        self._worths: set[str] = set()
        self._live: TellsNews | None = None
        self._stop: Callable[[], None] | None = None
        self._is_looking = False

    def listen(self, live: TellsNews) -> None:
        """Hear what a stream tells, and what we send ourselves, while it is here that the book is kept."""
        self._live = live

    def name_of(self, account: str) -> str | None:
        """Give the name of an account as it was listed for the record; None where none was called so."""
        return next((name for name in self._followed if account_key(name) == account_key(account)), None)

    def _hear(self, event: Event) -> None:
        """Take a price; an account of which there is word may have been filled by now."""
        self._excursions.trails.hear(event)
        match event:
            case AccountChanged(account=str(name)) if name in self._followed:
                self._followed[name].has_word = True
            case AccountChanged(account=None) | Gap():
                for followed in self._followed.values():
                    followed.has_word = True

    async def look(self) -> None:
        """Read the accounts that are due; a look that is under way is not joined by another."""
        if not self.recording.on or self._is_looking:
            return
        self._is_looking = True
        try:
            if await self._keep_lease():
                await self._look()
        except CtMcpError as error:  # 5
            _log.debug("The book could not be kept: %s", error.what)
        finally:
            self._is_looking = False

    async def let_go(self) -> None:
        """Give the lease back, so that the next process need not wait for it."""
        if self._stop is not None:
            self._stop()
            self._stop = None
        if self._leased_at is not None:
            self._leased_at = None
            await self._store.release_lease(LEASE_NAME, self._holder)

    async def _keep_lease(self) -> bool:
        """1."""
        now = self._clock()
        if not _is_past(self._leased_at, now, _RENEWED_AFTER):
            return True
        is_ours = bool(await self._store.take_lease(LEASE_NAME, self._holder, now, LEASE))
        self._leased_at = now if is_ours else None
        if not is_ours:
            self._followed.clear()  # somebody else reads, and what is known here of stretches grows old
        elif self._stop is None and self._live is not None:
            self._stop = self._live.on_news(self._hear)
        return is_ours

    async def _look(self) -> None:
        await self._list_accounts()
        for followed in tuple(self._followed.values()):
            if not self._is_due(followed) or not await self._may_ask(followed):
                continue
            followed.tried_at = self._clock()
            try:
                await self._read(followed)
            except CtMcpError as error:  # 5: the other accounts are read all the same
                _log.debug("Executions of an account could not be read: %s", error.what)
        await self._excursions.look(self._followed)
        await self._prune()

    async def _list_accounts(self) -> None:
        if not _is_past(self._listed_at, self._clock(), READ_EVERY if self._followed else _TRIED_AGAIN_AFTER):
            return
        self._listed_at = self._clock()
        try:
            accounts = await self._upstream.accounts()
        except CtMcpError:
            if self._followed:
                return  # 5: those that are known are read all the same
            raise
        await self._balances.note(accounts)
        real = [account for account in accounts if account.kind is not AccountKind.REPLAY][:_MOST_ACCOUNTS]
        known = self._followed
        self._followed = {
            each.name: replace(known[each.name], account=each) if each.name in known else _Followed(each)
            for each in real
        }

    # 2

    def _is_due(self, followed: _Followed) -> bool:
        now = self._clock()
        if followed.has_word:
            return _is_past(followed.tried_at, now, READ_AFTER_WORD)
        failed = followed.read_at != followed.tried_at
        return _is_past(followed.tried_at, now, _TRIED_AGAIN_AFTER if failed else READ_EVERY)

    async def _may_ask(self, followed: _Followed) -> bool:
        """Whether the service has time for it, or it cannot wait any longer."""
        if followed.read_at is not None and _is_past(followed.read_at, self._clock(), READ_IN_TIME):
            return True
        return not self._upstream.held_up() and (await self._upstream.allowance()).requests_left >= _LEFT_FOR_OTHERS

    # 3, 4

    async def _read(self, followed: _Followed) -> None:
        name, began = followed.account.name, self._clock()
        followed.has_word = False
        stretch = await self._stretch_of(followed, began)
        held = await self._held(followed.account) if stretch.positions is None else None
        read = await self._upstream.executions(name, int(SERVED_FOR.total_seconds()))
        executions = [kept for each in read if (kept := _kept(name, each)) is not None]
        stretch = replace(stretch, ended=began)
        if held is not None and not any(each.at > began - _JUST_NOW for each in executions):
            since = await self._store.executions_on_record(name, stretch.began)
            stretch = replace(stretch, positions=_held_then(held, [*since, *executions], stretch.began))
        await self._store.keep_heard(name, executions, stretch)
        followed.stretch, followed.read_at, followed.tried_at = stretch, began, began
        await self._note_worths({each.instrument for each in executions})

    async def _stretch_of(self, followed: _Followed, now: datetime) -> Listening:
        """Give the stretch that a reading of now goes on with, or begins."""
        last = followed.stretch
        if last is None:
            on_record = await self._store.listenings(followed.account.name)
            last = on_record[-1] if on_record else None
        if last is not None and timedelta(0) <= now - last.ended <= COVERED:
            return last
        return Listening(now - COVERED, now)

    async def _held(self, account: Account) -> dict[str, int] | None:
        """Read what an account holds; None where an empty list is contradicted by its figures."""
        positions = await self._upstream.positions(account.name)
        held = {str(each.instrument): each.net for each in positions if each.net and _is_future(each.instrument)}
        figures = account.balances
        return None if not held and (figures.unrealized_pnl or figures.initial_margin) else held

    async def _note_worths(self, instruments: Iterable[Instrument]) -> None:
        """Ask once for each root what its contracts are worth."""
        for instrument in sorted(instruments):
            if instrument.root in self._worths:
                continue
            (quote,) = await self._upstream.quotes([str(instrument)])
            if self._live is not None:
                self._live.keep_quote(str(instrument), quote)
            contract = quote.contract
            currency = currency_of(instrument.root, contract.exchange)
            worth = Worth(instrument.root, contract.tick_size, contract.point_value, currency)
            await self._store.keep_worths([worth])
            self._worths.add(instrument.root)

    async def _prune(self) -> None:
        """Keep the record within its bounds, a few times a day."""
        if not _is_past(self._pruned_at, self._clock(), _PRUNED_EVERY):
            return
        self._pruned_at = self._clock()
        for account in await self._book.accounts():
            await self._book.prune(account, self.recording)


async def keep_book(recorder: Recorder, pause: Callable[[float], Awaitable[object]]) -> None:
    """Look every few seconds until this is cancelled; a fault of one look ends nothing."""
    while True:
        await pause(LOOK_EVERY_SECONDS)
        try:
            await recorder.look()
        except Exception:  # noqa: BLE001  # logged; what trades goes on all the same
            _log.warning("The book could not be kept", exc_info=True)


def _is_past(at: datetime | None, now: datetime, after: timedelta) -> bool:
    """Say whether so much time has passed, or the clock was set back."""
    return at is None or not timedelta(0) <= now - at < after


def _is_future(instrument: Instrument) -> bool:
    return not isinstance(instrument, OtherInstrument)


def _kept(account: str, it: Execution) -> RecordedExecution | None:
    """Give it as it is kept; None of what no round trip can be made of."""
    if it.at is None or it.action is None or not _is_future(it.instrument) or it.quantity <= 0:
        return None
    return RecordedExecution(
        account,
        it.execution_id,
        it.instrument,
        it.action,
        it.quantity,
        it.price,
        it.at,
        Source.HEARD,
        it.order_id,
        it.name,
        it.commission,
    )


def _held_then(
    held: dict[str, int], executions: Iterable[RecordedExecution], then: datetime
) -> tuple[tuple[str, int], ...]:
    """Reckon back what was held at a moment from what is held now."""
    back, seen = dict(held), set[str]()
    for it in executions:
        if it.at >= then and it.execution_id not in seen:
            seen.add(it.execution_id)
            back[str(it.instrument)] = back.get(str(it.instrument), 0) - it.signed
    return tuple((name, net) for name, net in sorted(back.items()) if net)
