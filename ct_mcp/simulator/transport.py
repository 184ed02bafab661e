"""An httpx transport that talks to the simulator in the same process and loses connections as a network would."""

import httpx
from starlette.types import ASGIApp

from ct_mcp.simulator.faults import AnyFault, Fault
from ct_mcp.simulator.misbehaviour import ConnectionLost

_ERRORS: dict[AnyFault, tuple[type[httpx.TransportError], str]] = {
    Fault.CONNECT_REFUSED: (httpx.ConnectError, "All connection attempts failed"),
    Fault.READ_TIMEOUT_AFTER_ACCEPT: (httpx.ReadTimeout, "The read operation timed out"),
    Fault.REQUEST_LOST_BEFORE_ACCEPT: (httpx.RemoteProtocolError, "Server disconnected without sending a response."),
    Fault.ANSWER_LOST_AFTER_ACCEPT: (httpx.RemoteProtocolError, "Server disconnected without sending a response."),
}


class InProcessTransport(httpx.AsyncBaseTransport):
    """`httpx.AsyncClient(transport=InProcessTransport(app), base_url="http://simulator")`.

    A connection that the simulator cuts becomes the error that httpx raises for it over a
    real socket: `ConnectError`, `ReadTimeout` (at once) or `RemoteProtocolError`.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Mount an application."""
        self._inner = httpx.ASGITransport(app=app)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request.

        Raises:
            httpx.TransportError: A fault has cut the connection.
        """
        try:
            return await self._inner.handle_async_request(request)
        except ConnectionLost as lost:
            kind, text = _ERRORS[lost.fault]
            raise kind(text, request=request) from None
