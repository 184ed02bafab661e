"""How single values are written on disk: canonical JSON and times.

The journal needs them on the way to the server's first answer, so they stand alone: nothing here may load sqlite3, or
what `ticket_codec` needs.
"""

import json
from datetime import UTC, datetime

from ct_mcp.errors import StoreDamaged, StoreFailed

MOVE_ASIDE = (
    "the person must end every ct-mcp that uses the file, move the file aside, keep it as evidence, check the "
    "account's orders, and start again; "
    "what else it held is gone with it: a halt, losses of the day, armings and the PIN"
)
"""What the person can do about a state file that does not hold what we wrote."""


def canonical(value: object) -> str:
    """Write a value as its one JSON text, in ASCII; what JSON does not know is written as its text.

    Raises:
        StoreFailed: It holds a NaN, an infinity, itself, or keys that are no text.
    """
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, default=str)
    except (TypeError, ValueError, RecursionError) as error:
        raise StoreFailed(f"this cannot be written as JSON: {error}") from error


def named_order(detail: str) -> object:
    """Read the id by which the detail of an entry names an order of the service's; None where it names none.

    Raises:
        StoreDamaged: It is not what `canonical` wrote.
    """
    try:
        return dict(json.loads(detail)).get("order_id")
    except (ValueError, TypeError) as error:
        raise StoreDamaged(f"a journal entry cannot be read: {error}", next_step=MOVE_ASIDE) from error


def time_to_text(at: datetime) -> str:
    """Write a time as ISO 8601 in UTC with microseconds, so that text sorts as time does."""
    if at.tzinfo is None:
        raise ValueError("a stored time must know its zone")
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def time_from_text(text: str) -> datetime:
    """Read what `time_to_text` wrote."""
    return datetime.fromisoformat(text).astimezone(UTC)
