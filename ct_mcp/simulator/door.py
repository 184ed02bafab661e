"""What everything that arrives has to pass, over REST and over the socket: the token, the rate limit, the log."""

from collections import deque
from dataclasses import dataclass, field
from hmac import compare_digest

from starlette.responses import Response

from ct_mcp.simulator.addon import AddOn
from ct_mcp.simulator.budget import Bucket, RateLimit
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.misbehaviour import answer_of, rate_limited


@dataclass(frozen=True, slots=True)
class Seen:
    """One request that arrived. `accepted` tells whether the add-on was asked to do it."""

    method: str
    path: str
    rpc: str
    accepted: bool


@dataclass(slots=True)
class Door:
    """The way in; both channels draw on one bucket, because the service meters them together."""

    addon: AddOn
    token: str
    limit: RateLimit | None
    log: deque[Seen] = field(default_factory=lambda: deque(maxlen=10_000))
    bucket: Bucket | None = field(init=False)

    def __post_init__(self) -> None:
        """Begin with a full bucket, if there is a limit."""
        self.bucket = Bucket(self.limit) if self.limit else None

    def stranger(self, authorization: str) -> Response | None:
        """Answer somebody who does not have the token."""
        known = compare_digest(authorization.encode(), f"Bearer {self.token}".encode())
        return None if known else answer_of(Fault.UNAUTHORIZED)

    def too_many(self) -> Response | None:
        """Take a token of the rate limit, or answer that there is none."""
        wait = self.bucket.take(self.addon.now) if self.bucket else 0.0
        return rate_limited(wait) if wait else None
