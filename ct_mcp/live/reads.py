"""The reads of one tool's answer, served from the live cache where it knows, with the age of the oldest of them."""

from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from ct_mcp.domain.account import Account, AccountSnapshot, Position, Watermarks
from ct_mcp.domain.market import Quote
from ct_mcp.domain.order import Order
from ct_mcp.errors import BudgetExhausted, RateLimited
from ct_mcp.live.cache import CachedAnswer, LiveCache

if TYPE_CHECKING:  # the desk is loaded by the first call, not by the start
    from ct_mcp.desk.ports import Upstream

T = TypeVar("T")


class LiveReads:
    """What tools read to show it. ``as_of`` is when the oldest of it was read, if it was known before."""

    def __init__(
        self,
        cache: LiveCache,
        upstream: "Upstream",
        note: Callable[[str], None],
        figures: Callable[[Iterable[Account]], Awaitable[None]] | None = None,
    ) -> None:
        """Read through the cache; ``figures`` is handed the accounts of each answer that holds their figures."""
        self.as_of: datetime | None = None
        self.may_have_changed = False
        self._began = cache.clock()
        self._cache = cache
        self._upstream = upstream
        self._note = note
        self._hand_on = figures
        self._fresh = cache.freshness

    @property
    def hears_changes(self) -> bool:
        """Whether a change in an account would be heard."""
        return self._cache.is_trusted

    async def positions(self, account: str) -> tuple[Position, ...]:
        """Read positions of one account."""
        return await self._book("positions", account, lambda upstream: upstream.positions(account))

    async def all_positions(self) -> tuple[Position, ...]:
        """Read positions of every account."""
        return await self._book("positions", None, lambda upstream: upstream.all_positions())

    async def orders(self, account: str, *, active_only: bool) -> tuple[Order, ...]:
        """Read orders of one account."""
        kind = "active orders" if active_only else "orders"
        return await self._book(kind, account, lambda upstream: upstream.orders(account, active_only=active_only))

    async def all_orders(self, *, active_only: bool) -> tuple[Order, ...]:
        """Read orders of every account."""
        kind = "active orders" if active_only else "orders"
        return await self._book(kind, None, lambda upstream: upstream.all_orders(active_only=active_only))

    async def snapshot(self) -> tuple[AccountSnapshot, ...]:
        """Read every account with its figures and positions."""
        rows = await self._figures("snapshot", None, lambda upstream: upstream.snapshot())
        await self._figures_read([row.account for row in rows])
        return rows

    async def accounts(self) -> tuple[Account, ...]:
        """Read every account."""
        rows = await self._figures("accounts", None, lambda upstream: upstream.accounts())
        await self._figures_read(rows)
        return rows

    async def account(self, name: str) -> Account:
        """Read one account with its figures."""
        read = await self._figures("account", name, lambda upstream: upstream.account(name))
        await self._figures_read([read])
        return read

    async def watermarks(self, name: str) -> Watermarks:
        """Read the high-water marks of one account."""
        return await self._figures("watermarks", name, lambda upstream: upstream.watermarks(name))

    async def quotes(self, names: Sequence[str]) -> tuple[Quote, ...]:
        """Give one quote for each name, in the order asked: from the stream where fresh, the rest in one request."""
        pushed = {name: self._cache.quote(name) for name in names}
        missing = [name for name in names if pushed[name] is None]
        if missing:
            read = await self._read(("quotes", *missing), None, 0.0, lambda upstream: upstream.quotes(missing))
            for name, quote in zip(missing, read, strict=True):
                self._cache.keep_quote(name, quote)
                pushed[name] = quote
        return tuple(quote for quote in map(pushed.get, names) if quote is not None)

    async def _figures_read(self, accounts: Iterable[Account]) -> None:
        if self._hand_on is not None:
            await self._hand_on(accounts)

    async def _book(self, kind: str, account: str | None, ask: Callable[["Upstream"], Awaitable[T]]) -> T:
        return await self._read((kind, account and account.casefold()), account, self._fresh.book_seconds, ask)

    async def _figures(self, kind: str, account: str | None, ask: Callable[["Upstream"], Awaitable[T]]) -> T:
        return await self._read((kind, account and account.casefold()), account, self._fresh.figures_seconds, ask)

    async def _read(
        self, key: Hashable, account: str | None, seconds: float, ask: Callable[["Upstream"], Awaitable[T]]
    ) -> T:
        known = await self._known(key, account, seconds, ask)
        if known.began_at < self._began:
            self.as_of = min(self.as_of or known.began_at, known.began_at)
        for warning in known.warnings:
            self._note(warning)
        return known.value

    async def _known(
        self, key: Hashable, account: str | None, seconds: float, ask: Callable[["Upstream"], Awaitable[T]]
    ) -> CachedAnswer[T]:
        """Say what stands or is read now; where no request may be made, what was read last, and that it is old."""
        try:
            return await self._cache.read(key, account, seconds, partial(_asked, ask, self._upstream))
        except (BudgetExhausted, RateLimited) as limited:
            known = self._cache.last_known(key)
            if known is None:
                raise
            self._note(f"part of this is old and may have changed, since it could not be read anew: {limited.what}")
            self.may_have_changed = True
            return known


async def _asked(ask: Callable[["Upstream"], Awaitable[T]], upstream: "Upstream", warn: Callable[[str], None]) -> T:
    """Ask so that the warnings beside the answer are kept with it: it may serve others too."""
    return await ask(upstream.heard_by(warn))
