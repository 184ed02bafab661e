"""What must be so once everything goes well again, and at the end: the journal, the tickets and the books agree."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator

from virtual_books import Books, Broken
from virtual_network import Request
from virtual_world import World

from ct_mcp.desk.pending import UNDER_WAY_SECONDS
from ct_mcp.domain.approval import Approval, TicketState
from ct_mcp.domain.commands import PlaceOrder
from ct_mcp.errors import CtMcpError
from ct_mcp.store import journal_table, tickets
from ct_mcp.store.journal import SETTLING, Entry, EntryKind, NewEntry

PERSON = "the person of the campaign"
_LESS_BUSY_SECONDS = 5.0
_TRIES = 3


async def settles(world: World, books: Books, broken: Broken, look: Callable[[str], Awaitable[None]]) -> None:
    """Within a minute nothing is unknown any more but what only a person can tell, who then says so."""
    looked_at = world.clock()
    for account in world.accounts:
        for _ in range(_TRIES):
            turned_away = world.network.turned_away
            try:
                await look(account)
            except CtMcpError:
                continue
            if world.network.turned_away == turned_away:
                break
            await asyncio.sleep(_LESS_BUSY_SECONDS)  # for their pace, where a budget would have waited
    for entry in world.database.read(journal_table.unsettled):
        # What was not a minute old as they looked may have been under way for all that they knew.
        is_old = (looked_at - entry.at).total_seconds() >= UNDER_WAY_SECONDS
        if is_old and not _only_a_person_can_tell(world, books, entry):
            broken("unsettled", f"{entry.summary} ({entry.ticket_id}, {entry.at:%H:%M:%S}): {_last_word(world, entry)}")
        settled = NewEntry(
            EntryKind.SETTLED, entry.summary, entry.account, entry.ticket_id, entry.own_id, detail={"by": PERSON}
        )
        world.database.do(journal_table.append, settled, world.clock())


def _only_a_person_can_tell(world: World, books: Books, entry: Entry) -> bool:
    """An order that never came, that nobody can find by our id, or that somebody has changed since.

    That it is not listed proves nothing. Nor has a minute passed where the clock was set back meanwhile.
    """
    if (world.clock() - entry.at).total_seconds() < UNDER_WAY_SECONDS:
        return True
    ticket = world.database.read(tickets.find, entry.ticket_id or "")
    if ticket is None or not isinstance(command := ticket.commands[0], PlaceOrder):
        return False
    order = books.order(entry.own_id)
    by_our_id = world.simulator.addon.assumptions.own_id_lookup
    return order is None or not by_our_id or order.terms.quantity != command.quantity


def _last_word(world: World, entry: Entry) -> str:
    story = world.database.read(journal_table.newest, 50, None, entry.ticket_id)
    return "; ".join(f"{each.kind} {dict(each.detail)}" for each in story[:2])[:300]


def ends_as_it_was(world: World, books: Books, broken: Broken) -> None:
    """The journal, the tickets and the books tell the same story."""
    journal = world.database.journal()
    for kind, what in (*_not_written_down(books, journal), *_settled_wrongly(books, journal), *_spent(world, journal)):
        broken(kind, what)
    chain = world.database.read(journal_table.verify)
    if not chain.ok:
        broken("journal", f"broken at {chain.broken_at}: {chain.why}")


def _not_written_down(books: Books, journal: tuple[Entry, ...]) -> Iterator[tuple[str, str]]:
    """Every order of ours has its intent."""
    intents = {entry.ticket_id for entry in journal if entry.kind is EntryKind.INTENT}
    for order_id, origin in books.origins.items():
        if isinstance(origin, Request) and (origin.by.ticket is None or origin.by.ticket.ticket_id not in intents):
            yield "journal", f"the journal knows nothing of {origin.rpc}, which brought {order_id}"


def _settled_wrongly(books: Books, journal: tuple[Entry, ...]) -> Iterator[tuple[str, str]]:
    """What settles an intent says of its order what the books say of it."""
    for entry in journal:
        order = books.order(str(entry.detail.get("order_id") or ""))
        said = str(entry.detail.get("state") or entry.detail.get("status") or "").casefold()
        if entry.kind not in SETTLING or order is None or entry.detail.get("by"):
            continue
        if said == "filled" and order.remaining:
            yield "journal", f"{entry.summary}: written down as filled, and {order.state}, {order.filled} filled"
        elif said in ("cancelled", "rejected") and order.is_live:
            yield "journal", f"{entry.summary}: written down as {said}, and {order.state}"


def _spent(world: World, journal: tuple[Entry, ...]) -> Iterator[tuple[str, str]]:
    """A ticket that sent was spent, and approved where that was due."""
    approved = {entry.ticket_id for entry in journal if entry.kind is EntryKind.APPROVED}
    for ticket_id in dict.fromkeys(entry.ticket_id for entry in journal if entry.kind is EntryKind.INTENT):
        ticket = world.database.read(tickets.find, ticket_id or "")
        if ticket is None or ticket.state is not TicketState.SPENT:
            yield "journal", f"an intent of ticket {ticket_id}, which was not spent"
        elif ticket.approval is not Approval.NONE and ticket_id not in approved:
            yield "journal", f"an intent of ticket {ticket_id}, which nobody approved"
