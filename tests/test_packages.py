"""The files that registries, stores and clients read agree with the package, and with each other."""

import base64
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from jsonschema import Draft7Validator

from ct_mcp import __version__
from ct_mcp.config.faults import as_variable
from ct_mcp.config.schema import Overrides
from ct_mcp.guard.policy import Mode

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
VARIABLES = {"CROSSTRADE_TOKEN", *(as_variable((name,)) for name in Overrides.model_fields)}
ON_THE_SIMULATOR = {"command": "ct-mcp", "args": ["serve", "--demo"]}


def _json(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((ROOT / name).read_text(encoding="utf-8"))
    return content


SERVER = _json("server.json")
MANIFEST = _json("manifest.json")
(PACKAGE,) = SERVER["packages"]


def test_every_version_is_the_package_s() -> None:
    assert {SERVER["version"], PACKAGE["version"], MANIFEST["version"]} == {__version__}


def test_every_name_of_the_registry_is_the_same_and_its_owner_maintains_it() -> None:
    owner = re.fullmatch(r"io\.github\.([A-Za-z0-9-]+)/ct-mcp", SERVER["name"])
    assert owner is not None
    assert README.startswith(f"<!-- mcp-name: {SERVER['name']} -->\n")
    assert f'io.modelcontextprotocol.server.name="{SERVER["name"]}"' in DOCKERFILE
    assert _json("glama.json")["maintainers"] == [owner[1]]


def test_the_registry_starts_what_is_there_with_variables_that_are_read() -> None:
    given = {variable["name"]: variable for variable in PACKAGE["environmentVariables"]}
    assert given.keys() <= VARIABLES
    assert given["CROSSTRADE_TOKEN"]["isSecret"] is True
    assert given["CT_MCP_MODE"]["choices"] == list(Mode)
    assert [argument["value"] for argument in PACKAGE["packageArguments"]] == ["serve"]
    assert len(SERVER["description"]) <= 100  # more is refused by the registry


def test_the_registry_s_own_schema_takes_what_it_is_given() -> None:
    """The schema is the registry's, as it is published at the address that the file names; its licence lies beside."""
    schema = _json("tests/data/registry/server.schema.json")
    assert SERVER["$schema"] == schema["$id"]
    validator = Draft7Validator(schema)
    assert list(validator.iter_errors(SERVER)) == []
    assert list(validator.iter_errors({**SERVER, "description": "x" * 101}))
    assert list(validator.iter_errors({**SERVER, "packages": [{**PACKAGE, "transport": {"type": "pipe"}}]}))


def test_the_bundle_starts_what_is_there_and_hides_the_token() -> None:
    server, asked = MANIFEST["server"], MANIFEST["user_config"]
    assert (ROOT / server["entry_point"]).is_file()
    assert server["mcp_config"]["args"][-2:] == ["ct-mcp", "serve"]
    filled_in = {name: value.strip("${}").removeprefix("user_config.") for name, value in _env(server).items()}
    assert filled_in.keys() <= VARIABLES
    assert set(filled_in.values()) == set(asked)
    # What is not required may come as a text that nobody filled in, which would keep the server from starting.
    assert all(each["required"] for each in asked.values())
    assert asked[filled_in["CROSSTRADE_TOKEN"]]["sensitive"] is True
    assert "default" not in asked[filled_in["CROSSTRADE_TOKEN"]]


def _env(server: dict[str, Any]) -> dict[str, str]:
    env: dict[str, str] = server["mcp_config"]["env"]
    return env


def test_the_bundle_lets_nothing_in_that_lies_in_the_folder_by_chance() -> None:
    lines = (ROOT / ".mcpbignore").read_text(encoding="utf-8").splitlines()
    patterns = [line for line in lines if not line.startswith("#")]
    assert patterns[0] == "/*"
    let_in = {pattern.removeprefix("!/") for pattern in patterns if pattern.startswith("!")}
    assert let_in == {"manifest.json", "pyproject.toml", "README.md", "LICENSE", "ct_mcp"}


def test_the_links_that_install_start_the_simulator_and_carry_no_token() -> None:
    links = {
        urlsplit(link).netloc: parse_qs(urlsplit(link).query) for link in re.findall(r"\]\((https://\S+)\)", README)
    }
    cursor, code = links["cursor.com"], links["insiders.vscode.dev"]
    assert cursor["name"] == code["name"] == ["ct-mcp"]
    assert json.loads(base64.b64decode(cursor["config"][0])) == ON_THE_SIMULATOR
    assert json.loads(code["config"][0]) == {"type": "stdio", **ON_THE_SIMULATOR}
