"""What the store remembers of an account and an action, read in one go, so that a review sees one moment."""

from dataclasses import dataclass
from datetime import datetime

from ct_mcp.domain.ticket import Halt
from ct_mcp.store.journal import Entry, LastIntent


@dataclass(frozen=True, slots=True)
class Outstanding:
    """The intents of unknown fate in an account, oldest first, and where the journal ended when they were read.

    Whoever decides on what he reads from then on writes his intent with ``seen``; see `SqliteStore.append_intent`.
    """

    seen: int
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Memory:
    """One moment of the store. Counts are of intents that open or add, in this account."""

    last_identical: LastIntent | None
    halt: Halt | None
    armed_until: datetime | None
    day_loss_reached: bool
    orders_last_minute: int
    orders_today: int
