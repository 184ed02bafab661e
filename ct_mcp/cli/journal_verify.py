"""``ct-mcp journal verify``: whether anything was rewritten, removed or slipped in."""

from ct_mcp.cli.journal_words import safe
from ct_mcp.cli.screen import Screen
from ct_mcp.store.sqlite import SqliteStore


async def verify(store: SqliteStore, screen: Screen) -> int:
    """Walk the whole chain: 0 whole, 1 broken, with the entry where."""
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
