"""Reads of an account itself: its figures, and a second word on what the list of positions does not hold.

1. Before a question the report of all accounts serves: figures and positions in one request, up to three seconds old.
   Where somebody will be asked, and no stream tells the quote, it says what is held as well, so that orders, report and
   quote are one round. It never does so where nobody is asked, for a denial, or right after a fill.
2. After a question that report is not used, since it may tell of a time before it. The account is read by itself then,
   and serves for as long as the report might have been old, never beyond the question that it was read for.
3. A list that holds nothing of an instrument is not believed on its word alone. Where nothing was held a moment ago,
   the position is asked for by its name beside the list, so that the second word costs no second round. While a
   question is open and the stream tells of no change, the second word of a moment ago stands.
4. An entry from a template brings its exits as it fills. Where it filled after orders were listed and before positions
   were, the position is there and its exits are in no list: where that may be so, orders are read once more. What
   these show to have filled since may be in neither reading, so positions are, too.
5. An exit takes the account as it is known and waits for no reading of it. The close of a part that may turn the
   position is judged as what opens, and by figures that are read then.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from ct_mcp.desk.fills_seen import FillsSeen
from ct_mcp.desk.order_lists import borne_out
from ct_mcp.desk.ports import Upstream
from ct_mcp.desk.side_by_side import Reading, SideBySide
from ct_mcp.domain.account import Account, AccountKind, Balances, Position, account_key
from ct_mcp.domain.instrument import Instrument
from ct_mcp.errors import UpstreamError
from ct_mcp.guard.context import RiskContext

KEPT_FOR = timedelta(seconds=3)
"""As old as the report of all accounts may be."""


class Report(NamedTuple):
    """An account, with what the report of all accounts holds of it; None where that does not say, or was not read.

    ``tells_all`` says that the report is at one with itself on whether anything is held. ``is_mute`` says that it was
    read and names no list of positions, or says that something is held and lists nothing.
    """

    account: Account
    positions: tuple[Position, ...] | None = None
    tells_all: bool = False
    is_mute: bool = False


@dataclass(frozen=True, slots=True)
class ReviewReads:
    """The reads of one review: with which client, since when they count, and what could not be read.

    ``asked_at`` is when the person was asked, None where nobody was. ``is_silent`` says that the stream has told of no
    change in the account since the review before this one. ``by_report`` lets the report of all accounts say what is
    held, and the review that follows at once have what this one reads.
    """

    upstream: Upstream
    began_at: datetime
    asked_at: datetime | None = None
    is_silent: bool = False
    by_report: bool = False
    failures: list[str] = field(default_factory=list)

    def side_by_side(self) -> SideBySide:
        """Begin reads whose failures are noted."""
        return SideBySide(self.failures)


class AccountReports:
    """Reads accounts, and keeps for seconds what was read of one since a question."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._accounts: dict[str, tuple[datetime, Account]] = {}
        self._were_flat: set[tuple[str, Instrument]] = set()
        self._named_flat: dict[tuple[str, Instrument], datetime] = {}

    async def report(self, name: str, reads: ReviewReads) -> Report:
        """Read the account: with its positions in the report of all, or by itself.

        Raises:
            UpstreamError: It could not be read.
        """
        began_at, kept = self._accounts.get(account_key(name), (None, None))
        if kept is not None and self._still_serves(began_at, reads):
            return Report(kept)
        try:
            reports = () if reads.asked_at else await reads.upstream.snapshot()
        except UpstreamError:
            reports = ()
        for report in reports:
            account = report.account
            is_it = account.name.casefold() == name.casefold()
            if is_it and account.kind is not AccountKind.UNKNOWN and account.balances.day_pnl is not None:
                held = report.what_is_held
                is_held = any(position.quantity for position in held or ())
                tells_all = is_held if report.is_flat is None else is_held is not report.is_flat
                return Report(account, held, tells_all and held is not None, held is None)
        return Report(await self.by_itself(name, reads.upstream))

    async def by_itself(self, name: str, upstream: Upstream) -> Account:
        """Read one account now, and keep it.

        Raises:
            UpstreamError: It could not be read.
        """
        began_at = self._clock()
        account = await upstream.account(name)
        self._accounts[account_key(name)] = began_at, account
        return account

    def was_flat(self, name: str, instrument: Instrument) -> bool:
        """Say whether an instrument was last seen to be flat."""
        return (account_key(name), instrument) in self._were_flat

    async def believed(
        self,
        context: RiskContext,
        instrument: Instrument,
        report: tuple[Position, ...] | None,
        named: "Reading[Position] | None",
        reads: ReviewReads,
    ) -> RiskContext:
        """Where the list holds nothing of an instrument, believe it if a second word says the same (3).

        The report is some seconds old, and lists have come back empty: where they disagree, the position is asked for
        by its name and the account by itself. Where these contradict the list as well, positions are not known.
        """
        if context.positions is None or context.account is None:
            return context
        if context.net_position(instrument):
            self._were_flat.discard((account_key(context.account.name), instrument))
            return context
        key = account_key(context.account.name), instrument
        is_reported_flat = report is not None and not any(held.net for held in report if held.instrument == instrument)
        is_borne_out = is_reported_flat or (named is None and reads.is_silent and self._was_named_flat(key, reads))
        if is_borne_out and not _contradicts(context.account, context.positions):
            self._were_flat.add(key)
            return context
        return await self._by_name(context, key, named, reads, ask_account=report is not None)

    async def _by_name(
        self,
        context: RiskContext,
        key: tuple[str, Instrument],
        named: "Reading[Position] | None",
        reads: ReviewReads,
        *,
        ask_account: bool,
    ) -> RiskContext:
        name, instrument = context.account.name if context.account else "", key[1]
        async with reads.side_by_side() as ask:
            named = named or ask.read("position", reads.upstream.position(name, instrument))
            again = ask.read("account", reads.upstream.account(name)) if ask_account else None
        account = context.account if again is None else again.value
        is_flat = named.value is not None and not named.value.quantity
        if is_flat and account is not None and not _contradicts(account, context.positions or ()):
            self._were_flat.add(key)
            self._named_flat[key] = reads.began_at
            return replace(context, account=account)
        self._were_flat.discard(key)
        if named.value is not None:
            what = f"positions contradict each other: the list holds no {instrument}, other reports do"
            reads.failures.append(what)
        return replace(context, positions=None)

    def _was_named_flat(self, key: tuple[str, Instrument], reads: ReviewReads) -> bool:
        return self._still_serves(self._named_flat.get(key), reads)

    def _still_serves(self, began_at: datetime | None, reads: ReviewReads) -> bool:
        """Say whether what was read then was read since the question, and not long ago."""
        if began_at is None or reads.asked_at is None or began_at < reads.asked_at:
            return False
        return timedelta(0) <= self._clock() - began_at <= KEPT_FOR


async def with_orders_of_now(
    context: RiskContext,
    instrument: Instrument,
    report: tuple[Position, ...] | None,
    reads: ReviewReads,
    known: tuple[FillsSeen, int],
) -> RiskContext:
    """Read orders once more where one may have filled since they were listed: exits of its own are in no list then (4).

    One that has filled in between counts as it stood before, so that it may be counted twice, and never not at all;
    and where any has filled more than was ``known`` as positions were asked for, these are read once more as well.
    """
    held = context.net_position(instrument)
    if not held or context.orders is None or context.account is None or reads.asked_at is not None:
        return context
    leads = any(order.instrument == instrument and order.action.sign * held > 0 for order in context.orders)
    if not leads and report is not None and held == sum(row.net for row in report if row.instrument == instrument):
        return context
    async with reads.side_by_side() as ask:
        again = ask.read("orders", reads.upstream.orders(context.account.name, active_only=False))
    again = await borne_out(reads.upstream, context.account.name, again, Reading(context.positions))
    (fills, noted), standing_before = known, context.orders
    if fills.are_more(context.account.name, again.value or (), noted):
        async with reads.side_by_side() as ask:
            positions = ask.read("positions", reads.upstream.positions(context.account.name))
        context = replace(context, positions=positions.value)
    now = {order.order_id: order for order in again.value or ()}
    filled = (each for each in standing_before if each.order_id in now and now[each.order_id].filled > each.filled)
    standing = {order.order_id: order for order in now.values() if not order.is_closed}
    standing |= {order.order_id: order for order in filled}
    context = replace(context, orders_doubted=again.is_borne_out is False)
    return replace(context, orders=None if again.value is None else tuple(standing.values()))


def with_figures(context: RiskContext, told: Reading[Report]) -> RiskContext:
    """Take the account as it was read just now; where it could not be, its figures of before do not serve (5)."""
    if told.value is not None:
        return replace(context, account=told.value.account)
    return (
        context if context.account is None else replace(context, account=replace(context.account, balances=Balances()))
    )


def _contradicts(account: Account, positions: tuple[Position, ...]) -> bool:
    """Say whether something must be held although the list is empty: only positions have an unrealised P&L."""
    return not positions and bool(account.balances.unrealized_pnl)
