"""What stands: each position with the stops and targets behind it, in contracts, prices and money. Pure.

It is reckoned here, from what was read, so that nobody who is told a position has to read its orders and to multiply.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from ct_mcp.desk.remedies import order_line, position_line
from ct_mcp.desk.stops import STANDS, cover_of
from ct_mcp.domain.account import Position
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import Contract
from ct_mcp.domain.order import Execution, Order, OrderType
from ct_mcp.domain.products import price_of
from ct_mcp.guard.protection import is_stop, leaving
from ct_mcp.text import signed_money

Contracts = Mapping[Instrument, Contract]
"""What one contract is worth, as far as a quote of today said so."""
_MOST_ORDERS_TOLD = 6


@dataclass(frozen=True, slots=True)
class ExitLeg:
    """An order behind a position: so many of its contracts leave at this price; ``money`` is what that comes to."""

    order: Order
    contracts: int
    price: Decimal | None
    money: Decimal | None


@dataclass(frozen=True, slots=True)
class Standing:
    """One position and what is behind it; ``bare`` contracts have no stop that was seen standing.

    Of ``doubtful`` of them nobody knows: what may be their stop reads a state, or a type, that is not known.
    """

    held: Position
    stops: tuple[ExitLeg, ...]
    targets: tuple[ExitLeg, ...]
    bare: int
    point_value: Decimal | None
    doubtful: int = 0

    @property
    def if_stopped(self) -> Decimal | None:
        """What the whole position comes to at its stops; None where not all of it has one, or it is not known."""
        amounts = [leg.money for leg in self.stops]
        known = [amount for amount in amounts if amount is not None]
        is_whole = not self.bare and sum(leg.contracts for leg in self.stops) == self.held.quantity
        return sum(known, Decimal(0)) if is_whole and known and len(known) == len(amounts) else None

    @property
    def line(self) -> str:
        """The position in one line, ``LONG 2 ES 12-26 at 6400; stop 2 of 2 at 6390 (-1,000.00); no target``."""
        return "; ".join((position_line(self.held), *self.protection))

    @property
    def protection(self) -> Iterator[str]:
        """Each stop and target in a few words, and what is bare."""
        for name, legs in (("stop", self.stops), ("target", self.targets)):
            yield from (self._leg_words(name, leg) for leg in legs)
        if missing := self.bare - self.doubtful:
            yield f"NO STOP for {missing} of {self.held.quantity}" if self.stops else "NO STOP"
        if self.doubtful:
            yield f"NOT KNOWN whether a stop stands for {self.doubtful} of {self.held.quantity}"
        if not self.targets:
            yield "no target"

    def _leg_words(self, name: str, leg: ExitLeg) -> str:
        amount = "" if leg.money is None else f" ({signed_money(leg.money)})"
        if (left := leg.order.remaining) > self.held.quantity:
            turned = self.held.net + leg.order.action.sign * left
            sizes = f"{name} {left} for {self.held.quantity} at {price_of(leg.order.instrument, leg.price)}"
            return f"{sizes}: TOO LARGE, filled it turns the position to {turned:+d}"
        state = "" if leg.order.state in STANDS else f" {leg.order.state_text}"
        price = price_of(leg.order.instrument, leg.price)
        return f"{name} {leg.contracts} of {self.held.quantity} at {price}{amount}{state}"


def standing_of(held: Position, orders: Iterable[Order], contract: Contract | None) -> Standing:
    """Take what is behind one position out of the open orders that were read with it."""
    orders = tuple(orders)
    cover = cover_of(held, orders)
    stops = [leg for leg in (_leg(held, order, order.stop_price, contract) for order in cover.stops) if leg]
    side = (held.instrument, leaving(held.net))
    limits = [o for o in orders if (o.instrument, o.action) == side and o.order_type is OrderType.LIMIT]
    targets = [
        leg for leg in (_leg(held, o, o.limit_price, contract) for o in limits) if leg and not is_stop(leg.order)
    ]
    value = None if contract is None else contract.point_value
    return Standing(held, tuple(stops), tuple(targets), cover.bare, value, cover.bare - cover.missing)


def _leg(held: Position, order: Order, price: Decimal | None, contract: Contract | None) -> ExitLeg | None:
    if order.is_closed:
        return None
    contracts = min(order.remaining, held.quantity)
    gain = (
        None
        if price is None or held.average_price is None
        else (price - held.average_price) * (1 if held.net > 0 else -1)
    )
    money = None if gain is None or contract is None else contract.money(gain, contracts)
    return ExitLeg(order, contracts, price, money)


def standings_of(positions: Iterable[Position], orders: Sequence[Order], contracts: Contracts) -> tuple[Standing, ...]:
    """Give the standing of every position that holds something."""
    return tuple(standing_of(held, orders, contracts.get(held.instrument)) for held in positions if held.quantity)


def results_of(held: Iterable[Position], fills: Iterable[Execution], contracts: Contracts) -> Iterator[str]:
    """Say what the fills that left a position came to, before costs; nothing where a price or a value is not known."""
    fills = tuple(fills)
    for position in held:
        contract, average = contracts.get(position.instrument), position.average_price
        mine = [
            fill for fill in fills if fill.instrument == position.instrument and fill.action is leaving(position.net)
        ]
        closed = sum(fill.quantity for fill in mine)
        if contract is None or average is None or not 0 < closed <= position.quantity:
            continue
        sign = 1 if position.net > 0 else -1
        amount = sum((contract.money((fill.price - average) * sign, fill.quantity) for fill in mine), Decimal(0))
        yield f"result: {signed_money(amount)} for {closed} {position.instrument.label}, before costs"


def lines_of(positions: Sequence[Position], orders: Sequence[Order], contracts: Contracts) -> tuple[str, ...]:
    """Say what stands in a line for each position, and one with the working orders and their ids."""
    held = [standing.line for standing in standings_of(positions, orders, contracts)]
    told = "; ".join(map(_working, orders[:_MOST_ORDERS_TOLD])) or "none"
    more = f"; and {len(orders) - _MOST_ORDERS_TOLD} more, see get_orders" if len(orders) > _MOST_ORDERS_TOLD else ""
    return (*held, f"{'' if held else 'no position; '}working orders: {told}{more}")


def _working(order: Order) -> str:
    return f"{order_line(order)} {order.time_in_force or ''}".rstrip()
