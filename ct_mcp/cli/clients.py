"""The clients that can start this server: where each keeps its servers on which system, and how it writes one down."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import dropwhile
from pathlib import Path
from typing import Any, Protocol

from ct_mcp.cli import json_text, toml_text
from ct_mcp.cli.client_config import settings_folder, yaml_lines
from ct_mcp.cli.json_text import UnreadableText

Entry = dict[str, Any]
# What says how a server is started; whatever else a person wrote beside it is theirs.
_MARK = "\ufeff"
ESSENTIAL = ("type", "command", "args")


def _marked(text: str) -> str:
    """Give the byte order mark that Notepad begins a file with, if there is one."""
    return _MARK if text.startswith(_MARK) else ""


def _plain(words: Sequence[str]) -> Entry:
    return {"command": words[0], "args": list(words[1:])}


@dataclass(frozen=True, slots=True)
class Machine:
    """What a client's place depends on; handed in, so that every system can be told from any."""

    platform: str
    environ: Mapping[str, str]
    home: Path

    @property
    def roaming(self) -> Path:
        """Where applications keep their settings."""
        return settings_folder(self.platform, self.environ, self.home)

    @property
    def local(self) -> Path:
        """Where Windows keeps what belongs to this machine alone."""
        return Path(self.environ.get("LOCALAPPDATA") or self.home / "AppData" / "Local")


def this_machine() -> Machine:
    """Look at the machine that we run on."""
    return Machine(sys.platform, os.environ, Path.home())


@dataclass(frozen=True, slots=True)
class ClientPlace:
    """A client is there if ``sign`` is; of ``files`` the first that exists counts, else the first."""

    sign: Path
    files: tuple[Path, ...]

    @property
    def file(self) -> Path:
        """The file that holds the servers, or will."""
        return next((file for file in self.files if file.is_file()), self.files[0])


class ServerText(Protocol):
    """How a client writes its servers down; each of these may find that a text is unreadable."""

    def entries(self, text: str, box: str) -> dict[str, Any]: ...
    def put(self, text: str, box: str, name: str, entry: Mapping[str, Any]) -> str: ...
    def take(self, text: str, box: str, name: str) -> str: ...


@dataclass(frozen=True, slots=True)
class Client:
    """One client; ``box`` is the key under which it keeps its servers, ``own`` its own command where it has one.

    ``note`` is what a person has to know besides.
    """

    key: str
    title: str
    places: Callable[[Machine], Iterable[ClientPlace]]
    box: str = "mcpServers"
    text: ServerText = json_text
    entry: Callable[[Sequence[str]], Entry] = _plain
    own: "OwnCommand | None" = None
    note: str = ""

    def present(self, machine: Machine) -> list[ClientPlace]:
        """Give the places where the client is on this machine."""
        return [place for place in self.places(machine) if place.sign.exists() or place.file.exists()]

    def named(self, text: str) -> dict[str, Any]:
        """Give the servers that a text of this client names.

        Raises:
            UnreadableText: It cannot be read.
        """
        return dict(self.text.entries(text.removeprefix(_MARK), self.box))

    def put(self, text: str, name: str, entry: Entry) -> str:
        """Write an entry into a text, and read it again to see that nothing else has changed.

        Raises:
            UnreadableText: It cannot be read, or not be edited without writing it anew.
        """
        before = self.named(text)
        there = before.get(name)
        wished = {key: value for key, value in entry.items() if there is None or key in ESSENTIAL}
        after = _marked(text) + self.text.put(text.removeprefix(_MARK), self.box, name, wished)
        return self._seen(after, {**before, name: {**(there or {}), **wished}})

    def take(self, text: str, name: str) -> str:
        """Take an entry out of a text.

        Raises:
            UnreadableText: As above.
        """
        rest = {key: value for key, value in self.named(text).items() if key != name}
        return self._seen(_marked(text) + self.text.take(text.removeprefix(_MARK), self.box, name), rest)

    def _seen(self, text: str, wished: Mapping[str, Any]) -> str:
        if self.named(text) != wished:
            raise UnreadableText("the servers are written in a form that cannot be edited without writing it anew")
        return text


@dataclass(frozen=True, slots=True)
class OwnCommand:
    """How a client adds and removes a server by itself, for all of the person's projects."""

    program: str
    add: Callable[[str, Sequence[str]], list[str]]
    remove: Callable[[str], list[str]]


class ContinueBlock:
    """A block of Continue, one file for each server: it is ours from its first line to the last of the command."""

    @staticmethod
    def entries(text: str, box: str) -> dict[str, Any]:
        """Read a block in the form that we write, and whatever a person added behind it stays unread."""
        if not text.strip():
            return {}
        lines = text.splitlines()
        if _is_of_others(lines):
            return {}
        try:
            name, *told = (
                _behind(lines[at], start) for at, start in ((0, "name: "), (6, "    command: "), (7, "    args: "))
            )
            words = [json.loads(told[0]), *json.loads(told[1])]
        except (IndexError, ValueError):
            raise UnreadableText(f"it is no block of {box} as ct-mcp writes it") from None
        if lines[:8] != yaml_lines(words, name):
            raise UnreadableText(f"it is no block of {box} as ct-mcp writes it")
        return {name: _plain(words)}

    @staticmethod
    def put(text: str, box: str, name: str, entry: Mapping[str, Any]) -> str:
        """Write the block, and keep what stands behind it."""
        there = ContinueBlock.entries(text, box)
        if other := next((key for key in there if key != name), None):
            raise UnreadableText(f"it holds the block of {other}, and can hold one only")
        rest = text.splitlines(keepends=True)[8 if there else 4 :]
        newline = "\r\n" if "\r\n" in text else "\n"
        ours = yaml_lines([entry["command"], *entry["args"]], name)
        return newline.join([*ours, ""]) + "".join(rest)

    @staticmethod
    def take(text: str, box: str, name: str) -> str:
        """Leave the servers that a person added behind ours, with the lines that a block begins with; else nothing."""
        lines = text.splitlines(keepends=True)
        rest = list(dropwhile(lambda line: not line.strip() or line.startswith("    "), lines[8:]))
        if rest and not rest[0].startswith("  - "):
            raise UnreadableText(f"behind the entry stands what is no other of {box}")
        return "".join([*lines[:4], *rest]) if rest else ""


def _is_of_others(lines: Sequence[str]) -> bool:
    """Say whether ours was taken out of a block, and others stand there still."""
    name = lines[0].removeprefix("name: ")
    is_begun = lines[:4] == yaml_lines([""], name)[:4]
    return is_begun and len(lines) > 4 and not any(name in line for line in lines[4:])


def _behind(line: str, start: str) -> str:
    if not line.startswith(start):
        raise ValueError(line)
    return line[len(start) :]


def _stdio(words: Sequence[str]) -> Entry:
    return {"type": "stdio", **_plain(words)}


def _with_time(words: Sequence[str]) -> Entry:
    return {**_plain(words), "timeout": 60}  # it gives up after 3 seconds else


def _opencode(words: Sequence[str]) -> Entry:
    return {"type": "local", "command": list(words)}


def words_of(entry: object) -> list[str]:
    """Give the words that an entry starts a server with; none where it starts none."""
    if not isinstance(entry, dict):
        return []
    command, arguments = entry.get("command"), entry.get("args", [])
    words = [
        *(command if isinstance(command, list) else [command]),
        *(arguments if isinstance(arguments, list) else []),
    ]
    return words if all(isinstance(word, str) for word in words) else []


def starts_us(entry: object) -> bool:
    """Say whether an entry starts ct-mcp, in whatever way."""
    words = words_of(entry)
    return any(word.replace("\\", "/").rpartition("/")[2] in ("ct-mcp", "ct-mcp.exe", "ct_mcp") for word in words)


def _desktop(machine: Machine) -> Iterator[ClientPlace]:
    """Windows' packaged Claude reads the file in the folder of its package, whatever its menu opens."""
    packaged = sorted(machine.local.glob("Packages/Claude_*/LocalCache/Roaming")) if machine.platform == "win32" else []
    for folder in (*(place / "Claude" for place in packaged), machine.roaming / "Claude"):
        yield ClientPlace(folder, (folder / "claude_desktop_config.json",))


def _claude_code(machine: Machine) -> Iterator[ClientPlace]:
    named = machine.environ.get("CLAUDE_CONFIG_DIR")
    yield ClientPlace(Path(named or machine.home / ".claude"), (Path(named or machine.home) / ".claude.json",))


def _vscode(machine: Machine) -> Iterator[ClientPlace]:
    for flavour in ("Code", "Code - Insiders"):
        folder = machine.roaming / flavour / "User"
        yield ClientPlace(folder, (folder / "mcp.json",))


def _cline(machine: Machine) -> Iterator[ClientPlace]:
    folder, name = machine.home / ".cline" / "data" / "settings", "cline_mcp_settings.json"
    yield ClientPlace(machine.home / ".cline", (folder / name,))
    extension = machine.roaming / "Code" / "User" / "globalStorage" / "saoudrizwan.claude-dev"
    yield ClientPlace(extension, (extension / "settings" / name,))


def _codex(machine: Machine) -> Iterator[ClientPlace]:
    folder = Path(machine.environ.get("CODEX_HOME") or machine.home / ".codex")
    yield ClientPlace(folder, (folder / "config.toml",))


def _opencode_places(machine: Machine) -> Iterator[ClientPlace]:
    folder = Path(machine.environ.get("XDG_CONFIG_HOME") or machine.home / ".config") / "opencode"
    yield ClientPlace(folder, (folder / "opencode.json", folder / "opencode.jsonc"))


def _at_home(*names: str) -> Callable[[Machine], list[ClientPlace]]:
    """Place a file in a folder of the home, whose presence says that the client is there."""
    return lambda machine: [ClientPlace(machine.home.joinpath(*names[:-1]), (machine.home.joinpath(*names),))]


def _continue(machine: Machine) -> list[ClientPlace]:
    folder = machine.home / ".continue"
    return [ClientPlace(folder, (folder / "mcpServers" / "ct-mcp.yaml",))]


_SCOPE = ("--scope", "user")
CLIENTS: dict[str, Client] = {
    client.key: client
    for client in (
        Client("claude-desktop", "Claude Desktop", _desktop),
        Client(
            "claude-code",
            "Claude Code",
            _claude_code,
            entry=_stdio,
            own=OwnCommand(
                "claude",
                lambda name, words: ["mcp", "add", *_SCOPE, name, "--", *words],
                lambda name: ["mcp", "remove", *_SCOPE, name],
            ),
        ),
        Client("cursor", "Cursor", _at_home(".cursor", "mcp.json")),
        Client("vscode", "VS Code", _vscode, box="servers", entry=_stdio),
        Client(
            "continue",
            "Continue",
            _continue,
            text=ContinueBlock(),
            note="Its command line, cn, reads ~/.continue/config.yaml alone: add the part from mcpServers there too.",
        ),
        Client("windsurf", "Windsurf", _at_home(".codeium", "windsurf", "mcp_config.json")),
        Client("cline", "Cline", _cline, entry=_with_time),
        Client(
            "codex",
            "Codex",
            _codex,
            box="mcp_servers",
            text=toml_text,
            own=OwnCommand(
                "codex", lambda name, words: ["mcp", "add", name, "--", *words], lambda name: ["mcp", "remove", name]
            ),
            note="Its first turn may come before the tools: required = true under the server's name makes it wait.",
        ),
        Client(
            "gemini",
            "Gemini CLI",
            _at_home(".gemini", "settings.json"),
            own=OwnCommand(
                "gemini",
                lambda name, words: ["mcp", "add", *_SCOPE, name, words[0], "--", *words[1:]],
                lambda name: ["mcp", "remove", *_SCOPE, name],
            ),
        ),
        Client("opencode", "opencode", _opencode_places, box="mcp", entry=_opencode),
    )
}
