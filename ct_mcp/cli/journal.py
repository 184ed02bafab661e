"""``ct-mcp journal``: what was asked, decided, sent and answered, newest last; and whether it is whole.

Reads need no token and disturb no server. Only `settle` writes: the person says what became of an order that nobody
could find out about.
"""

import argparse
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import partial

import anyio

from ct_mcp.cli.flags import other_store, was_used_lately, whose
from ct_mcp.cli.journal_story import (
    clock_time,
    day_of,
    details,
    safe,
    show_assistants_words,
    show_story,
    tell_story,
)
from ct_mcp.cli.pin import confirm_pin
from ct_mcp.cli.runtime import settings_for, store_of, utc_now
from ct_mcp.cli.screen import Screen
from ct_mcp.cli.terminal import lacks_terminal, read_line
from ct_mcp.desk.controls import Actor, Controls
from ct_mcp.errors import ConfigError
from ct_mcp.store.journal import Entry, EntryKind
from ct_mcp.store.journal_table import JournalQuery
from ct_mcp.store.sql import NO_LIMIT
from ct_mcp.store.sql_store import SqlStore
from ct_mcp.store.sqlite import FILE_NAME
from ct_mcp.text import command, count, parse_span

OUTCOMES = ("filled", "partly filled", "working", "cancelled", "rejected", "took effect", "never arrived")
# As long as a request may live, its own server is still waiting for the answer, and knows more than anybody.
_UNDER_WAY_SECONDS = 60.0
_BAD = frozenset(
    {
        EntryKind.DENIED,
        EntryKind.UNKNOWN,
        EntryKind.UNPROTECTED,
        EntryKind.SUSPICIOUS,
        EntryKind.PIN_WRONG,
        EntryKind.HALTED,
    }
)
_INDENT = " " * 23
# What a rule or the service said gets a line of its own in the list; the rest is short.
_ON_LINES_OF_THEIR_OWN = frozenset({"denied", "reason", "warning"})

_Work = Callable[[SqlStore, Screen], Awaitable[int]]


def run(chosen: argparse.Namespace) -> int:
    """List, or do what was asked of the journal; the codes stand in each help."""
    if chosen.asked == "settle" and lacks_terminal("journal settle"):
        return 2
    settings, work = settings_for(chosen), _work(chosen)
    if settings.state is None and not (settings.state_dir / FILE_NAME).exists():
        print(f"There is no journal in {settings.state_dir} yet: no server has kept one there.", file=sys.stderr)
        anyio.run(_look_elsewhere, chosen)
        return 0 if chosen.asked is None else 1
    return anyio.run(_do, work, store_of(settings), chosen)


async def _do(work: _Work, store: SqlStore, chosen: argparse.Namespace) -> int:
    try:
        code = await work(store, Screen.on_stdout())
        is_empty = not await store.entries(1)
    finally:
        await store.close()
    if is_empty or (code and chosen.asked == "why"):
        await _look_elsewhere(chosen)
    return code


async def _look_elsewhere(chosen: argparse.Namespace) -> None:
    """Say on stderr where another journal is, if what was asked for is not in this one: a demo has one of its own."""
    with other_store(chosen) as store:
        if store is None:
            return
        if await was_used_lately(store, utc_now()):
            print(f"{whose(chosen)} keeps a journal of its own: {command('journal')}", file=sys.stderr)
        await store.close()


def _work(chosen: argparse.Namespace) -> _Work:
    match chosen.asked:
        case "why":
            return partial(tell_story, any_id=chosen.id)
        case "verify":
            return verify
        case "export":
            from ct_mcp.cli.journal_export import Export, export

            return partial(export, how=Export(chosen.format, chosen.output, chosen.force), query=_wanted(chosen))
        case "settle":
            return partial(settle, ticket_id=chosen.id)
        case _:
            return partial(show_list, wanted=_wanted(chosen))


def _wanted(chosen: argparse.Namespace) -> JournalQuery:
    """Read what the flags ask for.

    Raises:
        ConfigError: There is no such kind, or no such time.
    """
    kind = None
    if chosen.kind is not None:
        if chosen.kind not in list(EntryKind):
            raise ConfigError(f"--kind: found {chosen.kind[:40]!a}, expected one of {', '.join(EntryKind)}")
        kind = EntryKind(chosen.kind)
    since = _parse_since(chosen.since, utc_now()) if chosen.since is not None else None
    return JournalQuery(NO_LIMIT if chosen.asked == "export" else chosen.limit, chosen.account, kind, since)


def _parse_since(text: str, now: datetime) -> datetime:
    """Read a span before now, or a date or time, which is meant as the clock on the wall unless it names its zone.

    Raises:
        ConfigError: It is neither.
    """
    if span := parse_span(text):
        return now - span
    try:
        return datetime.fromisoformat(text.strip()).astimezone(UTC)
    except (ValueError, OSError, OverflowError):
        expected = "30m, 8h or 7d, or a date such as 2026-11-20 or 2026-11-20T15:30"
        raise ConfigError(f"--since: found {text[:40]!a}, expected {expected}") from None


async def show_list(store: SqlStore, screen: Screen, wanted: JournalQuery) -> int:
    """Show the newest entries, and what is outstanding; the newest stands last, right above the prompt."""
    entries = await store.search(wanted)
    if not entries:
        everything = wanted == JournalQuery(limit=wanted.limit)
        screen.say("The journal is empty." if everything else "The journal holds no such entry.")
    day = ""
    for entry in entries:
        if day != (day := day_of(entry)):
            screen.say()
            screen.say(f"{day}, by your clock", "bold")
        show_entry(entry, screen)
    if outstanding := await store.unsettled():
        screen.say()
        story = command("journal", "why", "ID")
        screen.say(f"Of unknown outcome: {count(len(outstanding), 'order')}. See {story}.", "bad")
        _show_outstanding(outstanding, screen)
    return 0


def show_entry(entry: Entry, screen: Screen) -> None:
    """Show one entry: what happened, its details, and the words of others marked as theirs."""
    style = "bad" if entry.kind in _BAD else ""
    screen.say(safe(entry.summary), style, label=f"  {clock_time(entry)}  {entry.kind:<10} ")
    named = [f"ticket: {entry.ticket_id}"] if entry.ticket_id else []
    short = [f"{label}: {value}" for label, value in details(entry) if label not in _ON_LINES_OF_THEIR_OWN]
    screen.say("; ".join((f"#{entry.sequence}", *named, *short)), "quiet", label=_INDENT)
    for label, value in details(entry):
        if label in _ON_LINES_OF_THEIR_OWN:
            screen.say(value, "quiet", label=f"{_INDENT}{label}: ")
    show_assistants_words(entry, screen)


def _show_outstanding(outstanding: Sequence[Entry], screen: Screen) -> None:
    screen.table([(safe(entry.ticket_id), safe(entry.summary)) for entry in outstanding])


async def verify(store: SqlStore, screen: Screen) -> int:
    """Follow the whole chain: 0 whole, 1 broken, with the entry where."""
    screen.wait("checking")
    found = await store.verify()
    if not found.ok:
        screen.bad(f"Broken at entry {found.broken_at}: {safe(found.why)}.")
        screen.detail(f"Before it {found.count} entries are in good order.")
        screen.detail(
            "Somebody or something has changed the file from outside. Keep it as it is, and compare it "
            "with what NinjaTrader shows."
        )
        return 1
    screen.good(f"Whole: {found.count} entries, each following from the one before.")
    screen.detail("The last hash; kept in another place, it proves later that nobody made all of it anew:")
    screen.verbatim(f"    {found.last_hash}")
    return 0


async def settle(store: SqlStore, screen: Screen, ticket_id: str) -> int:
    """Let the person say what became of what one ticket sent: 0 settled, 1 left as it was."""
    outstanding = await _outstanding(store, ticket_id)
    if not outstanding:
        await _nothing_to_settle(store, ticket_id, screen)
        return 1
    age = (utc_now() - outstanding[-1].at).total_seconds()
    if age < _UNDER_WAY_SECONDS:
        screen.say(f"It was sent {max(0.0, age):.0f} s ago and may be under way still. Try again in a minute.")
        return 1
    show_story(await store.story(ticket_id), screen)
    outcome = await _ask_outcome(screen)
    if outcome and await confirm_pin(store, screen) and await _outstanding(store, ticket_id) == outstanding:
        await Controls(store, utc_now).settle(outstanding[-1], outcome, Actor.TERMINAL)
        screen.good(f"Settled: {outcome}. It no longer counts as outstanding; the journal says that you said so.")
        return 0
    screen.say("Left as it was: it still counts against every limit.")
    return 1


async def _outstanding(store: SqlStore, ticket_id: str) -> list[Entry]:
    return [entry for entry in await store.unsettled() if entry.ticket_id == ticket_id]


async def _nothing_to_settle(store: SqlStore, ticket_id: str, screen: Screen) -> None:
    await store.ticket(ticket_id)  # raises where only a store that is out of reach can know of it
    screen.say(f"Nothing of unknown outcome has the ticket id {safe(ticket_id)}.")
    if outstanding := await store.unsettled():
        screen.say("Of unknown outcome are:")
        _show_outstanding(outstanding, screen)
    else:
        screen.say("Nothing at all is of unknown outcome.")


async def _ask_outcome(screen: Screen) -> str:
    """Ask for one of the outcomes; gives nothing where something else was typed."""
    screen.say()
    screen.say(
        "Nobody could find out what became of this. Look in NinjaTrader first: the account's orders, "
        "executions and positions.",
        "person",
    )
    screen.say(f"Then type what you saw, one of: {', '.join(OUTCOMES)}. Anything else leaves it as it is.")
    answer = " ".join((await read_line()).casefold().split())
    return answer if answer in OUTCOMES else ""
