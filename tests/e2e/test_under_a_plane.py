"""A trader whose team has a plane: halted, narrowed, asked twice, cut off. What leaves, leaves."""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest
from mcp_types import ElicitResult

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.desk.desk import Desk
from ct_mcp.domain.approval import Approval
from ct_mcp.domain.team import SecondState
from ct_mcp.guard.policy import Mode, Policy
from ct_mcp.server.context import ServerContext
from ct_mcp.server.resources import ResourceReader
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.store.sqlite import SqliteStore
from tests.conftest import Person, yes
from tests.e2e.conftest import Assistant, Converse, World
from tests.planes import GONE, FakePlane, member

UNASKED = Policy(simulated=Approval.NONE)
SECOND = '[team]\nsecond_yes = "all"'
NARROW = '[limits]\nmax_order_contracts = 2\n[approval]\nsimulated = "form"'


@pytest.fixture
def plane(clock: ManualClock) -> FakePlane:
    """A team whose risk manager has set nothing yet."""
    return FakePlane(clock)


@pytest.fixture
def desk(
    plane: FakePlane,
    crosstrade: CrossTrade,
    store: SqliteStore,
    policy: Policy,
    clock: ManualClock,
    pause: Callable[[float], Awaitable[None]],
    tmp_path: Path,
) -> Desk:
    """The desk of a trader of that team."""
    return Desk(crosstrade, store, member(policy, plane, tmp_path), clock=clock, pause=pause)


@pytest.fixture
async def trader(converse: Converse, person: Person, desk: Desk) -> AsyncIterator[Assistant]:
    """An assistant of that trader, whose own yes comes by a form."""
    async with converse(person, over=desk) as assistant:
        yield assistant


async def test_a_team_that_wants_nothing_is_only_asked(trader: Assistant, plane: FakePlane, world: World) -> None:
    assert (await trader.buys(2)).status == "filled"
    assert plane.times_asked >= 3, "at the proposal, at the send, and right before the wire"
    assert not plane.questions
    before = plane.times_asked
    world.later()
    assert (await trader.call("flatten", account="Sim101")).status == "flat"
    assert plane.times_asked == before, "an exit waits for no plane"


# Halted


async def test_a_halt_stops_what_opens_and_nothing_that_leaves(
    trader: Assistant, plane: FakePlane, world: World, person: Person
) -> None:
    assert (await trader.buys(2)).status == "filled"
    stop_id = await trader.protects(world.price(-40), 2)
    world.later()
    plane.halt("lost too much", "alice")
    asked, sent = len(person.asked), world.writes()
    told = await trader.buys(1)
    assert told.status == "denied"
    assert "TRADING_HALTED: by=bob of the team" in told.reasons_text
    assert "reason=lost too much" in told.reasons_text
    assert "only a risk manager lifts it, at the team's plane" in told.reasons_text
    assert "ct-mcp resume" not in told.reasons_text, "the trader's own terminal does not lift it"
    assert (len(person.asked), world.writes()) == (asked, sent)
    assert (await trader.call("cancel_order", account="Sim101", order_id=stop_id)).status == "cancelled"
    assert (await trader.call("close_position", account="Sim101", instrument="MES")).status == "flat"


async def test_the_status_tells_it_without_an_order(trader: Assistant, plane: FakePlane) -> None:
    plane.halt()
    told = await trader.call("get_status")
    assert told.halted is True
    assert told.halt.startswith("by bob of the team at ")
    assert "enough for today; only a risk manager of the team lifts it, at the plane" in told.halt
    plane.resume()
    assert "HALTED" in told.text


async def test_it_ends_when_the_risk_manager_says_so(trader: Assistant, plane: FakePlane, world: World) -> None:
    plane.halt()
    assert (await trader.buys(1)).status == "denied"
    plane.resume()
    world.later()
    assert (await trader.buys(1)).status == "filled"


async def test_a_ticket_that_was_approved_before_a_halt_is_not_sent(
    trader: Assistant, desk: Desk, plane: FakePlane, world: World, person: Person
) -> None:
    person.answer = None
    plane.meanwhile = [lambda: None, plane.halt]  # it comes while the person reads
    told = await trader.buys(1)
    assert len(person.asked) == 1
    assert told.status == "denied"
    assert "TRADING_HALTED: by=bob of the team" in told.reasons_text
    assert world.writes() == 0


@pytest.mark.parametrize("policy", [UNASKED], ids=["nobody is asked"])
async def test_a_halt_between_review_and_wire_stops_it_at_the_last_check(
    trader: Assistant, plane: FakePlane, world: World
) -> None:
    plane.meanwhile = [lambda: None, plane.halt]
    told = await trader.buys(1)
    assert plane.times_asked == 2
    assert "TRADING_HALTED" in told.text
    assert "Nothing was sent to the market." in told.text
    assert world.writes() == 0
    plane.resume()
    assert (await trader.buys(1)).status == "filled", "what was not sent counts as sent nowhere"


@pytest.mark.parametrize("policy", [UNASKED], ids=["nobody is asked"])
async def test_a_part_that_may_turn_the_position_is_stopped_there_as_what_opens_and_the_whole_goes(
    trader: Assistant, plane: FakePlane, world: World
) -> None:
    assert (await trader.buys(2)).status == "filled"
    world.later()
    await trader.rests(world.price(40), 2, action="SELL")
    world.later()
    sent = world.writes()
    part = {"account": "Sim101", "instrument": "MES", "quantity": 1}
    plane.meanwhile = [lambda: None, plane.halt]
    told = await trader.call("close_position", **part)
    assert "TRADING_HALTED" in told.text
    assert (world.writes(), world.net()) == (sent, 2)
    world.later()
    assert (await trader.call("flatten", account="Sim101")).status == "flat"


@pytest.mark.parametrize("policy", [UNASKED], ids=["nobody is asked"])
async def test_a_policy_that_is_set_between_review_and_wire_is_reviewed_first(
    trader: Assistant, plane: FakePlane, world: World
) -> None:
    plane.meanwhile = [lambda: None, partial(plane.set, NARROW)]
    told = await trader.buys(3)
    assert "the team has set another policy since it was reviewed" in told.text
    assert world.writes() == 0
    assert "QUANTITY_EXCEEDS_MAXIMUM" in (await trader.buys(3)).reasons_text


# Narrowed


@pytest.mark.parametrize("policy", [UNASKED], ids=["nobody is asked"])
async def test_a_policy_narrows_limits_and_asks_where_nobody_was_asked(
    trader: Assistant, plane: FakePlane, person: Person, world: World
) -> None:
    assert (await trader.buys(3)).status == "filled"
    assert not person.asked
    plane.set(NARROW, "alice")
    world.later()
    told = await trader.buys(3)
    assert "QUANTITY_EXCEEDS_MAXIMUM" in told.reasons_text
    assert (await trader.buys(2)).status == "filled"
    assert len(person.asked) == 1


@pytest.mark.parametrize("policy", [UNASKED], ids=["nobody is asked"])
@pytest.mark.parametrize(
    "text", ['mode = "read_only"', '[accounts.SIM101]\nautomation = "advise"'], ids=["read only", "advised on"]
)
async def test_where_the_team_lets_nothing_open_what_is_held_leaves(
    trader: Assistant, plane: FakePlane, world: World, text: str
) -> None:
    assert (await trader.buys(1)).status == "filled"
    plane.set(text)
    world.later()
    told = await trader.buys(1)
    assert "TEAM_LETS_NOTHING_OPEN" in told.reasons_text
    assert (await trader.call("flatten", account="Sim101")).status == "flat"


async def test_a_policy_that_cannot_be_read_lets_nothing_open_and_says_which(
    trader: Assistant, plane: FakePlane, world: World
) -> None:
    plane.set("[limits]\nmax_orders_per_hour = 1")
    told = await trader.buys(1)
    assert "TEAM_POLICY_UNREADABLE: policy 1 for everybody, set by bob" in told.reasons_text
    assert "max_orders_per_hour: unknown key" in told.reasons_text
    status = await trader.call("get_status")
    assert "team's plane broken (nothing opens: policy 1" in status.text
    plane.set("")
    world.later()
    assert (await trader.buys(1)).status == "filled"


async def test_the_policy_resource_says_what_is_narrowed_and_by_whom(
    desk: Desk, policy: Policy, plane: FakePlane
) -> None:
    plane.set(f"{NARROW}\n{SECOND}\ngrace_seconds = 60")
    context = ServerContext(lambda: desk, policy)
    context.has_team = True
    text = await ResourceReader(context).policy()
    assert "max order contracts: 2" in text
    assert "- team: policy 1 for everybody, set by bob at 2026-09-09T14:30:00Z" in text
    assert "- team: openings of every account need a second person's yes beside yours" in text
    assert "- team: while its plane does not answer, openings go on for 60 s" in text


# Asked twice


async def test_a_second_yes_is_held_until_it_is_there(
    trader: Assistant, plane: FakePlane, person: Person, world: World
) -> None:
    plane.set(SECOND)
    told = await trader.buys(2)
    assert told.status == "needs_approval"
    assert "a second person of the team has not said yes yet" in told.reasons_text
    assert world.writes() == 0
    (question,) = plane.questions.values()
    assert "a second person of your team is asked as well" in person.asked[0]
    assert "SIMULATED" in question.heading
    assert question.simulated
    assert all(line in person.asked[0] for line in question.lines if line)
    plane.approves()
    told = await trader.call("confirm_ticket", ticket_id=told.ticket_id)
    assert told.status == "filled"
    assert world.net() == 2
    assert len(person.asked) == 1, "their own yes was held"


async def test_either_may_answer_first(trader: Assistant, plane: FakePlane, person: Person, world: World) -> None:
    plane.set(SECOND)

    def while_bob_is_quicker(question: str) -> ElicitResult:
        plane.approves()
        return yes(question)

    person.answer = while_bob_is_quicker
    assert (await trader.buys(1)).status == "filled"
    assert world.net() == 1


async def test_a_no_of_the_second_declines_it_and_says_who(
    trader: Assistant, plane: FakePlane, world: World, store: SqliteStore
) -> None:
    plane.set(SECOND)
    told = await trader.buys(1)
    plane.declines()
    told = await trader.call("confirm_ticket", ticket_id=told.ticket_id)
    assert told.status == "declined"
    assert "declined by bob, the second person" in told.reasons_text
    assert world.writes() == 0
    plane.approves()
    assert (await trader.call("confirm_ticket", ticket_id=told.ticket_id)).status == "declined"
    assert "declined" in {entry.kind for entry in await store.entries(20)}


async def test_an_answer_that_comes_too_late_sends_nothing(trader: Assistant, plane: FakePlane, world: World) -> None:
    plane.set(SECOND)
    told = await trader.buys(1)
    world.later(91)
    plane.approves()
    told = await trader.call("confirm_ticket", ticket_id=told.ticket_id)
    assert told.status == "expired"
    assert world.writes() == 0


async def test_a_yes_to_other_commands_is_none(trader: Assistant, plane: FakePlane, world: World) -> None:
    plane.set(SECOND)
    told = await trader.buys(1)
    plane.answers_with(SecondState.APPROVED, fingerprint="of another ticket")
    told = await trader.call("confirm_ticket", ticket_id=told.ticket_id)
    assert told.status == "needs_approval"
    assert "is about other commands" in told.reasons_text
    assert world.writes() == 0


@pytest.mark.parametrize("policy", [UNASKED], ids=["nobody else is asked"])
async def test_what_goes_without_the_traders_yes_waits_for_the_second(
    trader: Assistant, plane: FakePlane, person: Person, world: World
) -> None:
    plane.set(SECOND)
    told = await trader.buys(1)
    assert told.status == "needs_approval"
    assert "a risk manager of the team answers at the plane" in told.text
    assert world.writes() == 0
    plane.approves()
    assert (await trader.call("confirm_ticket", ticket_id=told.ticket_id)).status == "filled"
    assert not person.asked


@pytest.mark.parametrize("policy", [UNASKED], ids=["nobody else is asked"])
async def test_a_second_yes_is_to_what_was_shown_and_nothing_else(
    trader: Assistant, plane: FakePlane, world: World
) -> None:
    assert (await trader.buys(2)).status == "filled"
    plane.set(SECOND)
    world.later()
    told = await trader.call("reverse_position", account="Sim101", instrument="MES")
    assert told.status == "needs_approval"
    plane.approves()
    sim = world.sim
    await trader.call("close_position", account="Sim101", instrument="MES", quantity=1)
    assert sim.exchange.accounts["Sim101"].net(sim.market.front("MES", world.clock())) == 1
    told = await trader.call("confirm_ticket", ticket_id=told.ticket_id)
    assert told.status == "denied"
    assert "CHANGED_SINCE_ASKED" in told.reasons_text
    assert world.net() == 1


async def test_a_halt_or_a_lost_plane_between_two_yeses_and_the_send(
    trader: Assistant, plane: FakePlane, world: World
) -> None:
    plane.set(SECOND)
    told = await trader.buys(1)
    plane.approves()
    plane.fails = GONE
    told = await trader.call("confirm_ticket", ticket_id=told.ticket_id)
    assert told.status == "needs_approval"
    assert "it cannot be reached" in told.reasons_text
    plane.fails = None
    plane.halt()
    told = await trader.call("confirm_ticket", ticket_id=told.ticket_id)
    assert told.status == "denied"
    assert world.writes() == 0


async def test_only_so_many_contracts_need_it_and_a_reverse_counts_what_it_opens(
    trader: Assistant, plane: FakePlane, world: World
) -> None:
    plane.set(f"{SECOND}\nsecond_yes_contracts = 3")
    assert (await trader.buys(2)).status == "filled"
    world.later()
    reverse = await trader.call("reverse_position", account="Sim101", instrument="MES")
    assert reverse.text.startswith("FILLED") or reverse.status in ("filled", "accepted", "changed"), reverse.text
    assert not plane.questions, "two contracts are opened the other way"
    world.later()
    assert (await trader.buys(3)).status == "needs_approval"
    assert len(plane.questions) == 1


async def test_an_order_cut_in_pieces_needs_it_once_they_come_to_as_much(
    trader: Assistant, plane: FakePlane, world: World
) -> None:
    plane.set(f"{SECOND}\nsecond_yes_contracts = 3")
    assert (await trader.buys(1)).status == "filled"
    world.later()
    await trader.rests(world.price(-40))
    world.later()
    assert not plane.questions
    told = await trader.buys(1)
    assert (told.status, world.net()) == ("needs_approval", 1), "one is held, and one may fill beside it"
    assert len(plane.questions) == 1


async def test_exits_never_need_it(trader: Assistant, plane: FakePlane, world: World) -> None:
    assert (await trader.buys(2)).status == "filled"
    plane.set(SECOND)
    world.later()
    stop_id = await trader.protects(world.price(-40), 2)
    assert (await trader.call("cancel_order", account="Sim101", order_id=stop_id)).status == "cancelled"
    assert (await trader.call("close_position", account="Sim101", instrument="MES", quantity=1)).sent is True
    world.later()
    assert (await trader.call("flatten", account="Sim101")).status == "flat"
    assert not plane.questions


# Cut off


async def test_without_any_word_nothing_opens(trader: Assistant, plane: FakePlane, world: World) -> None:
    plane.fails = GONE
    told = await trader.buys(1)
    assert "PLANE_OUT_OF_REACH: the team's plane does not answer" in told.reasons_text
    assert "last heard=never" in told.reasons_text
    assert "ct-mcp check" in told.reasons_text
    assert world.writes() == 0


async def test_openings_go_on_for_the_time_of_grace_and_exits_always(
    trader: Assistant, plane: FakePlane, world: World, person: Person
) -> None:
    plane.set("[team]\ngrace_seconds = 120")
    assert (await trader.buys(1)).status == "filled"
    plane.fails = GONE
    world.later(60)
    assert (await trader.buys(1)).status == "filled"
    assert "openings go on until=2026-09-09 14:32" in person.asked[-1]
    status = await trader.call("get_status")
    assert "team's plane broken" in status.text
    assert "last heard at 2026-09-09T14:30:05Z; openings go on until" in status.text
    world.later(120)
    told = await trader.buys(1)
    assert "PLANE_OUT_OF_REACH" in told.reasons_text
    assert (await trader.call("get_status")).tradable_accounts == []
    assert (await trader.call("flatten", account="Sim101")).status == "flat"
    plane.fails = None
    world.later()
    assert (await trader.buys(1)).status == "filled", "it ends by itself"


async def test_a_halt_that_was_known_outlives_the_plane(trader: Assistant, plane: FakePlane) -> None:
    plane.set("[team]\ngrace_seconds = 3600")
    plane.halt()
    assert (await trader.buys(1)).status == "denied"
    plane.fails = GONE
    assert "TRADING_HALTED: by=bob of the team" in (await trader.buys(1)).reasons_text


async def test_nobody_can_say_a_second_yes_while_it_is_lost(trader: Assistant, plane: FakePlane) -> None:
    plane.set(f"{SECOND}\ngrace_seconds = 3600")
    await trader.call("get_status")
    plane.fails = GONE
    told = await trader.buys(1)
    assert "PLANE_OUT_OF_REACH: a second person's yes is needed, and nobody can be asked" in told.reasons_text


@pytest.mark.parametrize("policy", [Policy(mode=Mode.SIM)], ids=["sim"])
async def test_a_restart_keeps_policy_halt_and_grace(
    converse: Converse,
    person: Person,
    plane: FakePlane,
    crosstrade: CrossTrade,
    store: SqliteStore,
    policy: Policy,
    clock: ManualClock,
    pause: Callable[[float], Awaitable[None]],
    tmp_path: Path,
    world: World,
) -> None:
    def started() -> Desk:
        return Desk(crosstrade, store, member(policy, plane, tmp_path), clock=clock, pause=pause)

    plane.set("[limits]\nmax_order_contracts = 2\n[team]\ngrace_seconds = 120")
    async with converse(person, over=started()) as assistant:
        assert (await assistant.buys(1)).status == "filled"
    plane.fails = GONE
    world.later(30)
    async with converse(person, over=started()) as assistant:
        assert (await assistant.buys(1)).status == "filled"
        assert "QUANTITY_EXCEEDS_MAXIMUM" in (await assistant.buys(3)).reasons_text
    world.later(120)
    async with converse(person, over=started()) as assistant:
        assert "PLANE_OUT_OF_REACH" in (await assistant.buys(1)).reasons_text
