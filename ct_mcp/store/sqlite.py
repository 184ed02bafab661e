"""The store in one SQLite file of the state folder, shared by all processes of this machine.

It stands alone, since it names the file: import it late, because nothing on the way to the answer of ``initialize`` may
load sqlite3.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from sqlite3 import Connection
from typing import Any, TypeVar, TypeVarTuple

from anyio.lowlevel import checkpoint_if_cancelled

from ct_mcp.domain.approval import Halt
from ct_mcp.store import balances, duties, journal_table, parts, tickets, trading_state, watches
from ct_mcp.store.database import Database, prepare_state_file
from ct_mcp.store.sql import SqlConnection
from ct_mcp.store.sql_store import SqlStore

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

FILE_NAME = "ct-mcp.sqlite3"
_OF_AN_ORDER: frozenset[Callable[..., Any]] = frozenset(
    {
        tickets.find,
        tickets.find_all,
        tickets.unanswered,
        journal_table.of_orders,
        journal_table.outstanding,
        journal_table.refusals,
        journal_table.unsettled,
        trading_state.halt,
        trading_state.recall,
        balances.balance_record,
        duties.duties,
        duties.entries_owed,
        parts.check_turn,
        watches.notices,
    }
)
"""What every order asks: a few rows, by an index, that were written a moment ago."""


_utc_now = partial(datetime.now, UTC)
_MOVED = "the state file was moved or replaced while ct-mcp ran, and what it held is not in the one that is there now"


def _halt(connection: Connection, clock: Callable[[], datetime]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    trading_state.set_halt(connection, Halt("guard", clock(), _MOVED), for_all=True)
    connection.execute("COMMIT")


class SqliteStore(SqlStore):
    """The store of a state folder."""

    def __init__(
        self,
        folder: Path,
        *,
        service: str = "",
        busy_timeout_seconds: float = 5.0,
        clock: Callable[[], datetime] = _utc_now,
    ) -> None:
        """Remember where the file lives; it is opened, or made, by the first call.

        ``service`` names the service and token to which tickets, outstanding intents, halts, losses, armings and
        leases belong. Without it all of them are seen, as a terminal of the person's needs it, which has no token.
        Trading is halted where the file was moved away meanwhile, since a halt and losses may be gone with it.
        """
        self._path = folder / FILE_NAME
        prepare, halts = partial(prepare_state_file, service=service), partial(_halt, clock=clock)
        self._file = Database(self._path, busy_timeout_seconds, prepare, halts)
        super().__init__(self._file)

    async def _read(self, work: Callable[[SqlConnection, *Ts], T], *arguments: *Ts) -> T:
        """Read; what an order asks at once, since another thread takes longer than that, but where it would wait."""
        if work in _OF_AN_ORDER:
            await checkpoint_if_cancelled()
            seen = self._file.try_read(work, *arguments)
            if seen is not None:
                return seen[0]
        return await super()._read(work, *arguments)
