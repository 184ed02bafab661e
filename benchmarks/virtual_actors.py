"""Who acts beside the desk: somebody at NinjaTrader, a copier, and the person who is asked."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from random import Random

from virtual_books import Books
from virtual_network import UNDER_WAY
from virtual_store import is_halted
from virtual_world import FOLLOWER, ROOTS, World

from ct_mcp.desk.controls import Actor
from ct_mcp.domain.approval import Approval, Ticket
from ct_mcp.errors import CtMcpError
from ct_mcp.simulator import commands
from ct_mcp.simulator.commands import FlattenScope
from ct_mcp.simulator.orders import Action, OrderLabels, OrderTerms, SimExecution, SimOrder, SimOrderType
from ct_mcp.simulator.products import SimContract
from ct_mcp.store.trading_state import armed_until

BY_HAND, COPIED = "ByHand", "Copier"
_CHANNELS = {
    Approval.FORM: ("form", "form", "page", "terminal"),
    Approval.PAGE: ("page", "page", "terminal"),
    Approval.PAGE_PIN: ("page",),
}
Tell = Callable[[str], None]


class Outsider:
    """A person at NinjaTrader, an ATM strategy, the Account Manager: it acts between our reads and our sends."""

    def __init__(self, world: World, tell: Tell) -> None:
        self._world, self._tell, self._rng = world, tell, Random(world.rng.random())
        self.is_about, self._acts = 0.0, 0

    def comes(self, chance: float) -> None:
        """Be there with some chance at each moment of the network, for a few acts at most."""
        self.is_about, self._acts = chance, 2

    def may_act(self, times: float = 1.0) -> None:
        """Act, or not; in a longer while so many times more likely."""
        if self._acts and self._rng.random() < self.is_about * times:
            self._acts -= 1
            self.acts()

    def acts(self) -> None:
        """Do one thing by hand."""
        under_way = UNDER_WAY.set(None)
        world, rng = self._world, self._rng
        try:
            world.simulator.addon.wake()
            deed = rng.choices(
                (
                    self._trades,
                    self._rests,
                    self._enters_by_template,
                    self._cancels,
                    self._moves,
                    self.leaves,
                    self._lets_fill,
                ),
                (5, 5, 1, 2, 2, 1, 3),
            )[0]
            deed(rng.choice(world.accounts), world.simulator.market.front(rng.choice(ROOTS), world.true_clock()))
        finally:
            UNDER_WAY.reset(under_way)

    def _submit(self, account: str, terms: OrderTerms, labels: OrderLabels) -> None:
        exchange = self._world.simulator.exchange
        self._tell(
            f"somebody sends {terms.action} {terms.quantity} {terms.contract.name} {terms.order_type} in {account}"
        )
        exchange.submit(exchange.accounts[account], terms, labels, self._world.simulator.addon.now)

    def _trades(self, account: str, contract: SimContract) -> None:
        held = self._world.simulator.exchange.accounts[account].net(contract)
        away = Action.SELL if held > 0 else Action.BUY
        action = away if held and self._rng.random() < 0.6 else self._rng.choice([Action.BUY, Action.SELL])
        size = abs(held) if held and self._rng.random() < 0.5 else self._rng.randint(1, 4)
        self._submit(account, OrderTerms(contract, action, size, SimOrderType.MARKET), OrderLabels(rpc=BY_HAND))

    def _rests(self, account: str, contract: SimContract) -> None:
        last = self._world.simulator.market.top(contract, self._world.true_clock()).last
        action, ticks = self._rng.choice([Action.BUY, Action.SELL]), self._rng.randint(2, 25)
        is_stop = self._rng.random() < 0.5
        price = contract.product.price(last + ticks * action.sign * (1 if is_stop else -1))
        kind = SimOrderType.STOP_MARKET if is_stop else SimOrderType.LIMIT
        terms = OrderTerms(contract, action, self._rng.randint(1, 3), kind)
        terms = replace(terms, stop_price=price) if is_stop else replace(terms, limit_price=price)
        self._submit(account, terms, OrderLabels(rpc=BY_HAND))

    def _enters_by_template(self, account: str, contract: SimContract) -> None:
        terms = OrderTerms(contract, self._rng.choice([Action.BUY, Action.SELL]), 1, SimOrderType.MARKET)
        self._submit(account, terms, OrderLabels(rpc=BY_HAND, template="Day 20x40"))

    def _cancels(self, account: str, _: SimContract) -> None:
        if (order := self._any_order(account)) is not None:
            self._tell(f"somebody cancels {order.id} in {account}")
            self._world.simulator.exchange.cancel(order, self._world.simulator.addon.now)

    def _moves(self, account: str, _: SimContract) -> None:
        order = self._any_order(account)
        if order is None or order.terms.order_type is SimOrderType.MARKET:
            return
        quantity = order.filled + self._rng.randint(1, 4)
        self._tell(f"somebody makes {order.id} in {account} one of {quantity}")
        exchange, now = self._world.simulator.exchange, self._world.simulator.addon.now
        exchange.change(order, replace(order.terms, quantity=quantity), now)

    def _lets_fill(self, account: str, _: SimContract) -> None:
        """Put a limit where the market is, so that it fills while somebody thinks that it rests."""
        live = self._world.simulator.exchange.live_orders(account)
        limits = [each for each in live if each.terms.order_type is SimOrderType.LIMIT]
        if not limits:
            return
        self.lets_fill(self._rng.choice(limits))

    def lets_fill(self, order: SimOrder) -> None:
        """Put this one where the market is; a stop the market has passed then, before or after it stands."""
        contract, now = order.terms.contract, self._world.simulator.addon.now
        is_stop = order.terms.order_type.has_stop
        away = (-2 if is_stop else 8) * order.terms.action.sign
        price = contract.product.price(self._world.simulator.market.top(contract, now).last + away)
        self._tell(f"somebody lets {order.id} in {order.account} fill")
        terms = replace(order.terms, stop_price=price) if is_stop else replace(order.terms, limit_price=price)
        self._world.simulator.exchange.change(order, terms, now)

    def leaves(self, account: str, contract: SimContract) -> None:
        """Flatten one instrument."""
        self._tell(f"somebody flattens {contract.name} in {account}")
        exchange = self._world.simulator.exchange
        scope = FlattenScope(BY_HAND, exchange.accounts[account], contract)
        commands.flatten(exchange, scope, self._world.simulator.addon.now)

    def _any_order(self, account: str) -> SimOrder | None:
        live = self._world.simulator.exchange.live_orders(account)
        return self._rng.choice(live) if live else None


class Copier:
    """Repeats each fill of the leader in the follower, a little later."""

    def __init__(self, world: World, books: Books, tell: Tell) -> None:
        self._world, self._tell, self._rng = world, tell, Random(world.rng.random())
        self.is_on = False
        books.on_fill.append(self._hears)

    def _hears(self, execution: SimExecution) -> None:
        terms = execution.order.terms
        is_leader = execution.order.account == self._world.accounts[0]
        if not (self.is_on and is_leader and FOLLOWER.name in self._world.accounts):
            return
        copy = OrderTerms(terms.contract, terms.action, execution.quantity, SimOrderType.MARKET)
        asyncio.get_running_loop().call_later(self._rng.uniform(0.2, 1.5), self._repeats, copy)

    def _repeats(self, terms: OrderTerms) -> None:
        UNDER_WAY.set(None)
        simulator = self._world.simulator
        simulator.addon.wake()
        self._tell(f"the copier repeats {terms.action} {terms.quantity} {terms.contract.name} in {FOLLOWER.name}")
        account = simulator.exchange.accounts[FOLLOWER.name]
        simulator.exchange.submit(account, terms, OrderLabels(rpc=COPIED), simulator.addon.now)


class Person:
    """Reads for a while, and answers: rightly, wrongly, twice, late, in another channel, or not at all."""

    def __init__(self, world: World, outsider: Outsider, tell: Tell) -> None:
        self._world, self._tell, self._rng = world, tell, Random(world.rng.random())
        self._outsider = outsider
        self.said_yes: set[str] = set()
        self._reading: dict[str, asyncio.Task[None]] = {}

    async def is_asked(self, ticket: Ticket, longest_seconds: float) -> None:
        """Begin to read, unless this very question lies there already; come back with the answer, or without it."""
        if ticket.ticket_id not in self._reading:
            self._reading[ticket.ticket_id] = asyncio.create_task(self._answers(ticket))
        await asyncio.wait([self._reading[ticket.ticket_id]], timeout=longest_seconds)

    async def _answers(self, ticket: Ticket) -> None:
        rng = self._rng
        lasting = (rng.uniform(0.3, 1.6), rng.uniform(2, 12), rng.uniform(12, 60), rng.uniform(85, 100))
        seconds = rng.choices(lasting, (3, 7, 2, 1))[0]
        await asyncio.sleep(seconds * rng.random())
        self._outsider.may_act(3.0)
        await asyncio.sleep(seconds * rng.random())
        how = rng.choices(("yes", "twice", "wrong", "no", "nothing"), (16, 2, 1, 1, 1))[0]
        for _ in range(2 if how == "twice" else 1):
            await self._says(ticket, how, rng.choice(_CHANNELS[ticket.approval]))

    async def _says(self, ticket: Ticket, how: str, channel: str) -> None:
        if how == "nothing":
            return
        desk = self._rng.choice(self._world.processes).desk
        self._tell(f"the person says {how} to {ticket.ticket_id} by {channel}")
        if how in ("yes", "twice"):
            self.said_yes.add(ticket.ticket_id)
        try:
            if how == "no":
                await desk.decisions.decline(ticket, channel)
            else:
                await desk.decisions.take(ticket, "" if how == "wrong" else ticket.phrase, channel)
        except CtMcpError as error:
            self._tell(f"and it was not taken: {error}")

    async def looks_after(self) -> None:
        """Lift a halt, and arm again what may trade."""
        controls = self._world.processes[0].desk.controls
        until = self._world.clock() + timedelta(hours=8)
        try:
            if self._world.database.read(is_halted) and await controls.resume(Actor.TERMINAL):
                self._tell("the person lifts the halt")
            for account in self._world.accounts if self._world.is_live else ():
                if not self._world.database.read(armed_until, account, self._world.clock()):
                    await controls.arm(account, until, Actor.TERMINAL)
        except CtMcpError as error:
            self._tell(f"the person could not: {error}")
