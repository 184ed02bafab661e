"""Waits for what a watch tells, or for a change of an order or a position, and comes back early when there is one.

With a stream it reads when there is word; without one every few seconds. What could not be read is no change, nor is
what a list alone leaves out.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from ct_mcp.desk.polling import Pause
from ct_mcp.desk.ports import Store, Upstream
from ct_mcp.desk.remedies import order_line, position_line
from ct_mcp.desk.side_by_side import SideBySide
from ct_mcp.domain.account import Position
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import Order
from ct_mcp.errors import CtMcpError, NotFound

_LOOK_EVERY_SECONDS = 1.0
_READ_EVERY_SECONDS = 4.0
_READ_EVERY_SECONDS_WITH_STREAM = 12.0
_MOST_NOTICES = 20
_MOST_LOOKED_UP = 6


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
            after = await _stands(desk, account, news, before)
            news.lines += _changes(before, after)
            before = after if after is not None else before
    return news


@dataclass(frozen=True, slots=True)
class _StandsNow:
    """Positions by account and instrument, open orders by account and id, each as a line."""

    positions: Mapping[tuple[str, Instrument], str]
    orders: Mapping[tuple[str, str], str]

    @property
    def lines(self) -> frozenset[str]:
        """All of it."""
        return frozenset((*self.positions.values(), *self.orders.values()))


async def _stands(desk: Waits, account: str | None, news: News, before: _StandsNow | None = None) -> _StandsNow | None:
    """Write each position and open order as a line; None where they could not be read, or are not believed."""
    try:
        if account is None:
            positions, orders = await desk.upstream.all_positions(), await desk.upstream.all_orders(active_only=True)
        else:
            positions = await desk.upstream.positions(account)
            orders = await desk.upstream.orders(account, active_only=True)
        read = _stands_now(positions, orders)
        if before is None or await _are_gone(desk.upstream, before, read):
            return read
        why = "a list left out what may still be held or stand, so what it does not hold is not told as gone"
    except CtMcpError as error:
        why = f"orders and positions could not be read: {error.what}"
    news.notes[:] = [why]
    return None


def _stands_now(positions: Iterable[Position], orders: Iterable[Order]) -> _StandsNow:
    held, working = (row for row in positions if row.quantity), (row for row in orders if not row.is_closed)
    return _StandsNow(
        {(row.account, row.instrument): f"{row.account}  {position_line(row)}" for row in held},
        {(row.account, row.order_id): f"{row.account}  {order_line(row)}" for row in working},
    )


async def _are_gone(upstream: Upstream, before: _StandsNow, read: _StandsNow) -> bool:
    """Say whether what stood before, in an account of which a list holds nothing any more, is gone by its name too.

    Lists have come back empty, and what has left anything out has so far left out everything of an account.
    """
    holding, working = {account for account, _ in read.positions}, {account for account, _ in read.orders}
    positions = [each for each in before.positions if each[0] not in holding][:_MOST_LOOKED_UP]
    orders = [each for each in before.orders if each[0] not in working][:_MOST_LOOKED_UP]
    async with SideBySide([]) as ask:
        held = [ask.read("position", upstream.position(account, name)) for account, name in positions]
        stand = [ask.read("order", upstream.order(account, order_id)) for account, order_id in orders]
    are_left = all(each.value is not None and not each.value.quantity for each in held)
    are_over = all(isinstance(each.error, NotFound) or (each.value and each.value.is_closed) for each in stand)
    return are_left and are_over


def _changes(before: _StandsNow | None, after: _StandsNow | None) -> Sequence[str]:
    if before is None or after is None:
        return ()
    was, now = before.lines, after.lines
    return (*(f"gone: {line}" for line in sorted(was - now)), *(f"now: {line}" for line in sorted(now - was)))
