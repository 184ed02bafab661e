"""One order in the place of another: the new one has a new id, and never do both stand in silence."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from mcp_types import ElicitResult

from ct_mcp.domain.approval import Halt
from ct_mcp.guard.policy import Limits, Policy
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault
from ct_mcp.store.sqlite import SqliteStore
from tests.conftest import Person
from tests.e2e.conftest import Assistant, Told, Wire, World

NEVER = [Fault.ADDON_OFFLINE, Fault.CONNECT_REFUSED, Fault.FORBIDDEN, Fault.RATE_LIMITED]
LOST = [Fault.REQUEST_LOST_BEFORE_ACCEPT, Fault.ERROR_500_BEFORE_ACCEPT, Fault.BAD_GATEWAY]
TAKEN = [Fault.ANSWER_LOST_AFTER_ACCEPT, Fault.TIMEOUT_AFTER_ACCEPT, Fault.UNREADABLE_JSON]


@pytest.fixture
async def resting(assistant: Assistant, world: World) -> str:
    """The id of an order to buy that rests."""
    order_id = await assistant.rests(world.price(-40))
    world.later()
    return order_id


@pytest.fixture
def replaces(assistant: Assistant, world: World) -> Callable[..., Awaitable[Told]]:
    """Replace an order by one that rests a little lower, or by what a test makes of it."""

    async def done(order_id: str, **more: object) -> Told:
        order = {"instrument": "MES", "action": "BUY", "quantity": 2, "order_type": "LIMIT"}
        wanted = {**order, "limit_price": world.price(-44), **more}
        return await assistant.call("replace_order", **{"account": "Sim101", "order_id": order_id, **wanted})

    return done


async def test_the_old_order_goes_and_the_new_one_stands_under_a_new_id(
    world: World, person: Person, wire: Wire, resting: str, replaces: Callable[..., Awaitable[Told]]
) -> None:
    terms = f"BUY 2 MES 09-26 LIMIT {world.price(-44):g}"
    told = await replaces(resting)
    assert (told.status, told.sent, told.is_error) == ("working", True, False)
    assert told.order_id not in (resting, None)
    assert world.live() == [told.order_id]
    assert told.summary == f"SIM  Sim101  REPLACE {resting} by {terms}"
    assert len(person.asked) == 2
    path, said = wire.posts()[-1]
    assert path == f"/v1/api/accounts/Sim101/orders/{resting}/replace"
    assert (said["quantity"], said["instrument"]) == (2, "MES 09-26")


async def test_a_replacement_may_fill_at_once(
    world: World, resting: str, replaces: Callable[..., Awaitable[Told]]
) -> None:
    told = await replaces(resting, order_type="MARKET", limit_price=None, quantity=1)
    assert (told.status, told.filled_quantity, told.position_after, world.net()) == ("filled", 1, 1, 1)
    assert world.live() == []


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"quantity": 50}, "QUANTITY_EXCEEDS_MAXIMUM"),
        ({"limit_price": None}, "LIMIT_PRICE_MISSING"),
        ({"order_type": "MARKET"}, "LIMIT_PRICE_SUPERFLUOUS"),
        ({"limit_price": 1.0}, "PRICE"),
        ({"oco_id": "a;b"}, "NAME_INVALID"),
    ],
)
async def test_the_new_order_is_held_to_every_rule(
    world: World, resting: str, replaces: Callable[..., Awaitable[Told]], more: dict[str, Any], code: str
) -> None:
    told = await replaces(resting, **more)
    assert (told.status, told.sent) == ("denied", False)
    assert code in told.reasons_text
    assert world.live() == [resting]
    assert not world.sim.requests_of("CancelReplace")


async def test_an_order_that_is_not_there_is_not_replaced(
    world: World, resting: str, replaces: Callable[..., Awaitable[Told]]
) -> None:
    told = await replaces("12345678")
    assert (told.status, told.sent) == ("denied", False)
    assert "ORDER_UNKNOWN" in told.reasons_text
    assert world.live() == [resting]


async def test_what_cannot_be_read_is_not_replaced(
    world: World, resting: str, replaces: Callable[..., Awaitable[Told]]
) -> None:
    world.sim.faults.arm(Fault.ERROR_500_BEFORE_ACCEPT, rpc="ListOrders")
    told = await replaces(resting)
    assert (told.status, told.sent) == ("denied", False)
    assert "UNKNOWN" in told.reasons_text
    assert world.live() == [resting]


async def test_a_real_account_is_not_touched_in_sim_mode(
    replaces: Callable[..., Awaitable[Told]], world: World
) -> None:
    told = await replaces("1", account="APEX-482910")
    assert (told.status, told.sent) == ("denied", False)
    assert "ACCOUNT_NOT_SIMULATED" in told.reasons_text


@pytest.mark.parametrize("policy", [Policy(limits=Limits(max_orders_per_minute=1))], ids=["one a minute"])
async def test_a_replacement_counts_as_an_order(
    assistant: Assistant, world: World, replaces: Callable[..., Awaitable[Told]]
) -> None:
    order_id = await assistant.rests(world.price(-40))
    told = await replaces(order_id)
    assert (told.status, world.live()) == ("denied", [order_id])
    assert "ORDERS_PER_MINUTE" in told.reasons_text


async def test_a_halt_stops_it(
    world: World, store: SqliteStore, clock: ManualClock, resting: str, replaces: Callable[..., Awaitable[Told]]
) -> None:
    await store.set_halt(Halt("person", clock(), "lunch"))
    told = await replaces(resting)
    assert told.status == "denied"
    assert "TRADING_HALTED" in told.reasons_text
    assert world.live() == [resting]


async def test_a_no_of_the_person_leaves_the_old_order(
    world: World, person: Person, resting: str, replaces: Callable[..., Awaitable[Told]]
) -> None:
    person.answer = lambda _: ElicitResult(action="decline")
    told = await replaces(resting)
    assert (told.status, world.live()) == ("declined", [resting])


async def test_another_account_or_a_flatten_cannot_be_asked_for(
    assistant: Assistant, world: World, resting: str, replaces: Callable[..., Awaitable[Told]]
) -> None:
    told = await replaces(resting, flatten_first=True)
    assert told.text.startswith("REQUEST_INVALID: flatten_first is not a parameter of this tool")
    assert world.live() == [resting]


async def test_an_old_order_that_is_gone_meanwhile_leaves_nothing_new(
    world: World, wire: Wire, resting: str, replaces: Callable[..., Awaitable[Told]]
) -> None:
    def goes() -> None:
        (order,) = world.sim.exchange.live_orders("Sim101")
        world.sim.exchange.cancel(order, world.clock())
        world.later(1)

    wire.meanwhile["/replace"] = goes
    told = await replaces(resting)
    assert (told.status, world.live()) == ("rejected", [])


async def test_an_old_order_that_cannot_be_cancelled_still_stands_alone(
    assistant: Assistant, world: World, replaces: Callable[..., Awaitable[Told]]
) -> None:
    world.sim.faults.arm(Fault.FROZEN_ORDERS, rpc="PlaceOrder", times=1)
    stuck = (await assistant.buys(1, order_type="LIMIT", limit_price=world.price(-40))).order_id
    told = await replaces(stuck)
    assert (told.status, world.live()) == ("unknown", [stuck])
    assert "was not cancelled in time" in told.reasons_text


async def test_a_late_reject_of_the_new_order_is_told(
    world: World, resting: str, replaces: Callable[..., Awaitable[Told]]
) -> None:
    world.sim.faults.arm(Fault.LATE_REJECT, rpc="CancelReplace")
    told = await replaces(resting)
    assert (told.status, world.live()) == ("rejected", [])


@pytest.mark.parametrize("fault", NEVER)
async def test_what_never_happened_says_so(
    world: World, store: SqliteStore, resting: str, replaces: Callable[..., Awaitable[Told]], fault: Fault
) -> None:
    world.sim.faults.arm(fault, rpc="CancelReplace")
    told = await replaces(resting)
    assert told.is_error
    assert "Nothing was changed in the account." in told.text
    assert world.live() == [resting]
    assert await store.unsettled() == ()


@pytest.mark.parametrize("fault", LOST)
async def test_a_lost_replacement_is_unknown_and_never_sent_again(
    world: World, resting: str, replaces: Callable[..., Awaitable[Told]], fault: Fault
) -> None:
    world.sim.faults.arm(fault, rpc="CancelReplace")
    wanted = {"limit_price": world.price(-44)}
    told = await replaces(resting, **wanted)
    assert (told.status, told.sent, told.is_error) == ("unknown", "unknown", True)
    assert "look" in told.next_step
    world.later()
    again = await replaces(resting, **wanted)
    assert (again.status, again.sent) == ("denied", False)
    assert world.live() == [resting]
    assert len(world.sim.requests_of("CancelReplace")) == 1


@pytest.mark.parametrize("fault", TAKEN)
async def test_a_replacement_without_an_answer_is_not_claimed_and_what_is_new_is_listed(
    world: World, resting: str, replaces: Callable[..., Awaitable[Told]], fault: Fault
) -> None:
    world.sim.faults.arm(fault, rpc="CancelReplace")
    told = await replaces(resting)
    (new,) = world.live()
    assert new != resting
    assert told.status == "unknown", "it carries no id of ours, so no order is called the new one"
    assert f"{new}" in told.reasons_text
    assert "perhaps the new one" in told.reasons_text
    assert "CANCELLED" in told.reasons_text
    assert len(world.sim.requests_of("CancelReplace")) == 1


async def test_an_old_order_that_is_over_is_told_with_what_it_was_for(
    assistant: Assistant, world: World, resting: str, replaces: Callable[..., Awaitable[Told]]
) -> None:
    world.sim.faults.arm(Fault.ANSWER_LOST_AFTER_ACCEPT, rpc="CancelReplace", times=1)
    lost = await replaces(resting)
    world.later(90)
    told = await assistant.call("confirm_ticket", ticket_id=lost.ticket_id)
    assert "old order: BUY 1 MES 09-26 LIMIT" in told.reasons_text


async def test_a_new_order_that_is_refused_adds_nothing_to_what_the_old_one_filled(
    assistant: Assistant, world: World, wire: Wire, replaces: Callable[..., Awaitable[Told]]
) -> None:
    order_id = await assistant.rests(world.price(-8), quantity=2)
    exchange = world.sim.exchange
    (order,) = exchange.live_orders("Sim101")
    exchange._pace = replace(exchange._pace, contracts_per_fill=1)
    wire.meanwhile["/replace"] = lambda: exchange._fill(order, round(order.terms.limit_price * 4), world.clock())
    world.sim.faults.arm(Fault.LATE_REJECT, rpc="CancelReplace", times=1)
    told = await replaces(order_id)
    assert (told.status, told.position_after, world.net()) == ("rejected", 1, 1)
    assert "THE OLD ORDER FILLED 1 of 2 before its cancel, and the new one is REJECTED: NEITHER STANDS" in told.text
    assert "if it is too much" not in told.next_step
