"""NinjaScript strategies as NinjaTrader reports them, and what one is started with."""

from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from ct_mcp.domain.instrument import Instrument

ParameterValue = str | int | Decimal


class StrategyState(StrEnum):
    """NinjaTrader's states, from being set up to being over; what we cannot read is UNKNOWN.

    They say little of what a strategy does: one may be REALTIME and enabled for hours without doing anything useful.
    """

    SET_DEFAULTS = "SET_DEFAULTS"
    CONFIGURE = "CONFIGURE"
    ACTIVE = "ACTIVE"
    DATA_LOADED = "DATA_LOADED"
    HISTORICAL = "HISTORICAL"
    TRANSITION = "TRANSITION"
    REALTIME = "REALTIME"
    TERMINATED = "TERMINATED"
    FINALIZED = "FINALIZED"
    UNKNOWN = "UNKNOWN"


OVER = frozenset({StrategyState.TERMINATED, StrategyState.FINALIZED})


class HostMode(StrEnum):
    """Where a strategy runs: on the account by itself, or on a chart."""

    ACCOUNT = "account"
    CHART = "chart"


class BarType(StrEnum):
    """The bars that a strategy may be fed with."""

    MINUTE = "minute"
    TICK = "tick"
    SECOND = "second"
    DAY = "day"
    VOLUME = "volume"
    RANGE = "range"


@dataclass(frozen=True, slots=True)
class Strategy:
    """One strategy row. None is what the row does not say; its parameters are texts, for showing only."""

    account: str
    strategy_id: str
    state: StrategyState
    is_enabled: bool | None = None
    class_name: str | None = None
    name: str | None = None
    instrument: Instrument | None = None
    host_mode: HostMode | None = None
    parameters: tuple[tuple[str, str], ...] = ()

    @property
    def is_over(self) -> bool:
        """Say whether it can never run again. An unknown state is not over."""
        return self.state in OVER


@dataclass(frozen=True, slots=True)
class StartStrategy:
    """Start a new copy of a compiled strategy; started twice, two copies trade.

    ``strategy_class`` is the bare class name; ``period`` counts bars of ``bar_type``; ``parameters`` override public
    properties of the class.
    """

    account: str
    strategy_class: str
    instrument: Instrument
    mode: HostMode
    bar_type: BarType
    period: int
    parameters: tuple[tuple[str, ParameterValue], ...] = ()

    @property
    def in_order(self) -> "StartStrategy":
        """The same start, with equal parameters however they were written: in whatever order, 100.0 as 100."""
        numbers = ((name, Decimal(given) if type(given) is int else given) for name, given in self.parameters)
        return replace(self, parameters=tuple(sorted(numbers, key=repr)))
