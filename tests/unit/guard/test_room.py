"""What is left of the day's loss beside the stop-outs of everything that is open and works."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_mcp.domain.account import Balances
from ct_mcp.domain.bracket import Bracket, ExitLevel, Target
from ct_mcp.domain.commands import PlaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.level import Distance, Unit
from ct_mcp.domain.order import OrderAction, OrderState, OrderType
from ct_mcp.guard.context import PendingOrder, RiskContext
from ct_mcp.guard.room import DayRoom, day_room
from tests.factories import ES, account, contract, order, place_order, policy, position, quote, stop_order

TEN_POINTS = Distance(Decimal(10), Unit.POINT)
RULES = policy(max_day_loss=Decimal(5000))
FDAX = Instrument("FDAX", 2026, 12)
EUREX = contract(exchange="Eurex", tick_size=Decimal("0.5"), point_value=Decimal(25))
SELL, BUY = OrderAction.SELL, OrderAction.BUY


def book(*, realized: str = "0", unrealized: str = "0", limit: str | None = None, **changes: Any) -> RiskContext:
    """A flat, read account with what it has made today."""
    balances = Balances(
        realized_pnl=Decimal(realized),
        unrealized_pnl=Decimal(unrealized),
        daily_loss_limit=None if limit is None else Decimal(limit),
    )
    known = {"positions": (), "orders": (), "quote": quote(), "contracts": {ES: contract()}, **changes}
    return RiskContext(now=quote().at, account=account(balances=balances), **known)  # type: ignore[arg-type]  # it is stamped


def room(context: RiskContext) -> DayRoom:
    found = day_room(context, RULES)
    assert found is not None
    return found


def loss(context: RiskContext) -> tuple[Decimal, tuple[str, ...]]:
    outs = room(context).open_stop_outs
    return outs.loss, outs.uncounted


def entry(limit: str = "6390", quantity: int = 1, level: ExitLevel = TEN_POINTS, **changes: Any) -> PlaceOrder:
    return replace(place_order(limit=limit, quantity=quantity, **changes), bracket=Bracket(level))


def test_what_was_lost_is_gone_and_what_was_made_may_be_lost_again() -> None:
    assert room(book(realized="-1200", unrealized="-300")).left == Decimal(3500)
    assert room(book(realized="700", unrealized="-200")).left == Decimal(5500)
    assert room(book(realized="-5100")).free == Decimal(-100)


@pytest.mark.parametrize(
    ("limit", "left"), [("1000", 1000), ("-1000", 1000), ("9000", 5000), ("0", 5000), (None, 5000)]
)
def test_the_accounts_own_limit_counts_where_it_is_narrower(limit: str | None, left: int) -> None:
    assert room(book(limit=limit)).left == Decimal(left)


@pytest.mark.parametrize(
    "changes",
    [
        {"account": None},
        {"account": account(balances=Balances(realized_pnl=Decimal(0)))},
        {"account": account(balances=Balances(realized_pnl=Decimal("NaN"), unrealized_pnl=Decimal(0)))},
        {"positions": None},
        {"orders": None},
    ],
    ids=["account", "unrealised", "no number", "positions", "orders"],
)
def test_what_is_not_known_is_no_room_and_no_guess(changes: dict[str, Any]) -> None:
    assert day_room(replace(book(), **changes), RULES) is None


@pytest.mark.parametrize(
    ("net", "stop", "market", "costs"),
    [
        (2, {"quantity": 2, "stop_price": "6380"}, "6400", 2000),
        (2, {"quantity": 2, "stop_price": "6398"}, "6400", 200),  # trailed up into the gain: from the market
        (-1, {"action": BUY, "stop_price": "6405"}, "6400", 250),
        (2, {"quantity": 2, "stop_price": "6410"}, "6400", 0),  # passed by the market
        (2, {"quantity": 2, "stop_price": "6380", "order_type": OrderType.STOP_LIMIT}, "6400", 2000),
        (2, {"quantity": 2, "stop_price": "6380", "state": OrderState.ACCEPTED}, "6400", 2000),
        (2, {"quantity": 3, "filled": 1, "stop_price": "6380"}, "6400", 2000),
    ],
)
def test_a_stop_out_is_reckoned_from_the_market(net: int, stop: dict[str, Any], market: str, costs: int) -> None:
    held = position(net, average_price="6350", market_price=Decimal(market))
    assert loss(book(positions=(held,), orders=(stop_order(**stop),))) == (Decimal(costs), ())


def test_several_stops_are_each_for_what_they_hold() -> None:
    held = position(3, market_price=Decimal(6400))
    stops = stop_order("a", quantity=1, stop_price="6390"), stop_order("b", quantity=2, stop_price="6380")
    assert loss(book(positions=(held,), orders=stops)) == (Decimal(500 + 2000), ())


@pytest.mark.parametrize(
    ("held", "stops"),
    [
        (position(2, market_price=Decimal(6400)), ()),
        (position(2, market_price=Decimal(6400)), (stop_order(quantity=1),)),
        (position(2, market_price=Decimal(6400)), (stop_order(quantity=2, state=OrderState.CANCEL_PENDING),)),
        (position(2, market_price=Decimal(6400)), (stop_order(quantity=2, state=OrderState.SUBMITTED),)),
        (position(2, market_price=Decimal(6400)), (stop_order(quantity=2, stop_price=None),)),
        (position(2), (stop_order(quantity=2),)),
    ],
    ids=["bare", "half covered", "goes", "not there yet", "without a price", "market not known"],
)
def test_what_stands_without_a_known_stop_is_named_and_not_guessed(held: Any, stops: tuple[Any, ...]) -> None:
    assert loss(book(positions=(held,), orders=stops)) == (Decimal(0), ("+2 ES 12-26",))


def test_of_a_contract_whose_worth_is_not_known_the_position_is_named() -> None:
    held, stops = (
        position(-2, FDAX, market_price=Decimal(24000)),
        (stop_order(instrument=FDAX, action=BUY, quantity=2),),
    )
    assert loss(book(positions=(held,), orders=stops)) == (Decimal(0), ("-2 FDAX 12-26",))
    without_rate = book(positions=(held,), orders=stops, contracts={FDAX: EUREX})
    assert loss(without_rate) == (Decimal(0), ("-2 FDAX 12-26",))


def test_money_of_another_currency_is_converted() -> None:
    held = position(1, FDAX, market_price=Decimal(24000))
    stops = (stop_order(instrument=FDAX, stop_price="23990"),)
    rules = policy(max_day_loss=Decimal(5000), rates={"EUR": Decimal("1.1")})
    found = day_room(book(positions=(held,), orders=stops, contracts={FDAX: EUREX}), rules)
    assert found is not None
    assert found.open_stop_outs.loss == Decimal(275)


def test_the_quote_of_the_order_says_what_a_contract_is_worth_where_none_was_read_before() -> None:
    held = position(1, market_price=Decimal(6400))
    assert loss(book(positions=(held,), orders=(stop_order(),), contracts={})) == (Decimal(1000), ())


@pytest.mark.parametrize(
    ("sent", "row", "costs"),
    [
        (entry(quantity=3), {"quantity": 3}, 1500),
        (entry(quantity=3), {"quantity": 3, "filled": 1}, 1000),
        (entry(level=Decimal("6385")), {}, 250),
        (
            entry("6410", action="SELL", level=Decimal("6415")),
            {"action": SELL, "limit_price": "6410"},
            250,
        ),
        (
            replace(entry(), order_type=OrderType.STOP_MARKET, limit_price=None, stop_price=Decimal(6410)),
            {"order_type": OrderType.STOP_MARKET, "limit_price": None, "stop_price": "6410"},
            500,
        ),
        # it may fill as high as its limit: as it was shown
        (
            replace(entry("6412", level=Decimal(6400)), order_type=OrderType.STOP_LIMIT, stop_price=Decimal(6410)),
            {"order_type": OrderType.STOP_LIMIT, "limit_price": "6412", "stop_price": "6410"},
            600,
        ),
    ],
)
def test_a_working_entry_counts_with_the_stop_that_goes_with_it(
    sent: PlaceOrder, row: dict[str, Any], costs: int
) -> None:
    works = order("9", own_id="ours", **row)
    for name in ("9", "ours"):
        assert loss(book(orders=(works,), entries={name: sent})) == (Decimal(costs), ())


@pytest.mark.parametrize(
    ("works", "entries"),
    [
        (order("9"), {}),
        (order("9"), {"9": replace(place_order(limit="6390"), bracket=Bracket(None, (Target(TEN_POINTS),)))}),
        (order("9"), {"9": entry(level=Decimal(6395))}),
        (order("9"), {"9": replace(entry(), order_type=OrderType.MARKET, limit_price=None)}),
    ],
    ids=["not ours", "a target alone", "on the wrong side", "where it fills is not known"],
)
def test_a_working_order_whose_stop_is_not_known_is_named(works: Any, entries: dict[str, PlaceOrder]) -> None:
    assert loss(book(orders=(works,), entries=entries)) == (Decimal(0), ("BUY 1 ES 12-26 that works",))


def test_an_order_that_leaves_costs_nothing_more() -> None:
    held = position(2, market_price=Decimal(6400))
    orders = stop_order(quantity=2, oco_id="a"), order("t", action=SELL, quantity=2, limit_price="6420", oco_id="a")
    closed = order("c", state=OrderState.CANCELLED)
    assert loss(book(positions=(held,), orders=(*orders, closed))) == (Decimal(2000), ())


def test_an_order_that_turns_a_position_is_named_with_what_it_may_open() -> None:
    held = position(2, market_price=Decimal(6400))
    orders = stop_order(quantity=2), order("t", action=SELL, quantity=5, limit_price="6420")
    assert loss(book(positions=(held,), orders=orders)) == (Decimal(2000), ("SELL 3 ES 12-26 that works",))


def test_what_was_sent_and_may_fill_without_an_answer_is_named() -> None:
    pending = PendingOrder(ES, 2), PendingOrder(ES, -1, leaves=True)
    assert loss(book(pending=pending)) == (Decimal(0), ("+2 ES 12-26 of unknown outcome",))


@given(
    st.integers(-4, 4).filter(bool),
    st.lists(st.tuples(st.integers(1, 3), st.integers(-40, 200)), max_size=4),
    st.integers(0, 3),
)
def test_more_that_works_never_makes_more_room(net: int, stops: list[tuple[int, int]], entries: int) -> None:
    side = 1 if net > 0 else -1
    held = position(net, market_price=Decimal(6400))
    rows = tuple(
        stop_order(
            f"s{number}",
            action=SELL if net > 0 else BUY,
            quantity=size,
            stop_price=Decimal(6400) - side * Decimal(ticks) / 4,
        )
        for number, (size, ticks) in enumerate(stops)
    )
    action = BUY if net > 0 else SELL
    sent = {f"e{number}": entry(action=action.value) for number in range(entries)}
    works = tuple(order(name, action=action) for name in sent)
    before, after = (
        room(book(positions=(held,), orders=rows)),
        room(book(positions=(held,), orders=(*rows, *works), entries=sent)),
    )
    assert before.left == after.left == Decimal(5000)
    assert after.free == before.free - 500 * entries
    assert before.open_stop_outs.loss >= 0
    covered = sum(size for size, _ in stops) >= abs(net)
    assert (f"{net:+d} ES 12-26" in before.open_stop_outs.uncounted) is not covered
