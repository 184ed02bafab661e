"""What is filled in: prices an order type needs, names, and what a change or a close may say."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from ct_mcp.domain.commands import ChangeOrder, ClosePosition, Command, PlaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import Order, OrderAction, OrderState, OrderType
from ct_mcp.guard.context import RiskContext
from ct_mcp.guard.denial import DenialCode
from ct_mcp.guard.effect import effect_of
from ct_mcp.guard.policy import Policy
from ct_mcp.guard.review import review
from ct_mcp.guard.rule import Denial, NotApplicable, Passed
from ct_mcp.guard.rules.order import (
    NO_CHANGE,
    NO_CLOSE,
    change_changes_something,
    close_says_how_much_once,
    limit_price_fits_the_order_type,
    names_are_plain_text,
    order_named_is_open,
    order_type_can_be_sent,
    stop_limit_prices_stand_in_order,
    stop_price_fits_the_order_type,
)
from tests import factories

ES = Instrument("ES", 2026, 12)
SELL, BUY = OrderAction.SELL, OrderAction.BUY
Place = Callable[..., PlaceOrder]
Rests = Callable[..., Order]
Sees = Callable[..., RiskContext]
Allows = Callable[..., Policy]


def code(found: object) -> str:
    """The code of a denial, and nothing for a pass."""
    return found.code if isinstance(found, Denial) else ""


@pytest.mark.parametrize(
    ("order_type", "without", "with_both"),
    [
        (OrderType.MARKET, [], ["LIMIT_PRICE_SUPERFLUOUS", "STOP_PRICE_SUPERFLUOUS"]),
        (OrderType.LIMIT, ["LIMIT_PRICE_MISSING"], ["STOP_PRICE_SUPERFLUOUS"]),
        (OrderType.STOP_MARKET, ["STOP_PRICE_MISSING"], ["LIMIT_PRICE_SUPERFLUOUS"]),
        (OrderType.STOP_LIMIT, ["LIMIT_PRICE_MISSING", "STOP_PRICE_MISSING"], []),
    ],
)
def test_an_order_carries_the_prices_of_its_type_and_no_others(
    *,
    place: Place,
    view: Sees,
    policy: Allows,
    order_type: OrderType,
    without: list[str],
    with_both: list[str],
) -> None:
    bare, full = place(order_type=order_type), place(order_type=order_type, limit_price="6400", stop_price="6400")
    for order, expected in ((bare, without), (full, with_both)):
        found = [
            rule(effect_of(order, view()), view(), policy())
            for rule in (limit_price_fits_the_order_type, stop_price_fits_the_order_type)
        ]
        assert [code(finding) for finding in found if code(finding)] == expected


def test_a_missing_price_is_denied_with_the_field(place: Place, view: Sees, policy: Allows) -> None:
    found = limit_price_fits_the_order_type(effect_of(place(order_type=OrderType.LIMIT), view()), view(), policy())
    assert found == Denial(DenialCode.LIMIT_PRICE_MISSING, "order type=LIMIT, limit_price=none")


def test_a_price_of_zero_is_a_price_that_was_given(place: Place, view: Sees, policy: Allows) -> None:
    found = stop_price_fits_the_order_type(effect_of(place(stop_price="0"), view()), view(), policy())
    assert found == Denial(DenialCode.STOP_PRICE_SUPERFLUOUS, "order type=MARKET, stop_price=0")


@pytest.mark.parametrize(
    ("action", "stop", "limit", "passes"),
    [
        (BUY, "6410", "6412", True),
        (BUY, "6410", "6410", True),
        (BUY, "6410", "6409.75", False),
        (SELL, "6390", "6388", True),
        (SELL, "6390", "6390.25", False),
    ],
)
def test_a_stop_limit_leaves_room_on_its_own_side(
    *, place: Place, view: Sees, policy: Allows, action: OrderAction, stop: str, limit: str, passes: bool
) -> None:
    order = place(action=action, order_type=OrderType.STOP_LIMIT, stop_price=stop, limit_price=limit)
    found = stop_limit_prices_stand_in_order(effect_of(order, view()), view(), policy())
    assert code(found) == ("" if passes else "STOP_LIMIT_CROSSED")
    assert isinstance(found, Passed | Denial)
    assert found.figures == f"{action} stop={stop}, limit={limit}"


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"order_type": OrderType.STOP_LIMIT},
        {"order_type": OrderType.STOP_LIMIT, "stop_price": "6410"},
        {"order_type": OrderType.STOP_LIMIT, "stop_price": "NaN", "limit_price": "6410"},
        {"order_type": OrderType.STOP_LIMIT, "stop_price": "6410", "limit_price": "Infinity"},
    ],
)
def test_prices_that_are_not_there_cannot_cross(
    place: Place, view: Sees, policy: Allows, changes: dict[str, object]
) -> None:
    assert isinstance(
        stop_limit_prices_stand_in_order(effect_of(place(**changes), view()), view(), policy()), NotApplicable
    )


@pytest.mark.parametrize("name", ["x", "exit-1", "My ATM 2", "Größe"])
def test_plain_names_pass(place: Place, view: Sees, policy: Allows, name: str) -> None:
    order = effect_of(place(oco_id="exit_1-B", atm_strategy=name), view())
    assert names_are_plain_text(order, view(), policy()) == Passed("plain")


@pytest.mark.parametrize("name", ["3f2504e0-4f89-11d3-9a0c-0305e82c3301", "x" * 40])
def test_a_group_that_stands_may_be_as_long_as_ninjatrader_makes_them(
    place: Place, view: Sees, policy: Allows, name: str
) -> None:
    other = place(oco_id=name)
    book = view(orders=(factories.order(oco_id=name),))
    assert code(names_are_plain_text(effect_of(other, book), book, policy())) == ""
    assert code(names_are_plain_text(effect_of(other, view()), view(), policy())) == "NAME_INVALID"


@pytest.mark.parametrize("group", ["3f2504e0-4f89-11d3-9a0c-0305e82c3301", "My group of today, by hand", "a.b"])
def test_an_order_may_be_changed_whatever_its_group_is_called(view: Sees, policy: Allows, group: str) -> None:
    stands = factories.stop_order(quantity=2, oco_id=group)
    book = view(positions=factories.positions(2), orders=(stands,))
    found = review(ChangeOrder("Sim101", stands.order_id, stop_price=Decimal(6390)), book, policy())
    assert found.denials == ()


@pytest.mark.parametrize("name", ["x" * 33, "My group", "a.b", "Größe", "sell:now", "1\n"])
def test_a_group_has_no_room_for_a_sentence(place: Place, view: Sees, policy: Allows, name: str) -> None:
    assert code(names_are_plain_text(effect_of(place(oco_id=name), view()), view(), policy())) == "NAME_INVALID"


@pytest.mark.parametrize("name", ["", " ", "a ", "a\nb", "a\u202eb", "a;b", "a=b", "x" * 61, "\x00"])
def test_other_names_are_denied(place: Place, view: Sees, policy: Allows, name: str) -> None:
    for field in ("oco_id", "atm_strategy"):
        found = names_are_plain_text(effect_of(place(**{field: name}), view()), view(), policy())
        assert code(found) == "NAME_INVALID"
        assert str(found).isprintable()


def test_a_order_named_is_open(view: Sees, policy: Allows, resting: Rests) -> None:
    change = ChangeOrder("Sim101", "1", quantity=2)
    assert order_named_is_open(
        effect_of(change, view(orders=(resting(),))), view(orders=(resting(),)), policy()
    ) == Passed("order=1")
    assert (
        code(order_named_is_open(effect_of(change, view(orders=None)), view(orders=None), policy())) == "ORDERS_UNKNOWN"
    )
    assert code(order_named_is_open(effect_of(change, view()), view(), policy())) == "ORDER_UNKNOWN"
    assert (
        code(
            order_named_is_open(
                effect_of(change, view(orders=(resting(account="Sim102"),))),
                view(orders=(resting(account="Sim102"),)),
                policy(),
            )
        )
        == "ORDER_UNKNOWN"
    )
    assert order_named_is_open(
        effect_of(change, view(orders=(resting(state=OrderState.FILLED),))),
        view(orders=(resting(state=OrderState.FILLED),)),
        policy(),
    ) == Denial(DenialCode.ORDER_CLOSED, "order=1, state=FILLED")


def test_a_change_may_name_our_own_id(view: Sees, policy: Allows, resting: Rests) -> None:
    change = ChangeOrder("Sim101", "ours", quantity=2)
    assert order_named_is_open(
        effect_of(change, view(orders=(resting(own_id="ours"),))), view(orders=(resting(own_id="ours"),)), policy()
    ) == Passed("order=ours")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (ChangeOrder("Sim101", "1"), "CHANGE_EMPTY"),
        (ChangeOrder("Sim101", "1", quantity=4), "CHANGE_WITHOUT_EFFECT"),
        (ChangeOrder("Sim101", "1", quantity=4, limit_price=Decimal("6390.00")), "CHANGE_WITHOUT_EFFECT"),
        (ChangeOrder("Sim101", "1", quantity=2), "CHANGE_BELOW_FILLED"),
        (ChangeOrder("Sim101", "1", quantity=3), ""),
        (ChangeOrder("Sim101", "1", limit_price=Decimal(6391)), ""),
        (ChangeOrder("Sim101", "1", limit_price=Decimal("sNaN")), ""),
    ],
)
def test_a_change_changes_something_that_has_not_happened(
    view: Sees, policy: Allows, resting: Rests, change: ChangeOrder, expected: str
) -> None:
    order = resting(quantity=4, filled=2, state=OrderState.PART_FILLED)
    assert (
        code(change_changes_something(effect_of(change, view(orders=(order,))), view(orders=(order,)), policy()))
        == expected
    )


def test_a_change_says_what_it_changes(view: Sees, policy: Allows, resting: Rests) -> None:
    change = ChangeOrder("Sim101", "1", quantity=2, limit_price=Decimal(6391))
    assert change_changes_something(
        effect_of(change, view(orders=(resting(),))), view(orders=(resting(),)), policy()
    ) == Passed("changes=quantity, limit_price")


def test_a_change_of_an_unknown_order_is_left_to_the_rule_that_says_so(view: Sees, policy: Allows) -> None:
    found = change_changes_something(effect_of(ChangeOrder("Sim101", "1", quantity=2), view()), view(), policy())
    assert isinstance(found, NotApplicable)


def test_only_changes_are_asked_what_they_change(place: Place, view: Sees, policy: Allows) -> None:
    assert order_named_is_open(effect_of(place(), view()), view(), policy()) == NO_CHANGE
    assert change_changes_something(effect_of(place(), view()), view(), policy()) == NO_CHANGE
    assert close_says_how_much_once(effect_of(place(), view()), view(), policy()) == NO_CLOSE


@pytest.mark.parametrize(
    ("close", "expected"),
    [
        (ClosePosition("Sim101", ES), Passed("quantity=all")),
        (ClosePosition("Sim101", ES, quantity=2), Passed("quantity=2")),
        (ClosePosition("Sim101", ES, percent=Decimal("12.5")), Passed("quantity=12.5 %")),
        (ClosePosition("Sim101", ES, percent=Decimal("0.5")), Passed("quantity=0.5 %")),
        (ClosePosition("Sim101", ES, percent=Decimal(100)), Passed("quantity=100 %")),
        (ClosePosition("Sim101", ES, 2, Decimal(50)), Denial(DenialCode.CLOSE_AMBIGUOUS, "quantity=2 and percent=50")),
        (ClosePosition("Sim101", ES, quantity=0), Denial(DenialCode.CLOSE_QUANTITY_INVALID, "quantity=0")),
        (ClosePosition("Sim101", ES, quantity=True), Denial(DenialCode.CLOSE_QUANTITY_INVALID, "quantity=True")),
    ],
)
def test_a_close_says_how_much_once(view: Sees, policy: Allows, close: Command, expected: object) -> None:
    assert close_says_how_much_once(effect_of(close, view()), view(), policy()) == expected


@pytest.mark.parametrize("percent", ["0", "-0", "-1", "100.01", "NaN", "sNaN", "Infinity", "1E+400"])
def test_a_percentage_lies_above_zero_and_up_to_a_hundred(view: Sees, policy: Allows, percent: str) -> None:
    found = close_says_how_much_once(
        effect_of(ClosePosition("Sim101", ES, percent=Decimal(percent)), view()), view(), policy()
    )
    assert code(found) == "CLOSE_PERCENT_INVALID"


@pytest.mark.parametrize("kind", [OrderType.MARKET_IF_TOUCHED, OrderType.OTHER])
def test_a_type_that_is_only_read_is_never_sent(place: Place, view: Sees, policy: Allows, kind: OrderType) -> None:
    assert order_type_can_be_sent(effect_of(place(), view()), view(), policy()) == Passed("order type=MARKET")
    found = order_type_can_be_sent(effect_of(place(order_type=kind), view()), view(), policy())
    assert found == Denial(DenialCode.ORDER_TYPE_NOT_SENDABLE, f"order type={kind}")
