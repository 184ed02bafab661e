"""Two desks over one store and one simulator, a person, and somebody else who trades the same accounts."""

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import TypeVar

import anyio

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.desk.desk import Desk
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.domain.approval import Ticket
from ct_mcp.domain.commands import CancelOrders, Command, Flatten, PlaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.errors import CtMcpError, NotConfirmed, OutcomeUnknown
from ct_mcp.guard.policy import AccountPolicy, Limits, Mode, Policy
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.orders import Action as Way
from ct_mcp.simulator.orders import OrderLabels, OrderTerms, SimOrderType
from ct_mcp.simulator.simulator import Simulator, SimulatorSettings
from ct_mcp.store.journal import EntryKind
from ct_mcp.store.sqlite import SqliteStore
from tests.resilience.stateful.witness import MAX_ORDER, MAX_POSITION, ROOT, Died, Sent, Witness, may_fill

ACCOUNTS = ("Sim101", "APEX-482910")
MES = Instrument(ROOT, 2026, 9)
MORNING = datetime(2026, 9, 9, 14, 30, tzinfo=UTC)
_LIMITS = Limits(
    max_order_contracts=MAX_ORDER,
    max_position_contracts=MAX_POSITION,
    max_orders_per_minute=1000,
    max_orders_per_day=1000,
)
_ENDED = (Status.FILLED, Status.CANCELLED, Status.REJECTED, Status.FLAT, Status.CHANGED, Status.WORKING)
_T = TypeVar("_T")


class Scene:
    """One world; every step of a test is one call of it."""

    def __init__(self, *, live: bool) -> None:
        self.runner = asyncio.Runner()
        self.folder = Path(mkdtemp(prefix="model"))
        self.clock = ManualClock(MORNING)
        self.sim = Simulator(seed=7, clock=self.clock, token="t", settings=SimulatorSettings(rate_limit=None))
        self.auditor = SqliteStore(self.folder)
        self.witness = Witness(self.sim, self.auditor, live_mode=live)
        named = {name: AccountPolicy() for name in ACCOUNTS}
        self.policy = Policy(mode=Mode.LIVE, accounts=named) if live else Policy()
        self.policy = replace(self.policy, limits=_LIMITS)
        self.stores: list[SqliteStore] = []
        self.desks: list[Desk] = []
        self.tickets: dict[str, Ticket] = {}
        self.committed: set[str] = set()
        for _ in range(2):
            self._start_desk()

    def run(self, work: Awaitable[_T]) -> _T:
        """Do one thing, on the one event loop of this world."""

        async def worked() -> _T:
            return await work

        return self.runner.run(worked())

    def close(self) -> None:
        """Leave nothing behind."""
        for store in (*self.stores, self.auditor):
            self.run(store.close())
        self.runner.close()
        rmtree(self.folder, ignore_errors=True)

    def _start_desk(self) -> Desk:
        """A desk as a new process would have it: only what is on disk is known."""
        upstream = CrossTrade(
            "https://simulator.invalid", "t", transport=self.witness, clock=self.clock, sleep=self._pause
        )
        self.stores.append(SqliteStore(self.folder))
        desk = Desk(upstream, self.stores[-1], self.policy, clock=self.clock, pause=self._pause)
        self.desks.append(desk)
        return desk

    async def _pause(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def restart(self, which: int) -> None:
        """End one process and start another in its place, over the same folder."""
        self.desks.pop(which)
        self.run(self.stores.pop(which).close())
        self._start_desk()

    def propose(self, which: int, *commands: Command) -> Ticket | None:
        """Ask for commands, under one ticket; nothing may leave."""
        try:
            proposed = self.run(self.desks[which].propose(commands, "because"))
        except CtMcpError:
            return None
        if isinstance(proposed, Outcome):
            assert proposed.status is Status.DENIED
            return None
        self.tickets[proposed.ticket_id] = proposed
        return proposed

    def preview(self, which: int, command: Command) -> None:
        """Look at a command: nothing is written, and what is unsettled counts as pending.

        So does what is held beyond what an exit of all was read to leave: it takes what it finds as it arrives.
        """
        before = self.run(self.auditor.verify()).count
        try:
            context = self.run(self.desks[which].preview(command)).context
        except CtMcpError:
            return
        written = self.run(self.auditor.verify()).count - before
        assert all(entry.kind is EntryKind.DAY_LOSS for entry in self.run(self.auditor.entries(written)))
        listed = {name for order in context.orders or () for name in (order.order_id, order.own_id)}
        due, held = list[int](), sum(position.net for position in context.positions or ())
        for entry in self.run(self.auditor.unsettled()):
            if entry.account == command.account and entry.own_id not in listed:
                mine = [fill.signed for fill in may_fill(entry)]
                rest = held + sum(signed for signed in mine if signed * held < 0)
                takes_rest = "leaves_all" in entry.detail and rest * held > 0
                due += [*mine, -rest] if takes_rest else mine
        assert sorted(due) == sorted(order.signed_quantity for order in context.pending)

    def approve(self, which: int, ticket: Ticket, channel: str) -> None:
        """The person types the phrase."""
        if self.run(self.desks[which].decisions.take(ticket, ticket.phrase, channel)):
            self.witness.approvals.setdefault(ticket.ticket_id, channel)

    def commit(self, *spends: tuple[int, str], dies: str = "") -> None:
        """Commit tickets, all at once where there are several; what is told has to be so."""
        witness = self.witness
        witness.under_way = {ticket_id for _, ticket_id in spends}
        witness.since = self.run(self.auditor.verify()).count
        witness.dies = dies
        since = len(witness.sent)
        told: list[tuple[str, Outcome | CtMcpError]] = []
        try:
            self.run(self._all(spends, told))
        except (Died, BaseExceptionGroup):
            if not dies and not witness.broken:
                raise
        witness.under_way, witness.dies = set(), ""
        for ticket_id, answer in told:
            self._holds(ticket_id, answer, since, alone=len(spends) == 1)

    async def _all(self, spends: tuple[tuple[int, str], ...], told: list[tuple[str, Outcome | CtMcpError]]) -> None:
        async with anyio.create_task_group() as group:
            for which, ticket_id in spends:
                group.start_soon(self._one, which, ticket_id, told)

    async def _one(self, which: int, ticket_id: str, told: list[tuple[str, Outcome | CtMcpError]]) -> None:
        try:
            told.append((ticket_id, await self.desks[which].commit(ticket_id)))
        except CtMcpError as error:
            told.append((ticket_id, error))

    def _holds(self, ticket_id: str, answer: Outcome | CtMcpError, since: int, *, alone: bool) -> None:
        """Hold what was told of one ticket against what has happened."""
        if not isinstance(answer, NotConfirmed):
            assert ticket_id not in self.committed, "one ticket was spent twice"
            self.committed.add(ticket_id)
        mine = [one for one in self.witness.took(since) if one.ticket_id == ticket_id]
        if isinstance(answer, NotConfirmed):
            assert alone is False or not mine, "not confirmed, and it left"
        elif isinstance(answer, CtMcpError):
            assert isinstance(answer, OutcomeUnknown) or not mine, f"told as not sent, and it was: {answer}"
        else:
            self._is_so(self.tickets[ticket_id], answer, mine, alone=alone)

    def _is_so(self, ticket: Ticket, outcome: Outcome, mine: list[Sent], *, alone: bool) -> None:
        if outcome.status.sent is False:
            assert not mine, f"{outcome.status}, and it left"
        outstanding = {entry.ticket_id for entry in self.run(self.auditor.unsettled())}
        # Of several commands "accepted" also says that one was certainly not sent; that one waits for nothing.
        several = len(ticket.commands) > 1
        open_ended = {Status.UNKNOWN} if several else {Status.UNKNOWN, Status.ACCEPTED}
        if outcome.status in open_ended and mine:
            # It may be settled itself, and be told as accepted for what else may still fill, which is named.
            waits = ticket.ticket_id in outstanding or "this may still fill" in outcome.alarm
            assert waits, f"{outcome.status}, and nothing waits to be settled: {outcome}"
        if outcome.status is Status.FLAT and alone:
            for command in ticket.commands:
                self._is_flat(command)
        if several:
            self._all_are_so(ticket, outcome)
            return
        (command,) = ticket.commands
        if alone and outcome.position_after is not None and getattr(command, "instrument", None) == MES:
            assert outcome.position_after == self.witness.net(command.account), "another position is held"
        if isinstance(command, PlaceOrder):
            self._order_is_so(ticket.own_id, outcome.status)

    def _is_flat(self, command: Command) -> None:
        assert self.witness.net(command.account) == 0, "told as flat, and something is held"
        left = [] if isinstance(command, CancelOrders) else self.witness.live(command.account)
        assert not left, "told as flat, and orders stand"

    def _all_are_so(self, ticket: Ticket, outcome: Outcome) -> None:
        """One answer for several commands is never better than what became of any of them."""
        for number, command in enumerate(ticket.commands):
            if isinstance(command, PlaceOrder):
                assert outcome.status is not Status.FLAT, "orders were placed, and it is told as flat"
                if outcome.status in (Status.FILLED, Status.REJECTED):
                    self._order_is_so(ticket.own_id_of(number), outcome.status)

    def _order_is_so(self, own_id: str, status: Status) -> None:
        order = next((one for one in self.sim.exchange.orders if one.labels.own_id == own_id), None)
        is_so = {
            Status.FILLED: order is not None and order.remaining == 0,
            Status.REJECTED: order is None or (order.filled == 0 and not order.is_live),
            Status.CANCELLED: order is not None and not order.is_live,
            Status.WORKING: order is not None,
        }
        assert is_so.get(status, True), f"{status}, and it is not"

    def at_most(self) -> dict[str, int]:
        """How often each ticket may write."""
        return {
            ticket_id: sum(_writes_at_most(ticket, number) for number in range(len(ticket.commands)))
            for ticket_id, ticket in self.tickets.items()
        }

    def price(self, ticks: int) -> Decimal:
        """A price so many ticks above the last trade, or below it."""
        contract = self.sim.market.front(ROOT, self.clock())
        return (self.sim.market.top(contract, self.clock()).last + ticks) * Decimal("0.25")

    def somebody_trades(self, account: str, way: str, quantity: int) -> None:
        """Somebody else sends a market order by hand; it takes a moment."""
        self.sim.advance(0)
        contract = self.sim.market.front(ROOT, self.clock())
        terms = OrderTerms(contract, Way(way), quantity, SimOrderType.MARKET)
        self.sim.exchange.submit(self.witness.account(account), terms, OrderLabels(rpc="ByHand"), self.clock())
        self.sim.advance(3)

    def somebody_cancels(self, account: str) -> None:
        """Somebody else cancels all orders by hand; it takes a moment."""
        for order in self.witness.live(account):
            self.sim.exchange.cancel(order, self.clock())
        self.sim.advance(3)

    def loses(self, account: str) -> None:
        """The account loses more today than it may."""
        self.witness.account(account).gross_realized -= 2000.0
        self.witness.account(account).has_reported = True
        self.witness.lost.add(account)

    def arm(self, account: str, seconds: float) -> None:
        """The person arms an account at a terminal."""
        until = self.clock() + timedelta(seconds=seconds)
        self.witness.armed[account] = until
        self.run(self.auditor.arm(account, until, "person", self.clock()))

    def disarm(self, account: str) -> None:
        """The person disarms it."""
        self.witness.armed.pop(account, None)
        self.run(self.auditor.disarm(account, "person", self.clock()))


def _writes_at_most(ticket: Ticket, number: int) -> int:
    """How often one command may write: a flatten cancels what it leaves, a yes to several cancels is one for each."""
    command = ticket.commands[number]
    if isinstance(command, CancelOrders) and ticket.request is not None:
        return max(1, len(ticket.request.items[number].cancels))
    return 2 if isinstance(command, Flatten) else 1
