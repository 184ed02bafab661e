"""Looking until the account says what became of an action, and believing no empty list by itself."""

from dataclasses import replace
from typing import Any

import anyio
import pytest

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.desk.outcome import Outcome
from ct_mcp.desk.polling import AccountPoller, AccountState, Baseline, Pause
from ct_mcp.domain.account import AccountSnapshot, Position
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import CLOSED, Lifecycle, Order, OrderState, OrderType, has_come_to_rest
from ct_mcp.simulator.addon import AddOnAssumptions
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.simulator import Simulator, SimulatorSettings
from tests.unit.desk.conftest import Buys, Does, Holds, Prices, Stands


@pytest.fixture
def watch(crosstrade: CrossTrade, pause: Pause) -> AccountPoller:
    """A watch whose pauses move the clock."""
    return AccountPoller(crosstrade, pause)


def never(_: object) -> bool:
    """What is never settled."""
    return False


@pytest.mark.parametrize("state", OrderState)
def test_a_market_order_rests_only_when_it_is_done_and_others_also_when_they_stand(
    standing: Stands, state: OrderState
) -> None:
    rests = state in (OrderState.WORKING, OrderState.PART_FILLED, OrderState.TRIGGER_PENDING)
    assert has_come_to_rest(standing(state=state)) == (state in CLOSED or rests)
    assert has_come_to_rest(standing(state=state, order_type=OrderType.MARKET)) == (state in CLOSED)


async def test_the_first_look_comes_at_once_and_the_last_after_five_seconds(
    watch: AccountPoller, does: Does, buy: Buys, sim: Simulator, clock: ManualClock
) -> None:
    sim.faults.arm(Fault.FROZEN_ORDERS)
    await does(buy())
    (order,) = sim.exchange.orders
    began, looks = clock(), len(sim.requests_of("GetOrder"))
    seen = await watch.order("Sim101", order.id, never)
    assert isinstance(seen, Order)
    assert seen.state is OrderState.SUBMITTED
    assert (clock() - began).total_seconds() == pytest.approx(5)
    assert len(sim.requests_of("GetOrder")) - looks == 6


async def test_it_looks_no_longer_than_it_must(
    watch: AccountPoller, long_two: Outcome, sim: Simulator, clock: ManualClock
) -> None:
    began, looks = clock(), len(sim.requests_of("GetOrder"))
    await watch.order("Sim101", str(long_two.order_id), lambda order: order.is_closed)
    assert clock() == began
    assert len(sim.requests_of("GetOrder")) - looks == 1


async def test_what_was_seen_once_is_not_forgotten_when_a_later_look_fails(
    watch: AccountPoller, does: Does, buy: Buys, sim: Simulator
) -> None:
    sim.faults.arm(Fault.FROZEN_ORDERS)
    await does(buy())
    order_id = sim.exchange.orders[0].id
    looks = []

    def first_look_then_blind(order: Order) -> bool:
        looks.append(order)
        sim.faults.arm(Fault.HTML_PAGE)
        return False

    seen = await watch.order("Sim101", order_id, first_look_then_blind)
    assert seen == looks[0]


def anything(_: Order) -> bool:
    """Whatever is read."""
    return True


FAILURES = [
    Fault.CONNECT_REFUSED,
    Fault.ERROR_500_BEFORE_ACCEPT,
    Fault.HTML_PAGE,
    Fault.REFUSED_WITH_400,
    Fault.UNAUTHORIZED,
    Fault.BROKER_RATE_LIMITED,
]


@pytest.mark.parametrize("fault", FAILURES)
async def test_no_failure_of_a_read_leaves_it(
    watch: AccountPoller, long_two: Outcome, sim: Simulator, mes: Instrument, fault: Fault
) -> None:
    """A rate limit comes back as an empty budget of ours, which would sound as if nothing had been sent."""
    sim.faults.arm(fault)
    assert await watch.order("Sim101", str(long_two.order_id), never) is None
    assert await watch.book("Sim101", None, never, Baseline()) is None
    assert await watch.book_now("Sim101", mes) is None
    assert await watch.net_position("Sim101", mes) is None
    assert await watch.find("Sim101", f"ctmcp-{long_two.ticket_id}", anything) is None


async def test_an_id_that_cannot_be_part_of_an_address_is_not_found(watch: AccountPoller) -> None:
    assert await watch.look("Sim101", "../../positions/flatten") is None


@pytest.fixture
async def mixed_up(crosstrade: CrossTrade, does: Does, buy: Buys, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for an order is answered with another, which is over and has filled nothing."""
    told = await does(buy(1))
    filled = await crosstrade.order("Sim101", str(told.order_id))
    other = replace(filled, state=OrderState.CANCELLED, filled=0)

    async def order(_account: str, _order_id: str) -> Order:
        return other

    monkeypatch.setattr(crosstrade, "order", order)


@pytest.mark.usefixtures("mixed_up")
async def test_another_order_than_was_asked_for_is_not_read(watch: AccountPoller, long_two: Outcome) -> None:
    """A service that mixes up two requests answers with the other order: nothing is known of the one that was meant."""
    mine = str(long_two.order_id)
    assert await watch.look("Sim101", mine) is None
    assert await watch.order("Sim101", mine, lambda order: order.is_closed) is None
    assert await watch.look("Sim101", mine, anything) is not None


async def test_the_words_of_another_order_are_not_told_of_a_rejected_one(
    watch: AccountPoller, crosstrade: CrossTrade, long_two: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled = await crosstrade.order("Sim101", str(long_two.order_id))
    history = await crosstrade.lifecycle("Sim101", filled.order_id)
    said = replace(history, events=(replace(history.events[-1], said="no margin"),))

    async def lifecycle(_account: str, _order_id: str) -> Lifecycle:
        return said

    monkeypatch.setattr(crosstrade, "lifecycle", lifecycle)
    rejected = replace(filled, state=OrderState.REJECTED)
    assert (await watch.with_their_words(rejected)).said == "no margin"
    assert (await watch.with_their_words(replace(rejected, order_id="another"))).said is None


@pytest.mark.usefixtures("mixed_up")
async def test_what_stood_before_is_not_over_because_another_order_is(watch: AccountPoller, long_two: Outcome) -> None:
    empty, before = AccountState((), ()), Baseline(order_ids=(str(long_two.order_id),))
    assert await watch.borne_out("Sim101", before, empty) is None


async def test_an_order_of_ours_is_found_directly(watch: AccountPoller, long_two: Outcome, sim: Simulator) -> None:
    found = await watch.find("Sim101", f"ctmcp-{long_two.ticket_id}", anything)
    assert found is not None
    assert found.order_id == long_two.order_id


async def test_an_order_of_ours_is_found_in_the_list_if_it_is_marked_there(
    watch: AccountPoller, does: Does, buy: Buys, sim: Simulator
) -> None:
    told = await does(buy(atm_strategy="Scalp 8x8"))
    sim.faults.arm(Fault.BAD_GATEWAY, rpc="GetOrder")
    sim.faults.arm(Fault.HTML_PAGE, rpc="GetOrderLifecycle")
    found = await watch.find_once("Sim101", f"ctmcp-{told.ticket_id}")
    assert found is not None
    assert found.order_id == told.order_id


async def test_a_list_that_cannot_be_read_finds_nothing_and_proves_nothing(
    watch: AccountPoller, long_two: Outcome, sim: Simulator
) -> None:
    sim.faults.arm(Fault.BAD_GATEWAY, rpc="GetOrder")
    sim.faults.arm(Fault.HTML_PAGE, rpc="GetOrderLifecycle")
    sim.faults.arm(Fault.CONNECT_REFUSED, rpc="ListOrders")
    assert await watch.find_once("Sim101", f"ctmcp-{long_two.ticket_id}") is None


@pytest.fixture
def forgetful(clock: ManualClock) -> Simulator:
    """An add-on that keeps our id for its lifecycle alone."""
    return Simulator(seed=7, clock=clock, settings=SimulatorSettings(assumptions=AddOnAssumptions(own_id_lookup=False)))


async def test_an_order_of_ours_is_found_through_its_lifecycle(
    forgetful: Simulator, clock: ManualClock, pause: Pause, buy: Buys
) -> None:
    world: dict[str, Any] = {"transport": forgetful.transport(), "clock": clock, "sleep": pause}
    async with CrossTrade("https://simulator.invalid", forgetful.token, **world) as client:
        taken = await client.place_order(buy(), "ctmcp-1")
        clock.advance(1)
        found = await AccountPoller(client, pause).find_once("Sim101", "ctmcp-1")
        missing = await AccountPoller(client, pause).find_once("Sim101", "ctmcp-2")
    assert found is not None
    assert (found.order_id,) == taken.order_ids
    assert missing is None


async def test_what_is_not_there_is_looked_for_four_times(
    watch: AccountPoller, sim: Simulator, clock: ManualClock
) -> None:
    began = clock()
    assert await watch.find("Sim101", "ctmcp-never-sent", anything) is None
    assert len(sim.requests_of("GetOrderLifecycle")) == 4
    assert (clock() - began).total_seconds() == pytest.approx(4.5)


async def test_a_book_is_of_one_instrument_or_of_all(
    watch: AccountPoller, long_two: Outcome, does: Does, buy: Buys, price: Prices, mes: Instrument
) -> None:
    await does(buy(kind="LIMIT", limit_price=price(-40)))
    other = type(mes)("MNQ", 2026, 9)
    everything, one, none = [await watch.book_now("Sim101", name) for name in (None, mes, other)]
    assert everything == one
    assert one is not None
    assert none is not None
    assert (one.net, len(one.orders), one.is_flat) == (2, 1, False)
    assert (none.positions, none.orders, none.is_flat) == ((), (), True)


async def test_what_is_over_or_flat_is_not_in_the_book_though_it_is_still_listed(
    standing: Stands, holding: Holds, pause: Pause, mes: Instrument
) -> None:
    class Lists:
        """What an account may list for a moment longer."""

        async def positions(self, account: str) -> tuple[Position, ...]:
            return holding(0), holding(-2)

        async def orders(self, account: str, *, active_only: bool) -> tuple[Order, ...]:
            return (
                standing("over", state=OrderState.CANCELLED),
                standing("open"),
                standing("odd", state=OrderState.UNKNOWN),
            )

    lists: Any = Lists()
    book = await AccountPoller(lists, pause).book_now("Sim101", mes)
    assert book is not None
    assert [order.order_id for order in book.orders] == ["open", "odd"]
    assert [position.net for position in book.positions] == [-2]


async def test_an_empty_list_is_believed_once_the_position_itself_says_flat(
    watch: AccountPoller, long_two: Outcome, sim: Simulator, mes: Instrument
) -> None:
    stood = Baseline(instruments=(mes,))
    sim.faults.arm(Fault.EMPTY_LISTS)
    assert await watch.book("Sim101", mes, lambda book: book.is_flat, Baseline()) is not None, "nothing stood"
    assert await watch.book("Sim101", mes, lambda book: book.is_flat, stood) is None
    sim.faults.arm(Fault.BAD_GATEWAY, rpc="GetPosition")
    assert await watch.book("Sim101", mes, lambda book: book.is_flat, stood) is None, "not knowing is held"


class Late:
    """A service whose lists of positions do not know of the last fill yet; a position by its name does."""

    def __init__(self, inner: CrossTrade) -> None:
        self.inner = inner

    def __getattr__(self, asked: str) -> Any:
        return getattr(self.inner, asked)

    async def positions(self, account: str) -> tuple[Position, ...]:
        return ()

    async def snapshot(self) -> tuple[AccountSnapshot, ...]:
        return tuple(self._flat(report) for report in await self.inner.snapshot())

    @staticmethod
    def _flat(report: AccountSnapshot) -> AccountSnapshot:
        balances = replace(report.account.balances, unrealized_pnl=None)
        return replace(report, account=replace(report.account, balances=balances), positions=(), is_flat=True)


@pytest.mark.parametrize(("held_before", "is_believed"), [(0, False), (-2, True), (-1, False), (2, False)])
async def test_an_empty_list_is_not_believed_where_executions_come_to_more_than_was_held(
    crosstrade: CrossTrade, pause: Pause, long_two: Outcome, mes: Instrument, held_before: int, is_believed: bool
) -> None:
    """Somebody bought two beside the exit, or the exit of two did: what was held before tells which."""
    watch, nets = AccountPoller(Late(crosstrade), pause), frozenset({(mes, held_before)} if held_before else ())
    before = Baseline((mes,) if held_before else (), nets, ask_account=True, sent_ago=lambda: 60)
    read = await watch.book("Sim101", None, lambda book: book.is_flat, before)
    assert (read is not None and read.is_flat) == is_believed


async def test_an_empty_list_is_believed_once_each_order_itself_is_over(
    watch: AccountPoller, does: Does, buy: Buys, price: Prices, sim: Simulator, mes: Instrument
) -> None:
    order_id = str((await does(buy(kind="LIMIT", limit_price=price(-40)))).order_id)
    stood = Baseline(order_ids=(order_id, "unknown-to-them"))
    sim.faults.arm(Fault.EMPTY_LISTS)
    assert await watch.book("Sim101", mes, lambda book: book.is_flat, stood) is None
    sim.faults.arm(Fault.BAD_GATEWAY, rpc="GetOrder")
    assert await watch.book("Sim101", mes, lambda book: book.is_flat, stood) is None
    sim.faults.disarm(Fault.BAD_GATEWAY)
    sim.exchange.cancel(sim.exchange.orders[0], sim.clock())
    sim.advance(1)
    read = await watch.book("Sim101", mes, lambda book: book.is_flat, stood)
    assert read is not None
    assert read.is_flat, "what they no longer know of is over too"


async def test_of_many_orders_only_as_many_are_asked_for_as_an_exit_has_requests(
    watch: AccountPoller, sim: Simulator, mes: Instrument
) -> None:
    stood = Baseline(order_ids=tuple(f"gone-{number}" for number in range(30)))
    assert await watch.book("Sim101", mes, lambda book: book.is_flat, stood) is not None
    assert len(sim.requests_of("GetOrder")) == 6


async def test_what_was_read_and_is_not_settled_is_kept(
    watch: AccountPoller, long_two: Outcome, sim: Simulator, mes: Instrument
) -> None:
    read = await watch.book("Sim101", mes, lambda book: book.is_flat, Baseline(instruments=(mes,)))
    assert read is not None
    assert (read.net, read.is_stale) == (2, False)


async def test_what_was_read_and_could_not_be_read_since_is_kept_as_old(
    watch: AccountPoller, long_two: Outcome, sim: Simulator, mes: Instrument
) -> None:
    def blind_from_now_on(_: object) -> bool:
        sim.faults.arm(Fault.HTML_PAGE, rpc="ListOrders")
        return False

    read = await watch.book("Sim101", mes, blind_from_now_on, Baseline())
    assert read is not None
    assert (read.net, read.is_stale) == (2, True)


async def test_no_row_and_a_position_by_its_name_is_not_known(
    watch: AccountPoller, long_two: Outcome, sim: Simulator, mes: Instrument
) -> None:
    assert await watch.net_position("Sim101", mes) == 2
    sim.faults.arm(Fault.EMPTY_LISTS)
    assert await watch.net_position("Sim101", mes) is None
    sim.faults.disarm()
    assert await watch.net_position("Sim101", type(mes)("MNQ", 2026, 9)) == 0


@pytest.mark.parametrize("rows", [(-2, -2), (-2, 3)])
async def test_a_position_that_is_listed_twice_is_not_added_up(
    holding: Holds, pause: Pause, mes: Instrument, rows: tuple[int, int]
) -> None:
    class Lists:
        """What repeats a row, or contradicts it."""

        async def positions(self, account: str) -> tuple[Position, ...]:
            return tuple(map(holding, rows))

        async def orders(self, account: str, *, active_only: bool) -> tuple[Order, ...]:
            return ()

    lists: Any = Lists()
    watch = AccountPoller(lists, pause)

    assert await watch.net_position("Sim101", mes) is None
    assert await watch.book_now("Sim101", mes) is None


async def test_a_service_that_does_not_answer_holds_no_answer_of_ours_back(
    crosstrade: CrossTrade, pause: Pause, long_two: Outcome, sim: Simulator
) -> None:
    hasty = AccountPoller(crosstrade, pause, longest_seconds=0.05)
    sim.faults.arm(Fault.SLOW_ANSWER)
    with anyio.fail_after(60):
        assert await hasty.order("Sim101", str(long_two.order_id), never) is None
        assert await hasty.book("Sim101", None, never, Baseline()) is None
        assert await hasty.find("Sim101", "ctmcp-1", anything) is None


async def test_word_of_a_change_is_looked_at_once_and_takes_nothing_from_the_time_that_is_left(
    crosstrade: CrossTrade, does: Does, buy: Buys, sim: Simulator, clock: ManualClock
) -> None:
    sim.faults.arm(Fault.FROZEN_ORDERS)
    await does(buy())
    (order,) = sim.exchange.orders
    words = iter([True, False, True, *[False] * 9])

    async def pause(seconds: float) -> bool:
        early = next(words)
        clock.advance(0 if early else seconds)
        return early

    began, looks = clock(), len(sim.requests_of("GetOrder"))
    await AccountPoller(crosstrade, pause).order("Sim101", order.id, never)
    assert (clock() - began).total_seconds() == pytest.approx(5)
    assert len(sim.requests_of("GetOrder")) - looks == 6 + 2


async def test_a_flood_of_words_does_not_use_up_the_requests_that_are_kept_for_exits(
    crosstrade: CrossTrade, does: Does, buy: Buys, sim: Simulator
) -> None:
    sim.faults.arm(Fault.FROZEN_ORDERS)
    await does(buy())
    (order,) = sim.exchange.orders

    async def pause(_: float) -> bool:
        return True

    looks = len(sim.requests_of("GetOrder"))
    await AccountPoller(crosstrade, pause).order("Sim101", order.id, never)
    assert len(sim.requests_of("GetOrder")) - looks == 6 + 4
