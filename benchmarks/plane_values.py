"""What the traders of `plane` write: a ticket with its question as the desk draws one, and a report to the plane."""

import os
import time
from datetime import timedelta
from decimal import Decimal

from ct_mcp.crosstrade.connection import utc_now
from ct_mcp.domain.account import AccountKind
from ct_mcp.domain.approval import Approval, ApprovalItem, ApprovalRequest, Ticket
from ct_mcp.domain.commands import PlaceOrder, fingerprint, headline, summarize
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import OrderAction, OrderType, TimeInForce
from ct_mcp.domain.team import HeldPosition, ReportedAccount, TraderReport

ACCOUNT, MES = "Sim101", Instrument("MES", 2026, 12)
LIVES = timedelta(seconds=90)


def ticket_of(number: int) -> Ticket:
    """Make a ticket as the desk draws one for an order; each is another order, in whatever process."""
    price = Decimal(6400) + Decimal(os.getpid() * 10**6 + number) / 4
    order = PlaceOrder(ACCOUNT, MES, OrderAction.BUY, 1, OrderType.LIMIT, price, None, TimeInForce.DAY)
    item = ApprovalItem(
        ACCOUNT, AccountKind.SIMULATED, "place_order", headline(order), MES, (order,), position_before=0,
        position_after=1, value=price * 5, risk=Decimal("12.50"), risk_basis="to its stop", market_price=price,
        bid=price, ask=price, currency="USD", steps=("send the entry", "send the stop as it fills"),
    )  # fmt: skip
    made, now = f"{time.monotonic_ns():x}-{number}", utc_now()
    return Ticket(
        f"ticket-{made}", (order,), fingerprint(order), f"own-{made}", summarize((order,)),
        ApprovalRequest((item,)), "BUY 1", Approval.FORM, simulated=True, reason="a break of the opening range",
        created_at=now, expires_at=now + LIVES,
    )  # fmt: skip


def report_of(number: int) -> TraderReport:
    """Make a report of two accounts, one of which holds something; no two in a row are alike."""
    now = utc_now()
    accounts = tuple(
        ReportedAccount(name, AccountKind.SIMULATED, held, 1, Decimal(number % 100), None, (), now)
        for name, held in ((ACCOUNT, (HeldPosition("MES 12-26", 1),)), ("Sim102", ()))
    )
    return TraderReport("a-machine", "0.1.0", "sim", "", 0, (1, 2), accounts)
