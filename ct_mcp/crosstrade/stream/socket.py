"""The socket of the live stream: connects, sends what is due, hands over what came, backs off.

One connection per token is all that the service allows, and a second one closes the first. So it is opened only while
`holds` says that this process is the one to have it, and never again once another program was seen to have it.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from random import random
from typing import Protocol
from urllib.parse import urlsplit, urlunsplit

import anyio
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from ct_mcp.crosstrade.connection import utc_now
from ct_mcp.crosstrade.stream.events import Event
from ct_mcp.crosstrade.stream.frames import LONGEST_FRAME_CHARACTERS, StreamEnd, parse_close
from ct_mcp.crosstrade.stream.protocol import StreamProtocol
from ct_mcp.domain.instrument import Instrument
from ct_mcp.text import redact, sanitize

LOOK_EVERY_SECONDS = 1.0
_CONNECT_SECONDS = 10.0
_REFUSED = frozenset({401, 403})


class Socket(Protocol):
    """As much of a WebSocket as is used here."""

    async def recv(self) -> str | bytes: ...
    async def send(self, message: str) -> None: ...


Opener = Callable[[], AbstractAsyncContextManager[Socket]]


async def jittered(seconds: float) -> None:
    """Wait so long or half as long, so that many clients do not return at once."""
    await anyio.sleep(seconds * (0.5 + random() / 2))  # noqa: S311  # nothing secret


class LiveStream:
    """One stream, over all of its connections."""

    def __init__(
        self,
        opener: Opener,
        *,
        clock: Callable[[], datetime] = utc_now,
        pause: Callable[[float], Awaitable[None]] = jittered,
        look_every_seconds: float = LOOK_EVERY_SECONDS,
    ) -> None:
        """Take ``opener``, which makes one connection, and ``pause``, which waits before the next."""
        self.protocol = StreamProtocol()
        self.refused = ""
        self._opener = opener
        self._clock = clock
        self._pause = pause
        self._look_every_seconds = look_every_seconds

    def want(self, instruments: frozenset[Instrument]) -> None:
        """Name all the instruments whose quotes are wanted; asked for within a second, as their budget allows."""
        self.protocol.want(instruments)

    async def run(self, hear: Callable[[Event], None], holds: Callable[[], Awaitable[bool]]) -> None:
        """Keep the stream until it is cancelled, refused, or taken by another program of the person's."""
        while not self.protocol.is_displaced and not self.refused:
            if await holds():
                await self._connection(hear, holds)
                self._tell(hear)
            await self._pause(self.protocol.back_off_seconds)

    async def _connection(self, hear: Callable[[Event], None], holds: Callable[[], Awaitable[bool]]) -> None:
        """One connection from its opening to its end, which is told to the protocol whatever ended it."""
        why, end = "it was closed here", StreamEnd.OTHER
        try:
            async with self._opener() as socket:
                self.protocol.connected(self._clock())
                why = await self._talk(socket, hear, holds)
        except ConnectionClosed as closed:
            why = "it broke off"
            if (frame := closed.rcvd) is not None:
                why, end = sanitize(frame.reason), parse_close(frame.code, frame.reason)
        except InvalidStatus as refusal:
            status = refusal.response.status_code
            why = f"the service answered {status}"
            self.refused = why if status in _REFUSED else ""
        except (OSError, WebSocketException, ValueError) as failure:
            why = type(failure).__name__
        finally:
            self.protocol.disconnected(why, end)

    async def _talk(self, socket: Socket, hear: Callable[[Event], None], holds: Callable[[], Awaitable[bool]]) -> str:
        """Send and receive until there is a reason to stop, and give the reason."""
        while not self.protocol.is_dead(self._clock()):
            if not await holds():
                return "another process has it now"
            for text in self.protocol.to_send(self._clock()):
                await socket.send(text)
            with anyio.move_on_after(self._look_every_seconds):
                came = await socket.recv()
                text = came if isinstance(came, str) else came.decode("utf-8", "replace")
                self.protocol.received(text, self._clock())
            self._tell(hear)
        return "nothing came for too long"

    def _tell(self, hear: Callable[[Event], None]) -> None:
        for event in self.protocol.events():
            hear(event)


class _NoRedirect(connect):
    """A connection that follows no redirect: the token goes to the configured host and nowhere else."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class _RedactedSocket:
    """A socket from which nobody reads the token, whatever the service echoes."""

    def __init__(self, inner: Socket, token: str) -> None:
        self._inner, self._token = inner, token

    async def recv(self) -> str:
        came = await self._inner.recv()
        return redact(came if isinstance(came, str) else came.decode("utf-8", "replace"), self._token)

    async def send(self, message: str) -> None:
        await self._inner.send(message)


def over_websocket(base_url: str, token: str) -> Opener:
    """Open the service's stream with the token; without a proxy, as everything else."""
    parts = urlsplit(base_url)
    scheme = "wss" if parts.scheme == "https" else "ws"
    address = urlunsplit((scheme, parts.netloc, f"{parts.path.rstrip('/')}/ws/stream", "", ""))

    @asynccontextmanager
    async def opened() -> AsyncIterator[Socket]:
        async with _NoRedirect(
            address,
            additional_headers={"Authorization": f"Bearer {token}"},
            proxy=None,
            max_size=4 * LONGEST_FRAME_CHARACTERS,
            open_timeout=_CONNECT_SECONDS,
            ping_interval=None,  # the protocol pings in their own words, and hears silence
        ) as socket:
            yield _RedactedSocket(socket, token)

    return opened
