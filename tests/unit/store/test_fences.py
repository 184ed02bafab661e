"""Whoever was paused while others went on may not send: seen in the transaction of the intent, over both engines."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from ct_mcp.domain.approval import Approval, Ticket
from ct_mcp.domain.duty import Duty, DutyPart
from ct_mcp.domain.watch import Watch, WatchKind
from ct_mcp.errors import StoreFailed
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.store.sql_store import SqlStore
from ct_mcp.store.watches import LEASE_NAME
from tests.factories import place_order

MakeTicket = Callable[..., Ticket]
TTL = timedelta(seconds=15)
SECOND = timedelta(seconds=1)


def intent(ticket_id: str) -> NewEntry:
    return NewEntry(EntryKind.INTENT, "x", account="Sim101", ticket_id=ticket_id, own_id=f"own-{ticket_id}")


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
        with pytest.raises(StoreFailed, match=r"another ct-mcp has (taken over|made anew).*Nothing was sent"):
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


async def owed(store: SqlStore, make_ticket: MakeTicket, now: datetime) -> Duty:
    """The exits of an entry, whose first ticket is made, and nothing of it about to be sent yet."""
    await store.open_ticket(ticket_of(make_ticket, "entry"), now)
    assert await store.spend_ticket("entry", now)
    await store.open_duty(Duty("entry", 0, "own-entry", place_order(), now))
    (duty,) = await store.duties()
    assert await store.add_part(duty, ticket_of(make_ticket, "first"), DutyPart("first", 1, now))
    (duty,) = await store.duties()
    return duty


async def test_exits_that_another_has_made_anew_are_not_sent_by_the_first(
    store: SqlStore, make_ticket: MakeTicket, now: datetime
) -> None:
    duty = await owed(store, make_ticket, now)
    anew = DutyPart("second", 1, now, instead_of=("own-first",))
    assert await store.add_part(duty, ticket_of(make_ticket, "second"), anew)
    assert await is_refused(store, "first", now)
    assert await store.append_intent(intent("second"), now, 10**6) is not None


async def test_exits_that_are_about_to_be_sent_after_all_are_not_made_anew(
    store: SqlStore, make_ticket: MakeTicket, now: datetime
) -> None:
    duty = await owed(store, make_ticket, now)
    assert await store.append_intent(intent("first"), now, 10**6) is not None
    anew = DutyPart("second", 1, now, instead_of=("own-first",))
    assert not await store.add_part(duty, ticket_of(make_ticket, "second"), anew)
    assert await store.ticket("second") is None


async def test_beside_exits_that_are_about_to_be_sent_those_of_another_share_may_be_made(
    store: SqlStore, make_ticket: MakeTicket, now: datetime
) -> None:
    duty = await owed(store, make_ticket, now)
    assert await store.add_part(duty, ticket_of(make_ticket, "second"), DutyPart("second", 1, now))
    for name in ("first", "second"):
        assert await store.append(intent(name), now) is not None
