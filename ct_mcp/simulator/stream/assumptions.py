"""What is not known about the socket of the service, and what the simulator assumes: one switch for each guess.

Guesses without a switch stand where they are made, in `frames` (how an acknowledgement, an error, a pong and a
row of P&L look) and here:

* The handshake draws on no budget, and is refused as REST refuses: the same status, the same body.
* Pushed frames carry `seq`, `dropped` and `epoch`; answers, acknowledgements and pongs carry none of them.
* The budget for subscriptions belongs to the person and outlives the connection; `streamPnl` draws on it as well.
* While the state is not `ready` nothing is pushed but `status` and `resync`, and nothing is told afterwards.
* A quote is pushed once a second if it has changed; the first one comes at once.
* P&L is pushed at its interval, whether it has changed or not.
* Frames that come ten minutes late or more, because the clock has jumped, are never made.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from ct_mcp.simulator.budget import RateLimit


class Rows(StrEnum):
    """Where the row of an order, an execution or a position stands: the frame itself, under its name, or `data`."""

    FLAT = "flat"
    NESTED = "nested"
    DATA = "data"


class Events(StrEnum):
    """Whether events of NinjaTrader accounts are pushed: when subscribed to, always, or never."""

    SUBSCRIBED = "subscribed"
    UNASKED = "unasked"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class StreamHabits:
    """How the socket behaves where the documents are silent or contradict each other.

    `pnl_by_account`: accounts of a P&L frame are an object instead of a list.
    `dropped_adds_up`: `dropped` counts since the connection began, not since the last frame.
    `shortest_interval_seconds`: P&L comes no more often than that, whatever is asked for.
    `queue_frames`: how many pushed frames may wait for a slow reader.
    `elsewhere_code`: the code of "Session active elsewhere"; only its reason is known.
    """

    rows: Rows = Rows.FLAT
    events: Events = Events.SUBSCRIBED
    pnl_by_account: bool = False
    dropped_adds_up: bool = False
    subscription_limit: RateLimit | None = field(default_factory=lambda: RateLimit(5, 20 / 60))
    violations: int = 10
    shortest_interval_seconds: float = 0.1
    queue_frames: int = 2_000
    late_seconds: float = 10.0
    elsewhere_code: int = 4000
