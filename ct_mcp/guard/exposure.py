"""How far an account can come to stand in one instrument: the net position if any subset of what may fill does."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

from ct_mcp.domain.commands import PlaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import IN_CANCELLATION, NEW_GROUP, Order, OrderType
from ct_mcp.guard.context import PendingOrder, RiskContext

# Orders that wait for a better price than the market's; what is of no type that we know may wait on either side.
_LIMITS = frozenset({OrderType.LIMIT, OrderType.MARKET_IF_TOUCHED})


@dataclass(frozen=True, slots=True)
class WorstCase:
    """The two ends that the net position can reach, signed."""

    most_long: int
    most_short: int

    @property
    def long(self) -> int:
        """Contracts that may come to be held long."""
        return max(0, self.most_long)

    @property
    def short(self) -> int:
        """Contracts that may come to be held short."""
        return max(0, -self.most_short)

    @property
    def largest(self) -> int:
        """The larger of the two: what a position limit is held against."""
        return max(self.long, self.short)

    def side(self, sign: int) -> int:
        """Contracts that may come to be held on the side of a BUY (1) or a SELL (-1)."""
        return self.long if sign > 0 else self.short

    def is_beyond(self, other: "WorstCase") -> bool:
        """Say whether it is worse than another on either side."""
        return self.long > other.long or self.short > other.short


@dataclass(frozen=True, slots=True)
class Leg:
    """Contracts that may fill, signed; ``oco_id`` names the group it stands in, ``is_stop`` how it waits there."""

    signed: int
    oco_id: str | None = None
    is_stop: bool = False


def leg_of(order: Order) -> Leg:
    """Take what remains of an order as a leg; of one that is going no fill cancels what joins its group meanwhile.

    Nor does anything of ours ever join a group that is called as the stand-in for a new one.
    """
    oco_id = None if order.state in IN_CANCELLATION or order.oco_id == NEW_GROUP else order.oco_id
    return Leg(order.action.sign * order.remaining, oco_id, order.order_type.needs_stop_price)


def leg_of_new(order: PlaceOrder, *, is_alone: bool = False) -> Leg:
    """Take a new order as a leg; ``is_alone`` where it does not share the fate of the group it names."""
    oco_id = None if is_alone else order.oco_id
    return Leg(order.action.sign * order.quantity, oco_id, order.order_type.needs_stop_price)


def pending_leg(order: PendingOrder) -> Leg:
    """Take an order of unknown outcome as a leg: all of it may fill, and no group holds it."""
    return Leg(order.signed_quantity)


def worst_case(net: int, orders: Iterable[Order], pending: Iterable[PendingOrder]) -> WorstCase:
    """Count what remains of every order that is not closed, and all of the pending ones."""
    return reach(net, [*map(leg_of, orders), *map(pending_leg, pending)])


def reach(net: int, legs: Iterable[Leg]) -> WorstCase:
    """Count every leg on its side; of an exit pair only the larger leg.

    OCO is NinjaTrader's promise to cancel once it heard of a fill, so a group is believed only where it is the usual
    pair around a position: one stop and one other exit, neither larger than what is held. Everything else counts in
    full, whatever group it stands in.
    """
    groups: dict[tuple[str, bool], list[Leg]] = defaultdict(list)
    most = {True: net, False: net}
    for leg in legs:
        if leg.oco_id:
            groups[leg.oco_id, leg.signed > 0].append(leg)
        else:
            most[leg.signed > 0] += leg.signed
    for (_, is_buy), members in groups.items():
        most[is_buy] += _largest(members) if _is_exit_pair(members, net) else sum(leg.signed for leg in members)
    return WorstCase(most[True], most[False])


def _is_exit_pair(members: list[Leg], net: int) -> bool:
    stops = sum(leg.is_stop for leg in members)
    leaves = all(leg.signed * net < 0 and abs(leg.signed) <= abs(net) for leg in members)
    return leaves and stops <= 1 and len(members) - stops <= 1


def _largest(members: list[Leg]) -> int:
    return max((leg.signed for leg in members), key=abs)


def goes_towards_flat(before: int | None, after: int | None) -> bool:
    """Say whether a position ends smaller on its own side, or flat; False where either is not known."""
    if before is None or after is None:
        return False
    return before * after >= 0 and abs(after) < abs(before)


@dataclass(frozen=True, slots=True)
class Book:
    """What stands in one instrument of an account: the position, the open orders, and what may still come."""

    net: int
    orders: tuple[Order, ...]
    pending: tuple[Leg, ...]

    @classmethod
    def of(cls, instrument: Instrument, context: RiskContext) -> "Book | None":
        """Take it from what was read; None where positions or orders were not."""
        net, orders = context.net_position(instrument), context.open_orders(instrument)
        if net is None or orders is None:
            return None
        return cls(net, orders, tuple(map(pending_leg, context.pending_orders(instrument))))

    @property
    def legs(self) -> tuple[Leg, ...]:
        """Everything that may fill."""
        return (*map(leg_of, self.orders), *self.pending)

    @property
    def worst(self) -> WorstCase:
        """How far it can come to stand."""
        return reach(self.net, self.legs)

    @property
    def could_end(self) -> bool:
        """Say whether one move of the price could end or turn it: on one side of the market as much stands as is held.

        A stop and a target wait on two sides of it, whether or not they are a pair.
        """
        leaving = [order for order in self.orders if order.action.sign * self.net < 0]
        limits = sum(order.remaining for order in leaving if not order.order_type.needs_stop_price)
        stops = sum(order.remaining for order in leaving if order.order_type not in _LIMITS)
        return max(limits, stops) >= abs(self.net)

    def without(self, gone: Iterable[Order]) -> "Book":
        """Give the same without some of its orders."""
        gone = tuple(gone)
        return replace(self, orders=tuple(order for order in self.orders if order not in gone))


def others_at_worst(named: Instrument, context: RiskContext) -> list[tuple[Instrument, WorstCase | None]]:
    """Give every other instrument in which anything is held, working or of unknown outcome, with its worst case."""
    return [(other, worst) for other, worst in all_at_worst(context) if other != named]


def all_at_worst(context: RiskContext) -> list[tuple[Instrument, WorstCase | None]]:
    """Give every instrument in which anything is held, working or of unknown outcome, with its worst case."""
    known = {each.instrument for each in context.positions or ()}
    known |= {each.instrument for each in context.orders or ()} | {each.instrument for each in context.pending}
    in_order = sorted(known, key=lambda each: (each.root, each.year, each.month))  # what is no future has no order
    books = ((each, Book.of(each, context)) for each in in_order)
    return [(each, None if book is None else book.worst) for each, book in books]
