"""Write docs/configuration.md from what defines the settings: ``python docs/configuration.py``.

Nothing of it is said a second time here. `ct_mcp.config.schema` knows the keys and what each takes, in the words of a
refusal; `config/default.toml` holds every default and explains it. A key that stands in one of them alone is an error.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from ct_mcp.config.faults import as_flag, as_variable
from ct_mcp.config.schema import AccountTable, InstrumentTable, Overrides, RulesTable, SettingsFile, Table, Variables

PAGE = Path(__file__).with_suffix(".md")
DEFAULTS = Path(__file__).parents[1] / "config" / "default.toml"

_KEY = re.compile(r"(?P<name>\w+) = (?P<value>.*?)(?: +# (?P<note>.+))?")
_NO_VALUE = "what no setting is"
_HEAD = """# Settings

<!-- Made by docs/configuration.py of config/default.toml and ct_mcp/config/schema.py: change those and run it. -->

Every setting, with the value that holds where nothing is said, and what else it takes. Copy
[config/default.toml](../config/default.toml), change what you need, and start with `ct-mcp serve --config my.toml`;
without `--config` the file is looked for in the settings folder of your system: `ct-mcp/config.toml`. A key that is not
known, or a value that makes no sense, keeps the server from starting, and all of it is told at once. Neither the
assistant nor a tool can change any of it.
"""
_NARROWER = "## Narrower for one account or one instrument"
_ELSEWHERE = """## Flags and environment variables

A flag of `ct-mcp serve` beats the variable, and both beat the file. The token has neither a key nor a flag: it stands
in `CROSSTRADE_TOKEN`, or in the keyring. A `CT_MCP_MODE` that is no mode is taken as `read_only`, with a warning.

| flag | variable | takes |
|---|---|---|"""


def page() -> str:
    """Write the whole page."""
    return "\n".join((_HEAD, *_of_the_file(DEFAULTS.read_text(encoding="utf-8")), _ELSEWHERE, *_overrides(), ""))


def _of_the_file(text: str) -> Iterator[str]:
    """Write its words as they stand and its keys as a list, without the comment that introduces the file."""
    models: dict[str, type[Table]] = {"": SettingsFile, **_tables(SettingsFile)}
    unexplained = {(name, key) for name, model in models.items() for key in _takes(model)}
    table = ""
    for line, comment in _with_comments(text.partition("\n\n")[2]):
        if line.startswith("["):
            table = line.strip("[]")
            yield f"## `[{table}]`\n"
        yield from _words(comment)
        if key := _KEY.fullmatch(line):
            unexplained.remove((table, key["name"]))
            note = f"; {key['note']}" if key["note"] else ""
            yield f"- `{key['name']}` = `{key['value']}`. Takes {_takes(models[table])[key['name']]}{note}"
        if not line:
            yield ""
    if unexplained:
        raise ValueError(f"{DEFAULTS.name} does not explain {sorted(unexplained)}")


def _with_comments(text: str) -> Iterator[tuple[str, list[str]]]:
    """Give each line of the file with the comment above it; the last comment has an empty line below."""
    comment: list[str] = []
    for line in (*text.strip().splitlines(), ""):
        if line.startswith("#"):
            comment.append(line)
        else:
            yield line, comment
            comment = []


def _tables(model: type[Table]) -> dict[str, type[Table]]:
    """Find the tables of fixed names."""
    kinds = {name: field.annotation for name, field in model.model_fields.items()}
    return {name: kind for name, kind in kinds.items() if isinstance(kind, type) and issubclass(kind, Table)}


def _takes(model: type[Table]) -> dict[str, str]:
    """Ask each key of a table what it takes, by giving it what it cannot take."""
    try:
        model.model_validate(dict.fromkeys(model.model_fields, _NO_VALUE))
    except ValidationError as error:
        refused = [detail for detail in error.errors() if detail["type"] == "value_error"]
        return {str(detail["loc"][0]): str(detail["ctx"]["error"]) for detail in refused}
    return {}


def _words(comment: list[str]) -> Iterator[str]:
    """Write a comment: sentences as a paragraph, what is set in columns as it stands, what is commented out as TOML."""
    sentences: list[str] = []
    examples: list[str] = []
    columns: list[str] = []
    for line in comment:
        said = line.removeprefix("#")
        kind = columns if said.startswith("   ") else sentences if said.startswith(" ") else examples
        kind.append(said.removeprefix(" "))
    if any(examples):
        yield f"{_NARROWER}\n"
    if sentences:
        yield "\n".join((*sentences, ""))
    if columns:
        yield "\n".join(("```text", *(line.removeprefix("  ") for line in columns), "```", ""))
    if any(examples):
        yield "\n".join(("```toml", *"\n".join(examples).strip().splitlines(), "```"))
        for name, model in (('accounts."NAME"', AccountTable), ("instruments.ROOT", InstrumentTable)):
            own = [f"`{key}`: {takes}" for key, takes in _takes(model).items()]
            tables = [f"the table `[{name}.{table}]`" for table in _tables(model)]
            yield f"\n`[{name}]` takes {', and '.join((*own, *tables))}."
        rules = (f"- `{key}`. Takes {takes}" for key, takes in _takes(RulesTable).items())
        yield "\n".join(('\n`[accounts."NAME".rules]` takes\n', *rules))


def _overrides() -> Iterator[str]:
    takes = {"config": "the path of the settings file", **_takes(Variables)}
    for name in Variables.model_fields:
        flag = f"`{as_flag((name,))}`" if name in Overrides.model_fields else "none"
        yield f"| {flag} | `{as_variable((name,))}` | {takes[name]} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8", newline="\n")
