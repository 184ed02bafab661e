"""Gathers what is known before a decision, and lets the guard review the command on it.

1. What a command needs is read side by side, a few requests at a time. What could not be read stays unknown.
2. An order that fills between two readings side by side could be in neither: gone from the orders, not yet among the
   positions. So orders are read with those that are over, and wherever one has filled more than was seen of it before,
   positions are read once more, after it. It may be counted twice then, never not at all.
3. A second source is asked where it decides something: the report of all accounts comes along with the lists, and
   where it knows of something that the list of positions does not hold, the position is asked for by its name.
4. Where somebody will be asked the report says what is held, too, for the question alone (`account_reader.py`).
5. What was read serves all commands of a proposal. What does not change in a minute is kept so long: the session, which
   contract a root stands for. A quote is taken from the stream where there is one, and is not read twice in a second.
   After a question nothing is used that is older than the question.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from ct_mcp.desk.account_reader import AccountReports, Report, ReviewReads, with_figures, with_orders_of_now
from ct_mcp.desk.approval import approval_of
from ct_mcp.desk.day_losses import DayLosses
from ct_mcp.desk.elsewhere import Elsewhere
from ct_mcp.desk.fills_seen import FillsSeen
from ct_mcp.desk.market_reader import LiveQuotes, MarketReader
from ct_mcp.desk.membership import Membership
from ct_mcp.desk.order_lists import borne_out
from ct_mcp.desk.pending import last_exit_is_over, pending_orders, possibly_open_orders, strategy_starts, whole_exits
from ct_mcp.desk.ports import BookReads, Store, Upstream
from ct_mcp.desk.read_ahead import Ahead
from ct_mcp.desk.resolver import BookReadings, OpensIn, Resolver
from ct_mcp.desk.second_source import with_second_source
from ct_mcp.desk.side_by_side import Reading, SideBySide
from ct_mcp.domain.account import Account, Position
from ct_mcp.domain.approval import Approval
from ct_mcp.domain.commands import Command, wish
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import CLOCK_PROBES, Contract, Quote, Session, their_clock_ahead_seconds
from ct_mcp.guard.context import RiskContext
from ct_mcp.guard.effect import (
    effect_of,
    instrument_named,
    is_exit_of_entry,
    is_judged_by_book,
    is_new_order,
    is_urgent,
    leaves_all_held,
    leaves_whole,
    may_open,
    strategy_named,
)
from ct_mcp.guard.review import Review, denied_by_values, review
from ct_mcp.store.journal import Outstanding

_REQUESTS_OF_A_REVIEW = 8
_UNREAD = "nothing was read, since that would have waited for the request budget: there may be more reasons"


class ContextBuilder:
    """Builds the risk context of a command and lets the guard review it."""

    def __init__(self, upstream: Upstream, store: Store, team: Membership, clock: Callable[[], datetime]) -> None:
        self._market = MarketReader(clock)
        self.day_losses = DayLosses(store, team, clock)
        self._accounts = AccountReports(clock)
        self.resolver = Resolver(upstream, store, clock, self._market, self.look_ahead)
        self.elsewhere = Elsewhere(store, team, self.resolver)
        self._upstream, self._store, self._team, self._clock = upstream, store, team, clock
        self.fills, self._ahead = FillsSeen(clock), dict[str, Ahead]()

    def hear_quotes(self, live: LiveQuotes) -> None:
        """Take quotes from a stream from now on, where it tells fresh ones."""
        self._market.live = live

    async def review(
        self,
        command: Command,
        book: BookReads | None = None,
        *,
        asked_at: datetime | None = None,
        is_silent: bool = False,
        by_report: bool = False,
    ) -> Review:
        """Read what the command's rules need, then apply all of them.

        ``book`` is one reading that serves several exits at once; each account is then taken as it was listed.
        ``asked_at`` is when the person was asked, if somebody was: nothing that was read before it is used then.
        ``is_silent`` says that the stream has told of no change in the account since it was last reviewed.
        ``by_report`` lets the report of all accounts say what is held (4), and the next review have what was read.

        Raises:
            UpstreamError: The account itself could not be read, and nothing is known of it from before.
        """
        upstream = self._upstream.urgent() if is_urgent(command) else self._upstream
        reads = ReviewReads(upstream, self._clock(), asked_at, is_silent, by_report)
        context = await self.elsewhere.beside(command, await self._read(command, reads, book), reads)
        return await self._judged(command, replace(context, unread=tuple(reads.failures)))

    async def review_again(self, held: Review, asked_at: datetime) -> Review | None:
        """Apply every rule to the facts of a review once more, on the clock and with the store's word of this moment.

        The service is asked nothing: only a quote may be newer, where the stream tells one. None where the quote is
        too old by now to tell the time by.
        """
        context, now = held.context, self._clock()
        context = replace(context, now=now, read_at=context.read_at or context.now)
        if context.quote is not None:
            quote = self._market.told(context.quote.instrument, asked_at) or context.quote
            ahead = their_clock_ahead_seconds([quote], now)
            if ahead is None and (quote.age_seconds(now) or 0.0) > self._team.policy.limits.quote_max_age_seconds:
                return None
            before = self.contract_before(quote)
            context = replace(context, quote=quote, contract_before=before, clock_ahead_seconds=ahead)
        return await self._judged(held.command, context)

    async def freshen(self, account: str, instrument: Instrument | None, asked_at: datetime) -> None:
        """Read figures, session and, where no stream tells it, the quote, so that the review after the yes need not."""
        async with SideBySide([]) as ask:
            ask.read("account", self._accounts.by_itself(account, self._upstream))
            if instrument is not None:
                ask.read("session", self._market.session(instrument, self._upstream))
            if instrument is not None and self._market.told(instrument, asked_at) is None:
                ask.read("quote", self._market.quote_anew(instrument, self._upstream))

    async def _judged(self, command: Command, context: RiskContext) -> Review:
        """Add what the store knows, and apply all rules."""
        instrument = instrument_named(command, context)
        account = context.account.name if context.account else command.account
        context = await self._with_state(context, account, command)
        team = await self._team.hear() if may_open(effect_of(command, context)) else self._team.standing
        policy = self._team.policy.for_(account, instrument.root if instrument else None)
        if context.account is not None:
            await self.day_losses.note([context.account])
        if policy.firm is not None and context.account is not None:
            context = replace(context, record=await self._store.balance_record(account))
        possibly, names = await self._possibly_open(command, context), self.resolver.names
        context = replace(context, possibly_open=possibly, listed_accounts=names, contracts=self.contracts, team=team)
        return review(command, context, policy)

    async def review_to_propose(self, command: Command, book: BookReads | None, *, is_last: bool = True) -> Review:
        """Review what is proposed: an exit that nobody is asked about leaves without a reading before it."""
        unread = await self.review_unread(command)
        if unread is not None and unread.passes and approval_of(unread) is Approval.NONE:
            return unread
        told = await self.review(command, book, by_report=True)
        if told.context.by_report and (not told.passes or approval_of(told) is Approval.NONE):
            return await self.review(command, book)  # nothing is sent or denied on the word of the report alone
        if is_last:
            self._ahead.pop(command.account, None)
        return told

    async def denied_at_once(self, command: Command) -> Review | None:
        """Say no without a reading where a reading would wait for the budget and can change nothing; else None."""
        account = self.resolver.known(command.account)
        if account is None or (await self._upstream.allowance()).requests_left >= _REQUESTS_OF_A_REVIEW:
            return None
        context = RiskContext(self._clock(), account, unread=(_UNREAD,))
        instrument = instrument_named(command, context)
        policy = self._team.policy.for_(account.name, instrument.root if instrument else None)
        return denied_by_values(command, context, policy)

    async def review_unread(self, command: Command) -> Review | None:
        """Judge an exit by what is known without a question; None where something has to be read first.

        Nothing but a wrong account stops one that leaves all; what may still be on its way has to be looked at.
        """
        account = self.resolver.known(command.account)
        if account is None or not leaves_all_held(command):
            return None
        outstanding = await self._store.outstanding(command.account)
        if outstanding.entries or not await last_exit_is_over(self._store, command.account):
            return None
        context = RiskContext(self._clock(), account, journal_position=outstanding.seen)
        return await self._judged(command, replace(context, front_taken=self.resolver.front_taken(command.account)))

    async def _read(self, command: Command, reads: ReviewReads, book: BookReads | None) -> RiskContext:
        name, urgent, shown = command.account, is_urgent(command), book or reads.upstream
        instrument = instrument_named(command, RiskContext(self._clock()))
        # First: what settles while we read is then counted twice, never not at all.
        outstanding = await self._store.outstanding(name)
        ahead = None if book else self._taken_ahead(name, reads, outstanding)
        outstanding = ahead.outstanding if ahead else outstanding
        known = await self.resolver.account(name) if book else self.resolver.known(name) if urgent else None
        noted_before = ahead.noted_before if ahead else self.fills.turns
        by_report = reads.by_report and book is None and is_new_order(command)
        by_report = by_report and (ahead.by_report if ahead else self._needs_question(name, instrument))
        async with reads.side_by_side() as ask:
            orders = ahead.orders if ahead else ask.read("orders", shown.orders(name, active_only=book is not None))
            positions = ahead.positions if ahead and ahead.by_report <= by_report else Reading[tuple[Position, ...]]()
            positions = positions if ahead or by_report else ask.read("positions", shown.positions(name))
            named = self._ask_by_name(ask, name, instrument, reads) if instrument and not urgent else None
            told = ahead.report if ahead else None
            report = None if known else told or ask.read("account", self._accounts.report(name, reads))
            strategy_id = strategy_named(command)
            strategy = None if strategy_id is None else ask.read("strategy", reads.upstream.strategy(name, strategy_id))
            needs_market = instrument is not None and (not urgent or is_exit_of_entry(command))
            market = self._ask_market(ask, instrument, reads) if instrument and needs_market else None
        fills_more = book is None and self.fills.are_more(name, orders.value or (), noted_before)
        noted = self.fills.turns  # positions are as new as that, or are read once more
        if by_report and report is not None:
            positions = self._reported(name, report)
            by_report = positions.value is not None
        if fills_more or (positions.value is None and positions.error is None):
            async with reads.side_by_side() as ask:
                positions = ask.read("positions", reads.upstream.positions(name))
        if book is None and is_judged_by_book(command):
            orders = await borne_out(reads.upstream, name, orders, positions)
        if reads.by_report and book is None:
            since = (ahead.began_at, ahead.ended_at) if ahead else (reads.began_at, self._clock())
            self._ahead[name] = Ahead(outstanding, noted_before, orders, positions, report, *since, by_report)
        account, reported = (known, None) if report is None else await self._account(name, report, urgent=urgent)
        standing = None if orders.value is None else tuple(order for order in orders.value if not order.is_closed)
        pending = pending_orders(outstanding.entries, orders.value or (), positions.value or (), self._clock())
        pending += () if book else self.fills.not_shown(name, orders.value, positions.value, pending)
        context = RiskContext(
            self._clock(),
            account,
            positions.value,
            standing,
            pending,
            whole_exits=whole_exits(outstanding.entries),
            strategy_starts=strategy_starts(outstanding.entries),
            book_asked_at=ahead.began_at if ahead else reads.began_at,
            strategy=strategy.value if strategy else None,
            journal_position=outstanding.seen,
            by_report=by_report,
            orders_doubted=orders.is_borne_out is False,
            over=frozenset(order.order_id for order in orders.value or () if order.is_closed),
        )
        context = await with_second_source(command, context, reads, self._store, lists_orders=bool(orders.value))
        return await self._completed(command, context, (reported, named, noted), market, reads)

    async def look_ahead(self, name: str, upstream: Upstream, opens: OpensIn | None = None) -> BookReadings:
        """Read orders, those that are over too, and positions, for whoever must know what is held to name a contract.

        The review that follows at once takes them, too. ``opens`` says that it will be one of an order that may open,
        and in which instrument, if that is known: what such a review needs beside them is read with them.
        """
        outstanding, noted_before = await self._store.outstanding(name), self.fills.turns
        reads, positions = ReviewReads(upstream, self._clock()), Reading[tuple[Position, ...]]()
        by_report = opens is not None and opens.by_report and self._needs_question(name, opens.instrument)
        async with reads.side_by_side() as ask:
            orders = ask.read("orders", upstream.orders(name, active_only=False))
            positions = positions if by_report else ask.read("positions", upstream.positions(name))
            report = ask.read("account", self._accounts.report(name, reads)) if opens else None
            if opens and opens.instrument:
                self._ask_market(ask, opens.instrument, reads)
        if by_report and report is not None:
            positions = self._reported(name, report)
        if positions.value is None and positions.error is None:
            by_report = False
            async with reads.side_by_side() as ask:
                positions = ask.read("positions", upstream.positions(name))
        orders = await borne_out(upstream, name, orders, positions) if opens else orders
        since = (reads.began_at, self._clock())
        self._ahead[name] = Ahead(outstanding, noted_before, orders, positions, report, *since, by_report)
        return orders, positions, report

    async def book_to_plan(self, name: str, instrument: Instrument) -> BookReadings:
        """Give orders and positions to plan by, read now or a moment ago; the review that follows takes the same."""
        ahead = self._ahead.get(name)
        if ahead and not ahead.by_report and ahead.serves(await self._store.outstanding(name), self._clock()):
            return ahead.orders, ahead.positions, ahead.report
        return await self.look_ahead(name, self._upstream, OpensIn(instrument))

    def _taken_ahead(self, name: str, reads: ReviewReads, outstanding: Outstanding) -> Ahead | None:
        """Give what was read a moment ago, once: not after a question, nor where some failed or was sent since."""
        ahead = self._ahead.pop(name, None)
        if ahead is None or reads.asked_at is not None:
            return None
        return ahead if ahead.serves(outstanding, self._clock()) else None

    async def _completed(
        self,
        command: Command,
        context: RiskContext,
        second: "_SecondWords",
        market: "_MarketReadings | None",
        reads: ReviewReads,
    ) -> RiskContext:
        """Add what could only be asked for once orders and positions were known."""
        instrument, urgent = instrument_named(command, context), is_urgent(command)
        if instrument is None:
            return context
        if is_judged_by_book(command):
            report, named, noted = second
            context = await self._accounts.believed(context, instrument, report, named, reads)
            context = await with_orders_of_now(context, instrument, report, reads, (self.fills, noted))
        # Of what is urgent only a partial close that may turn the position is judged as an order: by the market and by
        # figures of now, too.
        if market is None and (not urgent or effect_of(command, context).sends_orders):
            async with reads.side_by_side() as ask:
                market = self._ask_market(ask, instrument, reads)
                told = ask.read("account", self._accounts.report(command.account, reads)) if urgent else None
            context = context if told is None else with_figures(context, told)
        order = effect_of(command, context).order
        if order is not None and order.atm_strategy is not None:
            async with reads.side_by_side() as ask:
                templates = ask.read("ATM templates", reads.upstream.atm_templates())
            context = replace(context, atm_templates=templates.value)
        return context if market is None else await self._with_market(context, market, reads)

    async def _with_market(self, context: RiskContext, market: "_MarketReadings", reads: ReviewReads) -> RiskContext:
        quote, session = market[0].value, market[1].value
        # The quote was read after the clock was: without a new look it would seem to come from the future.
        context = replace(context, now=self._clock(), session=session)
        if quote is None:
            return context
        ahead = await self._clock_ahead(quote, context.now, reads)
        return replace(context, quote=quote, contract_before=self.contract_before(quote), clock_ahead_seconds=ahead)

    async def _clock_ahead(self, quote: Quote, now: datetime, reads: ReviewReads) -> float | None:
        """Look at other instruments only where this quote is too old: the same age on each is that of a clock."""
        ahead = their_clock_ahead_seconds([quote], now)
        if ahead is not None or (quote.age_seconds(now) or 0.0) <= self._team.policy.limits.quote_max_age_seconds:
            return ahead
        async with reads.side_by_side() as ask:
            others = ask.read("quotes to tell the clock by", reads.upstream.quotes(CLOCK_PROBES))
        return their_clock_ahead_seconds([quote, *(others.value or ())], now)

    async def quote(self, instrument: Instrument) -> Quote:
        """Give the quote that is streamed, or was read a moment ago, or read it.

        Raises:
            UpstreamError: It could not be read.
        """
        quote = await self._market.quote(instrument, self._upstream, None)
        self.contract_before(quote)
        return quote

    @property
    def contracts(self) -> dict[Instrument, Contract]:
        """What a contract of each instrument is worth, as far as a quote of this trading day was read."""
        return self._market.contracts

    def contract_before(self, quote: Quote) -> Contract:
        """Give what the first quote of this trading day said of the contract; this one, where it is the first."""
        return self._market.contract_before(quote)

    def _needs_question(self, name: str, instrument: Instrument | None) -> bool:
        """Say whether somebody is asked about what opens, and the quote has to be asked for before."""
        account = self.resolver.known(name)
        if account is None or instrument is None or self._market.told(instrument, None) is not None:
            return False
        policy = self._team.policy.for_(account.name, instrument.root)
        return policy.approval_for(account.name, account.kind, leaves=False) is not Approval.NONE

    def _reported(self, name: str, report: Reading[Report]) -> Reading[tuple[Position, ...]]:
        """What the report says is held; nothing, where it may not know of the last fill or contradicts itself."""
        told = report.value
        may_serve = told is not None and told.tells_all and not self.fills.may_be_unreported(name)
        return Reading(told.positions if told and may_serve else None)

    def _ask_market(self, ask: SideBySide, instrument: Instrument, reads: ReviewReads) -> "_MarketReadings":
        quote = ask.read("quote", self._market.quote(instrument, reads.upstream, reads.asked_at))
        return quote, ask.read("session", self._market.session(instrument, reads.upstream))

    def _ask_by_name(
        self, ask: SideBySide, name: str, instrument: Instrument, reads: ReviewReads
    ) -> Reading[Position] | None:
        """Ask for a position by its name beside the list, where the list is about to need a second word."""
        if reads.asked_at is None or reads.is_silent or not self._accounts.was_flat(name, instrument):
            return None
        return ask.read("position", reads.upstream.position(name, instrument))

    async def _account(
        self, name: str, report: "Reading[Report]", *, urgent: bool
    ) -> tuple[Account, tuple[Position, ...] | None]:
        if urgent and report.value is None:
            return await self.resolver.account(name), None
        told = report.required()
        await self.resolver.learn([told.account])
        return told.account, told.positions

    async def _possibly_open(self, command: Command, context: RiskContext) -> tuple[str, ...]:
        """Lists have come back empty: an exit that is shown nothing must know what may stand all the same."""
        if not leaves_whole(command) or context.positions or context.orders:
            return ()
        return await possibly_open_orders(self._store, command.account, instrument_named(command, context))

    async def _with_state(self, context: RiskContext, account: str, command: Command) -> RiskContext:
        state = await self._store.recall(account, wish(command), context.now)
        last = state.last_identical
        return replace(
            context,
            halt=state.halt,
            armed_until=state.armed_until,
            day_loss_reached=state.day_loss_reached,
            entries=state.entries,
            orders_last_minute=state.orders_last_minute,
            minute_began_at=state.minute_began_at,
            orders_today=state.orders_today,
            seconds_since_identical=None if last is None else (context.now - last.at).total_seconds(),
            identical_is_unknown=last is not None and not last.settled,
        )


_MarketReadings = tuple[Reading[Quote], Reading[Session]]
_SecondWords = tuple[tuple[Position, ...] | None, Reading[Position] | None, int]
"""What else tells of positions, the report of all and a position by its name, and up to when fills are known of."""
