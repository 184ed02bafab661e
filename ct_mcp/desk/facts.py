"""Gathers what is known before a decision: one read at a time, and what could not be read stays unknown."""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar

from ct_mcp.desk.names import Names
from ct_mcp.desk.ports import Reads, Store, Upstream
from ct_mcp.domain.account import Account, AccountKind
from ct_mcp.domain.action import Action, ChangeOrder, PlaceOrder, fingerprint
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import Session, trading_day
from ct_mcp.domain.order import Order
from ct_mcp.errors import UpstreamError
from ct_mcp.guard.policy import PendingOrder, Policy, View
from ct_mcp.guard.rules import Review, review
from ct_mcp.store.journal import Entry

_T = TypeVar("_T")
_SESSION_IS_GOOD_FOR = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Case:
    """An action with everything that was known when it was reviewed; ``notes`` say what could not be read.

    ``seen`` is where the journal ended when the review began to read: what was written later, it may not know.
    """

    action: Action
    account: Account
    view: View
    policy: Policy
    review: Review
    notes: tuple[str, ...]
    seen: int = 0

    @property
    def simulated(self) -> bool:
        """Whether no real money can move; an unknown kind counts as live."""
        return self.account.kind is AccountKind.SIMULATED


class Facts:
    """Builds the View of an action and lets the guard review it."""

    def __init__(self, upstream: Upstream, store: Store, policy: Policy, clock: Callable[[], datetime]) -> None:
        self.names = Names(upstream, clock)
        self._upstream = upstream
        self._store = store
        self._policy = policy
        self._clock = clock
        self._sessions: dict[Instrument, tuple[datetime, Session]] = {}

    async def case(self, action: Action) -> Case:
        """Read what the action's rules need, then apply all of them.

        Raises:
            UpstreamError: The account itself could not be read, and nothing is known of it from before.
        """
        risky = isinstance(action, PlaceOrder | ChangeOrder)
        reads = _Attempts(self._upstream if risky else self._upstream.urgent())
        account = await self._account(action.account, reads, may_be_remembered=not risky)
        # In this order: what fills or settles while we read is then counted twice, never not at all.
        outstanding = await self._store.outstanding(account.name)
        orders = await reads.attempt("orders", reads.upstream.orders(account.name, active_only=True))
        positions = await reads.attempt("positions", reads.upstream.positions(account.name))
        pending = _pending(outstanding.entries, orders or ())
        view = View(self._clock(), account, positions, orders, pending)
        instrument = _instrument_of(action, view)
        if risky and instrument is not None:
            view = await self._with_market(view, instrument, reads)
        view = await self._with_memory(view, account.name, action)
        policy = self._policy.for_(account.name, instrument.root if instrument else None)
        await self._remember_day_loss(view, account, policy)
        verdict, notes = review(action, view, policy), tuple(reads.failures)
        return Case(action, account, view, policy, verdict, notes, outstanding.seen)

    async def _account(self, name: str, reads: "_Attempts", *, may_be_remembered: bool) -> Account:
        if may_be_remembered:
            read = await reads.attempt("account", reads.upstream.account(name))
            return read or await self.names.account(name)
        account = await reads.upstream.account(name)
        self.names.remember([account])
        return account

    async def _with_market(self, view: View, instrument: Instrument, reads: "_Attempts") -> View:
        quotes = await reads.attempt("quote", reads.upstream.quotes([str(instrument)]))
        session = await reads.attempt("session", self._session(instrument, reads.upstream))
        # The quote was read after the clock was: without a new look it would seem to come from the future.
        return replace(view, now=self._clock(), quote=quotes[0] if quotes else None, session=session)

    async def _session(self, instrument: Instrument, upstream: Reads) -> Session:
        read_at, session = self._sessions.get(instrument, (None, None))
        if read_at is None or session is None or self._clock() - read_at > _SESSION_IS_GOOD_FOR:
            session = await upstream.session(str(instrument))
            self._sessions[instrument] = (self._clock(), session)
        return session

    async def _with_memory(self, view: View, account: str, action: Action) -> View:
        memory = await self._store.recall(account, fingerprint(action), view.now)
        last = memory.last_identical
        return replace(
            view,
            halt=memory.halt,
            armed_until=memory.armed_until,
            day_loss_reached=memory.day_loss_reached,
            orders_last_minute=memory.orders_last_minute,
            orders_today=memory.orders_today,
            seconds_since_identical=None if last is None else (view.now - last.at).total_seconds(),
            identical_is_unknown=last is not None and not last.settled,
        )

    async def _remember_day_loss(self, view: View, account: Account, policy: Policy) -> None:
        pnl = account.balances.day_pnl
        if pnl is not None and pnl <= -policy.limits.max_day_loss and not view.day_loss_reached:
            await self._store.mark_day_loss(account.name, trading_day(view.now), pnl, view.now)


class _Attempts:
    """Reads that may fail one by one: what could not be read is None here and a denial where a rule needs it."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.failures: list[str] = []

    async def attempt(self, what: str, read: Awaitable[_T]) -> _T | None:
        try:
            return await read
        except UpstreamError as error:
            self.failures.append(f"{what} could not be read: {error.code}: {error.what}")
            return None


def _instrument_of(action: Action, view: View) -> Instrument | None:
    match action:
        case ChangeOrder():
            order = view.order(action.order_id)
            return order.instrument if order else None
        case _:
            return getattr(action, "instrument", None)


def _pending(unsettled: Iterable[Entry], orders: Iterable[Order]) -> tuple[PendingOrder, ...]:
    """What may yet fill of all that was sent with an outcome nobody knows, where it does not stand in the list."""
    unlisted = (entry for entry in unsettled if not any(_is_order_of(entry, order) for order in orders))
    return tuple(fill for entry in unlisted for fill in _may_fill(entry))


def _is_order_of(entry: Entry, order: Order) -> bool:
    return entry.own_id is not None and entry.own_id in (order.own_id, order.order_id)


def _may_fill(entry: Entry) -> Iterator[PendingOrder]:
    fills = entry.detail.get("may_fill")
    for root, year, month, quantity in fills if isinstance(fills, list) else ():
        yield PendingOrder(Instrument(root, year, month), quantity)
