"""The stops behind a position, as they were read: which protect it, which may, and what is said of the rest. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from ct_mcp.desk import remedies
from ct_mcp.domain.account import Position
from ct_mcp.domain.commands import PlaceOrder
from ct_mcp.domain.order import ACCEPTED, IN_MARKET, Order, OrderState
from ct_mcp.guard.protection import covered_by, is_stop, leaving, may_be_stop
from ct_mcp.guard.review import Review

# A stop that is held back (TRIGGER_PENDING), or that the broker has not answered to, is no protection yet.
STANDS = ACCEPTED | IN_MARKET


@dataclass(frozen=True, slots=True)
class Cover:
    """One position with every order that is behind it as a stop, or may be one, and is not closed."""

    held: Position
    stops: tuple[Order, ...]

    @property
    def bare(self) -> int:
        """Contracts that no stop covers that was seen standing."""
        return self._uncovered(order for order in self.stops if order.state in STANDS and is_stop(order))

    @property
    def missing(self) -> int:
        """Contracts that no stop covers, nor one in a state, or of a type, that nobody knows."""
        known = STANDS | {OrderState.UNKNOWN}
        return self._uncovered(order for order in self.stops if order.state in known or not is_stop(order))

    @property
    def doubtful(self) -> tuple[Order, ...]:
        """Stops that are alive, and are not seen to protect: no other is placed beside them on a guess."""
        return tuple(order for order in self.stops if order.state not in STANDS or not is_stop(order))

    @property
    def alarm(self) -> str:
        """Cry of contracts without a stop; where one reads a state that nobody knows, it is not known."""
        of_them = f"of the {self.held.quantity} contracts held in {self.held.instrument}"
        may = "".join(f"; may stand: {remedies.order_line(order)}" for order in self.doubtful)
        if missing := self.missing:
            return f"UNPROTECTED: {missing} {of_them} stand without a stop{may}"
        if self.bare:
            return f"it is NOT KNOWN whether {self.bare} {of_them} stand protected{may}"
        return ""

    def _uncovered(self, stops: Iterable[Order]) -> int:
        held = self.held
        covered = covered_by(stops, held.instrument, leaving(held.net), counts=lambda _: True)
        return max(0, held.quantity - covered)


def cover_of(held: Position, orders: Iterable[Order]) -> Cover:
    """Take the stops of one position out of all orders that were read with it."""
    side = (held.instrument, leaving(held.net))
    return Cover(held, tuple(o for o in orders if may_be_stop(o) and (o.instrument, o.action) == side))


def covers_of(positions: Iterable[Position], orders: Iterable[Order]) -> tuple[Cover, ...]:
    """Give the cover of every position."""
    orders = tuple(orders)
    return tuple(cover_of(held, orders) for held in positions if held.quantity)


def covered(held: Position, orders: Iterable[Order]) -> int:
    """Contracts of one position that have a stop behind them, or may have one."""
    stops = cover_of(held, orders).stops
    return min(held.quantity, covered_by(stops, held.instrument, leaving(held.net), counts=lambda _: True))


def alarm_of(positions: Iterable[Position], orders: Iterable[Order]) -> str:
    """Cry of all positions without a stop; empty where there is none."""
    return "; ".join(cover.alarm for cover in covers_of(positions, orders) if cover.bare)


def mending(cover: Cover, price: Decimal | None, orders: Iterable[Order]) -> str:
    """Give the calls that put a stop behind what is bare; what may stand is looked at first.

    A stop cannot join the group of a target whose own stop is gone, so that target goes first.
    """
    held = cover.held
    leaving_now = remedies.closing(held.account, held.instrument)
    if cover.doubtful:
        return f"{may_stand(cover.doubtful)}; or {leaving_now}"
    if price is None:
        return f"protect it with protect_position and a stop_loss, or {leaving_now}"
    stop = remedies.stopping(held, cover.bare, price)
    side = (held.instrument, leaving(held.net))
    if targets := [order for order in orders if (order.instrument, order.action) == side and not is_stop(order)]:
        stop = f"{remedies.cancelling_all(targets)}; then {stop}"
    return f"{stop}; where the market has passed that price, {leaving_now}"


def lost_in(
    review: Review, positions: Iterable[Position], orders: Iterable[Order], ended: Iterable[Order] = ()
) -> tuple[Cover, ...]:
    """Give the positions without a stop that had one when this was reviewed, or were to get one by it.

    ``ended`` are orders that are over since: a stop among them stood, though no list may have shown it then.
    """
    ended, covers = tuple(ended), covers_of(positions, orders)
    return tuple(cover for cover in covers if cover.bare and _was_to_have_one(review, cover.held, ended))


def price_lost(review: Review, held: Position, ended: Iterable[Order] = ()) -> Decimal | None:
    """Where the stop stood that is gone, or was to stand."""
    stood = [order.stop_price for order in (*_stops_before(review, held), *_stops_ended(held, ended))]
    wanted = [leg.stop_price for leg in _stops_wanted(review, held)]
    return next((price for price in (*stood, *wanted) if price is not None), None)


def _was_to_have_one(review: Review, held: Position, ended: Iterable[Order]) -> bool:
    """Say so as well where it is not known what stood."""
    stood = review.context.orders is None or _stops_before(review, held) or _stops_ended(held, ended)
    return bool(stood or _stops_wanted(review, held))


def _stops_before(review: Review, held: Position) -> tuple[Order, ...]:
    return cover_of(held, review.context.orders or ()).stops


def _stops_ended(held: Position, ended: Iterable[Order]) -> tuple[Order, ...]:
    side, over = (held.instrument, leaving(held.net)), (o for o in ended if o.state is not OrderState.FILLED)
    return tuple(o for o in over if o.order_type.needs_stop_price and (o.instrument, o.action) == side)


def _stops_wanted(review: Review, held: Position) -> tuple[PlaceOrder, ...]:
    side = (held.instrument, leaving(held.net))
    legs = review.effect.legs or ()
    return tuple(leg for leg in legs if leg.order_type.needs_stop_price and (leg.instrument, leg.action) == side)


def may_stand(orders: Iterable[Order]) -> str:
    """Say what to do about stops that may stand: look, and place nothing beside them."""
    looks = "; ".join(
        f"get_order with account {remedies.named(order.account)}, order_id {remedies.named(order.order_id)}"
        for order in orders
    )
    return f"place NO stop beside what may stand: look again until its state is known: {looks}"
