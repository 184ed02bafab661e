"""Bears out by a second source what a list does not show: that a cancel or a pause takes no stop away.

Lists have come back empty while something was held. What loses nothing goes unasked, on every account, so an empty side
is not believed on the word of one list:

1. A stop goes, and the list holds nothing in its instrument: the position is asked for by its name. For the stops of
   several instruments, and for a pause, the report of all accounts is asked. It may be seconds old, so what it shows
   and the list does not is asked for by its name.
2. A cancel of all is shown no order, not even one that is over, and something is held: no order of ours may stand by
   the journal, and the list of all accounts may show none. Where nothing is held either, positions are asked for (1).
3. What is not borne out is not known: somebody is asked, and sees that it is not. A cancel that takes no stop costs
   nothing, one of a stop that would open or add costs a request.
4. What closes a part needs to know what is held of that instrument alone: its name tells where the list cannot be read.
   That nothing is held is not believed of it alone.
"""

from collections.abc import Collection
from dataclasses import replace

from ct_mcp.desk.account_reader import ReviewReads
from ct_mcp.desk.pending import possibly_open_orders
from ct_mcp.desk.ports import Store
from ct_mcp.domain.account import account_key
from ct_mcp.domain.commands import Command
from ct_mcp.domain.instrument import Instrument
from ct_mcp.guard.context import RiskContext
from ct_mcp.guard.effect import (
    effect_of,
    instrument_named,
    is_cancel,
    leaves_position,
    leaves_whole,
    leaves_whole_position,
    may_take_a_stop,
)
from ct_mcp.guard.protection import may_be_stop


async def with_second_source(
    command: Command, context: RiskContext, reads: ReviewReads, store: Store, *, lists_orders: bool
) -> RiskContext:
    """Give what is known, less the empty side that no second source bears out, of what is judged to lose nothing.

    ``lists_orders`` says that the list of orders showed any, over or not: one that leaves something out held nothing.
    """
    if context.positions is None and leaves_position(command) and not leaves_whole_position(command):
        return await _part_by_name(command, context, reads)
    if may_take_a_stop(command) and effect_of(command, context).only_reduces:
        return await _with_loss_borne_out(command, context, reads, store, lists_orders=lists_orders)
    return context


async def _with_loss_borne_out(
    command: Command, context: RiskContext, reads: ReviewReads, store: Store, *, lists_orders: bool
) -> RiskContext:
    effect = effect_of(command, context)
    if not is_cancel(command):
        return context if await _holds_none(context, None, reads) else replace(context, positions=None)
    if stops := {order.instrument for order in effect.cancels or () if may_be_stop(order)}:
        doubted = {instrument for instrument in stops if not context.net_position(instrument)}
        is_so = not doubted or await _holds_none(context, doubted, reads)
        return context if is_so else replace(context, positions=None)
    if effect.cancels or lists_orders or not leaves_whole(command):
        return context
    scope = instrument_named(command, context)
    if any(held.quantity and scope in (None, held.instrument) for held in context.positions or ()):
        is_so = not await possibly_open_orders(store, command.account, scope) and await _lists_none(
            context, scope, reads
        )
        return context if is_so else replace(context, orders=None)
    is_so = await _holds_none(context, None if scope is None else {scope}, reads)
    return context if is_so else replace(context, positions=None, orders=None)


async def _part_by_name(command: Command, context: RiskContext, reads: ReviewReads) -> RiskContext:
    instrument = instrument_named(command, context)
    if instrument is None or context.account is None:
        return context
    async with reads.side_by_side() as ask:
        named = ask.read("position", reads.upstream.position(context.account.name, instrument))
    held = named.value
    return context if held is None or not held.quantity else replace(context, positions=(held,))


async def _holds_none(context: RiskContext, doubted: Collection[Instrument] | None, reads: ReviewReads) -> bool:
    """Say whether nothing is held in these instruments, or in any, that the list leaves out; not knowing is no."""
    if doubted is None or len(doubted) > 1:
        doubted = await _reported(context, doubted, reads)
    if doubted is None or context.account is None:
        return False
    named, name = list(doubted), context.account.name
    async with reads.side_by_side() as ask:
        found = [ask.read("position", reads.upstream.position(name, instrument)) for instrument in named]
    for instrument, read in zip(named, found, strict=True):
        if read.value is not None and read.value.quantity:
            reads.failures.append(f"positions contradict each other: the list holds no {instrument}, other reports do")
    return all(read.value is not None and not read.value.quantity for read in found)


async def _reported(
    context: RiskContext, doubted: Collection[Instrument] | None, reads: ReviewReads
) -> frozenset[Instrument] | None:
    """Give what the report of all accounts holds of that, and the list does not; None where it does not say."""
    async with reads.side_by_side() as ask:
        read = ask.read("report of all accounts", reads.upstream.snapshot())
    is_it = None if context.account is None else account_key(context.account.name)
    report = next((row for row in read.value or () if account_key(row.account.name) == is_it), None)
    if report is None or report.what_is_held is None:
        return None
    shown = {held.instrument for held in report.what_is_held if held.quantity}
    shown -= {held.instrument for held in context.positions or () if held.quantity}
    return frozenset(shown if doubted is None else shown.intersection(doubted))


async def _lists_none(context: RiskContext, scope: Instrument | None, reads: ReviewReads) -> bool:
    """Say whether the list of all accounts shows no order that stands in this one either; not knowing is no."""
    async with reads.side_by_side() as ask:
        read = ask.read("orders of all accounts", reads.upstream.all_orders(active_only=True))
    is_it = None if context.account is None else account_key(context.account.name)
    mine = [order for order in read.value or () if account_key(order.account) == is_it and not order.is_closed]
    return read.value is not None and not any(scope in (None, order.instrument) for order in mine)
