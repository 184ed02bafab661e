"""Assumptions about the service's WebSocket where its documentation is silent: one switch for each.

Assumptions without a switch stand where they are made, in `messages` (how an acknowledgement, an error, a pong and a
row of P&L look) and here:

* The handshake draws on no rate limit, and is refused as REST refuses: the same status, the same body.
* Pushed frames carry `seq`, `dropped` and `epoch`; answers, acknowledgements and pongs carry none of them.
* The rate limit for subscriptions belongs to the person and outlives the connection; `streamPnl` draws on it as well.
* While the state is not `ready` nothing is pushed but `status` and `resync`, and nothing is pushed afterwards.
* A quote is pushed once a second if it has changed; the first one comes at once.
* P&L is pushed at its interval, whether it has changed or not.
* Frames that come ten minutes late or more, because the clock has jumped, are never made.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from ct_mcp.simulator.gateway import RateLimit


class RowPlacement(StrEnum):
    """Where the row of an order, an execution or a position is: the frame itself, a field of its name, or `data`."""

    FLAT = "flat"
    NESTED = "nested"
    DATA = "data"


class EventPushes(StrEnum):
    """Whether events of NinjaTrader accounts are pushed: when subscribed to, always, or never."""

    SUBSCRIBED = "subscribed"
    UNASKED = "unasked"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class StreamAssumptions:
    """How the WebSocket behaves where the documentation is silent or contradicts itself.

    `subscription_limit`: how often subscriptions may change; None lets every change through.
    `pnl_by_account`: the accounts of a P&L frame are an object instead of a list.
    `dropped_adds_up`: `dropped` counts since the connection began, not since the last frame.
    `violations`: how many requests over a limit, one after the other, end the connection.
    `shortest_interval_seconds`: P&L comes no more often than that, whatever is asked for.
    `queue_frames`: how many pushed frames may wait for a slow reader.
    `late_seconds`: how late an answer is that a fault delays.
    `elsewhere_code`: the close code of "Session active elsewhere"; only its reason is known.
    """

    rows: RowPlacement = RowPlacement.FLAT
    events: EventPushes = EventPushes.SUBSCRIBED
    pnl_by_account: bool = False
    dropped_adds_up: bool = False
    subscription_limit: RateLimit | None = field(default_factory=lambda: RateLimit(5, 20 / 60))
    violations: int = 10
    shortest_interval_seconds: float = 0.1
    queue_frames: int = 2_000
    late_seconds: float = 10.0
    elsewhere_code: int = 4000
