"""Asking the service what it is: its routes, its documents, and how it spells what its pages hide."""

from ct_mcp.crosstrade.bracket import ASSUMED_FIELDS, BracketFields, bracket_fields_in
from ct_mcp.crosstrade.call import Call
from ct_mcp.crosstrade.caller import Caller
from ct_mcp.crosstrade.catalogue import REFERENCES
from ct_mcp.crosstrade.routes import Route, routes_in
from ct_mcp.errors import BadRequest, BudgetExhausted, UpstreamError


async def endpoints(self: Caller) -> tuple[Route, ...]:
    """The live catalogue. Its shape is not documented, so every reasonable one is taken, but never an empty one."""
    return await self._ask(Call("_endpoints"), routes_in)


async def reference(self: Caller, name: str) -> str:
    """One of the documents that the service gives of itself, as it is."""
    if name not in REFERENCES:
        raise BadRequest(f"reference must be one of {', '.join(REFERENCES)}")
    return await self._ask(Call(name, is_document=True), lambda reply: str(reply.value))


async def bracket_fields(self: Caller) -> BracketFields:
    """How CancelAndBracket spells its prices, by the live openapi.json; our assumption where that does not tell.

    Asked once; where it could not be read, asked again the next time. Costs nothing to ask ahead of a proposal.
    """
    if self._live.bracket is None:
        try:
            document = await reference(self, "openapi.json")
        except (UpstreamError, BudgetExhausted):
            return ASSUMED_FIELDS
        self._live.bracket = bracket_fields_in(document)
    return self._live.bracket
