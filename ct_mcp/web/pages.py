"""Serve a server's approval pages on loopback from the first ticket on, in one tab of the person's browser.

A further question is shown by the page that is open. A new one is opened only where no page is, or where the person has
not looked at it in time: its title counts what waits, which is all that a tab behind others can say.
"""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import anyio
from anyio.abc import TaskGroup, TaskStatus

from ct_mcp.desk.desk import Desk
from ct_mcp.desk.ports import Store
from ct_mcp.domain.approval import Ticket
from ct_mcp.net.asgi import listen, serve
from ct_mcp.web.app import web_app
from ct_mcp.web.browser import Browse, shown, signpost
from ct_mcp.web.entrance import ENTRANCE
from ct_mcp.web.sessions import HIDDEN_SECONDS, SessionStore

# A browser that was not running yet takes its time; the call that waits for the person has not much to give.
COMES_WITHIN_SECONDS = 8.0
_COMES_AT_ALL_SECONDS = 60.0


@dataclass
class Pages:
    """The approval pages of one desk, on loopback, as long as the task group lives."""

    desk: Desk
    store: Store
    browse: Browse
    folder: Path
    tasks: TaskGroup
    comes_within_seconds: float = COMES_WITHIN_SECONDS
    looks_within_seconds: float = HIDDEN_SECONDS
    _authority: str = ""
    _asked: set[str] = field(default_factory=set)
    _turn: anyio.Lock = field(default_factory=anyio.Lock)
    _opening: anyio.Lock = field(default_factory=anyio.Lock)

    def __post_init__(self) -> None:
        self.sessions = SessionStore(self.desk.clock)

    async def open(self, ticket: Ticket, within_seconds: float) -> bool:
        """Show a ticket in the page that is open, or else open one, once; says whether the person has come to it.

        It waits no longer for that than the call that asks has time; a browser that comes later still finds it.
        """
        async with self._turn:
            if not self._authority:
                self._authority = await self.tasks.start(self._serve)
        seen = self.sessions.seen(ticket.ticket_id)
        if ticket.ticket_id not in self._asked:
            self._asked.add(ticket.ticket_id)
            patience = min(self.looks_within_seconds, self.sessions.ask(ticket.ticket_id, ticket.expires_at))
            done = anyio.Event()
            self.tasks.start_soon(self._bring, ticket, patience, done)
            with anyio.move_on_after(min(patience + self.comes_within_seconds, within_seconds)):
                await done.wait()
        return seen.is_set()

    async def _bring(self, ticket: Ticket, patience: float, done: anyio.Event) -> None:
        """Wait until the person looks at the page that is open; if they do not, open another.

        One browser at a time is on its way: it comes to all that is asked by then.
        """
        seen = self.sessions.seen(ticket.ticket_id)
        with anyio.move_on_after(patience):
            await seen.wait()
        async with self._opening:
            if not seen.is_set():
                await self._show(self.sessions.issue(ticket.ticket_id, ticket.expires_at))
        done.set()

    async def _show(self, token: str) -> None:
        """Show the way to the page; a slow browser still finds it when nobody waits for it any more."""
        async with signpost(self.folder, f"http://{self._authority}{ENTRANCE}{token}") as file:
            await shown(file, self.browse, self.sessions.has_come(token), _COMES_AT_ALL_SECONDS)

    async def _serve(self, *, task_status: TaskStatus[str]) -> None:
        async with serve(partial(web_app, self.desk, self.store, self.sessions), listen()) as authority:
            task_status.started(authority)
            await anyio.sleep_forever()
