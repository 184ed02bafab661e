"""Their frames → what the stream tells.

A frame that cannot be read may have told anything, so it is a `BadReply` and never nothing. What NinjaTrader's account
events look like is not documented: they count as word that something changed, and their figures are not believed.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from ct_mcp.crosstrade.wire_row import Row
from ct_mcp.crosstrade.wire_values import epoch_from, whole_from
from ct_mcp.crosstrade.words import cleaned
from ct_mcp.domain.instrument import Instrument
from ct_mcp.errors import BadReply

LONGEST_FRAME_CHARACTERS = 1024 * 1024
READY = "ready"


@dataclass(frozen=True, slots=True)
class Tick:
    """The newest prices of one instrument; ``at`` is the older of its stamps, or when it came where it has none."""

    instrument: Instrument
    bid: Decimal | None
    ask: Decimal | None
    last: Decimal | None
    volume: int | None
    at: datetime


@dataclass(frozen=True, slots=True)
class AccountNews:
    """Something changed in this account, or in one that the frame does not name."""

    account: str | None


@dataclass(frozen=True, slots=True)
class PnlNews:
    """The day's P&L of one account, in its currency; a figure that could not be read is None."""

    account: str
    realized: Decimal | None
    unrealized: Decimal | None
    at: datetime


@dataclass(frozen=True, slots=True)
class State:
    """How the service calls its side of the stream; only `READY` means that frames can be relied on."""

    name: str


@dataclass(frozen=True, slots=True)
class Resync:
    """They say that what we know may be wrong."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """They refused something that we asked for, in their words."""

    words: str


News = Tick | AccountNews | PnlNews | State | Resync | Refusal


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame: its number in this connection, how many were lost before it, and what it tells."""

    seq: int | None
    dropped: int
    news: tuple[News, ...]


def frame_in(text: str, now: datetime) -> Frame:
    """Read one frame.

    Raises:
        BadReply: It is no JSON object, or too long to be one of theirs.
    """
    if len(text) > LONGEST_FRAME_CHARACTERS:
        raise BadReply("a frame of the stream is too long to be read")
    try:
        values = json.loads(text, parse_float=Decimal, parse_constant=str)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise BadReply("a frame of the stream is no JSON") from error
    if not isinstance(values, dict):
        raise BadReply("a frame of the stream is no object")
    row = Row("stream frame", values, now.date())
    dropped = whole_from(values.get("dropped")) or 0
    return Frame(whole_from(values.get("seq")), dropped, _news(row, now))


def _news(row: Row, now: datetime) -> tuple[News, ...]:
    match row.values.get("type"):
        case "marketData":
            return _ticks(row, now)
        case "pnlUpdate":
            return _pnl(row, now)
        case "status" | "resync" as kind:
            state = cleaned(row.text_or_none("state") or "unnamed", longest=40)
            return (Resync() if kind == "resync" else State(state),)
        case None | "ack" | "error" | "pong" | "subscribed" | "unsubscribed":
            return _answer(row)
        case _:
            return (AccountNews(_account(row)),)


def _answer(row: Row) -> tuple[News, ...]:
    """What answers us tells nothing of an account; a no is kept in their words."""
    words = row.text_or_none("error")
    return () if words is None else (Refusal(cleaned(words)),)


def _ticks(row: Row, now: datetime) -> tuple[Tick, ...]:
    """Each quote that can be read; one that cannot leaves its instrument as old as it was."""
    pushed_at = epoch_from(row.values.get("epoch"))
    ticks = (_tick(quote, pushed_at, now) for quote in _objects(row, "quotes"))
    return tuple(tick for tick in ticks if tick is not None)


def _tick(quote: Row, pushed_at: datetime | None, now: datetime) -> Tick | None:
    try:
        instrument = quote.instrument()
    except BadReply:
        return None
    stamps = (epoch_from(quote.values.get("epoch")), quote.utc("quoteTimeUtc"), pushed_at)
    return Tick(
        instrument=instrument,
        bid=quote.price_or_none("bid") or None,
        ask=quote.price_or_none("ask") or None,
        last=quote.price_or_none("last") or None,
        volume=whole_from(quote.values.get("volume")),
        at=min((stamp for stamp in stamps if stamp is not None), default=now),
    )


def _pnl(row: Row, now: datetime) -> tuple[PnlNews, ...]:
    at = epoch_from(row.values.get("epoch")) or now
    return tuple(
        PnlNews(account, figures.money("realizedProfitLoss"), figures.money("unrealizedProfitLoss"), at)
        for figures in _accounts(row)
        if (account := figures.text_or_none("account", "name", "accountName"))
    )


def _accounts(row: Row) -> tuple[Row, ...]:
    """The list that the documents promise, or the object by name that one program reads."""
    named = row.values.get("accounts")
    if not isinstance(named, dict):
        return _objects(row, "accounts")
    rows = ({"account": name, **figures} for name, figures in named.items() if isinstance(figures, dict))
    return tuple(Row("P&L", values, row.today) for values in rows)


def _objects(row: Row, key: str) -> tuple[Row, ...]:
    listed = row.values.get(key)
    values = listed if isinstance(listed, list) else []
    return tuple(Row(f"{key} row", value, row.today) for value in values if isinstance(value, dict))


def _account(row: Row) -> str | None:
    """The account that the frame or the row within it names."""
    nested = (row.sub(key) for key in ("order", "execution", "position", "data"))
    return next((name for place in (row, *nested) if (name := place.text_or_none("account"))), None)
