"""How a watch sends, tells and ends: by a ticket that is made once, and by the road that everything goes."""

from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

import anyio

from ct_mcp.desk.exit_tries import Road
from ct_mcp.desk.journal_writer import Step
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.polling import AccountPoller
from ct_mcp.desk.ports import Store, Upstream
from ct_mcp.desk.reconcile import settle_outstanding
from ct_mcp.desk.story import story_of
from ct_mcp.desk.watch_tickets import Sends, Under, watch_ticket
from ct_mcp.domain.account import AccountKind
from ct_mcp.domain.lease import Holder
from ct_mcp.domain.order import Order
from ct_mcp.domain.watch import Watch, WatchState
from ct_mcp.errors import CtMcpError, TakenOver
from ct_mcp.guard.policy import Policy
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.text import one_line

_LEAVES_REQUESTS = 8


@dataclass(slots=True)
class WatchSender:
    """Sends for watches while its holder has the lease.

    ``kinds`` are the accounts that the settings speak of, ``looks`` the watches that are looked at just now, each by
    whoever held the lease as that look began.
    """

    upstream: Upstream
    store: Store
    policy: Policy
    road: Road
    kinds: dict[str, AccountKind] = field(default_factory=dict)
    looks: dict[str, Holder] = field(default_factory=dict)

    @property
    def poller(self) -> AccountPoller:
        """Look with the reserve, for what leaves at its time."""
        return AccountPoller(self.upstream.urgent(), self.road.pause)

    @property
    def patient(self) -> AccountPoller:
        """Look with the budget that everything has, for what can wait."""
        return AccountPoller(self.upstream, self.road.pause)

    async def has_room(self) -> bool:
        """Say whether the request budget has enough for what can wait: exits and the person's orders come first."""
        return (await self.upstream.allowance()).requests_left >= _LEAVES_REQUESTS

    def now(self) -> datetime:
        """Read the clock."""
        return self.road.clock()

    async def send(self, watch: Watch, command: Sends, order: Order | None = None) -> Outcome | None:
        """Send one thing, once; None where somebody else is about it, or the lease has run out meanwhile.

        What certainly never left reads as denied.
        """
        under = await self.store.ticket(watch.ticket_id) if watch.ticket_id else None
        if under is None and not watch.is_of_settings:  # pragma: no cover  # a ticket is never removed
            return None
        kind = self._kind_of(watch) if under is None or under.request is None else under.request.items[0].account_kind
        least = self.policy.approval_for(watch.account, kind, leaves=True)
        ticket = watch_ticket(watch, Under(under, kind, least), command, order, self.now())
        holder = self.looks.get(watch.watch_id, Holder(self.road.holder))
        if not await self.store.add_watch_part(watch, ticket, holder, self.now()):
            return None
        step = Step(ticket, holder=holder)
        try:
            with anyio.CancelScope(shield=True):
                outcome = await self.road.send(step)
        except TakenOver:
            return None
        except CtMcpError as error:
            return Outcome(Status.DENIED, step.summary, step.simulated, reasons=(error.what,))
        return outcome

    def _kind_of(self, watch: Watch) -> AccountKind:
        return self.kinds.get(watch.account, AccountKind.UNKNOWN)

    async def sent(self, watch: Watch, after: int = 0) -> list[Status]:
        """Tell what came of its sends that may have left, after so many of its parts."""
        came = list[Status]()
        for part in watch.parts[after:]:
            ticket = await self.store.ticket(part.ticket_id)
            told = None if ticket is None else (await story_of(self.store, ticket)).part(0, self.now())
            if told is not None and told.outcome is not None and told.outcome.status is not Status.DENIED:
                came.append(told.outcome.status)
        return came

    async def has_sent(self, watch: Watch) -> bool:
        """Say whether anything of it may have been sent."""
        return bool(await self.sent(watch))

    async def settle(self, account: str, *, only_exits: bool = True) -> None:
        """Find out what became of what was sent before: what may still come keeps the next from leaving."""
        road, reads = self.road, self.upstream.urgent()
        with suppress(CtMcpError):
            await settle_outstanding(reads, road.pause, self.store, road.clock, account, only_exits=only_exits)

    async def end(self, watch: Watch, words: str) -> None:
        """It does nothing any more, and says why."""
        line = one_line(f"{_head(watch)}{words}")
        await self.store.turn_watch(watch, WatchState.OVER, _entry(EntryKind.WATCH_OVER, watch, line), self.now())

    async def warn(self, watch: Watch, words: str) -> None:
        """Tell once that its time is near."""
        line = one_line(f"{_head(watch)}{words}")
        entry = _entry(EntryKind.WATCH_TOLD, watch, line)
        await self.store.turn_watch(watch, WatchState.WARNED, entry, self.now())

    async def go_on(self, watch: Watch, words: str) -> None:
        """Tell that what it could not see is seen again."""
        line = one_line(f"{_head(watch)}{words}")
        await self.store.turn_watch(watch, WatchState.OPEN, _entry(EntryKind.WATCH_TOLD, watch, line), self.now())

    async def tell(self, watch: Watch, words: str) -> None:
        """Tell something while it goes on."""
        line = one_line(f"{_head(watch)}{words}")
        await self.store.tell_of_watch(watch, _entry(EntryKind.WATCH_TOLD, watch, line), self.now())


def said(outcome: Outcome) -> str:
    """Say what became of a send, in one line."""
    parts = (outcome.alarm, outcome.status, *outcome.reasons, *outcome.warnings, *outcome.stands_now, outcome.next_step)
    return "; ".join(filter(None, parts))


def with_what_stands(words: str, outcome: Outcome) -> str:
    """Add to what a send has come to what must be read first, what stands by now, and what to do about it."""
    parts = (outcome.alarm, words, *outcome.warnings, *outcome.stands_now, outcome.next_step)
    return "; ".join(filter(None, parts))


def come_to(order: Order, outcome: Outcome) -> Order:
    """Give the order of a send as its outcome read it: it may have filled since it was looked at."""
    state, filled = outcome.order_state, outcome.filled_quantity
    return replace(order, state=state or order.state, filled=order.filled if filled is None else filled)


def _head(watch: Watch) -> str:
    where = f"{watch.account}  " if watch.account else ""
    return f"{where}watch {watch.watch_id} ({watch.kind}): "


def _entry(kind: EntryKind, watch: Watch, words: str) -> NewEntry:
    return NewEntry(
        kind,
        words,
        account=watch.account or None,
        ticket_id=watch.ticket_id or None,
        detail={"watch": watch.watch_id},
    )
