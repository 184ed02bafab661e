"""What the pages show of a ticket, as one typed value."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from ct_mcp.domain.approval import Approval, Finding, FindingKind, Ticket, TicketState
from ct_mcp.domain.commands import Command, PlaceOrder, headline, order_terms
from ct_mcp.domain.order import OrderAction
from ct_mcp.store.journal import Entry, EntryKind
from ct_mcp.text import one_line, sanitize

_LOOKS = {FindingKind.WARNING: "caution", FindingKind.COULD_NOT_VERIFY: "unverified", FindingKind.ASSUMPTION: "line"}
"""How findings look, the kinds in the order in which they are read."""
_SIDES = {OrderAction.BUY: ("▲", "buy"), OrderAction.SELL: ("▼", "sell")}


@dataclass(frozen=True, slots=True)
class Headline:
    """A command at a glance: of a new order its side, what, and how; everything else stands in ``subject`` alone."""

    subject: str
    side: OrderAction | None = None
    terms: str = ""

    @property
    def sign(self) -> str:
        """An arrow for buying and selling, which differ in sign, in colour and in the word."""
        return _SIDES[self.side][0] if self.side else ""

    @property
    def look(self) -> str:
        """How the side is coloured."""
        return _SIDES[self.side][1] if self.side else ""

    def __str__(self) -> str:
        return _joined(self.side or "", self.subject, self.terms)


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure with its name; ``detail`` says more about it."""

    name: str
    value: str
    detail: str = ""

    @property
    def slug(self) -> str:
        """The name as the style sheet has it."""
        return self.name.replace(" ", "-").lower()


@dataclass(frozen=True, slots=True)
class Remark:
    """One finding as it is shown."""

    kind: FindingKind
    text: str

    @property
    def label(self) -> str:
        """Its kind in words."""
        return self.kind.capitalize()

    @property
    def look(self) -> str:
        """How it looks, as the style sheet has it."""
        return _LOOKS[self.kind]


@dataclass(frozen=True, slots=True)
class ShownItem:
    """One command of a ticket.

    ``remarks`` are its findings, the warnings first; ``steps`` what is done one after the other; ``standing`` what the
    account holds and has working now; ``names`` hold the assistant's words, quoted.
    """

    account: str
    simulated: bool
    headline: Headline
    figures: tuple[Figure, ...]
    remarks: tuple[Remark, ...]
    steps: tuple[str, ...]
    standing: tuple[str, ...]
    names: tuple[str, ...] = ()

    @property
    def cautions(self) -> tuple[Remark, ...]:
        """The findings without the assumptions, for a list of many tickets."""
        return tuple(remark for remark in self.remarks if remark.kind is not FindingKind.ASSUMPTION)


@dataclass(frozen=True, slots=True)
class StoryStep:
    """One step in the life of a ticket, and what was said of it."""

    at: datetime
    text: str


@dataclass(frozen=True, slots=True)
class ShownTicket:
    """Everything that is shown of a ticket.

    ``rules`` are those that it passed. ``reason`` is the assistant's words, and nothing else here is.
    """

    ticket_id: str
    simulated: bool
    account: str
    summary: str
    headline: Headline
    items: tuple[ShownItem, ...]
    rules: tuple[str, ...]
    reason: str
    phrase: str
    needs_phrase: bool
    needs_pin: bool
    needs_second: bool
    state: TicketState
    asked_at: datetime
    seconds_left: int
    seconds_in_all: int
    story: tuple[StoryStep, ...]

    @property
    def version(self) -> str:
        """What the script compares, to know whether its card is still true; of an open one no step changes it."""
        return self.state.value if self.state is TicketState.OPEN else f"{self.state.value}-{len(self.story)}"


def plain(value: object) -> str:
    """Write a detail of the journal as harmless text; a list with commas."""
    return sanitize(", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value))


def _joined(*words: str) -> str:
    return " ".join(filter(None, words))


def ticket_view(ticket: Ticket, now: datetime, story: Sequence[Entry] = ()) -> ShownTicket:
    """Make the view of a ticket; ``story`` are its entries in the journal, the newest first."""
    return ShownTicket(
        ticket_id=ticket.ticket_id,
        simulated=ticket.simulated,
        account=one_line(", ".join(ticket.accounts)),
        summary=ticket.summary,
        headline=_headline_of([ticket.meant(number) for number in range(len(ticket.commands))]),
        items=tuple(_items(ticket)),
        rules=_rules(story),
        reason=sanitize(ticket.reason),
        phrase=ticket.phrase,
        needs_phrase=not ticket.simulated,
        needs_pin=ticket.approval is Approval.PAGE_PIN,
        needs_second=ticket.needs_second,
        state=ticket.state_at(now),
        asked_at=ticket.created_at,
        seconds_left=max(0, int((ticket.expires_at - now).total_seconds())),
        seconds_in_all=max(1, int((ticket.expires_at - ticket.created_at).total_seconds())),
        story=tuple(StoryStep(entry.at, _step(entry)) for entry in reversed(story)),
    )


def _headline_of(commands: Sequence[Command]) -> Headline:
    """Say what all of it does: of one command its own headline, of several each different one."""
    (command, *others) = commands
    if others:
        return Headline(one_line("; ".join(dict.fromkeys(map(headline, commands)))))
    if isinstance(command, PlaceOrder) and not command.flatten_first:
        subject, terms = f"{command.quantity} {command.instrument}", _joined(*order_terms(command))
        return Headline(one_line(subject), command.action, one_line(terms))
    return Headline(one_line(headline(command)))


def _items(ticket: Ticket) -> Iterator[ShownItem]:
    """Make the view of each command as it was shown when it was proposed; of a ticket without a question none."""
    if ticket.request is None:
        return
    for number, item in enumerate(ticket.request.items):
        yield ShownItem(
            account=item.account,
            simulated=item.simulated,
            headline=_headline_of([ticket.meant(number)]),
            figures=tuple(Figure(fact.name, fact.figure, fact.aside) for fact in item.facts),
            remarks=_remarks(item.findings),
            steps=item.steps,
            standing=item.standing,
            names=item.named_lines,
        )


def _remarks(findings: Sequence[Finding]) -> tuple[Remark, ...]:
    return tuple(Remark(kind, finding.text) for kind in _LOOKS for finding in findings if finding.kind is kind)


def _rules(story: Sequence[Entry]) -> tuple[str, ...]:
    """The rules that it passed when it was proposed; those that could not look stand in the question."""
    listed = next((entry.detail.get("rules") for entry in story if entry.kind is EntryKind.PROPOSED), None)
    return tuple(map(plain, listed)) if isinstance(listed, list | tuple) else ()


_KINDS = {
    EntryKind.PROPOSED: "Proposed by the assistant",
    EntryKind.APPROVED: "Approved",
    EntryKind.DECLINED: "Declined",
    EntryKind.INTENT: "About to be sent",
    EntryKind.ACCEPTED: "Accepted by NinjaTrader",
    EntryKind.ANSWERED: "Read back",
    EntryKind.READ_BACK: "Read back",
    EntryKind.DENIED: "Denied by the rules, nothing was sent",
    EntryKind.PROTECTED: "The exits of the entry",
    EntryKind.UNPROTECTED: "NOT PROTECTED in time",
    EntryKind.SUSPICIOUS: "Suspicious",
    EntryKind.UNKNOWN: "Outcome unknown: look in NinjaTrader",
}


def _step(entry: Entry) -> str:
    """One step in words; what the service said of it, if it said anything."""
    details = (entry.detail.get(name) for name in ("by", "what", "status", "denials", "not_sent", "warnings"))
    told = ", ".join(plain(detail) for detail in details if detail)
    return f"{_KINDS.get(entry.kind, entry.kind.value)}{f': {told}' if told else ''}"
