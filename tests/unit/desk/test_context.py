"""What is known before a decision, and what stays unknown."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import anyio
import pytest

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.desk.context import ContextBuilder
from ct_mcp.desk.desk import Desk
from ct_mcp.desk.membership import Membership
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.pending import possibly_open_orders
from ct_mcp.domain.account import AccountSnapshot, Position
from ct_mcp.domain.approval import Halt, Ticket
from ct_mcp.domain.commands import (
    CancelOrder,
    ChangeOrder,
    ClosePosition,
    Command,
    EnableStrategy,
    Flatten,
    ProtectPosition,
    ReplaceOrder,
    ReversePosition,
)
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import trading_day
from ct_mcp.domain.order import Order, OrderType
from ct_mcp.errors import BadReply, BudgetExhausted, Unavailable
from ct_mcp.guard.context import PendingOrder
from ct_mcp.guard.policy import Limits, Policy
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.orders import Action, OrderLabels, OrderTerms, SimOrderType
from ct_mcp.simulator.products import SimContract
from ct_mcp.simulator.simulator import Simulator
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.store.sqlite import SqliteStore
from tests.unit.desk.conftest import Buys, Does, Holds, Prices, Reviewed

MES, MNQ = Instrument("MES", 2026, 9), Instrument("MNQ", 2026, 9)
SIM = "Sim101"


def asked(sim: Simulator) -> list[str]:
    """What was asked of the service, in order."""
    return [seen.rpc for seen in sim.requests]


async def test_an_order_is_reviewed_on_account_book_quote_and_session(
    desk: Desk, buy: Buys, sim: Simulator, mes: Instrument
) -> None:
    review = await desk.preview(buy())
    assert sorted(asked(sim)) == ["GetAccountSummary", "GetQuote", "ListOrders", "ListPositions", "MarketInfo"]
    assert review.context.account is not None
    assert review.context.quote is not None
    assert review.context.session is not None
    assert (review.context.account.name, review.context.quote.instrument) == ("Sim101", mes)
    assert (review.context.positions, review.context.orders, review.context.unread) == ((), (), ())
    assert review.simulated


async def test_an_exit_asks_for_no_quote_and_no_session(desk: Desk, sim: Simulator, mes: Instrument) -> None:
    for action in (Flatten("Sim101", mes), ClosePosition("Sim101", mes), CancelOrder("Sim101", "x")):
        review = await desk.preview(action)
        assert (review.context.quote, review.context.session) == (None, None)
    assert not {"GetQuote", "MarketInfo"} & set(asked(sim))


async def test_a_change_is_reviewed_on_the_quote_of_its_order(
    desk: Desk, does: Does, buy: Buys, price: Prices, sim: Simulator
) -> None:
    order_id = str((await does(buy(kind="LIMIT", limit_price=price(-40)))).order_id)
    review = await desk.preview(ChangeOrder("Sim101", order_id, limit_price=price(-44)))
    assert review.context.quote is not None
    unlisted = await desk.preview(ChangeOrder("Sim101", "gone", limit_price=price(-44)))
    assert unlisted.context.quote is None
    assert not unlisted.passes


async def test_now_is_after_the_quote_was_read_so_that_no_quote_comes_from_the_future(
    desk: Desk, buy: Buys, crosstrade: CrossTrade, clock: ManualClock
) -> None:
    await crosstrade.connection.budget.penalise(clock(), 0)  # every read waits its turn, and the clock goes on
    review = await desk.preview(buy())
    assert review.context.quote is not None
    assert review.context.quote.at is not None
    assert review.context.now == clock()
    assert review.context.now >= review.context.quote.at


async def test_a_session_is_asked_for_once_a_minute(desk: Desk, buy: Buys, sim: Simulator, clock: ManualClock) -> None:
    for seconds, reports in ((0, 1), (60, 1), (1, 2), (30, 2)):
        clock.advance(seconds)
        await desk.preview(buy())
        assert asked(sim).count("MarketInfo") == reports
    await desk.preview(buy(instrument=Instrument("MNQ", 2026, 9)))
    assert asked(sim).count("MarketInfo") == 3


async def test_what_could_not_be_read_is_none_and_named(desk: Desk, buy: Buys, sim: Simulator) -> None:
    sim.faults.arm(Fault.HTML_PAGE, rpc="ListPositions")
    sim.faults.arm(Fault.REFUSED_WITH_400, rpc="ListOrders")
    sim.faults.arm(Fault.ERROR_500_BEFORE_ACCEPT, rpc="GetQuote")
    sim.faults.arm(Fault.UNAUTHORIZED, rpc="MarketInfo")
    review = await desk.preview(buy())
    view = review.context
    assert (view.positions, view.orders, view.quote, view.session) == (None, None, None, None)
    assert sorted(note.split(":")[0] for note in review.context.unread) == [
        "orders could not be read",
        "positions could not be read",
        "quote could not be read",
        "session could not be read",
    ]
    assert not review.passes


async def test_an_order_needs_its_account_read_now_and_an_exit_takes_the_one_it_knows(
    desk: Desk, buy: Buys, sim: Simulator, mes: Instrument
) -> None:
    await desk.resolver.accounts()
    sim.faults.arm(Fault.CONNECT_REFUSED, rpc="GetAccount")
    sim.faults.arm(Fault.HTML_PAGE, rpc="GetAccountSummary")
    with pytest.raises(Unavailable):
        await desk.preview(buy())
    before = len(asked(sim))
    review = await desk.preview(Flatten("Sim101", mes))
    assert review.context.account is not None
    assert (review.account, review.context.account.name) == ("Sim101", "Sim101")
    assert review.simulated
    assert review.passes
    assert sorted(asked(sim)[before:]) == ["ListOrders", "ListPositions"], "an exit asks for no account that is known"


@pytest.fixture
async def part_beside_a_stop(does: Does, long_two: Outcome, buy: Buys, price: Prices, sim: Simulator) -> ClosePosition:
    """The close of a part that may turn the position, once the stop fills as well."""
    assert (await does(buy(2, action="SELL", kind="STOP_MARKET", stop_price=price(-40)))).status is Status.WORKING
    sim.advance(20)
    return ClosePosition(SIM, MES, quantity=1)


async def test_a_part_that_may_turn_the_position_is_judged_by_figures_of_now(
    desk: Desk, part_beside_a_stop: ClosePosition, sim: Simulator
) -> None:
    before = len(asked(sim))
    assert (await desk.preview(part_beside_a_stop)).passes
    assert sorted(rpc for rpc in asked(sim)[before:] if rpc[:4] != "List") == ["GetAccountSummary", "GetQuote"]
    sim.advance(20)
    sim.exchange.accounts[SIM].gross_realized -= 600  # by what somebody else did
    review = await desk.preview(part_beside_a_stop)
    assert [denial.code for denial in review.denials] == ["DAY_LOSS_REACHED"]


async def test_figures_of_before_do_not_serve_a_part_whose_account_cannot_be_read(
    desk: Desk, part_beside_a_stop: ClosePosition, sim: Simulator
) -> None:
    sim.faults.arm(Fault.CONNECT_REFUSED, rpc="GetAccount")
    sim.faults.arm(Fault.HTML_PAGE, rpc="GetAccountSummary")
    review = await desk.preview(part_beside_a_stop)
    assert [denial.code for denial in review.denials] == ["DAY_PNL_UNKNOWN"]
    assert review.simulated
    assert "account" in str(review.context.unread)
    assert (await desk.preview(ClosePosition(SIM, MES))).passes, "all of it goes whatever is known"


async def test_a_part_that_may_turn_the_position_is_judged_out_of_the_reserve(
    desk: Desk, part_beside_a_stop: ClosePosition, crosstrade: CrossTrade, clock: ManualClock
) -> None:
    await crosstrade.connection.budget.penalise(clock(), 8.7)
    assert (await desk.preview(part_beside_a_stop)).passes


async def test_a_part_that_only_reduces_asks_for_no_account(desk: Desk, long_two: Outcome, sim: Simulator) -> None:
    before = len(asked(sim))
    assert (await desk.preview(ClosePosition(SIM, MES, quantity=1))).passes
    assert set(asked(sim)[before:]) == {"ListOrders", "ListPositions"}


async def test_an_account_that_the_report_of_all_leaves_out_is_asked_for_by_itself(
    desk: Desk, buy: Buys, sim: Simulator
) -> None:
    sim.faults.arm(Fault.HTML_PAGE, rpc="GetAccountSummary")
    review = await desk.preview(buy())
    assert review.simulated
    assert review.passes
    assert {"GetAccount", "GetPosition"} <= set(asked(sim)), "and the position, which the report would have told"


async def test_an_exit_of_an_account_that_nothing_is_known_of_is_no_exit(
    desk: Desk, sim: Simulator, mes: Instrument
) -> None:
    sim.faults.arm(Fault.CONNECT_REFUSED, rpc="GetAccount")
    sim.faults.arm(Fault.ERROR_500_BEFORE_ACCEPT, rpc="GetAccountSummary")
    sim.faults.arm(Fault.HTML_PAGE, rpc="ListAccounts")
    with pytest.raises(BadReply, match="ListAccounts"):
        await desk.preview(Flatten("Sim101", mes))


async def test_an_order_draws_on_the_budget_as_everybody_and_an_exit_on_the_reserve(
    desk: Desk, buy: Buys, crosstrade: CrossTrade, clock: ManualClock, mes: Instrument
) -> None:
    await desk.resolver.accounts()
    await crosstrade.connection.budget.penalise(clock(), 8.7)
    with pytest.raises(BudgetExhausted):
        await desk.preview(buy())
    assert (await desk.preview(Flatten("Sim101", mes))).context.positions == ()


NARROW = Policy(limits=Limits(), instruments={"MES": {"max_order_contracts": 1}})


@pytest.mark.parametrize("policy", [NARROW], ids=["one MES at a time"])
async def test_limits_are_those_of_the_account_and_the_root(
    desk: Desk, does: Does, buy: Buys, price: Prices, sim: Simulator
) -> None:
    assert (await desk.preview(buy(2))).policy.limits.max_order_contracts == 1
    assert (await desk.preview(buy(2, instrument=Instrument("MNQ", 2026, 9)))).policy.limits.max_order_contracts == 5
    order_id = str((await does(buy(kind="LIMIT", limit_price=price(-40)))).order_id)
    changed = await desk.preview(ChangeOrder("Sim101", order_id, quantity=2))
    assert changed.policy.limits.max_order_contracts == 1, "a change is of the root of its order"


TIGHT = Policy(limits=Limits(max_day_loss=Decimal(100)))


@pytest.mark.parametrize("policy", [TIGHT], ids=["100 a day"])
@pytest.mark.parametrize(("loss", "is_reached"), [(99.99, False), (100, True), (250, True)])
async def test_the_days_loss_is_remembered_the_moment_it_is_seen(
    desk: Desk, buy: Buys, sim: Simulator, store: SqliteStore, mes: Instrument, loss: float, is_reached: bool
) -> None:
    sim.exchange.accounts["Sim101"].gross_realized = -loss
    sim.exchange.accounts["Sim101"].has_reported = True
    await desk.preview(Flatten("Sim101", mes))
    sim.exchange.accounts["Sim101"].gross_realized = 0.0
    review = await desk.preview(buy())
    assert review.context.day_loss_reached == is_reached
    assert review.passes != is_reached
    marks = [entry for entry in await store.entries(9) if entry.kind is EntryKind.DAY_LOSS]
    assert len(marks) == is_reached


@pytest.mark.parametrize("policy", [TIGHT], ids=["100 a day"])
async def test_the_days_loss_of_every_account_in_a_report_of_all_is_noted(
    desk: Desk, buy: Buys, sim: Simulator, store: SqliteStore, clock: ManualClock
) -> None:
    """A review of one account reads of the others as well."""
    other = next(name for name in sim.exchange.accounts if name != "Sim101")
    sim.exchange.accounts[other].gross_realized = -150.0
    sim.exchange.accounts[other].has_reported = True
    await desk.preview(buy())
    assert await store.day_loss(other, trading_day(clock()))
    assert not await store.day_loss("Sim101", trading_day(clock()))


@pytest.mark.parametrize("policy", [TIGHT], ids=["100 a day"])
async def test_a_new_trading_day_forgets_the_loss_of_the_last(
    desk: Desk, buy: Buys, sim: Simulator, clock: ManualClock, mes: Instrument
) -> None:
    sim.exchange.accounts["Sim101"].gross_realized = -200
    sim.exchange.accounts["Sim101"].has_reported = True
    assert not (await desk.preview(buy())).passes
    clock.advance(timedelta(hours=8).total_seconds())
    review = await desk.preview(buy())
    assert not review.context.day_loss_reached, "it is past five in the afternoon in Chicago"


async def test_halt_arming_and_pace_come_from_the_store(
    desk: Desk, does: Does, buy: Buys, store: SqliteStore, clock: ManualClock, sim: Simulator
) -> None:
    await does(buy())
    sim.advance(30)
    halt = Halt("person", clock(), "lunch")
    await store.set_halt(halt)
    until = clock() + timedelta(hours=1)
    await store.arm("Sim101", until, "terminal", clock())
    view = (await desk.preview(buy())).context
    assert (view.halt, view.armed_until) == (halt, until)
    assert (view.orders_last_minute, view.orders_today) == (1, 1)
    assert view.seconds_since_identical == pytest.approx(30, abs=1)
    assert not view.identical_is_unknown
    clock.advance(31)
    assert (await desk.preview(buy())).context.orders_last_minute == 0


async def test_an_order_of_unknown_outcome_is_pending_until_it_stands_in_the_list(
    desk: Desk, does: Does, buy: Buys, sim: Simulator, clock: ManualClock
) -> None:
    sim.faults.arm(Fault.REQUEST_LOST_BEFORE_ACCEPT, rpc="PlaceOrder", times=1)
    lost = await does(buy(3, "SELL"))
    review = await desk.preview(buy())
    assert review.context.pending == (PendingOrder(Instrument("MES", 2026, 9), -3),)
    assert (await desk.preview(buy(3, "SELL"))).context.identical_is_unknown
    account, contract = sim.exchange.account("Sim101"), sim.market.front("MES", clock())
    assert account is not None
    labels, terms = _theirs(contract, f"ctmcp-{lost.ticket_id}")
    sim.exchange.submit(account, terms, labels, clock())
    assert (await desk.preview(buy())).context.pending == ()


def _theirs(contract: SimContract, own_id: str) -> tuple[OrderLabels, OrderTerms]:
    """An order as the simulator keeps it: with a template, so that our id comes back in the list."""
    terms = OrderTerms(contract, Action.SELL, 3, SimOrderType.LIMIT, limit_price=7000.0)
    return OrderLabels(own_id=own_id, template="Scalp 8x8"), terms


async def test_what_is_outstanding_elsewhere_does_not_count_here(
    desk: Desk, does: Does, buy: Buys, sim: Simulator
) -> None:
    sim.faults.arm(Fault.REQUEST_LOST_BEFORE_ACCEPT, rpc="PlaceOrder", times=1)
    await does(buy(3))
    review = await desk.preview(buy(account="APEX-482910"))
    assert review.context.pending == ()
    assert not review.simulated


async def test_a_change_of_prices_alone_adds_nothing_and_breaks_nothing(
    desk: Desk, does: Does, buy: Buys, price: Prices, sim: Simulator
) -> None:
    order_id = str((await does(buy(kind="LIMIT", limit_price=price(-40)))).order_id)
    sim.faults.arm(Fault.REQUEST_LOST_BEFORE_ACCEPT, rpc="Change", times=1)
    await does(ChangeOrder("Sim101", order_id, limit_price=price(-60)))
    assert (await desk.preview(buy())).context.pending == ()


async def test_an_enlargement_of_unknown_outcome_adds_what_it_adds(
    desk: Desk, does: Does, buy: Buys, price: Prices, sim: Simulator, mes: Instrument
) -> None:
    order_id = str((await does(buy(2, kind="LIMIT", limit_price=price(-40)))).order_id)
    sim.faults.arm(Fault.REQUEST_LOST_BEFORE_ACCEPT, rpc="Change", times=1)
    await does(ChangeOrder("Sim101", order_id, quantity=5))
    assert (await desk.preview(buy())).context.pending == (PendingOrder(mes, 3),)


async def test_an_empty_list_is_not_believed_before_an_order_that_may_add(
    desk: Desk, long_two: Outcome, buy: Buys, sim: Simulator
) -> None:
    sim.faults.arm(Fault.EMPTY_LISTS)
    review = await desk.preview(buy())
    assert review.context.positions is None
    assert "positions contradict each other: the list holds no MES 09-26, other reports do" in review.context.unread
    assert any(denial.code == "POSITION_UNKNOWN" for denial in review.denials)


async def test_a_position_that_the_list_shows_is_not_asked_for_again(
    desk: Desk, long_two: Outcome, buy: Buys, sim: Simulator
) -> None:
    asked_before = len(sim.requests_of("GetPosition"))
    assert (await desk.preview(buy())).context.net_position(buy().instrument) == 2
    assert len(sim.requests_of("GetPosition")) == asked_before


async def test_an_exit_asks_for_no_position_by_its_name(desk: Desk, sim: Simulator, mes: Instrument) -> None:
    await desk.preview(Flatten("Sim101", mes))
    assert sim.requests_of("GetPosition") == []


async def test_a_flat_position_that_cannot_be_asked_for_is_unknown(desk: Desk, buy: Buys, sim: Simulator) -> None:
    sim.faults.arm(Fault.HTML_PAGE, rpc="GetPosition")
    sim.faults.arm(Fault.ERROR_500_BEFORE_ACCEPT, rpc="GetAccountSummary")
    review = await desk.preview(buy())
    assert review.context.positions is None
    assert review.context.unread[0].startswith("position could not be read")
    assert not review.passes


async def test_a_list_that_is_empty_while_the_account_has_open_profit_is_unknown(
    desk: Desk, long_two: Outcome, buy: Buys, sim: Simulator
) -> None:
    """Another instrument is asked about, so that only the account's own figures contradict."""
    sim.faults.arm(Fault.EMPTY_LISTS)
    sim.market.top(sim.market.front("MES", sim.clock()), sim.clock())
    sim.advance(60)
    account = await desk.upstream.account("Sim101")
    assert account.balances.unrealized_pnl
    review = await desk.preview(buy(instrument=Instrument("MNQ", 2026, 9)))
    assert review.context.positions is None


async def test_a_list_without_the_instrument_beside_other_positions_is_believed(
    desk: Desk, long_two: Outcome, buy: Buys, sim: Simulator
) -> None:
    review = await desk.preview(buy(instrument=Instrument("MNQ", 2026, 9)))
    assert review.context.net_position(Instrument("MNQ", 2026, 9)) == 0


async def test_a_strategy_is_read_with_its_instrument(desk: Desk, sim: Simulator) -> None:
    ours = next(each for each in sim.strategies.all if each.plan.account == "Sim101")
    review = await desk.preview(EnableStrategy("Sim101", ours.id))
    assert review.context.strategy is not None
    assert review.context.strategy.class_name == ours.plan.kind.name
    assert review.context.quote is not None
    unread = await desk.preview(EnableStrategy("Sim101", "999999"))
    assert unread.context.strategy is None
    assert unread.context.unread[0].startswith("strategy could not be read")


EXITS = {
    "an order that only reduces": ("PlaceOrder", lambda buy: buy(2, "SELL"), True),
    "one that waits at its price": (
        "PlaceOrder",
        lambda buy: buy(2, "SELL", kind="LIMIT", limit_price=Decimal(6070)),
        False,
    ),
    "a partial close": ("ClosePosition", lambda buy: ClosePosition("Sim101", MES, quantity=2), True),
    "a flatten": ("Flatten", lambda buy: Flatten("Sim101", None), True),
}


@pytest.mark.parametrize(("rpc", "exit_", "leaves"), EXITS.values(), ids=EXITS.keys())
async def test_an_exit_of_unknown_outcome_counts_so_that_a_second_one_cannot_pass_for_reducing(
    desk: Desk,
    does: Does,
    long_two: Outcome,
    buy: Buys,
    sim: Simulator,
    rpc: str,
    exit_: Callable[[Buys], Command],
    leaves: bool,
) -> None:
    for look_up in ("GetOrder", "GetOrderLifecycle"):
        sim.faults.arm(Fault.BAD_GATEWAY, rpc=look_up)
    sim.faults.arm(Fault.REQUEST_LOST_BEFORE_ACCEPT, rpc=rpc, times=1)
    assert (await does(exit_(buy))).status is Status.UNKNOWN
    review = await desk.preview(buy(2, "SELL", kind="LIMIT", limit_price=Decimal(6060)))
    assert review.context.pending == (PendingOrder(MES, -2, leaves=leaves),)
    assert review.effect.only_reduces is False


def test_what_may_fill_while_nobody_knows(reviewed: Reviewed, mes: Instrument, buy: Buys, holding: Holds) -> None:
    def fills(command: Command) -> tuple[PendingOrder, ...]:
        return reviewed(command, positions=(holding(3),)).effect.may_fill

    assert fills(ReversePosition("Sim101", mes)) == (PendingOrder(mes, -6),)
    assert fills(ProtectPosition("Sim101", mes, None, Decimal(1))) == (PendingOrder(mes, -3),)
    assert fills(ReplaceOrder("Sim101", "a1", buy(2))) == (PendingOrder(mes, 2),)
    assert fills(buy(2, flatten_first=True)) == (PendingOrder(mes, 2), PendingOrder(mes, -3, leaves=True))
    assert fills(Flatten("Sim101", None)) == (PendingOrder(mes, -3, leaves=True),)


async def test_orders_are_read_before_positions_so_that_a_fill_in_between_is_in_one_of_them(
    desk: Desk, buy: Buys, sim: Simulator
) -> None:
    await desk.preview(buy())
    assert [rpc for rpc in asked(sim) if rpc in ("ListOrders", "ListPositions")] == ["ListOrders", "ListPositions"]


# The orders that the journal last knew to stand ------------------------------------------------------------------


async def test_what_was_last_told_of_an_order_decides(desk: Desk) -> None:
    for at, (order_id, status) in enumerate(
        [("a", "working"), ("b", "working"), ("b", "cancelled"), ("c", "accepted"), ("d", "FILLED"), ("e", "rejected")]
    ):
        entry = NewEntry(EntryKind.ANSWERED, "an order", SIM, f"t{at}", detail={"order_id": order_id, "status": status})
        await desk.store.append(entry, desk.clock())

    assert await possibly_open_orders(desk.store, SIM, None) == ("c", "a")


async def test_what_was_settled_later_is_over_as_well(desk: Desk) -> None:
    for kind, detail in (
        (EntryKind.ACCEPTED, {"order_id": "a", "step": "place"}),
        (EntryKind.SETTLED, {"order_id": "a", "state": "CANCELLED"}),
        (EntryKind.ACCEPTED, {"order_id": None, "step": "close"}),
    ):
        await desk.store.append(NewEntry(kind, "an order", SIM, "t", detail=detail), desk.clock())

    assert await possibly_open_orders(desk.store, SIM, None) == ()


async def test_another_account_is_not_meant(desk: Desk) -> None:
    entry = NewEntry(EntryKind.ANSWERED, "an order", "APEX", "t", detail={"order_id": "a", "status": "working"})
    await desk.store.append(entry, desk.clock())

    assert await possibly_open_orders(desk.store, SIM, None) == ()


async def test_only_the_instrument_that_is_asked_for_is_meant(desk: Desk, buy: Buys) -> None:
    ticket = await desk.propose(buy())
    assert isinstance(ticket, Ticket)
    for order_id, ticket_id in (("a", ticket.ticket_id), ("b", "unknown")):
        entry = NewEntry(
            EntryKind.ANSWERED, "an order", SIM, ticket_id, detail={"order_id": order_id, "status": "changed"}
        )
        await desk.store.append(entry, desk.clock())

    assert await possibly_open_orders(desk.store, SIM, MES) == ("a",)
    assert await possibly_open_orders(desk.store, SIM, MNQ) == ()
    assert await possibly_open_orders(desk.store, SIM, None) == ("b", "a")


class HeldBack:
    """The service, which keeps the first list of orders back until it is let go."""

    def __init__(self, inner: CrossTrade) -> None:
        self.inner, self.is_asked, self.goes_on = inner, anyio.Event(), anyio.Event()

    def __getattr__(self, asked: str) -> Any:
        return getattr(self.inner, asked)

    async def orders(self, account: str, *, active_only: bool) -> tuple[Order, ...]:
        if not self.is_asked.is_set():
            self.is_asked.set()
            await self.goes_on.wait()
        return await self.inner.orders(account, active_only=active_only)


async def test_a_fill_between_two_lists_is_seen_though_another_review_has_noted_it_meanwhile(
    crosstrade: CrossTrade, store: SqliteStore, policy: Policy, clock: ManualClock, buy: Buys, sim: Simulator
) -> None:
    upstream: Any = HeldBack(crosstrade)
    contexts, mes = ContextBuilder(upstream, store, Membership(policy, clock), clock), buy().instrument
    seen: list[int | None] = []

    async def review() -> None:
        seen.append((await contexts.review(buy())).context.net_position(mes))

    with anyio.fail_after(60):
        async with anyio.create_task_group() as both:
            both.start_soon(review)
            await upstream.is_asked.wait()
            await anyio.wait_all_tasks_blocked()  # its positions are read by now, and flat
            await crosstrade.place_order(buy(1), "by-hand")
            sim.advance(20)
            await review()
            upstream.goes_on.set()
    assert seen == [1, 1]


class FillsBetween:
    """The service, at which an entry from a template fills once orders are listed, and before positions are."""

    def __init__(self, inner: CrossTrade, fills: Callable[[], Awaitable[None]]) -> None:
        self.inner, self._fills, self._is_listed, self._is_reported = inner, fills, anyio.Event(), anyio.Event()

    def __getattr__(self, asked: str) -> Any:
        return getattr(self.inner, asked)

    async def orders(self, account: str, *, active_only: bool) -> tuple[Order, ...]:
        listed = await self.inner.orders(account, active_only=active_only)
        self._is_listed.set()
        return listed

    async def snapshot(self) -> tuple[AccountSnapshot, ...]:
        reports = await self.inner.snapshot()
        self._is_reported.set()
        return reports

    async def positions(self, account: str) -> tuple[Position, ...]:
        await self._is_listed.wait()
        await self._is_reported.wait()
        await self._fills()
        return await self.inner.positions(account)


@pytest.mark.parametrize("was_listed", [True, False], ids=["its order stood by then", "it came and filled"])
async def test_exits_that_a_fill_brought_between_the_two_lists_are_seen(
    crosstrade: CrossTrade,
    store: SqliteStore,
    policy: Policy,
    clock: ManualClock,
    buy: Buys,
    sim: Simulator,
    price: Prices,
    was_listed: bool,
) -> None:
    """A stop beside a stop that nobody saw is no exit: both may fill."""

    async def enters() -> None:
        if not sim.exchange.orders:
            await crosstrade.place_order(buy(1, atm_strategy="Day 20x40"), "by-hand")

    async def fills() -> None:
        await enters()
        sim.advance(20)

    if was_listed:
        await enters()
    upstream: Any = FillsBetween(crosstrade, fills)
    with anyio.fail_after(60):
        seen = await ContextBuilder(upstream, store, Membership(policy, clock), clock).review(
            buy(1, "SELL", "STOP_MARKET", stop_price=price(-40))
        )
    assert seen.context.net_position(MES) == 1
    assert {order.order_type for order in seen.context.orders or ()} >= {OrderType.STOP_MARKET, OrderType.LIMIT}
    assert not seen.effect.only_reduces
