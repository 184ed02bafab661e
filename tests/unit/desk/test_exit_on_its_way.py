"""An exit on its way is an exit: the same again, or another in its place, sends nothing, however slow the fill."""

from collections.abc import Sequence
from dataclasses import replace

import anyio
import pytest

from ct_mcp.crosstrade.schemas.orders import Acknowledged
from ct_mcp.desk.desk import Desk
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.ports import Upstream
from ct_mcp.domain.account import AccountSnapshot, Balances, Position
from ct_mcp.domain.approval import Approval, Ticket
from ct_mcp.domain.commands import (
    CancelOrder,
    CancelOrders,
    ClosePosition,
    Command,
    Flatten,
    PlaceOrder,
    ReversePosition,
)
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import Order
from ct_mcp.guard.policy import Policy
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault, Lag
from ct_mcp.simulator.orders import Action, OrderLabels, OrderTerms, SimOrderType
from ct_mcp.simulator.simulator import Simulator
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.store.sqlite import SqliteStore
from tests.unit.desk.conftest import Buys, Does, Oddly, Prices, Way

MES, MNQ = Instrument("MES", 2026, 9), Instrument("MNQ", 2026, 9)
EXITS = ("Flatten", "ClosePosition")
WHOLE: dict[str, Command] = {
    "flatten": Flatten("Sim101", MES),
    "flatten everything": Flatten("Sim101", None),
    "close": ClosePosition("Sim101", MES),
}


def held(sim: Simulator) -> list[int]:
    """What the account really holds, once everything that is on its way has filled."""
    sim.faults.disarm()
    sim.advance(20)
    return [position.quantity for position in sim.exchange.accounts["Sim101"].open_positions()]


def sent(sim: Simulator) -> int:
    """How many exits reached the service."""
    return len(sim.requests_of(*EXITS))


@pytest.mark.parametrize("second", WHOLE.values(), ids=WHOLE.keys())
@pytest.mark.parametrize("first", WHOLE.values(), ids=WHOLE.keys())
async def test_a_second_exit_sends_nothing_while_the_first_fills_slowly(
    does: Does, long_two: Outcome, sim: Simulator, first: Command, second: Command
) -> None:
    sim.faults.arm(Lag.CLOSE_STUCK)
    told = await does(first)
    assert told.status is Status.ACCEPTED
    sim.advance(5)
    again = await does(second)
    assert again.status is Status.DENIED
    assert again.reasons[0].startswith("EXIT_ON_ITS_WAY: on its way=-2 MES 09-26")
    assert again.reasons[0].endswith("; look with get_positions until it has filled")
    assert sent(sim) == 1
    assert held(sim) == []


@pytest.mark.parametrize("first", WHOLE.values(), ids=WHOLE.keys())
@pytest.mark.parametrize("turns", [True, False], ids=["reverse", "flatten first"])
async def test_what_leaves_first_and_opens_then_sends_nothing_beside_an_exit_on_its_way(
    does: Does, long_two: Outcome, buy: Buys, sim: Simulator, first: Command, *, turns: bool
) -> None:
    sim.faults.arm(Lag.CLOSE_STUCK)
    assert (await does(first)).status is Status.ACCEPTED
    sim.advance(5)
    told = await does(ReversePosition("Sim101", MES) if turns else buy(1, flatten_first=True))
    assert told.status is Status.DENIED
    (why,) = [reason for reason in told.reasons if reason.startswith("EXIT_ON_ITS_WAY: on its way=-2 MES 09-26")]
    assert why.endswith("; look with get_positions until it has filled")
    assert held(sim) == []


@pytest.mark.parametrize(
    ("unknown", "then"),
    [(("SELL", 2), ("BUY", 1, "MARKET")), (("BUY", 1), ("BUY", 1, "STOP_MARKET"))],
    ids=["on the side of the leg that leaves", "on the side of the leg that opens"],
)
async def test_what_flattens_first_waits_for_what_is_unknown_on_the_side_of_either_leg(
    does: Does, buy: Buys, price: Prices, sim: Simulator, unknown: tuple[str, int], then: tuple[str, int, str]
) -> None:
    await does(buy(3))
    sim.advance(20)
    sim.faults.arm(Fault.REQUEST_LOST_BEFORE_ACCEPT, rpc="PlaceOrder", times=1)
    assert (await does(buy(unknown[1], action=unknown[0]))).status is Status.UNKNOWN
    at = price(20) if then[2] == "STOP_MARKET" else None
    wanted: PlaceOrder = buy(then[1], then[0], then[2], stop_price=at, flatten_first=True)
    assert "OUTCOME_UNRESOLVED" in str((await does(wanted)).reasons)
    assert held(sim) == [3]


@pytest.mark.parametrize("first", WHOLE.values(), ids=WHOLE.keys())
async def test_no_answer_advises_to_send_an_exit_again_while_it_works(
    does: Does, long_two: Outcome, sim: Simulator, first: Command
) -> None:
    sim.faults.arm(Lag.CLOSE_STUCK)
    told = await does(first)
    text = " ".join((*told.reasons, *told.warnings, told.next_step))
    assert "look with get_positions" in text
    assert "flatten again" not in text
    assert "close_position with" not in text


@pytest.mark.parametrize("second", WHOLE.values(), ids=WHOLE.keys())
@pytest.mark.parametrize("first", WHOLE.values(), ids=WHOLE.keys())
@pytest.mark.parametrize("fault", [Fault.REQUEST_LOST_BEFORE_ACCEPT, Fault.READ_TIMEOUT_AFTER_ACCEPT])
async def test_a_second_exit_sends_nothing_while_the_answer_to_the_first_is_lost(
    does: Does, long_two: Outcome, sim: Simulator, clock: ManualClock, fault: Fault, first: Command, second: Command
) -> None:
    rpc = "ClosePosition" if isinstance(first, ClosePosition) else "Flatten"
    sim.faults.arm(Lag.CLOSE_STUCK)
    sim.faults.arm(fault, rpc=rpc, times=1)
    assert (await does(first)).status is Status.UNKNOWN
    before = sent(sim)
    assert "EXIT_ON_ITS_WAY" in (await does(second)).reasons[0]
    assert sent(sim) == before
    if fault is Fault.REQUEST_LOST_BEFORE_ACCEPT:
        sim.faults.disarm()
        clock.advance(61)
        assert (await does(second)).status is Status.FLAT, "by then it cannot be under way any more"
    assert held(sim) == []


def somebody_buys(sim: Simulator, clock: ManualClock) -> None:
    """Let somebody else buy two at the market, past the desk."""
    terms = OrderTerms(sim.market.front("MES", clock()), Action.BUY, 2, SimOrderType.MARKET)
    sim.exchange.submit(sim.exchange.accounts["Sim101"], terms, OrderLabels(rpc="ByHand"), clock())
    sim.advance(2)


@pytest.mark.parametrize("second", WHOLE.values(), ids=WHOLE.keys())
@pytest.mark.parametrize("instrument", [MES, None], ids=["one", "everything"])
async def test_an_exit_that_found_nothing_to_leave_leaves_what_is_held_when_it_arrives(
    *, odd: Oddly, does: Does, sim: Simulator, clock: ManualClock, instrument: Instrument | None, second: Command
) -> None:
    """Somebody buys while it is on its way: a second exit beside it would turn the position round."""
    told = list[Outcome]()

    async def late(inner: Upstream, account: str, which: Instrument | None) -> Acknowledged:
        somebody_buys(sim, clock)
        told.append(await does(second))
        return await inner.flatten(account, which)

    first = await odd("flatten", late)(Flatten("Sim101", instrument))
    assert told[0].status is Status.DENIED
    assert told[0].reasons[0] == "EXIT_ON_ITS_WAY: on its way=-2 MES 09-26; look with get_positions until it has filled"
    assert first.status is Status.FLAT
    assert sent(sim) == 1
    assert held(sim) == []


async def test_an_exit_on_its_way_leaves_what_was_added_since_it_was_sent_as_well(
    does: Does, long_two: Outcome, sim: Simulator, clock: ManualClock
) -> None:
    sim.faults.arm(Fault.REQUEST_LOST_BEFORE_ACCEPT, rpc="Flatten", times=1)
    assert (await does(Flatten("Sim101", MES))).status is Status.UNKNOWN
    somebody_buys(sim, clock)
    told = await does(Flatten("Sim101", MES))
    assert told.reasons[0].startswith("EXIT_ON_ITS_WAY: on its way=-4 MES 09-26; look with get_positions")


@pytest.mark.parametrize("second", WHOLE.values(), ids=WHOLE.keys())
@pytest.mark.parametrize("fault", [Fault.REQUEST_LOST_BEFORE_ACCEPT, Fault.NO_FILL])
async def test_an_order_at_the_market_that_leaves_is_an_exit_on_its_way_as_well(
    does: Does, long_two: Outcome, buy: Buys, sim: Simulator, clock: ManualClock, fault: Fault, second: Command
) -> None:
    """Whether it was sent as an exit or as an order: both together would turn the position round."""
    sim.faults.arm(fault, rpc=None if fault is Fault.NO_FILL else "PlaceOrder", times=1)
    first = await does(buy(2, action="SELL"))
    assert first.status in (Status.UNKNOWN, Status.WORKING)
    before = sent(sim)
    told = await does(second)
    assert told.status is Status.DENIED
    assert told.reasons[0].startswith("EXIT_ON_ITS_WAY: on its way=-2 MES 09-26")
    assert sent(sim) == before
    if fault is Fault.REQUEST_LOST_BEFORE_ACCEPT:
        clock.advance(61)
        assert (await does(second)).status is Status.FLAT, "by then it cannot be under way any more"
    assert held(sim) == []


async def test_after_an_order_at_the_market_has_left_the_next_exit_waits_for_no_reading(
    does: Does, long_two: Outcome, buy: Buys, sim: Simulator
) -> None:
    assert (await does(buy(1, action="SELL"))).status is Status.FILLED
    read_before = len(sim.requests_of("ListOrders"))
    assert (await does(ClosePosition("Sim101", MES))).status is Status.FLAT
    asked = [request.rpc for request in sim.requests_of("ListOrders", "ClosePosition")]
    assert asked.index("ClosePosition") == read_before


async def test_an_exit_that_stands_and_never_fills_keeps_nobody_in(
    does: Does, long_two: Outcome, sim: Simulator, clock: ManualClock
) -> None:
    sim.faults.arm(Fault.NO_FILL)
    await does(ClosePosition("Sim101", MES))
    clock.advance(120)
    told = await does(Flatten("Sim101", MES))
    assert told.status is Status.DENIED
    assert "does not fill: cancel_order it, then leave again" in told.next_step
    (stuck,) = sim.exchange.live_orders("Sim101")
    assert (await does(CancelOrder("Sim101", stuck.id))).status is Status.CANCELLED
    sim.faults.disarm()
    assert (await does(Flatten("Sim101", MES))).status is Status.FLAT
    assert held(sim) == []


async def test_what_an_exit_on_its_way_leaves_is_named_and_may_be_closed(
    desk: Desk, does: Does, buy: Buys, sim: Simulator
) -> None:
    await does(buy(3))
    await does(buy(1, instrument=MNQ))
    sim.advance(20)
    sim.faults.arm(Fault.REQUEST_LOST_BEFORE_ACCEPT, rpc="ClosePosition", times=1)
    assert (await does(ClosePosition("Sim101", MES, quantity=1))).status is Status.UNKNOWN
    told = await does(Flatten("Sim101", None))
    assert told.status is Status.DENIED
    uncovered = "what it does not cover: close_position of MES 09-26 with quantity 2; flatten of MNQ 09-26"
    assert told.reasons[0].endswith(uncovered)
    ticket = await desk.propose(ClosePosition("Sim101", MES, quantity=2))
    assert isinstance(ticket, Ticket)
    assert ticket.approval is Approval.NONE
    assert (await desk.commit(ticket.ticket_id)).status is Status.FILLED
    assert (await does(Flatten("Sim101", MNQ))).status is Status.FLAT
    assert held(sim) == [1]


async def test_a_partial_close_that_would_pass_through_flat_behind_another_is_asked_about(
    desk: Desk, does: Does, buy: Buys, sim: Simulator
) -> None:
    await does(buy(3))
    sim.advance(30)
    sim.faults.arm(Fault.NO_FILL)
    await does(ClosePosition("Sim101", MES, quantity=1))
    ticket = await desk.propose(ClosePosition("Sim101", MES, quantity=2))
    assert isinstance(ticket, Ticket)
    assert ticket.approval is Approval.FORM, "exits ask nobody"
    assert "WARNING: the orders that stand could turn the position round" in ticket.question
    assert held(sim) == [2]


async def test_a_close_of_all_contracts_behind_another_exit_is_denied_as_the_whole_is(
    desk: Desk, does: Does, long_two: Outcome, sim: Simulator
) -> None:
    sim.faults.arm(Fault.NO_FILL)
    await does(ClosePosition("Sim101", MES, quantity=1))
    for whole in (ClosePosition("Sim101", MES, quantity=2), ClosePosition("Sim101", MES)):
        told = await desk.propose(whole)
        assert isinstance(told, Outcome)
        assert told.status is Status.DENIED
        assert told.reasons[0].startswith("EXIT_ON_ITS_WAY: on its way=-1 MES 09-26")


@pytest.mark.parametrize("policy", [Policy(exits_simulated=Approval.FORM), Policy()], ids=["asked", "unasked"])
async def test_of_two_exits_at_the_same_moment_one_is_sent(
    desk: Desk, long_two: Outcome, sim: Simulator, clock: ManualClock
) -> None:
    sim.faults.arm(Lag.CLOSE_STUCK)
    tickets = [await desk.propose(command) for command in WHOLE.values()]
    for ticket in tickets:
        assert isinstance(ticket, Ticket), ticket
        await desk.decisions.approve(ticket, "terminal")
    clock.advance(5)
    told: list[Outcome] = []

    async def commit(ticket_id: str | None) -> None:
        told.append(await desk.commit(str(ticket_id)))

    async with anyio.create_task_group() as group:
        for ticket in tickets:
            group.start_soon(commit, ticket.ticket_id)
    assert sorted(outcome.status for outcome in told) == [Status.ACCEPTED, Status.DENIED, Status.DENIED]
    assert sent(sim) == 1
    assert held(sim) == []


async def test_once_it_has_filled_the_account_may_be_left_and_entered_again(
    does: Does, long_two: Outcome, buy: Buys, sim: Simulator, store: SqliteStore
) -> None:
    """Right away: nothing of an exit that was acknowledged can come once the account is flat."""
    sim.faults.arm(Lag.CLOSE_STUCK)
    assert (await does(Flatten("Sim101", MES))).status is Status.ACCEPTED
    sim.faults.disarm()
    sim.advance(2)
    assert (await does(Flatten("Sim101", MES))).status is Status.FLAT
    assert (await does(buy(1))).status is Status.FILLED
    assert (await does(Flatten("Sim101", MES))).status is Status.FLAT
    assert await store.unsettled() == ()
    kinds = [entry.kind for entry in await store.entries(50)]
    assert kinds.count(EntryKind.SETTLED) == 1


async def test_after_an_exit_that_was_denied_for_one_on_its_way_the_next_one_looks_first(
    does: Does, long_two: Outcome, sim: Simulator, clock: ManualClock, store: SqliteStore
) -> None:
    """What is on its way may be somebody else's, of which nothing stands in the journal but this no."""
    by_hand(sim, clock)
    seen = NewEntry(EntryKind.DENIED, "FLATTEN", account="Sim101", detail={"codes": ["EXIT_ON_ITS_WAY"]})
    await store.append(seen, clock())
    assert "EXIT_ON_ITS_WAY" in (await does(ClosePosition("Sim101", MES))).reasons[0]
    assert sent(sim) == 0


async def test_an_exit_that_was_denied_for_another_reason_is_no_word_of_one_on_its_way(
    does: Does, long_two: Outcome, sim: Simulator, clock: ManualClock, store: SqliteStore
) -> None:
    other = NewEntry(EntryKind.DENIED, "FLATTEN", account="Sim101", detail={"codes": ["ACCOUNT_NOT_ARMED"]})
    await store.append(other, clock())
    read_before = len(sim.requests_of("ListOrders"))
    assert (await does(ClosePosition("Sim101", MES))).status is Status.FLAT
    asked = [request.rpc for request in sim.requests_of("ListOrders", "ClosePosition")]
    assert asked.index("ClosePosition") == read_before, "nothing is read before an exit"


def by_hand(sim: Simulator, clock: ManualClock) -> None:
    """Leave by hand, with an order that is slow to fill."""
    sim.faults.arm(Fault.NO_FILL)
    account, contract = sim.exchange.accounts["Sim101"], sim.market.front("MES", clock())
    sell = OrderTerms(contract, Action.SELL, account.net(contract), SimOrderType.MARKET)
    sim.exchange.submit(account, sell, OrderLabels(rpc="ByHand"), clock())


# An exit that is known to have come to nothing

REJECTED = {
    **WHOLE,
    "part": ClosePosition("Sim101", MES, quantity=1),
    "all by number": ClosePosition("Sim101", MES, quantity=2),
}


@pytest.mark.parametrize("second", REJECTED.values(), ids=REJECTED.keys())
@pytest.mark.parametrize("first", REJECTED.values(), ids=REJECTED.keys())
async def test_after_an_exit_that_reads_rejected_the_next_one_leaves_at_once(
    does: Does, long_two: Outcome, sim: Simulator, store: SqliteStore, first: Command, second: Command
) -> None:
    sim.faults.arm(Fault.LATE_REJECT, times=1)
    told = await does(first)
    assert (told.status, told.position_after) != (Status.FLAT, 0)
    assert told.status is Status.REJECTED
    assert "it is the one of this exit" in " ".join(told.reasons)
    assert "nothing of this exit is on its way any more" in told.next_step
    assert await store.unsettled() == ()
    told = await does(second)
    assert told.status in (Status.FLAT, Status.FILLED), told
    assert sent(sim) == 2
    assert held(sim) == ([1] if second == REJECTED["part"] else [])


async def test_a_flatten_of_which_one_order_is_refused_is_not_called_rejected(
    does: Does, long_two: Outcome, buy: Buys, sim: Simulator, store: SqliteStore
) -> None:
    """What was held in the other instrument is gone: rejected would say that nothing has changed."""
    await does(buy(1, instrument=MNQ))
    sim.advance(30)
    sim.faults.arm(Fault.LATE_REJECT, times=1)
    told = await does(Flatten("Sim101", None))
    assert told.status is Status.ACCEPTED
    assert len(sim.exchange.accounts["Sim101"].open_positions()) == 1
    assert "it is the one of this exit" in " ".join(told.reasons)
    assert "NOT done: tell the person now" in told.next_step
    assert "nothing of this exit is on its way any more, the next one leaves at once" in told.next_step
    assert await store.unsettled() == ()
    assert (await does(Flatten("Sim101", None))).status is Status.FLAT


async def test_each_of_several_rejected_exits_is_known_by_its_own_order(
    does: Does, long_two: Outcome, sim: Simulator, store: SqliteStore
) -> None:
    """The second must not take the rejected order of the first for its own, nor the third that of the second."""
    sim.faults.arm(Fault.LATE_REJECT, times=2)
    for _ in range(2):
        assert (await does(ClosePosition("Sim101", MES))).status is Status.REJECTED
    refused = [entry.detail["refused"] for entry in await store.entries(50) if "refused" in entry.detail]
    assert len({str(each) for each in refused}) == 2
    assert (await does(ClosePosition("Sim101", MES))).status is Status.FLAT
    assert (sent(sim), held(sim)) == (3, [])


async def test_a_rejection_that_comes_after_the_answer_is_found_before_the_next_exit(
    does: Does, long_two: Outcome, sim: Simulator, clock: ManualClock
) -> None:
    sim.faults.arm(Lag.CLOSE_STUCK, times=1)
    assert (await does(Flatten("Sim101", MES))).status is Status.ACCEPTED
    (stuck,) = sim.exchange.live_orders("Sim101")
    assert (await does(Flatten("Sim101", MES))).status is Status.DENIED, "it may still fill"
    sim.exchange.cancel(stuck, clock())
    sim.advance(7)
    told = await does(Flatten("Sim101", MES))
    assert told.status is Status.FLAT, told
    assert sent(sim) == 2


async def test_a_rejected_order_that_may_be_somebody_elses_keeps_the_exit_on_its_way(
    desk: Desk, does: Does, long_two: Outcome, sim: Simulator, clock: ManualClock
) -> None:
    """Two orders at the market that would have left it: which of them is ours nobody can say."""
    sim.faults.arm(Fault.LATE_REJECT)
    somebody_sells(sim, clock)
    told = await does(ClosePosition("Sim101", MES))
    assert told.status is Status.ACCEPTED
    assert "it may be the one of this exit" in " ".join(told.reasons)
    assert (await does(ClosePosition("Sim101", MES))).status is Status.DENIED


def somebody_sells(sim: Simulator, clock: ManualClock) -> None:
    """Let somebody else sell what is held at the market, at the same moment."""
    terms = OrderTerms(sim.market.front("MES", clock()), Action.SELL, 2, SimOrderType.MARKET)
    sim.exchange.submit(sim.exchange.accounts["Sim101"], terms, OrderLabels(rpc="ByHand"), clock())


async def test_a_cancel_of_all_that_saw_nothing_names_what_an_exit_on_its_way_has_filled(
    odd: Oddly, does: Does, long_two: Outcome, sim: Simulator
) -> None:
    """Lists and report came back empty before the cancel: what was on its way is told by its execution alone."""
    sim.faults.arm(Fault.NO_FILL, times=1)
    assert (await does(Flatten("Sim101", None))).status is Status.ACCEPTED
    (order,) = sim.exchange.live_orders("Sim101")
    asked = list[str]()

    async def orders(inner: Upstream, account: str, *, active_only: bool) -> Sequence[Order]:
        asked.append("orders")
        return await inner.orders(account, active_only=active_only) if asked.count("orders") > 1 else ()

    async def positions(inner: Upstream, account: str) -> Sequence[Position]:
        asked.append("positions")
        return await inner.positions(account) if asked.count("positions") > 1 else ()

    async def fills_first(inner: Upstream, account: str, instrument: Instrument | None) -> Acknowledged:
        order.blocking_fault = None
        sim.advance(5)
        return await inner.cancel_orders(account, instrument)

    async def snapshot(inner: Upstream) -> tuple[AccountSnapshot, ...]:
        told = [replace(row, account=replace(row.account, balances=Balances())) for row in await inner.snapshot()]
        return tuple(replace(row, positions=(), is_flat=True) for row in told)

    lie: dict[str, Way] = {"orders": orders, "positions": positions, "snapshot": snapshot}
    told = await odd("cancel_orders", fills_first, **lie)(CancelOrders("Sim101", None))
    assert told.status is Status.CANCELLED
    assert f"fill: SELL 2 MES 09-26 at 6050.25 (order {order.id})" in told.warnings
    assert told.next_step.startswith("tell the person now")
