"""The tool that reads our own journal."""

from typing import Annotated

from mcp_types import CallToolResult
from pydantic import Field

from ct_mcp.server.answers.journal import JournalAnswer, journal_answer
from ct_mcp.server.reading import in_time
from ct_mcp.server.tools.account import AnyAccount
from ct_mcp.server.wiring import ToolContext, desk_of


@in_time()
async def get_journal(
    ctx: ToolContext,
    limit: Annotated[int, Field(ge=1, le=100, description="The newest so many")] = 20,
    account: AnyAccount = None,
) -> Annotated[CallToolResult, JournalAnswer]:
    """Our own journal: what was asked, denied, approved, sent and answered. Works offline."""
    desk = desk_of(ctx)
    entries = await desk.store.entries(limit, account)
    if account is not None and not entries:
        entries = await desk.store.entries(limit, (await desk.names.account(account)).name)
    return journal_answer(entries, desk.clock())
