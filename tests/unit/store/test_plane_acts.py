"""The chain of acts, as Python checks it."""

from datetime import UTC, datetime

from ct_mcp.domain.team import PlaneEntry
from ct_mcp.store.journal import GENESIS
from ct_mcp.store.plane_acts import Row, act_of, check_acts, sealed

AT = "2026-11-23T15:30:00.000001+00:00"


def chain(*acts: str) -> list[Row]:
    """Rows as the database writes them."""
    rows, before = list[Row](), GENESIS
    for number, act in enumerate(acts, 1):
        body = (number, AT, "rita", act, "alice", "{}", before)
        before = sealed(body)
        rows.append((*body, before))
    return rows


def test_a_whole_chain_is_whole() -> None:
    rows = chain("halted", "resumed")
    found = check_acts(rows, (2, rows[-1][-1]))
    assert (found.ok, found.count, found.last_hash) == (True, 2, rows[-1][-1])
    assert check_acts([], (0, GENESIS)).ok


def test_a_chain_that_was_made_anew_is_found_by_its_end() -> None:
    """Who could rewrite every act has still told its end to somebody."""
    rows = chain("halted", "resumed")
    found = check_acts(chain("halted", "policy_set"), (2, rows[-1][-1]))
    assert (found.ok, found.broken_at) == (False, 3)


def test_parts_that_run_into_each_other_are_told_apart() -> None:
    assert sealed(["ab", "c"]) != sealed(["a", "bc"])
    assert sealed(["a,1:b"]) != sealed(["a", "b"])
    assert sealed(["é"]) != sealed(["e\u0301"])


def test_an_act_is_read() -> None:
    (row,) = chain("halted")
    at = datetime(2026, 11, 23, 15, 30, 0, 1, tzinfo=UTC)
    assert act_of(row) == PlaneEntry(1, at, "rita", "halted", "alice", "{}", GENESIS, row[-1])
