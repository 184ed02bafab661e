"""One connection, without a socket: texts go in, texts come out, and time passes on the simulator's clock.

session = simulator.stream.open()
await session.received('{"action":"ping"}')
session.texts()          # everything that waits to go out
session.outbox.closing   # how the connection ends, if it does
"""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta

import anyio
from anyio.lowlevel import checkpoint
from starlette.responses import Response

from ct_mcp.simulator.budget import Bucket
from ct_mcp.simulator.carrying import INVALID, carried_out, misbehave_before
from ct_mcp.simulator.door import Door, Seen
from ct_mcp.simulator.faults import Disturbance, Fault
from ct_mcp.simulator.misbehaviour import Silence, json_answer, rate_limited
from ct_mcp.simulator.record import Happening
from ct_mcp.simulator.refusals import Refusal
from ct_mcp.simulator.rest.endpoints import Endpoint
from ct_mcp.simulator.stream import frames
from ct_mcp.simulator.stream.answers import Answers
from ct_mcp.simulator.stream.apis import is_tradovate, meant
from ct_mcp.simulator.stream.asks import Ping, Rpc, StreamPnl, Subscription, Unreadable, read
from ct_mcp.simulator.stream.ends import CUT, TOO_MANY_VIOLATIONS, end_due
from ct_mcp.simulator.stream.frames import State
from ct_mcp.simulator.stream.habits import Events, StreamHabits
from ct_mcp.simulator.stream.outbox import Outbox
from ct_mcp.simulator.stream.pushes import Wishes

PATH = "/ws/stream"
_ONE_SECOND = timedelta(seconds=1)
_STATES = {
    Disturbance.STATUS_DISCONNECTED: State.DISCONNECTED,
    Disturbance.STATUS_STOPPED: State.STOPPED,
    Disturbance.STATUS_STALLED: State.STALLED,
}


class Session:
    """What one connection has asked for, and what it is told."""

    def __init__(self, door: Door, habits: StreamHabits, changes: Bucket | None) -> None:
        """Begin with a state and no wishes; `changes` is the budget for subscriptions, which belongs to the person."""
        self._door, self._habits, self._changes = door, habits, changes
        self._addon, self._faults = door.addon, door.addon.faults
        self.outbox = Outbox(self._faults, habits)
        self._answers = Answers(self._addon, self.outbox, habits.late_seconds)
        self._wishes = Wishes(self._addon, habits)
        self._violations = self._working = 0
        self._rested = anyio.Event()
        self._resync_from = self._addon.now
        self._state = State.SYNCING
        self._push(frames.status(self._state))
        self._follow_state()

    def texts(self) -> list[str]:
        """Take everything that waits to go out."""
        return list(iter(self.outbox.take, None))

    async def received(self, text: str | bytes) -> None:
        """Take one message. An RPC that is made in steps takes its time, others go on meanwhile."""
        self._addon.wake()
        if self.outbox.closing is not None:
            return
        try:
            ask = read(text)
        except Unreadable as unreadable:
            self._not_understood(unreadable)
            return
        match ask:
            case Rpc():
                await self._call(ask)
            case Ping():
                self.outbox.say(frames.pong(ask.id, self._addon.now))
            case StreamPnl() | Subscription():
                self._change(ask)

    async def idle(self) -> None:
        """Wait until every RPC that has arrived has been carried out; their answers may still be held back."""
        await checkpoint()
        while self._working:
            self._rested = anyio.Event()
            await self._rested.wait()

    def next_at(self, until: datetime) -> datetime | None:
        """Name the next moment up to `until` at which something is to be told."""
        due = (self._wishes.next_at(until), self._answers.next_at(until))
        return min((moment for moment in due if moment), default=None)

    def beat(self) -> None:
        """Tell what is due now."""
        self._follow_state()
        now = self._addon.now
        if now >= self._resync_from and self._faults.take(Disturbance.RESYNC):
            self._resync_from = now + _ONE_SECOND
            self._push(frames.resync())
        for frame in self._wishes.due():
            if self._state is State.READY:
                self._push(frame)
        self._answers.due()
        if end := end_due(self._faults, self._habits):
            self.outbox.close(end)

    def told(self, happening: Happening) -> None:
        """Pass on what has just happened, if it is wanted."""
        if self._state is State.READY:
            for frame in self._wishes.of(happening):
                self.outbox.push(frame, happening.at)

    def _push(self, frame: frames.Frame) -> None:
        self.outbox.push(frame, self._addon.now)

    def _follow_state(self) -> None:
        state = next((state for fault, state in _STATES.items() if self._faults.holds(fault)), State.READY)
        if state is not self._state:
            self._state = state
            self._push(frames.status(state))

    def _not_understood(self, unreadable: Unreadable) -> None:
        if unreadable.action == "rpc":
            self.outbox.say(frames.answer(unreadable.ask_id, json_answer(INVALID.status, INVALID.body)))
        else:
            self.outbox.say(frames.failed(unreadable.ask_id, unreadable.action, INVALID.body))

    async def _call(self, ask: Rpc) -> None:
        """Carry an RPC out and answer it, with the budget, the faults and the body of REST."""
        if self._faults.take(Disturbance.RPC_LOST, ask.api):
            return
        too_many = self._door.too_many()
        if too_many is not None:
            self._log(ask.api, accepted=False)
            self._over(frames.answer(ask.id, too_many))
            return
        self._violations = 0
        response = await self._carried(ask)
        if not isinstance(response, Silence):
            self._answers.give(ask.api, frames.answer(ask.id, response))
        elif response.fault is not Fault.READ_TIMEOUT_AFTER_ACCEPT:
            self.outbox.close(CUT)

    async def _carried(self, ask: Rpc) -> Response:
        try:
            endpoint, args = meant(ask.api, ask.args, ask.origin)
        except Refusal as refusal:
            self._log(ask.api, accepted=False)
            return json_answer(refusal.status, refusal.body)
        early = misbehave_before(self._addon, endpoint)
        self._log(ask.api, accepted=early is None)
        return early or await self._worked_on(endpoint, args)

    async def _worked_on(self, endpoint: Endpoint, args: Mapping[str, object]) -> Response:
        self._working += 1
        try:
            carried = await carried_out(self._addon, endpoint, lambda: args)
        finally:
            self._working -= 1
            self._rested.set()
        if carried.is_slow:
            await self._faults.hold()
        return carried.response

    def _log(self, api: str, *, accepted: bool) -> None:
        self._door.log.append(Seen("WS", PATH, api, accepted))

    def _change(self, ask: Subscription | StreamPnl) -> None:
        """Change what is told, as the budget for that allows."""
        wait = self._changes.take(self._addon.now) if self._changes else 0.0
        if wait:
            self._over(frames.failed(ask.id, ask.action, json.loads(bytes(rate_limited(wait).body))))
            return
        self._violations = 0
        try:
            self._stream_pnl(ask) if isinstance(ask, StreamPnl) else self._subscribe(ask)
        except Refusal as refusal:
            self.outbox.say(frames.failed(ask.id, ask.action, refusal.body))
        self.beat()

    def _stream_pnl(self, ask: StreamPnl) -> None:
        self._wishes.stream_pnl(timedelta(milliseconds=ask.interval) if ask.enabled else None)
        told = {"enabled": ask.enabled, "interval": ask.interval}
        self.outbox.say(frames.acknowledged(ask.id, "streamPnl", told))

    def _subscribe(self, ask: Subscription) -> None:
        """Take instruments and events in or out, all that are named or none."""
        if is_tradovate("", ask.origin):
            raise Refusal(403, "tradovate_not_linked", detail="No Tradovate identity is linked")
        if not (ask.instruments or ask.events) or (ask.events and self._habits.events is Events.NEVER):
            raise INVALID
        contracts = [self._addon.contract(name) for name in ask.instruments]
        if ask.action == "subscribe":
            self._wishes.quote(contracts)
            self._wishes.events.update(ask.events)
        else:
            self._wishes.quote_no_more(contracts)
            self._wishes.events.difference_update(ask.events)
        told = {"instruments": [contract.name for contract in contracts], "events": list(ask.events)}
        told |= {"origin": ask.origin} if ask.origin else {}
        status = f"{ask.action}d"
        self.outbox.say(frames.acknowledged(ask.id, status, {name: value for name, value in told.items() if value}))

    def _over(self, frame: frames.Frame) -> None:
        """Answer what is over a limit; so many in a row end the connection."""
        self.outbox.say(frame)
        self._violations += 1
        if self._violations == self._habits.violations:
            self.outbox.close(TOO_MANY_VIOLATIONS)
