"""What is held. An empty list of positions is not believed on its word alone: lists have come back empty by mistake."""

from collections.abc import Iterable

from ct_mcp.domain.account import AccountSnapshot
from ct_mcp.domain.position import Position
from ct_mcp.errors import BadReply
from ct_mcp.server.present import theirs
from ct_mcp.server.reading import Reading


async def read_positions(reading: Reading, account: str | None) -> list[Position]:
    """Every open position of one account, or of all.

    Where the list is empty, the summary of accounts is asked as well. It may be three seconds old, so what it shows
    is looked up by its own name before anything is said of it.

    Raises:
        UpstreamError: They could not be read, or the answers contradict each other: then nothing is known.
    """
    live = reading.live
    listed = await (live.all_positions() if account is None else live.positions(account))
    if listed:
        return list(listed)
    summary = await reading.attempt("a second report, to confirm that this is flat,", live.snapshot())
    doubts = [await _looked_up(reading, seen) for seen in _of(account, summary or ())]
    return [position for held in doubts for position in held]


async def _looked_up(reading: Reading, seen: AccountSnapshot) -> list[Position]:
    """What an account holds of the positions that its summary shows and the list does not."""
    name = seen.account.name
    if seen.is_flat is False and not seen.positions:
        raise BadReply(f"one report lists no positions and another says that {theirs(name)} is not flat")
    asked = [await reading.upstream.position(name, one.instrument) for one in seen.positions]
    held = [position for position in asked if position.quantity]
    if held:
        reading.note(f"the list of positions left out what {theirs(name)} holds; it was found by another report")
    return held


def _of(account: str | None, summary: Iterable[AccountSnapshot]) -> list[AccountSnapshot]:
    return [seen for seen in summary if account is None or seen.account.name.casefold() == account.casefold()]
