"""Editing the TOML of Codex: whatever was there is there still, and what cannot be edited is refused."""

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_mcp.cli.json_text import UnreadableText
from ct_mcp.cli.toml_text import entries, put, take

ENTRY: dict[str, Any] = {"command": r"C:\Users\Zoë\ct-mcp.exe", "args": ["serve", "--demo"]}
BOX, NAME = "mcp_servers", "ct-mcp"

# Whole pieces of a file; each may stand beside each, in any order.
PIECES = [
    'model = "gpt" # mine\n',
    '\n# about nothing\n\n[profiles.x]\nkey = """\n[mcp_servers.ct-mcp]\ncommand = "not one"\n"""\n',
    '[mcp_servers.a]\ncommand = "a" # c\nargs = [\n  "x", # [mcp_servers.ct-mcp]\n]\n\n',
    '[mcp_servers.a.env]\nTOKEN = "theirs"\n',
    '[projects."/home/ct-mcp"]\ntrust_level = "trusted"\r\n',
    "[[hooks]]\nname = \"ct-mcp\"\n[[hooks]]\nname = '''x'''\n",
    "[mcp_servers]\n",
]
texts = st.lists(st.sampled_from(PIECES), unique=True).map(
    lambda pieces: "".join(sorted(pieces, key=lambda piece: piece.startswith(("[", "\n"))))
)


@given(texts)
def test_whatever_was_there_is_there_still_and_our_entry_joins_it(before: str) -> None:
    data = tomllib.loads(before)
    after = put(before, BOX, NAME, ENTRY)
    assert after.startswith(before)
    assert tomllib.loads(after) == {**data, BOX: {**data.get(BOX, {}), NAME: ENTRY}}
    assert put(after, BOX, NAME, ENTRY) == after


@given(texts)
def test_to_take_it_out_gives_back_the_text(before: str) -> None:
    assert take(put(before, BOX, NAME, ENTRY), BOX, NAME).rstrip() == before.rstrip()


def test_of_an_entry_that_is_there_only_what_differs_is_written_anew() -> None:
    before = (
        '[mcp_servers."ct-mcp"] # ours\nargs = [ # flags\n  "serve",\n] # end\ncommand = "old#er" # by hand\n'
        'startup_timeout_sec = 30\n[mcp_servers.ct-mcp.env]\ncommand = "x"\n\n# the next\n[a]\n'
    )
    after = put(before, BOX, NAME, {"command": "new", "args": ["serve", "--demo"]})
    assert after == (
        '[mcp_servers."ct-mcp"] # ours\nargs = ["serve", "--demo"]  # end\ncommand = "new"  # by hand\n'
        'startup_timeout_sec = 30\n[mcp_servers.ct-mcp.env]\ncommand = "x"\n\n# the next\n[a]\n'
    )
    assert take(after, BOX, NAME) == "\n# the next\n[a]\n"


def test_what_is_missing_in_an_entry_joins_it() -> None:
    after = put("[mcp_servers.ct-mcp]\nenabled = true\n[b]\nx = 1\n", BOX, NAME, ENTRY)
    assert entries(after, BOX)[NAME] == {"enabled": True, **ENTRY}


@pytest.mark.parametrize(
    "text",
    ['mcp_servers = { a = { command = "a" } }\n', "mcp_servers = 3\n", "[mcp_servers\n", "[mcp_servers]\nct-mcp = 1\n"],
)
def test_a_text_that_cannot_be_edited_is_refused(text: str) -> None:
    with pytest.raises(UnreadableText):
        put(text, BOX, NAME, ENTRY)


def test_a_name_that_needs_quotes_gets_them() -> None:
    assert '[mcp_servers."a.b"]' in put("", BOX, "a.b", ENTRY)
