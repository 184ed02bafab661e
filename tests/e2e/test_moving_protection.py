"""A stop and a target that stand are moved, by price, by distance and to break-even; there is no moment without."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from ct_mcp.domain.order import NEW_GROUP
from ct_mcp.simulator.accounts import SimPosition
from ct_mcp.simulator.faults import Fault
from tests.conftest import Person
from tests.e2e.conftest import Assistant, Told, Wire, World

Protects = Callable[..., Awaitable[Told]]


def position(world: World) -> SimPosition:
    (held,) = world.sim.exchange.accounts["Sim101"].open_positions()
    return held


@pytest.fixture
async def held(assistant: Assistant, world: World) -> float:
    """Two contracts, long, that cost ten points less than they are worth; the price that was paid."""
    await assistant.buys(2)
    world.later()
    position(world).average_ticks -= 40
    return position(world).average_price


@pytest.fixture
def protects(assistant: Assistant) -> Protects:
    async def done(**more: object) -> Told:
        return await assistant.call("protect_position", **{"account": "Sim101", "instrument": "MES", **more})

    return done


def legs(world: World) -> dict[str, tuple[str, float, int]]:
    """Each exit: its id, where it stands, and its size."""
    live = world.sim.exchange.live_orders("Sim101")
    return {
        str(order.terms.order_type): (
            order.id,
            order.terms.stop_price or order.terms.limit_price,
            order.terms.quantity,
        )
        for order in live
    }


def writes_of(world: World) -> list[str]:
    return [request.rpc for request in world.sim.requests_of("CancelAndBracket", "Change", "Cancel", "CancelOrders")]


async def test_distances_are_reckoned_from_what_was_paid(world: World, held: float, protects: Protects) -> None:
    told = await protects(stop_loss="10 points", take_profit="120 ticks")
    assert told.status == "working", told.text
    assert {name: leg[1:] for name, leg in legs(world).items()} == {
        "StopMarket": (held - 10, 2),
        "Limit": (held + 30, 2),
    }


async def test_a_stop_is_moved_to_break_even_and_nothing_else(world: World, held: float, protects: Protects) -> None:
    await protects(stop_loss="10 points", take_profit="30 points")
    before = legs(world)
    told = await protects(stop_loss="break-even +2 ticks")
    assert (told.status, told.sent) == ("changed", True), told.text
    assert legs(world) == {**before, "StopMarket": (before["StopMarket"][0], held + 0.5, 2)}
    assert writes_of(world) == ["CancelAndBracket", "Change"]


async def test_both_legs_are_moved_by_one_call(world: World, held: float, protects: Protects) -> None:
    await protects(stop_loss="10 points", take_profit="30 points")
    told = await protects(stop_loss="5 points", take_profit="40 points")
    assert told.sent, told.text
    assert {leg[1:] for leg in legs(world).values()} == {(held - 5, 2), (held + 40, 2)}
    assert [reason.partition(":")[2] for reason in told.reasons] == [" CHANGED", " CHANGED"]
    assert len([line for line in told.stands_now if line.startswith("LONG 2")]) == 1, "as it stands after both"
    assert writes_of(world) == ["CancelAndBracket", "Change", "Change"]


@pytest.mark.parametrize("first", ["stop_loss", "take_profit"])
async def test_legs_that_are_named_one_after_the_other_are_a_pair_and_entries_stay(
    assistant: Assistant, world: World, person: Person, held: float, protects: Protects, first: str
) -> None:
    entry = await assistant.buys(1, order_type="LIMIT", limit_price=world.price(-60))
    asked, prices = len(person.asked), {"stop_loss": held - 10, "take_profit": held + 30}
    alone = await protects(**{first: prices[first]})
    assert ("UNPROTECTED: 2 of the 2" in alone.warnings_text) is (first == "take_profit")
    told = await protects(**{name: price for name, price in prices.items() if name != first})
    assert told.status == "working", told.text
    assert "UNPROTECTED" not in told.text
    assert legs(world)["StopMarket"][1:] == (held - 10, 2)
    live = world.sim.exchange.live_orders("Sim101")
    exits = [order for order in live if order.id != entry.order_id]
    assert [order.terms.quantity for order in exits] == [2, 2]
    assert len({order.labels.oco_id for order in exits}) == 1
    assert entry.order_id in world.live()
    assert (len(person.asked), writes_of(world)) == (asked, [])


async def test_both_legs_are_placed_beside_an_entry_that_waits(
    assistant: Assistant, world: World, held: float, protects: Protects
) -> None:
    entry = await assistant.buys(1, order_type="LIMIT", limit_price=world.price(-60))
    told = await protects(stop_loss=held - 10, take_profit=held + 30)
    assert told.status == "working", told.text
    exits = [order for order in world.sim.exchange.live_orders("Sim101") if order.id != entry.order_id]
    assert [order.labels.oco_id for order in exits] == [f"ctmcp-{told.ticket_id}-oco"] * 2
    assert {name: leg[1:] for name, leg in legs(world).items() if leg[0] != entry.order_id} == {
        "StopMarket": (held - 10, 2),
        "Limit": (held + 30, 2),
    }


async def test_a_leg_that_arrives_when_the_other_has_filled_opens_nothing(
    world: World, held: float, protects: Protects, wire: Wire
) -> None:
    await protects(take_profit=held + 30)
    (target,) = world.sim.exchange.live_orders("Sim101")

    def market_reaches_it() -> None:
        world.sim.exchange.change(target, replace(target.terms, limit_price=world.price(-8)), world.clock())
        world.later()

    wire.meanwhile["/orders/place"] = market_reaches_it
    told = await protects(stop_loss=held - 10)
    assert told.status == "rejected", told.text
    assert (world.net(), world.live()) == (0, [])


async def test_the_stand_in_for_a_new_group_is_no_name_of_one(
    assistant: Assistant, world: World, person: Person, held: float
) -> None:
    """Whoever says it gets a group of its own, so that two orders which both say it are no pair."""
    old = await assistant.protects(world.price(-60), quantity=2)
    named = {"account": "Sim101", "instrument": "MES", "action": "SELL", "quantity": 2, "oco_id": NEW_GROUP}
    stop = {"order_type": "STOP_MARKET", "stop_price": world.price(-60)}
    replaced = await assistant.call("replace_order", order_id=old, **named, **stop)
    asked = len(person.asked)
    await assistant.call("place_order", **named, order_type="LIMIT", limit_price=world.price(60))
    live = world.sim.exchange.live_orders("Sim101")
    assert len(person.asked) == asked + 1, "together they could turn the position"
    assert f"ctmcp-{replaced.ticket_id}-oco" in {order.labels.oco_id for order in live}
    assert len({order.labels.oco_id for order in live}) == len(live) == 2


async def test_what_a_bracket_takes_away_may_fill_first_so_the_person_is_asked(
    assistant: Assistant, world: World, person: Person, held: float, protects: Protects
) -> None:
    await assistant.protects(world.price(-60), quantity=2)
    asked = len(person.asked)
    told = await protects(take_profit=held + 30)
    assert told.sent, told.text
    (question,) = person.asked[asked:]
    assert "with the bracket to -2 at worst" in question
    assert writes_of(world) == ["CancelAndBracket"]


async def test_a_stop_that_became_too_small_gets_the_size_of_the_position(
    assistant: Assistant, world: World, held: float, protects: Protects
) -> None:
    stands_at = world.price(-60)
    await assistant.protects(stands_at, quantity=2)
    await assistant.buys(1)
    world.later()
    told = await protects(stop_loss=stands_at)
    assert told.sent, told.text
    assert [leg[1:] for leg in legs(world).values()] == [(stands_at, 3)]
    assert writes_of(world) == ["Change"]


@pytest.mark.parametrize(("points", "asks"), [(7, 1), (4, 0)], ids=["further away", "nearer"])
async def test_a_stop_that_goes_further_away_is_asked_about_and_one_that_comes_nearer_is_not(
    world: World, person: Person, held: float, protects: Protects, points: int, asks: int
) -> None:
    await protects(stop_loss="5 points")
    asked = len(person.asked)
    told = await protects(stop_loss=f"{points} points")
    assert told.assumptions == [], "an exit risks nothing, so nothing was reckoned"
    assert "Risk" not in "".join(person.asked[asked:])
    assert legs(world)["StopMarket"][1] == held - points
    assert len(person.asked) - asked == asks


async def test_a_lost_change_is_not_made_again(world: World, held: float, protects: Protects) -> None:
    await protects(stop_loss="10 points", take_profit="30 points")
    world.sim.faults.arm(Fault.READ_TIMEOUT_AFTER_ACCEPT, rpc="Change")
    await protects(stop_loss="break-even")
    again = await protects(stop_loss="break-even")
    assert "stands there already" in again.text or again.sent is False
    assert writes_of(world) == ["CancelAndBracket", "Change"]
    assert legs(world)["StopMarket"][1:] == (held, 2)


async def test_a_distance_needs_a_position(protects: Protects, world: World) -> None:
    told = await protects(stop_loss="10 points")
    assert told.is_error
    assert "nothing is held there" in told.text
    assert "nothing was sent" in told.text
    assert world.writes() == 0


@pytest.mark.parametrize("said", ["ten points", "10 pips", "break-even plus two", "tight"])
async def test_what_cannot_be_read_is_said_and_sends_nothing(
    protects: Protects, world: World, held: float, said: str
) -> None:
    told = await protects(stop_loss=said)
    assert told.is_error
    assert "'10 points'" in told.text
    assert writes_of(world) == []


async def test_a_price_may_come_as_a_number(world: World, held: float, protects: Protects) -> None:
    price = world.price(-60)
    await protects(stop_loss=price)
    assert legs(world)["StopMarket"][1:] == (price, 2)


@pytest.mark.parametrize("rpc", ["ListPositions", "ListOrders"])
async def test_a_distance_from_what_cannot_be_read_sends_nothing(
    protects: Protects, world: World, held: float, rpc: str
) -> None:
    world.sim.faults.arm(Fault.ERROR_500_BEFORE_ACCEPT, rpc=rpc)
    told = await protects(instrument="MES 09-26", stop_loss="10 points")
    assert told.is_error
    assert writes_of(world) == []


async def test_a_stop_that_the_market_has_passed_is_no_matter_of_the_settings(
    world: World, held: float, protects: Protects
) -> None:
    await protects(stop_loss="10 points")
    told = await protects(stop_loss="break-even +200 ticks")
    assert "STOP_ON_WRONG_SIDE" in told.reasons_text
    assert "with other values it is a new call" in told.next_step
    assert "settings" not in told.next_step


async def test_the_names_of_before_are_taken_as_well(world: World, held: float, protects: Protects) -> None:
    below, above = world.price(-60), world.price(60)
    told = await protects(stop_loss_price=below, take_profit_price=above)
    assert told.status == "working", told.text
    assert {name: leg[1:] for name, leg in legs(world).items()} == {"StopMarket": (below, 2), "Limit": (above, 2)}
