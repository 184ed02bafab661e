"""What the WebSocket pushes: quotes, P&L, orders, executions and positions, by the simulator's clock."""

import json
from random import Random
from typing import Any

import httpx
import pytest

from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.exchange import ExchangePace
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.simulator import Simulator, SimulatorSettings
from ct_mcp.simulator.stream.assumptions import EventPushes, RowPlacement, StreamAssumptions
from ct_mcp.simulator.stream.session import StreamSession

ORDER: dict[str, Any] = {
    "account": "Sim101",
    "instrument": "ES",
    "action": "Buy",
    "quantity": 1,
    "orderType": "Market",
    "timeInForce": "Gtc",
}
ALL_EVENTS = ["orders", "executions", "positions"]


def simulator(clock: ManualClock, **assumptions: Any) -> Simulator:
    """A simulator without a rate limit, and with these assumptions."""
    assumptions = {"subscription_limit": None} | assumptions
    return Simulator(
        seed=7, clock=clock, settings=SimulatorSettings(rate_limit=None, stream=StreamAssumptions(**assumptions))
    )


async def wishing(sim: Simulator, *messages: dict[str, Any]) -> StreamSession:
    """Connect, say what is wanted, and read up to there."""
    session = sim.stream.open()
    for message in messages:
        await session.receive(json.dumps(message))
    session.texts()
    return session


async def called(session: StreamSession, api: str, **args: Any) -> None:
    """Send an RPC."""
    await session.receive(json.dumps({"action": "rpc", "id": "r", "api": api, "args": args}))


def heard(session: StreamSession, *kinds: str) -> list[Any]:
    """Read everything that waits, or what is of these types."""
    frames = [json.loads(text) for text in session.texts()]
    return [frame for frame in frames if not kinds or frame.get("type") in kinds]


async def test_a_quote_comes_at_once_and_then_every_second(clock: ManualClock, sim: Simulator) -> None:
    session = await wishing(sim)
    await session.receive('{"action":"subscribe","instruments":["ES1!"]}')
    first = heard(session, "marketData")
    clock.advance(0.999)
    assert (len(first), heard(session)) == (1, [])
    clock.advance(9.5)
    frames = heard(session)
    assert [frame["type"] for frame in frames] == ["marketData"] * 10
    assert [frame["epoch"] - first[0]["epoch"] for frame in frames] == [1000 * each for each in range(1, 11)]
    assert [frame["seq"] for frame in frames] == list(range(4, 14))
    assert {row["instrument"] for frame in frames for row in frame["quotes"]} == {"ES 09-26"}


async def test_a_quote_is_as_get_quote_has_it(clock: ManualClock, sim: Simulator, client: httpx.AsyncClient) -> None:
    session = await wishing(sim, {"action": "subscribe", "instruments": ["ES", "CL 10-26"]})
    clock.advance(1)
    (frame,) = heard(session)[-1:]
    assert frame["quotes"] == (await client.get("/market/quote", params={"instrument": "ES,CL 10-26"})).json()


async def test_what_does_not_change_is_not_told(clock: ManualClock, sim: Simulator) -> None:
    session = await wishing(sim, {"action": "subscribe", "instruments": ["ES"]})
    sim.faults.arm(Fault.STALE_QUOTE)
    clock.advance(5)
    assert len(heard(session)) == 1, "the one at which it came to a stand"
    sim.faults.disarm()
    clock.advance(1)
    assert len(heard(session)) == 1


async def test_a_closed_market_is_told_once(clock: ManualClock, sim: Simulator) -> None:
    clock.advance(3 * 86_400)
    session = await wishing(sim)
    await session.receive('{"action":"subscribe","instruments":["ES"]}')
    clock.advance(30)
    (frame,) = heard(session, "marketData")
    assert frame["quotes"][0]["isMarketOpen"] is False


async def test_nothing_is_told_of_what_nobody_wants_any_more(clock: ManualClock, sim: Simulator) -> None:
    session = await wishing(sim, {"action": "subscribe", "instruments": ["ES", "NQ"]})
    await session.receive('{"action":"unsubscribe","instruments":["ES 09-26","GC"]}')
    clock.advance(1)
    assert {row["instrument"] for frame in heard(session, "marketData") for row in frame["quotes"]} == {"NQ 09-26"}
    await session.receive('{"action":"unsubscribe","instruments":["NQ"]}')
    heard(session)
    clock.advance(5)
    assert heard(session) == []


async def test_a_second_subscription_to_the_same_changes_nothing(clock: ManualClock, sim: Simulator) -> None:
    session = await wishing(sim, {"action": "subscribe", "instruments": ["ES"]})
    clock.advance(0.5)
    heard(session)
    await session.receive('{"action":"subscribe","instruments":["ESU26"]}')
    clock.advance(0.4)
    assert heard(session, "marketData") == []


async def test_after_a_long_jump_of_the_clock_quotes_begin_anew(clock: ManualClock, sim: Simulator) -> None:
    session = await wishing(sim, {"action": "subscribe", "instruments": ["ES"]}, {"action": "streamPnl"})
    clock.advance(3600)
    now = int(clock().timestamp() * 1000)
    assert [(frame["type"], frame["epoch"]) for frame in heard(session)] == [("marketData", now), ("pnlUpdate", now)]
    clock.advance(1)
    assert len(heard(session)) == 2


async def test_profit_comes_at_its_interval(clock: ManualClock, sim: Simulator) -> None:
    session = sim.stream.open()
    heard(session)
    await session.receive('{"action":"streamPnl","enabled":true,"interval":250,"id":"p"}')
    assert heard(session) == [{"status": "streamPnl", "enabled": True, "interval": 250, "id": "p"}]
    clock.advance(1)
    frames = heard(session)
    assert [frame["type"] for frame in frames] == ["pnlUpdate"] * 4
    assert frames[0]["accounts"] == [
        {"account": "Sim101", "realizedProfitLoss": 0.0, "unrealizedProfitLoss": 0.0},
        {"account": "APEX-482910", "realizedProfitLoss": 0.0, "unrealizedProfitLoss": 0.0},
    ]
    await session.receive('{"action":"streamPnl","enabled":false}')
    heard(session)
    clock.advance(5)
    assert heard(session) == []


async def test_profit_is_what_the_account_says(clock: ManualClock, sim: Simulator, client: httpx.AsyncClient) -> None:
    session = await wishing(sim, {"action": "streamPnl", "interval": 1000})
    await called(session, "PlaceOrder", **ORDER)
    clock.advance(7)
    item = (await client.get("/accounts/Sim101")).json()["item"]
    row = heard(session, "pnlUpdate")[-1]["accounts"][0]
    assert {name: item[name] for name in row if name != "account"} == {
        name: value for name, value in row.items() if name != "account"
    }
    assert row["unrealizedProfitLoss"] != 0


async def test_an_interval_is_no_shorter_than_a_tenth_of_a_second(clock: ManualClock, sim: Simulator) -> None:
    session = await wishing(sim, {"action": "streamPnl", "interval": 1})
    clock.advance(1)
    assert len(heard(session)) == 10


async def test_accounts_of_a_profit_frame_may_be_an_object(clock: ManualClock) -> None:
    sim = simulator(clock, pnl_by_account=True)
    session = await wishing(sim, {"action": "streamPnl"})
    clock.advance(1)
    (frame,) = heard(session)
    assert set(frame["accounts"]) == {"Sim101", "APEX-482910"}
    assert frame["accounts"]["Sim101"]["account"] == "Sim101"


async def test_an_order_is_told_from_its_submission_to_its_fill(clock: ManualClock, sim: Simulator) -> None:
    session = await wishing(sim, {"action": "subscribe", "events": ALL_EVENTS})
    await called(session, "PlaceOrder", **ORDER)
    frames = heard(session)
    assert [frame.get("type", "answer") for frame in frames] == ["orderUpdate", "answer"]
    assert frames[0]["id"] == frames[1]["data"]["orderId"]
    clock.advance(1)
    later = heard(session)
    told = [(frame["type"], frame.get("orderState"), frame.get("filled")) for frame in later]
    assert told == [
        ("orderUpdate", "Accepted", 0),
        ("orderUpdate", "Working", 0),
        ("orderUpdate", "Filled", 1),
        ("executionUpdate", None, None),
        ("positionUpdate", None, None),
    ]
    position = later[-1]
    assert (position["account"], position["instrument"]) == ("Sim101", "ES 09-26")
    assert (position["marketPosition"], position["quantity"]) == ("Long", 1)
    assert later[3]["orderId"] == frames[0]["id"]
    assert position["averagePrice"] == later[3]["price"] == later[2]["averageFillPrice"]
    assert [frame["seq"] for frame in later] == [4, 5, 6, 7, 8]


async def test_events_carry_the_moment_at_which_they_happened(clock: ManualClock, sim: Simulator) -> None:
    session = await wishing(sim, {"action": "subscribe", "events": ALL_EVENTS})
    placed_at = int(clock().timestamp() * 1000)
    await called(session, "PlaceOrder", **ORDER)
    clock.advance(60)
    epochs = [frame["epoch"] - placed_at for frame in heard(session) if "type" in frame]
    assert epochs == [0, 50, 50, 200, 200, 200]


@pytest.mark.parametrize(("events", "kind"), [("orders", "orderUpdate"), ("positions", "positionUpdate")])
async def test_only_the_events_that_are_wanted_come(clock: ManualClock, sim: Simulator, events: str, kind: str) -> None:
    session = await wishing(sim, {"action": "subscribe", "events": [events]})
    await called(session, "PlaceOrder", **ORDER)
    clock.advance(1)
    assert {frame["type"] for frame in heard(session) if "type" in frame} == {kind}
    await session.receive(json.dumps({"action": "unsubscribe", "events": [events]}))
    assert heard(session) == [{"status": "unsubscribed", "events": [events]}]
    await called(session, "PlaceOrder", **ORDER)
    clock.advance(1)
    assert [frame for frame in heard(session) if "type" in frame] == []


async def test_without_a_subscription_no_event_comes(clock: ManualClock, sim: Simulator) -> None:
    session = await wishing(sim)
    await called(session, "PlaceOrder", **ORDER)
    clock.advance(1)
    assert [set(frame) for frame in heard(session)] == [{"id", "data"}]


async def test_events_may_come_unasked(clock: ManualClock) -> None:
    sim = simulator(clock, events=EventPushes.UNASKED)
    session = await wishing(sim)
    await called(session, "PlaceOrder", **ORDER)
    clock.advance(1)
    assert {"orderUpdate", "executionUpdate", "positionUpdate"} <= {frame.get("type") for frame in heard(session)}


@pytest.mark.parametrize(
    ("form", "name"),
    [(RowPlacement.NESTED, {"orderUpdate": "order", "executionUpdate": "execution"}), (RowPlacement.DATA, {})],
)
async def test_rows_of_events_may_be_nested(clock: ManualClock, form: RowPlacement, name: dict[str, str]) -> None:
    flat, nested = simulator(ManualClock(clock())), simulator(ManualClock(clock()), rows=form)
    told = []
    for sim in (flat, nested):
        session = await wishing(sim, {"action": "subscribe", "events": ALL_EVENTS})
        await called(session, "PlaceOrder", **ORDER)
        sim.advance(1)
        told.append([frame for frame in heard(session) if "type" in frame])
    for frame, other in zip(*told, strict=True):
        kind = other["type"]
        row = other["data" if form is RowPlacement.DATA else name.get(kind, "position")]
        assert {**row, "type": kind, "epoch": other["epoch"]} == {
            key: value for key, value in frame.items() if key not in ("seq", "dropped")
        }
        if form is RowPlacement.NESTED:
            assert (other["account"], other["instrument"]) == ("Sim101", "ES 09-26")


async def traded(sim: Simulator, session: StreamSession, rng: Random) -> None:
    """Trade this way and that for some minutes."""
    for _ in range(25):
        price = sim.market.top(sim.market.front("ES", sim.addon.now), sim.addon.now).last * 0.25
        terms = {"quantity": rng.choice([1, 2, 25]), "action": rng.choice(["Buy", "Sell"])}
        limit = {"orderType": "Limit", "limitPrice": price + rng.choice([-50, -1, 1, 50])}
        template = {"strategy": "Day 20x40"} if rng.random() < 0.1 else {}
        live = sim.exchange.live_orders("Sim101")
        some_order = {"account": "Sim101", "orderId": rng.choice(live).id if live else "none"}
        api, args = rng.choice(
            [
                ("PlaceOrder", ORDER | terms | template),
                ("PlaceOrder", ORDER | terms | limit),
                ("Change", {**some_order, "quantity": rng.randint(1, 9)}),
                ("Cancel", some_order),
                ("ClosePosition", {"account": "Sim101", "instrument": "ES"}),
                ("Flatten", {"account": "Sim101"}),
                ("Reverse", {"account": "Sim101", "instrument": "ES"}),
                ("CancelAndBracket", {"account": "Sim101", "instrument": "ES", "action": "Buy", "quantity": 2}),
            ]
        )
        await called(session, api, **args, **({"stopLoss": price - 5} if api == "CancelAndBracket" else {}))
        sim.advance(rng.choice([0, 0.02, 0.06, 0.2, 1, 20]))


@pytest.mark.parametrize("seed", range(6))
async def test_who_believes_the_events_knows_what_rest_knows(
    sim: Simulator, client: httpx.AsyncClient, seed: int
) -> None:
    session = await wishing(sim, {"action": "subscribe", "events": ALL_EVENTS})
    await traded(sim, session, Random(seed))
    frames = heard(session)
    unnumbered = {"type", "seq", "dropped", "epoch"}
    orders = {
        frame["id"]: {key: value for key, value in frame.items() if key not in unnumbered}
        for frame in frames
        if frame.get("type") == "orderUpdate"
    }
    held = {frame["instrument"]: frame for frame in frames if frame.get("type") == "positionUpdate"}
    listed = (await client.get("/accounts/Sim101/orders", params={"activeOnly": "false"})).json()["orders"]
    positions = (await client.get("/positions", params={"includeFlat": "true"})).json()["positions"]
    assert orders == {row["id"]: row for row in listed}
    assert len(orders) > 5
    for row in positions:
        names = ("account", "marketPosition", "quantity", "averagePrice")
        assert {name: held[row["instrument"]][name] for name in names} == {name: row[name] for name in names}


def orders_told(session: StreamSession) -> list[tuple[Any, ...]]:
    """Read the events of orders: name, state, quantity and what has filled."""
    rows = heard(session, "orderUpdate")
    return [(row["name"], row["orderState"], row["quantity"], row["filled"]) for row in rows]


async def test_a_change_before_the_acknowledgement_is_told(sim: Simulator) -> None:
    session = await wishing(sim, {"action": "subscribe", "events": ["orders"]})
    await called(session, "PlaceOrder", **ORDER | {"orderType": "Limit", "limitPrice": 5000.0})
    (order,) = sim.exchange.orders
    await called(session, "Change", account="Sim101", orderId=order.id, quantity=7)
    assert orders_told(session) == [("Entry", "Submitted", 1, 0), ("Entry", "Submitted", 7, 0)]


async def test_legs_that_grow_with_their_entry_are_told(sim: Simulator) -> None:
    session = await wishing(sim, {"action": "subscribe", "events": ["orders"]})
    await called(session, "PlaceOrder", **ORDER | {"quantity": 25, "strategy": "Day 20x40"})
    sim.advance(1)
    told = {name: (quantity, filled) for name, _, quantity, filled in orders_told(session)}
    assert told == {"Entry": (25, 25), "Stop1": (25, 0), "Target1": (25, 0)}


async def test_a_fill_while_a_cancel_is_pending_is_told(clock: ManualClock) -> None:
    settings = SimulatorSettings(pace=ExchangePace(acknowledgement_seconds=1.0, fill_seconds=0.3), rate_limit=None)
    sim = Simulator(seed=7, clock=clock, settings=settings)
    session = await wishing(sim, {"action": "subscribe", "events": ["orders"]})
    await called(session, "PlaceOrder", **ORDER | {"quantity": 25})
    clock.advance(1.31)
    await called(session, "Cancel", account="Sim101", orderId=sim.exchange.orders[0].id)
    session.texts()
    clock.advance(0.3)
    assert orders_told(session) == [("Entry", "CancelPending", 25, 20)]


async def test_it_does_not_matter_in_how_many_steps_the_clock_moves(clock: ManualClock) -> None:
    told = []
    for steps in ([7.25], [0.05] * 145):
        own_clock = ManualClock(clock())
        sim = simulator(own_clock)
        session = await wishing(
            sim,
            {"action": "subscribe", "instruments": ["ES", "NQ"], "events": ALL_EVENTS},
            {"action": "streamPnl", "interval": 700},
        )
        await called(session, "PlaceOrder", **ORDER, strategy="Day 20x40")
        for step in steps:
            own_clock.advance(step)
        told.append(session.texts())
    assert told[0] == told[1]
    assert len(told[0]) > 20


async def test_a_clock_calls_nobody_after_the_last_connection(clock: ManualClock, sim: Simulator) -> None:
    session = await wishing(sim, {"action": "subscribe", "instruments": ["ES"]})
    sim.stream.leave(session)
    sim.stream.leave(session)
    before = sim.addon.now
    clock.advance(5)
    assert (sim.addon.now, heard(session)) == (before, [])


async def test_a_new_connection_begins_with_nothing(clock: ManualClock, sim: Simulator) -> None:
    first = await wishing(sim, {"action": "subscribe", "instruments": ["ES"], "events": ALL_EVENTS})
    clock.advance(3)
    second = sim.stream.open()
    assert [frame["seq"] for frame in heard(second)] == [1, 2]
    clock.advance(3)
    assert heard(second) == []
    assert first.outbox.closing is not None
    assert first.outbox.closing.reason == "Session active elsewhere"
