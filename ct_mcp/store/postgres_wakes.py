"""Hears the notifications of PostgreSQL: that another machine has halted, resumed, armed, approved or declined.

How it works; the numbers stand again at the blocks that do it.

 1. The triggers of a trader's schema notify in the transaction that changes something, so nobody hears of what was
    undone, nor before it can be read. A notification has no content, and every role of the database can send one: it is
    a reason to look, and never believed.
 2. It needs a connection of its own, which is waited at without a thread. What came while nobody listened was missed,
    so each connection begins with a wake-up. Where there is none, everything is seen at the next look all the same.
 3. However many are sent, they wake as often as everybody looks by themselves.

Import it late: nothing on the way to the answer of ``initialize`` may load psycopg.
"""

import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress

import anyio
from anyio import to_thread
from psycopg import Connection, Error
from psycopg.sql import SQL, Identifier

from ct_mcp.store.postgres import Patience, open_connection
from ct_mcp.store.postgres_url import PostgresUrl
from ct_mcp.store.wakes import Wakes

RESTS_SECONDS = 0.25
LISTENS_AGAIN_AFTER_SECONDS = 10.0
_CHANNELS = "SELECT 'ct_mcp.' || md5(name) FROM unnest(%s::text[]) AS name"
_log = logging.getLogger(__name__)
Pause = Callable[[float], Awaitable[object]]


class WakeListener:
    """Listens for a trader; ``schemas`` are others whose tables wake as well."""

    def __init__(self, url: PostgresUrl, wakes: Wakes, *schemas: str, pause: Pause = anyio.sleep) -> None:
        self._url, self._wakes, self._pause = url, wakes, pause
        self._schemas = [url.user, *schemas]

    async def run(self) -> None:
        """Wake until this is cancelled; what goes wrong is tried again after a while, and keeps nobody."""
        while True:
            try:
                with _closing(await to_thread.run_sync(self._open)) as connection:
                    self._wakes.wake()  # 2
                    await self._listen(connection)
            except (Error, OSError, anyio.ClosedResourceError) as error:
                _log.debug("What other machines do is seen at the next look only: %s", type(error).__name__)
            await self._pause(LISTENS_AGAIN_AFTER_SECONDS)

    def _open(self) -> Connection:
        connection = open_connection(self._url, Patience())
        try:
            for (channel,) in connection.execute(_CHANNELS, (self._schemas,)).fetchall():
                connection.execute(SQL("LISTEN {}").format(Identifier(channel)))
        except BaseException:
            connection.close()
            raise
        return connection

    async def _listen(self, connection: Connection) -> None:
        while True:
            await anyio.wait_readable(connection.fileno())
            connection.pgconn.consume_input()
            is_told = False
            while connection.pgconn.notifies() is not None:
                is_told = True
            if is_told:
                self._wakes.wake()
                await self._pause(RESTS_SECONDS)  # 3


@contextmanager
def _closing(connection: Connection) -> Iterator[Connection]:
    try:
        yield connection
    finally:
        with suppress(Error):
            connection.close()
