"""What a strategy is started with, and the words that name one."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from ct_mcp.domain.commands import CloseStrategy, DisableStrategy, EnableStrategy, Flatten
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.strategy import BarType, HostMode, StartStrategy
from ct_mcp.guard.context import RiskContext
from ct_mcp.guard.denial import DenialCode
from ct_mcp.guard.effect import effect_of
from ct_mcp.guard.policy import Policy
from ct_mcp.guard.rule import Denial, NotApplicable, Passed
from ct_mcp.guard.rules.account import strategy_is_started_with_readable_values, what_a_strategy_sends_is_its_own
from ct_mcp.guard.rules.order import names_are_plain_text

START = StartStrategy("Sim101", "Breakout", Instrument("ES", 2026, 12), HostMode.ACCOUNT, BarType.MINUTE, 5)
Sees = Callable[..., RiskContext]
Allows = Callable[..., Policy]


@pytest.mark.parametrize("period", [0, -1, True, 5.0, "5"])
def test_bars_are_counted(view: Sees, policy: Allows, period: object) -> None:
    found = strategy_is_started_with_readable_values(effect_of(replace(START, period=period), view()), view(), policy())  # type: ignore[arg-type]
    assert isinstance(found, Denial)
    assert found.code == "PERIOD_INVALID"


@pytest.mark.parametrize(
    ("parameters", "figures"),
    [
        ((("Risk", Decimal("NaN")),), "Risk"),
        ((("Risk", Decimal("-Infinity")),), "Risk"),
        ((("Fast", 9), ("Slow", 21), ("Fast", 10)), "Fast"),
    ],
)
def test_a_parameter_is_a_finite_number_given_once(
    view: Sees, policy: Allows, parameters: tuple[tuple[str, int | Decimal], ...], figures: str
) -> None:
    found = strategy_is_started_with_readable_values(
        effect_of(replace(START, parameters=parameters), view()), view(), policy()
    )
    assert found == Denial(DenialCode.PARAMETER_INVALID, f"given twice or no finite number: {figures}")


def test_numbers_and_words_are_readable(view: Sees, policy: Allows) -> None:
    start = replace(START, parameters=(("Fast", 9), ("Risk", Decimal("0.5")), ("Name", "a")))
    assert strategy_is_started_with_readable_values(effect_of(start, view()), view(), policy()) == Passed(
        "period=5, parameters=3"
    )


@pytest.mark.parametrize(
    "start",
    [
        replace(START, strategy_class="Break\nout"),
        replace(START, strategy_class=""),
        replace(START, parameters=(("Fast;", 9),)),
        replace(START, parameters=(("Name", "x\u202e"),)),
        EnableStrategy("Sim101", "7=7"),
        DisableStrategy("Sim101", " 77"),
        CloseStrategy("Sim101", "7" * 61),
    ],
)
def test_words_that_are_not_plain_name_no_strategy(
    view: Sees, policy: Allows, start: StartStrategy | EnableStrategy
) -> None:
    found = names_are_plain_text(effect_of(start, view()), view(), policy())
    assert isinstance(found, Denial)
    assert found.code == "NAME_INVALID"
    assert str(found).isprintable()


def test_what_is_no_strategy_is_not_looked_at(view: Sees, policy: Allows) -> None:
    for rule in (strategy_is_started_with_readable_values, what_a_strategy_sends_is_its_own, names_are_plain_text):
        assert isinstance(rule(effect_of(Flatten("Sim101", None), view()), view(), policy()), NotApplicable)
