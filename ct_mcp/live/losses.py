"""Hand the P&L that the stream tells to whoever notes a day's loss.

It stands alone because the cache hears without waiting, and a note is written to disk.
"""

from typing import TYPE_CHECKING

import anyio

from ct_mcp.crosstrade.stream.events import Event, PnlUpdate
from ct_mcp.live.cache import LiveCache

if TYPE_CHECKING:  # the desk is loaded by the first call, not by the start
    from ct_mcp.desk.day_losses import DayLosses

_MOST_WAITING = 1000


async def note_losses(cache: LiveCache, losses: "DayLosses") -> None:
    """Note what the stream tells, until this is cancelled; where updates pile up, the newest are passed over."""
    send, receive = anyio.create_memory_object_stream[PnlUpdate](_MOST_WAITING)

    def hear(event: Event) -> None:
        if isinstance(event, PnlUpdate) and send.statistics().current_buffer_used < _MOST_WAITING:
            send.send_nowait(event)

    stop = cache.on_news(hear)
    try:
        with send, receive:
            async for update in receive:
                if update.realized is not None and update.unrealized is not None:
                    await losses.note_pnl(update.account, update.realized, update.unrealized, update.at)
    finally:
        stop()
