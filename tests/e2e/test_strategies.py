"""Strategies trade by themselves: starting one is asked about, and what it leaves behind is read back."""

from collections.abc import AsyncIterator

import pytest
from mcp import Client
from mcp_types import ElicitResult

from ct_mcp.desk.desk import Desk
from ct_mcp.domain.approval import Halt
from ct_mcp.guard.policy import Limits, Policy
from ct_mcp.server.app import build_server
from ct_mcp.server.context import ServerContext
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.strategies import SimStrategy
from ct_mcp.store.sqlite import SqliteStore
from tests.conftest import Person
from tests.e2e.conftest import Assistant, Converse, Wire, World

HOLD = {
    "account": "Sim101",
    "strategy_class": "HoldLong",
    "instrument": "MES",
    "mode": "account",
    "period_type": "minute",
    "period": 5,
}
SEEDED = "SampleMACrossOver"
NEVER = [Fault.ADDON_OFFLINE, Fault.CONNECT_REFUSED, Fault.UNAUTHORIZED, Fault.RATE_LIMITED]
LOST = [Fault.REQUEST_LOST_BEFORE_ACCEPT, Fault.ERROR_500_BEFORE_ACCEPT]
TAKEN = [Fault.ANSWER_LOST_AFTER_ACCEPT, Fault.TIMEOUT_AFTER_ACCEPT, Fault.EMPTY_BODY]
SWITCHES = {
    "enable_strategy": "EnableStrategy",
    "disable_strategy": "DisableStrategy",
    "close_strategy": "CloseStrategy",
}


@pytest.fixture
async def assistant(
    assistant: Assistant, desk: Desk, policy: Policy, person: Person, era: str
) -> AsyncIterator[object]:
    """The assistant of all journeys, with a server whose operator wants strategies."""
    wiring = ServerContext(lambda: desk, policy, toolsets=frozenset({"read", "trade", "strategies"}))
    async with Client(build_server(wiring), mode=era, elicitation_callback=person) as client:
        assistant.client = client
        yield assistant


@pytest.fixture
async def running(assistant: Assistant, world: World) -> str:
    """The id of a strategy that holds one contract behind a stop of its own."""
    told = await assistant.call("start_strategy", **HOLD)
    assert told.status == "changed", told.text
    world.later(5)
    assert (world.net(), len(world.live())) == (1, 1)
    return str(told.strategy_id)


def _of(world: World, strategy_id: str) -> SimStrategy:
    return next(one for one in world.sim.strategies.all if one.id == strategy_id)


async def test_a_strategy_is_started_once_after_a_yes_and_read_back(
    assistant: Assistant, world: World, person: Person, wire: Wire
) -> None:
    told = await assistant.call("start_strategy", **HOLD, parameters={"Quantity": 2, "StopTicks": 20})
    assert (told.status, told.sent, told.is_error) == ("changed", True, False)
    assert told.strategy_id
    assert f"strategy {told.strategy_id}" in told.text
    assert _of(world, told.strategy_id).value("Quantity") == 2
    (question,) = person.asked
    assert "START STRATEGY on MES 09-26" in question
    assert 'Named by the assistant: strategy "HoldLong"' in question
    assert '"Quantity" = "2"' in question
    path, said = wire.posts()[-1]
    assert path == "/v1/api/accounts/Sim101/strategies/start"
    assert said == {
        "strategyClass": "HoldLong",
        "instrument": "MES 09-26",
        "mode": "account",
        "periodType": "Minute",
        "period": 5,
        "parameters": {"Quantity": 2, "StopTicks": 20},
    }
    listed = (await assistant.call("get_strategies", account="Sim101")).strategies
    assert told.strategy_id in [one["strategy_id"] for one in listed]


async def test_every_kind_of_parameter_arrives_as_it_was_given(assistant: Assistant, world: World, wire: Wire) -> None:
    given = {"Minutes": 30, "Offset": 0.1, "UseTrail": True, "Label": "noon"}
    told = await assistant.call(
        "start_strategy", **{**HOLD, "strategy_class": "OpeningRangeBreakout"}, parameters=given
    )
    assert told.status == "changed"
    assert wire.posts()[-1][1]["parameters"] == given
    assert _of(world, told.strategy_id).plan.parameters == given


async def test_a_start_without_a_yes_starts_nothing(assistant: Assistant, world: World, person: Person) -> None:
    before = len(world.sim.strategies.all)
    person.answer = lambda _: ElicitResult(action="decline")
    told = await assistant.call("start_strategy", **HOLD)
    assert (told.status, told.sent, len(world.sim.strategies.all)) == ("declined", False, before)


async def test_a_halt_stops_a_start_and_an_enabling_but_no_pause_and_no_end(
    assistant: Assistant, world: World, store: SqliteStore, clock: ManualClock, running: str
) -> None:
    await store.set_halt(Halt("person", clock(), "lunch"))
    for tool, asked in (
        ("start_strategy", {**HOLD, "instrument": "MNQ"}),
        ("enable_strategy", {"account": "Sim101", "strategy_id": running}),
    ):
        told = await assistant.call(tool, **asked)
        assert told.status == "denied", tool
        assert "TRADING_HALTED" in told.reasons_text
    told = await assistant.call("disable_strategy", account="Sim101", strategy_id=running)
    assert told.status == "changed"
    told = await assistant.call("close_strategy", account="Sim101", strategy_id=running)
    assert (told.status, world.net()) == ("changed", 0)


async def test_a_real_account_is_not_touched_in_sim_mode(assistant: Assistant, world: World) -> None:
    before = len(world.sim.strategies.all)
    told = await assistant.call("start_strategy", **{**HOLD, "account": "APEX-482910"})
    assert told.status == "denied"
    assert "ACCOUNT_NOT_SIMULATED" in told.reasons_text
    assert len(world.sim.strategies.all) == before


@pytest.mark.parametrize("policy", [Policy(limits=Limits(instruments=frozenset({"ES"})))], ids=["only ES"])
async def test_a_strategy_is_not_started_on_what_may_not_be_traded(assistant: Assistant, world: World) -> None:
    told = await assistant.call("start_strategy", **HOLD)
    assert told.status == "denied"
    assert "INSTRUMENT_NOT_ALLOWED" in told.reasons_text
    assert not world.sim.requests_of("StartStrategy")


async def test_a_strategy_is_not_started_on_an_expired_contract(assistant: Assistant, world: World) -> None:
    told = await assistant.call("start_strategy", **{**HOLD, "instrument": "MES 06-26"})
    assert told.is_error
    assert "EXPIRED" in told.text
    assert not world.sim.requests_of("StartStrategy")


async def test_started_twice_in_a_row_is_started_once(assistant: Assistant, world: World) -> None:
    await assistant.call("start_strategy", **HOLD)
    again = await assistant.call("start_strategy", **HOLD)
    assert (again.status, again.sent) == ("denied", False)
    assert "DUPLICATE_WITHIN_WINDOW" in again.reasons_text
    assert len(world.sim.requests_of("StartStrategy")) == 1


@pytest.mark.parametrize("tool", SWITCHES)
async def test_a_no_of_the_person_changes_no_strategy(
    assistant: Assistant, world: World, person: Person, running: str, tool: str
) -> None:
    """Ending one is an exit, and on a simulated account nobody is asked about it."""
    before = (_of(world, running).is_enabled, _of(world, running).state)
    person.answer = lambda _: ElicitResult(action="decline")
    told = await assistant.call(tool, account="Sim101", strategy_id=running)
    if tool == "close_strategy":
        assert (told.status, world.net()) == ("changed", 0)
    else:
        assert (told.status, told.sent) == ("declined", False)
        assert (_of(world, running).is_enabled, _of(world, running).state) == before


async def test_a_class_that_is_not_compiled_is_rejected_in_their_words(assistant: Assistant) -> None:
    told = await assistant.call("start_strategy", **{**HOLD, "strategy_class": "NoSuchThing"})
    assert (told.status, told.is_error) == ("rejected", True)
    assert "Strategy class 'NoSuchThing' not found" in told.reasons_text


@pytest.mark.parametrize("name", ["My.Namespace.Hold", "Hold Long", "../x", "1x"])
async def test_a_class_with_more_than_a_bare_name_is_refused(assistant: Assistant, world: World, name: str) -> None:
    told = await assistant.call("start_strategy", **{**HOLD, "strategy_class": name})
    assert told.is_error
    assert "bare name" in told.text or "STRATEGY" in told.text
    assert not world.sim.requests_of("StartStrategy")


async def test_a_pause_leaves_the_position_and_cries_out_that_its_stop_is_gone(
    assistant: Assistant, world: World, running: str
) -> None:
    told = await assistant.call("disable_strategy", account="Sim101", strategy_id=running)
    assert (told.status, told.sent) == ("changed", True)
    assert (_of(world, running).is_enabled, world.net()) == (False, 1)
    world.later(1)
    assert world.live() == []
    assert "UNPROTECTED: 1 of the 1 contracts held in MES 09-26" in told.warnings_text
    assert "tell the person now" in told.next_step
    assert told.position_after == 1


async def test_it_can_trade_on_and_be_ended_with_all_that_it_holds(
    assistant: Assistant, world: World, running: str
) -> None:
    await assistant.call("disable_strategy", account="Sim101", strategy_id=running)
    world.later()
    told = await assistant.call("enable_strategy", account="Sim101", strategy_id=running)
    assert (told.status, _of(world, running).is_enabled) == ("changed", True)
    world.later()
    told = await assistant.call("close_strategy", account="Sim101", strategy_id=running)
    assert told.status == "changed"
    assert (_of(world, running).is_terminated, world.net(), world.live()) == (True, 0, [])


@pytest.mark.parametrize("tool", SWITCHES)
async def test_a_strategy_that_is_not_there_changes_nothing(assistant: Assistant, world: World, tool: str) -> None:
    told = await assistant.call(tool, account="Sim101", strategy_id="424242")
    assert told.is_error
    assert "424242" in told.text
    assert world.net() == 0


async def test_one_that_is_over_cannot_be_revived(assistant: Assistant, world: World, running: str) -> None:
    await assistant.call("close_strategy", account="Sim101", strategy_id=running)
    world.later()
    told = await assistant.call("enable_strategy", account="Sim101", strategy_id=running)
    assert told.status in ("denied", "rejected")
    assert _of(world, running).is_terminated


@pytest.mark.parametrize("fault", NEVER)
async def test_a_start_that_never_happened_says_so(
    assistant: Assistant, world: World, store: SqliteStore, fault: Fault
) -> None:
    before = len(world.sim.strategies.all)
    world.sim.faults.arm(fault, rpc="StartStrategy")
    told = await assistant.call("start_strategy", **HOLD)
    assert told.is_error
    assert "Nothing was changed in the account." in told.text
    assert len(world.sim.strategies.all) == before
    assert await store.unsettled() == ()


@pytest.mark.parametrize("fault", LOST)
async def test_a_lost_start_is_unknown_and_never_sent_again(assistant: Assistant, world: World, fault: Fault) -> None:
    world.sim.faults.arm(fault, rpc="StartStrategy")
    told = await assistant.call("start_strategy", **HOLD)
    assert (told.status, told.sent, told.is_error) == ("unknown", "unknown", True)
    assert "get_strategies" in told.next_step
    world.later()
    again = await assistant.call("start_strategy", **HOLD)
    assert (again.status, again.sent) == ("denied", False)
    assert "OUTCOME_UNRESOLVED" in again.reasons_text
    assert len(world.sim.requests_of("StartStrategy")) == 1


@pytest.mark.parametrize("fault", TAKEN)
async def test_a_start_without_an_answer_is_found_by_its_new_id(
    assistant: Assistant, world: World, fault: Fault
) -> None:
    before = {one.id for one in world.sim.strategies.all}
    world.sim.faults.arm(fault, rpc="StartStrategy")
    told = await assistant.call("start_strategy", **HOLD)
    (new,) = {one.id for one in world.sim.strategies.all} - before
    assert (told.status, told.strategy_id) == ("changed", new)
    assert len(world.sim.requests_of("StartStrategy")) == 1


@pytest.mark.parametrize("tool", ["disable_strategy", "close_strategy"])
@pytest.mark.parametrize("fault", TAKEN)
async def test_what_was_taken_without_an_answer_is_read_back(
    assistant: Assistant, world: World, running: str, tool: str, fault: Fault
) -> None:
    world.sim.faults.arm(fault, rpc=SWITCHES[tool])
    told = await assistant.call(tool, account="Sim101", strategy_id=running)
    assert told.status == "changed"
    assert _of(world, running).is_enabled is False


@pytest.mark.parametrize("tool", SWITCHES)
@pytest.mark.parametrize("fault", LOST)
async def test_what_was_lost_is_never_called_done(
    assistant: Assistant, world: World, running: str, tool: str, fault: Fault
) -> None:
    if tool == "enable_strategy":
        await assistant.call("disable_strategy", account="Sim101", strategy_id=running)
        world.later()
    before = (_of(world, running).is_enabled, _of(world, running).state)
    world.sim.faults.arm(fault, rpc=SWITCHES[tool])
    told = await assistant.call(tool, account="Sim101", strategy_id=running)
    assert (told.status, told.sent) == ("unknown", "unknown")
    assert (_of(world, running).is_enabled, _of(world, running).state) == before


@pytest.mark.parametrize("tool", SWITCHES)
async def test_a_conflict_is_their_no(assistant: Assistant, world: World, running: str, tool: str) -> None:
    if tool == "enable_strategy":
        await assistant.call("disable_strategy", account="Sim101", strategy_id=running)
        world.later()
    world.sim.faults.arm(Fault.CONFLICT, rpc=SWITCHES[tool])
    told = await assistant.call(tool, account="Sim101", strategy_id=running)
    assert (told.status, told.is_error) == ("rejected", True)


@pytest.mark.parametrize("policy", [Policy()], ids=["default"])
async def test_without_the_toolset_nothing_of_it_is_listed(converse: Converse, person: Person) -> None:
    async with converse(person) as plain:
        names = {tool.name for tool in (await plain.client.list_tools()).tools}
    assert not {"get_strategies", "get_atm_templates", "start_strategy", *SWITCHES} & names
