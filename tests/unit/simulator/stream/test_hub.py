"""The two ways to the WebSocket, within the process and over the loopback: both behave as `websockets` does."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as connect_over_tcp
from websockets.exceptions import (
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    InvalidMessage,
    InvalidStatus,
)

from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault, StreamFault
from ct_mcp.simulator.in_process import InProcessSocket
from ct_mcp.simulator.server import served
from ct_mcp.simulator.simulator import Simulator, SimulatorSettings
from ct_mcp.simulator.stream.assumptions import StreamAssumptions

ORDER: dict[str, Any] = {
    "account": "Sim101",
    "instrument": "ES",
    "action": "Buy",
    "quantity": 1,
    "orderType": "Market",
    "timeInForce": "Gtc",
}
Socket = InProcessSocket | ClientConnection
Connect = Callable[..., AbstractAsyncContextManager[Socket]]


@asynccontextmanager
async def over_tcp(url: str, right: str, token: str | None = None, **more: Any) -> AsyncIterator[ClientConnection]:
    """Connect over the loopback, with the right token if no other is given."""
    headers = {"Authorization": f"Bearer {right if token is None else token}"}
    uri = url.replace("http", "ws", 1) + "/ws/stream"
    async with connect_over_tcp(uri, additional_headers=headers, proxy=None, **more) as socket:
        yield socket


@pytest.fixture
async def tcp(sim: Simulator) -> AsyncIterator[Connect]:
    """Serve the simulator, and connect to it over the loopback."""
    async with served(sim) as url:
        yield partial(over_tcp, url, sim.token)


@pytest.fixture(params=["inside", "tcp"])
def connect(request: pytest.FixtureRequest, sim: Simulator) -> Connect:
    """Connect to the simulator in one of the two ways."""
    way: Connect = sim.connect if request.param == "inside" else request.getfixturevalue("tcp")
    return way


@pytest.fixture(autouse=True)
async def patience() -> AsyncIterator[None]:
    """No test of this file waits for ever."""
    with anyio.fail_after(60):
        yield


async def told(socket: Socket, *kinds: str) -> Any:
    """Receive until a frame of one of these types comes; without a type, until the next."""
    while True:
        frame = json.loads(await socket.recv())
        if not kinds or frame.get("type") in kinds:
            return frame


async def begun(socket: Socket) -> Socket:
    """Receive the first two frames."""
    assert [(await told(socket))["state"] for _ in range(2)] == ["syncing", "ready"]
    return socket


async def answered(socket: Socket, api: str, **args: Any) -> Any:
    """Send an RPC and receive up to its answer."""
    await socket.send(json.dumps({"action": "rpc", "id": "r", "api": api, "args": args}))
    while "data" not in (frame := await told(socket)):
        pass
    return frame["data"]


async def lost(socket: Socket) -> ConnectionClosed:
    """Receive until the connection ends."""
    try:
        while True:
            await socket.recv()
    except ConnectionClosed as ended:
        return ended


async def test_calls_and_events_travel(sim: Simulator, clock: ManualClock, connect: Connect) -> None:
    async with connect() as socket:
        await begun(socket)
        await socket.send('{"action":"subscribe","instruments":["ES"],"events":["positions"]}')
        assert (await told(socket))["status"] == "subscribed"
        assert (await answered(socket, "PlaceOrder", **ORDER))["success"] is True
        clock.advance(1)
        assert (await told(socket, "positionUpdate"))["quantity"] == 1
        assert (await told(socket, "marketData"))["quotes"][0]["instrument"] == "ES 09-26"


@pytest.mark.parametrize("token", ["wrong", ""])
async def test_without_the_token_the_handshake_is_refused(sim: Simulator, connect: Connect, token: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with connect(token):
            pass
    assert refused.value.response.status_code == 401
    assert json.loads(refused.value.response.body)["error"] == "unauthorized"
    assert sim.stream.session is None


@pytest.mark.parametrize(
    ("fault", "status"),
    [(StreamFault.SOCKET_REFUSED, 503), (Fault.FORBIDDEN, 403), (Fault.BAD_GATEWAY, 502), (Fault.RATE_LIMITED, 429)],
)
async def test_a_handshake_is_refused_as_a_request_would_be(
    sim: Simulator, connect: Connect, fault: StreamFault | Fault, status: int
) -> None:
    sim.faults.arm(fault, times=1)
    with pytest.raises(InvalidStatus) as refused:
        async with connect():
            pass
    assert refused.value.response.status_code == status
    async with connect() as socket:
        await begun(socket)


async def test_a_handshake_is_cut_off(sim: Simulator, connect: Connect) -> None:
    sim.faults.arm(Fault.CONNECT_REFUSED, times=1)
    with pytest.raises((ConnectionResetError, InvalidMessage)):
        async with connect():
            pass


async def test_a_slow_handshake_goes_on_when_it_is_released(sim: Simulator, connect: Connect) -> None:
    sim.faults.arm(StreamFault.SOCKET_SLOW, times=1)
    async with anyio.create_task_group() as tasks:

        async def come() -> None:
            async with connect() as socket:
                await begun(socket)

        tasks.start_soon(come)
        await sim.faults.slow_answer_waits()
        assert sim.stream.session is None
        sim.faults.disarm(StreamFault.SOCKET_SLOW)


async def test_who_does_not_wait_for_a_slow_handshake_is_not_connected(sim: Simulator, tcp: Connect) -> None:
    sim.faults.arm(StreamFault.SOCKET_SLOW, times=1)
    with pytest.raises(TimeoutError):
        async with tcp(open_timeout=0.05):
            pass


@pytest.mark.parametrize(
    ("stream_fault", "code"),
    [
        (StreamFault.SOCKET_CLOSED, 1012),
        (StreamFault.SOCKET_BANNED, 1008),
        (StreamFault.SESSION_ELSEWHERE, 4000),
        (StreamFault.SOCKET_CUT, None),
    ],
)
async def test_a_connection_ends_as_it_would_over_the_network(
    sim: Simulator, connect: Connect, stream_fault: StreamFault, code: int | None
) -> None:
    async with connect() as socket:
        await begun(socket)
        sim.faults.arm(stream_fault, times=1)
        sim.advance()
        end = await lost(socket)
        assert isinstance(end, ConnectionClosedError)
        assert (end.rcvd.code if end.rcvd else None) == code
        with pytest.raises(ConnectionClosed):
            await socket.send("{}")


@pytest.mark.parametrize("fault", [Fault.ANSWER_LOST_AFTER_ACCEPT, Fault.REQUEST_LOST_BEFORE_ACCEPT])
async def test_an_answer_is_lost_with_its_connection(sim: Simulator, connect: Connect, fault: Fault) -> None:
    async with connect() as socket:
        await begun(socket)
        sim.faults.arm(fault, rpc="PlaceOrder", times=1)
        await socket.send(json.dumps({"action": "rpc", "id": "r", "api": "PlaceOrder", "args": ORDER}))
        assert (await lost(socket)).rcvd is None
    assert len(sim.exchange.orders) == (fault is Fault.ANSWER_LOST_AFTER_ACCEPT)


async def test_a_second_connection_closes_the_first(sim: Simulator, tcp: Connect) -> None:
    async with tcp() as first:
        await begun(first)
        async with sim.connect() as second:
            end = await lost(first)
            assert end.rcvd is not None
            assert end.rcvd.reason == "Session active elsewhere"
            await begun(second)
            assert (await answered(second, "ListAccounts"))["success"] is True
    assert sim.stream.session is None


async def test_the_one_within_the_process_is_closed_as_well(sim: Simulator) -> None:
    async with sim.connect() as first, sim.connect() as second:
        assert str((await lost(first)).rcvd) == "4000 (private use) Session active elsewhere"
        assert (await answered(second, "ListAccounts"))["success"] is True


async def test_what_goes_wrong_in_the_block_comes_out_as_it_is(sim: Simulator, connect: Connect) -> None:
    async def fail() -> None:
        async with connect() as socket:
            await begun(socket)
            raise LookupError("of the caller")

    with pytest.raises(LookupError, match="of the caller"):
        await fail()
    with anyio.move_on_after(0.05) as scope:
        async with connect() as socket:
            while True:
                await socket.recv()
    assert scope.cancelled_caught
    while sim.stream.session is not None:
        await anyio.lowlevel.checkpoint()


async def test_who_leaves_is_forgotten(sim: Simulator, connect: Connect) -> None:
    async with connect() as socket:
        await begun(socket)
        await socket.close()
        with pytest.raises(ConnectionClosedOK):
            await socket.recv()
        with pytest.raises(ConnectionClosed):
            await socket.send("{}")
    assert sim.stream.session is None


async def test_frames_can_be_read_in_a_loop(sim: Simulator, connect: Connect) -> None:
    kinds = []
    async with connect() as socket:
        async for text in socket:
            kinds.append(json.loads(text)["type"])
            if len(kinds) == 2:
                await socket.close()
    assert kinds == ["status", "status"]


async def test_what_was_asked_for_is_done_though_the_connection_ends(sim: Simulator, connect: Connect) -> None:
    sim.exchange.accounts["Sim101"].book(sim.market.front("ES", sim.addon.now), 2, 24_000)
    reverse = {"action": "rpc", "id": 1, "api": "Reverse", "args": {"account": "Sim101", "instrument": "ES"}}
    async with connect() as socket:
        await begun(socket)
        await socket.send(json.dumps(reverse))
        await socket.close()
    while len(sim.exchange.orders) < 2:
        await anyio.lowlevel.checkpoint()
    sim.advance(1)
    (held,) = sim.exchange.accounts["Sim101"].open_positions()
    assert held.quantity == -2


async def test_a_slow_answer_holds_up_nobody_else(sim: Simulator, connect: Connect) -> None:
    sim.faults.arm(Fault.SLOW_ANSWER, rpc="PlaceOrder", times=1)
    async with connect() as socket:
        await begun(socket)
        await socket.send(json.dumps({"action": "rpc", "id": "slow", "api": "PlaceOrder", "args": ORDER}))
        await sim.faults.slow_answer_waits()
        assert (await answered(socket, "ListAccounts"))["success"] is True
        sim.faults.release()
        assert (await told(socket))["id"] == "slow"


async def test_a_slow_answer_does_not_keep_a_connection_alive(sim: Simulator, connect: Connect) -> None:
    sim.faults.arm(Fault.SLOW_ANSWER, rpc="PlaceOrder", times=1)
    async with connect() as socket:
        await begun(socket)
        await socket.send(json.dumps({"action": "rpc", "id": "slow", "api": "PlaceOrder", "args": ORDER}))
        await sim.faults.slow_answer_waits()
    assert (sim.stream.session, len(sim.exchange.orders)) == (None, 1)


async def test_bytes_are_read_as_text_is(sim: Simulator, connect: Connect) -> None:
    async with connect() as socket:
        await begun(socket)
        await socket.send(b'{"action":"ping"}')
        assert (await told(socket))["type"] == "pong"
        await socket.send(b"\xff\xfe\x00")
        assert (await told(socket))["error"] == "Invalid request"


async def test_who_sends_and_never_reads_has_to_wait(clock: ManualClock) -> None:
    sim = Simulator(seed=7, clock=clock, settings=SimulatorSettings(stream=StreamAssumptions(queue_frames=10)))
    async with sim.connect() as socket:
        for _ in range(18):  # and the two frames of the beginning
            await socket.send('{"action":"ping"}')
            await anyio.lowlevel.checkpoint()
        with anyio.move_on_after(0.05) as waiting:
            await socket.send('{"action":"ping"}')
        assert waiting.cancelled_caught
        for _ in range(15):
            await socket.recv()
        await socket.send('{"action":"ping"}')


async def test_a_reader_that_has_fallen_asleep_is_told_what_it_has_missed(clock: ManualClock) -> None:
    sim = Simulator(seed=7, clock=clock, settings=SimulatorSettings(stream=StreamAssumptions(queue_frames=4)))
    async with served(sim) as url, over_tcp(url, sim.token, max_size=None, compression=None) as socket:
        await socket.send('{"action":"streamPnl","interval":1000}')
        sim.faults.arm(StreamFault.FRAME_HUGE, rpc="pnlUpdate")
        while (session := sim.stream.session) is None or not session.outbox.dropped:
            clock.advance(1)
            await anyio.lowlevel.checkpoint()
        sim.faults.disarm()
        missed, frame = session.outbox.dropped, await told(socket, "pnlUpdate")
        while not frame["dropped"]:
            clock.advance(1)
            frame = await told(socket, "pnlUpdate")
    assert frame["dropped"] >= missed


async def test_a_huge_frame_arrives_where_there_is_room(sim: Simulator, tcp: Connect) -> None:
    async with tcp(max_size=None) as socket:
        await begun(socket)
        sim.faults.arm(StreamFault.FRAME_HUGE, times=1)
        sim.faults.arm(StreamFault.RESYNC, times=1)
        sim.advance()
        assert len(await socket.recv()) > 2_000_000
        assert (await told(socket))["type"] == "resync"


async def watched(socket: Socket) -> None:
    """Ask for everything, and receive some of it."""
    await begun(socket)
    await socket.send('{"action":"streamPnl","interval":100}')
    await socket.send('{"action":"subscribe","instruments":["ES"],"events":["positions"]}')
    await answered(socket, "PlaceOrder", **ORDER)
    await told(socket, "pnlUpdate")
    assert (await told(socket, "positionUpdate"))["quantity"] == 1


async def test_by_the_real_clock_frames_come_by_themselves() -> None:
    sim = Simulator(seed=7, market_hours="always")
    async with sim.connect() as socket:
        await watched(socket)


async def test_by_the_real_clock_frames_come_over_the_loopback_as_well() -> None:
    sim = Simulator(seed=7, market_hours="always")
    async with served(sim) as url, over_tcp(url, sim.token) as socket:
        await watched(socket)


async def test_it_stops_although_a_socket_is_open(sim: Simulator) -> None:
    headers = {"Authorization": f"Bearer {sim.token}"}
    async with anyio.create_task_group() as tasks:
        open_ = anyio.Event()

        async def stay(uri: str) -> None:
            async with connect_over_tcp(uri, additional_headers=headers, proxy=None) as socket:
                await begun(socket)
                open_.set()
                assert (await lost(socket)).rcvd is not None

        async with served(sim) as url:
            tasks.start_soon(stay, url.replace("http", "ws", 1) + "/ws/stream")
            await open_.wait()


async def test_another_path_is_no_socket(sim: Simulator) -> None:
    async with served(sim) as url:
        with pytest.raises(InvalidStatus) as refused:
            async with connect_over_tcp(url.replace("http", "ws", 1) + "/ws", proxy=None):
                pass
    assert refused.value.response.status_code == 403


async def test_both_channels_tell_one_truth(sim: Simulator, client: httpx.AsyncClient, connect: Connect) -> None:
    async with connect() as socket:
        await begun(socket)
        by_rpc = await answered(socket, "PlaceOrder", **ORDER | {"orderType": "Limit", "limitPrice": 5000.0})
        body = {key: value for key, value in ORDER.items() if key != "account"}
        by_rest = (await client.post("/accounts/Sim101/orders/place", json=body)).json()
        sim.advance(1)
        rest = {
            "ListOrders": (await client.get("/accounts/Sim101/orders", params={"activeOnly": "false"})).json(),
            "ListPositions": (await client.get("/accounts/Sim101/positions")).json(),
            "GetAccount": (await client.get("/accounts/Sim101")).json(),
        }
        args = {"account": "Sim101", "activeOnly": False}
        assert {api: await answered(socket, api, **args) for api in rest} == rest
        assert [row["id"] for row in rest["ListOrders"]["orders"]] == [by_rpc["orderId"], by_rest["orderId"]]
        await client.post(f"/accounts/Sim101/orders/{by_rpc['orderId']}/cancel")
        sim.advance(1)
        status = await answered(socket, "GetOrderStatus", account="Sim101", orderId=by_rpc["orderId"])
        assert status == {"status": "Cancelled", "success": True}
