"""A process that sleeps beyond its turn sends nothing afterwards, whoever went on with it meanwhile."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.desk.desk import Desk
from ct_mcp.guard.policy import Policy
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.orders import Action, OrderLabels, OrderTerms, SimOrderType
from ct_mcp.store.sqlite import SqliteStore
from tests.conftest import Person
from tests.e2e.conftest import Assistant, Converse, Wire, World

Meanwhile = Callable[[], Awaitable[object]]
BEFORE_THE_INTENT, BEFORE_THE_WIRE = "append_intent", "check_turn"


class Sleeping:
    """A store whose process is stopped right before one of its calls, and goes on when others have."""

    def __init__(self, inner: SqliteStore) -> None:
        self._inner, self._place, self._left = inner, "", 0
        self.has_slept = False

    def sleeps(self, place: str, meanwhile: Meanwhile, nth: int = 1) -> None:
        """Stop before this call, the nth of its kind from now on."""
        self._place, self._left, self._meanwhile = place, nth, meanwhile

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._inner, name)
        if name != self._place:
            return call

        async def later(*given: Any, **named: Any) -> Any:
            self._left -= 1
            if not self._left:
                self.has_slept = True
                await self._meanwhile()
            return await call(*given, **named)

        return later


@pytest.fixture
def sleeping(store: SqliteStore) -> Sleeping:
    """The store as the process has it open that is going to be stopped."""
    return Sleeping(store)


@pytest.fixture
def desk(
    crosstrade: CrossTrade,
    sleeping: Any,
    policy: Policy,
    clock: ManualClock,
    pause: Callable[[float], Awaitable[None]],
) -> Desk:
    """The process that the assistant talks to, and that is going to be stopped."""
    return Desk(crosstrade, sleeping, policy, clock=clock, pause=pause)


async def trails(assistant: Assistant, world: World) -> None:
    """A stop that the price asks to be moved."""
    assert (await assistant.buys(2)).status == "filled"
    world.later()
    stop = await assistant.protects(world.price(-40), quantity=2)
    told = await assistant.call("set_watch", kind="trailing_stop", account="Sim101", order_id=stop, distance="5 points")
    assert told.status == "set", told.text
    world.later(2)


async def cancels(assistant: Assistant, world: World) -> None:
    """An entry that is to be cancelled by now."""
    resting = await assistant.rests(world.price(-40))
    wanted = {"kind": "cancel_after", "account": "Sim101", "order_id": resting, "time": "20 minutes"}
    assert (await assistant.call("set_watch", **wanted)).status == "set"
    world.later(20 * 60 + 1)


async def flattens(assistant: Assistant, world: World) -> None:
    """A position that is to be left by now."""
    assert (await assistant.buys(2)).status == "filled"
    wanted = {"kind": "flat_by", "account": "Sim101", "time": "20 minutes"}
    assert (await assistant.call("set_watch", **wanted)).status == "set"
    world.later(20 * 60 + 1)


@pytest.mark.parametrize("place", [BEFORE_THE_INTENT, BEFORE_THE_WIRE])
@pytest.mark.parametrize("prepare", [trails, cancels, flattens])
@pytest.mark.parametrize("gives_back", [False, True], ids=["another has the lease", "its own next look took it again"])
async def test_what_a_watch_was_about_to_send_is_not_sent_by_who_slept(
    assistant: Assistant,
    world: World,
    wire: Wire,
    desk: Desk,
    another_desk: Desk,
    sleeping: Sleeping,
    prepare: Callable[[Assistant, World], Awaitable[None]],
    place: str,
    gives_back: bool,
) -> None:
    await prepare(assistant, world)
    sent, by_another = len(wire.posts()), 0

    async def meanwhile() -> None:
        nonlocal by_another
        world.later(20)
        for _ in range(3):
            await another_desk.exit_watch.look()
            world.later(6)
        by_another = len(wire.posts()) - sent
        if gives_back:
            await another_desk.exit_watch.let_go()
            assert await desk.exit_watch._keep_lease()

    sleeping.sleeps(place, meanwhile)
    await desk.exit_watch.look()
    assert sleeping.has_slept
    assert len(wire.posts()) - sent == by_another, "who slept has sent nothing"


@pytest.mark.parametrize("place", [BEFORE_THE_INTENT, BEFORE_THE_WIRE])
@pytest.mark.parametrize("prepare", [trails, cancels, flattens])
async def test_who_slept_sends_nothing_late_though_nobody_went_on_with_it(
    assistant: Assistant,
    world: World,
    wire: Wire,
    desk: Desk,
    sleeping: Sleeping,
    prepare: Callable[[Assistant, World], Awaitable[None]],
    place: str,
) -> None:
    await prepare(assistant, world)
    sent = len(wire.posts())

    async def meanwhile() -> None:
        world.later(600)
        assert await desk.exit_watch._keep_lease(), "its next look takes it at once"

    sleeping.sleeps(place, meanwhile)
    await desk.exit_watch.look()
    assert sleeping.has_slept
    assert len(wire.posts()) == sent, "what it had looked at is ten minutes old"
    for _ in range(6):
        world.later(15)
        await desk.exit_watch.look()
    if prepare is not trails:
        assert (world.net(), world.live()) == (0, []), "and the next look does it"


async def test_an_end_by_the_person_holds_for_what_was_about_to_be_sent(
    assistant: Assistant, world: World, wire: Wire, desk: Desk, store: SqliteStore, sleeping: Sleeping
) -> None:
    await cancels(assistant, world)
    (watch,) = await store.watches()
    sent = len(wire.posts())

    async def meanwhile() -> None:
        assert "was ended" in (await assistant.call("end_watch", watch_id=watch.watch_id)).text

    sleeping.sleeps(BEFORE_THE_INTENT, meanwhile)
    await desk.exit_watch.look()
    assert len(wire.posts()) == sent
    assert len(world.live()) == 1


ENTRY: dict[str, Any] = {"stop_loss": "10 points", "take_profit": "20 points"}


def stops_and_targets(world: World) -> list[tuple[str, int]]:
    """Every order that can still fill."""
    live = world.sim.exchange.live_orders("Sim101")
    return sorted((str(order.terms.order_type), order.terms.quantity) for order in live)


@pytest.mark.parametrize(("place", "nth"), [(BEFORE_THE_INTENT, 2), (BEFORE_THE_INTENT, 3), (BEFORE_THE_WIRE, 2)])
async def test_exits_of_an_entry_are_placed_once_though_who_sent_it_slept(
    converse: Converse,
    person: Person,
    world: World,
    wire: Wire,
    another_desk: Desk,
    sleeping: Sleeping,
    place: str,
    nth: int,
) -> None:
    """Before the intent of its stop, before that of its target, before the target leaves."""

    async def meanwhile() -> None:
        for _ in range(6):
            world.later(16)
            await another_desk.exit_watch.look()

    async with converse(person) as assistant:
        sleeping.sleeps(place, meanwhile, nth)
        told = await assistant.buys(2, **ENTRY)
    assert sleeping.has_slept
    world.later(20)
    await another_desk.exit_watch.look()
    if world.net():
        assert stops_and_targets(world) == [("Limit", 2), ("StopMarket", 2)], told.text
        assert "UNPROTECTED" not in told.text
    placed = [said for path, said in wire.posts() if path.endswith("/place")]
    assert len(placed) <= 3


async def test_a_close_of_what_is_bare_does_not_leave_late(
    converse: Converse, person: Person, world: World, wire: Wire, another_desk: Desk, sleeping: Sleeping
) -> None:
    """By then what is held may be another position, which nobody has promised to close."""

    async def meanwhile() -> None:
        for _ in range(4):
            world.later(16)
            await another_desk.exit_watch.look()
        assert world.net() == 0, "who looks after it has closed it"
        front = world.sim.market.front("MES", world.clock())
        terms = OrderTerms(front, Action.BUY, 1, SimOrderType.MARKET)
        world.sim.exchange.submit(world.sim.exchange.accounts["Sim101"], terms, OrderLabels(), world.clock())
        world.later(2)

    def refuse_the_next() -> None:
        world.sim.faults.arm(Fault.REFUSED_WITH_400, rpc="PlaceOrder", times=1)

    async with converse(person) as assistant:
        wire.meanwhile["/place"] = lambda: wire.meanwhile.update({"/place": refuse_the_next})
        sleeping.sleeps(BEFORE_THE_INTENT, meanwhile, 3)
        told = await assistant.buys(1, stop_loss="10 points")
    assert sleeping.has_slept
    assert world.net() == 1, told.text
