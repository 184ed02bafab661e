"""Names as the person says them, and what they mean."""

from pathlib import Path
from typing import cast

import pytest

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.desk.desk import Desk
from ct_mcp.desk.outcome import Status
from ct_mcp.domain.account import Account, AccountKind, Balances
from ct_mcp.domain.approval import Ticket
from ct_mcp.domain.commands import Flatten
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import OrderAction
from ct_mcp.errors import BadRequest, BudgetExhausted, NotFound, StoreFailed, Unavailable
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.simulator import Simulator
from ct_mcp.store.sqlite import SqliteStore
from tests.factories import place_order
from tests.unit.desk.conftest import Buys, Does, Prices


async def test_an_account_is_found_whatever_the_case_of_plain_letters(desk: Desk) -> None:
    for text in ("Sim101", "sim101", "SIM101"):
        assert (await desk.resolver.account(text)).name == "Sim101"


@pytest.mark.parametrize("text", ["\u017fim101", "S\u0131m101", "\u212aim101", "sim101 ", "Sim1O1", ""])
async def test_a_look_alike_is_no_account_and_the_real_ones_are_named(desk: Desk, text: str) -> None:
    with pytest.raises(BadRequest) as refused:
        await desk.resolver.account(text)
    assert "the accounts are: APEX-482910, Sim101" in str(refused.value)
    assert str(refused.value).isascii()


async def test_an_account_whose_name_is_not_plain_is_called_by_its_exact_name(desk: Desk) -> None:
    desk.resolver.remember([Account("Dem\u00f3", AccountKind.SIMULATED)])
    assert (await desk.resolver.account("Dem\u00f3")).name == "Dem\u00f3"
    with pytest.raises(BadRequest):
        await desk.resolver.account("DEM\u00d3")


async def test_a_known_account_is_not_read_again(desk: Desk, sim: Simulator) -> None:
    await desk.resolver.account("Sim101")
    await desk.resolver.account("sim101")
    assert len(sim.requests_of("ListAccounts")) == 1


async def test_no_accounts_at_all_are_said_to_be_none(desk: Desk, sim: Simulator) -> None:
    sim.exchange.accounts.clear()
    with pytest.raises(BadRequest, match="the accounts are: none"):
        await desk.resolver.account("Sim101")


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
    assert await desk.resolver.instrument(text) == contract


async def test_a_dated_contract_needs_no_service(desk: Desk, sim: Simulator) -> None:
    await desk.resolver.instrument("MES 09-26")
    await desk.resolver.instrument_held("MES 12-26", "Sim101")
    assert not sim.requests


async def test_a_root_that_the_service_does_not_know_is_not_found(desk: Desk) -> None:
    with pytest.raises(NotFound):
        await desk.resolver.instrument("XXQ")


async def test_for_reading_a_root_picks_every_month_and_no_name_picks_all(desk: Desk) -> None:
    september, december, other = Instrument("MES", 2026, 9), Instrument("MES", 2026, 12), Instrument("ES", 2026, 9)
    picks = {
        None: [september, december, other],
        "MES": [september, december],
        "MES 12-26": [december],
        "ES1!": [other],
    }
    for text, picked in picks.items():
        wanted = desk.resolver.matching(text)
        assert [contract for contract in (september, december, other) if wanted(contract)] == picked
    with pytest.raises(BadRequest):
        desk.resolver.matching("no instrument")


async def test_for_an_exit_a_root_means_the_month_that_is_held(desk: Desk, does: Does, buy: Buys) -> None:
    december = Instrument("MES", 2026, 12)
    await does(buy(instrument=december))
    assert await desk.resolver.instrument_held("MES", "Sim101") == december
    assert await desk.resolver.instrument("MES") == Instrument("MES", 2026, 9)


async def test_for_an_exit_an_order_that_rests_counts_as_open(
    desk: Desk, does: Does, buy: Buys, price: Prices, sim: Simulator, mes: Instrument
) -> None:
    december = Instrument("MES", 2026, 12)
    await does(buy(instrument=december))
    sim.advance(20)
    await does(buy(kind="LIMIT", limit_price=price(-40)))
    with pytest.raises(BadRequest, match="open in several contract months: MES 09-26, MES 12-26; name one"):
        await desk.resolver.instrument_held("MES", "Sim101")


async def test_for_an_exit_nothing_open_means_the_front_month(desk: Desk, mes: Instrument) -> None:
    assert await desk.resolver.instrument_held("MES", "Sim101") == mes


async def test_for_an_exit_a_book_that_cannot_be_read_is_no_empty_book(desk: Desk, sim: Simulator) -> None:
    sim.faults.arm(Fault.CONNECT_REFUSED, rpc="ListPositions")
    with pytest.raises(Unavailable):
        await desk.resolver.instrument_held("MES", "Sim101")


async def test_finding_the_held_month_may_use_the_budgets_reserve(
    desk: Desk, does: Does, buy: Buys, crosstrade: CrossTrade, clock: ManualClock
) -> None:
    """A budget that lets an exit wait its turn, and nothing else: what ate it must not keep an exit from a name."""
    await does(buy())
    await crosstrade.connection.budget.penalise(clock(), 8.7)
    with pytest.raises(BudgetExhausted):
        await desk.resolver.instrument("MES")
    assert await desk.resolver.instrument_held("MES", "Sim101")


@pytest.mark.parametrize("net", [2, -2])
async def test_a_root_that_would_leave_another_month_open_is_asked_back(
    desk: Desk, crosstrade: CrossTrade, sim: Simulator, net: int
) -> None:
    december = Instrument("MES", 2026, 12)
    opens, leaves = (OrderAction.BUY, OrderAction.SELL) if net > 0 else (OrderAction.SELL, OrderAction.BUY)
    await crosstrade.place_order(place_order(opens, 2, instrument=december), "by-hand")
    sim.advance(5)
    with pytest.raises(BadRequest, match="MES 12-26 is held; name the month"):
        await desk.resolver.instrument_to_trade("MES", "Sim101", leaves)
    assert await desk.resolver.instrument_to_trade("MES 12-26", "Sim101", leaves) == december
    assert (await desk.resolver.instrument_to_trade("MES", "Sim101", opens)).month == 9
    review = await desk.preview(place_order(opens, 1, instrument=Instrument("MES", 2026, 9)))
    assert "2 MES 12-26" in " ".join(finding.text for finding in review.findings if finding.code == "OTHER_MONTH_HELD")


async def test_an_account_is_found_by_the_name_that_it_is_shown_under(desk: Desk) -> None:
    assert (await desk.resolver.account("apex 50K evaluation")).name == "APEX-482910"


async def test_a_name_that_several_are_shown_under_is_asked_back(desk: Desk) -> None:
    twice = [Account(name, AccountKind.SIMULATED, display_name="Twin") for name in ("A1", "A2")]
    desk.resolver.remember([*twice, Account("Twin2", AccountKind.SIMULATED, display_name="A1")])
    with pytest.raises(BadRequest, match="for several: A1, A2; name one"):
        await desk.resolver.account("Twin")
    assert (await desk.resolver.account("A1")).name == "A1", "its own name comes first"


# What is known over restarts


def restarted(desk: Desk, store: SqliteStore) -> Desk:
    """Another process over the same state folder."""
    return Desk(desk.upstream, store, desk.policy, clock=desk.clock, pause=desk.pause)


async def test_after_a_restart_a_first_exit_leaves_with_no_request_before_it(
    desk: Desk, does: Does, buy: Buys, sim: Simulator, store: SqliteStore
) -> None:
    await does(buy())
    sim.advance(30)
    again, before = restarted(desk, store), len(sim.requests)
    name = (await again.resolver.account("sim101")).name
    ticket = await again.propose(Flatten(name, None))
    assert isinstance(ticket, Ticket)
    assert (await again.commit(ticket.ticket_id)).status is Status.FLAT
    assert sim.requests[before].rpc == "Flatten"


async def test_only_what_is_the_same_tomorrow_is_known_after_a_restart(
    desk: Desk, store: SqliteStore, sim: Simulator
) -> None:
    read = (await desk.resolver.accounts())[0]
    known = await restarted(desk, store).resolver.account(read.name)
    assert (known.name, known.kind, known.currency) == (read.name, read.kind, read.currency)
    assert (known.balances, known.connection_status, known.status) == (Balances(), None, None)


async def test_an_order_still_wants_its_account_read(desk: Desk, buy: Buys, store: SqliteStore, sim: Simulator) -> None:
    await desk.resolver.accounts()
    again, before = restarted(desk, store), len(sim.requests)
    await again.resolver.account("Sim101")
    await again.preview(buy())
    assert {"GetAccount", "GetAccountSummary"} & {seen.rpc for seen in list(sim.requests)[before:]}


@pytest.mark.parametrize("why", ["days old", "of another service"])
async def test_what_may_be_another_account_by_now_is_not_known(
    desk: Desk, store: SqliteStore, sim: Simulator, tmp_path: Path, why: str
) -> None:
    await desk.resolver.accounts()
    before = len(sim.requests)
    if why == "days old":
        sim.advance(5 * 86400)
        await restarted(desk, store).resolver.account("Sim101")
    else:
        other = SqliteStore(tmp_path / "state", service="another token")
        await restarted(desk, other).resolver.account("Sim101")
        await other.close()
    assert sim.requests[before].rpc == "ListAccounts"


async def test_a_disk_that_fails_costs_a_request_and_no_exit(desk: Desk, store: SqliteStore, sim: Simulator) -> None:
    class Broken:
        def __getattr__(self, name: str) -> object:
            if name.endswith("_accounts"):
                return self.fails
            return getattr(store, name)

        async def fails(self, *_: object) -> None:
            raise StoreFailed("the disk is full")

    desk = Desk(desk.upstream, cast(SqliteStore, Broken()), desk.policy, clock=desk.clock, pause=desk.pause)
    assert (await desk.resolver.account("Sim101")).name == "Sim101"
    assert sim.requests[-1].rpc == "ListAccounts"
