"""What became of a spent ticket, asked again: as of when it was so, and what stands now."""

import pytest

from ct_mcp.desk.controls import Actor
from ct_mcp.desk.desk import Desk
from ct_mcp.simulator.accounts import LIVE, SIM, AccountSpec
from ct_mcp.simulator.faults import Fault, Lag
from ct_mcp.simulator.orders import Action, OrderLabels, OrderTerms, SimOrderType
from ct_mcp.simulator.simulator import SimulatorSettings
from ct_mcp.store.sqlite import SqliteStore
from tests.e2e.conftest import Assistant, Told, Wire, World

ACCOUNT, OTHER = "Sim101", "Sim102"
SECOND = AccountSpec(3, OTHER, OTHER, "Simulator", OTHER, cash=50_000.0)
NOT_AGAIN = "do NOT send it again"


@pytest.fixture
def settings() -> SimulatorSettings:
    return SimulatorSettings(accounts=(SIM, SECOND, LIVE))


def somebody_buys(world: World, quantity: int, account: str = ACCOUNT) -> None:
    """The person's own hand in NinjaTrader, or another program."""
    exchange, contract = world.sim.exchange, world.sim.market.front("MES", world.clock())
    terms = OrderTerms(contract, Action.BUY, quantity, SimOrderType.MARKET)
    exchange.submit(exchange.accounts[account], terms, OrderLabels(), world.clock())


async def again(assistant: Assistant, told: Told) -> Told:
    """Ask what became of it, which sends nothing."""
    return await assistant.call("confirm_ticket", ticket_id=told.ticket_id)


# What was read, as of then


async def test_an_answer_is_told_again_whole_while_all_stands_as_it_did(assistant: Assistant, world: World) -> None:
    await assistant.buys(2)
    world.later()
    flat = await assistant.call("flatten", account=ACCOUNT)
    told = await again(assistant, flat)
    assert (told.status, told.position_after) == ("flat", 0)
    assert told.stands_now == flat.stands_now
    assert told.text.startswith("FLAT as of 14:30:"), told.text
    assert " UTC, 0 s ago (sent)" in told.text.splitlines()[0]


async def test_a_flat_of_then_is_not_one_of_now(assistant: Assistant, world: World) -> None:
    await assistant.buys(1)
    world.later()
    flat = await assistant.call("flatten", account=ACCOUNT, instrument="MES")
    world.later(600)
    somebody_buys(world, 3)
    world.later(60)
    told = await again(assistant, flat)
    first, second, *_, last = told.text.splitlines()
    assert first.startswith("NOT FLAT ANY MORE: LONG 3 MES 09-26"), told.text
    assert second.startswith("FLAT as of ")
    assert " UTC, 11 min ago (sent)" in second
    assert " UTC, 11 min ago (sent); position as it reads now: +3" in last
    assert told.position_after == 3


async def test_where_nothing_can_be_read_what_was_cried_is_of_then_and_there_is_only_to_look(
    assistant: Assistant, world: World
) -> None:
    first = await unprotected(assistant, world)
    world.sim.faults.arm(Fault.ERROR_500_BEFORE_ACCEPT, rpc="ListPositions")
    told = await again(assistant, first)
    assert told.text.startswith("as of 14:30:"), told.text
    assert " ago: UNPROTECTED: 2 of the 2" in told.text.splitlines()[0]
    assert "look with get_positions and get_orders" in told.next_step
    assert "place_order" not in told.next_step
    assert (told.position_after, told.stands_now) == (None, [])


async def test_an_order_that_has_filled_since_is_told_as_filled(assistant: Assistant, world: World) -> None:
    order = await assistant.buys(1, order_type="LIMIT", limit_price=world.price(-4))
    assert order.status == "working"
    for _ in range(400):
        world.later(30)
        if not world.live():
            break
    told = await again(assistant, order)
    assert (told.status, told.order_state, told.filled_quantity) == ("filled", "FILLED", 1), told.text
    assert told.position_after == world.net() == 1
    assert " ago: working" in told.reasons_text


async def test_an_order_that_had_filled_says_so_and_not_that_its_state_is_unknown(
    assistant: Assistant, world: World
) -> None:
    told = await again(assistant, await assistant.buys(1))
    assert told.order_state == "FILLED"
    assert "state unknown" not in told.text


async def unprotected(assistant: Assistant, world: World) -> Told:
    """The answer to a replacement that left the position without its stop."""
    await assistant.buys(2)
    world.later()
    stop = await assistant.protects(world.price(-40), quantity=2)
    world.later()
    world.sim.faults.arm(Fault.LATE_REJECT, rpc="CancelReplace", times=1)
    order = {"instrument": "MES", "action": "SELL", "quantity": 2, "order_type": "STOP_MARKET"}
    told = await assistant.call("replace_order", account=ACCOUNT, order_id=stop, **order, stop_price=world.price(-30))
    assert told.text.startswith("UNPROTECTED: 2 of the 2"), told.text
    assert "place_order" in told.next_step
    return told


async def test_a_cry_that_was_not_heard_is_told_again_with_all_there_is_to_do(
    assistant: Assistant, world: World
) -> None:
    first = await unprotected(assistant, world)
    told = await again(assistant, first)
    assert told.text.startswith("UNPROTECTED: 2 of the 2"), told.text
    assert told.next_step == first.next_step


async def test_a_cry_that_was_answered_asks_for_no_second_stop(assistant: Assistant, world: World) -> None:
    first = await unprotected(assistant, world)
    await assistant.protects(world.price(-40), quantity=2)  # as it said
    world.later(30)
    told = await again(assistant, first)
    assert told.text.startswith("REJECTED as of "), told.text
    assert "stop 2 of 2" in told.text
    assert "place_order" not in told.next_step
    assert " ago: UNPROTECTED: 2 of the 2" in told.warnings_text


async def test_a_cry_asks_for_no_second_stop_beside_one_that_may_still_come(assistant: Assistant, world: World) -> None:
    first = await unprotected(assistant, world)
    world.sim.faults.arm(Fault.REQUEST_LOST_BEFORE_ACCEPT, rpc="PlaceOrder", times=1)
    lost = await assistant.buys(2, action="SELL", order_type="STOP_MARKET", stop_price=world.price(-40))
    assert lost.status == "unknown"
    told = await again(assistant, first)
    assert told.text.startswith("UNPROTECTED: 2 of the 2"), told.text
    assert "place_order" not in told.next_step
    assert "a stop may be on its way" in told.next_step


async def test_of_many_accounts_the_one_that_is_not_flat_any_more_is_named(assistant: Assistant, world: World) -> None:
    for account in (ACCOUNT, OTHER):
        await assistant.buys(1, account=account)
        world.later()
    flat = await assistant.call("flatten_everything")
    assert flat.status == "flat", flat.text
    whole = await again(assistant, flat)
    assert (whole.status, whole.position_after) == ("flat", 0), whole.text
    world.later(600)
    somebody_buys(world, 3, OTHER)
    world.later(60)
    before = len(world.sim.requests)
    told = await again(assistant, flat)
    assert told.text.startswith("NOT FLAT ANY MORE: LONG 3 MES 09-26"), told.text
    assert f"[{OTHER}]" in told.text.splitlines()[0]
    assert told.position_after is None
    assert f"{OTHER}: LONG 3 MES 09-26" in " | ".join(told.stands_now)
    assert len(world.sim.requests) - before <= 3, "one reading of all"


# Watches


async def test_a_watch_that_goes_on_is_not_told_as_one_that_sends_nothing(
    assistant: Assistant, world: World, desk: Desk
) -> None:
    await assistant.buys(1)
    world.later(5)
    watch = await assistant.call("set_watch", kind="flat_by", account=ACCOUNT, time="10 minutes")
    told = await again(assistant, watch)
    assert told.status == "set"
    assert "the watch goes on, and sends by itself when it is due" in told.next_step
    for _ in range(120):
        world.later(6)
        await desk.exit_watch.look()
    assert world.sim.requests_of("Flatten"), "it is sent at its time"
    told = await again(assistant, watch)
    assert told.next_step.startswith("the watch is over, as of "), told.text


async def test_a_watch_that_was_never_kept_is_told_as_not_set(
    assistant: Assistant, world: World, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ends_here(*_: object, **__: object) -> None:
        raise RuntimeError("the process ends here")

    await assistant.buys(1)
    with monkeypatch.context() as broken:
        broken.setattr(SqliteStore, "open_watch", ends_here)
        await assistant.call("set_watch", kind="flat_by", account=ACCOUNT, time="10 minutes")
    (intent,) = await store.unsettled()
    world.later(61)
    told = await assistant.call("confirm_ticket", ticket_id=intent.ticket_id)
    assert (told.status, told.sent) == ("denied", False), told.text
    assert "no watch was set" in told.reasons_text


# What reached nobody


@pytest.mark.parametrize(("tool", "rpc"), [("close_position", "ClosePosition"), ("flatten", "Flatten")])
async def test_an_exit_that_reached_nobody_may_be_proposed_anew_once_it_cannot_come_any_more(
    assistant: Assistant, world: World, store: SqliteStore, tool: str, rpc: str
) -> None:
    await assistant.buys(2)
    world.later(30)
    world.sim.faults.arm(Fault.REQUEST_LOST_BEFORE_ACCEPT, rpc=rpc, times=1)
    lost = await assistant.call(tool, account=ACCOUNT, instrument="MES")
    assert lost.status == "unknown"
    world.later(20)
    told = await again(assistant, lost)
    assert "nothing more of it can come" not in told.next_step, "it may still come"
    world.later(90)
    told = await again(assistant, lost)
    assert await store.unsettled() == ()
    assert (told.status, told.position_after) == ("unknown", 2), told.text
    assert "nothing more of it can come" in told.next_step
    assert NOT_AGAIN not in told.next_step
    assert "got no answer" in told.reasons_text
    assert (await assistant.call(tool, account=ACCOUNT, instrument="MES")).status == "flat"


async def test_an_exit_whose_order_still_works_is_not_told_as_one_that_cannot_come(
    assistant: Assistant, world: World
) -> None:
    await assistant.buys(2)
    world.later(30)
    world.sim.faults.arm(Lag.CLOSE_STUCK)
    taken = await assistant.call("close_position", account=ACCOUNT, instrument="MES")
    world.later(90)
    told = await again(assistant, taken)
    assert (told.status, told.position_after) == ("accepted", 2), told.text
    assert NOT_AGAIN in told.next_step
    assert "propose anew" not in told.next_step


async def test_a_change_that_reached_nobody_tells_how_the_order_stands(assistant: Assistant, world: World) -> None:
    before, wanted = world.price(-60), world.price(-70)
    order = await assistant.rests(before)
    world.sim.faults.arm(Fault.REQUEST_LOST_BEFORE_ACCEPT, rpc="Change", times=1)
    change = {"account": ACCOUNT, "order_id": order, "limit_price": wanted}
    lost = await assistant.call("change_order", **change)
    world.later(90)
    told = await again(assistant, lost)
    assert told.text.startswith(f"NOT AS ASKED: it stands as BUY 1 MES 09-26 LIMIT {before:g} WORKING"), told.text
    assert "got no answer" in told.reasons_text
    assert NOT_AGAIN not in told.next_step
    assert (await assistant.call("change_order", **change)).status == "changed"


async def test_a_change_whose_answer_was_lost_is_told_as_changed_once_that_was_read(
    assistant: Assistant, world: World, wire: Wire
) -> None:
    order = await assistant.rests(world.price(-60))
    world.later()
    world.sim.faults.arm(Fault.ANSWER_LOST_AFTER_ACCEPT, rpc="Change", times=1)
    world.sim.faults.arm(Fault.ERROR_500_BEFORE_ACCEPT, rpc="GetOrder")
    wire.meanwhile["/change"] = lambda: world.sim.faults.arm(Fault.BAD_GATEWAY, rpc="ListOrders")
    lost = await assistant.call("change_order", account=ACCOUNT, order_id=order, limit_price=world.price(-70))
    assert lost.status == "unknown"
    world.sim.faults.disarm()
    told = await again(assistant, lost)
    assert told.status == "changed", told.text
    assert "NOT AS ASKED" not in told.text


async def test_a_cancel_that_reached_nobody_is_found_out_and_may_go_again_at_once(
    assistant: Assistant, world: World
) -> None:
    order = await assistant.rests(world.price(-60))
    world.sim.faults.arm(Fault.REQUEST_LOST_BEFORE_ACCEPT, rpc="Cancel", times=1)
    lost = await assistant.call("cancel_order", account=ACCOUNT, order_id=order)
    assert lost.status == "unknown"
    for told in (lost, await again(assistant, lost)):
        assert NOT_AGAIN not in told.next_step, told.text
        assert "may be cancelled again" in told.next_step
    world.later(180)
    told = await again(assistant, lost)
    assert told.text.startswith("NOT CANCELLED: it stands as BUY 1 MES 09-26 LIMIT"), told.text
    assert (told.status, world.states()) == ("working", ["Working"])
    assert not (await assistant.call("get_status")).unknown_outcomes
    assert (await assistant.call("cancel_order", account=ACCOUNT, order_id=order)).status == "cancelled"
    told = await again(assistant, lost)
    assert told.status == "cancelled", told.text


async def test_a_cancel_of_all_that_reached_nobody_names_what_stands_still(assistant: Assistant, world: World) -> None:
    order = await assistant.rests(world.price(-60))
    world.later()
    world.sim.faults.arm(Fault.REQUEST_LOST_BEFORE_ACCEPT, rpc="CancelOrders", times=1)
    lost = await assistant.call("cancel_orders", account=ACCOUNT)
    world.later(90)
    told = await again(assistant, lost)
    assert told.text.startswith("NOT CANCELLED: BUY 1 MES 09-26 LIMIT"), told.text
    assert order in told.text.splitlines()[0]
    assert NOT_AGAIN not in told.next_step


async def test_what_the_person_settled_is_told_as_theirs_and_not_as_one_to_wait_for(
    assistant: Assistant, world: World, desk: Desk, store: SqliteStore
) -> None:
    world.sim.faults.arm(Fault.REQUEST_LOST_BEFORE_ACCEPT, rpc="PlaceOrder", times=1)
    lost = await assistant.buys(1)
    (entry,) = await store.unsettled()
    await desk.controls.settle(entry, "it never arrived", Actor.TERMINAL)
    told = await again(assistant, lost)
    assert told.status == "unknown"
    assert "not read from the account: it never arrived" in told.reasons_text
    assert NOT_AGAIN not in told.next_step
    assert "confirm_ticket" not in told.next_step


async def test_an_entry_that_has_filled_since_is_told_with_the_stop_that_is_not_seen_yet(
    assistant: Assistant, world: World
) -> None:
    placed = await assistant.buys(2, order_type="LIMIT", limit_price=world.price(-2), stop_loss="30 points")
    assert placed.status == "working", placed.text
    while not world.net():
        world.later(10)
    told = await assistant.call("confirm_ticket", ticket_id=placed.structure["ticket_id"])
    assert told.status == "filled", told.text
    assert "a stop is NOT SEEN YET behind 2 of the 2" in told.text.splitlines()[0]
