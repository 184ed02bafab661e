"""The rate limit of the service."""

from datetime import UTC, datetime, timedelta

import pytest

from ct_mcp.simulator.gateway import RateLimit, RateLimitBucket

NOW = datetime(2026, 9, 9, 14, 30, tzinfo=UTC)


def test_twenty_requests_pass_at_once_and_the_next_has_to_wait() -> None:
    bucket = RateLimitBucket(RateLimit())
    assert [bucket.take(NOW) for _ in range(20)] == [0.0] * 20
    assert bucket.take(NOW) == pytest.approx(1 / 3)


def test_three_requests_a_second_pass_after_that() -> None:
    bucket = RateLimitBucket(RateLimit(burst=3))
    passed = sum(bucket.take(NOW + timedelta(milliseconds=100 * step)) == 0.0 for step in range(101))
    assert passed == 33


def test_the_bucket_is_full_again_in_seven_seconds() -> None:
    bucket = RateLimitBucket(RateLimit())
    for _ in range(20):
        bucket.take(NOW)
    assert [bucket.take(NOW + timedelta(seconds=7)) for _ in range(20)] == [0.0] * 20
    assert bucket.take(NOW + timedelta(seconds=7)) > 0


def test_a_clock_that_goes_back_gives_nothing_away() -> None:
    bucket = RateLimitBucket(RateLimit(burst=1))
    assert bucket.take(NOW) == 0.0
    assert bucket.take(NOW - timedelta(seconds=60)) > 0
