"""The journal on disk: order, chain, and which intents have no known fate."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ct_mcp.errors import StoreFailed
from ct_mcp.store import journal_table
from ct_mcp.store.journal import ONLY_REDUCES, SETTLING, Entry, EntryKind, NewEntry, Outstanding
from ct_mcp.store.sql import SqlConnection
from tests.unit.store.conftest import Begin

NOW = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)
SECOND = timedelta(seconds=1)
REFUSED = (sqlite3.IntegrityError, psycopg.IntegrityError)


@pytest.fixture
def journal(begin: Begin) -> Iterator[SqlConnection]:
    with begin() as connection:
        yield connection


def intent(ticket_id: str = "t", own_id: str | None = None, *, account: str = "Sim101", opens: bool = True) -> NewEntry:
    return NewEntry(
        EntryKind.INTENT,
        "about to send",
        account=account,
        ticket_id=ticket_id,
        own_id=own_id,
        fingerprint=f"action of {ticket_id}",
        opens=opens,
    )


def outstanding(journal: SqlConnection) -> list[int]:
    return [entry.sequence for entry in journal_table.unsettled(journal)]


def tamper(journal: SqlConnection, *statements: str) -> None:
    """Run statements as if nothing guarded the tables."""
    if isinstance(journal, sqlite3.Connection):
        for (trigger,) in journal.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            journal.execute(f"DROP TRIGGER {trigger}")
    else:
        journal.execute("SET LOCAL session_replication_role = replica")
    for statement in statements:
        journal.execute(statement)


def test_each_entry_follows_from_the_one_before_it(journal: SqlConnection) -> None:
    first = journal_table.append(journal, NewEntry(EntryKind.ASKED, "one"), NOW)
    second = journal_table.append(journal, NewEntry(EntryKind.DENIED, "two"), NOW)
    assert (first.sequence, second.sequence) == (1, 2)
    assert second.previous_hash == first.hash


def test_what_append_returns_is_what_is_read_later(journal: SqlConnection) -> None:
    written = journal_table.append(journal, intent(), NOW)
    assert journal_table.newest(journal, 1, None, None) == (written,)


def test_entries_come_newest_first_and_no_more_than_asked_for(journal: SqlConnection) -> None:
    for number in range(5):
        journal_table.append(journal, NewEntry(EntryKind.ASKED, f"{number}"), NOW)
    assert [entry.summary for entry in journal_table.newest(journal, 3, None, None)] == ["4", "3", "2"]


def test_entries_of_one_account_or_ticket_can_be_asked_for(journal: SqlConnection) -> None:
    for account, ticket in (("A", "1"), ("B", "1"), ("A", "2"), (None, None)):
        journal_table.append(journal, NewEntry(EntryKind.ASKED, "x", account=account, ticket_id=ticket), NOW)

    def found(account: str | None, ticket: str | None) -> list[int]:
        return [entry.sequence for entry in journal_table.newest(journal, 9, account, ticket)]

    assert found("A", None) == [3, 1]
    assert found(None, "1") == [2, 1]
    assert found("A", "1") == [1]


@pytest.mark.parametrize("statement", ["UPDATE journal SET summary = 'x'", "DELETE FROM journal"])
def test_the_file_refuses_to_rewrite_or_shorten_the_journal(journal: SqlConnection, statement: str) -> None:
    journal_table.append(journal, NewEntry(EntryKind.ASKED, "one"), NOW)
    with pytest.raises(REFUSED, match="never"):
        journal.execute(statement)


def test_the_file_refuses_to_replace_an_entry(journal: SqlConnection) -> None:
    journal_table.append(journal, NewEntry(EntryKind.ASKED, "one"), NOW)
    insert = "INSERT OR REPLACE" if isinstance(journal, sqlite3.Connection) else "INSERT"
    with pytest.raises(REFUSED, match="at its end only"):
        journal.execute(f"{insert} INTO journal SELECT * FROM journal")


def test_an_intent_without_a_ticket_is_refused(journal: SqlConnection) -> None:
    with pytest.raises(REFUSED, match="an_intent_names_its_ticket"):
        journal_table.append(journal, NewEntry(EntryKind.INTENT, "who asked?"), NOW)


@pytest.mark.parametrize("kind", [kind for kind in EntryKind if kind is not EntryKind.INTENT])
def test_only_a_definite_word_settles_an_intent(journal: SqlConnection, kind: EntryKind) -> None:
    journal_table.append(journal, intent(), NOW)
    journal_table.append(journal, NewEntry(kind, "later", ticket_id="t"), NOW)
    settled = kind in (EntryKind.ANSWERED, EntryKind.SETTLED)
    assert outstanding(journal) == ([] if settled else [1])


def test_an_answer_to_one_leg_leaves_the_other_outstanding(journal: SqlConnection) -> None:
    journal_table.append(journal, intent("t", "leg-1"), NOW)
    journal_table.append(journal, intent("t", "leg-2"), NOW)
    journal_table.append(journal, NewEntry(EntryKind.ANSWERED, "accepted", ticket_id="t", own_id="leg-1"), NOW)
    assert outstanding(journal) == [2]


def test_an_answer_settles_only_what_was_sent_before_it(journal: SqlConnection) -> None:
    journal_table.append(journal, NewEntry(EntryKind.ANSWERED, "stray", ticket_id="t"), NOW)
    journal_table.append(journal, intent("t"), NOW)
    journal_table.append(journal, NewEntry(EntryKind.ANSWERED, "of another", ticket_id="u"), NOW)
    assert outstanding(journal) == [2]


legs = st.sampled_from(["t", "u"]), st.sampled_from([None, "1", "2"])
steps = st.lists(st.tuples(st.sampled_from(sorted({EntryKind.INTENT, EntryKind.UNKNOWN} | SETTLING)), *legs))


@settings(deadline=None)
@given(story=steps)
def test_outstanding_is_what_the_journal_says_after_any_story(
    begin: Begin,
    story: list[tuple[EntryKind, str, str | None]],
) -> None:
    with begin() as journal:
        entries = [
            journal_table.append(journal, NewEntry(kind, "x", ticket_id=ticket, own_id=own), NOW)
            for kind, ticket, own in story
        ]
        assert outstanding(journal) == [entry.sequence for entry in entries if _is_outstanding(entry, entries)]
        assert journal_table.verify(journal).ok


def _is_outstanding(intent: Entry, entries: list[Entry]) -> bool:
    answers = (entry for entry in entries[intent.sequence :] if entry.kind in SETTLING)
    return intent.kind is EntryKind.INTENT and not any(
        answer.ticket_id == intent.ticket_id
        and (answer.own_id == intent.own_id or None in (answer.own_id, intent.own_id))
        for answer in answers
    )


words = st.text(st.characters())
new_entries = st.builds(
    NewEntry,
    st.sampled_from(sorted(set(EntryKind) - {EntryKind.INTENT})),
    words,
    account=st.none() | words,
    reason=words,
    detail=st.dictionaries(words, words | st.integers() | st.floats(allow_nan=False, allow_infinity=False)),
)


@settings(deadline=None)
@given(news=st.lists(new_entries, max_size=5))
def test_whatever_is_written_the_chain_is_whole_and_reads_back(begin: Begin, news: list[NewEntry]) -> None:
    with begin() as journal:
        written = [journal_table.append(journal, new, NOW) for new in news]
        assert journal_table.newest(journal, 9, None, None) == tuple(reversed(written))
        assert [entry.detail for entry in written] == [new.detail for new in news]
        found = journal_table.verify(journal)
        assert (found.ok, found.count) == (True, len(news))


def test_orders_sent_counts_the_intents_of_an_account_that_open_since_a_moment(journal: SqlConnection) -> None:
    journal_table.append(journal, intent("early"), NOW - SECOND)
    journal_table.append(journal, intent("exactly"), NOW)
    journal_table.append(journal, intent("later"), NOW + SECOND)
    journal_table.append(journal, intent("closes", opens=False), NOW)
    journal_table.append(journal, intent("elsewhere", account="Sim102"), NOW)
    journal_table.append(
        journal, NewEntry(EntryKind.ANSWERED, "x", account="Sim101", ticket_id="later", opens=True), NOW
    )
    assert journal_table.orders_sent(journal, "Sim101", NOW) == 2


def test_an_action_never_sent_has_no_last_intent(journal: SqlConnection) -> None:
    assert journal_table.last_intent(journal, "action of t") is None


def test_the_last_intent_says_when_and_that_its_fate_is_unknown(journal: SqlConnection) -> None:
    journal_table.append(journal, intent("t"), NOW)
    journal_table.append(journal, intent("other"), NOW + SECOND)
    assert journal_table.last_intent(journal, "action of t") == (NOW, False)


def test_the_last_intent_is_settled_by_an_answer(journal: SqlConnection) -> None:
    journal_table.append(journal, intent("t"), NOW)
    journal_table.append(journal, NewEntry(EntryKind.ANSWERED, "rejected", ticket_id="t"), NOW + SECOND)
    assert journal_table.last_intent(journal, "action of t") == (NOW + SECOND, True)


NOT_SENT = {"step": "place", "not_sent": "CrossTrade could not be reached"}


def test_what_certainly_never_left_is_passed_over(journal: SqlConnection) -> None:
    journal_table.append(journal, intent("sent"), NOW)
    journal_table.append(journal, NewEntry(EntryKind.ANSWERED, "filled", ticket_id="sent"), NOW)
    journal_table.append(journal, replace(intent("t"), fingerprint="action of sent"), NOW + SECOND)
    journal_table.append(journal, NewEntry(EntryKind.ANSWERED, "offline", ticket_id="t", detail=NOT_SENT), NOW + SECOND)
    assert journal_table.last_intent(journal, "action of sent") == (NOW, True)


def test_where_nothing_else_was_ever_sent_there_is_no_last_intent(journal: SqlConnection) -> None:
    journal_table.append(journal, intent("t"), NOW)
    journal_table.append(journal, NewEntry(EntryKind.ANSWERED, "offline", ticket_id="t", detail=NOT_SENT), NOW)
    assert journal_table.last_intent(journal, "action of t") is None


@pytest.mark.parametrize("kind", [EntryKind.ACCEPTED, EntryKind.UNKNOWN, EntryKind.READ_BACK, EntryKind.ANSWERED])
@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
def test_what_left_in_one_of_its_steps_is_not_passed_over(journal: SqlConnection, kind: EntryKind, first: bool) -> None:
    journal_table.append(journal, intent("t"), NOW)
    entries = [
        NewEntry(kind, "one step left", ticket_id="t", detail={"step": "flatten"}),
        NewEntry(EntryKind.ANSWERED, "the other did not", ticket_id="t", detail=NOT_SENT),
    ]
    for entry in entries if first else reversed(entries):
        journal_table.append(journal, entry, NOW)
    found = journal_table.last_intent(journal, "action of t")
    assert found is not None
    assert found.at == NOW


def test_an_error_that_says_not_sent_is_no_answer(journal: SqlConnection) -> None:
    journal_table.append(journal, intent("t"), NOW)
    journal_table.append(journal, NewEntry(EntryKind.ERROR, "offline", ticket_id="t", detail=NOT_SENT), NOW)
    assert journal_table.last_intent(journal, "action of t") == (NOW, False)


def test_many_that_never_left_do_not_go_on_for_ever(journal: SqlConnection) -> None:
    for number in range(51):
        journal_table.append(journal, replace(intent(f"t{number}"), fingerprint="f"), NOW + number * SECOND)
        journal_table.append(journal, NewEntry(EntryKind.ANSWERED, "x", ticket_id=f"t{number}", detail=NOT_SENT), NOW)
    assert journal_table.last_intent(journal, "f") == (NOW, True)


WHAT_CAME = {
    "nothing": None,
    "not sent": NewEntry(EntryKind.ANSWERED, "x", detail=NOT_SENT),
    "rejected": NewEntry(EntryKind.ANSWERED, "x", detail={"step": "place", "reasons": ["not_sent"]}),
    "unknown": NewEntry(EntryKind.UNKNOWN, "x", detail={"step": "place", "not_sent": "it was not known"}),
    "accepted": NewEntry(EntryKind.ACCEPTED, "x"),
    "settled": NewEntry(EntryKind.SETTLED, "x", detail={"not_sent": "so they say"}),
}


@given(came=st.lists(st.sampled_from(sorted(WHAT_CAME)), max_size=12))
def test_what_may_have_left_is_never_passed_over(begin: Begin, came: list[str]) -> None:
    with begin() as journal:
        for number, what in enumerate(came):
            journal_table.append(journal, replace(intent(f"t{number}"), fingerprint="f"), NOW + number * SECOND)
            if (entry := WHAT_CAME[what]) is not None:
                journal_table.append(journal, replace(entry, ticket_id=f"t{number}"), NOW + number * SECOND)
        found = journal_table.last_intent(journal, "f")
    unknown = {"nothing", "unknown", "accepted"} & set(came)
    may_have_left = [number for number, what in enumerate(came) if what != "not sent" or unknown]
    assert found == ((NOW + may_have_left[-1] * SECOND, not unknown) if may_have_left else None)


THEIR_NO = NewEntry(EntryKind.ANSWERED, "x", ticket_id="t", detail={"step": "place", "reasons": ["no"]})
TAKEN = replace(THEIR_NO, kind=EntryKind.ACCEPTED)
REJECTED = replace(THEIR_NO, detail={"status": "rejected", "filled": 0})


@pytest.mark.parametrize(
    ("of_intent", "came", "is_passed_over"),
    [
        ({ONLY_REDUCES: True}, [THEIR_NO], True),
        ({ONLY_REDUCES: True}, [THEIR_NO, REJECTED], True),
        ({ONLY_REDUCES: True}, [TAKEN, REJECTED], True),
        ({ONLY_REDUCES: True}, [TAKEN, THEIR_NO], False),
        ({ONLY_REDUCES: True}, [THEIR_NO, replace(REJECTED, detail={"filled": 1})], False),
        ({ONLY_REDUCES: True}, [TAKEN, replace(REJECTED, detail={"status": "rejected", "filled": 1})], False),
        ({ONLY_REDUCES: True}, [TAKEN, replace(REJECTED, detail={"status": "working", "filled": 0})], False),
        ({}, [THEIR_NO, REJECTED], False),
    ],
    ids=["no", "no, and told", "rejected", "one of two", "it filled", "it filled in part", "it works", "it may open"],
)
def test_an_exit_that_was_refused_before_any_of_it_filled_is_passed_over(
    journal: SqlConnection, of_intent: dict[str, object], came: list[NewEntry], is_passed_over: bool
) -> None:
    journal_table.append(journal, replace(intent("t"), detail=of_intent), NOW)
    for entry in came:
        journal_table.append(journal, entry, NOW)
    assert journal_table.last_intent(journal, "action of t") == (None if is_passed_over else (NOW, True))


def test_an_exit_that_was_refused_is_not_passed_over_while_one_like_it_is_unknown(journal: SqlConnection) -> None:
    for ticket_id in ("earlier", "t"):
        once = replace(intent(ticket_id), fingerprint="action of t", detail={ONLY_REDUCES: True})
        journal_table.append(journal, once, NOW)
    journal_table.append(journal, THEIR_NO, NOW)
    assert journal_table.last_intent(journal, "action of t") == (NOW, False)


def test_an_action_is_not_settled_while_an_older_one_like_it_is_unknown(journal: SqlConnection) -> None:
    journal_table.append(journal, intent("t", "1"), NOW)
    journal_table.append(journal, intent("t", "2"), NOW + SECOND)
    journal_table.append(journal, NewEntry(EntryKind.ANSWERED, "accepted", ticket_id="t", own_id="2"), NOW + SECOND)
    assert journal_table.last_intent(journal, "action of t") == (NOW + SECOND, False)


@pytest.mark.parametrize(
    ("statement", "broken_at"),
    [
        ("UPDATE journal SET summary = 'nothing happened' WHERE sequence = 2", 2),
        ("UPDATE journal SET kind = 'teleported' WHERE sequence = 2", 2),
        ("UPDATE journal SET opens = 0 WHERE sequence = 3", 3),
        ("DELETE FROM journal WHERE sequence = 2", 2),
        ("DELETE FROM journal WHERE sequence >= 3", 3),
        ("DELETE FROM journal", 1),
        ("DELETE FROM outstanding", 3),
        ("INSERT INTO outstanding VALUES (1, 't', NULL, NULL)", 1),
    ],
)
def test_tampering_is_found_where_it_was_done(journal: SqlConnection, statement: str, broken_at: int) -> None:
    journal_table.append(journal, NewEntry(EntryKind.ASKED, "one"), NOW)
    journal_table.append(journal, NewEntry(EntryKind.PROPOSED, "two"), NOW)
    journal_table.append(journal, intent(), NOW)
    assert journal_table.verify(journal).ok
    tamper(journal, statement)
    found = journal_table.verify(journal)
    assert (found.ok, found.broken_at) == (False, broken_at)
    assert found.why


def test_a_journal_cut_at_its_end_shows_the_gap_after_later_entries(journal: SqlConnection) -> None:
    for number in range(3):
        journal_table.append(journal, NewEntry(EntryKind.ASKED, f"{number}"), NOW)
    tamper(journal, "DELETE FROM journal WHERE sequence = 3")
    if not isinstance(journal, sqlite3.Connection):
        journal.execute("SET LOCAL session_replication_role = origin")
    assert journal_table.append(journal, NewEntry(EntryKind.ASKED, "afterwards"), NOW).sequence == 4
    assert journal_table.verify(journal).broken_at == 3


def test_a_rewritten_kind_is_not_read_as_something_else(journal: SqlConnection) -> None:
    journal_table.append(journal, NewEntry(EntryKind.ASKED, "one"), NOW)
    tamper(journal, "UPDATE journal SET kind = 'teleported'")
    with pytest.raises(StoreFailed, match="journal entry 1"):
        journal_table.newest(journal, 1, None, None)


def test_the_outstanding_of_an_account_come_with_the_end_of_the_journal(journal: SqlConnection) -> None:
    assert journal_table.outstanding(journal, "Sim101") == Outstanding(0, ())
    journal_table.append(journal, intent("t1"), NOW)
    journal_table.append(journal, intent("t2", account="Sim102"), NOW)
    journal_table.append(journal, intent("t3"), NOW)
    journal_table.append(journal, NewEntry(EntryKind.ANSWERED, "done", ticket_id="t3"), NOW)
    found = journal_table.outstanding(journal, "Sim101")
    assert (found.seen, [entry.ticket_id for entry in found.entries]) == (4, ["t1"])


MOVES = {
    "an intent of the same account": intent("t1"),
    "an exit of the same account": intent("t1", opens=False),
    "a halt": NewEntry(EntryKind.HALTED, "halted"),
    "the day's loss of the same account": NewEntry(EntryKind.DAY_LOSS, "lost", account="Sim101"),
    "the disarming of the same account": NewEntry(EntryKind.DISARMED, "disarmed", account="Sim101"),
}
LEAVES = {
    "an intent of another account": intent("t1", account="Sim102"),
    "the disarming of another account": NewEntry(EntryKind.DISARMED, "disarmed", account="Sim102"),
    "a proposal": NewEntry(EntryKind.PROPOSED, "proposed", account="Sim101", ticket_id="t1"),
    "an approval": NewEntry(EntryKind.APPROVED, "approved", account="Sim101", ticket_id="t1"),
    "a denial": NewEntry(EntryKind.DENIED, "denied", account="Sim101"),
    "an answer": NewEntry(EntryKind.ANSWERED, "filled", account="Sim101", ticket_id="t1"),
    "the end of a halt": NewEntry(EntryKind.RESUMED, "resumed"),
}


@pytest.mark.parametrize("entry", MOVES.values(), ids=MOVES.keys())
def test_an_intent_is_not_written_after_what_its_review_has_not_seen(journal: SqlConnection, entry: NewEntry) -> None:
    seen = journal_table.append(journal, NewEntry(EntryKind.ASKED, "before"), NOW).sequence
    last = journal_table.append(journal, entry, NOW).sequence
    assert journal_table.append_intent(journal, intent("mine"), NOW, seen) is None
    assert [each.summary for each in journal_table.newest(journal, 9, None, None)] == [entry.summary, "before"]
    written = journal_table.append_intent(journal, intent("mine"), NOW, last)
    assert written is not None
    assert written.sequence in outstanding(journal)


@pytest.mark.parametrize("entry", LEAVES.values(), ids=LEAVES.keys())
def test_an_intent_is_written_after_what_moves_nothing(journal: SqlConnection, entry: NewEntry) -> None:
    journal_table.append(journal, entry, NOW)
    assert journal_table.append_intent(journal, intent("mine"), NOW, 0) is not None


@pytest.mark.parametrize("opens", [True, False])
def test_one_that_was_judged_by_all_accounts_is_moved_by_what_opens_in_any(journal: SqlConnection, opens: bool) -> None:
    journal_table.append(journal, replace(intent("t1", account="Sim102"), opens=opens), NOW)
    assert (journal_table.append_intent_of_all(journal, intent("mine"), NOW, 0) is None) is opens


def test_an_intent_on_a_review_of_an_empty_journal_is_written_once(journal: SqlConnection) -> None:
    seen = journal_table.outstanding(journal, "Sim101").seen
    assert journal_table.append_intent(journal, intent("t1"), NOW, seen) is not None
    assert journal_table.append_intent(journal, intent("t2"), NOW, seen) is None


def test_refusals_are_read_from_a_moment_on_and_newest_first(journal: SqlConnection) -> None:
    for minutes, kind in enumerate((EntryKind.DENIED, EntryKind.ASKED, EntryKind.DECLINED, EntryKind.RESUMED)):
        journal_table.append(journal, NewEntry(kind, f"at {minutes}"), NOW + timedelta(minutes=minutes))
    read = journal_table.refusals(journal, 9, NOW + timedelta(minutes=1))
    assert [entry.summary for entry in read] == ["at 3", "at 2"]
    assert [entry.summary for entry in journal_table.refusals(journal, 1, NOW)] == ["at 3"]


def test_refusals_of_an_account_are_picked_before_they_are_counted(journal: SqlConnection) -> None:
    accounts = ("Sim101", "Sim102, Sim101", "Sim1010", "Sim102", None)
    for account in accounts:
        journal_table.append(journal, NewEntry(EntryKind.DENIED, f"of {account}", account=account), NOW)
    found = journal_table.refusals(journal, 2, NOW, "Sim101")
    assert [entry.account for entry in found] == ["Sim102, Sim101", "Sim101"]
    assert len(journal_table.refusals(journal, 9, NOW)) == len(accounts)


SAYING_NOTHING_OF_AN_ORDER: list[dict[str, object]] = [
    {},
    {"order_id": None},
    {"rules": ["an order_id and what is filled"]},
    {"may_fill": [["ES", 2026, 12, 1, False]]},
]
OF_ORDERS: list[dict[str, object]] = [
    {"order_id": "7"},
    {"order_id": 'a "7"'},
    {"filled": 1},
    {"refused": ["7"], "filled": 0},
    {"may_fill": []},
]


def test_entries_of_orders_are_those_that_name_one_or_tell_that_none_came_newest_first(journal: SqlConnection) -> None:
    for detail in (*SAYING_NOTHING_OF_AN_ORDER, *OF_ORDERS):
        journal_table.append(journal, replace(intent(), detail=detail), NOW)
    found = journal_table.of_orders(journal, 100, "Sim101")
    assert [entry.detail for entry in found] == OF_ORDERS[::-1]
    everything = journal_table.newest(journal, 100, "Sim101", None)
    assert all(entry in everything for entry in found), "each is whole"


def test_entries_of_orders_are_looked_for_among_so_many_of_the_account(journal: SqlConnection) -> None:
    journal_table.append(journal, replace(intent(), detail={"order_id": "old"}), NOW)
    journal_table.append(journal, replace(intent(), detail={"order_id": "7"}), NOW)
    journal_table.append(journal, replace(intent(account="Sim102"), detail={"order_id": "another's"}), NOW)
    journal_table.append(journal, intent(), NOW)
    found = journal_table.of_orders(journal, 2, "Sim101")
    assert [entry.detail["order_id"] for entry in found] == ["7"]
