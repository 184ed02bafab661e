"""``ct-mcp plane serve``: the team on a page in the browser of a risk manager, or of a trader who sees the own rows.

It can halt, resume, set policies and give a second yes, so it starts only where a person types, and its address works
once.
"""

import argparse
import sys
from functools import partial
from typing import TYPE_CHECKING

import anyio

from ct_mcp.cli.console import OPENS_FOR, opened
from ct_mcp.cli.plane_access import AtThePlane, checked, reached
from ct_mcp.cli.runtime import settings_for, utc_now
from ct_mcp.cli.screen import Screen
from ct_mcp.config.settings import Settings
from ct_mcp.desk.pin import pin_is_set
from ct_mcp.domain.team import TeamRole
from ct_mcp.text import command

if TYPE_CHECKING:
    from socket import socket


def run(chosen: argparse.Namespace) -> int:
    """Serve the pages until Ctrl-C; 2 where the port is taken."""
    from ct_mcp.net.asgi import listen

    settings, screen = settings_for(chosen), Screen.on_stdout()
    try:
        listener = listen(chosen.port)
    except OSError as error:
        print(f"port {chosen.port} cannot be used: {error.strerror}", file=sys.stderr)
        return 2
    try:
        anyio.run(_serve, settings, chosen, listener)
    except KeyboardInterrupt:
        screen.say()
        screen.say("The page of the team has ended; it shows nothing new any more.")
    return 0


async def _serve(settings: Settings, chosen: argparse.Namespace, listener: "socket") -> None:
    from ct_mcp.net.asgi import serve
    from ct_mcp.web.sessions import SessionStore
    from ct_mcp.web.team_app import team_app
    from ct_mcp.web.team_state import TeamState

    async with reached(chosen, settings) as at:
        role = await at.team.role()
        keys = SessionStore(utc_now)
        state = TeamState(at.team, at.pins, keys, utc_now, checked, role)
        async with serve(partial(team_app, state), listener) as authority:
            token = keys.issue(None, utc_now() + OPENS_FOR)
            url = f"http://{authority}/open/{token}"
            if await opened(url, keys.has_come(token), settings, at.screen, wanted=not chosen.no_browser):
                at.screen.say("The page of the team is open in your browser.", "good")
            await _tell(at, role)
            await anyio.sleep_forever()


async def _tell(at: AtThePlane, role: TeamRole) -> None:
    what = "You see everybody" if role is TeamRole.RISK_MANAGER else "You are a trader, and see your own rows"
    at.screen.say(f"{what}. It is served on this machine alone, until Ctrl-C.")
    if role is TeamRole.RISK_MANAGER and not await pin_is_set(at.pins):
        pin = command("pin")
        at.screen.say(f"No PIN is set on this machine: whoever gets at the page can resume and approve. Set one: {pin}")
