"""No opposite positions over all accounts: judged on what every account holds now, and never on one list alone."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from mcp_types import ElicitResult

from ct_mcp.desk.desk import Desk
from ct_mcp.desk.outcome import Outcome
from ct_mcp.domain.approval import Ticket
from ct_mcp.domain.commands import PlaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import OrderAction
from ct_mcp.guard.firm_policy import FirmRules
from ct_mcp.guard.policy import AccountPolicy, Limits, Policy
from ct_mcp.simulator.accounts import LIVE, SIM, AccountSpec
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.orders import Action, OrderLabels, OrderTerms, SimOrderType
from ct_mcp.simulator.simulator import SimulatorSettings
from ct_mcp.store.sqlite import SqliteStore
from tests.conftest import Person, yes
from tests.e2e.conftest import Assistant, Wire, World
from tests.factories import place_order

OTHER = AccountSpec(3, "Sim102", "Sim102", "Simulator", "Sim102", cash=50_000.0)
RULES = FirmRules(no_opposite_over_accounts=True, opposite_groups=(frozenset({"ES", "NQ"}),))
MES, ES = Instrument("MES", 2026, 9), Instrument("ES", 2026, 9)


@pytest.fixture
def settings() -> SimulatorSettings:
    """Two evaluation accounts, and one of another firm."""
    return SimulatorSettings(accounts=(SIM, OTHER, LIVE))


@pytest.fixture
def policy() -> Policy:
    """The rule for the two."""
    accounts = {name: AccountPolicy(firm=RULES) for name in ("Sim101", "Sim102")}
    return Policy(limits=replace(Limits(), price_band_ticks=1_000), accounts=accounts)


def trades(world: World, account: str, action: Action, root: str = "MES", limit: float | None = None) -> None:
    """Let somebody, or a copier, send an order in NinjaTrader itself."""
    contract = world.sim.market.front(root, world.clock())
    kind = SimOrderType.MARKET if limit is None else SimOrderType.LIMIT
    terms = OrderTerms(contract, action, 1, kind, limit_price=limit or 0.0)
    world.sim.exchange.submit(world.sim.exchange.accounts[account], terms, OrderLabels(), world.clock())
    world.later(5)


@pytest.mark.parametrize(
    ("account", "root"), [("Sim102", "MES"), ("Sim102", "ES"), ("Sim102", "MNQ"), (LIVE.name, "MES")]
)
async def test_what_another_account_holds_the_other_way_denies_an_opening(
    assistant: Assistant, world: World, account: str, root: str
) -> None:
    trades(world, account, Action.SELL, root)
    denied = await assistant.buys(1)
    assert denied.status == "denied"
    assert f"OPPOSITE_POSITION: BUY MES 09-26, against it=-1 {root} 09-26 in {account}" in denied.reasons_text
    assert world.writes() == 0
    sold = await assistant.buys(1, action="SELL")
    assert sold.status == "filled", sold.text


async def test_what_works_in_another_account_counts(assistant: Assistant, world: World) -> None:
    trades(world, "Sim102", Action.SELL, limit=world.price(400))
    assert "against it=-1 MES 09-26 in Sim102" in (await assistant.buys(1)).reasons_text
    assert (await assistant.buys(1, action="SELL")).status == "filled"


async def test_exits_leave_whatever_others_hold_and_whether_or_not_it_is_known(
    assistant: Assistant, world: World, wire: Wire
) -> None:
    assert (await assistant.buys(2, stop_loss="20 points")).status == "filled"
    trades(world, "Sim102", Action.SELL)
    world.sim.faults.arm(Fault.ERROR_500_BEFORE_ACCEPT, rpc="GetAllPositions")
    read = len([path for _, path, _ in wire.left if path == "/v1/api/positions"])
    part = await assistant.call("close_position", account="Sim101", instrument="MES", quantity=1)
    assert part.sent is not False, part.text
    world.later()
    left = await assistant.call("flatten", account="Sim101")
    assert left.status == "flat", left.text
    assert len([path for _, path, _ in wire.left if path == "/v1/api/positions"]) == read, "none of it is even read"


@pytest.mark.parametrize("rpc", ["GetAllPositions", "GetAllOrders", "GetAccountSummary"])
async def test_what_cannot_be_read_denies_an_opening_in_words(assistant: Assistant, world: World, rpc: str) -> None:
    await assistant.call("get_accounts")
    world.sim.faults.arm(Fault.ERROR_500_BEFORE_ACCEPT, rpc=rpc)
    denied = await assistant.buys(1)
    assert "POSITION_UNKNOWN: what is held and works in APEX-482910, Sim102 is not known" in denied.reasons_text
    assert "all accounts could not be read" in denied.text
    assert world.writes() == 0


async def test_an_empty_list_is_not_believed_against_the_report(assistant: Assistant, world: World) -> None:
    trades(world, "Sim102", Action.SELL)
    world.sim.faults.arm(Fault.EMPTY_LISTS, rpc="GetAllPositions")
    denied = await assistant.buys(1)
    assert "POSITION_UNKNOWN: what is held and works in Sim102 is not known" in denied.reasons_text


async def test_what_a_copier_does_while_the_person_reads_is_seen_at_the_send(
    converse: Callable[..., Any], world: World, person: Person
) -> None:
    def answer(question: str) -> ElicitResult:
        trades(world, "Sim102", Action.SELL)
        return yes(question)

    person.answer = answer
    async with converse(person) as assistant:
        denied = await assistant.buys(1)
    assert denied.status == "denied", denied.text
    assert "OPPOSITE_POSITION" in denied.reasons_text
    assert "in Sim102" in denied.reasons_text
    assert world.writes() == 0


async def test_an_order_of_unknown_outcome_elsewhere_counts(assistant: Assistant, world: World) -> None:
    world.sim.faults.arm(Fault.REQUEST_LOST_BEFORE_ACCEPT, rpc="PlaceOrder", times=1)
    lost = await assistant.call(
        "place_order", account="Sim102", instrument="MES", action="SELL", quantity=1, order_type="MARKET"
    )
    assert lost.status == "unknown", lost.text
    denied = await assistant.buys(1)
    assert "against it=-1 MES 09-26 in Sim102" in denied.reasons_text


BUYS = place_order(instrument=MES)
SELLS_THERE = replace(BUYS, account="Sim102", action=OrderAction.SELL)


@pytest.mark.parametrize("second", [SELLS_THERE, replace(SELLS_THERE, account="Sim101", instrument=ES)])
async def test_two_commands_of_one_ticket_may_not_stand_against_each_other(
    desk: Desk, world: World, second: PlaceOrder
) -> None:
    told = await desk.propose([BUYS, second])
    assert isinstance(told, Outcome)
    assert told.status == "denied"
    assert " ".join(told.reasons).count("OPPOSITE_POSITION") == 2, "each of them against the other"
    assert world.writes() == 0


async def test_two_of_one_ticket_on_the_same_side_go(desk: Desk, world: World) -> None:
    ticket = await desk.propose([BUYS, replace(BUYS, account="Sim102")])
    assert isinstance(ticket, Ticket)


async def test_at_the_send_the_second_of_a_ticket_sees_what_became_of_the_first(
    desk: Desk, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ct_mcp.desk.plans.with_each_other", list)
    ticket = await desk.propose([BUYS, SELLS_THERE])
    assert isinstance(ticket, Ticket)
    await desk.store.approve_ticket(ticket.ticket_id, "the person", desk.clock())
    told = await desk.commit(ticket.ticket_id)
    assert "OPPOSITE_POSITION" in " ".join(told.reasons)
    assert (world.net(), world.net(account="Sim102")) == (1, 0)


async def test_of_two_processes_that_send_at_once_the_second_looks_again(
    desk: Desk, store: SqliteStore, world: World, policy: Policy
) -> None:
    another = Desk(desk.upstream, store, policy, clock=desk.clock, pause=desk.pause)
    first, second = await desk.propose(BUYS), await another.propose(SELLS_THERE)
    assert isinstance(first, Ticket)
    assert isinstance(second, Ticket)
    for ticket in (first, second):
        await store.approve_ticket(ticket.ticket_id, "the person", desk.clock())
    review = another.contexts.review
    waited = list[Any]()

    async def after_the_first(*args: Any, **more: Any) -> Any:
        found = await review(*args, **more)
        if not waited:
            waited.append(await desk.commit(first.ticket_id))
        return found

    another.contexts.review = after_the_first  # type: ignore[method-assign]
    told = await another.commit(second.ticket_id)
    assert waited[0].status == "filled"
    assert told.status == "denied"
    assert "OPPOSITE_POSITION" in " ".join(told.reasons)
    assert (world.net(), world.net(account="Sim102")) == (1, 0)


async def test_the_account_tells_what_others_hold_and_so_does_the_question(
    assistant: Assistant, world: World, person: Person
) -> None:
    trades(world, "Sim102", Action.BUY)
    told = await assistant.call("get_account", account="Sim101")
    line = "Opposite positions none may open (held: nothing is held; in 2 other accounts: +1 MES 09-26 in Sim102)"
    assert line in told.structure["rules_of_funded_account"]
    assert (await assistant.buys(1)).status == "filled"
    assert "in 2 other accounts: +1 MES 09-26 in Sim102" in person.asked[-1]


class TestWhereTheAccountIsLive:
    """Practice is no position of a firm's."""

    @pytest.fixture
    def policy(self) -> Policy:
        """The rule for a live account, which is only looked at here."""
        return Policy(accounts={LIVE.name: AccountPolicy(firm=RULES), "Sim101": AccountPolicy(firm=RULES)})

    async def test_what_is_only_simulated_does_not_count(self, assistant: Assistant, world: World) -> None:
        trades(world, "Sim102", Action.SELL)
        told = await assistant.call("get_account", account=LIVE.name)
        assert "in no other accounts: nothing is held" in told.text
        assert "in Sim102" in (await assistant.buys(1)).reasons_text
