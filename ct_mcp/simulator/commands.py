"""Compound commands of the add-on: flatten, close, reverse, replace, cancel and bracket.

Some of them take their time: they do one thing, wait, and do another. Such a command is a generator (`Steps`). It
yields the seconds that it wants to wait, and is sent the moment at which it goes on; its caller lets the time pass.

Documented:

* ReversePosition and FlatPlace wait up to about five seconds for the position to close and its orders to clear, **and
  then place the order in any case**: both positions may exist together. That happens here where the close does not
  fill (`Lag.CLOSE_STUCK`, or a closed market), or where an order cannot be cancelled (`Fault.FROZEN_ORDERS`).
* CancelReplace places nothing unless the old order was cancelled.
* CancelAndBracket is **not atomic**; between cancelling and placing, nothing protects the position. If it goes flat
  in the gap, nothing is placed; if there was none at the beginning, the pair is placed all the same and opens a
  position. The size is cut down to that of the position. A stop that the market has passed is rejected after the old
  one is gone, and only the target remains.

Assumed, since nothing is documented:

* Reverse works like ReversePosition, with a market order for the size at the beginning. The orders of the instrument
  are cancelled as NinjaTrader cancels them when it flattens. CancelReplace waits the same five seconds for the cancel;
  what the old order has filled by then is not deducted from the new one.
* CancelAndBracket calls its fields `takeProfit`, `stopLoss` and `delay`; the delay is 250 milliseconds if none is
  named, and runs to its end even if an old order is not cancelled by then; the orders are good till cancelled; the
  given direction is not checked against the position; a position that appears in the gap does not change the size.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from datetime import datetime
from math import ceil
from typing import TypeVar

from ct_mcp.simulator.accounts import SimAccount, SimPosition
from ct_mcp.simulator.exchange import Exchange
from ct_mcp.simulator.orders import (
    Action,
    OrderLabels,
    OrderTerms,
    SimOrder,
    SimOrderState,
    SimOrderType,
    SimTimeInForce,
)
from ct_mcp.simulator.products import SimContract

T = TypeVar("T")
Steps = Generator[float, datetime, T]

CANCEL_AND_BRACKET = "CancelAndBracket"
_PATIENCE_SECONDS = 5.0
_CHECK_EVERY_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class ClosedPosition:
    """A position as it was when its close was asked for, and the order that closes it."""

    account: SimAccount
    position: SimPosition
    order: SimOrder


@dataclass(frozen=True, slots=True)
class FlattenScope:
    """What to flatten: everything, or what passes every filter. `direction` is 1 for long, -1 for short."""

    rpc: str
    account: SimAccount | None = None
    contract: SimContract | None = None
    direction: int | None = None

    def includes(self, position: SimPosition) -> bool:
        """Check whether a position passes the filters."""
        fits_direction = self.direction is None or position.quantity * self.direction > 0
        return fits_direction and self.contract in (None, position.contract)


@dataclass(frozen=True, slots=True)
class DeferredOrder:
    """An order that is to be placed when the step before it is done."""

    account: SimAccount
    terms: OrderTerms
    labels: OrderLabels


@dataclass(frozen=True, slots=True)
class BracketRequest:
    """Exits that are to protect a position; `action` is the one that opened it. At least one price is given."""

    account: SimAccount
    contract: SimContract
    action: Action
    quantity: int
    take_profit: float | None
    stop_loss: float | None
    delay_seconds: float


def wait(seconds: float, now: datetime) -> Steps[datetime]:
    """Wait and return the moment; for zero seconds, return at once."""
    return (yield seconds) if seconds > 0 else now


def wait_until(condition: Callable[[], bool], now: datetime) -> Steps[datetime]:
    """Wait for a condition, for five seconds at most, and return the moment. The condition may still be false."""
    for _ in range(round(_PATIENCE_SECONDS / _CHECK_EVERY_SECONDS)):
        if condition():
            break
        now = yield _CHECK_EVERY_SECONDS
    return now


def flatten(exchange: Exchange, scope: FlattenScope, now: datetime) -> list[ClosedPosition]:
    """Close the positions in the scope and cancel the orders of their instruments.

    Where the scope names an instrument or a direction, a resting order without a position is left alone: it may fill
    later. Without those, all orders are cancelled.
    """
    closed: list[ClosedPosition] = []
    for account in [scope.account] if scope.account else list(exchange.accounts.values()):
        positions = [position for position in account.open_positions() if scope.includes(position)]
        if scope.contract is None and scope.direction is None:
            _cancel_all(exchange, account, None, now)
        closed += [close_position(exchange, account, position, scope.rpc, now) for position in positions]
    return closed


def close_position(
    exchange: Exchange, account: SimAccount, position: SimPosition, rpc: str, now: datetime
) -> ClosedPosition:
    """Close a whole position and cancel the orders of its instrument, as NinjaTrader flattens."""
    running = closing_order(exchange, account, position.contract)
    if running is not None and running.labels.closes:
        return ClosedPosition(account, replace(position), running)
    _cancel_all(exchange, account, position.contract, now)
    labels = OrderLabels(rpc=rpc, name="Close", closes=True)
    order = exchange.submit(account, _exit_terms(position, abs(position.quantity)), labels, now)
    return ClosedPosition(account, replace(position), order)


def reduce_position(
    exchange: Exchange, account: SimAccount, position: SimPosition, quantity: int, now: datetime
) -> ClosedPosition:
    """Close a part of a position by a plain market order; its stops and targets keep their size."""
    labels = OrderLabels(rpc="ClosePosition", name="Close")
    order = exchange.submit(account, _exit_terms(position, min(quantity, abs(position.quantity))), labels, now)
    return ClosedPosition(account, replace(position), order)


def contracts_of(position: SimPosition, fraction: float) -> int:
    """Return the contracts of a fraction of a position, rounded up, and at least one."""
    return max(1, ceil(round(abs(position.quantity) * fraction, 9)))


def closing_order(exchange: Exchange, account: SimAccount, contract: SimContract) -> SimOrder | None:
    """Find the order that is closing a position at the moment."""
    live = exchange.live_orders(account.spec.name, contract.name)
    return next((order for order in live if order.labels.name == "Close"), None)


def close_and_place(exchange: Exchange, new: DeferredOrder, now: datetime) -> Steps[SimOrder]:
    """Close the position in the instrument of an order, wait, and place the order whether or not it is closed."""
    account, contract = new.account, new.terms.contract
    held = account.positions.get(contract)
    if held is not None and held.quantity:
        close_position(exchange, account, held, new.labels.rpc, now)
        name = account.spec.name
        now = yield from wait_until(lambda: not (held.quantity or exchange.live_orders(name, contract.name)), now)
    return exchange.submit(account, new.terms, new.labels, now)


def reversing_terms(position: SimPosition) -> OrderTerms:
    """Return the terms of a market order for the same size in the other direction."""
    return _exit_terms(position, abs(position.quantity))


def cancel_and_place(exchange: Exchange, old: SimOrder, new: DeferredOrder, now: datetime) -> Steps[SimOrder | None]:
    """Cancel an order and place another; None if the old one was not cancelled, because it filled or is frozen."""
    exchange.cancel(old, now)
    now = yield from wait_until(lambda: not old.is_live, now)
    if old.state is not SimOrderState.CANCELLED:
        return None
    return exchange.submit(new.account, new.terms, new.labels, now)


def cancel_and_bracket(exchange: Exchange, wanted: BracketRequest, now: datetime) -> Steps[list[SimOrder]]:
    """Cancel the orders of the instrument, wait, and place the pair, target first; none if the position is gone."""
    held_before = wanted.account.net(wanted.contract)
    for order in exchange.live_orders(wanted.account.spec.name, wanted.contract.name):
        exchange.cancel(order, now)
    now = yield from wait(wanted.delay_seconds, now)
    held = abs(wanted.account.net(wanted.contract))
    size = min(wanted.quantity, held) if held_before else wanted.quantity
    exits = _bracket_terms(wanted, size) if size else {}
    oco_id = exchange.ids.guid("oco") if len(exits) == 2 else None
    return [
        exchange.submit(wanted.account, terms, OrderLabels(rpc=CANCEL_AND_BRACKET, name=name, oco_id=oco_id), now)
        for name, terms in exits.items()
    ]


def _exit_terms(position: SimPosition, quantity: int) -> OrderTerms:
    action = Action.SELL if position.quantity > 0 else Action.BUY
    return OrderTerms(position.contract, action, quantity, SimOrderType.MARKET)


def _bracket_terms(wanted: BracketRequest, size: int) -> dict[str, OrderTerms]:
    """Return the terms of the exits by name, in the order in which they are placed."""
    contract, action, gtc = wanted.contract, wanted.action.opposite, SimTimeInForce.GTC
    exits: dict[str, OrderTerms] = {}
    if wanted.take_profit is not None:
        terms = OrderTerms(contract, action, size, SimOrderType.LIMIT, gtc, limit_price=wanted.take_profit)
        exits["Profit target"] = terms
    if wanted.stop_loss is not None:
        terms = OrderTerms(contract, action, size, SimOrderType.STOP_MARKET, gtc, stop_price=wanted.stop_loss)
        exits["Stop loss"] = terms
    return exits


def _cancel_all(exchange: Exchange, account: SimAccount, contract: SimContract | None, now: datetime) -> None:
    for order in exchange.live_orders(account.spec.name, contract.name if contract else None):
        if not order.labels.closes:
            exchange.cancel(order, now)
