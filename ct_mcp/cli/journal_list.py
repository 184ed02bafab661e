"""``ct-mcp journal``: the newest entries, newest last, so that the newest stands above the prompt."""

from ct_mcp.cli.journal_words import clock_time, day_of, details, safe, show_assistants_words
from ct_mcp.cli.screen import Screen
from ct_mcp.server.present import counted
from ct_mcp.store.journal import Entry, EntryKind
from ct_mcp.store.searching import Wanted
from ct_mcp.store.sqlite import SqliteStore

_BAD = frozenset({EntryKind.DENIED, EntryKind.UNKNOWN, EntryKind.SUSPICIOUS, EntryKind.PIN_WRONG, EntryKind.HALTED})
_HANGING = 22


async def show_list(store: SqliteStore, wanted: Wanted, screen: Screen) -> int:
    """Show them, and what is outstanding."""
    entries = await store.search(wanted)
    if not entries:
        everything = wanted == Wanted(limit=wanted.limit)
        screen.say("The journal is empty." if everything else "The journal holds no such entry.")
    day = ""
    for entry in entries:
        if day != (day := day_of(entry)):
            screen.say()
            screen.say(f"{day}, by your clock", "bold")
        _show(entry, screen)
    outstanding = await store.unsettled()
    if outstanding:
        screen.say()
        screen.say(f"Of unknown outcome: {counted(len(outstanding), 'order')}. See ct-mcp journal why ID.", "bad")
        for entry in outstanding:
            screen.detail(f"{safe(entry.ticket_id)}  {safe(entry.summary)}")
    return 0


def _show(entry: Entry, screen: Screen) -> None:
    style = "bad" if entry.kind in _BAD else ""
    screen.say(f"  {clock_time(entry)}  {entry.kind:<10} {safe(entry.summary)}", style, hanging=_HANGING)
    named = [f"ticket: {entry.ticket_id}"] if entry.ticket_id else []
    # What a rule or the service said gets a line of its own; the rest is short.
    said = [line for line in details(entry) if line.startswith(("denied:", "reason:", "warning:"))]
    short = [line for line in details(entry) if line not in said]
    screen.say("; ".join((f"#{entry.sequence}", *named, *short)), "quiet", indent=" " * _HANGING)
    for line in said:
        screen.say(line, "quiet", indent=" " * _HANGING, hanging=2)
    show_assistants_words(entry, screen)
