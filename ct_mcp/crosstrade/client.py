"""CrossTrade over REST: everything that `reads` can ask, and what changes an account.

Each write is sent once; `OutcomeUnknown` when no trustworthy answer came. An acknowledgement says that the request was
taken: whether an order works, is filled or is gone has to be read back. There is deliberately no method that flattens
without an account, and none for CancelAllOrders: both reach accounts that nobody named.
"""

import re
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ct_mcp.crosstrade.reads import ReadOnlyClient, order_path, strategy_path
from ct_mcp.crosstrade.request import Call
from ct_mcp.crosstrade.schemas.bracket import BracketFields, bracket_body
from ct_mcp.crosstrade.schemas.order_bodies import (
    change_body,
    close_body,
    guarded_order_body,
    instrument_body,
    order_body,
)
from ct_mcp.crosstrade.schemas.orders import Acknowledged, parse_acknowledgement, parse_order_acknowledgement
from ct_mcp.crosstrade.schemas.reply import Reply
from ct_mcp.crosstrade.schemas.strategies import StrategyAcknowledged, parse_strategy_acknowledgement, start_body
from ct_mcp.domain.account import Direction, Position
from ct_mcp.domain.commands import ChangeOrder, ClosePosition, PlaceOrder, ProtectPosition
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.strategy import StartStrategy
from ct_mcp.errors import BadRequest, NotFound, OrderRejected, OutcomeUnknown

_OWN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_T = TypeVar("_T")


class CrossTrade(ReadOnlyClient):
    """The whole client."""

    # --- orders ---

    async def place_order(
        self, order: PlaceOrder, own_id: str, require: frozenset[Direction] | None = None
    ) -> Acknowledged:
        """Place an order under our own id, which must be fresh: NinjaTrader never forgets a used one.

        ``require`` is a refusal that CrossTrade itself applies to what stands at that moment.
        """
        if order.flatten_first:
            raise ValueError("an order that flattens first is sent by flat_place")
        return await self._place("PlaceOrder", order, own_id, require)

    async def flat_place(self, order: PlaceOrder, own_id: str) -> Acknowledged:
        """Close what stands in the instrument, then place the order, even if the close has not worked yet."""
        return await self._place("FlatPlace", order, own_id, None)

    async def change_order(self, change: ChangeOrder) -> Acknowledged:
        """Change a working order; what is None stays. The id in the answer may differ from the one that was named."""
        body = change_body(change)
        if not body:
            raise BadRequest("a change names at least one of quantity, limit_price and stop_price")
        call = Call("Change", order_path(change.account, change.order_id), body=body)
        return await self._send_order(call, change.account)

    async def replace_order(self, account: str, order_id: str, order: PlaceOrder) -> Acknowledged:
        """Cancel an order and place another, which happens only if the cancel worked. Takes no id of ours."""
        if order.account != account or order.flatten_first:
            raise ValueError("a replacement stays in its account and flattens nothing")
        call = Call("CancelReplace", order_path(account, order_id), body=order_body(order))
        return await self._send_order(call, account)

    async def cancel_order(self, account: str, order_id: str) -> Acknowledged:
        """Ask to cancel one order.

        Raises:
            OrderGone: It is not there or over already, perhaps filled.
        """
        return await self._send_request(Call("Cancel", order_path(account, order_id)), account)

    async def cancel_orders(self, account: str, instrument: Instrument | None) -> Acknowledged:
        """Ask to cancel every working order of one account, or of one instrument in it."""
        call = Call("CancelOrders", {"account": account}, body=instrument_body(instrument))
        return await self._send_request(call, account)

    # --- positions ---

    async def close_position(self, close: ClosePosition) -> Acknowledged:
        """Close one position, all of it where neither quantity nor percent is given; a part of it leaves its stops."""
        call = Call("ClosePosition", {"account": close.account}, body=close_body(close))
        return await self._send_request(call, close.account)

    async def flatten(self, account: str, instrument: Instrument | None) -> Acknowledged:
        """Close positions and cancel orders of one account, or of one instrument in it.

        A resting entry where there is no position is not cancelled: cancel_orders as well, and read back.
        """
        call = Call("Flatten", {"account": account}, body=instrument_body(instrument))
        return await self._send_request(call, account)

    async def reverse(self, account: str, instrument: Instrument) -> Acknowledged:
        """Turn a position round at its size; nothing is done where there is none. Read both legs back.

        Raises:
            NoPosition: There is nothing to turn round.
        """
        call = Call("Reverse", {"account": account}, body=instrument_body(instrument))
        return await self._send_order(call, account)

    async def cancel_and_bracket(
        self, protect: ProtectPosition, position: Position, fields: BracketFields
    ) -> Acknowledged:
        """Cancel every order of the instrument, then place a take profit and a stop loss as one OCO pair.

        NOT atomic: in between, and for good where the new stop is refused, the position has no stop. They cut the size
        down to what is held, but on a flat account they OPEN, so a position that is known to be flat is refused here.
        The new orders have other ids than the old ones and may be listed late; they may not be named at all.
        """
        call = Call("CancelAndBracket", {"account": protect.account}, body=bracket_body(protect, position, fields))
        try:
            return await self._send_request(call, protect.account)
        except (OrderRejected, NotFound, OutcomeUnknown) as error:
            raise error.rephrased(f"{error.what}; {fields.source}") from None

    # --- strategies ---

    async def start_strategy(self, start: StartStrategy) -> StrategyAcknowledged:
        """Start a new copy of a strategy, which then trades by itself; asked twice, two copies trade."""
        call = Call("StartStrategy", {"account": start.account}, body=start_body(start))
        return await self._send(call, lambda reply: parse_strategy_acknowledgement(reply, start.account, None))

    async def enable_strategy(self, account: str, strategy_id: str) -> StrategyAcknowledged:
        """Let a strategy go on; one that is enabled stays so, one that is over is refused."""
        return await self._send_strategy("EnableStrategy", account, strategy_id)

    async def disable_strategy(self, account: str, strategy_id: str) -> StrategyAcknowledged:
        """Stop feeding a strategy.

        Its position stays, and NinjaTrader may cancel the orders that protect it: read back.
        """
        return await self._send_strategy("DisableStrategy", account, strategy_id)

    async def close_strategy(self, account: str, strategy_id: str) -> StrategyAcknowledged:
        """Close a strategy with its positions and open orders."""
        return await self._send_strategy("CloseStrategy", account, strategy_id)

    # --- how a write is sent ---

    # They only put a call and its reader together, and are no steps of their own: what waits is the connection.

    def _place(
        self, rpc: str, order: PlaceOrder, own_id: str, require: frozenset[Direction] | None
    ) -> Awaitable[Acknowledged]:
        if not _OWN_ID.fullmatch(own_id):
            raise ValueError("our own order id is letters, digits, dashes and underscores, 64 at most")
        call = Call(rpc, {"account": order.account}, body=guarded_order_body(order, own_id, require))
        return self._send_order(call, order.account)

    def _send_order(self, call: Call, account: str) -> Awaitable[Acknowledged]:
        """Send what must be answered with the id of an order."""
        return self._send(call, lambda reply: parse_order_acknowledgement(reply, account))

    def _send_request(self, call: Call, account: str) -> Awaitable[Acknowledged]:
        return self._send(call, lambda reply: parse_acknowledgement(reply, account))

    def _send_strategy(self, rpc: str, account: str, strategy_id: str) -> Awaitable[StrategyAcknowledged]:
        call = Call(rpc, strategy_path(account, strategy_id))
        return self._send(call, lambda reply: parse_strategy_acknowledgement(reply, account, strategy_id))

    def _send(self, call: Call, parse: Callable[[Reply], _T]) -> Awaitable[_T]:
        return self.connection.send(call, parse, self._options)
