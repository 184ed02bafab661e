"""Quotes: the top of the book and the figures of the session."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from ct_mcp.simulator.faults import Fault, Faults
from ct_mcp.simulator.hours import MarketHours
from ct_mcp.simulator.market import Market
from ct_mcp.simulator.products import Contract

OPEN = datetime(2026, 9, 9, 14, 30, tzinfo=UTC)
BREAK = datetime(2026, 9, 9, 21, 30, tzinfo=UTC)
ES = Contract("ES", 2026, 9)
MOMENTS = st.datetimes(datetime(2026, 6, 1), datetime(2026, 9, 18), timezones=st.just(UTC))  # noqa: DTZ001


def _market(hours: MarketHours = MarketHours.GLOBEX, faults: Faults | None = None) -> Market:
    return Market(7, hours, faults or Faults())


@given(MOMENTS)
def test_the_bid_is_below_the_ask_and_the_last_price_is_one_of_them(moment: datetime) -> None:
    top = _market().top(ES, moment)
    assert top.bid < top.ask
    assert top.last in (top.bid, top.ask)


@given(MOMENTS)
def test_the_last_price_lies_inside_the_session(moment: datetime) -> None:
    quote = _market().quote(ES, moment)
    assert quote.session.low <= quote.top.last <= quote.session.high
    assert quote.session.low <= quote.session.open <= quote.session.high
    assert quote.session.volume >= 0


def test_volume_grows_within_a_session() -> None:
    market = _market()
    volumes = [market.quote(ES, OPEN + timedelta(minutes=minute)).session.volume for minute in range(10)]
    assert volumes == sorted(set(volumes))


def test_prices_stand_while_the_market_is_closed() -> None:
    market = _market()
    first, second = market.quote(ES, BREAK), market.quote(ES, BREAK + timedelta(minutes=20))
    assert first == second
    assert first.at == datetime(2026, 9, 9, 21, 0, tzinfo=UTC)
    assert not first.is_open


def test_the_settlement_is_where_the_session_before_ended() -> None:
    market = _market()
    yesterday = market.quote(ES, datetime(2026, 9, 8, 21, 30, tzinfo=UTC))
    assert market.quote(ES, OPEN).settled == yesterday.top.last


def test_a_micro_trades_at_the_prices_of_its_big_brother() -> None:
    market = _market()
    assert market.top(Contract("MES", 2026, 9), OPEN) == market.top(ES, OPEN)


def test_months_differ_by_their_carry_and_the_front_month_trades_most() -> None:
    market = _market()
    near, far = market.quote(ES, OPEN), market.quote(Contract("ES", 2026, 12), OPEN)
    assert far.top.last - near.top.last == 72
    assert far.session.volume < near.session.volume


def test_an_expired_month_does_not_trade() -> None:
    market, march = _market(), Contract("ES", 2026, 3)
    assert market.has_expired(march, OPEN)
    assert not market.quote(march, OPEN).is_open
    assert market.quote(march, OPEN).at == datetime(2026, 3, 20, 21, 0, tzinfo=UTC)


def test_a_fault_closes_the_market() -> None:
    faults = Faults()
    market = _market(faults=faults)
    assert market.is_open(OPEN)
    faults.arm(Fault.SESSION_CLOSED)
    assert not market.is_open(OPEN)


def test_a_market_that_is_always_open_trades_on_a_saturday() -> None:
    saturday = datetime(2026, 9, 12, 15, 0, tzinfo=UTC)
    assert _market(MarketHours.ALWAYS).quote(ES, saturday).is_open
    assert not _market().quote(ES, saturday).is_open
