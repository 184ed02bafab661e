"""Whatever the socket says, in whatever order: no exception, and queues that do not grow."""

import json
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from ct_mcp.crosstrade.stream.events import Gap
from ct_mcp.crosstrade.stream.protocol import MOST_ACCOUNTS, StreamProtocol
from ct_mcp.domain.instrument import Instrument

START = datetime(2026, 9, 9, 14, 30, tzinfo=UTC)
WANTED = frozenset({Instrument("ES", 2026, 9), Instrument("MES", 2026, 9)})
TYPES = ["marketData", "quote", "order", "orders", "execution", "position", "pnl", "status", "resync", "error", "pong"]
KEYS = ["type", "event", "seq", "dropped", "account", "instrument", "data", "status", "last", "bid", "ask", "quotes"]
KEYS += ["accounts", "error", "code", "message", "state", "unrealized", "realized", "epoch", "timestamp", "events"]
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**25), 10**25),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from([*TYPES, "ES 09-26", "MES 09-26", "Sim101", "ready", "stalled", "\ud800", "x" * 3000]),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6),
    max_leaves=15,
)
FRAMES = st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=8).flatmap(
    lambda frame: st.sampled_from(TYPES).map(lambda kind: {"type": kind, **frame})
)
TEXTS = st.one_of(
    FRAMES.map(json.dumps),
    st.text(max_size=80),
    st.sampled_from(["[" * 100_000, "{" * 50_000, '{"seq":' + "9" * 5000 + "}", '{"seq":1E+999999999999}', "\x00"]),
)
STEPS = st.one_of(
    TEXTS.map(lambda text: ("received", text)),
    st.sampled_from([("connected", ""), ("disconnected", "closed"), ("want", ""), ("send", "")]),
)


@settings(max_examples=125, deadline=None)
@given(st.lists(STEPS, max_size=25))
def test_any_text_in_any_order_breaks_nothing(steps: list[tuple[str, str]]) -> None:
    protocol, now = StreamProtocol(), START
    for step, text in steps:
        now += timedelta(seconds=1)
        match step:
            case "received":
                protocol.received(text, now)
            case "connected":
                protocol.connected(now)
            case "disconnected":
                protocol.disconnected(text)
            case "want":
                protocol.want(WANTED)
            case _:
                assert all(json.loads(said)["action"] for said in protocol.to_send(now))
    assert protocol.back_off_seconds <= 30
    told = protocol.events()
    assert all(len(event.why) < 2000 for event in told if isinstance(event, Gap))
    assert protocol.events() == []


def test_a_million_accounts_do_not_fill_the_queues() -> None:
    protocol = StreamProtocol()
    protocol.connected(START)
    protocol.want(WANTED)
    for number in range(3 * MOST_ACCOUNTS):
        row = {"account": f"A{number}", "realized": 1.0, "unrealized": 1.0, "data": {"account": f"A{number}"}}
        for kind in TYPES:
            protocol.received(json.dumps({"type": kind, "seq": number, **row}), START)
    assert len(protocol.events()) <= 2 * MOST_ACCOUNTS + len(WANTED) + 2
