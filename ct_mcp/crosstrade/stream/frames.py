"""Frames of the live stream, as the service spells them.

A frame that cannot be read may have told anything, so it is a `BadReply` and never nothing. What NinjaTrader's account
events look like is not documented: they count as word that something changed, and their figures are not believed.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from pydantic import AliasChoices, Field

from ct_mcp.crosstrade.schemas.reply import WireModel, parse_row
from ct_mcp.crosstrade.schemas.values import (
    DatedInstrument,
    MaybeEpoch,
    MaybeMoney,
    MaybePrice,
    MaybeText,
    MaybeUtc,
    MaybeWhole,
    RowContext,
    parse_text,
)
from ct_mcp.crosstrade.stream.events import AccountChanged, PnlUpdate, QuoteTick
from ct_mcp.errors import BadReply
from ct_mcp.text import sanitize

LONGEST_FRAME_CHARACTERS = 1024 * 1024
READY = "ready"
_TOO_MANY_VIOLATIONS = 1008
# Those that are subscribed to. A frame of another type, such as a notice, shows nothing of whether these come.
_ACCOUNT_EVENTS = ("orderUpdate", "executionUpdate", "positionUpdate")
# Where a frame may name its account, if it does not do so itself.
_ROWS_WITH_ACCOUNT = ("order", "execution", "position", "data")


class StreamEnd(StrEnum):
    """Why a connection ended, as far as it changes what comes next."""

    DISPLACED = "displaced"
    ASKED_TOO_MUCH = "asked too much"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class StreamState:
    """How the service calls its side of the stream; only `READY` means that frames can be relied on."""

    name: str


@dataclass(frozen=True, slots=True)
class Resync:
    """They say that what we know may be wrong."""


@dataclass(frozen=True, slots=True)
class StreamRefusal:
    """They refused something that we asked for, in their words."""

    words: str


Message = QuoteTick | AccountChanged | PnlUpdate | StreamState | Resync | StreamRefusal


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame: its number in this connection, how many were lost before it, and what it tells."""

    seq: int | None
    dropped: int
    messages: tuple[Message, ...]


class WireFrame(WireModel):
    """What any frame may carry."""

    seq: MaybeWhole = None
    dropped: MaybeWhole = None
    epoch: MaybeEpoch = None
    state: MaybeText = None
    error: MaybeText = None


class WireTick(WireModel):
    """One quote that was pushed."""

    instrument: DatedInstrument
    bid: MaybePrice = None
    ask: MaybePrice = None
    last: MaybePrice = None
    volume: MaybeWhole = None
    epoch: MaybeEpoch = None
    quote_time_utc: MaybeUtc = None


class WirePnl(WireModel):
    """The P&L of one account."""

    account: MaybeText = Field(default=None, validation_alias=AliasChoices("account", "name", "accountName"))
    realized: MaybeMoney = Field(default=None, validation_alias="realizedProfitLoss")
    unrealized: MaybeMoney = Field(default=None, validation_alias="unrealizedProfitLoss")


def parse_close(code: int, words: str) -> StreamEnd:
    """Read how they closed a connection."""
    if "active elsewhere" in words.casefold():
        return StreamEnd.DISPLACED
    return StreamEnd.ASKED_TOO_MUCH if code == _TOO_MANY_VIOLATIONS else StreamEnd.OTHER


def parse_frame(text: str, now: datetime) -> Frame:
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
    head = parse_row(WireFrame, values, "stream frame", RowContext(now.date()))
    return Frame(head.seq, head.dropped or 0, _messages(values, head, now))


def _messages(values: Mapping[str, object], head: WireFrame, now: datetime) -> tuple[Message, ...]:
    match values.get("type"):
        case "marketData":
            return tuple(_ticks(values, head, now))
        case "pnlUpdate":
            return tuple(_pnl(values, head, now))
        case "status":
            return (StreamState(sanitize(head.state or "unnamed", longest=40)),)
        case "resync":
            return (Resync(),)
        case None | "ack" | "error" | "pong" | "subscribed" | "unsubscribed":
            # What answers us tells nothing of an account; a no is kept in their words.
            return () if head.error is None else (StreamRefusal(sanitize(head.error)),)
        case _:
            return (AccountChanged(_account(values), is_event=values.get("type") in _ACCOUNT_EVENTS),)


def _ticks(values: Mapping[str, object], head: WireFrame, now: datetime) -> Iterator[QuoteTick]:
    """Each quote that can be read; one that cannot leaves its instrument as old as it was."""
    for value in _objects(values.get("quotes")):
        try:
            row = parse_row(WireTick, value, "quotes row", RowContext(now.date()))
        except BadReply:
            continue
        stamps = (row.epoch, row.quote_time_utc, head.epoch)
        yield QuoteTick(
            instrument=row.instrument,
            bid=row.bid or None,
            ask=row.ask or None,
            last=row.last or None,
            volume=row.volume,
            at=min((stamp for stamp in stamps if stamp is not None), default=now),
        )


def _pnl(values: Mapping[str, object], head: WireFrame, now: datetime) -> Iterator[PnlUpdate]:
    for value in _pnl_rows(values.get("accounts")):
        row = parse_row(WirePnl, value, "accounts row", RowContext(now.date()))
        if row.account is not None:
            yield PnlUpdate(row.account, row.realized, row.unrealized, head.epoch or now)


def _pnl_rows(accounts: object) -> list[Mapping[str, object]]:
    """Give the list that the documents promise, or the object by name that one program reads."""
    if not isinstance(accounts, dict):
        return _objects(accounts)
    return [{"account": name, **figures} for name, figures in accounts.items() if isinstance(figures, dict)]


def _objects(listed: object) -> list[Mapping[str, object]]:
    return [value for value in listed if isinstance(value, dict)] if isinstance(listed, list) else []


def _account(values: Mapping[str, object]) -> str | None:
    """Give the account that the frame or the row within it names."""
    rows = (values, *(row for key in _ROWS_WITH_ACCOUNT if isinstance(row := values.get(key), dict)))
    return next((name for row in rows if (name := parse_text(row.get("account")))), None)
