"""What the assistant asks for, drawn from what stands in the simulator, and how it asks again in other words."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from random import Random

from virtual_world import ROOTS, World

from ct_mcp.domain.bracket import Bracket, Target
from ct_mcp.domain.commands import (
    CancelOrder,
    CancelOrders,
    ChangeOrder,
    ClosePosition,
    Command,
    Flatten,
    PlaceOrder,
    ProtectPosition,
    ReplaceOrder,
    ReversePosition,
)
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.level import Distance, Unit
from ct_mcp.domain.order import OrderAction, OrderType, TimeInForce
from ct_mcp.simulator.orders import SimOrder

Wish = tuple[Command, ...]
_MOST_HELD = 12


@dataclass(frozen=True, slots=True)
class Place:
    """Where a wish is about, and how it stands there at this moment."""

    world: World
    rng: Random
    account: str
    instrument: Instrument
    net: int
    orders: tuple[SimOrder, ...]

    def price(self, ticks: int) -> Decimal:
        """A price so many ticks above the last trade, or below it."""
        contract = self.world.contract(self.instrument)
        last = self.world.simulator.market.top(contract, self.world.true_clock()).last
        return Decimal(str(contract.product.price(last + ticks)))

    def order(self, action: OrderAction, quantity: int, kind: OrderType) -> PlaceOrder:
        """An order near the market, on the side where it rests."""
        ticks = self.rng.randint(3, 24) * action.sign
        limit = self.price(-ticks) if kind is OrderType.LIMIT else None
        stop = self.price(ticks) if kind is OrderType.STOP_MARKET else None
        group = f"g{self.rng.randint(1, 6)}" if self.rng.random() < 0.3 and kind is not OrderType.MARKET else None
        return PlaceOrder(
            self.account, self.instrument, action, quantity, kind, limit, stop, TimeInForce.DAY, oco_id=group
        )

    def resting(self) -> SimOrder | None:
        """One of the orders that rest."""
        resting = [each for each in self.orders if not each.is_plain_market]
        return self.rng.choice(resting) if resting else None


def draw(world: World, rng: Random) -> Wish:
    """Any wish that makes sense in some account."""
    account, instrument = rng.choice(world.accounts), world.instrument(rng.choice(ROOTS), later=rng.random() < 0.12)
    exchange = world.simulator.exchange
    name = str(instrument)
    nets = {held.contract.name: held.quantity for held in exchange.accounts[account].open_positions()}
    place = Place(world, rng, account, instrument, nets.get(name, 0), tuple(exchange.live_orders(account, name)))
    if abs(place.net) > _MOST_HELD or len(place.orders) > _MOST_HELD:
        return (Flatten(account, None),)
    while True:
        makers = (*_MAKERS, *_WITH_EXITS) if world.has_legs else _MAKERS
        if (wish := rng.choice(makers)(place)) is not None:
            return wish


def _entry(at: Place) -> Wish:
    kinds = [OrderType.MARKET, OrderType.MARKET, OrderType.LIMIT, OrderType.STOP_MARKET]
    action, kind = at.rng.choice([*OrderAction]), at.rng.choice(kinds)
    order = at.order(action, at.rng.randint(1, 4), kind)
    first = kind is OrderType.MARKET and at.rng.random() < 0.12
    return (replace(order, flatten_first=True) if first else order,)


def _entry_with_exits(at: Place) -> Wish:
    """An entry with a stop that may be passed at once; none, one or two targets; perhaps a size from its risk."""
    rng, (order, *_) = at.rng, _entry(at)
    assert isinstance(order, PlaceOrder)
    sign, ticks = order.action.sign, rng.choice((1, 2, 4, rng.randint(6, 30)))
    near = rng.choice((0, 0, rng.randint(1, 3)))
    if near and order.order_type is OrderType.LIMIT:
        order = replace(order, limit_price=at.price(-near * sign))
    begins_at = order.limit_price or order.stop_price or at.price(0)
    tick = at.price(1) - at.price(0)
    stop: Decimal | Distance = Distance(Decimal(ticks), Unit.TICK)
    if rng.random() < 0.4:
        stop = begins_at - (ticks + 2) * sign * tick
    sizes: tuple[int | None, ...] = rng.choice(((), (None,), (None,), (1, order.quantity - 1)))
    sizes = (None,) if 0 in sizes else sizes
    targets = tuple(
        Target(Distance(Decimal(rng.randint(4, 20) * (number + 1)), Unit.TICK), size)
        for number, size in enumerate(sizes)
    )
    bracket = Bracket(None if targets and rng.random() < 0.1 else stop, targets, at.world.closes_if_unprotected)
    worth = Decimal(str(at.world.contract(at.instrument).product.tick_value)) * ticks
    risk = worth * order.quantity + worth / 3 if rng.random() < 0.3 else None
    group = order.oco_id if rng.random() < 0.3 else None
    return (replace(order, bracket=bracket, risk=risk, flatten_first=False, oco_id=group),)


def _exit(at: Place) -> Wish | None:
    if not at.net:
        return None
    action = OrderAction.SELL if at.net > 0 else OrderAction.BUY
    kinds = [OrderType.MARKET, OrderType.LIMIT, OrderType.STOP_MARKET, OrderType.STOP_MARKET]
    size = abs(at.net) if at.rng.random() < 0.7 else at.rng.randint(1, abs(at.net) + 1)
    return (at.order(action, min(size, 5), at.rng.choice(kinds)),)


def _change(at: Place) -> Wish | None:
    if (order := at.resting()) is None:
        return None
    if at.rng.random() < 0.6:
        return (ChangeOrder(at.account, order.id, quantity=order.filled + at.rng.randint(1, 4)),)
    ticks = at.rng.randint(3, 24) * order.terms.action.sign
    if order.terms.order_type.has_stop:
        return (ChangeOrder(at.account, order.id, stop_price=at.price(ticks)),)
    return (ChangeOrder(at.account, order.id, limit_price=at.price(-ticks)),)


def _replace(at: Place) -> Wish | None:
    if (order := at.resting()) is None:
        return None
    action = OrderAction(order.terms.action.value.upper())
    kind = OrderType.STOP_MARKET if order.terms.order_type.has_stop else OrderType.LIMIT
    new = at.order(action, order.terms.quantity, kind)
    # A group that was there before is taken, and refused by NinjaTrader once the old order is gone.
    group = f"g{at.rng.randint(1, 6)}" if at.rng.random() < 0.4 else order.labels.oco_id
    return (ReplaceOrder(at.account, order.id, replace(new, oco_id=group)),)


def _cancel(at: Place) -> Wish | None:
    order = at.resting()
    return None if order is None else (CancelOrder(at.account, order.id),)


def _cancel_all(at: Place) -> Wish | None:
    return (CancelOrders(at.account, at.rng.choice([None, at.instrument])),) if at.orders else None


def _close(at: Place) -> Wish | None:
    return (ClosePosition(at.account, at.instrument),) if at.net else None


def _close_part(at: Place) -> Wish | None:
    if abs(at.net) < 2:
        return None
    if at.rng.random() < 0.2:
        return (ClosePosition(at.account, at.instrument, percent=Decimal(50)),)
    return (ClosePosition(at.account, at.instrument, quantity=at.rng.randint(1, abs(at.net) - 1)),)


def _flatten(at: Place) -> Wish:
    return (Flatten(at.account, at.rng.choice([None, at.instrument])),)


def _everything(at: Place) -> Wish:
    return tuple(Flatten(name, None) for name in at.world.accounts)


def _reverse(at: Place) -> Wish | None:
    return (ReversePosition(at.account, at.instrument),) if at.net else None


def _protect(at: Place) -> Wish | None:
    if not at.net:
        return None
    side = 1 if at.net > 0 else -1
    stop = at.price(-side * at.rng.randint(6, 30))
    target = at.price(side * at.rng.randint(6, 30)) if at.rng.random() < 0.6 else None
    return (ProtectPosition(at.account, at.instrument, target, stop),)


_MAKERS: tuple[Callable[[Place], Wish | None], ...] = (
    *6 * (_entry,),
    *3 * (_exit,),
    *2 * (_change,),
    *3 * (_replace,),
    _cancel,
    *2 * (_cancel_all,),
    *2 * (_close,),
    *3 * (_close_part,),
    *2 * (_flatten,),
    *2 * (_everything,),
    *2 * (_reverse,),
    *3 * (_protect,),
)


_WITH_EXITS = 14 * (_entry_with_exits,)


def nothing_in(account: str) -> ChangeOrder:
    """A change of an order that is not there."""
    return ChangeOrder(account, "no-such-order", quantity=1)


def exit_at_once(world: World, rng: Random) -> Wish | None:
    """A way out of something that is held, as an order at the market; None where nothing is."""
    held = [
        (account, position)
        for account in world.accounts
        for position in world.simulator.exchange.accounts[account].open_positions()
    ]
    if not held:
        return None
    account, position = rng.choice(held)
    contract = position.contract
    at = Place(world, rng, account, Instrument(contract.root, contract.year, contract.month), position.quantity, ())
    action = OrderAction.SELL if position.quantity > 0 else OrderAction.BUY
    return (at.order(action, min(abs(position.quantity), 5), OrderType.MARKET),)


def in_other_words(world: World, rng: Random, wish: Wish) -> Wish:
    """The same wish, as a model says it again that was told no."""
    (first, *others) = wish
    if others or not isinstance(first, PlaceOrder):
        return wish
    if first.order_type is not OrderType.MARKET:
        return (replace(first, time_in_force=TimeInForce.GTC, oco_id=rng.choice([None, "g3"])),)
    if rng.random() < 0.5:
        return (replace(first, time_in_force=TimeInForce.GTC),)
    contract = world.contract(first.instrument)
    top = world.simulator.market.top(contract, world.true_clock())
    price = Decimal(str(contract.product.price(top.ask if first.action is OrderAction.BUY else top.bid)))
    return (replace(first, order_type=OrderType.LIMIT, limit_price=price, flatten_first=False),)


def another_exit(rng: Random, wish: Wish) -> Wish:
    """Another way out of the same position, as a second call beside the first."""
    (first, *_) = wish
    if not isinstance(first, ClosePosition | Flatten) or first.instrument is None:
        return wish
    exits = (
        ClosePosition(first.account, first.instrument),
        ClosePosition(first.account, first.instrument, quantity=rng.randint(1, 2)),
        Flatten(first.account, first.instrument),
        Flatten(first.account, None),
    )
    return (rng.choice(exits),)
