"""Exits: what a partial close leaves too large, what a lost flatten of empty lists may be called, harmless ids."""

from decimal import Decimal
from typing import Any

import pytest

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.crosstrade.schemas.orders import Acknowledged
from ct_mcp.desk.desk import Desk
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.ports import Upstream
from ct_mcp.domain.account import AccountSnapshot
from ct_mcp.domain.approval import Approval, Halt, Ticket
from ct_mcp.domain.commands import CancelOrder, ChangeOrder, ClosePosition, Flatten
from ct_mcp.domain.instrument import Instrument
from ct_mcp.errors import OutcomeUnknown
from ct_mcp.guard.policy import Policy
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.orders import Action, OrderLabels, OrderTerms, SimOrderType
from ct_mcp.simulator.simulator import Simulator
from ct_mcp.store.sqlite import SqliteStore
from tests.unit.desk.conftest import Buys, Does, Oddly, Prices


def outsider_trades(sim: Simulator, clock: ManualClock, net: int) -> None:
    """Let somebody else buy or sell so many at the market, and let it fill."""
    action = Action.BUY if net > 0 else Action.SELL
    terms = OrderTerms(sim.market.front("MES", clock()), action, abs(net), SimOrderType.MARKET)
    sim.exchange.submit(sim.exchange.accounts["Sim101"], terms, OrderLabels(rpc="ByHand"), clock())
    sim.advance(5)


async def test_a_stop_that_is_too_large_for_what_remains_is_told_with_the_call_that_mends_it(
    does: Does, long_two: Outcome, buy: Buys, price: Prices, sim: Simulator, mes: Instrument
) -> None:
    stop = await does(buy(2, action="SELL", kind="STOP_MARKET", stop_price=price(-60)))
    sim.advance(20)
    told = await does(ClosePosition("Sim101", mes, quantity=1))
    assert (told.status, told.position_after) == (Status.FILLED, 1)
    (warning,) = told.warnings
    assert warning.startswith("TOO LARGE for what remains: SELL 2 MES 09-26 STOP MARKET ")
    assert warning.endswith(f" WORKING ({stop.order_id}) against +1; filled, it turns the position to -1")
    mend = f"change_order with account Sim101, order_id {stop.order_id}, quantity 1"
    assert told.next_step.startswith(mend)


async def test_a_partial_close_beside_a_larger_stop_is_asked_about_as_what_may_open(
    desk: Desk,
    does: Does,
    long_two: Outcome,
    buy: Buys,
    price: Prices,
    sim: Simulator,
    mes: Instrument,
    store: SqliteStore,
    clock: ManualClock,
) -> None:
    close = ClosePosition("Sim101", mes, quantity=1)
    unasked = await desk.propose(close)
    assert isinstance(unasked, Ticket)
    assert unasked.approval is Approval.NONE
    await does(buy(2, action="SELL", kind="STOP_MARKET", stop_price=price(-60)))
    sim.advance(20)
    ticket = await desk.propose(close)
    assert isinstance(ticket, Ticket)
    assert ticket.approval is Approval.FORM
    assert "WARNING: the orders that stand could turn the position round" in ticket.question
    assert "Position +2 now, +1 after" in ticket.question
    await store.set_halt(Halt("the person", clock(), "lunch"))
    assert "TRADING_HALTED" in " ".join((await does(close)).reasons)
    assert (await does(ClosePosition("Sim101", mes))).status is Status.FLAT, "all of it goes all the same"


async def test_the_call_that_mends_it_mends_it(
    does: Does, long_two: Outcome, buy: Buys, price: Prices, sim: Simulator, mes: Instrument
) -> None:
    stop = await does(buy(2, action="SELL", kind="STOP_MARKET", stop_price=price(-60)))
    sim.advance(20)
    await does(ClosePosition("Sim101", mes, quantity=1))
    sim.advance(20)
    assert (await does(ChangeOrder("Sim101", str(stop.order_id), quantity=1))).status is Status.CHANGED
    told = await does(ClosePosition("Sim101", mes, quantity=1))
    assert "TOO LARGE" not in " ".join(told.warnings), "nothing remains, and the rest is an order to cancel"


async def test_a_stop_that_fits_what_remains_is_not_complained_of(
    does: Does, long_two: Outcome, buy: Buys, price: Prices, sim: Simulator, mes: Instrument
) -> None:
    await does(buy(1, action="SELL", kind="STOP_MARKET", stop_price=price(-60)))
    sim.advance(20)
    told = await does(ClosePosition("Sim101", mes, quantity=1))
    assert (told.status, told.position_after, told.next_step) == (Status.FILLED, 1, "")
    assert "TOO LARGE" not in " ".join(told.warnings)


async def test_a_flatten_of_empty_lists_whose_answer_was_lost_is_not_flat_while_a_report_says_otherwise(
    does: Does, long_two: Outcome, sim: Simulator, store: SqliteStore
) -> None:
    """The lists were empty before, after and all along; only the report of all accounts still tells the truth."""
    sim.faults.arm(Fault.EMPTY_LISTS)
    sim.faults.arm(Fault.REQUEST_LOST_BEFORE_ACCEPT, rpc="Flatten")
    told = await does(Flatten("Sim101", None))
    assert told.status is Status.UNKNOWN
    assert told.position_after is None
    assert len(await store.unsettled()) == 1


async def test_a_flatten_of_an_account_that_was_flat_is_flat_though_its_answer_was_lost(
    does: Does, sim: Simulator
) -> None:
    sim.faults.arm(Fault.READ_TIMEOUT_AFTER_ACCEPT, rpc="Flatten")
    told = await does(Flatten("Sim101", None))
    assert (told.status, told.position_after) == (Status.FLAT, 0)


@pytest.mark.parametrize("fault", [Fault.HTML_PAGE, Fault.REFUSED_WITH_400])
async def test_a_report_that_cannot_be_read_proves_nothing(does: Does, sim: Simulator, fault: Fault) -> None:
    sim.faults.arm(Fault.READ_TIMEOUT_AFTER_ACCEPT, rpc="Flatten")
    sim.faults.arm(fault, rpc="GetAccountSummary")
    assert (await does(Flatten("Sim101", None))).status is Status.UNKNOWN


async def test_a_whole_account_is_called_flat_only_with_its_own_report_though_they_took_the_flatten(
    desk: Desk, does: Does, sim: Simulator
) -> None:
    await desk.resolver.accounts()
    assert (await does(Flatten("Sim101", None))).status is Status.FLAT
    assert len(sim.requests_of("GetAccountSummary")) == 1


async def test_a_whole_account_whose_list_was_empty_all_along_is_not_called_flat_because_nothing_was_closed(
    odd: Oddly, long_two: Outcome, sim: Simulator
) -> None:
    """The list lies before and after, and what they took closed nothing."""

    async def closes_nothing(inner: Upstream, account: str, instrument: Any) -> Acknowledged:
        return Acknowledged(warning="No open positions matched the request")

    sim.faults.arm(Fault.EMPTY_LISTS)
    told = await odd("flatten", closes_nothing)(Flatten("Sim101", None))
    assert (told.status, told.position_after) == (Status.ACCEPTED, None)


async def test_an_order_id_with_hidden_letters_is_told_harmless_and_kept_as_it_is(
    odd: Oddly, buy: Buys, sim: Simulator, store: SqliteStore
) -> None:
    async def hostile(inner: Upstream, order: Any, own_id: str, require: Any = None) -> Acknowledged:
        await inner.place_order(order, own_id)
        return Acknowledged(order_ids=("a\u202eb\u200bc",))

    told = await odd("place_order", hostile)(buy())
    assert told.order_id == "abc"
    accepted = next(entry for entry in await store.entries(9) if entry.kind == "accepted")
    assert accepted.detail["order_id"] == "a\u202eb\u200bc", "what looks it up later needs it as they spell it"


async def test_an_order_that_one_list_leaves_out_all_along_keeps_a_flatten_from_being_called_flat(
    does: Does, buy: Buys, price: Prices, sim: Simulator, mes: Instrument
) -> None:
    await does(buy(kind="LIMIT", limit_price=price(-40)))
    sim.advance(20)
    sim.faults.arm(Fault.EMPTY_LISTS, rpc="ListOrders")
    told = await does(Flatten("Sim101", mes))
    assert told.status is Status.ACCEPTED
    assert sim.exchange.live_orders("Sim101")


async def test_a_list_of_all_accounts_that_is_not_there_proves_nothing(
    does: Does, long_two: Outcome, sim: Simulator, mes: Instrument
) -> None:
    sim.faults.arm(Fault.REFUSED_WITH_400, rpc="GetAllOrders")
    assert (await does(Flatten("Sim101", mes))).status is Status.FLAT


async def test_an_exit_that_was_sent_unread_asks_the_list_of_all_accounts_what_is_left(
    does: Does, buy: Buys, price: Prices, sim: Simulator, mes: Instrument
) -> None:
    await does(buy(kind="LIMIT", limit_price=price(-40)))
    sim.advance(20)
    sim.faults.arm(Fault.EMPTY_LISTS, rpc="ListOrders")
    before = len(sim.requests)
    assert (await does(Flatten("Sim101", mes))).status is not Status.FLAT
    first, *others = [seen.rpc for seen in sim.requests][before:]
    assert first == "Flatten", "nothing is read before it"
    assert "GetAllOrders" in others


async def test_a_list_that_shows_what_is_over_hides_nothing_and_is_asked_for_no_order_again(
    does: Does, buy: Buys, price: Prices, long_two: Outcome, sim: Simulator
) -> None:
    await does(buy(kind="LIMIT", limit_price=price(-40)))
    sim.advance(20)
    before = len(sim.requests)
    assert (await does(Flatten("Sim101", None))).status is Status.FLAT
    asked = [seen.rpc for seen in sim.requests][before:]
    assert asked.count("GetOrder") + asked.count("GetAllOrders") == 0


async def test_a_report_of_a_while_ago_is_no_second_word_where_no_execution_bears_it_out(
    does: Does, odd: Oddly, buy: Buys, crosstrade: CrossTrade, sim: Simulator
) -> None:
    """It may be three seconds old, and an exit may leave nothing: only what filled proves that it has."""
    reports = await crosstrade.snapshot()
    await does(buy(2))
    sim.advance(30)
    held = await crosstrade.positions("Sim101")

    async def leaves_nothing(*_: object) -> Acknowledged:
        sim.faults.arm(Fault.EMPTY_LISTS, rpc="ListPositions")
        return Acknowledged(closed=held)

    async def of_before(*_: object) -> tuple[AccountSnapshot, ...]:
        return reports

    told = await odd("flatten", leaves_nothing, snapshot=of_before)(Flatten("Sim101", None))
    assert told.status is not Status.FLAT


async def test_a_cancel_of_an_order_that_nobody_knows_names_no_position_as_its_own(
    does: Does, long_two: Outcome
) -> None:
    """What the account holds in some instrument is no position of the order that was to go."""
    told = await does(CancelOrder("Sim101", "no-such-order"))
    assert (told.status, told.position_after) == (Status.REJECTED, None)
    assert any("LONG 2 MES" in line for line in told.stands_now)


async def test_a_percentage_is_sent_as_the_contracts_that_were_reviewed(
    odd: Oddly, long_two: Outcome, mes: Instrument
) -> None:
    """Others may trade meanwhile: a half of what is held by then would be of another size."""
    sent: list[ClosePosition] = []

    async def listens(inner: Upstream, close: ClosePosition) -> Acknowledged:
        sent.append(close)
        return await inner.close_position(close)

    told = await odd("close_position", listens)(ClosePosition("Sim101", mes, percent=Decimal(50)))
    assert (told.status, told.position_after) == (Status.FILLED, 1)
    assert sent == [ClosePosition("Sim101", mes, quantity=1)]


async def test_a_part_is_not_told_as_flat_while_an_order_stands_that_the_list_of_the_account_hides(
    does: Does,
    odd: Oddly,
    long_two: Outcome,
    buy: Buys,
    price: Prices,
    sim: Simulator,
    clock: ManualClock,
    mes: Instrument,
) -> None:
    await does(buy(1, kind="LIMIT", limit_price=price(-60)))
    sim.advance(20)
    sim.faults.arm(Fault.EMPTY_LISTS, rpc="ListOrders")

    async def is_lost_while_somebody_sells(_: Upstream, close: ClosePosition) -> Acknowledged:
        terms = OrderTerms(sim.market.front("MES", clock()), Action.SELL, 2, SimOrderType.MARKET)
        sim.exchange.submit(sim.exchange.accounts["Sim101"], terms, OrderLabels(rpc="ByHand"), clock())
        sim.advance(5)
        raise OutcomeUnknown(f"nobody knows of {close.quantity}")

    told = await odd("close_position", is_lost_while_somebody_sells)(ClosePosition("Sim101", mes, quantity=1))
    assert told.status is Status.UNKNOWN


async def test_a_part_of_what_an_empty_list_hides_is_not_closed(
    does: Does, long_two: Outcome, sim: Simulator, mes: Instrument
) -> None:
    """Of nothing a part is nothing, and would leave unasked; beside a stop it may turn the position that there is."""
    sim.faults.arm(Fault.EMPTY_LISTS, rpc="ListPositions")
    told = await does(ClosePosition("Sim101", mes, quantity=1))
    assert told.status is Status.DENIED
    assert told.reasons[0].startswith("POSITION_UNKNOWN")
    assert "closing all of it needs no report" in told.reasons[0]
    assert not sim.requests_of("ClosePosition")


WHOLE_IN_ANY_WORDS = [
    {},
    {"quantity": 2},
    {"quantity": 5},
    {"percent": Decimal(100)},
    {"percent": Decimal("99.9")},
]


@pytest.mark.parametrize("policy", [Policy(exits_simulated=Approval.FORM)], ids=["asked"])
@pytest.mark.parametrize("words", WHOLE_IN_ANY_WORDS, ids=["bare", "all", "more", "100 %", "99.9 %"])
async def test_a_close_of_all_that_is_held_is_asked_about_sent_and_told_as_the_whole_in_whatever_words(
    desk: Desk,
    does: Does,
    long_two: Outcome,
    buy: Buys,
    price: Prices,
    sim: Simulator,
    mes: Instrument,
    words: dict[str, Any],
) -> None:
    stop = await does(buy(2, action="SELL", kind="STOP_MARKET", stop_price=price(-60)))
    sim.advance(20)
    ticket = await desk.propose(ClosePosition("Sim101", mes, **words))
    assert isinstance(ticket, Ticket)
    assert ticket.summary == "SIM  Sim101  CLOSE all of MES 09-26"
    assert ticket.request is not None
    (item,) = ticket.request.items
    assert item.headline == "CLOSE all of MES 09-26"
    assert item.steps == ("Position +2 now, flat after", "The working orders of the instrument go with it: 1")
    assert [order.order_id for order in item.cancels] == [stop.order_id]
    assert "could turn the position round" not in ticket.question
    await desk.decisions.approve(ticket, "terminal")
    told = await desk.commit(ticket.ticket_id)
    assert (told.status, told.position_after) == (Status.FLAT, 0)
    assert told.summary == "SIM  Sim101  CLOSE all of MES 09-26"
    assert not sim.exchange.live_orders("Sim101"), "its stop went with it"
    assert told.stands_now[-1] == "no position; working orders: none"


@pytest.mark.parametrize("policy", [Policy(exits_simulated=Approval.FORM)], ids=["asked"])
async def test_a_close_that_was_shown_as_the_whole_closes_no_more_than_it_names_of_what_was_added_since(
    desk: Desk, long_two: Outcome, sim: Simulator, mes: Instrument, clock: ManualClock
) -> None:
    ticket = await desk.propose(ClosePosition("Sim101", mes, quantity=2))
    assert isinstance(ticket, Ticket)
    outsider_trades(sim, clock, 1)
    await desk.decisions.approve(ticket, "terminal")
    told = await desk.commit(ticket.ticket_id)
    assert (told.status, told.position_after) == (Status.FILLED, 1)
    assert "the position was +2 when the person was asked, and +3 when it was sent" in told.warnings


@pytest.mark.parametrize("policy", [Policy(exits_simulated=Approval.FORM)], ids=["asked"])
async def test_a_close_that_was_shown_as_a_part_takes_no_orders_along_that_were_not_shown(
    desk: Desk,
    does: Does,
    long_two: Outcome,
    buy: Buys,
    price: Prices,
    sim: Simulator,
    mes: Instrument,
    clock: ManualClock,
) -> None:
    await does(buy(1, action="SELL", kind="STOP_MARKET", stop_price=price(-60)))
    sim.advance(20)
    ticket = await desk.propose(ClosePosition("Sim101", mes, quantity=1))
    assert isinstance(ticket, Ticket)
    outsider_trades(sim, clock, -1)
    await desk.decisions.approve(ticket, "terminal")
    told = await desk.commit(ticket.ticket_id)
    assert told.status is Status.DENIED
    assert "orders that would go and were not shown: SELL 1 MES 09-26 STOP MARKET" in " ".join(told.reasons)


@pytest.mark.parametrize(
    "part",
    [{"quantity": 1}, {"percent": Decimal(50)}, {"quantity": 5}],
    ids=["all but one", "half", "more than is held"],
)
async def test_a_part_that_is_closed_again_leaves_no_more_though_it_is_all_that_is_held_by_now(
    does: Does, long_two: Outcome, sim: Simulator, clock: ManualClock, mes: Instrument, part: dict[str, Any]
) -> None:
    """Who did not hear the first answer asks again, at this machine or another."""
    close = ClosePosition("Sim101", mes, **part)
    first = await does(close)
    sim.advance(3)
    if first.status is Status.FLAT:
        outsider_trades(sim, clock, 1)
    again = await does(close)
    assert again.status is Status.DENIED
    assert again.reasons[0].startswith("DUPLICATE_WITHIN_WINDOW: identical sent=")
    assert again.reasons[0].endswith("; a close of all of it, or a flatten, is no repeat of it")
    assert sim.exchange.accounts["Sim101"].net(sim.market.front("MES", clock())) == 1
    assert (await does(ClosePosition("Sim101", mes))).status is Status.FLAT, "all of it goes at any time"
