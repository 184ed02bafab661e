"""The rules of funded accounts in the settings: presets, what narrows them, and what is refused."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from ct_mcp.config import firm as firm_settings
from ct_mcp.config.presets import load_preset, preset_names
from ct_mcp.config.schema import RulesTable
from ct_mcp.config.settings import Settings
from ct_mcp.guard.context import flat_by_moment
from ct_mcp.guard.firm_policy import (
    Automation,
    DayLossEnds,
    Drawdown,
    DrawdownKind,
    FirmRules,
    IfUnknown,
    NewsCalendar,
    NewsEvent,
    ScalingStep,
)
from ct_mcp.guard.policy import FlatBy, Policy

Loader = Callable[..., Settings]
Faults = Callable[..., list[str]]
WANTED = {
    "topstep-50k",
    "topstep-100k",
    "topstep-150k",
    "apex-50k-eod",
    "apex-50k-intraday",
    "take-profit-trader-50k",
    "myfundedfutures-50k",
    "tradeify-50k",
    "generic-50k",
}
ADVISED = {"apex-50k-eod", "apex-50k-intraday", "take-profit-trader-50k", "myfundedfutures-50k"}


def account(rules: str = "", firm: str = "topstep-50k", more: str = "") -> str:
    named = f'firm = "{firm}"' if firm else ""
    return f'[accounts."EVAL-1"]\n{named}\n{more}\n[accounts."EVAL-1".rules]\n{rules}\n'


def policy_of(settings: Settings) -> Policy:
    return settings.policy.for_("EVAL-1", "ES")


def rules_of(settings: Settings) -> FirmRules:
    firm = policy_of(settings).firm
    assert firm is not None
    return firm


def test_every_preset_that_is_promised_is_there() -> None:
    assert set(preset_names()) == WANTED


@pytest.mark.parametrize("name", sorted(WANTED))
def test_each_preset_loads_and_each_figure_has_its_source_and_date(read: Loader, name: str) -> None:
    loaded = load_preset(name)
    assert loaded.preset.title
    assert loaded.preset.doubts
    assert loaded.preset.unheld
    for figure in loaded.preset.figures:
        assert len(figure.source) > 10, figure
        assert date(2026, 5, 1) <= figure.checked <= date(2026, 11, 30), figure
        assert figure.value
    told = {figure.name for figure in loaded.preset.figures} - {"automation"}
    assert told == {*loaded.rules, *loaded.limits}
    assert {"drawdown", "drawdown_amount", "start_balance"} <= told
    policy = policy_of(read(account(firm=name)))
    assert policy.firm is not None
    assert policy.firm.preset == loaded.preset
    assert (policy.automation is Automation.ADVISE) is (name in ADVISED)


def test_a_preset_sets_floor_and_limits(read: Loader) -> None:
    policy = policy_of(read(account()))
    assert policy.firm is not None
    assert policy.firm.drawdown == Drawdown(DrawdownKind.END_OF_DAY, Decimal(2000), Decimal(50_000), Decimal(50_000))
    assert policy.limits.max_account_minis == 5
    assert policy.limits.flat_by is not None
    assert (policy.limits.flat_by.at.hour, policy.limits.flat_by.zone) == (15, "America/Chicago")
    assert policy.limits.max_day_loss == 500, "the general limit is narrower than any preset"


def test_the_operators_figures_narrow_a_preset(read: Loader) -> None:
    text = account('drawdown = "intraday"\ndrawdown_amount = 1500\nfloor_locks_at = 50100\nprofit_lock = 900')
    firm = rules_of(read(text))
    assert firm.drawdown == Drawdown(DrawdownKind.INTRADAY, Decimal(1500), Decimal(50_000), Decimal(50_100))
    assert firm.profit_lock == 900
    assert firm.preset is not None
    limits = '[accounts."EVAL-1".limits]\nmax_account_minis = 2\nflat_by = "15:00 America/Chicago"\n'
    policy = policy_of(read(account() + limits))
    assert policy.limits.max_account_minis == 2
    assert policy.limits.flat_by == FlatBy(time(15), "America/Chicago")


def test_a_day_s_loss_ends_the_day_unless_the_operator_says_that_it_ends_the_account(
    read: Loader, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert rules_of(read(account())).day_loss_ends is DayLossEnds.DAY
    ends = account('day_loss_ends = "account"', "apex-50k-eod")
    assert rules_of(read(ends)).day_loss_ends is DayLossEnds.ACCOUNT
    assert rules_of(read(account('day_loss_ends = "account"', ""))).day_loss_ends is DayLossEnds.ACCOUNT
    (line,) = faults(account('day_loss_ends = "week"'))
    assert "day_loss_ends: found 'week'" in line or 'day_loss_ends: found "week"' in line

    ended = replace(load_preset("apex-50k-eod"), rules={"day_loss_ends": DayLossEnds.ACCOUNT})
    monkeypatch.setattr(firm_settings, "load_preset", lambda _: ended)
    (line,) = faults(account('day_loss_ends = "day"', "apex-50k-eod"))
    assert "day_loss_ends: found" in line
    assert "expected nothing looser than apex-50k-eod has it" in line


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (account('drawdown = "static"'), ".rules] drawdown: found"),
        (account("drawdown_amount = 2500"), ".rules] drawdown_amount: found 2500, expected nothing looser"),
        (account("start_balance = 49000"), ".rules] start_balance: found 49000"),
        (account("floor_locks_at = 49000"), ".rules] floor_locks_at: found 49000"),
        (account("floor_locks_at = 60000", "apex-50k-eod"), ".rules] floor_locks_at: found 60000"),
        (account("require_stop = false", "generic-50k"), ".rules] require_stop: found false"),
        (account("best_day_percent = 60"), ".rules] best_day_percent: found 60"),
        (account("news_before_minutes = 1", "myfundedfutures-50k"), ".rules] news_before_minutes: found 1"),
        (account("news_no_resting = false", "myfundedfutures-50k"), ".rules] news_no_resting: found false"),
        (
            account("no_opposite_over_accounts = false", "take-profit-trader-50k"),
            ".rules] no_opposite_over_accounts: found false",
        ),
        (account(firm="apex-50k-eod", more='automation = "propose"'), "] automation: found"),
        (account() + '[accounts."EVAL-1".limits]\nmax_account_minis = 6', ".limits] max_account_minis: found 6"),
        (account() + '[accounts."EVAL-1".limits]\nmax_account_minis = 0', ".limits] max_account_minis: found 0"),
        (account() + '[accounts."EVAL-1".limits]\nflat_by = "15:30 America/Chicago"', ".limits] flat_by: found"),
    ],
)
def test_nothing_widens_a_preset(faults: Faults, text: str, fault: str) -> None:
    (line,) = faults(text)
    assert line.startswith(f'[accounts."EVAL-1"{fault}')
    assert "expected nothing looser than " in line


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (account(firm="topstep-51k"), "firm: found"),
        (account(more='automation = "auto"'), "expected one of propose, advise"),
        (account("drawdown_amount = 2000", ""), "a floor needs drawdown, start_balance as well"),
        (account("floor_locks_at = 50000", ""), "a floor needs drawdown, drawdown_amount, start_balance as well"),
        (account("scaling = []", ""), "expected steps by balance"),
        (account("scaling = [{ balance = 1, minis = 3 }, { balance = 2, minis = 2 }]", ""), "for no fewer contracts"),
        (account('opposite_groups = [["ES"]]', ""), "expected lists of roots"),
        (account('news_file = "calendar.csv"', ""), "the whole path of a file"),
        (account("news_before_minutes = 1441", ""), "minutes from 0 to 1440"),
        (account("profit_lick = 3", ""), "profit_lock"),
    ],
)
def test_what_makes_no_rule_is_refused(faults: Faults, text: str, fault: str) -> None:
    (line,) = faults(text)
    assert fault in line


@pytest.mark.parametrize(
    ("own", "is_looser"),
    [
        ("{ balance = 50000, minis = 1 }, { balance = 52000, minis = 3 }", False),
        ("{ balance = 50000, minis = 2 }", False),
        ("{ balance = 50000, minis = 2 }, { balance = 51000, minis = 3 }", True),
        ("{ balance = 0, minis = 3 }", True),
    ],
)
def test_own_steps_give_at_no_balance_more_than_those_of_a_preset(
    read: Loader, faults: Faults, monkeypatch: pytest.MonkeyPatch, own: str, is_looser: bool
) -> None:
    steps = (ScalingStep(Decimal(50_000), Decimal(2)), ScalingStep(Decimal(51_500), Decimal(3)))
    generic = load_preset("generic-50k")
    scaled = replace(generic, rules={**generic.rules, "scaling": steps})
    monkeypatch.setattr("ct_mcp.config.firm.load_preset", lambda _: scaled)
    text = account(f"scaling = [{own}]", "generic-50k")
    if is_looser:
        assert "nothing looser than generic-50k has it, 2 from 50000; 3 from 51500" in faults(text)[0]
    else:
        assert len(rules_of(read(text)).scaling) == own.count("minis")


def test_every_key_but_the_file_of_news_has_a_stricter_side() -> None:
    assert set(RulesTable.model_fields) - {"news_file"} == set(firm_settings._STRICTER)


@pytest.mark.parametrize(
    ("rules", "no_resting"), [("news_no_resting = true", True), ("news_before_minutes = 0", False), ("", None)]
)
def test_a_rule_on_news_may_forbid_what_rests(read: Loader, rules: str, no_resting: bool | None) -> None:
    news = rules_of(read(account(rules or "require_stop = true", ""))).news
    assert (None if news is None else news.no_resting) is no_resting


def test_rules_may_stand_alone(read: Loader) -> None:
    text = account(
        "scaling = [{ balance = 50000, minis = 2 }, { balance = 51500.50, minis = 3 }]\n"
        'no_opposite = true\nopposite_groups = [["ES", "NQ"]]\nrequire_stop = true\nbest_day_percent = 30',
        "",
    )
    firm = rules_of(read(text))
    assert firm.scaling == (ScalingStep(Decimal(50_000), Decimal(2)), ScalingStep(Decimal("51500.50"), Decimal(3)))
    assert firm.opposite_groups == (frozenset({"ES", "NQ"}),)
    assert (firm.no_opposite, firm.best_day_percent, firm.preset) == (True, Decimal(30), None)
    assert policy_of(read(text)).protection.require_stop


def test_an_account_without_any_has_none(read: Loader) -> None:
    policy = policy_of(read('[accounts."EVAL-1"]\napproval = "page"\n'))
    assert (policy.firm, policy.automation) == (None, Automation.PROPOSE)
    assert policy_of(read(account(firm="", more='automation = "advise"'))).automation is Automation.ADVISE


# The calendar of news ----------------------------------------------------------------------------------------------

CALENDAR = """# covers until 2026-12-31
time,zone,name,roots
2026-12-09 14:00,America/New_York,FOMC,
2026-12-04 08:30,America/New_York,NFP,ES  MNQ
"""


def with_calendar(file: Path, more: str = "") -> str:
    return account(f"news_file = '{file}'\nnews_before_minutes = 2\nnews_after_minutes = 3\n{more}", "")


def test_a_calendar_is_read_with_its_zones_and_up_to_its_day(read: Loader, tmp_path: Path) -> None:
    file = tmp_path / "news.csv"
    file.write_text(CALENDAR, encoding="utf-8")
    news = rules_of(read(with_calendar(file))).news
    assert news is not None
    assert (news.before, news.after, news.if_unknown) == (timedelta(minutes=2), timedelta(minutes=3), IfUnknown.DENY)
    assert news.calendar == NewsCalendar(
        date(2026, 12, 31),
        (
            NewsEvent(datetime(2026, 12, 9, 19, tzinfo=UTC), "FOMC"),
            NewsEvent(datetime(2026, 12, 4, 13, 30, tzinfo=UTC), "NFP", frozenset({"ES", "MNQ"})),
        ),
    )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "line 1: expected up to which day"),
        (CALENDAR.replace("# covers until 2026-12-31", "# covers until soon"), "line 1: expected"),
        (CALENDAR.replace("time,zone,name,roots", "when,what"), "line 2: expected time,zone,name,roots"),
        (CALENDAR.replace("America/New_York,NFP", "America/Nowhere,NFP"), "line 4: found"),
        (CALENDAR.replace("2026-12-04 08:30", "04.12.2026"), "line 4: found"),
        (CALENDAR.replace("ES  MNQ", "ES 12-26"), "line 4: found"),
        (CALENDAR.replace(",FOMC,", ",,"), "line 3: found"),
        (CALENDAR.replace(",NFP,ES", ",NFP,ES,NQ"), "line 4: found"),
    ],
)
def test_a_calendar_with_a_fault_is_refused_with_its_line(
    faults: Faults, tmp_path: Path, text: str, fault: str
) -> None:
    file = tmp_path / "news.csv"
    file.write_text(text, encoding="utf-8")
    assert any(line.startswith(f"{file}: {fault}") for line in faults(with_calendar(file)))


def test_a_calendar_that_is_not_there_or_no_text_is_refused(faults: Faults, tmp_path: Path) -> None:
    assert "cannot be read" in faults(with_calendar(tmp_path / "none.csv"))[0]
    file = tmp_path / "news.csv"
    file.write_bytes(b"\xff\xfe\xff")
    assert "not UTF-8" in faults(with_calendar(file))[0]
    file.write_bytes(b"#" * 1_000_001)
    assert "larger than a calendar" in faults(with_calendar(file))[0]


PLACES = pytest.mark.parametrize("place", ["limits", 'accounts."EVAL-1".limits', "instruments.ES.limits"])


@PLACES
@pytest.mark.parametrize("at", ["20:30 UTC", "22:05 Europe/Berlin", "05:30 Asia/Tokyo"])
def test_a_time_to_be_flat_by_that_passes_the_presets_in_a_part_of_the_year_is_refused(
    faults: Faults, place: str, at: str
) -> None:
    told = "\n".join(faults(account() + f'[{place}]\nflat_by = "{at}"'))
    assert f'flat_by: found "{at}", and topstep-50k of [accounts] "EVAL-1" has "15:10 America/Chicago"' in told


@PLACES
def test_a_time_of_another_zone_that_is_always_before_the_presets_holds_all_year(read: Loader, place: str) -> None:
    settings = read(account() + f'[{place}]\nflat_by = "15:30 America/New_York"')
    firm = FlatBy(time(15, 10), "America/Chicago")
    for day in ((2026, 1, 15), (2026, 3, 18), (2026, 7, 15), (2026, 10, 28)):
        noon, held = datetime(*day, 18, tzinfo=UTC), policy_of(settings).limits.flat_by
        assert held is not None
        assert flat_by_moment(held, noon) < flat_by_moment(firm, noon)


def test_times_of_accounts_that_never_meet_may_be_of_two_zones(read: Loader) -> None:
    others = '[accounts."OWN-2".limits]\nflat_by = "22:05 Europe/Berlin"'
    assert read(account() + others).policy.for_("OWN-2", None).limits.flat_by == FlatBy(time(22, 5), "Europe/Berlin")
