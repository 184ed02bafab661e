"""Where the floor stands: the arithmetic, held against another's, and what is not known."""

import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from propfirm_calc import drawdown_floor

from ct_mcp.domain.balances import AccountDay, BalanceRecord, Figures, ToldFloor, noted
from ct_mcp.guard.drawdown import Floor, floor_of
from ct_mcp.guard.firm_policy import Drawdown, DrawdownKind

MONDAY = date(2026, 11, 23)
NOW = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)
EOD, INTRADAY, STATIC = DrawdownKind.END_OF_DAY, DrawdownKind.INTRADAY, DrawdownKind.STATIC


def money(amount: float | str) -> Decimal:
    return Decimal(str(amount))


def plan(kind: DrawdownKind = EOD, locks_at: int | None = 50_000, amount: int = 2_000) -> Drawdown:
    return Drawdown(kind, money(amount), money(50_000), None if locks_at is None else money(locks_at))


def a_day(day: date, opening: int | None, balance: int | None, **known: object) -> AccountDay:
    at = datetime(day.year, day.month, day.day, 15, tzinfo=UTC)
    cash = {"opening": opening, "balance": balance}
    amounts = {name: None if amount is None else money(amount) for name, amount in cash.items()}
    return AccountDay(day, at, at, **{**amounts, **known})  # type: ignore[arg-type]


def days(*ends: tuple[date, int, int]) -> BalanceRecord:
    return BalanceRecord(tuple(a_day(*each) for each in ends))


NAMES = {STATIC: "static", EOD: "eod_trailing", INTRADAY: "trailing"}


@given(
    kind=st.sampled_from(DrawdownKind),
    ends=st.lists(st.integers(48_001, 60_000), min_size=1, max_size=10),
    equity=st.integers(48_001, 60_000),
    lock=st.sampled_from([50_000, 50_100, 52_000, None]),
)
def test_the_floor_is_what_another_calculator_makes_of_the_same_peak(
    kind: DrawdownKind, ends: list[int], equity: int, lock: int | None
) -> None:
    opened = [50_000, *ends[:-1]]
    first = date(2026, 8, 31)
    weekdays = [first + timedelta(days=7 * (n // 5) + n % 5) for n in range(len(ends) + 1)]
    rows = [a_day(weekdays[n], opened[n], ends[n]) for n in range(len(ends))]
    today = a_day(weekdays[-1], ends[-1], equity, highest=money(equity))
    now = today.last_at + timedelta(minutes=1)
    found = floor_of(plan(kind, lock), BalanceRecord((*rows, today)), money(equity), now)
    peak = max(50_000, *ends, equity) if kind is INTRADAY else max(50_000, *ends)
    expected = drawdown_floor(50_000, 2_000, peak, NAMES[kind], math.inf if lock is None else lock)
    assert float(found.amount) == expected
    assert not found.unknown


def test_a_static_floor_needs_no_record() -> None:
    assert floor_of(plan(STATIC), BalanceRecord(), money(49_000), NOW) == Floor(money(48_000))


def test_a_floor_by_the_end_of_day_does_not_move_within_a_day() -> None:
    record = days((MONDAY, 50_000, 51_500))
    assert floor_of(plan(), record, money(51_900), NOW).amount == 48_000
    tomorrow = days((MONDAY, 50_000, 51_500), (MONDAY + timedelta(days=1), 51_400, 51_400))
    found = floor_of(plan(), tomorrow, money(51_400), NOW + timedelta(days=1))
    assert found == Floor(money(49_500)), "the last balance of Monday counts, whatever Tuesday opened with"


def test_a_floor_by_the_moment_moves_with_the_highest_equity() -> None:
    record = BalanceRecord((a_day(MONDAY, 50_000, 50_000, highest=money(50_700)),))
    assert floor_of(plan(INTRADAY), record, money(50_200), NOW).amount == 48_700
    assert floor_of(plan(INTRADAY), record, money(50_900), NOW).amount == 48_900


def test_without_a_beginning_the_peak_is_not_known() -> None:
    found = floor_of(plan(), days((MONDAY, 50_600, 50_600)), money(50_600), NOW)
    assert found.amount == 48_600
    assert found.unknown == "the peak before 2026-11-23 15:00 UTC is not on record"
    assert floor_of(plan(), BalanceRecord(), money(50_000), NOW).unknown == "the peak of this account is not on record"


def test_what_the_person_told_is_the_beginning_and_the_floor_never_falls_below_it() -> None:
    told = ToldFloor(money(48_250), NOW - timedelta(hours=1), "the person")
    record = BalanceRecord((a_day(MONDAY, 50_600, 50_100),), told)
    assert floor_of(plan(), record, money(50_100), NOW) == Floor(money(48_250))
    higher = BalanceRecord((a_day(MONDAY, 50_600, 50_100), a_day(MONDAY + timedelta(days=1), 51_000, 51_000)), told)
    assert floor_of(plan(), higher, money(51_000), NOW + timedelta(days=1)) == Floor(money(49_000))


@pytest.mark.parametrize(
    ("after", "opening", "unknown"),
    [
        (1, 50_300, ""),
        (2, 50_300, "no figures between 2026-11-23 and 2026-11-25"),
        (2, 50_000, "no figures between 2026-11-23 and 2026-11-25"),
    ],
)
def test_days_without_figures_are_named(after: int, opening: int, unknown: str) -> None:
    second = MONDAY + timedelta(days=after)
    record = days((MONDAY, 50_000, 50_100), (second, opening, opening))
    assert floor_of(plan(), record, money(opening), NOW + timedelta(days=after)).unknown == unknown


def test_a_gap_over_which_nothing_happened_is_named_and_no_obstacle() -> None:
    record = BalanceRecord(
        (a_day(MONDAY, 50_000, 50_100, is_flat=True), a_day(MONDAY + timedelta(days=3), 50_100, 50_100))
    )
    found = floor_of(plan(), record, money(50_100), NOW + timedelta(days=3))
    assert (found.amount, found.unknown) == (money(48_100), "")
    assert found.gaps == ("no figures between 2026-11-23 and 2026-11-26: the balance was the same before and after",)


def test_over_a_weekend_there_is_no_gap() -> None:
    friday = date(2026, 11, 20)
    record = days((friday, 50_000, 50_400), (MONDAY, 50_500, 50_500))
    assert floor_of(plan(), record, money(50_500), NOW) == Floor(money(48_500))


def test_over_a_day_on_which_nothing_trades_there_is_no_gap() -> None:
    eve, monday = date(2026, 12, 24), date(2026, 12, 28)
    record = days((eve, 50_000, 50_500), (monday, 50_700, 50_700))
    found = floor_of(plan(locks_at=None), record, money(50_700), record.days[-1].last_at)
    assert found == Floor(money(48_700)), "what the last day ended at is what this one began with"
    thursday, next_monday = date(2026, 12, 10), date(2026, 12, 14)
    ordinary = days((thursday, 50_000, 50_500), (next_monday, 50_700, 50_700))
    unseen = floor_of(plan(locks_at=None), ordinary, money(50_700), ordinary.days[-1].last_at)
    assert unseen.unknown == "no figures between 2026-12-10 and 2026-12-14"


@given(
    kind=st.sampled_from([EOD, INTRADAY]),
    ends=st.lists(st.integers(48_001, 60_000), min_size=2, max_size=6),
    lost=st.sets(st.integers(0, 5)),
    equity=st.integers(47_000, 60_000),
)
def test_what_nobody_saw_can_only_make_the_floor_higher(
    kind: DrawdownKind, ends: list[int], lost: set[int], equity: int
) -> None:
    """So the room above a floor that is not known is that figure at most, and an alert beneath it is no guess."""
    first, opened = date(2026, 8, 31), [50_000, *ends[:-1]]
    rows = [
        a_day(first + timedelta(days=7 * (n // 5) + n % 5), opened[n], end, highest=money(max(end, opened[n])))
        for n, end in enumerate(ends)
    ]
    seen = BalanceRecord(tuple(row for n, row in enumerate(rows) if n not in lost))
    now = rows[-1].last_at + timedelta(minutes=1)
    known = floor_of(plan(kind, None), BalanceRecord(tuple(rows)), money(equity), now)
    assert floor_of(plan(kind, None), seen, money(equity), now).amount <= known.amount


def test_a_record_that_ends_days_ago_is_a_gap_until_today() -> None:
    found = floor_of(plan(), days((MONDAY, 50_000, 50_000)), money(50_000), NOW + timedelta(days=3))
    assert found.unknown == "no figures between 2026-11-23 and 2026-11-26"


def test_a_floor_that_has_locked_is_known_whatever_was_not_seen() -> None:
    record = days((MONDAY, 53_000, 53_000))
    assert floor_of(plan(), record, money(53_000), NOW) == Floor(money(50_000))


def read(minutes: int, cash: float, unrealized: float = 0, realized: float = 0, *, flat: bool = True) -> Figures:
    at = NOW + timedelta(minutes=minutes)
    return Figures("EVAL-1", at, money(cash), money(realized), money(unrealized), is_flat=flat)


def test_a_reading_tells_how_the_day_before_ended() -> None:
    day = noted(None, read(0, 50_250, 30, realized=250))
    assert day is not None
    assert [day.opening, day.balance, day.highest, day.gain] == [money(each) for each in (50_000, 50_250, 50_280, 250)]


def test_the_stream_is_reckoned_from_the_opening_and_keeps_the_highest() -> None:
    first = noted(None, read(0, 50_000))
    streamed = Figures("EVAL-1", NOW + timedelta(seconds=20), None, money(100), money(400))
    second = noted(first, streamed)
    assert second is not None
    assert [second.balance, second.highest] == [money(50_100), money(50_500)]
    third = noted(second, Figures("EVAL-1", NOW + timedelta(seconds=40), None, money(100), money(-400)))
    assert third is not None
    assert third.highest == 50_500
    assert noted(None, streamed) is None, "nobody knows what it opened with"


@pytest.mark.parametrize(
    ("last", "next_one", "is_unwatched"),
    [
        (read(0, 50_000), read(30, 50_000), False),
        (read(0, 50_000), read(30, 50_100, realized=100), True),
        (read(0, 50_000, 20, flat=False), read(30, 50_000), True),
        (read(0, 50_000), read(30, 50_000, 20, flat=False), True),
        (read(0, 50_000, 20, flat=False), read(1, 50_000, 25, flat=False), False),
    ],
)
def test_a_stretch_in_which_something_may_have_been_held_unseen_is_kept(
    last: Figures, next_one: Figures, is_unwatched: bool
) -> None:
    day = noted(noted(None, last), next_one)
    assert day is not None
    assert day.unwatched == ((last.at, next_one.at) if is_unwatched else None)
    found = floor_of(plan(INTRADAY), BalanceRecord((day,)), money(50_100), next_one.at)
    assert bool(found.unknown) is is_unwatched
    told = BalanceRecord((day,), ToldFloor(money(48_100), next_one.at, "the person"))
    assert not floor_of(plan(INTRADAY), told, money(50_100), next_one.at).unknown


def test_what_is_older_than_the_record_adds_nothing() -> None:
    assert noted(noted(None, read(5, 50_000)), read(0, 60_000)) is None


@pytest.mark.parametrize("hour", [15, 22])
def test_the_last_balance_is_that_of_the_end_only_in_the_hour_before_the_roll(hour: int) -> None:
    """At 22:30 UTC in November it is 16:30 in Chicago: nothing trades until the day rolls."""
    at = datetime(2026, 11, 23, hour, 30, tzinfo=UTC)
    record = BalanceRecord(
        (
            AccountDay(MONDAY, at, at, money(50_000), money(50_100)),
            AccountDay(MONDAY + timedelta(days=1), at, at + timedelta(days=1), None, money(50_100)),
        )
    )
    unknown = floor_of(plan(), record, money(50_100), at + timedelta(days=1)).unknown
    assert bool(unknown) is (hour == 15)


@given(
    kind=st.sampled_from(DrawdownKind),
    ends=st.lists(st.integers(40_000, 60_000), min_size=1, max_size=8),
    lock=st.sampled_from([50_000, 51_000, None]),
)
def test_the_floor_never_falls(kind: DrawdownKind, ends: list[int], lock: int | None) -> None:
    floors, rows, opening = [], list[AccountDay](), 50_000
    for number, end in enumerate(ends):
        day = date(2026, 8, 31) + timedelta(days=number)
        rows.append(a_day(day, opening, end, highest=money(max(opening, end))))
        floors.append(floor_of(plan(kind, lock), BalanceRecord(tuple(rows)), money(end), rows[-1].last_at).amount)
        opening = end
    assert floors == sorted(floors)
    assert floors[0] >= 48_000


def test_what_a_clock_that_was_ahead_has_written_is_no_known_peak() -> None:
    record = days((MONDAY, 50_000, 50_000), (MONDAY + timedelta(days=1), 50_000, 50_000))
    unknown = floor_of(plan(), record, money(50_000), NOW).unknown
    assert unknown == "a clock was set back: the record goes on from 2026-11-24 15:00 UTC"
