"""The panel with accounts, positions and working orders. What was not read is called unknown, never flat."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from ct_mcp.console.holdings import Holdings
from ct_mcp.console.html import Child, Html, tag
from ct_mcp.crosstrade.words import cleaned
from ct_mcp.domain.account import Account, AccountKind, AccountSnapshot
from ct_mcp.domain.order import Order
from ct_mcp.domain.position import Direction, Position
from ct_mcp.errors import AddonOffline, AuthFailed, BudgetExhausted, CtMcpError, RateLimited
from ct_mcp.guard.policy import Mode

_LINKS: tuple[tuple[type[CtMcpError], str], ...] = (
    (AuthFailed, "The token does not open CrossTrade"),
    (AddonOffline, "The add-on inside NinjaTrader does not answer"),
    (RateLimited, "CrossTrade asks us to slow down"),
    (BudgetExhausted, "Our own request budget is used up"),
)
_UNREAD = "Unknown: this could not be read. It does not mean that there is nothing."


@dataclass(frozen=True, slots=True)
class Arming:
    """Which accounts may open positions: in mode sim the simulated ones, in mode live those that are armed.

    ``until`` is by account name; None where it could not be read.
    """

    mode: Mode
    until: Mapping[str, datetime] | None

    def told(self, account: Account) -> str:
        """What stands in the column of one account."""
        if self.until is None:
            return "unknown"
        if self.mode is Mode.LIVE:
            until = self.until.get(account.name)
            return f"{until:%H:%M} UTC" if until else "not armed"
        simulated = account.kind is AccountKind.SIMULATED
        return "not needed" if self.mode is Mode.SIM and simulated else "may not trade"


def holdings_panel(holdings: Holdings, arming: Arming, now: datetime) -> list[Html]:
    """All three tables, with the age of what stands in them."""
    age = max(0, int((now - holdings.read_at).total_seconds()))
    positions = _positions(holdings.accounts)
    return [
        *(_failure(failure) for failure in holdings.failures),
        tag("p", f"Read at {holdings.read_at:%H:%M:%S} UTC, ", tag("span", f"{age} s ago", data_age=age), class_="age"),
        _section(
            "Positions",
            None if positions is None else [_position(held) for held in positions],
            _POSITIONS,
            "No open positions.",
        ),
        _section("Working orders", _rows(holdings.orders), _ORDERS, "No working orders."),
        _section("Accounts", _accounts(holdings.accounts, arming), _ACCOUNTS, "No accounts."),
    ]


_POSITIONS = ("Account", "Position", "Instrument", "Average", "Market", "P&L")
_ORDERS = ("Account", "Order", "Instrument", "Type", "Price", "State")
_ACCOUNTS = ("Account", "Kind", "Net liquidation", "P&L today", "Connection", "Armed until")


def _failure(failure: CtMcpError) -> Html:
    link = next((words for kind, words in _LINKS if isinstance(failure, kind)), "CrossTrade cannot be reached")
    return tag("p", tag("strong", f"{link}. "), f"{failure.what}. ", _advice(failure), class_="broken", role="status")


def _advice(failure: CtMcpError) -> str:
    return f"What to do: {failure.advice}." if failure.advice else ""


def _section(title: str, rows: Sequence[Html] | None, columns: Sequence[str], none: str) -> Html:
    return tag("section", tag("h3", title), _table(title, rows, columns, none), class_="holding", aria_label=title)


def _table(title: str, rows: Sequence[Html] | None, columns: Sequence[str], none: str) -> Html:
    if rows is None:
        return tag("p", _UNREAD, class_="unread")
    if not rows:
        return tag("p", none, class_="none")
    head = tag("tr", [tag("th", name, scope="col") for name in columns])
    table = tag("table", tag("caption", title, class_="unseen"), tag("thead", head), tag("tbody", rows))
    return tag("div", table, class_="scrolls", tabindex="0", role="region", aria_label=title)


def _positions(accounts: Sequence[AccountSnapshot] | None) -> list[Position] | None:
    if accounts is None or any(seen.is_flat is False and not seen.positions for seen in accounts):
        return None
    return [held for seen in accounts for held in seen.positions if held.quantity]


def _position(held: Position) -> Html:
    sign = {Direction.LONG: "▲", Direction.SHORT: "▼", Direction.FLAT: ""}[held.direction]
    kind = {Direction.LONG: "buy", Direction.SHORT: "sell", Direction.FLAT: "other"}[held.direction]
    way = tag("span", tag("span", sign, aria_hidden="true"), f" {held.direction} {held.quantity}", class_=f"way {kind}")
    prices = (_price(held.average_price), _price(held.market_price))
    return _row(cleaned(held.account, longest=80), way, str(held.instrument), *prices, _moved(held.unrealized_pnl))


def _rows(orders: Sequence[Order] | None) -> list[Html] | None:
    return None if orders is None else [_order(order) for order in orders if not order.is_closed]


def _order(order: Order) -> Html:
    sign, kind = ("▲", "buy") if order.action == "BUY" else ("▼", "sell")
    what = tag(
        "span", tag("span", sign, aria_hidden="true"), f" {order.action} {order.remaining}", class_=f"way {kind}"
    )
    prices = " / ".join(_price(price) for price in (order.limit_price, order.stop_price) if price is not None)
    words = order.order_type.replace("_", " ")
    return _row(
        cleaned(order.account, longest=80), what, str(order.instrument), words, prices or "at market", order.state
    )


def _accounts(accounts: Sequence[AccountSnapshot] | None, arming: Arming) -> list[Html] | None:
    return None if accounts is None else [_account(seen, arming) for seen in accounts]


def _account(seen: AccountSnapshot, arming: Arming) -> Html:
    account = seen.account
    kind = {AccountKind.SIMULATED: "SIM", AccountKind.LIVE: "LIVE"}.get(account.kind, "LIVE?")
    chip = tag("span", kind, class_=f"kind {'simulated' if kind == 'SIM' else 'live'}")
    figures = (_money(account.balances.net_liquidation), _moved(account.balances.day_pnl))
    connection = cleaned(account.connection_status or "unknown", longest=40)
    return _row(cleaned(account.name, longest=80), chip, *figures, connection, arming.told(account))


def _row(first: Child, *cells: Child) -> Html:
    return tag("tr", tag("th", first, scope="row"), [tag("td", cell) for cell in cells])


def _price(value: Decimal | None) -> str:
    if value is None:
        return "unknown"
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _money(value: Decimal | None) -> str:
    return "unknown" if value is None else f"{value:,.2f}"


def _moved(value: Decimal | None) -> Html:
    if value is None:
        return tag("span", "unknown")
    return tag("span", f"{value:+,.2f}", class_="gain" if value > 0 else "loss" if value < 0 else None)
