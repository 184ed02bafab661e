"""How a command of ``ct-mcp plane`` reaches the plane: where it is, as whom, and who types."""

import argparse
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio

from ct_mcp.cli.flags import as_word
from ct_mcp.cli.runtime import store_of, utc_now
from ct_mcp.cli.screen import Screen
from ct_mcp.cli.terminal import read_line
from ct_mcp.config.settings import Settings
from ct_mcp.desk.team import Team
from ct_mcp.domain.team import EVERYBODY, TeamRole
from ct_mcp.errors import ConfigError, Refused
from ct_mcp.store.postgres_url import PostgresUrl, parse_postgres_url
from ct_mcp.text import command, sanitize

if TYPE_CHECKING:
    from ct_mcp.store.sql_store import SqlStore

_NOWHERE = (
    'There is no plane: name its database in the settings, plane = "postgresql://ROLE@HOST/DATABASE", in the variable '
    "CT_MCP_PLANE, or by --database"
)


@dataclass(frozen=True, slots=True)
class AtThePlane:
    """A person, or a script, at the plane. ``pins`` is the store of this machine, which holds the person's PIN."""

    team: Team
    pins: "SqlStore"
    screen: Screen
    chosen: argparse.Namespace
    ask: Callable[[], Awaitable[str]] = read_line

    def typed(self, *words: str) -> str:
        """Write a command of the plane as a person types it here."""
        given = [(f"--{name.replace('_', '-')}", getattr(self.chosen, name, None)) for name in _PLACES]
        return command("plane", *words, *(part for flag, text in given if text for part in (flag, as_word(text))))

    async def need_risk_manager(self, what: str) -> None:
        """Raise where the role is a trader's: the database refuses it as well, in fewer words.

        Raises:
            Refused: Says who may.
        """
        if await self.team.role() is not TeamRole.RISK_MANAGER:
            step = f"ask a risk manager of the team; your own halt is {command('halt')}"
            raise Refused(f"you are a trader of this team, and only a risk manager {what}", next_step=step)


_PLACES = ("database", "config", "state_dir")


def plane_url(chosen: argparse.Namespace, settings: Settings) -> PostgresUrl:
    """Say which database is meant.

    Raises:
        ConfigError: None is named, or what was typed is none; nothing of it is repeated, as it may hold a password.
    """
    if chosen.database is not None:
        return _typed_url(chosen.database)
    if settings.team_at is None:
        raise ConfigError(_NOWHERE)
    return settings.team_at


def _typed_url(text: str) -> PostgresUrl:
    try:
        url = parse_postgres_url(text.strip())
    except ValueError as fault:
        raise ConfigError(f"--database: expected {fault}") from None
    if url.password:
        raise ConfigError(
            "--database: expected it without the password, which every program of this machine can read there; it "
            "belongs into a passfile, or in the URL of CT_MCP_PLANE"
        )
    return url


def team_of(url: PostgresUrl) -> Team:
    """Open the plane; the first call connects.

    Raises:
        ConfigError: What it takes to reach a database is not installed.
    """
    try:
        from ct_mcp.store.plane_team import TeamPlane
    except ImportError as error:
        raise ConfigError(f"plane: needs ct-mcp[postgres]: {error}") from error
    return TeamPlane(url, utc_now)


@asynccontextmanager
async def reached(chosen: argparse.Namespace, settings: Settings) -> AsyncIterator[AtThePlane]:
    """Open the plane and the store of this machine; close both in the end."""
    url = plane_url(chosen, settings)
    if not url.is_verified:
        print("plane: whose database it is was not verified; add sslmode=verify-full to its URL", file=sys.stderr)
    team, pins = team_of(url), store_of(settings)
    try:
        yield AtThePlane(team, pins, Screen.on_stdout(), chosen)
    finally:
        with anyio.CancelScope(shield=True):
            await team.close()
            await pins.close()


def whom(chosen: argparse.Namespace) -> str:
    """Give the trader that a command names; everybody where it names none."""
    return chosen.trader or EVERYBODY


def in_words(trader: str) -> str:
    """Name a trader, or everybody, made harmless."""
    return "everybody" if trader == EVERYBODY else sanitize(trader, longest=63)


async def need_member(at: AtThePlane, trader: str) -> None:
    """Raise where the team has no such trader: a halt of nobody would look like one.

    Raises:
        Refused: Names those that there are.
    """
    names = [member.name for member in await at.team.members() if member.role is TeamRole.TRADER]
    if trader != EVERYBODY and trader not in names:
        there = ", ".join(map(in_words, sorted(names))) or "none"
        raise Refused(f"the team has no trader {in_words(trader)}", next_step=f"its traders are: {there}")


def checked(settings_text: str) -> Sequence[str]:
    """Read the text of a policy, and give everything that is wrong with it, a line for each."""
    from ct_mcp.config.team_policy import faults_of_team_policy

    return faults_of_team_policy(settings_text)
