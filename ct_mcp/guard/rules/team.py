"""Rules on what a trader's team wants: its word heard, its halt, what it lets open, a second person's yes.

None of them holds for what leaves, reduces or cancels, nor for the stop and the targets that go with an entry.
"""

from datetime import datetime
from functools import wraps

from ct_mcp.domain.approval import SECOND_YES, Halt
from ct_mcp.domain.team import TeamLost, TeamStanding
from ct_mcp.guard.context import RiskContext
from ct_mcp.guard.denial import DenialCode
from ct_mcp.guard.effect import is_exit_of_entry
from ct_mcp.guard.effect_model import Effect
from ct_mcp.guard.policy import Policy, SecondYes
from ct_mcp.guard.rule import (
    EXIT,
    Check,
    Denial,
    NotApplicable,
    Passed,
    RuleAnswer,
    could_not_verify,
    on_opening,
    rule,
    warning,
)
from ct_mcp.text import command, plain, utc_minute

NO_TEAM = NotApplicable("there is no team")
_EXITS = "exits still work"


def in_a_team(check: Check) -> Check:
    """Apply a check to what opens or adds, where the trader belongs to a team."""

    @on_opening
    @wraps(check)
    def checked(effect: Effect, context: RiskContext, policy: Policy) -> RuleAnswer:
        if context.team is None:
            return NO_TEAM
        return EXIT if is_exit_of_entry(effect.command) else check(effect, context, policy)

    return checked


def halted_by_team(halt: Halt) -> Denial:
    """Say who of the team halted, when and why, and that nobody lifts it here."""
    who_and_why = f"by={plain(halt.by)} of the team, at={utc_minute(halt.at)}, reason={plain(halt.reason, 200)}"
    how = f"{_EXITS}; only a risk manager lifts it, at the team's plane"
    return Denial(DenialCode.TRADING_HALTED, f"{who_and_why}; {how}")


@rule("team-not-halted", "the team has not halted this trader")
@in_a_team
def team_has_not_halted(_effect: Effect, context: RiskContext, _policy: Policy) -> RuleAnswer:
    """Only a risk manager of the team lifts it; what reduces or leaves goes on."""
    halt = None if context.team is None else context.team.halt
    return Passed("not halted") if halt is None else halted_by_team(halt)


def silence_of(team: TeamStanding, now: datetime) -> Denial | None:
    """Say why the team's word does not let anything open: it cannot be held, or was not heard for too long."""
    if team.unreadable:
        how = f"{_EXITS}; a newer ct-mcp may read it, or a risk manager sets another"
        return Denial(DenialCode.TEAM_POLICY_UNREADABLE, f"{plain(team.unreadable, 300)}; {how}")
    if team.lost is None or not team.lost.is_over(now):
        return None
    how = f"{_EXITS}, and openings go on by themselves once it answers: the person looks with {command('check')}"
    return Denial(DenialCode.PLANE_OUT_OF_REACH, f"{_silent(team.lost)}; {how}")


def _silent(lost: TeamLost) -> str:
    last = "never" if lost.heard_at is None else utc_minute(lost.heard_at)
    return f"the team's plane does not answer ({plain(lost.why, 200)}), last heard={last}"


@rule("team-heard", "the team has been heard, and its policy can be held")
@in_a_team
def team_has_been_heard(_effect: Effect, context: RiskContext, _policy: Policy) -> RuleAnswer:
    """Without its word openings go on for the time of grace that it set, and no longer."""
    team = context.team or TeamStanding()
    if denial := silence_of(team, context.now):
        return denial
    if team.lost is None or team.lost.grace_until is None:
        return Passed("heard")
    goes_on = f"{_silent(team.lost)}, openings go on until={utc_minute(team.lost.grace_until)}"
    return Passed(goes_on, could_not_verify(DenialCode.PLANE_OUT_OF_REACH, goes_on))


@rule("team-lets-open", "the team lets this account open")
@in_a_team
def team_lets_it_open(effect: Effect, context: RiskContext, policy: Policy) -> RuleAnswer:
    """Hold its mode and, where it wants an account only advised on, that."""
    account = effect.command.account
    figures = f"team's mode={policy.team.mode}, account={plain(account)}, kind={context.kind}"
    if policy.team.lets_open(account, context.kind):
        return Passed(figures)
    advised = f"automation={policy.team.account_named(account).automation}"
    how = f"{_EXITS}; only a risk manager changes it, at the team's plane"
    return Denial(DenialCode.TEAM_LETS_NOTHING_OPEN, f"{figures}, {advised}; {how}")


@rule("second-yes", "a second person is asked where the team wants it")
@in_a_team
def second_person_can_be_asked(effect: Effect, context: RiskContext, policy: Policy) -> RuleAnswer:
    """Who cannot be asked says no yes: the time of grace changes nothing of that."""
    if not wants_second(effect, context, policy):
        return Passed(f"second yes={policy.team.second}, from contracts={policy.team.second_from}")
    if context.team is not None and context.team.lost is not None:
        how = "a second person's yes is needed, and nobody can be asked for it while the team's plane does not answer"
        return Denial(DenialCode.PLANE_OUT_OF_REACH, f"{how}; {_EXITS}")
    asked = "a second person of your team is asked as well; it is sent only if both of you say yes in time"
    return Passed(f"second yes={policy.team.second}", warning(SECOND_YES, asked))


def wants_second(effect: Effect, context: RiskContext, policy: Policy) -> bool:
    """Say whether a second person must say yes to an opening; what nobody can count needs one.

    Counted are the contracts of the order, and those that may come to be held with it: an order cut in pieces is none
    smaller.
    """
    team = policy.team
    if team.second is SecondYes.NONE or (team.second is SecondYes.LIVE and context.kind.is_simulated):
        return False
    if team.second_from <= 1 or effect.order is None or effect.after is None:
        return True
    return max(effect.order.quantity, effect.after.largest) >= team.second_from
