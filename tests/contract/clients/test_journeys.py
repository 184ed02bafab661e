"""Whole conversations with the official TypeScript clients, over stdio, counted at the simulator."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.simulator import Simulator
from ct_mcp.store.sqlite import SqliteStore

Connect = Callable[..., AbstractAsyncContextManager[Any]]
ACCOUNT = "Sim101"
BUY = {"account": ACCOUNT, "instrument": "MES", "action": "BUY", "quantity": 1, "order_type": "MARKET"}
READS: dict[str, dict[str, object]] = {
    "get_status": {},
    "get_accounts": {},
    "get_account": {"account": ACCOUNT},
    "get_positions": {},
    "get_orders": {},
    "get_executions": {"account": ACCOUNT},
    "get_quotes": {"instruments": ["MES", "ES"]},
    "get_bars": {"instrument": "MES", "count": 5},
    "get_session": {"instrument": "MES"},
    "preview_order": dict(BUY),
    "get_journal": {},
    "get_watches": {},
    "get_trades": {"account": "Sim101"},
    "get_performance": {"account": "Sim101"},
    "wait_for": {"seconds": 1},
}
PROTOCOLS = {"v1": "2025-11-25", "v2-of-two-processes": "2026-07-28", "v2-of-2025": "2025-11-25"}


def held(sim: Simulator) -> dict[str, int]:
    """What the account holds at the simulator, signed, by instrument."""
    account = sim.exchange.account(ACCOUNT)
    assert account is not None
    return {position.contract.name: account.net(position.contract) for position in account.open_positions()}


async def kinds_in_journal(store: SqliteStore, ticket_id: str) -> list[str]:
    """What was written down about a ticket, oldest first."""
    return [entry.kind.value for entry in reversed(await store.entries(50, ticket_id=ticket_id))]


@pytest.mark.parametrize("generation", list(PROTOCOLS), indirect=True)
async def test_an_order_is_approved_filled_read_back_and_flattened(
    connect: Connect, sim: Simulator, store: SqliteStore, generation: str
) -> None:
    """The road: answer, positions, journal and the account at the simulator are one and the same."""
    async with connect() as client:
        assert client.protocol == PROTOCOLS[generation]
        assert (await client.read("get_positions"))["positions"] == []

        preview = await client.read("preview_order", **BUY)
        assert (preview["would_pass"], sim.exchange.orders, client.asked) == (True, [], [])
        placed = await client.read("place_order", **BUY, answers="right text")
        (position,) = (await client.read("get_positions", account="sim101"))["positions"]
        held_before = held(sim)
        left = await client.read("flatten", account=ACCOUNT)
        positions_after = (await client.read("get_positions"))["positions"]
        journal = (await client.read("get_journal", account=ACCOUNT))["entries"]

    (order, exit_order) = sim.exchange.orders
    instrument = order.terms.contract.name
    assert (placed["status"], placed["sent"], placed["filled_quantity"]) == ("filled", True, 1)
    assert placed["order_id"] == order.id
    assert placed["average_fill_price"] == order.average_fill_price == position["average_price"]
    assert (position["instrument"], position["direction"], position["quantity"]) == (instrument, "LONG", 1)
    assert held_before == {instrument: 1}
    assert (left["status"], left["position_after"], positions_after) == ("flat", 0, [])
    assert (held(sim), exit_order.filled) == ({}, 1)
    assert len(client.asked) == 1, "an exit of a simulated account asks nobody"
    assert instrument in client.asked[0]
    kinds = [entry["kind"] for entry in reversed(journal) if entry["ticket_id"] == placed["ticket_id"]]
    assert kinds == ["proposed", "approved", "intent", "accepted", "answered"]
    assert kinds == await kinds_in_journal(store, placed["ticket_id"])


async def test_an_accept_without_the_right_text_sends_nothing_and_so_does_a_no(
    connect: Connect, sim: Simulator, store: SqliteStore
) -> None:
    """The ticket is dead after it, so that the assistant cannot press the same one again.

    The journal calls the accept out. A no was said by a person who had the time to read the question.
    """
    async with connect() as client:
        for quantity, answers in enumerate(("empty form", "wrong text", "decline", "cancel"), start=1):
            is_no, asked_before = answers in {"decline", "cancel"}, len(client.asked)
            order = {**BUY, "quantity": quantity}
            placed = await client.read("place_order", **order, answers=answers, after_ms=1600 if is_no else 0)
            again = await client.call("confirm_ticket", ticket_id=placed["ticket_id"], answers="right text")

            assert (placed["status"], placed["sent"]) == ("declined", False), answers
            assert again["structuredContent"]["status"] == "declined", answers
            assert len(client.asked) - asked_before == 1, answers
            assert ("suspicious" in await kinds_in_journal(store, placed["ticket_id"])) is not is_no, answers
            assert sim.exchange.orders == [], answers


@pytest.mark.parametrize(("generation", "answers"), [("v1", "decline"), ("v2", "cancel")], indirect=["generation"])
async def test_a_no_that_comes_at_once_was_never_shown_and_leaves_the_terminal(
    connect: Connect, sim: Simulator, answers: str
) -> None:
    """Builds of clients decline forms by program; a second form would meet the same program."""
    async with connect(wait=1.0) as client:
        placed = await client.read("place_order", **BUY, answers=answers)
        waited = await client.read("confirm_ticket", ticket_id=placed["ticket_id"], answers="right text")

    assert [placed["status"], waited["status"]] == ["needs_approval", "needs_approval"]
    assert "ct-mcp approve" in placed["next_step"]
    assert len(client.asked) == 1
    assert sim.exchange.orders == []


@pytest.mark.parametrize("generation", ["v1"], indirect=True)
async def test_a_form_that_nobody_answers_is_no_yes(connect: Connect, sim: Simulator) -> None:
    """Only where the question is a request of ours; since 2026 it is an answer, and the client's own to wait for."""
    async with connect(wait=1.0) as client:
        placed = await client.read("place_order", **BUY, answers="nothing")

    assert (placed["status"], placed["sent"]) == ("needs_approval", False)
    assert len(client.asked) == 1
    assert sim.exchange.orders == []


@pytest.mark.parametrize("generation", ["v2"], indirect=True)
async def test_a_client_without_forms_waits_for_the_terminal_and_then_sends_once(
    connect: Connect, sim: Simulator, approve_at_a_terminal: Callable[[], Any]
) -> None:
    async with connect(forms=False, wait=1.0) as client:
        placed = await client.read("place_order", **BUY, answers="right text")
        waited = await client.read("confirm_ticket", ticket_id=placed["ticket_id"])
        assert sim.exchange.orders == []

        seen_at_terminal = await approve_at_a_terminal()
        assert sim.exchange.orders == [], "a yes alone sends nothing"
        sent = await client.read("confirm_ticket", ticket_id=placed["ticket_id"])
        again = await client.call("confirm_ticket", ticket_id=placed["ticket_id"])
        closed = await client.read("close_position", account=ACCOUNT, instrument="MES")

    assert [placed["status"], waited["status"]] == ["needs_approval", "needs_approval"]
    assert waited["expires_in_seconds"] <= placed["expires_in_seconds"]
    assert placed["summary"].split(maxsplit=1)[1] in seen_at_terminal
    assert (sent["status"], sent["filled_quantity"]) == ("filled", 1)
    order, exit_order = sim.exchange.orders
    told = again["structuredContent"]
    assert (told["status"], told["order_id"]) == ("filled", order.id), "what became of it, and nothing was sent anew"
    assert len(sim.requests_of("PlaceOrder")) == 1
    assert (sent["order_id"], order.filled) == (order.id, 1)
    assert (closed["position_after"], exit_order.filled, held(sim)) == (0, 1, {})
    assert client.asked == []


@pytest.mark.parametrize("generation", ["v1"], indirect=True)
async def test_an_order_whose_answer_was_lost_is_found_and_never_sent_again(connect: Connect, sim: Simulator) -> None:
    sim.faults.arm(Fault.ANSWER_LOST_AFTER_ACCEPT, rpc="PlaceOrder", times=1)
    async with connect() as client:
        placed = await client.read("place_order", **BUY, answers="right text")
        again = await client.call("place_order", **BUY, answers="right text")

    (order,) = sim.exchange.orders
    assert (placed["status"], placed["order_id"]) == ("filled", order.id)
    assert "no answer" in placed["reasons"][0]
    assert (again["isError"], again["structuredContent"]["status"]) == (True, "denied")
    assert (len(sim.requests_of("PlaceOrder")), len(client.asked)) == (1, 1)


@pytest.mark.parametrize("generation", ["v2"], indirect=True)
async def test_an_order_that_nobody_can_find_stays_unknown_and_is_never_sent_again(
    connect: Connect, sim: Simulator
) -> None:
    """The answer is lost, and every list and lookup hides the order."""
    sim.faults.arm(Fault.ANSWER_LOST_AFTER_ACCEPT, rpc="PlaceOrder", times=1)
    sim.faults.arm(Fault.EMPTY_LISTS)
    sim.faults.arm(Fault.REFUSED_WITH_400, rpc="GetOrder")
    sim.faults.arm(Fault.REFUSED_WITH_200, rpc="GetOrderLifecycle")
    async with connect() as client:
        placed = await client.call("place_order", **BUY, answers="right text")
        again = await client.call("place_order", **BUY, answers="right text")

    assert (placed["isError"], placed["structuredContent"]["status"]) == (True, "unknown")
    assert placed["structuredContent"]["sent"] == "unknown"
    assert "do NOT send it again" in placed["structuredContent"]["next_step"]
    assert "NOT send it again" in placed["content"][0]["text"]
    assert (again["isError"], again["structuredContent"]["status"]) == (True, "denied")
    assert (len(sim.exchange.orders), len(sim.requests_of("PlaceOrder")), len(client.asked)) == (1, 1, 1)


async def test_every_tool_that_reads_answers_as_its_output_schema_says_and_what_no_tool_takes_is_refused_in_words(
    connect: Connect, sim: Simulator
) -> None:
    """The SDK checks each answer against the listed schema and throws where it does not fit."""
    async with connect() as client:
        tools = await client.tools()
        answers = {name: await client.call(name, **arguments) for name, arguments in READS.items()}
        text = await client.call("place_order", **BUY | {"quantity": "1"}, answers="right text")
        surplus = await client.call("place_order", **BUY, confirm=True, answers="right text")
        unknown = await client.step(do="call", name="buy_everything", arguments={})

    assert set(READS) == {name for name, tool in tools.items() if tool["annotations"]["readOnlyHint"]} - {"get_order"}
    assert [name for name, answer in answers.items() if answer["isError"]] == []
    assert all(answer["content"][0]["text"] for answer in answers.values())
    in_words_alone = {name for name, tool in tools.items() if "outputSchema" not in tool}
    assert in_words_alone == {"get_bars", "get_trades", "get_performance"}
    assert [text["isError"], surplus["isError"]] == [True, True]
    assert "quantity" in text["content"][0]["text"]
    assert "confirm" in surplus["content"][0]["text"]
    assert (unknown["error"]["code"], client.asked, sim.exchange.orders) == (-32602, [], [])


@pytest.mark.parametrize("generation", ["v1"], indirect=True)
async def test_a_resting_order_is_read_changed_and_cancelled(connect: Connect, sim: Simulator) -> None:
    async with connect() as client:
        (quote,) = (await client.read("get_quotes", instruments=["MES"]))["quotes"]
        resting = {**BUY, "order_type": "LIMIT", "limit_price": quote["bid"] - 10}
        placed = await client.read("place_order", **resting, answers="right text")
        (listed,) = (await client.read("get_orders", account=ACCOUNT))["orders"]
        order = {"account": ACCOUNT, "order_id": placed["order_id"]}
        changed = await client.read("change_order", **order, limit_price=quote["bid"] - 11, answers="right text")
        read = await client.read("get_order", **order)
        cancelled = await client.read("cancel_order", **order)
        nothing_left = await client.read("cancel_orders", account=ACCOUNT)

    assert [placed["status"], changed["status"], cancelled["status"]] == ["working", "changed", "cancelled"]
    assert (listed["order_id"], listed["limit_price"]) == (placed["order_id"], quote["bid"] - 10)
    assert read["order"]["limit_price"] == quote["bid"] - 11
    assert nothing_left["sent"] is not False
    assert (sim.exchange.live_orders(ACCOUNT), held(sim)) == ([], {})
