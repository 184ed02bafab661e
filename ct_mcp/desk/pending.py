"""What may yet fill of all that was sent with an outcome nobody knows: written with an intent, read by a review."""

from collections.abc import Iterable, Iterator

from ct_mcp.desk.read_back import largest_left
from ct_mcp.domain.action import (
    Action,
    ChangeOrder,
    ClosePosition,
    Flatten,
    PlaceOrder,
    ProtectPosition,
    ReplaceOrder,
    ReversePosition,
)
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import Order
from ct_mcp.guard.policy import PendingOrder, View
from ct_mcp.store.journal import Entry

Fill = tuple[Instrument, int]


def may_fill(action: Action, view: View) -> tuple[Fill, ...]:
    """What it may add to the book, signed, while nobody knows what became of it. An exit may fill as well.

    What a strategy does by itself is in no such figure.
    """
    match action:
        case ClosePosition() as close:
            net = _net(view, close.instrument)
            return ((close.instrument, largest_left(close, net) - net),)
        case Flatten(instrument=instrument):
            held = (held for held in view.positions or () if instrument in (None, held.instrument))
            return tuple((position.instrument, -position.net) for position in held)
        case ProtectPosition(instrument=instrument):
            return ((instrument, -_net(view, instrument)),)
        case _:
            return _of_new_orders(action, view)


def _of_new_orders(action: Action, view: View) -> tuple[Fill, ...]:
    match action:
        case PlaceOrder(instrument=instrument) as order:
            leaves = ((instrument, -_net(view, instrument)),) if order.flatten_first else ()
            return ((instrument, order.action.sign * order.quantity), *leaves)
        case ChangeOrder(order_id=order_id, quantity=int(quantity)):
            changed = view.order(order_id)
            more = 0 if changed is None else quantity - changed.quantity
            return ((changed.instrument, changed.action.sign * more),) if changed is not None and more > 0 else ()
        case ReplaceOrder(order=order):
            return ((order.instrument, order.action.sign * order.quantity),)
        case ReversePosition(instrument=instrument):
            return ((instrument, -2 * _net(view, instrument)),)
    return ()


def _net(view: View, instrument: Instrument) -> int:
    return view.net_position(instrument) or 0


def pending_orders(outstanding: Iterable[Entry], orders: Iterable[Order]) -> tuple[PendingOrder, ...]:
    """What outstanding intents may yet fill, where it does not stand in the list of orders."""
    listed = tuple(orders)
    unlisted = (entry for entry in outstanding if not any(_is_order_of(entry, order) for order in listed))
    return tuple(fill for entry in unlisted for fill in _read(entry))


def _is_order_of(entry: Entry, order: Order) -> bool:
    return entry.own_id is not None and entry.own_id in (order.own_id, order.order_id)


def _read(entry: Entry) -> Iterator[PendingOrder]:
    fills = entry.detail.get("may_fill")
    for root, year, month, quantity in fills if isinstance(fills, list) else ():
        yield PendingOrder(Instrument(root, year, month), quantity)
