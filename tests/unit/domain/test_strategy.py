"""Strategies and their states."""

import pytest

from ct_mcp.domain.strategy import OVER, Strategy, StrategyState


@pytest.mark.parametrize("state", StrategyState)
def test_only_a_strategy_that_has_ended_is_over(state: StrategyState) -> None:
    assert Strategy("Sim101", "334081723", state).is_over is (state in OVER)


def test_a_state_that_we_cannot_read_is_not_over() -> None:
    assert not Strategy("Sim101", "334081723", StrategyState.UNKNOWN).is_over
    assert {StrategyState.TERMINATED, StrategyState.FINALIZED} == OVER


def test_what_a_row_does_not_say_is_not_made_up() -> None:
    silent = Strategy("Sim101", "334081723", StrategyState.REALTIME)
    assert (silent.is_enabled, silent.instrument, silent.host_mode, silent.class_name) == (None, None, None, None)
