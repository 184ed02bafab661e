"""The stream without a socket: what it asks for, and that whatever is lost is told as a gap."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ct_mcp.crosstrade.stream.events import AccountChanged, Gap, PnlUpdate, QuoteTick
from ct_mcp.crosstrade.stream.frames import StreamEnd
from ct_mcp.crosstrade.stream.protocol import (
    BACK_OFF_SECONDS,
    DEAD_AFTER_SECONDS,
    MOST_ACCOUNTS,
    MOST_CHANGES,
    PING_AFTER_SECONDS,
    StreamProtocol,
)
from ct_mcp.domain.instrument import Instrument

NOW = datetime(2026, 11, 18, 15, 30, tzinfo=UTC)
ES, NQ = Instrument("ES", 2026, 12), Instrument("NQ", 2026, 12)


def frame(seq: int | None = None, kind: str = "pong", **values: object) -> str:
    return json.dumps({"type": kind, **({} if seq is None else {"seq": seq}), **values})


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def connected(*wanted: Instrument) -> StreamProtocol:
    protocol = StreamProtocol()
    protocol.want(frozenset(wanted))
    protocol.connected(NOW)
    assert gaps(protocol) == ["what came before this connection began was not heard"]
    return protocol


def asked(protocol: StreamProtocol, now: datetime = NOW) -> list[dict[str, Any]]:
    return [json.loads(text) for text in protocol.to_send(now)]


def gaps(protocol: StreamProtocol) -> list[str]:
    return [event.why for event in protocol.events() if isinstance(event, Gap)]


def test_a_new_connection_asks_for_account_events_profit_and_loss_and_the_wanted_quotes() -> None:
    protocol = connected(NQ, ES)
    assert asked(protocol) == [
        {"action": "subscribe", "events": ["orders", "executions", "positions"]},
        {"action": "streamPnl", "enabled": True, "interval": 1000},
        {"action": "subscribe", "instruments": ["ES 12-26", "NQ 12-26"]},
    ]
    assert asked(protocol) == []


def test_nothing_is_sent_while_there_is_no_connection() -> None:
    protocol = StreamProtocol()
    protocol.want(frozenset({ES}))
    assert protocol.to_send(NOW) == []
    assert not protocol.is_dead(later(3600))
    assert not protocol.is_sound


def test_only_the_difference_is_asked_for() -> None:
    protocol = connected(ES)
    asked(protocol)
    protocol.want(frozenset({ES, NQ}))
    assert asked(protocol) == [{"action": "subscribe", "instruments": ["NQ 12-26"]}]
    protocol.want(frozenset({NQ}))
    assert asked(protocol) == [{"action": "unsubscribe", "instruments": ["ES 12-26"]}]


def test_one_that_is_replaced_by_another_is_subscribed_before_the_old_one_goes() -> None:
    protocol = connected(ES)
    asked(protocol)
    protocol.want(frozenset({NQ}))
    assert [change["action"] for change in asked(protocol)] == ["subscribe", "unsubscribe"]


def test_changes_keep_to_the_budget_of_changes_and_nothing_is_forgotten() -> None:
    protocol = connected()
    assert len(asked(protocol)) == 2
    months = [Instrument("ES", 2026 + number, 12) for number in range(10)]
    sent = []
    for number in range(10):
        protocol.want(frozenset(months[: number + 1]))
        sent += asked(protocol)
    assert len(sent) == int(MOST_CHANGES) - 2
    protocol.want(frozenset(months))
    (rest,) = asked(protocol, later(4))
    assert {name for change in [*sent, rest] for name in change["instruments"]} == set(map(str, months))


def test_a_clock_that_goes_back_gives_no_budget_and_takes_none() -> None:
    protocol = connected(ES)
    assert len(asked(protocol, later(-60))) == 3


def test_everything_is_asked_for_again_after_a_reconnect() -> None:
    protocol = connected(ES)
    asked(protocol)
    protocol.disconnected("reset")
    protocol.connected(later(60))
    assert asked(protocol, later(60))[-1] == {"action": "subscribe", "instruments": ["ES 12-26"]}


def test_a_ping_goes_once_into_silence_and_any_frame_ends_it() -> None:
    protocol = connected()
    asked(protocol)
    assert asked(protocol, later(PING_AFTER_SECONDS - 1)) == []
    assert asked(protocol, later(PING_AFTER_SECONDS)) == [{"action": "ping"}]
    assert asked(protocol, later(PING_AFTER_SECONDS + 1)) == []
    protocol.received(frame(), later(20))
    assert asked(protocol, later(20 + PING_AFTER_SECONDS)) == [{"action": "ping"}]


def test_a_connection_that_does_not_answer_is_dead() -> None:
    protocol = connected()
    assert not protocol.is_dead(later(DEAD_AFTER_SECONDS - 1))
    assert protocol.is_dead(later(DEAD_AFTER_SECONDS))
    protocol.received("garbage", later(DEAD_AFTER_SECONDS))
    assert not protocol.is_dead(later(DEAD_AFTER_SECONDS + 1))


@pytest.mark.parametrize(
    ("frames", "why"),
    [
        ([frame(1), frame(3)], "frame 3 of the stream came after frame 1"),
        ([frame(5), frame(5)], "frame 5 of the stream came after frame 5"),
        ([frame(5), frame(1)], "frame 1 of the stream came after frame 5"),
        ([frame(1, dropped=2)], "the service dropped 2 frames"),
        ([frame(1, "resync")], "the service asks to read everything again"),
        ([frame(1, "status", state="stalled")], "the service calls the stream stalled"),
        ([frame(1, "status", state="ready")], "the service calls the stream ready"),
        (["what"], "a frame of the stream is no JSON"),
        ([frame(error="rate limit")], "the service refused what we asked of the stream: rate limit"),
    ],
)
def test_whatever_may_have_been_lost_is_a_gap(frames: list[str], why: str) -> None:
    protocol = connected()
    for text in frames:
        protocol.received(text, NOW)
    assert gaps(protocol) == [why]
    assert gaps(protocol) == [], "it is told once"


def test_frames_that_follow_one_another_are_no_gap() -> None:
    protocol = connected()
    for text in (frame(7), frame(), frame(8), frame(9)):
        protocol.received(text, NOW)
    assert gaps(protocol) == []


def test_their_numbers_begin_anew_with_each_connection() -> None:
    protocol = connected()
    protocol.received(frame(7), NOW)
    protocol.disconnected("", StreamEnd.OTHER)
    assert gaps(protocol) == ["the stream ended"]
    protocol.connected(NOW)
    assert gaps(protocol)
    protocol.received(frame(1), NOW)
    assert gaps(protocol) == []


def test_it_is_sound_only_while_they_call_it_ready() -> None:
    protocol = connected()
    assert protocol.is_sound
    protocol.received(frame(1, "status", state="syncing"), NOW)
    assert not protocol.is_sound
    protocol.received(frame(2, "status", state="ready"), NOW)
    assert protocol.is_sound
    protocol.disconnected("going away")
    assert not protocol.is_sound


def test_account_events_have_to_prove_themselves_on_every_connection() -> None:
    protocol = connected()
    assert not protocol.hears_accounts
    protocol.received(frame(1, "orderUpdate", account="Sim101"), NOW)
    assert protocol.hears_accounts
    protocol.disconnected("")
    protocol.connected(NOW)
    assert not protocol.hears_accounts


def test_a_notice_proves_no_account_events_and_hides_none() -> None:
    protocol = connected()
    protocol.received(frame(1, "accountNotice", account="Sim101"), NOW)
    assert not protocol.hears_accounts
    assert AccountChanged("Sim101", is_event=False) in protocol.events()
    protocol.received(frame(2, "orderUpdate", account="Sim101"), NOW)
    protocol.received(frame(3, "accountNotice", account="Sim101"), NOW)
    assert AccountChanged("Sim101") in protocol.events()


def test_the_newest_of_each_instrument_and_account_is_told_once() -> None:
    protocol = connected(ES)
    for number, bid in enumerate((6410, 6411)):
        protocol.received(frame(number, "marketData", quotes=[{"instrument": "ES 12-26", "bid": bid}]), NOW)
    protocol.received(frame(2, "orderUpdate", account="Sim101"), NOW)
    protocol.received(frame(3, "positionUpdate", account="Sim101"), NOW)
    protocol.received(frame(4, "pnlUpdate", accounts=[{"account": "Sim101"}]), NOW)
    tick, pnl, changed = protocol.events()
    assert isinstance(tick, QuoteTick)
    assert tick.bid == 6411
    assert isinstance(pnl, PnlUpdate)
    assert changed == AccountChanged("Sim101")
    assert protocol.events() == []


def test_quotes_that_nobody_wants_are_not_kept() -> None:
    protocol = connected(ES)
    protocol.received(frame(1, "marketData", quotes=[{"instrument": "NQ 12-26", "bid": 1}]), NOW)
    assert protocol.events() == []


def test_a_flood_of_invented_names_stays_bounded_and_still_says_that_something_changed() -> None:
    protocol = connected()
    for number in range(3 * MOST_ACCOUNTS):
        protocol.received(frame(number, "orderUpdate", account=f"A{number}"), NOW)
    protocol.received(frame(3 * MOST_ACCOUNTS, "pnlUpdate", accounts=[{"account": f"A{n}"} for n in range(999)]), NOW)
    told = protocol.events()
    assert AccountChanged(None) in told
    assert len(told) <= 2 * MOST_ACCOUNTS + 1


def test_it_waits_longer_after_each_failure_until_a_frame_comes() -> None:
    protocol = StreamProtocol()
    waits = []
    for _ in range(8):
        waits.append(protocol.back_off_seconds)
        protocol.disconnected("refused")
    assert waits == [*BACK_OFF_SECONDS, 30.0, 30.0]
    protocol.connected(NOW)
    assert protocol.back_off_seconds == 30.0, "a handshake alone proves nothing"
    protocol.received(frame(1), NOW)
    assert protocol.back_off_seconds == 1.0


def test_one_that_is_thrown_out_for_asking_too_much_waits_longest() -> None:
    protocol = connected()
    protocol.disconnected("in whatever words", StreamEnd.ASKED_TOO_MUCH)
    assert protocol.back_off_seconds == 30.0


def test_a_foreign_session_is_remembered() -> None:
    protocol = connected()
    protocol.disconnected("in whatever words", StreamEnd.DISPLACED)
    protocol.disconnected("gone")
    assert protocol.is_displaced


def test_what_is_said_of_an_end_decides_nothing() -> None:
    protocol = connected()
    protocol.disconnected("Session active elsewhere")
    assert not protocol.is_displaced
    assert gaps(protocol) == ["the stream ended: Session active elsewhere"]


class Interleavings(RuleBasedStateMachine):
    """The truth changes and says so in frames that may be lost; one who reads and listens is right, or knows better.

    A loss shows with the next frame that arrives, so the reader is asked whenever one has.
    """

    def __init__(self) -> None:
        super().__init__()
        self.protocol, self.truth, self.seq, self.dropped, self.lost = connected(), 0, 0, 0, False
        self.read: int | None = None
        self.is_open, self.is_ready, self.sends_events = True, True, True
        self.change("told")

    def _deliver(self, kind: str, **values: object) -> None:
        self.seq += 1
        self.protocol.received(frame(self.seq, kind, dropped=self.dropped, **values), NOW)
        self.dropped, self.lost = 0, False

    @rule(fate=st.sampled_from(["told", "lost", "dropped", "garbled"]))
    @precondition(lambda self: self.is_open and self.is_ready)
    def change(self, fate: str) -> None:
        self.truth += 1
        match fate if self.sends_events else "kept back":
            case "told":
                self._deliver("positionUpdate", account="Sim101")
            case "lost":
                self.seq, self.lost = self.seq + 1, True
            case "dropped":
                self.dropped, self.lost = self.dropped + 1, True
            case "garbled":
                self.protocol.received('{"type":"positionUpd', NOW)

    @rule()
    @precondition(lambda self: not (self.is_open and self.is_ready))
    def change_unheard(self) -> None:
        self.truth += 1

    @rule()
    @precondition(lambda self: self.is_open)
    def quote(self) -> None:
        self._deliver("marketData", quotes=[])

    @rule(kind=st.sampled_from(["resync", "status"]))
    @precondition(lambda self: self.is_open)
    def disturb(self, kind: str) -> None:
        self._deliver(kind, state="stalled")
        self.is_ready = self.is_ready and kind != "status"

    @rule()
    @precondition(lambda self: self.is_open)
    def recover(self) -> None:
        self._deliver("status", state="ready")
        self.is_ready = True

    @rule()
    @precondition(lambda self: self.is_open)
    def end(self) -> None:
        self.protocol.disconnected("gone")
        self.is_open = False

    @rule(sends_events=st.booleans())
    @precondition(lambda self: not self.is_open)
    def begin(self, sends_events: bool) -> None:
        self.protocol.connected(NOW)
        self.sends_events = sends_events
        self.is_open, self.is_ready, self.seq, self.dropped, self.lost = True, True, 0, 0, False

    @rule()
    def read_again(self) -> None:
        self._listen()
        self.read = self.truth

    def _listen(self) -> None:
        if any(isinstance(event, Gap | AccountChanged) for event in self.protocol.events()):
            self.read = None

    @invariant()
    def is_right_or_says_that_it_does_not_know(self) -> None:
        self._listen()
        may_rely = self.read is not None and self.protocol.is_sound and self.protocol.hears_accounts
        assert not may_rely or self.lost or self.read == self.truth


Interleavings.TestCase.settings = settings(
    max_examples=3 * settings().max_examples, stateful_step_count=30, deadline=None
)
test_no_interleaving_is_ever_wrong = pytest.mark.slow(Interleavings.TestCase)
