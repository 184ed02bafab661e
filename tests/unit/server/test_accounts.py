"""Accounts: what they are worth, what may still be lost, and that nothing unknown is shown as zero."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from ct_mcp.domain.account import Account, AccountKind, Balances, Watermarks
from ct_mcp.domain.market import trading_day
from ct_mcp.server.tools.accounts import AccountReport, account_result
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.simulator import Simulator
from ct_mcp.store.sqlite import SqliteStore
from tests.unit.server.conftest import Ask, Place, text_of

NOW = datetime(2026, 9, 9, 14, 30, tzinfo=UTC)


async def test_all_accounts_are_listed_with_what_each_may_do(ask: Ask, place: Place) -> None:
    await place()
    told = await ask("get_accounts")
    sim, live = told.data["accounts"]
    assert (sim["account"], sim["kind"], sim["may_trade"], sim["open_positions"]) == ("Sim101", "simulated", True, 1)
    assert (live["account"], live["kind"], live["may_trade"], live["open_positions"]) == (
        "APEX-482910",
        "live",
        False,
        0,
    )
    assert sim["day_pnl"] == pytest.approx(sim["realized_pnl"] + sim["unrealized_pnl"])
    assert told.data["read_at"] == "2026-09-09T14:30:02Z"
    assert "balances up to 3 s older" in told.text
    assert "1 open position" in told.text
    assert "  flat" in told.text


async def test_balances_that_cannot_be_read_are_unknown_and_not_zero(ask: Ask, sim: Simulator) -> None:
    sim.faults.arm(Fault.ERROR_500_BEFORE_ACCEPT, rpc="GetAccountSummary")
    told = await ask("get_accounts")
    first = told.data["accounts"][0]
    assert first["kind"] == "simulated"
    assert first["open_positions"] is None
    assert "positions unknown" in told.text
    assert "flat" not in told.text
    assert told.data["notes"] == [note for note in told.data["notes"] if note.startswith("balances and positions")]
    assert "note: balances and positions in one report could not be read: UPSTREAM_UNAVAILABLE" in told.text


@pytest.mark.parametrize("tool", ["get_accounts", "get_account", "get_positions", "get_orders", "get_executions"])
async def test_an_add_on_that_is_offline_is_an_error_with_its_next_step(ask: Ask, sim: Simulator, tool: str) -> None:
    sim.faults.arm(Fault.ADDON_OFFLINE)
    told = await ask(tool, **({"account": "Sim101"} if tool in ("get_account", "get_executions") else {}))
    assert told.is_error
    assert "ADDON_OFFLINE" in told.text
    assert "start NinjaTrader 8" in told.text


async def test_one_account_tells_the_day_and_the_room_that_is_left(ask: Ask, place: Place, sim: Simulator) -> None:
    await place()
    sim.advance(120)
    told = await ask("get_account", account="sim101")
    data = told.data
    assert data["account"] == "Sim101"
    assert data["day_pnl"] == pytest.approx(data["realized_pnl"] + data["unrealized_pnl"])
    assert data["room_to_max_day_loss"] == pytest.approx(500 + data["day_pnl"])
    assert data["initial_margin"] > 0
    assert data["own_daily_loss_limit"] == 0
    assert data["room_to_own_limit"] is None
    assert "has no daily loss limit of its own" in told.text
    assert data["drawdown_from_pnl_high"] >= 0
    assert data["marks_source"] == "CrossTrade's session memory, of unknown age"
    assert "of unknown age" in told.text


async def test_the_limit_of_the_account_itself_is_counted_down_too(ask: Ask) -> None:
    told = await ask("get_account", account="APEX-482910")
    assert told.data["own_daily_loss_limit"] == 1100
    assert told.data["room_to_own_limit"] == 1100
    assert "room to the account's own daily loss limit of 1,100.00: 1,100.00" in told.text
    assert "keeps none for this account" in told.data["marks_source"]


@pytest.mark.parametrize("fault", [Fault.ERROR_500_BEFORE_ACCEPT, Fault.EMPTY_BODY, Fault.REFUSED_WITH_400])
async def test_high_water_marks_that_cannot_be_read_do_not_fail_the_account(
    ask: Ask, sim: Simulator, fault: Fault
) -> None:
    sim.faults.arm(fault, rpc="GetWatermarks")
    told = await ask("get_account", account="Sim101")
    assert not told.is_error
    assert told.data["net_liquidation"] == 100565
    assert told.data["pnl_high"] is None
    assert "high-water marks: unknown" in told.text
    assert any("high-water marks could not be read" in note for note in told.data["notes"])


async def test_a_limit_that_was_reached_leaves_no_room_however_the_day_goes_on(
    ask: Ask, store: SqliteStore, clock: ManualClock
) -> None:
    await store.mark_day_loss("Sim101", trading_day(clock()), Decimal(-500), clock())
    told = await ask("get_account", account="Sim101")
    assert told.data["day_loss_reached"] is True
    assert told.data["room_to_max_day_loss"] == 0
    assert "REACHED: only exits" in told.text


@pytest.mark.parametrize("name", ["Sim102", "Sim101 ", "S\u0456m101", "", "all"])
async def test_a_look_alike_is_refused_with_the_names_there_are(ask: Ask, name: str) -> None:
    told = await ask("get_account", account=name)
    assert told.is_error
    assert "the accounts are: APEX-482910, Sim101" in told.text


async def test_what_somebody_wrote_into_a_name_comes_as_data(ask: Ask, sim: Simulator) -> None:
    sim.faults.arm(Fault.HOSTILE_TEXT)
    for tool, arguments in (("get_accounts", {}), ("get_account", {"account": "Sim101"}), ("get_status", {})):
        told = await ask(tool, **arguments)
        assert "\u202e" not in told.text
        assert "\x1b" not in told.text


async def test_a_warning_beside_success_is_told(ask: Ask, sim: Simulator) -> None:
    sim.faults.arm(Fault.WARNING)
    told = await ask("get_account", account="Sim101")
    assert any('CrossTrade warned "Completed, but' in note for note in told.data["notes"])
    assert "note: GetAccount: CrossTrade warned" in told.text


def test_a_report_that_says_nothing_is_shown_as_unknown_throughout() -> None:
    report = AccountReport(Account("A", AccountKind.UNKNOWN), None, "", Decimal(500), None)
    answer = account_result(report, [], NOW)
    assert answer.structured_content["room_to_max_day_loss"] is None
    text = text_of(answer)
    assert "net liquidation unknown" in text
    assert "room to our day's loss limit of 500.00: unknown; whether it was reached before is unknown" in text
    assert "daily loss limit of unknown: unknown" in text
    assert "0.00  " not in text


def test_a_profit_never_shows_as_a_negative_drawdown() -> None:
    marks = Watermarks("A", pnl=Decimal(30), pnl_high=Decimal(20), net_liquidation_high=Decimal(100))
    account = Account("A", AccountKind.LIVE, balances=Balances(realized_pnl=Decimal(-900), unrealized_pnl=Decimal(0)))
    answer = account_result(AccountReport(account, marks, "", Decimal(500), False), [], NOW)
    assert answer.structured_content["drawdown_from_pnl_high"] == 0
    assert answer.structured_content["drawdown_from_net_liquidation_high"] is None
    assert answer.structured_content["room_to_max_day_loss"] == 0
