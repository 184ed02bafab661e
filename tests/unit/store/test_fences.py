"""Whoever was paused while others went on may not send: seen in the transaction of the intent, over both engines."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from ct_mcp.desk.exit_state import SENDING_SECONDS
from ct_mcp.domain.approval import Approval, Ticket
from ct_mcp.domain.duty import Duty, DutyPart
from ct_mcp.domain.watch import Watch, WatchKind
from ct_mcp.errors import StoreFailed
from ct_mcp.store.fences import LATEST
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.store.postgres import CLOCKS_MAY_DIFFER
from ct_mcp.store.sql_store import SqlStore
from ct_mcp.store.watches import LEASE_NAME
from tests.factories import place_order

MakeTicket = Callable[..., Ticket]
TTL = timedelta(seconds=15)
SECOND = timedelta(seconds=1)


def intent(ticket_id: str) -> NewEntry:
    return NewEntry(EntryKind.INTENT, "x", account="Sim101", ticket_id=ticket_id)


def ticket_of(make_ticket: MakeTicket, ticket_id: str) -> Ticket:
    return replace(make_ticket(ticket_id=ticket_id, approval=Approval.NONE), fingerprint=ticket_id)


def a_watch(now: datetime) -> Watch:
    return Watch("w", WatchKind.FLAT_BY, "Sim101", now, now + timedelta(hours=1), "t", None, None, None, now)


async def made_by(store: SqlStore, holder: str, make_ticket: MakeTicket, now: datetime) -> str:
    """What a holder of the lease is about to send for a watch."""
    assert await store.take_lease(LEASE_NAME, holder, now, TTL)
    await store.open_watch(a_watch(now), 5, (), now)
    watch = await store.watch("w")
    assert watch is not None
    name = f"by {holder} at {now:%X}"
    assert await store.add_watch_part(watch, ticket_of(make_ticket, name), holder, now)
    return name


async def is_refused(store: SqlStore, ticket_id: str, now: datetime) -> bool:
    """By both ways to write an intent, and nothing of it is left."""
    for write in (store.append(intent(ticket_id), now), store.append_intent(intent(ticket_id), now, 10**6)):
        with pytest.raises(StoreFailed, match=r"(taken over|made them anew).*Nothing was sent"):
            await write
    return await store.unsettled() == ()


async def test_a_holder_sends_what_it_made(store: SqlStore, make_ticket: MakeTicket, now: datetime) -> None:
    part = await made_by(store, "a", make_ticket, now)
    assert await store.renew_lease(LEASE_NAME, "a", now + SECOND, TTL)
    assert await store.append_intent(intent(part), now + SECOND, 10**6) is not None


@pytest.mark.parametrize("gives_back", [False, True])
async def test_a_holder_that_was_paused_does_not_send_what_it_made_before(
    store: SqlStore, make_ticket: MakeTicket, now: datetime, gives_back: bool
) -> None:
    old = await made_by(store, "a", make_ticket, now)
    if gives_back:
        await store.release_lease(LEASE_NAME, "a")
    later = now if gives_back else now + TTL
    new = await made_by(store, "b", make_ticket, later + SECOND)
    assert await is_refused(store, old, later + SECOND)
    assert await store.append_intent(intent(new), later + SECOND, 10**6) is not None


async def test_nor_where_it_holds_the_lease_again(store: SqlStore, make_ticket: MakeTicket, now: datetime) -> None:
    """What happened meanwhile it has not seen: somebody may have held it, and sent."""
    old = await made_by(store, "a", make_ticket, now)
    assert await store.take_lease(LEASE_NAME, "a", now + TTL, TTL)
    assert await is_refused(store, old, now + TTL)


async def test_another_lease_fences_nothing(store: SqlStore, make_ticket: MakeTicket, now: datetime) -> None:
    part = await made_by(store, "a", make_ticket, now)
    assert await store.take_lease("stream", "b", now, TTL)
    assert await store.append(intent(part), now) is not None


@pytest.mark.parametrize(("passed", "goes"), [(LATEST - SECOND, True), (LATEST, False), (-LATEST, False)])
async def test_exits_of_an_entry_that_come_too_late_are_not_sent(
    store: SqlStore, make_ticket: MakeTicket, now: datetime, passed: timedelta, goes: bool
) -> None:
    await store.open_ticket(ticket_of(make_ticket, "entry"), now)
    assert await store.spend_ticket("entry", now)
    duty = Duty("entry", 0, "own-entry", place_order(), now)
    await store.open_duty(duty)
    assert await store.add_part(duty, ticket_of(make_ticket, "exits"), DutyPart("exits", 1, now))
    if goes:
        assert await store.append_intent(intent("exits"), now + passed, 10**6) is not None
    else:
        assert await is_refused(store, "exits", now + passed)


def test_they_come_too_late_before_anybody_makes_them_anew() -> None:
    """By whatever clock: each of two machines may differ from the database's."""
    assert timedelta(seconds=SENDING_SECONDS) >= LATEST + 2 * CLOCKS_MAY_DIFFER
