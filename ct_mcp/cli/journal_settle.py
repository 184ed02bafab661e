"""``ct-mcp journal settle``: the person says what became of an order that nobody could find out about."""

from collections.abc import Sequence

from ct_mcp.cli.halt import BY
from ct_mcp.cli.journal_why import tell
from ct_mcp.cli.journal_words import safe
from ct_mcp.cli.moments import utc_now
from ct_mcp.cli.pin import passes_pin
from ct_mcp.cli.screen import Screen
from ct_mcp.cli.terminal import typed
from ct_mcp.store.journal import Entry, EntryKind, NewEntry
from ct_mcp.store.sqlite import SqliteStore

OUTCOMES = ("filled", "partly filled", "working", "cancelled", "rejected", "took effect", "never arrived")
# As long as a request may live, its own server is still waiting for the answer, and knows more than anybody.
_UNDER_WAY_SECONDS = 60.0


async def settle(store: SqliteStore, ticket_id: str, screen: Screen) -> int:
    """Settle it: 0 settled, 1 left as it was."""
    outstanding = await _outstanding(store, ticket_id)
    if not outstanding:
        await _nothing_to_settle(store, ticket_id, screen)
        return 1
    age = (utc_now() - outstanding[-1].at).total_seconds()
    if age < _UNDER_WAY_SECONDS:
        screen.say(f"It was sent {max(0.0, age):.0f} s ago and may be under way still. Try again in a minute.")
        return 1
    tell(await store.story(ticket_id), screen)
    outcome = await _asked(screen)
    if outcome and await passes_pin(store) and await _outstanding(store, ticket_id) == outstanding:
        await store.append(_settled(outstanding[-1], outcome), utc_now())
        screen.good(f"Settled: {outcome}. It no longer counts as outstanding; the journal says that you said so.")
        return 0
    screen.say("Left as it was: it still counts against every limit.")
    return 1


async def _outstanding(store: SqliteStore, ticket_id: str) -> list[Entry]:
    return [entry for entry in await store.unsettled() if entry.ticket_id == ticket_id]


async def _nothing_to_settle(store: SqliteStore, ticket_id: str, screen: Screen) -> None:
    screen.say(f"Nothing of unknown outcome has the ticket id {safe(ticket_id)}.")
    _list(await store.unsettled(), screen)


def _list(outstanding: Sequence[Entry], screen: Screen) -> None:
    screen.say("Of unknown outcome are:" if outstanding else "Nothing at all is of unknown outcome.")
    for entry in outstanding:
        screen.detail(f"{safe(entry.ticket_id)}  {safe(entry.summary)}")


async def _asked(screen: Screen) -> str:
    screen.say()
    screen.say(
        "Nobody could find out what became of this. Look in NinjaTrader first: the account's orders, "
        "executions and positions.",
        "person",
    )
    screen.say(f"Then type what you saw, one of: {', '.join(OUTCOMES)}. Anything else leaves it as it is.")
    answer = " ".join((await typed()).casefold().split())
    return answer if answer in OUTCOMES else ""


def _settled(entry: Entry, outcome: str) -> NewEntry:
    """It settles all that was sent for the ticket, so it names no order."""
    return NewEntry(
        EntryKind.SETTLED,
        entry.summary,
        account=entry.account,
        ticket_id=entry.ticket_id,
        detail={"by": BY, "what": f"said at a terminal, not read from the account: {outcome}"},
    )
