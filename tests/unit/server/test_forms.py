"""The form of an order: a price of a bond may be written in 32nds, and a number stays the number that it is."""

from decimal import Decimal

import pytest

from ct_mcp.domain.commands import ChangeOrder, PlaceOrder, ProtectPosition, headline
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import OrderAction, OrderType, TimeInForce
from ct_mcp.errors import BadRequest
from ct_mcp.server.tools.forms import PlaceOrderForm, to_price

BOND, INDEX = Instrument("ZB", 2026, 12), Instrument("ES", 2026, 12)
FIELDS = {"account": "Sim101", "instrument": "ZB", "action": "BUY", "quantity": 1, "order_type": "LIMIT"}


@pytest.mark.parametrize(
    ("given", "price"),
    [("115'25", "115.78125"), ("115'255", "115.796875"), ("115-25", "115.78125"), (115.25, "115.25"), (115, "115")],
)
def test_a_price_of_a_bond_is_taken_as_it_is_written(given: object, price: str) -> None:
    form = PlaceOrderForm.model_validate({**FIELDS, "limit_price": given})
    assert to_price(form.limit_price, BOND) == Decimal(price)


@pytest.mark.parametrize("instrument", [INDEX, None])
def test_32nds_count_only_where_the_product_is_quoted_so(instrument: Instrument | None) -> None:
    form = PlaceOrderForm.model_validate({**FIELDS, "stop_price": "115'25"})
    with pytest.raises(BadRequest, match=r"give a number, 115\.78125 if 32nds are meant"):
        to_price(form.stop_price, instrument)


def test_what_a_person_is_asked_shows_a_bond_both_ways() -> None:
    market, day = OrderType.LIMIT, TimeInForce.DAY
    order = PlaceOrder("Sim101", BOND, OrderAction.BUY, 1, market, Decimal("115.25"), None, day)
    assert headline(order) == "BUY 1 ZB 12-26 LIMIT 115.25 (115'08)"
    bracket = ProtectPosition("Sim101", BOND, Decimal(116), Decimal("115.796875"))
    assert "take profit 116 (116'00) and stop loss 115.796875 (115'255)" in headline(bracket)
    assert headline(ChangeOrder("Sim101", "o", None, Decimal("115.25"), None)).endswith("115.25")
