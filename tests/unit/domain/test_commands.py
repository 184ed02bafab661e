"""What may be asked, in one line, and what makes two of them the same."""

from dataclasses import replace
from decimal import Decimal
from typing import get_args

import pytest

from ct_mcp.domain.commands import (
    KINDS,
    CancelOrder,
    CancelOrders,
    ChangeOrder,
    ClosePosition,
    CloseStrategy,
    Command,
    DisableStrategy,
    EnableStrategy,
    Flatten,
    PlaceOrder,
    ProtectPosition,
    ReplaceOrder,
    ReversePosition,
    describe,
    fingerprint,
    fingerprint_all,
    summarize,
    wish,
)
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import OrderAction, OrderType, TimeInForce
from ct_mcp.domain.strategy import BarType, HostMode, StartStrategy

ES = Instrument("ES", 2026, 12)
MARKET = PlaceOrder("Sim101", ES, OrderAction.BUY, 2, OrderType.MARKET, None, None, TimeInForce.DAY)
STOP_LIMIT = replace(
    MARKET, order_type=OrderType.STOP_LIMIT, limit_price=Decimal("6412.50"), stop_price=Decimal("6.41E+3")
)


@pytest.mark.parametrize(
    ("action", "line"),
    [
        (MARKET, "Sim101  BUY 2 ES 12-26 MARKET"),
        (STOP_LIMIT, "Sim101  BUY 2 ES 12-26 STOP LIMIT stop 6410 limit 6412.50"),
        (replace(MARKET, time_in_force=TimeInForce.GTC), "Sim101  BUY 2 ES 12-26 MARKET GTC"),
        (replace(MARKET, atm_strategy="Tight"), 'Sim101  BUY 2 ES 12-26 MARKET with ATM strategy "Tight"'),
        (replace(MARKET, oco_id="x"), 'Sim101  BUY 2 ES 12-26 MARKET in OCO group "x"'),
        (replace(MARKET, flatten_first=True), "Sim101  flatten first, then BUY 2 ES 12-26 MARKET"),
        (ChangeOrder("Sim101", "7", 3), "Sim101  CHANGE 7 to quantity 3"),
        (
            ChangeOrder("Sim101", "7", 3, Decimal("6412.50"), Decimal("6.41E+3")),
            "Sim101  CHANGE 7 to quantity 3, limit 6412.50, stop 6410",
        ),
        (CancelOrder("Sim101", "7"), "Sim101  CANCEL 7"),
        (CancelOrders("Sim101", None), "Sim101  CANCEL all orders"),
        (CancelOrders("Sim101", ES), "Sim101  CANCEL all orders of ES 12-26"),
        (ClosePosition("Sim101", ES), "Sim101  CLOSE all of ES 12-26"),
        (ClosePosition("Sim101", ES, quantity=2), "Sim101  CLOSE 2 of ES 12-26"),
        (ClosePosition("Sim101", ES, percent=Decimal("12.5")), "Sim101  CLOSE 12.5 % of ES 12-26"),
        (Flatten("Sim101", None), "Sim101  FLATTEN everything"),
        (Flatten("Sim101", ES), "Sim101  FLATTEN ES 12-26"),
        (ReplaceOrder("Sim101", "7", MARKET), "Sim101  REPLACE 7 by BUY 2 ES 12-26 MARKET"),
        (ReversePosition("Sim101", ES), "Sim101  REVERSE ES 12-26"),
        (
            ProtectPosition("Sim101", ES, Decimal("6.42E+3"), Decimal("6390.25")),
            "Sim101  PROTECT ES 12-26 with take profit 6420 and stop loss 6390.25, in place of its orders",
        ),
        (
            ProtectPosition("Sim101", ES, None, Decimal("6390.25")),
            "Sim101  PROTECT ES 12-26 with stop loss 6390.25, in place of its orders",
        ),
        (
            StartStrategy("Sim101", "Momentum", ES, HostMode.ACCOUNT, BarType.MINUTE, 5, (("Quantity", 2),)),
            "Sim101  START STRATEGY Momentum on ES 12-26, 5 minute bars, on its account, Quantity=2",
        ),
        (EnableStrategy("Sim101", "7"), "Sim101  ENABLE STRATEGY 7"),
        (DisableStrategy("Sim101", "7"), "Sim101  DISABLE STRATEGY 7, its position stays"),
        (CloseStrategy("Sim101", "7"), "Sim101  CLOSE STRATEGY 7 with its position and orders"),
    ],
)
def test_a_command_is_one_line_that_a_person_can_read(action: Command, line: str) -> None:
    assert describe(action) == line


@pytest.mark.parametrize("price", ["NaN", "sNaN", "-Infinity", "1E+400", "1E+999999", "1E-999999"])
def test_an_absurd_price_is_a_short_line_all_the_same(price: str) -> None:
    for action in (replace(STOP_LIMIT, limit_price=Decimal(price)), ChangeOrder("Sim101", "7", None, Decimal(price))):
        assert f"limit {price}" in describe(action)
        assert len(fingerprint(action)) == 64


def test_the_same_price_written_otherwise_is_the_same_command() -> None:
    other = replace(STOP_LIMIT, limit_price=Decimal("6412.5"), stop_price=Decimal("6410.00"))
    assert fingerprint(other) == fingerprint(STOP_LIMIT)


def test_the_order_inside_a_replacement_is_the_same_by_its_prices_too() -> None:
    replacing = ReplaceOrder("Sim101", "7", STOP_LIMIT)
    other = replace(STOP_LIMIT, limit_price=Decimal("6412.5"), stop_price=Decimal("6410.00"))
    assert fingerprint(replace(replacing, order=other)) == fingerprint(replacing)
    for changed in (
        {"order": replace(STOP_LIMIT, quantity=3)},
        {"order": replace(STOP_LIMIT, limit_price=Decimal("6412.75"))},
        {"order_id": "8"},
    ):
        assert fingerprint(replace(replacing, **changed)) != fingerprint(replacing)


@pytest.mark.parametrize("order", [replace(MARKET, account="Sim102"), replace(MARKET, flatten_first=True)])
def test_a_replacement_stays_in_its_account_and_flattens_nothing(order: PlaceOrder) -> None:
    with pytest.raises(ValueError, match="stays in its account"):
        ReplaceOrder("Sim101", "7", order)


def test_each_price_of_a_bracket_makes_another_command() -> None:
    bracket = ProtectPosition("Sim101", ES, Decimal(6420), Decimal("6390.25"))
    assert fingerprint(replace(bracket, take_profit_price=Decimal("6420.00"))) == fingerprint(bracket)
    swapped = ProtectPosition("Sim101", ES, Decimal("6390.25"), Decimal(6420))
    others = (replace(bracket, take_profit_price=None), replace(bracket, stop_loss_price=None), swapped)
    assert len({fingerprint(action) for action in (bracket, *others)}) == 4
    assert fingerprint(ReversePosition("Sim101", ES)) != fingerprint(ClosePosition("Sim101", ES))


@pytest.mark.parametrize(
    "changes",
    [
        {"account": "Sim102"},
        {"instrument": Instrument("ES", 2027, 3)},
        {"action": OrderAction.SELL},
        {"quantity": 3},
        {"order_type": OrderType.STOP_MARKET},
        {"limit_price": Decimal("6412.75")},
        {"stop_price": None},
        {"time_in_force": TimeInForce.GTC},
        {"oco_id": "x"},
        {"atm_strategy": "x"},
        {"flatten_first": True},
    ],
)
def test_every_field_makes_another_command(changes: dict[str, object]) -> None:
    assert fingerprint(replace(STOP_LIMIT, **changes)) != fingerprint(STOP_LIMIT)  # type: ignore[arg-type]


def test_no_text_can_pass_for_another_field() -> None:
    forged = replace(MARKET, oco_id="x'\x1fatm_strategy='y")
    assert fingerprint(forged) != fingerprint(replace(MARKET, oco_id="x", atm_strategy="y"))
    assert fingerprint(CancelOrders("Sim101", None)) != fingerprint(Flatten("Sim101", None))


def test_several_commands_are_one_line_and_one_fingerprint() -> None:
    both = (Flatten("Sim101", None), Flatten("Sim102", None))
    assert summarize(both) == "Sim101, Sim102  FLATTEN everything"
    assert summarize((MARKET, both[0])) == "Sim101  BUY 2 ES 12-26 MARKET; FLATTEN everything"
    assert fingerprint_all(both[:1]) == fingerprint(both[0])
    assert len({fingerprint_all(both), fingerprint_all(both[::-1]), *map(fingerprint, both)}) == 4


def test_every_command_has_a_kind_of_its_own() -> None:
    assert len(set(KINDS.values())) == len(KINDS) == len(get_args(Command))


LIMIT = replace(MARKET, order_type=OrderType.LIMIT, limit_price=Decimal(6390))


@pytest.mark.parametrize(
    "again",
    [
        replace(MARKET, time_in_force=TimeInForce.GTC),
        replace(MARKET, oco_id="new"),
        replace(MARKET, atm_strategy="Tight"),
        replace(MARKET, flatten_first=True),
    ],
)
def test_a_market_order_in_other_words_is_the_same_wish(again: PlaceOrder) -> None:
    assert wish(again) == wish(MARKET)
    assert fingerprint(again) != fingerprint(MARKET)
    assert wish(ReplaceOrder("Sim101", "7", replace(again, flatten_first=False))) == wish(
        ReplaceOrder("Sim101", "7", MARKET)
    )


def test_a_size_from_risk_is_the_same_wish_whatever_size_came_of_it() -> None:
    sized = replace(MARKET, risk=Decimal(25))
    assert wish(replace(sized, quantity=5)) == wish(sized)
    assert wish(replace(sized, risk=Decimal(50))) != wish(sized)


def test_a_limit_order_is_the_same_wish_in_another_group_or_for_another_time_and_nothing_else() -> None:
    assert wish(replace(LIMIT, time_in_force=TimeInForce.GTC, oco_id="new")) == wish(LIMIT)
    others = (
        replace(LIMIT, limit_price=Decimal(6389)),
        replace(LIMIT, quantity=1),
        replace(LIMIT, action=OrderAction.SELL),
        replace(LIMIT, flatten_first=True),
        MARKET,
    )
    assert len({wish(order) for order in (LIMIT, *others)}) == 1 + len(others)
    assert wish(Flatten("Sim101", ES)) == fingerprint(Flatten("Sim101", ES))
