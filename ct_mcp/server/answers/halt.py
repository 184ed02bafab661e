"""The halt that stands."""

from datetime import datetime

from mcp_types import CallToolResult
from pydantic import Field

from ct_mcp.domain.ticket import Halt
from ct_mcp.server.present import Answer, age, aged, answered, lines, stamp, theirs

STILL_WORKS = "closing, flattening and cancelling; positions and working orders stand as they stood"
LIFTED_BY = "only the person, with `ct-mcp resume` in a terminal of their own"


class HaltAnswer(Answer):
    """The halt that stands now; an earlier one is left as it was, with its own reason."""

    halted: bool
    by: str
    at: str = Field(description="UTC.")
    age_seconds: float | None
    reason: str
    still_works: str
    lifted_by: str


def halt_answer(halt: Halt, now: datetime) -> CallToolResult:
    """Both halves of a halt."""
    structure = HaltAnswer(
        halted=True,
        by=theirs(halt.by) or "",
        at=stamp(halt.at) or "",
        age_seconds=age(halt.at, now),
        reason=theirs(halt.reason, 300) or "",
        still_works=STILL_WORKS,
        lifted_by=LIFTED_BY,
    )
    text = (
        f"HALTED by {structure.by} at {structure.at}, {aged(structure.age_seconds)}: {structure.reason}",
        f"still works: {STILL_WORKS}",
        f"lifted by: {LIFTED_BY}",
    )
    return answered(lines(text), structure)
