"""The trading session of an instrument, with what a person wants to know of it: how long still."""

from datetime import datetime
from zoneinfo import ZoneInfo

from mcp_types import CallToolResult
from pydantic import Field

from ct_mcp.domain.market import Session, trading_day
from ct_mcp.server.present import ReadAnswer, age, aged, answered, lines, noted, span, stamp

_CHICAGO = ZoneInfo("America/Chicago")


class SessionAnswer(ReadAnswer):
    """The running session while the market is open, the next one while it is closed."""

    instrument: str | None
    is_open: bool | None
    state: str | None = Field(description="As CrossTrade words it.")
    opens_at: str | None
    closes_at: str | None
    seconds_to_open: float | None = Field(description="Null while it is open.")
    seconds_to_close: float | None = Field(description="Null while it is closed.")
    following_opens_at: str | None
    following_closes_at: str | None
    trading_day: str = Field(description="The day that counts now for the day's loss limit; it rolls at 17:00 Chicago.")
    exchange_zone: str | None
    report_age_seconds: float | None


def session_answer(session: Session, notes: list[str], now: datetime) -> CallToolResult:
    """Both halves of one session."""
    structure = SessionAnswer(
        read_at=stamp(now) or "",
        notes=notes,
        instrument=str(session.instrument) if session.instrument else None,
        is_open=session.is_open,
        state=session.state or None,
        opens_at=stamp(session.opens_at),
        closes_at=stamp(session.closes_at),
        seconds_to_open=_until(session.opens_at, now) if session.is_open is False else None,
        seconds_to_close=_until(session.closes_at, now) if session.is_open else None,
        following_opens_at=stamp(session.next_opens_at),
        following_closes_at=stamp(session.next_closes_at),
        trading_day=f"{trading_day(now):%Y-%m-%d}",
        exchange_zone=session.time_zone or None,
        report_age_seconds=age(session.stamped_at, now),
    )
    return answered(_text(session, structure), structure)


def _until(at: datetime | None, now: datetime) -> float | None:
    return None if at is None else max(0.0, round((at - now).total_seconds()))


def _text(session: Session, it: SessionAnswer) -> str:
    head = {True: "OPEN", False: "CLOSED", None: "state UNKNOWN"}[it.is_open]
    left, what = (it.seconds_to_close, "closes") if it.is_open else (it.seconds_to_open, "opens")
    countdown = "" if left is None else f", {what} in {span(left)}"
    return lines(
        (
            f"{it.instrument or 'instrument unknown'}: session {head}{countdown}; read {it.read_at},"
            f" report {aged(it.report_age_seconds)}",
            f"{'this' if it.is_open else 'next'} session {_at(session.opens_at)} to {_at(session.closes_at)}",
            f"then {_at(session.next_opens_at)} to {_at(session.next_closes_at)}",
            f"trading day {it.trading_day}; exchange zone {it.exchange_zone or 'unknown'};"
            f" state in CrossTrade's words: {it.state or 'unknown'}",
            *noted(it.notes),
        )
    )


def _at(at: datetime | None) -> str:
    return "unknown" if at is None else f"{stamp(at)} ({at.astimezone(_CHICAGO):%a %H:%M} Chicago)"
