"""Tables of the settings hold for the account that the service takes them for, and for no look-alike."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from ct_mcp.domain.account import account_key
from ct_mcp.domain.approval import Approval
from ct_mcp.domain.commands import Flatten
from ct_mcp.guard.policy import AccountPolicy, Mode, Policy, TeamRules
from ct_mcp.guard.review import Review, review
from ct_mcp.guard.team_policy import narrowed
from tests.factories import context, place_order, policy, position

Codes = Callable[[Review], set[str]]
STRICT = AccountPolicy(Approval.PAGE_PIN, {"max_order_contracts": 1})


def with_table(name: str, mode: Mode = Mode.SIM) -> Policy:
    """The usual policy, with a strict table for one account."""
    return replace(policy(mode), accounts={name: STRICT})


@pytest.mark.parametrize("name", ["Sim101", "sim101", "SIM101"])
def test_a_table_holds_for_its_account_whatever_the_case(codes: Codes, name: str) -> None:
    held = with_table(name).for_("Sim101", "ES")
    assert held.limits.max_order_contracts == 1
    assert held.approval_for("Sim101", context().kind, leaves=False) is Approval.PAGE_PIN
    assert review(place_order(), context(), held).passes
    assert "ACCOUNT_NOT_NAMED" not in codes(review(place_order(), context(), with_table(name, Mode.LIVE)))


@pytest.mark.parametrize("name", ["Sim1O1", "SimlOl", "Sim 101", "Sim-101", "Sim\uff11\uff10\uff11"])
def test_nothing_opens_in_the_account_that_a_table_was_meant_for(codes: Codes, name: str) -> None:
    strict = with_table(name)
    assert codes(review(place_order(), context(), strict)) == {"ACCOUNT_TABLE_MISSPELT"}
    both = context(listed_accounts=("Sim101", name))
    assert review(place_order(), both, strict).passes, "each of the two is there"
    assert review(Flatten("Sim101", None), context(positions=(position(2),)), strict).passes
    assert strict.unmatched(["Sim101"]) == (name,)


@pytest.mark.parametrize("name", ["Sim1O1", "SimlOl", "Sim 101"])
def test_nothing_opens_where_a_table_of_the_teams_policy_is_misspelt(codes: Codes, name: str) -> None:
    strict = narrowed(policy(), TeamRules(accounts={account_key(name): STRICT}))
    found = review(place_order(), context(), strict)
    assert codes(found) == {"ACCOUNT_TABLE_MISSPELT"}
    assert "table of the team's policy that matches no account" in str(found.denials[0])
    assert "only a risk manager of the team can mend it" in str(found.denials[0])
    assert review(place_order(), context(listed_accounts=("Sim101", name)), strict).passes, "each of the two is there"
    assert review(Flatten("Sim101", None), context(positions=(position(2),)), strict).passes


def test_a_teams_policy_may_name_accounts_of_other_traders() -> None:
    others = narrowed(policy(), TeamRules(accounts={account_key("EVAL-12345"): STRICT}))
    assert review(place_order(), context(), others).passes


def test_a_table_for_an_account_that_is_away_is_no_matter_elsewhere() -> None:
    away = with_table("EVAL-12345")
    assert review(place_order(quantity=2), context(), replace(away, limits=replace(away.limits))).passes
    assert away.for_("Sim101", None).limits.max_day_loss == Decimal(500)
