"""CancelAndBracket: cancel what protects a position, wait, and place a target and a stop as one pair.

Documented: the two steps are **not one**, and in between nothing protects the position. If it goes flat in the
gap, nothing is placed; if there was none at the beginning, the pair is placed all the same and opens a position.
The size is cut down to what is held. A stop that the market has passed is rejected after the old one is gone,
and only the target remains.

Ours, since nothing is documented: the fields are called `takeProfit`, `stopLoss` and `delay`; the delay is 250
milliseconds if none is named; the orders are good till cancelled; the delay runs to its end even if an old order
is not cancelled by then; the direction is believed, whatever is held; a position that appears in the gap does not
change the size; the answer lists the new ids, target first.
"""

from dataclasses import dataclass
from datetime import datetime

from ct_mcp.simulator.exchange import Exchange
from ct_mcp.simulator.ledger import Account
from ct_mcp.simulator.orders import Action, Order, OrderLabels, OrderTerms, OrderType, TimeInForce
from ct_mcp.simulator.products import Contract
from ct_mcp.simulator.steps import Steps, waited

RPC = "CancelAndBracket"


@dataclass(frozen=True, slots=True)
class Bracket:
    """What is to protect a position; `action` is the one that opened it. At least one of the prices is there."""

    account: Account
    contract: Contract
    action: Action
    quantity: int
    take_profit: float | None
    stop_loss: float | None
    delay_seconds: float


def bracketed(exchange: Exchange, wanted: Bracket, now: datetime) -> Steps[list[Order]]:
    """Cancel the orders of the instrument, wait, and place the pair; nothing if the position is gone by then."""
    held_before = wanted.account.net(wanted.contract)
    for order in exchange.live_orders(wanted.account.spec.name, wanted.contract.name):
        exchange.cancel(order, now)
    now = yield from waited(wanted.delay_seconds, now)
    held = abs(wanted.account.net(wanted.contract))
    size = min(wanted.quantity, held) if held_before else wanted.quantity
    exits = _exits(wanted, size) if size else {}
    oco_id = exchange.mint.guid("oco") if len(exits) == 2 else None
    return [
        exchange.submit(wanted.account, terms, OrderLabels(rpc=RPC, name=name, oco_id=oco_id), now)
        for name, terms in exits.items()
    ]


def _exits(wanted: Bracket, size: int) -> dict[str, OrderTerms]:
    contract, action, gtc = wanted.contract, wanted.action.opposite, TimeInForce.GTC
    exits: dict[str, OrderTerms] = {}
    if wanted.take_profit is not None:
        terms = OrderTerms(contract, action, size, OrderType.LIMIT, gtc, limit_price=wanted.take_profit)
        exits["Profit target"] = terms
    if wanted.stop_loss is not None:
        terms = OrderTerms(contract, action, size, OrderType.STOP_MARKET, gtc, stop_price=wanted.stop_loss)
        exits["Stop loss"] = terms
    return exits
