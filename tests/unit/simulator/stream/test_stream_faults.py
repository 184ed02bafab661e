"""Every fault of the WebSocket: what the client sees of it, and whether anything has happened."""

import json
from typing import Any

import pytest

from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault, StreamFault
from ct_mcp.simulator.simulator import Simulator, SimulatorSettings
from ct_mcp.simulator.stream.assumptions import StreamAssumptions
from ct_mcp.simulator.stream.session import StreamSession

ORDER: dict[str, Any] = {
    "account": "Sim101",
    "instrument": "ES",
    "action": "Buy",
    "quantity": 1,
    "orderType": "Market",
    "timeInForce": "Gtc",
}
FRAMES = [each for each in StreamFault if each.value.startswith("frame-")]
ENDS = {
    StreamFault.SOCKET_CUT: (None, ""),
    StreamFault.SOCKET_CLOSED: (1012, "Service restart"),
    StreamFault.SOCKET_BANNED: (1008, "Too many rate limit violations"),
    StreamFault.SESSION_ELSEWHERE: (4000, "Session active elsewhere"),
}
STATES = {
    StreamFault.STATUS_STALLED: "stalled",
    StreamFault.STATUS_STOPPED: "stopped",
    StreamFault.STATUS_DISCONNECTED: "disconnected",
}


@pytest.fixture
async def session(sim: Simulator) -> StreamSession:
    """A connection that is told quotes and all events, and has read everything up to now."""
    return await wishing(sim)


async def wishing(sim: Simulator) -> StreamSession:
    """Connect and ask for everything."""
    session = sim.stream.open()
    events = ["orders", "executions", "positions"]
    await session.receive(json.dumps({"action": "subscribe", "instruments": ["ES"], "events": events}))
    session.texts()
    return session


async def sent(session: StreamSession, api: str, ask_id: str = "r", **args: Any) -> None:
    """Send an RPC."""
    await session.receive(json.dumps({"action": "rpc", "id": ask_id, "api": api, "args": args}))


def heard(session: StreamSession, *kinds: str) -> list[Any]:
    """Read everything that waits, or what is of these types."""
    frames = [json.loads(text) for text in session.texts()]
    return [frame for frame in frames if not kinds or frame.get("type") in kinds]


@pytest.mark.parametrize("stream_fault", StreamFault)
def test_every_stream_fault_has_a_name_of_its_own_and_a_line_of_description(stream_fault: StreamFault) -> None:
    assert StreamFault(stream_fault.value) is stream_fault
    assert stream_fault.value == stream_fault.name.lower().replace("_", "-")
    assert stream_fault.value not in {fault.value for fault in Fault}
    assert stream_fault.description
    assert "\n" not in stream_fault.description


@pytest.mark.parametrize("stream_fault", ENDS)
async def test_a_connection_ends_when_the_clock_moves(
    sim: Simulator, session: StreamSession, clock: ManualClock, stream_fault: StreamFault
) -> None:
    sim.faults.arm(stream_fault, times=1)
    assert session.outbox.closing is None
    clock.advance(1)
    assert session.outbox.closing is not None
    assert (session.outbox.closing.code, session.outbox.closing.reason) == ENDS[stream_fault]
    assert [frame["type"] for frame in heard(session)] == ["marketData"], "what waits goes out before the end"
    again = sim.stream.open()
    clock.advance(60)
    assert again.outbox.closing is None


async def test_after_its_end_a_connection_takes_nothing(sim: Simulator, session: StreamSession) -> None:
    sim.faults.arm(StreamFault.SOCKET_CUT, times=1)
    sim.advance()
    await sent(session, "PlaceOrder", **ORDER)
    sim.advance(1)
    assert (sim.exchange.orders, heard(session)) == ([], [])


async def test_another_session_may_take_the_place_of_each_that_comes(sim: Simulator, clock: ManualClock) -> None:
    sim.faults.arm(StreamFault.SESSION_ELSEWHERE)
    for _ in range(3):
        session = sim.stream.open()
        clock.advance(0.1)
        assert session.outbox.closing is not None
        assert session.outbox.closing.reason == "Session active elsewhere"


async def test_the_code_of_another_session_is_a_guess_that_can_be_changed(clock: ManualClock) -> None:
    sim = Simulator(clock=clock, settings=SimulatorSettings(stream=StreamAssumptions(elsewhere_code=1008)))
    first = sim.stream.open()
    sim.stream.open()
    assert first.outbox.closing is not None
    assert first.outbox.closing.code == 1008


@pytest.mark.parametrize("stream_fault", STATES)
async def test_while_the_state_is_bad_nothing_is_told_and_nothing_afterwards(
    sim: Simulator, session: StreamSession, clock: ManualClock, stream_fault: StreamFault
) -> None:
    sim.faults.arm(stream_fault)
    clock.advance(1)
    (frame,) = heard(session)
    assert (frame["type"], frame["state"], frame["seq"]) == ("status", STATES[stream_fault], 5 - 1)
    await sent(session, "PlaceOrder", **ORDER)
    clock.advance(5)
    assert [set(frame) for frame in heard(session)] == [{"id", "data"}], "calls are answered all the same"
    assert sim.exchange.executions
    sim.faults.disarm(stream_fault)
    clock.advance(1)
    frames = heard(session)
    assert [(frame["type"], frame["seq"]) for frame in frames] == [("status", 5), ("marketData", 6)]
    assert frames[0]["state"] == "ready"


async def test_a_connection_may_begin_in_a_bad_state(sim: Simulator) -> None:
    sim.faults.arm(StreamFault.STATUS_DISCONNECTED)
    assert [frame["state"] for frame in heard(sim.stream.open())] == ["syncing", "disconnected"]


async def test_resync_comes_once_a_second_while_it_is_armed(
    sim: Simulator, session: StreamSession, clock: ManualClock
) -> None:
    sim.faults.arm(StreamFault.RESYNC)
    for _ in range(20):
        clock.advance(0.1)
    assert len(heard(session, "resync")) == 2
    sim.faults.arm(StreamFault.RESYNC, times=1)
    clock.advance(5)
    (frame,) = heard(session, "resync")
    assert set(frame) == {"type", "seq", "dropped", "epoch"}


async def test_while_it_is_silent_everything_is_taken_and_nothing_comes(
    sim: Simulator, session: StreamSession, clock: ManualClock
) -> None:
    sim.faults.arm(StreamFault.SOCKET_SILENT)
    await sent(session, "PlaceOrder", **ORDER)
    await session.receive('{"action":"ping"}')
    clock.advance(30)
    assert (len(sim.exchange.executions), session.texts()) == (1, [])
    sim.faults.disarm()
    clock.advance(1)
    (frame,) = heard(session)
    assert frame["seq"] > 30


async def test_a_lost_frame_leaves_a_gap(sim: Simulator, session: StreamSession, clock: ManualClock) -> None:
    sim.faults.arm(StreamFault.FRAME_LOST, times=1)
    clock.advance(3)
    assert [(frame["seq"], frame["dropped"]) for frame in heard(session)] == [(5, 0), (6, 0)]


async def test_a_frame_of_one_kind_is_lost(sim: Simulator, session: StreamSession, clock: ManualClock) -> None:
    sim.faults.arm(StreamFault.FRAME_LOST, rpc="positionUpdate", times=1)
    await sent(session, "PlaceOrder", **ORDER)
    clock.advance(1)
    kinds = [frame["type"] for frame in heard(session) if "type" in frame]
    assert "positionUpdate" not in kinds
    assert {"orderUpdate", "executionUpdate", "marketData"} == set(kinds)


async def test_a_dropped_frame_is_counted_and_leaves_no_gap(
    sim: Simulator, session: StreamSession, clock: ManualClock
) -> None:
    sim.faults.arm(StreamFault.FRAME_DROPPED, times=2)
    clock.advance(4)
    assert [(frame["seq"], frame["dropped"]) for frame in heard(session)] == [(4, 2), (5, 0)]


async def test_a_slow_reader_is_told_how_much_was_dropped(clock: ManualClock) -> None:
    sim = Simulator(seed=7, clock=clock, settings=SimulatorSettings(stream=StreamAssumptions(queue_frames=5)))
    session = await wishing(sim)
    clock.advance(100)
    assert [frame["seq"] for frame in heard(session)] == [4, 5, 6, 7, 8]
    clock.advance(2)
    assert [(frame["seq"], frame["dropped"]) for frame in heard(session)] == [(9, 95), (10, 0)]


async def test_dropped_may_add_up(clock: ManualClock) -> None:
    assumptions = StreamAssumptions(queue_frames=5, dropped_adds_up=True)
    sim = Simulator(seed=7, clock=clock, settings=SimulatorSettings(stream=assumptions))
    session = await wishing(sim)
    clock.advance(100)
    heard(session)
    clock.advance(2)
    assert [(frame["seq"], frame["dropped"]) for frame in heard(session)] == [(9, 95), (10, 95)]


async def test_answers_are_never_dropped(clock: ManualClock) -> None:
    sim = Simulator(
        seed=7, clock=clock, settings=SimulatorSettings(rate_limit=None, stream=StreamAssumptions(queue_frames=2))
    )
    session = await wishing(sim)
    clock.advance(10)
    for each in range(5):
        await sent(session, "ListAccounts", str(each))
    assert [frame["id"] for frame in heard(session) if "data" in frame] == ["0", "1", "2", "3", "4"]


async def test_a_frame_comes_twice(sim: Simulator, session: StreamSession, clock: ManualClock) -> None:
    sim.faults.arm(StreamFault.FRAME_DOUBLED, times=1)
    clock.advance(2)
    one, two, three = session.texts()
    assert one == two != three


@pytest.mark.parametrize(
    ("stream_fault", "beginning"),
    [
        (StreamFault.FRAME_NOT_JSON, "<html>"),
        (StreamFault.FRAME_BROKEN_OFF, '{"type":"marketData","quotes":[{'),
        (StreamFault.FRAME_NO_OBJECT, "[1,null]"),
        (StreamFault.FRAME_UNKNOWN, '{"type":"maintenanceNotice"'),
        (StreamFault.FRAME_HUGE, '{"type":"maintenanceNotice","text":"xxx'),
    ],
)
async def test_garbage_comes_before_a_frame(
    sim: Simulator, session: StreamSession, clock: ManualClock, stream_fault: StreamFault, beginning: str
) -> None:
    sim.faults.arm(stream_fault, times=1)
    clock.advance(1)
    garbage, frame = session.texts()
    assert garbage.startswith(beginning)
    assert (len(garbage) > 2_000_000) == (stream_fault is StreamFault.FRAME_HUGE)
    assert json.loads(frame)["seq"] == 4


def test_every_stream_fault_of_frames_is_proved_here() -> None:
    names = {StreamFault.FRAME_LOST, StreamFault.FRAME_DROPPED, StreamFault.FRAME_DOUBLED}
    assert {each for each in FRAMES if each not in names} == {
        StreamFault.FRAME_NOT_JSON,
        StreamFault.FRAME_BROKEN_OFF,
        StreamFault.FRAME_NO_OBJECT,
        StreamFault.FRAME_UNKNOWN,
        StreamFault.FRAME_HUGE,
    }


@pytest.mark.parametrize(
    ("stream_fault", "effects"),
    [(StreamFault.RPC_LOST, 0), (StreamFault.RPC_ANSWER_LOST, 1), (Fault.READ_TIMEOUT_AFTER_ACCEPT, 1)],
)
async def test_an_answer_never_comes(
    sim: Simulator, session: StreamSession, clock: ManualClock, stream_fault: StreamFault | Fault, effects: int
) -> None:
    sim.faults.arm(stream_fault, rpc="PlaceOrder", times=1)
    await sent(session, "ListAccounts", "one")
    await sent(session, "PlaceOrder", "two", **ORDER)
    await sent(session, "ListAccounts", "three")
    clock.advance(60)
    assert [frame["id"] for frame in heard(session) if "data" in frame] == ["one", "three"]
    assert len(sim.exchange.orders) == effects


async def test_a_late_answer_comes_ten_seconds_later(
    sim: Simulator, session: StreamSession, clock: ManualClock
) -> None:
    sim.faults.arm(StreamFault.RPC_ANSWER_LATE, rpc="PlaceOrder", times=1)
    await sent(session, "PlaceOrder", **ORDER)
    clock.advance(9.9)
    frames = heard(session)
    assert any(frame["type"] == "positionUpdate" for frame in frames), "the fill was told long before"
    clock.advance(0.1)
    assert [frame["data"]["success"] for frame in heard(session) if "data" in frame] == [True]


async def test_an_answer_is_overtaken_by_the_next(sim: Simulator, session: StreamSession) -> None:
    sim.faults.arm(StreamFault.RPC_ANSWER_OVERTAKEN, times=1)
    for ask_id in ("one", "two", "three"):
        await sent(session, "ListAccounts", ask_id)
    assert [frame["id"] for frame in heard(session)] == ["two", "one", "three"]


async def test_an_answer_comes_twice(sim: Simulator, session: StreamSession) -> None:
    sim.faults.arm(StreamFault.RPC_ANSWER_DOUBLED, times=1)
    await sent(session, "ListAccounts", "one")
    await sent(session, "ListAccounts", "two")
    assert [frame["id"] for frame in heard(session)] == ["one", "one", "two"]


@pytest.mark.parametrize(
    ("fault", "effects"),
    [(Fault.REQUEST_LOST_BEFORE_ACCEPT, 0), (Fault.CONNECT_REFUSED, 0), (Fault.ANSWER_LOST_AFTER_ACCEPT, 1)],
)
async def test_a_lost_connection_takes_the_answer_with_it(
    sim: Simulator, session: StreamSession, fault: Fault, effects: int
) -> None:
    sim.faults.arm(fault, rpc="PlaceOrder", times=1)
    await sent(session, "PlaceOrder", **ORDER)
    assert session.outbox.closing is not None
    assert session.outbox.closing.code is None
    assert len(sim.exchange.orders) == effects
    assert [frame for frame in heard(session) if "data" in frame] == []
