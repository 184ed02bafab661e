"""Sets what only tells, and ends watches where somebody asks for it. None of it sends anything."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from ct_mcp.desk.alerts import has_come
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.ports import Store, Upstream
from ct_mcp.domain.products import price_of
from ct_mcp.domain.watch import AlertOn, Watch, WatchKind, WatchState
from ct_mcp.errors import BadRequest, CtMcpError
from ct_mcp.guard.policy import Policy
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.text import command, money, one_line


class SetsAlerts(Protocol):
    """What of the desk it takes to set an alert."""

    upstream: Upstream
    store: Store
    policy: Policy
    clock: Callable[[], datetime]


async def set_alert(desk: SetsAlerts, watch: Watch) -> Outcome:
    """Keep an alert, and read it back with how it stands now: ``ES 12-26 >= 6420, now 6410.25``.

    Raises:
        NeedsRoom: So many watch already.
    """
    now_words, is_so = await _stands(desk, watch)
    words = ", ".join(filter(None, (watch.words, now_words)))
    line = one_line(f"{watch.account}  watch {watch.watch_id}: {words}".strip())
    entry = NewEntry(EntryKind.WATCH_SET, line, watch.account or None, detail={"watch": watch.watch_id})
    await desk.store.open_watch(watch, desk.policy.watches.most, (entry,), desk.clock())
    return Outcome(
        Status.SET,
        f"ALERT  {words}",
        simulated=True,
        reasons=(f"watch {watch.watch_id}: {words}",),
        warnings=("it is so already, and will be told at once",) if is_so else (),
        next_step="wait_for waits for it; every later answer tells it once; end_watch ends it",
    )


async def _stands(desk: SetsAlerts, watch: Watch) -> tuple[str, bool]:
    """Say how it stands now, and whether it is so already; what cannot be read is said to be so."""
    try:
        if watch.on is AlertOn.PRICE and watch.instrument is not None:
            (quote,) = await desk.upstream.quotes([str(watch.instrument)])
            return f"now {price_of(watch.instrument, quote.last)}", has_come(watch, quote.last)
        if watch.on is AlertOn.PNL:
            balances = (await desk.upstream.account(watch.account)).balances
            pnl = balances.day_pnl
            return f"now {money(pnl)}", has_come(watch, pnl)
    except CtMcpError as error:
        return f"how it stands now could not be read: {error.what}", False
    return "", False


async def end_by_request(store: Store, watch_id: str, by: str, now: datetime, *, is_person: bool) -> str:
    """End a watch, and say so on every channel.

    Raises:
        BadRequest: There is none of that id, it is over, or only the person may end it.
    """
    watch = await store.watch(watch_id)
    if watch is None or watch.state is WatchState.OVER:
        raise BadRequest(f"no watch {watch_id[:64]!r} goes on; get_watches lists those that do")
    if watch.kind is WatchKind.FLAT_BY and not is_person:
        how = command("watch", "--end", watch.watch_id)
        raise BadRequest(f"only the person ends a time to be flat by, with `{how}` or in the console")
    words = one_line(f"{watch.account}  watch {watch.watch_id} was ended by {by}: {watch.words}".strip())
    entry = NewEntry(EntryKind.WATCH_OVER, words, watch.account or None, detail={"watch": watch.watch_id, "by": by})
    await store.turn_watch(watch, WatchState.OVER, entry, now)
    return words
