"""Reversing a position: both legs are read back, and what was done by half is said loudly."""

import pytest
from mcp_types import ElicitResult

from ct_mcp.domain.approval import Halt
from ct_mcp.guard.policy import Limits, Policy
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault, Lag
from ct_mcp.store.sqlite import SqliteStore
from tests.conftest import Person
from tests.e2e.conftest import Assistant, Wire, World

MES = {"account": "Sim101", "instrument": "MES"}
NEVER = [Fault.ADDON_OFFLINE, Fault.CONNECT_REFUSED, Fault.UNAUTHORIZED, Fault.RATE_LIMITED]
LOST = [Fault.REQUEST_LOST_BEFORE_ACCEPT, Fault.ERROR_500_BEFORE_ACCEPT, Fault.BAD_GATEWAY]
TAKEN = [Fault.ANSWER_LOST_AFTER_ACCEPT, Fault.TIMEOUT_AFTER_ACCEPT, Fault.EMPTY_BODY, Fault.ERROR_500_AFTER_ACCEPT]


@pytest.fixture
async def held(assistant: Assistant, world: World) -> int:
    """A position of two, long."""
    await assistant.buys(2)
    world.later()
    return world.net()


@pytest.mark.parametrize("held_action", ["BUY", "SELL"])
async def test_a_position_is_turned_round_at_its_size(
    assistant: Assistant, world: World, person: Person, wire: Wire, held_action: str
) -> None:
    await assistant.buys(2, action=held_action)
    world.later()
    before = world.net()
    told = await assistant.call("reverse_position", **MES)
    assert (told.status, told.sent, told.is_error) == ("filled", True, False)
    assert (told.position_after, world.net()) == (-before, -before)
    assert told.summary == "SIM  Sim101  REVERSE MES 09-26"
    assert told.filled_quantity == 2
    assert len(person.asked) == 2, "it opens, so the person is asked"
    assert wire.posts()[-1] == ("/v1/api/accounts/Sim101/positions/reverse", {"instrument": "MES 09-26"})


async def test_the_person_reads_both_legs_in_one_question(assistant: Assistant, person: Person, held: int) -> None:
    await assistant.call("reverse_position", **MES)
    question = person.asked[-1]
    assert "REVERSE MES 09-26" in question
    assert "+2 now" in question
    assert "-2 after" in question


async def test_the_orders_of_the_old_position_are_gone_with_it(assistant: Assistant, world: World, held: int) -> None:
    await assistant.protects(world.price(-40), quantity=2)
    told = await assistant.call("reverse_position", **MES)
    assert (told.status, world.net(), world.live()) == ("filled", -2, [])


async def test_a_flat_account_has_nothing_to_turn_round(assistant: Assistant, world: World, person: Person) -> None:
    told = await assistant.call("reverse_position", **MES)
    assert (told.status, told.sent) == ("denied", False)
    assert "POSITION_FLAT" in told.reasons_text
    assert not person.asked
    assert world.states() == []


async def test_a_halt_stops_a_reversal_and_lets_the_exit_pass(
    assistant: Assistant, world: World, store: SqliteStore, clock: ManualClock, held: int
) -> None:
    await store.set_halt(Halt("person", clock(), "lunch"))
    told = await assistant.call("reverse_position", **MES)
    assert (told.status, world.net()) == ("denied", 2)
    assert "TRADING_HALTED" in told.reasons_text
    assert (await assistant.call("flatten", account="Sim101")).status == "flat"


@pytest.mark.parametrize("policy", [Policy(limits=Limits(max_orders_per_minute=1))], ids=["one a minute"])
async def test_a_reversal_is_held_to_the_limits_of_an_order(assistant: Assistant, world: World) -> None:
    await assistant.buys(2)
    world.later(5)
    told = await assistant.call("reverse_position", **MES)
    assert (told.status, world.net()) == ("denied", 2)
    assert "ORDERS_PER_MINUTE" in told.reasons_text


async def test_a_no_of_the_person_leaves_the_position(
    assistant: Assistant, world: World, person: Person, held: int
) -> None:
    person.answer = lambda _: ElicitResult(action="decline")
    told = await assistant.call("reverse_position", **MES)
    assert (told.status, told.sent, world.net()) == ("declined", False, 2)


async def test_a_stale_quote_is_a_no(assistant: Assistant, world: World, held: int) -> None:
    world.sim.faults.arm(Fault.STALE_QUOTE)
    await assistant.call("get_quotes", instruments=["MES"])
    world.later(30)
    told = await assistant.call("reverse_position", **MES)
    assert (told.status, world.net()) == ("denied", 2)
    assert "QUOTE_STALE" in told.reasons_text


@pytest.mark.parametrize("policy", [Policy(limits=Limits(max_order_contracts=2))], ids=["two an order"])
async def test_what_was_built_up_in_parts_is_not_turned_in_one_order_that_is_too_large(
    assistant: Assistant, world: World
) -> None:
    await assistant.buys(2)
    world.later(60)
    await assistant.buys(1)
    world.later()
    told = await assistant.call("reverse_position", **MES)
    assert (told.status, world.net()) == ("denied", 3)
    assert "QUANTITY_EXCEEDS_MAXIMUM: quantity=3, maximum=2" in told.reasons_text


async def test_a_closed_session_is_a_no(assistant: Assistant, world: World, held: int) -> None:
    world.sim.faults.arm(Fault.SESSION_CLOSED)
    world.later(61)
    told = await assistant.call("reverse_position", **MES)
    assert (told.status, world.net()) == ("denied", 2)
    assert "SESSION_CLOSED" in told.reasons_text


@pytest.mark.parametrize("rpc", ["ListPositions", "ListOrders"])
async def test_what_cannot_be_read_is_not_turned(assistant: Assistant, world: World, held: int, rpc: str) -> None:
    world.sim.faults.arm(Fault.ERROR_500_BEFORE_ACCEPT, rpc=rpc)
    told = await assistant.call("reverse_position", account="Sim101", instrument="MES 09-26")
    assert (told.status, told.sent, world.net()) == ("denied", False, 2)
    assert "UNKNOWN" in told.reasons_text


async def test_turned_twice_in_a_row_is_turned_once(assistant: Assistant, world: World, held: int) -> None:
    await assistant.call("reverse_position", **MES)
    again = await assistant.call("reverse_position", **MES)
    assert (again.status, world.net()) == ("denied", -2)
    assert "DUPLICATE_WITHIN_WINDOW" in again.reasons_text


async def test_a_real_account_is_not_turned_in_sim_mode(assistant: Assistant, world: World) -> None:
    told = await assistant.call("reverse_position", account="APEX-482910", instrument="MES")
    assert told.status == "denied"
    assert "ACCOUNT_NOT_SIMULATED" in told.reasons_text


async def test_a_close_that_hangs_is_told_as_both_that_may_stand_together(
    assistant: Assistant, world: World, held: int
) -> None:
    """CrossTrade waits some seconds for the close and then places the new order all the same."""
    world.sim.faults.arm(Lag.CLOSE_STUCK, rpc="Reverse")
    told = await assistant.call("reverse_position", **MES)
    assert told.status != "flat"
    assert "THE FIRST LEG IS NOT SEEN CLOSED" in told.warnings_text
    assert "tell the person now" in told.next_step
    assert told.position_after == world.net()


@pytest.mark.parametrize("fault", [Fault.NO_FILL, Fault.LATE_REJECT])
async def test_what_does_not_fill_is_never_called_turned(
    assistant: Assistant, world: World, held: int, fault: Fault
) -> None:
    world.sim.faults.arm(fault, rpc="Reverse")
    told = await assistant.call("reverse_position", **MES)
    assert told.status in ("accepted", "rejected")
    assert world.net() != -2
    assert "was to be -2" in told.text
    assert "tell the person now" in told.next_step


@pytest.mark.parametrize("fault", NEVER)
async def test_what_never_happened_says_so(
    assistant: Assistant, world: World, store: SqliteStore, held: int, fault: Fault
) -> None:
    world.sim.faults.arm(fault, rpc="Reverse")
    told = await assistant.call("reverse_position", **MES)
    assert told.is_error
    assert "Nothing was changed in the account." in told.text
    assert world.net() == 2
    assert await store.unsettled() == ()


async def test_a_refusal_before_the_first_leg_is_told_in_their_words(
    assistant: Assistant, world: World, held: int
) -> None:
    world.sim.faults.arm(Fault.REFUSED_WITH_400, rpc="Reverse")
    told = await assistant.call("reverse_position", **MES)
    assert (told.status, world.net()) == ("rejected", 2)
    assert 'CrossTrade said "Invalid request"' in told.reasons_text


@pytest.mark.parametrize("fault", LOST)
async def test_a_lost_reversal_is_unknown_and_never_sent_again(
    assistant: Assistant, world: World, held: int, fault: Fault
) -> None:
    world.sim.faults.arm(fault, rpc="Reverse")
    told = await assistant.call("reverse_position", **MES)
    assert (told.status, told.sent, told.is_error) == ("unknown", "unknown", True)
    assert "look" in told.next_step
    world.later()
    again = await assistant.call("reverse_position", **MES)
    assert (again.status, again.sent) == ("denied", False)
    assert "OUTCOME_UNRESOLVED" in again.reasons_text
    assert (world.net(), len(world.sim.requests_of("Reverse"))) == (2, 1)


@pytest.mark.parametrize("fault", TAKEN)
async def test_a_reversal_without_an_answer_is_found_in_the_account(
    assistant: Assistant, world: World, held: int, fault: Fault
) -> None:
    world.sim.faults.arm(fault, rpc="Reverse")
    told = await assistant.call("reverse_position", **MES)
    assert (told.position_after, world.net(), len(world.sim.requests_of("Reverse"))) == (-2, -2, 1)
    assert told.status in ("filled", "unknown")
    again = await assistant.call("reverse_position", **MES)
    assert (again.status, world.net()) == ("denied", -2)


async def test_an_order_that_flattens_first_says_when_the_old_position_may_still_stand(
    assistant: Assistant, world: World, held: int
) -> None:
    world.sim.faults.arm(Lag.CLOSE_STUCK, rpc="FlatPlace")
    told = await assistant.buys(1, action="SELL", flatten_first=True)
    assert "THE FIRST LEG IS NOT SEEN CLOSED" in told.warnings_text
    assert "tell the person now" in told.next_step
    assert told.position_after == world.net()
