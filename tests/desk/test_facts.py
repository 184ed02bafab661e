"""What is known before a decision, and what stays unknown."""

from datetime import timedelta
from decimal import Decimal

import pytest

from ct_mcp.desk.desk import Desk
from ct_mcp.domain.action import CancelOrder, ChangeOrder, ClosePosition, EnableStrategy, Flatten
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.ticket import Halt
from ct_mcp.errors import BadReply, BudgetExhausted, Unavailable
from ct_mcp.guard.policy import Limits, PendingOrder, Policy
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.orders import Action, OrderLabels, OrderTerms, OrderType
from ct_mcp.simulator.world import Simulator
from ct_mcp.store.journal import EntryKind
from ct_mcp.store.sqlite import SqliteStore


def asked(sim: Simulator) -> list[str]:
    """What was asked of the service, in order."""
    return [seen.rpc for seen in sim.requests]


async def test_an_order_is_reviewed_on_account_book_quote_and_session(desk: Desk, buy, sim: Simulator, mes) -> None:
    case = await desk.preview(buy())
    assert sorted(asked(sim)) == ["GetAccount", "GetPosition", "GetQuote", "ListOrders", "ListPositions", "MarketInfo"]
    assert case.view.account is not None
    assert case.view.quote is not None
    assert case.view.session is not None
    assert (case.view.account.name, case.view.quote.instrument) == ("Sim101", mes)
    assert (case.view.positions, case.view.orders, case.notes) == ((), (), ())
    assert case.simulated


async def test_an_exit_asks_for_no_quote_and_no_session(desk: Desk, sim: Simulator, mes) -> None:
    for action in (Flatten("Sim101", mes), ClosePosition("Sim101", mes), CancelOrder("Sim101", "x")):
        case = await desk.preview(action)
        assert (case.view.quote, case.view.session) == (None, None)
    assert not {"GetQuote", "MarketInfo"} & set(asked(sim))


async def test_a_change_is_reviewed_on_the_quote_of_its_order(desk: Desk, does, buy, price, sim) -> None:
    order_id = (await does(buy(kind="LIMIT", limit_price=price(-40)))).order_id
    case = await desk.preview(ChangeOrder("Sim101", order_id, limit_price=price(-44)))
    assert case.view.quote is not None
    unlisted = await desk.preview(ChangeOrder("Sim101", "gone", limit_price=price(-44)))
    assert unlisted.view.quote is None
    assert not unlisted.review.passes


async def test_now_is_after_the_quote_was_read_so_that_no_quote_comes_from_the_future(
    desk: Desk, buy, crosstrade, clock
) -> None:
    await crosstrade._line.budget.penalise(clock(), 0)  # every read waits its turn, and the clock goes on
    case = await desk.preview(buy())
    assert case.view.quote is not None
    assert case.view.quote.at is not None
    assert case.view.now == clock()
    assert case.view.now >= case.view.quote.at


async def test_a_session_is_asked_for_once_a_minute(desk: Desk, buy, sim: Simulator, clock: ManualClock) -> None:
    for seconds, reports in ((0, 1), (60, 1), (1, 2), (30, 2)):
        clock.advance(seconds)
        await desk.preview(buy())
        assert asked(sim).count("MarketInfo") == reports
    await desk.preview(buy(instrument=Instrument("MNQ", 2026, 9)))
    assert asked(sim).count("MarketInfo") == 3


async def test_what_could_not_be_read_is_none_and_named(desk: Desk, buy, sim: Simulator) -> None:
    sim.faults.arm(Fault.HTML_PAGE, rpc="ListPositions")
    sim.faults.arm(Fault.REFUSED_WITH_400, rpc="ListOrders")
    sim.faults.arm(Fault.ERROR_500_BEFORE_ACCEPT, rpc="GetQuote")
    sim.faults.arm(Fault.UNAUTHORIZED, rpc="MarketInfo")
    case = await desk.preview(buy())
    view = case.view
    assert (view.positions, view.orders, view.quote, view.session) == (None, None, None, None)
    assert sorted(note.split(":")[0] for note in case.notes) == [
        "orders could not be read",
        "positions could not be read",
        "quote could not be read",
        "session could not be read",
    ]
    assert not case.review.passes


async def test_an_order_needs_its_account_read_now_and_an_exit_takes_the_one_it_knows(
    desk: Desk, buy, sim: Simulator, mes
) -> None:
    await desk.names.accounts()
    sim.faults.arm(Fault.CONNECT_REFUSED, rpc="GetAccount")
    with pytest.raises(Unavailable):
        await desk.preview(buy())
    case = await desk.preview(Flatten("Sim101", mes))
    assert case.account.name == "Sim101"
    assert case.simulated
    assert case.review.passes
    assert "account could not be read" in case.notes[0]


async def test_an_exit_of_an_account_that_nothing_is_known_of_is_no_exit(desk: Desk, sim: Simulator, mes) -> None:
    sim.faults.arm(Fault.CONNECT_REFUSED, rpc="GetAccount")
    sim.faults.arm(Fault.HTML_PAGE, rpc="ListAccounts")
    with pytest.raises(BadReply, match="ListAccounts"):
        await desk.preview(Flatten("Sim101", mes))


async def test_an_order_draws_on_the_budget_as_everybody_and_an_exit_on_the_reserve(
    desk: Desk, buy, crosstrade, clock, mes
) -> None:
    await desk.names.accounts()
    await crosstrade._line.budget.penalise(clock(), 8.7)
    with pytest.raises(BudgetExhausted):
        await desk.preview(buy())
    assert (await desk.preview(Flatten("Sim101", mes))).view.positions == ()


NARROW = Policy(limits=Limits(), instruments={"MES": {"max_order_contracts": 1}})


@pytest.mark.parametrize("policy", [NARROW], ids=["one MES at a time"])
async def test_limits_are_those_of_the_account_and_the_root(desk: Desk, does, buy, price, sim) -> None:
    assert (await desk.preview(buy(2))).policy.limits.max_order_contracts == 1
    assert (await desk.preview(buy(2, instrument=Instrument("MNQ", 2026, 9)))).policy.limits.max_order_contracts == 5
    order_id = (await does(buy(kind="LIMIT", limit_price=price(-40)))).order_id
    changed = await desk.preview(ChangeOrder("Sim101", order_id, quantity=2))
    assert changed.policy.limits.max_order_contracts == 1, "a change is of the root of its order"


TIGHT = Policy(limits=Limits(max_day_loss=Decimal(100)))


@pytest.mark.parametrize("policy", [TIGHT], ids=["100 a day"])
@pytest.mark.parametrize(("loss", "is_reached"), [(99.99, False), (100, True), (250, True)])
async def test_the_days_loss_is_remembered_the_moment_it_is_seen(
    desk: Desk, buy, sim: Simulator, store: SqliteStore, mes, loss, is_reached
) -> None:
    sim.exchange.accounts["Sim101"].gross_realized = -loss
    sim.exchange.accounts["Sim101"].has_reported = True
    await desk.preview(Flatten("Sim101", mes))
    sim.exchange.accounts["Sim101"].gross_realized = 0.0
    case = await desk.preview(buy())
    assert case.view.day_loss_reached == is_reached
    assert case.review.passes != is_reached
    marks = [entry for entry in await store.entries(9) if entry.kind is EntryKind.DAY_LOSS]
    assert len(marks) == is_reached


@pytest.mark.parametrize("policy", [TIGHT], ids=["100 a day"])
async def test_a_new_trading_day_forgets_the_loss_of_the_last(desk: Desk, buy, sim, clock, mes) -> None:
    sim.exchange.accounts["Sim101"].gross_realized = -200
    sim.exchange.accounts["Sim101"].has_reported = True
    assert not (await desk.preview(buy())).review.passes
    clock.advance(timedelta(hours=8).total_seconds())
    case = await desk.preview(buy())
    assert not case.view.day_loss_reached, "it is past five in the afternoon in Chicago"


async def test_halt_arming_and_pace_come_from_the_store(desk: Desk, does, buy, store, clock, sim) -> None:
    await does(buy())
    sim.advance(30)
    halt = Halt("person", clock(), "lunch")
    await store.set_halt(halt)
    until = clock() + timedelta(hours=1)
    await store.arm("Sim101", until, "terminal", clock())
    view = (await desk.preview(buy())).view
    assert (view.halt, view.armed_until) == (halt, until)
    assert (view.orders_last_minute, view.orders_today) == (1, 1)
    assert view.seconds_since_identical == pytest.approx(30, abs=1)
    assert not view.identical_is_unknown
    clock.advance(31)
    assert (await desk.preview(buy())).view.orders_last_minute == 0


async def test_an_order_of_unknown_outcome_is_pending_until_it_stands_in_the_list(
    desk: Desk, does, buy, sim: Simulator, clock
) -> None:
    sim.faults.arm(Fault.REQUEST_LOST_BEFORE_ACCEPT, rpc="PlaceOrder", times=1)
    lost = await does(buy(3, "SELL"))
    case = await desk.preview(buy())
    assert case.view.pending == (PendingOrder(Instrument("MES", 2026, 9), -3),)
    assert (await desk.preview(buy(3, "SELL"))).view.identical_is_unknown
    account, contract = sim.exchange.account("Sim101"), sim.market.front("MES", clock())
    assert account is not None
    labels, terms = _theirs(contract, f"ctmcp-{lost.ticket_id}")
    sim.exchange.submit(account, terms, labels, clock())
    assert (await desk.preview(buy())).view.pending == ()


def _theirs(contract, own_id: str):
    """An order as the simulator keeps it: with a template, so that our id comes back in the list."""
    terms = OrderTerms(contract, Action.SELL, 3, OrderType.LIMIT, limit_price=7000.0)
    return OrderLabels(own_id=own_id, template="Scalp 8x8"), terms


async def test_what_is_outstanding_elsewhere_does_not_count_here(desk: Desk, does, buy, sim: Simulator) -> None:
    sim.faults.arm(Fault.REQUEST_LOST_BEFORE_ACCEPT, rpc="PlaceOrder", times=1)
    await does(buy(3))
    case = await desk.preview(buy(account="APEX-482910"))
    assert case.view.pending == ()
    assert not case.simulated


async def test_a_change_of_prices_alone_adds_nothing_and_breaks_nothing(desk: Desk, does, buy, price, sim) -> None:
    order_id = (await does(buy(kind="LIMIT", limit_price=price(-40)))).order_id
    sim.faults.arm(Fault.REQUEST_LOST_BEFORE_ACCEPT, rpc="Change", times=1)
    await does(ChangeOrder("Sim101", order_id, limit_price=price(-60)))
    assert (await desk.preview(buy())).view.pending == ()


async def test_an_enlargement_of_unknown_outcome_adds_what_it_adds(desk: Desk, does, buy, price, sim, mes) -> None:
    order_id = (await does(buy(2, kind="LIMIT", limit_price=price(-40)))).order_id
    sim.faults.arm(Fault.REQUEST_LOST_BEFORE_ACCEPT, rpc="Change", times=1)
    await does(ChangeOrder("Sim101", order_id, quantity=5))
    assert (await desk.preview(buy())).view.pending == (PendingOrder(mes, 3),)


async def test_an_empty_list_is_not_believed_before_an_order_that_may_add(desk: Desk, long_two, buy, sim) -> None:
    sim.faults.arm(Fault.EMPTY_LISTS)
    case = await desk.preview(buy())
    assert case.view.positions is None
    assert "positions contradict each other: the list holds no MES 09-26, other reports do" in case.notes
    assert any(denial.code == "POSITION_UNKNOWN" for denial in case.review.denials)


async def test_a_position_that_the_list_shows_is_not_asked_for_again(desk: Desk, long_two, buy, sim) -> None:
    asked_before = len(sim.requests_of("GetPosition"))
    assert (await desk.preview(buy())).view.net_position(buy().instrument) == 2
    assert len(sim.requests_of("GetPosition")) == asked_before


async def test_an_exit_asks_for_no_position_by_its_name(desk: Desk, sim: Simulator, mes) -> None:
    await desk.preview(Flatten("Sim101", mes))
    assert sim.requests_of("GetPosition") == []


async def test_a_flat_position_that_cannot_be_asked_for_is_unknown(desk: Desk, buy, sim: Simulator) -> None:
    sim.faults.arm(Fault.HTML_PAGE, rpc="GetPosition")
    case = await desk.preview(buy())
    assert case.view.positions is None
    assert case.notes[0].startswith("position could not be read")
    assert not case.review.passes


async def test_a_list_that_is_empty_while_the_account_has_open_profit_is_unknown(
    desk: Desk, long_two, buy, sim: Simulator
) -> None:
    """Another instrument is asked about, so that only the account's own figures contradict."""
    sim.faults.arm(Fault.EMPTY_LISTS)
    sim.market.top(sim.market.front("MES", sim.clock()), sim.clock())
    sim.advance(60)
    account = await desk.upstream.account("Sim101")
    assert account.balances.unrealized_pnl
    case = await desk.preview(buy(instrument=Instrument("MNQ", 2026, 9)))
    assert case.view.positions is None


async def test_a_list_without_the_instrument_beside_other_positions_is_believed(desk: Desk, long_two, buy, sim) -> None:
    case = await desk.preview(buy(instrument=Instrument("MNQ", 2026, 9)))
    assert case.view.net_position(Instrument("MNQ", 2026, 9)) == 0


async def test_a_strategy_is_read_with_its_instrument(desk: Desk, sim: Simulator) -> None:
    ours = next(each for each in sim.strategies.all if each.plan.account == "Sim101")
    case = await desk.preview(EnableStrategy("Sim101", ours.id))
    assert case.strategy is not None
    assert case.strategy.class_name == ours.plan.kind.name
    assert case.view.quote is not None
    unread = await desk.preview(EnableStrategy("Sim101", "999999"))
    assert unread.strategy is None
    assert unread.notes[0].startswith("strategy could not be read")
