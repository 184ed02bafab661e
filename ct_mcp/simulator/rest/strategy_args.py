"""What a call about strategies may say."""

from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator, Field

from ct_mcp.simulator.rest.args import AccountArgs, Args, Instrument, in_any_case, one_of
from ct_mcp.simulator.strategies import HostMode, Value


class BarType(StrEnum):
    """What the bars of a strategy are made of."""

    MINUTE = "Minute"
    TICK = "Tick"
    SECOND = "Second"
    DAY = "Day"
    VOLUME = "Volume"
    RANGE = "Range"


def _headless(value: object) -> object:
    return HostMode.ACCOUNT if isinstance(value, str) and value.lower() == "headless" else value


Host = Annotated[HostMode, in_any_case(HostMode), BeforeValidator(_headless), one_of("account", "headless", "chart")]
Bars = Annotated[BarType, in_any_case(BarType), one_of(*BarType)]
StrategyId = Annotated[str, Field(min_length=1, description="NinjaTrader's number of the strategy.")]


class AllStrategiesArgs(Args):
    """Whether strategies that are over are wanted."""

    include_terminal: bool = False


class StrategiesArgs(AccountArgs):
    """An account, and whether strategies that are over are wanted."""

    include_terminal: bool = False


class StrategyArgs(AccountArgs):
    """One strategy."""

    strategy_id: StrategyId


class StartArgs(AccountArgs):
    """Which compiled class is to run, on what, and with which of its public properties changed."""

    strategy_class: Annotated[str, Field(min_length=1, description="The bare name of a compiled class.")]
    instrument: Instrument
    mode: Host = HostMode.ACCOUNT
    period_type: Bars = BarType.MINUTE
    period: Annotated[int, Field(ge=1, le=1_000_000)] = 5
    parameters: dict[str, Value] | None = None
