"""The stored text of a ticket, taken apart so that it can be read at a glance. Nothing is added, nothing is lost."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ct_mcp.desk.question import clean
from ct_mcp.domain.ticket import Ticket

_RISK = re.compile(r"Value (?P<value>\S+), risk (?P<risk>\S+) over (?P<ticks>.+) ticks \((?P<unit>.+)\)")
_MARKET = re.compile(r"Market at (?P<at>\S+) (?P<when>.+)")
_MONTH = re.compile(r"(?P<what>.*?\b\d\d-\d\d)\b(?P<how>.*)")
_FACTS = (
    ("Position", re.compile(r"Position (?P<now>.+) now, (?P<after>.+) after")),
    ("Contract month", re.compile(r"Contract month (?P<month>.+)")),
)
_INSTRUCTIONS = ("To send it, type:", "Anything else sends nothing.")
_CAUTIONS = ("CAUTION", "Not checked", "Could not", "What stands now could not")


@dataclass(frozen=True, slots=True)
class Fact:
    """One figure with its name; ``aside`` says more about it."""

    name: str
    figure: str
    aside: str = ""


@dataclass(frozen=True, slots=True)
class Words:
    """What the person reads. ``lines`` are those of the question that have no place of their own, as they stand."""

    account: str
    verb: str
    rest: str
    facts: tuple[Fact, ...]
    cautions: tuple[str, ...]
    lines: tuple[str, ...]

    @property
    def what_and_how(self) -> tuple[str, str]:
        """What follows the verb, parted behind the contract: how much of what, and how."""
        found = _MONTH.fullmatch(self.rest)
        return (found["what"], found["how"].strip()) if found else (self.rest, "")

    @property
    def order(self) -> str:
        """All of the action in one line, ``BUY 2 ES 12-26 MARKET``."""
        return f"{self.verb} {self.rest}".strip()


def words_of(ticket: Ticket) -> Words:
    """Take the summary and the question of a ticket apart."""
    account = clean(ticket.action.account)
    _, _, told = ticket.summary.partition("  ")
    order = told.removeprefix(account).strip()
    verb, _, rest = order.partition(" ")
    facts: list[Fact] = []
    cautions: list[str] = []
    lines: list[str] = []
    for line in _consequences(ticket.question, told):
        if found := _facts_in(line):
            facts += found
        else:
            (cautions if line.startswith(_CAUTIONS) else lines).append(line)
    return Words(account, verb, rest, tuple(facts), tuple(cautions), tuple(lines))


def _consequences(question: str, told: str) -> Iterable[str]:
    _, *lines = question.splitlines() or [""]
    return (line for line in lines if line.strip() and line != told and not line.startswith(_INSTRUCTIONS))


def _facts_in(line: str) -> list[Fact]:
    if found := _RISK.fullmatch(line):
        over = f"{found['unit']} over {found['ticks']} ticks"
        return [Fact("Risk", found["risk"], over), Fact("Value", found["value"], found["unit"])]
    if found := _MARKET.fullmatch(line):
        return [Fact("Market", found["at"], found["when"])]
    for name, pattern in _FACTS:
        if found := pattern.fullmatch(line):
            return [Fact(name, " → ".join(found.groups()))]
    return []
