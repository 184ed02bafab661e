"""Every frame that the socket sends.

Seen in documents or in the field: the answer to an RPC, `marketData`, `pnlUpdate` but for its rows, `status`,
`resync`, the acknowledgement of a subscription to events, and the names of the events. Guessed: the other
acknowledgements, made after that one; `pong`; the error to what is no RPC; and the rows of P&L, which name the
account and its two profits as GetAccount spells them, and no balance, because balances are not pushed.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum

from starlette.responses import Response

from ct_mcp.simulator.addon import AddOn
from ct_mcp.simulator.market import Quote
from ct_mcp.simulator.orders import Execution
from ct_mcp.simulator.record import Happening, Transition
from ct_mcp.simulator.rest.account_rows import position_row
from ct_mcp.simulator.rest.market_rows import quote_answer
from ct_mcp.simulator.rest.order_rows import execution_row, order_row
from ct_mcp.simulator.rest.times import milliseconds
from ct_mcp.simulator.stream.asks import AskId
from ct_mcp.simulator.stream.habits import Rows

Frame = dict[str, object]


class State(StrEnum):
    """The state of the service's own connection."""

    CONNECTING = "connecting"
    SYNCING = "syncing"
    READY = "ready"
    STALLED = "stalled"
    STOPPED = "stopped"
    DISCONNECTED = "disconnected"


def answer(ask_id: AskId | None, response: Response) -> Frame:
    """Answer an RPC with the body that REST would send; what is no JSON comes as text, nothing at all as null."""
    text = bytes(response.body).decode()
    try:
        data: object = json.loads(text) if text else None
    except ValueError:
        data = text
    return {"id": ask_id, "data": data}


def acknowledged(ask_id: AskId | None, status: str, fields: Mapping[str, object]) -> Frame:
    """Say that something has been done."""
    return {"status": status, **fields} | _named(ask_id)


def failed(ask_id: AskId | None, action: str | None, body: Mapping[str, object]) -> Frame:
    """Say that something other than an RPC has not been done."""
    return {"status": "error", "action": action, "success": False, **body} | _named(ask_id)


def pong(ask_id: AskId | None, now: datetime) -> Frame:
    """Say that somebody is there."""
    return {"type": "pong", "epoch": milliseconds(now)} | _named(ask_id)


def status(state: State) -> Frame:
    """Tell the state of the service's own connection."""
    return {"type": "status", "state": state}


def resync() -> Frame:
    """Say that what was told may be wrong."""
    return {"type": "resync"}


def market_data(addon: AddOn, quotes: Sequence[Quote]) -> Frame:
    """Write quotes as GetQuote does."""
    return {"type": "marketData", "quotes": [quote_answer(addon, quote) for quote in quotes]}


def pnl_update(addon: AddOn, *, by_account: bool) -> Frame:
    """Write the P&L of every account."""
    rows = {
        name: {
            "account": name,
            "realizedProfitLoss": account.realized,
            "unrealizedProfitLoss": addon.exchange.open_profit(account, addon.now),
        }
        for name, account in addon.exchange.accounts.items()
    }
    return {"type": "pnlUpdate", "accounts": rows if by_account else list(rows.values())}


def events(addon: AddOn, happening: Happening, form: Rows) -> dict[str, Frame]:
    """Write what has happened, as events by the name under which they are subscribed to."""
    if isinstance(happening, Transition):
        return {"orders": _event("orderUpdate", "order", dict(order_row(addon, happening.order)), form)}
    execution = dict(execution_row(addon, happening))
    return {
        "executions": _event("executionUpdate", "execution", execution, form),
        "positions": _event("positionUpdate", "position", _position_after(addon, happening), form),
    }


def _position_after(addon: AddOn, execution: Execution) -> Frame:
    account = addon.exchange.accounts[execution.order.account]
    position = account.positions[execution.order.terms.contract]
    return dict(position_row(addon, account, position, execution.at))


def _event(kind: str, name: str, row: Frame, form: Rows) -> Frame:
    """Put a row into a frame; in the frame itself its own `type` and `epoch` give way."""
    if form is Rows.DATA:
        return {"type": kind, "data": row}
    if form is Rows.NESTED:
        return {"type": kind, "account": row["account"], "instrument": row["instrument"], name: row}
    return {**row, "type": kind}


def _named(ask_id: AskId | None) -> Frame:
    return {} if ask_id is None else {"id": ask_id}
