"""Quotes, sessions and bars, as the service spells them."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from math import ceil
from typing import Annotated, Self

from pydantic import AliasPath, Field, PlainValidator, model_validator

from ct_mcp.crosstrade.schemas.reply import Reply, WireModel, parse_row
from ct_mcp.crosstrade.schemas.values import (
    Count,
    DatedInstrument,
    MaybeCount,
    MaybeEpoch,
    MaybeFlag,
    MaybeLabel,
    MaybePrice,
    MaybeText,
    MaybeTime,
    MaybeUtc,
    Price,
    on_tick,
    parse_decimal,
    parse_label,
    parse_text,
    row_fault,
)
from ct_mcp.domain.instrument import Instrument, parse_instrument
from ct_mcp.domain.market import Bar, Contract, Period, PeriodUnit, Quote, Session
from ct_mcp.errors import NotFound
from ct_mcp.text import iso, quoted

_TRADING_MINUTES = 1380
_DAYS = {PeriodUnit.DAY: 1.0, PeriodUnit.WEEK: 7.0, PeriodUnit.MONTH: 31.0, PeriodUnit.YEAR: 366.0}
# On the tick only once the tick is known.
_RawPrice = Annotated[Decimal | None, PlainValidator(parse_decimal)]


class WireQuote(WireModel):
    """One quote with its contract. A price of zero is none."""

    tick_size: Price
    point_value: Price
    tick_value: MaybePrice = None
    description: MaybeLabel = None
    exchange: MaybeLabel = None
    expiration: MaybeText = None
    instrument: DatedInstrument
    bid: _RawPrice = None
    ask: _RawPrice = None
    last: _RawPrice = None
    open: _RawPrice = None
    high: _RawPrice = None
    low: _RawPrice = None
    close: _RawPrice = None
    volume: MaybeCount = None
    epoch: MaybeEpoch = None
    quote_time_utc: MaybeUtc = None
    is_market_open: MaybeFlag = None

    @model_validator(mode="after")
    def _is_worth_something(self) -> Self:
        if self.tick_size <= 0 or self.point_value <= 0:
            raise row_fault("its tick size or point value is not positive")
        if not self.contract().agrees_with_itself:
            raise row_fault("its tick value is not its tick size times its point value")
        return self

    def contract(self) -> Contract:
        """Give the contract in our words."""
        return Contract(
            description=self.description or "",
            exchange=self.exchange or "",
            tick_size=self.tick_size,
            tick_value=self.tick_value or self.tick_size * self.point_value,
            point_value=self.point_value,
            expires_at=_expiry(self.expiration),
        )

    def quote(self) -> Quote:
        """Give it in our words; of two stamps the older one, so that it never seems too fresh."""
        raw = (self.bid, self.ask, self.last, self.open, self.high, self.low, self.close)
        bid, ask, last, opened, high, low, prior_close = (on_tick(price, self.tick_size) or None for price in raw)
        stamps = (self.epoch, self.quote_time_utc)
        return Quote(
            instrument=self.instrument,
            contract=self.contract(),
            bid=bid,
            ask=ask,
            last=last,
            open=opened,
            high=high,
            low=low,
            prior_close=prior_close,
            volume=self.volume,
            at=min((stamp for stamp in stamps if stamp is not None), default=None),
            is_market_open=self.is_market_open,
        )


class WireSession(WireModel):
    """The session of an instrument, in three objects that may be missing."""

    instrument: DatedInstrument
    is_open: MaybeFlag = Field(default=None, validation_alias=AliasPath("status", "isOpen"))
    state: MaybeLabel = Field(default=None, validation_alias=AliasPath("status", "state"))
    time_zone: MaybeLabel = None
    opens_at: MaybeUtc = Field(default=None, validation_alias=AliasPath("session", "utcStart"))
    closes_at: MaybeUtc = Field(default=None, validation_alias=AliasPath("session", "utcEnd"))
    next_opens_at: MaybeUtc = Field(default=None, validation_alias=AliasPath("upcoming", "utcStart"))
    next_closes_at: MaybeUtc = Field(default=None, validation_alias=AliasPath("upcoming", "utcEnd"))
    stamped_at: MaybeUtc = Field(default=None, validation_alias="timestamp")


class WireBars(WireModel):
    """The head of an answer with bars."""

    instrument: DatedInstrument


class WireBar(WireModel):
    """One bar, stamped with its end."""

    epoch: MaybeEpoch = None
    time: MaybeTime = None
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Count


def parse_quotes(reply: Reply, names: Sequence[str]) -> tuple[Quote, ...]:
    """Read one quote for each name, in the order asked; each is proven by the contract that its quote echoes.

    Raises:
        NotFound: They do not know one of the names; their words are in the message.
    """
    quotes = [_quote(reply, value, what) for value, what in _quote_rows(reply)]
    return tuple(_answer_to(name, place, quotes, reply) for place, name in enumerate(names))


def parse_session(reply: Reply, name: str) -> Session:
    """Read the current session when open, the next one when closed."""
    row = reply.whole(WireSession)
    _expect_meant(reply, name, row.instrument)
    return Session(**{**vars(row), "state": row.state or "", "time_zone": row.time_zone or ""})


def parse_bars(reply: Reply, name: str, count: int) -> tuple[Instrument, tuple[Bar, ...]]:
    """Read the contract that the name stands for, and its newest bars, oldest first."""
    instrument = reply.whole(WireBars).instrument
    _expect_meant(reply, name, instrument)
    if reply.top.get("bars") == [] and reply.top.get("count") == 0:
        return instrument, ()
    bars = [_bar(reply, number, row) for number, row in enumerate(reply.rows("bars", WireBar), 1)]
    return instrument, tuple(sorted(bars, key=lambda bar: bar.closes_at)[-count:])


def bars_body(name: str, period: Period, count: int, start: datetime | None, end: datetime | None) -> dict[str, object]:
    """Write what to ask for, so that at least ``count`` bars lie in the span where no start is given."""
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
    return {**body, "from": iso(start), **({} if end is None else {"to": iso(end)})}


def _days_for(period: Period, count: int) -> int:
    """Calendar days that hold so many bars: five trading days in seven, and a long weekend besides."""
    minutes = period.unit is PeriodUnit.MINUTE
    trading_days = period.count * count / _TRADING_MINUTES if minutes else period.count * count * _DAYS[period.unit]
    return ceil(trading_days * 7 / 5) + 4


def _quote_rows(reply: Reply) -> list[tuple[object, str]]:
    """Each quote with what to call it: in a bare array, as the answer itself, or in a list by name."""
    if isinstance(reply.value, list):
        return [(value, f"{reply.rpc} row {number}") for number, value in enumerate(reply.value, 1)]
    if parse_text(reply.top.get("instrument")):
        return [(reply.top, reply.rpc)]
    return [(value, f"{reply.rpc}, 'quotes' row {number}") for number, value in enumerate(reply.listed("quotes"), 1)]


def _quote(reply: Reply, value: object, what: str) -> Quote:
    if isinstance(value, dict) and (error := parse_label(value.get("error"))):
        raise NotFound(f"{what} is no quote; CrossTrade said {quoted(error)}")
    return parse_row(WireQuote, value, what, reply.context()).quote()


def _answer_to(name: str, place: int, quotes: Sequence[Quote], reply: Reply) -> Quote:
    at_its_place = quotes[place : place + 1]
    for candidates in (at_its_place, quotes):
        meant = [quote for quote in candidates if _is_meant(name, quote.instrument, reply.today)]
        if len({quote.instrument for quote in meant}) == 1:
            return meant[0]
    return reply.refuse(f"it holds no single quote for {quoted(name[:40])}")


def _expect_meant(reply: Reply, name: str, instrument: Instrument) -> None:
    if not _is_meant(name, instrument, reply.today):
        reply.refuse(f"it is of {instrument}, which is not what was asked for")


def _is_meant(name: str, instrument: Instrument, today: date) -> bool:
    meant = parse_instrument(name, today)
    return meant == instrument if isinstance(meant, Instrument) else meant.root == instrument.root


def _bar(reply: Reply, number: int, row: WireBar) -> Bar:
    closes_at = row.epoch or row.time
    if closes_at is None:
        reply.refuse(f"'bars' row {number} has no time")
    return Bar(closes_at, row.open, row.high, row.low, row.close, row.volume)


def _expiry(text: str | None) -> datetime | None:
    """Give the end of the last day; the first of a month is NinjaTrader's name for the contract, and no expiry."""
    try:
        last = date.fromisoformat((text or "")[:10])
    except ValueError:
        return None
    return None if last.day == 1 else datetime(last.year, last.month, last.day, tzinfo=UTC) + timedelta(days=1)
