"""Quotes, trading hours and bars, written as the service writes them."""

from datetime import UTC

from ct_mcp.simulator.addon import AddOn
from ct_mcp.simulator.bars import Bar
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.hours import CENTRAL, Session
from ct_mcp.simulator.market import Quote
from ct_mcp.simulator.products import Contract
from ct_mcp.simulator.rest.market_shapes import (
    BarRow,
    LegacyQuoteAnswer,
    MarketInfoAnswer,
    QuoteAnswer,
    SessionRow,
    UpcomingRow,
)
from ct_mcp.simulator.rest.times import american, countdown, milliseconds, plain, with_z


def legacy_quote(addon: AddOn, quote: Quote) -> LegacyQuoteAnswer:
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
        "quoteTime": american(addon.local(quote.at)),
        "quoteTimeUtc": plain(quote.at.astimezone(UTC)),
        "success": True,
    }


def quote_answer(addon: AddOn, quote: Quote) -> QuoteAnswer:
    """Write a quote. Its epoch is in seconds, alone among the epochs."""
    older = legacy_quote(addon, quote)
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


def market_info(addon: AddOn, contract: Contract) -> MarketInfoAnswer:
    """Write the session that runs and the one after it; while the market is closed, the next two."""
    market, now = addon.market, addon.now
    is_open = market.trades(contract, now)
    session = market.session_ahead(now)
    if not is_open and session.contains(now):
        session = market.session_ahead(session.closes_at)
    following = market.session_ahead(session.closes_at)
    return {
        "success": True,
        "timestamp": with_z(now),
        "instrument": contract.name,
        "timeZone": "Central Standard Time",
        "status": {"isOpen": is_open, "state": "Open" if is_open else "Closed"},
        "session": _session_row(addon, session, is_open=is_open),
        "upcoming": _upcoming(following),
    }


def bar_row(contract: Contract, bar: Bar) -> BarRow:
    """Write a bar."""
    price, candle = contract.product.price, bar.candle
    return {
        "time": with_z(bar.closes_at),
        "epoch": milliseconds(bar.closes_at),
        "open": price(candle.open),
        "high": price(candle.high),
        "low": price(candle.low),
        "close": price(candle.close),
        "volume": candle.volume,
    }


def _session_row(addon: AddOn, session: Session, *, is_open: bool) -> SessionRow:
    left = (session.closes_at if is_open else session.opens_at) - addon.now
    return {
        "label": "Current Session" if is_open else "Next Session",
        "utcStart": with_z(session.opens_at),
        "utcEnd": with_z(session.closes_at),
        "localStart": plain(session.opens_at.astimezone(CENTRAL)),
        "localEnd": plain(session.closes_at.astimezone(CENTRAL)),
        "countdown": countdown(left),
        "action": "Until Close" if is_open else "Until Open",
        "secondsRemaining": left.total_seconds(),
    }


def _upcoming(session: Session) -> UpcomingRow:
    return {"utcStart": with_z(session.opens_at), "utcEnd": with_z(session.closes_at)}


def quote_now(addon: AddOn, contract: Contract) -> Quote:
    """Look at the market; while quotes are stale, as it stood when that was first asked."""
    if not addon.faults.active(Fault.STALE_QUOTE):
        addon.stale_since = None
        return addon.market.quote(contract, addon.now)
    addon.stale_since = addon.stale_since or addon.now
    return addon.market.quote(contract, addon.stale_since)
