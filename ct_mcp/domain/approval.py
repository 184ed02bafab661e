"""What the person is asked: the typed question, the ticket that holds it, and the halt.

A ticket binds commands to the question that showed them. The question is data: page, form and terminal render it,
and nothing anywhere reads it back out of a sentence.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from ct_mcp.domain.account import AccountKind
from ct_mcp.domain.commands import Command, PlaceOrder, ReplaceOrder, as_meant
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import NEW_GROUP
from ct_mcp.domain.products import price_of
from ct_mcp.text import contracts, money

# What of a form every client shows: the first line with what is to be typed in two rows of 80 columns, and the title.
_LONGEST_HEAD = 100
_LONGEST_ACCOUNT_IN_HEAD = 60
_LONGEST_TITLE = 40
CLOCKS_DIFFER = timedelta(seconds=5)
FILLED_RECENTLY = "FILLED_RECENTLY"
"""The code of a finding that names what filled in the same instrument a little while ago."""
SECOND_YES = "SECOND_YES"
"""The code of a finding that says that a second person is asked as well: nothing is sent without their yes."""
LEFT_ALONE = "LEFT_ALONE"
"""The code of a finding that names an account that is not flattened, where all were meant."""


class Approval(StrEnum):
    """The least channel whose yes counts."""

    NONE = "none"
    FORM = "form"
    PAGE = "page"
    PAGE_PIN = "page_pin"


APPROVALS = tuple(Approval)
"""From the weakest to the strictest."""


class TicketState(StrEnum):
    """The life of a ticket. Expiry is not stored: a ticket past its time is EXPIRED whatever the row says."""

    OPEN = "open"
    APPROVED = "approved"
    SPENT = "spent"
    DECLINED = "declined"
    EXPIRED = "expired"


class FindingKind(StrEnum):
    """What a finding wants of its reader."""

    WARNING = "warning"
    ASSUMPTION = "assumption"
    COULD_NOT_VERIFY = "could not verify"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing the person should know: act on it, how a figure was reckoned, or what could not be looked at."""

    kind: FindingKind
    code: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind.upper() if self.kind is FindingKind.WARNING else self.kind.capitalize()}: {self.text}"


@dataclass(frozen=True, slots=True)
class ShownOrder:
    """An open order that the question names: the contracts that may still fill, and its line as it was shown."""

    order_id: str
    remaining: int
    line: str


@dataclass(frozen=True, slots=True)
class Fact:
    """One figure with its name, as it is shown; ``aside`` says more about it."""

    name: str
    figure: str
    aside: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.figure}{f' ({self.aside})' if self.aside else ''}"


@dataclass(frozen=True, slots=True)
class ApprovalItem:
    """One command as the person is shown it, with the facts that the question was made of.

    Money is ``currency``; positions are signed contracts; None is what is not known or does not apply.
    ``sends`` are the orders that come of it, ``cancels`` the open orders that go, ``only_reduces`` whether it was
    judged to only reduce. ``steps`` say in order what happens, ``standing`` what the account holds and has working.
    ``headline`` is made from the command alone, and ``names`` are what the assistant named in its own words, quoted:
    they stand behind everything else. ``stop_moves_away_by`` is how far a stop moves from what it protects. ``gain`` is
    what its targets bring, ``day_room`` what may still be lost today beside the stops of what is open, ``rules`` the
    room that the rules of a funded account leave. ``must_reduce`` marks what a watch sends: at the send it may only
    reduce, whoever was asked. ``fills`` counts what was filled a little while ago; ``findings`` name the newest.
    """

    account: str
    account_kind: AccountKind
    kind: str
    headline: str
    instrument: Instrument | None = None
    sends: tuple[PlaceOrder, ...] = ()
    cancels: tuple[ShownOrder, ...] = ()
    only_reduces: bool | None = None
    position_before: int | None = None
    position_after: int | None = None
    value: Decimal | None = None
    risk: Decimal | None = None
    risk_basis: str = ""
    market_price: Decimal | None = None
    bid: Decimal | None = None
    ask: Decimal | None = None
    currency: str = ""
    steps: tuple[str, ...] = ()
    standing: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    names: tuple[str, ...] = ()
    stop_moves_away_by: Decimal | None = None
    gain: Decimal | None = None
    day_room: Decimal | None = None
    rules: tuple[Fact, ...] = ()
    must_reduce: bool = False
    fills: int = 0

    @property
    def fills_shown(self) -> int:
        """How many fills of a little while ago it tells of; an older version named each, and did not count them."""
        return self.fills or sum(finding.code == FILLED_RECENTLY for finding in self.findings)

    @property
    def wants_second(self) -> bool:
        """Whether it says that a second person is asked as well."""
        return any(finding.code == SECOND_YES for finding in self.findings)

    @property
    def simulated(self) -> bool:
        """Whether no real money can move; an account of unknown kind counts as live."""
        return self.account_kind.is_simulated

    @property
    def facts(self) -> tuple[Fact, ...]:
        """The figures of an order, in the order in which they are read; no risk and no value of what leads to flat."""
        if not self.risk_basis and self.market_price is None:
            return ()
        at, sides = self.instrument, (("bid", self.bid), ("ask", self.ask))
        book = ", ".join(
            [f"{name} {price_of(at, price)}" for name, price in sides if price is not None] + ["when asked"]
        )
        market = () if self.market_price is None else (Fact("Market", price_of(at, self.market_price), book),)
        month = (Fact("Contract month", self.instrument.month_in_words),) if self.instrument else ()
        after = f"{contracts(self.position_before)} now, {contracts(self.position_after)} after"
        basis = ", ".join(filter(None, (self.currency, self.risk_basis)))
        worth = (Fact("Risk", money(self.risk), basis), *self._outlook, Fact("Value", money(self.value), self.currency))
        return (Fact("Position", after), *(worth if self.risk_basis else ()), *market, *month)

    @property
    def _outlook(self) -> tuple[Fact, ...]:
        """What it may bring, as a multiple of what it risks, and what the day has room for."""
        ratio = f", {self.gain / self.risk:.1f} times the risk" if self.gain and self.risk else ""
        gain = () if self.gain is None else (Fact("Gain", money(self.gain), f"{self.currency}, at the targets{ratio}"),)
        aside = "may still be lost today, beside the stops of what is open"
        room = () if self.day_room is None else (Fact("Room", money(self.day_room), aside),)
        return (*gain, *room, *self.rules)

    @property
    def lines(self) -> tuple[str, ...]:
        """Everything beneath the headline, as plain lines."""
        return (*self.steps, *map(str, self.facts), *map(str, self.findings), *self.standing, *self.named_lines)

    @property
    def named_lines(self) -> tuple[str, ...]:
        """The words of the assistant that the command holds, each marked as such."""
        return tuple(f"Named by the assistant: {name}" for name in self.names)


@dataclass(frozen=True, slots=True)
class ApprovalRequest:
    """The whole question: one item for each command of the ticket."""

    items: tuple[ApprovalItem, ...]

    def __post_init__(self) -> None:
        """Refuse to ask about nothing."""
        if not self.items:
            raise ValueError("a question names at least one command")

    @property
    def simulated(self) -> bool:
        """Whether no real money can move in any of its accounts."""
        return all(item.simulated for item in self.items)

    @property
    def left_alone(self) -> tuple[Finding, ...]:
        """Which accounts are not flattened, where all were meant: a finding of the first command, about all of them."""
        return tuple(finding for finding in self.items[0].findings if finding.code == LEFT_ALONE)

    def is_overtaken_by(self, newer: "ApprovalRequest") -> bool:
        """Say whether a newer one about the same shows what this does not show, which the person has to see.

        That is another position, or a fill, a second yes or an account that is left alone which this lacks.
        """
        return not set(newer.left_alone) <= set(self.left_alone) or any(
            (None not in (was.position_before, now.position_before) and was.position_before != now.position_before)
            or now.fills_shown > was.fills_shown
            or now.wants_second > was.wants_second
            for was, now in zip(self.items, newer.items, strict=True)
        )

    @property
    def heading(self) -> str:
        """Whether real money is meant."""
        return "SIMULATED ACCOUNT - no real money can move" if self.simulated else "LIVE ACCOUNT - REAL MONEY"

    @property
    def headline(self) -> str:
        """What is asked, on one line."""
        if len(self.items) == 1:
            (item,) = self.items
            return f"{item.account}  {item.headline}"
        return f"{len(self.items)} commands under one yes"

    def headline_within(self, room: int) -> str:
        """Give the headline where there is room, else a shorter one; a long name of an account gives way to the order.

        Of such a name both ends stay, since accounts of one person often begin alike.
        """
        if len(self.headline) <= room:
            return self.headline
        if len(self.items) == 1 and len(account := self.items[0].account) > _LONGEST_ACCOUNT_IN_HEAD:
            half = (_LONGEST_ACCOUNT_IN_HEAD - 3) // 2
            short = f"{account[:half]}...{account[-half:]}  {self.items[0].headline}"
            return short if len(short) <= room else f"{short[:room]}..."
        return f"{self.headline[:room]}..."

    @property
    def lines(self) -> tuple[str, ...]:
        """Everything beneath the headline, as plain lines, without the text that is to be typed."""
        if len(self.items) == 1:
            return self.items[0].lines
        told = list(map(str, self.left_alone))
        for item in self.items:
            head = f"{'SIM' if item.simulated else 'LIVE'}  {item.account}  {item.headline}"
            own = replace(item, findings=tuple(each for each in item.findings if each.code != LEFT_ALONE))
            told += ["", head, *(own.lines or ("nothing held, no open orders",))]
        return tuple(told)


@dataclass(frozen=True, slots=True)
class Ticket:
    """One proposal: its commands, sent in this order once the person said yes.

    ``fingerprint`` is equal for identical proposals; ``own_id`` is what the order ids of this ticket begin with,
    fresh and never reused; ``phrase`` is what the person must type and stands only in the question made for the
    person. ``request`` is what they were shown; None only on a ticket that an older version left, which is over.
    """

    ticket_id: str
    commands: tuple[Command, ...]
    fingerprint: str
    own_id: str
    summary: str
    request: ApprovalRequest | None
    phrase: str
    approval: Approval
    simulated: bool
    reason: str
    created_at: datetime
    expires_at: datetime
    state: TicketState = TicketState.OPEN
    decided_by: str = ""

    @property
    def accounts(self) -> tuple[str, ...]:
        """The accounts that its commands name, each once."""
        return tuple(dict.fromkeys(command.account for command in self.commands))

    @property
    def needs_second(self) -> bool:
        """Whether it is spent only with a second person's yes beside that of its channel."""
        return self.request is not None and any(item.wants_second for item in self.request.items)

    @property
    def is_asked(self) -> bool:
        """Whether anybody is shown it, so that it sends what was shown and nothing else."""
        return self.approval is not Approval.NONE or self.needs_second

    @property
    def question(self) -> str:
        """The question as plain text, for a form: what is asked, and what must be typed.

        Clients cut it: one draws three rows of 80 columns, and no key shows the rest. So its first line holds all that
        a yes needs; a headline too long for that is shortened there and stands whole further down.
        """
        request = self.request
        shown: tuple[str, ...] = ()
        if request is not None:
            head = request.headline_within(_LONGEST_HEAD)
            whole = () if len(request.headline) <= _LONGEST_HEAD else (request.headline,)
            first = f"{head} - to send it, type {self.phrase}"
            shown = (first, request.heading, *whole, *request.lines)
        return "\n".join((*shown, "", f"To send it, type:  {self.phrase}", "Anything else sends nothing."))

    @property
    def field_title(self) -> str:
        """The title of the form's one field: what to type, for clients that cut the question."""
        title = f"Type {self.phrase} to send this order"
        return title if len(title) <= _LONGEST_TITLE else f"Type {self.phrase}"[:_LONGEST_TITLE]

    def meant(self, number: int) -> Command:
        """Give the command of this place, counted from 0, as it was put into words when it was proposed."""
        command = self.commands[number]
        if self.request is None:
            return command
        item = self.request.items[number]
        return as_meant(command, item.position_before, item.position_after)

    def sent(self, number: int) -> Command:
        """Give the command of this place as it goes out: a new OCO group is named by the ticket."""
        command, named = self.commands[number], f"{self.own_id}-oco"
        if isinstance(command, PlaceOrder) and command.oco_id == NEW_GROUP:
            return replace(command, oco_id=named)
        if isinstance(command, ReplaceOrder) and command.order.oco_id == NEW_GROUP:
            return replace(command, order=replace(command.order, oco_id=named))
        return command

    def own_id_of(self, number: int) -> str:
        """Give the order id that goes out with the command of this place, counted from 0."""
        return self.own_id if len(self.commands) == 1 else f"{self.own_id}-{number + 1}"

    def state_at(self, now: datetime) -> TicketState:
        """Its state, with expiry applied: an open or approved ticket expires at ``expires_at``.

        One that was made in the future has expired too: the clock was set back, and nobody knows how old it is. Clocks
        are put right by a little all the time.
        """
        lives = self.created_at - CLOCKS_DIFFER <= now < self.expires_at
        if self.state in (TicketState.OPEN, TicketState.APPROVED) and not lives:
            return TicketState.EXPIRED
        return self.state


@dataclass(frozen=True, slots=True)
class Halt:
    """Trading is halted: by whom, when and why. Only the person can lift it."""

    by: str
    at: datetime
    reason: str
