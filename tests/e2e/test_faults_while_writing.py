"""Every way a write can go wrong, for every tool that writes: what is read, what is so, and that it leaves once."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from ct_mcp.simulator.faults import Fault
from ct_mcp.store.sqlite import SqliteStore
from tests.e2e.conftest import Assistant, Told, Wire, World

# What each fault does to a write, and what the assistant must be told.
NEVER = {
    Fault.ADDON_OFFLINE: 'ADDON_OFFLINE: {rpc} was answered with HTTP 408; CrossTrade said "Client not ready"',
    Fault.CONNECT_REFUSED: "UPSTREAM_UNAVAILABLE: {rpc} never left: CrossTrade could not be reached (ConnectError)",
    Fault.UNAUTHORIZED: "AUTH_FAILED: {rpc} was answered with HTTP 401",
    Fault.FORBIDDEN: "AUTH_FAILED: {rpc} was answered with HTTP 403",
    Fault.RATE_LIMITED: "RATE_LIMITED: {rpc} was answered with HTTP 429",
    Fault.RATE_LIMITED_OLD_BODY: "RATE_LIMITED: {rpc} was answered with HTTP 429",
    Fault.RATE_LIMITED_IN_DETAILS: "RATE_LIMITED: {rpc} was answered with HTTP 429",
}
REFUSED = {
    Fault.REFUSED_WITH_200: 'CrossTrade said "The request was refused"',
    Fault.REFUSED_WITH_400: 'CrossTrade said "Invalid request"',
    Fault.CONFLICT: 'CrossTrade said "close_in_progress: Another request is being worked on"',
}
LOST = {
    Fault.REQUEST_LOST_BEFORE_ACCEPT: "{rpc} got no answer (RemoteProtocolError)",
    Fault.ERROR_500_BEFORE_ACCEPT: '{rpc} was answered with HTTP 500; CrossTrade said "internal_error"',
    Fault.BAD_GATEWAY: "{rpc} was answered with HTTP 502",
    Fault.TEMPORARILY_DISABLED: '{rpc} was answered with HTTP 503; CrossTrade said "temporarily_disabled"',
    Fault.BROKER_RATE_LIMITED: '{rpc} was answered with HTTP 429; CrossTrade said "broker_rate_limited"',
}
TAKEN = {
    Fault.TIMEOUT_AFTER_ACCEPT: '{rpc} was answered with HTTP 408; CrossTrade said "Request timed out"',
    Fault.ANSWER_LOST_AFTER_ACCEPT: "{rpc} got no answer (RemoteProtocolError)",
    Fault.READ_TIMEOUT_AFTER_ACCEPT: "{rpc} got no answer (ReadTimeout)",
    Fault.ERROR_500_AFTER_ACCEPT: "{rpc} was answered with HTTP 500",
    Fault.BAD_GATEWAY_AFTER_ACCEPT: "{rpc} was answered with HTTP 502",
    Fault.EMPTY_BODY: "{rpc} was answered with HTTP 200 that cannot be read",
    Fault.UNREADABLE_JSON: "{rpc} was answered with HTTP 200 that cannot be read",
    Fault.HTML_PAGE: "{rpc} was answered with HTTP 200 that cannot be read",
}


@dataclass(frozen=True)
class Operation:
    """One tool that writes: how it is led up to, and how the world is before and after it."""

    tool: str
    rpc: str
    done: str
    prepare: Callable[..., Awaitable[dict[str, Any]]]
    truth: Callable[..., object]
    repeatable: bool = False


async def _nothing_before(assistant: Assistant, world: World) -> dict[str, Any]:
    return {"account": "Sim101", "instrument": "MES", "action": "BUY", "quantity": 2, "order_type": "MARKET"}


async def _flat_place(assistant: Assistant, world: World) -> dict[str, Any]:
    await assistant.buys(1, action="SELL")
    return {**await _nothing_before(assistant, world), "flatten_first": True}


async def _a_resting_order(assistant: Assistant, world: World) -> dict[str, Any]:
    return {"account": "Sim101", "order_id": await assistant.rests(world.price(-40))}


async def _a_change(assistant: Assistant, world: World) -> dict[str, Any]:
    return {**await _a_resting_order(assistant, world), "limit_price": world.price(-60)}


async def _two_resting_orders(assistant: Assistant, world: World) -> dict[str, Any]:
    await assistant.rests(world.price(-40))
    await assistant.rests(world.price(-44))
    return {"account": "Sim101"}


async def _a_position(assistant: Assistant, world: World) -> dict[str, Any]:
    await assistant.buys(2)
    return {"account": "Sim101", "instrument": "MES"}


async def _a_position_with_its_stop(assistant: Assistant, world: World) -> dict[str, Any]:
    await assistant.buys(2)
    world.later()
    await assistant.protects(world.price(-60), quantity=2)
    return {"account": "Sim101"}


def _holdings(world: World) -> tuple[int, int]:
    return world.net(), len(world.live())


def _terms(world: World) -> tuple[object, ...]:
    return tuple((order.terms, order.is_live) for order in world.sim.exchange.orders)


OPERATIONS = {
    operation.rpc: operation
    for operation in (
        Operation("place_order", "PlaceOrder", "filled", _nothing_before, _holdings),
        Operation("place_order", "FlatPlace", "filled", _flat_place, _holdings),
        Operation("change_order", "Change", "changed", _a_change, _terms),
        Operation("cancel_order", "Cancel", "cancelled", _a_resting_order, _holdings, repeatable=True),
        Operation("cancel_orders", "CancelOrders", "cancelled", _two_resting_orders, _holdings, repeatable=True),
        Operation("close_position", "ClosePosition", "flat", _a_position, _holdings, repeatable=True),
        Operation("flatten", "Flatten", "flat", _a_position_with_its_stop, _holdings, repeatable=True),
    )
}


@pytest.fixture(params=list(OPERATIONS.values()), ids=list(OPERATIONS))
def operation(request: pytest.FixtureRequest) -> Operation:
    """Each tool that writes."""
    operation: Operation = request.param
    return operation


@pytest.fixture
def era(operation: Operation) -> str:
    """One era each: what goes wrong on the wire is the same in both, and each era meets every fault."""
    return "legacy" if operation.rpc in ("FlatPlace", "Cancel", "Flatten") else "auto"


Once = Callable[[Fault, float], Awaitable[tuple[Told, Told, int]]]


@dataclass(frozen=True)
class Attempt:
    """What came of one call under one fault."""

    told: Told
    before: object
    after: object
    requests: int
    left: int


@pytest.fixture
def attempt(
    assistant: Assistant, world: World, wire: Wire, operation: Operation
) -> Callable[[Fault], Awaitable[Attempt]]:
    """Lead up to the operation, let one fault strike whenever it is sent, and do it."""

    async def tried(fault: Fault) -> Attempt:
        arguments = await operation.prepare(assistant, world)
        world.later()
        before, requests, left = operation.truth(world), len(world.sim.requests_of(operation.rpc)), len(wire.posts())
        world.sim.faults.arm(fault, rpc=operation.rpc)
        told = await assistant.call(operation.tool, **arguments)
        return Attempt(
            told=told,
            before=before,
            after=operation.truth(world),
            requests=len(world.sim.requests_of(operation.rpc)) - requests,
            left=len(wire.posts()) - left,
        )

    return tried


@pytest.mark.parametrize("fault", NEVER)
async def test_what_certainly_did_not_happen_is_an_error_that_says_so(
    attempt: Callable[[Fault], Awaitable[Attempt]], operation: Operation, store: SqliteStore, fault: Fault
) -> None:
    tried = await attempt(fault)
    assert tried.told.is_error
    assert tried.told.text.startswith(NEVER[fault].format(rpc=operation.rpc))
    assert "Nothing was changed in the account." in tried.told.text
    assert "Next: " in tried.told.text
    assert tried.after == tried.before
    assert await store.unsettled() == (), "it is known that nothing is outstanding"
    if fault is Fault.CONNECT_REFUSED:
        assert (tried.requests, tried.left) == (2, 0), "only a connection is tried again, since nothing has left"
    else:
        assert (tried.requests, tried.left) == (1, 1), "never repeated by us"


@pytest.mark.parametrize("fault", REFUSED)
@pytest.mark.parametrize(
    "operation",
    [operation for operation in OPERATIONS.values() if operation.rpc != "FlatPlace"],
    ids=lambda operation: operation.rpc,
)
async def test_their_no_is_told_in_their_words(
    attempt: Callable[[Fault], Awaitable[Attempt]], operation: Operation, store: SqliteStore, fault: Fault
) -> None:
    tried = await attempt(fault)
    assert (tried.told.status, tried.told.sent, tried.told.is_error) == ("rejected", True, True)
    assert f"{operation.rpc} was refused; {REFUSED[fault]}" in tried.told.reasons_text
    assert tried.told.next_step
    assert tried.after == tried.before
    assert tried.requests == 1
    assert await store.unsettled() == ()


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Fault.REFUSED_WITH_200, "unknown"),
        (Fault.CONFLICT, "unknown"),
        (Fault.REFUSED_WITH_400, "rejected"),
    ],
)
@pytest.mark.parametrize("operation", [OPERATIONS["FlatPlace"]], ids=["FlatPlace"])
async def test_their_no_to_two_steps_is_final_only_if_it_came_before_the_first(
    attempt: Callable[[Fault], Awaitable[Attempt]], fault: Fault, status: str
) -> None:
    """Flattening first and then placing: a no to the order does not say that nothing was flattened."""
    tried = await attempt(fault)
    assert tried.told.status == status
    assert f"FlatPlace was refused; {REFUSED[fault]}" in tried.told.reasons_text
    assert tried.requests == 1


@pytest.mark.parametrize("fault", LOST)
async def test_what_was_lost_is_unknown_and_never_sent_again(
    attempt: Callable[[Fault], Awaitable[Attempt]],
    assistant: Assistant,
    world: World,
    operation: Operation,
    wire: Wire,
    fault: Fault,
) -> None:
    tried = await attempt(fault)
    assert (tried.told.status, tried.told.sent, tried.told.is_error) == ("unknown", "unknown", True)
    assert LOST[fault].format(rpc=operation.rpc) in tried.told.reasons_text
    assert "UNKNOWN (sent, and no answer that can be trusted came)" in tried.told.text
    assert "look" in tried.told.next_step
    assert tried.after == tried.before
    assert (tried.requests, tried.left) == (1, 1)


@pytest.mark.parametrize("fault", TAKEN)
async def test_what_was_taken_without_an_answer_is_found(
    attempt: Callable[[Fault], Awaitable[Attempt]], operation: Operation, store: SqliteStore, fault: Fault
) -> None:
    tried = await attempt(fault)
    assert (tried.told.status, tried.told.sent, tried.told.is_error) == (operation.done, True, False)
    assert tried.after != tried.before
    assert tried.requests == 1
    assert await store.unsettled() == ()
    if operation.rpc != "Cancel":
        assert TAKEN[fault].format(rpc=operation.rpc) in tried.told.reasons_text
    assert "do NOT send it again" not in tried.told.next_step, "it is known by now"


@pytest.fixture
def once(assistant: Assistant, world: World, operation: Operation) -> Once:
    """Do the operation under a fault, then the same call again some seconds later with the fault still there."""

    async def tried(fault: Fault, seconds: float) -> tuple[Told, Told, int]:
        arguments = await operation.prepare(assistant, world)
        world.later()
        world.sim.faults.arm(fault, rpc=operation.rpc)
        first = await assistant.call(operation.tool, **arguments)
        requests = world.writes()
        world.later(seconds)
        second = await assistant.call(operation.tool, **arguments)
        return first, second, world.writes() - requests

    return tried


TWICE_IS_MORE = [OPERATIONS["PlaceOrder"], OPERATIONS["FlatPlace"], OPERATIONS["Change"]]


@pytest.mark.parametrize("operation", TWICE_IS_MORE, ids=lambda operation: operation.rpc)
@pytest.mark.parametrize("fault", LOST)
async def test_the_same_call_after_an_unknown_outcome_sends_nothing(once: Once, fault: Fault) -> None:
    first, second, requests = await once(fault, 30)  # for a minute it may still arrive
    assert (first.status, second.status, second.sent) == ("unknown", "denied", False)
    assert "OUTCOME_UNRESOLVED" in second.reasons_text
    assert requests == 0


@pytest.mark.parametrize("operation", TWICE_IS_MORE, ids=lambda operation: operation.rpc)
@pytest.mark.parametrize("fault", TAKEN)
async def test_the_same_call_at_once_after_it_was_found_sends_nothing(
    once: Once, operation: Operation, fault: Fault
) -> None:
    first, second, requests = await once(fault, 0)
    assert (first.status, second.status, second.sent) == (operation.done, "denied", False)
    assert "DUPLICATE_WITHIN_WINDOW" in second.reasons_text
    assert requests == 0


async def test_every_fault_of_a_request_is_one_of_these() -> None:
    """A new fault of the simulator needs its line in one of the tables above, or a journey of its own."""
    elsewhere = {
        Fault.SLOW_ANSWER, Fault.WARNING, Fault.POSITIONS_WITHOUT_SUCCESS, Fault.EMPTY_LISTS, Fault.STALE_QUOTE,
        Fault.HOSTILE_TEXT, Fault.SESSION_CLOSED, Fault.LATE_REJECT, Fault.FROZEN_ORDERS, Fault.NO_FILL,
        Fault.PARTIAL_FILL_STUCK,
    }  # fmt: skip
    assert set(Fault) - elsewhere == {*NEVER, *REFUSED, *LOST, *TAKEN}
