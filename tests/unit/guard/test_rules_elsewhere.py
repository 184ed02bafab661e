"""No opposite positions over all accounts: what another one holds, has working, or may have got."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_mcp.domain.commands import ClosePosition, Flatten, PlaceOrder, ProtectPosition, ReversePosition
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import OrderAction
from ct_mcp.guard.context import PendingOrder, RiskContext
from ct_mcp.guard.effect import effect_of
from ct_mcp.guard.firm_room import firm_facts, firm_lines
from ct_mcp.guard.policy import Policy
from ct_mcp.guard.review import Review, review
from tests.factories import ES, MES, NOW, SIM101, context, order, place_order, position, positions, stop_order
from tests.unit.guard.books import a_book
from tests.unit.guard.test_effect import reach
from tests.unit.guard.test_rules_firm import firm

Codes = Callable[[Review], set[str]]
MARCH, NQ, CL = Instrument("ES", 2027, 3), Instrument("NQ", 2026, 12), Instrument("CL", 2027, 1)
RULE: dict[str, Any] = {"no_opposite_over_accounts": True}


def other(**known: Any) -> RiskContext:
    """Build what another account holds: nothing, unless it is said."""
    return RiskContext(NOW, **{"positions": (), "orders": (), **known})


def beside(*others: RiskContext, **known: Any) -> RiskContext:
    """Build a flat account with others beside it."""
    return context(elsewhere={f"EVAL-{number}": book for number, book in enumerate(others)}, **known)


@pytest.mark.parametrize(
    ("book", "passes"),
    [
        (other(), True),
        (other(positions=(position(3),)), True),
        (other(positions=(position(-1),)), False),
        (other(positions=(position(-1, MES),)), False),
        (other(positions=(position(-1, MARCH),)), False),
        (other(orders=(order(action=OrderAction.SELL),)), False),
        (other(orders=(order(action=OrderAction.SELL, instrument=MES),)), False),
        (other(pending=(PendingOrder(ES, -1),)), False),
        (other(positions=(position(2),), orders=(stop_order(quantity=2),)), True),
        (other(positions=(position(1),), orders=(stop_order(quantity=2),)), False),
        (other(positions=(position(-5, CL), position(-2, NQ))), True),
    ],
)
def test_nothing_is_bought_while_another_account_may_stand_short(codes: Codes, book: RiskContext, passes: bool) -> None:
    found = review(place_order(), beside(other(), book), firm(**RULE))
    assert codes(found) == (set() if passes else {"OPPOSITE_POSITION"})
    assert ("EVAL-1" in str(found.denials)) is not passes


def test_a_group_counts_over_accounts_as_well(codes: Codes) -> None:
    rules = {**RULE, "opposite_groups": (frozenset({"ES", "NQ"}),)}
    found = review(place_order(), beside(other(positions=(position(-2, NQ),))), firm(**rules))
    assert codes(found) == {"OPPOSITE_POSITION"}
    assert "BUY ES 12-26, against it=-2 NQ 12-26 in EVAL-0, other accounts=1" in str(found.denials[0])


def test_it_holds_within_the_account_itself_too(codes: Codes) -> None:
    assert codes(review(place_order(), beside(positions=(position(-1, MES),)), firm(**RULE))) == {"OPPOSITE_POSITION"}


@pytest.mark.parametrize("unread", [{"positions": None}, {"orders": None}])
def test_an_account_that_is_not_known_is_a_no_in_words(codes: Codes, unread: dict[str, Any]) -> None:
    found = review(place_order(), beside(other(), other(**unread)), firm(**RULE))
    assert codes(found) == {"POSITION_UNKNOWN"}
    assert "what is held and works in EVAL-1 is not known; connect it" in str(found.denials[0])


def test_nothing_read_of_the_others_is_a_no_and_one_opposite_is_named_beside_one_unknown(codes: Codes) -> None:
    none = review(place_order(), context(), firm(**RULE))
    assert codes(none) == {"POSITION_UNKNOWN"}
    assert "no report of what other accounts hold" in str(none.denials[0])
    both = beside(other(positions=None), other(positions=(position(-1),)))
    assert codes(review(place_order(), both, firm(**RULE))) == {"OPPOSITE_POSITION"}
    assert review(place_order(), beside(), firm(**RULE)).passes


@pytest.mark.parametrize(
    "elsewhere", [None, {"EVAL-0": other(positions=None)}, {"EVAL-0": other(positions=(position(-9),))}]
)
def test_exits_always_pass(elsewhere: dict[str, RiskContext] | None) -> None:
    stop = stop_order(quantity=2)
    held = context(positions=positions(2), orders=(stop,), elsewhere=elsewhere)
    bare = replace(held, orders=())
    for command, book in (
        (Flatten(SIM101, None), held),
        (ClosePosition(SIM101, ES), held),
        (ClosePosition(SIM101, ES, quantity=1), bare),
        (place_order("SELL"), bare),
        (ProtectPosition(SIM101, ES, None, stop.stop_price), bare),
    ):
        found = review(command, book, firm(**RULE))
        assert [each for each in found.denials if each.code in ("OPPOSITE_POSITION", "POSITION_UNKNOWN")] == []


def test_a_reverse_is_judged_as_the_opening_that_it_is(codes: Codes) -> None:
    copied = beside(other(positions=(position(1),)), positions=positions(1))
    found = review(ReversePosition(SIM101, ES), copied, firm(**RULE))
    assert "OPPOSITE_POSITION" in codes(found), "a copier is still long there"


@given(mine=a_book(context), there=a_book(other), action=st.sampled_from(["BUY", "SELL"]), size=st.integers(1, 4))
def test_on_any_two_books_what_opens_passes_only_where_nothing_can_stand_against_it(
    mine: RiskContext, there: RiskContext, action: str, size: int
) -> None:
    book = replace(mine, elsewhere={"EVAL-0": there})
    command: PlaceOrder = place_order(action, size)
    found = review(command, book, firm(**RULE))
    highest, lowest = reach(there.net_position(ES) or 0, there.orders or (), there.pending)
    against = lowest < 0 if action == "BUY" else highest > 0
    denied = [each for each in found.denials if "against it=" in each.figures and "EVAL-0" in each.figures]
    assert bool(denied) is (against and not found.effect.only_reduces)


def test_the_room_names_what_others_hold() -> None:
    book = beside(other(), other(positions=(position(-2, MES),)), other(positions=None))
    lines = firm_lines(book, firm(**RULE))
    assert lines == (
        "Opposite positions none may open (held: nothing is held; in 3 other accounts: -2 MES 12-26 in EVAL-1, "
        "not known in EVAL-2)",
    )
    assert firm_lines(context(), firm(**RULE))[0].endswith("; in other accounts: not known)")
    facts = firm_facts(effect_of(place_order(), book), book, firm(**RULE))
    assert [str(fact) for fact in facts] == list(lines)


def test_without_the_rule_others_say_nothing() -> None:
    book = beside(other(positions=(position(-2),)))
    assert review(place_order(), book, firm(no_opposite=True)).passes
    assert review(place_order(), book, Policy()).passes
