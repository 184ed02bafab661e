"""Positions: flat is said only when it was read, and read twice."""

from typing import Any

import pytest

from ct_mcp.domain.order import OrderAction
from ct_mcp.simulator.accounts import SIM, AccountSpec
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.simulator import Simulator, SimulatorSettings
from tests.conftest import TOKEN
from tests.unit.server.conftest import Ask, Place


async def test_what_is_held_is_listed_with_its_result(ask: Ask, place: Place) -> None:
    await place(OrderAction.SELL, 3)
    told = await ask("get_positions")
    (held,) = told.data["positions"]
    assert (held["account"], held["instrument"], held["direction"], held["quantity"]) == (
        "Sim101",
        "ES 09-26",
        "SHORT",
        3,
    )
    assert told.data["unrealized_pnl"] == held["unrealized_pnl"]
    assert "Sim101  SHORT  3  ES 09-26  at 6" in told.text
    assert told.data["scope"] == "all accounts, all instruments"


async def test_flat_is_said_of_what_was_asked_for(ask: Ask) -> None:
    told = await ask("get_positions", account="sim101")
    assert told.data["positions"] == []
    assert told.text == "no open positions; Sim101, all instruments, read 2026-09-09T14:30:00Z"


async def test_a_root_means_every_month_and_a_month_only_itself(ask: Ask, place: Place) -> None:
    await place()
    assert len((await ask("get_positions", instrument="ES")).data["positions"]) == 1
    assert len((await ask("get_positions", instrument="ESU26")).data["positions"]) == 1
    assert (await ask("get_positions", instrument="ES 12-26")).data["positions"] == []


@pytest.mark.parametrize("arguments", [{}, {"account": "Sim101"}], ids=["all", "one"])
@pytest.mark.parametrize(
    "fault",
    [Fault.POSITIONS_WITHOUT_SUCCESS, Fault.EMPTY_BODY, Fault.HTML_PAGE, Fault.ERROR_500_BEFORE_ACCEPT],
)
async def test_an_answer_that_proves_nothing_is_never_flat(
    ask: Ask, place: Place, sim: Simulator, fault: Fault, arguments: dict[str, Any]
) -> None:
    await place()
    sim.faults.arm(fault, rpc="ListPositions" if arguments else "GetAllPositions")
    told = await ask("get_positions", **arguments)
    assert told.is_error
    assert "no open positions" not in told.text
    assert "unknown now, not empty" in told.text


@pytest.mark.parametrize("arguments", [{}, {"account": "Sim101"}], ids=["all", "one"])
async def test_a_list_that_comes_back_empty_by_mistake_is_not_believed(
    ask: Ask, place: Place, sim: Simulator, arguments: dict[str, Any]
) -> None:
    await place()
    sim.faults.arm(Fault.EMPTY_LISTS)
    told = await ask("get_positions", **arguments)
    assert [held["quantity"] for held in told.data["positions"]] == [2]
    assert "note: the list of positions left out what Sim101 holds" in told.text


async def test_flat_by_one_list_alone_says_that_nothing_confirmed_it(ask: Ask, sim: Simulator) -> None:
    sim.faults.arm(Fault.ERROR_500_BEFORE_ACCEPT, rpc="GetAccountSummary")
    told = await ask("get_positions")
    assert told.data["positions"] == []
    assert any("to confirm that this is flat" in note for note in told.data["notes"])


async def test_a_summary_that_is_older_than_the_exit_does_not_undo_it(ask: Ask, place: Place, sim: Simulator) -> None:
    await place()
    await ask("get_accounts")  # the summary is kept for three seconds from here on
    await place(OrderAction.SELL, own_id="own-2", wait=1.0)
    told = await ask("get_positions")
    assert told.data["positions"] == []
    assert told.data["notes"] == []


class TestSeveralCurrencies:
    """Money of two currencies is never added up."""

    @pytest.fixture
    def sim(self, clock: ManualClock) -> Simulator:
        euro = AccountSpec(3, "SimEuro", "SimEuro", "Simulator", "SimEuro", cash=50_000.0, denomination="Euro")
        return Simulator(seed=7, clock=clock, token=TOKEN, settings=SimulatorSettings(accounts=(SIM, euro)))

    async def test_are_summed_each_by_itself(self, ask: Ask, place: Place) -> None:
        await place()
        await place(account="SimEuro", own_id="own-2")
        told = await ask("get_positions")
        dollars, euros = sorted(told.data["positions"], key=lambda row: row["account"])
        assert (dollars["currency"], euros["currency"], told.data["unrealized_pnl"]) == ("USD", "EUR", None)
        for row in (dollars, euros):
            assert f"{row['unrealized_pnl']:+,.2f} {row['currency']}" in told.text.splitlines()[0]

    async def test_are_not_summed_where_they_are_not_known(self, ask: Ask, place: Place, sim: Simulator) -> None:
        await place()
        await place(account="SimEuro", own_id="own-2")
        sim.faults.arm(Fault.ERROR_500_BEFORE_ACCEPT, rpc="ListAccounts")
        told = await ask("get_positions")
        assert told.data["unrealized_pnl"] is None
        assert "of SimEuro, currency unknown" in told.text.splitlines()[0]

    async def test_are_not_asked_for_where_one_account_holds_all(self, ask: Ask, place: Place, sim: Simulator) -> None:
        await place()
        asked = len(sim.requests_of("ListAccounts"))
        told = await ask("get_positions")
        assert told.data["unrealized_pnl"] is not None
        assert len(sim.requests_of("ListAccounts")) == asked
