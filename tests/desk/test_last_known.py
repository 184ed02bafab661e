"""The orders that the journal last knew to stand."""

from collections.abc import Callable

from ct_mcp.desk.desk import Desk
from ct_mcp.desk.last_known import last_known_to_stand
from ct_mcp.domain.action import PlaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.ticket import Ticket
from ct_mcp.store.journal import EntryKind, NewEntry

MES, MNQ = Instrument("MES", 2026, 9), Instrument("MNQ", 2026, 9)
SIM = "Sim101"


async def test_what_was_last_told_of_an_order_decides(desk: Desk) -> None:
    for at, (order_id, status) in enumerate(
        [("a", "working"), ("b", "working"), ("b", "cancelled"), ("c", "accepted"), ("d", "FILLED"), ("e", "rejected")]
    ):
        entry = NewEntry(EntryKind.ANSWERED, "an order", SIM, f"t{at}", detail={"order_id": order_id, "status": status})
        await desk.store.append(entry, desk.clock())

    assert await last_known_to_stand(desk.store, SIM, None) == ("c", "a")


async def test_what_was_settled_later_is_over_as_well(desk: Desk) -> None:
    for kind, detail in (
        (EntryKind.ACCEPTED, {"order_id": "a", "step": "place"}),
        (EntryKind.SETTLED, {"order_id": "a", "state": "CANCELLED"}),
        (EntryKind.ACCEPTED, {"order_id": None, "step": "close"}),
    ):
        await desk.store.append(NewEntry(kind, "an order", SIM, "t", detail=detail), desk.clock())

    assert await last_known_to_stand(desk.store, SIM, None) == ()


async def test_another_account_is_not_meant(desk: Desk) -> None:
    entry = NewEntry(EntryKind.ANSWERED, "an order", "APEX", "t", detail={"order_id": "a", "status": "working"})
    await desk.store.append(entry, desk.clock())

    assert await last_known_to_stand(desk.store, SIM, None) == ()


async def test_only_the_instrument_that_is_asked_for_is_meant(desk: Desk, buy: Callable[..., PlaceOrder]) -> None:
    ticket = await desk.propose(buy())
    assert isinstance(ticket, Ticket)
    for order_id, ticket_id in (("a", ticket.ticket_id), ("b", "unknown")):
        entry = NewEntry(
            EntryKind.ANSWERED, "an order", SIM, ticket_id, detail={"order_id": order_id, "status": "changed"}
        )
        await desk.store.append(entry, desk.clock())

    assert await last_known_to_stand(desk.store, SIM, MES) == ("a",)
    assert await last_known_to_stand(desk.store, SIM, MNQ) == ()
    assert await last_known_to_stand(desk.store, SIM, None) == ("b", "a")
