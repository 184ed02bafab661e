"""Every method of the client against a service that has never seen our code."""

from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal

import pytest

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.crosstrade.endpoints import ENDPOINTS
from ct_mcp.crosstrade.failures import OrderGone
from ct_mcp.domain.account import Account, AccountKind, Direction
from ct_mcp.domain.commands import ChangeOrder, ClosePosition, PlaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import parse_period
from ct_mcp.domain.order import OrderAction, OrderState, OrderType, TimeInForce
from ct_mcp.errors import (
    AddonOffline,
    AuthFailed,
    BadReply,
    CtMcpError,
    NotFound,
    OrderRejected,
    OutcomeUnknown,
    RateLimited,
    Unavailable,
)
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.simulator import Simulator

ACCOUNT = "Sim101"


@pytest.fixture
async def es(crosstrade: CrossTrade) -> Instrument:
    """The front month of today."""
    return (await crosstrade.quotes(["ES"]))[0].instrument


@pytest.fixture
async def far_below(crosstrade: CrossTrade) -> Decimal:
    """A price at which nothing is bought."""
    (quote,) = await crosstrade.quotes(["ES"])
    assert quote.bid is not None
    return quote.bid - 100


def buy(instrument: Instrument, quantity: int = 2, limit: Decimal | None = None) -> PlaceOrder:
    kind = OrderType.MARKET if limit is None else OrderType.LIMIT
    return PlaceOrder(ACCOUNT, instrument, OrderAction.BUY, quantity, kind, limit, None, TimeInForce.DAY)


async def test_accounts_are_listed_with_their_kind(crosstrade: CrossTrade) -> None:
    kinds = {account.name: account.kind for account in await crosstrade.accounts()}
    assert kinds[ACCOUNT] is AccountKind.SIMULATED
    assert AccountKind.LIVE in kinds.values()


async def test_an_account_is_read_with_its_money_and_its_marks(crosstrade: CrossTrade) -> None:
    account = await crosstrade.account("sim101")
    assert (account.name, account.balances.cash_value) == (ACCOUNT, Decimal("100565.00"))
    snapshots = {snapshot.account.name: snapshot for snapshot in await crosstrade.snapshot()}
    assert snapshots[ACCOUNT].account.balances.cash_value == account.balances.cash_value
    assert (await crosstrade.watermarks(ACCOUNT)).account == ACCOUNT
    with pytest.raises(NotFound):
        await crosstrade.account("Sim999")


async def test_quotes_come_for_every_spelling_with_the_dated_contract(crosstrade: CrossTrade, es: Instrument) -> None:
    spellings = ["ES", "ES1!", str(es), es.code, es.named, "NQ"]
    *all_es, nq = await crosstrade.quotes(spellings)
    assert {quote.instrument for quote in all_es} == {es}
    assert nq.instrument.root == "NQ"
    assert all(quote.bid and quote.ask and quote.bid < quote.ask and quote.is_market_open for quote in all_es)
    assert (all_es[0].contract.tick_size, all_es[0].contract.point_value) == (Decimal("0.25"), Decimal(50))


async def test_templates_are_listed_by_the_names_that_an_order_may_carry(crosstrade: CrossTrade) -> None:
    templates = await crosstrade.atm_templates()
    assert templates
    assert all(name == name.strip() for name in templates)


async def test_a_quote_is_as_old_as_the_clock_says(crosstrade: CrossTrade, sim: Simulator) -> None:
    (quote,) = await crosstrade.quotes(["ES"])
    age = quote.age_seconds(sim.clock())
    assert age is not None
    assert age <= 2


async def test_the_session_and_the_bars_are_of_the_contract_that_the_root_stands_for(
    crosstrade: CrossTrade, es: Instrument, sim: Simulator
) -> None:
    session = await crosstrade.session("ES")
    assert (session.instrument, session.is_open) == (es, True)
    assert session.opens_at is not None
    assert session.closes_at is not None
    assert session.opens_at <= sim.clock() < session.closes_at
    instrument, bars = await crosstrade.bars("ES", parse_period("5 minute"), count=120)
    assert (instrument, len(bars)) == (es, 120)
    assert [bar.closes_at for bar in bars] == sorted({bar.closes_at for bar in bars})
    assert all(bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high for bar in bars)


async def test_bars_lie_within_the_span_that_was_asked_for(crosstrade: CrossTrade) -> None:
    _, hours = await crosstrade.bars("ES", parse_period("1 hour"), count=5)
    start, end = hours[0].closes_at, hours[-1].closes_at
    _, bars = await crosstrade.bars("ES", parse_period("5 minute"), count=500, start=start, end=end)
    assert bars
    assert start <= bars[0].closes_at <= bars[-1].closes_at <= end


async def test_a_market_order_is_acknowledged_first_and_filled_a_little_later(
    crosstrade: CrossTrade, sim: Simulator, es: Instrument
) -> None:
    placed = await crosstrade.place_order(buy(es), "ct-own-1", frozenset({Direction.FLAT}))
    (order_id,) = placed.order_ids
    assert (await crosstrade.order(ACCOUNT, order_id)).state is not OrderState.FILLED
    sim.advance(2)
    order = await crosstrade.order(ACCOUNT, order_id)
    assert (order.state, order.filled, order.instrument) == (OrderState.FILLED, 2, es)
    (position,) = await crosstrade.positions(ACCOUNT)
    assert (position.net, position.average_price) == (2, order.average_fill_price)
    assert await crosstrade.position(ACCOUNT, es) == position
    assert (await crosstrade.all_positions())[0].instrument == es
    executions = await crosstrade.executions(ACCOUNT, 300)
    assert sum(execution.quantity for execution in executions) == 2
    assert await crosstrade.executions_of_order(ACCOUNT, order_id) == executions
    assert executions[0].action is OrderAction.BUY


async def test_the_history_of_an_order_is_found_by_our_own_id(
    crosstrade: CrossTrade, sim: Simulator, es: Instrument
) -> None:
    (order_id,) = (await crosstrade.place_order(buy(es), "ct-own-2")).order_ids
    sim.advance(2)
    lifecycle = await crosstrade.lifecycle(ACCOUNT, "ct-own-2")
    assert (lifecycle.order_id, lifecycle.own_id, lifecycle.last_state) == (order_id, "ct-own-2", OrderState.FILLED)
    assert lifecycle.events[0].event == "PlaceOrder"


async def test_a_resting_order_is_changed_replaced_and_cancelled(
    crosstrade: CrossTrade, sim: Simulator, es: Instrument, far_below: Decimal
) -> None:
    (order_id,) = (await crosstrade.place_order(buy(es, 2, far_below), "ct-own-3")).order_ids
    sim.advance(1)
    (changed_id,) = (
        await crosstrade.change_order(ChangeOrder(ACCOUNT, order_id, 3, far_below - Decimal("0.25")))
    ).order_ids
    sim.advance(1)
    changed = await crosstrade.order(ACCOUNT, changed_id)
    assert (changed.quantity, changed.limit_price) == (3, far_below - Decimal("0.25"))
    (replaced_id,) = (await crosstrade.replace_order(ACCOUNT, order_id, buy(es, 1, far_below))).order_ids
    sim.advance(1)
    assert [order.order_id for order in await crosstrade.orders(ACCOUNT, active_only=True)] == [replaced_id]
    assert [order.quantity for order in await crosstrade.all_orders(active_only=True)] == [1]
    await crosstrade.cancel_order(ACCOUNT, replaced_id)
    sim.advance(1)
    assert await crosstrade.orders(ACCOUNT, active_only=True) == ()
    assert (await crosstrade.order(ACCOUNT, replaced_id)).state is OrderState.CANCELLED
    with pytest.raises(OrderGone):
        await crosstrade.cancel_order(ACCOUNT, replaced_id)


async def test_all_orders_of_an_account_are_cancelled_at_once(
    crosstrade: CrossTrade, sim: Simulator, es: Instrument, far_below: Decimal
) -> None:
    for number in range(2):
        await crosstrade.place_order(buy(es, 1, far_below), f"ct-many-{number}")
    sim.advance(1)
    assert len((await crosstrade.cancel_orders(ACCOUNT, es)).order_ids) == 2
    sim.advance(1)
    assert await crosstrade.orders(ACCOUNT, active_only=True) == ()
    await crosstrade.cancel_orders(ACCOUNT, None)


async def test_a_position_is_closed_in_part_then_flattened(
    crosstrade: CrossTrade, sim: Simulator, es: Instrument
) -> None:
    await crosstrade.place_order(buy(es, 4), "ct-own-4")
    sim.advance(2)
    urgent = crosstrade.urgent()
    closed = await urgent.close_position(ClosePosition(ACCOUNT, es, percent=Decimal(50)))
    assert [position.net for position in closed.closed] == [4]
    sim.advance(2)
    assert [position.net for position in await urgent.positions(ACCOUNT)] == [2]
    await urgent.close_position(ClosePosition(ACCOUNT, es, quantity=1))
    sim.advance(2)
    await urgent.flatten(ACCOUNT, es)
    sim.advance(2)
    assert await urgent.positions(ACCOUNT) == ()
    assert (await urgent.position(ACCOUNT, es)).direction is Direction.FLAT


async def test_an_order_that_flattens_first_leaves_its_own_size(
    crosstrade: CrossTrade, sim: Simulator, es: Instrument
) -> None:
    await crosstrade.place_order(buy(es, 3), "ct-own-6")
    sim.advance(2)
    await crosstrade.flat_place(buy(es, 1), "ct-own-7")
    sim.advance(8)
    assert [position.net for position in await crosstrade.positions(ACCOUNT)] == [1]


async def test_what_they_refuse_before_the_market_is_a_definite_no(
    crosstrade: CrossTrade, sim: Simulator, es: Instrument
) -> None:
    with pytest.raises(OrderRejected):
        await crosstrade.place_order(buy(es), "ct-own-8", frozenset({Direction.LONG}))
    assert not sim.exchange.orders


async def test_the_service_describes_itself(crosstrade: CrossTrade) -> None:
    routes = {(route.method, route.path) for route in await crosstrade.endpoints()}
    known = {(endpoint.method, endpoint.path.split("{")[0]) for endpoint in ENDPOINTS.values()}
    assert {(method, path.split("{")[0]) for method, path in routes} <= known
    assert '"openapi"' in await crosstrade.reference("openapi.json")
    for name in ("llms.txt", "llms-full.txt", "openapi.yaml", "_endpoints"):
        assert await crosstrade.reference(name)


@pytest.mark.parametrize(
    ("fault", "error", "orders"),
    [
        (Fault.ADDON_OFFLINE, AddonOffline, 0),
        (Fault.TIMEOUT_AFTER_ACCEPT, OutcomeUnknown, 1),
        (Fault.CONNECT_REFUSED, Unavailable, 0),
        (Fault.REQUEST_LOST_BEFORE_ACCEPT, OutcomeUnknown, 0),
        (Fault.ANSWER_LOST_AFTER_ACCEPT, OutcomeUnknown, 1),
        (Fault.READ_TIMEOUT_AFTER_ACCEPT, OutcomeUnknown, 1),
        (Fault.ERROR_500_BEFORE_ACCEPT, OutcomeUnknown, 0),
        (Fault.ERROR_500_AFTER_ACCEPT, OutcomeUnknown, 1),
        (Fault.BAD_GATEWAY, OutcomeUnknown, 0),
        (Fault.BAD_GATEWAY_AFTER_ACCEPT, OutcomeUnknown, 1),
        (Fault.TEMPORARILY_DISABLED, OutcomeUnknown, 0),
        (Fault.EMPTY_BODY, OutcomeUnknown, 1),
        (Fault.UNREADABLE_JSON, OutcomeUnknown, 1),
        (Fault.HTML_PAGE, OutcomeUnknown, 1),
        (Fault.REFUSED_WITH_200, OrderRejected, 0),
        (Fault.REFUSED_WITH_400, OrderRejected, 0),
        (Fault.UNAUTHORIZED, AuthFailed, 0),
        (Fault.FORBIDDEN, AuthFailed, 0),
        (Fault.CONFLICT, OrderRejected, 0),
        (Fault.RATE_LIMITED, RateLimited, 0),
        (Fault.RATE_LIMITED_OLD_BODY, RateLimited, 0),
        (Fault.RATE_LIMITED_IN_DETAILS, RateLimited, 0),
        (Fault.BROKER_RATE_LIMITED, OutcomeUnknown, 0),
    ],
)
async def test_a_write_that_goes_wrong_is_told_as_it_is_and_leaves_at_most_one_order(
    crosstrade: CrossTrade, sim: Simulator, es: Instrument, fault: Fault, error: type[CtMcpError], orders: int
) -> None:
    sim.faults.arm(fault, rpc="PlaceOrder")
    with pytest.raises(error) as caught:
        await crosstrade.place_order(buy(es), "ct-fault-1")
    assert type(caught.value) is error
    assert len(sim.exchange.orders) == orders


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.ADDON_OFFLINE, AddonOffline),
        (Fault.ANSWER_LOST_AFTER_ACCEPT, Unavailable),
        (Fault.BAD_GATEWAY, Unavailable),
        (Fault.EMPTY_BODY, BadReply),
        (Fault.UNREADABLE_JSON, BadReply),
        (Fault.HTML_PAGE, BadReply),
        (Fault.REFUSED_WITH_200, OrderRejected),
        (Fault.POSITIONS_WITHOUT_SUCCESS, BadReply),
    ],
)
async def test_a_read_that_goes_wrong_is_never_an_empty_answer(
    crosstrade: CrossTrade, sim: Simulator, fault: Fault, error: type[CtMcpError]
) -> None:
    sim.faults.arm(fault, rpc="ListPositions")
    with pytest.raises(error):
        await crosstrade.positions(ACCOUNT)


async def test_a_service_that_stumbles_once_is_read_all_the_same(crosstrade: CrossTrade, sim: Simulator) -> None:
    for fault in (Fault.ADDON_OFFLINE, Fault.ERROR_500_BEFORE_ACCEPT, Fault.RATE_LIMITED, Fault.CONNECT_REFUSED):
        sim.faults.arm(fault, rpc="ListPositions", times=1)
        assert await crosstrade.positions(ACCOUNT) == ()
        sim.faults.disarm()


async def test_a_warning_reaches_the_caller(crosstrade: CrossTrade, sim: Simulator, es: Instrument) -> None:
    heard: list[str] = []
    sim.faults.arm(Fault.WARNING)
    await crosstrade.heard_by(heard.append).accounts()
    assert len(heard) == 1
    assert (await crosstrade.place_order(buy(es), "ct-own-9")).warning


async def test_hostile_names_and_texts_are_told_as_theirs(
    crosstrade: CrossTrade, sim: Simulator, es: Instrument
) -> None:
    sim.faults.arm(Fault.HOSTILE_TEXT)
    sim.faults.arm(Fault.REFUSED_WITH_400, rpc="PlaceOrder")
    with pytest.raises(OrderRejected) as caught:
        await crosstrade.place_order(buy(es), "ct-own-10")
    told = str(caught.value)
    assert told.isprintable()
    assert told.count('"') == 2
    for account in await crosstrade.accounts():
        assert (account.display_name or "").isprintable()


async def test_our_budget_keeps_us_clear_of_theirs(crosstrade: CrossTrade, sim: Simulator) -> None:
    for _ in range(60):
        await crosstrade.accounts()
    assert all(seen.accepted for seen in sim.requests)


@pytest.mark.parametrize(
    "read", [lambda c: c.accounts(), lambda c: c.account("Sim101"), lambda c: c.urgent().snapshot()], ids=range(3)
)
async def test_the_figures_of_every_account_that_is_read_are_handed_on(
    crosstrade: CrossTrade, read: Callable[[CrossTrade], Awaitable[object]]
) -> None:
    told = list[Account]()

    async def hears(accounts: Sequence[Account]) -> None:
        told.extend(accounts)

    crosstrade.tell_figures(hears)
    await read(crosstrade)
    assert "Sim101" in [account.name for account in told]
