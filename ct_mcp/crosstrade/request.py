"""One call as the catalogue knows it: the route filled in, and nothing that could reach more than was named."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from ct_mcp.crosstrade.catalogue import ENDPOINTS, Endpoint
from ct_mcp.crosstrade.words import quoted
from ct_mcp.errors import BadRequest


@dataclass(frozen=True, slots=True)
class Call:
    """An RPC of the catalogue with what goes into its path, query and body; ``route`` stands in for the path there."""

    rpc: str
    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, object] | None = None
    is_document: bool = False
    route: str = ""

    def __post_init__(self) -> None:
        """Make the two calls impossible that reach accounts which nobody named."""
        reaches_all = self.rpc == "FlattenEverything" and not (self.body or {}).get("account")
        if reaches_all or self.rpc == "CancelAllOrders":
            raise ValueError(f"{self.rpc} would reach accounts that nobody named")

    @property
    def endpoint(self) -> Endpoint:
        return ENDPOINTS[self.rpc]

    @property
    def address(self) -> str:
        """The path with its names filled in.

        Raises:
            BadRequest: A name would change the route, as ``..`` or a slash would.
        """
        path = self.route or self.endpoint.path
        return path.format(**{name: _piece(name, value) for name, value in self.path.items()})


def account_named(name: str) -> str:
    """Refuse what is a route and no account."""
    if name.strip().casefold() == "snapshot":
        raise BadRequest("account 'snapshot' is the name of a list, not of an account")
    return name


def _piece(name: str, value: str) -> str:
    bad = not value.strip() or value.strip(".") == "" or any(mark in value for mark in "/\\") or not value.isprintable()
    if bad:
        raise BadRequest(f"{name} {quoted(value[:40])} cannot be a name at CrossTrade")
    return quote(value, safe="")
