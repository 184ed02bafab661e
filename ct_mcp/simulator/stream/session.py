"""One connection of the WebSocket, without a socket: texts come in, texts go out, on the simulator's clock.

session = simulator.stream.open()
await session.receive('{"action":"ping"}')
session.texts()          # everything that waits to go out
session.outbox.closing   # how the connection ends, if it does
"""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta

import anyio
from anyio.lowlevel import checkpoint
from starlette.responses import Response

from ct_mcp.simulator.addon import RequestRefused
from ct_mcp.simulator.fault_responses import NoResponse, json_response, rate_limit_response
from ct_mcp.simulator.faults import Fault, StreamFault
from ct_mcp.simulator.gateway import (
    INVALID_REQUEST,
    TRADOVATE_NOT_LINKED,
    Gateway,
    RateLimitBucket,
    ReceivedRequest,
    dispatch,
    endpoint_for_rpc,
    fault_before,
    is_tradovate,
)
from ct_mcp.simulator.orders import OrderEvent
from ct_mcp.simulator.rest.endpoints import RpcEndpoint
from ct_mcp.simulator.stream import messages
from ct_mcp.simulator.stream.assumptions import EventPushes, StreamAssumptions
from ct_mcp.simulator.stream.messages import (
    FrameJson,
    PingMessage,
    PnlMessage,
    RpcMessage,
    ServiceState,
    SubscriptionMessage,
    UnreadableMessage,
)
from ct_mcp.simulator.stream.outbox import CONNECTION_CUT, TOO_MANY_VIOLATIONS, Outbox, RpcAnswers, due_end
from ct_mcp.simulator.stream.subscriptions import StreamSubscriptions

STREAM_PATH = "/ws/stream"
_ONE_SECOND = timedelta(seconds=1)
_STATE_OF_FAULT = {
    StreamFault.STATUS_DISCONNECTED: ServiceState.DISCONNECTED,
    StreamFault.STATUS_STOPPED: ServiceState.STOPPED,
    StreamFault.STATUS_STALLED: ServiceState.STALLED,
}


class StreamSession:
    """One connection: its subscriptions, its calls, and what is pushed to it."""

    def __init__(
        self, gateway: Gateway, assumptions: StreamAssumptions, subscription_bucket: RateLimitBucket | None
    ) -> None:
        """Start with a status and no subscriptions; the bucket for subscriptions belongs to the person."""
        self._gateway, self._assumptions, self._subscription_bucket = gateway, assumptions, subscription_bucket
        self._addon, self._faults = gateway.addon, gateway.addon.faults
        self.outbox = Outbox(self._faults, assumptions)
        self._answers = RpcAnswers(self._addon, self.outbox, assumptions.late_seconds)
        self._subscriptions = StreamSubscriptions(self._addon, assumptions)
        self._violations = self._running_calls = 0
        self._call_done = anyio.Event()
        self._resync_from = self._addon.now
        self._state = ServiceState.SYNCING
        self._push(messages.status(self._state))
        self._update_state()

    def texts(self) -> list[str]:
        """Take everything that waits to go out."""
        return list(iter(self.outbox.take, None))

    async def receive(self, text: str | bytes) -> None:
        """Handle one message. An RPC that is made in steps takes its time, others go on meanwhile."""
        self._addon.wake()
        if self.outbox.closing is not None:
            return
        try:
            message = messages.parse_message(text)
        except UnreadableMessage as unreadable:
            self._answer_unreadable(unreadable)
            return
        match message:
            case RpcMessage():
                await self._call(message)
            case PingMessage():
                self.outbox.answer(messages.pong(message.id, self._addon.now))
            case PnlMessage() | SubscriptionMessage():
                self._change_subscriptions(message)

    async def wait_idle(self) -> None:
        """Wait until every RPC that has arrived has been carried out; their answers may still be held back."""
        await checkpoint()
        while self._running_calls:
            self._call_done = anyio.Event()
            await self._call_done.wait()

    def next_at(self, until: datetime) -> datetime | None:
        """Return the next moment up to `until` at which something is to be pushed or answered."""
        due = (self._subscriptions.next_at(until), self._answers.next_at(until))
        return min((moment for moment in due if moment), default=None)

    def tick(self) -> None:
        """Push and answer what is due now."""
        self._update_state()
        now = self._addon.now
        if now >= self._resync_from and self._faults.take(StreamFault.RESYNC):
            self._resync_from = now + _ONE_SECOND
            self._push(messages.resync())
        for frame in self._subscriptions.due_frames():
            if self._state is ServiceState.READY:
                self._push(frame)
        self._answers.send_due()
        if end := due_end(self._faults, self._assumptions):
            self.outbox.close(end)

    def report(self, event: OrderEvent) -> None:
        """Push an event of an order that has just happened, if it is subscribed to."""
        if self._state is ServiceState.READY:
            for frame in self._subscriptions.frames_of(event):
                self.outbox.push(frame, event.at)

    def _push(self, frame: FrameJson) -> None:
        self.outbox.push(frame, self._addon.now)

    def _update_state(self) -> None:
        """Take the state that the armed faults demand, and push it if it is another one."""
        armed = (state for fault, state in _STATE_OF_FAULT.items() if self._faults.holds(fault))
        state = next(armed, ServiceState.READY)
        if state is not self._state:
            self._state = state
            self._push(messages.status(state))

    def _answer_unreadable(self, unreadable: UnreadableMessage) -> None:
        if unreadable.action == "rpc":
            response = json_response(INVALID_REQUEST.status, INVALID_REQUEST.body)
            self.outbox.answer(messages.rpc_answer(unreadable.message_id, response))
        else:
            error = messages.error_frame(unreadable.message_id, unreadable.action, INVALID_REQUEST.body)
            self.outbox.answer(error)

    async def _call(self, message: RpcMessage) -> None:
        """Carry an RPC out and answer it, with the rate limit, the faults and the body of REST."""
        if self._faults.take(StreamFault.RPC_LOST, message.api):
            return
        over_limit = self._gateway.check_rate_limit()
        if over_limit is not None:
            self._log(message.api, accepted=False)
            self._answer_violation(messages.rpc_answer(message.id, over_limit))
            return
        self._violations = 0
        response = await self._respond(message)
        if not isinstance(response, NoResponse):
            self._answers.send(message.api, messages.rpc_answer(message.id, response))
        elif response.fault is not Fault.READ_TIMEOUT_AFTER_ACCEPT:
            self.outbox.close(CONNECTION_CUT)

    async def _respond(self, message: RpcMessage) -> Response:
        try:
            endpoint, args = endpoint_for_rpc(message.api, message.args, message.origin)
        except RequestRefused as refused:
            self._log(message.api, accepted=False)
            return json_response(refused.status, refused.body)
        early = fault_before(self._addon, endpoint)
        self._log(message.api, accepted=early is None)
        return early or await self._dispatch(endpoint, args)

    async def _dispatch(self, endpoint: RpcEndpoint, args: Mapping[str, object]) -> Response:
        self._running_calls += 1
        try:
            result = await dispatch(self._addon, endpoint, lambda: args)
        finally:
            self._running_calls -= 1
            self._call_done.set()
        if result.is_slow:
            await self._faults.hold()
        return result.response

    def _log(self, api: str, *, accepted: bool) -> None:
        self._gateway.log.append(ReceivedRequest("WS", STREAM_PATH, api, accepted))

    def _change_subscriptions(self, message: SubscriptionMessage | PnlMessage) -> None:
        """Change the subscriptions, as the rate limit for that allows."""
        wait = self._subscription_bucket.take(self._addon.now) if self._subscription_bucket else 0.0
        if wait:
            body = json.loads(bytes(rate_limit_response(wait).body))
            self._answer_violation(messages.error_frame(message.id, message.action, body))
            return
        self._violations = 0
        try:
            self._stream_pnl(message) if isinstance(message, PnlMessage) else self._subscribe(message)
        except RequestRefused as refused:
            self.outbox.answer(messages.error_frame(message.id, message.action, refused.body))
        self.tick()

    def _stream_pnl(self, message: PnlMessage) -> None:
        self._subscriptions.stream_pnl(timedelta(milliseconds=message.interval) if message.enabled else None)
        fields = {"enabled": message.enabled, "interval": message.interval}
        self.outbox.answer(messages.acknowledgement(message.id, "streamPnl", fields))

    def _subscribe(self, message: SubscriptionMessage) -> None:
        """Add or remove instruments and events, all that are named or none.

        Raises:
            RequestRefused: The message is for Tradovate, names nothing, or names an unknown instrument.
        """
        if is_tradovate("", message.origin):
            raise TRADOVATE_NOT_LINKED
        events_refused = bool(message.events) and self._assumptions.events is EventPushes.NEVER
        if not (message.instruments or message.events) or events_refused:
            raise INVALID_REQUEST
        contracts = [self._addon.contract(name) for name in message.instruments]
        if message.action == "subscribe":
            self._subscriptions.add_quotes(contracts)
            self._subscriptions.events.update(message.events)
        else:
            self._subscriptions.remove_quotes(contracts)
            self._subscriptions.events.difference_update(message.events)
        fields = {"instruments": [contract.name for contract in contracts], "events": list(message.events)}
        fields |= {"origin": message.origin} if message.origin else {}
        named = {name: value for name, value in fields.items() if value}
        self.outbox.answer(messages.acknowledgement(message.id, f"{message.action}d", named))

    def _answer_violation(self, frame: FrameJson) -> None:
        """Answer what is over a limit; so many in a row end the connection."""
        self.outbox.answer(frame)
        self._violations += 1
        if self._violations == self._assumptions.violations:
            self.outbox.close(TOO_MANY_VIOLATIONS)
