"""Two services in one folder: each has tickets, unknown outcomes, halts, losses, armings and leases of its own."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from ct_mcp.domain.approval import Approval, Halt, Ticket
from ct_mcp.domain.market import trading_day
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.store.sql_store import SqlStore
from tests.unit.store.conftest import Place

MakeTicket = Callable[..., Ticket]
Open = Callable[[str], SqlStore]
HOUR = timedelta(hours=1)


@pytest.fixture
async def store_of(place: Place) -> AsyncIterator[Open]:
    """Open the store of a service; the empty name is a terminal without a token."""
    opened: list[SqlStore] = []

    def store_of(service: str) -> SqlStore:
        opened.append(place.open(service))
        return opened[-1]

    yield store_of
    for store in opened:
        await store.close()


def intent(ticket: Ticket) -> NewEntry:
    """What is written before a ticket is sent."""
    return NewEntry(
        EntryKind.INTENT,
        ticket.summary,
        account="Sim101",
        ticket_id=ticket.ticket_id,
        own_id=ticket.own_id,
        fingerprint=ticket.fingerprint,
        opens=True,
    )


@pytest.mark.parametrize("approval", [Approval.NONE, Approval.FORM])
async def test_a_ticket_of_another_service_is_neither_found_listed_decided_nor_spent(
    store_of: Open, now: datetime, make_ticket: MakeTicket, approval: Approval
) -> None:
    ours, theirs = store_of("a"), store_of("b")
    await ours.open_ticket(make_ticket(1, approval), now)
    assert await theirs.ticket("ticket-1") is None
    assert await theirs.open_tickets(now) == ()
    assert not await theirs.approve_ticket("ticket-1", "page", now)
    assert not await theirs.decline_ticket("ticket-1", "page", now)
    assert await ours.approve_ticket("ticket-1", "page", now)
    assert not await theirs.decline_ticket("ticket-1", "page", now)
    assert not await theirs.spend_ticket("ticket-1", now)
    assert await ours.spend_ticket("ticket-1", now)


async def test_the_same_order_at_two_services_is_two_tickets(
    store_of: Open, now: datetime, make_ticket: MakeTicket
) -> None:
    first, second = make_ticket(1), make_ticket(1, ticket_id="ticket-other")
    assert await store_of("a").open_ticket(first, now) == first
    assert await store_of("b").open_ticket(second, now) == second
    assert await store_of("b").open_ticket(make_ticket(1, ticket_id="ticket-again"), now) == second


async def test_a_terminal_without_a_token_answers_for_each_service_and_sends_for_none(
    store_of: Open, now: datetime, make_ticket: MakeTicket
) -> None:
    terminal, ours = store_of(""), store_of("a")
    await ours.open_ticket(make_ticket(1), now)
    await store_of("b").open_ticket(make_ticket(2), now)
    assert [ticket.ticket_id for ticket in await terminal.open_tickets(now)] == ["ticket-1", "ticket-2"]
    assert await terminal.approve_ticket("ticket-1", "terminal", now)
    assert not await terminal.spend_ticket("ticket-1", now)
    assert await ours.spend_ticket("ticket-1", now)


async def test_an_unknown_outcome_is_counted_and_looked_up_by_its_own_service_alone(
    store_of: Open, now: datetime, make_ticket: MakeTicket
) -> None:
    ours, theirs, ticket = store_of("a"), store_of("b"), make_ticket(1)
    await ours.open_ticket(ticket, now)
    await ours.approve_ticket(ticket.ticket_id, "form", now)
    assert await ours.spend_ticket(ticket.ticket_id, now)
    await ours.append(intent(ticket), now)
    for store, sees in ((ours, True), (theirs, False), (store_of(""), True)):
        state = await store.recall("Sim101", ticket.fingerprint, now)
        last = state.last_identical
        assert bool(await store.unsettled()) is sees
        assert bool((await store.outstanding("Sim101")).entries) is sees
        assert (await store.orders_sent("Sim101", now), state.orders_today) == (int(sees), int(sees))
        assert (last is not None and not last.settled) is sees


async def test_a_halt_of_one_service_halts_no_other_and_one_without_a_token_halts_all(
    store_of: Open, now: datetime
) -> None:
    ours, theirs, terminal = store_of("a"), store_of("b"), store_of("")
    assert await ours.set_halt(Halt("breaker", now, "three denials"))
    assert not await ours.set_halt(Halt("breaker", now, "again"))
    assert await theirs.halt() is None
    assert not await theirs.clear_halt("page", now)
    assert await terminal.halt() == Halt("breaker", now, "three denials")
    assert await terminal.set_halt(Halt("the person", now + HOUR, "lunch")), "one of them was halted, and not all"
    assert await theirs.halt() == Halt("the person", now + HOUR, "lunch")
    assert await ours.halt() == Halt("breaker", now, "three denials; lunch")
    assert await terminal.clear_halt("the person", now)
    assert await ours.halt() is None
    assert await theirs.halt() is None


async def test_a_halt_for_all_stands_beside_that_of_one_service_until_it_is_lifted(
    store_of: Open, now: datetime
) -> None:
    ours, theirs = store_of("a"), store_of("b")
    assert await ours.set_halt(Halt("breaker", now, "three denials"))
    assert await ours.set_halt(Halt("the person", now + HOUR, "stop"), for_all=True)
    assert not await theirs.set_halt(Halt("breaker", now + HOUR, "three denials"))
    assert await theirs.halt() == Halt("the person", now + HOUR, "stop")
    assert await theirs.clear_halt("the person", now)
    assert await ours.halt() == Halt("breaker", now, "three denials"), "what was halted for a reason of its own stays"


async def test_losses_and_armings_are_of_one_service(store_of: Open, now: datetime) -> None:
    ours, theirs, terminal = store_of("a"), store_of("b"), store_of("")
    await ours.arm("Live1", now + HOUR, "terminal", now)
    await ours.mark_day_loss("Sim101", trading_day(now), Decimal(-500), now)
    assert await theirs.armed_until("Live1", now) is None
    assert not (await theirs.recall("Sim101", "", now)).day_loss_reached
    assert not await theirs.disarm("Live1", "terminal", now)
    assert (await ours.recall("Sim101", "", now)).day_loss_reached
    assert await ours.armed_until("Live1", now) == now + HOUR
    assert await terminal.armings(now) == {"Live1": now + HOUR}
    assert await terminal.disarm("Live1", "terminal", now)
    assert await ours.armings(now) == {}


async def test_what_was_armed_without_a_token_arms_no_service(store_of: Open, now: datetime) -> None:
    await store_of("").arm("Live1", now + HOUR, "terminal", now)
    assert await store_of("a").armed_until("Live1", now) is None


async def test_each_service_has_its_own_stream(store_of: Open, now: datetime) -> None:
    for service in ("a", "b"):
        assert await store_of(service).take_lease("stream", f"process of {service}", now, HOUR)
    assert await store_of("a").lease_holder("stream", now) == "process of a"
    assert not await store_of("b").release_lease("stream", "process of a")


async def test_a_ticket_cannot_be_given_to_another_service_in_the_file(
    store_of: Open, place: Place, now: datetime, make_ticket: MakeTicket
) -> None:
    await store_of("a").open_ticket(make_ticket(1, Approval.NONE), now)
    for statement in (
        "UPDATE ticket_services SET service = 'b'",
        "DELETE FROM ticket_services",
        "INSERT INTO ticket_services VALUES ('ticket-1', 'b')",
        "INSERT INTO ticket_services VALUES ('ticket-1', 'b') ON CONFLICT (ticket_id) DO UPDATE SET service = 'b'",
    ):
        with pytest.raises(place.refused):
            place.raw(statement)
    assert not await store_of("b").spend_ticket("ticket-1", now)


async def test_what_expires_unanswered_at_one_service_counts_at_no_other(
    store_of: Open, now: datetime, make_ticket: MakeTicket
) -> None:
    ours, theirs = store_of("a"), store_of("b")
    await ours.open_ticket(make_ticket(1, Approval.FORM), now)
    assert len(await ours.unanswered_tickets(now, now + HOUR)) == 1
    assert await theirs.unanswered_tickets(now, now + HOUR) == ()
