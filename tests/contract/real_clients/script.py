"""What the model of these runs does: it looks for the order's tools, calls them in order, and says what came of it.

It keeps nothing between two requests, since clients repeat and resume them: everything it decides on stands in the
request. It knows nothing of any wire; `wires` reads requests for it and writes what it says.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PROMPT = "Buy 2 MES in Sim101 with ct-mcp, at market, stop 10 points, target 20 points."
CONTRACTS = 2
ORDER = {
    "account": "Sim101",
    "instrument": "MES",
    "action": "BUY",
    "quantity": CONTRACTS,
    "order_type": "MARKET",
    "stop_loss": "10 points",
    "take_profit": "20 points",
}
LAST_WORDS = "That is what ct-mcp told me"
MOST_CONFIRMS = 8
"""A ticket lives for ninety seconds, and a call waits for a part of them."""
_TICKET = re.compile(r'"ticket_id"\s*:\s*"([^"]+)"|ticket[_ ](?:id[: ]+)?([A-Za-z0-9_-]{6,})')
BY_NAME = "tool_call"
"""The tool of a client that calls another by its name, once that was found."""
SEARCHES = ("ToolSearch", "tool_search")


@dataclass(frozen=True, slots=True)
class Offered:
    """A tool that the client offers; ``space`` is the namespace that it stands in, where the wire has such."""

    name: str
    space: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a tool that was called before has answered, as far as the client lets the model see it."""

    tool: str
    text: str


@dataclass(frozen=True, slots=True)
class Asked:
    """One request of a client, as every wire has it."""

    text: str
    tools: tuple[Offered, ...] = ()
    answers: tuple[Answer, ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """The model calls a tool."""

    tool: Offered
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Say:
    """The model says something, and its turn is over."""

    text: str


Step = Call | Say


def next_step(asked: Asked) -> Step:
    """Decide what the model does next."""
    if PROMPT not in asked.text or not asked.tools:
        return Say("Order")  # the client wants a title, a summary, or to know whether this is a new topic
    placed = _answers_of(asked, "place_order")
    if not placed:
        return _call(asked, "place_order", ORDER)
    confirmed = _answers_of(asked, "confirm_ticket")
    ticket = next(filter(None, map(_ticket_in, (*placed, *confirmed))), None)
    if ticket is None or len(confirmed) >= MOST_CONFIRMS or (confirmed and not waits(confirmed[-1])):
        return Say(f"{LAST_WORDS}: {(*placed, *confirmed)[-1]}")
    return _call(asked, "confirm_ticket", {"ticket_id": ticket})


def waits(answer: str) -> bool:
    """Say whether a ticket is open after this answer, by the name of its status or by the words of the text half."""
    return "needs_approval" in answer or "NEEDS APPROVAL" in answer.upper()


def offered(asked: Asked, names: frozenset[str]) -> set[str]:
    """Give those of our tools' names that a request offers, or only names under the name of this server."""
    named = set(re.findall(r"ct[-_]mcp[-_]+([a-z_]+)", asked.text))
    return {name for name in names if name in named or _tool(asked, name) is not None}


def _answers_of(asked: Asked, name: str) -> list[str]:
    return [answer.text for answer in asked.answers if answer.tool.endswith(name)]


def _call(asked: Asked, name: str, arguments: Mapping[str, Any]) -> Step:
    """Call a tool of ct-mcp, after a search where the client lets the model see names only."""
    tool = _tool(asked, name)
    if tool is not None:
        return Call(tool, arguments)
    search = next((tool for tool in asked.tools if tool.name in SEARCHES), None)
    if search is None or len(_answers_of(asked, search.name)) > 2:
        return Say(f"{LAST_WORDS}: {name} is not among its {len(asked.tools)} tools")
    written = re.search(rf"[\w-]*ct[-_]mcp[-_]+{name}\b", asked.text)
    deferred = written[0] if written else name
    caller = next((tool for tool in asked.tools if tool.name == BY_NAME), None)
    if caller is not None and _answers_of(asked, search.name):
        return Call(caller, {"name": deferred, "arguments": dict(arguments)})
    return Call(search, {"query": f"select:{deferred}"})


def _tool(asked: Asked, name: str) -> Offered | None:
    """Find a tool under the name that the client gave it: ours alone, or behind the name of the server."""
    known = re.compile(rf"(?:.*ct[-_]mcp[-_]+)?{name}")
    return next((tool for tool in asked.tools if known.fullmatch(tool.name)), None)


def _ticket_in(text: str) -> str | None:
    found = _TICKET.search(text.replace('\\"', '"'))
    return None if found is None else found[1] or found[2]


def as_text(value: object) -> str:
    """Give the words of whatever a wire carries as the content of a message or the answer of a tool."""
    match value:
        case None:
            return ""
        case str():
            return value
        case {"text": str(text)}:
            return text
        case list():
            return "\n".join(map(as_text, value))
    return json.dumps(value)
