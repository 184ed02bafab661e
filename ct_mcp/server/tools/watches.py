"""Tools over watches: set one, list them, end one, and wait for what they tell or for what changes.

One that may send is a command like any other: it is proposed, and its question shows it. One that only tells is set at
once.
"""

from typing import TYPE_CHECKING, Annotated, Literal

from mcp_types import CallToolResult, InputRequiredResult
from pydantic import Field

from ct_mcp.domain.watch import Notice, Watch, WatchKind
from ct_mcp.server.context import ToolContext, context_of, desk_of
from ct_mcp.server.format import ReadResult, ToolResult, join_cells, join_lines, sanitize_name, tool_result
from ct_mcp.server.tool_schema import MOST_COUNTED, StrictArguments
from ct_mcp.server.tools.forms import AnyAccount
from ct_mcp.server.tools.orders import Traded, propose, trade_result
from ct_mcp.server.tools.watch_words import alert_of, command_of
from ct_mcp.text import iso

if TYPE_CHECKING:  # the desk is loaded by the first call, not by the start
    from ct_mcp.desk.desk import Desk

SENDS = {
    "trailing_stop": WatchKind.TRAILING_STOP,
    "cancel_after": WatchKind.CANCEL_AFTER,
    "flat_by": WatchKind.FLAT_BY,
}
_MOST_SHOWN = 40


class WatchForm(StrictArguments):
    """What is to be watched; the names of its fields are the arguments of the tool."""

    kind: Annotated[
        Literal["trailing_stop", "cancel_after", "flat_by", "price", "pnl", "room", "fill", "time"],
        Field(description="First three send orders, the others only tell"),
    ]
    account: Annotated[str | None, Field(description="Needed but for price, time")] = None
    instrument: Annotated[str | None, Field(description="Needed for price; narrows flat_by, fill")] = None
    order_id: Annotated[str | None, Field(max_length=64, description="Stop to trail; entry to cancel")] = None
    distance: Annotated[str | None, Field(max_length=40, description="Of trailing_stop: '10 points', '40 ticks'")] = (
        None
    )
    at_or_above: Annotated[float | None, Field(description="Price, P&L")] = None
    at_or_below: Annotated[float | None, Field(description="Price, P&L, room to floor")] = None
    time: Annotated[
        str | None,
        Field(max_length=60, description="Of flat_by, cancel_after, time: '20 minutes', '15:10 America/Chicago'"),
    ] = None
    hours: Annotated[
        int | None, Field(ge=1, le=MOST_COUNTED, description="How long it lives; else until the session ends")
    ] = None


class WatchView(ToolResult):
    """One watch."""

    watch_id: str
    kind: str
    account: str | None
    does: str
    set_at: str
    ends_at: str
    sent: int = Field(description="How often it has sent, or was about to.")
    ends_by: str = Field(description="Who may end it.")


class WatchesResult(ReadResult):
    """All watches, and what they told last."""

    watches: list[WatchView]
    told: list[str]


class WaitResult(ReadResult):
    """What happened while it was waited; empty where nothing did."""

    waited_seconds: float
    happened: list[str]


async def set_watch(ctx: ToolContext, form: WatchForm) -> Traded:
    """Trail a stop (only nearer), cancel an unfilled entry later, be flat by a time; or an alert, told by wait_for.

    Only while this server runs: after that nothing is trailed, cancelled or flattened. The person alone ends flat_by.
    """
    if form.kind in SENDS:
        return await _propose(ctx, form)
    return await set_alert_of(ctx, form)


async def _propose(ctx: ToolContext, form: WatchForm) -> CallToolResult | InputRequiredResult:
    return await propose(ctx, await command_of(desk_of(ctx), form, SENDS[form.kind]))


async def set_alert_of(ctx: ToolContext, form: WatchForm) -> CallToolResult:
    """Set what only tells."""
    from ct_mcp.desk.alert_setting import set_alert  # noqa: PLC0415  # the desk is loaded by the first call

    desk = desk_of(ctx)
    return trade_result(await set_alert(desk, await alert_of(desk, form)))


async def get_watches(ctx: ToolContext) -> Annotated[CallToolResult, WatchesResult]:
    """All watches and alerts, and what they told last."""
    return await watches_result(desk_of(ctx))


async def watches_result(desk: "Desk") -> CallToolResult:
    """Make both halves of all watches, and what they told last."""
    rows = [_view(watch) for watch in await desk.store.watches()]
    told = [_notice_line(notice) for notice in await desk.store.notices(0, _MOST_SHOWN)]
    structure = WatchesResult(read_at=iso(desk.clock()) or "", notes=[], watches=rows, told=told)
    text = (
        f"{len(rows) or 'no'} {'watch' if len(rows) == 1 else 'watches'}",
        *map(_line, rows),
        *(f"told: {line}" for line in told),
    )
    return tool_result(join_lines(text), structure)


async def end_watch(
    ctx: ToolContext,
    watch_id: Annotated[str, Field(min_length=1, max_length=64, description="From get_watches")],
) -> Annotated[CallToolResult, WatchesResult]:
    """End a watch or an alert."""
    desk = desk_of(ctx)
    from ct_mcp.desk.alert_setting import end_by_request  # noqa: PLC0415  # the desk is loaded by the first call

    words = await end_by_request(desk.store, watch_id, "the assistant", desk.clock(), is_person=False)
    rows = [_view(watch) for watch in await desk.store.watches()]
    structure = WatchesResult(read_at=iso(desk.clock()) or "", notes=[], watches=rows, told=[words])
    return tool_result(join_lines((words, *map(_line, rows))), structure)


async def wait_for(
    ctx: ToolContext,
    seconds: Annotated[int, Field(ge=1, le=25, description="At most; call again to go on")],
    account: AnyAccount = None,
) -> Annotated[CallToolResult, WaitResult]:
    """Wait for an alert, a fill, or any change of orders and positions."""
    from ct_mcp.desk.waiting import wait_for_news  # noqa: PLC0415  # the desk is loaded by the first call

    context = context_of(ctx)
    desk, silence = context.desk, context.live
    name = None if account is None else (await desk.resolver.account(account)).name
    news = await wait_for_news(desk, silence, seconds, name, context.board.heard)
    structure = WaitResult(
        read_at=iso(desk.clock()) or "", notes=list(news.notes), waited_seconds=news.waited, happened=list(news.lines)
    )
    head = f"waited {news.waited:.0f} s: {'this happened' if news.lines else 'nothing happened'}"
    return tool_result(join_lines((head, *news.lines, *(f"note: {note}" for note in news.notes))), structure)


def _view(watch: Watch) -> WatchView:
    return WatchView(
        watch_id=watch.watch_id,
        kind=watch.kind,
        account=sanitize_name(watch.account) or None,
        does=sanitize_name(watch.words, 200),
        set_at=iso(watch.made_at) or "",
        ends_at=iso(watch.until) or "",
        sent=len(watch.parts),
        ends_by="the person" if watch.only_the_person_ends_it else "end_watch",
    )


def _line(it: WatchView) -> str:
    sent = f"sent {it.sent} times" if it.sent else ""
    parts = (it.watch_id, it.account or "", it.does, sent, f"until {it.ends_at}", f"ended by {it.ends_by}")
    return join_cells(part for part in parts if part)


def _notice_line(notice: Notice) -> str:
    return f"{iso(notice.at)}  {sanitize_name(notice.words, 400)}"
