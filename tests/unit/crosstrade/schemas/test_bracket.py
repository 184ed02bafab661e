"""How a bracket is spelled: by what they say of it, else by what we assume, and never by a guess on top of that."""

import json
from dataclasses import replace
from decimal import Decimal

import pytest

from ct_mcp.crosstrade.schemas.bracket import ASSUMED_FIELDS, BracketFields, bracket_body, parse_bracket_fields
from ct_mcp.domain.account import Direction, Position
from ct_mcp.domain.commands import ProtectPosition
from ct_mcp.domain.instrument import Instrument
from ct_mcp.errors import BadRequest

ES = Instrument("ES", 2026, 12)
PROTECT = ProtectPosition("Sim101", ES, Decimal("6450.50"), Decimal("6390.00"))
LONG = Position("Sim101", ES, Direction.LONG, 3, Decimal(6400))
NUMBER = {"type": "number"}


def described(**fields: object) -> str:
    schema = {"properties": {"instrument": {"type": "string"}, **fields}}
    body = {"content": {"application/json": {"schema": schema}}}
    return json.dumps({"paths": {"/v1/api/accounts/{a}/orders/cancel_and_bracket": {"post": {"requestBody": body}}}})


@pytest.mark.parametrize("text", ["", "{}", "openapi: 3.1.0", '{"paths": {}}'])
def test_where_nothing_is_described_the_assumption_stands_and_says_so(text: str) -> None:
    fields = parse_bracket_fields(text)
    assert fields is ASSUMED_FIELDS
    assert (fields.take_profit, fields.stop_loss) == ("takeProfit", "stopLoss")
    assert "our assumption" in fields.source


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"takeProfit": NUMBER, "stopLoss": NUMBER}, ("takeProfit", "stopLoss")),
        ({"takeProfitPrice": NUMBER, "stopLossPrice": NUMBER, "delayMs": {"type": "integer"}},
         ("takeProfitPrice", "stopLossPrice")),
        ({"take_profit": NUMBER, "stop_loss": NUMBER, "delay": NUMBER}, ("take_profit", "stop_loss")),
        ({"profitTarget": NUMBER, "stopPrice": NUMBER}, ("profitTarget", "stopPrice")),
        # The name that we assume wins; of two others neither can be chosen.
        ({"stopLoss": NUMBER, "stopPrice": NUMBER}, (None, "stopLoss")),
        ({"stopLossPrice": NUMBER, "stopPrice": NUMBER}, (None, None)),
        # What is no number is not the price that we mean.
        ({"takeProfit": {"type": "object"}, "stopLoss": {"type": "string"}}, (None, None)),
        ({"target": NUMBER, "delaySeconds": NUMBER}, (None, None)),
    ],
)  # fmt: skip
def test_the_names_are_those_that_they_describe(given: dict[str, object], names: tuple[str | None, str | None]) -> None:
    fields = parse_bracket_fields(described(**given))
    assert (fields.take_profit, fields.stop_loss) == names
    assert "by their openapi.json" in fields.source
    assert all(cited in fields.source for cited in given)


def test_what_they_call_their_fields_is_made_harmless_and_short() -> None:
    fields = parse_bracket_fields(described(**{f"f{number}\u202e{'x' * 90}": NUMBER for number in range(200)}))
    assert "\u202e" not in fields.source
    assert len(fields.source) < 800


def test_a_long_position_is_protected_as_such_at_its_size() -> None:
    assert bracket_body(PROTECT, LONG, ASSUMED_FIELDS) == {
        "instrument": "ES 12-26",
        "action": "BUY",
        "quantity": 3,
        "takeProfit": 6450.5,
        "stopLoss": 6390,
    }
    short = replace(LONG, direction=Direction.SHORT)
    assert bracket_body(PROTECT, short, ASSUMED_FIELDS)["action"] == "SELL"


def test_one_side_goes_without_the_other_and_each_by_its_name() -> None:
    stop_only, target_only = replace(PROTECT, take_profit_price=None), replace(PROTECT, stop_loss_price=None)
    assert "takeProfit" not in bracket_body(stop_only, LONG, ASSUMED_FIELDS)
    assert "stopLoss" not in bracket_body(target_only, LONG, ASSUMED_FIELDS)
    sent = bracket_body(PROTECT, LONG, BracketFields("tp", "sl", "as said"))
    assert (sent["tp"], sent["sl"]) == (6450.5, 6390)
    assert "takeProfit" not in sent


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"protect": replace(PROTECT, take_profit_price=None, stop_loss_price=None)}, "at least one"),
        ({"position": replace(LONG, direction=Direction.FLAT, quantity=0)}, "is flat"),
        ({"protect": replace(PROTECT, stop_loss_price=Decimal("NaN"))}, "stop_loss_price NaN cannot be sent"),
        (
            {"fields": replace(ASSUMED_FIELDS, stop_loss=None, source="as said")},
            "stop_loss_price cannot be sent, .*; as said",
        ),
        ({"fields": replace(ASSUMED_FIELDS, take_profit=None)}, "take_profit_price cannot be sent"),
    ],
)
def test_a_bracket_that_cannot_be_spelled_is_not_sent(changes: dict[str, object], match: str) -> None:
    terms = {"protect": PROTECT, "position": LONG, "fields": ASSUMED_FIELDS, **changes}
    with pytest.raises(BadRequest, match=match):
        bracket_body(**terms)  # type: ignore[arg-type]


def test_a_price_whose_name_is_not_known_points_to_the_other_way() -> None:
    with pytest.raises(BadRequest, match="two orders of one OCO group"):
        bracket_body(PROTECT, LONG, replace(ASSUMED_FIELDS, stop_loss=None))


@pytest.mark.parametrize("other", [{"account": "Sim102"}, {"instrument": Instrument("ES", 2027, 3)}])
def test_a_bracket_of_another_position_is_a_slip_of_ours(other: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="the position that it protects"):
        bracket_body(PROTECT, replace(LONG, **other), ASSUMED_FIELDS)  # type: ignore[arg-type]
