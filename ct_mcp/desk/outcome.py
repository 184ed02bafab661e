"""What a trade tool answers: a status that was read or is called unknown, and what stands now.

It stands alone, since whoever reads an answer needs nothing else of the desk.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from ct_mcp.domain.approval import Finding
from ct_mcp.domain.order import OrderState


class Status(StrEnum):
    """The first group was read back from the account; nothing in it is assumed."""

    FILLED = "filled"
    WORKING = "working"
    CANCELLED = "cancelled"
    FLAT = "flat"
    CHANGED = "changed"

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    DENIED = "denied"
    NEEDS_APPROVAL = "needs_approval"
    DECLINED = "declined"
    EXPIRED = "expired"
    UNKNOWN = "unknown"
    SET = "set"

    @property
    def sent(self) -> bool | None:
        """Whether anything reached the service; None where that is not known."""
        match self:
            case Status.DENIED | Status.NEEDS_APPROVAL | Status.DECLINED | Status.EXPIRED | Status.SET:
                return False
            case Status.UNKNOWN:
                return None
            case _:
                return True


@dataclass(frozen=True, slots=True)
class Outcome:
    """One answer of the desk. None means not known, never zero and never flat."""

    status: Status
    summary: str
    simulated: bool
    ticket_id: str | None = None
    expires_in_seconds: int | None = None
    order_id: str | None = None
    order_state: OrderState | None = None
    filled_quantity: int | None = None
    average_fill_price: Decimal | None = None
    position_after: int | None = None
    warnings: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    next_step: str = ""
    # What stands after it: each position with its stops and targets, the working orders, what was filled or cancelled.
    stands_now: tuple[str, ...] = ()
    time_in_force: str | None = None
    # Whether the person was asked, and how they said yes; empty where nothing was sent.
    asked: str = ""
    strategy_id: str | None = None
    # What must be read first of all: a position that has lost its stop, or what may still come after a flat account.
    alarm: str = ""
    # Of a denial the codes of its reasons.
    codes: frozenset[str] = frozenset()
    # When the status was so, in words, where it is told again and was not read just now.
    as_of: str = ""

    @property
    def head(self) -> str:
        """The status in capitals, with the time that it is of where that is not now."""
        return f"{self.status.upper()} {self.as_of}".rstrip()


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of the exits that were promised with an entry.

    ``lines`` say it, and ``alarm`` is what has to be read first of all where the promise was not kept. ``closed`` of
    its contracts were closed for that, as far as it was read. ``is_by_another`` says that another was about them.
    """

    lines: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    alarm: str = ""
    is_over: bool = False
    closed: int = 0
    is_by_another: bool = False


def detail_of(outcome: Outcome) -> dict[str, object]:
    """What is written down of what is said: enough to say it again to whoever did not hear it."""
    said: dict[str, object] = {
        "average_fill_price": outcome.average_fill_price,
        "position_after": outcome.position_after,
        "alarm": outcome.alarm,
        "reasons": outcome.reasons,
        "warnings": outcome.warnings,
        "next_step": outcome.next_step,
        "order_state": outcome.order_state,
        "stands_now": outcome.stands_now,
    }
    known = {name: value for name, value in said.items() if value not in (None, (), "")}
    return {"status": outcome.status, "order_id": outcome.order_id, "filled": outcome.filled_quantity, **known}
