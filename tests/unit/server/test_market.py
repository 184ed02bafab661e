"""Quotes, bars and sessions: with their age, in figures that agree, and never empty where they could not be read."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import Bar, Contract, Quote, Session, parse_period
from ct_mcp.server.tools.market import bars_result, quotes_result, session_result
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.simulator import Simulator
from tests.conftest import Tokens
from tests.unit.server.conftest import Ask, text_of

NOW = datetime(2026, 9, 9, 14, 30, tzinfo=UTC)


async def test_a_quote_has_its_spread_its_change_and_what_a_tick_is_worth(ask: Ask) -> None:
    told = await ask("get_quotes", instruments=["ES"])
    (quote,) = told.data["quotes"]
    assert (quote["asked"], quote["instrument"], quote["month"]) == ("ES", "ES 09-26", "SEP 2026")
    assert quote["spread"] == quote["ask"] - quote["bid"]
    assert quote["spread_ticks"] == quote["spread"] / 0.25
    assert quote["change"] == quote["last"] - quote["prior_close"]
    assert quote["change_percent"] == pytest.approx(100 * quote["change"] / quote["prior_close"], abs=0.01)
    assert (quote["tick_size"], quote["tick_value"], quote["point_value"]) == (0.25, 12.5, 50)
    assert (quote["stale"], quote["market_open"]) == (False, True)
    assert quote["age_seconds"] <= 1
    assert quote["expires_at"] is None
    assert "tick 0.25 = 12.50, point = 50.00; market open" in told.text
    assert "asked as ES" in told.text


async def test_each_name_gets_its_own_quote_in_the_order_asked(ask: Ask) -> None:
    told = await ask("get_quotes", instruments=["MNQ 09-26", "ESU26", "CL"])
    assert [quote["instrument"] for quote in told.data["quotes"]] == ["MNQ 09-26", "ES 09-26", "CL 10-26"]
    assert "MNQ 09-26 (SEP 2026): bid" in told.text


async def test_a_quote_that_stands_still_is_called_stale_with_its_age(ask: Ask, sim: Simulator) -> None:
    sim.faults.arm(Fault.STALE_QUOTE)
    await ask("get_quotes", instruments=["ES"])
    sim.advance(45)
    told = await ask("get_quotes", instruments=["ES"])
    assert told.data["quotes"][0]["stale"] is True
    assert told.data["quotes"][0]["age_seconds"] == 45
    assert "STALE, 45 s old" in told.text


async def test_a_closed_market_is_said_so(ask: Ask, sim: Simulator) -> None:
    sim.faults.arm(Fault.SESSION_CLOSED)
    told = await ask("get_quotes", instruments=["ES"])
    assert told.data["quotes"][0]["market_open"] is False
    assert "market CLOSED" in told.text


@pytest.mark.parametrize(
    ("instruments", "said"),
    [
        ([], "instruments"),
        (["ES"] * 21, "instruments"),
        ("ES", "instruments"),
        (["E-mini"], "none of the known spellings"),
        (["ES", 5], "instruments.1"),
        (["ZZZZ"], "not found"),
        (["ES,MES"], "none of the known spellings"),
    ],
)
async def test_names_that_are_none_are_refused(ask: Ask, instruments: object, said: str) -> None:
    told = await ask("get_quotes", instruments=instruments)
    assert told.is_error
    assert said in told.text


@pytest.mark.parametrize("fault", [Fault.UNREADABLE_JSON, Fault.ADDON_OFFLINE, Fault.RATE_LIMITED])
async def test_a_quote_that_cannot_be_read_is_an_error(ask: Ask, sim: Simulator, fault: Fault) -> None:
    sim.faults.arm(fault)
    assert (await ask("get_quotes", instruments=["ES"])).is_error


def test_a_quote_of_which_nothing_is_known_says_unknown_and_is_stale() -> None:
    contract = Contract("", "", Decimal("0.25"), Decimal("12.5"), Decimal(50), NOW + timedelta(days=9))
    es = Instrument("ES", 2026, 12)
    quote = Quote(es, contract, None, None, None, None, None, None, None, None, None, None)
    answer = quotes_result(["ES 12-26"], [quote], 10.0, [], NOW)
    row, text = answer.structured_content["quotes"][0], text_of(answer)
    assert row["stale"] is True
    assert [row[key] for key in ("bid", "spread", "change", "change_percent", "age_seconds")] == [None] * 5
    assert "bid unknown  ask unknown  spread unknown  last unknown  change unknown" in text
    assert "STALE, of unknown age" in text
    assert "market state unknown; quoted at unknown" in text
    assert "expires 2026-09-18T14:30:00Z" in text


NOW = datetime(2026, 9, 9, 14, 30, tzinfo=UTC)
ES = Instrument("ES", 2026, 9)


@pytest.mark.parametrize("instrument", ["ES", "NQ", "GC", "CL"])
@pytest.mark.parametrize("hours", [0, 6])
async def test_120_five_minute_bars_cost_at_most_3000_tokens_and_come_once(
    ask: Ask, sim: Simulator, tokens: Tokens, instrument: str, hours: int
) -> None:
    sim.advance(3600 * hours)
    told = await ask("get_bars", instrument=instrument, count=120)
    assert "120 bars of 5 minute" in told.text
    assert tokens(told.text) <= 3000
    assert told.data == {}, "a structured half would hold the same table once more"


async def test_the_newest_bar_comes_last_and_the_figures_agree_with_the_table(ask: Ask) -> None:
    told = await ask("get_bars", instrument="ES", count=3)
    head, columns, day, *table, figures, newest = told.text.splitlines()
    assert head.startswith("ES 09-26  3 bars of 5 minute, UTC")
    assert (columns.split()[0], day) == ("close-time", "2026-09-09")
    rows = [line.split() for line in table]
    assert [row[0] for row in rows] == ["14:20", "14:25", "14:30"]
    high, low = max(float(row[2]) for row in rows), min(float(row[3]) for row in rows)
    change, volume = float(rows[-1][4]) - float(rows[0][1]), sum(int(row[5]) for row in rows)
    assert figures.startswith(f"range {high - low:g} (high {high:.10g}, low {low:.10g}), change {change:+g} (")
    assert figures.endswith(f"volume {volume:,}")
    assert newest == "last bar ends 2026-09-09T14:30:00Z, 0 s old"


async def test_bars_of_a_day_carry_the_name_of_their_trading_day(ask: Ask) -> None:
    told = await ask("get_bars", instrument="ES", period="1 day", count=2)
    assert [" ".join(line.split()[:2]) for line in told.text.splitlines()[2:4]] == ["Mon 2026-09-07", "Tue 2026-09-08"]
    assert "last row is Tue 2026-09-08, which is over; the trading day now is Wed 2026-09-09" in told.text


async def test_a_span_gives_the_bars_that_lie_in_it(ask: Ask) -> None:
    told = await ask(
        "get_bars", instrument="ES", start="2026-09-09T08:00:00-05:00", end="2026-09-09T13:30:00Z", period="10 minutes"
    )
    assert told.text.splitlines()[-3].startswith("13:30 ")
    assert "note:" not in told.text


async def test_a_span_that_holds_more_than_was_asked_for_says_so(ask: Ask) -> None:
    told = await ask("get_bars", instrument="ES", start="2026-09-09T00:00:00Z", count=5)
    assert "note: only the newest 5 bars of the span" in told.text


async def test_a_span_without_trade_has_no_bars_and_no_figures(ask: Ask) -> None:
    told = await ask("get_bars", instrument="ES", start="2026-09-05T12:00:00Z", end="2026-09-05T18:00:00Z")
    assert "no bars in this span" in told.text
    assert "range" not in told.text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"period": "5 ticks"}, "must be like '5 minute'"),
        ({"count": 0}, "count"),
        ({"count": 1001}, "count"),
        ({"start": "2026-09-09"}, "with a zone"),
        ({"start": "2026-09-09T10:00:00"}, "with a zone"),
        ({"end": "yesterday"}, "with a zone"),
        ({"start": "2026-09-09T10:00:00Z", "end": "2026-09-09T09:00:00Z"}, "end must lie after start"),
        ({"instrument": "ZZZZ"}, "not found"),
    ],
)
async def test_bad_arguments_are_refused_in_words(ask: Ask, arguments: dict[str, Any], said: str) -> None:
    told = await ask("get_bars", **({"instrument": "ES"} | arguments))
    assert told.is_error
    assert said in told.text


@pytest.mark.parametrize("fault", [Fault.UNREADABLE_JSON, Fault.EMPTY_BODY, Fault.ADDON_OFFLINE])
async def test_bars_that_cannot_be_read_are_never_an_empty_table(ask: Ask, sim: Simulator, fault: Fault) -> None:
    sim.faults.arm(fault)
    told = await ask("get_bars", instrument="ES")
    assert told.is_error
    assert "no bars" not in told.text


def _bar(at: datetime, opened: str, closed: str) -> Bar:
    low, high = sorted((Decimal(opened), Decimal(closed)))
    return Bar(at, Decimal(opened), high, low, Decimal(closed), 10)


def test_an_open_is_written_out_only_where_it_is_not_the_close_before() -> None:
    bars = [
        _bar(datetime(2026, 9, 8, 23, 55, tzinfo=UTC), "6400", "6401.25"),
        _bar(datetime(2026, 9, 9, 0, 0, tzinfo=UTC), "6401.25", "6402"),
        _bar(datetime(2026, 9, 9, 14, 35, tzinfo=UTC), "6390.5", "6390.5"),
    ]
    answer = bars_result(ES, parse_period("5 minute"), bars, [], NOW)
    assert text_of(answer).splitlines()[2:7] == [
        "2026-09-08",
        "23:55 6400 6401.25 6400 6401.25 10",
        "2026-09-09",
        "00:00 = 6402 6401.25 6402 10",
        "14:35 6390.5 6390.5 6390.5 6390.5 10",
    ]
    assert "still forming" in text_of(answer)
    assert "change -9.5 (-0.15 %)" in text_of(answer)


def test_a_session_that_they_name_twice_is_told_once() -> None:
    opens_at, closes_at = datetime(2026, 9, 9, 22, tzinfo=UTC), datetime(2026, 9, 10, 21, tzinfo=UTC)
    answer = session_result(Session(ES, False, "", "", opens_at, closes_at, opens_at, closes_at, NOW), [], NOW)
    assert text_of(answer).count("2026-09-09T22:00:00Z") == 1
    assert answer.structured_content["following_opens_at"] is None


async def test_an_open_session_says_when_it_closes(ask: Ask) -> None:
    told = await ask("get_session", instrument="ES")
    data = told.data
    assert (data["instrument"], data["is_open"], data["closes_at"]) == ("ES 09-26", True, "2026-09-09T21:00:00Z")
    assert (data["seconds_to_close"], data["seconds_to_open"]) == (23_400, None)
    assert data["trading_day"] == "2026-09-09"
    assert "session OPEN, closes in 6 h 30 min" in told.text
    assert "2026-09-09T21:00:00Z (Wed 16:00 Chicago)" in told.text
    assert "report 0 s old" in told.text


async def test_a_closed_session_says_when_it_opens(ask: Ask, sim: Simulator) -> None:
    sim.advance(7 * 3600)
    told = await ask("get_session", instrument="MNQ")
    assert (told.data["is_open"], told.data["opens_at"]) == (False, "2026-09-09T22:00:00Z")
    assert (told.data["seconds_to_open"], told.data["seconds_to_close"]) == (1800, None)
    assert "session CLOSED, opens in 30 min" in told.text


@pytest.mark.parametrize("fault", [Fault.EMPTY_BODY, Fault.HTML_PAGE, Fault.ADDON_OFFLINE])
async def test_a_session_that_cannot_be_read_is_an_error_and_not_closed(ask: Ask, sim: Simulator, fault: Fault) -> None:
    sim.faults.arm(fault)
    told = await ask("get_session", instrument="ES")
    assert told.is_error
    assert "CLOSED" not in told.text


async def test_an_instrument_that_is_none_is_refused(ask: Ask) -> None:
    assert "none of the known spellings" in (await ask("get_session", instrument="?")).text
