"""Sending once: what is written down around the wire, and what a strange answer is made of."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.crosstrade.schemas.orders import Acknowledged
from ct_mcp.desk.approval import draw_ticket
from ct_mcp.desk.desk import Desk
from ct_mcp.desk.dispatch import handler_of
from ct_mcp.desk.execution import STALE_AFTER_SECONDS, CommandExecution
from ct_mcp.desk.journal_writer import JournalWriter, Step
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.polling import Pause
from ct_mcp.desk.submission import Submission
from ct_mcp.domain.approval import Ticket
from ct_mcp.domain.commands import CancelOrder, CancelOrders, ChangeOrder, ClosePosition, Command, Flatten
from ct_mcp.domain.instrument import Instrument
from ct_mcp.errors import AddonOffline, BudgetExhausted, OrderRejected, OutcomeUnknown
from ct_mcp.guard.policy import Policy
from ct_mcp.guard.review import Review
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.simulator import Simulator
from ct_mcp.store.journal import EntryKind
from ct_mcp.store.sqlite import SqliteStore
from tests.unit.desk.conftest import Buys, Does, Prices

OddDesk = Callable[[str, Callable[..., Awaitable[object]]], Desk]


async def story(store: SqliteStore, ticket_id: str | None) -> list[tuple[EntryKind, dict[str, Any]]]:
    """What the journal says of one ticket from its intent on, oldest first."""
    entries = (await store.entries(50, ticket_id=ticket_id))[::-1]
    kinds = [entry.kind for entry in entries]
    return [(entry.kind, dict(entry.detail)) for entry in entries[kinds.index(EntryKind.INTENT) + 1 :]]


class Odd:
    """An upstream that does one write in its own way, in all its views."""

    def __init__(self, inner: Any, name: str, does: Any) -> None:
        self.inner, self.name, self.does = inner, name, does

    def __getattr__(self, asked: str) -> Any:
        if asked in ("urgent", "checked_by"):
            return lambda *given: Odd(getattr(self.inner, asked)(*given), self.name, self.does)
        return self.does if asked == self.name else getattr(self.inner, asked)


@pytest.fixture
def odd(crosstrade: CrossTrade, store: SqliteStore, policy: Policy, clock: ManualClock, pause: Pause) -> OddDesk:
    """A desk whose upstream does one write in its own way."""
    return lambda name, does: Desk(Odd(crosstrade, name, does), store, policy, clock=clock, pause=pause)


async def sent(desk: Desk, review: Review) -> Outcome:
    """Send what was reviewed as it is, as if its ticket had just been spent."""
    ticket = draw_ticket([review], "")
    journal = JournalWriter(desk.store, desk.clock)
    execution = CommandExecution(Step(ticket), review, desk.upstream, journal, desk.pause)
    return await execution.with_outstanding(await handler_of(review.command)(execution, review.command))


async def committed(desk: Desk, action: Command) -> Outcome:
    """Propose, approve, commit."""
    ticket = await desk.propose(action)
    assert isinstance(ticket, Ticket)
    await desk.decisions.approve(ticket, "terminal")
    return await desk.commit(ticket.ticket_id)


async def test_the_intent_is_on_disk_before_the_request_leaves(
    odd: OddDesk, crosstrade: CrossTrade, buy: Buys, store: SqliteStore
) -> None:
    outstanding: list[bool] = []

    async def looks_at_the_journal(order: Any, own_id: str, require: Any = None) -> Acknowledged:
        outstanding.extend(entry.own_id == own_id for entry in await store.unsettled())
        return await crosstrade.place_order(order, own_id)

    told = await committed(odd("place_order", looks_at_the_journal), buy())
    assert told.status is Status.FILLED
    assert outstanding == [True]


async def test_a_fault_of_our_own_after_the_send_is_unknown_and_looked_for(
    odd: OddDesk, crosstrade: CrossTrade, buy: Buys, sim: Simulator, store: SqliteStore
) -> None:
    async def sends_and_breaks(order: Any, own_id: str, require: Any = None) -> float:
        await crosstrade.place_order(order, own_id)
        return 1 / 0

    told = await committed(odd("place_order", sends_and_breaks), buy())
    assert (told.status, told.order_id) == (Status.FILLED, sim.exchange.orders[0].id)
    assert told.reasons == ("an internal fault (ZeroDivisionError) hid the answer",)
    assert [kind for kind, _ in await story(store, told.ticket_id)] == [EntryKind.UNKNOWN, EntryKind.ANSWERED]


async def test_a_fault_of_our_own_that_hid_nothing_stays_unknown(odd: OddDesk, buy: Buys, store: SqliteStore) -> None:
    async def breaks(order: Any, own_id: str, require: Any = None) -> Acknowledged:
        raise KeyError(own_id)

    told = await committed(odd("place_order", breaks), buy())
    assert (told.status, told.order_id) == (Status.UNKNOWN, None)
    assert [kind for kind, _ in await story(store, told.ticket_id)] == [EntryKind.UNKNOWN, EntryKind.READ_BACK]
    assert len(await store.unsettled()) == 1


async def test_what_certainly_was_not_sent_is_settled_in_the_journal(
    does: Does, buy: Buys, sim: Simulator, store: SqliteStore
) -> None:
    sim.faults.arm(Fault.ADDON_OFFLINE, rpc="PlaceOrder")
    with pytest.raises(AddonOffline):
        await does(buy())
    (entry,) = [entry for entry in await store.entries(9) if entry.kind is EntryKind.ANSWERED]
    assert entry.detail["step"] == "place"
    assert "Client not ready" in str(entry.detail["not_sent"])
    assert await store.unsettled() == ()


async def test_an_acknowledgement_is_written_down_by_itself(
    does: Does, buy: Buys, sim: Simulator, store: SqliteStore
) -> None:
    sim.faults.arm(Fault.FROZEN_ORDERS)
    told = await does(buy())
    (accepted, detail), (read_back, _) = await story(store, told.ticket_id)
    assert (accepted, read_back) == (EntryKind.ACCEPTED, EntryKind.READ_BACK)
    assert detail == {"step": "place", "order_id": told.order_id, "reasons": [], "warnings": []}
    assert len(await store.unsettled()) == 1, "accepted is neither working nor filled"


async def test_their_no_is_written_down_with_their_words(
    does: Does, buy: Buys, sim: Simulator, store: SqliteStore
) -> None:
    sim.faults.arm(Fault.REFUSED_WITH_400, rpc="PlaceOrder")
    told = await does(buy())
    ((kind, detail),) = await story(store, told.ticket_id)
    assert kind is EntryKind.ANSWERED
    assert detail["reasons"] == ['PlaceOrder was refused; CrossTrade said "Invalid request"']


@pytest.mark.parametrize("fault", [Fault.REFUSED_WITH_400, Fault.CONFLICT, Fault.LATE_REJECT])
async def test_the_stop_of_a_bare_position_that_was_refused_goes_again_at_once_as_its_answer_says(
    does: Does, long_two: Outcome, buy: Buys, price: Prices, sim: Simulator, fault: Fault
) -> None:
    stop = buy(2, action="SELL", kind="STOP_MARKET", stop_price=price(-40))
    sim.faults.arm(fault, rpc="PlaceOrder", times=1)
    told = await does(stop)
    assert told.status is Status.REJECTED
    assert "place_order with account Sim101" in told.next_step
    assert "do not send" not in told.next_step
    assert (await does(stop)).status is Status.WORKING


async def test_the_close_of_a_part_that_was_refused_goes_again_at_once(
    does: Does, long_two: Outcome, sim: Simulator, mes: Instrument
) -> None:
    part = ClosePosition("Sim101", mes, quantity=1)
    sim.faults.arm(Fault.REFUSED_WITH_400, rpc="ClosePosition", times=1)
    assert (await does(part)).status is Status.REJECTED
    assert (await does(part)).status is Status.FILLED


async def test_what_opens_and_was_refused_is_not_sent_again_at_once(does: Does, buy: Buys, sim: Simulator) -> None:
    sim.faults.arm(Fault.REFUSED_WITH_400, rpc="PlaceOrder", times=1)
    assert (await does(buy())).status is Status.REJECTED
    again = await does(buy())
    assert again.reasons[0].startswith("DUPLICATE_WITHIN_WINDOW")


@pytest.mark.parametrize(("seconds", "is_sent"), [(STALE_AFTER_SECONDS, True), (STALE_AFTER_SECONDS + 0.1, False)])
@pytest.mark.parametrize("changes", [False, True], ids=["place", "change"])
async def test_a_review_that_is_too_old_at_the_wire_stops_what_may_add(
    desk: Desk,
    does: Does,
    buy: Buys,
    price: Prices,
    sim: Simulator,
    clock: ManualClock,
    seconds: float,
    is_sent: bool,
    changes: bool,
) -> None:
    action: Command = buy(kind="LIMIT", limit_price=price(-40))
    if changes:
        order_id = str((await does(action)).order_id)
        sim.advance(20)
        action = ChangeOrder("Sim101", order_id, limit_price=price(-60))
    review = await desk.preview(action)
    clock.advance(seconds)
    before = len(sim.requests_of("PlaceOrder", "Change"))
    if is_sent:
        assert (await sent(desk, review)).status in (Status.WORKING, Status.CHANGED)
    else:
        with pytest.raises(BudgetExhausted, match="the order waited 5 s for the request budget"):
            await sent(desk, review)
    assert len(sim.requests_of("PlaceOrder", "Change")) - before == is_sent


async def test_an_exit_is_never_too_old(
    desk: Desk, long_two: Outcome, sim: Simulator, clock: ManualClock, mes: Instrument
) -> None:
    review = await desk.preview(ClosePosition("Sim101", mes))
    clock.advance(300)
    told = await sent(desk, review)
    assert told.status is Status.FLAT


@pytest.mark.parametrize(
    "action",
    [
        lambda mes: Flatten("Sim101", mes),
        lambda mes: ClosePosition("Sim101", mes),
        lambda mes: CancelOrders("Sim101", None),
    ],
    ids=["flatten", "close", "cancel orders"],
)
async def test_an_exit_may_use_the_budgets_reserve(
    desk: Desk,
    long_two: Outcome,
    crosstrade: CrossTrade,
    sim: Simulator,
    clock: ManualClock,
    mes: Instrument,
    action: Callable[[Instrument], Command],
) -> None:
    """A budget that makes everything else wait longer than anybody may, at the moment of the send and after it."""
    review = await desk.preview(action(mes))
    await crosstrade.connection.budget.penalise(clock(), 8.7)
    with pytest.raises(BudgetExhausted):
        await crosstrade.quotes(["MES"])
    told = await sent(desk, review)
    assert told.status in (Status.FLAT, Status.CANCELLED)


async def test_an_exit_is_read_back_from_the_budgets_reserve(
    odd: OddDesk, crosstrade: CrossTrade, long_two: Outcome, clock: ManualClock, mes: Instrument
) -> None:
    async def flattens_and_is_told_to_slow_down(account: str, instrument: Any) -> Acknowledged:
        taken = await crosstrade.urgent().flatten(account, instrument)
        await crosstrade.connection.budget.penalise(clock(), 13.7)  # only the last look of an exit comes in time
        return taken

    told = await committed(odd("flatten", flattens_and_is_told_to_slow_down), Flatten("Sim101", mes))
    assert told.status is Status.FLAT


@pytest.mark.parametrize("fault", [Fault.CONNECT_REFUSED, Fault.HTML_PAGE])
async def test_a_cancel_that_cannot_be_seen_is_accepted_and_looked_for(
    does: Does, buy: Buys, price: Prices, sim: Simulator, fault: Fault
) -> None:
    order_id = str((await does(buy(kind="LIMIT", limit_price=price(-40)))).order_id)
    sim.faults.arm(fault, rpc="GetOrder")
    told = await does(CancelOrder("Sim101", order_id))
    assert (told.status, told.reasons) == (Status.ACCEPTED, ("the cancel is not seen yet",))
    assert told.next_step.startswith("look with get_orders: what still works may be cancelled again")


async def test_a_change_that_ends_with_its_order_tells_what_became_of_the_order(
    odd: OddDesk, crosstrade: CrossTrade, does: Does, buy: Buys, price: Prices, sim: Simulator, clock: ManualClock
) -> None:
    order_id = str((await does(buy(kind="LIMIT", limit_price=price(-40)))).order_id)
    sim.advance(20)

    async def changes_and_is_cancelled(change: ChangeOrder) -> Acknowledged:
        taken = await crosstrade.change_order(change)
        sim.exchange.cancel(sim.exchange.orders[0], clock())
        return taken

    told = await committed(odd("change_order", changes_and_is_cancelled), ChangeOrder("Sim101", order_id, 2))
    assert (told.status, told.order_id) == (Status.CANCELLED, order_id)


async def test_a_change_that_the_broker_takes_back_is_not_called_done(
    odd: OddDesk, crosstrade: CrossTrade, does: Does, buy: Buys, price: Prices, sim: Simulator, clock: ManualClock
) -> None:
    """It is taken, and a little later the order stands as it stood."""
    order_id = str((await does(buy(kind="LIMIT", limit_price=price(-40)))).order_id)
    sim.advance(20)
    (order,) = sim.exchange.orders

    async def taken_and_not_done(change: ChangeOrder) -> Acknowledged:
        return Acknowledged(order_ids=(order_id,))

    told = await committed(odd("change_order", taken_and_not_done), ChangeOrder("Sim101", order_id, 2))
    assert told.status is Status.ACCEPTED
    assert told.reasons[0].startswith("the change is not seen yet: it reads BUY 1 MES 09-26 LIMIT")
    assert order.terms.quantity == 1


async def test_a_cancel_of_what_has_filled_in_part_tells_the_position_and_doubts_nothing(
    does: Does, long_two: Outcome, buy: Buys, price: Prices, sim: Simulator
) -> None:
    sim.faults.arm(Fault.PARTIAL_FILL_STUCK, rpc="PlaceOrder")
    order_id = str((await does(buy(4, kind="LIMIT", limit_price=price(4)))).order_id)
    sim.advance(20)
    told = await does(CancelOrder("Sim101", order_id))
    assert (told.status, told.filled_quantity, told.position_after) == (Status.CANCELLED, 2, 4)
    assert told.warnings == ("2 of 4 filled before the cancel",)


@pytest.mark.parametrize("rpc", ["Change", "Cancel"])
async def test_their_no_to_an_order_that_stands_is_rejected_and_it_stands(
    does: Does, buy: Buys, price: Prices, sim: Simulator, rpc: str
) -> None:
    order_id = str((await does(buy(kind="LIMIT", limit_price=price(-40)))).order_id)
    sim.advance(20)
    sim.faults.arm(Fault.REFUSED_WITH_200, rpc=rpc)
    action = CancelOrder("Sim101", order_id) if rpc == "Cancel" else ChangeOrder("Sim101", order_id, quantity=2)
    told = await does(action)
    assert told.status is Status.REJECTED
    assert 'CrossTrade said "The request was refused"' in told.reasons[0]
    assert [order.id for order in sim.exchange.live_orders("Sim101")] == [order_id]


async def test_a_flatten_cancels_what_it_left_and_writes_both_steps_down(
    does: Does, buy: Buys, price: Prices, sim: Simulator, store: SqliteStore, mes: Instrument
) -> None:
    await does(buy(kind="LIMIT", limit_price=price(-40)))
    told = await does(Flatten("Sim101", mes))
    assert told.status is Status.FLAT
    steps = await story(store, told.ticket_id)
    assert [kind for kind, _ in steps] == [
        EntryKind.ACCEPTED,
        EntryKind.INTENT,
        EntryKind.ACCEPTED,
        EntryKind.ANSWERED,
    ]
    assert [detail.get("step") for _, detail in steps] == ["flatten", None, "cancel", None]
    assert await store.unsettled() == ()


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Fault.ADDON_OFFLINE, "the orders left standing were not cancelled: CancelOrders was answered with HTTP 408"),
        (Fault.REFUSED_WITH_400, "CancelOrders was refused"),
        (Fault.BAD_GATEWAY, "CancelOrders was answered with HTTP 502"),
        (Fault.WARNING, 'CrossTrade warns: "Completed'),
    ],
)
async def test_trouble_with_the_second_step_of_a_flatten_is_a_warning(
    does: Does, buy: Buys, price: Prices, sim: Simulator, mes: Instrument, fault: Fault, says: str
) -> None:
    await does(buy(kind="LIMIT", limit_price=price(-40)))
    sim.faults.arm(fault, rpc="CancelOrders")
    told = await does(Flatten("Sim101", mes))
    assert told.status is (Status.FLAT if fault is Fault.WARNING else Status.ACCEPTED)
    assert says in " ".join(told.warnings)
    assert told.status is Status.FLAT or "NOT FLAT" in told.next_step


async def test_a_flatten_of_an_account_that_cannot_be_read_is_not_flat(
    does: Does, long_two: Outcome, sim: Simulator, mes: Instrument
) -> None:
    sim.faults.arm(Fault.POSITIONS_WITHOUT_SUCCESS)
    told = await does(Flatten("Sim101", mes))
    assert (told.status, told.position_after) == (Status.ACCEPTED, None)
    assert told.reasons == ("the account could not be read",)


async def test_a_disk_that_fills_up_after_the_send_is_a_warning(
    odd: OddDesk, crosstrade: CrossTrade, buy: Buys, store: SqliteStore, tmp_path: Path
) -> None:
    async def sends_and_fills_the_disk(order: Any, own_id: str, require: Any = None) -> Acknowledged:
        taken = await crosstrade.place_order(order, own_id)
        await store.close()
        (tmp_path / "state").rename(tmp_path / "gone")
        (tmp_path / "state").write_text("", encoding="utf-8")
        return taken

    told = await committed(odd("place_order", sends_and_fills_the_disk), buy(2))
    assert (told.status, told.position_after) == (Status.FILLED, 2)
    written, read = told.warnings
    assert "the journal could not be written after sending" in written, "of two entries, and told once"
    assert read == "what else is outstanding in the account could not be read from the journal"


async def test_cancelling_all_orders_lists_what_is_left(does: Does, buy: Buys, price: Prices, sim: Simulator) -> None:
    sim.faults.arm(Fault.FROZEN_ORDERS, rpc="PlaceOrder")
    told = await does(buy(kind="LIMIT", limit_price=price(-40)))
    left = await does(CancelOrders("Sim101", None))
    assert left.status is Status.ACCEPTED
    (reason,) = left.reasons
    assert reason.startswith("still standing: BUY 1 MES 09-26 LIMIT ")
    assert reason.endswith(f" SUBMITTED ({told.order_id})")
    assert left.next_step == "look again with get_orders"


def test_an_answer_labels_their_words_and_ours() -> None:
    assert Submission(Acknowledged(warning="mind")).warnings == ('CrossTrade warns: "mind"',)
    assert Submission(Acknowledged(), trouble=("disk",)).warnings == ("disk",)
    assert Submission(Acknowledged()).reasons == ()
    assert Submission(refusal=OrderRejected("no")).reasons == ("no",)
    assert Submission(unknown=OutcomeUnknown("silence")).reasons == ("silence",)
