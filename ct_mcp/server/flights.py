"""The requests that are being answered, so that a server can end without breaking one off in the middle of a send."""

from enum import Enum, auto

import anyio
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Kind(Enum):
    """What ends a request: nothing but news that do not come, the end of its conversation, or its own end."""

    LISTENING = auto()
    IN_A_CONVERSATION = auto()
    ALONE = auto()


class Flights:
    """Carries requests; at the end lets each finish for a while, and then calls back those that are still out.

    Calling back is cancelling: it ends a wait for the person at once, and never reaches into what is being sent.
    """

    def __init__(self) -> None:
        self._out: dict[anyio.CancelScope, Kind] = {}
        self._landed = anyio.Event()

    async def carry(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; one that is called back is still answered properly."""
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        with anyio.CancelScope() as flight:
            self._out[flight] = _kind(scope)
            try:
                await app(scope, receive, watched)
            finally:
                del self._out[flight]
                self._landed.set()
        if flight.cancelled_caught:
            await _end_early(scope, receive, send, begun=begun)

    async def finish(self, grace_seconds: float) -> None:
        """Let go of those who listen, let the others finish for a while, and call back what stands alone.

        What belongs to a conversation stays out: its call runs elsewhere, and wants to say its last here.
        """
        self._call_back(Kind.LISTENING)
        with anyio.move_on_after(grace_seconds):
            await self._until_none_is(*Kind)
        self._call_back(Kind.ALONE)
        await self._until_none_is(Kind.LISTENING, Kind.ALONE)

    async def end(self) -> None:
        """Call back whatever is left; afterwards nothing is out any more."""
        self._call_back(*Kind)
        await self._until_none_is(*Kind)

    async def _until_none_is(self, *kinds: Kind) -> None:
        while any(kind in kinds for kind in self._out.values()):
            self._landed = anyio.Event()
            await self._landed.wait()

    def _call_back(self, *kinds: Kind) -> None:
        for flight, kind in list(self._out.items()):
            if kind in kinds:
                flight.cancel()


def _kind(scope: Scope) -> Kind:
    headers = Headers(scope=scope)
    if scope["method"] == "GET" or headers.get("mcp-method") == "subscriptions/listen":
        return Kind.LISTENING
    return Kind.IN_A_CONVERSATION if "mcp-session-id" in headers else Kind.ALONE


async def _end_early(scope: Scope, receive: Receive, send: Send, *, begun: bool) -> None:
    if begun:
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    else:
        await PlainTextResponse("The server is ending.", 503)(scope, receive, send)
