"""Their accounts, snapshots, watermarks and positions → ours."""

from ct_mcp.crosstrade.wire_row import Reply, Row
from ct_mcp.domain.account import Account, AccountKind, AccountSnapshot, Balances, Watermarks
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.position import Direction, Position


def accounts_in(reply: Reply) -> tuple[Account, ...]:
    """Rows may carry nothing but a name."""
    return tuple(account_in(row) for row in reply.rows("accounts"))


def asked_account_in(reply: Reply, asked: str) -> Account:
    """The account that was asked about, and no other."""
    row = reply.single("account", proof="name")
    account = account_in(row)
    if account.name.casefold() != asked.casefold():
        row.refuse("it is another account than the one that was asked about")
    return account


def account_in(row: Row) -> Account:
    """One account; money stands in its items, not at its top."""
    provider = row.label("provider")
    return Account(
        name=row.text("name"),
        kind=_kind(provider),
        provider=provider,
        display_name=row.label("displayName"),
        currency=row.label("denomination"),
        connection_status=row.label("connectionStatus"),
        balances=_balances(row.sub("item")),
    )


def snapshots_in(reply: Reply) -> tuple[AccountSnapshot, ...]:
    """All active accounts with their open positions; the list claims success by its type instead."""
    if reply.top.values.get("accounts") == [] and reply.top.values.get("type") == "snapshot":
        return ()
    return tuple(_snapshot(row) for row in reply.rows("accounts"))


def watermarks_in(reply: Reply, asked: str) -> Watermarks:
    """Empty marks mean that CrossTrade monitors nothing there, and are no fault."""
    data = reply.single("data", proof="account")
    marks, stats = data.sub("watermarks"), data.sub("stats")
    return Watermarks(
        account=data.account(asked),
        pnl=stats.money("pnl"),
        pnl_high=marks.money("pnlhigh"),
        net_liquidation=stats.money("netliq"),
        net_liquidation_high=marks.money("netliqhigh"),
        unrealized_pnl=stats.money("unrealized"),
        unrealized_high=marks.money("unrealhigh"),
    )


def positions_in(reply: Reply, asked: str | None) -> tuple[Position, ...]:
    """Every row of one account, or of all where ``asked`` is None; flat rows are given as such."""
    return tuple(position_in(row, asked) for row in reply.rows("positions"))


def closed_positions_in(reply: Reply, asked: str) -> tuple[Position, ...]:
    """The positions as they stood when closing was requested: proof of the request, not of the fill."""
    return tuple(position_in(row, asked) for row in reply.top.rows("closedPositions"))


def asked_position_in(reply: Reply, asked: str, instrument: Instrument) -> Position:
    """The position that was asked about, and no other."""
    row = reply.single("position", proof="marketPosition")
    position = position_in(row, asked)
    if position.instrument != instrument:
        row.refuse("it is of another instrument than the one that was asked about")
    return position


def position_in(row: Row, asked: str | None) -> Position:
    """One position; their quantity has no sign, the direction is a word."""
    direction, quantity = _direction(row), row.whole("quantity")
    if (direction is Direction.FLAT) != (quantity == 0):
        row.refuse(f"it says {direction} and {quantity} contracts at once")
    return Position(
        account=row.account(asked),
        instrument=row.instrument(),
        direction=direction,
        quantity=quantity,
        average_price=row.price("averagePrice"),
        market_price=row.price_or_none("marketPrice"),
        unrealized_pnl=row.money("unrealizedProfitLoss"),
    )


def _snapshot(row: Row) -> AccountSnapshot:
    nested = row.sub("account")
    of_account = nested if nested.values else row
    account = account_in(of_account)
    positions = tuple(position_in(position, account.name) for position in row.rows("positions"))
    return AccountSnapshot(account, positions, of_account.flag("isAccountFlat"))


def _direction(row: Row) -> Direction:
    word = row.text("marketPosition").strip().upper()
    return Direction(word) if word in Direction.__members__ else row.refuse("its direction is none that we know")


def _kind(provider: str | None) -> AccountKind:
    if not provider:
        return AccountKind.UNKNOWN
    return AccountKind.SIMULATED if provider.casefold() == "simulator" else AccountKind.LIVE


def _balances(item: Row) -> Balances:
    return Balances(
        cash_value=item.money("cashValue"),
        net_liquidation=item.money("netLiquidation"),
        buying_power=item.money("buyingPower"),
        realized_pnl=item.money("realizedProfitLoss"),
        unrealized_pnl=item.money("unrealizedProfitLoss"),
        gross_realized_pnl=item.money("grossRealizedProfitLoss"),
        commission=item.money("commission"),
        initial_margin=item.money("initialMargin"),
        maintenance_margin=item.money("maintenanceMargin"),
        excess_initial_margin=item.money("excessInitialMargin"),
        trailing_max_drawdown=item.money("trailingMaxDrawdown"),
        daily_loss_limit=item.money("dailyLossLimit"),
    )
