"""From looking at an account to being flat again: what the assistant reads, what is so, and what is written down."""

import pytest
from mcp_types import ElicitResult

from ct_mcp.domain.approval import TicketState
from ct_mcp.simulator.exchange import ExchangePace
from ct_mcp.simulator.simulator import SimulatorSettings
from ct_mcp.store.journal import EntryKind
from ct_mcp.store.sqlite import SqliteStore
from tests.conftest import Person
from tests.e2e.conftest import Assistant, Wire, World

ORDER = {"account": "Sim101", "instrument": "MES", "action": "BUY", "quantity": 2, "order_type": "MARKET"}


async def test_an_assistant_looks_previews_buys_sees_the_fill_and_gets_flat(
    assistant: Assistant, world: World, person: Person
) -> None:
    account = await assistant.call("get_account", account="Sim101")
    assert not account.is_error
    assert (account.kind, account.may_trade) == ("simulated", True)

    preview = await assistant.call("preview_order", **ORDER)
    assert preview.structure["would_pass"]
    assert preview.structure["position_after"] == 2
    assert world.states() == []
    assert not person.asked

    bought = await assistant.call("place_order", **ORDER)
    assert (bought.status, bought.sent, bought.is_error) == ("filled", True, False)
    assert (bought.filled_quantity, bought.position_after) == (2, 2)
    assert bought.summary == "SIM  Sim101  BUY 2 MES 09-26 MARKET"
    assert bought.simulated is True
    assert bought.average_fill_price == pytest.approx(world.price(), abs=1)
    assert len(person.asked) == 1
    assert world.net() == 2

    (row,) = (await assistant.call("get_positions", account="Sim101")).structure["positions"]
    assert (row["instrument"], row["direction"], row["quantity"]) == ("MES 09-26", "LONG", 2)
    assert row["average_price"] == bought.average_fill_price

    order = await assistant.call("get_order", account="Sim101", order_id=bought.order_id)
    assert order.structure["state"] == "FILLED"

    world.later()
    flat = await assistant.call("flatten", account="Sim101")
    assert (flat.status, flat.sent, flat.position_after) == ("flat", True, 0)
    assert len(person.asked) == 1, "leaving a simulated position asks nobody"
    assert (world.net(), world.live()) == (0, [])
    assert (await assistant.call("get_positions")).structure["positions"] == []

    told = (await assistant.call("get_journal", account="Sim101")).structure["entries"]
    assert [entry["ticket_id"] for entry in told][-1] == bought.ticket_id
    assert {entry["ticket_id"] for entry in told} == {bought.ticket_id, flat.ticket_id}
    assert "status: flat" in told[0]["details"]


async def test_the_journal_tells_the_whole_story_in_its_order(assistant: Assistant, store: SqliteStore) -> None:
    bought = await assistant.call("place_order", **ORDER, reason="trend day")
    story = (await store.entries(20, ticket_id=bought.ticket_id))[::-1]
    assert [entry.kind for entry in story] == [
        EntryKind.PROPOSED,
        EntryKind.APPROVED,
        EntryKind.INTENT,
        EntryKind.ACCEPTED,
        EntryKind.ANSWERED,
    ]
    assert {entry.summary for entry in story} == {bought.summary}
    assert [entry.reason for entry in story] == ["trend day", "", "", "", ""]
    told = {"status": "filled", "order_id": bought.order_id, "order_state": "FILLED", "filled": 2}
    told["stands_now"] = bought.stands_now
    price = {"average_fill_price": f"{bought.average_fill_price:g}", "position_after": 2}
    assert story[-1].detail == told | price, "enough to say it again"
    assert (await store.verify()).ok
    assert await store.unsettled() == ()


async def test_our_own_id_goes_out_with_the_order_and_stands_in_the_journal(
    assistant: Assistant, wire: Wire, store: SqliteStore, world: World
) -> None:
    bought = await assistant.buys()
    ((path, said),) = wire.posts()
    assert path == "/v1/api/accounts/Sim101/orders/place"
    assert said["orderId"] == f"ctmcp-{bought.ticket_id}"
    assert said["instrument"] == "MES 09-26", "a root never leaves, only the dated contract"
    assert said["orderId"] == (await store.entries(1, ticket_id=bought.ticket_id))[0].own_id


async def test_the_person_reads_what_the_order_is_worth_and_where_it_leads(
    assistant: Assistant, person: Person, world: World
) -> None:
    await assistant.buys(2)
    (question,) = person.asked
    headline, kind, *_ = question.splitlines()
    assert headline.startswith("Sim101  BUY 2 MES 09-26 MARKET - to send it, type ")
    assert kind == "SIMULATED ACCOUNT - no real money can move"
    assert "Position flat now, +2 after" in question
    assert "Contract month SEP 2026" in question
    assert "Anything else sends nothing." in question


async def test_a_reducing_order_asks_nobody_and_is_read_back(
    assistant: Assistant, person: Person, world: World
) -> None:
    await assistant.buys(3)
    world.later()
    sold = await assistant.buys(2, action="SELL")
    assert (sold.status, sold.position_after) == ("filled", 1)
    assert len(person.asked) == 1
    assert world.net() == 1


async def test_an_order_that_flattens_first_leaves_only_its_own_position(
    assistant: Assistant, world: World, wire: Wire
) -> None:
    await assistant.buys(2)
    world.later()
    turned = await assistant.buys(1, action="SELL", flatten_first=True)
    assert (turned.status, turned.filled_quantity, turned.position_after) == ("filled", 1, -1)
    assert turned.warnings == []
    assert world.net() == -1
    assert wire.posts()[-1][0].endswith("/flatplace")


@pytest.mark.parametrize(
    "settings",
    [SimulatorSettings(pace=ExchangePace(contracts_per_fill=1))],
    ids=["one contract at a time"],
)
async def test_an_order_that_fills_in_parts_is_followed_to_its_end(assistant: Assistant, world: World) -> None:
    bought = await assistant.buys(3)
    assert (bought.status, bought.filled_quantity, bought.position_after) == ("filled", 3, 3)
    assert len(world.sim.exchange.executions) == 3
    assert world.net() == 3


async def test_an_atm_strategy_brings_its_bracket(assistant: Assistant, world: World, wire: Wire) -> None:
    bought = await assistant.buys(1, atm_strategy="Scalp 8x8")
    assert bought.status == "filled"
    world.later(1)
    assert len(world.live()) == 2
    flat = await assistant.call("flatten", account="Sim101")
    assert flat.status == "flat"
    assert (world.net(), world.live()) == (0, [])


async def test_a_spent_ticket_stays_spent(assistant: Assistant, store: SqliteStore, world: World) -> None:
    bought = await assistant.buys()
    ticket = await store.ticket(bought.ticket_id)
    assert ticket is not None
    assert (ticket.state, ticket.decided_by) == (TicketState.SPENT, "form")
    again = await assistant.call("confirm_ticket", ticket_id=bought.ticket_id)
    assert (again.status, again.order_id, again.sent) == ("filled", bought.order_id, True)
    assert "spent before" in again.text
    assert len(world.states()) == 1


async def test_a_no_is_told_as_a_no_and_nothing_leaves(assistant: Assistant, person: Person, world: World) -> None:
    person.answer = lambda _: ElicitResult(action="decline")
    declined = await assistant.buys()
    assert (declined.status, declined.sent) == ("declined", False)
    assert "the person said no" in declined.next_step
    assert world.writes() == 0
