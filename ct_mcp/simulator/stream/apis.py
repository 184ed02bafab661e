"""Which endpoint an RPC means."""

from collections.abc import Mapping
from dataclasses import replace

from ct_mcp.simulator.carrying import INVALID
from ct_mcp.simulator.refusals import Refusal
from ct_mcp.simulator.rest.endpoints import ENDPOINTS, Endpoint

_BY_NAME = {endpoint.rpc: endpoint for endpoint in ENDPOINTS}
_FILTERS = ("account", "instrument", "marketPosition")
_NOT_LINKED = Refusal(403, "tradovate_not_linked", detail="No Tradovate identity is linked")


def is_tradovate(api: str, origin: str | None) -> bool:
    """Say whether the other half of the service is meant, which is not simulated."""
    return api.startswith("Tv_") or origin == "tradovate"


def meant(api: str, args: Mapping[str, object], origin: str | None) -> tuple[Endpoint, Mapping[str, object]]:
    """Find the endpoint and what it is to be given.

    REST tells the two ways to flatten apart by path and filters; here the caller does. `FlattenEverything`
    looks at no filter, and `Flatten` needs one.

    Raises:
        Refusal: There is none of that name, or it is of the other half of the service.
    """
    if is_tradovate(api, origin):
        raise _NOT_LINKED
    if api not in _BY_NAME:
        raise Refusal(404, "Unknown API command", detail=f"There is no '{api}'")
    if api == "FlattenEverything":
        return _BY_NAME[api], {}
    if api == "Flatten":
        return _flatten(args), args
    return _BY_NAME[api], args


def _flatten(args: Mapping[str, object]) -> Endpoint:
    given = {name for name in _FILTERS if args.get(name)}
    if not given:
        raise INVALID
    if "account" in given and "marketPosition" not in given:
        return _BY_NAME["Flatten"]
    return replace(_BY_NAME["FlattenEverything"], rpc="Flatten")
