"""What a day of plain requests met in the answers: sizes, results, reasons that name the moment, words for targets."""

import pytest

from ct_mcp.guard.policy import Limits, Policy
from ct_mcp.simulator.accounts import LIVE
from ct_mcp.simulator.orders import Action, OrderLabels, OrderTerms, SimOrderType
from tests.e2e.conftest import Assistant, World


async def test_an_exit_that_is_larger_than_the_position_is_named_wherever_it_is_shown(
    assistant: Assistant, world: World
) -> None:
    await assistant.buys(2, stop_loss="10 points", take_profit="20 points")
    world.later()
    closed = await assistant.call("close_position", account="Sim101", instrument="MES", quantity=1)
    assert closed.status == "filled", closed.text
    world.later()
    for told in (closed, await assistant.call("get_positions"), await assistant.call("get_status")):
        assert "target 2 for 1 at" in told.text, told.text
        assert "TOO LARGE, filled it turns the position to -1" in told.text


async def test_what_leaves_says_what_it_came_to(assistant: Assistant, world: World) -> None:
    bought = await assistant.buys(2)
    world.later()
    told = await assistant.call("flatten", account="Sim101", instrument="MES")
    (fill,) = [line for line in told.stands_now if line.startswith("fill: ")]
    price = float(fill.split(" at ")[1].split()[0])
    gain = (price - bought.average_fill_price) * 2 * 5
    assert f"result: {gain:+,.2f} for 2 MES 09-26, before costs" in told.text


class TestWhereThePaceOfAMinuteIsUsedUp:
    """With two orders a minute."""

    @pytest.fixture
    def policy(self) -> Policy:
        """Two, and nothing else in the way."""
        return Policy(limits=Limits(max_orders_per_minute=2, duplicate_window_seconds=0))

    async def test_it_says_when_it_is_free_again_and_does_not_hide_the_size(
        self, assistant: Assistant, world: World
    ) -> None:
        await assistant.buys(1)
        await assistant.buys(1)
        denied = await assistant.buys(1)
        assert (
            "ORDERS_PER_MINUTE_REACHED: orders in the last minute=2, maximum=2, free again from 14:31:" in denied.text
        )
        assert "at most 5 would pass now" not in denied.next_step
        preview = await assistant.call(
            "preview_order", account="Sim101", instrument="MES", action="BUY", order_type="MARKET"
        )
        assert "passes with at most 5 in one order" in preview.text

    async def test_an_exit_that_only_shrinks_is_not_held_back(self, assistant: Assistant, world: World) -> None:
        await assistant.buys(2)
        world.later()
        stop = await assistant.protects(world.price(-40), quantity=2)
        account, contract = world.sim.exchange.accounts["Sim101"], world.sim.market.front("MES", world.clock())
        terms = OrderTerms(contract, Action.SELL, 1, SimOrderType.MARKET)
        world.sim.exchange.submit(account, terms, OrderLabels(), world.clock())
        world.later(5)
        told = await assistant.call("change_order", account="Sim101", order_id=stop, quantity=1)
        assert told.status == "changed", told.text


async def test_a_stop_on_the_wrong_side_says_where_it_must_stand(assistant: Assistant, world: World) -> None:
    await assistant.buys(1)
    world.later()
    told = await assistant.call(
        "protect_position", account="Sim101", instrument="MES", stop_loss=str(world.price(400)), take_profit=None
    )
    assert told.status == "denied"
    wrong = await assistant.buys(1, action="SELL", order_type="STOP_MARKET", stop_price=world.price(20))
    assert "must stand below the bid=" in wrong.reasons_text


@pytest.mark.parametrize(
    ("stop", "target", "distance"), [("10 points", "2R", 20), ("10 points", "1.5 R", 15), ("40 ticks", "3r", 30)]
)
async def test_a_target_may_be_so_many_times_the_risk(
    assistant: Assistant, world: World, stop: str, target: str, distance: int
) -> None:
    told = await assistant.buys(1, stop_loss=stop, take_profit=target)
    assert f"target 1 of 1 at {told.average_fill_price + distance:g}" in told.text


@pytest.mark.parametrize(("stop", "target"), [("6000", "2R"), (None, "2R"), ("10 points", "0R"), ("41 ticks", "1.5R")])
async def test_times_the_risk_needs_a_distance(
    assistant: Assistant, world: World, stop: str | None, target: str
) -> None:
    told = await assistant.buys(1, stop_loss=stop, take_profit=target)
    assert told.is_error
    assert world.writes() == 0


async def test_a_turned_position_says_that_it_needs_a_stop_and_no_more_that_old_exits_may_stay(
    assistant: Assistant, world: World
) -> None:
    await assistant.buys(2, stop_loss="10 points", take_profit="20 points")
    world.later()
    told = await assistant.call("reverse_position", account="Sim101", instrument="MES")
    assert told.status == "filled", told.text
    assert "protect_position with stop_loss" in told.next_step
    assert ("would add to the new one" in told.text) is bool(world.live())


async def test_the_journal_can_be_asked_for_refusals_alone(assistant: Assistant) -> None:
    await assistant.buys(50)
    await assistant.buys(1)
    told = await assistant.call("get_journal", refused_only=True)
    assert [entry["kind"] for entry in told.structure["entries"]] == ["denied"]


@pytest.mark.parametrize("account", ["Sim101", "sim101"])
async def test_refusals_of_one_account_are_found_by_any_case_and_among_those_of_others(
    assistant: Assistant, account: str
) -> None:
    await assistant.buys(50)
    for quantity in (50, 51):
        assert (await assistant.buys(quantity, account=LIVE.name)).status == "denied"
    told = await assistant.call("get_journal", refused_only=True, account=account, limit=2)
    assert [entry["account"] for entry in told.structure["entries"]] == ["Sim101"], told.text


async def test_refusals_of_an_account_that_is_not_there_are_no_empty_list(assistant: Assistant) -> None:
    told = await assistant.call("get_journal", refused_only=True, account="Sim1O1")
    assert told.is_error
    assert "Sim101" in told.text


async def test_the_status_tells_the_profit_and_loss_of_the_day(assistant: Assistant) -> None:
    assert "; day P&L Sim101 " in (await assistant.call("get_status")).text
