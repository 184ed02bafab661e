"""The orders that the journal last knew to stand: a list that shows nothing at all is held against them."""

from ct_mcp.desk.ports import Store
from ct_mcp.domain.action import Action, ReplaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import CLOSED
from ct_mcp.store.journal import Entry

# Far more than is sent in a day by hand; what stands from before that is not known by this.
_LOOK_BACK = 100
_OVER = frozenset(state.casefold() for state in CLOSED)


async def last_known_to_stand(store: Store, account: str, instrument: Instrument | None) -> tuple[str, ...]:
    """Orders of ours in an account, or in one instrument of it, by id, that nobody has seen closed; newest first."""
    told: dict[str, list[Entry]] = {}
    for entry in await store.entries(_LOOK_BACK, account):
        if isinstance(order_id := entry.detail.get("order_id"), str):
            told.setdefault(order_id, []).append(entry)
    standing = {order_id: story for order_id, story in told.items() if not _is_over(story[0])}
    return tuple([order_id for order_id, story in standing.items() if await _is_of(store, story, instrument)])


def _is_over(newest: Entry) -> bool:
    """As it was read back, or settled later."""
    return str(newest.detail.get("status") or newest.detail.get("state")).casefold() in _OVER


async def _is_of(store: Store, story: list[Entry], instrument: Instrument | None) -> bool:
    """A change names no instrument; what placed the order does."""
    if instrument is None:
        return True
    tickets = [await store.ticket(entry.ticket_id or "") for entry in story]
    return any(_instrument(ticket.action) == instrument for ticket in tickets if ticket is not None)


def _instrument(action: Action) -> Instrument | None:
    return action.order.instrument if isinstance(action, ReplaceOrder) else getattr(action, "instrument", None)
