"""What people are told to run: written as they type it, and never broken where it is to be copied."""

import io
import json

from ct_mcp.cli.next_steps import show_next_steps
from ct_mcp.cli.screen import Screen
from ct_mcp.text import command


def test_a_command_is_written_as_a_person_types_it() -> None:
    assert command("journal", "settle", "t-1") == "ct-mcp journal settle t-1"


def test_what_is_to_be_pasted_after_the_demo_is_whole_at_any_width() -> None:
    out = io.StringIO()
    program = f"/home/{'a-long-name/' * 12}bin/ct-mcp"
    show_next_steps(Screen(out, width=40), [program])
    shown = out.getvalue()
    entry = shown[shown.index("\n{\n") : shown.index("\n}\n") + 2]
    assert json.loads(entry)["mcpServers"]["ct-mcp-demo"]["command"] == program
    assert "\nct-mcp approve --demo --watch\n" in shown
