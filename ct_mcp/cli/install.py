"""``ct-mcp install``: let a client know this server, in its own file or by its own command, and take it out again.

What is written are the absolute path of our own command and its flags, and never the token.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio

from ct_mcp.cli.client_config import is_in_a_cache, our_program
from ct_mcp.cli.client_files import (
    ClientFileChange,
    ClientFileRefused,
    backup_of,
    difference,
    keep_backup,
    named_in,
    plan_install,
    plan_uninstall,
    write_change,
)
from ct_mcp.cli.clients import CLIENTS, Client, ClientPlace, Machine, starts_us, this_machine
from ct_mcp.cli.runtime import FLAGS, OF_THE_DEMO, settings_for
from ct_mcp.cli.screen import Screen
from ct_mcp.cli.terminal import is_at_terminal, read_line
from ct_mcp.config.settings import Settings
from ct_mcp.config.sources import TOKEN_VARIABLES
from ct_mcp.errors import ConfigError
from ct_mcp.text import command
from ct_mcp.web.browser import environment_for_others

_LONGEST_SECONDS = 60
# Of a script that cmd.exe runs these mean something else than they say, in quotes as well.
_SIGNS_OF_CMD = frozenset('&|<>^%!"')

Run = Callable[[Sequence[str]], "subprocess.CompletedProcess[str]"]


@dataclass(frozen=True, slots=True)
class Installation:
    """What a person asked for: this client, under this name, started by these words."""

    client: Client
    name: str
    words: tuple[str, ...]
    machine: Machine
    uninstall: bool = False
    dry_run: bool = False
    agreed: bool = False


def run(chosen: argparse.Namespace) -> int:
    """Install, uninstall or show; without a client, list them all."""
    screen, machine = Screen.on_stdout(), this_machine()
    if chosen.client is None:
        return _list(screen, machine)
    client = CLIENTS[chosen.client]
    settings = None if chosen.uninstall else settings_for(chosen)
    asked = Installation(
        client, chosen.name, _words(chosen, settings), machine, chosen.uninstall, chosen.dry_run, agreed=chosen.yes
    )
    if chosen.print:
        return _print(asked)
    code = install(asked, screen)
    if code == 0 and settings is not None and not (chosen.dry_run or chosen.demo):
        _tell_of_databases(screen)
        _tell_of_the_token(screen, has_one=settings.token is not None)
    return code


def _words(chosen: argparse.Namespace, settings: Settings | None) -> tuple[str, ...]:
    """Give the words that start this server on this machine, with its flags; paths are whole.

    What the variables of this terminal say becomes a flag, since the client will not have them: a server would trade
    that was meant to read only. A demo reads few of them, and so does this.

    Raises:
        ConfigError: It stands where uv may clear it away.
    """
    program = our_program(sys.argv[0])
    if is_in_a_cache(program) and not chosen.uninstall:
        again = command("install", chosen.client or "CLIENT")
        raise ConfigError(
            f"What runs here stands in a cache of uv, which may be cleared: install it first (uv tool install ct-mcp), "
            f"then run {again} again. Nothing was changed."
        )
    return (*program, "serve", *(_flags(chosen, settings) if settings else ()))


def _flags(chosen: argparse.Namespace, settings: Settings) -> Iterator[str]:
    if chosen.demo:
        yield "--demo"
    for name in FLAGS:
        variable = f"CT_MCP_{name.upper()}"
        is_read = not chosen.demo or variable in OF_THE_DEMO
        if given := getattr(chosen, name, None) or (is_read and os.environ.get(variable, "").strip()):
            yield from (f"--{name.replace('_', '-')}", _as_flag(name, given, settings))


def _as_flag(name: str, given: str, settings: Settings) -> str:
    if name == "mode":  # of a variable a slip is read as read_only; of a flag the server would not start
        return settings.policy.mode.value
    return str(Path(given).expanduser().absolute()) if name in ("config", "state_dir") else given


def _list(screen: Screen, machine: Machine) -> int:
    screen.say("The clients that ct-mcp can be installed in, and those that know it", "bold")
    rows = [(client.key, client.title, _standing(client, machine)) for client in CLIENTS.values()]
    screen.table(rows)
    screen.say()
    screen.say(f"Install it in one with: {command('install', 'CLIENT')}  (and --demo, to begin on the simulator)")
    return 0


def _standing(client: Client, machine: Machine) -> str:
    places = client.present(machine)
    if not places:
        return "on this machine" if _own_program(client) else "not found on this machine"
    try:
        named = {name: entry for place in places for name, entry in named_in(client, place.file).items()}
    except ClientFileRefused:
        return "its file cannot be read"
    known = [name for name, entry in named.items() if starts_us(entry)]
    return f"knows it as {', '.join(known)}" if known else "does not know it"


def _print(asked: Installation) -> int:
    """Show what belongs where, to be pasted by hand."""
    screen, client = Screen.on_stdout(), asked.client
    for place in client.present(asked.machine) or list(client.places(asked.machine)):
        screen.verbatim(f"{client.title}: {place.file}", "person")
    for line in client.put("", asked.name, client.entry(asked.words)).splitlines():
        screen.verbatim(line)
    return 0


def install(asked: Installation, screen: Screen, run_theirs: "Run | None" = None) -> int:
    """Plan, show, ask and write: 0 done or nothing to do, 1 not done, 2 where nobody can be asked."""
    client, places = asked.client, asked.client.present(asked.machine)
    by_command = _own_command(asked, places)
    if not places and not by_command:
        return _not_found(asked, screen)
    if by_command:
        files = [place.file for place in places]
        return _by_command(asked, screen, by_command, files, run_theirs or _run)
    changes = [change for change in map(lambda place: _plan(asked, place), places) if change.is_needed]
    if not changes:
        screen.good(f"{client.title} {'does not know' if asked.uninstall else 'knows'} {asked.name} already.")
        return 0
    for change in changes:
        _show(asked, change, screen)
    if (code := _agree(asked, screen)) is not None:
        return code
    for change in changes:
        write_change(change)
        screen.detail(f"{'Removed' if change.after is None else 'Written'}: {change.file}")
    return _done(asked, screen, [change.file for change in changes])


def _plan(asked: Installation, place: ClientPlace) -> ClientFileChange:
    if asked.uninstall:
        return plan_uninstall(asked.client, place.file, asked.name)
    return plan_install(asked.client, place.file, asked.name, asked.client.entry(asked.words))


def _show(asked: Installation, change: ClientFileChange, screen: Screen) -> None:
    what = "is removed" if change.after is None else "is made" if change.before is None else "is changed"
    screen.verbatim(f"{change.file} {what}:", "bold")
    for line in difference(asked.client, change, asked.name):
        screen.verbatim(f"    {line}", "good" if line.startswith("+") else "bad")


def _agree(asked: Installation, screen: Screen) -> int | None:
    """Ask the person; None is a yes."""
    if asked.dry_run:
        screen.say("Nothing was changed: --dry-run only shows.")
        return 0
    if asked.agreed:
        return None
    if not is_at_terminal():
        print("Nothing was changed: there is no terminal to ask at. Look at the above, then add --yes", file=sys.stderr)
        return 2
    if anyio.run(read_line, "Do this? y or n: ").casefold() in ("y", "yes"):
        return None
    screen.say("Nothing was changed.")
    return 1


def _done(asked: Installation, screen: Screen, files: Sequence[Path]) -> int:
    title = asked.client.title
    for kept in (backup_of(file) for file in files):
        if kept.exists():
            screen.detail(f"The text of before: {kept}")
    if asked.uninstall:
        screen.good(f"{title} does not know {asked.name} any more. Start it again, so that it lets go of it.")
        return 0
    screen.good(f"{title} knows {asked.name} now. Start it again, then ask it: What may you trade?")
    if asked.client.note:
        screen.detail(asked.client.note, "person")
    screen.say(f"If it does not work: {command('check')}")
    return 0


def _not_found(asked: Installation, screen: Screen) -> int:
    client = asked.client
    screen.bad(f"{client.title} was not found for this user. Looked for:")
    for place in client.places(asked.machine):
        screen.verbatim(f"        {place.sign}")
    if client.own:
        screen.verbatim(f"        {client.own.program}, as a command")
    if asked.uninstall:
        return 0
    by_hand = command("install", client.key, "--print")
    screen.say(f"Nothing was changed. Start {client.title} once and try again, or paste what this shows: {by_hand}")
    return 1


def _own_program(client: Client) -> str | None:
    return shutil.which(client.own.program) if client.own else None


def _own_command(asked: Installation, places: Sequence[ClientPlace]) -> list[str]:
    """Give the client's own command, where it has one and there is nothing to keep of an entry that is there."""
    program, client = _own_program(asked.client), asked.client
    if program is None or client.own is None:
        return []
    is_there = any(asked.name in named_in(client, place.file) for place in places)
    if is_there or asked.uninstall:
        return []
    words = [program, *client.own.add(asked.name, asked.words)]
    is_script = program.lower().endswith((".cmd", ".bat"))
    return [] if is_script and any(_SIGNS_OF_CMD & set(word) for word in words) else words


def _by_command(asked: Installation, screen: Screen, words: list[str], files: Sequence[Path], run: Run) -> int:
    title = asked.client.title
    screen.say(f"{title} adds it by a command of its own:", "bold")
    screen.verbatim(f"    + {' '.join(words)}", "good")
    if (code := _agree(asked, screen)) is not None:
        return code
    for file in files:
        keep_backup(file)
    done = run(words)
    if done.returncode:
        told = (done.stderr or done.stdout).strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        screen.bad(f"{title} did not take it: {told[0]}")
        screen.say(f"Paste it by hand instead: {command('install', asked.client.key, '--print')}")
        return 1
    if not any(asked.name in named_in(asked.client, place.file) for place in asked.client.present(asked.machine)):
        screen.bad(f"{title} said yes, but its file does not name {asked.name}.")
        return 1
    return _done(asked, screen, files)


def _run(words: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(  # noqa: S603  # the client's own program, and words of ours
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_LONGEST_SECONDS,
            env=environment_for_others(os.environ),
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(words, 1, "", type(error).__name__)


def _tell_of_databases(screen: Screen) -> None:
    """Say that a database is not carried over: its address may hold a password, and a flag is seen by others."""
    for name in ("CT_MCP_STATE", "CT_MCP_PLANE"):
        if os.environ.get(name, "").strip():
            screen.say(
                f"{name} stands in the environment of this terminal, which a client that you start elsewhere does not "
                f"see, and was not carried over. Name that database in the settings, without its password.",
                "person",
            )


def _tell_of_the_token(screen: Screen, *, has_one: bool) -> None:
    """Say where the token belongs: no client's file of ours holds it."""
    if any(os.environ.get(name) for name in TOKEN_VARIABLES):
        screen.say(
            "Your token stands in the environment of this terminal, which a client that you start elsewhere does not "
            f"see. Keep it in your system's keyring: {command('login')}",
            "person",
        )
    elif not has_one:
        screen.say(f"There is no token yet, without which nothing can be read. Next: {command('login')}", "person")
