"""Entries of the journal in words for a person; what an assistant or the service wrote is marked as theirs."""

from collections.abc import Iterator

from ct_mcp.cli.screen import Screen
from ct_mcp.crosstrade.words import cleaned
from ct_mcp.store.journal import Entry, EntryKind

_LONGEST = 300
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
    EntryKind.LAPSED: "Lapsed; nothing was sent",
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
    EntryKind.SUSPICIOUS: "Suspicious",
    EntryKind.PIN_SET: "The PIN was set",
    EntryKind.PIN_WRONG: "A wrong PIN",
    EntryKind.ERROR: "Error",
}


def clock_time(entry: Entry) -> str:
    """Its time of day on the person's clock."""
    return f"{entry.at.astimezone():%H:%M:%S}"


def day_of(entry: Entry) -> str:
    """Its day on the person's calendar."""
    return f"{entry.at.astimezone():%A %Y-%m-%d}"


def details(entry: Entry) -> Iterator[str]:
    """What it holds beside its summary, ``by: terminal``; what only programs want is left out."""
    for name, label in _DETAILS.items():
        value = entry.detail.get(name)
        if value in (None, "", [], 0):
            continue
        for each in value if isinstance(value, list) else [value]:
            yield f"{label}: {safe(each)}"


def show_assistants_words(entry: Entry, screen: Screen) -> None:
    """The reason that the assistant gave, apart from all else and marked as its words."""
    if entry.reason:
        screen.quote(["the assistant's words, not a fact:", f'"{safe(entry.reason)}"'], rows=6)


def safe(value: object) -> str:
    """Anything as one line that cannot repaint the terminal."""
    return cleaned(str(value), longest=_LONGEST)
