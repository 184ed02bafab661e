"""A short campaign in virtual time. A seed tells one story, and a known fault that is put back is found."""

import os
import subprocess
import sys
from collections import Counter
from contextlib import nullcontext
from dataclasses import replace
from inspect import Parameter, isfunction, signature
from pathlib import Path

import pytest
import virtual_episode
from campaign import is_of, play_one
from planted import PLANTS
from virtual_episode import Name

from ct_mcp.desk import desk, exit_keeper, exit_watch, told_again
from ct_mcp.desk.exit_keeper import ExitKeeper
from ct_mcp.desk.handlers import entries
from ct_mcp.desk.outcome import Kept, Outcome
from ct_mcp.desk.warm_review import WarmReviews
from ct_mcp.domain.approval import Ticket
from ct_mcp.domain.bracket import Bracket, Share, shares
from ct_mcp.domain.duty import Duty
from ct_mcp.domain.order import Order
from ct_mcp.guard.review import Review
from ct_mcp.live.cache import LiveCache

CAMPAIGN = Path(__file__).parents[3] / "benchmarks" / "campaign.py"


@pytest.mark.parametrize("episode", range(3))
def test_nothing_is_found(episode: int) -> None:
    told = play_one(Name(1, episode, 25))

    assert not [str(finding) for finding in told.findings]
    assert told.mutations == 25
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


def test_a_fault_that_is_named_goes_wrong_more_often_and_changes_nothing_else_that_does() -> None:
    usual, leaning = (play_one(Name(1, 0, 12, weather=weather)) for weather in ("", "ODD_STATE"))

    assert (usual.struck["ODD_STATE"], usual.struck["BLIND"]) == (0, leaning.struck["BLIND"])
    assert leaning.struck["ODD_STATE"] > 0
    assert not leaning.findings


def test_a_known_fault_that_is_put_back_is_found() -> None:
    """Which episode meets it moves with every change of the desk, so they are played until one does."""
    plant = "same-exit-again"
    found = (finding for episode in range(40) for finding in play_one(Name(6, episode, 20), plant).findings)

    assert any(is_of(plant, finding) for finding in found)


@pytest.mark.parametrize("name", PLANTS)
def test_a_plant_takes_what_is_given_to_what_it_stands_in_for(name: str) -> None:
    """Else it ends the play with an error as soon as it is met."""
    for place, planted in PLANTS[name].put.items():
        real = getattr(*place)
        if isfunction(real) and isfunction(planted):
            given = signature(real).parameters.values()
            by_name = {each.name: each for each in given if each.kind is Parameter.KEYWORD_ONLY}
            signature(planted).bind(*(each for each in given if each.name not in by_name), **by_name)


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
    told = [play_one(Name(8, episode, 8, has_stream=True)) for episode in (0, 5)]

    assert not [str(finding) for each in told for finding in each.findings]
    assert taken, "some of it left on a review of before the yes"


def test_entries_get_their_exits_whatever_goes_wrong_between_the_legs() -> None:
    told = [play_one(Name(seed, 1, 12, has_legs=True)) for seed in (9, 13, 15)]

    assert not [str(finding) for each in told for finding in each.findings]
    legs = sum((each.legs for each in told), Counter[str]())
    assert legs["exits"] >= 10
    assert len(legs) > 4, "several things went wrong between the legs"


def test_entries_get_their_exits_though_the_stream_is_lost_between_fill_and_stop() -> None:
    told = play_one(Name(98, 1, 12, has_stream=True, has_legs=True))

    assert not [str(finding) for finding in told.findings]
    assert told.legs["exits"] >= 4
    assert [what for what in told.legs if what.startswith("the stream is lost")]


async def _keeps_nothing(_: ExitKeeper, __: Duty, ___: Order) -> Kept:
    return Kept()


async def _follows_nothing(_: ExitKeeper, __: Duty, entry: Order) -> tuple[Order, Kept]:
    return entry, Kept()


def _twice_as_many(bracket: Bracket, covered: int, filled: int) -> tuple[Share, ...]:
    return tuple(replace(share, contracts=2 * share.contracts) for share in shares(bracket, covered, filled))


def _whatever_was_shown(review: Review, *_: object) -> Review:
    return review


def _as_it_was(told: Outcome, _: Kept, __: Order | None) -> Outcome:
    return told


async def _as_was_settled(told: Outcome, *_: object) -> Outcome:
    return told


Faults = list[tuple[object, str, object]]
# An exit of more than is held is denied as well, since nobody was shown it.
TWICE: Faults = [(exit_keeper, "shares", _twice_as_many), (desk, "still_approved", _whatever_was_shown)]
SILENT: Faults = [(entries, "with_exits", _as_it_was), (told_again, "with_stops_owed", _as_was_settled)]
DEAF: Faults = [(LiveCache, "silence", lambda *_: 0), (exit_watch, "_AT_LEAST_EVERY_SECONDS", 1e6)]


@pytest.mark.parametrize(
    ("faults", "kind", "name"),
    [
        ([(ExitKeeper, "keep", _keeps_nothing), (ExitKeeper, "follow", _follows_nothing)], "bare", Name(2, 1, 8)),
        (TWICE, "twice", Name(1, 0, 20)),
        (SILENT, "untold", Name(4, 5, 8)),
        (DEAF, "bare", Name(1, 5, 7, has_stream=True)),
    ],
    ids=["nobody keeps them", "twice as many", "the answer says nothing", "a lost stream is believed"],
)
def test_what_an_entry_is_owed_and_does_not_get_is_found(
    monkeypatch: pytest.MonkeyPatch, faults: Faults, kind: str, name: Name
) -> None:
    for owner, attribute, put in faults:
        monkeypatch.setattr(owner, attribute, put)
    names = (replace(name, episode=name.episode + more, has_legs=True) for more in range(30))
    found = (finding for each in names for finding in play_one(each).findings)

    assert any(finding.kind == kind for finding in found)
