"""What a machine tells the plane of its trader: what was read last, by whatever reading, and nothing asked for it."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from ct_mcp import __version__
from ct_mcp.crosstrade.stream.events import AccountChanged, PnlUpdate
from ct_mcp.desk.controls import Actor
from ct_mcp.desk.desk import Desk
from ct_mcp.desk.team_report import TeamReporter
from ct_mcp.domain.account import Account, AccountKind
from ct_mcp.domain.approval import Approval, Ticket
from ct_mcp.domain.team import HeldPosition, ReportedAccount
from ct_mcp.guard.policy import Mode, Policy
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.simulator import Simulator
from ct_mcp.store.sqlite import SqliteStore
from tests.planes import FakePlane, member
from tests.unit.desk.conftest import Buys

SIM101 = "Sim101"


@pytest.fixture
def policy() -> Policy:
    """Nobody has to be asked here."""
    return Policy(simulated=Approval.NONE)


@pytest.fixture
def plane(clock: ManualClock) -> FakePlane:
    """A team."""
    return FakePlane(clock)


@pytest.fixture
def reporter(plane: FakePlane, policy: Policy, store: SqliteStore, clock: ManualClock, tmp_path: Path) -> TeamReporter:
    """The machine of a trader of that team."""
    return TeamReporter(member(policy, plane, tmp_path), lambda: store, clock, "alice\x1b[31m-pc")


Reported = Callable[[str], ReportedAccount]


@pytest.fixture
def reported(plane: FakePlane) -> Reported:
    """What the last report says of an account."""

    def of(name: str) -> ReportedAccount:
        return next(each for each in plane.reports[-1].accounts if each.account == name)

    return of


async def test_a_machine_that_has_read_nothing_says_so(reporter: TeamReporter, plane: FakePlane) -> None:
    await reporter.report(None)
    (told,) = plane.reports
    assert (told.machine, told.version, told.mode) == ("alice[31m-pc", __version__, "sim")
    assert (told.halted, told.unknown_outcomes, told.policies, told.accounts) == ("", 0, (), ())


async def test_without_a_store_there_is_none_to_make(
    plane: FakePlane, policy: Policy, clock: ManualClock, tmp_path: Path
) -> None:
    await TeamReporter(member(policy, plane, tmp_path), lambda: None, clock, "pc").report(None)
    assert plane.reports[-1].accounts == ()


async def test_what_a_trade_read_is_told_with_its_age_and_no_request(
    reporter: TeamReporter, desk: Desk, sim: Simulator, clock: ManualClock, reported: Reported, buy: Buys
) -> None:
    ticket = await desk.propose(buy(2))
    assert isinstance(ticket, Ticket)
    await desk.commit(ticket.ticket_id)
    read_at, before = clock(), len(sim.requests)
    clock.advance(30)
    await reporter.report(desk.seen)
    assert len(sim.requests) == before
    told = reported(SIM101)
    assert told.kind is AccountKind.SIMULATED
    assert told.positions == (HeldPosition("MES 09-26", 2),)
    assert told.is_flat is False
    assert told.day_pnl is not None
    assert told.read_at is not None
    assert read_at - timedelta(seconds=10) <= told.read_at <= read_at


async def test_flat_wants_a_second_source_of_the_same_time(
    reporter: TeamReporter, desk: Desk, store: SqliteStore, clock: ManualClock, reported: Reported
) -> None:
    await store.keep_accounts([Account(SIM101, AccountKind.SIMULATED)], clock())
    await desk.upstream.account(SIM101)
    clock.advance(60)
    await desk.upstream.positions(SIM101)
    await reporter.report(desk.seen)
    assert reported(SIM101).is_flat is None, "a list that came back empty"
    await desk.upstream.account(SIM101)
    await reporter.report(desk.seen)
    assert reported(SIM101).is_flat is True, "and its own figures agree"


async def test_what_has_changed_since_is_not_known(
    reporter: TeamReporter, desk: Desk, reported: Reported, clock: ManualClock
) -> None:
    await desk.upstream.account(SIM101)
    await desk.upstream.positions(SIM101)
    await desk.upstream.orders(SIM101, active_only=True)
    desk.seen.hear(PnlUpdate(SIM101, Decimal(-20), Decimal(5), clock()))
    await reporter.report(desk.seen)
    assert (reported(SIM101).day_pnl, reported(SIM101).working_orders) == (Decimal(-15), 0)
    desk.seen.hear(AccountChanged(SIM101))
    await reporter.report(desk.seen)
    told = reported(SIM101)
    assert (told.positions, told.working_orders, told.day_pnl) == (None, None, Decimal(-15))


async def test_halts_of_both_and_the_policies_that_hold_are_told(
    plane: FakePlane, desk: Desk, store: SqliteStore, clock: ManualClock, tmp_path: Path, policy: Policy
) -> None:
    team = member(policy, plane, tmp_path)
    await desk.controls.halt("lunch", Actor.TERMINAL)
    plane.halt("too much")
    plane.set('mode = "read_only"')
    await team.hear()
    reporter = TeamReporter(team, lambda: store, clock, "pc")
    await desk.upstream.account(SIM101)
    await reporter.report(desk.seen)
    told = plane.reports[-1]
    assert told.halted == "by the person: lunch; by bob: too much"
    assert told.policies == (1,)
    assert told.accounts[0].over == ("TEAM_LETS_NOTHING_OPEN",)


@pytest.mark.parametrize("policy", [Policy(mode=Mode.LIVE)], ids=["live"])
async def test_what_stands_in_the_way_of_opening_is_named(
    reporter: TeamReporter, desk: Desk, store: SqliteStore, clock: ManualClock, reported: Reported
) -> None:
    await desk.upstream.account(SIM101)
    await store.mark_day_loss(SIM101, clock().date(), Decimal(-600), clock())
    await reporter.report(desk.seen)
    assert {"ACCOUNT_NOT_NAMED", "ACCOUNT_NOT_ARMED", "DAY_LOSS_REACHED"} <= set(reported(SIM101).over)
