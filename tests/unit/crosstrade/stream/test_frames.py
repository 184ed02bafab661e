"""What a frame of the stream tells; what cannot be read is never nothing."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_mcp.crosstrade.stream.events import AccountChanged, PnlUpdate, QuoteTick
from ct_mcp.crosstrade.stream.frames import (
    LONGEST_FRAME_CHARACTERS,
    Frame,
    Resync,
    StreamEnd,
    StreamRefusal,
    StreamState,
    parse_close,
    parse_frame,
)
from ct_mcp.domain.instrument import Instrument
from ct_mcp.errors import BadReply

NOW = datetime(2026, 11, 18, 15, 30, tzinfo=UTC)
PUSHED = NOW - timedelta(seconds=1)
EPOCH = int(PUSHED.timestamp() * 1000)
ES = Instrument("ES", 2026, 12)


def told(**values: object) -> tuple[object, ...]:
    return parse_frame(json.dumps(values), NOW).messages


@pytest.mark.parametrize(
    ("code", "words", "end"),
    [
        (1000, "Session active elsewhere", StreamEnd.DISPLACED),
        (1008, "session ACTIVE ELSEWHERE", StreamEnd.DISPLACED),
        (1008, "policy violation", StreamEnd.ASKED_TOO_MUCH),
        (1001, "going away", StreamEnd.OTHER),
        (1006, "", StreamEnd.OTHER),
    ],
)
def test_why_they_closed_a_connection_is_read_once(code: int, words: str, end: StreamEnd) -> None:
    assert parse_close(code, words) is end


def test_a_quote_is_as_old_as_the_oldest_of_its_stamps() -> None:
    row = {"instrument": "ES 12-26", "bid": 6410.25, "ask": 6410.5, "last": 6410.250000001, "volume": 12}
    price = Decimal("6410.25")
    assert told(type="marketData", epoch=EPOCH, quotes=[row]) == (
        QuoteTick(ES, price, Decimal("6410.5"), price, 12, PUSHED),
    )
    older = {**row, "epoch": EPOCH // 1000 - 60}
    (tick,) = told(type="marketData", epoch=EPOCH, quotes=[older])
    assert isinstance(tick, QuoteTick)
    assert tick.at == PUSHED - timedelta(seconds=60)


def test_a_quote_without_a_stamp_is_as_old_as_its_coming() -> None:
    assert told(type="marketData", quotes=[{"instrument": "ESZ26", "bid": 0}]) == (
        QuoteTick(ES, None, None, None, None, NOW),
    )


@pytest.mark.parametrize("quotes", [None, {}, "ES", [], [7], [{"bid": 1}], [{"instrument": "AAPL", "bid": 1}]])
def test_a_quote_that_cannot_be_read_leaves_its_instrument_as_it_was(quotes: object) -> None:
    assert told(type="marketData", quotes=quotes) == ()


def test_profit_and_loss_is_read_from_a_list_and_from_an_object_by_name() -> None:
    figures = {"realizedProfitLoss": -12.5, "unrealizedProfitLoss": "7.005"}
    read = PnlUpdate("Sim101", Decimal("-12.50"), Decimal("7.00"), PUSHED)
    assert told(type="pnlUpdate", epoch=EPOCH, accounts=[{"account": "Sim101", **figures}]) == (read,)
    assert told(type="pnlUpdate", epoch=EPOCH, accounts={"Sim101": figures, "odd": 7}) == (read,)
    assert told(type="pnlUpdate", accounts=[figures, {"name": "Sim102"}]) == (PnlUpdate("Sim102", None, None, NOW),)


@pytest.mark.parametrize(
    ("kind", "is_event"),
    [
        ("orderUpdate", True),
        ("executionUpdate", True),
        ("positionUpdate", True),
        ("executionReportUpdate", False),
        ("accountNotice", False),
    ],
)
def test_any_other_frame_is_word_that_an_account_changed_and_an_event_only_if_it_was_asked_for(
    kind: str, is_event: bool
) -> None:
    named, of_any = AccountChanged("Sim101", is_event=is_event), AccountChanged(None, is_event=is_event)
    assert told(type=kind, account="Sim101", quantity=3) == (named,)
    assert told(type=kind, position={"account": "Sim101"}) == (named,)
    assert told(type=kind, data={"account": "Sim101"}) == (named,)
    assert told(type=kind, accountId=7) == (of_any,)


def test_states_and_the_call_to_read_again_are_told() -> None:
    assert told(type="status", state="stalled\u202e") == (StreamState("stalled"),)
    assert told(type="status") == (StreamState("unnamed"),)
    assert told(type="resync") == (Resync(),)


def test_an_acknowledgement_tells_nothing_and_a_refusal_is_kept_in_their_words() -> None:
    assert told(status="subscribed", events=["orders"]) == ()
    assert told(type="pong") == ()
    assert told(error="too many\nsubscriptions", id="7") == (StreamRefusal("too many subscriptions"),)


def test_the_number_of_a_frame_and_the_lost_ones_are_read() -> None:
    assert parse_frame('{"type":"pong","seq":7,"dropped":2}', NOW) == Frame(7, 2, ())
    assert parse_frame('{"type":"pong","seq":"x"}', NOW) == Frame(None, 0, ())


UNREADABLE = ["", "x", "[]", "7", "null", "{", '{"a":' * 9000, " " * (LONGEST_FRAME_CHARACTERS + 1)]


@pytest.mark.parametrize("text", UNREADABLE)
def test_what_is_no_object_is_refused_and_never_nothing(text: str) -> None:
    with pytest.raises(BadReply, match="a frame of the stream"):
        parse_frame(text, NOW)


def test_a_number_that_nobody_can_hold_hides_nothing_else() -> None:
    assert parse_frame('{"type":"resync","seq":1e999999999999}', NOW).messages == (Resync(),)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
KEYS = ("seq", "dropped", "epoch", "quotes", "accounts", "state", "error", "position", "account")
KINDS = ("marketData", "pnlUpdate", "status", "resync", "orderUpdate", "pong", "")


@pytest.mark.slow
@given(st.dictionaries(st.sampled_from(KEYS), json_values), st.none() | st.sampled_from(KINDS) | json_values)
def test_no_frame_whatever_it_holds_breaks_the_reader(values: dict[str, object], kind: object) -> None:
    frame = parse_frame(json.dumps({**values, "type": kind}), NOW)
    assert all(
        isinstance(message, QuoteTick | AccountChanged | PnlUpdate | StreamState | Resync | StreamRefusal)
        for message in frame.messages
    )
