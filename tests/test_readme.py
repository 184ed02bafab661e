"""README and docs/tools.md say what the server does, and its commands are the ones that the gate runs."""

import re
from pathlib import Path

import pytest
from mcp import Client

from ct_mcp.config.values import TOOLSETS
from ct_mcp.crosstrade.endpoints import ENDPOINTS, PREFIX, REFERENCES
from ct_mcp.guard.policy import Mode, Policy
from ct_mcp.server.app import build_server, listed_tools
from ct_mcp.server.context import ServerContext

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TOOLS = (ROOT / "docs/tools.md").read_text(encoding="utf-8")
PAGES = ["README.md", "benchmarks/README.md", *(f"docs/{file.name}" for file in sorted((ROOT / "docs").glob("*.md")))]
THAT_LINK = ("README.md", "docs/console.md")
NO_DESK = ServerContext(lambda: pytest.fail("listing needs no desk"), Policy())
EVERY_TOOLSET = ServerContext(
    lambda: pytest.fail("listing needs no desk"),
    Policy(),
    toolsets=frozenset(TOOLSETS),
)
ALL_TOOLS = [tool.name for tool in listed_tools(EVERY_TOOLSET)]


def test_the_tool_tables_list_exactly_the_tools_there_are_in_their_order() -> None:
    tables = TOOLS.split("## Tools")[1].split("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", tables, re.MULTILINE) == ALL_TOOLS
    default = tables.split("| toolset `strategies` |")[0]
    assert re.findall(r"^\| `(\w+)` \|", default, re.MULTILINE) == [tool.name for tool in listed_tools(NO_DESK)]


def test_every_endpoint_stands_in_its_table_as_the_catalogue_has_it_and_no_other() -> None:
    written = [(rpc, method, f"{PREFIX}{path}") for rpc, method, path, _ in _endpoint_rows()]
    assert written == [(endpoint.rpc, endpoint.method, endpoint.path) for endpoint in ENDPOINTS.values()]
    assert f"<summary>{len(written)} endpoints</summary>" in TOOLS


def test_every_endpoint_is_reached_by_something_there_is_or_says_why_nothing_does() -> None:
    documents = {f"crosstrade://reference/{name.lstrip('_')}" for name in REFERENCES}
    fields = {field for tool in listed_tools(EVERY_TOOLSET) for field in tool.parameters["properties"]}
    for rpc, *_, reached_by in _endpoint_rows():
        named = _named(reached_by)
        assert named <= {*ALL_TOOLS, *documents, *fields}, rpc
        assert named & {*ALL_TOOLS, *documents} or re.match(r"none: \w+", reached_by), rpc


def test_every_tool_that_asks_crosstrade_has_an_endpoint() -> None:
    reached = {name for *_, reached_by in _endpoint_rows() if reached_by[:4] != "none" for name in _named(reached_by)}
    asks_nothing_of_its_own = {
        "preview_order",
        "get_journal",
        "confirm_ticket",
        "halt_trading",
        "get_watches",
        "end_watch",
    }
    assert set(ALL_TOOLS) - reached == asks_nothing_of_its_own


def _named(text: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", text))


def _endpoint_rows() -> list[tuple[str, str, str, str]]:
    """RPC, method, path, and what reaches it."""
    return re.findall(r"^\| (\S+) \| `([A-Z]+) (/\S+)` \| (.+) \|$", TOOLS, re.MULTILINE)


def test_the_readme_counts_the_tools() -> None:
    usual = len(listed_tools(NO_DESK))
    assert f"{usual} tools to look and to trade, {len(ALL_TOOLS) - usual} more for strategies and charts" in README


async def test_the_resources_are_named() -> None:
    async with Client(build_server(NO_DESK)) as client:
        fixed = [str(resource.uri) for resource in (await client.list_resources()).resources]
        patterns = [template.uri_template for template in (await client.list_resource_templates()).resource_templates]
    missing = [uri for uri in (*fixed, *patterns) if f"`{uri}`" not in TOOLS]
    assert not missing


@pytest.mark.parametrize("mode", Mode)
def test_every_mode_is_explained(mode: Mode) -> None:
    assert re.search(rf"^\| `{mode}`", README, re.MULTILINE)


@pytest.mark.parametrize("command", ["pip install . && ct-mcp demo", 'pip install -e ".[dev]" && pytest'])
def test_each_of_the_two_commands_stands_alone_in_a_block(command: str) -> None:
    assert f"```sh\n{command}\n```" in README


@pytest.mark.parametrize("page", PAGES)
def test_every_link_into_the_project_leads_to_a_file(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    linked = [one or other for one, other in re.findall(r'\]\((?!https?://)([^)#]+)|src="([^"]+)"', text)]
    assert [path for path in linked if not (ROOT / page).parent.joinpath(path).exists()] == []
    assert linked or page not in THAT_LINK


@pytest.mark.parametrize("page", [page for page in PAGES if page.startswith("docs/")])
def test_every_page_of_the_documents_is_linked_from_the_readme(page: str) -> None:
    assert f"]({page})" in README
