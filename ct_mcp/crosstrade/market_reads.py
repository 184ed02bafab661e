"""Reading quotes, sessions, bars, and what the service says of itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ct_mcp.crosstrade.call import Call, Caller
from ct_mcp.crosstrade.catalogue import REFERENCES
from ct_mcp.crosstrade.wire_market import bars_body, bars_in, quotes_in, session_in
from ct_mcp.crosstrade.wire_row import Reply, rows_of
from ct_mcp.domain.instrument import Instrument, parse_instrument
from ct_mcp.domain.market import Bar, Period, Quote, Session
from ct_mcp.errors import BadRequest

MOST_BARS = 8000


@dataclass(frozen=True, slots=True)
class Route:
    """One route as the live catalogue lists it; ``name`` is empty where it gives none."""

    method: str
    path: str
    name: str


async def quotes(self: Caller, names: Sequence[str]) -> tuple[Quote, ...]:
    """One quote for each name, in the order asked; a name is any spelling, and the quote tells the dated contract.

    Raises:
        BadRequest: There is no name, or one that is no instrument.
        BadReply: Not every name got its own quote.
    """
    if not names:
        raise BadRequest("instruments is empty; name at least one")
    for name in names:
        parse_instrument(name, self._today())
    call = Call("GetQuote", query={"instrument": ",".join(name.strip() for name in names)})
    return await self._ask(call, lambda reply: quotes_in(reply, names))


async def session(self: Caller, name: str) -> Session:
    """The trading session of an instrument in any spelling."""
    parse_instrument(name, self._today())
    return await self._ask(Call("MarketInfo", query={"instrument": name}), lambda reply: session_in(reply, name))


async def bars(  # noqa: PLR0913 - the first is the client itself
    self: Caller, name: str, period: Period, *, count: int, start: datetime | None = None, end: datetime | None = None
) -> tuple[Instrument, tuple[Bar, ...]]:
    """The newest bars of the span, oldest first, with the contract that the name stands for."""
    parse_instrument(name, self._today())
    if not 1 <= count <= MOST_BARS:
        raise BadRequest(f"count must be 1 to {MOST_BARS}, found {count}")
    if start is not None and end is not None and end <= start:
        raise BadRequest("end must lie after start")
    call = Call("GetBars", body=bars_body(name, period, count, start, end))
    return await self._ask(call, lambda reply: bars_in(reply, name, count))


async def endpoints(self: Caller) -> tuple[Route, ...]:
    """The live catalogue. Its shape is not documented, so every reasonable one is taken, but never an empty one."""
    return await self._ask(Call("_endpoints"), _routes_in)


async def reference(self: Caller, name: str) -> str:
    """One of the documents that the service gives of itself, as it is."""
    if name not in REFERENCES:
        raise BadRequest(f"reference must be one of {', '.join(REFERENCES)}")
    return await self._ask(Call(name, is_document=True), lambda reply: str(reply.value))


def _routes_in(reply: Reply) -> tuple[Route, ...]:
    values = reply.top.values
    places = (reply.value, *(values.get(key) for key in ("endpoints", "routes", "data")))
    listed = next((place for place in places if isinstance(place, list) and place), None)
    if listed is None:
        return reply.top.refuse("it lists no routes")
    if all(isinstance(item, str) for item in listed):
        listed = [dict(zip(("method", "path"), item.split(None, 1), strict=False)) for item in listed]
    return tuple(
        Route(row.text("method").upper(), row.text("path"), row.text_or_none("rpc", "name", "api") or "")
        for row in rows_of(listed, reply.rpc, reply.today)
    )
