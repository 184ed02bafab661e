"""No watch can widen the worst case on either side: of all that one can make, nothing passes that does."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ct_mcp.desk.approval import still_approved
from ct_mcp.desk.watch_tickets import Sends, Under, nearer_stop, watch_ticket
from ct_mcp.domain.account import AccountKind
from ct_mcp.domain.approval import Approval, Ticket
from ct_mcp.domain.commands import CancelOrder, ChangeOrder, Flatten
from ct_mcp.domain.order import Order, OrderAction, OrderState, OrderType
from ct_mcp.domain.watch import Watch, WatchKind
from ct_mcp.guard.context import RiskContext
from ct_mcp.guard.denial import DenialCode
from ct_mcp.guard.policy import Policy
from ct_mcp.guard.review import review
from tests.factories import ES, NOW, SIM101, context, position
from tests.unit.guard.books import a_book
from tests.unit.guard.test_effect_of_all import books_after, reach

STOP = Order(
    SIM101, "0", ES, OrderAction.SELL, OrderType.STOP_MARKET, OrderState.ACCEPTED, 2, 0, stop_price=Decimal(6390)
)
NOBODY_IS_ASKED = Policy(simulated=Approval.NONE)
PRICES = st.integers(6385, 6415).map(Decimal)


def ticket_of(command: Sends, order: Order | None, approval: Approval) -> Ticket:
    """Make what a watch would send; the weakest approval hides least."""
    watch = Watch("w-1", WatchKind.TRAILING_STOP, SIM101, NOW, NOW, ticket_id="t")
    return watch_ticket(watch, Under(None, AccountKind.SIMULATED, approval), command, order, NOW)


@st.composite
def what_a_watch_makes(draw: st.DrawFn, book: RiskContext) -> tuple[Sends, Order | None] | None:
    """Make any of the three, of an order as it stood before: by the send the book may be another."""
    order = draw(st.sampled_from(book.orders or (STOP,)))
    kind = draw(st.sampled_from(["change", "cancel", "flatten"]))
    if kind == "flatten":
        return Flatten(SIM101, draw(st.sampled_from([None, ES]))), None
    if kind == "cancel":
        return CancelOrder(SIM101, order.order_id), order
    change = nearer_stop(order, draw(PRICES))
    return None if change is None else (change, order)


@pytest.mark.slow
@given(st.data())
def test_nothing_that_passes_widens_the_worst_case_or_takes_protection(data: st.DataObject) -> None:
    book = data.draw(a_book(context))
    made = data.draw(what_a_watch_makes(book))
    if made is None:
        return
    command, order = made
    now = data.draw(st.one_of(st.just(book), a_book(context)))
    ticket = ticket_of(command, order, data.draw(st.sampled_from([Approval.NONE, Approval.FORM])))
    # Whatever the other rules say: that a watch only reduces hangs on none of them.
    sent = still_approved(replace(review(command, now, NOBODY_IS_ASKED), denials=()), ticket, 0)
    if not sent.passes:
        return
    assert sent.effect.only_reduces
    assert sent.effect.lost is not None
    assert not sent.effect.lost.is_any
    long, short = reach(now.net_position(ES) or 0, now.orders or (), now.pending)
    for net, orders in books_after(command, now):
        pending = () if isinstance(command, Flatten) else now.pending
        long_after, short_after = reach(net, orders, pending)
        assert (long_after <= long, short_after <= short) == (True, True)


@given(PRICES, st.sampled_from(OrderAction), st.sampled_from(OrderType))
@example(Decimal(6390), OrderAction.SELL, OrderType.STOP_MARKET)
def test_a_stop_is_only_ever_brought_nearer(price: Decimal, action: OrderAction, kind: OrderType) -> None:
    change = nearer_stop(replace(STOP, action=action, order_type=kind), price)
    is_nearer = price > Decimal(6390) if action is OrderAction.SELL else price < Decimal(6390)
    assert (change is not None) is (is_nearer and kind is OrderType.STOP_MARKET)


@pytest.mark.parametrize("approval", [Approval.NONE, Approval.FORM])
@pytest.mark.parametrize(
    ("command", "now"),
    [
        (ChangeOrder(SIM101, "0", stop_price=Decimal(6395)), context(positions=(), orders=(STOP,))),
        (CancelOrder(SIM101, "0"), context(positions=(position(2, average_price="6400"),), orders=(STOP,))),
    ],
    ids=["the position is gone", "it protects by now"],
)
def test_what_would_not_reduce_by_the_send_is_denied_whoever_was_asked(
    command: Sends, now: RiskContext, approval: Approval
) -> None:
    sent = still_approved(review(command, now, NOBODY_IS_ASKED), ticket_of(command, STOP, approval), 0)
    assert DenialCode.WATCH_WOULD_NOT_REDUCE in {denial.code for denial in sent.denials}


@pytest.mark.parametrize(
    "now",
    [context(positions=None, orders=(STOP,)), context(positions=(), orders=None)],
    ids=["positions are not read", "orders are not read"],
)
def test_where_nobody_knows_whether_it_reduces_it_is_not_sent_and_not_said_to_protect(now: RiskContext) -> None:
    command = CancelOrder(SIM101, "0")
    sent = still_approved(review(command, now, NOBODY_IS_ASKED), ticket_of(command, STOP, Approval.NONE), 0)
    codes = {denial.code for denial in sent.denials}
    assert DenialCode.POSITION_UNKNOWN in codes
    assert DenialCode.WATCH_WOULD_NOT_REDUCE not in codes
