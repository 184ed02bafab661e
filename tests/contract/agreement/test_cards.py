"""Every card, held against the simulator; and what holds for the deck."""

import re
from collections import Counter

import pytest

from tests.contract.agreement.deck import MARKS, Card, deck
from tests.contract.agreement.simulated import look

SOURCE = re.compile(r"(endpoints|field-notes|platform|websocket),? \S.*")


def _named(card: Card) -> str:
    return f"{card.number}-{card.name}"


@pytest.mark.parametrize("card", deck(), ids=_named)
async def test_the_simulator_is_as_the_card_says(card: Card) -> None:
    await look(card)


def test_a_number_is_given_once() -> None:
    assert {number for number, times in Counter(each.number for each in deck()).items() if times > 1} == set()


def test_numbers_below_120_only_read_and_those_above_trade() -> None:
    assert [each.number for each in deck() if each.trades is not (each.number >= 120)] == []


def test_a_belief_is_stated_in_a_sentence_with_its_source_and_its_mark() -> None:
    assert [each.number for each in deck() if not SOURCE.fullmatch(each.source)] == []
    assert [each.number for each in deck() if each.mark not in MARKS] == []
    assert [each.number for each in deck() if not each.belief.endswith(".")] == []
    assert len({each.belief for each in deck()}) == len({each.name for each in deck()}) == len(deck())


def test_no_card_that_reads_reaches_everything() -> None:
    assert [each.number for each in deck() if each.everywhere and not each.trades] == []
