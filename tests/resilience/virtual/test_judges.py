"""The judge of the campaign: what is wrong is found, and what is not wrong is not."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from virtual_episode import Episode, Name
from virtual_limits import LossesRead, OwnLimits
from virtual_network import UNDER_WAY, Request
from virtual_time import play
from virtual_world import Call, seeded_ids

from ct_mcp.crosstrade.failures import HttpAnswer
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.domain.approval import Approval, Ticket, TicketState
from ct_mcp.domain.commands import CancelOrders, Command, Flatten, PlaceOrder
from ct_mcp.domain.order import OrderAction, OrderType, TimeInForce
from ct_mcp.guard.policy import Limits, Policy
from ct_mcp.simulator.accounts import SIM
from ct_mcp.simulator.orders import Action, OrderLabels, OrderTerms, SimOrder, SimOrderType

NOON = datetime(2026, 9, 9, 17, tzinfo=UTC)
Acts = Callable[[Episode], Awaitable[None]]


def found(acts: Acts) -> list[str]:
    """The kinds of what is found in an episode in which only this happens."""
    with seeded_ids(Random("ids")):
        episode = Episode(Name(2, 0))

        async def main() -> None:
            await acts(episode)

        play(main, Random("order"))
    episode.world.database.close()
    return [finding.kind for finding in episode.played.findings]


async def later(seconds: float) -> None:
    """Let virtual time pass."""
    is_then = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, is_then.set)
    await is_then.wait()


def a_call(episode: Episode, *commands: Command) -> Call:
    """A call for which nobody had to be asked, that is just being sent."""
    now = episode.world.clock()
    ticket = Ticket(
        ticket_id="t1",
        commands=commands,
        fingerprint="",
        own_id="ctmcp-t1",
        summary="",
        request=None,
        phrase="",
        approval=Approval.NONE,
        simulated=True,
        reason="",
        created_at=now,
        expires_at=now + timedelta(seconds=90),
        state=TicketState.SPENT,
    )
    at = episode.world.now
    return Call(episode.world.processes[0], commands, at, ticket, commits_at=at)


def passes(
    episode: Episode,
    call: Call,
    rpc: str,
    account: str,
    *,
    shows: float | None = None,
    does: Callable[[], object] = lambda: None,
) -> None:
    """One request there and back, at this moment; what it shows may be of an earlier one."""
    now = episode.world.now
    request = Request(rpc, account, {}, call, now, writes=rpc in ("CancelOrders", "Flatten", "PlaceOrder"))
    episode.judge.leaves(request)
    request.at, request.shows_moment = now, now if shows is None else shows
    episode.judge.arrives(request)
    under_way = UNDER_WAY.set(request)
    does()
    UNDER_WAY.reset(under_way)
    request.status = 200
    episode.judge.is_answered(request)


@pytest.mark.parametrize(
    ("looks_at_orders_after_the_fill", "warning", "is_found"),
    [
        (False, "", True),
        (False, "the position in MES 09-26 was flat and reads +1 now", False),
        (True, "", False),
    ],
    ids=["it filled behind the last look", "and that is told", "it had filled by then"],
)
def test_cancelled_hides_what_filled_after_the_last_look_at_orders(
    looks_at_orders_after_the_fill: bool, warning: str, is_found: bool
) -> None:
    """Positions may be older than the orders that are read beside them: what they show says nothing of orders."""

    async def acts(episode: Episode) -> None:
        simulator, account = episode.world.simulator, SIM.name
        terms = OrderTerms(
            simulator.market.front("MES", episode.world.true_clock()), Action.BUY, 1, SimOrderType.MARKET
        )
        simulator.exchange.submit(
            simulator.exchange.accounts[account], terms, OrderLabels(rpc="ByHand"), simulator.addon.now
        )
        await later(0.001)
        before, call = episode.world.now, a_call(episode, CancelOrders(account, None))
        passes(episode, call, "ListOrders", account)
        await later(30)
        simulator.addon.wake()
        if looks_at_orders_after_the_fill:
            passes(episode, call, "ListOrders", account)
        passes(episode, call, "ListPositions", account, shows=before)
        passes(episode, call, "CancelOrders", account)
        warnings = (warning,) if warning else ()
        call.told = Outcome(Status.CANCELLED, "CANCEL all orders", simulated=True, ticket_id="t1", warnings=warnings)
        episode.answers.hears(call)

    assert ("hidden fill" in found(acts)) == is_found


def sends(episode: Episode, action: Action, size: int, **more: Any) -> SimOrder:
    """An order of SIM in its usual contract, at the market unless more is said."""
    simulator = episode.world.simulator
    contract = simulator.market.front("MES", episode.world.true_clock())
    terms = replace(OrderTerms(contract, action, size, SimOrderType.MARKET), **more)
    account = simulator.exchange.accounts[SIM.name]
    return simulator.exchange.submit(account, terms, OrderLabels(rpc="ByHand"), simulator.addon.now)


def a_limit(episode: Episode, ticks_below: int) -> dict[str, Any]:
    """The terms of a limit order, or with a negative distance above the market."""
    contract = episode.world.simulator.market.front("MES", episode.world.true_clock())
    last = episode.world.simulator.market.top(contract, episode.world.true_clock()).last
    return {"order_type": SimOrderType.LIMIT, "limit_price": contract.product.price(last - ticks_below)}


def a_stop(episode: Episode, ticks_below: int) -> dict[str, Any]:
    """The terms of a stop order so far below the market."""
    said = a_limit(episode, ticks_below)
    return {"order_type": SimOrderType.STOP_MARKET, "stop_price": said["limit_price"]}


async def wakes(episode: Episode, seconds: float) -> None:
    """Let virtual time pass, and what is due in it happen."""
    await later(seconds)
    episode.world.simulator.addon.wake()


@pytest.mark.parametrize(
    ("is_turned_by_somebody", "is_found"),
    [(False, True), (True, False)],
    ids=["it protected the position", "it protected nothing any more when the cancel left"],
)
def test_a_stop_that_a_cancel_takes_from_what_it_protects_is_told(is_turned_by_somebody: bool, is_found: bool) -> None:
    async def acts(episode: Episode) -> None:
        sends(episode, Action.BUY, 1)
        stop = sends(episode, Action.SELL, 1, **a_stop(episode, 200))
        await wakes(episode, 20)
        call = a_call(episode, CancelOrders(SIM.name, None))
        passes(episode, call, "ListOrders", SIM.name)
        if is_turned_by_somebody:
            sends(episode, Action.SELL, 4)
            await wakes(episode, 20)
            passes(episode, call, "ListOrders", SIM.name)
        await wakes(episode, 1)
        exchange, now = episode.world.simulator.exchange, episode.world.simulator.addon.now
        passes(episode, call, "CancelOrders", SIM.name, does=lambda: exchange.cancel(stop, now))
        await wakes(episode, 1)
        call.told = Outcome(Status.CANCELLED, "CANCEL all orders", simulated=True, ticket_id="t1")
        episode.answers.hears(call)

    assert ("unprotected" in found(acts)) == is_found


@pytest.mark.parametrize("positions_are_late", [False, True])
def test_a_stop_is_told_as_missing_only_where_what_was_read_may_have_shown_it(positions_are_late: bool) -> None:
    """The position is gone and its stop with it; positions of before beside orders of now look like one without."""

    async def acts(episode: Episode) -> None:
        sends(episode, Action.BUY, 1)
        stop = sends(episode, Action.SELL, 1, **a_stop(episode, 200))
        await wakes(episode, 20)
        before, exchange = episode.world.now, episode.world.simulator.exchange
        sends(episode, Action.SELL, 1)
        await wakes(episode, 20)
        exchange.cancel(stop, episode.world.simulator.addon.now)
        await wakes(episode, 20)
        call = a_call(episode, CancelOrders(SIM.name, None))
        passes(episode, call, "CancelOrders", SIM.name)
        passes(episode, call, "ListPositions", SIM.name, shows=before if positions_are_late else None)
        alarm = "UNPROTECTED: 1 of the 1 contracts held in MES 09-26 stand without a stop"
        call.told = Outcome(Status.CANCELLED, "CANCEL all orders", simulated=True, ticket_id="t1", alarm=alarm)
        episode.answers.hears(call)

    assert ("false cry" in found(acts)) is not positions_are_late


@pytest.mark.parametrize(
    ("positions_are_late", "is_found"),
    [(False, True), (True, False)],
    ids=["what was read shows that it opens", "positions of before the fill beside orders of after it"],
)
def test_after_a_days_loss_an_order_opens_only_if_what_was_read_may_have_shown_an_exit(
    positions_are_late: bool, is_found: bool
) -> None:
    async def acts(episode: Episode) -> None:
        episode.world.losses.hears(answer(-1e6, 0), episode.world.now, episode.world.true_clock())
        sends(episode, Action.SELL, 2)
        await wakes(episode, 20)
        resting = sends(episode, Action.BUY, 1, **a_limit(episode, 100))
        await wakes(episode, 1)
        before = episode.world.now
        episode.outsider.lets_fill(resting)
        await wakes(episode, 20)
        terms = (OrderAction.BUY, 2, OrderType.MARKET, None, None, TimeInForce.DAY)
        command = PlaceOrder(SIM.name, episode.world.instrument("MES"), *terms)
        call = a_call(episode, command)
        passes(episode, call, "ListOrders", SIM.name)
        passes(episode, call, "ListPositions", SIM.name, shows=before if positions_are_late else None)
        passes(episode, call, "PlaceOrder", SIM.name, does=lambda: sends(episode, Action.BUY, 2))

    assert ("day loss" in found(acts)) == is_found


@pytest.mark.parametrize("reads_between", [True, False])
def test_of_several_accounts_no_exit_waits_for_what_is_read_of_another(reads_between: bool) -> None:
    async def acts(episode: Episode) -> None:
        one, other = episode.world.accounts
        call = a_call(episode, Flatten(one, None), Flatten(other, None))
        steps = [("Flatten", one), ("ListPositions", one), ("Flatten", other)]
        for rpc, account in steps if reads_between else sorted(steps):
            passes(episode, call, rpc, account)

    assert ("late" in found(acts)) == reads_between


def test_what_is_sent_for_a_ticket_of_another_service_is_found() -> None:
    async def acts(episode: Episode) -> None:
        episode.judge.strangers.add("t1")
        passes(episode, a_call(episode, Flatten(SIM.name, None)), "Flatten", SIM.name)

    assert found(acts) == ["stranger"]


def answer(realized: float, unrealized: float) -> HttpAnswer:
    """A report of one account."""
    item = {"realizedProfitLoss": realized, "unrealizedProfitLoss": unrealized}
    return HttpAnswer(200, json.dumps({"accounts": [{"account": {"name": SIM.name, "item": item}}]}))


@pytest.mark.parametrize(
    ("pnl", "later", "is_troubled", "was_reached"),
    [
        ((-30.0, -10.0), timedelta(seconds=60), False, True),
        ((-30.0, -9.5), timedelta(seconds=60), False, False),
        ((-30.0, -10.0), timedelta(seconds=4), False, False),
        ((-30.0, -10.0), timedelta(seconds=60), True, False),
        ((-30.0, -10.0), timedelta(hours=20), False, False),
    ],
    ids=["a minute ago", "not yet", "just now", "it could not be written down", "a day ago"],
)
def test_a_loss_that_was_read_forbids_to_open_for_the_rest_of_its_day(
    pnl: tuple[float, float], later: timedelta, is_troubled: bool, was_reached: bool
) -> None:
    losses = LossesRead(Limits(max_day_loss=Decimal(40)))
    losses.hears(answer(*pnl), 100.0, NOON)
    losses.hears(HttpAnswer(200, "<html>"), 100.0, NOON)
    if is_troubled:
        losses.is_troubled(102.0)
    before = 100.0 + later.total_seconds()
    assert losses.was_reached(SIM.name, before, NOON + later) is was_reached
    assert not losses.was_reached("SimReplay", before, NOON + later)


def test_the_limits_of_one_account_are_set_as_they_are_judged() -> None:
    table = OwnLimits("Sim101", most_held=3)
    assert table.settings(Policy()).for_("Sim101", "MES").limits.max_position_contracts == 3
    assert "Sim101" not in table.settings(Policy()).accounts, "its name is written in other letters"
    assert (table.most_of("Sim101"), table.most_of("SimReplay")) == (3, 8)
    yen = OwnLimits("Sim101", is_in_yen=True, dollar=Decimal(150))
    assert yen.worth(Decimal(100), "Sim101") == Decimal(15_000)
    assert yen.worth(Decimal(100), "SimReplay") == Decimal(100)
    assert OwnLimits("Sim101", is_in_yen=True, dollar=None).worth(Decimal(1), "Sim101") is None
