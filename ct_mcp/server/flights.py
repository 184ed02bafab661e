"""The requests that are being answered, so that a server can end without breaking one off in the middle of a send."""

import anyio
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Flights:
    """Carries requests; at the end lets each finish for a while, and then calls back those that are still out.

    Calling back is cancelling: it ends a wait for the person at once, and never reaches into what is being sent.
    """

    def __init__(self) -> None:
        self._out: dict[anyio.CancelScope, bool] = {}
        self._landed = anyio.Event()

    async def carry(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; one that is called back is still answered properly."""
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        with anyio.CancelScope() as flight:
            self._out[flight] = _never_ends_by_itself(scope)
            try:
                await app(scope, receive, watched)
            finally:
                del self._out[flight]
        if flight.cancelled_caught:
            await _end_early(scope, receive, send, begun=begun)
        if not self._out:
            self._landed.set()

    async def land(self, grace_seconds: float) -> None:
        """Wait until nothing is out any more."""
        self._call_back(only_streams=True)
        with anyio.move_on_after(grace_seconds):
            await self._all_landed()
        self._call_back(only_streams=False)
        await self._all_landed()

    async def _all_landed(self) -> None:
        while self._out:
            self._landed = anyio.Event()
            await self._landed.wait()

    def _call_back(self, *, only_streams: bool) -> None:
        for flight, is_stream in list(self._out.items()):
            if is_stream or not only_streams:
                flight.cancel()


def _never_ends_by_itself(scope: Scope) -> bool:
    """Whether it waits for news: the GET of the older protocol, the listening of the newer."""
    return scope["method"] == "GET" or Headers(scope=scope).get("mcp-method") == "subscriptions/listen"


async def _end_early(scope: Scope, receive: Receive, send: Send, *, begun: bool) -> None:
    if begun:
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    else:
        await PlainTextResponse("The server is ending.", 503)(scope, receive, send)
