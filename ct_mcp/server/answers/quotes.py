"""Quotes with their age, and what a tick and a point are worth."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from mcp_types import CallToolResult
from pydantic import Field

from ct_mcp.domain.market import Quote
from ct_mcp.server.present import (
    Answer,
    ReadAnswer,
    age,
    aged,
    answered,
    lines,
    money,
    noted,
    number,
    price,
    stamp,
)


class QuoteRow(Answer):
    """One quote. What one contract is worth is in account currency."""

    asked: str
    instrument: str
    month: str
    bid: float | None
    ask: float | None
    spread: float | None
    spread_ticks: float | None
    last: float | None
    prior_close: float | None
    change: float | None = Field(description="Last against the prior close.")
    change_percent: float | None
    open: float | None
    high: float | None
    low: float | None
    volume: int | None
    quoted_at: str | None
    age_seconds: float | None
    stale: bool = Field(description="Too old for an order that opens, or of unknown age.")
    market_open: bool | None
    tick_size: float
    tick_value: float
    point_value: float
    expires_at: str | None


class QuotesAnswer(ReadAnswer):
    """One quote for each name, in the order asked."""

    quotes: list[QuoteRow]


def quotes_answer(
    asked: Sequence[str], quotes: Sequence[Quote], stale_after: float, notes: list[str], now: datetime
) -> CallToolResult:
    """Both halves of a list of quotes; one older than ``stale_after`` seconds is stale."""
    rows = [_row(name, quote, stale_after, now) for name, quote in zip(asked, quotes, strict=True)]
    structure = QuotesAnswer(read_at=stamp(now) or "", notes=notes, quotes=rows)
    return answered(lines((f"read {structure.read_at}", *map(_line, rows), *noted(notes))), structure)


def _row(asked: str, quote: Quote, stale_after: float, now: datetime) -> QuoteRow:
    contract, seconds = quote.contract, age(quote.at, now)
    spread = None if quote.bid is None or quote.ask is None else quote.ask - quote.bid
    change = None if quote.last is None or quote.prior_close is None else quote.last - quote.prior_close
    return QuoteRow(
        asked=asked,
        instrument=str(quote.instrument),
        month=quote.instrument.month_in_words,
        bid=number(quote.bid),
        ask=number(quote.ask),
        spread=number(spread),
        spread_ticks=None if spread is None else float(contract.ticks(spread)),
        last=number(quote.last),
        prior_close=number(quote.prior_close),
        change=number(change),
        change_percent=_percent(change, quote.prior_close),
        open=number(quote.open),
        high=number(quote.high),
        low=number(quote.low),
        volume=quote.volume,
        quoted_at=stamp(quote.at),
        age_seconds=seconds,
        stale=seconds is None or seconds > stale_after,
        market_open=quote.is_market_open,
        tick_size=float(contract.tick_size),
        tick_value=float(contract.tick_value),
        point_value=float(contract.point_value),
        expires_at=stamp(contract.expires_at),
    )


def _percent(change: Decimal | None, of: Decimal | None) -> float | None:
    return None if change is None or not of else float(round(change / of * 100, 2))


def _line(it: QuoteRow) -> str:
    asked = "" if it.asked == it.instrument else f", asked as {it.asked}"
    change = "" if it.change is None or it.change_percent is None else f"{it.change:+g} ({it.change_percent:+g} %)"
    ticks = "" if it.spread_ticks is None else f" ({it.spread_ticks:g} tick{'' if it.spread_ticks == 1 else 's'})"
    market = {True: "open", False: "CLOSED", None: "state unknown"}[it.market_open]
    return lines(
        (
            f"{it.instrument} ({it.month}{asked}): bid {price(it.bid)}  ask {price(it.ask)}  spread {price(it.spread)}"
            f"{ticks}  last {price(it.last)}  change {change or 'unknown'} from prior close {price(it.prior_close)};"
            f" {'STALE, ' if it.stale else ''}{aged(it.age_seconds)}",
            f"  open {price(it.open)}  high {price(it.high)}  low {price(it.low)}"
            f"  volume {'unknown' if it.volume is None else f'{it.volume:,}'}; tick {price(it.tick_size)}"
            f" = {money(it.tick_value)}, point = {money(it.point_value)}; expires {it.expires_at or 'unknown'};"
            f" market {market}; quoted at {it.quoted_at or 'unknown'}",
        )
    )
