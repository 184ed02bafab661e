"""Gathers what is known before a decision: one read at a time, and what could not be read stays unknown."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar

from ct_mcp.desk.last_known import last_known_to_stand
from ct_mcp.desk.names import Names
from ct_mcp.desk.pending import pending_orders
from ct_mcp.desk.ports import Reads, Store, Upstream
from ct_mcp.domain.account import Account, AccountKind
from ct_mcp.domain.action import (
    Action,
    CancelOrders,
    ChangeOrder,
    ClosePosition,
    CloseStrategy,
    DisableStrategy,
    EnableStrategy,
    Flatten,
    ReplaceOrder,
    fingerprint,
)
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import Session, trading_day
from ct_mcp.domain.position import Position
from ct_mcp.domain.strategy import Strategy
from ct_mcp.errors import UpstreamError
from ct_mcp.guard.direction import sends_orders
from ct_mcp.guard.policy import Policy, View
from ct_mcp.guard.rules import Review, review

_T = TypeVar("_T")
_SESSION_IS_GOOD_FOR = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Case:
    """An action with everything that was known when it was reviewed; ``notes`` say what could not be read.

    ``seen`` is where the journal ended when the review began to read: what was written later, it may not know.
    ``strategy`` is the one that the action names, as it was read; None too where it could not be.
    ``may_stand`` are orders of ours that the journal last knew to stand, where no list shows anything at all.
    """

    action: Action
    account: Account
    view: View
    policy: Policy
    review: Review
    notes: tuple[str, ...]
    seen: int = 0
    strategy: Strategy | None = None
    may_stand: tuple[str, ...] = ()

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
        risky = sends_orders(action)
        reads = _Attempts(self._upstream if risky else self._upstream.urgent())
        account = await self._account(action.account, reads, may_be_remembered=not risky)
        # In this order: what fills or settles while we read is then counted twice, never not at all.
        outstanding = await self._store.outstanding(account.name)
        orders = await reads.attempt("orders", reads.upstream.orders(account.name, active_only=True))
        positions = await reads.attempt("positions", reads.upstream.positions(account.name))
        pending = pending_orders(outstanding.entries, orders or ())
        view = View(self._clock(), account, positions, orders, pending)
        strategy = await _strategy_of(action, reads)
        instrument = _instrument_of(action, view, strategy)
        if risky and instrument is not None and not view.net_position(instrument):
            view = await _believed(view, instrument, reads)
        if risky and instrument is not None:
            view = await self._with_market(view, instrument, reads)
        view = await self._with_memory(view, account.name, action)
        policy = self._policy.for_(account.name, instrument.root if instrument else None)
        await self._remember_day_loss(view, account, policy)
        verdict, notes = review(action, view, policy), tuple(reads.failures)
        may_stand = await self._may_stand(action, view)
        return Case(action, account, view, policy, verdict, notes, outstanding.seen, strategy, may_stand)

    async def _may_stand(self, action: Action, view: View) -> tuple[str, ...]:
        """Lists have come back empty: an exit that is shown nothing must know what may stand all the same."""
        match action:
            case ClosePosition() | Flatten() | CancelOrders() if not (view.positions or view.orders):
                return await last_known_to_stand(self._store, action.account, action.instrument)
            case _:
                return ()

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


async def _believed(view: View, instrument: Instrument, reads: _Attempts) -> View:
    """Where the list holds nothing of an instrument, ask for it by its name: lists have come back empty.

    Positions that contradict each other, or the account's own figures, are not known.
    """
    if view.positions is None or view.account is None:
        return view
    named = await reads.attempt("position", reads.upstream.position(view.account.name, instrument))
    if named is not None and not named.quantity and not _contradicts(view.account, view.positions):
        return view
    if named is not None:
        reads.failures.append(f"positions contradict each other: the list holds no {instrument}, other reports do")
    return replace(view, positions=None)


def _contradicts(account: Account, positions: tuple[Position, ...]) -> bool:
    """Say whether something must be held although the list is empty: only positions have an unrealised P&L."""
    return not positions and bool(account.balances.unrealized_pnl)


async def _strategy_of(action: Action, reads: _Attempts) -> Strategy | None:
    match action:
        case EnableStrategy() | DisableStrategy() | CloseStrategy():
            return await reads.attempt("strategy", reads.upstream.strategy(action.account, action.strategy_id))
        case _:
            return None


def _instrument_of(action: Action, view: View, strategy: Strategy | None) -> Instrument | None:
    if strategy is not None:
        return strategy.instrument
    match action:
        case ReplaceOrder():
            return action.order.instrument
        case ChangeOrder():
            order = view.order(action.order_id)
            return order.instrument if order else None
        case _:
            return getattr(action, "instrument", None)
