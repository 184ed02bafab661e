"""What goes wrong during one mutation: nothing, something at random, or what is worst together."""

from random import Random

from virtual_actors import Copier, Outsider
from virtual_network import Arm, NetworkFault
from virtual_world import World

from ct_mcp.simulator.faults import AnyFault, Fault, Lag

_F = NetworkFault
_FOR_GOOD = 10_000
_WRITES = (
    "PlaceOrder",
    "FlatPlace",
    "Change",
    "CancelReplace",
    "Cancel",
    "CancelOrders",
    "ClosePosition",
    "Flatten",
    "Reverse",
    "CancelAndBracket",
)
LOOKS = ("GetOrder", "GetOrderLifecycle", "ListOrders", "ListPositions", "GetPosition", "GetAccount")
_LOST = (_F.REQUEST_LOST, _F.ANSWER_LOST, _F.ANSWER_LOST, _F.NO_ANSWER, _F.SLOW_REQUEST, _F.SLOW_ANSWER, _F.REFUSED)
_UNTRUE = (
    *2 * (_F.BLIND,),
    *4 * (_F.POSITIONS_LAG,),
    *2 * (_F.DOUBLED_ROW,),
    *2 * (_F.OTHER_ORDER,),
    _F.ODD_STATE,
    _F.WIDE_BOOK,
    _F.OTHER_WORTH,
)
_OF_THE_MARKET: tuple[AnyFault, ...] = (
    Fault.LATE_REJECT,
    Fault.LATE_REJECT,
    Fault.FROZEN_ORDERS,
    Fault.NO_FILL,
    Fault.PARTIAL_FILL_STUCK,
    Lag.CLOSE_STUCK,
)
_OF_THE_SERVICE: tuple[AnyFault, ...] = (
    Fault.ADDON_OFFLINE,
    Fault.TIMEOUT_AFTER_ACCEPT,
    Fault.ERROR_500_BEFORE_ACCEPT,
    Fault.ERROR_500_AFTER_ACCEPT,
    Fault.BAD_GATEWAY,
    Fault.UNREADABLE_JSON,
    Fault.EMPTY_BODY,
    Fault.REFUSED_WITH_200,
    Fault.REFUSED_WITH_400,
    Fault.CONFLICT,
    Fault.RATE_LIMITED,
    Fault.EMPTY_LISTS,
    Fault.EMPTY_LISTS,
    Fault.STALE_QUOTE,
    Fault.WARNING,
    Fault.HOSTILE_TEXT,
)


def clears_up(world: World, outsider: Outsider, copier: Copier) -> None:
    """Let everything go well."""
    world.simulator.faults.disarm()
    world.weather.turns([], 0.05)
    world.disk.slow, world.disk.failures, world.skew = False, 0, 0.0
    outsider.comes(0.0)
    copier.is_on = world.is_copied = False


def turns(world: World, rng: Random, outsider: Outsider, copier: Copier) -> str:
    """Draw what goes wrong from now on; says it."""
    clears_up(world, outsider, copier)
    arms = _arms(rng) if rng.random() < 0.6 else []
    if rng.random() < 0.08:
        arms.append((_F.POSITIONS_LAG, None, _FOR_GOOD))
    is_race = rng.random() < 0.06
    if is_race:  # a fill is quicker than what cancels it
        arms.append((_F.SLOW_REQUEST, "CancelOrders", 2))
    world.weather.turns(arms, rng.choice((0.05, 0.05, 0.4, 2.0)))
    told = [f"{fault.name} of {rpc or 'any call'} {times} times" for fault, rpc, times in arms]
    outsider.comes(0.9 if is_race else rng.choice((0.0, 0.0, 0.05, 0.3)))
    copier.is_on = world.is_copied = rng.random() < 0.4
    if rng.random() < 0.35:
        told.append(_arm(world, rng, _OF_THE_SERVICE, rng.choice((None, *_WRITES, *LOOKS))))
    if rng.random() < 0.3:
        told.append(_arm(world, rng, _OF_THE_MARKET, None))
    _of_the_machine(world, rng)
    if world.disk.failures or world.skew:
        told.append(f"{world.disk.failures} failures of the disk, a clock that is {world.skew:+g} s wrong")
    return "; ".join(told)


def _arm(world: World, rng: Random, faults: tuple[AnyFault, ...], rpc: str | None) -> str:
    fault, times = rng.choice(faults), rng.choice((1, 1, 2, 3, _FOR_GOOD))
    world.simulator.faults.arm(fault, rpc=rpc, times=times)
    return f"{fault.name} of {rpc or 'any call'} {times} times"


def _of_the_machine(world: World, rng: Random) -> None:
    """The disk fails or is slow; the clock is set wrong."""
    if rng.random() < 0.08:
        world.disk.failures, world.disk.after = rng.choice((1, 2, 5)), rng.randrange(6)
    world.disk.slow = rng.random() < 0.08
    if rng.random() < 0.06:
        world.skew, world.was_skewed = rng.choice((-3600.0, -90.0, -8.0, 8.0, 90.0)), True


def _arms(rng: Random) -> list[Arm]:
    if rng.random() < 0.5:
        lost: list[Arm] = [(rng.choice(_LOST), rng.choice((*_WRITES, None)), rng.choice((1, 1, 2)))]
        if rng.random() < 0.4:
            lost.append((_F.ANSWER_LOST, rng.choice(LOOKS), rng.choice((1, 3, _FOR_GOOD))))
        return lost
    if rng.random() < 0.5:
        write = rng.choice(_WRITES)
        return [(rng.choice(_LOST[:5]), write, 2)]
    fault = rng.choice(_UNTRUE)
    return [(fault, None, rng.choice((1, 2, 4, 12, _FOR_GOOD)))]
