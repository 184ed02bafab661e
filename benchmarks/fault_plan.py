"""What goes wrong meanwhile: zero to four faults, each for some calls or all, on the write or on what is read back."""

from random import Random

from operations import WRITES, Operation

from ct_mcp.simulator.fault_responses import FAULTS_AFTER_ACCEPT, FAULTS_BEFORE_ACCEPT
from ct_mcp.simulator.faults import AnyFault, Fault, Lag, StreamFault

Arm = tuple[str, str | None, int]
"""A fault, the call that it is armed for or any, and how often it strikes."""

NOBODY_LISTENS = "nobody-listens"
"""Not the simulator's: the connection itself is refused. It is armed for no call, but after some of them."""

READS = (
    None,
    "GetAccount",
    "GetAccountSummary",
    "ListPositions",
    "GetPosition",
    "ListOrders",
    "GetOrder",
    "GetOrderLifecycle",
    "GetQuote",
    "MarketInfo",
    "GetStrategy",
    "ListAllStrategies",
)
# Each of these takes as long as a call may take, so that one that never ends would be all that is seen.
_HANGING = frozenset({Fault.READ_TIMEOUT_AFTER_ACCEPT, Fault.SLOW_ANSWER})
_FOR_GOOD = 10_000
DATABASE = ("database-cut", "database-cut-before", "database-answer-lost")
"""Of the cable between one machine and what all share: while it is idle, before a word, before the answer to one."""
_ANY_CALL: tuple[AnyFault, ...] = (*FAULTS_BEFORE_ACCEPT, *FAULTS_AFTER_ACCEPT, Fault.ADDON_OFFLINE, Fault.WARNING)
_OF_THE_MARKET = (
    Fault.LATE_REJECT,
    Fault.FROZEN_ORDERS,
    Fault.NO_FILL,
    Fault.PARTIAL_FILL_STUCK,
    Lag.CLOSE_STUCK,
)
_OF_READS = (
    *3 * (Fault.EMPTY_LISTS,),
    *2 * (Fault.POSITIONS_WITHOUT_SUCCESS,),
    Fault.STALE_QUOTE,
    Fault.SESSION_CLOSED,
    Lag.STALE_STRATEGY_LIST,
)
ON_WRITES: tuple[AnyFault, ...] = (*_ANY_CALL, *2 * _OF_THE_MARKET, Fault.HOSTILE_TEXT)
ON_READS: tuple[AnyFault, ...] = (*_ANY_CALL, *_OF_READS, Fault.HOSTILE_TEXT)


_LOST_BEFORE = (
    Fault.REQUEST_LOST_BEFORE_ACCEPT,
    Fault.ERROR_500_BEFORE_ACCEPT,
    Fault.BAD_GATEWAY,
    Fault.TEMPORARILY_DISABLED,
)
_LOST_AFTER = (
    Fault.ANSWER_LOST_AFTER_ACCEPT,
    Fault.TIMEOUT_AFTER_ACCEPT,
    Fault.READ_TIMEOUT_AFTER_ACCEPT,
    Fault.ERROR_500_AFTER_ACCEPT,
    Fault.UNREADABLE_JSON,
)
_BLIND = (Fault.ERROR_500_BEFORE_ACCEPT, Fault.ADDON_OFFLINE, Fault.RATE_LIMITED)
_EMPTY = (Fault.EMPTY_LISTS, Fault.EMPTY_LISTS, Fault.POSITIONS_WITHOUT_SUCCESS)
_WRITE = "the write"
PREDICAMENTS: tuple[tuple[tuple[tuple[AnyFault, ...], str | None], ...], ...] = (
    ((_LOST_BEFORE, _WRITE), (_EMPTY, None)),
    ((_LOST_AFTER, _WRITE), (_EMPTY, None)),
    ((_LOST_AFTER, _WRITE), (_BLIND, "GetOrder"), (_BLIND, "GetOrderLifecycle")),
    ((_LOST_AFTER, _WRITE), (_BLIND, "ListOrders")),
    ((_LOST_BEFORE, _WRITE), (_BLIND, "GetPosition")),
    ((_OF_THE_MARKET, _WRITE), (_EMPTY, None)),
    ((_OF_THE_MARKET, _WRITE), (_LOST_AFTER, _WRITE)),
    ((_OF_THE_MARKET, _WRITE), (_BLIND, "ListPositions")),
    ((_OF_THE_MARKET, _WRITE),),
)
"""What is worst together: the write is lost, and what would tell is empty or gone."""


def plan_faults(rng: Random, operation: Operation, *, stream: bool, shared: bool = False) -> list[Arm]:
    """Draw what misbehaves during one operation: any faults at all, or those that are worst together."""
    arms = _of_the_service(rng, operation, stream=stream)
    return [*arms, (rng.choice(DATABASE), None, 1)] if shared and rng.random() < 0.15 else arms


def _of_the_service(rng: Random, operation: Operation, *, stream: bool) -> list[Arm]:
    if rng.random() < 0.4:
        arms = _predicament(rng, operation)
    else:
        count = rng.choices(range(5), weights=(20, 37, 25, 12, 6))[0]
        arms = [_refused(rng) if rng.random() < 0.08 else _armed(rng, operation) for _ in range(count)]
    return [*arms, _of_the_socket(rng)] if stream and rng.random() < 0.3 else arms


def _predicament(rng: Random, operation: Operation) -> list[Arm]:
    write = rng.choice([*WRITES[operation.tool]])
    often = rng.choice([1, 3, _FOR_GOOD, _FOR_GOOD])
    return [
        (rng.choice(faults).value, write if where == _WRITE else where, 1 if where == _WRITE else often)
        for faults, where in rng.choice(PREDICAMENTS)
    ]


def _of_the_socket(rng: Random) -> Arm:
    return rng.choice([*StreamFault]).value, None, rng.choice([1, 2, 5])


def _refused(rng: Random) -> Arm:
    """After up to ten calls, for one or more."""
    return NOBODY_LISTENS, str(rng.randint(0, 10)), rng.choice([1, 1, 2, 20])


def _armed(rng: Random, operation: Operation) -> Arm:
    return _on_a_write(rng, operation) if rng.random() < 0.6 else _on_a_read(rng)


def _on_a_write(rng: Random, operation: Operation) -> Arm:
    return rng.choice(ON_WRITES).value, rng.choice([*WRITES[operation.tool]]), rng.choice([1, 1, 1, 2, _FOR_GOOD])


def _on_a_read(rng: Random) -> Arm:
    fault = rng.choice(ON_READS)
    often = [1, 2] if fault in _HANGING else [1, 2, 3, 6, _FOR_GOOD]
    return fault.value, rng.choice(READS), rng.choice(often)
