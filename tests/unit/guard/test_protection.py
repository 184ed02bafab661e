"""What stands without a stop once an order is cancelled or changed."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from ct_mcp.domain.account import Position
from ct_mcp.domain.commands import (
    CancelOrder,
    CancelOrders,
    ChangeOrder,
    ClosePosition,
    Command,
    DisableStrategy,
    Flatten,
    PlaceOrder,
    ProtectPosition,
    ReplaceOrder,
)
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import Order, OrderAction, OrderState, OrderType
from ct_mcp.guard.context import PendingOrder, RiskContext
from ct_mcp.guard.effect import effect_of
from ct_mcp.guard.protection import (
    NOTHING_LOST,
    LostProtection,
    covered_by,
)

ES, NQ = Instrument("ES", 2026, 12), Instrument("NQ", 2026, 12)
SELL, BUY = OrderAction.SELL, OrderAction.BUY
Place = Callable[..., PlaceOrder]
Rests = Callable[..., Order]
Sees = Callable[..., RiskContext]
Holds = Callable[..., tuple[Position, ...]]


def lost(action: Command, view: RiskContext) -> LostProtection:
    """What is lost, where that is known."""
    found = effect_of(action, view).lost
    assert found is not None
    return found


def test_cancelling_the_only_stop_leaves_the_position_bare(view: Sees, held: Holds, stop: Rests) -> None:
    found = lost(CancelOrder("Sim101", "stop"), view(positions=held(2), orders=(stop(quantity=2),)))
    assert (found.is_any, found.contracts) == (True, 2)
    assert str(found) == "without a stop afterwards: 2 of 2 ES 12-26"


def test_losing_an_order_of_a_type_we_do_not_know_may_be_losing_a_stop(view: Sees, held: Holds, stop: Rests) -> None:
    strange = replace(stop(), order_type=OrderType.OTHER, stop_price=None)
    lost = effect_of(CancelOrder("Sim101", "stop"), view(positions=held(2), orders=(strange,))).lost
    assert lost is not None
    assert lost.contracts == 2


def test_a_stop_that_is_left_counts(view: Sees, held: Holds, stop: Rests) -> None:
    book = view(positions=held(3), orders=(stop("1", quantity=2), stop("2", quantity=1)))
    assert str(lost(CancelOrder("Sim101", "1"), book)) == "without a stop afterwards: 2 of 3 ES 12-26"


def test_a_buy_stop_protects_a_short_position(view: Sees, held: Holds, stop: Rests) -> None:
    book = view(positions=held(-3), orders=(stop(action=BUY, quantity=3),))
    assert lost(CancelOrder("Sim101", "stop"), book).contracts == 3


def test_a_second_stop_that_covers_the_position_keeps_it_protected(view: Sees, held: Holds, stop: Rests) -> None:
    book = view(positions=held(2), orders=(stop("1", quantity=2), stop("2", quantity=2)))
    assert lost(CancelOrder("Sim101", "1"), book) == NOTHING_LOST
    assert lost(CancelOrders("Sim101", None), book).contracts == 2


@pytest.mark.parametrize("state", [OrderState.TRIGGER_PENDING, OrderState.CANCEL_PENDING, OrderState.UNKNOWN])
def test_a_stop_that_may_not_stand_is_not_counted_on(view: Sees, held: Holds, stop: Rests, state: OrderState) -> None:
    book = view(positions=held(2), orders=(stop("1", quantity=2), stop("2", quantity=2, state=state)))
    assert lost(CancelOrder("Sim101", "1"), book).contracts == 2
    assert lost(CancelOrder("Sim101", "2"), book) == NOTHING_LOST


def test_cancelling_a_target_takes_the_stop_of_its_group_along(
    view: Sees, held: Holds, stop: Rests, resting: Rests
) -> None:
    target = resting("target", action=SELL, quantity=2, oco_id="exit")
    book = view(positions=held(2), orders=(target, stop(quantity=2, oco_id="exit")))
    assert effect_of(CancelOrder("Sim101", "target"), book).cancels == book.orders
    assert lost(CancelOrder("Sim101", "target"), book).contracts == 2


def test_cancelling_an_entry_loses_no_protection(view: Sees, held: Holds, stop: Rests, resting: Rests) -> None:
    book = view(positions=held(2), orders=(resting("entry"), stop()))
    assert lost(CancelOrder("Sim101", "entry"), book) == NOTHING_LOST


def test_a_stop_that_would_open_protects_nothing(view: Sees, held: Holds, stop: Rests) -> None:
    flat, short = view(orders=(stop(),)), view(positions=held(-1), orders=(stop(),))
    assert lost(CancelOrder("Sim101", "stop"), flat) == NOTHING_LOST
    assert lost(CancelOrder("Sim101", "stop"), short) == NOTHING_LOST
    assert lost(ChangeOrder("Sim101", "stop", stop_price=Decimal(6300)), flat) == NOTHING_LOST


def test_a_stop_protects_what_an_order_of_unknown_outcome_may_have_made(view: Sees, stop: Rests) -> None:
    book = view(orders=(stop(),), pending=(PendingOrder(ES, 1),))
    assert lost(CancelOrder("Sim101", "stop"), book).contracts == 1


def test_cancelling_all_orders_names_every_bare_position(view: Sees, held: Holds, stop: Rests) -> None:
    orders = (stop("1", quantity=2), stop("2", instrument=NQ, action=BUY))
    book = view(positions=(*held(2), *held(-1, NQ)), orders=orders)
    assert (
        str(lost(CancelOrders("Sim101", None), book)) == "without a stop afterwards: 2 of 2 ES 12-26, 1 of 1 NQ 12-26"
    )
    assert lost(CancelOrders("Sim101", NQ), book).contracts == 1


def test_a_closed_order_is_not_cancelled_again(view: Sees, held: Holds, stop: Rests) -> None:
    book = view(positions=held(1), orders=(stop(state=OrderState.FILLED),))
    assert effect_of(CancelOrders("Sim101", None), book).cancels == ()
    assert lost(CancelOrder("Sim101", "stop"), book) == NOTHING_LOST


@pytest.mark.parametrize(
    ("change", "contracts", "away"),
    [
        (ChangeOrder("Sim101", "stop", quantity=1), 2, None),
        (ChangeOrder("Sim101", "stop", quantity=2, stop_price=Decimal("6375.50")), 0, Decimal("4.50")),
        (ChangeOrder("Sim101", "stop", quantity=5), 0, None),
        (ChangeOrder("Sim101", "stop", stop_price=Decimal(6385)), 0, None),
        (ChangeOrder("Sim101", "stop", quantity=True), 3, None),
        (ChangeOrder("Sim101", "stop", quantity=-4), 3, None),
    ],
)
def test_a_change_loses_what_it_takes_from_the_stop(
    *, view: Sees, held: Holds, stop: Rests, change: ChangeOrder, contracts: int, away: Decimal | None
) -> None:
    book = view(positions=held(3), orders=(stop(quantity=2), stop("far", quantity=0)))
    found = lost(change, book)
    assert (found.contracts, found.moves_away_by, found.stop_moves_away) == (contracts, away, away is not None)


def test_what_filled_of_a_stop_protects_no_longer(view: Sees, held: Holds, stop: Rests) -> None:
    book = view(positions=held(2), orders=(stop(quantity=4, filled=2, state=OrderState.PART_FILLED),))
    assert lost(ChangeOrder("Sim101", "stop", quantity=3), book).contracts == 1
    assert lost(ChangeOrder("Sim101", "stop", quantity=1), book).contracts == 2


def test_another_stop_makes_up_for_a_smaller_one(view: Sees, held: Holds, stop: Rests) -> None:
    book = view(positions=held(2), orders=(stop(quantity=2), stop("other", quantity=1)))
    assert lost(ChangeOrder("Sim101", "stop", quantity=1), book) == NOTHING_LOST


def test_a_stop_that_moves_away_says_how_far(view: Sees, held: Holds, stop: Rests) -> None:
    long, short = view(positions=held(1), orders=(stop(),)), view(positions=held(-1), orders=(stop(action=BUY),))
    lower = ChangeOrder("Sim101", "stop", stop_price=Decimal("6379.50"))
    higher = ChangeOrder("Sim101", "stop", stop_price=Decimal("6380.50"))
    assert str(lost(lower, long)) == "the stop moves away by 0.5"
    assert str(lost(higher, short)) == "the stop moves away by 0.5"
    assert str(lost(higher, long)) == str(lost(lower, short)) == "no protection is lost"


def test_a_stop_that_stays_where_it_is_loses_nothing(view: Sees, held: Holds, stop: Rests) -> None:
    change = ChangeOrder("Sim101", "stop", quantity=2, stop_price=Decimal("6380.00"))
    assert lost(change, view(positions=held(1), orders=(stop(),))) == NOTHING_LOST


def test_a_stop_limit_that_will_accept_less_protects_less(view: Sees, held: Holds, stop: Rests) -> None:
    order = stop(order_type=OrderType.STOP_LIMIT, limit_price=Decimal(6375))
    book = view(positions=held(1), orders=(order,))
    tighter = ChangeOrder("Sim101", "stop", limit_price=Decimal(6378))
    assert lost(tighter, book).moves_away_by == 3
    assert lost(replace(tighter, limit_price=Decimal(6370)), book) == NOTHING_LOST
    both = replace(tighter, stop_price=Decimal(6375))
    assert lost(both, book).moves_away_by == 5
    assert lost(replace(both, limit_price=Decimal(6390)), book).moves_away_by == 15


@pytest.mark.parametrize("price", [Decimal("NaN"), Decimal("sNaN"), Decimal("-Infinity"), Decimal("1E+400")])
def test_a_price_that_cannot_be_read_moves_the_stop_away_nobody_knows_how_far(
    view: Sees, held: Holds, stop: Rests, price: Decimal
) -> None:
    found = lost(ChangeOrder("Sim101", "stop", stop_price=price), view(positions=held(1), orders=(stop(),)))
    assert (found.stop_moves_away, found.moves_away_by) == (True, None)
    assert str(found) == "the stop moves away"


def test_a_stop_whose_price_was_not_reported_moves_away_nobody_knows_how_far(
    view: Sees, held: Holds, stop: Rests
) -> None:
    book = view(positions=held(1), orders=(stop(stop_price=None),))
    assert lost(ChangeOrder("Sim101", "stop", stop_price=Decimal(6380)), book).stop_moves_away


@pytest.mark.parametrize("unread", ["positions", "orders"])
@pytest.mark.parametrize(
    "action",
    [CancelOrder("Sim101", "stop"), CancelOrders("Sim101", None), ChangeOrder("Sim101", "stop", quantity=1)],
)
def test_what_was_not_read_is_not_known(view: Sees, stop: Rests, action: Command, unread: str) -> None:
    assert effect_of(action, view(**{"orders": (stop(quantity=2),), unread: None})).lost is None


@pytest.mark.parametrize(
    "action",
    [CancelOrder("Sim101", "s"), CancelOrders("Sim101", None), ChangeOrder("Sim101", "s", quantity=1)],
    ids=["cancel", "cancel all", "shrink"],
)
def test_a_stop_of_what_is_listed_twice_is_not_known_to_protect_nothing(
    view: Sees, held: Holds, stop: Rests, action: Command
) -> None:
    twice = view(positions=held(2) * 2, orders=(stop("s", quantity=2),))
    effect = effect_of(action, twice)
    assert (effect.lost, effect.only_reduces) == (None, None)


def test_an_entry_of_what_is_listed_twice_may_go_all_the_same(view: Sees, held: Holds, resting: Rests) -> None:
    twice = view(positions=held(2) * 2, orders=(resting("e", quantity=2),))
    for action in (CancelOrder("Sim101", "e"), ChangeOrder("Sim101", "e", quantity=1)):
        assert effect_of(action, twice).only_reduces is True


def test_an_order_nobody_knows_is_not_known_to_protect_nothing(view: Sees) -> None:
    assert effect_of(CancelOrder("Sim101", "nobody"), view()).lost is None
    assert effect_of(ChangeOrder("Sim101", "nobody", quantity=1), view()).lost is None


def test_orders_and_exits_take_no_stop_away(place: Place, view: Sees) -> None:
    for action in (place(), Flatten("Sim101", None), ClosePosition("Sim101", ES)):
        assert lost(action, view()) == NOTHING_LOST


def test_a_small_exit_takes_the_larger_stop_of_its_group_along(
    place: Place, view: Sees, held: Holds, stop: Rests
) -> None:
    book = view(positions=held(3), orders=(stop(quantity=3, oco_id="exit"),))
    target = place(action=SELL, order_type=OrderType.LIMIT, limit_price="6420", oco_id="exit")
    assert str(lost(target, book)) == (
        "without a stop once it fills, because a fill cancels its OCO group: 2 of 2 ES 12-26"
    )
    assert lost(replace(target, quantity=3), book) == replace(NOTHING_LOST, words=lost(target, book).words)
    assert not lost(replace(target, oco_id="other"), book).is_any
    assert lost(replace(target, quantity=True), book).contracts == 3


def test_an_entry_in_the_group_of_a_stop_takes_it_along(place: Place, view: Sees, held: Holds, stop: Rests) -> None:
    book = view(positions=held(1), orders=(stop(oco_id="exit"),))
    assert lost(place(oco_id="exit"), book).contracts == 2
    assert not lost(place(oco_id="exit", flatten_first=True), book).is_any


def test_a_stop_in_another_instrument_of_the_group_goes_as_well(
    place: Place, view: Sees, held: Holds, stop: Rests
) -> None:
    book = view(positions=held(-2, NQ), orders=(stop(instrument=NQ, action=BUY, quantity=2, oco_id="x"),))
    assert str(lost(place(oco_id="x"), book)).endswith("2 of 2 NQ 12-26")


def test_another_stop_that_covers_the_rest_keeps_a_small_exit_harmless(
    place: Place, view: Sees, held: Holds, stop: Rests
) -> None:
    orders = (stop("1", oco_id="exit"), stop("2"))
    assert not lost(place(action=SELL, oco_id="exit"), view(positions=held(2), orders=orders)).is_any


def test_contracts_that_were_bare_before_are_not_lost_by_joining(
    place: Place, view: Sees, held: Holds, stop: Rests
) -> None:
    book = view(positions=held(4), orders=(stop(quantity=2, oco_id="exit"),))
    assert not lost(place(action=SELL, quantity=2, oco_id="exit"), book).is_any
    assert lost(place(action=SELL, oco_id="exit"), book).contracts == 3


def test_a_target_made_smaller_than_the_stop_of_its_group_takes_it_along(
    view: Sees, held: Holds, stop: Rests, resting: Rests
) -> None:
    target = resting("target", action=SELL, quantity=2, oco_id="exit", limit_price=Decimal(6420))
    book = view(positions=held(2), orders=(target, stop(quantity=2, oco_id="exit")))
    assert lost(ChangeOrder("Sim101", "target", quantity=1), book).contracts == 1
    assert lost(ChangeOrder("Sim101", "target", quantity=True), book).contracts == 2
    assert lost(ChangeOrder("Sim101", "target", limit_price=Decimal(6425)), book) == NOTHING_LOST


@pytest.mark.parametrize(
    ("changes", "contracts", "away"),
    [
        ({"order_type": OrderType.LIMIT, "limit_price": "6420"}, 2, None),
        ({"order_type": OrderType.STOP_MARKET, "stop_price": "6380"}, 0, None),
        ({"order_type": OrderType.STOP_MARKET, "stop_price": "6390"}, 0, None),
        ({"order_type": OrderType.STOP_MARKET, "stop_price": "6370"}, 0, Decimal(10)),
        ({"order_type": OrderType.STOP_MARKET, "stop_price": "6390", "quantity": 1}, 1, None),
        ({"order_type": OrderType.STOP_MARKET, "stop_price": "6410", "action": BUY}, 2, None),
    ],
)
def test_a_stop_is_replaced_by_one_that_protects_as_well_or_something_is_lost(
    *,
    place: Place,
    view: Sees,
    held: Holds,
    stop: Rests,
    changes: dict[str, object],
    contracts: int,
    away: Decimal | None,
) -> None:
    book = view(positions=held(2), orders=(stop(quantity=2),))
    order = place(**{"action": SELL, "quantity": 2, **changes})
    found = lost(ReplaceOrder("Sim101", "stop", order), book)
    assert (found.contracts, found.moves_away_by, found.stop_moves_away) == (contracts, away, away is not None)


def test_a_stop_limit_in_place_of_a_stop_protects_less_nobody_knows_how_much(
    place: Place, view: Sees, held: Holds, stop: Rests
) -> None:
    book = view(positions=held(1), orders=(stop(),))
    order = place(action=SELL, order_type=OrderType.STOP_LIMIT, limit_price="6375", stop_price="6385")
    assert lost(ReplaceOrder("Sim101", "stop", order), book).stop_moves_away


def test_a_replacement_that_joins_a_group_is_judged_by_that_as_well(
    place: Place, view: Sees, held: Holds, stop: Rests, resting: Rests
) -> None:
    target = resting("target", action=SELL, quantity=2)
    book = view(positions=held(2), orders=(target, stop(quantity=2, oco_id="exit")))
    assert lost(ReplaceOrder("Sim101", "target", place(action=SELL, oco_id="exit")), book).contracts == 1


def test_a_bracket_says_what_it_takes_away(view: Sees, held: Holds, stop: Rests) -> None:
    book = view(positions=held(3), orders=(stop("near", stop_price=Decimal(6390)), stop("far", quantity=2)))
    assert str(lost(ProtectPosition("Sim101", ES, Decimal(6420), None), book)) == (
        "without a stop afterwards: 3 of 3 ES 12-26"
    )
    assert str(lost(ProtectPosition("Sim101", ES, None, Decimal(6385)), book)) == "the stop moves away by 5"
    assert lost(ProtectPosition("Sim101", ES, None, Decimal(6390)), book) == NOTHING_LOST


def test_a_bracket_in_place_of_an_order_of_a_type_we_do_not_know_may_be_less(
    view: Sees, held: Holds, stop: Rests
) -> None:
    strange = stop(quantity=2, order_type=OrderType.OTHER)
    found = lost(ProtectPosition("Sim101", ES, None, Decimal(6390)), view(positions=held(2), orders=(strange,)))
    assert (found.stop_moves_away, found.moves_away_by) == (True, None)


def test_a_bracket_takes_the_stop_of_another_instrument_along_with_its_group(
    view: Sees, held: Holds, stop: Rests, resting: Rests
) -> None:
    orders = (resting("1", oco_id="x"), stop("2", instrument=NQ, oco_id="x"))
    book = view(positions=(*held(1), *held(1, NQ)), orders=orders)
    assert str(lost(ProtectPosition("Sim101", ES, None, Decimal(6390)), book)).endswith("1 of 1 NQ 12-26")


def test_a_paused_strategy_may_take_any_stop_along(view: Sees, held: Holds, stop: Rests) -> None:
    found = effect_of(DisableStrategy("Sim101", "77"), view(positions=held(1), orders=(stop(),))).lost
    assert str(found) == "may stand without a stop afterwards: 1 of 1 ES 12-26"
    assert effect_of(DisableStrategy("Sim101", "77"), view(orders=None)).lost is None


@pytest.mark.parametrize("unread", ["positions", "orders"])
def test_what_was_not_read_is_not_known_to_be_kept(place: Place, view: Sees, resting: Rests, unread: str) -> None:
    book = view(**{"orders": (resting(),), unread: None})
    for action in (
        place(oco_id="x"),
        ReplaceOrder("Sim101", "1", place()),
        ProtectPosition("Sim101", ES, None, Decimal(6390)),
    ):
        assert effect_of(action, book).lost is None


def test_of_two_stops_in_one_group_only_the_larger_is_counted_on(stop: Rests) -> None:
    pair = (stop("1", quantity=2, oco_id="x"), stop("2", quantity=1, oco_id="x"))
    assert covered_by((*pair, stop("3")), ES, SELL) == 3
    assert covered_by(pair, ES, SELL) == 2


def test_a_stop_covers_only_the_side_that_it_leaves(stop: Rests) -> None:
    assert covered_by((stop(quantity=2),), ES, SELL) == 2
    assert covered_by((stop(quantity=2),), ES, BUY) == 0
