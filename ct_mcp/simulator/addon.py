"""The add-on inside the fake NinjaTrader: what a call can see, at the moment of the call."""

from collections.abc import Generator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

import anyio
from anyio.lowlevel import checkpoint

from ct_mcp.simulator.clock import Clock, ManualClock
from ct_mcp.simulator.exchange import Exchange
from ct_mcp.simulator.faults import Faults
from ct_mcp.simulator.ledger import Account
from ct_mcp.simulator.market import Market
from ct_mcp.simulator.orders import Order
from ct_mcp.simulator.products import Contract
from ct_mcp.simulator.refusals import Refusal
from ct_mcp.simulator.rest.account_shapes import SnapshotAnswer
from ct_mcp.simulator.strategies import Strategies, Strategy


@dataclass(frozen=True, slots=True)
class Habits:
    """What differs between versions of the add-on and the computers that it runs on.

    `own_id_lookup`: whether an order without a template can be found by the id that
    the caller gave it; on older versions NinjaTrader has replaced that id.
    `snapshot_cache_seconds`: how old the snapshot of the accounts may be.
    """

    own_id_lookup: bool = True
    snapshot_cache_seconds: float = 3.0
    time_zone: str = "America/Los_Angeles"
    computer: str = "DESKTOP-7Q2VK1D"


class Stream(Protocol):
    """What tells things by itself as time passes."""

    def next_at(self, until: datetime) -> datetime | None:
        """Name the next moment up to `until` at which something is to be told."""
        ...

    def beat(self) -> None:
        """Tell what is due now."""
        ...


@dataclass(slots=True)
class AddOn:
    """The exchange as seen by one call; `now` is the moment at which the call arrived.

    While `closing` is set, calls that are made in steps wait for nothing any more.
    """

    exchange: Exchange
    clock: Clock
    habits: Habits
    strategies: Strategies
    now: datetime
    cached_snapshot: tuple[datetime, SnapshotAnswer] | None = None
    stale_since: datetime | None = None
    closing: anyio.Event = field(default_factory=anyio.Event)
    stream: Stream | None = None
    zone: ZoneInfo = field(init=False)

    def __post_init__(self) -> None:
        """Look the time zone of the computer up."""
        self.zone = ZoneInfo(self.habits.time_zone)

    @property
    def faults(self) -> Faults:
        """What misbehaves."""
        return self.exchange.faults

    @property
    def market(self) -> Market:
        """Where prices come from."""
        return self.exchange.market

    def wake(self) -> None:
        """Catch up with the clock; on the way, stop wherever something is to be told."""
        until = max(self.clock().astimezone(UTC), self.now)
        while self.stream and (moment := self.stream.next_at(until)):
            self._reach(moment)
        self._reach(until)

    def _reach(self, moment: datetime) -> None:
        self.now = max(moment, self.now)
        self.exchange.advance(self.now)
        if self.stream:
            self.stream.beat()

    async def pause(self, seconds: float) -> None:
        """Let time pass while a call is worked on; others get their turn. A clock that stands still is moved."""
        if isinstance(self.clock, ManualClock):
            until = self.now + timedelta(seconds=seconds)
            await checkpoint()
            self.clock.move_to(max(until, self.clock()))
        else:
            with anyio.move_on_after(seconds):
                await self.closing.wait()
        self.wake()

    async def finished(self, said: object) -> object:
        """Give back what a call says, after all of its steps if it is made in steps."""
        if not isinstance(said, Generator):
            return said
        try:
            seconds = next(said)
            while True:
                await self.pause(seconds)
                seconds = said.send(self.now)
        except StopIteration as end:
            return end.value

    def account(self, name: str) -> Account:
        """Find an account.

        Raises:
            Refusal: There is none of that name.
        """
        account = self.exchange.account(name)
        if account is None:
            raise Refusal(400, "invalid_account", detail=f"Account '{name}' not found")
        return account

    def contract(self, text: str) -> Contract:
        """Find a contract by any of its spellings.

        Raises:
            Refusal: Nothing is called that.
        """
        contract = self.market.resolve(text, self.now)
        if contract is None:
            raise Refusal(400, f"Instrument '{text}' not found")
        return contract

    def find_order(self, account: str, any_id: str) -> Order | None:
        """Find an order of an account by NinjaTrader's id or by the caller's own."""
        mine = self.account(account).spec.name
        return next(
            (order for order in self.exchange.orders if order.account == mine and self._is(order, any_id)), None
        )

    def _is(self, order: Order, any_id: str) -> bool:
        if order.id == any_id:
            return True
        keeps_own_id = self.habits.own_id_lookup or order.labels.template is not None
        return keeps_own_id and order.labels.own_id == any_id

    def strategy(self, account: str, strategy_id: str) -> Strategy:
        """Find a strategy of an account.

        Raises:
            Refusal: There is none of that id, or it is of another account.
        """
        mine = self.account(account).spec.name
        found = next((each for each in self.strategies.all if each.id == strategy_id), None)
        if found is None:
            raise Refusal(404, "strategy_not_found", detail=f"Strategy '{strategy_id}' not found")
        if found.plan.account != mine:
            detail = f"Strategy '{strategy_id}' is not in account '{mine}'"
            raise Refusal(404, "strategy_not_in_account_collection", detail=detail)
        return found

    def local(self, moment: datetime) -> datetime:
        """Tell a moment as the clock of the computer shows it."""
        return moment.astimezone(self.zone)
