"""One client's journey: it learns of ct-mcp, its model proposes an order, the person says yes, the model is told."""

import json
import os
import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.contract.real_clients.clients import ENTER, Client, Room, Typed
from tests.contract.real_clients.model import TOOLS, Heard, Script, scripted_model
from tests.contract.real_clients.script import CONTRACTS, next_step
from tests.contract.real_clients.terminal import Terminal

_COMMAND_SECONDS = 90
_JOURNEY_SECONDS = 150
_LOOKS_SECONDS = 0.3
_APPROVE = Typed(r"To send it, type:\s+(\S+)", ("{0}", ENTER))


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of one client. ``approved`` is the channel that the yes came by, as the journal has it."""

    version: str
    tools: int = 0
    proposed: bool = False
    approved: str = ""
    filled: bool = False
    protected: bool = False
    told: bool = False
    seconds: float = 0.0
    trouble: str = ""

    def missing(self, client: Client) -> str:
        """Say what of the road was not walked; nothing where all of it was."""
        steps = {
            f"{self.tools} of {len(TOOLS)} tools reached the model": self.tools == len(TOOLS),
            "no order was proposed": self.proposed,
            f"no yes came by the {client.approves}": self.approved == client.approves,
            "nothing was filled": self.filled,
            "stop and target were not seen to stand behind the fill": self.protected,
            "the model was not told of the fill": self.told,
        }
        return self.trouble or next((what for what, is_so in steps.items() if not is_so), "")


@dataclass(frozen=True, slots=True)
class Talk:
    """One run of a client: its version, what its model heard, ct-mcp's journal, and how long it took."""

    version: str
    heard: Heard
    journal: tuple[Mapping[str, Any], ...] = ()
    seconds: float = 0.0
    trouble: str = ""


def walk(client: Client, program: Path, ct_mcp: Path, folder: Path) -> Seen:
    """Walk the whole road once."""
    return _judged(talk(client, program, ct_mcp, folder))


def talk(client: Client, program: Path, ct_mcp: Path, folder: Path, script: Script = next_step) -> Talk:
    """Run a client until its model has said its last. Everything that was written and said stays in the folder."""
    home = folder / "home"
    project = home / "project"
    project.mkdir(parents=True)
    with scripted_model(folder, script) as (address, heard):
        room = Room(home, project, program, address, ct_mcp)
        env = {**_plain_env(room), **client.env(room)}
        version = _version(room, env)
        client.settle(room)
        if trouble := _learn(client.learn(room), room, env, folder):
            return Talk(version, heard, trouble=trouble)
        client.finish(room)
        began = time.monotonic()
        _play(client, room, env, heard)
        seconds = time.monotonic() - began
        return Talk(version, heard, _journal(room, env), seconds)


def _plain_env(room: Room) -> dict[str, str]:
    """Give the little that a person's shell would have: no token, no display, no browser, and no way to the network."""
    nowhere = "http://127.0.0.1:9"
    proxies = {"http_proxy": nowhere, "https_proxy": nowhere, "no_proxy": "127.0.0.1,localhost"}
    upper = {name.upper(): value for name, value in proxies.items()}
    path = f"{room.program.parent}{os.pathsep}{os.environ['PATH']}"
    plain = {"HOME": str(room.home), "PATH": path, "TERM": "xterm-256color", "LANG": "C.UTF-8", "SHELL": "/bin/sh"}
    return {**plain, "BROWSER": "none", "DO_NOT_TRACK": "1", **proxies, **upper}


def _version(room: Room, env: Mapping[str, str]) -> str:
    done = _run([str(room.program), "--version"], room, env)
    found = re.search(r"\d+\.\d+\.\d+", done.stdout)
    return found[0] if found else "?"


def _learn(commands: Sequence[Sequence[str]], room: Room, env: Mapping[str, str], folder: Path) -> str:
    """Run what makes ct-mcp known to the client; says what went wrong."""
    for number, command in enumerate(commands):
        done = _run(command, room, env)
        (folder / f"learn-{number}.txt").write_text(done.stdout, encoding="utf-8")
        if done.returncode:
            return f"{Path(command[0]).name} {command[1]} ended with {done.returncode}"
    return ""


def _run(command: Sequence[str], room: Room, env: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        list(command),
        env=dict(env),
        cwd=room.project,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        timeout=_COMMAND_SECONDS,
        check=False,
    )


def _play(client: Client, room: Room, env: Mapping[str, str], heard: Heard) -> None:
    """Let the client run until its model was told, with the person at its form or at a terminal beside it."""
    folder, end = heard.folder, time.monotonic() + _JOURNEY_SECONDS

    def is_told() -> bool:
        return bool(heard.last_words)

    with ExitStack() as stack:
        beside = []
        if client.approves == "terminal":
            approve = [str(room.ct_mcp), "approve", "--demo", "--watch"]
            beside = [stack.enter_context(Terminal(approve, env, room.project, folder / "approve.txt", [_APPROVE]))]
        at = Terminal(client.start(room), env, room.project, folder / "screen.txt", client.typed)
        stack.enter_context(at)
        while not (is_told() or at.has_ended or time.monotonic() > end):
            for terminal in (at, *beside):
                terminal.watch(is_told, _LOOKS_SECONDS)
        at.watch(lambda: at.has_ended, _LOOKS_SECONDS)


def _journal(room: Room, env: Mapping[str, str]) -> tuple[dict[str, Any], ...]:
    """Read what ct-mcp itself wrote down for this home, the oldest entry first."""
    command = [str(room.ct_mcp), "journal", "export", "--demo", "--format", "jsonl"]
    rows = _run(command, room, env).stdout.splitlines()
    return tuple(json.loads(row) for row in rows if row.startswith("{"))


def _judged(said: Talk) -> Seen:
    order = [entry for entry in said.journal if entry["ticket_id"] == _first_ticket(said.journal)]
    details: dict[str, Mapping[str, Any]] = {entry["kind"]: entry["detail"] for entry in order}
    answered = details.get("answered", {})
    return Seen(
        said.version,
        tools=len(said.heard.tools),
        proposed="proposed" in details,
        approved=str(details.get("approved", {}).get("by", "")),
        filled=answered.get("status") == "filled" and answered.get("filled") == CONTRACTS,
        protected="protected" in details and "unprotected" not in details,
        told="filled" in said.heard.last_words.lower(),
        seconds=said.seconds,
        trouble=said.trouble,
    )


def _first_ticket(journal: Sequence[Mapping[str, Any]]) -> str | None:
    """Give the ticket that was proposed first; the exits of its order have tickets of their own."""
    return next((entry["ticket_id"] for entry in journal if entry["kind"] == "proposed"), None)
