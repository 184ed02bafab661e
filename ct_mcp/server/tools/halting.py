"""The tool that stops trading. It can only stop: resuming belongs to the person."""

from typing import Annotated

from mcp_types import CallToolResult
from pydantic import Field

from ct_mcp.server.answers.halt import HaltAnswer, halt_answer
from ct_mcp.server.present import theirs
from ct_mcp.server.wiring import ToolContext, desk_of

ASSISTANT = "the assistant"


async def halt_trading(
    ctx: ToolContext,
    reason: Annotated[str, Field(min_length=1, max_length=300, description="What went wrong, for the person")],
) -> Annotated[CallToolResult, HaltAnswer]:
    """Stop everything that opens or adds, at once, for all accounts; no yes is needed.

    It closes and cancels nothing, and exits go on working. Only the person can lift it.
    """
    desk = desk_of(ctx)
    return halt_answer(await desk.halt(theirs(reason, 300) or "", ASSISTANT), desk.clock())
