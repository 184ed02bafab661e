"""The documents name only what there is: links, paths, tests, modules, and who may import whom."""

import json
import re
import tomllib
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from textwrap import dedent
from typing import Any, get_args

import pytest
import yaml

from ct_mcp.cli.clients import CLIENTS
from ct_mcp.cli.parser import run
from ct_mcp.config.settings import load
from ct_mcp.desk.dispatch import HANDLERS
from ct_mcp.domain.commands import KINDS, Command
from docs import configuration

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "ct_mcp"
FOLDERS = ("", "docs", "docs/adr", "tests", "benchmarks")
PAGES = {
    f"{folder}/{file.name}".lstrip("/"): file.read_text(encoding="utf-8")
    for folder in FOLDERS
    for file in sorted((ROOT / folder).glob("*.md"))
}
ARCHITECTURE = PAGES["docs/architecture.md"]


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_file(page: str) -> None:
    linked = re.findall(r"\]\((?!https?://|#)([^)#\s]+)", PAGES[page])
    assert [path for path in linked if not (ROOT / page).parent.joinpath(path).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_path_that_stands_in_a_text_is_there(page: str) -> None:
    written = re.findall(r"`((?:ct_mcp|tests|docs|config|benchmarks)/[\w./-]*\w)(?:::\w+)*`", PAGES[page])
    assert [path for path in written if not ((ROOT / path).exists() or (PACKAGE / path).exists())] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_test_that_stands_in_a_text_is_there(page: str) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(?:\w+::)?(\w+)`", PAGES[page])
    missing = [f"{file}::{name}" for file, name in named if f"def {name}(" not in _text(ROOT / file)]
    assert missing == []


@pytest.mark.parametrize("page", PAGES)
def test_every_command_that_stands_in_a_text_is_there_with_its_flags(
    page: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for line in _commands(PAGES[page]):
        words = line.split()
        command = [word for word in words[:2] if re.fullmatch("[a-z]+", word)]
        with pytest.raises(SystemExit) as ended:
            run([*command, "--help"])
        told = capsys.readouterr().out
        assert ended.value.code == 0, line
        assert [flag for flag in words if flag.startswith("-") and flag not in re.split(r"[\s,\]]+", told)] == [], line


def _commands(page: str) -> list[str]:
    """What follows ``ct-mcp`` in a piece of code that begins with it, or starts it behind a ``--``."""
    typed = re.findall(r"^```sh\n(.+?)^```", page, re.MULTILINE | re.DOTALL)
    code = [
        *re.findall(r"`([^`\n]+)`", page),
        *re.findall(r"^\$ (.+)$", page, re.MULTILINE),
        *(line for block in typed for line in block.splitlines()),
    ]
    found = (re.match(r"(?:.* -- )?ct-mcp ((?!mcp )[a-z].*?)(?: +#.*)?$", piece) for piece in code)
    return [command[1] for command in found if command]


@pytest.mark.parametrize("page", ["README.md", "docs/getting-started.md"])
def test_every_line_that_installs_is_the_one_that_was_tried(page: str) -> None:
    tried = re.findall(r"`(\w+ mcp add [^`]+)` \|", PAGES["docs/clients.md"])
    lines = re.findall(r"`(\w+ mcp add [^`]+)`", PAGES[page])
    assert lines
    assert [line for line in lines if line not in tried] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_recipe_that_stands_in_a_text_is_there(page: str) -> None:
    recipes = set(re.findall(r"^([a-z][\w-]*)[^:=\n]*:$", _text(ROOT / "justfile"), re.MULTILINE))
    named = re.findall(r"`just ([a-z][\w-]*)", PAGES[page])
    assert [name for name in named if name not in recipes] == []


READERS: dict[str, Callable[[str], Any]] = {"json": json.loads, "toml": tomllib.loads, "yaml": yaml.safe_load}


@pytest.mark.parametrize("page", PAGES)
def test_every_block_to_paste_is_whole_and_starts_what_is_there(page: str) -> None:
    for language, block in _blocks(PAGES[page]):
        for entry in _entries(READERS[language](block)):
            command = entry["command"]
            words = command if isinstance(command, list) else [command, *entry["args"]]
            assert words in (["ct-mcp", "serve"], ["ct-mcp", "serve", "--demo"]), block


@pytest.mark.parametrize("page", ["docs/funded-accounts.md", "docs/configuration.md"])
def test_every_example_of_settings_is_taken(page: str, tmp_path: Path) -> None:
    examples = [block for language, block in _blocks(PAGES[page]) if language == "toml"]
    assert examples
    for example in examples:
        file = tmp_path / "settings.toml"
        file.write_text(example, encoding="utf-8")
        load({"config": str(file), "state_dir": str(tmp_path)}, {}, keyring=lambda: None)


def _blocks(page: str) -> list[tuple[str, str]]:
    found = re.findall(r"^( *```(json|toml|yaml)\n.+?)^ *```$", page, re.MULTILINE | re.DOTALL)
    return [(language, dedent(block).partition("\n")[2]) for block, language in found]


def _entries(tree: Any) -> Iterator[dict[str, Any]]:
    """Every table that names a command, however deep."""
    if isinstance(tree, dict) and "command" in tree:
        yield tree
    elif isinstance(tree, dict | list):
        for below in tree.values() if isinstance(tree, dict) else tree:
            yield from _entries(below)


def test_every_attack_in_the_table_of_threats_names_its_test() -> None:
    rows = [line for line in PAGES["docs/threats.md"].splitlines() if line.startswith("| ")]
    attacks = [row for row in rows if not row.startswith(("| Attack |", "|---"))]
    assert [row for row in attacks if "`tests/" not in row.split(" | ")[-1]] == []
    assert len(attacks) > 40


def test_every_fault_that_was_found_names_what_keeps_it_from_coming_back() -> None:
    rows = [line.split(" | ") for line in PAGES["docs/findings.md"].splitlines() if re.match(r"\| H?\d", line)]
    assert [row[0] for row in rows if "`ct_mcp/" not in row[2] or "`tests/" not in row[3]] == []
    numbers = [row[0].strip("| ") for row in rows]
    assert numbers == [*map(str, range(1, 39)), *(f"H{number}" for number in range(1, 22))]


def test_every_module_that_the_architecture_names_is_there() -> None:
    named = re.findall(r"`([a-z]+(?:/[\w/]+)?\.py)`", ARCHITECTURE)
    assert len(named) > 20
    assert [path for path in named if not (PACKAGE / path).is_file()] == []


def test_the_table_of_rooms_lists_every_room_with_modules_that_it_has() -> None:
    rows = re.findall(r"^\| (`.+?) \| .+? \| (.*?) ?\|$", ARCHITECTURE.split("## Three ideas")[0], re.MULTILINE)
    rooms = {room for names, _ in rows for room in re.findall(r"`(\w+)`", names)}
    there = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert rooms == {name for name in there if not name.startswith("__")}
    named = [(names.strip("`"), module) for names, modules in rows for module in re.findall(r"`([\w/*.]+)`", modules)]
    assert [place for place in named if not _is_module(*place)] == []


def test_the_picture_says_who_may_import_whom_as_the_contracts_do() -> None:
    settings = tomllib.loads(_text(ROOT / "pyproject.toml"))
    (layers,) = (one for one in settings["tool"]["importlinter"]["contracts"] if one["type"] == "layers")
    rows = [set(row.split(" | ")) for row in layers["layers"]]
    allowed = {pair for above, row in enumerate(rows) for below in rows[above + 1 :] for pair in product(row, below)}
    assert set(_drawn()) == {pair for pair in allowed if pair[0] != "simulator"}


def test_every_command_has_a_name_and_a_handler_as_the_page_on_adding_one_asks() -> None:
    assert set(KINDS) == set(HANDLERS) == set(get_args(Command))


def test_the_page_of_settings_is_what_their_definitions_make() -> None:
    """If not: `python docs/configuration.py`, or `just settings-page`."""
    assert PAGES["docs/configuration.md"] == configuration.page()


def _drawn() -> Iterator[tuple[str, str]]:
    """Every pair of rooms that the arrows of the picture connect, directly or in a row."""
    picture = ARCHITECTURE.split("```mermaid")[1].split("```")[0].replace('main["__main__"]', "__main__")
    lines = (line.split(" --> ") for line in picture.splitlines() if " --> " in line)
    arrows = {pair for left, right in lines for pair in product(left.strip().split(" & "), right.strip().split(" & "))}
    for room in {left for left, _ in arrows}:
        reached, ahead = set[str](), [room]
        while ahead:
            further = {right for left, right in arrows if left == ahead[-1]} - reached
            ahead.pop()
            reached |= further
            ahead += further
        yield from product([room], reached)


def _is_module(room: str, module: str) -> bool:
    path = PACKAGE / room / module
    return path.parent.is_dir() if path.name.startswith("*") else path.with_suffix(".py").is_file()


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.exists() else ""


NOT_TRIED = PAGES["docs/install.md"].partition("## Not tried on Windows and in desktop clients")[2]


def test_what_no_test_of_ours_does_on_windows_is_said_to_be_untried() -> None:
    """A test that is left out there leaves something open there, and its file is named."""
    left_out = re.compile(r'skipif\(\s*[^\n]*sys\.platform == "win32"')
    files = (file for file in sorted((ROOT / "tests").rglob("*.py")) if left_out.search(_text(file)))
    assert [path for file in files if f"`{(path := file.relative_to(ROOT).as_posix())}`" not in NOT_TRIED] == []


def test_every_client_that_nobody_could_drive_is_said_to_be_untried() -> None:
    driven = PAGES["docs/clients.md"].partition("Each has a home of its own")[0]
    untried = [client.title for client in CLIENTS.values() if f"| {client.title}" not in driven]
    assert untried, "desktop clients are in no registry"
    assert [title for title in untried if title not in NOT_TRIED] == []
