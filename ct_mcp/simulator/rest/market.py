"""Endpoints of the market: quotes, trading hours, bars, and ATM strategy templates."""

# ruff: noqa: N815 - the keys are spelled as the service spells them

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from ct_mcp.simulator.addon import AddOn, RequestRefused
from ct_mcp.simulator.atm import TEMPLATES
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.hours import CENTRAL, SessionHours
from ct_mcp.simulator.market import BarsRequest, PeriodType, SimBar, SimQuote, bars
from ct_mcp.simulator.products import SimContract
from ct_mcp.simulator.rest.wire import (
    AccountInstrumentArgs,
    Args,
    InstrumentArgs,
    NoArgs,
    OptionalTextArg,
    SuccessBody,
    any_case,
    countdown,
    day_first_time,
    dotnet_time_utc,
    enum_schema,
    epoch_milliseconds,
    plain_time,
    us_time,
)

_PeriodTypeArg = Annotated[PeriodType, any_case(PeriodType), enum_schema("minute", "day", "week", "month", "year")]
_UTC_FORM = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,7})?)?Z")


class MarketInfoArgs(Args):
    """An instrument; the front month of ES if none is named."""

    instrument: OptionalTextArg = None


class BarsArgs(InstrumentArgs):
    """Instrument, period and window of bars."""

    period_type: _PeriodTypeArg = PeriodType.MINUTE
    period: Annotated[int, Field(ge=1, le=1440)] = 1
    days_back: Annotated[int, Field(ge=0, le=3650)] = 1
    from_: Annotated[str | None, Field(alias="from", description="UTC, `2026-03-17T00:00:00Z`.")] = None
    to: Annotated[str | None, Field(description="UTC; now if it is left out.")] = None
    limit: Annotated[int, Field(ge=1, le=20_000, description="The newest so many.")] = 5000


class DataSourceJson(TypedDict):
    """Source of a quote."""

    status: str
    connectedFeeds: list[str]


class LegacyQuoteBody(SuccessBody):
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


class QuoteBody(TypedDict):
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
    dataSource: DataSourceJson
    isMarketOpen: bool
    warning: NotRequired[str]


class MarketStatusJson(TypedDict):
    """Whether the market is open."""

    isOpen: bool
    state: str


class SessionJson(TypedDict):
    """The current session, or the next one."""

    label: str
    utcStart: str
    utcEnd: str
    localStart: str
    localEnd: str
    countdown: str
    action: str
    secondsRemaining: float


class UpcomingSessionJson(TypedDict):
    """The session after that."""

    utcStart: str
    utcEnd: str


class MarketInfoBody(SuccessBody):
    """The trading hours of an instrument; `timeZone` is a name that Windows knows."""

    timestamp: str
    instrument: str
    timeZone: str
    status: MarketStatusJson
    session: SessionJson
    upcoming: UpcomingSessionJson


class BarJson(TypedDict):
    """One bar, stamped with the moment at which it closes."""

    time: str
    epoch: int
    open: float
    high: float
    low: float
    close: float
    volume: int


class BarsBody(TypedDict):
    """Bars, oldest first."""

    instrument: str
    periodType: str
    period: int
    count: int
    bars: list[BarJson]


class TemplatesBody(SuccessBody):
    """The names of the ATM strategy templates."""

    templates: list[str]


def quote_now(addon: AddOn, contract: SimContract) -> SimQuote:
    """Return the current quote; while `Fault.STALE_QUOTE` is armed, the one of the first time it was asked for."""
    if not addon.faults.active(Fault.STALE_QUOTE):
        addon.stale_since = None
        return addon.market.quote(contract, addon.now)
    addon.stale_since = addon.stale_since or addon.now
    return addon.market.quote(contract, addon.stale_since)


def legacy_quote_body(addon: AddOn, quote: SimQuote) -> LegacyQuoteBody:
    """Write a quote as the older route does."""
    product, top, session = quote.contract.product, quote.top, quote.session
    return {
        "description": product.description,
        "type": "Future",
        "tickSize": product.tick_size,
        "pointValue": product.point_value,
        "exchange": product.exchange,
        "expiration": f"{quote.contract.year}-{quote.contract.month:02d}-01",
        "tradingHours": product.trading_hours,
        "instrument": quote.contract.name,
        "bid": product.price(top.bid),
        "ask": product.price(top.ask),
        "last": product.price(top.last),
        "open": product.price(session.open),
        "high": product.price(session.high),
        "low": product.price(session.low),
        "close": product.price(quote.settled),
        "volume": session.volume,
        "quoteTime": us_time(addon.local(quote.at)),
        "quoteTimeUtc": plain_time(quote.at.astimezone(UTC)),
        "success": True,
    }


def quote_body(addon: AddOn, quote: SimQuote) -> QuoteBody:
    """Write a quote. Its epoch is in seconds, unlike all other epochs."""
    older = legacy_quote_body(addon, quote)
    return {
        "description": older["description"],
        "type": older["type"],
        "tickSize": older["tickSize"],
        "pointValue": older["pointValue"],
        "tickValue": quote.contract.product.tick_value,
        "exchange": older["exchange"],
        "expiration": older["expiration"],
        "tradingHours": older["tradingHours"],
        "instrument": older["instrument"],
        "bid": older["bid"],
        "ask": older["ask"],
        "last": older["last"],
        "open": older["open"],
        "high": older["high"],
        "low": older["low"],
        "close": older["close"],
        "volume": older["volume"],
        "quoteTime": older["quoteTime"],
        "quoteTimeUtc": older["quoteTimeUtc"],
        "epoch": int(quote.at.timestamp()),
        "dataSource": {"status": "Live", "connectedFeeds": ["Live"]},
        "isMarketOpen": quote.is_open,
    }


def market_info_body(addon: AddOn, contract: SimContract) -> MarketInfoBody:
    """Write the current session and the one after it; while the market is closed, the next two."""
    market, now = addon.market, addon.now
    is_open = market.trades(contract, now)
    session = market.session_ahead(now)
    if not is_open and session.contains(now):
        session = market.session_ahead(session.closes_at)
    following = market.session_ahead(session.closes_at)
    return {
        "success": True,
        "timestamp": dotnet_time_utc(now),
        "instrument": contract.name,
        "timeZone": "Central Standard Time",
        "status": {"isOpen": is_open, "state": "Open" if is_open else "Closed"},
        "session": _session_json(addon, session, is_open=is_open),
        "upcoming": _upcoming_json(following),
    }


def bar_json(contract: SimContract, bar: SimBar) -> BarJson:
    """Write a bar."""
    price, candle = contract.product.price, bar.candle
    return {
        "time": dotnet_time_utc(bar.closes_at),
        "epoch": epoch_milliseconds(bar.closes_at),
        "open": price(candle.open),
        "high": price(candle.high),
        "low": price(candle.low),
        "close": price(candle.close),
        "volume": candle.volume,
    }


def _session_json(addon: AddOn, session: SessionHours, *, is_open: bool) -> SessionJson:
    left = (session.closes_at if is_open else session.opens_at) - addon.now
    return {
        "label": "Current Session" if is_open else "Next Session",
        "utcStart": dotnet_time_utc(session.opens_at),
        "utcEnd": dotnet_time_utc(session.closes_at),
        "localStart": plain_time(session.opens_at.astimezone(CENTRAL)),
        "localEnd": plain_time(session.closes_at.astimezone(CENTRAL)),
        "countdown": countdown(left),
        "action": "Until Close" if is_open else "Until Open",
        "secondsRemaining": left.total_seconds(),
    }


def _upcoming_json(session: SessionHours) -> UpcomingSessionJson:
    return {"utcStart": dotnet_time_utc(session.opens_at), "utcEnd": dotnet_time_utc(session.closes_at)}


def get_quote(addon: AddOn, args: InstrumentArgs) -> QuoteBody | list[QuoteBody]:
    """Quote one instrument; of several, separated by commas, the answer is a bare list."""
    contracts = [addon.contract(text) for text in args.instrument.split(",")]
    quotes = [quote_body(addon, quote_now(addon, contract)) for contract in contracts]
    return quotes[0] if len(quotes) == 1 else quotes


def get_legacy_quote(addon: AddOn, args: AccountInstrumentArgs) -> LegacyQuoteBody | list[LegacyQuoteBody]:
    """Quote by the older route, which needs an account for nothing."""
    addon.account(args.account)
    contracts = [addon.contract(text) for text in args.instrument.split(",")]
    quotes = [legacy_quote_body(addon, quote_now(addon, contract)) for contract in contracts]
    return quotes[0] if len(quotes) == 1 else quotes


def get_market_info(addon: AddOn, args: MarketInfoArgs) -> MarketInfoBody:
    """Show the trading hours of an instrument."""
    return market_info_body(addon, addon.contract(args.instrument or "ES"))


def get_bars(addon: AddOn, args: BarsArgs) -> BarsBody:
    """Show bars, oldest first; the newest so many if there are more."""
    contract = addon.contract(args.instrument)
    end = _parse_moment(addon, "to", args.to) or addon.now
    start = _parse_moment(addon, "from", args.from_) or end - timedelta(days=args.days_back)
    wanted = BarsRequest(contract, args.period_type, args.period, start, min(end, addon.now), args.limit)
    rows = [bar_json(contract, bar) for bar in bars(addon.market, wanted)]
    return {
        "instrument": contract.name,
        "periodType": args.period_type,
        "period": args.period,
        "count": len(rows),
        "bars": rows,
    }


def list_atm_templates(_: AddOn, __: NoArgs) -> TemplatesBody:
    """List the ATM strategy templates of this computer."""
    return {"success": True, "templates": list(TEMPLATES)}


def _parse_moment(addon: AddOn, name: str, text: str | None) -> datetime | None:
    """Parse a moment in UTC.

    Raises:
        RequestRefused: It is written in another form, or there is no such moment.
    """
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise RequestRefused(400, f"Invalid '{name}' date format: '{text}'. Use ISO-8601 UTC.") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if not 2000 <= moment.year < 2100 or _UTC_FORM.fullmatch(text) is None:
        shown = day_first_time(addon.local(moment)) if 2000 <= moment.year < 2100 else text
        raise RequestRefused(400, f"Invalid '{name}' date format: '{shown}'. Use ISO-8601 UTC.")
    return moment
