"""A funded account in conversation: its floor holds an order, its room is told; an account that is only advised on."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from ct_mcp.desk.controls import Actor
from ct_mcp.desk.desk import Desk
from ct_mcp.domain.approval import Ticket
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import trading_day
from ct_mcp.guard.firm_policy import (
    Automation,
    DayLossEnds,
    Drawdown,
    DrawdownKind,
    FirmRules,
    NewsCalendar,
    NewsEvent,
    NewsRule,
    Preset,
    PresetFigure,
    ScalingStep,
)
from ct_mcp.guard.policy import AccountPolicy, Limits, Policy
from ct_mcp.simulator.accounts import SIM
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.orders import Action, OrderLabels, OrderTerms, SimOrderType
from ct_mcp.simulator.simulator import SimulatorSettings
from ct_mcp.store.journal import EntryKind
from ct_mcp.store.sqlite import SqliteStore
from tests.conftest import Person
from tests.e2e.conftest import Assistant, World
from tests.factories import place_order

START = Decimal(100_000)
FLOOR = Drawdown(DrawdownKind.END_OF_DAY, Decimal(2_000), START, START)


def rules(clock: ManualClock) -> FirmRules:
    today = trading_day(clock())
    figure = PresetFigure("drawdown_amount", "2000", "https://example.com", today - timedelta(days=100))
    news = NewsRule(
        timedelta(minutes=2),
        timedelta(minutes=2),
        NewsCalendar(today, (NewsEvent(clock() + timedelta(hours=1), "FOMC"),)),
    )
    return FirmRules(
        preset=Preset("some-100k", "Some 100K", (figure,)),
        drawdown=FLOOR,
        scaling=(ScalingStep(Decimal(0), Decimal(1)),),
        no_opposite=True,
        profit_lock=Decimal(900),
        news=news,
        best_day_percent=Decimal(50),
    )


@pytest.fixture
def settings() -> SimulatorSettings:
    """An account that has not traded yet."""
    return SimulatorSettings(accounts=(replace(SIM, cash=float(START)),))


@pytest.fixture
def automation() -> Automation:
    """What may be sent; tests of advice override it."""
    return Automation.PROPOSE


@pytest.fixture
def policy(clock: ManualClock, automation: Automation) -> Policy:
    """A funded account of 100,000 beside one without rules."""
    limits, advises = replace(Limits(), max_day_loss=Decimal(5_000)), automation is Automation.ADVISE
    return Policy(
        limits=limits, accounts={"Sim101": AccountPolicy(automation=automation, firm=None if advises else rules(clock))}
    )


async def test_the_floor_holds_an_order_and_its_room_is_told_everywhere(
    assistant: Assistant, desk: Desk, world: World, person: Person
) -> None:
    told = await assistant.call("get_account", account="Sim101")
    lines = told.structure["rules_of_funded_account"]
    status = await assistant.call("get_status")
    assert any("account Sim101: preset some-100k of" in note and "OLD" in note for note in status.structure["notes"])
    assert lines[0].startswith("held: preset some-100k of ")
    assert "OLD: looked up 100 days ago" in lines[0]
    assert "Drawdown floor 2,000.00 (above 98,000.00, end_of_day; 2,000.00 beside the stops of what is open)" in lines
    assert all(line in told.text for line in lines)
    assert any(line.startswith("Contracts 1 left (of 1 minis") for line in lines)
    assert any(line.startswith("News FOMC at ") for line in lines)
    assert any(line.startswith("Best day no share") for line in lines)

    order: dict[str, Any] = {"quantity": 5, "stop_loss": "20 points"}
    preview = await assistant.call("preview_order", account="Sim101", instrument="MES", action="BUY", **_market(order))
    assert preview.structure["would_pass"], preview.text
    assert "Floor 1,500.00 (left above 98,000.00 once this and all that is open was stopped out)" in preview.text

    await desk.controls.tell_floor("Sim101", Decimal(99_600), Actor.TERMINAL)
    denied = await assistant.buys(**order)
    assert denied.status == "denied"
    assert "DRAWDOWN_FLOOR_REACHED: equity=100000, floor=99600 (end_of_day)" in denied.reasons_text
    assert world.writes() == 0

    bought = await assistant.buys(3, stop_loss="20 points")
    assert bought.status == "filled", bought.text
    assert "Floor 100.00" in person.asked[-1]
    assert "preset some-100k of " in person.asked[-1]

    world.later()
    left = await assistant.call("flatten", account="Sim101")
    assert left.status == "flat", "no rule of a firm holds an exit back"


ENDS = Policy(
    limits=replace(Limits(), max_day_loss=Decimal(1)),
    accounts={"Sim101": AccountPolicy(firm=FirmRules(day_loss_ends=DayLossEnds.ACCOUNT))},
)


@pytest.mark.parametrize("policy", [ENDS], ids=["one dollar ends it"])
async def test_a_day_s_loss_that_ends_the_account_keeps_it_shut_on_later_days_until_the_person_tells_a_floor(
    assistant: Assistant, desk: Desk, world: World, person: Person, policy: Policy
) -> None:
    assert policy is ENDS
    said = await assistant.call("get_account", account="Sim101")
    assert "Day's loss ends the account (at 1.00; reaching it ends the account: " in said.text
    assert (await assistant.buys(1)).status == "filled"
    assert "Day's loss ends the account" in person.asked[-1]
    world.later()
    assert (await assistant.call("flatten", account="Sim101")).status == "flat"
    lost_on = trading_day(world.clock())
    said = await assistant.call("get_account", account="Sim101")
    assert "REACHED: only exits, and it ends the account" in said.text

    world.later(24 * 3600)
    assert trading_day(world.clock()) > lost_on
    world.sim.exchange.accounts["Sim101"].gross_realized += 500
    said = await assistant.call("get_account", account="Sim101")
    assert (
        f"may NOT trade (DAY_LOSS_REACHED: the loss of {lost_on} ended the account; only exits are left)" in said.text
    )
    assert f"Account ENDED on {lost_on} (by the loss of that day; " in said.text
    denied = await assistant.buys(1)
    assert denied.status == "denied"
    assert f"DAY_LOSS_REACHED: reached on {lost_on}, which ended the account" in denied.reasons_text
    assert "ct-mcp floor Sim101 AMOUNT" in denied.reasons_text

    await desk.controls.tell_floor("Sim101", Decimal(98_000), Actor.TERMINAL)
    assert (await assistant.buys(1)).status == "filled"


def moves(kind: DrawdownKind) -> Policy:
    """An account whose floor trails so."""
    drawdown = Drawdown(kind, Decimal(2_000), START)
    return Policy(accounts={"Sim101": AccountPolicy(firm=FirmRules(drawdown=drawdown))})


def remembers(world: World, high: float) -> None:
    """Let the service remember that equity has been so high."""
    account = world.sim.exchange.accounts["Sim101"]
    account.has_reported = True
    account.watermarks.liquidation = high


async def floor_line(assistant: Assistant) -> str:
    said = await assistant.call("get_account", account="Sim101")
    lines: list[str] = said.structure["rules_of_funded_account"]
    return next(line for line in lines if line.startswith("Drawdown floor"))


@pytest.mark.parametrize("policy", [moves(DrawdownKind.INTRADAY)], ids=["intraday"])
async def test_a_peak_that_crosstrade_remembers_raises_a_floor_that_moves_within_the_day(
    assistant: Assistant, desk: Desk, world: World, policy: Policy, store: SqliteStore
) -> None:
    assert "(above 98,000.00, intraday" in await floor_line(assistant)
    remembers(world, 101_500)
    world.later()
    assert "Drawdown floor 500.00 (above 99,500.00, intraday" in await floor_line(assistant)
    denied = await assistant.buys(6, stop_loss="20 points")
    assert "DRAWDOWN_FLOOR_REACHED: equity=100000, floor=99500 (intraday)" in denied.reasons_text
    remembers(world, 100_100)
    world.later()
    assert "(above 99,500.00, intraday" in await floor_line(assistant), "a peak is never forgotten"
    await desk.controls.tell_floor("Sim101", Decimal(98_700), Actor.TERMINAL)
    remembers(world, 101_900)
    world.later()
    assert "(above 98,700.00, intraday" in await floor_line(assistant), "what the person told is the later"
    assert policy.accounts
    assert (await store.balance_record("Sim101")).told is not None


@pytest.mark.parametrize("policy", [moves(DrawdownKind.INTRADAY)], ids=["intraday"])
async def test_an_alert_on_the_room_reads_that_peak_once_a_day_and_an_order_never(
    assistant: Assistant, world: World, desk: Desk, policy: Policy
) -> None:
    async def looks(seconds: float) -> int:
        world.later(seconds)
        await desk.exit_watch.look()
        return len(world.sim.requests_of("GetWatermarks"))

    assert policy.accounts
    assert (await assistant.buys(1, stop_loss="20 points")).status == "filled"
    assert world.sim.requests_of("GetWatermarks") == []
    remembers(world, 101_000)
    world.sim.faults.arm(Fault.ERROR_500_BEFORE_ACCEPT, rpc="GetWatermarks")
    told = await assistant.call("set_watch", kind="room", account="Sim101", at_or_below=100)
    assert "now 1,9" in told.text, "a failed reading changes nothing"
    asked = len(world.sim.requests_of("GetWatermarks"))
    world.sim.faults.disarm()
    assert await looks(20) == asked + 1, "the next look reads it"
    assert (await desk.store.balance_record("Sim101")).days[-1].highest == 101_000
    asked = await looks(20)
    assert await looks(20) == asked
    assert await looks(24 * 3600) == asked + 1


@pytest.mark.parametrize("policy", [moves(DrawdownKind.END_OF_DAY)], ids=["end of day"])
async def test_such_a_peak_is_not_taken_for_a_floor_by_the_end_of_day(
    assistant: Assistant, world: World, policy: Policy, store: SqliteStore
) -> None:
    assert policy.accounts
    remembers(world, 101_500)
    assert "(above 98,000.00, end_of_day" in await floor_line(assistant)
    assert (await store.balance_record("Sim101")).days[-1].highest == START


def by_hand(world: World) -> None:
    """Let somebody buy one MES in NinjaTrader itself."""
    account, contract = world.sim.exchange.accounts["Sim101"], world.sim.market.front("MES", world.clock())
    terms = OrderTerms(contract, Action.BUY, 1, SimOrderType.MARKET)
    world.sim.exchange.submit(account, terms, OrderLabels(), world.clock())


def _market(order: dict[str, Any]) -> dict[str, Any]:
    return {"order_type": "MARKET", **order}


async def test_balances_are_on_record_once_anybody_has_looked(
    assistant: Assistant, store: SqliteStore, world: World
) -> None:
    await assistant.call("get_accounts")
    (day,) = (await store.balance_record("Sim101")).days
    assert (day.opening, day.balance, day.is_flat) == (START, START, True)
    world.later(60)
    await assistant.call("get_account", account="Sim101")
    (again,) = (await store.balance_record("Sim101")).days
    assert again.last_at > day.last_at


class TestAdvice:
    """An account that nothing is ever sent to."""

    @pytest.fixture
    def automation(self) -> Automation:
        return Automation.ADVISE

    async def test_a_proposal_becomes_a_plan_and_what_is_done_by_hand_is_held_against_it(
        self, assistant: Assistant, store: SqliteStore, world: World, person: Person
    ) -> None:
        status = await assistant.call("get_status")
        assert "Sim101" not in status.structure["tradable_accounts"]
        said = "account Sim101: automation advise: nothing is ever sent, proposals become plans"
        assert said in status.structure["notes"]
        assert said in status.text
        details = await assistant.call("get_status", details=True)
        assert "automation=advise" in details.text
        preview = await assistant.call("preview_order", account="Sim101", instrument="MES", action="BUY", **_market({}))
        assert preview.structure["passes_at_most"] > 0
        assert "automation advise: nothing is ever sent" in preview.text

        plan = await assistant.buys(2, stop_loss="10 points", reason="trend day")
        assert (plan.status, plan.sent, plan.is_error, plan.ticket_id) == ("needs_approval", False, False, None)
        assert plan.summary == "PLAN, not sent: SIM  Sim101  BUY 2 MES 09-26 MARKET, stop 10 points"
        assert "Risk 100.00" in plan.reasons_text
        assert "places it in NinjaTrader by hand" in plan.next_step
        (entry,) = [each for each in await store.entries(9) if each.kind is EntryKind.PROPOSED]
        assert entry.detail["approval"] == "by hand"
        assert entry.detail["orders"] == [{"instrument": "MES 09-26", "action": "BUY", "quantity": 2}]
        assert (await store.open_tickets(world.clock())) == ()

        world.later(5)
        by_hand(world)
        world.later(5)
        done = await assistant.call("get_executions", account="Sim101")
        assert f"1 of 2 as planned in {entry.own_id}" in done.text
        again = await assistant.call("get_executions", account="Sim101")
        assert "as planned in" not in again.text, "each is written down once"
        deed = (await store.entries(1))[0]
        assert (deed.kind, deed.own_id, deed.detail["filled"]) == (EntryKind.READ_BACK, entry.own_id, 1)
        assert await store.story(str(entry.own_id)) == (entry, deed)
        assert (world.writes(), person.asked) == (0, [])

    @pytest.mark.parametrize(
        ("tool", "more"),
        [
            ("flatten", {}),
            ("close_position", {"instrument": "MES"}),
            ("cancel_orders", {}),
            ("reverse_position", {"instrument": "MES"}),
            ("protect_position", {"instrument": "MES", "stop_loss": "10 points"}),
        ],
    )
    async def test_nothing_is_sent_and_no_exit(
        self, assistant: Assistant, world: World, tool: str, more: dict[str, str]
    ) -> None:
        by_hand(world)
        world.later(5)
        told = await assistant.call(tool, account="Sim101", **more)
        assert told.sent is False, told.text
        assert told.summary.startswith("PLAN, not sent: "), told.text
        assert world.writes() == 0
        assert world.net() == 1

    async def test_what_was_done_by_hand_before_a_plan_is_not_told_as_planned(
        self, assistant: Assistant, world: World
    ) -> None:
        by_hand(world)
        world.later(8)
        assert "Position +1 now" in (await assistant.buys(1, stop_loss="10 points")).reasons_text
        world.later(2)
        assert "as planned" not in (await assistant.call("get_executions", account="Sim101")).text
        by_hand(world)
        world.later(5)
        assert "1 of 1 as planned" in (await assistant.call("get_executions", account="Sim101")).text

    async def test_a_rules_no_is_a_no_to_a_plan_as_well(self, assistant: Assistant, world: World) -> None:
        denied = await assistant.buys(20)
        assert denied.status == "denied"
        assert "ADVISE" not in denied.reasons_text
        assert world.writes() == 0

    async def test_flattening_everything_leaves_it_alone_and_says_so(self, assistant: Assistant, world: World) -> None:
        by_hand(world)
        world.later(5)
        told = await assistant.call("flatten_everything")
        assert "Sim101 (ACCOUNT_ADVISE_ONLY" in told.text
        assert world.net() == 1

    async def test_a_ticket_of_before_is_not_sent(self, assistant: Assistant, desk: Desk, world: World) -> None:
        """What was approved under other settings meets the rule at the send."""
        propose = Desk(
            desk.upstream,
            desk.store,
            replace(desk.policy, accounts={}),
            clock=desk.clock,
            pause=desk.pause,
        )
        ticket = await propose.propose(place_order(instrument=Instrument("MES", 2026, 9)))
        assert isinstance(ticket, Ticket)
        await desk.store.approve_ticket(ticket.ticket_id, "the person", desk.clock())
        sent = await desk.commit(ticket.ticket_id)
        assert sent.status == "denied"
        assert "ACCOUNT_ADVISE_ONLY" in " ".join(sent.reasons)
        assert world.writes() == 0
        assert not (await assistant.call("get_orders", account="Sim101")).structure["orders"]
