"""A server that is killed at any step leaves a whole story, and its successor sends nothing again."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio
import pytest

from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.simulator import Simulator
from ct_mcp.store.journal import EntryKind
from ct_mcp.store.sqlite import SqliteStore
from tests.resilience.conftest import Start, Succeeded

BUY = {"account": "Sim101", "instrument": "MES", "action": "BUY", "quantity": 1, "order_type": "MARKET"}
# Denied for its size: before the answer, what is outstanding is looked at.
TOO_LARGE = {**BUY, "quantity": 99}
HOLD = {
    "account": "Sim101",
    "strategy_class": "HoldLong",
    "instrument": "MES",
    "mode": "account",
    "period_type": "minute",
    "period": 5,
}
# A bracket that was taken stands, and is told as such; the rest is a repeat of what nobody knows the end of.
REFUSALS = ("OUTCOME_UNRESOLVED", "DUPLICATE_WITHIN_WINDOW", "it stands there already")
# Twice is more than once with these, so they wait until it is known what became of the first.
ADDS_UP = {"place_order", "change_order", "replace_order", "reverse_position", "protect_position", "start_strategy"}
BEFORE_THE_INTENT, BETWEEN_INTENT_AND_SEND = "before intent", "after intent"
BEFORE_THE_READ_BACK, BEFORE_THE_JOURNALS_ANSWER = "after accepted", "before answered"

NOBODY_CAN_LOOK = {
    "GetOrder": Fault.ADDON_OFFLINE,
    "GetOrderLifecycle": Fault.ERROR_500_BEFORE_ACCEPT,
    "ListOrders": Fault.BAD_GATEWAY,
}

LONGEST_SECONDS = 30
Arguments = Mapping[str, object]
Prepare = Callable[[Any, Simulator], Awaitable[Arguments]]


def writes(sim: Simulator) -> list[str]:
    """All that arrived and could change something."""
    return [seen.rpc for seen in sim.requests if seen.method != "GET" and seen.rpc != "GetBars"]


async def killed_at(place: str, start: Start, **order: object) -> None:
    """Place an order, and kill the server where it stands."""
    server = await start(place)
    server.begins("place_order", **{**BUY, **order})
    await server.stops()
    server.is_killed()


async def killed_while_sending(server: Any, sim: Simulator, rpc: str, tool: str, **arguments: object) -> None:
    """Call a tool, and kill the server while the answer to its request is held back."""
    sim.faults.arm(Fault.SLOW_ANSWER, rpc=rpc, times=1)
    server.begins(tool, **arguments)
    with anyio.fail_after(LONGEST_SECONDS):
        await sim.faults.slow_answer_waits()
    server.is_killed()
    sim.faults.disarm()


async def kinds(store: SqliteStore) -> list[EntryKind]:
    """What the journal tells of the orders, oldest first."""
    assert (await store.verify()).ok
    return [entry.kind for entry in reversed(await store.entries(100))]


async def unsettled(server: Any) -> list[str]:
    """What the status lists as of unknown outcome: our ids."""
    status = await server.call("get_status")
    assert all(row["our_order_id"] in status["text"] for row in status["unknown_outcomes"])
    return [row["our_order_id"] for row in status["unknown_outcomes"]]


async def test_killed_before_the_intent_nothing_was_sent_and_nothing_stands_in_the_way(
    start: Start, sim: Simulator, store: SqliteStore
) -> None:
    await killed_at(BEFORE_THE_INTENT, start)
    assert await kinds(store) == ["proposed"]
    server = await start()
    assert await unsettled(server) == []
    assert writes(sim) == []
    told = await server.call("place_order", **BUY)
    assert told["status"] == "filled", told
    assert writes(sim) == ["PlaceOrder"]


async def test_killed_between_intent_and_send_the_order_counts_as_one_that_may_exist(
    start: Start, sim: Simulator, store: SqliteStore, tell_why: Callable[[str], Awaitable[str]]
) -> None:
    await killed_at(BETWEEN_INTENT_AND_SEND, start)
    sim.advance(120)
    server = await start()
    (own_id,) = await unsettled(server)
    told = await server.call("place_order", **BUY)
    assert (told["status"], told["sent"]) == ("denied", False)
    assert "OUTCOME_UNRESOLVED" in told["text"]
    assert await unsettled(server) == [own_id], "absence proves nothing"
    assert writes(sim) == []
    assert await kinds(store) == ["proposed", "intent", "denied"]
    why = await tell_why(own_id)
    assert "What became of it is not known." in why
    assert f"ct-mcp journal settle {own_id.removeprefix('ctmcp-')}" in why


async def test_killed_while_sending_the_order_is_found_by_our_own_id(
    start: Start, sim: Simulator, store: SqliteStore, tell_why: Callable[[str], Awaitable[str]]
) -> None:
    await killed_while_sending(await start(), sim, "PlaceOrder", "place_order", **BUY)
    assert await kinds(store) == ["proposed", "intent"]
    server = await start()
    (own_id,) = await unsettled(server)
    for rpc, fault in NOBODY_CAN_LOOK.items():
        sim.faults.arm(fault, rpc=rpc)
    told = await server.call("place_order", **BUY)
    assert "OUTCOME_UNRESOLVED" in told["text"]
    sim.faults.disarm()
    told = await server.call("place_order", **TOO_LARGE)
    assert told["status"] == "denied"
    assert await unsettled(server) == []
    assert writes(sim) == ["PlaceOrder"]
    assert (await kinds(store))[-2:] == ["settled", "denied"]
    assert "It ended: FILLED" in await tell_why(own_id)


@pytest.mark.parametrize("place", [BEFORE_THE_READ_BACK, BEFORE_THE_JOURNALS_ANSWER])
async def test_killed_after_the_answer_the_order_is_found_and_settled(
    start: Start, sim: Simulator, store: SqliteStore, tell_why: Callable[[str], Awaitable[str]], place: str
) -> None:
    await killed_at(place, start)
    assert await kinds(store) == ["proposed", "intent", "accepted"]
    server = await start()
    (own_id,) = await unsettled(server)
    await server.call("place_order", **TOO_LARGE)
    assert await unsettled(server) == []
    assert writes(sim) == ["PlaceOrder"]
    assert "It ended: FILLED" in await tell_why(own_id)


async def test_a_ticket_that_was_spent_before_the_kill_is_not_spent_again(
    start: Start, sim: Simulator, store: SqliteStore
) -> None:
    await killed_at(BETWEEN_INTENT_AND_SEND, start)
    (intent,) = await store.unsettled()
    told = await (await start()).call("confirm_ticket", ticket_id=intent.ticket_id)
    assert "this ticket was spent before" in told["text"]
    assert told["text"].startswith("UNKNOWN")
    assert writes(sim) == []


def price(sim: Simulator, ticks_away: int) -> float:
    """A price so many ticks above the last trade, or below it."""
    contract = sim.market.front("MES", sim.clock())
    return float((sim.market.top(contract, sim.clock()).last + ticks_away) * contract.product.tick_size)


async def resting(server: Any, sim: Simulator) -> str:
    """The id of an order that stands in the market."""
    told = await server.call("place_order", **{**BUY, "order_type": "LIMIT", "limit_price": price(sim, -40)})
    assert told["status"] == "working", told["text"]
    return str(told["order_id"])


async def held(server: Any) -> None:
    """Two contracts, long."""
    told = await server.call("place_order", **{**BUY, "quantity": 2})
    assert told["status"] == "filled", told["text"]


async def running(server: Any) -> str:
    """The id of a strategy that holds a contract."""
    told = await server.call("start_strategy", **HOLD)
    assert told["status"] == "changed", told["text"]
    return str(told["strategy_id"])


async def paused(server: Any) -> str:
    """The id of one that was disabled."""
    strategy_id = await running(server)
    await server.call("disable_strategy", account="Sim101", strategy_id=strategy_id)
    return strategy_id


async def placing(server: Any, sim: Simulator) -> Arguments:
    return BUY


async def flattening_first(server: Any, sim: Simulator) -> Arguments:
    await held(server)
    return {**BUY, "action": "SELL", "flatten_first": True}


async def an_order(server: Any, sim: Simulator) -> Arguments:
    return {"account": "Sim101", "order_id": await resting(server, sim)}


async def changing(server: Any, sim: Simulator) -> Arguments:
    return {**await an_order(server, sim), "quantity": 2}


async def replacing(server: Any, sim: Simulator) -> Arguments:
    return {**BUY, **await an_order(server, sim)}


async def all_orders(server: Any, sim: Simulator) -> Arguments:
    await resting(server, sim)
    return {"account": "Sim101"}


async def an_account(server: Any, sim: Simulator) -> Arguments:
    await held(server)
    return {"account": "Sim101"}


async def all_accounts(server: Any, sim: Simulator) -> Arguments:
    await held(server)
    return {}


async def a_position(server: Any, sim: Simulator) -> Arguments:
    await held(server)
    return {"account": "Sim101", "instrument": "MES"}


async def half_a_position(server: Any, sim: Simulator) -> Arguments:
    return {**await a_position(server, sim), "quantity": 1}


async def protecting(server: Any, sim: Simulator) -> Arguments:
    return {**await a_position(server, sim), "stop_loss": price(sim, -60), "take_profit": price(sim, 60)}


async def starting(server: Any, sim: Simulator) -> Arguments:
    return HOLD


async def a_strategy(server: Any, sim: Simulator) -> Arguments:
    return {"account": "Sim101", "strategy_id": await running(server)}


async def a_paused_strategy(server: Any, sim: Simulator) -> Arguments:
    return {"account": "Sim101", "strategy_id": await paused(server)}


@pytest.mark.parametrize(
    ("rpc", "tool", "prepare"),
    [
        ("PlaceOrder", "place_order", placing),
        ("FlatPlace", "place_order", flattening_first),
        ("Change", "change_order", changing),
        ("CancelReplace", "replace_order", replacing),
        ("Cancel", "cancel_order", an_order),
        ("CancelOrders", "cancel_orders", all_orders),
        ("ClosePosition", "close_position", a_position),
        ("ClosePosition", "close_position", half_a_position),
        ("Flatten", "flatten", an_account),
        ("Flatten", "flatten_everything", all_accounts),
        ("Reverse", "reverse_position", a_position),
        ("CancelAndBracket", "protect_position", protecting),
        ("StartStrategy", "start_strategy", starting),
        ("EnableStrategy", "enable_strategy", a_paused_strategy),
        ("DisableStrategy", "disable_strategy", a_strategy),
        ("CloseStrategy", "close_strategy", a_strategy),
    ],
)
async def test_killed_while_sending_whatever_it_was_is_told_and_never_sent_again(
    start: Start, succeeded: Succeeded, sim: Simulator, store: SqliteStore, rpc: str, tool: str, prepare: Prepare
) -> None:
    server = await start()
    arguments = await prepare(server, sim)
    await killed_while_sending(server, sim, rpc, tool, **arguments)
    sent = writes(sim)
    assert sent[-1] == rpc
    (intent,) = await store.unsettled()

    async with succeeded() as successor:
        assert await unsettled(successor) == [intent.own_id]
        if tool in ADDS_UP:
            told = await successor.call(tool, **arguments)
            assert any(why in told["text"] for why in REFUSALS), told["text"]
        sim.advance(120)
        await successor.call("place_order", **TOO_LARGE)
        left = await unsettled(successor)
    if tool == "start_strategy":
        assert left == [intent.own_id], "it carries no id of ours, and no answer named its own"
    else:
        assert left == []
        assert (await store.story(intent.ticket_id or ""))[-1].kind == "settled"
    assert (await store.verify()).ok
    assert writes(sim) == sent
