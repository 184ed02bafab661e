"""The add-on inside the fake NinjaTrader: what one call can see and do, at the moment at which it arrived."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

import anyio
from anyio.lowlevel import checkpoint
from pydantic import BaseModel

from ct_mcp.simulator.accounts import SimAccount
from ct_mcp.simulator.clock import Clock, ManualClock
from ct_mcp.simulator.exchange import Exchange
from ct_mcp.simulator.faults import Faults
from ct_mcp.simulator.market import Market
from ct_mcp.simulator.orders import ReceivedCall, SimOrder
from ct_mcp.simulator.products import SimContract
from ct_mcp.simulator.strategies import SimStrategy, Strategies


class RequestRefused(Exception):
    """A call is refused by the service or the add-on, with an HTTP status and a text under `error`.

    The older form of the body is `{"error": text}`; where there is a code the newer one is used,
    `{"success": false, "error": code, "detail": text}`.
    """

    def __init__(self, status: int, error: str, *, detail: str | None = None) -> None:
        """Build the body; with a detail, or a status other than 400, in the newer form."""
        super().__init__(error)
        self.status = status
        self.error = error
        self.body: dict[str, object] = {"error": error}
        if detail is not None or status != 400:
            self.body = {"success": False, "error": error, **({"detail": detail} if detail else {})}


@dataclass(frozen=True, slots=True)
class AddOnAssumptions:
    """What differs between versions of the add-on and the computers that it runs on.

    `own_id_lookup`: whether an order without a template can be found by the id that
    the caller gave it; on older versions NinjaTrader has replaced that id.
    `snapshot_cache_seconds`: how old the snapshot of the accounts may be.
    """

    own_id_lookup: bool = True
    snapshot_cache_seconds: float = 3.0
    time_zone: str = "America/Los_Angeles"
    computer: str = "DESKTOP-7Q2VK1D"


class PushSource(Protocol):
    """Something that pushes messages as time passes."""

    def next_at(self, until: datetime) -> datetime | None:
        """Return the next moment up to `until` at which something is to be pushed."""
        ...

    def tick(self) -> None:
        """Push what is due now."""
        ...


@dataclass(slots=True)
class AddOn:
    """The exchange as seen by one call; `now` is the moment at which the call arrived.

    While `closing` is set, calls that are made in steps no longer wait.
    """

    exchange: Exchange
    clock: Clock
    assumptions: AddOnAssumptions
    strategies: Strategies
    now: datetime
    cached_snapshot: tuple[datetime, Mapping[str, object]] | None = None
    stale_since: datetime | None = None
    closing: anyio.Event = field(default_factory=anyio.Event)
    stream: PushSource | None = None
    zone: ZoneInfo = field(init=False)

    def __post_init__(self) -> None:
        """Look up the time zone of the computer."""
        self.zone = ZoneInfo(self.assumptions.time_zone)

    @property
    def faults(self) -> Faults:
        """Faults that are armed."""
        return self.exchange.faults

    @property
    def market(self) -> Market:
        """Market that the exchange trades in."""
        return self.exchange.market

    def wake(self) -> None:
        """Catch up with the clock; on the way, stop at each moment at which something is to be pushed."""
        until = max(self.clock().astimezone(UTC), self.now)
        while self.stream and (moment := self.stream.next_at(until)):
            self._advance_to(moment)
        self._advance_to(until)

    def _advance_to(self, moment: datetime) -> None:
        self.now = max(moment, self.now)
        self.exchange.advance(self.now)
        if self.stream:
            self.stream.tick()

    async def pause(self, seconds: float) -> None:
        """Let time pass while a call is carried out, and let others run. A manual clock is moved."""
        if isinstance(self.clock, ManualClock):
            until = self.now + timedelta(seconds=seconds)
            await checkpoint()
            self.clock.move_to(max(until, self.clock()))
        else:
            with anyio.move_on_after(seconds):
                await self.closing.wait()
        self.wake()

    async def complete(self, result: object) -> object:
        """Return the result of a call; of a call that is made in steps, after all of its steps."""
        if not isinstance(result, Generator):
            return result
        try:
            seconds = next(result)
            while True:
                await self.pause(seconds)
                seconds = result.send(self.now)
        except StopIteration as end:
            return end.value

    def log_call(self, rpc: str, args: BaseModel, given_id: str | None = None) -> ReceivedCall:
        """Record a call before it is carried out; `given_id` is the id of the order that it concerns."""
        arguments = args.model_dump(mode="json", by_alias=True, exclude_none=True)
        account = str(arguments.get("account", ""))
        return self.exchange.record.add_call(ReceivedCall(self.now, rpc, account, given_id, arguments))

    def account(self, name: str) -> SimAccount:
        """Find an account.

        Raises:
            RequestRefused: There is none of that name.
        """
        account = self.exchange.account(name)
        if account is None:
            raise RequestRefused(400, "invalid_account", detail=f"Account '{name}' not found")
        return account

    def contract(self, text: str) -> SimContract:
        """Find a contract by any of its spellings.

        Raises:
            RequestRefused: The text names no contract.
        """
        contract = self.market.resolve(text, self.now)
        if contract is None:
            raise RequestRefused(400, f"Instrument '{text}' not found")
        return contract

    def find_order(self, account: str, any_id: str) -> SimOrder | None:
        """Find an order of an account by its ids at NinjaTrader and the broker, or by the caller's own."""
        name = self.account(account).spec.name
        return next(
            (order for order in self.exchange.orders if order.account == name and self._has_id(order, any_id)), None
        )

    def _has_id(self, order: SimOrder, any_id: str) -> bool:
        if any_id in (order.id, order.number):
            return True
        keeps_own_id = self.assumptions.own_id_lookup or order.labels.template is not None
        return keeps_own_id and order.labels.own_id == any_id

    def strategy(self, account: str, strategy_id: str) -> SimStrategy:
        """Find a strategy of an account.

        Raises:
            RequestRefused: There is none of that id, or it is in another account.
        """
        name = self.account(account).spec.name
        found = next((each for each in self.strategies.all if each.id == strategy_id), None)
        if found is None:
            raise RequestRefused(404, "strategy_not_found", detail=f"Strategy '{strategy_id}' not found")
        if found.plan.account != name:
            detail = f"Strategy '{strategy_id}' is not in account '{name}'"
            raise RequestRefused(404, "strategy_not_in_account_collection", detail=detail)
        return found

    def local(self, moment: datetime) -> datetime:
        """Convert a moment to the time zone of the computer."""
        return moment.astimezone(self.zone)
