"""Names as the person says them → the account and the dated contract that they mean."""

import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from ct_mcp.desk.account_reader import Report
from ct_mcp.desk.market_reader import MarketReader
from ct_mcp.desk.ports import Store, Upstream
from ct_mcp.desk.root_months import held_elsewhere, months_elsewhere, months_of
from ct_mcp.desk.side_by_side import Reading, SideBySide
from ct_mcp.domain.account import Account, AccountKind, Position, account_key
from ct_mcp.domain.instrument import FrontMonth, Instrument, OtherInstrument, parse_instrument
from ct_mcp.domain.order import Order, OrderAction
from ct_mcp.errors import BadRequest, CtMcpError, StoreFailed, UpstreamError
from ct_mcp.text import sanitize

_log = logging.getLogger(__name__)


BookReadings = tuple[Reading[tuple[Order, ...]], Reading[tuple[Position, ...]], Reading[Report] | None]
"""Orders, positions, and the report of all accounts where that was read with them."""


@dataclass(frozen=True, slots=True)
class OpensIn:
    """What an order is for that may open: its contract, None where that is only being found out.

    ``by_report`` lets the report of all accounts say what is held, where somebody will be asked.
    """

    instrument: Instrument | None
    by_report: bool = False


LookAhead = Callable[[str, Upstream, OpensIn | None], Awaitable[BookReadings]]
"""Reads orders, those that are over too, and positions of an account; the review that follows need not again."""


class Resolver:
    """Resolves account and instrument names; keeps what it learned of accounts, since exits must not wait for it."""

    def __init__(
        self,
        upstream: Upstream,
        store: Store,
        clock: Callable[[], datetime],
        market: MarketReader,
        look_ahead: LookAhead,
    ) -> None:
        self._look_ahead = look_ahead
        self._store = store
        self._upstream = upstream
        self._clock = clock
        self._market = market
        self._known: dict[str, Account] = {}
        self._kept: dict[str, Account] = {}
        self._has_recalled = False
        self._front_taken: dict[str, Instrument] = {}
        self.listed: frozenset[str] = frozenset()
        """The accounts that the list of all named last, by `account_key`."""

    async def account(self, text: str) -> Account:
        """Find an account by its exact name, whatever the case of its letters, or by the name that one is shown under.

        Raises:
            BadRequest: No account is called so, or several are shown so; the message names those that there are.
        """
        if self.known(text) is None:
            await self._recall()
        if self.known(text) is None:
            await self.accounts()
        found = self.known(text) or self._shown_as(text)
        if found is None:
            names = ", ".join(sorted(sanitize(account.name, longest=80) for account in self._known.values())) or "none"
            raise BadRequest(f"account {text[:60]!a} does not exist; the accounts are: {names}")
        return found

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all accounts that were reported so far."""
        return tuple(account.name for account in self._known.values())

    def _shown_as(self, text: str) -> Account | None:
        """Find the one account with this display name; its own name is what is sent."""
        shown = ((known, known.display_name) for known in self._known.values())
        alike = [known for known, name in shown if name and account_key(name) == account_key(text)]
        if len(alike) > 1:
            names = ", ".join(sorted(sanitize(account.name, longest=80) for account in alike))
            raise BadRequest(f"account {text[:60]!a} is shown so for several: {names}; name one")
        return alike[0] if alike else None

    def known(self, name: str) -> Account | None:
        """Give the newest report of an account, if there was one."""
        return self._known.get(account_key(name))

    async def _recall(self) -> None:
        """Take what was kept by an earlier process, once: a first exit need not wait for a list then."""
        if self._has_recalled:
            return
        self._has_recalled = True
        try:
            kept = await self._store.known_accounts(self._clock())
        except StoreFailed:
            return
        self._kept = {account_key(account.name): _lasting(account) for account in kept}
        self._known = {account_key(account.name): account for account in kept} | self._known

    async def learn(self, accounts: Iterable[Account]) -> None:
        """Remember these accounts, and keep over restarts what is new of them."""
        self.remember(accounts := tuple(accounts))
        lasting = {account_key(each.name): _lasting(self._known[account_key(each.name)]) for each in accounts}
        told = {key: account for key, account in lasting.items() if account.kind is not AccountKind.UNKNOWN}
        new = {key: account for key, account in told.items() if self._kept.get(key) != account}
        if not new:
            return
        try:
            await self._store.keep_accounts(new.values(), self._clock())
        except StoreFailed:
            return  # an account that is not kept is read again after a restart
        self._kept |= new

    def remember(self, accounts: Iterable[Account]) -> None:
        """Keep the newest report of these accounts; a row that is nothing but a name makes nothing unknown."""
        for account in accounts:
            known = self._known.get(account_key(account.name)) or account
            kind = known.kind if account.kind is AccountKind.UNKNOWN else account.kind
            currency = account.currency or known.currency
            self._known[account_key(account.name)] = replace(account, kind=kind, currency=currency)

    async def accounts(self, *, urgent: bool = False) -> tuple[Account, ...]:
        """All accounts, read now; ``urgent`` where an exit waits for it."""
        accounts = await (self._upstream.urgent() if urgent else self._upstream).accounts()
        await self.learn(accounts)
        self.listed = frozenset(account_key(account.name) for account in accounts)
        return accounts

    async def look_again(self) -> None:
        """Look at the accounts themselves once more before an exit: the person may have taken a while to say yes."""
        try:
            await self.accounts(urgent=True)
        except CtMcpError:
            _log.warning("The accounts could not be listed before an exit; they are taken as they were known")

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
                return await self._market.front(root, self._upstream)

    async def instrument_to_trade(self, text: str, account: str, action: OrderAction) -> Instrument:
        """Resolve a name for an order: a root that would leave another month than the front month is asked back.

        Raises:
            BadRequest: Another month of the root is held that this side would reduce, so the month must be named.
        """
        match parse_instrument(text, self._clock().date()):
            case Instrument() as dated:
                return dated
            case FrontMonth(root):  # pragma: no branch  # the set is closed
                async with SideBySide([]) as ask:
                    front = ask.read("front month", self._market.front(root, self._upstream))
                    opens = OpensIn(self._market.known_front(root), by_report=True)
                    book = ask.read("positions", self._look_ahead(account, self._upstream, opens))
        instrument = front.required()
        # Where they cannot be read the review, which reads them as well, denies what opens.
        _, positions, report = book.required()
        rows = positions.value or ()
        if not rows and report and report.value:
            told = report.value.positions or ()
            rows = await held_elsewhere(self._upstream, account, instrument.root, told)
        held = [each for each in rows if each.instrument.root == instrument.root and each.net * action.sign < 0]
        if any(each.instrument != instrument for each in held):
            months = ", ".join(f"{each.direction} {each.quantity} {each.instrument}" for each in held)
            stands_for = f"{text[:40]!r} stands for {instrument} now, and {months} is held"
            raise BadRequest(f"{stands_for}; name the month that is meant. Nothing was sent")
        return instrument

    async def instrument_held(self, text: str, account: str, *, is_reviewed: bool = False) -> Instrument:
        """Resolve a name for an exit: a root means the contract that is held or has orders, not the front month.

        ``is_reviewed`` says that all rules are asked about it right after: what they need is read with the rest.

        Raises:
            BadRequest: Several contract months of the root are open, so the month must be named.
        """
        self._front_taken.pop(account_key(account), None)
        match parse_instrument(text, self._clock().date()):
            case Instrument() as dated:
                return dated
            case FrontMonth(root):  # pragma: no branch  # the set is closed
                try:
                    opens = OpensIn(self._market.known_front(root)) if is_reviewed else None
                    months = await self._open_months(root, account, opens)
                except UpstreamError as error:
                    error.advice = f"name the contract month, as in '{root} 12-26': then an exit waits for no reading"
                    raise
        if others := [month for month in months if isinstance(month, OtherInstrument)]:
            raise BadRequest(
                f"{others[0].label}: only futures are traded here",
                next_step="the person closes it in NinjaTrader; everything else can be traded as usual",
            )
        if len(months) > 1:
            listed = ", ".join(sorted(map(str, months)))
            raise BadRequest(f"instrument {text[:40]!r} is open in several contract months: {listed}; name one")
        if months:
            return months.pop()
        self._front_taken[account_key(account)] = front = await self.instrument(text)
        return front

    def front_taken(self, account: str) -> Instrument | None:
        """Give, once, the front month that was just taken for a root of which no source showed anything as held."""
        return self._front_taken.pop(account_key(account), None)

    async def _open_months(self, root: str, account: str, opens: OpensIn | None) -> set[Instrument]:
        urgent = self._upstream.urgent()
        orders, positions, _ = await self._look_ahead(account, urgent, opens)
        listed = positions.required(), orders.required()
        return months_of(root, *listed) | await months_elsewhere(urgent, account, root, *listed)


def _lasting(account: Account) -> Account:
    """What of an account is the same tomorrow."""
    return Account(account.name, account.kind, account.provider, account.display_name, account.currency)
