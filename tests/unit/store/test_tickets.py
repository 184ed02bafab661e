"""The life of a ticket in the store."""

from collections.abc import Callable
from dataclasses import fields, replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from ct_mcp.domain.approval import Approval, Ticket, TicketState
from ct_mcp.domain.commands import ChangeOrder, Flatten
from ct_mcp.errors import StoreFailed
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.store.sql_store import SqlStore
from tests.unit.store.conftest import Place

MakeTicket = Callable[..., Ticket]


async def state(store: SqlStore, ticket_id: str = "ticket-1") -> TicketState:
    ticket = await store.ticket(ticket_id)
    assert ticket is not None
    return ticket.state


async def test_a_ticket_is_read_back_exactly_as_proposed(
    store: SqlStore, now: datetime, make_ticket: MakeTicket
) -> None:
    ticket = make_ticket()
    assert await store.open_ticket(ticket, now) == ticket
    back = await store.ticket("ticket-1")
    assert repr(back) == repr(ticket)


async def test_an_unknown_ticket_is_none(store: SqlStore) -> None:
    assert await store.ticket("never heard of") is None


@pytest.mark.parametrize("many", [3, 1000])
async def test_several_are_found_at_once_those_that_there_are(
    store: SqlStore, now: datetime, make_ticket: MakeTicket, many: int
) -> None:
    there = [make_ticket(number) for number in (1, 2)]
    for ticket in there:
        await store.open_ticket(ticket, now)
    wanted = ["ticket-2", "never heard of", "ticket-1", *(f"nor of {number}" for number in range(many))]
    assert await store.tickets(wanted) == {ticket.ticket_id: ticket for ticket in there}
    assert await store.tickets([]) == {}


async def test_two_impatient_calls_are_one_proposal(store: SqlStore, now: datetime, make_ticket: MakeTicket) -> None:
    first = await store.open_ticket(make_ticket(ticket_id="first"), now)
    second = await store.open_ticket(make_ticket(ticket_id="second"), now)
    assert second == first
    assert await store.ticket("second") is None


async def test_a_proposal_is_journalled_with_its_ticket_and_once(
    store: SqlStore, now: datetime, make_ticket: MakeTicket
) -> None:
    for name in ("first", "second"):
        await store.open_ticket(make_ticket(ticket_id=name), now, None, NewEntry(EntryKind.PROPOSED, name))
    assert [entry.summary for entry in await store.entries(9)] == ["first"]


async def test_a_proposal_that_cannot_be_journalled_leaves_no_ticket(
    store: SqlStore, now: datetime, make_ticket: MakeTicket
) -> None:
    unwritable = NewEntry(EntryKind.PROPOSED, "first", detail={"not a number": float("nan")})
    with pytest.raises(StoreFailed):
        await store.open_ticket(make_ticket(ticket_id="first"), now, None, unwritable)
    assert await store.ticket("first") is None


async def test_an_approved_ticket_still_stands_for_its_action(
    store: SqlStore, now: datetime, make_ticket: MakeTicket
) -> None:
    await store.open_ticket(make_ticket(ticket_id="first"), now)
    await store.approve_ticket("first", "the person", now)
    again = await store.open_ticket(make_ticket(ticket_id="second"), now)
    assert (again.ticket_id, again.state, again.decided_by) == ("first", TicketState.APPROVED, "the person")


async def test_an_expired_a_spent_or_a_declined_ticket_stands_for_nothing(
    store: SqlStore, now: datetime, make_ticket: MakeTicket
) -> None:
    await store.open_ticket(make_ticket(ticket_id="expired"), now)
    later = now + timedelta(seconds=90)
    young = replace(make_ticket(ticket_id="spent", approval=Approval.NONE), expires_at=later + timedelta(seconds=90))
    assert (await store.open_ticket(young, later)).ticket_id == "spent"
    await store.spend_ticket("spent", later)
    young = replace(young, ticket_id="declined", own_id="own-declined")
    assert (await store.open_ticket(young, later)).ticket_id == "declined"
    await store.decline_ticket("declined", "the person", later)
    young = replace(young, ticket_id="fresh", own_id="own-fresh")
    assert (await store.open_ticket(young, later)).ticket_id == "fresh"


async def test_a_ticket_that_needed_no_approval_does_not_stand_for_one_that_does(
    store: SqlStore, now: datetime, make_ticket: MakeTicket
) -> None:
    await store.open_ticket(make_ticket(ticket_id="lax", approval=Approval.NONE), now)
    strict = await store.open_ticket(make_ticket(ticket_id="strict", approval=Approval.PAGE), now)
    assert strict.ticket_id == "strict"
    assert not await store.spend_ticket("strict", now)


async def test_open_tickets_are_those_that_wait_for_the_person_oldest_first(
    store: SqlStore, now: datetime, make_ticket: MakeTicket
) -> None:
    for number in (4, 3, 2, 1):
        await store.open_ticket(replace(make_ticket(number), created_at=now - timedelta(seconds=9 - number)), now)
    await store.approve_ticket("ticket-2", "the person", now)
    await store.decline_ticket("ticket-3", "the person", now)
    assert [ticket.ticket_id for ticket in await store.open_tickets(now)] == ["ticket-1", "ticket-4"]
    assert await store.open_tickets(now + timedelta(seconds=90)) == ()


async def test_a_yes_makes_an_open_ticket_approved_and_a_second_one_counts_for_nothing(
    store: SqlStore, now: datetime, make_ticket: MakeTicket
) -> None:
    await store.open_ticket(make_ticket(), now)
    assert await store.approve_ticket("ticket-1", "form", now)
    assert not await store.approve_ticket("ticket-1", "page", now)
    ticket = await store.ticket("ticket-1")
    assert ticket is not None
    assert (ticket.state, ticket.decided_by) == (TicketState.APPROVED, "form")


async def test_a_yes_is_journalled_with_the_state_that_it_changes_and_only_once(
    store: SqlStore, now: datetime, make_ticket: MakeTicket
) -> None:
    several = (Flatten("Sim102", None), Flatten("Sim101", None))
    ticket = replace(make_ticket(), commands=several)
    await store.open_ticket(ticket, now)
    assert await store.approve_ticket("ticket-1", "form", now)
    assert not await store.approve_ticket("ticket-1", "page", now)
    (entry,) = await store.entries(9)
    assert (entry.kind, entry.detail) == (EntryKind.APPROVED, {"by": "form"})
    assert (entry.ticket_id, entry.own_id, entry.summary) == (ticket.ticket_id, ticket.own_id, ticket.summary)
    assert (entry.account, entry.reason) == ("Sim102, Sim101", "")


async def test_a_yes_that_came_too_late_is_not_journalled(
    store: SqlStore, now: datetime, make_ticket: MakeTicket
) -> None:
    await store.open_ticket(make_ticket(), now)
    assert not await store.approve_ticket("ticket-1", "form", now + timedelta(seconds=90))
    assert await store.entries(9) == ()


async def test_a_ticket_that_was_approved_behind_our_back_is_not_spent(
    store: SqlStore, place: Place, now: datetime, make_ticket: MakeTicket
) -> None:
    await store.open_ticket(make_ticket(1), now)
    await store.open_ticket(make_ticket(2), now)
    assert await store.approve_ticket("ticket-2", "form", now), "the yes to another ticket is none to this one"
    place.raw("UPDATE tickets SET state = 'approved', decided_by = 'form' WHERE ticket_id = 'ticket-1'")
    assert not await store.spend_ticket("ticket-1", now)
    assert await store.spend_ticket("ticket-2", now)


@pytest.mark.parametrize("approved", [False, True])
async def test_a_no_ends_a_ticket_for_good(
    store: SqlStore, now: datetime, make_ticket: MakeTicket, approved: bool
) -> None:
    await store.open_ticket(make_ticket(), now)
    if approved:
        await store.approve_ticket("ticket-1", "form", now)
    assert await store.decline_ticket("ticket-1", "page", now)
    assert not await store.decline_ticket("ticket-1", "page", now)
    assert not await store.approve_ticket("ticket-1", "form", now)
    assert not await store.spend_ticket("ticket-1", now)
    assert await state(store) is TicketState.DECLINED


async def test_a_ticket_is_spent_once_and_only_after_the_yes(
    store: SqlStore, now: datetime, make_ticket: MakeTicket
) -> None:
    await store.open_ticket(make_ticket(), now)
    assert not await store.spend_ticket("ticket-1", now)
    await store.approve_ticket("ticket-1", "form", now)
    assert await store.spend_ticket("ticket-1", now)
    assert not await store.spend_ticket("ticket-1", now)
    assert not await store.decline_ticket("ticket-1", "page", now)
    assert await state(store) is TicketState.SPENT


async def test_an_open_ticket_that_needs_no_approval_is_spent_at_once(
    store: SqlStore, now: datetime, make_ticket: MakeTicket
) -> None:
    await store.open_ticket(make_ticket(approval=Approval.NONE), now)
    assert await store.spend_ticket("ticket-1", now)
    assert not await store.spend_ticket("ticket-1", now)


async def test_nothing_can_be_done_with_an_expired_ticket(
    store: SqlStore, now: datetime, make_ticket: MakeTicket
) -> None:
    end = now + timedelta(seconds=90)
    await store.open_ticket(make_ticket(1), now)
    await store.open_ticket(make_ticket(2), now)
    await store.open_ticket(make_ticket(3, approval=Approval.NONE), now)
    await store.approve_ticket("ticket-2", "form", end - timedelta(microseconds=1))
    assert not await store.approve_ticket("ticket-1", "form", end)
    assert not await store.decline_ticket("ticket-1", "form", end)
    assert not await store.spend_ticket("ticket-2", end)
    assert not await store.spend_ticket("ticket-3", end)


async def test_deciding_about_an_unknown_ticket_does_nothing(store: SqlStore, now: datetime) -> None:
    assert not await store.approve_ticket("x", "form", now)
    assert not await store.decline_ticket("x", "form", now)
    assert not await store.spend_ticket("x", now)


async def test_an_own_id_is_never_used_twice(store: SqlStore, now: datetime, make_ticket: MakeTicket) -> None:
    await store.open_ticket(make_ticket(1), now)
    with pytest.raises(StoreFailed, match="own_id"):
        await store.open_ticket(replace(make_ticket(2), own_id="own-ticket-1"), now)


BOUND = sorted({field.name for field in fields(Ticket)} - {"state", "decided_by"})


@pytest.mark.parametrize("column", BOUND)
async def test_what_the_person_was_shown_cannot_be_exchanged_in_the_file(
    store: SqlStore, place: Place, now: datetime, make_ticket: MakeTicket, column: str
) -> None:
    await store.open_ticket(make_ticket(), now)
    other = "1 - simulated" if column == "simulated" else "'x'"
    with pytest.raises(place.refused, match="bound to its commands"):
        place.raw(f"UPDATE tickets SET {column} = {other}")


async def test_a_spent_ticket_cannot_be_opened_again_in_the_file(
    store: SqlStore, place: Place, now: datetime, make_ticket: MakeTicket
) -> None:
    await store.open_ticket(make_ticket(approval=Approval.NONE), now)
    await store.spend_ticket("ticket-1", now)
    with pytest.raises(place.refused, match="stays so"):
        place.raw("UPDATE tickets SET state = 'open'")


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("INSERT INTO tickets SELECT * FROM tickets", r"made once|duplicate key"),
        ("DELETE FROM tickets", "never removed"),
    ],
)
async def test_a_ticket_cannot_be_replaced_or_removed_in_the_file(
    store: SqlStore, place: Place, now: datetime, make_ticket: MakeTicket, statement: str, said: str
) -> None:
    await store.open_ticket(make_ticket(), now)
    with pytest.raises(place.refused, match=said):
        place.raw(statement)


async def test_a_ticket_that_shows_nothing_is_never_opened(
    store: SqlStore, now: datetime, make_ticket: MakeTicket
) -> None:
    with pytest.raises(StoreFailed, match="nobody_was_asked"):
        await store.open_ticket(replace(make_ticket(), request=None), now)


async def test_a_ticket_of_several_commands_keeps_them_in_their_order(
    store: SqlStore, now: datetime, make_ticket: MakeTicket
) -> None:
    commands = (Flatten("Sim102", None), Flatten("Sim101", None), *make_ticket().commands)
    await store.open_ticket(replace(make_ticket(), commands=commands), now)
    found = await store.ticket("ticket-1")
    assert found is not None
    assert (found.commands, found.accounts) == (commands, ("Sim102", "Sim101"))


async def test_a_ticket_that_could_not_be_read_again_is_not_kept(
    store: SqlStore, now: datetime, make_ticket: MakeTicket
) -> None:
    odd = ChangeOrder("Sim101", "7", limit_price=Decimal("NaN"))
    with pytest.raises(StoreFailed, match=r"limit_price.*finite.*Nothing was sent.*check the prices"):
        await store.open_ticket(replace(make_ticket(), commands=(odd,)), now)
    assert await store.ticket("ticket-1") is None


@pytest.mark.parametrize(
    "exchanged",
    [
        """commands = '[{"kind":"teleport_order"}]'""",
        "commands = '[]'",
        "commands = '\x01'",
        """request = '{"items":[]}'""",
        "approval = 'a nod'",
        "state = 'pending'",
        "created_at = 'noon'",
    ],
)
async def test_a_ticket_that_we_cannot_have_written_is_not_read(
    store: SqlStore, place: Place, now: datetime, make_ticket: MakeTicket, exchanged: str
) -> None:
    await store.open_ticket(make_ticket(), now)
    place.tamper(f"UPDATE tickets SET {exchanged}")
    with pytest.raises(StoreFailed, match=rf"ticket ticket-1 cannot be read: .*{place.evidence}"):
        await store.ticket("ticket-1")
