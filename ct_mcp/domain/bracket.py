"""The exits that go with an entry: where they are to stand, and how fills are shared out among them. Pure.

They are sent by us as the entry fills, since PlaceOrder of the service takes none (``reference``: no bracket in it).
Each share of a fill gets a stop of its own and, where a target is wanted, that target in one OCO group with it: one
stop could not be cancelled in part by one of several targets.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from ct_mcp.domain.level import Distance, ExitKind, price_of_level
from ct_mcp.domain.market import Contract
from ct_mcp.domain.order import OrderAction

ExitLevel = Decimal | Distance
"""A price, or a distance from the fill."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where so many contracts are to take their profit; None are all that the order fills."""

    level: ExitLevel
    quantity: int | None = None


@dataclass(frozen=True, slots=True)
class Bracket:
    """The stop and the targets that an entry is to get as it fills; at least one of them is given.

    ``closes_if_unprotected`` says what the person was told: what cannot be protected in time is closed at the market.
    """

    stop_loss: ExitLevel | None
    take_profit: tuple[Target, ...] = ()
    closes_if_unprotected: bool = True
    deadline_seconds: float = 5.0

    def __post_init__(self) -> None:
        """Refuse one that protects nothing, or whose targets do not say what each of them is for."""
        if self.stop_loss is None and not self.take_profit:
            raise ValueError("a bracket holds a stop loss, a target, or both")
        if len(self.take_profit) > 1 and any(target.quantity is None for target in self.take_profit):
            raise ValueError("of several targets each says how many contracts it is for")

    def fits(self, quantity: int) -> bool:
        """Say whether the targets are for exactly so many contracts."""
        sizes = [target.quantity for target in self.take_profit]
        return sizes in ([], [None]) or sum(size or 0 for size in sizes) == quantity

    def of(self, quantity: int) -> "Bracket":
        """Give it for another number of contracts; several targets keep their order, and the last take what is left."""
        if len(self.take_profit) < 2:
            return replace(self, take_profit=tuple(replace(target, quantity=None) for target in self.take_profit))
        left, targets = quantity, list[Target]()
        for target in self.take_profit[:-1]:
            size = min(left, target.quantity or 0)
            targets, left = [*targets, replace(target, quantity=size)], left - size
        return replace(self, take_profit=(*targets, replace(self.take_profit[-1], quantity=left)))


@dataclass(frozen=True, slots=True)
class Share:
    """So many contracts of a fill, and the target that they are for; None where no target is wanted."""

    contracts: int
    target: Target | None


def shares(bracket: Bracket, covered: int, filled: int) -> tuple[Share, ...]:
    """Share out the contracts that were filled and have no exits yet, the first target first."""
    if filled <= covered:
        return ()
    if not bracket.take_profit:
        return (Share(filled - covered, None),)
    if len(bracket.take_profit) == 1:
        return (Share(filled - covered, bracket.take_profit[0]),)
    given: list[Share] = []
    begin = 0
    for target in bracket.take_profit:
        end = begin + (target.quantity or 0)
        size = min(end, filled) - max(begin, covered)
        given += [Share(size, target)] if size > 0 else []
        begin = end
    rest = filled - max(begin, covered)
    return (*given, *([Share(rest, bracket.take_profit[-1])] if rest > 0 else []))


def exit_price(level: ExitLevel, leg: ExitKind, fill: Decimal, action: OrderAction, contract: Contract) -> Decimal:
    """Give the price of an exit, on a tick where it is reckoned; ``fill`` is what the entry was filled at."""
    if isinstance(level, Decimal):
        return level
    return price_of_level(level, leg, fill, action.sign, contract.tick_size)


def stop_distance(bracket: Bracket, entry: Decimal, action: OrderAction, tick_size: Decimal) -> Decimal | None:
    """How far the stop stands from the entry, as a difference of prices; not above zero on the wrong side."""
    if bracket.stop_loss is None:
        return None
    return _distance(bracket.stop_loss, ExitKind.STOP, entry, action, tick_size)


def target_distances(
    bracket: Bracket, entry: Decimal, action: OrderAction, tick_size: Decimal
) -> Sequence[tuple[Target, Decimal]]:
    """How far each target stands from the entry; not above zero on the wrong side."""
    return [
        (target, _distance(target.level, ExitKind.TARGET, entry, action, tick_size)) for target in bracket.take_profit
    ]


def _distance(level: ExitLevel, leg: ExitKind, entry: Decimal, action: OrderAction, tick_size: Decimal) -> Decimal:
    if isinstance(level, Distance):
        return level.in_price(tick_size)
    gain = (level - entry) * action.sign
    return gain if leg is ExitKind.TARGET else -gain
