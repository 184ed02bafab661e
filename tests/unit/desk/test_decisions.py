"""What counts as the person's yes, and what is written down of it."""

from dataclasses import replace

import pytest

from ct_mcp.desk.circuit_breaker import Suspicion
from ct_mcp.desk.decisions import is_right
from ct_mcp.desk.desk import Desk
from ct_mcp.domain.approval import Approval, Ticket, TicketState
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.store.journal import EntryKind
from ct_mcp.store.sqlite import SqliteStore
from tests.unit.desk.conftest import Buys


@pytest.fixture
async def ticket(desk: Desk, buy: Buys) -> Ticket:
    """A ticket that waits for its yes."""
    proposed = await desk.propose(buy())
    assert isinstance(proposed, Ticket)
    return proposed


async def state_of(store: SqliteStore, ticket: Ticket) -> TicketState:
    """The ticket's state, as stored."""
    found = await store.ticket(ticket.ticket_id)
    assert found is not None
    return found.state


@pytest.mark.parametrize("spelt", ["{}", "  {}  ", "\t{}\n", "{lower}", "{upper}"])
async def test_the_right_text_is_a_yes_however_it_is_spaced_and_cased(
    desk: Desk, ticket: Ticket, store: SqliteStore, spelt: str
) -> None:
    typed = spelt.format(ticket.phrase, lower=ticket.phrase.lower(), upper=ticket.phrase.upper())
    assert await desk.decisions.take(ticket, typed, "form")
    assert await state_of(store, ticket) is TicketState.APPROVED
    entry = (await store.entries(1))[0]
    assert (entry.kind, entry.detail) == (EntryKind.APPROVED, {"by": "form"})


WRONG: list[object] = [None, True, 1, "", " ", "yes", "AAAA", [], {}, "\ud800", b"bytes", 4.0]


@pytest.mark.parametrize("typed", WRONG, ids=ascii)
async def test_any_other_text_is_a_no_and_is_written_down_as_suspicious(
    desk: Desk, ticket: Ticket, store: SqliteStore, typed: object
) -> None:
    assert not await desk.decisions.take(ticket, typed, "form")
    assert await state_of(store, ticket) is TicketState.DECLINED
    declined, suspicious = await store.entries(2)
    assert (declined.kind, suspicious.kind) == (EntryKind.DECLINED, EntryKind.SUSPICIOUS)
    assert (suspicious.detail["by"], suspicious.detail["suspicion"]) == ("form", Suspicion.WRONG_TEXT)
    assert ticket.phrase not in f"{declined}{suspicious}"


@pytest.mark.parametrize("more", ["x", "-", " x", "\u200b"])
async def test_the_right_text_with_something_beside_it_is_wrong(ticket: Ticket, more: str) -> None:
    assert not is_right(ticket, ticket.phrase + more)
    assert not is_right(ticket, more + ticket.phrase)
    assert not is_right(ticket, ticket.phrase[:-1])


async def test_a_yes_for_a_ticket_that_has_expired_counts_for_nothing(
    desk: Desk, ticket: Ticket, store: SqliteStore, clock: ManualClock
) -> None:
    clock.advance(90)
    assert not await desk.decisions.take(ticket, ticket.phrase, "form")
    assert not await desk.decisions.approve(ticket, "terminal")
    assert await state_of(store, ticket) is TicketState.OPEN
    assert (await store.entries(1))[0].kind is EntryKind.PROPOSED, "nothing is journalled that did not happen"


async def test_a_yes_after_a_no_counts_for_nothing(desk: Desk, ticket: Ticket, store: SqliteStore) -> None:
    assert await desk.decisions.decline(ticket, "terminal")
    assert not await desk.decisions.take(ticket, ticket.phrase, "form")
    assert await state_of(store, ticket) is TicketState.DECLINED


async def test_a_no_after_a_yes_still_stops_it(desk: Desk, ticket: Ticket, store: SqliteStore) -> None:
    assert await desk.decisions.approve(ticket, "form")
    assert await desk.decisions.decline(ticket, "terminal")
    assert not await desk.decisions.decline(ticket, "terminal"), "a second no is no news"
    assert [entry.kind for entry in await store.entries(2)] == [EntryKind.DECLINED, EntryKind.APPROVED]
    assert not await store.spend_ticket(ticket.ticket_id, desk.clock())


async def test_the_same_yes_by_two_channels_is_one_yes(desk: Desk, ticket: Ticket, store: SqliteStore) -> None:
    assert await desk.decisions.approve(ticket, "terminal")
    assert await desk.decisions.take(ticket, ticket.phrase, "form")
    assert [entry.kind for entry in await store.entries(9)].count(EntryKind.APPROVED) == 1


async def test_a_yes_to_what_was_sent_already_counts_for_nothing(desk: Desk, ticket: Ticket) -> None:
    await desk.decisions.approve(ticket, "terminal")
    await desk.commit(ticket.ticket_id)
    assert not await desk.decisions.take(ticket, ticket.phrase, "form")
    assert not await desk.decisions.decline(ticket, "form")


@pytest.mark.parametrize("approval", [Approval.PAGE, Approval.PAGE_PIN])
async def test_a_form_is_no_yes_where_the_person_is_to_be_asked_in_a_place_of_their_own(
    desk: Desk, ticket: Ticket, store: SqliteStore, clock: ManualClock, approval: Approval
) -> None:
    asked = replace(ticket, ticket_id="p-1", own_id="own-p", fingerprint="p", approval=approval)
    await store.open_ticket(asked, clock())
    assert not await desk.decisions.take(asked, asked.phrase, "form")
    assert await state_of(store, asked) is TicketState.OPEN
    assert await desk.decisions.approve(asked, "terminal")


async def test_a_late_answer_is_told_what_became_of_the_ticket(
    desk: Desk, ticket: Ticket, store: SqliteStore, clock: ManualClock
) -> None:
    assert await desk.decisions.too_late(ticket) == "It is still open."
    await desk.decisions.approve(ticket, "form")
    assert "approved before, by form" in await desk.decisions.too_late(ticket)
    await desk.commit(ticket.ticket_id)
    clock.advance(3600)  # long after its time ran out it was sent all the same
    told = await desk.decisions.too_late(ticket)
    known = "What is known of it as of 14:30:00 UTC, 60 min ago: filled, "
    assert told.startswith(f"Too late: it was approved before, by form, and handed over. {known}"), told
    assert "nothing was sent" not in told


async def test_a_late_answer_to_what_nobody_approved_hears_that_nothing_was_sent(
    desk: Desk, ticket: Ticket, clock: ManualClock
) -> None:
    clock.advance(3600)
    assert await desk.decisions.too_late(ticket) == (
        "Too late: it has expired, and nothing was sent. The assistant may propose it again."
    )


async def test_a_late_answer_to_what_is_just_being_sent_hears_so(
    desk: Desk, ticket: Ticket, store: SqliteStore, clock: ManualClock
) -> None:
    await desk.decisions.approve(ticket, "form")
    await store.spend_ticket(ticket.ticket_id, clock())
    assert (await desk.decisions.too_late(ticket)).endswith("It is just being sent.")


async def test_a_late_answer_to_a_no_hears_whose_it_was(desk: Desk, ticket: Ticket) -> None:
    await desk.decisions.decline(ticket, "terminal")
    assert "declined before, by terminal" in await desk.decisions.too_late(ticket)
