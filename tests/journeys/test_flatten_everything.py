"""Flat everywhere: account by account, for one yes, and said only when every one was read."""

from dataclasses import replace

import pytest
from mcp_types import ElicitResult

from ct_mcp.domain.ticket import Approval, Halt
from ct_mcp.guard.policy import AccountPolicy, Mode, Policy
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.ledger import LIVE, SIM
from ct_mcp.simulator.world import Settings

REAL = LIVE.name
SECOND = replace(SIM, id=3, name="Sim102", display_name="Sim102", connection="Sim102")
BOTH = ("Sim101", "Sim102")
LIVE_POLICY = Policy(mode=Mode.LIVE, accounts={REAL: AccountPolicy()}, live=Approval.FORM)
LOST = [Fault.REQUEST_LOST_BEFORE_ACCEPT, Fault.ERROR_500_BEFORE_ACCEPT]
TAKEN = [Fault.ANSWER_LOST_AFTER_ACCEPT, Fault.TIMEOUT_AFTER_ACCEPT, Fault.EMPTY_BODY]


@pytest.fixture
def settings() -> Settings:
    """Two simulated accounts and a real one."""
    return Settings(accounts=(SIM, SECOND, LIVE))


@pytest.fixture
async def spread(assistant, world) -> None:
    """A position with its stop in one account, a resting entry in the other."""
    await assistant.buys(2)
    world.later()
    await assistant.protects(world.price(-60), quantity=2)
    await assistant.rests(world.price(-40), account="Sim102")
    world.later()


def _flattened(wire) -> list[str]:
    return [path.split("/")[4] for path, _ in wire.posts() if path.endswith("/positions/flatten")]


async def test_every_account_that_may_trade_is_flat_one_after_the_other(assistant, world, wire, spread) -> None:
    told = await assistant.call("flatten_everything")
    assert (told.status, told.sent, told.is_error) == ("flat", True, False)
    assert _flattened(wire) == ["Sim101", "Sim102"]
    assert (world.net(), world.live(), world.live("Sim102")) == (0, [], [])
    assert told.summary == "SIM  Sim101, Sim102  FLATTEN everything in each of these accounts"


async def test_the_accounts_it_leaves_alone_are_named(assistant, world, spread) -> None:
    told = await assistant.call("flatten_everything")
    assert f"left alone, and may still hold something: {REAL} (ACCOUNT_NOT_SIMULATED" in told.warnings_text
    assert REAL in told.text


async def test_an_account_with_nothing_open_is_read_all_the_same(assistant, world, wire) -> None:
    told = await assistant.call("flatten_everything")
    assert told.status == "flat"
    read = {path for method, path, _ in wire.left if method == "GET"}
    assert {f"/v1/api/accounts/{name}/positions" for name in BOTH} <= read
    assert {f"/v1/api/accounts/{name}/orders" for name in BOTH} <= read


async def test_leaving_simulated_accounts_asks_nobody_and_works_under_a_halt(
    assistant, world, person, store, clock, spread
) -> None:
    asked = len(person.asked)
    await store.set_halt(Halt("person", clock(), "lunch"))
    told = await assistant.call("flatten_everything")
    assert (told.status, world.net(), len(person.asked)) == ("flat", 0, asked)


@pytest.mark.parametrize("policy", [Policy(exits_simulated=Approval.FORM)], ids=["asked"])
async def test_where_exits_are_asked_about_one_yes_is_for_all_and_lists_what_stands(
    assistant, world, person, spread
) -> None:
    asked = len(person.asked)
    told = await assistant.call("flatten_everything")
    assert told.status == "flat"
    (question,) = person.asked[asked:]
    assert "Sim101" in question
    assert "Sim102" in question
    assert "MES 09-26" in question


@pytest.mark.parametrize("policy", [Policy(exits_simulated=Approval.FORM)], ids=["asked"])
async def test_a_no_of_the_person_leaves_everything(assistant, world, person, wire, spread) -> None:
    person.answer = lambda _: ElicitResult(action="decline")
    told = await assistant.call("flatten_everything")
    assert (told.status, told.sent, world.net()) == ("declined", False, 2)
    assert _flattened(wire) == []


@pytest.mark.parametrize("policy", [LIVE_POLICY], ids=["live"])
async def test_a_named_account_that_is_not_armed_can_be_left(assistant, world, wire) -> None:
    """An exit needs no arming; what the operator did not name stays alone."""
    told = await assistant.call("flatten_everything")
    assert (told.status, told.simulated) == ("flat", False)
    assert _flattened(wire) == [REAL]
    assert "left alone, and may still hold something: Sim101 (ACCOUNT_NOT_NAMED" in told.warnings_text


@pytest.mark.parametrize("policy", [Policy(mode=Mode.LIVE)], ids=["nobody named"])
async def test_where_no_account_may_be_flattened_it_says_why(assistant, world) -> None:
    told = await assistant.call("flatten_everything")
    assert told.is_error
    assert told.text.startswith("ORDER_DENIED: no account may be flattened here: Sim101 (ACCOUNT_NOT_NAMED")
    assert "Nothing was sent" in told.text
    assert world.writes() == 0


async def test_it_takes_no_arguments(assistant, world, spread) -> None:
    told = await assistant.call("flatten_everything", account="Sim101")
    assert told.text.startswith("REQUEST_INVALID: account is not a parameter")
    assert world.net() == 2


async def test_accounts_that_cannot_be_listed_are_an_error_and_never_flat(assistant, world, spread) -> None:
    world.sim.faults.arm(Fault.ADDON_OFFLINE, rpc="ListAccounts")
    told = await assistant.call("flatten_everything")
    assert told.is_error
    assert told.text.startswith("ADDON_OFFLINE")
    assert world.net() == 2


@pytest.mark.parametrize("fault", [Fault.FROZEN_ORDERS, Fault.NO_FILL, Fault.LATE_REJECT])
async def test_one_account_that_does_not_get_flat_is_never_called_flat(assistant, world, spread, fault) -> None:
    world.sim.faults.arm(fault, rpc="Flatten")
    told = await assistant.call("flatten_everything")
    assert world.net() == 2
    assert told.status in ("accepted", "rejected", "unknown")
    assert "Sim101" in told.text
    assert "still held" in told.text
    assert "tell the person now" in told.next_step


async def test_an_account_that_is_refused_does_not_keep_the_others_from_being_left(
    assistant, world, wire, spread
) -> None:
    world.sim.faults.arm(Fault.REFUSED_WITH_400, rpc="Flatten", times=1)
    told = await assistant.call("flatten_everything")
    assert _flattened(wire) == ["Sim101", "Sim102"]
    assert told.status != "flat"
    assert (world.net(), world.live("Sim102")) == (2, [])
    assert "Sim101" in told.text


@pytest.mark.parametrize("fault", LOST)
async def test_a_lost_flatten_is_unknown_and_says_what_still_stands(assistant, world, spread, fault) -> None:
    world.sim.faults.arm(fault, rpc="Flatten")
    told = await assistant.call("flatten_everything")
    assert told.status != "flat"
    assert told.sent in ("unknown", True)
    assert world.net() == 2
    world.sim.faults.disarm()
    world.later()
    again = await assistant.call("flatten_everything")
    assert (again.status, world.net()) == ("flat", 0), "an exit may be sent again"


@pytest.mark.parametrize("fault", TAKEN)
async def test_a_flatten_without_an_answer_is_read_as_flat(assistant, world, spread, fault) -> None:
    world.sim.faults.arm(fault, rpc="Flatten")
    told = await assistant.call("flatten_everything")
    assert (told.status, world.net(), world.live("Sim102")) == ("flat", 0, [])


@pytest.mark.parametrize("name", BOTH)
async def test_an_account_that_cannot_be_read_back_is_not_called_flat(assistant, world, wire, spread, name) -> None:
    """The flatten goes out, and then nothing can be read any more."""
    wire.meanwhile[f"{name}/positions/flatten"] = lambda: world.sim.faults.arm(
        Fault.ERROR_500_AFTER_ACCEPT, rpc="ListPositions"
    )
    told = await assistant.call("flatten_everything")
    assert told.status != "flat"
    assert "could not be read" in told.text or "not known" in told.text.lower()
