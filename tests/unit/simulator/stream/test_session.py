"""One connection of the WebSocket: what is asked and what is answered, without a socket."""

import json
from datetime import UTC, datetime
from typing import Any

import anyio
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.gateway import RateLimit
from ct_mcp.simulator.rest.endpoints import ENDPOINTS
from ct_mcp.simulator.simulator import Simulator, SimulatorSettings
from ct_mcp.simulator.stream.assumptions import EventPushes, StreamAssumptions
from ct_mcp.simulator.stream.session import StreamSession

MORNING = datetime(2026, 9, 9, 14, 30, tzinfo=UTC)
ORDER: dict[str, Any] = {
    "account": "Sim101",
    "instrument": "ES",
    "action": "Buy",
    "quantity": 1,
    "orderType": "Market",
    "timeInForce": "Gtc",
}


@pytest.fixture
def session(sim: Simulator) -> StreamSession:
    """A connection whose first frames have been read."""
    return opened(sim)


def opened(sim: Simulator) -> StreamSession:
    """Connect and read the first frames."""
    session = sim.stream.open()
    session.texts()
    return session


async def said(session: StreamSession, **message: Any) -> list[Any]:
    """Send one message and read everything that waits after it."""
    await session.receive(json.dumps(message))
    return [json.loads(text) for text in session.texts()]


async def called(session: StreamSession, api: str, **args: Any) -> Any:
    """Send an RPC and read the data of its answer."""
    frames = await said(session, action="rpc", id="r1", api=api, args=args)
    (answer,) = [frame for frame in frames if "data" in frame]
    assert answer["id"] == "r1"
    return answer["data"]


async def test_a_connection_begins_with_its_state(sim: Simulator) -> None:
    frames = [json.loads(text) for text in sim.stream.open().texts()]
    assert [(frame["type"], frame["state"], frame["seq"], frame["dropped"]) for frame in frames] == [
        ("status", "syncing", 1, 0),
        ("status", "ready", 2, 0),
    ]
    assert frames[0]["epoch"] == int(sim.addon.now.timestamp() * 1000)


async def test_an_answer_is_the_body_of_rest_with_the_id_of_the_question(
    session: StreamSession, client: httpx.AsyncClient
) -> None:
    frames = await said(session, action="rpc", id="req-1", api="GetAccount", args={"account": "sim101"})
    assert frames == [{"id": "req-1", "data": (await client.get("/accounts/Sim101")).json()}]


@pytest.mark.parametrize("ask_id", ["", "req 1", 0, -7, 12345678901234567890])
async def test_an_id_comes_back_as_it_was(session: StreamSession, ask_id: str | int) -> None:
    (frame,) = await said(session, action="rpc", id=ask_id, api="ListAccounts")
    assert (frame["id"], type(frame["id"])) == (ask_id, type(ask_id))


@pytest.mark.parametrize("api", [endpoint.rpc for endpoint in ENDPOINTS])
async def test_every_endpoint_is_there_as_an_rpc(sim: Simulator, session: StreamSession, api: str) -> None:
    data = await called(session, api, account="Sim101", instrument="ES 09-26", orderId="x", executionId="x")
    assert data != {"success": False, "error": "Unknown API command", "detail": f"There is no '{api}'"}
    assert [(seen.method, seen.path, seen.rpc, seen.accepted) for seen in sim.requests] == [
        ("WS", "/ws/stream", api, True)
    ]


async def test_path_query_and_body_are_one_set_of_arguments(sim: Simulator, session: StreamSession) -> None:
    placed = await called(session, "PlaceOrder", **{**ORDER, "orderType": "Limit", "limitPrice": 5000.0})
    sim.advance(1)
    changed = await called(session, "Change", account="Sim101", orderId=placed["orderId"], quantity=3)
    sim.advance(1)
    rows = await called(session, "ListOrders", account="Sim101", activeOnly=False)
    assert changed["success"] is True
    assert [(row["id"], row["quantity"]) for row in rows["orders"]] == [(placed["orderId"], 3)]


async def test_quotes_of_several_instruments_are_a_bare_list(session: StreamSession) -> None:
    rows = await called(session, "GetQuote", instrument="ES,NQ")
    assert [row["instrument"] for row in rows] == ["ES 09-26", "NQ 09-26"]


async def test_a_failure_comes_as_a_normal_frame(session: StreamSession) -> None:
    assert await called(session, "GetAccount", account="Nobody") == {
        "success": False,
        "error": "invalid_account",
        "detail": "Account 'Nobody' not found",
    }
    assert await called(session, "PlaceOrder", account="Sim101") == {"error": "Invalid request"}


async def test_an_unknown_api_is_named(session: StreamSession) -> None:
    data = await called(session, "GetAccountInfo")
    assert (data["success"], data["error"]) == (False, "Unknown API command")
    assert "GetAccountInfo" in data["detail"]


@pytest.mark.parametrize("more", [{"api": "Tv_ListOrders"}, {"api": "ListOrders", "origin": "tradovate"}])
async def test_the_other_half_of_the_service_is_not_linked(session: StreamSession, more: dict[str, str]) -> None:
    (frame,) = await said(session, action="rpc", id=1, args={}, **more)
    assert (frame["id"], frame["data"]["error"]) == (1, "tradovate_not_linked")


async def test_flatten_needs_a_filter(sim: Simulator, session: StreamSession) -> None:
    await called(session, "PlaceOrder", **ORDER)
    sim.advance(1)
    assert await called(session, "Flatten") == {"error": "Invalid request"}
    assert "orderIds" not in await called(session, "Flatten", account="Sim101", instrument="NQ")
    assert "orderIds" in await called(session, "Flatten", instrument="NQ")
    assert "orderIds" in await called(session, "Flatten", account="Sim101", marketPosition="short")
    sim.advance(1)
    assert sim.exchange.accounts["Sim101"].open_positions()
    assert [seen.rpc for seen in sim.requests_of("Flatten")] == ["Flatten"] * 4


async def test_flatten_everything_looks_at_no_filter(sim: Simulator, session: StreamSession) -> None:
    await called(session, "PlaceOrder", **ORDER)
    sim.advance(1)
    await called(session, "FlattenEverything", account="APEX-482910")
    sim.advance(1)
    assert not sim.exchange.accounts["Sim101"].open_positions()


async def test_a_call_in_steps_lets_others_pass(sim: Simulator, session: StreamSession) -> None:
    await called(session, "PlaceOrder", **ORDER)
    sim.advance(1)
    before = sim.clock()
    data = await called(session, "Reverse", account="Sim101", instrument="ES")
    assert data["success"] is True
    assert sim.clock() > before


MALFORMED = [
    ("", None),
    ("{", None),
    ("[]", None),
    ("null", None),
    ("7", None),
    ('"ping"', None),
    ("{}", None),
    ("[" * 100_000, None),
    (b"\xff\xfe", None),
    ('{"action":"reboot","id":"x"}', "x"),
    ('{"action":7}', None),
    ('{"action":"subscribe","id":"x"}', "x"),
    ('{"action":"subscribe","instruments":"ES"}', None),
    ('{"action":"subscribe","instruments":[""]}', None),
    ('{"action":"subscribe","events":["everything"]}', None),
    ('{"action":"subscribe","accounts":["Sim101"],"channels":["fills"]}', None),
    ('{"action":"streamPnl","interval":0}', None),
    ('{"action":"ping","id":true}', None),
]


@pytest.mark.parametrize(("text", "ask_id"), MALFORMED)
async def test_what_cannot_be_read_is_answered_and_the_connection_lives(
    session: StreamSession, text: str | bytes, ask_id: str | None
) -> None:
    await session.receive(text)
    (frame,) = [json.loads(each) for each in session.texts()]
    assert (frame["status"], frame["success"], frame["error"]) == ("error", False, "Invalid request")
    assert frame.get("id") == ask_id
    assert session.outbox.closing is None
    assert await called(session, "ListAccounts")


SCRAPS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["ES", "orders"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(["action", "id", "api", "args", "instruments", "events", "origin", "enabled", "interval"])
ACTIONS = st.sampled_from(["rpc", "subscribe", "unsubscribe", "streamPnl", "ping"])


@pytest.mark.slow
@given(st.dictionaries(KEYS, SCRAPS), ACTIONS, st.sampled_from([endpoint.rpc for endpoint in ENDPOINTS]))
def test_no_message_breaks_a_connection(message: dict[str, Any], action: str, api: str) -> None:
    async def talk() -> None:
        sim = Simulator(clock=ManualClock(MORNING), settings=SimulatorSettings(rate_limit=None))
        session = opened(sim)
        await session.receive(json.dumps({"api": api, **message, "action": action}))
        (answer, *_) = [frame for frame in map(json.loads, session.texts()) if "seq" not in frame]
        assert {"data", "status", "type"} & set(answer)
        assert session.outbox.closing is None

    anyio.run(talk)


@pytest.mark.parametrize(
    ("message", "ask_id"),
    [
        ({"action": "rpc", "api": "PlaceOrder", "args": ORDER}, None),
        ({"action": "rpc", "id": None, "api": "PlaceOrder", "args": ORDER}, None),
        ({"action": "rpc", "id": {"a": 1}, "api": "PlaceOrder", "args": ORDER}, None),
        ({"action": "rpc", "id": "r1", "args": ORDER}, "r1"),
        ({"action": "rpc", "id": "r1", "api": "PlaceOrder", "args": [ORDER]}, "r1"),
    ],
)
async def test_an_rpc_without_id_api_or_arguments_does_nothing(
    sim: Simulator, session: StreamSession, message: dict[str, Any], ask_id: str | None
) -> None:
    assert await said(session, **message) == [{"id": ask_id, "data": {"error": "Invalid request"}}]
    assert sim.exchange.orders == []


async def test_a_ping_is_answered_with_a_pong(sim: Simulator, session: StreamSession) -> None:
    epoch = int(sim.clock().timestamp() * 1000)
    assert await said(session, action="ping") == [{"type": "pong", "epoch": epoch}]
    assert await said(session, action="ping", id=5) == [{"type": "pong", "epoch": epoch, "id": 5}]


async def test_a_subscription_is_acknowledged_under_the_dated_names(session: StreamSession) -> None:
    frames = await said(session, action="subscribe", instruments=["ES1!", "nq", "ESU26"])
    assert frames[0] == {"status": "subscribed", "instruments": ["ES 09-26", "NQ 09-26", "ES 09-26"]}
    gone = await said(session, action="unsubscribe", instruments=["ES"], id="u")
    assert gone == [{"status": "unsubscribed", "instruments": ["ES 09-26"], "id": "u"}]


async def test_events_are_acknowledged_as_the_service_does(session: StreamSession) -> None:
    events = ["orders", "executions", "positions"]
    assert await said(session, action="subscribe", events=events) == [{"status": "subscribed", "events": events}]
    answered = await said(session, action="subscribe", events=["orders"], origin="nt8")
    assert answered == [{"status": "subscribed", "events": ["orders"], "origin": "nt8"}]
    (refused,) = await said(session, action="subscribe", events=events, origin="tradovate")
    assert (refused["status"], refused["error"]) == ("error", "tradovate_not_linked")


async def test_of_several_instruments_all_are_subscribed_or_none(sim: Simulator, session: StreamSession) -> None:
    (frame,) = await said(session, action="subscribe", instruments=["ES", "XX"])
    assert frame == {
        "status": "error",
        "action": "subscribe",
        "success": False,
        "error": "Instrument 'XX' not found",
    }
    sim.advance(5)
    assert session.texts() == []


async def test_events_may_be_unknown_to_the_service(clock: ManualClock) -> None:
    session = opened(
        Simulator(clock=clock, settings=SimulatorSettings(stream=StreamAssumptions(events=EventPushes.NEVER)))
    )
    (frame,) = await said(session, action="subscribe", events=["orders"])
    assert frame["error"] == "Invalid request"


async def test_rest_and_the_socket_draw_on_one_budget(clock: ManualClock) -> None:
    sim = Simulator(seed=7, clock=clock, token="t")
    session, headers = opened(sim), {"Authorization": "Bearer t"}
    async with httpx.AsyncClient(transport=sim.transport(), base_url="http://sim/v1/api", headers=headers) as http:
        for _ in range(10):
            assert (await http.get("/accounts")).status_code == 200
            assert (await called(session, "ListAccounts"))["success"] is True
        assert (await http.get("/accounts")).status_code == 429
        assert await called(session, "ListAccounts") == {
            "success": False,
            "error": "rate_limited",
            "retryAfter": 0.33,
        }
        clock.advance(0.34)
        assert (await called(session, "ListAccounts"))["success"] is True
        assert (await http.get("/accounts")).status_code == 429
    assert [seen.accepted for seen in sim.requests][-4:] == [False, False, True, False]


async def test_pings_and_pushes_cost_nothing(clock: ManualClock) -> None:
    sim = Simulator(seed=7, clock=clock)
    session = opened(sim)
    await said(session, action="subscribe", instruments=["ES"])
    for _ in range(50):
        assert (await said(session, action="ping"))[-1]["type"] == "pong"
    for _ in range(20):
        assert (await called(session, "ListAccounts"))["success"] is True


async def test_subscriptions_have_a_budget_of_their_own(
    clock: ManualClock, sim: Simulator, session: StreamSession
) -> None:
    for root in ("ES", "NQ", "CL", "GC"):
        assert (await said(session, action="subscribe", instruments=[root]))[0]["status"] == "subscribed"
    assert (await said(session, action="streamPnl", enabled=False))[0]["status"] == "streamPnl"
    (over,) = await said(session, action="unsubscribe", instruments=["ES"], id="late")
    assert over == {
        "status": "error",
        "action": "unsubscribe",
        "success": False,
        "error": "rate_limited",
        "retryAfter": 3.0,
        "id": "late",
    }
    again = opened(sim)
    assert (await said(again, action="subscribe", instruments=["ES"]))[0]["error"] == "rate_limited"
    clock.advance(3)
    again.texts()
    assert (await said(again, action="subscribe", instruments=["ES"]))[0]["status"] == "subscribed"


async def test_the_budget_for_subscriptions_can_be_switched_off(clock: ManualClock) -> None:
    session = opened(
        Simulator(clock=clock, settings=SimulatorSettings(stream=StreamAssumptions(subscription_limit=None)))
    )
    for _ in range(30):
        assert (await said(session, action="subscribe", instruments=["ES"]))[0]["status"] == "subscribed"


async def test_ten_violations_in_a_row_close_the_connection(clock: ManualClock) -> None:
    sim = Simulator(clock=clock, settings=SimulatorSettings(rate_limit=RateLimit(burst=1, per_second=0.1)))
    session = opened(sim)
    await called(session, "ListAccounts")
    for _ in range(9):
        assert (await called(session, "ListAccounts"))["error"] == "rate_limited"
    clock.advance(10)
    assert (await called(session, "ListAccounts"))["success"] is True
    for _ in range(9):
        await called(session, "ListAccounts")
    assert session.outbox.closing is None
    assert (await called(session, "ListAccounts"))["error"] == "rate_limited"
    assert session.outbox.closing is not None
    assert session.outbox.closing.code == 1008
    assert await said(session, action="ping") == []


@pytest.mark.parametrize(
    ("fault", "data"),
    [
        (Fault.ADDON_OFFLINE, {"success": False, "error": "Client not ready"}),
        (Fault.ERROR_500_BEFORE_ACCEPT, {"success": False, "error": "internal_error"}),
        (Fault.EMPTY_BODY, None),
        (Fault.UNREADABLE_JSON, '{"orderId":"50cca7b8'),
    ],
)
async def test_faults_of_the_service_show_on_the_socket_as_well(
    sim: Simulator, session: StreamSession, fault: Fault, data: object
) -> None:
    sim.faults.arm(fault, rpc="PlaceOrder", times=1)
    assert await called(session, "PlaceOrder", **ORDER) == data
    assert (await called(session, "PlaceOrder", **ORDER))["success"] is True


async def test_the_documents_mention_the_socket(client: httpx.AsyncClient) -> None:
    described = (await client.get("/openapi.json")).json()["info"]["description"]
    for word in ("/ws/stream", "rpc", "subscribe", "unsubscribe", "streamPnl", "ping", "resync"):
        assert word in described
    assert "/ws/stream" in (await client.get("/llms.txt")).text
