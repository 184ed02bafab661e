"""A question is asked on what the report of all accounts says is held; nothing is sent or denied on that alone."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from ct_mcp.desk.desk import Desk
from ct_mcp.desk.fills_seen import FillsSeen
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.domain.account import AccountSnapshot
from ct_mcp.domain.approval import Approval, Ticket
from ct_mcp.domain.instrument import Instrument
from ct_mcp.guard.policy import Limits, Policy
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.orders import Action, OrderLabels, OrderTerms, SimOrderType
from ct_mcp.simulator.simulator import Simulator
from tests.unit.desk.conftest import Buys, Does, Oddly, Stands

ONE_ROUND = {"ListOrders", "GetAccountSummary", "GetQuote"}


@pytest.fixture
def policy() -> Policy:
    """Somebody is asked; no limit is met."""
    return Policy(limits=Limits(duplicate_window_seconds=0.0))


@pytest.fixture
def since(sim: Simulator) -> Callable[[], set[str]]:
    """What was asked of the service since this was asked last."""
    seen = [0]

    def told() -> set[str]:
        asked, seen[0] = list(sim.requests)[seen[0] :], len(sim.requests)
        return {each.rpc for each in asked}

    return told


async def settled(desk: Desk, sim: Simulator, buy: Buys) -> None:
    """Have a reading behind us that knows of every fill, and the session of this minute."""
    await desk.preview(buy())
    sim.advance(10)


async def test_a_question_is_one_round_without_a_stream(
    desk: Desk, long_two: Outcome, buy: Buys, sim: Simulator, since: Callable[[], set[str]]
) -> None:
    await settled(desk, sim, buy)
    since()
    ticket = await desk.propose(buy())
    assert isinstance(ticket, Ticket)
    assert since() == ONE_ROUND
    assert "Position +2 now, +3 after" in ticket.question


async def test_after_the_yes_positions_are_read_all_the_same(
    desk: Desk, long_two: Outcome, buy: Buys, sim: Simulator, since: Callable[[], set[str]]
) -> None:
    await settled(desk, sim, buy)
    ticket = await desk.propose(buy())
    assert isinstance(ticket, Ticket)
    await desk.decisions.approve(ticket, "terminal")
    before = len(sim.requests)
    assert (await desk.commit(ticket.ticket_id)).status is Status.FILLED
    asked = [each.rpc for each in list(sim.requests)[before:]]
    assert "ListPositions" in asked[: asked.index("PlaceOrder")]


async def test_a_report_that_is_behind_sends_nothing(
    desk: Desk, long_two: Outcome, buy: Buys, sim: Simulator, mes: Instrument, odd: Oddly
) -> None:
    """It says flat of an account that holds two: the yes was to one contract, and three would be held."""

    async def says_flat(crosstrade: Any) -> tuple[AccountSnapshot, ...]:
        reports = await crosstrade.snapshot()
        return tuple(
            replace(each, positions=(), is_flat=True, account=replace(each.account, balances=flat(each)))
            for each in reports
        )

    def flat(row: AccountSnapshot) -> Any:
        return replace(row.account.balances, unrealized_pnl=Decimal(0))

    does = odd("snapshot", says_flat)
    await desk.preview(buy())
    assert (await does(buy(kind="MARKET"))).status is Status.FILLED, "its first reading knows of no fill, and lists"
    sim.advance(10)
    told = await does(buy(2, action="SELL"))
    assert told.status is Status.DENIED
    assert "CHANGED_SINCE_ASKED" in told.codes
    assert "shown as an opening" in " ".join(told.reasons)


@pytest.mark.parametrize("policy", [Policy(simulated=Approval.NONE)], ids=["nobody"])
async def test_where_nobody_is_asked_positions_are_listed(
    desk: Desk, long_two: Outcome, buy: Buys, sim: Simulator, since: Callable[[], set[str]]
) -> None:
    await settled(desk, sim, buy)
    since()
    assert isinstance(await desk.propose(buy()), Ticket)
    assert since() == {*ONE_ROUND, "ListPositions"}


async def test_what_only_reduces_leaves_on_the_list(
    desk: Desk, long_two: Outcome, does: Does, buy: Buys, sim: Simulator, since: Callable[[], set[str]]
) -> None:
    """Nobody is asked about an exit, which is known only once it is seen to be one."""
    await settled(desk, sim, buy)
    before = len(sim.requests)
    told = await does(buy(action="SELL"))
    assert told.status is Status.FILLED
    asked = [each.rpc for each in list(sim.requests)[before:]]
    sent = asked.index("PlaceOrder")
    assert asked[:sent].count("ListPositions") == 1
    assert asked[:sent].count("ListOrders") == 1, "what was just read is not read again"


async def test_nothing_is_denied_on_the_report_alone(
    desk: Desk, long_two: Outcome, buy: Buys, sim: Simulator, since: Callable[[], set[str]]
) -> None:
    await settled(desk, sim, buy)
    since()
    told = await desk.propose(buy(action="BUY", quantity=50))
    assert isinstance(told, Outcome)
    assert "ListPositions" in since()


async def test_right_after_a_fill_positions_are_listed(
    desk: Desk, long_two: Outcome, does: Does, buy: Buys, sim: Simulator, since: Callable[[], set[str]]
) -> None:
    await settled(desk, sim, buy)
    assert (await does(buy())).status is Status.FILLED
    since()
    ticket = await desk.propose(buy(2))
    assert isinstance(ticket, Ticket)
    assert "ListPositions" in since()
    assert "Position +3 now" in ticket.question


async def test_a_fill_that_nobody_has_told_of_is_seen_in_the_orders(
    desk: Desk, long_two: Outcome, buy: Buys, sim: Simulator, clock: ManualClock, since: Callable[[], set[str]]
) -> None:
    """Somebody has traded in NinjaTrader meanwhile, and the report may be of before that."""
    await settled(desk, sim, buy)
    terms = OrderTerms(sim.market.front("MES", clock()), Action.BUY, 1, SimOrderType.MARKET)
    sim.exchange.submit(sim.exchange.accounts["Sim101"], terms, OrderLabels(), clock())
    sim.advance(1)
    since()
    ticket = await desk.propose(buy())
    assert isinstance(ticket, Ticket)
    assert "ListPositions" in since()
    assert "Position +3 now" in ticket.question


@pytest.mark.parametrize(
    ("positions", "is_flat"), [((), None), ((), False), (None, True)], ids=["silent", "not flat", "held and flat"]
)
async def test_a_report_that_is_not_at_one_with_itself_does_not_say_what_is_held(
    long_two: Outcome, odd: Oddly, buy: Buys, sim: Simulator, positions: tuple[()] | None, is_flat: bool | None
) -> None:
    async def told(crosstrade: Any) -> tuple[AccountSnapshot, ...]:
        reports = await crosstrade.snapshot()
        return tuple(
            replace(each, positions=each.positions if positions is None else positions, is_flat=is_flat)
            for each in reports
        )

    does = odd("snapshot", told)
    assert (await does(buy())).status is Status.FILLED
    sim.advance(10)
    before = len(sim.requests)
    assert (await does(buy())).status is Status.FILLED
    asked = [each.rpc for each in list(sim.requests)[before:]]
    assert asked[: asked.index("PlaceOrder")].count("ListPositions") == 2, "before the question and after the yes"


async def test_a_report_that_cannot_be_read_leaves_the_list(
    desk: Desk, long_two: Outcome, buy: Buys, sim: Simulator, since: Callable[[], set[str]]
) -> None:
    await settled(desk, sim, buy)
    sim.faults.arm(Fault.HTML_PAGE, rpc="GetAccountSummary")
    since()
    assert isinstance(await desk.propose(buy()), Ticket)
    assert {"ListPositions", "GetAccount"} <= since()


@pytest.mark.parametrize(("seconds", "may_be"), [(0, True), (5, True), (6, False), (-3600, True)])
def test_a_fill_may_be_unreported_for_seconds_and_while_the_clock_is_set_back(
    clock: ManualClock, seconds: int, may_be: bool
) -> None:
    fills = FillsSeen(lambda: clock() + away[0])
    away = [timedelta(0)]
    assert not fills.may_be_unreported("Sim101")
    fills.saw("Sim101", "a", 1)
    away[0] = timedelta(seconds=seconds)
    assert fills.may_be_unreported("Sim101") is may_be
    assert not fills.may_be_unreported("Sim102")


def test_what_was_seen_before_is_no_new_fill(clock: ManualClock, standing: Stands) -> None:
    fills, order = FillsSeen(clock), standing(filled=1)
    assert fills.are_more("Sim101", [order], fills.turns)
    clock.advance(6)
    assert not fills.are_more("Sim101", [order], fills.turns)
    assert not fills.may_be_unreported("Sim101")
    assert fills.are_more("Sim101", [replace(order, filled=2)], fills.turns)
    assert fills.may_be_unreported("Sim101")
