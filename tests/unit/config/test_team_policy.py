"""What a team may set: TOML in the form of a settings file, nothing but what narrows, and all faults at once."""

from decimal import Decimal

import pytest

from ct_mcp.config.team_policy import parse_team_policy
from ct_mcp.domain.approval import Approval
from ct_mcp.errors import ConfigError
from ct_mcp.guard.firm_policy import Automation, DrawdownKind
from ct_mcp.guard.policy import NO_TEAM, Mode, SecondYes

ALL = """
mode = "sim"
[limits]
max_day_loss = 300
max_order_contracts = 3
[approval]
simulated = "form"
live = "page_pin"
ticket_seconds = 30
[protection]
require_stop = true
[accounts."EVAL-1"]
firm = "topstep-50k"
approval = "page"
automation = "advise"
[accounts."EVAL-1".rules]
drawdown_amount = 1500
[accounts."EVAL-1".limits]
max_order_contracts = 2
[instruments.ES.limits]
max_order_contracts = 1
[team]
second_yes = "live"
second_yes_contracts = 2
grace_seconds = 120
"""


def faults(text: str) -> list[str]:
    """What is wrong with it, line by line."""
    with pytest.raises(ConfigError) as refused:
        parse_team_policy(text)
    head, *lines = refused.value.what.splitlines()
    assert head == f"{len(lines)} {'fault' if len(lines) == 1 else 'faults'} in the team's policy:"
    return lines


def test_all_that_narrows_can_be_set() -> None:
    rules = parse_team_policy(ALL)
    assert (rules.mode, rules.simulated, rules.live, rules.ticket_seconds) == (
        Mode.SIM, Approval.FORM, Approval.PAGE_PIN, 30.0
    )  # fmt: skip
    assert rules.limits == {"max_day_loss": Decimal(300), "max_order_contracts": 3}
    assert rules.require_stop
    account = rules.account_named("eval-1")
    assert account.approval is Approval.PAGE
    assert account.automation is Automation.ADVISE
    assert account.limits["max_order_contracts"] == 2
    assert account.firm is not None
    assert account.firm.drawdown is not None
    assert (account.firm.drawdown.amount, account.firm.drawdown.kind) == (Decimal(1500), DrawdownKind.END_OF_DAY)
    assert rules.instruments == {"ES": {"max_order_contracts": 1}}
    assert (rules.second, rules.second_from, rules.grace_seconds) == (SecondYes.LIVE, 2, 120)


def test_an_empty_one_wants_nothing() -> None:
    assert parse_team_policy("") == NO_TEAM


def test_all_faults_are_told_at_once() -> None:
    told = faults('mode = "fast"\n[limits]\nmax_day_loss = -1\n[team]\ngrace_seconds = 100000')
    assert told == [
        'mode: found "fast", expected one of read_only, sim, live',
        "[limits] max_day_loss: found -1, expected a number of account currency from 0.01 to 1000000000",
        "[team] grace_seconds: found 100000, expected a whole number of seconds from 0 to 86400",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('state = "postgresql://a@b/c"', "state: unknown key"),
        ("[approval]\nexits_live = \"page\"", "[approval] exits_live: unknown key"),
        ("[approval]\nwait_seconds = 5", "[approval] wait_seconds: unknown key"),
        ("[watches]\nflat_by_acts = true", "watches: unknown key"),
        ("[limits]\nrates = { EUR = 1.1 }", "[limits] rates: belongs to the trader's own settings"),
        ("[protection]\nif_unprotected = \"close\"", "[protection] if_unprotected: unknown key"),
        ("[team]\nsecond_yes = \"some\"", "[team] second_yes: found \"some\", expected one of none, live, all"),
        ("[team]\nsecond_yes_contracts = 3", "[team] second_yes_contracts: needs second_yes"),
        ("[accounts.A]\n[accounts.a]", "[accounts] a: found a second table of one account"),
        ("[accounts.A.rules]\ndrawdown_amount = 5", "[accounts.A] rules: a floor needs drawdown, start_balance"),
        ("[instruments.ES.limits]\nmax_day_loss = 5", "[instruments.ES.limits] max_day_loss: found 5, expected it in"),
        (
            "[limits]\nmax_order_contracts = 2\n[accounts.A.limits]\nmax_order_contracts = 3",
            "[accounts.A.limits] max_order_contracts: found 3, expected nothing looser than the general limit, 2",
        ),
        ("mode = ", "is not valid TOML"),
        ("# " + 70_000 * "x", "is longer than 65536 characters"),
    ],
)  # fmt: skip
def test_what_does_not_narrow_is_refused_in_words(text: str, told: str) -> None:
    (line,) = faults(text)
    assert line.startswith(told), line


def test_a_limit_of_one_account_needs_no_general_one() -> None:
    rules = parse_team_policy("[accounts.A.limits]\nmax_order_contracts = 50")
    assert rules.account_named("A").limits == {"max_order_contracts": 50}
