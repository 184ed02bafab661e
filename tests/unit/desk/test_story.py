"""What the journal tells of a little while ago, and how often it is asked for that."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from ct_mcp.desk.outcome import Status
from ct_mcp.desk.story import is_at_its_end, recent_fills, shortened, story_of
from ct_mcp.domain.commands import ClosePosition
from ct_mcp.domain.instrument import Instrument
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.store.sqlite import SqliteStore
from tests import factories

NOW = factories.NOW
SECOND = timedelta(seconds=1)


@pytest.fixture
def readings(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the tables were read for."""
    names: list[str] = []

    def counted(read: Callable[..., Any], work: Callable[..., Any], *arguments: Any) -> Any:
        def named(*given: Any) -> Any:
            names.append(work.__name__)
            return work(*given)

        return read(named, *arguments)

    for way in ("try_read", "read"):
        monkeypatch.setattr(store._database, way, partial(counted, getattr(store._database, way)))
    return names


async def has_filled(store: SqliteStore, name: str, at: datetime, instrument: Instrument = factories.ES) -> None:
    """Keep a ticket of which the journal says that it filled."""
    order = factories.place_order(instrument=instrument)
    ticket = factories.ticket(name, order, own_id=name, fingerprint=name, created_at=at)
    await store.open_ticket(ticket, at)
    fill = NewEntry(EntryKind.READ_BACK, f"BUY {name}", order.account, name, name, detail={"filled": 1})
    await store.append(fill, at)


@pytest.mark.parametrize("fills", [2, 40])
async def test_many_fills_are_named_in_as_many_readings_as_few(
    store: SqliteStore, readings: list[str], fills: int
) -> None:
    for number in range(fills):
        await has_filled(store, f"order-{number}", NOW + number * SECOND)
    readings.clear()
    told = await recent_fills(store, factories.SIM101, factories.ES, NOW + fills * SECOND)
    assert len(told) == fills
    assert told[0].endswith(f"of BUY order-{fills - 1}"), "the newest first"
    assert len(readings) == 2


async def test_nothing_filled_is_known_from_the_journal_alone(store: SqliteStore, readings: list[str]) -> None:
    assert await recent_fills(store, factories.SIM101, factories.ES, NOW) == ()
    assert len(readings) == 1


async def test_a_fill_in_another_instrument_is_not_named(store: SqliteStore) -> None:
    await has_filled(store, "another", NOW, factories.MES)
    await has_filled(store, "this", NOW)
    assert await recent_fills(store, factories.SIM101, factories.ES, NOW) == ("filled 0 s ago: 1 of BUY this",)


def test_of_many_fills_the_newest_are_named_and_the_others_are_counted() -> None:
    fills = [f"fill {number}" for number in range(12)]
    assert shortened(fills) == (*fills[:5], "7 more filled within 5 min")
    assert shortened(fills[:5]) == tuple(fills[:5])
    assert shortened([]) == ()


async def told_of_order(
    store: SqliteStore, name: str, at: datetime, filled: int, order_id: str = "an-order", **places: object
) -> None:
    """Keep a command of which the journal says that its order has filled so much."""
    order = factories.place_order()
    ticket = factories.ticket(name, order, own_id=name, fingerprint=name, created_at=at)
    await store.open_ticket(ticket, at)
    words = f"{name} {order_id}"
    await store.append(NewEntry(EntryKind.INTENT, words, order.account, name, name, detail=places), at)
    read = {"order_id": order_id, "filled": filled}
    await store.append(NewEntry(EntryKind.ANSWERED, words, order.account, name, name, detail=read), at)


async def test_what_a_cancel_tells_again_of_its_order_is_not_named_again(store: SqliteStore) -> None:
    await told_of_order(store, "BUY", NOW, 1)
    await told_of_order(store, "CANCEL", NOW + 20 * SECOND, 1, may_fill=[])
    told = await recent_fills(store, factories.SIM101, factories.ES, NOW + 40 * SECOND)
    assert told == ("filled 40 s ago: 1 of BUY an-order",)
    assert await recent_fills(store, factories.SIM101, factories.ES, NOW + 310 * SECOND) == ()


async def test_what_filled_between_an_order_and_its_cancel_is_named_beside_what_had_filled_before(
    store: SqliteStore,
) -> None:
    await told_of_order(store, "BUY", NOW, 1)
    await told_of_order(store, "CANCEL", NOW + 20 * SECOND, 3, may_fill=[])
    told = await recent_fills(store, factories.SIM101, factories.ES, NOW + 40 * SECOND)
    assert told == ("read as filled 20 s ago: 2 of BUY an-order", "filled 40 s ago: 1 of BUY an-order")


async def test_of_an_order_that_somebody_else_placed_only_the_reading_has_an_age(store: SqliteStore) -> None:
    await told_of_order(store, "CANCEL", NOW, 1, may_fill=[])
    told = await recent_fills(store, factories.SIM101, factories.ES, NOW + 40 * SECOND)
    assert told == ("read as filled 40 s ago: 1 of CANCEL an-order",)


# What was settled


@pytest.mark.parametrize(
    ("found", "status", "is_over"),
    [
        ({"refused": ["an-order"], "filled": 0, "orders": [], "is_over": True}, Status.REJECTED, True),
        ({"positions": [], "orders": [], "is_over": True}, Status.FLAT, True),
        ({"positions": ["LONG 2 ES 12-26 at 6400"], "orders": [], "is_over": True}, Status.UNKNOWN, True),
        ({"positions": ["LONG 2 ES 12-26 at 6400"], "orders": ["SELL 2 ES 12-26 MARKET"]}, Status.UNKNOWN, False),
        ({"by": "the person", "what": "said at a terminal: it is flat"}, Status.UNKNOWN, True),
    ],
    ids=["refused", "nothing left", "still held", "its order works", "settled by the person"],
)
@pytest.mark.parametrize("was_taken", [False, True], ids=["no answer", "taken"])
async def test_an_exit_that_was_settled_is_told_by_what_was_read_and_never_as_taken_where_they_did_not_say_so(
    store: SqliteStore, found: dict[str, object], status: Status, is_over: bool, was_taken: bool
) -> None:
    exit_ = ClosePosition(factories.SIM101, factories.ES)
    ticket = factories.ticket("exit", exit_, own_id="exit", fingerprint="exit", created_at=NOW)
    await store.open_ticket(ticket, NOW)
    answer = EntryKind.ACCEPTED if was_taken else EntryKind.UNKNOWN
    for kind, detail in ((EntryKind.INTENT, {}), (answer, {"step": "close"}), (EntryKind.SETTLED, found)):
        await store.append(NewEntry(kind, "CLOSE", exit_.account, "exit", "exit", detail=detail), NOW)
    story = await story_of(store, ticket)
    told, newest = story.outcome(NOW + 90 * SECOND), story.newest(0)
    is_taken = was_taken and status is Status.UNKNOWN and "what" not in found
    assert told.status is (Status.ACCEPTED if is_taken else status)
    assert newest is not None
    assert is_at_its_end(newest) is is_over
