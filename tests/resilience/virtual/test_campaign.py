"""A short campaign in virtual time. A seed tells one story, and a known fault that is put back is found."""

import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
import virtual_episode
from campaign import is_of, play_one
from planted import PLANTS
from virtual_episode import Name

from ct_mcp.desk.warm_review import WarmReviews
from ct_mcp.domain.approval import Ticket
from ct_mcp.guard.review import Review

CAMPAIGN = Path(__file__).parents[3] / "benchmarks" / "campaign.py"


@pytest.mark.parametrize("episode", range(3))
def test_nothing_is_found(episode: int) -> None:
    told = play_one(Name(1, episode))

    assert not [str(finding) for finding in told.findings]
    assert told.mutations == 40
    assert told.writes.total() >= 8, "most of it really reached the simulator"
    assert len(told.answers) >= 5, "it was told many things"
    assert told.virtual_seconds > 600


def test_two_runs_of_a_seed_tell_the_same_story_byte_for_byte() -> None:
    """In processes of their own, in which nothing that is hashed lies where it did before."""
    runs = [
        subprocess.run(
            [sys.executable, str(CAMPAIGN), "--seed", "3", "--episode", "5", "--each", "20"],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            timeout=120,
            check=False,
        )
        for hash_seed in ("1", "2")
    ]

    assert runs[0].stdout == runs[1].stdout
    assert runs[0].stdout.count(b"the assistant asks") >= 20, runs[0].stderr.decode()


def test_what_is_remembered_changes_no_letter_of_a_story(monkeypatch: pytest.MonkeyPatch) -> None:
    with_it = play_one(Name(4, 1, 12)).story
    monkeypatch.setattr(virtual_episode, "remembered", nullcontext)

    assert play_one(Name(4, 1, 12)).story == with_it


def test_another_seed_is_another_story() -> None:
    one, same, other = (play_one(Name(seed, 0, 4)).story for seed in (1, 1, 2))

    assert one == same != other


def test_a_known_fault_that_is_put_back_is_found() -> None:
    """Which episode meets it moves with every change of the desk, so they are played until one does."""
    plant = "same-exit-again"
    found = (finding for episode in range(40) for finding in play_one(Name(1, episode), plant).findings)

    assert any(is_of(plant, finding) for finding in found)


@pytest.mark.parametrize("name", PLANTS)
def test_a_plant_is_gone_with_its_episode(name: str) -> None:
    put = PLANTS[name].put
    before = [getattr(*place) for place in put]
    with PLANTS[name].planted():
        assert [getattr(*place) for place in put] == list(put.values())

    assert [getattr(*place) for place in put] == before


def test_nothing_is_found_where_reviews_are_kept_fresh_beside_a_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = list[Review]()
    take = WarmReviews.take

    async def counted(self: WarmReviews, ticket: Ticket) -> Review | None:
        if review := await take(self, ticket):
            taken.append(review)
        return review

    monkeypatch.setattr(WarmReviews, "take", counted)
    told = [play_one(Name(8, episode, 20, has_stream=True)) for episode in range(2)]

    assert not [str(finding) for each in told for finding in each.findings]
    assert taken, "some of it left on a review of before the yes"
