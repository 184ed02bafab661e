"""Changing an account. Each is sent once; `OutcomeUnknown` when no trustworthy answer came.

An acknowledgement says that the request was taken. Whether an order works, is filled or is gone has to be read back.
"""

import re
from collections.abc import Callable

from ct_mcp.crosstrade.bracket import BracketFields, bracket_body
from ct_mcp.crosstrade.call import Call
from ct_mcp.crosstrade.caller import Caller
from ct_mcp.crosstrade.wire import (
    Acknowledged,
    acknowledged_in,
    acknowledged_order_in,
    change_body,
    close_body,
    guarded_order_body,
    instrument_body,
    order_body,
)
from ct_mcp.crosstrade.wire_row import Reply
from ct_mcp.domain.action import ChangeOrder, ClosePosition, PlaceOrder, ProtectPosition
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.position import Direction, Position
from ct_mcp.errors import BadRequest, NotFound, OrderRejected, OutcomeUnknown

_OWN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


async def place_order(
    self: Caller,
    order: PlaceOrder,
    own_id: str,
    require: frozenset[Direction] | None = None,
    max_positions: int | None = None,
) -> Acknowledged:
    """Place an order under our own id, which must be fresh: NinjaTrader never forgets a used one.

    ``require`` and ``max_positions`` are refusals that CrossTrade itself applies to what stands at that moment.
    """
    if order.flatten_first:
        raise ValueError("an order that flattens first is sent by flat_place")
    return await self._send(_placing("PlaceOrder", order, own_id, require, max_positions), _order_taken(order.account))


async def flat_place(self: Caller, order: PlaceOrder, own_id: str) -> Acknowledged:
    """Close what stands in the instrument, then place the order, even if the close has not worked yet."""
    return await self._send(_placing("FlatPlace", order, own_id, None, None), _order_taken(order.account))


async def change_order(self: Caller, change: ChangeOrder) -> Acknowledged:
    """Change a working order; what is None stays. The id in the answer may differ from the one that was named."""
    body = change_body(change)
    if not body:
        raise BadRequest("a change names at least one of quantity, limit_price and stop_price")
    call = Call("Change", _order_path(change.account, change.order_id), body=body)
    return await self._send(call, _order_taken(change.account))


async def replace_order(self: Caller, account: str, order_id: str, order: PlaceOrder) -> Acknowledged:
    """Cancel an order and place another, which happens only if the cancel worked. Takes no id of ours."""
    if order.account != account or order.flatten_first:
        raise ValueError("a replacement stays in its account and flattens nothing")
    call = Call("CancelReplace", _order_path(account, order_id), body=order_body(order))
    return await self._send(call, _order_taken(account))


async def cancel_order(self: Caller, account: str, order_id: str) -> Acknowledged:
    """Ask to cancel one order.

    Raises:
        OrderGone: It is not there or over already, perhaps filled.
    """
    return await self._send(Call("Cancel", _order_path(account, order_id)), _taken(account))


async def cancel_orders(self: Caller, account: str, instrument: Instrument | None) -> Acknowledged:
    """Ask to cancel every working order of one account, or of one instrument in it."""
    return await self._send(
        Call("CancelOrders", {"account": account}, body=instrument_body(instrument)), _taken(account)
    )


async def close_position(self: Caller, close: ClosePosition) -> Acknowledged:
    """Close one position, all of it where neither quantity nor percent is given; a part of it leaves its stops."""
    return await self._send(
        Call("ClosePosition", {"account": close.account}, body=close_body(close)), _taken(close.account)
    )


async def flatten(self: Caller, account: str, instrument: Instrument | None) -> Acknowledged:
    """Close positions and cancel orders of one account, or of one instrument in it.

    A resting entry where there is no position is left standing: cancel_orders as well, and read back.
    """
    return await self._send(Call("Flatten", {"account": account}, body=instrument_body(instrument)), _taken(account))


async def flatten_filtered(
    self: Caller, account: str, instrument: Instrument | None = None, direction: Direction | None = None
) -> Acknowledged:
    """Flatten over the route that can filter by direction.

    That route would do without an account, and would then reach all of them; here the account cannot be left out.
    """
    if not account.strip():
        raise BadRequest("a flatten names its account")
    body = {"account": account, **instrument_body(instrument)}
    if direction is not None:
        body["marketPosition"] = direction.value.lower()
    return await self._send(Call("FlattenEverything", body=body), _taken(account))


async def reverse(self: Caller, account: str, instrument: Instrument) -> Acknowledged:
    """Turn a position round at its size; nothing is done where there is none. Read both legs back.

    Raises:
        NoPosition: There is nothing to turn round.
    """
    call = Call("Reverse", {"account": account}, body=instrument_body(instrument))
    return await self._send(call, _order_taken(account))


async def reverse_position(self: Caller, order: PlaceOrder) -> Acknowledged:
    """Close what stands in the order's instrument, then place the order. Takes no id of ours.

    They wait some seconds for the close and then place the order even if it has not worked: both may stand together.

    Raises:
        NoPosition: There is nothing to close, and nothing was placed.
    """
    if order.flatten_first:
        raise ValueError("a reversal closes by itself and flattens nothing")
    call = Call("ReversePosition", {"account": order.account}, body=order_body(order))
    return await self._send(call, _order_taken(order.account))


async def cancel_and_bracket(
    self: Caller, protect: ProtectPosition, position: Position, fields: BracketFields, delay_ms: int | None = None
) -> Acknowledged:
    """Cancel every order of the instrument, then place a take profit and a stop loss as one OCO pair.

    NOT atomic: in between, and for good where the new stop is refused, the position has no stop. They cut the size
    down to what is held, but on a flat account they OPEN, so a position that is known to be flat is refused here. The
    new orders have other ids than the old ones and may be listed late; they may not be named at all.
    """
    call = Call(
        "CancelAndBracket", {"account": protect.account}, body=bracket_body(protect, position, fields, delay_ms)
    )
    try:
        return await self._send(call, _taken(protect.account))
    except (OrderRejected, NotFound, OutcomeUnknown) as error:
        raise type(error)(f"{error.what}; {fields.source}", next_step=error.advice) from None


def _placing(
    rpc: str, order: PlaceOrder, own_id: str, require: frozenset[Direction] | None, max_positions: int | None
) -> Call:
    if not _OWN_ID.fullmatch(own_id):
        raise ValueError("our own order id is letters, digits, dashes and underscores, 64 at most")
    body = guarded_order_body(order, own_id, require, max_positions)
    return Call(rpc, {"account": order.account}, body=body)


def _taken(account: str) -> Callable[[Reply], Acknowledged]:
    return lambda reply: acknowledged_in(reply, account)


def _order_taken(account: str) -> Callable[[Reply], Acknowledged]:
    return lambda reply: acknowledged_order_in(reply, account)


def _order_path(account: str, order_id: str) -> dict[str, str]:
    return {"account": account, "order_id": order_id}
