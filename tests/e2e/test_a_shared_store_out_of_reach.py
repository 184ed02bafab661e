"""While the store of all machines is out of reach, an assistant gets out of everything and into nothing."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.desk.desk import Desk
from ct_mcp.domain.approval import Approval, Ticket, TicketState
from ct_mcp.domain.commands import ClosePosition
from ct_mcp.errors import StoreOutOfReach
from ct_mcp.guard.policy import Policy
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault
from ct_mcp.store.alone import ExitsAlone
from ct_mcp.store.sql_store import SqlStore
from tests.conftest import Person
from tests.e2e.conftest import Assistant, Converse, World
from tests.unit.store.test_alone import Faraway


@pytest.fixture
def faraway(tmp_path: Path) -> Faraway:
    """The shared store."""
    return Faraway(tmp_path / "shared.sqlite3")


@pytest.fixture
def desk(
    faraway: Faraway,
    crosstrade: CrossTrade,
    policy: Policy,
    clock: ManualClock,
    pause: Callable[[float], Awaitable[None]],
    tmp_path: Path,
) -> Desk:
    """A desk over it."""

    def passed() -> float:
        return clock().timestamp()

    store = SqlStore(ExitsAlone(faraway, tmp_path / "state", "", clock, passed))
    return Desk(crosstrade, store, policy, clock=clock, pause=pause)


async def test_openings_are_denied_and_exits_go_on_and_all_is_well_again_afterwards(
    converse: Converse, person: Person, desk: Desk, world: World, faraway: Faraway
) -> None:
    async with converse(person, over=desk) as assistant:
        assert (await assistant.buys(2)).status == "filled"
        order_id = await assistant.rests(world.price(-40))
        world.later()
        faraway.is_out = True
        told = await assistant.buys(1)
        assert told.status == "denied", told.text
        assert "TRADING_HALTED" in told.reasons_text
        assert "the shared store is out of reach: postgresql://alice@db/team: it cannot be reached" in told.reasons_text
        assert (await assistant.call("cancel_order", account="Sim101", order_id=order_id)).status == "cancelled"
        world.later()
        assert (await assistant.call("flatten", account="Sim101")).status == "flat"
        assert (world.net(), world.live()) == (0, [])
        faraway.is_out = False
        world.later(60)
        assert (await assistant.buys(1)).status == "filled"
        assert world.net() == 1


@pytest.mark.parametrize("tool", ["flatten", "close_position"])
async def test_an_exit_that_is_cut_off_in_the_middle_sends_nothing_and_goes_when_it_is_asked_again(
    converse: Converse, person: Person, desk: Desk, world: World, faraway: Faraway, tool: str
) -> None:
    more = {"instrument": "MES"} if tool == "close_position" else {}
    async with converse(person, over=desk) as assistant:
        await assistant.buys(1)
        world.later()
        before = world.writes()
        cut_before_the_intent(faraway)
        told = await assistant.call(tool, account="Sim101", **more)
        assert told.text.startswith("JOURNAL_UNAVAILABLE"), told.text
        assert "Nothing was sent to the market." in told.text
        assert world.writes() == before
        world.later()
        assert (await assistant.call(tool, account="Sim101", **more)).status == "flat"
        assert world.net() == 0


async def test_an_entry_that_is_cut_off_in_the_middle_is_never_sent(
    assistant_over: Assistant, world: World, faraway: Faraway
) -> None:
    cut_before_the_intent(faraway)
    told = await assistant_over.buys(1)
    assert told.text.startswith("JOURNAL_UNAVAILABLE"), told.text
    assert (world.writes(), world.net()) == (0, 0)


@pytest.mark.parametrize("is_out", [False, True], ids=["in reach", "out of reach"])
async def test_an_exit_of_which_nobody_heard_counts_as_on_its_way_wherever_it_was_written(
    assistant_over: Assistant, world: World, faraway: Faraway, *, is_out: bool
) -> None:
    """The network broke as a whole: neither the service's answer came, nor is the store reached any more."""
    await assistant_over.buys(2)
    world.later()
    world.sim.faults.arm(Fault.ANSWER_LOST_AFTER_ACCEPT, rpc="ClosePosition", times=1)
    world.sim.faults.arm(Fault.FROZEN_ORDERS)
    first = await assistant_over.call("close_position", account="Sim101", instrument="MES")
    assert first.status in {"unknown", "accepted"}, first.text
    faraway.is_out = is_out
    world.later()
    second = await assistant_over.call("close_position", account="Sim101", instrument="MES")
    assert second.status == "denied", second.text
    assert "EXIT_ON_ITS_WAY" in second.reasons_text


async def test_whoever_asks_again_for_what_was_sent_before_is_never_told_that_nothing_was(
    assistant_over: Assistant, world: World, faraway: Faraway
) -> None:
    sent = await assistant_over.buys(1)
    faraway.is_out = True
    world.later()
    told = await assistant_over.call("confirm_ticket", ticket_id=sent.ticket_id)
    assert "Nothing was sent" not in told.text
    assert "What it held may have been sent before; nothing is sent now" in told.text
    assert world.net() == 1


@pytest.mark.parametrize("what", ["a bracket", "a stop", "a part sold", "a stop moved nearer"])
async def test_an_order_that_only_reduces_leaves(
    assistant_over: Assistant, world: World, faraway: Faraway, what: str
) -> None:
    await assistant_over.buys(2)
    world.later()
    stop = await assistant_over.protects(world.price(-40), 2) if what == "a stop moved nearer" else ""
    world.later()
    faraway.is_out = True
    await assistant_over.call("get_account", account="Sim101")
    match what:
        case "a bracket":
            at = str(world.price(-40))
            told = await assistant_over.call("protect_position", account="Sim101", instrument="MES", stop_loss=at)
        case "a stop":
            told = await assistant_over.buys(2, action="SELL", order_type="STOP_MARKET", stop_price=world.price(-40))
        case "a part sold":
            told = await assistant_over.buys(1, action="SELL")
        case _:
            nearer = {"order_id": stop, "stop_price": world.price(-20)}
            told = await assistant_over.call("change_order", account="Sim101", **nearer)
    assert not told.is_error, told.text
    assert told.status in {"filled", "working", "protected", "changed"}, told.text
    assert (world.net(), len(world.live())) == ((1, 0) if what == "a part sold" else (2, 1))


async def test_an_order_that_goes_beyond_what_is_held_does_not(
    assistant_over: Assistant, world: World, faraway: Faraway
) -> None:
    await assistant_over.buys(2)
    world.later()
    faraway.is_out = True
    told = await assistant_over.buys(3, action="SELL")
    assert told.status == "denied", told.text
    assert "TRADING_HALTED" in told.reasons_text
    assert (world.net(), world.live()) == (2, [])


async def test_openings_go_on_once_it_is_reached_although_the_assistant_kept_asking(
    assistant_over: Assistant, world: World, faraway: Faraway
) -> None:
    faraway.is_out = True
    assert (await assistant_over.buys(1)).status == "denied"
    faraway.is_out = False
    told = []
    for _ in range(3):
        world.later(10)
        told.append((await assistant_over.buys(1)).status)
    assert told == ["denied", "filled", "filled"]


async def test_a_loss_that_was_reached_meanwhile_is_remembered_afterwards(
    assistant_over: Assistant, world: World, faraway: Faraway
) -> None:
    account = world.sim.exchange.accounts["Sim101"]
    faraway.is_out = True
    account.gross_realized -= 600
    assert not (await assistant_over.call("get_account", account="Sim101")).is_error
    account.gross_realized += 300
    faraway.is_out = False
    world.later(60)
    told = await assistant_over.buys(1)
    assert told.status == "denied", told.text
    assert "DAY_LOSS_REACHED" in told.reasons_text


async def test_denials_of_meanwhile_count_towards_the_halt(
    assistant_over: Assistant, world: World, desk: Desk, faraway: Faraway
) -> None:
    faraway.is_out = True
    for quantity in (98, 99):
        await assistant_over.buys(quantity)
    faraway.is_out = False
    world.later(60)
    assert await desk.store.halt() is None
    assert (await assistant_over.buys(97)).status == "denied"
    halt = await desk.store.halt()
    assert halt is not None
    assert halt.reason.startswith("3 denials within")


async def test_a_denial_that_would_halt_trading_is_told_as_a_denial(
    assistant_over: Assistant, faraway: Faraway
) -> None:
    faraway.is_out = True
    for quantity in (96, 97, 98, 99):
        told = await assistant_over.buys(quantity)
        assert told.status == "denied", told.text
        assert "QUANTITY_EXCEEDS_MAXIMUM" in told.reasons_text


@pytest.mark.parametrize("policy", [Policy(exits_simulated=Approval.PAGE)])
async def test_a_no_that_would_halt_trading_is_taken(
    assistant_over: Assistant, world: World, desk: Desk, faraway: Faraway
) -> None:
    await assistant_over.buys(2)
    world.later()
    faraway.is_out = True
    instrument = await desk.resolver.instrument("MES")
    await desk.store.halt()
    for contracts in (None, 1):
        ticket = await desk.propose(ClosePosition("Sim101", instrument, contracts, None))
        assert isinstance(ticket, Ticket), ticket
        assert await desk.decisions.decline(ticket, "page")
        assert (await desk.ticket(ticket.ticket_id)).state is TicketState.DECLINED


@pytest.fixture
async def assistant_over(converse: Converse, person: Person, desk: Desk) -> AsyncIterator[Assistant]:
    """An assistant over that desk."""
    async with converse(person, over=desk) as assistant:
        yield assistant


def cut_before_the_intent(faraway: Faraway) -> None:
    """Let the store go out of reach right when an intent is to be written."""
    write = faraway.write

    def until_then(work: Callable[..., object], *arguments: object) -> object:
        if (
            work.__name__ in {"append_intent", "append_intent_of_all", "append"}
            and getattr(arguments[0], "kind", "") == "intent"
        ):
            faraway.is_out = True
            raise StoreOutOfReach("postgresql://alice@db/team: whether it was written is not known")
        return write(work, *arguments)

    faraway.write = until_then  # type: ignore[method-assign, assignment]
