"""``ct-mcp journal why ID``: the whole story of one order, from proposal to fill."""

from collections.abc import Sequence

from ct_mcp.cli.journal_words import WORDS, clock_time, day_of, details, safe, show_assistants_words
from ct_mcp.cli.screen import Screen
from ct_mcp.store.journal import Entry, EntryKind
from ct_mcp.store.sqlite import SqliteStore

_HANGING = 12


async def tell_story(store: SqliteStore, any_id: str, screen: Screen) -> int:
    """Tell it: 0 told, 1 nothing is known by this id."""
    story = await store.story(any_id)
    if not story:
        screen.say(f"The journal knows nothing by the id {safe(any_id)}. ct-mcp journal shows the ids that there are.")
        return 1
    tell(story, screen)
    outstanding = {entry.sequence for entry in await store.unsettled()}
    waiting = [entry for entry in story if entry.sequence in outstanding]
    screen.say()
    if waiting:
        screen.bad("What became of it is not known. It counts against every limit, and must not be sent again.")
        screen.detail(f"Look in NinjaTrader, then say it: ct-mcp journal settle {safe(waiting[0].ticket_id)}")
    else:
        screen.good(_came_to(story))
    return 0


def tell(story: Sequence[Entry], screen: Screen) -> None:
    """Every entry in the order of time, with what only the journal knows."""
    heading, day = "", ""
    for entry in story:
        if entry.ticket_id and heading != (heading := f"{safe(entry.summary)}  (ticket {safe(entry.ticket_id)})"):
            screen.say()
            screen.say(heading, "bold", hanging=4)
        if day != (day := day_of(entry)):
            screen.say(f"  {day}, by your clock", "quiet")
        _tell(entry, screen)


def _tell(entry: Entry, screen: Screen) -> None:
    screen.say(f"  {clock_time(entry)}  {WORDS[entry.kind]}", hanging=_HANGING - 2)
    for line in details(entry):
        screen.say(line, indent=" " * _HANGING, hanging=2)
    if entry.kind is EntryKind.INTENT:
        screen.say(f"under our order id {safe(entry.own_id)}", indent=" " * _HANGING)
    _rules(entry, "rules", "passed", screen)
    _rules(entry, "not_checked", "could not be checked", screen)
    show_assistants_words(entry, screen)


def _rules(entry: Entry, name: str, what: str, screen: Screen) -> None:
    rules = entry.detail.get(name)
    if isinstance(rules, list) and rules:
        screen.say(f"{what}:", "quiet", indent=" " * _HANGING)
        for rule in rules:
            screen.say(
                safe(rule).replace("_", " ", safe(rule).partition(":")[0].count("_")),
                "quiet",
                indent=" " * (_HANGING + 2),
                hanging=2,
            )


def _came_to(story: Sequence[Entry]) -> str:
    last = story[-1]
    if not any(entry.kind is EntryKind.INTENT for entry in story):
        return "Nothing was ever sent."
    status = last.detail.get("status") or last.detail.get("state") or last.detail.get("what") or WORDS[last.kind]
    return f"It ended: {safe(status)}"
