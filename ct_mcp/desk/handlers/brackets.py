"""Sends a bracket around a position. The call is not atomic: what it says proves nothing, what stands does."""

from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial

from ct_mcp.crosstrade.schemas.orders import Acknowledged
from ct_mcp.desk import readback, remedies
from ct_mcp.desk.execution import CommandExecution
from ct_mcp.desk.held_now import positions_now
from ct_mcp.desk.misfits import with_too_small
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.polling import AccountState, Baseline
from ct_mcp.desk.readback import LOOK_AGAIN, their_words
from ct_mcp.desk.remedies import order_line
from ct_mcp.desk.stops import STANDS, alarm_of, cover_of, mending
from ct_mcp.domain.account import Direction, Position
from ct_mcp.domain.commands import ProtectPosition
from ct_mcp.domain.order import IN_MARKET, Order, OrderType
from ct_mcp.errors import BadRequest
from ct_mcp.guard.protection import leaving
from ct_mcp.guard.rules.position import CLOSE_NOT_COVERED


async def protect(execution: CommandExecution, wanted: ProtectPosition) -> Outcome:
    """Put the bracket in place of the orders of the instrument, and look until it stands or is known not to."""
    view = execution.review.context
    before = frozenset(order.order_id for order in view.orders or ())
    bracket = AskedBracket(wanted, before, view.net_position(wanted.instrument) or 0)
    answer = await execution.submit("protect", _sent(execution, wanted))
    if answer.refusal:
        book = await execution.urgent_poller.book_now(wanted.account, wanted.instrument)
        return await execution.record(from_refused_bracket(execution.after(answer), book))
    book = await execution.urgent_poller.book(
        wanted.account, wanted.instrument, bracket.is_done, Baseline(instruments=(wanted.instrument,))
    )
    outcome = execution.after(answer)
    if book is None:
        return await execution.record(unread(outcome))
    gone = await _unlisted(execution, bracket, answer.taken.order_ids, book)
    is_known = bool(answer.taken.order_ids) and not book.is_stale and None not in gone
    told = from_bracket(outcome, book, bracket)
    told = readback.with_standing(told, book, execution.contracts)
    told = with_too_small(told, execution.review, book, execution.contracts)
    words = (f"{order_line(leg)}: {their_words(leg)}" for leg in gone if leg is not None and leg.said)
    return await execution.record(replace(told, reasons=(*told.reasons, *words)), is_known=is_known)


async def _unlisted(
    execution: CommandExecution, bracket: "AskedBracket", named: tuple[str, ...], book: AccountState
) -> tuple[Order | None, ...]:
    """Look up the legs that they named and that are not listed: each as it is over, or None where it may come.

    One may be listed under another id, which brokers give.
    What is known must not count as what may come: a position that stands bare is mended by another stop, and the
    limits would count a lost one against it.
    """
    listed = {order.order_id for order in book.orders}
    watch = execution.urgent_poller
    looks = [(order_id, partial(bracket.may_be, order_id)) for order_id in named if order_id not in listed]
    seen = [await watch.look(bracket.wanted.account, order_id, is_it) for order_id, is_it in looks]
    unlisted = [order for order in seen if order is None or order.order_id not in listed]
    over = [order if order is not None and order.is_closed else None for order in unlisted]
    return tuple([None if order is None else await watch.with_their_words(order) for order in over])


async def _sent(execution: CommandExecution, wanted: ProtectPosition) -> Acknowledged:
    """Look at what is held at the last moment, and send: on a flat account this call would open a position."""
    fields = await execution.upstream.bracket_fields()
    position = await _held_right_now(execution, wanted)
    return await execution.while_fresh.cancel_and_bracket(wanted, position, fields)


async def _held_right_now(execution: CommandExecution, wanted: ProtectPosition) -> Position:
    positions = await positions_now(execution.upstream, execution.review, execution.journal.clock)
    reviewed = execution.review.context.net_position(wanted.instrument) or 0
    held = next((position for position in positions if position.instrument == wanted.instrument), None)
    if held is None or held.direction is Direction.FLAT:
        raise BadRequest(f"{wanted.instrument} is flat by now, and a bracket without a position would open one")
    if held.net * reviewed <= 0:
        raise BadRequest(f"{wanted.instrument} was {reviewed:+d} when this was reviewed and is {held.net:+d} by now")
    return held


@dataclass(frozen=True, slots=True)
class AskedBracket:
    """What was asked for, around how many contracts, and the orders of before: the new ones have other ids."""

    wanted: ProtectPosition
    before: frozenset[str]
    held: int

    def is_done(self, book: AccountState) -> bool:
        """Say whether there is nothing to wait for: every leg works, or the position is gone.

        A refusal by the broker may come a second after it was accepted, so the looking goes on until it works.
        """
        return not book.net or all(leg and leg.state in IN_MARKET for leg in self.legs(book).values())

    def may_be(self, order_id: str, order: Order) -> bool:
        """Say whether an order that was read by an id is the leg of that id, which may carry another by now."""
        side = (order.instrument, order.action) == (self.wanted.instrument, leaving(self.held))
        is_leg = side and order.order_type in (OrderType.LIMIT, OrderType.STOP_MARKET)
        return order.is_named(order_id) or (is_leg and order.order_id not in self.before)

    def legs(self, book: AccountState) -> dict[str, Order | None]:
        """Each leg that was asked for, where it stands at the size of the position."""
        wanted = self.wanted
        asked = {"take profit": (OrderType.LIMIT, wanted.take_profit_price)}
        asked["stop loss"] = (OrderType.STOP_MARKET, wanted.stop_loss_price)
        return {name: self._leg(book, kind, price) for name, (kind, price) in asked.items() if price is not None}

    def _leg(self, book: AccountState, kind: OrderType, price: Decimal) -> Order | None:
        for order in book.orders:
            at = order.limit_price if kind is OrderType.LIMIT else order.stop_price
            is_it = (order.order_type, order.action, at) == (kind, leaving(book.net), price)
            stands = order.remaining == abs(book.net) and order.state in STANDS
            if is_it and stands and order.order_id not in self.before:
                return order
        return None


def from_bracket(outcome: Outcome, book: AccountState, bracket: AskedBracket) -> Outcome:
    """Working is said only of legs that were seen working at the size of the position."""
    outcome = replace(outcome, position_after=None if book.is_stale else book.net)
    if not book.net:
        return _gone(outcome, book)
    if book.net * bracket.held < 0:
        return _turned(outcome, book, bracket)
    legs = bracket.legs(book)
    missing = tuple(f"the {name} is not seen standing for {abs(book.net)}" for name, leg in legs.items() if leg is None)
    cry = alarm_of(book.positions, book.orders)
    outcome = replace(outcome, alarm=cry, warnings=(*outcome.warnings, *_strays(book, legs)))
    step = _remedy(outcome, book, bracket.wanted)
    if missing or book.is_stale:
        return replace(outcome, reasons=(*outcome.reasons, *missing), next_step=step)
    stop = legs.get("stop loss") or next(iter(legs.values()))
    outcome = replace(outcome, order_id=stop.order_id if stop else None, order_state=stop.state if stop else None)
    if outcome.status is Status.REJECTED:
        return outcome
    known = tuple(found for found in outcome.findings if found.code != CLOSE_NOT_COVERED)  # it has gone well
    return replace(outcome, status=Status.WORKING, next_step=step if cry else "", findings=known)


def from_refused_bracket(outcome: Outcome, book: AccountState | None) -> Outcome:
    """Their no came before anything was cancelled; whether the position is protected is said all the same."""
    unknown = "it is NOT KNOWN whether the position stands protected as it is: its orders could not be read"
    if book is None or book.orders_doubted:
        return replace(outcome, alarm=unknown)
    return replace(outcome, alarm=alarm_of(book.positions, book.orders))


def unread(outcome: Outcome) -> Outcome:
    """Nothing could be read: the orders that protected it may be gone."""
    cry = "it is NOT KNOWN whether the position stands protected: its orders may be cancelled and no new ones stand"
    return replace(outcome, alarm=cry, next_step=f"{remedies.TELL_NOW}; {LOOK_AGAIN}")


def _gone(outcome: Outcome, book: AccountState) -> Outcome:
    reason = "the position is flat now: there is nothing left to protect"
    if book.is_flat:
        return replace(outcome, status=Status.FLAT, reasons=(*outcome.reasons, reason), next_step="")
    left = tuple(f"still standing, and would open a position: {order_line(order)}" for order in book.orders)
    step = f"{remedies.TELL_NOW}; {remedies.cancelling_all(book.orders)}"
    return replace(outcome, reasons=(*outcome.reasons, reason), warnings=(*left, *outcome.warnings), next_step=step)


def _turned(outcome: Outcome, book: AccountState, bracket: AskedBracket) -> Outcome:
    """The prices that were asked for are those of the other side, so no stop of them mends it."""
    cry = f"the position was {bracket.held:+d} and is {book.net:+d} now: the bracket that was asked for does not fit it"
    listed = tuple(f"still standing: {order_line(order)}" for order in book.orders)
    calls = (
        *map(remedies.cancelling, book.orders),
        remedies.closing(bracket.wanted.account, bracket.wanted.instrument),
    )
    alarm = alarm_of(book.positions, book.orders)
    warnings = (cry, *outcome.warnings, *listed)
    return replace(outcome, alarm=alarm, warnings=warnings, next_step=f"{remedies.TELL_NOW}; {'; '.join(calls)}")


def _strays(book: AccountState, legs: dict[str, Order | None]) -> tuple[str, ...]:
    """Orders that are not part of the bracket, and legs that do not cancel each other."""
    own = [leg for leg in legs.values() if leg is not None]
    groups = {leg.oco_id for leg in own}
    strays = [f"still standing beside it: {order_line(order)}" for order in book.orders if order not in own]
    if len(own) == 2 and len(groups) == 2:
        strays.append("the two legs do not read as one OCO group: when one fills, cancel the other")
    return tuple(strays)


def _remedy(outcome: Outcome, book: AccountState, wanted: ProtectPosition) -> str:
    cover = cover_of(book.positions[0], book.orders)
    if not cover.bare:
        return outcome.next_step or LOOK_AGAIN
    tell = f"{remedies.TELL_NOW}; {_ONCE_SURE}" if outcome.status is Status.UNKNOWN else remedies.TELL_NOW
    return f"{tell}; {mending(cover, wanted.stop_loss_price, book.orders)}"


_ONCE_SURE = (
    "do NOT send the bracket again; it may still come: look again with get_orders, and only where it has not come"
)
