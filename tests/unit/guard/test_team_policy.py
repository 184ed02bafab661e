"""A team's policy narrows a trader's own, and widens nothing; the order of two of them does not matter."""

from dataclasses import fields
from datetime import time, timedelta
from decimal import Decimal
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ct_mcp.domain.account import AccountKind, account_key
from ct_mcp.domain.approval import APPROVALS, Approval
from ct_mcp.guard.firm_policy import (
    Automation,
    DayLossEnds,
    Drawdown,
    DrawdownKind,
    FirmRules,
    IfUnknown,
    NewsRule,
    ScalingStep,
    both_rules,
    minis_at,
)
from ct_mcp.guard.policy import (
    AccountPolicy,
    FlatBy,
    Limits,
    Mode,
    Policy,
    SecondYes,
    TeamRules,
    is_earlier,
    stricter,
)
from ct_mcp.guard.team_policy import both, faults_of, narrowed

MONEY = st.integers(1, 5).map(lambda each: Decimal(each * 100))
TIMES = st.integers(0, 23).map(lambda hour: FlatBy(time(hour), "America/Chicago"))
ROOTS = st.frozensets(st.sampled_from(["ES", "MES", "NQ"]))
LIMITS = st.fixed_dictionaries(
    {},
    optional={
        "max_order_contracts": st.integers(1, 8),
        "max_day_loss": MONEY,
        "max_order_risk": MONEY,
        "duplicate_window_seconds": st.sampled_from([1.0, 10.0, 60.0]),
        "risk_ticks": st.integers(1, 200),
        "require_open_session": st.booleans(),
        "flat_by": TIMES,
        "instruments": ROOTS,
    },
)


def limits_of(given: dict[str, Any]) -> Limits:
    """What a trader's own file says."""
    return Limits(**given)


STEPS = st.lists(
    st.builds(ScalingStep, MONEY, st.integers(1, 9).map(Decimal)), max_size=3, unique_by=lambda step: step.balance
).map(tuple)
FIRMS = st.builds(
    FirmRules,
    drawdown=st.none()
    | st.builds(Drawdown, st.sampled_from(DrawdownKind), MONEY, st.just(Decimal(50_000)), st.none() | MONEY),
    scaling=STEPS,
    no_opposite=st.booleans(),
    opposite_groups=st.lists(ROOTS.filter(lambda roots: len(roots) > 1), max_size=2).map(tuple),
    require_stop=st.booleans(),
    profit_lock=st.none() | MONEY,
    news=st.none()
    | st.builds(
        NewsRule,
        st.integers(0, 9).map(lambda each: timedelta(minutes=each)),
        st.integers(0, 9).map(lambda each: timedelta(minutes=each)),
        st.none(),
        st.sampled_from(IfUnknown),
        st.booleans(),
    ),
    best_day_percent=st.none() | st.integers(1, 100).map(Decimal),
    day_loss_ends=st.sampled_from(DayLossEnds),
)
NAMES = st.sampled_from(["EVAL-1", "eval-1", "EVAL-2"])
ACCOUNTS = st.builds(
    AccountPolicy, st.none() | st.sampled_from(Approval), LIMITS, st.sampled_from(Automation), st.none() | FIRMS
)
TEAM = st.builds(
    TeamRules,
    mode=st.sampled_from(Mode),
    limits=LIMITS,
    simulated=st.sampled_from(Approval),
    live=st.sampled_from(Approval),
    ticket_seconds=st.none() | st.sampled_from([10.0, 60.0, 600.0]),
    require_stop=st.booleans(),
    accounts=st.dictionaries(NAMES.map(account_key), ACCOUNTS, max_size=2),
    instruments=st.dictionaries(st.sampled_from(["ES", "NQ"]), LIMITS, max_size=2),
    second=st.sampled_from(SecondYes),
    second_from=st.integers(1, 5),
    grace_seconds=st.none() | st.sampled_from([0.0, 60.0]),
    numbers=st.just((1,)),
)
OWN = st.builds(
    Policy,
    mode=st.sampled_from(Mode),
    limits=LIMITS.map(limits_of),
    simulated=st.sampled_from(Approval),
    live=st.sampled_from(Approval),
    accounts=st.dictionaries(st.sampled_from(["EVAL-1", "EVAL-2"]), ACCOUNTS, max_size=2),
    instruments=st.dictionaries(st.sampled_from(["ES", "NQ"]), LIMITS, max_size=2),
)
PLACES = tuple(product(("EVAL-1", "EVAL-2", "Sim101"), (None, "ES", "NQ")))


def is_as_strict(name: str, value: Any, than: Any) -> bool:
    """Whether a limit leaves no more than another does."""
    return than is None or (value is not None and stricter(name, than, value) == value)


@given(OWN, TEAM)
@settings(max_examples=2 * settings().max_examples)
def test_nothing_is_wider_than_the_traders_own(own: Policy, rules: TeamRules) -> None:
    under = narrowed(own, rules)
    for account, root in PLACES:
        mine, now = own.for_(account, root), under.for_(account, root)
        for field in fields(Limits):
            if field.name != "rates":
                value, than = getattr(now.limits, field.name), getattr(mine.limits, field.name)
                assert is_as_strict(field.name, value, than), field.name
        assert now.protection.require_stop >= mine.protection.require_stop
        assert now.automation is mine.automation, "what leaves goes as before"
        for kind in AccountKind:
            for leaves in (True, False):
                asks, asked = (each.approval_for(account, kind, leaves=leaves) for each in (under, own))
                assert APPROVALS.index(asks) >= APPROVALS.index(asked)
                assert asks is asked or not leaves, "the approval of an exit is the trader's"
        assert (under.account_named(account) is None) is (own.account_named(account) is None), "a name is a permission"
    assert under.mode is own.mode, "exits go by the trader's own mode"
    assert under.ticket_seconds <= own.ticket_seconds
    assert (under.exits_live, under.watches, under.recording) == (own.exits_live, own.watches, own.recording)


@given(TEAM, TEAM)
def test_of_two_policies_the_stricter_holds_in_everything_whichever_comes_first(
    one: TeamRules, other: TeamRules
) -> None:
    result = both(one, other)
    assert result == both(other, one)
    assert both(result, one) == result
    assert both(result, result) == result
    for each in (one, other):
        for kind, account in product(AccountKind, ("EVAL-1", "Sim101")):
            assert each.lets_open(account, kind) or not result.lets_open(account, kind)
            least, of = result.least_approval(account, kind), each.least_approval(account, kind)
            assert APPROVALS.index(least) >= APPROVALS.index(of)


@given(OWN, TEAM, TEAM)
def test_narrowing_twice_is_narrowing_once(own: Policy, one: TeamRules, other: TeamRules) -> None:
    once = narrowed(own, both(one, other))
    assert narrowed(once, both(one, other)) == once
    assert narrowed(narrowed(own, one), other) == once


@given(FIRMS, FIRMS)
def test_the_rules_of_a_firm_narrow(one: FirmRules, other: FirmRules) -> None:
    result = both_rules(one, other)
    assert result is not None
    assert result == both_rules(other, one)
    for each in (one, other):
        for balance in (Decimal(0), *(step.balance for step in (*one.scaling, *other.scaling))):
            assert not each.scaling or minis_at(result.scaling, balance) <= minis_at(each.scaling, balance)
        if each.drawdown is not None:
            assert result.drawdown is not None
            assert result.drawdown.lowest_floor >= each.drawdown.lowest_floor
        if each.news is not None:
            assert result.news is not None
            assert result.news.before >= each.news.before
        assert result.no_opposite >= each.no_opposite


def test_a_floor_that_never_locks_is_the_stricter() -> None:
    one = FirmRules(drawdown=Drawdown(DrawdownKind.STATIC, Decimal(2000), Decimal(50_000), Decimal(50_100)))
    other = FirmRules(drawdown=Drawdown(DrawdownKind.INTRADAY, Decimal(2500), Decimal(50_000)))
    result = both_rules(one, other)
    assert result is not None
    assert result.drawdown == Drawdown(DrawdownKind.INTRADAY, Decimal(2000), Decimal(50_000), None)


def test_an_account_that_both_name_is_matched_as_the_service_matches_names() -> None:
    own = Policy(accounts={"EVAL-1": AccountPolicy(limits={"max_order_contracts": 4})})
    rules = TeamRules(accounts={account_key("eval-1"): AccountPolicy(limits={"max_order_contracts": 2})})
    assert narrowed(own, rules).for_("Eval-1", "ES").limits.max_order_contracts == 2


def test_a_channel_of_the_traders_that_asks_nobody_is_held_by_the_teams_general_one() -> None:
    own = Policy(mode=Mode.LIVE, accounts={"EVAL-1": AccountPolicy(approval=Approval.NONE)})
    under = narrowed(own, TeamRules(live=Approval.PAGE))
    assert under.approval_for("EVAL-1", AccountKind.LIVE, leaves=False) is Approval.PAGE
    assert under.approval_for("EVAL-1", AccountKind.SIMULATED, leaves=False) is Approval.NONE


NEW_YORK, BERLIN, TOKYO = "America/New_York", "Europe/Berlin", "Asia/Tokyo"


@pytest.mark.parametrize(
    ("own", "theirs", "is_told"),
    [
        (FlatBy(time(16), NEW_YORK), FlatBy(time(15), "America/Chicago"), False),
        (FlatBy(time(16), NEW_YORK), FlatBy(time(20), BERLIN), False),
        (FlatBy(time(16), NEW_YORK), FlatBy(time(21, 30), BERLIN), True),
        (FlatBy(time(16), NEW_YORK), FlatBy(time(5, 30), TOKYO), True),
    ],
)
def test_times_of_two_zones_are_refused_where_neither_is_always_the_earlier(
    own: FlatBy, theirs: FlatBy, is_told: bool
) -> None:
    policy, rules = Policy(limits=Limits(flat_by=own)), TeamRules(limits={"flat_by": theirs})
    faults = list(faults_of(policy, [rules]))
    assert bool(faults) is is_told
    if not is_told:
        held = narrowed(policy, rules).limits.flat_by
        assert held is not None
        assert is_earlier(held, own)
        assert is_earlier(held, theirs)
