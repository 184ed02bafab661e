"""The service's side of all connections: one at a time, because a person may have one session."""

from datetime import datetime

import anyio
from starlette.responses import Response

from ct_mcp.simulator.budget import Bucket
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.door import Door
from ct_mcp.simulator.faults import Disturbance, Fault
from ct_mcp.simulator.misbehaviour import BEFORE, answer_of
from ct_mcp.simulator.record import Happening
from ct_mcp.simulator.stream.ends import elsewhere
from ct_mcp.simulator.stream.habits import StreamHabits
from ct_mcp.simulator.stream.session import PATH, Session

_TICK_SECONDS = 0.05


class Hub:
    """Lets connections in, and wakes the one that lives."""

    def __init__(self, door: Door, habits: StreamHabits) -> None:
        """Begin without a connection."""
        self.session: Session | None = None
        self._door, self._habits, self._addon = door, habits, door.addon
        self._changes = Bucket(habits.subscription_limit) if habits.subscription_limit else None

    async def refusal(self, authorization: str) -> Response | None:
        """Answer a handshake that is refused; a slow one waits here."""
        self._addon.wake()
        faults = self._addon.faults
        if faults.take(Disturbance.SOCKET_SLOW):
            await faults.hold()
        fault = faults.first_due(BEFORE, PATH)
        if fault is None and faults.take(Disturbance.SOCKET_REFUSED):
            fault = Fault.TEMPORARILY_DISABLED
        return self._door.stranger(authorization) or (answer_of(fault) if fault else None)

    def open(self) -> Session:
        """Begin a session; the one before it ends."""
        self._addon.wake()
        if self.session is not None:
            self.session.outbox.close(elsewhere(self._habits))
            self.leave(self.session)
        self.session = Session(self._door, self._habits, self._changes)
        if isinstance(self._addon.clock, ManualClock):
            self._addon.clock.watch(self._addon.wake)
        return self.session

    def leave(self, session: Session) -> None:
        """Forget a session that is over."""
        if session is not self.session:
            return
        self.session = None
        if isinstance(self._addon.clock, ManualClock):
            self._addon.clock.unwatch(self._addon.wake)

    async def tick(self) -> None:
        """Wake by the real clock; one that is moved by hand wakes by itself."""
        while not isinstance(self._addon.clock, ManualClock):
            await anyio.sleep(_TICK_SECONDS)
            self._addon.wake()

    def next_at(self, until: datetime) -> datetime | None:
        """Name the next moment up to `until` at which something is to be told."""
        session = self._living()
        return session.next_at(until) if session else None

    def beat(self) -> None:
        """Tell what is due now."""
        if session := self._living():
            session.beat()

    def told(self, happening: Happening) -> None:
        """Pass on what has just happened."""
        if session := self._living():
            session.told(happening)

    def _living(self) -> Session | None:
        return self.session if self.session and self.session.outbox.closing is None else None
