"""What all handlers of one server share, and how they reach the desk.

The desk is built by the first call that needs it: listing tools needs no network, token or disk.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from anyio import CancelScope, Event, Lock, Semaphore, create_task_group, move_on_after, sleep
from anyio.abc import TaskGroup
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp_types import CallToolResult

from ct_mcp.domain.approval import Ticket
from ct_mcp.domain.watch import Notice
from ct_mcp.errors import ConfigError, CtMcpError
from ct_mcp.guard.policy import Policy
from ct_mcp.live.cache import LiveCache
from ct_mcp.server.notices import NoticeBoard, with_notices
from ct_mcp.server.open_forms import OpenForms
from ct_mcp.server.queries import Query
from ct_mcp.server.unheard_calls import UnheardCalls

if TYPE_CHECKING:  # the desk is loaded by the first call, not by the start
    from ct_mcp.desk.desk import Desk

_MENDING = (
    "tell the person each fault: this server does nothing before they mend the settings (the settings file, or the "
    "entry of ct-mcp in their client) and start it again from the client; nothing here can mend them"
)
_LOOK_EVERY_SECONDS, _LOOK_WHILE_IDLE_SECONDS = 1.0, 3.0
_MOST_LOOKS_AT_ONCE = 8
_BOOK_EVERY_SECONDS, _BOOK_BEGINS_SECONDS = 5.0, 60.0
_TELLS_WITHIN_SECONDS = 1.0
_TEAM_EVERY_SECONDS = 1.5
_REPORT_BEGINS_SECONDS, _REPORT_EVERY_SECONDS, _REPORT_NOT_WITHIN_SECONDS = 2.0, 5.0, 1.0
_log = logging.getLogger(__name__)
ToolContext = Context["ServerContext", Any]
"""The context of one call, as the SDK hands it to a handler."""
OpenPage = Callable[[Ticket, float], Awaitable[bool]]
"""Opens the approval page of a ticket in the person's browser, once, and waits so many seconds at most for it.

Says whether the browser came to it.
"""


class _Beside:
    """What runs beside the handlers. It is ended task by task: whoever waits for the end is not cancelled with it.

    The SDK may leave a cancellation behind in the task that serves, and another one could not be told from it.
    """

    def __init__(self, tasks: TaskGroup) -> None:
        self._tasks = tasks
        self._scopes: set[CancelScope] = set()
        self._has_ended = False

    def start(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run it until the end."""
        self._tasks.start_soon(self._run, work)

    async def _run(self, work: Callable[[], Awaitable[None]]) -> None:
        if self._has_ended:
            return
        with CancelScope() as scope:
            self._scopes.add(scope)
            try:
                await work()
            finally:
                self._scopes.discard(scope)

    def end(self) -> None:
        """End all of it."""
        self._has_ended = True
        for scope in tuple(self._scopes):
            scope.cancel()


class ServerContext:
    """What all handlers of one server share: desk, live view, policy, toolsets, and how pages are opened.

    With ``faults`` in the settings there is no desk: whatever is asked is answered with them. The
    status tells the ``notes``.
    """

    def __init__(
        self,
        build_desk: Callable[[], "Desk"],
        policy: Policy,
        *,
        toolsets: frozenset[str] = frozenset({"read", "trade"}),
        close: Callable[[], Awaitable[None]] | None = None,
        open_page: OpenPage | None = None,
    ) -> None:
        """Build nothing yet; ``close`` releases what ``build_desk`` opened.

        Without ``open_page`` no browser is ever opened, and the person approves at a terminal.
        """
        self._build_desk = build_desk
        self._close = close
        self.faults = ""
        self.notes: tuple[str, ...] = ()
        self._live: Callable[[], LiveCache] | None = None
        self.open_page = open_page
        self.policy = policy
        self.toolsets = toolsets
        self.has_team = False
        self.report: Callable[[], Awaitable[None]] | None = None
        self.has_begun: Callable[[], Awaitable[None]] | None = None
        self._to_report, self._one_follows, self._one_reports = Event(), Lock(), Lock()
        self.forms_never_shown: set[str] = set()
        self.pages_opened: set[str] = set()
        self.open_forms = OpenForms()
        self.answered_too_late: set[str] = set()
        self.unheard = UnheardCalls()
        self._beside: list[_Beside] = []
        self.owes_exits: Callable[[], Awaitable[bool]] | None = None
        self.keeps_book: Callable[[], Awaitable[bool]] | None = None
        self._notices: NoticeBoard | None = None
        self.on_notice: list[Callable[[], None]] = []
        self.on_written: list[Callable[[], None]] = []
        self._heard = 0
        self._journal_end: int | None = None

    @property
    def desk(self) -> "Desk":
        """The one desk of this process."""
        return self._built[0]

    def fed_by(self, live: Callable[[], LiveCache]) -> "ServerContext":
        """Serve reads from a live view that a stream feeds; without one everything is read by request."""
        self._live = live
        return self

    @property
    def live(self) -> LiveCache:
        """What is known between two reads. What we send ends what was known of that account at once."""
        return self._built[1]

    def refuse_with_faults(self) -> None:
        """Let nothing be asked of a server that has no settings.

        Raises:
            ConfigError: The settings have faults.
        """
        if self.faults:
            raise ConfigError(self.faults, next_step=_MENDING)

    @cached_property
    def _built(self) -> tuple["Desk", LiveCache]:
        self.refuse_with_faults()
        desk = self._build_desk()
        view = self._live() if self._live else LiveCache(desk.clock)
        view.name_of = desk.name_of
        desk.on_sent.append(view.sent)
        desk.contexts.hear_quotes(view)
        desk.warm.listen(view)
        desk.exit_watch.listen(view)
        desk.recorder.listen(view)
        desk.store.wakes.hear.append(self.wrote)
        if self.has_team:
            desk.team.on_change += (self.wrote, self._report_soon)
            desk.on_sent.append(self._report_soon)
            view.on_news(desk.seen.hear)
        return desk, view

    def keep_warm(self, ticket: Ticket) -> None:
        """Keep the review of an open ticket fresh from now on, whatever becomes of the call that asks."""
        if self._beside:
            self._beside[-1].start(partial(self.desk.warm.keep, ticket))

    async def _watch_exits(self) -> None:
        """Give entries their exits as they fill, also those of a process that is no more; nothing else builds a desk.

        While nobody has called a tool it is enough to look every few seconds.
        """
        if self.owes_exits is None:
            return
        async with create_task_group() as looks:
            at_once = Semaphore(_MOST_LOOKS_AT_ONCE)
            while True:
                is_built = "_built" in self.__dict__
                await sleep(_LOOK_EVERY_SECONDS if is_built else _LOOK_WHILE_IDLE_SECONDS)
                await at_once.acquire()
                looks.start_soon(self._look_at_exits, at_once, self.owes_exits)

    async def _look_at_exits(self, at_once: Semaphore, owes_exits: Callable[[], Awaitable[bool]]) -> None:
        """Look once; the next look does not wait for it, since an answer that does not come would bare the others."""
        try:
            if await owes_exits():
                await self.desk.exit_watch.look()
            await self.hear_notices()
            await self.hear_journal()
        except Exception:  # noqa: BLE001  # a failing store must not end the server that tells of it
            _log.warning("What entries are owed could not be looked at", exc_info=True)
        finally:
            at_once.release()

    async def _keep_book(self) -> None:
        """Keep the record of executions; where nobody has called a tool it begins a while after the start."""
        waited = 0.0
        while self.keeps_book is not None:
            await sleep(_BOOK_EVERY_SECONDS)
            waited += _BOOK_EVERY_SECONDS
            try:
                if ("_built" in self.__dict__ or waited >= _BOOK_BEGINS_SECONDS) and await self.keeps_book():
                    await self.desk.recorder.look()
            except Exception:  # noqa: BLE001  # logged; what is only recorded must not end what trades
                _log.warning("The book could not be kept", exc_info=True)

    async def _follow_team(self) -> None:
        """Hear the team while the server is used, and what a second person says of what waits for them."""
        while self.has_team:
            await sleep(_TEAM_EVERY_SECONDS)
            if "_built" in self.__dict__ and not self._one_follows.locked():
                async with self._one_follows:  # of all connections of this process
                    await self._or_logged(self._heard_team)

    async def _heard_team(self) -> None:
        await self.desk.team.hear()
        await self.desk.second_yes.look_at_all()

    async def _report_to_team(self) -> None:
        """Tell the team's plane how this machine stands: every few seconds, and soon after a change."""
        if self.has_begun is not None:
            await self.has_begun()
        await sleep(_REPORT_BEGINS_SECONDS)
        while self.report is not None:
            self._to_report = Event()
            if not self._one_reports.locked():
                async with self._one_reports:
                    await self._or_logged(self.report)
                    await sleep(_REPORT_NOT_WITHIN_SECONDS)
            with move_on_after(_REPORT_EVERY_SECONDS):
                await self._to_report.wait()

    def _report_soon(self, *_: object) -> None:
        self._to_report.set()

    async def _or_logged(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do it; a team, or a store, that cannot be reached must not end the server that tells of it."""
        try:
            await work()
        except CtMcpError as failed:
            _log.debug("The team could not be followed: %s", failed.what)
        except Exception:  # noqa: BLE001  # logged; the next time may do
            _log.warning("The team could not be followed", exc_info=True)

    async def hear_notices(self) -> None:
        """Tell those who subscribe that a watch has told something, in whatever process it runs."""
        if not self.on_notice:
            return
        newest = await self.desk.store.notices(self._heard, 1)
        if newest:
            self._heard = newest[-1].number
            for hear in tuple(self.on_notice):
                hear()

    async def hear_journal(self) -> None:
        """Tell those who subscribe that somebody has written to the journal; of what is rare they hear at once."""
        if not self.on_written:
            self._journal_end = None
            return
        newest = await self.desk.store.entries(1)
        before, self._journal_end = self._journal_end, newest[0].sequence if newest else 0
        if before not in (None, self._journal_end):
            self.wrote()

    @property
    def board(self) -> NoticeBoard:
        """What watches have told, and how much of it stood in an answer."""
        if self._notices is None or self._notices.store is not self.desk.store:
            self._notices = NoticeBoard(self.desk.store)
        return self._notices

    async def told_beside(self, result: CallToolResult) -> CallToolResult:
        """Put into an answer what watches have told since the last one; whatever fails there, the answer stays."""
        if "_built" not in self.__dict__:
            return result
        told: tuple[Notice, ...] = ()
        try:
            with move_on_after(_TELLS_WITHIN_SECONDS, shield=True):  # an answer that is there goes out, also at the end
                told = await self.board.untold()
        except Exception:  # noqa: BLE001  # logged; what was done must be told
            _log.warning("What watches have told could not be read", exc_info=True)
            return result
        return with_notices(result, told) if told else result

    def wrote(self) -> None:
        """Tell whoever shows the journal that a call has ended which may have written to it."""
        for hear in tuple(self.on_written):
            hear()

    def query(self) -> Query:
        """Begin the reads of one answer that is only shown, served from the live view where it knows."""
        return Query(self.desk, self.live)

    async def close(self) -> None:
        """Close connections and files, if any were opened."""
        if self._close is not None and ("_built" in self.__dict__ or self.has_team):
            await self._close()

    @asynccontextmanager
    async def lifespan(self, _: MCPServer["ServerContext"]) -> AsyncIterator["ServerContext"]:
        """Last as long as the server runs."""
        try:
            async with self.open_forms.kept(), create_task_group() as tasks:
                beside = _Beside(tasks)
                self._beside.append(beside)
                beside.start(self._watch_exits)
                beside.start(self._keep_book)
                beside.start(self._follow_team)
                beside.start(self._report_to_team)
                try:
                    yield self
                finally:
                    self._beside.remove(beside)
                    beside.end()
        finally:
            await self.close()


def context_of(ctx: ToolContext) -> ServerContext:
    """Give a handler what the server was built with."""
    return ctx.request_context.lifespan_context


def desk_of(ctx: ToolContext) -> "Desk":
    """Give a handler the desk."""
    return context_of(ctx).desk


def query_of(ctx: ToolContext) -> Query:
    """Begin the reads of one answer, for a handler."""
    return context_of(ctx).query()
