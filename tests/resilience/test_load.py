"""Many calls at once, calls taken back, and a client that never reads: bounded, journalled, and pure to the end."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from anyio import to_thread

from ct_mcp.server.stdio import MOST_UNANSWERED
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.simulator import Simulator
from ct_mcp.store.sqlite import SqliteStore
from tests.forked import start_program
from tests.resilience.conftest import Server, Start, launched

BUY = {"account": "Sim101", "instrument": "MES", "action": "BUY", "quantity": 1, "order_type": "MARKET"}
IN_FLIGHT = 64
REFUSED = -32000


def resting(sim: Simulator, ticks: int) -> dict[str, object]:
    """An order that stands in the market, at a price of its own."""
    contract = sim.market.front("MES", sim.clock())
    last = sim.market.top(contract, sim.clock()).last
    return {**BUY, "order_type": "LIMIT", "limit_price": float((last - ticks) * contract.product.tick_size)}


def take_back(server: Server, number: int) -> None:
    """Say that an answer is no longer wanted."""
    server.say({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": number}})


def is_message(line: str) -> bool:
    """Say whether a line is JSON-RPC."""
    message = json.loads(line)
    return message["jsonrpc"] == "2.0" and bool({"result", "error", "method"} & set(message))


async def test_sixty_four_calls_at_once_are_all_answered(start: Start) -> None:
    server = await start()
    tools = ("get_positions", "get_orders", "get_status", "get_journal")
    calls = [server.begins(tools[number % 4]) for number in range(IN_FLIGHT)]
    answers = [(await server.answer(number))["result"] for number in calls]
    assert not any(answer.get("isError") for answer in answers)


async def test_calls_taken_back_in_the_middle_leave_the_others_and_the_server_whole(
    start: Start, sim: Simulator
) -> None:
    server = await start()
    await server.call("get_positions")
    sim.faults.arm(Fault.SLOW_ANSWER)
    calls = [server.begins("get_orders") for _ in range(IN_FLIGHT)]
    await sim.faults.slow_answer_waits()
    for number in calls[::2]:
        take_back(server, number)
    await server.answer(server.asks("ping"))
    sim.faults.disarm()
    for number in calls[1::2]:
        assert not (await server.answer(number))["result"].get("isError")
    assert (await server.call("get_positions"))["positions"] == []


async def test_orders_taken_back_while_they_are_sent_are_sent_once_and_written_down(
    start: Start, sim: Simulator, store: SqliteStore
) -> None:
    """Sixteen at once; each whose send was begun is in the journal with its end, and once in the market."""
    server = await start()
    sim.faults.arm(Fault.SLOW_ANSWER, rpc="PlaceOrder")
    calls = [server.begins("place_order", **resting(sim, 20 + number)) for number in range(16)]
    await sim.faults.slow_answer_waits()
    for number in calls:
        take_back(server, number)
    await server.answer(server.asks("ping"))
    sim.faults.disarm()
    code, rest, _ = await to_thread.run_sync(server.leave)
    assert code == 0
    assert all(is_message(line) for line in rest.splitlines())
    intents = [entry for entry in await store.entries(500) if entry.kind == "intent"]
    placed = [order.labels.own_id for order in sim.exchange.orders]
    assert 0 < len(placed) == len(set(placed))
    assert set(placed) <= {entry.own_id for entry in intents}
    assert await answered(store) == set(placed), "what was being sent was finished, although nobody waited any more"
    assert (await store.verify()).ok


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Server]:
    """A server with no service to talk to."""
    place = ("--base-url", "http://127.0.0.1:9", "--state-dir", str(tmp_path / "served"))
    server = Server(start_program("ct_mcp", "serve", *place))
    yield server
    server.is_killed()


@pytest.fixture
def really_served(tmp_path: Path) -> Iterator[Server]:
    """The same, in a Python of its own, as a client starts it."""
    place = ["--base-url", "http://127.0.0.1:9", "--state-dir", str(tmp_path / "served")]
    server = launched(sys.executable, "-m", "ct_mcp", "serve", *place)
    yield server
    server.is_killed()


async def floods(server: Server, calls: int) -> list[int]:
    """Ask so often, and read nothing; done once the server has read all but what fits into a pipe."""
    return await to_thread.run_sync(lambda: [server.begins("get_journal") for _ in range(calls)])


async def test_a_client_that_reads_late_gets_one_answer_for_each_call_and_refusals_beyond_the_bound(
    served: Server,
) -> None:
    await served.meets()
    calls = await floods(served, 4 * MOST_UNANSWERED)
    answers = [await served.answer(number) for number in calls]
    refused = [answer for answer in answers if answer.get("error", {}).get("code") == REFUSED]
    assert len(answers) - len(refused) >= MOST_UNANSWERED
    assert all("nothing was sent" in answer["error"]["message"] for answer in refused)
    assert "result" in await served.answer(served.asks("ping")), "it serves on"


@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is read from /proc")
async def test_a_client_that_never_reads_makes_nothing_grow(really_served: Server) -> None:
    await really_served.meets()
    await floods(really_served, 2000)
    before = resident_kib(really_served)
    await floods(really_served, 2000)
    assert resident_kib(really_served) - before < 8 * 1024, "about twelve KiB a call, where nothing is bounded"


def resident_kib(server: Server) -> int:
    """Memory that a server holds now."""
    status = Path(f"/proc/{server.pid}/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))


async def test_a_client_that_never_reads_cannot_keep_the_server_when_it_closes_stdin(served: Server) -> None:
    await served.meets()
    await floods(served, 1000)
    assert await to_thread.run_sync(served.closes_stdin) == 0
    assert all(map(is_message, served.leftovers()))


async def test_orders_of_a_client_that_never_reads_are_in_the_journal_with_their_end(
    start: Start, sim: Simulator, store: SqliteStore
) -> None:
    server = await start()
    for number in range(4):
        server.begins("place_order", **resting(sim, 20 + number))
    await floods(server, 1000)
    with anyio.fail_after(60):
        while len(await answered(store)) < 4:
            pass
    server.is_killed()
    assert await answered(store) == {order.labels.own_id for order in sim.exchange.orders}
    assert (await store.verify()).ok


async def answered(store: SqliteStore) -> set[str | None]:
    """Our ids of the orders whose end is written down."""
    return {entry.own_id for entry in await store.entries(500) if entry.kind == "answered"}
