"""Settles what is outstanding: orders that were sent and whose fate was not known then, after a restart too."""

from collections.abc import Callable
from datetime import datetime

from ct_mcp.desk.ports import Store
from ct_mcp.desk.watch import Watch
from ct_mcp.domain.order import Order
from ct_mcp.store.journal import Entry, EntryKind, NewEntry


async def settle_outstanding(watch: Watch, store: Store, clock: Callable[[], datetime], account: str) -> None:
    """Look once for each outstanding order of an account by our own id, and journal what was found.

    What is not found stays outstanding and counts against every limit: absence proves nothing.
    """
    for entry in await store.unsettled():
        if entry.account != account or entry.own_id is None or "contract" not in entry.detail:
            continue
        if (order := await _look(watch, store, entry)) is not None:
            await store.append(_found(entry, order), clock())


async def _look(watch: Watch, store: Store, entry: Entry) -> Order | None:
    """By the id that they acknowledged, if they did, or else by ours."""
    account, ticket_id = entry.account or "", entry.ticket_id
    story = await store.entries(20, ticket_id=ticket_id)
    named = (step.detail.get("order_id") for step in story if step.kind is EntryKind.ACCEPTED)
    for order_id in filter(None, named):
        if (order := await watch.look(account, str(order_id))) is not None:
            return order
    return await watch.find_once(account, entry.own_id or "")


def _found(entry: Entry, order: Order) -> NewEntry:
    return NewEntry(
        EntryKind.SETTLED,
        entry.summary,
        account=entry.account,
        ticket_id=entry.ticket_id,
        own_id=entry.own_id,
        detail={"order_id": order.order_id, "state": order.state, "filled": order.filled},
    )
