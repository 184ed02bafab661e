"""What a process knows of the person's PIN, for the file in which it goes on where the shared store is out of reach.

An exit may ask for the PIN, and nothing may keep an exit from leaving: so the digest is copied, as it was seen last,
and the person types the same PIN. It is never the weaker check. Wrong tries count on both sides: those that this
process saw go along, and those that were made meanwhile are added to the others afterwards (`left_behind`). A PIN that
was changed takes the place of the copy when it is next seen, which every review of an order does.

It stands apart from `in_doubt`, which knows of what was sent and nothing of the person.
"""

from collections.abc import Callable
from datetime import datetime
from sqlite3 import Connection
from typing import Any

from ct_mcp.store import trading_state
from ct_mcp.store.trading_state import PIN_TRIES, PIN_TRIES_WITHIN, PinLocked, StoredPin


class PinCopy:
    """The digest as it was seen last, and the wrong tries since the right PIN was given."""

    def __init__(self) -> None:
        self.is_known = False
        self._pin: StoredPin | None = None
        self._tries: tuple[datetime, ...] = ()

    def hear(self, work: Callable[..., Any], arguments: tuple[Any, ...], result: object) -> None:
        """Hear what was just read or written, and what that gave."""
        if work is trading_state.keep_pin:
            self.see(arguments[0])
        elif work is trading_state.forgive_pin_tries:
            self._tries = ()
        elif work is trading_state.count_pin_try and isinstance(result, PinLocked):
            self._tries = (result.until - PIN_TRIES_WITHIN,) * PIN_TRIES
        elif work is trading_state.count_pin_try and isinstance(result, StoredPin):
            self.see(result)
            self._tries = (*self._tries, arguments[0])[-PIN_TRIES:]

    def see(self, pin: StoredPin | None) -> None:
        """Take what is kept of the PIN just now; None where none is set. Tries at another one are forgotten."""
        if pin != self._pin:
            self._tries = ()
        self._pin, self.is_known = pin, True

    def take_along(self, connection: Connection) -> None:
        """Write it into a file, in one transaction; where it was never seen, what stands there already stays."""
        if self.is_known:
            connection.execute("BEGIN IMMEDIATE")
            trading_state.copy_pin(connection, self._pin)
            trading_state.add_pin_tries(connection, self._tries)
            connection.execute("COMMIT")
