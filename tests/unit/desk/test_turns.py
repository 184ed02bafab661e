"""Orders that one process is asked for at the same moment go one after the other; an exit waits for none of them."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import anyio
import pytest

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.desk import turns
from ct_mcp.desk.desk import Desk
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.turns import Turns
from ct_mcp.domain.approval import Approval, Ticket
from ct_mcp.domain.commands import Command, Flatten, ProtectPosition, ReplaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.guard.policy import Policy
from tests.factories import NOW
from tests.unit.desk.conftest import Buys, Does, Prices


@pytest.fixture
def policy() -> Policy:
    return Policy(simulated=Approval.NONE)


async def under_way(lines: Turns, first: Command, then: Command) -> list[str]:
    """Who is under way, in order, where the second begins while the first is."""
    told: list[str] = []

    async def one(command: Command, name: str, began: Callable[[], object]) -> None:
        async with lines.taken(command):
            told.append(f"{name} begins")
            began()
            await anyio.wait_all_tasks_blocked()
            told.append(f"{name} ends")

    async with anyio.create_task_group() as tasks:
        await one(first, "first", lambda: tasks.start_soon(one, then, "second", lambda: None))
    return told


IN_TURN = ["first begins", "first ends", "second begins", "second ends"]


async def test_the_same_instrument_goes_in_turn(buy: Buys) -> None:
    assert await under_way(Turns(lambda: NOW), buy(1), buy(2, kind="LIMIT", limit_price=Decimal(6000))) == IN_TURN


@pytest.mark.parametrize(
    "other", [{"instrument": Instrument("ES", 2026, 9)}, {"account": "Sim102"}], ids=["instrument", "account"]
)
async def test_another_instrument_or_account_goes_beside_it(buy: Buys, other: dict[str, Any]) -> None:
    assert (await under_way(Turns(lambda: NOW), buy(1), buy(1, **other)))[:2] == ["first begins", "second begins"]


async def test_an_order_in_place_of_another_is_one_of_its_instrument(buy: Buys) -> None:
    swap = ReplaceOrder("Sim101", "a1", buy(2, kind="LIMIT", limit_price=Decimal(6000)))
    assert await under_way(Turns(lambda: NOW), buy(1), swap) == IN_TURN


async def test_a_position_without_a_stop_does_not_wait_for_one(buy: Buys, mes: Instrument) -> None:
    bracket = ProtectPosition("Sim101", mes, None, Decimal(5990))
    assert (await under_way(Turns(lambda: NOW), buy(1), bracket))[:2] == ["first begins", "second begins"]


@pytest.mark.parametrize("turn", [1, -1], ids=["the exit first", "the exit second"])
async def test_an_exit_waits_for_nobody_and_nobody_for_it(buy: Buys, mes: Instrument, turn: int) -> None:
    commands: list[Command] = [Flatten("Sim101", mes), buy(1)]
    first, second = commands[::turn]
    assert (await under_way(Turns(lambda: NOW), first, second))[:2] == ["first begins", "second begins"]


async def test_who_has_waited_long_enough_goes_on_and_is_judged(buy: Buys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "LONGEST_WAIT_SECONDS", 0.0)
    lines = Turns(lambda: NOW)
    assert (await under_way(lines, buy(1), buy(2)))[:2] == ["first begins", "second begins"]
    assert await under_way(lines, Flatten("Sim101", None), buy(1)), "and no turn is lost or given twice"


async def test_orders_asked_for_at_once_are_all_sent(does: Does, buy: Buys, price: Prices) -> None:
    told: list[Outcome] = []

    async def place(ticks: int) -> None:
        told.append(await does(buy(1, kind="LIMIT", limit_price=price(ticks))))

    async with anyio.create_task_group() as tasks:
        for ticks in (-20, -24, -28):
            tasks.start_soon(place, ticks)
    assert [outcome.status for outcome in told] == [Status.WORKING] * 3, told


async def test_a_proposal_waits_until_what_is_under_way_was_read_back(
    desk: Desk, crosstrade: CrossTrade, buy: Buys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would be denied for an order that is only being looked up."""
    place, proposed = crosstrade.place_order, []
    is_sent, may_answer = anyio.Event(), anyio.Event()

    async def slow(*given: Any, **named: Any) -> Any:
        answer = await place(*given, **named)
        is_sent.set()
        await may_answer.wait()
        return answer

    async def propose() -> None:
        proposed.append(await desk.propose(buy(2)))

    monkeypatch.setattr(crosstrade, "place_order", slow)
    ticket = await desk.propose(buy(1))
    assert isinstance(ticket, Ticket)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(desk.commit, ticket.ticket_id)
        await is_sent.wait()
        tasks.start_soon(propose)
        await anyio.wait_all_tasks_blocked()
        assert proposed == []
        may_answer.set()
    assert isinstance(proposed[0], Ticket)
