"""How the exits of an entry are said: one stop, and one target or several with their quantities."""

import re
from decimal import Decimal
from typing import TYPE_CHECKING

from ct_mcp.domain.bracket import Bracket, ExitLevel, Target
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.level import BreakEven, Distance, Unit, read_level
from ct_mcp.domain.products import read_32nds, ticks_in_32nds
from ct_mcp.errors import BadRequest
from ct_mcp.server.tool_schema import whole

if TYPE_CHECKING:  # the rules are loaded by the first call, not by the start
    from ct_mcp.guard.policy import Protection

_SEVERAL = re.compile(r"(\d{1,6})\s*(?:at|@|x)\s*(.+)", re.ASCII | re.IGNORECASE)
_TIMES_RISK = re.compile(r"(\d{1,3}(?:\.\d{1,3})?) ?R", re.ASCII | re.IGNORECASE)
HOW_TO_SAY_TARGETS = "one target for all ('20 points'), or each with its contracts ('1 at 10 points, 1 at 20 points')"


def to_decimal(value: float | None) -> Decimal | None:
    """Give the decimal that was written, not its nearest binary fraction; 6388 and not 6388.0."""
    return None if value is None else Decimal(float.__repr__(value).removesuffix(".0"))


def targets_as_text(value: object) -> object:
    """Take targets that come as a number, or as a list, for what they would be as text."""
    match value:
        case bool():
            return value
        case int():
            return str(value)
        case float():
            return str(to_decimal(value))
        case list():
            return ", ".join(_target_as_text(item) for item in value)
        case _:
            return value


def _target_as_text(item: object) -> str:
    match item:
        case {"quantity": quantity, **rest} if len(rest) == 1 and type(whole(quantity)) is int:
            (level,) = rest.values()
            return f"{whole(quantity)} at {targets_as_text(level)}"
        case str() | int() | float():
            return str(targets_as_text(item))
        case _:
            raise ValueError(f"expected {HOW_TO_SAY_TARGETS}")


def read_bracket(
    stop_loss: str | None, take_profit: str | None, instrument: Instrument, protection: "Protection"
) -> Bracket | None:
    """Read the exits that go with an entry; None where none are given.

    Raises:
        BadRequest: One is said in no way that can be read.
    """
    from ct_mcp.guard.policy import IfUnprotected  # noqa: PLC0415  # as above

    stop = None if _is_left_out(stop_loss) else _level(str(stop_loss), instrument)
    targets = () if _is_left_out(take_profit) else _targets(str(take_profit), stop, instrument)
    if stop is None and not targets:
        return None
    closes = protection.if_unprotected is IfUnprotected.CLOSE
    return Bracket(stop, targets, closes_if_unprotected=closes, deadline_seconds=protection.deadline_seconds)


def _is_left_out(text: str | None) -> bool:
    """Forms that a machine filled in hold 0 for nothing."""
    return text is None or text.strip() in ("", "0")


def _targets(text: str, stop: ExitLevel | None, instrument: Instrument) -> tuple[Target, ...]:
    parts = [part.strip() for part in re.split(r"[,;]", text) if part.strip()]
    if len(parts) == 1 and not _SEVERAL.fullmatch(parts[0]):
        return (Target(_target(parts[0], stop, instrument)),)
    found = [_SEVERAL.fullmatch(part) for part in parts]
    if not parts or any(match is None for match in found):
        raise BadRequest(f"take_profit: expected {HOW_TO_SAY_TARGETS}; nothing was sent")
    return tuple(Target(_target(match[2], stop, instrument), int(match[1])) for match in found if match is not None)


def _target(text: str, stop: ExitLevel | None, instrument: Instrument) -> ExitLevel:
    """Read one; ``2R`` is twice the distance of the stop."""
    found = _TIMES_RISK.fullmatch(text.strip())
    if found is None:
        return _level(text, instrument)
    times = Decimal(found[1])
    if not isinstance(stop, Distance) or not times:
        raise BadRequest(f"{text.strip()} needs a stop_loss that is a distance, '10 points'; nothing was sent")
    amount = stop.amount * times
    if stop.unit is Unit.TICK and amount % 1:
        raise BadRequest(f"{text.strip()} is {amount} ticks, no whole number; nothing was sent")
    return Distance(amount, stop.unit)


def _level(text: str, instrument: Instrument) -> ExitLevel:
    written = read_32nds(text)
    if written is not None and ticks_in_32nds(instrument):
        return written
    level = read_level(text)
    if isinstance(level, BreakEven):
        raise BadRequest("an entry has no break-even yet: give a price or a distance from the fill; nothing was sent")
    return level
