"""The shapes of quotes, hours and bars, spelled as the service spells them."""

# ruff: noqa: N815 - the keys are spelled as the service spells them

from typing import NotRequired

from typing_extensions import TypedDict

from ct_mcp.simulator.rest.envelope import Success


class DataSource(TypedDict):
    """Where a quote comes from."""

    status: str
    connectedFeeds: list[str]


class LegacyQuoteAnswer(Success):
    """A quote by the older route."""

    description: str
    type: str
    tickSize: float
    pointValue: float
    exchange: str
    expiration: str
    tradingHours: str
    instrument: str
    bid: float
    ask: float
    last: float
    open: float
    high: float
    low: float
    close: float
    volume: int
    quoteTime: str
    quoteTimeUtc: str


class QuoteAnswer(TypedDict):
    """A quote: its `epoch` is in seconds, and it has no `success`."""

    description: str
    type: str
    tickSize: float
    pointValue: float
    tickValue: float
    exchange: str
    expiration: str
    tradingHours: str
    instrument: str
    bid: float
    ask: float
    last: float
    open: float
    high: float
    low: float
    close: float
    volume: int
    quoteTime: str
    quoteTimeUtc: str
    epoch: int
    dataSource: DataSource
    isMarketOpen: bool
    warning: NotRequired[str]


class MarketStatus(TypedDict):
    """Whether the market is open."""

    isOpen: bool
    state: str


class SessionRow(TypedDict):
    """The session that runs, or the next one."""

    label: str
    utcStart: str
    utcEnd: str
    localStart: str
    localEnd: str
    countdown: str
    action: str
    secondsRemaining: float


class UpcomingRow(TypedDict):
    """The session after that."""

    utcStart: str
    utcEnd: str


class MarketInfoAnswer(Success):
    """The trading hours of an instrument; `timeZone` is a name that Windows knows."""

    timestamp: str
    instrument: str
    timeZone: str
    status: MarketStatus
    session: SessionRow
    upcoming: UpcomingRow


class BarRow(TypedDict):
    """One bar, stamped with the moment at which it closes."""

    time: str
    epoch: int
    open: float
    high: float
    low: float
    close: float
    volume: int


class BarsAnswer(TypedDict):
    """Bars, oldest first."""

    instrument: str
    periodType: str
    period: int
    count: int
    bars: list[BarRow]


class TemplatesAnswer(Success):
    """The names of the ATM strategy templates."""

    templates: list[str]
