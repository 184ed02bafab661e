"""The team's plane, as ``ct-mcp check`` looks at it: whether it is reached, and what it says of this trader.

It stands alone, since only settings that lead to a database need it, and it loads psycopg.
"""

from ct_mcp.cli.check_report import LinkFinding
from ct_mcp.cli.runtime import team_of, utc_now
from ct_mcp.config.settings import Settings
from ct_mcp.desk.team_words import lost_words, team_lines
from ct_mcp.live.cache import LinkState
from ct_mcp.server.links import Link
from ct_mcp.text import command, sanitize

TEAM = "team's plane"
_MEND = "look at plane in the settings, and ask whoever looks after the team's database"


async def team_findings(settings: Settings) -> tuple[LinkFinding, ...]:
    """Ask it once; nothing where there is no team, or where what machines share cannot be reached anyway."""
    team = team_of(settings)
    try:
        standing = await team.hear()
    finally:
        await team.close()
    if standing is None or (settings.plane is None and not (standing.policies or standing.halt)):
        return ()
    if standing.unreadable:
        what = f"nothing opens: {sanitize(standing.unreadable, longest=400)}"
        step = "a newer ct-mcp may read it, or a risk manager sets another"
        return (LinkFinding(Link(TEAM, LinkState.BROKEN, what), step),)
    if standing.lost is not None:
        step = f"{_MEND}; then run {command('check')} again"
        return (LinkFinding(Link(TEAM, LinkState.BROKEN, lost_words(standing.lost, utc_now())), step),)
    said = "; ".join(line.removeprefix("team: ") for line in team_lines(standing, team.policy, utc_now()))
    at = settings.team_at
    proved = "" if at is None or at.is_verified else "; whose it is was not verified"
    return (LinkFinding(Link(TEAM, LinkState.OK, f"{at}{proved}; {said or 'it wants nothing of you'}")),)
