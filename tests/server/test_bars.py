"""Bars: one compact table in either half, with the zone named and the figures finished."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import Bar, parse_period
from ct_mcp.server.answers.bars import bars_answer
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.world import Simulator

NOW = datetime(2026, 9, 9, 14, 30, tzinfo=UTC)
ES = Instrument("ES", 2026, 9)


@pytest.mark.parametrize("instrument", ["ES", "NQ", "GC", "CL"])
@pytest.mark.parametrize("hours", [0, 6])
async def test_120_five_minute_bars_cost_at_most_3000_tokens_in_each_half(
    ask, sim: Simulator, tokens, instrument: str, hours: int
) -> None:
    sim.advance(3600 * hours)
    told = await ask("get_bars", instrument=instrument, count=120)
    assert told.data["count"] == 120
    assert tokens(told.text) <= 3000
    assert tokens(json.dumps(told.data)) <= 3000


async def test_the_newest_bar_comes_last_and_the_figures_agree_with_the_table(ask) -> None:
    told = await ask("get_bars", instrument="ES", count=3)
    data = told.data
    assert data["table"].splitlines()[0] == "2026-09-09"
    rows = [line.split() for line in data["table"].splitlines()[1:]]
    assert [row[0] for row in rows] == ["14:20", "14:25", "14:30"]
    assert data["high"] == max(float(row[2]) for row in rows)
    assert data["low"] == min(float(row[3]) for row in rows)
    assert data["range"] == data["high"] - data["low"]
    assert data["change"] == float(rows[-1][4]) - float(rows[0][1])
    assert data["volume"] == sum(int(row[5]) for row in rows)
    assert data["table"] in told.text
    assert "ES 09-26  3 bars of 5 minute, UTC" in told.text
    assert (data["last_bar_at"], data["last_bar_is_forming"]) == ("2026-09-09T14:30:00Z", False)


async def test_bars_of_a_day_carry_their_date(ask) -> None:
    told = await ask("get_bars", instrument="ES", period="1 day", count=2)
    assert [line.split()[0][:8] for line in told.data["table"].splitlines()] == ["2026-09-"] * 2


async def test_a_span_gives_the_bars_that_lie_in_it(ask) -> None:
    told = await ask(
        "get_bars", instrument="ES", start="2026-09-09T08:00:00-05:00", end="2026-09-09T13:30:00Z", period="10 minutes"
    )
    assert told.data["table"].splitlines()[-1].startswith("13:30 ")
    assert told.data["count"] <= 4
    assert told.data["notes"] == []


async def test_a_span_that_holds_more_than_was_asked_for_says_so(ask) -> None:
    told = await ask("get_bars", instrument="ES", start="2026-09-09T00:00:00Z", count=5)
    assert "note: only the newest 5 bars of the span" in told.text


async def test_a_span_without_trade_has_no_bars_and_no_figures(ask) -> None:
    told = await ask("get_bars", instrument="ES", start="2026-09-05T12:00:00Z", end="2026-09-05T18:00:00Z")
    assert (told.data["count"], told.data["table"], told.data["range"]) == (0, "", None)
    assert "no bars in this span" in told.text


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
async def test_bad_arguments_are_refused_in_words(ask, arguments: dict, said: str) -> None:
    told = await ask("get_bars", **({"instrument": "ES"} | arguments))
    assert told.is_error
    assert said in told.text


@pytest.mark.parametrize("fault", [Fault.UNREADABLE_JSON, Fault.EMPTY_BODY, Fault.ADDON_OFFLINE])
async def test_bars_that_cannot_be_read_are_never_an_empty_table(ask, sim: Simulator, fault: Fault) -> None:
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
    answer = bars_answer(ES, parse_period("5 minute"), bars, [], NOW)
    assert answer.structured_content["table"].splitlines() == [
        "2026-09-08",
        "23:55 6400 6401.25 6400 6401.25 10",
        "2026-09-09",
        "00:00 = 6402 6401.25 6402 10",
        "14:35 6390.5 6390.5 6390.5 6390.5 10",
    ]
    assert answer.structured_content["last_bar_is_forming"] is True
    assert "still forming" in answer.content[0].text
    assert "change -9.5 (-0.15 %)" in answer.content[0].text
