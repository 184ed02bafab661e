"""Forms that a client of the older protocols shows: each is a request of ours that may outlive the call that made it.

A client gives up on a call after a minute, a person may need longer. So the form belongs to its ticket and not to the
call: whoever asks about the ticket again waits for the same form, and the answer is taken when it comes.

It stands apart from `elicitation`, which asks and decides: nothing here knows what a form holds.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import anyio
from anyio.abc import TaskGroup
from mcp.shared.exceptions import MCPError
from mcp_types import ElicitResult

# Who is just typing when the ticket expires may finish, and hears that it was too late; then the form is withdrawn.
TYPES_ON_SECONDS = 30.0

_log = logging.getLogger(__name__)

Show = Callable[[], Awaitable[ElicitResult]]
Take = Callable[[ElicitResult | None], Awaitable[None]]
"""Decides the ticket by what was answered; None where the client failed to ask."""


@dataclass
class OpenForm:
    """One form: whether its answer was taken, and the failure that kept it from being taken."""

    taken: anyio.Event = field(default_factory=anyio.Event)
    failure: Exception | None = None

    async def is_taken_within(self, seconds: float) -> bool:
        """Wait so long for the answer; says whether it was taken."""
        with anyio.move_on_after(seconds):
            await self.taken.wait()
        return self.taken.is_set()


@dataclass
class OpenForms:
    """The forms that are shown now, by their tickets."""

    _forms: dict[str, OpenForm] = field(default_factory=dict)
    _tasks: list[TaskGroup] = field(default_factory=list)

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Keep forms open while the block runs, whatever becomes of the calls that showed them."""
        async with anyio.create_task_group() as tasks:
            self._tasks.append(tasks)
            try:
                yield
            finally:
                self._tasks.remove(tasks)
                tasks.cancel_scope.cancel()

    def shown(self, ticket_id: str, seconds: float, show: Show, take: Take) -> OpenForm:
        """Show the form of a ticket unless it is shown already."""
        if ticket_id not in self._forms:
            self._forms[ticket_id] = OpenForm()
            self._tasks[-1].start_soon(self._ask, ticket_id, seconds + TYPES_ON_SECONDS, show, take)
        return self._forms[ticket_id]

    async def _ask(self, ticket_id: str, seconds: float, show: Show, take: Take) -> None:
        answer: ElicitResult | None = None
        try:
            with anyio.move_on_after(seconds) as waiting:
                with suppress(MCPError):
                    answer = await show()
            if not waiting.cancelled_caught:
                await take(answer)
        except Exception as failure:  # noqa: BLE001  # for whoever waits: it must not end the connection of them all
            _log.warning("The answer to a form could not be taken: %s", type(failure).__name__)
            self._forms[ticket_id].failure = failure
        finally:
            self._forms.pop(ticket_id).taken.set()
