"""CancelAndBracket, whose page hides how it spells its prices and its delay: the one place that says what we assume."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from ct_mcp.crosstrade.catalogue import ENDPOINTS
from ct_mcp.crosstrade.openapi import body_fields_in, may_be_number
from ct_mcp.crosstrade.wire import number_field
from ct_mcp.crosstrade.words import cleaned, folded
from ct_mcp.domain.action import ProtectPosition
from ct_mcp.domain.order import OrderAction
from ct_mcp.domain.position import Direction, Position
from ct_mcp.errors import BadRequest

# Ours first, then what else a price or a delay in milliseconds may be called.
_TAKE_PROFIT = ("takeprofit", "takeprofitprice", "profittarget", "profittargetprice", "targetprice")
_STOP_LOSS = ("stoploss", "stoplossprice", "stopprice")
_DELAY = ("delay", "delayms", "delaymilliseconds", "canceldelayms")
_OTHERWISE = "place the take profit and the stop as two orders of one OCO group instead"


@dataclass(frozen=True, slots=True)
class BracketFields:
    """How the call spells them; None is a field that it has not, as far as is known. ``source`` says how we know."""

    take_profit: str | None
    stop_loss: str | None
    delay: str | None
    source: str


ASSUMED_FIELDS = BracketFields(
    "takeProfit",
    "stopLoss",
    None,
    "that CancelAndBracket calls its prices takeProfit and stopLoss is our assumption, made after its Tradovate twin",
)


def bracket_fields_in(document: str) -> BracketFields:
    """Look the names up in their openapi.json; where it does not describe the body, our assumption stands.

    Where it does and has no name that we know, there is none: with an assumed one everything would be cancelled and
    nothing placed.
    """
    found = body_fields_in(document, ENDPOINTS["CancelAndBracket"])
    if not found:
        return ASSUMED_FIELDS
    names = ", ".join(cleaned(name, longest=30) for name in sorted(found)[:20])
    return BracketFields(
        take_profit=_named(found, _TAKE_PROFIT),
        stop_loss=_named(found, _STOP_LOSS),
        delay=_named(found, _DELAY),
        source=f"by their openapi.json CancelAndBracket takes {names}",
    )


def bracket_body(
    protect: ProtectPosition, position: Position, fields: BracketFields, delay_ms: int | None
) -> dict[str, object]:
    """The bracket of a position that stands: its direction, its size, and the prices in the spelling that we know.

    Raises:
        BadRequest: The position is flat, no price is given, or one cannot be spelled.
    """
    if (protect.account, protect.instrument) != (position.account, position.instrument):
        raise ValueError("a bracket is sent with the position that it protects")
    if position.direction is Direction.FLAT:
        raise BadRequest(f"{position.instrument} is flat, and a bracket without a position would open one")
    prices = _spelled("take_profit_price", fields.take_profit, protect.take_profit_price, fields)
    prices |= _spelled("stop_loss_price", fields.stop_loss, protect.stop_loss_price, fields)
    if not prices:
        raise BadRequest("a bracket names at least one of take_profit_price and stop_loss_price")
    return {
        "instrument": str(protect.instrument),
        # The direction of the position that is protected: they turn it round for the exits.
        "action": (OrderAction.BUY if position.direction is Direction.LONG else OrderAction.SELL).value,
        "quantity": position.quantity,
        **prices,
        **_spelled("delay_ms", fields.delay, delay_ms, fields),
    }


def _spelled(ours: str, theirs: str | None, value: Decimal | int | None, fields: BracketFields) -> dict[str, object]:
    if value is None:
        return {}
    if theirs is None:
        raise BadRequest(f"{ours} cannot be sent, since its name is not known; {fields.source}", next_step=_OTHERWISE)
    return {theirs: number_field(ours, Decimal(value))}


def _named(found: Mapping[str, Mapping[str, object]], names: tuple[str, ...]) -> str | None:
    """The field with the name that we assume, or the only one with another that we know."""
    known = {folded(name): name for name, schema in found.items() if folded(name) in names and may_be_number(schema)}
    return known.get(names[0]) or (next(iter(known.values())) if len(known) == 1 else None)
