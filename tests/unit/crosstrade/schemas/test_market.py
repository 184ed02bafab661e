"""Quotes, sessions and bars, as documented."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_mcp.crosstrade.schemas.market import bars_body, parse_bars, parse_quotes, parse_session
from ct_mcp.crosstrade.schemas.reply import Reply
from ct_mcp.crosstrade.schemas.values import parse_json
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import Contract, Period, PeriodUnit, parse_period
from ct_mcp.errors import BadReply, NotFound

Replies = Callable[..., Reply]
ES, NQ = Instrument("ES", 2026, 3), Instrument("NQ", 2026, 3)
SEVERAL = Path(__file__).parents[3] / "data" / "GetQuote.several.json"


@pytest.fixture
def rows() -> list[dict[str, object]]:
    value = parse_json(SEVERAL.read_text(encoding="utf-8"))
    assert isinstance(value, list)
    return value


def several(rows: list[dict[str, object]], now: datetime) -> Reply:
    return Reply("GetQuote", rows, now)


def test_a_quote_is_read_on_its_tick_with_its_contract_and_its_stamp_in_seconds(reply: Replies) -> None:
    (quote,) = parse_quotes(reply("GetQuote"), ["ES1!"])
    assert (quote.instrument, quote.bid, quote.ask, quote.last) == (
        ES,
        Decimal("6618"),
        Decimal("6618.25"),
        Decimal("6617.75"),
    )
    assert quote.contract == Contract(
        "E-mini S&P 500 Futures", "Globex", Decimal("0.25"), Decimal("12.5"), Decimal(50), expires_at=None
    )
    assert quote.at == datetime(2026, 3, 18, 20, 31, 54, tzinfo=UTC) + timedelta(minutes=20)
    assert (quote.prior_close, quote.volume, quote.is_market_open) == (Decimal(6626), 204962, True)


def test_a_price_of_zero_in_a_quote_is_no_price(rows: list[dict[str, object]], now: datetime) -> None:
    _, quote = parse_quotes(several(rows, now), ["ES", "NQ"])
    assert (quote.bid, quote.ask) == (None, Decimal("24500.25"))


def test_a_quote_without_its_stamps_has_an_unknown_age(reply: Replies, now: datetime) -> None:
    (quote,) = parse_quotes(reply("GetQuote", epoch=None, quoteTimeUtc=None, volume=None, isMarketOpen="yes"), ["ES"])
    assert (quote.at, quote.age_seconds(now), quote.volume, quote.is_market_open) == (None, None, None, None)


def test_of_two_stamps_the_older_one_counts(reply: Replies) -> None:
    (quote,) = parse_quotes(reply("GetQuote", quoteTimeUtc="2026-03-18 20:00:00"), ["ES"])
    assert quote.at == datetime(2026, 3, 18, 20, 0, tzinfo=UTC)


def test_quotes_come_in_the_order_that_was_asked(rows: list[dict[str, object]], now: datetime) -> None:
    swapped = several(rows[::-1], now)
    assert [quote.instrument for quote in parse_quotes(swapped, ["ES 03-26", "NQH26"])] == [ES, NQ]
    assert [quote.instrument for quote in parse_quotes(swapped, ["ES", "ES1!", "NQ"])] == [ES, ES, NQ]


def test_one_quote_may_come_in_an_array_or_under_a_name(rows: list[dict[str, object]], now: datetime) -> None:
    assert parse_quotes(several(rows[:1], now), ["ES"])[0].instrument == ES
    assert parse_quotes(Reply("GetQuote", {"success": True, "quotes": rows}, now), ["NQ"])[0].instrument == NQ


def test_a_name_without_its_quote_makes_the_answer_worthless(rows: list[dict[str, object]], now: datetime) -> None:
    for names in (["ES", "CL"], ["ES 06-26"], ["ES", "NQ 06-26"]):
        with pytest.raises(BadReply, match="no single quote for"):
            parse_quotes(several(rows, now), names)


def test_a_root_that_two_contracts_answer_to_is_not_guessed(rows: list[dict[str, object]], now: datetime) -> None:
    later = {**rows[0], "instrument": "ES 06-26"}
    with pytest.raises(BadReply, match="no single quote"):
        parse_quotes(several([rows[1], rows[0], later], now), ["ES"])


def test_of_a_root_and_its_next_contract_each_gets_its_own(rows: list[dict[str, object]], now: datetime) -> None:
    later = {**rows[0], "instrument": "ES 06-26"}
    found = parse_quotes(several([rows[0], later], now), ["ES", "ES 06-26"])
    assert [str(quote.instrument) for quote in found] == ["ES 03-26", "ES 06-26"]


def test_one_name_that_they_do_not_know_is_told_in_their_words(rows: list[dict[str, object]], now: datetime) -> None:
    with pytest.raises(NotFound, match='CrossTrade said "no such instrument"'):
        parse_quotes(several([rows[0], {"instrument": "XX", "error": "no such instrument"}], now), ["ES", "XX"])


@pytest.mark.parametrize(
    "changes",
    [
        {"tickSize": 0.0},
        {"tickSize": None},
        {"pointValue": -1},
        {"instrument": "ES"},
        {"volume": -1},
        {"tickValue": Decimal(5)},
        {"pointValue": Decimal(5)},
    ],
)
def test_a_quote_without_its_contract_is_refused(reply: Replies, changes: dict[str, object]) -> None:
    with pytest.raises(BadReply):
        parse_quotes(reply("GetQuote", **changes), ["ES"])


@pytest.mark.parametrize(
    ("expiration", "expires_at"),
    [
        ("2026-03-01", None),
        ("2026-03-20", datetime(2026, 3, 21, tzinfo=UTC)),
        ("soon", None),
        (None, None),
    ],
)
def test_the_first_of_a_month_names_the_contract_and_is_no_expiry(
    reply: Replies, expiration: str | None, expires_at: datetime | None
) -> None:
    (quote,) = parse_quotes(reply("GetQuote", expiration=expiration, tickValue=None), ["ES"])
    assert quote.contract.expires_at == expires_at
    assert quote.contract.tick_value == Decimal("12.5")


def test_an_open_session_is_the_current_one(reply: Replies) -> None:
    session = parse_session(reply("MarketInfo"), "ES")
    assert (session.instrument, session.is_open, session.state) == (Instrument("ES", 2026, 6), True, "Open")
    assert session.time_zone == "Central Standard Time"
    assert session.opens_at == datetime(2026, 3, 17, 22, 0, tzinfo=UTC)
    assert session.closes_at == datetime(2026, 3, 18, 21, 0, tzinfo=UTC)
    assert session.next_opens_at == datetime(2026, 3, 18, 22, 0, tzinfo=UTC)
    assert session.next_closes_at == datetime(2026, 3, 19, 21, 0, tzinfo=UTC)
    assert session.stamped_at == datetime(2026, 3, 18, 20, 46, 29, 24828, tzinfo=UTC)


def test_a_closed_session_is_the_next_one(reply: Replies) -> None:
    session = parse_session(reply("MarketInfo.closed"), "ES 06-26")
    assert session.is_open is False
    assert session.opens_at == datetime(2026, 3, 18, 22, 0, tzinfo=UTC)


def test_a_session_that_does_not_say_whether_it_is_open_is_unknown(reply: Replies) -> None:
    assert parse_session(reply("MarketInfo", status=None), "ES").is_open is None
    assert parse_session(reply("MarketInfo", status={"isOpen": "true"}), "ES").is_open is None


@pytest.mark.parametrize(("changes", "name"), [({}, "NQ"), ({}, "ES 09-26"), ({"instrument": None}, "ES")])
def test_a_session_of_something_else_is_refused(reply: Replies, changes: dict[str, object], name: str) -> None:
    with pytest.raises(BadReply):
        parse_session(reply("MarketInfo", **changes), name)


def test_bars_come_oldest_first_and_only_the_newest_of_them(reply: Replies) -> None:
    instrument, bars = parse_bars(reply("GetBars"), "ES", 2)
    assert instrument == Instrument("ES", 2026, 6)
    assert [bar.volume for bar in bars] == [1, 1510]
    assert bars[-1].closes_at == datetime(2026, 3, 18, 20, 10, tzinfo=UTC)
    assert (bars[-1].high, bars[-1].low, bars[-1].close) == (Decimal(6733), Decimal(6731), Decimal("6732.5"))


def test_no_bars_are_none_only_where_they_are_counted(reply: Replies) -> None:
    assert parse_bars(reply("GetBars", bars=[], count=0), "ES", 5) == (Instrument("ES", 2026, 6), ())
    with pytest.raises(BadReply):
        parse_bars(reply("GetBars", bars=[], count=None), "ES", 5)


@pytest.mark.parametrize("changes", [{"instrument": "NQ 06-26"}, {"bars": None}, {"bars": [{"open": 1}]}])
def test_bars_that_prove_nothing_are_refused(reply: Replies, changes: dict[str, object]) -> None:
    with pytest.raises(BadReply):
        parse_bars(reply("GetBars", **changes), "ES", 5)


FIVE = parse_period("5 minutes")
START, END = datetime(2026, 3, 17, tzinfo=UTC), datetime(2026, 3, 18, 12, 30, 15, 999, tzinfo=UTC)


def test_bars_are_asked_for_by_span_in_strict_utc_or_by_days() -> None:
    common = {"instrument": "ES 06-26", "periodType": "minute", "period": 5, "limit": 100}
    assert bars_body("ES 06-26", FIVE, 100, None, None) == {**common, "daysBack": 5}
    assert bars_body("ES 06-26", FIVE, 100, START, None) == {**common, "from": "2026-03-17T00:00:00Z"}
    assert bars_body("ES 06-26", FIVE, 100, START, END) == {
        **common,
        "from": "2026-03-17T00:00:00Z",
        "to": "2026-03-18T12:30:15Z",
    }
    assert bars_body("ES 06-26", FIVE, 100, None, END)["from"] == "2026-03-13T12:30:15Z"


@given(st.integers(1, 240), st.sampled_from(PeriodUnit), st.integers(1, 500))
def test_the_days_asked_for_hold_the_bars_and_a_weekend(count: int, unit: PeriodUnit, bars: int) -> None:
    days = bars_body("ES", Period(count, unit), bars, None, None)["daysBack"]
    assert isinstance(days, int)
    assert timedelta(days=days) >= Period(count, unit).length * bars
    assert days >= 5
