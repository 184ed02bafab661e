"""Whether the team is heard, as one link of the status. It stands alone, since links are the server's alone to show."""

from datetime import datetime
from typing import TYPE_CHECKING

from ct_mcp.live.cache import LinkState
from ct_mcp.server.links import Link
from ct_mcp.text import sanitize

if TYPE_CHECKING:  # the desk is loaded by the first call, not by the start
    from ct_mcp.domain.team import TeamStanding

LINK = "team's plane"
TEAM_SECONDS = 2.0
"""Whoever only shows something takes what was heard so long ago."""
_LONGEST = 400


def team_link(standing: "TeamStanding | None", now: datetime) -> Link | None:
    """Say whether the team is heard; None where there is nothing to tell of a team."""
    if standing is None:
        return None
    if standing.unreadable:
        return Link(LINK, LinkState.BROKEN, f"nothing opens: {sanitize(standing.unreadable, longest=_LONGEST)}")
    if standing.lost is not None:
        from ct_mcp.desk.team_words import lost_words  # noqa: PLC0415  # as above

        return Link(LINK, LinkState.BROKEN, lost_words(standing.lost, now))
    return Link(LINK, LinkState.OK) if standing.policies or standing.halt else None
