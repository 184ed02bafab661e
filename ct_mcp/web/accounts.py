"""Accounts, positions and working orders as they were last read; what was not read is None, and never empty."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

import anyio

from ct_mcp.domain.account import Account, AccountSnapshot, Position
from ct_mcp.domain.order import Order
from ct_mcp.errors import AddonOffline, AskedToWait, AuthFailed, BudgetExhausted, CtMcpError, RateLimited, Unavailable
from ct_mcp.guard.policy import Mode
from ct_mcp.text import sanitize

# The request budget is shared with the assistant's server: looking on must never starve it.
GOOD_FOR_SECONDS = 4.0
LONGEST_SECONDS = 8.0

_LINKS: tuple[tuple[type[CtMcpError], str], ...] = (
    (AuthFailed, "The token does not open CrossTrade"),
    (AddonOffline, "The add-on inside NinjaTrader does not answer"),
    (RateLimited, "CrossTrade asks us to slow down"),
    (AskedToWait, "CrossTrade asks us to slow down"),
    (BudgetExhausted, "Our own request budget is used up"),
)

_T = TypeVar("_T")


class AccountReads(Protocol):
    """The two reads that a snapshot is made of; a failed read raises, and is never an empty answer."""

    async def snapshot(self) -> tuple[AccountSnapshot, ...]: ...
    async def all_orders(self, *, active_only: bool) -> tuple[Order, ...]: ...


@dataclass(frozen=True, slots=True)
class AccountsSnapshot:
    """One reading of everything; ``failures`` say what kept us from the parts that are None."""

    read_at: datetime
    accounts: tuple[AccountSnapshot, ...] | None
    orders: tuple[Order, ...] | None
    failures: tuple[CtMcpError, ...]

    @property
    def positions(self) -> list[Position] | None:
        """What is held; None where that was not read, or an account holds something that was not told."""
        if self.accounts is None or any(seen.what_is_held is None for seen in self.accounts):
            return None
        return [held for seen in self.accounts for held in seen.positions or () if held.quantity]

    @property
    def working_orders(self) -> list[Order] | None:
        """The orders that may still fill."""
        return None if self.orders is None else [order for order in self.orders if not order.is_closed]

    def age_seconds(self, now: datetime) -> float:
        """How old the reading is; never less than nothing, whatever the clock was set to."""
        return max(0.0, (now - self.read_at).total_seconds())


class AccountReader:
    """Reads for the person, no more often than is good for the budget, however many pages ask."""

    def __init__(
        self,
        reads: AccountReads,
        clock: Callable[[], datetime],
        figures: Callable[[Iterable[Account]], Awaitable[None]] | None = None,
    ) -> None:
        """Read by ``reads``; ``figures`` is handed the accounts of each reading."""
        self._hand_on = figures
        self._reads = reads
        self._clock = clock
        self._last: AccountsSnapshot | None = None
        self._one_at_a_time = anyio.Lock()

    async def read(self) -> AccountsSnapshot:
        """Give the newest reading; a new one where that is too old, or was made in the future."""
        async with self._one_at_a_time:
            if self._last is None or not self._is_fresh(self._last):
                self._last = await self._read()
            return self._last

    def _is_fresh(self, snapshot: AccountsSnapshot) -> bool:
        return 0 <= (self._clock() - snapshot.read_at).total_seconds() < GOOD_FOR_SECONDS

    async def _read(self) -> AccountsSnapshot:
        failures: list[CtMcpError] = []
        began_at = self._clock()  # what changes while it is read may be in neither part of it
        accounts = await _attempt(self._reads.snapshot(), failures)
        if accounts and self._hand_on is not None:
            await self._hand_on(row.account for row in accounts)
        # Where the accounts cannot be had, the same link keeps the orders back: one question is enough to know it.
        orders = await _attempt(self._reads.all_orders(active_only=True), failures) if accounts else None
        return AccountsSnapshot(began_at, accounts, orders, tuple(failures))


async def _attempt(read: Awaitable[_T], failures: list[CtMcpError]) -> _T | None:
    try:
        with anyio.fail_after(LONGEST_SECONDS):
            return await read
    except TimeoutError:
        failures.append(Unavailable(f"no answer within {LONGEST_SECONDS:.0f} s"))
    except CtMcpError as error:
        failures.append(error)
    return None


def broken_link(failure: CtMcpError) -> str:
    """Say which link between here and the account is broken."""
    return next((words for kind, words in _LINKS if isinstance(failure, kind)), "CrossTrade cannot be reached")


@dataclass(frozen=True, slots=True)
class ArmingStatus:
    """Which accounts may open positions: in mode sim the simulated ones, in mode live those that are armed.

    ``armed_until`` is by account name; None where it could not be read.
    """

    mode: Mode
    armed_until: Mapping[str, datetime] | None

    def describe(self, account: Account) -> str:
        """Say of one account until when it is armed, or why that does not matter."""
        if self.armed_until is None:
            return "unknown"
        if self.mode is Mode.LIVE:
            until = self.armed_until.get(account.name)
            return f"{until:%H:%M} UTC" if until else "not armed"
        is_simulated = account.kind.is_simulated
        return "not needed" if self.mode is Mode.SIM and is_simulated else "may not trade"


def account_named(text: str, names: Iterable[str]) -> str | None:
    """Find the account that a form names as it was shown; None where there is none, or two are shown alike."""
    alike = [name for name in names if sanitize(name, longest=80) == text]
    return alike[0] if len(alike) == 1 else None
