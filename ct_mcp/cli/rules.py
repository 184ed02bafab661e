"""``ct-mcp rules``: the presets of funded accounts, with source, date and doubts of every figure."""

import argparse
import sys

from ct_mcp.cli.runtime import settings_for, utc_now
from ct_mcp.cli.screen import Screen
from ct_mcp.config.presets import LoadedPreset, load_preset, preset_names
from ct_mcp.config.settings import Settings
from ct_mcp.domain.market import trading_day
from ct_mcp.guard.firm_policy import LOUD_AFTER_DAYS, Automation, DayLossEnds
from ct_mcp.guard.holidays import CHECKED, COVERS_UNTIL, SOURCE
from ct_mcp.text import command, sanitize

_LIES_WITH_THE_FIRM = "Firms change their rules monthly. None of this says that an account is within its firm's rules."


def run(chosen: argparse.Namespace) -> int:
    """Show: 0 shown, 1 there is no such preset."""
    screen = Screen.on_stdout()
    if chosen.name is None:
        _list(settings_for(chosen), screen)
        return 0
    if chosen.name not in preset_names():
        named = ", ".join(preset_names())
        print(f"There is no preset {sanitize(chosen.name, longest=60)!r}. There are: {named}", file=sys.stderr)
        return 1
    _show(load_preset(chosen.name), screen)
    return 0


def _list(settings: Settings, screen: Screen) -> None:
    today = trading_day(utc_now())
    screen.say("Presets of funded and evaluation accounts", "bold")
    for name in preset_names():
        loaded = load_preset(name)
        screen.say()
        screen.say(loaded.preset.title, "bold")
        screen.detail(loaded.preset.label(today), _colour(loaded))
        screen.detail(_automation(loaded.automation))
    screen.say()
    named = {name: one.firm for name, one in settings.policy.accounts.items() if one.firm is not None}
    for account, firm in named.items():
        by = firm.preset.label(today) if firm.preset else "own figures alone"
        by += "; reaching its day's loss ends the account" if firm.day_loss_ends is DayLossEnds.ACCOUNT else ""
        screen.say(f"{sanitize(account, longest=80)} has {by}.")
    screen.say(f"Days that end early are known until {COVERS_UNTIL}, by a table of {CHECKED}: {SOURCE}.")
    screen.say(f'Use one with firm = "NAME" under [accounts."ACCOUNT"]. {command("rules", "NAME")} shows its figures.')
    screen.say(_LIES_WITH_THE_FIRM)


def _show(loaded: LoadedPreset, screen: Screen) -> None:
    preset, today = loaded.preset, trading_day(utc_now())
    screen.say(preset.title, "bold")
    screen.say(preset.label(today), _colour(loaded))
    screen.say(_automation(loaded.automation))
    for figure in preset.figures:
        screen.say()
        screen.say(f"{figure.name} = {figure.value}", "bold")
        screen.detail(f"source: {figure.source}; looked up {figure.checked}")
        if figure.doubt:
            screen.detail(f"uncertain: {figure.doubt}")
    for title, lines in (("Uncertain in all of it", preset.doubts), ("Held by no rule", preset.unheld)):
        screen.say()
        screen.say(title, "bold")
        for line in lines:
            screen.detail(line)
    screen.say()
    screen.say(_LIES_WITH_THE_FIRM)


def _colour(loaded: LoadedPreset) -> str:
    return "bad" if loaded.preset.age_days(trading_day(utc_now())) > LOUD_AFTER_DAYS else ""


def _automation(automation: Automation) -> str:
    if automation is Automation.ADVISE:
        return "advise: nothing is ever sent, no exit either; what is proposed becomes a plan that you place by hand"
    return "propose: what you approve is sent"
