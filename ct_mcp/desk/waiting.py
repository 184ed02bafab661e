"""Waits for what a watch tells, or for a change of an order or a position, and comes back early when there is one.

With a stream it reads when there is word; without one every few seconds. What could not be read is no change.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from ct_mcp.desk.polling import Pause
from ct_mcp.desk.ports import Store, Upstream
from ct_mcp.desk.remedies import order_line, position_line
from ct_mcp.errors import CtMcpError

_LOOK_EVERY_SECONDS = 1.0
_READ_EVERY_SECONDS = 4.0
_READ_EVERY_SECONDS_WITH_STREAM = 12.0
_MOST_NOTICES = 20


class HearsChanges(Protocol):
    """Whether the stream tells of changes, so that silence says something."""

    @property
    def is_trusted(self) -> bool: ...


class Waits(Protocol):
    """What of the desk it takes to wait."""

    upstream: Upstream
    store: Store
    pause: Pause
    clock: Callable[[], datetime]


@dataclass(slots=True)
class News:
    """What happened while it was waited."""

    lines: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    waited: float = 0.0


async def wait_for_news(
    desk: Waits, live: HearsChanges, seconds: float, account: str | None, heard: int | None = None
) -> News:
    """Wait at most so long; what was told between two calls, after the notice ``heard`` last, ends it at once."""
    news, last = News(), await desk.store.notices(0, 1)
    newest = last[-1].number if last else 0
    seen = newest if heard is None else heard
    if seen < newest:
        news.lines += [notice.words for notice in await desk.store.notices(seen, _MOST_NOTICES)]
        return news
    before, read_at = await _stands(desk, account, news), 0.0
    while news.waited < seconds and not news.lines:
        pause = min(_LOOK_EVERY_SECONDS, seconds - news.waited)
        began = desk.clock()
        heard = bool(await desk.pause(pause))
        # What was really waited, where word came early; a clock that is set back must not hold up the answer.
        news.waited += max(0.05, min(pause, (desk.clock() - began).total_seconds())) if heard else pause
        news.lines += [notice.words for notice in await desk.store.notices(seen, _MOST_NOTICES)]
        every = _READ_EVERY_SECONDS_WITH_STREAM if live.is_trusted else _READ_EVERY_SECONDS
        if heard or news.waited - read_at >= every or news.waited >= seconds:
            read_at = news.waited
            after = await _stands(desk, account, news)
            news.lines += _changes(before, after)
            before = after if after is not None else before
    return news


async def _stands(desk: Waits, account: str | None, news: News) -> frozenset[str] | None:
    """Write each position and open order as a line; None where they could not be read."""
    try:
        if account is None:
            positions, orders = await desk.upstream.all_positions(), await desk.upstream.all_orders(active_only=True)
        else:
            positions = await desk.upstream.positions(account)
            orders = await desk.upstream.orders(account, active_only=True)
    except CtMcpError as error:
        news.notes[:] = [f"orders and positions could not be read: {error.what}"]
        return None
    held = (f"{each.account}  {position_line(each)}" for each in positions if each.quantity)
    working = (f"{each.account}  {order_line(each)}" for each in orders if not each.is_closed)
    return frozenset((*held, *working))


def _changes(before: frozenset[str] | None, after: frozenset[str] | None) -> Sequence[str]:
    if before is None or after is None:
        return ()
    return (*(f"gone: {line}" for line in sorted(before - after)), *(f"now: {line}" for line in sorted(after - before)))
