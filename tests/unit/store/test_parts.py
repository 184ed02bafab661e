"""Whose turn it is to send what a watch or the keeper of exits has made: asked where the intent is written."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from ct_mcp.domain.approval import Approval, Ticket
from ct_mcp.domain.bracket import Bracket
from ct_mcp.domain.duty import SENDING_SECONDS, Duty, DutyPart, DutyState
from ct_mcp.domain.lease import NOBODY, Holder
from ct_mcp.domain.level import Distance, Unit
from ct_mcp.domain.watch import Watch, WatchKind, WatchState
from ct_mcp.errors import TakenOver
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.store.parts import LEASE_NAME
from ct_mcp.store.sql_store import SqlStore
from tests.factories import MES, SIM101, place_order

MakeTicket = Callable[..., Ticket]
LEASE, SECOND = timedelta(seconds=15), timedelta(seconds=1)
STOP = Bracket(Distance(Decimal(10), Unit.POINT))
A, B = Holder("A", 1), Holder("B", 1)


def intent_of(ticket_id: str) -> NewEntry:
    return NewEntry(EntryKind.INTENT, "cancel 7", SIM101, ticket_id, f"ctmcp-{ticket_id}", "f")


async def sends(store: SqlStore, ticket_id: str, holder: Holder, now: datetime) -> bool:
    """Whether it may write the intent, and may send it then."""
    try:
        return await store.append_intent(intent_of(ticket_id), now, None, holder=holder) is not None
    except TakenOver:
        with pytest.raises(TakenOver):
            await store.check_turn(ticket_id, holder, now)
        assert not [entry for entry in await store.entries(20) if entry.kind is EntryKind.INTENT]
        return False


class TestOfAWatch:
    """A ticket of a watch, whose lease A has."""

    @pytest.fixture
    async def watch(self, store: SqlStore, now: datetime) -> Watch:
        """One that has sent nothing yet."""
        watch = Watch("w-1", WatchKind.FLAT_BY, SIM101, now, now + timedelta(hours=1), due=now)
        assert await store.open_watch(watch, 20, (), now)
        assert await store.take_lease(LEASE_NAME, "A", now, LEASE)
        return watch

    @pytest.fixture
    async def part(self, store: SqlStore, watch: Watch, make_ticket: MakeTicket, now: datetime) -> str:
        """What it is about to send."""
        assert await store.add_watch_part(watch, make_ticket(ticket_id="part"), A, now)
        return "part"

    async def test_its_holder_sends_it(self, store: SqlStore, part: str, now: datetime) -> None:
        assert await sends(store, part, A, now + SECOND)
        await store.check_turn(part, A, now + 2 * SECOND)

    @pytest.mark.parametrize("holder", [B, NOBODY, Holder("A"), Holder("A", 2)])
    async def test_nobody_else_sends_it(self, store: SqlStore, part: str, now: datetime, holder: Holder) -> None:
        assert not await sends(store, part, holder, now + SECOND)

    async def test_a_lease_that_ran_out_and_that_nobody_took_sends_nothing(
        self, store: SqlStore, part: str, now: datetime
    ) -> None:
        assert not await sends(store, part, A, now + LEASE)

    async def test_a_lease_that_was_taken_again_does_not_make_it_young(
        self, store: SqlStore, part: str, now: datetime
    ) -> None:
        late = now + 30 * SECOND
        assert await store.take_lease(LEASE_NAME, "A", late, LEASE)
        assert not await sends(store, part, A, late)
        assert await sends(store, part, A, late - SECOND), "but what is read for long still goes"

    async def test_a_lease_that_came_back_is_not_the_one_that_was_lost(
        self, store: SqlStore, part: str, now: datetime
    ) -> None:
        """A sleeps, B has it and gives it back, A has it again: what A had begun before is of before."""
        late = now + LEASE
        assert await store.take_lease(LEASE_NAME, "B", late, LEASE) == 2
        assert await store.release_lease(LEASE_NAME, "B")
        assert await store.take_lease(LEASE_NAME, "A", late, LEASE) == 3
        assert not await sends(store, part, A, late)
        with pytest.raises(TakenOver, match="another ct-mcp looks after it by now"):
            await store.append_intent_of_all(intent_of(part), late, 10**6, holder=A)
        assert await sends(store, part, Holder("A", 3), late), "but what is begun anew may go on with it"

    async def test_what_was_begun_before_a_lease_was_lost_makes_no_ticket_any_more(
        self, store: SqlStore, watch: Watch, make_ticket: MakeTicket, now: datetime
    ) -> None:
        assert await store.take_lease(LEASE_NAME, "B", now + LEASE, LEASE)
        assert await store.release_lease(LEASE_NAME, "B")
        assert await store.take_lease(LEASE_NAME, "A", now + LEASE, LEASE)
        assert not await store.add_watch_part(watch, make_ticket(ticket_id="late"), A, now + LEASE)
        assert await store.ticket("late") is None
        assert await store.add_watch_part(watch, make_ticket(ticket_id="new"), Holder("A", 3), now + LEASE)

    async def test_a_newer_one_takes_its_place(
        self, store: SqlStore, part: str, make_ticket: MakeTicket, now: datetime
    ) -> None:
        (watch,) = await store.watches()
        assert await store.add_watch_part(watch, make_ticket(ticket_id="newer"), A, now)
        assert not await sends(store, part, A, now)
        assert await sends(store, "newer", A, now)

    async def test_one_that_is_over_sends_nothing(
        self, store: SqlStore, watch: Watch, part: str, now: datetime
    ) -> None:
        entry = NewEntry(EntryKind.WATCH_OVER, "ended", SIM101)
        assert await store.turn_watch(watch, WatchState.OVER, entry, now)
        assert not await sends(store, part, A, now)


class TestOfAnEntry:
    """A ticket of the exits of an entry."""

    @pytest.fixture
    async def duty(self, store: SqlStore, make_ticket: MakeTicket, now: datetime) -> Duty:
        """What is owed to it."""
        order = replace(place_order(instrument=MES), bracket=STOP)
        ticket = replace(make_ticket(ticket_id="entry", approval=Approval.NONE), commands=(order,))
        await store.open_ticket(ticket, now)
        assert await store.spend_ticket("entry", now)
        duty = Duty("entry", 0, ticket.own_id, order, now)
        await store.open_duty(duty)
        return duty

    @pytest.fixture
    async def part(self, store: SqlStore, duty: Duty, make_ticket: MakeTicket, now: datetime) -> str:
        """Its stop, which whoever sent the entry is about to send."""
        assert await store.add_part(duty, make_ticket(ticket_id="stop"), DutyPart("stop", 1, now))
        return "stop"

    async def test_who_sent_the_entry_needs_no_lease_for_its_exits(
        self, store: SqlStore, part: str, now: datetime
    ) -> None:
        assert await store.take_lease(LEASE_NAME, "somebody", now, LEASE)
        assert await sends(store, part, NOBODY, now + 11 * SECOND)

    async def test_who_looks_after_entries_needs_it(
        self, store: SqlStore, duty: Duty, part: str, make_ticket: MakeTicket, now: datetime
    ) -> None:
        assert not await sends(store, part, A, now)
        (known,) = await store.duties()
        more = make_ticket(ticket_id="more"), DutyPart("more", 1, now)
        assert not await store.add_part(known, *more, A)
        assert await store.take_lease(LEASE_NAME, "A", now, LEASE)
        assert await store.add_part(known, *more, A)
        assert await sends(store, "more", A, now)

    async def test_who_began_before_the_lease_was_lost_makes_and_sends_none_of_them(
        self, store: SqlStore, duty: Duty, make_ticket: MakeTicket, now: datetime
    ) -> None:
        assert await store.take_lease(LEASE_NAME, "A", now, LEASE) == 1
        late = now + LEASE
        assert await store.add_part(duty, make_ticket(ticket_id="made"), DutyPart("made", 1, now), A)
        assert await store.take_lease(LEASE_NAME, "B", late, LEASE)
        assert await store.release_lease(LEASE_NAME, "B")
        assert await store.take_lease(LEASE_NAME, "A", late, LEASE)
        (known,) = await store.duties()
        assert not await store.add_part(known, make_ticket(ticket_id="more"), DutyPart("more", 1, late), A)
        assert not await sends(store, "made", A, now + SECOND), "by a clock that was set back as well"

    async def test_after_as_long_as_others_wait_for_it_it_sends_nothing(
        self, store: SqlStore, part: str, now: datetime
    ) -> None:
        late = now + SENDING_SECONDS * SECOND
        assert not await store.is_quiet(part, late - SECOND)
        assert await store.is_quiet(part, late)
        assert not await sends(store, part, NOBODY, late)

    async def test_its_second_command_counts_from_the_last_word_of_the_first(
        self, store: SqlStore, part: str, now: datetime
    ) -> None:
        assert await sends(store, part, NOBODY, now + 10 * SECOND)
        assert await sends(store, part, NOBODY, now + 20 * SECOND)

    async def test_what_closes_takes_the_place_of_what_was_made_before(
        self, store: SqlStore, part: str, make_ticket: MakeTicket, now: datetime
    ) -> None:
        (known,) = await store.duties()
        assert await store.add_part(known, make_ticket(ticket_id="close"), DutyPart("close", 0, now))
        assert not await sends(store, part, NOBODY, now)
        assert await sends(store, "close", NOBODY, now)

    async def test_more_of_the_entry_stands_beside_it(
        self, store: SqlStore, part: str, make_ticket: MakeTicket, now: datetime
    ) -> None:
        (known,) = await store.duties()
        assert await store.add_part(known, make_ticket(ticket_id="more"), DutyPart("more", 1, now))
        assert await sends(store, part, NOBODY, now)

    async def test_exits_that_another_has_made_anew_are_not_sent_by_the_first(
        self, store: SqlStore, part: str, make_ticket: MakeTicket, now: datetime
    ) -> None:
        """At once, whatever the clocks say; nor by whoever writes an intent that was judged by all accounts."""
        (known,) = await store.duties()
        anew = DutyPart("anew", 1, now, instead_of=(f"ctmcp-{part}",))
        assert await store.add_part(known, make_ticket(ticket_id="anew"), anew)
        for write in (
            store.append_intent(intent_of(part), now, None),
            store.append_intent_of_all(intent_of(part), now, 10**6),
        ):
            with pytest.raises(TakenOver, match="has made anew"):
                await write
        assert await store.unsettled() == ()
        assert await sends(store, "anew", NOBODY, now)

    async def test_exits_that_are_about_to_be_sent_after_all_are_not_made_anew(
        self, store: SqlStore, part: str, make_ticket: MakeTicket, now: datetime
    ) -> None:
        (known,) = await store.duties()
        assert await sends(store, part, NOBODY, now)
        anew = DutyPart("anew", 1, now, instead_of=(f"ctmcp-{part}",))
        assert not await store.add_part(known, make_ticket(ticket_id="anew"), anew)
        assert await store.ticket("anew") is None

    async def test_where_nothing_is_owed_any_more_nothing_is_sent(
        self, store: SqlStore, duty: Duty, part: str, now: datetime
    ) -> None:
        entry = NewEntry(EntryKind.PROTECTED, "over", SIM101)
        assert await store.turn_duty(duty, DutyState.OVER, entry, now)
        assert not await sends(store, part, NOBODY, now)


async def test_every_other_ticket_is_passed_over(store: SqlStore, now: datetime) -> None:
    assert await sends(store, "the person's", NOBODY, now)
