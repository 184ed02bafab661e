"""The approval page: one order, large and plain, and the two buttons beneath it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from starlette.responses import HTMLResponse

from ct_mcp.console.frame import hidden, page
from ct_mcp.console.html import Child, Html, tag
from ct_mcp.console.ticket_words import Fact, Words, words_of
from ct_mcp.crosstrade.words import cleaned
from ct_mcp.domain.ticket import Approval, Ticket, TicketState
from ct_mcp.store.journal import Entry, EntryKind

_NEXT = (
    "Approving sends nothing by itself. The assistant's waiting call sends the order, or its next call of "
    "confirm_ticket does, after every rule was checked again."
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a ticket's page lives, what proves its forms, and where to go back to, if there is more to see."""

    path: str
    csrf: str
    back: str | None


def asking_page(
    ticket: Ticket, story: Sequence[Entry], place: Place, now: datetime, *, fault: str = ""
) -> HTMLResponse:
    """The question, with its buttons; ``fault`` says why the last answer did not count."""
    words = words_of(ticket)
    left = max(0, int((ticket.expires_at - now).total_seconds()))
    card = tag(
        "article",
        band(ticket, words),
        tag("h1", headline(words), class_="order", id="order"),
        _facts(words.facts),
        [tag("p", caution, class_="caution") for caution in words.cautions],
        [tag("p", line, class_="line") for line in words.lines],
        _rules(story),
        _countdown(ticket, left),
        tag("p", fault, class_="fault", role="alert") if fault else None,
        _forms(ticket, place),
        tag("p", _NEXT, class_="next"),
        class_="card ticket",
    )
    watched = {"state_url": f"{place.path}/state", "state": seen(TicketState.OPEN, 0)}
    status = 409 if fault else 200
    title = f"Approve? {ticket.summary}"
    return page(title, _main(card, place), kind=_kind(ticket), status=status, watched=watched)


def decided_page(ticket: Ticket, story: Sequence[Entry], place: Place, now: datetime) -> HTMLResponse:
    """What became of it, and what happens next."""
    words, state = words_of(ticket), ticket.state_at(now)
    title, text = _OUTCOMES[state]
    card = tag(
        "article",
        band(ticket, words),
        tag("h1", title, class_=f"outcome {state}", tabindex="-1", autofocus=True),
        tag("p", text),
        tag("p", words.order, class_="order small"),
        _story(story),
        class_="card ticket",
    )
    watched = {"state_url": f"{place.path}/state", "state": seen(state, len(story))}
    return page(f"{title}: {ticket.summary}", _main(card, place), kind=_kind(ticket), watched=watched)


def seen(state: TicketState, steps: int) -> str:
    """What the script compares, to know whether the page is still true; an open ticket's own steps change nothing."""
    return state.value if state is TicketState.OPEN else f"{state.value}-{steps}"


def band(ticket: Ticket, words: Words) -> Html:
    """The top of every ticket: whether real money moves, and in which account."""
    kind = "SIMULATED" if ticket.simulated else "LIVE"
    aside = "no real money can move" if ticket.simulated else "REAL MONEY"
    return tag(
        "p",
        tag("strong", kind),
        tag("span", aside),
        tag("span", tag("span", "Account ", class_="label"), words.account, class_="account"),
        class_="band",
    )


def verb_chip(verb: str) -> Html:
    """The first word of the action; buying and selling differ in colour, in sign and in the word."""
    look = {"BUY": ("▲ ", "buy"), "SELL": ("▼ ", "sell")}
    sign, kind = look.get(verb, ("", "other"))
    return tag("span", tag("span", sign, aria_hidden="true"), verb, class_=f"verb {kind}")


def _kind(ticket: Ticket) -> str:
    return "alone simulated" if ticket.simulated else "alone live"


def _main(card: Html, place: Place) -> Html:
    back = tag("nav", tag("a", "← All that waits", href=place.back), aria_label="Console") if place.back else None
    return tag("main", back, card)


def headline(words: Words) -> Child:
    """The action at a glance: the verb, how much of what, and how."""
    what, how = words.what_and_how
    return (verb_chip(words.verb), " ", tag("span", what), " ", tag("span", how, class_="how"))


def _facts(facts: Sequence[Fact]) -> Html | None:
    if not facts:
        return None
    cells = [
        tag("div", tag("dt", it.name), tag("dd", it.figure, _aside(it)), class_=it.name.split(maxsplit=1)[0].lower())
        for it in facts
    ]
    return tag("dl", cells, class_="facts")


def _rules(story: Sequence[Entry]) -> Html | None:
    """The rules that it passed when it was proposed, folded away; those that could not look stand above as cautions."""
    listed = next((entry.detail.get("rules") for entry in story if entry.kind is EntryKind.PROPOSED), None)
    rules = [cleaned(str(rule)) for rule in listed] if isinstance(listed, list | tuple) else []
    if not rules:
        return None
    return tag(
        "details",
        tag("summary", f"{len(rules)} rules passed"),
        tag("ul", [tag("li", rule) for rule in rules]),
        class_="rules",
    )


def _aside(fact: Fact) -> Html | None:
    return tag("small", fact.aside) if fact.aside else None


def _countdown(ticket: Ticket, left: int) -> Html:
    whole = max(1, int((ticket.expires_at - ticket.created_at).total_seconds()))
    return tag(
        "p",
        "Lapses in ",
        tag("strong", f"{left} s", data_left=left),
        tag("meter", min=0, max=whole, value=left, data_meter=True, aria_label="Time left"),
        class_="left",
    )


def _forms(ticket: Ticket, place: Place) -> Child:
    """Decline is a form of its own, so that Enter in a field approves or fails, and never declines by accident."""
    decline = tag("form", hidden("csrf", place.csrf), method="post", action=f"{place.path}/decline", id="decline")
    approve = tag(
        "form",
        hidden("csrf", place.csrf),
        None if ticket.simulated else _phrase(ticket),
        _pin() if ticket.approval is Approval.PAGE_PIN else None,
        tag(
            "div",
            tag("button", "Decline", class_="decline", form="decline", type="submit", autofocus=True),
            tag("button", "Approve", class_="approve", type="submit", data_approve=True, aria_describedby="order"),
            class_="buttons",
        ),
        method="post",
        action=f"{place.path}/approve",
        autocomplete="off",
    )
    return (decline, approve)


def _phrase(ticket: Ticket) -> Html:
    return tag(
        "div",
        tag("label", "To approve, type ", tag("code", ticket.phrase), for_="phrase"),
        tag(
            "input",
            id="phrase",
            name="phrase",
            required=True,
            maxlength=80,
            autocomplete="off",
            autocapitalize="characters",
            spellcheck="false",
        ),
        class_="field",
    )


def _pin() -> Html:
    return tag(
        "div",
        tag("label", "Your PIN", for_="pin"),
        tag("input", id="pin", name="pin", type="password", required=True, maxlength=64, autocomplete="off"),
        class_="field",
    )


def _story(story: Sequence[Entry]) -> Html | None:
    if not story:
        return None
    steps = [
        tag("li", tag("time", entry.at.strftime("%H:%M:%S"), datetime=entry.at.isoformat()), " ", _step(entry))
        for entry in reversed(story)
    ]
    return tag(
        "section",
        tag("h2", "What happened (times are UTC)"),
        tag("ol", steps),
        class_="story",
        aria_label="What happened",
    )


def _step(entry: Entry) -> str:
    """One step in words; what the service said of it, if it said anything."""
    details = (entry.detail.get(name) for name in ("by", "what", "status", "denials", "not_sent", "warnings"))
    told = ", ".join(_plain(detail) for detail in details if detail)
    return f"{_STEPS.get(entry.kind, entry.kind.value)}{f': {told}' if told else ''}"


def _plain(detail: object) -> str:
    return cleaned(", ".join(map(str, detail)) if isinstance(detail, list) else str(detail))


_STEPS = {
    EntryKind.PROPOSED: "Proposed by the assistant",
    EntryKind.APPROVED: "Approved",
    EntryKind.DECLINED: "Declined",
    EntryKind.INTENT: "About to be sent",
    EntryKind.ACCEPTED: "Accepted by NinjaTrader",
    EntryKind.ANSWERED: "Read back",
    EntryKind.READ_BACK: "Read back",
    EntryKind.DENIED: "Denied by the rules, nothing was sent",
    EntryKind.SUSPICIOUS: "Suspicious",
    EntryKind.UNKNOWN: "Outcome unknown: look in NinjaTrader",
}
_OUTCOMES = {
    TicketState.OPEN: ("Open", "It waits for your answer."),
    TicketState.APPROVED: (
        "Approved, and not sent yet",
        f"{_NEXT} If neither comes in time it lapses, and nothing is sent. You may close this page.",
    ),
    TicketState.SPENT: ("Handed over", "It was spent once, and can never be sent again. What came of it stands below."),
    TicketState.DECLINED: (
        "Declined",
        "Nothing was sent, and nothing of it can be sent any more. You may close this page.",
    ),
    TicketState.LAPSED: (
        "Lapsed",
        "Its time ran out before it was approved and sent. Nothing was sent. The assistant may propose it again.",
    ),
}
