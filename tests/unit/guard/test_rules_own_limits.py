"""Limits that the account has of its own, as NinjaTrader reports them, and limits that count over several contracts."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from ct_mcp.domain.account import Balances
from ct_mcp.domain.commands import ClosePosition, Command, Flatten
from ct_mcp.domain.instrument import Instrument
from ct_mcp.guard.context import PendingOrder, RiskContext
from ct_mcp.guard.review import Review, review
from tests.factories import ES, account, context, order, place_order, policy, position, positions

Codes = Callable[[Review], set[str]]
MARCH = Instrument("ES", 2027, 3)
WEEK = Balances(
    realized_pnl=Decimal(0), unrealized_pnl=Decimal(-20), weekly_pnl=Decimal(-480), weekly_loss_limit=Decimal(500)
)
LOST = Balances(realized_pnl=Decimal(-500), unrealized_pnl=Decimal(-20), daily_loss_limit=Decimal(500))
ROOMY = policy(max_day_loss=Decimal(10_000), max_order_risk=Decimal(100_000), max_order_notional=Decimal(10**8))
EXITS: list[Command] = [Flatten("Sim101", None), ClosePosition("Sim101", ES), place_order("SELL", 3)]


@pytest.mark.parametrize(
    ("own", "code", "figures"),
    [
        ({"status": "LiquidationOnly"}, "ACCOUNT_NOT_ENABLED", "status=LiquidationOnly"),
        ({"status": "Disabled"}, "ACCOUNT_NOT_ENABLED", "status=Disabled"),
        ({"status": "Excluded"}, "ACCOUNT_NOT_ENABLED", "status=Excluded"),
        ({"balances": LOST}, "ACCOUNT_DAY_LOSS_REACHED", "day P&L=-520, the account's own daily loss limit=500"),
        ({"balances": WEEK}, "ACCOUNT_WEEK_LOSS_REACHED", "week P&L=-500, the account's own weekly loss limit=500"),
        ({"balances": replace(WEEK, weekly_pnl=None)}, "DAY_PNL_UNKNOWN", "week P&L=unknown"),
        ({"max_order_size": 2}, "ACCOUNT_ORDER_SIZE_EXCEEDED", "quantity=3, the account's own maximum=2"),
        ({"max_position_size": 5}, "ACCOUNT_POSITION_SIZE_EXCEEDED", "position after=6, the account's own maximum=5"),
    ],
)
def test_what_the_account_itself_forbids_is_denied_with_figures_and_can_be_left(
    codes: Codes, own: dict[str, Any], code: str, figures: str
) -> None:
    book = context(account=account(**own), positions=positions(3))
    found = review(place_order(quantity=3), book, ROOMY)
    assert codes(found) == {code}
    assert figures in str(found.denials[0])
    for leaves in EXITS:
        assert review(leaves, book, ROOMY).passes


@pytest.mark.parametrize("own", [{"max_order_size": 0, "max_position_size": 0}, {"status": "enabled"}, {}])
def test_no_limit_of_its_own_is_none(own: dict[str, Any]) -> None:
    balances = Balances(realized_pnl=Decimal(-900), unrealized_pnl=Decimal(0), daily_loss_limit=Decimal(0))
    assert review(place_order(quantity=3), context(account=account(balances=balances, **own)), ROOMY).passes


def month(held: int) -> RiskContext:
    """So many contracts of another month."""
    return context(positions=(position(held, MARCH),))


@pytest.mark.parametrize(
    "book",
    [
        month(2),
        context(orders=(order(instrument=MARCH, quantity=2),)),
        context(pending=(PendingOrder(MARCH, 2),)),
    ],
    ids=["held", "working", "unknown"],
)
def test_all_months_of_a_root_count_against_its_limit(codes: Codes, book: RiskContext) -> None:
    tight = policy(max_position_contracts=2)
    found = review(place_order(), book, tight)
    assert codes(found) == {"POSITION_EXCEEDS_MAXIMUM"}
    assert "ES 03-27=2" in str(found.denials[0])
    own = replace(book, account=account(max_position_size=2))
    assert codes(review(place_order(), own, ROOMY)) == {"ACCOUNT_POSITION_SIZE_EXCEEDED"}


def test_each_side_of_a_root_counts_by_itself_and_other_roots_do_not() -> None:
    tight = policy(max_position_contracts=2)
    assert review(place_order(quantity=2), month(-2), tight).passes
    assert not review(place_order("SELL"), month(-2), tight).passes
    others = context(positions=(position(2, Instrument("NQ", 2026, 12)),))
    assert review(place_order(quantity=2), others, tight).passes


MICRO, MNQ, NQ = Instrument("MES", 2026, 12), Instrument("MNQ", 2026, 12), Instrument("NQ", 2026, 12)


@pytest.mark.parametrize(
    ("book", "quantity", "passes"),
    [
        (context(), 3, True),
        (context(), 4, False),
        (context(positions=(position(10, MICRO),)), 2, True),
        (context(positions=(position(11, MICRO),)), 2, False),
        (context(positions=(position(1, NQ),), orders=(order(instrument=MNQ, quantity=10),)), 1, True),
        (context(positions=(position(1, NQ),), orders=(order(instrument=MNQ, quantity=11),)), 1, False),
        (context(positions=(position(-2, MARCH),), pending=(PendingOrder(NQ, 1),)), 1, False),
    ],
)
def test_all_instruments_of_an_account_count_in_mini_equivalents(
    *, codes: Codes, book: RiskContext, quantity: int, passes: bool
) -> None:
    three = replace(ROOMY, limits=replace(ROOMY.limits, max_account_minis=Decimal(3)))
    found = review(place_order(quantity=quantity), book, three)
    assert codes(found) == (set() if passes else {"ACCOUNT_MINIS_EXCEED_MAXIMUM"})


def test_without_a_limit_over_the_account_nothing_is_counted_over_it() -> None:
    assert review(place_order(), context(positions=(position(50, NQ),)), ROOMY).passes
