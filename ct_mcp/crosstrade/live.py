"""What the live service told of itself, where our own tables only assume: asked once, when it is needed, and kept."""

from dataclasses import dataclass, replace

from ct_mcp.crosstrade.bracket import BracketFields
from ct_mcp.crosstrade.call import Call
from ct_mcp.crosstrade.routes import Route, live_path
from ct_mcp.errors import NotFound


@dataclass
class Live:
    """Shared by all views of one client; None is what was not told yet."""

    routes: tuple[Route, ...] | None = None
    bracket: BracketFields | None = None

    def directed(self, call: Call) -> Call:
        """The call at its live path, where its own is an assumption of ours and the live catalogue knows better."""
        if not call.endpoint.path_is_assumed or self.routes is None:
            return call
        return replace(call, route=live_path(call.endpoint, self.routes) or "")

    def explained(self, call: Call, error: NotFound) -> NotFound:
        """The error, with what the live catalogue says of a path that is our assumption."""
        if not call.endpoint.path_is_assumed:
            return error
        if self.routes is None:
            finding = "their _endpoints, which might tell, could not be read"
        elif path := live_path(call.endpoint, self.routes):
            finding = f"their _endpoints puts it at {path}"
        else:
            finding = "their _endpoints does not list it in a way that we can read"
        return type(error)(f"{error.what}; {finding}", next_step=error.advice)
