"""Messages of the WebSocket: what a client may send, and every frame that the service sends.

Seen in documents or in the field: the answer to an RPC, `marketData`, `pnlUpdate` but for its rows, `status`,
`resync`, the acknowledgement of a subscription to events, and the names of the events. Assumed: the other
acknowledgements, made after that one; `pong`; the error to what is no RPC; and the rows of P&L, which name the
account and its two profits as GetAccount spells them, and no balance, because balances are not pushed.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, TypeAdapter, ValidationError
from starlette.responses import Response

from ct_mcp.simulator.addon import AddOn
from ct_mcp.simulator.market import SimQuote
from ct_mcp.simulator.orders import OrderEvent, OrderTransition, SimExecution
from ct_mcp.simulator.rest.market import quote_body
from ct_mcp.simulator.rest.order_history import execution_json
from ct_mcp.simulator.rest.orders import order_json
from ct_mcp.simulator.rest.positions import position_json
from ct_mcp.simulator.rest.wire import epoch_milliseconds
from ct_mcp.simulator.stream.assumptions import RowPlacement

MessageId = StrictStr | StrictInt
FrameJson = dict[str, object]
_Names = Annotated[list[Annotated[str, Field(min_length=1, max_length=100)]], Field(max_length=500)]


class _Message(BaseModel):
    """One message of a client; unknown fields are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class RpcMessage(_Message):
    """A call; its answer carries the same id."""

    action: Literal["rpc"]
    id: MessageId
    api: str
    args: dict[str, object] = Field(default_factory=dict)
    origin: str | None = None


class SubscriptionMessage(_Message):
    """Instruments and events of the accounts to subscribe to, or to unsubscribe from."""

    action: Literal["subscribe", "unsubscribe"]
    instruments: _Names = Field(default_factory=list)
    events: list[Literal["orders", "executions", "positions"]] = Field(default_factory=list)
    origin: str | None = None
    id: MessageId | None = None


class PnlMessage(_Message):
    """Whether P&L is to be pushed, and how often; the interval is in milliseconds."""

    action: Literal["streamPnl"]
    enabled: bool = True
    interval: Annotated[int, Field(gt=0, le=3_600_000)] = 1000
    id: MessageId | None = None


class PingMessage(_Message):
    """A ping."""

    action: Literal["ping"]
    id: MessageId | None = None


ClientMessage = RpcMessage | SubscriptionMessage | PnlMessage | PingMessage
_MESSAGES: TypeAdapter[ClientMessage] = TypeAdapter(Annotated[ClientMessage, Field(discriminator="action")])


class UnreadableMessage(Exception):
    """A message that is not valid; `action` and `message_id` are what could be read of it."""

    def __init__(self, action: str | None, message_id: MessageId | None) -> None:
        """Keep what could be read."""
        super().__init__("Invalid request")
        self.action = action
        self.message_id = message_id


class ServiceState(StrEnum):
    """State of the service's own connection to its sources."""

    CONNECTING = "connecting"
    SYNCING = "syncing"
    READY = "ready"
    STALLED = "stalled"
    STOPPED = "stopped"
    DISCONNECTED = "disconnected"


def parse_message(text: str | bytes) -> ClientMessage:
    """Parse one message of a client.

    Raises:
        UnreadableMessage: It is no JSON, no object, or lacks what its action needs.
    """
    fields: object = None
    try:
        fields = json.loads(text)
        return _MESSAGES.validate_python(fields)
    except (ValidationError, ValueError, RecursionError):
        raise _unreadable(fields) from None


def _unreadable(message: object) -> UnreadableMessage:
    fields = message if isinstance(message, dict) else {}
    action, message_id = fields.get("action"), fields.get("id")
    readable = isinstance(message_id, str | int) and not isinstance(message_id, bool)
    return UnreadableMessage(action if isinstance(action, str) else None, message_id if readable else None)


def rpc_answer(message_id: MessageId | None, response: Response) -> FrameJson:
    """Answer an RPC with the body that REST would send; what is no JSON comes as text, an empty body as null."""
    text = bytes(response.body).decode()
    try:
        data: object = json.loads(text) if text else None
    except ValueError:
        data = text
    return {"id": message_id, "data": data}


def acknowledgement(message_id: MessageId | None, status: str, fields: Mapping[str, object]) -> FrameJson:
    """Acknowledge what has been done."""
    return {"status": status, **fields} | _id_field(message_id)


def error_frame(message_id: MessageId | None, action: str | None, body: Mapping[str, object]) -> FrameJson:
    """Answer that something other than an RPC has not been done."""
    return {"status": "error", "action": action, "success": False, **body} | _id_field(message_id)


def pong(message_id: MessageId | None, now: datetime) -> FrameJson:
    """Answer a ping."""
    return {"type": "pong", "epoch": epoch_milliseconds(now)} | _id_field(message_id)


def status(state: ServiceState) -> FrameJson:
    """Report the state of the service's own connection."""
    return {"type": "status", "state": state}


def resync() -> FrameJson:
    """Tell the client that what was pushed may be wrong."""
    return {"type": "resync"}


def market_data(addon: AddOn, quotes: Sequence[SimQuote]) -> FrameJson:
    """Push quotes, written as GetQuote writes them."""
    return {"type": "marketData", "quotes": [quote_body(addon, quote) for quote in quotes]}


def pnl_update(addon: AddOn, *, by_account: bool) -> FrameJson:
    """Push the P&L of every account."""
    rows = {
        name: {
            "account": name,
            "realizedProfitLoss": account.realized,
            "unrealizedProfitLoss": addon.exchange.open_profit(account, addon.now),
        }
        for name, account in addon.exchange.accounts.items()
    }
    return {"type": "pnlUpdate", "accounts": rows if by_account else list(rows.values())}


def event_frames(addon: AddOn, event: OrderEvent, placement: RowPlacement) -> dict[str, FrameJson]:
    """Return the frames of an event, by the name under which they are subscribed to."""
    if isinstance(event, OrderTransition):
        return {"orders": _event_frame("orderUpdate", "order", dict(order_json(addon, event.order)), placement)}
    execution = dict(execution_json(addon, event))
    return {
        "executions": _event_frame("executionUpdate", "execution", execution, placement),
        "positions": _event_frame("positionUpdate", "position", _position_after(addon, event), placement),
    }


def _position_after(addon: AddOn, execution: SimExecution) -> FrameJson:
    account = addon.exchange.accounts[execution.order.account]
    position = account.positions[execution.order.terms.contract]
    return dict(position_json(addon, account, position, execution.at))


def _event_frame(kind: str, name: str, row: FrameJson, placement: RowPlacement) -> FrameJson:
    """Put a row into a frame; where it is the frame itself, its own `type` and `epoch` are replaced."""
    if placement is RowPlacement.DATA:
        return {"type": kind, "data": row}
    if placement is RowPlacement.NESTED:
        return {"type": kind, "account": row["account"], "instrument": row["instrument"], name: row}
    return {**row, "type": kind}


def _id_field(message_id: MessageId | None) -> FrameJson:
    return {} if message_id is None else {"id": message_id}
