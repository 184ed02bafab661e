"""Names as the person says them, and what they mean."""

import pytest

from ct_mcp.desk.desk import Desk
from ct_mcp.domain.account import Account, AccountKind
from ct_mcp.domain.instrument import Instrument
from ct_mcp.errors import BadRequest, BudgetExhausted, NotFound, Unavailable
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.world import Simulator


async def test_an_account_is_found_whatever_the_case_of_plain_letters(desk: Desk) -> None:
    for text in ("Sim101", "sim101", "SIM101"):
        assert (await desk.names.account(text)).name == "Sim101"


@pytest.mark.parametrize("text", ["\u017fim101", "S\u0131m101", "\u212aim101", "sim101 ", "Sim1O1", ""])
async def test_a_look_alike_is_no_account_and_the_real_ones_are_named(desk: Desk, text: str) -> None:
    with pytest.raises(BadRequest) as refused:
        await desk.names.account(text)
    assert "the accounts are: APEX-482910, Sim101" in str(refused.value)
    assert str(refused.value).isascii()


async def test_an_account_whose_name_is_not_plain_is_called_by_its_exact_name(desk: Desk) -> None:
    desk.names.remember([Account("Dem\u00f3", AccountKind.SIMULATED)])
    assert (await desk.names.account("Dem\u00f3")).name == "Dem\u00f3"
    with pytest.raises(BadRequest):
        await desk.names.account("DEM\u00d3")


async def test_a_known_account_is_not_read_again(desk: Desk, sim: Simulator) -> None:
    await desk.names.account("Sim101")
    await desk.names.account("sim101")
    assert len(sim.requests_of("ListAccounts")) == 1


async def test_no_accounts_at_all_are_said_to_be_none(desk: Desk, sim: Simulator) -> None:
    sim.exchange.accounts.clear()
    with pytest.raises(BadRequest, match="the accounts are: none"):
        await desk.names.account("Sim101")


@pytest.mark.parametrize(
    ("text", "contract"),
    [
        ("MES 09-26", Instrument("MES", 2026, 9)),
        ("MESZ26", Instrument("MES", 2026, 12)),
        ("MES DEC26", Instrument("MES", 2026, 12)),
        ("MES", Instrument("MES", 2026, 9)),
        ("MES1!", Instrument("MES", 2026, 9)),
    ],
)
async def test_every_spelling_comes_out_as_its_dated_contract(desk: Desk, text: str, contract: Instrument) -> None:
    assert await desk.names.instrument(text) == contract


async def test_a_dated_contract_needs_no_service(desk: Desk, sim: Simulator) -> None:
    await desk.names.instrument("MES 09-26")
    await desk.names.instrument_held("MES 12-26", "Sim101")
    assert not sim.requests


async def test_a_root_that_the_service_does_not_know_is_not_found(desk: Desk) -> None:
    with pytest.raises(NotFound):
        await desk.names.instrument("XXQ")


async def test_for_reading_a_root_picks_every_month_and_no_name_picks_all(desk: Desk) -> None:
    september, december, other = Instrument("MES", 2026, 9), Instrument("MES", 2026, 12), Instrument("ES", 2026, 9)
    picks = {
        None: [september, december, other],
        "MES": [september, december],
        "MES 12-26": [december],
        "ES1!": [other],
    }
    for text, picked in picks.items():
        wanted = desk.names.matching(text)
        assert [contract for contract in (september, december, other) if wanted(contract)] == picked
    with pytest.raises(BadRequest):
        desk.names.matching("no instrument")


async def test_for_an_exit_a_root_means_the_month_that_is_held(desk: Desk, does, buy) -> None:
    december = Instrument("MES", 2026, 12)
    await does(buy(instrument=december))
    assert await desk.names.instrument_held("MES", "Sim101") == december
    assert await desk.names.instrument("MES") == Instrument("MES", 2026, 9)


async def test_for_an_exit_an_order_that_rests_counts_as_open(desk: Desk, does, buy, price, sim, mes) -> None:
    december = Instrument("MES", 2026, 12)
    await does(buy(instrument=december))
    sim.advance(20)
    await does(buy(kind="LIMIT", limit_price=price(-40)))
    with pytest.raises(BadRequest, match="open in several contract months: MES 09-26, MES 12-26; name one"):
        await desk.names.instrument_held("MES", "Sim101")


async def test_for_an_exit_nothing_open_means_the_front_month(desk: Desk, mes) -> None:
    assert await desk.names.instrument_held("MES", "Sim101") == mes


async def test_for_an_exit_a_book_that_cannot_be_read_is_no_empty_book(desk: Desk, sim: Simulator) -> None:
    sim.faults.arm(Fault.CONNECT_REFUSED, rpc="ListPositions")
    with pytest.raises(Unavailable):
        await desk.names.instrument_held("MES", "Sim101")


async def test_finding_the_held_month_may_use_the_budgets_reserve(desk: Desk, does, buy, crosstrade, clock) -> None:
    """A budget that lets an exit wait its turn, and nothing else: what ate it must not keep an exit from a name."""
    await does(buy())
    await crosstrade._line.budget.penalise(clock(), 8.7)
    with pytest.raises(BudgetExhausted):
        await desk.names.instrument("MES")
    assert await desk.names.instrument_held("MES", "Sim101")
