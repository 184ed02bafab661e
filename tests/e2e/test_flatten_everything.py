"""Flat everywhere: account by account, for one yes, and said only when every one was read."""

import re
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest
from mcp_types import ElicitResult

from ct_mcp.desk.desk import Desk
from ct_mcp.desk.handlers import everywhere
from ct_mcp.domain.approval import Approval, Halt
from ct_mcp.guard.policy import AccountPolicy, Mode, Policy
from ct_mcp.simulator.accounts import LIVE, SIM
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault, Lag
from ct_mcp.simulator.orders import (
    Action,
    OrderEvent,
    OrderLabels,
    OrderTerms,
    SimExecution,
    SimOrderType,
)
from ct_mcp.simulator.simulator import SimulatorSettings
from ct_mcp.store.sqlite import SqliteStore
from ct_mcp.web.ticket_view import ticket_view
from tests.conftest import Person
from tests.e2e.conftest import Assistant, Converse, Told, Wire, World

REAL = LIVE.name
SECOND = replace(SIM, id=3, name="Sim102", display_name="Sim102", connection="Sim102")
BOTH = ("Sim101", "Sim102")
LIVE_POLICY = Policy(mode=Mode.LIVE, accounts={REAL: AccountPolicy()}, live=Approval.FORM)
LOST = [Fault.REQUEST_LOST_BEFORE_ACCEPT, Fault.ERROR_500_BEFORE_ACCEPT]
TAKEN = [Fault.ANSWER_LOST_AFTER_ACCEPT, Fault.TIMEOUT_AFTER_ACCEPT, Fault.EMPTY_BODY]


@pytest.fixture
def settings() -> SimulatorSettings:
    """Two simulated accounts and a real one."""
    return SimulatorSettings(accounts=(SIM, SECOND, LIVE))


@pytest.fixture
async def spread(assistant: Assistant, world: World) -> None:
    """A position with its stop in one account, a resting entry in the other."""
    await assistant.buys(2)
    world.later()
    await assistant.protects(world.price(-60), quantity=2)
    await assistant.rests(world.price(-40), account="Sim102")
    world.later()


def _flattened(wire: Wire) -> list[str]:
    return [path.split("/")[4] for path, _ in wire.posts() if path.endswith("/positions/flatten")]


def _after_the_exits(wire: Wire) -> list[tuple[str, str, Any]]:
    last = max(number for number, (_, path, _) in enumerate(wire.left) if path.endswith("/positions/flatten"))
    return wire.left[last + 1 :]


async def test_every_account_that_may_trade_is_flat_one_after_the_other(
    assistant: Assistant, world: World, wire: Wire, spread: None
) -> None:
    told = await assistant.call("flatten_everything")
    assert (told.status, told.sent, told.is_error) == ("flat", True, False)
    assert _flattened(wire) == ["Sim101", "Sim102"]
    assert (world.net(), world.live(), world.live("Sim102")) == (0, [], [])
    assert told.summary == "SIM  Sim101, Sim102  FLATTEN everything"


async def test_the_accounts_it_leaves_alone_are_named(assistant: Assistant, world: World, spread: None) -> None:
    told = await assistant.call("flatten_everything")
    assert f"not touched (get_positions tells what it holds): {REAL} (ACCOUNT_NOT_SIMULATED" in told.warnings_text
    assert REAL in told.text


async def test_an_account_with_nothing_open_is_read_all_the_same(
    assistant: Assistant, world: World, wire: Wire
) -> None:
    told = await assistant.call("flatten_everything")
    assert told.status == "flat"
    assert {path for _, path, _ in _after_the_exits(wire)} == {
        "/v1/api/positions",
        "/v1/api/orders",
        "/v1/api/accounts/snapshot",
    }


async def test_leaving_simulated_accounts_asks_nobody_and_works_under_a_halt(
    assistant: Assistant, world: World, person: Person, store: SqliteStore, clock: ManualClock, spread: None
) -> None:
    asked = len(person.asked)
    await store.set_halt(Halt("person", clock(), "lunch"))
    told = await assistant.call("flatten_everything")
    assert (told.status, world.net(), len(person.asked)) == ("flat", 0, asked)


@pytest.mark.parametrize("policy", [Policy(exits_simulated=Approval.FORM)], ids=["asked"])
async def test_where_exits_are_asked_about_one_yes_is_for_all_and_lists_what_stands(
    assistant: Assistant, world: World, person: Person, spread: None
) -> None:
    asked = len(person.asked)
    told = await assistant.call("flatten_everything")
    assert told.status == "flat"
    (question,) = person.asked[asked:]
    assert "Sim101" in question
    assert "Sim102" in question
    assert "MES 09-26" in question


@pytest.mark.parametrize("policy", [Policy(exits_simulated=Approval.FORM)], ids=["asked"])
async def test_a_no_of_the_person_leaves_everything(
    assistant: Assistant, world: World, person: Person, wire: Wire, spread: None
) -> None:
    person.answer = lambda _: ElicitResult(action="decline")
    told = await assistant.call("flatten_everything")
    assert (told.status, told.sent, world.net()) == ("declined", False, 2)
    assert _flattened(wire) == []


@pytest.mark.parametrize("policy", [LIVE_POLICY], ids=["live"])
async def test_a_named_account_that_is_not_armed_can_be_left(assistant: Assistant, world: World, wire: Wire) -> None:
    """An exit needs no arming; what the operator did not name stays alone."""
    told = await assistant.call("flatten_everything")
    assert (told.status, told.simulated) == ("flat", False)
    assert _flattened(wire) == [REAL]
    assert "not touched (get_positions tells what it holds): Sim101 (ACCOUNT_NOT_NAMED" in told.warnings_text


@pytest.mark.parametrize("policy", [Policy(mode=Mode.LIVE)], ids=["nobody named"])
async def test_where_no_account_may_be_flattened_it_says_why(assistant: Assistant, world: World) -> None:
    told = await assistant.call("flatten_everything")
    assert told.is_error
    assert told.text.startswith("ORDER_DENIED: no account may be flattened here: Sim101 (ACCOUNT_NOT_NAMED")
    assert "Nothing was sent" in told.text
    assert world.writes() == 0


async def test_it_takes_no_arguments(assistant: Assistant, world: World, spread: None) -> None:
    told = await assistant.call("flatten_everything", account="Sim101")
    assert told.text.startswith("REQUEST_INVALID: account is not a parameter")
    assert world.net() == 2


async def test_accounts_that_cannot_be_listed_are_an_error_and_never_flat(
    assistant: Assistant, world: World, spread: None
) -> None:
    world.sim.faults.arm(Fault.ADDON_OFFLINE, rpc="ListAccounts")
    told = await assistant.call("flatten_everything")
    assert told.is_error
    assert told.text.startswith("ADDON_OFFLINE")
    assert world.net() == 2


@pytest.mark.parametrize("fault", [Fault.FROZEN_ORDERS, Fault.NO_FILL, Fault.LATE_REJECT])
async def test_one_account_that_does_not_get_flat_is_never_called_flat(
    assistant: Assistant, world: World, spread: None, fault: Fault
) -> None:
    world.sim.faults.arm(fault, rpc="Flatten")
    told = await assistant.call("flatten_everything")
    assert world.net() == 2
    assert told.status in ("accepted", "rejected", "unknown")
    assert "Sim101" in told.text
    assert "still held" in told.text
    assert "tell the person now" in told.next_step


async def test_an_account_whose_exit_was_rejected_is_told_in_their_words(
    assistant: Assistant, world: World, spread: None
) -> None:
    world.sim.faults.arm(Fault.LATE_REJECT, rpc="Flatten", times=1)
    told = await assistant.call("flatten_everything")
    assert (told.status, world.net()) == ("rejected", 2)
    assert "Sim101: REJECTED: " in told.reasons_text
    assert 'reads REJECTED: they said "Order rejected by the exchange"' in told.reasons_text


async def test_an_account_that_is_refused_does_not_keep_the_others_from_being_left(
    assistant: Assistant, world: World, wire: Wire, spread: None
) -> None:
    world.sim.faults.arm(Fault.REFUSED_WITH_400, rpc="Flatten", times=1)
    told = await assistant.call("flatten_everything")
    assert _flattened(wire) == ["Sim101", "Sim102"]
    assert told.status != "flat"
    assert (world.net(), world.live("Sim102")) == (2, [])
    assert "Sim101" in told.text


async def test_an_exit_on_its_way_in_one_account_does_not_keep_the_others_from_being_left(
    assistant: Assistant, world: World, wire: Wire, spread: None
) -> None:
    world.sim.faults.arm(Lag.CLOSE_STUCK, times=1)
    first = await assistant.call("flatten", account="Sim101")
    assert (first.status, world.net()) == ("accepted", 2)
    wire.left.clear()
    told = await assistant.call("flatten_everything")
    assert (told.status, told.sent, world.net()) == ("accepted", True, 2)
    assert (_flattened(wire), world.live("Sim102")) == (["Sim102"], [])
    assert "Sim101: DENIED: EXIT_ON_ITS_WAY" in told.reasons_text
    assert "Sim102: FLAT" in told.reasons_text
    assert "NOT FLAT everywhere" in told.next_step


@pytest.mark.parametrize("fault", LOST)
async def test_a_lost_flatten_is_unknown_and_says_what_still_stands(
    assistant: Assistant, world: World, spread: None, fault: Fault
) -> None:
    world.sim.faults.arm(fault, rpc="Flatten")
    told = await assistant.call("flatten_everything")
    assert told.status != "flat"
    assert told.sent in ("unknown", True)
    assert world.net() == 2
    world.sim.faults.disarm()
    world.later(45)
    again = await assistant.call("flatten_everything")
    assert (again.status, again.sent, world.net()) == ("accepted", True, 2), "the first may still arrive"
    assert "Sim101: DENIED: EXIT_ON_ITS_WAY: on its way=-2 MES 09-26" in again.reasons_text
    assert "Sim102: FLAT" in again.reasons_text
    world.later(20)
    late = await assistant.call("flatten_everything")
    assert (late.status, world.net()) == ("flat", 0), "what has not arrived after a minute never will"


@pytest.mark.parametrize("fault", TAKEN)
async def test_a_flatten_without_an_answer_is_read_as_flat(
    assistant: Assistant, world: World, spread: None, fault: Fault
) -> None:
    world.sim.faults.arm(fault, rpc="Flatten")
    told = await assistant.call("flatten_everything")
    assert (told.status, world.net(), world.live("Sim102")) == ("flat", 0, [])


@pytest.mark.parametrize("name", BOTH)
async def test_an_account_that_cannot_be_read_back_is_not_called_flat(
    assistant: Assistant, world: World, wire: Wire, spread: None, name: str
) -> None:
    """The flatten goes out, and then nothing can be read any more."""
    wire.meanwhile[f"{name}/positions/flatten"] = lambda: world.sim.faults.arm(Fault.ERROR_500_AFTER_ACCEPT)
    told = await assistant.call("flatten_everything")
    assert told.status != "flat"
    assert "could not be read" in told.text or "not known" in told.text.lower()


# Many accounts ----------------------------------------------------------------------------------------------------

TWENTY = tuple(replace(SIM, id=10 + n, name=f"Eval{n:02d}", display_name=f"Eval{n:02d}") for n in range(20))
MANY = SimulatorSettings(accounts=TWENTY)


def holds(world: World, account: str, quantity: int = 1, now: datetime | None = None) -> None:
    """Let an account buy or sell at the market, as if somebody else traded in it."""
    action = Action.BUY if quantity > 0 else Action.SELL
    contract = world.sim.market.front("MES", world.clock())
    terms = OrderTerms(contract, action, abs(quantity), SimOrderType.MARKET)
    exchange, labels = world.sim.exchange, OrderLabels("PlaceOrder")
    exchange.submit(exchange.accounts[account], terms, labels, now or world.clock())


def _seconds_to_the_exits(world: World, began: datetime) -> list[float]:
    calls = (call for call in world.sim.exchange.record.calls if call.rpc == "Flatten")
    return [(call.at - began).total_seconds() for call in calls]


@pytest.mark.parametrize("settings", [MANY], ids=["twenty accounts"])
async def test_twenty_accounts_are_left_within_the_burst_before_anything_is_read_back(
    assistant: Assistant, world: World, wire: Wire
) -> None:
    for spec in TWENTY:
        holds(world, spec.name)
    world.later(30)
    began = world.clock()
    told = await assistant.call("flatten_everything")
    assert told.status == "flat", told.text
    assert _flattened(wire) == [spec.name for spec in TWENTY]
    left_at = _seconds_to_the_exits(world, began)
    assert len(left_at) == 20
    assert (left_at[0], max(left_at) < 8) == (0, True)
    first, *_, last = (n for n, (_, path, _) in enumerate(wire.left) if path.endswith("/flatten"))
    assert last - first == 19, "nothing is read between two exits"
    assert first <= 3, "nor is anything read for each account before the first"
    assert not [seen for seen in world.sim.requests if not seen.accepted]
    assert (world.clock() - began) < timedelta(seconds=20)


@pytest.mark.parametrize("settings", [SimulatorSettings(accounts=(SIM, SECOND))], ids=["leader and follower"])
async def test_an_account_that_a_copier_moves_after_its_exit_is_not_called_flat(
    assistant: Assistant, world: World
) -> None:
    """The follower sells what the leader sold, half a second after the leader's fill, and was flat by then."""
    holds(world, "Sim101")
    holds(world, "Sim102")
    world.later(30)

    def copies(event: OrderEvent) -> None:
        if isinstance(event, SimExecution) and event.order.account == "Sim102":
            soon = event.at + timedelta(seconds=0.8)
            world.sim.exchange.schedule.at(soon, lambda now: holds(world, "Sim101", -1, now))

    world.sim.exchange.record.listener = copies
    told = await assistant.call("flatten_everything")
    assert world.net() == -1
    assert told.status == "accepted"
    assert told.position_after is None
    assert "Sim101: ACCEPTED: still held: SHORT 1 MES 09-26" in told.reasons_text
    assert "Sim102: FLAT" in told.reasons_text
    assert "Sim101: it read flat after its exit and has moved since: SHORT 1 MES 09-26" in told.warnings_text
    assert "tell the person now" in told.next_step


PAIR = SimulatorSettings(accounts=(SIM, SECOND))
_READ_AT = re.compile(r"read at (\d\d):(\d\d):(\d\d\.\d) UTC")


def trades_at(world: World, account: str, after: float, quantity: int) -> None:
    """Let somebody else trade in an account, so many seconds from now."""
    moment = world.clock() + timedelta(seconds=after)
    world.sim.exchange.schedule.at(moment, lambda now: holds(world, account, quantity, now))


def _read_times(told: Told, day: datetime) -> dict[str, datetime]:
    """When each account was read that an answer tells of."""
    found = ((name, _READ_AT.search(line)) for name in BOTH for line in told.stands_now if line.startswith(name))
    return {
        name: day.replace(hour=int(at[1]), minute=int(at[2]), second=0, microsecond=0) + timedelta(seconds=float(at[3]))
        for name, at in found
        if at is not None
    }


def acts_at_random(world: World, chance: Random) -> None:
    """Let somebody else trade in any account, at any time between our exits and our answer; some reads fail."""
    for _ in range(chance.randint(1, 4)):
        trades_at(world, chance.choice(BOTH), chance.uniform(0.3, 6.0), chance.choice((-1, 1)))
    if chance.random() < 0.3:
        lost = chance.choice(("GetAllPositions", "GetAllOrders"))
        world.sim.faults.arm(Fault.HTML_PAGE, rpc=lost, times=chance.randint(1, 3))


def _held_at(nets: list[tuple[datetime, int]], moment: datetime) -> list[int]:
    """What was held at a moment that is told to a tenth of a second."""
    until = moment + timedelta(seconds=0.1)
    before = [net for at, net in nets if at < moment]
    return [*before[-1:], *(net for at, net in nets if moment <= at < until)]


@pytest.mark.parametrize("settings", [PAIR], ids=["two accounts"])
@pytest.mark.parametrize("seed", range(24))
async def test_flat_is_said_of_a_moment_that_was_flat_whatever_somebody_else_trades_between_the_readings(
    assistant: Assistant, world: World, seed: int
) -> None:
    """Any number of trades of somebody else, in any account, at any time between our exits and our answer."""
    chance = Random(seed)
    for name in BOTH:
        holds(world, name)
    world.later(30)
    nets: dict[str, list[tuple[datetime, int]]] = {name: [] for name in BOTH}

    def keeps(event: OrderEvent) -> None:
        if isinstance(event, SimExecution):
            nets[event.order.account].append((event.at, event.position))

    world.sim.exchange.record.listener = keeps
    acts_at_random(world, chance)
    told = await assistant.call("flatten_everything")
    read_at = _read_times(told, world.clock())
    flat = [name for name in BOTH if f"{name}: FLAT" in told.reasons]
    for name in flat:
        assert 0 in _held_at(nets[name], read_at[name]), f"{told.text}\n{nets[name]}"
    assert (told.status == "flat") is (len(flat) == len(BOTH))


def lets_fill(world: World) -> None:
    """Let go at this moment of what was held back."""
    world.sim.faults.disarm()
    for order in world.sim.exchange.orders:
        order.blocking_fault = None


@pytest.mark.parametrize("settings", [PAIR], ids=["two accounts"])
@pytest.mark.parametrize("filled_after", [4.7, 5.4, 5.9])
async def test_flat_is_not_said_before_what_copies_the_last_fill_can_be_seen(
    assistant: Assistant, world: World, filled_after: float
) -> None:
    """The exit of one account is slow: it fills between two of the last readings, and is copied a second later."""
    for name in BOTH:
        holds(world, name)
    world.later(30)
    fills: list[datetime] = []

    def copies(event: OrderEvent) -> None:
        if isinstance(event, SimExecution) and event.order.account == "Sim102":
            fills.append(event.at)
            soon = event.at + timedelta(seconds=1.2)
            world.sim.exchange.schedule.at(soon, lambda now: holds(world, "Sim101", -1, now))

    world.sim.exchange.record.listener = copies
    world.sim.faults.arm(Fault.NO_FILL)
    moment = world.clock() + timedelta(seconds=filled_after)
    world.sim.exchange.schedule.at(moment, lambda _: lets_fill(world))
    told = await assistant.call("flatten_everything")
    assert fills, "the exit has filled while it was read back"
    assert world.net() == -1
    assert told.status == "accepted", told.text
    assert "Sim101: FLAT" not in told.reasons


@pytest.mark.parametrize("fault", [Fault.EMPTY_LISTS])
async def test_lists_that_come_back_empty_are_not_believed(
    assistant: Assistant, world: World, wire: Wire, spread: None, fault: Fault
) -> None:
    wire.meanwhile["Sim102/positions/flatten"] = lambda: world.sim.faults.arm(fault)
    world.sim.faults.arm(Fault.NO_FILL)
    told = await assistant.call("flatten_everything")
    assert world.net() == 2
    assert told.status != "flat"


async def test_an_answer_comes_in_time_and_names_what_is_unread(
    assistant: Assistant, world: World, wire: Wire, spread: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exits are taken, and then no read is answered any more."""
    monkeypatch.setattr(everywhere, "ANSWER_WITHIN_SECONDS", 0.2)
    world.sim.faults.arm(Fault.SLOW_ANSWER, rpc="GetAllPositions")
    told = await assistant.call("flatten_everything")
    world.sim.faults.disarm()
    assert _flattened(wire) == ["Sim101", "Sim102"]
    assert (told.status, told.position_after) == ("accepted", None)
    assert "Sim101: ACCEPTED: UNREAD: the account could not be read in time" in told.reasons_text
    assert "Sim102: ACCEPTED: UNREAD" in told.reasons_text
    assert "tell the person now" in told.next_step


async def test_what_may_still_fill_is_not_called_flat(assistant: Assistant, world: World) -> None:
    world.sim.faults.arm(Fault.REQUEST_LOST_BEFORE_ACCEPT, rpc="PlaceOrder", times=1)
    lost = await assistant.buys(2)
    assert lost.status == "unknown"
    told = await assistant.call("flatten_everything")
    assert told.status == "accepted"
    assert "Sim101: ACCEPTED: may still fill: SIM  Sim101  BUY 2 MES 09-26 MARKET" in told.reasons_text
    assert "Sim102: FLAT" in told.reasons_text


async def test_an_add_on_without_lists_of_all_is_read_account_by_account(
    assistant: Assistant, world: World, spread: None
) -> None:
    world.sim.faults.arm(Fault.ERROR_500_BEFORE_ACCEPT, rpc="GetAllPositions")
    told = await assistant.call("flatten_everything")
    assert (told.status, world.net(), world.live("Sim102")) == ("flat", 0, [])


NOT_TOUCHED = f"not touched (get_positions tells what it holds): {REAL} (ACCOUNT_NOT_SIMULATED"


@pytest.mark.parametrize("policy", [Policy(exits_simulated=Approval.PAGE)], ids=["asked on the page"])
class TestTheAccountsLeftAlone:
    """They stay with the ticket: the person's question and each answer of it name them."""

    async def _asked(self, assistant: Assistant, world: World) -> Told:
        holds(world, "Sim101")
        holds(world, REAL)
        world.later(30)
        told = await assistant.call("flatten_everything")
        assert told.status == "needs_approval"
        return told

    async def _says_yes(self, desk: Desk, told: Told) -> None:
        ticket = await desk.ticket(told.ticket_id)
        assert await desk.decisions.take(ticket, ticket.phrase, "page")

    async def test_are_named_in_each_answer_once(self, assistant: Assistant, world: World, desk: Desk) -> None:
        asked = await self._asked(assistant, world)
        assert asked.text.count(NOT_TOUCHED) == 1
        again = await assistant.call("flatten_everything")
        assert again.ticket_id == asked.ticket_id
        waits = await assistant.call("confirm_ticket", ticket_id=asked.ticket_id)
        assert (waits.status, waits.text.count(NOT_TOUCHED)) == ("needs_approval", 1)
        await self._says_yes(desk, asked)
        flat = await assistant.call("confirm_ticket", ticket_id=asked.ticket_id)
        assert (flat.status, flat.text.count(NOT_TOUCHED)) == ("flat", 1)
        told = await assistant.call("confirm_ticket", ticket_id=asked.ticket_id)
        assert (told.status, told.text.count(NOT_TOUCHED)) == ("flat", 1)
        assert world.net(account=REAL) != 0

    async def test_are_named_after_a_restart(
        self, assistant: Assistant, world: World, desk: Desk, converse: Converse, person: Person
    ) -> None:
        asked = await self._asked(assistant, world)
        await self._says_yes(desk, asked)
        await assistant.call("confirm_ticket", ticket_id=asked.ticket_id)
        restarted = Desk(desk.upstream, desk.store, desk.policy, clock=desk.clock, pause=desk.pause)
        async with converse(person, over=restarted) as after_a_restart:
            told = await after_a_restart.call("confirm_ticket", ticket_id=asked.ticket_id)
        assert (told.status, told.text.count(NOT_TOUCHED)) == ("flat", 1)

    async def test_are_named_in_the_question(self, assistant: Assistant, world: World, desk: Desk) -> None:
        asked = await self._asked(assistant, world)
        ticket = await desk.ticket(asked.ticket_id)
        assert ticket.request is not None
        assert ticket.request.lines[0].startswith(f"WARNING: {NOT_TOUCHED}")
        shown = [remark.text for item in ticket_view(ticket, desk.clock()).items for remark in item.remarks]
        assert sum(text.startswith(NOT_TOUCHED) for text in shown) == 1

    @pytest.mark.parametrize("settings", [SimulatorSettings(accounts=(SIM, LIVE))], ids=["one of two"])
    async def test_are_asked_about_where_the_same_flatten_was_proposed_for_one_account(
        self, assistant: Assistant, world: World
    ) -> None:
        one = await assistant.call("flatten", account="Sim101")
        assert NOT_TOUCHED not in one.text
        asked = await self._asked(assistant, world)
        assert asked.ticket_id != one.ticket_id
        assert NOT_TOUCHED in asked.text
