"""Reading quotes, sessions and bars."""

from collections.abc import Sequence
from datetime import datetime

from ct_mcp.crosstrade.call import Call
from ct_mcp.crosstrade.caller import Caller
from ct_mcp.crosstrade.wire_market import bars_body, bars_in, quotes_in, session_in
from ct_mcp.domain.instrument import Instrument, parse_instrument
from ct_mcp.domain.market import Bar, Period, Quote, Session
from ct_mcp.errors import BadRequest

MOST_BARS = 8000


async def quotes(self: Caller, names: Sequence[str]) -> tuple[Quote, ...]:
    """One quote for each name, in the order asked; a name is any spelling, and the quote tells the dated contract.

    Raises:
        BadRequest: There is no name, or one that is no instrument.
        BadReply: Not every name got its own quote.
    """
    call = Call("GetQuote", query=_named(self, names))
    return await self._ask(call, lambda reply: quotes_in(reply, names))


async def legacy_quotes(self: Caller, account: str, names: Sequence[str]) -> tuple[Quote, ...]:
    """The same over the deprecated route, which says less of each: only to compare the two."""
    call = Call("GetQuoteLegacy", {"account": account}, _named(self, names))
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


def _named(self: Caller, names: Sequence[str]) -> dict[str, str]:
    if not names:
        raise BadRequest("instruments is empty; name at least one")
    for name in names:
        parse_instrument(name, self._today())
    return {"instrument": ",".join(name.strip() for name in names)}
