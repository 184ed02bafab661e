"""When trading ends early: by the service's word, else by the table; and how the time to be flat by moves with it."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_mcp.domain.market import Session, trading_day, trading_day_began
from ct_mcp.guard.flat_by import flat_by_is_near, flat_by_time
from ct_mcp.guard.holidays import CHICAGO, CLOSED_DAYS, COVERS_UNTIL, EARLY_CLOSES, end_of_day
from ct_mcp.guard.policy import FlatBy, Limits, Mode, Policy, Watching
from ct_mcp.guard.review import review
from tests.factories import context, place_order, quote, session

BLACK_FRIDAY = datetime(2026, 11, 27, 15, tzinfo=UTC)
A_MONDAY = datetime(2026, 11, 30, 15, tzinfo=UTC)
TEN_PAST_THREE = FlatBy(time(15, 10), "America/Chicago")


def at(day: date, hour: int, minute: int = 0) -> datetime:
    """A time of day in Chicago."""
    return datetime.combine(day, time(hour, minute), CHICAGO)


def told(now: datetime, closes: time, next_closes: time = time(16)) -> Session:
    """Build the report of an open session that closes at a time in Chicago, and of the one of the day after it."""
    day, later = trading_day(now), trading_day(now) + timedelta(days=3 if now.weekday() == 4 else 1)
    opens_next = at(later - timedelta(days=1), 17)
    return session(
        closes_at=datetime.combine(day, closes, CHICAGO),
        next_opens_at=opens_next,
        next_closes_at=datetime.combine(later, next_closes, CHICAGO),
    )


@pytest.mark.parametrize(
    ("flat_by", "now", "comes_at"),
    [
        ("15:10 America/Chicago", A_MONDAY, time(15, 10)),
        ("15:10 America/Chicago", BLACK_FRIDAY, time(11, 25)),
        ("16:59 America/New_York", BLACK_FRIDAY, time(12, 14)),
        ("17:00 America/New_York", BLACK_FRIDAY, time(12, 14)),
        ("10:00 America/Chicago", BLACK_FRIDAY, time(10)),
        ("14:00 America/Chicago", BLACK_FRIDAY, time(11, 15)),
        ("15:10 America/Chicago", datetime(2026, 4, 3, 12, tzinfo=UTC), time(7, 25)),
    ],
)
def test_it_comes_as_long_before_an_early_close_as_before_the_usual_one(
    flat_by: str, now: datetime, comes_at: time
) -> None:
    hour, zone = flat_by.split()
    found = flat_by_time(FlatBy(time.fromisoformat(hour), zone), now)
    assert found.at.astimezone(CHICAGO).time() == comes_at
    assert found.at <= found.usual


def test_it_says_by_whose_word_it_comes_early() -> None:
    by_table = flat_by_time(TEN_PAST_THREE, BLACK_FRIDAY)
    assert by_table.why == (
        "today at 2026-11-27 17:25 UTC: trading ends at 2026-11-27 18:15 UTC, "
        "the day after Thanksgiving by the table of 2026-11-30"
    )
    by_service = flat_by_time(TEN_PAST_THREE, A_MONDAY, told(A_MONDAY, time(9, 30)))
    assert by_service.why == (
        "today at 2026-11-30 14:40 UTC: trading ends at 2026-11-30 15:30 UTC, as the service reports"
    )
    assert flat_by_time(TEN_PAST_THREE, A_MONDAY).why == ""


@pytest.mark.parametrize(
    ("now", "report", "ends_at"),
    [
        (BLACK_FRIDAY, told(BLACK_FRIDAY, time(16)), None),
        (BLACK_FRIDAY, told(BLACK_FRIDAY, time(12)), time(12)),
        (BLACK_FRIDAY, session(is_open=False), time(12, 15)),
        (BLACK_FRIDAY, session(is_open=None), time(12, 15)),
        (BLACK_FRIDAY, session(closes_at=None), time(12, 15)),
        (BLACK_FRIDAY, session(closes_at=BLACK_FRIDAY - timedelta(minutes=1)), time(12, 15)),
        (BLACK_FRIDAY, None, time(12, 15)),
        (A_MONDAY, told(A_MONDAY, time(16)), None),
        (A_MONDAY, told(A_MONDAY, time(12)), time(12)),
        (A_MONDAY, told(A_MONDAY, time(13, 20), time(13, 20)), None),
        (A_MONDAY, None, None),
    ],
    ids=[
        "told as usual on a day of the table",
        "told earlier than the table",
        "closed now",
        "not said whether it is open",
        "no end told",
        "a report that has run out",
        "the table alone",
        "told as usual",
        "told early, and not in the table",
        "a product that closes so every day",
        "nothing at all",
    ],
)
def test_the_word_of_the_service_goes_before_the_table(
    now: datetime, report: Session | None, ends_at: time | None
) -> None:
    closes = end_of_day(now, report).closes_at
    assert (None if closes is None else closes.astimezone(CHICAGO).time()) == ends_at


def test_of_two_holidays_in_a_row_each_ends_early() -> None:
    thanksgiving = datetime(2026, 11, 26, 15, tzinfo=UTC)
    for next_closes in (time(12), time(12, 15)):
        closes = end_of_day(thanksgiving, told(thanksgiving, time(12), next_closes)).closes_at
        assert closes == at(date(2026, 11, 26), 12)


def test_a_session_that_another_of_the_same_day_follows_does_not_end_it() -> None:
    night = session(
        closes_at=at(date(2026, 11, 30), 10),
        next_opens_at=at(date(2026, 11, 30), 10, 30),
        next_closes_at=at(date(2026, 11, 30), 13, 20),
    )
    assert end_of_day(A_MONDAY, night).closes_at is None


def test_beyond_the_table_nobody_knows_and_that_is_said() -> None:
    later = datetime(2028, 1, 4, 15, tzinfo=UTC)
    assert end_of_day(later, None).unknown == "holidays after 2027-12-31 are not known here"
    assert flat_by_time(TEN_PAST_THREE, later).why == "holidays after 2027-12-31 are not known here"
    assert end_of_day(later, told(later, time(16))).unknown == ""
    policy = Policy(limits=Limits(flat_by=TEN_PAST_THREE))
    found = review(place_order(), context(now=later, quote=quote(at=later), session=None), policy)
    assert "flat by: holidays after 2027-12-31 are not known here" in " ".join(map(str, found.findings))


def test_the_table_holds_weekdays_that_it_covers() -> None:
    assert all(day.weekday() < 5 and day <= COVERS_UNTIL for day in EARLY_CLOSES)
    assert all(time(8) <= closes < time(16) for closes, _ in EARLY_CLOSES.values())
    assert {day.year for day in EARLY_CLOSES} == {2026, 2027}
    assert not CLOSED_DAYS & set(EARLY_CLOSES)
    assert all(day.weekday() < 5 for day in CLOSED_DAYS)


@pytest.mark.parametrize(("minutes", "passes"), [(-1, True), (0, False), (200, False)])
def test_nothing_opens_from_the_earlier_time_on(minutes: int, passes: bool) -> None:
    now = at(date(2026, 11, 27), 11, 25) + timedelta(minutes=minutes)
    book = context(now=now, quote=quote(at=now), session=told(now, time(12, 15)))
    found = review(place_order(), book, Policy(limits=Limits(flat_by=TEN_PAST_THREE)))
    denied = [str(denial) for denial in found.denials if denial.code == "FLAT_BY_PASSED"]
    assert (denied == []) is passes
    if denied:
        assert "flat by=15:10 America/Chicago" in denied[0]
        assert "as the service reports" in denied[0] or "by the table" in denied[0]


@pytest.mark.parametrize("acts", [True, False])
def test_the_sessions_are_looked_at_from_the_morning_on_where_there_is_such_a_time(acts: bool) -> None:
    policy = Policy(limits=Limits(flat_by=TEN_PAST_THREE), watches=Watching(flat_by_acts=acts))
    night, morning = at(date(2026, 11, 30), 5, 59), at(date(2026, 11, 30), 6)
    assert [flat_by_is_near(policy, now) for now in (night, morning)] == [False, True]
    assert not flat_by_is_near(Policy(watches=Watching(flat_by_acts=acts)), morning)
    assert not flat_by_is_near(replace(policy, mode=Mode.READ_ONLY), morning)


@given(
    now=st.integers(0, 3 * 365 * 24 * 12).map(lambda fives: A_MONDAY + timedelta(minutes=5 * fives)),
    hour=st.times(),
    closes=st.none() | st.times(),
    next_closes=st.times(),
)
def test_it_never_comes_later_than_usual_and_always_within_its_trading_day(
    now: datetime, hour: time, closes: time | None, next_closes: time
) -> None:
    report = None if closes is None else told(now, closes, next_closes)
    found = flat_by_time(FlatBy(hour.replace(second=0, microsecond=0, fold=0), "America/Chicago"), now, report)
    assert found.at <= found.usual
    began = trading_day_began(now)
    assert began < found.usual <= began + timedelta(hours=25)
    if found.end.closes_at is not None:
        assert found.at <= found.end.closes_at - timedelta(minutes=1)
