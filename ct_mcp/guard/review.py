"""The review: one command judged by every rule, on one set of facts.

1. The effect of the command is computed once, and every rule reads it.
2. Every rule runs, whatever an earlier one said: a denial names all its reasons at once.
3. A review is a value: it holds the command, the facts, the policy as narrowed to the account and root, the effect
   and one result for each rule. Approval, texts and the send read it; nothing is judged beside it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from ct_mcp.domain.approval import Finding, FindingKind
from ct_mcp.domain.commands import Command
from ct_mcp.guard.context import PendingOrder, RiskContext
from ct_mcp.guard.effect import effect_of
from ct_mcp.guard.effect_model import Effect
from ct_mcp.guard.firm_policy import Automation
from ct_mcp.guard.policy import Policy
from ct_mcp.guard.rule import Denial, NotApplicable, Passed, Rule, RuleAnswer
from ct_mcp.guard.rules.account import (
    account_is_armed,
    account_is_connected,
    account_is_enabled,
    account_is_not_taken_for_another,
    account_is_the_one_named,
    account_may_trade_in_this_mode,
    day_loss_is_within_limit,
    day_loss_is_within_the_accounts_own_limit,
    strategy_is_started_with_readable_values,
    trading_is_not_halted,
    week_loss_is_within_the_accounts_own_limit,
    what_a_strategy_sends_is_its_own,
)
from ct_mcp.guard.rules.entry import (
    bracket_fits_the_order,
    exits_only_reduce_beside_what_stands,
    exits_stand_on_their_sides,
    it_opens_with_a_stop,
    replaced_entry_keeps_no_exits,
    stop_out_fits_into_the_day,
)
from ct_mcp.guard.rules.firm import (
    account_may_be_sent_to,
    account_stays_within_its_minis,
    account_stays_within_its_scaling,
    day_gain_is_below_the_lock,
    no_release_is_near,
    nothing_stands_the_other_way,
    nothing_stands_the_other_way_elsewhere,
    stop_outs_leave_equity_above_the_floor,
)
from ct_mcp.guard.rules.limits import (
    RISK_WITHOUT_STOP,
    action_is_no_duplicate,
    contract_is_worth_what_it_was,
    money_is_in_the_accounts_currency,
    no_twin_is_unresolved,
    notional_is_within_limit,
    orders_per_day_are_within_limit,
    orders_per_minute_are_within_limit,
    risk_is_within_limit,
    session_is_open_or_order_may_wait,
    time_to_be_flat_by_has_not_passed,
)
from ct_mcp.guard.rules.order import (
    atm_template_is_listed,
    change_changes_something,
    close_says_how_much_once,
    contract_has_not_expired,
    instrument_is_allowed,
    limit_price_fits_the_order_type,
    names_are_plain_text,
    order_named_is_open,
    order_type_can_be_sent,
    other_months_that_are_held_are_named,
    position_stays_within_limit,
    position_stays_within_the_accounts_own_limit,
    quantity_is_a_whole_number,
    quantity_is_within_limit,
    quantity_is_within_the_accounts_own_limit,
    replacement_can_take_the_place,
    stop_limit_prices_stand_in_order,
    stop_price_fits_the_order_type,
)
from ct_mcp.guard.rules.position import (
    bracket_has_a_price,
    bracket_is_placed_on_a_fresh_quote,
    exit_is_not_on_its_way,
    partial_close_leaves_no_orders_behind,
    position_to_turn_or_protect_is_held,
    stop_loss_stands_clear_of_the_market,
    take_profit_stands_on_its_side,
)
from ct_mcp.guard.rules.price import (
    bid_and_ask_are_near_the_last_trade,
    limit_does_not_run_through_the_market,
    prices_are_near_the_market,
    prices_are_on_tick,
    prices_are_positive,
    prices_are_readable,
    quote_is_fresh,
    stop_stands_on_its_side,
)
from ct_mcp.guard.rules.team import (
    second_person_can_be_asked,
    team_has_been_heard,
    team_has_not_halted,
    team_lets_it_open,
)
from ct_mcp.guard.rules.watch import watch_acts_at_a_time_to_come, watch_has_what_it_acts_on


class Result(StrEnum):
    """How one rule came out."""

    PASSED = "passed"
    DENIED = "denied"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True, slots=True)
class RuleResult:
    """One rule, how it came out, and one line of figures; ``finding`` is what the person should know all the same."""

    rule: Rule
    result: Result
    figures: str
    finding: Finding | None = None
    denial: Denial | None = None


@dataclass(frozen=True, slots=True)
class Review:
    """A command judged by every rule; ``results`` in the order of `RULES`, ``denials`` each said once."""

    command: Command
    context: RiskContext
    policy: Policy
    effect: Effect
    results: tuple[RuleResult, ...]
    denials: tuple[Denial, ...]

    @property
    def passes(self) -> bool:
        """Say whether no rule denies it."""
        return not self.denials

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the person should know although it passed, each said once.

        Of what leads towards flat no value and no risk is shown, so how they were reckoned is not said either.
        """
        exits = self.effect.leads_to_flat
        found = (result.finding for result in self.results if result.finding is not None)
        return tuple(dict.fromkeys(it for it in found if not (exits and it.kind is FindingKind.ASSUMPTION)))

    @property
    def findings_to_answer(self) -> tuple[Finding, ...]:
        """Those for an answer: it shows no risk, so how that was reckoned stands in the question and the preview."""
        return tuple(it for it in self.findings if it.code != RISK_WITHOUT_STOP)

    @property
    def account(self) -> str:
        """The account by its canonical name; as the command spells it where there is no report of it."""
        return self.command.account if self.context.account is None else self.context.account.name

    @property
    def simulated(self) -> bool:
        """Whether no real money can move; an unknown kind counts as live."""
        return self.context.kind.is_simulated


RULES: tuple[Rule, ...] = (
    account_is_the_one_named,
    account_is_not_taken_for_another,
    account_may_trade_in_this_mode,
    account_may_be_sent_to,
    account_is_armed,
    account_is_connected,
    account_is_enabled,
    trading_is_not_halted,
    team_has_not_halted,
    team_has_been_heard,
    team_lets_it_open,
    second_person_can_be_asked,
    day_loss_is_within_limit,
    day_loss_is_within_the_accounts_own_limit,
    week_loss_is_within_the_accounts_own_limit,
    instrument_is_allowed,
    contract_has_not_expired,
    other_months_that_are_held_are_named,
    order_named_is_open,
    change_changes_something,
    replacement_can_take_the_place,
    position_to_turn_or_protect_is_held,
    bracket_has_a_price,
    close_says_how_much_once,
    exit_is_not_on_its_way,
    partial_close_leaves_no_orders_behind,
    quantity_is_a_whole_number,
    quantity_is_within_limit,
    quantity_is_within_the_accounts_own_limit,
    position_stays_within_limit,
    position_stays_within_the_accounts_own_limit,
    account_stays_within_its_minis,
    account_stays_within_its_scaling,
    nothing_stands_the_other_way,
    nothing_stands_the_other_way_elsewhere,
    order_type_can_be_sent,
    limit_price_fits_the_order_type,
    stop_price_fits_the_order_type,
    stop_limit_prices_stand_in_order,
    names_are_plain_text,
    atm_template_is_listed,
    prices_are_readable,
    prices_are_positive,
    prices_are_on_tick,
    quote_is_fresh,
    prices_are_near_the_market,
    bid_and_ask_are_near_the_last_trade,
    limit_does_not_run_through_the_market,
    stop_stands_on_its_side,
    bracket_is_placed_on_a_fresh_quote,
    stop_loss_stands_clear_of_the_market,
    take_profit_stands_on_its_side,
    bracket_fits_the_order,
    exits_only_reduce_beside_what_stands,
    exits_stand_on_their_sides,
    it_opens_with_a_stop,
    replaced_entry_keeps_no_exits,
    strategy_is_started_with_readable_values,
    what_a_strategy_sends_is_its_own,
    watch_has_what_it_acts_on,
    watch_acts_at_a_time_to_come,
    contract_is_worth_what_it_was,
    money_is_in_the_accounts_currency,
    notional_is_within_limit,
    risk_is_within_limit,
    stop_out_fits_into_the_day,
    stop_outs_leave_equity_above_the_floor,
    day_gain_is_below_the_lock,
    no_release_is_near,
    session_is_open_or_order_may_wait,
    time_to_be_flat_by_has_not_passed,
    orders_per_minute_are_within_limit,
    orders_per_day_are_within_limit,
    action_is_no_duplicate,
    no_twin_is_unresolved,
)


RULES_OF_VALUES: tuple[Rule, ...] = (
    account_may_trade_in_this_mode,
    contract_has_not_expired,
    bracket_has_a_price,
    close_says_how_much_once,
    quantity_is_a_whole_number,
    order_type_can_be_sent,
    limit_price_fits_the_order_type,
    stop_price_fits_the_order_type,
    stop_limit_prices_stand_in_order,
    names_are_plain_text,
    prices_are_readable,
    strategy_is_started_with_readable_values,
)
"""Those whose no needs nothing but the command, the policy and the kind of the account.

A limit on size is none of them, nor is a list of instruments: such an order may still be one that leaves what is held.
"""


RULES_OF_SENDING: tuple[Rule, ...] = (account_may_trade_in_this_mode, account_may_be_sent_to)
"""Those that say whether anything is ever sent to an account; they hold for exits as well."""

RULES_OF_THE_ACCOUNT: tuple[Rule, ...] = (
    *RULES_OF_SENDING,
    account_is_armed,
    account_is_enabled,
    team_has_been_heard,
    team_lets_it_open,
    day_loss_is_within_the_accounts_own_limit,
    week_loss_is_within_the_accounts_own_limit,
)
"""Those that look at the account alone: whether anything may be opened in it at all."""


def first_denial(rules: Sequence[Rule], command: Command, context: RiskContext, policy: Policy) -> Denial | None:
    """Give the first no of these rules; None where none says no."""
    effect = effect_of(command, context)
    return next((answer for rule in rules if isinstance(answer := rule(effect, context, policy), Denial)), None)


def denied_by_values(command: Command, context: RiskContext, policy: Policy) -> Review | None:
    """Say no where no reading can change it; None where it takes one. ``context`` holds the account and the time."""
    judged = review(command, context, policy)
    firm = {rule.id for rule in RULES_OF_VALUES}
    results = tuple(each for each in judged.results if each.rule.id in firm)
    denials = tuple(dict.fromkeys(each.denial for each in results if each.denial is not None))
    return replace(judged, results=results, denials=denials) if denials else None


def review(command: Command, context: RiskContext, policy: Policy) -> Review:
    """Run every rule and keep every denial; what several rules say in the same words is said once.

    ``policy`` must be the one narrowed to the account and root of the command.
    """
    effect = effect_of(command, context)
    results = tuple(_result(rule, rule(effect, context, policy)) for rule in RULES)
    denials = dict.fromkeys(result.denial for result in results if result.denial is not None)
    return Review(command, context, policy, effect, results, tuple(denials))


def as_if_never_sent(judged: Review) -> Review:
    """Judge it as one that nobody has sent a moment ago, for a question about its size: the pace of now is left out."""
    context = replace(judged.context, seconds_since_identical=None, identical_is_unknown=False, orders_last_minute=0)
    return review(judged.command, context, judged.policy)


def as_if_sent(judged: Review) -> Review:
    """Judge what nothing is ever sent of as if it were: what passes so is a plan that the person may place."""
    if judged.policy.automation is Automation.PROPOSE:
        return judged
    return review(judged.command, judged.context, replace(judged.policy, automation=Automation.PROPOSE))


def with_each_other(reviews: Sequence[Review]) -> list[Review]:
    """Judge several commands of one proposal beside each other, by the rules on what may stand against what.

    Each is proposed on a book that holds nothing of the others yet; at the send the later ones would be denied.
    """
    return [_beside(each, [other for other in reviews if other is not each]) for each in reviews]


def _beside(judged: Review, others: Sequence[Review]) -> Review:
    sent = {other.account: tuple(fill for fill in other.effect.may_fill if not fill.leaves) for other in others}
    if not any(sent.values()):
        return judged
    context = _with_pending(judged.context, judged.account, sent)
    books = None if context.elsewhere is None else context.elsewhere.items()
    if books is not None:
        context = replace(context, elsewhere={name: _with_pending(book, name, sent) for name, book in books})
    against = (nothing_stands_the_other_way, nothing_stands_the_other_way_elsewhere)
    answers = [rule(judged.effect, context, judged.policy) for rule in against]
    denials = dict.fromkeys([*judged.denials, *(each for each in answers if isinstance(each, Denial))])
    return replace(judged, denials=tuple(denials))


def _with_pending(context: RiskContext, name: str, sent: Mapping[str, tuple[PendingOrder, ...]]) -> RiskContext:
    return replace(context, pending=(*context.pending, *sent.get(name, ())))


@dataclass(frozen=True, slots=True)
class Largest:
    """So many contracts of an order pass at most; ``binds`` is why one more does not.

    ``judged`` is the order at that size; at one contract where none passes.
    """

    contracts: int
    binds: RuleResult | None
    judged: Review


def largest_that_passes(judged: Review) -> Largest | None:
    """Find the most contracts of an order that pass on the same facts; None of what is no new order.

    More contracts never pass where fewer do not, so it is searched by halves, up to one more than an order may have.
    """
    order, judged = judged.effect.order, as_if_sent(judged)
    if order is None or order is not judged.command:
        return None

    def of(quantity: int) -> Review:
        bracket = order.bracket and order.bracket.of(quantity)
        return review(replace(order, quantity=quantity, bracket=bracket), judged.context, judged.policy)

    passes, denied = 0, judged.policy.limits.max_order_contracts + 1
    if of(denied).passes:
        return Largest(denied, None, of(denied))
    while denied - passes > 1:
        middle = (passes + denied) // 2
        passes, denied = (middle, denied) if of(middle).passes else (passes, middle)
    binds = next((each for each in of(denied).results if each.denial is not None), None)
    return Largest(passes, binds, of(max(1, passes)))


def _result(rule: Rule, answer: RuleAnswer) -> RuleResult:
    match answer:
        case Passed():
            return RuleResult(rule, Result.PASSED, answer.figures, answer.finding)
        case NotApplicable():
            return RuleResult(rule, Result.NOT_APPLICABLE, answer.why)
        case Denial():  # pragma: no branch  # the set is closed
            return RuleResult(rule, Result.DENIED, str(answer), denial=answer)
