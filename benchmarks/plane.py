"""Measure one PostgreSQL behind a team: ``python benchmarks/plane.py``. Needs no network, no token and no account.

It takes some five minutes, with ``--quick`` one. The server is started for it and waits for the disk at each commit, or
is the one that CT_MCP_TEST_POSTGRES names. All processes share the machine with it, which the figures include.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import Any

from child import Child
from figures import Figure, in_ms, load, machine, table
from plane_agents import HEARS_EVERY_SECONDS, REPORTS_EVERY_SECONDS
from plane_day import Day, grown, held, play
from plane_world import Processes, Team, as_text, disk_wait_seconds, own_team

from ct_mcp.domain.team import EVERYBODY
from ct_mcp.store.plane_team import TeamPlane
from ct_mcp.store.postgres import Patience
from ct_mcp.store.postgres_url import PostgresUrl

ACTOR = Path(__file__).with_name("plane_actors.py")
POLICY = """[limits]
max_order_contracts = 5
max_position_contracts = 10
max_day_loss = 1000
[team]
grace_seconds = 60
"""
OPENS_EVERY_SECONDS = 10.0
PARTS = ("orders", "calls", "day", "halts")


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of everything."""

    traders: Sequence[int] = (1, 2, 4, 8)
    seconds: float = 5.0
    agents: int = 1000
    processes: int = 12
    halts_of_one: int = 10
    day: Day = field(default_factory=Day)


QUICK = Sizes(traders=(1, 2), seconds=2.0, agents=100, processes=2, halts_of_one=2, day=Day(questions=8, hours=0.2))
TINY = Sizes(traders=(1,), seconds=0.2, agents=4, processes=2, halts_of_one=1, day=Day(questions=2, hours=0.005))


class Actors(Child):
    """A process that plays traders."""

    longest_life_seconds = 900.0

    def asks(self, name: str, **given: object) -> None:
        """Tell it what to do; it answers later."""
        self.say(json.dumps([name, given]).encode())

    def answer(self) -> Any:
        """Hear what it says to that."""
        return json.loads(self.hear())


@dataclass
class Costs:
    """What the server took of a processor for one of each, in seconds, and of memory for a connection, in MiB.

    ``agent`` is what an agent that opens nothing costs in a second, and ``crowd`` how many times as much a statement
    takes among all of them as on one busy connection.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    crowd: float = 1.0
    connection: float | None = None


class Benchmark:
    """One run over one team."""

    def __init__(self, team: Team, sizes: Sizes, home: Path) -> None:
        self._team, self._sizes, self._home = team, sizes, home
        self._server = Processes(team)
        self._risk_manager = TeamPlane(team.risk_manager, patience=Patience(30, 30, 30, 60))
        self._actors = list[Actors]()
        self.costs = Costs()

    def figures(self, parts: Sequence[str]) -> Iterator[Figure]:
        """Measure one part after the other."""
        with ExitStack() as stack:
            for _ in range(max(2, self._sizes.processes, *self._sizes.traders)):
                self._actors.append(stack.enter_context(Actors([sys.executable, str(ACTOR)], self._home)))
            yield Figure("one page written through to the disk", in_ms(disk_wait_seconds(self._home)))
            for part in parts:
                yield from getattr(self, part)()
        yield from reckoned(self.costs)

    # orders

    def orders(self) -> Iterator[Figure]:
        """Several traders at once, and two machines of one of them."""
        most = max(self._sizes.traders)
        traders = self._team.traders(most, with_state=True)
        for count in self._sizes.traders:
            yield from self._rate(f"orders of {count} trader{'s'[: count > 1]}", traders[:count])
        yield from self._rate("orders of 2 machines of 1 trader", traders[:1] * 2)

    def _rate(self, name: str, traders: Sequence[PostgresUrl]) -> Iterator[Figure]:
        """Let each order as fast as it can, each in a process of its own."""
        told, spent = self._at_once("order", traders)
        count = sum(each["count"] for each in told)
        rate = sum(each["count"] / each["elapsed"] for each in told)
        clients = sum(each["cpu"] for each in told) / count
        took = f"p50 {in_ms([each['p50'] for each in told]):.0f} ms, p95 {in_ms([each['p95'] for each in told]):.0f} ms"
        server = ""
        if spent is not None:
            self.costs.seconds["order"] = spent / count
            server = f"; processor time of an order {spent / count * 1000:.1f} ms in the server"
        yield Figure(name, rate, "/s", detail=f"{took}{server}, {clients * 1000:.1f} ms in the traders' processes")

    def _at_once(self, command: str, urls: Sequence[PostgresUrl], **given: object) -> tuple[list[Any], float | None]:
        """Let a process for each do it, all at once; what each told, and what the server took meanwhile."""
        actors = self._actors[: len(urls)]
        for actor, url in zip(actors, urls, strict=True):
            actor.asks(command, url=as_text(url), seconds=self._sizes.seconds, **given)
        for actor in actors:
            actor.answer()
        before = self._server.spent()
        for actor in actors:
            actor.say(b"go")
        told = [actor.answer() for actor in actors]
        spent = self._server.spent(before.seconds).since(before)
        for actor in actors:
            actor.say(b"enough")  # until then its connection stands, or nobody could tell any more what it took
        if not all(actor.answer() for actor in actors):
            raise RuntimeError("a journal is not whole")
        return told, spent

    # what a call costs

    def calls(self) -> Iterator[Figure]:
        """What the plane is asked and told all the time, and what a store is, one by one."""
        (one,) = self._team.traders(1, with_state=True)
        asyncio.run(self._set_policies(one))
        for what, name in (
            ("word", "word(): halts and policies"), ("report", "report() of two accounts"),
            ("duties", "duties(), of a store"), ("lease", "take_lease(), of a store"),
        ):  # fmt: skip
            (told,), spent = self._at_once("ask", [one], what=what)
            server, client = None if spent is None else spent / told["count"], told["cpu"] / told["count"]
            if server is not None:
                self.costs.seconds[what] = server
            detail = f"p50 {told['p50'] * 1e6:,.0f} µs, {client * 1e6:,.0f} µs in the trader's process"
            yield Figure(f"{name}, in the server", None if server is None else server * 1e6, "µs", detail=detail)
        told, _ = self._at_once("ask", self._some_traders(), what="word")
        rate = sum(each["count"] / each["elapsed"] for each in told)
        yield Figure(f"words that {len(told)} processes get as fast as they can", rate, "/s")

    def _some_traders(self) -> list[PostgresUrl]:
        return self._team.traders(self._sizes.processes)

    async def _set_policies(self, one: PostgresUrl) -> None:
        for trader in (EVERYBODY, one.user):
            await self._risk_manager.set_policy(trader, POLICY)
        await self._risk_manager.close()

    # a halt of all, and of one

    def halts(self) -> Iterator[Figure]:
        """Many agents, at rest, under a halt of everybody, and of one after the other."""
        agents, before = self._team.traders(self._sizes.agents), self._server.mib()
        actors, began = self._actors[: self._sizes.processes], monotonic()
        for number, actor in enumerate(actors):
            urls = [as_text(url) for url in agents[number :: len(actors)]]
            actor.asks("agents", urls=urls, opens_every_seconds=OPENS_EVERY_SECONDS)
        count = sum(actor.answer() for actor in actors)
        connected = monotonic() - began
        detail = f"a connection and a role each, in {len(actors)} processes; all connected after {connected:.0f} s"
        yield Figure("agents", float(count), "", detail=detail)
        after = self._server.mib()
        if before is not None and after is not None:
            self.costs.connection = (after - before) / count
        yield Figure("memory of the server for each connection", self.costs.connection, "MiB")
        yield from self._at_rest(actors)
        yield from self._halt_of(actors, EVERYBODY, "everybody")
        yield from self._halts_of_one(actors, agents)

    def _at_rest(self, actors: Sequence[Actors]) -> Iterator[Figure]:
        """Look how busy all are while nothing happens."""
        self._tallies(actors)
        began = monotonic()
        before, looked = self._server.spent(), monotonic()
        sleep(max(self._sizes.seconds, 3.0))
        spent, window = self._server.spent(before.seconds).since(before), monotonic() - looked
        told, elapsed = self._tallies(actors), monotonic() - began
        words = [took for each in told for took in each["words"]]
        asked = len(words) + sum(each["reports"] for each in told)
        yield Figure(
            "statements of all agents", asked / elapsed, "/s", detail=f"{len(words) / elapsed:,.0f} words among them"
        )
        share = None if spent is None else 100 * spent / window
        if spent is not None:
            self._note_crowd(spent / window, len(words) / elapsed, (asked - len(words)) / elapsed)
        lost = sum(each["lost"] for each in told)
        longest = max(words, default=0.0)
        detail = f"a word took p50 {in_ms(words):.1f} ms, at most {longest * 1000:.0f} ms; {lost} not heard in time"
        yield Figure("… which keep one core of the server busy for", share, "%", detail=detail)

    def _note_crowd(self, busy: float, words: float, reports: float) -> None:
        """Note how busy the server is with so many words and reports a second."""
        seconds = self.costs.seconds
        due = 1 / HEARS_EVERY_SECONDS + 1 / REPORTS_EVERY_SECONDS  # a busy machine may have let them ask less
        seconds["agent"] = busy / (words + reports) * due
        alone = words * seconds.get("word", 0.0) + reports * seconds.get("report", 0.0)
        self.costs.crowd = busy / alone if alone else 1.0

    def _tallies(self, actors: Iterable[Actors]) -> list[Any]:
        asked = list(actors)
        for actor in asked:
            actor.asks("tally")
        return [actor.answer() for actor in asked]

    def _halt_of(self, actors: Sequence[Actors], trader: str, name: str) -> Iterator[Figure]:
        """Halt, wait until all have noticed, and look a while longer what is let through."""
        self._tallies(actors)
        noticed, committed = self._halted(actors, trader)
        sleep(3.0)
        told = self._tallies(actors)
        through = [(asked, at) for each in told for asked, at in each["let_through"] if at > committed]
        denied = sum(at > committed for each in told for at in each["denied"])
        half = f"half after {median(noticed):.2f} s"
        yield Figure(f"halt of {name}: the last agent notices after", max(noticed), "s", 2.0, half)
        last = (
            f"answered {(max(at for _, at in through) - committed) * 1000:.0f} ms after it at most; " if through else ""
        )
        late = sum(asked > committed for asked, _ in through)
        detail = f"{last}{late} of them had asked after it; {denied:,} were denied"
        yield Figure("… openings let through after its commit", float(len(through)), "", detail=detail)
        asyncio.run(self._resumed(trader))
        for actor in actors:
            actor.asks("are_free")
        for actor in actors:
            actor.answer()

    def _halted(self, actors: Sequence[Actors], trader: str) -> tuple[list[float], float]:
        """Halt; how many seconds after its commit each agent noticed, and when that was."""
        for actor in actors:
            actor.asks("have_noticed", user=trader)
        committed = asyncio.run(self._commit_halt(trader))
        return [at - committed for actor in actors for at in actor.answer()], committed

    def _halts_of_one(self, actors: Sequence[Actors], agents: Sequence[PostgresUrl]) -> Iterator[Figure]:
        """Halt one after the other; the others go on."""
        took = list[float]()
        self._tallies(actors)
        for number in range(self._sizes.halts_of_one):
            one = agents[number * len(agents) // self._sizes.halts_of_one].user
            noticed, _ = self._halted(actors, one)
            took += noticed
            asyncio.run(self._resumed(one))
        through = sum(len(each["let_through"]) for each in self._tallies(actors))
        detail = (
            f"half of {len(took)} after {median(took):.2f} s; the others let {through:,} openings through meanwhile"
        )
        yield Figure("halt of one: that agent notices after, at most", max(took), "s", 2.0, detail)

    async def _commit_halt(self, trader: str) -> float:
        await self._risk_manager.role()  # so that the connection is there
        await self._risk_manager.halt(trader, "the day's news")
        committed = monotonic()
        await self._risk_manager.close()
        return committed

    async def _resumed(self, trader: str) -> None:
        await self._risk_manager.resume(trader)
        await self._risk_manager.close()

    # the day of a trader

    def day(self) -> Iterator[Figure]:
        """What one trader leaves."""
        (trader,) = self._team.traders(1, with_state=True)
        day = self._sizes.day
        schemas = (trader.user, "ct_mcp_plane")
        before = [held(self._team, schema) for schema in schemas]
        orders = asyncio.run(play(trader, day))
        after = [held(self._team, schema) for schema in schemas]
        rows, size = (sum(at - was for was, at in zip(
            (getattr(each, what) for each in before), (getattr(each, what) for each in after), strict=True
        )) for what in ("rows", "size"))  # fmt: skip
        most = ", ".join(
            f"{name} {rows:,} rows {size / 1024:,.0f} KiB" for name, rows, size in list(grown(before[0], after[0]))[:4]
        )
        yield Figure(
            "a trader's day: rows",
            float(rows),
            "",
            detail=f"{day.questions} questions, {orders} orders filled, {day.hours:g} h",
        )
        yield Figure("… on disk, with indexes", size / 2**20, "MiB", detail=most)
        written = (after[-1].log_bytes - before[0].log_bytes) / 2**20
        yield Figure("… written to the server's log of changes", written, "MiB")


TEN_THOUSAND = 10_000
ORDERS_A_DAY, A_DAYS_HOURS = 60, 6.5


def reckoned(costs: Costs) -> Iterator[Figure]:
    """Reckon from what was measured to what two cores hold, and what ten thousand traders want."""
    spent = costs.seconds
    if not {"agent", "duties", "lease", "order"} <= spent.keys():
        return
    # Exits are looked for every second; leases are of the stream, the book and, for a third of the day, of the exits.
    each = spent["duties"] + spent["lease"] * (1 / 5 + 1 / 20 + 1 / 3)
    state = costs.crowd * (each + spent["order"] * ORDERS_A_DAY / (A_DAYS_HOURS * 3600))
    both = spent["agent"] + state
    crowd = f"a statement takes {costs.crowd:.1f} times as much among all agents as on one busy connection"
    yield Figure("RECKONED: orders that fill 2 cores", 2 / spent["order"], "/s")
    yield Figure("RECKONED: agents that fill 2 cores", 2 / spent["agent"], "", detail=crowd)
    yield Figure("RECKONED: traders who keep their state there as well", 2 / both, "")
    detail = f"{TEN_THOUSAND * both:.0f} with their state as well"
    yield Figure("RECKONED: cores for 10,000 agents", TEN_THOUSAND * spent["agent"], "cores", detail=detail)
    if costs.connection is not None:
        gib = TEN_THOUSAND * costs.connection / 1024
        detail = f"{3 * gib:.0f} GiB with their state as well, three connections each"
        yield Figure("RECKONED: memory of 10,000 connections", gib, "GiB", detail=detail)


def measured(sizes: Sizes, parts: Sequence[str]) -> list[Figure]:
    """Run these parts of it."""
    with TemporaryDirectory() as home, own_team(sizes.agents) as team:
        return list(Benchmark(team, sizes, Path(home)).figures(parts))


def main() -> None:
    """Print the table, and what it was measured on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--tiny", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--only", choices=PARTS, help="one part alone; nothing is reckoned from that")
    chosen = parser.parse_args()
    for name, value in machine().items():
        print(f"{name:10}{value}")
    sizes = TINY if chosen.tiny else QUICK if chosen.quick else Sizes()
    print("\n" + table(measured(sizes, [chosen.only] if chosen.only else PARTS)))
    print(f"\nload at the end {load()}")


if __name__ == "__main__":
    main()
