"""What each command asks of the service: how many requests, how many of them before it leaves, and in how many rounds.

A round is what is asked side by side. A request is worth half a second of a trader's time: whoever adds one changes
the table, and says why.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import anyio
import anyio.lowlevel
import httpx
import pytest

from ct_mcp.domain.approval import Approval
from ct_mcp.guard.policy import Limits, Policy
from ct_mcp.simulator.simulator import Simulator, SimulatorSettings
from ct_mcp.store.sqlite import SqliteStore
from tests.e2e.conftest import Assistant, Told, Wire, World

ACCOUNT = "Sim101"


@dataclass
class Counted(Wire):
    """A wire on which every request takes one step, so that those side by side are seen to be."""

    rounds: list[list[str]] = field(default_factory=list)
    under_way: int = 0
    store: SqliteStore | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Let whatever else is asked at the same time begin first."""
        if not self.under_way:
            self.rounds.append([])
        self.rounds[-1].append(f"{request.method} {request.url.path.removeprefix('/v1/api/')}")
        self.under_way += 1
        try:
            await anyio.wait_all_tasks_blocked()
            while self.store is not None and self.store._turn.borrowed_tokens:
                await anyio.lowlevel.checkpoint()  # whoever waits for a thread of the store is about to ask as well
                await anyio.wait_all_tasks_blocked()
            return await super().handle_async_request(request)
        finally:
            self.under_way -= 1


@dataclass(frozen=True)
class Cost:
    """Rounds before what changes something leaves, rounds after it, and requests in all."""

    before: int
    after: int
    requests: int


def cost_of(rounds: list[list[str]]) -> Cost:
    """Read the cost off the rounds; before the first write, and after the last."""
    writes = [place for place, each in enumerate(rounds) if any(not one.startswith("GET") for one in each)]
    return Cost(writes[0], len(rounds) - 1 - writes[-1], sum(map(len, rounds)))


UNHURRIED = Limits(max_orders_per_minute=1000, max_orders_per_day=10_000, duplicate_window_seconds=0.0)
ASKED = {
    "nobody is asked": Policy(limits=UNHURRIED, simulated=Approval.NONE),
    "asked by a form": Policy(limits=UNHURRIED),
}


@pytest.fixture(params=ASKED)
def policy(request: pytest.FixtureRequest) -> Policy:
    """Limits that these conversations do not meet."""
    return ASKED[request.param]


@pytest.fixture
def settings() -> SimulatorSettings:
    """A service that is in no hurry either."""
    return SimulatorSettings(rate_limit=None)


@pytest.fixture
def wire(sim: Simulator) -> Counted:
    """A wire that counts."""
    return Counted(sim.transport())


@pytest.fixture(autouse=True)
def _waits_for_the_store(wire: Counted, store: SqliteStore) -> None:
    wire.store = store


Story = Callable[[Assistant, World], Awaitable[Told]]


async def buys(assistant: Assistant, _: World) -> Told:
    return await assistant.buys(2)


async def rests(assistant: Assistant, world: World) -> Told:
    return await assistant.buys(1, order_type="LIMIT", limit_price=world.price(-40))


async def closes(assistant: Assistant, _: World) -> Told:
    return await assistant.call("close_position", account=ACCOUNT, instrument="MES 09-26")


async def flattens(assistant: Assistant, _: World) -> Told:
    return await assistant.call("flatten", account=ACCOUNT)


async def flattens_all(assistant: Assistant, _: World) -> Told:
    return await assistant.call("flatten_everything")


async def reverses(assistant: Assistant, _: World) -> Told:
    return await assistant.call("reverse_position", account=ACCOUNT, instrument="MES")


async def protects(assistant: Assistant, world: World) -> Told:
    prices = {"stop_loss": world.price(-40), "take_profit": world.price(40)}
    return await assistant.call("protect_position", account=ACCOUNT, instrument="MES", **prices)


# The market fills after 0.4 s here, so an order or a book is looked at three times; one that fills sooner costs less.
# The last round of an order reads positions alone: the list that shows the order at rest shows what else stands.
# What leaves a position reads its executions beside its last look: they are a second word on it, and tell the prices.
# Nobody is asked, and asked by a form: the person's yes comes in between, and everything is read anew after it.
COSTS: dict[Story, tuple[Cost, Cost]] = {
    buys: (Cost(before=1, after=4, requests=9), Cost(before=2, after=4, requests=12)),
    rests: (Cost(before=1, after=3, requests=8), Cost(before=2, after=3, requests=11)),
    reverses: (Cost(before=1, after=4, requests=10), Cost(before=2, after=4, requests=14)),
    protects: (Cost(before=1, after=2, requests=10), Cost(before=1, after=2, requests=10)),
    closes: (Cost(before=0, after=4, requests=9), Cost(before=0, after=4, requests=9)),
    flattens: (Cost(before=0, after=4, requests=9), Cost(before=0, after=4, requests=9)),
    flattens_all: (Cost(before=1, after=4, requests=10), Cost(before=1, after=4, requests=10)),
}


@pytest.mark.parametrize("story", COSTS, ids=lambda story: story.__name__)
async def test_a_command_costs_no_request_more(
    assistant: Assistant, world: World, wire: Counted, policy: Policy, story: Story
) -> None:
    await assistant.buys(1)
    await assistant.buys(1, instrument="ES")
    world.later()
    wire.rounds.clear()
    told = await story(assistant, world)
    assert told.sent is True, told.text
    is_asked = policy.simulated is not Approval.NONE
    cost, most = cost_of(wire.rounds), COSTS[story][is_asked]
    # The newer era makes the call twice, and all the same reads only once what its arguments mean.
    assert cost == most, f"one request less is a reason to change the table, too: {wire.rounds}"


@pytest.mark.parametrize("policy", [ASKED["nobody is asked"]], ids=["nobody is asked"])
async def test_moving_a_stop_and_a_target_looks_once_before_the_first_and_once_before_the_second(
    assistant: Assistant, world: World, wire: Counted
) -> None:
    await assistant.buys(1)
    assert (await protects(assistant, world)).sent is True
    world.later()
    wire.rounds.clear()
    prices = {"stop_loss": world.price(-44), "take_profit": world.price(44)}
    told = await assistant.call("protect_position", account=ACCOUNT, instrument="MES", **prices)
    assert told.status == "changed", told.text
    first, second = (place for place, each in enumerate(wire.rounds) if each[0].startswith("PUT"))
    assert first == 1, wire.rounds
    assert sum(len(each) for each in wire.rounds[:first]) == 4
    # Orders until the change is seen and positions once; then the book and the report again, since a change was sent.
    assert [one.split("/")[-1] for each in wire.rounds[first + 1 : second] for one in each][-3:] == [
        "orders",
        "positions",
        "snapshot",
    ]
    assert sum(map(len, wire.rounds)) <= 15, wire.rounds


@pytest.mark.parametrize("story", [closes, flattens], ids=lambda story: story.__name__)
async def test_nothing_is_asked_before_an_exit_leaves(
    assistant: Assistant, wire: Counted, world: World, story: Story
) -> None:
    await assistant.buys(1)
    world.later()
    wire.rounds.clear()
    await story(assistant, world)
    assert wire.rounds[0][0].startswith("POST accounts/Sim101/positions/")


READS: dict[tuple[str, bool], list[int]] = {
    ("get_status", False): [3],
    ("get_status", True): [3, 1],
    ("get_accounts", True): [2],
    ("get_positions", True): [2],
}
"""How many requests each round of a look has, where nothing is held and where something is: never more than three."""


@pytest.mark.parametrize(("tool", "is_held"), READS)
async def test_a_look_costs_no_request_more(
    assistant: Assistant, world: World, wire: Counted, tool: str, is_held: bool
) -> None:
    if is_held:
        await assistant.buys(1)
    else:
        await assistant.rests(world.price(-40))
    world.later()
    wire.rounds.clear()
    assert not (await assistant.call(tool)).is_error
    assert [len(each) for each in wire.rounds] == READS[tool, is_held], wire.rounds


async def test_a_second_order_asks_for_nothing_that_does_not_change_in_a_minute(
    assistant: Assistant, wire: Counted, world: World
) -> None:
    await assistant.buys(1)
    world.later()
    wire.rounds.clear()
    assert (await assistant.buys(1, action="SELL")).status == "filled"
    asked = [one for each in wire.rounds for one in each]
    assert "GET market/info" not in asked, "the session"
    assert asked.count("GET market/quote") <= 2, "one for each review, and none for what the root means"
