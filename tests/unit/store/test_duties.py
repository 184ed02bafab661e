"""Duties on disk: which entries are owed exits, and the tickets of those exits, each kept once."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import anyio
import pytest

from ct_mcp.domain.approval import Approval, Ticket, TicketState
from ct_mcp.domain.bracket import Bracket, Target
from ct_mcp.domain.commands import PlaceOrder
from ct_mcp.domain.duty import Duty, DutyPart, DutyState
from ct_mcp.domain.level import Distance, Unit
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.store.sql_store import SqlStore
from tests.factories import APEX, MES, place_order
from tests.unit.store.conftest import Place

MakeTicket = Callable[..., Ticket]
Open = Callable[..., SqlStore]
SECOND = timedelta(seconds=1)


@pytest.fixture
async def opened(place: Place) -> AsyncIterator[Open]:
    """Open the same place once more, as another process does, or one of another service."""
    stores: list[SqlStore] = []

    def open_(service: str = "") -> SqlStore:
        stores.append(place.open(service))
        return stores[-1]

    yield open_
    for each in stores:
        await each.close()


def entry(**changes: Any) -> PlaceOrder:
    """Three contracts with a stop and two targets."""
    targets = Target(Decimal("6420.25"), 1), Target(Distance(Decimal(80), Unit.TICK), 2)
    bracket = Bracket(Distance(Decimal("10.5"), Unit.POINT), targets, closes_if_unprotected=False, deadline_seconds=2.5)
    return replace(place_order(quantity=3, instrument=MES), **{"bracket": bracket, **changes})


def ticket_of(make_ticket: MakeTicket, ticket_id: str, order: PlaceOrder, approval: Approval = Approval.NONE) -> Ticket:
    ticket = make_ticket(ticket_id=ticket_id, approval=approval)
    return replace(ticket, commands=(order,), fingerprint=ticket_id)


async def owed(
    store: SqlStore,
    make_ticket: MakeTicket,
    now: datetime,
    ticket_id: str = "entry",
    order: PlaceOrder | None = None,
) -> Duty:
    """An entry whose ticket was spent, and the exits that are owed to it."""
    order = order or entry()
    ticket = ticket_of(make_ticket, ticket_id, order)
    await store.open_ticket(ticket, now)
    assert await store.spend_ticket(ticket_id, now)
    duty = Duty(ticket_id, 0, ticket.own_id, order, now)
    await store.open_duty(duty)
    return duty


def exits(make_ticket: MakeTicket, part_id: str, now: datetime, contracts: int = 1) -> tuple[Ticket, DutyPart]:
    ticket = ticket_of(make_ticket, part_id, place_order("SELL", contracts, "6420", instrument=MES))
    return replace(ticket, decided_by="under the yes to entry"), DutyPart(part_id, contracts, now)


def note(duty: Duty, words: str = "all that filled has its exits") -> NewEntry:
    return NewEntry(EntryKind.PROTECTED, words, account=duty.account, ticket_id=duty.ticket_id)


async def known(store: SqlStore) -> Duty:
    (duty,) = await store.duties()
    return duty


async def test_what_is_owed_is_read_back_as_it_was_written(
    store: SqlStore, make_ticket: MakeTicket, now: datetime
) -> None:
    duty = await owed(store, make_ticket, now)
    assert await store.duties() == (duty,)
    assert (await known(store)).order == entry()


async def test_over_a_reopened_file_it_is_owed_still_with_its_tickets(
    store: SqlStore, opened: Open, make_ticket: MakeTicket, now: datetime
) -> None:
    duty = await owed(store, make_ticket, now)
    for number in (1, 2):
        ticket, part = exits(make_ticket, f"part-{number}", now + number * SECOND, number)
        assert await store.add_part(await known(store), ticket, part)
    close = DutyPart("close", 0, now + 2 * SECOND, closes=2)
    assert await store.add_part(await known(store), ticket_of(make_ticket, "close", entry()), close)
    await store.close()
    back = await known(opened())
    assert replace(back, parts=()) == duty
    assert back.parts == (DutyPart("part-1", 1, now + SECOND), DutyPart("part-2", 2, now + 2 * SECOND), close)


async def test_those_of_one_account_are_listed_alone_the_oldest_first(
    store: SqlStore, make_ticket: MakeTicket, now: datetime
) -> None:
    late = await owed(store, make_ticket, now + SECOND, "late")
    early = await owed(store, make_ticket, now, "early")
    other = await owed(store, make_ticket, now, "other", entry(account=APEX))
    assert await store.duties() == (early, other, late)
    assert await store.duties(APEX) == (other,)
    assert await store.duties("Sim102") == ()


async def test_the_ticket_of_exits_is_spent_from_the_start_and_journalled_under_its_yes(
    store: SqlStore, make_ticket: MakeTicket, now: datetime
) -> None:
    duty = await owed(store, make_ticket, now)
    ticket, part = exits(make_ticket, "part", now)
    assert await store.add_part(duty, ticket, part)
    kept = await store.ticket("part")
    assert kept == replace(ticket, state=TicketState.SPENT)
    assert not await store.spend_ticket("part", now)
    (written,) = await store.entries(5, ticket_id="part")
    assert written.kind is EntryKind.APPROVED
    assert written.detail == {"by": "under the yes to entry", "entry": duty.own_id, "contracts": 1}


async def test_of_two_that_knew_the_same_one_adds_a_part(
    store: SqlStore, opened: Open, make_ticket: MakeTicket, now: datetime
) -> None:
    await owed(store, make_ticket, now)
    processes = [opened() for _ in range(4)]
    knew = [await known(process) for process in processes]
    added = dict[str, bool]()

    async def add(number: int) -> None:
        ticket, part = exits(make_ticket, f"part-{number}", now)
        added[part.ticket_id] = await processes[number].add_part(knew[number], ticket, part)

    async with anyio.create_task_group() as all_at_once:
        for number in range(4):
            all_at_once.start_soon(add, number)
    assert sorted(added.values()) == [False, False, False, True]
    winner = next(name for name, was_added in added.items() if was_added)
    assert [part.ticket_id for part in (await known(store)).parts] == [winner]
    for name, was_added in added.items():
        assert (await store.ticket(name) is not None) is was_added
        assert bool(await store.entries(5, ticket_id=name)) is was_added


async def test_whoever_looks_again_may_add_the_next(store: SqlStore, make_ticket: MakeTicket, now: datetime) -> None:
    old = await owed(store, make_ticket, now)
    assert await store.add_part(old, *exits(make_ticket, "part-1", now))
    assert not await store.add_part(old, *exits(make_ticket, "part-2", now))
    assert await store.add_part(await known(store), *exits(make_ticket, "part-3", now))


@pytest.mark.parametrize("decided", ["open", "approved", "declined", "never kept"])
async def test_nothing_is_added_but_under_a_spent_ticket(
    store: SqlStore, make_ticket: MakeTicket, now: datetime, decided: str
) -> None:
    ticket = ticket_of(make_ticket, "entry", entry(), Approval.FORM)
    if decided != "never kept":
        await store.open_ticket(ticket, now)
    if decided == "approved":
        assert await store.approve_ticket("entry", "form", now)
    if decided == "declined":
        assert await store.decline_ticket("entry", "form", now)
    duty = Duty("entry", 0, ticket.own_id, entry(), now)
    await store.open_duty(duty)
    assert not await store.add_part(duty, *exits(make_ticket, "part", now))
    assert await store.ticket("part") is None


async def test_nothing_is_added_to_what_nobody_is_owed(store: SqlStore, make_ticket: MakeTicket, now: datetime) -> None:
    ticket = ticket_of(make_ticket, "entry", entry())
    await store.open_ticket(ticket, now)
    await store.spend_ticket("entry", now)
    duty = Duty("entry", 0, ticket.own_id, entry(), now)
    assert not await store.add_part(duty, *exits(make_ticket, "part", now))


async def test_over_is_over(store: SqlStore, make_ticket: MakeTicket, now: datetime) -> None:
    duty = await owed(store, make_ticket, now)
    assert await store.turn_duty(duty, DutyState.OVER, note(duty, "the entry was refused"), now)
    assert await store.duties() == ()
    assert not await store.add_part(duty, *exits(make_ticket, "part", now))
    for state in DutyState:
        assert not await store.turn_duty(duty, state, note(duty), now)
    told = [line.summary for line in await store.entries(9, ticket_id="entry") if line.kind is EntryKind.PROTECTED]
    assert told == ["the entry was refused"]


async def test_how_far_it_has_come_is_told_once(store: SqlStore, make_ticket: MakeTicket, now: datetime) -> None:
    duty = await owed(store, make_ticket, now)
    assert await store.turn_duty(duty, DutyState.STANDING, note(duty), now)
    assert not await store.turn_duty(duty, DutyState.STANDING, note(duty), now)
    assert await known(store) == replace(duty, state=DutyState.STANDING)
    told = [line for line in await store.entries(9, ticket_id="entry") if line.kind is EntryKind.PROTECTED]
    assert len(told) == 1


async def test_exits_that_stand_may_be_followed_by_what_takes_them_away(
    store: SqlStore, make_ticket: MakeTicket, now: datetime
) -> None:
    duty = await owed(store, make_ticket, now)
    await store.turn_duty(duty, DutyState.STANDING, note(duty), now)
    assert await store.add_part(await known(store), *exits(make_ticket, "cancels", now, 1))


async def test_each_command_of_one_ticket_is_owed_its_own(
    store: SqlStore, make_ticket: MakeTicket, now: datetime
) -> None:
    both = replace(ticket_of(make_ticket, "both", entry()), commands=(entry(), entry(quantity=5)))
    await store.open_ticket(both, now)
    await store.spend_ticket("both", now)
    first, second = (Duty("both", number, both.own_id_of(number), both.commands[number], now) for number in (0, 1))  # type: ignore[arg-type]  # both are orders
    await store.open_duty(first)
    await store.open_duty(second)
    assert await store.add_part(second, *exits(make_ticket, "part", now))
    assert [len(duty.parts) for duty in await store.duties()] == [0, 1]
    assert await store.turn_duty(first, DutyState.OVER, note(first), now)
    assert [duty.number for duty in await store.duties()] == [1]


async def test_other_services_see_nothing_and_a_terminal_sees_all(
    opened: Open, make_ticket: MakeTicket, now: datetime
) -> None:
    ours, theirs = opened("a"), opened("b")
    duty = await owed(ours, make_ticket, now)
    assert await theirs.duties() == ()
    assert await opened("a").duties() == (duty,)
    assert await opened().duties() == (duty,)
    assert not await theirs.add_part(duty, *exits(make_ticket, "part", now))
    assert not await theirs.turn_duty(duty, DutyState.OVER, note(duty), now)
    assert await ours.duties() == (duty,)


async def test_what_is_told_of_exits_that_stand_is_told_to_their_service(
    opened: Open, make_ticket: MakeTicket, now: datetime
) -> None:
    ours, theirs = opened("a"), opened("b")
    duty = await owed(ours, make_ticket, now)
    await ours.tell_of_watch(None, note(duty), now)
    (told,) = await ours.take_notices(None)
    assert (told.at, told.account, told.words) == (now, note(duty).account or "", note(duty).summary)
    assert [entry.summary for entry in await ours.entries(1)] == [note(duty).summary]
    assert await theirs.take_notices(None) == ()
