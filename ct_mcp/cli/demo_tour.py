"""How the demo walks: it asks tools as a client does, shows what the assistant would see, and answers the forms."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import anyio
from mcp import Client, MCPError
from mcp.client import ClientRequestContext
from mcp_types import CallToolResult, ElicitRequestFormParams, ElicitRequestParams, ElicitResult, TextContent

from ct_mcp.cli.screen import Screen
from ct_mcp.cli.terminal import read_line

CALL_SECONDS = 30.0
_ASKED_FOR = "type:"
_ALL_ROWS = 99
_LONGEST = 12


@dataclass(frozen=True, slots=True)
class PersonAtTerminal:
    """Somebody at the terminal, and the time they get."""

    read: Callable[[str], Awaitable[str]] = read_line
    patience_seconds: float = 80.0  # a little less than a ticket lives
    pause_seconds: float = 1.0
    shown_seconds: float = 1.6  # whoever declines faster counts as a client that has shown nothing


class FormAnswerer:
    """Answers forms as a client does, and without a person by itself; ``silent`` says that a person did not."""

    def __init__(self, screen: Screen, person: PersonAtTerminal | None) -> None:
        self._screen = screen
        self.person = person
        self.silent = False

    async def __call__(self, context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        """Show the question and bring the answer."""
        if not isinstance(params, ElicitRequestFormParams):
            return ElicitResult(action="cancel")
        self._screen.quote(params.message.splitlines(), "person", rows=_ALL_ROWS)
        if self.person is None:
            return _yes(self._in_place_of_the_person(params.message))
        return await self._ask(self.person)

    async def _ask(self, person: PersonAtTerminal) -> ElicitResult:
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


class TourMismatch(Exception):
    """Something else came than the tour tells of."""


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    """What a tool answered: the words, and the facts that are checked."""

    tool: str
    text: str
    facts: Mapping[str, Any]

    def expect(self, **wanted: object) -> None:
        """Check facts by their names.

        Raises:
            TourMismatch: One is missing, or another.
        """
        for name, value in wanted.items():
            if (found := self.facts.get(name, "nothing")) != value:
                raise TourMismatch(f"expected {name} {value!r}, found {found!r}. {self.tool} said: {self.first_line}")

    @property
    def first_line(self) -> str:
        """The words that matter most."""
        return self.text.partition("\n")[0]


@dataclass(frozen=True, slots=True)
class TourFailure:
    """Where the tour ended, and what came instead."""

    step: str
    what: str


class Tour:
    """One walk with one client; ``tickets`` are those of what was sent, for the step that reads the journal."""

    def __init__(self, client: Client, screen: Screen, answerer: FormAnswerer) -> None:
        self.client = client
        self.screen = screen
        self.answerer = answerer
        self.tickets: dict[str, str] = {}

    async def ask(
        self, tool: str, arguments: Mapping[str, Any], *, patience: float = CALL_SECONDS, rows: int = 2
    ) -> ToolAnswer:
        """Call a tool and show its answer, each line of it in so many rows of the screen at most.

        Raises:
            TourMismatch: It failed, or did not answer in time.
        """
        self.screen.detail(_as_called(tool, arguments), "quiet")
        self.screen.wait("waiting for the answer")
        answer = _answer_of(tool, await self._called(tool, arguments, patience))
        self.screen.quote(_shortened(answer.text.splitlines(), self.screen.marks.more), rows=rows)
        return answer

    async def _called(self, tool: str, arguments: Mapping[str, Any], patience: float) -> CallToolResult:
        try:
            with anyio.fail_after(patience):
                return await self.client.call_tool(tool, dict(arguments))
        except TimeoutError:
            raise TourMismatch(f"{tool} gave no answer within {patience:.0f} s.") from None
        except (MCPError, RuntimeError, ValueError) as error:  # refused by the server, or by the client's own checks
            raise TourMismatch(f"{tool} failed: {error}.") from error


@dataclass(frozen=True, slots=True)
class TourStep:
    """One thing to show: what it is, why it matters, and what does and checks it and says what was found."""

    title: str
    why: str
    play: Callable[[Tour], Awaitable[str]]


async def walk(tour: Tour, steps: Sequence[TourStep]) -> TourFailure | None:
    """Take every step; the first that turns out otherwise ends the tour."""
    for number, step in enumerate(steps, start=1):
        if number > 1 and tour.answerer.person:
            await anyio.sleep(tour.answerer.person.pause_seconds)  # to read; the request budget fills up meanwhile
        name = f"{number}/{len(steps)} {step.title}"
        tour.screen.say()
        tour.screen.say(name, "bold")
        tour.screen.detail(step.why)
        try:
            tour.screen.good(await step.play(tour))
        except TourMismatch as mismatch:
            return TourFailure(f"step {name}", str(mismatch))
    return None


def _answer_of(tool: str, result: CallToolResult) -> ToolAnswer:
    text = "\n".join(part.text for part in result.content if isinstance(part, TextContent))
    if result.is_error and result.structured_content is None:
        raise TourMismatch(f"{tool} answered: {text}")
    return ToolAnswer(tool, text, result.structured_content or {})


def _as_called(tool: str, arguments: Mapping[str, Any]) -> str:
    return f"{tool}({', '.join(f'{name}={value}' for name, value in arguments.items())})"


def _shortened(lines: list[str], more: str) -> list[str]:
    """Keep the head and the end of what is too long to show."""
    if len(lines) <= _LONGEST:
        return lines
    head, tail = _LONGEST // 2, _LONGEST // 2 - 1
    return [*lines[:head], more, *lines[-tail:]]
