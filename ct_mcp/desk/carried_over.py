"""Figures of the session before that are still told right after the roll.

The trading day rolls at a fixed minute, and NinjaTrader begins its own some seconds later: until then it tells what was
realised in the session before, and that is neither a loss nor a gain of the new day.

1. What is realised is of the session before while it is exactly what that session ended with, five minutes at most.
   One cent that is realised in the new session changes it: then it counts at once, and for the rest of the day. What is
   open counts all the while. So a real loss waits only where it equals the old one to the cent, and five minutes.
2. How that session ended is what was read or heard last of it. Who has just started takes it from the record.

It stands alone because a day's loss and the balances of a day need the same word.
"""

from datetime import date, datetime, timedelta
from decimal import Decimal

from ct_mcp.desk.ports import Store
from ct_mcp.domain.account import account_key
from ct_mcp.domain.market import trading_day, trading_day_began
from ct_mcp.errors import StoreFailed

CARRIED_FOR = timedelta(minutes=5)


class CarriedOver:
    """Remembers what each account had realised as its session ended."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._last: dict[str, tuple[date, Decimal]] = {}
        self._ended_with: dict[str, Decimal | None] = {}

    async def is_carried(self, account: str, realized: Decimal | None, at: datetime) -> bool:
        """Say whether what is told as realised at this time is of the session before."""
        key, day = account_key(account), trading_day(at)
        known_day, known = self._last.get(key, (None, None))
        if realized is None or (known_day is not None and known_day > day):
            return False
        is_early = at - trading_day_began(at) < CARRIED_FOR
        if known_day != day and is_early:
            self._ended_with[key] = await self._on_record(account, day) if known is None else known
        self._last[key] = day, realized
        is_same = is_early and bool(realized) and realized == self._ended_with.get(key)
        if not is_same:
            self._ended_with.pop(key, None)
        return is_same

    async def _on_record(self, account: str, day: date) -> Decimal | None:
        try:
            record = await self._store.balance_record(account)
        except StoreFailed:
            return None
        before = [each for each in record.days if each.day < day]
        return before[-1].gain if before else None


def told_at(stamp: datetime, now: datetime, longest: timedelta = CARRIED_FOR) -> datetime:
    """Give when figures were told: by their stamp, or now where that lies ahead or further back than a frame can be."""
    return stamp if timedelta(0) <= now - stamp <= longest else now
