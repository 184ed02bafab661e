"""Entry, stop and target under one yes: what is asked, what is sent as it fills, and what happens where that fails."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.desk.desk import Desk
from ct_mcp.desk.execution import CommandExecution
from ct_mcp.desk.exit_cover import Exit
from ct_mcp.desk.exit_keeper import ExitKeeper
from ct_mcp.desk.exit_tries import key_of, note_of
from ct_mcp.desk.exit_watch import ExitWatch
from ct_mcp.desk.handlers import entries, orders
from ct_mcp.desk.outcome import Kept, Outcome, Status
from ct_mcp.desk.polling import AccountPoller, AccountState
from ct_mcp.domain.approval import Ticket
from ct_mcp.domain.duty import Duty, DutyPart, DutyState
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import Order, OrderAction, OrderState
from ct_mcp.errors import BadReply, StoreFailed
from ct_mcp.guard.effect import is_exit_of_entry
from ct_mcp.guard.policy import IfUnprotected, Policy, Protection
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.exchange import Exchange
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.orders import Action, OrderLabels, OrderTerms, SimOrder, SimOrderType
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.store.sqlite import SqliteStore
from tests import factories
from tests.conftest import Person
from tests.e2e.conftest import Assistant, Wire, World

EXITS: dict[str, Any] = {"stop_loss": "10 points", "take_profit": "20 points"}


@pytest.fixture
def another_desk(
    crosstrade: CrossTrade,
    store: SqliteStore,
    policy: Policy,
    clock: ManualClock,
    pause: Callable[[float], Awaitable[None]],
) -> Desk:
    """Another process, over the same state."""
    return Desk(crosstrade, store, policy, clock=clock, pause=pause)


def exits(world: World) -> list[tuple[str, int]]:
    """Every order that can still fill: its type and its size."""
    return [(str(order.terms.order_type), order.terms.quantity) for order in world.sim.exchange.live_orders("Sim101")]


async def _leaves_it_to_the_watch(_: ExitKeeper, __: Duty, entry: Order) -> tuple[Order, Kept]:
    return entry, Kept()


async def test_a_target_that_is_denied_at_first_is_told_beside_the_stop_and_placed_later(
    assistant: Assistant, desk: Desk, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = ExitKeeper._sent

    async def denied(keeper: ExitKeeper, duty: Duty, ticket: Ticket, number: int) -> Outcome:
        if number:
            return Outcome(Status.DENIED, "", simulated=True, reasons=("not now",))
        return await sent(keeper, duty, ticket, number)

    with monkeypatch.context() as first:
        first.setattr(ExitKeeper, "_sent", denied)
        told = await assistant.buys(2, **EXITS)
    assert "the target is not seen standing, the stop does: denied" in told.text.lower()
    assert "after the fill was seen" in told.text
    assert "another ct-mcp" not in told.text
    assert exits(world) == [("StopMarket", 2)]
    for _ in range(2):
        world.later(20)
        await desk.exit_watch.look()
    assert exits(world) == [("StopMarket", 2), ("Limit", 2)]


async def test_one_call_and_one_yes_bring_entry_stop_and_target(
    assistant: Assistant, world: World, person: Person
) -> None:
    told = await assistant.buys(2, **EXITS)
    assert (told.status, told.position_after, world.net()) == ("filled", 2, 2), told.text
    fill = told.average_fill_price
    assert exits(world) == [("StopMarket", 2), ("Limit", 2)]
    assert f"stop 2 of 2 at {fill - 10:g} (-100.00); target 2 of 2 at {fill + 20:g} (+200.00)" in told.text
    assert "s after the fill was seen: stop loss 2" in told.reasons_text
    (question,) = person.asked
    for said in (
        "stop 10 points, target 20 points",
        "Risk 100.00 (USD, over 40 ticks to the stop)",
        "2.0 times the risk",
    ):
        assert said in question
    assert "CLOSED at the market" in question
    assert "only while ct-mcp runs" in question


async def test_stop_and_target_are_one_group(assistant: Assistant, world: World) -> None:
    await assistant.buys(2, **EXITS)
    stop, target = world.sim.exchange.live_orders("Sim101")
    assert stop.labels.oco_id == target.labels.oco_id


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"stop_loss": "far"}, "where an exit is to stand is said as"),
        ({"stop_loss": "break-even"}, "an entry has no break-even yet"),
        ({"stop_loss": "0 points"}, "a distance of nothing"),
        ({"take_profit": "1 at 10 points, 20 points"}, "each with its contracts"),
        ({"risk": 100, "stop_loss": "10 points"}, "exactly one of quantity and risk"),
    ],
)
async def test_what_cannot_be_read_sends_nothing(
    assistant: Assistant, world: World, given: dict[str, Any], said: str
) -> None:
    told = await assistant.buys(2, **given)
    assert told.is_error
    assert said in told.text
    assert "nothing was sent" in told.text.lower()
    assert world.writes() == 0


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"stop_loss": lambda world: world.price(40)}, "STOP_LOSS_ON_WRONG_SIDE"),
        ({"take_profit": lambda world: world.price(-40)}, "TAKE_PROFIT_ON_WRONG_SIDE"),
        ({"stop_loss": lambda world: world.price(-40) + 0.1}, "PRICE_OFF_TICK"),
        ({"take_profit": lambda _: "1 at 10 points, 2 at 20 points"}, "BRACKET_QUANTITIES"),
        ({"stop_loss": lambda _: "10 points", "atm_strategy": lambda _: "AtmStrategyTemplate"}, "BRACKET_WITH_ATM"),
        ({"stop_loss": lambda _: "10 points", "flatten_first": lambda _: True}, "BRACKET_WITH_FLATTEN_FIRST"),
        ({"stop_loss": lambda _: "60 points"}, "OPEN_RISK_EXCEEDS_DAY"),
    ],
)
async def test_exits_that_do_not_fit_are_denied(
    assistant: Assistant, world: World, given: dict[str, Callable[[World], Any]], code: str
) -> None:
    told = await assistant.buys(2, **{name: make(world) for name, make in given.items()})
    assert told.status == "denied", told.text
    assert code in told.reasons_text
    assert world.writes() == 0


async def test_an_order_that_leaves_gets_no_stop(assistant: Assistant, world: World) -> None:
    await assistant.buys(2)
    world.later()
    told = await assistant.buys(1, action="SELL", stop_loss="10 points")
    assert "BRACKET_ON_EXIT" in told.reasons_text


async def test_several_targets_get_a_stop_each(assistant: Assistant, world: World) -> None:
    told = await assistant.buys(3, stop_loss="10 points", take_profit="1 at 10 points, 2 at 20 points")
    assert told.status == "filled", told.text
    assert sorted(exits(world)) == [("Limit", 1), ("Limit", 2), ("StopMarket", 1), ("StopMarket", 2)]
    groups = [order.labels.oco_id for order in world.sim.exchange.live_orders("Sim101")]
    assert len(set(groups)) == 2


async def test_the_size_comes_from_what_may_be_lost(assistant: Assistant, world: World, person: Person) -> None:
    told = await assistant.buys(None, risk=170, stop_loss="10 points")
    assert (told.status, world.net()) == ("filled", 3), told.text
    assert "Size from risk: 3 contracts for at most 170.00" in person.asked[0]


async def test_a_risk_that_fits_no_contract_names_the_micros_that_do(assistant: Assistant, world: World) -> None:
    told = await assistant.buys(None, instrument="ES", risk=200, stop_loss="10 points")
    assert told.is_error
    assert "1 ES 09-26 risks 500.00 over 40 ticks to the stop; 4 MES would risk 200.00" in told.text
    assert world.writes() == 0


def at_the_second_order(wire: Wire, do: Callable[[], None]) -> None:
    """Do something right before the second order leaves, which is the stop of the first."""

    def at_the_first() -> None:
        wire.meanwhile["/orders/place"] = do

    wire.meanwhile["/orders/place"] = at_the_first


NO_STOP = [Fault.REFUSED_WITH_400, Fault.REFUSED_WITH_200, Fault.LATE_REJECT]


@pytest.mark.parametrize("fault", NO_STOP)
async def test_what_cannot_be_protected_is_closed_and_that_is_the_first_word(
    assistant: Assistant, world: World, wire: Wire, store: SqliteStore, fault: Fault
) -> None:
    at_the_second_order(wire, lambda: world.sim.faults.arm(fault, rpc="PlaceOrder", times=1))
    told = await assistant.buys(2, **EXITS)
    assert told.text.startswith("CLOSED, since the stop could not be placed: 2 of the 2 MES 09-26 filled"), told.text
    assert (world.net(), exits(world)) == (0, [])
    kinds = [entry.kind for entry in await store.entries(50)]
    assert EntryKind.UNPROTECTED in kinds


async def test_a_stop_of_unknown_outcome_is_closed_after_the_deadline_and_may_still_come(
    assistant: Assistant, world: World, wire: Wire
) -> None:
    lost = Fault.REQUEST_LOST_BEFORE_ACCEPT
    at_the_second_order(wire, lambda: world.sim.faults.arm(lost, rpc="PlaceOrder", times=1))
    told = await assistant.buys(2, **EXITS)
    assert told.text.startswith("CLOSED, and what was sent may still come: 2 of the 2 MES 09-26 filled"), told.text
    assert "of unknown outcome" in told.warnings_text
    assert (world.net(), exits(world)) == (0, [])


@pytest.mark.parametrize("fault", [Fault.ANSWER_LOST_AFTER_ACCEPT, Fault.TIMEOUT_AFTER_ACCEPT, Fault.HTML_PAGE])
async def test_a_stop_whose_answer_was_lost_is_found_and_not_sent_again(
    assistant: Assistant, world: World, wire: Wire, fault: Fault
) -> None:
    at_the_second_order(wire, lambda: world.sim.faults.arm(fault, rpc="PlaceOrder", times=1))
    told = await assistant.buys(2, **EXITS)
    assert told.status == "filled", told.text
    assert exits(world) == [("StopMarket", 2), ("Limit", 2)]
    assert world.net() == 2


async def test_a_target_that_is_refused_leaves_the_stop_and_is_told(
    assistant: Assistant, world: World, wire: Wire
) -> None:
    def at_the_target() -> None:
        at_the_second_order(wire, lambda: world.sim.faults.arm(Fault.REFUSED_WITH_400, rpc="PlaceOrder", times=1))

    wire.meanwhile["/orders/place"] = at_the_target
    told = await assistant.buys(2, **EXITS)
    assert exits(world) == [("StopMarket", 2)]
    assert "the target is not seen standing, the stop does" in told.warnings_text


class TestWhereThePersonIsToldAlone:
    """With ``if_unprotected = "tell"``."""

    @pytest.fixture
    def policy(self) -> Policy:
        """Nothing is closed."""
        return Policy(protection=Protection(if_unprotected=IfUnprotected.TELL))

    async def test_nothing_more_is_sent(
        self, assistant: Assistant, world: World, wire: Wire, person: Person, desk: Desk
    ) -> None:
        at_the_second_order(wire, lambda: world.sim.faults.arm(Fault.REFUSED_WITH_400, rpc="PlaceOrder", times=1))
        told = await assistant.buys(2, **EXITS)
        assert told.text.startswith("UNPROTECTED: 2 of the 2 MES 09-26 filled stand without a stop"), told.text
        assert "tell the person now" in told.next_step
        assert "you are told, and nothing is sent" in person.asked[0]
        sent = world.writes()
        await desk.exit_watch.look()
        assert (world.writes(), world.net()) == (sent, 2)

    async def test_what_could_not_be_written_is_told_later(
        self,
        assistant: Assistant,
        world: World,
        desk: Desk,
        store: SqliteStore,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Nobody waits for an answer when a resting entry fills: whoever is told hears it from the journal."""
        await assistant.buys(2, order_type="LIMIT", limit_price=world.price(-8), **EXITS)
        fills(world)
        world.sim.faults.arm(Fault.REFUSED_WITH_400, rpc="PlaceOrder")
        written = SqliteStore.append

        async def is_full(of: SqliteStore, entry: NewEntry, now: datetime) -> object:
            if entry.kind is EntryKind.UNPROTECTED:
                raise StoreFailed("the disk is full")
            return await written(of, entry, now)

        with monkeypatch.context() as meanwhile:
            meanwhile.setattr(SqliteStore, "append", is_full)
            await looks(world, desk, 2)
        assert EntryKind.UNPROTECTED not in {entry.kind for entry in await store.entries(50)}
        await looks(world, desk, 40)
        assert EntryKind.UNPROTECTED in {entry.kind for entry in await store.entries(50)}


async def test_a_stop_that_the_market_has_passed_closes_at_once(assistant: Assistant, world: World, wire: Wire) -> None:
    told = await assistant.buys(2, stop_loss=world.price(-1))
    assert world.net() == 0 or exits(world) == [("StopMarket", 2)], told.text


async def test_a_part_that_fills_is_protected_and_grows_with_the_entry(
    assistant: Assistant, world: World, desk: Desk
) -> None:
    world.sim.faults.arm(Fault.PARTIAL_FILL_STUCK, rpc="PlaceOrder", times=1)
    told = await assistant.buys(4, **EXITS)
    assert (world.net(), told.filled_quantity) == (2, 2), told.text
    assert exits(world)[1:] == [("StopMarket", 2), ("Limit", 2)]
    world.sim.faults.disarm()
    world.later(5)
    await desk.exit_watch.look()
    assert world.net() == 4
    assert exits(world) == [("StopMarket", 2), ("Limit", 2)] * 2


async def test_a_resting_entry_gets_its_exits_when_it_fills(
    assistant: Assistant, world: World, desk: Desk, store: SqliteStore
) -> None:
    told = await assistant.buys(2, order_type="LIMIT", limit_price=world.price(-8), **EXITS)
    assert told.status == "working"
    assert "only while ct-mcp runs" in told.text
    await desk.exit_watch.look()
    assert [kind for kind, _ in exits(world)] == ["Limit"]
    fills(world)
    await desk.exit_watch.look()
    assert sorted(exits(world)) == [("Limit", 2), ("StopMarket", 2)]
    world.later(30)
    await desk.exit_watch.look()
    assert len(exits(world)) == 2


def fills(world: World) -> None:
    """Wait until the market has come to what rests."""
    for _ in range(400):
        if world.net():
            return
        world.later(30)
    raise AssertionError("the market did not come to the order")


class Hears:
    """A stream that is sound, and tells of nothing more."""

    def silence(self, _: str) -> int:
        """Always the same mark."""
        return 1


@pytest.mark.parametrize("error", [None, BadReply("no JSON")])
async def test_a_fill_that_could_not_be_looked_up_is_looked_up_again_though_the_stream_is_silent(
    assistant: Assistant, world: World, desk: Desk, monkeypatch: pytest.MonkeyPatch, error: BadReply | None
) -> None:
    async def sees_nothing(*_: object) -> None:
        if error is not None:
            raise error

    await assistant.buys(2, order_type="LIMIT", limit_price=world.price(-8), **EXITS)
    fills(world)
    desk.exit_watch.silence = Hears()
    with monkeypatch.context() as unseen:
        for name in ("look", "find_once"):
            unseen.setattr(AccountPoller, name, sees_nothing)
        await desk.exit_watch.look()
    assert exits(world) == []
    world.later(3)
    await desk.exit_watch.look()
    assert sorted(exits(world)) == [("Limit", 2), ("StopMarket", 2)]


async def test_another_order_that_they_answer_with_gets_no_exits_in_its_place(
    assistant: Assistant, world: World, desk: Desk, crosstrade: CrossTrade, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The entry of one contract is of unknown outcome, and asked for it they tell of two that filled before."""
    first = await assistant.buys(2)
    other = await crosstrade.order("Sim101", str(first.order_id))

    async def mixed_up(*_: object) -> Order:
        return other

    with monkeypatch.context() as broken:
        broken.setattr(CrossTrade, "order", mixed_up)
        world.sim.faults.arm(Fault.TIMEOUT_AFTER_ACCEPT, rpc="PlaceOrder", times=1)
        world.sim.faults.arm(Fault.HTML_PAGE, rpc="GetOrderLifecycle")
        told = await assistant.buys(1, **EXITS)
        assert told.status == "unknown"
        world.later(5)
        await desk.exit_watch.look()
    assert (world.net(), exits(world)) == (3, [])
    world.sim.faults.disarm()
    world.later(5)
    await desk.exit_watch.look()
    assert sorted(exits(world)) == [("Limit", 1), ("StopMarket", 1)]


@pytest.mark.parametrize("order_id", [None, "another"], ids=["by its own id", "by the id of another"])
async def test_an_entry_that_works_by_the_list_and_has_filled_by_its_id_keeps_what_it_is_owed(
    *,
    assistant: Assistant,
    world: World,
    desk: Desk,
    store: SqliteStore,
    monkeypatch: pytest.MonkeyPatch,
    order_id: str | None,
) -> None:
    """It agrees in all that was sent, and no position is held: that it is gone already would be too early."""
    reads = CrossTrade.order

    async def mixed_up(self: CrossTrade, account: str, asked: str) -> Order:
        read = await reads(self, account, asked)
        return replace(read, order_id=order_id or read.order_id, state=OrderState.FILLED, filled=read.quantity)

    with monkeypatch.context() as broken:
        broken.setattr(CrossTrade, "order", mixed_up)
        told = await assistant.buys(2, order_type="LIMIT", limit_price=world.price(-40), **EXITS)
        assert (told.status == "working") is (order_id is not None)
        await looks(world, desk, 20)
    (order,) = world.sim.exchange.live_orders("Sim101")
    assert [duty.state for duty in await store.duties()] == [DutyState.OPEN]
    world.sim.exchange.change(order, replace(order.terms, limit_price=float(world.price(8))), world.clock())
    world.later(5)
    await desk.exit_watch.look()
    assert (world.net(), exits(world)) == (2, [("StopMarket", 2), ("Limit", 2)])


async def test_an_entry_that_is_cancelled_is_owed_nothing(
    assistant: Assistant, world: World, desk: Desk, store: SqliteStore
) -> None:
    told = await assistant.buys(2, order_type="LIMIT", limit_price=world.price(-40), **EXITS)
    await assistant.call("cancel_order", account="Sim101", order_id=told.order_id)
    world.later(5)
    await desk.exit_watch.look()
    assert await store.duties() == ()
    assert exits(world) == []


async def test_another_process_takes_up_what_was_owed(
    assistant: Assistant, world: World, desk: Desk, another_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ExitKeeper, "follow", _leaves_it_to_the_watch)
    await assistant.buys(2, **EXITS)
    assert (world.net(), exits(world)) == (2, [])
    await another_desk.exit_watch.look()
    assert exits(world) == [("StopMarket", 2), ("Limit", 2)]


async def test_the_watch_leaves_an_entry_to_the_call_that_sent_it(
    assistant: Assistant, world: World, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def looked_at(*call: Any) -> Any:
        seen = await orders.found(*call)
        await desk.exit_watch.look()
        assert (world.net(), exits(world)) == (2, [])
        return seen

    monkeypatch.setattr(entries, "found", looked_at)
    told = await assistant.buys(2, **EXITS)
    assert any(line.startswith("protected ") for line in told.reasons)
    assert exits(world) == [("StopMarket", 2), ("Limit", 2)]


async def test_what_fills_while_the_answer_is_made_does_not_wait_for_it(
    assistant: Assistant, world: World, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = CommandExecution.report_order

    async def filled_meanwhile(*call: Any) -> Any:
        fills(world)
        await desk.exit_watch.look()
        assert exits(world) == [("StopMarket", 2), ("Limit", 2)]
        return await report(*call)

    monkeypatch.setattr(CommandExecution, "report_order", filled_meanwhile)
    told = await assistant.buys(2, order_type="LIMIT", limit_price=world.price(-8), **EXITS)
    assert any("stop 2 of 2" in line for line in told.stands_now), told.text


async def test_where_another_process_was_faster_the_answer_says_that_the_exits_stand(
    assistant: Assistant, world: World, another_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def looked_at(*call: Any) -> Any:
        seen = await orders.found(*call)
        await another_desk.exit_watch.look()
        return seen

    monkeypatch.setattr(entries, "found", looked_at)
    told = await assistant.buys(2, **EXITS)
    assert any(line.startswith("its stop and targets stand") for line in told.reasons)
    assert exits(world) == [("StopMarket", 2), ("Limit", 2)]


async def test_two_that_look_at_once_place_one_pair(
    assistant: Assistant, world: World, desk: Desk, another_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = SqliteStore.take_lease

    async def believes(self: SqliteStore, *given: Any) -> bool:
        await take(self, *given)
        return True

    monkeypatch.setattr(ExitKeeper, "follow", _leaves_it_to_the_watch)
    monkeypatch.setattr(SqliteStore, "take_lease", believes)
    await assistant.buys(2, **EXITS)
    async with anyio.create_task_group() as both:
        both.start_soon(desk.exit_watch.look)
        both.start_soon(another_desk.exit_watch.look)
    assert sorted(exits(world)) == [("Limit", 2), ("StopMarket", 2)]


async def test_exits_that_outlive_their_position_are_cancelled(
    assistant: Assistant, world: World, desk: Desk, store: SqliteStore
) -> None:
    await assistant.buys(2, **EXITS)
    contract = world.sim.market.front("MES", world.clock())
    terms = OrderTerms(contract, Action.SELL, 2, SimOrderType.MARKET)
    world.sim.exchange.submit(world.sim.exchange.accounts["Sim101"], terms, OrderLabels(), world.clock())
    world.later(3)
    assert (world.net(), len(exits(world))) == (0, 2)
    for _ in range(3):
        world.later(16)
        await desk.exit_watch.look()
    world.later(3)
    assert exits(world) == []
    await desk.exit_watch.look()
    assert await store.duties() == ()


async def test_a_flatten_takes_the_exits_along(assistant: Assistant, world: World, desk: Desk) -> None:
    await assistant.buys(2, **EXITS)
    told = await assistant.call("flatten", account="Sim101", instrument="MES")
    assert told.status == "flat", told.text
    assert exits(world) == []


class TestWhereAStopIsRequired:
    """With ``require_stop = true``."""

    @pytest.fixture
    def policy(self) -> Policy:
        """Nothing opens bare."""
        return Policy(protection=Protection(require_stop=True))

    async def test_nothing_opens_without_one(self, assistant: Assistant, world: World) -> None:
        told = await assistant.buys(1)
        assert (
            "STOP_REQUIRED: require_stop=true, stop_loss=none; place_order with stop_loss brings one"
            in told.reasons_text
        )
        assert (await assistant.buys(1, stop_loss="10 points")).status == "filled"
        world.later()
        assert (await assistant.call("close_position", account="Sim101", instrument="MES")).status == "flat"


async def test_the_room_of_the_day_counts_the_stops_of_what_is_open(assistant: Assistant, world: World) -> None:
    assert (await assistant.buys(4, stop_loss="15 points")).status == "filled"
    world.later()
    told = await assistant.buys(4, stop_loss="15 points")
    assert "OPEN_RISK_EXCEEDS_DAY: stop-out=300" in told.reasons_text, told.text


async def test_the_legs_of_a_template_are_read_back(assistant: Assistant, world: World) -> None:
    told = await assistant.buys(2, atm_strategy="Day 20x40")
    assert (told.status, told.position_after) == ("filled", 2), told.text
    assert "stop 2 of 2 at" in told.text
    assert "UNPROTECTED" not in told.text


async def test_a_template_that_brings_no_stop_is_cried_out(
    assistant: Assistant, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Exchange, "_protect", lambda *_: None)
    told = await assistant.buys(2, atm_strategy="Day 20x40")
    assert told.text.startswith("UNPROTECTED: 2 of the 2 contracts held in MES 09-26 stand without a stop"), told.text
    assert "protect it with protect_position" in told.next_step


async def test_who_asks_again_hears_what_became_of_the_exits(assistant: Assistant, world: World, wire: Wire) -> None:
    at_the_second_order(wire, lambda: world.sim.faults.arm(Fault.REFUSED_WITH_400, rpc="PlaceOrder", times=1))
    told = await assistant.buys(2, **EXITS)
    again = await assistant.call("confirm_ticket", ticket_id=told.ticket_id)
    assert again.text.startswith("CLOSED, since the stop could not be placed"), again.text


async def test_replacing_an_entry_says_that_its_exits_stay_behind(
    assistant: Assistant, world: World, person: Person
) -> None:
    told = await assistant.buys(1, order_type="LIMIT", limit_price=world.price(-40), **EXITS)
    await assistant.call(
        "replace_order",
        account="Sim101",
        order_id=told.order_id,
        instrument="MES",
        action="BUY",
        quantity=1,
        order_type="LIMIT",
        limit_price=world.price(-44),
    )
    assert "what goes with the old order is not taken along: stop 10 points, target 20 points" in person.asked[-1]


async def test_working_entries_count_with_their_stops_in_the_room_of_the_day(
    assistant: Assistant, world: World
) -> None:
    price = world.price(-40)
    told = await assistant.buys(4, order_type="LIMIT", limit_price=price, stop_loss="15 points")
    assert told.status == "working", told.text
    denied = await assistant.buys(4, order_type="LIMIT", limit_price=price, stop_loss="15 points", time_in_force="GTC")
    assert (
        "OPEN_RISK_EXCEEDS_DAY: stop-out=300, left of the day=500, stop-outs of what is open=300" in denied.reasons_text
    )


async def test_a_list_of_orders_says_what_a_resting_entry_will_get(assistant: Assistant, world: World) -> None:
    told = await assistant.buys(1, order_type="LIMIT", limit_price=world.price(-40), **EXITS)
    listed = await assistant.call("get_orders", account="Sim101")
    assert f"order {told.order_id} gets: stop 10 points, target 20 points" in listed.text


async def test_a_fault_of_ours_does_not_hide_the_fill_and_the_watch_goes_on(
    assistant: Assistant, world: World, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(ExitKeeper, "_round", None)
        told = await assistant.buys(2, **EXITS)
    assert told.text.startswith("it is NOT KNOWN whether a stop stands behind the 2 filled"), told.text
    assert told.status == "filled"
    await desk.exit_watch.look()
    assert exits(world) == [("StopMarket", 2), ("Limit", 2)]


def refuses_the_stop(world: World) -> None:
    world.sim.faults.arm(Fault.REFUSED_WITH_400, rpc="PlaceOrder", times=1)


async def looks(world: World, desk: Desk, times: int, every: float = 2.0) -> None:
    """Let the watch look so many times."""
    for _ in range(times):
        world.later(every)
        await desk.exit_watch.look()


class TestWhatTheCampaignFound:
    """Between the legs: each was found by ``benchmarks/campaign.py --legs``."""

    async def test_an_exit_that_cannot_be_written_down_is_no_entry_that_was_not_sent(
        self, assistant: Assistant, world: World, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def is_full(*_: object) -> bool:
            raise StoreFailed("the disk is full")

        with monkeypatch.context() as meanwhile:
            meanwhile.setattr(SqliteStore, "add_part", is_full)
            told = await assistant.buys(2, **EXITS)
        assert world.net() == 2
        assert (told.status, told.filled_quantity) == ("filled", 2), told.text
        assert told.text.startswith("it is NOT KNOWN whether a stop stands behind the 2 filled"), told.text
        await looks(world, desk, 1)
        assert exits(world) == [("StopMarket", 2), ("Limit", 2)]

    async def test_a_position_that_is_not_listed_right_after_its_fill_is_not_gone(
        self, assistant: Assistant, world: World, wire: Wire
    ) -> None:
        def goes_wrong() -> None:
            refuses_the_stop(world)
            world.sim.faults.arm(Fault.EMPTY_LISTS, rpc="ListPositions")

        at_the_second_order(wire, goes_wrong)
        told = await assistant.buys(2, **EXITS)
        assert "gone already" not in told.text
        assert told.text.startswith(("CLOSED", "UNPROTECTED")), told.text
        assert world.net() == 0

    async def test_a_close_behind_an_exit_of_unknown_outcome_goes_as_soon_as_that_cannot_arrive_any_more(
        self, assistant: Assistant, world: World, wire: Wire, desk: Desk
    ) -> None:
        def goes_wrong() -> None:
            refuses_the_stop(world)
            world.sim.faults.arm(Fault.REQUEST_LOST_BEFORE_ACCEPT, rpc="Flatten", times=1)

        at_the_second_order(wire, goes_wrong)
        told = await assistant.buys(2, **EXITS)
        assert told.text.startswith("UNPROTECTED: 2 of the 2 MES 09-26 filled stand without a stop"), told.text
        began_at = world.clock()
        while world.net() and (world.clock() - began_at).total_seconds() < 120:
            await looks(world, desk, 1)
        assert 58 <= (world.clock() - began_at).total_seconds() <= 78
        assert exits(world) == []

    async def test_a_target_that_is_denied_again_and_again_is_tried_less_and_less_often(
        self, assistant: Assistant, world: World, desk: Desk, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Without a stop nothing is urgent, and each try costs requests that an exit may need."""

        async def denied(*_: object) -> Outcome:
            return Outcome(Status.DENIED, "", simulated=True, reasons=("not now",))

        monkeypatch.setattr(ExitKeeper, "_sent", denied)
        await assistant.buys(2, take_profit="20 points")
        asked = len(world.sim.requests_of("GetOrder"))
        await looks(world, desk, 30)
        (duty,) = await store.duties()
        assert 5 <= len(duty.parts) <= 8, "in a minute"
        assert len(world.sim.requests_of("GetOrder")) - asked <= 8, "nor is the entry read while it rests"

    async def test_who_is_not_to_send_exits_any_more_lets_it_be(
        self, assistant: Assistant, world: World, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its lease ran out by a clock that was set: the store takes no ticket from it, and nobody else made one."""
        tries = list[bool]()

        async def takes_none(*_: object) -> bool:
            tries.append(False)
            assert len(tries) < 5, "it goes on and on"
            return False

        with monkeypatch.context() as meanwhile:
            meanwhile.setattr(SqliteStore, "add_part", takes_none)
            told = await assistant.buys(2, **EXITS)
        assert (told.status, len(tries)) == ("filled", 1)
        assert "another ct-mcp is just placing its exits" in told.reasons_text, (
            "who else keeps the store from taking it"
        )
        assert told.text.startswith("a stop is NOT SEEN YET behind 2 of the 2 MES 09-26 filled"), told.text
        assert "NO STOP" in told.stands_now[0]
        await looks(world, desk, 2)
        assert exits(world) == [("StopMarket", 2), ("Limit", 2)]

    async def test_an_exit_that_was_read_as_over_is_not_asked_for_again(
        self, assistant: Assistant, desk: Desk, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Beside one that was lost, and may still come, each would cost a request a look."""
        await assistant.buys(2, **EXITS)
        (duty,) = await store.duties()
        asked = list[str]()

        async def look(_: str, order_id: str, __: object = None) -> Order | None:
            asked.append(order_id)
            return factories.order(order_id, state=OrderState.CANCELLED) if order_id == "over" else None

        monkeypatch.setattr(desk.exit_watch.keeper.poller, "look", look)
        sent = [Exit(name, duty.order) for name in ("over", "lost")]
        for _ in range(3):
            assert (await desk.exit_watch._read(duty, sent, ())).left == ()
        assert asked == ["over", "lost", "lost", "lost"]

    async def test_a_stop_that_went_once_orders_were_listed_stands_behind_nothing(
        self, assistant: Assistant, world: World, wire: Wire, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Between a list of orders that shows it and a list of positions its pair ended: both are read once more."""
        keeper, listed = desk.exit_watch.keeper, list[Order]()
        book_now = keeper.poller.book_now

        async def before_it_went(account: str, instrument: Instrument | None) -> AccountState | None:
            book = await book_now(account, instrument)
            if book is None or listed:
                return book
            (held,) = book.positions
            terms: dict[str, Any] = {"action": OrderAction.SELL, "instrument": held.instrument, "quantity": 2}
            listed.append(factories.stop_order(account=held.account, **terms))
            return replace(book, orders=(*book.orders, *listed))

        monkeypatch.setattr(keeper.poller, "book_now", before_it_went)
        at_the_second_order(wire, lambda: refuses_the_stop(world))
        told = await assistant.buys(2, **EXITS)
        assert len(listed) == 1
        assert told.text.startswith("CLOSED"), told.text
        assert (world.net(), exits(world)) == (0, [])

    async def test_a_close_that_was_refused_is_tried_again_until_it_works(
        self, assistant: Assistant, world: World, wire: Wire, desk: Desk
    ) -> None:
        def goes_wrong() -> None:
            refuses_the_stop(world)
            world.sim.faults.arm(Fault.LATE_REJECT, rpc="Flatten", times=1)

        at_the_second_order(wire, goes_wrong)
        told = await assistant.buys(2, **EXITS)
        assert told.text.startswith("UNPROTECTED: 2 of the 2 MES 09-26 filled stand without a stop"), told.text
        assert world.net() == 2
        world.sim.faults.disarm()
        await looks(world, desk, 150)
        assert (world.net(), exits(world)) == (0, [])

    async def test_exits_that_somebody_else_is_sending_do_not_stand_yet(
        self,
        assistant: Assistant,
        world: World,
        desk: Desk,
        another_desk: Desk,
        store: SqliteStore,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """That process may die before they leave."""

        monkeypatch.setattr(ExitKeeper, "follow", _leaves_it_to_the_watch)
        await assistant.buys(2, **EXITS)
        (duty,) = await store.duties()
        holder = await desk.exit_watch._keep_lease()
        assert holder is not None
        desk.exit_watch.keeper.looks[key_of(duty)] = holder
        part = DutyPart("", 2, desk.clock())
        assert await desk.exit_watch.keeper._ticket(duty, (duty.order,), part) is not None
        await desk.exit_watch.let_go()
        await another_desk.exit_watch.look()
        assert [each.state for each in await store.duties()] == [DutyState.OPEN]
        await looks(world, another_desk, 8)
        assert (world.net(), exits(world)) == (2, [("StopMarket", 2), ("Limit", 2)])

    async def test_a_look_that_comes_while_a_duty_is_written_leaves_it_to_who_sends_the_entry(
        self, assistant: Assistant, world: World, desk: Desk, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        opens, tends, tended = SqliteStore.open_duty, ExitWatch._tend, []

        async def opens_as_a_look_comes(self: SqliteStore, duty: Duty) -> None:
            await opens(self, duty)
            await desk.exit_watch.look()

        async def tends_and_says_so(self: ExitWatch, duty: Duty, orders: Sequence[Order]) -> None:
            tended.append(key_of(duty))
            await tends(self, duty, orders)

        monkeypatch.setattr(SqliteStore, "open_duty", opens_as_a_look_comes)
        monkeypatch.setattr(ExitWatch, "_tend", tends_and_says_so)
        await assistant.buys(2, **EXITS)
        assert tended == []
        assert exits(world) == [("StopMarket", 2), ("Limit", 2)]

    async def test_who_sent_an_entry_lets_it_go_and_not_the_look_that_came_since(
        self, assistant: Assistant, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Else another look would begin beside that one, of the same duty."""
        tells, tends, tended, goes_on = CommandExecution.report_order, ExitWatch._tend, list[Duty](), anyio.Event()

        async def tends_for_long(self: ExitWatch, duty: Duty, orders: Sequence[Order]) -> None:
            tended.append(duty)
            if len(tended) == 1:
                await goes_on.wait()
            await tends(self, duty, orders)

        async with anyio.create_task_group() as looks_meanwhile:

            async def tells_as_a_look_comes(self: CommandExecution, *told: Any) -> Outcome:
                looks_meanwhile.start_soon(desk.exit_watch.look)
                while not tended:
                    await anyio.lowlevel.checkpoint()
                return await tells(self, *told)

            monkeypatch.setattr(CommandExecution, "report_order", tells_as_a_look_comes)
            monkeypatch.setattr(ExitWatch, "_tend", tends_for_long)
            monkeypatch.setattr(ExitKeeper, "follow", _leaves_it_to_the_watch)
            await assistant.buys(2, **EXITS)
            desk.exit_watch._looked.clear()
            await desk.exit_watch.look()
            goes_on.set()
        assert len(tended) == 1

    async def test_a_duty_that_could_not_be_written_is_nobodys(
        self, assistant: Assistant, world: World, desk: Desk, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nothing was sent, and nothing keeps the next look from what is in the store all the same."""

        async def fails(_: object, __: Duty) -> None:
            raise StoreFailed("the disk is full")

        monkeypatch.setattr(SqliteStore, "open_duty", fails)
        told = await assistant.buys(2, **EXITS)
        assert told.text.startswith("JOURNAL_UNAVAILABLE: the disk is full. Nothing was sent"), told.text
        assert (world.net(), desk.exit_watch.keeper.looks) == (0, {})

    async def test_who_asks_again_before_its_stop_is_seen_hears_that_first(
        self, assistant: Assistant, world: World, desk: Desk, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The entry may be settled while the call that sent it still waits for its stop, or is gone."""

        with monkeypatch.context() as meanwhile:
            meanwhile.setattr(ExitKeeper, "follow", _leaves_it_to_the_watch)
            told = await assistant.buys(2, **EXITS)
        again = await assistant.call("confirm_ticket", ticket_id=told.ticket_id)
        assert (again.status, again.filled_quantity) == ("filled", 2), again.text
        assert again.text.startswith("a stop is NOT SEEN YET behind 2 of the 2 MES 09-26 filled"), again.text
        assert "tell the person now" in again.next_step
        (duty,) = await store.duties()
        await store.append(note_of(duty, EntryKind.UNPROTECTED, "UNPROTECTED: 2 filled stand bare"), desk.clock())
        again = await assistant.call("confirm_ticket", ticket_id=told.ticket_id)
        assert again.text.startswith("UNPROTECTED: 2 filled stand bare"), again.text
        await looks(world, desk, 8)
        assert exits(world) == [("StopMarket", 2), ("Limit", 2)]
        again = await assistant.call("confirm_ticket", ticket_id=told.ticket_id)
        assert "NOT SEEN" not in again.text

    async def test_a_stop_of_another_that_goes_leaves_ours_owed(
        self, assistant: Assistant, world: World, wire: Wire, desk: Desk
    ) -> None:
        """It comes while the entry is on its way: beside one that stands before, the entry is denied."""
        contract = world.sim.market.front("MES", world.clock())
        account = world.sim.exchange.accounts["Sim101"]
        price = contract.product.price(round(world.price(-60) / contract.product.tick_size))
        terms = OrderTerms(contract, Action.SELL, 2, SimOrderType.STOP_MARKET, stop_price=price)
        theirs = list[SimOrder]()

        def somebody_else_protects() -> None:
            theirs.append(world.sim.exchange.submit(account, terms, OrderLabels(), world.clock()))
            world.later(2)

        wire.meanwhile["/orders/place"] = somebody_else_protects
        told = await assistant.buys(2, stop_loss="10 points")
        assert "a stop stands behind it, which is not ours" in told.reasons_text, told.text
        await looks(world, desk, 3)
        assert exits(world) == [("StopMarket", 2)]
        world.sim.exchange.cancel(theirs[0], world.clock())
        await looks(world, desk, 5)
        assert (world.net(), exits(world)) == (2, [("StopMarket", 2)])

    async def test_what_another_process_cries_while_the_answer_is_made_is_its_first_word(
        self, assistant: Assistant, store: SqliteStore, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The other one was placing the exits, and could not; it has left the position since."""
        said = (
            "UNPROTECTED: 2 of the 2 MES 09-26 filled stand without a stop",
            "closed, since it could not be protected",
        )

        async def follows(_: ExitKeeper, duty: Duty, entry: Order) -> tuple[Order, Kept]:
            for kind, words in zip((EntryKind.UNPROTECTED, EntryKind.PROTECTED), said, strict=True):
                await store.append(note_of(duty, kind, words), clock())
            return entry, Kept(("another ct-mcp is just placing its exits",))

        monkeypatch.setattr(ExitKeeper, "follow", follows)
        told = await assistant.buys(2, **EXITS)
        assert told.text.startswith("; ".join(said)), told.text
        assert "tell the person now" in told.next_step

    async def test_a_target_that_was_placed_alone_goes_with_the_position_as_well(
        self, assistant: Assistant, world: World, desk: Desk, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whoever had placed its stop was gone before its target, and the cancel of the stop takes that along."""
        sent = ExitKeeper._sent

        async def is_gone_before_the_target(self: ExitKeeper, duty: Duty, ticket: Ticket, number: int) -> Outcome:
            if number:
                raise StoreFailed("the disk is full")
            return await sent(self, duty, ticket, number)

        with monkeypatch.context() as meanwhile:
            meanwhile.setattr(ExitKeeper, "_sent", is_gone_before_the_target)
            await assistant.buys(2, **EXITS)
        assert exits(world) == [("StopMarket", 2)]
        await looks(world, desk, 1, every=60.0)
        assert exits(world) == [("StopMarket", 2), ("Limit", 2)]
        contract = world.sim.market.front("MES", world.clock())
        terms = OrderTerms(contract, Action.SELL, 2, SimOrderType.MARKET)
        world.sim.exchange.submit(world.sim.exchange.accounts["Sim101"], terms, OrderLabels(), world.clock())
        await looks(world, desk, 3, every=16.0)
        world.later(3)
        assert (world.net(), exits(world)) == (0, [])
        await desk.exit_watch.look()
        assert await store.duties() == ()

    async def test_no_more_is_closed_than_got_no_exits(
        self, assistant: Assistant, world: World, wire: Wire, store: SqliteStore
    ) -> None:
        """The stop of the first share has filled, and the position still reads as before."""

        def at_the_second_stop() -> None:
            refuses_the_stop(world)

        def nothing_more() -> None:
            wire.meanwhile["/orders/place"] = at_the_second_stop

        def at_the_first_stop() -> None:
            wire.meanwhile["/orders/place"] = nothing_more

        at_the_second_order(wire, at_the_first_stop)
        told = await assistant.buys(3, stop_loss="10 points", take_profit="1 at 10 points, 2 at 20 points")
        assert told.text.startswith("CLOSED, since the stop could not be placed: 2 of the 3 MES 09-26"), told.text
        closed = [said["quantity"] for path, said in wire.posts() if path.endswith("/positions/close")]
        assert (closed, world.net()) == ([2], 1)
        assert exits(world) == [("StopMarket", 1), ("Limit", 1)]
        assert [each.state for each in await store.duties()] == [DutyState.STANDING]


@pytest.mark.parametrize("looks_before", [0, 3], ids=["at once", "once nothing more is sent"])
async def test_a_stop_that_was_lost_and_comes_after_the_close_is_cancelled(
    assistant: Assistant, world: World, wire: Wire, desk: Desk, store: SqliteStore, looks_before: int
) -> None:
    """It is found by our id alone, which their rows do not show."""

    def comes_late() -> None:
        world.sim.faults.arm(Fault.REQUEST_LOST_BEFORE_ACCEPT, rpc="PlaceOrder", times=1)

    at_the_second_order(wire, comes_late)
    told = await assistant.buys(2, **EXITS)
    assert told.text.startswith("CLOSED, and what was sent may still come"), told.text
    (lost,) = [said for path, said in wire.posts() if path.endswith("/orders/place") and said["action"] == "SELL"]
    await looks(world, desk, looks_before, every=16.0)
    account, contract = world.sim.exchange.accounts["Sim101"], world.sim.market.front("MES", world.clock())
    terms = OrderTerms(contract, Action.SELL, 2, SimOrderType.STOP_MARKET, stop_price=lost["stopPrice"])
    world.sim.exchange.submit(account, terms, OrderLabels("PlaceOrder", own_id=lost["orderId"]), world.clock())
    world.later(3)
    assert exits(world) == [("StopMarket", 2)]
    for _ in range(4):
        world.later(16)
        await desk.exit_watch.look()
    world.later(3)
    assert exits(world) == []


def somebody(world: World, action: Action, quantity: int) -> None:
    """An order at the market that is none of ours, and the time in which it fills."""
    contract = world.sim.market.front("MES", world.clock())
    terms = OrderTerms(contract, action, quantity, SimOrderType.MARKET)
    world.sim.exchange.submit(world.sim.exchange.accounts["Sim101"], terms, OrderLabels(), world.clock())
    world.later(3)


async def test_exits_of_a_part_that_somebody_closes_do_not_wait_for_the_rest_of_the_entry(
    assistant: Assistant, world: World, desk: Desk
) -> None:
    """What rests of the entry keeps its duty open for hours, and the stop of what is gone would open meanwhile."""
    world.sim.faults.arm(Fault.PARTIAL_FILL_STUCK, rpc="PlaceOrder", times=1)
    await assistant.buys(4, order_type="LIMIT", limit_price=world.price(-4), **EXITS)
    fills(world)
    await looks(world, desk, 20)
    assert exits(world) == [("Limit", 4), ("StopMarket", 2), ("Limit", 2)], "the entry's rest, a stop, and a target"
    somebody(world, Action.SELL, 2)
    await looks(world, desk, 20)
    assert (world.net(), exits(world)) == (0, [("Limit", 4)])


async def test_what_fills_against_another_position_uses_up_no_tries_of_what_is_held_later(
    assistant: Assistant, world: World, desk: Desk, store: SqliteStore
) -> None:
    """The first half of the entry takes a part of somebody's short: it needs no stop, and would be denied one."""
    world.sim.faults.arm(Fault.PARTIAL_FILL_STUCK, rpc="PlaceOrder", times=1)
    told = await assistant.buys(4, order_type="LIMIT", limit_price=world.price(-8), **EXITS)
    (entry,) = world.sim.exchange.live_orders("Sim101")
    assert told.status == "working"
    somebody(world, Action.SELL, 3)
    market = entry.terms.contract.product.price(round(world.price(8) / entry.terms.contract.product.tick_size))
    world.sim.exchange.change(entry, replace(entry.terms, limit_price=market), world.clock())
    await looks(world, desk, 40, every=3.0)
    (duty,) = await store.duties()
    assert (world.net(), exits(world)) == (-1, [("Limit", 4)])
    assert len(duty.parts) <= 5
    somebody(world, Action.BUY, 3)
    await looks(world, desk, 3, every=16.0)
    assert world.net() == 2
    assert sorted(exits(world))[-1] == ("StopMarket", 2)


async def test_an_entry_beside_one_the_other_way_is_denied_rather_than_closed_as_it_fills(
    assistant: Assistant, world: World
) -> None:
    other = await assistant.rests(world.price(60), action="SELL")
    told = await assistant.buys(1, stop_loss="10 points")
    assert "BRACKET_NOT_COVERED: position then=+1, its exits=1, orders that leave as well=1" in told.reasons_text
    assert "let one OCO group hold them" in told.reasons_text
    assert (told.status, world.net(), world.live()) == ("denied", 0, [other])


class TestAnAddition:
    """To a position with a stop and a target of its own."""

    @pytest.fixture
    async def held(self, assistant: Assistant, world: World) -> None:
        """Two are held, and a minute in which nothing is sent."""
        told = await assistant.buys(2, **EXITS)
        assert told.status == "filled", told.text
        world.later(70)

    async def test_that_cannot_be_protected_is_closed_alone_and_nothing_of_it_is_in_doubt(
        self, assistant: Assistant, world: World, wire: Wire, store: SqliteStore, held: None
    ) -> None:
        at_the_second_order(wire, lambda: refuses_the_stop(world))
        told = await assistant.buys(1, **EXITS)
        assert told.text.startswith("CLOSED, since the stop could not be placed: 1 of the 1 MES 09-26"), told.text
        assert (told.position_after, world.net(), exits(world)) == (2, 2, [("StopMarket", 2), ("Limit", 2)])
        assert "was to be" not in told.text, "it was closed by the same yes"
        assert await store.unsettled() == ()

    async def test_whose_stop_is_of_unknown_outcome_says_why_it_is_not_closed_with_the_call_that_asks(
        self, assistant: Assistant, world: World, wire: Wire, person: Person, held: None
    ) -> None:
        """Beside the stop that stands and the one that may come, a close could turn the position round."""
        lost = Fault.REQUEST_LOST_BEFORE_ACCEPT
        at_the_second_order(wire, lambda: world.sim.faults.arm(lost, rpc="PlaceOrder", times=1))
        told = await assistant.buys(1, **EXITS)
        assert told.text.startswith("UNPROTECTED: 1 of the 1 MES 09-26 filled stand without a stop"), told.text
        assert "NOT sent: beside the orders that stand or may still come it could turn the position round" in told.text
        assert "close_position with account Sim101, instrument MES 09-26, quantity 1" in told.text
        assert "TOO SMALL" not in told.text, "the stop that stood before is not made larger beside one that may come"
        closed = await assistant.call("close_position", account="Sim101", instrument="MES 09-26", quantity=1)
        assert (closed.status, world.net()) == ("filled", 2), closed.text
        assert "could turn the position round" in person.asked[-1]

    async def test_is_denied_where_what_stands_is_too_large_for_its_stop_to_stand(
        self, assistant: Assistant, world: World, held: None
    ) -> None:
        """After a part was taken; it would be filled, could not be protected, and would be closed at once."""
        await assistant.buys(1, action="SELL")
        world.later(70)
        sent = world.writes()
        told = await assistant.buys(2, stop_loss="10 points")
        assert "BRACKET_NOT_COVERED: position then=+3, its exits=2, orders that leave as well=4" in told.reasons_text
        assert (told.status, world.writes(), world.net()) == ("denied", sent, 1)

    async def test_with_a_target_alone_is_not_called_protected(
        self, assistant: Assistant, world: World, held: None
    ) -> None:
        told = await assistant.buys(1, take_profit="10 points")
        assert "placed 0." in told.reasons_text
        assert "protected" not in told.reasons_text
        assert "NO STOP for 1 of 3" in told.stands_now[0]


async def test_a_close_that_was_denied_again_and_again_uses_up_no_tries_of_the_one_that_can_go(
    assistant: Assistant, world: World, wire: Wire, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is denied while one of unknown outcome may be on its way, and that can last for minutes."""
    at_the_second_order(wire, lambda: world.sim.faults.arm(Fault.REFUSED_WITH_400, rpc="PlaceOrder"))
    sent = ExitKeeper._sent

    async def denied(keeper: ExitKeeper, duty: Duty, ticket: Ticket, number: int) -> Outcome:
        if is_exit_of_entry(ticket.commands[number]):
            return await sent(keeper, duty, ticket, number)
        return Outcome(Status.DENIED, "", simulated=True, reasons=("one is on its way",))

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(ExitKeeper, "_sent", denied)
        await assistant.buys(2, **EXITS)
        await looks(world, desk, 20, every=61)
    assert world.net() == 2
    await looks(world, desk, 2, every=61)
    assert world.net() == 0
