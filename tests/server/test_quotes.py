"""Quotes: finished figures, and an age on each."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import Contract, Quote
from ct_mcp.server.answers.quotes import quotes_answer
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.world import Simulator

NOW = datetime(2026, 9, 9, 14, 30, tzinfo=UTC)


async def test_a_quote_has_its_spread_its_change_and_what_a_tick_is_worth(ask) -> None:
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
    assert "tick 0.25 = 12.50, point = 50.00; expires unknown" in told.text
    assert "asked as ES" in told.text


async def test_each_name_gets_its_own_quote_in_the_order_asked(ask) -> None:
    told = await ask("get_quotes", instruments=["MNQ 09-26", "ESU26", "CL"])
    assert [quote["instrument"] for quote in told.data["quotes"]] == ["MNQ 09-26", "ES 09-26", "CL 10-26"]
    assert "MNQ 09-26 (SEP 2026): bid" in told.text


async def test_a_quote_that_stands_still_is_called_stale_with_its_age(ask, sim: Simulator) -> None:
    sim.faults.arm(Fault.STALE_QUOTE)
    await ask("get_quotes", instruments=["ES"])
    sim.advance(45)
    told = await ask("get_quotes", instruments=["ES"])
    assert told.data["quotes"][0]["stale"] is True
    assert told.data["quotes"][0]["age_seconds"] == 45
    assert "STALE, 45 s old" in told.text


async def test_a_closed_market_is_said_so(ask, sim: Simulator) -> None:
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
async def test_names_that_are_none_are_refused(ask, instruments: object, said: str) -> None:
    told = await ask("get_quotes", instruments=instruments)
    assert told.is_error
    assert said in told.text


@pytest.mark.parametrize("fault", [Fault.UNREADABLE_JSON, Fault.ADDON_OFFLINE, Fault.RATE_LIMITED])
async def test_a_quote_that_cannot_be_read_is_an_error(ask, sim: Simulator, fault: Fault) -> None:
    sim.faults.arm(fault)
    assert (await ask("get_quotes", instruments=["ES"])).is_error


def test_a_quote_of_which_nothing_is_known_says_unknown_and_is_stale() -> None:
    contract = Contract("", "", Decimal("0.25"), Decimal("12.5"), Decimal(50), NOW + timedelta(days=9))
    es = Instrument("ES", 2026, 12)
    quote = Quote(es, contract, None, None, None, None, None, None, None, None, None, None)
    answer = quotes_answer(["ES 12-26"], [quote], 10.0, [], NOW)
    row, text = answer.structured_content["quotes"][0], answer.content[0].text
    assert row["stale"] is True
    assert [row[key] for key in ("bid", "spread", "change", "change_percent", "age_seconds")] == [None] * 5
    assert "bid unknown  ask unknown  spread unknown  last unknown  change unknown" in text
    assert "STALE, of unknown age" in text
    assert "market state unknown; quoted at unknown" in text
    assert "expires 2026-09-18T14:30:00Z" in text
