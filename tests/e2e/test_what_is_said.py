"""What an answer claims is said only with what stands now: flat, cancelled, rejected, replaced, filled."""

from dataclasses import replace
from typing import Any

import pytest

from ct_mcp.desk.desk import Desk
from ct_mcp.simulator import atm
from ct_mcp.simulator.faults import Fault
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.store.sqlite import SqliteStore
from tests.conftest import Person
from tests.e2e.conftest import MES, Assistant, Wire, World

EXITS: list[tuple[str, dict[str, Any]]] = [
    ("flatten", {}),
    ("flatten", {"instrument": "MES"}),
    ("close_position", {"instrument": MES}),
    ("close_position", {"instrument": MES, "quantity": 2}),
]


async def is_outstanding(store: SqliteStore, desk: Desk, account: str = "Sim101") -> None:
    """Another process has sent an order, and nobody knows what became of it."""
    intent = NewEntry(
        EntryKind.INTENT,
        f"SIM  {account}  BUY 2 MES 09-26 MARKET",
        account=account,
        ticket_id="t-other",
        own_id="ctmcp-other",
        fingerprint="other",
        opens=True,
        detail={"may_fill": [["MES", 2026, 9, 2, False]]},
    )
    await store.append(intent, desk.clock())


# Flat


@pytest.mark.parametrize("tool", ["flatten", "flatten_everything"])
async def test_a_list_that_lies_is_not_believed_though_they_took_the_flatten(
    assistant: Assistant, world: World, tool: str
) -> None:
    """The list is empty from the beginning, they acknowledge a flatten that does nothing, and two contracts stand."""
    await assistant.buys(2)
    world.later()
    world.sim.faults.arm(Fault.EMPTY_LISTS)
    world.sim.faults.arm(Fault.FROZEN_ORDERS)
    told = await assistant.call(tool, **({} if tool == "flatten_everything" else {"account": "Sim101"}))
    assert world.net() == 2
    assert told.status != "flat"
    assert told.position_after is None


@pytest.mark.parametrize("arguments", [{}, {"instrument": "MES"}], ids=["account", "instrument"])
async def test_a_cancel_of_all_that_lists_show_nothing_of_is_asked_about_and_says_nothing_of_what_it_did_not_see(
    assistant: Assistant, world: World, person: Person, arguments: dict[str, str]
) -> None:
    """Two contracts are held and their stop works: with lists that are empty it seemed to reduce nothing."""
    await assistant.buys(2)
    await assistant.protects(world.price(-60), quantity=2)
    world.later()
    world.sim.faults.arm(Fault.EMPTY_LISTS)
    asked = len(person.asked)
    told = await assistant.call("cancel_orders", account="Sim101", **arguments)
    (question,) = person.asked[asked:]
    assert "Which orders stand could not be read: whatever stands there goes" in question
    assert "what this leaves unprotected is not known" in question
    assert (world.net(), world.live()) == (2, [])
    assert told.status == "accepted"
    assert "no position" not in told.text


async def test_a_cancel_of_all_where_nothing_stands_asks_nobody(
    assistant: Assistant, world: World, person: Person
) -> None:
    told = await assistant.call("cancel_orders", account="Sim101")
    assert (told.status, person.asked) == ("cancelled", [])
    assert told.stands_now == ["no position; working orders: none"]


@pytest.mark.parametrize("account", [None, "Sim101"], ids=["all accounts", "one account"])
async def test_a_stop_of_ours_that_a_list_leaves_out_is_looked_up_and_not_told_as_missing(
    assistant: Assistant, world: World, account: str | None
) -> None:
    """Whoever hears that there is no stop places a second one beside it."""
    await assistant.buys(2)
    stop = await assistant.protects(world.price(-60), quantity=2)
    world.later()
    world.sim.faults.arm(Fault.EMPTY_LISTS)
    listed = await assistant.call("get_orders", account=account)
    assert [order["order_id"] for order in listed.orders] == [stop]
    assert "the list of orders left out what stands in Sim101; it was found by its id" in listed.notes
    (held,) = (await assistant.call("get_positions", account=account)).positions
    assert held["contracts_without_stop"] == 0
    assert "NO STOP" not in (await assistant.call("get_status")).text


async def test_orders_that_the_journal_knew_to_stand_are_not_looked_up_where_the_list_holds_what_became_of_them(
    assistant: Assistant, world: World
) -> None:
    entry = await assistant.rests(world.price(-40))
    (order,) = world.sim.exchange.live_orders("Sim101")
    world.sim.exchange.cancel(order, world.clock())  # by hand, at NinjaTrader
    world.later()
    looked = len(world.sim.requests_of("GetOrder"))
    told = await assistant.call("get_orders", account="Sim101")
    assert told.orders == []
    assert len(world.sim.requests_of("GetOrder")) == looked
    assert entry not in told.text


@pytest.mark.parametrize(("tool", "arguments"), EXITS)
async def test_flat_is_not_said_while_an_order_of_ours_may_still_fill(
    assistant: Assistant,
    world: World,
    store: SqliteStore,
    desk: Desk,
    tool: str,
    arguments: dict[str, Any],
) -> None:
    await assistant.buys(2)
    world.later()
    await is_outstanding(store, desk)
    told = await assistant.call(tool, account="Sim101", **arguments)
    assert world.net() == 0
    assert told.status == "accepted"
    assert told.text.startswith("NOT FLAT FOR CERTAIN: it reads flat, and this may still fill: SIM Sim101 BUY 2 MES")
    assert "t-other" in told.warnings_text
    assert "look with get_positions and get_orders" in told.next_step
    assert "cancel_order with account Sim101, order_id ctmcp-other" in told.next_step
    assert [entry.own_id for entry in await store.unsettled()] == ["ctmcp-other"], "the exit itself is known"


async def test_an_order_that_fills_to_flat_names_what_may_still_fill(
    assistant: Assistant, world: World, store: SqliteStore, desk: Desk
) -> None:
    await assistant.buys(2)
    world.later()
    await is_outstanding(store, desk)
    told = await assistant.buys(2, action="SELL")
    assert (told.status, told.position_after) == ("filled", 0)
    assert told.text.startswith("NOT FLAT FOR CERTAIN")
    assert "t-other" in told.warnings_text


async def test_what_was_sent_long_ago_and_stands_nowhere_is_named_beside_flat(
    assistant: Assistant, world: World, store: SqliteStore, desk: Desk
) -> None:
    await is_outstanding(store, desk)
    await assistant.call("get_positions")
    world.later(120)
    told = await assistant.call("flatten", account="Sim101")
    assert told.status == "flat"
    assert "of unknown outcome, and may still take effect: SIM Sim101 BUY 2 MES" in told.warnings_text
    assert "t-other" in told.warnings_text


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("get_positions", {}),
        ("get_positions", {"account": "Sim101"}),
        ("get_positions", {"account": "Sim101", "instrument": "MES"}),
        ("get_orders", {"account": "Sim101"}),
        ("get_account", {"account": "Sim101"}),
        ("get_accounts", {}),
    ],
)
async def test_nothing_held_is_shown_with_what_may_still_fill(
    assistant: Assistant, store: SqliteStore, desk: Desk, tool: str, arguments: dict[str, Any]
) -> None:
    await is_outstanding(store, desk)
    told = await assistant.call(tool, **arguments)
    assert "may still take effect: SIM Sim101 BUY 2 MES 09-26 MARKET (ticket t-other" in told.text
    assert any("t-other" in note for note in told.notes)


async def test_what_may_fill_in_another_instrument_is_named_beside_flat(
    assistant: Assistant, store: SqliteStore, desk: Desk
) -> None:
    await is_outstanding(store, desk)
    told = await assistant.call("flatten", account="Sim101", instrument="MNQ 09-26")
    assert told.status == "flat"
    assert "t-other" in told.warnings_text


async def test_what_is_outstanding_in_another_account_is_not_named(
    assistant: Assistant, store: SqliteStore, desk: Desk
) -> None:
    await is_outstanding(store, desk, "SimReplay")
    assert "t-other" not in (await assistant.call("get_positions", account="Sim101")).text
    told = await assistant.call("flatten", account="Sim101")
    assert told.status == "flat"
    assert "t-other" not in told.text


# A stop that is lost


async def test_a_replaced_stop_that_is_rejected_leaves_a_bare_position_and_that_is_said_first(
    assistant: Assistant, world: World
) -> None:
    await assistant.buys(2)
    world.later()
    stop = await assistant.protects(world.price(-60), quantity=2)
    world.later()
    world.sim.faults.arm(Fault.LATE_REJECT, rpc="CancelReplace")
    order = {"instrument": "MES", "action": "SELL", "quantity": 2, "order_type": "STOP_MARKET"}
    told = await assistant.call("replace_order", account="Sim101", order_id=stop, stop_price=world.price(-40), **order)
    assert (told.status, world.net(), world.live()) == ("rejected", 2, [])
    assert told.text.startswith("UNPROTECTED: 2 of the 2 contracts held in MES 09-26 stand without a stop")
    assert told.structure["warnings"][0].startswith("UNPROTECTED: 2 of the 2")
    assert "the new one is REJECTED: NEITHER STANDS" in told.warnings_text
    assert told.position_after == 2
    assert "tell the person now; place_order with account Sim101, instrument MES 09-26, action SELL" in told.next_step


async def test_a_replacement_without_an_answer_says_that_the_stop_is_gone_and_puts_none_beside_what_may_stand(
    assistant: Assistant, world: World
) -> None:
    await assistant.buys(2)
    world.later()
    stop = await assistant.protects(world.price(-60), quantity=2)
    world.later()
    world.sim.faults.arm(Fault.FROZEN_ORDERS, rpc="CancelReplace")
    world.sim.faults.arm(Fault.ANSWER_LOST_AFTER_ACCEPT, rpc="CancelReplace")
    order = {"instrument": "MES", "action": "SELL", "quantity": 2, "order_type": "STOP_MARKET"}
    told = await assistant.call("replace_order", account="Sim101", order_id=stop, stop_price=world.price(-40), **order)
    (new,) = world.live()
    assert (told.status, new != stop) == ("unknown", True)
    assert told.text.startswith("UNPROTECTED: 2 of the 2 contracts held in MES 09-26 stand without a stop; may stand:")
    assert "place_order" not in told.next_step
    assert f"get_order with account Sim101, order_id {new}" in told.next_step


@pytest.mark.parametrize("tool", ["cancel_order", "cancel_orders"])
async def test_a_cancelled_stop_is_said_to_leave_the_position_bare(
    assistant: Assistant, world: World, tool: str
) -> None:
    await assistant.buys(2)
    world.later()
    stop = await assistant.protects(world.price(-60), quantity=2)
    world.later()
    named = {"order_id": stop} if tool == "cancel_order" else {}
    told = await assistant.call(tool, account="Sim101", **named)
    assert (told.status, world.live()) == ("cancelled", [])
    assert told.text.startswith("UNPROTECTED: 2 of the 2 contracts held in MES 09-26 stand without a stop")


async def test_a_stop_that_is_rejected_is_said_to_leave_the_position_bare(assistant: Assistant, world: World) -> None:
    await assistant.buys(2)
    world.later()
    world.sim.faults.arm(Fault.LATE_REJECT, rpc="PlaceOrder")
    told = await assistant.buys(2, action="SELL", order_type="STOP_MARKET", stop_price=world.price(-60))
    assert told.status == "rejected"
    assert told.text.startswith("UNPROTECTED: 2 of the 2 contracts")


async def test_a_cancelled_entry_says_what_stands_and_cries_of_nothing(assistant: Assistant, world: World) -> None:
    await assistant.buys(2)
    world.later()
    entry = await assistant.rests(world.price(-40))
    world.later()
    told = await assistant.call("cancel_order", account="Sim101", order_id=entry)
    assert (told.status, told.position_after) == ("cancelled", 2)
    assert any(line.startswith("LONG 2 MES 09-26 at ") for line in told.stands_now)
    assert "UNPROTECTED" not in told.text


# Cancels


@pytest.mark.parametrize("arguments", [{}, {"instrument": "MES"}], ids=["account", "instrument"])
async def test_a_fill_under_a_cancel_of_all_orders_is_told(
    assistant: Assistant, world: World, wire: Wire, arguments: dict[str, str]
) -> None:
    first = await assistant.rests(world.price(-40), quantity=2)
    await assistant.rests(world.price(-60))
    world.later()

    def fills() -> None:
        order = next(order for order in world.sim.exchange.orders if order.id == first)
        world.sim.exchange.change(order, replace(order.terms, limit_price=world.price(8)), world.clock())
        world.later(2)

    wire.meanwhile["/orders/cancel"] = fills
    told = await assistant.call("cancel_orders", account="Sim101", **arguments)
    assert (world.live(), world.net()) == ([], 2)
    assert (told.status, told.filled_quantity) == ("filled", 2)
    assert "FILLED 2 of 2 BEFORE ITS CANCEL: BUY 2 MES 09-26 LIMIT" in told.warnings_text
    assert "the position in MES 09-26 was flat and reads +2 now" in told.warnings_text
    assert "tell the person now" in told.next_step


# Theirs and ours


async def test_their_words_on_a_rejection_are_told_cleaned_and_as_theirs(assistant: Assistant, world: World) -> None:
    world.sim.faults.arm(Fault.LATE_REJECT, rpc="PlaceOrder")
    told = await assistant.buys(1)
    reason = world.sim.exchange.orders[0].error
    assert told.status == "rejected"
    assert reason
    assert f'rejected it after it was accepted: they said "{reason}"' in told.reasons_text
    order = await assistant.call("get_order", account="Sim101", order_id=told.order_id)
    assert order.structure["events"][-1]["said"] == reason
    assert f'they said "{reason}"' in order.text


async def test_a_position_that_is_closed_for_an_order_that_is_rejected_is_told_first(
    assistant: Assistant, world: World, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    await assistant.buys(3, action="SELL")
    world.later()
    template = next(iter(atm.TEMPLATES))
    wire.meanwhile["/flatplace"] = lambda: monkeypatch.delitem(atm.TEMPLATES, template)  # renamed in NinjaTrader
    told = await assistant.buys(1, flatten_first=True, atm_strategy=template)
    assert (told.status, told.position_after, world.net()) == ("rejected", 0, 0)
    assert told.text.startswith("THE POSITION OF -3 WAS CLOSED, and the new order is REJECTED: it reads flat now")


async def test_what_is_outstanding_is_named_beside_other_positions(
    assistant: Assistant, world: World, store: SqliteStore, desk: Desk
) -> None:
    await assistant.buys(2, instrument="ES")
    world.later()
    await is_outstanding(store, desk)
    told = await assistant.call("get_positions")
    assert [row["instrument"] for row in told.positions] == ["ES 09-26"]
    assert any("of unknown outcome" in note and "BUY 2 MES" in note for note in told.notes), told.text
