"""One call on its way out: an endpoint with its path, query and body filled in, and how it is to be made."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from ct_mcp.crosstrade.endpoints import ENDPOINTS, Endpoint
from ct_mcp.errors import BadRequest
from ct_mcp.text import quoted

_NEVER_CALLED = frozenset({"CancelAllOrders", "FlattenEverything"})


@dataclass(frozen=True, slots=True)
class CallTimeouts:
    """How long one call may take; ``turn`` is the longest wait for a place in the request budget."""

    connect_seconds: float = 10.0
    read_seconds: float = 20.0
    bars_seconds: float = 45.0
    write_seconds: float = 20.0
    turn_seconds: float = 10.0


USUAL_TIMEOUTS = CallTimeouts()


@dataclass(frozen=True, slots=True)
class CallOptions:
    """How calls are made: with the right to the reserve, after a last check, and who is told of their warnings."""

    urgent: bool = False
    last_check: Callable[[], Awaitable[None]] | None = None
    hear: Callable[[str], None] | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """An RPC with what goes into its path, query and body; ``route`` takes the place of the endpoint's own path."""

    rpc: str
    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, object] | None = None
    is_document: bool = False
    route: str = ""

    def __post_init__(self) -> None:
        """Make the two calls impossible that can reach accounts which nobody named."""
        if self.rpc in _NEVER_CALLED:
            raise ValueError(f"{self.rpc} would reach accounts that nobody named")

    @property
    def endpoint(self) -> Endpoint:
        """The row of the table."""
        return ENDPOINTS[self.rpc]

    @property
    def address(self) -> str:
        """The path with its names filled in.

        Raises:
            BadRequest: A name would change the route, as ``..`` or a slash would.
        """
        path = self.route or self.endpoint.path
        return path.format(**{name: _path_segment(name, value) for name, value in self.path.items()})


def account_path(name: str) -> dict[str, str]:
    """Name an account in a path, but not what is a route and no account."""
    if name.strip().casefold() == "snapshot":
        raise BadRequest("account 'snapshot' is the name of a list, not of an account")
    return {"account": name}


def _path_segment(name: str, value: str) -> str:
    bad = not value.strip() or value.strip(".") == "" or any(mark in value for mark in "/\\") or not value.isprintable()
    if bad:
        raise BadRequest(f"{name} {quoted(value[:40])} cannot be a name at CrossTrade")
    return quote(value, safe="")
