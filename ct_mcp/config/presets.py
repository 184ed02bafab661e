"""The presets of funded accounts: one file for each plan, with source and date of every figure.

They are data, and read through the same models as the operator's own figures, so that none can hold what a setting
could not. Reading one makes those models, so `load` imports them late.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from ct_mcp.guard.firm_policy import Automation, Preset, PresetFigure

FOLDER = Path(__file__).with_name("presets")


@dataclass(frozen=True, slots=True)
class LoadedPreset:
    """A preset as it is told, and what it sets: by the keys of ``rules``, of ``limits``, and the automation."""

    preset: Preset
    rules: Mapping[str, Any]
    limits: Mapping[str, Any]
    automation: Automation


@cache
def preset_names() -> tuple[str, ...]:
    """Name them all."""
    return tuple(sorted(file.stem for file in FOLDER.glob("*.toml")))


@cache
def load_preset(name: str) -> LoadedPreset:
    """Read one of those that are named by `preset_names`."""
    from ct_mcp.config.schema import LimitsTable, RulesTable  # noqa: PLC0415  # makes the models of pydantic

    raw = tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"), parse_float=Decimal)
    figures = raw["figures"]
    given = {key: figure["value"] for key, figure in figures.items()}
    automation = Automation(given.pop("automation", Automation.PROPOSE))
    rules = RulesTable.model_validate({key: value for key, value in given.items() if key in RulesTable.model_fields})
    limits = LimitsTable.model_validate({key: value for key, value in given.items() if key not in rules.given()})
    told = tuple(
        PresetFigure(key, _in_words(figure["value"]), figure["source"], figure["checked"], figure.get("doubt", ""))
        for key, figure in figures.items()
    )
    preset = Preset(name, raw["title"], told, tuple(raw["doubts"]), tuple(raw["unheld"]))
    return LoadedPreset(preset, rules.given(), limits.given(), automation)


def _in_words(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(map(_in_words, value))
        case {"balance": balance, "minis": minis}:
            return f"{minis} from {balance} on"
        case _:
            return str(value)
