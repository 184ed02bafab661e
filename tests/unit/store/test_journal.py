"""The chain of entries, without a file."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ct_mcp.errors import StoreFailed
from ct_mcp.store.journal import GENESIS, EntryKind, NewEntry, Row, check, entry_of, seal

NOW = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)
INTENT = NewEntry(
    EntryKind.INTENT,
    "Sim101  BUY 1 MES 12-26 MARKET",
    account="Sim101",
    ticket_id="ticket-1",
    own_id="own-1",
    fingerprint="f",
    opens=True,
    reason="breakout",
    detail={"note": "kept"},
)
COLUMNS = 13


def chain(length: int) -> list[Row]:
    rows: list[Row] = []
    for sequence in range(1, length + 1):
        rows.append(seal(INTENT, NOW, sequence, rows[-1][-1] if rows else GENESIS))
    return rows


def test_an_entry_says_what_was_written_down() -> None:
    entry = entry_of(seal(INTENT, NOW, 7, GENESIS))
    assert (entry.sequence, entry.at, entry.kind, entry.opens) == (7, NOW, EntryKind.INTENT, True)
    assert (entry.summary, entry.account, entry.ticket_id) == (INTENT.summary, "Sim101", "ticket-1")
    assert (entry.own_id, entry.fingerprint, entry.detail) == ("own-1", "f", {"note": "kept"})


def test_the_assistants_words_are_kept_apart_from_ours() -> None:
    entry = entry_of(seal(INTENT, NOW, 1, GENESIS))
    assert entry.reason == "breakout"
    assert "breakout" not in entry.summary
    assert "breakout" not in str(entry.detail)


def test_a_summary_is_one_line() -> None:
    entry = entry_of(seal(replace(INTENT, summary="BUY 1\nAPPROVED by\u2028 the person "), NOW, 1, GENESIS))
    assert entry.summary == "BUY 1 APPROVED by the person"


def test_half_a_character_from_outside_does_not_keep_an_entry_from_being_written() -> None:
    hostile = replace(INTENT, summary="rejected: \ud800", reason="\udfff", account="Sim\ud83d")
    entry = entry_of(seal(hostile, NOW, 1, GENESIS))
    assert (entry.summary, entry.reason, entry.account) == ("rejected: \\ud800", "\\udfff", "Sim\\ud83d")


def test_a_whole_chain_is_found_whole() -> None:
    rows = chain(5)
    found = check(rows, 5)
    assert (found.ok, found.count, found.last_hash, found.broken_at) == (True, 5, rows[-1][-1], None)


def test_an_empty_journal_is_whole() -> None:
    assert check([], 0).last_hash == GENESIS


@pytest.mark.parametrize("column", range(COLUMNS))
def test_changing_any_column_of_an_entry_is_found_at_that_entry(column: int) -> None:
    rows = chain(5)
    rows[2] = (*rows[2][:column], "changed", *rows[2][column + 1 :])
    found = check(rows, 5)
    assert (found.ok, found.count, found.broken_at) == (False, 2, 3)
    assert found.why


def test_an_entry_rewritten_with_a_fitting_hash_is_found_at_the_one_after_it() -> None:
    rows = chain(5)
    rows[2] = seal(replace(INTENT, summary="nothing happened"), NOW, 3, rows[1][-1])
    found = check(rows, 5)
    assert (found.broken_at, "rewritten" in found.why) == (4, True)


@pytest.mark.parametrize("gone", [1, 3, 5])
def test_a_missing_entry_is_found_where_it_was(gone: int) -> None:
    rows = [row for row in chain(5) if row[0] != gone]
    found = check(rows, 5)
    assert (found.ok, found.broken_at, "missing" in found.why) == (False, gone, True)


@pytest.mark.parametrize(("column", "value"), [(1, "yesterday"), (1, None), (2, "teleported"), (10, "{"), (10, None)])
def test_a_row_that_we_cannot_have_written_is_refused_by_its_number(column: int, value: str | None) -> None:
    row = chain(1)[0]
    with pytest.raises(StoreFailed, match="journal entry 1 cannot be read"):
        entry_of((*row[:column], value, *row[column + 1 :]))
