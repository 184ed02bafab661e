"""Named faults: what can go wrong between a client, the service, the add-on and the market."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self, TypeVar

import anyio


class _DescribedName(StrEnum):
    """A name with a description."""

    description: str

    def __new__(cls, value: str, description: str = "") -> Self:
        """Create a member that carries its description."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.description = description
        return member


class Fault(_DescribedName):
    """One fault of a request or of the market. "Accept" is the moment at which the add-on has taken the request."""

    ADDON_OFFLINE = "addon-offline", "408 Client not ready to everything that needs the add-on; nothing happens"
    TIMEOUT_AFTER_ACCEPT = "timeout-after-accept", "408 although the add-on has taken the request"
    CONNECT_REFUSED = "connect-refused", "no connection (over a real socket: closed before the request is looked at)"
    REQUEST_LOST_BEFORE_ACCEPT = "request-lost-before-accept", "the connection closes and nothing has happened"
    ANSWER_LOST_AFTER_ACCEPT = "answer-lost-after-accept", "the connection closes although the request was taken"
    READ_TIMEOUT_AFTER_ACCEPT = "read-timeout-after-accept", "the request is taken and no answer ever comes"
    SLOW_ANSWER = "slow-answer", "the request is taken and the answer waits until it is released"
    ERROR_500_BEFORE_ACCEPT = "error-500-before-accept", "500 internal_error and nothing has happened"
    ERROR_500_AFTER_ACCEPT = "error-500-after-accept", "500 internal_error although the request was taken"
    BAD_GATEWAY = "bad-gateway", "502 with a page of HTML and nothing has happened"
    BAD_GATEWAY_AFTER_ACCEPT = "bad-gateway-after-accept", "502 with a page of HTML although the request was taken"
    TEMPORARILY_DISABLED = "temporarily-disabled", "503 temporarily_disabled and nothing has happened"
    EMPTY_BODY = "empty-body", "200 without a body; the request was taken"
    UNREADABLE_JSON = "unreadable-json", "200 with a body that breaks off; the request was taken"
    HTML_PAGE = "html-page", "200 with a page of HTML; the request was taken"
    REFUSED_WITH_200 = "refused-with-200", "200 with success false and an error; nothing has happened"
    REFUSED_WITH_400 = "refused-with-400", "400 with an error; nothing has happened"
    UNAUTHORIZED = "unauthorized", "401 although the token is right"
    FORBIDDEN = "forbidden", "403 subscription_required"
    CONFLICT = "conflict", "409 close_in_progress; nothing has happened"
    RATE_LIMITED = "rate-limited", "429 rate_limited with Retry-After and retryAfter"
    RATE_LIMITED_OLD_BODY = "rate-limited-old-body", "429 with the older body, which names no time"
    RATE_LIMITED_IN_DETAILS = "rate-limited-in-details", "429 with a fractional time under details, and no header"
    BROKER_RATE_LIMITED = "broker-rate-limited", "429 broker_rate_limited, the limit of the broker"
    WARNING = "warning", "a warning stands beside success"
    POSITIONS_WITHOUT_SUCCESS = "positions-without-success", "position lists come without success, and empty"
    EMPTY_LISTS = "empty-lists", "lists of orders and positions are empty although there are some"
    STALE_QUOTE = "stale-quote", "quotes and their epoch stand still"
    HOSTILE_TEXT = "hostile-text", "names and error texts try to give orders to whoever reads them"
    SESSION_CLOSED = "session-closed", "the market is closed"
    LATE_REJECT = "late-reject", "an order is acknowledged and then rejected by the broker"
    FROZEN_ORDERS = "frozen-orders", "an order stays Submitted"
    NO_FILL = "no-fill", "an order works and never fills"
    PARTIAL_FILL_STUCK = "partial-fill-stuck", "an order fills by half and then no more"


class StreamFault(_DescribedName):
    """One fault of the WebSocket; where it is armed for an RPC, the `type` of a pushed frame stands for the RPC.

    What closes the connection or changes its state strikes at the next tick: when the clock moves, and with
    anything that arrives. States and silence last from their arming until they are disarmed.
    """

    SOCKET_REFUSED = "socket-refused", "the handshake is refused with 503"
    SOCKET_SLOW = "socket-slow", "the handshake waits until it is released"
    SOCKET_CUT = "socket-cut", "the connection is gone, without a close frame"
    SOCKET_CLOSED = "socket-closed", "the service closes the socket: 1012, service restart"
    SOCKET_BANNED = "socket-banned", "the socket is closed with 1008, as after ten violations"
    SESSION_ELSEWHERE = "session-elsewhere", "another session of the same person takes the place of this one"
    SOCKET_SILENT = "socket-silent", "nothing comes any more, though what is sent is taken"
    STATUS_STALLED = "status-stalled", "status stalled: nothing is pushed, and what happens meanwhile is not told"
    STATUS_STOPPED = "status-stopped", "status stopped: nothing is pushed, and what happens meanwhile is not told"
    STATUS_DISCONNECTED = "status-disconnected", "status disconnected: nothing is pushed, nor told afterwards"
    RESYNC = "resync", "the service says that what was told may be wrong; once a second while it is armed"
    FRAME_LOST = "frame-lost", "a pushed frame takes its number and never comes"
    FRAME_DROPPED = "frame-dropped", "a pushed frame is left out as for a slow reader, and counted in dropped"
    FRAME_DOUBLED = "frame-doubled", "a pushed frame comes twice, with the same number"
    FRAME_NOT_JSON = "frame-not-json", "before a pushed frame comes one that is not JSON"
    FRAME_BROKEN_OFF = "frame-broken-off", "before a pushed frame comes JSON that breaks off"
    FRAME_NO_OBJECT = "frame-no-object", "before a pushed frame comes JSON that is no object"
    FRAME_UNKNOWN = "frame-unknown", "before a pushed frame comes one of a type that nobody knows"
    FRAME_HUGE = "frame-huge", "before a pushed frame comes one of two megabytes"
    RPC_LOST = "rpc-lost", "an RPC is lost on the way: nothing happens and no answer comes"
    RPC_ANSWER_LOST = "rpc-answer-lost", "an RPC is carried out and its answer never comes"
    RPC_ANSWER_LATE = "rpc-answer-late", "an RPC is carried out and its answer comes ten seconds later"
    RPC_ANSWER_OVERTAKEN = "rpc-answer-overtaken", "an answer comes after the answer to the RPC that follows"
    RPC_ANSWER_DOUBLED = "rpc-answer-doubled", "an answer comes twice"


class Lag(StrEnum):
    """One way in which NinjaTrader lags behind; armed like a fault, and not offered on the command line.

    `CLOSE_STUCK`: the order that closes a whole position works and never fills.
    `STALE_STRATEGY_LIST`: ListStrategies shows only the older half of what ListAllStrategies has.
    """

    CLOSE_STUCK = "close-stuck"
    STALE_STRATEGY_LIST = "stale-strategy-list"


AnyFault = Fault | Lag | StreamFault
F = TypeVar("F", bound=AnyFault)


@dataclass(slots=True)
class _ArmedFault:
    rpc: str | None
    times: int | None

    def fits(self, rpc: str | None) -> bool:
        return None in (self.rpc, rpc) or self.rpc == rpc


class Faults:
    """Faults that are armed at the moment."""

    def __init__(self) -> None:
        """Start without faults."""
        self._arms: dict[AnyFault, _ArmedFault] = {}
        self._reached = anyio.Event()
        self._released = anyio.Event()

    def arm(self, fault: AnyFault, *, rpc: str | None = None, times: int | None = None) -> None:
        """Arm a fault, for calls of one RPC or of all, for a number of times or until it is disarmed."""
        self._arms[fault] = _ArmedFault(rpc, times)

    def disarm(self, fault: AnyFault | None = None) -> None:
        """Disarm one fault, or all; orders that it blocked go on, slow answers and handshakes are released."""
        for gone in [fault] if fault else list(self._arms):
            self._arms.pop(gone, None)
        if not {Fault.SLOW_ANSWER, StreamFault.SOCKET_SLOW} & self._arms.keys():
            self.release()

    def armed(self) -> list[AnyFault]:
        """List the faults that are armed and not used up."""
        return [fault for fault, arm in self._arms.items() if arm.times != 0]

    def active(self, fault: AnyFault, rpc: str | None = None) -> bool:
        """Check whether a fault would strike now, without using it up; faults of the market name no RPC."""
        arm = self._arms.get(fault)
        return arm is not None and arm.fits(rpc) and arm.times != 0

    def take(self, fault: AnyFault, rpc: str | None = None) -> bool:
        """Use a fault once if it is due, and return whether it was."""
        if not self.active(fault, rpc):
            return False
        arm = self._arms[fault]
        if arm.times is not None:
            arm.times -= 1
        return True

    def first_due(self, candidates: tuple[F, ...], rpc: str) -> F | None:
        """Use the first of several faults that is due, and return it."""
        return next((fault for fault in candidates if self.take(fault, rpc)), None) if self._arms else None

    def holds(self, fault: AnyFault) -> bool:
        """Check whether what a fault blocks is still blocked: from its arming until it is disarmed, even if used up."""
        return fault in self._arms

    async def slow_answer_waits(self) -> None:
        """Wait until a slow answer is being held back, or a slow handshake."""
        await self._reached.wait()

    def release(self) -> None:
        """Release the slow answers."""
        self._released.set()
        self._reached, self._released = anyio.Event(), anyio.Event()

    async def hold(self) -> None:
        """Wait until slow answers are released."""
        released = self._released
        self._reached.set()
        await released.wait()
