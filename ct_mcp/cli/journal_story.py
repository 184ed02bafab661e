"""``ct-mcp journal why``: the whole story of one order; and how entries of the journal are shown to a person.

What an assistant or the service wrote is marked as theirs.
"""

from collections.abc import Iterator, Sequence

from ct_mcp.cli.screen import Screen
from ct_mcp.store.journal import Entry, EntryKind
from ct_mcp.store.sql_store import SqlStore
from ct_mcp.text import command, sanitize

_LONGEST = 300
_INDENT = " " * 12
_DETAILS = {
    "by": "by",
    "approval": "approval needed",
    "what": "what",
    "status": "status",
    "state": "state",
    "step": "step",
    "order_id": "order",
    "strategy_id": "strategy",
    "filled": "filled",
    "denials": "denied",
    "reasons": "reason",
    "warnings": "warning",
    "not_sent": "not sent",
    "day": "day",
    "figure": "figure",
    "until": "until",
    "positions": "position",
    "orders": "order",
}

WORDS = {
    EntryKind.ASKED: "Asked",
    EntryKind.DENIED: "Denied by the rules; nothing was sent",
    EntryKind.PROPOSED: "Proposed by the assistant; no rule denied it",
    EntryKind.APPROVED: "Approved",
    EntryKind.DECLINED: "Declined; it can never be sent",
    EntryKind.EXPIRED: "Expired; nothing was sent",
    EntryKind.INTENT: "About to be sent, every rule having been applied again",
    EntryKind.ACCEPTED: "Taken by CrossTrade's add-on; that is no fill yet",
    EntryKind.ANSWERED: "What became of it",
    EntryKind.UNKNOWN: "Sent, and no trustworthy answer came",
    EntryKind.READ_BACK: "Read back, and not settled by that",
    EntryKind.SETTLED: "Found out later",
    EntryKind.HALTED: "Trading halted",
    EntryKind.RESUMED: "Trading resumed",
    EntryKind.ARMED: "Armed",
    EntryKind.DISARMED: "Disarmed",
    EntryKind.DAY_LOSS: "The day's loss limit was reached",
    EntryKind.FLOOR_TOLD: "The floor was told",
    EntryKind.PROTECTED: "The exits of an entry",
    EntryKind.UNPROTECTED: "Not protected in time",
    EntryKind.SUSPICIOUS: "Suspicious",
    EntryKind.PIN_SET: "The PIN was set",
    EntryKind.PIN_WRONG: "A wrong PIN",
    EntryKind.ERROR: "Error",
}


def clock_time(entry: Entry) -> str:
    """Write its time of day on the person's clock."""
    return f"{entry.at.astimezone():%H:%M:%S}"


def day_of(entry: Entry) -> str:
    """Write its day on the person's calendar."""
    return f"{entry.at.astimezone():%A %Y-%m-%d}"


def details(entry: Entry) -> Iterator[tuple[str, str]]:
    """Yield what it holds beside its summary, as ``("by", "terminal")``; what only programs want is left out."""
    for name, label in _DETAILS.items():
        value = entry.detail.get(name)
        if value in (None, "", [], 0):
            continue
        for each in value if isinstance(value, list) else [value]:
            yield label, safe(each)


def show_assistants_words(entry: Entry, screen: Screen) -> None:
    """Show the reason that the assistant gave, apart from all else and marked as its words."""
    if entry.reason:
        screen.quote(["the assistant's words, not a fact:", f'"{safe(entry.reason)}"'], rows=6)


def safe(value: object) -> str:
    """Write anything as one line that cannot repaint the terminal."""
    return sanitize(str(value), longest=_LONGEST)


async def tell_story(store: SqlStore, screen: Screen, any_id: str) -> int:
    """Show the story that one id belongs to: 0 told, 1 nothing is known by this id."""
    story = await store.story(any_id)
    if not story:
        known = command("journal")
        screen.say(f"The journal knows nothing by the id {safe(any_id)}. {known} shows the ids that there are.")
        return 1
    show_story(story, screen)
    outstanding = {entry.sequence for entry in await store.unsettled()}
    waiting = [entry for entry in story if entry.sequence in outstanding]
    screen.say()
    if waiting:
        settle = command("journal", "settle", safe(waiting[0].ticket_id))
        screen.bad("What became of it is not known. It counts against every limit, and must not be sent again.")
        screen.detail(f"Look in NinjaTrader, then say it: {settle}")
    else:
        screen.good(_ending(story))
    return 0


def show_story(story: Sequence[Entry], screen: Screen) -> None:
    """Show every entry in the order of time, with what only the journal knows."""
    heading, day = "", ""
    for entry in story:
        if entry.ticket_id and heading != (heading := f"{safe(entry.summary)}  (ticket {safe(entry.ticket_id)})"):
            screen.say()
            screen.say(heading, "bold")
        if day != (day := day_of(entry)):
            screen.say(f"  {day}, by your clock", "quiet")
        _show_entry(entry, screen)


def _show_entry(entry: Entry, screen: Screen) -> None:
    screen.say(WORDS[entry.kind], label=f"  {clock_time(entry)}  ")
    for label, value in details(entry):
        screen.say(value, label=f"{_INDENT}{label}: ")
    if entry.kind is EntryKind.INTENT:
        screen.say(f"under our order id {safe(entry.own_id)}", label=_INDENT)
    _show_rules(entry, "rules", "passed", screen)
    _show_rules(entry, "findings", "the person should know", screen)
    _show_rules(entry, "not_checked", "could not be checked", screen)  # in journals of older versions
    show_assistants_words(entry, screen)


def _show_rules(entry: Entry, name: str, what: str, screen: Screen) -> None:
    rules = entry.detail.get(name)
    if isinstance(rules, list) and rules:
        screen.say(f"{what}:", "quiet", label=_INDENT)
        for rule in map(safe, rules):
            rule_id, colon, figures = rule.partition(":")
            screen.say(f"{rule_id.replace('_', ' ')}{colon}{figures}", "quiet", label=f"{_INDENT}  ")


def _ending(story: Sequence[Entry]) -> str:
    last = story[-1]
    if not any(entry.kind is EntryKind.INTENT for entry in story):
        return "Nothing was ever sent."
    status = last.detail.get("status") or last.detail.get("state") or last.detail.get("what") or WORDS[last.kind]
    return f"It ended: {safe(status)}"
