"""How many requests we allow ourselves, and whether the service wants fewer just now. No sleeping and no clock.

The service meters REST and socket together, per token: three a second and twenty at once. `TokenBucket` is the budget
that all share. Some tokens are kept for exits and what they look at, so that reading quotes never holds up a flatten;
the last are for the writes of exits alone, so that no exit waits while others are read back. Nothing is reserved ahead:
whoever finds too few tokens is told how long to wait and asks again, so that somebody who gave up waiting has taken
nothing.

Where the service asked for a pause, nothing is shown and nothing opens before it is over. But what it says of the time
may be wrong, or be meant for other requests, and the broker's limit may be over sooner: so an exit, and what it looks
at, waits two seconds at most and is then sent. Another refusal says that it did not arrive, and costs nothing.

The service slows down before it refuses: to somebody who hurries, or asks for many things at once, reads that took
half a second take five. So `ServicePace` learns the usual time of an answer from those that were quick. Where two of
the last three took far longer, or one was refused for being too many, reads go one after the other and nothing is
asked that need not be, for a while. Writes are never held up by it.
"""

from collections import deque
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from math import ceil, inf
from statistics import median
from typing import Protocol

# A little less than the service allows: two clocks and a network in between never agree on a moment, and an exit
# that meets a 429 has not left.
CAPACITY = 19.0
PER_SECOND = 2.9
RESERVE = 6.0
FOR_EXITS_ALONE = 3.0
LONGEST_PAUSE_OF_EXITS_SECONDS = 2.0
LONGEST_PENALTY_SECONDS = 300.0

_CLOCKS_DIFFER_SECONDS = 5.0

# Sums of binary fractions may end a hair below a whole token.
_HAIR = 1e-9


class Rank(Enum):
    """Who takes of the last tokens: nobody else, what an exit looks at, or the write of an exit."""

    USUAL = "usual"
    FOR_EXIT = "for an exit"
    EXIT = "exit"


@dataclass(frozen=True, slots=True)
class Rate:
    """So many at once, so many a second after that, and how many of them are kept for exits.

    ``reserve`` is for exits and what they look at, ``for_exits_alone`` is that part of it which only their writes take.
    """

    capacity: float = CAPACITY
    per_second: float = PER_SECOND
    reserve: float = RESERVE
    for_exits_alone: float = FOR_EXITS_ALONE


WHOLE = Rate()
THIRD = Rate(CAPACITY / 3, PER_SECOND / 3, RESERVE / 3, FOR_EXITS_ALONE / 3)
"""What a process allows itself that cannot ask the others: three of them stay within the whole."""


@dataclass(frozen=True, slots=True)
class TokenBucket:
    """The tokens left at one moment; below zero while the service asked us to wait. The state that processes share."""

    tokens: float = CAPACITY
    at: datetime | None = None
    rate: Rate = WHOLE

    def refilled(self, now: datetime) -> "TokenBucket":
        """Give the bucket as it stands now. A clock that went back refills nothing, and is followed from there on.

        One that is a little behind is another machine's: followed there and back again, it would refill each time.
        """
        passed = 0.0 if self.at is None else (now - self.at).total_seconds()
        tokens = min(self.rate.capacity, self.tokens + max(0.0, passed) * self.rate.per_second)
        return replace(self, tokens=tokens, at=self.at if -_CLOCKS_DIFFER_SECONDS < passed < 0 else now)

    def taken(self, now: datetime, rank: Rank, waited: float = 0.0) -> tuple["TokenBucket", float]:
        """Take one token, or take none and say how many seconds to wait before asking again, who ``waited`` so long."""
        bucket = self.refilled(now)
        missing = 1.0 + self._kept_from(rank) - bucket.tokens
        is_held = bucket.is_paused and rank is not Rank.USUAL
        longest = LONGEST_PAUSE_OF_EXITS_SECONDS - waited if is_held else inf
        if longest <= _HAIR:
            return bucket, 0.0  # for all others the pause stays as long as it was
        if missing <= _HAIR:
            return replace(bucket, tokens=bucket.tokens - 1.0), 0.0
        # In whole milliseconds, rounded up: a wait shorter than the clock can tell would be asked for again and again.
        return bucket, ceil(min(missing / self.rate.per_second, longest) * 1000) / 1000

    @property
    def is_paused(self) -> bool:
        """Say whether the service asked for a pause that is not over: nothing else takes more than there is."""
        return self.tokens < 0

    def _kept_from(self, rank: Rank) -> float:
        return {Rank.EXIT: 0.0, Rank.FOR_EXIT: self.rate.for_exits_alone, Rank.USUAL: self.rate.reserve}[rank]

    def penalised(self, now: datetime, retry_after_seconds: float) -> "TokenBucket":
        """Take account of a 429: nothing is shown or opened before their time is up, and then exits leave first."""
        bucket = self.refilled(now)
        wait = min(max(0.0, retry_after_seconds), LONGEST_PENALTY_SECONDS)
        return replace(bucket, tokens=min(bucket.tokens, 1.0 - wait * self.rate.per_second))

    def alone(self) -> "TokenBucket":
        """Give the bucket of a process that has lost the others: a third of the rate, and no more than was left.

        What they asked us to wait is waited for as long as before.
        """
        tokens = self.tokens / 3 if self.tokens < 0 else min(self.tokens, THIRD.capacity)
        return TokenBucket(tokens, self.at, THIRD)

    def rejoined(self, now: datetime, alone: "TokenBucket") -> "TokenBucket":
        """Give the common bucket, less what a process has sent alone and has not got back by now."""
        here, there = self.refilled(now), alone.refilled(now)
        sent = there.rate.capacity - max(0.0, there.tokens)
        left = replace(here, tokens=max(min(here.tokens, 0.0), here.tokens - sent))
        return left.penalised(now, (1.0 - there.tokens) / there.rate.per_second) if there.tokens < 0 else left


@dataclass(frozen=True, slots=True)
class Allowance:
    """The budget as a person reads it: requests that may leave at once, and when it is full again.

    ``note`` says what is wrong with it, if anything is, ``paused_seconds`` how long the service still wants none.
    """

    requests_left: int
    requests_left_for_exits: int
    full_in_seconds: float
    capacity: int = int(CAPACITY)
    per_second: float = PER_SECOND
    note: str = ""
    paused_seconds: float = 0.0


def allowance(bucket: TokenBucket, now: datetime, note: str = "") -> Allowance:
    """Say what a bucket allows at this moment."""
    bucket = bucket.refilled(now)
    tokens, rate = bucket.tokens, bucket.rate
    return Allowance(
        requests_left=max(0, int(tokens - rate.reserve + _HAIR)),
        requests_left_for_exits=max(0, int(tokens + _HAIR)),
        full_in_seconds=round((rate.capacity - tokens) / rate.per_second, 3),
        capacity=int(rate.capacity),
        per_second=round(rate.per_second, 2),
        note=note,
        paused_seconds=round((1.0 - tokens) / rate.per_second, 3) if bucket.is_paused else 0.0,
    )


class Budget(Protocol):
    """One budget for everything with the same token. Asynchronous, since a shared one has to look it up."""

    async def wait(self, now: datetime, *, rank: Rank, waited: float = 0.0) -> float:
        """Take a place and say 0, or take none and say how many seconds to wait before asking again."""
        ...

    async def penalise(self, now: datetime, retry_after_seconds: float) -> None:
        """Take account of a 429."""
        ...

    async def snapshot(self, now: datetime) -> Allowance:
        """Say what is left, for the status."""
        ...


class OwnBudget:
    """The budget of this process alone."""

    def __init__(self) -> None:
        self._bucket = TokenBucket()

    async def wait(self, now: datetime, *, rank: Rank, waited: float = 0.0) -> float:
        self._bucket, seconds = self._bucket.taken(now, rank, waited)
        return seconds

    async def penalise(self, now: datetime, retry_after_seconds: float) -> None:
        self._bucket = self._bucket.penalised(now, retry_after_seconds)

    async def snapshot(self, now: datetime) -> Allowance:
        return allowance(self._bucket, now)


FAR_LONGER = 3.0
SLOW_SECONDS = 1.5
"""What is faster is not slow, however fast answers were before."""
HELD_UP_SECONDS = 30.0
_LEARNT_FROM = 40


@dataclass(slots=True)
class ServicePace:
    """What answers took lately; times are of one clock that nobody can set, in seconds."""

    _usual: deque[float] = field(default_factory=lambda: deque(maxlen=_LEARNT_FROM))
    _last: deque[float] = field(default_factory=lambda: deque(maxlen=3))
    _slow_until: float | None = None
    _refused_until: float | None = None

    def took(self, seconds: float, now: float) -> None:
        """Take note of what one read took to be answered, or to be given up."""
        self._last.append(seconds)
        if seconds <= self._longest:
            self._usual.append(seconds)
        if len(self._last) > 1 and sorted(self._last)[-2] > self._longest:
            self._slow_until = now + HELD_UP_SECONDS
        elif seconds <= self._longest and median(self._last) <= self._longest:
            self._slow_until = None

    def refused(self, now: float) -> None:
        """They answered that it was too many."""
        self._refused_until = now + HELD_UP_SECONDS

    def why(self, now: float) -> str:
        """Say why it is to be asked less just now; empty where it is not."""
        if self._refused_until is not None and now < self._refused_until:
            return "it refused requests for being too many"
        if self._slow_until is not None and now < self._slow_until:
            return f"it answers slowly: the last reads took {', '.join(f'{each:.1f}' for each in self._last)} s"
        return ""

    @property
    def _longest(self) -> float:
        """What an answer may take and not be slow."""
        return max(SLOW_SECONDS, FAR_LONGER * median(self._usual)) if self._usual else SLOW_SECONDS
