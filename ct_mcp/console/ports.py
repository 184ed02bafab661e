"""What the pages need of the store, beyond what the desk needs."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ct_mcp.console.keys import Keys, Session
from ct_mcp.desk.deciding import Decisions
from ct_mcp.desk.pin import PinStore
from ct_mcp.desk.ports import Store


class ConsoleStore(Store, PinStore, Protocol):
    """Tickets, journal, halt and PIN."""

    async def clear_halt(self, by: str, now: datetime) -> bool: ...


@dataclass(frozen=True, slots=True)
class Room:
    """What every page works with."""

    store: ConsoleStore
    decisions: Decisions
    keys: Keys
    clock: Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of a known browser; ``form`` is what it posted."""

    session: Session
    form: dict[str, str]
