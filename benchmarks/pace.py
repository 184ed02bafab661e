"""What a trader waits for: requests and rounds of each command, and the seconds that they take, in virtual time.

    python benchmarks/pace.py
    python benchmarks/pace.py --delay 0.65 --person 8

Every request takes exactly the given delay, and nothing else takes any time, so a figure is a count that is written as
seconds: it is the same on every machine. The stream tells without a delay. Beside each command stands the least that
anybody pays for it: one request for the send, and one more to see what became of it. Our own milliseconds are measured
by `run.py`.

A count is written with its rounds, which are what is asked side by side: `4/2` are four requests in two rounds. What is
read while the person thinks is counted by itself: it keeps the review fresh, takes nothing of what exits may need, and
nobody waits for it.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from itertools import count, product
from random import Random

import anyio
import virtual_world
from anyio.abc import TaskGroup
from virtual_network import Request, Weather
from virtual_time import play
from virtual_world import Process, World, replaced, seeded_ids

from ct_mcp.crosstrade.reads import ReadOnlyClient
from ct_mcp.crosstrade.schemas.bracket import ASSUMED_FIELDS, BracketFields
from ct_mcp.desk.outcome import Outcome
from ct_mcp.domain.approval import Approval, Ticket
from ct_mcp.domain.commands import (
    CancelOrder,
    ChangeOrder,
    ClosePosition,
    Command,
    Flatten,
    PlaceOrder,
    ProtectPosition,
    ReversePosition,
)
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import OrderAction, OrderType, TimeInForce
from ct_mcp.guard.policy import Limits, Policy
from ct_mcp.simulator.exchange import ExchangePace

ACCOUNT, OTHER = "Sim101", "SimReplay"
PERSON_SECONDS = 3.0
ASKED = (Approval.NONE, Approval.FORM, Approval.PAGE)
MID_SESSION_HOUR = 14
UNMET = Limits(max_orders_per_minute=1000, max_orders_per_day=10_000, duplicate_window_seconds=0.0)


class Steady(Weather):
    """A network on which each request takes the same time."""

    one_way = 0.0

    def delay(self) -> float:
        """Half of it there, half of it back."""
        return self.one_way


@dataclass
class Wire:
    """What left, when, and how much of it side by side."""

    left: list[Request] = field(default_factory=list)

    def leaves(self, request: Request) -> None:
        """Take note of a request."""
        self.left.append(request)

    def arrives(self, request: Request) -> None:
        """Nothing depends on it."""

    def is_answered(self, request: Request) -> None:
        """Nothing depends on it."""


@dataclass(frozen=True, slots=True)
class Count:
    """So many requests, in so many rounds."""

    requests: int
    rounds: int

    @classmethod
    def of(cls, left: list[Request]) -> "Count":
        """Count what left; side by side is what left at the same moment."""
        return cls(len(left), len({request.left_at for request in left}))

    def __str__(self) -> str:
        return f"{self.requests}/{self.rounds}" if self.requests else "0"


@dataclass(frozen=True, slots=True)
class Cost:
    """One command: requests before the question, while it is open, from the yes to the send, and after; seconds too."""

    question: Count
    thinking: Count
    yes_to_wire: Count
    afterwards: Count
    question_seconds: float
    yes_to_wire_seconds: float
    told_seconds: float

    @property
    def all(self) -> int:
        """All requests that somebody waits for, the one that is sent among them."""
        return self.question.requests + self.yes_to_wire.requests + self.afterwards.requests


@dataclass(frozen=True, slots=True)
class Setting:
    """How a command is played."""

    delay: float
    approval: Approval
    has_stream: bool
    person_seconds: float


def limit(world: World, instrument: Instrument, ticks: int) -> Decimal:
    """A price so many ticks from the market."""
    front = world.simulator.market.front(instrument.root, world.true_clock())
    last = world.simulator.market.top(front, world.true_clock()).last
    return Decimal(str(float((last + ticks) * front.product.tick_size)))


def order(instrument: Instrument, quantity: int = 1, price: Decimal | None = None) -> PlaceOrder:
    """Buy at the market, or at a price."""
    kind = OrderType.MARKET if price is None else OrderType.LIMIT
    return PlaceOrder(ACCOUNT, instrument, OrderAction.BUY, quantity, kind, price, None, TimeInForce.DAY)


Made = Callable[[World, Instrument, str], Command | list[Command]]
COMMANDS: dict[str, Made] = {
    "market order": lambda _, of, __: order(of, 2),
    "limit order": lambda world, of, _: order(of, 1, limit(world, of, -40)),
    "change": lambda world, of, named: ChangeOrder(ACCOUNT, named, limit_price=limit(world, of, -44)),
    "cancel": lambda _, __, named: CancelOrder(ACCOUNT, named),
    "reverse": lambda _, of, __: ReversePosition(ACCOUNT, of),
    "protect": lambda world, of, _: ProtectPosition(ACCOUNT, of, limit(world, of, 60), limit(world, of, -60)),
    "close": lambda _, of, __: ClosePosition(ACCOUNT, of),
    "flatten": lambda _, __, ___: Flatten(ACCOUNT, None),
    "flatten everything": lambda _, __, ___: [Flatten(ACCOUNT, None), Flatten(OTHER, None)],
}


async def measured(made: Made, setting: Setting) -> Cost:
    """Play one command in a world of its own, where a position is held and a limit order stands."""
    world, wire = usual_world(), Wire()
    world.weather, world.disk.rng = Steady(Random(1)), _Still()
    world.policy = Policy(limits=UNMET, simulated=setting.approval, exits_simulated=setting.approval)
    world.open(wire)
    process = world.processes[0]
    async with anyio.create_task_group() as beside:
        if setting.has_stream:
            beside.start_soon(process.listens)
            await anyio.sleep(1)
        cost = await _played(world, wire, made, setting, beside)
        beside.cancel_scope.cancel()
    return cost


async def _played(world: World, wire: Wire, made: Made, setting: Setting, beside: TaskGroup) -> Cost:
    process = world.processes[0]
    instrument, desk = world.instrument("MES"), process.desk
    await desk.resolver.accounts()
    await done(process, order(instrument))
    standing = await done(process, order(instrument, 1, limit(world, instrument, -40)))
    Steady.one_way = setting.delay / 2
    command = made(world, instrument, str(standing.order_id))
    wire.left.clear()
    began = world.now
    proposed = await desk.propose(command)
    assert isinstance(proposed, Ticket), proposed
    asked, at_question = world.now, len(wire.left)
    yes = asked
    if proposed.approval is not Approval.NONE:
        beside.start_soon(desk.warm.keep, proposed)
        yes = await says_yes(world, process, proposed, setting, beside)
    at_yes = next((place for place, each in enumerate(wire.left) if each.left_at >= yes), len(wire.left))
    told = await desk.commit(proposed.ticket_id)
    assert told.status.sent, told
    seconds, left = world.now - yes, list(wire.left)
    sent = next(place for place, request in enumerate(left) if request.writes)
    Steady.one_way = 0.0
    return Cost(
        Count.of(left[:at_question]),
        Count.of(left[at_question:at_yes]),
        Count.of(left[at_yes:sent]),
        Count.of(left[sent:]),
        asked - began,
        left[sent].left_at - yes,
        seconds,
    )


async def says_yes(world: World, process: Process, ticket: Ticket, setting: Setting, beside: TaskGroup) -> float:
    """Wait for the person, as the server does; gives the moment of their yes."""
    moment = list[float]()

    async def decides() -> None:
        await anyio.sleep(setting.person_seconds)
        await process.desk.decisions.approve(ticket, "page")
        moment.append(world.now)

    if setting.approval is Approval.FORM:
        await decides()
    else:
        beside.start_soon(decides)
        async for _ in process.desk.watch_ticket(ticket, 25.0):
            pass
    return moment[0]


def usual_world() -> World:
    """Two simulated accounts in the middle of a trading day, in a market that fills at once."""
    with replaced({(virtual_world, "_pace"): lambda _: ExchangePace(0.0, 0.0)}):
        drawn = (World(Random(seed)) for seed in count())
        return next(world for world in drawn if not world.is_live and world.begins_at.hour == MID_SESSION_HOUR)


async def done(process: Process, command: Command) -> Outcome:
    """Have a command done before anything is counted."""
    ticket = await process.desk.propose(command)
    assert isinstance(ticket, Ticket), ticket
    await process.desk.decisions.approve(ticket, "terminal")
    told = await process.desk.commit(ticket.ticket_id)
    await anyio.sleep(25)  # the limit of requests is full again, and what is kept for a minute still serves
    return told


async def _known_fields(_: ReadOnlyClient) -> BracketFields:
    """What openapi.json tells a process once: it is a document, and not a call that this network serves."""
    return ASSUMED_FIELDS


class _Still(Random):
    """A disk that takes no time."""

    def random(self) -> float:
        return 1.0


HEAD = (
    "| command | asked | stream | question | while asked | yes to wire | after | all | question s | yes to wire s "
    "| told s (ratio) |"
)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--delay", type=float, nargs="+", default=[0.15, 0.65], help="seconds that each request takes")
    parser.add_argument("--person", type=float, default=PERSON_SECONDS, help="seconds that the person takes")
    chosen = parser.parse_args()
    for delay in chosen.delay:
        least = 2 * delay
        print(f"\n{delay * 1000:.0f} ms a request; an unguarded send leaves at once, and is seen after {least:.2f} s\n")
        print(f"{HEAD}\n|{'---|' * (HEAD.count('|') - 1)}")
        for (name, made), approval, has_stream in product(COMMANDS.items(), ASKED, (True, False)):
            with seeded_ids(Random(1)), replaced({(ReadOnlyClient, "bracket_fields"): _known_fields}):
                setting = Setting(delay, approval, has_stream, chosen.person)
                cost = play(partial(measured, made, setting), Random(1))
            counts = (cost.question, cost.thinking, cost.yes_to_wire, cost.afterwards, cost.all)
            seconds = f"{cost.question_seconds:.2f} | {cost.yes_to_wire_seconds:.2f} | {cost.told_seconds:.2f}"
            row = (name, approval, "yes" if has_stream else "no", *counts)
            print(f"| {' | '.join(map(str, row))} | {seconds} ({cost.told_seconds / least:.1f}) |")


if __name__ == "__main__":
    main()
