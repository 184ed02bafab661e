"""Makes the tickets under which exits of an entry are sent: bound like every ticket, and covered by the entry's yes.

Pure. It stands alone, since the keeper that sends them is long enough.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from secrets import token_hex

from ct_mcp.desk.journal_writer import summary_line
from ct_mcp.desk.remedies import order_line
from ct_mcp.domain.account import AccountKind
from ct_mcp.domain.approval import APPROVALS, Approval, ApprovalItem, ApprovalRequest, ShownOrder, Ticket
from ct_mcp.domain.bracket import Bracket, Share, exit_price
from ct_mcp.domain.commands import (
    KINDS,
    CancelOrder,
    ChangeOrder,
    Command,
    PlaceOrder,
    fingerprint_all,
    headline,
    price_terms,
)
from ct_mcp.domain.level import ExitKind
from ct_mcp.domain.market import Contract
from ct_mcp.domain.order import OWN_ID, Order, OrderType, TimeInForce
from ct_mcp.guard.effect import is_exit_of_entry
from ct_mcp.guard.protection import leaving

_LIVES = timedelta(minutes=10)


def exits_of(entry: PlaceOrder, share: Share, fill: Decimal, contract: Contract) -> tuple[PlaceOrder, ...]:
    """Give the orders that are to stand behind so many contracts of a fill, the stop first, in one OCO group.

    ``fill`` is the average price that the entry was filled at so far.
    """
    bracket, group = _bracket_of(entry), f"{OWN_ID}{token_hex(8)}"
    at_price = PlaceOrder(
        account=entry.account,
        instrument=entry.instrument,
        action=leaving(entry.action.sign),
        quantity=share.contracts,
        order_type=OrderType.LIMIT,
        limit_price=None,
        stop_price=None,
        time_in_force=TimeInForce.GTC,
        oco_id=group if bracket.stop_loss is not None and share.target is not None else None,
        exit_of=group,
    )
    exits = []
    if bracket.stop_loss is not None:
        stop = exit_price(bracket.stop_loss, ExitKind.STOP, fill, entry.action, contract)
        exits.append(_at(at_price, OrderType.STOP_MARKET, stop))
    if share.target is not None:
        target = exit_price(share.target.level, ExitKind.TARGET, fill, entry.action, contract)
        exits.append(_at(at_price, OrderType.LIMIT, target))
    return tuple(exits)


def close_at_market(entry: PlaceOrder, contracts: int) -> PlaceOrder:
    """Give the order that leaves so many contracts of a fill, and lets every other order of the instrument stand."""
    return replace(
        entry,
        action=leaving(entry.action.sign),
        quantity=contracts,
        order_type=OrderType.MARKET,
        limit_price=None,
        stop_price=None,
        time_in_force=TimeInForce.DAY,
        oco_id=None,
        bracket=None,
        risk=None,
        tag=None,
        exit_of=f"{OWN_ID}{token_hex(8)}",
    )


def needs_fill_price(entry: PlaceOrder) -> bool:
    """Say whether any of its exits is a distance from the fill."""
    bracket = _bracket_of(entry)
    levels = (bracket.stop_loss, *(target.level for target in bracket.take_profit))
    return not all(level is None or isinstance(level, Decimal) for level in levels)


def exit_ticket(
    under: Ticket, commands: Sequence[Command], least: Approval, now: datetime, cancels: Sequence[Order] = ()
) -> Ticket:
    """Make the ticket of what an entry was approved with, or of what leaves where that failed.

    ``cancels`` are the orders that may go with it, or become smaller; no other. It is as strict as the entry's own, and
    as exits of the account have to be (``least``): the yes to the entry covers both.
    """
    ticket_id = token_hex(8)
    kind = under.request.items[0].account_kind if under.request else AccountKind.UNKNOWN
    return Ticket(
        ticket_id=ticket_id,
        commands=tuple(commands),
        fingerprint=fingerprint_all(commands),
        own_id=f"{OWN_ID}{ticket_id}",
        summary=summary_line(commands, simulated=under.simulated),
        request=ApprovalRequest(tuple(_item(command, kind, cancels) for command in commands)),
        phrase="",
        approval=max(under.approval, least, key=APPROVALS.index),
        simulated=under.simulated,
        reason="",
        created_at=now,
        expires_at=now + _LIVES,
        decided_by=f"under the yes to {under.ticket_id}",
    )


def exits_line(command: PlaceOrder) -> str:
    """Write an exit for the answer: ``stop loss 2 at 6390.25``."""
    name = "stop loss" if command.order_type.needs_stop_price else "target"
    return f"{name} {command.quantity} at {price_terms(command)}"


def _bracket_of(entry: PlaceOrder) -> Bracket:
    if entry.bracket is None:
        raise ValueError("this order was asked for without exits")
    return entry.bracket


def _at(order: PlaceOrder, kind: OrderType, price: Decimal) -> PlaceOrder:
    if kind is OrderType.LIMIT:
        return replace(order, order_type=kind, limit_price=price)
    return replace(order, order_type=kind, stop_price=price)


def _item(command: Command, kind: AccountKind, cancels: Sequence[Order]) -> ApprovalItem:
    """Say of an exit what the question to its entry has shown: this order, which leaves what it has filled."""
    item = ApprovalItem(command.account, kind, KINDS[type(command)], headline(command))
    if isinstance(command, ChangeOrder):
        return _resized(item, command, next(order for order in cancels if order.order_id == command.order_id))
    if isinstance(command, CancelOrder):
        shown = tuple(ShownOrder(order.order_id, order.remaining, order_line(order)) for order in cancels)
        return replace(item, only_reduces=True, cancels=shown)
    if not isinstance(command, PlaceOrder) or not is_exit_of_entry(command):
        return item
    held = -command.action.sign * command.quantity
    return replace(
        item,
        instrument=command.instrument,
        sends=(command,),
        only_reduces=True,
        position_before=held,
        position_after=0,
    )


def _resized(item: ApprovalItem, command: ChangeOrder, order: Order) -> ApprovalItem:
    """Say of an exit that becomes smaller that it does nothing else, and may do nothing but reduce."""
    quantity = order.quantity if command.quantity is None else command.quantity
    sends = PlaceOrder(
        account=order.account,
        instrument=order.instrument,
        action=order.action,
        quantity=quantity,
        order_type=order.order_type,
        limit_price=order.limit_price,
        stop_price=order.stop_price,
        time_in_force=order.time_in_force or TimeInForce.DAY,
        oco_id=order.oco_id,
    )
    held = -order.action.sign * (quantity - order.filled)
    return replace(
        item,
        instrument=order.instrument,
        sends=(sends,),
        only_reduces=True,
        must_reduce=True,
        position_before=held,
        position_after=0,
    )
