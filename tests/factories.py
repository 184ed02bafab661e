"""Build the values that tests are about: what is usual stands here, a test names only what matters to it.

Everything lies in one quiet afternoon, 15:30 UTC on Monday 23 November 2026, in ES at 6400.00 and a simulated account.
Prices may be given as text.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from ct_mcp.domain.account import Account, AccountKind, Balances, Direction, Position
from ct_mcp.domain.approval import Approval, ApprovalItem, ApprovalRequest, Ticket
from ct_mcp.domain.chart import Chart
from ct_mcp.domain.commands import KINDS, Command, PlaceOrder, headline
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import Bar, Contract, Period, PeriodUnit, Quote, Session
from ct_mcp.domain.order import Order, OrderAction, OrderState, OrderType, TimeInForce
from ct_mcp.domain.trades import Excursion, ExcursionSource, Fill, Plan, RoundTrip
from ct_mcp.guard.context import RiskContext
from ct_mcp.guard.policy import Limits, Mode, Policy

NOW = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)
SIM101, APEX = "Sim101", "APEX-482910"
ES, MES = Instrument("ES", 2026, 12), Instrument("MES", 2026, 12)

T = TypeVar("T", PlaceOrder, Order, Position, Quote)


def contract(**changes: Any) -> Contract:
    """Build the E-mini S&P 500: ticks of a quarter point, 12.50 each."""
    usual = Contract(
        description="E-mini S&P 500",
        exchange="Globex",
        tick_size=Decimal("0.25"),
        tick_value=Decimal("12.5"),
        point_value=Decimal(50),
        expires_at=datetime(2026, 12, 18, 14, 30, tzinfo=UTC),
    )
    return replace(usual, **changes)


def quote(**changes: Any) -> Quote:
    """Build a quote: 6399.75 bid, 6400.25 asked, 6400.00 last, a second ago."""
    usual = Quote(
        instrument=ES,
        contract=contract(),
        bid=Decimal("6399.75"),
        ask=Decimal("6400.25"),
        last=Decimal("6400.00"),
        open=None,
        high=None,
        low=None,
        prior_close=None,
        volume=None,
        at=NOW - timedelta(seconds=1),
        is_market_open=True,
    )
    return changed(usual, changes)


def bar(ends: datetime, *prices: str | int, volume: int = 100) -> Bar:
    """Build a bar of open, high, low and close."""
    first, high, low, close = map(Decimal, prices)
    return Bar(ends, first, high, low, close, volume)


def chart(*rows: tuple[int, ...] | tuple[str, ...], **changes: Any) -> Chart:
    """Build a chart of five-minute bars of ES, the last of which has just ended; without rows three around 6400."""
    rows = rows or ((6398, 6402, 6396, 6401), (6401, 6404, 6400, 6403), (6403, 6403, 6397, 6400))
    ends = (NOW - timedelta(minutes=5 * place) for place in reversed(range(len(rows))))
    bars = tuple(bar(end, *row) for end, row in zip(ends, rows, strict=True))
    return replace(Chart(ES, Period(5, PeriodUnit.MINUTE), bars, NOW, quote()), **changes)


def round_trip(points: int | str = 10, *, hours_ago: float = 1, **changes: Any) -> RoundTrip:
    """Build a long trade of two ES that made so many points each: planned, approved, recorded; closed before `NOW`."""
    closed = NOW - timedelta(hours=hours_ago)
    entry, name = Decimal(6400), f"{hours_ago}"
    bought = Fill(f"in-{name}", closed - timedelta(minutes=20), 2, entry, "order-1", "Entry", Decimal("2.50"))
    sold = Fill(f"out-{name}", closed, 2, entry + Decimal(points), "order-2", "Target1", Decimal("2.50"))
    plan = Plan(
        "ticket-1", "opening range", Decimal(6390), (Decimal(6420),), Decimal(1000), "page", bought.at, "a break"
    )
    excursion = Excursion(Decimal(6396), Decimal(6412), ExcursionSource.QUOTES)
    usual = RoundTrip(SIM101, ES, Direction.LONG, 2, (bought,), (sold,), Decimal(50), "USD", plan, excursion)
    return replace(usual, **changes)


def session(**changes: Any) -> Session:
    """Build a session of ES that is open for six more hours."""
    usual = Session(
        instrument=ES,
        is_open=True,
        state="Open",
        time_zone="Central Standard Time",
        opens_at=NOW - timedelta(hours=16),
        closes_at=NOW + timedelta(hours=6),
        next_opens_at=NOW + timedelta(hours=7),
        next_closes_at=NOW + timedelta(hours=30),
        stamped_at=NOW,
    )
    return replace(usual, **changes)


def account(name: str = SIM101, kind: AccountKind = AccountKind.SIMULATED, **changes: Any) -> Account:
    """Build a connected account with a small gain."""
    balances = Balances(realized_pnl=Decimal(20), unrealized_pnl=Decimal(-5))
    return replace(Account(name, kind, None, None, "USD", "Connected", "Enabled", balances=balances), **changes)


def position(net: int, instrument: Instrument = ES, **changes: Any) -> Position:
    """Build a position of so many contracts, below zero short, entered at 6395."""
    direction = Direction.LONG if net > 0 else Direction.SHORT
    return changed(Position(SIM101, instrument, direction, abs(net), Decimal(6395)), changes)


def positions(net: int, instrument: Instrument = ES) -> tuple[Position, ...]:
    """Build all that an account holds: one position, or none where ``net`` is zero."""
    return (position(net, instrument),) if net else ()


def order(order_id: str = "1", **changes: Any) -> Order:
    """Build an order that works: BUY LIMIT of one at 6390."""
    usual = Order(SIM101, order_id, ES, OrderAction.BUY, OrderType.LIMIT, OrderState.WORKING, 1, 0)
    return changed(usual, {"limit_price": "6390", **changes})


def stop_order(order_id: str = "stop", **changes: Any) -> Order:
    """Build a stop that works: SELL STOP_MARKET of one at 6380."""
    kind = {"action": OrderAction.SELL, "order_type": OrderType.STOP_MARKET, "limit_price": None, "stop_price": "6380"}
    return order(order_id, **{**kind, **changes})


def place_order(
    action: str = "BUY", quantity: int = 1, limit: str | Decimal | None = None, **changes: Any
) -> PlaceOrder:
    """Build the command to buy or sell: one ES at the market, or at a limit."""
    kind = OrderType.MARKET if limit is None else OrderType.LIMIT
    usual = PlaceOrder(SIM101, ES, OrderAction(action), quantity, kind, None, None, TimeInForce.DAY)
    return changed(usual, {"limit_price": limit, **changes})


def policy(mode: Mode = Mode.SIM, *, simulated: Approval | None = None, **limits: Any) -> Policy:
    """Build the policy of a fresh installation, with other limits or another approval for simulated accounts."""
    usual = Policy(mode=mode, limits=replace(Limits(), **limits))
    return usual if simulated is None else replace(usual, simulated=simulated)


def context(**changes: Any) -> RiskContext:
    """Build what a command is judged on: a flat, quiet, fully read account."""
    usual = RiskContext(now=NOW, account=account(), positions=(), orders=(), quote=quote(), session=session())
    return replace(usual, **changes)


def approval_request(*commands: Command) -> ApprovalRequest:
    """Build the question about some commands of simulated accounts, without figures."""
    return ApprovalRequest(
        tuple(
            ApprovalItem(command.account, AccountKind.SIMULATED, KINDS[type(command)], headline(command))
            for command in commands
        )
    )


def ticket(ticket_id: str = "ticket-1", command: Command | None = None, **changes: Any) -> Ticket:
    """Build an open ticket of a simulated account, which lives for 90 seconds."""
    command = command or place_order(quantity=1, limit="6390", instrument=MES)
    usual = Ticket(
        ticket_id=ticket_id,
        commands=(command,),
        fingerprint=f"what {ticket_id} is for",
        own_id=f"own-{ticket_id}",
        summary="Sim101  BUY 1 MES 12-26 LIMIT 6390",
        request=approval_request(command),
        phrase="BUY",
        approval=Approval.FORM,
        simulated=True,
        reason="the person asked for it",
        created_at=NOW,
        expires_at=NOW + timedelta(seconds=90),
    )
    return replace(usual, **changes)


_PRICES = ("bid", "ask", "last", "limit_price", "stop_price", "average_price")


def changed(usual: T, changes: dict[str, Any]) -> T:
    """Build a value anew with changes, among them prices as text."""
    prices = {name: Decimal(changes[name]) for name in _PRICES if isinstance(changes.get(name), str)}
    return replace(usual, **{**changes, **prices})
