"""Leaving positions: full closes, partial closes, and flattening."""

from dataclasses import dataclass, replace
from datetime import datetime
from math import ceil

from ct_mcp.simulator.exchange import Exchange
from ct_mcp.simulator.ledger import Account, Position
from ct_mcp.simulator.orders import Action, Order, OrderLabels, OrderTerms, OrderType
from ct_mcp.simulator.products import Contract


@dataclass(frozen=True, slots=True)
class Left:
    """A position as it was when it was asked to be closed, and the order that is to close it."""

    account: Account
    position: Position
    order: Order


@dataclass(frozen=True, slots=True)
class Scope:
    """What to flatten: everything, or what fits every filter. `direction` is 1 for long, -1 for short."""

    rpc: str
    account: Account | None = None
    contract: Contract | None = None
    direction: int | None = None

    def holds(self, position: Position) -> bool:
        """Say whether a position is meant."""
        right_way = self.direction is None or position.quantity * self.direction > 0
        return right_way and self.contract in (None, position.contract)


def flatten(exchange: Exchange, scope: Scope, now: datetime) -> list[Left]:
    """Leave the positions in the scope and cancel the orders of their instruments.

    Where the scope names an instrument or a direction, a resting order without a
    position is left alone: it may fill later. Without those, all orders go.
    """
    left: list[Left] = []
    for account in [scope.account] if scope.account else list(exchange.accounts.values()):
        positions = [position for position in account.open_positions() if scope.holds(position)]
        if scope.contract is None and scope.direction is None:
            _cancel_all(exchange, account, None, now)
        left += [leave(exchange, account, position, scope.rpc, now) for position in positions]
    return left


def leave(exchange: Exchange, account: Account, position: Position, rpc: str, now: datetime) -> Left:
    """Leave one position whole and cancel the orders of its instrument, as NinjaTrader flattens."""
    running = closing_order(exchange, account, position.contract)
    if running is not None and running.labels.closes:
        return Left(account, replace(position), running)
    _cancel_all(exchange, account, position.contract, now)
    labels = OrderLabels(rpc=rpc, name="Close", closes=True)
    order = exchange.submit(account, _exit(position, abs(position.quantity)), labels, now)
    return Left(account, replace(position), order)


def reduce(exchange: Exchange, account: Account, position: Position, quantity: int, now: datetime) -> Left:
    """Sell a part of a position by a plain market order; its stops and targets stay as large as they were."""
    labels = OrderLabels(rpc="ClosePosition", name="Close")
    order = exchange.submit(account, _exit(position, min(quantity, abs(position.quantity))), labels, now)
    return Left(account, replace(position), order)


def part_of(position: Position, percent: float) -> int:
    """Work out the contracts of a fraction of a position; it is rounded up, to one at least."""
    return max(1, ceil(round(abs(position.quantity) * percent, 9)))


def closing_order(exchange: Exchange, account: Account, contract: Contract) -> Order | None:
    """Find the order that is closing a position at the moment."""
    live = exchange.live_orders(account.spec.name, contract.name)
    return next((order for order in live if order.labels.name == "Close"), None)


def _exit(position: Position, quantity: int) -> OrderTerms:
    action = Action.SELL if position.quantity > 0 else Action.BUY
    return OrderTerms(position.contract, action, quantity, OrderType.MARKET)


def _cancel_all(exchange: Exchange, account: Account, contract: Contract | None, now: datetime) -> None:
    for order in exchange.live_orders(account.spec.name, contract.name if contract else None):
        if not order.labels.closes:
            exchange.cancel(order, now)
