"""Money with its currency, and a contract that is worth what it was worth before."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from ct_mcp.desk.approval_request import item_of
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import Quote
from ct_mcp.guard.context import RiskContext
from ct_mcp.guard.review import Review, review
from tests.factories import account, context, contract, place_order, policy, positions, quote, session

Codes = Callable[[Review], set[str]]
FDAX, QQQ = Instrument("FDAX", 2026, 12), Instrument("QQQ", 2026, 12)
EUREX = contract(exchange="Eurex", tick_size=Decimal("0.5"), point_value=Decimal(25))
DAX: Quote = quote(instrument=FDAX, contract=EUREX, bid="23999.5", last="24000", ask="24000.5")
IN_FRANKFURT = context(quote=DAX, session=session(instrument=FDAX))


def test_euros_are_not_compared_with_dollars(codes: Codes) -> None:
    found = review(place_order(instrument=FDAX), IN_FRANKFURT, policy())
    assert codes(found) == {"CURRENCY_NOT_CONVERTED"}
    assert "contract currency=EUR, account currency=USD" in str(found.denials[0])
    item = item_of(found)
    assert (item.currency, item.risk) == ("EUR", Decimal(1000))


def test_a_rate_of_the_operator_converts_and_is_told(codes: Codes) -> None:
    rates = {"EUR": Decimal("1.1")}
    found = review(place_order(instrument=FDAX), IN_FRANKFURT, policy(rates=rates, max_order_risk=Decimal(1100)))
    assert found.passes
    assert "1 EUR counts as 1.1 USD" in " ".join(map(str, found.findings))
    tight = policy(rates=rates, max_order_risk=Decimal(1099))
    assert codes(review(place_order(instrument=FDAX), IN_FRANKFURT, tight)) == {"RISK_EXCEEDS_MAXIMUM"}


@pytest.mark.parametrize(
    "book",
    [
        context(account=account(currency="JPY")),
        context(account=account(currency=None)),
        context(quote=quote(instrument=QQQ, contract=contract(exchange="Elsewhere"))),
    ],
    ids=["yen", "account unknown", "contract unknown"],
)
def test_a_currency_that_is_another_or_not_known_denies_what_opens_and_no_exit(codes: Codes, book: RiskContext) -> None:
    assert book.quote is not None
    instrument = book.quote.instrument
    book = replace(book, session=session(instrument=instrument))
    assert codes(review(place_order(instrument=instrument), book, policy())) == {"CURRENCY_NOT_CONVERTED"}
    held = replace(book, positions=positions(2, instrument))
    assert review(place_order("SELL", 2, instrument=instrument), held, policy()).passes


@pytest.mark.parametrize(
    "changes", [{"point_value": Decimal(5)}, {"tick_size": Decimal("0.01")}, {"tick_value": Decimal(5)}]
)
def test_a_contract_that_contradicts_itself_is_no_quote(codes: Codes, changes: dict[str, Decimal]) -> None:
    book = context(quote=quote(contract=contract(**changes)))
    assert "QUOTE_UNKNOWN" in codes(review(place_order(), book, policy()))
    assert review(place_order("SELL", 2), replace(book, positions=positions(2)), policy()).passes


def test_a_contract_that_changes_within_a_session_opens_nothing(codes: Codes) -> None:
    tenth = contract(tick_value=Decimal("1.25"), point_value=Decimal(5))
    book = context(quote=quote(contract=tenth), contract_before=contract())
    found = review(place_order(), book, policy())
    assert codes(found) == {"CONTRACT_FACTS_CHANGED"}
    assert "point value=50; now: tick=0.25, tick value=1.25, point value=5" in str(found.denials[0])
    assert review(place_order("SELL", 2), replace(book, positions=positions(2)), policy()).passes


@pytest.mark.parametrize(
    "sides", [{"bid": "6350"}, {"bid": None}, {"ask": "6399"}], ids=["torn", "half empty", "crossed"]
)
def test_an_order_on_a_book_that_says_nothing_of_its_price_is_denied(
    codes: Codes, sides: dict[str, str | None]
) -> None:
    book = context(quote=quote(**sides))
    assert "SPREAD_TOO_WIDE" in codes(review(place_order(), book, policy()))
    assert review(place_order("SELL", 2), replace(book, positions=positions(2)), policy()).passes
