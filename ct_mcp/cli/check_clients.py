"""Which clients on this machine know ct-mcp, and whether what they would start does start and lists its tools.

Each command is started as its client would: with the entry's own variables, in a short environment, for a handshake.
"""

import os
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from tempfile import TemporaryFile

import anyio
from mcp import Client as McpClient
from mcp import MCPError, StdioServerParameters, stdio_client

from ct_mcp.cli.check_report import LinkFinding
from ct_mcp.cli.client_files import ClientFileRefused, named_in
from ct_mcp.cli.clients import CLIENTS, Client, Machine, starts_us, words_of
from ct_mcp.config.sources import UNEXPANDED
from ct_mcp.live.cache import LinkState
from ct_mcp.server.links import Link
from ct_mcp.text import command, count, redact_secrets, sanitize

LONGEST_START_SECONDS = 30.0
_LAST_WORDS = 4096


@dataclass(frozen=True, slots=True)
class KnownAs:
    """One entry of a client that starts us."""

    client: Client
    name: str
    words: tuple[str, ...]
    environ: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Handshake:
    """What came of starting a command: how many tools it lists, else why there are none."""

    tools: int = 0
    why: str = ""


Try = Callable[[Sequence[str], Mapping[str, str]], Awaitable[Handshake]]


async def client_findings(machine: Machine, attempt: "Try | None" = None) -> list[LinkFinding]:
    """Look at every client that is on this machine; what several of them start in the same way is started once."""
    findings, known = [], list[KnownAs]()
    for client in CLIENTS.values():
        for place in client.present(machine):
            try:
                known += _known(client, named_in(client, place.file))
            except ClientFileRefused as refused:
                findings.append(_broken(f"client {client.title}", refused.what, refused.advice))
    shakes: dict[tuple[object, ...], Handshake] = {}
    async with anyio.create_task_group() as tasks:
        for one in known:
            if _start(one) not in shakes:
                shakes[_start(one)] = Handshake()
                tasks.start_soon(_shake, one, shakes, attempt or shake_hands)
    findings += [_finding(one, shakes[_start(one)]) for one in known]
    return findings or [
        LinkFinding(Link("clients", LinkState.OFF, f"none that is looked for knows ct-mcp; see {command('install')}"))
    ]


def _known(client: Client, named: Mapping[str, object]) -> Iterator[KnownAs]:
    for name, entry in named.items():
        if isinstance(entry, dict) and starts_us(entry):
            given = entry.get("env") or entry.get("environment") or {}
            environ = {
                key: value
                for key, value in (given.items() if isinstance(given, dict) else ())
                if isinstance(value, str) and not UNEXPANDED.search(value)
            }
            yield KnownAs(client, name, tuple(words_of(entry)), environ)


def _start(one: KnownAs) -> tuple[object, ...]:
    return one.words, tuple(sorted(one.environ.items()))


async def _shake(one: KnownAs, shakes: dict[tuple[object, ...], Handshake], attempt: Try) -> None:
    shakes[_start(one)] = await attempt(one.words, one.environ)


async def shake_hands(words: Sequence[str], environ: Mapping[str, str]) -> Handshake:
    """Start a command as a client does, and have it list its tools, within a bounded time."""
    if which(words[0]) is None:
        return Handshake(why="there is no such program")
    with TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        server = StdioServerParameters(command=words[0], args=list(words[1:]), env=dict(environ))
        with suppress(MCPError, OSError, ExceptionGroup), anyio.move_on_after(LONGEST_START_SECONDS) as patience:
            async with McpClient(stdio_client(server, errlog=log)) as client:
                return Handshake(tools=len((await client.list_tools()).tools))
        if patience.cancelled_caught:
            return Handshake(why=f"it gave no answer within {LONGEST_START_SECONDS:.0f} s")
        return Handshake(why=_last_words(log.fileno(), environ))


def _last_words(log: int, environ: Mapping[str, str]) -> str:
    """Give the last line that a command wrote before it ended, without what its variables hold."""
    os.lseek(log, 0, os.SEEK_SET)
    lines = os.read(log, _LAST_WORDS).decode("utf-8", "replace").strip().splitlines()
    told = _shown(lines[-1], environ) if lines else "nothing"
    return f"it ended at once and said: {told}"


def _shown(text: str, environ: Mapping[str, str]) -> str:
    """Show words of others without what the variables hold, among which may be a token."""
    return sanitize(redact_secrets(text, [value for value in environ.values() if value]), longest=200)


def _finding(one: KnownAs, shake: Handshake) -> LinkFinding:
    name, started = f"client {one.client.title}", _shown(" ".join(one.words), one.environ)
    again = command("install", one.client.key, *(["--name", one.name] if one.name != "ct-mcp" else []))
    if not shake.tools:
        return _broken(
            name,
            f"{one.name} starts {started}: {shake.why}",
            f"mend that in its file; {again} writes the command anew, and leaves its variables",
        )
    why = f"{one.name} starts {started}, which lists {count(shake.tools, 'tool')}"
    if not Path(one.words[0]).is_absolute():
        short = "; a program that is not started from a terminal may not find it"
        return LinkFinding(Link(name, LinkState.OK, f"{why}{short}: {again} writes the whole path"))
    return LinkFinding(Link(name, LinkState.OK, why))


def _broken(name: str, why: str, step: str) -> LinkFinding:
    return LinkFinding(Link(name, LinkState.BROKEN, why), step)
