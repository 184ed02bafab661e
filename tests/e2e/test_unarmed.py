"""Live, and not armed any more: nothing opens, and what is held is protected and left all the same."""

from datetime import timedelta
from typing import Any

import pytest

from ct_mcp.desk.desk import Desk
from ct_mcp.domain.approval import Approval
from ct_mcp.guard.policy import AccountPolicy, Limits, Mode, Policy
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.store.sqlite import SqliteStore
from tests.conftest import Person
from tests.e2e.conftest import Assistant, Told, World

ACCOUNT = "APEX-482910"


@pytest.fixture
def policy() -> Policy:
    """Six orders a minute, and the person is asked by a form."""
    return Policy(
        mode=Mode.LIVE,
        accounts={ACCOUNT: AccountPolicy()},
        live=Approval.FORM,
        limits=Limits(max_orders_per_minute=6),
    )


@pytest.fixture
async def armed(store: SqliteStore, clock: ManualClock) -> None:
    """For a minute."""
    await store.arm(ACCOUNT, clock() + timedelta(seconds=60), "terminal", clock())


def exits(world: World) -> dict[str, tuple[float, int]]:
    """Where each order stands that can still fill, by its type, and its size."""
    live = world.sim.exchange.live_orders(ACCOUNT)
    return {
        str(order.terms.order_type): (order.terms.stop_price or order.terms.limit_price, order.terms.quantity)
        for order in live
    }


@pytest.fixture
async def held(assistant: Assistant, world: World, armed: None) -> None:
    """Two contracts, long, and the arming is over."""
    await assistant.buys(2, account=ACCOUNT)
    world.later(90)
    assert (await assistant.buys(1, account=ACCOUNT)).reasons_text.startswith("ACCOUNT_NOT_ARMED")


async def protects(assistant: Assistant, **more: Any) -> Told:
    return await assistant.call("protect_position", account=ACCOUNT, instrument="MES", **more)


async def test_a_stop_is_set_and_moved_nearer_and_a_target_joins_it(
    assistant: Assistant, world: World, held: None
) -> None:
    near, nearer, above = world.price(-40), world.price(-20), world.price(60)
    set_first = await protects(assistant, stop_loss=near)
    assert set_first.status == "working", set_first.text
    moved = await protects(assistant, stop_loss=nearer)
    assert moved.status == "changed", moved.text
    joined = await protects(assistant, take_profit=above)
    assert joined.status == "working", joined.text
    assert exits(world) == {"StopMarket": (nearer, 2), "Limit": (above, 2)}


async def test_a_stop_and_a_target_beside_an_entry_that_waits_are_one_group_under_one_yes(
    assistant: Assistant, world: World, armed: None
) -> None:
    """The second is judged beside the first, which stands by then."""
    await assistant.buys(2, account=ACCOUNT)
    entry = await assistant.buys(1, account=ACCOUNT, order_type="LIMIT", limit_price=world.price(-60))
    world.later(90)
    told = await protects(assistant, stop_loss=world.price(-40), take_profit=world.price(60))
    assert told.status == "working", told.text
    live = [order for order in world.sim.exchange.live_orders(ACCOUNT) if order.id != entry.order_id]
    (group,) = {order.labels.oco_id for order in live}
    assert (len(live), group) == (2, f"ctmcp-{told.ticket_id}-oco")


async def test_a_leg_that_joins_another_is_asked_about_with_the_order_that_it_shares_its_fate_with(
    assistant: Assistant, world: World, person: Person, held: None
) -> None:
    near = world.price(-40)
    await protects(assistant, stop_loss=near)
    asked = len(person.asked)
    await protects(assistant, take_profit=world.price(60))
    (question,) = person.asked[asked:]
    assert f"One cancels the other: SELL 2 MES 09-26 STOP MARKET {near:g} WORKING" in question
    assert "Named by the assistant" not in question


async def test_an_order_that_only_leaves_goes_as_a_close_would(assistant: Assistant, world: World, held: None) -> None:
    told = await assistant.buys(2, account=ACCOUNT, action="SELL")
    assert (told.status, world.net(account=ACCOUNT)) == ("filled", 0), told.text


async def test_an_order_that_would_turn_the_position_does_not(assistant: Assistant, world: World, held: None) -> None:
    told = await assistant.buys(3, account=ACCOUNT, action="SELL")
    assert "ACCOUNT_NOT_ARMED" in told.reasons_text
    assert world.net(account=ACCOUNT) == 2


async def test_an_entry_that_fills_when_the_arming_is_over_gets_its_exits(
    assistant: Assistant, world: World, desk: Desk, armed: None
) -> None:
    limit = world.price(-8)
    told = await assistant.buys(
        2, account=ACCOUNT, order_type="LIMIT", limit_price=limit, stop_loss="10 points", take_profit="20 points"
    )
    assert told.status == "working", told.text
    for _ in range(400):
        if world.net(account=ACCOUNT):
            break
        world.later(30)
    await desk.exit_watch.look()
    world.later(5)
    await desk.exit_watch.look()
    assert exits(world) == {"StopMarket": (limit - 10, 2), "Limit": (limit + 20, 2)}
