"""What was read after a bracket was asked for → whether the position stands protected. Pure; nothing is assumed."""

from dataclasses import dataclass, replace
from decimal import Decimal

from ct_mcp.desk import mending
from ct_mcp.desk.in_words import order_line
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.read_back import LOOK_AGAIN
from ct_mcp.desk.watch import Book
from ct_mcp.domain.action import ProtectPosition
from ct_mcp.domain.order import Order, OrderAction, OrderState, OrderType

# A stop that is held back (TRIGGER_PENDING), or that the broker has not answered to, is no protection yet.
_STANDS = frozenset({OrderState.ACCEPTED, OrderState.WORKING, OrderState.PART_FILLED})
# A refusal by the broker may come a second after it was accepted, so the looking goes on until it works.
_WORKS = _STANDS - {OrderState.ACCEPTED}


@dataclass(frozen=True, slots=True)
class Bracket:
    """What was asked for, around how many contracts, and the orders of before: the new ones have other ids."""

    wanted: ProtectPosition
    before: frozenset[str]
    held: int

    def is_done(self, book: Book) -> bool:
        """Say whether there is nothing to wait for: every leg works, or the position is gone."""
        return not book.net or all(leg and leg.state in _WORKS for leg in self.legs(book).values())

    def legs(self, book: Book) -> dict[str, Order | None]:
        """Each leg that was asked for, where it stands at the size of the position."""
        wanted = self.wanted
        asked = {"take profit": (OrderType.LIMIT, wanted.take_profit_price)}
        asked["stop loss"] = (OrderType.STOP_MARKET, wanted.stop_loss_price)
        return {name: self._leg(book, kind, price) for name, (kind, price) in asked.items() if price is not None}

    def _leg(self, book: Book, kind: OrderType, price: Decimal) -> Order | None:
        for order in book.orders:
            at = order.limit_price if kind is OrderType.LIMIT else order.stop_price
            is_it = (order.order_type, order.action, at) == (kind, exit_of(book.net), price)
            stands = order.remaining == abs(book.net) and order.state in _STANDS
            if is_it and stands and order.order_id not in self.before:
                return order
        return None


def exit_of(net: int) -> OrderAction:
    """What leaves a position."""
    return OrderAction.SELL if net > 0 else OrderAction.BUY


def uncovered(book: Book) -> int:
    """Contracts of the position in one instrument that no standing stop is behind."""
    return max(0, abs(book.net) - sum(order.remaining for order in stops_behind(book)))


def stops_behind(book: Book) -> tuple[Order, ...]:
    """The standing stops on the side that leaves the position."""
    leaves = exit_of(book.net)
    return tuple(
        order
        for order in book.orders
        if order.order_type.needs_stop_price and order.action is leaves and order.state in _STANDS
    )


def unprotected(book: Book) -> str:
    """The cry: how much of the position stands without a stop; nothing where all of it is covered."""
    bare = uncovered(book)
    if not book.net or not bare:
        return ""
    instrument = book.positions[0].instrument
    return f"UNPROTECTED: {bare} of the {abs(book.net)} contracts held in {instrument} stand without a stop"


def from_bracket(outcome: Outcome, book: Book, bracket: Bracket) -> Outcome:
    """Working is said only of legs that were seen standing at the size of the position."""
    outcome = replace(outcome, position_after=None if book.is_stale else book.net)
    if not book.net:
        return _gone(outcome, book)
    if book.net * bracket.held < 0:
        return _turned(outcome, book, bracket)
    legs = bracket.legs(book)
    missing = tuple(f"the {name} is not seen standing for {abs(book.net)}" for name, leg in legs.items() if leg is None)
    cry = (unprotected(book),) if uncovered(book) else ()
    outcome = replace(outcome, warnings=(*cry, *outcome.warnings, *_strays(book, legs)))
    step = _mend(outcome, book, bracket.wanted)
    if missing or book.is_stale:
        return replace(outcome, reasons=(*outcome.reasons, *missing), next_step=step)
    stop = legs.get("stop loss") or next(iter(legs.values()))
    outcome = replace(outcome, order_id=stop.order_id if stop else None, order_state=stop.state if stop else None)
    if outcome.status is Status.REJECTED:
        return outcome
    return replace(outcome, status=Status.WORKING, next_step=step if cry else "")


def from_refused_bracket(outcome: Outcome, book: Book | None) -> Outcome:
    """Their no came before anything was cancelled; whether the position is protected is said all the same."""
    unknown = "it is NOT KNOWN whether the position stands protected as it is: its orders could not be read"
    cry = unknown if book is None else unprotected(book)
    return replace(outcome, warnings=(cry, *outcome.warnings)) if cry else outcome


def unread(outcome: Outcome) -> Outcome:
    """Nothing could be read: the orders that protected it may be gone."""
    cry = "it is NOT KNOWN whether the position stands protected: its orders may be cancelled and no new ones stand"
    return replace(outcome, warnings=(cry, *outcome.warnings), next_step=f"{mending.TELL_NOW}; {LOOK_AGAIN}")


def _gone(outcome: Outcome, book: Book) -> Outcome:
    reason = "the position is flat now: there is nothing left to protect"
    if book.is_flat:
        return replace(outcome, status=Status.FLAT, reasons=(*outcome.reasons, reason), next_step="")
    left = tuple(f"still standing, and would open a position: {order_line(order)}" for order in book.orders)
    step = f"{mending.TELL_NOW}; {mending.cancelling_all(book.orders)}"
    return replace(outcome, reasons=(*outcome.reasons, reason), warnings=(*left, *outcome.warnings), next_step=step)


def _turned(outcome: Outcome, book: Book, bracket: Bracket) -> Outcome:
    """The prices that were asked for are those of the other side, so no stop of them mends it."""
    cry = f"the position was {bracket.held:+d} and is {book.net:+d} now: the bracket that was asked for does not fit it"
    listed = tuple(f"still standing: {order_line(order)}" for order in book.orders)
    calls = (*map(mending.cancelling, book.orders), mending.closing(bracket.wanted.account, bracket.wanted.instrument))
    warnings = (*filter(None, (unprotected(book),)), cry, *outcome.warnings, *listed)
    return replace(outcome, warnings=warnings, next_step=f"{mending.TELL_NOW}; {'; '.join(calls)}")


def _strays(book: Book, legs: dict[str, Order | None]) -> tuple[str, ...]:
    """Orders that are not part of the bracket, and legs that do not cancel each other."""
    own = [leg for leg in legs.values() if leg is not None]
    groups = {leg.oco_id for leg in own}
    strays = [f"still standing beside it: {order_line(order)}" for order in book.orders if order not in own]
    if len(own) == 2 and len(groups) == 2:
        strays.append("the two legs do not read as one OCO group: when one fills, cancel the other")
    return tuple(strays)


def _mend(outcome: Outcome, book: Book, wanted: ProtectPosition) -> str:
    """A stop cannot join the group of a target whose own stop was refused, so that target goes first."""
    bare, price = uncovered(book), wanted.stop_loss_price
    if not bare:
        return outcome.next_step or LOOK_AGAIN
    leaving = mending.closing(wanted.account, wanted.instrument)
    tell = (
        f"{mending.TELL_NOW}; do NOT send the bracket again" if outcome.status is Status.UNKNOWN else mending.TELL_NOW
    )
    if price is None:
        return f"{tell}; protect it with protect_position and a stop_loss_price, or {leaving}"
    stop = mending.stopping(book.positions[0], bare, price)
    if targets := [order for order in book.orders if order.action is exit_of(book.net) and not order.stop_price]:
        stop = f"{mending.cancelling_all(targets)}; then {stop}"
    return f"{tell}; {stop}; where the market has passed that price, {leaving}"
