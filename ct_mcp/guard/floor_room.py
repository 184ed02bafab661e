"""What an account has left above its floor once everything was stopped out that stands, or would stand after a command.

It stands alone because the rule, the tools and the question show the same figure. Pure.
"""

from dataclasses import dataclass, replace
from decimal import Decimal

from ct_mcp.domain.balances import BalanceRecord
from ct_mcp.domain.commands import PlaceOrder
from ct_mcp.domain.order import Order, OrderState, is_price, is_whole_number
from ct_mcp.guard.context import RiskContext
from ct_mcp.guard.drawdown import Floor, floor_of
from ct_mcp.guard.effect_model import Effect
from ct_mcp.guard.figures import quote_for, rate_of, risk_of
from ct_mcp.guard.firm_policy import Drawdown
from ct_mcp.guard.policy import Policy
from ct_mcp.guard.room import StopOuts, stop_outs


@dataclass(frozen=True, slots=True)
class FloorRoom:
    """Equity, the floor beneath it, and what the stops of all that is open would take of it."""

    equity: Decimal
    floor: Floor
    stop_outs: StopOuts

    @property
    def left(self) -> Decimal:
        """What lies between equity and the floor; at zero the floor is reached."""
        return self.equity - self.floor.amount

    @property
    def free(self) -> Decimal:
        """What is left beside the stop-outs of what is open."""
        return self.left - self.stop_outs.loss


def equity_of(context: RiskContext) -> Decimal | None:
    """Say what the account is worth with what is open, as NinjaTrader reports it; None where it does not."""
    balances = None if context.account is None else context.account.balances
    if balances is None:
        return None
    equity = balances.net_liquidation
    if equity is None and balances.cash_value is not None and balances.unrealized_pnl is not None:
        equity = balances.cash_value + balances.unrealized_pnl
    return equity if equity is not None and equity.is_finite() else None


def floor_room(drawdown: Drawdown, context: RiskContext, policy: Policy) -> FloorRoom | None:
    """Reckon the room as things stand; None where equity, or positions and orders, are not known."""
    equity = equity_of(context)
    if equity is None or context.positions is None or context.orders is None:
        return None
    floor = floor_of(drawdown, context.record or BalanceRecord(), equity, context.now)
    return FloorRoom(equity, floor, stop_outs(context, policy))


def stands_after(effect: Effect, context: RiskContext) -> RiskContext:
    """Give the orders as they would stand: what goes is gone, and a stop that leaves what is held stands.

    An order that opens is none of them: its own risk is reckoned beside them.
    """
    if context.orders is None:
        return context
    gone = {order.order_id for order in (*(effect.cancels or ()), *([effect.changes] if effect.changes else []))}
    kept = tuple(order for order in context.orders if order.order_id not in gone)
    stops = tuple(_as_it_would_stand(leg) for leg in effect.legs or () if _is_stop_behind(leg, effect))
    return replace(context, orders=(*kept, *stops))


def risk_of_order(effect: Effect, context: RiskContext, policy: Policy) -> Decimal | None:
    """Say what its order loses to the stop that goes with it, or over the distance that is set; None if not known.

    A stop behind what is held opens nothing; it counts among what stands afterwards.
    """
    order = effect.order
    if order is None or _is_stop_behind(order, effect):
        return Decimal(0)
    quote = quote_for(order, context)
    risk, rate = risk_of(order, quote, policy.limits.risk_ticks), rate_of(quote, context, policy)
    return None if risk.money is None or rate is None else risk.money * rate


def _is_stop_behind(order: PlaceOrder, effect: Effect) -> bool:
    held = effect.position_before or 0
    leaves = held * order.action.sign < 0 and is_whole_number(order.quantity) and order.quantity <= abs(held)
    return leaves and is_price(order.stop_price) and not order.flatten_first


def _as_it_would_stand(leg: PlaceOrder) -> Order:
    return Order(
        account=leg.account,
        order_id="",
        instrument=leg.instrument,
        action=leg.action,
        order_type=leg.order_type,
        state=OrderState.WORKING,
        quantity=leg.quantity,
        filled=0,
        stop_price=leg.stop_price,
    )
