"""``ct-mcp plane journal`` and ``acts``: what a trader's machines wrote down, what was done at the plane; both checked.

They stand apart from `cli/journal.py`, which reads one's own."""

from ct_mcp.cli.journal import show_entry
from ct_mcp.cli.journal_story import day_of
from ct_mcp.cli.plane_access import AtThePlane, in_words
from ct_mcp.cli.screen import Screen
from ct_mcp.desk.team_view import act_words
from ct_mcp.domain.team import TeamRole
from ct_mcp.store.journal import Verification
from ct_mcp.text import sanitize


async def tell_journal(at: AtThePlane) -> int:
    """Show the newest entries of a trader, the newest last, and follow the chain: 0 whole, 1 broken."""
    await at.need_risk_manager("reads another's journal")
    entries = await at.team.journal(at.chosen.trader, at.chosen.limit)
    day = ""
    for entry in reversed(entries):
        if day != (day := day_of(entry)):
            at.screen.say()
            at.screen.say(f"{day}, by your clock", "bold")
        show_entry(entry, at.screen)
    if not entries:
        at.screen.say(f"The journal of {in_words(at.chosen.trader)} is empty.")
    at.screen.wait("checking")
    return _show_chain(await at.team.verify_journal(at.chosen.trader), "entries", at.screen)


async def tell_acts(at: AtThePlane) -> int:
    """Show what was done at the plane, the newest last, and follow the chain: 0 whole, 1 broken."""
    acts = await at.team.acts(at.chosen.limit)
    for act in reversed(acts):
        at.screen.say(act_words(act), label=f"  {act.at.astimezone():%Y-%m-%d %H:%M:%S}  #{act.sequence}  ")
    if not acts:
        at.screen.say("Nothing was done at the plane yet.")
    if await at.team.role() is not TeamRole.RISK_MANAGER:
        at.screen.say("These are those that concern you; a risk manager sees all, and can check their chain.", "quiet")
        return 0
    at.screen.wait("checking")
    return _show_chain(await at.team.verify(), "acts", at.screen)


def _show_chain(found: Verification, what: str, screen: Screen) -> int:
    if not found.ok:
        screen.bad(f"Broken at #{found.broken_at}: {sanitize(found.why)}. Somebody has changed it from outside.")
        screen.detail(f"Before it {found.count} {what} are in good order. Keep a copy of the database as evidence.")
        return 1
    screen.good(f"Whole: {found.count} {what}, each following from the one before. The last hash:")
    screen.verbatim(f"    {found.last_hash}")
    return 0
