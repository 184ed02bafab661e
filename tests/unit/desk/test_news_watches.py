"""What a window around a release takes away: never what protects, whatever the book."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_mcp.desk.news_watches import resting_that_open
from ct_mcp.desk.polling import AccountState, book_of
from ct_mcp.domain.commands import CancelOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import Order, OrderAction
from ct_mcp.guard.context import RiskContext
from ct_mcp.guard.effect import effect_of
from ct_mcp.guard.firm_policy import FirmRules, NewsCalendar, NewsEvent, NewsRule
from ct_mcp.guard.news_windows import NewsWindow, settings_act, windows_near
from ct_mcp.guard.policy import AccountPolicy, Mode, Policy
from tests.factories import ES, MES, NOW, SIM101, context, order, position, stop_order
from tests.unit.guard.books import a_book
from tests.unit.guard.test_effect_of_all import reach

TWO = timedelta(minutes=2)
ALL = NewsWindow(NOW, NOW, (NewsEvent(NOW, "FOMC"),))
OF_ES = NewsWindow(NOW, NOW, (NewsEvent(NOW, "FOMC", frozenset({"ES"})),))
FOMC, CPI = NewsEvent(NOW, "FOMC"), NewsEvent(NOW, "CPI", frozenset({"MES"}))


def chosen(held: int, *orders: Order, window: NewsWindow = ALL, owed: tuple[str, ...] = ()) -> list[str]:
    """Ids of what is taken away of these orders, beside so many contracts."""
    book = AccountState((position(held),) if held else (), orders)
    return [each.order_id for each in resting_that_open(book, window, owed, NOW)]


@pytest.mark.parametrize(
    ("held", "orders", "goes"),
    [
        (0, (order("1"), stop_order("2")), ["1", "2"]),
        (1, (order("1"), stop_order("2")), ["1"]),
        (-1, (order("1"), stop_order("2")), ["2"]),
        (1, (order("1", action=OrderAction.SELL), order("2", action=OrderAction.SELL, quantity=5)), []),
        (1, (order("1", oco_id="a"), stop_order("2", oco_id="a")), []),
        (0, (order("1", oco_id="a"), order("2", oco_id="a", action=OrderAction.SELL)), ["1", "2"]),
    ],
    ids=["flat", "long", "short", "exits, however large", "in one group with the stop", "a pair that opens"],
)
def test_what_opens_or_adds_goes_and_what_leaves_stands(held: int, orders: tuple[Order, ...], goes: list[str]) -> None:
    assert chosen(held, *orders) == goes


def test_only_what_the_release_concerns_goes_in_either_size() -> None:
    others = (order("1"), order("2", instrument=MES), order("3", instrument=Instrument("CL", 2027, 1)))
    assert chosen(0, *others, window=OF_ES) == ["1", "2"]


def test_exits_that_are_owed_stand_although_the_position_is_not_listed_yet() -> None:
    assert chosen(0, stop_order("1", own_id="ours"), stop_order("2"), owed=("ours", "other")) == ["2"]


@given(book=a_book(context))
def test_on_any_book_nothing_goes_that_protects_or_that_may_be_an_exit(book: RiskContext) -> None:
    read = book_of(book.positions or (), book.orders or (), None)
    assert read is not None
    net = book.net_position(ES) or 0
    for taken in resting_that_open(read, ALL, (), NOW):
        assert net * taken.action.sign >= 0
        effect = effect_of(
            CancelOrder(SIM101, taken.order_id), RiskContext(NOW, positions=read.positions, orders=read.orders)
        )
        assert effect.only_reduces
        assert effect.lost is not None
        assert not effect.lost.is_any
        before = reach(net, read.orders, ())
        gone = {each.order_id for each in effect.cancels or ()}
        after = reach(net, [each for each in read.orders if each.order_id not in gone], ())
        assert after[0] <= before[0]
        assert after[1] <= before[1]


def news(*events: NewsEvent, no_resting: bool = True) -> NewsRule:
    return NewsRule(TWO, TWO, NewsCalendar(NOW.date(), events), no_resting=no_resting)


@pytest.mark.parametrize(
    ("no_resting", "seconds", "near"),
    [
        (True, 751, False),
        (True, 750, True),
        (False, 721, False),
        (False, 720, True),
        (False, -120, True),
        (False, -121, False),
    ],
)
def test_a_window_is_near_from_its_warning_on_and_begins_earlier_where_nothing_may_rest(
    no_resting: bool, seconds: int, near: bool
) -> None:
    now = NOW - timedelta(seconds=seconds)
    rule = news(FOMC, no_resting=no_resting)
    assert bool(windows_near(rule, now, timedelta(minutes=10))) is near
    account = AccountPolicy(firm=FirmRules(news=rule))
    assert settings_act(Policy(accounts={SIM101: account}), now) is near
    assert not settings_act(Policy(mode=Mode.READ_ONLY, accounts={SIM101: account}), now)


def test_releases_of_one_moment_share_a_window() -> None:
    (window,) = windows_near(news(FOMC, CPI), NOW, TWO)
    assert window.events == (FOMC, CPI)
    assert window.concerns(ES)
    assert window.begins_at == NOW - timedelta(minutes=2, seconds=30)


@given(st.integers(-900, 900), st.booleans())
def test_without_a_calendar_no_window_is_near(seconds: int, no_resting: bool) -> None:
    rule = NewsRule(TWO, TWO, no_resting=no_resting)
    assert windows_near(rule, NOW + timedelta(seconds=seconds), TWO) == []
