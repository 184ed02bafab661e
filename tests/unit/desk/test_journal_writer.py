"""What the journal holds of a send, and what it never holds."""

from collections.abc import Awaitable, Callable
from decimal import Decimal

import pytest

from ct_mcp.desk.desk import Desk
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.domain.commands import CancelOrder, CancelOrders, ChangeOrder, ClosePosition, Command, Flatten
from ct_mcp.domain.instrument import Instrument
from ct_mcp.errors import StoreFailed, TicketSpent
from ct_mcp.guard.denial import DenialCode
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.simulator import Simulator
from ct_mcp.store.journal import Entry, EntryKind
from ct_mcp.store.sqlite import SqliteStore
from tests.unit.desk.conftest import Buys, Does, Prices

Intents = Callable[[Command], Awaitable[Entry]]


@pytest.fixture
def intent(does: Does, store: SqliteStore) -> Intents:
    """Do something, and give what was written just before it left."""

    async def written(action: Command) -> Entry:
        await does(action)
        return next(entry for entry in await store.entries(9) if entry.kind is EntryKind.INTENT)

    return written


async def test_an_intent_says_which_action_of_which_ticket_and_under_which_id(
    intent: Intents, buy: Buys, store: SqliteStore
) -> None:
    entry = await intent(buy(2))
    ticket = await store.ticket(str(entry.ticket_id))
    assert ticket is not None
    assert (entry.account, entry.own_id, entry.fingerprint) == ("Sim101", ticket.own_id, ticket.fingerprint)
    assert entry.summary == "SIM  Sim101  BUY 2 MES 09-26 MARKET"
    assert entry.opens


async def test_every_order_counts_as_one_sent_and_no_exit_or_cancel_does(
    intent: Intents, long_two: Outcome, buy: Buys, price: Prices, sim: Simulator, mes: Instrument
) -> None:
    assert (await intent(buy(1, "SELL"))).opens, "an order that only reduces too"
    sim.advance(20)
    entry = await intent(buy(kind="LIMIT", limit_price=price(-40)))
    assert entry.opens
    order_id = sim.exchange.live_orders("Sim101")[0].id
    assert (await intent(ChangeOrder("Sim101", order_id, quantity=2))).opens
    assert (await intent(ChangeOrder("Sim101", order_id, quantity=1))).opens, "smaller too"
    for action in (
        CancelOrder("Sim101", order_id),
        CancelOrders("Sim101", None),
        ClosePosition("Sim101", mes, percent=Decimal(50)),
        ClosePosition("Sim101", mes),
        Flatten("Sim101", None),
    ):
        assert not (await intent(action)).opens


MES_ROW = ["MES", 2026, 9]


async def test_an_intent_says_what_may_come_of_it(
    intent: Intents, long_two: Outcome, buy: Buys, price: Prices, sim: Simulator, mes: Instrument
) -> None:
    def fills(entry: Entry) -> object:
        return entry.detail["may_fill"]

    assert fills(await intent(buy(2, "SELL", instrument=Instrument("MNQ", 2026, 9)))) == [["MNQ", 2026, 9, -2, False]]
    limit = buy(2, kind="LIMIT", limit_price=price(-40))
    assert fills(await intent(limit)) == [[*MES_ROW, 2, False]]
    order_id = sim.exchange.live_orders("Sim101")[0].id
    assert fills(await intent(ChangeOrder("Sim101", order_id, quantity=5))) == [[*MES_ROW, 3, False]]
    assert fills(await intent(ChangeOrder("Sim101", order_id, quantity=1))) == []
    assert fills(await intent(ChangeOrder("Sim101", order_id, limit_price=price(-44)))) == []
    assert fills(await intent(CancelOrder("Sim101", order_id))) == []
    assert fills(await intent(ClosePosition("Sim101", mes, quantity=1))) == [[*MES_ROW, -1, True]]
    sim.advance(20)
    assert fills(await intent(Flatten("Sim101", mes))) == [[*MES_ROW, -1, True]], "the close before it left a position"
    sim.advance(20)
    unread = await intent(Flatten("Sim101", None))
    assert (fills(unread), unread.detail["leaves_all"]) == ([], []), "sent before anything was read"


async def test_reasons_are_one_line_without_anything_hidden(desk: Desk, buy: Buys, store: SqliteStore) -> None:
    await desk.propose(buy(), "because\nof\u202e this\x1b[31m")
    (entry,) = await store.entries(1)
    assert entry.reason == "because of this[31m"


async def test_a_denied_action_is_journalled_in_one_clean_line(desk: Desk, buy: Buys, store: SqliteStore) -> None:
    told = await desk.propose(buy(oco_id="pair\n\u202eDENIED: 0"))
    assert isinstance(told, Outcome)
    assert told.status is Status.DENIED
    (entry,) = await store.entries(1)
    assert entry.summary == 'SIM  Sim101  BUY 1 MES 09-26 MARKET in OCO group "pair DENIED: 0"'
    denials = entry.detail["denials"]
    assert isinstance(denials, list)
    assert "NAME_INVALID" in denials[0]


async def test_the_journal_adds_up_after_a_busy_day(
    does: Does, long_two: Outcome, buy: Buys, price: Prices, sim: Simulator, store: SqliteStore, mes: Instrument
) -> None:
    await does(buy(kind="LIMIT", limit_price=price(-40)))
    await does(buy(9))
    await does(ClosePosition("Sim101", mes, percent=Decimal(50)))
    await does(Flatten("Sim101", None))
    checked = await store.verify()
    assert checked.ok
    assert checked.count == (await store.entries(1))[0].sequence
    assert await store.unsettled() == ()


async def test_a_denial_names_its_codes_beside_what_it_says(buy: Buys, desk: Desk, store: SqliteStore) -> None:
    await desk.propose(buy(99))
    detail = next(entry.detail for entry in await store.entries(9) if entry.kind is EntryKind.DENIED)
    codes, denials = detail["codes"], detail["denials"]
    assert isinstance(codes, list)
    assert isinstance(denials, list)
    assert DenialCode.QUANTITY_EXCEEDS_MAXIMUM in codes
    assert [f"{code}: " for code in codes] == [
        denial[: len(code) + 2] for code, denial in zip(codes, denials, strict=True)
    ]


async def test_of_a_spent_ticket_nobody_hears_that_nothing_was_sent_while_the_disk_is_full(
    desk: Desk, does: Does, buy: Buys, sim: Simulator, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    sim.faults.arm(Fault.FROZEN_ORDERS)
    sent = await does(buy())
    ticket = await desk.ticket(str(sent.ticket_id))

    async def is_full(*_: object) -> None:
        raise StoreFailed("the disk is full")

    monkeypatch.setattr(store, "append", is_full)
    monkeypatch.setattr(store, "spend_ticket", is_full)
    with pytest.raises(TicketSpent):
        await desk.commit(ticket.ticket_id)
    told = await desk.became_of(ticket, 0.0)
    assert told.status.sent is not False, "what cannot be written down is told all the same"
