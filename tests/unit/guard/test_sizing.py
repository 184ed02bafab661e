"""How many contracts a sum of money allows to a stop."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_mcp.domain.bracket import Bracket, ExitLevel, Target
from ct_mcp.domain.commands import PlaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.level import Distance, Unit
from ct_mcp.domain.market import Quote
from ct_mcp.errors import BadRequest
from ct_mcp.guard.policy import Policy
from ct_mcp.guard.sizing import Size, size_from_risk
from tests.factories import MES, account, context, contract, place_order, policy, quote

FDAX = Instrument("FDAX", 2026, 12)
EUREX = contract(exchange="Eurex", tick_size=Decimal("0.5"), point_value=Decimal(25))
DAX = quote(instrument=FDAX, contract=EUREX, bid="23999.5", last="24000", ask="24000.5")
TEN_POINTS = Distance(Decimal(10), Unit.POINT)


def sized(
    risk: Decimal | int | str, level: ExitLevel = TEN_POINTS, quoted: Quote | None = None, rules: Policy | None = None
) -> Size:
    """Size an order in what is quoted, ES unless said otherwise, that is bought at the market."""
    quoted = quoted or quote()
    order = with_stop(place_order(instrument=quoted.instrument), level)
    return size_from_risk(order, Decimal(risk), quoted, context(quote=None), rules or policy())


def with_stop(order: PlaceOrder, level: ExitLevel = TEN_POINTS) -> PlaceOrder:
    return replace(order, bracket=Bracket(level))


@pytest.mark.parametrize(
    ("risk", "contracts"), [("500", 1), ("999.99", 1), ("1000", 2), ("1000.01", 2), ("1000000", 2000)]
)
def test_it_is_as_many_as_lose_no_more(risk: str, contracts: int) -> None:
    assert sized(risk) == Size(contracts, Decimal(500), 40)


@given(
    st.decimals("1", "100000", places=2),
    st.integers(1, 400),
    st.sampled_from([Decimal(1), Decimal("1.0837"), Decimal("0.0068")]),
)
def test_it_is_never_rounded_up_and_never_more_than_the_risk(risk: Decimal, ticks: int, rate: Decimal) -> None:
    rules, level = policy(rates={"EUR": rate}), Distance(Decimal(ticks), Unit.TICK)
    try:
        size = sized(risk, level, DAX, rules)
    except BadRequest:
        assert Decimal(ticks) * Decimal("12.5") * rate > risk
        return
    assert size.risk_of_one == Decimal(ticks) * Decimal("12.5") * rate
    assert size.contracts * size.risk_of_one <= risk < (size.contracts + 1) * size.risk_of_one
    assert size.ticks == ticks


def test_a_sum_that_lacks_the_smallest_part_of_another_contract_does_not_buy_it() -> None:
    assert sized("1499.99999999999999999999999999999999").contracts == 2


@pytest.mark.parametrize(
    ("order", "risk_of_one", "ticks"),
    [
        (with_stop(place_order("BUY", 7, limit="6390"), Decimal(6380)), 500, 40),
        (with_stop(place_order("SELL", 7, limit="6410"), Decimal(6415)), 250, 20),
        (with_stop(place_order("SELL"), Decimal("6409.75")), 500, 40),  # at the bid
        (with_stop(place_order("BUY"), Decimal("6390.25")), 500, 40),  # at the ask
    ],
)
def test_it_is_reckoned_from_where_it_is_expected_to_fill(order: PlaceOrder, risk_of_one: int, ticks: int) -> None:
    assert size_from_risk(order, Decimal(1000), quote(), context(), policy()) == Size(
        1000 // risk_of_one, Decimal(risk_of_one), ticks
    )


@pytest.mark.parametrize(
    "order",
    [
        place_order(),
        replace(place_order(), bracket=Bracket(None, (Target(TEN_POINTS),))),
        with_stop(place_order(), Decimal(6410)),
        with_stop(place_order("SELL"), Decimal(6390)),
        with_stop(place_order(), Decimal("6400.25")),
    ],
    ids=["bare", "a target alone", "above a BUY", "below a SELL", "where it fills"],
)
def test_without_a_stop_on_the_losing_side_there_is_no_size(order: PlaceOrder) -> None:
    with pytest.raises(BadRequest, match="needs a stop_loss on the losing side of the entry; nothing was sent"):
        size_from_risk(order, Decimal(1000), quote(), context(), policy())


@pytest.mark.parametrize(
    ("root", "risk", "said"),
    [
        ("ES", "200", "1 ES 12-26 risks 500.00 over 40 ticks to the stop; 4 MES would risk 200.00"),
        ("ES", "49", "1 ES 12-26 risks 500.00 over 40 ticks to the stop; nothing was sent"),
        ("MES", "49", "1 MES 12-26 risks 500.00 over 40 ticks to the stop; nothing was sent"),
        ("ES", "0", "risk 0.00 is less than one contract"),
        ("ES", "-1000", "risk -1,000.00 is less than one contract"),
        ("SI", "100", "1 SI 12-26 risks 500.00 over 40 ticks to the stop; 1 SIL would risk 100.00"),
        ("SI", "99", "1 SI 12-26 risks 500.00 over 40 ticks to the stop; nothing was sent"),
        ("BTC", "30", "1 BTC 12-26 risks 500.00 over 40 ticks to the stop; 3 MBT would risk 30.00"),
        ("ETH", "30", "1 ETH 12-26 risks 500.00 over 40 ticks to the stop; 30 MET would risk 30.00"),
    ],
)
def test_what_fits_no_contract_says_what_one_risks_and_how_many_micros_would_fit(
    root: str, risk: str, said: str
) -> None:
    quoted = quote(instrument=Instrument(root, 2026, 12))
    with pytest.raises(BadRequest) as told:
        sized(risk, quoted=quoted)
    assert said in told.value.what
    assert told.value.what.endswith("nothing was sent")


def test_money_of_another_currency_is_converted_by_the_operators_rate_alone() -> None:
    rules = policy(rates={"EUR": Decimal("1.1")})
    assert sized("1000", quoted=DAX, rules=rules) == Size(3, Decimal("275.0"), 20)
    with pytest.raises(BadRequest, match=r"FDAX 12-26 is settled in EUR, for which no rate is set; nothing was sent"):
        sized("1000", quoted=DAX)


def test_of_an_account_whose_currency_is_not_known_nothing_is_sized() -> None:
    book = context(account=account(currency=None))
    with pytest.raises(BadRequest, match="no rate is set"):
        size_from_risk(with_stop(place_order()), Decimal(1000), quote(), book, policy())


@pytest.mark.parametrize(
    "quoted",
    [
        quote(contract=contract(tick_size=Decimal(0))),
        quote(contract=contract(point_value=Decimal(5))),
        quote(instrument=MES),
    ],
    ids=["no tick", "contradicts itself", "of another contract"],
)
def test_a_contract_whose_worth_is_not_known_is_not_sized(quoted: Quote) -> None:
    with pytest.raises(BadRequest, match="what a contract of ES 12-26 is worth is not known; nothing was sent"):
        size_from_risk(with_stop(place_order()), Decimal(1000), quoted, context(), policy())
