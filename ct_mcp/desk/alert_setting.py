"""Sets what only tells, and ends watches where somebody asks for it. None of it sends anything."""

from dataclasses import dataclass, replace
from datetime import datetime

from ct_mcp.desk.alerts import EXECUTIONS, SEEN_FOR_SECONDS, has_come
from ct_mcp.desk.floor_alert import KnowsFloors, above_floor, drawdown_of
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.ports import Store
from ct_mcp.domain.products import price_of
from ct_mcp.domain.watch import AlertOn, Watch, WatchKind, WatchState
from ct_mcp.errors import BadRequest, CtMcpError
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.text import command, money, one_line


@dataclass(frozen=True, slots=True)
class _Stands:
    """How what an alert looks at stands now; ``unknown`` where that is not known.

    ``executions`` are the ids of those that there were before one on fills; None where they were not read.
    """

    words: str = ""
    is_so: bool = False
    unknown: bool = False
    executions: tuple[str, ...] | None = None


async def set_alert(desk: KnowsFloors, watch: Watch) -> Outcome:
    """Keep an alert, and read it back with how it stands now: ``ES 12-26 >= 6420, now 6410.25``.

    What is not known when it is set is told here, so it need not be told again until it is known.

    Raises:
        NeedsRoom: So many watch already.
        BadRequest: It is about a floor, and the account has none.
    """
    now = await _stands(desk, watch)
    watch = replace(watch, state=WatchState.WARNED) if now.unknown else watch
    words = ", ".join(filter(None, (watch.words, now.words)))
    line = one_line(f"{watch.account}  watch {watch.watch_id}: {words}".strip())
    seen = {} if now.executions is None else {EXECUTIONS: list(now.executions)}
    entry = NewEntry(EntryKind.WATCH_SET, line, watch.account or None, detail={"watch": watch.watch_id, **seen})
    await desk.store.open_watch(watch, desk.policy.watches.most, (entry,), desk.clock())
    return Outcome(
        Status.SET,
        f"ALERT  {words}",
        simulated=True,
        reasons=(f"watch {watch.watch_id}: {words}",),
        warnings=("it is so already, and will be told at once",) if now.is_so else (),
        next_step="wait_for waits for it; every later answer tells it once; end_watch ends it",
    )


async def _stands(desk: KnowsFloors, watch: Watch) -> _Stands:
    """Say how it stands now, and whether it is so already; what cannot be read is said to be so."""
    try:
        if watch.on is AlertOn.PRICE and watch.instrument is not None:
            (quote,) = await desk.upstream.quotes([str(watch.instrument)])
            return _Stands(f"now {price_of(watch.instrument, quote.last)}", has_come(watch, quote.last))
        if watch.on is AlertOn.PNL:
            pnl = (await desk.upstream.account(watch.account)).balances.day_pnl
            return _Stands(f"now {money(pnl)}", has_come(watch, pnl))
        if watch.on is AlertOn.FILL:
            before = await desk.upstream.executions(watch.account, SEEN_FOR_SECONDS)
            return _Stands(executions=tuple(fill.execution_id for fill in before))
    except CtMcpError as error:
        return _Stands(f"how it stands now could not be read: {error.what}")
    if watch.on is AlertOn.ROOM:
        room = await above_floor(desk, watch.account, drawdown_of(desk.policy, watch.account))
        return _Stands(f"now {room.words}", has_come(watch, room.left), unknown=bool(room.unknown))
    return _Stands()


async def end_by_request(store: Store, watch_id: str, by: str, now: datetime, *, is_person: bool) -> str:
    """End a watch, and say so on every channel.

    Raises:
        BadRequest: There is none of that id, it is over, or only the person may end it.
    """
    watch = await store.watch(watch_id)
    if watch is None or watch.state is WatchState.OVER:
        raise BadRequest(f"no watch {watch_id[:64]!r} goes on; get_watches lists those that do")
    if watch.only_the_person_ends_it and not is_person:
        what = "a time to be flat by" if watch.kind is WatchKind.FLAT_BY else "what their settings do"
        how = command("watch", "--end", watch.watch_id)
        raise BadRequest(f"only the person ends {what}, with `{how}` or in the console")
    words = one_line(f"{watch.account}  watch {watch.watch_id} was ended by {by}: {watch.words}".strip())
    entry = NewEntry(EntryKind.WATCH_OVER, words, watch.account or None, detail={"watch": watch.watch_id, "by": by})
    await store.turn_watch(watch, WatchState.OVER, entry, now)
    return words
