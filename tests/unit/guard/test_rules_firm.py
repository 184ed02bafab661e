"""The rules of funded accounts: each with its figures, and none that holds back what only reduces."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_mcp.domain.account import Balances
from ct_mcp.domain.balances import AccountDay, BalanceRecord, ToldFloor
from ct_mcp.domain.bracket import Bracket
from ct_mcp.domain.commands import (
    CancelOrders,
    ChangeOrder,
    ClosePosition,
    Command,
    Flatten,
    PlaceOrder,
    ProtectPosition,
    ReversePosition,
)
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.level import Distance, Unit
from ct_mcp.domain.market import trading_day
from ct_mcp.guard.context import PendingOrder, RiskContext
from ct_mcp.guard.firm_policy import (
    Automation,
    Drawdown,
    DrawdownKind,
    FirmRules,
    IfUnknown,
    NewsCalendar,
    NewsEvent,
    NewsRule,
    Preset,
    PresetFigure,
    ScalingStep,
)
from ct_mcp.guard.policy import AccountPolicy, Limits, Policy
from ct_mcp.guard.review import Review, RuleResult, review
from ct_mcp.guard.rule import Rule
from ct_mcp.guard.rules import firm as firm_rules
from tests.factories import ES, MES, NOW, SIM101, account, context, order, place_order, position, positions, stop_order
from tests.unit.guard.books import a_book

Codes = Callable[[Review], set[str]]
Finds = Callable[[Review, str], RuleResult]
MARCH, NQ, MNQ = Instrument("ES", 2027, 3), Instrument("NQ", 2026, 12), Instrument("MNQ", 2026, 12)
WIDE = replace(Limits(), max_day_loss=Decimal(10**6), max_order_risk=Decimal(10**6), max_order_notional=Decimal(10**9))
FLOOR = Drawdown(DrawdownKind.STATIC, Decimal(2_000), Decimal(50_000))
TODAY = trading_day(NOW)


def firm(automation: Automation = Automation.PROPOSE, **rules: Any) -> Policy:
    """Build the policy of an account with these rules and hardly any other limit."""
    named = AccountPolicy(automation=automation, firm=FirmRules(**rules))
    return Policy(limits=WIDE, accounts={SIM101: named}).for_(SIM101, "ES")


def worth(equity: float, *, realized: float = 0, unrealized: float = 0) -> Any:
    """Build an account of so much equity."""
    net = Decimal(str(equity))
    cash = net - Decimal(str(unrealized))
    balances = Balances(
        cash_value=cash,
        net_liquidation=net,
        realized_pnl=Decimal(str(realized)),
        unrealized_pnl=Decimal(str(unrealized)),
    )
    return account(balances=balances)


def with_stop(points: str, quantity: int = 1) -> PlaceOrder:
    """Build BUY at the market with a stop so many points away: a point of ES is 50."""
    return place_order(quantity=quantity, bracket=Bracket(stop_loss=Distance(Decimal(points), Unit.POINT)))


# The floor --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("points", "quantity", "passes"),
    [("9", 1, True), ("10", 1, False), ("4", 2, True), ("5", 2, False)],
)
def test_the_stop_out_of_an_order_leaves_equity_above_the_floor(
    codes: Codes, points: str, quantity: int, passes: bool
) -> None:
    found = review(with_stop(points, quantity), context(account=worth(48_500)), firm(drawdown=FLOOR))
    assert codes(found) == (set() if passes else {"DRAWDOWN_FLOOR_REACHED"})


def test_the_floor_is_told_with_its_figures(verdict: Finds) -> None:
    found = review(with_stop("9"), context(account=worth(48_500)), firm(drawdown=FLOOR))
    assert verdict(found, "drawdown-floor").figures == (
        "equity=48500, floor=48000 (static), stop-outs of what is open=0, of this=450"
    )


def test_the_stops_of_what_is_open_count_as_well(codes: Codes) -> None:
    held = (position(1, average_price="6395", market_price=Decimal(6400)),)
    book = context(account=worth(48_500, unrealized=250), positions=held, orders=(stop_order(stop_price="6396"),))
    assert codes(review(with_stop("5"), book, firm(drawdown=FLOOR))) == set()
    assert codes(review(with_stop("6"), book, firm(drawdown=FLOOR))) == {"DRAWDOWN_FLOOR_REACHED"}


def test_what_stands_without_a_stop_is_no_known_loss(codes: Codes) -> None:
    held = (position(1, average_price="6395", market_price=Decimal(6400)),)
    found = review(with_stop("5"), context(account=worth(60_000), positions=held), firm(drawdown=FLOOR))
    assert codes(found) == {"DRAWDOWN_FLOOR_UNKNOWN"}
    assert "without a known stop: +1 ES 12-26: protect_position places a stop" in str(found.denials[0])


def test_what_is_of_unknown_outcome_is_no_known_loss(codes: Codes) -> None:
    book = context(account=worth(60_000), pending=(PendingOrder(NQ, 1),))
    assert "DRAWDOWN_FLOOR_UNKNOWN" in codes(review(with_stop("5"), book, firm(drawdown=FLOOR)))


def test_an_order_without_a_stop_is_held_to_lose_the_distance_that_is_set(codes: Codes) -> None:
    assert codes(review(place_order(), context(account=worth(49_001)), firm(drawdown=FLOOR))) == set()
    found = review(place_order(), context(account=worth(49_000)), firm(drawdown=FLOOR))
    assert codes(found) == {"DRAWDOWN_FLOOR_REACHED"}


def test_a_stop_that_is_moved_away_is_reckoned_where_it_would_stand(codes: Codes) -> None:
    held = (position(1, average_price="6395", market_price=Decimal(6400)),)
    book = context(account=worth(48_500, unrealized=250), positions=held, orders=(stop_order(stop_price="6396"),))
    moves = {price: ChangeOrder(SIM101, "stop", stop_price=Decimal(price)) for price in (6391, 6390)}
    assert codes(review(moves[6391], book, firm(drawdown=FLOOR))) == set()
    assert codes(review(moves[6390], book, firm(drawdown=FLOOR))) == {"DRAWDOWN_FLOOR_REACHED"}
    wider = ProtectPosition(SIM101, ES, None, Decimal(6390))
    assert codes(review(wider, book, firm(drawdown=FLOOR))) == {"DRAWDOWN_FLOOR_REACHED"}


def test_an_entry_that_is_changed_counts_once_and_with_the_stop_it_is_owed(codes: Codes) -> None:
    entry = replace(place_order(limit="6390"), bracket=with_stop("9").bracket)
    book = context(account=worth(48_500), orders=(order(),), entries={"1": entry})
    moved = ChangeOrder(SIM101, "1", limit_price=Decimal(6391))
    assert codes(review(moved, book, firm(drawdown=FLOOR))) == set()
    assert codes(review(with_stop("1"), book, firm(drawdown=FLOOR))) == {"DRAWDOWN_FLOOR_REACHED"}


@pytest.mark.parametrize("known", [{"account": account()}, {"positions": None}, {"orders": None}])
def test_equity_and_book_must_be_known(codes: Codes, known: dict[str, Any]) -> None:
    book = context(**{"account": worth(60_000), **known})
    assert "DRAWDOWN_FLOOR_UNKNOWN" in codes(review(with_stop("1"), book, firm(drawdown=FLOOR)))


@pytest.mark.parametrize(
    ("balances", "code"),
    [
        (Balances(cash_value=Decimal(48_700), unrealized_pnl=Decimal(-200)), None),
        (Balances(cash_value=Decimal(48_650), unrealized_pnl=Decimal(-200)), "DRAWDOWN_FLOOR_REACHED"),
        (Balances(cash_value=Decimal(60_000)), "DRAWDOWN_FLOOR_UNKNOWN"),
        (Balances(net_liquidation=Decimal("NaN")), "DRAWDOWN_FLOOR_UNKNOWN"),
    ],
)
def test_equity_is_cash_and_what_is_open_where_it_is_not_reported(balances: Balances, code: str | None) -> None:
    known = replace(balances, realized_pnl=Decimal(0), unrealized_pnl=balances.unrealized_pnl)
    found = review(with_stop("9"), context(account=account(balances=known)), firm(drawdown=FLOOR))
    denied = {denial.code for denial in found.denials} - {"DAY_PNL_UNKNOWN"}
    assert denied == (set() if code is None else {code})


def test_a_peak_that_nobody_knows_is_a_no_with_the_words_how_to_tell_it(codes: Codes) -> None:
    trails = replace(FLOOR, kind=DrawdownKind.END_OF_DAY)
    found = review(with_stop("1"), context(account=worth(60_000)), firm(drawdown=trails))
    assert codes(found) == {"DRAWDOWN_FLOOR_UNKNOWN"}
    assert "ct-mcp floor Sim101 AMOUNT" in str(found.denials[0])
    told = BalanceRecord(told=ToldFloor(Decimal(58_000), NOW - timedelta(hours=1), "the person"))
    assert review(with_stop("1"), context(account=worth(60_000), record=told), firm(drawdown=trails)).passes


def test_days_that_moved_nothing_are_named_where_it_passes() -> None:
    trails = replace(FLOOR, kind=DrawdownKind.END_OF_DAY)
    old = NOW - timedelta(days=5)
    days = (
        AccountDay(trading_day(old), old, old, Decimal(50_000), Decimal(50_000), is_flat=True),
        AccountDay(TODAY, NOW, NOW, Decimal(50_000), Decimal(50_000)),
    )
    found = review(with_stop("1"), context(account=worth(50_000), record=BalanceRecord(days)), firm(drawdown=trails))
    assert found.passes
    assert "no figures between 2026-11-18 and 2026-11-23" in " ".join(map(str, found.findings))


# Size, sides, profit, news -----------------------------------------------------------------------------------------

STEPS = tuple(ScalingStep(Decimal(at), Decimal(minis)) for at, minis in ((50_000, 2), (51_500, 3), (52_000, 5)))


@pytest.mark.parametrize(
    ("equity", "realized", "most"),
    [(50_000, 0, 2), (51_499, 0, 2), (51_500, 0, 3), (53_000, 0, 5), (53_000, 1_400, 3), (49_000, 0, 2)],
)
def test_the_step_is_that_of_the_balance_at_the_end_of_the_last_day(
    codes: Codes, equity: int, realized: int, most: int
) -> None:
    book = context(account=worth(equity, realized=realized))
    assert codes(review(place_order(quantity=most), book, firm(scaling=STEPS))) == set()
    found = review(place_order(quantity=most + 1), book, firm(scaling=STEPS))
    assert "ACCOUNT_SCALING_EXCEEDED" in codes(found)


def test_micros_count_a_tenth_and_the_lowest_step_holds_where_no_balance_is_known(codes: Codes, verdict: Finds) -> None:
    book = context(positions=(position(10, MNQ), position(10, MES)))
    found = review(place_order(), book, firm(scaling=STEPS))
    assert codes(found) == {"ACCOUNT_SCALING_EXCEEDED"}
    assert "minis after=3, maximum=2 (the lowest step, since" in verdict(found, "firm-scaling").figures
    ten = context(positions=(position(10, MNQ),))
    assert review(place_order(), ten, firm(scaling=STEPS)).passes


@pytest.mark.parametrize(
    ("book", "passes"),
    [
        (context(), True),
        (context(positions=(position(3, MES),)), True),
        (context(positions=(position(-1, MES),)), False),
        (context(positions=(position(-1, MARCH),)), False),
        (context(orders=(order(instrument=MES, action=place_order("SELL").action),)), False),
        (context(pending=(PendingOrder(MES, -1),)), False),
        (context(positions=(position(1, MES),), orders=(stop_order(instrument=MES),)), True),
        (context(positions=(position(-1, NQ),)), True),
        (context(positions=None), False),
    ],
)
def test_nothing_is_bought_while_the_same_product_may_stand_short(book: RiskContext, passes: bool) -> None:
    assert review(place_order(), book, firm(no_opposite=True)).passes is passes


@pytest.mark.parametrize(
    ("held", "ordered"), [("FDAX", "FDXM"), ("FDXS", "FDXM"), ("CL", "QM"), ("MCL", "QM"), ("QO", "GC"), ("NG", "QG")]
)
def test_nothing_opens_against_any_other_size_of_the_same_product(codes: Codes, held: str, ordered: str) -> None:
    bought, named = place_order(instrument=Instrument(ordered, 2026, 12)), Instrument(held, 2026, 12)
    for net, denied in ((-1, {"OPPOSITE_POSITION"}), (1, set[str]())):
        found = review(bought, context(positions=(position(net, named),)), firm(no_opposite=True))
        assert codes(found) & {"OPPOSITE_POSITION"} == denied


def test_a_group_that_was_set_counts_as_one_product(codes: Codes) -> None:
    indexes = (frozenset({"ES", "MNQ"}),)
    book = context(positions=(position(-1, NQ),))
    found = review(place_order(), book, firm(no_opposite=True, opposite_groups=indexes))
    assert codes(found) == {"OPPOSITE_POSITION"}
    assert "BUY ES 12-26, against it=-1 NQ 12-26" in str(found.denials[0])


@pytest.mark.parametrize(("pnl", "passes"), [(499, True), (500, False), (700, False), (-100, True)])
def test_nothing_opens_once_the_gain_has_reached_the_lock(codes: Codes, pnl: int, passes: bool) -> None:
    book = context(account=worth(50_000 + pnl, realized=pnl))
    found = review(place_order(), book, firm(profit_lock=Decimal(500)))
    assert codes(found) == (set() if passes else {"PROFIT_LOCK_REACHED"})


def test_a_gain_that_was_reached_and_given_back_was_reached(codes: Codes) -> None:
    day = AccountDay(TODAY, NOW, NOW, Decimal(50_000), Decimal(50_100), highest=Decimal(50_600))
    book = context(account=worth(50_100, realized=100), record=BalanceRecord((day,)))
    found = review(place_order(), book, firm(profit_lock=Decimal(500)))
    assert codes(found) == {"PROFIT_LOCK_REACHED"}
    assert "day P&L=100, highest seen=600, profit lock=500" in str(found.denials[0])
    unknown = context(account=account(balances=Balances()))
    assert "DAY_PNL_UNKNOWN" in codes(review(place_order(), unknown, firm(profit_lock=Decimal(500))))


def news(at: datetime, *, until: date = TODAY, roots: tuple[str, ...] = (), unknown: str = "deny") -> NewsRule:
    calendar = NewsCalendar(until, (NewsEvent(at, "FOMC", frozenset(roots)),))
    return NewsRule(timedelta(minutes=1), timedelta(minutes=2), calendar, IfUnknown(unknown))


@pytest.mark.parametrize(
    ("seconds", "roots", "passes"),
    [
        (61, (), True),
        (60, (), False),
        (-120, (), False),
        (-121, (), True),
        (0, ("CL",), True),
        (0, ("ES",), False),
        (0, ("MES",), False),
    ],
)
def test_around_a_release_nothing_opens(codes: Codes, seconds: int, roots: tuple[str, ...], passes: bool) -> None:
    rule = news(NOW + timedelta(seconds=seconds), roots=roots)
    assert codes(review(place_order(), context(), firm(news=rule))) == (set() if passes else {"NEWS_WINDOW"})


def test_a_release_concerns_every_size_of_its_products(codes: Codes) -> None:
    bought = place_order(instrument=Instrument("QM", 2026, 12))
    for root, denied in (("CL", {"NEWS_WINDOW"}), ("MCL", {"NEWS_WINDOW"}), ("NG", set[str]())):
        assert codes(review(bought, context(), firm(news=news(NOW, roots=(root,))))) & {"NEWS_WINDOW"} == denied


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (NewsRule(timedelta(0), timedelta(0)), "no calendar of news is set"),
        (news(NOW + timedelta(days=1), until=date(2026, 11, 20)), "covers days until 2026-11-20 only"),
    ],
)
def test_a_calendar_that_has_run_out_is_never_a_day_without_news(codes: Codes, rule: NewsRule, says: str) -> None:
    found = review(place_order(), context(), firm(news=rule))
    assert codes(found) == {"NEWS_UNKNOWN"}
    assert says in str(found.denials[0])
    told = review(place_order(), context(), firm(news=replace(rule, if_unknown=IfUnknown.TELL)))
    assert told.passes
    assert says in " ".join(map(str, told.findings))


def test_the_account_may_require_a_stop_for_itself(codes: Codes) -> None:
    assert codes(review(place_order(), context(), firm(require_stop=True))) == {"STOP_REQUIRED"}
    assert review(with_stop("5"), context(), firm(require_stop=True)).passes
    assert (
        not Policy(accounts={"OTHER": AccountPolicy(firm=FirmRules(require_stop=True))})
        .for_(SIM101, "ES")
        .protection.require_stop
    )


# All of them -------------------------------------------------------------------------------------------------------

HARD: dict[str, Any] = {
    "drawdown": Drawdown(DrawdownKind.INTRADAY, Decimal(1), Decimal(10**9)),
    "scaling": (ScalingStep(Decimal(0), Decimal("0.1")),),
    "no_opposite": True,
    "opposite_groups": (frozenset({"ES", "NQ"}),),
    "require_stop": True,
    "profit_lock": Decimal("0.01"),
    "news": NewsRule(timedelta(days=1), timedelta(days=1)),
}
OF_FIRMS = {rule.id for rule in vars(firm_rules).values() if isinstance(rule, Rule)} - {"account-automation"}
LEAVING: tuple[Command, ...] = (
    Flatten(SIM101, None),
    Flatten(SIM101, ES),
    ClosePosition(SIM101, ES),
    CancelOrders(SIM101, None),
)


def commands() -> st.SearchStrategy[Command]:
    """Draw what may leave, turn, open or move something."""
    sizes = st.integers(1, 8)
    prices = st.sampled_from([Decimal(6380), Decimal(6390), Decimal(6410), Decimal(6420)])
    return st.one_of(
        st.sampled_from(LEAVING),
        sizes.map(lambda size: ClosePosition(SIM101, ES, quantity=size)),
        st.builds(place_order, st.sampled_from(["BUY", "SELL"]), sizes),
        st.builds(lambda price: ProtectPosition(SIM101, ES, None, price), prices),
        st.builds(lambda price: ChangeOrder(SIM101, "0", stop_price=price), prices),
        st.just(ReversePosition(SIM101, ES)),
    )


@given(book=a_book(lambda **known: context(account=worth(100), **known)), command=commands())
def test_none_of_them_ever_denies_what_only_reduces(book: RiskContext, command: Command) -> None:
    found = review(command, book, firm(**HARD))
    said = {result.rule.id: result for result in found.results}
    assert set(said) >= OF_FIRMS
    if found.effect.only_reduces:
        assert [said[rule].figures for rule in OF_FIRMS | {"stop-required"} if said[rule].denial] == []


def test_they_all_deny_what_opens(codes: Codes) -> None:
    book = context(account=worth(100, realized=50), positions=(position(-1, NQ),))
    assert codes(review(place_order(quantity=2), book, firm(**HARD))) >= {
        "DRAWDOWN_FLOOR_REACHED",
        "ACCOUNT_SCALING_EXCEEDED",
        "OPPOSITE_POSITION",
        "STOP_REQUIRED",
        "PROFIT_LOCK_REACHED",
        "NEWS_UNKNOWN",
    }


def test_without_rules_of_a_firm_none_of_them_says_anything(verdict: Finds) -> None:
    found = review(place_order(), context(), firm())
    assert {verdict(found, rule).result for rule in OF_FIRMS} == {"not applicable"}


@pytest.mark.parametrize("command", [*LEAVING, place_order(), place_order("SELL")])
def test_to_an_account_that_is_advised_on_nothing_is_sent_and_no_exit(codes: Codes, command: Command) -> None:
    book = context(positions=positions(2))
    assert "ACCOUNT_ADVISE_ONLY" in codes(review(command, book, firm(Automation.ADVISE)))


def test_a_preset_is_named_with_its_date_and_loudly_when_it_is_old(verdict: Finds) -> None:
    figure = PresetFigure("profit_lock", "500", "https://example.com", date(2026, 10, 4))
    preset = Preset("some-50k", "Some 50K", (figure, replace(figure, checked=date(2026, 11, 1))))
    rules = firm(profit_lock=Decimal(500), preset=preset)
    told = verdict(review(place_order(), context(), rules), "profit-lock").figures
    assert told.endswith("; preset some-50k of 2026-10-04")
    later = context(now=datetime(2027, 1, 3, 15, tzinfo=UTC))
    old = verdict(review(place_order(), later, rules), "profit-lock").figures
    assert old.endswith("of 2026-10-04, OLD: looked up 91 days ago, compare it with the firm's own page")
