"""Accounts, snapshots, watermarks and positions, as documented."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from ct_mcp.crosstrade.schemas.accounts import (
    parse_accounts,
    parse_asked_account,
    parse_asked_position,
    parse_positions,
    parse_snapshots,
    parse_watermarks,
)
from ct_mcp.crosstrade.schemas.reply import Reply
from ct_mcp.domain.account import Account, AccountKind, Direction, Position, Watermarks
from ct_mcp.domain.instrument import Instrument
from ct_mcp.errors import BadReply

Replies = Callable[..., Reply]
Payloads = Callable[[str], dict[str, object]]
MES = Instrument("MES", 2026, 3)


def test_an_account_is_read_with_its_money_in_cents(reply: Replies) -> None:
    account = parse_asked_account(reply("GetAccount"), "sim101")
    assert (account.name, account.kind, account.provider) == ("Sim101", AccountKind.SIMULATED, "Simulator")
    assert (account.currency, account.connection_status) == ("USD", "Connected")
    assert account.balances.cash_value == Decimal("100565.00")
    assert account.balances.day_pnl == Decimal("2937.50") + Decimal("-12.34")
    assert account.balances.commission == Decimal("4.70")


def test_another_account_than_the_one_asked_about_is_refused(reply: Replies) -> None:
    with pytest.raises(BadReply, match="another account"):
        parse_asked_account(reply("GetAccount"), "Sim102")


def test_any_provider_but_the_simulator_moves_real_money(reply: Replies) -> None:
    assert [account.kind for account in parse_accounts(reply("ListAccounts"))] == [
        AccountKind.SIMULATED,
        AccountKind.LIVE,
    ]


@pytest.mark.parametrize("provider", ["Playback", "Market Replay"])
def test_the_account_of_the_replay_is_one_of_its_own_kind(reply: Replies, provider: str) -> None:
    account = parse_asked_account(reply("GetAccount", provider=provider), "Sim101")
    assert account.kind is AccountKind.REPLAY


def test_rows_with_nothing_but_a_name_are_accounts_of_unknown_kind(reply: Replies) -> None:
    assert parse_accounts(reply("ListAccounts.names-only")) == (
        Account("Sim101", AccountKind.UNKNOWN),
        Account("APEX1234", AccountKind.UNKNOWN),
    )


def test_a_snapshot_holds_accounts_with_their_positions(reply: Replies) -> None:
    (snapshot,) = parse_snapshots(reply("GetAccountSummary"))
    assert (snapshot.account.name, snapshot.account.kind, snapshot.is_flat) == ("Sim110", AccountKind.SIMULATED, False)
    assert snapshot.account.balances.net_liquidation == Decimal("103502.50")
    assert [(position.account, position.net) for position in snapshot.positions or ()] == [("Sim110", 7)]


def test_a_snapshot_of_nothing_is_empty_by_its_type_and_not_by_its_absence(reply: Replies) -> None:
    assert parse_snapshots(reply("GetAccountSummary", accounts=[])) == ()
    with pytest.raises(BadReply):
        parse_snapshots(reply("GetAccountSummary", accounts=[], type=None))


def test_a_snapshot_whose_account_is_not_nested_is_read_too(reply: Replies) -> None:
    rows = [{"name": "Sim101", "isAccountFlat": True, "positions": []}]
    (snapshot,) = parse_snapshots(reply("GetAccountSummary", accounts=rows))
    assert (snapshot.account.name, snapshot.is_flat, snapshot.positions) == ("Sim101", True, ())


def test_a_snapshot_with_the_position_of_another_account_is_refused(reply: Replies, payload: Payloads) -> None:
    rows = payload("GetAccountSummary")["accounts"]
    assert isinstance(rows, list)
    rows[0]["positions"][0]["account"] = "Sim111"
    with pytest.raises(BadReply, match="not of the one"):
        parse_snapshots(reply("GetAccountSummary", accounts=rows))


def test_watermarks_are_read_from_both_halves(reply: Replies) -> None:
    assert parse_watermarks(reply("GetWatermarks"), "Sim101") == Watermarks(
        account="Sim101",
        pnl=Decimal("-37.33"),
        pnl_high=Decimal("13.25"),
        net_liquidation=Decimal("74176.25"),
        net_liquidation_high=Decimal("74206.83"),
        unrealized_pnl=Decimal("-42.68"),
        unrealized_high=Decimal("13.25"),
    )


def test_an_account_that_is_not_monitored_has_no_watermarks(reply: Replies) -> None:
    assert parse_watermarks(reply("GetWatermarks.unmonitored"), "Sim101") == Watermarks("Sim101")


def test_positions_are_signed_by_their_word_and_their_prices_lose_their_noise(reply: Replies) -> None:
    mes, cl = parse_positions(reply("ListPositions"), "Sim101")
    assert mes == Position(
        "Sim101", MES, Direction.LONG, 7, Decimal("6615.178571"), Decimal("6614.25"), Decimal("-32.50")
    )
    assert (str(cl.instrument), cl.net, cl.market_price) == ("CL 04-26", -2, Decimal("66.1"))


def test_positions_of_every_account_must_each_name_theirs(reply: Replies, payload: Payloads) -> None:
    assert [position.account for position in parse_positions(reply("GetAllPositions"), None)] == ["Sim101", "APEX1234"]
    rows = payload("GetAllPositions")["positions"]
    assert isinstance(rows, list)
    rows[1].pop("account")
    with pytest.raises(BadReply, match="row 2 cannot be trusted: 'account' is missing"):
        parse_positions(reply("GetAllPositions", positions=rows), None)


def test_a_position_of_another_account_is_refused(reply: Replies) -> None:
    with pytest.raises(BadReply, match="not of the one"):
        parse_positions(reply("ListPositions"), "Sim102")


def test_the_position_asked_about_must_be_the_one_answered(reply: Replies) -> None:
    assert parse_asked_position(reply("GetPosition"), "Sim101", MES).net == 7
    with pytest.raises(BadReply, match="another instrument"):
        parse_asked_position(reply("GetPosition"), "Sim101", Instrument("MES", 2026, 6))


def test_a_flat_row_is_flat(reply: Replies) -> None:
    flat = reply("GetPosition", marketPosition="flat", quantity=0)
    assert parse_asked_position(flat, "Sim101", MES).direction is Direction.FLAT


@pytest.mark.parametrize("changes", [{"marketPosition": "Sideways"}, {"marketPosition": None}])
def test_a_direction_that_we_do_not_know_is_refused(reply: Replies, changes: dict[str, object]) -> None:
    with pytest.raises(BadReply):
        parse_asked_position(reply("GetPosition", **changes), "Sim101", MES)


@pytest.mark.parametrize("changes", [{"quantity": 0}, {"marketPosition": "Flat"}, {"quantity": -7}])
def test_a_position_that_contradicts_itself_is_refused(reply: Replies, changes: dict[str, object]) -> None:
    with pytest.raises(BadReply):
        parse_asked_position(reply("GetPosition", **changes), "Sim101", MES)


@pytest.mark.parametrize(("word", "currency"), [("UsDollar", "USD"), ("Euro", "EUR"), ("Doubloon", "Doubloon")])
def test_a_currency_is_written_as_traders_write_it(reply: Replies, word: str, currency: str) -> None:
    (account, *_) = parse_accounts(reply("ListAccounts", accounts=[{"name": "Sim101", "denomination": word}]))
    assert account.currency == currency
