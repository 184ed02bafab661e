"""A short campaign: one server by request alone, one that listens to the stream, both in processes of their own."""

from pathlib import Path

import pytest
from episode import Name, play
from fault_plan import DATABASE
from judge import KINDS
from report import Report

from tests.postgres import Server, as_text


@pytest.mark.parametrize("number", [0, 1], ids=["by request", "with the stream"])
def test_nothing_twice_nothing_lost_nothing_claimed(tmp_path: Path, number: int) -> None:
    report = play(Name(seed=20, number=number, mutations=45), tmp_path)

    assert not [str(finding) for finding in report.findings]
    assert report.mutations == 45
    assert len(report.struck) >= 10, "faults of many kinds have really struck"
    assert report.answers["unknown"] >= 3, "outcomes were really unknown"
    assert report.writes.total() >= 20, "most of it really reached the simulator"
    assert len(report.behaviours) >= 3, "clients were really impatient"


def test_over_a_database_two_machines_send_nothing_twice_and_lose_nothing(tmp_path: Path, postgres: Server) -> None:
    report = play(Name(seed=20, number=0, mutations=45, database=as_text(postgres.administrator)), tmp_path)

    assert not [str(finding) for finding in report.findings]
    assert report.mutations == 45
    assert report.writes.total() >= 15, "most of it really reached the simulator"
    assert report.behaviours["asked at the other machine meanwhile"] >= 5
    assert any(report.struck[fault] for fault in DATABASE), "a cable has really broken"


def test_an_episode_is_the_same_operations_whenever_it_is_drawn() -> None:
    one, same, other = (Name(seed, 3, 60).rng.random() for seed in (1, 1, 2))

    assert one == same != other


def test_the_table_names_every_kind_of_lie() -> None:
    table = Report().table()

    assert all(kind in table for kind in KINDS if kind not in ("duplicate", "loss"))
    assert "duplicates" in table
    assert "losses" in table
