"""``ct-mcp check``: is every link to the broker whole, and is the service still as we know it? Reads only.

Exit codes: 0 all well, 1 a link is broken, 2 cannot start, 3 the service's routes differ from our catalogue.
"""

import argparse
import json
import os
import sys

import anyio

from ct_mcp.cli.check_report import Report, as_json
from ct_mcp.cli.check_screen import show
from ct_mcp.cli.check_walk import walked
from ct_mcp.cli.compose import settings_for
from ct_mcp.cli.screen import Screen
from ct_mcp.config.settings import Settings


def run(chosen: argparse.Namespace) -> int:
    """Look, tell, and give the exit code."""
    settings = settings_for(chosen)
    screen = Screen.on(sys.stdout, os.environ)
    if not chosen.json:
        screen.wait("looking")
    report = anyio.run(_simulated if chosen.demo else walked, settings)
    if chosen.json:
        print(json.dumps(as_json(report), indent=2))
    else:
        show(report, screen, simulated=chosen.demo)
    return report.exit_code


async def _simulated(settings: Settings) -> Report:
    from ct_mcp.cli.embedded import simulated

    async with simulated(settings) as led_there:
        return await walked(led_there)
