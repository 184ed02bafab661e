"""Values survive the disk unchanged."""

from dataclasses import fields
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ct_mcp.domain.action import Action, CancelOrder, FlattenEverything, PlaceOrder, ReplaceOrder
from ct_mcp.domain.strategy import StartStrategy
from ct_mcp.errors import StoreFailed
from ct_mcp.store.codec import ACTIONS, action_from_text, action_to_text, canonical, time_from_text, time_to_text

prices = st.none() | st.decimals(allow_nan=False, allow_infinity=False)
PRICED = {"limit_price", "stop_price", "percent", "take_profit_price", "stop_loss_price"}
figures = st.decimals(allow_nan=False, allow_infinity=False)
SPECIAL = {
    FlattenEverything: st.builds(FlattenEverything, st.lists(st.text(), min_size=1, unique=True).map(tuple)),
    ReplaceOrder: st.builds(PlaceOrder, limit_price=prices, stop_price=prices, flatten_first=st.just(value=False)).map(
        lambda order: ReplaceOrder(order.account, "7", order)
    ),
    StartStrategy: st.builds(
        StartStrategy,
        parameters=st.lists(st.tuples(st.text(), st.text() | st.integers() | st.booleans() | figures)).map(tuple),
    ),
}


def actions_of(kind: type[Action]) -> st.SearchStrategy[Action]:
    priced = {field.name: prices for field in fields(kind) if field.name in PRICED}
    return SPECIAL[kind] if kind in SPECIAL else st.builds(kind, **priced)


actions = st.sampled_from(get_args(Action)).flatmap(actions_of)


@settings(deadline=None)
@given(actions)
def test_an_action_is_read_back_exactly_as_it_was_written(action: Action) -> None:
    back = action_from_text(action_to_text(action))
    assert back == action
    assert repr(back) == repr(action), "6410.0 and 6410.00 are equal, and yet not the same text"


def test_every_action_of_the_domain_has_a_kind_of_its_own() -> None:
    assert set(ACTIONS.values()) == set(get_args(Action))


@pytest.mark.parametrize(
    "text",
    [
        "not json",
        "7",
        '["teleport_order",{}]',
        '["cancel_order",{"account":"Sim101"}]',
        '["cancel_order",{"account":"Sim101","order_id":"7","leverage":100}]',
        '["close_position",{"account":"Sim101","instrument":{"root":"ES"}}]',
        '["close_position",{"account":"Sim101","instrument":null,"percent":"half"}]',
        '["place_order",{"action":"HOLD"}]',
    ],
)
def test_what_is_no_action_of_ours_is_not_read(text: str) -> None:
    with pytest.raises((ValueError, TypeError, LookupError, ArithmeticError)):
        action_from_text(text)


def test_the_same_value_has_one_text_whatever_the_order_of_its_keys() -> None:
    assert (
        canonical({"b": 1, "a": Decimal("1.50")}) == canonical({"a": Decimal("1.50"), "b": 1}) == '{"a":"1.50","b":1}'
    )


def _within_itself() -> list[object]:
    ring: list[object] = []
    ring.append(ring)
    return ring


@pytest.mark.parametrize("value", [float("nan"), float("-inf"), {(1, 2): 3}, {1: 2, "a": 3}, _within_itself()])
def test_what_json_cannot_hold_is_refused_in_words(value: object) -> None:
    with pytest.raises(StoreFailed, match="cannot be written as JSON"):
        canonical(value)


@settings(deadline=None)
@given(st.datetimes(datetime(1000, 1, 2), datetime(9999, 12, 30), timezones=st.timezones()))  # noqa: DTZ001
def test_a_time_is_read_back_as_the_same_moment_in_utc(at: datetime) -> None:
    back = time_from_text(time_to_text(at))
    assert back == at.astimezone(UTC)
    assert back.tzinfo is UTC


def test_the_text_of_times_sorts_as_the_times_do() -> None:
    early = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)
    late = (early + timedelta(microseconds=1)).astimezone(timezone(timedelta(hours=-6)))
    assert time_to_text(early) < time_to_text(late)


def test_a_time_without_a_zone_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="zone"):
        time_to_text(datetime(2026, 11, 23))  # noqa: DTZ001


def test_a_cancelled_order_keeps_half_a_character_in_its_id() -> None:
    action = CancelOrder("Sim101", "\ud800")
    assert action_from_text(action_to_text(action)) == action
