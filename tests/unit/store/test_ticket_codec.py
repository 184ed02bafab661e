"""Commands and questions survive the disk unchanged, and what we did not write is refused."""

import json
from contextlib import suppress
from dataclasses import fields, replace
from decimal import Decimal
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ct_mcp.domain.approval import ApprovalItem, ApprovalRequest, Finding
from ct_mcp.domain.bracket import Bracket, Target
from ct_mcp.domain.commands import CancelOrder, ChangeOrder, Command, Flatten, PlaceOrder, ReplaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.level import Distance, Unit
from ct_mcp.domain.order import OrderAction, OrderType, TimeInForce
from ct_mcp.domain.strategy import BarType, HostMode, StartStrategy
from ct_mcp.errors import StoreFailed
from ct_mcp.store.ticket_codec import (
    COMMAND_KINDS,
    commands_from_text,
    commands_to_text,
    request_from_text,
    request_to_text,
)

# Half characters too: they come from outside, and JSON can hold them.
words = st.text(st.characters())
figures = st.decimals(allow_nan=False, allow_infinity=False)
prices = st.none() | figures
PRICED = {"limit_price", "stop_price", "percent", "take_profit_price", "stop_loss_price"}
orders = st.builds(PlaceOrder, account=words, limit_price=prices, stop_price=prices, flatten_first=st.booleans())
SPECIAL: dict[type[Command], st.SearchStrategy[Command]] = {
    PlaceOrder: orders,
    ReplaceOrder: st.builds(PlaceOrder, limit_price=prices, stop_price=prices, flatten_first=st.just(value=False)).map(
        lambda order: ReplaceOrder(order.account, "7", order)
    ),
    StartStrategy: st.builds(
        StartStrategy,
        parameters=st.lists(st.tuples(words, words | st.integers() | st.booleans() | figures)).map(tuple),
    ),
}


def commands_of(kind: type[Command]) -> st.SearchStrategy[Command]:
    priced = {field.name: prices for field in fields(kind) if field.name in PRICED}
    return SPECIAL[kind] if kind in SPECIAL else st.builds(kind, account=words, **priced)


commands = st.sampled_from(get_args(Command)).flatmap(commands_of)
findings = st.lists(st.builds(Finding, text=words), max_size=3).map(tuple)
items = st.builds(
    ApprovalItem,
    headline=words,
    sends=st.lists(orders, max_size=2).map(tuple),
    value=prices,
    risk=prices,
    market_price=prices,
    steps=st.lists(words, max_size=3).map(tuple),
    findings=findings,
)


@settings(deadline=None)
@given(st.lists(commands, min_size=1, max_size=3).map(tuple))
def test_commands_are_read_back_exactly_as_they_were_written(written: tuple[Command, ...]) -> None:
    back = commands_from_text(commands_to_text(written))
    assert back == written
    assert repr(back) == repr(written), "6410.0 and 6410.00 are equal, and yet not the same text"


@settings(deadline=None)
@given(st.lists(items, min_size=1, max_size=2).map(tuple).map(ApprovalRequest))
def test_a_question_is_read_back_exactly_as_it_was_written(written: ApprovalRequest) -> None:
    back = request_from_text(request_to_text(written))
    assert back == written
    assert repr(back) == repr(written)
    assert back.lines == written.lines


def test_every_command_of_the_domain_has_a_kind_of_its_own() -> None:
    assert set(COMMAND_KINDS.values()) == set(get_args(Command))


MES = Instrument("MES", 2026, 12)
ORDER = PlaceOrder(
    "Sim101", MES, OrderAction.BUY, 2, OrderType.STOP_LIMIT, Decimal("6410.250"), Decimal(6410), TimeInForce.GTC
)
WITH_EXITS = replace(
    ORDER, bracket=Bracket(Distance(Decimal(10), Unit.POINT), (Target(Decimal("6430.50")),)), tag="ORB"
)
STORED: dict[str, Command] = {
    '{"account":"Sim101","action":"BUY","atm_strategy":null,"bracket":null,"exit_of":null,"flatten_first":false,'
    '"instrument":{"month":12,"root":"MES","year":2026},"kind":"place_order","limit_price":"6410.250","oco_id":null,'
    '"order_type":"STOP_LIMIT","quantity":2,"risk":null,"stop_price":"6410","tag":null,"time_in_force":"GTC"}': ORDER,
    '{"account":"Sim101","action":"BUY","atm_strategy":null,"bracket":{"closes_if_unprotected":true,'
    '"deadline_seconds":5.0,"stop_loss":{"amount":"10","unit":"point"},"take_profit":[{"level":"6430.50",'
    '"quantity":null}]},"exit_of":null,"flatten_first":false,"instrument":{"month":12,"root":"MES","year":2026},'
    '"kind":"place_order","limit_price":"6410.250","oco_id":null,"order_type":"STOP_LIMIT","quantity":2,"risk":null,'
    '"stop_price":"6410","tag":"ORB","time_in_force":"GTC"}': WITH_EXITS,
    '{"account":"Sim101","instrument":null,"kind":"flatten"}': Flatten("Sim101", None),
    '{"account":"Sim101","bar_type":"minute","instrument":{"month":12,"root":"MES","year":2026},'
    '"kind":"start_strategy","mode":"chart","parameters":[["Label","str","14"],["Length","int","14"],'
    '["Factor","Decimal","1.50"],["Long","bool","True"]],"period":5,"strategy_class":"Trend"}': StartStrategy(
        "Sim101",
        "Trend",
        MES,
        HostMode.CHART,
        BarType.MINUTE,
        5,
        (("Label", "14"), ("Length", 14), ("Factor", Decimal("1.50")), ("Long", True)),
    ),
}


@pytest.mark.parametrize("text", STORED, ids=[type(command).__name__ for command in STORED.values()])
def test_what_stands_on_disk_means_what_it_meant_when_it_was_written(text: str) -> None:
    """Files out there hold these texts: where one has to change, a migration has to change it there."""
    assert repr(commands_from_text(f"[{text}]")) == repr((STORED[text],))
    assert commands_to_text((STORED[text],)) == f"[{text}]"


def test_an_order_that_was_written_before_there_were_exits_is_read() -> None:
    text = (
        '[{"account":"Sim101","action":"BUY","atm_strategy":null,"flatten_first":false,'
        '"instrument":{"month":12,"root":"MES","year":2026},"kind":"place_order","limit_price":"6410.250",'
        '"oco_id":null,"order_type":"STOP_LIMIT","quantity":2,"stop_price":"6410","time_in_force":"GTC"}]'
    )
    assert commands_from_text(text) == (ORDER,)


def test_a_field_that_has_a_default_may_be_missing() -> None:
    assert commands_from_text('[{"account":"A","kind":"change_order","order_id":"7"}]') == (ChangeOrder("A", "7"),)


PLACED, _, _, STARTED = STORED
INSTRUMENT = '{"month":12,"root":"ES","year":2026}'


@pytest.mark.parametrize(
    "text",
    [
        "not json",
        "7",
        "null",
        "[]",
        "[7]",
        "[" * 100_000,
        "9" * 5000,
        '{"account":"A","kind":"cancel_order","order_id":"7"}',
        '[{"account":"A","order_id":"7"}]',
        '[{"kind":"teleport_order"}]',
        '[{"kind":["cancel_order"]}]',
        '[{"account":"A","kind":"cancel_order"}]',
        '[{"account":"A","kind":"cancel_order","leverage":100,"order_id":"7"}]',
        '[{"account":"A","kind":"cancel_order","order_id":7}]',
        '[{"account":"A","kind":"cancel_order","order_id":null}]',
        '[{"account": "A","kind":"cancel_order","order_id":"7"}]',
        '[{"account":"B","account":"A","kind":"cancel_order","order_id":"7"}]',
        '[{"account":"A","kind":"change_order","order_id":"7","quantity":3.0}]',
        '[{"account":"A","kind":"change_order","order_id":"7","quantity":true}]',
        '[{"account":"A","kind":"change_order","order_id":"7","quantity":"3"}]',
        '[{"account":"A","kind":"change_order","limit_price":6410.25,"order_id":"7"}]',
        '[{"account":"A","kind":"change_order","limit_price":6410,"order_id":"7"}]',
        '[{"account":"A","kind":"change_order","limit_price":" 6410","order_id":"7"}]',
        '[{"account":"A","kind":"change_order","limit_price":"6_410","order_id":"7"}]',
        '[{"account":"A","kind":"change_order","limit_price":"NaN","order_id":"7"}]',
        '[{"account":"A","kind":"change_order","limit_price":NaN,"order_id":"7"}]',
        '[{"account":"A","instrument":null,"kind":"close_position"}]',
        '[{"account":"A","instrument":{"root":"ES"},"kind":"close_position"}]',
        '[{"account":"A","instrument":"ES 12-26","kind":"close_position"}]',
        '[{"account":"A","instrument":{"month":12,"root":"ES","size":1,"year":2026},"kind":"flatten"}]',
        f'[{{"account":"A","instrument":{INSTRUMENT},"kind":"close_position","percent":"half"}}]',
        '[{"action":"HOLD","kind":"place_order"}]',
        PLACED.replace('"BUY"', '"buy"').join("[]"),
        PLACED.replace('"BUY"', "1").join("[]"),
        PLACED.replace("false", "0").join("[]"),
        STARTED.replace('"int","14"', '"int","014"').join("[]"),
        STARTED.replace('"int","14"', '"int",14').join("[]"),
        STARTED.replace('"bool","True"', '"bool","yes"').join("[]"),
        STARTED.replace('"Decimal","1.50"', '"float","1.50"').join("[]"),
        STARTED.replace('"Length",', "7,").join("[]"),
        STARTED.replace('"Length",', "").join("[]"),
        STARTED.replace('["Long","bool","True"]', "7").join("[]"),
        f'[{{"account":"A","kind":"replace_order","order":{PLACED},"order_id":"7"}}]',
    ],
)
def test_what_is_no_command_of_ours_is_not_read(text: str) -> None:
    with pytest.raises(
        StoreFailed, match=r"(?s)it was not written by ct-mcp: .*Next: the person must .* move the file"
    ):
        commands_from_text(text)


ITEM = '{"account":"A","account_kind":"live","headline":"BUY","kind":"place order"}'


@pytest.mark.parametrize(
    "text",
    [
        "Sim101  BUY 1 MES 12-26 MARKET",
        "null",
        "[]",
        "{}",
        '{"items":[]}',
        f'{{"items":[{ITEM}],"phrase":"BUY"}}',
        ITEM.replace('"live"', '"rich"').join(['{"items":[', "]}"]),
        ITEM.replace('"live",', '"live","currency":null,').join(['{"items":[', "]}"]),
        ITEM.replace('"kind":"place order"', '"kind":"place order","value":7').join(['{"items":[', "]}"]),
    ],
)
def test_what_is_no_question_of_ours_is_not_read(text: str) -> None:
    with pytest.raises(StoreFailed, match="it was not written by ct-mcp"):
        request_from_text(text)


def test_a_question_without_what_has_a_default_is_read() -> None:
    assert request_from_text(f'{{"items":[{ITEM}]}}').items[0].headline == "BUY"


ANY_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.sampled_from(["1", "BUY"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["root", "kind", "x"]), inner),
    max_leaves=6,
)
ANY_COMMAND = st.builds(
    lambda kind, given_: {"account": "A", **given_, "kind": kind},
    st.sampled_from([*COMMAND_KINDS, "x", 1, None]),
    st.dictionaries(st.sampled_from(["account", "instrument", "quantity", "order", "order_id", "percent"]), ANY_VALUE),
)


def _as_we_would(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


@settings(max_examples=3 * settings().max_examples)
@given(st.text(max_size=30) | st.lists(ANY_COMMAND, max_size=2).map(_as_we_would))
def test_any_text_is_what_we_write_or_refused(text: str) -> None:
    with suppress(StoreFailed):
        read = commands_from_text(text)
        assert commands_from_text(commands_to_text(read)) == read


@pytest.mark.parametrize(
    "odd",
    [
        ChangeOrder("A", "7", limit_price=Decimal("NaN")),
        ChangeOrder("A", "7", limit_price=Decimal("Infinity")),
        ChangeOrder("A", "7", limit_price=6410.25),  # type: ignore[arg-type]
        ChangeOrder("A", "7", quantity=3.0),  # type: ignore[arg-type]
        "BUY",
    ],
)
def test_what_could_not_be_read_again_is_not_written(odd: Command) -> None:
    with pytest.raises(StoreFailed, match=r"cannot be written.*Nothing was sent"):
        commands_to_text((odd,))
    with pytest.raises(StoreFailed):
        commands_to_text(())


def test_a_cancelled_order_keeps_half_a_character_in_its_id() -> None:
    command = CancelOrder("Sim101", "\ud800")
    assert commands_from_text(commands_to_text((command,))) == (command,)
