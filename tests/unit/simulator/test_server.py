"""The simulator behind a real socket."""

import anyio
import anyio.lowlevel
import httpx
import pytest

from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.server import serve, served
from ct_mcp.simulator.simulator import Simulator

ORDER = {"instrument": "ES", "action": "BUY", "quantity": 1, "orderType": "MARKET", "timeInForce": "DAY"}
HEADERS = {"Authorization": "Bearer test-token"}
PLACE = "/v1/api/accounts/Sim101/orders/place"


async def test_it_answers_on_a_free_port_of_the_loopback(sim: Simulator) -> None:
    async with served(sim) as url, httpx.AsyncClient(base_url=url, headers=HEADERS) as http:
        answer = await http.get("/v1/api/accounts")
    assert url.startswith("http://127.0.0.1:")
    assert answer.json()["accounts"][0]["name"] == "Sim101"


@pytest.mark.parametrize(
    ("fault", "effects"),
    [(Fault.ANSWER_LOST_AFTER_ACCEPT, 1), (Fault.REQUEST_LOST_BEFORE_ACCEPT, 0), (Fault.CONNECT_REFUSED, 0)],
)
async def test_a_lost_connection_is_closed_without_an_answer(sim: Simulator, fault: Fault, effects: int) -> None:
    async with served(sim) as url, httpx.AsyncClient(base_url=url, headers=HEADERS) as http:
        assert (await http.get("/v1/api/accounts")).status_code == 200
        sim.faults.arm(fault, rpc="PlaceOrder", times=1)
        with pytest.raises(httpx.RemoteProtocolError):
            await http.post(PLACE, json=ORDER)
        assert len(sim.exchange.orders) == effects
        assert (await http.post(PLACE, json=ORDER)).status_code == 200


async def test_an_answer_that_never_comes_is_a_read_timeout(sim: Simulator) -> None:
    sim.faults.arm(Fault.READ_TIMEOUT_AFTER_ACCEPT, times=1)
    timeout = httpx.Timeout(5, read=0.05)
    async with served(sim) as url, httpx.AsyncClient(base_url=url, headers=HEADERS, timeout=timeout) as http:
        with pytest.raises(httpx.ReadTimeout):
            await http.post(PLACE, json=ORDER)
    assert len(sim.exchange.orders) == 1


async def test_it_tells_its_address_and_serves_until_it_is_cancelled(sim: Simulator) -> None:
    told: list[str] = []
    ready = anyio.Event()

    def tell(url: str) -> None:
        told.append(url)
        ready.set()

    async def run() -> None:
        await serve(sim, "127.0.0.1", 0, ready=tell)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            await ready.wait()
            async with httpx.AsyncClient(base_url=told[0], headers=HEADERS) as http:
                assert (await http.get("/v1/api/accounts")).status_code == 200
            tasks.cancel_scope.cancel()
    async with httpx.AsyncClient() as http:
        with pytest.raises(httpx.ConnectError):
            await http.get(told[0])


async def test_it_stops_although_an_answer_is_held_back(sim: Simulator) -> None:
    sim.faults.arm(Fault.SLOW_ANSWER)
    answers: list[int] = []

    async def ask(url: str) -> None:
        async with httpx.AsyncClient(base_url=url, headers=HEADERS) as http:
            answers.append((await http.get("/v1/api/accounts")).status_code)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks, served(sim) as url:
            tasks.start_soon(ask, url)
            await sim.faults.slow_answer_waits()
    assert answers == [200]


async def test_it_stops_although_a_call_still_waits_for_a_position_to_close() -> None:
    sim = Simulator(seed=7, token="test-token", market_hours="always")
    sim.exchange.accounts["Sim101"].book(sim.market.front("ES", sim.addon.now), 2, 24_000)
    sim.faults.arm(Fault.NO_FILL)
    answers: list[int] = []

    async def reverse(url: str) -> None:
        async with httpx.AsyncClient(base_url=url, headers=HEADERS) as http:
            answer = await http.post("/v1/api/accounts/Sim101/positions/reverse", json={"instrument": "ES"})
            answers.append(answer.status_code)

    with anyio.fail_after(4):
        async with anyio.create_task_group() as tasks, served(sim) as url:
            tasks.start_soon(reverse, url)
            while not sim.exchange.orders:
                await anyio.lowlevel.checkpoint()
    assert (answers, len(sim.exchange.orders)) == ([200], 2)


async def test_a_port_that_is_taken_is_an_error(sim: Simulator) -> None:
    async with served(sim) as url:
        port = int(url.rsplit(":", 1)[1])
        with pytest.raises(OSError):  # noqa: PT011 - its words belong to the operating system
            async with served(sim, port=port):
                pass


async def test_two_worlds_live_side_by_side(sim: Simulator, clock: ManualClock) -> None:
    other = Simulator(seed=8, clock=clock, token="test-token")
    async with served(sim) as one, served(other) as two, httpx.AsyncClient(headers=HEADERS) as http:
        await http.post(one + PLACE, json=ORDER)
        assert (len(sim.exchange.orders), len(other.exchange.orders)) == (1, 0)
        assert (await http.get(two + "/v1/api/orders")).json()["count"] == 0
