"""Their quotes, sessions and bars → ours."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from math import ceil

from ct_mcp.crosstrade.wire_row import Reply, Row, rows_of
from ct_mcp.crosstrade.wire_values import epoch_from, time_for
from ct_mcp.crosstrade.words import quoted
from ct_mcp.domain.instrument import Instrument, parse_instrument
from ct_mcp.domain.market import Bar, Contract, Period, PeriodUnit, Quote, Session
from ct_mcp.errors import NotFound

_TRADING_MINUTES = 1380
_DAYS = {PeriodUnit.DAY: 1.0, PeriodUnit.WEEK: 7.0, PeriodUnit.MONTH: 31.0, PeriodUnit.YEAR: 366.0}


def quotes_in(reply: Reply, names: Sequence[str]) -> tuple[Quote, ...]:
    """One quote for each name, in the order asked; each name must be proven by the contract that its quote echoes."""
    if isinstance(reply.value, list):
        rows = rows_of(reply.value, reply.rpc, reply.today)
    else:
        rows = (reply.top,) if reply.top.text_or_none("instrument") else reply.rows("quotes")
    quotes = [_quote(row) for row in rows]
    return tuple(_answer_to(name, number, quotes, reply) for number, name in enumerate(names))


def session_in(reply: Reply, name: str) -> Session:
    """The current session when open, the next one when closed."""
    top, status, current, upcoming = (
        reply.top,
        reply.top.sub("status"),
        reply.top.sub("session"),
        reply.top.sub("upcoming"),
    )
    instrument = top.instrument()
    if not _is_meant(name, instrument, reply.today):
        top.refuse(f"it is of {instrument}, which is not what was asked for")
    return Session(
        instrument=instrument,
        is_open=status.flag("isOpen"),
        state=status.label("state") or "",
        time_zone=top.label("timeZone") or "",
        opens_at=current.utc("utcStart"),
        closes_at=current.utc("utcEnd"),
        next_opens_at=upcoming.utc("utcStart"),
        next_closes_at=upcoming.utc("utcEnd"),
        stamped_at=top.utc("timestamp"),
    )


def bars_in(reply: Reply, name: str, count: int) -> tuple[Instrument, tuple[Bar, ...]]:
    """The contract that the name stands for, and its newest bars, oldest first."""
    instrument = reply.top.instrument()
    if not _is_meant(name, instrument, reply.today):
        reply.top.refuse(f"it is of {instrument}, which is not what was asked for")
    if reply.top.values.get("bars") == [] and reply.top.values.get("count") == 0:
        return instrument, ()
    bars = sorted((_bar(row) for row in reply.rows("bars")), key=lambda bar: bar.closes_at)
    return instrument, tuple(bars[-count:])


def bars_body(name: str, period: Period, count: int, start: datetime | None, end: datetime | None) -> dict[str, object]:
    """What to ask for, so that at least ``count`` bars lie in the span where no start is given."""
    days = _days_for(period, count)
    body: dict[str, object] = {
        "instrument": name,
        "periodType": period.unit.value,
        "period": period.count,
        "limit": count,
    }
    if start is None and end is not None:
        start = end - timedelta(days=days)
    if start is None:
        return {**body, "daysBack": days}
    return {**body, "from": time_for(start), **({} if end is None else {"to": time_for(end)})}


def _days_for(period: Period, count: int) -> int:
    """Calendar days that hold so many bars: five trading days in seven, and a long weekend besides."""
    minutes = period.unit is PeriodUnit.MINUTE
    trading_days = period.count * count / _TRADING_MINUTES if minutes else period.count * count * _DAYS[period.unit]
    return ceil(trading_days * 7 / 5) + 4


def _quote(row: Row) -> Quote:
    if error := row.label("error"):
        raise NotFound(f"{row.what} is no quote; CrossTrade said {quoted(error)}")
    contract = _contract(row)
    prices = {key: row.price_or_none(key, contract.tick_size) or None for key in ("bid", "ask", "last")}
    volume = row.values.get("volume")
    return Quote(
        instrument=row.instrument(),
        contract=contract,
        bid=prices["bid"],
        ask=prices["ask"],
        last=prices["last"],
        open=row.price_or_none("open", contract.tick_size) or None,
        high=row.price_or_none("high", contract.tick_size) or None,
        low=row.price_or_none("low", contract.tick_size) or None,
        prior_close=row.price_or_none("close", contract.tick_size) or None,
        volume=None if volume is None else row.whole("volume"),
        at=_stamp(row),
        is_market_open=row.flag("isMarketOpen"),
    )


def _contract(row: Row) -> Contract:
    tick_size, point_value = row.price("tickSize"), row.price("pointValue")
    if tick_size <= 0 or point_value <= 0:
        row.refuse("its tick size or point value is not positive")
    return Contract(
        description=row.label("description") or "",
        exchange=row.label("exchange") or "",
        tick_size=tick_size,
        tick_value=row.price_or_none("tickValue") or tick_size * point_value,
        point_value=point_value,
        expires_at=_expiry(row.text_or_none("expiration")),
    )


def _expiry(text: str | None) -> datetime | None:
    """The end of the last day. The first of a month is NinjaTrader's name for the contract, and no expiry at all."""
    try:
        last = date.fromisoformat((text or "")[:10])
    except ValueError:
        return None
    return None if last.day == 1 else datetime(last.year, last.month, last.day, tzinfo=UTC) + timedelta(days=1)


def _stamp(row: Row) -> datetime | None:
    """When the quote was made; where its two stamps differ, the older one, so that it never seems too fresh."""
    stamps = (epoch_from(row.values.get("epoch")), row.utc("quoteTimeUtc"))
    return min((stamp for stamp in stamps if stamp is not None), default=None)


def _answer_to(name: str, number: int, quotes: Sequence[Quote], reply: Reply) -> Quote:
    at_its_place = quotes[number : number + 1]
    for candidates in (at_its_place, quotes):
        meant = [quote for quote in candidates if _is_meant(name, quote.instrument, reply.today)]
        if len({quote.instrument for quote in meant}) == 1:
            return meant[0]
    return reply.top.refuse(f"it holds no single quote for {quoted(name[:40])}")


def _is_meant(name: str, instrument: Instrument, today: date) -> bool:
    meant = parse_instrument(name, today)
    return meant == instrument if isinstance(meant, Instrument) else meant.root == instrument.root


def _bar(row: Row) -> Bar:
    closes_at = row.at("epoch", "time")
    return Bar(
        closes_at=closes_at or row.refuse("it has no time"),
        open=row.price("open"),
        high=row.price("high"),
        low=row.price("low"),
        close=row.price("close"),
        volume=row.whole("volume"),
    )
