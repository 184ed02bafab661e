"""What the journal holds of a send, and what it never holds."""

from decimal import Decimal

import pytest

from ct_mcp.desk.desk import Desk
from ct_mcp.desk.outcome import Status
from ct_mcp.domain.action import CancelOrder, CancelOrders, ChangeOrder, ClosePosition, Flatten
from ct_mcp.domain.instrument import Instrument
from ct_mcp.simulator.world import Simulator
from ct_mcp.store.journal import Entry, EntryKind
from ct_mcp.store.sqlite import SqliteStore


@pytest.fixture
def intent(does, store: SqliteStore):
    """Do something, and give what was written just before it left."""

    async def written(action) -> Entry:
        await does(action)
        return next(entry for entry in await store.entries(9) if entry.kind is EntryKind.INTENT)

    return written


async def test_an_intent_says_which_action_of_which_ticket_and_under_which_id(intent, buy, store) -> None:
    entry = await intent(buy(2))
    ticket = await store.ticket(entry.ticket_id)
    assert (entry.account, entry.own_id, entry.fingerprint) == ("Sim101", ticket.own_id, ticket.fingerprint)
    assert entry.summary == "SIM  Sim101  BUY 2 MES 09-26 MARKET"
    assert entry.opens


async def test_only_what_may_open_or_add_counts_as_an_order(intent, long_two, buy, price, sim, mes) -> None:
    assert not (await intent(buy(1, "SELL"))).opens
    sim.advance(20)
    entry = await intent(buy(kind="LIMIT", limit_price=price(-40)))
    assert entry.opens
    order_id = sim.exchange.live_orders("Sim101")[0].id
    assert (await intent(ChangeOrder("Sim101", order_id, quantity=2))).opens
    assert not (await intent(ChangeOrder("Sim101", order_id, quantity=1))).opens
    for action in (
        CancelOrder("Sim101", order_id),
        CancelOrders("Sim101", None),
        ClosePosition("Sim101", mes),
        Flatten("Sim101", None),
    ):
        assert not (await intent(action)).opens


MES_ROW = ["MES", 2026, 9]


async def test_an_intent_says_what_may_come_of_it(intent, long_two, buy, price, sim: Simulator, mes) -> None:
    def fills(entry: Entry) -> object:
        return entry.detail["may_fill"]

    assert fills(await intent(buy(2, "SELL", instrument=Instrument("MNQ", 2026, 9)))) == [["MNQ", 2026, 9, -2]]
    limit = buy(2, kind="LIMIT", limit_price=price(-40))
    assert fills(await intent(limit)) == [[*MES_ROW, 2]]
    order_id = sim.exchange.live_orders("Sim101")[0].id
    assert fills(await intent(ChangeOrder("Sim101", order_id, quantity=5))) == [[*MES_ROW, 3]]
    assert fills(await intent(ChangeOrder("Sim101", order_id, quantity=1))) == []
    assert fills(await intent(ChangeOrder("Sim101", order_id, limit_price=price(-44)))) == []
    assert fills(await intent(CancelOrder("Sim101", order_id))) == []
    assert fills(await intent(ClosePosition("Sim101", mes, quantity=1))) == [[*MES_ROW, -1]]
    sim.advance(20)
    assert fills(await intent(Flatten("Sim101", mes))) == [[*MES_ROW, -1]]
    sim.advance(20)
    assert fills(await intent(Flatten("Sim101", None))) == [["MNQ", 2026, 9, 2]]


async def test_reasons_are_one_line_without_anything_hidden(desk: Desk, buy, store: SqliteStore) -> None:
    await desk.propose(buy(), "because\nof\u202e this\x1b[31m")
    (entry,) = await store.entries(1)
    assert entry.reason == "because of this[31m"


async def test_a_denied_action_is_journalled_in_one_clean_line(desk: Desk, buy, store: SqliteStore) -> None:
    told = await desk.propose(buy(oco_id="pair\n\u202eDENIED: 0"))
    assert told.status is Status.DENIED
    (entry,) = await store.entries(1)
    assert entry.summary == "SIM  Sim101  BUY 1 MES 09-26 MARKET in OCO group pair DENIED: 0"
    assert "NAME_INVALID" in entry.detail["denials"][0]


async def test_the_journal_adds_up_after_a_busy_day(does, long_two, buy, price, sim, store, mes) -> None:
    await does(buy(kind="LIMIT", limit_price=price(-40)))
    await does(buy(9))
    await does(ClosePosition("Sim101", mes, percent=Decimal(50)))
    await does(Flatten("Sim101", None))
    checked = await store.verify()
    assert checked.ok
    assert checked.count == (await store.entries(1))[0].sequence
    assert await store.unsettled() == ()
