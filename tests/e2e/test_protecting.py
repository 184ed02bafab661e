"""Brackets: what stands around a position is read back, and a position without a stop is cried out."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from mcp_types import ElicitResult

from ct_mcp.domain.approval import Halt
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault
from ct_mcp.store.sqlite import SqliteStore
from tests.conftest import Person
from tests.e2e.conftest import Assistant, Told, World

NEVER = [Fault.ADDON_OFFLINE, Fault.CONNECT_REFUSED, Fault.UNAUTHORIZED, Fault.RATE_LIMITED]
LOST = [Fault.REQUEST_LOST_BEFORE_ACCEPT, Fault.ERROR_500_BEFORE_ACCEPT, Fault.BAD_GATEWAY]
TAKEN = [Fault.ANSWER_LOST_AFTER_ACCEPT, Fault.TIMEOUT_AFTER_ACCEPT, Fault.HTML_PAGE]


@pytest.fixture
async def held(assistant: Assistant, world: World) -> int:
    """A position of two, long."""
    await assistant.buys(2)
    world.later()
    return world.net()


@pytest.fixture
def protects(assistant: Assistant, world: World) -> Callable[..., Awaitable[Told]]:
    """Put a stop below and a target above a long position, or what a test makes of them."""

    async def done(**more: object) -> Told:
        prices = {"take_profit": world.price(60), "stop_loss": world.price(-60)}
        return await assistant.call("protect_position", **{"account": "Sim101", "instrument": "MES", **prices, **more})

    return done


async def test_both_legs_stand_at_the_size_of_the_position_as_one_group(
    world: World, held: int, protects: Callable[..., Awaitable[Told]]
) -> None:
    told = await protects()
    assert (told.status, told.sent, told.is_error) == ("working", True, False)
    assert told.position_after == world.net() == 2
    target, stop = world.sim.exchange.live_orders("Sim101")
    assert [str(order.terms.order_type) for order in (target, stop)] == ["Limit", "StopMarket"]
    assert (target.terms.quantity, stop.terms.quantity) == (2, 2)
    assert told.order_id in world.live()
    assert "UNPROTECTED" not in told.text


@pytest.mark.parametrize("leg", ["take_profit", "stop_loss"])
async def test_one_leg_alone_is_possible_and_a_missing_stop_is_cried_out(
    world: World, held: int, protects: Callable[..., Awaitable[Told]], leg: str
) -> None:
    told = await protects(**{leg: None})
    assert (told.status, len(world.live())) == ("working", 1)
    without_stop = leg == "stop_loss"
    assert ("UNPROTECTED: 2 of the 2 contracts held in MES 09-26" in told.warnings_text) is without_stop
    assert ("tell the person now" in told.next_step) is without_stop


async def test_a_short_position_is_protected_the_other_way_round(
    assistant: Assistant, world: World, protects: Callable[..., Awaitable[Told]]
) -> None:
    await assistant.buys(2, action="SELL")
    world.later()
    told = await protects(take_profit=world.price(-60), stop_loss=world.price(60))
    assert (told.status, len(world.live())) == ("working", 2)


async def test_the_orders_before_it_are_gone(
    assistant: Assistant, world: World, held: int, protects: Callable[..., Awaitable[Told]]
) -> None:
    old = await assistant.protects(world.price(-100), quantity=2)
    told = await protects()
    assert told.status == "working"
    assert old not in world.live()
    assert len(world.live()) == 2


async def test_a_flat_account_is_refused_since_upstream_would_open(
    world: World, person: Person, protects: Callable[..., Awaitable[Told]]
) -> None:
    told = await protects()
    assert (told.status, told.sent) == ("denied", False)
    assert "POSITION_FLAT" in told.reasons_text
    assert not person.asked
    assert not world.sim.requests_of("CancelAndBracket")


@pytest.mark.parametrize(
    "prices",
    [
        {"take_profit": None, "stop_loss": None},
        {"stop_loss": 60},
        {"stop_loss": 0},
        {"stop_loss": -1},
        {"take_profit": -60},
    ],
    ids=["no price", "stop above", "stop at the market", "stop within the buffer", "target below"],
)
async def test_prices_on_the_wrong_side_are_a_no(
    world: World, held: int, protects: Callable[..., Awaitable[Told]], prices: dict[str, int | None]
) -> None:
    wanted = {name: None if ticks is None else world.price(ticks) for name, ticks in prices.items()}
    told = await protects(**wanted)
    assert (told.status, told.sent) == ("denied", False)
    assert told.reasons
    assert world.live() == []
    assert not world.sim.requests_of("CancelAndBracket")


async def test_a_price_off_the_tick_is_a_no(world: World, held: int, protects: Callable[..., Awaitable[Told]]) -> None:
    told = await protects(stop_loss=world.price(-60) + 0.1)
    assert told.status == "denied"
    assert "PRICE_OFF_TICK" in told.reasons_text


@pytest.mark.parametrize("rpc", ["ListPositions", "ListOrders"])
async def test_what_cannot_be_read_is_not_bracketed(
    world: World, held: int, protects: Callable[..., Awaitable[Told]], rpc: str
) -> None:
    world.sim.faults.arm(Fault.ERROR_500_BEFORE_ACCEPT, rpc=rpc)
    told = await protects(instrument="MES 09-26")
    assert (told.status, told.sent) == ("denied", False)
    assert "UNKNOWN" in told.reasons_text
    assert not world.sim.requests_of("CancelAndBracket")


async def test_the_same_bracket_at_once_again_is_sent_once(
    world: World, held: int, protects: Callable[..., Awaitable[Told]]
) -> None:
    prices = {"take_profit": world.price(60), "stop_loss": world.price(-60)}
    await protects(**prices)
    again = await protects(**prices)
    assert again.is_error
    assert "it stands there already" in again.text
    assert again.text.endswith("Next: tell the person that it stands as they want it; for another price name that.")
    assert "nothing was sent" in again.text
    assert len(world.live()) == 2


async def test_a_real_account_is_not_touched_in_sim_mode(assistant: Assistant, world: World) -> None:
    told = await assistant.call("protect_position", account="APEX-482910", instrument="MES", stop_loss=world.price(-60))
    assert told.status == "denied"
    assert "ACCOUNT_NOT_SIMULATED" in told.reasons_text


async def test_a_no_of_the_person_leaves_the_old_stop(
    assistant: Assistant, world: World, person: Person, held: int, protects: Callable[..., Awaitable[Told]]
) -> None:
    old = await assistant.protects(world.price(-40), quantity=2)
    person.answer = lambda _: ElicitResult(action="decline")
    told = await protects(stop_loss=world.price(-80))
    assert (told.status, world.live()) == ("declined", [old])


async def test_a_first_stop_may_be_set_while_trading_is_halted(
    world: World, store: SqliteStore, clock: ManualClock, held: int, protects: Callable[..., Awaitable[Told]]
) -> None:
    """It only takes risk away: a halt that kept a position bare would do harm."""
    await store.set_halt(Halt("person", clock(), "lunch"))
    told = await protects()
    assert (told.status, len(world.live())) == ("working", 2)


async def test_while_trading_is_halted_a_target_that_stands_alone_gets_a_stop_by_the_calls_that_are_named(
    assistant: Assistant,
    world: World,
    store: SqliteStore,
    clock: ManualClock,
    person: Person,
    held: int,
    protects: Callable[..., Awaitable[Told]],
) -> None:
    at = world.price(40)
    target = await assistant.buys(2, action="SELL", order_type="LIMIT", limit_price=at)
    await store.set_halt(Halt("person", clock(), "lunch"))
    asked, stop = len(person.asked), world.price(-40)
    told = await protects(stop_loss=stop, take_profit=None)
    assert told.status == "denied"
    assert f"cancel_order with account Sim101, order_id {target.order_id}; then, once they read cancelled:" in told.text
    step = "protect_position with account Sim101, instrument MES 09-26"
    assert f"{step}, stop_loss {stop:g}, take_profit {at:g}" in told.text
    await assistant.call("cancel_order", account="Sim101", order_id=target.order_id)
    told = await protects(stop_loss=stop, take_profit=at)
    assert (told.status, len(world.live()), len(person.asked)) == ("working", 2, asked)


async def test_no_answer_advises_to_cancel_a_stop_for_a_bracket_that_a_halt_denies(
    assistant: Assistant,
    world: World,
    store: SqliteStore,
    clock: ManualClock,
    held: int,
    protects: Callable[..., Awaitable[Told]],
) -> None:
    await assistant.protects(world.price(-40), quantity=2)
    await store.set_halt(Halt("person", clock(), "lunch"))
    told = await protects(stop_loss=None, take_profit=world.price(40))
    assert told.status == "denied"
    assert "cancel_order" not in told.text


async def test_a_refused_stop_leaves_a_bare_position_that_is_cried_out(
    world: World, held: int, protects: Callable[..., Awaitable[Told]]
) -> None:
    world.sim.faults.arm(Fault.LATE_REJECT, rpc="CancelAndBracket")
    told = await protects()
    assert told.status != "working"
    assert "UNPROTECTED: 2 of the 2 contracts held in MES 09-26 stand without a stop" in told.warnings_text
    assert "tell the person now" in told.next_step
    assert "place_order with account Sim101, instrument MES 09-26, action SELL, quantity 2" in told.next_step
    assert "close_position with account Sim101, instrument MES 09-26" in told.next_step


@pytest.mark.parametrize("fault", NEVER)
async def test_what_never_happened_says_so(
    assistant: Assistant,
    world: World,
    store: SqliteStore,
    held: int,
    protects: Callable[..., Awaitable[Told]],
    fault: Fault,
) -> None:
    old = await assistant.protects(world.price(-100), quantity=2)
    world.later()
    world.sim.faults.arm(fault, rpc="CancelAndBracket")
    told = await protects()
    assert told.is_error
    assert "Nothing was changed in the account." in told.text
    assert world.live() == [old]
    assert await store.unsettled() == ()


@pytest.mark.parametrize("fault", LOST)
async def test_a_lost_bracket_is_never_sent_again_and_the_bare_position_is_cried_out(
    world: World, held: int, protects: Callable[..., Awaitable[Told]], fault: Fault
) -> None:
    world.sim.faults.arm(fault, rpc="CancelAndBracket")
    prices = {"take_profit": world.price(60), "stop_loss": world.price(-60)}
    told = await protects(**prices)
    assert (told.status, told.sent, told.is_error) == ("unknown", "unknown", True)
    assert "UNPROTECTED: 2 of the 2 contracts" in told.warnings_text
    assert "tell the person now" in told.next_step
    world.later()
    again = await protects(**prices)
    assert (again.status, again.sent) == ("denied", False)
    assert "OUTCOME_UNRESOLVED" in again.reasons_text
    assert len(world.sim.requests_of("CancelAndBracket")) == 1


@pytest.mark.parametrize("fault", TAKEN)
async def test_a_bracket_without_an_answer_is_seen_standing(
    world: World, held: int, protects: Callable[..., Awaitable[Told]], fault: Fault
) -> None:
    world.sim.faults.arm(fault, rpc="CancelAndBracket")
    told = await protects()
    assert (told.status, told.sent) == ("working", True)
    assert told.order_id in world.live()
    assert len(world.sim.requests_of("CancelAndBracket")) == 1


async def test_of_two_orders_of_one_group_the_second_goes_when_the_first_fills(
    assistant: Assistant, world: World, held: int
) -> None:
    stop = await assistant.protects(world.price(-40), quantity=2, oco_id="way-out")
    out = await assistant.buys(2, action="SELL", order_type="LIMIT", limit_price=world.price(-4), oco_id="way-out")
    assert out.sent, out.text
    world.later(2)
    assert world.net() == 0
    assert stop not in world.live()
    assert out.summary.endswith('in OCO group "way-out"')


@pytest.mark.parametrize("name", ["a;b", "a=b", " a", "a\nb"])
@pytest.mark.parametrize("field", ["oco_id", "atm_strategy"])
async def test_a_name_that_carries_something_else_is_a_no(
    assistant: Assistant, world: World, field: str, name: str
) -> None:
    told = await assistant.buys(1, **{field: name})
    assert (told.status, told.sent) == ("denied", False)
    assert "NAME_INVALID" in told.reasons_text
    assert world.writes() == 0


async def test_a_template_that_ninjatrader_does_not_list_is_a_no_that_asks_nobody(
    assistant: Assistant, world: World, person: Person
) -> None:
    told = await assistant.buys(1, atm_strategy="No such template")
    assert (told.status, told.sent, told.is_error) == ("denied", False, True)
    assert "ATM_TEMPLATE_UNKNOWN: asked for='No such template', listed=" in told.reasons_text
    assert "Scalp 8x8" in told.reasons_text
    assert (world.writes(), person.asked) == (0, [])


async def test_templates_that_cannot_be_read_are_a_no(assistant: Assistant, world: World) -> None:
    world.sim.faults.arm(Fault.ADDON_OFFLINE, rpc="ListAtmTemplates")
    told = await assistant.buys(1, atm_strategy="Scalp 8x8")
    assert "ATM_TEMPLATES_UNKNOWN" in told.reasons_text
    assert world.writes() == 0


async def test_what_a_template_adds_could_not_be_verified_and_is_said_so(assistant: Assistant, person: Person) -> None:
    told = await assistant.buys(1, atm_strategy="Scalp 8x8")
    assert told.status == "filled"
    (question,) = person.asked
    assert "Could not verify: what the ATM strategy adds is not told" in question
    assert question.startswith("Sim101  BUY 1 MES 09-26 MARKET with an ATM strategy - to send it, type ")
    assert question.index("Could not verify") < question.index('Named by the assistant: ATM strategy "Scalp 8x8"')


@pytest.mark.parametrize("oco_id", ["x" * 33, "a b", "größe", "a.b", "TYPE:YES", '"g"'])
async def test_a_group_is_named_by_letters_digits_and_dashes(
    assistant: Assistant, world: World, person: Person, oco_id: str
) -> None:
    told = await assistant.buys(1, oco_id=oco_id)
    assert told.is_error
    assert (world.writes(), person.asked) == (0, [])


async def _mended(assistant: Assistant, next_step: str) -> Told:
    """Do what the answer says, word by word."""
    call = next_step.split("place_order with ")[1].split(";", maxsplit=1)[0]
    said: dict[str, Any] = dict(part.split(" ", 1) for part in call.split(", "))
    said |= {"quantity": int(said["quantity"]), "stop_price": float(said["stop_price"])}
    return await assistant.call("place_order", **said)


@pytest.mark.parametrize("fault", [Fault.LATE_REJECT, *LOST])
async def test_the_call_that_mends_a_bare_position_can_be_made_at_once(
    assistant: Assistant, world: World, held: int, protects: Callable[..., Awaitable[Told]], fault: Fault
) -> None:
    world.sim.faults.arm(fault, rpc="CancelAndBracket")
    told = await protects()
    assert "UNPROTECTED" in told.warnings_text
    mended = await _mended(assistant, told.next_step)
    assert mended.status == "working", mended.text
    assert world.live() == [mended.order_id]
