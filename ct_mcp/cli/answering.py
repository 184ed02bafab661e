"""Answers the server's question in the demo: the person at the terminal, or the demo's own client in their place."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import anyio
from mcp.client import ClientRequestContext
from mcp_types import ElicitRequestFormParams, ElicitRequestParams, ElicitResult

from ct_mcp.cli.screen import Screen
from ct_mcp.cli.terminal import typed

_ASKED_FOR = "type:"
_ALL = 99


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody at the terminal, and the time they get."""

    read: Callable[[str], Awaitable[str]] = typed
    patience_seconds: float = 80.0  # a little less than a ticket lives
    pause_seconds: float = 1.0
    shown_seconds: float = 1.6  # whoever declines faster counts as a client that has shown nothing


class Answering:
    """What a client that shows forms calls. Without a person it answers by itself; ``silent`` says that nobody did."""

    def __init__(self, screen: Screen, person: Person | None) -> None:
        self._screen = screen
        self.person = person
        self.silent = False

    async def __call__(self, context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        """Show the question and bring the answer."""
        if not isinstance(params, ElicitRequestFormParams):
            return ElicitResult(action="cancel")
        self._screen.quote(params.message.splitlines(), "person", rows=_ALL)
        if self.person is None:
            return _yes(self._in_place_of_the_person(params.message))
        return await self._asked(self.person)

    async def _asked(self, person: Person) -> ElicitResult:
        began = anyio.current_time()
        self._screen.detail("Your turn: type the text and press Enter. Anything else sends nothing.", "person")
        answer = None
        with anyio.move_on_after(person.patience_seconds):
            answer = await person.read("    > ")
        if answer is None:
            self._screen.say()
            self.silent = True
            return ElicitResult(action="cancel")
        if answer.casefold() not in ("", "no"):
            return _yes(answer)
        await anyio.sleep(max(0.0, began + person.shown_seconds - anyio.current_time()))
        return ElicitResult(action="decline")

    def _in_place_of_the_person(self, question: str) -> str:
        (asked_for,) = (line.partition(_ASKED_FOR)[2].strip() for line in question.splitlines() if _ASKED_FOR in line)
        self._screen.detail(f"The demo's own client answers in your place: {asked_for}", "person")
        return asked_for


def _yes(text: str) -> ElicitResult:
    return ElicitResult(action="accept", content={"answer": text})
