"""The pages of a server: one for each ticket, served from the first on, each opened in the person's browser once."""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import anyio
from anyio.abc import TaskGroup, TaskStatus

from ct_mcp.console.app import console_app
from ct_mcp.console.browser import Browse, shown, signpost
from ct_mcp.console.keys import Keys
from ct_mcp.console.ports import ConsoleStore
from ct_mcp.console.serving import listening, served
from ct_mcp.desk.desk import Desk
from ct_mcp.domain.ticket import Ticket

# A browser that was not running yet takes its time; the call that waits for the person has not much to give.
COMES_WITHIN_SECONDS = 8.0
_COMES_AT_ALL_SECONDS = 60.0


@dataclass
class Pages:
    """The approval pages of one desk, on loopback, as long as the task group lives."""

    desk: Desk
    store: ConsoleStore
    browse: Browse
    folder: Path
    tasks: TaskGroup
    comes_within_seconds: float = COMES_WITHIN_SECONDS
    _authority: str = ""
    _tokens: dict[str, str] = field(default_factory=dict)
    _turn: anyio.Lock = field(default_factory=anyio.Lock)

    def __post_init__(self) -> None:
        self.keys = Keys(self.desk.clock)

    async def open(self, ticket: Ticket) -> bool:
        """Open the page of a ticket, if that was not done before; says whether a browser has come to it."""
        async with self._turn:
            if not self._authority:
                self._authority = await self.tasks.start(self._serve)
        if ticket.ticket_id not in self._tokens:
            token = self._tokens[ticket.ticket_id] = self.keys.issue(ticket.ticket_id, ticket.expires_at)
            gave_up = anyio.Event()
            self.tasks.start_soon(self._show, token, gave_up)
            with anyio.move_on_after(self.comes_within_seconds):
                await gave_up.wait()
        return self.keys.has_come(self._tokens[ticket.ticket_id]).is_set()

    async def _show(self, token: str, done: anyio.Event) -> None:
        """Show the way to the page; a slow browser still finds it when nobody waits for it any more."""
        async with signpost(self.folder, f"http://{self._authority}/open/{token}") as file:
            await shown(file, self.browse, self.keys.has_come(token), _COMES_AT_ALL_SECONDS)
        done.set()

    async def _serve(self, *, task_status: TaskStatus[str]) -> None:
        async with served(partial(console_app, self.desk, self.store, self.keys), listening()) as authority:
            task_status.started(authority)
            await anyio.sleep_forever()
