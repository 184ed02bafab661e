"""Sends what starts, pauses and ends a strategy. What a strategy does by itself is read, never assumed."""

from collections.abc import Callable

from ct_mcp.crosstrade.wire_strategies import StrategyAcknowledged
from ct_mcp.desk.errand import Answer, Errand
from ct_mcp.desk.outcome import Outcome
from ct_mcp.desk.read_back_strategies import (
    from_ended,
    from_paused,
    from_started,
    from_switched,
    is_the_one,
    newly_started,
)
from ct_mcp.desk.strategy_watch import StrategyWatch
from ct_mcp.desk.watch import Book, Stood
from ct_mcp.domain.action import CloseStrategy, DisableStrategy, EnableStrategy
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import IN_FLIGHT
from ct_mcp.domain.strategy import StartStrategy, Strategy
from ct_mcp.errors import Unavailable, UpstreamError


async def start(errand: Errand, wanted: StartStrategy) -> Outcome:
    """Start one copy. A lost answer is never sent again: started twice, two copies trade."""
    before: set[str] = set()

    async def started() -> StrategyAcknowledged:
        before.update(await _known(errand))
        return await errand.while_fresh.start_strategy(wanted)

    answer = await errand.once("start", started())
    if answer.refusal:
        return errand.after(answer)
    seen, may_be = await _found(errand, wanted, answer, frozenset(before))
    return await errand.written(from_started(errand.after(answer), seen, may_be))


async def _found(
    errand: Errand, wanted: StartStrategy, answer: Answer, before: frozenset[str]
) -> tuple[Strategy | None, tuple[Strategy, ...]]:
    """The strategy that was started, where it is known which one it is, and all those that it may be."""
    watch = StrategyWatch(errand.upstream, errand.pause)
    if answer.strategy_id is not None:
        return await watch.strategy(wanted.account, answer.strategy_id, lambda read: not read.is_over), ()
    rows = await watch.listed(wanted.account, lambda rows: bool(newly_started(rows, wanted, before)))
    may_be = newly_started(rows or (), wanted, before)
    return (may_be[0] if len(may_be) == 1 and is_the_one(may_be[0], wanted) else None), may_be


async def _known(errand: Errand) -> set[str]:
    """The strategies that there are before: after a lost answer, only a new id can be the one that was started."""
    try:
        return {row.strategy_id for row in await errand.upstream.all_strategies(include_terminal=True)}
    except UpstreamError as error:
        # Their no to this read must not be told as a no to the start, which was not sent.
        raise Unavailable(f"the strategies could not be listed before the start: {error.what}") from None


async def enable(errand: Errand, wanted: EnableStrategy) -> Outcome:
    """Let a strategy trade on."""
    answer = await errand.once("enable", errand.while_fresh.enable_strategy(wanted.account, wanted.strategy_id))
    if answer.refusal:
        return errand.after(answer)
    seen = await _read(errand, wanted, lambda read: bool(read.is_enabled) or read.is_over)
    is_so = seen is not None and bool(seen.is_enabled) and not seen.is_over
    return await errand.written(from_switched(errand.after(answer), seen, is_so=is_so))


async def disable(errand: Errand, wanted: DisableStrategy) -> Outcome:
    """Pause a strategy, and say what stands without its care."""
    answer = await errand.once("disable", errand.urgent.disable_strategy(wanted.account, wanted.strategy_id))
    if answer.refusal:
        return errand.after(answer)

    def is_done(read: Strategy) -> bool:
        return read.is_enabled is False or read.is_over

    seen = await _read(errand, wanted, is_done)
    outcome = from_switched(errand.after(answer), seen, is_so=seen is not None and is_done(seen))
    instrument = _instrument(errand, seen)
    book = await errand.urgent_watch.book(wanted.account, instrument, _is_at_rest, Stood())
    return await errand.written(from_paused(outcome, book, errand.case.view.orders or (), instrument))


def _is_at_rest(book: Book) -> bool:
    """A strategy that is paused may have its orders cancelled, and a cancel takes a moment."""
    return not any(order.state in IN_FLIGHT for order in book.orders)


async def end(errand: Errand, wanted: CloseStrategy) -> Outcome:
    """End a strategy with its position and its orders, and say what the account still holds."""
    answer = await errand.once("close", errand.urgent.close_strategy(wanted.account, wanted.strategy_id))
    if answer.refusal:
        return errand.after(answer)
    seen = await _read(errand, wanted, lambda read: read.is_over)
    outcome = from_switched(errand.after(answer), seen, is_so=seen is not None and seen.is_over)
    instrument = _instrument(errand, seen)
    book = await errand.urgent_watch.book(
        wanted.account, instrument, lambda book: book.is_flat, Stood((instrument,) if instrument else ())
    )
    return await errand.written(from_ended(outcome, book, instrument))


async def _read(
    errand: Errand, wanted: EnableStrategy | DisableStrategy | CloseStrategy, is_settled: Callable[[Strategy], bool]
) -> Strategy | None:
    watch = StrategyWatch(errand.urgent, errand.pause)
    return await watch.strategy(wanted.account, wanted.strategy_id, is_settled)


def _instrument(errand: Errand, seen: Strategy | None) -> Instrument | None:
    known = seen or errand.case.strategy
    return known.instrument if known else None
