"""The other panels of the console: what waits for the person, the halt, the journal."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ct_mcp.console.frame import hidden
from ct_mcp.console.html import Child, Html, tag
from ct_mcp.console.keys import Session
from ct_mcp.console.ticket_page import headline
from ct_mcp.console.ticket_words import words_of
from ct_mcp.crosstrade.words import cleaned
from ct_mcp.domain.ticket import Halt, Ticket
from ct_mcp.store.journal import Entry

SEARCHED = 500
SHOWN = 60


@dataclass(frozen=True, slots=True)
class Filter:
    """Which lines of the journal are wanted; an empty one picks all."""

    account: str = ""
    ticket: str = ""
    text: str = ""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Filter":
        """What a form asked for."""
        return cls(*(query.get(name, "").strip()[:80] for name in ("account", "ticket", "text")))

    def picks(self, entry: Entry) -> bool:
        """Say whether this line is wanted; the case of letters does not matter."""
        said = " ".join((entry.kind, entry.summary, entry.reason, *map(str, entry.detail.values())))
        return self.text.casefold() in said.casefold()


def tickets_panel(tickets: Sequence[Ticket], session: Session, now: datetime) -> Child:
    """Each open ticket with the way to its page, where alone it can be approved."""
    if not tickets:
        return tag("p", "Nothing waits for you.", class_="none")
    return tag("ul", [_waiting(ticket, session, now) for ticket in tickets], class_="waiting")


def _waiting(ticket: Ticket, session: Session, now: datetime) -> Html:
    words, path = words_of(ticket), f"{session.path}/ticket/{ticket.ticket_id}"
    left = max(0, int((ticket.expires_at - now).total_seconds()))
    kind = tag(
        "span", "SIM" if ticket.simulated else "LIVE", class_=f"kind {'simulated' if ticket.simulated else 'live'}"
    )
    risk = next((f"Risk {fact.figure} {fact.aside}" for fact in words.facts if fact.name == "Risk"), "")
    decline = tag("button", "Decline", class_="decline", type="submit", aria_label=f"Decline {words.order}")
    declining = (hidden("csrf", session.csrf), hidden("then", "list"))
    return tag(
        "li",
        tag(
            "p",
            kind,
            " ",
            tag("span", words.account, class_="account"),
            tag("span", f"{left} s", data_left=left, class_="left"),
        ),
        tag("p", headline(words), class_="order"),
        tag("p", risk, class_="risk") if risk else None,
        [tag("p", caution, class_="caution") for caution in words.cautions],
        tag(
            "div",
            tag("form", *declining, decline, method="post", action=f"{path}/decline"),
            tag("a", "Look and decide", class_="button", href=path, aria_label=f"Look at and decide {words.order}"),
            class_="buttons",
        ),
        data_ticket=ticket.summary,
    )


def halt_panel(halt: Halt | None, session: Session) -> Html:
    """Whether trading is halted, and the one button that there is then."""
    if halt is None:
        field = tag(
            "input", id="why", name="reason", maxlength=200, autocomplete="off", placeholder="why, for the journal"
        )
        return tag(
            "form",
            hidden("csrf", session.csrf),
            tag("p", tag("strong", "Trading is on."), " Halting stops all that opens or adds. Exits always work."),
            tag(
                "div",
                tag("label", "Reason", for_="why", class_="unseen"),
                field,
                _button("Halt trading", "halt"),
                class_="row",
            ),
            method="post",
            action=f"{session.path}/halt",
        )
    told = f"by {cleaned(halt.by, longest=60)} at {halt.at:%Y-%m-%d %H:%M:%S} UTC: {cleaned(halt.reason)}"
    sure = tag(
        "label", tag("input", type="checkbox", name="sure", value="yes", required=True), " I want trading to go on"
    )
    return tag(
        "form",
        hidden("csrf", session.csrf),
        tag("p", tag("strong", "TRADING IS HALTED "), told, class_="halted"),
        tag("div", sure, _button("Resume trading", "resume"), class_="row"),
        method="post",
        action=f"{session.path}/resume",
    )


def _button(text: str, kind: str) -> Html:
    return tag("button", text, type="submit", class_=kind)


def journal_form(wanted: Filter, path: str) -> Html:
    """The filters; a form of the plain sort, which works without a script."""
    fields = (
        ("account", "Account", wanted.account),
        ("ticket", "Ticket", wanted.ticket),
        ("text", "Text", wanted.text),
    )
    return tag(
        "form",
        [
            tag(
                "div",
                tag("label", label, for_=f"by-{name}"),
                tag("input", id=f"by-{name}", name=name, value=value, maxlength=80),
            )
            for name, label, value in fields
        ],
        tag("button", "Filter", type="submit"),
        tag("a", "Show all", href=path) if wanted != Filter() else None,
        method="get",
        action=path,
        class_="filters",
        role="search",
    )


def journal_panel(entries: Iterable[Entry], wanted: Filter) -> Child:
    """The newest lines that are wanted, newest first."""
    picked = [entry for entry in entries if wanted.picks(entry)][:SHOWN]
    if not picked:
        none = "No such line." if wanted != Filter() else "Nothing was written down yet."
        return tag("p", none, class_="none")
    return tag("ol", [_line(entry) for entry in picked], class_="journal", reversed=True)


def _line(entry: Entry) -> Html:
    details = "; ".join(
        f"{name.replace('_', ' ')}: {_plain(value)}" for name, value in entry.detail.items() if value and name in _TOLD
    )
    return tag(
        "li",
        tag("time", entry.at.strftime("%m-%d %H:%M:%S"), datetime=entry.at.isoformat()),
        " ",
        tag("span", entry.kind.replace("_", " "), class_=f"what {entry.kind}"),
        " ",
        tag("span", cleaned(entry.summary), class_="summary"),
        tag("span", f" {details}", class_="details") if details else None,
        _their_words(entry.reason),
        value=entry.sequence,
    )


def _their_words(reason: str) -> Html | None:
    if not reason:
        return None
    return tag(
        "p",
        tag("span", "The assistant's words, not a fact: ", class_="label"),
        tag("q", cleaned(reason)),
        class_="theirs",
    )


def _plain(value: object) -> str:
    return cleaned(", ".join(map(str, value)) if isinstance(value, list) else str(value))


# Whatever else an entry may come to hold stays in the file.
_TOLD = frozenset(
    {
        "denials", "reasons", "warnings", "step", "status", "state", "order_id", "filled", "approval", "by", "what",
        "not_sent", "day", "figure", "until",
    }
)  # fmt: skip
