"""A long run is interrupted and goes on: nothing is played twice, and what was found before stays found."""

import json
import sys
from pathlib import Path

import million
import pytest


def _runs(monkeypatch: pytest.MonkeyPatch, log: Path, mutations: int) -> int:
    command = ["million.py", "--log", str(log), "--mutations", str(mutations), "--each-seed", "1", "--seed", "9"]
    monkeypatch.setattr(sys, "argv", command)
    return million.main()


def test_what_was_interrupted_goes_on_and_plays_nothing_twice(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, play = tmp_path / "log", million.play

    def _is_interrupted(seed: int, variety: str, mutations: int, commit: str) -> million.Row:
        if variety == "legs":
            raise KeyboardInterrupt
        return play(seed, variety, mutations, commit)

    monkeypatch.setattr(million, "play", _is_interrupted)
    assert _runs(monkeypatch, log, 6) == 130, "not all was played"
    with log.open("a", encoding="utf-8") as cut:
        cut.write('{"seed": 9, "vari\n')  # as a process that is ended leaves it
    monkeypatch.setattr(million, "play", play)

    assert _runs(monkeypatch, log, 6) == 0

    seeds = [(row.seed, row.variety) for row in million.read(log)]
    assert seeds == [(9, "plain"), (9, "stream"), (9, "legs"), (9, "watches"), (10, "plain"), (10, "stream")]
    assert "6 mutations, 0 findings" in capsys.readouterr().out.splitlines()


def test_what_was_found_before_is_told_and_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, found = tmp_path / "log", "--legs TWICE (--seed 9 --episode 0, mutation 1, 3.000 s): sent twice"
    row = {"seed": 9, "variety": "legs", "mutations": 1, "commit": "abc", "findings": [found]}
    log.write_text(json.dumps(row | {"seconds": 1.0, "cpu_seconds": 0.5}) + "\n", encoding="utf-8")

    assert _runs(monkeypatch, log, 1) == 1

    told = capsys.readouterr().out
    assert "| abc | legs | 9 to 9 | 1 | 2 | 1 |" in told
    assert f"abc: {found}" in told
