"""What a person does next: the commands that this program tells people to run, and how to go on after the demo."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ct_mcp.text import command

if TYPE_CHECKING:
    from ct_mcp.cli.screen import Screen


def show_next_steps(screen: "Screen", program: Sequence[str]) -> None:
    """Show how to go on after the demo; what is to be pasted is never broken at the width of the screen.

    ``program`` starts ct-mcp on this machine.
    """
    screen.say()
    screen.say("All of this happened, and each step was checked against what the server answered.", "good")
    _your_assistant(screen, program, Path.home())
    _your_yes(screen)
    _your_account(screen)


def _your_assistant(screen: "Screen", program: Sequence[str], home: Path) -> None:
    from ct_mcp.cli.client_config import DEMO, claude_code_line, desktop_file, is_in_a_cache, json_lines, yaml_lines

    _heading(screen, "Next: your own assistant, on the same kind of simulator")
    screen.say(
        "Each client starts a server with a simulator of its own. Nothing of this tour is left: its tickets and its "
        "journal are gone."
    )
    if is_in_a_cache(program):
        screen.say(
            "What runs here stands in a cache of uv, which may be cleared: install it first (uv tool install) and "
            "take the lines of a demo from there.",
            "bad",
        )
    screen.say("This writes it for you, and shows you what before it does:")
    screen.verbatim(command("install", "CLIENT", "--demo"))
    screen.say("Or paste it yourself:")
    _to_paste(screen, "Claude Desktop", str(desktop_file(sys.platform, os.environ, home)), json_lines(program))
    screen.say("Settings > Developer > Edit Config opens this file; where it names servers already, add the entry.")
    _to_paste(screen, "Cursor", str(home / ".cursor" / "mcp.json"), ["the same lines"])
    _to_paste(
        screen, "Continue", str(home / ".continue" / "mcpServers" / "ct-mcp-demo.yaml"), yaml_lines([*program, *DEMO])
    )
    _to_paste(screen, "Claude Code", "in a terminal", [claude_code_line(program)])
    screen.say()
    screen.say('Start the client again and ask it: "What may you trade? Propose to buy one MES in Sim101."')


def _your_yes(screen: "Screen") -> None:
    _heading(screen, "Your yes")
    screen.say(
        "Claude Desktop and Continue cannot show the question: for them a page opens in your browser. Where none "
        "opens, keep this open in a terminal of your own:"
    )
    screen.say()
    screen.verbatim(command("approve", "--demo", "--watch"))


def _your_account(screen: "Screen") -> None:
    _heading(screen, "Later: your own NinjaTrader")
    screen.say("End the same entry like this, with the token from CrossTrade's My Account page:")
    screen.verbatim('      "args": ["serve"],')
    screen.verbatim('      "env": {"CROSSTRADE_TOKEN": "..."}')
    screen.say(
        "It begins in mode sim, where only accounts that NinjaTrader simulates can trade: stay there first. "
        f"You approve with: {command('approve', '--watch')}"
    )


def _heading(screen: "Screen", text: str) -> None:
    screen.say()
    screen.say(text, "bold")


def _to_paste(screen: "Screen", client: str, where: str, lines: Sequence[str]) -> None:
    screen.say()
    screen.verbatim(f"{client}: {where}", "person")
    for line in lines:
        screen.verbatim(line)
