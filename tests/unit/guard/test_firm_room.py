"""The room of each rule of a funded account, in words: one line each, and only of the rules that there are."""

from dataclasses import replace
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any

import pytest

from ct_mcp.domain.balances import AccountDay, BalanceRecord
from ct_mcp.domain.instrument import OtherInstrument
from ct_mcp.domain.market import trading_day
from ct_mcp.guard.effect import effect_of
from ct_mcp.guard.firm_policy import (
    Automation,
    DayLossEnds,
    NewsCalendar,
    NewsEvent,
    NewsRule,
    Preset,
    PresetFigure,
    ScalingStep,
)
from ct_mcp.guard.firm_room import firm_facts, firm_lines
from ct_mcp.guard.policy import FlatBy, Limits, Watching
from ct_mcp.guard.review import review
from tests.factories import MES, NOW, SIM101, account, context, order, place_order, position, stop_order
from tests.unit.guard.test_rules_firm import FLOOR, STEPS, firm, with_stop, worth

TODAY = trading_day(NOW)
FOMC = NewsCalendar(date(2026, 12, 31), (NewsEvent(NOW + timedelta(hours=1), "FOMC"),))
TWO = timedelta(minutes=2)


def lines(book: Any = None, **rules: Any) -> tuple[str, ...]:
    return firm_lines(book or context(account=worth(50_500)), firm(**rules))


def test_without_rules_there_is_no_line() -> None:
    assert lines() == ()
    assert firm_lines(context(), replace(firm(), firm=None)) == ()
    assert firm_facts(effect_of(place_order(), context()), context(), replace(firm(), firm=None)) == ()


def test_a_day_s_loss_that_ends_the_account_says_so_and_who_says_otherwise() -> None:
    seen = context(account=worth(50_000), record=BalanceRecord())
    ends = {"day_loss_ends": DayLossEnds.ACCOUNT}
    (line,) = lines(seen, **ends)
    assert line.startswith("Day's loss ends the account (at 1,000,000.00; reaching it ends the account: nothing opens")
    assert f"ct-mcp floor {SIM101} AMOUNT" in line
    (line,) = lines(replace(seen, record=BalanceRecord(lost_on=date(2026, 3, 2))), **ends)
    assert line.startswith("Account ENDED on 2026-03-02 (by the loss of that day; ")
    (line,) = lines(replace(seen, record=None), **ends)
    assert line.startswith("Day's loss unknown (whether it has ended the account; ")
    assert lines(replace(seen, record=BalanceRecord(lost_on=date(2026, 3, 2)))) == ()


def test_until_when_something_may_open_is_told_with_what_happens_then() -> None:
    limits = replace(Limits(), flat_by=FlatBy(time(15, 10), "America/Chicago"), max_account_minis=Decimal(3))
    policy = replace(firm(), firm=None, limits=limits)
    assert firm_lines(context(), policy) == (
        "Account size 3 left (of 3 minis)",
        "Flat by 2026-11-23 21:10 UTC (15:10 America/Chicago; nothing is closed for you)",
    )
    acts = replace(policy, watches=Watching(flat_by_acts=True))
    book = context(now=NOW + timedelta(hours=6))
    facts = firm_facts(effect_of(place_order(), book), book, acts)
    assert str(facts[-1]) == "Flat by PASSED (15:10 America/Chicago; everything is closed then, if a ct-mcp runs)"
    nowhere = replace(policy, limits=replace(limits, flat_by=FlatBy(time(15, 10), "No/Where"), max_account_minis=None))
    assert firm_lines(context(), nowhere) == ()


def test_a_preset_is_named_with_its_date_and_as_no_word_of_the_firms() -> None:
    preset = Preset("some-50k", "Some 50K", (PresetFigure("profit_lock", "1", "https://example.com", TODAY),))
    assert lines(preset=preset) == ("held: preset some-50k of 2026-11-23; no word of the firm's",)


def test_an_account_that_is_advised_on_says_so() -> None:
    (line,) = firm_lines(context(), replace(firm(Automation.ADVISE), firm=None))
    assert line.startswith("automation advise: nothing is ever sent, no exit either")


def test_the_floor_is_told_with_what_the_stops_would_take() -> None:
    held = (position(1, average_price="6395", market_price=Decimal(6400)),)
    book = context(account=worth(50_500), positions=held, orders=(stop_order(stop_price="6390"),))
    assert lines(book, drawdown=FLOOR) == (
        "Drawdown floor 2,500.00 (above 48,000.00, static; 2,000.00 beside the stops of what is open)",
    )
    bare = context(account=worth(50_500), positions=held)
    assert lines(bare, drawdown=FLOOR)[0].endswith("; not counted, without a known stop: +1 ES 12-26)")
    assert lines(context(account=account()), drawdown=FLOOR)[0].startswith("Drawdown floor unknown")


def test_beside_an_order_its_own_stop_out_is_taken_off() -> None:
    book = context(account=worth(50_500))
    (fact,) = firm_facts(effect_of(with_stop("10"), book), book, firm(drawdown=FLOOR))
    assert str(fact) == "Floor 2,000.00 (left above 48,000.00 once this and all that is open was stopped out)"
    unknown = context(account=account())
    (fact,) = firm_facts(effect_of(with_stop("10"), unknown), unknown, firm(drawdown=FLOOR))
    assert fact.figure == "unknown"


@pytest.mark.parametrize(
    ("book", "left"),
    [
        (context(account=worth(51_600)), "3 left"),
        (context(account=worth(51_600), orders=(order(quantity=2),)), "1 left"),
        (context(account=worth(51_600), positions=(position(7),)), "0 left"),
        (context(account=worth(51_600), positions=None), "unknown"),
    ],
)
def test_contracts_of_the_step_are_counted_down(book: Any, left: str) -> None:
    (line,) = lines(book, scaling=STEPS)
    assert line == f"Contracts {left} (of 3 minis, by the balance at the end of the last day, 51600)"


def test_what_is_no_future_is_counted_beside_futures() -> None:
    shares = replace(position(100), instrument=OtherInstrument("AAPL"))
    book = context(account=worth(51_600), positions=(shares, position(1), position(1, MES)))
    assert lines(book, scaling=STEPS)[0].startswith("Contracts 0 left")
    found = review(place_order(), book, firm(no_opposite=True))
    assert found.passes


def test_the_limit_over_the_account_is_counted_down_as_well() -> None:
    policy = firm(scaling=(ScalingStep(Decimal(0), Decimal(2)),))
    policy = replace(policy, limits=replace(policy.limits, max_account_minis=Decimal(5)))
    found = firm_lines(context(account=worth(50_000), positions=(position(1),)), policy)
    assert found[1] == "Account size 4 left (of 5 minis)"


@pytest.mark.parametrize(
    ("pnl", "line"),
    [
        (250, "Profit lock 650.00 (to the gain of 900.00 at which nothing more opens)"),
        (901, "Profit lock REACHED (+901.00 of 900.00: only exits until the session rolls)"),
    ],
)
def test_the_profit_lock_is_counted_down(pnl: int, line: str) -> None:
    assert lines(context(account=worth(50_000 + pnl, realized=pnl)), profit_lock=Decimal(900)) == (line,)


@pytest.mark.parametrize(
    ("news", "line"),
    [
        (
            NewsRule(TWO, TWO, FOMC),
            "News FOMC at 2026-11-23 16:30 UTC (nothing opens 2 min before to 2 min after)",
        ),
        (
            NewsRule(TWO, TWO, replace(FOMC, events=())),
            "News none ahead (in the calendar, which covers days until 2026-12-31)",
        ),
        (NewsRule(TWO, TWO), "News UNKNOWN (no calendar of news is set (news_file); that is no day without news)"),
        (
            NewsRule(TWO, TWO, replace(FOMC, covers_until=date(2026, 11, 20))),
            "News UNKNOWN (the calendar of news covers days until 2026-11-20 only; that is no day without news)",
        ),
    ],
)
def test_the_next_release_is_named_and_a_calendar_that_has_run_out_is_unknown(news: NewsRule, line: str) -> None:
    assert lines(news=news) == (line,)


def test_sides_and_stop_are_named() -> None:
    book = context(positions=(position(-2),))
    assert lines(book, no_opposite=True, require_stop=True) == (
        "Opposite positions none may open (held: -2 ES 12-26)",
        "Stop required (on every order that opens)",
    )


@pytest.mark.parametrize(
    ("gains", "line"),
    [
        ((1_200, 800), "Best day 60 % (1,200.00 of 2,000.00 over 2 days on record; at most 50 %, not enforced)"),
        ((-100,), "Best day no share (nothing was gained over 1 day on record; at most 50 %, not enforced)"),
        ((), "Best day no share (nothing was gained over no days on record; at most 50 %, not enforced)"),
    ],
)
def test_the_share_of_the_best_day_is_shown(gains: tuple[int, ...], line: str) -> None:
    days = tuple(
        AccountDay(TODAY - timedelta(days=n), NOW, NOW, Decimal(50_000), Decimal(50_000 + gain))
        for n, gain in enumerate(gains)
    )
    book = context(account=worth(50_000), record=BalanceRecord(days[::-1]))
    assert lines(book, best_day_percent=Decimal(50)) == (line,)
