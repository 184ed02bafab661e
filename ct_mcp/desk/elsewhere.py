"""What all other accounts hold and have working, where a rule of one forbids opposite positions over all of them.

1. What was sent to other accounts and is of unknown outcome is looked at first, then orders, then positions: what
   settles or fills while we read is then counted twice, never not at all.
2. Positions and orders of all accounts are one list each. A list has come back empty, so the report of all accounts has
   to say the same: where the two disagree, or the report leaves an account out, what that one holds is not known.
3. Positions that NinjaTrader only simulates count for an account that is simulated itself, and for no other: practice
   stands against nothing that a firm or a broker knows of.

Nothing of it is read for what only reduces.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from ct_mcp.desk.account_reader import ReviewReads
from ct_mcp.desk.membership import PolicyInForce
from ct_mcp.desk.pending import pending_orders
from ct_mcp.desk.ports import Store
from ct_mcp.desk.resolver import Resolver
from ct_mcp.domain.account import AccountKind, AccountSnapshot, Position, account_key
from ct_mcp.domain.commands import Command
from ct_mcp.domain.order import Order
from ct_mcp.guard.context import RiskContext
from ct_mcp.guard.effect import effect_of, is_urgent
from ct_mcp.store.journal import Entry


@dataclass(frozen=True, slots=True)
class _Read:
    """What was read of all accounts; None where that could not be read."""

    now: datetime
    positions: Sequence[Position] | None
    orders: Sequence[Order] | None
    reports: Sequence[AccountSnapshot]
    sent: Sequence[Entry]

    def book_of(self, name: str) -> RiskContext:
        """Give the book of one account; what two sources do not agree on is not known."""
        mine = None if self.positions is None else tuple(row for row in self.positions if _is_of(row.account, name))
        orders = None if self.orders is None else tuple(row for row in self.orders if _is_of(row.account, name))
        report = next((each for each in self.reports if _is_of(each.account.name, name)), None)
        if report is None or mine is None or not _agree(report, mine):
            mine = None
        sent = [entry for entry in self.sent if _is_of(entry.account or "", name)]
        pending = pending_orders(sent, orders or (), mine or (), self.now)
        standing = None if orders is None else tuple(order for order in orders if not order.is_closed)
        return RiskContext(self.now, positions=mine, orders=standing, pending=pending)


class Elsewhere:
    """Reads the books of all other accounts for the accounts whose rules need them."""

    def __init__(self, store: Store, held: PolicyInForce, resolver: Resolver) -> None:
        self._store = store
        self._held = held
        self._resolver = resolver

    async def beside(self, command: Command, context: RiskContext, reads: ReviewReads) -> RiskContext:
        """Add the books of all other accounts, where its rules need them and it may open."""
        effect = effect_of(command, context)
        if effect.order is None or effect.only_reduces or is_urgent(command):
            return context
        name = context.account.name if context.account else command.account
        return replace(context, elsewhere=await self.books(name, context.kind, reads))

    async def books(self, name: str, kind: AccountKind, reads: ReviewReads) -> Mapping[str, RiskContext] | None:
        """Read the books of all accounts but one, by their names; None where no rule of that one needs them."""
        firm = self._held.policy.for_(name, None).firm
        if firm is None or not firm.no_opposite_over_accounts:
            return None
        sent = await self._store.unsettled()  # 1
        async with reads.side_by_side() as ask:
            orders = ask.read("orders of all accounts", reads.upstream.all_orders(active_only=True))
        async with reads.side_by_side() as ask:
            positions = ask.read("positions of all accounts", reads.upstream.all_positions())
            reports = ask.read("the report of all accounts", reads.upstream.snapshot())
        await self._resolver.learn(report.account for report in reports.value or ())
        read = _Read(reads.began_at, positions.value, orders.value, reports.value or (), sent)
        rows = [*(row.account for row in positions.value or ()), *(row.account for row in orders.value or ())]
        named = {account_key(each): each for each in (*rows, *self._resolver.names)}.values()
        return {each: read.book_of(each) for each in sorted(named) if self._counts(each, name, kind)}

    def _counts(self, other: str, name: str, kind: AccountKind) -> bool:
        """3: say whether what another account holds counts for this one; a kind that is not known counts."""
        known = self._resolver.known(other)
        is_practice = known is not None and known.kind.is_simulated and not kind.is_simulated
        return not _is_of(other, name) and not is_practice


def _is_of(one: str, other: str) -> bool:
    return account_key(one) == account_key(other)


def _agree(report: AccountSnapshot, rows: Sequence[Position]) -> bool:
    """Say whether the report holds nothing that the list does not hold as well, on the same side."""
    sides = {(row.instrument, row.direction) for row in rows if row.quantity}
    told = {(held.instrument, held.direction) for held in report.positions or () if held.quantity}
    return told <= sides and (bool(sides) or report.what_is_held is not None)
