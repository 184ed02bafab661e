"""A fill that was read and that the positions do not show yet counts until they do."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.desk.desk import Desk
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.pending import pending_orders
from ct_mcp.desk.polling import Pause
from ct_mcp.desk.reconcile import settle_outstanding
from ct_mcp.domain.account import Account, Position
from ct_mcp.domain.approval import Approval, Ticket
from ct_mcp.domain.commands import Command, ReplaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import OrderAction, OrderType
from ct_mcp.guard.context import PendingOrder
from ct_mcp.guard.policy import Limits, Policy
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.orders import Action, OrderLabels, OrderTerms, SimOrderType
from ct_mcp.simulator.simulator import Simulator
from ct_mcp.store.sqlite import SqliteStore
from tests.unit.desk.conftest import Buys, Prices, Stands

Holds = Callable[..., Position]


@dataclass
class Behind:
    """The service with its positions some seconds behind, in all its views; None is up to date."""

    inner: Any
    shown: dict[str, Position | None]
    by_name: Position | None = None

    def __getattr__(self, asked: str) -> Any:
        if asked in ("urgent", "checked_by", "heard_by"):
            return lambda *given: Behind(getattr(self.inner, asked)(*given), self.shown, self.by_name)
        return getattr(self.inner, asked)

    async def positions(self, account: str) -> tuple[Position, ...]:
        if (shown := self.shown.get("MES")) is not None:
            return (shown,) if shown.quantity else ()
        listed: tuple[Position, ...] = await self.inner.positions(account)
        return listed

    async def account(self, name: str) -> Account:
        """A fill at the last price leaves nothing open to be seen in the figures."""
        read: Account = await self.inner.account(name)
        return replace(read, balances=replace(read.balances, unrealized_pnl=Decimal(0)))

    async def position(self, account: str, instrument: Instrument) -> Position:
        found: Position = self.by_name or self.shown.get("MES") or await self.inner.position(account, instrument)
        return found


@pytest.fixture
def policy() -> Policy:
    return Policy(simulated=Approval.NONE, limits=Limits(max_position_contracts=2, duplicate_window_seconds=0))


@pytest.fixture
def behind(crosstrade: CrossTrade) -> Behind:
    """Positions are up to date until a test holds them back."""
    return Behind(crosstrade, {})


@pytest.fixture
def desk(behind: Behind, store: SqliteStore, policy: Policy, clock: ManualClock, pause: Pause) -> Desk:
    return Desk(behind, store, policy, clock=clock, pause=pause)


async def sent(desk: Desk, command: Command) -> Outcome:
    """Propose a command, and send what passes."""
    proposed = await desk.propose(command)
    return await desk.commit(proposed.ticket_id) if isinstance(proposed, Ticket) else proposed


def codes(outcome: Outcome) -> str:
    """All reasons in one text."""
    return " ".join(outcome.reasons)


@pytest.mark.parametrize("seconds", [4, 40])
async def test_a_fill_that_positions_do_not_show_is_not_repeated_in_any_words(
    *, desk: Desk, behind: Behind, holding: Holds, buy: Buys, price: Prices, sim: Simulator, seconds: int
) -> None:
    behind.shown["MES"] = holding(0)
    told = await sent(desk, buy(2, "SELL"))
    assert told.status is Status.FILLED
    assert "nothing more opens there on that side" in told.warnings[0]
    sim.advance(seconds)
    for again in (buy(2, "SELL"), buy(1, "SELL"), buy(2, "SELL", kind="LIMIT", limit_price=price(0))):
        assert "OUTCOME_UNRESOLVED" in codes(await sent(desk, again))
    assert [order.filled for order in sim.exchange.orders] == [2]


async def test_it_is_settled_as_soon_as_the_positions_agree(
    desk: Desk, behind: Behind, holding: Holds, buy: Buys, sim: Simulator, store: SqliteStore
) -> None:
    behind.shown["MES"] = holding(0)
    await sent(desk, buy(1, "SELL"))
    sim.advance(4)
    behind.shown.clear()
    assert (await sent(desk, buy(1, "SELL"))).position_after == -2
    assert await store.unsettled() == ()


async def test_it_is_settled_by_executions_where_others_have_traded_since(
    desk: Desk, behind: Behind, holding: Holds, buy: Buys, sim: Simulator, store: SqliteStore, crosstrade: CrossTrade
) -> None:
    behind.shown["MES"] = holding(0)
    await sent(desk, buy(2, "SELL"))
    sim.advance(4)
    await crosstrade.place_order(buy(1), "by-hand")
    sim.advance(4)
    behind.shown.clear()
    assert (await sent(desk, buy(1, "SELL"))).position_after == -2
    assert await store.unsettled() == ()


@pytest.mark.parametrize(("seconds", "settled"), [(20, False), (61, True)])
async def test_what_others_filled_a_moment_before_it_left_may_stand_in_its_start_already(
    *, desk: Desk, behind: Behind, buy: Buys, sim: Simulator, crosstrade: CrossTrade, seconds: int, settled: bool
) -> None:
    """Their clock is not ours, so the second in which both fill tells nobody which came first."""
    await crosstrade.place_order(buy(1), "by-hand-before")
    sim.advance(2)
    started_at = await behind.positions("Sim101")
    behind.shown["MES"] = started_at[0]
    await sent(desk, buy(2, "SELL"))
    await crosstrade.place_order(buy(1), "by-hand-after")
    sim.advance(seconds)
    behind.shown.clear()
    told = await sent(desk, buy(1, "SELL"))
    assert ("OUTCOME_UNRESOLVED" not in codes(told)) is settled


def somebody_trades(sim: Simulator, quantity: int) -> None:
    """Let somebody else buy at the market, past the desk."""
    now = sim.clock()
    terms = OrderTerms(sim.market.front("MES", now), Action.BUY, quantity, SimOrderType.MARKET)
    sim.exchange.submit(sim.exchange.accounts["Sim101"], terms, OrderLabels(rpc="ByHand"), now)
    sim.advance(20)


@pytest.mark.parametrize(("seconds", "settled"), [(35, False), (61, True)])
async def test_a_part_filled_order_whose_position_somebody_else_moves_is_settled_within_a_minute(
    *,
    desk: Desk,
    behind: Behind,
    holding: Holds,
    buy: Buys,
    sim: Simulator,
    store: SqliteStore,
    seconds: int,
    settled: bool,
) -> None:
    """Somebody else moved it before the start was read, and no list showed it: no sum ever leads back to the start."""
    behind.shown["MES"] = holding(0)
    somebody_trades(sim, 1)
    sim.faults.arm(Fault.PARTIAL_FILL_STUCK, times=1)
    told = await sent(desk, buy(2, "SELL"))
    assert told.status in (Status.WORKING, Status.FILLED), told
    behind.shown.clear()
    sim.advance(seconds)
    await desk.propose(buy(1, kind="LIMIT", limit_price=Decimal(5000)))
    unsettled = [entry.summary for entry in await store.unsettled()]
    assert unsettled == ([] if settled else ["SIM  Sim101  SELL 2 MES 09-26 MARKET"])


@pytest.mark.parametrize("doubt", ["fill of now", "another by its name", "not read by its name"])
async def test_a_minute_after_it_left_nothing_is_settled_while_the_position_may_not_show_it(
    desk: Desk, behind: Behind, holding: Holds, buy: Buys, sim: Simulator, store: SqliteStore, doubt: str
) -> None:
    behind.shown["MES"] = holding(0)
    somebody_trades(sim, 1)
    if doubt == "fill of now":
        sim.faults.arm(Fault.PARTIAL_FILL_STUCK, times=1)
    await sent(desk, buy(2, "SELL"))
    sim.advance(55)
    behind.shown.clear()
    match doubt:
        case "fill of now":
            sim.faults.disarm()
        case "another by its name":
            behind.by_name = holding(-7)
        case _:
            sim.faults.arm(Fault.ERROR_500_BEFORE_ACCEPT, rpc="GetPosition")
    sim.advance(6)
    await desk.propose(buy(1, kind="LIMIT", limit_price=Decimal(5000)))
    assert len(await store.unsettled()) == 1


async def test_a_fill_that_was_found_only_later_waits_for_the_positions_as_well(
    desk: Desk, behind: Behind, holding: Holds, buy: Buys, sim: Simulator
) -> None:
    behind.shown["MES"] = holding(0)
    ticket = await desk.propose(buy(2, "SELL"))
    assert isinstance(ticket, Ticket)
    sim.faults.arm(Fault.ERROR_500_BEFORE_ACCEPT, rpc="GetOrder")
    sim.faults.arm(Fault.BAD_GATEWAY, rpc="ListOrders")
    assert (await desk.commit(ticket.ticket_id)).status is Status.ACCEPTED
    sim.faults.disarm()
    sim.advance(20)
    assert "OUTCOME_UNRESOLVED" in codes(await sent(desk, buy(1, "SELL")))


async def test_the_fill_of_a_replacement_waits_for_the_positions_as_well(
    desk: Desk, behind: Behind, holding: Holds, buy: Buys, price: Prices, sim: Simulator
) -> None:
    standing = await sent(desk, buy(1, "SELL", kind="LIMIT", limit_price=price(40)))
    sim.advance(5)
    behind.shown["MES"] = holding(0)
    told = await sent(desk, ReplaceOrder("Sim101", str(standing.order_id), buy(1, "SELL")))
    assert told.status is Status.FILLED
    sim.advance(5)
    assert "OUTCOME_UNRESOLVED" in codes(await sent(desk, buy(2, "SELL")))


async def test_what_has_filled_of_an_order_that_still_works_counts_until_it_shows(
    desk: Desk, buy: Buys, standing: Stands, sim: Simulator, store: SqliteStore
) -> None:
    sim.faults.arm(Fault.FROZEN_ORDERS)
    await sent(desk, buy(2, "SELL"))
    (entry,) = await store.unsettled()
    part = standing(action=OrderAction.SELL, quantity=2, filled=1, own_id=entry.own_id)
    assert pending_orders([entry], [part], ()) == (PendingOrder(part.instrument, -1, is_filled=True),)
    assert pending_orders([entry], [replace(part, filled=0)], ()) == ()


async def test_what_was_sent_by_a_clock_that_is_set_back_since_is_settled_all_the_same(
    *, desk: Desk, behind: Behind, holding: Holds, buy: Buys, sim: Simulator, store: SqliteStore, clock: ManualClock
) -> None:
    """By its own word it was sent after it has filled: fills are asked for as far back as they are told."""
    behind.shown["MES"] = holding(0)
    somebody_trades(sim, 1)
    sim.faults.arm(Fault.PARTIAL_FILL_STUCK, times=1)
    await sent(desk, buy(2, "SELL"))
    behind.shown.clear()
    sim.advance(160)
    await settle_outstanding(
        behind.inner, desk.pause, store, lambda: clock() - timedelta(seconds=90), "Sim101", only_exits=False
    )
    assert await store.unsettled() == ()


async def sell_two_of_which_one_fills_late(
    desk: Desk, behind: Behind, holding: Holds, buy: Buys, sim: Simulator
) -> None:
    """One fills and is told; the positions show that one, and are behind from then on."""
    sim.faults.arm(Fault.PARTIAL_FILL_STUCK, times=1)
    told = await sent(desk, buy(2, "SELL"))
    assert (told.filled_quantity, told.position_after) == (1, -1)
    await desk.preview(buy(1))
    behind.shown["MES"] = holding(-1)
    sim.faults.disarm()
    sim.advance(5)
    assert [order.filled for order in sim.exchange.orders] == [2]


async def test_what_an_order_fills_once_it_was_told_as_working_counts_until_positions_show_it(
    desk: Desk, behind: Behind, holding: Holds, buy: Buys, price: Prices, sim: Simulator
) -> None:
    await sell_two_of_which_one_fills_late(desk, behind, holding, buy, sim)
    for again in (buy(1, "SELL"), buy(1, "SELL", kind="LIMIT", limit_price=price(0))):
        told = codes(await sent(desk, again))
        assert "OUTCOME_UNRESOLVED: filled, not shown by the positions yet=-1 MES 09-26; until they do" in told
        assert "POSITION_EXCEEDS_MAXIMUM" in told, "and it counts against every limit"
    assert [order.filled for order in sim.exchange.orders] == [2]


async def test_once_positions_show_it_nothing_is_held_back(
    desk: Desk, behind: Behind, holding: Holds, buy: Buys, sim: Simulator
) -> None:
    await sell_two_of_which_one_fills_late(desk, behind, holding, buy, sim)
    assert "OUTCOME_UNRESOLVED" in codes(await sent(desk, buy(1, "SELL")))
    behind.shown.clear()
    told = codes(await sent(desk, buy(1, "SELL")))
    assert "POSITION_EXCEEDS_MAXIMUM" in told, "two are held"
    assert "OUTCOME_UNRESOLVED" not in told
    assert (await sent(desk, buy(1))).position_after == -1


async def test_what_positions_do_not_show_after_a_minute_they_never_will(
    desk: Desk, behind: Behind, holding: Holds, buy: Buys, sim: Simulator
) -> None:
    await sell_two_of_which_one_fills_late(desk, behind, holding, buy, sim)
    assert "OUTCOME_UNRESOLVED" in codes(await sent(desk, buy(1, "SELL")))
    sim.advance(61)
    assert "OUTCOME_UNRESOLVED" not in codes(await sent(desk, buy(1, "SELL")))


async def test_the_other_side_and_the_way_out_stay_open(
    desk: Desk, behind: Behind, holding: Holds, buy: Buys, sim: Simulator
) -> None:
    behind.shown["MES"] = holding(0)
    await sent(desk, buy(2, "SELL"))
    sim.advance(5)
    bought = buy(1)
    assert (bought.action, bought.order_type) == (OrderAction.BUY, OrderType.MARKET)
    assert (await sent(desk, bought)).status is Status.FILLED
