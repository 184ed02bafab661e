"""Walks through the tour: asks a tool, shows what the assistant would see, and checks that it really happened."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import anyio
from mcp import Client, MCPError
from mcp_types import CallToolResult, TextContent

from ct_mcp.cli.answering import Answering
from ct_mcp.cli.screen import Screen

CALL_SECONDS = 30.0
_LONGEST = 12


class Differs(Exception):
    """Something else came than the tour tells of."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a tool answered: the words, and the facts that are checked."""

    tool: str
    text: str
    facts: Mapping[str, Any]

    def expect(self, **wanted: object) -> None:
        """Check facts by their names.

        Raises:
            Differs: One is missing, or another.
        """
        for name, value in wanted.items():
            if (found := self.facts.get(name, "nothing")) != value:
                raise Differs(f"expected {name} {value!r}, found {found!r}. {self.tool} said: {self.first_line}")

    @property
    def first_line(self) -> str:
        """The words that matter most."""
        return self.text.partition("\n")[0]


@dataclass(frozen=True, slots=True)
class Failure:
    """Where the tour ended, and what came instead."""

    step: str
    what: str


class Tour:
    """One walk with one client; ``tickets`` are those of what was sent, for the step that reads the journal."""

    def __init__(self, client: Client, screen: Screen, answering: Answering) -> None:
        self.client = client
        self.screen = screen
        self.answering = answering
        self.tickets: dict[str, str] = {}

    async def ask(
        self, tool: str, arguments: Mapping[str, Any], *, patience: float = CALL_SECONDS, rows: int = 2
    ) -> Told:
        """Call a tool and show its answer, each line of it in so many rows of the screen at most.

        Raises:
            Differs: It failed, or did not answer in time.
        """
        self.screen.detail(_as_called(tool, arguments), "quiet")
        self.screen.wait("waiting for the answer")
        told = _told(tool, await self._called(tool, arguments, patience))
        self.screen.quote(_shortened(told.text.splitlines(), self.screen.marks.more), rows=rows)
        return told

    async def _called(self, tool: str, arguments: Mapping[str, Any], patience: float) -> CallToolResult:
        try:
            with anyio.fail_after(patience):
                return await self.client.call_tool(tool, dict(arguments))
        except TimeoutError:
            raise Differs(f"{tool} gave no answer within {patience:.0f} s.") from None
        except (MCPError, RuntimeError, ValueError) as error:  # refused by the server, or by the client's own checks
            raise Differs(f"{tool} failed: {error}.") from error


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to show: what it is, why it matters, and how it is done and checked."""

    title: str
    why: str
    play: Callable[[Tour], Awaitable[str]]


async def walk(tour: Tour, steps: Sequence[Step]) -> Failure | None:
    """Take every step; the first that turns out otherwise ends the tour."""
    for number, step in enumerate(steps, start=1):
        if number > 1 and tour.answering.person:
            await anyio.sleep(tour.answering.person.pause_seconds)  # to read; the request budget fills up meanwhile
        name = f"{number}/{len(steps)} {step.title}"
        tour.screen.say()
        tour.screen.say(name, "bold")
        tour.screen.detail(step.why)
        try:
            tour.screen.good(await step.play(tour))
        except Differs as differs:
            return Failure(f"step {name}", str(differs))
    return None


def _told(tool: str, result: CallToolResult) -> Told:
    text = "\n".join(part.text for part in result.content if isinstance(part, TextContent))
    if result.structured_content is None:
        raise Differs(f"{tool} answered: {text}")
    return Told(tool, text, result.structured_content)


def _as_called(tool: str, arguments: Mapping[str, Any]) -> str:
    return f"{tool}({', '.join(f'{name}={value}' for name, value in arguments.items())})"


def _shortened(lines: list[str], more: str) -> list[str]:
    """The head and the end of what is too long to show."""
    if len(lines) <= _LONGEST:
        return lines
    head, tail = _LONGEST // 2, _LONGEST // 2 - 1
    return [*lines[:head], more, *lines[-tail:]]
