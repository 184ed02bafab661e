"""Names as the person says them → the account and the dated contract that they mean."""

from collections.abc import Callable, Iterable
from datetime import datetime

from ct_mcp.crosstrade.words import cleaned
from ct_mcp.desk.ports import Upstream
from ct_mcp.domain.account import Account
from ct_mcp.domain.instrument import FrontMonth, Instrument, parse_instrument
from ct_mcp.errors import BadRequest


class Names:
    """Resolves account and instrument names; keeps what it learned of accounts, since exits must not wait for it."""

    def __init__(self, upstream: Upstream, clock: Callable[[], datetime]) -> None:
        self._upstream = upstream
        self._clock = clock
        self._known: dict[str, Account] = {}

    async def account(self, text: str) -> Account:
        """Find an account by its exact name, whatever the case of its letters.

        Raises:
            BadRequest: No account is called so; the message names those that there are.
        """
        if _key(text) not in self._known:
            await self.accounts()
        found = self._known.get(_key(text))
        if found is None:
            names = ", ".join(sorted(cleaned(account.name, longest=80) for account in self._known.values())) or "none"
            raise BadRequest(f"account {text[:60]!a} does not exist; the accounts are: {names}")
        return found

    def remember(self, accounts: Iterable[Account]) -> None:
        """Keep the newest report of these accounts."""
        self._known.update((_key(account.name), account) for account in accounts)

    async def accounts(self) -> tuple[Account, ...]:
        """All accounts, read now."""
        accounts = await self._upstream.accounts()
        self.remember(accounts)
        return accounts

    def matching(self, text: str | None) -> Callable[[Instrument], bool]:
        """For reading: which instruments a name picks; a root picks every contract month, no name picks all.

        Raises:
            BadRequest: The text is no instrument name.
        """
        if text is None:
            return lambda instrument: True
        match parse_instrument(text, self._clock().date()):
            case Instrument() as dated:
                return lambda instrument: instrument == dated
            case FrontMonth(root):  # pragma: no branch  # the set is closed
                return lambda instrument: instrument.root == root

    async def instrument(self, text: str) -> Instrument:
        """Resolve any spelling to its dated contract; a root or continuous name to the front month of today.

        Raises:
            BadRequest: The text is no instrument name.
            NotFound: The service does not know the root.
        """
        match parse_instrument(text, self._clock().date()):
            case Instrument() as dated:
                return dated
            case FrontMonth(root):  # pragma: no branch  # the set is closed
                (quote,) = await self._upstream.quotes([root])
                return quote.instrument

    async def instrument_held(self, text: str, account: str) -> Instrument:
        """Resolve a name for an exit: a root means the contract that is held or has orders, not the front month.

        Raises:
            BadRequest: Several contract months of the root are open, so the month must be named.
        """
        match parse_instrument(text, self._clock().date()):
            case Instrument() as dated:
                return dated
            case FrontMonth(root):  # pragma: no branch  # the set is closed
                months = await self._open_months(root, account)
        if len(months) > 1:
            listed = ", ".join(sorted(map(str, months)))
            raise BadRequest(f"instrument {text[:40]!r} is open in several contract months: {listed}; name one")
        return months.pop() if months else await self.instrument(text)

    async def _open_months(self, root: str, account: str) -> set[Instrument]:
        urgent = self._upstream.urgent()
        held = {position.instrument for position in await urgent.positions(account) if position.quantity}
        ordered = {order.instrument for order in await urgent.orders(account, active_only=True)}
        return {instrument for instrument in held | ordered if instrument.root == root}


def _key(name: str) -> str:
    """Case does not matter, but only in plain letters: others fold into look-alikes, as a long s folds into an s."""
    return name.lower() if name.isascii() else name
