"""Reads what is to be watched from the arguments of the tool, or says what is missing; nothing is guessed."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.level import Distance, read_level
from ct_mcp.domain.watch import AlertOn, SetWatch, Watch, WatchKind
from ct_mcp.errors import BadRequest
from ct_mcp.server.tools.exit_levels import to_decimal

if TYPE_CHECKING:  # the desk is loaded by the first call, not by the start
    from ct_mcp.desk.desk import Desk
    from ct_mcp.server.tools.watches import WatchForm

_MINUTES = re.compile(r"(?P<count>[1-9]\d{0,3}) ?(?:min|minute)s?", re.ASCII | re.IGNORECASE)
_CLOCK = re.compile(r"(?P<hour>[01]\d|2[0-3]):(?P<minute>[0-5]\d) (?P<zone>[A-Za-z][A-Za-z0-9_+/-]{1,40})", re.ASCII)
_ALERTS = {"price": AlertOn.PRICE, "pnl": AlertOn.PNL, "room": AlertOn.ROOM, "fill": AlertOn.FILL, "time": AlertOn.TIME}
_TAKES = {
    "trailing_stop": {"account", "order_id", "distance"},
    "cancel_after": {"account", "order_id", "time"},
    "flat_by": {"account", "time"},
    "price": {"instrument"},
    "pnl": {"account"},
    "room": {"account", "at_or_below"},
    "fill": {"account"},
    "time": {"time"},
}
_MAY_TAKE = {"flat_by": {"instrument"}, "fill": {"instrument"}, "price": {"at_or_above", "at_or_below"}}
_BY_LEVEL = ("price", "pnl", "room")
_MOST_HOURS = 120
_MAY_TAKE["pnl"] = _MAY_TAKE["price"]


async def command_of(desk: "Desk", form: "WatchForm", kind: WatchKind) -> SetWatch:
    """Make the command of a watch that may send.

    Raises:
        BadRequest: Something is missing, superfluous, or cannot be read.
    """
    _check(form)
    account = (await desk.resolver.account(form.account or "")).name
    instrument = None
    if form.instrument is not None:
        instrument = await desk.resolver.instrument_held(form.instrument, account)
    due, minutes = _time(form.time, desk.clock()) if form.time else (None, None)
    return SetWatch(
        account,
        kind,
        order_id=form.order_id,
        instrument=instrument,
        distance=_distance(form.distance) if form.distance else None,
        due=due,
        minutes=minutes,
        hours=form.hours,
    )


async def alert_of(desk: "Desk", form: "WatchForm") -> Watch:
    """Make the alert that is asked for.

    Raises:
        BadRequest: Something is missing, superfluous, or cannot be read.
    """
    from ct_mcp.desk.watch_tickets import lives_until, new_watch_id  # noqa: PLC0415  # loaded by the first call

    _check(form)
    now, account = desk.clock(), "" if form.account is None else (await desk.resolver.account(form.account)).name
    instrument: Instrument | None = None
    if form.instrument is not None:
        instrument = await desk.resolver.instrument(form.instrument)
    is_above, level = _level(form)
    due, minutes = _time(form.time, now) if form.time else (None, None)
    due = now + timedelta(minutes=minutes) if minutes else due
    return Watch(
        new_watch_id(),
        WatchKind.ALERT,
        account,
        now,
        lives_until(now, form.hours, due),
        instrument=instrument,
        due=due,
        on=_ALERTS[form.kind],
        is_above=is_above,
        level=level,
    )


def _check(form: "WatchForm") -> None:
    """Say what is missing, and what says nothing here."""
    given = {name for name in type(form).model_fields if getattr(form, name) is not None} - {"kind", "hours"}
    if form.hours is not None and form.hours > _MOST_HOURS:
        raise BadRequest(f"a watch lives {_MOST_HOURS} hours at most; nothing was sent")
    needs = _TAKES[form.kind]
    if missing := sorted(needs - given):
        raise BadRequest(f"{form.kind} needs {', '.join(missing)}; nothing was sent")
    if stray := sorted(given - needs - _MAY_TAKE.get(form.kind, set())):
        raise BadRequest(f"{form.kind} takes no {', '.join(stray)}; nothing was sent")


def _level(form: "WatchForm") -> tuple[bool | None, Decimal | None]:
    if form.kind not in _BY_LEVEL:
        return None, None
    above, below = form.at_or_above, form.at_or_below
    if (above is None) is (below is None):
        raise BadRequest(f"{form.kind} needs exactly one of at_or_above and at_or_below; nothing was sent")
    return (True, to_decimal(above)) if above is not None else (False, to_decimal(below or 0.0))


def _distance(text: str) -> Distance:
    level = read_level(text)
    if not isinstance(level, Distance):
        raise BadRequest("a stop is trailed at a distance: '10 points' or '40 ticks'; nothing was sent")
    return level


def _time(text: str, now: datetime) -> tuple[datetime | None, int | None]:
    """Read a time: so many minutes from when it is set, or the next time that a clock in a zone shows it."""
    words = " ".join(text.split())
    if found := _MINUTES.fullmatch(words):
        return None, int(found["count"])
    clock = _CLOCK.fullmatch(words)
    if clock is None:
        raise BadRequest("a time is said as '20 minutes' or '15:10 America/Chicago'; nothing was sent")
    try:
        there = now.astimezone(ZoneInfo(clock["zone"]))
    except (KeyError, ValueError, OSError):
        raise BadRequest(f"there is no time zone {clock['zone']!r}; nothing was sent") from None
    at = there.replace(hour=int(clock["hour"]), minute=int(clock["minute"]), second=0, microsecond=0, fold=0)
    return (at if at > there else at + timedelta(days=1)).astimezone(UTC), None
