"""What an order costs ourselves: it is the same at the end of a day as at its beginning.

Counted, not timed: what the store is asked, the statements that answer it, the rows of the wire that are read anew,
and what is kept of the question. Each of these has once grown with every order of the day.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from ct_mcp.crosstrade.schemas.reply import parse_row
from ct_mcp.domain.approval import Approval
from ct_mcp.guard.policy import Limits, Policy
from ct_mcp.simulator.simulator import SimulatorSettings
from ct_mcp.store.sqlite import SqliteStore
from tests.e2e.conftest import Converse, World

UNHURRIED = Limits(max_orders_per_minute=1000, max_orders_per_day=10_000, duplicate_window_seconds=0.0)
EARLY, LATE = 8, 60


@pytest.fixture
def policy() -> Policy:
    """Nobody is asked, and no limit is met."""
    return Policy(limits=UNHURRIED, simulated=Approval.NONE)


@pytest.fixture
def settings() -> SimulatorSettings:
    """A service that is in no hurry either."""
    return SimulatorSettings(rate_limit=None)


@pytest.fixture
def era() -> str:
    """One era of the protocol: what it adds is not counted."""
    return "legacy"


@pytest.fixture
def work(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """What was done since it was cleared."""
    done = Counter[str]()
    for way in ("try_read", "read", "write"):
        monkeypatch.setattr(store._database, way, _counted(getattr(store._database, way), way, done))

    def parsed(*row: Any) -> Any:
        done["orders read anew"] += 1
        return parse_row(*row)

    monkeypatch.setattr("ct_mcp.crosstrade.schemas.orders.parse_row", parsed)
    return done


def _counted(transact: Callable[..., Any], way: str, done: Counter[str]) -> Callable[..., Any]:
    def counted(work: Callable[..., Any], *arguments: Any) -> Any:
        def traced(connection: Any, *given: Any) -> Any:
            done[f"{way.removeprefix('try_')}s of the store"] += 1
            connection.set_trace_callback(lambda _: done.update(["statements"]))
            try:
                return work(connection, *given)
            finally:
                connection.set_trace_callback(None)

        done["threads of the store"] += not way.startswith("try_")
        return transact(traced, *arguments)

    return counted


async def test_a_later_order_costs_no_more_than_an_early_one(
    converse: Converse, world: World, store: SqliteStore, work: Counter[str]
) -> None:
    costs: list[Counter[str]] = []
    async with converse() as assistant:
        for number in range(LATE):
            work.clear()
            told = await assistant.buys(1, action="SELL" if number % 2 else "BUY")
            done = Counter(work)
            assert told.status == "filled", told.text
            ticket = await store.ticket(str(told.ticket_id))
            assert ticket is not None
            assert ticket.request is not None
            costs.append(done + Counter({"lines of the question": len(ticket.request.lines)}))
            world.later(1)
    assert costs[LATE - 2] == costs[EARLY - 2]
    assert costs[LATE - 1] == costs[EARLY - 1]
    assert (costs[-1]["reads of the store"], costs[-1]["writes of the store"]) == (12, 5)
    assert costs[-1]["threads of the store"] == 5, "what is read is read at once, and only the disk is waited for"


async def test_an_order_waits_for_the_disk_no_more_often_than_it_must(
    converse: Converse, world: World, work: Counter[str]
) -> None:
    """The ticket with its proposal, and that it is spent; the intent; that they took it, and what became of it."""
    async with converse() as assistant:
        await assistant.buys(1)
        world.later(1)
        work.clear()
        await assistant.buys(1)
    assert work["writes of the store"] == 5
