"""A short campaign of watches: deaths, sleeps and clocks set wrong; and what must hold of them is really looked at."""

from collections import Counter
from datetime import datetime
from decimal import Decimal

import pytest
from campaign import play_one
from virtual_episode import Name

from ct_mcp.desk import desk, trailing
from ct_mcp.desk.alerts import Alerts
from ct_mcp.desk.timed_watches import TimedWatches
from ct_mcp.domain.approval import Ticket
from ct_mcp.domain.commands import ChangeOrder
from ct_mcp.domain.order import Order
from ct_mcp.domain.watch import Watch
from ct_mcp.guard.review import Review
from ct_mcp.store import parts
from ct_mcp.store.sqlite import SqliteStore


def test_nothing_is_found_of_watches_whatever_goes_wrong() -> None:
    told = [play_one(Name(1, episode, 20, has_watches=True)) for episode in (1, 2)]

    assert not [str(finding) for each in told for finding in each.findings]
    counted = sum((each.legs for each in told), Counter[str]())
    for what in ("trailing stop", "cancel after", "flat by", "alerts told", "moves", "death", "sleep", "clock set"):
        assert counted[what], what


def test_a_seed_tells_the_same_story_of_watches() -> None:
    one, same, other = (play_one(Name(seed, 0, 6, has_watches=True)).story for seed in (1, 1, 2))

    assert one == same != other


async def _never(_: object, __: Watch) -> None:
    """Do nothing at its time."""


async def _always(_: Alerts, watch: Watch) -> str:
    return f"{watch.words}: so it is"


async def _is_anybodys(_: SqliteStore, __: str, ___: str, ____: datetime) -> None:
    """Ask nobody whose turn it is."""


def _anywhere(order: Order, price: Decimal) -> ChangeOrder:
    """Follow the price on either side."""
    return ChangeOrder(order.account, order.order_id, stop_price=price)


def _approved(review: Review, _: Ticket, __: int) -> Review:
    """Hold nothing against what was shown."""
    return review


FAULTS: dict[str, tuple[list[tuple[object, str, object]], str]] = {
    "nobody is flat by any time": ([(TimedWatches, "flat_by", _never)], "not flat"),
    "nothing is cancelled": ([(TimedWatches, "cancel_after", _never)], "not cancelled"),
    "every alert tells at once": ([(Alerts, "_came", _always)], "not so"),
    "who slept sends": (
        [(SqliteStore, "check_turn", _is_anybodys), (parts, "check_turn", lambda *_: None)],
        "slept",
    ),
    "a stop follows the price both ways": (
        [(trailing, "nearer_stop", _anywhere), (desk, "still_approved", _approved)],
        "away",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_of_watches_that_is_put_in_is_found(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    faults, kind = FAULTS[name]
    for owner, attribute, put in faults:
        monkeypatch.setattr(owner, attribute, put)
    played = (play_one(Name(3, episode, 10, has_watches=True)) for episode in range(24))

    assert any(finding.kind == kind for each in played for finding in each.findings)
