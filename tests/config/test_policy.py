"""The policy of the file: limits of one account or root narrow the general ones, or refuse to start."""

from collections.abc import Callable

import pytest

from ct_mcp.config.settings import Settings
from ct_mcp.guard.policy import Limits

Loader = Callable[..., Settings]
Faults = Callable[..., list[str]]


def test_limits_of_an_account_and_a_root_narrow_the_general_ones(read: Loader) -> None:
    policy = read(
        """
        [accounts."EVAL 1".limits]
        max_position_contracts = 3
        flat_by = "15:00 America/Chicago"
        instruments = ["ES", "CL"]
        [instruments.CL.limits]
        max_order_contracts = 1
        duplicate_window_seconds = 60
        """
    ).policy
    limits = policy.for_("EVAL 1", "CL").limits
    assert (limits.max_position_contracts, limits.max_order_contracts) == (3, 1)
    assert (limits.duplicate_window_seconds, limits.instruments) == (60, frozenset({"ES", "CL"}))
    assert policy.for_("Sim101", "ES").limits == Limits()


@pytest.mark.parametrize(
    ("general", "account", "words"),
    [
        ("", "max_position_contracts = 20", "found 20, expected nothing looser than the general limit, 10"),
        (
            "max_day_loss = 100",
            "max_day_loss = 100.5",
            "found 100.5, expected nothing looser than the general limit, 100",
        ),
        ("", "duplicate_window_seconds = 5", "found 5, expected nothing looser than the general limit, 10.0"),
        ("", "require_open_session = false", "found false, expected nothing looser than the general limit, true"),
        (
            'instruments = ["ES"]',
            'instruments = ["ES", "NQ"]',
            'expected nothing looser than the general limit, ["ES"]',
        ),
        (
            'instruments = ["ES"]',
            "instruments = []",
            'found [], expected nothing looser than the general limit, ["ES"]',
        ),
        ('flat_by = "15:00 UTC"', 'flat_by = "15:01 UTC"', 'looser than the general limit, "15:00 UTC"'),
        (
            'flat_by = "15:00 UTC"',
            'flat_by = ""',
            'found "", expected nothing looser than the general limit, "15:00 UTC"',
        ),
    ],
)
def test_a_limit_that_would_widen_is_refused(faults: Faults, general: str, account: str, words: str) -> None:
    (line,) = faults(f"[limits]\n{general}\n[accounts.EVAL.limits]\n{account}")
    assert line.startswith(f"[accounts.EVAL.limits] {account.split(maxsplit=1)[0]}: ")
    assert words in line
    assert line.endswith("limits narrow and never widen")


def test_a_limit_equal_to_the_general_one_is_accepted(read: Loader) -> None:
    text = 'max_order_contracts = 5\ninstruments = []\nflat_by = ""\nrequire_open_session = true'
    assert read(f"[instruments.ES.limits]\n{text}").policy.for_("Sim101", "ES").limits == Limits()


def test_times_of_day_in_two_zones_are_refused(faults: Faults) -> None:
    text = '[limits]\nflat_by = "15:55 America/Chicago"\n[accounts.A.limits]\nflat_by = "15:30 America/New_York"'
    (line,) = faults(text)
    assert line.startswith("flat_by: found times in the zones America/Chicago and America/New_York")
