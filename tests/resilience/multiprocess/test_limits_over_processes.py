"""What several processes send together stays within the limits, and what one of them decides holds for all."""

from collections.abc import Callable

import pytest

from ct_mcp.simulator.simulator import Simulator
from tests.resilience.multiprocess.conftest import Opened, Processes

LIVE = "APEX-482910"


async def proposed(processes: Processes, *orders: str) -> list[str]:
    """A ticket of its own for each process."""
    tickets: list[str] = await processes.asked("propose", *({"action": order} for order in orders))
    assert len(set(tickets)) == len(orders)
    return tickets


async def committed_at_once(processes: Processes, *orders: str) -> list[list[str]]:
    """Propose one order in each process; let all stop right before the intent, and then go on at once."""
    tickets = await proposed(processes, *orders)
    stops = await processes.asked("commit", *({"ticket_id": ticket} for ticket in tickets), stop_at="append_intent")
    assert stops == ["append_intent"] * len(orders)
    told: list[list[str]] = await processes.go_on()
    return told


def sent(sim: Simulator) -> list[int]:
    """The sizes of all that reached the market."""
    return sorted(order.terms.quantity for order in sim.exchange.orders)


def codes(told: list[list[str]]) -> list[str]:
    """The first code of each denial."""
    return [reasons[0].split(":")[0] for status, *reasons in told if status == "denied"]


async def test_a_ticket_is_spent_once_however_many_race_for_it(
    opened: Opened, order: Callable[..., str], sim: Simulator
) -> None:
    processes = await opened()
    for number in range(1, 6):
        ticket = await processes.all[0].asked("propose", action=order(1, "BUY" if number % 2 else "SELL"))
        assert await processes.asked("commit", ticket_id=ticket, stop_at="spend_ticket") == ["spend_ticket"] * 3
        told = [first for first, *_ in await processes.go_on()]
        assert sorted(told) == ["TICKET_SPENT", "TICKET_SPENT", "filled"]
        assert len(sim.exchange.orders) == number


async def test_the_same_proposal_in_several_processes_is_one_ticket(opened: Opened, order: Callable[..., str]) -> None:
    processes = await opened()
    assert await processes.asked("propose", action=order(1), stop_at="open_ticket") == ["open_ticket"] * 3
    assert len(set(await processes.go_on())) == 1


@pytest.mark.parametrize("limit", [2, 3, 4])
async def test_the_position_of_all_together_stays_within_the_limit(
    opened: Opened, order: Callable[..., str], sim: Simulator, limit: int
) -> None:
    processes = await opened(max_position_contracts=limit)
    told = await committed_at_once(processes, order(1), order(2), order(2, ticks=-20))
    assert 0 < sum(sent(sim)) <= limit
    assert set(codes(told)) <= {"POSITION_EXCEEDS_MAXIMUM", "OUTCOME_UNRESOLVED"}, "on its way in another counts"


async def test_exits_by_order_in_several_processes_do_not_turn_the_position(
    opened: Opened, order: Callable[..., str], sim: Simulator
) -> None:
    """Each of them only reduces, and all of them together would open the other way."""
    processes = await opened(max_position_contracts=2)
    ticket = await processes.all[0].asked("propose", action=order(2))
    assert (await processes.all[0].asked("commit", ticket_id=ticket))[0] == "filled"
    orders = order(2, "SELL", ticks=20), order(2, "SELL", ticks=24), order(2, "SELL", ticks=28)
    await committed_at_once(processes, *orders)
    assert sum(sent(sim)[1:]) <= 4, "from long two to short two, at the most"


@pytest.mark.parametrize("pace", ["max_orders_per_minute", "max_orders_per_day"])
async def test_the_pace_of_all_together_stays_within_the_limit(
    opened: Opened, order: Callable[..., str], sim: Simulator, pace: str
) -> None:
    processes = await opened(**{pace: 2})
    told = await committed_at_once(processes, order(1), order(1, root="MNQ"), order(1, root="ES"))
    assert len(sent(sim)) == 2
    assert codes(told) == [pace.removeprefix("max_").upper() + "_REACHED"]


async def test_the_same_order_again_from_another_process_is_a_duplicate(
    opened: Opened, order: Callable[..., str], sim: Simulator
) -> None:
    """Its first ticket is spent, so the second one is another; the first intent is not written yet."""
    first, second, _ = (await opened(duplicate_window_seconds=10.0)).all
    for process in (first, second):
        ticket = await process.asked("propose", action=order(1))
        assert await process.asked("commit", ticket_id=ticket, stop_at="append_intent") == "append_intent"
    assert (await first.goes_on())[0] == "filled"
    assert codes([await second.goes_on()]) == ["DUPLICATE_WITHIN_WINDOW"]
    assert sent(sim) == [1]


async def test_a_halt_by_one_stops_the_order_that_another_is_about_to_send(
    opened: Opened, order: Callable[..., str], flatten: str, sim: Simulator
) -> None:
    first, second, third = (await opened()).all
    ticket = await first.asked("propose", action=order(1))
    assert await first.asked("commit", ticket_id=ticket, stop_at="append_intent") == "append_intent"
    assert await second.asked("halt")
    assert codes([await first.goes_on()]) == ["TRADING_HALTED"]
    assert (await third.asked("propose", action=order(2)))[0].startswith("TRADING_HALTED")
    ticket = await third.asked("propose", action=flatten)
    assert (await third.asked("commit", ticket_id=ticket))[0] == "flat"
    assert sent(sim) == []


async def test_arming_and_disarming_by_one_hold_for_all(
    opened: Opened, order: Callable[..., str], sim: Simulator
) -> None:
    first, second, third = (await opened(mode="live")).all
    live = order(1, account=LIVE)
    assert (await first.asked("propose", action=live))[0].startswith("ACCOUNT_NOT_ARMED")
    await second.asked("arm", account=LIVE)
    ticket = await first.asked("propose", action=live)
    assert await first.asked("commit", ticket_id=ticket, stop_at="append_intent") == "append_intent"
    assert await third.asked("disarm", account=LIVE)
    assert codes([await first.goes_on()]) == ["ACCOUNT_NOT_ARMED"]
    assert sent(sim) == []


async def test_an_exit_goes_while_another_process_is_about_to_send(
    opened: Opened, order: Callable[..., str], flatten: str, sim: Simulator
) -> None:
    first, second, _ = (await opened(max_position_contracts=2)).all
    ticket = await first.asked("propose", action=order(2))
    assert await first.asked("commit", ticket_id=ticket, stop_at="append_intent") == "append_intent"
    ticket = await second.asked("propose", action=flatten)
    assert (await second.asked("commit", ticket_id=ticket))[0] == "flat"
    assert (await first.goes_on())[0] == "filled"


async def test_of_processes_that_want_the_lease_at_once_one_has_it(opened: Opened) -> None:
    processes = await opened()
    holders = [{"holder": name} for name in "abc"]
    assert await processes.asked("take_lease", *holders, stop_at="take_lease") == ["take_lease"] * 3
    assert sorted(await processes.go_on()) == [False, False, True]
