"""What is known of a command's effect: the value that `guard/effect.py` computes and everything else reads."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from ct_mcp.domain.commands import Command, PlaceOrder, ProtectPosition, ReplaceOrder, as_meant
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import Order, OrderType, TimeInForce
from ct_mcp.guard.context import PendingOrder, RiskContext
from ct_mcp.guard.exposure import WorstCase, goes_towards_flat
from ct_mcp.guard.protection import NOTHING_LOST, LostProtection, leaving


class RiskDirection(StrEnum):
    """What a command does to the risk of the account it names."""

    OPENS = "opens"
    ADDS = "adds"
    REDUCES = "reduces"
    CLOSES = "closes"
    PROTECTS = "protects"
    UNPROTECTS = "unprotects"
    NEUTRAL = "neutral"


@dataclass(frozen=True, slots=True)
class Effect:
    """What one command does to the account it names, on the facts of one moment.

    ``order`` is the one order that the order rules judge, as it would stand: new, changed, in another's place, the
    other side of a reverse, or the market order of a partial close that may open. ``legs`` are all orders that come
    of it, an exit before an entry; None where that is not known. ``cancels`` are the open orders that go. ``before``
    and ``after`` are the worst cases in ``instrument``; None where positions or orders were not read. ``may_fill``
    is what it may add to the book while nobody knows what became of it; ``leaves_all`` says that it leaves all that
    is held as it arrives, whatever was read before, and ``follows_whole_exit`` that such a one may be on its way.
    ``on_the_way`` are exits that were sent before and may still fill, for a command that leaves what they leave, by
    itself or by its first leg.
    ``starts`` says that it lets a strategy trade. ``adds_up`` says that a repeat does harm.
    """

    command: Command
    instrument: Instrument | None = None
    order: PlaceOrder | None = None
    legs: tuple[PlaceOrder, ...] | None = ()
    cancels: tuple[Order, ...] | None = ()
    changes: Order | None = None
    lost: LostProtection | None = NOTHING_LOST
    before: WorstCase | None = None
    after: WorstCase | None = None
    position_before: int | None = None
    position_after: int | None = None
    may_fill: tuple[PendingOrder, ...] = ()
    leaves_all: bool = False
    follows_whole_exit: bool = False
    on_the_way: tuple[PendingOrder, ...] = ()
    only_reduces: bool | None = None
    direction: RiskDirection | None = None
    is_exit: bool = False
    starts: bool = False
    sends_orders: bool = False
    adds_up: bool = False

    @property
    def meant(self) -> Command:
        """The command, as it is put into words."""
        return as_meant(self.command, self.position_before, self.position_after)

    @property
    def leads_to_flat(self) -> bool:
        """Say whether it alone ends a position smaller on its own side, or flat; not what flattens first and opens."""
        flattens_first = self.order is not None and self.order.flatten_first
        return not flattens_first and goes_towards_flat(self.position_before, self.position_after)

    @property
    def takes_away_first(self) -> bool:
        """Say whether orders go, or may go, before the new one is placed: refused, it leaves nothing in their place."""
        return isinstance(self.command, ReplaceOrder | ProtectPosition) and self.cancels != ()


def exit_order(account: str, instrument: Instrument, net: int) -> PlaceOrder:
    """Make the order at the market that leaves ``net`` contracts."""
    return PlaceOrder(
        account=account,
        instrument=instrument,
        action=leaving(net),
        quantity=abs(net),
        order_type=OrderType.MARKET,
        limit_price=None,
        stop_price=None,
        time_in_force=TimeInForce.DAY,
    )


def orders_of(instrument: Instrument | None, context: RiskContext) -> tuple[Order, ...] | None:
    """Give the open orders of an account, or of one instrument in it; None where they were not read."""
    if context.orders is None:
        return None
    return tuple(order for order in context.orders if instrument in (None, order.instrument))


def is_within(effect: Effect) -> bool:
    """Say whether the worst case afterwards is known and on neither side beyond the one before."""
    return effect.before is not None and effect.after is not None and not effect.after.is_beyond(effect.before)


def beside_exits(effect: Effect, instrument: Instrument | None, context: RiskContext) -> Effect:
    """Note the exits that may be on their way, of what leaves one instrument or, with None, all."""
    return replace(
        effect,
        follows_whole_exit=any(None in (instrument, scope) or scope == instrument for scope in context.whole_exits),
        on_the_way=tuple(_exits_on_the_way(instrument, context)),
    )


def _exits_on_the_way(instrument: Instrument | None, context: RiskContext) -> Iterable[PendingOrder]:
    """Give the exits that may still fill: those of unknown outcome, and market orders that are listed.

    Where several rows tell of a position nobody knows how much is held, and all the same on which side.
    """
    for sent in context.pending:
        takes_away = (context.net_position(sent.instrument) or 0) * sent.signed_quantity <= 0
        if sent.leaves and sent.signed_quantity and takes_away and instrument in (None, sent.instrument):
            yield sent
    for order in orders_of(instrument, context) or ():
        signed = order.action.sign * order.remaining
        rows = [held for held in context.positions or () if held.instrument == order.instrument]
        if order.order_type is OrderType.MARKET and any(held.net * signed < 0 for held in rows):
            yield PendingOrder(order.instrument, signed, leaves=True)
