"""Tell an order of ours from another one: an answer may name, or hold, an order that somebody else placed. Pure.

An id alone proves little: NinjaTrader and brokers give new ones, and a service that mixes up two requests names the
other's. So an order is taken for ours only if what was sent agrees with it, if it was not known before, and if it was
not over before the intent.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ct_mcp.desk.remedies import order_line
from ct_mcp.domain.account import Position
from ct_mcp.domain.commands import PlaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import Order, OrderAction, OrderType
from ct_mcp.guard.protection import leaving
from ct_mcp.store.journal import Entry

# Clocks differ; a computer whose clock is further off has no quote that is fresh enough to trade on.
_CLOCKS_DIFFER = timedelta(seconds=15)


@dataclass(slots=True)
class Ours:
    """What an order must look like to be the one that was sent; keeps the last that was another.

    Without a ``quantity`` or an ``order_type`` any will do, and of the order that they ``named`` any quantity: the size
    of a reverse is not ours to say.
    """

    instrument: Instrument
    action: OrderAction
    quantity: int | None
    own_id: str
    sent_at: datetime
    known_before: Collection[str] = ()
    order_type: OrderType | None = None
    named: str | None = None
    other: Order | None = field(default=None, init=False)

    @classmethod
    def as_placed(cls, order: PlaceOrder, own_id: str, sent_at: datetime, known_before: Collection[str]) -> "Ours":
        """Take the order that was asked for."""
        return cls(order.instrument, order.action, order.quantity, own_id, sent_at, known_before, order.order_type)

    @classmethod
    def that_leaves(cls, held: Position, own_id: str, sent_at: datetime, known_before: Collection[str]) -> "Ours":
        """Take an order that leaves a position, at whatever size."""
        return cls(held.instrument, leaving(held.net), None, own_id, sent_at, known_before)

    def __call__(self, order: Order) -> bool:
        """Say whether an order that was read is the one that was sent."""
        agrees = (order.instrument, order.action) == (self.instrument, self.action)
        agrees = agrees and (self.quantity in (None, order.quantity) or order.order_id == self.named)
        # A type that we cannot read contradicts nothing.
        agrees = agrees and (self.order_type in (None, order.order_type) or not order.order_type.can_be_sent)
        is_it = agrees and order.own_id in (None, self.own_id) and self._is_new(order)
        if not is_it:
            self.other = order
        return is_it

    def _is_new(self, order: Order) -> bool:
        if order.own_id == self.own_id:
            return True
        placed_at = order.placed_at if order.is_closed and order.placed_at is not None else self.sent_at
        return order.order_id not in self.known_before and placed_at >= self.sent_at - _CLOCKS_DIFFER

    @property
    def mistaken(self) -> tuple[str, ...]:
        """Say which order stood in place of ours; nothing where none did."""
        return (
            () if self.other is None else (f"what they name is another order than was sent: {order_line(self.other)}",)
        )


@dataclass(frozen=True, slots=True)
class Asked:
    """What an order must look like to be the one that was asked about: brokers give new ids, and answers get mixed up.

    ``known`` is how it stood before, ``named`` are the ids that they gave it since, ``quantity`` what it was to become.
    """

    order_id: str
    known: Order | None
    named: Collection[str] = ()
    quantity: int | None = None

    def __call__(self, order: Order) -> bool:
        """Say whether an order that was read is that one; under another id only if all of it agrees."""
        is_named = order.order_id in (self.order_id, *self.named) or order.own_id == self.order_id
        if self.known is None:
            return is_named
        known = self.known
        agrees = (order.instrument, order.action) == (known.instrument, known.action)
        alike = order.order_type is known.order_type and order.quantity in (known.quantity, self.quantity)
        return agrees and (is_named or order.order_id == known.order_id or (alike and _may_follow(order, known)))


@dataclass(frozen=True, slots=True)
class Renamed:
    """Which id an order was seen to carry that was asked for by another: brokers number orders, and may do it late.

    The one of its placement keeps working, and lists show the other alone.
    """

    _now: dict[str, str] = field(default_factory=dict)
    _placed: dict[str, str] = field(default_factory=dict)

    def note(self, names: Sequence[str]) -> None:
        """Keep every id under which an order was known, the newest first and that of its placement last."""
        if len(names) > 1:
            self._placed[names[0]] = names[-1]

    def to_ask(self, order_id: str) -> tuple[str, ...]:
        """By which ids to ask for an order, one after the other."""
        placed = self._placed.get(order_id)
        return (order_id,) if placed is None else (order_id, placed)

    def learn(self, order_id: str, order: Order) -> Order:
        """Keep under which id the order of an id was read, which was recognized by its shape."""
        if not order.is_named(order_id):
            self._now[order_id] = order.order_id
        return order

    def is_named(self, order: Order, order_id: str) -> bool:
        """Say whether an order carries an id, or the one that stood in its place when it was last asked for."""
        return order.is_named(order_id) or order.order_id == self._now.get(order_id)


def is_over_by_now(order_id: str, order: Order, known: Mapping[str, Order], over: Collection[Order]) -> bool:
    """Say whether an order that was read by an id is the one meant, and over.

    Under another id it is one that is ``known``, where all of it agrees; of what they only named when they took
    something no shape is known, so a list has to show it as ``over``, too.
    """
    if order.is_named(order_id) or not order.is_closed:
        return order.is_closed
    if (mine := known.get(order_id)) is not None:
        return order.order_id not in known and Asked(order_id, mine)(order)
    return any(each.order_id == order.order_id for each in over)


def sorted_out(
    order_ids: Iterable[str], stand: Iterable[Order], over: Iterable[Order]
) -> tuple[list[Order], list[str]]:
    """Of the orders that stood before and stand no more: those that are listed as over, and the ids of the others."""
    listed = {name: order for order in over for name in (order.own_id, order.order_id) if name}
    standing = {order.order_id for order in stand}
    ids = [each for each in order_ids if each not in standing]
    return [listed[each] for each in ids if each in listed], [each for each in ids if each not in listed]


def _may_follow(order: Order, known: Order) -> bool:
    """Say whether an order under another id may be what became of a known one; what is over may be an older one."""
    if not order.is_closed:
        return True
    return order.placed_at is not None and known.placed_at is not None and order.placed_at >= known.placed_at


def named_before(newest_first: Iterable[Entry], own_id: str | None) -> frozenset[str]:
    """Orders that the journal knows as those of other intents, by the service's ids.

    An order is that of the intent that named it first: a change or a cancel names it as well, and brings none. What a
    change of an order of this intent names beside it is the same order, under the id that it got with the change.
    """
    story = tuple(newest_first)
    brings_none = {entry.own_id for entry in story if entry.detail.get("may_fill") == []}
    named = [(entry.detail.get("order_id"), entry.own_id) for entry in story if entry.own_id not in brings_none]
    refused = ((entry.detail.get("refused"), entry.own_id) for entry in story)
    named += [(each, owner) for ids, owner in refused if isinstance(ids, list | tuple) for each in ids]
    first = {order_id: owner for order_id, owner in named if isinstance(order_id, str)}
    mine = {order_id for order_id, owner in first.items() if owner == own_id}
    of_mine = {own_id, *(owner for order_id, owner in named if order_id in mine)}
    return frozenset(order_id for order_id, owner in first.items() if owner not in of_mine)
