"""Makes the question of one reviewed command: what stands, what goes, what comes, what it risks and where it leads."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal

from ct_mcp.desk.entry_lines import entry_lines
from ct_mcp.desk.remedies import order_line, position_line, strategy_line
from ct_mcp.domain.approval import ApprovalItem, Finding, FindingKind, ShownOrder
from ct_mcp.domain.commands import (
    KINDS,
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
    StrategyCommand,
    headline,
    names,
)
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import Order
from ct_mcp.domain.products import price_of, ticks_in_32nds
from ct_mcp.domain.strategy import StartStrategy
from ct_mcp.domain.watch import SetWatch
from ct_mcp.guard.effect import instrument_named, is_cancel
from ct_mcp.guard.effect_model import Effect, RiskDirection
from ct_mcp.guard.figures import OrderFigures, order_figures, quote_for
from ct_mcp.guard.firm_room import firm_facts
from ct_mcp.guard.protection import is_stop, leaving
from ct_mcp.guard.review import Review
from ct_mcp.guard.room import day_room
from ct_mcp.text import contracts, one_line

MOST_CANCELLED_SINGLY = 10
"""So many orders that were shown are cancelled by a request each: more would take longer than somebody waits."""
WATCH_LINES = (
    "Nothing is sent now. What it sends later only reduces: it moves a stop nearer, cancels, or flattens.",
    "It acts only while ct-mcp runs: a server, or ct-mcp watch.",
)
_BOTH = "If the close does not fill within seconds, CrossTrade sends the order all the same: both may stand together."


def item_of(review: Review) -> ApprovalItem:
    """Everything in it is made here, and stays as it is as long as the ticket lives."""
    effect, context = review.effect, review.context
    figures = order_figures(effect, context, review.policy) or OrderFigures()
    if effect.leads_to_flat:  # it risks nothing, and nobody asks what it is worth
        figures = replace(figures, notional=None, risk=None, risk_ticks=0, gain=None)
    currency = "" if effect.order is None else figures.currency or "currency unknown"
    return ApprovalItem(
        account=one_line(review.command.account),
        account_kind=context.kind,
        kind=KINDS[type(review.command)],
        headline=one_line(headline(effect.meant)),
        instrument=effect.instrument,
        sends=_sent_by(effect),
        cancels=_shown_to_go(effect.cancels or ()),
        only_reduces=effect.only_reduces,
        position_before=effect.position_before,
        position_after=effect.position_after,
        value=figures.notional,
        risk=figures.risk,
        risk_basis=figures.risk_basis,
        market_price=figures.reference_price,
        bid=figures.bid,
        ask=figures.ask,
        currency=currency,
        steps=tuple(map(one_line, (*_meant(review), *_steps(review)))),
        standing=tuple(map(one_line, _standing(review))),
        findings=tuple(_findings(review)),
        names=names(review.command, {order.oco_id for order in context.orders or ()}),
        stop_moves_away_by=effect.lost.moves_away_by if effect.lost and effect.lost.stop_moves_away else None,
        gain=figures.gain,
        day_room=_room_of_day(review) if figures.has_stop else None,
        rules=firm_facts(effect, context, review.policy) if figures.risk_basis else (),
    )


def _shown_to_go(cancels: Sequence[Order]) -> tuple[ShownOrder, ...]:
    """Give the orders that go, stops last: whatever fails on the way leaves what protects standing."""
    in_turn = sorted(cancels, key=is_stop)
    return tuple(ShownOrder(order.order_id, order.remaining, order_line(order)) for order in in_turn)


def goes_singly(shown: ApprovalItem, command: Command) -> bool:
    """Say whether a cancel takes the orders that were shown by their ids, and no other, whatever stands by then."""
    return is_cancel(command) and 0 < len(shown.cancels) <= MOST_CANCELLED_SINGLY


def _room_of_day(review: Review) -> Decimal | None:
    room = day_room(review.context, review.policy)
    return None if room is None else room.free


def _sent_by(effect: Effect) -> tuple[PlaceOrder, ...]:
    """Both legs of what leaves first, since the size of that is shown too; the entry alone where it is not known."""
    if effect.legs is not None:
        return effect.legs
    return () if effect.order is None else (effect.order,)


def _meant(review: Review) -> list[str]:
    """The orders or the strategy that it is about, in words: nobody knows one by its id."""
    match review.command:
        case ChangeOrder(order_id=order_id) | SetWatch(order_id=str(order_id)):
            order = review.context.order(order_id)
            meant: tuple[Order, ...] = () if order is None else (order,)
        case CancelOrder() | CancelOrders():
            if review.effect.cancels is None:
                return ["Which orders stand could not be read: whatever stands there goes"]
            meant = review.effect.cancels
            return [*(_as_it_stands(meant)), *_which_go(review.command, meant)]
        case StartStrategy() | EnableStrategy() | DisableStrategy() | CloseStrategy() as command:
            return _strategy_lines(review, command)
        case _:
            return []
    return [*_as_it_stands(meant), *_new_prices(review.command, meant)]


def _as_it_stands(meant: Sequence[Order]) -> list[str]:
    return [f"As it stands: {order_line(order)}" for order in meant] or ["No open order is listed for this"]


def _which_go(command: Command, meant: Sequence[Order]) -> Iterator[str]:
    """Of a cancel of all: whether what somebody places before it arrives goes too."""
    if not isinstance(command, CancelOrders):
        return
    if 0 < len(meant) <= MOST_CANCELLED_SINGLY:
        yield "These are cancelled one by one, stops last; an order that is placed meanwhile stays"
    else:
        yield "All working orders at that moment go, one that is placed meanwhile too"


def _new_prices(command: Command, meant: Sequence[Order]) -> list[str]:
    """The prices that an order gets, where its product has a second way to write them."""
    if not isinstance(command, ChangeOrder) or not any(ticks_in_32nds(order.instrument) for order in meant):
        return []
    given, (order,) = (("limit", command.limit_price), ("stop", command.stop_price)), meant
    prices = (f"{name} {price_of(order.instrument, price)}" for name, price in given if price is not None)
    return [f"Then: {line}"] if (line := " ".join(prices)) else []


def _strategy_lines(review: Review, command: StrategyCommand) -> list[str]:
    strategy = review.context.strategy
    known = "it could not be read" if strategy is None else strategy_line(strategy)
    lines = [] if isinstance(command, StartStrategy) else [f"As it stands: {known}"]
    match command:
        case StartStrategy() | EnableStrategy():
            lines.append("It trades by itself from then on: the limits of ct-mcp do NOT hold what it sends.")
        case DisableStrategy():
            lines.append("Its position stays, and NinjaTrader may cancel its orders, the stop included.")
        case CloseStrategy():  # pragma: no branch  # the set is closed
            lines.append("It ends for good; its position is closed at the market and its orders are cancelled.")
    return lines


def _steps(review: Review) -> list[str]:
    """Of what is done in two steps, both; the first may work and the second not."""
    match review.command:
        case PlaceOrder() | SetWatch() as command:
            return list(WATCH_LINES) if isinstance(command, SetWatch) else _order_steps(review, command)
        case ReversePosition() as turn:
            return [*_closing(review, turn.instrument), f"Then: {_other_side(review)}", _BOTH]
        case ReplaceOrder() as swap:
            old = review.context.order(swap.order_id)
            first = f"First: cancel {order_line(old) if old else 'an order that is not listed'}"
            return [first, f"Then: {headline(swap.order)}"]
        case ProtectPosition() as protect:
            return list(_bracket_lines(review, protect))
        case ClosePosition() if review.effect.order is None:
            return list(_close_lines(review.effect))
        case _:
            return []


def _order_steps(review: Review, order: PlaceOrder) -> list[str]:
    """What an order brings along, and what it leaves before."""
    group = [each for each in review.context.orders or () if order.oco_id and each.oco_id == order.oco_id]
    lines = [f"One cancels the other: {order_line(each)}" for each in group]
    lines += [] if order.bracket is None else entry_lines(order, order.bracket, quote_for(order, review.context))
    if not order.flatten_first:
        return lines
    return [
        *_closing(review, order.instrument),
        f"Then: {headline(replace(order, flatten_first=False))}",
        _BOTH,
        *lines,
    ]


def _close_lines(effect: Effect) -> Iterator[str]:
    """Where a close leads; all of it takes every order of the instrument with it, and a part takes none."""
    before, after = effect.position_before, effect.position_after
    if before is not None and after is not None:
        yield f"Position {contracts(before)} now, {contracts(after)} after"
    if effect.direction is not RiskDirection.CLOSES:
        return
    if effect.cancels is None:
        yield "Every working order of the instrument goes with it; which stand could not be read"
    elif effect.cancels:
        yield f"The working orders of the instrument go with it: {len(effect.cancels)}"


def _closing(review: Review, instrument: Instrument) -> list[str]:
    positions = review.context.positions
    held = [held for held in positions or () if held.quantity and held.instrument == instrument]
    words = " and ".join(f"{position_line(position)}, at the market" for position in held)
    words = words or f"nothing: {instrument} reads flat"
    orders = (
        f"These may be cancelled, or stay and work on: {order_line(order)}" for order in _orders(review, instrument)
    )
    return [f"First: close {words if positions is not None else 'what could not be read'}", *orders]


def _other_side(review: Review) -> str:
    order = review.effect.order
    if order is None:
        return "the other side of a position that is not known"
    return f"{order.action} {order.quantity} {order.instrument} MARKET"


def _bracket_lines(review: Review, protect: ProtectPosition) -> Iterator[str]:
    net = review.effect.position_before or 0
    yield f"Held: {contracts(net)} {protect.instrument}"
    for order in _orders(review, protect.instrument):
        yield f"First: cancel {order_line(order)}"
    given = (("LIMIT", protect.take_profit_price), ("STOP MARKET", protect.stop_loss_price))
    at = protect.instrument
    legs = [f"{leaving(net)} {abs(net)} {kind} {price_of(at, price)}" for kind, price in given if price is not None]
    yield f"Then: {' and '.join(legs)}{', one cancels the other' if len(legs) == 2 else ''}"
    yield "In between nothing protects the position."


def _orders(review: Review, instrument: Instrument) -> tuple[Order, ...]:
    return review.context.open_orders(instrument) or ()


def _findings(review: Review) -> Iterator[Finding]:
    """What is lost comes before everything else."""
    lost = review.effect.lost
    if lost is None:
        unknown = "what this leaves unprotected is not known"
        yield Finding(FindingKind.WARNING, "PROTECTION_UNKNOWN", unknown)
    elif lost.is_any:
        yield Finding(FindingKind.WARNING, "PROTECTION_LOST", str(lost))
    yield from review.findings


def _standing(review: Review) -> list[str]:
    """Positions and orders of the account, or of the instrument that the command names; for what leaves or ends."""
    if not isinstance(review.command, ClosePosition | Flatten | DisableStrategy | CloseStrategy):
        return []
    context, instrument = review.context, instrument_named(review.command, review.context)
    if context.positions is None or context.orders is None:
        return ["What stands now could not be read"]
    positions = [held for held in context.positions if held.quantity and instrument in (None, held.instrument)]
    orders = [order for order in context.orders if instrument in (None, order.instrument)]
    return [*map(position_line, positions), *map(order_line, orders)]
