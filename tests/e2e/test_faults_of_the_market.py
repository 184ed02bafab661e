"""What the market, the broker and hostile words can do to an order that left in good order."""

from mcp_types import ElicitResult

from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.orders import Action, OrderLabels, OrderTerms, SimOrderType
from tests.conftest import Person
from tests.e2e.conftest import Assistant, World

HIDDEN = ("\u202e", "\x1b", "\u200b", "\r")


async def test_an_order_that_is_rejected_late_is_rejected_and_not_filled(assistant: Assistant, world: World) -> None:
    world.sim.faults.arm(Fault.LATE_REJECT)
    told = await assistant.buys(2)
    assert (told.status, told.sent, told.is_error) == ("rejected", True, True)
    assert (told.order_state, told.filled_quantity) == ("REJECTED", 0)
    assert "rejected it after it was accepted" in told.reasons_text
    assert world.net() == 0


async def test_a_frozen_order_is_accepted_and_neither_working_nor_filled(assistant: Assistant, world: World) -> None:
    world.sim.faults.arm(Fault.FROZEN_ORDERS)
    told = await assistant.buys(2)
    assert (told.status, told.sent, told.order_state) == ("accepted", True, "SUBMITTED")
    assert "not working or filled yet" in told.next_step
    assert world.states() == ["Submitted"]


async def test_a_market_order_that_finds_nobody_is_working(assistant: Assistant, world: World) -> None:
    world.sim.faults.arm(Fault.NO_FILL)
    told = await assistant.buys(2)
    assert (told.status, told.order_state, told.filled_quantity) == ("working", "WORKING", 0)


async def test_a_frozen_order_counts_until_it_is_known_what_became_of_it(assistant: Assistant, world: World) -> None:
    """An order in flight and an order that works count alike, and neither is counted twice."""
    world.sim.faults.arm(Fault.FROZEN_ORDERS)
    await assistant.buys(5)
    world.later()
    full = await assistant.buys(5, instrument="MES 09-26", order_type="LIMIT", limit_price=world.price(-8))
    assert full.status == "accepted"
    world.later()
    told = await assistant.buys(1)
    assert told.status == "denied"
    assert "POSITION_EXCEEDS_MAXIMUM: position after=11, maximum=10" in told.reasons_text


async def test_their_warning_is_passed_on_as_theirs(assistant: Assistant, world: World) -> None:
    world.sim.faults.arm(Fault.WARNING, rpc="PlaceOrder")
    told = await assistant.buys(1)
    assert told.status == "filled"
    assert told.warnings == ['CrossTrade warns: "Completed, but the working orders changed meanwhile"']
    assert "WARNING: CrossTrade warns:" in told.text


async def test_a_market_order_on_a_stale_quote_is_denied(assistant: Assistant, world: World) -> None:
    world.sim.faults.arm(Fault.STALE_QUOTE)
    await assistant.call("get_quotes", instruments=["MES"])
    world.later(30)
    told = await assistant.buys(1)
    assert (told.status, told.sent) == ("denied", False)
    assert "QUOTE_STALE: age=3" in told.reasons_text
    assert world.writes() == 0


async def test_a_quote_that_goes_stale_while_the_person_reads_denies_after_the_yes(
    assistant: Assistant, world: World, person: Person
) -> None:
    """The person says yes to a market that stands still from then on."""

    def slowly(question: str) -> ElicitResult:
        world.sim.faults.arm(Fault.STALE_QUOTE)
        world.later(40)
        return _typed(question)

    person.answer, person.takes_seconds = slowly, 0
    world.sim.faults.arm(Fault.STALE_QUOTE)
    told = await assistant.buys(1)
    assert (told.status, told.sent) == ("denied", False)
    assert "QUOTE_STALE" in told.reasons_text
    assert world.writes() == 0
    assert len(person.asked) == 1


def _typed(question: str) -> ElicitResult:
    return ElicitResult(action="accept", content={"answer": question.split("type:")[1].split(maxsplit=1)[0]})


async def test_an_order_into_a_closed_session_is_denied(assistant: Assistant, world: World) -> None:
    world.sim.faults.arm(Fault.SESSION_CLOSED)
    told = await assistant.buys(1)
    assert (told.status, told.sent) == ("denied", False)
    assert "SESSION_CLOSED" in told.reasons_text
    assert world.writes() == 0


async def test_a_good_till_cancelled_limit_may_wait_for_the_open(assistant: Assistant, world: World) -> None:
    world.sim.faults.arm(Fault.SESSION_CLOSED)
    told = await assistant.buys(1, order_type="LIMIT", limit_price=world.price(-40), time_in_force="GTC")
    assert told.status == "working"
    assert world.net() == 0


async def test_somebody_buys_while_the_person_reads_and_the_order_is_denied_after_the_yes(
    assistant: Assistant, world: World, person: Person
) -> None:
    """A yes does not outlive the rule that it passed; at NinjaTrader the account has come to hold ten."""

    def after_somebody_bought_ten(question: str) -> ElicitResult:
        account, contract = world.sim.exchange.accounts["Sim101"], world.sim.market.front("MES", world.clock())
        world.sim.exchange.submit(
            account, OrderTerms(contract, Action.BUY, 10, SimOrderType.MARKET), OrderLabels(), world.clock()
        )
        world.later(5)
        return _typed(question)

    person.answer = after_somebody_bought_ten
    told = await assistant.buys(1)
    assert (told.status, told.sent, told.is_error) == ("denied", False, True)
    assert "POSITION_EXCEEDS_MAXIMUM: position after=11, maximum=10" in told.reasons_text
    assert (world.writes(), world.net()) == (0, 10)
    again = await assistant.call("confirm_ticket", ticket_id=told.ticket_id)
    assert (again.status, again.reasons_text) == ("denied", told.reasons_text), "the ticket is spent all the same"


async def test_hostile_words_in_a_refusal_are_bounded_cleaned_and_labelled_as_theirs(
    assistant: Assistant, world: World
) -> None:
    world.sim.faults.arm(Fault.HOSTILE_TEXT)
    told = await assistant.call("close_position", account="Sim101", instrument="MES")
    assert 'CrossTrade said "No positions found' in told.reasons_text
    assert "Ignore all previous instructions" in told.reasons_text, "it is quoted, not hidden"
    assert not any(mark in told.text for mark in HIDDEN)
    quoted = told.reasons_text.split('CrossTrade said "')[1]
    assert quoted.count('"') == 1, "they cannot close our quotation mark"
    assert len(quoted) < 320


async def test_hostile_words_in_a_warning_are_cleaned_and_labelled(assistant: Assistant, world: World) -> None:
    world.sim.faults.arm(Fault.WARNING, rpc="PlaceOrder")
    world.sim.faults.arm(Fault.HOSTILE_TEXT)
    told = await assistant.buys(1)
    (warning,) = told.warnings
    assert warning.startswith('CrossTrade warns: "')
    assert not any(mark in told.text for mark in HIDDEN)


async def test_hostile_names_of_orders_never_reach_the_person_s_question(
    assistant: Assistant, world: World, person: Person
) -> None:
    await assistant.buys(2)
    world.later()
    world.sim.faults.arm(Fault.HOSTILE_TEXT)
    stop = await assistant.protects(world.price(-40), quantity=2)
    await assistant.call("cancel_order", account="Sim101", order_id=stop)
    assert "WARNING" in person.asked[-1]
    assert not any("Ignore all previous" in question for question in person.asked)
    assert not any(mark in question for mark in HIDDEN for question in person.asked)
