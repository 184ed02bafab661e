"""Watches: what goes on for the person without the assistant. They tell, or they only reduce; nothing here opens.

It stands alone, since the store keeps them and the desk runs them, over restarts and in whatever process.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.level import Distance
from ct_mcp.domain.products import price_of
from ct_mcp.text import money, utc_minute


class WatchKind(StrEnum):
    """What a watch does."""

    TRAILING_STOP = "trailing stop"
    CANCEL_AFTER = "cancel after"
    FLAT_BY = "flat by"
    FLAT_BY_WARNING = "flat by, told only"
    NEWS = "news"
    ALERT = "alert"


class AlertOn(StrEnum):
    """What an alert looks at."""

    PRICE = "price"
    PNL = "P&L"
    FILL = "fill"
    TIME = "time"
    ROOM = "drawdown room"


class WatchState(StrEnum):
    """OPEN: it watches. OVER: it does nothing any more.

    WARNED: it has told that its time is near; or, of an alert, that what it looks at is not known.
    """

    OPEN = "open"
    WARNED = "warned"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class SetWatch:
    """Set a watch that may send: a command like any other, whose question shows it.

    ``due`` is a moment, ``minutes`` counts from when it is set; at most one of the two is given. ``hours`` is its life,
    until the session rolls where it is not given; it never ends before its time. ``instrument`` None is all of it.
    """

    account: str
    does: WatchKind
    order_id: str | None = None
    instrument: Instrument | None = None
    distance: Distance | None = None
    due: datetime | None = None
    minutes: int | None = None
    hours: int | None = None


@dataclass(frozen=True, slots=True)
class WatchPart:
    """The ticket of one thing that a watch has sent, or was about to send; it is spent from the start."""

    ticket_id: str
    made_at: datetime


@dataclass(frozen=True, slots=True)
class Watch:
    """One watch as it is kept. ``ticket_id`` says under which yes; empty under a setting, and for what only tells.

    ``account`` is empty where it is about none. ``is_above`` and ``level`` are those of an alert.
    """

    watch_id: str
    kind: WatchKind
    account: str
    made_at: datetime
    until: datetime
    ticket_id: str = ""
    order_id: str | None = None
    instrument: Instrument | None = None
    distance: Distance | None = None
    due: datetime | None = None
    on: AlertOn | None = None
    is_above: bool | None = None
    level: Decimal | None = None
    state: WatchState = WatchState.OPEN
    parts: tuple[WatchPart, ...] = ()

    @property
    def is_of_settings(self) -> bool:
        """Whether a setting of the person has made it."""
        return self.kind in _OF_SETTINGS and not self.ticket_id

    @property
    def only_the_person_ends_it(self) -> bool:
        """Whether no assistant may end it: a time to be flat by, whoever set it, and what a setting has made."""
        return self.kind is WatchKind.FLAT_BY or self.is_of_settings

    @property
    def words(self) -> str:
        """Say what it does, read back: ``ES 12-26 >= 6420``."""
        match self.kind:
            case WatchKind.TRAILING_STOP:
                return f"stop {self.order_id} of {self.instrument} follows the price at {self.distance}, only nearer"
            case WatchKind.CANCEL_AFTER:
                return f"cancels order {self.order_id} if it has not filled by {_moment(self.due)}"
            case WatchKind.FLAT_BY:
                return f"cancels and flattens {self.instrument or 'everything'} at {_moment(self.due)}"
            case WatchKind.FLAT_BY_WARNING:
                return f"tells what is open before {_moment(self.due)}, and closes nothing"
            case WatchKind.NEWS:
                return f"news: nothing opens from {_moment(self.due)} on"
            case WatchKind.ALERT:  # pragma: no branch  # the set is closed
                return _alert_words(self)


_OF_SETTINGS = (WatchKind.FLAT_BY, WatchKind.FLAT_BY_WARNING, WatchKind.NEWS, WatchKind.CANCEL_AFTER)


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that a watch has told; numbers only grow."""

    number: int
    at: datetime
    account: str
    watch_id: str
    words: str


def command_words(command: SetWatch) -> str:
    """Write what is asked for, without its account: ``TRAIL stop 7 at 10 points``."""
    when = f"in {command.minutes} minutes" if command.due is None else f"at {_moment(command.due)}"
    match command.does:
        case WatchKind.TRAILING_STOP:
            return f"TRAIL stop {command.order_id} at {command.distance}, only nearer"
        case WatchKind.CANCEL_AFTER:
            return f"CANCEL {command.order_id} {when} if it has not filled"
        case _:
            return f"FLATTEN {command.instrument or 'everything'} {when}"


def _alert_words(watch: Watch) -> str:
    side = ">=" if watch.is_above else "<="
    match watch.on:
        case AlertOn.PRICE if watch.level is not None:
            return f"tells when {watch.instrument} {side} {price_of(watch.instrument, watch.level)}"
        case AlertOn.PNL:
            return f"tells when the day's P&L {side} {money(watch.level)}"
        case AlertOn.ROOM:
            return f"tells when the room above the drawdown floor {side} {money(watch.level)}"
        case AlertOn.FILL:
            return f"tells when something fills{f' in {watch.instrument}' if watch.instrument else ''}"
        case _:
            return f"tells at {_moment(watch.due)}"


def _moment(at: datetime | None) -> str:
    return "a time that is not known" if at is None else utc_minute(at)
