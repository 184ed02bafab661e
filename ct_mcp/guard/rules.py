"""The rules in one tuple, and the review that runs all of them."""

from dataclasses import dataclass
from enum import StrEnum

from ct_mcp.domain.action import Action
from ct_mcp.guard.policy import Denial, Policy, View
from ct_mcp.guard.rules_account import (
    account_is_armed,
    account_is_connected,
    account_is_the_one_named,
    account_may_trade_in_this_mode,
    day_loss_is_within_limit,
    trading_is_not_halted,
)
from ct_mcp.guard.rules_fields import (
    change_changes_something,
    close_says_how_much_once,
    limit_price_fits_the_order_type,
    names_are_plain_text,
    order_named_is_open,
    order_type_can_be_sent,
    replacement_can_take_the_place,
    stop_limit_prices_stand_in_order,
    stop_price_fits_the_order_type,
)
from ct_mcp.guard.rules_order import (
    contract_has_not_expired,
    instrument_is_allowed,
    position_stays_within_limit,
    quantity_is_a_whole_number,
    quantity_is_within_limit,
)
from ct_mcp.guard.rules_pace import (
    action_is_no_duplicate,
    no_identical_action_is_unresolved,
    orders_per_day_are_within_limit,
    orders_per_minute_are_within_limit,
)
from ct_mcp.guard.rules_position import (
    bracket_has_a_price,
    bracket_is_placed_on_a_fresh_quote,
    position_to_turn_or_protect_is_held,
    stop_loss_stands_clear_of_the_market,
    take_profit_stands_on_its_side,
)
from ct_mcp.guard.rules_price import (
    limit_does_not_run_through_the_market,
    prices_are_near_the_market,
    prices_are_on_tick,
    prices_are_positive,
    prices_are_readable,
    quote_is_fresh,
    stop_stands_on_its_side,
)
from ct_mcp.guard.rules_strategy import (
    strategy_is_started_with_readable_values,
    what_a_strategy_sends_is_its_own,
)
from ct_mcp.guard.rules_time import session_is_open_or_order_may_wait, time_to_be_flat_by_has_not_passed
from ct_mcp.guard.rules_value import notional_is_within_limit, risk_is_within_limit
from ct_mcp.guard.verdict import Finding, NotApplicable, Passed, Rule


class Result(StrEnum):
    """How one rule came out."""

    PASSED = "passed"
    DENIED = "denied"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One rule by its name, how it came out, and one line of figures; ``not_checked`` is what it could not look at."""

    rule: str
    result: Result
    figures: str
    not_checked: str = ""


@dataclass(frozen=True, slots=True)
class Review:
    """What all rules said of one action; ``denials`` and ``verdicts`` in the order of `RULES`."""

    denials: tuple[Denial, ...]
    verdicts: tuple[Verdict, ...]

    @property
    def passes(self) -> bool:
        """Say whether no rule denies it."""
        return not self.denials

    @property
    def checks_not_run(self) -> tuple[str, ...]:
        """What could not be looked at, each with the name of its rule."""
        return tuple(f"{verdict.rule}: {verdict.not_checked}" for verdict in self.verdicts if verdict.not_checked)


RULES: tuple[Rule, ...] = (
    account_is_the_one_named,
    account_may_trade_in_this_mode,
    account_is_armed,
    account_is_connected,
    trading_is_not_halted,
    day_loss_is_within_limit,
    instrument_is_allowed,
    contract_has_not_expired,
    order_named_is_open,
    change_changes_something,
    replacement_can_take_the_place,
    position_to_turn_or_protect_is_held,
    bracket_has_a_price,
    close_says_how_much_once,
    quantity_is_a_whole_number,
    quantity_is_within_limit,
    position_stays_within_limit,
    order_type_can_be_sent,
    limit_price_fits_the_order_type,
    stop_price_fits_the_order_type,
    stop_limit_prices_stand_in_order,
    names_are_plain_text,
    prices_are_readable,
    prices_are_positive,
    prices_are_on_tick,
    quote_is_fresh,
    prices_are_near_the_market,
    limit_does_not_run_through_the_market,
    stop_stands_on_its_side,
    bracket_is_placed_on_a_fresh_quote,
    stop_loss_stands_clear_of_the_market,
    take_profit_stands_on_its_side,
    strategy_is_started_with_readable_values,
    what_a_strategy_sends_is_its_own,
    notional_is_within_limit,
    risk_is_within_limit,
    session_is_open_or_order_may_wait,
    time_to_be_flat_by_has_not_passed,
    orders_per_minute_are_within_limit,
    orders_per_day_are_within_limit,
    action_is_no_duplicate,
    no_identical_action_is_unresolved,
)


def review(action: Action, view: View, policy: Policy) -> Review:
    """Run every rule and keep every denial; what several rules say in the same words is said once.

    ``policy`` must be the one narrowed to the account and root of the action.
    """
    findings = [(rule.__name__.replace("_", " "), rule(action, view, policy)) for rule in RULES]
    denials = dict.fromkeys(finding for _, finding in findings if isinstance(finding, Denial))
    return Review(tuple(denials), tuple(_verdict(name, finding) for name, finding in findings))


def _verdict(name: str, finding: Finding) -> Verdict:
    match finding:
        case Passed():
            return Verdict(name, Result.PASSED, finding.figures, finding.not_checked)
        case NotApplicable():
            return Verdict(name, Result.NOT_APPLICABLE, finding.why)
        case Denial():  # pragma: no branch  # the set is closed
            return Verdict(name, Result.DENIED, str(finding))
