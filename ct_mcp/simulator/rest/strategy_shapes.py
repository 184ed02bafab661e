"""The shapes of strategies, spelled as the service spells them where that is known."""

# ruff: noqa: N815 - the keys are spelled as the service spells them

from typing_extensions import TypedDict

from ct_mcp.simulator.rest.envelope import Success


class StrategyRow(TypedDict):
    """One strategy in a list."""

    strategyId: str
    strategyClass: str
    name: str
    account: str
    instrument: str
    periodType: str
    period: int
    hostMode: str
    state: str
    isEnabled: bool
    parameters: dict[str, bool | int | float | str]


class StrategyAnswer(StrategyRow, Success):
    """One strategy by itself."""


class StrategiesAnswer(Success):
    """The strategies of an account."""

    strategies: list[StrategyRow]


class AllStrategiesAnswer(StrategiesAnswer):
    """The strategies of all accounts."""

    count: int


class ClosedStrategyAnswer(Success):
    """The strategy that is being closed."""

    strategyId: str


class StandingAnswer(Success):
    """How a strategy stands after it was started."""

    strategyId: str
    account: str
    hostMode: str
    isEnabled: bool
    state: str


class SwitchedAnswer(StandingAnswer):
    """How a strategy stands after it was enabled or disabled; `wasEnabled` tells whether that changed anything."""

    wasEnabled: bool
