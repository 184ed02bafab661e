"""What is left of the day's loss once everything that is open was stopped out, in account currency. Pure.

The loss to a stop is reckoned from the market, since the day's P&L holds what is unrealised already. Only stops count
that stand, and those that go with an entry; what stands without one is named and not guessed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from ct_mcp.domain.account import Position
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import Contract
from ct_mcp.domain.order import ACCEPTED, IN_MARKET, Order
from ct_mcp.guard.context import RiskContext
from ct_mcp.guard.figures import rate_in, risk_of_contract
from ct_mcp.guard.policy import Policy
from ct_mcp.guard.protection import is_stop, leaving


@dataclass(frozen=True, slots=True)
class StopOuts:
    """What being stopped out of all that is open and working costs; ``uncounted`` is what it cannot hold."""

    loss: Decimal
    uncounted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DayRoom:
    """What may still be lost today; None where the day's P&L, or positions and orders, are not known."""

    left: Decimal
    open_stop_outs: StopOuts

    @property
    def free(self) -> Decimal:
        """What is left beside the stop-outs of what is open."""
        return self.left - self.open_stop_outs.loss


def day_room(context: RiskContext, policy: Policy) -> DayRoom | None:
    """Reckon the room of the day; an account's own limit counts where it is the narrower."""
    balances = None if context.account is None else context.account.balances
    if balances is None or balances.day_pnl is None or not balances.day_pnl.is_finite():
        return None
    if context.positions is None or context.orders is None:
        return None
    limits = [policy.limits.max_day_loss, *([abs(balances.daily_loss_limit)] if balances.daily_loss_limit else [])]
    return DayRoom(min(limits) + balances.day_pnl, stop_outs(context, policy))


def stop_outs(context: RiskContext, policy: Policy) -> StopOuts:
    """Sum what being stopped out of all that is open and working costs, and name what that cannot hold."""
    parts = [*_of_positions(context, policy), *_of_entries(context, policy), *_of_unknown(context)]
    counted = (part for part in parts if isinstance(part, Decimal))
    return StopOuts(sum(counted, Decimal(0)), tuple(part for part in parts if isinstance(part, str)))


def _of_positions(context: RiskContext, policy: Policy) -> Iterator[Decimal | str]:
    for held in context.positions or ():
        if not held.quantity:
            continue
        stops = [order for order in context.orders or () if _stands_behind(order, held)]
        covered = min(held.quantity, sum(stop.remaining for stop in stops))
        worth = _worth(held.instrument, context, policy)
        if covered < held.quantity or worth is None or held.market_price is None:
            yield f"{held.net:+d} {held.instrument}"
            continue
        contract, rate = worth
        for stop in stops:
            distance = (held.market_price - (stop.stop_price or held.market_price)) * (1 if held.net > 0 else -1)
            yield max(Decimal(0), contract.money(distance, stop.remaining)) * rate


def _stands_behind(order: Order, held: Position) -> bool:
    """Say whether it is a stop of the position that stands, and says where."""
    side = (order.instrument, order.action) == (held.instrument, leaving(held.net))
    return side and is_stop(order) and order.stop_price is not None and order.state in ACCEPTED | IN_MARKET


def _of_entries(context: RiskContext, policy: Policy) -> Iterator[Decimal | str]:
    """Working orders that open or add, each to the stop that goes with it."""
    for order in context.orders or ():
        contracts = _may_open(order, context)
        if not contracts:
            continue
        entry = context.entries.get(order.order_id) or context.entries.get(order.own_id or "")
        worth = _worth(order.instrument, context, policy)
        risk = None if entry is None or worth is None else risk_of_contract(entry, worth[0])
        if worth is None or risk is None:
            yield f"{order.action} {contracts} {order.instrument} that works"
        else:
            yield risk * contracts * worth[1]


def _may_open(order: Order, context: RiskContext) -> int:
    """Contracts of an order that open or add: all of it, or what is more than it could leave."""
    net = context.net_position(order.instrument) or 0
    held = abs(net) if net * order.action.sign < 0 else 0
    return 0 if order.is_closed else max(0, order.remaining - held)


def _of_unknown(context: RiskContext) -> Iterator[str]:
    """What was sent and may fill, or has and is not listed yet: whether a stop goes with it is not looked at here."""
    for pending in context.pending:
        if not pending.leaves:
            yield f"{pending.signed_quantity:+d} {pending.instrument} {pending.why}"


def _worth(instrument: Instrument, context: RiskContext, policy: Policy) -> tuple[Contract, Decimal] | None:
    """Say what a contract is worth, and its money in that of the account; None where either is not known."""
    contract = context.contracts.get(instrument)
    if contract is None and context.quote is not None and context.quote.instrument == instrument:
        contract = context.quote.contract
    rate = None if contract is None else rate_in(instrument, contract, context, policy)
    return None if contract is None or rate is None else (contract, rate)
