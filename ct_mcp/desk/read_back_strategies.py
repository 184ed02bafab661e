"""What was read after a strategy was started, paused or ended → what may be said of it. Pure; nothing is assumed."""

from collections.abc import Iterable
from dataclasses import replace

from ct_mcp.desk import mending
from ct_mcp.desk.in_words import order_line, position_line, strategy_line
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.read_back import age_of, unseen
from ct_mcp.desk.read_back_brackets import unprotected
from ct_mcp.desk.watch import Book
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import Order
from ct_mcp.domain.strategy import StartStrategy, Strategy

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
        return _read(replace(outcome, status=Status.CHANGED, next_step=""), seen)
    if seen is not None:
        return replace(_read(outcome, seen), next_step="it ended by itself: look at NinjaTrader's log")
    listed = tuple(f"not there before, perhaps the one that was started: {strategy_line(row)}" for row in may_be)
    told = unseen(outcome, "the strategy that was started could not be told from others" if may_be else _UNSEEN)
    return replace(told, reasons=(*told.reasons, *listed), next_step=LOOK_AT_STRATEGIES)


_UNSEEN = "the strategy could not be seen yet"


def from_switched(outcome: Outcome, seen: Strategy | None, *, is_so: bool) -> Outcome:
    """Changed is said only of a strategy that was read as it was asked to be."""
    if seen is None:
        return replace(unseen(outcome, _UNSEEN), next_step=LOOK_AT_STRATEGIES)
    if is_so:
        return _read(replace(outcome, status=Status.CHANGED, next_step=""), seen)
    return replace(_read(outcome, seen), next_step=LOOK_AT_STRATEGIES)


def _read(outcome: Outcome, seen: Strategy) -> Outcome:
    read = f"it reads: {strategy_line(seen)}"
    return replace(outcome, strategy_id=mending.named(seen.strategy_id), reasons=(*outcome.reasons, read))


def from_paused(outcome: Outcome, book: Book | None, before: Iterable[Order], instrument: Instrument | None) -> Outcome:
    """A strategy that is paused leaves its position, and its orders may be cancelled, the stop included."""
    if book is None:
        return _unread(outcome)
    cry = unprotected(book) if instrument is not None else ""
    stands = {order.order_id for order in book.orders}
    mine = (order for order in before if instrument in (None, order.instrument) and order.order_id not in stands)
    gone = tuple(f"no longer standing: {order_line(order)}" for order in mine)
    outcome = replace(outcome, position_after=_net(book, instrument))
    warnings = (*((cry,) if cry else ()), *outcome.warnings, *_held("stays", book), *gone, *age_of(book))
    if not cry or instrument is None:
        return replace(outcome, warnings=warnings)
    leaving = mending.closing(book.positions[0].account, instrument)
    step = f"{mending.TELL_NOW}; put a STOP_MARKET behind it with place_order, or {leaving}"
    return replace(outcome, warnings=warnings, next_step=_both(outcome, step))


def from_ended(outcome: Outcome, book: Book | None, instrument: Instrument | None) -> Outcome:
    """A strategy that is over may have left something, and others may hold the same instrument."""
    if book is None:
        return _unread(outcome)
    outcome = replace(outcome, position_after=_net(book, instrument))
    warnings = (*outcome.warnings, *_held("is still held by the account", book), *age_of(book))
    if book.is_flat:
        return replace(outcome, warnings=warnings)
    calls = [mending.closing(held.account, held.instrument) for held in book.positions]
    calls += [mending.cancelling(order) for order in book.orders]
    step = f"{mending.TELL_NOW}; if they do not want what is left: {'; '.join(calls)}"
    return replace(outcome, warnings=warnings, next_step=_both(outcome, step))


def _net(book: Book, instrument: Instrument | None) -> int | None:
    return None if instrument is None or book.is_stale else book.net


def _held(verb: str, book: Book) -> tuple[str, ...]:
    positions = tuple(f"{position_line(held)} {verb}" for held in book.positions)
    return (*positions, *(f"still standing: {order_line(order)}" for order in book.orders))


def _unread(outcome: Outcome) -> Outcome:
    cry = "what the account holds now could not be read: look with get_positions and get_orders"
    return replace(outcome, warnings=(cry, *outcome.warnings))


def _both(outcome: Outcome, step: str) -> str:
    return f"{outcome.next_step}; {step}" if outcome.next_step else step
