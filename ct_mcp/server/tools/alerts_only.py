"""The tool that sets alerts where nothing may trade, in place of set_watch.

It stands apart, since it is listed nowhere else.
"""

from typing import Annotated, Literal

from pydantic import Field

from ct_mcp.server.context import ToolContext
from ct_mcp.server.tools.orders import Traded
from ct_mcp.server.tools.watches import WatchForm, set_alert_of


class AlertForm(WatchForm):
    """The arguments of an alert; those of a watch that acts are refused in words."""

    kind: Annotated[Literal["price", "pnl", "room", "fill", "time"], Field(description="What it tells of")]


async def set_alert(ctx: ToolContext, form: AlertForm) -> Traded:
    """Set an alert on price, P&L, room to the drawdown floor, fill or time. It only tells."""
    return await set_alert_of(ctx, form)
