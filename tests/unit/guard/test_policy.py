"""What the operator allows, and what is known."""

from collections.abc import Callable
from datetime import time
from decimal import Decimal

import pytest

from ct_mcp.domain.account import Account, AccountKind, Position
from ct_mcp.domain.approval import Approval
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import Order, OrderState
from ct_mcp.guard.context import PendingOrder, RiskContext
from ct_mcp.guard.denial import DenialCode
from ct_mcp.guard.policy import AccountPolicy, FlatBy, Limits, Policy
from ct_mcp.guard.rule import Denial

ES, NQ = Instrument("ES", 2026, 12), Instrument("NQ", 2026, 12)
Rests = Callable[..., Order]
Sees = Callable[..., RiskContext]
Holds = Callable[..., tuple[Position, ...]]


CHICAGO = "America/Chicago"  # the trading day begins there at 17:00, so an evening hour comes early in it


@pytest.mark.parametrize(
    ("name", "wide", "narrow", "result"),
    [
        ("max_order_contracts", 5, 3, 3),
        ("max_order_contracts", 5, 8, 5),
        ("max_day_loss", Decimal(500), Decimal(250), Decimal(250)),
        ("max_day_loss", Decimal(500), Decimal(900), Decimal(500)),
        ("quote_max_age_seconds", 10.0, 2.0, 2.0),
        ("duplicate_window_seconds", 10.0, 30.0, 30.0),
        ("duplicate_window_seconds", 10.0, 1.0, 10.0),
        ("risk_ticks", 80, 120, 120),
        ("risk_ticks", 80, 20, 80),
        ("require_open_session", True, False, True),
        ("require_open_session", False, True, True),
        ("instruments", None, frozenset({"ES"}), frozenset({"ES"})),
        ("instruments", frozenset({"ES", "NQ"}), frozenset({"ES", "CL"}), frozenset({"ES"})),
        ("flat_by", None, FlatBy(time(15), "UTC"), FlatBy(time(15), "UTC")),
        ("flat_by", FlatBy(time(15), "UTC"), FlatBy(time(14), "UTC"), FlatBy(time(14), "UTC")),
        ("flat_by", FlatBy(time(13), "UTC"), FlatBy(time(14), "UTC"), FlatBy(time(13), "UTC")),
        ("flat_by", FlatBy(time(15, 55), CHICAGO), FlatBy(time(23), CHICAGO), FlatBy(time(23), CHICAGO)),
        ("flat_by", FlatBy(time(18), CHICAGO), FlatBy(time(2), CHICAGO), FlatBy(time(18), CHICAGO)),
    ],
)
def test_an_override_narrows_and_never_widens(name: str, wide: object, narrow: object, result: object) -> None:
    limits = Limits(**{name: wide}).narrowed_by({name: narrow})  # type: ignore[arg-type, dict-item]
    assert getattr(limits, name) == result


def test_an_override_of_another_kind_is_refused() -> None:
    with pytest.raises(TypeError, match="flat_by cannot be narrowed"):
        Limits(flat_by=FlatBy(time(15), "UTC")).narrowed_by({"flat_by": 15})


def test_a_policy_applies_the_account_and_the_root() -> None:
    policy = Policy(
        accounts={"EVAL-1": AccountPolicy(limits={"max_order_contracts": 3})},
        instruments={"ES": {"max_order_contracts": 2, "max_position_contracts": 4}},
    )
    assert policy.for_("EVAL-1", "NQ").limits == Limits(max_order_contracts=3)
    assert policy.for_("EVAL-1", "ES").limits == Limits(max_order_contracts=2, max_position_contracts=4)
    assert policy.for_("Sim101", "NQ").limits == policy.for_("Sim101", None).limits == Limits()


@pytest.mark.parametrize(
    ("kind", "leaves", "expected"),
    [
        (AccountKind.SIMULATED, False, Approval.FORM),
        (AccountKind.SIMULATED, True, Approval.NONE),
        (AccountKind.LIVE, False, Approval.PAGE),
        (AccountKind.LIVE, True, Approval.FORM),
        (AccountKind.UNKNOWN, False, Approval.PAGE),
        (AccountKind.UNKNOWN, True, Approval.FORM),
    ],
)
def test_the_least_channel_follows_the_kind_of_account(*, kind: AccountKind, leaves: bool, expected: Approval) -> None:
    assert Policy().approval_for("Sim101", kind, leaves=leaves) is expected


def test_an_account_may_name_its_own_channel() -> None:
    policy = Policy(accounts={"EVAL-1": AccountPolicy(approval=Approval.PAGE_PIN), "EVAL-2": AccountPolicy()})
    assert policy.approval_for("EVAL-1", AccountKind.LIVE, leaves=False) is Approval.PAGE_PIN
    assert policy.approval_for("EVAL-2", AccountKind.LIVE, leaves=False) is Approval.PAGE


def test_a_view_adds_up_what_is_held_in_one_contract(view: Sees, held: Holds) -> None:
    book = view(positions=(*held(2), *held(-5, NQ)))
    assert (book.net_position(ES), book.net_position(NQ), book.net_position(Instrument("CL", 2026, 12))) == (2, -5, 0)
    assert view(positions=None).net_position(ES) is None


def test_a_view_knows_the_orders_that_are_open(view: Sees, resting: Rests) -> None:
    orders = (resting("1"), resting("2", state=OrderState.FILLED), resting("3", instrument=NQ))
    assert view(orders=orders).open_orders(ES) == orders[:1]
    assert view(orders=None).open_orders(ES) is None


def test_a_view_finds_an_order_by_either_id(view: Sees, resting: Rests) -> None:
    order = resting("theirs", own_id="ours")
    assert view(orders=(order,)).order("theirs") is view(orders=(order,)).order("ours") is order
    assert view(orders=(order,)).order("else") is None
    assert view(orders=None).order("theirs") is None


def test_a_view_keeps_unknown_outcomes_by_contract(view: Sees) -> None:
    assert view(pending=(PendingOrder(ES, 1), PendingOrder(NQ, 2))).pending_orders(ES) == (PendingOrder(ES, 1),)


def test_a_view_knows_the_kind_of_its_account(view: Sees, account: Account) -> None:
    assert view().kind is account.kind
    assert view(account=None).kind is AccountKind.UNKNOWN


def test_a_denial_reads_as_its_code_and_figures() -> None:
    assert str(Denial(DenialCode.QUOTE_STALE, "age=12.0 s")) == "QUOTE_STALE: age=12.0 s"
