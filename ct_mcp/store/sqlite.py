"""The store in one SQLite file of the state folder, shared by all processes of this machine.

It stands alone, since it names the file: import it late, because nothing on the way to the answer of ``initialize`` may
load sqlite3.
"""

from functools import partial
from pathlib import Path

from ct_mcp.store.database import Database, prepare_state_file
from ct_mcp.store.sql_store import SqlStore

FILE_NAME = "ct-mcp.sqlite3"


class SqliteStore(SqlStore):
    """The store of a state folder."""

    def __init__(self, folder: Path, *, service: str = "", busy_timeout_seconds: float = 5.0) -> None:
        """Remember where the file lives; it is opened, or made, by the first call.

        ``service`` names the service and token to which tickets, outstanding intents, halts, losses, armings and
        leases belong. Without it all of them are seen, as a terminal of the person's needs it, which has no token.
        """
        self._path = folder / FILE_NAME
        super().__init__(Database(self._path, busy_timeout_seconds, partial(prepare_state_file, service=service)))
