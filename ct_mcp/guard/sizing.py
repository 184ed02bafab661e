"""How many contracts a sum of money allows to a stop. Pure; never rounded up.

It stands alone: it makes a command, and judges none.
"""

from dataclasses import dataclass, replace
from decimal import Decimal

from ct_mcp.domain.commands import PlaceOrder
from ct_mcp.domain.market import Quote
from ct_mcp.domain.products import MINI_OF, real_size
from ct_mcp.errors import BadRequest
from ct_mcp.guard.context import RiskContext
from ct_mcp.guard.figures import contract_currency, quote_for, rate_of, risk_of
from ct_mcp.guard.policy import Policy
from ct_mcp.text import money

_MICRO_OF = {mini: micro for micro, mini in MINI_OF.items()}


@dataclass(frozen=True, slots=True)
class Size:
    """Contracts, and what one of them loses to the stop in account currency, over so many ticks."""

    contracts: int
    risk_of_one: Decimal
    ticks: int


def size_from_risk(order: PlaceOrder, risk: Decimal, quote: Quote, context: RiskContext, policy: Policy) -> Size:
    """Say how many contracts of an order lose no more than ``risk``, in account currency, to the stop that it has.

    What a trade costs is not known here and not counted.

    Raises:
        BadRequest: It has no stop, what a contract is worth is not known, or not one fits; then it says what one risks,
            and how many micros would fit.
    """
    if quote_for(order, replace(context, quote=quote)) is None:
        raise BadRequest(f"what a contract of {order.instrument} is worth is not known; nothing was sent")
    one = risk_of(replace(order, quantity=1), quote, policy.limits.risk_ticks)
    if one.money is None or not one.to_stop:
        raise BadRequest("a size from risk needs a stop_loss on the losing side of the entry; nothing was sent")
    rate = rate_of(quote, context, policy)
    if rate is None:
        theirs = contract_currency(quote) or "a currency that is not known"
        raise BadRequest(f"{order.instrument} is settled in {theirs}, for which no rate is set; nothing was sent")
    risk_of_one = one.money * rate
    contracts = _most(risk, risk_of_one)
    if contracts < 1:
        raise BadRequest(_too_small(order, risk, risk_of_one, one.ticks))
    return Size(contracts, risk_of_one, one.ticks)


def _most(risk: Decimal, risk_of_one: Decimal) -> int:
    """Divide whole: a quotient that is rounded to its digits might be rounded up."""
    return int(risk // risk_of_one)


def _too_small(order: PlaceOrder, risk: Decimal, risk_of_one: Decimal, ticks: int) -> str:
    said = f"risk {money(risk)} is less than one contract: 1 {order.instrument} risks {money(risk_of_one)}"
    said += f" over {ticks} ticks to the stop"
    micro = _MICRO_OF.get(order.instrument.root)
    if micro is None:
        return f"{said}; nothing was sent"
    risk_of_micro = risk_of_one * real_size(micro)
    if (fits := _most(risk, risk_of_micro)) > 0:
        said += f"; {fits} {micro} would risk {money(risk_of_micro * fits)}"
    return f"{said}; nothing was sent"
