"""A store on a fresh file, a moment, and tickets to put into it."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from ct_mcp.domain.account import AccountKind
from ct_mcp.domain.approval import Approval, ApprovalItem, ApprovalRequest, Finding, FindingKind, ShownOrder, Ticket
from ct_mcp.domain.commands import PlaceOrder, headline
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import OrderAction, OrderType, TimeInForce
from ct_mcp.store.sqlite import SqliteStore

NOW = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)


@pytest.fixture
def now() -> datetime:
    """A Monday in the session."""
    return NOW


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A state folder that does not exist yet."""
    return tmp_path / "state"


@pytest.fixture
async def store(folder: Path) -> AsyncIterator[SqliteStore]:
    """A store with little patience, so that a held lock is noticed at once."""
    store = SqliteStore(folder, busy_timeout_seconds=0.05)
    yield store
    await store.close()


@pytest.fixture
def make_ticket() -> Callable[..., Ticket]:
    """Make tickets that expire after 90 seconds, each for an order of its own quantity."""

    def make(number: int = 1, approval: Approval = Approval.FORM, ticket_id: str = "") -> Ticket:
        order = PlaceOrder(
            account="Sim101",
            instrument=Instrument("MES", 2026, 12),
            action=OrderAction.BUY,
            quantity=number,
            order_type=OrderType.LIMIT,
            limit_price=Decimal("6410.250"),
            stop_price=None,
            time_in_force=TimeInForce.DAY,
        )
        name = ticket_id or f"ticket-{number}"
        return Ticket(
            ticket_id=name,
            commands=(order,),
            fingerprint=f"BUY {number} MES 12-26",
            own_id=f"own-{name}",
            summary=f"Sim101  BUY {number} MES 12-26 LIMIT limit 6410.250",
            request=question_about(order),
            phrase="BUY",
            approval=approval,
            simulated=True,
            reason="the person asked for it",
            created_at=NOW,
            expires_at=NOW + timedelta(seconds=90),
        )

    return make


def question_about(order: PlaceOrder) -> ApprovalRequest:
    """Show an order with figures, an order that goes, and something to look at."""
    item = ApprovalItem(
        account=order.account,
        account_kind=AccountKind.SIMULATED,
        kind="place order",
        headline=headline(order),
        instrument=order.instrument,
        sends=(order,),
        cancels=(ShownOrder("7", 1, "SELL 1 MES 12-26 LIMIT 6420"),),
        only_reduces=False,
        position_before=0,
        position_after=order.quantity,
        value=Decimal("32051.250"),
        risk=None,
        currency="USD",
        steps=("send it",),
        standing=("flat",),
        findings=(Finding(FindingKind.ASSUMPTION, "PRICE", "its limit is the price"),),
    )
    return ApprovalRequest((item,))
