"""What a person pastes into the configuration of a client, so that it starts this server on a simulator."""

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from site import ENABLE_USER_SITE
from sysconfig import get_path, get_preferred_scheme

NAME = "ct-mcp-demo"
DEMO = ("serve", "--demo")
_CACHE_OF_UV = "archive-v0"


def our_program(started_as: str) -> tuple[str, ...]:
    """Find what starts ct-mcp, by its absolute path: programs that a desktop starts have a short PATH.

    A client starts it in the folder that its assistant works in; without ``-P`` Python would import from there.
    """
    # The launchers of Windows leave the ending of their own name out.
    name = "ct-mcp.exe" if sys.platform == "win32" else "ct-mcp"
    places = [Path(started_as).parent] if Path(started_as).stem == "ct-mcp" else []
    candidates = [(place / name).absolute() for place in (*places, *_script_folders())]
    found = next((str(candidate) for candidate in candidates if candidate.is_file()), None)
    return (found,) if found else (sys.executable, "-P", "-m", "ct_mcp")


def _script_folders() -> Iterator[Path]:
    """Where an installer puts the scripts of this Python: for everybody, and for this user alone."""
    yield Path(sys.executable).parent
    yield Path(get_path("scripts"))
    if ENABLE_USER_SITE:
        yield Path(get_path("scripts", get_preferred_scheme("user")))


def is_in_a_cache(program: Sequence[str]) -> bool:
    """Say whether ``uvx`` put it where it may be cleared away."""
    return _CACHE_OF_UV in Path(program[0]).parts


def json_lines(program: Sequence[str]) -> list[str]:
    """Write the entry as Claude Desktop and Cursor read it; a backslash in a path is written twice."""
    first, *arguments = *program, *DEMO
    return [
        "{",
        '  "mcpServers": {',
        f'    "{NAME}": {{',
        f'      "command": {json.dumps(first, ensure_ascii=False)},',
        f'      "args": {json.dumps(arguments, ensure_ascii=False)}',
        "    }",
        "  }",
        "}",
    ]


def yaml_lines(words: Sequence[str], name: str = NAME) -> list[str]:
    """Write a server as a block of Continue; what JSON quotes, YAML reads."""
    first, *arguments = words
    return [
        f"name: {name}",
        "version: 0.0.1",
        "schema: v1",
        "mcpServers:",
        f"  - name: {name}",
        "    type: stdio",
        f"    command: {json.dumps(first, ensure_ascii=False)}",
        f"    args: {json.dumps(arguments, ensure_ascii=False)}",
    ]


def claude_code_line(program: Sequence[str], *, windows: bool = sys.platform == "win32") -> str:
    """Write the same as a command for Claude Code, quoted for the shell of this machine."""
    words = ["claude", "mcp", "add", NAME, "--", *program, *DEMO]
    return subprocess.list2cmdline(words) if windows else shlex.join(words)


def desktop_file(platform: str, environ: Mapping[str, str], home: Path) -> Path:
    """Say where Claude Desktop keeps its servers on this machine."""
    return settings_folder(platform, environ, home) / "Claude" / "claude_desktop_config.json"


def settings_folder(platform: str, environ: Mapping[str, str], home: Path) -> Path:
    """Say in which folder applications keep their settings on this machine."""
    if platform == "win32":
        roaming = environ.get("APPDATA")
        return Path(roaming) if roaming else home / "AppData" / "Roaming"
    if platform == "darwin":
        return home / "Library" / "Application Support"
    return Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
