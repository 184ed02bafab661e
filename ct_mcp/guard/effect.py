"""What a command does: the one place where that is said.

Rules, approvals, what counts while an outcome is unknown, the texts for the person and whether a repeat does harm all
read the `Effect`; nothing else asks a command of what kind it is in order to judge it.

1. An effect is computed once for a review, from the command and the facts of that moment, and kept in it.
2. Reducing is an effect, not a verb. Only what can neither raise the worst case on either side (see
   `guard/exposure.py`) nor take protection away *only reduces*. What is not known is None, never a guess.
3. A whole close and a flatten leave: NinjaTrader cancels the orders of the instrument and closes what is held. They
   always go, once: an exit that is on its way is an exit, and what it covers is not closed a second time.
   A close of as many contracts as are held is the whole, however it was written.
4. A partial close is a market order beside the orders that stand. Where those orders could leave as much again, it
   may turn the position round; then it is judged as what it is, an order that may open.
"""

from collections.abc import Sequence
from dataclasses import replace
from decimal import ROUND_CEILING, Decimal
from enum import StrEnum
from typing import TypeGuard

from ct_mcp.domain.commands import (
    CancelOrder,
    CancelOrders,
    ChangeOrder,
    ClosePosition,
    CloseStrategy,
    Command,
    DisableStrategy,
    EnableStrategy,
    Flatten,
    PlaceOrder,
    ProtectPosition,
    ReplaceOrder,
    ReversePosition,
)
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import Order, OrderType, is_whole_number
from ct_mcp.domain.strategy import StartStrategy
from ct_mcp.domain.watch import SetWatch
from ct_mcp.guard.context import PendingOrder, RiskContext
from ct_mcp.guard.effect_model import Effect, RiskDirection, beside_exits, exit_order, is_within, orders_of
from ct_mcp.guard.effect_orders import change_effect, place_effect, protect_effect, replace_effect, reverse_effect
from ct_mcp.guard.exposure import Book, Leg, reach
from ct_mcp.guard.protection import (
    LostProtection,
    lost_by_cancelling,
    lost_by_pausing,
    with_groups,
)


def effect_of(command: Command, context: RiskContext) -> Effect:  # noqa: C901, PLR0912  # the one match over all commands
    """Say what a command does, on what is known."""
    match command:
        case PlaceOrder():
            effect = place_effect(command, context)
        case ChangeOrder():
            effect = change_effect(command, context)
        case ReplaceOrder():
            effect = replace_effect(command, context)
        case CancelOrder():
            named = context.order(command.order_id)
            effect = _cancel(command, None if named is None else (named,), context)
        case CancelOrders():
            effect = _cancel(command, orders_of(command.instrument, context), context)
        case ClosePosition():
            is_part = closes_a_part(command, context.net_position(command.instrument))
            effect = _close(command, context) if is_part else _leave(command, command.instrument, context)
        case Flatten():
            effect = _leave(command, command.instrument, context)
        case ReversePosition():
            effect = reverse_effect(command, context)
        case ProtectPosition():
            effect = protect_effect(command, context)
        case StartStrategy() | EnableStrategy():
            effect = _start(command, context)
        case DisableStrategy():
            effect = _pause(command, context)
        case CloseStrategy():
            effect = _end(command, context)
        case SetWatch():  # pragma: no branch  # the set is closed
            effect = _set_watch(command, context)
    return effect


def is_urgent(command: Command) -> bool:
    """Say whether it leaves, cancels or pauses: it may use the reserve of the request budget, and waits for nothing.

    So may the stop and the target that an entry was approved with.
    """
    leaves = CancelOrder | CancelOrders | ClosePosition | Flatten | CloseStrategy | DisableStrategy
    return is_exit_of_entry(command) or isinstance(command, leaves)


def is_judged_by_book(command: Command) -> bool:
    """Say whether it goes by what is held and stands: of what is urgent, only a part of a position does.

    An empty list would make it a part of nothing.
    """
    return not is_urgent(command) or (leaves_position(command) and not leaves_whole_position(command))


def is_new_order(command: Command) -> bool:
    """Say whether somebody wants a new order, or one in another's place, at the market or not."""
    return isinstance(command, PlaceOrder | ReplaceOrder | ReversePosition) and not is_exit_of_entry(command)


def may_open(effect: Effect) -> bool:
    """Say whether it sends what may open or add, so that it waits for whoever may forbid that."""
    return effect.sends_orders and not effect.only_reduces and not is_exit_of_entry(effect.command)


def is_exit_of_entry(command: Command) -> TypeGuard[PlaceOrder]:
    """Say whether it is a stop or a target that goes with an entry, sent as that fills."""
    return isinstance(command, PlaceOrder) and command.exit_of is not None


def waits_its_turn(command: Command) -> bool:
    """Say whether it waits for what is under way in its instrument, to be judged on it; exits and brackets never do."""
    return not is_urgent(command) and not isinstance(command, ProtectPosition)


def repeat_does_harm(command: Command) -> bool:
    """Say whether the same call again, by whoever did not hear the first answer, would do it twice."""
    adds_up = isinstance(command, PlaceOrder) or (isinstance(command, ClosePosition) and is_partial(command))
    return adds_up or not is_urgent(command)


def is_cancel(command: Command) -> bool:
    """Say whether it cancels orders and does nothing else."""
    return isinstance(command, CancelOrder | CancelOrders)


def may_take_a_stop(command: Command) -> bool:
    """Say whether it closes nothing, and may take a stop away: it cancels, or pauses what keeps one."""
    return is_cancel(command) or isinstance(command, DisableStrategy)


def leaves_position(command: Command) -> bool:
    """Say whether it closes what is held, in whole or in part, or what a strategy holds."""
    return isinstance(command, ClosePosition | Flatten | CloseStrategy)


def leaves_whole_position(command: Command) -> bool:
    """Say whether it leaves all that is held: it goes whatever the book has become."""
    whole = isinstance(command, ClosePosition) and not is_partial(command)
    return whole or isinstance(command, Flatten | CloseStrategy)


def leaves_accounts(commands: Sequence[Command]) -> bool:
    """Say whether they leave several accounts, each as a whole."""
    return len(commands) > 1 and all(isinstance(each, Flatten) and each.instrument is None for each in commands)


def leaves_all_held(command: Command) -> bool:
    """Say whether it leaves all that is held in an instrument or an account, whatever that is."""
    return leaves_whole_position(command) and isinstance(command, ClosePosition | Flatten)


def leaves_whole(command: Command) -> bool:
    """Say whether it takes away what stands in an instrument or an account: a whole exit, or every order."""
    return isinstance(command, ClosePosition | Flatten | CancelOrders)


class Role(StrEnum):
    """What an order is for."""

    ENTRY = "entry"
    EXIT = "exit"
    STOP = "stop"
    TARGET = "target"


def role_sent(command: Command, starts: Sequence[int]) -> Role | None:
    """Say what the order of a command is for, by where the position may have stood then; None where that tells not."""
    if isinstance(command, ClosePosition | Flatten):
        return Role.EXIT
    order = command.order if isinstance(command, ReplaceOrder) else command
    if isinstance(order, ReversePosition) or (isinstance(order, PlaceOrder) and order.flatten_first):
        return Role.ENTRY
    if not isinstance(order, PlaceOrder):
        return None
    leaves = {start * order.action.sign < 0 and order.quantity <= abs(start) for start in starts}
    if leaves == {True}:
        return {OrderType.MARKET: Role.EXIT, OrderType.LIMIT: Role.TARGET}.get(order.order_type, Role.STOP)
    return Role.ENTRY if leaves == {False} else None


def sets_a_watch(command: Command) -> bool:
    """Say whether it sends nothing itself, and lets a watch send later what only reduces."""
    return isinstance(command, SetWatch)


def is_asked_at_once(effect: Effect) -> bool:
    """Say whether it is asked about however many questions wait: what leaves, cancels or only reduces.

    A watch sends nothing when it is set, so a question about one may have to wait.
    """
    return is_urgent(effect.command) or (bool(effect.only_reduces) and not sets_a_watch(effect.command))


def is_about_strategy(command: Command) -> bool:
    """Say whether it starts or steers a strategy, which then trades by itself."""
    return isinstance(command, StartStrategy) or strategy_named(command) is not None


def strategy_named(command: Command) -> str | None:
    """Give the strategy that it is about, by its id."""
    return command.strategy_id if isinstance(command, EnableStrategy | DisableStrategy | CloseStrategy) else None


def instrument_named(command: Command, context: RiskContext) -> Instrument | None:
    """Give the instrument that it is about, before anything is judged; None where none is named or known."""
    match command:
        case ReplaceOrder():
            return command.order.instrument
        case ChangeOrder():
            return _instrument_of(command.order_id, context)
        case SetWatch(order_id=str(order_id)):
            return _instrument_of(order_id, context)
        case CancelOrder():
            return None
        case EnableStrategy() | DisableStrategy() | CloseStrategy():
            return None if context.strategy is None else context.strategy.instrument
        case _:
            return command.instrument


def _instrument_of(order_id: str, context: RiskContext) -> Instrument | None:
    order = context.order(order_id)
    return None if order is None else order.instrument


# Cancels --------------------------------------------------------------------------------------------------------


def _cancel(command: CancelOrder | CancelOrders, wanted: tuple[Order, ...] | None, context: RiskContext) -> Effect:
    gone = None if wanted is None or context.orders is None else with_groups(wanted, context.orders)
    lost = lost_by_cancelling(gone, context)
    reduces = None if lost is None else not lost.is_any
    effect = Effect(command, cancels=gone, lost=lost, only_reduces=reduces)
    if isinstance(command, CancelOrders):
        effect = replace(effect, instrument=command.instrument)
    elif wanted:
        effect = replace(effect, instrument=wanted[0].instrument)
    return replace(effect, direction=_direction_of_cancel(gone, lost, context))


def _direction_of_cancel(
    gone: tuple[Order, ...] | None, lost: LostProtection | None, context: RiskContext
) -> RiskDirection | None:
    if lost is None or gone is None:
        return None
    if lost.is_any:
        return RiskDirection.UNPROTECTS
    books = [Book.of(instrument, context) for instrument in dict.fromkeys(order.instrument for order in gone)]
    shrinks = any(book is not None and book.worst.is_beyond(book.without(gone).worst) for book in books)
    return RiskDirection.REDUCES if shrinks else RiskDirection.NEUTRAL


# Exits ----------------------------------------------------------------------------------------------------------


def is_partial(close: ClosePosition) -> bool:
    """Say whether it names a part of the position: sent twice, it may leave twice as much. See `closes_a_part`."""
    percent = close.percent
    return close.quantity is not None or (percent is not None and not (percent.is_finite() and percent == 100))


def closes_a_part(close: ClosePosition, held: int | None) -> bool:
    """Say whether it leaves something of so many signed contracts; a quantity that is all of them is the whole."""
    return is_partial(close) and (not held or contracts_closed(close, abs(held)) < abs(held))


def contracts_closed(close: ClosePosition, held: int) -> int:
    """Contracts that it closes of so many held: a percentage rounds up, and nothing beyond the position is closed."""
    if close.quantity is not None:
        return min(close.quantity, held) if is_whole_number(close.quantity) else 0
    if close.percent is None:
        return held
    if not close.percent.is_finite():
        return 0
    share = held * close.percent / Decimal(100)
    return max(0, min(held, int(share.to_integral_value(ROUND_CEILING))))


def _close(close: ClosePosition, context: RiskContext) -> Effect:
    """Close part of a position: a market order, and every order of the instrument stays."""
    net, book = context.net_position(close.instrument), Book.of(close.instrument, context)
    effect = Effect(close, close.instrument, position_before=net, adds_up=True)
    if net is None:
        return replace(effect, legs=None)
    closed = contracts_closed(close, abs(net)) * (1 if net > 0 else -1)
    leaves = (PendingOrder(close.instrument, -closed, leaves=True),) if closed else ()
    effect = replace(
        effect,
        position_after=net - closed,
        may_fill=leaves,
        before=None if book is None else book.worst,
        after=None if book is None else reach(book.net, [*book.legs, Leg(-closed)]),
    )
    if book is None:
        return effect
    if not closed or is_within(effect):
        return replace(effect, only_reduces=True, direction=RiskDirection.REDUCES, is_exit=True)
    order = exit_order(close.account, close.instrument, closed)
    opens = replace(effect, only_reduces=False, direction=RiskDirection.OPENS, sends_orders=True)
    return replace(opens, order=order, legs=(order,))


def _leave(
    command: ClosePosition | Flatten | CloseStrategy, instrument: Instrument | None, context: RiskContext
) -> Effect:
    """Leave all of one instrument, or of the account: the orders there go, and what is held is closed."""
    held = [position for position in context.positions or () if position.quantity]
    held = [position for position in held if instrument in (None, position.instrument)]
    fills = tuple(PendingOrder(position.instrument, -position.net, leaves=True) for position in held)
    net = None if instrument is None else context.net_position(instrument)
    effect = Effect(
        command,
        instrument,
        cancels=orders_of(instrument, context),
        position_before=net,
        position_after=0 if instrument is not None else None,
        may_fill=fills,
        leaves_all=True,
        only_reduces=True,
        direction=RiskDirection.CLOSES,
        is_exit=True,
    )
    return beside_exits(effect, instrument, context)


# Strategies -------------------------------------------------------------------------------------------------------


def _start(command: StartStrategy | EnableStrategy, context: RiskContext) -> Effect:
    """Say what a strategy does by itself is in no figure of ours."""
    return Effect(
        command,
        instrument_named(command, context),
        starts=True,
        only_reduces=False,
        direction=RiskDirection.OPENS,
        sends_orders=True,
        adds_up=True,
    )


def _pause(command: DisableStrategy, context: RiskContext) -> Effect:
    """Pause a strategy: an order of unknown outcome may have opened a position that is not listed yet."""
    reduces = None
    if context.positions is not None:
        reduces = not context.pending and not any(position.quantity for position in context.positions)
    direction = None if reduces is None else RiskDirection.NEUTRAL if reduces else RiskDirection.UNPROTECTS
    return Effect(command, lost=lost_by_pausing(context), only_reduces=reduces, direction=direction)


def _end(command: CloseStrategy, context: RiskContext) -> Effect:
    """End a strategy: its position leaves at the market, so it is an exit there; of all, where nobody knows where.

    Which part of what the account holds is the strategy's, and which orders are, no reading says.
    """
    left = _leave(command, instrument_named(command, context), context)
    return replace(left, cancels=(), position_before=None, position_after=None)


# Watches ----------------------------------------------------------------------------------------------------------


def _set_watch(command: SetWatch, context: RiskContext) -> Effect:
    """Nothing is sent now, and what is sent later is judged by itself, and may only reduce."""
    instrument = instrument_named(command, context)
    return Effect(command, instrument, only_reduces=True, direction=RiskDirection.NEUTRAL)
