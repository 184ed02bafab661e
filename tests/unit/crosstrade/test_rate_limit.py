"""The request budget: how many requests leave, and when."""

from datetime import UTC, datetime, timedelta
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_mcp.crosstrade.rate_limit import THIRD, Allowance, OwnBudget, Rank, TokenBucket, allowance

START = datetime(2026, 3, 18, 21, 0, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def taken_at_once(bucket: TokenBucket, rank: Rank) -> int:
    for number in range(100):
        bucket, wait = bucket.taken(START, rank)
        if wait:
            return number
    raise AssertionError("the bucket has no bottom")


def test_thirteen_requests_leave_at_once_three_more_are_kept_for_what_exits_look_at_and_three_for_exits() -> None:
    assert taken_at_once(TokenBucket(), Rank.USUAL) == 13
    assert taken_at_once(TokenBucket(), Rank.FOR_EXIT) == 16
    assert taken_at_once(TokenBucket(), Rank.EXIT) == 19
    assert taken_at_once(TokenBucket(tokens=6.0), Rank.USUAL) == 0
    assert taken_at_once(TokenBucket(tokens=6.0), Rank.FOR_EXIT) == 3
    assert taken_at_once(TokenBucket(tokens=6.0), Rank.EXIT) == 6


def test_no_number_of_read_backs_keeps_an_exit_from_leaving() -> None:
    bucket, seconds = TokenBucket(at=START), 0.0
    for _ in range(200):  # they ask again as soon as they may
        bucket, wait = bucket.taken(after(seconds), Rank.FOR_EXIT)
        assert bucket.taken(after(seconds), Rank.EXIT)[1] == 0.0
        seconds += wait
    assert seconds > 20


def test_a_request_without_a_token_is_told_how_long_to_wait_and_takes_none() -> None:
    bucket, wait = TokenBucket(tokens=6.0, at=START).taken(START, Rank.USUAL)
    assert wait == pytest.approx(1 / 2.9, abs=0.001)
    assert bucket.tokens == 6.0


def test_a_request_that_waits_as_it_was_told_leaves() -> None:
    bucket, wait = TokenBucket(tokens=0.0, at=START).taken(START, Rank.EXIT)
    assert bucket.taken(after(wait), Rank.EXIT)[1] == 0.0


def test_a_little_less_comes_back_than_the_service_gives() -> None:
    assert TokenBucket(tokens=0.0, at=START).refilled(after(2)).tokens == pytest.approx(5.8)
    assert TokenBucket(tokens=0.0, at=START).refilled(after(60)).tokens == 19.0


def test_of_two_clocks_that_differ_a_little_the_one_behind_refills_nothing() -> None:
    bucket = TokenBucket(0.0, START)
    for _ in range(100):
        bucket = bucket.refilled(after(0.2)).refilled(START)
    assert bucket.tokens == pytest.approx(0.2 * 2.9)


def test_a_clock_that_goes_back_refills_nothing_and_does_not_lock_the_bucket() -> None:
    bucket = TokenBucket(tokens=0.0, at=START).refilled(after(-3600))
    assert bucket.tokens == 0.0
    assert bucket.refilled(after(-3599)).tokens == pytest.approx(2.9)


def test_after_a_refusal_nothing_leaves_before_their_time_and_then_exits_first() -> None:
    bucket = TokenBucket().penalised(START, 1.5)
    assert bucket.taken(START, Rank.EXIT)[1] == 1.5
    assert bucket.taken(after(1.4), Rank.EXIT)[1] > 0
    assert bucket.taken(after(1.5), Rank.EXIT)[1] == 0.0
    assert bucket.taken(after(1.5), Rank.USUAL)[1] == pytest.approx(6 / 2.9, abs=0.001)


@pytest.mark.parametrize("rank", [Rank.EXIT, Rank.FOR_EXIT])
def test_no_pause_that_they_ask_for_keeps_an_exit_waiting_for_more_than_two_seconds(rank: Rank) -> None:
    bucket = TokenBucket().penalised(START, 300.0)
    assert bucket.taken(START, rank)[1] == 2.0
    assert bucket.taken(after(1.5), rank, 1.5)[1] == 0.5
    assert bucket.taken(after(2), rank, 2.0)[1] == 0.0
    assert bucket.taken(after(2), Rank.USUAL, 2.0)[1] == pytest.approx(298 + 6 / 2.9, abs=0.01)


def test_an_empty_budget_of_our_own_makes_an_exit_wait_for_its_turn_however_long_it_has_waited() -> None:
    assert TokenBucket(0.0, START).taken(START, Rank.EXIT, 5.0)[1] == pytest.approx(1 / 2.9, abs=0.001)


def test_no_number_of_exits_in_a_pause_makes_it_longer_for_the_others() -> None:
    bucket = TokenBucket().penalised(START, 300.0)
    for _ in range(30):
        bucket, _ = bucket.taken(START, Rank.EXIT, 2.0)
    assert allowance(bucket, START).paused_seconds == 300.0


def test_a_shorter_penalty_does_not_lift_a_longer_one() -> None:
    bucket = TokenBucket().penalised(START, 10.0).penalised(after(1), 1.0)
    assert allowance(bucket, after(1)).paused_seconds == pytest.approx(9.0)


@pytest.mark.parametrize(("asked", "waits"), [(-5.0, 0.0), (1e9, 300.0)])
def test_an_impossible_penalty_is_kept_within_bounds(asked: float, waits: float) -> None:
    assert allowance(TokenBucket().penalised(START, asked), START).paused_seconds == waits


@pytest.mark.parametrize(
    ("tokens", "told"),
    [
        (19.0, Allowance(13, 19, 0.0)),
        (6.5, Allowance(0, 6, 4.31)),
        (-9.0, Allowance(0, 0, 9.655, paused_seconds=3.448)),
    ],
)
def test_the_allowance_says_what_may_leave_now(tokens: float, told: Allowance) -> None:
    assert allowance(TokenBucket(tokens, START), START) == told


async def test_the_budget_of_a_process_keeps_its_bucket_from_call_to_call() -> None:
    budget = OwnBudget()
    assert [await budget.wait(START, rank=Rank.USUAL) for _ in range(13)] == [0.0] * 13
    assert await budget.wait(START, rank=Rank.USUAL) > 0
    assert await budget.wait(START, rank=Rank.EXIT) == 0.0
    assert (await budget.snapshot(START)).requests_left_for_exits == 5
    await budget.penalise(START, 2.0)
    assert await budget.wait(START, rank=Rank.EXIT) == 2.0


ASKED = st.lists(
    st.tuples(st.floats(0, 5, allow_nan=False), st.sampled_from(Rank), st.sampled_from([None, None, None, 0.5, 3.0])),
    max_size=80,
)


def sent_times(asked: list[tuple[float, Rank, float | None]], *, patient: bool) -> list[tuple[float, Rank]]:
    """When each request leaves, if all ask one after the other; the patient wait as they are told."""
    bucket, seconds, sent = TokenBucket(), 0.0, []
    for pause, rank, penalty in asked:
        seconds, waited = seconds + pause, 0.0
        if penalty is not None:
            bucket = bucket.penalised(after(seconds), penalty)
        bucket, wait = bucket.taken(after(seconds), rank)
        while wait and patient:
            seconds, waited = seconds + wait, waited + wait
            bucket, wait = bucket.taken(after(seconds), rank, waited)
        if not wait:
            sent.append((seconds, rank))
    return sent


@given(ASKED, st.booleans())
def test_no_window_ever_holds_more_than_twenty_and_three_a_second(
    asked: list[tuple[float, Rank, float | None]], patient: bool
) -> None:
    times = [seconds for seconds, _ in sent_times(asked, patient=patient)]
    for first, last in combinations(range(len(times)), 2):
        assert last - first + 1 <= 20 + 3 * (times[last] - times[first]) + 1e-3


@pytest.mark.slow
@given(ASKED)
def test_ordinary_requests_never_touch_the_reserve(asked: list[tuple[float, Rank, float | None]]) -> None:
    ordinary = [(pause, Rank.USUAL, penalty) for pause, _, penalty in asked]
    times = [seconds for seconds, _ in sent_times(ordinary, patient=True)]
    for first, last in combinations(range(len(times)), 2):
        assert last - first + 1 <= 14 + 3 * (times[last] - times[first]) + 1e-3


@given(st.floats(-900, 20, allow_nan=False), st.sampled_from(Rank))
def test_waiting_as_told_is_always_enough(tokens: float, rank: Rank) -> None:
    bucket, wait = TokenBucket(tokens, START).taken(START, rank)
    assert wait == 0.0 or bucket.taken(after(wait), rank, wait)[1] == 0.0


def test_a_process_alone_goes_on_with_a_third_and_no_more_than_was_left() -> None:
    assert taken_at_once(TokenBucket().alone(), Rank.USUAL) == 4
    assert taken_at_once(TokenBucket().alone(), Rank.EXIT) == 6
    assert TokenBucket(3.0, START).alone() == TokenBucket(3.0, START, THIRD)
    assert TokenBucket(0.0, START).alone().refilled(after(3)).tokens == pytest.approx(2.9)


def test_a_process_alone_waits_as_long_as_the_service_asked_all_to_wait() -> None:
    alone = TokenBucket().penalised(START, 9.0).alone()
    assert allowance(alone, START).paused_seconds == pytest.approx(9.0, abs=1.0)
    assert alone.taken(after(8), Rank.EXIT)[1] > 0


def test_a_process_that_comes_back_pays_for_what_it_has_sent_alone() -> None:
    alone = TokenBucket().alone()
    for _ in range(4):
        alone, _ = alone.taken(START, Rank.USUAL)
    assert TokenBucket(10.0, START).rejoined(START, alone).tokens == pytest.approx(6.0)
    assert TokenBucket(10.0, START).rejoined(after(60), alone).tokens == 19.0, "by then it has got them back"


def test_a_process_that_was_told_to_wait_alone_tells_the_others() -> None:
    alone = TokenBucket().alone().penalised(START, 9.0)
    assert allowance(TokenBucket().rejoined(START, alone), START).paused_seconds == pytest.approx(9.0, abs=0.001)
    shared = TokenBucket().penalised(START, 20.0).rejoined(START, alone)
    assert allowance(shared, START).paused_seconds >= 20.0


def test_what_a_process_has_sent_alone_is_no_pause_that_somebody_asked_for() -> None:
    alone = TokenBucket().alone()
    for _ in range(6):
        alone, _ = alone.taken(START, Rank.EXIT)
    assert TokenBucket(3.0, START).rejoined(START, alone).tokens == 0.0


def test_the_allowance_of_a_process_alone_says_its_rate_and_why() -> None:
    assert allowance(TokenBucket(at=START).alone(), START, "alone") == Allowance(4, 6, 0.0, 6, 0.97, "alone")


@given(st.floats(-900, 19, allow_nan=False), st.floats(0, 10, allow_nan=False))
def test_whoever_lets_a_read_go_has_let_an_exit_go_before(tokens: float, seconds: float) -> None:
    for bucket in (TokenBucket(tokens, START), TokenBucket(tokens, START).alone()):
        read, exit_ = (bucket.taken(after(seconds), rank)[1] for rank in (Rank.USUAL, Rank.EXIT))
        assert exit_ < read or read == exit_ == 0.0
