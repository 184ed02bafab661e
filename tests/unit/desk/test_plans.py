"""Plans held against what was done by hand: in instrument and side, no earlier, no larger, and each once."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ct_mcp.desk.membership import Membership
from ct_mcp.desk.outcome import Status
from ct_mcp.desk.plans import Plans, as_plans
from ct_mcp.domain.order import Execution, Order, OrderAction, OrderState, OrderType
from ct_mcp.guard.firm_policy import Automation
from ct_mcp.guard.policy import AccountPolicy, Policy
from ct_mcp.guard.review import review
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.store.journal import EntryKind
from ct_mcp.store.sqlite import SqliteStore
from tests.factories import ES, MES, NOW, SIM101, context, place_order

ADVISED = Policy(accounts={SIM101: AccountPolicy(automation=Automation.ADVISE)})


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path / "state")
    yield store
    await store.close()


@pytest.fixture
def plans(store: SqliteStore, clock: ManualClock) -> Plans:
    return Plans(store, Membership(ADVISED, clock), clock)


async def plan(plans: Plans, quantity: int = 2) -> str:
    """Keep a plan to buy ES, and give its id."""
    found = review(place_order(quantity=quantity), context(), ADVISED.for_(SIM101, "ES"))
    assert not found.passes
    advised, (judged,) = as_plans([found])
    assert (advised, judged.passes) == (True, True)
    told = await plans.keep([judged], "trend day")
    assert (told.status, told.status.sent, told.ticket_id) == (Status.NEEDS_APPROVAL, False, None)
    return told.reasons[0].removeprefix("plan ")


def fill(name: str = "x1", quantity: int = 1, **changes: Any) -> Execution:
    done = Execution(SIM101, name, "o1", ES, OrderAction.BUY, quantity, Decimal(6400), NOW + timedelta(minutes=1))
    return replace(done, **changes)


async def test_what_fits_is_written_down_once_up_to_the_size_of_the_plan(plans: Plans, store: SqliteStore) -> None:
    name = await plan(plans)
    later = fill("x2", price=Decimal(6402), at=NOW + timedelta(minutes=2))
    too_much = fill("x3", at=NOW + timedelta(minutes=3))
    told = await plans.follow(SIM101, [too_much, later, fill()])
    assert told == (f"done by hand: BUY 2 ES 12-26 at 6401, 2 of 2 as planned in {name}",)
    assert await plans.follow(SIM101, [too_much, later, fill()]) == ()
    deed, kept = await store.entries(9)
    assert (deed.kind, kept.kind) == (EntryKind.READ_BACK, EntryKind.PROPOSED)
    assert deed.detail["executions"] == ["x1", "x2"]
    assert await store.story(name) == (kept, deed)
    assert await store.unsettled() == ()


async def test_a_plan_that_is_done_in_parts_is_followed_to_its_end(plans: Plans) -> None:
    name = await plan(plans)
    assert await plans.follow(SIM101, [fill()]) == (
        f"done by hand: BUY 1 ES 12-26 at 6400, 1 of 2 as planned in {name}",
    )
    assert await plans.follow(SIM101, [fill(), fill("x2")]) == (
        f"done by hand: BUY 1 ES 12-26 at 6400, 2 of 2 as planned in {name}",
    )


async def test_the_same_call_again_within_a_moment_is_the_same_plan(
    plans: Plans, store: SqliteStore, clock: ManualClock
) -> None:
    first = await plan(plans)
    assert await plan(plans) == first
    assert len(await store.entries(9)) == 1
    assert await plan(plans, 1) != first
    clock.advance(91)
    assert await plan(plans) != first


async def test_of_two_plans_the_older_is_done_first(plans: Plans, clock: ManualClock) -> None:
    first = await plan(plans, 1)
    clock.advance(91)
    second = await plan(plans, 1)
    told = await plans.follow(SIM101, [fill(), fill("x2", at=NOW + timedelta(minutes=2))])
    assert [each.rpartition(" ")[2] for each in told] == [first, second]


@pytest.mark.parametrize(
    "other",
    [
        fill(instrument=MES),
        fill(action=OrderAction.SELL),
        fill(action=None),
        fill(quantity=3),
        fill(at=NOW - timedelta(minutes=1)),
        fill(at=None),
    ],
)
async def test_what_does_not_fit_is_no_deed(plans: Plans, store: SqliteStore, other: Execution) -> None:
    await plan(plans)
    assert await plans.follow(SIM101, [other]) == ()
    assert len(await store.entries(9)) == 1


async def test_what_fills_of_an_order_that_was_there_before_is_no_deed(plans: Plans) -> None:
    standing = Order(SIM101, "o2", ES, OrderAction.BUY, OrderType.LIMIT, OrderState.WORKING, 1, 0)
    facts = replace(context(orders=(standing,)), over=frozenset({"o1"}))
    _, (judged,) = as_plans([review(place_order(quantity=2), facts, ADVISED.for_(SIM101, "ES"))])
    await plans.keep([judged], "")
    a_little_before = NOW - timedelta(seconds=8)  # by a clock that is behind it may be of later
    known = [fill("x1", order_id="o1", at=a_little_before), fill("x2", order_id="o1"), fill("x3", order_id="o2")]
    assert await plans.follow(SIM101, known) == ()
    assert await plans.follow(SIM101, [*known, fill("x4", order_id="o3", at=a_little_before)]) != ()


async def test_where_nobody_could_list_the_orders_only_what_is_later_by_its_time_is_a_deed(plans: Plans) -> None:
    _, (judged,) = as_plans([review(place_order(quantity=2), context(orders=None), ADVISED.for_(SIM101, "ES"))])
    await plans.keep([judged], "")
    assert await plans.follow(SIM101, [fill(at=NOW - timedelta(seconds=1))]) == ()
    assert await plans.follow(SIM101, [fill(at=NOW)]) != ()


async def test_old_plans_and_accounts_that_are_sent_to_are_not_followed(
    plans: Plans, store: SqliteStore, clock: ManualClock
) -> None:
    await plan(plans)
    assert await Plans(store, Membership(Policy(), clock), clock).follow(SIM101, [fill()]) == ()
    clock.advance(13 * 3600)
    assert await plans.follow(SIM101, [fill()]) == ()
