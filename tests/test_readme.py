"""The README says what the server does, and its commands are the ones that the gate runs."""

import re
from pathlib import Path

import pytest
from mcp import Client

from ct_mcp.guard.policy import Mode, Policy
from ct_mcp.server.app import build_server, listed_tools
from ct_mcp.server.wiring import Wiring

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
NO_DESK = Wiring(lambda: pytest.fail("listing needs no desk"), Policy())


def test_the_tool_table_lists_exactly_the_tools_there_are_in_their_order() -> None:
    table = README.split("## Tools")[1].split("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == [tool.name for tool in listed_tools(NO_DESK)]


async def test_the_resources_are_named() -> None:
    async with Client(build_server(NO_DESK)) as client:
        fixed = [str(resource.uri) for resource in (await client.list_resources()).resources]
        patterns = [template.uri_template for template in (await client.list_resource_templates()).resource_templates]
    missing = [uri for uri in (*fixed, *patterns) if f"`{uri}`" not in README]
    assert not missing


@pytest.mark.parametrize("mode", Mode)
def test_every_mode_is_explained(mode: Mode) -> None:
    assert re.search(rf"^\| `{mode}`", README, re.MULTILINE)


@pytest.mark.parametrize("command", ["pip install . && ct-mcp demo", 'pip install -e ".[dev]" && pytest'])
def test_each_of_the_two_commands_stands_alone_in_a_block(command: str) -> None:
    assert f"```sh\n{command}\n```" in README


def test_every_link_into_the_project_leads_to_a_file() -> None:
    linked = re.findall(r"\]\((?!https?://)([^)#]+)\)", README)
    assert [path for path in linked if not (ROOT / path).exists()] == []
    assert linked
