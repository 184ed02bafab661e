"""What a trader's own commands say and take of the team: whether it has halted, and the policy as it narrows that.

It stands alone, since halting, resuming, arming, approving and telling a floor each need it, where there is a team.
"""

from ct_mcp.cli.runtime import team_of, utc_now
from ct_mcp.cli.screen import Screen
from ct_mcp.config.settings import Settings
from ct_mcp.desk.decisions import Decisions
from ct_mcp.desk.second_yes import SecondPerson
from ct_mcp.desk.team_words import halted_words, lost_words
from ct_mcp.domain.approval import Ticket
from ct_mcp.guard.policy import Policy
from ct_mcp.store.sql_store import SqlStore


async def say_if_team_halts(settings: Settings, screen: Screen) -> bool:
    """Say by whom of the team this trader is halted, and whether it can be asked; says whether it has halted."""
    team = team_of(settings)
    try:
        standing = await team.hear()
    finally:
        await team.close()
    if standing is None:
        return False
    if standing.lost is not None and (settings.plane is not None or standing.lost.heard_at is not None):
        screen.say(f"Your team's plane does not answer: {lost_words(standing.lost, utc_now())}.", "person")
    if standing.halt is None:
        return False
    screen.say(f"Your team has halted you, {halted_words(standing.halt)}. Nothing on this machine lifts that.", "bad")
    return True


async def policy_in_force(settings: Settings) -> Policy:
    """Give the policy as the team narrows it: by its word of now, or its last one where it does not answer."""
    team = team_of(settings)
    try:
        await team.hear()
        return team.policy
    finally:
        await team.close()


async def say_second(ticket: Ticket, settings: Settings, store: SqlStore, screen: Screen) -> None:
    """Say of an approved ticket how it stands with the second person; nothing of one that needs none."""
    if not ticket.needs_second:
        return
    team = team_of(settings)
    try:
        second = await SecondPerson(team, store, Decisions(store, utc_now), utc_now).look(ticket)
    finally:
        await team.close()
    screen.say(f"Your yes is held until theirs is there: {second.words}.", "person")
