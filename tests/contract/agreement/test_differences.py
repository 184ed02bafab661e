"""A card can fail: a simulator that differs a little is found out by the card that is about it."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.contract.agreement.deck import Card, Differs, NotObservable, deck
from tests.contract.agreement.simulated import Spoil, look

CARDS: dict[int, Card] = {each.number: each for each in deck()}


def _said(path_ends: str, change: Callable[[Any], Any]) -> Spoil:
    """Change what is said under paths with an end."""

    def spoil(answer: httpx.Response) -> httpx.Response:
        if not answer.request.url.path.endswith(path_ends) or answer.status_code != 200:
            return answer
        return httpx.Response(200, json=change(answer.json()), request=answer.request)

    return spoil


def _instead(old: str, new: str) -> Spoil:
    """Change words wherever they stand."""

    def spoil(answer: httpx.Response) -> httpx.Response:
        text = answer.text.replace(old, new)
        return httpx.Response(answer.status_code, headers=_plain(answer), text=text, request=answer.request)

    return spoil


def _plain(answer: httpx.Response) -> dict[str, str]:
    return {"content-type": answer.headers["content-type"]}


def _status(old: int, new: int) -> Spoil:
    """Answer with another status."""

    def spoil(answer: httpx.Response) -> httpx.Response:
        if answer.status_code != old:
            return answer
        return httpx.Response(new, json=json.loads(answer.text), request=answer.request)

    return spoil


@pytest.mark.parametrize(
    ("number", "spoil"),
    [
        (1, _said("/accounts", lambda said: said["accounts"])),
        (4, _instead("ProfitLoss", "PnL")),
        (9, _said("/sim101", lambda said: said | {"name": "sim101"})),
        (13, _said("/snapshot", lambda said: said | {"success": True})),
        (23, _instead('"quantity":2', '"quantity":-2')),
        (33, _instead("orderAction", "action")),
        (38, _instead('"stopPrice":0.0', '"stopPrice":null')),
        (62, _said("/quote", lambda said: said | {"epoch": said["epoch"] * 1000})),
        (63, _said("/quote", lambda said: {"quotes": said})),
        (69, _instead("MES 09-26", "MES 12-26")),
        (96, _status(404, 400)),
        (103, _instead("did_you_mean", "hint")),
        (105, _status(401, 403)),
        (110, _status(408, 503)),
        (113, _status(429, 200)),
        (144, _instead("already terminal", "done already")),
        (162, _instead("No positions found", "Nothing open")),
        (160, _said("/close", lambda said: said | {"closedPositions": []})),
        (168, _said("/flatten", lambda said: said | {"orderIds": []})),
        (215, _status(409, 200)),
    ],
)
async def test_a_difference_is_found_by_its_card(number: int, spoil: Spoil) -> None:
    with pytest.raises(Differs):
        await look(CARDS[number], spoil)


async def test_what_is_not_there_is_told_apart_from_a_difference() -> None:
    spoil = _said("/watermarks", lambda said: said | {"data": said["data"] | {"watermarks": {}}})
    with pytest.raises(NotObservable):
        await look(CARDS[20], spoil)
