"""Arming and disarming faults."""

import anyio
import pytest

from ct_mcp.simulator.faults import Fault, Faults, Lag


@pytest.mark.parametrize("fault", Fault)
def test_every_fault_has_a_name_for_the_command_line_and_a_line_of_description(fault: Fault) -> None:
    assert Fault(fault.value) is fault
    assert fault.value == fault.name.lower().replace("_", "-")
    assert fault.description
    assert "\n" not in fault.description


def test_a_fault_strikes_until_it_is_disarmed() -> None:
    faults = Faults()
    faults.arm(Fault.NO_FILL)
    assert all(faults.take(Fault.NO_FILL, "PlaceOrder") for _ in range(5))
    faults.disarm(Fault.NO_FILL)
    assert not faults.take(Fault.NO_FILL, "PlaceOrder")


def test_a_fault_strikes_so_many_times_and_only_the_rpc_it_is_armed_for() -> None:
    faults = Faults()
    faults.arm(Fault.EMPTY_BODY, rpc="PlaceOrder", times=2)
    assert not faults.take(Fault.EMPTY_BODY, "Cancel")
    assert [faults.take(Fault.EMPTY_BODY, "PlaceOrder") for _ in range(3)] == [True, True, False]
    assert faults.armed() == []


def test_a_fault_that_is_used_up_still_holds_what_it_has_struck() -> None:
    faults = Faults()
    faults.arm(Fault.NO_FILL, times=1)
    faults.take(Fault.NO_FILL)
    assert faults.holds(Fault.NO_FILL)
    faults.disarm()
    assert not faults.holds(Fault.NO_FILL)


def test_the_first_fault_that_is_due_strikes() -> None:
    faults = Faults()
    faults.arm(Fault.FORBIDDEN, rpc="Cancel")
    faults.arm(Fault.CONFLICT)
    assert faults.armed() == [Fault.FORBIDDEN, Fault.CONFLICT]
    assert faults.first_due((Fault.FORBIDDEN, Fault.CONFLICT), "PlaceOrder") is Fault.CONFLICT
    assert faults.first_due((Fault.BAD_GATEWAY,), "PlaceOrder") is None


async def test_a_held_answer_waits_until_it_is_released() -> None:
    faults, told = Faults(), list[str]()

    async def answer() -> None:
        await faults.hold()
        told.append("answered")

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(answer)
            await faults.slow_answer_waits()
            assert told == []
            faults.release()
    assert told == ["answered"]


@pytest.mark.parametrize("lag", Lag)
def test_what_stays_behind_is_armed_like_a_fault_and_is_none(lag: Lag) -> None:
    faults = Faults()
    faults.arm(lag, times=1)
    assert lag.value not in {fault.value for fault in Fault}
    assert (faults.armed(), faults.take(lag), faults.take(lag)) == ([lag], True, False)
