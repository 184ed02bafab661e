"""The tool that halts trading. It can only halt: resuming belongs to the person."""

from datetime import datetime
from typing import Annotated

from mcp_types import CallToolResult
from pydantic import Field

from ct_mcp.domain.approval import Halt
from ct_mcp.server.context import ToolContext, desk_of
from ct_mcp.server.format import (
    ToolResult,
    age_seconds,
    join_lines,
    sanitize_name,
    tool_result,
)
from ct_mcp.text import aged, command, iso

STILL_WORKS = "closing, flattening and cancelling; positions and working orders stand as they stood"


class HaltResult(ToolResult):
    """The halt that stands now; an earlier one is left as it was, with its own reason."""

    halted: bool
    by: str
    at: str = Field(description="UTC.")
    age_seconds: float | None
    reason: str
    still_works: str
    lifted_by: str


async def halt_trading(
    ctx: ToolContext,
    reason: Annotated[str, Field(min_length=1, description="Why, for the person")],
) -> Annotated[CallToolResult, HaltResult]:
    """Stop everything that opens or adds, at once, for all accounts; no yes is needed.

    It closes and cancels nothing, so a working entry can still fill; exits go on. It stands until the person resumes,
    at a terminal or at the console.
    """
    # However long the reason is, it halts: what is too long is cut.
    from ct_mcp.desk.controls import Actor  # noqa: PLC0415  # the desk is loaded by the first call

    desk = desk_of(ctx)
    return halt_result(await desk.controls.halt(sanitize_name(reason, 300), Actor.ASSISTANT), desk.clock())


def halt_result(halt: Halt, now: datetime) -> CallToolResult:
    """Make both halves of a halt."""
    lifted_by = f"only the person, with `{command('resume')}` in a terminal of their own"
    structure = HaltResult(
        halted=True,
        by=sanitize_name(halt.by),
        at=iso(halt.at) or "",
        age_seconds=age_seconds(halt.at, now),
        reason=sanitize_name(halt.reason, 300),
        still_works=STILL_WORKS,
        lifted_by=lifted_by,
    )
    text = (
        f"HALTED by {structure.by} at {structure.at}, {aged(structure.age_seconds)}: {structure.reason}",
        f"still works: {STILL_WORKS}",
        f"lifted by: {lifted_by}",
    )
    return tool_result(join_lines(text), structure)
