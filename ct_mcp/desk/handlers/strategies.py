"""Sends what starts, pauses and ends a strategy. What a strategy does by itself is read, never assumed."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import anyio

from ct_mcp.crosstrade.schemas.strategies import StrategyAcknowledged
from ct_mcp.desk import remedies
from ct_mcp.desk.execution import CommandExecution
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.polling import LONGEST_SECONDS, AccountState, Baseline, Pause, moments
from ct_mcp.desk.ports import Reads
from ct_mcp.desk.readback import age_of, on_its_way, unseen
from ct_mcp.desk.remedies import order_line, position_line, strategy_line
from ct_mcp.desk.stops import alarm_of, covers_of, may_stand
from ct_mcp.desk.submission import Submission
from ct_mcp.domain.commands import CloseStrategy, DisableStrategy, EnableStrategy
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import IN_FLIGHT, Order
from ct_mcp.domain.strategy import StartStrategy, Strategy
from ct_mcp.errors import CtMcpError, Unavailable, UpstreamError


async def start(execution: CommandExecution, wanted: StartStrategy) -> Outcome:
    """Start one copy. A lost answer is never sent again: started twice, two copies trade."""
    before: set[str] = set()

    async def started() -> StrategyAcknowledged:
        before.update(await _known(execution))
        return await execution.while_fresh.start_strategy(wanted)

    answer = await execution.submit("start", started())
    if answer.refusal:
        return execution.after(answer)
    seen, may_be = await _found(execution, wanted, answer, frozenset(before))
    return await execution.record(from_started(execution.after(answer), seen, may_be))


async def _found(
    execution: CommandExecution, wanted: StartStrategy, answer: Submission, before: frozenset[str]
) -> tuple[Strategy | None, tuple[Strategy, ...]]:
    """The strategy that was started, where it is known which one it is, and all those that it may be."""
    watch = StrategyPoller(execution.upstream, execution.pause)
    if answer.strategy_id is not None:
        return await watch.strategy(wanted.account, answer.strategy_id, lambda read: not read.is_over), ()
    rows = await watch.listed(wanted.account, lambda rows: bool(newly_started(rows, wanted, before)))
    may_be = newly_started(rows or (), wanted, before)
    return (may_be[0] if len(may_be) == 1 and is_the_one(may_be[0], wanted) else None), may_be


async def _known(execution: CommandExecution) -> set[str]:
    """The strategies that there are before: after a lost answer, only a new id can be the one that was started."""
    try:
        return {row.strategy_id for row in await execution.upstream.all_strategies(include_terminal=True)}
    except UpstreamError as error:
        # Their no to this read must not be told as a no to the start, which was not sent.
        raise Unavailable(f"the strategies could not be listed before the start: {error.what}") from None


async def enable(execution: CommandExecution, wanted: EnableStrategy) -> Outcome:
    """Let a strategy trade on."""
    answer = await execution.submit("enable", execution.while_fresh.enable_strategy(wanted.account, wanted.strategy_id))
    if answer.refusal:
        return execution.after(answer)
    seen = await _read(execution, wanted, lambda read: bool(read.is_enabled) or read.is_over)
    is_so = seen is not None and bool(seen.is_enabled) and not seen.is_over
    return await execution.record(from_switched(execution.after(answer), seen, is_so=is_so))


async def disable(execution: CommandExecution, wanted: DisableStrategy) -> Outcome:
    """Pause a strategy, and say what stands without its care."""
    answer = await execution.submit("disable", execution.urgent.disable_strategy(wanted.account, wanted.strategy_id))
    if answer.refusal:
        return execution.after(answer)

    def is_done(read: Strategy) -> bool:
        return read.is_enabled is False or read.is_over

    seen = await _read(execution, wanted, is_done)
    outcome = from_switched(execution.after(answer), seen, is_so=seen is not None and is_done(seen))
    instrument = _instrument(execution, seen)
    book = await execution.urgent_poller.book(wanted.account, instrument, _is_at_rest, Baseline())
    return await execution.record(from_paused(outcome, book, execution.review.context.orders or (), instrument))


def _is_at_rest(book: AccountState) -> bool:
    """A strategy that is paused may have its orders cancelled, and a cancel takes a moment."""
    return not any(order.state in IN_FLIGHT for order in book.orders)


async def end(execution: CommandExecution, wanted: CloseStrategy) -> Outcome:
    """End a strategy with its position and its orders, and say what the account still holds."""
    answer = await execution.submit("close", execution.urgent.close_strategy(wanted.account, wanted.strategy_id))
    if answer.refusal:
        return execution.after(answer)
    seen = await _read(execution, wanted, lambda read: read.is_over)
    outcome = from_switched(execution.after(answer), seen, is_so=seen is not None and seen.is_over)
    instrument = _instrument(execution, seen)
    book = await execution.urgent_poller.book(
        wanted.account, instrument, lambda book: book.is_flat, Baseline((instrument,) if instrument else ())
    )
    is_seen = book is not None and not book.is_stale and not on_its_way(book)
    return await execution.record(from_ended(outcome, book, instrument), is_shown=is_seen)


async def _read(
    execution: CommandExecution,
    wanted: EnableStrategy | DisableStrategy | CloseStrategy,
    is_settled: Callable[[Strategy], bool],
) -> Strategy | None:
    watch = StrategyPoller(execution.urgent, execution.pause)
    return await watch.strategy(wanted.account, wanted.strategy_id, is_settled)


def _instrument(execution: CommandExecution, seen: Strategy | None) -> Instrument | None:
    known = seen or execution.review.context.strategy
    return known.instrument if known else None


LOOK_AT_STRATEGIES = "do NOT send it again; look with get_strategies until you see what became of it"


def newly_started(rows: Iterable[Strategy], wanted: StartStrategy, before: frozenset[str]) -> tuple[Strategy, ...]:
    """Strategies that were not there before the start and may be the one that was asked for."""
    new = (row for row in rows if row.account == wanted.account and row.strategy_id not in before)
    return tuple(
        row
        for row in new
        if row.class_name in (None, wanted.strategy_class) and row.instrument in (None, wanted.instrument)
    )


def is_the_one(row: Strategy, wanted: StartStrategy) -> bool:
    """Say whether a new row says of itself that it is what was asked for."""
    return (row.class_name, row.instrument) == (wanted.strategy_class, wanted.instrument)


def from_started(outcome: Outcome, seen: Strategy | None, may_be: tuple[Strategy, ...]) -> Outcome:
    """``seen`` is the new strategy where it is known which; ``may_be`` are the new ones that it may be."""
    if seen is not None and not seen.is_over:
        return _as_read(replace(outcome, status=Status.CHANGED, next_step=""), seen)
    if seen is not None:
        return replace(_as_read(outcome, seen), next_step="it ended by itself: look at NinjaTrader's log")
    listed = tuple(f"not there before, perhaps the one that was started: {strategy_line(row)}" for row in may_be)
    told = unseen(outcome, "the strategy that was started could not be told from others" if may_be else _UNSEEN)
    return replace(told, reasons=(*told.reasons, *listed), next_step=LOOK_AT_STRATEGIES)


_UNSEEN = "the strategy could not be seen yet"


def from_switched(outcome: Outcome, seen: Strategy | None, *, is_so: bool) -> Outcome:
    """Changed is said only of a strategy that was read as it was asked to be."""
    if seen is None:
        return replace(unseen(outcome, _UNSEEN), next_step=LOOK_AT_STRATEGIES)
    if is_so:
        return _as_read(replace(outcome, status=Status.CHANGED, next_step=""), seen)
    return replace(_as_read(outcome, seen), next_step=LOOK_AT_STRATEGIES)


def _as_read(outcome: Outcome, seen: Strategy) -> Outcome:
    read = f"it reads: {strategy_line(seen)}"
    return replace(outcome, strategy_id=remedies.named(seen.strategy_id), reasons=(*outcome.reasons, read))


def from_paused(
    outcome: Outcome, book: AccountState | None, before: Iterable[Order], instrument: Instrument | None
) -> Outcome:
    """A strategy that is paused leaves its position, and its orders may be cancelled, the stop included."""
    if book is None:
        return _unread(outcome)
    cry = alarm_of(book.positions, book.orders)
    stands = {order.order_id for order in book.orders}
    mine = (order for order in before if instrument in (None, order.instrument) and order.order_id not in stands)
    gone = tuple(f"no longer standing: {order_line(order)}" for order in mine)
    outcome = replace(outcome, position_after=_net(book, instrument))
    outcome = replace(outcome, alarm=cry, warnings=(*outcome.warnings, *_held("stays", book), *gone, *age_of(book)))
    if not cry:
        return outcome
    covers = [cover for cover in covers_of(book.positions, book.orders) if cover.bare]
    doubtful = [order for cover in covers for order in cover.doubtful]
    mend = may_stand(doubtful) if doubtful else "put a STOP_MARKET behind it with place_order"
    leaving = "; ".join(remedies.closing(cover.held.account, cover.held.instrument) for cover in covers)
    return replace(outcome, next_step=_both(outcome, f"{remedies.TELL_NOW}; {mend}, or {leaving}"))


def from_ended(outcome: Outcome, book: AccountState | None, instrument: Instrument | None) -> Outcome:
    """A strategy that is over may have left something, and others may hold the same instrument."""
    if book is None:
        return _unread(outcome)
    outcome = replace(outcome, position_after=_net(book, instrument))
    warnings = (*outcome.warnings, *_held("is still held by the account", book), *age_of(book))
    if book.is_flat:
        return replace(outcome, warnings=warnings)
    if on_its_way(book):
        step = f"{remedies.TELL_NOW}; look with get_positions until it has filled; what is on its way is not sent again"
        return replace(outcome, warnings=warnings, next_step=_both(outcome, step))
    calls = [remedies.closing(held.account, held.instrument) for held in book.positions]
    calls += [remedies.cancelling(order) for order in book.orders]
    step = f"{remedies.TELL_NOW}; if they do not want what is left: {'; '.join(calls)}"
    return replace(outcome, warnings=warnings, next_step=_both(outcome, step))


def _net(book: AccountState, instrument: Instrument | None) -> int | None:
    return None if instrument is None or book.is_stale else book.net


def _held(verb: str, book: AccountState) -> tuple[str, ...]:
    positions = tuple(f"{position_line(held)} {verb}" for held in book.positions)
    return (*positions, *(f"still standing: {order_line(order)}" for order in book.orders))


def _unread(outcome: Outcome) -> Outcome:
    cry = "what the account holds now could not be read: look with get_positions and get_orders"
    return replace(outcome, warnings=(cry, *outcome.warnings))


def _both(outcome: Outcome, step: str) -> str:
    return f"{outcome.next_step}; {step}" if outcome.next_step else step


class StrategyPoller:
    """Reads back, with pauses in between; no failure leaves it."""

    def __init__(self, upstream: Reads, pause: Pause) -> None:
        self._upstream = upstream
        self._pause = pause

    async def strategy(self, account: str, strategy_id: str, is_settled: Callable[[Strategy], bool]) -> Strategy | None:
        """The strategy once it is settled, or as it was last seen; None where it could not be read at all."""
        seen: Strategy | None = None
        with anyio.move_on_after(LONGEST_SECONDS):
            async for _ in moments(self._pause):
                seen = await self.look(account, strategy_id) or seen
                if seen is not None and is_settled(seen):
                    break
        return seen

    async def listed(
        self, account: str, is_settled: Callable[[tuple[Strategy, ...]], bool]
    ) -> tuple[Strategy, ...] | None:
        """The strategies of an account, those that are over too; None where they could not be listed at all."""
        seen: tuple[Strategy, ...] | None = None
        with anyio.move_on_after(LONGEST_SECONDS):
            async for _ in moments(self._pause):
                read = await self.list_once(account)
                seen = seen if read is None else read
                if seen is not None and is_settled(seen):
                    break
        return seen

    async def look(self, account: str, strategy_id: str) -> Strategy | None:
        """One look by its id, and where that fails, in the reliable list."""
        try:
            return await self._upstream.strategy(account, strategy_id)
        except CtMcpError:
            rows = await self.list_once(account)
        return next((row for row in rows or () if row.strategy_id == strategy_id), None)

    async def list_once(self, account: str) -> tuple[Strategy, ...] | None:
        """One reading of the reliable list; None where it failed."""
        try:
            rows = await self._upstream.all_strategies(include_terminal=True)
        except CtMcpError:
            return None
        return tuple(row for row in rows if row.account == account)
